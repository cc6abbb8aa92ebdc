//! Messages as a stream, and calls as futures (feature `async`). They need no runtime of a certain kind: whatever polls
//! futures is woken by the thread that watches.
//!
//! Dropping a future or the stream loses nothing: a message is taken out of the connection only in the poll that
//! returns it, and one that was delivered to a dropped stream is answered as a [`Message`] that is dropped.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_core::{FusedStream, Stream};
use proto::status::Status;

use super::async_requests::AsyncRequests;
use super::completions::Completions;
use super::connection::Connection;
use super::message::Message;
use super::receive::Received;
use crate::response::Response;
use crate::{Error, pool};

impl Connection {
    /// The messages as a stream, with `depth` receives posted: 1 to 1,024, which all receivers of a connection share.
    ///
    /// ```no_run
    /// # async fn serve() -> Result<(), fltport::Error> {
    /// use fltport::{Connection, Status};
    ///
    /// let port = Connection::connect(r"\ScannerPort", b"")?;
    /// let mut messages = port.messages(8)?;
    /// loop {
    ///     let message = messages.recv().await?;
    ///     let clean = !message.body().ends_with(b".virus");
    ///     message.reply_async(Status::SUCCESS, vec![clean.into()]).await?;
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Status::INVALID_PARAMETER`] for another depth; [`Status::PORT_DISCONNECTED`]; [`Status::INVALID_HANDLE`] after
    /// a fork; [`Status::INSUFFICIENT_RESOURCES`]: no thread to watch.
    pub fn messages(&self, depth: usize) -> Result<Messages, Error> {
        if !(1..=proto::slots::GETS).contains(&depth) {
            return Err(Error::new(Status::INVALID_PARAMETER, format!("posting {depth} receives"))
                .hint(format!("1 to {} can be posted", proto::slots::GETS)));
        }
        let completions = self.completions();
        for token in 0..depth as u64 {
            completions.post(token, usize::MAX)?;
        }
        completions.tell()?;
        Ok(Messages { completions, over: false })
    }

    /// As [`Connection::send`], with room for `capacity` bytes of output. The call is made on a thread of the library's
    /// when the future is first polled; dropping the future later lets it end there. 16 of a connection's are made at a
    /// time, which is as many as its filter gets; the others wait for their turn, in order.
    ///
    /// # Errors
    /// As [`Connection::send`]; [`Status::INSUFFICIENT_RESOURCES`]: no memory for the output, or no thread.
    pub fn send_async(
        &self,
        input: Vec<u8>,
        capacity: usize,
    ) -> impl Future<Output = Result<Vec<u8>, Error>> + Send + use<> {
        let port = self.clone();
        Call::new(Some(Arc::clone(&self.attachment.requests)), move || {
            let mut output = port.room(capacity)?;
            let len = port.send(&input, &mut output)?;
            output.truncate(len);
            Ok(output)
        })
    }

    /// As [`Connection::request`], with room for `capacity` bytes of output, of which those are returned that the
    /// answer's length covers. Otherwise as [`Connection::send_async`].
    ///
    /// # Errors
    /// As [`Connection::request`]; [`Status::INSUFFICIENT_RESOURCES`]: no memory for the output, or no thread.
    pub fn request_async(
        &self,
        input: Vec<u8>,
        capacity: usize,
    ) -> impl Future<Output = Result<(Response, Vec<u8>), Error>> + Send + use<> {
        let port = self.clone();
        Call::new(Some(Arc::clone(&self.attachment.requests)), move || {
            let mut output = port.room(capacity)?;
            let answer = port.request(&input, &mut output)?;
            output.truncate(answer.len);
            Ok((answer, output))
        })
    }

    /// Memory for an output.
    fn room(&self, capacity: usize) -> Result<Vec<u8>, Error> {
        // tried first, because one that is not there would end the process; and not filled then, because zeros of the
        // kernel's cost nothing until they are written
        Vec::<u8>::new().try_reserve_exact(capacity).map_err(|_| {
            Error::new(Status::INSUFFICIENT_RESOURCES, format!("sending to {}", self.name()))
                .hint(format!("{capacity} bytes of output do not fit into memory"))
        })?;
        Ok(vec![0; capacity])
    }
}

impl Message {
    /// As [`Message::reply`]. The first poll, which never waits, sends a payload of up to 64 KiB; one that is longer, or
    /// finds no window because others use them all, is sent by a thread of the library's. Dropped before it is polled,
    /// it answers as the dropped message does.
    ///
    /// # Errors
    /// As [`Message::reply`]; [`Status::INSUFFICIENT_RESOURCES`]: no thread, and the message is dropped.
    pub async fn reply_async(mut self, status: Status, payload: Vec<u8>) -> Result<(), Error> {
        match self.reply_at_once(status, &payload) {
            Some(replied) => replied,
            None => Call::new(None, move || self.reply(status, &payload)).await,
        }
    }
}

/// The messages of a connection, from [`Connection::messages`]. Counts as a handle to it.
///
/// It gives [`Status::CANCELLED`] for each receive that [`Connection::cancel_receives`] ends, and goes on; it ends
/// after [`Status::PORT_DISCONNECTED`]. A body of more than 64 KiB is read in the poll that returns it, at the filter's
/// pace.
#[derive(Debug)]
#[must_use]
pub struct Messages {
    completions: Completions,
    over: bool,
}

impl Messages {
    /// The next message, as a future that may be dropped at any time.
    ///
    /// # Errors
    /// [`Status::PORT_DISCONNECTED`], [`Status::CANCELLED`].
    pub async fn recv(&mut self) -> Result<Message, Error> {
        let next = std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await;
        match next {
            Some(result) => result,
            None => Err(Error::new(Status::PORT_DISCONNECTED, "receiving from a stream that has ended")),
        }
    }
}

impl Stream for Messages {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.over {
            return Poll::Ready(None);
        }
        loop {
            let completed = match self.completions.poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(completed)) => completed,
                Poll::Ready(Err(error)) => {
                    self.over = true;
                    return Poll::Ready(Some(Err(error)));
                }
            };
            // it fails only when the connection is gone, which is told when everything that was delivered has been
            let _ = self.completions.post(completed.token, usize::MAX);
            match completed.result {
                Ok(Received::Message(message)) => return Poll::Ready(Some(Ok(message))),
                // nothing is larger than everything
                Ok(Received::TooSmall { .. }) => {}
                Err(error) if error.status() == Status::PORT_DISCONNECTED => {}
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }
}

impl FusedStream for Messages {
    fn is_terminated(&self) -> bool {
        self.over
    }
}

/// A call that blocks, made on a thread of the library's when it is first polled.
struct Call<F, T> {
    /// Among which requests it has its turn; `None`: it is a reply, for which such requests may wait.
    requests: Option<Arc<AsyncRequests>>,
    call: Option<F>,
    shared: Arc<Mutex<Shared<T>>>,
}

struct Shared<T> {
    result: Option<std::thread::Result<Result<T, Error>>>,
    waker: Option<Waker>,
}

impl<F: FnOnce() -> Result<T, Error> + Send + Unpin + 'static, T: Send + 'static> Call<F, T> {
    fn new(requests: Option<Arc<AsyncRequests>>, call: F) -> Self {
        Self { requests, call: Some(call), shared: Arc::new(Mutex::new(Shared { result: None, waker: None })) }
    }
}

impl<F: FnOnce() -> Result<T, Error> + Send + Unpin + 'static, T: Send + 'static> Future for Call<F, T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let waker = context.waker().clone();
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(result) = shared.result.take() {
            return Poll::Ready(result.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        let old = shared.waker.replace(waker);
        drop(shared);
        drop(old);
        if let Some(call) = self.call.take() {
            let pool = if self.requests.is_some() { &pool::REQUESTS } else { &pool::REPLIES };
            if let Err(error) = pool.start() {
                return Poll::Ready(Err(Error::with_source(Status::INSUFFICIENT_RESOURCES, "making a call", error)
                    .hint("no thread to make it on")));
            }
            let shared = Arc::clone(&self.shared);
            let job = move || {
                let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(call));
                let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
                shared.result = Some(result);
                let waker = shared.waker.take();
                drop(shared);
                if let Some(waker) = waker {
                    waker.wake();
                }
            };
            match &self.requests {
                Some(requests) => requests.run(Box::new(job)),
                None => pool.run(job),
            }
        }
        Poll::Pending
    }
}
