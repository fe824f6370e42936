//! A message to all members of a room.

use std::fmt;

#[cfg(feature = "cluster")]
use crate::cluster::relayed::Relayed;
use crate::delivery::RoomDelivery;
use crate::id::UserId;
use crate::lane::Terms;
use crate::protocol::broadcaster::Broadcaster;
use crate::protocol::message::envelope::Message;
use crate::protocol::packet::Packet;
use crate::protocol::placeholder::is_unauthenticated;
use crate::room::RoomSender;

/// The reason why [`Broadcaster::broadcast_to_room`] sent a message to no member.
///
/// ```
/// use laneway::protocol::RoomRefusal;
///
/// assert_eq!(RoomRefusal::TooDeep.to_string(), "the message is nested too deeply");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RoomRefusal {
    /// A field of the message names a receiver: one of [`ROUTING_FIELDS`](crate::protocol::ROUTING_FIELDS), at
    /// any depth. A room has many receivers.
    NamesReceiver,
    /// The fields are nested more than 126 levels deep.
    TooDeep,
    /// The broadcaster is that of a [node](https://docs.rs/laneway/latest/laneway/cluster/index.html),
    /// and the message is for several rooms at once, or for none. Each room has a subject of its own, so a member of two rooms at another node would receive it twice.
    NotOneRoom,
}

impl fmt::Display for RoomRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NamesReceiver => "a message to a room names no receiver",
            Self::TooDeep => "the message is nested too deeply",
            Self::NotOneRoom => "a message to other nodes is for one room at a time",
        })
    }
}

impl std::error::Error for RoomRefusal {}

/// The result of a message to the members of a room.
///
/// ```
/// use laneway::protocol::{Broadcaster, Message, MessageKind};
/// use laneway::{Hub, RoomId};
///
/// let (hub, broadcaster) = (Hub::new(), Broadcaster::default());
/// let oslo = hub.room(RoomId::new("Oslo")?);
/// let sent = broadcaster.broadcast_to_room(&oslo, &Message::new(MessageKind::Chat))?;
/// assert_eq!(sent.local.users, 0); // the room has no member here
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoomBroadcast {
    /// The delivery to the members here.
    pub local: RoomDelivery,
    /// What became of the message on its way to other nodes. `None` if the broadcaster is of no
    /// [node](https://docs.rs/laneway/latest/laneway/cluster/index.html).
    #[cfg(feature = "cluster")]
    pub relayed: Option<Relayed>,
}

impl Packet {
    /// Checks a message for the members of a room, of this node or of another one, and writes it.
    pub(crate) fn for_room(message: &Message) -> Result<Self, RoomRefusal> {
        if !message.is_within() {
            return Err(RoomRefusal::TooDeep);
        }
        if message.has_receiver() {
            return Err(RoomRefusal::NamesReceiver);
        }
        Ok(Self::written(message))
    }

    /// Returns whether a member of a room may receive its packets.
    pub(crate) fn is_for_member(member: &UserId) -> bool {
        // The clients of an id for users without a log-in are not one user.
        !is_unauthenticated(member.as_str())
    }
}

impl Broadcaster {
    /// Sends a message to all members of the rooms, to each user once.
    ///
    /// The message is checked and written as JSON once. All members' devices share the text.
    ///
    /// ```
    /// use laneway::protocol::{Broadcaster, Message, MessageKind, RoomRefusal};
    /// use laneway::{Hub, RoomId, UserId};
    ///
    /// let (hub, broadcaster) = (Hub::new(), Broadcaster::default());
    /// let (ann, bob) = (hub.scope(UserId::new("ann")?), hub.scope(UserId::new("bob")?));
    /// let oslo = RoomId::new("Oslo")?;
    /// let (phone, laptop) = (ann.connect()?, bob.connect()?);
    /// ann.join(&oslo)?;
    /// bob.join(&oslo)?;
    /// let hello = Message::new(MessageKind::Chat).with("text", "hello");
    /// let sent = broadcaster.broadcast_to_room(&hub.room(oslo.clone()), &hello)?;
    /// assert_eq!((sent.local.users, sent.local.connections), (2, 2));
    /// assert_eq!((phone.unread(), laptop.unread()), (1, 1));
    ///
    /// let private = hello.with("userId", "ann");
    /// let refused = broadcaster.broadcast_to_room(&hub.room(oslo), &private);
    /// assert_eq!(refused, Err(RoomRefusal::NamesReceiver));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A member whose id is one for users who are not authenticated yet receives nothing, and is not counted. One
    /// user's lane has no effect on another's. A device that is more than a lane behind may miss the message, and
    /// receives an exact gap instead.
    ///
    /// [`stats`](Self::stats) counts the call as one broadcast, which is successful if it reached a connection.
    ///
    /// The members are those of this hub. The broadcaster of a
    /// [node](https://docs.rs/laneway/latest/laneway/cluster/index.html) queues the message once, on the
    /// room's subject, and each node at which the room has a member checks it and delivers it to the members there. A
    /// user is a member at each node where the user has joined. Such a broadcaster sends to one room at a time.
    ///
    /// # Errors
    ///
    /// [`RoomRefusal`], if the message may go to no room. No flag and no policy turns the check off.
    ///
    /// # Panics
    ///
    /// As [`RoomSender::publish`].
    ///
    /// # Progress
    ///
    /// Lock-free, linear in the members and the message.
    pub fn broadcast_to_room(
        &self,
        room: &RoomSender<Packet>,
        message: &Message,
    ) -> Result<RoomBroadcast, RoomRefusal> {
        let packet = Packet::for_room(message)?;
        #[cfg(feature = "cluster")]
        if self.relay.is_there() && room.only_room().is_none() {
            return Err(RoomRefusal::NotOneRoom);
        }
        let local = room.publish_where(&packet, Terms::OVERWRITE, Packet::is_for_member);
        self.count(local.connections, local.connections);
        Ok(RoomBroadcast {
            local,
            #[cfg(feature = "cluster")]
            relayed: self.relay.pass_to_room(room, &packet),
        })
    }
}
