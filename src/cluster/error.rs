//! The errors of a node: settings that it refuses, and what a broker or a codec cannot do.

use std::error::Error;
use std::fmt;

use crate::lifecycle::LifecycleError;

/// The reason why a hub cannot join a cluster.
///
/// ```
/// use laneway::cluster::{ClusterError, Subjects};
///
/// assert_eq!(Subjects::new("").unwrap_err(), ClusterError::Name);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClusterError {
    /// The name has no character, more than 32, or one that is no ASCII letter, digit, `-` or `_`.
    Name,
    /// The queue is not for 1 to 1 048 576 events.
    Queue(usize),
    /// The number of users to publish to is not from 2 to 16 777 216.
    Users(usize),
    /// The number of rooms to publish to is not from 2 to 16 777 216.
    Rooms(usize),
    /// The hub has no room for a subscriber of its notices.
    Lifecycle(LifecycleError),
}

impl fmt::Display for ClusterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => f.write_str(
                "the name of a cluster has 1 to 32 ASCII letters, digits, hyphens and underscores",
            ),
            Self::Queue(n) => write!(f, "a queue is for 1 to 1048576 events, not for {n}"),
            Self::Users(n) => write!(
                f,
                "a node numbers the events of 2 to 16777216 users, not {n}"
            ),
            Self::Rooms(n) => write!(
                f,
                "a node numbers the events of 2 to 16777216 rooms, not {n}"
            ),
            Self::Lifecycle(error) => error.fmt(f),
        }
    }
}

impl Error for ClusterError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Lifecycle(error) => Some(error),
            _ => None,
        }
    }
}

/// An event that a codec could not write or read.
///
/// ```
/// let error = laneway::cluster::CodecError::new("no text");
/// assert_eq!(error.to_string(), "no text");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodecError(String);

impl CodecError {
    /// Creates an error with its reason. The reason is for the host's log.
    ///
    /// ```
    /// let broken = String::from_utf8(vec![255]).map_err(laneway::cluster::CodecError::new);
    /// assert!(broken.is_err());
    /// ```
    #[must_use]
    pub fn new(reason: impl fmt::Display) -> Self {
        Self(reason.to_string())
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for CodecError {}

/// The reason why a broker did not take a frame.
///
/// ```
/// use laneway::cluster::RelayError;
///
/// assert_eq!(RelayError::TooLarge.to_string(), "the event is larger than the broker takes");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RelayError {
    /// The frame is larger than the broker takes.
    TooLarge,
    /// The connection to the broker is closed for good.
    Closed,
}

impl fmt::Display for RelayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "the event is larger than the broker takes",
            Self::Closed => "the connection to the broker is closed",
        })
    }
}

impl Error for RelayError {}
