//! Devices that come and go while another thread publishes.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use super::{Event, PUBLISH, Random, Round, Sample, histogram, name, ns};
use crate::peers::{CAPACITY, DEEP, Rival};

/// W4: second devices come and go while another thread publishes; first devices receive.
pub(super) fn churn<H: Rival<E>, E: Event>() -> Round {
    const USERS: usize = 1_000;
    const PAIRS: usize = 100_000;
    let hub = H::new(CAPACITY);
    let source = E::source();
    let names: Vec<_> = (0..USERS).map(|u| hub.user(&name(u))).collect();
    let mut tabs: Vec<_> = names.iter().map(|user| hub.connect(user)).collect();
    Box::new(move || {
        let done = AtomicBool::new(false);
        let (mut sample, mut times, mut publishes) = (Sample::default(), histogram(), 0);
        let (pairs, us) = thread::scope(|s| {
            let churner = s.spawn(|| {
                crate::pin_to(1);
                let mut random = Random::new();
                let start = Instant::now();
                for _ in 0..PAIRS {
                    let user = &names[random.below(USERS)];
                    hub.disconnect(user, hub.connect(user));
                }
                done.store(true, Ordering::Release);
                (PAIRS, start.elapsed().as_secs_f64() * 1e6)
            });
            let mut random = Random::new();
            while !done.load(Ordering::Acquire) {
                let user = random.below(USERS);
                let event = E::make(&source, user);
                let start = Instant::now();
                hub.publish(&names[user], event);
                times.saturating_record(ns(start));
                publishes += 1;
                match hub.receive(&mut tabs[user]) {
                    Some(event) => sample.misrouted += usize::from(!event.is_for(user)),
                    None => sample.lost += 1,
                }
            }
            churner.join().expect("ran")
        });
        sample.figures = vec![
            ("pairs/us", pairs as f64 / us),
            ("publishes/us", f64::from(publishes) / us),
        ];
        sample.quantiles(&times, &PUBLISH[..3]);
        sample
    })
}

/// W4 deep: the first device of a user reads each event, the second never reads and is a lane of
/// 65 536 events behind, a third one comes and goes on another thread.
pub(super) fn churn_deep<H: Rival<E>, E: Event>() -> Round {
    const PUBLISHES: usize = 200_000;
    let hub = H::new(DEEP);
    let source = E::source();
    let user = hub.user(&name(1));
    let mut first = hub.connect(&user);
    let stalled = hub.connect(&user);
    for _ in 0..DEEP {
        hub.publish(&user, E::make(&source, 1));
        hub.receive(&mut first);
    }
    Box::new(move || {
        let _ = &stalled;
        let done = AtomicBool::new(false);
        let (mut sample, mut times) = (Sample::default(), histogram());
        let rate = thread::scope(|s| {
            let churner = s.spawn(|| {
                crate::pin_to(1);
                let (mut pairs, start) = (0, Instant::now());
                while !done.load(Ordering::Acquire) {
                    hub.disconnect(&user, hub.connect(&user));
                    pairs += 1;
                }
                f64::from(pairs) / (start.elapsed().as_secs_f64() * 1e6)
            });
            for _ in 0..PUBLISHES {
                let event = E::make(&source, 1);
                let start = Instant::now();
                hub.publish(&user, event);
                times.saturating_record(ns(start));
                match hub.receive(&mut first) {
                    Some(event) => sample.misrouted += usize::from(!event.is_for(1)),
                    None => sample.lost += 1,
                }
            }
            done.store(true, Ordering::Release);
            churner.join().expect("ran")
        });
        sample.figures = vec![("pairs/us", rate)];
        sample.quantiles(&times, &PUBLISH);
        sample
    })
}

/// W6: from nothing to a million users while another thread publishes to those who are there.
pub(super) fn growth<H: Rival<E>, E: Event>() -> Round {
    const USERS: usize = 1_000_000;
    Box::new(move || {
        let hub = H::new(CAPACITY);
        let source = E::source();
        let names: Vec<_> = (0..USERS).map(|u| hub.user(&name(u))).collect();
        let mut tabs = Vec::with_capacity(USERS);
        let there = AtomicUsize::new(0);
        let (mut connects, mut sample) = (histogram(), Sample::default());
        let (publishes, accepted, us) = thread::scope(|s| {
            let publisher = s.spawn(|| {
                crate::pin_to(1);
                let mut random = Random::new();
                let (mut times, mut accepted) = (histogram(), 0);
                loop {
                    let users = there.load(Ordering::Acquire);
                    if users == USERS {
                        return (times, accepted);
                    }
                    // Few enough that no queue's bound is met.
                    if users == 0 || accepted > users {
                        std::hint::spin_loop();
                        continue;
                    }
                    let user = random.below(users);
                    let event = E::make(&source, user);
                    let start = Instant::now();
                    accepted += usize::from(hub.publish(&names[user], event));
                    times.saturating_record(ns(start));
                }
            });
            let begin = Instant::now();
            for (user, name) in names.iter().enumerate() {
                let start = Instant::now();
                tabs.push(hub.connect(name));
                connects.saturating_record(ns(start));
                there.store(user + 1, Ordering::Release);
            }
            let us = begin.elapsed().as_secs_f64() * 1e6;
            let (times, accepted) = publisher.join().expect("ran");
            (times, accepted, us)
        });
        let mut received = 0;
        for (user, tab) in tabs.iter_mut().enumerate() {
            while let Some(event) = hub.receive(tab) {
                sample.misrouted += usize::from(!event.is_for(user));
                received += 1;
            }
        }
        sample.lost = accepted - received;
        sample.figures = vec![("connects/us", USERS as f64 / us)];
        sample.quantiles(
            &connects,
            &[
                ("connect p50 ns", 0.5),
                ("connect p99.99 ns", 0.9999),
                ("connect max ns", 1.0),
            ],
        );
        sample.quantiles(
            &publishes,
            &[("publish p99.99 ns", 0.9999), ("publish max ns", 1.0)],
        );
        sample
    })
}
