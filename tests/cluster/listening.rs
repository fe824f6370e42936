//! Whom a node listens for, and how it delivers, over a broker inside the process.

use std::time::Duration;

use laneway::cluster::{ClusterError, ClusterOptions, Loopback, Node};
use laneway::{ConnectOptions, Hub, Received, ThreadId};

use crate::nodes::{Event, Events, TICK, until, user};
use crate::script::{event, node};

#[tokio::test]
async fn r131_a_node_listens_for_the_users_who_are_online_and_no_others() {
    let (here, there) = (Hub::new(), Hub::new());
    let relay = Loopback::new();
    let (a, b) = (node(&here, relay.another()), node(&there, relay));
    let bob = b.scope(user(0));
    until("connected", || a.is_connected() && b.is_connected()).await;
    let to = a.scope(user(0));
    let _ = to.publish(event(0)).unwrap();
    until("sent", || a.stats().sent == 1).await;
    let (one, two) = (
        bob.local().connect().unwrap(),
        bob.local().connect().unwrap(),
    );
    until("listens", || b.stats().subscribed == 1).await;
    drop(one);
    let _ = to.publish(event(1)).unwrap();
    until("delivered", || b.stats().delivered == 1).await;
    drop(two);
    until("listens no more", || b.stats().subscribed == 0).await;
    let _ = to.publish(event(2)).unwrap();
    until("sent", || a.stats().sent == 3).await;
    tokio::time::sleep(3 * TICK).await;
    assert_eq!(
        (b.stats().delivered, b.stats().unwanted),
        (1, 0),
        "the others went nowhere"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r131_users_who_come_and_go_fast_are_listened_for_if_they_are_there_in_the_end() {
    let hub: Hub<Event> = Hub::new();
    let node = node(&hub, Loopback::new());
    let threads: Vec<_> = (0..2u32)
        .map(|at| {
            let hub = hub.clone();
            std::thread::spawn(move || {
                for turn in 0..20_000u32 {
                    // Both threads open and close connections of the same users.
                    drop(hub.scope(user((turn + at) % 16)).connect().unwrap());
                }
            })
        })
        .collect();
    let _stays: Vec<_> = (8..20)
        .map(|n| hub.scope(user(n)).connect().unwrap())
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    until("listens for twelve", || node.stats().subscribed == 12).await;
    tokio::time::sleep(2 * TICK).await;
    assert_eq!(node.stats().subscribed, 12);
}

#[tokio::test]
async fn r131_notices_that_are_lost_are_made_up_for_by_a_walk() {
    let hub: Hub<Event> = Hub::new();
    let (node, driver) =
        Node::join(&hub, ClusterOptions::new("test"), Events, Loopback::new()).unwrap();
    let driving = tokio::spawn(driver.run(|| tokio::time::sleep(TICK)));
    let gone = hub.scope(user(1)).connect().unwrap();
    until("listens", || node.stats().subscribed == 1).await;
    // Four notices each, and none is read meanwhile: the test does not await.
    for _ in 0..20_000 {
        drop(hub.scope(user(0)).connect().unwrap());
    }
    drop(gone);
    let _stays = hub.scope(user(2)).connect().unwrap();
    let _stay = hub.scope(user(3)).connect().unwrap();
    until("listens for two", || node.stats().subscribed == 2).await;
    until("after a walk", || node.stats().resyncs > 0).await;
    assert!(!driving.is_finished());
}

#[tokio::test]
async fn r130_audiences_and_verbs_hold_at_every_node() {
    let (here, there) = (Hub::new(), Hub::builder().lane_capacity(2).build().unwrap());
    let relay = Loopback::new();
    let (a, b) = (node(&here, relay.another()), node(&there, relay));
    let oslo = ThreadId::new("Oslo").unwrap();
    let options = ConnectOptions::default().thread(oslo.clone());
    let scope = b.scope(user(0));
    let mut plain = scope.local().connect().unwrap();
    let mut attached = scope.local().connect_with(options).unwrap();
    let to = a.scope(user(0));
    let (phone, mut laptop) = (to.local().connect().unwrap(), to.local().connect().unwrap());
    until("listens", || b.stats().subscribed == 1 && a.is_connected()).await;
    assert!(
        to.publish_to_thread(&oslo, event(0))
            .unwrap()
            .local
            .is_none()
    );
    assert_eq!(
        to.publish_to_others(phone.id(), event(1))
            .unwrap()
            .local
            .unwrap()
            .connections,
        1
    );
    until("delivered", || b.stats().delivered == 2).await;
    let got = |device: &mut laneway::Connection<Event>| {
        std::iter::from_fn(|| device.try_recv().ok())
            .map(|received| match received {
                Received::Event(next) => i64::from(next.event.n),
                _ => -1,
            })
            .collect::<Vec<_>>()
    };
    assert_eq!((got(&mut plain), got(&mut attached)), (vec![1], vec![0, 1]));
    assert_eq!(got(&mut laptop), [1]);
    // A critical event stays one: a device that is two lanes behind receives it, or is closed.
    let _ = to.publish_critical(event(2)).unwrap();
    for n in 3..6 {
        let _ = to.publish(event(n)).unwrap();
    }
    until("delivered", || b.stats().delivered == 6).await;
    assert_eq!(got(&mut plain)[0], 2);
}

#[tokio::test]
async fn r130_a_driver_ends_with_its_hub_and_settings_have_bounds() {
    let hub: Hub<Event> = Hub::new();
    let join = |options| Node::join(&hub, options, Events, Loopback::new()).map(drop);
    let options = || ClusterOptions::new("test");
    assert_eq!(join(ClusterOptions::new("a.b")), Err(ClusterError::Name));
    for queue in [0, (1 << 20) + 1] {
        assert_eq!(
            join(options().queue(queue)),
            Err(ClusterError::Queue(queue))
        );
    }
    for users in [0, 1, (1 << 24) + 1] {
        assert_eq!(
            join(options().users(users)),
            Err(ClusterError::Users(users))
        );
    }
    let all: Vec<_> = (0..16).map(|_| hub.lifecycle(1).unwrap()).collect();
    assert!(matches!(join(options()), Err(ClusterError::Lifecycle(_))));
    drop(all);
    for rooms in [0, 1, (1 << 24) + 1] {
        assert_eq!(
            join(options().rooms(rooms)),
            Err(ClusterError::Rooms(rooms))
        );
    }
    let (node, driver) = Node::join(&hub, options(), Events, Loopback::new()).unwrap();
    let driving = tokio::spawn(driver.run(|| tokio::time::sleep(TICK)));
    until("connected", || node.is_connected()).await;
    drop(hub); // a node does not keep it open
    let ended = tokio::time::timeout(Duration::from_secs(20), driving).await;
    assert!(ended.unwrap().is_ok());
    assert!(
        node.scope(user(0))
            .publish(event(0))
            .unwrap_err()
            .is_closed()
    );
}
