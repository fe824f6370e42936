//! R136: messages of the protocol layer to a room, whose members are at two nodes, over a real nats-server and over a
//! broker inside the process.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use laneway::cluster::{
    Addressee, ClusterEvent, ClusterOptions, Codec, Loopback, NatsRelay, Node, PacketCodec, Relay,
    Relayed, Unrelayed,
};
use laneway::protocol::{
    Broadcaster, Contamination, Isolation, Message, MessageKind, Packet, RoomRefusal,
};
use laneway::{Connection, Hub, Received, RoomId, UserId};

use crate::nodes::{TICK, until};
use crate::server::Server;

/// One process: a hub, its node, the node's broadcaster, and what the node has told.
struct Place {
    hub: Hub<Packet>,
    node: Node<Packet>,
    broadcaster: Broadcaster,
    told: Arc<Mutex<Vec<ClusterEvent>>>,
}

impl Place {
    fn join(relay: impl Relay) -> Self {
        let told = Arc::<Mutex<Vec<ClusterEvent>>>::default();
        let hub = Hub::builder().lane_capacity(1024).build().unwrap();
        let tells = Arc::clone(&told);
        let options = ClusterOptions::new("chat")
            .told(move |event| tells.lock().unwrap().push(event.clone()));
        let (node, driver) = Node::join(&hub, options, PacketCodec::default(), relay).unwrap();
        tokio::spawn(driver.run(|| tokio::time::sleep(TICK)));
        Self {
            broadcaster: Broadcaster::default().relayed_by(&node),
            hub,
            node,
            told,
        }
    }

    /// A device of a user who is a member of these rooms here.
    fn member(&self, name: &str, rooms: &[&str]) -> Connection<Packet> {
        let scope = self.hub.scope(UserId::new(name).unwrap());
        let device = scope.connect().unwrap();
        for name in rooms {
            scope.join(&room(name)).unwrap();
        }
        device
    }

    /// Sends a message with this text to a room.
    fn say(&self, to: &str, text: &str) -> Relayed {
        let room = self.hub.room(room(to));
        let sent = self.broadcaster.broadcast_to_room(&room, &said(text));
        sent.unwrap().relayed.expect("of a node")
    }

    /// How many messages of room Oslo were told as missed so far.
    fn missed(&self) -> u64 {
        let told = self.told.lock().unwrap();
        let gaps = told.iter().filter_map(|event| match event {
            ClusterEvent::RoomGap {
                room: of, missed, ..
            } if *of == room("Oslo") => Some(*missed),
            _ => None,
        });
        gaps.sum()
    }
}

fn room(name: &str) -> RoomId {
    RoomId::new(name).unwrap()
}

fn said(text: &str) -> Message {
    Message::new(MessageKind::Chat).with("text", text)
}

/// The texts that a device has received.
fn texts(device: &mut Connection<Packet>) -> Vec<String> {
    let all = std::iter::from_fn(|| device.try_recv().ok());
    all.map(|received| {
        let Received::Event(next) = received else {
            panic!("{received:?}")
        };
        let message = Message::parse(next.event.json().as_bytes()).unwrap();
        message.text("text").unwrap().to_owned()
    })
    .collect()
}

/// A message as the packet that a device of its user received.
fn written(hub: &Hub<Packet>, device: &mut Connection<Packet>, message: &Message) -> Packet {
    let scope = hub.scope(device.user().clone());
    let _ = Broadcaster::default().broadcast(&scope, message, Duration::ZERO);
    let all = std::iter::from_fn(|| device.try_recv().ok());
    let Some(Received::Event(last)) = all.last() else {
        panic!("sent")
    };
    last.event
}

/// Sends from each place until each of the devices has heard both: a subscription may not have reached the server.
async fn meet(places: [&Place; 2], to: &str, devices: &mut [&mut Connection<Packet>]) {
    let mut heard = vec![[false; 2]; devices.len()];
    for _ in 0..100 {
        for (place, name) in places.iter().zip(["0", "1"]) {
            assert!(place.say(to, name).is_queued());
        }
        tokio::time::sleep(2 * TICK).await;
        for (device, heard) in devices.iter_mut().zip(&mut heard) {
            for text in texts(device) {
                heard[text.parse::<usize>().unwrap()] = true;
            }
        }
        if heard.iter().flatten().all(|heard| *heard) {
            return;
        }
    }
    panic!("the nodes hear each other");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r136_a_message_to_a_room_reaches_each_members_device_at_two_nodes_once() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let address = server.address();
    let relay = || NatsRelay::connect(&address);
    let (a, b) = (
        Place::join(relay().await.unwrap()),
        Place::join(relay().await.unwrap()),
    );
    // Ann is a member at both nodes and of both rooms, bob and carl at one. Dora is online, and no member.
    let mut anns = [
        a.member("ann", &["Oslo", "Rome"]),
        b.member("ann", &["Oslo", "Rome"]),
        b.member("ann", &[]),
    ];
    let mut bob = a.member("bob", &["Oslo"]);
    let mut carl = b.member("carl", &["Oslo"]);
    let mut others = [
        a.member("pending_auth", &["Oslo"]),
        b.member("temp_auth_7", &["Oslo"]),
        b.member("dora", &["Rome"]),
        b.member("bob", &[]),
    ];
    until("listens", || {
        [&a, &b]
            .iter()
            .all(|place| place.node.is_connected() && place.node.stats().subscribed_rooms == 2)
    })
    .await;
    let [first, second, third] = &mut anns;
    let mut members = [first, second, third, &mut bob, &mut carl];
    meet([&a, &b], "Oslo", &mut members).await;
    let queued = [&a, &b].map(|place| place.node.stats().queued);
    for turn in 0..50 {
        for (place, name) in [(&a, "a"), (&b, "b")] {
            assert!(place.say("Oslo", &format!("{name} {turn}")).is_queued());
        }
    }
    for (place, before) in [&a, &b].iter().zip(queued) {
        assert_eq!(
            place.node.stats().queued,
            before + 50,
            "one event a message"
        );
    }
    let mut got = vec![Vec::new(); members.len()];
    until("each has heard all", || {
        for (device, got) in members.iter_mut().zip(&mut got) {
            got.extend(texts(device));
        }
        got.iter().all(|got| got.len() >= 100)
    })
    .await;
    // What would come a second time, by another subject, would be there by now.
    tokio::time::sleep(3 * TICK).await;
    for (device, got) in members.iter_mut().zip(&mut got) {
        got.extend(texts(device));
        for name in ["a", "b"] {
            let own = got.iter().filter(|text| text.starts_with(name));
            let all: Vec<_> = (0..50).map(|turn| format!("{name} {turn}")).collect();
            assert!(own.eq(&all), "each once, in order: {got:?}");
        }
    }
    for device in &mut others {
        assert!(texts(device).is_empty(), "{:?} is no member", device.user());
    }
    assert_eq!((a.missed(), b.missed()), (0, 0));
    losses(&mut server, [&a, &b], &mut members).await;
}

/// The server dies and comes back. Each message comes, or is told as missed.
async fn losses(server: &mut Server, [a, b]: [&Place; 2], members: &mut [&mut Connection<Packet>]) {
    server.kill();
    until("disconnected", || !a.node.is_connected()).await;
    for _ in 0..7 {
        let relayed = a.say("Oslo", "lost");
        assert_eq!(relayed, Relayed::Dropped(Unrelayed::Disconnected));
    }
    server.restart();
    until("told", || b.missed() == 7).await;
    until("connected", || {
        a.node.is_connected() && b.node.is_connected()
    })
    .await;
    for (n, device) in members.iter_mut().enumerate() {
        let is_here = n == 0 || n == 3;
        let lost = if is_here { 7 } else { 0 };
        assert_eq!(texts(device).len(), lost, "those here have all of it");
    }
    assert_eq!(a.missed(), 0);
    assert!(a.say("Oslo", "again").is_queued());
    let mut got = vec![0; members.len()];
    until("each hears again", || {
        for (device, got) in members.iter_mut().zip(&mut got) {
            *got += texts(device).len();
        }
        got.iter().all(|got| *got == 1)
    })
    .await;
    assert_eq!(b.missed(), 7);
}

#[tokio::test]
async fn r136_a_packet_for_a_room_is_checked_at_the_node_that_receives_it() {
    let relay = Loopback::new();
    let (a, b) = (Place::join(relay.another()), Place::join(relay));
    let mut near = a.member("ann", &["Oslo"]);
    let mut far = b.member("bob", &["Oslo"]);
    let mut pending = b.member("pending_auth", &["Oslo", "Rome"]);
    until("listens", || {
        a.node.is_connected() && b.node.is_connected() && b.node.stats().subscribed_rooms == 2
    })
    .await;
    // The broadcaster refuses it at home, and nothing goes out.
    let oslo = a.hub.room(room("Oslo"));
    let private = said("x").with("to", serde_json::json!({ "userId": "ann" }));
    let refused = a.broadcaster.broadcast_to_room(&oslo, &private);
    assert_eq!(refused, Err(RoomRefusal::NamesReceiver));
    assert_eq!((near.unread(), a.node.stats().queued), (0, 0));
    // A host that goes around its broadcaster: a packet for one user, on the subject of a room.
    let taken = written(&a.hub, &mut near, &private);
    assert!(
        a.node
            .room(room("Oslo"))
            .publish(&taken)
            .relayed
            .is_queued()
    );
    until("refused", || b.node.stats().undecodable == 1).await;
    assert_eq!((far.unread(), pending.unread()), (0, 0));
    let told = b.told.lock().unwrap().clone();
    let told: Vec<_> = told
        .iter()
        .filter_map(|event| match event {
            ClusterEvent::RoomUndecodable { room, error, .. } => Some((room, error.to_string())),
            _ => None,
        })
        .collect();
    let why = RoomRefusal::NamesReceiver.to_string();
    assert!(told.len() == 1 && *told[0].0 == room("Oslo"), "{told:?}");
    assert!(told[0].1.contains(&why), "{told:?}");
    // A member who has not logged in gets nothing of either verb, and is no member who was reached.
    assert!(a.say("Oslo", "hello").is_queued());
    assert!(a.say("Rome", "hello").is_queued());
    let taken = written(&a.hub, &mut near, &said("critical"));
    let _ = a.node.room(room("Oslo")).publish_critical(&taken);
    until("delivered", || {
        b.node.stats().delivered == 2 && b.node.stats().unwanted == 1
    })
    .await;
    assert_eq!(texts(&mut far), ["hello", "critical"]);
    assert!(texts(&mut pending).is_empty());
}

#[tokio::test]
async fn r136_a_broadcaster_of_a_node_sends_to_one_room_at_a_time() {
    let place = Place::join(Loopback::new());
    let mut ann = place.member("ann", &["Oslo", "Rome"]);
    until("connected", || place.node.is_connected()).await;
    for rooms in [&["Oslo", "Rome"][..], &[]] {
        let rooms = place.hub.rooms(rooms.iter().map(|name| room(name)));
        let refused = place.broadcaster.broadcast_to_room(&rooms, &said("x"));
        assert_eq!(refused, Err(RoomRefusal::NotOneRoom));
        let alone = Broadcaster::default().broadcast_to_room(&rooms, &said("here"));
        assert_eq!(alone.unwrap().relayed, None, "of no node");
    }
    assert_eq!(
        texts(&mut ann),
        ["here"],
        "what was refused went to no user"
    );
    assert_eq!(place.node.stats().queued, 0);
    assert_eq!(place.broadcaster.stats().total, 0);
    place.hub.shutdown();
    let late = place.say("Oslo", "late");
    assert_eq!(late, Relayed::Dropped(Unrelayed::Stopped));
}

#[test]
fn r136_a_packet_for_a_room_names_no_receiver_under_any_policy() {
    let to = Addressee::Room(room("Oslo"));
    let frame = |json: &str| [b"\x04\x00\x00\x00chat", json.as_bytes()].concat();
    let deep = format!(
        r#"{{"type":"chat","a":{}{}}}"#,
        "[".repeat(127),
        "]".repeat(127)
    );
    for policy in [Contamination::Rewrite, Contamination::Reject] {
        let codec = PacketCodec::new(Isolation::new(policy));
        let read = |json: &str| codec.decode(&to, &frame(json));
        for json in [
            r#"{"type":"chat","userId":"ann"}"#,
            r#"{"type":"chat","a":[{"recipient_id":7}]}"#,
            r#"{"type":"chat","to":{"user\u0049d":"bob"}}"#,
            &deep,
            "{",
            "",
        ] {
            assert!(read(json).is_err(), "{json}");
        }
        let twice = read(r#"{"type":"chat","n":1,"n":2}"#).unwrap();
        assert_eq!(twice.json(), r#"{"type":"chat","n":2}"#);
        assert_eq!(codec.isolation().foreign_fields(), 0);
    }
}
