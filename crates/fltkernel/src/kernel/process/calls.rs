//! Calls about processes and threads.

use std::sync::Arc;

use super::{Process, Thread, process};
use crate::edge::{Ptr, member};
use crate::kernel::object::{self, address};
use crate::kernel::{irql, thread};
use crate::nt::status::{self, Status};
use crate::nt::{Boolean, UnicodeString};
use crate::nt::{ClientId, wide};

fn id(number: u32) -> Ptr {
    Ptr::at_address(number as usize)
}

#[unsafe(no_mangle)]
pub extern "C" fn IoGetCurrentProcess() -> Ptr {
    address(&thread::identity().process)
}

#[unsafe(no_mangle)]
pub extern "C" fn PsGetCurrentThreadObject() -> Ptr {
    address(&thread::identity().thread)
}

#[unsafe(no_mangle)]
pub extern "C" fn PsGetCurrentProcessId() -> Ptr {
    id(thread::identity().process.number)
}

#[unsafe(no_mangle)]
pub extern "C" fn PsGetCurrentThreadId() -> Ptr {
    id(thread::identity().thread.number)
}

#[unsafe(no_mangle)]
pub extern "C" fn PsGetProcessId(process: Ptr) -> Ptr {
    object::get::<Process>(process, "process").map_or(Ptr::NULL, |process| id(process.number))
}

#[unsafe(no_mangle)]
pub extern "C" fn PsGetThreadId(thread: Ptr) -> Ptr {
    object::get::<Thread>(thread, "thread").map_or(Ptr::NULL, |thread| id(thread.number))
}

#[unsafe(no_mangle)]
pub extern "C" fn PsGetThreadProcessId(thread: Ptr) -> Ptr {
    object::get::<Thread>(thread, "thread").map_or(Ptr::NULL, |thread| id(thread.process.number))
}

#[unsafe(no_mangle)]
pub extern "C" fn PsGetThreadProcess(thread: Ptr) -> Ptr {
    object::get::<Thread>(thread, "thread").map_or(Ptr::NULL, |thread| address(&thread.process))
}

#[unsafe(no_mangle)]
pub extern "C" fn IoThreadToProcess(thread: Ptr) -> Ptr {
    PsGetThreadProcess(thread)
}

#[unsafe(no_mangle)]
pub extern "C" fn PsGetProcessInheritedFromUniqueProcessId(process: Ptr) -> Ptr {
    object::get::<Process>(process, "process").map_or(Ptr::NULL, |process| id(process.parent()))
}

#[unsafe(no_mangle)]
pub extern "C" fn PsIsSystemThread(thread: Ptr) -> Boolean {
    object::get::<Thread>(thread, "thread").is_some_and(|thread| thread.process.is_system()).into()
}

#[unsafe(no_mangle)]
pub extern "C" fn IoIs32bitProcess(_irp: Ptr) -> Boolean {
    0
}

fn by_number(number: Ptr) -> Option<Arc<Process>> {
    let number = u32::try_from(number.address()).ok()?;
    if number == super::SYSTEM { Some(super::system().process) } else { process(number) }
}

#[unsafe(no_mangle)]
pub extern "C" fn PsLookupProcessByProcessId(number: Ptr, result: Ptr<Ptr>) -> Status {
    irql::expect(irql::APC, "PsLookupProcessByProcessId");
    let Some(process) = by_number(number) else { return status::INVALID_CID };
    object::reference(address(&process));
    result.write(address(&process));
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn ZwOpenProcess(handle: Ptr<Ptr>, _access: u32, _attributes: Ptr, client: Ptr<ClientId>) -> Status {
    irql::expect(irql::PASSIVE, "ZwOpenProcess");
    if client.is_null() {
        return status::INVALID_PARAMETER;
    }
    let Some(process) = by_number(client.read().process) else { return status::INVALID_CID };
    let address = address(&process);
    handle.write(object::open(process, address));
    status::SUCCESS
}

/// The name of the program of a process; empty for System.
fn image_name(process: &Process) -> Vec<u16> {
    process.program().map(|path| crate::filter::volume::nt_name(&path)).unwrap_or_default()
}

#[unsafe(no_mangle)]
pub extern "C" fn ZwQueryInformationProcess(
    handle: Ptr,
    class: u32,
    buffer: Ptr,
    size: u32,
    needed: Ptr<u32>,
) -> Status {
    const BASIC: u32 = 0;
    const IMAGE_FILE_NAME: u32 = 27;
    /// `NtCurrentProcess()`
    const CURRENT: usize = usize::MAX;
    irql::expect(irql::PASSIVE, "ZwQueryInformationProcess");
    let process = if handle.address() == CURRENT {
        thread::identity().process
    } else {
        match object::of_handle::<Process>(handle) {
            Ok((process, _)) => process,
            Err(status) => return status,
        }
    };
    match class {
        IMAGE_FILE_NAME => {
            let name = image_name(&process);
            let need = size_of::<UnicodeString>() + name.len() * 2 + 2;
            needed.write_some(need as u32);
            if (size as usize) < need {
                return status::INFO_LENGTH_MISMATCH;
            }
            let text: Ptr<u16> = buffer.cast::<UnicodeString>().add(1).cast();
            text.write_many(&name);
            text.add(name.len()).write(0);
            let length = (name.len() * 2) as u16;
            buffer.cast().write(UnicodeString { length, room: length + 2, buffer: text });
            status::SUCCESS
        }
        BASIC => {
            /// `PROCESS_BASIC_INFORMATION`: exit status, environment, affinity, priority, number, parent.
            type Basic = [usize; 6];
            needed.write_some(size_of::<Basic>() as u32);
            if size as usize != size_of::<Basic>() {
                return status::INFO_LENGTH_MISMATCH;
            }
            buffer.cast::<Basic>().write([0x103, 0, 1, 8, process.number as usize, process.parent() as usize]);
            status::SUCCESS
        }
        _ => status::INVALID_INFO_CLASS,
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn SeLocateProcessImageName(process: Ptr, name: Ptr<Ptr<UnicodeString>>) -> Status {
    irql::expect(irql::APC, "SeLocateProcessImageName");
    let Some(process) = object::get::<Process>(process, "process") else { return status::INVALID_PARAMETER };
    let text = image_name(&process);
    // the string and its text are one block, which ExFreePool frees
    let mut bytes = vec![0u8; size_of::<UnicodeString>()];
    bytes.extend(text.iter().flat_map(|unit| unit.to_le_bytes()));
    bytes.push(0);
    let Some(block) = crate::kernel::pool::system_bytes(&bytes) else { return status::INSUFFICIENT_RESOURCES };
    let string: Ptr<UnicodeString> = block.cast();
    let length = (text.len() * 2) as u16;
    string.write(UnicodeString { length, room: length + 2, buffer: string.add(1).cast() });
    name.write(string);
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn ZwTerminateProcess(handle: Ptr, _status: Status) -> Status {
    irql::expect(irql::PASSIVE, "ZwTerminateProcess");
    let process = match object::of_handle::<Process>(handle) {
        Ok((process, _)) => process,
        Err(status) => return status,
    };
    if process.is_system() || process.number == std::process::id() {
        return status::ACCESS_DENIED;
    }
    let Some(pid) = rustix::process::Pid::from_raw(process.number as i32) else { return status::ACCESS_DENIED };
    match rustix::process::kill_process(pid, rustix::process::Signal::KILL) {
        Ok(()) => status::SUCCESS,
        Err(_) => status::ACCESS_DENIED,
    }
}

/// The first member of the object that a driver may name in `PS_CREATE_NOTIFY_INFO`.
pub fn client_id(process: u32, thread: u32) -> ClientId {
    ClientId { process: id(process), thread: id(thread) }
}

/// `CommandLine`: the arguments as Windows would quote them.
pub fn command_line(arguments: &[String]) -> Vec<u16> {
    let quoted: Vec<String> = arguments
        .iter()
        .map(|argument| {
            if argument.contains([' ', '\t', '"']) {
                format!("\"{}\"", argument.replace('"', "\\\""))
            } else {
                argument.clone()
            }
        })
        .collect();
    wide(&quoted.join(" "))
}

/// The status that drivers gave a process that is to begin.
pub fn creation_status(info: Ptr<crate::nt::CreateNotifyInfo>) -> Status {
    member!(info, crate::nt::CreateNotifyInfo, status).read()
}
