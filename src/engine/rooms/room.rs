//! One room: its name, the count of its members, and their places.

use super::places::Places;
use crate::id::RoomId;
use crate::sync::{AtomicUsize, Fault, Ordering, broken};
use crate::table::Keyed;

/// The count of a room that its last member has left. It stays: the next member makes another room.
const OVER: usize = usize::MAX;

/// A room that has a member, or that its last member is just leaving.
pub(super) struct Room<O> {
    pub(super) id: RoomId,
    hash: u64,
    /// Members, those included that are joining or leaving; or `OVER`.
    members: AtomicUsize,
    pub(super) places: Places<O>,
}

/// Why a room takes no more members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoEntry {
    Over,
    Full,
}

impl<O> Keyed for Room<O> {
    type Key = RoomId;
    fn hash(&self) -> u64 {
        self.hash
    }
    fn key(&self) -> &RoomId {
        &self.id
    }
}

impl<O> Room<O> {
    /// Creates a room with the caller as its first member, counted already.
    pub(super) fn new(id: RoomId, hash: u64) -> Self {
        Self {
            id,
            hash,
            members: AtomicUsize::new(1),
            places: Places::new(),
        }
    }

    /// Counts one more member. Lock-free.
    pub(super) fn enter(&self, limit: usize) -> Result<(), NoEntry> {
        let mut members = self.members.load(Ordering::Acquire);
        loop {
            // The last member has left, and the room is taken out of the directory. A user who entered
            // it all the same would be a member of a room that no publisher finds.
            if members == OVER && !broken(Fault::EnterWhatIsOver) {
                return Err(NoEntry::Over);
            }
            if members != OVER && members >= limit {
                return Err(NoEntry::Full);
            }
            let more = members.wrapping_add(1);
            let (ok, err) = (Ordering::AcqRel, Ordering::Acquire);
            match self.members.compare_exchange(members, more, ok, err) {
                Ok(_) => return Ok(()),
                Err(now) => members = now,
            }
        }
    }

    /// Counts a member out. Returns `true` to the last one, whose exchange ends the room. Lock-free.
    pub(super) fn exit(&self) -> bool {
        let mut members = self.members.load(Ordering::Acquire);
        loop {
            let rest = if members == 1 { OVER } else { members - 1 };
            let (ok, err) = (Ordering::AcqRel, Ordering::Acquire);
            match self.members.compare_exchange(members, rest, ok, err) {
                Ok(_) => return rest == OVER,
                Err(now) => members = now,
            }
        }
    }

    /// Returns the number of members.
    pub(super) fn len(&self) -> usize {
        match self.members.load(Ordering::Acquire) {
            OVER => 0,
            members => members,
        }
    }
}
