//! Dropping events: inside a call that has more to do, and without growing the stack.

use std::any::Any;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::panics;

/// Drops events for a call that has more to do. If the host's `Drop` panics, the first panic is
/// kept, and rethrown when the collector itself is dropped at the end of the call.
pub(super) struct Discard<E: 'static> {
    panic: Option<Box<dyn Any + Send>>,
    /// The type of the events. None is stored.
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
    /// Drops an event.
    pub(super) fn push(&mut self, event: E) {
        if std::mem::needs_drop::<E>() {
            self.drop(event);
        }
    }

    /// Drops an event, and catches its panic.
    #[cold]
    fn drop(&mut self, event: E) {
        // The caller is between two changes of the lane's words. A panic that passed through here
        // would leave an arena taken, or a connection counted as leaving, for ever.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| shed(event))) {
            if self.panic.is_none() {
                self.panic = Some(panic);
            } else {
                panics::end(panic);
            }
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

/// Rethrows a panic, unless the thread panics already: a second panic would end the process.
#[cold]
fn rethrow(panic: Box<dyn Any + Send>) {
    if std::thread::panicking() {
        panics::end(panic);
    } else {
        resume_unwind(panic);
    }
}

/// Drops an event. loom runs all threads of a model on one thread, so a queue of that thread would
/// mix them.
#[cfg(laneway_loom)]
fn shed<E>(event: E) {
    drop(event);
}

/// Drops an event. If this thread is inside the drop of another event, the event goes into a queue,
/// and the outer drop takes it from there.
///
/// An event whose `Drop` publishes may evict others whose `Drop` publishes, and so on. Without the
/// queue each would add to the stack.
#[cfg(not(laneway_loom))]
fn shed<E: 'static>(event: E) {
    use std::cell::RefCell;

    thread_local! {
        /// `Some` while this thread drops an event: the events that wait for it.
        static WAITING: RefCell<Option<Vec<Box<dyn Any>>>> = const { RefCell::new(None) };
    }

    /// Empties the queue, also after a panic, so that the next drop of this thread is an outermost
    /// one.
    struct Outermost;
    impl Drop for Outermost {
        fn drop(&mut self) {
            drop(WAITING.take());
        }
    }

    let mut event = Some(event);
    // The queue is gone while the thread ends. Then the event is dropped at once.
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

#[cfg(all(test, not(any(laneway_loom, laneway_shuttle))))]
mod tests {
    use super::*;

    struct Panics(u8);

    impl Drop for Panics {
        fn drop(&mut self) {
            std::panic::panic_any(self.0);
        }
    }

    #[test]
    fn of_several_events_that_panic_the_first_panic_comes_at_the_end() {
        let mut discard = Discard::default();
        (1..4).for_each(|n| discard.push(Panics(n)));
        let panic = catch_unwind(AssertUnwindSafe(|| drop(discard))).unwrap_err();
        assert_eq!(panic.downcast_ref::<u8>(), Some(&1));
    }
}
