//! Any sequence of inserts, lookups and removes with hashes of the input's choice, against a map.
#![no_main]

use std::collections::BTreeMap;
use std::sync::Arc;

use arbitrary::Arbitrary;
use laneway::internals::{Entry, Table};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Script {
    /// Keys share as many low bits of their hashes as this asks for.
    shared_bits: u8,
    roots: u8,
    steps: Vec<(Step, u8)>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Step {
    Insert,
    Get,
    Remove,
    /// An entry that was taken out before, or one that is not in the table any more.
    RemoveAgain,
}

fuzz_target!(|script: Script| {
    let table = Table::new(1 << (script.roots % 4));
    let shared = u32::from(script.shared_bits % 65);
    let hash = |key: u8| match shared {
        64 => 7,
        bits => 7 | u64::from(key).wrapping_mul(0x9E37_79B9_7F4A_7C15) << bits,
    };
    let mut model: BTreeMap<u8, Arc<Entry>> = BTreeMap::new();
    let mut gone: BTreeMap<u8, Arc<Entry>> = BTreeMap::new();
    for (step, key) in script.steps.into_iter().take(300) {
        match step {
            Step::Insert => {
                let (new, there) = table.insert(hash(key), key.into());
                assert_eq!(new, !model.contains_key(&key));
                let known = model.entry(key).or_insert_with(|| Arc::clone(&there));
                assert!(Arc::ptr_eq(known, &there));
            }
            Step::Get => {
                let found = table.get(hash(key), key.into());
                assert_eq!(found.is_some(), model.contains_key(&key));
                assert!(found.is_none_or(|entry| Arc::ptr_eq(&entry, &model[&key])));
            }
            Step::Remove => {
                if let Some(entry) = model.remove(&key) {
                    assert!(table.remove(&entry));
                    gone.insert(key, entry);
                }
            }
            Step::RemoveAgain => {
                // Its key may be there again, in another entry, which has to stay.
                assert!(gone.get(&key).is_none_or(|entry| !table.remove(entry)));
            }
        }
        let mut keys = table.keys();
        keys.sort_unstable();
        let expected: Vec<_> = model.keys().map(|key| u64::from(*key)).collect();
        assert_eq!(keys, expected);
    }
    for entry in model.values() {
        assert!(table.remove(entry));
    }
    assert_eq!(table.keys(), Vec::<u64>::new());
});
