//! Payloads as types, and what the one scan of a client's bytes finds.
#![cfg(all(feature = "protocol", not(any(laneway_loom, laneway_shuttle))))]

#[path = "typed/reference.rs"]
mod reference;
#[path = "typed/scan.rs"]
mod scan;
#[path = "typed/writer.rs"]
mod writer;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use laneway::protocol::{
    Handled, HandlerError, Isolation, Message, MessageKind, MessageRouter, Middleware, Outcome,
    Packet, PayloadError, Sender, typed,
};
use laneway::{Connection, Hub, Received, UserId, UserScope};
use serde::Deserialize;
use serde_json::{Value, json};

const NOW: Duration = Duration::from_millis(1_234);

#[derive(Debug, Deserialize, PartialEq)]
struct StartAgent {
    agent: String,
    #[serde(default)]
    tools: Vec<Tool>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Tool {
    name: String,
    limit: Option<u8>,
}

fn parse(json: &str) -> Message {
    Message::parse(json.as_bytes()).unwrap()
}

fn read(connection: &mut Connection<Packet>) -> Vec<Value> {
    let mut all = Vec::new();
    while let Ok(Received::Event(got)) = connection.try_recv() {
        all.push(serde_json::from_str(got.event.json()).unwrap());
    }
    all
}

/// Ann's and Bob's devices at a router whose first handler takes agents' starts as a type.
struct Host {
    router: MessageRouter,
    ann: UserScope<Packet>,
    phone: Connection<Packet>,
    his: Connection<Packet>,
    called: Arc<AtomicUsize>,
    _engine: Hub<Packet>,
}

impl Host {
    fn new() -> Self {
        let engine: Hub<Packet> = Hub::new();
        let scope = |name: &str| engine.scope(UserId::new(name).unwrap());
        let (ann, bob) = (scope("ann"), scope("bob"));
        let router = MessageRouter::new(Arc::default(), Duration::ZERO);
        let called = Arc::new(AtomicUsize::new(0));
        let calls = Arc::clone(&called);
        let kinds = [MessageKind::StartAgent, MessageKind::JsonRpcRequest];
        let start = typed(kinds, move |sender, message, start: StartAgent| {
            calls.fetch_add(1, Ordering::Relaxed);
            let told = format!("{} {}", start.agent, start.tools.len());
            let _ = if message.kind == MessageKind::JsonRpcRequest {
                sender.answer(message, told)
            } else {
                sender.reply(&Message::new(MessageKind::Chat).with("text", told))
            };
            Ok(Handled::Done)
        });
        router.register("agents", start).unwrap();
        let (phone, his) = (ann.connect().unwrap(), bob.connect().unwrap());
        Self {
            router,
            ann,
            phone,
            his,
            called,
            _engine: engine,
        }
    }

    fn send(&mut self, json: &str) -> (Outcome, Vec<Value>) {
        let from = Some(self.phone.id());
        let outcome = (self.router).route_json(&self.ann, from, json.as_bytes(), NOW);
        assert!(read(&mut self.his).is_empty(), "another user");
        (outcome, read(&mut self.phone))
    }

    fn called(&self) -> usize {
        self.called.swap(0, Ordering::Relaxed)
    }
}

#[test]
fn r085_a_handler_gets_its_payload_as_a_type() {
    let mut host = Host::new();
    let start = r#"{"agent": "planner", "tools": [{"name": "search", "limit": 3}]}"#;
    for json in [
        format!(r#"{{"type": "start_agent", "payload": {start}}}"#),
        format!(r#"{{"payl\u006fad": {start}, "type": "start\u005fagent"}}"#),
        // Without a payload the message itself is read, and its `type` is a field like others.
        r#"{"type": "start_agent", "agent": "planner", "tools": [{"name": "search"}]}"#.to_owned(),
    ] {
        let (outcome, answers) = host.send(&json);
        assert_eq!(outcome, Outcome::Handled(Some("agents".into())), "{json}");
        assert_eq!(answers, [json!({"type": "chat", "text": "planner 1"})]);
        assert_eq!(host.called(), 1);
    }
    let json = format!(r#"{{"jsonrpc": "2.0", "id": 7, "method": "start", "params": {start}}}"#);
    let answer = json!({"jsonrpc": "2.0", "id": 7, "result": "planner 1"});
    assert_eq!(host.send(&json).1, [answer]);
    // Other kinds are another handler's.
    assert_eq!(
        host.send(r#"{"type": "chat", "payload": 1}"#).0,
        Outcome::Unhandled
    );
    assert_eq!(host.called(), 1);
}

#[test]
fn r085_a_payload_that_does_not_fit_is_an_error_of_its_sender_only() {
    let mut host = Host::new();
    let last = |_: &Sender<'_>, _: &Message| -> Result<Handled, HandlerError> {
        panic!("a handler that was not to be asked")
    };
    host.router.register("last", last).unwrap();
    for (payload, text) in [
        (
            r#"{"agent": 7}"#,
            "agent: invalid type: integer `7`, expected a string",
        ),
        (r"{}", ": missing field `agent`"),
        (
            r#"{"agent": "a", "tools": [{"name": "b"}, {"name": "c", "limit": 256}]}"#,
            "tools[1].limit: invalid value: integer `256`, expected u8",
        ),
        (
            r#"{"agent": "a", "tools": {}}"#,
            "tools: invalid type: map, expected a sequence",
        ),
    ] {
        let text = |of: &str| match text.strip_prefix(':') {
            Some(text) => format!("{of}:{text}"),
            None => format!("{of}.{text}"),
        };
        let (outcome, answers) = host.send(&format!(
            r#"{{"type": "start_agent", "payload": {payload}}}"#
        ));
        let error = HandlerError::new("INVALID_FIELD", text("payload"));
        assert_eq!(outcome, Outcome::Failed(error.clone()));
        assert_eq!(
            answers,
            [
                json!({"type": "error", "code": "INVALID_FIELD", "message": error.message,
                "timestamp": 1_234})
            ]
        );
        let rpc = format!(r#"{{"jsonrpc": "2.0", "id": "x", "method": "m", "params": {payload}}}"#);
        let error = json!({"code": -32_602, "message": text("params")});
        assert_eq!(
            host.send(&rpc).1,
            [json!({"jsonrpc": "2.0", "id": "x", "error": error})]
        );
    }
    assert_eq!(host.called(), 0);
}

#[test]
fn r085_an_error_of_a_payload_is_bounded() {
    let long = "\u{e9}".repeat(10_000);
    let json = json!({"type": "chat", "payload": {&long: {"n": long}}}).to_string();
    let error: PayloadError =
        (parse(&json).payload::<BTreeMap<String, BTreeMap<String, u8>>>()).unwrap_err();
    assert_eq!(
        (error.path.chars().count(), error.reason.chars().count()),
        (201, 201)
    );
    assert!(error.path.starts_with("payload.\u{e9}") && error.reason.starts_with("invalid type"));
}

#[test]
fn r085_of_a_name_that_comes_twice_the_last_value_is_read() {
    for (json, agent) in [
        (
            r#"{"type":"chat","payload":{"agent":"one","agent":"two"}}"#,
            "two",
        ),
        (
            r#"{"type":"chat","payload":{"agent":"one","\u0061gent":"two"}}"#,
            "two",
        ),
        (
            r#"{"type":"chat","payload":{"agent":"one"},"payload":{"agent":"two"}}"#,
            "two",
        ),
        (r#"{"type":"chat","agent":1,"agent":"two"}"#, "two"),
    ] {
        let message = parse(json);
        assert_eq!(
            message.payload::<StartAgent>().unwrap().agent,
            agent,
            "{json}"
        );
        assert_eq!(message.text("agent"), Some(agent), "{json}");
        assert_eq!(message.field("agent").unwrap(), agent, "{json}");
    }
    let many: Vec<_> = (0..200).map(|n| format!(r#""n{n}":{n}"#)).collect();
    let message = parse(&format!(
        r#"{{"type":"chat","payload":{{{}}}}}"#,
        many.join(",")
    ));
    assert_eq!(
        message.payload::<BTreeMap<String, u64>>().unwrap()["n199"],
        199
    );
}

#[test]
fn r085_json_rpc_without_params_is_read_as_an_empty_object() {
    let message =
        parse(r#"{"jsonrpc":"2.0","id":1,"method":"m","agent":"none of the parameters"}"#);
    assert_eq!(
        message.payload::<BTreeMap<String, Value>>().unwrap(),
        BTreeMap::new()
    );
    assert!(message.payload::<StartAgent>().is_err());
    let message = parse(r#"{"jsonrpc":"2.0","method":"m","params":["planner",[]]}"#);
    assert_eq!(
        message.payload::<StartAgent>().unwrap().agent,
        "planner",
        "by their place"
    );
}

struct Renames;
impl Middleware for Renames {
    fn before(&self, _: &Sender<'_>, message: &mut Message) -> Result<(), HandlerError> {
        message
            .fields_mut()
            .insert("payload".into(), json!({"agent": "another"}));
        Ok(())
    }
}

#[test]
fn r085_what_a_middleware_changed_is_what_is_read() {
    let mut host = Host::new();
    host.router.wrap(Renames).unwrap();
    let (_, answers) = host.send(r#"{"type": "start_agent", "payload": {"agent": "planner"}}"#);
    assert_eq!(answers[0]["text"], "another 0");
    let own = Message::new(MessageKind::StartAgent).with("agent", "own");
    assert_eq!(own.payload::<StartAgent>().unwrap().agent, "own");
    assert_eq!(
        own.payload::<Value>().unwrap(),
        json!({"type": "start_agent", "agent": "own"})
    );
}

#[test]
fn r086_a_message_is_checked_and_read_without_a_tree() {
    let json = r#"{"type":"chat","payload":{"agent":"planner","tools":[],"a":{"b":[1,-2,{}]}}}"#;
    let count = |f: &mut dyn FnMut()| allocation_counter::measure(f).count_total;
    let mut message = None;
    let parsed = count(&mut || message = Some(parse(json)));
    assert_eq!(parsed, 2, "its text, and what was found");
    let message = message.unwrap();
    let isolation = Isolation::default();
    let ann = UserId::new("ann").unwrap();
    let read = count(&mut || {
        assert_eq!(message.text("agent"), Some("planner"));
        assert_eq!(message.text("none"), None);
        assert!(isolation.check_message(&message, &ann).is_ok());
    });
    assert_eq!(read, 0);
    let typed = count(&mut || assert!(message.payload::<StartAgent>().is_ok()));
    assert!(
        typed <= 2,
        "its one text, and what the parser skips: {typed}"
    );
}

#[test]
fn r086_an_earlier_payload_has_no_id_and_no_fields() {
    let mut host = Host::new();
    let json = r#"{"type":"chat","payload":{"message_id":"m","text":"one"},"payload":{"a":1}}"#;
    for _ in 0..2 {
        assert_eq!(host.send(json).0, Outcome::Unhandled);
    }
    assert_eq!(parse(json).text("text"), None);
    let json = r#"{"type":"chat","payload":{"message_id":"m"},"message_id":"n"}"#;
    assert_eq!(host.send(json).0, Outcome::Unhandled);
    assert_eq!(host.send(json).0, Outcome::Repeated);
    let other = |id: &str| format!(r#"{{"type":"chat","message_id":"{id}"}}"#);
    assert_eq!(host.send(&other("n")).0, Outcome::Unhandled);
    assert!(matches!(host.send(&other("m")).0, Outcome::Refused(_)));
}

#[test]
fn r086_the_same_content_in_another_order_is_the_same_message() {
    let first = r#"{"type":"chat","message_id":"m","a":{"x":"\u00e9","y":[1,2]},"b":"c"}"#;
    for (json, same) in [
        (
            r#"{"b":"c", "a":{"y":[1,2], "x":"é"}, "message_id":"m", "type":"chat"}"#,
            true,
        ),
        (
            r#"{"b":"\u0063","a":{"x":"é","y":[1,2]},"messag\u0065_id":"m","type":"chat"}"#,
            true,
        ),
        (
            r#"{"b":1,"b":"c","a":{"x":"é","y":[1,2]},"message_id":"m","type":"chat"}"#,
            true,
        ),
        (
            r#"{"b":"c","a":{"x":"é","y":[2,1]},"message_id":"m","type":"chat"}"#,
            false,
        ),
        (
            r#"{"b":"c","a":{"x":"é","y":["1",2]},"message_id":"m","type":"chat"}"#,
            false,
        ),
        (
            r#"{"b":"c","a":{"x":"é","y":[1,2,{}]},"message_id":"m","type":"chat"}"#,
            false,
        ),
        (
            r#"{"b":"c","a":{"y":"é","x":[1,2]},"message_id":"m","type":"chat"}"#,
            false,
        ),
        (
            r#"{"b":"c","a":{"x":"é","y":[[1],2]},"message_id":"m","type":"chat"}"#,
            false,
        ),
        (
            r#"{"b":"c","a":{"x":"é"},"y":[1,2],"message_id":"m","type":"chat"}"#,
            false,
        ),
        (
            r#"{"b":"c","b":1,"a":{"x":"é","y":[1,2]},"message_id":"m","type":"chat"}"#,
            false,
        ),
    ] {
        let mut host = Host::new();
        host.send(first);
        let (outcome, _) = host.send(json);
        match outcome {
            Outcome::Repeated => assert!(same, "{json}"),
            Outcome::Refused(error) => {
                assert_eq!((&*error.code, same), ("MESSAGE_ID_REUSED", false), "{json}");
            }
            other => panic!("{json}: {other:?}"),
        }
    }
}
