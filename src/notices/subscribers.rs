//! All channels to which a hub sends notices of one kind.

use std::sync::Arc;

use super::{Inbox, Notices, channel};
use crate::lifecycle::LifecycleError;
use crate::sync::{Fault, Ordering, broken, fence, pin};
use crate::table::storage::{Link, Owned, View};

type List<T> = Vec<Arc<Inbox<T>>>;

/// A list of inboxes that is replaced as a whole. It is empty again after the last subscriber has gone, so a hub
/// looks at one word on each change. A list in a `CopyOnWrite` would stay.
pub(crate) struct Subscribers<T>(Link<List<T>, u16>);

/// Of one list at a time.
const MAX_SUBSCRIBERS: usize = 16;
/// Of one channel.
const MAX_NOTICES: usize = 1 << 20;

/// Stands between a change and the look for subscribers.
///
/// Pairs with the fence in `Subscribers::add`: a subscriber that walks the users finds the change, or
/// this thread finds the subscriber. Without the fences each could miss the other's write, and the
/// subscriber would never hear of the change.
#[inline]
pub(crate) fn fence_after_change() {
    if !broken(Fault::SubscribeUnfenced) {
        fence(Ordering::SeqCst);
    }
}

impl<T: Clone> Subscribers<T> {
    pub(crate) fn new() -> Self {
        Self(Link::empty())
    }

    /// Returns whether no change has to be sent.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a subscriber with room for `capacity` notices.
    pub(crate) fn add(&self, capacity: usize) -> Result<Notices<T>, LifecycleError> {
        if !(1..=MAX_NOTICES).contains(&capacity) {
            return Err(LifecycleError::Capacity(capacity));
        }
        let (inbox, notices) = channel(capacity);
        self.relist(Some(&inbox))?;
        // Pairs with `fence_after_change`. This thread lists itself and then walks what is
        // there. Another thread makes its change and then looks for subscribers. Without the fences each could
        // miss the other's write, and the subscriber would never hear of the change.
        fence(Ordering::SeqCst);
        Ok(notices)
    }

    /// Replaces the list by one without dropped subscribers and with `added`. Lock-free: a failed exchange means
    /// that another thread has replaced it.
    fn relist(&self, added: Option<&Arc<Inbox<T>>>) -> Result<(), LifecycleError> {
        let guard = pin();
        loop {
            let view = self.0.load(&guard);
            let mut list: List<T> = match view {
                View::Leaf(list) => list.iter().filter(|s| s.is_there()).cloned().collect(),
                _ => Vec::new(),
            };
            if list.len() >= MAX_SUBSCRIBERS && added.is_some() {
                let limit = MAX_SUBSCRIBERS;
                return Err(LifecycleError::TooMany { limit });
            }
            list.extend(added.cloned());
            let new = if list.is_empty() {
                Owned::Empty
            } else {
                Owned::Leaf(Arc::new(list))
            };
            if broken(Fault::RelistByStore) {
                self.0.replace(new, &guard);
                return Ok(());
            }
            if self.0.compare_exchange(view, new, &guard).is_ok() {
                return Ok(());
            }
        }
    }

    /// Returns the list. No guard is held then: a thread that is stopped with a channel's lock would keep
    /// the whole process from freeing memory.
    fn all(&self) -> Option<Arc<List<T>>> {
        match self.0.load(&pin()) {
            View::Leaf(list) => Some(list.arc()),
            _ => None,
        }
    }

    /// Sends a notice to each subscriber. Out of line: most hubs have none, and a connect is shorter without it.
    #[inline(never)]
    pub(crate) fn tell(&self, notice: impl FnOnce() -> T) {
        let Some(all) = self.all() else { return };
        let notice = notice();
        for inbox in all.iter() {
            inbox.send(notice.clone());
        }
        if !all.iter().all(|inbox| inbox.is_there()) {
            let _ = self.relist(None);
        }
    }

    /// Sends the end to each subscriber.
    pub(crate) fn end(&self) {
        if let Some(all) = self.all() {
            all.iter().for_each(|inbox| inbox.end());
        }
    }
}
