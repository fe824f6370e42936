//! The value that devices receive, and the choice of devices.

#[cfg(feature = "cluster")]
use crate::id::UserId;
use crate::id::{ConnectionId, ThreadId};
#[cfg(feature = "cluster")]
use crate::protocol::broadcast::BroadcastError;
use crate::protocol::message::envelope::Message;
#[cfg(feature = "cluster")]
use crate::protocol::message::isolation::Isolation;
use crate::protocol::message::kind::MessageKind;
#[cfg(feature = "cluster")]
use crate::protocol::placeholder::is_unauthenticated;
use std::sync::Arc;

/// The engine's event in this layer: a message as JSON, written once.
///
/// Clones share the text, so each device receives the same bytes.
///
/// ```
/// use std::time::Duration;
/// use laneway::protocol::{Broadcaster, Message, MessageKind, Packet};
/// use laneway::{Received, Hub, UserId};
///
/// let engine: Hub<Packet> = Hub::new();
/// let ann = engine.scope(UserId::new("ann")?);
/// let mut phone = ann.connect()?;
/// let _ = Broadcaster::default().broadcast(&ann, &Message::new(MessageKind::Pong), Duration::ZERO);
/// let Received::Event(got) = phone.try_recv()? else { panic!("a gap") };
/// assert_eq!(got.event.json(), r#"{"type":"pong"}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet(pub(super) Arc<(MessageKind, Box<str>)>);

impl Packet {
    /// Writes a message as a packet. The caller has checked the message.
    pub(super) fn written(message: &Message) -> Self {
        // A copy of its length: to shrink the text in its place costs the allocator more.
        let json = message.to_json().as_str().into();
        Self(Arc::new((message.kind.clone(), json)))
    }

    /// Checks a message of another node as a broadcaster checks its own, and writes it.
    #[cfg(feature = "cluster")]
    pub(crate) fn checked(
        message: &Message,
        receiver: &UserId,
        isolation: &Isolation,
    ) -> Result<Self, BroadcastError> {
        if is_unauthenticated(receiver.as_str()) {
            return Err(BroadcastError::Unauthenticated);
        }
        if !message.is_within() {
            return Err(BroadcastError::TooDeep);
        }
        let isolated = isolation.check_message(message, receiver);
        let (message, _) = isolated.map_err(BroadcastError::Contaminated)?;
        Ok(Self::written(&message))
    }

    /// Returns the kind of the message. Wait-free.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{Received, Hub, UserId, protocol::*};
    /// # let engine = Hub::new();
    /// # let ann = engine.scope(UserId::new("ann")?);
    /// # let mut phone = ann.connect()?;
    /// # let _ = Broadcaster::default().broadcast(&ann, &Message::new(MessageKind::Pong), Duration::ZERO);
    /// let Received::Event(got) = phone.try_recv()? else { panic!("a gap") };
    /// assert_eq!(*got.event.kind(), MessageKind::Pong);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn kind(&self) -> &MessageKind {
        &self.0.0
    }

    /// Returns the JSON text that the host writes to the client's socket. Wait-free.
    ///
    /// Its `type` is the [outbound name](MessageKind::outbound_name) of the kind.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{Received, Hub, UserId, protocol::*};
    /// # let engine = Hub::new();
    /// # let ann = engine.scope(UserId::new("ann")?);
    /// # let mut phone = ann.connect()?;
    /// let message = Message::new(MessageKind::Chat).with("n", 1);
    /// let _ = Broadcaster::default().broadcast(&ann, &message, Duration::ZERO);
    /// let Received::Event(got) = phone.try_recv()? else { panic!("a gap") };
    /// assert_eq!(got.event.json(), r#"{"type":"chat","n":1}"#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn json(&self) -> &str {
        &self.0.1
    }
}

/// The connections of one user that a message is for.
///
/// ```
/// use std::time::Duration;
/// use laneway::protocol::{Audience, Broadcaster, Message, MessageKind};
/// use laneway::{Hub, UserId};
///
/// let engine = Hub::new();
/// let ann = engine.scope(UserId::new("ann")?);
/// let (phone, _laptop) = (ann.connect()?, ann.connect()?);
/// let only = Audience::Connection(phone.id());
/// let message = Message::new(MessageKind::Chat);
/// let sent = Broadcaster::default().broadcast_to(&ann, only, &message, Duration::ZERO);
/// assert_eq!(sent.connections, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Audience<'a> {
    /// All connections of the user.
    #[default]
    All,
    /// The connection with this id.
    Connection(ConnectionId),
    /// The connections that are attached to this thread.
    Thread(&'a ThreadId),
    /// All connections but the one with this id.
    Others(ConnectionId),
}
