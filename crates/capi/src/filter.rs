//! The filter's end: a port, its callbacks, its clients.

use std::ffi::{c_char, c_int, c_void};
use std::os::fd::BorrowedFd;
use std::ptr::null_mut;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};

use fltport::{Client, Error, OutgoingMessage, Port, PortOptions, Process, Response, Serve, Status};

use crate::application::{give, named};
use crate::memory::{bytes, room, string, timeout};
use crate::result::{invalid, result, status};

/// `struct fltmgr_callbacks`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Callbacks {
    connect: Option<unsafe extern "C" fn(*mut c_void, *const Client, *const c_void, usize, *mut *mut c_void) -> c_int>,
    message:
        Option<unsafe extern "C" fn(*mut c_void, *mut c_void, *const c_void, usize, *mut c_void, *mut usize) -> c_int>,
    disconnect: Option<unsafe extern "C" fn(*mut c_void, *mut c_void)>,
}

/// A filter in C: its callbacks, and what it wants them to be called with.
struct Filter {
    callbacks: Callbacks,
    cookie: *mut c_void,
}

// SAFETY: the callbacks are called from many threads, as fltmgr.h says; the cookie is handed to them and not looked at.
unsafe impl Send for Filter {}
// SAFETY: as above.
unsafe impl Sync for Filter {}

/// What a filter keeps for a connection, and the client that its connect callback was given.
struct Session {
    cookie: *mut c_void,
    _client: Arc<Client>,
}

// SAFETY: the cookie is handed to callbacks and not looked at.
unsafe impl Send for Session {}
// SAFETY: as above.
unsafe impl Sync for Session {}

impl Serve for Filter {
    type Session = Session;

    fn connect(&self, client: &Client, context: &[u8]) -> Result<Session, Status> {
        let (client, mut cookie) = (Arc::new(client.clone()), null_mut());
        if let Some(connect) = self.callbacks.connect {
            // SAFETY: a callback of the filter's, with what fltmgr.h says.
            let code = unsafe {
                connect(self.cookie, Arc::as_ptr(&client), context.as_ptr().cast(), context.len(), &raw mut cookie)
            };
            if code != 0 {
                return Err(status(code));
            }
        }
        Ok(Session { cookie, _client: client })
    }

    fn message(&self, session: &Session, _: &Process, input: &[u8], output: &mut [u8]) -> Response {
        let Some(message) = self.callbacks.message else { return Status::INVALID_DEVICE_REQUEST.into() };
        let mut len = output.len();
        let (to, told) = (output.as_mut_ptr().cast(), &raw mut len);
        // SAFETY: as above.
        let code = unsafe { message(self.cookie, session.cookie, input.as_ptr().cast(), input.len(), to, told) };
        Response { status: status(code), len }
    }

    fn disconnect(&self, session: Session) {
        if let Some(disconnect) = self.callbacks.disconnect {
            // SAFETY: as above.
            unsafe { disconnect(self.cookie, session.cookie) };
        }
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fltmgr_port_create(
    name: *const c_char,
    sddl: *const c_char,
    max_connections: u32,
    callbacks: *const Callbacks,
    cookie: *mut c_void,
    port: *mut *const Mutex<Option<Port>>,
) -> i32 {
    result(|| {
        let make = || {
            // SAFETY: a string of the program's.
            let name = unsafe { string(name, "the port's name") }?;
            // SAFETY: callbacks of the program's.
            let callbacks = *unsafe { named(callbacks, "the callbacks") }?;
            let mut options = PortOptions::default().max_connections(max_connections);
            if !sddl.is_null() {
                // SAFETY: a string of the program's.
                let text = unsafe { string(sddl, "the security descriptor") }?;
                let parsed = text.parse().map_err(|error| invalid("the security descriptor").hint(format!("{error}")));
                options = options.security(parsed?);
            }
            let port = Port::create(name, options, Filter { callbacks, cookie })?;
            Ok(Arc::new(Mutex::new(Some(port))))
        };
        // SAFETY: the program wants a port there.
        unsafe { give(port, make) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fltmgr_port_close(port: *const Mutex<Option<Port>>) {
    result(|| {
        if !port.is_null() {
            // SAFETY: what `fltmgr_port_create` gave; the program uses it no more.
            let port = unsafe { Arc::from_raw(port) };
            let taken = port.lock().unwrap_or_else(PoisonError::into_inner).take();
            taken.into_iter().for_each(Port::unload);
        }
        Ok(())
    });
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fltmgr_ask(
    client: *const Client,
    message: *const c_void,
    len: usize,
    file: c_int,
    reply: *mut c_void,
    reply_len: *mut usize,
    milliseconds: c_int,
) -> i32 {
    result(|| {
        // SAFETY: a client that the program has.
        let client = unsafe { named(client, "asking a client") }?;
        // SAFETY: bytes of the program's.
        let message = unsafe { bytes(message, len, "the message") }?;
        // SAFETY: null, or a number of the program's.
        let capacity = unsafe { reply_len.as_ref() }.copied().unwrap_or(0);
        // SAFETY: room of the program's.
        let room = unsafe { room(reply, capacity, "the reply") }?;
        if !reply_len.is_null() {
            // SAFETY: as above.
            unsafe { reply_len.write(0) };
        }
        let (answered, copied) = if file < 0 {
            let answered = client.ask(message, room, timeout(milliseconds))?;
            (answered.status, answered.len)
        } else {
            // SAFETY: a descriptor that the program keeps open meanwhile.
            let file = unsafe { BorrowedFd::borrow_raw(file) };
            let file = file.try_clone_to_owned().map_err(|error| Error::resources("sending a file", error))?;
            let body = message.to_vec();
            let outgoing = OutgoingMessage {
                body,
                reply_len: capacity,
                file: Some(Arc::new(file)),
                timeout: timeout(milliseconds),
            };
            let (done, answer) = sync_channel(1);
            // the receiver waits, so there is room
            client.ask_then(outgoing, move |answered| _ = done.try_send(answered));
            let gone = |_| Error::new(Status::PORT_DISCONNECTED, "asking a client");
            let answered = answer.recv().map_err(gone)??;
            let copied = room.len().min(answered.payload.len());
            room[..copied].copy_from_slice(&answered.payload[..copied]);
            (answered.status, copied)
        };
        if !reply_len.is_null() {
            // SAFETY: as above.
            unsafe { reply_len.write(copied) };
        }
        match answered {
            Status::SUCCESS => Ok(()),
            status => Err(Error::new(status, "asking a client").hint("this is the status of its reply")),
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fltmgr_notify(
    client: *const Client,
    message: *const c_void,
    len: usize,
    milliseconds: c_int,
) -> i32 {
    result(|| {
        // SAFETY: a client that the program has.
        let client = unsafe { named(client, "telling a client") }?;
        // SAFETY: bytes of the program's.
        let message = unsafe { bytes(message, len, "the message") }?;
        client.send(message, timeout(milliseconds))
    })
}

/// Ends the connection. The client stays what it is until it is released.
#[unsafe(no_mangle)]
unsafe extern "C" fn fltmgr_client_close(client: *const Client) {
    result(|| {
        // SAFETY: a client that the program has.
        unsafe { named(client, "closing a client") }?.close();
        Ok(())
    });
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fltmgr_client_retain(client: *const Client) {
    if !client.is_null() {
        // SAFETY: a client that the connect callback was given, which lasts until it is released.
        unsafe { Arc::increment_strong_count(client) };
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fltmgr_client_release(client: *const Client) {
    if !client.is_null() {
        // SAFETY: a client that was retained.
        unsafe { Arc::decrement_strong_count(client) };
    }
}
