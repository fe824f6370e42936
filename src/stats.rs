//! Figures, and the laws that they obey. Each figure is read on its own; a snapshot taken while
//! threads are at work need not add up, one taken at rest does.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::id::{ConnectionId, ThreadId};

/// A hub's figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct HubStats {
    /// Users online.
    pub users: usize,
    /// Live connections.
    pub connections: usize,
    /// Events accepted by lanes, those of users gone offline included.
    pub accepted: u64,
    /// Numbers that connections were told they missed, closed connections included.
    pub missed: u64,
    /// Connections closed because they had lost a critical event.
    pub overruns: u64,
    /// Events refused because no connection of their audience was there.
    pub refused_no_connections: u64,
    /// Events refused as [`PublishError::Full`](crate::PublishError::Full).
    pub refused_full: u64,
    /// Events refused after the shutdown.
    pub refused_closed: u64,
    /// Requests that named a connection which is not one of that user's live ones.
    pub unknown_connections: u64,
    /// Users without connections whose lane is kept for them.
    pub absent_users: usize,
    /// Positions refused because they are none of the user's whose scope they came to.
    pub foreign_positions: u64,
    /// Positions that could not be resumed from because their hub or their lane is gone.
    pub stale_positions: u64,
}

/// One live connection as seen from its user's scope.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// Its id.
    pub id: ConnectionId,
    /// The thread it is attached to.
    pub thread: Option<ThreadId>,
    /// Numbers it has not read yet.
    pub unread: u64,
    /// Numbers it was told it missed.
    pub missed: u64,
    /// The host's time of the first [sweep](crate::Hub::sweep) that saw it, in whole seconds. `None` before
    /// that sweep.
    pub connected_at: Option<Duration>,
    /// The host's time of the last sweep that saw [activity](crate::Builder::activity) of it since the sweep
    /// before, in whole seconds. The first sweep counts the connect as activity. `None` before that sweep.
    pub active_at: Option<Duration>,
}

/// Where the numbers of one connection went, from [`Connection::stats`](crate::Connection::stats).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct ConnectionStats {
    /// Numbers given out while it was live.
    pub numbers: u64,
    /// Events it received.
    pub delivered: u64,
    /// Numbers it passed that were for other connections, or were no event because their publisher
    /// took too long and went on under another number.
    pub stepped_over: u64,
    /// Numbers it was told it missed, whomever they were for. In room that a publish has taken, numbers that
    /// were no event count as missed, except those behind the last event.
    pub missed: u64,
    /// Numbers it has not come to.
    pub unread: u64,
    /// Events it received from before it was live, replayed or recovered. They are besides
    /// `numbers`: the connections that were live when they were accepted have them among theirs.
    pub replayed: u64,
}

/// A law that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Imbalance {
    /// `numbers = delivered + stepped_over + missed + unread` is wrong for this connection.
    Connection(ConnectionStats),
    /// So many events were offered, and the hub tells of another number.
    Hub {
        /// What the host offered.
        offered: u64,
        /// What the hub accepted and refused.
        stats: HubStats,
    },
}

impl fmt::Display for Imbalance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(stats) => write!(f, "numbers are unaccounted for: {stats:?}"),
            Self::Hub { offered, stats } => {
                write!(f, "{offered} events were offered, but {stats:?}")
            }
        }
    }
}
impl Error for Imbalance {}

/// The laws of conservation: nothing vanishes, and nothing is counted twice.
///
/// * of each connection: `numbers = delivered + stepped_over + missed + unread`
/// * of the hub: `offered = accepted + no connections + full + closed`, where `offered` is the
///   number of events that the host handed to any publish
///
/// Events that are replayed or recovered were accepted once and stay so: they change neither law. What
/// a lane accepts while the user has no connection counts as accepted.
///
/// They hold whenever no call is under way.
///
/// # Errors
///
/// [`Imbalance`] names the first law that is broken.
pub fn conserved(
    offered: u64,
    hub: &HubStats,
    connections: impl IntoIterator<Item = ConnectionStats>,
) -> Result<(), Imbalance> {
    for c in connections {
        if !is_sum(c.numbers, [c.delivered, c.stepped_over, c.missed, c.unread]) {
            return Err(Imbalance::Connection(c));
        }
    }
    let stats = *hub;
    let refused = [
        stats.refused_no_connections,
        stats.refused_full,
        stats.refused_closed,
    ];
    let accepted_too = refused.into_iter().chain([stats.accepted]);
    if !is_sum(offered, accepted_too) {
        return Err(Imbalance::Hub { offered, stats });
    }
    Ok(())
}

/// Of any figures: a sum that does not fit into 64 bits is none of them.
fn is_sum(whole: u64, parts: impl IntoIterator<Item = u64>) -> bool {
    parts.into_iter().map(u128::from).sum::<u128>() == whole.into()
}
