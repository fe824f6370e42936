//! The events for one user or room that were dropped before they were numbered.

use std::sync::Arc;

use ahash::RandomState;

use crate::cluster::addressee::Addressee;
use crate::cluster::owed::Owed;
use crate::sync::{AtomicBool, AtomicUsize, Ordering, pin};
use crate::table::{Keyed, Table};

/// The places in which the table of links begins.
const ROOTS: usize = 256;

/// A user or a room that this node publishes to. One may have several links: each counts its own drops.
pub(super) struct Link {
    pub(super) to: Addressee,
    hash: u64,
    pub(super) owed: Owed,
    /// It was used since the driver looked last.
    is_used: AtomicBool,
}

impl Keyed for Link {
    type Key = Addressee;
    fn hash(&self) -> u64 {
        self.hash
    }
    fn key(&self) -> &Addressee {
        &self.to
    }
}

/// The links of a node to users, or those to rooms. At most `limit`, and beyond that links that are not found again.
pub(super) struct Links {
    table: Table<Link>,
    hasher: RandomState,
    count: AtomicUsize,
    limit: usize,
}

impl Links {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            table: Table::new(ROOTS),
            hasher: RandomState::new(),
            count: AtomicUsize::new(0),
            limit,
        }
    }

    /// Returns the link to a user or a room. Lock-free.
    pub(super) fn to(&self, to: Addressee) -> Arc<Link> {
        let (hash, guard) = (self.hasher.hash_one(&to), pin());
        if let Some(found) = self.table.get(hash, &to, &guard) {
            found.is_used.store(true, Ordering::Relaxed);
            return found.arc();
        }
        let link = Arc::new(Link {
            to,
            hash,
            owed: Owed::new(),
            is_used: AtomicBool::new(true),
        });
        // The place is reserved first. In the other order several threads could pass the limit.
        if self.count.fetch_add(1, Ordering::AcqRel) >= self.limit {
            self.count.fetch_sub(1, Ordering::AcqRel);
            return link;
        }
        match self.table.insert(&link, &guard) {
            Ok(()) => link,
            Err(other) => {
                self.count.fetch_sub(1, Ordering::AcqRel);
                other
            }
        }
    }

    /// Takes links out of the table that were not used since the last call, once it is half full.
    ///
    /// A scope or a queued event that holds such a link goes on with it.
    pub(super) fn tidy(&self) {
        if self.count.load(Ordering::Relaxed) * 2 < self.limit {
            return;
        }
        self.table.for_each(|link| {
            if !link.is_used.swap(false, Ordering::Relaxed) && self.table.remove(link, &pin()) {
                self.count.fetch_sub(1, Ordering::AcqRel);
            }
        });
    }
}
