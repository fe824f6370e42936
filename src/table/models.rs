//! loom models of the table, each with a broken twin.

use std::sync::Arc;

use super::{Keyed, Table};
use crate::sync::{AtomicU64, Fault, Ordering, collect, model, pin};

struct Entry {
    key: u64,
    hash: u64,
    alive: AtomicU64,
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

impl Drop for Entry {
    fn drop(&mut self) {
        self.alive.store(0, Ordering::Relaxed);
    }
}

fn entry(key: u64, hash: u64) -> Arc<Entry> {
    Arc::new(Entry {
        key,
        hash,
        alive: AtomicU64::new(1),
    })
}

fn has(table: &Table<Entry>, key: u64, hash: u64) -> bool {
    table.get(hash, &key, &pin()).is_some()
}

fn inserts_meet_at_a_split() {
    let table = Arc::new(Table::new(1));
    assert!(table.insert(&entry(1, 0x01), &pin()).is_ok());
    let other = Arc::clone(&table);
    let t = loom::thread::spawn(move || other.insert(&entry(2, 0x02), &pin()).is_ok());
    assert!(table.insert(&entry(3, 0x13), &pin()).is_ok());
    assert!(t.join().unwrap());
    for (key, hash) in [(1, 0x01), (2, 0x02), (3, 0x13)] {
        assert!(has(&table, key, hash), "entry {key} is found");
    }
}

fn remove_meets_a_newer_insert() {
    let table = Arc::new(Table::new(1));
    let old = entry(1, 0);
    assert!(table.insert(&old, &pin()).is_ok());
    let (other, same) = (Arc::clone(&table), Arc::clone(&old));
    // Both try to take the closed entry out; the first one then puts a new one in its place.
    let t = loom::thread::spawn(move || other.remove(&same, &pin()));
    let mine = table.remove(&old, &pin());
    assert!(table.insert(&entry(1, 0), &pin()).is_ok() || !mine);
    let theirs = t.join().unwrap();
    assert!(mine != theirs, "exactly one has removed it");
    assert!(has(&table, 1, 0) || !mine, "the newer entry stays");
}

fn lookup_meets_remove() {
    let table = Arc::new(Table::new(1));
    let old = entry(1, 0);
    assert!(table.insert(&old, &pin()).is_ok());
    let other = Arc::clone(&table);
    let t = loom::thread::spawn(move || {
        other.remove(&old, &pin());
        drop(old);
        collect();
    });
    let guard = pin();
    if let Some(found) = table.get(0, &1, &guard) {
        loom::thread::yield_now();
        assert_eq!(
            found.alive.load(Ordering::Relaxed),
            1,
            "alive while the guard is"
        );
    }
    drop(guard);
    t.join().unwrap();
}

/// An entry moves down a level while it is removed and another is looked up.
fn split_while_removing() {
    let table = Arc::new(Table::new(1));
    let old = entry(1, 0x01);
    assert!(table.insert(&old, &pin()).is_ok());
    let (a, b) = (Arc::clone(&table), Arc::clone(&table));
    let t = loom::thread::spawn(move || a.insert(&entry(2, 0x02), &pin()).is_ok());
    let u = loom::thread::spawn(move || b.remove(&old, &pin()));
    let _ = has(&table, 2, 0x02);
    assert!(t.join().unwrap());
    assert!(u.join().unwrap(), "what is there can be removed");
    assert!(has(&table, 2, 0x02) && !has(&table, 1, 0x01));
}

/// A walk comes to each entry that is there all the time once, though a split moves it down a level.
fn walk_meets_a_split() {
    let table = Arc::new(Table::new(1));
    for (key, hash) in [(1, 0x01), (3, 0x03)] {
        assert!(table.insert(&entry(key, hash), &pin()).is_ok());
    }
    let other = Arc::clone(&table);
    let t = loom::thread::spawn(move || other.insert(&entry(2, 0x11), &pin()).is_ok());
    let mut seen = Vec::new();
    table.for_each(|entry| {
        seen.push(entry.key);
        assert!(seen.len() < 4, "each entry once");
    });
    assert!(t.join().unwrap());
    let times = |key| seen.iter().filter(|seen| **seen == key).count();
    assert_eq!((times(1), times(3)), (1, 1), "each entry once");
    assert!(times(2) < 2, "each entry once");
}

#[test]
fn walk_against_insert_at_a_split() {
    model::sound("walk, insert", 3, walk_meets_a_split);
    model::twin(Fault::WalkByLeaves, "each entry once");
}
#[test]
fn remove_against_insert_and_lookup_at_a_split() {
    // Three threads on the real collector have too many interleavings for two preemptions.
    let bound = if cfg!(crossbeam_loom) { 1 } else { 2 };
    model::sound("remove, insert, lookup", bound, split_while_removing);
    model::twin(Fault::SplitForgetsLeaf, "what is there can be removed");
}
#[test]
fn insert_against_insert_at_a_split() {
    model::sound("insert, insert", 3, inserts_meet_at_a_split);
    model::twin(Fault::SplitForgetsLeaf, "entry 1 is found");
}
#[test]
fn remove_against_insert() {
    model::sound("remove, insert", 3, remove_meets_a_newer_insert);
    model::twin(Fault::RemoveByKey, "exactly one has removed it");
}
#[test]
fn lookup_against_remove() {
    model::sound("lookup, remove", 3, lookup_meets_remove);
    model::twin(Fault::FreeAtOnce, "alive while the guard is");
}
