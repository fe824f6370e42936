//! A lane at rest: it gives its arenas back, and comes to its end.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::stand::*;
use crate::sync::{Fault, model};

/// A lane that had a burst, was read, and has been swept once: the next sweep gives its arenas back.
fn rested() -> (L, &'static Counts, Reader, Done) {
    let (l, c) = (lane_of(4, 2), counts());
    let mut r = l.join().unwrap();
    let mut d = vec![];
    publish(&l, c, 1, &mut d);
    publish(&l, c, 2, &mut d);
    all_read(&l, &mut r);
    l.reclaim();
    assert!(!l.is_burst() && !l.is_bare(), "{}", l.told());
    (l, c, r, d)
}

/// All that was accepted is read, the lane goes on, and two sweeps give the arenas back.
fn goes_on(l: L, c: &'static Counts, mut r: Reader, mut d: Done) {
    all_read(&l, &mut r);
    exact_r(&d, &r, 0);
    assert_eq!(r.missed, 0);
    for i in 30..33 {
        publish(&l, c, i, &mut d);
    }
    all_read(&l, &mut r);
    exact_r(&d, &r, 1);
    for _ in 0..3 {
        l.reclaim();
    }
    assert!(l.is_bare(), "two sweeps give the arenas back: {}", l.told());
    clean(&l);
    drop(r.leave());
    end(l, c, 0, 0);
}

/// A sweep takes the arenas away while a burst begins.
fn tidy_and_publish() {
    let (l, c, mut r, mut d) = rested();
    let l2 = l.clone();
    let t = spawn(move || {
        let mut d = vec![];
        publish(&l2, c, 3, &mut d);
        publish(&l2, c, 4, &mut d);
        d
    });
    l.reclaim();
    r.read(true);
    d.extend(t.join().unwrap());
    goes_on(l, c, r, d);
}

/// Two sweeps, and a publisher that begins a burst.
fn tidy_tidy_publish() {
    let (l, c, r, mut d) = rested();
    publish(&l, c, 3, &mut d); // in the hot slot
    let (l2, l3) = (l.clone(), l.clone());
    let t = spawn(move || {
        let mut d = vec![];
        publish(&l2, c, 4, &mut d);
        d
    });
    let u = spawn(move || l3.reclaim());
    l.reclaim();
    d.extend(t.join().unwrap());
    u.join().unwrap();
    goes_on(l, c, r, d);
}

/// Two publishers begin a burst of a lane whose arenas are being taken away.
fn tidy_publish_publish() {
    let (l, c, r, mut d) = rested();
    publish(&l, c, 3, &mut d); // in the hot slot
    let (l2, l3) = (l.clone(), l.clone());
    let t = spawn(move || {
        let mut d = vec![];
        publish(&l2, c, 4, &mut d);
        d
    });
    let u = spawn(move || l3.reclaim());
    publish(&l, c, 5, &mut d);
    d.extend(t.join().unwrap());
    u.join().unwrap();
    goes_on(l, c, r, d);
}

/// A sweep, and a publisher that comes late into an arena in which its number is void.
fn tidy_and_late() {
    let (l, c) = (lane_of(4, 2), counts());
    let mut r = l.join().unwrap();
    let mut d = vec![];
    publish(&l, c, 1, &mut d); // 10 hot
    let late = l.claim(false).unwrap(); // 11
    publish(&l, c, 2, &mut d); // 12
    r.drain(); // makes 11 void; hot again
    l.reclaim();
    assert!(!l.is_burst() && !l.is_bare(), "{}", l.told());
    let l2 = l.clone();
    let t = spawn(move || {
        let mut d = vec![];
        assert!(!l2.is_bare(), "the arenas stay for a late publisher");
        finish(&l2, late, c, 9, false, &mut d);
        assert!(d.is_empty(), "its number is void");
    });
    l.reclaim();
    t.join().unwrap();
    goes_on(l, c, r, d);
}

/// A sweep takes a burst's lane back to hot, but not while a reader stands inside its last event.
fn quiet_and_reader() {
    let (l, c) = (lane_of(4, 2), counts());
    let mut r = l.join().unwrap();
    let mut d = vec![];
    publish(&l, c, 1, &mut d); // 10 hot
    publish(&l, c, 2, &mut d); // 11
    r.read(true);
    let l2 = l.clone();
    let t = spawn(move || {
        let mut d = vec![];
        l2.reclaim();
        publish(&l2, c, 3, &mut d); // 12
        publish(&l2, c, 4, &mut d); // 13: the same arena anew?
        d
    });
    let inside = r.enter();
    assert_eq!(inside.get().id, 2);
    loom::thread::yield_now();
    assert_eq!(inside.get().id, 2, "the event stays in place");
    drop(inside);
    d.extend(t.join().unwrap());
    let (missed, from) = (r.missed, 12);
    r.drain();
    r.drain();
    d.retain(|done| done.0 >= from);
    assert_eq!((r.got[1..].to_vec(), missed), (d, 0), "each event once");
    clean(&l);
    drop(r.leave());
    end(l, c, 0, 0);
}

/// A sweep takes a lane back to hot for a connection that was closed after it had read everything,
/// while an event comes.
fn quiet_and_publish() {
    let (l, c) = (lane(), counts());
    let (mut a, mut b) = (l.join().unwrap(), l.join().unwrap());
    let mut d = vec![];
    publish(&l, c, 1, &mut d);
    publish(&l, c, 2, &mut d);
    b.drain();
    a.read(true);
    drop(a.leave()); // passes 11 as the last, and takes nothing back
    assert!(l.is_burst());
    let l2 = l.clone();
    let t = spawn(move || {
        let mut d = vec![];
        publish(&l2, c, 3, &mut d);
        publish(&l2, c, 4, &mut d);
        d
    });
    l.reclaim();
    b.read(true);
    d.extend(t.join().unwrap());
    goes_on(l, c, b, d);
}

/// The lane ends while a publisher is inside a void of it: the later of the two gives the arenas back.
fn end_and_late() {
    let (l, c) = (lane(), counts());
    let mut a = l.join().unwrap();
    let mut d = vec![];
    publish(&l, c, 1, &mut d); // 10 hot
    let late = l.claim(false).unwrap(); // 11
    publish(&l, c, 2, &mut d); // 12
    a.drain(); // makes 11 void
    let l2 = l.clone();
    let t = spawn(move || {
        let mut d = vec![];
        finish(&l2, late, c, 3, false, &mut d);
        assert!(d.is_empty(), "its number is void");
    });
    drop(a.leave());
    t.join().unwrap();
    assert!(l.is_bare(), "the arenas are given back: {}", l.told());
    end(l, c, 0, 0);
}

/// The lane ends while a publisher prepares a burst.
fn end_and_begin() {
    let (l, c) = (lane(), counts());
    let a = l.join().unwrap();
    let mut d = vec![];
    publish(&l, c, 1, &mut d); // 10 hot
    let l2 = l.clone();
    let t = spawn(move || {
        let _ = l2.publish_as(Ev::new(2, c), false, false);
    });
    drop(a.leave());
    t.join().unwrap();
    assert!(l.is_bare(), "the arenas are given back: {}", l.told());
    end(l, c, 0, 0);
}

/// The last connection goes with nothing to pass, while a publisher prepares a burst.
fn end_at_once() {
    let (l, c) = (lane(), counts());
    let mut a = l.join().unwrap();
    let late = l.claim(false).unwrap(); // 10 hot
    a.drain(); // makes 10 void, so that 11 begins a burst
    let l2 = l.clone();
    let t = spawn(move || {
        let _ = l2.publish_as(Ev::new(2, c), false, false);
    });
    drop(a.leave());
    t.join().unwrap();
    assert!(l.is_bare(), "the arenas are given back: {}", l.told());
    assert!(!finish(&l, late, c, 1, false, &mut vec![]));
    end(l, c, 0, 0);
}

/// The same behind another connection that has something to pass.
fn end_at_once_behind() {
    let (l, c) = (lane(), counts());
    let (a, late) = (l.join().unwrap(), l.claim(false).unwrap()); // 10 hot, for a alone
    let b = l.join().unwrap();
    let l2 = l.clone();
    let t = spawn(move || {
        drop(a.leave());
    });
    let u = spawn(move || {
        let _ = l2.publish_as(Ev::new(2, c), false, false);
    });
    drop(b.leave());
    t.join().unwrap();
    u.join().unwrap();
    assert!(l.is_bare(), "the arenas are given back: {}", l.told());
    finish(&l, late, c, 1, false, &mut vec![]);
    end(l, c, 0, 0);
}

/// A reader several arenas behind jumps to the oldest that is left, while more are evicted. The newest
/// of the numbers that are gone have publishers that never come.
fn jump() {
    let (l, c) = (lane_of(2, 1), counts());
    let mut r = l.join().unwrap();
    let mut d = vec![];
    publish(&l, c, 0, &mut d); // 10 hot
    for i in 1..5 {
        publish(&l, c, i, &mut d);
    } // 11 | 12 | 13 | 14: 11 is evicted
    let l2 = l.clone();
    let t = spawn(move || {
        let mut d = vec![];
        publish(&l2, c, 5, &mut d); // 15: evicts 12
        d
    });
    r.read(false);
    d.extend(t.join().unwrap());
    all_read(&l, &mut r);
    exact_r(&d, &r, 0);
    let newest = &d[d.len() - 2..];
    assert!(r.got.ends_with(newest), "within capacity: {:?}", r.got);
    clean(&l);
    drop(r.leave());
    end(l, c, 0, 0);
}

/// The same with numbers at the end of what is gone whose publishers never come: they are no loss.
fn jump_over_voids() {
    let (l, c) = (lane_of(2, 1), counts());
    let mut r = l.join().unwrap();
    let mut d = vec![];
    publish(&l, c, 0, &mut d); // 10 hot
    publish(&l, c, 1, &mut d); // 11
    let frozen = l.claim(false).unwrap(); // 12
    publish(&l, c, 3, &mut d); // 13
    publish(&l, c, 4, &mut d); // 14: evicts 11
    let l2 = l.clone();
    let t = spawn(move || {
        let mut d = vec![];
        publish(&l2, c, 5, &mut d); // 15: evicts 12, which was no event
        d
    });
    r.read(true);
    d.extend(t.join().unwrap());
    all_read(&l, &mut r);
    exact_r(&d, &r, 0);
    let newest = &d[d.len() - 2..];
    assert!(r.got.ends_with(newest), "within capacity: {:?}", r.got);
    let _ = frozen;
    clean(&l);
    drop(r.leave());
    end(l, c, 0, 0);
}

/// The host's `Clone` panics while two readers share an event: it is passed all the same.
fn clone_panics() {
    let (l, c) = (lane(), counts());
    let (mut a, mut b) = (l.join().unwrap(), l.join().unwrap());
    let mut d = vec![];
    publish(&l, c, 1, &mut d); // 10 hot
    publish(&l, c, 2, &mut d); // 11
    let read = |r: &mut Reader| catch_unwind(AssertUnwindSafe(|| r.read(true))).is_err();
    b.read(true);
    let t = spawn(move || {
        let _ = read(&mut b); // 11
        b
    });
    c.panics.store(1, std::sync::atomic::Ordering::Relaxed);
    let was_shared = read(&mut a); // 10: b has passed it, so no clone is made
    assert!(!was_shared);
    let _ = read(&mut a); // 11
    let mut b = t.join().unwrap();
    c.panics.store(0, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(l.full(), 0, "what a panic interrupts is passed");
    publish(&l, c, 3, &mut d);
    all_read(&l, &mut a);
    all_read(&l, &mut b);
    assert_eq!(a.ids().last(), Some(&3));
    assert_eq!(b.ids().last(), Some(&3));
    clean(&l);
    drop(a.leave());
    drop(b.leave());
    end(l, c, 0, 0);
}

#[test]
fn model_tidy_and_publish() {
    model::sound("tidy and publish", 2, tidy_and_publish);
    model::twin(Fault::BeginInWhatWasTaken, "a burst has a directory");
}
#[test]
fn model_tidy_tidy_publish() {
    model::sound("tidy, tidy, publish", 2, tidy_tidy_publish);
}
#[test]
fn model_tidy_publish_publish() {
    model::sound("tidy, publish, publish", 2, tidy_publish_publish);
}
#[test]
fn model_tidy_and_late() {
    model::sound("tidy and late", 2, tidy_and_late);
    model::twin(
        Fault::TakeWhatIsInUse,
        "the arenas stay for a late publisher",
    );
}
#[test]
fn model_quiet_and_reader() {
    model::sound("quiet and reader", 2, quiet_and_reader);
    model::twin(Fault::QuietByCursors, "Causality violation");
}
#[test]
fn model_quiet_and_publish() {
    model::sound("quiet and publish", 2, quiet_and_publish);
}
#[test]
fn model_end_and_late() {
    model::sound("end and late", 2, end_and_late);
    model::twin(Fault::LeaveTheArenas, "the arenas are given back");
    model::twin(Fault::EndAtOnce, "the arenas are given back");
    model::twin(Fault::FinishUnfenced, "the arenas are given back");
}
#[test]
fn model_end_and_begin() {
    model::sound("end and begin", 2, end_and_begin);
    model::twin(Fault::LeaveTheBurst, "the arenas are given back");
    model::twin(Fault::FinishUnfenced, "the arenas are given back");
}
#[test]
fn model_end_at_once() {
    model::sound("end at once", 2, end_at_once);
    model::twin(Fault::LeaveTheBurst, "the arenas are given back");
}
#[test]
fn model_end_at_once_behind() {
    model::sound("end at once behind", 2, end_at_once_behind);
    model::twin(Fault::OverlookTheLeaver, "the arenas are given back");
}
#[test]
fn model_jump() {
    model::sound("jump", 2, jump);
    model::twin(Fault::JumpToTheRun, "silent loss");
}
#[test]
fn model_jump_over_voids() {
    model::sound("jump over voids", 2, jump_over_voids);
    model::twin(Fault::GapCountsVoids, "too much told");
}
#[test]
fn model_clone_panics() {
    model::sound("clone panics", 2, clone_panics);
    model::twin(
        Fault::PanicKeepsTheEvent,
        "what a panic interrupts is passed",
    );
}
