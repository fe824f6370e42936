//! The users whose scopes were revoked, each with the generation from which on scopes are good.
//!
//! A scope is good if it is not older than its user's entry says, and not older than the *floor*,
//! which holds for all users. An entry that has to make room raises the floor to its own
//! generation. So a scope that was revoked once stays revoked for ever, and the table is bounded.

use std::sync::Arc;

use crate::id::UserId;
use crate::sync::{AtomicU64, AtomicUsize, Fault, Ordering, broken, pin};
use crate::table::{Keyed, Table};

/// Users with an entry of their own. Beyond that the oldest eighth makes room.
pub(crate) const MAX_REVOKED: usize = if cfg!(laneway_loom) { 1 } else { 65_536 };
/// Of the table.
const ROOTS: usize = if cfg!(laneway_loom) { 1 } else { 64 };

/// One user.
struct Entry {
    user: UserId,
    hash: u64,
    /// The oldest generation whose scopes are good, or [`GONE`].
    from: AtomicU64,
}

/// The floor stands in for the entry, which another thread removes.
const GONE: u64 = 0;

impl Keyed for Entry {
    type Key = UserId;
    fn hash(&self) -> u64 {
        self.hash
    }
    fn key(&self) -> &UserId {
        &self.user
    }
}

impl Entry {
    /// Raises the generation. Returns `false` if the entry is gone.
    fn raise(&self, to: u64) -> bool {
        self.change(|from| (from != GONE).then(|| from.max(to)))
    }

    /// Gives the entry up, if the floor covers it. Returns whether it is gone.
    fn give_up(&self, floor: u64) -> bool {
        self.change(|from| (from <= floor).then_some(GONE))
    }

    /// Lock-free: a failed exchange means that another thread has changed the generation.
    fn change(&self, to: impl Fn(u64) -> Option<u64>) -> bool {
        let mut from = self.from.load(Ordering::Acquire);
        loop {
            let Some(next) = to(from) else { return false };
            let (ok, err) = (Ordering::AcqRel, Ordering::Acquire);
            match self.from.compare_exchange(from, next, ok, err) {
                Ok(_) => return true,
                Err(now) => from = now,
            }
        }
    }
}

/// The revocations of one hub.
pub(super) struct Revoked {
    /// Scopes that are made now are of this generation.
    generation: AtomicU64,
    /// No scope of an earlier generation is good, of any user.
    floor: AtomicU64,
    /// Entries in the table, and threads that are about to add one.
    entries: AtomicUsize,
    table: Table<Entry>,
}

impl Revoked {
    pub(super) fn new() -> Self {
        Self {
            generation: AtomicU64::new(1),
            floor: AtomicU64::new(0),
            entries: AtomicUsize::new(0),
            table: Table::new(ROOTS),
        }
    }

    /// Returns the generation of scopes that are made now. Acquire: pairs with `next`.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Begins a generation, and returns it.
    pub(super) fn next(&self) -> u64 {
        self.generation.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Returns whether a scope that was made in this generation is revoked. Wait-free.
    pub(super) fn has(&self, user: &UserId, hash: u64, made_at: u64) -> bool {
        let guard = pin();
        let entry = self.table.get(hash, user, &guard);
        let from = entry.map_or(GONE, |entry| entry.from.load(Ordering::Acquire));
        // The floor is loaded after the entry. In the other order the floor could be low at the
        // look and rise after it, and the entry could be gone when this thread comes to it.
        made_at < from || made_at < self.floor.load(Ordering::Acquire)
    }

    /// Revokes the user's scopes of generations before `before`, or of all until now.
    pub(super) fn add(&self, user: &UserId, hash: u64, before: Option<u64>) {
        let next = self.next();
        // A generation of another hub could be one that this hub has not come to.
        let from = before.map_or(next, |before| before.min(next));
        if from == GONE {
            return;
        }
        let guard = pin();
        let entry = Arc::new(Entry {
            user: user.clone(),
            hash,
            from: AtomicU64::new(from),
        });
        // Counted before the insert. In the other order another thread could remove the entry and
        // count it out first, below 0.
        let others = self.entries.fetch_add(1, Ordering::AcqRel);
        // Each repetition means that another thread has given an entry up.
        while let Err(known) = self.table.insert(&entry, &guard) {
            if known.raise(from) {
                self.entries.fetch_sub(1, Ordering::AcqRel);
                return;
            }
            self.remove(&known);
        }
        if others >= MAX_REVOKED {
            self.make_room();
        }
    }

    /// Raises the floor to the generations of the oldest eighth, and removes what it covers. Linear
    /// in the entries, once in that many revocations.
    #[cold]
    fn make_room(&self) {
        let mut all = Vec::new();
        self.table.for_each(|entry| {
            let from = entry.from.load(Ordering::Acquire);
            all.extend((from != GONE).then_some(from));
        });
        let oldest = (MAX_REVOKED / 8).max(1).min(all.len());
        let Some(last) = oldest.checked_sub(1) else {
            return;
        };
        let (_, floor, _) = all.select_nth_unstable(last);
        let floor = *floor;
        // The floor rises before an entry goes. In the other order a thread could find neither, and
        // a scope that was revoked would be good again.
        if !broken(Fault::RemoveBeforeTheFloor) {
            self.floor.fetch_max(floor, Ordering::AcqRel);
        }
        self.table.for_each(|entry| {
            if entry.give_up(floor) {
                self.remove(entry);
            }
        });
        if broken(Fault::RemoveBeforeTheFloor) {
            self.floor.fetch_max(floor, Ordering::AcqRel);
        }
    }

    fn remove(&self, entry: &Arc<Entry>) {
        if self.table.remove(entry, &pin()) {
            self.entries.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Returns how many users have an entry of their own.
    pub(super) fn len(&self) -> usize {
        self.entries.load(Ordering::Relaxed)
    }
}
