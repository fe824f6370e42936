//! Users who are away, in the order in which they left.
#![allow(clippy::disallowed_types)] // The host's own table, far from any delivery.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use laneway::protocol::Packet;
use laneway::{Hub, UserId};

/// Ends the lane of the user who left first, where more than `--absent` users are away.
///
/// The hub's own limit refuses the user who leaves last. With that limit alone a stranger who logs in under many
/// names and leaves would take the place of each user who reloads a page.
pub(crate) struct Absent {
    hub: Hub<Packet>,
    limit: usize,
    order: Mutex<Order>,
}

/// At most `--absent` users. A user whose grace is over stays in it until the place is needed.
#[derive(Default)]
struct Order {
    last: u64,
    numbers: HashMap<UserId, u64>,
    users: BTreeMap<u64, UserId>,
}

impl Order {
    fn remove(&mut self, user: &UserId) {
        if let Some(number) = self.numbers.remove(user) {
            self.users.remove(&number);
        }
    }

    fn add(&mut self, user: &UserId) {
        self.remove(user);
        self.last += 1;
        self.numbers.insert(user.clone(), self.last);
        self.users.insert(self.last, user.clone());
    }

    fn first_beyond(&mut self, limit: usize) -> Option<UserId> {
        let is_full = self.users.len() > limit;
        let (_, user) = is_full.then(|| self.users.pop_first()).flatten()?;
        self.numbers.remove(&user);
        Some(user)
    }
}

impl Absent {
    pub(crate) fn new(hub: Hub<Packet>, limit: usize) -> Arc<Self> {
        Arc::new(Self {
            hub,
            limit,
            order: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a user whose connection has ended, or who was sent an event that is kept, if none is left.
    pub(crate) fn left(&self, user: &UserId) {
        if self.hub.is_online(user) {
            return;
        }
        self.lock().add(user);
        loop {
            // A user who has come back meanwhile keeps the lane: it has a connection.
            let Some(first) = self.lock().first_beyond(self.limit) else {
                return;
            };
            self.hub.end_absent(&first);
        }
    }

    /// Notes a connection of a user, who is not away then.
    pub(crate) fn is_back(self: &Arc<Self>, user: UserId) -> Here {
        self.lock().remove(&user);
        Here {
            absent: Arc::clone(self),
            user,
        }
    }
}

/// A connection's mark that its user is here. Dropped after the connection.
pub(crate) struct Here {
    absent: Arc<Absent>,
    user: UserId,
}

impl Drop for Here {
    fn drop(&mut self) {
        self.absent.left(&self.user);
    }
}
