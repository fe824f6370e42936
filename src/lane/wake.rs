//! Waking: a word and a waker for each connection, the same for threads and for tasks.
//!
//! The word is `[ generation : 62 | state : 2 ]`. The owner arms it for one wait: `WAITING`. A
//! publisher exchanges that for `WAKING`, calls the waker, and exchanges that for `NOTIFIED`.
//!
//! A publisher that finds `WAKING` calls the waker as well, because the publisher that has set it
//! may be stopped before its call. One that finds `NOTIFIED` does not call it, so a burst of events
//! wakes once. The generation is part of each exchange. A publisher that is stopped inside a wake
//! therefore cannot mark a later wait as notified.

use std::task::Waker;

use crate::panics;
use crate::sync::reentry::once_at_a_time;
use crate::sync::{AtomicU64, Fault, Ordering, broken, pin};
use crate::table::storage::{Link, Owned, View};

const IDLE: u64 = 0;
const WAITING: u64 = 1;
const WAKING: u64 = 2;
const NOTIFIED: u64 = 3;
const STATE: u64 = 3;
const GENERATION: u64 = 4;

/// The word with another state, of the same wait.
const fn at(word: u64, state: u64) -> u64 {
    (word & !STATE) + state
}

/// The word and the waker of one connection.
pub(crate) struct WakeCell {
    word: AtomicU64,
    waker: Link<(), Waker>,
}

impl WakeCell {
    pub(crate) fn new() -> Self {
        Self {
            word: AtomicU64::new(IDLE),
            waker: Link::empty(),
        }
    }

    /// Readies the cell for one wait. Only the connection's owner calls this.
    pub(crate) fn arm(&self, waker: &Waker) {
        let guard = pin();
        // Most waits of a task have the waker of the last one. Comparing saves an allocation.
        let known = match self.waker.load(&guard) {
            View::Node(old) => old.will_wake(waker),
            _ => false,
        };
        if !known {
            self.waker
                .replace(Owned::Node(Box::new(waker.clone())), &guard);
        }
        // Relaxed: only publishers of the old wait write the word meanwhile, and their result is
        // overwritten.
        let next = self.word.load(Ordering::Relaxed) + GENERATION;
        // Release: a publisher that loads this word sees the waker.
        self.word.store(at(next, WAITING), Ordering::Release);
    }

    /// Ends a wait. Only the connection's owner calls this.
    pub(crate) fn disarm(&self) {
        let word = self.word.load(Ordering::Relaxed);
        self.word.store(at(word, IDLE), Ordering::Release);
    }

    /// Drops the waker of the last wait. Only the connection's owner calls this, last of all. A
    /// waker may own a task of the host, which would otherwise live as long as the cell.
    pub(crate) fn clear(&self) {
        if !self.waker.is_empty() {
            self.waker.replace(Owned::Empty, &pin());
        }
    }

    /// Does the first step of a wake, like a publisher that is then stopped for ever.
    #[cfg(all(test, laneway_loom))]
    pub(crate) fn wake_and_freeze(&self) {
        let word = self.word.load(Ordering::Acquire);
        assert_eq!(word & STATE, WAITING);
        self.word.store(at(word, WAKING), Ordering::Release);
    }

    /// Calls the waker, if a wait is on. A waker that publishes to the same connection comes back
    /// here. It is not called inside itself: the outer call looks again when the waker has
    /// returned.
    pub(crate) fn wake(&self) {
        let word = self.word.load(Ordering::Acquire);
        if matches!(word & STATE, WAITING | WAKING) {
            once_at_a_time(std::ptr::from_ref(self).cast(), || self.wake_once());
        }
    }

    /// Calls the waker, if a wait is still on.
    fn wake_once(&self) {
        let mut word = self.word.load(Ordering::Acquire);
        loop {
            // A publisher that finds `IDLE` or `NOTIFIED` has nothing to do: no wait is on, or it
            // was woken.
            match word & STATE {
                WAITING => {
                    let (ok, err) = (Ordering::AcqRel, Ordering::Acquire);
                    let waking = at(word, WAKING);
                    match self.word.compare_exchange(word, waking, ok, err) {
                        Ok(_) => {
                            word = waking;
                            break;
                        }
                        Err(now) => word = now,
                    }
                }
                // The publisher that has set `WAKING` may be stopped before it calls the waker. If
                // this one trusted it, the connection would sleep although an event is there.
                WAKING if broken(Fault::TrustTheOtherWaker) => return,
                WAKING => break,
                _ => return,
            }
        }
        // The guard: the owner may replace the waker meanwhile.
        let guard = pin();
        if let View::Node(waker) = self.waker.load(&guard) {
            // The waker is the host's code. A panic in it is not passed on to the publisher.
            let _ = panics::contain(|| waker.wake_by_ref());
        }
        // It fails if the wait is over, and then a later wait is left alone.
        let notified = at(word, NOTIFIED);
        let _ = self
            .word
            .compare_exchange(word, notified, Ordering::AcqRel, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(any(laneway_loom, laneway_shuttle))))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_wait_is_woken_once_and_by_nothing_that_came_before_it() {
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let cell = WakeCell::new();
        let word = || cell.word.load(Ordering::Acquire);
        let woken = || count.0.load(Ordering::SeqCst);
        cell.wake();
        assert_eq!(woken(), 0, "no connection waits");
        for wait in 1..4 {
            let generation = wait as u64 * GENERATION;
            cell.arm(&waker);
            assert_eq!(word(), generation + WAITING);
            cell.wake();
            assert_eq!(woken(), 2 * wait - 1);
            assert_eq!(word(), generation + NOTIFIED);
            cell.wake();
            assert_eq!(woken(), 2 * wait - 1, "once is enough");
            // The publisher that set that mark may never get to the waker.
            cell.word.store(generation + WAKING, Ordering::Release);
            cell.wake();
            assert_eq!(woken(), 2 * wait);
            assert_eq!(word(), generation + NOTIFIED);
            cell.disarm();
            assert_eq!(word(), generation + IDLE);
            cell.wake();
            assert_eq!(woken(), 2 * wait, "the wait is over");
        }
        assert!(!cell.waker.is_empty(), "kept for the next wait");
        cell.clear();
        assert!(cell.waker.is_empty());
    }
}
