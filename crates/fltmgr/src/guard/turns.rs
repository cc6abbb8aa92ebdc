//! Whose turn it is, where more is wanted than there are places for: the users take turns, the processes of a user, and
//! what one process wants goes in order.
//!
//! A user gets one more place only while it holds fewer than `times` those that are left, and a process only while it holds
//! fewer than its user could then still get: another always finds some.

use std::collections::{HashMap, VecDeque};

/// For which process of which user something is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Party {
    pub(super) user: u32,
    pub(super) process: u32,
}

/// What is wanted, and which places are held.
#[derive(Debug)]
pub(super) struct Turns<T> {
    places: usize,
    times: usize,
    held: usize,
    users: HashMap<u32, User<T>>,
    /// Those for which something waits.
    order: VecDeque<u32>,
}

#[derive(Debug)]
struct User<T> {
    held: usize,
    processes: HashMap<u32, Process<T>>,
    /// Those for which something waits.
    order: VecDeque<u32>,
}

#[derive(Debug)]
struct Process<T> {
    held: usize,
    waiting: VecDeque<T>,
}

impl<T> Turns<T> {
    /// With 1 a user alone gets half of all places, and one process alone a third; with 8 it is 8 of 9, and 4 of 5.
    pub(super) fn new(places: usize, times: usize) -> Self {
        Self { places, times, held: 0, users: HashMap::new(), order: VecDeque::new() }
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Something is wanted. What waits for the same process and is `over` meanwhile is given back, as far as it comes
    /// before all that is not.
    pub(super) fn push(&mut self, party: Party, item: T, over: impl Fn(&T) -> bool) -> Vec<T> {
        let new = || User { held: 0, processes: HashMap::new(), order: VecDeque::new() };
        let user = self.users.entry(party.user).or_insert_with(new);
        let new = || Process { held: 0, waiting: VecDeque::new() };
        let process = user.processes.entry(party.process).or_insert_with(new);
        if process.waiting.is_empty() {
            if user.order.is_empty() {
                self.order.push_back(party.user);
            }
            user.order.push_back(party.process);
        }
        let dead = process.waiting.iter().take_while(|&item| over(item)).count();
        let dead = process.waiting.drain(..dead).collect();
        process.waiting.push_back(item);
        dead
    }

    /// The next that may have a place, which it has until [`leave`](Self::leave).
    pub(super) fn next(&mut self) -> Option<(Party, T)> {
        let most = (self.places - self.held).saturating_mul(self.times);
        for _ in 0..self.order.len() {
            let user = self.order.pop_front()?;
            let Some(of_user) = self.users.get_mut(&user) else { continue };
            let taken = of_user.next(most);
            if !of_user.order.is_empty() {
                self.order.push_back(user);
            }
            if let Some((process, item)) = taken {
                self.held += 1;
                return Some((Party { user, process }, item));
            }
        }
        None
    }

    /// A place is free again.
    pub(super) fn leave(&mut self, party: Party) {
        let Some(user) = self.users.get_mut(&party.user) else { return };
        let Some(process) = user.processes.get_mut(&party.process) else { return };
        self.held -= 1;
        user.held -= 1;
        process.held -= 1;
        if process.held == 0 && process.waiting.is_empty() {
            user.processes.remove(&party.process);
        }
        if user.processes.is_empty() {
            self.users.remove(&party.user);
        }
    }
}

impl<T> User<T> {
    fn next(&mut self, most: usize) -> Option<(u32, T)> {
        let left = most.checked_sub(self.held).filter(|&left| left > 0)?;
        for _ in 0..self.order.len() {
            let number = self.order.pop_front()?;
            let Some(process) = self.processes.get_mut(&number) else { continue };
            let item = if process.held < left { process.waiting.pop_front() } else { None };
            if !process.waiting.is_empty() {
                self.order.push_back(number);
            }
            if let Some(item) = item {
                process.held += 1;
                self.held += 1;
                return Some((number, item));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn party(user: u32, process: u32) -> Party {
        Party { user, process }
    }

    fn push(turns: &mut Turns<u32>, user: u32, process: u32, items: std::ops::Range<u32>) {
        for item in items {
            assert_eq!(turns.push(party(user, process), item, |_| false), []);
        }
    }

    fn all(turns: &mut Turns<u32>) -> Vec<u32> {
        std::iter::from_fn(|| turns.next()).map(|(_, item)| item).collect()
    }

    #[test]
    fn users_take_turns_and_so_do_their_processes() {
        let mut turns = Turns::new(1000, 1);
        push(&mut turns, 1, 10, 0..4);
        push(&mut turns, 1, 11, 10..12);
        push(&mut turns, 2, 20, 20..22);
        assert_eq!(all(&mut turns), [0, 20, 10, 21, 1, 11, 2, 3]);
        assert!(turns.is_empty());
    }

    #[test]
    fn one_alone_leaves_places_to_others() {
        let mut turns = Turns::new(12, 1);
        push(&mut turns, 1, 10, 0..100);
        assert_eq!(all(&mut turns).len(), 4, "a process: a third");
        push(&mut turns, 1, 11, 0..100);
        push(&mut turns, 1, 12, 0..100);
        assert_eq!(all(&mut turns).len(), 2, "a user: half");
        push(&mut turns, 2, 20, 0..100);
        assert_eq!(all(&mut turns).len(), 2);
        push(&mut turns, 3, 30, 0..100);
        push(&mut turns, 4, 40, 0..100);
        assert_eq!((all(&mut turns).len(), turns.held), (2, 10));
        let mut turns = Turns::new(900, 8);
        push(&mut turns, 1, 10, 0..1000);
        assert_eq!(all(&mut turns).len(), 720);
        push(&mut turns, 1, 11, 0..1000);
        assert_eq!(all(&mut turns).len(), 72);
        push(&mut turns, 2, 20, 0..1000);
        assert_eq!(all(&mut turns).len(), 87);
    }

    #[test]
    fn what_is_left_is_taken_by_the_next() {
        let mut turns = Turns::new(2, 1);
        push(&mut turns, 1, 10, 0..2);
        push(&mut turns, 2, 20, 2..3);
        assert_eq!(turns.next(), Some((party(1, 10), 0)));
        assert_eq!(turns.next(), Some((party(2, 20), 2)));
        assert_eq!(turns.next(), None);
        turns.leave(party(2, 20));
        assert_eq!(turns.next(), None, "the first has as many as are left");
        turns.leave(party(1, 10));
        assert_eq!(turns.next(), Some((party(1, 10), 1)));
        turns.leave(party(1, 10));
        assert!(turns.users.is_empty() && turns.is_empty() && turns.held == 0);
    }

    #[test]
    fn what_is_over_does_not_wait_for_its_turn() {
        let mut turns = Turns::new(1, 1);
        push(&mut turns, 1, 10, 0..4);
        assert_eq!(turns.push(party(1, 10), 4, |item| *item < 2 || *item == 3), [0, 1]);
        assert_eq!(turns.next(), Some((party(1, 10), 2)));
        turns.leave(party(1, 10));
        assert_eq!((turns.next(), turns.next()), (Some((party(1, 10), 3)), None));
        turns.leave(party(1, 10));
        assert!(turns.next().is_some());
        turns.leave(party(1, 10));
        assert!(turns.users.is_empty());
    }
}
