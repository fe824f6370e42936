//! The list of a lane's connections, through which they are woken and closed.

use std::sync::Arc;

use super::core::Lane;
use super::member::{Member, Members, Seat};
use crate::id::ConnectionId;
use crate::sync::pin;
use crate::table::storage::{Owned, View};

impl<E: 'static> Lane<E> {
    /// Returns the seat of the open connection with this id that was listed last.
    pub(super) fn find(&self, id: ConnectionId) -> Option<Seat> {
        let is_it = |member: &Member| member.id == id && member.is_open();
        let guard = pin();
        let found = match self.others.load(&guard) {
            View::Empty => None,
            View::Leaf(only) => is_it(&only).then(|| only.arc()),
            View::Node(several) => several.get().iter().rfind(|m| is_it(m)).cloned(),
        };
        // The first member is listed apart, and is the oldest. So it is found only if no other
        // matches.
        let is_first = found.is_none() && self.first.is_listed() && is_it(&self.first);
        (found.is_some() || is_first).then_some(found)
    }

    /// Returns whether an open connection with the same id was listed before this one.
    ///
    /// Two calls that resume one device can both join. Each lists its connection and then calls
    /// this, so at least one of them finds the other.
    pub(crate) fn has_elder(&self, seat: &Seat) -> bool {
        let own = self.member(seat);
        let (mut others, mut elders) = (false, false);
        self.for_each(|member| {
            if std::ptr::eq(member, own) {
                elders = others;
            } else {
                others |= member.id == own.id && member.is_open();
            }
        });
        // The walk visits the lane's first member before all others, also if it was listed last. So
        // its place in the walk does not show its age. It takes each other one with its id for older.
        if seat.is_none() { others } else { elders }
    }

    /// Exchanges the list for one with `added` at its end and without `removed`. Lock-free.
    pub(super) fn relist(&self, added: Option<&Arc<Member>>, removed: Option<&Member>) {
        let guard = pin();
        loop {
            let view = self.others.load(&guard);
            // Copied, because other threads may walk the old list. The epoch frees it after them.
            let new = match (view, added) {
                (View::Empty, Some(member)) => Owned::Leaf(Arc::clone(member)),
                (View::Leaf(only), None) if is(&only, removed) => Owned::Empty,
                (view, added) => relisted(view, added, removed),
            };
            if self.others.compare_exchange(view, new, &guard).is_ok() {
                return;
            }
        }
    }

    /// Calls `f` for every listed connection. The lane's first member comes first. The others follow
    /// in the order in which they were listed.
    pub(crate) fn for_each(&self, mut f: impl FnMut(&Member)) {
        // The list is loaded before the first member's mark. In the other order the first member
        // could be open at the look and close after it, and another connection could be listed in
        // its place. Both would be found, and a limit or a count would be one too high.
        let guard = (!self.others.is_empty()).then(pin);
        let view = match &guard {
            Some(guard) => self.others.load(guard),
            None => View::Empty,
        };
        if self.first.is_listed() {
            f(&self.first);
        }
        match view {
            View::Empty => {}
            View::Leaf(only) => f(&only),
            View::Node(several) => several.iter().for_each(|member| f(member)),
        }
    }
}

/// Compares members, not ids: two connections have one id for a moment when a device resumes.
fn is(member: &Member, removed: Option<&Member>) -> bool {
    removed.is_some_and(|removed| std::ptr::eq(member, removed))
}

/// Returns a copy of the list, with `added` and without `removed`.
fn relisted(
    view: View<'_, Member, Members>,
    added: Option<&Arc<Member>>,
    removed: Option<&Member>,
) -> Owned<Member, Members> {
    let only;
    let listed = match &view {
        View::Node(several) => &several[..],
        View::Leaf(leaf) => {
            only = [leaf.arc()];
            &only[..]
        }
        // An empty list has no connection to remove.
        View::Empty => &[],
    };
    let stay = listed.iter().filter(|m| !is(m, removed));
    let grown = listed.len() + usize::from(added.is_some());
    let mut members = Members::with_capacity(grown.saturating_sub(removed.into_iter().count()));
    members.extend(stay.chain(added).cloned());
    match members.len() {
        0 => Owned::Empty,
        1 => Owned::Leaf(members.remove(0)),
        _ => Owned::Node(Box::new(members)),
    }
}
