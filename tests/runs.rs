//! What a run can say, and how a host ends it from outside.
#![cfg(all(feature = "protocol", not(any(laneway_loom, laneway_shuttle))))]
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // Threads that meet.

use std::sync::Arc;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use laneway::protocol::{
    AgentRun, AgentRuns, Broadcaster, Fault, MessageKind, OpenRunLimits, Packet, RunError, RunId,
    SequenceChecker, UserContext,
};
use laneway::{Connection, Hub, Received, ThreadId, UserId, UserScope};
use serde_json::{Value, json};

const TOOK: Duration = Duration::from_millis(80);

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn context(user: &str) -> UserContext {
    let (user, thread) = (UserId::new(user).unwrap(), ThreadId::new("t-7").unwrap());
    let run = RunId::new(format!("r-{}", user.as_str())).unwrap();
    UserContext::builder(user, thread, run).build().unwrap()
}

fn scope(engine: &Hub<Packet>, user: &str) -> UserScope<Packet> {
    engine.scope(UserId::new(user).unwrap())
}

fn events(device: &mut Connection<Packet>) -> Vec<Value> {
    let mut events = Vec::new();
    while let Ok(Received::Event(got)) = device.try_recv() {
        events.push(serde_json::from_str(got.event.json()).unwrap());
    }
    events
}

fn types(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect()
}

/// What is wrong with ann's events.
fn faults(events: &[Value]) -> Vec<Fault> {
    let mut checker = SequenceChecker::new(UserId::new("ann").unwrap());
    let mut all: Vec<_> = events
        .iter()
        .flat_map(|event| checker.check(event))
        .collect();
    all.extend(checker.finish());
    all.into_iter().map(|violation| violation.fault).collect()
}

struct Host {
    engine: Hub<Packet>,
    phone: Connection<Packet>,
}

impl Host {
    fn new() -> Self {
        let engine: Hub<Packet> = Hub::builder().lane_capacity(1_024).build().unwrap();
        Self {
            phone: scope(&engine, "ann").connect().unwrap(),
            engine,
        }
    }

    fn start(&self) -> AgentRun {
        let ann = scope(&self.engine, "ann");
        let begun = AgentRun::start(Arc::default(), ann, context("ann"), "planner", at(1));
        begun.unwrap().0
    }

    fn events(&mut self) -> Vec<Value> {
        events(&mut self.phone)
    }
}

#[test]
fn r077_two_calls_of_one_tool_at_once_are_told_apart_by_their_ids() {
    let mut host = Host::new();
    let mut run = host.start();
    for (id, query) in [("c-1", "lanes"), ("c-2", "roads")] {
        let _ = run
            .call_executing("search", id, json!({"q": query}), at(2))
            .unwrap();
    }
    // One without an id is a call of its own.
    let _ = run.tool_executing("search", json!({}), at(2)).unwrap();
    assert_eq!(run.open_tools().collect::<Vec<_>>(), ["search"; 3]);
    let again = run.call_executing("read", "c-1", json!({}), at(3));
    assert_eq!(again, Err(RunError::ToolOpen));
    let unknown = run.call_completed("c-3", json!([]), TOOK, true, at(3));
    assert_eq!(unknown, Err(RunError::ToolNotOpen));
    for blank in ["", " "] {
        let empty = RunError::Empty { field: "call_id" };
        let refused = run.call_executing("read", blank, json!({}), at(3));
        assert_eq!(refused, Err(empty.clone()));
        let refused = run.call_completed(blank, json!({}), TOOK, true, at(3));
        assert_eq!(refused, Err(empty));
    }
    let _ = run
        .call_completed("c-2", json!([2]), TOOK, true, at(4))
        .unwrap();
    let _ = run
        .tool_completed("search", json!([3]), TOOK, true, at(4))
        .unwrap();
    let open = run.tool_completed("search", json!([1]), TOOK, true, at(4));
    assert_eq!(
        open,
        Err(RunError::ToolNotOpen),
        "c-1 is completed by its id"
    );
    let _ = run
        .call_completed("c-1", json!({"token": "hunter2"}), TOOK, false, at(5))
        .unwrap();
    let done = run.call_completed("c-1", json!([1]), TOOK, true, at(6));
    assert_eq!(done, Err(RunError::ToolNotOpen));
    // An id may be used again.
    let _ = run.call_executing("read", "c-1", json!({}), at(7)).unwrap();
    let _ = run
        .call_completed("c-1", json!({}), TOOK, true, at(7))
        .unwrap();
    let _ = run.complete("success", "done", TOOK, at(8)).unwrap();
    let events = host.events();
    let calls: Vec<_> = events
        .iter()
        .filter_map(|event| {
            Some((
                event.get("call_id")?.as_str()?,
                event["tool_name"].as_str()?,
            ))
        })
        .collect();
    let (one, two) = (("c-1", "search"), ("c-2", "search"));
    assert_eq!(
        calls,
        [one, two, two, one, ("c-1", "read"), ("c-1", "read")]
    );
    assert_eq!(events[6]["results"], json!({"token": "[redacted]"}));
    assert_eq!(faults(&events), []);
}

#[test]
fn r077_a_run_may_end_with_nothing_to_say() {
    let mut host = Host::new();
    for response in ["", " ", "\n"] {
        let run = host.start();
        let told = run.complete("success", response, TOOK, at(2)).unwrap();
        assert!(told.is_successful());
        let events = host.events();
        assert_eq!(types(&events), ["agent_started", "agent_completed"]);
        assert_eq!(events[1]["final_response"], response);
        assert_eq!(faults(&events), []);
    }
}

#[test]
fn r077_pieces_of_an_answer_are_events_of_the_run_in_its_sequence() {
    let mut host = Host::new();
    let mut run = host.start();
    for piece in ["There", " ", "are\n", "three."] {
        let told = run.chunk(piece, at(2)).unwrap();
        assert_eq!(told.kind, MessageKind::AgentResponseChunk);
    }
    let nothing = RunError::Empty { field: "text" };
    assert_eq!(run.chunk("", at(2)), Err(nothing));
    let _ = run
        .complete("success", "There are\nthree.", TOOK, at(3))
        .unwrap();
    let events = host.events();
    assert_eq!(types(&events)[1..5], ["agent_response_chunk"; 4]);
    for (n, event) in (1_u64..).zip(&events) {
        assert_eq!(event["sequence"], n);
        let id = event["event_id"].as_str().unwrap();
        assert!(id.ends_with(&format!("-{n}")));
        assert_eq!(
            (&event["run_id"], &event["agent_name"]),
            (&json!("r-ann"), &json!("planner"))
        );
    }
    let text: String = events[1..5]
        .iter()
        .map(|e| e["text"].as_str().unwrap())
        .collect();
    assert_eq!(text, events[5]["final_response"]);
    assert_eq!(faults(&events), []);
}

#[test]
fn r077_a_piece_is_not_critical() {
    let engine: Hub<Packet> = Hub::builder().lane_capacity(2).build().unwrap();
    let ann = scope(&engine, "ann");
    let mut run = AgentRun::start(Arc::default(), ann.clone(), context("ann"), "a", at(1))
        .unwrap()
        .0;
    let mut slow = ann.connect().unwrap();
    for _ in 0..10 {
        let _ = run.chunk("x", at(2)).unwrap();
    }
    assert!(matches!(slow.try_recv(), Ok(Received::Gap { .. })));
}

#[test]
fn r077_the_checker_pairs_calls_by_their_ids() {
    let event = |kind: &str, n: u64, call: Value| {
        let mut event = json!({
            "type": kind, "event_id": n.to_string(), "user_id": "ann", "thread_id": "t", "run_id": "r",
            "request_id": "q", "agent_name": "a", "timestamp": 1, "sequence": n,
            "tool_name": "search", "parameters": {}, "results": {}, "duration": 1, "success": true,
            "code": "c", "message": "m", "recoverable": false, "text": "x",
        });
        if !call.is_null() {
            event["call_id"] = call;
        }
        event
    };
    let run = |calls: &[(&str, Value)]| {
        let started = event("agent_started", 1, Value::Null);
        let steps = (2..)
            .zip(calls)
            .map(|(n, (kind, call))| event(kind, n, call.clone()));
        let mut all: Vec<_> = [started].into_iter().chain(steps).collect();
        all.push(event("agent_error", all.len() as u64 + 1, Value::Null));
        faults(&all)
    };
    let (begin, end) = ("tool_executing", "tool_completed");
    let tool = || "search".to_owned();
    let (one, two) = (json!("1"), json!("2"));
    assert_eq!(
        run(&[
            (begin, one.clone()),
            (begin, two.clone()),
            (end, one.clone()),
            (end, two.clone())
        ]),
        []
    );
    let unpaired = [Fault::Unpaired { tool: tool() }];
    assert_eq!(run(&[(begin, one.clone()), (end, two)]), unpaired);
    assert_eq!(run(&[(begin, one.clone()), (end, Value::Null)]), unpaired);
    let twice = [Fault::DuplicateCall { tool: tool() }];
    assert_eq!(run(&[(begin, one.clone()), (begin, one)]), twice);
    let malformed = |field| [Fault::Malformed { field }];
    assert_eq!(run(&[(begin, json!(7))]), malformed("call_id"));
    let mut chunk = event("agent_response_chunk", 2, Value::Null);
    chunk["text"] = Value::Null;
    let all = [
        event("agent_started", 1, Value::Null),
        chunk,
        event("agent_error", 3, Value::Null),
    ];
    assert_eq!(faults(&all), malformed("text"));
}

#[test]
fn r077_a_shutdown_ends_open_runs_with_its_reason_and_tells_their_users() {
    let host = Host::new();
    let runs = AgentRuns::new(Arc::default(), OpenRunLimits::default());
    let mut devices: Vec<_> = ["ann", "bob", "cid"]
        .map(|user| (user, scope(&host.engine, user).connect().unwrap()))
        .into();
    let start = |user| runs.start(scope(&host.engine, user), context(user), "planner", at(1));
    let mut open: Vec<_> = ["ann", "bob", "cid"]
        .map(|user| start(user).unwrap().0)
        .into();
    let _ = open[0].tool_executing("search", json!({}), at(2)).unwrap();
    // One that has ended is not ended again.
    let _ = open
        .pop()
        .unwrap()
        .complete("success", "", TOOK, at(3))
        .unwrap();
    assert_eq!(runs.len(), 2);
    for (code, text) in [("", "why"), ("shutdown", " ")] {
        assert!(matches!(
            runs.end_all(code, text, true, at(4)),
            Err(RunError::Empty { .. })
        ));
    }
    assert_eq!(runs.len(), 2);
    let ended = runs
        .end_all("shutdown", "the server restarts", true, at(5))
        .unwrap();
    assert_eq!((ended.told, ended.untold, ended.speaking), (2, 0, 0));
    assert!(runs.is_empty());
    for (user, device) in &mut devices {
        let events = events(device);
        let last = events.last().unwrap();
        if *user == "cid" {
            assert_eq!(last["type"], "agent_completed");
            continue;
        }
        assert_eq!(
            (&last["type"], &last["user_id"]),
            (&json!("agent_error"), &json!(user))
        );
        assert_eq!(
            (&last["code"], &last["message"]),
            (&json!("shutdown"), &json!("the server restarts"))
        );
        assert_eq!(
            (&last["recoverable"], &last["timestamp"]),
            (&json!(true), &json!(5))
        );
        assert_eq!(last["sequence"], events.len() as u64);
    }
    // Its owner is told, and says nothing more.
    let mut ann = open.remove(0);
    assert!(ann.is_ended());
    assert_eq!(ann.thinking("hm", at(6)), Err(RunError::Ended));
    assert_eq!(ann.chunk("x", at(6)), Err(RunError::Ended));
    let completed = ann.tool_completed("search", json!([]), TOOK, true, at(6));
    assert_eq!(completed, Err(RunError::Ended));
    let failed = ann.fail("broken", "it broke", true, at(6)).unwrap_err();
    assert_eq!(failed.error, RunError::Ended);
    drop((failed, open));
    for (_, device) in &mut devices {
        assert!(events(device).is_empty());
    }
    assert_eq!(start("ann").unwrap_err(), RunError::ShuttingDown);
    assert!(runs.is_empty());
}

#[test]
fn r077_an_event_that_is_refused_leaves_the_run_where_it_was() {
    let host = Host::new();
    let runs = AgentRuns::new(Arc::default(), OpenRunLimits::default());
    let begun = runs.start(scope(&host.engine, "bob"), context("ann"), "planner", at(1));
    assert_eq!(begun.unwrap_err(), RunError::ForeignScope);
    let begun = runs.start(scope(&host.engine, "ann"), context("ann"), " ", at(1));
    assert!(matches!(begun, Err(RunError::Empty { .. })));
    assert!(runs.is_empty(), "a run that did not begin holds no place");
}

#[test]
fn r077_r079_open_runs_are_bounded_in_all_and_for_each_user() {
    let host = Host::new();
    let limits = OpenRunLimits {
        total: 3,
        per_user: 2,
    };
    let runs = AgentRuns::new(Arc::default(), limits);
    let start = |user| {
        let begun = runs.start(scope(&host.engine, user), context(user), "planner", at(1));
        begun.map(|(run, _)| run)
    };
    let (one, two) = (start("ann").unwrap(), start("ann").unwrap());
    assert_eq!(start("ann").unwrap_err(), RunError::TooManyRuns);
    // Her flood takes no place from bob.
    let bobs = start("bob").unwrap();
    assert_eq!(start("cid").unwrap_err(), RunError::TooManyRuns);
    drop(one);
    let _ = two.complete("success", "", TOOK, at(2)).unwrap();
    let _ = bobs.fail("broken", "it broke", true, at(2)).unwrap();
    assert!(runs.is_empty());
    drop((start("cid").unwrap(), start("cid").unwrap()));
}

#[test]
fn r077_runs_that_speak_while_all_are_ended_say_one_end_and_nothing_after_it() {
    for _ in 0..50 {
        let host = Host::new();
        let runs = AgentRuns::new(Arc::new(Broadcaster::default()), OpenRunLimits::default());
        let users: Vec<_> = (0..4).map(|n| format!("u{n}")).collect();
        let mut devices: Vec<_> = users
            .iter()
            .map(|user| scope(&host.engine, user).connect().unwrap())
            .collect();
        let meet = Barrier::new(users.len() + 1);
        let ended = thread::scope(|s| {
            for user in &users {
                let (engine, runs, meet) = (&host.engine, &runs, &meet);
                s.spawn(move || {
                    meet.wait();
                    let begun = runs.start(scope(engine, user), context(user), "planner", at(1));
                    let Ok((mut run, _)) = begun else { return };
                    for _ in 0..100 {
                        if run.chunk("x", at(2)) == Err(RunError::Ended) {
                            return;
                        }
                    }
                    let _ = run.complete("success", "", TOOK, at(3));
                });
            }
            meet.wait();
            for _ in 0..100 {
                thread::yield_now();
            }
            runs.end_all("shutdown", "the server restarts", true, at(4))
                .unwrap()
        });
        assert!(ended.told + ended.untold + ended.speaking <= users.len());
        assert!(runs.is_empty(), "each has given its place back, once");
        for device in &mut devices {
            let events = events(device);
            let numbers = events
                .iter()
                .map(|event| event["sequence"].as_u64().unwrap());
            assert!(
                numbers.eq(1..=events.len() as u64),
                "in order, without holes"
            );
            let ends = |event: &&Value| {
                ["agent_completed", "agent_error"].contains(&event["type"].as_str().unwrap())
            };
            let count = events.iter().filter(ends).count();
            assert_eq!(count, usize::from(!events.is_empty()));
            assert!(
                events.last().is_none_or(|last| ends(&last)),
                "the end is the last"
            );
            assert!(events.iter().all(|event| event["code"] != "abandoned"));
        }
    }
}
