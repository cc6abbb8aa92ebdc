//! Strings: `RtlInitUnicodeString` and its family.

mod basic;
mod convert;
mod crt;
mod expression;
mod safe;

pub use basic::*;
pub use convert::*;
pub use crt::*;
pub use expression::*;
pub use safe::*;

use crate::nt::Unit;

/// A unit in upper case, as NT's table has it in all but rare letters.
pub fn upcase(unit: Unit) -> Unit {
    match unit {
        0x00B5 | 0x00DF | 0x0131 | 0x017F => unit,
        _ => one_to_one(unit, |c| c.to_uppercase().collect()),
    }
}

/// A unit in lower case.
pub fn downcase(unit: Unit) -> Unit {
    one_to_one(unit, |c| c.to_lowercase().collect())
}

fn one_to_one(unit: Unit, map: impl Fn(char) -> String) -> Unit {
    let Some(c) = char::from_u32(unit.into()) else { return unit };
    let mapped = map(c);
    let mut units = mapped.encode_utf16();
    match (units.next(), units.next()) {
        (Some(one), None) => one,
        _ => unit,
    }
}

/// Compares unit by unit, the first difference or that of the lengths; if `fold`, in upper case.
pub fn compare(a: &[Unit], b: &[Unit], fold: bool) -> i32 {
    let case = |unit: Unit| if fold { upcase(unit) } else { unit };
    let different =
        a.iter().zip(b).map(|(&a, &b)| i32::from(case(a)) - i32::from(case(b))).find(|&difference| difference != 0);
    different.unwrap_or_else(|| (a.len() as i32) - (b.len() as i32))
}

/// Whether the two are the same text.
pub fn equal(a: &[Unit], b: &[Unit], fold: bool) -> bool {
    a.len() == b.len() && compare(a, b, fold) == 0
}
