//! The gate: one word of the hub, which each use of a scope compares with the word that it knows.

use crate::sync::{AtomicU64, Ordering};

/// `[revision : 62 | draining : 1 | closed : 1]`. A drain and a shutdown set their bits, and each revocation
/// raises the revision.
///
/// A scope remembers the word at which it was last found good. While the two are equal, neither a
/// shutdown nor a revocation has come since, and a publish needs no other look.
pub(super) struct Gate(AtomicU64);

/// A word that the gate never has: the bit is set, and no revision comes as far.
pub(super) const NEVER: u64 = u64::MAX;

const CLOSED: u64 = 1;
const DRAINING: u64 = 2;
const ONE_REVISION: u64 = 4;

impl Gate {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Acquire: pairs with `close` and `raise`. A thread that sees a revision sees the revocations
    /// up to it.
    #[inline]
    pub(super) fn word(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    pub(super) fn is_closed(&self) -> bool {
        is_closed(self.word())
    }

    /// Sets the bit for good. Returns whether it was clear.
    pub(super) fn close(&self) -> bool {
        !is_closed(self.0.fetch_or(CLOSED, Ordering::AcqRel))
    }

    /// Sets the bit that only connects look at, for good.
    pub(super) fn drain(&self) {
        self.0.fetch_or(DRAINING, Ordering::AcqRel);
    }

    /// Raises the revision, so that each scope has to be looked at anew.
    pub(super) fn raise(&self) {
        self.0.fetch_add(ONE_REVISION, Ordering::AcqRel);
    }
}

/// Returns whether the hub was shut down when the gate had this word.
pub(super) fn is_closed(word: u64) -> bool {
    word & CLOSED != 0
}

/// Returns whether a drain had begun when the gate had this word.
pub(super) fn is_draining(word: u64) -> bool {
    word & DRAINING != 0
}

/// Returns the word as a scope may remember it: one that is not equal to that of a closed gate.
pub(super) fn as_open(word: u64) -> u64 {
    word & !CLOSED
}
