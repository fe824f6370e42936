//! Connections that are behind, as a host looks for them.

use std::time::Duration;

use crate::id::{ConnectionId, UserId};

/// What makes a connection slow, for [`Hub::laggards`](crate::Hub::laggards).
///
/// ```
/// # let hub: laneway::Hub<u8> = laneway::Hub::new();
/// # let ann = hub.scope(laneway::UserId::new("ann")?);
/// let phone = ann.connect()?;
/// ann.publish(7)?;
/// assert_eq!(hub.laggards(1, laneway::Lag::Unread)[0].connection, phone.id());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Lag {
    /// How many numbers it has not read.
    #[default]
    Unread,
    /// How many bytes those of these numbers weigh that a lane keeps by
    /// [`Retention::bytes`](crate::Retention#structfield.bytes), and 0 elsewhere. A device that is behind what
    /// the lane keeps has more: [`ConnectionInfo::lane_bytes`](crate::ConnectionInfo#structfield.lane_bytes) counts
    /// what all devices of a user hold, where [`Builder::lane_bytes`](crate::Builder::lane_bytes) limits it.
    Bytes,
    /// How long ago [sweeps](crate::Hub::sweep) last saw [activity](crate::Builder::activity) of it, while it has
    /// numbers to read. A connection that no sweep has seen comes last.
    Age,
}

/// A connection that is behind, from [`Hub::laggards`](crate::Hub::laggards).
///
/// ```
/// # let hub: laneway::Hub<u8> = laneway::Hub::new();
/// # let ann = hub.scope(laneway::UserId::new("ann")?);
/// let _phone = ann.connect()?;
/// ann.publish_batch([3, 4])?;
/// for slow in hub.laggards(10, laneway::Lag::Unread) {
///     println!("{} of {} has {} to read", slow.connection, slow.user, slow.unread);
///     # assert_eq!(slow.unread, 2);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Laggard {
    /// The user.
    pub user: UserId,
    /// The device's id.
    pub connection: ConnectionId,
    /// How many numbers it has not read.
    pub unread: u64,
    /// How many bytes those of them weigh that the lane keeps by
    /// [`Retention::bytes`](crate::Retention#structfield.bytes), in steps of 16.
    pub unread_bytes: u64,
    /// As [`ConnectionInfo::active_at`](crate::ConnectionInfo#structfield.active_at).
    pub active_at: Option<Duration>,
}
