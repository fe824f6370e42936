//! A notice: one change of who is online, and the reasons why there is none.

use std::error::Error;
use std::fmt;

use crate::error::CloseReason;
use crate::id::{ConnectionId, ThreadId, UserId};

/// One change of who is online, or of how a connection keeps up.
///
/// ```
/// # let hub: laneway::Hub<u8> = laneway::Hub::new();
/// # let ann = hub.scope(laneway::UserId::new("ann")?);
/// let notices = hub.lifecycle(16)?;
/// let _device = ann.connect()?;
/// let notice = notices.try_next()?;
/// assert_eq!((notice.user.as_str(), notice.number), ("ann", 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A *session* is a user's time online. A later session of a user has the higher number. Within a session
/// the changes are numbered from 0 without holes: `Online` is 0, a connection's `Disconnected` comes after its
/// `Connected`, and `Offline` is the last. A session's numbers are for two billion connections.
///
/// Notices may arrive in another order than their numbers when several threads connect and disconnect at
/// once. A number that never arrives was lost because the channel was full.
///
/// A connection that resumes has the id of the one that it continues. If that one is still live, its
/// `Disconnected` says [`CloseReason::Replaced`], and the `Connected` of the new one is the next number or
/// came before. So a device whose last notice says `Replaced` is online.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Notice {
    /// The user.
    pub user: UserId,
    /// The session that the change belongs to.
    pub session: u64,
    /// Its place among the changes of that session.
    pub number: u64,
    /// The change.
    pub change: Change,
}

/// The change that a [`Notice`] reports.
///
/// ```
/// # let hub: laneway::Hub<u8> = laneway::Hub::new();
/// # let ann = hub.scope(laneway::UserId::new("ann")?);
/// let notices = hub.lifecycle(16)?;
/// use laneway::Change;
///
/// let device = ann.connect()?;
/// assert_eq!(notices.try_next()?.change, Change::Online);
/// let Change::Connected { connection, .. } = notices.try_next()?.change else { panic!() };
/// assert_eq!(connection, device.id());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Change {
    /// The user's first connection was opened.
    Online,
    /// The user's last connection was closed.
    Offline,
    /// A connection was opened.
    #[non_exhaustive]
    Connected {
        /// The connection's id.
        connection: ConnectionId,
        /// The threads it was attached to at its connect.
        threads: Box<[ThreadId]>,
    },
    /// A [sweep](crate::Hub::sweep) has found a connection at the
    /// [watermark](crate::Builder::unread_watermark), and the sweep before had not.
    ///
    /// The notice has no number of its own. It has that of the newest change of its session.
    #[non_exhaustive]
    Behind {
        /// The connection's id.
        connection: ConnectionId,
        /// How many numbers it has not read.
        unread: u64,
    },
    /// A sweep has found a connection below the watermark that was behind at the sweep before. Its number is
    /// as that of `Behind`.
    #[non_exhaustive]
    CaughtUp {
        /// The connection's id.
        connection: ConnectionId,
    },
    /// A connection was closed.
    #[non_exhaustive]
    Disconnected {
        /// The connection's id.
        connection: ConnectionId,
        /// Why it was closed.
        reason: CloseReason,
    },
}

/// The reason why there is no notice.
///
/// ```
/// # let hub: laneway::Hub<u8> = laneway::Hub::new();
/// # let ann = hub.scope(laneway::UserId::new("ann")?);
/// let notices = hub.lifecycle(16)?;
/// use laneway::NoNotice;
///
/// assert_eq!(notices.try_next(), Err(NoNotice::Nothing));
/// hub.shutdown();
/// assert_eq!(notices.try_next(), Err(NoNotice::Over));
/// # drop(ann);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoNotice {
    /// No notice was there, or none came in time. One may come later.
    Nothing,
    /// The hub is shut down, and no connection is left.
    Over,
}

impl fmt::Display for NoNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "there is no notice yet",
            Self::Over => "the notices are over",
        })
    }
}
impl Error for NoNotice {}

/// The reason why [`Hub::lifecycle`](crate::Hub::lifecycle) has no room for a subscriber.
///
/// ```
/// use laneway::LifecycleError;
///
/// let hub: laneway::Hub<u8> = laneway::Hub::new();
/// assert_eq!(hub.lifecycle(0).unwrap_err(), LifecycleError::Capacity(0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LifecycleError {
    /// The capacity is not from 1 to 1 048 576.
    Capacity(usize),
    /// The hub has as many subscribers as it can have.
    #[non_exhaustive]
    TooMany {
        /// How many it can have.
        limit: usize,
    },
}

impl fmt::Display for LifecycleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capacity(n) => write!(f, "the capacity must be from 1 to 1048576, not {n}"),
            Self::TooMany { limit } => write!(f, "there are {limit} subscribers already"),
        }
    }
}
impl Error for LifecycleError {}
