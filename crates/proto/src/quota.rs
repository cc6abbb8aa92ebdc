//! What each user holds of a host, and how much one may hold: a user at a limit harms only that user.
//!
//! [`Quotas`] is a ledger of accounts by user id; the caller keeps it under a lock. An account is charged without the
//! lock, and every [`Charge`] is given back when it is dropped, so that nothing is charged when nothing is held.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Clients that have connected and not said yet what they want.
    HalfOpen,
    /// Connections, from before the connect callback until the disconnect callback has returned.
    Connections,
    /// Handles of connections beyond the first of each.
    Handles,
    /// Requests under way: each may hold a thread of the host.
    Requests,
    /// Bytes of requests and of the room for their answers.
    RequestBytes,
}

impl Kind {
    const ALL: [Self; 5] = [Self::HalfOpen, Self::Connections, Self::Handles, Self::Requests, Self::RequestBytes];
}

/// How much one user may hold of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// [`Kind::HalfOpen`].
    pub half_open: u64,
    /// [`Kind::Connections`].
    pub connections: u64,
    /// [`Kind::Requests`].
    pub requests: u64,
    /// [`Kind::Handles`].
    pub handles: u64,
    /// [`Kind::RequestBytes`].
    pub request_bytes: u64,
}

impl Default for Limits {
    /// A single connection, as a port has unless it asks for more; 8 and 64 are enough for a user's programs; 256
    /// requests are a quarter of the threads that a host has for all callbacks; 128 MiB are one request of 64 MiB with as
    /// much room for its answer.
    fn default() -> Self {
        Self { half_open: 8, connections: 1, handles: 64, requests: 256, request_bytes: 128 << 20 }
    }
}

impl Limits {
    /// The limit of one kind.
    pub const fn of(&self, kind: Kind) -> u64 {
        match kind {
            Kind::HalfOpen => self.half_open,
            Kind::Connections => self.connections,
            Kind::Requests => self.requests,
            Kind::Handles => self.handles,
            Kind::RequestBytes => self.request_bytes,
        }
    }
}

/// The accounts of all users.
#[derive(Debug, Default)]
pub struct Quotas {
    limits: Limits,
    users: HashMap<u32, Arc<User>>,
}

impl Quotas {
    /// A ledger in which no user holds anything.
    pub fn new(limits: Limits) -> Self {
        Self { limits, users: HashMap::new() }
    }

    /// The account of a user. Accounts that hold nothing are forgotten when a new one comes, so the ledger is never
    /// longer than what is held.
    pub fn user(&mut self, uid: u32) -> Arc<User> {
        if let Some(user) = self.users.get(&uid) {
            return Arc::clone(user);
        }
        self.users.retain(|_, user| Arc::strong_count(user) > 1);
        let user = Arc::new(User { uid, limits: self.limits, held: Default::default() });
        self.users.insert(uid, Arc::clone(&user));
        user
    }

    /// How much a user holds of one kind.
    pub fn held(&self, uid: u32, kind: Kind) -> u64 {
        self.users.get(&uid).map_or(0, |user| user.held(kind))
    }

    /// Whether no user holds anything.
    pub fn is_idle(&self) -> bool {
        self.users.values().all(|user| Kind::ALL.iter().all(|&kind| user.held(kind) == 0))
    }
}

/// The account of one user.
#[derive(Debug)]
pub struct User {
    uid: u32,
    limits: Limits,
    held: [AtomicU64; Kind::ALL.len()],
}

impl User {
    #[expect(clippy::indexing_slicing, reason = "there is one for each kind")]
    fn account(&self, kind: Kind) -> &AtomicU64 {
        &self.held[kind as usize]
    }

    /// How much is held of one kind.
    pub fn held(&self, kind: Kind) -> u64 {
        self.account(kind).load(Ordering::Acquire)
    }

    /// Charges `amount`, all of it or nothing.
    ///
    /// # Errors
    /// [`Exceeded`]: it would be more than the limit with what is held already.
    pub fn charge(self: &Arc<Self>, kind: Kind, amount: u64) -> Result<Charge, Exceeded> {
        let limit = self.limits.of(kind);
        let add = |held: u64| held.checked_add(amount).filter(|&sum| sum <= limit);
        match self.account(kind).fetch_update(Ordering::AcqRel, Ordering::Acquire, add) {
            Ok(_) => Ok(Charge { user: Arc::clone(self), kind, amount }),
            Err(held) => Err(Exceeded { uid: self.uid, kind, limit, held }),
        }
    }
}

/// Something that is held; dropping it gives it back.
#[derive(Debug)]
#[must_use]
pub struct Charge {
    user: Arc<User>,
    kind: Kind,
    amount: u64,
}

impl Charge {
    /// Whose account it is on.
    pub fn user(&self) -> &Arc<User> {
        &self.user
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let before = self.user.account(self.kind).fetch_sub(self.amount, Ordering::AcqRel);
        debug_assert!(before >= self.amount, "given back more than was held");
    }
}

/// A charge that was refused. It prints as a sentence that names the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded {
    /// Whose account is full.
    pub uid: u32,
    /// What is full.
    pub kind: Kind,
    /// How much the user may hold.
    pub limit: u64,
    /// How much the user held at that moment.
    pub held: u64,
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { uid, limit, held, .. } = self;
        match self.kind {
            Kind::HalfOpen => write!(f, "user {uid} has {held} clients that say nothing, and may have {limit}"),
            Kind::Connections => write!(f, "user {uid} has {held} connections, and may have {limit}"),
            Kind::Requests => write!(f, "user {uid} has {held} requests under way, and may have {limit}"),
            Kind::Handles => write!(f, "user {uid} has {held} further handles, and may have {limit}"),
            Kind::RequestBytes => write!(f, "user {uid} has {held} bytes in requests, and may have {limit}"),
        }
    }
}

impl std::error::Error for Exceeded {}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { half_open: 2, connections: 3, handles: 2, requests: 4, request_bytes: 100 };

    #[test]
    fn one_below_the_limit_at_it_and_one_above() {
        for kind in Kind::ALL {
            let mut quotas = Quotas::new(LIMITS);
            let (one, two) = (quotas.user(1), quotas.user(2));
            let most = LIMITS.of(kind);
            let below = one.charge(kind, most - 1).unwrap();
            let at = one.charge(kind, 1).unwrap();
            let above = one.charge(kind, 1).unwrap_err();
            assert_eq!(above, Exceeded { uid: 1, kind, limit: most, held: most });
            assert!(above.to_string().contains(&format!("may have {most}")), "{above}");
            // nothing of it was charged, and the other user has all there is
            assert_eq!((quotas.held(1, kind), quotas.held(2, kind)), (most, 0));
            let others = two.charge(kind, most).unwrap();
            drop(at);
            assert_eq!(one.charge(kind, 2).unwrap_err().held, most - 1);
            drop(one.charge(kind, 1).unwrap());
            assert!(!quotas.is_idle());
            drop((below, others));
            assert!(quotas.is_idle());
        }
    }

    #[test]
    fn a_charge_that_would_wrap_is_refused() {
        let user = Quotas::new(LIMITS).user(1);
        let _one = user.charge(Kind::RequestBytes, 1).unwrap();
        assert_eq!(user.charge(Kind::RequestBytes, u64::MAX).unwrap_err().held, 1);
    }

    #[test]
    fn the_book_is_no_longer_than_what_is_held() {
        let mut quotas = Quotas::default();
        let held = quotas.user(0).charge(Kind::Connections, 1).unwrap();
        for uid in 1..1000 {
            drop(quotas.user(uid));
        }
        assert_eq!(quotas.users.len(), 2);
        assert_eq!((quotas.held(0, Kind::Connections), quotas.held(7, Kind::Connections)), (1, 0));
        assert!(Arc::ptr_eq(held.user(), &quotas.user(0)));
    }

    #[test]
    fn threads_that_charge_one_account_never_pass_its_limit() {
        let user = Quotas::new(LIMITS).user(1);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for amount in (1..=60).cycle().take(if cfg!(miri) { 100 } else { 5_000 }) {
                        if let Ok(_charge) = user.charge(Kind::RequestBytes, amount) {
                            assert!(user.held(Kind::RequestBytes) <= 100);
                        }
                    }
                });
            }
        });
        assert_eq!(user.held(Kind::RequestBytes), 0);
    }
}
