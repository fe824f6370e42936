//! Events that supersede others, and barriers.

use super::stand::*;
use crate::sync::{Fault, model};

/// Every number was received, or stepped over as superseded.
fn accounted(l: &L, r: &Reader) {
    assert_eq!(r.cursor, l.clock(), "stuck: {}", l.told());
    assert!(r.got.windows(2).all(|w| w[0].0 < w[1].0), "order");
    assert_eq!(r.missed, 0);
    let told = r.got.len() as u64 + r.stepped();
    assert_eq!(r.cursor - r.joined, told, "accounting");
}

/// A reader comes to an event while the next one of its key is published.
fn supersede_and_receive() {
    let (l, c) = (conflating_lane(), counts());
    let mut r = l.join().unwrap();
    let first = l.publish_latest(Ev::new(1, c));
    let l2 = l.clone();
    let t = spawn(move || l2.publish_latest(Ev::new(2, c)));
    r.read(false);
    let second = t.join().unwrap();
    all_read(&l, &mut r);
    assert!(first < second);
    assert_eq!(r.ids().last(), Some(&2), "the newest is lost");
    accounted(&l, &r);
    clean(&l);
    drop(r.leave());
    end(l, c, 0, 0);
}

/// Two publish one key at once, for the first time. A reader that comes later receives the newest.
fn two_of_a_key() {
    let (l, c) = (conflating_lane(), counts());
    let mut r = l.join().unwrap();
    let l2 = l.clone();
    let t = spawn(move || l2.publish_latest(Ev::new(1, c)));
    let mine = l.publish_latest(Ev::new(2, c));
    let theirs = t.join().unwrap();
    all_read(&l, &mut r);
    let newest = if mine > theirs { 2 } else { 1 };
    assert_eq!(r.ids(), [newest], "only the newest");
    accounted(&l, &r);
    clean(&l);
    drop(r.leave());
    end(l, c, 0, 0);
}

/// A barrier and the next event of a key come at once.
fn barrier_between() {
    let (l, c) = (conflating_lane(), counts());
    let mut r = l.join().unwrap();
    l.publish_latest(Ev::new(1, c));
    let l2 = l.clone();
    let t = spawn(move || l2.publish_barrier(Ev::new(2, c)));
    let third = l.publish_latest(Ev::new(3, c));
    let barrier = t.join().unwrap();
    all_read(&l, &mut r);
    let ids = r.ids();
    assert!(
        third < barrier || ids.contains(&1),
        "superseded over a barrier: {ids:?}"
    );
    assert!(ids.contains(&2) && ids.contains(&3));
    accounted(&l, &r);
    // What follows has no thread beside it.
    l.publish_latest(Ev::new(4, c));
    l.publish_latest(Ev::new(5, c));
    r.got.clear();
    all_read(&l, &mut r);
    assert_eq!(r.ids(), [5], "it conflates again");
    clean(&l);
    drop(r.leave());
    end(l, c, 0, 0);
}

#[test]
fn model_supersede_and_receive() {
    model::sound("supersede and receive", 3, supersede_and_receive);
    model::twin(Fault::SupersedeTheNewest, "the newest is lost");
}
#[test]
fn model_two_of_a_key() {
    model::sound("two of a key", 2, two_of_a_key);
    model::twin(Fault::SupersedeByStore, "only the newest");
}
#[test]
fn model_barrier_between() {
    model::sound("barrier between", 3, barrier_between);
    model::twin(Fault::BarrierUnannounced, "superseded over a barrier");
    model::twin(Fault::OverlookTheBarrier, "superseded over a barrier");
}
