//! The four calls of communication ports.

use std::cell::RefCell;
use std::ffi::c_void;

use abi::file::{self, INHERIT, Pending, Reference, SYNCHRONOUS};
use abi::{Error, Handle, Overlapped, pointer};
use fltport::internal::lock;
use fltport::{Connection, Received, Timeout};
use proto::status::Status;
use sys::guarded;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::header::{HEADER, Header};
use crate::hresult::{Failure, hresult};
use crate::port::{Port, capacity};

const FLT_PORT_FLAG_SYNC_HANDLE: u32 = 1;
/// What FilterGetMessage needs of a handle, and what the other calls do.
const FILE_READ_DATA: u32 = 1;
const FILE_WRITE_DATA: u32 = 2;
const SYNCHRONIZE: u32 = 0x0010_0000;
/// The longest name that a UNICODE_STRING holds.
const LONGEST_NAME: usize = 32_766;
/// A reply's address is a multiple of this.
const REPLY_ALIGNMENT: usize = 4;

/// SECURITY_ATTRIBUTES. A connection has no name, and so its descriptor keeps no process out.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct SecurityAttributes {
    length: u32,
    padding: u32,
    descriptor: usize,
    inherit: i32,
    padding_2: u32,
}

#[unsafe(no_mangle)]
unsafe extern "C" fn FilterConnectCommunicationPort(
    name: *const u16,
    options: u32,
    context: *const c_void,
    context_len: u16,
    attributes: *const SecurityAttributes,
    handle: *mut Handle,
) -> u32 {
    hresult(|| {
        // SAFETY: the program wants a handle there.
        unsafe { pointer::write(handle, &Handle::INVALID) }?;
        if options & !FLT_PORT_FLAG_SYNC_HANDLE != 0 || context.is_null() != (context_len == 0) {
            return Err(Error::INVALID_PARAMETER.into());
        }
        if name.is_null() {
            return Err(Status::OBJECT_NAME_INVALID.into());
        }
        let name = pointer::read_wide(name, LONGEST_NAME)?;
        let name = String::from_utf16(&name).map_err(|_| Status::OBJECT_NAME_INVALID)?;
        let context = pointer::read_array::<u8, 256>(context.cast(), context_len.into())?;
        let inherit = !attributes.is_null() && pointer::read(attributes)?.inherit != 0;
        let connection = Connection::connect(&name, &context)?;
        let synchronous = options & FLT_PORT_FLAG_SYNC_HANDLE != 0;
        let mut flags = 0;
        flags |= if inherit { INHERIT } else { 0 };
        flags |= if synchronous { SYNCHRONOUS } else { 0 };
        let port = Port::new(connection, synchronous);
        let created = file::create(port, FILE_READ_DATA | FILE_WRITE_DATA | SYNCHRONIZE, flags)?;
        // SAFETY: as above.
        let told = unsafe { pointer::write(handle, &created) };
        if told.is_err() {
            file::close::<Port>(created)?;
        }
        Ok(told?)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn FilterGetMessage(port: Handle, buffer: *mut u8, len: u32, overlapped: *mut Overlapped) -> u32 {
    hresult(|| {
        let port = Reference::<Port>::new(port, FILE_READ_DATA)?;
        let len = len as usize;
        if buffer.is_null() || len == 0 {
            return Err(Status::INVALID_PARAMETER.into());
        }
        guarded::probe(buffer as usize, len).map_err(Error::from)?;
        if overlapped.is_null() {
            let _one = port.synchronous.then(|| lock(&port.receiving));
            // SAFETY: where the program wants the message.
            let (status, _) = unsafe { receive(&port, buffer, len) }?;
            return if status == Status::SUCCESS { Ok(()) } else { Err(status.into()) };
        }
        // SAFETY: where the program wants the message and its end told, until the request has ended.
        let begun = unsafe { port.begin(overlapped, buffer, len) }?;
        if port.synchronous {
            // SAFETY: never started: it ends here.
            let pending = unsafe { Pending::of(begun.token()) };
            begun.started();
            let _one = lock(&port.receiving);
            // SAFETY: where the program wants the message.
            let (status, information) =
                unsafe { receive(&port, buffer, len) }.unwrap_or_else(|failure| match failure {
                    Failure::Status(status) => (status, 0),
                    Failure::Win32(_) => (Status::UNSUCCESSFUL, 0),
                });
            pending.complete(status, information);
            return if status == Status::SUCCESS { Ok(()) } else { Err(status.into()) };
        }
        if let Some(message) = port.take_returned() {
            // SAFETY: started, and told this once.
            let pending = unsafe { Pending::of(begun.token()) };
            begun.started();
            port.complete(pending, Ok(Received::Message(message)));
        } else {
            port.completions.post(begun.token(), capacity(len))?;
            begun.started();
        }
        Err(Status::PENDING.into())
    })
}

/// Waits for a message, and what came of it.
///
/// # Safety
/// As [`Port::deliver`].
unsafe fn receive(port: &Port, buffer: *mut u8, len: usize) -> Result<(Status, usize), Failure> {
    let received = match port.take_returned() {
        Some(message) => Received::Message(message),
        None => {
            let received = port.connection.recv_limited(capacity(len), Timeout::Never)?;
            received.ok_or(Status::PORT_DISCONNECTED)?
        }
    };
    // SAFETY: as of our caller.
    Ok(unsafe { port.deliver(received, buffer, len) })
}

thread_local! {
    /// What passes through on its way to or from a program's memory.
    static PASSING: RefCell<Passing> = const { RefCell::new(Passing { input: Vec::new(), output: Vec::new() }) };
}

#[derive(Default)]
struct Passing {
    input: Vec<u8>,
    output: Vec<u8>,
}

/// A longer buffer than this is not kept for the next call.
const KEPT: usize = 1 << 20;

impl Passing {
    /// Uses this thread's.
    fn with<T>(with: impl FnOnce(&mut Self) -> T) -> T {
        let mut with = Some(with);
        let mut apply = |passing: &mut Self| with.take().map(|with| with(passing));
        let applied = PASSING.try_with(|passing| match passing.try_borrow_mut() {
            Ok(mut passing) => {
                let result = apply(&mut passing);
                passing.shrink();
                result
            }
            // a callback of this thread's own filter calls
            Err(_) => apply(&mut Self::default()),
        });
        let applied = applied.unwrap_or_else(|_| apply(&mut Self::default()));
        let Some(result) = applied else { unreachable!("applied once") };
        result
    }

    fn shrink(&mut self) {
        for buffer in [&mut self.input, &mut self.output] {
            if buffer.capacity() > KEPT {
                *buffer = Vec::new();
            }
        }
    }
}

/// The first `len` bytes of a buffer that is made long enough; whatever is in them.
fn room(buffer: &mut Vec<u8>, len: usize) -> Result<&mut [u8], Status> {
    if buffer.len() < len {
        buffer.try_reserve_exact(len - buffer.len()).map_err(|_| Status::INSUFFICIENT_RESOURCES)?;
        buffer.resize(len, 0);
    }
    Ok(&mut buffer[..len])
}

#[unsafe(no_mangle)]
unsafe extern "C" fn FilterSendMessage(
    port: Handle,
    input: *const c_void,
    input_len: u32,
    output: *mut c_void,
    output_len: u32,
    returned: *mut u32,
) -> u32 {
    hresult(|| {
        let port = Reference::<Port>::new(port, FILE_WRITE_DATA)?;
        // SAFETY: the program wants a number there.
        unsafe { pointer::write(returned, &0) }?;
        if input.is_null() || input_len == 0 {
            return Err(Status::INVALID_PARAMETER.into());
        }
        let output_len = if output.is_null() { 0 } else { output_len as usize };
        guarded::probe(output as usize, output_len).map_err(Error::from)?;
        Passing::with(|passing| {
            let request = room(&mut passing.input, input_len as usize)?;
            guarded::read(input as usize, request).map_err(Error::from)?;
            let room = room(&mut passing.output, output_len)?;
            let answer = port.connection.request(request, room)?;
            if answer.status.is_error() {
                return Err(Failure::Status(answer.status));
            }
            let there = &room[..answer.len.min(output_len)];
            // SAFETY: where the program wants the answer.
            unsafe { guarded::write(output as usize, there) }.map_err(Error::from)?;
            // SAFETY: as above.
            unsafe { pointer::write(returned, &(answer.len as u32)) }?;
            if answer.status == Status::SUCCESS { Ok(()) } else { Err(answer.status.into()) }
        })
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn FilterReplyMessage(port: Handle, reply: *const u8, len: u32) -> u32 {
    hresult(|| {
        let port = Reference::<Port>::new(port, FILE_WRITE_DATA)?;
        let len = len as usize;
        if reply.is_null() || len < HEADER {
            return Err(Status::INVALID_PARAMETER.into());
        }
        if !(reply as usize).is_multiple_of(REPLY_ALIGNMENT) {
            return Err(Status::DATATYPE_MISALIGNMENT.into());
        }
        let header: Header = pointer::read(reply.cast())?;
        Passing::with(|passing| {
            let payload = room(&mut passing.input, len - HEADER)?;
            guarded::read(reply as usize + HEADER, payload).map_err(Error::from)?;
            port.connection.reply(header.id, Status(header.length), payload)?;
            Ok(())
        })
    })
}
