//! Models of budgets: reservations beside releases.

use std::sync::Arc;

use crate::lane::pool::Pool;
use crate::sync::{Fault, model};
use crate::{Hub, UserId, UserScope};

const ONCE: &str = "bytes are released once and none is left";

/// A hub of lanes of two events that weigh 1 each.
fn weighing(lane_bytes: u64, hub_bytes: u64) -> (Hub<u8>, UserScope<u8>, Arc<Pool>) {
    let hub: Hub<u8> = Hub::builder()
        .lane_capacity(2)
        .shards(1)
        .lane_bytes(Some(lane_bytes))
        .hub_bytes(Some(hub_bytes))
        .build()
        .expect("valid");
    let scope = hub.scope(UserId::new("ann").expect("valid"));
    let pool = hub.core.budget.pool.clone().expect("limited");
    (hub, scope, pool)
}

/// Two publishers, and room for the bytes of one event.
fn publish_with_room_for_one() {
    let (_hub, ann, pool) = weighing(1, 8);
    let device = ann.connect().expect("room");
    let other = ann.clone();
    let t = loom::thread::spawn(move || usize::from(other.publish(1).is_ok()));
    let accepted = usize::from(ann.publish(2).is_ok()) + t.join().unwrap();
    assert_eq!(accepted, 1, "a lane holds at most its bytes");
    assert_eq!(pool.total(), 1, "{ONCE}");
    drop(device);
    assert_eq!(pool.total(), 0, "{ONCE}");
}

#[test]
fn r110_publish_against_publish_at_the_budget() {
    model::sound("two reserve", 2, publish_with_room_for_one);
    model::twin(Fault::ReserveInTwoSteps, "a lane holds at most its bytes");
    model::twin(Fault::KeepTheCharge, ONCE);
}

/// A reader receives while a publisher reserves, and both are at the budget.
fn publish_while_receiving() {
    let (_hub, ann, pool) = weighing(1, 8);
    let mut device = ann.connect().expect("room");
    ann.publish(1).expect("accepted");
    let t = loom::thread::spawn(move || {
        assert!(device.try_recv().is_ok());
        device
    });
    let accepted = u64::from(ann.publish(2).is_ok());
    let device = t.join().unwrap();
    assert_eq!(pool.total(), accepted, "{ONCE}");
    assert!(
        accepted == 1 || ann.publish(3).is_ok(),
        "the bytes are free"
    );
    drop(device);
    assert_eq!(pool.total(), 0, "{ONCE}");
}

#[test]
fn r110_reserve_against_release() {
    model::sound("reserve, release", 2, publish_while_receiving);
    model::twin(Fault::ReleaseByEach, ONCE);
    model::twin(Fault::KeepTheCharge, ONCE);
}

/// A publish evicts while a late reader receives.
fn evict_while_receiving() {
    let (_hub, ann, pool) = weighing(64, 64);
    let mut device = ann.connect().expect("room");
    // The next event needs the arena of the second and third one.
    for n in 0..5 {
        ann.publish(n).expect("accepted");
    }
    let other = ann.clone();
    let t = loom::thread::spawn(move || other.publish(5).is_ok());
    // A gap, and an event.
    let _ = (device.try_recv(), device.try_recv());
    assert!(t.join().unwrap());
    assert!(pool.total() <= 6, "{ONCE}");
    drop(device);
    assert_eq!(pool.total(), 0, "{ONCE}");
}

#[test]
fn r110_evict_against_receive() {
    model::sound("evict, receive", 1, evict_while_receiving);
    model::twin(Fault::ReleaseByEach, ONCE);
}

/// The last connection is dropped while a publisher reserves: the number is filled, void or refused.
fn publish_while_the_lane_ends() {
    let (_hub, ann, pool) = weighing(8, 8);
    let device = ann.connect().expect("room");
    // After two publishes the scope keeps the entry: it is freed here, behind the other thread. loom
    // does not see that the count of an entry's owners orders the two.
    for n in 1..3 {
        ann.publish(n).expect("accepted");
    }
    let t = loom::thread::spawn(move || drop(device));
    let _ = ann.publish(3);
    t.join().unwrap();
    assert_eq!((pool.total(), pool.lanes()), (0, 0), "{ONCE}");
}

#[test]
fn r110_publish_against_the_end_of_the_lane() {
    model::sound("publish, end of a lane", 2, publish_while_the_lane_ends);
    model::twin(Fault::ForgetTheCharge, ONCE);
}

/// The connection is closed beside a publish, and its owner has not dropped it.
fn close_while_publishing() {
    let (_hub, ann, pool) = weighing(8, 8);
    let device = ann.connect().expect("room");
    let other = ann.clone();
    let t = loom::thread::spawn(move || other.disconnect_all(1));
    let _ = ann.publish(1);
    assert_eq!(t.join().unwrap(), 1);
    let is_counted = pool.total() == 0 || pool.lanes() == 1;
    assert!(is_counted, "a lane with bytes counts for the shares");
    drop(device);
    assert_eq!((pool.total(), pool.lanes()), (0, 0), "{ONCE}");
}

#[test]
fn r111_close_against_publish() {
    model::sound("close, publish", 2, close_while_publishing);
    model::twin(
        Fault::CountOutWithBytes,
        "a lane with bytes counts for the shares",
    );
}
