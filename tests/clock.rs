//! Time, in every part of the protocol layer that takes `now`: a late sweep, a clock that jumps, stamps
//! from the future.
#![cfg(all(feature = "protocol", not(any(laneway_loom, laneway_shuttle))))]

use std::sync::Arc;
use std::time::Duration;

use laneway::protocol::{
    Confirmation, Confirmations, EventState, Handled, HandlerError, MemoryQuality, Message,
    MessageKind, MessageRouter, Quality, QualityProvider, RunId, RunLimits, RunRecord, RunRegistry,
    Sender, Status,
};
use laneway::{Connection, Hub, Received, ThreadId, UserId};
use serde_json::{Value, json};

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
const NOW: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
const SECOND: Duration = Duration::from_secs(1);

fn ann() -> UserId {
    UserId::new("ann").unwrap()
}

/// One thing that ages: whether it is still there, and a way to sweep it.
struct Aging {
    sweep: Box<dyn Fn(Duration)>,
    is_there: Box<dyn Fn(Duration) -> bool>,
    /// How long it lasts.
    lasts: Duration,
}

/// An event that waits for its confirmation, begun at `at`.
fn event(at: Duration) -> Aging {
    let all = Arc::new(Confirmations::default());
    all.expect(&ann(), "e", &MessageKind::AgentStarted, at)
        .unwrap();
    all.sent(&ann(), "e", at).unwrap();
    let swept = Arc::clone(&all);
    Aging {
        sweep: Box::new(move |at| _ = swept.sweep(at)),
        is_there: Box::new(move |_| all.state(&ann(), "e") == Some(EventState::Sent)),
        lasts: Duration::from_secs(30),
    }
}

/// A run of which its thread is asked, used at `at`.
fn run(at: Duration) -> Aging {
    let runs = Arc::new(RunRegistry::default());
    let (run, thread) = (RunId::new("r-7").unwrap(), ThreadId::new("t-7").unwrap());
    runs.register(&ann(), &run, &thread, at).unwrap();
    let swept = Arc::clone(&runs);
    Aging {
        sweep: Box::new(move |at| _ = swept.sweep(at)),
        is_there: Box::new(move |at| !runs.runs_of(&ann(), &thread, at).is_empty()),
        lasts: DAY,
    }
}

const ALL: [fn(Duration) -> Aging; 2] = [event, run];

impl Aging {
    /// Sweeps ten times in the time that it lasts, from `from` on. Returns after how many sweeps it was
    /// gone.
    fn gone_after(&self, from: Duration) -> Option<u32> {
        (1..=100).find(|n| {
            let at = from + self.lasts / 10 * *n;
            (self.sweep)(at);
            !(self.is_there)(at)
        })
    }
}

#[test]
fn r073_swept_in_time_things_last_as_long_as_is_said() {
    for aging in ALL.map(|begin| begin(NOW)) {
        (aging.sweep)(NOW);
        assert_eq!(aging.gone_after(NOW), Some(10));
    }
}

#[test]
fn r073_one_sweep_ages_things_by_a_bounded_step_however_late_it_comes() {
    for late in [HOUR, DAY, YEAR, Duration::MAX.saturating_sub(NOW)] {
        for begin in ALL {
            // Whether or not there was a sweep before.
            for swept in [false, true] {
                let aging = begin(NOW);
                if swept {
                    (aging.sweep)(NOW);
                }
                (aging.sweep)(NOW + late);
                assert!((aging.is_there)(NOW + late), "one late sweep ends nothing");
                // Nor does a second one that comes right behind it.
                let behind = (NOW + late).saturating_add(SECOND);
                (aging.sweep)(behind);
                assert!((aging.is_there)(behind));
            }
        }
    }
}

#[test]
fn r073_a_clock_that_jumps_ahead_and_back_makes_nothing_immortal() {
    for jump in [HOUR * 25, YEAR, NOW] {
        for begin in ALL {
            // The jump is at the beginning: the stamp is from the future.
            let aging = begin(NOW + jump);
            let gone = aging.gone_after(NOW);
            assert!(gone.is_some_and(|n| (9..=16).contains(&n)), "{gone:?}");
            // The clock is ahead for one sweep.
            let aging = begin(NOW);
            (aging.sweep)(NOW + jump);
            let gone = aging.gone_after(NOW);
            assert!(gone.is_some_and(|n| (4..=10).contains(&n)), "{gone:?}");
            // It is behind for one sweep.
            let aging = begin(NOW);
            (aging.sweep)(NOW.saturating_sub(jump));
            let gone = aging.gone_after(NOW);
            assert!(gone.is_some_and(|n| (4..=11).contains(&n)), "{gone:?}");
        }
    }
}

#[test]
fn r073_a_clock_that_jumps_ahead_and_back_expires_nothing_at_once() {
    for begin in ALL {
        let aging = begin(NOW);
        for jump in [NOW + YEAR, NOW, NOW.saturating_sub(YEAR), NOW] {
            // Only the first and the last are ahead of the sweep before, by a step each at most.
            assert!((aging.is_there)(jump));
            (aging.sweep)(jump);
        }
        let aging = begin(NOW);
        // A reading far ahead, by a thread whose clock is wrong, changes nothing.
        let _ = (aging.is_there)(NOW + YEAR);
        assert!((aging.is_there)(NOW));
    }
}

#[test]
fn r073_a_stamp_from_the_future_is_clamped() {
    let all = Confirmations::default();
    all.expect(&ann(), "before", &MessageKind::Chat, NOW)
        .unwrap();
    all.expect(&ann(), "e", &MessageKind::Chat, NOW + YEAR)
        .unwrap();
    for n in 1..=5_u32 {
        all.sweep(NOW + 10 * SECOND * n);
    }
    assert_eq!(all.state(&ann(), "before"), None);
    assert_eq!(
        all.state(&ann(), "e"),
        Some(EventState::TimedOut),
        "30 s after all"
    );
    // So is the time that a confirmation took.
    let all = Confirmations::default();
    all.expect(&ann(), "e", &MessageKind::Chat, NOW).unwrap();
    let Confirmation::Confirmed { after } = all.confirm(&ann(), "e", NOW + YEAR) else {
        panic!("it counts");
    };
    assert!(after <= Duration::from_secs(8));
}

#[test]
fn r073_a_use_from_the_future_keeps_a_run_for_a_step_more() {
    let runs = RunRegistry::new(RunLimits {
        lifetime: 10 * SECOND,
        ..RunLimits::default()
    });
    let (run, thread) = (RunId::new("r-7").unwrap(), ThreadId::new("t-7").unwrap());
    runs.register(&ann(), &run, &thread, NOW).unwrap();
    assert!(runs.thread_of(&ann(), &run, NOW + YEAR).is_some());
    for n in 0..16_u32 {
        runs.sweep(NOW + n * SECOND);
    }
    assert!(runs.is_empty());
}

#[test]
fn r073_extreme_lifetimes_and_times_are_no_trouble() {
    for lifetime in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
        let runs = RunRegistry::new(RunLimits {
            lifetime,
            ..RunLimits::default()
        });
        let (run, thread) = (RunId::new("r-7").unwrap(), ThreadId::new("t-7").unwrap());
        for at in [Duration::ZERO, Duration::MAX, NOW, Duration::MAX] {
            runs.register(&ann(), &run, &thread, at).unwrap();
            runs.sweep(at);
            let _ = runs.thread_of(&ann(), &run, at);
        }
        assert!(runs.len() <= 1);
    }
}

#[test]
fn r073_a_status_from_a_clock_that_was_ahead_does_not_stay() {
    let router = MessageRouter::new(Arc::default(), NOW + YEAR);
    assert_eq!(router.status(NOW), Status::Initializing);
    assert_eq!(router.status(NOW + 9 * SECOND), Status::Initializing);
    assert_eq!(router.status(NOW + 10 * SECOND), Status::Error);
    let done = |_: &Sender<'_>, _: &Message| -> Result<Handled, HandlerError> { Ok(Handled::Done) };
    router.register("host", done).unwrap();
    assert_eq!(router.status(Duration::ZERO), Status::Ready);
}

/// Asks for ann's figures of the last day.
struct Asks {
    _engine: Hub<laneway::protocol::Packet>,
    router: MessageRouter,
    scope: laneway::UserScope<laneway::protocol::Packet>,
    phone: Connection<laneway::protocol::Packet>,
}

impl Asks {
    fn new(provider: Arc<dyn QualityProvider>) -> Self {
        let engine = Hub::new();
        let scope = engine.scope(ann());
        let router = MessageRouter::new(Arc::default(), NOW);
        Quality::new(Arc::default(), provider)
            .register(&router)
            .unwrap();
        Self {
            phone: scope.connect().unwrap(),
            _engine: engine,
            scope,
            router,
        }
    }

    fn runs(&mut self, now: Duration) -> Value {
        let ask = br#"{"type":"get_quality_metrics"}"#;
        self.router
            .route_json(&self.scope, Some(self.phone.id()), ask, now);
        let Ok(Received::Event(got)) = self.phone.try_recv() else {
            panic!("no answer");
        };
        let answer: Value = serde_json::from_str(got.event.json()).unwrap();
        answer["payload"]["runs"].clone()
    }
}

fn ran(at: Duration) -> RunRecord {
    RunRecord {
        success: true,
        duration: SECOND,
        characters: 10,
        at,
    }
}

#[test]
fn r073_figures_of_a_clock_that_was_ahead_age_like_all_others() {
    let quality = Arc::new(MemoryQuality::default());
    let mut asks = Asks::new(Arc::<MemoryQuality>::clone(&quality));
    quality.record(&ann(), ran(NOW + YEAR));
    assert_eq!(
        asks.runs(NOW),
        json!(1),
        "it counts, as one that has just ended"
    );
    assert_eq!(asks.runs(NOW + DAY), json!(1));
    assert_eq!(
        asks.runs(NOW + DAY + SECOND),
        json!(0),
        "and not for a year"
    );
    // Asked by a clock that is behind for once, nothing is lost.
    quality.record(&ann(), ran(NOW + 2 * DAY));
    assert_eq!(asks.runs(NOW.saturating_sub(YEAR)), json!(2));
    assert_eq!(asks.runs(NOW + 3 * DAY), json!(1));
    assert_eq!(asks.runs(NOW + 3 * DAY + SECOND), json!(0));
}
