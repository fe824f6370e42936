//! The way of a broadcaster's packets to other nodes.

use std::fmt;

use crate::cluster::relayed::Relayed;
use crate::id::UserId;
use crate::protocol::packet::{Audience, Packet};

/// Queues a packet for the other nodes, from its user, its audience, and whether it is critical.
pub(crate) type Relaying =
    Box<dyn Fn(&UserId, Audience<'_>, &Packet, bool) -> Relayed + Send + Sync>;

/// The way of a broadcaster's packets to other nodes, if there is one.
#[derive(Default)]
pub(super) struct RelayHook(pub(super) Option<Relaying>);

impl fmt::Debug for RelayHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RelayHook").field(&self.0.is_some()).finish()
    }
}
