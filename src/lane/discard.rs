//! How events are dropped that no reader wants any more.

use std::any::Any;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Drops events for a call that has more to do. A `Drop` of the host's that panics interrupts the call
/// only at its end, when the discard itself is dropped.
pub(super) struct Discard<E: 'static> {
    panic: Option<Box<dyn Any + Send>>,
    of: PhantomData<fn(E)>,
}

impl<E> Default for Discard<E> {
    #[inline]
    fn default() -> Self {
        Self {
            panic: None,
            of: PhantomData,
        }
    }
}

impl<E> Discard<E> {
    pub(super) fn push(&mut self, event: E) {
        if std::mem::needs_drop::<E>() {
            self.drop(event);
        }
    }

    #[cold]
    fn drop(&mut self, event: E) {
        // The first panic is told; one of several is as good as another.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| shed(event))) {
            self.panic = Some(panic);
        }
    }
}

impl<E> Drop for Discard<E> {
    #[inline]
    fn drop(&mut self) {
        if let Some(panic) = self.panic.take() {
            rethrow(panic);
        }
    }
}

#[cold]
fn rethrow(panic: Box<dyn Any + Send>) {
    if !std::thread::panicking() {
        resume_unwind(panic);
    }
}

/// Under loom all threads of a model are one thread here, so that nothing can wait there.
#[cfg(laneway_loom)]
fn shed<E>(event: E) {
    drop(event);
}

/// Drops an event, but not inside the drop of another one by the same thread: an event whose `Drop`
/// publishes may evict others whose `Drop` publishes, and so on. Those wait until the outer one is
/// dropped, so the stack does not grow.
#[cfg(not(laneway_loom))]
fn shed<E: 'static>(event: E) {
    use std::cell::RefCell;

    thread_local! {
        /// `Some` while this thread drops an event.
        static WAITING: RefCell<Option<Vec<Box<dyn Any>>>> = const { RefCell::new(None) };
    }

    /// Also after a panic: no event waits on this thread any more.
    struct Outermost;
    impl Drop for Outermost {
        fn drop(&mut self) {
            drop(WAITING.take());
        }
    }

    let mut event = Some(event);
    // The queue is gone while the thread ends; then nothing waits.
    let is_outermost = WAITING.try_with(|waiting| {
        let mut waiting = waiting.borrow_mut();
        if let Some(waiting) = &mut *waiting {
            waiting.push(Box::new(event.take()));
            return false;
        }
        *waiting = Some(Vec::new());
        true
    });
    if is_outermost == Ok(true) {
        let _outermost = Outermost;
        drop(event);
        while let Some(next) = WAITING.with_borrow_mut(|w| w.as_mut().and_then(Vec::pop)) {
            drop(next);
        }
    }
}
