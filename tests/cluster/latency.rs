//! What a relay costs at the node that publishes. Prints figures; ask for it by name, in release.

use std::time::{Duration, Instant};

use laneway::cluster::{ClusterOptions, NatsRelay, Node};
use laneway::{Hub, Received};

use crate::nodes::{Event, Events, TICK, until, user};
use crate::server::Server;

const ROUNDS: usize = 10;
const EVENTS: u32 = 5_000;

/// The times from a publish to its receipt at a device here, in another thread, and of the calls alone.
fn measure(
    hub: &Hub<Event>,
    publish: impl Fn(Event),
    arrivals: &mut Vec<Duration>,
    calls: &mut Vec<Duration>,
) {
    let mut phone = hub.scope(user(0)).connect().unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::scope(|s| {
        s.spawn(move || {
            for _ in 0..EVENTS {
                let Ok(Received::Event(_)) = phone.recv() else {
                    panic!("an event")
                };
                tell.send(Instant::now()).unwrap();
            }
        });
        for n in 0..EVENTS {
            let event = Event {
                user: 0,
                node: 0,
                n,
                padding: 64,
            };
            let start = Instant::now();
            publish(event);
            calls.push(start.elapsed());
            arrivals.push(told.recv().unwrap() - start);
            // 10 000 events a second.
            while start.elapsed() < Duration::from_micros(100) {
                std::hint::spin_loop();
            }
        }
    });
}

fn percentiles(what: &str, times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    let at = |per_mille: usize| times[(times.len() - 1) * per_mille / 1_000];
    println!(
        "{what}: p50 {:?}, p99 {:?}, p99.9 {:?}",
        at(500),
        at(990),
        at(999)
    );
    at(990)
}

#[test]
#[ignore = "prints figures: run it alone, in release"]
fn local_latency_with_and_without_a_relay() {
    for gives_way in [false, true] {
        for linger in [0, 1, 5, 20] {
            compare(gives_way, Duration::from_millis(linger));
        }
    }
}

/// From now on this thread runs only when no other thread wants its processor.
fn give_way_here() {
    let me = std::fs::read_link("/proc/thread-self").unwrap();
    let id = me.file_name().unwrap().to_str().unwrap().to_owned();
    let done = std::process::Command::new("chrt")
        .args(["--idle", "--pid", "0", &id])
        .status();
    assert!(done.unwrap().success());
}

/// Publishes with and without a relay, in turns. Server and driver are on the processors of the publisher and the
/// receiver. They may give way to them.
fn compare(gives_way: bool, linger: Duration) {
    let Some(server) = Server::start() else {
        return;
    };
    if gives_way {
        server.give_way();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .on_thread_start(move || {
            if gives_way {
                give_way_here();
            }
        })
        .enable_all()
        .build()
        .unwrap();
    let (alone, hub): (Hub<Event>, Hub<Event>) = (Hub::new(), Hub::new());
    let node = runtime.block_on(async {
        let relay = NatsRelay::connect(&server.address())
            .await
            .unwrap()
            .linger(linger);
        let (node, driver) = Node::join(&hub, ClusterOptions::new("test"), Events, relay).unwrap();
        tokio::spawn(driver.run(|| tokio::time::sleep(TICK)));
        until("connected", || node.is_connected()).await;
        node
    });
    let (plain, spread) = (alone.scope(user(0)), node.scope(user(0)));
    let [mut arrivals, mut calls, mut relayed, mut relayed_calls]: [Vec<Duration>; 4] =
        Default::default();
    for _ in 0..ROUNDS {
        let publish = |event| _ = plain.publish(event).unwrap();
        measure(&alone, publish, &mut arrivals, &mut calls);
        let publish = |event| assert!(spread.publish(event).unwrap().relayed.is_queued());
        measure(&hub, publish, &mut relayed, &mut relayed_calls);
    }
    println!("server and driver give way: {gives_way}, linger {linger:?}");
    let without = percentiles("publish to receipt, without a relay", &mut arrivals);
    let with = percentiles("publish to receipt, with a relay", &mut relayed);
    percentiles("the call alone, without", &mut calls);
    percentiles("the call alone, with", &mut relayed_calls);
    println!(
        "p99 with a relay over without: {:.2}",
        with.as_secs_f64() / without.as_secs_f64()
    );
}

/// The memory of this process, in bytes.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "prints figures: run it alone, in release"]
async fn memory_of_a_user_online() {
    const USERS: u32 = 20_000;
    let Some(server) = Server::start() else {
        return;
    };
    let hub: Hub<Event> = Hub::new();
    let devices = |from: u32| -> Vec<_> {
        (from..from + USERS)
            .map(|n| hub.scope(user(n)).connect().unwrap())
            .collect()
    };
    let before = resident();
    let _alone = devices(0);
    let alone = resident();
    let relay = NatsRelay::connect(&server.address()).await.unwrap();
    let (node, driver) = Node::join(&hub, ClusterOptions::new("test"), Events, relay).unwrap();
    tokio::spawn(driver.run(|| tokio::time::sleep(TICK)));
    until("listens", || node.stats().subscribed == u64::from(USERS)).await;
    tokio::time::sleep(2 * TICK).await;
    let listens = resident();
    println!(
        "a user online: {} bytes, and {} more of a node over NATS",
        (alone - before) / USERS as usize,
        (listens - alone) / USERS as usize
    );
}
