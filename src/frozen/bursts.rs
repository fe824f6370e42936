//! A publisher that is stopped twice while it prepares a burst: between the two stops its lane has given
//! its arenas back and has begun a burst in new ones.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use crate::sync::Stop;
use crate::{Connection, Hub, Received, UserId, UserScope};

const PATIENCE: Duration = Duration::from_secs(10);

struct Lane {
    hub: Hub<u64>,
    ann: UserScope<u64>,
    sent: u64,
    got: u64,
}

impl Lane {
    fn publish(&mut self, events: u64) {
        for _ in 0..events {
            self.ann.publish(self.sent).expect("accepted");
            self.sent += 1;
        }
    }

    fn receive(&mut self, device: &mut Connection<u64>, most: usize) {
        self.got += device.visit(most, |_, _| {}).expect("open").events as u64;
    }
}

/// `overtaken`: the burst begins with a later number than the publisher's.
fn stopped_before(first: usize, second: usize, overtaken: bool) {
    let builder = Hub::builder().lane_capacity(64);
    let hub = builder.build::<u64>().expect("valid");
    let ann = hub.scope(UserId::new("ann").expect("valid"));
    let mut device = ann.connect().expect("room");
    let mut lane = Lane {
        hub,
        ann,
        sent: 0,
        got: 0,
    };
    // A burst of two arenas that is read, then the first of two sweeps.
    lane.publish(25);
    lane.receive(&mut device, 25);
    assert!(device.try_recv().is_err());
    lane.hub.sweep(Duration::ZERO);
    lane.publish(1);

    let stop = Stop::twice(first, second);
    let (theirs, scope) = (Arc::clone(&stop), lane.ann.clone());
    let publisher = thread::spawn(move || theirs.run(|| scope.publish(1_000)).is_ok());
    let wait_for = |reached: &dyn Fn() -> bool| {
        while !reached() && !publisher.is_finished() {
            #[allow(clippy::disallowed_methods)] // Watches the other thread.
            thread::yield_now();
        }
    };
    wait_for(&|| stop.is_reached());
    lane.hub.sweep(Duration::ZERO);
    if overtaken {
        lane.receive(&mut device, 1);
        lane.publish(1);
    }
    lane.publish(1);
    stop.release();
    wait_for(&|| stop.is_reached_again());
    lane.publish(if overtaken { 19 } else { 0 });

    // In a thread of its own, so that a reader that waits is noticed.
    let (done, told) = mpsc::channel();
    thread::spawn(move || {
        let mut missed = 0;
        while let Ok(received) = device.try_recv() {
            match received {
                Received::Event(_) => lane.got += 1,
                Received::Gap {
                    missed: numbers, ..
                } => missed += numbers,
            }
        }
        let _ = done.send((lane, missed, device));
    });
    let at = format!("stopped before accesses {first} and {second}");
    let (mut lane, missed, mut device) = told
        .recv_timeout(PATIENCE)
        .unwrap_or_else(|e| panic!("{at}, the publisher stops a reader: {e}"));
    stop.release();
    let accepted = u64::from(publisher.join().expect("goes on"));
    lane.receive(&mut device, 100);
    let sent = lane.sent + accepted;
    assert_eq!(lane.got + missed, sent, "{at}: each event is read or told");
    assert_eq!(missed, 0, "{at}: nothing is a lane old");
}

#[test]
fn a_publisher_that_begins_a_burst_takes_no_arena_of_a_newer_one() {
    for overtaken in [false, true] {
        for first in 0..30 {
            for second in first + 1..first + 24 {
                stopped_before(first, second, overtaken);
            }
        }
    }
}
