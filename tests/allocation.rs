//! What a warm lane allocates: nothing.
#![cfg(not(any(laneway_loom, laneway_shuttle)))]

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use laneway::{Connection, Hub, Received, UserId, UserScope};

const CAPACITY: u64 = 16;

/// The allocations that `f` made on this thread.
fn allocations(f: impl FnOnce()) -> u64 {
    allocation_counter::measure(f).count_total
}

fn drain<E: Clone + Send + Sync + 'static>(connection: &mut Connection<E>) -> u64 {
    let mut events = 0;
    while let Ok(received) = connection.try_recv() {
        events += u64::from(matches!(received, Received::Event(_)));
    }
    events
}

/// Laps a lane several times: with readers that keep up, that are lapped, and that stay away.
fn laps<E: Clone + Send + Sync + 'static>(
    scope: &UserScope<E>,
    devices: &mut [Connection<E>],
    event: &E,
) {
    for n in 0..4 * CAPACITY {
        scope.publish(event.clone()).unwrap();
        let _ = scope.try_publish(event.clone());
        if n % 3 == 0 {
            drain(&mut devices[0]);
        }
    }
    // Two numbers a turn: the first device took part in all of them, the others were lapped.
    for device in devices.iter_mut() {
        assert!(drain(device) <= CAPACITY);
    }
    for _ in 0..4 * CAPACITY {
        scope.try_publish(event.clone()).unwrap();
        for device in devices.iter_mut() {
            assert_eq!(drain(device), 1);
        }
    }
    for _ in 0..4 * CAPACITY {
        scope.publish(event.clone()).unwrap();
        for device in devices.iter_mut() {
            let visited = device.visit(8, |_, _| {}).unwrap();
            assert_eq!(visited.events, 1);
        }
    }
}

fn warm<E: Clone + Send + Sync + 'static>(devices: usize, event: &E) {
    let hub = Hub::builder()
        .lane_capacity(CAPACITY as usize)
        .build()
        .unwrap();
    let scope = hub.scope(UserId::new("ann").unwrap());
    let mut devices: Vec<_> = (0..devices).map(|_| scope.connect().unwrap()).collect();
    assert!(
        allocations(|| laps(&scope, &mut devices, event)) > 0,
        "the first lap allocates"
    );
    assert_eq!(allocations(|| laps(&scope, &mut devices, event)), 0);
    thread::scope(|s| {
        s.spawn(|| {
            // A thread's first pin registers it.
            assert_eq!(scope.connection_count(), devices.len());
            assert_eq!(allocations(|| laps(&scope, &mut devices, event)), 0);
        });
    });
}

#[test]
fn a_warm_lane_allocates_nothing_by_value() {
    warm(1, &[7_u64; 8]);
    warm(3, &[7_u64; 8]);
}

#[test]
fn a_warm_lane_allocates_nothing_for_an_arc() {
    let event = Arc::new("event".to_owned());
    warm(1, &event);
    warm(3, &event);
    assert_eq!(Arc::strong_count(&event), 1, "all are dropped with the hub");
}

#[test]
fn a_scope_of_a_short_id_allocates_nothing() {
    let hub = Hub::<u64>::new();
    let id = UserId::new("x".repeat(24)).unwrap();
    assert_eq!(allocations(|| drop(hub.scope(id.clone()))), 0);
    assert_eq!(
        allocations(|| drop(UserId::new("x".repeat(24)))),
        1,
        "the text itself"
    );
    let long = UserId::new("x".repeat(25)).unwrap();
    assert!(allocations(|| drop(hub.scope(long.clone()))) <= 1);
}

#[test]
fn a_thread_that_waits_again_allocates_nothing() {
    let hub = Hub::<u64>::new();
    let scope = hub.scope(UserId::new("ann").unwrap());
    let mut device = scope.connect().unwrap();
    let mut wait = || assert!(device.recv_timeout(Duration::ZERO).is_err());
    wait();
    assert_eq!(allocations(wait), 0);
}
