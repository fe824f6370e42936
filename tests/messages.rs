//! The one router of inbound messages: who is asked, what is answered and to whom, and what is counted.
#![cfg(all(feature = "protocol", not(any(laneway_loom, laneway_shuttle))))]
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // Hosts lock and sleep.

#[path = "messages/ids.rs"]
mod ids;
#[path = "messages/queue.rs"]
mod queue;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use laneway::protocol::{
    Handled, Handler, HandlerError, MAX_HANDLERS, Message, MessageKind, MessageRouter, Middleware,
    Outcome, Packet, RegisterError, Sender, Status,
};
use laneway::{Connection, Hub, Received, UserId, UserScope};
use serde_json::{Value, json};

const NOW: Duration = Duration::from_millis(1_234);

/// A host with ann on two devices, and bob.
struct Host {
    engine: Hub<Packet>,
    router: Arc<MessageRouter>,
    ann: UserScope<Packet>,
    phone: Connection<Packet>,
    tab: Connection<Packet>,
    bob: UserScope<Packet>,
    his: Connection<Packet>,
}

impl Host {
    fn new() -> Self {
        Self::with(|router| router)
    }

    fn with(settings: impl FnOnce(MessageRouter) -> MessageRouter) -> Self {
        let engine: Hub<Packet> = Hub::builder().lane_capacity(256).build().unwrap();
        let (ann, bob) = (scope(&engine, "ann"), scope(&engine, "bob"));
        let router = MessageRouter::new(Arc::default(), Duration::ZERO);
        Self {
            router: Arc::new(settings(router)),
            phone: ann.connect().unwrap(),
            tab: ann.connect().unwrap(),
            his: bob.connect().unwrap(),
            engine,
            ann,
            bob,
        }
    }

    /// From ann's phone.
    fn route(&self, json: &str) -> Outcome {
        let from = Some(self.phone.id());
        self.router
            .route_json(&self.ann, from, json.as_bytes(), NOW)
    }

    /// The answers on ann's phone. No other device has received any.
    fn replies(&mut self) -> Vec<Value> {
        assert!(read(&mut self.tab).is_empty(), "her other device");
        assert!(read(&mut self.his).is_empty(), "another user");
        read(&mut self.phone)
    }

    /// The one reply to a message.
    fn reply(&mut self, json: &str) -> (Outcome, Value) {
        let outcome = self.route(json);
        let mut replies = self.replies();
        assert_eq!(replies.len(), 1, "{replies:?}");
        (outcome, replies.remove(0))
    }

    fn register(&self, name: &str, handler: impl Handler + 'static) {
        self.router.register(name, handler).unwrap();
    }
}

fn scope(engine: &Hub<Packet>, name: &str) -> UserScope<Packet> {
    engine.scope(UserId::new(name).unwrap())
}

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

fn by(name: &str) -> Outcome {
    Outcome::Handled(Some(name.into()))
}

type Answer = Result<Handled, HandlerError>;

#[allow(clippy::unnecessary_wraps)] // A handler's signature.
fn done(_: &Sender<'_>, _: &Message) -> Answer {
    Ok(Handled::Done)
}

#[allow(clippy::unnecessary_wraps)] // As above.
fn declines(_: &Sender<'_>, _: &Message) -> Answer {
    Ok(Handled::Declined)
}

#[test]
fn r033_custom_before_built_in_and_the_earlier_first() {
    let mut host = Host::new();
    let asked = Arc::new(Mutex::new(Vec::new()));
    for name in ["first", "second", "third"] {
        let asked = Arc::clone(&asked);
        host.register(name, move |_: &Sender<'_>, _: &Message| {
            asked.lock().unwrap().push(name);
            Ok(match name {
                "second" => Handled::Done,
                _ => Handled::Declined,
            })
        });
    }
    assert_eq!(host.route(r#"{"type":"ping"}"#), by("second"));
    assert_eq!(*asked.lock().unwrap(), ["first", "second"]);
    assert!(host.replies().is_empty(), "the built-in reply is not asked");
    // Without the one that takes it the others decline, and the built-in reply comes.
    assert!(host.router.remove("second"));
    assert!(!host.router.remove("second"));
    let (outcome, pong) = host.reply(r#"{"type":"ping"}"#);
    assert_eq!(
        (outcome, &pong["type"]),
        (Outcome::Handled(None), &json!("pong"))
    );
    assert_eq!(asked.lock().unwrap()[2..], ["first", "third"]);
}

#[test]
fn r033_a_failing_handler_ends_the_message_and_the_router_goes_on() {
    let mut host = Host::new();
    host.register(
        "trouble",
        |_: &Sender<'_>, message: &Message| match message.text("text") {
            Some("fail") => Err(HandlerError::new("NO_CREDIT", "there is no credit left")),
            Some("panic") => panic!("bob-7 is the secret"),
            _ => Ok(Handled::Declined),
        },
    );
    host.register("after", done);
    let (outcome, error) = host.reply(r#"{"type":"chat","text":"fail"}"#);
    let expected = HandlerError::new("NO_CREDIT", "there is no credit left");
    assert_eq!(outcome, Outcome::Failed(expected));
    assert_eq!(
        error,
        json!({"type": "error", "code": "NO_CREDIT", "message": "there is no credit left", "timestamp": 1_234})
    );
    let (outcome, error) = host.reply(r#"{"type":"chat","text":"panic"}"#);
    assert!(matches!(outcome, Outcome::Failed(_)));
    assert_eq!(error["code"], "INTERNAL");
    assert!(!error.to_string().contains("bob-7"), "r012");
    assert_eq!(host.route(r#"{"type":"chat","text":"fine"}"#), by("after"));
    let stats = host.router.stats();
    assert_eq!((stats.failed, stats.routed), (2, 1));
}

#[test]
fn r033_a_name_is_registered_once_and_handlers_are_bounded() {
    let host = Host::new();
    host.register("0", done);
    let refused = host.router.register("0", declines);
    assert_eq!(refused, Err(RegisterError::NameTaken));
    assert_eq!(host.route(r#"{"type":"chat"}"#), by("0"));
    for n in 1..MAX_HANDLERS {
        host.register(&n.to_string(), declines);
    }
    let refused = host.router.register("one more", declines);
    assert_eq!(refused, Err(RegisterError::TooMany));
    assert_eq!(host.router.stats().handlers.len(), MAX_HANDLERS);
    assert!(host.router.remove("0"));
    host.register("0", declines);
    assert_eq!(&**host.router.stats().handlers.last().unwrap(), "0");
}

#[test]
fn r033_handlers_come_and_go_while_messages_flow() {
    let host = Host::new();
    host.register("steady", done);
    let stop = AtomicBool::new(false);
    let count = AtomicU64::new(0);
    thread::scope(|s| {
        for _ in 0..2 {
            s.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    // `steady` is there all the time, and before all that come later.
                    assert_eq!(host.route(r#"{"type":"chat"}"#), by("steady"));
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let changers: Vec<_> = ["a", "b"]
            .map(|name| {
                let router = &host.router;
                s.spawn(move || {
                    for _ in 0..500 {
                        router.register(name, done).unwrap();
                        assert_eq!(router.register(name, done), Err(RegisterError::NameTaken));
                        assert!(router.remove(name));
                    }
                })
            })
            .into();
        for changer in changers {
            changer.join().unwrap();
        }
        while count.load(Ordering::Relaxed) < 100 {
            thread::yield_now();
        }
        stop.store(true, Ordering::Relaxed);
    });
    let stats = host.router.stats();
    assert_eq!(stats.routed, count.load(Ordering::Relaxed));
    assert_eq!(stats.handlers, ["steady".into()]);
}

struct OnlyChat;

impl Handler for OnlyChat {
    fn kinds(&self) -> Option<&[MessageKind]> {
        Some(&[MessageKind::Chat])
    }
    fn handle(&self, _: &Sender<'_>, message: &Message) -> Answer {
        assert_eq!(message.kind, MessageKind::Chat);
        Ok(Handled::Done)
    }
}

#[test]
fn a_handler_is_asked_about_its_kinds_only() {
    let host = Host::new();
    host.register("chat", OnlyChat);
    assert_eq!(host.route(r#"{"type":"chat"}"#), by("chat"));
    assert_eq!(host.route(r#"{"type":"ping"}"#), Outcome::Handled(None));
    assert_eq!(host.route(r#"{"type":"new"}"#), Outcome::Unhandled);
}

#[test]
fn r034_r015_a_handler_answers_the_sender_whatever_the_message_says() {
    let mut host = Host::with(|router| router.patience(Duration::from_secs(30)));
    host.register("echo", |sender: &Sender<'_>, message: &Message| {
        assert_eq!(sender.user().as_str(), "ann");
        assert_eq!(sender.scope().user(), sender.user());
        assert_eq!(sender.now(), NOW);
        // r039: the deadline that handlers see.
        assert_eq!(sender.deadline(), Some(NOW + Duration::from_secs(30)));
        assert!(sender.connection().is_some());
        assert_eq!(sender.reply(message).connections, 1);
        if message.text("to") == Some("all") {
            assert_eq!(sender.broadcast(message).connections, 2);
        }
        Ok(Handled::Done)
    });
    let (_, echo) = host.reply(r#"{"type":"chat","user_id":"bob","userId":"bob"}"#);
    // Where it is from is delivered as given; whom it is for is not for the client to say.
    assert_eq!(
        echo,
        json!({"type": "chat", "user_id": "bob", "userId": "ann"})
    );
    assert_eq!(host.route(r#"{"type":"chat","to":"all"}"#), by("echo"));
    assert_eq!(read(&mut host.phone).len(), 2);
    assert_eq!(read(&mut host.tab).len(), 1);
    assert!(read(&mut host.his).is_empty());
}

#[test]
fn r034_without_a_connection_all_devices_are_answered_and_a_foreign_one_never() {
    let mut host = Host::new();
    let ping = br#"{"type":"ping"}"#;
    host.router.route_json(&host.ann, None, ping, NOW);
    assert_eq!(read(&mut host.phone).len(), 1);
    assert_eq!(read(&mut host.tab).len(), 1);
    let foreign = Some(host.his.id());
    host.router.route_json(&host.ann, foreign, ping, NOW);
    assert!(host.replies().is_empty());
    assert_eq!(host.engine.stats().unknown_connections, 1);
}

#[test]
fn r035_what_nobody_takes_is_acknowledged_and_counted() {
    let mut host = Host::new();
    for (json, received) in [
        (r#"{"type":"new_thing","extra":[1]}"#, "new_thing"),
        (r#"{"type":"ping "}"#, "ping "),
        // Known, and for the host to handle, which it does not: told under its canonical name.
        (r#"{"type":"user_input"}"#, "user_message"),
    ] {
        let (outcome, ack) = host.reply(json);
        assert_eq!(outcome, Outcome::Unhandled);
        assert_eq!(
            ack,
            json!({"type": "ack", "received_type": received, "status": "acknowledged", "timestamp": 1_234})
        );
    }
    assert_eq!(host.router.stats().unhandled, 3);
}

#[test]
fn r035_what_is_no_message_is_a_clear_error_for_its_sender() {
    let mut host = Host::new();
    let deep = format!(
        r#"{{"type":"chat","a":{}{}}}"#,
        "[".repeat(50),
        "]".repeat(50)
    );
    let deeper = "[".repeat(100_000);
    let long = format!(r#"{{"type":"chat","text":"{}"}}"#, "x".repeat(1 << 20));
    let bad: [(&[u8], &str); 11] = [
        (b"{}", "MESSAGE_WITHOUT_TYPE"),
        (br#"{"type":null}"#, "MESSAGE_WITHOUT_TYPE"),
        (br#"{"type":""}"#, "MESSAGE_TYPE_INVALID"),
        (br#"{"type":7}"#, "MESSAGE_TYPE_INVALID"),
        (b"[]", "MESSAGE_NOT_AN_OBJECT"),
        (b"7", "MESSAGE_NOT_AN_OBJECT"),
        (b"", "MESSAGE_NOT_JSON"),
        (b"{\"type\":\"\xff\"}", "MESSAGE_NOT_UTF8"),
        (deep.as_bytes(), "MESSAGE_TOO_DEEP"),
        (deeper.as_bytes(), "MESSAGE_NOT_JSON"),
        (long.as_bytes(), "MESSAGE_TOO_LONG"),
    ];
    for (bytes, code) in bad {
        let from = Some(host.phone.id());
        let outcome = host.router.route_json(&host.ann, from, bytes, NOW);
        assert!(
            matches!(&outcome, Outcome::Refused(e) if e.code == code),
            "{outcome:?}"
        );
        let replies = host.replies();
        assert_eq!(replies.len(), 1);
        assert_eq!(
            (&replies[0]["type"], &replies[0]["code"]),
            (&json!("error"), &json!(code))
        );
        assert!(
            replies[0]["message"]
                .as_str()
                .is_some_and(|text| !text.is_empty())
        );
    }
    let stats = host.router.stats();
    assert_eq!(stats.refused, bad.len() as u64);
    assert!(stats.per_type.is_empty());
}

#[test]
fn r036_requests_are_answered_by_their_id_and_notifications_never() {
    let mut host = Host::new();
    host.register(
        "sum",
        |sender: &Sender<'_>, message: &Message| match message.text("method") {
            Some("sum") => {
                assert!(sender.answer(message, 3).is_successful());
                Ok(Handled::Done)
            }
            Some("fail") => Err(HandlerError::new("X", "it failed")),
            _ => Ok(Handled::Declined),
        },
    );
    for id in [json!(7), json!("seven"), json!(null)] {
        let request =
            |method: &str| json!({"jsonrpc": "2.0", "method": method, "id": id}).to_string();
        let answer = |field: &str, value: Value| json!({"jsonrpc": "2.0", "id": id, field: value});
        let (outcome, got) = host.reply(&request("sum"));
        assert_eq!((outcome, got), (by("sum"), answer("result", json!(3))));
        let (outcome, got) = host.reply(&request("unknown"));
        let error = json!({"code": -32601, "message": "method not found"});
        assert_eq!((outcome, got), (Outcome::Unhandled, answer("error", error)));
        let (outcome, got) = host.reply(&request("fail"));
        assert!(matches!(outcome, Outcome::Failed(_)));
        let error = json!({"code": -32603, "message": "it failed"});
        assert_eq!(got, answer("error", error));
    }
    for (silent, counted) in [
        (
            r#"{"jsonrpc":"2.0","method":"unknown"}"#,
            Outcome::Unhandled,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
            Outcome::Unhandled,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":1}}"#,
            Outcome::Unhandled,
        ),
        (
            r#"{"jsonrpc":"2.0","method":"fail"}"#,
            Outcome::Failed(HandlerError::new("X", "it failed")),
        ),
    ] {
        assert_eq!(host.route(silent), counted);
        assert!(host.replies().is_empty(), "{silent}");
    }
    for none in [
        r#"{"jsonrpc":"1.0","method":"sum","id":1}"#,
        r#"{"jsonrpc":"2.0","method":7,"id":1}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
    ] {
        let (outcome, answer) = host.reply(none);
        assert!(matches!(outcome, Outcome::Refused(e) if e.code == "MESSAGE_RPC_INVALID"));
        assert_eq!(
            (&answer["error"]["code"], &answer["id"]),
            (&json!(-32600), &json!(1))
        );
    }
}

#[test]
fn r037_built_in_replies() {
    let mut host = Host::new();
    let typing = |thread: Value| json!({"type": "typing_acknowledged", "thread_id": thread, "timestamp": 1_234});
    let at = |message: Value| {
        let mut message = message;
        message["timestamp"] = json!(1_234);
        message
    };
    for (message, reply) in [
        (
            json!({"type": "connect"}),
            at(json!({"type": "system_message", "status": "connected"})),
        ),
        (
            json!({"type": "disconnect"}),
            at(json!({"type": "disconnect_acknowledged"})),
        ),
        (
            json!({"type": "typing", "payload": {"thread_id": "t-1"}}),
            typing(json!("t-1")),
        ),
        (
            json!({"type": "agent_typing", "thread_id": "t-2"}),
            typing(json!("t-2")),
        ),
        (
            json!({"type": "typing_started", "thread_id": "t-3"}),
            typing(json!("t-3")),
        ),
        (json!({"type": "typing_stopped"}), typing(Value::Null)),
        (json!({"type": "ping"}), at(json!({"type": "pong"}))),
        (
            json!({"type": "heartbeat"}),
            at(json!({"type": "heartbeat_ack", "status": "healthy"})),
        ),
    ] {
        let (outcome, got) = host.reply(&message.to_string());
        assert_eq!((outcome, got), (Outcome::Handled(None), reply), "{message}");
    }
    for silent in [
        json!({"type": "pong"}),
        json!({"type": "heartbeat_ack"}),
        json!({"type": "error_message", "code": "E1"}),
        json!({"type": "error", "payload": {"code": "E1"}}),
        json!({"type": "error"}),
        json!({"type": "error", "code": {"nobody": "knows"}}),
    ] {
        assert_eq!(host.route(&silent.to_string()), Outcome::Handled(None));
        assert!(host.replies().is_empty(), "{silent}");
    }
    let errors = host.router.stats().client_errors;
    assert_eq!(
        errors,
        BTreeMap::from([("E1".into(), 2), ("UNKNOWN".into(), 2)])
    );
}

#[test]
fn r037_a_client_that_invents_codes_fills_no_memory() {
    let host = Host::new();
    let tell = |code: &str| host.route(&json!({"type": "error", "code": code}).to_string());
    tell(&"x".repeat(65));
    thread::scope(|s| {
        for t in 0..4 {
            s.spawn(move || {
                (0..100).for_each(|n| assert!(tell(&format!("{t}-{n}")) == Outcome::Handled(None)));
            });
        }
    });
    let errors = host.router.stats().client_errors;
    assert!(errors.len() <= 65, "{}", errors.len());
    assert_eq!(errors.values().sum::<u64>(), 401);
    assert!(errors["OTHER"] >= 401 - 64);
}

#[test]
fn r038_figures_status_and_order() {
    let host = Host::new();
    let status = |secs| host.router.status(Duration::from_secs(secs));
    assert_eq!(
        (status(0), status(9)),
        (Status::Initializing, Status::Initializing)
    );
    assert_eq!(status(10), Status::Error);
    let by_kind = |_: &Sender<'_>, m: &Message| match m.kind {
        MessageKind::Chat => Err(HandlerError::new("X", "x")),
        MessageKind::UserMessage => Ok(Handled::Done),
        _ => Ok(Handled::Declined),
    };
    host.register("b", by_kind);
    host.register("a", declines);
    assert_eq!((status(0), status(10)), (Status::Ready, Status::Ready));
    let before = host.router.stats();
    for json in ["chat", "user", "user_input", "ping", "new", "newer"] {
        host.route(&json!({"type": json}).to_string());
    }
    host.route("no message");
    let figures = host.router.stats();
    assert_eq!(before.routed, 0, "a snapshot is a copy");
    assert_eq!(
        (
            figures.routed,
            figures.unhandled,
            figures.failed,
            figures.refused
        ),
        (3, 2, 1, 1)
    );
    let types = [
        ("chat", 1),
        ("ping", 1),
        ("unknown", 2),
        ("user_message", 2),
    ];
    assert_eq!(figures.per_type, BTreeMap::from(types));
    assert_eq!(figures.handlers, ["b".into(), "a".into()]);
    host.router.remove("b");
    host.router.remove("a");
    assert_eq!(status(10), Status::Error);
}

struct Layer {
    name: &'static str,
    told: Arc<Mutex<Vec<String>>>,
}

impl Middleware for Layer {
    fn before(&self, _: &Sender<'_>, message: &mut Message) -> Result<(), HandlerError> {
        self.told.lock().unwrap().push(format!("> {}", self.name));
        let asks = |field: &str| message.text(field) == Some(self.name);
        if asks("refuse") {
            return Err(HandlerError::new("FORBIDDEN", "not today"));
        }
        assert!(!asks("panic"), "as asked");
        let seen = message
            .fields_mut()
            .entry("seen")
            .or_insert_with(|| json!([]));
        seen.as_array_mut().unwrap().push(self.name.into());
        Ok(())
    }
    fn after(&self, _: &Sender<'_>, message: &Message, outcome: &Outcome) {
        let handled = matches!(outcome, Outcome::Handled(_));
        self.told
            .lock()
            .unwrap()
            .push(format!("< {} {handled}", self.name));
        assert!(message.text("panic_after").is_none(), "as asked");
    }
}

#[test]
fn middleware_sees_every_message_before_and_after_and_may_refuse_it() {
    let mut host = Host::new();
    let told = Arc::new(Mutex::new(Vec::new()));
    for name in ["outer", "inner"] {
        let told = Arc::clone(&told);
        host.router.wrap(Layer { name, told }).unwrap();
    }
    host.register("last", |_: &Sender<'_>, message: &Message| {
        assert_eq!(message.fields()["seen"], json!(["outer", "inner"]));
        Ok(Handled::Done)
    });
    let all = || std::mem::take(&mut *told.lock().unwrap());
    for json in [r#"{"type":"chat"}"#, r#"{"type":"chat","panic_after":"x"}"#] {
        assert_eq!(host.route(json), by("last"));
        assert_eq!(
            all(),
            ["> outer", "> inner", "< inner true", "< outer true"]
        );
    }
    let (outcome, error) = host.reply(r#"{"type":"chat","refuse":"inner"}"#);
    assert!(matches!(outcome, Outcome::Refused(_)));
    assert_eq!(error["code"], "FORBIDDEN");
    assert_eq!(all(), ["> outer", "> inner", "< outer false"]);
    let (outcome, error) = host.reply(r#"{"type":"chat","panic":"outer"}"#);
    assert!(matches!(outcome, Outcome::Failed(_)));
    assert_eq!(error["code"], "INTERNAL");
    assert_eq!(all(), ["> outer"]);
    let stats = host.router.stats();
    assert_eq!((stats.routed, stats.refused, stats.failed), (2, 1, 1));
}

#[test]
fn r036_an_id_that_is_none_is_answered_as_null() {
    let mut host = Host::new();
    for id in [json!({"userId": "bob"}), json!(["x"]), json!(true)] {
        let request = json!({"jsonrpc": "2.0", "method": "unknown", "id": id}).to_string();
        let (outcome, got) = host.reply(&request);
        assert!(matches!(outcome, Outcome::Refused(_)));
        assert_eq!(
            (&got["id"], &got["error"]["code"]),
            (&Value::Null, &json!(-32600))
        );
    }
}

#[test]
fn r037_codes_may_be_numbers_and_those_without_one_are_unknown() {
    let host = Host::new();
    let told = |json: &str| assert_eq!(host.route(json), Outcome::Handled(None));
    told(r#"{"type":"error","code":404}"#);
    told(r#"{"type":"error","code":"404"}"#);
    // As many others as are counted apart.
    (0..100).for_each(|n| told(&json!({"type": "error", "code": format!("c{n}")}).to_string()));
    told(r#"{"type":"error"}"#);
    told(r#"{"type":"error","code":null}"#);
    let errors = host.router.stats().client_errors;
    assert_eq!((errors["404"], errors["UNKNOWN"]), (2, 2));
}

/// A handler that is trouble to the end.
struct PanicsAtItsEnd;
impl Handler for PanicsAtItsEnd {
    fn handle(&self, _: &Sender<'_>, _: &Message) -> Result<Handled, HandlerError> {
        Ok(Handled::Done)
    }
}
impl Drop for PanicsAtItsEnd {
    fn drop(&mut self) {
        panic!("the host's drop");
    }
}

#[test]
fn r033_a_handler_that_panics_when_it_is_dropped_hurts_nobody() {
    let mut host = Host::new();
    host.register("bad", PanicsAtItsEnd);
    assert_eq!(host.route(r#"{"type":"chat"}"#), by("bad"));
    assert!(host.router.remove("bad"));
    let (outcome, _) = host.reply(r#"{"type":"ping"}"#);
    assert_eq!(outcome, Outcome::Handled(None));
    // The collector drops it inside the call of any thread. No call may notice.
    for _ in 0..10_000 {
        assert!(!host.router.remove("bad"));
    }
    assert!(host.replies().is_empty());
}

#[test]
fn r079_a_client_that_invents_codes_leaves_room_for_those_of_others() {
    let host = Host::new();
    for n in 0..1_000 {
        host.route(&json!({"type": "error", "code": format!("invented {n}")}).to_string());
    }
    let his = br#"{"type":"error","code":"E_REAL"}"#;
    for _ in 0..3 {
        host.router.route_json(&host.bob, None, his, NOW);
        host.route(r#"{"type":"error","code":"E_REAL"}"#);
    }
    let errors = host.router.stats().client_errors;
    assert_eq!((errors["E_REAL"], errors["OTHER"]), (6, 1_000 - 8));
}
