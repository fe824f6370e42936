//! The account of a lane: the bytes that its unread and kept events weigh.
//!
//! A publisher reserves the bytes of its event before the append. The reservation is a [`Charge`],
//! which lies in the event's rule. So it is dropped where the event leaves the lane: with the last
//! reader, with an eviction, with the end of the lane, or with a refusal.

use std::sync::Arc;

use super::outcome::Refusal;
use super::pool::Pool;
use crate::rate::Bucket;
use crate::sync::{AtomicBool, AtomicU64, Fault, Ordering, broken};

/// The bit of a lane that is not over. The bits below it are the bytes.
const OPEN: u64 = 1 << 63;

/// The bytes that one lane holds.
#[derive(Debug)]
pub(crate) struct Account {
    /// `[open : 1 | bytes : 63]`.
    word: AtomicU64,
    /// The lane is no longer counted in the pool.
    is_counted_out: AtomicBool,
    bucket: Bucket,
    pool: Arc<Pool>,
}

impl Account {
    /// Creates the account of a lane, and counts the lane.
    pub(crate) fn new(pool: &Arc<Pool>) -> Arc<Self> {
        pool.count_in();
        Arc::new(Self {
            word: AtomicU64::new(OPEN),
            is_counted_out: AtomicBool::new(false),
            bucket: Bucket::default(),
            pool: Arc::clone(pool),
        })
    }

    /// Returns the bytes that are reserved. Wait-free.
    pub(crate) fn bytes(&self) -> u64 {
        self.word.load(Ordering::Relaxed) & !OPEN
    }

    /// Reserves the bytes of one event, and takes its tokens. `now` is the hub's time. Returns `None` for
    /// an event without a weight, which needs no charge.
    pub(crate) fn admit(
        self: &Arc<Self>,
        bytes: u64,
        now: impl FnOnce() -> u64,
    ) -> Result<Option<Charge>, Refusal> {
        // The bytes come first: an event that is over a budget uses no token.
        let charge = if bytes > 0 && self.pool.has_budget() {
            Some(self.reserve(bytes).ok_or(Refusal::OverBudget)?)
        } else {
            None
        };
        match &self.pool.rate {
            Some(rate) if !self.bucket.take(rate, bytes, now()) => Err(Refusal::RateLimited),
            _ => Ok(charge),
        }
    }

    /// Returns whether an event of this weight may be admitted now. Wait-free.
    pub(crate) fn may_have_room(&self, bytes: u64) -> bool {
        let is_limited = bytes > 0 && self.pool.has_budget();
        !is_limited || {
            let (held, total) = (self.bytes(), self.pool.total());
            (self.pool).has_room(held.saturating_add(bytes), total.saturating_add(bytes))
        }
    }

    /// Reserves bytes: one addition to the lane's, and one to all lanes'. Wait-free.
    fn reserve(self: &Arc<Self>, bytes: u64) -> Option<Charge> {
        // Such an event never fits. Without this look, its weight could run over the sums.
        if bytes > self.pool.largest() {
            return None;
        }
        // Two publishers that looked first and added then could both find the last bytes free.
        if broken(Fault::ReserveInTwoSteps) && self.bytes() + bytes > self.pool.largest() {
            return None;
        }
        let held = (self.word.fetch_add(bytes, Ordering::AcqRel) & !OPEN) + bytes;
        let total = self.pool.add(bytes);
        let charge = Charge {
            account: Arc::clone(self),
            bytes,
        };
        // A charge that is refused is dropped, which undoes both additions.
        if self.pool.has_room(held, total) || broken(Fault::ReserveInTwoSteps) {
            Some(charge)
        } else {
            if broken(Fault::KeepTheCharge) {
                std::mem::forget(charge);
            }
            None
        }
    }

    fn release(&self, bytes: u64) {
        // The pool first. In the other order the lane could be counted out while the sum of all
        // lanes still has its bytes, and the shares of the others would be too large for that sum.
        self.pool.subtract(bytes);
        if self.word.fetch_sub(bytes, Ordering::AcqRel) == bytes {
            self.count_out();
        }
    }

    /// Notes that the lane is over, once. It counts for the shares until its last bytes are released: a closed
    /// connection that is not dropped holds them.
    pub(crate) fn close(&self) {
        let before = self.word.fetch_sub(OPEN, Ordering::AcqRel);
        if before & !OPEN == 0 || broken(Fault::CountOutWithBytes) {
            self.count_out();
        }
    }

    /// Counts the lane out, once: a publisher that finds a lane over reserves and releases, and so
    /// comes here after the last bytes as well.
    fn count_out(&self) {
        if !self.is_counted_out.swap(true, Ordering::AcqRel) {
            self.pool.count_out();
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        // A lane that never came into the table was not closed.
        self.count_out();
    }
}

/// The reserved bytes of one event. They are released when it is dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    account: Arc<Account>,
    bytes: u64,
}

impl Charge {
    /// A reader releases an event that others may still have to read.
    #[cold]
    pub(super) fn release_early(&self) {
        self.account.release(self.bytes);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.account.release(self.bytes);
    }
}

#[cfg(all(test, not(any(laneway_loom, laneway_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn r111_a_lane_that_never_came_into_the_table_counts_for_no_share() {
        let pool = Arc::new(Pool::new(None, Some(10), None));
        let _listed = Account::new(&pool);
        // Of two first connects of one user, one makes a lane that is dropped.
        let dropped = Account::new(&pool);
        assert!(!pool.has_room(10, 11), "two lanes share 10 bytes");
        drop(dropped);
        assert!(pool.has_room(10, 11), "one lane has all of them");
    }
}
