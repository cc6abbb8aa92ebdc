//! OVERLAPPED and completion ports, as programs call them.

use std::sync::Arc;

use abi::{Error, Handle, Overlapped, pointer};
use proto::status::Status;
use sys::clock::Deadline;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::completion_port::{CompletionPort, Packet};
use crate::last_error::{self, handle, succeeds};
use crate::object::Object;
use crate::open_file;
use crate::table::{self, Entry};
use crate::thread;
use crate::wait::{self, SYNCHRONIZE};

/// Every right to a completion port.
const PORT_ALL_ACCESS: u32 = 0x001F_0003;
/// The right to take packets, and that to queue some.
const PORT_MODIFY_STATE: u32 = 2;
/// How many OVERLAPPED_ENTRYs are taken at once.
const MOST_ENTRIES: u32 = 1 << 16;

/// OVERLAPPED_ENTRY.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct OverlappedEntry {
    key: usize,
    overlapped: usize,
    internal: usize,
    bytes: u32,
    padding: u32,
}

impl From<Packet> for OverlappedEntry {
    fn from(packet: Packet) -> Self {
        Self {
            key: packet.key,
            overlapped: packet.overlapped as usize,
            internal: packet.status.0 as usize,
            bytes: packet.bytes,
            padding: 0,
        }
    }
}

#[unsafe(no_mangle)]
extern "C" fn CreateIoCompletionPort(file: Handle, existing: Handle, key: usize, threads: u32) -> Handle {
    handle(|| {
        if file == Handle::INVALID {
            return if existing == Handle::NULL {
                new_port(threads).map(|(port, _)| port)
            } else {
                Err(Error::INVALID_PARAMETER)
            };
        }
        let file = table::typed(file, 0, Object::file)?;
        let (handle, port) = match existing {
            Handle::NULL => new_port(threads)?,
            existing => (existing, table::typed(existing, PORT_MODIFY_STATE, Object::port)?),
        };
        if let Err(error) = file.associate(&port, key) {
            if existing == Handle::NULL {
                table::close(handle, |_| Ok(()))?;
            }
            return Err(error);
        }
        port.add(&file);
        Ok(handle)
    })
}

fn new_port(threads: u32) -> Result<(Handle, Arc<CompletionPort>), Error> {
    let port = Arc::new(CompletionPort::new(threads));
    let object = Object::Port(Arc::clone(&port));
    let handle = table::insert(Entry { object, access: PORT_ALL_ACCESS, inherited: None })?;
    Ok((handle, port))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn PostQueuedCompletionStatus(
    port: Handle,
    bytes: u32,
    key: usize,
    overlapped: *mut Overlapped,
) -> i32 {
    succeeds(|| {
        let port = table::typed(port, PORT_MODIFY_STATE, Object::port)?;
        port.post(Packet { key, overlapped, bytes, status: Status::SUCCESS });
        Ok(())
    })
}

/// Returns FALSE without an OVERLAPPED when there was no packet, and FALSE with one when its request failed.
#[unsafe(no_mangle)]
unsafe extern "C" fn GetQueuedCompletionStatus(
    port: Handle,
    bytes: *mut u32,
    key: *mut usize,
    overlapped: *mut usize,
    milliseconds: u32,
) -> i32 {
    succeeds(|| {
        // SAFETY: no packet is told as none.
        unsafe { pointer::write(overlapped, &0) }?;
        let deadline = wait::deadline(milliseconds);
        let port = table::typed(port, PORT_MODIFY_STATE, Object::port)?;
        let packet = port.next(deadline)?.ok_or(Error::WAIT_TIMEOUT)?;
        // SAFETY: the program wants the packet in these three.
        unsafe { pointer::write(bytes, &packet.bytes) }?;
        // SAFETY: as above.
        unsafe { pointer::write(key, &packet.key) }?;
        // SAFETY: as above.
        unsafe { pointer::write(overlapped, &(packet.overlapped as usize)) }?;
        result(packet.status)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn GetQueuedCompletionStatusEx(
    port: Handle,
    entries: *mut OverlappedEntry,
    count: u32,
    removed: *mut u32,
    milliseconds: u32,
    _alertable: i32,
) -> i32 {
    succeeds(|| {
        // SAFETY: no packet yet.
        unsafe { pointer::write(removed, &0) }?;
        if count == 0 || count > MOST_ENTRIES {
            return Err(Error::INVALID_PARAMETER);
        }
        let deadline = wait::deadline(milliseconds);
        let port = table::typed(port, PORT_MODIFY_STATE, Object::port)?;
        let first = port.next(deadline)?.ok_or(Error::WAIT_TIMEOUT)?;
        let more = port.more(count as usize - 1);
        for (index, packet) in std::iter::once(first).chain(more.iter().copied()).enumerate() {
            // SAFETY: the program has room for `count` of them.
            unsafe { pointer::write(entries.wrapping_add(index), &packet.into()) }?;
        }
        // SAFETY: the program wants the number there.
        unsafe { pointer::write(removed, &(more.len() as u32 + 1)) }
    })
}

/// The error of a request that ended with `status`.
fn result(status: Status) -> Result<(), Error> {
    if status.is_success_severity() { Ok(()) } else { Err(status.into()) }
}

/// Completes what has ended on a file; on all of them, when the handle is no file's: a program may name its completion
/// port instead.
fn collect(file: Handle) {
    match table::typed(file, 0, Object::file) {
        Ok(file) => file.collect(),
        Err(_) => open_file::collect_all(),
    }
}

fn is_pending(overlapped: *const Overlapped) -> Result<bool, Error> {
    Ok(pointer::read(overlapped)?.internal as u32 == Status::PENDING.0)
}

/// Waits until the request has ended, as long as `unended` gives a time to wait for.
fn overlapped_result(
    file: Handle,
    overlapped: *const Overlapped,
    bytes: *mut u32,
    deadline: Option<Deadline>,
    unended: Error,
) -> Result<(), Error> {
    while is_pending(overlapped)? {
        collect(file);
        if !is_pending(overlapped)? {
            break;
        }
        if deadline.is_some_and(Deadline::passed) {
            return Err(unended);
        }
        let event = Handle(pointer::read(overlapped)?.event.0 & !1);
        let waited = table::object(if event == Handle::NULL { file } else { event }, SYNCHRONIZE)?;
        waited.bell()?;
        wait::any(std::slice::from_ref(&waited), deadline)?;
    }
    let ended = pointer::read(overlapped)?;
    // SAFETY: the program wants the number there, also of a request that failed.
    unsafe { pointer::write(bytes, &(ended.internal_high as u32)) }?;
    result(Status(ended.internal as u32))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn GetOverlappedResult(
    file: Handle,
    overlapped: *const Overlapped,
    bytes: *mut u32,
    waits: i32,
) -> i32 {
    let milliseconds = if waits == 0 { 0 } else { u32::MAX };
    succeeds(|| overlapped_result(file, overlapped, bytes, wait::deadline(milliseconds), Error::IO_INCOMPLETE))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn GetOverlappedResultEx(
    file: Handle,
    overlapped: *const Overlapped,
    bytes: *mut u32,
    milliseconds: u32,
    _alertable: i32,
) -> i32 {
    let unended = if milliseconds == 0 { Error::IO_INCOMPLETE } else { Error::WAIT_TIMEOUT };
    succeeds(|| overlapped_result(file, overlapped, bytes, wait::deadline(milliseconds), unended))
}

/// HasOverlappedIoCompleted, a macro of Windows that looks at the OVERLAPPED only; here what has ended is completed first.
#[unsafe(no_mangle)]
unsafe extern "C" fn fltwin32_has_completed(overlapped: *const Overlapped) -> i32 {
    last_error::or(1, || {
        if !is_pending(overlapped)? {
            return Ok(1);
        }
        open_file::collect_all();
        Ok(i32::from(!is_pending(overlapped)?))
    })
}

#[unsafe(no_mangle)]
extern "C" fn CancelIo(file: Handle) -> i32 {
    succeeds(|| match table::typed(file, 0, Object::file)?.cancel(Some(thread::current_id()), std::ptr::null_mut()) {
        // that there was nothing to cancel is no failure of this call
        Err(Error::NOT_FOUND) => Ok(()),
        cancelled => cancelled,
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn CancelIoEx(file: Handle, overlapped: *mut Overlapped) -> i32 {
    succeeds(|| {
        let file = table::typed(file, 0, Object::file)?;
        if overlapped.is_null() { file.cancel_all() } else { file.cancel(None, overlapped) }
    })
}
