//! The one place that names an atomic, a cell or the epoch collector.
//!
//! In what ships these are the standard library's types and `crossbeam_epoch`. Under
//! `--cfg laneway_shuttle` they are shuttle's, which runs many threads for long in random order.
//! Under `--cfg laneway_loom` they are loom's, with two differences:
//!
//! * loom remembers only the last access to each object when it looks for races to explore. So a
//!   thread's own load can hide an earlier access. A relaxed read-modify-write on a shadow atomic
//!   therefore precedes every atomic load.
//! * The collector is a mock of the contract of an epoch. A deferred call runs when no guard is
//!   live that was live when it was deferred. The thread that runs it has synchronized with those
//!   guards.

pub(crate) mod channel;
#[cfg(any(all(laneway_loom, not(crossbeam_loom)), laneway_shuttle))]
mod collector;
mod fault;
pub(crate) mod reentry;
#[cfg(all(test, not(any(laneway_loom, laneway_shuttle))))]
mod stepped;

#[cfg(not(any(laneway_loom, laneway_shuttle)))]
mod imp {
    pub(crate) use std::cell::UnsafeCell;
    #[cfg(not(test))]
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize};
    pub(crate) use std::sync::atomic::{Ordering, fence};

    #[cfg(test)]
    pub(crate) use super::stepped::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Stop};

    use super::fault::Fault;
    pub(crate) use crossbeam_epoch::{Guard, pin};

    /// Turns of a bounded spin. After these a reader makes the number of a publisher void that has
    /// not come.
    pub(crate) const SPINS: u32 = 200;

    #[inline]
    pub(crate) fn pause() {
        std::hint::spin_loop();
    }

    /// Returns whether this line is broken. Always `false`, except in a fuzz target that was built
    /// to show that fuzzing finds a fault.
    #[inline]
    pub(crate) fn broken(fault: Fault) -> bool {
        cfg!(fuzzing) && option_env!("LANEWAY_TWIN") == Some(fault.name())
    }
}

#[cfg(laneway_loom)]
mod imp {
    pub(crate) use loom::sync::atomic::{Ordering, fence};
    use std::cell::Cell;

    use super::fault::Fault;

    /// None: in a model each turn would only repeat the same interleavings.
    pub(crate) const SPINS: u32 = 0;

    pub(crate) fn pause() {
        loom::thread::yield_now();
    }

    thread_local! {
        // loom runs every model thread on the one operating system thread that called the model.
        static BROKEN: Cell<Option<Fault>> = const { Cell::new(None) };
    }

    /// Returns whether this line is broken in the model that runs.
    pub(crate) fn broken(fault: Fault) -> bool {
        BROKEN.get() == Some(fault)
    }

    #[cfg(test)]
    fn set_broken(fault: Option<Fault>) {
        BROKEN.set(fault);
    }

    /// Runs models and their broken twins.
    #[cfg(test)]
    pub(crate) mod model {
        use std::process::Command;
        use std::sync::Arc;
        use std::sync::atomic::{AtomicUsize, Ordering};
        use std::task::{Wake, Waker};
        use std::time::Instant;

        use crate::sync::Fault;

        /// The variable that names the fault in the process that runs a twin. A twin has a process
        /// of its own, because a rejected model may leave values behind that cannot be dropped
        /// outside of loom.
        const TWIN: &str = "LANEWAY_TWIN";

        /// Counts the calls of a waker.
        #[derive(Default)]
        pub(crate) struct Calls(AtomicUsize);

        impl Wake for Calls {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }

        impl Calls {
            pub(crate) fn count(&self) -> usize {
                self.0.load(Ordering::SeqCst)
            }
        }

        /// Creates a waker and the count of its calls.
        pub(crate) fn waker() -> (Arc<Calls>, Waker) {
            let calls = Arc::new(Calls::default());
            let waker = Waker::from(Arc::clone(&calls));
            (calls, waker)
        }

        /// Returns the preemption bound of a model. On the real collector with its own atomics it
        /// is lower by one.
        fn bound_of(bound: usize) -> usize {
            if cfg!(crossbeam_loom) {
                (bound - 1).max(1)
            } else {
                bound
            }
        }

        /// Passes if no interleaving within the bound breaks `f`.
        pub(crate) fn sound(name: &str, bound: usize, f: fn()) {
            if let Ok(twin) = std::env::var(TWIN) {
                super::set_broken(Fault::asked_for(&twin));
            }
            let count = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&count);
            let start = Instant::now();
            let mut builder = loom::model::Builder::new();
            let bound = bound_of(bound);
            builder.preemption_bound = Some(bound);
            builder.max_branches = 100_000;
            builder.check(move || {
                counted.fetch_add(1, Ordering::Relaxed);
                f();
            });
            let executions = count.load(Ordering::Relaxed);
            println!(
                "model {name}: {executions} executions, bound {bound}, {:.1?}",
                start.elapsed()
            );
            assert!(
                executions >= if cfg!(crossbeam_loom) { 2 } else { 10 },
                "model {name} explores too little: {executions}"
            );
        }

        /// Passes if loom rejects the calling test's model with this fault, for one of the reasons
        /// in `because`, which are divided by bars. Does nothing on the real collector, whose lower
        /// bounds are too low for some faults.
        pub(crate) fn twin(fault: Fault, because: &str) {
            let defect = fault.name();
            if cfg!(crossbeam_loom) || std::env::var(TWIN).is_ok() {
                return;
            }
            let thread = std::thread::current();
            let test = thread.name().expect("run with more than one test thread");
            let program = std::env::current_exe().expect("a test has a path");
            let child = Command::new(program)
                .args([test, "--exact", "--nocapture", "--include-ignored"])
                .env(TWIN, defect)
                .env("RUST_BACKTRACE", "0")
                .output()
                .expect("starts");
            let text = String::from_utf8_lossy(&child.stderr);
            assert!(
                !child.status.success(),
                "{test} accepts the defect {defect}"
            );
            assert!(
                because.split(" | ").any(|reason| text.contains(reason)),
                "{test} rejects {defect} for another reason:\n{text}"
            );
            println!("twin  {test} / {defect}: rejected: {because}");
        }
    }

    /// loom's cell behind the interface of `std::cell::UnsafeCell::get`.
    #[derive(Debug)]
    pub(crate) struct UnsafeCell<T>(loom::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::cell::UnsafeCell::new(value))
        }
        /// A read that loom tracks.
        pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            self.0.with(f)
        }
        /// A write that loom tracks.
        pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            self.0.with_mut(f)
        }
    }

    macro_rules! shadowed {
        ($name:ident, $inner:ty, $value:ty, [$($generic:ident)?]) => {
            #[derive(Debug)]
            pub(crate) struct $name $(<$generic>)? {
                inner: $inner,
                shadow: loom::sync::atomic::AtomicUsize,
            }
            #[allow(dead_code)] // All four have the same methods.
            impl $(<$generic>)? $name $(<$generic>)? {
                pub(crate) fn new(value: $value) -> Self {
                    Self { inner: <$inner>::new(value), shadow: loom::sync::atomic::AtomicUsize::new(0) }
                }
                pub(crate) fn load(&self, order: Ordering) -> $value {
                    self.shadow.fetch_add(1, Ordering::Relaxed);
                    self.inner.load(order)
                }
                pub(crate) fn store(&self, value: $value, order: Ordering) {
                    self.inner.store(value, order);
                }
                pub(crate) fn swap(&self, value: $value, order: Ordering) -> $value {
                    self.inner.swap(value, order)
                }
                pub(crate) fn compare_exchange(
                    &self, current: $value, new: $value, ok: Ordering, err: Ordering,
                ) -> Result<$value, $value> {
                    self.inner.compare_exchange(current, new, ok, err)
                }
            }
        };
    }
    macro_rules! arithmetic {
        ($name:ident, $value:ty) => {
            #[allow(dead_code)] // Both have the same methods.
            impl $name {
                pub(crate) fn fetch_add(&self, value: $value, order: Ordering) -> $value {
                    self.inner.fetch_add(value, order)
                }
                pub(crate) fn fetch_sub(&self, value: $value, order: Ordering) -> $value {
                    self.inner.fetch_sub(value, order)
                }
                pub(crate) fn fetch_max(&self, value: $value, order: Ordering) -> $value {
                    self.inner.fetch_max(value, order)
                }
                pub(crate) fn fetch_or(&self, value: $value, order: Ordering) -> $value {
                    self.inner.fetch_or(value, order)
                }
            }
            impl Default for $name {
                fn default() -> Self {
                    Self::new(0)
                }
            }
        };
    }
    shadowed!(AtomicU64, loom::sync::atomic::AtomicU64, u64, []);
    shadowed!(AtomicUsize, loom::sync::atomic::AtomicUsize, usize, []);
    shadowed!(AtomicBool, loom::sync::atomic::AtomicBool, bool, []);
    shadowed!(AtomicPtr, loom::sync::atomic::AtomicPtr<T>, *mut T, [T]);
    arithmetic!(AtomicU64, u64);
    arithmetic!(AtomicUsize, usize);

    #[cfg(not(crossbeam_loom))]
    pub(crate) use super::collector::{Guard, pin};
    #[cfg(crossbeam_loom)]
    pub(crate) use crossbeam_epoch::{Guard, pin};

    /// Frees what may be freed. The mock does so when a guard is dropped.
    #[cfg(test)]
    pub(crate) fn collect() {
        #[cfg(crossbeam_loom)]
        for _ in 0..3 {
            pin().flush();
        }
    }
}

#[cfg(laneway_shuttle)]
mod imp {
    pub(crate) use std::cell::UnsafeCell;

    pub(crate) use shuttle::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering, fence,
    };

    pub(crate) use super::collector::{Guard, pin};
    use super::fault::Fault;

    /// Few, because at each turn another thread may run.
    pub(crate) const SPINS: u32 = 2;

    pub(crate) fn pause() {
        shuttle::thread::yield_now();
    }

    /// Returns whether this line is broken, by the environment.
    pub(crate) fn broken(fault: Fault) -> bool {
        std::thread_local! {
            static BROKEN: Option<Fault> =
                std::env::var("LANEWAY_TWIN").ok().and_then(|name| Fault::asked_for(&name));
        }
        BROKEN.with(|b| *b == Some(fault))
    }
}

pub(crate) use fault::Fault;
pub(crate) use imp::*;

#[cfg(not(laneway_loom))]
#[inline]
pub(crate) fn with_mut<T, R>(cell: &UnsafeCell<T>, f: impl FnOnce(*mut T) -> R) -> R {
    f(cell.get())
}
#[cfg(laneway_loom)]
pub(crate) fn with_mut<T, R>(cell: &UnsafeCell<T>, f: impl FnOnce(*mut T) -> R) -> R {
    cell.with_mut(f)
}
#[cfg(not(laneway_loom))]
#[inline]
pub(crate) fn with<T, R>(cell: &UnsafeCell<T>, f: impl FnOnce(*const T) -> R) -> R {
    f(cell.get())
}
#[cfg(laneway_loom)]
pub(crate) fn with<T, R>(cell: &UnsafeCell<T>, f: impl FnOnce(*const T) -> R) -> R {
    cell.with(f)
}
