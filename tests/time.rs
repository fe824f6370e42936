//! Time, in every part of the engine that takes `now`: a late sweep, a clock that jumps, a peer that is gone
//! while the host reads for it.
#![cfg(not(any(laneway_loom, laneway_shuttle)))]

use std::time::Duration;

use laneway::{Activity, Builder, Connection, Hub, Received, Resumed, Retention, UserId};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
const NOW: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
/// How long each wait of these tests is.
const WAIT: Duration = Duration::from_secs(40);

fn ann(builder: Builder) -> (Hub<u8>, laneway::UserScope<u8>) {
    let hub = builder.build().unwrap();
    let ann = hub.scope(UserId::new("ann").unwrap());
    (hub, ann)
}

type IsThere = Box<dyn Fn(&Hub<u8>) -> bool>;

/// One thing that sweeps let grow old.
struct Aging {
    hub: Hub<u8>,
    is_there: IsThere,
}

/// A connection that shows no activity.
fn idle() -> Aging {
    let (hub, ann) = ann(Hub::builder().idle_timeout(Some(WAIT)));
    let device = ann.connect().unwrap();
    let is_there = Box::new(move |_: &Hub<u8>| ann.connection_count() == 1 && device.unread() == 0);
    Aging { hub, is_there }
}

/// The lane of a user without a connection.
fn absent() -> Aging {
    let retention = Retention::events(8).grace(WAIT);
    let (hub, ann) = ann(Hub::builder().retention(Some(retention)));
    drop(ann.connect().unwrap());
    let is_there = Box::new(|hub: &Hub<u8>| hub.stats().absent_users == 1);
    Aging { hub, is_there }
}

/// An event that is kept.
fn kept() -> Aging {
    let retention = Retention::events(8).grace(Duration::MAX).age(WAIT);
    let (hub, ann) = ann(Hub::builder().retention(Some(retention)));
    let position = ann.connect().unwrap().position();
    ann.publish(7).unwrap();
    let is_there = Box::new(move |_: &Hub<u8>| {
        let (_device, resumed) = ann.resume(&position).unwrap();
        matches!(resumed, Resumed::Complete { from: 0, to: 1, .. })
    });
    Aging { hub, is_there }
}

const ALL: [fn() -> Aging; 3] = [idle, absent, kept];

impl Aging {
    fn sweep(&self, now: Duration) {
        self.hub.sweep(now);
    }
    fn is_there(&self) -> bool {
        (self.is_there)(&self.hub)
    }
    /// Sweeps ten times in the time that it lasts, from `from` on. Returns after how many sweeps it was
    /// gone.
    fn gone_after(&self, from: Duration) -> Option<u32> {
        (1..=100).find(|n| {
            self.sweep(from + WAIT / 10 * *n);
            !self.is_there()
        })
    }
}

#[test]
fn r073_swept_in_time_what_waits_in_the_engine_lasts_as_long_as_is_said() {
    for begin in ALL {
        let aging = begin();
        aging.sweep(NOW);
        let gone = aging.gone_after(NOW);
        // An event may last half as long again.
        assert!(gone.is_some_and(|n| (10..=16).contains(&n)), "{gone:?}");
    }
}

#[test]
fn r073_one_late_sweep_closes_no_connection_and_ends_no_lane() {
    for late in [WAIT * 2, DAY, YEAR, Duration::MAX.saturating_sub(NOW)] {
        for begin in ALL {
            for swept in [false, true] {
                let aging = begin();
                if swept {
                    aging.sweep(NOW);
                }
                aging.sweep(NOW + late);
                assert!(aging.is_there(), "one late sweep ends nothing");
                // Nor does a second one that comes right behind it.
                aging.sweep((NOW + late).saturating_add(SECOND));
                assert!(aging.is_there());
            }
        }
    }
}

#[test]
fn r073_a_clock_that_jumps_makes_nothing_in_the_engine_immortal_and_ends_nothing_at_once() {
    for jump in [WAIT * 2, DAY, YEAR, NOW] {
        for away in [NOW + jump, NOW.saturating_sub(jump)] {
            for begin in ALL {
                // The clock is wrong at the first sweep, or at the second.
                for swept in [false, true] {
                    let aging = begin();
                    if swept {
                        aging.sweep(NOW);
                    }
                    aging.sweep(away);
                    assert!(aging.is_there(), "{jump:?}");
                    let gone = aging.gone_after(NOW);
                    let in_time = gone.is_some_and(|n| (5..=17).contains(&n));
                    assert!(in_time, "{jump:?}, {swept}: {gone:?}");
                }
                // It jumps ahead and back for ever: each jump is a step of a quarter at most.
                let aging = begin();
                for n in 0..4 {
                    aging.sweep(if n % 2 == 0 { NOW } else { away });
                    assert!(aging.is_there());
                }
            }
        }
    }
}

#[test]
fn r073_extreme_waits_and_times_are_no_trouble_to_the_engine() {
    let waits = [
        Duration::from_nanos(1),
        Duration::from_millis(1),
        YEAR,
        Duration::MAX,
    ];
    for wait in waits {
        let builder = Hub::builder().idle_timeout(Some(wait));
        let mut retention = Retention::events(8).grace(wait);
        retention.age = Some(wait).filter(|age| age.as_millis() > 0);
        let (hub, ann) = ann(builder.retention(Some(retention)));
        let mut device = ann.connect().unwrap();
        for now in [Duration::ZERO, Duration::MAX, NOW, Duration::MAX, NOW] {
            ann.publish(7).unwrap();
            device.touch();
            hub.sweep(now);
            assert!(device.try_recv().is_ok());
        }
        assert_eq!(ann.connection_count(), 1);
    }
}

/// Sweeps for ten times the idle timeout; returns how many connections were closed.
fn closed(hub: &Hub<u8>, mut meanwhile: impl FnMut()) -> usize {
    let sweeps = 0..40;
    sweeps
        .map(|n| {
            meanwhile();
            hub.sweep(NOW + n * WAIT / 4)
        })
        .sum()
}

fn read(device: &mut Connection<u8>) {
    let read = device.try_recv();
    assert!(read.is_err() || matches!(read, Ok(Received::Event(_))));
}

#[test]
fn r073_what_counts_as_activity_is_a_setting() {
    let builder = || Hub::builder().idle_timeout(Some(WAIT));
    for (activity, reads, touches, closes) in [
        (Activity::ReadOrTouch, true, false, 0),
        (Activity::ReadOrTouch, false, true, 0),
        (Activity::ReadOrTouch, false, false, 1),
        // A writer that reads for a peer that is gone does not keep it.
        (Activity::Touch, true, false, 1),
        (Activity::Touch, false, true, 0),
        (Activity::Touch, true, true, 0),
        (Activity::Touch, false, false, 1),
    ] {
        let (hub, ann) = ann(builder().activity(activity));
        let mut device = ann.connect().unwrap();
        let ended = closed(&hub, || {
            let _ = ann.publish(7);
            if reads {
                read(&mut device);
            }
            if touches {
                device.touch();
            }
        });
        assert_eq!(ended, closes, "{activity:?}, {reads}, {touches}");
    }
    // A device that reads and finds nothing shows no activity.
    let (hub, ann) = ann(builder());
    let mut device = ann.connect().unwrap();
    assert_eq!(closed(&hub, || read(&mut device)), 1);
}

#[test]
fn r073_reading_a_replay_is_activity_where_reading_is() {
    for (activity, closes) in [(Activity::ReadOrTouch, 0), (Activity::Touch, 1)] {
        let builder = Hub::builder().idle_timeout(Some(WAIT));
        let retention = Retention::events(64);
        let (hub, ann) = ann(builder.activity(activity).retention(Some(retention)));
        let position = ann.connect().unwrap().position();
        for n in 0..64 {
            ann.publish(n).unwrap();
        }
        let (mut device, _) = ann.resume(&position).unwrap();
        let ended = closed(&hub, || read(&mut device));
        assert_eq!(ended, closes, "{activity:?}");
    }
}
