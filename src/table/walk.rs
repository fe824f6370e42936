//! Walks that go on later, perhaps in another thread: the place of a walk is one number.

use std::sync::Arc;

use super::{BATCH, BITS, Keyed, Table, index};
use crate::sync::pin;

/// The place behind the last entry that there can be. A walk begins at place 0.
pub(crate) const END: u64 = u64::MAX;

impl<V: Keyed> Table<V> {
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
                let after = last.filter(|_| i == first);
                self.collect(root, self.root_bits, after, &pin(), batch);
            }
            if batch.len() >= BATCH {
                return;
            }
        }
    }
}
