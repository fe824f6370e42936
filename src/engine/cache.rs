//! What a scope remembers of its user.

use super::user::User;
use crate::sync::{AtomicBool, Guard, Ordering};
use crate::table::storage::{LeafRef, OnceLink};

/// The entry in which a scope first found its user, kept from its second publish on: a scope that
/// is made for one event only is not to pay for it. While the user stays online it spares the
/// publisher the lookup and the collector's guard; after that the table is asked each time.
pub(crate) struct Cache<E: 'static> {
    entry: OnceLink<User<E>>,
    used: AtomicBool,
}

impl<E: 'static> Cache<E> {
    pub(crate) fn new() -> Self {
        Self {
            entry: OnceLink::empty(),
            used: AtomicBool::new(false),
        }
    }

    /// The entry, which may be out of date.
    #[inline]
    pub(crate) fn get(&self) -> Option<&User<E>> {
        self.entry.get()
    }

    pub(super) fn keep(&self, entry: LeafRef<'_, User<E>>, guard: &Guard) {
        if self.entry.get().is_some() {
            return;
        }
        if self.used.load(Ordering::Relaxed) {
            self.entry.set(entry.arc(), guard);
        } else {
            self.used.store(true, Ordering::Relaxed);
        }
    }
}
