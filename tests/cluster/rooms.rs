//! Rooms across nodes over a broker inside the process: which rooms a node listens for, and what it delivers, drops and
//! tells.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use laneway::cluster::{ClusterEvent, Incoming, Loopback, Relayed, Subjects, Unrelayed};
use laneway::{Connection, Hub, Memberships, Received, Retention, UserScope};

use crate::nodes::{Event, TICK, room, until, user};
use crate::script::{Script, Scripted, event, node, telling_node};

/// A device of a user who is a member of these rooms of the hub.
fn member(hub: &Hub<Event>, n: u32, rooms: &[u32]) -> (UserScope<Event>, Connection<Event>) {
    let scope = hub.scope(user(n));
    let device = scope.connect().unwrap();
    for n in rooms {
        scope.join(&room(*n)).unwrap();
    }
    (scope, device)
}

/// The events that a device has received: the room and the number of each. A gap is -1.
fn got(device: &mut Connection<Event>) -> Vec<(u32, i64)> {
    let all = std::iter::from_fn(|| device.try_recv().ok());
    all.map(|received| match received {
        Received::Event(next) => (next.event.user, i64::from(next.event.n)),
        _ => (0, -1),
    })
    .collect()
}

fn in_room(n: u32, of: u32) -> Event {
    Event {
        user: of,
        ..event(n)
    }
}

#[tokio::test]
async fn r135_a_node_listens_for_the_rooms_that_have_members_and_no_others() {
    let (here, there) = (Hub::new(), Hub::new());
    let relay = Loopback::new();
    let (a, b) = (node(&here, relay.another()), node(&there, relay));
    until("connected", || a.is_connected() && b.is_connected()).await;
    let to = a.room(room(0));
    let _ = to.publish(&event(0));
    until("sent", || a.stats().sent == 1).await;
    let (one, mut first) = member(&there, 1, &[0]);
    let (_two, second) = member(&there, 2, &[0]);
    until("listens", || b.stats().subscribed_rooms == 1).await;
    assert!(one.leave(&room(0)));
    let _ = to.publish(&event(1));
    until("delivered", || b.stats().delivered == 1).await;
    assert_eq!((got(&mut first), second.unread()), (vec![], 1));
    drop(second); // the last member
    until("listens no more", || b.stats().subscribed_rooms == 0).await;
    let _ = to.publish(&event(2));
    until("sent", || a.stats().sent == 3).await;
    tokio::time::sleep(3 * TICK).await;
    assert_eq!(
        (b.stats().delivered, b.stats().unwanted),
        (1, 0),
        "the others went nowhere"
    );
    assert_eq!(a.stats().subscribed_rooms, 0, "publishing is no membership");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r135_rooms_that_come_and_go_fast_are_listened_for_if_they_have_members_in_the_end() {
    let hub: Hub<Event> = Hub::new();
    let node = node(&hub, Loopback::new());
    let threads: Vec<_> = (0..2u32)
        .map(|at| {
            let hub = hub.clone();
            std::thread::spawn(move || {
                let (scope, _device) = member(&hub, at, &[]);
                for turn in 0..20_000u32 {
                    // Both threads begin and end the same rooms.
                    let room = room((turn + at) % 16);
                    scope.join(&room).unwrap();
                    assert!(scope.leave(&room));
                }
            })
        })
        .collect();
    let rooms: Vec<_> = (8..20).collect();
    let _stays = member(&hub, 2, &rooms);
    for thread in threads {
        thread.join().unwrap();
    }
    until("listens for twelve", || {
        node.stats().subscribed_rooms == 12 && node.stats().subscribed == 1
    })
    .await;
    tokio::time::sleep(2 * TICK).await;
    assert_eq!(node.stats().subscribed_rooms, 12);
}

#[tokio::test]
async fn r135_notices_of_rooms_that_are_lost_are_made_up_for_by_a_walk() {
    let hub: Hub<Event> = Hub::new();
    let (early, _device) = member(&hub, 1, &[1]);
    let node = node(&hub, Loopback::new());
    until("listens for a room from before", || {
        node.stats().subscribed_rooms == 1
    })
    .await;
    // Two notices each, and none is read meanwhile: the test does not await.
    for _ in 0..40_000 {
        early.join(&room(0)).unwrap();
        assert!(early.leave(&room(0)));
    }
    assert!(early.leave(&room(1)));
    let _stays = member(&hub, 2, &[2, 3]);
    until("listens for two", || node.stats().subscribed_rooms == 2).await;
    until("after a walk", || node.stats().resyncs > 0).await;
}

#[tokio::test]
async fn r135_each_member_at_every_node_gets_an_event_once_and_no_other_user_does() {
    let (here, there) = (Hub::new(), Hub::builder().lane_capacity(2).build().unwrap());
    let relay = Loopback::new();
    let (a, b) = (node(&here, relay.another()), node(&there, relay));
    // User 0 is a member of room 0 at both nodes, and user 3 is in both rooms.
    let (_x, mut near) = member(&here, 0, &[0]);
    let (_y, mut far) = member(&there, 0, &[0]);
    let (_z, other) = member(&there, 1, &[1]);
    let (_w, mut both) = member(&there, 3, &[0, 1]);
    until("listens", || {
        b.stats().subscribed_rooms == 2 && a.is_connected() && b.is_connected()
    })
    .await;
    let to = a.room(room(0));
    let published = to.publish(&event(0));
    assert_eq!(
        (published.local.users, published.relayed),
        (1, Relayed::Queued)
    );
    until("delivered", || b.stats().delivered == 1).await;
    assert_eq!(got(&mut near), [(0, 0)]);
    assert_eq!(
        (got(&mut far), got(&mut both)),
        (vec![(0, 0)], vec![(0, 0)])
    );
    assert_eq!(other.unread(), 0, "no member of the room");
    // The room's events are no user's, though room 0 and user 0 have the same id.
    let (_user, plain) = member(&there, 0, &[]);
    let _ = a.room(room(1)).publish(&in_room(1, 1));
    until("delivered", || b.stats().delivered == 2).await;
    assert_eq!(
        (got(&mut far), plain.unread(), other.unread()),
        (vec![], 0, 1)
    );
    assert_eq!(got(&mut both), [(1, 1)]);
    // A critical event stays one: a device that is two lanes behind receives it.
    let _ = to.publish_critical(&event(2));
    for n in 3..6 {
        let _ = to.publish(&event(n));
    }
    until("delivered", || b.stats().delivered == 6).await;
    assert_eq!(got(&mut far)[0], (0, 2));
    // What comes back to the node from which it went is dropped.
    until("dropped", || a.stats().echoes >= 5).await;
    let once: Vec<_> = (2..6).map(|n| (0, n)).collect();
    assert_eq!((got(&mut near), a.stats().delivered), (once, 0));
    // A hub that is shut down sends nothing.
    here.shutdown();
    let late = to.publish(&event(9));
    assert_eq!(
        (late.local.users, late.relayed),
        (0, Relayed::Dropped(Unrelayed::Stopped))
    );
}

#[tokio::test]
async fn r135_where_memberships_are_kept_an_event_of_another_node_is_kept_for_a_member_who_is_away()
{
    let kept = Hub::builder()
        .memberships(Memberships::Kept { max_users: 4 })
        .retention(Some(Retention::default()))
        .build()
        .unwrap();
    let here = Hub::new();
    let relay = Loopback::new();
    let (a, b) = (node(&here, relay.another()), node(&kept, relay));
    let (scope, device) = member(&kept, 0, &[0]);
    let position = device.position();
    drop(device);
    until("listens", || {
        b.stats().subscribed_rooms == 1 && b.stats().subscribed == 0 && a.is_connected()
    })
    .await;
    let _ = a.room(room(0)).publish_critical(&event(0));
    until("delivered", || b.stats().delivered == 1).await;
    let (mut back, _) = scope.resume(&position).unwrap();
    assert!(got(&mut back).contains(&(0, 0)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r135_a_broker_that_is_slow_or_gone_holds_up_no_publish_to_a_room() {
    let (hub, script) = (Hub::new(), Arc::new(Script::default()));
    let options = laneway::cluster::ClusterOptions::new("test").queue(4);
    let relay = Scripted(Arc::clone(&script));
    let joined = laneway::cluster::Node::join(&hub, options, crate::nodes::Events, relay);
    let (node, driver) = joined.unwrap();
    tokio::spawn(driver.run(|| tokio::time::sleep(TICK)));
    let (_scope, mut device) = member(&hub, 0, &[0]);
    let (to, ann) = (node.room(room(0)), node.scope(user(0)));
    let gone = to.publish(&event(0));
    assert_eq!(gone.relayed, Relayed::Dropped(Unrelayed::Disconnected));
    assert_eq!(gone.local.users, 1, "the members here have it");
    script.is_stuck.store(true, Ordering::SeqCst);
    script.says(Incoming::Connected);
    until("connected", || node.is_connected()).await;
    let relayed: Vec<_> = (1..8).map(|n| to.publish(&event(n)).relayed).collect();
    // The greeting is in the way, so no event leaves the queue.
    assert_eq!(relayed[..4], [Relayed::Queued; 4]);
    assert_eq!(relayed[4..], [Relayed::Dropped(Unrelayed::Full); 3]);
    let all: Vec<_> = (0..8).map(|n| (0, n)).collect();
    assert_eq!(got(&mut device), all, "the members here have each");
    let stats = node.stats();
    assert_eq!(
        (stats.queued, stats.dropped_full, stats.dropped_disconnected),
        (4, 3, 1)
    );
    // Users and rooms are numbered apart, also where their ids are equal.
    let user = ann.publish(event(0)).unwrap();
    assert_eq!(user.relayed, Relayed::Dropped(Unrelayed::Full));
}

fn number(frame: &[u8]) -> u64 {
    u64::from_le_bytes(frame[18..26].try_into().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r135_drops_take_numbers_and_the_last_one_of_a_room_is_told_after_a_pause() {
    let (hub, script) = (Hub::new(), Arc::new(Script::default()));
    let node = node(&hub, Scripted(Arc::clone(&script)));
    let (to, ann) = (node.room(room(0)), node.scope(user(0)));
    let publish = |n| to.publish(&event(n)).relayed.is_queued();
    assert!(!publish(0) && !publish(1));
    script.says(Incoming::Connected);
    until("connected", || node.is_connected()).await;
    assert!(publish(2));
    assert!(ann.publish(event(0)).unwrap().relayed.is_queued());
    let is_event = |frame: &&Vec<u8>| frame[1] == 0;
    let first = |frames: Vec<Vec<u8>>| frames.iter().find(is_event).map(|frame| number(frame));
    until("sent", || first(script.room_frames(0)).is_some()).await;
    assert_eq!(first(script.room_frames(0)), Some(3), "after the dropped");
    until("sent", || first(script.frames(0)).is_some()).await;
    assert_eq!(first(script.frames(0)), Some(1), "numbered apart");
    script.says(Incoming::Disconnected);
    until("disconnected", || !node.is_connected()).await;
    assert!(!publish(3));
    script.says(Incoming::Connected);
    let tip = |n| {
        let frames = script.room_frames(0);
        frames.last().is_some_and(|f| f[1] == 2 && number(f) == n)
    };
    until("the tip is told", || tip(4)).await;
    let told = script.room_frames(0).len();
    let subject = Subjects::new("test").unwrap().control();
    let mut hello = script.room_frames(0)[0].clone();
    (hello[1], hello[2]) = (3, hello[2] ^ 1); // a greeting of another node
    script.says(Incoming::Frame {
        subject,
        bytes: hello,
    });
    until("the tip is told again", || {
        script.room_frames(0).len() == told + 1 && tip(4)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r135_what_comes_for_a_room_is_checked_and_each_loss_is_told() {
    let (hub, script) = (Hub::new(), Arc::new(Script::default()));
    let (node, told) = telling_node(&hub, Scripted(Arc::clone(&script)));
    let (_scope, mut phone) = member(&hub, 0, &[0]);
    script.says(Incoming::Connected);
    until("listens", || {
        node.is_connected() && node.stats().subscribed_rooms == 1
    })
    .await;
    let _ = node.room(room(0)).publish(&event(0));
    until("sent", || !script.room_frames(0).is_empty()).await;
    let mut frame = script.room_frames(0)[0].clone();
    let subject = Subjects::new("test").unwrap().room(&room(0));
    let says = |subject: &str, bytes: &[u8]| {
        script.says(Incoming::Frame {
            subject: subject.into(),
            bytes: bytes.into(),
        });
    };
    says(&subject, &frame); // this node's own
    until("dropped", || node.stats().echoes == 1).await;
    frame[2] ^= 1; // of another node
    let numbered = |kind: u8, n: u64| {
        let mut frame = frame.clone();
        frame[1] = kind;
        frame[18..26].copy_from_slice(&n.to_le_bytes());
        frame
    };
    says(&subject, &numbered(0, 1));
    says(&subject, &numbered(0, 1)); // twice
    says(&subject, &numbered(0, 4)); // two are lost
    says(&subject, &numbered(0, 3)); // late
    says(&subject, &numbered(2, 5)); // the last one is lost
    until("told", || node.stats().missed == 3).await;
    let stats = node.stats();
    assert_eq!((stats.delivered, stats.gaps, stats.repeated), (2, 2, 2));
    for cut in 0..27 {
        says(&subject, &frame[..cut]);
    }
    until("counted", || node.stats().undecodable == 27).await;
    says(&subject, &numbered(0, 6)[..30]); // half an event
    let mut threaded = numbered(0, 7);
    threaded[26] = 1;
    threaded.insert(27, b'x');
    says(&subject, &threaded); // an event for a thread
    until("counted", || node.stats().undecodable == 29).await;
    for strange in ["laneway.test.r.VQ", "laneway.other.r.dXNlciAw", ""] {
        says(strange, &numbered(0, 8));
    }
    until("counted", || node.stats().unwanted == 3).await;
    let told = told.lock().unwrap();
    let gaps: Vec<_> = (told.iter().filter_map(|event| match event {
        ClusterEvent::RoomGap {
            room: of, missed, ..
        } if *of == room(0) => Some(*missed),
        _ => None,
    }))
    .collect();
    assert_eq!(gaps, [2, 1]);
    let undecodable = |event: &&ClusterEvent| matches!(event, ClusterEvent::RoomUndecodable { room: of, .. } if *of == room(0));
    assert_eq!(told.iter().filter(undecodable).count(), 2);
    let of_users = |event: &ClusterEvent| {
        matches!(
            event,
            ClusterEvent::Gap { .. } | ClusterEvent::Undecodable { .. }
        )
    };
    assert!(!told.iter().any(of_users));
    assert_eq!(got(&mut phone).len(), 3, "its own publish and two others");
}
