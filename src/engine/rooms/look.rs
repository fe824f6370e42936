//! The questions of a cluster's node: which rooms have a member here.

use std::slice::from_ref;

use crate::engine::core::Core;
use crate::id::RoomId;
use crate::lifecycle::LifecycleError;
use crate::notices::Notices;

impl<E: Send + Sync + 'static> Core<E> {
    /// Adds a watcher of rooms with room for so many notices.
    pub(crate) fn watch_rooms(&self, capacity: usize) -> Result<Notices<RoomId>, LifecycleError> {
        self.watchers.add(capacity)
    }

    /// Returns whether the room has a member. Users who are just joining or leaving count. Lock-free.
    pub(crate) fn has_members(&self, room: &RoomId) -> bool {
        self.member_count(from_ref(room)) > 0
    }

    /// Calls `f` with each room that has a member. No guard is held during a call.
    pub(crate) fn for_each_room(&self, mut f: impl FnMut(&RoomId)) {
        if let Some(directory) = self.rooms.get() {
            directory.rooms.for_each(|room| {
                if room.len() > 0 {
                    f(&room.id);
                }
            });
        }
    }
}
