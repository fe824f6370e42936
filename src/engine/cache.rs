//! A scope's memory: its user's entry, and its pass.

use std::sync::Arc;

use super::pass::Pass;
use super::user::User;
use crate::sync::{AtomicBool, Guard, Ordering};
use crate::table::storage::{LeafRef, OnceLink};

/// The entry in which a scope found its user first, and the scope's pass.
///
/// A scope that connects a device keeps the entry from then on. Another scope keeps it from its second publish on,
/// so a scope for one event does not pay for it. While the user stays online, a publish by the scope needs neither the lookup nor the collector's
/// guard. If the user has gone, the lane of the kept entry refuses, and the scope asks the table.
pub(crate) struct Cache<E: 'static> {
    entry: OnceLink<User<E>>,
    /// The scope has published once.
    used: AtomicBool,
    pub(crate) pass: Pass,
}

impl<E: 'static> Cache<E> {
    pub(crate) fn new(pass: Pass) -> Self {
        Self {
            entry: OnceLink::empty(),
            used: AtomicBool::new(false),
            pass,
        }
    }

    /// Returns the entry, if the scope is known to be good at this word of the gate.
    ///
    /// The lane of the entry may end after the look. Without the look a publish to a user who has gone would try the
    /// lane first, and then look the user up: twice the cost.
    #[inline]
    pub(super) fn get(&self, word: u64) -> Option<&User<E>> {
        let is_good = |entry: &&User<E>| self.pass.is_good_at(word) && !entry.lane.is_over();
        self.entry.get().filter(is_good)
    }

    /// Notes the entry in which the scope has connected a device.
    #[inline]
    pub(super) fn know(&self, entry: &Arc<User<E>>, guard: &Guard) {
        if self.entry.get().is_none() {
            self.entry.set(Arc::clone(entry), guard);
        }
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
