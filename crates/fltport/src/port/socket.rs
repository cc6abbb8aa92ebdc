//! The host's sockets to its clients.

use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd};

use sys::host_end::HostEnd;

use crate::pool;

/// The host's end of a socket to a client. To close one in which something of the client's may lie can block for ever:
/// that is left to a thread which may, and of which the client's user has a share.
#[derive(Debug)]
pub(super) struct ClientSocket {
    /// There until this is dropped.
    end: Option<HostEnd>,
    user: u32,
}

impl ClientSocket {
    pub(super) fn new(end: HostEnd, user: u32) -> Self {
        Self { end: Some(end), user }
    }
}

impl Deref for ClientSocket {
    type Target = HostEnd;

    fn deref(&self) -> &HostEnd {
        let Some(end) = &self.end else { unreachable!("there until this is dropped") };
        end
    }
}

impl AsFd for ClientSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        (**self).as_fd()
    }
}

impl Drop for ClientSocket {
    fn drop(&mut self) {
        match self.end.take() {
            Some(end) if !end.is_harmless() => pool::CLOSES.run_for(self.user, move || drop(end)),
            harmless => drop(harmless),
        }
    }
}
