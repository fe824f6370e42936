//! Confirmations, runs, sequences: a test a requirement, cited by its number.
#![cfg(all(feature = "protocol", not(any(laneway_loom, laneway_shuttle))))]

use std::slice::from_ref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use laneway::protocol::{
    COMPLETION_TIMEOUT, CONFIRMATION_TIMEOUT, Confirmation, ConfirmationLimits, Confirmations,
    EventState, ExpectError, Fault, MAX_CHECKED_IDS, MAX_CHECKED_RUNS, MAX_CHECKED_TOOLS,
    MessageKind, NotMoved, RunId, RunLimits, RunRegistry, RunRegistryError, SequenceChecker,
};
use laneway::{ThreadId, UserId};
use serde_json::{Value, json};

const NOW: Duration = Duration::from_secs(1_000);
const KIND: MessageKind = MessageKind::AgentStarted;

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn after(seconds: u64) -> Duration {
    NOW + Duration::from_secs(seconds)
}

/// Sweeps now and then on the way, as a host does. What the sweeps come to.
fn pass(from: u64, to: u64, every: u64, sweep: impl Fn(Duration) -> usize) -> usize {
    let every = usize::try_from(every).unwrap();
    let times = (from..to).step_by(every);
    times.map(|at| sweep(after(at))).sum()
}

fn counts(answer: Confirmation) -> bool {
    matches!(answer, Confirmation::Confirmed { .. })
}

#[test]
fn r055_the_owners_confirmation_counts_and_once() {
    let all = Confirmations::default();
    let ann = user("ann");
    all.expect(&ann, "e", &KIND, NOW).unwrap();
    assert_eq!(all.state(&ann, "e"), Some(EventState::Pending));
    all.sent(&ann, "e", after(2)).unwrap();
    assert_eq!(all.state(&ann, "e"), Some(EventState::Sent));
    let took = Duration::from_secs(3);
    let answer = Confirmation::Confirmed { after: took };
    assert_eq!(all.confirm(&ann, "e", after(5)), answer);
    assert_eq!(all.state(&ann, "e"), Some(EventState::Confirmed));
    let again = all.confirm(&ann, "e", after(6));
    assert_eq!(again, Confirmation::AlreadyConfirmed);
    let stats = all.stats();
    let told = (stats.expected, stats.sent, stats.confirmed, stats.repeated);
    assert_eq!(told, (1, 1, 1, 1));
}

#[test]
fn r055_somebody_elses_confirmation_is_refused_and_counted() {
    let all = Confirmations::default();
    let (ann, bob) = (user("ann"), user("bob"));
    all.expect(&ann, "e", &KIND, NOW).unwrap();
    all.sent(&ann, "e", NOW).unwrap();
    let told = all.confirm(&bob, "e", NOW);
    assert_eq!(told, Confirmation::Unknown);
    assert_eq!(
        told,
        all.confirm(&bob, "no such event", NOW),
        "no difference"
    );
    assert_eq!((all.stats().foreign, all.stats().unknown), (1, 1));
    assert_eq!(all.state(&bob, "e"), None);
    assert_eq!(all.sent(&bob, "e", NOW), Err(NotMoved::Unknown));
    assert_eq!(all.failed(&bob, "e", NOW), Err(NotMoved::Unknown));
    assert_eq!(all.state(&ann, "e"), Some(EventState::Sent), "untouched");
    assert!(counts(all.confirm(&ann, "e", NOW)));
    assert_eq!(all.stats().confirmed, 1);
}

#[test]
fn r055_one_id_of_two_users_is_two_events() {
    let all = Confirmations::default();
    let (ann, bob) = (user("ann"), user("bob"));
    for who in [&ann, &bob] {
        all.expect(who, "e", &KIND, NOW).unwrap();
    }
    assert!(counts(all.confirm(&bob, "e", NOW)));
    assert_eq!(all.state(&ann, "e"), Some(EventState::Pending));
    assert_eq!(all.sweep(NOW).removed, 1);
    assert_eq!(all.confirm(&bob, "e", NOW), Confirmation::Unknown);
    assert_eq!(all.stats().foreign, 1, "there is Ann's still");
}

#[test]
fn r055_an_unknown_event_is_an_answer() {
    let all = Confirmations::default();
    let ann = user("ann");
    let long = "e".repeat(1_000_000);
    for id in ["", "e", "\0", &long] {
        assert_eq!(all.confirm(&ann, id, NOW), Confirmation::Unknown);
        assert_eq!(all.state(&ann, id), None);
        assert_eq!(all.sent(&ann, id, NOW), Err(NotMoved::Unknown));
    }
    assert_eq!(all.stats().unknown, 4);
    for id in ["", &long] {
        let refused = all.expect(&ann, id, &KIND, NOW);
        assert!(matches!(refused, Err(ExpectError::InvalidId(_))));
    }
    assert!(all.is_empty());
}

#[test]
fn r055_states_only_move_forward() {
    type Step = fn(&Confirmations, &UserId) -> Option<EventState>;
    let steps: [(EventState, Step); 4] = [
        (EventState::Sent, |all, ann| {
            already(all.sent(ann, "e", NOW))
        }),
        (EventState::Confirmed, |all, ann| {
            match all.confirm(ann, "e", NOW) {
                Confirmation::Confirmed { .. } => None,
                _ => all.state(ann, "e"),
            }
        }),
        (EventState::Failed, |all, ann| {
            already(all.failed(ann, "e", NOW))
        }),
        (EventState::TimedOut, |all, _| {
            pass(0, 30, 5, |at| all.sweep(at).timed_out);
            let swept = all.sweep(after(30));
            (swept.timed_out == 0).then_some(EventState::TimedOut)
        }),
    ];
    for first in 0..4 {
        for second in 0..3 {
            let all = Confirmations::default();
            let ann = user("ann");
            all.expect(&ann, "e", &KIND, NOW).unwrap();
            let (state, step) = &steps[first];
            assert_eq!(step(&all, &ann), None, "anything may become of it");
            assert_eq!(all.state(&ann, "e"), Some(*state));
            let (next, step) = &steps[second];
            let moved = step(&all, &ann);
            if *state == EventState::Sent && *next != EventState::Sent {
                assert_eq!((moved, all.state(&ann, "e")), (None, Some(*next)));
            } else {
                assert_eq!((moved, all.state(&ann, "e")), (Some(*state), Some(*state)));
            }
        }
    }
}

fn already(moved: Result<(), NotMoved>) -> Option<EventState> {
    match moved {
        Ok(()) => None,
        Err(NotMoved::Already(state)) => Some(state),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn r055_events_time_out_after_30_seconds_and_completions_after_60() {
    let nano = Duration::from_nanos(1);
    for (kind, seconds) in [
        (MessageKind::AgentStarted, 30),
        (MessageKind::ToolCompleted, 30),
        (MessageKind::AgentError, 30),
        (MessageKind::AgentCompleted, 60),
        // Clients know it as agent_completed.
        (MessageKind::AgentResponse, 60),
    ] {
        for (at, sent) in [(0, NOW), (20, after(20)), (20, after(20) + nano)] {
            let all = Confirmations::default();
            let ann = user("ann");
            let sweep = |at| all.sweep(at).timed_out;
            all.expect(&ann, "e", &kind, NOW).unwrap();
            assert_eq!(pass(0, at + 1, 5, sweep), 0);
            all.sent(&ann, "e", sent).unwrap();
            let end = sent + Duration::from_secs(seconds);
            assert_eq!(pass(at, at + seconds, 5, sweep), 0);
            assert_eq!(all.sweep(end.saturating_sub(nano)).timed_out, 0, "{kind}");
            assert_eq!(all.sweep(end + nano * 1_000).timed_out, 1, "{kind}");
            assert_eq!(all.state(&ann, "e"), Some(EventState::TimedOut));
            assert_eq!(all.confirm(&ann, "e", end), Confirmation::TooLate);
            assert_eq!((all.stats().timed_out, all.stats().too_late), (1, 1));
        }
    }
    assert_eq!(CONFIRMATION_TIMEOUT, Duration::from_secs(30));
    assert_eq!(COMPLETION_TIMEOUT, Duration::from_secs(60));
}

#[test]
fn r055_what_is_never_sent_times_out_too() {
    let all = Confirmations::default();
    let ann = user("ann");
    all.expect(&ann, "e", &KIND, NOW).unwrap();
    let nanos = Duration::from_nanos(999);
    all.expect(&ann, "f", &KIND, NOW + nanos).unwrap();
    assert_eq!(pass(0, 30, 5, |at| all.sweep(at).timed_out), 0);
    assert_eq!(all.sweep(after(29)).timed_out, 0);
    assert_eq!(
        all.sweep(after(30) + nanos / 2).timed_out,
        1,
        "not yet the other"
    );
    assert_eq!(
        all.sent(&ann, "e", after(31)),
        Err(NotMoved::Already(EventState::TimedOut))
    );
}

#[test]
fn r055_a_clock_that_jumps_back_times_out_nothing() {
    let ann = user("ann");
    for back in [Duration::ZERO, NOW / 2, NOW] {
        let all = Confirmations::default();
        all.expect(&ann, "e", &KIND, NOW).unwrap();
        all.sent(&ann, "e", NOW).unwrap();
        assert_eq!(all.sweep(back).timed_out, 0);
        let answer = all.confirm(&ann, "e", Duration::ZERO);
        let took = Duration::ZERO;
        assert_eq!(answer, Confirmation::Confirmed { after: took });
    }
    let all = Confirmations::default();
    all.expect(&ann, "latest", &KIND, Duration::MAX).unwrap();
    assert_eq!(all.sweep(NOW).timed_out, 0);
    assert_eq!(all.sweep(Duration::MAX).timed_out, 0);
}

#[test]
fn r055_the_sweep_removes_what_is_final() {
    let all = Confirmations::default();
    let ann = user("ann");
    all.expect(&ann, "late", &KIND, NOW).unwrap();
    assert_eq!(pass(0, 21, 5, |at| all.sweep(at).timed_out), 0);
    for id in ["pending", "sent", "confirmed", "failed"] {
        all.expect(&ann, id, &KIND, after(20)).unwrap();
    }
    all.sent(&ann, "sent", after(20)).unwrap();
    assert!(counts(all.confirm(&ann, "confirmed", after(20))));
    all.failed(&ann, "failed", after(20)).unwrap();
    assert_eq!(pass(20, 30, 5, |at| all.sweep(at).removed), 2);
    let swept = all.sweep(after(30));
    assert_eq!((swept.timed_out, swept.removed, all.len()), (1, 0, 3));
    for gone in ["confirmed", "failed"] {
        assert_eq!(all.state(&ann, gone), None);
        assert_eq!(all.confirm(&ann, gone, NOW), Confirmation::Unknown);
    }
    let late = all.confirm(&ann, "late", after(30));
    assert_eq!(late, Confirmation::TooLate, "once more");
    let swept = all.sweep(after(31));
    assert_eq!((swept.timed_out, swept.removed, all.len()), (0, 1, 2));
    assert_eq!(all.state(&ann, "late"), None);
    assert_eq!(all.stats().failed, 1);
    for there in ["pending", "sent"] {
        assert!(counts(all.confirm(&ann, there, after(31))));
    }
}

#[test]
fn r055_it_is_bounded_in_all_and_for_each_user() {
    let limits = ConfirmationLimits {
        total: 5,
        per_user: 3,
    };
    let all = Confirmations::new(limits);
    let (ann, bob, cid) = (user("ann"), user("bob"), user("cid"));
    for id in ["a", "b", "c"] {
        all.expect(&ann, id, &KIND, NOW).unwrap();
    }
    let refused = all.expect(&ann, "d", &KIND, NOW);
    assert_eq!(refused, Err(ExpectError::UserFull));
    for id in ["a", "b"] {
        all.expect(&bob, id, &KIND, NOW).unwrap();
    }
    let refused = all.expect(&bob, "c", &KIND, NOW);
    assert_eq!(refused, Err(ExpectError::Full));
    assert_eq!((all.len(), all.stats().full), (5, 2));
    assert!(counts(all.confirm(&ann, "a", NOW)));
    let refused = all.expect(&cid, "a", &KIND, NOW);
    assert_eq!(refused, Err(ExpectError::Full), "not swept yet");
    assert_eq!(all.sweep(NOW).removed, 1);
    all.expect(&cid, "a", &KIND, NOW).unwrap();
    assert_eq!(all.len(), 5);
    // One that was refused holds no place.
    for _ in 0..5 {
        let refused = all.expect(&bob, "d", &KIND, NOW);
        assert_eq!(refused, Err(ExpectError::Full));
    }
    assert!(counts(all.confirm(&ann, "b", NOW)));
    all.sweep(NOW);
    all.expect(&bob, "c", &KIND, NOW).unwrap();
    all.failed(&bob, "c", NOW).unwrap();
    all.sweep(NOW);
    all.expect(&ann, "b", &KIND, NOW).unwrap();
    // A refused one that is there already takes no place.
    all.failed(&bob, "b", NOW).unwrap();
    all.sweep(NOW);
    for _ in 0..10 {
        let refused = all.expect(&bob, "a", &KIND, NOW);
        assert_eq!(refused, Err(ExpectError::AlreadyExpected));
    }
    all.expect(&ann, "d", &KIND, NOW).unwrap();
    assert_eq!(all.len(), 5);
    let none = Confirmations::new(ConfirmationLimits {
        total: 0,
        per_user: 0,
    });
    let refused = none.expect(&ann, "a", &KIND, NOW);
    assert_eq!(refused, Err(ExpectError::UserFull));
}

#[test]
fn r055_of_many_confirmations_at_once_one_counts() {
    const EVENTS: usize = 2_000;
    let all = Confirmations::new(ConfirmationLimits {
        total: EVENTS,
        per_user: EVENTS,
    });
    let (ann, eve) = (user("ann"), user("eve"));
    let ids: Vec<_> = (0..EVENTS).map(|n| format!("event {n}")).collect();
    for id in &ids {
        all.expect(&ann, id, &KIND, NOW).unwrap();
    }
    pass(0, 26, 5, |at| all.sweep(at).timed_out);
    let counted = AtomicUsize::new(0);
    let timed_out = AtomicUsize::new(0);
    thread::scope(|s| {
        for _ in 0..3 {
            s.spawn(|| {
                for id in &ids {
                    assert_eq!(all.confirm(&eve, id, NOW), Confirmation::Unknown);
                    if counts(all.confirm(&ann, id, NOW)) {
                        counted.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        // The same events time out at the same time; each becomes one of the two.
        s.spawn(|| {
            timed_out.fetch_add(all.sweep(after(30)).timed_out, Ordering::Relaxed);
        });
    });
    let (counted, timed_out) = (counted.into_inner(), timed_out.into_inner());
    assert_eq!(counted + timed_out, EVENTS);
    let stats = all.stats();
    assert_eq!(stats.confirmed, counted as u64);
    assert_eq!(stats.timed_out, timed_out as u64);
    // An event that the sweep has removed by then has no owner, so it counts as unknown.
    assert_eq!(
        stats.foreign + stats.unknown + stats.repeated + stats.too_late,
        (6 * EVENTS - counted) as u64
    );
    all.sweep(NOW);
    assert!(all.is_empty());
}

#[test]
fn r055_places_are_counted_exactly_under_load() {
    const LIMITS: ConfirmationLimits = ConfirmationLimits {
        total: 40,
        per_user: 15,
    };
    let all = Confirmations::new(LIMITS);
    let users = ["ann", "bob", "cid", "dan"].map(user);
    let accepted = AtomicUsize::new(0);
    let removed = AtomicUsize::new(0);
    thread::scope(|s| {
        for worker in 0..4 {
            let (all, users, accepted, removed) = (&all, &users, &accepted, &removed);
            s.spawn(move || {
                for n in 0..3_000 {
                    let who = &users[(n + worker) % 4];
                    let id = format!("{worker} {n}");
                    if all.expect(who, &id, &KIND, NOW).is_ok() {
                        accepted.fetch_add(1, Ordering::Relaxed);
                        if n % 3 > 0 {
                            _ = all.confirm(who, &id, NOW);
                        }
                    }
                    assert!(all.len() <= LIMITS.total);
                    if n % 7 == 0 {
                        let swept = all.sweep(after(if n % 2 == 0 { 30 } else { 0 }));
                        removed.fetch_add(swept.removed, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let left = accepted.into_inner() - removed.into_inner();
    assert_eq!(all.len(), left, "each was removed once");
    let swept = pass(30, 120, 10, |at| all.sweep(at).removed);
    assert_eq!(swept, left);
    assert!(all.is_empty());
    // And no user's places were lost or found.
    for who in &users {
        for n in 0..LIMITS.per_user {
            all.expect(who, &n.to_string(), &KIND, NOW).unwrap();
        }
        let refused = all.expect(who, "more", &KIND, NOW);
        assert_eq!(refused, Err(ExpectError::UserFull));
        for n in 0..LIMITS.per_user {
            all.failed(who, &n.to_string(), NOW).unwrap();
        }
        assert_eq!(all.sweep(NOW).removed, LIMITS.per_user);
    }
}

fn run(name: &str) -> RunId {
    RunId::new(name).unwrap()
}

fn thread_id(name: &str) -> ThreadId {
    ThreadId::new(name).unwrap()
}

fn few_runs(total: usize) -> RunRegistry {
    RunRegistry::new(RunLimits {
        total,
        ..RunLimits::default()
    })
}

const DAY: u64 = 24 * 60 * 60;

#[test]
fn r056_a_run_leads_to_its_thread_and_back() {
    let runs = RunRegistry::default();
    let ann = user("ann");
    let (t, u) = (thread_id("t"), thread_id("u"));
    for (r, thread) in [("3", &t), ("1", &t), ("2", &u)] {
        runs.register(&ann, &run(r), thread, NOW).unwrap();
    }
    assert_eq!(runs.thread_of(&ann, &run("1"), NOW), Some(t.clone()));
    assert_eq!(runs.thread_of(&ann, &run("2"), NOW), Some(u.clone()));
    assert_eq!(runs.runs_of(&ann, &t, NOW), [run("1"), run("3")]);
    assert_eq!(runs.runs_of(&ann, &u, NOW), [run("2")]);
    // Registered again it is the same run; moved it is not.
    runs.register(&ann, &run("1"), &t, NOW).unwrap();
    let moved = runs.register(&ann, &run("1"), &u, NOW);
    assert_eq!(moved, Err(RunRegistryError::OtherThread));
    assert_eq!(runs.runs_of(&ann, &u, NOW), [run("2")]);
    assert_eq!((runs.len(), runs.stats().registered), (3, 3));
    assert!(runs.remove(&ann, &run("1")) && !runs.remove(&ann, &run("1")));
    assert_eq!(runs.thread_of(&ann, &run("1"), NOW), None);
    assert_eq!(runs.runs_of(&ann, &t, NOW), [run("3")]);
    runs.register(&ann, &run("1"), &u, NOW).unwrap();
    assert_eq!(runs.runs_of(&ann, &u, NOW), [run("1"), run("2")]);
}

#[test]
fn r056_an_unknown_run_is_an_answer_and_never_guessed() {
    let runs = RunRegistry::default();
    let (ann, t) = (user("ann"), thread_id("thread_1"));
    let known = run("thread_1_run_7");
    runs.register(&ann, &known, &t, NOW).unwrap();
    for like in [
        "thread_1",
        "thread_1_run_8",
        "run_thread_1",
        "THREAD_1_RUN_7",
    ] {
        assert_eq!(runs.thread_of(&ann, &run(like), NOW), None, "{like}");
        assert!(!runs.remove(&ann, &run(like)));
    }
    for like in ["thread_1_run_7", "thread", "thread_2"] {
        assert!(runs.runs_of(&ann, &thread_id(like), NOW).is_empty());
    }
    assert_eq!(runs.len(), 1);
}

#[test]
fn r056_a_run_is_its_owners_alone() {
    let runs = RunRegistry::default();
    let (ann, bob) = (user("ann"), user("bob"));
    let (r, t, u) = (run("r"), thread_id("t"), thread_id("u"));
    runs.register(&ann, &r, &t, NOW).unwrap();
    assert_eq!(runs.thread_of(&bob, &r, NOW), None);
    assert!(runs.runs_of(&bob, &t, NOW).is_empty());
    assert!(!runs.remove(&bob, &r));
    // The same id of another user is another run.
    runs.register(&bob, &r, &u, NOW).unwrap();
    assert_eq!(runs.thread_of(&ann, &r, NOW), Some(t.clone()));
    assert_eq!(runs.thread_of(&bob, &r, NOW), Some(u));
    assert!(runs.remove(&bob, &r));
    assert_eq!(runs.runs_of(&ann, &t, NOW), [r]);
}

#[test]
fn r019_the_end_of_one_users_runs_leaves_the_others_alone() {
    let runs = RunRegistry::default();
    let (ann, bob, t) = (user("ann"), user("bob"), thread_id("t"));
    for n in 0..500 {
        for who in [&ann, &bob] {
            runs.register(who, &run(&n.to_string()), &t, NOW).unwrap();
        }
    }
    assert_eq!(runs.remove_user(&ann), 500);
    assert_eq!(runs.remove_user(&ann), 0);
    assert!(runs.runs_of(&ann, &t, NOW).is_empty());
    assert_eq!(runs.runs_of(&bob, &t, NOW).len(), 500);
    assert_eq!(runs.len(), 500);
}

#[test]
fn r056_of_too_many_runs_the_one_unused_for_longest_goes() {
    assert_eq!(RunLimits::default().total, 10_000);
    let runs = few_runs(3);
    let (ann, bob, t) = (user("ann"), user("bob"), thread_id("t"));
    for (n, who) in [&ann, &bob, &ann].into_iter().enumerate() {
        let at = after(n as u64);
        runs.register(who, &run(&n.to_string()), &t, at).unwrap();
    }
    // Used after the other two.
    assert!(runs.thread_of(&ann, &run("0"), after(3)).is_some());
    runs.register(&ann, &run("3"), &t, after(4)).unwrap();
    assert_eq!((runs.len(), runs.stats().evicted), (3, 1));
    assert!(runs.runs_of(&bob, &t, after(4)).is_empty());
    let [zero, two, three] = ["0", "2", "3"].map(run);
    assert_eq!(runs.runs_of(&ann, &t, after(4)), [zero, two.clone(), three]);
    // To look a thread's runs up is no use, to register one again is.
    runs.register(&ann, &two, &t, after(5)).unwrap();
    runs.register(&bob, &run("4"), &t, after(6)).unwrap();
    assert_eq!(runs.thread_of(&ann, &run("0"), after(7)), None);
    assert_eq!(runs.stats().evicted, 2);
    let none = few_runs(0).register(&ann, &two, &t, NOW);
    assert_eq!(none, Err(RunRegistryError::Full));
}

#[test]
fn r016_a_flood_of_runs_makes_room_for_itself() {
    let runs = RunRegistry::new(RunLimits {
        total: 100,
        fair_share: 50,
        ..RunLimits::default()
    });
    let (ann, eve, t) = (user("ann"), user("eve"), thread_id("t"));
    runs.register(&ann, &run("a"), &t, NOW).unwrap();
    for n in 0..300 {
        let at = after(1 + n);
        runs.register(&eve, &run(&n.to_string()), &t, at).unwrap();
    }
    assert_eq!(runs.len(), 100);
    assert_eq!(runs.runs_of(&ann, &t, after(300)), [run("a")]);
    assert_eq!(runs.thread_of(&eve, &run("200"), after(301)), None);
    assert!(runs.thread_of(&eve, &run("201"), after(301)).is_some());
    // Ann's next run takes a place of Eve's, too.
    runs.register(&ann, &run("b"), &t, after(302)).unwrap();
    assert_eq!(runs.runs_of(&ann, &t, after(302)), ["a", "b"].map(run));
    assert_eq!(runs.runs_of(&eve, &t, after(302)).len(), 98);
}

#[test]
fn r016_a_flood_takes_its_own_place_before_another_floods() {
    let runs = RunRegistry::new(RunLimits {
        total: 4,
        fair_share: 2,
        ..RunLimits::default()
    });
    let (bob, eve, t) = (user("bob"), user("eve"), thread_id("t"));
    for (n, who) in (1..).zip([&bob, &bob, &eve, &eve, &eve]) {
        runs.register(who, &run(&n.to_string()), &t, after(n))
            .unwrap();
    }
    assert_eq!(runs.runs_of(&bob, &t, after(6)), ["1", "2"].map(run));
    assert_eq!(runs.runs_of(&eve, &t, after(6)), ["4", "5"].map(run));
}

#[test]
fn r056_a_run_expires_24_hours_after_its_last_use() {
    let runs = RunRegistry::default();
    let (ann, r, s, t) = (user("ann"), run("r"), run("s"), thread_id("t"));
    for id in [&r, &s] {
        runs.register(&ann, id, &t, NOW).unwrap();
    }
    let sweep = |at| runs.sweep(at);
    assert_eq!(pass(0, DAY, DAY / 4, sweep), 0);
    assert!(runs.thread_of(&ann, &r, after(DAY - 1)).is_some());
    assert_eq!(runs.sweep(after(DAY - 1)), 0);
    // Both directions agree before the sweep and after it.
    for swept in [false, true] {
        assert_eq!(runs.thread_of(&ann, &s, after(DAY)), None);
        assert_eq!(runs.runs_of(&ann, &t, after(DAY)), from_ref(&r));
        if !swept {
            assert_eq!((runs.len(), runs.sweep(after(DAY)), runs.len()), (2, 1, 1));
        }
    }
    assert_eq!(pass(DAY, 2 * DAY - 2, DAY / 4, sweep), 0, "it was used");
    assert_eq!(runs.sweep(after(2 * DAY - 2)), 0, "it was used");
    assert!(runs.runs_of(&ann, &t, after(2 * DAY - 1)).is_empty());
    assert_eq!(runs.sweep(after(2 * DAY - 1)), 1);
    assert_eq!((runs.is_empty(), runs.stats().expired), (true, 2));
}

#[test]
fn r056_an_expired_run_is_no_obstacle_to_a_new_one() {
    let runs = RunRegistry::default();
    let (ann, r) = (user("ann"), run("r"));
    let (old, new) = (thread_id("old"), thread_id("new"));
    runs.register(&ann, &r, &old, NOW).unwrap();
    assert_eq!(pass(0, DAY, DAY / 4, |at| runs.sweep(at)), 0);
    runs.register(&ann, &r, &new, after(DAY)).unwrap();
    assert_eq!(runs.thread_of(&ann, &r, after(DAY)), Some(new.clone()));
    assert!(runs.runs_of(&ann, &old, after(DAY)).is_empty());
    assert_eq!((runs.len(), runs.stats().expired), (1, 1));
    assert_eq!(runs.sweep(after(DAY)), 0);
}

#[test]
fn r056_a_clock_that_jumps_back_expires_nothing() {
    let runs = RunRegistry::default();
    let (ann, r, t) = (user("ann"), run("r"), thread_id("t"));
    runs.register(&ann, &r, &t, after(DAY)).unwrap();
    assert_eq!(runs.sweep(Duration::ZERO), 0);
    assert!(runs.thread_of(&ann, &r, Duration::ZERO).is_some());
    assert_eq!(runs.runs_of(&ann, &t, Duration::ZERO), from_ref(&r));
    // From there it ages as any other.
    runs.sweep(NOW);
    assert!(runs.thread_of(&ann, &r, NOW).is_some());
    assert_eq!(pass(0, DAY, DAY / 4, |at| runs.sweep(at)), 0);
    assert_eq!(runs.sweep(after(DAY - 1)), 0);
    assert_eq!(runs.sweep(after(DAY)), 1);
}

#[test]
fn r056_bounds_and_both_directions_hold_under_load() {
    const RUNS: usize = 20;
    let runs = few_runs(RUNS);
    let users = ["ann", "bob"].map(user);
    let threads = ["t", "u"].map(thread_id);
    let ids: Vec<_> = (0..30).map(|n| run(&n.to_string())).collect();
    let removed = AtomicUsize::new(0);
    // One expires before the others come, which may be too busy for that.
    runs.register(&users[0], &ids[0], &threads[0], after(0))
        .unwrap();
    for step in 0..6 {
        runs.sweep(after(0) + Duration::from_secs(step * DAY / 4));
    }
    thread::scope(|s| {
        for worker in 0..4 {
            let (runs, users, threads, ids, removed) = (&runs, &users, &threads, &ids, &removed);
            s.spawn(move || {
                for n in 0..4_000_usize {
                    let at = after(n as u64);
                    let who = &users[(n + worker) % 2];
                    let id = &ids[n * (7 + worker) % ids.len()];
                    let n_thread = &threads[n % 3 % 2];
                    match runs.register(who, id, n_thread, at) {
                        Ok(()) | Err(RunRegistryError::OtherThread | RunRegistryError::Full) => {}
                        Err(other) => panic!("{other}"),
                    }
                    assert!(runs.len() <= RUNS);
                    _ = runs.thread_of(who, &ids[n % ids.len()], at);
                    let of_thread = runs.runs_of(who, n_thread, at);
                    assert!(of_thread.is_sorted_by(|a, b| a < b), "each once");
                    if n % 5 == 0 {
                        let done = runs.remove(who, id);
                        removed.fetch_add(usize::from(done), Ordering::Relaxed);
                    }
                    if n % 101 == 0 {
                        removed.fetch_add(runs.remove_user(who), Ordering::Relaxed);
                    }
                    if n % 51 == 0 {
                        // A quarter of a day each time.
                        runs.sweep(at);
                        runs.sweep(at + Duration::from_secs(DAY));
                    }
                }
            });
        }
    });
    let stats = runs.stats();
    assert!(
        stats.evicted > 0 && stats.expired > 0 && stats.registered > 1_000,
        "{stats:?}"
    );
    let gone = stats.evicted + stats.expired + removed.into_inner() as u64;
    assert_eq!(stats.registered - gone, runs.len() as u64);
    let mut found = 0;
    for who in &users {
        for t in &threads {
            let there = runs.runs_of(who, t, NOW);
            let is_there = |id| runs.thread_of(who, id, NOW).as_ref() == Some(t);
            for id in &ids {
                assert_eq!(is_there(id), there.contains(id));
            }
            found += there.len();
        }
    }
    assert_eq!(found, runs.len());
}

#[test]
fn r056_a_run_in_use_survives_the_sweep_or_was_never_answered() {
    for _ in 0..300 {
        let runs = RunRegistry::default();
        let (ann, r, t) = (user("ann"), run("r"), thread_id("t"));
        runs.register(&ann, &r, &t, NOW).unwrap();
        assert_eq!(pass(0, DAY, DAY / 4, |at| runs.sweep(at)), 0);
        let (used, swept) = thread::scope(|s| {
            let used = s.spawn(|| runs.thread_of(&ann, &r, after(DAY - 1)).is_some());
            let swept = s.spawn(|| runs.sweep(after(DAY)));
            (used.join().unwrap(), swept.join().unwrap())
        });
        assert_eq!((used, swept), if used { (true, 0) } else { (false, 1) });
        assert_eq!(runs.len(), usize::from(used));
    }
}

fn event(kind: &str, run: &str, sequence: u64) -> Value {
    let mut event = json!({
        "type": kind, "event_id": format!("{run}/{sequence}"), "user_id": "ann", "thread_id": "t",
        "run_id": run, "request_id": "q", "agent_name": "triage",
        "timestamp": "2026-01-01T00:00:00Z", "sequence": sequence,
    });
    let more = match kind {
        "agent_thinking" => json!({"reasoning": "hm"}),
        "tool_executing" => json!({"tool_name": "grep", "parameters": {"q": 1}}),
        "tool_completed" => {
            json!({"tool_name": "grep", "results": null, "duration": 0.5, "success": true})
        }
        "agent_completed" => json!({"status": "ok", "final_response": "42", "duration": 3}),
        "agent_error" => json!({"code": "abandoned", "message": "", "recoverable": false}),
        _ => json!({}),
    };
    let fields = event.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    event
}

fn events(run: &str) -> Vec<Value> {
    let kinds = [
        "agent_started",
        "agent_thinking",
        "agent_thinking",
        "tool_executing",
        "tool_completed",
        "agent_thinking",
        "tool_executing",
        "tool_completed",
        "agent_completed",
    ];
    (0..)
        .zip(kinds)
        .map(|(n, kind)| event(kind, run, n))
        .collect()
}

/// The faults of all, with their sequences, and those at the end.
fn faults<'a>(events: impl IntoIterator<Item = &'a Value>) -> Vec<(Option<u64>, Fault)> {
    let mut checker = SequenceChecker::new(user("ann"));
    let mut all = Vec::new();
    for event in events {
        all.extend(checker.check(event));
    }
    all.extend(checker.finish());
    all.into_iter().map(|v| (v.sequence, v.fault)).collect()
}

fn tool(name: &str) -> Fault {
    let tool = name.to_owned();
    Fault::Unpaired { tool }
}

#[test]
fn r057_correct_sequences_are_correct() {
    assert_eq!(faults(&events("r")), []);
    // From 1; with an error while a tool is at work; kept for later; in a payload.
    let mut other = events("r")[..4].to_vec();
    other.push(event("agent_error", "r", 4));
    for event in &mut other {
        event["sequence"] = json!(event["sequence"].as_u64().unwrap() + 1);
        event["recovered"] = json!(true);
        let fields = event.as_object_mut().unwrap();
        for field in ["reasoning", "tool_name", "parameters", "code"] {
            if let Some(value) = fields.remove(field) {
                let payload = fields.entry("payload").or_insert_with(|| json!({}));
                payload[field] = value;
            }
        }
    }
    assert_eq!(faults(&other), []);
    // Runs in each other, and other messages between them.
    let pong = json!({"type": "pong"});
    let (one, two) = (events("1"), events("2"));
    let mixed = one.iter().zip(&two).flat_map(|(a, b)| [a, &pong, b]);
    assert_eq!(faults(mixed), []);
    // Several tools at once, two of one name.
    let mut tools = vec![event("agent_started", "r", 0)];
    for (n, (step, name)) in (1..).zip([
        ("tool_executing", "a"),
        ("tool_executing", "b"),
        ("tool_executing", "a"),
        ("tool_completed", "b"),
        ("tool_completed", "a"),
        ("tool_completed", "a"),
    ]) {
        tools.push(event(step, "r", n));
        tools[n as usize]["tool_name"] = json!(name);
    }
    tools.push(event("agent_completed", "r", 7));
    assert_eq!(faults(&tools), []);
}

#[test]
fn r057_missing_events_are_reported() {
    let (all, n) = (events("r"), Some);
    let without = |range: std::ops::Range<usize>| {
        let kept = (0..all.len()).filter(|at| !range.contains(at));
        faults(kept.map(|at| &all[at]))
    };
    let missing = |from, to| Fault::Missing { from, to };
    assert_eq!(without(1..3), [(n(3), missing(1, 2))]);
    assert_eq!(without(5..6), [(n(6), missing(5, 5))]);
    assert_eq!(without(0..1), [(n(1), Fault::NoStart)]);
    assert_eq!(without(8..9), [(n(7), Fault::NoEnd)]);
    let no_executing = [(n(4), missing(3, 3)), (n(4), tool("grep"))];
    assert_eq!(without(3..4), no_executing);
    let no_completed = [(n(8), missing(7, 7)), (n(8), tool("grep"))];
    assert_eq!(without(7..8), no_completed);
    let late = [event("agent_started", "r", 3), event("agent_error", "r", 4)];
    assert_eq!(faults(&late), [(n(3), missing(1, 2))]);
    // An event that is not critical is not kept while no device is connected. So it may lack there, and not later.
    let mut kept: Vec<_> = [0, 3, 4, 6, 8].map(|at| all[at].clone()).into();
    kept[1]["recovered"] = json!(true);
    assert_eq!(faults(&kept[..3]), [(n(4), Fault::NoEnd)]);
    let later = [
        (n(6), missing(5, 5)),
        (n(8), missing(7, 7)),
        (n(8), tool("grep")),
    ];
    assert_eq!(faults(&kept), later);
}

#[test]
fn r057_events_out_of_order_are_reported() {
    let n = Some;
    let swapped = |a, b| {
        let mut all = events("r");
        all.swap(a, b);
        faults(&all)
    };
    let missing = |at| Fault::Missing { from: at, to: at };
    let late = |after| Fault::OutOfOrder { after };
    assert_eq!(swapped(1, 2), [(n(2), missing(1)), (n(1), late(2))]);
    assert_eq!(swapped(0, 1), [(n(1), Fault::NoStart), (n(0), late(1))]);
    let tools = [(n(4), missing(3)), (n(4), tool("grep")), (n(3), late(4))];
    assert_eq!(swapped(3, 4), tools);
    let end = [
        (n(8), missing(7)),
        (n(8), tool("grep")),
        (n(7), Fault::AfterEnd),
    ];
    assert_eq!(swapped(7, 8), end);
    // An end that comes late is an end all the same.
    let mut all = events("r");
    all.last_mut().unwrap()["sequence"] = json!(7);
    assert_eq!(faults(&all), [(n(7), late(7))]);
    // The same once more.
    let mut all = events("r");
    all.insert(3, all[2].clone());
    assert_eq!(faults(&all), [(n(2), Fault::DuplicateId), (n(2), late(2))]);
    let mut all = events("r");
    all[5]["event_id"] = all[2]["event_id"].clone();
    assert_eq!(faults(&all), [(n(5), Fault::DuplicateId)]);
}

#[test]
fn r057_second_starts_and_events_after_the_end_are_reported() {
    let n = Some;
    let mut all = events("r");
    all[1] = event("agent_started", "r", 1);
    assert_eq!(faults(&all), [(n(1), Fault::DuplicateStart)]);
    for kind in [
        "agent_thinking",
        "agent_completed",
        "agent_error",
        "agent_started",
    ] {
        for end in [
            event("agent_error", "r", 8),
            event("agent_completed", "r", 8),
        ] {
            let mut all = events("r");
            all[8] = end;
            all.push(event(kind, "r", 9));
            assert_eq!(faults(&all), [(n(9), Fault::AfterEnd)], "{kind}");
        }
    }
}

#[test]
fn r057_unpaired_tools_are_reported() {
    let n = Some;
    let mut all = events("r");
    all[4]["tool_name"] = json!("sed");
    let both = [(n(4), tool("sed")), (n(8), tool("grep"))];
    assert_eq!(faults(&all), both);
    let mut all = events("r");
    all[5] = event("tool_completed", "r", 5);
    assert_eq!(faults(&all), [(n(5), tool("grep"))]);
    let mut all = events("r");
    all[5] = event("tool_executing", "r", 5);
    assert_eq!(faults(&all), [(n(8), tool("grep"))]);
}

#[test]
fn r057_malformed_events_are_reported_field_by_field() {
    let common = "event_id user_id thread_id request_id agent_name timestamp sequence";
    let own = [
        (0, ""),
        (1, "reasoning"),
        (3, "tool_name parameters"),
        (4, "tool_name results duration success"),
        (8, "status final_response duration"),
        (9, "code message recoverable"),
    ];
    let mut all = events("r");
    all.push(event("agent_error", "r", 8));
    for (at, own) in own {
        for field in common.split(' ').chain(own.split_whitespace()) {
            let falsified = [json!({"a": 1}), json!([1]), Value::Null];
            let shapeless = ["results", "parameters", "final_response"].contains(&field);
            for bad in [None].into_iter().chain(falsified.into_iter().map(Some)) {
                if shapeless && bad.is_some() {
                    continue;
                }
                let mut event = all[at].clone();
                match bad {
                    None => _ = event.as_object_mut().unwrap().remove(field),
                    Some(bad) => event[field] = bad,
                }
                let before = &all[..at.min(8)];
                let found = faults(before.iter().chain([&event]));
                let malformed = found.iter().filter_map(|(_, fault)| match fault {
                    Fault::Malformed { field } => Some(*field),
                    _ => None,
                });
                assert_eq!(malformed.collect::<Vec<_>>(), [field]);
            }
        }
    }
    let malformed = |field| [(None, Fault::Malformed { field })];
    assert_eq!(faults(&[json!([1])]), malformed(""));
    for bad in [
        json!({}),
        json!({"type": 1}),
        json!({"type": "agent_strated"}),
    ] {
        assert_eq!(faults(&[bad]), malformed("type"));
    }
    // An alias is accepted in what comes in, and is a fault in what goes out.
    assert_eq!(
        faults(&[json!({"type": "agent_failed"})]),
        malformed("type")
    );
    let mut lost = event("agent_started", "r", 0);
    lost["run_id"] = json!(" ");
    let field = "run_id";
    assert_eq!(faults(&[lost]), [(Some(0), Fault::Malformed { field })]);
    for bad in [json!(-1), json!(0.5), json!("0")] {
        let mut event = event("agent_started", "r", 0);
        event["sequence"] = bad;
        let field = "sequence";
        let both = [(None, Fault::Malformed { field }), (None, Fault::NoEnd)];
        assert_eq!(faults(&[event]), both);
    }
}

#[test]
fn r057_somebody_elses_events_and_threads_are_reported() {
    let n = Some;
    let mut all = events("r");
    let mut foreign = event("agent_error", "r", 3);
    foreign["user_id"] = json!("bob");
    all.insert(3, foreign);
    assert_eq!(faults(&all), [(n(3), Fault::Foreign)], "and nothing else");
    // The envelope says whose it is, whatever the payload says.
    let mut all = events("r");
    all[1]["payload"] = json!({"user_id": "bob", "run_id": "other", "sequence": 7});
    assert_eq!(faults(&all), []);
    let mut all = events("r");
    all[5]["thread_id"] = json!("u");
    assert_eq!(faults(&all), [(n(5), Fault::OtherThread)]);
}

#[test]
fn r057_a_violation_names_its_run() {
    let mut checker = SequenceChecker::new(user("ann"));
    assert_eq!(checker.check(&event("agent_started", "1", 0)), []);
    let found = checker.check(&event("agent_thinking", "2", 5));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].run.as_deref(), Some("2"));
    assert_eq!(found[0].to_string(), "run \"2\", event 5: NoStart");
    let open = checker.finish();
    let open = open.iter().map(|v| (v.run.as_deref(), v.sequence));
    assert!(open.eq([(Some("1"), Some(0)), (Some("2"), Some(5))]));
}

#[test]
fn r057_the_checker_is_bounded() {
    let started = |run: usize| event("agent_started", &run.to_string(), 0);
    let mut checker = SequenceChecker::new(user("ann"));
    for n in 0..MAX_CHECKED_RUNS {
        assert_eq!(checker.check(&started(n)), []);
    }
    let found = checker.check(&started(MAX_CHECKED_RUNS));
    assert!(found.len() == 1 && found[0].fault == Fault::TooMany);
    // A run that ended makes room, and is known until then.
    assert_eq!(checker.check(&event("agent_error", "7", 1)), []);
    let known = checker.check(&event("agent_error", "7", 2));
    assert_eq!(known[0].fault, Fault::AfterEnd);
    assert_eq!(checker.check(&started(MAX_CHECKED_RUNS + 1)), []);
    let forgotten = checker.check(&event("agent_error", "7", 3));
    assert_eq!(forgotten[0].fault, Fault::TooMany);
    assert_eq!(checker.finish().len(), MAX_CHECKED_RUNS);

    let (first, last) = (1, MAX_CHECKED_TOOLS as u64 + 1);
    let mut tools = vec![event("agent_started", "r", 0)];
    tools.extend((first..=last).map(|n| event("tool_executing", "r", n)));
    tools.push(event("agent_error", "r", last + 1));
    assert_eq!(faults(&tools), [(Some(last), Fault::TooMany)]);

    let mut all = vec![event("agent_started", "r", 0)];
    let ids = MAX_CHECKED_IDS as u64;
    all.extend((1..=ids).map(|n| event("agent_thinking", "r", n)));
    for (n, again) in [(ids + 1, 2), (ids + 2, 0)] {
        let mut event = event("agent_thinking", "r", n);
        event["event_id"] = all[again]["event_id"].clone();
        all.push(event);
    }
    all.push(event("agent_error", "r", ids + 3));
    let known = Some(ids + 1);
    assert_eq!(
        faults(&all),
        [(known, Fault::DuplicateId)],
        "the last ones only"
    );
}
