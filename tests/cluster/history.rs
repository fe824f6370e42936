//! A device that comes to another node, or back after a restart, gets what it has missed, each event once.

use std::sync::Arc;

use laneway::cluster::{ClusterOptions, HistoryError, HistoryOptions, NatsRelay, Node, Trail};
use laneway::{ConnectOptions, Hub, ThreadId};

use crate::kept::{Device, Place, Said, Words};
use crate::nodes::user;
use crate::server::Server;

/// Publishes so many events for a user at a place, by several threads at once.
fn say_at_once(places: &[&Place], user_of: u32, first_publisher: u32, each: u32) {
    std::thread::scope(|s| {
        for (at, place) in places.iter().cycle().take(4).enumerate() {
            s.spawn(move || {
                for n in 0..each {
                    let said = place.say(user_of, first_publisher + at as u32, n);
                    assert!(said.relayed.is_queued());
                    let foreign = place.say(user_of + 1, 0, n);
                    assert!(foreign.relayed.is_queued());
                }
            });
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r141_a_device_that_hops_and_one_whose_node_is_restarted_get_each_event_once() {
    let Some(server) = Server::start_keeping() else {
        return;
    };
    let options = HistoryOptions::default().events(10_000);
    let mut a = Place::open(&server.address(), options.clone()).await;
    let b = Place::open(&server.address(), options.clone()).await;
    let mut phone = Device::new(1);
    // Another device of the user stays at A, so that its lane there goes on.
    let laptop = Device::new(1).connect(&a);

    let mut at_a = phone.come(&a).await;
    assert!(phone.got.is_empty(), "a new device has missed nothing");
    say_at_once(&[&a, &b], 1, 10, 50);
    phone.read_until(&a, &mut at_a, 200).await;
    say_at_once(&[&a], 1, 20, 50);
    phone.read(&a, &mut at_a, 60); // and leaves with events unread
    drop(at_a);

    say_at_once(&[&a], 1, 30, 50);
    say_at_once(&[&b], 1, 40, 50);
    say_at_once(&[&a, &b], 1, 50, 50);
    b.settled().await;
    let mut at_b = phone.come(&b).await;
    assert_eq!(phone.got.len(), 1_000, "200 each time");
    say_at_once(&[&a, &b], 1, 60, 50);
    phone.read_until(&b, &mut at_b, 1_200).await;
    drop(at_b);

    // Back at A, whose lane has gone on meanwhile.
    say_at_once(&[&a, &b], 1, 70, 50);
    b.settled().await;
    let mut at_a = phone.come(&a).await;
    assert_eq!(phone.got.len(), 1_400);
    say_at_once(&[&a, &b], 1, 80, 50);
    phone.read_until(&a, &mut at_a, 1_600).await;
    drop((at_a, laptop));

    // A is restarted: a new hub, a new node.
    say_at_once(&[&a, &b], 1, 90, 50);
    a.settled().await;
    b.settled().await;
    drop(a);
    say_at_once(&[&b], 1, 100, 50);
    b.settled().await;
    a = Place::open(&server.address(), options).await;
    let mut at_a = phone.come(&a).await;
    assert_eq!(phone.got.len(), 2_000);
    say_at_once(&[&a, &b], 1, 110, 50);
    phone.read_until(&a, &mut at_a, 2_200).await;

    assert!(phone.check().values().all(|count| *count == 50));
    assert_eq!((phone.lost, phone.gaps, phone.torn), (0, 0, 0));
    // A second call brings nothing, and moves the trail on.
    assert!(phone.trail.noted_since() > 0);
    let missed = phone.since(&a, &at_a).await.unwrap();
    assert!(missed.is_whole && missed.events.is_empty());
    missed.finish(&mut phone.trail);
    assert_eq!(phone.trail.noted_since(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r141_what_comes_live_is_not_in_the_history_and_a_device_that_is_cut_gets_the_rest() {
    let Some(server) = Server::start_keeping() else {
        return;
    };
    let a = Place::open(&server.address(), HistoryOptions::default()).await;
    let mut phone = Device::new(1);
    drop(phone.come(&a).await);
    for n in 0..4 {
        let _ = a.say(1, 1, n);
    }
    let cut = phone.connect(&a);
    for n in 4..8 {
        let _ = a.say(1, 1, n);
    }
    let missed = phone.since(&a, &cut).await.unwrap();
    let numbers: Vec<_> = missed.events.iter().map(|kept| kept.event.n).collect();
    assert_eq!(numbers, [0, 1, 2, 3], "the others come live");
    phone.take(missed);
    // The line fails before the device reads what has come live, and the lane ends.
    drop(cut);
    let mut again = phone.come(&a).await;
    let _ = a.say(1, 1, 8);
    phone.read_until(&a, &mut again, 9).await;
    // In the middle of a replay as well: what was handed out does not come again, and the rest does.
    drop(again);
    for n in 9..14 {
        let _ = a.say(1, 1, n);
    }
    let cut = phone.connect(&a);
    let missed = phone.since(&a, &cut).await.unwrap();
    assert_eq!(missed.events.len(), 5);
    for kept in missed.events.into_iter().take(2) {
        phone.hand_out(kept.event, kept.stamp);
    }
    drop(cut);
    let _ = phone.come(&a).await;
    assert_eq!(phone.check()[&1], 14);
    assert_eq!((phone.lost, phone.gaps, phone.torn), (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r141_what_waits_in_the_nodes_own_queue_is_in_the_history() {
    let Some(server) = Server::start_keeping() else {
        return;
    };
    let options = HistoryOptions::default().events(100_000);
    let a = Place::open(&server.address(), options).await;
    let mut phone = Device::new(1);
    drop(phone.come(&a).await);
    for round in 1..=4 {
        for n in 0..7_000 {
            assert!(a.say(1, round, n).relayed.is_queued());
        }
        drop(phone.come(&a).await);
        assert_eq!(phone.got.len(), round as usize * 7_000);
        let stats = a.node.stats();
        assert_eq!(stats.queued, stats.sent);
    }
    phone.check();
    assert_eq!((phone.lost, phone.gaps, phone.torn), (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r141_threads_are_honoured_and_a_trail_of_another_user_is_refused() {
    let Some(server) = Server::start_keeping() else {
        return;
    };
    let a = Place::open(&server.address(), HistoryOptions::default()).await;
    let b = Place::open(&server.address(), HistoryOptions::default()).await;
    let mut phone = Device::new(1);
    drop(phone.come(&b).await);
    let (oslo, rome) = (
        ThreadId::new("Oslo").unwrap(),
        ThreadId::new("Rome").unwrap(),
    );
    let scope = a.node.scope(user(1));
    let said = |n| Said {
        user: 1,
        publisher: 1,
        n,
        stamp: None,
    };
    let _ = scope.publish_to_thread(&oslo, said(0)).unwrap();
    let _ = scope.publish_to_thread(&rome, said(1)).unwrap();
    let _ = scope.publish_critical(said(2)).unwrap();
    a.settled().await;
    let at_b = b.node.scope(user(1));
    let options = ConnectOptions::default().thread(oslo.clone());
    let connection = at_b.local().connect_with(options).unwrap();
    let missed = phone.since(&b, &connection).await.unwrap();
    let of: Vec<_> = missed.events.iter().collect();
    assert_eq!(
        of.iter().map(|kept| kept.event.n).collect::<Vec<_>>(),
        [0, 2]
    );
    assert_eq!((&of[0].thread, of[0].is_critical), (&Some(oslo), false));
    assert_eq!((&of[1].thread, of[1].is_critical), (&None, true));
    assert!(missed.is_whole);

    // The text of another user's trail, and a connection of another user or another hub.
    let (history, codec) = (&b.history, Arc::new(Words));
    let foreign = Trail::new(&user(2));
    let refused = history.since(&at_b, &foreign, &codec, &connection).await;
    assert!(matches!(refused, Err(HistoryError::Foreign)));
    let refused = history
        .since(&scope, &phone.trail, &codec, &connection)
        .await;
    assert!(matches!(refused, Err(HistoryError::Connection)));
    let other = Device::new(2).connect(&b);
    let refused = history.since(&at_b, &phone.trail, &codec, &other).await;
    assert!(matches!(refused, Err(HistoryError::Connection)));
    assert_eq!(a.node.stamp_of(&connection, 0), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r143_a_server_or_a_driver_that_does_not_answer_is_an_error_in_time() {
    let Some(server) = Server::start_keeping() else {
        return;
    };
    let limit = std::time::Duration::from_millis(800);
    let options = HistoryOptions::default().limit(limit);
    let a = Place::open(&server.address(), options.clone()).await;
    let mut phone = Device::new(1);
    let mut connection = phone.come(&a).await;
    server.pause(true);
    let start = std::time::Instant::now();
    let refused = phone.since(&a, &connection).await;
    assert!(refused.is_err(), "{refused:?}");
    assert!(start.elapsed() < 4 * limit);
    // Live events come on.
    let _ = a.say(1, 1, 0);
    phone.read_until(&a, &mut connection, 1).await;
    server.pause(false);

    let relay = NatsRelay::connect(&server.address()).await.unwrap();
    let history = laneway::cluster::History::open(&relay, "test", options);
    let (hub, history): (Hub<Said>, _) = (Hub::new(), history.await.unwrap());
    let joined = Node::join(
        &hub,
        ClusterOptions::new("test").history(true),
        Words,
        relay,
    );
    let (node, driver) = joined.unwrap();
    let scope = node.scope(user(1));
    let connection = scope.local().connect().unwrap();
    let trail = Trail::new(&user(1));
    let refused = history.since(&scope, &trail, &Words, &connection).await;
    assert!(matches!(refused, Err(HistoryError::Unheard)), "{refused:?}");
    drop(driver);
    // A node of another cluster does not listen to the subjects of this one.
    let relay = NatsRelay::connect(&server.address()).await.unwrap();
    let options = HistoryOptions::default().limit(limit);
    let other = laneway::cluster::History::open(&relay, "other", options).await;
    let wrong = Place::join(relay, other.unwrap()).await;
    let at_wrong = Device::new(1).connect(&wrong);
    let refused = phone.since(&wrong, &at_wrong).await;
    assert!(matches!(refused, Err(HistoryError::Unheard)), "{refused:?}");
    let refused = history.since(&scope, &trail, &Words, &connection).await;
    assert!(matches!(refused, Err(HistoryError::Stopped)), "{refused:?}");
}
