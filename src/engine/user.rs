//! A user in the table.

use std::fmt;

use super::session::Session;
use crate::id::UserId;
use crate::lane::Lane;
use crate::table::Keyed;

/// A user who is online, or whose lane is kept: the table's entry and the lane in one allocation.
pub(crate) struct User<E: 'static> {
    pub(crate) id: UserId,
    pub(super) hash: u64,
    pub(crate) lane: Lane<E>,
    pub(super) session: Session,
}

impl<E: 'static> User<E> {
    /// `out` is the host's, and is called without a guard: while it hangs, memory is reclaimed.
    pub(crate) fn dump(&self, out: &mut impl fmt::Write) -> fmt::Result {
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
