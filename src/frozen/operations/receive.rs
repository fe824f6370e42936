//! Operations of a device that receives, or attaches to threads.

use std::task::{Context, Waker};
use std::time::Duration;

use super::Device;
use crate::ConflationKey;
use crate::ThreadId;
use crate::frozen::world::{World, drain};

pub(super) fn latest_and_receive(world: &World, mut device: Device) -> Option<Device> {
    let key = ConflationKey::new("a").expect("valid");
    for _ in 0..2 {
        let _ = world.ann.publish_latest(&key, world.event());
    }
    drain(&mut device);
    Some(device)
}

pub(super) fn attach(world: &World, mut device: Device) -> Option<Device> {
    let _ = device.attach(thread("other"));
    let _ = world.ann.to_thread(&world.thread).publish(world.event());
    drain(&mut device);
    Some(device)
}

pub(super) fn detach(world: &World, mut device: Device) -> Option<Device> {
    let _ = world.ann.to_thread(&world.thread).publish(world.event());
    device.detach(&world.thread);
    drain(&mut device);
    Some(device)
}

pub(super) fn attach_by_user(world: &World, device: Device) -> Option<Device> {
    let _ = world.ann.attach(device.id(), thread("other"));
    world.ann.detach(device.id(), &world.thread);
    Some(device)
}

pub(super) fn receive(_: &World, mut device: Device) -> Option<Device> {
    let _ = device.try_recv();
    Some(device)
}

pub(super) fn receive_all(_: &World, mut device: Device) -> Option<Device> {
    drain(&mut device);
    Some(device)
}

/// Over the end of a block.
pub(super) fn receive_some(_: &World, mut device: Device) -> Option<Device> {
    for _ in 0..18 {
        let _ = device.try_recv();
    }
    Some(device)
}

pub(super) fn visit(_: &World, mut device: Device) -> Option<Device> {
    let _ = device.visit(18, |_, _| {});
    Some(device)
}

pub(super) fn receive_merged(_: &World, mut device: Device) -> Option<Device> {
    for _ in 0..3 {
        let _ = device.try_recv_merged(18);
    }
    Some(device)
}

pub(super) fn drain_some(_: &World, mut device: Device) -> Option<Device> {
    let _ = device.drain(18, &mut Vec::new());
    Some(device)
}

pub(super) fn poll(world: &World, mut device: Device) -> Option<Device> {
    let mut cx = Context::from_waker(Waker::noop());
    let _ = device.poll_recv(&mut cx);
    let _ = world.ann.publish(world.event());
    let _ = device.poll_recv(&mut cx);
    let _ = device.poll_recv(&mut cx);
    Some(device)
}

pub(super) fn wait(_: &World, mut device: Device) -> Option<Device> {
    let _ = device.recv_timeout(Duration::ZERO);
    Some(device)
}

fn thread(name: &str) -> ThreadId {
    ThreadId::new(name).expect("valid")
}
