//! Admission: each use of a scope takes one look at the gate. Revocation: the host's act that the
//! look finds.

use std::sync::Arc;

use super::core::Core;
use super::gate::{is_closed, is_draining};
use super::grant::Use;
use super::pass::Pass;
use crate::error::{AttachError, CloseReason, ConnectError, NotAllowed};
use crate::id::{ThreadId, UserId};
use crate::revocation::{Generation, Remaining, Revocation};
use crate::room::error::JoinRoomError;
use crate::sync::{Fault, Ordering, broken, fence};

/// Returns whether a scope is known to be good at this word, and the hub admits connections.
#[inline]
pub(super) fn is_good_to_connect(word: u64, pass: &Pass) -> bool {
    // A publish during a drain may have noted the word with the bit.
    pass.is_good_at(word) && !is_draining(word)
}

/// The reason why a scope may not do what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    Revoked,
    NotAllowed(NotAllowed),
}

impl From<Denied> for ConnectError {
    fn from(why: Denied) -> Self {
        match why {
            Denied::Revoked => Self::Revoked,
            Denied::NotAllowed(missing) => Self::NotAllowed(missing),
        }
    }
}

impl From<Denied> for AttachError {
    fn from(why: Denied) -> Self {
        match why {
            Denied::Revoked => Self::Revoked,
            Denied::NotAllowed(missing) => Self::NotAllowed(missing),
        }
    }
}

impl From<Denied> for JoinRoomError {
    fn from(why: Denied) -> Self {
        match why {
            Denied::Revoked => Self::Revoked,
            Denied::NotAllowed(missing) => Self::NotAllowed(missing),
        }
    }
}

impl<E: Send + Sync + 'static> Core<E> {
    /// Makes the pass of a new scope.
    pub(crate) fn make_pass(&self) -> Pass {
        // The word is loaded before the generation. In the other order a revocation in between would
        // be in the word and not in the generation, and the scope would pass for good although it is
        // older than that revocation.
        let word = self.gate.word();
        Pass::new(word, self.revoked.generation())
    }

    /// Makes the pass of a scope that no revocation concerns: the node's own, for what comes from other nodes.
    /// Those have looked at their scopes.
    #[cfg(feature = "cluster")]
    #[cfg_attr(any(laneway_loom, laneway_shuttle), allow(dead_code))]
    pub(crate) fn make_pass_of_node(&self) -> Pass {
        Pass::new(self.gate.word(), u64::MAX)
    }

    /// Looks whether a scope of this user may be used so. One load and one compare, unless a scope of
    /// any user was revoked since the last look.
    #[inline]
    pub(crate) fn admit(
        &self,
        user: &UserId,
        pass: &Pass,
        for_what: Use<'_>,
    ) -> Result<(), Denied> {
        let word = self.gate.word();
        if pass.is_good_at(word) {
            return Ok(());
        }
        self.look_at(user, pass, word, for_what)
    }

    /// As `admit`, for a connect that has loaded the gate's word.
    #[cold]
    pub(super) fn admit_connect(
        &self,
        user: &UserId,
        pass: &Pass,
        word: u64,
        threads: &[ThreadId],
    ) -> Result<(), ConnectError> {
        self.look_at(user, pass, word, Use::Connect(threads))?;
        if is_closed(word) {
            return Err(ConnectError::Closed);
        }
        if is_draining(word) {
            return Err(ConnectError::Draining);
        }
        Ok(())
    }

    /// Returns whether a scope of this user is revoked. Wait-free.
    pub(crate) fn is_revoked(&self, user: &UserId, pass: &Pass) -> bool {
        let is_known = pass.is_good_at(self.gate.word());
        !is_known && self.revoked.has(user, self.hash(user), pass.made_at())
    }

    /// Wait-free.
    #[cold]
    fn look_at(
        &self,
        user: &UserId,
        pass: &Pass,
        word: u64,
        for_what: Use<'_>,
    ) -> Result<(), Denied> {
        if broken(Fault::NoteBeforeLooking) {
            pass.note(word);
        }
        if self.revoked.has(user, self.hash(user), pass.made_at()) {
            return Err(Denied::Revoked);
        }
        if let Some(grant) = pass.grant() {
            let now = self.told.load(Ordering::Acquire);
            return grant.check(for_what, now).map_err(Denied::NotAllowed);
        }
        // Noted after the look. In the other order another thread that shares the scope could find
        // the new word between the two, and publish although the scope is revoked.
        pass.note(word);
        Ok(())
    }

    /// Begins a generation, for [`Hub::next_generation`](crate::Hub::next_generation).
    pub(crate) fn next_generation(&self) -> Generation {
        Generation(self.revoked.next())
    }

    /// Revokes scopes of a user. Returns how many connections it has closed.
    pub(crate) fn revoke(self: &Arc<Self>, user: &UserId, revocation: &Revocation) -> usize {
        let before = revocation.before.map(|generation| generation.0);
        if broken(Fault::RaiseBeforeListing) {
            self.gate.raise();
        }
        self.revoked.add(user, self.hash(user), before);
        // Raised after the table has the revocation. In the other order a scope could be looked at
        // in between and be found good at the new word.
        if !broken(Fault::RaiseBeforeListing) {
            self.gate.raise();
        }
        // Pairs with the fence in `list_and_notify`. A connect lists its connection and then looks
        // at the gate. A revocation raises the gate and then walks the list. Without the fences each
        // could miss the other's write, and the connection would outlive the revocation.
        fence(Ordering::SeqCst);
        let spared = match revocation.connections {
            Remaining::All => return 0,
            Remaining::Only(device) => Some(device),
            Remaining::None => None,
        };
        let Some(entry) = self.find(user) else {
            return 0;
        };
        let mut closed = 0;
        entry.lane.for_each(|member| {
            if Some(member.id) != spared && self.close(&entry, member, CloseReason::Revoked) {
                closed += 1;
            }
        });
        closed
    }

    /// Returns how many users have revocations of their own.
    pub(crate) fn revoked_users(&self) -> usize {
        self.revoked.len()
    }
}
