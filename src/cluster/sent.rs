//! The subscriptions that were handed to the connection to the broker.

use std::fmt;
use std::sync::Arc;

use ahash::RandomState;

use crate::sync::{AtomicBool, Ordering, pin};
use crate::table::{Keyed, Table};

/// The places in which the table begins.
const ROOTS: usize = 256;

/// The subscriptions of a relay, by their subjects.
pub(super) struct Sent {
    table: Table<Entry>,
    hasher: RandomState,
}

/// One subscription.
struct Entry {
    subject: Box<str>,
    hash: u64,
    /// What the relay sends from now on comes to the broker behind it.
    is_sent: AtomicBool,
}

impl Keyed for Entry {
    type Key = str;
    fn hash(&self) -> u64 {
        self.hash
    }
    fn key(&self) -> &str {
        &self.subject
    }
}

/// A place in [`Sent`], which is given up when it is dropped.
pub(super) struct Place {
    sent: Arc<Sent>,
    entry: Arc<Entry>,
}

impl Sent {
    pub(super) fn new() -> Self {
        Self {
            table: Table::new(ROOTS),
            hasher: RandomState::new(),
        }
    }

    /// Enters a subscription that is not sent yet. Takes the place of an earlier one to the subject.
    pub(super) fn enter(self: &Arc<Self>, subject: &str) -> Place {
        let entry = Arc::new(Entry {
            subject: subject.into(),
            hash: self.hasher.hash_one(subject),
            is_sent: AtomicBool::new(false),
        });
        let guard = pin();
        while let Err(earlier) = self.table.insert(&entry, &guard) {
            self.table.remove(&earlier, &guard);
        }
        Place {
            sent: Arc::clone(self),
            entry,
        }
    }

    /// Returns whether there is a subscription to the subject, and it was sent.
    pub(super) fn has(&self, subject: &str) -> bool {
        let guard = pin();
        let found = self
            .table
            .get(self.hasher.hash_one(subject), subject, &guard);
        // Acquire: pairs with `note`.
        found.is_some_and(|entry| entry.is_sent.load(Ordering::Acquire))
    }
}

impl Place {
    /// Returns the closure that notes that the subscription was sent.
    pub(super) fn note(&self) -> impl FnOnce() + Send + 'static {
        let entry = Arc::clone(&self.entry);
        // Release: a thread that sees the mark sends behind the subscription.
        move || entry.is_sent.store(true, Ordering::Release)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.sent.table.remove(&self.entry, &pin());
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Place").field(&self.entry.subject).finish()
    }
}
