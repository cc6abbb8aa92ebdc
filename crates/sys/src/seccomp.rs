//! System calls that wait for another process: the raw calls of seccomp(2) and seccomp_unotify(2).
//!
//! [`install_before_exec`] has a command install a seccomp program and hand over its [`Listener`], which gives each call
//! that waits as a [`Notification`] and answers it. Which calls wait, and what is answered, is decided elsewhere.

mod install;
mod listener;

pub use install::{Handover, install_before_exec};
pub use listener::{Listener, Notification};
