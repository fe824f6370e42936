//! What can be looked at without changing it.

use super::{Connection, Model};

impl<V: Copy> Model<V> {
    pub(crate) fn users(&self) -> usize {
        self.current.len() - self.absent()
    }

    pub(crate) fn live(&self, user: u8) -> Vec<u64> {
        self.lane(user).map_or(Vec::new(), |l| l.live.clone())
    }

    pub(crate) fn unread(&self, id: u64) -> u64 {
        let connection = &self.connections[&id];
        self.end_of(connection) - connection.cursor
    }

    pub(crate) fn missed(&self, id: u64) -> u64 {
        self.connections[&id].missed
    }

    /// Numbers, delivered, stepped over, missed, unread, replayed.
    pub(crate) fn stats(&self, id: u64) -> [u64; 6] {
        let c = &self.connections[&id];
        let numbers = self.end_of(c) - c.joined_at;
        [
            numbers,
            c.delivered,
            c.stepped_over,
            c.missed,
            self.unread(id),
            c.replayed,
        ]
    }

    fn end_of(&self, connection: &Connection<V>) -> u64 {
        let now = || self.lanes[connection.lane].end();
        connection.left_at.unwrap_or_else(now)
    }
}
