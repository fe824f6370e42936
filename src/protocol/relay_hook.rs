//! The way of a broadcaster's packets to other nodes.

use std::fmt;
use std::sync::Arc;

use crate::cluster::relayed::Relayed;
use crate::id::{RoomId, UserId};
use crate::protocol::broadcast::BroadcastError;
use crate::protocol::packet::{Audience, Packet};
use crate::room::RoomSender;

/// Queues packets for the other nodes.
pub(crate) trait PacketRelay: Send + Sync {
    /// Queues a packet for the user's devices at the other nodes.
    fn relay_to_user(
        &self,
        user: &UserId,
        audience: Audience<'_>,
        packet: &Packet,
        is_critical: bool,
    ) -> Relayed;

    /// Queues a packet for the room's members at the other nodes, after its delivery by `local`.
    fn relay_to_room(&self, room: &RoomId, local: &RoomSender<Packet>, packet: &Packet) -> Relayed;
}

/// The way of a broadcaster's packets to other nodes, if there is one.
#[derive(Default)]
pub(super) struct RelayHook(pub(super) Option<Arc<dyn PacketRelay>>);

impl RelayHook {
    pub(super) fn is_there(&self) -> bool {
        self.0.is_some()
    }

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
        goes_on.then(|| relay.relay_to_user(user, audience, packet, is_critical))
    }

    /// Queues a packet for the members at the other nodes, if it is for one room. `local` has delivered it here.
    pub(super) fn pass_to_room(
        &self,
        local: &RoomSender<Packet>,
        packet: &Packet,
    ) -> Option<Relayed> {
        let (relay, room) = (self.0.as_ref()?, local.only_room()?);
        Some(relay.relay_to_room(room, local, packet))
    }
}

impl fmt::Debug for RelayHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RelayHook").field(&self.0.is_some()).finish()
    }
}
