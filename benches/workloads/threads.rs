//! Publishers and consumers on threads of their own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use super::{Event, Random, Round, Sample, name};
use crate::peers::{CAPACITY, Hub};

/// W3: a publisher to 10 000 random users, and a consumer that goes round all of them.
pub(super) fn pipeline<H: Hub<E>, E: Event>() -> Round {
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

/// W3b: two publisher threads in bursts; the readers catch up between the bursts, untimed.
pub(super) fn two_publishers<H: Hub<E>, E: Event>(same: bool) -> Round {
    const BURSTS: usize = 200;
    const BURST: usize = 1_000;
    let hub = H::new(4 * BURST.next_power_of_two());
    let source = E::source();
    let users = [hub.user(&name(1)), hub.user(&name(2))];
    let mut tabs = [hub.connect(&users[0]), hub.connect(&users[1])];
    Box::new(move || {
        let turn = AtomicUsize::new(0);
        let (hub, users, source, turn) = (&hub, &users, &source, &turn);
        // Spins until all three threads have come here so often.
        let meet = |times: usize| {
            turn.fetch_add(1, Ordering::AcqRel);
            while turn.load(Ordering::Acquire) < 3 * times {
                std::hint::spin_loop();
                if turn.load(Ordering::Acquire) < 3 * times {
                    thread::yield_now();
                }
            }
        };
        let publisher = |core: usize| {
            crate::pin_to(core);
            let user = if same { 0 } else { core };
            let mut spent = 0.0;
            for burst in 0..BURSTS {
                meet(2 * burst + 1);
                let start = Instant::now();
                for _ in 0..BURST {
                    hub.publish(&users[user], E::make(source, 1 + user));
                }
                spent += start.elapsed().as_secs_f64();
                meet(2 * burst + 2);
            }
            (BURSTS * BURST) as f64 / spent
        };
        let (mut received, mut misrouted) = (0, 0);
        let rate = thread::scope(|s| {
            let both = [0, 1].map(|core| s.spawn(move || publisher(core)));
            for burst in 0..BURSTS {
                meet(2 * burst + 1);
                meet(2 * burst + 2);
                for (user, tab) in tabs.iter_mut().enumerate() {
                    while let Some(event) = hub.receive(tab) {
                        misrouted += usize::from(!event.is_for(1 + user));
                        received += 1;
                    }
                }
            }
            both.map(|thread| thread.join().expect("ran"))
                .iter()
                .sum::<f64>()
        });
        Sample {
            figures: vec![("publishes/us", rate / 1e6)],
            misrouted,
            lost: 2 * BURSTS * BURST - received,
        }
    })
}
