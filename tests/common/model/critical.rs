//! Critical events that a connection is more than a lane behind: the lane may have dropped them, or
//! not yet.
//!
//! The lane drops unread events in blocks, and only when a publisher needs one. The model does not
//! know the blocks. It learns what was dropped from the number of connections that have overrun, and
//! checks that this number is possible.

use std::collections::BTreeSet;

use super::Model;

impl<V: Copy> Model<V> {
    /// The critical numbers of a user that may be dropped next, oldest first: each is beyond the
    /// capacity, and a live connection has not read it.
    pub(crate) fn droppable(&self, user: u8) -> Vec<u64> {
        let Some(lane) = self.lane(user) else {
            return Vec::new();
        };
        let cursors = lane.live.iter().map(|id| self.connections[id].cursor);
        let from = cursors.min().unwrap_or(lane.end());
        let from = lane.lost.map_or(from, |lost| from.max(lost + 1));
        (from..lane.oldest())
            .filter(|n| lane.log[*n as usize].critical)
            .collect()
    }

    /// The lane has dropped this critical number.
    pub(crate) fn drop_critical(&mut self, user: u8, number: u64) {
        let lane = self.lane_mut(user).expect("a lane that drops");
        lane.lost = lane.lost.max(Some(number));
    }

    /// Live connections that have lost a critical event.
    pub(crate) fn overrun(&self, user: u8) -> usize {
        let live = self.live(user);
        let lost = |id: &&u64| {
            let connection = &self.connections[*id];
            self.lanes[connection.lane].has_lost(connection.cursor)
        };
        live.iter().filter(lost).count()
    }

    /// After publishes: so many connections have overrun. Takes the least that explains it.
    ///
    /// # Panics
    ///
    /// If it cannot be so.
    pub(crate) fn learn_overruns(&mut self, user: u8, overrun: usize) {
        let mut possible = BTreeSet::from([self.overrun(user)]);
        for number in self.droppable(user) {
            if possible.contains(&overrun) {
                return;
            }
            self.drop_critical(user, number);
            possible.insert(self.overrun(user));
        }
        assert!(
            possible.contains(&overrun),
            "{overrun} connections have overrun, and {possible:?} can"
        );
    }

    /// Whether a connection is more than a lane behind and a critical event for others is in its way.
    pub(super) fn meets_critical_for_others(&self, id: u64) -> bool {
        let Some(connection) = self.connections.get(&id) else {
            return false;
        };
        let lane = &self.lanes[connection.lane];
        let critical_for_others = |n: u64| {
            let item = &lane.log[n as usize];
            item.critical && !item.audience.contains(&id)
        };
        (connection.cursor..lane.oldest()).any(critical_for_others)
    }

    /// The critical numbers beyond the capacity that a connection has not read.
    pub(crate) fn critical_beyond(&self, id: u64) -> Vec<u64> {
        let connection = &self.connections[&id];
        if connection.end.is_some() {
            return Vec::new();
        }
        let lane = &self.lanes[connection.lane];
        (connection.cursor..lane.oldest())
            .filter(|n| lane.log[*n as usize].critical)
            .collect()
    }
}
