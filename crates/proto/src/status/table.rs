//! The one list of statuses: number, Win32 translation, meaning. Constants and look-up are both made from it.
//!
//! Everything the port returns is here, everything of the filter manager, and what a filter or an application usually
//! answers.
use super::{ERROR_MR_MID_NOT_FOUND as NONE, Entry, Status};

macro_rules! statuses {
    ($($name:ident $value:literal $win32:tt $message:literal;)*) => {
        impl Status {
            $(
                #[doc = concat!("STATUS_", stringify!($name), ", ", stringify!($value), ": ", $message, ".")]
                pub const $name: Self = Self($value);
            )*
        }

        /// Ascending by value: looked up by binary search.
        pub(super) static TABLE: &[Entry] = &[$(Entry {
            status: Status::$name,
            name: concat!("STATUS_", stringify!($name)),
            win32: $win32,
            message: $message,
        },)*];
    };
}

statuses! {
    SUCCESS 0x00000000 0 "success";
    ALERTED 0x00000101 739 "the wait was interrupted";
    TIMEOUT 0x00000102 1460 "timed out";
    PENDING 0x00000103 997 "not finished yet";
    REPARSE 0x00000104 741 "the name must be looked up again";
    MORE_ENTRIES 0x00000105 234 "there are more entries";
    SOME_NOT_MAPPED 0x00000107 1301 "some of it has no translation";
    OPLOCK_BREAK_IN_PROGRESS 0x00000108 742 "an opportunistic lock is being broken";
    FLT_IO_COMPLETE 0x001C0001 NONE "the filter has completed the operation";
    OBJECT_NAME_EXISTS 0x40000000 698 "the name exists, and the existing object was opened";

    DATATYPE_MISALIGNMENT 0x80000002 998 "the address is not aligned";
    BUFFER_OVERFLOW 0x80000005 234 "the data was cut to the size of the buffer";
    NO_MORE_FILES 0x80000006 18 "there are no more files";
    PARTIAL_COPY 0x8000000D 299 "only a part was copied";
    DEVICE_BUSY 0x80000011 170 "the device is busy";
    NO_MORE_ENTRIES 0x8000001A 259 "there are no more entries";
    FLT_BUFFER_TOO_SMALL 0x801C0001 NONE "the filter needs a larger buffer";

    UNSUCCESSFUL 0xC0000001 31 "it failed, without a reason";
    NOT_IMPLEMENTED 0xC0000002 1 "not implemented";
    INVALID_INFO_CLASS 0xC0000003 87 "unknown class of information";
    INFO_LENGTH_MISMATCH 0xC0000004 24 "the length does not fit the kind of information";
    ACCESS_VIOLATION 0xC0000005 998 "bad memory address";
    INVALID_HANDLE 0xC0000008 6 "invalid handle";
    INVALID_PARAMETER 0xC000000D 87 "invalid parameter";
    NO_SUCH_DEVICE 0xC000000E 2 "no such device";
    NO_SUCH_FILE 0xC000000F 2 "no such file";
    INVALID_DEVICE_REQUEST 0xC0000010 1 "the other end does not take this request";
    END_OF_FILE 0xC0000011 38 "end of file";
    WRONG_VOLUME 0xC0000012 34 "wrong volume";
    NO_MEDIA_IN_DEVICE 0xC0000013 21 "no medium in the device";
    MORE_PROCESSING_REQUIRED 0xC0000016 234 "more processing is needed";
    NO_MEMORY 0xC0000017 8 "no memory";
    ACCESS_DENIED 0xC0000022 5 "access denied";
    BUFFER_TOO_SMALL 0xC0000023 122 "the buffer is too small";
    OBJECT_TYPE_MISMATCH 0xC0000024 6 "the name belongs to another kind of object";
    PORT_MESSAGE_TOO_LONG 0xC000002F NONE "the message is too long for the port";
    INVALID_PARAMETER_MIX 0xC0000030 87 "these parameters do not go together";
    OBJECT_NAME_INVALID 0xC0000033 123 "invalid name";
    OBJECT_NAME_NOT_FOUND 0xC0000034 2 "name not found";
    OBJECT_NAME_COLLISION 0xC0000035 183 "the name is in use";
    PORT_DISCONNECTED 0xC0000037 6 "the port is disconnected";
    OBJECT_PATH_INVALID 0xC0000039 161 "invalid path";
    OBJECT_PATH_NOT_FOUND 0xC000003A 3 "path not found";
    OBJECT_PATH_SYNTAX_BAD 0xC000003B 161 "a path starts with a backslash";
    DATA_ERROR 0xC000003E 23 "bad data";
    CRC_ERROR 0xC000003F 23 "wrong checksum";
    PORT_CONNECTION_REFUSED 0xC0000041 5 "the port refused the connection";
    INVALID_PORT_HANDLE 0xC0000042 6 "invalid port handle";
    SHARING_VIOLATION 0xC0000043 32 "another process has it open";
    QUOTA_EXCEEDED 0xC0000044 1816 "quota exceeded";
    THREAD_IS_TERMINATING 0xC000004B 5 "the thread is ending";
    EAS_NOT_SUPPORTED 0xC000004F 282 "extended attributes are not supported";
    FILE_LOCK_CONFLICT 0xC0000054 33 "the file is locked";
    LOCK_NOT_GRANTED 0xC0000055 33 "the lock was not granted";
    DELETE_PENDING 0xC0000056 5 "it is being deleted";
    UNKNOWN_REVISION 0xC0000058 1305 "unknown revision";
    REVISION_MISMATCH 0xC0000059 1306 "the revisions do not agree";
    INVALID_OWNER 0xC000005A 1307 "invalid owner";
    PRIVILEGE_NOT_HELD 0xC0000061 1314 "a privilege is missing";
    INVALID_ACL 0xC0000077 1336 "invalid access control list";
    INVALID_SID 0xC0000078 1337 "invalid security identifier";
    INVALID_SECURITY_DESCR 0xC0000079 1338 "invalid security descriptor";
    PROCEDURE_NOT_FOUND 0xC000007A 127 "procedure not found";
    INVALID_IMAGE_FORMAT 0xC000007B 193 "not a program";
    RANGE_NOT_LOCKED 0xC000007E 158 "the range is not locked";
    DISK_FULL 0xC000007F 112 "no space left on the volume";
    INTEGER_OVERFLOW 0xC0000095 534 "the number is too large";
    FILE_INVALID 0xC0000098 1006 "the volume was changed under an open file";
    INSUFFICIENT_RESOURCES 0xC000009A 1450 "insufficient resources";
    MEDIA_WRITE_PROTECTED 0xC00000A2 19 "the medium is write-protected";
    DEVICE_NOT_READY 0xC00000A3 21 "the device is not ready";
    BAD_IMPERSONATION_LEVEL 0xC00000A5 1346 "the identity may not be used for this";
    PIPE_NOT_AVAILABLE 0xC00000AC 231 "no free pipe";
    PIPE_BUSY 0xC00000AE 231 "the pipe is busy";
    PIPE_DISCONNECTED 0xC00000B0 233 "the pipe is disconnected";
    PIPE_CLOSING 0xC00000B1 232 "the pipe is closing";
    IO_TIMEOUT 0xC00000B5 121 "the operation timed out";
    FILE_FORCED_CLOSED 0xC00000B6 38 "the file was closed by force";
    FILE_IS_A_DIRECTORY 0xC00000BA 5 "it is a directory";
    NOT_SUPPORTED 0xC00000BB 50 "not supported";
    DEVICE_DOES_NOT_EXIST 0xC00000C0 55 "the device does not exist";
    REQUEST_NOT_ACCEPTED 0xC00000D0 71 "the request was not accepted";
    NOT_SAME_DEVICE 0xC00000D4 17 "not on the same volume";
    FILE_RENAMED 0xC00000D5 5 "the file was renamed";
    INTERNAL_ERROR 0xC00000E5 1359 "internal error";
    GENERIC_NOT_MAPPED 0xC00000E6 1360 "generic rights without a mapping";
    INVALID_USER_BUFFER 0xC00000E8 1784 "invalid buffer";
    INVALID_PARAMETER_1 0xC00000EF 87 "invalid first parameter";
    INVALID_PARAMETER_2 0xC00000F0 87 "invalid second parameter";
    INVALID_PARAMETER_3 0xC00000F1 87 "invalid third parameter";
    INVALID_PARAMETER_4 0xC00000F2 87 "invalid fourth parameter";
    INVALID_PARAMETER_5 0xC00000F3 87 "invalid fifth parameter";
    INVALID_PARAMETER_6 0xC00000F4 87 "invalid sixth parameter";
    INVALID_PARAMETER_7 0xC00000F5 87 "invalid seventh parameter";
    INVALID_PARAMETER_8 0xC00000F6 87 "invalid eighth parameter";
    INVALID_PARAMETER_9 0xC00000F7 87 "invalid ninth parameter";
    INVALID_PARAMETER_10 0xC00000F8 87 "invalid tenth parameter";
    INVALID_PARAMETER_11 0xC00000F9 87 "invalid eleventh parameter";
    INVALID_PARAMETER_12 0xC00000FA 87 "invalid twelfth parameter";
    DIRECTORY_NOT_EMPTY 0xC0000101 145 "the directory is not empty";
    FILE_CORRUPT_ERROR 0xC0000102 1392 "the file is damaged";
    NOT_A_DIRECTORY 0xC0000103 267 "not a directory";
    NAME_TOO_LONG 0xC0000106 206 "the name is too long";
    PROCESS_IS_TERMINATING 0xC000010A 5 "the process is ending";
    TOO_MANY_OPENED_FILES 0xC000011F 4 "too many open files";
    CANCELLED 0xC0000120 995 "cancelled";
    CANNOT_DELETE 0xC0000121 5 "it cannot be deleted";
    FILE_DELETED 0xC0000123 5 "the file has been deleted";
    FILE_CLOSED 0xC0000128 6 "the file has been closed";
    PIPE_BROKEN 0xC000014B 109 "the pipe is broken";
    IO_DEVICE_ERROR 0xC0000185 1117 "input/output error";
    POSSIBLE_DEADLOCK 0xC0000194 1131 "possible deadlock";
    INVALID_BUFFER_SIZE 0xC0000206 1784 "invalid size of a buffer";
    CONNECTION_DISCONNECTED 0xC000020C 64 "the connection is disconnected";
    CONNECTION_RESET 0xC000020D 64 "the connection was reset";
    NOT_FOUND 0xC0000225 1168 "not found";
    RETRY 0xC000022D 1237 "try again";
    CONNECTION_REFUSED 0xC0000236 1225 "the connection was refused";
    CONNECTION_INVALID 0xC000023A 1229 "there is no such connection";
    CONNECTION_ACTIVE 0xC000023B 1230 "the connection is in use";
    REQUEST_ABORTED 0xC0000240 1235 "the request was given up";
    CONNECTION_ABORTED 0xC0000241 1236 "the connection was given up";
    CONNECTION_COUNT_LIMIT 0xC0000246 1238 "too many connections";
    TOO_MANY_LINKS 0xC0000265 1142 "too many links";
    VOLUME_DISMOUNTED 0xC000026E 21 "the volume was unmounted";
    SHUTDOWN_IN_PROGRESS 0xC00002FE 1115 "the system is shutting down";
    ACCESS_DISABLED_BY_POLICY_DEFAULT 0xC0000361 1260 "refused by policy";
    INVALID_IMAGE_HASH 0xC0000428 577 "the signature of the file is not valid";
    ALREADY_REGISTERED 0xC0000718 1242 "already registered";
    CONTENT_BLOCKED 0xC0000804 1296 "the content is blocked";
    FILE_TOO_LARGE 0xC0000904 223 "the file is too large";
    VIRUS_INFECTED 0xC0000906 225 "the file is infected";
    VIRUS_DELETED 0xC0000907 226 "the file was infected and has been deleted";

    FLT_NO_HANDLER_DEFINED 0xC01C0001 NONE "no handler was defined for this operation";
    FLT_CONTEXT_ALREADY_DEFINED 0xC01C0002 NONE "the object has a context already";
    FLT_INVALID_ASYNCHRONOUS_REQUEST 0xC01C0003 NONE "this operation cannot be asynchronous";
    FLT_DISALLOW_FAST_IO 0xC01C0004 NONE "this operation needs the slow path";
    FLT_INVALID_NAME_REQUEST 0xC01C0005 NONE "the name cannot be asked for here";
    FLT_NOT_SAFE_TO_POST_OPERATION 0xC01C0006 NONE "this operation cannot be finished by another thread";
    FLT_NOT_INITIALIZED 0xC01C0007 NONE "the filter manager is not ready";
    FLT_FILTER_NOT_READY 0xC01C0008 NONE "the filter has not started filtering";
    FLT_POST_OPERATION_CLEANUP 0xC01C0009 NONE "the instance is going away, clean up only";
    FLT_INTERNAL_ERROR 0xC01C000A NONE "internal error of the filter manager";
    FLT_DELETING_OBJECT 0xC01C000B NONE "the object is going away";
    FLT_MUST_BE_NONPAGED_POOL 0xC01C000C NONE "this must be memory that is never paged out";
    FLT_DUPLICATE_ENTRY 0xC01C000D NONE "registered twice";
    FLT_CBDQ_DISABLED 0xC01C000E NONE "the callback queue is disabled";
    FLT_DO_NOT_ATTACH 0xC01C000F NONE "the filter does not attach to this volume";
    FLT_DO_NOT_DETACH 0xC01C0010 NONE "the filter refuses to leave now";
    FLT_INSTANCE_ALTITUDE_COLLISION 0xC01C0011 NONE "an instance has this altitude already";
    FLT_INSTANCE_NAME_COLLISION 0xC01C0012 NONE "an instance has this name already";
    FLT_FILTER_NOT_FOUND 0xC01C0013 NONE "no such filter";
    FLT_VOLUME_NOT_FOUND 0xC01C0014 NONE "no such volume";
    FLT_INSTANCE_NOT_FOUND 0xC01C0015 NONE "no such instance";
    FLT_CONTEXT_ALLOCATION_NOT_FOUND 0xC01C0016 NONE "no such kind of context was registered";
    FLT_INVALID_CONTEXT_REGISTRATION 0xC01C0017 NONE "the registration of contexts is wrong";
    FLT_NAME_CACHE_MISS 0xC01C0018 NONE "the name is not in the cache";
    FLT_NO_DEVICE_OBJECT 0xC01C0019 NONE "the volume has no device";
    FLT_VOLUME_ALREADY_MOUNTED 0xC01C001A NONE "the volume is mounted already";
    FLT_ALREADY_ENLISTED 0xC01C001B NONE "already part of the transaction";
    FLT_CONTEXT_ALREADY_LINKED 0xC01C001C NONE "the context belongs to an object already";
    FLT_NO_WAITER_FOR_REPLY 0xC01C0020 NONE "no filter waits for this reply any more";
    FLT_REGISTRATION_BUSY 0xC01C0023 NONE "the registration is busy, try again";
    FLT_WCOS_NOT_SUPPORTED 0xC01C0024 NONE "the filter does not support this edition of the system";
}
