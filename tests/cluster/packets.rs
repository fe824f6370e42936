//! The protocol layer in a cluster: one broadcaster at every node, and the check of what comes from another node.

use std::time::Duration;

use laneway::cluster::{Addressee, ClusterOptions, Codec, Loopback, Node, PacketCodec, Relayed};
use laneway::protocol::{
    Audience, Broadcaster, Contamination, Isolation, Message, MessageKind, Packet,
};
use laneway::{Connection, Hub, Received, ThreadId, UserId};

use crate::nodes::{TICK, until};

fn node(hub: &Hub<Packet>, relay: Loopback) -> Node<Packet> {
    let options = ClusterOptions::new("chat");
    let (node, driver) = Node::join(hub, options, PacketCodec::default(), relay).unwrap();
    tokio::spawn(driver.run(|| tokio::time::sleep(TICK)));
    node
}

fn texts(device: &mut Connection<Packet>) -> Vec<String> {
    let all = std::iter::from_fn(|| device.try_recv().ok());
    all.map(|received| match received {
        Received::Event(next) => next.event.json().to_owned(),
        other => panic!("{other:?}"),
    })
    .collect()
}

#[tokio::test]
async fn r134_what_a_broadcaster_sends_reaches_the_users_devices_at_every_node() {
    let (here, there) = (Hub::new(), Hub::new());
    let relay = Loopback::new();
    let (a, b) = (node(&here, relay.another()), node(&there, relay));
    let broadcaster = Broadcaster::default().relayed_by(&a);
    let id = UserId::new("ann").unwrap();
    let ann = here.scope(id.clone());
    let mut far = there.scope(id).connect().unwrap();
    until("listens", || b.stats().subscribed == 1 && a.is_connected()).await;
    let now = Duration::ZERO;
    let chat = |n: u64| Message::new(MessageKind::AgentProgress).with("n", n);
    // No device is here, and the message goes on all the same.
    let sent = broadcaster.broadcast(&ann, &chat(0), now);
    assert_eq!((sent.connections, sent.relayed), (0, Some(Relayed::Queued)));
    let mut near = ann.connect().unwrap();
    let sent = broadcaster.broadcast_critical(&ann, &chat(1), now);
    assert_eq!((sent.connections, sent.relayed), (1, Some(Relayed::Queued)));
    let others = broadcaster.broadcast_to(&ann, Audience::Others(near.id()), &chat(2), now);
    assert_eq!(others.relayed, Some(Relayed::Queued));
    let only = broadcaster.broadcast_to(&ann, Audience::Connection(near.id()), &chat(3), now);
    assert_eq!(only.relayed, Some(Relayed::Local));
    let thread = ThreadId::new("Oslo").unwrap();
    let attached = broadcaster.broadcast_to(&ann, Audience::Thread(&thread), &chat(4), now);
    assert_eq!(attached.relayed, Some(Relayed::Queued));
    until("delivered", || {
        b.stats().delivered == 3 && b.stats().unwanted == 1
    })
    .await;
    let text = |n: u64| format!(r#"{{"type":"agent_update","n":{n}}}"#);
    assert_eq!(texts(&mut far), [text(0), text(1), text(2)]);
    assert_eq!(texts(&mut near), [text(1), text(3)]);
    here.shutdown();
    let closed = broadcaster.broadcast(&ann, &chat(5), now);
    assert_eq!(
        closed.relayed, None,
        "a hub that is shut down sends nothing"
    );
}

#[test]
fn r134_a_packet_of_another_node_is_checked_as_one_of_this_node() {
    let to = Addressee::User(UserId::new("ann").unwrap());
    let codec = PacketCodec::default();
    let frame = |kind: &str, json: &str| {
        let mut bytes = (kind.len() as u32).to_le_bytes().to_vec();
        bytes.extend_from_slice(kind.as_bytes());
        bytes.extend_from_slice(json.as_bytes());
        bytes
    };
    let read = |json: &str| codec.decode(&to, &frame("chat", json));
    for json in [
        r#"{"type":"chat","to":{"userId":"bob"}}"#,
        r#"{"type":"chat","to":{"userId":"bob","userId":"ann"}}"#,
        r#"{"type":"chat","to":{"user\u0049d":"bob"}}"#,
    ] {
        let packet = read(json).unwrap();
        assert_eq!(
            packet.json(),
            r#"{"type":"chat","to":{"userId":"ann"}}"#,
            "{json}"
        );
    }
    assert_eq!(codec.isolation().contaminations_prevented(), 2);
    let strict = PacketCodec::new(Isolation::new(Contamination::Reject));
    let refused = strict.decode(&to, &frame("chat", r#"{"type":"chat","userId":"bob"}"#));
    assert!(!refused.unwrap_err().to_string().contains("bob"));
    for json in ["", "[]", "{", "{\"type\":\"chat\"", "null", "\u{0}"] {
        assert!(read(json).is_err(), "{json}");
    }
    for bytes in [
        &b""[..],
        b"\x01",
        b"\xff\xff\xff\xff{}",
        b"\x01\x00\x00\x00\xff{}",
    ] {
        assert!(codec.decode(&to, bytes).is_err());
    }
    let unknown = UserId::new("pending_auth").unwrap().into();
    assert!(
        codec
            .decode(&unknown, &frame("chat", r#"{"type":"chat"}"#))
            .is_err()
    );
}

#[test]
fn r134_packets_of_every_kind_come_back_as_they_were_sent() {
    let (hub, codec) = (Hub::new(), PacketCodec::default());
    let id = UserId::new("ann").unwrap();
    let (ann, to) = (hub.scope(id.clone()), Addressee::User(id));
    let mut phone = ann.connect().unwrap();
    let kinds = MessageKind::KNOWN.iter().cloned();
    for kind in kinds.chain([MessageKind::Unknown("a\nb \"c\" ü".into())]) {
        let message = Message::new(kind)
            .with("price", 1.5)
            .with("id", u64::MAX)
            .with("text", "é\n\u{0}")
            .with("userId", "ann");
        let _ = Broadcaster::default().broadcast(&ann, &message, Duration::ZERO);
        let Ok(Received::Event(sent)) = phone.try_recv() else {
            panic!("sent")
        };
        let mut bytes = Vec::new();
        codec.encode(&sent.event, &mut bytes).unwrap();
        assert_eq!(codec.decode(&to, &bytes).unwrap(), sent.event);
    }
}
