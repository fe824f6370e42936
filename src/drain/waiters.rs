//! The tasks that wait for the end of a drain.

use std::task::Waker;

use crate::lane::wake::WakeCell;
use crate::sync::{AtomicBool, Ordering};

/// Tasks that wait at a time.
const PLACES: usize = if cfg!(laneway_loom) { 1 } else { 16 };

/// A place for each task that waits.
pub(crate) struct Waiters([Place; PLACES]);

struct Place {
    is_taken: AtomicBool,
    wake: WakeCell,
}

impl Waiters {
    pub(crate) fn new() -> Self {
        Self(std::array::from_fn(|_| Place {
            is_taken: AtomicBool::new(false),
            wake: WakeCell::new(),
        }))
    }

    /// Takes a free place. Returns `None` if there is none.
    pub(crate) fn take(&self) -> Option<usize> {
        self.0.iter().position(|place| {
            // Acquire: pairs with `give_back`. The owner before has left the cell.
            let (ok, err) = (Ordering::Acquire, Ordering::Relaxed);
            place
                .is_taken
                .compare_exchange(false, true, ok, err)
                .is_ok()
        })
    }

    /// Readies a place that the caller has taken for one wait.
    pub(crate) fn arm(&self, place: usize, waker: &Waker) {
        self.0[place].wake.arm(waker);
    }

    /// Gives a place back.
    pub(crate) fn give_back(&self, place: usize) {
        let Place { is_taken, wake } = &self.0[place];
        wake.disarm();
        wake.clear();
        is_taken.store(false, Ordering::Release);
    }

    /// Wakes each task that waits.
    pub(crate) fn wake(&self) {
        self.0.iter().for_each(|place| place.wake.wake());
    }
}
