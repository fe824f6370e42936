//! What a node does with any broker: what it drops, and what it tells. The broker does what the test says.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use laneway::Hub;
use laneway::cluster::{
    ClusterEvent, ClusterOptions, Incoming, Node, Relayed, Subjects, Unrelayed,
};

use crate::nodes::{Event, Events, TICK, until, user};
use crate::script::{Script, Scripted, event, node, number, telling_node};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r132_a_queue_that_is_full_and_a_broker_that_is_gone_are_told_at_once() {
    let (hub, script) = (Hub::new(), Arc::new(Script::default()));
    let options = ClusterOptions::new("test").queue(4);
    let relay = Scripted(Arc::clone(&script));
    let (node, driver) = Node::join(&hub, options, Events, relay).unwrap();
    let driving = tokio::spawn(driver.run(|| tokio::time::sleep(TICK)));
    let ann = node.scope(user(0));
    let _phone = ann.local().connect().unwrap();
    let publish = |n| ann.publish(event(n)).unwrap();
    let gone = publish(0);
    assert_eq!(gone.relayed, Relayed::Dropped(Unrelayed::Disconnected));
    assert_eq!(
        gone.local.unwrap().connections,
        1,
        "the devices here have it"
    );
    script.is_stuck.store(true, Ordering::SeqCst);
    script.says(Incoming::Connected);
    until("connected", || node.is_connected()).await;
    let relayed: Vec<_> = (1..8).map(|n| publish(n).relayed).collect();
    // The greeting is in the way, so no event leaves the queue.
    assert_eq!(relayed[..4], [Relayed::Queued; 4]);
    assert_eq!(relayed[4..], [Relayed::Dropped(Unrelayed::Full); 3]);
    script.says(Incoming::Disconnected);
    until("disconnected", || !node.is_connected()).await;
    assert_eq!(
        publish(8).relayed,
        Relayed::Dropped(Unrelayed::Disconnected)
    );
    let stats = node.stats();
    assert_eq!(
        (stats.queued, stats.dropped_full, stats.dropped_disconnected),
        (4, 3, 2)
    );
    driving.abort();
    let _ = driving.await;
    assert_eq!(publish(9).relayed, Relayed::Dropped(Unrelayed::Stopped));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r133_drops_take_numbers_and_the_last_one_is_told_after_a_pause() {
    let (hub, script) = (Hub::new(), Arc::new(Script::default()));
    let node = node(&hub, Scripted(Arc::clone(&script)));
    let ann = node.scope(user(0));
    let publish = |n| ann.publish(event(n)).unwrap().relayed;
    assert!(!publish(0).is_queued() && !publish(1).is_queued());
    script.says(Incoming::Connected);
    until("connected", || node.is_connected()).await;
    assert!(publish(2).is_queued());
    let is_event = |frame: &Vec<u8>| frame[1] == 0;
    until("sent", || script.frames(0).iter().any(is_event)).await;
    let frames = script.frames(0);
    let first = frames
        .iter()
        .find(|frame| is_event(frame))
        .map(|frame| number(frame));
    assert_eq!(first, Some(3), "after the two that were dropped");
    script.says(Incoming::Disconnected);
    until("disconnected", || !node.is_connected()).await;
    assert!(!publish(3).is_queued());
    script.says(Incoming::Connected);
    until("the tip is told", || {
        script
            .frames(0)
            .last()
            .is_some_and(|frame| frame[1] == 2 && number(frame) == 4)
    })
    .await;
    // An event that the broker does not take has its number too.
    let large = Event {
        padding: 2_000,
        ..event(4)
    };
    assert!(ann.publish(large).unwrap().relayed.is_queued());
    until("the tip is told", || {
        script
            .frames(0)
            .last()
            .is_some_and(|frame| number(frame) == 5)
    })
    .await;
    assert_eq!(node.stats().unsent, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r133_a_node_that_has_lost_something_asks_and_is_told_again() {
    let (here, there) = (Hub::new(), Hub::new());
    let (a_script, b_script) = (Arc::new(Script::default()), Arc::new(Script::default()));
    let a = node(&here, Scripted(Arc::clone(&a_script)));
    let (b, told) = telling_node(&there, Scripted(Arc::clone(&b_script)));
    let _phone = b.scope(user(0)).local().connect().unwrap();
    a_script.says(Incoming::Connected);
    b_script.says(Incoming::Connected);
    until("listens", || {
        a.is_connected() && b.is_connected() && b.stats().subscribed == 1
    })
    .await;
    let subject = Subjects::new("test").unwrap().user(&user(0));
    let pass = |frame: Vec<u8>| {
        let subject = subject.clone();
        b_script.says(Incoming::Frame {
            subject,
            bytes: frame,
        });
    };
    let ann = a.scope(user(0));
    for n in 0..3 {
        let _ = ann.publish(event(n)).unwrap();
    }
    until("sent", || a_script.frames(0).len() == 4).await; // three events and a tip
    pass(a_script.frames(0)[0].clone());
    // The rest is lost, the tip as well. The broker's client says so to b, which greets.
    b_script.says(Incoming::Missed);
    until("greeted", || b_script.published.lock().unwrap().len() == 2).await;
    let (control, hello) = b_script.published.lock().unwrap()[1].clone();
    a_script.says(Incoming::Frame {
        subject: control,
        bytes: hello,
    });
    until("told again", || a_script.frames(0).len() == 5).await;
    pass(a_script.frames(0)[4].clone());
    until("told", || b.stats().missed == 2).await;
    let gap = |event: &ClusterEvent| matches!(event, ClusterEvent::Gap { missed: 2, node, .. } if *node == a.id());
    assert!(told.lock().unwrap().iter().any(gap));
    // The frames come all the same, late: told as lost, so dropped.
    pass(a_script.frames(0)[1].clone());
    until("dropped", || b.stats().repeated == 1).await;
    assert_eq!(b.stats().delivered, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r134_whatever_comes_from_a_broker_is_dropped_and_counted() {
    let (hub, script) = (Hub::new(), Arc::new(Script::default()));
    let (node, told) = telling_node(&hub, Scripted(Arc::clone(&script)));
    let phone = node.scope(user(0)).local().connect().unwrap();
    script.says(Incoming::Connected);
    until("listens", || {
        node.is_connected() && node.stats().subscribed == 1
    })
    .await;
    let _ = node.scope(user(0)).publish(event(0)).unwrap();
    until("sent", || !script.frames(0).is_empty()).await;
    let mut frame = script.frames(0)[0].clone();
    let subjects = Subjects::new("test").unwrap();
    let says = |subject: String, bytes: Vec<u8>| script.says(Incoming::Frame { subject, bytes });
    says(subjects.user(&user(0)), frame.clone()); // this node's own
    until("dropped", || node.stats().echoes == 1).await;
    frame[2] ^= 1; // of another node
    for cut in 0..27 {
        says(subjects.user(&user(0)), frame[..cut].to_vec());
    }
    until("counted", || node.stats().undecodable == 27).await;
    says(subjects.user(&user(0)), frame[..30].to_vec()); // a frame with half an event
    until("counted", || node.stats().undecodable == 28).await;
    let undecodable = |event: &ClusterEvent| matches!(event, ClusterEvent::Undecodable { user: told, .. } if *told == user(0));
    assert!(told.lock().unwrap().iter().any(undecodable));
    for strange in [
        subjects.user(&user(7)),
        "laneway.test.u.*".into(),
        String::new(),
    ] {
        says(strange, frame.clone());
    }
    until("counted", || node.stats().unwanted == 3).await;
    assert_eq!(
        (node.stats().delivered, phone.unread()),
        (0, 1),
        "only its own publish"
    );
}
