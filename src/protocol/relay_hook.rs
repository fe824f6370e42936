//! The way of a broadcaster's packets to other nodes.

use std::fmt;

use crate::cluster::relayed::Relayed;
use crate::id::UserId;
use crate::protocol::broadcast::BroadcastError;
use crate::protocol::packet::{Audience, Packet};

/// Queues a packet for the other nodes, from its user, its audience, and whether it is critical.
pub(crate) type Relaying =
    Box<dyn Fn(&UserId, Audience<'_>, &Packet, bool) -> Relayed + Send + Sync>;

/// The way of a broadcaster's packets to other nodes, if there is one.
#[derive(Default)]
pub(super) struct RelayHook(pub(super) Option<Relaying>);

impl RelayHook {
    /// Queues a packet for the other nodes, unless this hub refused it for another reason than that the user has no
    /// connection here.
    pub(super) fn pass(
        &self,
        refused: Option<&BroadcastError>,
        user: &UserId,
        audience: Audience<'_>,
        packet: &Packet,
        is_critical: bool,
    ) -> Option<Relayed> {
        let relay = self.0.as_ref()?;
        let goes_on = matches!(refused, None | Some(BroadcastError::NoConnections));
        goes_on.then(|| relay(user, audience, packet, is_critical))
    }
}

impl fmt::Debug for RelayHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RelayHook").field(&self.0.is_some()).finish()
    }
}
