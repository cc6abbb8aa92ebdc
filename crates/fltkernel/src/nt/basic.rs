//! What everything is made of.

use crate::edge::Ptr;

/// `BOOLEAN`: a byte that may hold anything, of which a driver only sees 0 and 1.
pub type Boolean = u8;

/// A character of UTF-16: `WCHAR`.
pub type Unit = u16;

/// `UNICODE_STRING`: lengths in bytes, no terminator.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct UnicodeString {
    pub length: u16,
    pub room: u16,
    pub buffer: Ptr<Unit>,
}

/// `STRING` and `ANSI_STRING`
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct AnsiString {
    pub length: u16,
    pub room: u16,
    pub buffer: Ptr<u8>,
}

/// `LIST_ENTRY`
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct ListEntry {
    pub next: Ptr<Self>,
    pub previous: Ptr<Self>,
}

/// `GUID`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Guid {
    pub data1: u32,
    pub data2: u16,
    pub data3: u16,
    pub data4: [u8; 8],
}

/// `OBJECT_ATTRIBUTES`
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct ObjectAttributes {
    pub length: u32,
    pub root: Ptr,
    pub name: Ptr<UnicodeString>,
    pub attributes: u32,
    pub security: Ptr,
    pub quality: Ptr,
}

pub const OBJ_CASE_INSENSITIVE: u32 = 0x40;
pub const OBJ_KERNEL_HANDLE: u32 = 0x200;

/// `IO_STATUS_BLOCK`
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct IoStatus {
    pub status: super::status::Status,
    pub information: usize,
}

impl UnicodeString {
    /// Its units, copied.
    pub fn units(&self) -> Vec<Unit> {
        self.buffer.read_many(usize::from(self.length / 2))
    }

    /// Its text; a lone surrogate becomes U+FFFD.
    pub fn text(&self) -> String {
        String::from_utf16_lossy(&self.units())
    }
}

impl AnsiString {
    /// Its bytes, copied.
    pub fn bytes(&self) -> Vec<u8> {
        self.buffer.read_many(self.length.into())
    }
}

impl ObjectAttributes {
    /// The name, if there is one.
    pub fn name(&self) -> Option<Vec<Unit>> {
        self.name.some().map(|name| name.read().units())
    }
}

/// A text as UTF-16.
pub fn wide(text: &str) -> Vec<Unit> {
    text.encode_utf16().collect()
}

/// `CLIENT_ID`
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct ClientId {
    pub process: Ptr,
    pub thread: Ptr,
}

/// `PS_CREATE_NOTIFY_INFO`
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CreateNotifyInfo {
    pub size: usize,
    /// Bit 0: the name is that of the file that was opened.
    pub flags: u32,
    pub parent: Ptr,
    pub creator: ClientId,
    pub file: Ptr,
    pub image: Ptr<UnicodeString>,
    pub command_line: Ptr<UnicodeString>,
    pub status: super::status::Status,
}

/// `IMAGE_INFO`
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct ImageInfo {
    pub properties: u32,
    pub base: Ptr,
    pub selector: u32,
    pub size: usize,
    pub section: u32,
}
