//! Readers that are behind, eviction, and critical events.

use super::stand::*;
use crate::sync::{Fault, model};

/// A reader that is far behind, and has pinned nothing, while its arena is evicted.
fn behind() {
    let (l, c) = (lane(), counts());
    let mut r = l.join().unwrap();
    let mut d = vec![];
    for i in 0..5 {
        publish(&l, c, i, &mut d);
    } // 10 hot, 11 12 | 13 14
    r.read(false); // skips what is too old in the hot slot: its owner's own
    let l2 = l.clone();
    let t = spawn(move || {
        let mut d = vec![];
        publish(&l2, c, 5, &mut d);
        d
    }); // 15: evicts 11 12
    r.read(true);
    r.read(true);
    d.extend(t.join().unwrap());
    all_read(&l, &mut r);
    exact_r(&d, &r, 0);
    assert!(
        r.got.ends_with(&[(14, 4), (15, 5)]),
        "within capacity {:?}",
        r.got
    );
    clean(&l);
    drop(r.leave());
    end(l, c, 0, 0);
}

/// The same, not having begun.
fn behind_fresh() {
    let (l, c) = (lane(), counts());
    let mut r = l.join().unwrap();
    let mut d = vec![];
    for i in 0..5 {
        publish(&l, c, i, &mut d);
    }
    let l2 = l.clone();
    let t = spawn(move || {
        let mut d = vec![];
        publish(&l2, c, 5, &mut d);
        d
    });
    r.read(true);
    r.read(true);
    d.extend(t.join().unwrap());
    all_read(&l, &mut r);
    exact_r(&d, &r, 0);
    clean(&l);
    drop(r.leave());
    end(l, c, 0, 0);
}

/// A reader that has pinned an arena, and another that shares; the publisher wants an arena.
fn pinned() {
    let (l, c) = (lane(), counts());
    let (mut a, mut b) = (l.join().unwrap(), l.join().unwrap());
    let mut d = vec![];
    publish(&l, c, 0, &mut d);
    publish(&l, c, 1, &mut d);
    publish(&l, c, 2, &mut d);
    a.read(false);
    a.read(false); // pinned at 12
    for i in 3..5 {
        publish(&l, c, i, &mut d);
    } // 13 14
    let l2 = l.clone();
    let t = spawn(move || {
        let mut d = vec![];
        publish(&l2, c, 5, &mut d);
        d
    });
    a.read(false);
    d.extend(t.join().unwrap());
    b.drain();
    a.drain();
    all_read(&l, &mut b);
    all_read(&l, &mut a);
    exact_r(&d, &a, 0);
    exact_r(&d, &b, 0);
    clean(&l);
    drop(a.leave());
    drop(b.leave());
    end(l, c, 0, 0);
}

/// Two publishers at the edge of an arena, and a reader that is stopped for good somewhere.
fn move_on() {
    let (l, c) = (lane(), counts());
    let mut r = l.join().unwrap();
    let mut d = vec![];
    for i in 0..5 {
        publish(&l, c, i, &mut d);
    }
    let l2 = l.clone();
    let t = spawn(move || {
        let mut d = vec![];
        publish(&l2, c, 5, &mut d);
        d
    });
    publish(&l, c, 6, &mut d);
    d.extend(t.join().unwrap());
    assert!(l.used_arenas() <= 4, "{}", l.told());
    all_read(&l, &mut r);
    exact_r(&d, &r, 0);
    assert_eq!(r.got.len(), 2);
    clean(&l);
    drop(r.leave());
    end(l, c, 0, 0);
}

fn critical() {
    let (l, c) = (lane(), counts());
    let mut r = l.join().unwrap();
    let mut d = vec![];
    publish(&l, c, 0, &mut d); // 10
    let n = l.publish_as(Ev::new(1, c), true, false).unwrap(); // 11, critical
    d.push((n, 1));
    for i in 2..5 {
        publish(&l, c, i, &mut d);
    } // 12 | 13 14
    let l2 = l.clone();
    let t = spawn(move || {
        let mut d = vec![];
        publish(&l2, c, 5, &mut d);
        d
    });
    let mut steps = vec![];
    for _ in 0..3 {
        steps.push(r.read(false));
    }
    d.extend(t.join().unwrap());
    let last = r.drain();
    let over = steps.contains(&Step::Overrun) || last == Step::Overrun;
    assert!(
        over || r.got.contains(&(11, 1)),
        "a critical event was missed"
    );
    if !over {
        all_read(&l, &mut r);
        exact_r(&d, &r, 0);
        clean(&l);
    }
    // The host closes a connection that is overrun.
    drop(r.leave());
    end(l, c, 0, 0);
}

/// The critical event comes late, while others go by and evict.
fn late_critical() {
    let (l, c) = (lane(), counts());
    let mut r = l.join().unwrap();
    let mut d = vec![];
    publish(&l, c, 0, &mut d); // 10
    let late = l.claim(false).unwrap(); // 11
    for i in 2..5 {
        publish(&l, c, i, &mut d);
    } // 12 | 13 14
    let l2 = l.clone();
    let t = spawn(move || {
        let mut d = vec![];
        let ok = finish(&l2, late, c, 1, true, &mut d);
        (ok, d)
    });
    let l3 = l.clone();
    let u = spawn(move || {
        let mut d = vec![];
        publish(&l3, c, 5, &mut d);
        d
    });
    let mut steps = vec![];
    for _ in 0..2 {
        steps.push(r.read(false));
    }
    let (ok, more) = t.join().unwrap();
    d.extend(more);
    d.extend(u.join().unwrap());
    steps.push(r.drain());
    let over = steps.contains(&Step::Overrun);
    assert!(
        !ok || over || r.got.contains(&(11, 1)),
        "a critical event was missed"
    );
    if !over {
        all_read(&l, &mut r);
        exact_r(&d, &r, 1);
        clean(&l);
    }
    // The host closes a connection that is overrun.
    drop(r.leave());
    end(l, c, 0, 0);
}

/// Arenas of one slot, a lane of two: an event within capacity is not evicted.
fn small_arenas() {
    let (l, c) = (lane_of(2, 1), counts());
    let mut r = l.join().unwrap();
    let mut d = vec![];
    for i in 0..3 {
        publish(&l, c, i, &mut d);
    }
    r.read(false); // skips 10
    let l2 = l.clone();
    let t = spawn(move || {
        let mut d = vec![];
        publish(&l2, c, 5, &mut d);
        publish(&l2, c, 6, &mut d);
        d
    });
    r.read(false);
    r.read(false);
    d.extend(t.join().unwrap());
    all_read(&l, &mut r);
    exact_r(&d, &r, 0);
    assert!(
        r.got.ends_with(&[(13, 5), (14, 6)]),
        "within capacity {:?}",
        r.got
    );
    assert!(l.used_arenas() <= 5, "{}", l.told());
    clean(&l);
    drop(r.leave());
    end(l, c, 0, 0);
}

/// Two publishers at the edge, and a reader that has not begun.
fn edge_of_three() {
    let (l, c) = (lane(), counts());
    let mut r = l.join().unwrap();
    let mut d = vec![];
    for i in 0..5 {
        publish(&l, c, i, &mut d);
    }
    let (l2, l3) = (l.clone(), l.clone());
    let t = spawn(move || {
        let mut d = vec![];
        publish(&l2, c, 5, &mut d);
        d
    });
    let u = spawn(move || {
        let mut d = vec![];
        publish(&l3, c, 6, &mut d);
        d
    });
    r.read(false);
    d.extend(t.join().unwrap());
    d.extend(u.join().unwrap());
    all_read(&l, &mut r);
    exact_r(&d, &r, 0);
    // One before the edge, one behind it, and one for each publisher, of which the slower gives it back.
    assert!(l.used_arenas() <= 4, "{}", l.told());
    clean(&l);
    drop(r.leave());
    end(l, c, 0, 0);
}

/// An event within capacity is not evicted, though each event has an arena of its own.
fn within_capacity() {
    let (l, c) = (lane_of(4, 1), counts());
    let mut r = l.join().unwrap();
    let mut d = vec![];
    for i in 0..3 {
        publish(&l, c, i, &mut d);
    } // 10 hot | 11 | 12
    let l2 = l.clone();
    let t = spawn(move || {
        let mut d = vec![];
        publish(&l2, c, 3, &mut d);
        d
    });
    r.read(false);
    r.read(false);
    d.extend(t.join().unwrap());
    all_read(&l, &mut r);
    exact_r(&d, &r, 0);
    assert_eq!(r.missed, 0, "what is within capacity is there");
    clean(&l);
    drop(r.leave());
    end(l, c, 0, 0);
}

#[test]
fn model_behind() {
    model::sound("behind", 2, behind);
    model::twin(Fault::BaseUnrecorded, "silent loss");
    model::twin(Fault::SkipWithoutPassing, "an event is left");
}
#[test]
fn model_behind_fresh() {
    model::sound("behind fresh", 2, behind_fresh);
    model::twin(Fault::ReadUnpinned, "Concurrent write accesses");
}
#[test]
fn model_pinned() {
    model::sound("pinned", 2, pinned);
    model::twin(Fault::EvictPinned, "an event is left");
}
#[test]
fn model_move_on() {
    model::sound("move on", 2, move_on);
}
#[test]
fn model_critical() {
    model::sound("critical", 2, critical);
    model::twin(
        Fault::PinWhatever,
        "a critical event was missed | Causality violation",
    );
    model::twin(Fault::TakeThenNote, "a critical event was missed");
    model::twin(Fault::ForgetCritical, "a critical event was missed");
    model::twin(Fault::SkipCritical, "a critical event was missed");
}
#[test]
fn model_late_critical() {
    model::sound("late critical", 1, late_critical);
    model::twin(Fault::JumpOverTheUnresolved, "a critical event was missed");
}
#[test]
fn model_small_arenas() {
    model::sound("small arenas", 2, small_arenas);
}
#[test]
fn model_within_capacity() {
    model::sound("within capacity", 2, within_capacity);
    model::twin(
        Fault::EvictWithinCapacity,
        "what is within capacity is there",
    );
}
#[test]
fn model_edge_of_three() {
    model::sound("edge of three", 1, edge_of_three);
}
/// The bound at which the twin shows.
#[test]
#[ignore = "takes minutes"]
fn model_edge_of_three_at_two() {
    model::sound("edge of three", 2, edge_of_three);
    model::twin(
        Fault::GiveBackWhatWasHelped,
        "exceeded maximum number of branches",
    );
}
