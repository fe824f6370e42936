//! One value for each of a bounded number of users. The user whose value was unused for longest makes room.

use std::sync::Arc;

use ahash::RandomState;

use crate::id::UserId;
use crate::protocol::quota::{ROOTS, mask, raise};
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, Ordering, pin};
use crate::table::{Keyed, Table};

/// At the limit, one eviction removes one in so many users. So one insertion in `limit / 16` pays for
/// the walk over all users.
const EVICTED_PART: usize = 16;

/// The value of one user.
pub(super) struct Kept<T> {
    user: UserId,
    hash: u64,
    /// The number of the last use: larger means later.
    used: AtomicU64,
    /// The value.
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

/// Values by user, at most `limit` of them.
///
/// A user is one entry, so one user's flood removes no other user. At the limit, one walk over all
/// entries removes the sixteenth that was used longest ago.
///
/// Lock-free, while fewer than `limit` threads are stopped between reserving a place and inserting.
pub(super) struct PerUser<T: 'static> {
    limit: usize,
    count: AtomicUsize,
    uses: AtomicU64,
    users: Table<Kept<T>>,
    hasher: RandomState,
    /// `true` once an entry was removed. An entry that is not found may then have existed.
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

    /// Returns the value of the user, and counts this as a use.
    pub(super) fn get(&self, user: &UserId) -> Option<Arc<Kept<T>>> {
        let found = self.users.get(self.hash(user), user, &pin())?.arc();
        self.mark_used(&found);
        Some(found)
    }

    /// Numbers the latest use of the entry. `fetch_max`: a slower thread with an older number must not
    /// undo a later use.
    fn mark_used(&self, kept: &Kept<T>) {
        let number = self.uses.fetch_add(1, Ordering::Relaxed);
        kept.used.fetch_max(number, Ordering::Relaxed);
    }

    /// Returns the value of the user. Creates a default value if there is none.
    pub(super) fn get_or_default(&self, user: &UserId) -> Arc<Kept<T>> {
        loop {
            if let Some(found) = self.get(user) {
                return found;
            }
            // Reserve the place before inserting. If the count rose afterwards, several threads could
            // insert at once and pass the limit.
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

    /// Removes the entries that were used longest ago.
    fn make_room(&self) {
        let mut all = Vec::new();
        self.users
            .for_each(|kept| all.push((kept.used.load(Ordering::Relaxed), Arc::clone(kept))));
        let part = (all.len() / EVICTED_PART).min(all.len().saturating_sub(1));
        // Each place is reserved by an insertion under way, so no entry can be removed yet.
        if all.is_empty() {
            return;
        }
        all.select_nth_unstable_by_key(part, |(used, _)| *used);
        for (used, kept) in &all[..=part] {
            // Another thread may have used this entry since the walk read `used`. Without this
            // check the eviction would remove the most recent entry of all.
            if kept.used.load(Ordering::Relaxed) == *used {
                self.remove_entry(kept);
            }
        }
    }

    /// Removes one entry. Returns `true` to the one thread that removed it.
    fn remove_entry(&self, kept: &Arc<Kept<T>>) -> bool {
        // Set the flag before the removal. In the other order a reader could miss the entry, read
        // `false` in `has_lost`, and report zero for a user whose records are lost.
        self.lost.store(true, Ordering::Release);
        let removed = self.users.remove(kept, &pin());
        if removed {
            self.count.fetch_sub(1, Ordering::AcqRel);
        }
        removed
    }

    /// Removes the value of the user. Returns `false` if there is none.
    pub(super) fn remove(&self, user: &UserId) -> bool {
        let guard = pin();
        let found = self.users.get(self.hash(user), user, &guard);
        found.is_some_and(|found| self.remove_entry(&found.arc()))
    }

    /// Returns `true` if an entry that is not found may have existed. Call it after [`get`](Self::get).
    pub(super) fn has_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// Returns the number of users, including reserved places.
    pub(super) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}
