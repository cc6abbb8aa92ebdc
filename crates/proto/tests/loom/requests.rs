//! SENDs, and the workers that come and go for them.

use std::sync::Arc;

use loom::sync::{Condvar, Mutex};
use loom::thread;

use fltmgr_proto::slots::{Requests, Wake, Workers};

use crate::model;
use crate::world::{ANY, World, upper, wait};

/// The workers at one connection, as `fltmgr::port::requests` has them.
struct Office {
    world: Arc<World>,
    workers: Mutex<Workers>,
    /// Requests that were taken, one bit each.
    served: Mutex<u64>,
    all_served: Condvar,
    threads: Mutex<Vec<thread::JoinHandle<()>>>,
    /// How long a worker lingers: for ever, or not at all.
    stays: bool,
    /// The requests that are sent.
    all: u64,
}

impl Office {
    fn new(stays: bool, all: u64) -> Arc<Self> {
        let world = World::new();
        Requests(&world.shared.requests.word).open();
        Arc::new(Self {
            world,
            workers: Mutex::default(),
            served: Mutex::new(0),
            all_served: Condvar::new(),
            threads: Mutex::new(Vec::new()),
            stays,
            all,
        })
    }

    fn requests(&self) -> Requests<'_> {
        Requests(&self.world.shared.requests.word)
    }

    fn send(self: &Arc<Self>, bit: u64) {
        match self.requests().posted(bit) {
            Wake::None => {}
            Wake::One => self.world.requests.wake(1, ANY),
            Wake::Socket => self.rung(),
        }
    }

    fn rung(self: &Arc<Self>) {
        if self.workers.lock().unwrap().call() {
            let office = Arc::clone(self);
            let worker = thread::spawn(move || office.work());
            self.threads.lock().unwrap().push(worker);
        }
    }

    fn work(self: &Arc<Self>) {
        let word = self.requests();
        loop {
            self.workers.lock().unwrap().begin_look(&word);
            let look = || match word.collect() {
                0 if word.dead() || !self.stays => Some(0),
                0 => None,
                bits => Some(bits),
            };
            let bits = wait(&self.world.requests, || upper(word.0), ANY, look, || word.prepare_sleep());
            let unseen = self.workers.lock().unwrap().end_look(&word);
            match unseen {
                Wake::None => {}
                Wake::One => self.world.requests.wake(1, ANY),
                Wake::Socket => self.rung(),
            }
            if bits == 0 {
                break;
            }
            self.serve(bits);
        }
        let refused = self.workers.lock().unwrap().leave(&word);
        if refused {
            self.rung();
        }
    }

    /// A callback that waits until all requests are served, as one may that needs another's.
    fn serve(&self, bits: u64) {
        let mut served = self.served.lock().unwrap();
        assert_eq!(*served & bits, 0);
        *served |= bits;
        if *served == self.all {
            self.all_served.notify_all();
            self.requests().mark_dead();
            self.world.requests.wake(usize::MAX, ANY);
        }
        while self.stays && *served != self.all {
            served = self.all_served.wait(served).unwrap();
        }
    }

    fn close(&self) {
        loop {
            let thread = self.threads.lock().unwrap().pop();
            let Some(thread) = thread else { break };
            thread.join().unwrap();
        }
        assert_eq!(*self.served.lock().unwrap(), self.all);
    }
}

/// No request is left behind by workers that leave as soon as they find nothing.
///
/// Fails with: neither `end_look` nor `leave` looking at the requests.
#[test]
fn a_leaving_worker_leaves_no_request() {
    model(|| {
        let office = Office::new(false, 3);
        office.send(1);
        office.send(2);
        office.close();
    });
}

/// A request that finds all workers counted, and all of them leaving, is not refused a worker for good.
///
/// Fails with: `leave` that does not look at the requests.
#[test]
fn workers_that_leave_make_room_for_one_who_stays() {
    model(|| {
        let office = Office::new(false, 1);
        for _ in 0..2 {
            office.rung();
        }
        office.send(1);
        office.close();
    });
}

/// A request that comes while the only worker is on its way into a callback, which waits for that request.
///
/// Fails with: `end_look` that does not look at the requests.
#[test]
fn a_callback_may_wait_for_another_request() {
    model(|| {
        let office = Office::new(true, 3);
        office.send(1);
        office.send(2);
        office.close();
    });
}

/// Of two workers asleep on the word each is woken for one of two requests, although the first wakes up late.
///
/// Fails with: `end_look` that does not set the parked bit for the other.
#[test]
fn two_parked_workers_serve_two_requests() {
    model(|| {
        let office = Office::new(true, 3);
        for _ in 0..2 {
            office.rung();
        }
        office.send(1);
        office.send(2);
        office.close();
    });
}
