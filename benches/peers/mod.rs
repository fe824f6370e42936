//! What is compared: small adapters, written as the author of a server would write them.

mod channels;
pub(crate) mod laneway;
pub(crate) mod papaya_arrayqueue;
pub(crate) mod papaya_broadcast;
mod registered;
mod registries;
pub(crate) mod socketioxide;

use std::time::Duration;

pub(crate) type MutexStd<E> =
    registered::Registered<registries::OneMutex<std::sync::mpsc::SyncSender<E>>, channels::Std>;
pub(crate) type RwLockFlume<E> =
    registered::Registered<registries::OneRwLock<flume::Sender<E>>, channels::Flume>;
pub(crate) type DashTokio<E> =
    registered::Registered<registries::Sharded<tokio::sync::mpsc::Sender<E>>, channels::Tokio>;
pub(crate) type DashFlume<E> =
    registered::Registered<registries::Sharded<flume::Sender<E>>, channels::Flume>;
pub(crate) type DashCrossbeam<E> =
    registered::Registered<registries::Sharded<crossbeam_channel::Sender<E>>, channels::Crossbeam>;
pub(crate) type SccKanal<E> =
    registered::Registered<registries::Buckets<kanal::Sender<E>>, channels::Kanal>;

/// Events that a connection may be behind, in every peer that has a bound.
pub(crate) const CAPACITY: usize = 64;

/// The same where a device is to be far behind: the most that a lane can have.
pub(crate) const DEEP: usize = 65_536;

/// Something that routes events to users' connections.
pub(crate) trait Rival<E>: Send + Sync + 'static {
    /// How a publisher names a user.
    type User: Send + Sync;
    /// One device's receiving end.
    type Tab: Send;
    /// Whether `wait` sleeps.
    const SLEEPS: bool = true;

    /// `capacity`: the events that a connection may be behind, if the peer has a bound.
    fn new(capacity: usize) -> Self;
    fn user(&self, name: &str) -> Self::User;
    fn connect(&self, user: &Self::User) -> Self::Tab;
    fn disconnect(&self, user: &Self::User, tab: Self::Tab);
    /// To every device of the user. `false` if a device did not get it, as far as the peer tells.
    fn publish(&self, user: &Self::User, event: E) -> bool;
    fn receive(&self, tab: &mut Self::Tab) -> Option<E>;
    /// Waits for an event.
    fn wait(&self, tab: &mut Self::Tab) -> Option<E>;
    /// Reads all there is; peers that have a batch form use it.
    fn drain(&self, tab: &mut Self::Tab, mut f: impl FnMut(&E)) {
        while let Some(event) = self.receive(tab) {
            f(&event);
        }
    }
    /// Gives back what a burst has left behind, as far as the peer can. No other peer than laneway
    /// has anything for it: `std`, crossbeam, kanal, broadcast and `ArrayQueue` allocate all their
    /// room with the queue, flume never shrinks its own, tokio's `mpsc` frees blocks by itself.
    /// (`DashMap::shrink_to_fit` shrinks the table of users, who are all still there.)
    fn sweep(&self, _now: Duration) {}
    /// Puts several users into one room, if the peer has rooms.
    fn make_room(&self, _users: &[Self::User]) {}
    /// To every device of the users in the room.
    fn publish_to_room(&self, users: &[Self::User], event: &E)
    where
        E: Clone,
    {
        for user in users {
            self.publish(user, event.clone());
        }
    }
}

/// The peers' names, in the order of the report. Those with `floor` route nothing.
pub(crate) const NAMES: [&str; 16] = [
    "laneway by id",
    "laneway by scope",
    "Mutex + std mpsc",
    "RwLock + flume",
    "DashMap + tokio mpsc",
    "DashMap + flume",
    "DashMap + crossbeam",
    "papaya + broadcast",
    "scc + kanal",
    "papaya + ArrayQueue",
    "socketioxide rooms",
    "floor: lookup",
    "floor: SPSC ring",
    "floor: lookup + ring",
    "floor: disruptor",
    "floor: one broadcast",
];

/// The peers without any lock, neither of the table nor of the queue.
pub(crate) const LOCKLESS: [&str; 1] = ["papaya + ArrayQueue"];

/// Calls `$f::<Rival>($args)` for the peer with the given name.
#[macro_export]
macro_rules! with_peer {
    ($name:expr, $f:ident::<_, $event:ty>($($arg:expr),*)) => {
        match $name {
            "laneway by id" => $f::<$crate::peers::laneway::ById<$event>, $event>($($arg),*),
            "laneway by scope" => $f::<$crate::peers::laneway::ByScope<$event>, $event>($($arg),*),
            "Mutex + std mpsc" => $f::<$crate::peers::MutexStd<$event>, $event>($($arg),*),
            "RwLock + flume" => $f::<$crate::peers::RwLockFlume<$event>, $event>($($arg),*),
            "DashMap + tokio mpsc" => $f::<$crate::peers::DashTokio<$event>, $event>($($arg),*),
            "DashMap + flume" => $f::<$crate::peers::DashFlume<$event>, $event>($($arg),*),
            "DashMap + crossbeam" => $f::<$crate::peers::DashCrossbeam<$event>, $event>($($arg),*),
            "papaya + broadcast" => $f::<$crate::peers::papaya_broadcast::Peer<$event>, $event>($($arg),*),
            "scc + kanal" => $f::<$crate::peers::SccKanal<$event>, $event>($($arg),*),
            "papaya + ArrayQueue" => $f::<$crate::peers::papaya_arrayqueue::Peer<$event>, $event>($($arg),*),
            "socketioxide rooms" => $f::<$crate::peers::socketioxide::Peer<$event>, $event>($($arg),*),
            other => panic!("no such peer: {other}"),
        }
    };
}
