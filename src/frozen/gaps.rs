//! A receive that is stopped in the middle of a skip.

use std::sync::Arc;
use std::thread;

use super::CAPACITY;
use super::world::World;
use crate::sync::Stop;
use crate::{Received, TryRecvError};

/// The events that no device has read: one in the hot slot, and two arenas.
const UNREAD: usize = 1 + 2 * CAPACITY;

/// A receive of a device that is a lane behind is stopped before access `k`. Then the device is closed, or a
/// publish evicts a critical event. `false` if the receive has fewer accesses.
#[allow(clippy::disallowed_methods)] // Watches the other thread.
fn skips_before(k: usize, keeps: bool, by_a_close: bool) -> bool {
    let world = World::new(CAPACITY, keeps);
    let mut device = world.device();
    let id = device.id();
    for n in 0..UNREAD {
        if n == CAPACITY {
            let critical = world.ann.publish_critical(world.event());
            critical.expect("accepted");
        } else {
            world.publish(&world.ann);
        }
    }
    let stop = Stop::before(k);
    let stopped = Arc::clone(&stop);
    let thread = thread::spawn(move || {
        let got = stopped.run(|| device.try_recv());
        (device, got)
    });
    while !stop.is_reached() && !thread.is_finished() {
        thread::yield_now();
    }
    let reached = stop.is_reached();
    if by_a_close {
        world.ann.disconnect(id, 7);
    } else {
        world.publish(&world.ann);
    }
    stop.release();
    let (mut device, got) = thread.join().expect("goes on");
    let missed = match got {
        Ok(Received::Gap { missed, .. }) => missed,
        Err(TryRecvError::Closed(_)) => 0,
        got => panic!("{} unread events, and {got:?}", device.unread()),
    };
    let whole = CAPACITY as u64;
    assert!(missed <= whole, "a gap of {missed} numbers, of {whole}");
    let next = device.try_recv();
    let is_over = matches!(next, Err(TryRecvError::Closed(_)));
    assert!(is_over || missed == whole, "a part, and then {next:?}");
    let (hub, stats) = (world.hub.stats(), device.stats());
    assert_eq!([stats.missed, hub.missed], [missed; 2], "access {k}");
    let passed = stats.delivered + stats.missed + stats.unread;
    assert_eq!(passed, stats.numbers, "access {k}");
    reached
}

#[test]
fn r074_a_receive_stopped_in_a_skip_tells_the_whole_gap_or_the_end_next() {
    for (keeps, by_a_close) in [(false, false), (false, true), (true, false), (true, true)] {
        let accesses = (0..10_000).find(|&k| !skips_before(k, keeps, by_a_close));
        assert!(accesses.expect("a receive ends") > CAPACITY);
    }
}
