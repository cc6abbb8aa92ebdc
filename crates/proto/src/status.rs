//! NTSTATUS, the language in which both ends of a port say how a call ended, and its two translations for an
//! application: the Win32 code and the HRESULT.
//!
//! [`Status`] is a newtype and not an enum because a filter may return any of the 2³² values and an application may put
//! any of them in a reply; a value without a constant is as good as one with.
use std::fmt;

mod hresult;
mod table;

pub use hresult::HResult;
use table::TABLE;

/// An NTSTATUS: how a call ended.
///
/// `Display` is for people, `access denied (STATUS_ACCESS_DENIED)`; `Debug` is the name alone. A value without a name
/// prints its number.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
#[doc(alias = "NTSTATUS")]
pub struct Status(pub u32);

/// Facility of a status or an HRESULT that belongs to the filter manager, as an NTSTATUS has it.
const FACILITY_FILTER_MANAGER: u32 = 0x1C;
/// Set in a status that a program made up for itself: no table may translate it.
const CUSTOMER: u32 = 0x2000_0000;
/// Set where a status passed through Win32 on its way; it means the same without.
const FACILITY_NT_BIT: u32 = 0x1000_0000;
/// What RtlNtStatusToDosError says of a status it does not know.
const ERROR_MR_MID_NOT_FOUND: u32 = 317;
const WAIT_TIMEOUT: u32 = 258;

/// One row of the table: everything that is known of a status that has a name.
struct Entry {
    status: Status,
    name: &'static str,
    /// What RtlNtStatusToDosError gives; [`ERROR_MR_MID_NOT_FOUND`] where Windows has no translation.
    win32: u32,
    message: &'static str,
}

impl Status {
    /// Severity success or informational: what `NT_SUCCESS` accepts. True for [`Status::TIMEOUT`] and
    /// [`Status::PENDING`] too, so this is not "it worked": for that, compare with [`Status::SUCCESS`].
    #[doc(alias = "NT_SUCCESS")]
    pub const fn is_success_severity(self) -> bool {
        self.0 >> 31 == 0
    }

    /// Severity error, 0xC…, what `NT_ERROR` accepts. Neither this nor [`Status::is_success_severity`] is true for a
    /// warning such as [`Status::BUFFER_OVERFLOW`].
    #[doc(alias = "NT_ERROR")]
    pub const fn is_error(self) -> bool {
        self.0 >> 30 == 3
    }

    /// Severity warning, 0x8…, what `NT_WARNING` accepts.
    #[doc(alias = "NT_WARNING")]
    pub const fn is_warning(self) -> bool {
        self.0 >> 30 == 2
    }

    /// The name in the Windows headers, "STATUS_ACCESS_DENIED", if this status is in our table.
    pub fn name(self) -> Option<&'static str> {
        self.entry().map(|entry| entry.name)
    }

    /// What it means in a few lower-case words, "access denied", if this status is in our table.
    pub fn message(self) -> Option<&'static str> {
        self.entry().map(|entry| entry.message)
    }

    /// The Win32 error of this status, as RtlNtStatusToDosError gives it: what GetLastError says after an overlapped
    /// call ended with this status. 317 for a status outside our table; a status with the customer bit passes
    /// unchanged.
    #[doc(alias = "RtlNtStatusToDosError")]
    pub fn to_win32(self) -> u32 {
        if self.0 & CUSTOMER != 0 {
            return self.0;
        }
        let status = match self.0 & 0xF000_0000 {
            0xD000_0000 => Self(self.0 & !FACILITY_NT_BIT),
            _ => self,
        };
        match status.0 >> 16 {
            // The two ways in which a Win32 code travels inside a status.
            0xC001 | 0x8007 => status.0 & 0xFFFF,
            _ => status.entry().map_or(ERROR_MR_MID_NOT_FOUND, |entry| entry.win32),
        }
    }

    /// The HRESULT that FltLib returns for this status. Only [`Status::SUCCESS`] gives a success: every other status,
    /// those of success severity included, is a failure there.
    #[doc(alias = "FILTER_HRESULT_FROM_FLT_NTSTATUS")]
    pub fn to_hresult(self) -> HResult {
        if self == Self::SUCCESS {
            return HResult::OK;
        }
        match (self.0 >> 16) & 0xFFF {
            0 if self == Self::TIMEOUT => HResult::from_win32(WAIT_TIMEOUT),
            0 => HResult::from_win32(self.to_win32()),
            FACILITY_FILTER_MANAGER if self == Self::FLT_BUFFER_TOO_SMALL => Self::BUFFER_TOO_SMALL.to_hresult(),
            FACILITY_FILTER_MANAGER => HResult::from_flt(self.0),
            _ => HResult::FAIL,
        }
    }

    /// Every status that has a constant, in ascending order.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|entry| entry.status)
    }

    fn entry(self) -> Option<&'static Entry> {
        let at = TABLE.binary_search_by_key(&self.0, |entry| entry.status.0).ok()?;
        TABLE.get(at)
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#010X}", self.0),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entry() {
            Some(entry) => write!(f, "{} ({})", entry.message, entry.name),
            None => write!(f, "status {:#010X}", self.0),
        }
    }
}
