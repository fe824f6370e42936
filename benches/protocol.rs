//! The protocol layer beside the same work written by hand: `serde_json::Value`, a
//! `HashMap<String, Box<dyn Fn>>` of handlers, and `DashMap` + flume for the devices.
//!
//! ```text
//! cargo bench -p laneway-bench --bench protocol
//! ```
//!
//! One thread, rounds interleaved, medians. Both parse what a client sent, find the handler by the
//! message's type, and deliver the answer to the sender's devices, who receive it.
//!
//! The message has an id. The one that is sent again and again is handled once by `inbound, laneway`,
//! and acknowledged by its id from then on; by hand it is handled each time. The works `handled` forget
//! ids, and so does the work by hand: their handler is called for each message. The works `answered` differ
//! in one thing only: with the memory of ids, each message has an id of its own, is handled, and joins the
//! ids that are known.

#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // Measuring takes a clock.

use std::collections::HashMap;
use std::hint::black_box;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dashmap::DashMap;
use laneway::protocol::{
    AgentRun, Broadcaster, Handled, Isolation, Message, MessageKind, MessageRouter, Packet,
    RepeatLimits, RunId, Sender, UserContext, typed,
};
use laneway::{Connection, Hub, Received, ThreadId, UserId, UserScope};
use serde::Deserialize;
use serde_json::{Value, json};

const ROUNDS: usize = 31;
const MESSAGES: usize = 2_000;
const NOW: Duration = Duration::from_secs(1);

/// What a client of a chat sends.
const CHAT: &str = r#"{"type":"user_message","payload":{"text":"What is the weather like in Reykjavik today, and shall I take a coat?","thread_id":"thread-4711","run_id":"run-0815"},"message_id":"0b8c2a44-7d6f-4a1e-9f3b-2f1d6c5e8a90","timestamp":1764028800000,"client":{"version":"2.14.1","platform":"web","locale":"en-GB"}}"#;

/// The beginning of a message whose id is made anew each time.
const FRESH: &str = r#"{"type":"chat","payload":{"text":"What is the weather like in Reykjavik today?"},"message_id":""#;

/// A body of a kilobyte without routing fields.
fn kilobyte() -> Value {
    let items: Vec<_> = (0..12)
        .map(|n| json!({"id": n, "title": format!("Item number {n} of the list"), "done": n % 2 == 0, "tags": ["a", "b"]}))
        .collect();
    json!({"thread_id": "thread-4711", "items": items, "total": 12})
}

fn id() -> UserId {
    UserId::new("ann-4711").expect("valid")
}

/// The layer under test.
struct Ours {
    messages: MessageRouter,
    scope: UserScope<Packet>,
    devices: Vec<Connection<Packet>>,
    _hub: Hub<Packet>,
}

fn ours(devices: usize) -> Ours {
    let hub = Hub::new();
    let scope = hub.scope(id());
    let devices = (0..devices)
        .map(|_| scope.connect().expect("room"))
        .collect();
    let messages = MessageRouter::new(Arc::new(Broadcaster::default()), NOW);
    let handlers = [
        ("pings", MessageKind::Ping),
        ("typing", MessageKind::UserTyping),
        ("agents", MessageKind::StartAgent),
        ("chat", MessageKind::UserMessage),
    ];
    for (name, kind) in handlers {
        let handler = move |sender: &laneway::protocol::Sender<'_>, message: &Message| {
            if message.kind != kind {
                return Ok(Handled::Declined);
            }
            let answer = Message::new(MessageKind::AgentResponse)
                .with("text", message.text("text").unwrap_or_default())
                .with("thread_id", message.text("thread_id").unwrap_or_default());
            let _ = black_box(sender.broadcast(&answer));
            Ok(Handled::Done)
        };
        messages.register(name, handler).expect("a new name");
    }
    Ours {
        messages,
        scope,
        devices,
        _hub: hub,
    }
}

/// The payload of [`CHAT`], as far as its handler wants it.
#[derive(Deserialize)]
struct Chat {
    text: String,
    thread_id: String,
}

/// The layer without a memory of message ids, and with a handler of chats only: of their fields, or of
/// their payload as a type.
fn handling(as_type: bool) -> Ours {
    let mut ours = ours(1);
    let messages = MessageRouter::new(Arc::new(Broadcaster::default()), NOW);
    ours.messages = messages.repeats(RepeatLimits {
        messages: 0,
        ..RepeatLimits::default()
    });
    let answer = |sender: &Sender<'_>, text: &str, thread: &str| {
        let answer = Message::new(MessageKind::AgentResponse)
            .with("text", text)
            .with("thread_id", thread);
        let _ = black_box(sender.broadcast(&answer));
        Ok(Handled::Done)
    };
    let added = if as_type {
        let chat = move |sender: &Sender<'_>, _: &Message, chat: Chat| {
            answer(sender, &chat.text, &chat.thread_id)
        };
        (ours.messages).register("chat", typed([MessageKind::UserMessage], chat))
    } else {
        let chat = move |sender: &Sender<'_>, message: &Message| {
            let text = |name| message.text(name).unwrap_or_default();
            answer(sender, text("text"), text("thread_id"))
        };
        ours.messages.register("chat", chat)
    };
    added.expect("a new name");
    ours
}

/// The layer with one handler of all messages, which replies to each. It knows `messages` ids of a user.
fn answering(messages: usize) -> Ours {
    let mut ours = ours(1);
    let limits = RepeatLimits {
        messages,
        ..RepeatLimits::default()
    };
    let inbound = MessageRouter::new(Arc::new(Broadcaster::default()), NOW).repeats(limits);
    let reply = |sender: &Sender<'_>, _: &Message| {
        let _ = black_box(sender.reply(&Message::new(MessageKind::Chat).with("text", "Rain.")));
        Ok(Handled::Done)
    };
    inbound.register("all", reply).expect("a new name");
    ours.messages = inbound;
    ours
}

impl Ours {
    /// As [`hear`](Self::hear), with a message id that has not come before.
    fn hear_fresh(&mut self, json: &mut Vec<u8>, ids: &mut u64) {
        *ids += 1;
        json.truncate(FRESH.len());
        write!(json, "{ids:032x}\"}}").expect("a vector grows");
        let outcome = (self.messages).route_json(&self.scope, None, json, NOW);
        let _ = black_box(outcome);
        assert!(black_box(self.drain()) > 0);
    }

    /// A message comes in, and its sender's devices get what is answered.
    fn hear(&mut self) {
        let outcome = (self.messages).route_json(&self.scope, None, CHAT.as_bytes(), NOW);
        let _ = black_box(outcome);
        assert!(black_box(self.drain()) > 0);
    }

    fn drain(&mut self) -> usize {
        let mut bytes = 0;
        for device in &mut self.devices {
            while let Ok(Received::Event(event)) = device.try_recv() {
                bytes += event.event.json().len();
            }
        }
        bytes
    }
}

type Devices = DashMap<String, Vec<flume::Sender<Arc<str>>>>;
type Handler = Box<dyn Fn(&Devices, &str, &Value)>;

/// What one writes first.
struct ByHand {
    handlers: HashMap<String, Handler>,
    devices: Devices,
    receivers: Vec<flume::Receiver<Arc<str>>>,
}

fn send(devices: &Devices, user: &str, message: &Value) {
    let text: Arc<str> = message.to_string().into();
    if let Some(all) = devices.get(user) {
        for device in all.iter() {
            let _ = device.try_send(Arc::clone(&text));
        }
    }
}

fn by_hand(devices: usize) -> ByHand {
    let (senders, receivers) = (0..devices).map(|_| flume::bounded(64)).unzip();
    let mut handlers = HashMap::new();
    for kind in ["ping", "user_typing", "start_agent", "user_message"] {
        let handler: Handler = Box::new(|devices, user, message| {
            let payload = &message["payload"];
            let answer = json!({
                "type": "agent_completed",
                "text": payload["text"],
                "thread_id": payload["thread_id"],
            });
            send(devices, user, &answer);
        });
        handlers.insert(kind.to_owned(), handler);
    }
    ByHand {
        handlers,
        devices: DashMap::from_iter([(id().as_str().to_owned(), senders)]),
        receivers,
    }
}

impl ByHand {
    fn hear(&self, user: &str, json: &[u8]) {
        let Ok(message) = serde_json::from_slice::<Value>(json) else {
            return;
        };
        let Some(kind) = message["type"].as_str() else {
            return;
        };
        if let Some(handler) = self.handlers.get(kind) {
            handler(&self.devices, user, &message);
        }
    }

    fn drain(&self) -> usize {
        let all = self.receivers.iter().flat_map(flume::Receiver::try_iter);
        all.map(|text| text.len()).sum()
    }
}

/// A complete run of an agent, five events, to three devices.
fn run(ours: &mut Ours, broadcaster: &Arc<Broadcaster>, context: &UserContext) {
    let took = Duration::from_millis(80);
    let (hub, scope, context) = (Arc::clone(broadcaster), ours.scope.clone(), context.clone());
    let (mut run, _) = AgentRun::start(hub, scope, context, "planner", NOW).expect("starts");
    let _ = run
        .thinking("that calls for a search", NOW)
        .expect("in order");
    let asked = json!({"query": "weather in Reykjavik", "api_key": "k", "limit": 3});
    let _ = run.tool_executing("search", asked, NOW).expect("in order");
    let found = json!(["8 degrees", "rain", "wind from the south"]);
    let _ = run
        .tool_completed("search", found, took, true, NOW)
        .expect("in order");
    let _ = run
        .complete("success", "Take a coat.", took, NOW)
        .expect("in order");
    assert!(black_box(ours.drain()) > 0);
}

/// The same events as one writes them first: without their order, cleaning, or who they are for checked.
fn run_by_hand(hub: &ByHand) {
    let mut sequence = 0;
    let mut tell = |kind: &str, own: Value| {
        sequence += 1;
        let mut event = json!({
            "type": kind, "event_id": format!("{}-{sequence}", uuid::Uuid::new_v4()), "user_id": "ann-4711",
            "thread_id": "thread-4711", "run_id": "run-0815", "request_id": "req-1",
            "agent_name": "planner", "timestamp": 1000, "sequence": sequence,
        });
        for (name, value) in own.as_object().expect("an object") {
            event[name] = value.clone();
        }
        send(&hub.devices, "ann-4711", &event);
    };
    tell("agent_started", json!({}));
    tell(
        "agent_thinking",
        json!({"reasoning": "that calls for a search"}),
    );
    tell(
        "tool_executing",
        json!({"tool_name": "search", "parameters": {"query": "weather in Reykjavik", "api_key": "k", "limit": 3}}),
    );
    tell(
        "tool_completed",
        json!({"tool_name": "search", "results": ["8 degrees", "rain", "wind from the south"], "duration": 80, "success": true}),
    );
    tell(
        "agent_completed",
        json!({"status": "success", "final_response": "Take a coat.", "duration": 80}),
    );
    assert!(black_box(hub.drain()) > 0);
}

/// Nanoseconds a turn of `f`.
fn time(mut f: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..MESSAGES {
        f();
    }
    start.elapsed().as_nanos() as f64 / MESSAGES as f64
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

fn main() {
    let (mut three, three_by_hand) = (ours(3), by_hand(3));
    let (mut as_type, mut by_fields) = (handling(true), handling(false));
    let (mut knows_ids, mut forgets_ids) = (answering(64), answering(0));
    let (mut fresh, mut ids) = (FRESH.as_bytes().to_vec(), 0);
    let (mut fresh_too, mut more_ids) = (fresh.clone(), 0);
    let (mut ours, by_hand) = (ours(1), by_hand(1));
    let broadcaster = Arc::new(Broadcaster::default());
    let thread = ThreadId::new("thread-4711").expect("valid");
    let context = UserContext::builder(id(), thread, RunId::new("run-0815").expect("valid"));
    let context = context.build().expect("valid");
    let user = id();
    let body = kilobyte();
    let body_json = body.to_string();
    let isolation = Isolation::default();
    let parsed = Message::parse(CHAT.as_bytes()).expect("a message");
    // A known type without an answer: the rest is the way to its handler.
    let ack = Message::new(MessageKind::HeartbeatAck);
    println!(
        "a message of {} bytes, a body of {} bytes, medians of {ROUNDS} rounds",
        CHAT.len(),
        body_json.len()
    );
    type Work<'a> = (&'a str, Box<dyn FnMut() + 'a>);
    let ours = std::cell::RefCell::new(&mut ours);
    let mut works: Vec<Work<'_>> = vec![
        ("inbound, laneway", Box::new(|| ours.borrow_mut().hear())),
        (
            "inbound, by hand",
            Box::new(|| {
                by_hand.hear("ann-4711", CHAT.as_bytes());
                assert!(black_box(by_hand.drain()) > 0);
            }),
        ),
        ("handled as a type, laneway", Box::new(|| as_type.hear())),
        (
            "handled by its fields, laneway",
            Box::new(|| by_fields.hear()),
        ),
        (
            "answered, 64 ids known",
            Box::new(|| knows_ids.hear_fresh(&mut fresh, &mut ids)),
        ),
        (
            "answered, ids forgotten",
            Box::new(|| forgets_ids.hear_fresh(&mut fresh_too, &mut more_ids)),
        ),
        (
            "parse, laneway",
            Box::new(|| drop(black_box(Message::parse(CHAT.as_bytes())))),
        ),
        (
            "parse, by hand",
            Box::new(|| drop(black_box(serde_json::from_slice::<Value>(CHAT.as_bytes())))),
        ),
        (
            "dispatch of a known type",
            Box::new(|| {
                let ours = ours.borrow();
                let outcome = ours.messages.route(&ours.scope, None, ack.clone(), NOW);
                let _ = black_box(outcome);
            }),
        ),
        (
            "parse a body of a kilobyte",
            Box::new(|| drop(black_box(serde_json::from_str::<Value>(&body_json)))),
        ),
        (
            "check it",
            Box::new(|| drop(black_box(isolation.check(&body, &user)))),
        ),
        (
            "a run to 3 devices, laneway",
            Box::new(|| run(&mut three, &broadcaster, &context)),
        ),
        (
            "a run to 3 devices, by hand",
            Box::new(|| run_by_hand(&three_by_hand)),
        ),
        (
            "write the message",
            Box::new(|| drop(black_box(parsed.to_json()))),
        ),
    ];
    let mut rounds = vec![Vec::new(); works.len()];
    for _ in 0..ROUNDS {
        for ((_, work), times) in works.iter_mut().zip(&mut rounds) {
            times.push(time(work));
        }
    }
    let figures: HashMap<_, _> = works
        .iter()
        .zip(rounds)
        .map(|((name, _), times)| (*name, median(times)))
        .collect();
    for (name, _) in &works {
        println!("{name:<32} {:>9.0} ns", figures[name]);
    }
    let ratio = |a: &str, b: &str| figures[a] / figures[b];
    println!(
        "inbound messages: {:.2} times as many as by hand (goal 1.5)",
        ratio("inbound, by hand", "inbound, laneway")
    );
    println!(
        "handled: {:.2} times as many as by hand as a type (goal 1.5), {:.2} by their fields",
        ratio("inbound, by hand", "handled as a type, laneway"),
        ratio("inbound, by hand", "handled by its fields, laneway")
    );
    println!(
        "memory of ids: {:.0} ns for a message with an id of its own",
        figures["answered, 64 ids known"] - figures["answered, ids forgotten"]
    );
    println!(
        "dispatch: {:.1} % of parsing (goal: at most 10)",
        100.0 * ratio("dispatch of a known type", "parse, laneway")
    );
    println!(
        "runs of an agent: {:.2} times as many as by hand",
        ratio("a run to 3 devices, by hand", "a run to 3 devices, laneway")
    );
    println!(
        "check: {:.1} % of parsing (goal: at most 20)",
        100.0 * ratio("check it", "parse a body of a kilobyte")
    );
}
