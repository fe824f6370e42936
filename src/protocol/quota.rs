//! A bounded number of places, in all and for each user, counted exactly and without a lock.

use std::sync::Arc;

use ahash::RandomState;

use crate::id::UserId;
use crate::sync::{AtomicUsize, Ordering, pin};
use crate::table::{Keyed, Table};

/// Root entries of each table in this layer. A walk pins the epoch for one root at a time.
pub(crate) const ROOTS: usize = 64;

/// Returns the bits of a hash that a table of `limit` entries uses.
///
/// The inner nodes of a table are never freed. With all 64 bits, entries that come and go would grow
/// it for ever. With these bits its size follows `limit`. Entries with equal bits share a list.
pub(crate) fn mask(limit: usize) -> u64 {
    limit.clamp(ROOTS, 1 << 24).next_power_of_two() as u64 - 1
}

/// The count of a share that is closed: no thread takes a place of it any more.
const GONE: usize = usize::MAX;

/// The places of one user. In the table while the user holds at least one.
pub(crate) struct Share<T = ()> {
    user: UserId,
    hash: u64,
    held: AtomicUsize,
    /// A value that lives as long as the share does.
    pub(crate) of: T,
}

impl<T> Share<T> {
    /// Returns the number of places that the user holds. Wait-free.
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

/// The limit that refuses a place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spent {
    /// All places are taken.
    All,
    /// The user holds as many places as one user may.
    User,
}

/// Hands out places up to two limits: one for all users together, and one for each user.
pub(crate) struct Quota<T: 'static = ()> {
    limit: usize,
    per_user: usize,
    taken: AtomicUsize,
    shares: Table<Share<T>>,
    hasher: RandomState,
    mask: u64,
}

impl<T: Default> Quota<T> {
    /// Creates a quota of `limit` places, of which one user holds at most `per_user`.
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

    /// Creates a quota without limits, whose table is sized for `users` users.
    pub(crate) fn roomy(users: usize) -> Self {
        Self {
            mask: mask(users),
            ..Self::new(usize::MAX, usize::MAX)
        }
    }

    /// Takes a place of a quota without limits. Lock-free.
    pub(crate) fn take_unlimited(&self, user: &UserId) -> Arc<Share<T>> {
        loop {
            // The loop runs once: the limit is `usize::MAX`, and each place needs memory.
            if let Ok(share) = self.take(user) {
                return share;
            }
        }
    }

    /// Takes a place. The caller holds it until it calls [`put_back`](Self::put_back). Lock-free.
    pub(crate) fn take(&self, user: &UserId) -> Result<Arc<Share<T>>, Spent> {
        let share = self.take_share(user)?;
        if raise(&self.taken, self.limit) == Ok(true) {
            return Ok(share);
        }
        self.lower(&share);
        Err(Spent::All)
    }

    /// Returns a place, once for each place that was taken. Lock-free.
    pub(crate) fn put_back(&self, share: &Arc<Share<T>>) {
        self.lower(share);
        self.taken.fetch_sub(1, Ordering::AcqRel);
    }

    /// Returns the number of places that are taken. Wait-free.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Acquire)
    }

    /// Adds one place to the user's share, and creates the share if there is none.
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
                // The holder of the last place has closed the share and may be stopped before it
                // removes the share from the table. Without this removal, the loop would wait for it.
                Err(Gone) => _ = self.shares.remove(&share, &guard),
            }
        }
    }

    /// Takes one place off the share. The holder of the last place closes the share and removes it.
    fn lower(&self, share: &Arc<Share<T>>) {
        let last = share.held.fetch_sub(1, Ordering::AcqRel) == 1;
        if !last {
            return;
        }
        // Another thread may take a place between the subtraction and this exchange. A plain store
        // would close a share that is in use, and the user's next share would count from 0 again.
        let gone = (share.held).compare_exchange(0, GONE, Ordering::AcqRel, Ordering::Relaxed);
        if gone.is_ok() {
            self.shares.remove(share, &pin());
        }
    }
}

/// The error of a share that is closed.
#[derive(PartialEq, Eq)]
pub(super) struct Gone;

/// Adds one to `number`, unless it has reached `limit`. Returns whether it did.
///
/// A loop of exchanges and not `fetch_add`: an addition at the limit would have to be undone. A third
/// thread could find the number too high in between, and be refused although a place is free.
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
