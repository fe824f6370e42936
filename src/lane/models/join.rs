//! Connections join, and are counted by exactly what they get.

use super::super::audience::Audience;
use super::super::core::Lane;
use super::super::outcome::Departure;
use super::stand::*;
use crate::error::CloseReason;
use crate::id::{ConnectionId, ThreadId};
use crate::sync::{Fault, model};

/// A connection that joins is counted by exactly the events that it gets.
fn join_and_publish_counted() {
    let (l, c) = (lane(), counts());
    let mut a = l.join().unwrap();
    let l2 = l.clone();
    let t = spawn(move || {
        let accepted = l2.publish_for(Ev::new(1, c), None, false);
        accepted.expect("a connection is there").connections
    });
    let mut b = l.join().unwrap();
    let counted = t.join().unwrap();
    a.drain();
    b.drain();
    let got = a.got.len() + b.got.len();
    assert_eq!(usize::from(counted), got, "counted and delivered agree");
    clean(&l);
    drop(a.leave());
    drop(b.leave());
    end(l, c, 0, 0);
}

/// One place, and two connections that want it.
fn join_and_join() {
    let (l, c) = (lane(), counts());
    let _first = l.join().unwrap();
    let l2 = l.clone();
    let t = spawn(move || Lane::join(&l2, 2).is_ok());
    let here = Lane::join(&l, 2).is_ok();
    assert!(t.join().unwrap() != here, "exactly one finds the place");
    assert_eq!(l.live(), 2, "and is counted");
    let _ = c;
}

/// A lane that its last connection leaves is not joined again.
fn last_leave_and_join() {
    let (l, c) = (lane(), counts());
    let a = l.join().unwrap();
    let l2 = l.clone();
    let t = spawn(move || {
        if let Some(mut b) = l2.join() {
            let mut d = vec![];
            publish(&l2, c, 1, &mut d);
            b.drain();
            assert_eq!(b.got, d, "a lane with a connection is open");
            drop(b.leave());
        } else {
            assert!(l2.is_over(), "a lane without a connection is over");
        }
    });
    let departure = Lane::close(&l, a.member(), CloseReason::Dropped, None);
    let is_last = matches!(departure, Departure::Last { .. });
    assert!(
        !is_last || l.join().is_none(),
        "a lane left by its last connection stays closed"
    );
    drop(a.leave());
    t.join().unwrap();
    end(l, c, 0, 0);
}

/// An event for some of the connections, one of which is just joining: it gets the event if it counts
/// for it, and the connection that it is not for never does.
fn audience_and_join(audience: Audience, thread: Option<ThreadId>) {
    let (l, c) = (lane(), counts());
    let mut a = l.join().unwrap();
    let l2 = l.clone();
    let t = spawn(move || {
        let accepted = l2.publish_for(Ev::new(1, c), Some(audience), false);
        accepted.expect("a connection is there").connections
    });
    let mut b = l.join_attached(thread).unwrap();
    a.read(true);
    b.read(true);
    let counted = t.join().unwrap();
    all_read(&l, &mut a);
    all_read(&l, &mut b);
    assert_eq!(a.got.len(), 0, "a connection gets nothing of the others'");
    assert_eq!(a.stepped(), a.cursor - a.joined, "it steps over it");
    assert_eq!(
        b.got.len() + 1,
        usize::from(counted),
        "a newcomer that counts gets its event"
    );
    clean(&l);
    drop(a.leave());
    drop(b.leave());
    end(l, c, 0, 0);
}

fn thread_and_join() {
    let thread = || ThreadId::new("t").expect("an id");
    audience_and_join(Audience::Thread(thread()), Some(thread()));
}
fn others_and_join() {
    audience_and_join(Audience::Others(ConnectionId(1)), None);
}

/// Two readers take an addressed event, each by its own rule, while it is being published.
fn audience_and_readers() {
    let (l, c) = (lane(), counts());
    let (mut a, mut b) = (l.join().unwrap(), l.join().unwrap());
    let l2 = l.clone();
    let p = spawn(move || {
        let only = Audience::Connection(ConnectionId(2));
        let accepted = l2.publish_for(Ev::new(1, c), Some(only), false);
        accepted.expect("two connections are there").connections
    });
    let t = spawn(move || {
        b.read(true);
        b
    });
    a.read(true);
    let mut b = t.join().unwrap();
    assert_eq!(p.join().unwrap(), 2);
    all_read(&l, &mut a);
    all_read(&l, &mut b);
    assert_eq!(a.got.len(), 0, "a connection gets nothing of the others'");
    assert_eq!((b.ids(), a.stepped(), b.stepped()), (vec![1], 1, 0));
    clean(&l);
    drop(a.leave());
    drop(b.leave());
    end(l, c, 0, 0);
}

/// An unread event of a connection that has joined is not overwritten, whether it is listed or not.
fn try_publish_and_join() {
    let (l, c) = (lane(), counts());
    let mut a = l.join().unwrap();
    let l2 = l.clone();
    let t = spawn(move || l2.join().unwrap());
    let mut d = vec![];
    publish(&l, c, 0, &mut d);
    publish(&l, c, 1, &mut d);
    a.read(true);
    if let Ok(number) = l.publish_as(Ev::new(2, c), false, true) {
        d.push((number, 2));
    }
    let mut b = t.join().unwrap();
    all_read(&l, &mut a);
    all_read(&l, &mut b);
    assert_eq!(b.missed, 0, "what the newcomer has to read is there");
    exact_r(&d, &a, 0);
    exact_r(&d, &b, 0);
    clean(&l);
    drop(a.leave());
    drop(b.leave());
    end(l, c, 0, 0);
}

/// An event that overwrites nothing does not count a connection that has not read the event in its
/// place.
fn try_publish_and_leave() {
    let (l, c) = (lane(), counts());
    let (a, mut b) = (l.join().unwrap(), l.join().unwrap());
    let mut d = vec![];
    publish(&l, c, 0, &mut d);
    publish(&l, c, 1, &mut d);
    b.read(true);
    let l2 = l.clone();
    let t = spawn(move || {
        let accepted = l2.publish_for(Ev::new(2, c), None, true);
        accepted.map(|accepted| accepted.connections)
    });
    drop(a.leave());
    let counted = t.join().unwrap();
    assert!(
        counted != Ok(2),
        "the leaver is gone, or what it has not read stays"
    );
    b.drain();
    clean(&l);
    drop(b.leave());
    end(l, c, 0, 0);
}

/// A connection's owner goes while another thread closes it: one of the two counts it out.
fn leave_and_close() {
    let (l, c) = (lane(), counts());
    let (mut a, mut b) = (l.join().unwrap(), l.join().unwrap());
    let mut d = vec![];
    publish(&l, c, 0, &mut d);
    publish(&l, c, 1, &mut d);
    a.read(true);
    b.drain();
    let (l2, m) = (l.clone(), a.member.clone());
    let t = spawn(move || {
        let mut d = vec![];
        l2.close_member(&m);
        publish(&l2, c, 2, &mut d);
        d
    });
    drop(a.leave());
    b.drain();
    d.extend(t.join().unwrap());
    all_read(&l, &mut b);
    exact_r(&d, &b, 0);
    assert_eq!(b.ids(), [0, 1, 2]);
    assert_eq!(
        l.full(),
        0,
        "nothing is kept for a connection that has left"
    );
    clean(&l);
    drop(b.leave());
    end(l, c, 0, 0);
}

#[test]
fn model_join_and_publish_counted() {
    model::sound("join and publish, counted", 3, join_and_publish_counted);
    model::twin(Fault::JoinThenLook, "counted and delivered agree");
}
#[test]
fn model_join_and_join() {
    model::sound("join and join", 3, join_and_join);
    model::twin(Fault::JoinInTwoSteps, "exactly one finds the place");
}
#[test]
fn model_last_leave_and_join() {
    model::sound("last leave and join", 3, last_leave_and_join);
    model::twin(Fault::VacantButOpen, "a lane left by its last");
}
#[test]
fn model_thread_and_join() {
    model::sound("thread and join", 3, thread_and_join);
    model::twin(Fault::ReadWhatIsForOthers, "nothing of the others'");
}
#[test]
fn model_others_and_join() {
    model::sound("others and join", 3, others_and_join);
    model::twin(Fault::ReadWhatIsForOthers, "nothing of the others'");
}
#[test]
fn model_audience_and_readers() {
    model::sound("audience and readers", 2, audience_and_readers);
    model::twin(Fault::ReadWhatIsForOthers, "nothing of the others'");
}
#[test]
fn model_try_publish_and_join() {
    model::sound("try publish and join", 3, try_publish_and_join);
    model::twin(Fault::OverlookJoining, "what the newcomer has to read");
}
#[test]
fn model_try_publish_and_leave() {
    model::sound("try publish and leave", 2, try_publish_and_leave);
    model::twin(Fault::OverlookLeaving, "the leaver is gone, or what");
}
#[test]
fn model_leave_and_close() {
    model::sound("leave and close", 2, leave_and_close);
    model::twin(Fault::LeaveItToTheOwner, "nothing is kept for");
}
