//! A callback that a test holds up.

use std::sync::{Arc, Condvar, Mutex};

use crate::{Filter, LONG};

/// A callback that is held up passes twice, and so does the test: when it runs, and when it may return.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<(Mutex<u64>, Condvar)>);

impl Gate {
    /// Waits until the other side is here too, and fails when it does not come: a test that goes wrong must not hang.
    pub fn pass(&self) {
        let (passes, passed) = &*self.0;
        let mut count = passes.lock().unwrap();
        *count += 1;
        let mine = *count;
        if mine % 2 == 0 {
            return passed.notify_all();
        }
        let (count, waited) = passed.wait_timeout_while(count, LONG, |count| *count == mine).unwrap();
        drop(count);
        assert!(!waited.timed_out(), "no other thread came to the gate");
    }

    fn hold(&self) {
        self.pass();
        self.pass();
    }

    /// Holds up each disconnect callback.
    pub fn at_the_end(&self) -> impl FnOnce(&mut Filter) {
        let gate = self.clone();
        |filter| filter.on_disconnect = Box::new(move |_| gate.hold())
    }

    /// Holds up the connect callback of a client whose context is `slow`.
    pub fn when_slow_connects(&self) -> impl FnOnce(&mut Filter) {
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
