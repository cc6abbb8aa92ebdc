//! Names of ports, `\ScannerPort`, and how they become names of files.

use core::fmt;
use core::str::FromStr;

use crate::status::Status;

/// The longest name, in bytes of UTF-16: what `RtlInitUnicodeString` can hold.
pub const MAX_NAME_UTF16_BYTES: usize = 65_532;

/// The longest name in bytes of UTF-8: one UTF-16 unit is at most three bytes of UTF-8.
pub const MAX_NAME_LEN: usize = MAX_NAME_UTF16_BYTES / 2 * 3;

/// The longest file name that [`PortName::file_components`] gives, in bytes. It leaves room for a prefix and a suffix
/// below the usual limit of 255.
pub const MAX_FILE_COMPONENT_LEN: usize = 180;

/// How much of a name that is too long stays readable before its hash.
const READABLE_PREFIX_LEN: usize = 100;

/// The full name of a port: `\ScannerPort`, or `\Directory\ScannerPort`.
///
/// Parsed once, valid from then on. As on Windows any character is allowed but the backslash, which separates, and NUL;
/// nothing is normalised, and equality (`==`) minds the case.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortName(String);

impl PortName {
    /// Parses a full name.
    ///
    /// # Errors
    /// [`Status::OBJECT_NAME_INVALID`]: the name, or one component of it, is empty, contains a NUL, or the whole is
    /// longer than 65,532 bytes of UTF-16. [`Status::OBJECT_PATH_SYNTAX_BAD`]: it does not begin with a backslash.
    pub fn parse(name: &str) -> Result<Self, Status> {
        if name.is_empty() {
            return Err(Status::OBJECT_NAME_INVALID);
        }
        let rest = name.strip_prefix('\\').ok_or(Status::OBJECT_PATH_SYNTAX_BAD)?;
        if rest.split('\\').any(str::is_empty) || rest.contains('\0') {
            return Err(Status::OBJECT_NAME_INVALID);
        }
        // The cheap bound first: it spares counting the units of an absurdly long text.
        if name.len() > MAX_NAME_LEN || name.encode_utf16().count() * 2 > MAX_NAME_UTF16_BYTES {
            return Err(Status::OBJECT_NAME_INVALID);
        }
        Ok(Self(name.to_owned()))
    }

    /// The name as it was given, with its leading backslash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The parts between the backslashes: directories, then the port's own name. Never empty.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0[1..].split('\\')
    }

    /// The parts as file names: see [`file_component`].
    pub fn file_components(&self) -> impl DoubleEndedIterator<Item = String> {
        self.components().map(file_component)
    }

    /// Whether the two are equal when the case of ASCII letters is ignored (`OBJ_CASE_INSENSITIVE`).
    pub fn eq_ignore_case(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }

    /// Whether a file name cannot be turned back into the name, because one component was too long and is a hash there.
    pub fn is_hashed(&self) -> bool {
        self.file_components().any(|component| component.contains(HASH_MARK))
    }
}

impl fmt::Display for PortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for PortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PortName({})", self.0)
    }
}

impl FromStr for PortName {
    type Err = Status;

    fn from_str(name: &str) -> Result<Self, Status> {
        Self::parse(name)
    }
}

impl AsRef<str> for PortName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Stands before a hash. Escaping never writes it: there two hexadecimal digits follow a percent sign.
const HASH_MARK: &str = "%.";

/// One component of a port's name as the name of a file.
///
/// Everything but `A-Z a-z 0-9 _ - .` is written as `%` and two hexadecimal digits per byte of UTF-8, and so is a dot
/// in front: no component becomes `.`, `..` or a hidden file. Different components have different file names. If the
/// result were longer than [`MAX_FILE_COMPONENT_LEN`], it is its beginning, `%.` and the component's 128-bit FNV-1a
/// hash in hexadecimal digits; two names can be made to collide on purpose, so the full name is compared wherever it
/// matters.
pub fn file_component(component: &str) -> String {
    let mut escaped = String::with_capacity(component.len());
    for (at, byte) in component.bytes().enumerate() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' => escaped.push(char::from(byte)),
            b'.' if at > 0 => escaped.push('.'),
            _ => {
                escaped += &format!("%{byte:02X}");
            }
        }
    }
    if escaped.len() > MAX_FILE_COMPONENT_LEN {
        escaped.truncate(READABLE_PREFIX_LEN);
        escaped += &format!("{HASH_MARK}{:032X}", fnv1a_128(component.as_bytes()));
    }
    escaped
}

/// FNV-1a, 128 bits: short, and stable for ever, which the standard library's hashers do not promise.
fn fnv1a_128(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |hash, &byte| {
        (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The inverse of [`file_component`] where there is one, which proves that no two components share a file name.
    fn unescape(file: &str) -> Option<String> {
        let mut bytes = Vec::new();
        let mut rest = file.as_bytes();
        while let [first, tail @ ..] = rest {
            if *first == b'%' {
                let digits = core::str::from_utf8(tail.get(..2)?).ok()?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = &tail[2..];
            } else {
                bytes.push(*first);
                rest = tail;
            }
        }
        String::from_utf8(bytes).ok()
    }

    #[test]
    fn names_that_are_names() {
        for name in [r"\ScannerPort", r"\Dir\Port", r"\.", r"\..\..", r"\a b/c", "\\\u{1F600}", r"\1"] {
            let parsed = PortName::parse(name).unwrap();
            assert_eq!(parsed.to_string(), name);
            assert_eq!(name.parse::<PortName>().unwrap(), parsed);
        }
    }

    #[test]
    fn a_name_begins_with_a_backslash() {
        for name in ["ScannerPort", "/ScannerPort", "a\\b", " \\a"] {
            assert_eq!(PortName::parse(name), Err(Status::OBJECT_PATH_SYNTAX_BAD), "{name}");
        }
    }

    #[test]
    fn no_part_of_a_name_is_empty() {
        for name in ["", r"\", r"\\", r"\a\", r"\\a", r"\a\\b", "\\a\0b", "\\\0"] {
            assert_eq!(PortName::parse(name), Err(Status::OBJECT_NAME_INVALID), "{name:?}");
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "hundreds of thousands of characters, and nothing but the standard library's text")]
    fn length_is_counted_in_utf16() {
        // The backslash is a unit too.
        let units = MAX_NAME_UTF16_BYTES / 2 - 1;
        let longest = format!("\\{}", "x".repeat(units));
        assert!(PortName::parse(&longest).is_ok());
        assert_eq!(PortName::parse(&format!("{longest}x")), Err(Status::OBJECT_NAME_INVALID));
        // Three bytes of UTF-8, one unit.
        let wide = format!("\\{}", "\u{20AC}".repeat(units));
        assert!(PortName::parse(&wide).unwrap().as_str().len() <= MAX_NAME_LEN);
        // Two units each.
        assert!(PortName::parse(&format!("\\{}", "\u{1F600}".repeat(units / 2))).is_ok());
        assert!(PortName::parse(&format!("\\{}", "\u{1F600}".repeat(units / 2 + 1))).is_err());
    }

    #[test]
    fn case_is_ignored_only_when_asked_and_only_for_ascii() {
        let [a, b, c, d] =
            [r"\Scanner", r"\SCANNER", "\\\u{e4}", "\\\u{c4}"].map(|name| PortName::parse(name).unwrap());
        assert!(a != b && a.eq_ignore_case(&b));
        assert!(!c.eq_ignore_case(&d));
    }

    #[test]
    fn files_are_readable_and_safe() {
        assert_eq!(file_component("ScannerPort_1-a.b"), "ScannerPort_1-a.b");
        assert_eq!(file_component("."), "%2E");
        assert_eq!(file_component(".."), "%2E.");
        assert_eq!(file_component("a/b %"), "a%2Fb%20%25");
        assert_eq!(file_component("\u{e4}"), "%C3%A4");
        let name = PortName::parse(r"\Dir\..\x y").unwrap();
        assert_eq!(name.file_components().collect::<Vec<_>>(), ["Dir", "%2E.", "x%20y"]);
        assert!(!name.is_hashed());
    }

    #[test]
    fn long_components_are_hashed() {
        let long = "x".repeat(1_000);
        let file = file_component(&long);
        assert_eq!(file.len(), READABLE_PREFIX_LEN + 2 + 32);
        assert!(file.starts_with("xxx") && file.contains(HASH_MARK));
        assert_ne!(file, file_component(&"x".repeat(1_001)));
        assert!(PortName::parse(&format!(r"\a\{long}")).unwrap().is_hashed());
        assert_eq!(file_component(&"y".repeat(MAX_FILE_COMPONENT_LEN)), "y".repeat(MAX_FILE_COMPONENT_LEN));
    }

    /// The published test vector of FNV-1a, 128 bits.
    #[test]
    fn the_hash_is_fnv1a() {
        assert_eq!(fnv1a_128(b""), 0x6c62272e07bb014262b821756295c58d);
        assert_eq!(fnv1a_128(b"a"), 0xd228cb696f1a8caf78912b704e4a8964);
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_prints_back(text in ".{0,60}") {
            if let Ok(name) = PortName::parse(&text) {
                prop_assert_eq!(name.to_string(), text);
            }
        }

        #[test]
        fn escaping_is_injective_and_safe(component in "[^\\\\\0]{1,300}") {
            let file = file_component(&component);
            prop_assert!(!file.starts_with('.') && !file.contains('/') && file.len() <= MAX_FILE_COMPONENT_LEN);
            if file.contains(HASH_MARK) {
                prop_assert!(unescape(&file).is_none(), "a hashed name is the escape of nothing");
            } else {
                prop_assert_eq!(unescape(&file), Some(component));
            }
        }
    }
}
