//! Messages that other machines read: answers, JSON-RPC 2.0, and numbers.
#![cfg(all(feature = "protocol", not(any(laneway_loom, laneway_shuttle))))]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use laneway::protocol::{
    BroadcastError, Broadcaster, Handled, Handler, HandlerError, InboundQueue, Message,
    MessageError, MessageKind, MessageLimits, MessageRouter, Middleware, Outcome, Packet, Quality,
    QualityProvider, QualityRequest, Sender,
};
use laneway::{Connection, Hub, Received, UserId, UserScope};
use proptest::prelude::*;
use serde_json::{Value, json};

const NOW: Duration = Duration::from_millis(1_234);

type Answer = Result<Handled, HandlerError>;

fn read(connection: &mut Connection<Packet>) -> Vec<String> {
    let mut all = Vec::new();
    while let Ok(Received::Event(got)) = connection.try_recv() {
        all.push(got.event.json().to_owned());
    }
    all
}

/// One of two systems that face each other: what its device gets is sent to the other one.
struct Side {
    _engine: Hub<Packet>,
    router: MessageRouter,
    scope: UserScope<Packet>,
    device: Connection<Packet>,
}

impl Side {
    fn new() -> Self {
        Self::with(MessageLimits::default())
    }

    fn with(limits: MessageLimits) -> Self {
        let engine: Hub<Packet> = Hub::new();
        let scope = engine.scope(UserId::new("peer").unwrap());
        let router = MessageRouter::new(Arc::new(Broadcaster::default()), Duration::ZERO);
        Self {
            router: router.limits(limits),
            device: scope.connect().unwrap(),
            scope,
            _engine: engine,
        }
    }

    fn register(&self, handler: impl Handler + 'static) {
        self.router.register("host", handler).unwrap();
    }

    fn route(&self, json: &str) -> Outcome {
        let from = Some(self.device.id());
        self.router
            .route_json(&self.scope, from, json.as_bytes(), NOW)
    }

    /// Sends, and returns what comes back.
    fn answers(&mut self, json: &str) -> (Outcome, Vec<String>) {
        let outcome = self.route(json);
        (outcome, read(&mut self.device))
    }

    /// The one answer, parsed.
    fn answer(&mut self, json: &str) -> (Outcome, Value) {
        let (outcome, answers) = self.answers(json);
        assert_eq!(answers.len(), 1, "{json}: {answers:?}");
        (outcome, serde_json::from_str(&answers[0]).unwrap())
    }
}

/// Sends `json` to `a`, and all that either says to the other. Returns what was said until both were
/// silent.
fn exchange(a: &mut Side, b: &mut Side, json: &str) -> Vec<String> {
    a.route(json);
    let mut said = Vec::new();
    for _ in 0..10 {
        let (from_a, from_b) = (read(&mut a.device), read(&mut b.device));
        if from_a.is_empty() && from_b.is_empty() {
            return said;
        }
        for json in &from_a {
            b.route(json);
        }
        for json in &from_b {
            a.route(json);
        }
        said.extend(from_a.into_iter().chain(from_b));
    }
    panic!("{json}: they do not fall silent: {said:?}");
}

/// Everything that a router has an answer to, of its own.
fn all_messages() -> Vec<String> {
    let kinds = MessageKind::KNOWN.iter().map(MessageKind::name);
    let aliases = MessageKind::KNOWN.iter().flat_map(MessageKind::aliases);
    let out = MessageKind::KNOWN.iter().map(MessageKind::outbound_name);
    let unknown = "new_thing ack disconnect_acknowledged typing_acknowledged message_ack \
        quality_alerts_subscription content_validation_result quality_report_generated \
        quality_alert quality_update";
    let names = kinds.chain(aliases.copied()).chain(out);
    let typed = names
        .chain(unknown.split_whitespace())
        .map(|name| json!({"type": name}).to_string());
    let bare = [
        r#"{"jsonrpc":"2.0","method":"m","id":1}"#,
        r#"{"jsonrpc":"2.0","method":"m"}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x"}}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"1.0","id":1,"result":{}}"#,
        r#"[{"jsonrpc":"2.0","method":"m","id":1}]"#,
        r#"[{"jsonrpc":"2.0","id":1,"result":{}}]"#,
        r#"{"jsonrpc":"2.0","#,
        "{}",
        "[]",
        "",
        r#"{"type":"error","n":1e999}"#,
    ];
    typed.chain(bare.map(str::to_owned)).collect()
}

#[test]
fn r075_two_routers_that_face_each_other_fall_silent() {
    for json in all_messages() {
        let said = exchange(&mut Side::new(), &mut Side::new(), &json);
        assert!(said.len() <= 1, "{json}: an answer was answered: {said:?}");
    }
    let ping = exchange(&mut Side::new(), &mut Side::new(), r#"{"type":"ping"}"#);
    assert_eq!(ping, [r#"{"type":"pong","timestamp":1234}"#]);
}

#[test]
fn r075_two_routers_whose_handlers_always_fail_fall_silent() {
    let fails = |_: &Sender<'_>, _: &Message| -> Answer { Err(HandlerError::new("NO", "no")) };
    for json in all_messages() {
        let (mut a, mut b) = (Side::new(), Side::new());
        a.register(fails);
        b.register(fails);
        let said = exchange(&mut a, &mut b, &json);
        assert!(said.len() <= 1, "{json}: {said:?}");
    }
}

struct RefusesAll;
impl Middleware for RefusesAll {
    fn before(&self, _: &Sender<'_>, _: &mut Message) -> Result<(), HandlerError> {
        Err(HandlerError::new("NO", "no"))
    }
}

#[test]
fn r075_two_routers_that_refuse_everything_fall_silent() {
    for json in all_messages() {
        let limits = MessageLimits { bytes: 1, depth: 0 };
        let said = exchange(&mut Side::with(limits), &mut Side::with(limits), &json);
        assert!(said.len() <= 1, "{json}: {said:?}");
        let (mut a, mut b) = (Side::new(), Side::new());
        a.router.wrap(RefusesAll).unwrap();
        b.router.wrap(RefusesAll).unwrap();
        let said = exchange(&mut a, &mut b, &json);
        assert!(said.len() <= 1, "{json}: {said:?}");
    }
}

#[test]
fn r075_two_queues_without_room_fall_silent() {
    let queue = InboundQueue::new(1, 1);
    let mut side = Side::new();
    let inlet = queue.inlet(side.scope.clone(), Some(side.device.id()));
    let mut submit = |json: &str| {
        let done = queue.submit(&side.router, &inlet, json.into(), NOW);
        (done.is_ok(), read(&mut side.device))
    };
    while submit(r#"{"type":"chat"}"#).0 {}
    for answer in [
        r#"{"type":"error","code":"BUSY"}"#,
        r#"{"type":"pong"}"#,
        r#"{"type":"ack"}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"busy"}}"#,
        r#"{"jsonrpc":"2.0","method":"notified"}"#,
    ] {
        assert_eq!(submit(answer), (false, vec![]), "{answer}");
    }
    // A request that finds no room is answered under its id.
    let (_, told) = submit(r#"{"jsonrpc":"2.0","method":"m","id":"seven"}"#);
    let told: Value = serde_json::from_str(&told[0]).unwrap();
    assert_eq!(
        (&told["id"], &told["error"]["code"]),
        (&json!("seven"), &json!(-32_000))
    );
    assert_response(&told);
}

/// What the quality handler answers.
struct Provider;
impl QualityProvider for Provider {
    fn metrics(&self, _: &QualityRequest<'_>, _: u64) -> Result<Value, HandlerError> {
        Ok(json!({}))
    }
    fn validate(
        &self,
        _: &QualityRequest<'_>,
        _: &str,
        _: &'static str,
        _: bool,
    ) -> Result<Value, HandlerError> {
        Ok(json!({}))
    }
    fn report(
        &self,
        _: &QualityRequest<'_>,
        _: &'static str,
        _: u64,
    ) -> Result<Value, HandlerError> {
        Ok(json!({}))
    }
}

#[test]
fn r075_answers_about_quality_are_not_answered() {
    for json in [
        r#"{"type":"get_quality_metrics"}"#,
        r#"{"type":"validate_content","content":"x"}"#,
        r#"{"type":"generate_quality_report"}"#,
        r#"{"type":"subscribe_quality_alerts"}"#,
        r#"{"type":"subscribe_quality_alerts","action":"none"}"#,
    ] {
        let (mut a, mut b) = (Side::new(), Side::new());
        for side in [&a, &b] {
            let quality = Quality::new(Arc::default(), Arc::new(Provider));
            quality.register(&side.router).unwrap();
        }
        assert_eq!(exchange(&mut a, &mut b, json).len(), 1, "{json}");
    }
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

/// What `JSONRPCResponse` and `JSONRPCError` of the MCP SDKs allow: these members and no others.
fn assert_response(message: &Value) {
    assert_eq!(message["jsonrpc"], "2.0");
    let id = &message["id"];
    assert!(
        id.is_string() || id.is_number() || id.is_null(),
        "{message}"
    );
    if message.get("error").is_none() {
        assert_eq!(keys(message), BTreeSet::from(["jsonrpc", "id", "result"]));
        return;
    }
    assert_eq!(keys(message), BTreeSet::from(["jsonrpc", "id", "error"]));
    let error = &message["error"];
    assert!(keys(error).is_subset(&BTreeSet::from(["code", "message", "data"])));
    assert!(
        error["code"].is_i64() && error["message"].is_string(),
        "{message}"
    );
}

#[test]
fn r075_what_is_no_request_is_answered_by_the_code_of_the_text() {
    let mut side = Side::new();
    let long = format!(
        r#"{{"jsonrpc":"2.0","method":"m","id":8,"params":["{}"]}}"#,
        "x".repeat(1 << 18)
    );
    let deep = format!(
        r#"{{"jsonrpc":"2.0","method":"m","id":9,"params":{}{}}}"#,
        "[".repeat(60),
        "]".repeat(60)
    );
    for (json, code, id) in [
        (
            r#"{"jsonrpc":"2.0","method":"m", "params":[1,2"#,
            -32_700,
            json!(null),
        ),
        (
            r#"{"jsonrpc":"2.0","method":"m","id":1]"#,
            -32_700,
            json!(null),
        ),
        (
            r#"{"jsonrpc":"1.0","method":"m","id":1}"#,
            -32_600,
            json!(1),
        ),
        (
            r#"{"jsonrpc":2.0,"method":"m","id":"a"}"#,
            -32_600,
            json!("a"),
        ),
        (
            r#"{"jsonrpc":"2.0","method":1,"params":"bar"}"#,
            -32_600,
            json!(null),
        ),
        (r#"{"jsonrpc":"2.0","method":7,"id":2}"#, -32_600, json!(2)),
        (r#"{"jsonrpc":"2.0","id":3}"#, -32_600, json!(3)),
        (
            r#"{"jsonrpc":"2.0","method":"m","id":4,"params":"bar"}"#,
            -32_600,
            json!(4),
        ),
        (
            r#"{"jsonrpc":"2.0","method":"m","id":{"userId":"bob"}}"#,
            -32_600,
            json!(null),
        ),
        (
            r#"{"jsonrpc":"2.0","method":"m","id":[1]}"#,
            -32_600,
            json!(null),
        ),
        (
            r#"{"jsonrpc":"2.0","method":"m","id":true}"#,
            -32_600,
            json!(null),
        ),
        (r#"{"type":"jsonrpc_request","id":5}"#, -32_600, json!(5)),
        (
            r#"[{"jsonrpc":"2.0","method":"m","id":6}]"#,
            -32_600,
            json!(null),
        ),
        (&long, -32_600, json!(8)),
        (&deep, -32_600, json!(9)),
        (
            r#"{"jsonrpc":"2.0","method":"m","id":123456789012345678901}"#,
            -32_600,
            json!(null),
        ),
        (
            r#"{"jsonrpc":"2.0","method":"m","id":10,"params":[1e999]}"#,
            -32_600,
            json!(10),
        ),
    ] {
        let shown = &json[..json.len().min(80)];
        let (outcome, answer) = side.answer(json);
        assert!(matches!(outcome, Outcome::Refused(_)), "{shown}");
        assert_response(&answer);
        let told = (&answer["error"]["code"], &answer["id"]);
        assert_eq!(told, (&json!(code), &id), "{shown}");
    }
    let (outcome, answer) = side.answer(r#"{"jsonrpc":"2.0","method":"m","id":1}"#);
    assert_eq!(outcome, Outcome::Unhandled);
    assert_response(&answer);
    assert_eq!(answer["error"]["code"], -32_601);
}

#[test]
fn r075_a_handlers_error_has_the_code_that_it_stands_for() {
    let mut side = Side::new();
    side.register(|_: &Sender<'_>, message: &Message| -> Answer {
        let code = message.text("method").unwrap().to_owned();
        assert!(code != "PANIC", "as asked");
        Err(HandlerError::new(code, "it is so"))
    });
    for (method, code) in [
        ("INVALID_PARAMS", -32_602),
        ("INVALID_FIELD", -32_602),
        ("METHOD_NOT_FOUND", -32_601),
        ("INVALID_REQUEST", -32_600),
        ("PARSE_ERROR", -32_700),
        ("BUSY", -32_000),
        ("-32042", -32_042),
        ("NO_CREDIT", -32_603),
        ("PANIC", -32_603),
    ] {
        let (_, answer) =
            side.answer(&json!({"jsonrpc": "2.0", "method": method, "id": 1}).to_string());
        assert_response(&answer);
        assert_eq!(answer["error"]["code"], code, "{method}");
    }
}

#[test]
fn r075_a_response_has_no_foreign_members_whatever_the_request_has() {
    let mut side = Side::new();
    side.register(|sender: &Sender<'_>, message: &Message| -> Answer {
        let told = sender.answer(message, json!({"tools": []}));
        let is_request = message.kind == MessageKind::JsonRpcRequest;
        assert_eq!(told.is_successful(), is_request);
        if !is_request {
            assert_eq!(told.refused, Some(BroadcastError::NoRequest));
        }
        Ok(Handled::Done)
    });
    for json in [
        r#"{"jsonrpc":"2.0","method":"tools/list","id":1,"extra":1,"timestamp":2}"#,
        r#"{"type":"jsonrpc_request","jsonrpc":"2.0","method":"tools/list","id":1}"#,
    ] {
        let (_, answer) = side.answer(json);
        assert_response(&answer);
        assert_eq!(answer["result"], json!({"tools": []}));
    }
    let (_, answers) = side.answers(r#"{"jsonrpc":"2.0","method":"notified"}"#);
    assert!(answers.is_empty());
    let (_, answers) = side.answers(r#"{"type":"chat"}"#);
    assert!(answers.is_empty());
}

#[test]
fn r075_json_rpc_goes_out_as_it_came_in() {
    for text in [
        r#"{"id":1,"jsonrpc":"2.0","method":"tools/call","params":{"name":"x"}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        r#"{"id":"a","jsonrpc":"2.0","result":{}}"#,
    ] {
        let message = Message::parse(text.as_bytes()).unwrap();
        assert_eq!(message.to_json(), text);
    }
}

/// What an echo makes of a message: the same text, or a refusal.
fn echo(side: &mut Side, json: &str) -> Option<String> {
    let (outcome, mut answers) = side.answers(json);
    match outcome {
        Outcome::Handled(_) => Some(answers.remove(0)),
        Outcome::Refused(error) => {
            assert_eq!(error.code, "MESSAGE_NUMBER_INEXACT", "{json}");
            assert!(answers[0].contains("exactly"), "{answers:?}");
            None
        }
        other => panic!("{json}: {other:?}"),
    }
}

fn echoing() -> Side {
    let side = Side::new();
    side.register(|sender: &Sender<'_>, message: &Message| -> Answer {
        let _ = match message.kind {
            MessageKind::JsonRpcRequest => sender.answer(message, json!({})),
            _ => sender.reply(message),
        };
        Ok(Handled::Done)
    });
    side
}

const EXACT: [&str; 26] = [
    "0",
    "-0",
    "1",
    "1.0",
    "1.00",
    "-1.50",
    "1e2",
    "1E2",
    "1e+2",
    "1e-05",
    "1e21",
    "1e+21",
    "100.0",
    "0.1",
    "0.30000000000000004",
    "5e-324",
    "1.7976931348623157e+308",
    "18446744073709551615",
    "-9223372036854775808",
    "9007199254740993",
    "1e22",
    "0.0",
    "0e5",
    "-0.0",
    "123456789012345680000",
    "2.50e-3",
];
const INEXACT: [&str; 9] = [
    "18446744073709551616",
    "-9223372036854775809",
    "123456789012345678901234567890",
    "3.14159265358979323846",
    "0.1000000000000000055511151231257827",
    "9007199254740993.0",
    "1e400",
    "-1e400",
    "1e-400",
];

#[test]
fn r075_numbers_go_out_as_they_came_in_or_the_message_is_refused() {
    let mut side = echoing();
    for number in EXACT {
        let text = format!(r#"{{"type":"chat","a":[{{"n":{number}}}],"s":"7e1"}}"#);
        assert_eq!(echo(&mut side, &text), Some(text.clone()), "{number}");
    }
    for number in INEXACT {
        let text = format!(r#"{{"type":"chat","a":[{{"n":{number}}}]}}"#);
        assert_eq!(echo(&mut side, &text), None, "{number}");
    }
    // Digits in texts are texts.
    let text = r#"{"type":"chat","s":"\\\"123456789012345678901234567890 1e400"}"#;
    assert_eq!(echo(&mut side, text).as_deref(), Some(text));
}

#[test]
fn r075_an_id_is_answered_as_it_was_written() {
    let mut side = echoing();
    for id in EXACT.into_iter().chain([r#""1""#, r#""0010""#, "null"]) {
        let text = format!(r#"{{"jsonrpc":"2.0","method":"m","id":{id}}}"#);
        let answer = echo(&mut side, &text).unwrap();
        assert_eq!(
            answer,
            format!(r#"{{"id":{id},"jsonrpc":"2.0","result":{{}}}}"#)
        );
    }
    for id in INEXACT {
        let text = format!(r#"{{"jsonrpc":"2.0","method":"m","id":{id}}}"#);
        assert_eq!(echo(&mut side, &text), None, "{id}");
    }
}

#[test]
fn r075_one_value_written_in_two_ways_keeps_its_value() {
    let mut side = echoing();
    let text = r#"{"a":[1.5,1.50,1e2,100.0,2.0],"type":"chat"}"#;
    let got = echo(&mut side, text).unwrap();
    assert_eq!(got, r#"{"type":"chat","a":[1.5,1.5,100.0,100.0,2.0]}"#);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn r075_any_number_goes_out_as_it_came_in_or_is_refused(
        number in "-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,24})?([eE][+-]?[0-9]{1,3})?",
    ) {
        let text = format!(r#"{{"type":"chat","n":{number}}}"#);
        match Message::parse(text.as_bytes()) {
            Ok(message) => prop_assert_eq!(message.to_json(), text),
            Err(error) => prop_assert_eq!(error, MessageError::InexactNumber),
        }
    }

    #[test]
    fn r075_what_javascript_and_python_write_is_never_refused(bits in any::<u64>(), whole in any::<i64>()) {
        for number in [json!(f64::from_bits(bits)), json!(whole)] {
            let text = json!({"type": "chat", "n": number}).to_string();
            prop_assert!(Message::parse(text.as_bytes()).is_ok());
        }
    }
}
