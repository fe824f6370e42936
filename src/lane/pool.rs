//! The bytes of all lanes of a hub, and what each lane may hold.
//!
//! # The bound
//!
//! A publisher has added the bytes of its event to the lane's `held` and to the `total`. The event is
//! admitted if `held` is at most the lane's budget, and one of two holds:
//!
//! 1. `total` is at most the hub's budget B.
//! 2. `held` is at most the lane's *share*, B / n, for the n lanes that are counted.
//!
//! By 2 a user at or below the share is never refused because of others. So `total` can pass B. Let t be the
//! last moment at which an event was admitted by 1. At t `total` was at most B. Every lane that took bytes
//! after t did so by 2. Sort these lanes by their last such event: at the k-th of them, at least k lanes were
//! counted, because a lane is counted from before its first byte until after its last one. So the k-th lane
//! held at most B / k then, and it holds no more now. Hence
//!
//! ```text
//! total ≤ B + B/1 + B/2 + … + B/n = B × (1 + H(n)),   with n lanes now, and H(n) ≤ 1 + ln n
//! ```
//!
//! While the number of lanes stays the same, each of the n lanes held at most B / n, and `total` ≤ 2 × B.
//!
//! No rule that keeps the promise of 2 has a bound that grows slower: users who come one after the other and
//! each fill their share, B / k for the k-th, hold B × H(n) together.
//!
//! A publisher that is about to be refused has added its bytes as well, for a moment. That makes `total` too
//! high, never too low. So the events that were admitted keep to the bound, and a user above the share may be
//! refused too early.

use crossbeam_utils::CachePadded;

use crate::rate::Rate;
use crate::sync::{AtomicU64, Ordering};

/// The bytes of all lanes, and the limits of each.
#[derive(Debug)]
pub(crate) struct Pool {
    lane_bytes: Option<u64>,
    hub_bytes: Option<u64>,
    pub(super) rate: Option<Rate>,
    /// Padded: each publisher and each reader of a hub with a budget writes here.
    total: CachePadded<AtomicU64>,
    /// Lanes that are not over, or hold bytes.
    lanes: CachePadded<AtomicU64>,
}

impl Pool {
    pub(crate) fn new(lane_bytes: Option<u64>, hub_bytes: Option<u64>, rate: Option<Rate>) -> Self {
        Self {
            lane_bytes,
            hub_bytes,
            rate,
            total: CachePadded::default(),
            lanes: CachePadded::default(),
        }
    }

    /// Returns whether bytes are limited. Otherwise only the rate is.
    pub(super) fn has_budget(&self) -> bool {
        self.lane_bytes.is_some() || self.hub_bytes.is_some()
    }

    /// Returns the weight of the heaviest event that fits anywhere.
    pub(crate) fn largest(&self) -> u64 {
        let (lane, hub) = (self.lane_bytes, self.hub_bytes);
        lane.unwrap_or(u64::MAX).min(hub.unwrap_or(u64::MAX))
    }

    /// Adds bytes. Returns the sum with them, or 0 if the hub has no budget.
    pub(super) fn add(&self, bytes: u64) -> u64 {
        if self.hub_bytes.is_none() {
            return 0;
        }
        self.total.fetch_add(bytes, Ordering::AcqRel) + bytes
    }

    pub(super) fn subtract(&self, bytes: u64) {
        if self.hub_bytes.is_some() {
            self.total.fetch_sub(bytes, Ordering::AcqRel);
        }
    }

    /// Returns whether a lane may hold `held` bytes while all lanes hold `total`.
    pub(super) fn has_room(&self, held: u64, total: u64) -> bool {
        let in_lane = self.lane_bytes.is_none_or(|limit| held <= limit);
        in_lane
            && self
                .hub_bytes
                .is_none_or(|limit| total <= limit || held <= self.share(limit))
    }

    fn share(&self, limit: u64) -> u64 {
        // Acquire: pairs with `count_in`. The caller's own lane was counted before.
        limit / self.lanes.load(Ordering::Acquire).max(1)
    }

    pub(super) fn count_in(&self) {
        self.lanes.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn count_out(&self) {
        self.lanes.fetch_sub(1, Ordering::AcqRel);
    }

    /// Returns the number of lanes that are counted.
    #[cfg(all(test, laneway_loom))]
    pub(crate) fn lanes(&self) -> u64 {
        self.lanes.load(Ordering::Acquire)
    }

    /// Returns the bytes of all lanes, or `None` if lanes have a budget and the hub has none.
    pub(crate) fn sum(&self) -> Option<u64> {
        let is_summed = self.hub_bytes.is_some() || self.lane_bytes.is_none();
        is_summed.then(|| self.total())
    }

    /// Returns the bytes of all lanes. 0 if the hub has no budget.
    pub(crate) fn total(&self) -> u64 {
        self.total.load(Ordering::Acquire)
    }
}
