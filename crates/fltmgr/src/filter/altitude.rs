//! Where a filter stands.

use std::fmt;

use proto::status::Status;

use crate::Error;

/// A decimal number of any precision, as Windows assigns them: "328010", "328010.5". Higher is asked first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Altitude {
    whole: u64,
    /// Digits behind the point, without zeros at the end: their order as text is their order as numbers.
    fraction: String,
}

impl Altitude {
    /// Reads a decimal number.
    ///
    /// # Errors
    /// [`Status::INVALID_PARAMETER`] if it is not one.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        match whole.parse() {
            Ok(value) if digits(whole) && digits(fraction) => {
                Ok(Self { whole: value, fraction: fraction.trim_end_matches('0').to_owned() })
            }
            _ => Err(Error::new(Status::INVALID_PARAMETER, format!("reading the altitude {text:?}"))
                .hint("an altitude is a decimal number like 328010 or 328010.5")),
        }
    }
}

impl From<u32> for Altitude {
    fn from(whole: u32) -> Self {
        Self { whole: whole.into(), fraction: String::new() }
    }
}

impl fmt::Display for Altitude {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let point = if self.fraction.is_empty() { "" } else { "." };
        write!(f, "{}{point}{}", self.whole, self.fraction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_ordered_as_numbers() {
        let rising = ["0", "9", "10", "328010", "328010.05", "328010.5", "328010.51", "328011"];
        let parsed: Vec<_> = rising.iter().map(|text| Altitude::parse(text).unwrap()).collect();
        assert!(parsed.is_sorted());
        assert_eq!(parsed.iter().map(ToString::to_string).collect::<Vec<_>>(), rising);
        assert_eq!(Altitude::parse("7.500").unwrap(), Altitude::parse("7.5").unwrap());
        assert_eq!(Altitude::parse("7.0").unwrap(), Altitude::from(7));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", ".", "1.", ".5", "-1", "+1", "1e3", "1.2.3", " 1", "99999999999999999999999"] {
            assert_eq!(Altitude::parse(text).unwrap_err().status(), Status::INVALID_PARAMETER, "{text}");
        }
    }
}
