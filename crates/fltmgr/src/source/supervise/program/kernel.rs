//! Goes through the kernel's list of system calls: what the program does with each is what `kernel.tsv` says, and a call
//! that is not in the list, because it is newer, is none that a supervised program has.

use proto::operation::OpSet;

use super::tests::run;
use super::{ALLOW, ARCH, ASK, LAST, program, refuse};

/// A line of the list.
struct Line {
    name: &'static str,
    number: u32,
    /// The arguments and their values for which the line holds; for all others if there are none.
    when: Vec<(usize, u64)>,
    decision: &'static str,
    reason: &'static str,
}

/// The column of this processor's numbers.
const COLUMN: usize = if cfg!(target_arch = "x86_64") { 1 } else { 2 };

/// Numbers that no call has. On x86-64 new calls have had the numbers of all other processors since 424; elsewhere there
/// is room for calls of one processor, and for those with which 32-bit ones tell the time.
const GAPS: &[(u32, u32)] = if cfg!(target_arch = "x86_64") { &[(337, 423)] } else { &[(244, 259), (295, 423)] };

fn lines() -> Vec<Line> {
    let lines = include_str!("kernel.tsv").lines().filter(|line| !line.starts_with('#'));
    let parse = |line: &'static str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let [name, _, _, when, decision, reason] = fields[..] else { panic!("six fields: {line}") };
        let number = match fields[COLUMN] {
            "-" => return None,
            number => number.parse().unwrap_or_else(|e| panic!("{line}: {e}")),
        };
        let when = when.split(',').filter_map(|pair| pair.split_once('='));
        let when = when.map(|(argument, value)| {
            let value = match value.strip_prefix("0x") {
                Some(digits) => u64::from_str_radix(digits, 16),
                None => value.parse(),
            };
            (argument.parse().expect("a register"), value.expect("a value"))
        });
        let when = when.collect();
        Some(Line { name, number, when, decision, reason })
    };
    lines.filter_map(parse).collect()
}

/// The highest number in the list.
fn last() -> u32 {
    lines().iter().map(|line| line.number).max().expect("calls")
}

/// What the program answers to a call with these arguments.
fn answer(line: &Line, mut registers: [u64; 6], strict: bool) -> u32 {
    for (argument, value) in &line.when {
        registers[*argument] = *value;
    }
    run(&program(OpSet::all(), strict), ARCH, line.number, registers)
}

#[test]
fn every_call_has_one_decision() {
    let lines = lines();
    for number in (0..=last()).filter(|number| !GAPS.iter().any(|(first, last)| (*first..=*last).contains(number))) {
        let general = lines.iter().filter(|line| line.number == number && line.when.is_empty());
        assert_eq!(general.count(), 1, "call {number}");
    }
}

#[test]
fn numbers_are_those_of_this_processor() {
    for (name, number) in [
        ("openat", libc::SYS_openat),
        ("execveat", libc::SYS_execveat),
        ("fchmodat", libc::SYS_fchmodat),
        ("statx", libc::SYS_statx),
        ("setxattr", libc::SYS_setxattr),
        ("clone3", libc::SYS_clone3),
        ("openat2", libc::SYS_openat2),
        ("landlock_restrict_self", libc::SYS_landlock_restrict_self),
    ] {
        assert!(lines().iter().any(|line| line.name == name && i64::from(line.number) == number), "{name}");
    }
}

#[test]
fn each_call_gets_what_was_decided() {
    let mut wrong = Vec::new();
    for line in lines() {
        assert!(!line.reason.is_empty(), "{}", line.name);
        let (decision, strict) = match line.decision.strip_suffix(", strict EPERM") {
            Some(decision) => (decision, Some(refuse(libc::EPERM))),
            None => (line.decision, None),
        };
        let loose = match decision {
            "harmless" => ALLOW,
            "held" | "noted" => ASK,
            "refused EPERM" => refuse(libc::EPERM),
            "refused ENOSYS" => refuse(libc::ENOSYS),
            other => panic!("{}: {other} is no decision", line.name),
        };
        let expected = [loose, strict.unwrap_or(loose)];
        let answers = [false, true].map(|strict| answer(&line, [0; 6], strict));
        if answers != expected {
            wrong.push(format!("{} {:?}: {}, but the program says {answers:#x?}", line.name, line.when, line.decision));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What is harmless is so whatever its arguments are, but for those that have a line of their own.
#[test]
fn harmless_calls_do_not_wait() {
    let lines = lines();
    let special = |line: &Line| lines.iter().any(|other| other.number == line.number && !other.when.is_empty());
    for line in lines.iter().filter(|line| line.decision == "harmless" && !special(line)) {
        for value in [1, u64::from(u32::MAX), u64::MAX] {
            assert_eq!(answer(line, [value; 6], false), ALLOW, "{}", line.name);
        }
    }
}

/// A later kernel may have a call that opens a file in a way that nothing here knows.
#[test]
fn a_call_that_is_not_in_the_list_is_refused() {
    assert_eq!(LAST, last());
    for number in [LAST + 1, LAST + 100, u32::MAX] {
        assert_eq!(run(&program(OpSet::all(), false), ARCH, number, [0; 6]), refuse(libc::ENOSYS), "call {number}");
    }
}
