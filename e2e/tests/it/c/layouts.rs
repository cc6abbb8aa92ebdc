//! What the headers say of structures and constants, beside what the `windows-sys` crate says, which is made from
//! Windows' own metadata.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::mem::offset_of;
use std::path::Path;
use std::process::Command;

use windows_sys::Win32::Foundation::*;
use windows_sys::Win32::Globalization::*;
use windows_sys::Win32::Security::SECURITY_ATTRIBUTES;
use windows_sys::Win32::Storage::FileSystem::*;
use windows_sys::Win32::Storage::InstallableFileSystems::*;
use windows_sys::Win32::System::Com::Urlmon::E_PENDING;
use windows_sys::Win32::System::Diagnostics::Debug::*;
use windows_sys::Win32::System::IO::{OVERLAPPED, OVERLAPPED_ENTRY};
use windows_sys::Win32::System::Ioctl::*;
use windows_sys::Win32::System::Kernel::*;
use windows_sys::Win32::System::LibraryLoader::*;
use windows_sys::Win32::System::Memory::*;
use windows_sys::Win32::System::SystemServices::*;
use windows_sys::Win32::System::Threading::*;
use windows_sys::Win32::System::WindowsProgramming::*;
use windows_sys::Win32::UI::WindowsAndMessaging::{
    STRSAFE_E_END_OF_FILE, STRSAFE_E_INSUFFICIENT_BUFFER, STRSAFE_E_INVALID_PARAMETER, STRSAFE_MAX_CCH,
};

use super::install::{compile, has, run};

/// What is said of each thing: a number.
type Said = BTreeMap<String, u64>;

macro_rules! structures {
    ($($name:ident { $($($field:ident).+),* $(,)? })*) => {{
        let mut said = Said::new();
        $(
            said.insert(format!("sizeof({})", stringify!($name)), size_of::<$name>() as u64);
            $(
                let field = stringify!($($field).+).replace(' ', "");
                said.insert(format!("offsetof({}, {field})", stringify!($name)), offset_of!($name, $($field).+) as u64);
            )*
        )*
        said
    }};
}

fn structures() -> Said {
    structures! {
        FILTER_MESSAGE_HEADER { ReplyLength, MessageId }
        FILTER_REPLY_HEADER { Status, MessageId }
        FILTER_FULL_INFORMATION { NextEntryOffset, FrameID, NumberOfInstances, FilterNameLength, FilterNameBuffer }
        FILTER_AGGREGATE_BASIC_INFORMATION {
            NextEntryOffset, Flags, Type.MiniFilter.FrameID, Type.MiniFilter.NumberOfInstances,
            Type.MiniFilter.FilterNameLength, Type.MiniFilter.FilterNameBufferOffset,
            Type.MiniFilter.FilterAltitudeLength, Type.MiniFilter.FilterAltitudeBufferOffset,
            Type.LegacyFilter.FilterNameLength, Type.LegacyFilter.FilterNameBufferOffset,
        }
        FILTER_AGGREGATE_STANDARD_INFORMATION {
            NextEntryOffset, Flags, Type.MiniFilter.Flags, Type.MiniFilter.FrameID, Type.MiniFilter.NumberOfInstances,
            Type.MiniFilter.FilterNameLength, Type.MiniFilter.FilterNameBufferOffset,
            Type.MiniFilter.FilterAltitudeLength, Type.MiniFilter.FilterAltitudeBufferOffset,
            Type.LegacyFilter.Flags, Type.LegacyFilter.FilterNameLength, Type.LegacyFilter.FilterNameBufferOffset,
            Type.LegacyFilter.FilterAltitudeLength, Type.LegacyFilter.FilterAltitudeBufferOffset,
        }
        FILTER_VOLUME_BASIC_INFORMATION { FilterVolumeNameLength, FilterVolumeName }
        FILTER_VOLUME_STANDARD_INFORMATION {
            NextEntryOffset, Flags, FrameID, FileSystemType, FilterVolumeNameLength, FilterVolumeName,
        }
        INSTANCE_BASIC_INFORMATION { NextEntryOffset, InstanceNameLength, InstanceNameBufferOffset }
        INSTANCE_PARTIAL_INFORMATION {
            NextEntryOffset, InstanceNameLength, InstanceNameBufferOffset, AltitudeLength, AltitudeBufferOffset,
        }
        INSTANCE_FULL_INFORMATION {
            NextEntryOffset, InstanceNameLength, InstanceNameBufferOffset, AltitudeLength, AltitudeBufferOffset,
            VolumeNameLength, VolumeNameBufferOffset, FilterNameLength, FilterNameBufferOffset,
        }
        INSTANCE_AGGREGATE_STANDARD_INFORMATION {
            NextEntryOffset, Flags, Type.MiniFilter.Flags, Type.MiniFilter.FrameID,
            Type.MiniFilter.VolumeFileSystemType, Type.MiniFilter.InstanceNameLength,
            Type.MiniFilter.InstanceNameBufferOffset, Type.MiniFilter.AltitudeLength,
            Type.MiniFilter.AltitudeBufferOffset, Type.MiniFilter.VolumeNameLength,
            Type.MiniFilter.VolumeNameBufferOffset, Type.MiniFilter.FilterNameLength,
            Type.MiniFilter.FilterNameBufferOffset, Type.MiniFilter.SupportedFeatures, Type.LegacyFilter.Flags,
            Type.LegacyFilter.AltitudeLength, Type.LegacyFilter.AltitudeBufferOffset,
            Type.LegacyFilter.VolumeNameLength, Type.LegacyFilter.VolumeNameBufferOffset,
            Type.LegacyFilter.FilterNameLength, Type.LegacyFilter.FilterNameBufferOffset,
            Type.LegacyFilter.SupportedFeatures,
        }
        OVERLAPPED { Internal, InternalHigh, hEvent }
        OVERLAPPED_ENTRY { lpCompletionKey, lpOverlapped, Internal, dwNumberOfBytesTransferred }
        CRITICAL_SECTION { DebugInfo, LockCount, RecursionCount, OwningThread, LockSemaphore, SpinCount }
        MEMORY_BASIC_INFORMATION {
            BaseAddress, AllocationBase, AllocationProtect, PartitionId, RegionSize, State, Protect, Type,
        }
        FILETIME { dwLowDateTime, dwHighDateTime }
        SYSTEMTIME { wYear, wMonth, wDayOfWeek, wDay, wHour, wMinute, wSecond, wMilliseconds }
        SECURITY_ATTRIBUTES { nLength, lpSecurityDescriptor, bInheritHandle }
        UNICODE_STRING { Length, MaximumLength, Buffer }
        LIST_ENTRY { Flink, Blink }
    }
}

macro_rules! constants {
    ($($name:ident),* $(,)?) => {
        Said::from([$((stringify!($name).to_owned(), $name as i64 as u64)),*])
    };
}

/// Those of the headers that the crate has too.
#[rustfmt::skip] // a list of words
#[allow(clippy::unnecessary_cast)] // whatever type each has
fn constants() -> Said {
    constants! {
        ANYSIZE_ARRAY, CP_ACP, CP_OEMCP, CP_UTF8, CREATE_EVENT_INITIAL_SET, CREATE_EVENT_MANUAL_RESET,
        CREATE_SUSPENDED, DELETE, DONT_RESOLVE_DLL_REFERENCES, DUPLICATE_CLOSE_SOURCE, DUPLICATE_SAME_ACCESS,
        ERROR_ABANDONED_WAIT_0, ERROR_ABANDONED_WAIT_63, ERROR_ACCESS_DENIED, ERROR_ACCESS_DISABLED_BY_POLICY,
        ERROR_ALREADY_EXISTS, ERROR_ALREADY_REGISTERED, ERROR_ARITHMETIC_OVERFLOW, ERROR_BAD_COMMAND,
        ERROR_BAD_DRIVER, ERROR_BAD_ENVIRONMENT, ERROR_BAD_EXE_FORMAT, ERROR_BAD_FORMAT, ERROR_BAD_LENGTH,
        ERROR_BAD_PATHNAME, ERROR_BROKEN_PIPE, ERROR_BUFFER_OVERFLOW, ERROR_BUSY, ERROR_CALL_NOT_IMPLEMENTED,
        ERROR_CANCELLED, ERROR_CANNOT_MAKE, ERROR_COMMITMENT_LIMIT, ERROR_CONNECTION_ABORTED,
        ERROR_CONNECTION_ACTIVE, ERROR_CONNECTION_COUNT_LIMIT, ERROR_CONNECTION_INVALID, ERROR_CONNECTION_REFUSED,
        ERROR_CONTENT_BLOCKED, ERROR_CRC, ERROR_CURRENT_DIRECTORY, ERROR_DEPENDENT_SERVICES_RUNNING,
        ERROR_DEV_NOT_EXIST, ERROR_DIRECTORY, ERROR_DIR_NOT_EMPTY, ERROR_DISK_CORRUPT, ERROR_DISK_FULL,
        ERROR_DLL_INIT_FAILED, ERROR_DRIVER_BLOCKED, ERROR_EXCEPTION_IN_SERVICE,
        ERROR_FAILED_SERVICE_CONTROLLER_CONNECT, ERROR_FILENAME_EXCED_RANGE, ERROR_FILE_CORRUPT, ERROR_FILE_EXISTS,
        ERROR_FILE_INVALID, ERROR_FILE_NOT_FOUND, ERROR_FILE_TOO_LARGE, ERROR_FLT_ALREADY_ENLISTED,
        ERROR_FLT_CBDQ_DISABLED, ERROR_FLT_CONTEXT_ALLOCATION_NOT_FOUND, ERROR_FLT_CONTEXT_ALREADY_DEFINED,
        ERROR_FLT_CONTEXT_ALREADY_LINKED, ERROR_FLT_DELETING_OBJECT, ERROR_FLT_DISALLOW_FAST_IO,
        ERROR_FLT_DO_NOT_ATTACH, ERROR_FLT_DO_NOT_DETACH, ERROR_FLT_DUPLICATE_ENTRY, ERROR_FLT_FILTER_NOT_FOUND,
        ERROR_FLT_FILTER_NOT_READY, ERROR_FLT_INSTANCE_ALTITUDE_COLLISION, ERROR_FLT_INSTANCE_NAME_COLLISION,
        ERROR_FLT_INSTANCE_NOT_FOUND, ERROR_FLT_INTERNAL_ERROR, ERROR_FLT_INVALID_ASYNCHRONOUS_REQUEST,
        ERROR_FLT_INVALID_CONTEXT_REGISTRATION, ERROR_FLT_INVALID_NAME_REQUEST, ERROR_FLT_IO_COMPLETE,
        ERROR_FLT_MUST_BE_NONPAGED_POOL, ERROR_FLT_NAME_CACHE_MISS, ERROR_FLT_NOT_INITIALIZED,
        ERROR_FLT_NOT_SAFE_TO_POST_OPERATION, ERROR_FLT_NO_DEVICE_OBJECT, ERROR_FLT_NO_HANDLER_DEFINED,
        ERROR_FLT_NO_WAITER_FOR_REPLY, ERROR_FLT_POST_OPERATION_CLEANUP, ERROR_FLT_REGISTRATION_BUSY,
        ERROR_FLT_VOLUME_ALREADY_MOUNTED, ERROR_FLT_VOLUME_NOT_FOUND, ERROR_FLT_WCOS_NOT_SUPPORTED,
        ERROR_GEN_FAILURE, ERROR_GRACEFUL_DISCONNECT, ERROR_HANDLE_DISK_FULL, ERROR_HANDLE_EOF,
        ERROR_INSUFFICIENT_BUFFER, ERROR_INTERNAL_ERROR, ERROR_INVALID_ACCESS, ERROR_INVALID_ACL,
        ERROR_INVALID_ADDRESS, ERROR_INVALID_BLOCK, ERROR_INVALID_DATA, ERROR_INVALID_DRIVE,
        ERROR_INVALID_EXE_SIGNATURE, ERROR_INVALID_FLAGS, ERROR_INVALID_FLAG_NUMBER, ERROR_INVALID_FUNCTION,
        ERROR_INVALID_HANDLE, ERROR_INVALID_IMAGE_HASH, ERROR_INVALID_LEVEL, ERROR_INVALID_NAME,
        ERROR_INVALID_PARAMETER, ERROR_INVALID_SECURITY_DESCR, ERROR_INVALID_SERVICE_ACCOUNT,
        ERROR_INVALID_SERVICE_CONTROL, ERROR_INVALID_SID, ERROR_INVALID_USER_BUFFER, ERROR_IO_DEVICE,
        ERROR_IO_INCOMPLETE, ERROR_IO_PENDING, ERROR_LOCK_VIOLATION, ERROR_MAPPED_ALIGNMENT, ERROR_MOD_NOT_FOUND,
        ERROR_MORE_DATA, ERROR_MR_MID_NOT_FOUND, ERROR_NEGATIVE_SEEK, ERROR_NOACCESS,
        ERROR_NONPAGED_SYSTEM_RESOURCES, ERROR_NOT_ALL_ASSIGNED, ERROR_NOT_ENOUGH_MEMORY, ERROR_NOT_ENOUGH_QUOTA,
        ERROR_NOT_FOUND, ERROR_NOT_LOCKED, ERROR_NOT_OWNER, ERROR_NOT_READY, ERROR_NOT_SAME_DEVICE,
        ERROR_NOT_SUPPORTED, ERROR_NO_DATA, ERROR_NO_MATCH, ERROR_NO_MORE_FILES, ERROR_NO_MORE_ITEMS,
        ERROR_NO_SUCH_PRIVILEGE, ERROR_NO_SYSTEM_RESOURCES, ERROR_NO_TOKEN, ERROR_NO_UNICODE_TRANSLATION,
        ERROR_OPEN_FAILED, ERROR_OPERATION_ABORTED, ERROR_OUTOFMEMORY, ERROR_PAGED_SYSTEM_RESOURCES,
        ERROR_PAGEFILE_QUOTA, ERROR_PARTIAL_COPY, ERROR_PATH_NOT_FOUND, ERROR_PIPE_BUSY, ERROR_PIPE_CONNECTED,
        ERROR_PIPE_LISTENING, ERROR_PIPE_NOT_CONNECTED, ERROR_POSSIBLE_DEADLOCK, ERROR_PRIVILEGE_NOT_HELD,
        ERROR_PROC_NOT_FOUND, ERROR_REQUEST_ABORTED, ERROR_RESOURCE_NAME_NOT_FOUND, ERROR_RESOURCE_TYPE_NOT_FOUND,
        ERROR_RETRY, ERROR_SEEK, ERROR_SEM_TIMEOUT, ERROR_SERVICE_ALREADY_RUNNING, ERROR_SERVICE_CANNOT_ACCEPT_CTRL,
        ERROR_SERVICE_DATABASE_LOCKED, ERROR_SERVICE_DISABLED, ERROR_SERVICE_DOES_NOT_EXIST,
        ERROR_SERVICE_NOT_ACTIVE, ERROR_SERVICE_NO_THREAD, ERROR_SERVICE_REQUEST_TIMEOUT,
        ERROR_SERVICE_SPECIFIC_ERROR, ERROR_SHARING_VIOLATION, ERROR_SHUTDOWN_IN_PROGRESS, ERROR_STACK_OVERFLOW,
        ERROR_SUCCESS, ERROR_SWAPERROR, ERROR_TIMEOUT, ERROR_TOO_MANY_LINKS, ERROR_TOO_MANY_OPEN_FILES,
        ERROR_TOO_MANY_POSTS, ERROR_UNIDENTIFIED_ERROR, ERROR_VIRUS_DELETED, ERROR_VIRUS_INFECTED,
        ERROR_WAIT_NO_CHILDREN, ERROR_WORKING_SET_QUOTA, ERROR_WRITE_PROTECT, EVENT_ALL_ACCESS, EVENT_MODIFY_STATE,
        E_ABORT, E_ACCESSDENIED, E_BOUNDS, E_FAIL, E_HANDLE, E_INVALIDARG, E_NOINTERFACE, E_NOTIMPL, E_OUTOFMEMORY,
        E_PENDING, E_POINTER, E_UNEXPECTED, FACILITY_NT_BIT, FACILITY_NULL, FACILITY_RPC,
        FACILITY_USERMODE_FILTER_MANAGER, FACILITY_WIN32, FACILITY_WINDOWS, FALSE, FILE_ANY_ACCESS,
        FILE_DEVICE_DISK, FILE_DEVICE_DISK_FILE_SYSTEM, FILE_DEVICE_FILE_SYSTEM, FILE_DEVICE_NETWORK_FILE_SYSTEM,
        FILE_DEVICE_UNKNOWN, FILE_MAP_ALL_ACCESS, FILE_MAP_COPY, FILE_MAP_EXECUTE, FILE_MAP_READ, FILE_MAP_WRITE,
        FILE_READ_ACCESS, FILE_READ_ATTRIBUTES, FILE_READ_DATA, FILE_SPECIAL_ACCESS, FILE_WRITE_ACCESS,
        FILE_WRITE_ATTRIBUTES, FILE_WRITE_DATA, FILTER_NAME_MAX_CHARS, FLTFL_AGGREGATE_INFO_IS_LEGACYFILTER,
        FLTFL_AGGREGATE_INFO_IS_MINIFILTER, FLTFL_ASI_IS_LEGACYFILTER, FLTFL_ASI_IS_MINIFILTER,
        FLTFL_IASIL_DETACHED_VOLUME, FLTFL_IASIM_DETACHED_VOLUME, FLTFL_IASI_IS_LEGACYFILTER,
        FLTFL_IASI_IS_MINIFILTER, FLTFL_VSI_DETACHED_VOLUME, FLT_PORT_FLAG_SYNC_HANDLE,
        FORMAT_MESSAGE_ALLOCATE_BUFFER, FORMAT_MESSAGE_ARGUMENT_ARRAY, FORMAT_MESSAGE_FROM_HMODULE,
        FORMAT_MESSAGE_FROM_STRING, FORMAT_MESSAGE_FROM_SYSTEM, FORMAT_MESSAGE_IGNORE_INSERTS,
        FORMAT_MESSAGE_MAX_WIDTH_MASK, GENERIC_ALL, GENERIC_EXECUTE, GENERIC_READ, GENERIC_WRITE, GMEM_FIXED,
        GMEM_ZEROINIT, GPTR, HEAP_GENERATE_EXCEPTIONS, HEAP_NO_SERIALIZE, HEAP_REALLOC_IN_PLACE_ONLY,
        HEAP_ZERO_MEMORY, INFINITE, INSTANCE_NAME_MAX_CHARS, INVALID_HANDLE_VALUE, IO_REPARSE_TAG_DFS,
        IO_REPARSE_TAG_HSM, IO_REPARSE_TAG_MOUNT_POINT, IO_REPARSE_TAG_SIS, IO_REPARSE_TAG_SYMLINK, LANG_ENGLISH,
        LANG_NEUTRAL, LMEM_FIXED, LMEM_ZEROINIT, LOAD_LIBRARY_AS_DATAFILE, LOAD_LIBRARY_SEARCH_SYSTEM32,
        LOAD_WITH_ALTERED_SEARCH_PATH, LPTR, MAXCHAR, MAXDWORD, MAXIMUM_ALLOWED, MAXIMUM_WAIT_OBJECTS, MAXLONG,
        MAXLONGLONG, MAXSHORT, MAXUCHAR, MAXULONG, MAXUSHORT, MAX_PATH, MB_ERR_INVALID_CHARS, MB_PRECOMPOSED,
        MEM_COMMIT, MEM_DECOMMIT, MEM_FREE, MEM_IMAGE, MEM_MAPPED, MEM_PRIVATE, MEM_RELEASE, MEM_RESERVE,
        MEM_TOP_DOWN, MEM_UNMAP_WITH_TRANSIENT_BOOST, METHOD_BUFFERED, METHOD_IN_DIRECT, METHOD_NEITHER,
        METHOD_OUT_DIRECT, MINCHAR, MINLONG, MINSHORT, NO_ERROR, PAGE_EXECUTE, PAGE_EXECUTE_READ,
        PAGE_EXECUTE_READWRITE, PAGE_NOACCESS, PAGE_READONLY, PAGE_READWRITE, PAGE_WRITECOPY, READ_CONTROL,
        SECTION_MAP_EXECUTE, SECTION_MAP_READ, SECTION_MAP_WRITE, SECTION_QUERY, SEMAPHORE_ALL_ACCESS,
        SEMAPHORE_MODIFY_STATE, SEVERITY_ERROR, SEVERITY_SUCCESS, SPECIFIC_RIGHTS_ALL,
        STACK_SIZE_PARAM_IS_A_RESERVATION, STANDARD_RIGHTS_ALL, STANDARD_RIGHTS_REQUIRED, STATUS_ABANDONED_WAIT_0,
        STATUS_PENDING, STATUS_USER_APC, STATUS_WAIT_0, STILL_ACTIVE, STRSAFE_E_END_OF_FILE,
        STRSAFE_E_INSUFFICIENT_BUFFER, STRSAFE_E_INVALID_PARAMETER, STRSAFE_MAX_CCH, SUBLANG_DEFAULT,
        SUBLANG_ENGLISH_US, SUBLANG_NEUTRAL, SYNCHRONIZE, S_FALSE, S_OK, THREAD_PRIORITY_ABOVE_NORMAL,
        THREAD_PRIORITY_BELOW_NORMAL, THREAD_PRIORITY_ERROR_RETURN, THREAD_PRIORITY_HIGHEST, THREAD_PRIORITY_IDLE,
        THREAD_PRIORITY_LOWEST, THREAD_PRIORITY_NORMAL, THREAD_PRIORITY_TIME_CRITICAL, TRUE, VOLUME_NAME_MAX_CHARS,
        WAIT_ABANDONED, WAIT_ABANDONED_0, WAIT_FAILED, WAIT_IO_COMPLETION, WAIT_OBJECT_0, WAIT_TIMEOUT,
        WC_ERR_INVALID_CHARS, WRITE_DAC, WRITE_OWNER,
    }
}

#[test]
fn the_headers_say_what_windows_says() {
    if !has("gcc") {
        return;
    }
    let (structures, constants) = (structures(), constants());
    let mut source = String::from(
        "#include <windows.h>\n#include <strsafe.h>\n#include <winioctl.h>\n#include <fltuser.h>\n\
         #include <fltuserstructures.h>\nint main(void) {\n",
    );
    for what in structures.keys().chain(constants.keys()) {
        writeln!(source, "printf(\"%lld %s\\n\", (long long)({what}), \"{what}\");").unwrap();
    }
    source.push_str("}\n");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("layouts.c");
    std::fs::write(&file, source).unwrap();
    let program = compile("layouts", "gcc", &[], &[file.to_str().unwrap()]);
    let told = run(&mut Command::new(program), Path::new("/nowhere"));
    let mut compared = 0;
    for line in told.lines() {
        let (number, what) = line.split_once(' ').unwrap();
        let number = number.parse::<i64>().unwrap();
        match (structures.get(what), constants.get(what)) {
            (Some(&should), _) => assert_eq!(number as u64, should, "{what}"),
            // of any type, as on Windows: their 32 bits are compared
            (_, Some(&should)) => assert_eq!(number as u32, should as u32, "{what}"),
            _ => panic!("{line}"),
        }
        compared += 1;
    }
    assert_eq!(compared, structures.len() + constants.len());
}
