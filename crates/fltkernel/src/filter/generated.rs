//! I/O that a driver starts itself: seen by the instances below it, then by the file system.

mod open;

use std::sync::Arc;

pub use open::*;

use super::data::{self, Data};
use super::disk;
use super::file::{self, File};
use super::instance::Instance;
use super::stack::{self, Outcome, Request};
use crate::edge::{Ptr, member};
use crate::kernel::object;
use crate::kernel::report::{self, Rule};
use crate::kernel::{irql, memory, thread, work};
use crate::nt::status::{self, Status};
use crate::nt::{CallbackData, FileObject, Parameters, data as flags, fo, major};

/// `FLTFL_IO_OPERATION_…`
const NON_CACHED: u32 = 1;
const DO_NOT_UPDATE_BYTE_OFFSET: u32 = 4;
/// `IRP_NOCACHE`
const IRP_NOCACHE: u32 = 1;
const SECTOR: u64 = 512;

type Completed = Option<extern "C" fn(Ptr<CallbackData>, Ptr)>;

/// The instance and the open file of a call.
fn both(instance: Ptr, file: Ptr<FileObject>) -> Result<(Arc<Instance>, Arc<File>), Status> {
    let instance = object::get::<Instance>(instance, "instance").ok_or(status::INVALID_PARAMETER)?;
    let file = file::get(file.cast()).ok_or(status::INVALID_PARAMETER)?;
    if file.inode().is_none() {
        report::find(
            Rule::Unopened,
            "I/O on a file object that is not opened: before the create is done, or after the close",
        );
        return Err(status::INVALID_PARAMETER);
    }
    Ok((instance, file))
}

/// Sends an operation of a driver to the instances below it, and performs it.
fn send(instance: &Arc<Instance>, mut request: Request) -> Outcome {
    request.data_flags |= flags::GENERATED_IO;
    stack::run_below(instance, &request, disk::perform)
}

/// What reading and writing have in common.
struct Transfer {
    major: u8,
    instance: Ptr,
    file: Ptr<FileObject>,
    offset: Ptr<i64>,
    length: u32,
    buffer: Ptr<u8>,
    flags: u32,
    done: Ptr<u32>,
    callback: Completed,
    context: Ptr,
}

fn transfer(t: Transfer) -> Status {
    irql::expect(irql::APC, "FltReadFile or FltWriteFile");
    let (instance, file) = match both(t.instance, t.file) {
        Ok(both) => both,
        Err(status) => return status,
    };
    let position = member!(t.file, FileObject, offset);
    let offset = t.offset.some().map_or_else(|| position.read(), Ptr::read);
    if t.flags & NON_CACHED != 0 && [offset as u64, t.length.into()].iter().any(|n| n % SECTOR != 0) {
        report::find(Rule::Unaligned, "I/O without the cache must begin and end at a sector, and this does not");
        return status::INVALID_PARAMETER;
    }
    let parameters = Parameters::default().with(0, t.length.into()).with(2, offset as u64).with_pointer(3, t.buffer);
    let mut request = Request::new(t.major, &file, parameters, None);
    request.irp_flags = if t.flags & NON_CACHED != 0 { IRP_NOCACHE } else { 0 };
    if let Some(callback) = t.callback {
        return later(instance, request, callback, t.context);
    }
    let io_status = send(&instance, request).io_status;
    t.done.write_some(io_status.information as u32);
    if t.offset.is_null() && t.flags & DO_NOT_UPDATE_BYTE_OFFSET == 0 {
        position.write(offset + io_status.information as i64);
    }
    io_status.status
}

/// Does it on a worker thread, and calls the driver back.
fn later(
    instance: Arc<Instance>,
    request: Request,
    callback: extern "C" fn(Ptr<CallbackData>, Ptr),
    context: Ptr,
) -> Status {
    work::queue(move || {
        let outcome = send(&instance, request.clone());
        let finished =
            Data::new(request.data_flags | flags::POST_OPERATION, outcome.block, request.file.clone(), None, 0);
        finished.set_io_status(outcome.io_status);
        callback(finished.address(), context);
        finished.end();
    });
    status::PENDING
}

#[unsafe(no_mangle)]
extern "C" fn FltReadFile(
    instance: Ptr,
    file: Ptr<FileObject>,
    offset: Ptr<i64>,
    length: u32,
    buffer: Ptr<u8>,
    flags: u32,
    done: Ptr<u32>,
    callback: Completed,
    context: Ptr,
) -> Status {
    transfer(Transfer { major: major::READ, instance, file, offset, length, buffer, flags, done, callback, context })
}

#[unsafe(no_mangle)]
extern "C" fn FltWriteFile(
    instance: Ptr,
    file: Ptr<FileObject>,
    offset: Ptr<i64>,
    length: u32,
    buffer: Ptr<u8>,
    flags: u32,
    done: Ptr<u32>,
    callback: Completed,
    context: Ptr,
) -> Status {
    transfer(Transfer { major: major::WRITE, instance, file, offset, length, buffer, flags, done, callback, context })
}

#[unsafe(no_mangle)]
pub extern "C" fn FltQueryInformationFile(
    instance: Ptr,
    file: Ptr<FileObject>,
    buffer: Ptr,
    length: u32,
    class: u32,
    returned: Ptr<u32>,
) -> Status {
    irql::expect(irql::PASSIVE, "FltQueryInformationFile");
    let (instance, file) = match both(instance, file) {
        Ok(both) => both,
        Err(status) => return status,
    };
    let parameters = Parameters::default().with(0, length.into()).with(1, class.into()).with_pointer(2, buffer);
    let outcome = send(&instance, Request::new(major::QUERY_INFORMATION, &file, parameters, None));
    returned.write_some(outcome.io_status.information as u32);
    outcome.io_status.status
}

#[unsafe(no_mangle)]
pub extern "C" fn FltSetInformationFile(
    instance: Ptr,
    file: Ptr<FileObject>,
    buffer: Ptr,
    length: u32,
    class: u32,
) -> Status {
    irql::expect(irql::PASSIVE, "FltSetInformationFile");
    let (instance, file) = match both(instance, file) {
        Ok(both) => both,
        Err(status) => return status,
    };
    let parameters = Parameters::default().with(0, length.into()).with(1, class.into()).with_pointer(4, buffer);
    send(&instance, Request::new(major::SET_INFORMATION, &file, parameters, None)).io_status.status
}

#[unsafe(no_mangle)]
pub extern "C" fn FltQueryDirectoryFile(
    instance: Ptr,
    file: Ptr<FileObject>,
    buffer: Ptr,
    length: u32,
    class: u32,
    single: u8,
    pattern: Ptr,
    restart: u8,
    returned: Ptr<u32>,
) -> Status {
    let (instance, file) = match both(instance, file) {
        Ok(both) => both,
        Err(status) => return status,
    };
    let parameters = Parameters::default()
        .with(0, length.into())
        .with_pointer(1, pattern)
        .with(2, class.into())
        .with_pointer(4, buffer);
    let mut request = Request::new(major::DIRECTORY_CONTROL, &file, parameters, None);
    request.minor = 1;
    request.flags = u8::from(restart != 0) | u8::from(single != 0) << 1;
    let outcome = send(&instance, request);
    returned.write_some(outcome.io_status.information as u32);
    outcome.io_status.status
}

#[unsafe(no_mangle)]
pub extern "C" fn FltFlushBuffers(instance: Ptr, file: Ptr<FileObject>) -> Status {
    match both(instance, file) {
        Ok((instance, file)) => {
            send(&instance, Request::new(major::FLUSH_BUFFERS, &file, Parameters::default(), None)).io_status.status
        }
        Err(status) => status,
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn FltFsControlFile(
    instance: Ptr,
    file: Ptr<FileObject>,
    code: u32,
    input: Ptr,
    input_length: u32,
    output: Ptr,
    output_length: u32,
    returned: Ptr<u32>,
) -> Status {
    returned.write_some(0);
    match both(instance, file) {
        Ok((instance, file)) => {
            let parameters = Parameters::default()
                .with(0, output_length.into())
                .with(1, input_length.into())
                .with(2, code.into())
                .with_pointer(3, input)
                .with_pointer(4, output);
            let outcome =
                stack::run_below(&instance, &Request::new(major::FILE_SYSTEM_CONTROL, &file, parameters, None), |_| {
                    // Linux has none of these
                    stack::failed(status::INVALID_DEVICE_REQUEST)
                });
            outcome.io_status.status
        }
        Err(status) => status,
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn FltIsDirectory(file: Ptr<FileObject>, _instance: Ptr, directory: Ptr<u8>) -> Status {
    match file::get(file.cast()) {
        Some(file) if file.inode().is_some() => {
            directory.write(file.is_directory().into());
            status::SUCCESS
        }
        _ => status::NOT_SUPPORTED,
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn FsRtlGetFileSize(file: Ptr<FileObject>, size: Ptr<i64>) -> Status {
    let Some(file) = file::get(file.cast()) else { return status::INVALID_PARAMETER };
    if file.is_directory() {
        return status::FILE_IS_A_DIRECTORY;
    }
    match file.descriptor().and_then(|descriptor| rustix::fs::fstat(descriptor).ok()) {
        Some(stat) => {
            size.write(stat.st_size);
            status::SUCCESS
        }
        None => status::FILE_CLOSED,
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn FltCancelFileOpen(_instance: Ptr, file: Ptr<FileObject>) {
    irql::expect(irql::APC, "FltCancelFileOpen");
    let Some(file) = file::get(file.cast()) else { return };
    if file.inode().is_none() || file.flags() & fo::HANDLE_CREATED != 0 {
        return report::find(
            Rule::Unopened,
            "FltCancelFileOpen outside of a post-create, or after the program got its handle",
        );
    }
    file.set_flags(fo::FILE_OPEN_CANCELLED, 0);
}

/// Where the buffer of an operation and its descriptor are among its parameters.
pub fn buffer_members(code: u8) -> Option<(usize, usize)> {
    match code {
        major::READ | major::WRITE => Some((3, 4)),
        major::DIRECTORY_CONTROL | major::QUERY_EA => Some((4, 5)),
        major::SET_EA => Some((1, 2)),
        major::QUERY_SECURITY => Some((2, 3)),
        major::FILE_SYSTEM_CONTROL | major::DEVICE_CONTROL => Some((4, 5)),
        _ => None,
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn FltLockUserBuffer(address: Ptr<CallbackData>) -> Status {
    irql::expect(irql::APC, "FltLockUserBuffer");
    let Some(known) = data::get(address) else { return status::INVALID_PARAMETER };
    let mut block = known.block();
    let Some((buffer, descriptor)) = buffer_members(block.major) else { return status::INVALID_PARAMETER };
    if block.parameters.word(descriptor) != 0 {
        return status::SUCCESS;
    }
    let mdl = memory::describe(block.parameters.pointer(buffer), block.parameters.long(0));
    if mdl.is_null() {
        return status::INSUFFICIENT_RESOURCES;
    }
    block.parameters = block.parameters.with_pointer(descriptor, mdl);
    known.set_block(block);
    known.set_flags(flags::DIRTY, 0);
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn FltDecodeParameters(
    address: Ptr<CallbackData>,
    mdl: Ptr<Ptr<Ptr>>,
    buffer: Ptr<Ptr<Ptr>>,
    length: Ptr<Ptr<u32>>,
    access: Ptr<u32>,
) -> Status {
    /// Where the parameters begin in their block.
    const PARAMETERS: usize = 24;
    let Some(known) = data::get(address) else { return status::INVALID_PARAMETER };
    let block = known.block();
    let Some((at_buffer, at_mdl)) = buffer_members(block.major) else { return status::INVALID_PARAMETER };
    let member = |word: usize| Ptr::at_address(known.read().block.address() + PARAMETERS + 8 * word);
    mdl.write_some(member(at_mdl));
    buffer.write_some(member(at_buffer));
    length.write_some(Ptr::at_address(known.read().block.address() + PARAMETERS));
    access.write_some(u32::from(block.major != major::WRITE));
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn FltDoCompletionProcessingWhenSafe(
    address: Ptr<CallbackData>,
    related: Ptr<crate::nt::RelatedObjects>,
    context: Ptr,
    post_flags: u32,
    routine: crate::nt::PostOperation,
    answer: Ptr<u32>,
) -> u8 {
    use crate::nt::post;
    let Some(known) = data::get(address) else { return 0 };
    if post_flags & post::DRAINING != 0 {
        report::find(Rule::Answer, "FltDoCompletionProcessingWhenSafe although the instance goes");
    }
    answer.write(post::FINISHED);
    if irql::level() < irql::DISPATCH {
        answer.write(routine(address, related, context, post_flags));
        return 1;
    }
    if known.read().flags & flags::IRP == 0 {
        return 0;
    }
    let copied = related.read();
    let identity = thread::identity();
    work::queue(move || {
        let mut related = copied;
        let answer = super::callback::call("the safe post-callback", Some(identity), known.number, || {
            routine(known.address(), Ptr::new(&raw mut related), context, post_flags)
        });
        if answer == post::FINISHED {
            data::FltCompletePendedPostOperation(known.address());
        }
    });
    answer.write(post::MORE_PROCESSING_REQUIRED);
    1
}
