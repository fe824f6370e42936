//! R079, R095: numbers and ids that a host makes up. Each is refused as a value, or saturates; none makes a call panic or
//! takes memory by itself.
#![cfg(not(any(laneway_loom, laneway_shuttle)))]

use std::time::Duration;

use laneway::{
    Activity, Builder, ConfigError, ConnectError, ConnectOptions, ConnectionStats, Hub, HubStats,
    Imbalance, LimitPolicy, Received, Retention, UserId, conserved,
};

const NUMBERS: [usize; 8] = [0, 1, 2, 3, 256, 1 << 16, 1 << 20, usize::MAX];
const TIMES: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_nanos(1),
    Duration::from_millis(1),
    Duration::from_secs(u64::MAX / 2),
    Duration::MAX,
];

fn ann(hub: &Hub<u8>) -> laneway::UserScope<u8> {
    hub.scope(UserId::new("ann").unwrap())
}

/// What every hub does, whatever its settings.
fn works(builder: Builder, allowed: fn(&ConfigError) -> bool) {
    let settings = format!("{builder:?}");
    let hub = match builder.build_weighing::<u8>(|_| usize::MAX) {
        Ok(hub) => hub,
        Err(error) => return assert!(allowed(&error), "{error} of {settings}"),
    };
    let ann = ann(&hub);
    for now in TIMES.into_iter().rev() {
        let mut device = ann.connect().unwrap();
        for _ in 0..3 {
            ann.publish(7).unwrap();
            let _ = ann.publish_critical(7);
        }
        hub.sweep(now);
        let mut got = Vec::new();
        let end = device.drain(usize::MAX, &mut got);
        let visited = device.visit(usize::MAX, |_, _| ());
        let _ = device.recv_timeout(Duration::ZERO);
        // A lane of few events loses critical ones, and then closes the connection.
        let is_told = !got.is_empty() || end.is_err();
        assert!(is_told, "{visited:?} of {settings}");
    }
    let _ = hub.stats();
    hub.dump(&mut String::new()).unwrap();
}

#[test]
fn r079_extreme_settings_of_a_router_are_refused_or_work() {
    for n in NUMBERS {
        works(Hub::builder().lane_capacity(n), |e| {
            matches!(e, ConfigError::LaneCapacity(_))
        });
        works(Hub::builder().max_connections_per_user(n), |e| {
            matches!(e, ConfigError::MaxConnectionsPerUser(_))
        });
        works(Hub::builder().shards(n), |e| {
            matches!(e, ConfigError::Shards(_))
        });
        works(Hub::builder().max_users(n), |e| {
            matches!(e, ConfigError::MaxUsers)
        });
        let policy = Hub::builder().limit_policy(LimitPolicy::EvictOldest);
        works(policy.retention(Some(Retention::events(n))), |e| {
            matches!(e, ConfigError::RetainedEvents(_))
        });
        let retention = Retention::default().bytes(n).max_absent_users(n);
        works(Hub::builder().retention(Some(retention)), |e| {
            matches!(e, ConfigError::RetainedBytes)
        });
    }
    for time in TIMES {
        let idle = Hub::builder().idle_timeout(Some(time));
        works(idle.activity(Activity::Touch), |e| {
            matches!(e, ConfigError::IdleTimeout)
        });
        let retention = Retention::default().grace(time).age(time);
        works(Hub::builder().retention(Some(retention)), |e| {
            matches!(e, ConfigError::RetainedAge)
        });
    }
}

#[test]
fn r079_extreme_arguments_of_calls_are_refused_or_work() {
    let hub = Hub::new();
    let ann = ann(&hub);
    for n in NUMBERS {
        let options = ConnectOptions {
            lane_capacity: Some(n),
            ..ConnectOptions::default()
        };
        match ann.connect_with(options) {
            Ok(device) => drop(device),
            Err(error) => assert_eq!(error, ConnectError::LaneCapacity(n)),
        }
        if let Ok(lifecycle) = hub.lifecycle(n) {
            drop(ann.connect().unwrap());
            assert!(lifecycle.next_timeout(Duration::MAX).is_ok());
        }
    }
    let mut device = ann.connect().unwrap();
    for time in TIMES {
        ann.publish_timeout(7, time).unwrap();
        let got = device.recv_timeout(time);
        assert!(matches!(got, Ok(Received::Event(d)) if d.event == 7));
    }
    // A wait that is as long as can be ends with what it waits for.
    let full = Hub::builder().lane_capacity(2).build::<u8>().unwrap();
    let ann = full.scope(UserId::new("ann").unwrap());
    let mut device = ann.connect().unwrap();
    std::thread::scope(|s| {
        let publisher = s.spawn(|| (0..9).all(|n| ann.publish_timeout(n, Duration::MAX).is_ok()));
        for _ in 0..9 {
            device.recv_timeout(Duration::MAX).unwrap();
        }
        assert!(publisher.join().unwrap());
    });
}

#[test]
fn r095_ids_of_connections_that_a_host_makes_up_reach_no_connection() {
    for retention in [None, Some(Retention::events(4))] {
        let hub = Hub::builder().retention(retention).build().unwrap();
        let ann = ann(&hub);
        let mut device = ann.connect().unwrap();
        for n in [0, 1 << 48, 1 << 63, u64::MAX] {
            let id = n.to_string().parse().unwrap();
            assert!(
                ann.to_connection(id)
                    .publish(7)
                    .unwrap_err()
                    .is_no_connections()
            );
            assert!(!ann.disconnect(id, u16::MAX));
            ann.to_others(id).publish(7).unwrap();
            assert!(matches!(device.try_recv(), Ok(Received::Event(_))));
        }
        let (_device, resumed) = ann.resume(&device.position()).unwrap();
        let is_reset = matches!(resumed, laneway::Resumed::Reset);
        assert_eq!(is_reset, retention.is_none());
    }
}

#[test]
fn r095_events_of_any_weight_are_kept_or_dropped() {
    for weigh in [|_: &u8| 0, |_: &u8| 1, |_: &u8| usize::MAX] {
        for bytes in [1, 1 << 20, usize::MAX] {
            let retention = Retention::events(4).bytes(bytes);
            let builder = Hub::builder().retention(Some(retention));
            let hub = builder.build_weighing(weigh).unwrap();
            let ann = ann(&hub);
            let mut device = ann.connect().unwrap();
            for _ in 0..9 {
                ann.publish(7).unwrap();
                assert!(matches!(device.try_recv(), Ok(Received::Event(_))));
            }
        }
    }
}

#[test]
fn r079_the_laws_are_checked_of_figures_that_a_host_made_up() {
    let mut connection = ConnectionStats::default();
    connection.delivered = u64::MAX;
    connection.missed = u64::MAX;
    connection.stepped_over = u64::MAX;
    connection.unread = u64::MAX;
    // Four times the most is none of these.
    for numbers in [0, u64::MAX.wrapping_mul(4), u64::MAX] {
        connection.numbers = numbers;
        let told = conserved(0, 0, &HubStats::default(), [connection]);
        assert_eq!(told, Err(Imbalance::Connection(connection)));
    }
    let mut hub = HubStats::default();
    hub.refused_full = u64::MAX;
    hub.refused_closed = u64::MAX;
    hub.refused_no_connections = u64::MAX;
    for offered in [0, u64::MAX.wrapping_mul(4), u64::MAX] {
        let told = conserved(offered, u64::MAX, &hub, []);
        assert!(matches!(told, Err(Imbalance::Hub { .. })));
        assert!(!told.unwrap_err().to_string().is_empty());
    }
    // And they can hold at the very end.
    let hub = HubStats::default();
    assert_eq!(conserved(u64::MAX, u64::MAX, &hub, []), Ok(()));
}

#[cfg(feature = "protocol")]
mod protocol {
    use std::sync::Arc;

    use laneway::protocol::{
        AgentRuns, ConfirmationLimits, Confirmations, InboundQueue, MemoryQuality, Message,
        MessageKind, MessageLimits, MessageRouter, OpenRunLimits, Quality, RepeatLimits, RunId,
        RunLimits, RunRecord, RunRegistry, UserContext,
    };
    use laneway::{Hub, ThreadId, UserId};
    use serde_json::{Map, Value, json};

    use super::{Duration, NUMBERS, TIMES};

    fn user() -> UserId {
        UserId::new("ann").unwrap()
    }

    fn context() -> UserContext {
        let thread = ThreadId::new("t-7").unwrap();
        let run = RunId::new("r-7").unwrap();
        UserContext::builder(user(), thread, run).build().unwrap()
    }

    #[test]
    fn r079_extreme_limits_of_ledgers_are_no_trouble() {
        let (thread, run) = (ThreadId::new("t-7").unwrap(), RunId::new("r-7").unwrap());
        for total in NUMBERS {
            for share in NUMBERS {
                for lifetime in TIMES {
                    let runs = RunRegistry::new(RunLimits {
                        total,
                        fair_share: share,
                        lifetime,
                    });
                    let registered = runs.register(&user(), &run, &thread, lifetime).is_ok();
                    assert_eq!(registered, total > 0);
                    runs.sweep(Duration::MAX);
                }
                let per_user = share;
                let events = Confirmations::new(ConfirmationLimits { total, per_user });
                let expected = events.expect(&user(), "e", &MessageKind::Chat, Duration::MAX);
                assert_eq!(expected.is_ok(), total > 0 && share > 0);
                let _ = events.sweep(Duration::ZERO);

                let engine = Hub::new();
                let open = AgentRuns::new(Arc::default(), OpenRunLimits { total, per_user });
                let scope = engine.scope(user());
                let _phone = scope.connect().unwrap();
                let started = open.start(scope, context(), "planner", Duration::MAX);
                assert_eq!(started.is_ok(), total > 0 && share > 0);
            }
        }
    }

    #[test]
    fn r079_extreme_limits_of_messages_are_no_trouble() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let deep = format!(r#"{{"type":"chat","x":{deep}}}"#);
        for bytes in NUMBERS {
            for depth in NUMBERS {
                let limits = MessageLimits { bytes, depth };
                for text in [&deep, r#"{"type":"ping"}"#] {
                    let _ = Message::parse_within(text.as_bytes(), limits);
                }
            }
        }
        for n in NUMBERS {
            let engine = Hub::new();
            let scope = engine.scope(user());
            let mut phone = scope.connect().unwrap();
            let repeats = RepeatLimits {
                users: n,
                messages: n,
                answer_bytes: n,
            };
            for time in TIMES {
                let router = MessageRouter::new(Arc::default(), time)
                    .repeats(repeats)
                    .patience(time);
                let ask = br#"{"type":"ping","message_id":"7"}"#;
                for now in TIMES {
                    let _ = router.route_json(&scope, Some(phone.id()), ask, now);
                    let _ = router.status(now);
                    assert!(phone.try_recv().is_ok(), "an answer");
                }
                let queue = InboundQueue::new(n, n);
                let inlet = queue.inlet(scope.clone(), None);
                let taken = queue.submit(&router, &inlet, ask.to_vec(), time);
                assert_eq!(taken.is_ok(), n > 0);
                if taken.is_ok() {
                    assert!(queue.work(&router, Duration::MAX, || time).is_some());
                }
                assert!(phone.try_recv().is_ok(), "an answer");
            }
            let quality = Quality::with_room(Arc::default(), Arc::new(MemoryQuality::default()), n);
            assert_eq!(quality.subscribe(&scope).is_ok(), n > 0);
            let reach = quality.alert(Map::new(), Duration::MAX);
            assert_eq!(reach.subscribers, usize::from(n > 0));
        }
    }

    #[test]
    fn r095_a_queue_without_room_refuses_each_message_as_busy() {
        let engine = Hub::new();
        let scope = engine.scope(user());
        let mut phone = scope.connect().unwrap();
        let router = MessageRouter::new(Arc::default(), Duration::ZERO);
        for (capacity, share) in [(0, 0), (0, 1), (1, 0), (usize::MAX, 0), (0, usize::MAX)] {
            let queue = InboundQueue::new(capacity, share);
            let inlet = queue.inlet(scope.clone(), Some(phone.id()));
            let ping = br#"{"type":"ping"}"#.to_vec();
            let submitted = queue.submit(&router, &inlet, ping, Duration::ZERO);
            assert_eq!(submitted, Err(laneway::protocol::Busy));
            assert!(phone.try_recv().is_ok(), "the client is told");
            let worked = queue.work(&router, Duration::ZERO, || Duration::ZERO);
            assert_eq!((worked, queue.waiting()), (None, 0));
        }
    }

    #[test]
    fn r079_extreme_figures_of_runs_are_told_and_saturate() {
        let engine = Hub::new();
        let scope = engine.scope(user());
        let mut phone = scope.connect().unwrap();
        let runs = AgentRuns::new(Arc::default(), OpenRunLimits::default());
        for time in TIMES {
            let (mut run, _) = runs
                .start(scope.clone(), context(), "planner", time)
                .unwrap();
            let numbers = json!([u64::MAX, i64::MIN, f64::MAX, f64::NAN, f64::INFINITY]);
            let _ = run.tool_executing("t", numbers.clone(), time).unwrap();
            let _ = run.tool_completed("t", numbers, time, true, time).unwrap();
            let _ = run.complete("completed", "", time, time).unwrap();
        }
        while let Ok(laneway::Received::Event(got)) = phone.try_recv() {
            let _: Value = serde_json::from_str(got.event.json()).unwrap();
        }
        let quality = MemoryQuality::default();
        for duration in TIMES {
            for characters in NUMBERS {
                for at in TIMES {
                    let success = true;
                    quality.record(
                        &user(),
                        RunRecord {
                            success,
                            duration,
                            characters,
                            at,
                        },
                    );
                }
            }
        }
        let router = MessageRouter::new(Arc::default(), Duration::ZERO);
        let quality = Quality::new(Arc::default(), Arc::new(quality));
        quality.register(&router).unwrap();
        for hours in [1, 24, 8_760] {
            for now in TIMES {
                let ask = json!({"type": "get_quality_metrics", "period_hours": hours});
                let ask = ask.to_string();
                let _ = router.route_json(&scope, Some(phone.id()), ask.as_bytes(), now);
                let Ok(laneway::Received::Event(got)) = phone.try_recv() else {
                    panic!("no answer");
                };
                let answer: Value = serde_json::from_str(got.event.json()).unwrap();
                assert!(answer["payload"]["mean_duration_ms"].is_number());
                assert!(answer["payload"]["mean_characters"].is_number());
            }
        }
    }
}
