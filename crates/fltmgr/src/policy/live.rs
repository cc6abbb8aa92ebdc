//! Rules that are replaced while filters use them.
//!
//! A decision loads a pointer to one list and is made by that list alone; a replacement stores another pointer. Neither
//! waits for the other.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::{Decision, Rules};
use crate::filter::Operation;

/// A list of rules, and the way to put another in its place. All clones share one list.
///
/// ```
/// use fltmgr::filter::{Manager, OpKind, Verdict};
/// use fltmgr::guard::Guard;
/// use fltmgr::policy::{LiveRules, Rule, Rules};
/// use fltmgr::source::Synthetic;
/// # use std::{sync::Arc, time::Duration};
///
/// # fn main() -> Result<(), fltmgr::Error> {
/// let live = LiveRules::from(Rules::new([Rule::deny(["*.key"])])?);
/// let source = Arc::new(Synthetic::new());
/// let _manager = Manager::builder().filter(Guard::new(live.clone()))?.start(source.clone())?;
/// let open = || source.submit(Synthetic::operation(OpKind::Open, "/my.key")).wait(Duration::from_secs(5));
/// assert_ne!(open(), Some(Verdict::Allow));
/// live.replace(Rules::new([])?);
/// assert_eq!(open(), Some(Verdict::Allow));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct LiveRules(Arc<ArcSwap<Rules>>);

impl From<Rules> for LiveRules {
    fn from(rules: Rules) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(rules)))
    }
}

impl LiveRules {
    /// Puts other rules in the place of the present ones. An operation that begins to be decided after this returned is
    /// decided by them; a question that was asked before stays asked, and a verdict that a source remembers is kept until
    /// it is told to forget it.
    pub fn replace(&self, rules: Rules) {
        self.0.store(Arc::new(rules));
    }

    /// What the present rules say.
    pub fn decide(&self, operation: &Operation) -> Decision {
        self.0.load().decide(operation)
    }
}
