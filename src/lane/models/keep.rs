//! Lanes that keep what is read: connections come back, and the archive lets go.

use super::super::core::Lane;
use super::super::outcome::Departure;
use super::stand::*;
use crate::error::CloseReason;
use crate::sync::{Fault, model};

/// A connection resumes while an event comes and the last connection leaves: it gets each event once,
/// in order, or is told that something is gone.
fn resume_publish_leave() {
    let (l, c) = (kept_lane(2), counts());
    let a = l.join().unwrap();
    let mut d = vec![];
    publish(&l, c, 0, &mut d);
    let from = a.cursor;
    let l2 = l.clone();
    let t = spawn(move || publish(&l2, c, 1, &mut vec![]));
    let u = spawn(move || drop(a.leave()));
    let mut b = l.join().unwrap();
    b.replay(from);
    t.join().unwrap();
    u.join().unwrap();
    b.drain();
    assert!(
        b.got.is_sorted_by(|x, y| x.0 < y.0),
        "each event once, in order"
    );
    assert!(
        b.ids() == [0, 1] || b.gone > 0,
        "what looks whole is whole: {:?}",
        b.got
    );
    assert!(b.ids().contains(&1), "the last event is there");
    drop(b.leave());
    l.expire_now();
    end(l, c, 0, 0);
}

/// The same with two threads: the connection that has left was closed by another thread, and its owner
/// is late.
fn resume_and_late_publish() {
    let (l, c) = (kept_lane(2), counts());
    let a = l.join().unwrap();
    let mut d = vec![];
    publish(&l, c, 0, &mut d);
    let late = l.claim(false).unwrap();
    let from = a.cursor;
    let l2 = l.clone();
    let t = spawn(move || {
        let mut d = vec![];
        let taken = finish(&l2, late, c, 1, false, &mut d);
        if !taken {
            publish(&l2, c, 1, &mut d);
        }
    });
    let mut b = l.join().unwrap();
    b.replay(from);
    t.join().unwrap();
    b.drain();
    assert_eq!(b.ids(), [0, 1], "what looks whole is whole");
    drop(a.leave());
    drop(b.leave());
    l.expire_now();
    end(l, c, 0, 0);
}

/// The time of grace ends while a connection comes back: the lane goes on, or it has ended.
fn expire_and_join() {
    let (l, c) = (kept_lane(2), counts());
    let a = l.join().unwrap();
    let from = a.cursor;
    let mut d = vec![];
    publish(&l, c, 0, &mut d);
    publish(&l, c, 1, &mut d);
    drop(a.leave());
    let l2 = l.clone();
    let t = spawn(move || l2.expire().is_some());
    let joined = l.join();
    let is_expired = t.join().unwrap();
    assert!(joined.is_some() != is_expired, "joined, or ended");
    if let Some(mut b) = joined {
        b.replay(from);
        publish(&l, c, 2, &mut d);
        b.drain();
        assert_eq!((b.ids(), b.gone), (vec![0, 1, 2], 0), "the lane goes on");
        drop(b.leave());
        l.expire_now();
    }
    let why = l.publish_as(Ev::new(3, c), false, false);
    assert!(why.is_err(), "the lane is over");
    assert!(l.is_bare(), "the arenas are given back");
    end(l, c, 0, 0);
}

/// A lane that was made for an event is ended, because that event was refused, while another thread publishes
/// an event: that one is kept, or its publisher finds the lane over.
fn expire_unused_and_publish() {
    let (l, c) = (deserted_lane(), counts());
    let from = l.clock();
    let l2 = l.clone();
    let t = spawn(move || l2.expire_unused().is_some());
    let accepted = l.publish_as(Ev::new(0, c), true, false).is_ok();
    let is_expired = t.join().unwrap();
    assert!(accepted != is_expired, "accepted, or ended");
    if accepted {
        let mut b = l.join().unwrap();
        b.replay(from);
        b.drain();
        assert_eq!((b.ids(), b.gone), (vec![0], 0), "the event is kept");
        drop(b.leave());
        l.expire_now();
    }
    end(l, c, 0, 0);
}

/// The last connection leaves while the lane expires: the archive does not go before it.
fn expire_and_leave() {
    let (l, c) = (kept_lane(2), counts());
    let a = l.join().unwrap();
    let mut d = vec![];
    publish(&l, c, 0, &mut d);
    publish(&l, c, 1, &mut d);
    let l2 = l.clone();
    let t = spawn(move || l2.expire().is_some());
    drop(a.leave());
    if !t.join().unwrap() {
        l.expire_now();
    }
    assert!(l.is_bare(), "the arenas are given back");
    end(l, c, 0, 0);
}

/// A replay reads events whose arenas are evicted: it has them whole or is told, and takes nothing
/// from the replay after it.
fn replay_and_evict() {
    let (l, c) = (kept_lane(1), counts());
    let mut a = l.join().unwrap();
    let mut d = vec![];
    publish(&l, c, 0, &mut d); // 10 hot
    publish(&l, c, 1, &mut d); // 11
    let mut b = l.join().unwrap();
    publish(&l, c, 2, &mut d); // 12
    a.drain();
    let l2 = l.clone();
    let t = spawn(move || {
        let mut d = vec![];
        publish(&l2, c, 3, &mut d); // 13
        publish(&l2, c, 4, &mut d); // 14: evicts 11
        d
    });
    b.replay(11);
    d.extend(t.join().unwrap());
    b.drain();
    assert!(
        b.got.is_sorted_by(|x, y| x.0 < y.0),
        "each event once, in order"
    );
    let told = b.got.len() as u64 + b.gone + b.missed;
    assert!(told >= 4, "delivered or told: {:?}", b.got);
    assert_eq!(b.ids().last(), Some(&4), "the last event is there");
    let mut e = l.join().unwrap();
    let newest = d[d.len() - 2..].to_vec();
    e.replay(newest[0].0);
    assert_eq!((&e.got, e.gone), (&newest, 0), "a replay takes nothing");
    for reader in [a, b, e] {
        drop(reader.leave());
    }
    l.expire_now();
    end(l, c, 0, 0);
}

/// A replay reads events while the archive lets go of them.
fn replay_and_release() {
    let (l, c) = (kept_lane(2), counts());
    let mut a = l.join().unwrap();
    let mut d = vec![];
    publish(&l, c, 0, &mut d);
    publish(&l, c, 1, &mut d);
    a.drain();
    let l2 = l.clone();
    let t = spawn(move || l2.release_below(12));
    let mut b = l.join().unwrap();
    b.replay(10);
    t.join().unwrap();
    let whole = match b.gone {
        0 => vec![0, 1],
        1 => vec![1],
        _ => vec![],
    };
    assert_eq!(b.ids(), whole, "what looks whole is whole");
    drop(a.leave());
    drop(b.leave());
    l.expire_now();
    end(l, c, 0, 0);
}

/// Of two connections that ask for what no connection has seen, one gets it; if one of them goes before it
/// has received anything, the other.
fn recover_beside(receives: usize) {
    let (l, c) = (deserted_lane(), counts());
    assert!(l.publish_as(Ev::new(7, c), true, false).is_ok());
    let mut b = l.join().unwrap();
    let l2 = l.clone();
    let t = spawn(move || {
        let mut e = l2.join().unwrap();
        e.recover(receives);
        e
    });
    b.recover(1);
    let e = t.join().unwrap();
    assert_eq!([b.ids(), e.ids()].concat(), [7], "one gets it");
    drop(b.leave());
    drop(e.leave());
    let mut f = l.join().unwrap();
    f.recover(1);
    assert_eq!(f.ids(), [0; 0], "it comes once");
    drop(f.leave());
    l.expire_now();
    end(l, c, 0, 0);
}

fn two_recover() {
    recover_beside(1);
}
fn recover_beside_one_that_goes() {
    recover_beside(0);
}

/// Two calls let go of the same event while a connection reads it.
fn release_release_receive() {
    let (l, c) = (kept_lane(2), counts());
    let mut a = l.join().unwrap();
    let mut d = vec![];
    publish(&l, c, 7, &mut d);
    publish(&l, c, 8, &mut d);
    let (l2, l3) = (l.clone(), l.clone());
    let t = spawn(move || l2.release_below(12));
    let u = spawn(move || l3.release_below(11));
    a.read(true);
    a.read(true);
    t.join().unwrap();
    u.join().unwrap();
    assert_eq!((a.ids(), a.missed), (vec![7, 8], 0), "read once");
    assert_eq!(l.full(), 0, "and given back");
    drop(a.leave());
    l.expire_now();
    end(l, c, 0, 0);
}

/// The archive lets go of events while the lane ends: the arenas stay until it is done.
fn release_and_end() {
    let (l, c) = (kept_lane(2), counts());
    let a = l.join().unwrap();
    let mut d = vec![];
    for i in 0..3 {
        publish(&l, c, i, &mut d);
    }
    drop(a.leave());
    let l2 = l.clone();
    let t = spawn(move || l2.release_below(13));
    l.expire_now();
    t.join().unwrap();
    assert!(l.is_bare(), "the arenas are given back");
    end(l, c, 0, 0);
}

/// The same where a closed lane ends by the last connection that leaves.
fn release_and_last_leave() {
    let (l, c) = (kept_lane(2), counts());
    let a = l.join().unwrap();
    let mut d = vec![];
    publish(&l, c, 0, &mut d);
    publish(&l, c, 1, &mut d);
    l.shut();
    let l2 = l.clone();
    let t = spawn(move || l2.release_below(12));
    let departure = Lane::close(&l, a.member(), CloseReason::Dropped, None);
    assert!(matches!(departure, Departure::Last { accepted: 2 }));
    drop(a.leave());
    t.join().unwrap();
    assert!(l.is_bare(), "the arenas are given back");
    end(l, c, 0, 0);
}

#[test]
fn model_resume_publish_leave() {
    model::sound("resume, publish, leave", 1, resume_publish_leave);
    model::twin(Fault::ReplayWithHoles, "what looks whole is whole");
}
#[test]
fn model_resume_and_late_publish() {
    model::sound("resume and late publish", 2, resume_and_late_publish);
    model::twin(Fault::ReplayWithHoles, "what looks whole is whole");
}
#[test]
fn model_expire_and_join() {
    model::sound("expire and join", 3, expire_and_join);
    model::twin(Fault::ExpireInTwoSteps, "joined, or ended");
}
#[test]
fn model_expire_unused_and_publish() {
    model::sound("expire unused and publish", 3, expire_unused_and_publish);
    model::twin(Fault::ExpireInTwoSteps, "accepted, or ended");
}
#[test]
fn model_expire_and_leave() {
    model::sound("expire and leave", 3, expire_and_leave);
}
#[test]
fn model_replay_and_evict() {
    model::sound("replay and evict", 2, replay_and_evict);
    model::twin(Fault::ReadUnpinned, "Causality violation");
    model::twin(Fault::EvictPinned, "Causality violation");
}
#[test]
fn model_replay_and_release() {
    model::sound("replay and release", 2, replay_and_release);
    model::twin(Fault::ReplayUncounted, "Causality violation");
}
#[test]
fn model_two_recover() {
    model::sound("two recover", 2, two_recover);
    model::twin(Fault::ReceiveInTwoSteps, "one gets it");
}
#[test]
fn model_recover_beside_one_that_goes() {
    model::sound(
        "recover beside one that goes",
        2,
        recover_beside_one_that_goes,
    );
    model::twin(Fault::OwedUntilFetched, "one gets it");
}
#[test]
fn model_release_release_receive() {
    model::sound("release, release, receive", 2, release_release_receive);
    model::twin(Fault::ReleaseInTwoSteps, "that it does not count for");
}
#[test]
fn model_release_and_end() {
    model::sound("release and end", 2, release_and_end);
    model::twin(Fault::ReleaseUnannounced, "Concurrent write accesses");
}
#[test]
fn model_release_and_last_leave() {
    model::sound("release and last leave", 2, release_and_last_leave);
    model::twin(Fault::ReleaseUnannounced, "the arenas are given back");
}
