//! The result of one broadcast, and the sums of many.

#[cfg(feature = "cluster")]
use crate::cluster::relayed::Relayed;
use crate::error::NotAllowed;
use crate::protocol::message::contamination::Contaminated;
use crate::protocol::message::kind::MessageKind;
use std::fmt;
use std::time::Duration;

/// The reason why the broadcaster did not send a message.
///
/// No displayed text contains an id of a user, so the host may show it to the receiver. The fields
/// inside [`Contaminated`](Self::Contaminated) are for the host only.
///
/// ```
/// use laneway::protocol::BroadcastError;
///
/// let refused = BroadcastError::TooDeep;
/// assert_eq!(refused.to_string(), "the message is nested too deeply");
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum BroadcastError {
    /// No connection of the audience is open.
    NoConnections,
    /// The host has shut the hub down.
    Closed,
    /// The host has [revoked](crate::Hub::revoke) the scope.
    Revoked,
    /// The scope was [attenuated](crate::UserScope::attenuate), and has this right no longer.
    NotAllowed(NotAllowed),
    /// The lane had no room, because too many publishers used it at the same moment.
    Full,
    /// A [budget of bytes](crate::Builder::lane_bytes) is used up.
    OverBudget,
    /// The user's [rate](crate::Builder::rate) is used up.
    RateLimited,
    /// The body names another receiver, and the [policy](crate::protocol::Contamination) is to reject.
    Contaminated(Contaminated),
    /// The host has not authenticated the user yet: the id is `pending_auth` or `awaiting_auth`, or begins
    /// with `temp_auth_`. No message goes to such a user.
    Unauthenticated,
    /// The fields are nested more than 126 levels deep.
    TooDeep,
    /// A handler called [`Sender::answer`](crate::protocol::Sender::answer) for a message that is no
    /// request.
    NoRequest,
}

impl fmt::Display for BroadcastError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoConnections => f.write_str("no connection of the audience is open"),
            Self::Closed => f.write_str("the hub was shut down"),
            Self::Revoked => f.write_str("the scope was revoked"),
            Self::NotAllowed(missing) => missing.fmt(f),
            Self::Full => f.write_str("there was no room for the message"),
            Self::OverBudget => f.write_str("the budget of bytes is used up"),
            Self::RateLimited => f.write_str("the user's rate is used up"),
            Self::Contaminated(fields) => fields.fmt(f),
            Self::Unauthenticated => f.write_str("the user is not authenticated yet"),
            Self::TooDeep => f.write_str("the message is nested too deeply"),
            Self::NoRequest => f.write_str("only a request can be answered"),
        }
    }
}

impl std::error::Error for BroadcastError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Contaminated(fields) => Some(fields),
            _ => None,
        }
    }
}

/// The result of one message: returned by every method of this layer that sends.
///
/// ```
/// use std::time::Duration;
/// use laneway::protocol::{BroadcastError, Broadcaster, Message, MessageKind};
/// use laneway::{Hub, UserId};
///
/// let engine = Hub::new();
/// let ann = engine.scope(UserId::new("ann")?);
/// let sent = Broadcaster::default().broadcast(&ann, &Message::new(MessageKind::Chat), Duration::ZERO);
/// assert_eq!((sent.number, sent.connections), (None, 0));
/// assert_eq!(sent.refused, Some(BroadcastError::NoConnections)); // ann has no device
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[must_use = "a user without connections got nothing"]
pub struct Broadcast {
    /// The kind of the message.
    pub kind: MessageKind,
    /// The number of the event in the user's lane. `None` if the lane did not accept it.
    pub number: Option<u64>,
    /// Connections that the message is addressed to. 0 if the lane did not accept it.
    pub connections: usize,
    /// `true` if the message stays in the lane for connections that resume later.
    ///
    /// A message that is kept and reaches no connection is still not [successful](Self::is_successful).
    pub kept: bool,
    /// Addressed connections that have already lost a critical event.
    ///
    /// The engine closes them at their next call or at the next sweep. They do not receive this message.
    pub cut_off: usize,
    /// Texts for the host's log: the reason of a refusal, and each field that the check rewrote.
    pub errors: Vec<String>,
    /// The reason of the refusal. `None` if the lane accepted the message.
    pub refused: Option<BroadcastError>,
    /// The host's time at which the message was sent.
    pub at: Duration,
    /// What became of the message on its way to other nodes. `None` if the broadcaster is of no
    /// [node](https://docs.rs/laneway/latest/laneway/cluster/index.html), or the message was refused.
    ///
    /// A user without a connection here may have one elsewhere: the message is not
    /// [successful](Self::is_successful) then, and still queued.
    #[cfg(feature = "cluster")]
    pub relayed: Option<Relayed>,
}

impl Broadcast {
    /// A result before the message is sent: no number, no connections, no error.
    pub(super) fn new(kind: MessageKind, at: Duration) -> Self {
        Self {
            kind,
            number: None,
            connections: 0,
            kept: false,
            cut_off: 0,
            errors: Vec::new(),
            refused: None,
            at,
            #[cfg(feature = "cluster")]
            relayed: None,
        }
    }

    /// The result of a message that was refused before it was sent.
    pub(super) fn refused(kind: MessageKind, error: BroadcastError, at: Duration) -> Self {
        let mut broadcast = Self::new(kind, at);
        broadcast.errors.push(error.to_string());
        broadcast.refused = Some(error);
        broadcast
    }

    /// Returns the number of connections that can receive the message. Wait-free.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{Hub, UserId, protocol::*};
    /// # let engine = Hub::new();
    /// # let ann = engine.scope(UserId::new("ann")?);
    /// let (_phone, _laptop) = (ann.connect()?, ann.connect()?);
    /// let sent = Broadcaster::default().broadcast(&ann, &Message::new(MessageKind::Chat), Duration::ZERO);
    /// assert_eq!(sent.deliveries(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn deliveries(&self) -> usize {
        self.connections.saturating_sub(self.cut_off)
    }

    /// Returns `true` if at least one connection can receive the message. Wait-free.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{Hub, UserId, protocol::*};
    /// # let engine = Hub::new();
    /// # let ann = engine.scope(UserId::new("ann")?);
    /// let sent = Broadcaster::default().broadcast(&ann, &Message::new(MessageKind::Chat), Duration::ZERO);
    /// assert!(!sent.is_successful()); // ann has no device
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_successful(&self) -> bool {
        self.deliveries() > 0
    }

    /// Returns the connections that can receive the message, in percent of those it is addressed to.
    ///
    /// Ranges from 0.0 to 100.0, and is 0.0 if it is addressed to none. Wait-free.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{Hub, UserId, protocol::*};
    /// # let engine = Hub::new();
    /// # let ann = engine.scope(UserId::new("ann")?);
    /// let _phone = ann.connect()?;
    /// let sent = Broadcaster::default().broadcast(&ann, &Message::new(MessageKind::Chat), Duration::ZERO);
    /// assert_eq!(sent.success_rate(), 100.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn success_rate(&self) -> f64 {
        percent(self.deliveries() as u64, self.connections as u64)
    }
}

/// The sums that a [`Broadcaster`](crate::protocol::Broadcaster) keeps, as one snapshot.
///
/// ```
/// use std::time::Duration;
/// use laneway::protocol::{Broadcaster, Message, MessageKind};
/// use laneway::{Hub, UserId};
///
/// let (engine, broadcaster) = (Hub::new(), Broadcaster::default());
/// let ann = engine.scope(UserId::new("ann")?);
/// let _ = broadcaster.broadcast(&ann, &Message::new(MessageKind::Chat), Duration::ZERO);
/// let stats = broadcaster.stats();
/// assert_eq!((stats.total, stats.successful, stats.failed), (1, 0, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct BroadcastStats {
    /// Messages that callers asked to send: `successful + failed`.
    pub total: u64,
    /// Messages that at least one connection can receive.
    pub successful: u64,
    /// Messages that no connection can receive.
    pub failed: u64,
    /// Sum of [`Broadcast::connections`].
    pub connections: u64,
    /// Sum of [`Broadcast::deliveries`]: never more than `connections`.
    pub deliveries: u64,
    /// Messages whose body named another receiver. Counted even while reporting is off.
    pub contaminations_prevented: u64,
}

impl BroadcastStats {
    /// Returns the mean number of connections that a message was addressed to. 0.0 without messages.
    ///
    /// Wait-free.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{Hub, UserId, protocol::*};
    /// # let (engine, broadcaster) = (Hub::new(), Broadcaster::default());
    /// # let ann = engine.scope(UserId::new("ann")?);
    /// let (_phone, _laptop) = (ann.connect()?, ann.connect()?);
    /// let _ = broadcaster.broadcast(&ann, &Message::new(MessageKind::Chat), Duration::ZERO);
    /// assert_eq!(broadcaster.stats().connections_per_broadcast(), 2.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn connections_per_broadcast(&self) -> f64 {
        ratio(self.connections, self.total)
    }

    /// Returns the mean number of connections that can receive a message. 0.0 without messages.
    ///
    /// Wait-free.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{Hub, UserId, protocol::*};
    /// # let (engine, broadcaster) = (Hub::new(), Broadcaster::default());
    /// # let ann = engine.scope(UserId::new("ann")?);
    /// let _ = broadcaster.broadcast(&ann, &Message::new(MessageKind::Chat), Duration::ZERO);
    /// let _phone = ann.connect()?;
    /// let _ = broadcaster.broadcast(&ann, &Message::new(MessageKind::Chat), Duration::ZERO);
    /// assert_eq!(broadcaster.stats().deliveries_per_broadcast(), 0.5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn deliveries_per_broadcast(&self) -> f64 {
        ratio(self.deliveries, self.total)
    }

    /// Returns the successful messages in percent of all. 0.0 without messages. Wait-free.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{Hub, UserId, protocol::*};
    /// # let (engine, broadcaster) = (Hub::new(), Broadcaster::default());
    /// # let ann = engine.scope(UserId::new("ann")?);
    /// let _phone = ann.connect()?;
    /// let _ = broadcaster.broadcast(&ann, &Message::new(MessageKind::Chat), Duration::ZERO);
    /// assert_eq!(broadcaster.stats().success_rate(), 100.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn success_rate(&self) -> f64 {
        percent(self.successful, self.total)
    }
}

/// `part` in percent of `of`. 0.0 if `of` is 0.
pub(in crate::protocol) fn percent(part: u64, of: u64) -> f64 {
    100.0 * ratio(part, of)
}

#[allow(clippy::cast_precision_loss)] // Rounds counts above 2^53.
fn ratio(part: u64, of: u64) -> f64 {
    if of == 0 {
        return 0.0;
    }
    part as f64 / of as f64
}
