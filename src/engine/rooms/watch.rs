//! Notices to the nodes of a cluster: a room has begun in this hub, or has ended.
//!
//! A notice is a trigger. The watcher asks the hub what is true now. Each change is followed by its notice. So the
//! look after the last notice sees the last change, in whatever order the notices of a room come.

use std::cell::RefCell;
use std::mem::take;

use smallvec::SmallVec;

use crate::id::RoomId;
use crate::notices::{Subscribers, fence_after_change};
use crate::sync::{Guard, pin};

/// One call that may begin or end rooms: its guard, and the rooms that it has begun or ended.
///
/// The watchers are told when it is dropped, behind the guard: a thread that is stopped with a channel's lock would
/// otherwise keep the whole process from freeing memory.
pub(super) struct Call<'a> {
    // Fields are dropped in this order.
    pub(super) guard: Guard,
    changes: Changes<'a>,
}

struct Changes<'a> {
    watchers: &'a Subscribers<RoomId>,
    rooms: RefCell<SmallVec<[RoomId; 1]>>,
}

impl<'a> Call<'a> {
    pub(super) fn begin(watchers: &'a Subscribers<RoomId>) -> Self {
        let rooms = RefCell::default();
        Self {
            guard: pin(),
            changes: Changes { watchers, rooms },
        }
    }

    /// Notes a room that has begun or ended. One branch in a hub that is no node.
    pub(super) fn note(&self, room: &RoomId) {
        let Changes { watchers, rooms } = &self.changes;
        fence_after_change();
        if !watchers.is_empty() {
            rooms.borrow_mut().push(room.clone());
        }
    }

    /// Tells the watchers at once: a defect of the models.
    pub(super) fn tell_now(&self, room: &RoomId) {
        self.changes.watchers.tell(|| room.clone());
    }
}

impl Drop for Changes<'_> {
    fn drop(&mut self) {
        for room in take(self.rooms.get_mut()) {
            self.watchers.tell(|| room);
        }
    }
}
