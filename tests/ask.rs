//! Questions to a user's devices, and their answers.
#![cfg(not(any(laneway_loom, laneway_shuttle)))]

#[path = "common/wakes.rs"]
mod wakes;

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use laneway::{
    AnswerError, AskError, AskId, ConnectOptions, Connection, Hub, Limits, NoAnswer, NotAllowed,
    PublishError, Received, Retention, Revocation, ThreadId, UserId, UserScope, conserved,
};
use wakes::Calls;

const UNTIL: Duration = Duration::from_secs(30);

fn user(name: &str) -> UserId {
    UserId::new(name).expect("valid")
}

fn hub_and_ann() -> (Hub<u32>, UserScope<u32>) {
    let hub = Hub::new();
    let ann = hub.scope(user("ann"));
    (hub, ann)
}

fn read(device: &mut Connection<u32>) -> u32 {
    match device.try_recv() {
        Ok(Received::Event(next)) => next.event,
        other => panic!("no event: {other:?}"),
    }
}

#[test]
fn r120_the_first_device_that_answers_wins_and_the_asker_learns_which() {
    let (hub, ann) = hub_and_ann();
    let [mut phone, mut laptop] = [0; 2].map(|_| ann.connect().expect("room"));
    let mut ask = ann.ask(UNTIL, |_| 7).expect("room");
    assert_eq!(ask.delivery().connections, 2);
    assert_eq!((read(&mut phone), read(&mut laptop)), (7, 7));
    assert_eq!(ask.try_answer(), None);
    laptop.answer(ask.id(), 1).expect("the first");
    assert_eq!(
        phone.answer(ask.id(), 2),
        Err(AnswerError::Over(2)),
        "it comes back"
    );
    assert_eq!(laptop.answer(ask.id(), 3), Err(AnswerError::Over(3)));
    let answer = ask.try_answer().expect("answered").expect("an answer");
    assert_eq!((answer.event, answer.device), (1, Some(laptop.id())));
    assert_eq!(ask.try_answer(), Some(Err(NoAnswer::Taken)));
    assert_eq!(phone.answer(ask.id(), 4), Err(AnswerError::Over(4)));
    // No device has received the answer, and the accounts are those of one event.
    assert!(phone.try_recv().is_err() && laptop.try_recv().is_err());
    let all = [phone.stats(), laptop.stats()];
    conserved(1, hub.accepted(), &hub.stats(), all).expect("one event");
    assert_eq!(hub.stats().foreign_answers, 0);
}

#[test]
fn r120_a_question_for_some_devices_is_answered_by_them_only() {
    let (hub, ann) = hub_and_ann();
    let oslo = ThreadId::new("Oslo").expect("valid");
    let phone = ann.connect().expect("room");
    let tab = ann
        .connect_with(ConnectOptions::default().thread(oslo.clone()))
        .expect("room");
    let for_thread = ann.to_thread(&oslo).ask(UNTIL, |_| 7).expect("room");
    assert_eq!(for_thread.delivery().connections, 1);
    assert_eq!(
        phone.answer(for_thread.id(), 1),
        Err(AnswerError::NotAsked(1))
    );
    assert!(tab.answer(for_thread.id(), 2).is_ok());
    let for_others = ann.to_others(tab.id()).ask(UNTIL, |_| 7).expect("room");
    assert_eq!(
        tab.answer(for_others.id(), 1),
        Err(AnswerError::NotAsked(1))
    );
    assert!(phone.answer(for_others.id(), 2).is_ok());
    let for_phone = ann
        .to_connection(phone.id())
        .ask(UNTIL, |_| 7)
        .expect("room");
    assert!(
        ann.answer(for_phone.id(), 3).is_ok(),
        "a scope speaks for each device"
    );
    let by_host = hub.to_user(ann.user()).ask(UNTIL, |_| 7).expect("room");
    assert!(phone.answer(by_host.id(), 4).is_ok());
}

#[test]
fn r120_an_answer_of_another_user_is_refused_counted_and_tells_nothing() {
    let (hub, ann) = hub_and_ann();
    let bob = hub.scope(user("bob"));
    let (hers, his) = (ann.connect().expect("room"), bob.connect().expect("room"));
    let mut ask = ann.ask(UNTIL, |_| 7).expect("room");
    let mut own = bob.ask(UNTIL, |_| 7).expect("room");
    let made_up: AskId = "0123456789abcdef0123456789abcdef".parse().expect("an id");
    let over = ann.ask(UNTIL, |_| 7).expect("room").id();
    let other_hub = Hub::<u32>::new();
    let elsewhere = other_hub.scope(user("bob"));
    let _device = elsewhere.connect().expect("room");
    let elsewhere = elsewhere.ask(UNTIL, |_| 7).expect("room");
    // One that waits, one that is over, one of another hub, and one that never was: all the same.
    for id in [ask.id(), over, elsewhere.id(), made_up] {
        let refused = his.answer(id, 1);
        assert_eq!(refused, Err(AnswerError::Unknown(1)));
        let text = refused.unwrap_err().to_string();
        assert!(!text.contains("ann") && text == "the user was asked no such question");
        assert_eq!(bob.answer(id, 1), Err(AnswerError::Unknown(1)));
    }
    assert_eq!(hub.stats().foreign_answers, 8);
    assert_eq!((ask.try_answer(), own.try_answer()), (None, None));
    assert!(hers.answer(ask.id(), 2).is_ok() && his.answer(own.id(), 3).is_ok());
    // Changed in any digit, it is no id of hers.
    let text = ann.ask(UNTIL, |_| 7).expect("room").id().to_string();
    for at in 0..32 {
        let mut changed = text.clone().into_bytes();
        changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
        let changed = String::from_utf8(changed).expect("digits");
        let refused = hers.answer(changed.parse().expect("digits"), 1);
        assert_eq!(refused, Err(AnswerError::Unknown(1)), "digit {at}");
    }
    for bad in [
        "",
        "7",
        &text[1..],
        &text.to_uppercase().replace('0', "A"),
        &format!("+{}", &text[1..]),
    ] {
        assert!(bad.parse::<AskId>().is_err(), "{bad}");
    }
}

#[test]
fn r120_deadlines_are_told_by_sweeps() {
    let (hub, ann) = hub_and_ann();
    let device = ann.connect().expect("room");
    let mut early = ann.ask(UNTIL, |_| 7).expect("room");
    let mut late = ann.ask(2 * UNTIL, |_| 7).expect("room");
    hub.sweep(Duration::from_micros(29_999_999));
    assert_eq!((early.try_answer(), late.try_answer()), (None, None));
    hub.sweep(UNTIL);
    assert_eq!(early.try_answer(), Some(Err(NoAnswer::Deadline)));
    assert_eq!(early.try_answer(), Some(Err(NoAnswer::Deadline)));
    assert_eq!(device.answer(early.id(), 1), Err(AnswerError::Over(1)));
    assert!(device.answer(late.id(), 2).is_ok(), "the other one waits");
    hub.sweep(Duration::MAX);
    assert!(
        late.try_answer().expect("answered").is_ok(),
        "an answer in time stays"
    );
    // A clock that was ahead ends no later question.
    hub.sweep(Duration::ZERO);
    let mut next = ann.ask(UNTIL, |_| 7).expect("room");
    hub.sweep(Duration::from_secs(1));
    assert_eq!(next.try_answer(), None);
}

#[test]
fn r120_the_asker_is_told_that_no_device_is_left() {
    for retention in [None, Some(Retention::events(8))] {
        let hub: Hub<u32> = Hub::builder().retention(retention).build().expect("valid");
        let ann = hub.scope(user("ann"));
        let Err(AskError::Publish(refused)) = ann.ask(UNTIL, |_| 7) else {
            assert!(retention.is_some());
            continue;
        };
        assert_eq!(refused, PublishError::NoConnections(7));
    }
    for retention in [None, Some(Retention::events(8))] {
        let hub: Hub<u32> = Hub::builder().retention(retention).build().expect("valid");
        let ann = hub.scope(user("ann"));
        let (phone, laptop) = (ann.connect().expect("room"), ann.connect().expect("room"));
        let mut of_all = ann.ask(UNTIL, |_| 7).expect("room");
        let mut of_phone = ann
            .to_connection(phone.id())
            .ask(UNTIL, |_| 7)
            .expect("room");
        drop(phone);
        assert_eq!(
            of_phone.try_answer(),
            Some(Err(NoAnswer::NoDevice)),
            "at once"
        );
        assert_eq!(of_all.try_answer(), None);
        ann.disconnect(laptop.id(), 1);
        assert_eq!(of_all.try_answer(), Some(Err(NoAnswer::NoDevice)));
        assert_eq!(laptop.answer(of_all.id(), 1), Err(AnswerError::Closed(1)));
        // A device that takes its own place goes on.
        let phone = ann.connect().expect("room");
        let mut ask = ann.ask(UNTIL, |_| 7).expect("room");
        let mut own = ann
            .to_connection(phone.id())
            .ask(UNTIL, |_| 7)
            .expect("room");
        let (again, _) = ann.resume(&phone.position()).expect("hers");
        drop(phone);
        assert_eq!((ask.try_answer(), own.try_answer()), (None, None));
        assert!(again.answer(ask.id(), 2).is_ok() && again.answer(own.id(), 3).is_ok());
        let mut last = ann.ask(UNTIL, |_| 7).expect("room");
        hub.shutdown();
        assert!(ann.ask(UNTIL, |_| 7).is_err());
        drop(again);
        assert_eq!(last.try_answer(), Some(Err(NoAnswer::NoDevice)));
    }
}

#[test]
fn r120_a_task_awaits_the_answer_and_a_dropped_wait_loses_nothing() {
    let (hub, ann) = hub_and_ann();
    let device = ann.connect().expect("room");
    let mut ask = ann.ask(UNTIL, |_| 7).expect("room");
    let calls = Arc::new(Calls::default());
    let waker = Waker::from(Arc::clone(&calls));
    let mut cx = Context::from_waker(&waker);
    let count = || calls.0.load(Ordering::SeqCst);
    for _ in 0..3 {
        assert!(Pin::new(&mut ask).poll(&mut cx).is_pending());
    }
    assert_eq!(count(), 0);
    device.answer(ask.id(), 1).expect("the first");
    assert_eq!(count(), 1);
    let Poll::Ready(Ok(answer)) = Pin::new(&mut ask).poll(&mut cx) else {
        panic!("answered");
    };
    assert_eq!(answer.event, 1);
    // The deadline wakes, the last device wakes, and a waker that panics or answers hurts no other thread.
    let mut ask = ann.ask(UNTIL, |_| 7).expect("room");
    assert!(Pin::new(&mut ask).poll(&mut cx).is_pending());
    hub.sweep(UNTIL);
    assert_eq!(count(), 2);
    let mut ask = ann.ask(UNTIL, |_| 7).expect("room");
    assert!(Pin::new(&mut ask).poll(&mut cx).is_pending());
    drop(device);
    assert_eq!(count(), 3);
}

#[test]
#[allow(clippy::disallowed_methods)] // The other thread sleeps meanwhile.
fn r120_a_thread_waits_for_the_answer() {
    let (_hub, ann) = hub_and_ann();
    let device = ann.connect().expect("room");
    let mut ask = ann.ask(UNTIL, |_| 7).expect("room");
    assert_eq!(ask.wait_timeout(Duration::from_millis(5)), None);
    let id = ask.id();
    let answering = thread::spawn(move || {
        thread::sleep(Duration::from_millis(20));
        device.answer(id, 1).expect("the first");
    });
    let answer = ask.wait_timeout(Duration::from_secs(60)).expect("answered");
    assert_eq!(answer.expect("an answer").event, 1);
    answering.join().expect("no panic");
}

#[test]
fn r120_questions_are_bounded_for_each_user_and_for_the_hub() {
    let hub = Hub::builder().shards(1).build::<u32>().expect("valid");
    let mut devices = Vec::new();
    let mut asks = Vec::new();
    for n in 0..1024 {
        let scope = hub.scope(user(&format!("user {n}")));
        devices.push(scope.connect().expect("room"));
        for _ in 0..64 {
            asks.push(scope.ask(UNTIL, |_| 7).expect("room"));
        }
        if n == 0 {
            let full = scope.ask(UNTIL, |_| panic!("no event is made"));
            assert_eq!(full.unwrap_err(), AskError::TooManyOfUser { limit: 64 });
        }
    }
    let ann = hub.scope(user("ann"));
    devices.push(ann.connect().expect("room"));
    let full = ann.ask(UNTIL, |_| panic!("no event is made"));
    assert_eq!(full.unwrap_err(), AskError::TooMany { limit: 65_536 });
    asks.pop();
    let again = ann.ask(UNTIL, |_| 7).expect("one has made room");
    drop(asks);
    drop(again);
    // A question that is refused, or whose maker panics, takes no room.
    let made = catch_unwind(AssertUnwindSafe(|| {
        ann.ask(UNTIL, |_| panic!("in the host's code")).is_ok()
    }));
    assert!(made.is_err());
    let absent = hub.scope(user("absent"));
    for _ in 0..100 {
        assert!(absent.ask(UNTIL, |_| 7).is_err());
    }
    let all: Vec<_> = (0..64)
        .map(|_| ann.ask(UNTIL, |_| 7).expect("room"))
        .collect();
    assert!(ann.ask(UNTIL, |_| 7).is_err());
    drop(all);
}

#[test]
fn r120_weaker_and_revoked_scopes_ask_and_answer_as_they_publish() {
    let (hub, ann) = hub_and_ann();
    let device = ann.connect().expect("room");
    let one = ann
        .attenuate(Limits::new().publish_only().events(1))
        .expect("not too deep");
    let mut ask = one.ask(UNTIL, |_| 7).expect("allowed");
    let denied = |missing| AskError::Publish(PublishError::NotAllowed(7, missing));
    assert_eq!(
        one.ask(UNTIL, |_| 7).unwrap_err(),
        denied(NotAllowed::Events)
    );
    let display = ann
        .attenuate(Limits::new().receive_only())
        .expect("not too deep");
    assert_eq!(
        display.ask(UNTIL, |_| 7).unwrap_err(),
        denied(NotAllowed::Publish)
    );
    let refused = display.answer(ask.id(), 1);
    assert_eq!(
        refused,
        Err(AnswerError::NotAllowed(1, NotAllowed::Publish))
    );
    hub.revoke(ann.user(), Revocation::all().keep_connections());
    let revoked = AskError::Publish(PublishError::Revoked(7));
    assert_eq!(ann.ask(UNTIL, |_| 7).unwrap_err(), revoked);
    assert_eq!(ann.answer(ask.id(), 1), Err(AnswerError::Revoked(1)));
    assert!(
        device.answer(ask.id(), 2).is_ok(),
        "the connection was left"
    );
    assert!(ask.try_answer().expect("answered").is_ok());
    let mut ask = hub.scope(user("ann")).ask(UNTIL, |_| 7).expect("allowed");
    hub.revoke(ann.user(), Revocation::all());
    assert_eq!(device.answer(ask.id(), 3), Err(AnswerError::Closed(3)));
    assert_eq!(ask.try_answer(), Some(Err(NoAnswer::NoDevice)));
}

#[derive(Clone, Debug)]
struct Counted(Arc<AtomicIsize>);

impl Counted {
    fn new(alive: &Arc<AtomicIsize>) -> Self {
        alive.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(alive))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn r120_an_answer_is_dropped_with_its_question_and_never_by_a_collector() {
    let alive = Arc::new(AtomicIsize::new(0));
    let hub: Hub<Counted> = Hub::new();
    let ann = hub.scope(user("ann"));
    let device = ann.connect().expect("room");
    for _ in 0..100 {
        let ask = ann.ask(UNTIL, |_| Counted::new(&alive)).expect("room");
        let before = alive.load(Ordering::SeqCst);
        device
            .answer(ask.id(), Counted::new(&alive))
            .expect("the first");
        assert_eq!(alive.load(Ordering::SeqCst), before + 1);
        let id = ask.id();
        drop(ask);
        assert_eq!(alive.load(Ordering::SeqCst), before);
        drop(device.answer(id, Counted::new(&alive)));
        assert_eq!(alive.load(Ordering::SeqCst), before);
    }
}

#[test]
fn r120_one_of_many_answers_wins_whatever_threads_do() {
    for round in 0..200_u64 {
        let (hub, ann) = hub_and_ann();
        let devices = [0; 3].map(|_| ann.connect().expect("room"));
        let mut ask = ann.ask(UNTIL, |_| 7).expect("room");
        let id = ask.id();
        let wins: Vec<_> = thread::scope(|s| {
            let answering = devices
                .each_ref()
                .map(|device| s.spawn(move || device.answer(id, 1).ok().map(|()| device.id())));
            if round % 2 == 0 {
                hub.sweep(UNTIL);
            }
            answering
                .into_iter()
                .filter_map(|t| t.join().expect("no panic"))
                .collect()
        });
        match ask.try_answer().expect("over") {
            Ok(answer) => assert_eq!(wins, [answer.device.expect("a device")]),
            Err(reason) => {
                assert_eq!(reason, NoAnswer::Deadline);
                assert!(wins.is_empty() && round % 2 == 0);
            }
        }
    }
}
