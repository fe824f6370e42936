//! R083: the numbers of a user's sessions, which never go back.
#![cfg(not(any(laneway_loom, laneway_shuttle)))]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use laneway::{Change, Hub, Lifecycle, Retention, UserId, UserScope};

/// More than 20 bits count.
const RECONNECTS: usize = (1 << 20) + 10;

fn retaining(grace: Duration) -> Hub<u8> {
    let builder = Hub::builder().shards(1).lane_capacity(2);
    let retention = Retention::events(2).grace(grace);
    builder.retention(Some(retention)).build().unwrap()
}

/// The session of one connection that comes and goes, and is the only one.
fn session(lifecycle: &Lifecycle, scope: &UserScope<u8>) -> u64 {
    drop(scope.connect().unwrap());
    let notices: Vec<_> = std::iter::from_fn(|| lifecycle.try_next().ok()).collect();
    let numbers: Vec<_> = notices.iter().map(|notice| notice.number).collect();
    assert_eq!(numbers, [0, 1, 2, 3]);
    assert_eq!(notices[0].change, Change::Online);
    assert_eq!(notices[3].change, Change::Offline);
    let session = notices[0].session;
    assert!(notices.iter().all(|notice| notice.session == session));
    session
}

#[test]
fn r083_sessions_never_go_back_after_a_million_reconnects_to_one_lane() {
    let hub = retaining(Duration::ZERO);
    let ann = hub.scope(UserId::new("ann").unwrap());
    let mut last = session(&hub.lifecycle(4).unwrap(), &ann);
    let mut check = |when: usize| {
        let next = session(&hub.lifecycle(4).unwrap(), &ann);
        assert!(next > last, "{next} after {last}, after {when} reconnects");
        last = next;
    };
    check(0);
    for n in 1..RECONNECTS {
        drop(ann.connect().unwrap());
        if n % (1 << 16) < 2 {
            check(n);
        }
    }
    check(RECONNECTS);
    // The lane ends, and a lane that is made anew goes on.
    hub.sweep(Duration::from_secs(1));
    hub.sweep(Duration::from_secs(2));
    assert_eq!(hub.stats().absent_users, 0);
    check(RECONNECTS);
}

#[test]
fn r083_sessions_never_go_back_when_lanes_are_made_anew() {
    for retention in [false, true] {
        let hub = if retention {
            retaining(Duration::ZERO)
        } else {
            Hub::builder().shards(1).build().unwrap()
        };
        let lifecycle = hub.lifecycle(16).unwrap();
        let scopes = ["ann", "bob"].map(|name| hub.scope(UserId::new(name).unwrap()));
        let mut last = [0; 2];
        for n in 0..200 {
            for (scope, last) in scopes.iter().zip(&mut last) {
                let next = session(&lifecycle, scope);
                assert!(next > *last, "{next} after {last}");
                *last = next;
            }
            if n % 3 == 0 {
                hub.sweep(Duration::from_secs(n));
            }
        }
    }
}

/// Two devices come and go while sweeps end the lane. No number of a session is given twice or left
/// out, and each session ends.
#[test]
fn r083_sessions_never_go_back_while_sweeps_end_the_lane() {
    const CONNECTS: usize = 20_000;
    let hub = retaining(Duration::ZERO);
    let lifecycle = hub.lifecycle(8 * CONNECTS).unwrap();
    let ann = hub.scope(UserId::new("ann").unwrap());
    let stop = AtomicBool::new(false);
    thread::scope(|s| {
        let sweeper = s.spawn(|| {
            for n in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                hub.sweep(Duration::from_millis(n));
            }
        });
        let devices = [(); 2]
            .map(|()| s.spawn(|| (0..CONNECTS / 2).for_each(|_| drop(ann.connect().unwrap()))));
        for device in devices {
            device.join().unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        sweeper.join().unwrap();
    });
    assert_eq!(lifecycle.lost(), 0);
    let mut sessions = BTreeMap::<u64, Vec<u64>>::new();
    let mut connects = 0;
    while let Ok(notice) = lifecycle.try_next() {
        let numbers = sessions.entry(notice.session).or_default();
        numbers.push(notice.number);
        connects += usize::from(matches!(notice.change, Change::Connected { .. }));
    }
    for (session, numbers) in &mut sessions {
        numbers.sort_unstable();
        let mut in_order = numbers.iter().zip(0..);
        assert!(in_order.all(|(n, at)| *n == at), "{session}: {numbers:?}");
        assert_eq!(numbers.len() % 2, 0, "{session} begins and ends");
    }
    assert_eq!(connects, CONNECTS);
}
