//! Connections come and go.

use super::stand::*;
use crate::sync::{Fault, model};

fn close_while_reading() {
    let (l, c) = (lane(), counts());
    let (mut a, mut b) = (l.join().unwrap(), l.join().unwrap());
    let mut d = vec![];
    publish(&l, c, 1, &mut d);
    publish(&l, c, 2, &mut d);
    let (l2, m) = (l.clone(), a.member.clone());
    let t = spawn(move || {
        l2.close_member(&m);
    });
    a.read(false);
    a.read(false);
    let left = a.leave();
    t.join().unwrap();
    exact(&d, left.cursor, &left, 0);
    all_read(&l, &mut b);
    exact_r(&d, &b, 0);
    clean(&l);
    drop(b.leave());
    end(l, c, 0, 0);
}

/// A publishes after B's close may be read by the others alone.
fn close_and_publish() {
    let (l, c) = (lane(), counts());
    let (mut a, mut b) = (l.join().unwrap(), l.join().unwrap());
    let (l2, m) = (l.clone(), a.member.clone());
    let t = spawn(move || {
        let mut d = vec![];
        l2.close_member(&m);
        publish(&l2, c, 1, &mut d);
        publish(&l2, c, 2, &mut d);
        d
    });
    a.read(false);
    a.read(false);
    let left = a.leave();
    let d = t.join().unwrap();
    assert_eq!(left.got.len(), 0, "a closed connection reads nothing");
    all_read(&l, &mut b);
    exact_r(&d, &b, 0);
    clean(&l);
    drop(b.leave());
    end(l, c, 0, 0);
}

/// A closed connection is all that is answerable for a number whose publisher is late, in the hot slot.
fn leaver_hot() {
    let (l, c) = (lane(), counts());
    let mut d = vec![];
    let a = l.join().unwrap();
    let late = l.claim(false).unwrap(); // 10, for a alone
    let mut b = l.join().unwrap();
    l.close_member(&a.member);
    publish(&l, c, 2, &mut d); // 11: a burst, for b alone
    let l2 = l.clone();
    let t = spawn(move || {
        let mut d = vec![];
        finish(&l2, late, c, 1, false, &mut d);
        d
    });
    b.drain(); // back to hot?
    publish(&l, c, 3, &mut d);
    b.drain();
    let left = a.leave();
    d.extend(t.join().unwrap());
    all_read(&l, &mut b);
    exact_r(&d, &b, 0);
    assert_eq!(left.end.expect("told"), 11);
    clean(&l);
    drop(b.leave());
    end(l, c, 0, 0);
}

/// The same in an arena.
fn leaver_arena() {
    let (l, c) = (lane(), counts());
    let mut d = vec![];
    let mut a = l.join().unwrap();
    publish(&l, c, 1, &mut d); // 10
    let late = l.claim(false).unwrap(); // 11, for a alone
    a.read(true);
    let mut b = l.join().unwrap();
    publish(&l, c, 2, &mut d); // 12
    l.close_member(&a.member);
    let l2 = l.clone();
    let t = spawn(move || {
        let mut d = vec![];
        finish(&l2, late, c, 9, false, &mut d);
        d
    });
    b.drain();
    publish(&l, c, 3, &mut d);
    publish(&l, c, 4, &mut d); // the same arena anew?
    b.drain();
    drop(a.leave());
    d.extend(t.join().unwrap());
    all_read(&l, &mut b);
    exact_r(&d, &b, 0);
    clean(&l);
    drop(b.leave());
    end(l, c, 0, 0);
}

/// Closing, going and back to hot at once.
fn close_and_quiet() {
    let (l, c) = (lane(), counts());
    let (mut a, mut b) = (l.join().unwrap(), l.join().unwrap());
    let mut d = vec![];
    publish(&l, c, 1, &mut d);
    publish(&l, c, 2, &mut d);
    a.read(false);
    a.read(false);
    b.read(false);
    let (l2, m) = (l.clone(), a.member.clone());
    let t = spawn(move || {
        l2.close_member(&m);
    });
    let u = spawn(move || {
        a.leave();
    });
    b.read(false);
    b.read(false);
    publish(&l, c, 3, &mut d);
    publish(&l, c, 4, &mut d);
    b.drain();
    t.join().unwrap();
    u.join().unwrap();
    all_read(&l, &mut b);
    exact_r(&d, &b, 0);
    clean(&l);
    drop(b.leave());
    end(l, c, 0, 0);
}

/// A leaver with something unread in an arena, and another connection that goes on.
fn leave_and_publish() {
    let (l, c) = (lane(), counts());
    let (mut a, mut b) = (l.join().unwrap(), l.join().unwrap());
    let mut d = vec![];
    publish(&l, c, 1, &mut d);
    publish(&l, c, 2, &mut d);
    a.read(true);
    b.read(true);
    let t = spawn(move || a.leave());
    b.drain();
    publish(&l, c, 3, &mut d);
    b.drain();
    let left = t.join().unwrap();
    let numbers = d.iter().filter(|x| x.0 < left.end.expect("told")).count() as u64;
    assert!(
        (numbers..=numbers + 1).contains(&(left.end.expect("told") - left.joined)),
        "counted until it left: {d:?} {} {}",
        left.joined,
        left.end.expect("told")
    );
    all_read(&l, &mut b);
    exact_r(&d, &b, 0);
    clean(&l);
    drop(b.leave());
    end(l, c, 0, 0);
}

fn lane_end() {
    let (l, c) = (lane(), counts());
    let a = l.join().unwrap();
    let mut d = vec![];
    publish(&l, c, 1, &mut d);
    let late = l.claim(false).unwrap();
    let l2 = l.clone();
    let t = spawn(move || {
        let mut d = vec![];
        finish(&l2, late, c, 2, false, &mut d);
        let _ = l2.publish_as(Ev::new(3, c), false, false);
    });
    let left = a.leave();
    t.join().unwrap();
    assert!(l.join().is_none());
    assert_eq!(
        left.end.expect("told"),
        l.clock(),
        "no number behind the end"
    );
    end(l, c, 0, 0);
}

fn join_and_publish() {
    let (l, c) = (lane(), counts());
    let mut a = l.join().unwrap();
    let l2 = l.clone();
    let t = spawn(move || {
        let mut d = vec![];
        publish(&l2, c, 1, &mut d);
        publish(&l2, c, 2, &mut d);
        d
    });
    let mut b = l.join().unwrap();
    b.read(true);
    a.read(true);
    let d = t.join().unwrap();
    all_read(&l, &mut a);
    all_read(&l, &mut b);
    exact_r(&d, &a, 0);
    exact_r(&d, &b, 0);
    clean(&l);
    drop(a.leave());
    drop(b.leave());
    end(l, c, 0, 0);
}

/// A closed connection alone is answerable for a late number in an arena that may be used again.
fn leaver_reuse() {
    let (l, c) = (lane(), counts());
    let a = l.join().unwrap();
    let mut d = vec![];
    publish(&l, c, 0, &mut d); // 10 hot, for a
    let late = l.claim(false).unwrap(); // 11, for a
    let mut b = l.join().unwrap();
    l.close_member(&a.member);
    publish(&l, c, 1, &mut d); // 12, for b
    publish(&l, c, 2, &mut d); // 13: moved on
    b.drain();
    publish(&l, c, 3, &mut d); // 14
    b.drain();
    let l2 = l.clone();
    let t = spawn(move || {
        let mut d = vec![];
        finish(&l2, late, c, 9, false, &mut d);
        d
    });
    publish(&l, c, 4, &mut d); // 15: the first again?
    b.drain();
    let (from, joined) = (a.cursor, a.joined);
    let left = a.leave();
    d.extend(t.join().unwrap());
    assert_eq!((from, joined, left.end), (10, 10, Some(12)));
    all_read(&l, &mut b);
    exact_r(&d, &b, 0);
    clean(&l);
    drop(b.leave());
    end(l, c, 0, 0);
}

/// As leaver_hot; the closed connection's owner sleeps on.
fn leaver_asleep() {
    let (l, c) = (lane(), counts());
    let mut d = vec![];
    let a = l.join().unwrap();
    let late = l.claim(false).unwrap(); // 10, for a alone
    let mut b = l.join().unwrap();
    l.close_member(&a.member);
    publish(&l, c, 2, &mut d); // 11: a burst, for b alone
    let l2 = l.clone();
    let t = spawn(move || {
        let mut d = vec![];
        finish(&l2, late, c, 1, false, &mut d);
        d
    });
    b.drain();
    publish(&l, c, 3, &mut d);
    b.drain();
    d.extend(t.join().unwrap());
    drop(a.leave());
    all_read(&l, &mut b);
    exact_r(&d, &b, 0);
    clean(&l);
    drop(b.leave());
    end(l, c, 0, 0);
}

/// As leaver_asleep, nothing but the slot.
fn two_writers() {
    let (l, c) = (lane(), counts());
    let mut d = vec![];
    let a = l.join().unwrap();
    let late = l.claim(false).unwrap(); // 10, for a alone
    let mut b = l.join().unwrap();
    l.close_member(&a.member);
    publish(&l, c, 2, &mut d); // 11: a burst, for b alone
    let l2 = l.clone();
    let t = spawn(move || {
        let mut d = vec![];
        finish(&l2, late, c, 1, false, &mut d);
    });
    b.drain();
    let l3 = l.clone();
    let u = spawn(move || {
        let mut d = vec![];
        publish(&l3, c, 3, &mut d);
    });
    t.join().unwrap();
    u.join().unwrap();
}

/// A leaver voids and goes, a reader goes back to hot, a burst begins anew, and the late one comes.
fn leaver_order() {
    let (l, c) = (lane(), counts());
    let mut d = vec![];
    let a = l.join().unwrap();
    publish(&l, c, 1, &mut d); // 10
    let late = l.claim(false).unwrap(); // 11, arena 0, for a alone
    let mut b = l.join().unwrap();
    l.close_member(&a.member);
    publish(&l, c, 2, &mut d); // 12, for b alone
    b.read(true);
    let t = spawn(move || {
        a.leave();
    });
    b.read(true); // back to hot, if a has gone
    publish(&l, c, 3, &mut d);
    publish(&l, c, 4, &mut d); // the same arena anew?
    t.join().unwrap();
    finish(&l, late, c, 9, false, &mut d);
    all_read(&l, &mut b);
    exact_r(&d, &b, 0);
    clean(&l);
    drop(b.leave());
    end(l, c, 0, 0);
}

#[test]
fn model_close_while_reading() {
    model::sound("close while reading", 2, close_while_reading);
    model::twin(Fault::CloserPassesForTheLiving, "silent loss");
}
#[test]
fn model_close_and_publish() {
    model::sound("close and publish", 2, close_and_publish);
    model::twin(Fault::ReadAfterClose, "a closed connection reads nothing");
    model::twin(Fault::MovedOnIsALoss, "too much told");
}
#[test]
fn model_leaver_hot() {
    model::sound("leaver hot", 2, leaver_hot);
    model::twin(Fault::QuietIgnoresLeavers, "Concurrent write accesses");
}
#[test]
fn model_leaver_arena() {
    model::sound("leaver arena", 2, leaver_arena);
}
#[test]
fn model_close_and_quiet() {
    model::sound("close and quiet", 1, close_and_quiet);
}
#[test]
fn model_leave_and_publish() {
    model::sound("leave and publish", 2, leave_and_publish);
    model::twin(Fault::LeavingLate, "an event is left");
    model::twin(Fault::LeaveUnread, "an event is left");
}
#[test]
fn model_lane_end() {
    model::sound("lane end", 2, lane_end);
    model::twin(Fault::LeaveUnresolved, "payloads dropped once");
}
#[test]
fn model_join_and_publish() {
    model::sound("join and publish", 2, join_and_publish);
}
#[test]
fn model_leaver_reuse() {
    model::sound("leaver reuse", 2, leaver_reuse);
    model::twin(Fault::ReuseAnyFree, "Concurrent write accesses");
}
#[test]
fn model_leaver_asleep() {
    model::sound("leaver asleep", 2, leaver_asleep);
}
#[test]
fn model_two_writers() {
    model::sound("two writers", 2, two_writers);
}
#[test]
fn model_leaver_order() {
    model::sound("leaver order", 2, leaver_order);
}
