//! Figures, and the laws that they obey. Each figure is read on its own. A snapshot taken while threads
//! are at work need not add up; one taken at rest does.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::id::{ConnectionId, ThreadId};

/// The figures that a hub counts, from [`Hub::stats`](crate::Hub::stats).
///
/// ```
/// # let hub: laneway::Hub<u8> = laneway::Hub::new();
/// # let ann = hub.scope(laneway::UserId::new("ann")?);
/// let refused = ann.publish(7); // to a user without a connection
/// assert!(refused.is_err());
/// assert_eq!(hub.stats().refused_no_connections, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct HubStats {
    /// How many users are online.
    pub users: usize,
    /// How many connections are live.
    pub connections: usize,
    /// Numbers in the gaps of all connections. Closed connections are included.
    pub missed: u64,
    /// Connections closed as [`CloseReason::Overrun`](crate::CloseReason::Overrun).
    pub overruns: u64,
    /// Events refused as [`PublishError::NoConnections`](crate::PublishError::NoConnections).
    pub refused_no_connections: u64,
    /// Events refused as [`PublishError::Full`](crate::PublishError::Full).
    pub refused_full: u64,
    /// Events refused as [`PublishError::OverBudget`](crate::PublishError::OverBudget).
    pub refused_over_budget: u64,
    /// Events refused as [`PublishError::RateLimited`](crate::PublishError::RateLimited).
    pub refused_rate_limited: u64,
    /// Events refused as [`PublishError::Closed`](crate::PublishError::Closed).
    pub refused_closed: u64,
    /// Events refused as [`PublishError::Revoked`](crate::PublishError::Revoked).
    pub refused_revoked: u64,
    /// Events refused as [`PublishError::NotAllowed`](crate::PublishError::NotAllowed).
    pub refused_not_allowed: u64,
    /// Disconnects that named no live connection of that user.
    pub unknown_connections: u64,
    /// How many users without connections keep their lane.
    pub absent_users: usize,
    /// Positions refused as [`ResumeError::Foreign`](crate::ResumeError::Foreign).
    pub foreign_positions: u64,
    /// Positions that reset, because their hub or their lane is gone.
    pub stale_positions: u64,
    /// Answers refused as [`AnswerError::Unknown`](crate::AnswerError::Unknown).
    pub foreign_answers: u64,
}

/// One live connection, from [`UserScope::connections`](crate::UserScope::connections).
///
/// ```
/// # let hub: laneway::Hub<u8> = laneway::Hub::new();
/// # let ann = hub.scope(laneway::UserId::new("ann")?);
/// let _device = ann.connect()?;
/// let slow = |scope: &laneway::UserScope<u8>| scope.connections().iter().any(|c| c.unread > 32);
/// assert!(!slow(&ann));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// The device's id.
    pub id: ConnectionId,
    /// The threads it is attached to.
    pub threads: Vec<ThreadId>,
    /// The host's note, from [`ConnectOptions::note`](crate::ConnectOptions#structfield.note).
    pub note: Option<Box<str>>,
    /// How many numbers it has not read.
    pub unread: u64,
    /// How many numbers its gaps had in all.
    pub missed: u64,
    /// The bytes that the unread and kept events of this user's lane weigh: the same figure for each connection of
    /// the user. 0 in a hub without [`lane_bytes`](crate::Builder::lane_bytes) and
    /// [`hub_bytes`](crate::Builder::hub_bytes).
    pub lane_bytes: u64,
    /// The host's time of the first [sweep](crate::Hub::sweep) that saw it, in whole seconds. `None` before
    /// that sweep.
    pub connected_at: Option<Duration>,
    /// The host's time of the last sweep that saw [activity](crate::Builder::activity) of it since the sweep
    /// before, in whole seconds. The first sweep counts the connect as activity. `None` before that sweep.
    pub active_at: Option<Duration>,
}

/// The account of one connection's numbers, from [`Connection::stats`](crate::Connection::stats).
///
/// ```
/// # let hub: laneway::Hub<u8> = laneway::Hub::new();
/// # let ann = hub.scope(laneway::UserId::new("ann")?);
/// let (phone, mut laptop) = (ann.connect()?, ann.connect()?);
/// ann.to_connection(phone.id()).publish(7)?;
/// assert!(laptop.try_recv().is_err());
/// assert_eq!((laptop.stats().delivered, laptop.stats().stepped_over), (0, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct ConnectionStats {
    /// Numbers that publishers claimed while it was live.
    pub numbers: u64,
    /// Events it received.
    pub delivered: u64,
    /// Numbers it passed that were for other connections, or were no event. Events that were superseded or
    /// expired are not among them. A number is no event if its
    /// publisher was stopped for too long and went on under another number.
    pub stepped_over: u64,
    /// Numbers in its gaps. Those for other connections count too. In room that a publish has taken,
    /// numbers that are no event count as missed, except those behind the last event.
    pub missed: u64,
    /// Events it passed because a later event of their key was accepted: see
    /// [`publish_latest`](crate::UserScope::publish_latest).
    pub superseded: u64,
    /// Events it passed because their deadline had come: see [`until`](crate::Addressed::until).
    pub expired: u64,
    /// Numbers it has not read.
    pub unread: u64,
    /// Events it received from before it was live, replayed or recovered. They are not among its `numbers`,
    /// but among those of the connections that were live then.
    pub replayed: u64,
}

/// A law that does not hold, from [`conserved`].
///
/// ```
/// # let hub: laneway::Hub<u8> = laneway::Hub::new();
/// # let ann = hub.scope(laneway::UserId::new("ann")?);
/// use laneway::{Imbalance, conserved};
///
/// let (accepted, stats) = (hub.accepted(), hub.stats());
/// let broken = conserved(1, accepted, &stats, []); // as if the host had published
/// assert_eq!(broken, Err(Imbalance::Hub { offered: 1, accepted, stats }));
/// # drop(ann);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Imbalance {
    /// `numbers = delivered + stepped_over + missed + superseded + expired + unread` is wrong for this connection.
    Connection(ConnectionStats),
    /// `offered = accepted + no connections + full + over budget + rate limited + closed + revoked + not allowed` is wrong for the hub.
    Hub {
        /// How many events the host offered.
        offered: u64,
        /// How many events lanes have accepted.
        accepted: u64,
        /// The hub's figures.
        stats: HubStats,
    },
}

impl fmt::Display for Imbalance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(stats) => write!(f, "numbers are unaccounted for: {stats:?}"),
            Self::Hub {
                offered,
                accepted,
                stats,
            } => {
                write!(
                    f,
                    "{offered} events were offered, but {accepted} were accepted"
                )?;
                write!(f, ": {stats:?}")
            }
        }
    }
}
impl Error for Imbalance {}

/// Checks the laws of conservation: no event vanishes, and none is counted twice.
///
/// ```
/// # let hub: laneway::Hub<u8> = laneway::Hub::new();
/// # let ann = hub.scope(laneway::UserId::new("ann")?);
/// use laneway::conserved;
///
/// let device = ann.connect()?;
/// for event in 0..5 {
///     ann.publish(event)?;
/// }
/// conserved(5, hub.accepted(), &hub.stats(), [device.stats()])?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// | of | law |
/// |---|---|
/// | each connection | `numbers = delivered + stepped_over + missed + superseded + expired + unread` |
/// | the hub | `offered = accepted + no connections + full + over budget + rate limited + closed + revoked + not allowed` |
///
/// `offered` is the number of events that the host handed to any publish, and `accepted` is
/// [`Hub::accepted`](crate::Hub::accepted). The laws hold while no call is under way. A replayed or recovered event was accepted once, and changes neither law. An event that a
/// lane accepts while the user has no connection counts as accepted. Each number of a
/// [merged](crate::Connection::try_recv_merged) delivery counts as delivered.
///
/// # Errors
///
/// [`Imbalance`] names the first law that is broken.
#[allow(clippy::result_large_err)] // The error has all figures. It is for a host's tests.
pub fn conserved(
    offered: u64,
    accepted: u64,
    hub: &HubStats,
    connections: impl IntoIterator<Item = ConnectionStats>,
) -> Result<(), Imbalance> {
    for c in connections {
        let passed = [
            c.delivered,
            c.stepped_over,
            c.missed,
            c.superseded,
            c.expired,
        ];
        if !is_sum(c.numbers, passed.into_iter().chain([c.unread])) {
            return Err(Imbalance::Connection(c));
        }
    }
    let stats = *hub;
    let refused = [
        stats.refused_no_connections,
        stats.refused_full,
        stats.refused_over_budget,
        stats.refused_rate_limited,
        stats.refused_closed,
        stats.refused_revoked,
        stats.refused_not_allowed,
    ];
    if !is_sum(offered, refused.into_iter().chain([accepted])) {
        return Err(Imbalance::Hub {
            offered,
            accepted,
            stats,
        });
    }
    Ok(())
}

/// Returns whether the parts sum up to the whole. Sums in 128 bits, because the caller may have made the
/// figures up, and a sum that wraps around could equal the whole.
fn is_sum(whole: u64, parts: impl IntoIterator<Item = u64>) -> bool {
    parts.into_iter().map(u128::from).sum::<u128>() == whole.into()
}
