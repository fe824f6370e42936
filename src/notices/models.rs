//! loom models of a channel of notices and of the list of its subscribers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use super::{Subscribers, channel};
use crate::lifecycle::NoNotice;
use crate::sync::{self, Fault, model};

/// A notice comes while the receiver's task falls asleep.
fn send_while_falling_asleep() {
    let (inbox, mut notices) = channel(1);
    let t = loom::thread::spawn(move || assert!(inbox.send(1)));
    let (calls, waker) = model::waker();
    let polled = notices.poll_next(&Context::from_waker(&waker));
    t.join().unwrap();
    let is_asleep = polled == Poll::Pending && calls.count() == 0;
    assert!(!is_asleep, "a task sleeps behind a notice");
}

/// A notice and the end come while the receiver looks, and another notice comes after them.
fn end_while_looking() {
    let (inbox, notices) = channel(2);
    let t = {
        let inbox = Arc::clone(&inbox);
        loom::thread::spawn(move || {
            inbox.send(1);
            inbox.end();
        })
    };
    let early = notices.try_next();
    assert!(early != Err(NoNotice::Over), "the end hides a notice");
    t.join().unwrap();
    inbox.send(2);
    let rest = std::iter::from_fn(|| notices.try_next().ok());
    let all: Vec<_> = early.ok().into_iter().chain(rest).collect();
    assert_eq!(all, [1, 2], "the end hides a notice");
    assert_eq!(notices.try_next(), Err(NoNotice::Over));
}

/// Two changes are told through a channel with room for one notice.
fn send_while_sending() {
    let (inbox, notices) = channel(1);
    let change = Arc::new(sync::AtomicUsize::new(0));
    let t = {
        let (inbox, change) = (Arc::clone(&inbox), Arc::clone(&change));
        loom::thread::spawn(move || {
            change.store(1, Ordering::Relaxed);
            inbox.send(1)
        })
    };
    let fits = inbox.send(2);
    if fits && notices.lost() == 1 {
        let seen = change.load(Ordering::Relaxed);
        assert_eq!(seen, 1, "a loss comes after its change");
    }
    let both = [fits, t.join().unwrap()];
    assert_eq!(both.iter().filter(|fits| **fits).count(), 1, "one has room");
    assert!(notices.try_next().is_ok());
    let rest = (notices.lost(), notices.waiting(), notices.try_next());
    assert_eq!(rest, (1, 0, Err(NoNotice::Nothing)));
}

/// A subscriber comes while another thread takes a dropped one off the list.
fn subscribe_while_relisting() {
    let subscribers = Arc::new(Subscribers::new());
    drop(subscribers.add(1).expect("room"));
    let t = {
        let subscribers = Arc::clone(&subscribers);
        loom::thread::spawn(move || subscribers.tell(|| 1))
    };
    let notices = subscribers.add(2).expect("room");
    t.join().unwrap();
    subscribers.tell(|| 2);
    let told = std::iter::from_fn(|| notices.try_next().ok()).last();
    assert_eq!(told, Some(2), "a subscriber is told");
    drop(notices);
    subscribers.tell(|| 3);
    assert!(subscribers.is_empty(), "no subscriber is left");
}

#[test]
fn notice_against_falling_asleep() {
    model::sound("notice, sleep", 3, send_while_falling_asleep);
    model::twin(Fault::WaitWithoutLooking, "a task sleeps behind a notice");
}
#[test]
fn notice_and_end_against_a_look() {
    model::sound("notice, end, look", 3, end_while_looking);
    model::twin(Fault::AskForTheEndLast, "the end hides a notice");
    model::twin(Fault::StopAtTheEnd, "the end hides a notice");
}
#[test]
fn notice_against_notice() {
    model::sound("notice, notice", 3, send_while_sending);
    model::twin(Fault::RoomInTwoSteps, "one has room");
    model::twin(Fault::LoseUnordered, "a loss comes after its change");
}
#[test]
fn subscribe_against_relisting() {
    model::sound("subscribe, relist", 3, subscribe_while_relisting);
    model::twin(Fault::RelistByStore, "a subscriber is told");
}
