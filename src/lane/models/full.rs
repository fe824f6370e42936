//! Publishers that are refused by a full lane.

use super::super::outcome::Refusal;
use super::halves::Stop;
use super::stand::*;
use crate::error::CloseReason;
use crate::sync::{Fault, model};

/// A lane is not full for a connection whose closer is stopped before it has taken it off the list.
fn full_for_the_gone() {
    let (l, c) = (lane(), counts());
    let (mut a, b) = (l.join().unwrap(), l.join().unwrap());
    let mut d = vec![];
    publish(&l, c, 0, &mut d);
    publish(&l, c, 1, &mut d);
    assert!(b.member().close(CloseReason::Evicted).is_some());
    l.stop(Stop::Departed);
    b.member().set_left_at(l.load().seq());
    let l2 = l.clone();
    let t = spawn(move || l2.publish_as(Ev::new(2, c), false, true).is_ok());
    a.drain();
    let taken = t.join().unwrap();
    a.drain();
    let also = l.publish_as(Ev::new(3, c), false, true).is_ok();
    assert!(also, "only a closed connection is behind");
    a.drain();
    assert_eq!(a.missed, 0, "a try overwrites nothing");
    assert_eq!(a.got.len(), 3 + usize::from(taken));
    drop(b.leave());
    clean(&l);
    drop(a.leave());
    end(l, c, 0, 0);
}

fn try_publish() {
    let (l, c) = (lane(), counts());
    let mut r = l.join().unwrap();
    let l2 = l.clone();
    let t = spawn(move || {
        let mut d = vec![];
        for i in 0..4 {
            match l2.publish_as(Ev::new(i, c), false, true) {
                Ok(n) => d.push((n, i)),
                Err(e) => assert_eq!(e, Refusal::Full),
            }
        }
        assert!(d.len() >= 2, "refused too early");
        d
    });
    r.read(true);
    r.read(true);
    let d = t.join().unwrap();
    all_read(&l, &mut r);
    exact_r(&d, &r, 0);
    assert_eq!(r.missed, 0, "a try overwrites nothing");
    clean(&l);
    drop(r.leave());
    end(l, c, 0, 0);
}

/// Full to the number, for one that has not begun; and not for one that is closed and asleep.
fn try_exact() {
    let (l, c) = (lane(), counts());
    let (mut a, mut b) = (l.join().unwrap(), l.join().unwrap());
    let mut d = vec![];
    let try_ = |l: &L, i, d: &mut Done| match l.publish_as(Ev::new(i, c), false, true) {
        Ok(n) => {
            d.push((n, i));
            true
        }
        Err(_) => false,
    };
    assert!(try_(&l, 0, &mut d) && try_(&l, 1, &mut d) && !try_(&l, 2, &mut d));
    a.drain();
    assert!(!try_(&l, 2, &mut d));
    let (l2, m) = (l.clone(), b.member.clone());
    let t = spawn(move || {
        l2.close_member(&m);
    });
    let early = try_(&l, 3, &mut d);
    t.join().unwrap();
    assert!(try_(&l, 4, &mut d), "only the closed are behind");
    let _ = early;
    a.drain();
    b.drain();
    exact_r(&d, &a, 0);
    drop(b.leave());
    clean(&l);
    drop(a.leave());
    end(l, c, 0, 0);
}

#[test]
fn model_full_for_the_gone() {
    model::sound("full for the gone", 2, full_for_the_gone);
    model::twin(Fault::FullForTheGone, "only a closed connection is behind");
}
#[test]
fn model_try_publish() {
    model::sound("try publish", 2, try_publish);
    model::twin(Fault::OverwriteWhenFull, "a try overwrites nothing");
}
#[test]
fn model_try_exact() {
    model::sound("try exact", 2, try_exact);
}
