//! Connections are attached to threads and detached from them while events come.

use super::super::audience::Audience;
use super::stand::*;
use crate::id::ThreadId;
use crate::sync::{Fault, model};

fn thread() -> ThreadId {
    ThreadId::new("t").expect("an id")
}

fn to_thread(lane: &L, counts: &'static Counts, id: u64) {
    let audience = Some(Audience::Thread(thread()));
    let accepted = lane.publish_for(Ev::new(id, counts), audience, false);
    assert!(accepted.is_ok(), "a connection is there");
}

/// A reader is attached while events for the thread come: it gets none from before, and each from after.
fn attach_and_publish() {
    let (l, c) = (lane_of(4, 2), counts());
    let mut a = l.join().unwrap();
    to_thread(&l, c, 0);
    let l2 = l.clone();
    let t = spawn(move || to_thread(&l2, c, 1));
    assert_eq!(l.attach(a.member(), &thread()), Ok(()));
    t.join().unwrap();
    let attached = l.clock();
    to_thread(&l, c, 2);
    all_read(&l, &mut a);
    assert!(!a.ids().contains(&0), "nothing from before the attach");
    assert_eq!(a.got.last(), Some(&(attached, 2)), "all from after it");
    clean(&l);
    drop(a.leave());
    end(l, c, 0, 0);
}

/// Another thread detaches a reader that is behind, while an event for the thread comes: it gets what came before.
fn detach_and_publish_and_receive() {
    let (l, c) = (lane_of(4, 2), counts());
    let _first = l.join().unwrap();
    let mut a = l.join_attached(Some(thread())).unwrap();
    to_thread(&l, c, 0);
    let l2 = l.clone();
    let member = a.member_ref();
    let t = spawn(move || l2.detach(l2.member_at(&member), &thread()));
    let l3 = l.clone();
    let p = spawn(move || to_thread(&l3, c, 1));
    a.read(true);
    assert!(t.join().unwrap(), "it was attached");
    p.join().unwrap();
    to_thread(&l, c, 2);
    all_read(&l, &mut a);
    assert!(a.ids().contains(&0), "what came before the detach comes");
    assert!(!a.ids().contains(&2), "nothing from after the detach");
    drop(a.leave());
}

/// A connection is attached while another one of its device takes over.
fn attach_and_take_over() {
    let (l, c) = (lane(), counts());
    let a = l.join().unwrap();
    let b = l.join().unwrap();
    let l2 = l.clone();
    let member = b.member_ref();
    let t = spawn(move || l2.attach(l2.member_at(&member), &thread()).is_ok());
    let (e, threads) = l.take_over_with_threads(2).expect("it is open");
    if t.join().unwrap() {
        assert_eq!(threads, [thread()], "the device keeps its thread");
    }
    drop(b.leave());
    clean(&l);
    drop(e.leave());
    drop(a.leave());
    end(l, c, 0, 0);
}

#[test]
fn model_attach_and_publish() {
    model::sound("attach and publish", 3, attach_and_publish);
    model::twin(Fault::AttachFromTheCursor, "nothing from before");
}
#[test]
fn model_detach_and_publish_and_receive() {
    model::sound(
        "detach and publish and receive",
        2,
        detach_and_publish_and_receive,
    );
    model::twin(Fault::DecideByTheLast, "what came before the detach");
}
#[test]
fn model_attach_and_take_over() {
    model::sound("attach and take over", 3, attach_and_take_over);
    model::twin(Fault::AttachWithoutLooking, "the device keeps its thread");
}
