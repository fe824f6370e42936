//! R096: who is online, and when sweeps saw a connection come and be active.
#![cfg(not(any(laneway_loom, laneway_shuttle)))]

use std::time::Duration;

use laneway::{Activity, ConnectionInfo, Hub, Retention, UserId, UserScope};

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn only(ann: &UserScope<u8>) -> ConnectionInfo {
    let list = ann.connections();
    assert_eq!(list.len(), 1);
    list[0].clone()
}

fn times(ann: &UserScope<u8>) -> (Option<u64>, Option<u64>) {
    let info = only(ann);
    let whole = |time: Duration| time.as_secs();
    (info.connected_at.map(whole), info.active_at.map(whole))
}

#[test]
fn r096_a_connection_says_when_sweeps_saw_it_first_and_active_last() {
    let idle = Some(seconds(3_600));
    for timeout in [None, idle] {
        let hub = Hub::builder().idle_timeout(timeout).build::<u8>().unwrap();
        let ann = hub.scope(UserId::new("ann").unwrap());
        let mut phone = ann.connect().unwrap();
        assert_eq!(times(&ann), (None, None), "no sweep has seen it");
        hub.sweep(Duration::from_millis(100_900));
        assert_eq!(times(&ann), (Some(100), Some(100)));
        hub.sweep(seconds(160));
        assert_eq!(times(&ann), (Some(100), Some(100)), "no activity");
        ann.publish(7).unwrap();
        phone.try_recv().unwrap();
        hub.sweep(seconds(220));
        assert_eq!(times(&ann), (Some(100), Some(220)), "it has read");
        phone.touch();
        hub.sweep(seconds(280));
        assert_eq!(times(&ann), (Some(100), Some(280)), "it was touched");
        hub.sweep(seconds(340));
        assert_eq!(times(&ann), (Some(100), Some(280)));
    }
}

#[test]
fn r096_reading_is_no_activity_where_only_a_touch_is() {
    let hub = Hub::builder().activity(Activity::Touch).build().unwrap();
    let ann = hub.scope(UserId::new("ann").unwrap());
    let mut phone = ann.connect().unwrap();
    hub.sweep(seconds(1));
    ann.publish(7).unwrap();
    phone.try_recv().unwrap();
    hub.sweep(seconds(2));
    assert_eq!(times(&ann), (Some(1), Some(1)));
    phone.touch();
    hub.sweep(seconds(3));
    assert_eq!(times(&ann), (Some(1), Some(3)));
}

#[test]
fn r096_any_time_of_a_host_is_told_or_cut() {
    for (now, told) in [
        (Duration::ZERO, 0),
        (seconds(1_800_000_000), 1_800_000_000),
        (Duration::MAX, u64::from(u32::MAX) - 1),
    ] {
        let hub: Hub<u8> = Hub::new();
        let ann = hub.scope(UserId::new("ann").unwrap());
        let _phone = ann.connect().unwrap();
        hub.sweep(now);
        assert_eq!(times(&ann), (Some(told), Some(told)));
    }
}

#[test]
fn r096_a_user_is_online_while_there_is_a_connection() {
    let retention = Some(Retention::events(8));
    for retention in [None, retention] {
        let hub = Hub::builder().retention(retention).build::<u8>().unwrap();
        let (ann, bob) = (UserId::new("ann").unwrap(), UserId::new("bob").unwrap());
        let scope = hub.scope(ann.clone());
        assert!(!hub.is_online(&ann) && !scope.is_online());
        let (phone, laptop) = (scope.connect().unwrap(), scope.connect().unwrap());
        drop(phone);
        assert!(hub.is_online(&ann) && scope.is_online());
        assert!(!hub.is_online(&bob));
        drop(laptop);
        // A lane that is kept for a user who is away is no connection.
        assert!(!hub.is_online(&ann) && !scope.is_online());
    }
}
