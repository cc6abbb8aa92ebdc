//! Reading text from left to right, and saying where it went wrong.
use crate::status::Status;
use std::fmt;

/// Text that is not what it should be: where, what was expected there, and what stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// Position in the text: bytes before the place. `Display` counts columns from 1.
    pub at: usize,
    /// What was expected or what is wrong, in a few words.
    pub problem: Problem,
}

/// What is wrong at one place of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// Something else should stand here; what does is cut to a few characters, and empty at the end of the text.
    Expected {
        /// What should stand here.
        what: &'static str,
        /// What does.
        found: String,
    },
    /// It is right on Windows, but it has no meaning here: the sentence says which and what to do.
    Unsupported(String),
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: ", self.at + 1)?;
        match &self.problem {
            Problem::Expected { what, found } if found.is_empty() => write!(f, "expected {what}, but the text ends"),
            Problem::Expected { what, found } => write!(f, "expected {what}, found \"{found}\""),
            Problem::Unsupported(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for SyntaxError {}

impl From<SyntaxError> for Status {
    fn from(_: SyntaxError) -> Self {
        Self::INVALID_PARAMETER
    }
}

/// A place in a text. Every reader leaves it where the next one starts.
#[derive(Clone)]
pub(crate) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(crate) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Takes `token` if it stands here, whatever the case of its letters.
    pub(crate) fn eat(&mut self, token: &str) -> bool {
        let matches = self.rest().get(..token.len()).is_some_and(|text| text.eq_ignore_ascii_case(token));
        if matches {
            self.at += token.len();
        }
        matches
    }

    pub(crate) fn expect(&mut self, token: &str, what: &'static str) -> Result<(), SyntaxError> {
        if self.eat(token) { Ok(()) } else { Err(self.expected(what)) }
    }

    /// Takes the longest run of characters that `wanted` accepts.
    pub(crate) fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let taken = &rest[..rest.find(|c| !wanted(c)).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    pub(crate) fn skip_spaces(&mut self) {
        self.take_while(|c| c.is_ascii_whitespace());
    }

    /// A decimal number without leading zeros, which Windows would read as octal.
    pub(crate) fn decimal(&mut self, what: &'static str) -> Result<u64, SyntaxError> {
        let start = self.clone();
        let digits = self.take_while(|c| c.is_ascii_digit());
        let octal = digits.len() > 1 && digits.starts_with('0');
        let number = if octal { None } else { digits.parse().ok() };
        number.ok_or_else(|| start.expected(what))
    }

    /// A decimal number, or a hexadecimal one with 0x.
    pub(crate) fn number(&mut self, what: &'static str) -> Result<u64, SyntaxError> {
        // As many as the longest number has, an authority: what follows it may be the D of "D:".
        const MOST_DIGITS: usize = 12;
        let start = self.clone();
        if !self.eat("0x") {
            return self.decimal(what);
        }
        let rest = self.rest();
        let digits = &rest[..rest.bytes().take(MOST_DIGITS).take_while(u8::is_ascii_hexdigit).count()];
        self.at += digits.len();
        u64::from_str_radix(digits, 16).map_err(|_| start.expected(what))
    }

    /// A decimal number of 32 bits.
    pub(crate) fn decimal_u32(&mut self, what: &'static str) -> Result<u32, SyntaxError> {
        let start = self.clone();
        u32::try_from(self.decimal(what)?).map_err(|_| start.expected(what))
    }

    /// A decimal or hexadecimal number of 32 bits.
    pub(crate) fn number_u32(&mut self, what: &'static str) -> Result<u32, SyntaxError> {
        let start = self.clone();
        u32::try_from(self.number(what)?).map_err(|_| start.expected(what))
    }

    pub(crate) fn end(&self, what: &'static str) -> Result<(), SyntaxError> {
        if self.rest().is_empty() { Ok(()) } else { Err(self.expected(what)) }
    }

    pub(crate) fn expected(&self, what: &'static str) -> SyntaxError {
        const SHOWN: usize = 16;
        let found = self.rest().chars().take(SHOWN).collect();
        SyntaxError { at: self.at, problem: Problem::Expected { what, found } }
    }

    pub(crate) fn unsupported(&self, sentence: impl Into<String>) -> SyntaxError {
        SyntaxError { at: self.at, problem: Problem::Unsupported(sentence.into()) }
    }
}
