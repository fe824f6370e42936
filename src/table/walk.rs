//! Walks over all entries.
//!
//! A walk collects a few entries under a guard. It continues by the hash of the last one, not by a pointer:
//! without a guard the nodes' leaves may change. So a walk can go on later, perhaps in another thread, and its
//! place is one number.

use std::sync::Arc;

use smallvec::SmallVec;

use super::storage::{LeafRef, View};
use super::{BITS, Branch, Child, Keyed, Table, index, leaves};
use crate::sync::{Fault, Guard, broken, pin};

/// The entries that a walk collects at once.
const BATCH: usize = if cfg!(laneway_loom) { 1 } else { 64 };

/// Entries under a guard.
type Batch<'g, V> = SmallVec<[LeafRef<'g, V>; BATCH]>;

/// The place behind the last entry that there can be. A walk begins at place 0.
pub(crate) const END: u64 = u64::MAX;

impl<V: Keyed> Table<V> {
    /// Calls `f` for every entry. An entry that is there during the whole walk is visited exactly
    /// once.
    ///
    /// No guard is held during a call. An `f` that hangs keeps at most one batch of entries from
    /// being freed.
    pub(crate) fn for_each(&self, mut f: impl FnMut(&Arc<V>)) {
        let take = |few: &[LeafRef<'_, V>]| few.iter().map(LeafRef::arc).collect::<Vec<_>>();
        self.walk(take, |held| held.iter().for_each(&mut f));
    }

    /// As `for_each`, with a few entries at a time and under a guard for each call. So `f` is short, and
    /// none of it is the host's. Takes no count of an entry, which is a locked instruction.
    pub(crate) fn for_each_few(&self, f: impl FnMut(&[LeafRef<'_, V>])) {
        self.walk(f, |()| {});
    }

    /// Calls `take` with a few entries under a guard, and `then` with the result without one.
    fn walk<B>(&self, mut take: impl FnMut(&[LeafRef<'_, V>]) -> B, mut then: impl FnMut(B)) {
        for root in self.roots.iter().filter(|root| !root.is_empty()) {
            let mut after = None;
            loop {
                let (held, is_full) = {
                    let (guard, mut batch) = (pin(), Batch::new());
                    self.collect(root, self.root_bits, after, &guard, &mut batch);
                    after = batch.last().map(|last| last.hash());
                    (take(&batch), batch.len() >= BATCH)
                };
                then(held);
                // A batch that is not full was the last of this root.
                if !is_full {
                    break;
                }
            }
        }
    }

    /// Adds the entries below `link` that come after the hash `after`, in the order of their
    /// digits. Stops when there are [`BATCH`] of them. Entries with one hash stay together.
    ///
    /// A split moves an entry down one level and keeps its place in that order. So a walk neither
    /// misses it nor visits it twice.
    fn collect<'g>(
        &self,
        link: &'g Child<V>,
        shift: u32,
        after: Option<u64>,
        guard: &'g Guard,
        batch: &mut Batch<'g, V>,
    ) {
        let is_next = |hash| after.is_none_or(|after| self.comes_after(hash, after));
        match link.load(guard) {
            View::Empty => {}
            View::Leaf(leaf) => batch.extend(is_next(leaf.hash()).then_some(leaf)),
            View::Node(node) => match node.get() {
                Branch::Node(children) => {
                    // Children before the one with the last hash were visited already. Only in that
                    // child the walk goes on behind the hash, in all later ones it begins at the
                    // start.
                    let first = after.map_or(0, |after| index(after, shift));
                    for (i, child) in children.iter().enumerate().skip(first) {
                        if batch.len() >= BATCH {
                            return;
                        }
                        let after = after.filter(|_| i == first);
                        self.collect(child, shift + BITS, after, guard, batch);
                    }
                }
                Branch::Collision(entries) => {
                    batch.extend(leaves(entries, guard).filter(|leaf| is_next(leaf.hash())));
                }
            },
        }
    }

    /// Compares two hashes in the order of a walk below one root: by the digits that choose
    /// children, the highest level first.
    fn comes_after(&self, hash: u64, other: u64) -> bool {
        if broken(Fault::WalkByLeaves) {
            return true;
        }
        let digits = |hash| {
            (self.root_bits..64)
                .step_by(BITS as usize)
                .map(move |at| index(hash, at))
        };
        digits(hash).gt(digits(other))
    }

    /// Returns the place behind the entries with this hash.
    ///
    /// Places are in the order of a walk: by the root, then by the digits that choose children, the highest
    /// level first. So a place is the hash with its digits in that order, and one more. The last two hashes of
    /// that order share a place.
    pub(crate) fn place_after(&self, hash: u64) -> u64 {
        let mut rank = hash & (self.roots.len() as u64 - 1);
        for shift in (self.root_bits..u64::BITS).step_by(BITS as usize) {
            let digit = index(hash, shift) as u64;
            rank = (rank << BITS.min(u64::BITS - shift)) + digit;
        }
        rank.saturating_add(1)
    }

    /// Returns the root of the last entries before a place, and their hash.
    fn last_before(&self, place: u64) -> (usize, u64) {
        let mut rank = place - 1;
        let mut hash = 0;
        let shifts = (self.root_bits..u64::BITS).step_by(BITS as usize);
        for shift in shifts.rev() {
            let bits = BITS.min(u64::BITS - shift);
            hash |= (rank & ((1 << bits) - 1)) << shift;
            rank >>= bits;
        }
        // What is left are the bits of the root.
        (rank as usize, hash | rank)
    }

    /// Puts the next entries from `place` on into `batch`, in place of what it holds. At the end there are
    /// none. An entry that is there from the walk's begin to its end is in one batch.
    pub(crate) fn next_batch(&self, place: u64, batch: &mut Vec<Arc<V>>) {
        batch.clear();
        if place == END {
            return;
        }
        let (first, last) = match place {
            0 => (0, None),
            place => {
                let (root, hash) = self.last_before(place);
                (root, Some(hash))
            }
        };
        for (i, root) in self.roots.iter().enumerate().skip(first) {
            if !root.is_empty() {
                let (guard, mut few) = (pin(), Batch::new());
                let after = last.filter(|_| i == first);
                self.collect(root, self.root_bits, after, &guard, &mut few);
                batch.extend(few.iter().map(LeafRef::arc));
            }
            if batch.len() >= BATCH {
                return;
            }
        }
    }
}
