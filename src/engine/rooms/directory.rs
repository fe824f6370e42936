//! All rooms of a hub, and all users who are in one.

use super::occupant::Occupant;
use super::room::Room;
use crate::sync::AtomicUsize;
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
