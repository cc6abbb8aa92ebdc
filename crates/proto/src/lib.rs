//! What a communication port decides, without doing anything: no I/O, no clock, no `unsafe`.
//!
//! Internal to [`fltmgr`](https://docs.rs/fltmgr): no promise of stability. Bytes, shared words and the time come in as
//! arguments, decisions go out as values, so everything here runs unchanged under loom, Miri and a fuzzer.
#![forbid(unsafe_code)]
// nothing that a peer writes can make this panic, or mean another number than it says
#![cfg_attr(
    not(test),
    warn(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        clippy::indexing_slicing,
        clippy::unwrap_used
    )
)]

pub mod access;
pub mod client;
pub mod descriptor;
pub mod host;
pub mod integrity;
pub mod mask;
pub mod name;
pub mod operation;
pub mod pieces;
pub mod question;
pub mod quota;
pub mod sddl;
pub mod sid;
pub mod slots;
pub mod status;
pub mod sync;
pub mod syntax;
pub mod violation;
pub mod volume;
pub mod wait;
pub mod wire;
