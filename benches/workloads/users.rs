//! One thread at work: events to random users, to several devices, to a set of users.

use std::hint::black_box;
use std::time::Instant;

use super::{Event, Random, Round, Sample, name, ns};
use crate::peers::{CAPACITY, Rival};

/// Events in a round of W1: enough that two runs agree, few enough for the suite's time.
pub(crate) fn route_events(users: usize) -> usize {
    if users > 1_000 { 250_000 } else { 500_000 }
}

/// W1: a random user, publish, then receive.
pub(super) fn route<H: Rival<E>, E: Event>(users: usize) -> Round {
    let events = route_events(users);
    let hub = H::new(CAPACITY);
    let source = E::source();
    let names: Vec<_> = (0..users).map(|u| hub.user(&name(u))).collect();
    let mut tabs: Vec<_> = names.iter().map(|user| hub.connect(user)).collect();
    let mut random = Random::new();
    Box::new(move || {
        let mut sample = Sample::default();
        let start = Instant::now();
        for _ in 0..events {
            let user = random.below(users);
            hub.publish(&names[user], E::make(&source, user));
            match hub.receive(&mut tabs[user]) {
                Some(event) => sample.misrouted += usize::from(!event.is_for(user)),
                None => sample.lost += 1,
            }
        }
        sample.per("ns/event", start, events);
        sample
    })
}

/// Events in a burst of W2, and bursts in half a round.
pub(crate) const W2_BURST: usize = 32;
pub(crate) fn w2_turns(devices: usize) -> usize {
    10_000 / devices
}

/// W2: one user with several devices; publishes and deliveries timed apart.
pub(super) fn fan_out<H: Rival<E>, E: Event>(devices: usize) -> Round {
    let turns = w2_turns(devices);
    let hub = H::new(CAPACITY);
    let source = E::source();
    let user = hub.user(&name(1));
    let mut tabs: Vec<_> = (0..devices).map(|_| hub.connect(&user)).collect();
    Box::new(move || {
        let mut sample = Sample::default();
        let (mut publishing, mut receiving, mut draining) = (0, 0, 0);
        let mut received = 0;
        for turn in 0..2 * turns {
            let start = Instant::now();
            for _ in 0..W2_BURST {
                hub.publish(&user, E::make(&source, 1));
            }
            publishing += ns(start);
            let start = Instant::now();
            for tab in &mut tabs {
                if turn % 2 == 0 {
                    while let Some(event) = hub.receive(tab) {
                        sample.misrouted += usize::from(!event.is_for(1));
                        received += 1;
                    }
                } else {
                    hub.drain(tab, |event| {
                        sample.misrouted += usize::from(!black_box(event).is_for(1));
                        received += 1;
                    });
                }
            }
            let spent = ns(start);
            if turn % 2 == 0 {
                receiving += spent;
            } else {
                draining += spent;
            }
        }
        let publishes = (2 * turns * W2_BURST) as f64;
        let deliveries = (turns * W2_BURST * devices) as f64;
        sample.lost = 2 * turns * W2_BURST * devices - received;
        let half = publishing as f64 / 2.0;
        sample.figures = vec![
            ("ns/publish", publishing as f64 / publishes),
            ("ns/receive", receiving as f64 / deliveries),
            ("ns/drained", draining as f64 / deliveries),
            ("ns/delivery", (half + receiving as f64) / deliveries),
            ("ns/delivery drained", (half + draining as f64) / deliveries),
        ];
        sample
    })
}

/// The turns of a round of W9.
pub(crate) fn room_turns(users: usize) -> usize {
    (200_000 / users).min(200)
}

/// The figures of W9 for a room: the publishes alone, and with each member's receive.
pub(crate) fn per_member(
    users: usize,
    publishing: u128,
    receiving: u128,
) -> Vec<(&'static str, f64)> {
    let all = (room_turns(users) * users) as f64;
    vec![
        ("ns/user", publishing as f64 / all),
        ("ns/user received", (publishing + receiving) as f64 / all),
    ]
}

/// W9: one event to many users.
pub(super) fn set<H: Rival<E>, E: Event>(users: usize) -> Round {
    let turns = room_turns(users);
    let hub = H::new(CAPACITY);
    let source = E::source();
    let names: Vec<_> = (0..users).map(|u| hub.user(&name(u))).collect();
    let mut tabs: Vec<_> = names.iter().map(|user| hub.connect(user)).collect();
    let mut random = Random::new();
    // In another order than they came in, as a subscription's set would be.
    let mut order: Vec<_> = (0..users).collect();
    for at in (1..users).rev() {
        order.swap(at, random.below(at + 1));
    }
    let mut by_order: Vec<_> = names.into_iter().map(Some).collect();
    let set: Vec<_> = order
        .iter()
        .map(|&at| by_order[at].take().expect("once"))
        .collect();
    hub.make_room(&set);
    Box::new(move || {
        let mut sample = Sample::default();
        let (mut spent, mut receiving, mut looped) = (0, 0, 0);
        // One pass that is not timed, so that both ways find what a pass before them has left.
        for user in &set {
            hub.publish(user, E::make(&source, 1));
        }
        for tab in &mut tabs {
            sample.lost += usize::from(hub.receive(tab).is_none());
        }
        for _ in 0..turns {
            let event = E::make(&source, 1);
            let start = Instant::now();
            hub.publish_to_room(&set, &event);
            spent += start.elapsed().as_nanos();
            let start = Instant::now();
            for tab in &mut tabs {
                sample.lost += usize::from(hub.receive(tab).is_none());
            }
            receiving += start.elapsed().as_nanos();
            let start = Instant::now();
            for user in &set {
                hub.publish(user, event.clone());
            }
            looped += ns(start);
            for tab in &mut tabs {
                sample.lost += usize::from(hub.receive(tab).is_none());
            }
        }
        sample.figures = per_member(users, spent, receiving);
        let all = (turns * users) as f64;
        sample
            .figures
            .push(("ns/user in a loop", looped as f64 / all));
        sample
    })
}
