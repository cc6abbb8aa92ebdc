//! Events that are not read yet, because those that are hold all the descriptors that events may have.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use sys::descriptors::reserve_of;
use sys::fanotify::Group;

use fltport::internal::lock;

/// How often the queue of unread events is looked at while nothing can be read: how much later than it came an event may
/// be noticed.
const GLANCE: Duration = Duration::from_millis(5);

/// How many descriptors events may have, of those that this process may have.
#[derive(Debug)]
pub(super) struct Room {
    limit: usize,
    /// A number from here on says that only the reserve of this process is left ([`sys::descriptors`]).
    end: usize,
    /// Most events of one read, so that it does not take the whole reserve.
    batch: usize,
    held: Mutex<Held>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct Held {
    count: usize,
    /// The event read last has taken from the reserve, and none was answered since.
    crowded: bool,
}

/// The descriptor of one event.
#[derive(Debug)]
pub(super) struct Place(Arc<Room>);

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = lock(&self.0.held);
        held.count -= 1;
        held.crowded = false;
        self.0.freed.notify_one();
    }
}

impl Room {
    /// In a process that may have so many descriptors and has some already. A fifth is for connections and all else.
    pub(super) fn new(descriptors: usize, others: usize) -> Self {
        let limit = descriptors.saturating_sub(others + (descriptors / 5).max(16)).max(1);
        let reserve = reserve_of(descriptors as u64) as usize;
        let (end, batch) = (descriptors - reserve, (reserve / 2).max(1));
        Self { limit, end, batch, held: Mutex::default(), freed: Condvar::new() }
    }

    /// An event with this descriptor was read.
    pub(super) fn take(self: &Arc<Self>, descriptor: usize) -> Place {
        let mut held = lock(&self.held);
        held.count += 1;
        held.crowded = descriptor >= self.end;
        Place(self.clone())
    }

    fn left(&self, held: &Held) -> usize {
        // Where nothing would become free by waiting, one is read.
        if held.crowded && held.count > 0 { 0 } else { self.limit.saturating_sub(held.count) }
    }

    /// Waits until there is room, and says for how many events. Those that are held came before those that are not read,
    /// so each gets there by its deadline.
    pub(super) fn wait(&self, group: &Group, unread: &mut Unread) -> usize {
        let mut held = lock(&self.held);
        loop {
            let left = self.left(&held);
            if left > 0 {
                return left.min(self.batch);
            }
            unread.note(group.unread().unwrap_or(0), sys::clock::monotonic());
            held = self.freed.wait_timeout(held, GLANCE).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Since when events wait that are not read yet. The kernel does not say; but what is in its queue now has been there
/// since now, at the latest.
#[derive(Debug, Default)]
pub(super) struct Unread {
    /// How many had come at the latest at which time, both rising.
    noted: VecDeque<(u64, Duration)>,
    /// How many were read.
    read: u64,
}

impl Unread {
    fn note(&mut self, unread: usize, now: Duration) {
        let come = self.read + unread as u64;
        if self.noted.back().map_or(self.read, |(noted, _)| *noted) < come {
            self.noted.push_back((come, now));
        }
    }

    /// The next one is read, and has waited since when?
    pub(super) fn next_since(&mut self, now: Duration) -> Duration {
        self.read += 1;
        let since = self.noted.front().map_or(now, |(_, at)| *at);
        while self.noted.front().is_some_and(|(come, _)| *come <= self.read) {
            self.noted.pop_front();
        }
        since
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn what_was_unread_has_waited_since_it_was_noted() {
        let mut unread = Unread::default();
        assert_eq!(unread.next_since(ms(1)), ms(1), "read at once");
        unread.note(2, ms(10));
        unread.note(2, ms(15));
        unread.note(5, ms(20));
        assert_eq!([(); 3].map(|()| unread.next_since(ms(120))), [ms(10), ms(10), ms(20)]);
        unread.note(3, ms(130));
        assert_eq!([(); 4].map(|()| unread.next_since(ms(140))), [ms(20), ms(20), ms(130), ms(140)]);
    }

    #[test]
    fn some_descriptors_are_for_others() {
        let room = |descriptors, others| {
            let Room { limit, end, batch, .. } = Room::new(descriptors, others);
            (limit, end, batch)
        };
        assert_eq!(room(64, 24), (24, 48, 8));
        assert_eq!(room(1_000_000, 100), (799_900, 999_744, 128));
        assert_eq!(room(3, 20), (1, 3, 1));
    }

    #[test]
    fn a_high_number_says_that_few_are_left() {
        let room = Arc::new(Room::new(64, 24));
        let left = |room: &Room| room.left(&lock(&room.held));
        let low = room.take(30);
        assert_eq!(left(&room), 23);
        let high = room.take(48);
        assert_eq!(left(&room), 0);
        drop(low);
        assert_eq!(left(&room), 23);
        drop(high);
        let _only = room.take(48);
        assert_eq!(left(&room), 0);
        drop(_only);
        assert_eq!(left(&room), 24);
    }
}
