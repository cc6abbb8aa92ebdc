//! The structures of `fltuserstructures.h`, as bytes.

/// Something that is told in the structures of its classes.
pub(crate) trait Record: Send + Sync + 'static {
    /// The type of file of its enumerations: see [`abi::file::File::TYPE`].
    const FIND_TYPE: u32;

    /// The structure of an information class; `None`: there is no such class.
    fn encode(&self, class: u32) -> Option<Vec<u8>>;
}

/// A structure that is put together: numbers, and names whose characters follow behind them.
#[derive(Debug, Default)]
pub(crate) struct Structure {
    fixed: Vec<u8>,
    /// Where the offset of a name stands, and its bytes.
    names: Vec<(usize, Vec<u8>)>,
}

fn wide(name: &str) -> Vec<u8> {
    name.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn len(bytes: &[u8]) -> [u8; 2] {
    u16::try_from(bytes.len()).unwrap_or(u16::MAX - 1).to_le_bytes()
}

impl Structure {
    /// Begins with the offset of the next one, which is not there.
    pub(crate) fn new() -> Self {
        Self::default().number(0)
    }

    pub(crate) fn number(mut self, number: u32) -> Self {
        self.fixed.extend_from_slice(&number.to_le_bytes());
        self
    }

    /// A name's length and its offset.
    pub(crate) fn name(mut self, name: &str) -> Self {
        let name = wide(name);
        self.fixed.extend_from_slice(&len(&name));
        self.names.push((self.fixed.len(), name));
        self.fixed.extend_from_slice(&[0; 2]);
        self
    }

    /// The whole, with names behind.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        for (at, name) in self.names {
            let offset = u16::try_from(self.fixed.len()).unwrap_or(u16::MAX);
            self.fixed[at..at + 2].copy_from_slice(&offset.to_le_bytes());
            self.fixed.extend_from_slice(&name);
        }
        self.fixed
    }

    /// The whole, where the last member is a name: its length, and then its characters.
    pub(crate) fn finish_with(mut self, name: &str) -> Vec<u8> {
        let name = wide(name);
        self.fixed.extend_from_slice(&len(&name));
        self.fixed.extend_from_slice(&name);
        self.fixed
    }

    /// A structure that does not begin with an offset.
    pub(crate) fn only(name: &str) -> Vec<u8> {
        Self::default().finish_with(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lie_behind_the_numbers() {
        let bytes = Structure::new().number(7).name("ab").name("").name("c").finish();
        assert_eq!(bytes[4..8], 7u32.to_le_bytes());
        assert_eq!(bytes[8..20], [4, 0, 20, 0, 0, 0, 24, 0, 2, 0, 24, 0]);
        assert_eq!(bytes[20..], *b"a\0b\0c\0");
        assert_eq!(Structure::only("a"), *b"\x02\0a\0");
    }
}
