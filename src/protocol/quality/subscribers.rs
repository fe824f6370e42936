//! The list of users who are subscribed to quality alerts.

use std::sync::Arc;

use crate::protocol::inbound::error::HandlerError;
use crate::protocol::packet::Packet;
use crate::scope::UserScope;

/// A subscription: the scope of its user.
#[derive(Clone)]
pub(super) struct Subscriber {
    pub(super) scope: Arc<UserScope<Packet>>,
    /// Counts subscriptions: a smaller number is an older one.
    pub(super) number: u64,
}

/// The subscriptions, sorted by user. A change returns a new list, for a copy-on-write update.
#[derive(Clone, Default)]
pub(super) struct Subscribers(Vec<Subscriber>);

impl Subscribers {
    /// Returns the list with `new` in it.
    ///
    /// A user who is subscribed keeps the number. In a full list, the oldest subscription whose user has
    /// no connection is removed.
    pub(super) fn with(&self, new: &Subscriber, limit: usize) -> Result<Self, HandlerError> {
        let mut list = self.clone();
        if let Ok(at) = list.position_of(&new.scope) {
            // A host may start a new engine: alerts have to go to its scope and not to the old one.
            list.0[at].scope = Arc::clone(&new.scope);
            return Ok(list);
        }
        if list.len() >= limit {
            let gone = list.0.iter().filter(|s| s.scope.connection_count() == 0);
            let oldest = gone.map(|subscriber| subscriber.number).min();
            let Some(oldest) = oldest else {
                let text = "there is no room for another subscriber";
                return Err(HandlerError::new("TOO_MANY_SUBSCRIBERS", text));
            };
            list.0.retain(|subscriber| subscriber.number != oldest);
        }
        let at = list.position_of(&new.scope).unwrap_or_else(|at| at);
        list.0.insert(at, new.clone());
        Ok(list)
    }

    /// Returns the list without the user of `scope`. `None` if the user is not subscribed.
    pub(super) fn without(&self, scope: &UserScope<Packet>) -> Option<Self> {
        let at = self.position_of(scope).ok()?;
        let mut list = self.clone();
        list.0.remove(at);
        Some(list)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn scopes(&self) -> impl Iterator<Item = &UserScope<Packet>> {
        self.0.iter().map(|subscriber| &*subscriber.scope)
    }

    /// Returns the position of a user, or the position for inserting the user.
    fn position_of(&self, scope: &UserScope<Packet>) -> Result<usize, usize> {
        (self.0).binary_search_by(|other| other.scope.user().cmp(scope.user()))
    }
}
