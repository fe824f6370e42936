//! One tokio broadcast channel for a room, to which the device of each member is subscribed: a publish is one
//! send. No user has a lane of their own then. Events of the room and events for the user alone come through two
//! channels, in no order, and a member who leaves is reached until the device drops its receiver.

use std::hint::black_box;
use std::time::Instant;

use tokio::sync::broadcast::channel;

use crate::peers::CAPACITY;
use crate::workloads::{Event, Round, Sample, per_member, room_turns};

/// The floor for a workload, if there is one.
pub(super) fn set_up<E: Event>(workload: &str) -> Option<Round> {
    Some(match workload {
        "W9 1k" => room::<E>(1_000),
        "W9 100k" => room::<E>(100_000),
        _ => return None,
    })
}

fn room<E: Event>(users: usize) -> Round {
    let source = E::source();
    let (sender, _) = channel::<E>(CAPACITY);
    let mut devices: Vec<_> = (0..users).map(|_| sender.subscribe()).collect();
    Box::new(move || {
        let mut sample = Sample::default();
        let (mut publishing, mut receiving) = (0, 0);
        for _ in 0..room_turns(users) {
            let start = Instant::now();
            sample.lost += usize::from(sender.send(E::make(&source, 1)).is_err());
            publishing += start.elapsed().as_nanos();
            let start = Instant::now();
            for device in &mut devices {
                match device.try_recv() {
                    Ok(event) => sample.misrouted += usize::from(!black_box(event).is_for(1)),
                    Err(_) => sample.lost += 1,
                }
            }
            receiving += start.elapsed().as_nanos();
        }
        sample.figures = per_member(users, publishing, receiving);
        sample
    })
}
