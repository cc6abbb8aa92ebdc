//! The instances that an operation passes: their pre-callbacks from the highest altitude down, what is below them, their
//! post-callbacks up again.

use std::sync::{Arc, Mutex};

use super::data::Data;
use super::file::File;
use super::instance::{self, Instance};
use super::volume::Volume;
use super::{callback, generated};
use crate::edge::{Ptr, sanitizer};
use crate::kernel::memory;
use crate::kernel::report::{self, Rule};
use crate::kernel::thread::Identity;
use crate::lock;
use crate::nt::status::{self, Status};
use crate::nt::{
    IoStatus, OperationRegistration, ParameterBlock, Parameters, PostOperation, RelatedObjects, data, fo, major, post,
    pre,
};

/// An operation to be sent through the instances of its volume.
#[derive(Clone, Debug)]
pub struct Request {
    pub major: u8,
    pub minor: u8,
    /// `SL_…`
    pub flags: u8,
    pub irp_flags: u32,
    /// `FLTFL_CALLBACK_DATA_…`: what kind it is.
    pub data_flags: u32,
    pub file: Option<Arc<File>>,
    pub volume: Arc<Volume>,
    pub parameters: Parameters,
    /// The process that it is for; the System process if `None`.
    pub identity: Option<Identity>,
}

impl Request {
    /// An IRP on a file.
    pub fn new(code: u8, file: &Arc<File>, parameters: Parameters, identity: Option<Identity>) -> Self {
        Self {
            major: code,
            minor: 0,
            flags: 0,
            irp_flags: 0,
            data_flags: if major::is_irp(code) { data::IRP } else { data::FS_FILTER },
            file: Some(file.clone()),
            volume: file.volume.clone(),
            parameters,
            identity,
        }
    }
}

/// How an operation ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub io_status: IoStatus,
    /// The filter that completed it, or changed its status afterwards.
    pub by: Option<String>,
    /// The parameters as the lowest instance left them.
    pub block: ParameterBlock,
}

/// `KernelMode` and `UserMode`
const KERNEL: i8 = 0;
const USER: i8 = 1;

/// An instance has let an operation pass, and waits for its end.
#[derive(Debug)]
struct Pass {
    instance: Arc<Instance>,
    data: Arc<Data>,
    routine: PostOperation,
    context: Ptr,
    /// The parameters as it saw them: what it sees again afterwards.
    block: ParameterBlock,
    /// Whether its post-callback has been called, or is about to be.
    taken: Mutex<bool>,
}

impl Pass {
    fn take(&self) -> bool {
        !std::mem::replace(&mut *lock(&self.taken), true)
    }
}

/// All that have not ended.
static PASSES: Mutex<Vec<Arc<Pass>>> = Mutex::new(Vec::new());

/// Sends an operation through all instances of its volume, and then to `below`.
pub fn run(request: &Request, below: impl FnMut(&Data) -> IoStatus) -> Outcome {
    instance::attach_all(&request.volume);
    run_through(&instance::at_volume(&request.volume), request, below)
}

/// Sends an operation of an instance's own through those below it, and then to `below`.
pub fn run_below(above: &Arc<Instance>, request: &Request, below: impl FnMut(&Data) -> IoStatus) -> Outcome {
    let all = instance::at_volume(&request.volume);
    let lower: Vec<Arc<Instance>> = all.into_iter().filter(|instance| instance.altitude < above.altitude).collect();
    run_through(&lower, request, below)
}

fn run_through(instances: &[Arc<Instance>], request: &Request, mut below: impl FnMut(&Data) -> IoStatus) -> Outcome {
    let data = new_data(request);
    let mut passes = Vec::new();
    // descriptors of memory that drivers put in the place of the program's: they are freed for them
    let mut swapped = Vec::new();
    let mut by = None;
    for instance in instances {
        let Some(operation) = instance.filter.operation(request.major) else { continue };
        if !instance.filter.is_started() || instance.is_going() || skips(operation, request) {
            continue;
        }
        let descriptor = descriptor(&data.block());
        instance.users.add("callbacks");
        let (ends, pass) = enter(instance, &data, *operation);
        instance.users.remove("callbacks");
        swapped.extend(self::descriptor(&data.block()).filter(|new| Some(*new) != descriptor));
        passes.extend(pass);
        if ends {
            by = Some(instance.filter.name.clone());
            break;
        }
    }
    let block = data.block();
    if by.is_none() {
        let io_status = below(&data);
        data.set_io_status(io_status);
        data.tell_status(io_status.status);
    }
    for pass in passes.into_iter().rev() {
        let before = data.io_status().status;
        leave(&pass, &data, 0);
        // FltLockUserBuffer makes one afterwards too
        swapped.extend(descriptor(&data.block()).filter(|new| Some(*new) != descriptor(&pass.block)));
        if data.io_status().status != before {
            by = Some(pass.instance.filter.name.clone());
        }
    }
    let io_status = data.io_status();
    data.end();
    swapped.into_iter().for_each(|descriptor| memory::IoFreeMdl(descriptor));
    Outcome { io_status, by, block }
}

/// The descriptor of the operation's buffer.
fn descriptor(block: &ParameterBlock) -> Option<Ptr<memory::Mdl>> {
    let (_, descriptor) = generated::buffer_members(block.major)?;
    block.parameters.pointer(descriptor).some()
}

fn new_data(request: &Request) -> Arc<Data> {
    let file = request.file.as_ref().map_or(Ptr::NULL, |file| file.object());
    let block = ParameterBlock {
        irp_flags: request.irp_flags,
        major: request.major,
        minor: request.minor,
        flags: request.flags,
        file,
        parameters: request.parameters,
        ..ParameterBlock::default()
    };
    let mode = if request.data_flags & data::GENERATED_IO != 0 { KERNEL } else { USER };
    Data::new(request.data_flags, block, request.file.clone(), request.identity.clone(), mode)
}

/// Whether an instance asked not to see this read or write.
fn skips(operation: &OperationRegistration, request: &Request) -> bool {
    const NOCACHE: u32 = 1;
    const PAGING: u32 = 2;
    if !matches!(request.major, major::READ | major::WRITE) {
        return false;
    }
    let (paging, uncached) = (request.irp_flags & PAGING != 0, request.irp_flags & NOCACHE != 0);
    let skip = if paging {
        1
    } else if uncached {
        8
    } else {
        2
    };
    operation.flags & skip != 0
}

fn related(instance: &Arc<Instance>, data: &Data) -> RelatedObjects {
    RelatedObjects { file: data.block().file, ..instance.related() }
}

/// Calls a pre-callback: whether the operation ends here, and what the instance waits for.
fn enter(instance: &Arc<Instance>, data: &Arc<Data>, operation: OperationRegistration) -> (bool, Option<Arc<Pass>>) {
    sanitizer::acquire(Arc::as_ptr(&instance.filter) as usize);
    let mut before = data.block();
    before.instance = crate::kernel::object::address(instance);
    data.set_block(before);
    let (mut answer, mut context) = (pre::SUCCESS_WITH_CALLBACK, Ptr::NULL);
    if let Some(routine) = operation.pre {
        let mut related = related(instance, data);
        data.set_current(Some(instance.clone()));
        answer = callback::call("the pre-operation callback", data.identity.clone(), data.number, || {
            routine(data.address(), Ptr::new(&raw mut related), Ptr::new(&raw mut context))
        });
        data.set_current(None);
        if answer == pre::PENDING {
            (answer, context) = data.wait_pre();
        }
    }
    judge_parameters(data, before);
    let what = major::name(before.major);
    if !matches!(answer, pre::SUCCESS_WITH_CALLBACK | pre::SYNCHRONIZE) && !context.is_null() {
        report::find(
            Rule::PreopContext,
            format!("{what}: a completion context is set and no post-callback will get it"),
        );
    }
    match answer {
        pre::COMPLETE => {
            judge_completion(data, before.major);
            return (true, None);
        }
        pre::DISALLOW_FASTIO if data.read().flags & data::FAST_IO != 0 => {
            data.set_io_status(IoStatus { status: status::FLT_DISALLOW_FAST_IO, information: 0 });
            return (true, None);
        }
        pre::SUCCESS_WITH_CALLBACK | pre::SYNCHRONIZE => {}
        _ => return (false, None),
    }
    if answer == pre::SYNCHRONIZE && before.major == major::CREATE {
        report::find(Rule::SyncCreate, "FLT_PREOP_SYNCHRONIZE for IRP_MJ_CREATE, which is always synchronized");
    }
    let Some(routine) = operation.post else {
        report::find(Rule::PreopNopost, format!("{what}: the callback asks for a post-callback and registered none"));
        return (false, None);
    };
    let taken = Mutex::new(false);
    let pass =
        Arc::new(Pass { instance: instance.clone(), data: data.clone(), routine, context, block: before, taken });
    lock(&PASSES).push(pass.clone());
    (false, Some(pass))
}

/// Parameters that were changed count only if the driver said so.
fn judge_parameters(data: &Data, before: ParameterBlock) {
    let after = data.block();
    if after != before && data.read().flags & data::DIRTY == 0 {
        report::find(
            Rule::DirtyMissed,
            format!("{}: parameters are changed without FltSetCallbackDataDirty", major::name(before.major)),
        );
        data.set_block(before);
    }
}

fn judge_completion(data: &Data, code: u8) {
    let mut io_status = data.io_status();
    if matches!(io_status.status, status::PENDING | status::FLT_DISALLOW_FAST_IO) {
        report::find(Rule::CompleteStatus, format!("{} is completed with {:?}", major::name(code), io_status.status));
        io_status.status = status::UNSUCCESSFUL;
    }
    if matches!(code, major::CLEANUP | major::CLOSE) && !io_status.status.is_success_severity() {
        report::find(Rule::CompleteStatus, format!("{} can not fail", major::name(code)));
        io_status.status = status::SUCCESS;
    }
    if code == major::CREATE && io_status.status == status::SUCCESS {
        report::find(Rule::CompleteCreate, "IRP_MJ_CREATE is completed with success: there is no file to give");
        io_status.status = status::IO_DEVICE_ERROR;
    }
    if !io_status.status.is_success_severity() && io_status.information != 0 {
        report::find(Rule::IoStatusInfo, "a failure with Information that is not 0");
    }
    data.set_io_status(io_status);
}

/// Calls a post-callback, unless an instance that goes has had it already.
fn leave(pass: &Arc<Pass>, data: &Arc<Data>, flags: u32) {
    lock(&PASSES).retain(|other| !Arc::ptr_eq(other, pass));
    if pass.take() {
        finish(pass, data, flags);
    }
}

fn finish(pass: &Pass, data: &Arc<Data>, flags: u32) {
    let lowered = data.block();
    data.set_block(pass.block);
    let draining = flags & post::DRAINING != 0;
    data.set_flags(data::POST_OPERATION | if draining { data::DRAINING } else { 0 }, 0);
    let mut related = related(&pass.instance, data);
    pass.instance.users.add("callbacks");
    data.set_current(Some(pass.instance.clone()));
    let answer = callback::call("the post-operation callback", data.identity.clone(), data.number, || {
        (pass.routine)(data.address(), Ptr::new(&raw mut related), pass.context, flags)
    });
    if answer == post::MORE_PROCESSING_REQUIRED {
        if draining {
            report::find(Rule::Answer, "FLT_POSTOP_MORE_PROCESSING_REQUIRED although the instance goes");
        } else {
            data.wait_post();
        }
    }
    data.set_current(None);
    pass.instance.users.remove("callbacks");
    judge_cancel(data);
    data.set_flags(0, data::POST_OPERATION | data::DRAINING);
    data.set_block(lowered);
}

/// A file whose open was cancelled must not be reported as opened.
fn judge_cancel(data: &Data) {
    let Some(file) = &data.file else { return };
    let cancelled = file.flags() & fo::FILE_OPEN_CANCELLED != 0;
    if data.block().major == major::CREATE && cancelled && data.io_status().status.is_success_severity() {
        report::find(
            Rule::CancelSuccess,
            "FltCancelFileOpen was called, and the status of the create is still success",
        );
        data.set_io_status(IoStatus { status: status::ACCESS_DENIED, information: 0 });
    }
}

/// An instance goes: the operations that it let pass give their contexts back, with a copy of their data.
pub fn drain(instance: &Arc<Instance>) {
    let waiting: Vec<Arc<Pass>> =
        lock(&PASSES).iter().filter(|pass| Arc::ptr_eq(&pass.instance, instance)).cloned().collect();
    for pass in waiting {
        if pass.take() {
            let copy = pass.data.copied();
            finish(&pass, &copy, post::DRAINING);
            copy.end();
        }
    }
}

/// Whether any instance of the volume wants this kind of operation.
pub fn is_wanted(volume: &Arc<Volume>, code: u8) -> bool {
    instance::at_volume(volume).iter().any(|instance| instance.filter.operation(code).is_some() && !instance.is_going())
}

/// Success with this information.
pub fn done(information: usize) -> IoStatus {
    IoStatus { status: status::SUCCESS, information }
}

/// A failure.
pub fn failed(status: Status) -> IoStatus {
    IoStatus { status, information: 0 }
}
