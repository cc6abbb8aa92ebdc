//! The filter manager's structures.

use super::status::Status;
use super::{FileObject, IoStatus, UnicodeString};
use crate::edge::Ptr;

pub type PreOperation = extern "C" fn(Ptr<CallbackData>, Ptr<RelatedObjects>, Ptr<Ptr>) -> u32;
pub type PostOperation = extern "C" fn(Ptr<CallbackData>, Ptr<RelatedObjects>, Ptr, u32) -> u32;
pub type InstanceSetup = extern "C" fn(Ptr<RelatedObjects>, u32, u32, u32) -> Status;
pub type InstanceQuery = extern "C" fn(Ptr<RelatedObjects>, u32) -> Status;
pub type InstanceTeardown = extern "C" fn(Ptr<RelatedObjects>, u32);
pub type Unload = extern "C" fn(u32) -> Status;
pub type ContextCleanup = extern "C" fn(Ptr, u16);
pub type ContextAllocate = extern "C" fn(u32, usize, u16) -> Ptr;
pub type ContextFree = extern "C" fn(Ptr, u16);

/// `FLT_REGISTRATION`
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Registration {
    pub size: u16,
    pub version: u16,
    pub flags: u32,
    pub contexts: Ptr<ContextRegistration>,
    pub operations: Ptr<OperationRegistration>,
    pub unload: Option<Unload>,
    pub setup: Option<InstanceSetup>,
    pub query_teardown: Option<InstanceQuery>,
    pub teardown_start: Option<InstanceTeardown>,
    pub teardown_complete: Option<InstanceTeardown>,
    pub generate_name: Ptr,
    pub normalize_component: Ptr,
    pub normalize_cleanup: Ptr,
    pub transaction: Ptr,
    pub normalize_component_ex: Ptr,
    pub section: Ptr,
}

pub const REGISTRATION_DO_NOT_SUPPORT_SERVICE_STOP: u32 = 1;

/// `FLT_OPERATION_REGISTRATION`
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct OperationRegistration {
    pub major: u8,
    pub flags: u32,
    pub pre: Option<PreOperation>,
    pub post: Option<PostOperation>,
    reserved: Ptr,
}

/// `IRP_MJ_OPERATION_END`
pub const OPERATION_END: u8 = 0x80;

/// `FLT_CONTEXT_REGISTRATION`
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct ContextRegistration {
    pub kind: u16,
    pub flags: u16,
    pub cleanup: Option<ContextCleanup>,
    pub size: usize,
    pub tag: u32,
    pub allocate: Option<ContextAllocate>,
    pub free: Option<ContextFree>,
    pub reserved: Ptr,
}

/// `FLT_CONTEXT_END`
pub const CONTEXT_END: u16 = 0xFFFF;

/// `FLT_IO_PARAMETER_BLOCK`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ParameterBlock {
    pub irp_flags: u32,
    pub major: u8,
    pub minor: u8,
    pub flags: u8,
    pub reserved: u8,
    pub file: Ptr<FileObject>,
    pub instance: Ptr,
    pub parameters: Parameters,
}

/// `FLT_PARAMETERS`: 48 bytes that mean something else for each operation. Members are read and written by their
/// offset, which include/fltkernel/fltKernel.h fixes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Parameters(pub [u64; 6]);

impl Parameters {
    /// A member of 64 bits or less that begins in this 8-byte word.
    pub fn word(&self, number: usize) -> u64 {
        self.0[number]
    }

    /// A ULONG that begins this word.
    pub fn long(&self, number: usize) -> u32 {
        self.0[number] as u32
    }

    /// A pointer.
    pub fn pointer<T>(&self, number: usize) -> Ptr<T> {
        Ptr::at_address(self.0[number] as usize)
    }

    /// Sets a word.
    #[must_use]
    pub fn with(mut self, number: usize, value: u64) -> Self {
        self.0[number] = value;
        self
    }

    /// Sets a pointer.
    #[must_use]
    pub fn with_pointer<T>(self, number: usize, value: Ptr<T>) -> Self {
        self.with(number, value.address() as u64)
    }
}

/// `FLT_CALLBACK_DATA`
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CallbackData {
    pub flags: u32,
    pub thread: Ptr,
    pub block: Ptr<ParameterBlock>,
    pub io_status: IoStatus,
    pub tag_data: Ptr,
    pub contexts: [Ptr; 4],
    pub mode: i8,
}

/// `FLTFL_CALLBACK_DATA_…`
pub mod data {
    pub const IRP: u32 = 0x1;
    pub const FAST_IO: u32 = 0x2;
    pub const FS_FILTER: u32 = 0x4;
    pub const SYSTEM_BUFFER: u32 = 0x8;
    pub const GENERATED_IO: u32 = 0x1_0000;
    pub const REISSUED: u32 = 0x2_0000;
    pub const DRAINING: u32 = 0x4_0000;
    pub const POST_OPERATION: u32 = 0x8_0000;
    pub const DIRTY: u32 = 0x8000_0000;
}

/// `FLT_RELATED_OBJECTS`
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct RelatedObjects {
    pub size: u16,
    pub transaction_context: u16,
    pub filter: Ptr,
    pub volume: Ptr,
    pub instance: Ptr,
    pub file: Ptr<FileObject>,
    pub transaction: Ptr,
}

/// `FLT_FILE_NAME_INFORMATION`
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct FileNameInformation {
    pub size: u16,
    pub parsed: u16,
    pub format: u32,
    pub name: UnicodeString,
    pub volume: UnicodeString,
    pub share: UnicodeString,
    pub extension: UnicodeString,
    pub stream: UnicodeString,
    pub final_component: UnicodeString,
    pub parent: UnicodeString,
}

/// `FLT_VOLUME_PROPERTIES`
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct VolumeProperties {
    pub device_type: u32,
    pub characteristics: u32,
    pub device_flags: u32,
    pub alignment: u32,
    pub sector_size: u16,
    pub flags: u16,
    pub driver_name: UnicodeString,
    pub device_name: UnicodeString,
    pub real_device_name: UnicodeString,
}

/// `FLT_PREOP_…`
pub mod pre {
    pub const SUCCESS_WITH_CALLBACK: u32 = 0;
    pub const SUCCESS_NO_CALLBACK: u32 = 1;
    pub const PENDING: u32 = 2;
    pub const DISALLOW_FASTIO: u32 = 3;
    pub const COMPLETE: u32 = 4;
    pub const SYNCHRONIZE: u32 = 5;
    pub const DISALLOW_FSFILTER_IO: u32 = 6;
}

/// `FLT_POSTOP_…`
pub mod post {
    pub const FINISHED: u32 = 0;
    pub const MORE_PROCESSING_REQUIRED: u32 = 1;
    /// Flag of a call: the instance goes, only clean up.
    pub const DRAINING: u32 = 1;
}

/// `IRP_MJ_…`
pub mod major {
    pub const CREATE: u8 = 0x00;
    pub const CLOSE: u8 = 0x02;
    pub const READ: u8 = 0x03;
    pub const WRITE: u8 = 0x04;
    pub const QUERY_INFORMATION: u8 = 0x05;
    pub const SET_INFORMATION: u8 = 0x06;
    pub const QUERY_EA: u8 = 0x07;
    pub const SET_EA: u8 = 0x08;
    pub const FLUSH_BUFFERS: u8 = 0x09;
    pub const QUERY_VOLUME_INFORMATION: u8 = 0x0A;
    pub const DIRECTORY_CONTROL: u8 = 0x0C;
    pub const FILE_SYSTEM_CONTROL: u8 = 0x0D;
    pub const DEVICE_CONTROL: u8 = 0x0E;
    pub const LOCK_CONTROL: u8 = 0x11;
    pub const CLEANUP: u8 = 0x12;
    pub const QUERY_SECURITY: u8 = 0x14;
    pub const SET_SECURITY: u8 = 0x15;
    pub const ACQUIRE_FOR_SECTION: u8 = 0xFF;
    pub const RELEASE_FOR_SECTION: u8 = 0xFE;
    pub const FAST_IO_CHECK_IF_POSSIBLE: u8 = 0xF3;
    pub const NETWORK_QUERY_OPEN: u8 = 0xF2;
    pub const VOLUME_MOUNT: u8 = 0xED;
    pub const VOLUME_DISMOUNT: u8 = 0xEC;

    /// Every code with its name, in the order of Windows' table.
    pub const NAMES: &[(u8, &str)] = &[
        (CREATE, "IRP_MJ_CREATE"),
        (0x01, "IRP_MJ_CREATE_NAMED_PIPE"),
        (CLOSE, "IRP_MJ_CLOSE"),
        (READ, "IRP_MJ_READ"),
        (WRITE, "IRP_MJ_WRITE"),
        (QUERY_INFORMATION, "IRP_MJ_QUERY_INFORMATION"),
        (SET_INFORMATION, "IRP_MJ_SET_INFORMATION"),
        (QUERY_EA, "IRP_MJ_QUERY_EA"),
        (SET_EA, "IRP_MJ_SET_EA"),
        (FLUSH_BUFFERS, "IRP_MJ_FLUSH_BUFFERS"),
        (QUERY_VOLUME_INFORMATION, "IRP_MJ_QUERY_VOLUME_INFORMATION"),
        (0x0B, "IRP_MJ_SET_VOLUME_INFORMATION"),
        (DIRECTORY_CONTROL, "IRP_MJ_DIRECTORY_CONTROL"),
        (FILE_SYSTEM_CONTROL, "IRP_MJ_FILE_SYSTEM_CONTROL"),
        (DEVICE_CONTROL, "IRP_MJ_DEVICE_CONTROL"),
        (0x0F, "IRP_MJ_INTERNAL_DEVICE_CONTROL"),
        (0x10, "IRP_MJ_SHUTDOWN"),
        (LOCK_CONTROL, "IRP_MJ_LOCK_CONTROL"),
        (CLEANUP, "IRP_MJ_CLEANUP"),
        (0x13, "IRP_MJ_CREATE_MAILSLOT"),
        (QUERY_SECURITY, "IRP_MJ_QUERY_SECURITY"),
        (SET_SECURITY, "IRP_MJ_SET_SECURITY"),
        (0x16, "IRP_MJ_POWER"),
        (0x17, "IRP_MJ_SYSTEM_CONTROL"),
        (0x18, "IRP_MJ_DEVICE_CHANGE"),
        (0x19, "IRP_MJ_QUERY_QUOTA"),
        (0x1A, "IRP_MJ_SET_QUOTA"),
        (0x1B, "IRP_MJ_PNP"),
        (ACQUIRE_FOR_SECTION, "IRP_MJ_ACQUIRE_FOR_SECTION_SYNCHRONIZATION"),
        (RELEASE_FOR_SECTION, "IRP_MJ_RELEASE_FOR_SECTION_SYNCHRONIZATION"),
        (0xFD, "IRP_MJ_ACQUIRE_FOR_MOD_WRITE"),
        (0xFC, "IRP_MJ_RELEASE_FOR_MOD_WRITE"),
        (0xFB, "IRP_MJ_ACQUIRE_FOR_CC_FLUSH"),
        (0xFA, "IRP_MJ_RELEASE_FOR_CC_FLUSH"),
        (0xF9, "IRP_MJ_QUERY_OPEN"),
        (0xF8, "IRP_MJ_NOTIFY_STREAM_FO_CREATION"),
        (FAST_IO_CHECK_IF_POSSIBLE, "IRP_MJ_FAST_IO_CHECK_IF_POSSIBLE"),
        (NETWORK_QUERY_OPEN, "IRP_MJ_NETWORK_QUERY_OPEN"),
        (0xF1, "IRP_MJ_MDL_READ"),
        (0xF0, "IRP_MJ_MDL_READ_COMPLETE"),
        (0xEF, "IRP_MJ_PREPARE_MDL_WRITE"),
        (0xEE, "IRP_MJ_MDL_WRITE_COMPLETE"),
        (VOLUME_MOUNT, "IRP_MJ_VOLUME_MOUNT"),
        (VOLUME_DISMOUNT, "IRP_MJ_VOLUME_DISMOUNT"),
    ];

    /// The name of a code.
    pub fn name(major: u8) -> String {
        let known = NAMES.iter().find(|(code, _)| *code == major);
        known.map_or_else(|| format!("IRP_MJ_0x{major:02X}"), |(_, name)| (*name).to_owned())
    }

    /// Whether it is made by an IRP: not by a callback of the file system runtime.
    pub fn is_irp(major: u8) -> bool {
        major <= 0x1B
    }
}

const _: () = {
    use std::mem::offset_of;
    assert!(size_of::<Registration>() == 112 && size_of::<OperationRegistration>() == 32);
    assert!(size_of::<ContextRegistration>() == 56 && size_of::<ParameterBlock>() == 72);
    assert!(size_of::<CallbackData>() == 88 && offset_of!(CallbackData, mode) == 80);
    assert!(size_of::<RelatedObjects>() == 48 && size_of::<FileNameInformation>() == 120);
    assert!(size_of::<VolumeProperties>() == 72);
};
