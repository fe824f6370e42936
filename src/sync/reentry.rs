//! Host code that calls back into the engine, such as a waker that publishes to its own user. It
//! comes back to the place from which it was called.

/// Runs `f`, unless this thread is inside `f` for the same place. In that case the outer call runs
/// it once more after its own turn, so the stack does not grow.
pub(crate) fn once_at_a_time(place: *const (), mut f: impl FnMut()) {
    if !imp::enter(place) {
        return;
    }
    let _leave = imp::Leave;
    loop {
        f();
        if !imp::is_asked_again() {
            return;
        }
    }
}

/// Does nothing: the threads of a model are one thread of the system, and no model calls back.
#[cfg(any(laneway_loom, laneway_shuttle))]
mod imp {
    pub(super) fn enter(_place: *const ()) -> bool {
        true
    }
    pub(super) fn is_asked_again() -> bool {
        false
    }
    pub(super) struct Leave;
}

#[cfg(not(any(laneway_loom, laneway_shuttle)))]
mod imp {
    use std::cell::RefCell;

    struct Inside {
        place: *const (),
        is_asked_again: bool,
    }

    thread_local! {
        /// The places inside of which this thread is, the innermost last.
        static INSIDE: RefCell<Vec<Inside>> = const { RefCell::new(Vec::new()) };
    }

    /// Enters a place. Returns `false` if the thread is inside it already. While a thread ends, its
    /// list is gone, and each call enters.
    pub(super) fn enter(place: *const ()) -> bool {
        let entered = INSIDE.try_with(|inside| {
            let mut inside = inside.borrow_mut();
            if let Some(outer) = inside.iter_mut().find(|outer| outer.place == place) {
                outer.is_asked_again = true;
                return false;
            }
            inside.push(Inside {
                place,
                is_asked_again: false,
            });
            true
        });
        entered.unwrap_or(true)
    }

    /// Returns whether a call for the innermost place came while it ran, and forgets that.
    pub(super) fn is_asked_again() -> bool {
        let asked = INSIDE.try_with(|inside| {
            let mut inside = inside.borrow_mut();
            let innermost = inside.last_mut();
            innermost.is_some_and(|i| std::mem::take(&mut i.is_asked_again))
        });
        asked.unwrap_or(false)
    }

    /// Leaves the innermost place when it is dropped, also after a panic.
    pub(super) struct Leave;

    impl Drop for Leave {
        fn drop(&mut self) {
            let _ = INSIDE.try_with(|inside| inside.borrow_mut().pop());
        }
    }
}
