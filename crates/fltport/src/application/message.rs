//! A message, and its one reply.

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use proto::client::ReplyTo;
use proto::status::Status;
use smallvec::SmallVec;
use sys::clock;

use super::attachment::Attachment;
use crate::Error;

/// A body: short ones need no allocation.
pub(super) type Body = SmallVec<[u8; 64]>;

/// A message from the filter, copied into this process.
///
/// If the filter waits for a reply, it waits until [`Message::reply`] is called, until its own timeout, or until the
/// connection ends. A message that is dropped unanswered is answered with [`Status::CANCELLED`], so that a forgotten
/// one never holds a program up; [`Message::detach`] leaves the filter waiting, for an answer by id.
#[doc(alias("FILTER_MESSAGE_HEADER", "FilterGetMessage"))]
pub struct Message {
    pub(super) attachment: Arc<Attachment>,
    pub(super) body: Body,
    pub(super) id: u64,
    pub(super) reply_to: Option<ReplyTo>,
    pub(super) deadline: u64,
    pub(super) file: Option<OwnedFd>,
}

impl Message {
    /// What the filter sent, without any header.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The message's id: 1, 2, 3… among those of this connection that want a reply; 0 when none is wanted.
    #[doc(alias = "MessageId")]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// How many bytes of reply the filter has room for; `None` when it wants no reply. (Windows' ReplyLength is this
    /// plus 16 for the reply's header.)
    #[doc(alias = "ReplyLength")]
    pub fn reply_capacity(&self) -> Option<usize> {
        self.reply_to.map(|to| to.capacity as usize)
    }

    /// How long the filter will still wait for the reply; `None` when it set no limit.
    pub fn time_left(&self) -> Option<Duration> {
        (self.deadline != 0).then(|| Duration::from_nanos(self.deadline).saturating_sub(clock::monotonic()))
    }

    /// Whether the filter still waits for the reply: neither its time is over, nor has another replied, nor has the
    /// connection ended. One that works on an answer for long asks now and then, and stops when the answer would come for
    /// nothing. It costs some reads of memory.
    ///
    /// ```no_run
    /// # fn look(_: &[u8]) -> bool { false }
    /// # fn main() -> Result<(), fltport::Error> {
    /// use std::io::Read;
    /// use std::fs::File;
    ///
    /// use fltport::{Connection, Status};
    ///
    /// let port = Connection::connect(r"\ScannerPort", b"")?;
    /// let mut message = port.recv()?;
    /// let mut file = message.take_file().map(File::from).expect("a file to look into");
    /// let (mut piece, mut foul) = (vec![0; 1 << 16], false);
    /// while message.is_waited_for() && !foul {
    ///     match file.read(&mut piece) {
    ///         Ok(0) => break,
    ///         Ok(length) => foul = look(&piece[..length]),
    ///         Err(_) => foul = true,
    ///     }
    /// }
    /// // Fails, and does nothing, if the filter has given up.
    /// let _ = message.reply(Status::SUCCESS, &[u8::from(!foul)]);
    /// # Ok(()) }
    /// ```
    pub fn is_waited_for(&self) -> bool {
        self.reply_to.is_some_and(|to| self.attachment.is_waited_for(to))
    }

    /// The file that came with the message: open, readable, and not asked about when it is read.
    pub fn file(&self) -> Option<&OwnedFd> {
        self.file.as_ref()
    }

    /// Takes the file that came with the message.
    pub fn take_file(&mut self) -> Option<OwnedFd> {
        self.file.take()
    }

    /// Answers. `status` is what the filter's send returns, and `payload` what it finds in its reply buffer. Does not
    /// wait for the filter, except to stream a payload of more than 64 KiB, and, with one of more than 104 bytes, for a
    /// place where all 64 of a connection are in use, by receives, requests and such replies.
    ///
    /// As on Windows, the end of a connection wins over a reply that the filter has not yet picked up: an application
    /// that replies and closes the last handle at once may leave the filter without an answer.
    ///
    /// # Errors
    /// [`Status::FLT_NO_WAITER_FOR_REPLY`]: the filter wants no reply, or has given up, or another has replied.
    /// [`Status::BUFFER_OVERFLOW`]: the payload was longer than the filter's buffer; the filter got what fits, and the
    /// same status. [`Status::PORT_DISCONNECTED`]: the connection ended while a long payload was on its way.
    #[doc(alias("FilterReplyMessage", "FILTER_REPLY_HEADER"))]
    pub fn reply(mut self, status: Status, payload: &[u8]) -> Result<(), Error> {
        let to = self.reply_to.take();
        self.attachment.reply(self.id, to, status, payload)
    }

    /// As [`Message::reply`]; `None`, and nothing done, where it would have to wait.
    #[cfg(feature = "async")]
    pub(crate) fn reply_at_once(&mut self, status: Status, payload: &[u8]) -> Option<Result<(), Error>> {
        let replied = self.attachment.reply_at_once(self.id, self.reply_to, status, payload)?;
        self.reply_to = None;
        Some(replied)
    }

    /// Leaves the filter waiting, and gives the id for [`super::Connection::reply`].
    pub fn detach(mut self) -> u64 {
        self.reply_to = None;
        self.id
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        if let Some(to) = self.reply_to.take() {
            self.attachment.refuse(self.id, to, Status::CANCELLED);
        }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("id", &self.id)
            .field("len", &self.body.len())
            .field("reply_capacity", &self.reply_capacity())
            .finish_non_exhaustive()
    }
}
