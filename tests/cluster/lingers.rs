//! What a driver lets come before it sends, and what it sends before it ends. The broker does what the test says.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use laneway::Hub;
use laneway::cluster::{ClusterOptions, Incoming, Node};

use crate::nodes::{Events, TICK, until, user};
use crate::script::{LINGER, Script, Scripted, event, node, number};

const PATIENCE: Duration = Duration::from_secs(20);

/// The numbers of the events that the broker was handed, in order.
fn events(script: &Script) -> Vec<u64> {
    let frames = script.frames(0);
    let events = frames.iter().filter(|frame| frame[1] == 0);
    events.map(|frame| number(frame)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r137_events_that_come_while_the_driver_lingers_are_sent_together_and_in_order() {
    let (hub, script) = (Hub::new(), Arc::new(Script::default()));
    let node = node(&hub, Scripted(Arc::clone(&script)));
    script.says(Incoming::Connected);
    until("connected", || node.is_connected()).await;
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
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r137_what_was_published_before_the_end_is_sent_before_the_driver_ends() {
    let (hub, script) = (Hub::new(), Arc::new(Script::default()));
    let relay = Scripted(Arc::clone(&script));
    let (node, driver) = Node::join(&hub, ClusterOptions::new("test"), Events, relay).unwrap();
    let driving = tokio::spawn(driver.run(|| tokio::time::sleep(PATIENCE)));
    script.says(Incoming::Connected);
    until("connected", || node.is_connected()).await;
    let ann = node.scope(user(0));
    for n in 0..1_000 {
        assert!(ann.publish(event(n)).unwrap().relayed.is_queued());
    }
    hub.shutdown();
    tokio::time::timeout(PATIENCE, driving)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(events(&script), (1..=1_000).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r137_a_broker_that_takes_nothing_delays_the_end_of_a_driver_by_a_tick() {
    let (hub, script) = (Hub::new(), Arc::new(Script::default()));
    let relay = Scripted(Arc::clone(&script));
    let (node, driver) = Node::join(&hub, ClusterOptions::new("test"), Events, relay).unwrap();
    let driving = tokio::spawn(driver.run(|| tokio::time::sleep(TICK)));
    script.says(Incoming::Connected);
    until("connected", || node.is_connected()).await;
    let published = node.scope(user(0)).publish(event(0)).unwrap();
    assert!(published.relayed.is_queued());
    script.is_stuck.store(true, Ordering::SeqCst);
    hub.shutdown();
    tokio::time::timeout(PATIENCE, driving)
        .await
        .unwrap()
        .unwrap();
}
