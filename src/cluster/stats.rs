//! The figures of a node.

use crate::sync::{AtomicU64, Ordering};

macro_rules! figures {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The figures of a node since it joined.
        ///
        /// ```
        /// # let hub: laneway::Hub<String> = laneway::Hub::new();
        /// # use laneway::cluster::{ClusterOptions, Loopback, Node, closures};
        /// # let text = closures(|e: &String, out| { out.extend(e.bytes()); Ok(()) }, |_, _| Ok(String::new()));
        /// let (node, _driver) = Node::join(&hub, ClusterOptions::new("chat"), text, Loopback::new())?;
        /// assert_eq!(node.stats().queued, 0);
        /// # Ok::<(), laneway::cluster::ClusterError>(())
        /// ```
        ///
        /// Once the queue is empty, `queued` is `sent` plus `unsent`. A receiving node has counted each frame of an
        /// event that came as one of `delivered`, `unwanted`, `undecodable` and `repeated`.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct ClusterStats {
            $($(#[$doc])* pub $name: u64,)*
        }

        /// The counters behind [`ClusterStats`].
        #[derive(Default)]
        pub(super) struct Counters {
            $(pub(super) $name: AtomicU64,)*
        }

        impl Counters {
            pub(super) fn read(&self) -> ClusterStats {
                ClusterStats { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

figures! {
    /// Events that publishers put into the queue to the broker.
    queued,
    /// Events that publishers were told as dropped because the queue was full.
    dropped_full,
    /// Events that publishers were told as dropped because the broker was not connected.
    dropped_disconnected,
    /// Drops that no receiving node can be told, because this node publishes to more users or rooms than it numbers.
    untold,
    /// Events that went to the broker.
    sent,
    /// Queued events that the codec could not write, or that the broker did not take.
    unsent,
    /// Tips and greetings that went to the broker.
    told,
    /// Bytes of all frames that went to the broker, without the broker's own.
    sent_bytes,
    /// Events of other nodes that reached a connection here. One for a room counts once.
    delivered,
    /// Events of other nodes whose user had no connection in their audience, or whose room had no member.
    unwanted,
    /// Events of other nodes that the codec could not read, and frames that are none.
    undecodable,
    /// Events of other nodes that came twice, or after they were told as lost.
    repeated,
    /// Frames of this node that came back to it.
    echoes,
    /// Gaps that were told.
    gaps,
    /// Events in those gaps.
    missed,
    /// Users whose subjects this node is subscribed to now.
    subscribed,
    /// Rooms whose subjects this node is subscribed to now.
    subscribed_rooms,
    /// Walks over all users or all rooms, because notices were lost.
    resyncs,
    /// How often the broker was connected.
    connects,
}

/// Adds to a counter.
pub(super) fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}
