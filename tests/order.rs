//! Order and once: messages of one sender, and message ids that come again.
#![cfg(all(feature = "protocol", not(any(laneway_loom, laneway_shuttle))))]
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // Hosts lock and sleep.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use laneway::protocol::{
    Busy, Handled, Handler, HandlerError, InboundQueue, Inlet, Message, MessageRouter, Middleware,
    Outcome, Packet, RepeatLimits, Sender,
};
use laneway::{Connection, Hub, Received, UserId, UserScope};
use serde_json::{Value, json};

const NOW: Duration = Duration::from_millis(1_234);
const SOON: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(20);

type Answer = Result<Handled, HandlerError>;

fn scope(engine: &Hub<Packet>, user: &str) -> UserScope<Packet> {
    engine.scope(UserId::new(user).unwrap())
}

fn router(handler: impl Handler + 'static) -> MessageRouter {
    let router = MessageRouter::new(Arc::default(), Duration::ZERO);
    router.register("host", handler).unwrap();
    router
}

fn numbered(n: usize) -> Vec<u8> {
    json!({"type": "chat", "n": n}).to_string().into_bytes()
}

/// Submits until there is room.
fn submit(queue: &InboundQueue, router: &MessageRouter, inlet: &Inlet, n: usize) {
    while queue.submit(router, inlet, numbered(n), NOW).is_err() {
        thread::yield_now();
    }
}

#[test]
fn r078_messages_of_one_sender_are_handled_in_the_order_sent_with_many_workers() {
    const USERS: usize = 4;
    const EACH: usize = 300;
    let engine: Hub<Packet> = Hub::new();
    let handled: Arc<Mutex<BTreeMap<String, Vec<u64>>>> = Arc::default();
    let (noted, busy) = (Arc::clone(&handled), Arc::new(AtomicBool::new(false)));
    let side_by_side = Arc::new(AtomicUsize::new(0));
    let (most, now) = (Arc::clone(&side_by_side), AtomicUsize::new(0));
    let router = router(move |sender: &Sender<'_>, message: &Message| -> Answer {
        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let n = message.fields()["n"].as_u64().unwrap();
        if n.is_multiple_of(7) {
            // Later messages would overtake this one.
            thread::sleep(Duration::from_micros(200));
        }
        let user = sender.user().as_str().to_owned();
        noted.lock().unwrap().entry(user).or_default().push(n);
        now.fetch_sub(1, Ordering::SeqCst);
        Ok(Handled::Done)
    });
    let queue = InboundQueue::new(64, 8);
    thread::scope(|s| {
        let workers: Vec<_> = (0..4)
            .map(|_| {
                let (queue, router, busy) = (&queue, &router, &busy);
                s.spawn(move || {
                    while !busy.load(Ordering::Relaxed) {
                        queue.work(router, SOON, || NOW);
                    }
                })
            })
            .collect();
        let senders: Vec<_> = (0..USERS)
            .map(|user| {
                let (queue, router, engine) = (&queue, &router, &engine);
                s.spawn(move || {
                    // Two tabs: what is sent by one and then by the other is one order.
                    let ann = scope(engine, &format!("u{user}"));
                    let tabs = [(); 2].map(|()| queue.inlet(ann.clone(), None));
                    (0..EACH).for_each(|n| submit(queue, router, &tabs[n % 2], n));
                    while tabs[0].under_way() > 0 {
                        thread::yield_now();
                    }
                })
            })
            .collect();
        for sender in senders {
            sender.join().unwrap();
        }
        busy.store(true, Ordering::Relaxed);
        for worker in workers {
            worker.join().unwrap();
        }
    });
    let handled = handled.lock().unwrap();
    assert_eq!(handled.len(), USERS);
    for (user, numbers) in &*handled {
        assert!(
            numbers.iter().copied().eq(0..EACH as u64),
            "{user}: {numbers:?}"
        );
    }
    assert!(
        side_by_side.load(Ordering::SeqCst) > 1,
        "users do not wait for each other"
    );
    assert_eq!(queue.waiting(), 0);
}

/// What a connection was told.
fn read(connection: &mut Connection<Packet>) -> Vec<Value> {
    let mut all = Vec::new();
    while let Ok(Received::Event(got)) = connection.try_recv() {
        all.push(serde_json::from_str(got.event.json()).unwrap());
    }
    all
}

#[test]
fn r078_a_share_of_one_serves_one_sender() {
    let engine: Hub<Packet> = Hub::new();
    let ann = scope(&engine, "ann");
    let mut phone = ann.connect().unwrap();
    let queue = InboundQueue::new(1, 1);
    let inlet = queue.inlet(ann, Some(phone.id()));
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let router = router(move |sender: &Sender<'_>, message: &Message| -> Answer {
        let _ = sender.reply(message);
        // It is not done when its sender has the answer.
        let _ = released.lock().unwrap().recv_timeout(PATIENCE);
        Ok(Handled::Done)
    });
    thread::scope(|s| {
        let worker = s.spawn(|| (0..10).all(|_| queue.work(&router, PATIENCE, || NOW).is_some()));
        queue.submit(&router, &inlet, numbered(0), NOW).unwrap();
        for n in 0..9 {
            let Ok(Received::Event(answer)) = phone.recv_timeout(PATIENCE) else {
                panic!("no answer");
            };
            assert!(answer.event.json().contains(&format!("\"n\":{n}")));
            // Sent as soon as the answer is there.
            queue.submit(&router, &inlet, numbered(n + 1), NOW).unwrap();
            assert_eq!(queue.submit(&router, &inlet, numbered(0), NOW), Err(Busy));
            assert_eq!(read(&mut phone)[0]["code"], "BUSY");
            release.send(()).unwrap();
        }
        release.send(()).unwrap();
        assert!(worker.join().unwrap());
    });
    assert_eq!((inlet.under_way(), queue.waiting()), (0, 0));
}

#[test]
fn r078_r079_more_inlets_are_no_more_places() {
    let engine: Hub<Packet> = Hub::new();
    let (ann, bob) = (scope(&engine, "ann"), scope(&engine, "bob"));
    let queue = InboundQueue::new(4, 2);
    let router = router(|_: &Sender<'_>, _: &Message| -> Answer { Ok(Handled::Done) });
    let taken = (0..10)
        .map(|_| queue.inlet(ann.clone(), None))
        .filter(|inlet| queue.submit(&router, inlet, numbered(1), NOW).is_ok());
    assert_eq!(taken.count(), 2);
    let his = queue.inlet(bob, None);
    assert!(queue.submit(&router, &his, numbered(1), NOW).is_ok());
    // One turn each, in whatever order and however often the senders came.
    let worked = (0..4).map_while(|_| queue.work(&router, Duration::ZERO, || NOW));
    assert_eq!(worked.count(), 3);
}

#[test]
fn r078_a_worker_that_panics_loses_no_later_message() {
    let engine: Hub<Packet> = Hub::new();
    let queue = InboundQueue::new(4, 4);
    let inlet = queue.inlet(scope(&engine, "ann"), None);
    let router = router(|_: &Sender<'_>, _: &Message| -> Answer { Ok(Handled::Done) });
    (0..3).for_each(|n| submit(&queue, &router, &inlet, n));
    let clock = || -> Duration { panic!("the host's clock") };
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        queue.work(&router, Duration::ZERO, clock)
    }));
    assert!(panicked.is_err());
    for _ in 0..2 {
        assert!(queue.work(&router, Duration::ZERO, || NOW).is_some());
    }
    assert_eq!((inlet.under_way(), queue.waiting()), (0, 0));
    // A queue that goes with messages in it frees them.
    (0..3).for_each(|n| submit(&queue, &router, &inlet, n));
    let ann = scope(&engine, "ann");
    let phone = ann.connect().unwrap();
    drop((queue, inlet));
    drop(phone);
    assert_eq!(ann.connection_count(), 0);
}

/// A host whose handler counts, answers twice and sends the second answer to the sender only.
struct Host {
    engine: Hub<Packet>,
    router: MessageRouter,
    handled: Arc<AtomicUsize>,
    ann: UserScope<Packet>,
    phone: Connection<Packet>,
    bob: UserScope<Packet>,
    his: Connection<Packet>,
}

impl Host {
    fn new(limits: RepeatLimits) -> Self {
        let engine: Hub<Packet> = Hub::new();
        let (ann, bob) = (scope(&engine, "ann"), scope(&engine, "bob"));
        let handled = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&handled);
        let answers = move |sender: &Sender<'_>, message: &Message| -> Answer {
            let n = count.fetch_add(1, Ordering::Relaxed);
            match message.text("do") {
                Some("fail") => return Err(HandlerError::new("NO_CREDIT", format!("{n}"))),
                Some("panic") => panic!("as asked"),
                Some("decline") => return Ok(Handled::Declined),
                Some("nothing") => {}
                Some(long) if long.len() > 100 => _ = sender.reply(message),
                _ => {
                    for part in ["a", "b"] {
                        let answer = message.clone().with("part", part).with("n", n);
                        let _ = sender.reply(&answer);
                    }
                }
            }
            Ok(Handled::Done)
        };
        Self {
            router: router(answers).repeats(limits),
            phone: ann.connect().unwrap(),
            his: bob.connect().unwrap(),
            handled,
            ann,
            bob,
            engine,
        }
    }

    /// What comes of ann's message, and the answers.
    fn send(&mut self, message: &Value) -> (Outcome, Vec<Value>) {
        let json = message.to_string();
        let from = Some(self.phone.id());
        let outcome = self
            .router
            .route_json(&self.ann, from, json.as_bytes(), NOW);
        (outcome, read(&mut self.phone))
    }

    fn handled(&self) -> usize {
        self.handled.swap(0, Ordering::Relaxed)
    }
}

#[test]
fn r078_a_message_id_that_comes_again_is_answered_as_before_and_not_handled_twice() {
    let mut host = Host::new(RepeatLimits::default());
    for (id, action) in [
        (json!("m-1"), "answer"),
        (json!("m-2"), "fail"),
        (json!("m-3"), "panic"),
        (json!("m-4"), "decline"),
        (json!(1), "answer"),
        (json!("1"), "answer"),
    ] {
        for message in [
            json!({"type": "chat", "message_id": id, "do": action}),
            json!({"type": "agent_task", "payload": {"message_id": format!("p{id}"), "do": action}}),
        ] {
            let (first, answers) = host.send(&message);
            assert!(!matches!(first, Outcome::Repeated) && !answers.is_empty());
            assert_eq!(host.handled(), 1, "{message}");
            for _ in 0..3 {
                assert_eq!(
                    host.send(&message),
                    (Outcome::Repeated, answers.clone()),
                    "{message}"
                );
            }
            assert_eq!(host.handled(), 0, "{message}");
        }
    }
    assert_eq!(host.router.stats().repeated, 36);
    // On another of the user's connections, too, and there it is answered.
    let mut tab = host.ann.connect().unwrap();
    let json = json!({"type": "chat", "message_id": "m-1", "do": "answer"}).to_string();
    let outcome = host
        .router
        .route_json(&host.ann, Some(tab.id()), json.as_bytes(), NOW);
    assert_eq!(outcome, Outcome::Repeated);
    assert_eq!((read(&mut tab).len(), read(&mut host.phone).len()), (2, 0));
    // Another user's id is another id.
    let outcome = host
        .router
        .route_json(&host.bob, Some(host.his.id()), json.as_bytes(), NOW);
    assert_eq!(outcome, Outcome::Handled(Some("host".into())));
    assert_eq!((host.handled(), read(&mut host.his).len()), (1, 2));
}

#[test]
fn r078_a_message_without_answers_is_acknowledged_when_it_comes_again() {
    let mut host = Host::new(RepeatLimits::default());
    let message = json!({"type": "chat", "message_id": "m-1", "do": "nothing"});
    assert!(host.send(&message).1.is_empty());
    let (outcome, answers) = host.send(&message);
    assert_eq!((outcome, host.handled()), (Outcome::Repeated, 1));
    assert_eq!(
        answers,
        [
            json!({"type": "ack", "received_type": "chat", "status": "already_handled",
            "message_id": "m-1", "timestamp": 1_234})
        ]
    );
    // r075: what gets no answer gets none now.
    let pong = json!({"type": "pong", "message_id": "m-2", "do": "nothing"});
    assert!(host.send(&pong).1.is_empty() && host.send(&pong).1.is_empty());
    assert_eq!(host.handled(), 1);
}

#[test]
fn r078_an_id_that_comes_with_another_message_is_refused() {
    let mut host = Host::new(RepeatLimits::default());
    host.send(&json!({"type": "chat", "message_id": "m-1", "text": "one"}));
    for other in [
        json!({"type": "chat", "message_id": "m-1", "text": "two"}),
        json!({"type": "agent_task", "message_id": "m-1", "text": "one"}),
    ] {
        let (outcome, answers) = host.send(&other);
        assert!(matches!(outcome, Outcome::Refused(e) if e.code == "MESSAGE_ID_REUSED"));
        assert_eq!(answers[0]["code"], "MESSAGE_ID_REUSED");
    }
    assert_eq!(host.handled(), 1);
}

#[test]
fn r078_what_is_no_id_is_a_field_like_others() {
    let mut host = Host::new(RepeatLimits::default());
    let long = "x".repeat(201);
    for id in [
        json!(null),
        json!(""),
        json!({"a": 1}),
        json!([1]),
        json!(true),
        json!(long),
    ] {
        let message = json!({"type": "chat", "message_id": id});
        host.send(&message);
        host.send(&message);
        assert_eq!(host.handled(), 2, "{id}");
    }
    let rpc = json!({"jsonrpc": "2.0", "method": "m", "id": 1, "message_id": "m-1"});
    host.send(&rpc);
    host.send(&rpc);
    assert_eq!(host.handled(), 2);
    let none = RepeatLimits {
        messages: 0,
        ..RepeatLimits::default()
    };
    let mut host = Host::new(none);
    let message = json!({"type": "chat", "message_id": "m-1"});
    host.send(&message);
    host.send(&message);
    assert_eq!(host.handled(), 2);
}

#[test]
fn r078_r079_ids_are_bounded_the_oldest_goes_and_no_flood_takes_anothers() {
    let limits = RepeatLimits {
        users: 2,
        messages: 3,
        answer_bytes: 1_000,
    };
    let mut host = Host::new(limits);
    let message = |n: u64| json!({"type": "chat", "message_id": n, "do": "nothing"});
    let his = message(0).to_string();
    let send_his = |host: &mut Host| {
        let from = Some(host.his.id());
        host.router.route_json(&host.bob, from, his.as_bytes(), NOW)
    };
    assert_ne!(send_his(&mut host), Outcome::Repeated);
    for n in 0..1_000 {
        host.send(&message(n));
    }
    assert_eq!(
        send_his(&mut host),
        Outcome::Repeated,
        "her flood took nothing of his"
    );
    assert_eq!(host.send(&message(997)).0, Outcome::Repeated);
    // Forgotten is new, and never a wrong answer.
    assert_ne!(host.send(&message(0)).0, Outcome::Repeated);
    // Answers that are too long are not kept, and it is said that it was handled.
    let long = json!({"type": "chat", "message_id": "long", "do": "x".repeat(2_000)});
    assert_eq!(host.send(&long).1.len(), 1);
    let (outcome, answers) = host.send(&long);
    assert_eq!(
        (outcome, &answers[0]["status"]),
        (Outcome::Repeated, &json!("already_handled"))
    );
    // Other users make room for each other: those who were heard longest ago.
    let (ann, cid) = (host.ann.clone(), scope(&host.engine, "cid"));
    let route = |host: &Host, of: &UserScope<Packet>| {
        host.router.route_json(of, None, his.as_bytes(), NOW) == Outcome::Repeated
    };
    assert!(!route(&host, &cid) && route(&host, &cid));
    assert!(route(&host, &ann), "she was heard after bob");
}

struct Closed(AtomicBool);
impl Middleware for Closed {
    fn before(&self, _: &Sender<'_>, _: &mut Message) -> Result<(), HandlerError> {
        if self.0.swap(false, Ordering::Relaxed) {
            return Err(HandlerError::new("CLOSED", "come again"));
        }
        Ok(())
    }
}

#[test]
fn r078_what_a_middleware_refused_may_come_again() {
    let mut host = Host::new(RepeatLimits::default());
    host.router.wrap(Closed(AtomicBool::new(true))).unwrap();
    let message = json!({"type": "chat", "message_id": "m-1"});
    assert!(matches!(host.send(&message).0, Outcome::Refused(_)));
    assert!(matches!(host.send(&message).0, Outcome::Handled(_)));
    assert_eq!(host.send(&message).0, Outcome::Repeated);
    assert_eq!(host.handled(), 1);
}

#[test]
fn r078_of_many_who_send_one_id_at_once_one_is_handled() {
    for _ in 0..50 {
        let host = Host::new(RepeatLimits::default());
        let json = json!({"type": "chat", "message_id": "m-1"}).to_string();
        thread::scope(|s| {
            for _ in 0..4 {
                s.spawn(|| {
                    host.router
                        .route_json(&host.ann, None, json.as_bytes(), NOW)
                });
            }
        });
        assert_eq!(host.handled(), 1);
        assert_eq!(host.router.stats().repeated, 3);
    }
}
