//! loom models of a drain: beside connects, publishes, other steps, and tasks that wait for its end.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::engine::models::small;
use crate::sync::{AtomicUsize, Fault, Ordering, model};
use crate::{CloseReason, Closed, DrainPhase, DrainPlan, Received, TryRecvError};

fn plan() -> DrainPlan<u8> {
    DrainPlan::within(Duration::from_secs(9)).tell(|_, _| 9)
}

const END: Result<Received<u8>, TryRecvError> = Err(TryRecvError::Closed(Closed {
    reason: CloseReason::Drained,
}));

fn event(received: Result<Received<u8>, TryRecvError>) -> Option<u8> {
    match received {
        Ok(Received::Event(got)) => Some(got.event),
        _ => None,
    }
}

/// A connect while a drain begins: it is refused, or the connection is told and closed.
fn drain_while_connecting() {
    let (hub, ann) = small();
    let t = loom::thread::spawn(move || ann.connect());
    let drain = hub.drain(plan()).expect("the first");
    // Both ways through a phase that has come to its end need one more step.
    for _ in 0..3 {
        drain.step(Duration::ZERO);
    }
    if let Ok(mut connection) = t.join().unwrap() {
        assert_eq!(event(connection.try_recv()), Some(9), "told and closed");
        assert_eq!(connection.try_recv(), END, "told and closed");
    }
    drain.step(Duration::ZERO);
    assert!(hub.is_shut_down(), "told and closed");
}

/// A publish while a drain closes: what is accepted is received.
fn drain_while_publishing() {
    let (hub, ann) = small();
    let mut device = ann.connect().expect("room");
    let drain = hub
        .drain(DrainPlan::within(Duration::from_secs(9)))
        .unwrap();
    drain.step(Duration::ZERO);
    let t = loom::thread::spawn(move || ann.publish(1).is_ok());
    drain.step(Duration::ZERO);
    let is_accepted = t.join().unwrap();
    let is_received = event(device.try_recv()) == Some(1);
    assert_eq!(is_accepted, is_received, "what is accepted is received");
    assert_eq!(device.try_recv(), END);
}

/// Two threads step at once: a user is told once.
fn step_while_stepping() {
    let (hub, ann) = small();
    let mut device = ann.connect().expect("room");
    let drain = hub.drain(plan()).expect("the first");
    let other = drain.clone();
    let t = loom::thread::spawn(move || other.step(Duration::ZERO));
    drain.step(Duration::ZERO);
    t.join().unwrap();
    drain.step(Duration::ZERO);
    let told = std::iter::from_fn(|| event(device.try_recv())).count();
    assert_eq!(told, 1, "told once");
    assert_eq!(drain.progress().told, 1);
}

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

/// A task waits while a step ends the drain: it finds the end, or is woken.
fn end_while_waiting() {
    let (hub, _ann) = small();
    let drain = hub.drain(plan()).expect("the first");
    let other = drain.clone();
    let t = loom::thread::spawn(move || other.step(Duration::ZERO).phase);
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&count));
    let mut cx = Context::from_waker(&waker);
    let mut drained = pin!(drain.drained());
    let is_pending = drained.as_mut().poll(&mut cx).is_pending();
    assert_eq!(t.join().unwrap(), DrainPhase::Drained);
    if is_pending {
        assert!(count.0.load(Ordering::Acquire) > 0, "the task is woken");
        assert!(matches!(drained.as_mut().poll(&mut cx), Poll::Ready(_)));
    }
}

#[test]
fn drain_against_connect() {
    model::sound("drain, connect", 2, drain_while_connecting);
    model::twin(Fault::ConnectIntoTheDrain, "told and closed");
}
#[test]
fn drain_against_publish() {
    model::sound("drain, publish", 3, drain_while_publishing);
    model::twin(Fault::CutBeforeTheDeadline, "what is accepted is received");
}
#[test]
fn drain_against_drain() {
    model::sound("drain, drain", 2, step_while_stepping);
    model::twin(Fault::TellUnclaimed, "told once");
}
#[test]
fn drain_against_waiting() {
    model::sound("drain, wait", 3, end_while_waiting);
    model::twin(Fault::LookAtThePhase, "the task is woken");
}
