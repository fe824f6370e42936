//! The figures of the hub that no lane holds.

use crate::sync::{AtomicU64, AtomicUsize};

/// How many users and connections are online. In one line: the connect that counts a user in counts its
/// connection as well.
#[derive(Default)]
pub(super) struct Online {
    pub(super) users: AtomicUsize,
    /// Connections that are counted in a lane's `live`. Each is added after its lane has counted it, and
    /// subtracted after its lane has counted it out.
    pub(super) connections: AtomicUsize,
}

/// What the hub counts.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) accepted_offline: AtomicU64,
    pub(crate) missed: AtomicU64,
    pub(super) overruns: AtomicU64,
    pub(super) no_connections: AtomicU64,
    pub(super) full: AtomicU64,
    pub(super) over_budget: AtomicU64,
    pub(super) rate_limited: AtomicU64,
    pub(super) closed: AtomicU64,
    pub(super) revoked: AtomicU64,
    pub(super) not_allowed: AtomicU64,
    pub(crate) unknown_connections: AtomicU64,
    pub(crate) foreign_positions: AtomicU64,
    pub(crate) stale_positions: AtomicU64,
    pub(super) foreign_answers: AtomicU64,
}
