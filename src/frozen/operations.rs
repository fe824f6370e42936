//! The operations in which a thread is stopped.
#![allow(clippy::unnecessary_wraps)] // All operations have one signature.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Waker};
use std::time::Duration;

use super::{BLOCKS, CAPACITY, Event, World, drain, rooms};
use crate::{ConflationKey, Connection, DrainPhase, DrainPlan, Lag, Limits, Revocation, ThreadId};

/// Whose connections an operation may close beside its own device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    Nothing,
    Ann,
    All,
}

/// The operation in which a thread is stopped, with a device of ann's.
pub(super) struct Operation {
    pub(super) name: &'static str,
    pub(super) capacity: usize,
    /// Events published before it, unread by its device.
    pub(super) backlog: usize,
    /// Ann has another device that is as late.
    pub(super) shared: bool,
    pub(super) ends: Ends,
    pub(super) run: fn(&World, Connection<Event>) -> Option<Connection<Event>>,
}

type Run = fn(&World, Connection<Event>) -> Option<Connection<Event>>;

/// In a lane of four.
const fn small(name: &'static str, backlog: usize, shared: bool, run: Run) -> Operation {
    Operation {
        name,
        capacity: CAPACITY,
        backlog,
        shared,
        ends: Ends::Nothing,
        run,
    }
}

/// In a lane whose bursts take several blocks.
const fn burst(name: &'static str, backlog: usize, shared: bool, run: Run) -> Operation {
    Operation {
        capacity: BLOCKS,
        ..small(name, backlog, shared, run)
    }
}

/// In a lane of four that it may end.
const fn ending(name: &'static str, backlog: usize, ends: Ends, run: Run) -> Operation {
    Operation {
        ends,
        ..small(name, backlog, true, run)
    }
}

pub(super) const OPERATIONS: &[Operation] = &[
    // Publishing.
    small("publish", 0, false, publish),
    small("publish that overwrites", CAPACITY, true, publish),
    small(
        "publish_critical that overwrites",
        CAPACITY,
        true,
        publish_critical,
    ),
    small("try_publish", 0, false, try_publish),
    small("try_publish to a full lane", CAPACITY, true, try_publish),
    small("publish_batch", 1, true, publish_batch),
    small("publish_latest of two keys", 0, true, publish_latest),
    burst("publish_latest, and receive", 0, true, latest_and_receive),
    small("publish_barrier", 1, true, publish_barrier),
    small("publish until a deadline", 0, true, publish_until),
    small("publish to one device", 0, true, publish_to_one),
    small("publish to a thread", 0, true, publish_to_thread),
    small("attach to a thread", 1, true, attach),
    small("detach from a thread", 1, true, detach),
    small("attach by the user", 0, true, attach_by_user),
    small("publish to the others", 0, true, publish_to_others),
    small(
        "publish_critical to an absent user",
        0,
        false,
        publish_to_absent,
    ),
    burst("publish of a burst", 0, false, publish_burst),
    burst("publish at the end of a block", 16, true, publish),
    burst("publish behind the end of a block", 17, true, publish),
    burst("publish in the third block", 33, true, publish),
    burst(
        "publish that overwrites a block",
        BLOCKS + 16,
        true,
        publish,
    ),
    // Receiving.
    small("receive, one reader of two", 1, true, receive),
    small("receive, last reader", 1, false, receive),
    small("receive, lapped", CAPACITY + 1, true, receive_all),
    burst("receive at the end of a block", 16, false, receive_all),
    burst("receive behind the end of a block", 17, true, receive_all),
    burst("receive in the middle of a burst", 33, true, receive_some),
    burst("receive, lapped by blocks", BLOCKS + 33, true, receive_some),
    burst("visit", 17, false, visit),
    burst("receive, merged", 33, true, receive_merged),
    small(
        "receive, merged up to a gap",
        CAPACITY + 1,
        true,
        receive_merged,
    ),
    burst("drain", 17, true, drain_some),
    small("poll, sleep and wake", 0, false, poll),
    small("wait with a timeout", 0, false, wait),
    // Coming and going.
    small("connect", 0, false, connect),
    small("resume", 2, true, resume),
    burst("resume of a burst", 33, true, resume),
    small("resume in the place of a live connection", 2, true, succeed),
    burst("resume in the place of one in a burst", 33, true, succeed),
    small("recover", 0, false, recover),
    small("recover and receive", 0, false, recover_absent),
    small("drop a connection", 2, true, leave),
    burst("drop a connection in a burst", 17, true, leave),
    burst("drop the last reader of a burst", 33, false, leave),
    small("disconnect from outside", 2, true, disconnect),
    burst("disconnect from outside in a burst", 17, true, disconnect),
    // Sweeping and ending.
    small("sweep", 2, true, sweep),
    small("tell of all users", 2, true, tell_of_all),
    small("laggards", 2, true, laggards),
    small("subscribe, and tell of a connect", 0, true, subscribe),
    burst("sweep after a burst", 33, false, sweep_after_burst),
    ending(
        "sweep that closes overrun connections",
        1,
        Ends::Ann,
        sweep_overrun,
    ),
    ending(
        "sweep that ends an absent lane",
        0,
        Ends::Nothing,
        sweep_absent,
    ),
    ending(
        "end the lane of an absent user",
        0,
        Ends::Nothing,
        end_absent,
    ),
    // Rooms.
    small("join a room", 0, true, rooms::join),
    small(
        "leave a room, and join it again",
        0,
        true,
        rooms::leave_and_join,
    ),
    small("publish to a room", 1, true, rooms::publish_to_room),
    small(
        "publish_critical to two rooms",
        1,
        true,
        rooms::publish_to_two,
    ),
    small("forget the rooms of a user", 0, true, rooms::forget),
    small("members of a room", 0, true, rooms::members),
    ending("disconnect_all", 2, Ends::Ann, disconnect_all),
    ending("revoke", 2, Ends::Ann, revoke),
    small("publish by a weaker scope", 0, true, publish_weaker),
    small("ask, answer and take the answer", 0, true, ask_and_answer),
    small("ask and give up", 0, true, ask_and_give_up),
    ending("shutdown", 2, Ends::All, shutdown),
    ending("drain", 2, Ends::All, drain_hub),
];

type Device = Connection<Event>;

fn publish(world: &World, device: Device) -> Option<Device> {
    let _ = world.ann.publish(world.event());
    Some(device)
}

fn publish_critical(world: &World, device: Device) -> Option<Device> {
    for _ in 0..3 {
        let _ = world.ann.publish_critical(world.event());
    }
    Some(device)
}

fn try_publish(world: &World, device: Device) -> Option<Device> {
    let _ = world.ann.try_publish(world.event());
    Some(device)
}

fn publish_batch(world: &World, device: Device) -> Option<Device> {
    // Events that the batch does not come to are not made.
    let _ = world.ann.publish_batch((0..6).map(|_| world.event()));
    Some(device)
}

fn publish_latest(world: &World, device: Device) -> Option<Device> {
    for key in ["a", "b", "a"] {
        let key = ConflationKey::new(key).expect("valid");
        let _ = world.ann.publish_latest(&key, world.event());
    }
    Some(device)
}

fn latest_and_receive(world: &World, mut device: Device) -> Option<Device> {
    let key = ConflationKey::new("a").expect("valid");
    for _ in 0..2 {
        let _ = world.ann.publish_latest(&key, world.event());
    }
    drain(&mut device);
    Some(device)
}

fn publish_barrier(world: &World, device: Device) -> Option<Device> {
    let _ = world.ann.publish_barrier(world.event());
    Some(device)
}

fn publish_until(world: &World, mut device: Device) -> Option<Device> {
    let second = Duration::from_secs(1);
    let _ = world.ann.until(second).publish(world.event());
    world.hub.tick(second);
    drain(&mut device);
    Some(device)
}

fn publish_to_one(world: &World, device: Device) -> Option<Device> {
    let _ = world.ann.to_connection(device.id()).publish(world.event());
    Some(device)
}

fn publish_to_thread(world: &World, device: Device) -> Option<Device> {
    let _ = world.ann.to_thread(&world.thread).publish(world.event());
    Some(device)
}

fn attach(world: &World, mut device: Device) -> Option<Device> {
    let _ = device.attach(thread("other"));
    let _ = world.ann.to_thread(&world.thread).publish(world.event());
    drain(&mut device);
    Some(device)
}

fn detach(world: &World, mut device: Device) -> Option<Device> {
    let _ = world.ann.to_thread(&world.thread).publish(world.event());
    device.detach(&world.thread);
    drain(&mut device);
    Some(device)
}

fn attach_by_user(world: &World, device: Device) -> Option<Device> {
    let _ = world.ann.attach(device.id(), thread("other"));
    world.ann.detach(device.id(), &world.thread);
    Some(device)
}

fn thread(name: &str) -> ThreadId {
    ThreadId::new(name).expect("valid")
}

fn publish_to_others(world: &World, device: Device) -> Option<Device> {
    let _ = world.ann.to_others(device.id()).publish(world.event());
    Some(device)
}

fn publish_to_absent(world: &World, device: Device) -> Option<Device> {
    let _ = world.cem.publish_critical(world.event());
    Some(device)
}

/// Across two blocks and into a third.
fn publish_burst(world: &World, device: Device) -> Option<Device> {
    for _ in 0..35 {
        let _ = world.ann.publish(world.event());
    }
    Some(device)
}

fn receive(_: &World, mut device: Device) -> Option<Device> {
    let _ = device.try_recv();
    Some(device)
}

fn receive_all(_: &World, mut device: Device) -> Option<Device> {
    drain(&mut device);
    Some(device)
}

/// Over the end of a block.
fn receive_some(_: &World, mut device: Device) -> Option<Device> {
    for _ in 0..18 {
        let _ = device.try_recv();
    }
    Some(device)
}

fn visit(_: &World, mut device: Device) -> Option<Device> {
    let _ = device.visit(18, |_, _| {});
    Some(device)
}

fn receive_merged(_: &World, mut device: Device) -> Option<Device> {
    for _ in 0..3 {
        let _ = device.try_recv_merged(18);
    }
    Some(device)
}

fn drain_some(_: &World, mut device: Device) -> Option<Device> {
    let _ = device.drain(18, &mut Vec::new());
    Some(device)
}

fn poll(world: &World, mut device: Device) -> Option<Device> {
    let mut cx = Context::from_waker(Waker::noop());
    let _ = device.poll_recv(&mut cx);
    let _ = world.ann.publish(world.event());
    let _ = device.poll_recv(&mut cx);
    let _ = device.poll_recv(&mut cx);
    Some(device)
}

fn wait(_: &World, mut device: Device) -> Option<Device> {
    let _ = device.recv_timeout(Duration::ZERO);
    Some(device)
}

fn connect(world: &World, device: Device) -> Option<Device> {
    drop(device);
    world.ann.connect().ok()
}

fn resume(world: &World, device: Device) -> Option<Device> {
    let position = device.position();
    drop(device);
    world.ann.resume(&position).ok().map(|(device, _)| device)
}

/// The old connection is dropped when the new one has its place.
fn succeed(world: &World, device: Device) -> Option<Device> {
    let position = device.position();
    let resumed = world.ann.resume(&position).ok();
    drop(device);
    resumed.map(|(device, _)| device)
}

/// Of a user who was not there.
fn recover_absent(world: &World, device: Device) -> Option<Device> {
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

fn recover(_: &World, mut device: Device) -> Option<Device> {
    let _ = device.recover();
    Some(device)
}

fn leave(_: &World, device: Device) -> Option<Device> {
    drop(device);
    None
}

fn disconnect(world: &World, device: Device) -> Option<Device> {
    world.ann.disconnect(device.id(), 7);
    Some(device)
}

fn sweep(world: &World, device: Device) -> Option<Device> {
    world.hub.sweep(Duration::from_secs(1));
    Some(device)
}

fn tell_of_all(world: &World, device: Device) -> Option<Device> {
    world.hub.for_each_user(|_, live| assert!(live > 0));
    world.hub.dump(&mut String::new()).expect("written");
    Some(device)
}

fn laggards(world: &World, device: Device) -> Option<Device> {
    assert!(world.hub.laggards(2, Lag::Unread).len() <= 2);
    Some(device)
}

fn subscribe(world: &World, device: Device) -> Option<Device> {
    let lifecycles = [4, 1].map(|capacity| world.hub.lifecycle(capacity).expect("room"));
    drop(device);
    let device = world.ann.connect().ok();
    while lifecycles[0].try_next().is_ok() {}
    device
}

/// A lane that has not burst between two sweeps may give memory back.
fn sweep_after_burst(world: &World, mut device: Device) -> Option<Device> {
    drain(&mut device);
    for now in 1..4 {
        world.hub.sweep(Duration::from_secs(now));
    }
    let _ = world.ann.publish(world.event());
    Some(device)
}

fn sweep_overrun(world: &World, device: Device) -> Option<Device> {
    let _ = world.ann.publish_critical(world.event());
    // However many blocks the lane keeps for devices that stand in them.
    for _ in 0..7 * CAPACITY {
        let _ = world.ann.publish(world.event());
    }
    world.hub.sweep(Duration::from_secs(1));
    Some(device)
}

fn sweep_absent(world: &World, device: Device) -> Option<Device> {
    let _ = world.cem.publish_critical(world.event());
    // Each lets a quarter of the grace pass.
    for now in 0..5 {
        world.hub.sweep(Duration::from_secs(60 * now));
    }
    Some(device)
}

fn end_absent(world: &World, device: Device) -> Option<Device> {
    let _ = world.cem.publish_critical(world.event());
    world.hub.end_absent(world.cem.user());
    world.hub.end_absent(world.ann.user()); // online
    Some(device)
}

fn disconnect_all(world: &World, device: Device) -> Option<Device> {
    world.ann.disconnect_all(7);
    Some(device)
}

/// One event of two is accepted, one goes back and costs nothing.
fn publish_weaker(world: &World, device: Device) -> Option<Device> {
    let limits = Limits::new().publish_only().events(1);
    let weaker = world.ann.attenuate(limits).expect("not too deep");
    let _ = weaker.publish(world.event());
    let _ = weaker.publish(world.event());
    Some(device)
}

fn ask_and_answer(world: &World, device: Device) -> Option<Device> {
    let until = Duration::from_secs(60);
    if let Ok(mut ask) = world.ann.ask(until, |_| world.event()) {
        let _ = device.answer(ask.id(), Event::new(&world.alive, 0));
        let _ = device.answer(ask.id(), Event::new(&world.alive, 1));
        let _ = ask.wait_timeout(Duration::ZERO);
    }
    Some(device)
}

fn ask_and_give_up(world: &World, device: Device) -> Option<Device> {
    let addressed = world.ann.to_connection(device.id());
    if let Ok(ask) = addressed.ask(Duration::ZERO, |_| world.event()) {
        world.hub.sweep(Duration::from_secs(1));
        let _ = device.answer(ask.id(), Event::new(&world.alive, 0));
    }
    Some(device)
}

fn revoke(world: &World, device: Device) -> Option<Device> {
    let old = world.hub.scope(world.ann.user().clone());
    let mark = world.hub.next_generation();
    let fresh = world.hub.scope(old.user().clone());
    world.hub.revoke(old.user(), Revocation::before(mark));
    assert!(old.publish(world.event()).is_err_and(|e| e.is_revoked()));
    let _ = fresh.publish(world.event());
    Some(device)
}

fn shutdown(world: &World, device: Device) -> Option<Device> {
    world.hub.shutdown();
    Some(device)
}

/// From the first user told to the last connection cut off.
fn drain_hub(world: &World, device: Device) -> Option<Device> {
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
