//! What a node needs of a broker.

use std::future::{Future, ready};

use crate::cluster::error::RelayError;

/// A broker: carries frames from one process to those that listen to a subject.
///
/// [`Loopback`](crate::cluster::Loopback) stays in one process, for tests and examples.
/// `NatsRelay` of the feature `nats` is a connection to a NATS server.
///
/// # What a broker has to keep
///
/// Frames of one node on one subject arrive in the order in which they were published. A broker may lose frames:
/// the numbers in them show it. It may bring a frame twice: the second is dropped. Frames that come out of order
/// are dropped as well, and count as lost.
///
/// # What a broker has to tell
///
/// [`Incoming::Connected`] after each connect, with all subscriptions renewed, and [`Incoming::Disconnected`].
/// Without the first, publishers are told `Disconnected`, and a loss at the end of a user's events shows only
/// with the next event.
pub trait Relay: Send + Sync + 'static {
    /// A subscription, which ends when it is dropped.
    type Subscription: Send + 'static;

    /// Publishes one frame. May wait for room; no publisher waits with it.
    ///
    /// A frame that was taken may still be lost.
    ///
    /// # Errors
    ///
    /// [`RelayError::TooLarge`] for this frame, [`RelayError::Closed`] for good: the driver ends.
    fn publish(
        &self,
        subject: &str,
        frame: Vec<u8>,
    ) -> impl Future<Output = Result<(), RelayError>> + Send;

    /// Subscribes to one subject. Does not wait. Stays subscribed over each loss of the connection.
    fn subscribe(&self, subject: &str) -> Self::Subscription;

    /// Waits as long as the driver lets events come before it sends them together, once it has found its queue
    /// empty. The default returns at once.
    ///
    /// The driver drops the future when its hub has ended. Publishers wake no task meanwhile. The node's queue has to hold
    /// what they publish in that time.
    fn linger(&self) -> impl Future<Output = ()> + Send {
        ready(())
    }

    /// Waits until all frames that were published are written, so that a driver that has ended, and dropped the
    /// broker, has sent them. The default returns at once.
    ///
    /// The driver drops the future one tick after its hub's end.
    fn flush(&self) -> impl Future<Output = ()> + Send {
        ready(())
    }

    /// Waits for what comes next, `None` once the broker is closed for good.
    ///
    /// The driver drops the future and calls again, so that must lose nothing.
    fn next(&self) -> impl Future<Output = Option<Incoming>> + Send;
}

/// What comes from a broker.
///
/// ```
/// use laneway::cluster::Incoming;
///
/// let frame = Incoming::Frame { subject: "laneway.chat.u.YW5u".into(), bytes: vec![1] };
/// assert!(matches!(frame, Incoming::Frame { .. }));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Incoming {
    /// The connection stands, for the first time or again.
    Connected,
    /// The connection is lost.
    Disconnected,
    /// The client of the broker has dropped frames that this process did not take in time.
    Missed,
    /// A frame that a node has published.
    Frame {
        /// The subject.
        subject: String,
        /// The bytes that were published.
        bytes: Vec<u8>,
    },
}
