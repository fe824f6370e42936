//! What a driver lets come before it sends, and what it sends before it ends. The broker does what the test says.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use laneway::cluster::{ClusterOptions, Incoming, NatsRelay, Node};
use laneway::{Hub, Received};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::executors::block_on;
use crate::nodes::{Event, Events, TICK, until, user};
use crate::script::{LINGER, LINGERED, Script, Scripted, event, number};
use crate::server::Server;

const PATIENCE: Duration = Duration::from_secs(20);
const NEVER: Duration = Duration::from_secs(10_000);

/// The numbers of the events that the broker was handed, in order.
fn events(script: &Script) -> Vec<u64> {
    let frames = script.frames(0);
    let events = frames.iter().filter(|frame| frame[1] == 0);
    events.map(|frame| number(frame)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r137_events_that_come_while_the_driver_lingers_are_sent_together_and_in_order() {
    let (hub, script) = (Hub::new(), Arc::new(Script::default()));
    let (node, _driving) = driven(&hub, &script, NEVER).await;
    let ann = node.scope(user(0));
    let mut lingers = 0;
    for burst in 1..4 {
        let since = Instant::now();
        for n in 0..100 {
            assert!(ann.publish(event(n)).unwrap().relayed.is_queued());
        }
        let is_quick = since.elapsed() < LINGER / 2;
        until("sent", || node.stats().sent == 100 * burst).await;
        let more = script.lingers.swap(0, Ordering::SeqCst);
        assert!(
            more <= 1 || !is_quick,
            "{more} for events that came at once"
        );
        lingers += more;
    }
    assert!(lingers > 0);
    assert_eq!(events(&script), (1..=300).collect::<Vec<_>>());
    // The broker notes the end of a linger among the frames.
    let published = script.published.lock().unwrap();
    let is = |what: fn(&str) -> bool| published.iter().position(|(at, _)| what(at));
    assert!(is(|at| at == LINGERED).unwrap() < is(|at| at.contains(".u.")).unwrap());
}

/// A node over a broker that does what the test says, and its driver, with ticks of this length.
async fn driven(
    hub: &Hub<Event>,
    script: &Arc<Script>,
    tick: Duration,
) -> (Node<Event>, JoinHandle<()>) {
    let relay = Scripted(Arc::clone(script));
    let (node, driver) = Node::join(hub, ClusterOptions::new("test"), Events, relay).unwrap();
    let driving = tokio::spawn(driver.run(move || tokio::time::sleep(tick)));
    script.says(Incoming::Connected);
    until("connected", || node.is_connected()).await;
    until("greeted", || !script.published.lock().unwrap().is_empty()).await;
    // The driver has found its queue empty then.
    tokio::time::sleep(TICK).await;
    (node, driving)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r137_a_driver_whose_hub_has_ended_sends_the_events_before_it_ends() {
    let (hub, script) = (Hub::new(), Arc::new(Script::default()));
    let (node, driving) = driven(&hub, &script, NEVER).await;
    let ann = node.scope(user(0));
    for n in 0..1_000 {
        assert!(ann.publish(event(n)).unwrap().relayed.is_queued());
    }
    hub.shutdown();
    timeout(PATIENCE, driving).await.unwrap().unwrap();
    assert_eq!(events(&script), (1..=1_000).collect::<Vec<_>>());
    assert_eq!(script.flushes.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r137_the_end_of_a_hub_cuts_a_linger_short() {
    let (hub, script) = (Hub::new(), Arc::new(Script::default()));
    script.lingers_on.store(true, Ordering::SeqCst);
    let (node, driving) = driven(&hub, &script, NEVER).await;
    let published = node.scope(user(0)).publish(event(0)).unwrap();
    assert!(published.relayed.is_queued());
    until("lingers", || script.lingers.load(Ordering::SeqCst) == 1).await;
    assert!(!driving.is_finished());
    hub.shutdown();
    timeout(PATIENCE, driving).await.unwrap().unwrap();
    assert_eq!(events(&script), [1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r137_a_broker_that_takes_nothing_delays_the_end_of_a_driver_by_a_tick() {
    for is_taken in [false, true] {
        let (hub, script) = (Hub::new(), Arc::new(Script::default()));
        let (node, driving) = driven(&hub, &script, 10 * TICK).await;
        script.is_stuck.store(!is_taken, Ordering::SeqCst);
        script.flushes_on.store(true, Ordering::SeqCst);
        let published = node.scope(user(0)).publish(event(0)).unwrap();
        assert!(published.relayed.is_queued());
        let since = Instant::now();
        hub.shutdown();
        timeout(PATIENCE, driving).await.unwrap().unwrap();
        assert!(since.elapsed() >= 10 * TICK, "a whole tick");
        assert_eq!(events(&script).len(), usize::from(is_taken));
    }
}

/// Publishes a hundred events over NATS and ends at once. Returns whether they arrive at another node, in order.
async fn arrive_after_the_end(server: &Server) -> bool {
    // The device there reads at the end, and its lane holds all of them.
    let there = Hub::builder().lane_capacity(1_024).build().unwrap();
    let here = Hub::new();
    let relay = NatsRelay::connect(&server.address()).await.unwrap();
    let (node, driver) = Node::join(&here, ClusterOptions::new("test"), Events, relay).unwrap();
    let driving = tokio::spawn(driver.run(|| tokio::time::sleep(PATIENCE)));
    let other = crate::script::node(&there, NatsRelay::connect(&server.address()).await.unwrap());
    let mut phone = other.scope(user(0)).local().connect().unwrap();
    until("listens", || {
        node.is_connected() && other.stats().subscribed == 1
    })
    .await;
    // Until one arrives, the server may not have the subscription yet.
    let ann = node.scope(user(0));
    let mut first = 0;
    while other.stats().delivered == 0 {
        let _ = ann.publish(event(first)).unwrap();
        first += 1;
        tokio::time::sleep(TICK).await;
    }
    let last = first + 99;
    for n in first..=last {
        assert!(ann.publish(event(n)).unwrap().relayed.is_queued());
    }
    here.shutdown();
    timeout(PATIENCE, driving).await.unwrap().unwrap();
    // The client is gone with the driver.
    let mut got = Vec::new();
    while got.last() != Some(&last) {
        match timeout(PATIENCE, phone.next()).await {
            Ok(Ok(Received::Event(next))) => got.push(next.event.n),
            _ => return false,
        }
    }
    got.retain(|n| *n >= first);
    got == (first..=last).collect::<Vec<_>>()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r137_the_last_events_of_a_node_arrive_over_nats() {
    let Some(server) = Server::start() else {
        return;
    };
    for _ in 0..3 {
        assert!(arrive_after_the_end(&server).await);
    }
}

#[tokio::test]
async fn r137_the_last_events_of_a_node_with_one_thread_arrive_over_nats() {
    let Some(server) = Server::start() else {
        return;
    };
    assert!(arrive_after_the_end(&server).await);
}

/// How long after its publish an event was sent, of a driver that runs without a runtime of tokio's.
fn lingered(server: &Server, linger: Option<Duration>) -> Duration {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let address = server.address();
    let mut relay = runtime.block_on(NatsRelay::connect(&address)).unwrap();
    if let Some(linger) = linger {
        relay = relay.linger(linger);
    }
    let hub: Hub<Event> = Hub::new();
    let (node, driver) = Node::join(&hub, ClusterOptions::new("test"), Events, relay).unwrap();
    let driving = std::thread::spawn(move || {
        block_on(driver.run(std::future::pending::<()>));
    });
    let wait = |until: &dyn Fn() -> bool| {
        let since = Instant::now();
        while !until() && since.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_micros(100));
        }
    };
    wait(&|| node.is_connected());
    std::thread::sleep(TICK);
    let since = Instant::now();
    let published = node.scope(user(0)).publish(event(0)).unwrap();
    assert!(published.relayed.is_queued());
    wait(&|| node.stats().sent == 1);
    let took = since.elapsed();
    hub.shutdown();
    driving.join().unwrap();
    took
}

#[test]
fn r137_a_driver_over_nats_lingers_as_long_as_it_was_told_on_any_executor() {
    let Some(server) = Server::start() else {
        return;
    };
    // The clock of a sleep and that of the test may differ by some milliseconds.
    let [half, nearly_half, nearly_one] = [500, 495, 995].map(Duration::from_millis);
    let took = lingered(&server, Some(half));
    assert!(took >= nearly_half, "{took:?}");
    // No linger is longer than a second.
    let took = lingered(&server, Some(Duration::MAX));
    assert!((nearly_one..PATIENCE).contains(&took), "{took:?}");
    // Other work may delay a driver, so the shortest of five times counts.
    for linger in [None, Some(Duration::ZERO)] {
        let took = (0..5).map(|_| lingered(&server, linger)).min().unwrap();
        assert!(took < half, "{took:?}");
    }
}
