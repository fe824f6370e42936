//! A mock of the contract of an epoch, for the models: a deferred call runs when no guard is live
//! that was live when it was deferred.

use std::cell::RefCell;

type Deferred = Box<dyn FnOnce()>;

#[derive(Default)]
struct Collector {
    pinned: usize,
    garbage: Vec<Deferred>,
}

thread_local! {
    // The models run all their threads on one. Plain, so that the bookkeeping itself adds no edges
    // that the code could lean on.
    static COLLECTOR: RefCell<Collector> = RefCell::default();
}

/// The edges that a real collector makes.
#[cfg(laneway_loom)]
mod edges {
    use loom::sync::atomic::{AtomicUsize, Ordering};

    loom::lazy_static! {
        /// Synchronizes the unpinning threads with the one that runs the deferred work.
        static ref PINS: AtomicUsize = AtomicUsize::new(0);
    }

    pub(super) fn pin() {
        // Acquire: a guard that comes after something was freed sees that it was unlinked.
        PINS.fetch_add(1, Ordering::Acquire);
    }
    pub(super) fn unpin() {
        PINS.fetch_sub(1, Ordering::AcqRel);
    }
}

/// None: shuttle runs everything in one total order.
#[cfg(laneway_shuttle)]
mod edges {
    pub(super) fn pin() {}
    pub(super) fn unpin() {}
}

/// A pinned thread.
#[derive(Debug)]
pub(crate) struct Guard(());

/// Pins the current thread.
pub(crate) fn pin() -> Guard {
    edges::pin();
    COLLECTOR.with(|c| c.borrow_mut().pinned += 1);
    Guard(())
}

impl Guard {
    /// Runs `f` once no guard that is live now is live any more.
    ///
    /// # Safety
    ///
    /// As `crossbeam_epoch::Guard::defer_unchecked`.
    #[allow(unsafe_code)] // The signature of the function that it stands in for.
    pub(crate) unsafe fn defer_unchecked<F: FnOnce() -> R, R>(&self, f: F) {
        let f: Box<dyn FnOnce() + '_> = Box::new(move || drop(f()));
        // SAFETY: the caller promises that the captures live until no guard does.
        let f: Deferred = unsafe { std::mem::transmute(f) };
        COLLECTOR.with(|c| c.borrow_mut().garbage.push(f));
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        edges::unpin();
        let garbage = COLLECTOR.with(|c| {
            let mut c = c.borrow_mut();
            c.pinned -= 1;
            if c.pinned == 0 {
                std::mem::take(&mut c.garbage)
            } else {
                Vec::new()
            }
        });
        for f in garbage {
            f();
        }
    }
}
