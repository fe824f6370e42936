//! The one scan of a client's bytes beside the check by a tree of values.

use std::collections::BTreeMap;

use laneway::UserId;
use laneway::protocol::{
    Isolation, Message, MessageError, MessageKind, MessageLimits, ROUTING_FIELDS,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::reference;
use crate::writer::Writer;

fn limits(depth: usize) -> MessageLimits {
    MessageLimits {
        depth,
        ..MessageLimits::default()
    }
}

#[test]
fn r086_depth_is_bounded_as_by_the_tree_and_so_is_the_stack() {
    for levels in [1, 2, 31, 32, 33, 126, 127, 128, 129, 500] {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            let body = format!("{}1{}", open.repeat(levels), close.repeat(levels));
            let message = format!(r#"{{"type":"chat","b":{body}}}"#);
            for json in [&body, &message, &body[..levels * open.len()].to_owned()] {
                for depth in [0, 32, 126, 127, usize::MAX] {
                    agree(json.as_bytes(), limits(depth));
                }
            }
        }
    }
    // Of two faults the parser sees the first one.
    for json in [
        r#"{"a":1e999,"b":[[[1]]]}"#,
        r#"{"b":[[[1]]],"a":1e999}"#,
        r#"{"a":1e999,"b":]}"#,
    ] {
        agree(json.as_bytes(), limits(2));
    }
    let deep = "[".repeat(250_000);
    let scan = move || Message::parse(deep.as_bytes()).is_err();
    let small = std::thread::Builder::new().stack_size(512 * 1024);
    assert!(small.spawn(scan).unwrap().join().unwrap());
}

fn names_receiver(value: &Value) -> bool {
    match value {
        Value::Array(list) => list.iter().any(names_receiver),
        Value::Object(object) => object.iter().any(|(name, value)| {
            ROUTING_FIELDS.contains(&name.as_str()) && value != "ann" || names_receiver(value)
        }),
        _ => false,
    }
}

/// Asserts that the scan and the tree agree on these bytes.
fn agree(json: &[u8], limits: MessageLimits) {
    let shown = String::from_utf8_lossy(json);
    let expected = reference::parse(json, limits);
    let message = match (Message::parse_within(json, limits), expected) {
        (Ok(message), Ok((kind, fields))) => {
            assert_eq!(
                (&message.kind, message.fields()),
                (&kind, &fields),
                "{shown}"
            );
            message
        }
        (found, expected) => {
            let found = found.map(|message| (message.kind.clone(), message.into_fields()));
            assert_eq!(found, expected, "{shown}");
            return;
        }
    };
    let fields = message.fields().clone();
    let fresh = || Message::parse_within(json, limits).unwrap();
    for name in [
        "text",
        "type",
        "id",
        "message_id",
        "payload",
        "userId",
        "",
        "\u{e9}",
    ] {
        let payload = fields.get("payload").and_then(|payload| payload.get(name));
        let field = payload.or_else(|| fields.get(name));
        assert_eq!(
            fresh().text(name),
            field.and_then(Value::as_str),
            "{name} of {shown}"
        );
        assert_eq!(fresh().field(name), field, "{name} of {shown}");
    }
    let is_rpc = matches!(
        message.kind,
        MessageKind::JsonRpcRequest | MessageKind::JsonRpcNotification
    );
    let found = match fields.get(if is_rpc { "params" } else { "payload" }) {
        Some(payload) => Some(payload.clone()),
        None if is_rpc => Some(json!({})),
        None => serde_json::from_slice(json).ok(),
    };
    let read = fresh().payload::<Value>().unwrap();
    if fields.contains_key("payload") || is_rpc {
        assert_eq!(Some(read), found, "{shown}");
    } else {
        // An alias may stand for its type.
        let mut read = read;
        let read = read.as_object_mut().unwrap();
        read.remove("type");
        assert_eq!(*read, fields, "{shown}");
    }
    let (ann, isolation) = (UserId::new("ann").unwrap(), Isolation::default());
    let message = fresh();
    let (isolated, rewritten) = isolation.check_message(&message, &ann).unwrap();
    assert_eq!(
        rewritten.is_empty(),
        !names_receiver(&Value::Object(fields)),
        "{shown}"
    );
    assert!(
        !names_receiver(&serde_json::from_str(&isolated.to_json()).unwrap()),
        "{shown}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn r086_the_scan_agrees_with_the_tree(choices in prop::collection::vec(any::<u8>(), 0..400)) {
        agree(Writer::json(&choices).as_bytes(), MessageLimits::default());
    }

    #[test]
    fn r086_the_scan_agrees_with_the_tree_on_changed_bytes(
        choices in prop::collection::vec(any::<u8>(), 0..200),
        at in any::<prop::sample::Index>(),
        byte in prop_oneof![any::<u8>(), prop::sample::select(b"\"\\{}[]:,0-.eE \x00\x1f\x7f\xff".to_vec())],
        inserts: bool,
    ) {
        let mut json = Writer::json(&choices).into_bytes();
        let at = at.index(json.len());
        if inserts { json.insert(at, byte) } else { json[at] = byte }
        agree(&json, limits(4));
    }

    #[test]
    fn r086_the_scan_agrees_with_the_tree_on_any_bytes(json: Vec<u8>) {
        agree(&json, MessageLimits::default());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn r086_the_scan_agrees_with_the_tree_on_what_is_cut_at_every_byte(
        choices in prop::collection::vec(any::<u8>(), 0..120),
    ) {
        let json = Writer::json(&choices);
        for end in 0..=json.len() {
            agree(&json.as_bytes()[..end], MessageLimits::default());
        }
    }
}

#[test]
fn r086_the_writer_writes_all_that_matters() {
    let mut seen = BTreeMap::new();
    #[allow(clippy::cast_possible_truncation)] // A byte of it.
    for seed in 0_u64..4_000 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let choices: Vec<u8> = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .take(200)
        .collect();
        let json = Writer::json(&choices);
        let what = match Message::parse(json.as_bytes()) {
            Ok(_) => "ok",
            Err(MessageError::NotJson { .. }) => "not json",
            Err(error) => error.code(),
        };
        *seen.entry(what).or_insert(0) += 1;
    }
    for what in [
        "ok",
        "not json",
        "MESSAGE_WITHOUT_TYPE",
        "MESSAGE_NUMBER_INEXACT",
    ] {
        assert!(seen.get(what).is_some_and(|count| *count > 100), "{seen:?}");
    }
}
