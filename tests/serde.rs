//! R094: what the values of the crate are written as by serde, and what is not read.

use std::fmt::Debug;

use laneway::protocol::{
    BroadcastStats, Broadcaster, ConfirmationStats, ConfirmationSweep, Message, MessageKind,
    MessageRouter, QualityReach, RequestId, RunId, RunStats, RunsEnded,
};
use laneway::{
    BatchDelivery, ConnectionId, ConnectionInfo, ConnectionStats, Delivered, Delivery, Hub,
    HubStats, Imbalance, Notice, Position, Received, Recovered, Resumed, Retention, RoomDelivery,
    ThreadId, UserId, UserScope, Visited,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, from_value, json, to_value};

/// Reads what it writes, and returns what that is.
fn both_ways<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) -> Value {
    let written = to_value(value).unwrap();
    assert_eq!(&from_value::<T>(written.clone()).unwrap(), value);
    let text = serde_json::to_string(value).unwrap();
    assert_eq!(&serde_json::from_str::<T>(&text).unwrap(), value);
    written
}

fn ann() -> (Hub<String>, UserScope<String>) {
    let retention = Some(Retention::events(8));
    let hub = Hub::builder().retention(retention).build().unwrap();
    let ann = hub.scope(UserId::new("ann").unwrap());
    (hub, ann)
}

#[test]
fn r094_ids_and_positions_are_written_as_their_texts() {
    let long = "é".repeat(100);
    for text in ["ann", "a b", &long] {
        assert_eq!(both_ways(&UserId::new(text).unwrap()), json!(text));
        assert_eq!(both_ways(&ThreadId::new(text).unwrap()), json!(text));
        assert_eq!(both_ways(&RunId::new(text).unwrap()), json!(text));
        assert_eq!(both_ways(&RequestId::new(text).unwrap()), json!(text));
    }
    let (_hub, ann) = ann();
    let phone = ann.connect().unwrap();
    assert_eq!(both_ways(&phone.id()), json!(phone.id().to_string()));
    let position = phone.position();
    assert_eq!(both_ways(&position), json!(position.to_string()));
}

#[test]
fn r094_an_invalid_id_or_position_is_an_error_of_the_deserialiser() {
    let long = "x".repeat(201);
    for bad in [
        json!(""),
        json!(" ann"),
        json!("a\nb"),
        json!(long),
        json!(7),
        json!(null),
    ] {
        assert!(from_value::<UserId>(bad.clone()).is_err(), "{bad}");
        assert!(from_value::<ThreadId>(bad.clone()).is_err(), "{bad}");
        assert!(from_value::<RunId>(bad.clone()).is_err(), "{bad}");
        assert!(from_value::<RequestId>(bad.clone()).is_err(), "{bad}");
        assert!(from_value::<Position>(bad.clone()).is_err(), "{bad}");
    }
    for bad in [
        json!(7),
        json!("-7"),
        json!("07"),
        json!("18446744073709551616"),
    ] {
        assert!(from_value::<ConnectionId>(bad.clone()).is_err(), "{bad}");
    }
    // The error says which rule was broken, and nothing of the text.
    let error = from_value::<UserId>(json!(" secret"))
        .unwrap_err()
        .to_string();
    assert_eq!(error, "an id must not begin or end with a blank");
    // An id inside of another value is checked too.
    let notice = json!({"user": "", "session": 0, "number": 0, "change": "Online"});
    assert!(from_value::<Notice>(notice).is_err());
}

#[test]
fn r094_what_is_received_and_told_is_written_and_read() {
    let (hub, ann) = ann();
    let notices = hub.lifecycle(16).unwrap();
    let mut phone = ann.connect().unwrap();
    let delivery = ann.publish("hello".to_owned()).unwrap();
    let written = both_ways::<Delivery>(&delivery);
    assert_eq!(
        written,
        json!({"number": 0, "connections": 1, "kept": true})
    );
    let received = phone.try_recv().unwrap();
    let event = json!({"number": 0, "event": "hello", "origin": "Live"});
    assert_eq!(
        both_ways::<Received<String>>(&received),
        json!({"Event": event})
    );
    let Received::Event(delivered) = received else {
        panic!("a gap");
    };
    assert_eq!(both_ways::<Delivered<String>>(&delivered), event);
    both_ways::<BatchDelivery>(&ann.publish_batch(["a".to_owned()]).unwrap());
    both_ways::<RoomDelivery>(&hub.announcer().publish(&"b".to_owned()));
    both_ways::<Recovered>(&phone.recover());
    both_ways::<Visited>(&phone.visit(9, |_, _| ()).unwrap());
    let position = phone.position();
    ann.disconnect(phone.id(), 4000);
    let (_laptop, resumed) = ann.resume(&position).unwrap();
    both_ways::<Resumed>(&resumed);
    let told = std::iter::from_fn(|| notices.try_next().ok());
    let told: Vec<_> = told.map(|notice| both_ways::<Notice>(&notice)).collect();
    assert_eq!(told[0]["change"], json!("Online"));
    let id = phone.id().to_string();
    assert_eq!(
        told[2]["change"],
        json!({"Disconnected": {"connection": id, "reason": {"Disconnected": {"code": 4000}}}})
    );
}

#[test]
fn r094_figures_are_written_and_read() {
    let (hub, ann) = ann();
    let phone = ann.connect().unwrap();
    assert_eq!(both_ways::<HubStats>(&hub.stats())["connections"], 1);
    both_ways::<ConnectionStats>(&phone.stats());
    let list = both_ways::<Vec<ConnectionInfo>>(&ann.connections());
    assert_eq!(list[0]["id"], json!(phone.id().to_string()));
    let law = Err(Imbalance::Connection(phone.stats()));
    both_ways::<Result<(), Imbalance>>(&law);
    let broadcaster = Broadcaster::default();
    let engine = Hub::new();
    let user = engine.scope(UserId::new("bob").unwrap());
    let chat = Message::new(MessageKind::Chat);
    let _ = broadcaster.broadcast(&user, &chat, std::time::Duration::ZERO);
    assert_eq!(
        both_ways::<BroadcastStats>(&broadcaster.stats())["failed"],
        1
    );
    both_ways(&ConfirmationStats::default());
    both_ways(&ConfirmationSweep::default());
    both_ways(&RunStats::default());
    both_ways(&RunsEnded::default());
    both_ways(&QualityReach::default());
    let router = MessageRouter::new(std::sync::Arc::default(), std::time::Duration::ZERO);
    let _ = router.route_json(
        &user,
        None,
        br#"{"type":"ping"}"#,
        std::time::Duration::ZERO,
    );
    assert_eq!(to_value(router.stats()).unwrap()["per_type"]["ping"], 1);
    // A figure that is missing, or no number, is not read as 0.
    assert!(from_value::<HubStats>(json!({})).is_err());
    assert!(from_value::<Visited>(json!({"events": -1, "missed": 0})).is_err());
}
