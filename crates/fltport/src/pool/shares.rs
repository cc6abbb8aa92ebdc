//! How many threads each user of a host may hold: never more than it leaves to others.

use std::collections::{BTreeMap, VecDeque};

/// What users have of a number of threads.
pub(super) struct Shares<J> {
    users: BTreeMap<u32, Share<J>>,
    threads: usize,
    held: usize,
    waiting: usize,
    /// Jobs that have had to wait so far.
    waited: u64,
}

/// What one user has.
struct Share<J> {
    /// Jobs that may run and have not ended.
    held: usize,
    /// Jobs that may not run yet, each with its number among all users'.
    waiting: VecDeque<(u64, J)>,
}

impl<J> Shares<J> {
    pub(super) const fn new(threads: usize) -> Self {
        Self { users: BTreeMap::new(), threads, held: 0, waiting: 0, waited: 0 }
    }

    /// Jobs of all users that may not run yet.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Whether a job of this user's may not run yet.
    pub(super) fn waits(&self, user: u32) -> bool {
        self.users.get(&user).is_some_and(|share| !share.waiting.is_empty())
    }

    /// Gives the job back if it may run now, and keeps it if its user has as many threads as are left.
    pub(super) fn enter(&mut self, user: u32, job: J) -> Option<J> {
        let left = self.threads - self.held;
        let share = self.users.entry(user).or_insert(Share { held: 0, waiting: VecDeque::new() });
        // none of the user's own waits when it may: [`Self::next`] is asked after each end
        if share.held < left {
            share.held += 1;
            self.held += 1;
            return Some(job);
        }
        share.waiting.push_back((self.waited, job));
        self.waited += 1;
        self.waiting += 1;
        None
    }

    /// A job of this user's has ended.
    pub(super) fn leave(&mut self, user: u32) {
        let Some(share) = self.users.get_mut(&user) else { return };
        share.held -= 1;
        self.held -= 1;
        if share.held == 0 && share.waiting.is_empty() {
            self.users.remove(&user);
        }
    }

    /// A job that may run now: of the users who wait and have the fewest threads, the one that waits longest.
    pub(super) fn next(&mut self) -> Option<(u32, J)> {
        if self.waiting == 0 {
            return None;
        }
        let left = self.threads - self.held;
        let first = |share: &Share<J>| share.waiting.front().map(|&(number, _)| (share.held, number));
        let waiting = self.users.iter_mut().filter_map(|(&user, share)| Some((first(share)?, user, share)));
        let (_, user, share) = waiting.min_by_key(|&(first, ..)| first).filter(|(.., share)| share.held < left)?;
        let (_, job) = share.waiting.pop_front()?;
        share.held += 1;
        self.held += 1;
        self.waiting -= 1;
        Some((user, job))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Enters jobs of a user's until one must wait; how many may run.
    fn fill(shares: &mut Shares<u32>, user: u32) -> usize {
        (0..).take_while(|&job| shares.enter(user, job).is_some()).count()
    }

    #[test]
    fn each_has_half_of_what_is_left() {
        let mut shares = Shares::new(1024);
        let filled: Vec<_> = (0..12).map(|user| fill(&mut shares, user)).collect();
        assert_eq!(filled, [512, 256, 128, 64, 32, 16, 8, 4, 2, 1, 1, 0]);
        assert_eq!((shares.held, shares.waiting()), (1024, 12));
        assert!((0..12).all(|user| shares.waits(user)) && !shares.waits(12));
        assert_eq!(shares.next(), None);
    }

    #[test]
    fn what_ends_makes_room_for_who_has_least() {
        let mut shares = Shares::new(8);
        assert_eq!((fill(&mut shares, 1), fill(&mut shares, 2), fill(&mut shares, 3)), (4, 2, 1));
        assert_eq!(shares.enter(4, 40), Some(40));
        assert_eq!((shares.enter(4, 41), shares.held), (None, 8));
        // of the users who have one, the first; then no user has fewer than are left
        shares.leave(1);
        assert_eq!(shares.next(), None, "all that wait have at least the one that is left");
        shares.leave(1);
        assert_eq!(shares.next(), Some((3, 1)));
        assert_eq!(shares.next(), None);
        shares.leave(3);
        shares.leave(3);
        assert_eq!(shares.next(), Some((4, 41)));
        // each in its order, until all have run
        assert_eq!((shares.enter(2, 9), shares.enter(1, 9)), (None, None));
        for user in [2, 2, 4] {
            shares.leave(user);
        }
        let next: Vec<_> = std::iter::from_fn(|| shares.next()).collect();
        assert_eq!(next, [(2, 2), (2, 9), (1, 4)]);
        shares.leave(2);
        shares.leave(2);
        assert_eq!((shares.next(), shares.waiting()), (Some((1, 9)), 0));
        for user in [1, 1, 1, 1, 4] {
            shares.leave(user);
        }
        assert!(shares.users.is_empty() && shares.held == 0);
    }

    /// One thread is left, and two want it: a user who never stops does not keep the other from it.
    #[test]
    fn who_has_as_few_as_another_has_its_turn() {
        for (busy, other) in [(1, 2), (2, 1)] {
            let mut shares = Shares::new(1);
            assert_eq!(shares.enter(busy, 0), Some(0));
            assert_eq!((shares.enter(busy, 1), shares.enter(other, 7)), (None, None));
            let mut turns = Vec::new();
            for job in 2..5 {
                assert_eq!(shares.enter(busy, job), None);
                shares.leave(turns.last().map_or(busy, |&(user, _)| user));
                turns.extend(shares.next());
            }
            assert_eq!(turns, [(busy, 1), (other, 7), (busy, 2)]);
        }
    }

    /// At every moment, a user who waits has at least as many as are left, so that nothing waits for an end that was
    /// not asked after.
    #[test]
    fn nobody_waits_who_need_not() {
        let mut shares = Shares::new(16);
        let mut running = Vec::new();
        let mut seed = 1_u32;
        for job in 0..20_000_u32 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let user = seed >> 8 & 3;
            if seed >> 16 & 1 == 0 || running.is_empty() {
                running.extend(shares.enter(user, job).map(|_| user));
            } else {
                shares.leave(running.swap_remove((seed >> 20) as usize % running.len()));
                running.extend(std::iter::from_fn(|| shares.next().map(|(user, _)| user)));
            }
            let left = 16 - shares.held;
            assert_eq!(shares.held, running.len());
            assert!(shares.users.values().all(|share| share.waiting.is_empty() || share.held >= left));
        }
    }
}
