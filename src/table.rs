//! The user table: a sharded hash trie without locks that never resizes.
//!
//! The low bits of a hash choose a root slot, every next four bits a child. Leaves are the entries
//! themselves. Insert, split and remove are one exchange on one link each; inner nodes stay.
//! Entries whose 64 bits collide share a copy-on-write list.

// The protocol layer uses the rest.
#[cfg_attr(
    any(not(feature = "protocol"), laneway_loom, laneway_shuttle),
    allow(dead_code)
)]
pub(crate) mod copy_on_write;
pub(crate) mod storage;

use std::sync::Arc;

use crate::sync::{Fault, Guard, broken, pin};
use storage::{LeafRef, Link, Owned, View};

const BITS: u32 = 4;
const WAYS: usize = 1 << BITS;
/// A walk looks at so many entries at once.
const BATCH: usize = if cfg!(laneway_loom) { 1 } else { 64 };

/// What the table can hold.
pub(crate) trait Keyed {
    type Key: ?Sized + Eq;
    fn hash(&self) -> u64;
    fn key(&self) -> &Self::Key;
}

/// What stands below a link that is no leaf.
pub(crate) enum Branch<V> {
    Node([Child<V>; WAYS]),
    /// Entries of one and the same hash.
    Collision(Vec<Child<V>>),
}

type Child<V> = Link<V, Branch<V>>;

/// Entries by key.
pub(crate) struct Table<V: Keyed> {
    roots: Box<[Child<V>]>,
    root_bits: u32,
}

impl<V: Keyed> Table<V> {
    /// `shards` is a power of two.
    pub(crate) fn new(shards: usize) -> Self {
        debug_assert!(shards.is_power_of_two());
        Self {
            roots: (0..shards).map(|_| Link::empty()).collect(),
            root_bits: shards.trailing_zeros(),
        }
    }

    fn root(&self, hash: u64) -> &Child<V> {
        &self.roots[(hash & (self.roots.len() as u64 - 1)) as usize]
    }

    /// The entry with `key`, whose hash is `hash`.
    #[inline]
    pub(crate) fn get<'g>(
        &'g self,
        hash: u64,
        key: &V::Key,
        guard: &'g Guard,
    ) -> Option<LeafRef<'g, V>> {
        self.find(hash, |leaf| leaf.key() == key, guard)
    }

    /// An entry that `is_it`, looked for where the entries with this hash are.
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
                    return (is_it(&leaf) || broken(Fault::AnyLeaf)).then_some(leaf);
                }
                View::Node(node) => match node.get() {
                    Branch::Node(children) => {
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

    /// Adds `entry`, unless its key is there: then gives what is there.
    pub(crate) fn insert(&self, entry: &Arc<V>, guard: &Guard) -> Result<(), Arc<V>> {
        let hash = entry.hash();
        let mut link = self.root(hash);
        let mut shift = self.root_bits;
        loop {
            let view = link.load(guard);
            let new = match view {
                View::Empty => Owned::Leaf(Arc::clone(entry)),
                View::Leaf(leaf) if leaf.key() == entry.key() => return Err(leaf.arc()),
                View::Leaf(leaf) if leaf.hash() == hash => Owned::Node(Box::new(
                    Branch::Collision([leaf.arc(), Arc::clone(entry)].map(child).into()),
                )),
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
            let done = matches!(new, Owned::Leaf(_))
                || matches!(&new, Owned::Node(b) if matches!(**b, Branch::Collision(_)));
            if link.compare_exchange(view, new, guard).is_ok() && done {
                return Ok(());
            }
        }
    }

    /// Removes exactly `entry`; `true` for the one caller that did.
    pub(crate) fn remove(&self, entry: &Arc<V>, guard: &Guard) -> bool {
        let hash = entry.hash();
        let mut link = self.root(hash);
        let mut shift = self.root_bits;
        loop {
            let view = link.load(guard);
            let is_it = |leaf: &LeafRef<'_, V>| {
                leaf.is(entry) || (broken(Fault::RemoveByKey) && leaf.key() == entry.key())
            };
            let new = match view {
                View::Leaf(leaf) if is_it(&leaf) => Owned::Empty,
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
            if link.compare_exchange(view, new, guard).is_ok() {
                return true;
            }
        }
    }

    /// Calls `f` for every entry, for each that is there all the time exactly once. No guard is held
    /// meanwhile, so an `f` that hangs keeps at most a batch of entries from being freed.
    pub(crate) fn for_each(&self, mut f: impl FnMut(&Arc<V>)) {
        let mut batch = Vec::new();
        for root in self.roots.iter().filter(|root| !root.is_empty()) {
            let mut after = None;
            loop {
                self.collect(root, self.root_bits, after, &pin(), &mut batch);
                let is_full = batch.len() >= BATCH;
                after = batch.last().map(|last| last.hash());
                batch.drain(..).for_each(|entry| f(&entry));
                if !is_full {
                    break;
                }
            }
        }
    }

    /// Adds the entries below `link` that come after those with the hash `after`, in the order of their
    /// hashes' digits, until there are [`BATCH`] of them; entries of one hash together.
    ///
    /// An entry that moves down a level when its leaf is split keeps its place in that order.
    fn collect(
        &self,
        link: &Child<V>,
        shift: u32,
        after: Option<u64>,
        guard: &Guard,
        batch: &mut Vec<Arc<V>>,
    ) {
        let is_next = |hash| after.is_none_or(|after| self.comes_after(hash, after));
        match link.load(guard) {
            View::Empty => {}
            View::Leaf(leaf) => batch.extend(is_next(leaf.hash()).then(|| leaf.arc())),
            View::Node(node) => match node.get() {
                Branch::Node(children) => {
                    let first = after.map_or(0, |after| index(after, shift));
                    for (i, child) in children.iter().enumerate().skip(first) {
                        if batch.len() >= BATCH {
                            return;
                        }
                        let after = after.filter(|_| i == first);
                        self.collect(child, shift + BITS, after, guard, batch);
                    }
                }
                Branch::Collision(entries) => {
                    let entries = leaves(entries, guard).filter(|leaf| is_next(leaf.hash()));
                    batch.extend(entries.map(|leaf| leaf.arc()));
                }
            },
        }
    }

    /// The order of a walk below one root: by the digits that choose children, the highest level first.
    fn comes_after(&self, hash: u64, other: u64) -> bool {
        if broken(Fault::WalkByLeaves) {
            return true;
        }
        let digits = |hash| {
            (self.root_bits..64)
                .step_by(BITS as usize)
                .map(move |at| index(hash, at))
        };
        digits(hash).gt(digits(other))
    }
}

fn index(hash: u64, shift: u32) -> usize {
    // Two hashes that differ do so within 64 bits, so no node stands deeper than that.
    (hash >> shift) as usize % WAYS
}

fn child<V>(entry: Arc<V>) -> Child<V> {
    Link::new(Owned::Leaf(entry))
}

/// A node with one child, which takes the place of that child.
fn split<V>(
    hash: u64,
    shift: u32,
    content: impl FnOnce() -> Owned<V, Branch<V>>,
) -> Owned<V, Branch<V>> {
    let mut children = std::array::from_fn(|_| Link::empty());
    if !broken(Fault::SplitForgetsLeaf) {
        children[index(hash, shift)] = Link::new(content());
    }
    Owned::Node(Box::new(Branch::Node(children)))
}

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
