//! Connections are attached to threads and detached from them while they live.

use super::attachments::{Attachments, TooMany};
use super::core::Lane;
use super::member::{Ghost, Member};
use crate::id::ThreadId;
use crate::sync::{Fault, Ordering, broken, fence};

/// The reason why a connection was not attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unattached {
    /// It is already.
    Already,
    TooMany,
    Closed,
    /// It is of a scope for another thread.
    Bound,
}

impl<E: 'static> Lane<E> {
    /// Attaches a connection to a thread, from the next number on. Lock-free.
    pub(crate) fn attach(&self, member: &Member, thread: &ThreadId) -> Result<(), Unattached> {
        let profile = member.profile();
        if profile.is_bound && !profile.attachments.with(|list| list.has_now(thread)) {
            return Err(Unattached::Bound);
        }
        let attached = profile.attachments.update(|list| {
            // Loaded after the list, at each turn. With a number from before, a detach by another
            // thread could end at a higher one, and two intervals would overlap.
            let cursor = member.cursor();
            let number = if broken(Fault::AttachFromTheCursor) {
                cursor
            } else {
                self.load().seq()
            };
            match list.attached(thread, number, cursor) {
                Ok(Some(new)) => Ok((new, ())),
                Ok(None) => Err(Unattached::Already),
                Err(TooMany) => Err(Unattached::TooMany),
            }
        });
        attached?;
        // Pairs with the fence in `threads_of`. This thread exchanges the list and then looks at the
        // mark. A take-over sets the mark and then loads the list. Without the fences each could miss
        // the other's write, and the device would lose the thread.
        if !broken(Fault::AttachWithoutLooking) {
            fence(Ordering::SeqCst);
            if !member.is_open() {
                return Err(Unattached::Closed);
            }
        }
        Ok(())
    }

    /// Detaches a connection from a thread, from the next number on. Returns whether it was attached.
    /// Lock-free.
    pub(crate) fn detach(&self, member: &Member, thread: &ThreadId) -> bool {
        let Some(profile) = member.profile_if_any() else {
            return false;
        };
        let detached = profile.attachments.update(|list| {
            let number = self.load().seq();
            let new = list.detached(thread, number, member.cursor());
            new.map(|new| (new, ())).ok_or(())
        });
        detached.is_ok()
    }

    /// Returns the threads of a connection that another one takes over.
    pub(crate) fn threads_of(&self, ghost: &Ghost) -> Vec<ThreadId> {
        // Pairs with the fence in `attach`: the ghost's mark is set before.
        fence(Ordering::SeqCst);
        let list = |list: &Attachments| list.threads().cloned().collect();
        self.member(&ghost.seat).with_attachments(list)
    }
}
