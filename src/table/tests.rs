//! The table, with entries that are gone or in each other's place.

use std::sync::Arc;

use super::storage::{Link, Owned};
use super::{Keyed, Table};
use crate::sync::pin;

struct Entry(u64);

impl Keyed for Entry {
    type Key = u64;
    fn hash(&self) -> u64 {
        // All of them collide.
        7
    }
    fn key(&self) -> &u64 {
        &self.0
    }
}

#[test]
fn a_removal_takes_out_its_own_entry_only() {
    for others in 0..3 {
        let table = Table::new(1);
        for key in 1..=others {
            assert!(table.insert(&Arc::new(Entry(key)), &pin()).is_ok());
        }
        let (old, new) = (Arc::new(Entry(0)), Arc::new(Entry(0)));
        assert!(table.insert(&old, &pin()).is_ok());
        assert!(table.remove(&old, &pin()));
        assert!(table.insert(&new, &pin()).is_ok());
        assert!(
            !table.remove(&old, &pin()),
            "the new one is not the old one"
        );
        assert!(table.get(7, &0, &pin()).is_some_and(|found| found.is(&new)));
        assert!(table.remove(&new, &pin()) && !table.remove(&new, &pin()));
        assert!(table.get(7, &0, &pin()).is_none());
        let there = |key| table.get(7, &key, &pin()).is_some();
        assert!((1..=others).all(there), "the others stay");
    }
}

#[test]
fn a_key_is_there_once() {
    for others in 0..3 {
        let table = Table::new(1);
        for key in 1..=others {
            assert!(table.insert(&Arc::new(Entry(key)), &pin()).is_ok());
        }
        let first = Arc::new(Entry(0));
        assert!(table.insert(&first, &pin()).is_ok());
        let there = table.insert(&Arc::new(Entry(0)), &pin());
        assert!(there.is_err_and(|there| Arc::ptr_eq(&there, &first)));
        let there = |key| table.get(7, &key, &pin()).is_some();
        assert!((0..=others).all(there));
        assert!(table.remove(&first, &pin()) && !there(0));
    }
}

/// An entry with any hash.
struct At(u64, u64);

impl Keyed for At {
    type Key = u64;
    fn hash(&self) -> u64 {
        self.1
    }
    fn key(&self) -> &u64 {
        &self.0
    }
}

#[test]
fn a_walk_comes_to_each_entry_once_whatever_the_hashes_and_whatever_it_changes() {
    for roots in [1, 2, 8] {
        // Far more than a batch in one root; some that share all but their last digits; some that collide.
        let hashes = (0..500_u64).map(|n| match n % 4 {
            0 => n.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            1 => n << 54,
            2 => n,
            _ => 7,
        });
        let entries: Vec<_> = (0..)
            .zip(hashes)
            .map(|(key, hash)| Arc::new(At(key, hash)))
            .collect();
        let table = Table::new(roots);
        for entry in &entries {
            assert!(table.insert(entry, &pin()).is_ok());
        }
        let mut seen = Vec::new();
        table.for_each(|entry| seen.push(entry.0));
        seen.sort_unstable();
        assert!(seen.iter().copied().eq(0..500));
        // Each entry takes itself out, and puts another one in at some other place.
        let mut seen = Vec::new();
        table.for_each(|entry| {
            assert!(table.remove(entry, &pin()) || entry.0 >= 500);
            let other = At(entry.0 + 500, entry.1 ^ 0x1010);
            if entry.0 < 500 {
                seen.push(entry.0);
                assert!(table.insert(&Arc::new(other), &pin()).is_ok());
            }
        });
        seen.sort_unstable();
        assert!(seen.iter().copied().eq(0..500));
    }
}

/// Gives the collector occasion to free what it may: not while another test holds a guard.
#[allow(clippy::disallowed_methods)] // A test may wait.
fn collect(entry: &Arc<Entry>) {
    for _ in 0..10_000 {
        pin().flush();
        if Arc::strong_count(entry) == 1 {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    panic!("never freed");
}

#[test]
fn what_a_link_gives_up_is_freed() {
    let entry = Arc::new(Entry(0));
    let link = Link::<Entry, u64>::new(Owned::Leaf(Arc::clone(&entry)));
    link.replace(Owned::Node(Box::new(1)), &pin());
    collect(&entry);
    link.replace(Owned::Leaf(Arc::clone(&entry)), &pin());
    let view = pin();
    let current = link.load(&view);
    assert!(link.compare_exchange(current, Owned::Empty, &view).is_ok());
    drop(view);
    collect(&entry);
    let failing = pin();
    let stale = link.load(&failing);
    link.replace(Owned::Node(Box::new(2)), &failing);
    let back = link.compare_exchange(stale, Owned::Leaf(Arc::clone(&entry)), &failing);
    assert!(matches!(back, Err(Owned::Leaf(_))), "comes back");
    drop((back, failing));
    assert_eq!(Arc::strong_count(&entry), 1);
    drop(Link::<Entry, u64>::new(Owned::Leaf(Arc::clone(&entry))));
    assert_eq!(Arc::strong_count(&entry), 1, "goes with its link");
}

#[test]
fn entries_go_with_their_table() {
    let entries: Vec<_> = (0..3).map(|key| Arc::new(Entry(key))).collect();
    let table = Table::new(1);
    for entry in &entries {
        assert!(table.insert(entry, &pin()).is_ok());
    }
    drop(table);
    entries.iter().for_each(collect);
}
