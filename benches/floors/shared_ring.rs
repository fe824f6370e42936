//! The `disruptor` crate, for one hot user: a ring of several producers, whose readers read in place.
//! It never drops an event, a producer waits for the slowest reader, and readers neither come nor go.
//! That is the state of the art of a ring that may do without all that a hub has to do.

use std::hint::black_box;
use std::time::Instant;

use disruptor::{BusySpin, EventPoller, MultiProducerBarrier, Producer, build_multi_producer};

use crate::peers::CAPACITY;
use crate::workloads::{BURST_CAPACITY, Event, Round, Sample, W2_BURST, bursts, w2_turns};

/// The floor for a workload, if there is one.
pub(super) fn set_up<E: Event>(workload: &str) -> Option<Round> {
    Some(match workload {
        "W2 1" => ring_read_in_place::<E>(1),
        "W2 4" => ring_read_in_place::<E>(4),
        "W2 16" => ring_read_in_place::<E>(16),
        "W2 64" => ring_read_in_place::<E>(64),
        "W3b same" => ring_of_publishers::<E>(2),
        "W3b same, 4 publishers" => ring_of_publishers::<E>(4),
        _ => return None,
    })
}

/// W2 with every burst read in place.
fn ring_read_in_place<E: Event>(devices: usize) -> Round {
    let source = E::source();
    let empty = E::make(&source, 0);
    let builder = build_multi_producer(CAPACITY, move || empty.clone(), BusySpin);
    if devices == 1 {
        // One reader is not looked for among several.
        let (poller, builder) = builder.new_event_poller();
        return read_in_place(source, builder.build(), vec![poller]);
    }
    let (mut builder, mut pollers) = (builder.with_multi_consumer(), Vec::new());
    for _ in 0..devices {
        let (poller, more) = builder.new_event_poller();
        pollers.push(poller);
        builder = more;
    }
    read_in_place(source, builder.build(), pollers)
}

fn read_in_place<E: Event>(
    source: E::Source,
    mut producer: impl Producer<E> + 'static,
    mut pollers: Vec<EventPoller<E, MultiProducerBarrier>>,
) -> Round {
    let (turns, devices) = (2 * w2_turns(pollers.len()), pollers.len());
    Box::new(move || {
        let mut sample = Sample::default();
        let (mut publishing, mut reading, mut received) = (0, 0, 0);
        for _ in 0..turns {
            let start = Instant::now();
            for _ in 0..W2_BURST {
                producer.publish(|slot| *slot = E::make(&source, 1));
            }
            publishing += start.elapsed().as_nanos();
            let start = Instant::now();
            for poller in &mut pollers {
                received += read_all(poller, 1, &mut sample.misrouted);
            }
            reading += start.elapsed().as_nanos();
        }
        let publishes = turns * W2_BURST;
        let deliveries = (publishes * devices) as f64;
        sample.lost = publishes * devices - received;
        sample.figures = vec![
            ("ns/publish", publishing as f64 / publishes as f64),
            ("ns/drained", reading as f64 / deliveries),
            (
                "ns/delivery drained",
                (publishing + reading) as f64 / deliveries,
            ),
        ];
        sample
    })
}

/// Reads in place what there is, and returns how many events that were.
fn read_all<E: Event>(
    poller: &mut EventPoller<E, MultiProducerBarrier>,
    user: usize,
    misrouted: &mut usize,
) -> usize {
    let mut received = 0;
    while let Ok(mut events) = poller.poll() {
        for event in &mut events {
            *misrouted += usize::from(!black_box(event).is_for(user));
            received += 1;
        }
    }
    received
}

/// W3b: several producers, one reader.
fn ring_of_publishers<E: Event>(threads: usize) -> Round {
    let source = E::source();
    let empty = E::make(&source, 0);
    let builder = build_multi_producer(BURST_CAPACITY, move || empty.clone(), BusySpin);
    let (mut poller, builder) = builder.new_event_poller();
    let producer = builder.build();
    Box::new(move || {
        let publisher = |_| {
            let (mut producer, source) = (producer.clone(), &source);
            move || producer.publish(|slot| *slot = E::make(source, 1))
        };
        let (mut misrouted, mut received) = (0, 0);
        let (rate, sent) = bursts((0..threads).map(publisher).collect(), || {
            received += read_all(&mut poller, 1, &mut misrouted);
        });
        Sample {
            figures: vec![("publishes/us", rate)],
            misrouted,
            lost: sent - received,
        }
    })
}
