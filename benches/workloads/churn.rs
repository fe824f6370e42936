//! Devices that come and go while another thread publishes.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use super::{Event, Random, Round, Sample, histogram, name, ns};
use crate::peers::{CAPACITY, Hub};

/// W4: second devices come and go while another thread publishes; first devices receive.
pub(super) fn churn<H: Hub<E>, E: Event>() -> Round {
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
        sample.quantiles(
            &times,
            &[
                ("publish p50 ns", 0.5),
                ("publish p99 ns", 0.99),
                ("publish p99.9 ns", 0.999),
            ],
        );
        sample
    })
}

/// W6: from nothing to a million users while another thread publishes to those who are there.
pub(super) fn growth<H: Hub<E>, E: Event>() -> Round {
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
                    // Few enough that nobody's bound is met.
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
