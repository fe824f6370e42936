//! A device that never reads.

use std::hint::black_box;
use std::time::Instant;

use super::{Event, PUBLISH, Random, Round, Sample, histogram, name, ns};
use crate::peers::{CAPACITY, DEEP, Rival};

/// The figures of W8 with a stalled device.
pub(crate) const STALLED: [&str; 3] = [
    "ns/event beside a stalled device",
    "p50 ns beside a stalled device",
    "events missed by its user's other device",
];

/// W8: what a device that never reads costs the others.
pub(super) fn stalled<H: Rival<E>, E: Event>() -> Round {
    const USERS: usize = 100;
    const EVENTS: usize = 200_000;
    let source = E::source();
    let hubs = [false, true].map(|stalls| {
        let hub = H::new(CAPACITY);
        let names: Vec<_> = (0..USERS).map(|u| hub.user(&name(u))).collect();
        let tabs: Vec<_> = names.iter().map(|user| hub.connect(user)).collect();
        let other = hub.connect(&names[0]);
        (hub, names, tabs, other, stalls)
    });
    let mut hubs = hubs;
    Box::new(move || {
        let mut sample = Sample::default();
        for (hub, names, tabs, other, stalls) in &mut hubs {
            let (mut random, mut spent, mut turns) = (Random::new(), 0, histogram());
            let mut missed = 0;
            for _ in 0..EVENTS / 50 {
                // The user in question, between the others' events.
                hub.publish(&names[0], E::make(&source, 0));
                match hub.receive(&mut tabs[0]) {
                    Some(event) => sample.misrouted += usize::from(!event.is_for(0)),
                    None => missed += 1,
                }
                if !*stalls {
                    black_box(hub.receive(other));
                }
                let start = Instant::now();
                for _ in 0..50 {
                    let user = 1 + random.below(USERS - 1);
                    hub.publish(&names[user], E::make(&source, user));
                    match hub.receive(&mut tabs[user]) {
                        Some(event) => sample.misrouted += usize::from(!event.is_for(user)),
                        None => sample.lost += 1,
                    }
                }
                let turn = ns(start);
                spent += turn;
                turns.saturating_record(turn);
            }
            let each = spent as f64 / EVENTS as f64;
            let median = turns.value_at_quantile(0.5) as f64 / 50.0;
            if *stalls {
                let figures = STALLED.into_iter().zip([each, median, f64::from(missed)]);
                sample.figures.extend(figures);
            } else {
                sample.figures = vec![("ns/event", each), ("p50 ns", median)];
            }
        }
        sample
    })
}

/// W8 deep: publishes to a user of whose two devices one is 65 536 events behind and never reads,
/// in turn with publishes to users without such a device.
pub(super) fn stalled_deep<H: Rival<E>, E: Event>() -> Round {
    const USERS: usize = 16;
    const TURNS: usize = 100_000;
    let hub = H::new(DEEP);
    let source = E::source();
    let names: Vec<_> = (0..USERS).map(|u| hub.user(&name(u))).collect();
    let mut tabs: Vec<_> = names.iter().map(|user| hub.connect(user)).collect();
    let stalled = hub.connect(&names[0]);
    for _ in 0..DEEP {
        hub.publish(&names[0], E::make(&source, 0));
        hub.receive(&mut tabs[0]);
    }
    Box::new(move || {
        let _ = &stalled;
        let mut sample = Sample::default();
        let (mut random, mut times, mut others) = (Random::new(), histogram(), histogram());
        for _ in 0..TURNS {
            for user in [0, 1 + random.below(USERS - 1)] {
                let event = E::make(&source, user);
                let start = Instant::now();
                hub.publish(&names[user], event);
                let spent = ns(start);
                let times = if user == 0 { &mut times } else { &mut others };
                times.saturating_record(spent);
                match hub.receive(&mut tabs[user]) {
                    Some(event) => sample.misrouted += usize::from(!event.is_for(user)),
                    None => sample.lost += 1,
                }
            }
        }
        sample.quantiles(&times, &PUBLISH);
        sample.quantiles(&others, &OTHERS);
        sample
    })
}

/// Of the publishes to users without a stalled device.
const OTHERS: [(&str, f64); 4] = [
    ("others' p50 ns", 0.5),
    ("others' p99 ns", 0.99),
    ("others' p99.9 ns", 0.999),
    ("others' max ns", 1.0),
];
