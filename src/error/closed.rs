//! The end of a connection: why it was closed, and the errors of receiving.

use std::error::Error;
use std::fmt;

/// The reason why a connection was closed.
///
/// ```
/// # let hub: laneway::Hub<u8> = laneway::Hub::new();
/// # let ann = hub.scope(laneway::UserId::new("ann")?);
/// use laneway::{CloseReason, Closed};
///
/// let mut device = ann.connect()?;
/// ann.disconnect_all(4001);
/// let Err(Closed { reason }) = device.recv() else { panic!("the device is closed") };
/// let code = match reason {
///     CloseReason::Disconnected { code } => code,
///     CloseReason::Shutdown => 1001,
///     _ => 1000,
/// };
/// assert_eq!(code, 4001);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// All but `Shutdown` and `Drained` cut off what the connection has not read. After a shutdown it reads the rest
/// first, and so it does in a drain until the deadline.
///
/// # Status and close codes
///
/// The answers that a host may give. Codes from 4000 on are the host's own, here as examples: a client that has to act
/// on a reason needs a code of its own for it.
///
/// | reason | WebSocket close code | what the client does |
/// |---|---|---|
/// | `Dropped` | none: the host's own code has ended it | |
/// | `Disconnected { code }` | `code` | as the host has agreed with it |
/// | `Evicted` | 4002 | stays closed, or two devices evict each other in turn |
/// | `Replaced` | 4005 | stays closed: the device goes on elsewhere |
/// | `Idle` | 4003 | comes back, if it is there at all |
/// | `Overrun` | 4004 | comes back, and loads its state anew |
/// | `Exhausted` | 1012, service restart | comes back |
/// | `Revoked` | 4006 | logs in again |
/// | `Shutdown` | 1001, going away | comes back later |
/// | `Drained` | 1012, service restart | comes back after [its delay](crate::Connection::reconnect_after) |
///
/// | error at connect | HTTP status | WebSocket close code |
/// |---|---|---|
/// | [`ConnectError::TooManyConnections`](crate::ConnectError::TooManyConnections) | 429 | 1008, policy violation |
/// | [`ConnectError::TooManyUsers`](crate::ConnectError::TooManyUsers) | 503 | 1013, try again later |
/// | [`ConnectError::LaneCapacity`](crate::ConnectError::LaneCapacity) | 500: the host asked for it | 1011, internal error |
/// | [`ConnectError::Note`](crate::ConnectError::Note) | 500: the host asked for it | 1011, internal error |
/// | [`ConnectError::Closed`](crate::ConnectError::Closed) | 503 | 1001, going away |
/// | [`ConnectError::Revoked`](crate::ConnectError::Revoked) | 401 | 1008, policy violation |
/// | [`ConnectError::NotAllowed`](crate::ConnectError::NotAllowed) | 403 | 1008, policy violation |
/// | [`ConnectError::Draining`](crate::ConnectError::Draining) | 503, with [`Retry-After`](crate::Hub::reconnect_after) | 1012, service restart |
/// | [`ResumeError::Foreign`](crate::ResumeError::Foreign) | 403 | 1008, policy violation |
/// | [`InvalidPosition`](crate::InvalidPosition) | 400 | 1008, policy violation |
///
/// A browser hides the status of a refused handshake from its page. So a host that wants its page to know
/// accepts the handshake and closes with a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum CloseReason {
    /// Its owner dropped it, or called [`Connection::disconnect`](crate::Connection::disconnect).
    Dropped,
    /// The host disconnected it, with a code of its own: a WebSocket close code, say.
    Disconnected {
        /// The host's code.
        code: u16,
    },
    /// The user opened one connection too many, under
    /// [`LimitPolicy::EvictOldest`](crate::LimitPolicy::EvictOldest).
    Evicted,
    /// Another connection resumed from a position of this one. It is the device now, has the same id, and
    /// receives what this one has not read.
    Replaced,
    /// A sweep found it idle for longer than [`Builder::idle_timeout`](crate::Builder::idle_timeout).
    Idle,
    /// It was more than a lane behind, and a publish needed the room of a critical event that it had not
    /// read.
    Overrun,
    /// Its lane used up its [2⁴⁴ numbers](crate#limits). A new connection has a new lane.
    Exhausted,
    /// The host has [revoked](crate::Hub::revoke) scopes of the user, and the connections with them.
    Revoked,
    /// The hub was shut down, or its last clone dropped. The connection receives everything accepted before
    /// first.
    Shutdown,
    /// The hub was [drained](crate::Hub::drain). The connection receives everything accepted before first,
    /// unless the deadline of the drain has passed.
    Drained,
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
            Self::Revoked => 9,
            Self::Drained => 8,
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
            9 => Self::Revoked,
            8 => Self::Drained,
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
            Self::Revoked => f.write_str("revoked by the host"),
            Self::Shutdown => f.write_str("the hub was shut down"),
            Self::Drained => f.write_str("the hub was drained"),
            Self::Overrun => f.write_str("too late for a critical event"),
            Self::Exhausted => f.write_str("the lane used up its numbers"),
        }
    }
}

/// The end of a connection: it is closed, and nothing is left to receive.
///
/// ```
/// # let hub: laneway::Hub<u8> = laneway::Hub::new();
/// # let ann = hub.scope(laneway::UserId::new("ann")?);
/// let mut device = ann.connect()?;
/// hub.shutdown();
/// let closed = device.recv().unwrap_err();
/// assert_eq!(closed.to_string(), "connection closed: the hub was shut down");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Closed {
    /// Why it was closed.
    pub reason: CloseReason,
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection closed: {}", self.reason)
    }
}
impl Error for Closed {}

/// The reason why [`Connection::try_recv`](crate::Connection::try_recv) returned no event.
///
/// ```
/// # let hub: laneway::Hub<u8> = laneway::Hub::new();
/// # let ann = hub.scope(laneway::UserId::new("ann")?);
/// use laneway::TryRecvError;
///
/// let mut device = ann.connect()?;
/// assert_eq!(device.try_recv(), Err(TryRecvError::Empty));
/// hub.shutdown();
/// assert!(matches!(device.try_recv(), Err(TryRecvError::Closed(_))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TryRecvError {
    /// Nothing is there to read now.
    Empty,
    /// Nothing will ever be there again.
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

/// The reason why [`Connection::recv_timeout`](crate::Connection::recv_timeout) returned no event.
///
/// ```
/// # let hub: laneway::Hub<u8> = laneway::Hub::new();
/// # let ann = hub.scope(laneway::UserId::new("ann")?);
/// # use std::time::Duration;
/// use laneway::RecvTimeoutError;
///
/// let mut device = ann.connect()?;
/// assert_eq!(device.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Timeout));
/// hub.shutdown();
/// assert!(matches!(device.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Closed(_))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecvTimeoutError {
    /// Nothing came in time.
    Timeout,
    /// Nothing will ever come again.
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
