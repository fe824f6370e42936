//! Notices: the hub notifies its subscribers of connections that come and go, and of the end.

use super::core::Core;
use super::user::User;
use crate::lifecycle::{Change, Lifecycle, LifecycleError, Notice};
use crate::sync::{Fault, Ordering, broken};

impl<E: Send + Sync + 'static> Core<E> {
    /// Adds a subscriber, for [`Hub::lifecycle`](crate::Hub::lifecycle).
    pub(crate) fn lifecycle(&self, capacity: usize) -> Result<Lifecycle, LifecycleError> {
        let notices = self.subscribers.add(capacity)?;
        // A shutdown that walked the subscribers before this one was added has not ended its
        // notices.
        if !broken(Fault::SubscribeWithoutLooking) {
            self.end_if_over();
        }
        Ok(Lifecycle { notices })
    }

    /// Notifies the subscribers of a change, in a lane that sees one session.
    pub(super) fn notify(&self, user: &User<E>, number: u64, change: impl FnOnce() -> Change) {
        // Most hubs have no subscriber. This look spares them the load of the session's number.
        if !self.subscribers.is_empty() {
            self.notify_in(user, user.session.number(), number, change);
        }
    }

    /// Notifies the subscribers of a change in the session with this number.
    pub(super) fn notify_in(
        &self,
        user: &User<E>,
        session: u64,
        number: u64,
        change: impl FnOnce() -> Change,
    ) {
        self.subscribers.tell(|| Notice {
            user: user.id.clone(),
            session,
            number,
            change: change(),
        });
    }

    /// Counts out a user who was counted as online. The last one after a shutdown ends the notices.
    pub(super) fn count_out(&self) {
        // AcqRel: pairs with the exchange in `end_if_over`. Of the two exchanges the later one sees
        // what the other thread did before the earlier one.
        if self.online.users.fetch_sub(1, Ordering::AcqRel) == 1 && self.is_closed() {
            self.subscribers.end();
        }
    }

    /// Ends the notices, if the hub is closed and no user is counted.
    pub(super) fn end_if_over(&self) {
        // A read-modify-write that changes nothing. Three threads exchange the count: one that has
        // closed the hub, one that counts a user out, one that has added a subscriber. The later of
        // two sees what the earlier one did before. With loads both could see the state before, and
        // the notices would never end.
        let users = if broken(Fault::LookAtTheCount) {
            self.online.users.load(Ordering::Acquire)
        } else {
            self.online.users.fetch_add(0, Ordering::AcqRel)
        };
        if users == 0 && self.is_closed() && !broken(Fault::EndWithoutLooking) {
            self.subscribers.end();
        }
    }
}
