//! Every interleaving and every allowed reordering of the hand-shakes on the shared words, under loom.
//!
//! `just loom` runs it: `RUSTFLAGS="--cfg loom" cargo test -p fltmgr-proto --release --test loom`. The layout is tiny
//! under `cfg(loom)`; a futex is a lock, a comparison and a condition variable per sleeper. A wake-up that gets lost is
//! a deadlock, which loom reports; so is a payload that is read too early, as an old value. At most three preemptions
//! per schedule (`LOOM_MAX_PREEMPTIONS` for more).
//!
//! At the end of each model's comment stands what was broken by hand to see it fail.
#![cfg(loom)]

mod end;
mod gets;
mod holders;
mod pieces;
mod replies;
mod requests;
mod world;

pub(crate) fn model(check: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.max_branches = 20_000;
    builder.check(check);
}
