//! The routines that are told of processes and images that come and go.

use std::sync::Mutex;

use super::calls::{client_id, command_line, creation_status};
use super::{Process, process};
use crate::edge::{Place, Ptr, seh};
use crate::kernel::object::address;
use crate::kernel::report;
use crate::lock;
use crate::nt::status::{self, Status};
use crate::nt::{Boolean, CreateNotifyInfo, ImageInfo, UnicodeString};

type Created = extern "C" fn(Ptr, Ptr, Boolean);
type CreatedEx = extern "C" fn(Ptr, Ptr, Ptr<CreateNotifyInfo>);
type Loaded = extern "C" fn(Ptr<UnicodeString>, Ptr, Ptr<ImageInfo>);

#[derive(Clone, Copy)]
enum Routine {
    Created(Created),
    CreatedEx(CreatedEx),
    Loaded(Loaded),
    /// Threads are not seen here: accepted, and never called.
    Thread(usize),
}

impl Routine {
    fn address(self) -> usize {
        match self {
            Self::Created(routine) => routine as usize,
            Self::CreatedEx(routine) => routine as usize,
            Self::Loaded(routine) => routine as usize,
            Self::Thread(routine) => routine,
        }
    }
}

static ROUTINES: Mutex<Vec<(Routine, Place)>> = Mutex::new(Vec::new());
/// As many as Windows takes.
const MOST: usize = 64;

fn set(routine: Routine, remove: bool) -> Status {
    let mut routines = lock(&ROUTINES);
    let known = routines.iter().position(|(known, _)| known.address() == routine.address());
    match (known, remove) {
        (Some(at), true) => {
            routines.remove(at);
            status::SUCCESS
        }
        (None, true) => status::PROCEDURE_NOT_FOUND,
        (Some(_), false) => status::INVALID_PARAMETER,
        (None, false) if routines.len() == MOST => status::INVALID_PARAMETER,
        (None, false) => {
            routines.push((routine, report::place()));
            status::SUCCESS
        }
    }
}

/// Where routines were set that are not removed.
pub fn left() -> Vec<Place> {
    lock(&ROUTINES).iter().map(|(_, place)| *place).collect()
}

/// Whether any routine wants to be told.
pub fn is_wanted() -> bool {
    !lock(&ROUTINES).is_empty()
}

/// Tells of a process that begins to run a program, and of the program; the status with which a driver refuses it.
pub fn created(number: u32, file: Ptr, image: &[u16]) -> Status {
    let Some(process) = process(number) else { return status::SUCCESS };
    let routines: Vec<Routine> = lock(&ROUTINES).iter().map(|(routine, _)| *routine).collect();
    let line = command_line(&process.arguments());
    let text = |units: &[u16]| UnicodeString {
        length: (units.len() * 2) as u16,
        room: (units.len() * 2) as u16,
        buffer: Ptr::new(units.as_ptr().cast_mut()),
    };
    let (mut image, mut line) = (text(image), text(&line));
    let parent = process.parent();
    let mut info = CreateNotifyInfo {
        size: size_of::<CreateNotifyInfo>(),
        flags: 1,
        parent: Ptr::at_address(parent as usize),
        creator: client_id(parent, parent),
        file,
        image: Ptr::new(&raw mut image),
        command_line: Ptr::new(&raw mut line),
        status: status::SUCCESS,
    };
    let info: Ptr<CreateNotifyInfo> = Ptr::new(&raw mut info);
    let mut loaded = ImageInfo::default();
    for routine in routines {
        seh::guarded(|| match routine {
            Routine::Created(routine) => routine(Ptr::at_address(parent as usize), Ptr::at_address(number as usize), 1),
            Routine::CreatedEx(routine) => routine(address(&process), Ptr::at_address(number as usize), info),
            Routine::Loaded(routine) => {
                routine(Ptr::new(&raw mut image), Ptr::at_address(number as usize), Ptr::new(&raw mut loaded))
            }
            Routine::Thread(_) => {}
        });
        if !creation_status(info).is_success_severity() {
            break;
        }
    }
    creation_status(info)
}

/// Tells that a process is gone.
pub fn exited(process: &std::sync::Arc<Process>) {
    let routines: Vec<Routine> = lock(&ROUTINES).iter().map(|(routine, _)| *routine).collect();
    for routine in routines {
        let number = Ptr::at_address(process.number as usize);
        seh::guarded(|| match routine {
            Routine::Created(routine) => routine(Ptr::NULL, number, 0),
            Routine::CreatedEx(routine) => routine(address(process), number, Ptr::NULL),
            Routine::Loaded(_) | Routine::Thread(_) => {}
        });
    }
}

#[unsafe(no_mangle)]
extern "C" fn PsSetCreateProcessNotifyRoutine(routine: Created, remove: Boolean) -> Status {
    set(Routine::Created(routine), remove != 0)
}

#[unsafe(no_mangle)]
extern "C" fn PsSetCreateProcessNotifyRoutineEx(routine: CreatedEx, remove: Boolean) -> Status {
    set(Routine::CreatedEx(routine), remove != 0)
}

#[unsafe(no_mangle)]
extern "C" fn PsSetLoadImageNotifyRoutine(routine: Loaded) -> Status {
    set(Routine::Loaded(routine), false)
}

#[unsafe(no_mangle)]
extern "C" fn PsRemoveLoadImageNotifyRoutine(routine: Loaded) -> Status {
    set(Routine::Loaded(routine), true)
}

#[unsafe(no_mangle)]
pub extern "C" fn PsSetCreateThreadNotifyRoutine(routine: Ptr) -> Status {
    set(Routine::Thread(routine.address()), false)
}

#[unsafe(no_mangle)]
pub extern "C" fn PsRemoveCreateThreadNotifyRoutine(routine: Ptr) -> Status {
    set(Routine::Thread(routine.address()), true)
}
