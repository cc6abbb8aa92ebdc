//! Receiving with GETs that stay posted.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;

use proto::slots::GETS;
use proto::status::Status;

use super::attachment::Attachment;
use super::connection::Connection;
use super::get::{Get, RECEIVING, Read};
use super::message::Message;
use crate::Error;
use crate::wait::wait;

impl Connection {
    /// Several GETs that stay posted: what a program does that posts buffers ahead of its work. `depth` is 1 to 1,024; all
    /// receivers of a connection share 1,024. Waits until so many are free, and keeps none before.
    ///
    /// # Errors
    /// [`Status::INVALID_PARAMETER`] for another depth; [`Status::PORT_DISCONNECTED`]; [`Status::CANCELLED`], while it
    /// waits.
    pub fn receiver(&self, depth: usize) -> Result<Receiver, Error> {
        self.attachment.check(RECEIVING)?;
        if !(1..=GETS).contains(&depth) {
            return Err(Error::new(Status::INVALID_PARAMETER, format!("posting {depth} receives"))
                .hint(format!("1 to {} can be posted", GETS)));
        }
        let attachment = &self.attachment;
        // without a deadline they are there, or there is an error
        let slots = Get::reserve(attachment, None, || attachment.reserve_gets(depth))?.unwrap_or_default();
        // each is tried: one that cannot be posted gives its slot back
        let gets: Vec<_> = slots.into_iter().map(|slot| Get::post_in(attachment, slot, u64::MAX)).collect();
        Ok(Receiver {
            attachment: Arc::clone(attachment),
            gets: gets.into_iter().collect::<Result<_, _>>()?,
            read: None,
        })
    }
}

/// GETs that stay posted, oldest first. Dropping it takes them back; messages delivered meanwhile are answered as
/// [`Message`]s that are dropped.
#[derive(Debug)]
#[doc(alias("OVERLAPPED", "CreateIoCompletionPort"))]
pub struct Receiver {
    attachment: Arc<Attachment>,
    gets: VecDeque<Get>,
    /// The GET of the last message, read and not posted anew yet.
    read: Option<Get>,
}

impl Receiver {
    /// Waits for a message. The GET that it comes in is posted anew by the next call, so that one fewer is posted while
    /// a message is worked on.
    ///
    /// # Errors
    /// As [`Connection::recv`].
    pub fn recv(&mut self) -> Result<Message, Error> {
        match self.recv_next() {
            Err(end) if end.status() == Status::PORT_DISCONNECTED => self.delivered().ok_or(end),
            received => received,
        }
    }

    /// What was delivered before the connection ended is told before the end.
    fn delivered(&mut self) -> Option<Message> {
        while let Some(index) = self.gets.iter().position(Get::completed) {
            if let Ok(Read::Message(message)) = self.gets.remove(index)?.read() {
                return Some(message);
            }
        }
        None
    }

    fn recv_next(&mut self) -> Result<Message, Error> {
        loop {
            self.attachment.check(RECEIVING)?;
            if let Some(read) = self.read.take() {
                self.gets.push_back(read.again()?);
            }
            let index = match self.next() {
                Err(error) if error.status() == Status::CANCELLED => {
                    self.post_cancelled()?;
                    return Err(error);
                }
                index => index?,
            };
            let Some(mut get) = self.gets.remove(index) else { continue };
            let read = get.read();
            self.read = Some(get);
            if let Read::Message(message) = read? {
                return Ok(message);
            }
        }
    }

    /// Posts anew what was taken back, behind what was not: the oldest must stay in front, because its word is slept
    /// on.
    fn post_cancelled(&mut self) -> Result<(), Error> {
        let (cancelled, posted): (VecDeque<_>, _) = self.gets.drain(..).partition(Get::cancelled);
        self.gets = posted;
        for get in cancelled {
            self.gets.push_back(get.again()?);
        }
        Ok(())
    }

    /// Waits for a GET to complete; its index.
    fn next(&self) -> Result<usize, Error> {
        let Some(front) = self.gets.front() else { return Err(self.attachment.disconnected(RECEIVING)) };
        // GETs are filled oldest first, so the front completes first, unless its filter is slow and another's is not:
        // the others are looked at only before sleeping, because a look fetches a line that a filter is about to fill
        let other = Cell::new(None);
        let cancelled = Cell::new(false);
        let on = front.on();
        let look = || match front.look() {
            Some(true) => Some(Some(0)),
            Some(false) => Some(None),
            None if cancelled.get() => Some(None),
            None => other.get().map(Some),
        };
        let prepare = || {
            // the youngest first: when it is complete, the older ones that were filled before it are seen to be so too
            let completed = |found, (index, get): (_, &Get)| if get.completed() { Some(index) } else { found };
            other.set(self.gets.iter().enumerate().rev().fold(None, completed));
            if other.get().is_some() { None } else { front.prepare(&cancelled) }
        };
        wait(&on, None, look, prepare).flatten().ok_or_else(|| match cancelled.get() {
            true => self.attachment.cancelled(),
            false => self.attachment.disconnected(RECEIVING),
        })
    }
}
