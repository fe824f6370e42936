//! Confirmations, runs, sequences: a test a requirement, cited by its number.
#![cfg(not(any(laneway_loom, laneway_shuttle)))]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use laneway::UserId;
use laneway::protocol::{
    COMPLETION_TIMEOUT, CONFIRMATION_TIMEOUT, Confirmation, ConfirmationLimits, Confirmations,
    EventState, ExpectError, MessageKind, NotMoved,
};

const NOW: Duration = Duration::from_secs(1_000);
const KIND: MessageKind = MessageKind::AgentStarted;

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn after(seconds: u64) -> Duration {
    NOW + Duration::from_secs(seconds)
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
        for sent in [NOW, after(20), after(20) + nano] {
            let all = Confirmations::default();
            let ann = user("ann");
            all.expect(&ann, "e", &kind, NOW).unwrap();
            all.sent(&ann, "e", sent).unwrap();
            let end = sent + Duration::from_secs(seconds);
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
    assert_eq!(all.sweep(after(29)).timed_out, 0);
    assert_eq!(all.sweep(after(30)).timed_out, 1);
    assert_eq!(
        all.sent(&ann, "e", after(31)),
        Err(NotMoved::Already(EventState::TimedOut))
    );
}

#[test]
fn r055_a_clock_that_jumps_back_times_out_nothing() {
    let all = Confirmations::default();
    let ann = user("ann");
    all.expect(&ann, "e", &KIND, NOW).unwrap();
    all.sent(&ann, "e", NOW).unwrap();
    for back in [Duration::ZERO, NOW / 2, NOW] {
        assert_eq!(all.sweep(back).timed_out, 0);
    }
    let answer = all.confirm(&ann, "e", Duration::ZERO);
    let took = Duration::ZERO;
    assert_eq!(answer, Confirmation::Confirmed { after: took });
    all.expect(&ann, "latest", &KIND, Duration::MAX).unwrap();
    assert_eq!(all.sweep(NOW).timed_out, 0);
    assert_eq!(all.sweep(Duration::MAX).timed_out, 0);
}

#[test]
fn r055_the_sweep_removes_what_is_final() {
    let all = Confirmations::default();
    let ann = user("ann");
    for id in ["pending", "sent", "confirmed", "failed", "late"] {
        let at = if id == "late" { NOW } else { after(20) };
        all.expect(&ann, id, &KIND, at).unwrap();
    }
    all.sent(&ann, "sent", after(20)).unwrap();
    assert!(counts(all.confirm(&ann, "confirmed", after(20))));
    all.failed(&ann, "failed", after(20)).unwrap();
    let swept = all.sweep(after(30));
    assert_eq!((swept.timed_out, swept.removed, all.len()), (1, 2, 3));
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
    // Of an event that the sweep has removed by then, nobody is the owner.
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
    let swept = [(); 2].map(|()| all.sweep(after(30)).removed);
    assert_eq!(swept.iter().sum::<usize>(), left);
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
