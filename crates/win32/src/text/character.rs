//! The two kinds of characters that texts are made of.

/// A character of a text: a byte of UTF-8, or a unit of UTF-16.
pub(super) trait Character: Copy {
    const WIDE: bool;
    /// A character of ASCII.
    fn from_ascii(byte: u8) -> Self;
    /// The character, if it is one of ASCII; else 0xFF.
    fn ascii(self) -> u8;
    fn from_narrow(text: &[u8]) -> Vec<Self>;
    fn from_wide(text: &[u16]) -> Vec<Self>;

    /// The characters of a string, up to its terminator or `limit`.
    ///
    /// # Safety
    /// It is terminated, or has so many, and stays what it is as long as the result is used.
    unsafe fn terminated<'a>(text: *const Self, limit: usize) -> &'a [Self];

    #[cfg(test)]
    fn text(all: &[Self]) -> String {
        let units = all.iter().map(|one| one.unit()).collect::<Vec<u16>>();
        match Self::WIDE {
            true => String::from_utf16_lossy(&units),
            false => String::from_utf8_lossy(&units.iter().map(|&unit| unit as u8).collect::<Vec<u8>>()).into_owned(),
        }
    }

    #[cfg(test)]
    fn unit(self) -> u16;
}

impl Character for u8 {
    const WIDE: bool = false;

    fn from_ascii(byte: u8) -> Self {
        byte
    }

    fn ascii(self) -> u8 {
        if self.is_ascii() { self } else { 0xFF }
    }

    fn from_narrow(text: &[u8]) -> Vec<Self> {
        text.to_vec()
    }

    fn from_wide(text: &[u16]) -> Vec<Self> {
        String::from_utf16_lossy(text).into_bytes()
    }

    unsafe fn terminated<'a>(text: *const Self, limit: usize) -> &'a [Self] {
        // SAFETY: as of our caller.
        unsafe { super::narrow(text, limit) }
    }

    #[cfg(test)]
    fn unit(self) -> u16 {
        self.into()
    }
}

impl Character for u16 {
    const WIDE: bool = true;

    fn from_ascii(byte: u8) -> Self {
        byte.into()
    }

    fn ascii(self) -> u8 {
        u8::try_from(self).ok().filter(u8::is_ascii).unwrap_or(0xFF)
    }

    fn from_narrow(text: &[u8]) -> Vec<Self> {
        String::from_utf8_lossy(text).encode_utf16().collect()
    }

    fn from_wide(text: &[u16]) -> Vec<Self> {
        text.to_vec()
    }

    unsafe fn terminated<'a>(text: *const Self, limit: usize) -> &'a [Self] {
        // SAFETY: as of our caller.
        let len = unsafe { super::length(text, limit) };
        // SAFETY: so many characters were read just now.
        unsafe { std::slice::from_raw_parts(text, len) }
    }

    #[cfg(test)]
    fn unit(self) -> u16 {
        self
    }
}
