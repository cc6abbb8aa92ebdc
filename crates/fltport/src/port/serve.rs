//! What a filter does with its port's connections: its three callbacks.

use proto::status::Status;

use super::client::Client;
use super::process::Process;
use crate::response::Response;

/// What a filter does with its port's connections. One value serves all connections, from many threads at once.
///
/// ```no_run
/// use fltport::{Client, Port, PortOptions, Process, Response, Serve, Status};
///
/// struct Counter;
///
/// impl Serve for Counter {
///     type Session = std::sync::atomic::AtomicU64;
///
///     fn connect(&self, _: &Client, context: &[u8]) -> Result<Self::Session, Status> {
///         if context == b"v1" { Ok(Self::Session::default()) } else { Err(Status::REVISION_MISMATCH) }
///     }
///
///     fn message(&self, session: &Self::Session, _: &Process, _: &[u8], output: &mut [u8]) -> Response {
///         let n = session.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
///         let Some(room) = output.get_mut(..8) else { return Status::BUFFER_TOO_SMALL.into() };
///         room.copy_from_slice(&n.to_le_bytes());
///         Response::from(8)
///     }
/// }
///
/// # fn main() -> Result<(), fltport::Error> {
/// let port = Port::create(r"\CounterPort", PortOptions::default(), Counter)?;
/// # Ok(()) }
/// ```
pub trait Serve: Send + Sync + 'static {
    /// What the filter keeps for one connection: Windows' connection cookie, freed by itself.
    #[doc(alias = "ConnectionPortCookie")]
    type Session: Send + Sync + 'static;

    /// A client that has the right to do so connects, with up to 65,511 bytes of context. Runs on a thread of the
    /// library; the client waits for it. It may block; other connects go on. The client has no handle yet, so a message
    /// sent to it here waits until its timeout.
    ///
    /// The context is there during the call only; a filter that needs it later copies it. This does not compile:
    ///
    /// ```compile_fail
    /// # use fltport::{Client, Serve, Status};
    /// struct Keeper(std::sync::Mutex<Vec<&'static [u8]>>);
    ///
    /// impl Serve for Keeper {
    ///     type Session = ();
    ///     fn connect(&self, _: &Client, context: &[u8]) -> Result<(), Status> {
    ///         self.0.lock().unwrap().push(context);
    ///         Ok(())
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// The status that the client's connect returns. A status of success severity refuses too, as
    /// [`Status::INVALID_PARAMETER`], because there is no session to go on with.
    #[doc(alias("ConnectNotify", "PFLT_CONNECT_NOTIFY"))]
    fn connect(&self, client: &Client, context: &[u8]) -> Result<Self::Session, Status>;

    /// The client sends: `input` has at least one byte, `output` is zeroed room of the size that the client gave; `from`
    /// is the process that does, which another may have given the connection to. Runs on a thread of the library,
    /// several at a time, and may block. A panic answers [`Status::INTERNAL_ERROR`].
    #[doc(alias("MessageNotify", "PFLT_MESSAGE_NOTIFY"))]
    fn message(&self, session: &Self::Session, from: &Process, input: &[u8], output: &mut [u8]) -> Response {
        let _ = (session, from, input, output);
        Status::INVALID_DEVICE_REQUEST.into()
    }

    /// The connection has ended. Called once for each accepted connection, when no `message` of it runs any more and
    /// all waiting sends have been released. Its place among the port's connections is free when this returns.
    #[doc(alias("DisconnectNotify", "PFLT_DISCONNECT_NOTIFY"))]
    fn disconnect(&self, session: Self::Session) {
        drop(session);
    }
}
