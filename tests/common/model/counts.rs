//! What a hub counts of refusals, each under one reason.

use super::{Refused, To};

/// Figures of a hub that only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) no_connections: u64,
    pub(crate) full: u64,
    pub(crate) over_budget: u64,
    pub(crate) closed: u64,
    pub(crate) revoked: u64,
    pub(crate) lacking: u64,
    /// Connections that were named and are not there.
    pub(crate) unknown: u64,
    pub(crate) foreign_answers: u64,
}

impl Counts {
    pub(super) fn refuse(&mut self, why: Refused, to: To) {
        let count = match why {
            Refused::NoConnections => {
                self.unknown += u64::from(matches!(to, To::Connection(_)));
                &mut self.no_connections
            }
            Refused::Full => &mut self.full,
            Refused::OverBudget => &mut self.over_budget,
            Refused::Closed => &mut self.closed,
            Refused::Revoked => &mut self.revoked,
            Refused::Lacks(_) => &mut self.lacking,
        };
        *count += 1;
    }
}
