//! Tests that this machine, or this user, cannot run. It is said past the harness's capture, so that a run shows it.

use std::fmt::Display;
use std::io::Write as _;

/// Says that a test was left out because a right is missing.
pub fn privileged(why: impl Display) {
    // a closed standard error is no reason to fail
    let _ = writeln!(std::io::stderr(), "\nSKIP privileged: {why}");
}

/// Says that a test was left out because the machine lacks something.
pub fn machine(why: impl Display) {
    let _ = writeln!(std::io::stderr(), "\nSKIP: {why}");
}
