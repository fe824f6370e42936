//! Conflation: for each key the newest number, so that readers step over the events before it.
//!
//! All events of one key share one [`Newest`]. Each event's rule points to it, so a reader looks at
//! nothing else. The table only leads the next publisher of a key to it. A key that falls out of the
//! table gets a fresh `Newest` at its next publish: the events before that are delivered.
//!
//! # Invariants
//!
//! 1. Each number of a `Newest` is above its `after`. A publisher takes the `Newest` from the table
//!    and then claims its number. The barrier `after` was claimed before the `Newest` was made.
//! 2. No barrier lies between `after` and `number`. A publisher raises `number` only if it finds,
//!    after its event is in its slot, no pending barrier and none above `after`.
//!
//! So an event whose number is below `number` has no barrier between itself and `number`, and
//! `number` is an event that was accepted.

use std::sync::Arc;

use crate::id::ConflationKey;
use crate::sync::{AtomicU64, Fault, Ordering, broken};
use crate::table::copy_on_write::CopyOnWrite;

/// The most keys of one set. A publisher compares its key with so many.
const WAYS: usize = 8;

/// The newest number of one key, since a barrier.
#[derive(Debug)]
pub(crate) struct Newest {
    /// The newest barrier when this was made, or 0.
    after: u64,
    /// The highest number whose publisher has found no barrier in between. `after` until then.
    number: AtomicU64,
}

impl Newest {
    /// Returns whether an accepted event supersedes the one of `number`.
    ///
    /// Acquire: pairs with `raise`. The event that supersedes is in its slot.
    pub(crate) fn supersedes(&self, number: u64) -> bool {
        let newest = self.number.load(Ordering::Acquire);
        newest > number || (broken(Fault::SupersedeTheNewest) && newest == number)
    }

    fn number(&self) -> u64 {
        self.number.load(Ordering::Acquire)
    }
}

#[derive(Clone)]
struct Entry {
    key: ConflationKey,
    newest: Arc<Newest>,
}

/// The keys of one hash, at most `WAYS`.
#[derive(Clone, Default)]
struct Set(Vec<Entry>);

impl Set {
    /// Returns the key's `Newest`, unless a barrier came since it was made.
    fn find(&self, key: &ConflationKey, barrier: u64) -> Option<Arc<Newest>> {
        let entry = self.0.iter().find(|entry| entry.key == *key)?;
        (entry.newest.after >= barrier).then(|| Arc::clone(&entry.newest))
    }

    /// Adds an entry in the place of the one of its key. In a full set it takes the place of the key
    /// that was published longest ago.
    fn put(&mut self, entry: Entry, ways: usize) {
        let same = self.0.iter().position(|e| e.key == entry.key);
        let oldest = || {
            let numbers = self
                .0
                .iter()
                .enumerate()
                .map(|(i, e)| (e.newest.number(), i));
            numbers.min().map(|(_, i)| i)
        };
        match same.or_else(|| if self.0.len() < ways { None } else { oldest() }) {
            Some(at) => self.0[at] = entry,
            None => self.0.push(entry),
        }
    }
}

/// The last keys of one user's lane.
pub(crate) struct Conflation {
    /// A power of two of them.
    sets: Box<[CopyOnWrite<Set>]>,
    /// The most keys of one set.
    ways: usize,
    /// Barriers that may be claimed and are not noted in `barrier` yet.
    pending: AtomicU64,
    /// The highest barrier.
    barrier: AtomicU64,
}

/// A barrier that is being appended. While there is one, no event supersedes another one.
struct Pending<'a, F: Fn() -> u64> {
    conflation: &'a Conflation,
    /// Returns a number that is not below the barrier's. `None` once the barrier is noted.
    number: Option<F>,
}

impl<F: Fn() -> u64> Drop for Pending<'_, F> {
    fn drop(&mut self) {
        let Conflation {
            pending, barrier, ..
        } = self.conflation;
        if let Some(number) = &self.number {
            barrier.fetch_max(number(), Ordering::AcqRel);
        }
        // After `barrier`: a publisher that finds nothing pending finds the barrier.
        if !broken(Fault::BarrierUnannounced) {
            pending.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Conflation {
    /// Creates a table for so many keys, from 1.
    pub(crate) fn new(keys: usize) -> Self {
        // Half of the places stay empty, so that hardly any set has more keys than places.
        let sets = if keys <= WAYS {
            1
        } else {
            (2 * keys).div_ceil(WAYS).next_power_of_two()
        };
        Self {
            sets: (0..sets).map(|_| CopyOnWrite::empty()).collect(),
            ways: keys.min(WAYS),
            pending: AtomicU64::new(0),
            barrier: AtomicU64::new(0),
        }
    }

    /// Appends the next event of a key. `append` gets the key's `Newest` for the event's rule.
    /// `number` returns the number of an event that was accepted.
    pub(crate) fn latest<R>(
        &self,
        key: &ConflationKey,
        hash: u64,
        append: impl FnOnce(Arc<Newest>) -> R,
        number: impl FnOnce(&R) -> Option<u64>,
    ) -> R {
        let newest = self.newest(key, hash);
        let done = append(Arc::clone(&newest));
        // After the append, with the number under which the event was accepted. The claim alone is
        // not enough: a reader may make its number void, and a number that is no event would
        // supersede one.
        if let Some(number) = number(&done) {
            self.raise(&newest, number);
        }
        done
    }

    /// Appends a barrier: no event before it is superseded by one after it. `last` returns the newest
    /// number of the lane.
    ///
    /// A publisher that is stopped in here leaves `pending` raised. Meanwhile no event of this lane
    /// supersedes another one, and each is delivered.
    pub(crate) fn barrier<R>(
        &self,
        append: impl FnOnce() -> R,
        number: impl FnOnce(&R) -> Option<u64>,
        last: impl Fn() -> u64,
    ) -> R {
        // Before the claim. A publisher of a key that claims a number above the barrier's sees this,
        // because its claim comes after the barrier's on the one state.
        if !broken(Fault::BarrierUnannounced) {
            self.pending.fetch_add(1, Ordering::AcqRel);
        }
        let mut pending = Pending {
            conflation: self,
            // The host's `Drop` of an older event may panic inside the append. The barrier may be
            // accepted then, and its number is not told. It is not above the lane's last one.
            number: Some(last),
        };
        let done = append();
        pending.number = None;
        if let Some(number) = number(&done) {
            self.barrier.fetch_max(number, Ordering::AcqRel);
        }
        done
    }

    /// Returns the `Newest` for the next event of a key, and makes one where there is none.
    ///
    /// Lock-free: each repetition means that another publisher has changed the set.
    fn newest(&self, key: &ConflationKey, hash: u64) -> Arc<Newest> {
        // Acquire: pairs with `barrier`. Invariant 1: the barrier was claimed before this load.
        let after = self.barrier.load(Ordering::Acquire);
        let set = &self.sets[hash as usize & (self.sets.len() - 1)];
        if let Some(newest) = set.load().find(key, after) {
            return newest;
        }
        let newest = Arc::new(Newest {
            after,
            number: AtomicU64::new(after),
        });
        let done = set.update(|set| {
            // Another publisher of the key was first.
            if let Some(theirs) = set.find(key, after) {
                return Err(theirs);
            }
            let mut set = set.clone();
            let (key, newest) = (key.clone(), Arc::clone(&newest));
            set.put(Entry { key, newest }, self.ways);
            Ok((set, ()))
        });
        done.map_or_else(|theirs| theirs, |()| newest)
    }

    /// Notes that the event of `number` was accepted, unless a barrier may lie before it.
    fn raise(&self, newest: &Newest, number: u64) {
        // `pending` before `barrier`. In the other order a barrier could be noted and leave `pending`
        // between the two loads, and this publisher would find neither.
        let is_pending = self.pending.load(Ordering::Acquire) != 0;
        let barrier = self.barrier.load(Ordering::Acquire);
        let is_over_one = barrier != newest.after && !broken(Fault::OverlookTheBarrier);
        if is_pending || is_over_one {
            return;
        }
        // The maximum: of two publishers of one key the later number may come here first.
        if broken(Fault::SupersedeByStore) {
            newest.number.store(number, Ordering::Release);
        } else {
            newest.number.fetch_max(number, Ordering::AcqRel);
        }
    }
}
