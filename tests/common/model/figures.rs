//! What can be looked at without changing it.

use super::{Connection, Model};

/// Slots that a lane of this capacity gives to a burst at a time.
fn block(capacity: u64) -> u64 {
    (capacity / 4).clamp(capacity.min(16), 256)
}

impl<V: Copy> Model<V> {
    pub(crate) fn users(&self) -> usize {
        self.current.len() - self.absent()
    }

    pub(crate) fn live(&self, user: u8) -> Vec<u64> {
        self.lane(user).map_or(Vec::new(), |l| l.live.clone())
    }

    /// How many numbers the lanes of some users have had.
    pub(crate) fn ends(&self, users: &[u8]) -> Vec<Option<u64>> {
        let end = |user: &u8| self.lane(*user).map(super::Lane::end);
        users.iter().map(end).collect()
    }

    pub(crate) fn unread(&self, id: u64) -> u64 {
        let connection = &self.connections[&id];
        self.end_of(connection) - connection.cursor
    }

    pub(crate) fn missed(&self, id: u64) -> u64 {
        self.connections[&id].missed
    }

    /// Numbers, delivered, stepped over, missed, superseded, expired, unread, replayed.
    pub(crate) fn stats(&self, id: u64) -> [u64; 8] {
        let c = &self.connections[&id];
        let numbers = self.end_of(c) - c.joined_at;
        [
            numbers,
            c.delivered,
            c.stepped_over,
            c.missed,
            c.superseded,
            c.expired,
            self.unread(id),
            c.replayed,
        ]
    }

    /// The most events that may be in memory: those of each lane, with a block for each connection
    /// that has stood in one and two more, and those that are to be replayed. A lane that keeps events
    /// goes on using the blocks it has once needed.
    pub(crate) fn most_events(&self) -> u64 {
        let mut most = 0;
        for (at, lane) in self.lanes.iter().enumerate() {
            let here = self.connections.values().filter(|c| c.lane == at).count() as u64;
            let is_open = self.current.values().any(|open| *open == at);
            if here > 0 || is_open {
                most += lane.capacity + (lane.most_here + 2) * block(lane.capacity) + 1;
            }
        }
        let waiting = self.connections.values().map(|c| c.waiting.len() as u64);
        most + waiting.sum::<u64>() + self.answers()
    }

    fn end_of(&self, connection: &Connection<V>) -> u64 {
        let now = || self.lanes[connection.lane].end();
        connection.left_at.unwrap_or_else(now)
    }
}
