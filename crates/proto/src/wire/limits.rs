//! The version of the protocol, and how long its messages' parts may be.

/// The version of the protocol: of these messages, and of the layout of the memory that a Welcome brings.
pub const VERSION: u16 = 1;

/// The longest connection context, in bytes: 65,511 as on Windows.
pub const MAX_CONTEXT_LEN: usize = 65_511;

/// The longest sentence of a refusal, in bytes.
pub const MAX_SENTENCE_LEN: usize = 512;

/// The longest SDDL text in an [`super::Info`], in bytes.
pub const MAX_SDDL_LEN: usize = 65_535;

/// The most processes that [`super::Info`] names.
pub const MAX_PROCESSES: usize = 1024;
