//! HRESULT: what the functions of FltLib return.
use super::{CUSTOMER, Status, TABLE};
use std::fmt;

const FACILITY_WIN32: u32 = 0x8007_0000;
/// FACILITY_USERMODE_FILTER_MANAGER in its place.
const FACILITY_FLT: u32 = 0x001F_0000;

/// An HRESULT. Negative as the signed number that C sees means failure.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct HResult(pub u32);

impl HResult {
    /// Success.
    #[doc(alias = "S_OK")]
    pub const OK: Self = Self(0);
    /// Failure without a reason: a status whose facility is neither general nor the filter manager's.
    #[doc(alias = "E_FAIL")]
    pub const FAIL: Self = Self(0x8000_4005);
    /// A wrong argument; the same value as Win32 error 87.
    #[doc(alias = "E_INVALIDARG")]
    pub const INVALID_ARGUMENT: Self = Self(0x8007_0057);
    /// No memory; the same value as Win32 error 14. FltLib itself returns it, no status translates to it.
    #[doc(alias = "E_OUTOFMEMORY")]
    pub const OUT_OF_MEMORY: Self = Self(0x8007_000E);

    /// The HRESULT of a Win32 error. 0 and what is already an HRESULT (negative as a signed number) pass unchanged.
    #[doc(alias = "HRESULT_FROM_WIN32")]
    pub const fn from_win32(error: u32) -> Self {
        if error.cast_signed() <= 0 { Self(error) } else { Self(error & 0xFFFF | FACILITY_WIN32) }
    }

    /// The HRESULT of a status of the filter manager: severity and number stay, the facility changes.
    pub(super) const fn from_flt(status: u32) -> Self {
        Self(status & 0x8000_FFFF | FACILITY_FLT)
    }

    /// True for every value but the non-negative ones.
    #[doc(alias = "FAILED")]
    pub const fn is_failure(self) -> bool {
        self.0 >> 31 == 1
    }

    /// The Win32 error inside, if this HRESULT holds one.
    #[doc(alias = "HRESULT_CODE")]
    pub const fn win32(self) -> Option<u32> {
        if self.0 & 0xFFFF_0000 == FACILITY_WIN32 { Some(self.0 & 0xFFFF) } else { None }
    }

    /// Every status of our table that FltLib translates to this HRESULT, in ascending order: 0x80070006 alone stands
    /// for an invalid handle, a name of another type and a dead port.
    pub fn statuses(self) -> impl Iterator<Item = Status> {
        TABLE.iter().map(|entry| entry.status).filter(move |status| status.to_hresult() == self)
    }

    /// The way back to a status, where there is only one: `None` if no status of our table or more than one translates
    /// to this HRESULT ([`HResult::statuses`] lists them). One that a program made up for itself is its own status.
    pub fn to_status(self) -> Option<Status> {
        if self.0 & CUSTOMER != 0 {
            let status = Status(self.0);
            return (status.to_hresult() == self).then_some(status);
        }
        let mut found = self.statuses();
        let status = found.next()?;
        found.next().is_none().then_some(status)
    }
}

impl From<Status> for HResult {
    fn from(status: Status) -> Self {
        status.to_hresult()
    }
}

impl fmt::Debug for HResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010X}", self.0)
    }
}

impl fmt::Display for HResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.win32() {
            Some(error) => write!(f, "HRESULT {self:?} (Win32 error {error})"),
            None => write!(f, "HRESULT {self:?}"),
        }
    }
}
