//! A hub with users and devices, their events, and what the others do while a thread stands still.

use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, AtomicU64, Ordering};
use std::time::Duration;

use super::BLOCKS;
use super::operations::Ends;
use crate::{
    ConnectOptions, Connection, Hub, LimitPolicy, Merge, Received, Retention, RoomId, ThreadId,
    UserId, UserScope,
};

/// Counts how many of its kind are alive.
#[derive(Debug)]
pub(super) struct Event(Arc<AtomicIsize>, pub(super) u64);

impl Event {
    pub(super) fn new(alive: &Arc<AtomicIsize>, n: u64) -> Self {
        alive.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(alive), n)
    }
}
impl Clone for Event {
    fn clone(&self) -> Self {
        Self::new(&self.0, self.1)
    }
}
/// Any two are of one stream.
impl Merge for Event {
    fn can_merge(&self, _: &Self) -> bool {
        true
    }
    fn merge(&mut self, _: Self) {}
    fn size(&self) -> usize {
        1
    }
}
impl Drop for Event {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[derive(Clone)]
pub(super) struct World {
    pub(super) alive: Arc<AtomicIsize>,
    pub(super) hub: Hub<Event>,
    pub(super) ann: UserScope<Event>,
    pub(super) bob: UserScope<Event>,
    /// Of a user without a connection.
    pub(super) cem: UserScope<Event>,
    pub(super) thread: ThreadId,
    /// In which ann is at times.
    pub(super) room: RoomId,
    pub(super) capacity: usize,
    pub(super) offered: Arc<AtomicU64>,
}

impl World {
    /// `keeps`: with retention, and so little room that it drops events early.
    pub(super) fn new(capacity: usize, keeps: bool) -> Self {
        Self::limited(capacity, keeps, 10)
    }

    /// The oldest connection has to go when there would be more than `connections`.
    pub(super) fn limited(capacity: usize, keeps: bool, connections: usize) -> Self {
        let retention = Retention::events(capacity).bytes(12 * capacity);
        let hub = Hub::builder()
            .lane_capacity(capacity)
            .max_connections_per_user(connections)
            .limit_policy(LimitPolicy::EvictOldest)
            .shards(1)
            .retention(keeps.then_some(retention))
            // So large that no event is refused: each one is charged, and released.
            .hub_bytes((keeps && capacity == BLOCKS).then_some(1 << 40))
            .conflation(Some(1))
            .build()
            .expect("valid");
        let scope = |name| hub.scope(UserId::new(name).expect("valid"));
        Self {
            alive: Arc::default(),
            ann: scope("ann"),
            bob: scope("bob"),
            cem: scope("cem"),
            thread: ThreadId::new("thread").expect("valid"),
            room: RoomId::new("room").expect("valid"),
            hub,
            capacity,
            offered: Arc::default(),
        }
    }

    /// An event that is to be offered.
    pub(super) fn event(&self) -> Event {
        let n = self.offered.fetch_add(1, Ordering::SeqCst);
        Event::new(&self.alive, n)
    }

    pub(super) fn publish(&self, scope: &UserScope<Event>) {
        scope.publish(self.event()).expect("accepted");
    }

    /// A device of ann's, attached to the thread.
    pub(super) fn device(&self) -> Connection<Event> {
        let options = ConnectOptions::default().thread(self.thread.clone());
        self.ann.connect_with(options).expect("room")
    }

    /// The calls of all other threads while this thread stands still.
    pub(super) fn go_on(
        &self,
        ends: Ends,
        tablet: &mut Connection<Event>,
        other: &mut Connection<Event>,
    ) {
        match ends {
            Ends::Nothing => self.go_on_with_ann(tablet, other),
            Ends::Ann | Ends::All => self.go_on_anyhow(ends, tablet, other),
        }
    }

    fn go_on_with_ann(&self, tablet: &mut Connection<Event>, other: &mut Connection<Event>) {
        let (ann, bob) = (&self.ann, &self.bob);
        drain(tablet);
        for _ in 0..3 * self.capacity {
            self.publish(ann);
            self.publish(bob);
            drain(tablet);
            assert_eq!(drain(other), 1, "another user notices nothing");
        }
        for _ in 0..3 * self.capacity {
            self.publish(ann);
        }
        let mut fresh = ann.connect().expect("room");
        self.publish(ann);
        assert_eq!(drain(&mut fresh), 1);
        drain(tablet);
        drop(fresh);
        let cut = ann.connect().expect("room");
        assert!(ann.disconnect(cut.id(), 1));
        self.publish(ann);
        assert!(drain(tablet) > 0, "events go on arriving");
        self.go_on_in_rooms(tablet);
        self.hub.sweep(Duration::ZERO);
    }

    /// The same while ann's connections are being closed, or all are.
    fn go_on_anyhow(
        &self,
        ends: Ends,
        tablet: &mut Connection<Event>,
        other: &mut Connection<Event>,
    ) {
        for _ in 0..3 * self.capacity {
            let _ = self.ann.publish(self.event());
            let _ = self.bob.publish(self.event());
            drain(tablet);
            let events = drain(other);
            assert!(
                events == 1 || ends == Ends::All,
                "another user notices nothing"
            );
        }
        if let Ok(mut fresh) = self.ann.connect() {
            let _ = self.ann.try_publish(self.event());
            drain(&mut fresh);
        }
        self.hub.sweep(Duration::ZERO);
    }
}

/// Everything there is; how many events.
pub(super) fn drain(connection: &mut Connection<Event>) -> usize {
    let mut events = 0;
    while let Ok(received) = connection.try_recv() {
        events += usize::from(matches!(received, Received::Event(_)));
    }
    events
}
