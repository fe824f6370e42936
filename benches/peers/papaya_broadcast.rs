//! A table of papaya with one tokio broadcast channel a user. A device that is lapped is told how
//! many events it missed; every slot has a lock, and so has the channel's tail.

use ahash::RandomState;
use papaya::{HashMap, Operation};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::broadcast::{Receiver, Sender, channel};

use super::Rival;

pub(crate) struct Peer<E> {
    users: HashMap<String, Sender<E>, RandomState>,
    capacity: usize,
}

impl<E: Clone + Send + Sync + 'static> Rival<E> for Peer<E> {
    type User = String;
    type Tab = Receiver<E>;

    fn new(capacity: usize) -> Self {
        Self {
            users: HashMap::with_hasher(RandomState::new()),
            capacity,
        }
    }
    fn user(&self, name: &str) -> String {
        name.to_owned()
    }
    fn connect(&self, user: &String) -> Receiver<E> {
        let users = self.users.pin();
        loop {
            let fresh = || channel(self.capacity).0;
            let sender = users.get_or_insert_with(user.clone(), fresh);
            let receiver = sender.subscribe();
            // The last device may have taken the channel out meanwhile.
            if users.get(user).is_some_and(|now| now.same_channel(sender)) {
                return receiver;
            }
        }
    }
    fn disconnect(&self, user: &String, tab: Receiver<E>) {
        drop(tab);
        self.users.pin().compute(user.clone(), |entry| match entry {
            Some((_, sender)) if sender.receiver_count() == 0 => Operation::<_, ()>::Remove,
            _ => Operation::Abort(()),
        });
    }
    fn publish(&self, user: &String, event: E) -> bool {
        let users = self.users.pin();
        users
            .get(user)
            .is_some_and(|sender| sender.send(event).is_ok())
    }
    fn receive(&self, tab: &mut Receiver<E>) -> Option<E> {
        loop {
            match tab.try_recv() {
                Ok(event) => return Some(event),
                Err(TryRecvError::Lagged(_)) => {}
                Err(_) => return None,
            }
        }
    }
    fn wait(&self, tab: &mut Receiver<E>) -> Option<E> {
        loop {
            match tab.blocking_recv() {
                Ok(event) => return Some(event),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }
}
