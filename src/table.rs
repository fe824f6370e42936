//! The user table: a sharded hash trie without locks, which is never resized.
//!
//! The low bits of a hash choose a root, every next four bits a child. A leaf is an entry itself.
//! Insert, split and remove are one exchange of one link each. Inner nodes stay, so a thread that
//! follows links needs no retry when another thread adds or removes. Entries whose 64 bits are
//! equal share a list that is copied to be changed.

// The protocol layer uses the rest.
#[cfg_attr(
    any(not(feature = "protocol"), laneway_loom, laneway_shuttle),
    allow(dead_code)
)]
pub(crate) mod copy_on_write;
pub(crate) mod storage;
mod walk;

use std::sync::Arc;

use crate::sync::{Fault, Guard, broken};
use storage::{LeafRef, Link, Owned, View};
pub(crate) use walk::END;

/// The bits of a hash that choose a child.
const BITS: u32 = 4;
/// The children of a node.
const WAYS: usize = 1 << BITS;
/// An entry that the table can hold.
pub(crate) trait Keyed {
    type Key: ?Sized + Eq;
    fn hash(&self) -> u64;
    fn key(&self) -> &Self::Key;
}

/// The target of a link that points to no entry.
pub(crate) enum Branch<V> {
    Node([Child<V>; WAYS]),
    /// Entries with one hash.
    Collision(Vec<Child<V>>),
}

type Child<V> = Link<V, Branch<V>>;

/// Entries by key.
pub(crate) struct Table<V: Keyed> {
    roots: Box<[Child<V>]>,
    root_bits: u32,
}

impl<V: Keyed> Table<V> {
    /// Creates a table with so many roots, a power of two.
    pub(crate) fn new(shards: usize) -> Self {
        debug_assert!(shards.is_power_of_two());
        Self {
            roots: (0..shards).map(|_| Link::empty()).collect(),
            root_bits: shards.trailing_zeros(),
        }
    }

    /// Returns the root for a hash.
    fn root(&self, hash: u64) -> &Child<V> {
        &self.roots[(hash & (self.roots.len() as u64 - 1)) as usize]
    }

    /// Returns the entry with `key`, whose hash is `hash`. Wait-free: at most 16 links.
    #[inline]
    pub(crate) fn get<'g>(
        &'g self,
        hash: u64,
        key: &V::Key,
        guard: &'g Guard,
    ) -> Option<LeafRef<'g, V>> {
        self.find(hash, |leaf| leaf.key() == key, guard)
    }

    /// Returns an entry with this hash that `is_it` accepts.
    #[inline]
    pub(crate) fn find<'g>(
        &'g self,
        hash: u64,
        is_it: impl Fn(&V) -> bool,
        guard: &'g Guard,
    ) -> Option<LeafRef<'g, V>> {
        let mut link = self.root(hash);
        let mut shift = self.root_bits;
        loop {
            match link.load(guard) {
                View::Empty => return None,
                View::Leaf(leaf) => {
                    // A leaf stands as high as its hash is unique, so its hash may differ below.
                    // Only the key decides.
                    return (is_it(&leaf) || broken(Fault::AnyLeaf)).then_some(leaf);
                }
                View::Node(node) => match node.get() {
                    Branch::Node(children) => {
                        // Nodes are never removed, so the link stays valid when another thread
                        // inserts or removes.
                        link = &children[index(hash, shift)];
                        shift += BITS;
                    }
                    Branch::Collision(entries) => {
                        return leaves(entries, guard).find(|leaf| is_it(leaf));
                    }
                },
            }
        }
    }

    /// Adds `entry`. If there is an entry with its key, returns that one as the error.
    ///
    /// Lock-free: a failed exchange means that another thread has changed the link.
    pub(crate) fn insert(&self, entry: &Arc<V>, guard: &Guard) -> Result<(), Arc<V>> {
        let hash = entry.hash();
        let mut link = self.root(hash);
        let mut shift = self.root_bits;
        loop {
            let view = link.load(guard);
            let new = match view {
                View::Empty => Owned::Leaf(Arc::clone(entry)),
                View::Leaf(leaf) if leaf.key() == entry.key() => return Err(leaf.arc()),
                // Two keys with one hash cannot be told apart at any level.
                View::Leaf(leaf) if leaf.hash() == hash => Owned::Node(Box::new(
                    Branch::Collision([leaf.arc(), Arc::clone(entry)].map(child).into()),
                )),
                // Two hashes meet: the leaf moves one level down, and the next turn goes on from
                // there.
                View::Leaf(leaf) => split(leaf.hash(), shift, || Owned::Leaf(leaf.arc())),
                View::Node(node) => match node.get() {
                    Branch::Node(children) => {
                        link = &children[index(hash, shift)];
                        shift += BITS;
                        continue;
                    }
                    Branch::Collision(entries) => {
                        if let Some(same) =
                            leaves(entries, guard).find(|leaf| leaf.key() == entry.key())
                        {
                            return Err(same.arc());
                        }
                        // A list in the trie stands where a leaf would. An entry with another hash
                        // splits it like a leaf.
                        let copy = || leaves(entries, guard).map(|leaf| leaf.arc());
                        let there = copy().next().map_or(hash, |leaf| leaf.hash());
                        if there == hash {
                            let all = copy().chain([Arc::clone(entry)]).map(child).collect();
                            Owned::Node(Box::new(Branch::Collision(all)))
                        } else {
                            split(there, shift, || {
                                let all = copy().map(child).collect();
                                Owned::Node(Box::new(Branch::Collision(all)))
                            })
                        }
                    }
                },
            };
            // A split does not add the entry yet.
            let done = matches!(new, Owned::Leaf(_))
                || matches!(&new, Owned::Node(b) if matches!(**b, Branch::Collision(_)));
            // A failed exchange means that the link has changed since `view`. The next turn loads
            // it again.
            if link.compare_exchange(view, new, guard).is_ok() && done {
                return Ok(());
            }
        }
    }

    /// Removes exactly `entry`. Returns `true` to the one caller that has removed it. Lock-free.
    pub(crate) fn remove(&self, entry: &Arc<V>, guard: &Guard) -> bool {
        let hash = entry.hash();
        let mut link = self.root(hash);
        let mut shift = self.root_bits;
        loop {
            let view = link.load(guard);
            // By identity, not by key: the user may be back, with a newer entry that has the same
            // key.
            let is_it = |leaf: &LeafRef<'_, V>| {
                leaf.is(entry) || (broken(Fault::RemoveByKey) && leaf.key() == entry.key())
            };
            let new = match view {
                View::Leaf(leaf) if is_it(&leaf) => Owned::Empty,
                // Another thread has removed the entry, or the entry that stands here is a
                // different one.
                View::Empty | View::Leaf(_) => return false,
                View::Node(node) => match node.get() {
                    Branch::Node(children) => {
                        link = &children[index(hash, shift)];
                        shift += BITS;
                        continue;
                    }
                    Branch::Collision(entries) => {
                        let mut rest: Vec<_> = leaves(entries, guard)
                            .filter(|leaf| !is_it(leaf))
                            .map(|leaf| leaf.arc())
                            .collect();
                        if rest.len() == entries.len() {
                            return false;
                        }
                        // A list of one becomes a leaf again, so that lookups compare one key.
                        match (rest.pop(), rest.is_empty()) {
                            (None, _) => Owned::Empty,
                            (Some(last), true) => Owned::Leaf(last),
                            (Some(last), false) => {
                                rest.push(last);
                                let rest = rest.into_iter().map(child).collect();
                                Owned::Node(Box::new(Branch::Collision(rest)))
                            }
                        }
                    }
                },
            };
            // Only the thread whose exchange succeeds has removed the entry.
            if link.compare_exchange(view, new, guard).is_ok() {
                return true;
            }
        }
    }
}

/// Returns the child for a hash at a level.
fn index(hash: u64, shift: u32) -> usize {
    // Two different hashes differ within 64 bits, so no node stands at a deeper level.
    (hash >> shift) as usize % WAYS
}

/// Returns a link to an entry.
fn child<V>(entry: Arc<V>) -> Child<V> {
    Link::new(Owned::Leaf(entry))
}

/// Returns a node with one child, which takes that child's place.
fn split<V>(
    hash: u64,
    shift: u32,
    content: impl FnOnce() -> Owned<V, Branch<V>>,
) -> Owned<V, Branch<V>> {
    let mut children = std::array::from_fn(|_| Link::empty());
    if !broken(Fault::SplitForgetsLeaf) {
        // The new node comes with the old child inside, in one exchange. In two steps a lookup in
        // between would not find an entry that is there.
        children[index(hash, shift)] = Link::new(content());
    }
    Owned::Node(Box::new(Branch::Node(children)))
}

/// Returns the entries of a list.
fn leaves<'g, V>(
    entries: &'g [Child<V>],
    guard: &'g Guard,
) -> impl Iterator<Item = LeafRef<'g, V>> {
    entries
        .iter()
        .filter_map(move |link| match link.load(guard) {
            View::Leaf(leaf) => Some(leaf),
            _ => None,
        })
}

#[cfg(all(test, laneway_loom))]
mod models;
#[cfg(all(test, not(any(laneway_loom, laneway_shuttle))))]
mod tests;
