//! Events that a publisher evicted, and how they are dropped.

#[cfg(not(laneway_loom))]
use std::any::Any;
#[cfg(not(laneway_loom))]
use std::cell::RefCell;

#[cfg(not(laneway_loom))]
thread_local! {
    /// `Some` while this thread drops evicted events.
    static WAITING: RefCell<Option<Vec<Box<dyn Any>>>> = const { RefCell::new(None) };
}

/// Evicted events. Dropping the litter drops them, but not inside the drop of other evicted events of
/// the same thread: an event whose `Drop` publishes may evict others whose `Drop` publishes, and so
/// on. Those wait until the outer ones are dropped, so the stack does not grow.
pub(super) struct Litter<E: 'static>(Vec<E>);

impl<E> Default for Litter<E> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<E> Litter<E> {
    pub(super) fn push(&mut self, event: E) {
        self.0.push(event);
    }
}

impl<E> Drop for Litter<E> {
    #[inline]
    fn drop(&mut self) {
        if !self.0.is_empty() {
            sweep_up(std::mem::take(&mut self.0));
        }
    }
}

/// Under loom all threads of a model are one thread here, so that nothing can wait there.
#[cfg(laneway_loom)]
fn sweep_up<E>(events: Vec<E>) {
    drop(events);
}

#[cfg(not(laneway_loom))]
#[cold]
fn sweep_up<E: 'static>(events: Vec<E>) {
    /// Also after a panic: this thread waits for nothing any more.
    struct Outermost;
    impl Drop for Outermost {
        fn drop(&mut self) {
            drop(WAITING.take());
        }
    }
    let mut events = Some(events);
    // The queue is gone while the thread ends; then nothing waits.
    let is_nested = WAITING.try_with(|waiting| {
        let mut waiting = waiting.borrow_mut();
        if let Some(waiting) = &mut *waiting {
            waiting.push(Box::new(events.take()));
            return true;
        }
        *waiting = Some(Vec::new());
        false
    });
    if is_nested == Ok(false) {
        let _outermost = Outermost;
        drop(events);
        while let Some(next) = WAITING.with_borrow_mut(|w| w.as_mut().and_then(Vec::pop)) {
            drop(next);
        }
    }
}
