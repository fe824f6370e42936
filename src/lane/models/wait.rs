//! Connections that sleep.

use super::stand::*;
use crate::sync::model::waker;
use crate::sync::{Fault, model};

/// The call that wakes a sleeper.
enum Cause {
    Publish,
    Close,
    Shut,
}

/// A connection falls asleep while something happens. Of `before` events it has read all; they put the
/// lane into a burst, because the other connection has not.
fn wait_and(cause: Cause, before: u64) {
    let (l, c) = (lane(), counts());
    let (mut a, b) = (l.join().unwrap(), l.join().unwrap());
    let mut d = vec![];
    for i in 0..before {
        publish(&l, c, i, &mut d);
    }
    a.drain();
    let (calls, waker) = waker();
    let (l2, m) = (l.clone(), a.member.clone());
    let t = spawn(move || match cause {
        Cause::Publish => publish(&l2, c, 7, &mut vec![]),
        Cause::Close => l2.close_member(&m),
        Cause::Shut => drop(l2.shut()),
    });
    let is_asleep = a.park(&waker);
    t.join().unwrap();
    if is_asleep {
        assert_eq!(calls.count(), 1, "a sleeper is woken, once");
        a.unpark();
    }
    drop(a.leave());
    drop(b.leave());
    end(l, c, 0, 0);
}

fn wait_and_publish() {
    wait_and(Cause::Publish, 0);
}
fn wait_and_publish_in_burst() {
    wait_and(Cause::Publish, 2);
}
fn wait_and_close() {
    wait_and(Cause::Close, 0);
}
fn wait_and_shut() {
    wait_and(Cause::Shut, 0);
}

/// A connection waits for its end while that comes: it is closed, or the lane is shut.
fn await_the_end(is_shut: bool) {
    let (l, c) = (lane(), counts());
    let (a, b) = (l.join().unwrap(), l.join().unwrap());
    let (calls, waker) = waker();
    let (l2, m) = (l.clone(), a.member.clone());
    let t = spawn(move || {
        if is_shut {
            l2.shut();
        } else {
            l2.close_member(&m);
        }
    });
    let waits = a.park_until_closed(&waker);
    t.join().unwrap();
    if waits {
        assert_eq!(calls.count(), 1, "a connection is woken by its end, once");
        a.unpark();
    }
    drop(a.leave());
    drop(b.leave());
    end(l, c, 0, 0);
}

fn await_the_end_and_close() {
    await_the_end(false);
}
fn await_the_end_and_shut() {
    await_the_end(true);
}

/// Two connections fall asleep while one event comes.
fn two_sleepers() {
    let (l, c) = (lane(), counts());
    let (mut a, mut b) = (l.join().unwrap(), l.join().unwrap());
    let (l2, (calls, wake)) = (l.clone(), waker());
    let p = spawn(move || publish(&l2, c, 1, &mut vec![]));
    let t = spawn(move || {
        let (calls, waker) = waker();
        let is_asleep = b.park(&waker);
        (b, is_asleep, calls)
    });
    let is_asleep = a.park(&wake);
    p.join().unwrap();
    let (b, also, others) = t.join().unwrap();
    for (reader, is_asleep, calls) in [(a, is_asleep, calls), (b, also, others)] {
        if is_asleep {
            assert_eq!(calls.count(), 1, "a sleeper is woken, once");
            reader.unpark();
        }
        drop(reader.leave());
    }
    end(l, c, 0, 0);
}

/// A publisher that is stopped while it wakes leaves the sleeper to the publishers after it.
fn frozen_waker() {
    let (l, c) = (lane(), counts());
    let mut a = l.join().unwrap();
    let (calls, waker) = waker();
    assert!(a.park(&waker));
    a.member().wake.wake_and_freeze();
    let l2 = l.clone();
    let t = spawn(move || publish(&l2, c, 1, &mut vec![]));
    publish(&l, c, 2, &mut vec![]);
    t.join().unwrap();
    assert!(calls.count() > 0, "a sleeper is woken");
    a.unpark();
    drop(a.leave());
    end(l, c, 0, 0);
}

/// Sleeps and looks in turn until the event comes that `t` publishes behind a number whose publisher
/// never comes.
fn sleep_until_it_comes(a: &mut Reader, t: loom::thread::JoinHandle<()>, is_asleep: bool) {
    let mut is_asleep = is_asleep;
    let (calls, waker) = waker();
    let mut publisher = Some(t);
    for _ in 0..6 {
        if is_asleep || a.park(&waker) {
            if let Some(t) = publisher.take() {
                t.join().unwrap();
            }
            assert!(is_asleep || calls.count() > 0, "a sleeper is woken");
            a.unpark();
            is_asleep = false;
        }
        if let Step::Got(_) = a.read(true) {
            break;
        }
    }
    assert_eq!(a.ids(), [1], "the sleeper goes on behind the frozen");
    if let Some(t) = publisher {
        t.join().unwrap();
    }
}

/// A publisher has stopped after its claim, and then a connection falls asleep behind it.
fn asleep_behind_the_frozen() {
    let (l, c) = (lane(), counts());
    let mut a = l.join().unwrap();
    let frozen = l.claim(false).unwrap();
    let l2 = l.clone();
    let t = spawn(move || publish(&l2, c, 1, &mut vec![]));
    sleep_until_it_comes(&mut a, t, false);
    let _ = frozen;
    drop(a.leave());
    end(l, c, 0, 0);
}

/// The same with no event behind the frozen publisher's number: the connection can sleep.
fn asleep_at_the_frozen() {
    let (l, c) = (lane(), counts());
    let mut a = l.join().unwrap();
    let late = l.claim(false).unwrap();
    let l2 = l.clone();
    let t = spawn(move || {
        let mut d = vec![];
        finish(&l2, late, c, 1, false, &mut d);
        d
    });
    let (_, waker) = waker();
    let mut is_asleep = false;
    for _ in 0..6 {
        is_asleep = is_asleep || a.park(&waker);
        if is_asleep || matches!(a.read(true), Step::Got(_)) {
            break;
        }
    }
    assert!(
        is_asleep || a.ids() == [1],
        "the sleeper goes on behind the frozen"
    );
    if is_asleep {
        a.unpark();
    }
    let d = t.join().unwrap();
    all_read(&l, &mut a);
    exact_r(&d, &a, 0);
    drop(a.leave());
    end(l, c, 0, 0);
}

/// A connection is asleep, and the publisher of the next number stops before it wakes it.
fn frozen_before_the_sleeper() {
    let (l, c) = (lane(), counts());
    let mut a = l.join().unwrap();
    let (calls, waker) = waker();
    assert!(a.park(&waker));
    let frozen = l.claim(false).unwrap();
    let l2 = l.clone();
    let t = spawn(move || publish(&l2, c, 1, &mut vec![]));
    publish(&l, c, 2, &mut vec![]);
    assert!(calls.count() > 0, "a sleeper is woken");
    a.unpark();
    t.join().unwrap();
    all_read(&l, &mut a);
    assert_eq!(a.got.len(), 2, "what comes behind the frozen is read");
    let _ = frozen;
    drop(a.leave());
    end(l, c, 0, 0);
}

#[test]
fn model_wait_and_publish() {
    model::sound("wait and publish", 3, wait_and_publish);
    model::twin(Fault::PublishWithoutWake, "a sleeper is woken");
    model::twin(Fault::SleepWithoutLooking, "a sleeper is woken");
}
#[test]
fn model_wait_and_publish_in_burst() {
    model::sound("wait and publish in burst", 2, wait_and_publish_in_burst);
    model::twin(Fault::PublishWithoutWake, "a sleeper is woken");
    model::twin(Fault::SleepWithoutLooking, "a sleeper is woken");
}
#[test]
fn model_wait_and_close() {
    model::sound("wait and close", 3, wait_and_close);
    model::twin(Fault::CloseWithoutWake, "a sleeper is woken");
}
#[test]
fn model_wait_and_shut() {
    model::sound("wait and shut", 3, wait_and_shut);
}
#[test]
fn model_await_the_end_and_close() {
    model::sound("await the end and close", 3, await_the_end_and_close);
    model::twin(Fault::AwaitTheEndByLoads, "woken by its end");
    model::twin(Fault::CloseWithoutWake, "woken by its end");
}
#[test]
fn model_await_the_end_and_shut() {
    model::sound("await the end and shut", 3, await_the_end_and_shut);
    model::twin(Fault::AwaitTheEndByLoads, "woken by its end");
}
#[test]
fn model_two_sleepers() {
    model::sound("two sleepers", 2, two_sleepers);
    model::twin(Fault::PublishWithoutWake, "a sleeper is woken");
}
#[test]
fn model_frozen_waker() {
    model::sound("frozen waker", 2, frozen_waker);
    model::twin(Fault::TrustTheOtherWaker, "a sleeper is woken");
}
#[test]
fn model_asleep_behind_the_frozen() {
    model::sound("asleep behind the frozen", 2, asleep_behind_the_frozen);
    model::twin(Fault::PublishWithoutWake, "a sleeper is woken");
}
#[test]
fn model_asleep_at_the_frozen() {
    model::sound("asleep at the frozen", 2, asleep_at_the_frozen);
    model::twin(Fault::SleepBehindTheFrozen, "the sleeper goes on");
}
#[test]
fn model_frozen_before_the_sleeper() {
    model::sound("frozen before the sleeper", 2, frozen_before_the_sleeper);
    model::twin(Fault::PublishWithoutWake, "a sleeper is woken");
}
