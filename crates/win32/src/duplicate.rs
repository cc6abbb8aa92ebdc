//! DuplicateHandle, and the handles of the process itself.

use abi::{Error, Handle, pointer};

use crate::inherit::Inherited;
use crate::last_error::succeeds;
use crate::object::Object;
use crate::table::{self, Entry};
use crate::thread;

const DUPLICATE_CLOSE_SOURCE: u32 = 1;
const DUPLICATE_SAME_ACCESS: u32 = 2;

#[unsafe(no_mangle)]
extern "C" fn GetCurrentProcess() -> Handle {
    Handle::INVALID
}

#[unsafe(no_mangle)]
extern "C" fn GetCurrentProcessId() -> u32 {
    std::process::id()
}

/// Both processes are this one: a handle for another process is inherited.
#[unsafe(no_mangle)]
unsafe extern "C" fn DuplicateHandle(
    source_process: Handle,
    source: Handle,
    target_process: Handle,
    target: *mut Handle,
    access: u32,
    inherit: i32,
    options: u32,
) -> i32 {
    succeeds(|| {
        if source_process != Handle::INVALID || target_process != Handle::INVALID {
            return Err(Error::INVALID_HANDLE);
        }
        let duplicated = duplicate(source, access, inherit != 0, options);
        if options & DUPLICATE_CLOSE_SOURCE != 0 && source != Handle::CURRENT_THREAD {
            // also when the duplicate failed, as on Windows
            table::close(source, |_| Ok(()))?;
        }
        let duplicated = duplicated?;
        if target.is_null() {
            return table::close(duplicated, |_| Ok(()));
        }
        // SAFETY: the program wants the handle there.
        let told = unsafe { pointer::write(target, &duplicated) };
        if told.is_err() {
            table::close(duplicated, |_| Ok(()))?;
        }
        told
    })
}

fn duplicate(source: Handle, access: u32, inherit: bool, options: u32) -> Result<Handle, Error> {
    let (object, granted) = if source == Handle::CURRENT_THREAD {
        (Object::Thread(thread::current()), thread::THREAD_ALL_ACCESS)
    } else {
        table::look(source, |entry| (entry.object.clone(), entry.access))?
    };
    let access = if options & DUPLICATE_SAME_ACCESS != 0 { granted } else { object.mapped(access) };
    // of a file no handle gets more than there is; other objects are their user's
    if matches!(object, Object::File(_)) && access & !granted != 0 {
        return Err(Error::ACCESS_DENIED);
    }
    let inherited = inherit.then(|| Inherited::object(&object)).transpose()?;
    table::insert(Entry { object, access, inherited })
}
