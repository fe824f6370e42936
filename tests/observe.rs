//! What a host's subscriber of `tracing` and its recorder of `metrics` hear of a hub: each thing once, with
//! its reason, and no user where a user must not be.
#![cfg(not(any(laneway_loom, laneway_shuttle)))]
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // A subscriber's list is behind a lock.
#![allow(clippy::float_cmp, clippy::cast_sign_loss)] // Metrics are counts in an `f64`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use laneway::protocol::{Contamination, Isolation};
use laneway::{
    ConnectOptions, DrainPlan, Hub, LimitPolicy, Limits, Received, Resumed, Retention, Revocation,
    RoomId, UserId, conserved,
};
use metrics::with_local_recorder;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry;

const USER: &str = "ann-of-the-tests";
const SECRET: &str = "a-payload-of-the-tests";

fn user(name: &str) -> UserId {
    UserId::new(name).expect("valid")
}

/// One event as a subscriber hears it.
#[derive(Clone, Debug)]
struct Heard {
    target: String,
    level: Level,
    message: String,
    fields: BTreeMap<String, String>,
}

impl Visit for Heard {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            self.message = text;
        } else {
            self.fields.insert(field.name().into(), text);
        }
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name().into(), value.into());
    }
}

#[derive(Clone, Default)]
struct Ear(Arc<Mutex<Vec<Heard>>>);

impl<S: Subscriber> Layer<S> for Ear {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut heard = Heard {
            target: event.metadata().target().into(),
            level: *event.metadata().level(),
            message: String::new(),
            fields: BTreeMap::new(),
        };
        event.record(&mut heard);
        self.0.lock().unwrap().push(heard);
    }
}

/// The events of `work`. Those of other tests go to their own subscribers.
fn hear(work: impl FnOnce()) -> Vec<Heard> {
    let ear = Ear::default();
    tracing::subscriber::with_default(registry().with(ear.clone()), work);
    ear.0.lock().unwrap().clone()
}

/// Message and value of this field of each event that has it.
fn with<'a>(heard: &'a [Heard], field: &str) -> Vec<(&'a str, &'a str)> {
    let all = heard.iter();
    all.filter_map(|h| Some((h.message.as_str(), h.fields.get(field)?.as_str())))
        .collect()
}

fn messages(heard: &[Heard]) -> Vec<&str> {
    heard.iter().map(|h| h.message.as_str()).collect()
}

type Series = (String, Vec<(String, String)>);

/// The metrics of `work`: name and labels, and the value. A histogram's value is the list of what it recorded.
fn measure(work: impl FnOnce()) -> BTreeMap<Series, Vec<f64>> {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    with_local_recorder(&recorder, work);
    let all = snapshotter.snapshot().into_vec().into_iter();
    all.map(|(key, _, _, value)| {
        let labels = key.key().labels();
        let labels = labels.map(|label| (label.key().to_owned(), label.value().to_owned()));
        let value = match value {
            #[allow(clippy::cast_precision_loss)]
            DebugValue::Counter(count) => vec![count as f64],
            DebugValue::Gauge(value) => vec![value.0],
            DebugValue::Histogram(values) => values.iter().map(|value| value.0).collect(),
        };
        ((key.key().name().to_owned(), labels.collect()), value)
    })
    .collect()
}

fn of(name: &str, label: Option<(&str, &str)>) -> Series {
    let label = label.map(|(key, value)| (key.to_owned(), value.to_owned()));
    (name.to_owned(), label.into_iter().collect())
}

/// A hub on which a scenario comes to each event and each metric.
fn hub() -> Hub<String> {
    Hub::builder()
        .lane_capacity(16)
        .max_connections_per_user(2)
        .retention(Some(Retention::events(16)))
        .sample_publishes(1)
        .build()
        .unwrap()
}

/// Comes to each event and each metric at least once.
fn everything(hub: &Hub<String>) {
    let ann = hub.scope(user(USER));
    let mut phone = ann.connect().unwrap();
    let position = phone.position();
    let tab = ann.connect().unwrap();
    assert!(ann.connect().is_err());
    for _ in 0..100 {
        ann.publish(SECRET.into()).unwrap();
    }
    while !matches!(phone.try_recv(), Ok(Received::Gap { .. })) {}
    assert!(ann.disconnect(tab.id(), 4_001));
    drop(phone);
    let foreign = hub.scope(user("bob")).resume(&position);
    assert!(foreign.is_err());
    let (again, resumed) = ann.resume(&position).unwrap();
    assert!(matches!(resumed, Resumed::Gap { .. }));
    assert!(hub.scope(user("bob")).publish(SECRET.into()).is_err());
    let body = serde_json::json!({"userId": "bob", "text": SECRET});
    let rewritten = Isolation::new(Contamination::Rewrite).check(&body, ann.user());
    assert_eq!(rewritten.unwrap().rewritten.len(), 1);
    hub.record_metrics();
    hub.record_accepted();
    let drain = hub
        .drain(DrainPlan::within(Duration::from_secs(1)))
        .unwrap();
    drop(again);
    while !hub.is_shut_down() {
        drain.step(Duration::from_secs(2));
    }
}

#[test]
fn r122_each_event_comes_once_with_its_target_and_its_fields() {
    let heard = hear(|| {
        let hub: Hub<u8> = Hub::builder().lane_capacity(2).build().unwrap();
        let ann = hub.scope(user(USER));
        let mut phone = ann.connect().unwrap();
        for event in 0..5 {
            ann.publish(event).unwrap();
        }
        while phone.try_recv().is_ok() {}
        ann.publish(5).unwrap();
        drop(phone);
        assert!(ann.publish(6).is_err());
        hub.shutdown();
        hub.shutdown();
        assert!(ann.connect().is_err());
    });
    let lines: Vec<_> = heard
        .iter()
        .map(|h| {
            let fields: Vec<_> = h.fields.iter().map(|(k, v)| format!("{k}={v}")).collect();
            format!(
                "{} {} {}: {}",
                h.level,
                h.target,
                h.message,
                fields.join(" ")
            )
        })
        .collect();
    assert_eq!(
        lines,
        [
            "DEBUG laneway::connection connected: connection=1 user=ann-of-the-tests",
            "DEBUG laneway::connection gap: connection=1 missed=3 user=ann-of-the-tests",
            "DEBUG laneway::connection closed: connection=1 reason=dropped unread=1 user=ann-of-the-tests",
            "DEBUG laneway::publish publish refused: reason=no_connections user=ann-of-the-tests",
            "INFO laneway::hub shut down: lanes=0",
            "DEBUG laneway::connection connect refused: reason=closed user=ann-of-the-tests",
        ]
    );
}

#[test]
fn r122_a_close_has_the_reason_that_the_connection_is_told() {
    let idle = Duration::from_secs(4);
    let heard = hear(|| {
        let builder = Hub::builder().lane_capacity(2).max_connections_per_user(1);
        let builder = builder.limit_policy(LimitPolicy::EvictOldest);
        let hub: Hub<u8> = builder.idle_timeout(Some(idle)).build().unwrap();
        let ann = hub.scope(user(USER));
        let old = ann.connect().unwrap();
        let evicting = ann.connect().unwrap();
        let position = evicting.position();
        let (replacing, _) = ann.resume(&position).unwrap();
        ann.disconnect(replacing.id(), 4_001);
        let mut overrun = ann.connect().unwrap();
        for event in 0..200 {
            ann.publish_critical(event).unwrap();
        }
        while overrun.try_recv().is_ok() {}
        let revoked = ann.connect().unwrap();
        hub.revoke(ann.user(), Revocation::all());
        let ann = hub.scope(user(USER));
        let slept = ann.connect().unwrap();
        for quarter in 0..8 {
            hub.sweep(quarter * idle / 4);
        }
        let dropped = ann.connect().unwrap();
        drop(dropped);
        // A connection is closed once, so what its owner drops later is not told again.
        drop((old, evicting, replacing, overrun, revoked, slept));
        let _cut = ann.connect().unwrap();
        let drain = hub.drain(DrainPlan::within(idle)).unwrap();
        drain.step(Duration::ZERO);
        for second in 0..20 {
            drain.step(Duration::from_secs(second));
        }
    });
    let closed: Vec<_> = heard.iter().filter(|h| h.message == "closed").collect();
    let reasons: Vec<_> = closed.iter().map(|h| h.fields["reason"].as_str()).collect();
    let all = "evicted replaced disconnected overrun revoked idle dropped drained";
    assert_eq!(reasons.join(" "), all);
    let coded = closed.iter().filter_map(|h| h.fields.get("code"));
    assert_eq!(coded.collect::<Vec<_>>(), ["4001"]);
    let opened = heard.iter().filter(|h| h.message == "connected").count();
    assert_eq!(opened, closed.len());
}

#[test]
fn r122_a_resume_says_what_the_device_has_missed_or_why_it_is_refused() {
    let heard = hear(|| {
        let hub = hub();
        let ann = hub.scope(user(USER));
        let start = ann.connect().unwrap().position();
        let (device, complete) = ann.resume(&start).unwrap();
        assert!(matches!(complete, Resumed::Complete { .. }));
        drop(device);
        let device = ann.connect().unwrap();
        for _ in 0..100 {
            ann.publish(SECRET.into()).unwrap();
        }
        drop(device);
        let (_, gap) = ann.resume(&start).unwrap();
        let Resumed::Gap { missed, .. } = gap else {
            panic!("{gap:?}")
        };
        tracing::info!(missed, "expected");
        let stranger = Hub::<String>::new()
            .scope(user(USER))
            .connect()
            .unwrap()
            .position();
        let (_, reset) = ann.resume(&stranger).unwrap();
        assert_eq!(reset, Resumed::Reset);
        assert!(hub.scope(user("bob")).resume(&start).is_err());
        let weak = ann.attenuate(Limits::new().publish_only()).unwrap();
        assert!(weak.resume(&start).is_err());
    });
    let results = with(&heard, "result");
    assert_eq!(
        results,
        [
            ("resumed", "complete"),
            ("resumed", "gap"),
            ("resumed", "reset")
        ]
    );
    let missed: Vec<_> = with(&heard, "missed").into_iter().map(|(_, n)| n).collect();
    assert_eq!(
        (missed.len(), missed[0], missed[1]),
        (3, "0", missed[2]),
        "gap and expected"
    );
    let refused: Vec<_> = with(&heard, "reason")
        .into_iter()
        .filter(|(m, _)| *m != "closed")
        .collect();
    let reasons = ["foreign_position", "not_allowed"];
    assert_eq!(refused, reasons.map(|reason| ("resume refused", reason)));
}

#[test]
fn r122_a_refusal_says_why() {
    let heard = hear(|| {
        let builder = Hub::builder()
            .lane_capacity(2)
            .max_users(1)
            .max_connections_per_user(1);
        let hub: Hub<u8> = builder.build().unwrap();
        let (ann, bob) = (hub.scope(user(USER)), hub.scope(user("bob")));
        let _phone = ann.connect().unwrap();
        let long = ConnectOptions::default().note("n".repeat(2_000));
        assert!(ann.connect_with(long).is_err());
        let odd = ConnectOptions {
            lane_capacity: Some(3),
            ..ConnectOptions::default()
        };
        assert!(ann.connect_with(odd).is_err());
        assert!(ann.connect().is_err());
        assert!(bob.connect().is_err());
        for event in 0..3 {
            let _ = ann.try_publish(event);
        }
        let once = ann.attenuate(Limits::new().receive_only()).unwrap();
        assert!(once.publish(1).is_err());
        let spent = ann
            .attenuate(Limits::new().publish_only().events(0))
            .unwrap();
        assert!(spent.publish(1).is_err());
        hub.revoke(bob.user(), Revocation::all());
        assert!(bob.publish(1).is_err());
        assert!(bob.connect().is_err());
        let _drain = hub
            .drain(DrainPlan::within(Duration::from_secs(1)))
            .unwrap();
        assert!(ann.connect().is_err());
        hub.shutdown();
        assert!(ann.publish(1).is_err());
        assert!(ann.connect().is_err());
    });
    let reasons: Vec<_> = with(&heard, "reason")
        .into_iter()
        .filter(|(m, _)| *m != "closed")
        .collect();
    let (connect, publish) = ("connect refused", "publish refused");
    assert_eq!(
        reasons,
        [
            (connect, "note"),
            (connect, "lane_capacity"),
            (connect, "too_many_connections"),
            (connect, "too_many_users"),
            (publish, "full"),
            (publish, "not_allowed"),
            (publish, "not_allowed"),
            (publish, "revoked"),
            (connect, "revoked"),
            (connect, "draining"),
            (publish, "closed"),
            (connect, "closed"),
        ]
    );
}

#[test]
fn r122_a_room_reports_the_members_that_it_does_not_reach() {
    let heard = hear(|| {
        let hub: Hub<u8> = Hub::builder().lane_capacity(2).build().unwrap();
        let (ann, room) = (hub.scope(user(USER)), RoomId::new("Oslo").unwrap());
        let _phone = ann.connect().unwrap();
        ann.join(&room).unwrap();
        let oslo = hub.room(room);
        let _ = oslo.publish(&1);
        hub.shutdown();
        let refused = oslo.publish(&2).refused + hub.announcer().publish(&3).refused;
        tracing::info!(refused, "expected");
    });
    let refused = heard
        .iter()
        .filter(|h| h.message == "publish refused")
        .count();
    let expected = heard.iter().find(|h| h.message == "expected").unwrap();
    assert_eq!(expected.fields["refused"], refused.to_string());
    assert!(refused > 0, "the announcement finds a lane that is closed");
}

#[test]
fn r122_a_drain_reports_its_begin_its_phases_and_its_end_once() {
    let heard = hear(|| {
        let hub: Hub<u8> = Hub::new();
        let device = hub.scope(user(USER)).connect().unwrap();
        let drain = hub
            .drain(DrainPlan::within(Duration::from_secs(40)))
            .unwrap();
        assert!(
            hub.drain(DrainPlan::within(Duration::from_secs(40)))
                .is_err()
        );
        for second in 0..3 {
            drain.step(Duration::from_secs(second));
        }
        drop(device);
        for second in 3..6 {
            drain.step(Duration::from_secs(second));
        }
    });
    let heard: Vec<_> = heard
        .into_iter()
        .filter(|h| h.target == "laneway::hub")
        .collect();
    assert_eq!(heard[0].fields["connections"], "1");
    let phases = with(&heard, "phase");
    let phases: Vec<_> = phases.into_iter().map(|(_, phase)| phase).collect();
    assert_eq!(phases.last(), Some(&"drained"));
    assert_eq!(
        phases.iter().collect::<BTreeSet<_>>().len(),
        phases.len(),
        "each once"
    );
    let ends = messages(&heard)
        .into_iter()
        .filter(|m| *m == "shut down")
        .count();
    assert_eq!((ends, heard.len()), (1, phases.len() + 2));
}

#[test]
fn r122_a_contaminated_body_is_reported_without_what_it_holds() {
    let heard = hear(|| {
        let body = serde_json::json!({"to": [{"userId": "bob"}], "recipient_id": "eve"});
        for policy in [Contamination::Rewrite, Contamination::Reject] {
            let _ = Isolation::new(policy).check(&body, &user(USER));
        }
        let clean = serde_json::json!({"userId": USER});
        assert!(Isolation::default().check(&clean, &user(USER)).is_ok());
    });
    assert_eq!(messages(&heard), ["contaminated"; 2]);
    for event in &heard {
        assert_eq!(event.target, "laneway::protocol");
        assert_eq!(event.fields["fields"], "2");
        assert!(["userId", "recipient_id"].contains(&&*event.fields["first"]));
        assert!(!format!("{event:?}").contains("bob"));
    }
}

#[test]
fn r122_users_are_in_debug_events_only_and_payloads_nowhere() {
    let heard = hear(|| everything(&hub()));
    assert!(
        heard.iter().any(|h| h.level < Level::DEBUG),
        "the rule has something to hold for"
    );
    for event in &heard {
        let text = format!("{event:?}");
        assert!(!text.contains(SECRET), "{text}");
        let names_a_user = text.contains(USER) || text.contains("bob");
        assert!(!names_a_user || event.level == Level::DEBUG, "{text}");
    }
}

#[test]
fn r122_one_publish_in_n_is_reported_and_none_by_default() {
    let publish = |one_in| {
        move || {
            let mut builder = Hub::builder();
            if let Some(one_in) = one_in {
                builder = builder.sample_publishes(one_in);
            }
            let hub: Hub<u32> = builder.build().unwrap();
            let ann = hub.scope(user(USER));
            let mut devices = [ann.connect().unwrap(), ann.connect().unwrap()];
            for event in 0..1_000 {
                ann.publish(event).unwrap();
                for device in &mut devices {
                    let _ = device.try_recv();
                }
            }
            let alone = ann.to_connection(devices[0].id());
            for event in 0..1_000 {
                alone.publish(event).unwrap();
                for device in &mut devices {
                    while device.try_recv().is_ok() {}
                }
            }
        }
    };
    for (one_in, expected) in [
        (None, 0),
        (Some(0), 0),
        (Some(1), 1_000),
        (Some(10), 100),
        (Some(1_000), 1),
    ] {
        let heard = hear(publish(one_in));
        let sampled = with(&heard, "connections");
        for connections in ["2", "1"] {
            let count = sampled.iter().filter(|(_, c)| *c == connections).count();
            assert_eq!(count, expected, "one in {one_in:?} for {connections}");
        }
        let metrics = measure(publish(one_in));
        let fan_out = metrics.get(&of("laneway_publish_connections", None));
        let fan_out = fan_out.cloned().unwrap_or_default();
        assert_eq!(fan_out.len(), 2 * expected);
        assert_eq!(fan_out.iter().filter(|c| **c == 2.0).count(), expected);
    }
}

/// Panics at each event.
struct Broken(Arc<AtomicUsize>);

impl<S: Subscriber> Layer<S> for Broken {
    fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
        self.0.fetch_add(1, Ordering::Relaxed);
        panic!("a subscriber of the tests");
    }
}

#[test]
fn r122_a_subscriber_that_panics_ends_no_call_and_leaks_no_event() {
    let (hub, event) = (Hub::<Arc<()>>::new(), Arc::new(()));
    let calls = Arc::new(AtomicUsize::new(0));
    std::panic::set_hook(Box::new(|_| {}));
    tracing::subscriber::with_default(registry().with(Broken(Arc::clone(&calls))), || {
        let ann = hub.scope(user(USER));
        let devices = [ann.connect().unwrap(), ann.connect().unwrap()];
        for _ in 0..100 {
            ann.publish(Arc::clone(&event)).unwrap();
        }
        drop(devices);
        assert!(ann.publish(Arc::clone(&event)).is_err());
        conserved(101, hub.accepted(), &hub.stats(), []).unwrap();
        assert_eq!(hub.user_count(), 0);
        hub.shutdown();
    });
    drop(std::panic::take_hook());
    assert_eq!(calls.load(Ordering::Relaxed), 2 + 2 + 1 + 1);
    assert_eq!(Arc::strong_count(&event), 1, "all events are dropped");
}

#[test]
fn r123_each_metric_is_recorded_once_with_its_reason() {
    let metrics = measure(|| everything(&hub()));
    let one = |name, label| assert_eq!(metrics.get(&of(name, label)), Some(&vec![1.0]), "{name}");
    assert_eq!(metrics[&of("laneway_connects_total", None)], [3.0]);
    one(
        "laneway_connects_refused_total",
        Some(("reason", "too_many_connections")),
    );
    one(
        "laneway_connects_refused_total",
        Some(("reason", "foreign_position")),
    );
    one("laneway_resumes_total", Some(("result", "gap")));
    one("laneway_closes_total", Some(("reason", "disconnected")));
    assert_eq!(
        metrics[&of("laneway_closes_total", Some(("reason", "dropped")))],
        [2.0]
    );
    one("laneway_gaps_total", None);
    one("laneway_contaminations_total", None);
    one("laneway_users", None);
    one("laneway_connections", None);
    assert_eq!(metrics[&of("laneway_absent_users", None)], [0.0]);
    assert_eq!(
        metrics[&of("laneway_publishes_accepted_total", None)],
        [100.0]
    );
    one(
        "laneway_publishes_refused_total",
        Some(("reason", "no_connections")),
    );
    assert_eq!(
        metrics[&of("laneway_publish_connections", None)],
        [2.0; 100]
    );
    let missed = metrics[&of("laneway_gap_missed_events", None)][0];
    assert_eq!(metrics[&of("laneway_missed_events_total", None)], [missed]);
    let unread = &metrics[&of("laneway_close_unread_events", None)];
    assert_eq!(unread.len(), 3);
    assert!(
        unread.contains(&100.0),
        "the tab has read nothing: {unread:?}"
    );
}

#[test]
fn r123_totals_and_gauges_are_those_of_the_hub() {
    let hub: Hub<String> = Hub::builder()
        .lane_capacity(2)
        .retention(Some(Retention::events(2)))
        .build()
        .unwrap();
    let scopes: Vec<_> = (0..10)
        .map(|n| hub.scope(user(&format!("user {n}"))))
        .collect();
    let mut kept = Vec::new();
    let metrics = measure(|| {
        let devices: Vec<_> = scopes.iter().map(|s| s.connect().unwrap()).collect();
        for scope in &scopes {
            for _ in 0..5 {
                let _ = scope.try_publish(SECRET.into());
            }
        }
        for (n, device) in devices.into_iter().enumerate() {
            match n {
                // The device is counted once, though it has had two connections.
                0 => {
                    kept.push(scopes[n].resume(&device.position()).unwrap().0);
                    kept.push(device);
                }
                1..=3 => drop(device),
                _ => kept.push(device),
            }
        }
        for _ in 0..2 {
            hub.record_metrics(); // sets, and adds nothing
            hub.record_accepted();
        }
    });
    let stats = hub.stats();
    let value = |name, label| metrics[&of(name, label)][0] as u64;
    assert_eq!(value("laneway_users", None), stats.users as u64);
    assert_eq!(value("laneway_connections", None), stats.connections as u64);
    assert_eq!(
        value("laneway_absent_users", None),
        stats.absent_users as u64
    );
    assert_eq!(
        value("laneway_publishes_accepted_total", None),
        hub.accepted()
    );
    let full = Some(("reason", "full"));
    assert_eq!(
        value("laneway_publishes_refused_total", full),
        stats.refused_full
    );
    assert!(stats.refused_full > 0);
    assert_eq!(
        (stats.users, stats.connections, stats.absent_users),
        (7, 7, 3)
    );
}

/// The rows of the tables below this heading: the words of each cell.
fn rows(heading: &str) -> Vec<Vec<BTreeSet<String>>> {
    let page = include_str!("../src/docs/observability.md");
    let part = page
        .split("\n# ")
        .find(|part| part.starts_with(heading))
        .unwrap();
    let rows = part
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains('`'));
    let words = |cell: &str| cell.split('`').skip(1).step_by(2).map(Into::into).collect();
    rows.map(|row| row.trim_matches('|').split('|').map(words).collect())
        .collect()
}

#[test]
fn r123_the_documented_names_and_words_are_those_that_are_recorded() {
    let metrics = measure(|| everything(&hub()));
    let words: BTreeSet<_> = rows("Words")
        .into_iter()
        .flat_map(|row| row[1].clone())
        .collect();
    let mut recorded = BTreeMap::new();
    for (name, labels) in metrics.keys() {
        let keys: BTreeSet<_> = labels.iter().map(|(key, _)| key.clone()).collect();
        recorded.insert(BTreeSet::from([name.clone()]), keys);
        for (_, value) in labels {
            assert!(words.contains(value), "{value} is no word of the page");
        }
    }
    let documented: BTreeMap<_, _> = rows("Metrics")
        .into_iter()
        .map(|row| (row[0].clone(), row[2].clone()))
        .collect();
    assert_eq!(recorded, documented);
}

#[test]
fn r122_the_documented_events_and_fields_are_those_that_are_reported() {
    let heard = hear(|| everything(&hub()));
    let mut reported: BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)> = BTreeMap::new();
    for event in heard {
        let entry = reported.entry(event.message).or_default();
        entry.0.insert(event.target);
        entry.1.extend(event.fields.into_keys());
    }
    let mut documented = BTreeMap::new();
    for row in rows("Events") {
        let message = row[0].first().unwrap().clone();
        documented.insert(message, (row[1].clone(), row[3].clone()));
    }
    assert_eq!(reported, documented);
}
