//! Processes whose operations are not held back.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// Names processes whose operations are answered at once, or not asked about: a process that waited for an answer that it
/// has to give itself would wait for ever.
pub trait Exempt: Send + Sync + 'static {
    /// Whether this process is exempt now. Called for each operation, on the thread that reads them: must not wait for
    /// anything that an operation held back could hold up.
    fn exempts(&self, process: u32) -> bool;
}

/// This process, and those that others say.
pub(super) struct Exemptions {
    own: u32,
    others: RwLock<Vec<Arc<dyn Exempt>>>,
}

impl fmt::Debug for Exemptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exemptions").field("own", &self.own).finish_non_exhaustive()
    }
}

impl Exemptions {
    /// This process alone.
    pub(super) fn new() -> Self {
        Self { own: std::process::id(), others: RwLock::default() }
    }

    pub(super) fn add(&self, exempt: Arc<dyn Exempt>) {
        self.others.write().unwrap_or_else(PoisonError::into_inner).push(exempt);
    }

    pub(super) fn cover(&self, process: u32) -> bool {
        let others = || self.others.read().unwrap_or_else(PoisonError::into_inner);
        process == self.own || others().iter().any(|exempt| exempt.exempts(process))
    }
}
