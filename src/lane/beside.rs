//! What few lanes have: all other lanes pay for one pointer.

use std::sync::Arc;

use super::account::Account;
use super::archive::Archive;
use super::conflation::Conflation;

/// The parts of a lane that only some hubs ask for.
#[derive(Default)]
pub(crate) struct Beside {
    /// `Some` in a lane that keeps events after they were read.
    pub(crate) archive: Option<Archive>,
    /// `Some` in a lane whose readers step over superseded events.
    pub(crate) conflation: Option<Conflation>,
    /// `Some` in a lane whose bytes or whose rate is limited.
    pub(crate) account: Option<Arc<Account>>,
}

impl Beside {
    /// Returns a box of these parts, or `None` if there is no part.
    pub(super) fn boxed(self) -> Option<Box<Self>> {
        let is_some = self.archive.is_some() || self.conflation.is_some() || self.account.is_some();
        is_some.then(|| Box::new(self))
    }
}
