//! Maps from users to the sending ends of their devices.

use std::collections::HashMap;
use std::sync::Mutex;

use ahash::RandomState;
use dashmap::DashMap;
use parking_lot::RwLock;
use smallvec::SmallVec;

/// One user's devices, by number.
pub(crate) type Senders<S> = SmallVec<[(u64, S); 1]>;

/// Where senders are kept by user.
pub(crate) trait Registry<S>: Default + Send + Sync + 'static {
    fn add(&self, user: &str, device: u64, sender: S);
    fn remove(&self, user: &str, device: u64);
    /// Calls `f` with the user's devices, if there are any, under whatever lock that takes.
    fn with<R>(&self, user: &str, f: impl FnOnce(&[(u64, S)]) -> R) -> Option<R>;
}

/// Takes a device out; `true` if it was the last.
fn forget<S>(senders: &mut Senders<S>, device: u64) -> bool {
    senders.retain(|(other, _)| *other != device);
    senders.is_empty()
}

/// One lock for all users, held while an event is sent to a user's devices.
pub(crate) struct OneMutex<S>(Mutex<HashMap<String, Senders<S>, RandomState>>);

impl<S> Default for OneMutex<S> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<S: Send + Sync + 'static> Registry<S> for OneMutex<S> {
    fn add(&self, user: &str, device: u64, sender: S) {
        let mut users = self.0.lock().expect("no holder panics");
        users
            .entry(user.to_owned())
            .or_default()
            .push((device, sender));
    }
    fn remove(&self, user: &str, device: u64) {
        let mut users = self.0.lock().expect("no holder panics");
        if users.get_mut(user).is_some_and(|s| forget(s, device)) {
            users.remove(user);
        }
    }
    fn with<R>(&self, user: &str, f: impl FnOnce(&[(u64, S)]) -> R) -> Option<R> {
        let users = self.0.lock().expect("no holder panics");
        users.get(user).map(|senders| f(senders))
    }
}

/// One readers-writer lock for all users: publishers share it, a connect stops all of them.
pub(crate) struct OneRwLock<S>(RwLock<HashMap<String, Senders<S>, RandomState>>);

impl<S> Default for OneRwLock<S> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<S: Send + Sync + 'static> Registry<S> for OneRwLock<S> {
    fn add(&self, user: &str, device: u64, sender: S) {
        let mut users = self.0.write();
        users
            .entry(user.to_owned())
            .or_default()
            .push((device, sender));
    }
    fn remove(&self, user: &str, device: u64) {
        let mut users = self.0.write();
        if users.get_mut(user).is_some_and(|s| forget(s, device)) {
            users.remove(user);
        }
    }
    fn with<R>(&self, user: &str, f: impl FnOnce(&[(u64, S)]) -> R) -> Option<R> {
        self.0.read().get(user).map(|senders| f(senders))
    }
}

/// A lock a shard, held while an event is sent; a shard that grows stops its users' publishers.
pub(crate) struct Sharded<S>(DashMap<String, Senders<S>, RandomState>);

impl<S: 'static> Default for Sharded<S> {
    fn default() -> Self {
        Self(DashMap::default())
    }
}

impl<S: Send + Sync + 'static> Registry<S> for Sharded<S> {
    fn add(&self, user: &str, device: u64, sender: S) {
        self.0
            .entry(user.to_owned())
            .or_default()
            .push((device, sender));
    }
    fn remove(&self, user: &str, device: u64) {
        self.0.remove_if_mut(user, |_, s| forget(s, device));
    }
    fn with<R>(&self, user: &str, f: impl FnOnce(&[(u64, S)]) -> R) -> Option<R> {
        self.0.get(user).map(|senders| f(&senders))
    }
}

/// A lock a bucket, held while an event is sent; growing moves entries little by little.
pub(crate) struct Buckets<S>(scc::HashMap<String, Senders<S>, RandomState>);

impl<S: 'static> Default for Buckets<S> {
    fn default() -> Self {
        Self(scc::HashMap::default())
    }
}

impl<S: Send + Sync + 'static> Registry<S> for Buckets<S> {
    fn add(&self, user: &str, device: u64, sender: S) {
        self.0
            .entry_sync(user.to_owned())
            .or_default()
            .get_mut()
            .push((device, sender));
    }
    fn remove(&self, user: &str, device: u64) {
        self.0.remove_if_sync(user, |s| forget(s, device));
    }
    fn with<R>(&self, user: &str, f: impl FnOnce(&[(u64, S)]) -> R) -> Option<R> {
        self.0.read_sync(user, |_, senders| f(senders))
    }
}
