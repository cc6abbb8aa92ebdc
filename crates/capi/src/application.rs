//! The application's end: connections and messages.

use std::ffi::{c_char, c_int, c_void};
use std::os::fd::AsRawFd;
use std::ptr::null;
use std::sync::Arc;

use fltport::internal::Polled;
use fltport::{Connection, Error, Message, Status};

use crate::memory::{bytes, room, string, timeout};
use crate::result::{invalid, result, status};

/// A connection; C programs know its address.
type Application = Polled;

/// A message as a C program reads it, and as we know it.
#[repr(C)]
struct ReceivedMessage {
    id: u64,
    body: *const u8,
    len: usize,
    reply_capacity: i64,
    file: c_int,
    message: Message,
}

impl ReceivedMessage {
    fn new(message: Message) -> Box<Self> {
        let mut received = Box::new(Self {
            id: message.id(),
            body: null(),
            len: message.body().len(),
            reply_capacity: message.reply_capacity().map_or(-1, |capacity| capacity as i64),
            file: message.file().map_or(-1, AsRawFd::as_raw_fd),
            message,
        });
        // a short body lies in the message itself, which moves no more
        received.body = received.message.body().as_ptr();
        received
    }
}

/// Puts a new object where a C program wants its address.
///
/// # Safety
/// Null, or the program's.
pub(crate) unsafe fn give<T>(to: *mut *const T, make: impl FnOnce() -> Result<Arc<T>, Error>) -> Result<(), Error> {
    if to.is_null() {
        return Err(invalid("giving a handle").hint("the place for it is NULL"));
    }
    // SAFETY: as of our caller.
    unsafe { to.write(null()) };
    let made = make()?;
    // SAFETY: as of our caller.
    unsafe { to.write(Arc::into_raw(made)) };
    Ok(())
}

/// What a C program names by its address.
///
/// # Safety
/// Null, or what [`give`] gave and nothing has closed.
pub(crate) unsafe fn named<'a, T>(at: *const T, what: &str) -> Result<&'a T, Error> {
    // SAFETY: as of our caller.
    unsafe { at.as_ref() }.ok_or_else(|| invalid(what).hint("the handle is NULL"))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fltmgr_connect(
    name: *const c_char,
    context: *const c_void,
    context_len: usize,
    connection: *mut *const Application,
) -> i32 {
    result(|| {
        let make = || {
            // SAFETY: a string and bytes of the program's.
            let name = unsafe { string(name, "the port's name") }?;
            // SAFETY: as above.
            let context = unsafe { bytes(context, context_len, "the context") }?;
            let connection = Connection::connect(name, context)?;
            Ok(Arc::new(Polled::new(connection)))
        };
        // SAFETY: the program wants a connection there.
        unsafe { give(connection, make) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fltmgr_descriptor(connection: *const Application, descriptor: *mut c_int) -> i32 {
    result(|| {
        // SAFETY: a connection of the program's.
        let application = unsafe { named(connection, "polling a connection") }?;
        if descriptor.is_null() {
            return Err(invalid("polling a connection").hint("the place for the descriptor is NULL"));
        }
        let fd = application.descriptor()?;
        // SAFETY: the program wants a descriptor there.
        unsafe { descriptor.write(fd.as_raw_fd()) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fltmgr_recv(
    connection: *const Application,
    milliseconds: c_int,
    message: *mut *mut ReceivedMessage,
) -> i32 {
    result(|| {
        // SAFETY: a connection of the program's.
        let application = unsafe { named(connection, "receiving") }?;
        if message.is_null() {
            return Err(invalid("receiving").hint("the place for the message is NULL"));
        }
        let received = application.receive(timeout(milliseconds))?.ok_or_else(|| {
            let doing = format!("receiving from {}", application.connection().name());
            Error::new(Status::TIMEOUT, doing).hint("no message came in time")
        })?;
        let received = Box::into_raw(ReceivedMessage::new(received));
        // SAFETY: the program wants a message there.
        unsafe { message.write(received) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fltmgr_reply(
    message: *mut ReceivedMessage,
    code: c_int,
    payload: *const c_void,
    len: usize,
) -> i32 {
    result(|| {
        if message.is_null() {
            return Err(invalid("replying").hint("the message is NULL"));
        }
        // SAFETY: bytes of the program's.
        let payload = unsafe { bytes(payload, len, "the reply") }?;
        // SAFETY: a message that `fltmgr_recv` gave; it is used up here.
        let received = unsafe { Box::from_raw(message) };
        received.message.reply(status(code), payload)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fltmgr_message_free(message: *mut ReceivedMessage) {
    result(|| {
        if !message.is_null() {
            // SAFETY: a message that `fltmgr_recv` gave; it is used up here.
            drop(unsafe { Box::from_raw(message) });
        }
        Ok(())
    });
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fltmgr_send(
    connection: *const Application,
    input: *const c_void,
    input_len: usize,
    output: *mut c_void,
    output_len: *mut usize,
) -> i32 {
    result(|| {
        // SAFETY: a connection of the program's.
        let application = unsafe { named(connection, "sending") }?;
        // SAFETY: bytes of the program's.
        let input = unsafe { bytes(input, input_len, "what is sent") }?;
        // SAFETY: null, or a number of the program's.
        let capacity = unsafe { output_len.as_ref() }.copied().unwrap_or(0);
        // SAFETY: room of the program's.
        let output = unsafe { room(output, capacity, "the answer") }?;
        let answer = application.connection().request(input, output)?;
        if !output_len.is_null() {
            // SAFETY: as above.
            unsafe { output_len.write(answer.len) };
        }
        match answer.status {
            Status::SUCCESS => Ok(()),
            status => Err(Error::new(status, format!("sending to {}", application.connection().name()))),
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fltmgr_close(connection: *const Application) {
    result(|| {
        if !connection.is_null() {
            // SAFETY: what `fltmgr_connect` gave; the program uses it no more.
            let application = unsafe { Arc::from_raw(connection) };
            application.connection().disconnect();
        }
        Ok(())
    });
}
