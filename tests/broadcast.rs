//! The one broadcast: what reaches whom, what is told of it, and that the figures add up.
#![cfg(all(feature = "protocol", not(any(laneway_loom, laneway_shuttle))))]
#![allow(clippy::disallowed_types)] // Threads start together at a barrier.

use std::collections::BTreeMap;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use laneway::protocol::{
    Audience, Broadcast, BroadcastError, Broadcaster, Contamination, Isolation, Message,
    MessageKind, Packet, RoomRefusal,
};
use laneway::{ConnectOptions, Connection, Hub, Received, RoomId, ThreadId, UserId, UserScope};
use serde_json::{Value, json};

type Engine = Hub<Packet>;

const NOW: Duration = Duration::from_secs(7);

fn scope(hub: &Engine, name: &str) -> UserScope<Packet> {
    hub.scope(UserId::new(name).unwrap())
}

fn chat(text: &str) -> Message {
    Message::new(MessageKind::Chat).with("text", text)
}

/// What a connection has got, as clients see it.
fn read(connection: &mut Connection<Packet>) -> Vec<Value> {
    let mut all = Vec::new();
    while let Ok(received) = connection.try_recv() {
        let Received::Event(got) = received else {
            panic!("a gap: {received:?}");
        };
        all.push(serde_json::from_str(got.event.json()).unwrap());
    }
    all
}

#[test]
fn r001_every_device_of_the_user_and_nobody_else_whatever_the_entry() {
    let hub = Engine::new();
    let (ann, bob) = (scope(&hub, "ann"), scope(&hub, "bob"));
    let thread = ThreadId::new("t-1").unwrap();
    let attached = ConnectOptions {
        threads: vec![thread.clone()],
        ..ConnectOptions::default()
    };
    let (mut phone, mut tab) = (ann.connect().unwrap(), ann.connect_with(attached).unwrap());
    let mut other = bob.connect().unwrap();
    let broadcaster = Broadcaster::default();
    let send = |audience, text: &str| {
        let done = broadcaster.broadcast_to(&ann, audience, &chat(text), NOW);
        assert!(done.is_successful() && done.errors.is_empty());
        done.connections
    };
    assert_eq!(send(Audience::All, "all"), 2);
    assert_eq!(send(Audience::Thread(&thread), "thread"), 1);
    assert_eq!(send(Audience::Connection(phone.id()), "one"), 1);
    assert_eq!(send(Audience::Others(phone.id()), "others"), 1);
    let critical = broadcaster.broadcast_critical(&ann, &chat("critical"), NOW);
    assert_eq!(critical.connections, 2);
    let texts = |c: &mut Connection<Packet>| -> Vec<String> {
        let texts = read(c).into_iter();
        texts.map(|m| m["text"].as_str().unwrap().into()).collect()
    };
    assert_eq!(texts(&mut phone), ["all", "one", "critical"]);
    assert_eq!(texts(&mut tab), ["all", "thread", "others", "critical"]);
    assert_eq!(read(&mut other), Vec::<Value>::new());
}

#[test]
fn r002_the_result_says_what_was_done_and_never_more() {
    let hub: Engine = Hub::builder().lane_capacity(2).build().unwrap();
    let ann = scope(&hub, "ann");
    let broadcaster = Broadcaster::default();
    let unheard = broadcaster.broadcast(&ann, &chat("x"), NOW);
    assert!(!unheard.is_successful());
    assert_eq!(unheard.kind, MessageKind::Chat);
    assert_eq!(
        (unheard.connections, unheard.cut_off, unheard.at),
        (0, 0, NOW)
    );
    assert_eq!(unheard.success_rate().to_bits(), 0.0_f64.to_bits());
    assert_eq!(unheard.refused, Some(BroadcastError::NoConnections));
    assert_eq!(unheard.errors.len(), 1);
    assert_eq!(unheard.number, None);

    let mut fast = ann.connect().unwrap();
    let slow = ann.connect().unwrap();
    let (fast_id, slow_id) = (fast.id(), slow.id());
    let mut send = |audience, critical: bool| -> Broadcast {
        let done = if critical {
            broadcaster.broadcast_critical(&ann, &chat("x"), NOW)
        } else {
            broadcaster.broadcast_to(&ann, audience, &chat("x"), NOW)
        };
        read(&mut fast);
        done
    };
    // The first event that `slow` has not read stays until it is read; those behind it are a burst.
    assert!(send(Audience::All, false).is_successful());
    let whole = send(Audience::All, true);
    assert_eq!((whole.connections, whole.cut_off), (2, 0));
    assert_eq!(whole.success_rate().to_bits(), 100.0_f64.to_bits());
    assert!(send(Audience::All, false).is_successful());
    // When the lane needs the room of the critical one that `slow` has not read, it is cut off. A lane of
    // two takes three blocks of two beside for `slow`.
    let mut several = (0..2 + 3 * 2 + 2).map(|_| send(Audience::All, false));
    let half = several.find(|done| done.cut_off > 0).expect("cut off");
    assert_eq!((half.connections, half.cut_off), (2, 1));
    assert_eq!((half.deliveries(), half.is_successful()), (1, true));
    assert_eq!(half.success_rate().to_bits(), 50.0_f64.to_bits());
    // A device that is cut off counts only for the messages that are for it.
    let one = send(Audience::Connection(fast_id), false);
    assert_eq!((one.connections, one.cut_off), (1, 0));
    let others = send(Audience::Others(slow_id), false);
    assert_eq!((others.connections, others.cut_off), (1, 0));
    let lost = send(Audience::Connection(slow_id), false);
    assert!(!lost.is_successful());
    assert_eq!(lost.success_rate().to_bits(), 0.0_f64.to_bits());
    drop(slow);
}

#[test]
fn r003_trouble_is_a_value() {
    assert!(UserId::new("").is_err(), "refused before anything happens");
    let hub = Engine::new();
    let (ann, bob) = (scope(&hub, "ann"), scope(&hub, "bob"));
    let phone = ann.connect().unwrap();
    let audit = |_: &UserId, _: &[_]| panic!("the log is full");
    let broadcaster = Broadcaster::new(Isolation::default().audited(audit));
    let foreign = Audience::Connection(phone.id());
    let refused = broadcaster.broadcast_to(&bob, foreign, &chat("x"), NOW);
    assert_eq!(refused.refused, Some(BroadcastError::NoConnections));
    // A log that panics neither stops the message nor lets it out as it is.
    let dirty = chat("x").with("userId", "bob");
    assert!(broadcaster.broadcast(&ann, &dirty, NOW).is_successful());
    let mut phone = phone;
    assert_eq!(read(&mut phone)[0]["userId"], "ann");
    hub.shutdown();
    let closed = broadcaster.broadcast(&ann, &chat("x"), NOW);
    assert_eq!(closed.refused, Some(BroadcastError::Closed));
    assert!(!closed.is_successful());
}

#[test]
fn r004_r012_the_callers_message_stays_and_what_is_told_names_nobody() {
    let hub = Engine::new();
    let ann = scope(&hub, "ann");
    let mut phone = ann.connect().unwrap();
    let message = Message::new(MessageKind::Chat)
        .with("recipient_id", "bob-7")
        .with("payload", json!({"list": [{"target_user_id": "eve-7"}]}));
    let before = message.clone();
    let rewriting = Broadcaster::default();
    let done = rewriting.broadcast(&ann, &message, NOW);
    assert_eq!(message, before);
    assert!(done.is_successful() && done.refused.is_none());
    assert_eq!(done.errors.len(), 2, "one a field");
    assert_eq!(
        rewriting.stats().contaminations_prevented,
        1,
        "one a message"
    );
    let got = &read(&mut phone)[0];
    assert_eq!(got["recipient_id"], "ann");
    assert_eq!(got["payload"]["list"][0]["target_user_id"], "ann");

    let rejecting = Broadcaster::new(Isolation::new(Contamination::Reject));
    let refused = rejecting.broadcast(&ann, &message, NOW);
    assert_eq!(message, before);
    assert!(!refused.is_successful());
    assert!(matches!(
        refused.refused,
        Some(BroadcastError::Contaminated(_))
    ));
    assert!(read(&mut phone).is_empty());
    assert_eq!(rejecting.stats().contaminations_prevented, 1);
    assert_eq!(refused.errors, done.errors, "one a field, either way");
    let shown = format!("{refused:?}");
    assert!(!shown.contains("bob") && !shown.contains("eve"), "{shown}");
    for error in done.errors.iter().chain(&refused.errors) {
        assert!(!error.contains("bob") && !error.contains("eve"), "{error}");
        assert!(!error.is_empty());
    }
}

#[test]
fn r005_figures_are_exact_under_concurrency_and_outlive_every_handle() {
    const THREADS: u64 = 8;
    const EACH: u64 = 500;
    let hub = Engine::new();
    let broadcaster = Arc::new(Broadcaster::default());
    let users: Vec<_> = (0..THREADS).map(|n| scope(&hub, &n.to_string())).collect();
    // Half of the users are there, with two devices each.
    let mut devices = Vec::new();
    for user in users.iter().step_by(2) {
        devices.extend([user.connect().unwrap(), user.connect().unwrap()]);
    }
    thread::scope(|s| {
        for user in &users {
            let broadcaster = Arc::clone(&broadcaster);
            s.spawn(move || {
                for n in 0..EACH {
                    let mut message = chat("x");
                    if n % 10 == 0 {
                        message = message.with("userId", "somebody");
                    }
                    let _ = broadcaster.broadcast(user, &message, NOW);
                    let now = broadcaster.stats();
                    assert_eq!(now.total, now.successful + now.failed);
                    assert!(now.deliveries <= now.connections);
                    assert!(now.successful <= now.deliveries);
                }
            });
        }
    });
    let stats = broadcaster.stats();
    assert_eq!(stats.total, THREADS * EACH);
    assert_eq!((stats.successful, stats.failed), (2_000, 2_000));
    assert_eq!((stats.connections, stats.deliveries), (4_000, 4_000));
    assert_eq!(stats.contaminations_prevented, THREADS * EACH / 10);
    let same = |figure: f64, expected: f64| assert_eq!(figure.to_bits(), expected.to_bits());
    same(stats.connections_per_broadcast(), 1.0);
    same(stats.deliveries_per_broadcast(), 1.0);
    same(stats.success_rate(), 50.0);
    same(Broadcaster::default().stats().success_rate(), 0.0);
    drop((users, devices, hub));
    assert_eq!(broadcaster.stats(), stats);
}

#[test]
fn r006_reporting_can_be_turned_off_and_isolation_cannot() {
    let hub = Engine::new();
    let ann = scope(&hub, "ann");
    let mut phone = ann.connect().unwrap();
    let broadcaster = Broadcaster::default();
    let dirty = chat("x").with("userId", "bob");
    for flag in [
        "isolation",
        "isolation_enabled",
        "REPORTING",
        "reporting ",
        "",
    ] {
        let refused = broadcaster.set_flag(flag, false).unwrap_err();
        assert!(refused.to_string().contains("reporting"));
    }
    broadcaster.set_flag("reporting", false).unwrap();
    let done = broadcaster.broadcast(&ann, &dirty, NOW);
    assert_eq!((done.connections, done.errors.len()), (1, 1));
    assert_eq!(read(&mut phone)[0]["userId"], "ann");
    let stats = broadcaster.stats();
    assert_eq!((stats.total, stats.contaminations_prevented), (0, 1));
    broadcaster.set_flag("reporting", true).unwrap();
    let _ = broadcaster.broadcast(&ann, &dirty, NOW);
    assert_eq!(broadcaster.stats().total, 1);
}

/// Reads what each device has got and compares it with `0..count` of its own user's.
fn complete(devices: &mut [(String, Connection<Packet>)], count: u64) {
    for (user, device) in devices {
        let got = read(device);
        let numbers: Vec<_> = got.iter().map(|m| m["n"].as_u64().unwrap()).collect();
        assert_eq!(
            numbers,
            (0..count).collect::<Vec<_>>(),
            "{user}: in order, each once"
        );
        assert!(got.iter().all(|m| m["of"] == **user), "misrouted");
    }
}

fn numbered(user: &str, n: u64) -> Message {
    chat("load").with("n", n).with("of", user)
}

#[test]
fn r060_a_hundred_and_fifty_users_with_three_devices_each() {
    let hub = Engine::new();
    let broadcaster = Broadcaster::default();
    let mut devices = Vec::new();
    let users: Vec<_> = (0..150)
        .map(|n| scope(&hub, &format!("user {n}")))
        .collect();
    for user in &users {
        let name = user.user().as_str();
        devices.extend((0..3).map(|_| (name.to_owned(), user.connect().unwrap())));
    }
    let start = Barrier::new(10);
    thread::scope(|s| {
        for part in users.chunks(15) {
            let (start, broadcaster) = (&start, &broadcaster);
            s.spawn(move || {
                start.wait();
                for n in 0..30 {
                    for user in part {
                        let message = numbered(user.user().as_str(), n);
                        assert_eq!(broadcaster.broadcast(user, &message, NOW).deliveries(), 3);
                    }
                }
            });
        }
    });
    complete(&mut devices, 30);
    assert_eq!(broadcaster.stats().deliveries, 150 * 30 * 3);
}

#[test]
fn r060_fifty_connections_get_a_hundred_events_in_order_while_they_read() {
    let hub: Engine = Hub::builder()
        .max_connections_per_user(50)
        .lane_capacity(128)
        .build()
        .unwrap();
    let broadcaster = Broadcaster::default();
    let ann = scope(&hub, "ann");
    let devices: Vec<_> = (0..50).map(|_| ann.connect().unwrap()).collect();
    thread::scope(|s| {
        for mut device in devices {
            s.spawn(move || {
                for n in 0..100 {
                    let Ok(Received::Event(got)) = device.recv() else {
                        panic!("lost");
                    };
                    let got: Value = serde_json::from_str(got.event.json()).unwrap();
                    assert_eq!(got["n"], n);
                }
            });
        }
        for n in 0..100 {
            assert_eq!(
                broadcaster
                    .broadcast(&ann, &numbered("ann", n), NOW)
                    .connections,
                50
            );
        }
    });
}

#[test]
fn r060_a_thousand_broadcasts_at_once() {
    let hub: Engine = Hub::builder().lane_capacity(1_024).build().unwrap();
    let broadcaster = Broadcaster::default();
    let (ann, bob) = (scope(&hub, "ann"), scope(&hub, "bob"));
    let (mut hers, mut his) = (ann.connect().unwrap(), bob.connect().unwrap());
    let start = Barrier::new(20);
    thread::scope(|s| {
        for t in 0..20 {
            let (start, broadcaster, ann) = (&start, &broadcaster, &ann);
            s.spawn(move || {
                start.wait();
                for n in 0..50 {
                    let message = numbered("ann", 50 * t + n);
                    assert!(broadcaster.broadcast(ann, &message, NOW).is_successful());
                }
            });
        }
    });
    let mut per_thread: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for got in read(&mut hers) {
        let n = got["n"].as_u64().unwrap();
        per_thread.entry(n / 50).or_default().push(n % 50);
    }
    assert_eq!(per_thread.len(), 20);
    for got in per_thread.into_values() {
        assert_eq!(got, (0..50).collect::<Vec<_>>());
    }
    assert!(read(&mut his).is_empty());
    assert_eq!(broadcaster.stats().successful, 1_000);
}

#[test]
fn r060_bursts_of_twenty_five_while_a_device_reconnects() {
    let hub: Engine = Hub::builder().lane_capacity(1_024).build().unwrap();
    let broadcaster = Broadcaster::default();
    let ann = scope(&hub, "ann");
    let mut steady = vec![("ann".to_owned(), ann.connect().unwrap())];
    let done = std::sync::atomic::AtomicBool::new(false);
    let over = std::sync::atomic::Ordering::Relaxed;
    thread::scope(|s| {
        let reconnecting = s.spawn(|| {
            let mut connects = 0;
            while !done.load(over) || connects == 0 {
                let mut device = ann.connect().unwrap();
                // From its first event to its last nothing is missing.
                let got = read(&mut device);
                let first = got.first().map_or(0, |m| m["n"].as_u64().unwrap());
                for (n, m) in (first..).zip(&got) {
                    assert_eq!(m["n"], n % 100);
                }
                connects += 1;
            }
            connects
        });
        for burst in 0..40 {
            for n in 0..25 {
                let message = numbered("ann", 25 * (burst % 4) + n);
                assert!(broadcaster.broadcast(&ann, &message, NOW).is_successful());
            }
            if burst % 4 == 3 {
                complete(&mut steady, 100);
            }
        }
        done.store(true, over);
        assert!(reconnecting.join().unwrap() > 0);
    });
    assert_eq!(broadcaster.stats().successful, 1_000);
}

#[test]
fn r001_a_message_to_a_room_reaches_its_members_and_names_no_receiver() {
    let hub = Engine::new();
    let [ann, bob, carl] = ["ann", "bob", "carl"].map(|name| scope(&hub, name));
    let pending = scope(&hub, "pending_auth");
    let mut phones = [&ann, &bob, &carl, &pending].map(|scope| scope.connect().unwrap());
    let (oslo, rome) = (RoomId::new("Oslo").unwrap(), RoomId::new("Rome").unwrap());
    for (scope, room) in [
        (&ann, &oslo),
        (&bob, &oslo),
        (&bob, &rome),
        (&pending, &oslo),
    ] {
        scope.join(room).unwrap();
    }
    let broadcaster = Broadcaster::default();
    let both = hub.rooms([oslo.clone(), rome]);
    let done = broadcaster
        .broadcast_to_room(&both, &chat("hello"))
        .unwrap()
        .local;
    assert_eq!((done.users, done.connections, done.refused), (2, 2, 0));
    let got = phones.each_mut().map(|phone| read(phone).len());
    assert_eq!(got, [1, 1, 0, 0], "members, once, who have logged in");
    let oslo = hub.room(oslo);
    for (message, why) in [
        (chat("x").with("userId", "ann"), RoomRefusal::NamesReceiver),
        (
            chat("x").with("more", json!([{ "recipient_id": 7 }])),
            RoomRefusal::NamesReceiver,
        ),
        (
            Message::parse(br#"{"type":"chat","payload":{"userId":"bob"}}"#).unwrap(),
            RoomRefusal::NamesReceiver,
        ),
        (
            chat("x").with("deep", (0..200).fold(json!(1), |deep, _| json!([deep]))),
            RoomRefusal::TooDeep,
        ),
    ] {
        assert_eq!(
            broadcaster.broadcast_to_room(&oslo, &message),
            Err(why),
            "{message:?}"
        );
    }
    assert!(phones.iter_mut().all(|phone| read(phone).is_empty()));
    let stats = broadcaster.stats();
    assert_eq!((stats.total, stats.successful, stats.deliveries), (1, 1, 2));
    let none = hub.room(RoomId::new("none").unwrap());
    assert_eq!(
        broadcaster
            .broadcast_to_room(&none, &chat("x"))
            .unwrap()
            .local
            .users,
        0
    );
    assert_eq!(broadcaster.stats().failed, 1);
}
