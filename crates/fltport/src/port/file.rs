//! Files that travel with messages.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use crate::pool;

/// A file that travels with a message, as long as the message is on its way. To close it may block for ever, where it lies
/// on a file system that does not answer: the last owner here leaves that to a thread which may, of which the user of the
/// connection has a share.
pub(super) struct MessageFile {
    /// There until this is dropped.
    file: Option<Arc<OwnedFd>>,
    user: u32,
}

impl MessageFile {
    pub(super) fn new(file: Arc<OwnedFd>, user: u32) -> Self {
        Self { file: Some(file), user }
    }

    pub(super) fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_ref().map(|file| file.as_fd())
    }
}

impl Drop for MessageFile {
    fn drop(&mut self) {
        if let Some(last) = self.file.take().and_then(Arc::into_inner) {
            pool::CLOSES.run_for(self.user, move || drop(last));
        }
    }
}
