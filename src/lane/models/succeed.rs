//! A device resumes while its connection is still live: a new one takes its place.

use super::stand::*;
use crate::sync::{Fault, model};

/// A connection takes over from one that perhaps reads, while an event comes: the lane has two connections at
/// every moment, and each event counts for one of the pair.
fn take_over_and_publish(reads: bool) {
    let (l, c) = (lane(), counts());
    let (mut a, mut b) = (l.join().unwrap(), l.join().unwrap());
    let mut d = vec![];
    publish(&l, c, 0, &mut d);
    let l2 = l.clone();
    let t = spawn(move || {
        let accepted = l2.publish_for(Ev::new(1, c), None, false);
        accepted.expect("two connections are there").connections
    });
    let u = spawn(move || {
        if reads {
            b.read(true);
            b.read(true);
        }
        b
    });
    let mut e = l.take_over(2).expect("it is open");
    assert_eq!(l.live(), 2, "never one more or less");
    assert_eq!(t.join().unwrap(), 2, "never one more or less");
    let mut b = u.join().unwrap();
    a.drain();
    e.drain();
    assert_eq!(b.read(true), Step::Closed, "the ghost is closed");
    let ids = [b.ids(), e.ids()].concat();
    assert!(ids.is_sorted_by(|x, y| x < y), "each once");
    drop(b.leave());
    assert_eq!(a.ids(), [0, 1]);
    assert!(e.joined == 12 || e.ids() == [1], "what counts for it comes");
    clean(&l);
    drop(a.leave());
    drop(e.leave());
    end(l, c, 0, 0);
}

/// A connection takes over from the one that a lane is made for, whose owner goes meanwhile: one of the
/// two passes what was not read.
fn take_over_and_leave() {
    let (l, c) = (lane(), counts());
    let (a, mut b) = (l.join().unwrap(), l.join().unwrap());
    let mut d = vec![];
    publish(&l, c, 0, &mut d);
    publish(&l, c, 1, &mut d);
    b.drain();
    let l2 = l.clone();
    let t = spawn(move || l2.take_over(1));
    drop(a.leave());
    let e = t.join().unwrap();
    assert_eq!(l.live(), 1 + usize::from(e.is_some()), "closed once");
    assert_eq!(
        l.full(),
        0,
        "nothing is kept for a connection that has left"
    );
    publish(&l, c, 2, &mut d);
    for mut reader in [Some(b), e].into_iter().flatten() {
        reader.drain();
        assert_eq!(reader.ids().last(), Some(&2));
        drop(reader.leave());
    }
    clean(&l);
    end(l, c, 0, 0);
}

/// Another thread closes the connection that is to be taken over.
fn take_over_and_close() {
    let (l, c) = (lane(), counts());
    let (a, b) = (l.join().unwrap(), l.join().unwrap());
    let (l2, m) = (l.clone(), b.member.clone());
    let t = spawn(move || l2.close_member(&m));
    let e = l.take_over(2);
    t.join().unwrap();
    let live = 1 + usize::from(e.is_some());
    assert_eq!(l.live(), live, "closed once");
    let counted = l.publish_for(Ev::new(0, c), None, false);
    assert_eq!(usize::from(counted.unwrap().connections), live);
    for reader in [Some(a), Some(b), e].into_iter().flatten() {
        drop(reader.leave());
    }
    end(l, c, 0, 0);
}

/// The connection that is to be taken over falls asleep: it is woken, and not counted as asleep for ever.
fn take_over_and_sleep() {
    let (l, c) = (lane(), counts());
    let mut a = l.join().unwrap();
    let l2 = l.clone();
    let t = spawn(move || l2.take_over(1).expect("it is open"));
    let is_asleep = a.park(std::task::Waker::noop());
    let e = t.join().unwrap();
    if is_asleep {
        a.unpark();
    }
    assert_eq!(l.sleepers(), 0, "a ghost does not sleep");
    assert_eq!(a.read(true), Step::Closed);
    drop(a.leave());
    drop(e.leave());
    end(l, c, 0, 0);
}

/// Two connections take over from one: one after the other, or one of them only.
fn take_over_twice() {
    let (l, c) = (lane(), counts());
    let (a, b) = (l.join().unwrap(), l.join().unwrap());
    let l2 = l.clone();
    let t = spawn(move || l2.take_over(2));
    let e = l.take_over(2);
    let f = t.join().unwrap();
    assert_eq!(l.live(), 2, "never one more or less");
    let readers = [Some(b), e, f];
    let open = readers.iter().flatten().filter(|r| r.member().is_open());
    assert_eq!(open.count(), 1, "one is the device");
    for reader in readers.into_iter().flatten().chain([a]) {
        drop(reader.leave());
    }
    end(l, c, 0, 0);
}

#[test]
fn model_take_over_and_publish() {
    model::sound("take over and publish", 3, || take_over_and_publish(false));
    model::twin(Fault::TakeOverInTwoSteps, "never one more or less");
}
#[test]
fn model_take_over_and_read() {
    model::sound("take over and read", 2, || take_over_and_publish(true));
    model::twin(
        Fault::TakeOverByLoad,
        "that it does not count for | what counts for it comes",
    );
}
#[test]
fn model_take_over_and_leave() {
    model::sound("take over and leave", 2, take_over_and_leave);
    model::twin(Fault::LeaveItToTheOwner, "nothing is kept for");
}
#[test]
fn model_take_over_and_close() {
    model::sound("take over and close", 3, take_over_and_close);
    model::twin(Fault::TakeOverFromTheClosed, "closed once");
}
#[test]
fn model_take_over_and_sleep() {
    model::sound("take over and sleep", 3, take_over_and_sleep);
    model::twin(Fault::ForgetTheSleeper, "a ghost does not sleep");
}
#[test]
fn model_take_over_twice() {
    model::sound("take over twice", 3, take_over_twice);
    model::twin(Fault::TakeOverFromTheClosed, "one is the device");
}
