//! Publishers and consumers on threads of their own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use super::{Event, Random, Round, Sample, name};
use crate::peers::{CAPACITY, Rival};

/// W3: a publisher to 10 000 random users, and a consumer that goes round all of them.
pub(super) fn pipeline<H: Rival<E>, E: Event>() -> Round {
    const USERS: usize = 10_000;
    const EVENTS: usize = 300_000;
    // So few that no user's bound is met, and so many that both threads have work.
    const UNDER_WAY: usize = 20_000;
    let hub = H::new(CAPACITY);
    let source = E::source();
    let names: Vec<_> = (0..USERS).map(|u| hub.user(&name(u))).collect();
    let mut tabs: Vec<_> = names.iter().map(|user| hub.connect(user)).collect();
    Box::new(move || {
        let received = AtomicUsize::new(0);
        let mut sample = Sample::default();
        let start = Instant::now();
        thread::scope(|s| {
            s.spawn(|| {
                crate::pin_to(1);
                let mut random = Random::new();
                for n in 0..EVENTS {
                    if n % 64 == 0 {
                        while n > received.load(Ordering::Acquire) + UNDER_WAY {
                            std::hint::spin_loop();
                        }
                    }
                    let user = random.below(USERS);
                    assert!(hub.publish(&names[user], E::make(&source, user)), "room");
                }
            });
            let mut all = 0;
            while all < EVENTS {
                for (user, tab) in tabs.iter_mut().enumerate() {
                    while let Some(event) = hub.receive(tab) {
                        sample.misrouted += usize::from(!event.is_for(user));
                        all += 1;
                    }
                    if user % 64 == 0 {
                        received.store(all, Ordering::Release);
                    }
                }
                received.store(all, Ordering::Release);
            }
        });
        let us = start.elapsed().as_secs_f64() * 1e6;
        sample.figures = vec![("delivered/us", EVENTS as f64 / us)];
        sample
    })
}

/// Events that a publisher of W3b sends before the readers catch up.
const BURST: usize = 1_000;
const BURSTS: usize = 200;
/// Room for a burst of each of four publishers.
pub(crate) const BURST_CAPACITY: usize = 4 * BURST.next_power_of_two();

/// Bursts of several publisher threads at the same time. Returns the publishes a microsecond, and
/// how many there were.
///
/// `catch_up` reads everything between two bursts, untimed, so that no queue's bound is met.
pub(crate) fn bursts<P: FnMut() + Send>(
    publishers: Vec<P>,
    mut catch_up: impl FnMut(),
) -> (f64, usize) {
    let threads = publishers.len();
    let arrived = &AtomicUsize::new(0);
    // Spins until every publisher and the reader have come here so often.
    let meet = move |times: usize| {
        arrived.fetch_add(1, Ordering::AcqRel);
        while arrived.load(Ordering::Acquire) < (threads + 1) * times {
            std::hint::spin_loop();
            if arrived.load(Ordering::Acquire) < (threads + 1) * times {
                thread::yield_now();
            }
        }
    };
    let publisher = |core: usize, mut publish: P| {
        crate::pin_to(core);
        let mut spent = 0.0;
        for burst in 0..BURSTS {
            meet(2 * burst + 1);
            let start = Instant::now();
            for _ in 0..BURST {
                publish();
            }
            spent += start.elapsed().as_secs_f64();
            meet(2 * burst + 2);
        }
        (BURSTS * BURST) as f64 / spent
    };
    let rate: f64 = thread::scope(|s| {
        let start = |(core, publish)| s.spawn(move || publisher(core, publish));
        let running: Vec<_> = publishers.into_iter().enumerate().map(start).collect();
        for burst in 0..BURSTS {
            meet(2 * burst + 1);
            meet(2 * burst + 2);
            catch_up();
        }
        running.into_iter().map(|t| t.join().expect("ran")).sum()
    });
    (rate / 1e6, threads * BURSTS * BURST)
}

/// W3b: publisher threads in bursts, to the same user or to a user each.
pub(super) fn publishers<H: Rival<E>, E: Event>(threads: usize, same: bool) -> Round {
    let hub = H::new(BURST_CAPACITY);
    let source = E::source();
    let users: Vec<_> = (1..=threads).map(|u| hub.user(&name(u))).collect();
    let mut tabs: Vec<_> = users.iter().map(|user| hub.connect(user)).collect();
    Box::new(move || {
        let (hub, users, source) = (&hub, &users, &source);
        let publisher = |core: usize| {
            let user = if same { 0 } else { core };
            move || {
                hub.publish(&users[user], E::make(source, 1 + user));
            }
        };
        let (mut received, mut misrouted) = (0, 0);
        let (rate, sent) = bursts((0..threads).map(publisher).collect(), || {
            for (user, tab) in tabs.iter_mut().enumerate() {
                while let Some(event) = hub.receive(tab) {
                    misrouted += usize::from(!event.is_for(1 + user));
                    received += 1;
                }
            }
        });
        Sample {
            figures: vec![("publishes/us", rate)],
            misrouted,
            lost: sent - received,
        }
    })
}
