//! The driver does what would stop Windows: the host says what, and ends.

use std::sync::Mutex;

use crate::edge::seh::Exception;
use crate::edge::{Place, heap};
use crate::kernel::{irql, locks, thread};
use crate::lock;

/// The exit status of a host whose driver stopped the machine.
pub const EXIT: i32 = 70;

static BEFORE: Mutex<Option<Box<dyn FnOnce() + Send>>> = Mutex::new(None);

/// Calls this once before the host ends: what waits for the driver is answered by then.
pub fn before_end(run: impl FnOnce() + Send + 'static) {
    *lock(&BEFORE) = Some(Box::new(run));
}

/// Ends the host with this sentence, and what the driver was doing.
pub fn stop(text: &str) -> ! {
    let identity = thread::identity();
    eprintln!("BUGCHECK  {text}");
    eprintln!(
        "          at level {}, for process {}, operation {}",
        irql::level(),
        identity.process.number,
        thread::operation()
    );
    for lock in locks::held() {
        eprintln!("          holding a lock taken by {}", lock.place);
    }
    // on a thread of its own: this one may hold what the answers need
    let before = lock(&BEFORE).take();
    if let Some(before) = before {
        let answered = std::thread::spawn(before);
        let _ = answered.join();
    }
    // the driver's destructors and our threads have nothing to do with each other any more
    heap::end_process(EXIT)
}

/// An exception that no `__try` took.
pub fn unhandled(exception: Exception) -> ! {
    let write = if exception.parameters[0] != 0 { "writing" } else { "reading" };
    let what = match exception.code {
        crate::edge::seh::ACCESS_VIOLATION => {
            format!("access violation {write} address {:#x}", exception.parameters[1])
        }
        code => format!("exception {code:#010x}"),
    };
    stop(&format!("{what} at {}", Place::at(exception.at)))
}
