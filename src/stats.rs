//! Snapshots. Each figure is read on its own; a snapshot taken at rest adds up.

use crate::id::{ConnectionId, ThreadId};

/// A router's figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouterStats {
    /// Users online.
    pub users: usize,
    /// Live connections.
    pub connections: usize,
    /// Events accepted by lanes, those of users gone offline included.
    pub accepted: u64,
    /// Numbers that connections were told they missed, closed connections included.
    pub missed: u64,
    /// Events refused because their user had no connection.
    pub refused_no_connections: u64,
    /// Events refused for want of room.
    pub refused_full: u64,
    /// Events refused after the shutdown.
    pub refused_closed: u64,
    /// Requests that named a connection which is not one of that user's live ones.
    pub unknown_connections: u64,
}

/// One live connection as seen from its user's scope.
#[derive(Clone, Debug, PartialEq, Eq)]
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
}
