//! Atomics for the library's own tests: a test can stop a thread before any of its accesses.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{self, Ordering};
use std::thread;

thread_local! {
    /// The stop under which this thread runs, if any.
    static STOP: RefCell<Option<Arc<Stop>>> = const { RefCell::new(None) };
}

/// A stop before one or two of a thread's accesses to atomics.
#[derive(Debug)]
pub(crate) struct Stop {
    /// The first access before which the thread stops.
    before: usize,
    /// The second one.
    again_before: usize,
    /// Accesses so far.
    accesses: atomic::AtomicUsize,
    /// Stops that the thread has come to.
    reached: atomic::AtomicUsize,
    /// Stops from which the test has released it.
    released: atomic::AtomicUsize,
}

impl Stop {
    /// Creates a stop before the access with this number, counted from 0.
    pub(crate) fn before(access: usize) -> Arc<Self> {
        Self::twice(access, usize::MAX)
    }

    /// Creates a stop before two accesses. The test releases the thread from each.
    pub(crate) fn twice(access: usize, again: usize) -> Arc<Self> {
        Arc::new(Self {
            before: access,
            again_before: again,
            accesses: atomic::AtomicUsize::new(0),
            reached: atomic::AtomicUsize::new(0),
            released: atomic::AtomicUsize::new(0),
        })
    }

    /// Runs `f` on this thread, under this stop.
    pub(crate) fn run<R>(self: &Arc<Self>, f: impl FnOnce() -> R) -> R {
        STOP.with(|stop| *stop.borrow_mut() = Some(Arc::clone(self)));
        let result = f();
        STOP.with(|stop| *stop.borrow_mut() = None);
        result
    }

    pub(crate) fn is_reached(&self) -> bool {
        self.reached.load(Ordering::SeqCst) > 0
    }

    /// Returns whether the thread has come to the second stop.
    pub(crate) fn is_reached_again(&self) -> bool {
        self.reached.load(Ordering::SeqCst) > 1
    }

    /// Lets the thread go on from one stop.
    pub(crate) fn release(&self) {
        self.released.fetch_add(1, Ordering::SeqCst);
    }

    /// Counts one access, and waits if the thread is to stop before it.
    #[allow(clippy::disallowed_methods)] // It is the point of it that this thread stands still.
    fn step(&self) {
        let access = self.accesses.fetch_add(1, Ordering::SeqCst);
        if access == self.before || access == self.again_before {
            let stop = self.reached.fetch_add(1, Ordering::SeqCst) + 1;
            while self.released.load(Ordering::SeqCst) < stop {
                thread::yield_now();
            }
        }
    }
}

/// Counts one access of this thread, if it runs under a stop.
fn step() {
    // The variable of a thread is gone while it ends. Its accesses are not counted then.
    let _ = STOP.try_with(|stop| {
        let stop = stop.borrow().clone();
        if let Some(stop) = stop {
            stop.step();
        }
    });
}

macro_rules! stepped {
    ($name:ident, $value:ty, [$($generic:ident)?]) => {
        #[derive(Debug)]
        pub(crate) struct $name $(<$generic>)? (atomic::$name $(<$generic>)?);
        #[allow(dead_code)] // All have the same methods.
        impl $(<$generic>)? $name $(<$generic>)? {
            pub(crate) const fn new(value: $value) -> Self {
                Self(atomic::$name::new(value))
            }
            pub(crate) fn load(&self, order: Ordering) -> $value {
                step();
                self.0.load(order)
            }
            pub(crate) fn store(&self, value: $value, order: Ordering) {
                step();
                self.0.store(value, order);
            }
            pub(crate) fn swap(&self, value: $value, order: Ordering) -> $value {
                step();
                self.0.swap(value, order)
            }
            pub(crate) fn compare_exchange(
                &self, current: $value, new: $value, ok: Ordering, err: Ordering,
            ) -> Result<$value, $value> {
                step();
                self.0.compare_exchange(current, new, ok, err)
            }
        }
    };
}
macro_rules! arithmetic {
    ($name:ident, $value:ty) => {
        #[allow(dead_code)] // Both have the same methods.
        impl $name {
            pub(crate) fn fetch_add(&self, value: $value, order: Ordering) -> $value {
                step();
                self.0.fetch_add(value, order)
            }
            pub(crate) fn fetch_sub(&self, value: $value, order: Ordering) -> $value {
                step();
                self.0.fetch_sub(value, order)
            }
            pub(crate) fn fetch_or(&self, value: $value, order: Ordering) -> $value {
                step();
                self.0.fetch_or(value, order)
            }
            pub(crate) fn fetch_max(&self, value: $value, order: Ordering) -> $value {
                step();
                self.0.fetch_max(value, order)
            }
        }
    };
}
stepped!(AtomicU64, u64, []);
stepped!(AtomicUsize, usize, []);
stepped!(AtomicBool, bool, []);
stepped!(AtomicPtr, *mut T, [T]);
arithmetic!(AtomicU64, u64);
arithmetic!(AtomicUsize, usize);

impl Default for AtomicU64 {
    fn default() -> Self {
        Self::new(0)
    }
}
impl Default for AtomicUsize {
    fn default() -> Self {
        Self::new(0)
    }
}
impl Default for AtomicBool {
    fn default() -> Self {
        Self::new(false)
    }
}
