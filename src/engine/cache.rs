//! A scope's memory of its user's entry.

use super::user::User;
use crate::sync::{AtomicBool, Guard, Ordering};
use crate::table::storage::{LeafRef, OnceLink};

/// The entry in which a scope found its user first.
///
/// The scope keeps it from its second publish on, so a scope for one event does not pay for it.
/// While the user stays online, a publish by the scope needs neither the lookup nor the collector's
/// guard. If the user has gone, the lane of the kept entry refuses, and the scope asks the table.
pub(crate) struct Cache<E: 'static> {
    entry: OnceLink<User<E>>,
    /// The scope has published once.
    used: AtomicBool,
}

impl<E: 'static> Cache<E> {
    pub(crate) fn new() -> Self {
        Self {
            entry: OnceLink::empty(),
            used: AtomicBool::new(false),
        }
    }

    /// Returns the entry, whose lane may be over.
    #[inline]
    pub(crate) fn get(&self) -> Option<&User<E>> {
        self.entry.get()
    }

    /// Notes the entry that a publish of the scope has found.
    pub(super) fn keep(&self, entry: LeafRef<'_, User<E>>, guard: &Guard) {
        // The entry is never replaced. A publish may hold a reference to it without a guard.
        if self.entry.get().is_some() {
            return;
        }
        // Relaxed: two threads that publish first at once may keep the entry one publish earlier or
        // later. Either is right.
        if self.used.load(Ordering::Relaxed) {
            self.entry.set(entry.arc(), guard);
        } else {
            self.used.store(true, Ordering::Relaxed);
        }
    }
}
