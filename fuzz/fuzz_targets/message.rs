//! Any bytes as a client's message. The layer parses or refuses them as a parser of values does. The JSON
//! that it delivers names no user but the receiver.
#![no_main]

use std::sync::Arc;
use std::time::Duration;

use laneway::protocol::{
    Broadcaster, Contamination, Isolation, MAX_CLEANED_BYTES, Message, MessageError, MessageKind,
    MessageRouter, Packet, ROUTING_FIELDS, clean,
};
use laneway::{Received, Hub, UserId};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const RECEIVER: &str = "ann";

fn names_others(value: &Value) -> bool {
    match value {
        Value::Array(list) => list.iter().any(names_others),
        Value::Object(object) => object.iter().any(|(name, item)| {
            if ROUTING_FIELDS.contains(&name.as_str()) {
                *item != RECEIVER
            } else {
                names_others(item)
            }
        }),
        _ => false,
    }
}

/// Delivers a message through a real hub. The receiver's device gets it once, and another user gets nothing.
/// Neither the message nor an error names another user.
fn deliver(message: &Message, receiver: &UserId) {
    let hub: Hub<Packet> = Hub::new();
    let (ann, bob) = (
        hub.scope(receiver.clone()),
        hub.scope(UserId::new("bob").expect("valid")),
    );
    let (mut hers, mut his) = (ann.connect().expect("room"), bob.connect().expect("room"));
    let broadcaster = Arc::new(Broadcaster::default());
    let done = broadcaster.broadcast(&ann, message, Duration::ZERO);
    assert_eq!(done.deliveries(), 1);
    let inbound = MessageRouter::new(Arc::clone(&broadcaster), Duration::ZERO);
    let _ = inbound.route(&ann, Some(hers.id()), message.clone(), Duration::ZERO);
    let (mut count, mut replies) = (0, Vec::new());
    while let Ok(Received::Event(got)) = hers.try_recv() {
        let delivered = serde_json::from_str(got.event.json()).expect("JSON");
        assert!(!names_others(&delivered), "{delivered}");
        count += 1;
        if count > 1 {
            replies.push(got.event.json().to_owned());
        }
    }
    // A router that faces this one says nothing to its answer.
    for reply in replies {
        let _ = inbound.route_json(&ann, Some(hers.id()), reply.as_bytes(), Duration::ZERO);
        assert!(hers.try_recv().is_err(), "{reply} was answered");
    }
    assert!(
        (1..=2).contains(&count),
        "the message, and at most one reply"
    );
    assert!(his.try_recv().is_err());
}

/// The scan finds the same as a parser: whether the input is JSON, its fields, its texts, its payload.
fn agrees(input: &[u8]) -> Option<Message> {
    let parsed = serde_json::from_slice::<Value>(input);
    let message = match Message::parse(input) {
        Ok(message) => message,
        Err(MessageError::NotJson { .. } | MessageError::NotUtf8) => {
            assert!(parsed.is_err());
            return None;
        }
        Err(_) => return None,
    };
    let mut parsed = parsed.expect("JSON");
    for name in ["text", "userId", "message_id", "payload", ""] {
        let in_payload = parsed.get("payload").and_then(|payload| payload.get(name));
        let field = in_payload.or_else(|| parsed.get(name));
        assert_eq!(message.text(name), field.and_then(Value::as_str), "{name}");
    }
    let is_rpc = matches!(
        message.kind,
        MessageKind::JsonRpcRequest | MessageKind::JsonRpcNotification
    );
    if let (Some(payload), false) = (parsed.get("payload"), is_rpc) {
        let read: Value = message.payload().expect("any value");
        assert_eq!(read, *payload);
    }
    parsed.as_object_mut().expect("an object").remove("type");
    assert_eq!(Value::Object(message.fields().clone()), parsed);
    Some(message)
}

fuzz_target!(|input: &[u8]| {
    let Some(message) = agrees(input) else {
        return;
    };
    let again = Message::parse(message.to_json().as_bytes()).expect("what goes out comes in");
    assert_eq!(again.fields(), message.fields());
    assert_eq!(
        again.to_json(),
        message.to_json(),
        "numbers as they were written"
    );
    let receiver = UserId::new(RECEIVER).expect("valid");
    deliver(&message, &receiver);
    let body = Value::Object(message.into_fields());
    assert!(clean(&body).to_string().len() <= MAX_CLEANED_BYTES);
    let dirty = names_others(&body);
    let isolation = Isolation::default();
    let isolated = isolation.check(&body, &receiver).expect("rewrites");
    assert_eq!(isolated.rewritten.is_empty(), !dirty);
    let delivered = serde_json::from_str(&isolated.body.to_string()).expect("JSON");
    assert!(!names_others(&delivered), "{delivered}");
    let rejects = Isolation::new(Contamination::Reject);
    assert_eq!(rejects.check(&body, &receiver).is_err(), dirty);
});
