//! The list of a lane's connections, in which they are found to be woken and closed.

use std::sync::Arc;

use super::core::Lane;
use super::member::{Member, Members, Seat};
use crate::id::ConnectionId;
use crate::sync::pin;
use crate::table::storage::{Owned, View};

impl<E: 'static> Lane<E> {
    /// The open connection with this id that was listed last.
    pub(super) fn find(&self, id: ConnectionId) -> Option<Seat> {
        let is_it = |member: &Member| member.id == id && member.is_open();
        let guard = pin();
        let found = match self.others.load(&guard) {
            View::Empty => None,
            View::Leaf(only) => is_it(&only).then(|| only.arc()),
            View::Node(several) => several.get().iter().rfind(|m| is_it(m)).cloned(),
        };
        let is_first = found.is_none() && self.first.is_listed() && is_it(&self.first);
        (found.is_some() || is_first).then_some(found)
    }

    /// Whether an open connection with the same id was listed before this one, which is listed. Of two
    /// that are listed at one time one finds the other.
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
        // The lane's own member is found first, whenever it was listed.
        if seat.is_none() { others } else { elders }
    }

    /// Exchanges the list for one with `added` at its end and without `removed`.
    pub(super) fn relist(&self, added: Option<&Arc<Member>>, removed: Option<&Member>) {
        let guard = pin();
        loop {
            let view = self.others.load(&guard);
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

    /// Calls `f` for every listed connection, in the order in which they were listed; the lane's own is
    /// the first.
    pub(crate) fn for_each(&self, mut f: impl FnMut(&Member)) {
        // The list is loaded before the lane's own member is looked at. In the other order that member
        // is found open and then closes, another connection is listed in its place, and both are found.
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

/// Two connections may have one id for a moment, so it is the member that counts.
fn is(member: &Member, removed: Option<&Member>) -> bool {
    removed.is_some_and(|removed| std::ptr::eq(member, removed))
}

/// A list of several, or what is left of one, with `added` and without `removed`.
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
        // A list that is empty has no connection to remove.
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
