//! A thread that is stopped before any one of its accesses stops no other thread, and no place is lost.

mod messages;

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use crate::Hub;
use crate::id::{ThreadId, UserId};
use crate::protocol::RunId;
use crate::protocol::agent::confirmation::{Confirmation, ConfirmationLimits};
use crate::protocol::agent::confirmations::Confirmations;
use crate::protocol::agent::error::RunError;
use crate::protocol::agent::open::{AgentRuns, OpenRunLimits};
use crate::protocol::agent::registration::RunLimits;
use crate::protocol::agent::registry::RunRegistry;
use crate::protocol::agent::run::AgentRun;
use crate::protocol::context::UserContext;
use crate::protocol::message::kind::MessageKind;
use crate::protocol::packet::Packet;
use crate::protocol::quality::figures::{MAX_RECORDED_USERS, MemoryQuality};
use crate::protocol::quality::provider::{QualityProvider, QualityRequest};
use crate::protocol::quality::records::RunRecord;
use crate::scope::UserScope;
use crate::sync::Stop;

const PATIENCE: Duration = Duration::from_secs(60);
const NOW: Duration = Duration::from_secs(1_000);
const SOON: Duration = Duration::from_secs(1_030);
const LATE: Duration = Duration::from_secs(1_000_000);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const KIND: MessageKind = MessageKind::AgentStarted;

type Operation<W, R> = (&'static str, fn(&W) -> R);

/// Runs `operation` stopped before each of its accesses in turn, and `others` meanwhile. Gives
/// `check` what the operation gave.
#[allow(clippy::disallowed_methods)] // Watches the other thread.
fn stopped_everywhere<W: Send + Sync + 'static, R: Send + 'static>(
    name: &str,
    world: fn() -> W,
    operation: fn(&W) -> R,
    others: fn(&W),
    check: fn(&W, R),
) {
    for k in 0..10_000 {
        let world = Arc::new(world());
        let stop = Stop::before(k);
        let (stopped, theirs) = (Arc::clone(&stop), Arc::clone(&world));
        let thread = thread::spawn(move || stopped.run(|| operation(&theirs)));
        while !stop.is_reached() && !thread.is_finished() {
            thread::yield_now();
        }
        let reached = stop.is_reached();
        let (done, told) = mpsc::channel();
        let theirs = Arc::clone(&world);
        thread::spawn(move || {
            others(&theirs);
            let _ = done.send(());
        });
        told.recv_timeout(PATIENCE)
            .unwrap_or_else(|e| panic!("{name}, stopped before access {k}, stops others: {e}"));
        stop.release();
        check(&world, thread.join().expect("goes on"));
        if !reached {
            assert!(k > 0, "{name} has no access");
            println!("{name}: stopped before each of {k} accesses");
            return;
        }
    }
    panic!("{name} does not end");
}

fn user(name: &str) -> UserId {
    UserId::new(name).expect("valid")
}

fn confirmations() -> Confirmations {
    let all = Confirmations::new(ConfirmationLimits {
        total: 4,
        per_user: 3,
    });
    all.expect(&user("ann"), "e", &KIND, NOW).expect("room");
    all
}

fn others_confirm(all: &Confirmations) {
    let (ann, bob) = (user("ann"), user("bob"));
    for (who, id) in [(&ann, "a"), (&bob, "b")] {
        all.expect(who, id, &KIND, NOW).expect("room");
        all.sent(who, id, NOW).expect("is there");
        let answer = all.confirm(who, id, NOW);
        assert!(matches!(answer, Confirmation::Confirmed { .. }));
    }
    let _ = all.confirm(&ann, "e", NOW);
    let _ = all.sweep(SOON);
    all.expect(&ann, "c", &KIND, NOW).expect("room");
}

fn all_confirmed(all: &Confirmations) {
    for n in 0..10 {
        all.sweep(LATE + n * DAY);
    }
    assert!(all.is_empty());
    let stats = all.stats();
    let ends = stats.confirmed + stats.failed + stats.timed_out;
    assert_eq!(stats.expected, ends);
    for n in 0..3 {
        let done = all.expect(&user("ann"), &n.to_string(), &KIND, NOW);
        done.expect("no place is lost");
    }
    let more = all.expect(&user("ann"), "more", &KIND, NOW);
    assert!(more.is_err(), "none is found");
}

#[test]
fn confirmations_go_on() {
    let operations: [Operation<Confirmations, ()>; 6] = [
        ("expect", |all| {
            let done = all.expect(&user("ann"), "f", &KIND, NOW);
            done.expect("room");
        }),
        ("expect again", |all| {
            let _ = all.expect(&user("ann"), "e", &KIND, NOW);
        }),
        ("sent", |all| {
            let _ = all.sent(&user("ann"), "e", NOW);
        }),
        ("confirm", |all| {
            let _ = all.confirm(&user("ann"), "e", NOW);
        }),
        ("time out", |all| {
            for n in 1..=4 {
                let _ = all.sweep(NOW + n * SOON.saturating_sub(NOW) / 4);
            }
        }),
        ("remove", |all| {
            let _ = all.failed(&user("ann"), "e", NOW);
            let _ = all.sweep(NOW);
        }),
    ];
    for (name, operation) in operations {
        let check = |all: &Confirmations, ()| all_confirmed(all);
        stopped_everywhere(name, confirmations, operation, others_confirm, check);
    }
}

fn run(name: &str) -> RunId {
    RunId::new(name).expect("valid")
}

fn thread_id() -> ThreadId {
    ThreadId::new("t").expect("valid")
}

fn runs() -> RunRegistry {
    let runs = RunRegistry::new(RunLimits {
        total: 3,
        fair_share: 2,
        ..RunLimits::default()
    });
    for r in ["1", "2", "3"] {
        let done = runs.register(&user("ann"), &run(r), &thread_id(), NOW);
        done.expect("room");
    }
    runs
}

/// A run leads to its thread exactly if the thread leads to it.
fn in_step(runs: &RunRegistry) {
    for who in ["ann", "bob"].map(user) {
        let there = runs.runs_of(&who, &thread_id(), SOON);
        for r in ["1", "2", "3", "4", "5"].map(run) {
            let found = runs.thread_of(&who, &r, SOON).is_some();
            assert_eq!(found, there.contains(&r));
        }
    }
}

fn others_run(runs: &RunRegistry) {
    in_step(runs);
    let (ann, bob, t) = (user("ann"), user("bob"), thread_id());
    for r in ["1", "2", "3", "4"] {
        runs.register(&bob, &run(r), &t, SOON).expect("room");
        assert_eq!(runs.thread_of(&bob, &run(r), SOON), Some(t.clone()));
        assert!(runs.runs_of(&bob, &t, SOON).contains(&run(r)));
        assert!(runs.len() <= 3);
    }
    runs.register(&ann, &run("1"), &t, SOON).expect("room");
    runs.sweep(SOON);
}

fn all_runs(runs: &RunRegistry, removed: usize) {
    in_step(runs);
    for n in 0..6 {
        runs.sweep(LATE + n * DAY);
    }
    assert!(runs.is_empty());
    let stats = runs.stats();
    let gone = stats.evicted + stats.expired + removed as u64;
    assert_eq!(stats.registered, gone);
    assert!(runs.runs_of(&user("ann"), &thread_id(), SOON).is_empty());
}

#[test]
fn runs_go_on() {
    let operations: [Operation<RunRegistry, usize>; 6] = [
        ("register", |runs| {
            let done = runs.register(&user("ann"), &run("5"), &thread_id(), NOW);
            done.expect("room");
            0
        }),
        ("register again", |runs| {
            let done = runs.register(&user("ann"), &run("1"), &thread_id(), NOW);
            done.expect("room");
            0
        }),
        ("use", |runs| {
            let _ = runs.thread_of(&user("ann"), &run("1"), NOW);
            0
        }),
        ("remove", |runs| {
            usize::from(runs.remove(&user("ann"), &run("1")))
        }),
        ("remove all", |runs| runs.remove_user(&user("ann"))),
        ("expire", |runs| {
            for n in 1..=4 {
                runs.sweep(NOW + n * DAY / 4);
            }
            0
        }),
    ];
    for (name, operation) in operations {
        stopped_everywhere(name, runs, operation, others_run, all_runs);
    }
}

fn begin(runs: &AgentRuns, scope: &UserScope<Packet>) -> Result<AgentRun, RunError> {
    let context = UserContext::builder(scope.user().clone(), thread_id(), run("r-7"));
    let context = context.build().expect("valid");
    let scope = scope.clone();
    runs.start(scope, context, "planner", NOW)
        .map(|(run, _)| run)
}

/// An owner that is stopped anywhere holds neither the end of all runs nor other users' runs up, and
/// one host that ends them is held up by no other.
#[test]
#[allow(clippy::disallowed_types)] // Hands the run over.
fn open_runs_end() {
    struct World {
        runs: AgentRuns,
        ann: UserScope<Packet>,
        bob: UserScope<Packet>,
        run: std::sync::Mutex<Option<AgentRun>>,
    }
    fn world() -> World {
        let limits = OpenRunLimits {
            total: 3,
            per_user: 2,
        };
        let runs = AgentRuns::new(Arc::default(), limits);
        let hub = Hub::new();
        let (ann, bob) = (hub.scope(user("ann")), hub.scope(user("bob")));
        let run = begin(&runs, &ann).expect("room");
        let run = std::sync::Mutex::new(Some(run));
        World {
            runs,
            ann,
            bob,
            run,
        }
    }
    fn owned(world: &World) -> AgentRun {
        world.run.lock().expect("no panic").take().expect("once")
    }
    let operations: [Operation<World, ()>; 5] = [
        ("chunk", |world| {
            let mut run = owned(world);
            let _ = run.chunk("x", NOW);
            let _ = run.chunk("y", NOW);
        }),
        ("complete", |world| {
            let _ = owned(world).complete("success", "", NOW, NOW);
        }),
        ("drop", |world| drop(owned(world))),
        ("start", |world| drop(begin(&world.runs, &world.ann))),
        ("end all", |world| {
            let _ = world.runs.end_all("shutdown", "it ends", true, NOW);
        }),
    ];
    let others = |world: &World| {
        // Another user's run, before all end.
        if let Ok(mut bobs) = begin(&world.runs, &world.bob) {
            let _ = bobs.chunk("x", NOW);
        }
        let ended = world.runs.end_all("shutdown", "it ends", true, NOW);
        assert!(ended.is_ok());
        assert!(begin(&world.runs, &world.bob).is_err());
    };
    let check = |world: &World, ()| {
        drop(world.run.lock().expect("no panic").take());
        assert!(world.runs.is_empty(), "each place is given back, once");
    };
    for (name, operation) in operations {
        stopped_everywhere(name, world, operation, others, check);
    }
}

fn ran(records: &MemoryQuality, user: &UserId) {
    let record = RunRecord {
        success: true,
        duration: SOON,
        characters: 1,
        at: NOW,
    };
    records.record(user, record);
}

/// The first list that is ever removed is ann's, and is removed while ann's next run is recorded.
#[test]
fn r079_a_record_beside_the_first_eviction_never_makes_a_loss_look_complete() {
    fn world() -> MemoryQuality {
        let records = MemoryQuality::default();
        ran(&records, &user("ann"));
        for n in 1..MAX_RECORDED_USERS {
            ran(&records, &user(&format!("u{n}")));
        }
        records
    }
    let operation = |records: &MemoryQuality| ran(records, &user("ann"));
    let others = |records: &MemoryQuality| ran(records, &user("one more"));
    let check = |records: &MemoryQuality, ()| {
        let ann = user("ann");
        let of = QualityRequest {
            user: &ann,
            thread: None,
            run: None,
            now: SOON,
        };
        let told = records.metrics(&of, 24).expect("figures");
        let is_whole = told["runs"] == 2;
        assert!(is_whole || told["complete"] == false, "{told}");
    };
    stopped_everywhere("record", world, operation, others, check);
}
