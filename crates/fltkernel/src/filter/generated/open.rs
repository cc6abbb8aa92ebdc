//! Files that a driver opens, and operations that it makes up.

use std::path::PathBuf;
use std::sync::Arc;

use super::send;
use crate::edge::{Memory, Ptr};
use crate::filter::data::{self, Data};
use crate::filter::disk::{self, create};
use crate::filter::file::{self, File};
use crate::filter::instance::Instance;
use crate::filter::registration::Filter;
use crate::filter::stack::{self, Request};
use crate::filter::{instance, volume};
use crate::kernel::object::{self, address};
use crate::kernel::report::{self, Rule};
use crate::kernel::{irql, thread};
use crate::nt::status::{self, Status};
use crate::nt::{
    AccessState, CallbackData, FileObject, IoStatus, OBJ_KERNEL_HANDLE, ObjectAttributes, ParameterBlock, Parameters,
    SecurityContext, data as flags, major,
};

/// Deeper than this, a driver opens from its own opens without end.
const MOST_DEPTH: u32 = 8;

thread_local! {
    static DEPTH: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

/// What a create asks for.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    pub access: u32,
    /// `Options`: the disposition in the upper byte.
    pub options: u32,
    pub attributes: u16,
    pub share: u16,
}

/// The structures that a create's parameters point to.
#[derive(Debug)]
pub struct Security(Memory);

impl Security {
    /// Those of a create with this access.
    pub fn new(ask: Ask) -> Self {
        let memory = Memory::new(size_of::<SecurityContext>() + size_of::<AccessState>());
        let context: Ptr<SecurityContext> = memory.at();
        let state: Ptr<AccessState> = context.add(1).cast();
        state.write(AccessState { remaining: ask.access, original: ask.access, ..AccessState::default() });
        let options = ask.options & 0x00FF_FFFF;
        context.write(SecurityContext { quality: Ptr::NULL, access_state: state, desired_access: ask.access, options });
        Self(memory)
    }

    /// The parameters of the create; this must outlive it.
    pub fn parameters(&self, ask: Ask) -> Parameters {
        let attributes = u64::from(ask.attributes) | u64::from(ask.share) << 16;
        Parameters::default()
            .with_pointer(0, self.0.at::<SecurityContext>())
            .with(1, ask.options.into())
            .with(2, attributes)
    }
}

/// The path that object attributes name.
fn path_of(attributes: &ObjectAttributes) -> Result<PathBuf, Status> {
    let name = attributes.name().ok_or(status::OBJECT_NAME_INVALID)?;
    if attributes.root.is_null() {
        return volume::path_of(&name).map(|(_, path)| path).ok_or(status::OBJECT_PATH_NOT_FOUND);
    }
    let (root, _) = object::of_handle::<File>(attributes.root)?;
    Ok(if name.is_empty() { root.path() } else { root.path().join(volume::decode(&name)) })
}

/// Opens a file: from the instance given down, or from the top.
fn open(
    above: Option<&Arc<Instance>>,
    attributes: ObjectAttributes,
    ask: Ask,
) -> Result<(Arc<File>, IoStatus), IoStatus> {
    let path = path_of(&attributes).map_err(stack::failed)?;
    let file = File::new(&path, ask.options & create::OPEN_REPARSE_POINT == 0);
    let security = Security::new(ask);
    let mut request = Request::new(major::CREATE, &file, security.parameters(ask), None);
    let outcome = match above {
        Some(above) => send(above, request),
        None => {
            request.data_flags |= flags::GENERATED_IO;
            stack::run(&request, disk::perform)
        }
    };
    if outcome.io_status.status.is_success_severity() && file.inode().is_some() {
        Ok((file, outcome.io_status))
    } else {
        file.close();
        Err(outcome.io_status)
    }
}

fn finish(
    opened: Result<(Arc<File>, IoStatus), IoStatus>,
    handle: Ptr<Ptr>,
    object: Ptr<Ptr>,
    io_status: Ptr<IoStatus>,
) -> Status {
    match opened {
        Ok((file, ended)) => {
            io_status.write_some(ended);
            let at = file.object().cast();
            if !object.is_null() {
                object::reference(at);
                object.write(at);
            }
            handle.write(object::open(file, at));
            ended.status
        }
        Err(ended) => {
            io_status.write_some(ended);
            handle.write(Ptr::NULL);
            object.write_some(Ptr::NULL);
            ended.status
        }
    }
}

/// The instance from which a driver's own open goes down: the one it names, else the filter's at the file's volume.
fn above(filter: Ptr, named: Ptr, attributes: &ObjectAttributes) -> Option<Arc<Instance>> {
    if let Some(instance) = object::find::<Instance>(named) {
        return Some(instance);
    }
    let filter = object::get::<Filter>(filter, "filter")?;
    let (volume, _) = volume::locate(&path_of(attributes).ok()?);
    instance::at_volume(&volume).into_iter().find(|instance| Arc::ptr_eq(&instance.filter, &filter))
}

#[unsafe(no_mangle)]
pub extern "C" fn FltCreateFileEx2(
    filter: Ptr,
    instance: Ptr,
    handle: Ptr<Ptr>,
    object: Ptr<Ptr>,
    access: u32,
    attributes: Ptr<ObjectAttributes>,
    io_status: Ptr<IoStatus>,
    _allocation: Ptr<i64>,
    file_attributes: u32,
    share: u32,
    disposition: u32,
    options: u32,
    _ea: Ptr,
    _ea_length: u32,
    _flags: u32,
    _context: Ptr,
) -> Status {
    irql::expect(irql::PASSIVE, "FltCreateFile");
    let attributes = attributes.read();
    if attributes.attributes & OBJ_KERNEL_HANDLE == 0 {
        report::find(
            Rule::Handle,
            "FltCreateFile without OBJ_KERNEL_HANDLE: the program that runs could use the handle",
        );
    }
    let ask =
        Ask { access, options: disposition << 24 | options, attributes: file_attributes as u16, share: share as u16 };
    let above = above(filter, instance, &attributes);
    let opened = thread::impersonate(None, thread::operation(), || open(above.as_ref(), attributes, ask));
    finish(opened, handle, object, io_status)
}

#[unsafe(no_mangle)]
pub extern "C" fn FltCreateFileEx(
    filter: Ptr,
    instance: Ptr,
    handle: Ptr<Ptr>,
    object: Ptr<Ptr>,
    access: u32,
    attributes: Ptr<ObjectAttributes>,
    io_status: Ptr<IoStatus>,
    allocation: Ptr<i64>,
    file_attributes: u32,
    share: u32,
    disposition: u32,
    options: u32,
    ea: Ptr,
    ea_length: u32,
    flags: u32,
) -> Status {
    FltCreateFileEx2(
        filter,
        instance,
        handle,
        object,
        access,
        attributes,
        io_status,
        allocation,
        file_attributes,
        share,
        disposition,
        options,
        ea,
        ea_length,
        flags,
        Ptr::NULL,
    )
}

#[unsafe(no_mangle)]
pub extern "C" fn FltCreateFile(
    filter: Ptr,
    instance: Ptr,
    handle: Ptr<Ptr>,
    access: u32,
    attributes: Ptr<ObjectAttributes>,
    io_status: Ptr<IoStatus>,
    allocation: Ptr<i64>,
    file_attributes: u32,
    share: u32,
    disposition: u32,
    options: u32,
    ea: Ptr,
    ea_length: u32,
    flags: u32,
) -> Status {
    FltCreateFileEx2(
        filter,
        instance,
        handle,
        Ptr::NULL,
        access,
        attributes,
        io_status,
        allocation,
        file_attributes,
        share,
        disposition,
        options,
        ea,
        ea_length,
        flags,
        Ptr::NULL,
    )
}

#[unsafe(no_mangle)]
pub extern "C" fn FltClose(handle: Ptr) -> Status {
    irql::expect(irql::PASSIVE, "FltClose");
    match object::of_handle::<File>(handle) {
        Ok((file, _)) => {
            object::close(handle);
            end(&file);
            status::SUCCESS
        }
        Err(status) => status,
    }
}

/// The last handle of a file is closed. Windows sends this to the instances below; which one opened it is not kept, so all see it.
fn end(file: &Arc<File>) {
    for code in [major::CLEANUP, major::CLOSE] {
        let mut request = Request::new(code, file, Parameters::default(), None);
        request.data_flags |= flags::GENERATED_IO;
        stack::run(&request, disk::perform);
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn ZwCreateFile(
    handle: Ptr<Ptr>,
    access: u32,
    attributes: Ptr<ObjectAttributes>,
    io_status: Ptr<IoStatus>,
    _allocation: Ptr<i64>,
    file_attributes: u32,
    share: u32,
    disposition: u32,
    options: u32,
    _ea: Ptr,
    _ea_length: u32,
) -> Status {
    irql::expect(irql::PASSIVE, "ZwCreateFile");
    if DEPTH.get() >= MOST_DEPTH {
        report::find(
            Rule::Recursion,
            "ZwCreateFile from the create that it makes: it is seen from the top of the stack again",
        );
        return status::UNSUCCESSFUL;
    }
    let ask =
        Ask { access, options: disposition << 24 | options, attributes: file_attributes as u16, share: share as u16 };
    DEPTH.set(DEPTH.get() + 1);
    let opened = thread::impersonate(None, thread::operation(), || open(None, attributes.read(), ask));
    DEPTH.set(DEPTH.get() - 1);
    finish(opened, handle, Ptr::NULL, io_status)
}

#[unsafe(no_mangle)]
pub extern "C" fn ZwOpenFile(
    handle: Ptr<Ptr>,
    access: u32,
    attributes: Ptr<ObjectAttributes>,
    io_status: Ptr<IoStatus>,
    share: u32,
    options: u32,
) -> Status {
    ZwCreateFile(handle, access, attributes, io_status, Ptr::NULL, 0, share, create::OPEN, options, Ptr::NULL, 0)
}

/// Sends an operation on the file of a handle from the top.
fn on_handle(handle: Ptr, code: u8, io_status: Ptr<IoStatus>, parameters: impl FnOnce(&File) -> Parameters) -> Status {
    irql::expect(irql::PASSIVE, "a Zw function of files");
    match object::of_handle::<File>(handle) {
        Ok((file, _)) => {
            let mut request = Request::new(code, &file, parameters(&file), None);
            request.data_flags |= flags::GENERATED_IO;
            let ended = stack::run(&request, disk::perform).io_status;
            io_status.write_some(ended);
            ended.status
        }
        Err(status) => status,
    }
}

fn transfer_parameters(file: &File, buffer: Ptr, length: u32, offset: Ptr<i64>) -> Parameters {
    let position = crate::edge::member!(file.object(), FileObject, offset);
    let at = offset.some().map_or_else(|| position.read(), Ptr::read);
    position.write(at + i64::from(length));
    Parameters::default().with(0, length.into()).with(2, at as u64).with_pointer(3, buffer)
}

#[unsafe(no_mangle)]
pub extern "C" fn ZwReadFile(
    handle: Ptr,
    _event: Ptr,
    _routine: Ptr,
    _context: Ptr,
    io_status: Ptr<IoStatus>,
    buffer: Ptr,
    length: u32,
    offset: Ptr<i64>,
    _key: Ptr,
) -> Status {
    on_handle(handle, major::READ, io_status, |file| transfer_parameters(file, buffer, length, offset))
}

#[unsafe(no_mangle)]
pub extern "C" fn ZwWriteFile(
    handle: Ptr,
    _event: Ptr,
    _routine: Ptr,
    _context: Ptr,
    io_status: Ptr<IoStatus>,
    buffer: Ptr,
    length: u32,
    offset: Ptr<i64>,
    _key: Ptr,
) -> Status {
    on_handle(handle, major::WRITE, io_status, |file| transfer_parameters(file, buffer, length, offset))
}

#[unsafe(no_mangle)]
pub extern "C" fn ZwQueryInformationFile(
    handle: Ptr,
    io_status: Ptr<IoStatus>,
    buffer: Ptr,
    length: u32,
    class: u32,
) -> Status {
    on_handle(handle, major::QUERY_INFORMATION, io_status, |_| {
        Parameters::default().with(0, length.into()).with(1, class.into()).with_pointer(2, buffer)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn ZwSetInformationFile(
    handle: Ptr,
    io_status: Ptr<IoStatus>,
    buffer: Ptr,
    length: u32,
    class: u32,
) -> Status {
    on_handle(handle, major::SET_INFORMATION, io_status, |_| {
        Parameters::default().with(0, length.into()).with(1, class.into()).with_pointer(4, buffer)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn ZwFlushBuffersFile(handle: Ptr, io_status: Ptr<IoStatus>) -> Status {
    on_handle(handle, major::FLUSH_BUFFERS, io_status, |_| Parameters::default())
}

#[unsafe(no_mangle)]
pub extern "C" fn ZwDeleteFile(attributes: Ptr<ObjectAttributes>) -> Status {
    match path_of(&attributes.read()) {
        Ok(path) => {
            std::fs::remove_file(&path).map_or_else(|error| disk::status_of_path(&error, &path), |()| status::SUCCESS)
        }
        Err(status) => status,
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn FltAllocateCallbackData(
    instance: Ptr,
    file: Ptr<FileObject>,
    result: Ptr<Ptr<CallbackData>>,
) -> Status {
    result.write(Ptr::NULL);
    let Some(instance) = object::get::<Instance>(instance, "instance") else { return status::INVALID_PARAMETER };
    let block = ParameterBlock { file, instance: address(&instance), ..ParameterBlock::default() };
    let made = Data::new(flags::IRP | flags::GENERATED_IO, block, file::find(file.cast()), None, 0);
    object::reference(made.address().cast());
    result.write(made.address());
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn FltFreeCallbackData(address: Ptr<CallbackData>) {
    if let Some(known) = data::get(address) {
        known.end();
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn FltReuseCallbackData(address: Ptr<CallbackData>) {
    if let Some(known) = data::get(address) {
        let before = known.block();
        known.set_block(ParameterBlock { file: before.file, instance: before.instance, ..ParameterBlock::default() });
        known.set_io_status(IoStatus { status: status::SUCCESS, information: 0 });
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn FltPerformSynchronousIo(address: Ptr<CallbackData>) {
    let Some(known) = data::get(address) else { return };
    let block = known.block();
    let instance = object::find::<Instance>(block.instance);
    let (Some(instance), Some(file)) = (instance, file::find(block.file.cast())) else {
        return known.set_io_status(stack::failed(status::INVALID_PARAMETER));
    };
    if block.major == major::CREATE {
        report::find(Rule::Arg, "FltPerformSynchronousIo for IRP_MJ_CREATE: FltCreateFile opens files");
        return known.set_io_status(stack::failed(status::INVALID_PARAMETER));
    }
    let mut request = Request::new(block.major, &file, block.parameters, None);
    (request.minor, request.flags, request.irp_flags) = (block.minor, block.flags, block.irp_flags);
    known.set_io_status(send(&instance, request).io_status);
}

#[unsafe(no_mangle)]
pub extern "C" fn FltCreateSystemVolumeInformationFolder(_instance: Ptr) -> Status {
    // Linux has no such folder, and nothing else would find one
    status::SUCCESS
}
