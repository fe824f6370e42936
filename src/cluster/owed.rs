//! A count of drops that one thread collects, and that is never left behind.

use crate::sync::{AtomicBool, AtomicU64, Fault, Ordering, broken};

/// Drops that publishers count, and that the driver collects when it is asked to.
///
/// A publisher that is the first to drop since the last collection asks the driver, by a queue. So the queue has
/// each count at most once.
pub(crate) struct Owed {
    dropped: AtomicU64,
    is_asked: AtomicBool,
    /// How many were collected. Only the driver writes it.
    collected: AtomicU64,
}

impl Owed {
    pub(crate) fn new() -> Self {
        Self {
            dropped: AtomicU64::new(0),
            is_asked: AtomicBool::new(false),
            collected: AtomicU64::new(0),
        }
    }

    /// Counts one drop. Returns whether the caller has to ask the driver.
    #[must_use]
    pub(crate) fn drop_one(&self) -> bool {
        // AcqRel: pairs with the swap in `collect`. The driver that takes the mark sees this drop, or this thread
        // sees that the mark is gone and asks again.
        self.dropped.fetch_add(1, Ordering::AcqRel);
        !self.is_asked.swap(true, Ordering::AcqRel)
    }

    /// Returns how many were dropped so far.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Acquire)
    }

    /// Collects what was dropped up to the count `to`. Only the driver calls this.
    pub(crate) fn collect_to(&self, to: u64) -> u64 {
        let before = self.collected.load(Ordering::Relaxed);
        let new = to.saturating_sub(before);
        self.collected.store(before + new, Ordering::Relaxed);
        new
    }

    /// Collects all drops, as the answer to one who asked. Only the driver calls this.
    pub(crate) fn collect(&self) -> u64 {
        if broken(Fault::CollectThenUnmark) {
            let new = self.collect_to(self.dropped());
            self.is_asked.swap(false, Ordering::AcqRel);
            return new;
        }
        // The mark goes first. In the other order a publisher could drop between the count and the mark: it finds
        // the mark, asks no driver, and its drop is told only with the next one.
        self.is_asked.swap(false, Ordering::AcqRel);
        self.collect_to(self.dropped())
    }
}

#[cfg(all(test, laneway_loom))]
mod models {
    use std::sync::Arc;

    use super::*;
    use crate::sync::model;

    /// A publisher drops twice while the driver answers the first one who asked.
    fn model_owed() {
        let owed = Arc::new(Owed::new());
        assert!(owed.drop_one());
        let publisher = {
            let owed = Arc::clone(&owed);
            loom::thread::spawn(move || owed.drop_one())
        };
        let mut collected = owed.collect();
        if publisher.join().unwrap() {
            collected += owed.collect();
        }
        assert_eq!(collected, 2, "a drop is left behind");
    }

    #[test]
    fn model_owed_drops() {
        model::sound("owed drops", 3, model_owed);
        model::twin(Fault::CollectThenUnmark, "a drop is left behind");
    }
}
