//! Real programs under supervision. Everything here passes as root and as an ordinary user.

mod callers;
mod changes;
mod errors;
mod lives;
mod mounts;
mod openat2;
mod opens;
mod others;
mod probe;
mod world;

pub(crate) use probe::play;
