//! A message to all members of a room.

use std::fmt;

use crate::delivery::RoomDelivery;
use crate::id::UserId;
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
}

impl fmt::Display for RoomRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NamesReceiver => "a message to a room names no receiver",
            Self::TooDeep => "the message is nested too deeply",
        })
    }
}

impl std::error::Error for RoomRefusal {}

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
    /// assert_eq!((sent.users, sent.connections), (2, 2));
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
    /// The members are those of this hub. The broadcaster of a [node](crate::cluster) sends the message to the
    /// devices of these members at the other nodes as well. A member of a room of the same name at another node
    /// is no member here.
    ///
    /// # Errors
    ///
    /// [`RoomRefusal`], if the message may go to no room. No flag and no policy turns the check off.
    ///
    /// # Panics
    ///
    /// As [`RoomSender::publish`].
    ///
    /// # Bounds
    ///
    /// The broadcaster of a node notes the ids of the members until the call returns.
    ///
    /// # Progress
    ///
    /// Lock-free, linear in the members and the message.
    pub fn broadcast_to_room(
        &self,
        room: &RoomSender<Packet>,
        message: &Message,
    ) -> Result<RoomDelivery, RoomRefusal> {
        if !message.is_within() {
            return Err(RoomRefusal::TooDeep);
        }
        if message.has_receiver() {
            return Err(RoomRefusal::NamesReceiver);
        }
        let packet = Packet::written(message);
        // The clients of an id for users without a log-in are not one user.
        let is_user = |member: &UserId| !is_unauthenticated(member.as_str());
        #[cfg(feature = "cluster")]
        let delivery = self.relay.pass_to_each(&packet, |note| {
            room.publish_where(&packet, |member| is_user(member) && note(member))
        });
        #[cfg(not(feature = "cluster"))]
        let delivery = room.publish_where(&packet, is_user);
        self.count(delivery.connections, delivery.connections);
        Ok(delivery)
    }
}
