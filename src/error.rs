//! What can go wrong, as values. An error that refuses an event hands it back.
//!
//! An error that wraps another displays it, for a host that shows one line. It also returns it as its
//! source, for a host that looks for a type.

use std::error::Error;
use std::fmt;

use crate::delivery::BatchDelivery;

/// Why a connection was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum CloseReason {
    /// Its owner dropped it or called [`Connection::disconnect`](crate::Connection::disconnect).
    Dropped,
    /// The host disconnected it, with a code of its own (a WebSocket close code, say).
    /// What it has not read is cut off.
    Disconnected {
        /// The host's code.
        code: u16,
    },
    /// A newer connection took its place; see [`LimitPolicy::EvictOldest`](crate::LimitPolicy).
    /// What it has not read is cut off.
    Evicted,
    /// Another connection resumed from a position of this one, and so is the device now. It has the same
    /// id. What this one has not read is cut off, and replayed to the other one.
    Replaced,
    /// A sweep found it idle. What it has not read is cut off.
    Idle,
    /// It was more than a lane behind, and a publish needed the room of a critical event that it had not
    /// read. What it has not read is cut off.
    Overrun,
    /// Its lane used up its numbers. What it has not read is cut off; connect again.
    Exhausted,
    /// The hub was shut down or its last handle dropped. Told once everything accepted before
    /// has been read.
    Shutdown,
}

impl CloseReason {
    pub(crate) fn code(self) -> u64 {
        match self {
            Self::Dropped => 1,
            Self::Evicted => 2,
            Self::Idle => 3,
            Self::Shutdown => 4,
            Self::Overrun => 5,
            Self::Exhausted => 6,
            Self::Replaced => 7,
            Self::Disconnected { code } => 1 << 16 | u64::from(code),
        }
    }

    pub(crate) fn from_code(code: u64) -> Self {
        match code {
            1 => Self::Dropped,
            2 => Self::Evicted,
            3 => Self::Idle,
            4 => Self::Shutdown,
            5 => Self::Overrun,
            6 => Self::Exhausted,
            7 => Self::Replaced,
            code => Self::Disconnected { code: code as u16 },
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dropped => f.write_str("dropped by its owner"),
            Self::Disconnected { code } => write!(f, "disconnected with code {code}"),
            Self::Evicted => f.write_str("evicted for a newer connection"),
            Self::Replaced => f.write_str("resumed by another connection"),
            Self::Idle => f.write_str("idle for too long"),
            Self::Shutdown => f.write_str("the hub was shut down"),
            Self::Overrun => f.write_str("too late for a critical event"),
            Self::Exhausted => f.write_str("the lane used up its numbers"),
        }
    }
}

/// The connection is closed and has nothing more to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Closed {
    /// Why.
    pub reason: CloseReason,
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection closed: {}", self.reason)
    }
}
impl Error for Closed {}

/// Why [`Connection::try_recv`](crate::Connection::try_recv) returned no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TryRecvError {
    /// There is nothing to read now.
    Empty,
    /// There never will be.
    Closed(Closed),
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("nothing to receive"),
            Self::Closed(closed) => closed.fmt(f),
        }
    }
}
impl Error for TryRecvError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Empty => None,
            Self::Closed(closed) => Some(closed),
        }
    }
}

/// Why [`Connection::recv_timeout`](crate::Connection::recv_timeout) returned no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecvTimeoutError {
    /// Nothing came in time.
    Timeout,
    /// Nothing will ever come.
    Closed(Closed),
}

impl fmt::Display for RecvTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("nothing to receive in time"),
            Self::Closed(closed) => closed.fmt(f),
        }
    }
}
impl Error for RecvTimeoutError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Timeout => None,
            Self::Closed(closed) => Some(closed),
        }
    }
}

/// An event that was not accepted. No connection has observed anything of it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublishError<E> {
    /// The user has no live connection, or none of those that the event is for.
    NoConnections(E),
    /// A live connection has a whole lane to read already, and the event came by `try_publish`.
    ///
    /// By any publish: readers gave up 16 numbers of this event, because its thread was stopped each time it
    /// had one; or stopped threads stand in all of the room that a lane can have.
    Full(E),
    /// The hub was shut down.
    Closed(E),
}

impl<E> PublishError<E> {
    /// The event.
    pub fn into_inner(self) -> E {
        match self {
            Self::NoConnections(event) | Self::Full(event) | Self::Closed(event) => event,
        }
    }
    /// The event, which stays in the error.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann").unwrap());
    /// let refused = ann.publish(7).unwrap_err(); // ann has no device
    /// assert_eq!(refused.event(), &7);
    /// ```
    pub fn event(&self) -> &E {
        match self {
            Self::NoConnections(event) | Self::Full(event) | Self::Closed(event) => event,
        }
    }
    /// Whether the user has no live connection.
    pub fn is_no_connections(&self) -> bool {
        matches!(self, Self::NoConnections(_))
    }
    /// Whether there was no room.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }
    /// Whether the hub was shut down.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed(_))
    }
}

impl<E> fmt::Debug for PublishError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoConnections(_) => "NoConnections(..)",
            Self::Full(_) => "Full(..)",
            Self::Closed(_) => "Closed(..)",
        })
    }
}

impl<E> fmt::Display for PublishError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoConnections(_) => "the user has no live connection",
            Self::Full(_) => "the lane is full",
            Self::Closed(_) => "the hub was shut down",
        })
    }
}
impl<E> Error for PublishError<E> {}

/// A batch that was not accepted as a whole.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchError<E> {
    /// What was accepted before.
    pub delivery: BatchDelivery,
    /// The event that was refused, and why.
    pub error: PublishError<E>,
}

impl<E> fmt::Debug for BatchError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BatchError({:?}, {:?})", self.delivery, self.error)
    }
}

impl<E> fmt::Display for BatchError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after {} events: {}", self.delivery.events, self.error)
    }
}
impl<E: 'static> Error for BatchError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

/// Why a connection was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectError {
    /// The user has as many live connections as allowed.
    TooManyConnections {
        /// The limit.
        limit: usize,
    },
    /// As many users are online as allowed.
    TooManyUsers {
        /// The limit.
        limit: usize,
    },
    /// The lane capacity asked for is not a power of two from 2 to 65 536.
    LaneCapacity(usize),
    /// The hub was shut down.
    Closed,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyConnections { limit } => {
                write!(f, "the user has {limit} connections already")
            }
            Self::TooManyUsers { limit } => write!(f, "{limit} users are online already"),
            Self::LaneCapacity(n) => ConfigError::LaneCapacity(*n).fmt(f),
            Self::Closed => f.write_str("the hub was shut down"),
        }
    }
}
impl Error for ConnectError {}

/// Why a connection was not resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResumeError {
    /// The position was not given to a connection of this user, or was altered. Whose it is, is not
    /// said.
    Foreign,
    /// There can be no connection now.
    Connect(ConnectError),
}

impl fmt::Display for ResumeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => f.write_str("the position is none of this user's"),
            Self::Connect(error) => error.fmt(f),
        }
    }
}
impl Error for ResumeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Foreign => None,
            Self::Connect(error) => Some(error),
        }
    }
}

impl From<ConnectError> for ResumeError {
    fn from(error: ConnectError) -> Self {
        Self::Connect(error)
    }
}

/// Why a text or some bytes are no position. Says nothing of the text itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidPosition {
    /// It is longer or shorter than positions are.
    Length,
    /// It has the length of positions before they were masked, which no hub can read any more: connect
    /// anew.
    Outdated,
    /// It has a character that is not in the alphabet of positions.
    Character,
}

impl fmt::Display for InvalidPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "a position has 64 characters or 48 bytes",
            Self::Outdated => "a position of an earlier form",

            Self::Character => "a position has letters, digits, '-' and '_' only",
        })
    }
}
impl Error for InvalidPosition {}

/// A setting that a hub cannot be built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// `lane_capacity` is not a power of two from 2 to 65 536.
    LaneCapacity(usize),
    /// `max_connections_per_user` is not from 1 to 255.
    MaxConnectionsPerUser(usize),
    /// `shards` is not a power of two from 1 to 1 048 576.
    Shards(usize),
    /// `max_users` is 0.
    MaxUsers,
    /// `idle_timeout` is zero.
    IdleTimeout,
    /// `Retention::events` is not from 1 to 65 536.
    RetainedEvents(usize),
    /// `Retention::bytes` is 0.
    RetainedBytes,
    /// `Retention::age` is less than a millisecond.
    RetainedAge,
    /// `max_connections_per_user` is more than 126, and there is retention.
    ConnectionsWithRetention(usize),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LaneCapacity(n) => {
                write!(
                    f,
                    "lane_capacity must be a power of two from 2 to 65536, not {n}"
                )
            }
            Self::MaxConnectionsPerUser(n) => {
                write!(f, "max_connections_per_user must be from 1 to 255, not {n}")
            }
            Self::Shards(n) => {
                write!(
                    f,
                    "shards must be a power of two from 1 to 1048576, not {n}"
                )
            }
            Self::MaxUsers => f.write_str("max_users must be at least 1"),
            Self::IdleTimeout => f.write_str("idle_timeout must be more than zero"),
            Self::RetainedEvents(n) => {
                write!(f, "retained events must be from 1 to 65536, not {n}")
            }
            Self::RetainedBytes => f.write_str("retained bytes must be at least 1"),
            Self::RetainedAge => f.write_str("the age of retained events must be at least 1 ms"),
            Self::ConnectionsWithRetention(n) => write!(
                f,
                "max_connections_per_user must be from 1 to 126 with retention, not {n}"
            ),
        }
    }
}
impl Error for ConfigError {}

/// Why a text is no id. Says nothing of the text itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidId {
    /// It is empty.
    Empty,
    /// It has more than 200 bytes.
    TooLong,
    /// It has a control character.
    ControlCharacter,
    /// It begins or ends with a blank.
    Blank,
    /// It is no text of a [`ConnectionId`](crate::ConnectionId), which is a number without signs and
    /// leading zeros.
    NotANumber,
}

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "an id must not be empty",
            Self::TooLong => "an id must not be longer than 200 bytes",
            Self::ControlCharacter => "an id must not contain control characters",
            Self::Blank => "an id must not begin or end with a blank",
            Self::NotANumber => "the id of a connection must be a number",
        })
    }
}
impl Error for InvalidId {}
