//! Draining a hub: no user is admitted, each is told, and all are closed in batches.
#![cfg(not(any(laneway_loom, laneway_shuttle)))]
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // Threads, and their time.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use laneway::{
    CloseReason, Closed, ConnectError, Connection, ConnectionStats, DrainError, DrainPhase,
    DrainPlan, DrainProgress, Hub, PublishError, Received, ResumeError, Retention, TryRecvError,
    UserId, conserved,
};

const SECOND: Duration = Duration::from_secs(1);

fn user(n: usize) -> UserId {
    UserId::new(format!("user {n}")).expect("valid")
}

fn hub() -> Hub<u64> {
    Hub::builder().shards(16).build().expect("valid")
}

/// What a drain tells in these tests.
const TOLD: u64 = u64::MAX;

fn plan() -> DrainPlan<u64> {
    DrainPlan::within(40 * SECOND).tell(|_, _| TOLD)
}

/// Everything there is, and the reason of the end.
fn all(device: &mut Connection<u64>) -> (Vec<u64>, Option<CloseReason>) {
    let mut events = Vec::new();
    loop {
        match device.try_recv() {
            Ok(Received::Event(got)) => events.push(got.event),
            Ok(_) => {}
            Err(TryRecvError::Closed(Closed { reason })) => return (events, Some(reason)),
            Err(_) => return (events, None),
        }
    }
}

#[test]
fn r108_a_draining_hub_refuses_connects_and_resumes_and_accepts_publishes() {
    let hub: Hub<u64> = Hub::builder()
        .shards(16)
        .retention(Some(Retention::events(8)))
        .build()
        .unwrap();
    let (ann, bob) = (hub.scope(user(1)), hub.scope(user(2)));
    let mut phone = ann.connect().unwrap();
    let position = phone.position();
    assert!(!hub.is_draining());
    let drain = hub.drain(plan().publish_for(20 * SECOND)).unwrap();
    assert!(hub.is_draining());
    assert_eq!(ann.connect().unwrap_err(), ConnectError::Draining);
    assert_eq!(bob.connect().unwrap_err(), ConnectError::Draining);
    let refused = ann.resume(&position).unwrap_err();
    assert_eq!(refused, ResumeError::Connect(ConnectError::Draining));
    let kept = bob.publish_critical(3);
    assert!(
        kept.unwrap_err().is_no_connections(),
        "bob cannot come back"
    );
    for second in 0..20 {
        let progress = drain.step(u32::try_from(second).unwrap() * SECOND);
        assert_eq!(progress.phase, DrainPhase::Delivering, "second {second}");
        assert_eq!((progress.users, progress.connections), (1, 1));
        ann.publish(second).unwrap();
    }
    let phase = drain.step(20 * SECOND).phase;
    assert_eq!(phase, DrainPhase::Closing);
    drain.step(20 * SECOND);
    assert!(matches!(ann.publish(99), Err(PublishError::Closed(99))));
    assert_eq!(drain.progress().closed, 1);
    // The place in front of the first event is the telling's.
    let (events, end) = all(&mut phone);
    assert_eq!(
        events,
        [[TOLD].into(), (0..20).collect::<Vec<_>>()].concat()
    );
    assert_eq!(end, Some(CloseReason::Drained));
    drop(phone);
    let last = drain.step(21 * SECOND);
    assert_eq!(
        (last.phase, last.cut, last.unread),
        (DrainPhase::Drained, 0, 0)
    );
    assert!(hub.is_shut_down());
    assert_eq!(ann.connect().unwrap_err(), ConnectError::Closed);
}

#[test]
fn r108_each_user_is_told_once_in_batches_with_the_users_own_delay() {
    let hub = hub();
    let mut devices: Vec<_> = (0..100)
        .map(|n| hub.scope(user(n)).connect().unwrap())
        .collect();
    devices.extend((0..50).map(|n| hub.scope(user(n)).connect().unwrap()));
    let nanos = |delay: Duration| u64::try_from(delay.as_nanos()).unwrap();
    let plan = DrainPlan::within(40 * SECOND).batch(30).seed(7);
    let drain = hub.drain(plan.tell(move |_, delay| nanos(delay))).unwrap();
    let mut told = 0;
    let mut steps = 0;
    while drain.progress().phase == DrainPhase::Telling {
        let progress = drain.step(Duration::ZERO);
        // A user with two devices may come last.
        assert!(progress.told - told <= 30, "a step is bounded");
        told = progress.told;
        steps += 1;
    }
    assert!(
        (5..=6).contains(&steps),
        "{steps} steps for 150 connections"
    );
    assert_eq!((told, drain.progress().untold), (100, 0));
    for device in &mut devices {
        let Ok(Received::Event(got)) = device.try_recv() else {
            panic!("each device is told");
        };
        assert_eq!(Some(got.event), device.reconnect_after().map(nanos));
        assert_eq!(device.try_recv(), Err(TryRecvError::Empty), "once");
    }
}

#[test]
fn r108_delays_are_spread_evenly_and_depend_on_the_seed_alone() {
    let (after, spread) = (5 * SECOND, 60 * SECOND);
    let delays = |seed: Option<u64>| {
        let hub = hub();
        let mut plan = plan().reconnect(after, spread);
        if let Some(seed) = seed {
            plan = plan.seed(seed);
        }
        let _drain = hub.drain(plan).unwrap();
        let delay = |n| hub.reconnect_after(&user(n)).unwrap();
        (0..10_000).map(delay).collect::<Vec<_>>()
    };
    let seeded = delays(Some(7));
    assert_eq!(seeded, delays(Some(7)));
    assert_ne!(seeded, delays(Some(8)));
    let known = Duration::from_nanos(64_524_661_935);
    assert_eq!(seeded[1], known, "the same on each machine");
    for delays in [seeded, delays(None)] {
        let mut tenths = [0_u32; 10];
        for delay in delays {
            let since = delay.checked_sub(after).expect("not before `after`");
            tenths[(since.as_nanos() * 10 / spread.as_nanos()) as usize] += 1;
        }
        println!("10 000 users by tenths of the spread: {tenths:?}");
        // Of an even spread of 1 000 a tenth, seven standard deviations are 210.
        assert!(
            tenths.iter().all(|n| (790..=1_210).contains(n)),
            "{tenths:?}"
        );
    }
    let hub = hub();
    let longest = plan().reconnect(Duration::MAX, Duration::MAX);
    let _drain = hub.drain(longest).unwrap();
    assert_eq!(hub.reconnect_after(&user(1)), Some(Duration::MAX));
}

#[test]
fn r108_a_plan_out_of_its_bounds_is_refused_and_so_is_a_second_drain() {
    let hub = hub();
    let refused = |plan| hub.drain(plan).unwrap_err();
    assert_eq!(refused(plan().batch(0)), DrainError::Batch);
    let late = 41 * SECOND;
    assert_eq!(
        refused(plan().publish_for(late)),
        DrainError::PublishFor(late)
    );
    assert!(!hub.is_draining(), "a plan that is refused begins nothing");
    assert!(hub.scope(user(1)).connect().is_ok());
    let _drain = hub.drain(plan()).unwrap();
    assert_eq!(refused(plan()), DrainError::Draining);
}

#[test]
fn r108_a_drain_of_a_hub_that_is_shut_down_calls_none_of_the_hosts_functions() {
    let hub = hub();
    let mut device = hub.scope(user(1)).connect().unwrap();
    hub.shutdown();
    let plan = DrainPlan::within(40 * SECOND)
        .tell(|_, _| panic!("it is too late to tell"))
        .before_closing(|| panic!("publishes are refused already"));
    let drain = hub.drain(plan).unwrap();
    for second in 0..3 {
        let progress = drain.step(second * SECOND);
        assert_eq!((progress.told, progress.untold), (0, 0));
    }
    assert_eq!(all(&mut device), (vec![], Some(CloseReason::Drained)));
    drop(device);
    assert_eq!(drain.step(3 * SECOND).phase, DrainPhase::Drained);
}

#[test]
fn r108_steps_go_by_the_hosts_clock_and_a_pause_cuts_nothing_off() {
    let hub = hub();
    let ann = hub.scope(user(1));
    let device = ann.connect().unwrap();
    let drain = hub.drain(plan()).unwrap();
    let day = 86_400 * SECOND;
    for now in [day, Duration::ZERO, day, 2 * day] {
        let phase = drain.step(now).phase;
        assert!(
            phase < DrainPhase::Cutting,
            "a jump is a quarter of the deadline at most"
        );
    }
    assert_eq!(ann.connection_count(), 1);
    let mut now = 2 * day;
    while drain.progress().phase < DrainPhase::Cutting {
        now += 10 * SECOND;
        drain.step(now);
    }
    drain.step(now);
    assert_eq!(drain.progress().phase, DrainPhase::Drained);
    assert_eq!((drain.progress().cut, device.stats().unread), (1, 1));
}

#[test]
fn r109_what_is_unread_at_the_deadline_is_counted_and_each_law_holds() {
    let hub = hub();
    let scopes: Vec<_> = (0..90).map(|n| hub.scope(user(n))).collect();
    let mut devices: Vec<_> = scopes
        .iter()
        .map(|scope| scope.connect().unwrap())
        .collect();
    let drain = hub.drain(plan().batch(20)).unwrap();
    let mut offered = 0;
    for (n, scope) in scopes.iter().enumerate() {
        for event in 0..n as u64 {
            scope.publish(event).unwrap();
            offered += 1;
        }
    }
    let mut now = Duration::ZERO;
    let mut cut = 0;
    while drain.progress().phase < DrainPhase::Drained {
        let progress = drain.step(now);
        assert!(progress.cut - cut <= 20, "a step is bounded");
        cut = progress.cut;
        now += 2 * SECOND;
    }
    let last = drain.progress();
    assert_eq!((last.told, last.closed, last.cut), (90, 90, 90));
    let stats: Vec<_> = devices.iter().map(Connection::stats).collect();
    assert_eq!(last.unread, stats.iter().map(|s| s.unread).sum::<u64>());
    assert_eq!(last.unread, offered + 90, "the telling is an event as well");
    conserved(offered + 90, hub.accepted(), &hub.stats(), stats).unwrap();
    for device in &mut devices {
        assert_eq!(all(device), (vec![], Some(CloseReason::Drained)));
    }
}

#[test]
fn r109_a_tell_that_panics_leaves_one_user_untold_and_the_drain_goes_on() {
    let hub = hub();
    let mut devices: Vec<_> = (0..20)
        .map(|n| hub.scope(user(n)).connect().unwrap())
        .collect();
    let calls = AtomicUsize::new(0);
    let plan = DrainPlan::within(40 * SECOND).tell(move |_, _| {
        assert_ne!(calls.fetch_add(1, Ordering::SeqCst), 5, "of the host");
        TOLD
    });
    let drain = hub.drain(plan).unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| drain.step(Duration::ZERO)));
    assert!(panicked.is_err());
    for _ in 0..3 {
        drain.step(Duration::ZERO);
    }
    assert_eq!(drain.progress().told, 19);
    let told = devices.iter_mut().map(all);
    let told: Vec<_> = told
        .inspect(|(_, end)| assert_eq!(*end, Some(CloseReason::Drained)))
        .collect();
    assert_eq!(
        told.iter().filter(|(events, _)| events.is_empty()).count(),
        1
    );
}

#[test]
fn r109_the_hosts_hook_runs_once_before_the_first_lane_closes() {
    let hub = hub();
    let ann = hub.scope(user(1));
    let mut device = ann.connect().unwrap();
    let (calls, last) = (Arc::new(AtomicUsize::new(0)), ann.clone());
    let counted = Arc::clone(&calls);
    let plan = plan().publish_for(10 * SECOND).before_closing(move || {
        let n = counted.fetch_add(1, Ordering::SeqCst);
        last.publish(n as u64).unwrap();
        assert_eq!(n, 1, "of the host");
    });
    let drain = hub.drain(plan).unwrap();
    drain.step(Duration::ZERO);
    drain.step(9 * SECOND);
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    let panicked = catch_unwind(AssertUnwindSafe(|| drain.step(10 * SECOND)));
    assert!(panicked.is_err());
    for _ in 0..3 {
        drain.step(10 * SECOND);
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert_eq!(
        all(&mut device),
        (vec![TOLD, 0], Some(CloseReason::Drained))
    );
    drop(device);
    assert_eq!(drain.step(10 * SECOND).phase, DrainPhase::Drained);
}

#[test]
fn r109_the_plan_is_dropped_with_the_drain_though_it_owns_a_scope() {
    for is_stepped in [false, true] {
        let (hub, alive) = (hub(), Arc::new(()));
        let (held, scope) = (Arc::clone(&alive), hub.scope(user(1)));
        let plan = plan().before_closing(move || drop((Arc::clone(&held), scope.clone())));
        let drain = hub.drain(plan).unwrap();
        if is_stepped {
            drain.step(Duration::ZERO);
        }
        drop((hub, drain));
        // The collector frees it some time later.
        let is_freed = (0..10_000).any(|n| {
            let _ = Hub::builder()
                .shards(1)
                .build::<u64>()
                .unwrap()
                .scope(user(n))
                .connect();
            Arc::strong_count(&alive) == 1
        });
        assert!(is_freed);
    }
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn r108_tasks_wait_for_the_end_without_a_step_of_their_own() {
    let hub = hub();
    let device = hub.scope(user(1)).connect().unwrap();
    let drain = hub.drain(plan()).unwrap();
    let woken: Vec<_> = (0..17)
        .map(|_| Arc::new(Woken(AtomicBool::new(false))))
        .collect();
    let mut tasks: Vec<_> = woken.iter().map(|_| Box::pin(drain.drained())).collect();
    let mut poll = |n: usize| -> Poll<DrainProgress> {
        let waker = Waker::from(Arc::clone(&woken[n]));
        woken[n].0.store(false, Ordering::SeqCst);
        tasks[n].as_mut().poll(&mut Context::from_waker(&waker))
    };
    for (n, task) in woken.iter().enumerate() {
        assert!(poll(n).is_pending());
        assert_eq!(
            task.0.load(Ordering::SeqCst),
            n == 16,
            "no place for the 17th"
        );
    }
    drop(device);
    drain.step(Duration::ZERO);
    for (n, task) in woken.iter().enumerate() {
        assert!(task.0.load(Ordering::SeqCst));
        assert!(matches!(poll(n), Poll::Ready(last) if last.users == 0));
    }
    // A task that comes later finds the end at once.
    let mut late = pin!(drain.drained());
    let mut cx = Context::from_waker(Waker::noop());
    assert!(late.as_mut().poll(&mut cx).is_ready());
}

#[test]
fn r108_a_waker_that_steps_from_inside_does_not_recurse() {
    struct Steps(laneway::Drain<u64>);
    impl Wake for Steps {
        fn wake(self: Arc<Self>) {
            self.0.step(Duration::ZERO);
        }
    }
    let hub = hub();
    let mut devices: Vec<_> = (0..5_000)
        .map(|n| hub.scope(user(n)).connect().unwrap())
        .collect();
    let drain = hub.drain(plan().batch(usize::MAX)).unwrap();
    let waker = Waker::from(Arc::new(Steps(drain.clone())));
    for device in &mut devices {
        assert!(
            device
                .poll_recv(&mut Context::from_waker(&waker))
                .is_pending()
        );
    }
    drain.step(Duration::ZERO);
    assert_eq!(drain.progress().told, 5_000);
}

#[test]
fn r108_lanes_without_a_connection_end_with_the_drain_and_are_counted() {
    let hub: Hub<u64> = Hub::builder()
        .shards(16)
        .retention(Some(Retention::events(8)))
        .build()
        .unwrap();
    let mut ann = hub.scope(user(1)).connect().unwrap();
    drop(hub.scope(user(2)).connect().unwrap());
    let drain = hub.drain(plan()).unwrap();
    for _ in 0..3 {
        drain.step(Duration::ZERO);
    }
    assert_eq!((drain.progress().absent, drain.progress().closed), (1, 1));
    assert_eq!(all(&mut ann), (vec![TOLD], Some(CloseReason::Drained)));
    drop(ann);
    drain.step(Duration::ZERO);
    assert_eq!((hub.stats().absent_users, hub.user_count()), (0, 0));
}

/// What one device has received by its end.
struct Account {
    stats: ConnectionStats,
    told: usize,
    gaps: u64,
    end: Option<CloseReason>,
}

fn read(device: &mut Connection<u64>, account: &mut Account) {
    let mut batch = Vec::new();
    loop {
        match device.drain(64, &mut batch) {
            Ok(0) => return,
            Ok(_) => {}
            Err(closed) => {
                account.end = Some(closed.reason);
                return;
            }
        }
        for received in batch.drain(..) {
            match received {
                Received::Event(got) => account.told += usize::from(got.event == TOLD),
                Received::Gap { missed, .. } => account.gaps += missed,
                _ => {}
            }
        }
    }
}

/// Two publishers at full speed, a thread of readers, a thread that connects, and the steps.
#[allow(clippy::too_many_lines)] // Four kinds of threads, each in sight of the others.
fn drain_under_load(plan: DrainPlan<u64>, is_read: impl Fn(usize) -> bool + Sync) {
    const DEVICES: usize = 10_000;
    let hub: Hub<u64> = Hub::builder().lane_capacity(16).build().unwrap();
    let scopes: Vec<_> = (0..DEVICES).map(|n| hub.scope(user(n))).collect();
    let mut devices: Vec<_> = scopes
        .iter()
        .map(|scope| Some(scope.connect().unwrap()))
        .collect();
    let offered = AtomicUsize::new(0);
    let is_over = AtomicBool::new(false);
    let began = Instant::now();
    let mut steps = 0;
    let accounts = thread::scope(|s| {
        for publisher in 0..2 {
            let (scopes, offered, is_over) = (&scopes, &offered, &is_over);
            s.spawn(move || {
                for n in (publisher * 777..).map(|n: usize| n * 31) {
                    if is_over.load(Ordering::Relaxed) {
                        return;
                    }
                    let _ = scopes[n % DEVICES].publish(n as u64);
                    offered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        s.spawn(|| {
            let late = (0..).map(|n| hub.scope(user(DEVICES + n)));
            for scope in late {
                match scope.connect() {
                    Ok(device) => drop(device),
                    Err(error) => {
                        assert_eq!(error, ConnectError::Draining);
                        return;
                    }
                }
            }
        });
        let reader = s.spawn(|| {
            let mut accounts: Vec<_> = (0..DEVICES)
                .map(|_| Account {
                    stats: ConnectionStats::default(),
                    told: 0,
                    gaps: 0,
                    end: None,
                })
                .collect();
            let mut is_last = false;
            loop {
                for (n, account) in accounts
                    .iter_mut()
                    .enumerate()
                    .filter(|(n, _)| is_last || is_read(*n))
                {
                    if let Some(device) = &mut devices[n] {
                        read(device, account);
                        if account.end.is_some() {
                            account.stats = device.stats();
                            devices[n] = None;
                        }
                    }
                }
                if is_last {
                    return accounts;
                }
                is_last = is_over.load(Ordering::Acquire);
            }
        });
        thread::sleep(Duration::from_millis(50));
        let start = Instant::now();
        let drain = hub.drain(plan).unwrap();
        let mut phase = DrainPhase::Telling;
        while phase < DrainPhase::Drained {
            let progress = drain.step(start.elapsed());
            if progress.phase != phase {
                println!("{:>6.1?} step {steps}: {progress:?}", start.elapsed());
            }
            phase = progress.phase;
            steps += 1;
            thread::sleep(Duration::from_millis(5));
        }
        is_over.store(true, Ordering::Release);
        let last = drain.progress();
        let accounts = reader.join().unwrap();
        let unread: u64 = accounts.iter().map(|a| a.stats.unread).sum();
        assert_eq!(last.told + last.untold, DEVICES);
        // A connection that was receiving when it was cut off may have read one event more.
        let counted = unread..=unread + last.cut as u64;
        assert!(counted.contains(&last.unread), "what is cut off is counted");
        accounts
    });
    let gaps: u64 = accounts.iter().map(|a| a.gaps).sum();
    let told: usize = accounts.iter().map(|a| a.told).sum();
    println!(
        "{steps} steps, {:.1?}, {told} told, {gaps} in gaps",
        began.elapsed()
    );
    for account in &accounts {
        assert_eq!(account.end, Some(CloseReason::Drained));
        assert_eq!(account.gaps, account.stats.missed);
        assert!(account.told <= 1, "once");
        assert!(
            account.told == 1 || account.stats.unread > 0,
            "told, or cut off"
        );
    }
    let stats = hub.stats();
    // The drain has offered one event a user.
    let offered = offered.into_inner() as u64 + DEVICES as u64;
    conserved(
        offered,
        hub.accepted(),
        &stats,
        accounts.iter().map(|a| a.stats),
    )
    .unwrap();
    let sum = |figure: fn(&ConnectionStats) -> u64| {
        accounts.iter().map(|a| figure(&a.stats)).sum::<u64>()
    };
    // A number that its publisher gave up was stepped over, and was never an event.
    let events = sum(|s| s.numbers) - sum(|s| s.stepped_over);
    // Or it is among those that were cut off.
    let accepted = events - sum(|s| s.unread)..=events;
    assert!(
        accepted.contains(&hub.accepted()),
        "each accepted event has a reader who knows of it"
    );
}

#[test]
fn r109_ten_thousand_connections_under_load_receive_everything_that_was_accepted() {
    let plan = DrainPlan::within(30 * SECOND).batch(500).tell(|_, _| TOLD);
    drain_under_load(plan.publish_for(SECOND / 2), |_| true);
}

#[test]
fn r109_of_ten_thousand_connections_under_load_those_that_stand_still_are_cut_off_and_counted() {
    let plan = DrainPlan::within(3 * SECOND).batch(500).tell(|_, _| TOLD);
    drain_under_load(plan.publish_for(SECOND / 2), |n| n % 100 > 0);
}

#[cfg(feature = "protocol")]
#[test]
fn r109_open_runs_of_agents_end_and_their_users_are_told_before_the_lanes_close() {
    use laneway::ThreadId;
    use laneway::protocol::{AgentRuns, OpenRunLimits, Packet, RunError, RunId, UserContext};

    let hub: Hub<Packet> = Hub::new();
    let ann = hub.scope(UserId::new("ann").unwrap());
    let mut device = ann.connect().unwrap();
    let runs = AgentRuns::new(Arc::default(), OpenRunLimits::default());
    let (thread, id) = (ThreadId::new("t-7").unwrap(), RunId::new("r-7").unwrap());
    let context = UserContext::builder(ann.user().clone(), thread, id)
        .build()
        .unwrap();
    let (mut run, _) = runs.start(ann, context, "planner", Duration::ZERO).unwrap();
    let ended = runs.clone();
    let plan = DrainPlan::within(40 * SECOND).before_closing(move || {
        let text = "the server restarts: ask again";
        let ended = ended.end_all("shutdown", text, true, SECOND).unwrap();
        assert_eq!((ended.told, ended.untold), (1, 0));
    });
    let drain = hub.drain(plan).unwrap();
    for _ in 0..3 {
        drain.step(Duration::ZERO);
    }
    assert_eq!(run.thinking("hm", SECOND), Err(RunError::Ended));
    let mut texts = Vec::new();
    while let Ok(Received::Event(got)) = device.try_recv() {
        texts.push(got.event.json().to_owned());
    }
    let last: serde_json::Value = serde_json::from_str(texts.last().unwrap()).unwrap();
    assert_eq!((&last["type"], texts.len()), (&"agent_error".into(), 2));
    assert_eq!(device.recv().unwrap_err().reason, CloseReason::Drained);
}
