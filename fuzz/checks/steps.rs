//! Bytes as a script of steps.

/// What is left of the script.
pub(crate) struct Steps<'a>(pub(crate) &'a [u8]);

impl Steps<'_> {
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    /// A number in one byte, or in eight when the byte is 0xff.
    pub(crate) fn number(&mut self) -> Option<u64> {
        match self.byte()? {
            0xff => {
                let (bytes, rest) = self.0.split_first_chunk()?;
                self.0 = rest;
                Some(u64::from_le_bytes(*bytes))
            }
            small => Some(small.into()),
        }
    }

    pub(crate) fn below(&mut self, end: usize) -> Option<usize> {
        Some(usize::from(self.byte()?) % end)
    }

    /// One of those, if there is any.
    pub(crate) fn index(&mut self, len: usize) -> Option<Option<usize>> {
        let byte = usize::from(self.byte()?);
        Some(byte.checked_rem(len))
    }
}
