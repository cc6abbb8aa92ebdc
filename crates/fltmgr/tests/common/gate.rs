//! A callback that a test holds up.

use std::sync::{Arc, Barrier};

use super::Filter;

/// A callback that is held up passes twice, and so does the test: when it runs, and when it may return.
#[derive(Clone)]
pub(crate) struct Gate(Arc<Barrier>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(Barrier::new(2)))
    }
}

impl Gate {
    /// Waits until the other side is here too.
    pub(crate) fn pass(&self) {
        self.0.wait();
    }

    fn hold(&self) {
        self.pass();
        self.pass();
    }

    /// Holds up each disconnect callback.
    pub(crate) fn at_the_end(&self) -> impl FnOnce(&mut Filter) {
        let gate = self.clone();
        |filter| filter.on_disconnect = Box::new(move |_| gate.hold())
    }

    /// Holds up the connect callback of a client whose context is `slow`.
    pub(crate) fn when_slow_connects(&self) -> impl FnOnce(&mut Filter) {
        let gate = self.clone();
        |filter| {
            filter.on_connect = Box::new(move |_, context| {
                if context == b"slow" {
                    gate.hold();
                }
                Ok(())
            });
        }
    }
}
