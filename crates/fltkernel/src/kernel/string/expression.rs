//! Names matched with wildcards.

use super::upcase;
use crate::edge::Ptr;
use crate::kernel::report::{self, Rule};
use crate::nt::{Boolean, UnicodeString, Unit};

const STAR: Unit = b'*' as Unit;
const QUESTION: Unit = b'?' as Unit;
const DOS_STAR: Unit = b'<' as Unit;
const DOS_QUESTION: Unit = b'>' as Unit;
const DOS_DOT: Unit = b'"' as Unit;
const DOT: Unit = b'.' as Unit;

/// Whether the name matches. `*` is any run of characters, `?` one, `<` any run up to the last dot, `>` one or nothing
/// before a dot or at the end, `"` a dot or nothing at the end.
pub fn matches(expression: &[Unit], name: &[Unit]) -> bool {
    if name.is_empty() {
        return expression.is_empty() || expression == [STAR];
    }
    // which positions of the name each part of the expression can have reached
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    let last_dot = name.iter().rposition(|&unit| unit == DOT);
    for &part in expression {
        let mut next = vec![false; name.len() + 1];
        for at in 0..=name.len() {
            if !reached[at] {
                continue;
            }
            let unit = name.get(at).copied();
            match part {
                STAR => next[at..].fill(true),
                // it may end before the last dot, and, like `*`, at every place that is not beyond it
                DOS_STAR => {
                    let end = last_dot.filter(|&dot| at <= dot).unwrap_or(name.len());
                    next[at..=end].fill(true);
                }
                QUESTION if unit.is_some() => next[at + 1] = true,
                DOS_QUESTION => match unit {
                    None | Some(DOT) => next[at] = true,
                    Some(_) => next[at + 1] = true,
                },
                DOS_DOT => match unit {
                    None => next[at] = true,
                    Some(DOT) => next[at + 1] = true,
                    Some(_) => {}
                },
                literal if unit == Some(literal) => next[at + 1] = true,
                _ => {}
            }
        }
        reached = next;
    }
    reached[name.len()]
}

#[unsafe(no_mangle)]
pub extern "C" fn FsRtlIsNameInExpression(
    expression: Ptr<UnicodeString>,
    name: Ptr<UnicodeString>,
    fold: Boolean,
    _table: Ptr<Unit>,
) -> Boolean {
    let expression = expression.read().units();
    let mut name = name.read().units();
    if fold != 0 {
        if expression.iter().any(|&unit| upcase(unit) != unit) {
            let text = String::from_utf16_lossy(&expression);
            report::find(
                Rule::ExprCase,
                format!("the expression {text:?} is not in upper case, so it matches nothing"),
            );
        }
        name.iter_mut().for_each(|unit| *unit = upcase(*unit));
    }
    matches(&expression, &name).into()
}

#[unsafe(no_mangle)]
pub extern "C" fn FsRtlDoesNameContainWildCards(name: Ptr<UnicodeString>) -> Boolean {
    let wild = |unit: &Unit| matches!(*unit, STAR | QUESTION | DOS_STAR | DOS_QUESTION | DOS_DOT);
    name.read().units().iter().any(wild).into()
}

#[unsafe(no_mangle)]
pub extern "C" fn FsRtlAreNamesEqual(
    a: Ptr<UnicodeString>,
    b: Ptr<UnicodeString>,
    fold: Boolean,
    _table: Ptr<Unit>,
) -> Boolean {
    super::equal(&a.read().units(), &b.read().units(), fold != 0).into()
}
