//! What a driver says, and what it asserts.

use std::sync::Mutex;

use super::report::{self, Rule};
use super::{format, irql};
use crate::edge::{Arguments, Place, Ptr, variadic};
use crate::lock;

/// Text longer than this is cut, as on Windows.
const MOST: usize = 512;

static LOG: Mutex<Option<fn(&str)>> = Mutex::new(None);

/// Calls `log` with each text that a driver prints.
pub fn log_with(log: fn(&str)) {
    *lock(&LOG) = Some(log);
}

/// Says what a driver must know of this place.
pub fn note(text: &str) {
    print(text.as_bytes());
}

fn print(text: &[u8]) {
    let text = String::from_utf8_lossy(&text[..text.len().min(MOST)]);
    match *lock(&LOG) {
        Some(log) => log(&text),
        None => eprint!("{text}"),
    }
}

extern "C" fn dbg_print(text: Ptr<u8>, mut arguments: Arguments) -> u32 {
    let format = text.until_zero();
    if irql::level() >= irql::DISPATCH
        && [b"%ws".as_slice(), b"%wZ", b"%S", b"%ls"].iter().any(|wide| format.windows(wide.len()).any(|w| w == *wide))
    {
        report::find(Rule::Irql, "a wide text is printed at DISPATCH_LEVEL: the tables that convert it are pageable");
    }
    print(&format::format(&format, &mut arguments));
    0
}

/// `DPFLTR_…_LEVEL` up to which texts are printed.
pub const LEVEL: u32 = 3;

extern "C" fn dbg_print_ex(_component: u32, level: u32, text: Ptr<u8>, arguments: Arguments) -> u32 {
    // above 31 it is a mask of levels
    if level < 32 && level > LEVEL { 0 } else { dbg_print(text, arguments) }
}

variadic! {
    DbgPrint 1 => dbg_print;
    DbgPrintEx 3 => dbg_print_ex;
}

#[unsafe(no_mangle)]
pub extern "C" fn vDbgPrintEx(component: u32, level: u32, text: Ptr<u8>, arguments: Arguments) -> u32 {
    dbg_print_ex(component, level, text, arguments)
}

#[unsafe(no_mangle)]
pub extern "C" fn vDbgPrintExWithPrefix(
    prefix: Ptr<u8>,
    component: u32,
    level: u32,
    text: Ptr<u8>,
    arguments: Arguments,
) -> u32 {
    print(&prefix.until_zero());
    dbg_print_ex(component, level, text, arguments)
}

#[unsafe(no_mangle)]
pub extern "C" fn DbgBreakPoint() {
    report::find(Rule::Assert, "the driver asks for a debugger (DbgBreakPoint)");
}

/// `ASSERT` and its like, of which the condition is false: noted, and the driver goes on.
#[unsafe(no_mangle)]
pub extern "C" fn fk_assertion(text: Ptr<u8>, file: Ptr<u8>, line: i32) -> i32 {
    let read = |text: Ptr<u8>| String::from_utf8_lossy(&text.until_zero()).into_owned();
    let file = read(file);
    let file = file.rsplit('/').next().unwrap_or("");
    report::find_at(Rule::Assert, format!("not true: {} ({file}:{line})", read(text)), Place::here());
    0
}

#[unsafe(no_mangle)]
pub extern "C" fn fk_check_list(entry: Ptr<crate::nt::ListEntry>, _file: Ptr<u8>, _line: i32) {
    let now = entry.read();
    if now.next.read().previous != entry || now.previous.read().next != entry {
        report::find(
            Rule::List,
            "an entry is removed from a list whose links do not lead to it: removed before, or overwritten",
        );
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn KeBugCheckEx(code: u32, p1: usize, p2: usize, p3: usize, p4: usize) -> ! {
    crate::host::bugcheck::stop(&format!(
        "the driver stops the machine: code {code:#x} ({p1:#x}, {p2:#x}, {p3:#x}, {p4:#x})"
    ))
}

#[unsafe(no_mangle)]
pub extern "C" fn KeBugCheck(code: u32) -> ! {
    KeBugCheckEx(code, 0, 0, 0, 0)
}
