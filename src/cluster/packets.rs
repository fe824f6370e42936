//! The protocol layer in a cluster: its packets as bytes, and its broadcaster at every node.

use std::fmt;
use std::sync::Arc;

use crate::cluster::addressee::Addressee;
use crate::cluster::codec::Codec;
use crate::cluster::error::CodecError;
use crate::cluster::node::Node;
use crate::cluster::outbox::Outbox;
use crate::cluster::relayed::Relayed;
use crate::cluster::room;
use crate::id::{RoomId, UserId};
use crate::protocol::{
    Audience, Broadcaster, Isolation, Message, MessageKind, MessageLimits, Packet, PacketRelay,
};
use crate::room::RoomSender;

/// The limits of a packet of another node: those of what a broadcaster sends, and 64 MiB.
const LIMITS: MessageLimits = MessageLimits {
    bytes: 64 << 20,
    depth: 127,
};

/// Writes the packets of the protocol layer, and reads and checks those of other nodes.
///
/// ```
/// use laneway::cluster::{Codec, PacketCodec};
/// use laneway::protocol::Isolation;
/// use laneway::UserId;
///
/// let codec = PacketCodec::new(Isolation::default());
/// assert!(codec.decode(&UserId::new("ann")?.into(), b"no packet").is_err());
/// # Ok::<(), laneway::InvalidId>(())
/// ```
///
/// The check for foreign receivers runs again at the receiving node, with that node's [`Isolation`]. A packet for a
/// user who is not authenticated is refused. A packet that passes is written anew, so that an object that has a
/// name twice reaches no client.
///
/// A packet for a room is checked as [`Broadcaster::broadcast_to_room`] checks a message. If it names a receiver it is
/// refused, under each policy. A member who is not authenticated receives nothing.
///
/// The form is the length of the kind's name as four bytes, the name, and the JSON.
#[derive(Default)]
pub struct PacketCodec {
    isolation: Isolation,
}

impl PacketCodec {
    /// Creates a codec with this check.
    ///
    /// ```
    /// use laneway::cluster::PacketCodec;
    /// use laneway::protocol::{Contamination, Isolation};
    ///
    /// let codec = PacketCodec::new(Isolation::new(Contamination::Reject));
    /// assert_eq!(codec.isolation().contaminations_prevented(), 0);
    /// ```
    #[must_use]
    pub fn new(isolation: Isolation) -> Self {
        Self { isolation }
    }

    /// Returns the check, for its figures. Wait-free.
    ///
    /// ```
    /// let codec = laneway::cluster::PacketCodec::default();
    /// assert_eq!(codec.isolation().foreign_fields(), 0);
    /// ```
    #[must_use]
    pub fn isolation(&self) -> &Isolation {
        &self.isolation
    }
}

impl fmt::Debug for PacketCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PacketCodec")
            .field("isolation", &self.isolation)
            .finish()
    }
}

impl Codec<Packet> for PacketCodec {
    fn encode(&self, event: &Packet, into: &mut Vec<u8>) -> Result<(), CodecError> {
        let name = event.kind().name();
        let length = u32::try_from(name.len()).map_err(CodecError::new)?;
        into.extend_from_slice(&length.to_le_bytes());
        into.extend_from_slice(name.as_bytes());
        into.extend_from_slice(event.json().as_bytes());
        Ok(())
    }

    fn decode(&self, to: &Addressee, bytes: &[u8]) -> Result<Packet, CodecError> {
        let no_packet = || CodecError::new("the bytes are no packet");
        let (length, rest) = bytes.split_first_chunk().ok_or_else(no_packet)?;
        let (name, json) = rest
            .split_at_checked(u32::from_le_bytes(*length) as usize)
            .ok_or_else(no_packet)?;
        let name = std::str::from_utf8(name).map_err(CodecError::new)?;
        let mut message = Message::parse_within(json, LIMITS).map_err(CodecError::new)?;
        message.kind = MessageKind::from_name(name);
        match to {
            Addressee::User(receiver) => {
                Packet::checked(&message, receiver, &self.isolation).map_err(CodecError::new)
            }
            Addressee::Room(_) => Packet::for_room(&message).map_err(CodecError::new),
        }
    }

    fn is_for_member(&self, member: &UserId) -> bool {
        Packet::is_for_member(member)
    }
}

impl PacketRelay for Outbox<Packet> {
    fn relay_to_user(
        &self,
        user: &UserId,
        audience: Audience<'_>,
        packet: &Packet,
        is_critical: bool,
    ) -> Relayed {
        let thread = match audience {
            Audience::Connection(_) => return Relayed::Local,
            Audience::Thread(thread) => Some(thread.clone()),
            Audience::All | Audience::Others(_) => None,
        };
        let link = self.link(user.clone().into());
        self.put(&link, packet.clone(), is_critical, (thread, None))
    }

    fn relay_to_room(&self, room: &RoomId, local: &RoomSender<Packet>, packet: &Packet) -> Relayed {
        let link = self.link(room.clone().into());
        room::relay(self, &link, local, packet, false)
    }
}

impl Broadcaster {
    /// Returns the broadcaster of a node: what it sends goes to the user's devices, or the room's members, at every node.
    ///
    /// ```
    /// use std::time::Duration;
    /// use laneway::cluster::{ClusterOptions, Loopback, Node, PacketCodec};
    /// use laneway::protocol::{Broadcaster, Message, MessageKind};
    /// use laneway::{Hub, UserId};
    ///
    /// let hub = Hub::new();
    /// let options = ClusterOptions::new("chat");
    /// let (node, _driver) = Node::join(&hub, options, PacketCodec::default(), Loopback::new())?;
    /// let broadcaster = Broadcaster::default().relayed_by(&node);
    /// let ann = hub.scope(UserId::new("ann")?);
    /// let sent = broadcaster.broadcast(&ann, &Message::new(MessageKind::Chat), Duration::ZERO);
    /// assert!(!sent.relayed.unwrap().is_queued()); // no task runs the driver
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// So do answers, runs of agents and quality messages that are sent through it. What is for one connection
    /// stays here. What is for all connections but one goes to all at the other nodes. A message that the check
    /// refuses goes to no node. The scopes and rooms that are passed have to be of the node's hub.
    ///
    /// A message [to a room](Self::broadcast_to_room) goes out once. [`NodeRoom`](crate::cluster::NodeRoom) says which
    /// members it reaches, and in which order.
    #[must_use]
    pub fn relayed_by(self, node: &Node<Packet>) -> Self {
        self.with_relay(Arc::clone(&node.outbox) as Arc<dyn PacketRelay>)
    }
}
