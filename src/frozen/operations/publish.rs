//! Operations that publish.

use std::time::Duration;

use super::Device;
use crate::frozen::world::{World, drain};
use crate::{ConflationKey, Limits};

pub(super) fn publish(world: &World, device: Device) -> Option<Device> {
    let _ = world.ann.publish(world.event());
    Some(device)
}

pub(super) fn publish_critical(world: &World, device: Device) -> Option<Device> {
    for _ in 0..3 {
        let _ = world.ann.publish_critical(world.event());
    }
    Some(device)
}

pub(super) fn try_publish(world: &World, device: Device) -> Option<Device> {
    let _ = world.ann.try_publish(world.event());
    Some(device)
}

pub(super) fn publish_batch(world: &World, device: Device) -> Option<Device> {
    // Events that the batch does not come to are not made.
    let _ = world.ann.publish_batch((0..6).map(|_| world.event()));
    Some(device)
}

pub(super) fn publish_latest(world: &World, device: Device) -> Option<Device> {
    for key in ["a", "b", "a"] {
        let key = ConflationKey::new(key).expect("valid");
        let _ = world.ann.publish_latest(&key, world.event());
    }
    Some(device)
}

pub(super) fn publish_barrier(world: &World, device: Device) -> Option<Device> {
    let _ = world.ann.publish_barrier(world.event());
    Some(device)
}

pub(super) fn publish_until(world: &World, mut device: Device) -> Option<Device> {
    let second = Duration::from_secs(1);
    let _ = world.ann.until(second).publish(world.event());
    world.hub.tick(second);
    drain(&mut device);
    Some(device)
}

pub(super) fn publish_to_one(world: &World, device: Device) -> Option<Device> {
    let _ = world.ann.to_connection(device.id()).publish(world.event());
    Some(device)
}

pub(super) fn publish_to_thread(world: &World, device: Device) -> Option<Device> {
    let _ = world.ann.to_thread(&world.thread).publish(world.event());
    Some(device)
}

pub(super) fn publish_to_others(world: &World, device: Device) -> Option<Device> {
    let _ = world.ann.to_others(device.id()).publish(world.event());
    Some(device)
}

pub(super) fn publish_to_absent(world: &World, device: Device) -> Option<Device> {
    let _ = world.cem.publish_critical(world.event());
    Some(device)
}

/// Across two blocks and into a third.
pub(super) fn publish_burst(world: &World, device: Device) -> Option<Device> {
    for _ in 0..35 {
        let _ = world.ann.publish(world.event());
    }
    Some(device)
}

/// One event of two is accepted, one goes back and costs nothing.
pub(super) fn publish_weaker(world: &World, device: Device) -> Option<Device> {
    let limits = Limits::new().publish_only().events(1);
    let weaker = world.ann.attenuate(limits).expect("not too deep");
    let _ = weaker.publish(world.event());
    let _ = weaker.publish(world.event());
    Some(device)
}
