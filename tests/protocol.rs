//! Messages, isolation of bodies, contexts: a test a requirement, cited by its number.
#![cfg(all(feature = "protocol", not(any(laneway_loom, laneway_shuttle))))]
#![allow(clippy::disallowed_types)] // What an audit was told is kept under a lock.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use laneway::protocol::{
    Contamination, ContextError, Isolation, MAX_DEPTH, Message, MessageError, MessageKind,
    MessageLimits, ROUTING_FIELDS, RunId, UserContext,
};
use laneway::{ThreadId, UserId};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn kind(json: &str) -> MessageKind {
    Message::parse(json.as_bytes()).unwrap().kind
}

#[test]
fn r031_every_type_comes_in_and_goes_out() {
    let types = "connect disconnect connection connection_established heartbeat heartbeat_ack ping pong \
        user_message chat system_message error_message user_typing agent_typing typing_started typing_stopped \
        start_agent agent_start agent_started agent_complete agent_completed agent_thinking agent_progress \
        agent_error agent_request agent_task agent_task_ack agent_response agent_response_chunk \
        agent_response_complete agent_status_request agent_status_update tool_execute tool_executing \
        tool_complete tool_completed thread_update thread_message broadcast broadcast_test direct_message \
        room_message batch jsonrpc_request jsonrpc_response jsonrpc_notification resilience_test recovery_test \
        quality_metrics";
    // r040: and those of the quality messages that are no types of r031's list.
    let quality =
        " get_quality_metrics subscribe_quality_alerts validate_content generate_quality_report";
    let types = types.to_owned() + quality;
    let mut seen = HashSet::new();
    for name in types.split_whitespace() {
        let kind = kind(&json!({"type": name}).to_string());
        assert_eq!(kind.name(), name);
        assert!(seen.insert(kind), "{name} is a type of its own");
    }
    assert_eq!(seen, MessageKind::KNOWN.iter().cloned().collect());
}

#[test]
fn r032_aliases_are_normalised_on_the_way_in_and_renames_made_on_the_way_out() {
    let aliases = [
        ("connect", "connected"),
        ("user_message", "user user_input chat_message message"),
        ("agent_request", "agent"),
        ("agent_status_update", "agent_status agent_update"),
        ("agent_error", "agent_failed agent_fallback"),
        ("start_agent", "execute_agent EXECUTE_AGENT"),
        ("thread_update", "thread"),
        ("system_message", "system"),
        (
            "connection_established",
            "factory_connection_established isolated_connection_established legacy_connection_established",
        ),
        ("agent_response", "legacy_response"),
        ("heartbeat", "legacy_heartbeat"),
        ("user_typing", "typing"),
        ("error_message", "error"),
    ];
    let mut all = 0;
    for (name, others) in aliases {
        let canonical = MessageKind::from_name(name);
        for alias in others.split_whitespace() {
            assert_eq!(MessageKind::from_name(alias), canonical, "{alias}");
            assert!(canonical.aliases().contains(&alias));
            all += 1;
        }
    }
    let known = MessageKind::KNOWN.iter();
    assert_eq!(known.map(|kind| kind.aliases().len()).sum::<usize>(), all);
    let renamed = [
        ("agent_response", "agent_completed"),
        ("agent_progress", "agent_update"),
        ("thread_update", "thread_updated"),
        ("error_message", "error"),
    ];
    for kind in MessageKind::KNOWN {
        let out = renamed.iter().find(|(name, _)| *name == kind.name());
        assert_eq!(
            kind.outbound_name(),
            out.map_or(kind.name(), |(_, out)| out)
        );
        let json: Value = serde_json::from_str(&Message::new(kind.clone()).to_json()).unwrap();
        assert_eq!(json, json!({"type": kind.outbound_name()}));
    }
    // Names are not made similar: case and blanks count.
    for name in [
        "Connect",
        "CONNECT",
        " connect",
        "Execute_Agent",
        "agent-request",
    ] {
        assert_eq!(
            MessageKind::from_name(name),
            MessageKind::Unknown(name.into())
        );
    }
}

#[test]
fn r035_an_unknown_type_survives_with_all_its_fields() {
    let text = r#"{"type":"new_thing","payload":{"a":[1,null]},"extra":"x"}"#;
    let message = Message::parse(text.as_bytes()).unwrap();
    assert_eq!(message.kind, MessageKind::Unknown("new_thing".into()));
    assert_eq!(message.kind.to_string(), "new_thing");
    let back: Value = serde_json::from_str(&message.to_json()).unwrap();
    assert_eq!(back, serde_json::from_str::<Value>(text).unwrap());
}

#[test]
fn r035_what_is_no_message_is_told_to_its_sender() {
    use MessageError::{BadType, NoType, NotAnObject, NotUtf8, TooDeep, TooLong};
    let nested = |depth: usize| {
        let open = r#"{"a":"#.repeat(depth - 1);
        let close = "}".repeat(depth - 1);
        format!(r#"{{"type":"chat","a":{open}1{close}}}"#).into_bytes()
    };
    let parse = |json: &[u8]| Message::parse(json).unwrap_err();
    for (json, error) in [
        ("{}", NoType),
        (r#"{"type":null}"#, NoType),
        (r#"{"type":""}"#, BadType),
        (r#"{"type":"  "}"#, BadType),
        (r#"{"type":7}"#, BadType),
        (r#"{"type":["chat"]}"#, BadType),
        ("[]", NotAnObject),
        ("null", NotAnObject),
        (r#""chat""#, NotAnObject),
    ] {
        assert_eq!(parse(json.as_bytes()), error, "{json}");
    }
    assert_eq!(parse(b"{\"type\":\"\xff\"}"), NotUtf8);
    assert!(matches!(parse(b""), MessageError::NotJson { line: 1, .. }));
    assert_eq!(
        parse(b"{\"type\":\n \"chat\" x}"),
        MessageError::NotJson { line: 2, column: 9 }
    );
    assert!(Message::parse(&nested(32)).is_ok());
    assert_eq!(parse(&nested(33)), TooDeep { limit: 32 });
    assert!(matches!(
        parse(&nested(200_000 / 5)),
        MessageError::NotJson { .. }
    ));
    let limit = MessageLimits::default().bytes;
    let long = format!(r#"{{"type":"chat","text":"{}"}}"#, "x".repeat(1 << 20));
    assert_eq!(parse(long.as_bytes()), TooLong { limit });
    let limits = MessageLimits {
        bytes: long.len(),
        depth: 1,
    };
    let whole = Message::parse_within(long.as_bytes(), limits).unwrap();
    assert_eq!(whole.text("text").map(str::len), Some(1 << 20));
    // Machines get a word of their own for each.
    let errors = [
        TooLong { limit },
        TooDeep { limit },
        NotUtf8,
        NotAnObject,
        NoType,
        BadType,
    ];
    let codes: HashSet<_> = errors.iter().map(MessageError::code).collect();
    assert_eq!(codes.len(), errors.len());
}

#[test]
fn r041_a_field_comes_from_the_payload_first_and_then_from_the_message() {
    let json = br#"{"type":"chat","thread_id":"top","run_id":"r","payload":{"thread_id":"inner"}}"#;
    let message = Message::parse(json).unwrap();
    assert_eq!(message.text("thread_id"), Some("inner"));
    assert_eq!(message.text("run_id"), Some("r"));
    assert_eq!(message.text("request_id"), None);
}

#[test]
fn r010_fields_that_name_another_receiver_are_rewritten_at_every_depth_and_of_every_type() {
    let body = json!({
        "recipient_id": "bob",
        "list": [{"target_user_id": 7}, [{"userId": null}], "userId"],
        "deep": {"a/b": {"~": {"userId": {"userId": "ann"}}}},
        "ok": {"recipient_id": "ann", "userid": "bob", "user": "bob"},
        "flags": [{"userId": true}, {"userId": ["ann"]}, {"userId": ""}]
    });
    let before = body.clone();
    let isolation = Isolation::default();
    let isolated = isolation.check(&body, &user("ann")).unwrap();
    assert_eq!(body, before, "r004: the caller's own is never changed");
    let expected = json!({
        "recipient_id": "ann",
        "list": [{"target_user_id": "ann"}, [{"userId": "ann"}], "userId"],
        "deep": {"a/b": {"~": {"userId": "ann"}}},
        "ok": {"recipient_id": "ann", "userid": "bob", "user": "bob"},
        "flags": [{"userId": "ann"}, {"userId": "ann"}, {"userId": "ann"}]
    });
    assert_eq!(*isolated.body, expected);
    // One error a field, one count a message, and each path is where it was.
    assert_eq!(isolated.rewritten.len(), 7);
    assert_eq!(isolation.foreign_fields(), 7);
    assert_eq!(isolation.contaminations_prevented(), 1);
    for foreign in &isolated.rewritten {
        assert_eq!(body.pointer(&foreign.path), Some(&foreign.found));
        assert!(foreign.path.ends_with(foreign.field));
    }
    assert!(
        isolation
            .check(&isolated.body, &user("ann"))
            .unwrap()
            .rewritten
            .is_empty()
    );
}

#[test]
fn r010_a_body_may_be_refused_instead() {
    let isolation = Isolation::new(Contamination::Reject);
    let body = json!({"userId": "bob-the-builder", "x": {"recipient_id": "eve"}});
    let refused = isolation.check(&body, &user("ann")).unwrap_err();
    assert_eq!(refused.fields.len(), 2);
    assert_eq!(isolation.contaminations_prevented(), 1);
    // r012: the text names no user.
    let shown = refused.to_string();
    assert!(shown.contains("userId") && shown.contains("recipient_id"));
    assert!(!shown.contains("bob") && !shown.contains("eve"));
    assert!(
        isolation
            .check(&json!({"userId": "ann"}), &user("ann"))
            .is_ok()
    );
    assert_eq!(isolation.contaminations_prevented(), 1);
}

#[test]
fn r010_escaped_names_and_names_that_stand_twice_count() {
    let isolation = Isolation::default();
    for json in [
        r#"{"type":"chat","\u0075serId":"bob"}"#,
        r#"{"type":"chat","userId":"ann","userId":"bob"}"#,
        r#"{"type":"chat","userId":"bob","\u0075ser\u0049d":"ann"}"#,
    ] {
        let message = Message::parse(json.as_bytes()).unwrap();
        let body = Value::Object(message.into_fields());
        let isolated = isolation.check(&body, &user("ann")).unwrap();
        let delivered = isolated.body.to_string();
        assert!(!delivered.contains("bob"), "{json} became {delivered}");
        assert!(delivered.contains(r#""userId":"ann""#));
    }
}

#[test]
fn r011_where_something_is_from_is_delivered_as_given() {
    let body = json!({
        "user_id": "bob", "sender_id": 7, "creator_id": null, "owner_id": ["eve"],
        "audit": {"user_id": "bob", "seen_by": ["eve"]}
    });
    let isolation = Isolation::new(Contamination::Reject);
    let isolated = isolation.check(&body, &user("ann")).unwrap();
    assert!(matches!(isolated.body, Cow::Borrowed(same) if std::ptr::eq(same, &raw const body)));
    assert_eq!(isolation.contaminations_prevented(), 0);
}

#[test]
fn r012_the_audit_gets_the_full_facts() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let audit = Arc::clone(&told);
    let isolation = Isolation::default().audited(move |receiver, fields| {
        audit
            .lock()
            .unwrap()
            .push((receiver.clone(), fields.to_vec()));
    });
    isolation.check(&json!({"a": 1}), &user("ann")).unwrap();
    isolation
        .check(&json!([{"userId": "bob"}]), &user("ann"))
        .unwrap();
    let told = told.lock().unwrap();
    let [(receiver, fields)] = told.as_slice() else {
        panic!("once a body that is not clean: {told:?}");
    };
    assert_eq!(*receiver, user("ann"));
    assert_eq!(
        (fields[0].path.as_str(), &fields[0].found),
        ("/0/userId", &json!("bob"))
    );
}

#[test]
fn a_clean_body_is_checked_without_an_allocation() {
    let isolation = Isolation::default();
    let item = json!({"userId": "ann", "text": "x".repeat(50), "list": [1, 2, {"a": null}]});
    let body = json!({"items": vec![item; 20]});
    let ann = user("ann");
    let count = allocation_counter::measure(|| {
        assert!(isolation.check(&body, &ann).is_ok());
    });
    assert_eq!(count.count_total, 0);
}

fn context(user: &str, thread: &str, run: &str) -> Result<UserContext, ContextError> {
    let (user, thread) = (UserId::new(user)?, ThreadId::new(thread)?);
    UserContext::builder(user, thread, RunId::new(run)?).build()
}

#[test]
fn r017_ids_of_a_context_name_somebody() {
    let exact = "registry placeholder default temp none null undefined 0 1 xxx yyy example test demo sample \
        template mock fake dummy";
    let prefixes =
        "placeholder_ registry_ temp_ example_ demo_ sample_ template_ mock_ fake_ default_ test_";
    let long = |prefix: &str| format!("{prefix}{}", "x".repeat(100));
    let bad = exact.split_whitespace().map(str::to_owned);
    for id in bad.chain(prefixes.split_whitespace().map(long)) {
        for id in [id.clone(), id.to_uppercase()] {
            let told = |field| Err(ContextError::Placeholder { id: field });
            assert_eq!(context(&id, "t-1", "r-1"), told("user"), "{id}");
            assert_eq!(context("ann", &id, "r-1"), told("thread"), "{id}");
            assert_eq!(context("ann", "t-1", &id), told("run"), "{id}");
            assert!(UserId::new(&id).is_ok(), "the engine's ids may be anything");
        }
    }
    for id in
        "default_user default_admin default_system default_account default_service default_client \
        default_guest Default_User tester 2 01 nonesuch xxxx testing"
            .split_whitespace()
    {
        assert!(context(id, "t-1", "r-1").is_ok(), "{id}");
    }
    for id in [
        "pending_auth",
        "awaiting_auth",
        "temp_auth_7",
        "PENDING_AUTH",
    ] {
        assert_eq!(
            context(id, "t-1", "r-1"),
            Err(ContextError::Unauthenticated)
        );
    }
    let builder = |id| {
        UserContext::builder(
            user(id),
            ThreadId::new("t").unwrap(),
            RunId::new("r").unwrap(),
        )
    };
    assert!(builder("test_7").allow_test_ids().build().is_ok());
    assert!(builder("temp_7").allow_test_ids().build().is_err());
    assert!(builder("temp_auth_7").allow_test_ids().build().is_err());
    assert!(matches!(
        context(" ann", "t", "r"),
        Err(ContextError::InvalidId(_))
    ));
}

#[test]
fn r018_a_context_is_fixed_and_its_children_are_its_own() {
    let metadata = |n: u64| Map::from_iter([("n".to_owned(), n.into())]);
    let id = |name: &str| ThreadId::new(name).unwrap();
    let first = UserContext::builder(user("ann"), id("t-1"), RunId::new("r-1").unwrap())
        .metadata(metadata(1))
        .build()
        .unwrap();
    assert_eq!((first.depth(), first.parent()), (0, None));
    let mut requests = HashSet::from([first.request().clone()]);
    let mut parent = first.clone();
    for depth in 1..=MAX_DEPTH {
        let child = parent.child(metadata(depth.into())).unwrap();
        assert_eq!(
            (child.user(), child.thread(), child.run()),
            (first.user(), first.thread(), first.run())
        );
        assert_eq!(
            (child.depth(), child.parent()),
            (depth, Some(parent.request()))
        );
        assert_eq!(child.metadata()["n"], depth);
        assert!(
            requests.insert(child.request().clone()),
            "a request id of its own"
        );
        parent = child;
    }
    assert_eq!(parent.child(Map::new()), Err(ContextError::TooDeep));
    assert_eq!(
        first.metadata()["n"],
        1,
        "a child's metadata is not its parent's"
    );
    for name in ["user_id", "thread_id", "run_id", "request_id", "created_at"] {
        let reserved = Map::from_iter([(name.to_owned(), Value::Null)]);
        let told = Err(ContextError::ReservedMetadata { name });
        assert_eq!(first.child(reserved.clone()), told);
        let builder = UserContext::builder(user("ann"), id("t"), RunId::new("r").unwrap());
        assert_eq!(builder.metadata(reserved).build(), told);
    }
}

/// Any JSON, in which names that matter come often.
fn any_json() -> impl Strategy<Value = Value> {
    let id = prop_oneof![
        Just("ann".to_owned()),
        Just("bob".to_owned()),
        any::<String>()
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        id.prop_map(Value::from),
    ];
    let name = prop_oneof![
        Just("userId".to_owned()),
        Just("recipient_id".to_owned()),
        Just("target_user_id".to_owned()),
        Just("user_id".to_owned()),
        any::<String>(),
    ];
    leaf.prop_recursive(32, 128, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// The routing fields that say something else than `receiver`: another way to find them.
fn foreign(value: &Value, receiver: &str) -> usize {
    let mut count = 0;
    let mut left = vec![value];
    while let Some(value) = left.pop() {
        if let Some(object) = value.as_object() {
            for (name, item) in object {
                if !ROUTING_FIELDS.contains(&name.as_str()) {
                    left.push(item);
                } else if *item != receiver {
                    count += 1;
                }
            }
        }
        left.extend(value.as_array().into_iter().flatten());
    }
    count
}

/// The same with all routing fields blanked: the part that has to stay.
fn rest(value: &Value) -> Value {
    match value {
        Value::Array(list) => list.iter().map(rest).collect(),
        Value::Object(object) => {
            let blank = |(name, item): (&String, &Value)| {
                let routing = ROUTING_FIELDS.contains(&name.as_str());
                (name.clone(), if routing { Value::Null } else { rest(item) })
            };
            Value::Object(object.iter().map(blank).collect())
        }
        other => other.clone(),
    }
}

/// The text with every name and every text escaped, character by character.
fn escaped(value: &Value) -> String {
    let text = |s: &str| -> String {
        let units = s.encode_utf16().map(|unit| format!("\\u{unit:04x}"));
        format!("\"{}\"", units.collect::<String>())
    };
    match value {
        Value::String(s) => text(s),
        Value::Array(list) => {
            let items: Vec<_> = list.iter().map(escaped).collect();
            format!("[{}]", items.join(","))
        }
        Value::Object(object) => {
            let fields = object.iter().map(|(name, item)| {
                // Twice: the first is not what counts.
                format!("{0}:\"bob\",{0}:{1}", text(name), escaped(item))
            });
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn r010_no_body_names_anybody_but_its_receiver(body in any_json()) {
        let isolation = Isolation::default();
        let isolated = isolation.check(&body, &user("ann")).unwrap();
        let count = foreign(&body, "ann");
        prop_assert_eq!(isolated.rewritten.len(), count);
        prop_assert_eq!(isolation.contaminations_prevented(), u64::from(count > 0));
        prop_assert_eq!(foreign(&isolated.body, "ann"), 0);
        prop_assert_eq!(rest(&isolated.body), rest(&body));
        let rejects = Isolation::new(Contamination::Reject);
        prop_assert_eq!(rejects.check(&body, &user("ann")).is_err(), count > 0);
    }

    #[test]
    fn r010_however_a_body_is_written(body in any_json()) {
        let json = format!(r#"{{"type":"chat","payload":{}}}"#, escaped(&body));
        let limits = MessageLimits { bytes: 1 << 24, depth: 127 };
        let message = Message::parse_within(json.as_bytes(), limits).unwrap();
        prop_assert_eq!(&message.fields()["payload"], &body);
        let fields = Value::Object(message.into_fields());
        let isolated = Isolation::default();
        let isolated = isolated.check(&fields, &user("ann")).unwrap();
        let delivered: Value = serde_json::from_str(&isolated.body.to_string()).unwrap();
        prop_assert_eq!(foreign(&delivered, "ann"), 0);
    }

    #[test]
    fn r035_bytes_are_a_message_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200), text in ".*") {
        let _ = Message::parse(&bytes);
        if let Ok(message) = Message::parse(text.as_bytes()) {
            prop_assert!(Message::parse(message.to_json().as_bytes()).is_ok());
        }
    }
}

#[test]
fn r010_a_body_of_a_megabyte() {
    let item = json!({"userId": "bob", "text": "x".repeat(100), "deep": [[[{"recipient_id": 1}]]]});
    let body = Value::from(vec![item; 7_000]);
    assert!(body.to_string().len() > 1 << 20);
    let isolation = Isolation::default();
    let isolated = isolation.check(&body, &user("ann")).unwrap();
    assert_eq!(isolated.rewritten.len(), 14_000);
    assert_eq!(foreign(&isolated.body, "ann"), 0);
}

#[test]
fn r075_a_number_that_would_be_rounded_is_refused() {
    let rounded = br#"{"type":"chat","m":18446370955744073709551615}"#;
    assert_eq!(Message::parse(rounded), Err(MessageError::InexactNumber));
}
