//! A user's entry in the table.

use std::fmt;

use super::session::Session;
use crate::id::UserId;
use crate::lane::Lane;
use crate::table::Keyed;

/// A user who is online, or whose lane is kept. The entry and the lane are one allocation, so a
/// publish follows one pointer.
pub(crate) struct User<E: 'static> {
    pub(crate) id: UserId,
    pub(super) hash: u64,
    pub(crate) lane: Lane<E>,
    pub(super) session: Session,
}

impl<E: 'static> User<E> {
    /// Returns whether a connection was here: the entry may be made for an event that waits.
    pub(crate) fn was_online(&self) -> bool {
        self.session.number() > 0
    }

    /// Writes the entry as text. `out` is the host's and is called without a guard, so memory is
    /// reclaimed while it hangs.
    pub(crate) fn dump(&self, out: &mut impl fmt::Write) -> fmt::Result {
        // The lane is written to memory first, under its own guards.
        let mut lane = String::new();
        self.lane.dump(&mut lane)?;
        let session = self.session.number();
        write!(out, "{:?}, session {session}\n{lane}", self.id)
    }
}

impl<E: 'static> Keyed for User<E> {
    type Key = UserId;
    fn hash(&self) -> u64 {
        self.hash
    }
    fn key(&self) -> &UserId {
        &self.id
    }
}
