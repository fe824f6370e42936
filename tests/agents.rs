//! Runs of agents, and what they show: a test a requirement, cited by its number.
#![cfg(all(feature = "protocol", not(any(laneway_loom, laneway_shuttle))))]

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use laneway::protocol::{
    AgentRun, Broadcast, BroadcastError, Broadcaster, Contamination, Isolation, MAX_CLEANED_BYTES,
    MAX_OPEN_TOOLS, Message, MessageKind, NotEnded, Packet, RunError, RunId, UserContext, clean,
};
use laneway::{CloseReason, Connection, Hub, Received, ThreadId, TryRecvError, UserId, UserScope};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const REDACTED: &str = "[redacted]";

const TOOK: Duration = Duration::from_millis(80);

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn context(user: &str) -> UserContext {
    let (user, thread) = (UserId::new(user).unwrap(), ThreadId::new("t-7").unwrap());
    let builder = UserContext::builder(user, thread, RunId::new("r-7").unwrap());
    builder.build().unwrap()
}

/// A host with one user, who has a phone.
struct Host {
    hub: Hub<Packet>,
    broadcaster: Arc<Broadcaster>,
    phone: Connection<Packet>,
}

impl Host {
    fn new() -> Self {
        Self::with(Contamination::Rewrite)
    }

    fn with(policy: Contamination) -> Self {
        let hub = Hub::new();
        let phone = hub.scope(UserId::new("ann").unwrap()).connect();
        Self {
            phone: phone.unwrap(),
            broadcaster: Arc::new(Broadcaster::new(Isolation::new(policy))),
            hub,
        }
    }

    fn scope(&self) -> UserScope<Packet> {
        self.hub.scope(UserId::new("ann").unwrap())
    }

    /// A run of the planner's at time 1, without its first event.
    fn start(&mut self) -> AgentRun {
        let broadcaster = Arc::clone(&self.broadcaster);
        let begun = AgentRun::start(broadcaster, self.scope(), context("ann"), "planner", at(1));
        let (run, told) = begun.unwrap();
        assert!(told.is_successful());
        assert_eq!(self.types(), ["agent_started"]);
        run
    }

    /// What the phone has not read yet.
    fn events(&mut self) -> Vec<Value> {
        events(&mut self.phone)
    }

    fn types(&mut self) -> Vec<String> {
        let events = self.events();
        let name = |event: &Value| event["type"].as_str().unwrap().to_owned();
        events.iter().map(name).collect()
    }

    /// Whether a call failed like this, and neither said anything nor moved the run.
    fn refuses(
        &mut self,
        run: &AgentRun,
        before: u64,
        got: Result<Broadcast, RunError>,
        error: &RunError,
    ) {
        assert_eq!(&got.unwrap_err(), error);
        assert_eq!(run.sequence(), before);
        assert_eq!(self.events(), Vec::<Value>::new());
    }
}

fn events(device: &mut Connection<Packet>) -> Vec<Value> {
    let mut events = Vec::new();
    while let Ok(Received::Event(got)) = device.try_recv() {
        events.push(serde_json::from_str(got.event.json()).unwrap());
    }
    events
}

/// Objects and lists within each other, `depth` of them, lists and objects in turn.
fn nested(depth: usize, inside: Value) -> Value {
    (0..depth).fold(inside, |value, at| {
        if at % 2 == 0 {
            json!({"a": value})
        } else {
            json!([value])
        }
    })
}

/// Takes a nested value apart as often as it goes.
fn innermost(mut value: &Value) -> (usize, &Value) {
    let mut depth = 0;
    while let Some(next) = value.get("a").or_else(|| value.get(0)) {
        (value, depth) = (next, depth + 1);
    }
    (depth, value)
}

#[test]
fn r050_a_run_is_of_one_user_whatever_the_scope_it_is_given() {
    let mut host = Host::new();
    let bob = host.hub.scope(UserId::new("bob").unwrap());
    let mut bobs = bob.connect().unwrap();
    let broadcaster = Arc::clone(&host.broadcaster);
    let run = |scope, of| {
        let broadcaster = Arc::clone(&broadcaster);
        AgentRun::start(broadcaster, scope, context(of), "planner", at(1)).map(|(_, told)| told)
    };
    for (scope, of) in [(bob.clone(), "ann"), (host.scope(), "bob")] {
        let error = run(scope, of).unwrap_err();
        assert_eq!(error, RunError::ForeignScope);
        // r012: the error names no user.
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("ann") && !shown.contains("bob"), "{shown}");
    }
    assert_eq!((host.events(), events(&mut bobs)), (vec![], vec![]));
    assert_eq!(host.broadcaster.stats().total, 0);
    assert!(run(bob, "bob").unwrap().is_successful());
    assert_eq!(host.events(), Vec::<Value>::new());
    assert_eq!(events(&mut bobs)[0]["user_id"], "bob");
}

#[test]
fn r050_everything_goes_through_the_one_broadcaster_whose_word_comes_back() {
    let mut host = Host::new();
    let _laptop = host.scope().connect().unwrap();
    let mut run = host.start();
    let mut told = vec![
        run.thinking("hm", at(2)).unwrap(),
        run.tool_executing("a", json!({}), at(3)).unwrap(),
        run.tool_completed("a", json!({}), TOOK, true, at(4))
            .unwrap(),
        run.complete("success", "done", TOOK, at(5)).unwrap(),
    ];
    assert_eq!(host.events().len(), 4);
    told.push(
        host.start()
            .fail("broken", "it broke", true, at(6))
            .unwrap(),
    );
    let numbers: Vec<_> = told.iter().map(|told| told.number.unwrap()).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 6]);
    let times: Vec<_> = told.iter().map(|told| told.at).collect();
    assert_eq!(times, [2, 3, 4, 5, 6].map(at));
    for told in &told {
        assert_eq!((told.connections, told.deliveries()), (2, 2));
        assert_eq!((&told.errors, &told.refused), (&vec![], &None));
    }
    let kinds: Vec<_> = told.iter().map(|told| told.kind.name()).collect();
    let all = "agent_thinking tool_executing tool_completed agent_completed agent_error";
    assert_eq!(kinds.join(" "), all);
    let stats = host.broadcaster.stats();
    assert_eq!(
        (stats.total, stats.successful, stats.deliveries),
        (7, 7, 14)
    );
}

#[test]
fn r051_events_come_in_order_and_the_end_is_the_last() {
    let mut host = Host::new();
    let mut run = host.start();
    let _ = run.thinking("hm", at(2)).unwrap();
    for tool in ["search", "read", "search"] {
        let _ = run.tool_executing(tool, json!({}), at(3)).unwrap();
        assert_eq!(run.open_tools().collect::<Vec<_>>(), [tool]);
        let _ = run
            .tool_completed(tool, json!([]), TOOK, true, at(4))
            .unwrap();
        assert_eq!(run.open_tools().count(), 0);
    }
    let _ = run.complete("success", "done", TOOK, at(5)).unwrap();
    let pair = "tool_executing tool_completed";
    let all = format!("agent_thinking {pair} {pair} {pair} agent_completed");
    assert_eq!(host.types().join(" "), all);
    let run = host.start();
    let _ = run.fail("broken", "it broke", true, at(6)).unwrap();
    assert_eq!(host.types(), ["agent_error"]);
}

#[test]
fn r051_a_tool_that_completes_without_having_started_is_an_error_and_sends_nothing() {
    let mut host = Host::new();
    let mut run = host.start();
    let got = run.tool_completed("search", json!(1), TOOK, true, at(2));
    host.refuses(&run, 1, got, &RunError::ToolNotOpen);
    let _ = run.tool_executing("search", json!(1), at(3)).unwrap();
    assert_eq!(host.types(), ["tool_executing"]);
    for other in ["Search", "search ", "searc", "read"] {
        let got = run.tool_completed(other, json!(1), TOOK, true, at(4));
        host.refuses(&run, 2, got, &RunError::ToolNotOpen);
    }
    let _ = run
        .tool_completed("search", json!(1), TOOK, false, at(5))
        .unwrap();
    assert_eq!(host.types(), ["tool_completed"]);
    let got = run.tool_completed("search", json!(1), TOOK, true, at(6));
    host.refuses(&run, 3, got, &RunError::ToolNotOpen);
}

#[test]
fn r051_a_tool_that_starts_twice_is_an_error_and_sends_nothing() {
    let mut host = Host::new();
    let mut run = host.start();
    let _ = run.tool_executing("search", json!(1), at(2)).unwrap();
    let _ = run.tool_executing("read", json!(1), at(2)).unwrap();
    assert_eq!(host.types(), ["tool_executing"; 2]);
    let got = run.tool_executing("search", json!(2), at(3));
    host.refuses(&run, 3, got, &RunError::ToolOpen);
    // The other one of two that are open can complete first.
    let _ = run
        .tool_completed("search", json!(1), TOOK, true, at(4))
        .unwrap();
    assert_eq!(run.open_tools().collect::<Vec<_>>(), ["read"]);
    let _ = run.tool_executing("search", json!(3), at(5)).unwrap();
    assert_eq!(host.types(), ["tool_completed", "tool_executing"]);
}

#[test]
fn r051_no_more_tools_are_open_at_once_than_documented() {
    let mut host = Host::new();
    let mut run = host.start();
    for tool in 0..MAX_OPEN_TOOLS {
        let _ = run
            .tool_executing(&tool.to_string(), json!(1), at(2))
            .unwrap();
    }
    assert_eq!(host.events().len(), MAX_OPEN_TOOLS);
    let last = run.sequence();
    let got = run.tool_executing("more", json!(1), at(3));
    host.refuses(&run, last, got, &RunError::TooManyTools);
    let _ = run
        .tool_completed("7", json!(1), TOOK, true, at(4))
        .unwrap();
    let _ = run.tool_executing("more", json!(1), at(5)).unwrap();
    assert_eq!(host.types(), ["tool_completed", "tool_executing"]);
}

#[test]
fn r051_a_run_that_completes_while_a_tool_is_open_is_handed_back() {
    let mut host = Host::new();
    let mut run = host.start();
    let _ = run.tool_executing("search", json!(1), at(2)).unwrap();
    assert_eq!(host.types(), ["tool_executing"]);
    let not_ended = run.complete("success", "done", TOOK, at(3)).unwrap_err();
    assert_eq!(not_ended.error, RunError::ToolsOpen { count: 1 });
    assert_eq!(not_ended.to_string(), "tools are still executing: 1");
    let mut run = *not_ended.run;
    assert_eq!((run.sequence(), host.events()), (2, vec![]));
    let _ = run
        .tool_completed("search", json!(1), TOOK, true, at(4))
        .unwrap();
    let _ = run.complete("success", "done", TOOK, at(5)).unwrap();
    assert_eq!(host.types(), ["tool_completed", "agent_completed"]);
    // A run may fail while a tool is open.
    let mut run = host.start();
    let _ = run.tool_executing("search", json!(1), at(6)).unwrap();
    let _ = run.fail("broken", "it broke", true, at(7)).unwrap();
    assert_eq!(host.types(), ["tool_executing", "agent_error"]);
}

#[test]
fn r051_a_run_that_is_dropped_tells_its_user_that_it_was_abandoned() {
    let abandoned = |host: &mut Host, sequence: u64, ms: u64| {
        let events = host.events();
        let [event] = &events[..] else {
            panic!("{events:?}")
        };
        assert_eq!(event["type"], "agent_error");
        assert_eq!(
            (&event["code"], &event["recoverable"]),
            (&json!("abandoned"), &json!(false))
        );
        assert!(!event["message"].as_str().unwrap().is_empty());
        let place = (&event["sequence"], &event["timestamp"]);
        assert_eq!(place, (&json!(sequence), &json!(ms)));
    };
    let mut host = Host::new();
    drop(host.start());
    abandoned(&mut host, 2, 1);

    // At the latest time it was told, if that was with an error, and not at its last.
    let mut run = host.start();
    let _ = run.thinking("hm", at(70)).unwrap();
    let _ = run.thinking("", at(80)).unwrap_err();
    let _ = run.tool_executing("search", json!(1), at(60)).unwrap();
    assert_eq!(host.types(), ["agent_thinking", "tool_executing"]);
    drop(run);
    abandoned(&mut host, 4, 80);

    // The error that hands the run back is dropped.
    let run = host.start();
    drop(run.complete("", "done", TOOK, at(90)).unwrap_err());
    abandoned(&mut host, 2, 90);

    // The thread that owns the run panics.
    let run = host.start();
    let panicked = std::thread::spawn(move || {
        let _run = run;
        std::panic::resume_unwind(Box::new(()));
    });
    assert!(panicked.join().is_err());
    abandoned(&mut host, 2, 1);
}

#[test]
fn r051_a_run_that_has_ended_says_nothing_when_it_is_dropped() {
    let mut host = Host::new();
    let run = host.start();
    let _ = run.complete("success", "done", TOOK, at(2)).unwrap();
    assert_eq!(host.types(), ["agent_completed"]);
    let run = host.start();
    let _ = run.fail("broken", "it broke", true, at(2)).unwrap();
    assert_eq!(host.types(), ["agent_error"]);
}

#[test]
fn r052_every_event_says_what_it_has_to() {
    let mut host = Host::new();
    let context = context("ann");
    let broadcaster = Arc::clone(&host.broadcaster);
    let begun = AgentRun::start(broadcaster, host.scope(), context.clone(), "planner", at(1));
    let (mut run, _) = begun.unwrap();
    let _ = run.thinking("hm", at(2)).unwrap();
    let _ = run
        .tool_executing("search", json!({"q": [1]}), at(3))
        .unwrap();
    let _ = run
        .tool_completed("search", json!(null), TOOK, false, at(4))
        .unwrap();
    assert_eq!(
        (run.context(), run.agent_name(), run.sequence()),
        (&context, "planner", 4)
    );
    let took = Duration::from_micros(1_999);
    let _ = run
        .complete("partial", "done", took, Duration::MAX)
        .unwrap();
    let run = host.hub.scope(UserId::new("ann").unwrap());
    let begun = AgentRun::start(Arc::default(), run, context.clone(), "writer", at(6));
    let _ = begun
        .unwrap()
        .0
        .fail("broken", "it broke", true, at(7))
        .unwrap();

    let expected = [
        ("agent_started", "planner", 1, 1, json!({})),
        (
            "agent_thinking",
            "planner",
            2,
            2,
            json!({"reasoning": "hm"}),
        ),
        (
            "tool_executing",
            "planner",
            3,
            3,
            json!({"tool_name": "search", "parameters": {"q": [1]}}),
        ),
        (
            "tool_completed",
            "planner",
            4,
            4,
            json!({"tool_name": "search", "results": null, "duration": 80, "success": false}),
        ),
        (
            "agent_completed",
            "planner",
            5,
            u64::MAX,
            json!({"status": "partial", "final_response": "done", "duration": 1}),
        ),
        ("agent_started", "writer", 1, 6, json!({})),
        (
            "agent_error",
            "writer",
            2,
            7,
            json!({"code": "broken", "message": "it broke", "recoverable": true}),
        ),
    ];
    let mut events = host.events();
    assert_eq!(events.len(), expected.len());
    let mut ids = HashSet::new();
    for (event, (name, agent, sequence, ms, own)) in events.iter_mut().zip(expected) {
        let event = event.as_object_mut().unwrap();
        let id = event.remove("event_id").unwrap();
        assert!(
            ids.insert(id.as_str().unwrap().to_owned()),
            "{id} is twice there"
        );
        let mut all = json!({
            "type": name, "user_id": "ann", "thread_id": "t-7", "run_id": "r-7",
            "request_id": context.request().as_str(),
            "agent_name": agent, "timestamp": ms, "sequence": sequence,
        });
        all.as_object_mut()
            .unwrap()
            .extend(own.as_object().unwrap().clone());
        assert_eq!(Value::Object(event.clone()), all);
    }
}

#[test]
fn r052_event_ids_are_unique_also_for_two_runs_of_one_context_at_one_time() {
    let mut host = Host::new();
    let context = context("ann");
    let mut ids = HashSet::new();
    for _ in 0..100 {
        let broadcaster = Arc::clone(&host.broadcaster);
        let begun = AgentRun::start(broadcaster, host.scope(), context.clone(), "planner", at(1));
        drop(begun.unwrap());
        ids.extend(
            host.events()
                .iter()
                .map(|event| event["event_id"].to_string()),
        );
    }
    assert_eq!(ids.len(), 200);
}

#[test]
fn r052_required_texts_that_say_nothing_are_errors_and_send_nothing() {
    let mut host = Host::new();
    for blank in ["", " ", "\n\t\u{2003}"] {
        let empty = |field| RunError::Empty { field };
        let broadcaster = Arc::clone(&host.broadcaster);
        let begun = AgentRun::start(broadcaster, host.scope(), context("ann"), blank, at(1));
        assert_eq!(begun.unwrap_err(), empty("agent_name"));
        assert_eq!(host.events(), Vec::<Value>::new());

        let mut run = host.start();
        let got = run.thinking(blank, at(2));
        host.refuses(&run, 1, got, &empty("reasoning"));
        let got = run.tool_executing(blank, json!(1), at(2));
        host.refuses(&run, 1, got, &empty("tool_name"));
        let got = run.tool_completed(blank, json!(1), TOOK, true, at(2));
        host.refuses(&run, 1, got, &empty("tool_name"));
        let mut ends = |end: &dyn Fn(AgentRun) -> Result<Broadcast, NotEnded>, run, field| {
            let not_ended = end(run).unwrap_err();
            let run = *not_ended.run;
            host.refuses(&run, 1, Err(not_ended.error), &empty(field));
            run
        };
        let run = ends(
            &|run| run.complete(blank, "done", TOOK, at(3)),
            run,
            "status",
        );
        let run = ends(&|run| run.fail(blank, "it broke", true, at(3)), run, "code");
        let run = ends(
            &|run| run.fail("broken", blank, true, at(3)),
            run,
            "message",
        );
        let _ = run.complete("success", "done", TOOK, at(4)).unwrap();
        let events = host.events();
        assert_eq!((events.len(), &events[0]["sequence"]), (1, &json!(2)));
    }
}

/// What each call makes a run say: from 1 on, the run has a tool open from 2 on.
fn say(run: AgentRun, call: usize) -> (Option<AgentRun>, Broadcast) {
    let mut run = run;
    let told = match call {
        0 => run.thinking("hm", at(2)).unwrap(),
        1 => run.tool_executing("search", json!(1), at(2)).unwrap(),
        2 => run
            .tool_completed("search", json!(1), TOOK, true, at(2))
            .unwrap(),
        3 => return (None, run.complete("success", "done", TOOK, at(2)).unwrap()),
        _ => return (None, run.fail("broken", "it broke", true, at(2)).unwrap()),
    };
    (Some(run), told)
}

#[test]
fn r053_a_live_device_gets_every_event_but_thinking_or_is_closed() {
    for (said, critical) in [
        (&[][..], true), // agent_started
        (&[0], false),
        (&[1], true),
        (&[1, 2], true),
        (&[3], true),
        (&[4], true),
        (&[5], true), // dropped
    ] {
        let hub: Hub<Packet> = Hub::builder().lane_capacity(4).build().unwrap();
        let scope = hub.scope(UserId::new("ann").unwrap());
        let begin = || {
            AgentRun::start(
                Arc::default(),
                scope.clone(),
                context("ann"),
                "planner",
                at(1),
            )
        };
        let mut run = None;
        let before = said.split_last().map_or(&[][..], |(_, before)| before);
        if !said.is_empty() {
            run = Some(begin().unwrap().0);
            for call in before {
                run = say(run.unwrap(), *call).0;
            }
        }
        let other = Message::new(MessageKind::Chat);
        // The first event that a device has not read stays until it is read; behind it comes the last
        // event of the run.
        let mut slow = scope.connect().unwrap();
        let _ = Broadcaster::default().broadcast(&scope, &other, at(1));
        match said.last() {
            None => run = Some(begin().unwrap().0),
            Some(5) => run = None,
            Some(call) => run = say(run.unwrap(), *call).0,
        }
        // Enough for a lane of four to need the room of what one device has not read.
        for _ in 0..20 {
            let _ = Broadcaster::default().broadcast(&scope, &other, at(3));
        }
        match slow.try_recv() {
            Err(TryRecvError::Closed(closed)) => {
                assert!(critical, "{said:?}");
                assert_eq!(closed.reason, CloseReason::Overrun);
            }
            Ok(Received::Gap { missed, .. }) => {
                assert_eq!((missed, critical), (18, false), "{said:?}");
            }
            other => panic!("{said:?}: {other:?}"),
        }
        drop(run);
    }
}

#[test]
fn r053_a_run_goes_on_if_nobody_is_connected() {
    let hub: Hub<Packet> = Hub::new();
    let scope = hub.scope(UserId::new("ann").unwrap());
    let begun = AgentRun::start(
        Arc::default(),
        scope.clone(),
        context("ann"),
        "planner",
        at(1),
    );
    let (run, told) = begun.unwrap();
    assert_eq!(told.refused, Some(BroadcastError::NoConnections));
    let mut run = Some(run);
    for call in [0, 1] {
        let (next, told) = say(run.take().unwrap(), call);
        assert_eq!(told.refused, Some(BroadcastError::NoConnections));
        assert_eq!((told.number, told.connections), (None, 0));
        run = next;
    }
    // A device that comes later sees by the numbers that it missed events.
    let mut phone = scope.connect().unwrap();
    let (run, told) = say(run.unwrap(), 2);
    assert!(told.is_successful());
    let told = say(run.unwrap(), 3).1;
    assert!(told.is_successful());
    let numbers: Vec<_> = events(&mut phone)
        .iter()
        .map(|e| e["sequence"].as_u64())
        .collect();
    assert_eq!(numbers, [Some(4), Some(5)]);
}

#[test]
fn r053_a_run_ends_also_after_the_router_was_shut_down() {
    let mut host = Host::new();
    let run = host.start();
    host.hub.shutdown();
    let told = run.complete("success", "done", TOOK, at(2)).unwrap();
    assert_eq!(told.refused, Some(BroadcastError::Closed));
}

#[test]
fn r010_an_event_that_names_another_receiver_is_rewritten_or_has_not_happened() {
    let foreign = json!({"to": {"userId": "bob"}, "user_id": "bob"});
    let mut host = Host::new();
    let mut run = host.start();
    let told = run.tool_executing("mail", foreign.clone(), at(2)).unwrap();
    assert_eq!(told.errors, ["the field userId does not name its receiver"]);
    // r011: where something is from stays.
    let shown = json!({"to": {"userId": "ann"}, "user_id": "bob"});
    assert_eq!(host.events()[0]["parameters"], shown);

    let mut host = Host::with(Contamination::Reject);
    let mut run = host.start();
    let Err(RunError::Refused(told)) = run.tool_executing("mail", foreign.clone(), at(2)) else {
        panic!("it was sent");
    };
    assert!(matches!(
        told.refused,
        Some(BroadcastError::Contaminated(_))
    ));
    let shown = RunError::Refused(told).to_string();
    assert_eq!(shown, "the field userId does not name its receiver");
    // It is not open, and may be tried again.
    let got = run.tool_completed("mail", json!(1), TOOK, true, at(3));
    host.refuses(&run, 1, got, &RunError::ToolNotOpen);
    let _ = run.tool_executing("mail", json!({}), at(4)).unwrap();
    let completed = run.tool_completed("mail", foreign, TOOK, true, at(5));
    assert!(matches!(completed, Err(RunError::Refused(_))));
    assert_eq!(run.open_tools().collect::<Vec<_>>(), ["mail"]);
    let _ = run
        .tool_completed("mail", json!(null), TOOK, false, at(6))
        .unwrap();
    let numbers: Vec<_> = host
        .events()
        .iter()
        .map(|e| e["sequence"].clone())
        .collect();
    assert_eq!(numbers, [2, 3]);
}

#[test]
fn r054_what_tools_get_and_give_is_cleaned_and_nothing_else() {
    let mut host = Host::new();
    let mut run = host.start();
    let long = "é".repeat(501);
    let given = json!({"api_key": "hunter2", "list": vec![0; 11], "text": long});
    let _ = run.tool_executing("search", given.clone(), at(2)).unwrap();
    let _ = run
        .tool_completed("search", json!([given]), TOOK, true, at(3))
        .unwrap();
    let _ = run.thinking(&long, at(4)).unwrap();
    let _ = run.complete("success", &long, TOOK, at(5)).unwrap();
    let events = host.events();
    assert_eq!(events[0]["parameters"], clean(&given));
    assert_eq!(events[1]["results"], clean(&json!([given])));
    assert_eq!(events[2]["reasoning"], json!(long));
    assert_eq!(events[3]["final_response"], json!(long));
    assert!(!events[0].to_string().contains("hunter2"));
    assert!(!events[1].to_string().contains("hunter2"));
}

#[test]
fn r054_values_under_keys_that_have_a_secret_word_are_redacted() {
    let secret = "password PASSWORD Password passwords userPassword user_password user-password \
        user.password PASSWORD1 password2 passWord PassWord DB_PASSWORD_OLD newPasswordHash \
        secret secrets client_secret clientSecret SECRETKey s3Secret top:secret \
        token tokens accessToken access_token access-token JWTToken JWTTokens userTOKENs max_tokens tokenV2 \
        api_key apiKey api-key apikey APIKEY APIKey ApiKeys api.key apikeys X-API-Key xApiKey APIkey api_keys \
        auth Auth AUTH basicAuth auth_header http.auth OAuth authToken \
        credential credentials Credentials awsCredential \
        ünïToken 钥auth auth钥 Éauth2Auth Oauth Etokens ßtoken \u{00e9}auth";
    for key in secret.split_whitespace() {
        let cleaned = clean(&json!({ key: "hunter2" }));
        assert_eq!(cleaned, json!({ key: REDACTED }), "{key}");
    }
    for key in [
        "api key",
        "my  token",
        " secret ",
        "auth\n",
        "\u{1F511}token\u{1F511}",
    ] {
        let cleaned = clean(&json!({ key: "hunter2" }));
        assert_eq!(cleaned, json!({ key: REDACTED }), "{key}");
    }
}

#[test]
fn r054_values_under_keys_that_have_no_secret_word_stay() {
    let open = "author authors Author co_author authority tokenizer Tokenizer tokenize tokenised \
        secretary secretariat passwordless passwordsafe tokensmith to2ken to钥ken credentialed authentic api key keys api_url key_api apiKeyed \
        monkey apis oauthor ss s 密钥 \u{1F511} ___ 123";
    let mut object = Map::new();
    for key in open.split_whitespace() {
        object.insert(key.to_owned(), "shown".into());
    }
    object.insert(String::new(), "shown".into());
    let given = Value::Object(object);
    assert_eq!(clean(&given), given);
}

#[test]
fn r054_secrets_are_redacted_at_every_depth_and_of_every_type() {
    let any = [
        json!(null),
        json!(true),
        json!(7),
        json!(""),
        json!("x".repeat(600)),
        json!([1, 2]),
        json!({"a": 1}),
        nested(200, json!(1)),
    ];
    for value in &any {
        for depth in [0, 1, 2, 9, 100] {
            let cleaned = clean(&nested(depth, json!({ "a_token": value, "b": 1 })));
            assert_eq!(
                cleaned,
                nested(depth, json!({ "a_token": REDACTED, "b": 1 }))
            );
        }
    }
    let list = json!([{"secret": 1}, [{"secret": 2}], {"a": [{"secret": 3}]}]);
    let shown =
        json!([{"secret": REDACTED}, [{"secret": REDACTED}], {"a": [{"secret": REDACTED}]}]);
    assert_eq!(clean(&list), shown);
    // A secret is a key's, not a text's.
    let text = json!({"a": "password", "b": ["token"]});
    assert_eq!(clean(&text), text);
}

#[test]
fn r054_texts_over_500_characters_are_cut_and_marked() {
    for c in ["x", "é", "密", "\u{1F511}"] {
        let text = json!({"a": c.repeat(500)});
        assert_eq!(clean(&text), text);
        let cut = json!({"a": format!("{}[cut: 1 more characters]", c.repeat(500))});
        assert_eq!(clean(&json!({"a": c.repeat(501)})), cut);
    }
    let cut = json!(format!("{}[cut: 99500 more characters]", "é".repeat(500)));
    assert_eq!(clean(&json!("é".repeat(100_000))), cut);
}

#[test]
fn r054_lists_over_10_items_are_cut_and_marked() {
    let list = |n: usize| (0..n).map(Value::from).collect::<Vec<_>>();
    assert_eq!(clean(&json!(list(10))), json!(list(10)));
    let mut eleven = list(10);
    eleven.push("[cut: 1 more items]".into());
    assert_eq!(clean(&json!(list(11))), json!(eleven));
    let mut thousand = list(10);
    thousand.push("[cut: 990 more items]".into());
    assert_eq!(
        clean(&json!({"a": [list(1_000)]})),
        json!({"a": [thousand]})
    );
}

#[test]
fn r054_what_is_nested_too_deeply_is_replaced_by_a_mark() {
    let deep = nested(120, json!("inside"));
    assert_eq!(clean(&deep), deep);
    for depth in [121, 122, 1_000] {
        let cleaned = clean(&nested(depth, json!("inside")));
        let (kept, mark) = innermost(&cleaned);
        assert_eq!((kept, mark), (120, &json!("[cut: nested too deeply]")));
    }
}

#[test]
fn r054_a_key_of_any_length_takes_its_time_and_no_more() {
    // A boundary and half a match at every sixth character.
    let key = "Author".repeat(200_000);
    let shown = |more: usize, value: Value| {
        let start = &key[..128];
        json!({ format!("{start}[cut: {more} more characters]"): value })
    };
    let more = key.len() - 128;
    assert_eq!(clean(&json!({ key.clone(): 1 })), shown(more, json!(1)));
    let secret = key.clone() + "Auth";
    let redacted = shown(more + 4, json!(REDACTED));
    assert_eq!(clean(&json!({ secret: 1 })), redacted);
}

/// How the words of a key are put together.
fn put_together(words: &[&str], style: usize) -> String {
    let capital = |word: &&str| word[..1].to_uppercase() + &word[1..];
    match style {
        0 => words.join("_"),
        1 => words.join("-"),
        2 => words.join("."),
        3 => words.join(" "),
        4 => words.join("_").to_uppercase(),
        5 => words.iter().map(capital).collect(),
        6 => words[0].to_owned() + &words[1..].iter().map(capital).collect::<String>(),
        _ => words.iter().map(capital).collect::<Vec<_>>().join("-"),
    }
}

fn any_words() -> impl Strategy<Value = Vec<&'static str>> {
    let words = "password passwords secret secrets token tokens apikey apikeys auth credential credentials \
        api key keys user author tokenizer name id x secretary http config of";
    let words: Vec<_> = words.split_whitespace().collect();
    prop::collection::vec(prop::sample::select(words), 1..5)
}

/// The requirement, word by word.
fn secret_word(words: &[&str]) -> bool {
    let secret = "password secret token apikey auth credential";
    let is = |word: &str| {
        let one = word.strip_suffix('s').unwrap_or(word);
        secret.split(' ').any(|secret| secret == one)
    };
    let pair = |pair: &[&str]| pair == ["api", "key"] || pair == ["api", "keys"];
    words.iter().any(|word| is(word)) || words.windows(2).any(pair)
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        ("[a\u{e9}\u{1F511}]", 490_usize..520).prop_map(|(c, n)| c.repeat(n).into()),
    ];
    let key = prop_oneof![
        ".{0,12}",
        prop::sample::select(vec!["a", "b", "apiToken", "author"]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(5, 120, 14, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..14).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// What is wrong with a copy. Of keys that are not known here, only that they are there.
fn flaw(given: &Value, cleaned: &Value) -> Option<String> {
    let flaw_of = |wrong: bool, what: &str| wrong.then(|| format!("{what}: {given} {cleaned}"));
    match (given, cleaned) {
        (Value::String(given), Value::String(cleaned)) => {
            let more = given.chars().count().saturating_sub(500);
            let kept: String = given.chars().take(500).collect();
            let expected = match more {
                0 => kept,
                more => format!("{kept}[cut: {more} more characters]"),
            };
            flaw_of(expected != *cleaned, "text")
        }
        (Value::Array(given), Value::Array(cleaned)) => {
            if given.len() > 10 {
                let mark = json!(format!("[cut: {} more items]", given.len() - 10));
                if cleaned.len() != 11 || cleaned[10] != mark {
                    return flaw_of(true, "long list");
                }
            } else if given.len() != cleaned.len() {
                return flaw_of(true, "list");
            }
            let kept = given.iter().take(10).zip(cleaned);
            kept.into_iter()
                .find_map(|(given, cleaned)| flaw(given, cleaned))
        }
        (Value::Object(given), Value::Object(cleaned)) => {
            if !given.keys().eq(cleaned.keys()) {
                return flaw_of(true, "keys");
            }
            let fields = given.iter().map(|(key, item)| (key.as_str(), item));
            fields
                .into_iter()
                .find_map(|(key, item)| match (key, &cleaned[key]) {
                    ("apiToken", shown) => flaw_of(shown != REDACTED, "redacted"),
                    ("a" | "b" | "author", shown) => flaw(item, shown),
                    (_, shown) if shown == REDACTED => None,
                    (_, shown) => flaw(item, shown),
                })
        }
        (given, cleaned) => flaw_of(given != cleaned, "scalar"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn r054_a_key_is_secret_by_its_words_however_they_are_put_together(
        words in any_words(),
        style in 0_usize..8,
    ) {
        let key = put_together(&words, style);
        let shown = if secret_word(&words) { REDACTED } else { "hunter2" };
        prop_assert_eq!(clean(&json!({ &key: "hunter2" })), json!({ &key: shown }), "{}", key);
    }

    #[test]
    fn r054_a_copy_is_complete_but_for_secrets_and_what_is_too_long(given in any_json()) {
        prop_assume!(given.to_string().len() < MAX_CLEANED_BYTES / 2);
        prop_assert_eq!(flaw(&given, &clean(&given)), None);
    }
}

/// One call of a host's that need not make sense.
#[derive(Clone, Debug)]
enum Call {
    Think(bool),
    Execute(u8),
    Completed(u8),
    /// Whether to complete, and whether it has something to say; else to fail.
    End(bool, bool),
}

fn any_call() -> impl Strategy<Value = Call> {
    prop_oneof![
        any::<bool>().prop_map(Call::Think),
        (0_u8..3).prop_map(Call::Execute),
        (0_u8..3).prop_map(Call::Completed),
        prop::bool::weighted(0.9)
            .prop_flat_map(|complete| (Just(complete), prop::bool::weighted(0.3)))
            .prop_map(|(complete, says)| Call::End(complete, says)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn r051_whatever_a_host_calls_its_user_sees_one_run_in_order(
        calls in prop::collection::vec(any_call(), 0..20),
    ) {
        let mut host = Host::new();
        let mut run = Some(host.start());
        let mut expected = Vec::new();
        let mut open = HashSet::new();
        for call in calls {
            let Some(mut now) = run.take() else { break };
            let text = |says: bool| if says { "hm" } else { "" };
            let told = match call {
                Call::Think(says) => {
                    expected.extend(says.then_some("agent_thinking"));
                    now.thinking(text(says), at(2)).is_ok() == says
                }
                Call::Execute(tool) => {
                    let opened = open.insert(tool);
                    expected.extend(opened.then_some("tool_executing"));
                    now.tool_executing(&tool.to_string(), json!(1), at(2)).is_ok() == opened
                }
                Call::Completed(tool) => {
                    let closed = open.remove(&tool);
                    expected.extend(closed.then_some("tool_completed"));
                    let tool = tool.to_string();
                    now.tool_completed(&tool, json!(1), TOOK, true, at(2)).is_ok() == closed
                }
                Call::End(complete, says) => {
                    let ended = if complete {
                        now.complete("success", text(says), TOOK, at(2))
                    } else {
                        now.fail(text(says), "it broke", true, at(2))
                    };
                    // A run may end with nothing to say, but not fail for no reason.
                    let ends = if complete { open.is_empty() } else { says };
                    let name = if complete { "agent_completed" } else { "agent_error" };
                    expected.extend(ends.then_some(name));
                    prop_assert_eq!(ended.is_ok(), ends);
                    run = ended.err().map(|not_ended| *not_ended.run);
                    continue;
                }
            };
            prop_assert!(told);
            run = Some(now);
        }
        expected.extend(run.is_some().then_some("agent_error"));
        drop(run);
        let events = host.events();
        let types: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
        prop_assert_eq!(types, expected);
        let numbers = events.iter().map(|event| event["sequence"].as_u64().unwrap());
        prop_assert!(numbers.eq(2..events.len() as u64 + 2));
    }
}
