//! Devices, and which of them remember the process that opens them.

use std::fs;

use rustix::fs::{FileType, OFlags, Stat, major, minor};

use crate::source::procfs::Session;

/// /dev/null, /dev/zero, /dev/random and the like.
const MEMORY: u32 = 1;
/// /dev/tty, and what stands for a terminal beside it.
const TTY_AUXILIARY: u32 = 5;

/// Drivers that tie what they open to the process that opens it, by the beginning of the device's name: Binder, AMD's
/// compute nodes, and a driver of which it is not known.
const BOUND: [&str; 5] = ["binder", "hwbinder", "vndbinder", "kfd", "nvidia"];

/// What opening a device depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// On the rights of the process that opens it, with these flags in addition. It may wait for its line, its medium.
    Rights { more: OFlags, waits: bool },
    /// /dev/tty is the controlling terminal of the process that opens it, and another terminal would become it.
    Terminal,
    /// Its driver remembers the process.
    Process,
}

/// What it depends on to open this device for a thread.
pub(super) fn opening(device: &Stat, flags: OFlags, tid: u32) -> Opening {
    let number = (major(device.st_rdev), minor(device.st_rdev));
    let waits = Opening::Rights { more: OFlags::empty(), waits: true };
    if FileType::from_raw_mode(device.st_mode) == FileType::BlockDevice {
        return waits;
    }
    if number.0 == MEMORY {
        return Opening::Rights { more: OFlags::empty(), waits: false };
    }
    if number == (TTY_AUXILIARY, 0) {
        return Opening::Terminal;
    }
    if is_terminal(number) {
        // Only the leader of a session without a terminal gets one.
        let unchanged = flags.contains(OFlags::NOCTTY) || Session::of(tid).is_ok_and(|it| !it.lacks_terminal());
        return if unchanged { Opening::Rights { more: OFlags::NOCTTY, waits: true } } else { Opening::Terminal };
    }
    match name(number) {
        Some(name) if !BOUND.iter().any(|bound| name.starts_with(bound)) => waits,
        _ => Opening::Process,
    }
}

/// By what the kernel lists: driver, name, major number, minor number or range, kind.
fn is_terminal((major, minor): (u32, u32)) -> bool {
    let drivers = fs::read_to_string("/proc/tty/drivers").unwrap_or_default();
    drivers.lines().any(|line| {
        let mut numbers = line.split_whitespace().skip(2);
        let [Some(of_driver), Some(range)] = [numbers.next(), numbers.next()] else { return false };
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let within = |first: u32, last: u32| (first..=last).contains(&minor);
        of_driver.parse() == Ok(major) && matches!((first.parse(), last.parse()), (Ok(a), Ok(b)) if within(a, b))
    })
}

/// The name that its driver gave it. `None` if it gave none.
fn name((major, minor): (u32, u32)) -> Option<String> {
    let text = fs::read_to_string(format!("/sys/dev/char/{major}:{minor}/uevent")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("DEVNAME=")).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str, flags: OFlags) -> Opening {
        opening(&rustix::fs::stat(path).unwrap(), flags, std::process::id())
    }

    #[test]
    fn memory_devices_depend_on_rights_alone() {
        for path in ["/dev/null", "/dev/zero", "/dev/full", "/dev/urandom"] {
            assert_eq!(of(path, OFlags::RDWR), Opening::Rights { more: OFlags::empty(), waits: false }, "{path}");
        }
    }

    #[test]
    fn terminals_depend_on_the_session_unless_told_not_to() {
        assert_eq!(of("/dev/tty", OFlags::NOCTTY), Opening::Terminal);
        assert_eq!(
            of("/dev/ptmx", OFlags::RDWR | OFlags::NOCTTY),
            Opening::Rights { more: OFlags::NOCTTY, waits: true }
        );
    }
}
