//! Faults on purpose: one chosen call fails, to see what the driver does then.

use std::sync::Mutex;

use crate::edge::Place;
use crate::lock;

/// What can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Site {
    Pool,
    Context,
    Mdl,
    Name,
}

/// The call that fails: its number among the calls of a driver that can, and which it was.
#[derive(Debug)]
struct Plan {
    countdown: u64,
    struck: Option<(Site, Place)>,
}

static PLAN: Mutex<Option<Plan>> = Mutex::new(None);

/// Lets the call after so many others that can fail, fail; `None`: no call.
pub fn plan(after: Option<u64>) {
    *lock(&PLAN) = after.map(|countdown| Plan { countdown, struck: None });
}

/// The call that failed, if the run has come there.
pub fn struck() -> Option<(Site, Place)> {
    lock(&PLAN).as_ref()?.struck
}

/// Whether this call is the one.
pub fn strikes(site: Site) -> bool {
    let mut plan = lock(&PLAN);
    let Some(plan) = plan.as_mut().filter(|plan| plan.struck.is_none()) else { return false };
    if plan.countdown > 0 {
        plan.countdown -= 1;
        return false;
    }
    plan.struck = Some((site, Place::here()));
    true
}
