//! Any bytes as a client's message: parsed or refused, and whatever is delivered of it names nobody
//! but its receiver, in the JSON that is written.
#![no_main]

use laneway::UserId;
use laneway::protocol::{Contamination, Isolation, Message, ROUTING_FIELDS};
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

fuzz_target!(|input: &[u8]| {
    let Ok(message) = Message::parse(input) else {
        return;
    };
    let again = Message::parse(message.to_json().as_bytes()).expect("what goes out comes in");
    assert_eq!(again.fields, message.fields);
    let receiver = UserId::new(RECEIVER).expect("valid");
    let body = Value::Object(message.fields);
    let dirty = names_others(&body);
    let isolation = Isolation::default();
    let isolated = isolation.check(&body, &receiver).expect("rewrites");
    assert_eq!(isolated.rewritten.is_empty(), !dirty);
    let delivered = serde_json::from_str(&isolated.body.to_string()).expect("JSON");
    assert!(!names_others(&delivered), "{delivered}");
    let rejects = Isolation::new(Contamination::Reject);
    assert_eq!(rejects.check(&body, &receiver).is_err(), dirty);
});
