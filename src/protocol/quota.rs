//! Bounded places, in all and for each user, counted exactly and without a lock.

use std::sync::Arc;

use ahash::RandomState;

use crate::id::UserId;
use crate::sync::{AtomicUsize, Ordering, pin};
use crate::table::{Keyed, Table};

/// Roots of the tables in this layer. A walk pins one at a time.
pub(crate) const ROOTS: usize = 64;

/// The bits of a hash that count in a table of `limit` entries. The inner nodes of a table stay for
/// ever; so there are as many as the limit asks for, however many entries come and go. Entries whose
/// bits are the same share a list.
pub(crate) fn mask(limit: usize) -> u64 {
    limit.clamp(ROOTS, 1 << 24).next_power_of_two() as u64 - 1
}

/// The number of a share that nobody may take from any more.
const GONE: usize = usize::MAX;

/// What one user holds. In the table while that is something.
pub(crate) struct Share<T = ()> {
    user: UserId,
    hash: u64,
    held: AtomicUsize,
    /// What goes with it.
    pub(crate) of: T,
}

impl<T> Share<T> {
    /// Places that the user holds. Wait-free.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }
}

impl<T: 'static> Keyed for Share<T> {
    type Key = UserId;
    fn hash(&self) -> u64 {
        self.hash
    }
    fn key(&self) -> &UserId {
        &self.user
    }
}

/// Why there is no place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spent {
    /// All are taken.
    All,
    /// This user holds as many as one user may.
    User,
}

pub(crate) struct Quota<T: 'static = ()> {
    limit: usize,
    per_user: usize,
    taken: AtomicUsize,
    shares: Table<Share<T>>,
    hasher: RandomState,
    mask: u64,
}

impl<T: Default> Quota<T> {
    pub(crate) fn new(limit: usize, per_user: usize) -> Self {
        Self {
            mask: mask(limit),
            limit,
            per_user,
            taken: AtomicUsize::new(0),
            shares: Table::new(ROOTS),
            hasher: RandomState::new(),
        }
    }

    /// Without limits. The table is made for so many users.
    pub(crate) fn roomy(users: usize) -> Self {
        Self {
            mask: mask(users),
            ..Self::new(usize::MAX, usize::MAX)
        }
    }

    /// Takes a place where there are no limits. Lock-free.
    pub(crate) fn take_unlimited(&self, user: &UserId) -> Arc<Share<T>> {
        loop {
            // No count reaches the limit: each place is memory.
            if let Ok(share) = self.take(user) {
                return share;
            }
        }
    }

    /// Takes a place, which is the caller's until it is [put back](Self::put_back). Lock-free.
    pub(crate) fn take(&self, user: &UserId) -> Result<Arc<Share<T>>, Spent> {
        let share = self.take_share(user)?;
        if raise(&self.taken, self.limit) == Ok(true) {
            return Ok(share);
        }
        self.lower(&share);
        Err(Spent::All)
    }

    /// Gives a place back, once for each that was taken. Lock-free.
    pub(crate) fn put_back(&self, share: &Arc<Share<T>>) {
        self.lower(share);
        self.taken.fetch_sub(1, Ordering::AcqRel);
    }

    /// Places that are taken. Wait-free.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Acquire)
    }

    fn take_share(&self, user: &UserId) -> Result<Arc<Share<T>>, Spent> {
        if self.per_user == 0 {
            return Err(Spent::User);
        }
        let hash = user.hash_with(&self.hasher) & self.mask;
        let guard = pin();
        loop {
            let found = self.shares.get(hash, user, &guard).map(|share| share.arc());
            let share = if let Some(share) = found {
                share
            } else {
                let share = Arc::new(Share {
                    user: user.clone(),
                    hash,
                    held: AtomicUsize::new(1),
                    of: T::default(),
                });
                match self.shares.insert(&share, &guard) {
                    Ok(()) => return Ok(share),
                    Err(there) => there,
                }
            };
            match raise(&share.held, self.per_user) {
                Ok(true) => return Ok(share),
                Ok(false) => return Err(Spent::User),
                // Whoever gave the last place back has not come to this yet.
                Err(Gone) => _ = self.shares.remove(&share, &guard),
            }
        }
    }

    fn lower(&self, share: &Arc<Share<T>>) {
        let last = share.held.fetch_sub(1, Ordering::AcqRel) == 1;
        if !last {
            return;
        }
        let gone = (share.held).compare_exchange(0, GONE, Ordering::AcqRel, Ordering::Relaxed);
        if gone.is_ok() {
            self.shares.remove(share, &pin());
        }
    }
}

/// The number is closed: no place is taken from it any more.
#[derive(PartialEq, Eq)]
pub(super) struct Gone;

/// One more, unless that is more than `limit`.
pub(super) fn raise(number: &AtomicUsize, limit: usize) -> Result<bool, Gone> {
    let mut now = number.load(Ordering::Acquire);
    loop {
        if now == GONE {
            return Err(Gone);
        }
        if now >= limit {
            return Ok(false);
        }
        match number.compare_exchange(now, now + 1, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return Ok(true),
            Err(other) => now = other,
        }
    }
}
