//! What few lanes have: all other lanes pay for one pointer.

use std::sync::Arc;

use super::account::Account;
use super::archive::Archive;
use super::conflation::Conflation;

/// The parts of a lane that only some hubs ask for.
pub(crate) struct Beside {
    /// `Some` in a lane that keeps events after they were read.
    pub(crate) archive: Option<Archive>,
    /// `Some` in a lane whose readers step over superseded events.
    pub(crate) conflation: Option<Conflation>,
    /// `Some` in a lane whose bytes or whose rate is limited.
    pub(crate) account: Option<Arc<Account>>,
}
