//! Callback data: one operation as drivers see it, on its way through the instances.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::file::File;
use super::instance::Instance;
use crate::edge::{Memory, Place, Ptr, member};
use crate::kernel::object::{self, Object, address};
use crate::kernel::report::{self, Rule};
use crate::kernel::thread::Identity;
use crate::lock;
use crate::nt::status::{self, Status};
use crate::nt::{CallbackData, IoStatus, ParameterBlock, RelatedObjects, data, pre};

/// `FLT_CALLBACK_DATA` and its parameter block, and what we must know of them.
#[derive(Debug)]
pub struct Data {
    memory: Memory,
    pub file: Option<Arc<File>>,
    pub identity: Option<Identity>,
    /// The operation's number.
    pub number: u64,
    pended: Mutex<Pended>,
    continued: Condvar,
    status_callbacks: Mutex<Vec<StatusCallback>>,
    current: Mutex<Option<Arc<Instance>>>,
}

impl Object for Data {
    fn kind(&self) -> &'static str {
        "callback data"
    }
}

/// Where a pended operation is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Pended {
    #[default]
    No,
    /// A pre-callback's answer came, maybe before the callback has returned PENDING.
    Pre(u32, Ptr),
    Post,
}

type GetStatus = extern "C" fn(Ptr<RelatedObjects>, Ptr<ParameterBlock>, Status, Ptr);

/// What a filter asked to be told of when the layers below have returned.
#[derive(Clone, Debug)]
struct StatusCallback {
    instance: Arc<Instance>,
    block: ParameterBlock,
    routine: GetStatus,
    context: Ptr,
}

impl Data {
    /// Callback data for an operation.
    pub fn new(
        flags: u32,
        block: ParameterBlock,
        file: Option<Arc<File>>,
        identity: Option<Identity>,
        mode: i8,
    ) -> Arc<Self> {
        let memory = Memory::new(size_of::<CallbackData>() + size_of::<ParameterBlock>());
        let whole: Ptr<CallbackData> = memory.at();
        let parameters: Ptr<ParameterBlock> = whole.add(1).cast();
        parameters.write(block);
        let thread = identity.as_ref().map_or(Ptr::NULL, |identity| address(&identity.thread));
        whole.write(CallbackData {
            flags,
            thread,
            block: parameters,
            io_status: IoStatus { status: status::SUCCESS, information: 0 },
            tag_data: Ptr::NULL,
            contexts: [Ptr::NULL; 4],
            mode,
        });
        let number = report::next_operation();
        let data = Arc::new(Self {
            memory,
            file,
            identity,
            number,
            pended: Mutex::default(),
            continued: Condvar::new(),
            status_callbacks: Mutex::default(),
            current: Mutex::default(),
        });
        object::add_at(data.address().cast(), data.clone());
        data
    }

    /// The `FLT_CALLBACK_DATA`.
    pub fn address(&self) -> Ptr<CallbackData> {
        self.memory.at()
    }

    /// Its contents at this moment.
    pub fn read(&self) -> CallbackData {
        self.address().read()
    }

    /// Its parameters at this moment.
    pub fn block(&self) -> ParameterBlock {
        self.read().block.read()
    }

    /// Overwrites its parameters.
    pub fn set_block(&self, block: ParameterBlock) {
        self.read().block.write(block);
    }

    /// How it ended, or will.
    pub fn io_status(&self) -> IoStatus {
        self.read().io_status
    }

    /// Sets how it ended.
    pub fn set_io_status(&self, io_status: IoStatus) {
        member!(self.address(), CallbackData, io_status).write(io_status);
    }

    /// Sets or clears flags.
    pub fn set_flags(&self, set: u32, clear: u32) {
        let flags = member!(self.address(), CallbackData, flags);
        flags.write(flags.read() & !clear | set);
    }

    /// Which instance's callback runs.
    pub fn set_current(&self, instance: Option<Arc<Instance>>) {
        *lock(&self.current) = instance;
    }

    /// A copy for an instance that goes while the operation is below.
    pub fn copied(&self) -> Arc<Self> {
        let whole = self.read();
        let copy = Self::new(whole.flags, self.block(), self.file.clone(), self.identity.clone(), whole.mode);
        copy.set_io_status(whole.io_status);
        copy
    }

    /// It is over: its address means nothing any more.
    pub fn end(&self) {
        object::remove(self.address().cast());
    }

    /// Waits until a driver has continued its pended pre-callback: with which answer.
    pub fn wait_pre(&self) -> (u32, Ptr) {
        let mut pended = lock(&self.pended);
        loop {
            if let Pended::Pre(answer, context) = *pended {
                *pended = Pended::No;
                return (answer, context);
            }
            pended = self.continued.wait(pended).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until a driver has finished its post-processing.
    pub fn wait_post(&self) {
        let mut pended = lock(&self.pended);
        while *pended != Pended::Post {
            pended = self.continued.wait(pended).unwrap_or_else(PoisonError::into_inner);
        }
        *pended = Pended::No;
    }

    fn proceed(&self, with: Pended) {
        let mut pended = lock(&self.pended);
        if *pended != Pended::No {
            drop(pended);
            return report::find(Rule::Answer, "an operation is continued a second time");
        }
        *pended = with;
        drop(pended);
        self.continued.notify_all();
    }

    /// Tells those that asked how the layers below ended it.
    pub fn tell_status(&self, status: Status) {
        for asked in std::mem::take(&mut *lock(&self.status_callbacks)) {
            let mut related = asked.instance.related();
            related.file = asked.block.file;
            let mut block = asked.block;
            super::callback::call("the operation status callback", self.identity.clone(), self.number, || {
                (asked.routine)(Ptr::new(&raw mut related), Ptr::new(&raw mut block), status, asked.context);
            });
        }
    }
}

/// The operation at this address; a finding if there is none.
pub fn get(address: Ptr<CallbackData>) -> Option<Arc<Data>> {
    object::get(address.cast(), "callback data")
}

#[unsafe(no_mangle)]
pub extern "C" fn FltSetCallbackDataDirty(address: Ptr<CallbackData>) {
    if let Some(known) = get(address) {
        known.set_flags(data::DIRTY, 0);
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn FltClearCallbackDataDirty(address: Ptr<CallbackData>) {
    if let Some(known) = get(address) {
        known.set_flags(0, data::DIRTY);
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn FltIsCallbackDataDirty(address: Ptr<CallbackData>) -> u8 {
    get(address).is_some_and(|known| known.read().flags & data::DIRTY != 0).into()
}

#[unsafe(no_mangle)]
pub extern "C" fn FltCompletePendedPreOperation(address: Ptr<CallbackData>, answer: u32, context: Ptr) {
    let Some(known) = get(address) else { return };
    if !matches!(answer, pre::SUCCESS_WITH_CALLBACK | pre::SUCCESS_NO_CALLBACK | pre::COMPLETE) {
        report::find(Rule::Answer, format!("a pended operation is continued with the answer {answer}"));
    }
    known.proceed(Pended::Pre(answer, context));
}

#[unsafe(no_mangle)]
pub extern "C" fn FltCompletePendedPostOperation(address: Ptr<CallbackData>) {
    if let Some(known) = get(address) {
        known.proceed(Pended::Post);
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn FltRequestOperationStatusCallback(
    address: Ptr<CallbackData>,
    routine: GetStatus,
    context: Ptr,
) -> Status {
    let Some(known) = get(address) else { return status::INVALID_PARAMETER };
    let whole = known.read();
    let block = known.block();
    let in_pre = whole.flags & (data::POST_OPERATION | data::DRAINING) == 0;
    let current = lock(&known.current).clone();
    let (Some(instance), true) =
        (current, in_pre && whole.flags & data::IRP != 0 && block.major != crate::nt::major::CLOSE)
    else {
        return status::INVALID_PARAMETER;
    };
    lock(&known.status_callbacks).push(StatusCallback { instance, block, routine, context });
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn FltGetRequestorProcess(address: Ptr<CallbackData>) -> Ptr {
    let identity = get(address).and_then(|known| known.identity.clone());
    identity.map_or(Ptr::NULL, |identity| object::address(&identity.process))
}

#[unsafe(no_mangle)]
pub extern "C" fn FltGetRequestorProcessId(address: Ptr<CallbackData>) -> u32 {
    get(address).and_then(|known| known.identity.clone()).map_or(0, |identity| identity.process.number)
}

#[unsafe(no_mangle)]
pub extern "C" fn FltGetRequestorProcessIdEx(address: Ptr<CallbackData>) -> Ptr {
    Ptr::at_address(FltGetRequestorProcessId(address) as usize)
}

#[unsafe(no_mangle)]
pub extern "C" fn FltGetRequestorSessionId(_address: Ptr<CallbackData>, session: Ptr<u32>) -> Status {
    session.write(1);
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn FltIsOperationSynchronous(address: Ptr<CallbackData>) -> u8 {
    get(address).is_some().into()
}

#[unsafe(no_mangle)]
pub extern "C" fn FltIs32bitProcess(_address: Ptr<CallbackData>) -> u8 {
    0
}

#[unsafe(no_mangle)]
pub extern "C" fn FltIsIoCanceled(_address: Ptr<CallbackData>) -> u8 {
    0
}

/// Operations whose data a driver keeps although they are over: where each was pended.
pub fn left() -> Vec<Place> {
    object::held().into_iter().filter(|(kind, ..)| *kind == "callback data").map(|(_, _, place)| place).collect()
}
