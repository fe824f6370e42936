//! Rooms of three nodes over a real server: each member gets each event once, and with a server that goes away each
//! loss is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use laneway::cluster::Relayed;

use crate::nodes::{TICK, room, until};
use crate::random::Random;
use crate::room_nodes::{NODES, Place, ROOMS, User, join, on_the_way, rooms_of, until_all_came};
use crate::server::Server;

/// The number of the first user who joins and leaves.
const GUESTS: u32 = 100;

/// A guest of a room, and what a member had received at the four moments around the stay.
struct Stay {
    at: usize,
    guest: User,
    room: u32,
    before: Vec<i64>,
    joined: Vec<i64>,
}

impl Stay {
    /// What a member of the room has received of each node.
    fn marks(place: &mut Place, room: u32) -> Vec<i64> {
        place.take();
        let member = &place.members[room as usize];
        (0..NODES).map(|node| member.last(room, node)).collect()
    }

    fn begin(places: &mut [Place], at: usize, guest: u32, of: u32) -> Self {
        let place = &mut places[at];
        let guest = User::new(&place.hub, guest);
        let before = Self::marks(place, of);
        guest.scope.join(&room(of)).unwrap();
        let joined = Self::marks(place, of);
        Self {
            at,
            guest,
            room: of,
            before,
            joined,
        }
    }

    /// Ends the stay. Checks that the guest has each event of the time in between, and none of another time. One event
    /// of each node may be under way at either end.
    fn end(mut self, places: &mut [Place]) -> i64 {
        let place = &mut places[self.at];
        let leaving = Self::marks(place, self.room);
        assert!(self.guest.scope.leave(&room(self.room)));
        let left = Self::marks(place, self.room);
        let room = self.room;
        self.guest.take(|of| of == room);
        let mut sure = 0;
        for node in 0..NODES {
            let at = node as usize;
            let got = self.guest.got.remove(&(room, node)).unwrap_or_default();
            let is_in = |n: i64| got.iter().any(|got| i64::from(*got) == n);
            for n in self.joined[at] + 2..leaving[at] {
                assert!(is_in(n), "{n} of node {node}: a member had it meanwhile");
                sure += 1;
            }
            for n in got.iter().map(|n| i64::from(*n)) {
                assert!(n > self.before[at], "{n} was there before the join");
                assert!(n <= left[at] + 1, "{n} came after the leave");
            }
        }
        sure
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r135_each_member_at_three_nodes_gets_each_event_once_in_order_while_others_come_and_go() {
    const STAYS: u32 = 200;
    let Some(server) = Server::start() else {
        return;
    };
    let (mut places, publishers) = join(&server.address()).await;
    let nodes: Arc<Vec<_>> = Arc::new(places.iter().map(|place| place.node.clone()).collect());
    let stop = Arc::new(AtomicBool::new(false));
    let threads = publishers.into_iter().map(|publisher| {
        let (nodes, stop) = (Arc::clone(&nodes), Arc::clone(&stop));
        std::thread::spawn(move || publisher.publish_until(&nodes, &stop))
    });
    let threads: Vec<_> = threads.collect();
    let mut random = Random(0x0c11_5700);
    let (mut stays, mut sure) = (Vec::new(), 0);
    for turn in 0..STAYS {
        let (at, of) = (random.below(NODES.into()), random.below(ROOMS.into()));
        let stay = Stay::begin(&mut places, at as usize, GUESTS + turn, of as u32);
        stays.push(stay);
        tokio::time::sleep(Duration::from_millis(random.below(20))).await;
        if stays.len() > 8 {
            let any = random.below(stays.len() as u64) as usize;
            sure += stays.swap_remove(any).end(&mut places);
        }
    }
    sure += stays
        .into_iter()
        .map(|stay| stay.end(&mut places))
        .sum::<i64>();
    stop.store(true, Ordering::Relaxed);
    let mut publishers: Vec<_> = threads.into_iter().map(|t| t.join().unwrap()).collect();
    until_all_came(&mut places, &publishers).await;
    let offered: u32 = publishers.iter().flat_map(|p| &p.published).sum();
    println!("{offered} events, {sure} of them for {STAYS} guests for sure");
    assert!(sure > i64::from(STAYS), "guests received events");
    for place in &places {
        assert!(place.missed.lock().unwrap().is_empty(), "nothing is lost");
        for numbers in place.members.iter().flat_map(|m| m.got.values()) {
            let (first, last) = (numbers[0], numbers[numbers.len() - 1]);
            assert_eq!(numbers.len() as u32, last - first + 1, "without a hole");
        }
        let figures = place.node.stats();
        assert_eq!(
            (
                figures.unwanted,
                figures.undecodable,
                figures.repeated,
                figures.echoes
            ),
            (0, 0, 0, 0)
        );
    }
    // Without its last member a room costs a node nothing.
    let gone = &mut places[0];
    gone.members.clear();
    until("listens no more", || {
        gone.node.stats().subscribed_rooms == 0
    })
    .await;
    tokio::time::sleep(2 * TICK).await;
    let before = gone.node.stats();
    for to in 0..ROOMS {
        assert!(publishers[1].publish(to).is_queued());
    }
    let there = &mut places[1..2];
    until_all_came(there, &publishers[1..2]).await;
    tokio::time::sleep(2 * TICK).await;
    let after = places[0].node.stats();
    assert_eq!(
        (after.delivered, after.unwanted),
        (before.delivered, before.unwanted)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r135_a_server_that_dies_and_comes_back_loses_no_event_for_a_room_without_telling() {
    const EVENTS: u32 = 30_000;
    let Some(mut server) = Server::start() else {
        return;
    };
    let (mut places, mut publishers) = join(&server.address()).await;
    for member in places.iter_mut().flat_map(|place| &mut place.members) {
        member.got.clear();
    }
    let before: Vec<_> = publishers.iter().map(|p| p.published.clone()).collect();
    let nodes: Vec<_> = places.iter().map(|place| place.node.clone()).collect();
    let (mut random, mut dropped) = (Random(0xdead_5e2f), 0);
    for turn in 0..EVENTS {
        if turn == EVENTS / 3 {
            server.kill();
        } else if turn == EVENTS / 3 * 2 {
            server.restart();
            for node in &nodes {
                until("connected again", || node.is_connected()).await;
            }
        }
        let (from, to) = (random.below(NODES.into()), random.below(ROOMS.into()));
        match publishers[from as usize].publish(to as u32) {
            Relayed::Queued => {}
            Relayed::Dropped(_) => dropped += 1,
            other => panic!("{other:?}"),
        }
        if turn % 64 == 0 && turn < EVENTS / 3 {
            while on_the_way(&nodes) > 500 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        } else if turn % 500 == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    // What a member at a node has received of another node, and what that node was told as missed, is all there is.
    let mut told = 0;
    until("each event comes or is told as missed", || {
        places.iter_mut().for_each(Place::take);
        told = 0;
        let mut is_balanced = true;
        for place in &places {
            let missed = place.missed.lock().unwrap();
            told += missed.values().sum::<u64>();
            for (from, publisher) in publishers.iter().enumerate() {
                for (n, member) in place.members.iter().enumerate() {
                    for of in rooms_of(n) {
                        let got = member.got.get(&(of, publisher.index)).map_or(0, Vec::len) as u64;
                        let key = (room(of), nodes[from].id());
                        let lost = missed.get(&key).copied().unwrap_or(0);
                        let offered = publisher.published[of as usize] - before[from][of as usize];
                        assert!(got + lost <= offered.into(), "no event is told and comes");
                        is_balanced &= got + lost == u64::from(offered);
                    }
                }
            }
        }
        is_balanced
    })
    .await;
    println!("{dropped} dropped, {told} told as missed");
    assert!(dropped > 1_000, "the server was away");
    assert!(told >= dropped * u64::from(NODES - 1), "each drop is told");
    for node in &nodes {
        let stats = node.stats();
        assert!(stats.connects >= 2);
        assert_eq!((stats.untold, stats.subscribed_rooms), (0, ROOMS.into()));
    }
}
