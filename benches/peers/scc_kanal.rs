//! A table of scc with a kanal channel a device. A full channel drops the newest event; sender and
//! receiver of a channel share a lock; two publishers' events may reach two devices in two orders.

use ahash::RandomState;
use kanal::{Receiver, Sender, bounded};
use scc::HashMap;
use smallvec::SmallVec;

use super::Hub;

type Senders<E> = SmallVec<[(u64, Sender<E>); 1]>;

pub(crate) struct Peer<E> {
    users: HashMap<String, Senders<E>, RandomState>,
    capacity: usize,
    next: std::sync::atomic::AtomicU64,
}

impl<E: Clone + Send + Sync + 'static> Hub<E> for Peer<E> {
    type User = String;
    type Tab = (u64, Receiver<E>);

    fn new(capacity: usize) -> Self {
        Self {
            users: HashMap::with_hasher(RandomState::new()),
            capacity,
            next: Default::default(),
        }
    }
    fn user(&self, name: &str) -> String {
        name.to_owned()
    }
    fn connect(&self, user: &String) -> Self::Tab {
        let id = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let (sender, receiver) = bounded(self.capacity);
        self.users
            .entry_sync(user.clone())
            .or_default()
            .get_mut()
            .push((id, sender));
        (id, receiver)
    }
    fn disconnect(&self, user: &String, (id, _): Self::Tab) {
        self.users.remove_if_sync(user, |senders| {
            senders.retain(|(other, _)| *other != id);
            senders.is_empty()
        });
    }
    fn publish(&self, user: &String, event: E) -> bool {
        self.users
            .read_sync(user, |_, senders| {
                let Some(((_, last), others)) = senders.split_last() else {
                    return false;
                };
                let mut all = true;
                for (_, sender) in others {
                    all &= sender.try_send(event.clone()).is_ok_and(|sent| sent);
                }
                all & last.try_send(event).is_ok_and(|sent| sent)
            })
            .unwrap_or(false)
    }
    fn receive(&self, (_, receiver): &mut Self::Tab) -> Option<E> {
        receiver.try_recv().ok().flatten()
    }
}
