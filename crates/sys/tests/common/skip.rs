//! Tests that this user, or this machine, cannot run.

use std::fmt::Display;
use std::io::Write as _;

/// Says that a test was left out because a right is missing. Past the harness's capture, so that a run shows it.
pub(crate) fn privileged(why: impl Display) {
    // a closed standard error is no reason to fail
    let _ = writeln!(std::io::stderr(), "\nSKIP privileged: {why}");
}
