//! Publishers that come late, or never.

use super::stand::*;
use crate::sync::{Fault, model};

/// The publisher of a hot number is late; the reader goes on without it.
fn late_hot() {
    let (l, c) = (lane(), counts());
    let mut r = l.join().unwrap();
    let late = l.claim(false).unwrap();
    let mut d = vec![];
    publish(&l, c, 2, &mut d);
    let l2 = l.clone();
    let t = spawn(move || {
        let mut d = vec![];
        finish(&l2, late, c, 1, false, &mut d);
        d
    });
    r.drain();
    publish(&l, c, 3, &mut d);
    r.drain();
    publish(&l, c, 4, &mut d);
    d.extend(t.join().unwrap());
    all_read(&l, &mut r);
    exact_r(&d, &r, 0);
    clean(&l);
    drop(r.leave());
    end(l, c, 0, 0);
}

/// The same in an arena, with bursts that begin anew.
fn late_arena() {
    let (l, c) = (lane(), counts());
    let mut r = l.join().unwrap();
    let mut d = vec![];
    publish(&l, c, 1, &mut d);
    let late = l.claim(false).unwrap();
    assert!(l.is_burst());
    publish(&l, c, 2, &mut d);
    let l2 = l.clone();
    let t = spawn(move || {
        let mut d = vec![];
        finish(&l2, late, c, 3, false, &mut d);
        d
    });
    r.drain(); // voids, and goes back to hot
    publish(&l, c, 4, &mut d);
    publish(&l, c, 5, &mut d); // a burst
    d.extend(t.join().unwrap());
    all_read(&l, &mut r);
    exact_r(&d, &r, 0);
    clean(&l);
    drop(r.leave());
    end(l, c, 0, 0);
}

/// Publishers that are stopped for good, one in the hot slot and one in an arena, and one that has written.
fn frozen() {
    let (l, c) = (lane(), counts());
    let mut r = l.join().unwrap();
    let h = l.claim(false).unwrap();
    half(&h, c);
    let a = l.claim(false).unwrap();
    half(&a, c);
    let l2 = l.clone();
    let t = spawn(move || {
        let mut d = vec![];
        publish(&l2, c, 1, &mut d);
        d
    });
    for _ in 0..2 {
        r.read(false);
    }
    let d = t.join().unwrap();
    all_read(&l, &mut r);
    exact_r(&d, &r, 0);
    let mut d2 = d.clone();
    for i in 5..12 {
        publish(&l, c, i, &mut d2);
        all_read(&l, &mut r);
    }
    exact_r(&d2, &r, 0);
    assert_eq!(r.missed, 0);
    assert!(l.used_arenas() <= 4, "{}", l.told());
    clean(&l);
    drop(r.leave());
    end(l, c, 2, 0);
}

/// A late publisher in an arena that is used again while a burst goes on.
fn late_reuse() {
    let (l, c) = (lane(), counts());
    let mut r = l.join().unwrap();
    let mut d = vec![];
    publish(&l, c, 1, &mut d); // 10 hot
    r.drain();
    let h = l.claim(false).unwrap(); // 11 hot, frozen: the burst does not end
    let late = l.claim(false).unwrap(); // 12
    publish(&l, c, 2, &mut d); // 13
    publish(&l, c, 3, &mut d); // 14: moved on
    publish(&l, c, 4, &mut d); // 15
    let l2 = l.clone();
    let t = spawn(move || {
        let mut d = vec![];
        finish(&l2, late, c, 9, false, &mut d);
        d
    });
    r.drain();
    publish(&l, c, 5, &mut d); // 16: moves on, and may use the first again
    publish(&l, c, 6, &mut d);
    d.extend(t.join().unwrap());
    all_read(&l, &mut r);
    exact_r(&d, &r, 0);
    clean(&l);
    drop(r.leave());
    let _ = h;
    end(l, c, 0, 0);
}

/// A late publisher beyond capacity: evicted and voided.
fn late_evicted() {
    let (l, c) = (lane(), counts());
    let mut r = l.join().unwrap();
    let mut d = vec![];
    publish(&l, c, 0, &mut d); // 10
    let late = l.claim(false).unwrap(); // 11
    for i in 2..5 {
        publish(&l, c, i, &mut d);
    } // 12 13 14
    let l2 = l.clone();
    let t = spawn(move || {
        let mut d = vec![];
        finish(&l2, late, c, 9, false, &mut d);
        d
    });
    publish(&l, c, 5, &mut d); // 15
    r.read(false);
    publish(&l, c, 6, &mut d);
    publish(&l, c, 7, &mut d);
    d.extend(t.join().unwrap());
    all_read(&l, &mut r);
    exact_r(&d, &r, 1);
    clean(&l);
    drop(r.leave());
    end(l, c, 0, 0);
}

/// A void number that is gone is no loss.
fn void_is_no_loss() {
    let (l, c) = (lane(), counts());
    let (mut a, mut b) = (l.join().unwrap(), l.join().unwrap());
    let mut d = vec![];
    publish(&l, c, 0, &mut d); // 10 hot
    let late = l.claim(true).unwrap(); // 11
    a.read(false);
    b.read(false);
    let late2 = l.claim(true).unwrap(); // 12
    let try_ = |d: &mut Done, i| match l.publish_as(Ev::new(i, c), false, true) {
        Ok(n) => {
            d.push((n, i));
            true
        }
        Err(_) => false,
    };
    let l2 = l.clone();
    let t = spawn(move || {
        let mut d = vec![];
        finish(&l2, late, c, 8, false, &mut d);
        finish(&l2, late2, c, 9, false, &mut d);
        d
    });
    a.read(false); // voids, if late
    for i in 1..4 {
        try_(&mut d, i);
        a.drain();
    }
    d.extend(t.join().unwrap());
    for i in 4..7 {
        try_(&mut d, i);
        a.drain();
    }
    all_read(&l, &mut b);
    all_read(&l, &mut a);
    exact_r(&d, &a, 0);
    exact_r(&d, &b, 0);
    assert_eq!(
        (a.missed, b.missed),
        (0, 0),
        "nothing is lost where all publishers only try: {d:?} a {:?} {} b {:?} {}",
        a.got,
        a.cursor,
        b.got,
        b.cursor
    );
    clean(&l);
    drop(a.leave());
    drop(b.leave());
    end(l, c, 0, 0);
}

/// A device stands before a void whose arena is used again meanwhile: no loss.
fn small_void_is_no_loss() {
    let (l, c) = (lane_of(2, 1), counts());
    let (mut a, mut b) = (l.join().unwrap(), l.join().unwrap());
    let mut d = vec![];
    let try_ = |d: &mut Done, i| match l.publish_as(Ev::new(i, c), false, true) {
        Ok(n) => {
            d.push((n, i));
            true
        }
        Err(_) => false,
    };
    try_(&mut d, 0); // 10 hot
    let late = l.claim(true).unwrap(); // 11
    a.read(false);
    b.read(false);
    try_(&mut d, 1); // 12
    let l2 = l.clone();
    let t = spawn(move || {
        let mut d = vec![];
        finish(&l2, late, c, 8, false, &mut d);
        d
    });
    a.drain();
    for i in 2..5 {
        try_(&mut d, i);
        a.drain();
    }
    d.extend(t.join().unwrap());
    all_read(&l, &mut b);
    all_read(&l, &mut a);
    exact_r(&d, &a, 0);
    exact_r(&d, &b, 0);
    assert_eq!(
        (a.missed, b.missed),
        (0, 0),
        "nothing is lost where all publishers only try: {d:?} b {:?} {}",
        b.got,
        b.cursor
    );
    clean(&l);
    drop(a.leave());
    drop(b.leave());
    end(l, c, 0, 0);
}

#[test]
fn model_late_hot() {
    model::sound("late hot", 2, late_hot);
    model::twin(Fault::VoidFrees, "Concurrent write accesses");
    model::twin(Fault::FillByStore, "silent loss");
    model::twin(Fault::HotAnyFree, "Concurrent write accesses");
    model::twin(Fault::LineUpAVoid, "Concurrent write accesses");
}
#[test]
fn model_late_arena() {
    model::sound("late arena", 2, late_arena);
    model::twin(Fault::RestartOverAVoid, "Concurrent write accesses");
}
#[test]
fn model_frozen() {
    model::sound("frozen", 2, frozen);
    model::twin(
        Fault::WaitForTheFrozen,
        "exceeded maximum number of branches",
    );
}
#[test]
fn model_late_reuse() {
    model::sound("late reuse", 2, late_reuse);
}
#[test]
fn model_late_evicted() {
    model::sound("late evicted", 2, late_evicted);
    model::twin(Fault::ReuseOverAVoid, "Concurrent write accesses");
}
#[test]
fn model_void_is_no_loss() {
    model::sound("void is no loss", 2, void_is_no_loss);
}
#[test]
fn model_small_void_is_no_loss() {
    model::sound("small void is no loss", 2, small_void_is_no_loss);
    model::twin(Fault::GapCountsVoids, "too much told");
}
