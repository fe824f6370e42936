//! Errors as values. An error that refuses an event hands it back. One that wraps another displays it, and
//! returns it as its source.

use std::error::Error;
use std::fmt;

use crate::delivery::BatchDelivery;

mod ask;
mod attach;
mod closed;
mod invalid;
mod not_allowed;

pub use ask::{AnswerError, AskError, NoAnswer};
pub use attach::AttachError;
pub use closed::{CloseReason, Closed, RecvTimeoutError, TryRecvError};
pub use invalid::{ConfigError, InvalidId, InvalidPosition};
pub use not_allowed::{AttenuateError, NotAllowed};

/// The reason why an event was not accepted, with the event. No connection has observed anything of it.
///
/// ```
/// # let hub: laneway::Hub<u8> = laneway::Hub::new();
/// # let ann = hub.scope(laneway::UserId::new("ann")?);
/// use laneway::PublishError;
///
/// match ann.publish(7) {
///     Ok(delivery) => println!("to {} devices", delivery.connections),
///     Err(PublishError::NoConnections(event)) => println!("{event} goes to a push service"),
///     Err(refused) => println!("{refused}"),
/// }
/// # assert!(ann.publish(7).unwrap_err().is_no_connections());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublishError<E> {
    /// The user has no live connection, or none in the event's audience.
    NoConnections(E),
    /// A live connection has a whole lane to read already, and the verb was `try_publish`.
    ///
    /// Any verb returns this if readers gave up 16 numbers of this event, because its thread was stopped with
    /// each of them. So it does if stopped threads stand in all of the room that a lane can have.
    Full(E),
    /// The event's bytes would exceed the user's budget, or the hub's while the user is above the fair share: see
    /// [`lane_bytes`](crate::Builder::lane_bytes) and [`hub_bytes`](crate::Builder::hub_bytes).
    OverBudget(E),
    /// The user's [rate](crate::Builder::rate) is used up.
    RateLimited(E),
    /// The hub was shut down.
    Closed(E),
    /// The host has [revoked](crate::Hub::revoke) the scope.
    Revoked(E),
    /// The scope was [attenuated](crate::UserScope::attenuate), and has this right no longer.
    NotAllowed(E, NotAllowed),
}

impl<E> PublishError<E> {
    /// Returns the event.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// let refused = ann.publish(7).unwrap_err();
    /// assert_eq!(refused.into_inner(), 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_inner(self) -> E {
        match self {
            Self::NoConnections(event)
            | Self::Full(event)
            | Self::OverBudget(event)
            | Self::RateLimited(event)
            | Self::Closed(event)
            | Self::Revoked(event)
            | Self::NotAllowed(event, _) => event,
        }
    }
    /// Returns the event, which stays in the error.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// let refused = ann.publish(7).unwrap_err(); // ann has no device
    /// assert_eq!(refused.event(), &7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn event(&self) -> &E {
        match self {
            Self::NoConnections(event)
            | Self::Full(event)
            | Self::OverBudget(event)
            | Self::RateLimited(event)
            | Self::Closed(event)
            | Self::Revoked(event)
            | Self::NotAllowed(event, _) => event,
        }
    }
    /// Returns whether the event's audience has no live connection.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// assert!(ann.publish(7).unwrap_err().is_no_connections());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_no_connections(&self) -> bool {
        matches!(self, Self::NoConnections(_))
    }
    /// Returns whether the lane had no room.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// let _device = ann.connect()?;
    /// while ann.try_publish(7).is_ok() {}
    /// assert!(ann.try_publish(7).unwrap_err().is_full());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }
    /// Returns whether a budget of bytes was used up.
    ///
    /// ```
    /// # use laneway::{Hub, UserId};
    /// let hub = Hub::builder().lane_bytes(Some(8)).build::<u64>()?;
    /// let ann = hub.scope(UserId::new("ann")?);
    /// let _device = ann.connect()?;
    /// ann.publish(7)?;
    /// assert!(ann.publish(8).unwrap_err().is_over_budget());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_over_budget(&self) -> bool {
        matches!(self, Self::OverBudget(_))
    }
    /// Returns whether the user's rate was used up.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{Hub, Rate, UserId};
    /// let rate = Rate::events(1, Duration::from_secs(1));
    /// let hub = Hub::builder().rate(Some(rate)).build::<u8>()?;
    /// let ann = hub.scope(UserId::new("ann")?);
    /// let _device = ann.connect()?;
    /// ann.publish(7)?;
    /// assert!(ann.publish(8).unwrap_err().is_rate_limited());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_rate_limited(&self) -> bool {
        matches!(self, Self::RateLimited(_))
    }
    /// Returns whether the hub was shut down.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// hub.shutdown();
    /// assert!(ann.publish(7).unwrap_err().is_closed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed(_))
    }
    /// Returns whether the host has revoked the scope.
    ///
    /// ```
    /// # use laneway::{Hub, Revocation, UserId};
    /// # let hub: Hub<u8> = Hub::new();
    /// # let ann = hub.scope(UserId::new("ann")?);
    /// hub.revoke(ann.user(), Revocation::all());
    /// assert!(ann.publish(7).unwrap_err().is_revoked());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_revoked(&self) -> bool {
        matches!(self, Self::Revoked(_))
    }
    /// Returns whether the scope lacks a right.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// use laneway::Limits;
    /// let display = ann.attenuate(Limits::new().receive_only())?;
    /// assert!(display.publish(7).unwrap_err().is_not_allowed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_not_allowed(&self) -> bool {
        matches!(self, Self::NotAllowed(..))
    }
}

impl<E> fmt::Debug for PublishError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoConnections(_) => "NoConnections(..)",
            Self::Full(_) => "Full(..)",
            Self::OverBudget(_) => "OverBudget(..)",
            Self::RateLimited(_) => "RateLimited(..)",
            Self::Closed(_) => "Closed(..)",
            Self::Revoked(_) => "Revoked(..)",
            Self::NotAllowed(_, missing) => return write!(f, "NotAllowed(.., {missing:?})"),
        })
    }
}

impl<E> fmt::Display for PublishError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoConnections(_) => "the user has no live connection",
            Self::Full(_) => "the lane is full",
            Self::OverBudget(_) => "the budget of bytes is used up",
            Self::RateLimited(_) => "the user's rate is used up",
            Self::Closed(_) => "the hub was shut down",
            Self::Revoked(_) => "the scope was revoked",
            Self::NotAllowed(_, missing) => return missing.fmt(f),
        })
    }
}
impl<E> Error for PublishError<E> {}

/// The refusal of one event of a batch, with what was accepted before it.
///
/// ```
/// # let hub: laneway::Hub<u8> = laneway::Hub::new();
/// # let ann = hub.scope(laneway::UserId::new("ann")?);
/// let refused = ann.publish_batch([3, 4]).unwrap_err(); // to a user without a connection
/// assert_eq!((refused.delivery.events, refused.error.into_inner()), (0, 3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchError<E> {
    /// The events that were accepted before.
    pub delivery: BatchDelivery,
    /// The reason of the refusal, with the event.
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

/// The reason why a connection was refused. [`CloseReason`](CloseReason#status-and-close-codes) has a status
/// and a close code for each.
///
/// ```
/// use laneway::{ConnectError, Hub, UserId};
///
/// let hub: Hub<u8> = Hub::builder().max_connections_per_user(1).build()?;
/// let ann = hub.scope(UserId::new("ann")?);
/// let _device = ann.connect()?;
/// assert_eq!(ann.connect().unwrap_err(), ConnectError::TooManyConnections { limit: 1 });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
    /// The note has so many bytes, which is more than 1 024.
    Note(usize),
    /// The connection is to be attached to so many threads, which is more than 64.
    Threads(usize),
    /// The hub was shut down.
    Closed,
    /// The host has [revoked](crate::Hub::revoke) the scope.
    Revoked,
    /// The scope was [attenuated](crate::UserScope::attenuate), and has this right no longer.
    NotAllowed(NotAllowed),
    /// The hub is [draining](crate::Hub::drain). [`Hub::reconnect_after`](crate::Hub::reconnect_after) returns
    /// the delay after which the user is to come back.
    Draining,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyConnections { limit } => {
                write!(f, "the user has {limit} connections already")
            }
            Self::TooManyUsers { limit } => write!(f, "{limit} users are online already"),
            Self::LaneCapacity(n) => ConfigError::LaneCapacity(*n).fmt(f),
            Self::Note(n) => write!(f, "the note has {n} bytes, and 1024 at most are allowed"),
            Self::Threads(n) => write!(f, "{n} threads, and 64 at most are allowed"),
            Self::Closed => f.write_str("the hub was shut down"),
            Self::Revoked => f.write_str("the scope was revoked"),
            Self::NotAllowed(missing) => missing.fmt(f),
            Self::Draining => f.write_str("the hub is draining"),
        }
    }
}
impl Error for ConnectError {}

/// The reason why a connection was not resumed. [`CloseReason`](CloseReason#status-and-close-codes) has a
/// status and a close code for each.
///
/// ```
/// use laneway::{Hub, ResumeError, UserId};
///
/// let hub: Hub<u8> = Hub::new();
/// let ann = hub.scope(UserId::new("ann")?);
/// let bobs = hub.scope(UserId::new("bob")?).connect()?.position();
/// assert_eq!(ann.resume(&bobs).unwrap_err(), ResumeError::Foreign);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResumeError {
    /// The position is not one of this user, or was altered. The error does not name its user.
    Foreign,
    /// The connection itself was refused.
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
