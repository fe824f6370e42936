//! The settings of a hub that are choices.

/// The rule for a user who opens one connection too many, for [`Builder::limit_policy`](crate::Builder::limit_policy).
///
/// ```
/// use laneway::{CloseReason, Closed, Hub, LimitPolicy, UserId};
///
/// let builder = Hub::builder().max_connections_per_user(1);
/// let hub: Hub<u8> = builder.limit_policy(LimitPolicy::EvictOldest).build()?;
/// let ann = hub.scope(UserId::new("ann")?);
/// let (mut old, _new) = (ann.connect()?, ann.connect()?);
/// assert_eq!(old.recv(), Err(Closed { reason: CloseReason::Evicted }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LimitPolicy {
    /// The new connection is refused as
    /// [`ConnectError::TooManyConnections`](crate::ConnectError::TooManyConnections).
    #[default]
    Refuse,
    /// The connection that was opened first is closed as
    /// [`CloseReason::Evicted`](crate::CloseReason::Evicted).
    EvictOldest,
}

/// The sign that a connection's peer is alive, for [`Builder::activity`](crate::Builder::activity).
///
/// ```
/// # use std::time::Duration;
/// use laneway::{Activity, Hub, UserId};
///
/// let second = Duration::from_secs(1);
/// let builder = Hub::builder().idle_timeout(Some(second)).activity(Activity::Touch);
/// let hub: Hub<u8> = builder.build()?;
/// let device = hub.scope(UserId::new("ann")?).connect()?;
/// for n in 0..40 {
///     device.touch(); // the peer answered a ping
///     assert_eq!(hub.sweep(n * second / 4), 0);
/// }
/// assert_eq!((40..46).map(|n| hub.sweep(n * second / 4)).sum::<usize>(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Activity {
    /// The connection received something since the sweep before, or was [touched](crate::Connection::touch).
    ///
    /// For hosts whose peer itself asks for each event. A call that finds nothing to read is no activity, and
    /// neither is a pending [`next`](crate::Connection::next).
    #[default]
    ReadOrTouch,
    /// The connection was touched.
    ///
    /// For hosts with a writer that reads on the peer's behalf. Such a writer goes on reading for a peer that
    /// is gone, as long as the network takes what it writes. The host touches the connection when it hears
    /// of the peer.
    Touch,
}
