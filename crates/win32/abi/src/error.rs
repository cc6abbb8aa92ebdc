//! The errors of Win32.

use std::fmt;

use proto::status::Status;
use sys::guarded::Fault;

/// A Win32 error: what GetLastError says. An HRESULT of FltLib is made of one too.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Error(pub u32);

macro_rules! errors {
    ($($name:ident $value:literal;)*) => {
        impl Error {
            $(
                #[doc = concat!("ERROR_", stringify!($name), ".")]
                pub const $name: Self = Self($value);
            )*
        }

        impl fmt::Debug for Error {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match *self {
                    $(Self::$name => f.write_str(concat!("ERROR_", stringify!($name))),)*
                    Self(other) => write!(f, "Win32 error {other}"),
                }
            }
        }
    };
}

errors! {
    INVALID_FUNCTION 1;
    FILE_NOT_FOUND 2;
    PATH_NOT_FOUND 3;
    TOO_MANY_OPEN_FILES 4;
    ACCESS_DENIED 5;
    INVALID_HANDLE 6;
    NOT_ENOUGH_MEMORY 8;
    BAD_FORMAT 11;
    NO_MORE_FILES 18;
    NOT_SUPPORTED 50;
    INVALID_PARAMETER 87;
    SEM_TIMEOUT 121;
    INSUFFICIENT_BUFFER 122;
    INVALID_NAME 123;
    MOD_NOT_FOUND 126;
    PROC_NOT_FOUND 127;
    ALREADY_EXISTS 183;
    BAD_EXE_FORMAT 193;
    FILENAME_EXCED_RANGE 206;
    MORE_DATA 234;
    WAIT_TIMEOUT 258;
    NO_MORE_ITEMS 259;
    TOO_MANY_POSTS 298;
    INVALID_ADDRESS 487;
    ARITHMETIC_OVERFLOW 534;
    ABANDONED_WAIT_0 735;
    OPERATION_ABORTED 995;
    IO_INCOMPLETE 996;
    IO_PENDING 997;
    NOACCESS 998;
    INVALID_FLAGS 1004;
    FILE_INVALID 1006;
    SERVICE_ALREADY_RUNNING 1056;
    NO_UNICODE_TRANSLATION 1113;
    MAPPED_ALIGNMENT 1132;
    NOT_FOUND 1168;
    PRIVILEGE_NOT_HELD 1314;
    INTERNAL_ERROR 1359;
    NO_SYSTEM_RESOURCES 1450;
    COMMITMENT_LIMIT 1455;
    RESOURCE_TYPE_NOT_FOUND 1813;
    NOT_ENOUGH_QUOTA 1816;
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        Self(status.to_win32())
    }
}

impl From<Fault> for Error {
    fn from(Fault: Fault) -> Self {
        Self::NOACCESS
    }
}

impl From<std::io::Error> for Error {
    /// What a system call of ours lacked, or may not do.
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind;

        match error.kind() {
            ErrorKind::NotFound => Self::FILE_NOT_FOUND,
            ErrorKind::PermissionDenied => Self::ACCESS_DENIED,
            ErrorKind::OutOfMemory => Self::NOT_ENOUGH_MEMORY,
            ErrorKind::InvalidInput => Self::INVALID_PARAMETER,
            _ => Self::NO_SYSTEM_RESOURCES,
        }
    }
}
