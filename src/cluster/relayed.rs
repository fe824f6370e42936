//! What became of an event on its way to the other nodes.

use std::fmt;

/// What became of an event on its way to the other nodes, at the time of the publish.
///
/// ```
/// use laneway::cluster::{Relayed, Unrelayed};
///
/// let relayed = Relayed::Dropped(Unrelayed::Full);
/// assert!(!relayed.is_queued());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Relayed {
    /// The event waits for the broker. It may still be lost; then the nodes that listen are told a gap.
    Queued,
    /// The event goes to no other node. The nodes that listen are told a gap once the broker is there.
    Dropped(Unrelayed),
    /// The event is for connections of this hub only.
    Local,
}

impl Relayed {
    /// Returns whether the event waits for the broker.
    ///
    /// ```
    /// assert!(laneway::cluster::Relayed::Queued.is_queued());
    /// ```
    #[must_use]
    pub fn is_queued(self) -> bool {
        self == Self::Queued
    }
}

/// The reason why an event goes to no other node.
///
/// ```
/// use laneway::cluster::Unrelayed;
///
/// assert_eq!(Unrelayed::Full.to_string(), "the queue to the broker is full");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unrelayed {
    /// The queue to the broker is full: the broker is too slow.
    Full,
    /// The broker is not connected.
    Disconnected,
    /// The node's driver has ended.
    Stopped,
}

impl fmt::Display for Unrelayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the queue to the broker is full",
            Self::Disconnected => "the broker is not connected",
            Self::Stopped => "the driver of the node has ended",
        })
    }
}
