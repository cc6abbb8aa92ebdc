//! What a communication port does to the operating system: memory, sockets, waking, event sources.
//!
//! Internal to [`fltmgr`](https://docs.rs/fltmgr): no promise of stability. The only crate with `unsafe` that touches
//! the system; every block names its invariant.

#[cfg(feature = "sources")]
pub mod actor;
pub mod clock;
pub mod descriptors;
#[cfg(feature = "sources")]
pub mod fanotify;
pub mod fork;
pub mod futex;
pub mod guarded;
pub mod host_end;
pub mod library;
pub mod memory;
pub mod peer;
#[cfg(feature = "sources")]
pub mod probe;
#[cfg(feature = "sources")]
pub mod process;
#[cfg(feature = "sources")]
pub mod proxy;
#[cfg(feature = "sources")]
pub mod seccomp;
pub mod socket;
