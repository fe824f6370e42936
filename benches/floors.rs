//! What the hardware asks for parts of the work: no peer can be faster than these together.

mod one_broadcast;
mod shared_ring;

use std::collections::HashMap;
use std::hint::black_box;

use ahash::RandomState;
use rtrb::{Consumer, Producer, RingBuffer};

use crate::peers::CAPACITY;
use crate::workloads::{Event, Random, Round, Sample, name, paced, route_events};

/// A floor for a workload, if there is one.
pub(crate) fn set_up<E: Event>(floor: &str, workload: &str) -> Option<Round> {
    if floor == "floor: disruptor" {
        return shared_ring::set_up::<E>(workload);
    }
    if floor == "floor: one broadcast" {
        return one_broadcast::set_up::<E>(workload);
    }
    let users = match workload {
        "W1 1k" => 1_000,
        "W1 100k" => 100_000,
        "W1 1M" => 1_000_000,
        "W2 1" => 1,
        "W7 spinning" if floor == "floor: SPSC ring" => return Some(ring_across_cores::<E>()),
        _ => return None,
    };
    let (lookup, ring) = match floor {
        "floor: lookup" => (true, false),
        "floor: SPSC ring" => (false, true),
        _ => (true, true),
    };
    // What W2 measures of one device has no lookup to add.
    (users > 1 || !lookup).then(|| route::<E>(users, lookup, ring))
}

/// W1 by hand: the user is found in a map, the event goes through a ring that no two threads share.
fn route<E: Event>(users: usize, lookup: bool, ring: bool) -> Round {
    let events = route_events(users);
    let source = E::source();
    let names: Vec<_> = (0..users).map(name).collect();
    let by_name: HashMap<_, _, RandomState> = names.iter().cloned().zip(0..).collect();
    let mut rings: Vec<(Producer<E>, Consumer<E>)> = if ring {
        (0..users).map(|_| RingBuffer::new(CAPACITY)).collect()
    } else {
        Vec::new()
    };
    let mut random = Random::new();
    Box::new(move || {
        let mut sample = Sample::default();
        let start = std::time::Instant::now();
        for _ in 0..events {
            let user = random.below(users);
            let found = if lookup { by_name[&names[user]] } else { user };
            let event = if ring {
                let (producer, consumer) = &mut rings[found];
                let _ = producer.push(E::make(&source, found));
                consumer.pop().expect("pushed")
            } else {
                E::make(&source, found)
            };
            sample.misrouted += usize::from(!black_box(event).is_for(user));
        }
        sample.per("ns/event", start, events);
        if users == 1 {
            sample.figures[0].0 = "ns/delivery";
        }
        sample
    })
}

fn ring_across_cores<E: Event>() -> Round {
    let source = E::source();
    let (mut producer, mut consumer) = RingBuffer::<E>::new(CAPACITY);
    Box::new(move || {
        paced(
            false,
            || producer.push(E::make(&source, 1)).is_ok(),
            || loop {
                match consumer.pop() {
                    Ok(event) => return event.is_for(1),
                    Err(_) => std::hint::spin_loop(),
                }
            },
        )
    })
}
