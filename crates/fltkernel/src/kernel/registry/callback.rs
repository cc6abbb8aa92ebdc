//! The callbacks for the registry's operations: taken note of, and never told, because programs of Linux have no registry.

use std::sync::Mutex;

use crate::edge::{Place, Ptr};
use crate::kernel::{debug, irql, report};
use crate::lock;
use crate::nt::UnicodeString;
use crate::nt::status::{self, Status};

#[derive(Clone, Debug)]
struct Callback {
    cookie: i64,
    altitude: Option<String>,
    place: Place,
}

static CALLBACKS: Mutex<(i64, Vec<Callback>)> = Mutex::new((0, Vec::new()));

/// Where callbacks were registered that are not taken back.
pub fn left() -> Vec<Place> {
    lock(&CALLBACKS).1.iter().map(|callback| callback.place).collect()
}

fn register(altitude: Option<String>, cookie: Ptr<i64>) -> Status {
    irql::expect(irql::APC, "CmRegisterCallback");
    let mut callbacks = lock(&CALLBACKS);
    if altitude.is_some() && callbacks.1.iter().any(|known| known.altitude == altitude) {
        return status::FLT_INSTANCE_ALTITUDE_COLLISION;
    }
    callbacks.0 += 1;
    let number = callbacks.0;
    callbacks.1.push(Callback { cookie: number, altitude, place: report::place() });
    drop(callbacks);
    cookie.write(number);
    debug::note("registry callbacks are never called: programs of Linux have no registry\n");
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn CmRegisterCallback(_routine: Ptr, _context: Ptr, cookie: Ptr<i64>) -> Status {
    register(None, cookie)
}

#[unsafe(no_mangle)]
pub extern "C" fn CmRegisterCallbackEx(
    _routine: Ptr,
    altitude: Ptr<UnicodeString>,
    _driver: Ptr,
    _context: Ptr,
    cookie: Ptr<i64>,
    reserved: Ptr,
) -> Status {
    if !reserved.is_null() || altitude.is_null() {
        return status::INVALID_PARAMETER;
    }
    register(Some(altitude.read().text()), cookie)
}

#[unsafe(no_mangle)]
pub extern "C" fn CmUnRegisterCallback(cookie: i64) -> Status {
    irql::expect(irql::APC, "CmUnRegisterCallback");
    let mut callbacks = lock(&CALLBACKS);
    let Some(index) = callbacks.1.iter().position(|known| known.cookie == cookie) else {
        return status::INVALID_PARAMETER;
    };
    callbacks.1.remove(index);
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn CmGetCallbackVersion(major: Ptr<u32>, minor: Ptr<u32>) {
    major.write_some(1);
    minor.write_some(0);
}
