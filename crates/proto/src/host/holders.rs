//! What is left when one of several processes that use a connection ends: its receives are taken back, its slots become
//! free, and what it was about to reply to can be replied to by another.

use super::{Host, close_claim};
use crate::client::{in_use, put_back};
use crate::slots::{CALLS, Claim, Generation, HostRegion, SharedRegion, State, Word};
pub use crate::slots::{HOLDERS, Holder};
use crate::sync::{Ordering, fence, swap};

impl Host {
    /// Takes back what `holder` had, whose process is gone for certain: no thread acts in its name any more. False when
    /// something is still in the hands of this end: a request that runs, a reply that is read, a slot that is `busy`.
    /// It is to be called again then.
    #[must_use]
    pub fn release(
        &self,
        host: &HostRegion,
        shared: &SharedRegion,
        holder: Holder,
        busy: impl Fn(usize) -> bool,
    ) -> bool {
        let lent = self.lent_windows(host, shared);
        let mut all = true;
        for slot in in_use(shared) {
            let theirs = shared.slot(slot);
            if theirs.owner.load(Ordering::Acquire) != holder.number() {
                continue;
            }
            // in this order: a thread that completes a slot says before that it will be busy, so that it is seen here
            // after
            if !free(shared, slot) || busy(slot) || lent.contains(&slot) {
                all = false;
                continue;
            }
            put_back(shared, slot);
        }
        for (index, &generation) in self.generations.iter().enumerate() {
            if generation != Generation::new(0) {
                reopen(shared, index, generation, holder);
            }
        }
        all
    }

    /// The slots whose windows hold replies which a filter has still to read.
    fn lent_windows(&self, host: &HostRegion, shared: &SharedRegion) -> Vec<usize> {
        let waiters = self.generations.iter().zip(host.waiters.iter().zip(&shared.waiters));
        let lent = waiters.filter(|&(&generation, (ours, theirs))| {
            generation != Generation::new(0)
                && ours.id.load(Ordering::Relaxed) != 0
                && Word::from_raw(theirs.word.load(Ordering::Acquire)).is(State::Done, generation)
        });
        let windows = lent.map(|(_, (_, theirs))| theirs.window.load(Ordering::Relaxed) as usize);
        windows.filter(|&window| window >= CALLS).collect()
    }
}

/// Makes a slot free whose process is gone; false when this end has taken it.
fn free(shared: &SharedRegion, slot: usize) -> bool {
    let freed = swap(&shared.slot(slot).word, Ordering::Acquire, |now| {
        let seen = Word::from_raw(now);
        // without the mark of an end that was that process's alone
        let free = Word::new(State::Free, seen.generation()).raw();
        (seen.state() != Some(State::Taken)).then_some(free)
    });
    freed.is_some()
}

/// Takes back the claim of a replier that is gone, unless its reply is there.
fn reopen(shared: &SharedRegion, index: usize, generation: Generation, holder: Holder) {
    let theirs = shared.waiter(index);
    let claimed = Claim::by(holder, generation);
    let state = || Word::from_raw(theirs.word.load(Ordering::Acquire));
    if theirs.claim.generation.load(Ordering::Acquire) != claimed || state().is(State::Done, generation) {
        return;
    }
    let open = generation.previous().number();
    let _ = theirs.claim.generation.compare_exchange(claimed, open, Ordering::AcqRel, Ordering::Relaxed);
    // a filter that gives up at this moment closes the claim itself, or is seen here to have given up
    fence(Ordering::SeqCst);
    if state().is(State::Expired, generation) {
        close_claim(shared, index, generation);
    }
}
