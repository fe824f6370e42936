//! Models of questions: who decides, and who is told.

use std::sync::Arc;
use std::time::Duration;

use super::small;
use crate::NoAnswer;
use crate::sync::{Fault, model};

const DEADLINE: Duration = Duration::from_secs(1);

/// Two devices answer, and the deadline comes: one of the three decides, and the asker learns which.
fn answer_answer_deadline() {
    let (hub, ann) = small();
    let (phone, tab) = (ann.connect().expect("room"), ann.connect().expect("room"));
    let mut ask = ann.ask(DEADLINE, |_| 0).expect("room");
    let id = ask.id();
    let t = loom::thread::spawn(move || tab.answer(id, 1).is_ok());
    let core = Arc::clone(&hub.core);
    let sweeper = loom::thread::spawn(move || core.sweep_questions(DEADLINE));
    let first = phone.answer(id, 2).is_ok();
    let second = t.join().unwrap();
    sweeper.join().unwrap();
    let got = ask
        .try_answer()
        .expect("it is over")
        .map(|answer| answer.event);
    let expected = match (first, second) {
        (true, false) => Ok(2),
        (false, true) => Ok(1),
        (false, false) => Err(NoAnswer::Deadline),
        (true, true) => panic!("one decides"),
    };
    assert_eq!(got, expected, "one decides");
    assert_eq!(
        ask.try_answer(),
        Some(Err(if got.is_ok() {
            NoAnswer::Taken
        } else {
            NoAnswer::Deadline
        }))
    );
}

#[test]
fn answer_against_answer_and_deadline() {
    model::sound("answer, answer, deadline", 2, answer_answer_deadline);
    model::twin(Fault::DecideInTwoSteps, "one decides");
}

/// A device answers while the asker goes to sleep: the asker finds the answer, or is woken.
fn answer_while_falling_asleep() {
    let (_hub, ann) = small();
    let phone = ann.connect().expect("room");
    let mut ask = ann.ask(DEADLINE, |_| 0).expect("room");
    let id = ask.id();
    let t = loom::thread::spawn(move || (phone.answer(id, 1).is_ok(), phone));
    let (calls, waker) = model::waker();
    let slept = ask.look_or_arm(&waker).is_none();
    let (is_first, _phone) = t.join().unwrap();
    assert!(is_first);
    let woken = calls.count() > 0;
    assert!(!slept || woken, "the asker sleeps behind its answer");
}

#[test]
fn answer_against_falling_asleep() {
    model::sound("answer, fall asleep", 2, answer_while_falling_asleep);
    model::twin(
        Fault::AskWithoutLooking,
        "the asker sleeps behind its answer",
    );
}

/// The asker gives up while a device answers: the device gets its answer back, or it is dropped.
fn answer_while_giving_up() {
    let (hub, ann) = small();
    let phone = ann.connect().expect("room");
    let ask = ann.ask(DEADLINE, |_| 0).expect("room");
    let id = ask.id();
    let t = loom::thread::spawn(move || {
        let _either = phone.answer(id, 1);
        assert!(phone.answer(id, 2).is_err(), "it is over");
        phone
    });
    drop(ask);
    let phone = t.join().unwrap();
    let again = ann.ask(DEADLINE, |_| 0).expect("room");
    assert!(
        phone.answer(again.id(), 3).is_ok(),
        "the next question is found"
    );
    drop((hub, again));
}

#[test]
fn answer_against_giving_up() {
    model::sound("answer, give up", 2, answer_while_giving_up);
}

/// The last device leaves while it is asked: the question is refused, or over.
fn leave_while_asking() {
    let (hub, ann) = small();
    let phone = ann.connect().expect("room");
    // loom does not know the counts of an `Arc`, so the entry is freed after the threads have met.
    let _entry = hub.core.find(ann.user());
    let t = loom::thread::spawn(move || drop(phone));
    let asked = ann.ask(DEADLINE, |_| 0);
    t.join().unwrap();
    if let Ok(mut ask) = asked {
        let over = Some(Err(NoAnswer::NoDevice));
        assert_eq!(ask.try_answer(), over, "no device is left");
    }
}

#[test]
fn ask_against_leaving() {
    model::sound("ask, leave", 2, leave_while_asking);
    model::twin(Fault::CloseWithoutTelling, "no device is left");
}

/// Two questions to one user at once, one of which is given up: the other one is found.
fn ask_while_giving_up() {
    let (_hub, ann) = small();
    let phone = ann.connect().expect("room");
    let other = ann.clone();
    let ask = ann.ask(DEADLINE, |_| 0).expect("room");
    let t = loom::thread::spawn(move || other.ask(DEADLINE, |_| 0).expect("room"));
    drop(ask);
    let mut ask = t.join().unwrap();
    assert!(phone.answer(ask.id(), 1).is_ok(), "the question is found");
    assert!(ask.try_answer().is_some());
}

#[test]
fn ask_against_giving_up() {
    model::sound("ask, give up", 2, ask_while_giving_up);
    model::twin(Fault::AskInAGoneEntry, "the question is found");
}
