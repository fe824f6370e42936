//! Texts that are no ids or positions, and settings out of their bounds.

use std::error::Error;
use std::fmt;

/// The reason why a text is no id. Does not repeat the text.
///
/// ```
/// use laneway::{InvalidId, UserId};
///
/// assert_eq!(UserId::new(""), Err(InvalidId::Empty));
/// assert_eq!(UserId::new("ann "), Err(InvalidId::Blank));
/// ```
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

/// The reason why a text or some bytes are no position. Does not repeat the text.
///
/// ```
/// use laneway::{InvalidPosition, Position};
///
/// assert_eq!("not one".parse::<Position>(), Err(InvalidPosition::Length));
/// assert_eq!("#".repeat(64).parse::<Position>(), Err(InvalidPosition::Character));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidPosition {
    /// It is longer or shorter than positions are.
    Length,
    /// It has the length of an earlier form, which no hub can read any more. The client connects anew.
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

/// The setting that is out of its bounds, from [`Builder::build`](crate::Builder::build).
///
/// ```
/// use laneway::{ConfigError, Hub};
///
/// let refused = Hub::builder().lane_capacity(100).build::<String>().unwrap_err();
/// assert_eq!(refused, ConfigError::LaneCapacity(100));
/// assert_eq!(refused.to_string(), "lane_capacity must be a power of two from 2 to 65536, not 100");
/// ```
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
    /// `max_rooms_per_user` is not from 1 to 65 536.
    MaxRoomsPerUser(usize),
    /// `max_members_per_room` is not from 1 to 2³⁰.
    MaxMembersPerRoom(usize),
    /// `Memberships::Kept::max_users` is 0.
    KeptMembers,
    /// `conflation` is not from 1 to 4096 keys.
    ConflationKeys(usize),
    /// `unread_watermark` is 0.
    UnreadWatermark,
    /// `lane_bytes` is not from 1 to 2⁴⁸.
    LaneBytes(u64),
    /// `hub_bytes` is not from 1 to 2⁴⁸.
    HubBytes(u64),
    /// `rate` has no token, more than one for each nanosecond, or a time of more than 146 years.
    Rate,
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
            Self::MaxRoomsPerUser(n) => {
                write!(f, "max_rooms_per_user must be from 1 to 65536, not {n}")
            }
            Self::MaxMembersPerRoom(n) => {
                write!(
                    f,
                    "max_members_per_room must be from 1 to 1073741824, not {n}"
                )
            }
            Self::KeptMembers => {
                f.write_str("the users whose memberships are kept must be at least 1")
            }
            Self::ConflationKeys(n) => {
                write!(f, "the keys of conflation must be from 1 to 4096, not {n}")
            }
            Self::UnreadWatermark => f.write_str("unread_watermark must be at least 1"),
            Self::LaneBytes(n) => write!(f, "lane_bytes must be from 1 to 2^48, not {n}"),
            Self::HubBytes(n) => write!(f, "hub_bytes must be from 1 to 2^48, not {n}"),
            Self::Rate => f.write_str("a rate must be from 1 token up to one a nanosecond"),
        }
    }
}
impl Error for ConfigError {}
