//! What a node tells its host.

use crate::cluster::error::CodecError;
use crate::cluster::frame::NodeId;
use crate::id::UserId;

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
    /// The broker is connected.
    Connected,
    /// The connection to the broker is lost. Publishes are told `Dropped` from now on.
    Disconnected,
}
