//! Inner parts for the fuzz targets. Hosts do not see them.

use std::sync::Arc;

use crate::sync::pin;
use crate::table::{Keyed, Table as Inner};

/// An entry with a hash of one's own choice.
#[derive(Debug)]
pub struct Entry {
    hash: u64,
    key: u64,
}

impl Keyed for Entry {
    type Key = u64;
    fn hash(&self) -> u64 {
        self.hash
    }
    fn key(&self) -> &u64 {
        &self.key
    }
}

/// The user table, with a hasher as bad as one likes.
#[allow(missing_debug_implementations)] // For fuzzing only.
pub struct Table(Inner<Entry>);

impl Table {
    /// With so many roots, a power of two.
    #[must_use]
    pub fn new(roots: usize) -> Self {
        Self(Inner::new(roots))
    }

    /// Whether the key is new. Gives the entry that is there afterwards.
    pub fn insert(&self, hash: u64, key: u64) -> (bool, Arc<Entry>) {
        let entry = Arc::new(Entry { hash, key });
        match self.0.insert(&entry, &pin()) {
            Ok(()) => (true, entry),
            Err(there) => (false, there),
        }
    }

    /// The entry with this key.
    #[must_use]
    pub fn get(&self, hash: u64, key: u64) -> Option<Arc<Entry>> {
        self.0.get(hash, &key, &pin()).map(|leaf| leaf.arc())
    }

    /// Takes exactly this entry out.
    pub fn remove(&self, entry: &Arc<Entry>) -> bool {
        self.0.remove(entry, &pin())
    }

    /// All keys, in no order.
    #[must_use]
    pub fn keys(&self) -> Vec<u64> {
        let mut keys = Vec::new();
        self.0.for_each(|entry| keys.push(entry.key));
        keys
    }
}
