//! All rooms of a hub, and all users who are in one.

use super::occupant::{Membership, Occupant};
use super::room::Room;
use super::watch::Call;
use crate::sync::{AtomicUsize, Fault, broken};
use crate::table::Table;

/// The most roots of the table of rooms. Publishers look a room up once for all its members.
const ROOM_ROOTS: usize = 1024;

/// All rooms of a hub, and all users who are in one. Made by the first join.
pub(crate) struct Directory<E: 'static> {
    pub(super) rooms: Table<Room<Occupant<E>>>,
    pub(super) occupants: Table<Occupant<E>>,
    /// Users with memberships, where these are kept.
    pub(super) kept: AtomicUsize,
}

impl<E: 'static> Directory<E> {
    /// Creates a directory for a hub whose user table has so many roots.
    pub(super) fn new(shards: usize) -> Self {
        Self {
            rooms: Table::new(shards.min(ROOM_ROOTS)),
            occupants: Table::new(shards),
            kept: AtomicUsize::new(0),
        }
    }
}

impl<E: Send + Sync + 'static> Directory<E> {
    /// Gives a place back that is off its occupant's list. The last member who goes takes the room out of
    /// the directory.
    pub(super) fn vacate(&self, membership: &Membership<E>, call: &Call<'_>) {
        let Membership { room, at } = membership;
        if !broken(Fault::LeaveThePlace) {
            room.places.vacate(*at, &call.guard);
        }
        if broken(Fault::TellBeforeTheEnd) {
            call.tell_now(&room.id);
        }
        if room.exit() {
            self.rooms.remove(room, &call.guard);
            // After the exit. In the other order a watcher could look in between, find the room, and listen for it
            // for ever.
            if !broken(Fault::TellBeforeTheEnd) {
                call.note(&room.id);
            }
        }
    }
}
