//! Filters: the processes that serve ports in the namespace, by the names of their programs.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::time::SystemTime;

use abi::file::{self, File, Reference};
use abi::{Error, Handle, pointer};
use fltport::namespace::Namespace;
use proto::status::Status;

use crate::find;
use crate::hresult::{Failure, hresult};
use crate::record::{Record, Structure};

/// FilterFullInformation, FilterAggregateBasicInformation, FilterAggregateStandardInformation.
const FULL: u32 = 0;
const AGGREGATE_BASIC: u32 = 1;
const AGGREGATE_STANDARD: u32 = 2;
/// FLTFL_ASI_IS_MINIFILTER, and its like of the other class.
const IS_MINIFILTER: u32 = 1;
/// The longest name that is read, beyond which there is no filter.
const LONGEST_NAME: usize = 0x7FFF;

/// A filter. Its altitude and its instances are known to its own process only: none are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) name: String,
    pid: u32,
}

impl Record for Filter {
    const FIND_TYPE: u32 = 2;

    fn encode(&self, class: u32) -> Option<Vec<u8>> {
        let (frame, instances) = (0, 0);
        Some(match class {
            FULL => Structure::new().number(frame).number(instances).finish_with(&self.name),
            AGGREGATE_BASIC => {
                let structure = Structure::new().number(IS_MINIFILTER).number(frame).number(instances);
                structure.name(&self.name).name("").finish()
            }
            AGGREGATE_STANDARD => {
                let structure = Structure::new().number(IS_MINIFILTER).number(0).number(frame).number(instances);
                structure.name(&self.name).name("").finish()
            }
            _ => return None,
        })
    }
}

/// Those that run, the oldest first.
pub(crate) fn all() -> Result<Vec<Filter>, Failure> {
    let mut hosts = BTreeMap::<u32, SystemTime>::new();
    for port in Namespace::current().list()? {
        let started = hosts.entry(port.pid).or_insert(port.started);
        *started = port.started.min(*started);
    }
    let mut hosts: Vec<_> = hosts.into_iter().collect();
    hosts.sort_by_key(|&(_, started)| started);
    Ok(hosts.into_iter().map(|(pid, _)| Filter { name: program(pid), pid }).collect())
}

/// The name of a process's program; of one that is not to be seen, as in another container, its number.
fn program(pid: u32) -> String {
    match std::fs::read_to_string(format!("/proc/{pid}/comm")) {
        Ok(name) => name.trim_end_matches('\n').to_owned(),
        Err(_) => format!("pid {pid}"),
    }
}

/// The filter of a name, in any case.
pub(crate) fn find(name: *const u16) -> Result<Filter, Failure> {
    let name = String::from_utf16_lossy(&pointer::read_wide(name, LONGEST_NAME)?);
    let found = all()?.into_iter().find(|filter| filter.name.eq_ignore_ascii_case(&name));
    found.ok_or(Failure::Status(Status::FLT_FILTER_NOT_FOUND))
}

/// HFILTER.
#[derive(Debug)]
struct Opened(Filter);

impl File for Opened {
    const TYPE: u32 = 3;
}

#[unsafe(no_mangle)]
unsafe extern "C" fn FilterFindFirst(
    class: u32,
    buffer: *mut c_void,
    room: u32,
    returned: *mut u32,
    handle: *mut Handle,
) -> u32 {
    // SAFETY: as of our caller.
    unsafe { find::first(all, class, buffer, room, returned, handle) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn FilterFindNext(
    handle: Handle,
    class: u32,
    buffer: *mut c_void,
    room: u32,
    returned: *mut u32,
) -> u32 {
    // SAFETY: as of our caller.
    unsafe { find::next::<Filter>(handle, class, buffer, room, returned) }
}

#[unsafe(no_mangle)]
extern "C" fn FilterFindClose(handle: Handle) -> u32 {
    find::close::<Filter>(handle)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn FilterCreate(name: *const u16, handle: *mut Handle) -> u32 {
    hresult(|| {
        // SAFETY: the program wants a handle there.
        unsafe { pointer::write(handle, &Handle::INVALID) }?;
        let created = file::create(Opened(find(name)?), 0, 0)?;
        // SAFETY: as above.
        let told = unsafe { pointer::write(handle, &created) };
        if told.is_err() {
            file::close::<Opened>(created)?;
        }
        Ok(told?)
    })
}

#[unsafe(no_mangle)]
extern "C" fn FilterClose(handle: Handle) -> u32 {
    hresult(|| Ok(file::close::<Opened>(handle)?))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn FilterGetInformation(
    handle: Handle,
    class: u32,
    buffer: *mut c_void,
    room: u32,
    returned: *mut u32,
) -> u32 {
    hresult(|| {
        let opened = Reference::<Opened>::new(handle, 0)?;
        if !all()?.contains(&opened.0) {
            return Err(Status::FLT_FILTER_NOT_FOUND.into());
        }
        // SAFETY: as of our caller.
        unsafe { find::tell(&opened.0, class, buffer, room, returned) }
    })
}

/// A filter is a program that is started by hand or by a service manager: here it can only be said whether it runs.
#[unsafe(no_mangle)]
unsafe extern "C" fn FilterLoad(name: *const u16) -> u32 {
    hresult(|| {
        let found = find(name);
        if !rustix::process::geteuid().is_root() {
            return Err(Error::PRIVILEGE_NOT_HELD.into());
        }
        match found {
            Ok(_) => Err(Error::SERVICE_ALREADY_RUNNING.into()),
            Err(Failure::Status(Status::FLT_FILTER_NOT_FOUND)) => Err(Error::FILE_NOT_FOUND.into()),
            Err(failure) => Err(failure),
        }
    })
}

/// A filter is unloaded by its own process, which is not asked from here.
#[unsafe(no_mangle)]
unsafe extern "C" fn FilterUnload(name: *const u16) -> u32 {
    hresult(|| {
        let found = find(name);
        if !rustix::process::geteuid().is_root() {
            return Err(Error::PRIVILEGE_NOT_HELD.into());
        }
        found?;
        Err(Status::FLT_DO_NOT_DETACH.into())
    })
}
