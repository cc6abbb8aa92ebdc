//! Rules on the names of files: what is denied, what an application is asked about.
//!
//! A [`Rule`] has an [`Effect`] on operations of some kinds whose file matches one of its patterns. [`Rules`] are a list of
//! them, compiled once and never changed; the first rule that matches an operation decides, and what none matches is
//! allowed. [`LiveRules`] are rules that can be replaced while filters use them: every operation is decided by one list or
//! by the other, without a lock on its way.
//!
//! ```
//! use fltmgr::filter::{OpKind, OpSet};
//! use fltmgr::policy::{Decision, Rule, Rules};
//! use fltmgr::source::Synthetic;
//!
//! # fn main() -> Result<(), fltmgr::Error> {
//! let rules = Rules::new([
//!     Rule::allow(["/srv/public/**"]),
//!     Rule::deny(["*.key", "/etc/shadow"]),
//!     Rule::ask(["**"]).kinds(OpSet::OPEN),
//! ])?;
//! let decide = |path: &str| rules.decide(&Synthetic::operation(OpKind::Open, path));
//! assert_eq!(decide("/srv/public/my.key"), Decision::Allow);
//! assert_eq!(decide("/srv/my.key"), Decision::Deny);
//! assert_eq!(decide("/srv/my.txt"), Decision::Ask);
//! # Ok(()) }
//! ```

mod live;
mod pattern;
mod rules;
mod spellings;
mod written;

pub use live::LiveRules;
pub use rules::{Decision, Effect, Rule, Rules};
