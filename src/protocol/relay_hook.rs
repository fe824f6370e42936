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

impl RelayHook {
    /// Calls `deliver` with a note of the users whom the packet is for. Then queues the packet for their devices at
    /// the other nodes.
    ///
    /// Delivers here first, as all of the layer does. So the users are noted, and there are as many as members.
    pub(super) fn pass_to_each<R>(
        &self,
        packet: &Packet,
        deliver: impl FnOnce(&mut dyn FnMut(&UserId) -> bool) -> R,
    ) -> R {
        let Some(relay) = &self.0 else {
            return deliver(&mut |_| true);
        };
        let mut users = Vec::new();
        let done = deliver(&mut |user| {
            users.push(user.clone());
            true
        });
        // A member of several rooms may be noted for each of them.
        users.sort_unstable();
        users.dedup();
        for user in &users {
            // A packet that goes to no other node is told there as a gap.
            let _ = relay(user, Audience::All, packet, false);
        }
        done
    }
}

impl fmt::Debug for RelayHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RelayHook").field(&self.0.is_some()).finish()
    }
}
