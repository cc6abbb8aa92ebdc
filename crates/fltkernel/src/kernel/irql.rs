//! Interrupt request levels: a number of each thread, and which functions may be called at which.

use std::cell::Cell;

use super::report::{self, Rule};
use crate::edge::{Place, Ptr};

pub const PASSIVE: u8 = 0;
pub const APC: u8 = 1;
pub const DISPATCH: u8 = 2;

thread_local! {
    static LEVEL: Cell<u8> = const { Cell::new(PASSIVE) };
}

/// This thread's level.
pub fn level() -> u8 {
    LEVEL.get()
}

/// Sets it, and gives the one before.
pub fn set(level: u8) -> u8 {
    LEVEL.replace(level)
}

/// A finding unless this thread's level is at most `most`.
pub fn expect(most: u8, what: &str) {
    let now = level();
    if now > most {
        report::find(Rule::Irql, format!("{what} at level {now}: allowed up to {most}"));
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn KeGetCurrentIrql() -> u8 {
    level()
}

#[unsafe(no_mangle)]
pub extern "C" fn KfRaiseIrql(to: u8) -> u8 {
    if to < level() {
        report::find(Rule::Irql, format!("the level is raised to {to}, and is {}", level()));
    }
    set(to)
}

#[unsafe(no_mangle)]
pub extern "C" fn KeRaiseIrqlToDpcLevel() -> u8 {
    KfRaiseIrql(DISPATCH)
}

#[unsafe(no_mangle)]
pub extern "C" fn KeLowerIrql(to: u8) {
    if to > level() {
        report::find(Rule::IrqlLeft, format!("the level is lowered to {to}, and is {}", level()));
    }
    set(to);
}

/// `PAGED_CODE()`
#[unsafe(no_mangle)]
pub extern "C" fn fk_paged_code(function: Ptr<u8>, _file: Ptr<u8>, _line: i32) {
    if level() > APC {
        let function = String::from_utf8_lossy(&function.until_zero()).into_owned();
        report::find_at(
            Rule::IrqlPaged,
            format!("{function} is pageable code and runs at level {}", level()),
            Place::here(),
        );
    }
}
