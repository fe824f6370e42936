//! Operations of connections that come and go, of questions, and of the host.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Device;
use crate::frozen::CAPACITY;
use crate::frozen::world::{Event, World, drain};
use crate::{DrainPhase, DrainPlan, Lag, Revocation};

pub(super) fn connect(world: &World, device: Device) -> Option<Device> {
    drop(device);
    world.ann.connect().ok()
}

pub(super) fn resume(world: &World, device: Device) -> Option<Device> {
    let position = device.position();
    drop(device);
    world.ann.resume(&position).ok().map(|(device, _)| device)
}

/// The old connection is dropped when the new one has its place.
pub(super) fn succeed(world: &World, device: Device) -> Option<Device> {
    let position = device.position();
    let resumed = world.ann.resume(&position).ok();
    drop(device);
    resumed.map(|(device, _)| device)
}

/// Of a user who was not there.
pub(super) fn recover_absent(world: &World, device: Device) -> Option<Device> {
    let _ = world.cem.publish_critical(world.event());
    let _ = world.cem.publish_critical(world.event());
    for receives in [1, 2] {
        if let Ok(mut connection) = world.cem.connect() {
            let _ = connection.recover();
            for _ in 0..receives {
                let _ = connection.try_recv();
            }
        }
    }
    Some(device)
}

pub(super) fn recover(_: &World, mut device: Device) -> Option<Device> {
    let _ = device.recover();
    Some(device)
}

pub(super) fn leave(_: &World, device: Device) -> Option<Device> {
    drop(device);
    None
}

pub(super) fn disconnect(world: &World, device: Device) -> Option<Device> {
    world.ann.disconnect(device.id(), 7);
    Some(device)
}

pub(super) fn sweep(world: &World, device: Device) -> Option<Device> {
    world.hub.sweep(Duration::from_secs(1));
    Some(device)
}

pub(super) fn tell_of_all(world: &World, device: Device) -> Option<Device> {
    world.hub.for_each_user(|_, live| assert!(live > 0));
    world.hub.dump(&mut String::new()).expect("written");
    Some(device)
}

pub(super) fn laggards(world: &World, device: Device) -> Option<Device> {
    assert!(world.hub.laggards(2, Lag::Unread).len() <= 2);
    Some(device)
}

pub(super) fn subscribe(world: &World, device: Device) -> Option<Device> {
    let lifecycles = [4, 1].map(|capacity| world.hub.lifecycle(capacity).expect("room"));
    drop(device);
    let device = world.ann.connect().ok();
    while lifecycles[0].try_next().is_ok() {}
    device
}

/// A lane that has not burst between two sweeps may give memory back.
pub(super) fn sweep_after_burst(world: &World, mut device: Device) -> Option<Device> {
    drain(&mut device);
    for now in 1..4 {
        world.hub.sweep(Duration::from_secs(now));
    }
    let _ = world.ann.publish(world.event());
    Some(device)
}

pub(super) fn sweep_overrun(world: &World, device: Device) -> Option<Device> {
    let _ = world.ann.publish_critical(world.event());
    // However many blocks the lane keeps for devices that stand in them.
    for _ in 0..7 * CAPACITY {
        let _ = world.ann.publish(world.event());
    }
    world.hub.sweep(Duration::from_secs(1));
    Some(device)
}

pub(super) fn sweep_absent(world: &World, device: Device) -> Option<Device> {
    let _ = world.cem.publish_critical(world.event());
    // Each lets a quarter of the grace pass.
    for now in 0..5 {
        world.hub.sweep(Duration::from_secs(60 * now));
    }
    Some(device)
}

pub(super) fn disconnect_all(world: &World, device: Device) -> Option<Device> {
    world.ann.disconnect_all(7);
    Some(device)
}

pub(super) fn ask_and_answer(world: &World, device: Device) -> Option<Device> {
    let until = Duration::from_secs(60);
    if let Ok(mut ask) = world.ann.ask(until, |_| world.event()) {
        let _ = device.answer(ask.id(), Event::new(&world.alive, 0));
        let _ = device.answer(ask.id(), Event::new(&world.alive, 1));
        let _ = ask.wait_timeout(Duration::ZERO);
    }
    Some(device)
}

pub(super) fn ask_and_give_up(world: &World, device: Device) -> Option<Device> {
    let addressed = world.ann.to_connection(device.id());
    if let Ok(ask) = addressed.ask(Duration::ZERO, |_| world.event()) {
        world.hub.sweep(Duration::from_secs(1));
        let _ = device.answer(ask.id(), Event::new(&world.alive, 0));
    }
    Some(device)
}

pub(super) fn revoke(world: &World, device: Device) -> Option<Device> {
    let old = world.hub.scope(world.ann.user().clone());
    let mark = world.hub.next_generation();
    let fresh = world.hub.scope(old.user().clone());
    world.hub.revoke(old.user(), Revocation::before(mark));
    assert!(old.publish(world.event()).is_err_and(|e| e.is_revoked()));
    let _ = fresh.publish(world.event());
    Some(device)
}

pub(super) fn shutdown(world: &World, device: Device) -> Option<Device> {
    world.hub.shutdown();
    Some(device)
}

/// From the first user told to the last connection cut off.
pub(super) fn drain_hub(world: &World, device: Device) -> Option<Device> {
    let (alive, offered) = (Arc::clone(&world.alive), Arc::clone(&world.offered));
    let plan = DrainPlan::within(Duration::from_secs(8))
        .tell(move |_, _| Event::new(&alive, offered.fetch_add(1, Ordering::SeqCst)));
    let drain = world.hub.drain(plan).expect("the first");
    for second in 0..12 {
        drain.step(Duration::from_secs(second));
    }
    assert_eq!(drain.progress().phase, DrainPhase::Drained);
    Some(device)
}

pub(super) fn end_absent(world: &World, device: Device) -> Option<Device> {
    let _ = world.cem.publish_critical(world.event());
    world.hub.end_absent(world.cem.user());
    world.hub.end_absent(world.ann.user()); // online
    Some(device)
}
