//! Many events between three nodes: none lost, and with a server that goes away each loss told.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use laneway::cluster::{Relayed, Unrelayed};

use crate::nodes::{Member, drained, join, until, user};
use crate::random::Random;
use crate::server::Server;

const NODES: u32 = 3;

/// Publishes from a random node for a random user, never more at once than fit in the queue.
fn publish_some(members: &mut [Member], random: &mut Random, users: u32, padding: u32) -> Relayed {
    let at = random.below(members.len() as u64) as usize;
    let to = random.below(users.into()) as u32;
    members[at].publish(to, padding).relayed
}

/// Waits while a node's queue to the broker is more than half full.
async fn pace(members: &[Member], queue: u64) {
    for member in members {
        drained(member, queue / 2).await;
    }
}

/// How many events each node has published for a user.
fn published(members: &[Member], user: u32) -> Vec<u64> {
    let counts = members.iter().map(|m| m.published[user as usize].into());
    counts.collect()
}

/// Waits until each event was delivered at each other node, or told there as missed.
async fn until_told(members: &[Member], users: u32) {
    let all: u64 = (0..users).flat_map(|n| published(members, n)).sum();
    until("each event is delivered or told as missed", || {
        let told: u64 = members
            .iter()
            .map(|m| m.missed.lock().unwrap().values().sum::<u64>())
            .sum();
        let unread: u64 = members
            .iter()
            .flat_map(|m| &m.devices)
            .map(|d| d[0].unread())
            .sum();
        // Each event also stands in the lane of the node that published it.
        unread + told == all * u64::from(NODES)
    })
    .await;
}

/// Checks that the books of each device balance. Returns how many events were missed.
fn balance(members: &mut [Member], users: u32) -> u64 {
    let ids: Vec<_> = members.iter().map(|m| m.node.id()).collect();
    let mut all = 0;
    for n in 0..users {
        let offered = published(members, n);
        for member in &mut *members {
            let both = [member.take(n, 0), member.take(n, 1)];
            assert_eq!(both[0], both[1], "two devices of a node get the same");
            let missed = member.missed.lock().unwrap();
            for (from, offered) in offered.iter().enumerate() {
                let got = both[0].get(&(from as u32)).map_or(0, Vec::len) as u64;
                let missed = missed.get(&(user(n), ids[from])).copied().unwrap_or(0);
                assert_eq!(
                    got + missed,
                    *offered,
                    "user {n}, from {from}, at {}",
                    member.index
                );
                if from as u32 == member.index {
                    assert_eq!(got, *offered, "a node's own devices miss nothing");
                }
                all += missed;
            }
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r130_each_device_gets_each_event_once_in_its_publishers_order_and_none_of_others() {
    const USERS: u32 = 1_000;
    let Some(server) = Server::start() else {
        return;
    };
    let mut members = join(NODES, USERS, 8_192, &server.address()).await;
    let mut random = Random(0x1a4e_7a11);
    let start = Instant::now();
    for turn in 0..100_000 {
        let relayed = publish_some(&mut members, &mut random, USERS, 0);
        assert_eq!(relayed, Relayed::Queued);
        if turn % 64 == 0 {
            pace(&members, 8_192).await;
        }
    }
    until_told(&members, USERS).await;
    println!(
        "100000 events to {} devices in {:.1?}",
        NODES * USERS * 2,
        start.elapsed()
    );
    assert_eq!(balance(&mut members, USERS), 0, "nothing is lost");
    for member in &members {
        let stats = member.node.stats();
        assert_eq!(
            (
                stats.unwanted,
                stats.undecodable,
                stats.repeated,
                stats.echoes
            ),
            (0, 0, 0, 0)
        );
        assert_eq!(stats.queued, stats.sent);
        println!("{stats:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r133_a_server_that_dies_and_comes_back_loses_nothing_without_telling() {
    const USERS: u32 = 1_000;
    let Some(mut server) = Server::start() else {
        return;
    };
    let mut members = join(NODES, USERS, 8_192, &server.address()).await;
    let mut random = Random(0x0dd5_eed5);
    let mut dropped = HashMap::new();
    for turn in 0..100_000 {
        match turn {
            33_000 => server.kill(),
            66_000 => {
                server.restart();
                for member in &members {
                    until("connected again", || member.node.is_connected()).await;
                }
            }
            _ => {}
        }
        match publish_some(&mut members, &mut random, USERS, 0) {
            Relayed::Queued => {}
            Relayed::Dropped(why) => *dropped.entry(format!("{why:?}")).or_insert(0) += 1,
            other => panic!("{other:?}"),
        }
        if turn % 64 == 0 && members.iter().all(|m| m.node.is_connected()) && turn < 33_000 {
            pace(&members, 8_192).await;
        } else if turn % 1_000 == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    until_told(&members, USERS).await;
    let told = balance(&mut members, USERS);
    println!("dropped {dropped:?}, told as missed {told}");
    let dropped: u64 = dropped.values().sum();
    assert!(dropped > 1_000, "the server was away");
    assert!(
        told >= dropped * u64::from(NODES - 1),
        "each drop is told at each other node"
    );
    for member in &members {
        let stats = member.node.stats();
        assert!(
            stats.connects >= 2
                && member
                    .disconnects
                    .load(std::sync::atomic::Ordering::Relaxed)
                    >= 1
        );
        assert_eq!(stats.subscribed, u64::from(USERS));
        assert_eq!(stats.untold, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r132_a_server_that_stands_still_blocks_no_publish_and_what_is_lost_is_told() {
    const USERS: u32 = 20;
    let Some(server) = Server::start() else {
        return;
    };
    let mut members = join(NODES, USERS, 64, &server.address()).await;
    let mut random = Random(0x57a1_1ed5);
    server.pause(true);
    let (mut dropped, mut longest) = (0, Duration::ZERO);
    for turn in 0..12_000 {
        let start = Instant::now();
        let relayed = publish_some(&mut members, &mut random, USERS, 16_000);
        longest = longest.max(start.elapsed());
        match relayed {
            Relayed::Queued => {}
            // On a machine that is busy the server may count as gone before it goes on.
            Relayed::Dropped(Unrelayed::Full | Unrelayed::Disconnected) => dropped += 1,
            other => panic!("{other:?}"),
        }
        if turn % 20 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // The devices here have each event, whatever the server does.
        if turn % 1_000 == 999 {
            for member in &members {
                let own: u64 = member.published.iter().map(|n| u64::from(*n)).sum();
                let unread: u64 = member.devices.iter().map(|d| d[0].unread()).sum();
                assert!(unread >= own);
            }
        }
    }
    println!("{dropped} dropped while the server stood still, longest publish {longest:?}");
    assert!(dropped > 100, "the queue filled up");
    assert!(
        longest < Duration::from_secs(2),
        "a publish waited: {longest:?}"
    );
    server.pause(false);
    for member in &members {
        until("connected", || member.node.is_connected()).await;
    }
    until_told(&members, USERS).await;
    let told = balance(&mut members, USERS);
    assert!(told >= dropped * u64::from(NODES - 1));
    // What comes after it goes through again.
    for turn in 0..600 {
        assert!(publish_some(&mut members, &mut random, USERS, 0).is_queued());
        if turn % 8 == 0 {
            pace(&members, 64).await;
        }
    }
    until("all of it comes", || {
        let devices = members.iter().flat_map(|m| &m.devices);
        devices.map(|d| d[0].unread()).sum::<u64>() == 600 * u64::from(NODES)
    })
    .await;
}
