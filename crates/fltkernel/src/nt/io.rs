//! The I/O manager's structures.

use super::status::Status;
use super::{ListEntry, UnicodeString};
use crate::edge::Ptr;

/// `KEVENT`, as part of others.
pub type Event = [u64; 3];

/// `FILE_OBJECT`
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct FileObject {
    pub kind: i16,
    pub size: i16,
    pub device: Ptr,
    pub vpb: Ptr,
    pub context: Ptr,
    pub context2: Ptr,
    pub sections: Ptr,
    pub cache: Ptr,
    pub final_status: u32,
    pub related: Ptr<Self>,
    pub locked: u8,
    pub delete_pending: u8,
    pub read_access: u8,
    pub write_access: u8,
    pub delete_access: u8,
    pub shared_read: u8,
    pub shared_write: u8,
    pub shared_delete: u8,
    pub flags: u32,
    pub name: UnicodeString,
    pub offset: i64,
    pub waiters: u32,
    pub busy: u32,
    pub last_lock: Ptr,
    pub lock: Event,
    pub event: Event,
    pub completion: Ptr,
    pub irp_list_lock: usize,
    pub irp_list: ListEntry,
    pub extension: Ptr,
}

/// `FO_…`
pub mod fo {
    pub const SYNCHRONOUS_IO: u32 = 0x2;
    pub const NO_INTERMEDIATE_BUFFERING: u32 = 0x8;
    pub const WRITE_THROUGH: u32 = 0x10;
    pub const FILE_MODIFIED: u32 = 0x1000;
    pub const CLEANUP_COMPLETE: u32 = 0x4000;
    pub const DELETE_ON_CLOSE: u32 = 0x1_0000;
    pub const OPENED_CASE_SENSITIVE: u32 = 0x2_0000;
    pub const HANDLE_CREATED: u32 = 0x4_0000;
    pub const FILE_OPEN_CANCELLED: u32 = 0x20_0000;
    pub const VOLUME_OPEN: u32 = 0x40_0000;
}

/// `DRIVER_OBJECT`
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct DriverObject {
    pub kind: i16,
    pub size: i16,
    pub device: Ptr,
    pub flags: u32,
    pub start: Ptr,
    pub length: u32,
    pub section: Ptr,
    pub extension: Ptr,
    pub name: UnicodeString,
    pub hardware: Ptr,
    pub fast_io: Ptr,
    pub init: Ptr,
    pub start_io: Ptr,
    pub unload: Ptr,
    pub major: [Option<Dispatch>; 28],
}

/// `PDRIVER_DISPATCH`
pub type Dispatch = extern "C" fn(Ptr<DeviceObject>, Ptr<Irp>) -> Status;

/// `DEVICE_OBJECT`
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(16))]
pub struct DeviceObject {
    pub kind: i16,
    pub size: u16,
    pub references: i32,
    pub driver: Ptr<DriverObject>,
    pub next: Ptr<Self>,
    pub attached: Ptr<Self>,
    pub irp: Ptr,
    pub timer: Ptr,
    pub flags: u32,
    pub characteristics: u32,
    pub vpb: Ptr,
    pub extension: Ptr,
    pub device_type: u32,
    pub stack_size: i8,
    pub queue: [u64; 9],
    pub alignment: u32,
    pub rest: [u64; 18],
    pub sector_size: u16,
    pub spare: u16,
    pub object_extension: Ptr,
    pub reserved: Ptr,
}

/// `IRP`
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub struct Irp {
    pub kind: i16,
    pub size: u16,
    pub mdl: Ptr,
    pub flags: u32,
    pub system_buffer: Ptr,
    pub threads: ListEntry,
    pub io_status: super::IoStatus,
    pub mode: i8,
    pub pending: u8,
    pub stack_count: i8,
    pub location: i8,
    pub cancel: u8,
    pub cancel_irql: u8,
    pub apc: u8,
    pub allocation: u8,
    pub user_status: Ptr,
    pub user_event: Ptr,
    pub overlay: [u64; 2],
    pub cancel_routine: Ptr,
    pub user_buffer: Ptr,
    pub tail: [Ptr; 4],
    pub thread: Ptr,
    pub auxiliary: Ptr,
    pub list: ListEntry,
    pub stack: Ptr<StackLocation>,
    pub file: Ptr<FileObject>,
    pub rest: [u64; 1],
}

/// `IO_STACK_LOCATION`
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct StackLocation {
    pub major: u8,
    pub minor: u8,
    pub flags: u8,
    pub control: u8,
    pub parameters: [u64; 4],
    pub device: Ptr<DeviceObject>,
    pub file: Ptr<FileObject>,
    pub completion: Ptr,
    pub context: Ptr,
}

/// `IO_SECURITY_CONTEXT`
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct SecurityContext {
    pub quality: Ptr,
    pub access_state: Ptr<AccessState>,
    pub desired_access: u32,
    pub options: u32,
}

/// `ACCESS_STATE`
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct AccessState {
    pub operation: [u32; 2],
    pub evaluated: [u8; 4],
    pub flags: u32,
    pub remaining: u32,
    pub granted: u32,
    pub original: u32,
    pub subject: [u64; 4],
    pub descriptor: Ptr,
    pub auxiliary: Ptr,
    pub privileges: [u32; 11],
    pub audit: u8,
    pub name: UnicodeString,
    pub kind: UnicodeString,
}

// the headers' layouts: tests/c/layout.c
const _: () = {
    use std::mem::offset_of;
    assert!(
        size_of::<FileObject>() == 216 && offset_of!(FileObject, flags) == 80 && offset_of!(FileObject, name) == 88
    );
    assert!(size_of::<DriverObject>() == 336 && offset_of!(DriverObject, major) == 112);
    assert!(size_of::<DeviceObject>() == 336 && offset_of!(DeviceObject, sector_size) == 304);
    assert!(offset_of!(DeviceObject, alignment) == 152 && offset_of!(DeviceObject, device_type) == 72);
    assert!(size_of::<Irp>() == 208 && offset_of!(Irp, stack) == 184 && offset_of!(Irp, io_status) == 48);
    assert!(size_of::<StackLocation>() == 72 && size_of::<SecurityContext>() == 24);
    assert!(
        size_of::<AccessState>() == 160
            && offset_of!(AccessState, original) == 24
            && offset_of!(AccessState, name) == 128
    );
};
