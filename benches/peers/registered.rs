//! A registry of users with a channel a device: what most servers run. Two publishers' events may
//! reach two devices of a user in two orders, and a device is not told what it missed.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Rival;
use super::channels::Channel;
use super::registries::Registry;

pub(crate) struct Registered<R, C> {
    users: R,
    capacity: usize,
    next: AtomicU64,
    channel: PhantomData<fn() -> C>,
}

/// One device: its number and its receiving end.
pub(crate) struct Device<C: Channel<E>, E>(u64, C::Receiver);

impl<R: Registry<C::Sender>, C: Channel<E>, E: Clone + Send + Sync + 'static> Rival<E>
    for Registered<R, C>
{
    type User = String;
    type Tab = Device<C, E>;

    fn new(capacity: usize) -> Self {
        Self {
            users: R::default(),
            capacity,
            next: AtomicU64::new(0),
            channel: PhantomData,
        }
    }
    fn user(&self, name: &str) -> String {
        name.to_owned()
    }
    fn connect(&self, user: &String) -> Self::Tab {
        let device = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = C::bounded(self.capacity);
        self.users.add(user, device, sender);
        Device(device, receiver)
    }
    fn disconnect(&self, user: &String, Device(device, _): Self::Tab) {
        self.users.remove(user, device);
    }
    fn publish(&self, user: &String, event: E) -> bool {
        let send = |senders: &[(u64, C::Sender)]| {
            let Some(((_, last), others)) = senders.split_last() else {
                return false;
            };
            let mut all = true;
            for (_, sender) in others {
                all &= C::send(sender, event.clone());
            }
            all & C::send(last, event)
        };
        self.users.with(user, send).unwrap_or(false)
    }
    fn receive(&self, Device(_, receiver): &mut Self::Tab) -> Option<E> {
        C::receive(receiver)
    }
    fn wait(&self, Device(_, receiver): &mut Self::Tab) -> Option<E> {
        C::wait(receiver)
    }
}
