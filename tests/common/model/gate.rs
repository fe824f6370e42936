//! Revocations: whose connections a host closes with them.

use super::{End, Model};

impl<V: Copy> Model<V> {
    /// Returns how many connections are closed: all of the user's, but for the device that is spared.
    pub(crate) fn revoke(&mut self, user: u8, spared: Option<u64>) -> usize {
        self.revoke_grants(user);
        let closed: Vec<_> = self
            .live(user)
            .into_iter()
            .filter(|id| Some(self.connections[id].device) != spared)
            .collect();
        for &id in &closed {
            self.end(id, Some(End::Revoked));
        }
        closed.len()
    }
}
