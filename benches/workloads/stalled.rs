//! A device that never reads.

use std::hint::black_box;
use std::time::Instant;

use super::{Event, Random, Round, Sample, histogram, name, ns};
use crate::peers::{CAPACITY, Hub};

/// The figures of W8 with a stalled device.
pub(crate) const STALLED: [&str; 3] = [
    "ns/event beside a stalled device",
    "p50 ns beside a stalled device",
    "events missed by its user's other device",
];

/// W8: what a device that never reads costs the others.
pub(super) fn stalled<H: Hub<E>, E: Event>() -> Round {
    const USERS: usize = 100;
    const EVENTS: usize = 50_000;
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
