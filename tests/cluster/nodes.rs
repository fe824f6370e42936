//! Nodes with users and devices, and what each device has received.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use laneway::cluster::{
    Addressee, ClusterEvent, ClusterOptions, Codec, CodecError, NatsRelay, Node, NodeId, NodeScope,
    Published, Relay,
};
use laneway::{Connection, Hub, Received, RoomId, UserId};

/// An event that says which node published it, for whom, and as which of that node's events for that user or room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// The number of the user or of the room.
    pub(crate) user: u32,
    pub(crate) node: u32,
    pub(crate) n: u32,
    /// Bytes without a meaning, on the way between nodes.
    pub(crate) padding: u32,
}

/// Writes events of the test.
pub(crate) struct Events;

impl Codec<Event> for Events {
    fn encode(&self, event: &Event, into: &mut Vec<u8>) -> Result<(), CodecError> {
        for word in [event.user, event.node, event.n, event.padding] {
            into.extend_from_slice(&word.to_le_bytes());
        }
        into.resize(into.len() + event.padding as usize, 0);
        Ok(())
    }
    fn decode(&self, to: &Addressee, bytes: &[u8]) -> Result<Event, CodecError> {
        let (words, _) = bytes.as_chunks::<4>();
        let word = |at: usize| words.get(at).map(|word| u32::from_le_bytes(*word));
        let short = || CodecError::new("too short");
        let event = Event {
            user: word(0).ok_or_else(short)?,
            node: word(1).ok_or_else(short)?,
            n: word(2).ok_or_else(short)?,
            padding: word(3).ok_or_else(short)?,
        };
        let right = match to {
            Addressee::User(_) => Addressee::User(user(event.user)),
            _ => Addressee::Room(room(event.user)),
        };
        assert_eq!(*to, right, "the event of another user or room");
        Ok(event)
    }
}

pub(crate) fn user(n: u32) -> UserId {
    UserId::new(format!("user {n}")).unwrap()
}

/// Some rooms have the ids of users.
pub(crate) fn room(n: u32) -> RoomId {
    RoomId::new(format!("user {n}")).unwrap()
}

/// One process of the cluster, as far as a test needs it.
pub(crate) struct Member {
    pub(crate) index: u32,
    _hub: Hub<Event>,
    pub(crate) node: Node<Event>,
    pub(crate) scopes: Vec<NodeScope<Event>>,
    /// Two of each user.
    pub(crate) devices: Vec<[Connection<Event>; 2]>,
    /// How many events this node has published for each user.
    pub(crate) published: Vec<u32>,
    /// How many events of each node were told as missed, by user.
    pub(crate) missed: Arc<Mutex<HashMap<(UserId, NodeId), u64>>>,
    pub(crate) disconnects: Arc<AtomicU64>,
}

pub(crate) const TICK: Duration = Duration::from_millis(200);

impl Member {
    pub(crate) fn join(index: u32, users: u32, queue: usize, relay: impl Relay) -> Self {
        let hub: Hub<Event> = Hub::builder().lane_capacity(1024).build().unwrap();
        let missed: Arc<Mutex<HashMap<_, u64>>> = Arc::default();
        let disconnects: Arc<AtomicU64> = Arc::default();
        let (tells, cuts) = (Arc::clone(&missed), Arc::clone(&disconnects));
        let options = ClusterOptions::new("test")
            .queue(queue)
            .told(move |event| match event {
                ClusterEvent::Gap {
                    user, node, missed, ..
                } => {
                    *tells
                        .lock()
                        .unwrap()
                        .entry((user.clone(), *node))
                        .or_default() += missed;
                }
                ClusterEvent::Disconnected => _ = cuts.fetch_add(1, Ordering::Relaxed),
                ClusterEvent::Connected => {}
                other => panic!("{other:?}"),
            });
        let (node, driver) = Node::join(&hub, options, Events, relay).unwrap();
        tokio::spawn(driver.run(|| tokio::time::sleep(TICK)));
        let scopes: Vec<_> = (0..users).map(|n| node.scope(user(n))).collect();
        let device = |scope: &NodeScope<Event>| scope.local().connect().unwrap();
        let devices = scopes.iter().map(|scope| [device(scope), device(scope)]);
        Self {
            index,
            devices: devices.collect(),
            published: vec![0; users as usize],
            _hub: hub,
            node,
            scopes,
            missed,
            disconnects,
        }
    }

    pub(crate) fn publish(&mut self, user: u32, padding: u32) -> Published {
        let event = Event {
            user,
            node: self.index,
            n: self.published[user as usize],
            padding,
        };
        self.published[user as usize] += 1;
        self.scopes[user as usize].publish(event).unwrap()
    }

    /// Takes what a device has received of each node, and checks what has to hold of any of it.
    pub(crate) fn take(&mut self, user: u32, device: usize) -> HashMap<u32, Vec<u32>> {
        let mut got: HashMap<u32, Vec<u32>> = HashMap::new();
        while let Ok(received) = self.devices[user as usize][device].try_recv() {
            let Received::Event(next) = received else {
                panic!("a lane's gap: {received:?}")
            };
            assert_eq!(next.event.user, user, "the event of another user");
            got.entry(next.event.node).or_default().push(next.event.n);
        }
        for numbers in got.values() {
            assert!(numbers.is_sorted_by(|a, b| a < b), "in order, and once");
        }
        got
    }
}

/// Joins nodes over a server, with so many users who are online at each of them.
pub(crate) async fn join(nodes: u32, users: u32, queue: usize, address: &str) -> Vec<Member> {
    let mut members = Vec::new();
    for index in 0..nodes {
        let relay = NatsRelay::connect(address).await.unwrap();
        members.push(Member::join(index, users, queue, relay));
    }
    for member in &members {
        let node = member.node.clone();
        until("connected", || {
            node.is_connected() && node.stats().subscribed == u64::from(users)
        })
        .await;
    }
    warm_up(&mut members, users).await;
    members
}

/// Has each node hear an event of each other node for each user. A node's first subscriptions may not have reached
/// the server yet, so this takes as many rounds as it takes.
async fn warm_up(members: &mut [Member], users: u32) {
    let others = members.len() - 1;
    let mut heard = vec![vec![HashSet::new(); users as usize]; members.len()];
    for _ in 0..40 {
        for member in &mut *members {
            for user in 0..users {
                assert!(member.publish(user, 0).relayed.is_queued());
                if user % 16 == 0 {
                    drained(member, 16).await;
                }
            }
        }
        rested(members).await;
        for (member, heard) in members.iter_mut().zip(&mut heard) {
            for user in 0..users {
                let nodes = member.take(user, 0).into_keys();
                heard[user as usize].extend(nodes.filter(|node| *node != member.index));
            }
        }
        if heard.iter().flatten().all(|nodes| nodes.len() == others) {
            return settle(members).await;
        }
    }
    panic!("the nodes hear each other");
}

/// Drops all that was received and told, and counts from here.
async fn settle(members: &mut [Member]) {
    rested(members).await;
    for member in members {
        for device in member.devices.iter_mut().flatten() {
            while device.try_recv().is_ok() {}
        }
        member.missed.lock().unwrap().clear();
        member.published.fill(0);
    }
}

/// Waits until at most so many events of a node wait for the broker.
pub(crate) async fn drained(member: &Member, left: u64) {
    let waiting = || {
        let stats = member.node.stats();
        stats.queued - stats.sent - stats.unsent
    };
    while waiting() > left {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Waits until nothing was sent, delivered or told for some ticks.
async fn rested(members: &[Member]) {
    let figures = || {
        let stats = members.iter().map(|member| member.node.stats());
        stats.collect::<Vec<_>>()
    };
    let (mut before, mut ticks) = (figures(), 0);
    while ticks < 4 {
        tokio::time::sleep(TICK).await;
        let now = figures();
        ticks = if now == before { ticks + 1 } else { 0 };
        before = now;
    }
}

/// Waits until `is_so`.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(240), "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
