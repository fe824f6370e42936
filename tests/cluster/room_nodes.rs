//! Nodes whose users are members of overlapping rooms, and what each member has received.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use laneway::cluster::{ClusterEvent, ClusterOptions, NatsRelay, Node, NodeId, NodeRoom, Relayed};
use laneway::{Connection, Hub, Received, RoomId, UserScope};

use crate::nodes::{Event, Events, TICK, room, until, user};
use crate::random::Random;

pub(crate) const NODES: u32 = 3;
pub(crate) const ROOMS: u32 = 6;

/// The numbers of one node's events for one room, by both.
pub(crate) type Got = HashMap<(u32, u32), Vec<u32>>;

/// A user with one device, and what it has received.
pub(crate) struct User {
    pub(crate) scope: UserScope<Event>,
    pub(crate) device: Connection<Event>,
    pub(crate) got: Got,
}

impl User {
    pub(crate) fn new(hub: &Hub<Event>, n: u32) -> Self {
        let scope = hub.scope(user(n));
        Self {
            device: scope.connect().unwrap(),
            scope,
            got: Got::new(),
        }
    }

    /// Takes what the device has received: in order, once, and of rooms that the user has been in.
    pub(crate) fn take(&mut self, may_have: impl Fn(u32) -> bool) {
        while let Ok(received) = self.device.try_recv() {
            let Received::Event(next) = received else {
                panic!("a lane's gap: {received:?}")
            };
            let Event {
                user: of, node, n, ..
            } = next.event;
            assert!(may_have(of), "the event of another room");
            let numbers = self.got.entry((of, node)).or_default();
            assert!(numbers.last().is_none_or(|last| *last < n), "in order");
            numbers.push(n);
        }
    }

    /// The last number of a node's events for a room so far, -1 for none.
    pub(crate) fn last(&self, room: u32, node: u32) -> i64 {
        let numbers = self.got.get(&(room, node));
        numbers
            .and_then(|numbers| numbers.last())
            .map_or(-1, |n| i64::from(*n))
    }
}

/// One process of the cluster.
pub(crate) struct Place {
    pub(crate) hub: Hub<Event>,
    pub(crate) node: Node<Event>,
    /// User k is a member of room k and of the next one, for ever.
    pub(crate) members: Vec<User>,
    pub(crate) missed: Arc<Mutex<HashMap<(RoomId, NodeId), u64>>>,
}

impl Place {
    pub(crate) async fn join(address: &str) -> Self {
        let hub: Hub<Event> = Hub::builder().lane_capacity(1 << 16).build().unwrap();
        let missed: Arc<Mutex<HashMap<_, u64>>> = Arc::default();
        let tells = Arc::clone(&missed);
        let options = ClusterOptions::new("rooms").told(move |event| match event {
            ClusterEvent::RoomGap {
                room, node, missed, ..
            } => {
                let mut all = tells.lock().unwrap();
                *all.entry((room.clone(), *node)).or_default() += missed;
            }
            ClusterEvent::Disconnected | ClusterEvent::Connected => {}
            other => panic!("{other:?}"),
        });
        let relay = NatsRelay::connect(address).await.unwrap();
        let (node, driver) = Node::join(&hub, options, Events, relay).unwrap();
        tokio::spawn(driver.run(|| tokio::time::sleep(TICK)));
        let members: Vec<_> = (0..ROOMS).map(|n| User::new(&hub, n)).collect();
        for (n, member) in members.iter().enumerate() {
            for of in rooms_of(n) {
                member.scope.join(&room(of)).unwrap();
            }
        }
        Self {
            hub,
            node,
            members,
            missed,
        }
    }

    pub(crate) fn take(&mut self) {
        for (n, member) in self.members.iter_mut().enumerate() {
            member.take(|of| rooms_of(n).contains(&of));
        }
    }
}

/// What one node publishes to rooms.
pub(crate) struct Publisher {
    pub(crate) index: u32,
    pub(crate) rooms: Vec<NodeRoom<Event>>,
    /// How many events for each room.
    pub(crate) published: Vec<u32>,
}

impl Publisher {
    pub(crate) fn publish(&mut self, to: u32) -> Relayed {
        let event = Event {
            user: to,
            node: self.index,
            n: self.published[to as usize],
            padding: 0,
        };
        self.published[to as usize] += 1;
        let published = self.rooms[to as usize].publish(&event);
        assert!(published.local.users >= 2, "the members here have it");
        published.relayed
    }

    /// Publishes to random rooms until it is told to stop.
    pub(crate) fn publish_until(mut self, all: &[Node<Event>], stop: &AtomicBool) -> Self {
        let mut random = Random(u64::from(self.index) + 7);
        while !stop.load(Ordering::Relaxed) {
            while on_the_way(all) > 500 && !stop.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(1));
            }
            let to = random.below(ROOMS.into()) as u32;
            assert!(self.publish(to).is_queued());
        }
        self
    }
}

/// Joins nodes, and has each hear each other one in each room.
pub(crate) async fn join(address: &str) -> (Vec<Place>, Vec<Publisher>) {
    let (mut places, mut publishers) = (Vec::new(), Vec::new());
    for index in 0..NODES {
        let place = Place::join(address).await;
        publishers.push(Publisher {
            index,
            rooms: (0..ROOMS).map(|n| place.node.room(room(n))).collect(),
            published: vec![0; ROOMS as usize],
        });
        places.push(place);
    }
    for place in &places {
        until("listens", || {
            let stats = place.node.stats();
            place.node.is_connected() && stats.subscribed_rooms == u64::from(ROOMS)
        })
        .await;
    }
    for _ in 0..100 {
        for publisher in &mut publishers {
            for to in 0..ROOMS {
                assert!(publisher.publish(to).is_queued());
            }
        }
        tokio::time::sleep(2 * TICK).await;
        places.iter_mut().for_each(Place::take);
        // Each member hears each node in two rooms.
        let hears = |member: &User| member.got.len() == 2 * NODES as usize;
        if places.iter().all(|place| place.members.iter().all(hears)) {
            until_all_came(&mut places, &publishers).await;
            return (places, publishers);
        }
    }
    panic!("the nodes hear each other");
}

/// The rooms of member n.
pub(crate) fn rooms_of(n: usize) -> [u32; 2] {
    [n as u32, (n as u32 + 1) % ROOMS]
}

/// Waits until each member has the last event of each node in each of its rooms.
pub(crate) async fn until_all_came(places: &mut [Place], publishers: &[Publisher]) {
    until("the last events come", || {
        places.iter_mut().for_each(Place::take);
        places
            .iter()
            .flat_map(|place| place.members.iter().enumerate())
            .all(|(n, member)| {
                publishers.iter().all(|publisher| {
                    let has_all = |of: &u32| {
                        let last = i64::from(publisher.published[*of as usize]) - 1;
                        member.last(*of, publisher.index) == last
                    };
                    rooms_of(n).iter().all(has_all)
                })
            })
    })
    .await;
}

/// Events that are on their way between nodes.
pub(crate) fn on_the_way(nodes: &[Node<Event>]) -> u64 {
    let stats: Vec<_> = nodes.iter().map(Node::stats).collect();
    let offered: u64 = stats.iter().map(|s| s.queued - s.unsent).sum();
    let arrived: u64 = stats.iter().map(|s| s.delivered + s.unwanted).sum();
    (offered * u64::from(NODES - 1)).saturating_sub(arrived)
}
