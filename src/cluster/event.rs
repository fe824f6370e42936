//! What a node tells its host.

use crate::cluster::addressee::Addressee;
use crate::cluster::error::CodecError;
use crate::cluster::frame::NodeId;
use crate::id::{RoomId, UserId};

/// The host's closure.
pub(super) type Told = Box<dyn Fn(&ClusterEvent) + Send + Sync>;

/// What a node tells its host, by the closure of [`ClusterOptions::told`](crate::cluster::ClusterOptions::told).
///
/// ```
/// use laneway::cluster::ClusterEvent;
///
/// fn log(event: &ClusterEvent) {
///     match event {
///         ClusterEvent::Gap { user, node, missed, .. } => eprintln!("{user} misses {missed} events of {node}"),
///         ClusterEvent::Undecodable { error, .. } => eprintln!("{error}"),
///         other => eprintln!("{other:?}"),
///     }
/// }
/// # log(&ClusterEvent::Connected);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClusterEvent {
    /// Events for a user who is online here were lost between another node and this one.
    #[non_exhaustive]
    Gap {
        /// The user.
        user: UserId,
        /// The node that published them.
        node: NodeId,
        /// How many, exactly.
        missed: u64,
    },
    /// An event for a user came and could not be read. It is not in a gap.
    #[non_exhaustive]
    Undecodable {
        /// The user.
        user: UserId,
        /// The reason.
        error: CodecError,
    },
    /// Events for a room that has a member here were lost between another node and this one.
    #[non_exhaustive]
    RoomGap {
        /// The room.
        room: RoomId,
        /// The node that published them.
        node: NodeId,
        /// How many, exactly.
        missed: u64,
    },
    /// An event for a room came and could not be read. It is not in a gap.
    #[non_exhaustive]
    RoomUndecodable {
        /// The room.
        room: RoomId,
        /// The reason.
        error: CodecError,
    },
    /// The broker is connected.
    Connected,
    /// The connection to the broker is lost. Publishes are told `Dropped` from now on.
    Disconnected,
}

impl ClusterEvent {
    pub(super) fn gap(to: Addressee, node: NodeId, missed: u64) -> Self {
        match to {
            Addressee::User(user) => Self::Gap { user, node, missed },
            Addressee::Room(room) => Self::RoomGap { room, node, missed },
        }
    }

    pub(super) fn undecodable(to: Addressee, error: CodecError) -> Self {
        match to {
            Addressee::User(user) => Self::Undecodable { user, error },
            Addressee::Room(room) => Self::RoomUndecodable { room, error },
        }
    }
}
