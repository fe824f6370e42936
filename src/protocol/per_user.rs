//! What is kept for each of a bounded number of users: the one unused for longest goes first.

use std::sync::Arc;

use ahash::RandomState;

use crate::id::UserId;
use crate::protocol::quota::{ROOTS, mask, raise};
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, Ordering, pin};
use crate::table::{Keyed, Table};

/// One of so many users makes room when another one comes.
const PART: usize = 16;

/// What is kept for one user.
pub(super) struct Kept<T> {
    user: UserId,
    hash: u64,
    /// The number of its last use.
    used: AtomicU64,
    /// It itself.
    pub(super) value: T,
}

impl<T: 'static> Keyed for Kept<T> {
    type Key = UserId;
    fn hash(&self) -> u64 {
        self.hash
    }
    fn key(&self) -> &UserId {
        &self.user
    }
}

/// Values by user, at most `limit` of them. Lock-free.
///
/// One user is one entry, so no user's flood removes another's. Of too many users those go that were used
/// longest ago, a few at a time: then one in [`PART`] insertions walks over all.
pub(super) struct PerUser<T: 'static> {
    limit: usize,
    count: AtomicUsize,
    uses: AtomicU64,
    users: Table<Kept<T>>,
    hasher: RandomState,
    /// Something was removed that would be there without the limit, or without a call for it.
    lost: AtomicBool,
}

impl<T: Default> PerUser<T> {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(1),
            count: AtomicUsize::new(0),
            uses: AtomicU64::new(1),
            users: Table::new(ROOTS),
            hasher: RandomState::new(),
            lost: AtomicBool::new(false),
        }
    }

    fn hash(&self, user: &UserId) -> u64 {
        user.hash_with(&self.hasher) & mask(self.limit)
    }

    /// What is kept for the user, which is used by this.
    pub(super) fn get(&self, user: &UserId) -> Option<Arc<Kept<T>>> {
        let found = self.users.get(self.hash(user), user, &pin())?.arc();
        self.uses(&found);
        Some(found)
    }

    fn uses(&self, kept: &Kept<T>) {
        let number = self.uses.fetch_add(1, Ordering::Relaxed);
        kept.used.fetch_max(number, Ordering::Relaxed);
    }

    /// What is kept for the user, made now if there is nothing.
    pub(super) fn get_or_default(&self, user: &UserId) -> Arc<Kept<T>> {
        loop {
            if let Some(found) = self.get(user) {
                return found;
            }
            if raise(&self.count, self.limit) != Ok(true) {
                self.make_room();
                continue;
            }
            let new = Arc::new(Kept {
                user: user.clone(),
                hash: self.hash(user),
                used: AtomicU64::new(self.uses.fetch_add(1, Ordering::Relaxed)),
                value: T::default(),
            });
            match self.users.insert(&new, &pin()) {
                Ok(()) => return new,
                Err(_) => _ = self.count.fetch_sub(1, Ordering::AcqRel),
            }
        }
    }

    /// Removes those that were used longest ago.
    fn make_room(&self) {
        let mut all = Vec::new();
        self.users
            .for_each(|kept| all.push((kept.used.load(Ordering::Relaxed), Arc::clone(kept))));
        let part = (all.len() / PART).min(all.len().saturating_sub(1));
        if all.is_empty() {
            return;
        }
        all.select_nth_unstable_by_key(part, |(used, _)| *used);
        for (used, kept) in &all[..=part] {
            // One that was used meanwhile stays.
            if kept.used.load(Ordering::Relaxed) == *used {
                self.take_out(kept);
            }
        }
    }

    fn take_out(&self, kept: &Arc<Kept<T>>) -> bool {
        // Before it is gone: what is not found is never taken for what never was.
        self.lost.store(true, Ordering::Release);
        let removed = self.users.remove(kept, &pin());
        if removed {
            self.count.fetch_sub(1, Ordering::AcqRel);
        }
        removed
    }

    /// Removes what is kept for the user.
    pub(super) fn remove(&self, user: &UserId) -> bool {
        let guard = pin();
        let found = self.users.get(self.hash(user), user, &guard);
        found.is_some_and(|found| self.take_out(&found.arc()))
    }

    /// Whether what is not found may have been there.
    pub(super) fn has_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    pub(super) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}
