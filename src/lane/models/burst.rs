//! Bursts begin, move on, and end.

use super::stand::*;
use crate::sync::{Fault, model};

fn publish_read_n(n: u64) {
    let (l, c) = (lane(), counts());
    let mut r = l.join().unwrap();
    let l2 = l.clone();
    let t = spawn(move || {
        let mut d = vec![];
        for i in 0..n {
            publish(&l2, c, i, &mut d);
        }
        d
    });
    for _ in 0..n + 1 {
        r.read(true);
    }
    let d = t.join().unwrap();
    all_read(&l, &mut r);
    exact_r(&d, &r, 0);
    // The lane comes back to hot once a reader has been the last and found nothing.
    let mut d = vec![];
    for i in 50..52 {
        publish(&l, c, i, &mut d);
        all_read(&l, &mut r);
    }
    assert!(!l.is_burst(), "{}", l.told());
    clean(&l);
    drop(r.leave());
    end(l, c, 0, 0);
}

fn publish_read() {
    publish_read_n(2)
}

fn publish_read_3() {
    publish_read_n(3)
}

fn two_publishers() {
    let (l, c) = (lane(), counts());
    let mut r = l.join().unwrap();
    let l2 = l.clone();
    let t = spawn(move || {
        let mut d = vec![];
        publish(&l2, c, 1, &mut d);
        d
    });
    let mut d = vec![];
    publish(&l, c, 2, &mut d);
    d.extend(t.join().unwrap());
    all_read(&l, &mut r);
    exact_r(&d, &r, 0);
    assert_eq!(r.missed, 0);
    clean(&l);
    drop(r.leave());
    end(l, c, 0, 0);
}

/// Two publishers and a reader that goes back to hot in between.
fn publishers_and_quiet() {
    let (l, c) = (lane(), counts());
    let mut r = l.join().unwrap();
    let mut d = vec![];
    publish(&l, c, 1, &mut d);
    publish(&l, c, 2, &mut d);
    r.read(true); // 1, hot
    let l2 = l.clone();
    let t = spawn(move || {
        let mut d = vec![];
        publish(&l2, c, 3, &mut d);
        d
    });
    r.read(true); // 2, last
    r.read(true); // quiet, or 3
    publish(&l, c, 5, &mut d);
    d.extend(t.join().unwrap());
    all_read(&l, &mut r);
    exact_r(&d, &r, 0);
    clean(&l);
    drop(r.leave());
    end(l, c, 0, 0);
}

/// A publisher that is slow between its look at HOT and its change of the run; others begin, end, begin.
fn stale_beginners() {
    let (l, c) = (lane(), counts());
    let mut r = l.join().unwrap();
    let mut d = vec![];
    publish(&l, c, 1, &mut d); // hot, unread
    let l2 = l.clone();
    let t = spawn(move || {
        let mut d = vec![];
        publish(&l2, c, 2, &mut d);
        d
    });
    r.read(true);
    publish(&l, c, 3, &mut d);
    publish(&l, c, 4, &mut d);
    r.drain();
    d.extend(t.join().unwrap());
    all_read(&l, &mut r);
    exact_r(&d, &r, 0);
    clean(&l);
    drop(r.leave());
    end(l, c, 0, 0);
}

/// The same on a lane that has had a burst.
fn stale_beginners_again() {
    let (l, c) = (lane(), counts());
    let mut r = l.join().unwrap();
    let mut d = vec![];
    publish(&l, c, 1, &mut d); // 10 hot
    publish(&l, c, 2, &mut d); // 11
    all_read(&l, &mut r);
    publish(&l, c, 3, &mut d); // 12 hot, unread
    let l2 = l.clone();
    let t = spawn(move || {
        let mut d = vec![];
        publish(&l2, c, 4, &mut d);
        d
    });
    r.read(true);
    publish(&l, c, 5, &mut d);
    publish(&l, c, 6, &mut d);
    d.extend(t.join().unwrap());
    all_read(&l, &mut r);
    exact_r(&d, &r, 0);
    clean(&l);
    drop(r.leave());
    end(l, c, 0, 0);
}

fn three_threads() {
    let (l, c) = (lane(), counts());
    let mut r = l.join().unwrap();
    let mut d = vec![];
    publish(&l, c, 1, &mut d);
    let (l2, l3) = (l.clone(), l.clone());
    let t = spawn(move || {
        let mut d = vec![];
        publish(&l2, c, 2, &mut d);
        d
    });
    let u = spawn(move || {
        let mut d = vec![];
        publish(&l3, c, 3, &mut d);
        d
    });
    r.read(true);
    r.read(true);
    d.extend(t.join().unwrap());
    d.extend(u.join().unwrap());
    all_read(&l, &mut r);
    exact_r(&d, &r, 0);
    clean(&l);
    drop(r.leave());
    end(l, c, 0, 0);
}

fn two_readers() {
    let (l, c) = (lane(), counts());
    let (mut a, mut b) = (l.join().unwrap(), l.join().unwrap());
    let mut d = vec![];
    publish(&l, c, 1, &mut d);
    publish(&l, c, 2, &mut d);
    let t = spawn(move || {
        a.read(true);
        a.read(true);
        a
    });
    b.read(true);
    b.read(true);
    publish(&l, c, 3, &mut d);
    let mut a = t.join().unwrap();
    all_read(&l, &mut a);
    all_read(&l, &mut b);
    exact_r(&d, &a, 0);
    exact_r(&d, &b, 0);
    clean(&l);
    drop(a.leave());
    drop(b.leave());
    end(l, c, 0, 0);
}

fn readers_and_publisher() {
    let (l, c) = (lane(), counts());
    let (mut a, mut b) = (l.join().unwrap(), l.join().unwrap());
    let mut d = vec![];
    publish(&l, c, 1, &mut d);
    let l2 = l.clone();
    let p = spawn(move || {
        let mut d = vec![];
        publish(&l2, c, 2, &mut d);
        d
    });
    let t = spawn(move || {
        a.read(true);
        a.read(true);
        a
    });
    b.read(true);
    b.read(true);
    b.read(true);
    d.extend(p.join().unwrap());
    let mut a = t.join().unwrap();
    all_read(&l, &mut a);
    all_read(&l, &mut b);
    exact_r(&d, &a, 0);
    exact_r(&d, &b, 0);
    clean(&l);
    drop(a.leave());
    drop(b.leave());
    end(l, c, 0, 0);
}

/// An arena of an earlier burst seems to hold a number that is in the hot slot.
fn two_bursts() {
    let (l, c) = (lane(), counts());
    let mut r = l.join().unwrap();
    let mut d = vec![];
    publish(&l, c, 1, &mut d); // 10 hot
    publish(&l, c, 2, &mut d); // 11: arena 0 from 11
    r.drain(); // hot again at 12
    let late = l.claim(false).unwrap(); // 12: hot; arena 0 has room for it
    assert!(!l.is_burst());
    let l2 = l.clone();
    let t = spawn(move || {
        let mut d = vec![];
        finish(&l2, late, c, 9, false, &mut d);
        d
    });
    publish(&l, c, 3, &mut d); // 13
    publish(&l, c, 4, &mut d); // 14
    publish(&l, c, 5, &mut d); // 15: moved on
    r.drain();
    d.extend(t.join().unwrap());
    all_read(&l, &mut r);
    exact_r(&d, &r, 0);
    publish(&l, c, 6, &mut d);
    all_read(&l, &mut r);
    publish(&l, c, 7, &mut d);
    all_read(&l, &mut r);
    assert!(!l.is_burst(), "a slot is lost: {}", l.told());
    clean(&l);
    drop(r.leave());
    end(l, c, 0, 0);
}

/// Two stale publishers who want an arena, because the run's has a void in it.
fn stale_takers() {
    let (l, c) = (lane(), counts());
    let mut r = l.join().unwrap();
    let mut d = vec![];
    publish(&l, c, 1, &mut d); // 10
    let frozen = l.claim(false).unwrap(); // 11: arena 0
    publish(&l, c, 2, &mut d); // 12
    r.drain(); // void; hot at 13
    publish(&l, c, 3, &mut d); // 13 hot
    let l2 = l.clone();
    let t = spawn(move || {
        let mut d = vec![];
        publish(&l2, c, 4, &mut d);
        d
    }); // a burst elsewhere
    r.read(true);
    publish(&l, c, 5, &mut d);
    publish(&l, c, 6, &mut d);
    r.drain();
    d.extend(t.join().unwrap());
    all_read(&l, &mut r);
    exact_r(&d, &r, 0);
    let _ = frozen;
    clean(&l);
    drop(r.leave());
    end(l, c, 0, 0);
}

/// A number in the hot slot that an arena of an earlier burst, which a void keeps, had room for.
fn home_of_n() {
    let (l, c) = (lane_of(8, 4), counts());
    let mut r = l.join().unwrap();
    let mut d = vec![];
    publish(&l, c, 1, &mut d); // 10 hot
    let frozen = l.claim(false).unwrap(); // 11: arena 0, 11..15
    publish(&l, c, 2, &mut d); // 12
    r.drain(); // hot at 13
    let late = l.claim(false).unwrap();
    assert!(!l.is_burst() && l.clock() == 14);
    for i in 4..9 {
        publish(&l, c, i, &mut d);
    } // 14..18 in arena 1, 18 in another
    let l2 = l.clone();
    let t = spawn(move || {
        let mut d = vec![];
        finish(&l2, late, c, 3, false, &mut d);
        d
    });
    r.drain();
    d.extend(t.join().unwrap());
    all_read(&l, &mut r);
    exact_r(&d, &r, 0);
    assert_eq!(r.missed, 0);
    let _ = frozen;
    clean(&l);
    drop(r.leave());
    end(l, c, 0, 0);
}

#[test]
fn model_publish_read() {
    model::sound("publish read", 2, publish_read);
}
#[test]
fn model_publish_read_3() {
    model::sound("publish read 3", 1, publish_read_3);
}
#[test]
fn model_two_publishers() {
    model::sound("two publishers", 2, two_publishers);
}
#[test]
fn model_publishers_and_quiet() {
    model::sound("publishers and quiet", 2, publishers_and_quiet);
}
#[test]
fn model_stale_beginners() {
    model::sound("stale beginners", 2, stale_beginners);
    model::twin(Fault::ReplaceTheNewer, "Concurrent write accesses");
}
#[test]
fn model_stale_beginners_again() {
    model::sound("stale beginners again", 2, stale_beginners_again);
    model::twin(Fault::RunOverwritten, "silent loss | Causality violation");
}
#[test]
fn model_three_threads() {
    model::sound("three threads", 2, three_threads);
}
#[test]
fn model_two_readers() {
    model::sound("two readers", 2, two_readers);
    model::twin(Fault::QuietBeforeTheLast, "silent loss");
}
#[test]
fn model_readers_and_publisher() {
    model::sound("readers and publisher", 1, readers_and_publisher);
}
#[test]
fn model_two_bursts() {
    model::sound("two bursts", 2, two_bursts);
}
#[test]
fn model_stale_takers() {
    model::sound("stale takers", 2, stale_takers);
    model::twin(
        Fault::RestartBeforeReady,
        "exceeded maximum number of branches",
    );
    model::twin(Fault::AcquireAnyBase, "exceeded maximum number of branches");
}
#[test]
fn model_home_of_n() {
    model::sound("home of n", 2, home_of_n);
}
