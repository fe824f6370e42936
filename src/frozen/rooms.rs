//! What a stopped thread does in rooms, and what all others do there meanwhile.
#![allow(clippy::unnecessary_wraps)] // All operations have one signature.

use std::sync::atomic::Ordering;

use super::world::{Event, World, drain};
use crate::{Connection, RoomDelivery, RoomId, RoomSender};

type Device = Connection<Event>;

impl World {
    /// Publishes to rooms. Each user is offered a clone.
    fn offer_to(&self, rooms: &RoomSender<Event>, critical: bool) -> RoomDelivery {
        let event = Event::new(&self.alive, u64::MAX);
        let done = if critical {
            rooms.publish_critical(&event)
        } else {
            rooms.publish(&event)
        };
        let offered = (done.users + done.refused) as u64;
        self.offered.fetch_add(offered, Ordering::SeqCst);
        done
    }

    /// Ann joins and leaves the room in which the stopped thread may be at work.
    pub(super) fn go_on_in_rooms(&self, tablet: &mut Device) {
        let room = self.hub.room(self.room.clone());
        for _ in 0..3 {
            self.ann.join(&self.room).expect("online");
            drain(tablet);
            assert_eq!(self.offer_to(&room, false).users, 1, "a member is reached");
            assert_eq!(drain(tablet), 1, "a member is reached once");
            assert!(self.ann.leave(&self.room));
            let left = self.offer_to(&room, true);
            assert_eq!(left.users, 0, "who has left is not reached");
        }
        self.bob.join(&self.room).expect("online");
        assert!(room.members().contains(self.bob.user()));
        assert!(self.bob.leave(&self.room));
    }
}

pub(super) fn join(world: &World, device: Device) -> Option<Device> {
    let _ = world.ann.join(&world.room);
    Some(device)
}

pub(super) fn leave_and_join(world: &World, device: Device) -> Option<Device> {
    for _ in 0..2 {
        let _ = world.ann.join(&world.room);
        world.ann.leave(&world.room);
    }
    Some(device)
}

/// The others tell a watcher that stands still.
pub(super) fn watch(world: &World, device: Device) -> Option<Device> {
    let watch = world.hub.core.watch_rooms(2).expect("room");
    let _ = world.ann.join(&world.room);
    world.ann.leave(&world.room);
    while let Ok(room) = watch.try_next() {
        let _ = world.hub.core.has_members(&room);
    }
    Some(device)
}

/// Only ann is in it, so the other user notices nothing.
pub(super) fn publish_to_room(world: &World, device: Device) -> Option<Device> {
    let _ = world.ann.join(&world.room);
    world.offer_to(&world.hub.room(world.room.clone()), false);
    Some(device)
}

pub(super) fn publish_to_two(world: &World, device: Device) -> Option<Device> {
    let other = RoomId::new("other").expect("valid");
    let _ = (world.ann.join(&world.room), world.ann.join(&other));
    world.offer_to(&world.hub.rooms([world.room.clone(), other]), true);
    Some(device)
}

pub(super) fn forget(world: &World, device: Device) -> Option<Device> {
    let _ = world.ann.join(&world.room);
    world.hub.forget(world.ann.user());
    Some(device)
}

pub(super) fn members(world: &World, device: Device) -> Option<Device> {
    let _ = world.ann.join(&world.room);
    let room = world.hub.room(world.room.clone());
    let _ = (room.members(), world.ann.rooms());
    Some(device)
}
