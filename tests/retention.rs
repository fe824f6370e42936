//! Lanes that keep what was read: positions, resuming, recovering, grace and limits.
#![cfg(not(any(laneway_loom, laneway_shuttle)))]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use laneway::{
    Change, CloseReason, ConfigError, ConnectError, ConnectOptions, Connection, Hub,
    InvalidPosition, Origin, Position, PublishError, Received, ResumeError, Resumed, Retention,
    ThreadId, TryRecvError, UserId, UserScope, conserved,
};

#[path = "common/random.rs"]
mod random;

fn user(name: &str) -> UserId {
    UserId::new(name).expect("valid")
}

fn keeping<E: Send + Sync + 'static>(retention: Retention) -> Hub<E> {
    let builder = Hub::builder().lane_capacity(4).shards(16);
    builder.retention(Some(retention)).build().expect("valid")
}

/// A hub that keeps eight events, and ann's scope.
fn eight<E: Send + Sync + 'static>() -> (Hub<E>, UserScope<E>) {
    let hub = keeping(Retention::events(8));
    let ann = hub.scope(user("ann"));
    (hub, ann)
}

/// Everything there is: events with their origin, and how many numbers were missed.
fn all<E: Clone + Send + Sync + 'static>(
    connection: &mut Connection<E>,
) -> (Vec<(E, Origin)>, u64) {
    let (mut events, mut lost) = (Vec::new(), 0);
    loop {
        match connection.try_recv() {
            Ok(Received::Event(delivered)) => events.push((delivered.event, delivered.origin)),
            Ok(Received::Gap { missed, .. }) => lost += missed,
            Ok(_) => unreachable!("no other kind"),
            Err(_) => return (events, lost),
        }
    }
}

fn live<E: Copy>(events: &[E]) -> Vec<(E, Origin)> {
    events.iter().map(|&e| (e, Origin::Live)).collect()
}
fn replayed<E: Copy>(events: &[E]) -> Vec<(E, Origin)> {
    events.iter().map(|&e| (e, Origin::Replayed)).collect()
}
fn recovered<E: Copy>(events: &[E]) -> Vec<(E, Origin)> {
    events.iter().map(|&e| (e, Origin::Recovered)).collect()
}

fn is_complete(resumed: Resumed, numbers: (u64, u64)) -> bool {
    matches!(resumed, Resumed::Complete { from, to, .. } if (from, to) == numbers)
}
fn is_gap(resumed: Resumed, expected: (u64, u64)) -> bool {
    matches!(resumed, Resumed::Gap { missed, oldest, .. } if (missed, oldest) == expected)
}

#[test]
fn r053_a_connection_goes_on_where_another_stopped() {
    let (hub, ann) = eight();
    let mut phone = ann.connect().unwrap();
    for n in 0..3 {
        ann.publish(n).unwrap();
    }
    assert!(matches!(phone.try_recv(), Ok(Received::Event(d)) if d.event == 0));
    let position = phone.position();
    drop(phone);
    let delivery = ann.publish(3).unwrap();
    assert_eq!((delivery.connections, delivery.kept), (0, true));

    let (mut phone, resumed) = ann.resume(&position).unwrap();
    assert!(is_complete(resumed, (1, 4)));
    ann.publish(4).unwrap();
    let expected = [replayed(&[1, 2, 3]), live(&[4])].concat();
    assert_eq!(all(&mut phone), (expected, 0));
    let stats = phone.stats();
    assert_eq!((stats.numbers, stats.delivered, stats.replayed), (1, 1, 3));
    conserved(5, hub.accepted(), &hub.stats(), [stats]).unwrap();
}

#[test]
fn without_retention_nothing_is_kept_and_a_position_resets() {
    let hub: Hub<u8> = Hub::new();
    let ann = hub.scope(user("ann"));
    let phone = ann.connect().unwrap();
    assert!(!ann.publish(1).unwrap().kept);
    let position = phone.position();
    let (mut tab, resumed) = ann.resume(&position).unwrap();
    assert_eq!(resumed, Resumed::Reset);
    assert_eq!(all(&mut tab), (vec![], 0));
    assert_eq!(hub.stats().stale_positions, 1);
    drop((phone, tab));
    assert!(ann.publish(2).unwrap_err().is_no_connections());
    assert!(ann.publish_critical(3).unwrap_err().is_no_connections());
    let mut phone = ann.connect().unwrap();
    let recovered = phone.recover();
    assert_eq!((recovered.events, recovered.complete), (0, true));
}

#[test]
fn what_was_overwritten_is_told_and_the_rest_is_whole() {
    let (_hub, ann) = eight();
    let phone = ann.connect().unwrap();
    let position = phone.position();
    drop(phone);
    for n in 0..20 {
        ann.publish(n).unwrap();
    }
    let (mut phone, resumed) = ann.resume(&position).unwrap();
    assert!(is_gap(resumed, (12, 12)));
    let kept: Vec<_> = (12..20).collect();
    assert_eq!(all(&mut phone), (replayed(&kept), 0));
}

#[test]
fn a_replay_is_not_overwritten_by_what_comes_after() {
    let (_hub, ann) = eight();
    let phone = ann.connect().unwrap();
    let position = phone.position();
    for n in 0..4 {
        ann.publish(n).unwrap();
    }
    let (mut tab, resumed) = ann.resume(&position).unwrap();
    assert!(is_complete(resumed, (0, 4)));
    for n in 4..24 {
        ann.publish(n).unwrap();
    }
    let kept: Vec<_> = (16..24).collect();
    let expected = [replayed(&[0, 1, 2, 3]), live(&kept)].concat();
    assert_eq!(all(&mut tab), (expected, 12));
}

#[test]
fn a_position_in_the_middle_of_a_replay_goes_on_there() {
    let (_hub, ann) = eight();
    let phone = ann.connect().unwrap();
    let id = phone.id();
    let position = phone.position();
    ann.publish(0).unwrap();
    ann.to_connection(id).publish(1).unwrap();
    ann.publish(2).unwrap();
    drop(phone);
    let (mut phone, _) = ann.resume(&position).unwrap();
    ann.to_connection(phone.id()).publish(3).unwrap();
    assert!(matches!(phone.try_recv(), Ok(Received::Event(d)) if d.event == 0));
    let position = phone.position();
    drop(phone);
    // The replay has the events that were addressed to the device, before and after it resumed.
    let (mut phone, resumed) = ann.resume(&position).unwrap();
    assert!(is_complete(resumed, (1, 4)));
    ann.to_connection(phone.id()).publish(4).unwrap();
    let position = phone.position();
    assert!(matches!(phone.try_recv(), Ok(Received::Event(d)) if d.event == 1));
    // The position is from before it was read, and the device is the same each time.
    let (mut again, resumed) = ann.resume(&position).unwrap();
    assert!(is_complete(resumed, (1, 5)), "{resumed:?}");
    assert_eq!(all(&mut again), (replayed(&[1, 2, 3, 4]), 0));
    let reason = CloseReason::Replaced;
    assert!(matches!(phone.try_recv(), Err(TryRecvError::Closed(c)) if c.reason == reason));
}

#[test]
fn what_was_for_another_connection_is_not_replayed() {
    let (_hub, ann) = eight();
    let (phone, tab) = (ann.connect().unwrap(), ann.connect().unwrap());
    let positions = [phone.position(), tab.position()];
    ann.to_connection(phone.id()).publish(1).unwrap();
    ann.to_others(phone.id()).publish(2).unwrap();
    ann.publish(3).unwrap();
    let resume = |position| {
        let (mut connection, resumed) = ann.resume(position).unwrap();
        assert!(is_complete(resumed, (0, 3)));
        all(&mut connection)
    };
    assert_eq!(resume(&positions[0]), (replayed(&[1, 3]), 0));
    assert_eq!(resume(&positions[1]), (replayed(&[2, 3]), 0));
}

#[test]
fn what_was_for_a_thread_or_for_the_others_is_replayed_to_a_device_that_was_away() {
    let (_hub, ann) = eight();
    let threads = ["Oslo", "Rome"].map(|name| ThreadId::new(name).unwrap());
    let attached = |thread: &ThreadId| ConnectOptions {
        threads: vec![thread.clone()],
        ..ConnectOptions::default()
    };
    let phone = ann.connect_with(attached(&threads[0])).unwrap();
    let position = phone.position();
    drop(phone);
    let tabs = threads
        .each_ref()
        .map(|thread| ann.connect_with(attached(thread)).unwrap());
    ann.to_thread(&threads[0]).publish(0).unwrap();
    ann.to_thread(&threads[1]).publish(1).unwrap();
    ann.to_others(tabs[0].id()).publish(2).unwrap();
    ann.to_connection(tabs[0].id()).publish(3).unwrap();
    ann.publish(4).unwrap();
    // The thread that counts is the one of its position.
    for thread in &threads {
        let (mut again, resumed) = ann.resume_with(&position, attached(thread)).unwrap();
        assert!(is_complete(resumed, (0, 5)));
        assert_eq!(all(&mut again), (replayed(&[0, 2, 4]), 0));
    }
}

#[test]
fn a_position_is_refused_in_another_scope_and_names_nobody() {
    let (hub, ann) = eight::<u8>();
    let bob = hub.scope(user("bob"));
    let phone = ann.connect().unwrap();
    let _other = bob.connect().unwrap();
    ann.publish(1).unwrap();
    let error = bob.resume(&phone.position()).unwrap_err();
    assert_eq!(error, ResumeError::Foreign);
    assert!(!error.to_string().contains("ann"));
    assert_eq!(hub.stats().foreign_positions, 1);
    assert_eq!(bob.connection_count(), 1, "nothing was connected");
    assert!(!format!("{:?}", phone.position()).contains("ann"));
}

#[test]
fn an_altered_position_is_refused() {
    let (hub, ann) = eight();
    let phone = ann.connect().unwrap();
    for n in 0..6 {
        ann.publish(n).unwrap();
    }
    let bytes = phone.position().to_bytes();
    for bit in 0..8 * bytes.len() {
        let mut altered = bytes;
        altered[bit / 8] ^= 1 << (bit % 8);
        let altered = Position::from_bytes(&altered).unwrap();
        match ann.resume(&altered) {
            Err(error) => assert_eq!(error, ResumeError::Foreign),
            // Of another hub, for all that can be seen.
            Ok((_, resumed)) => assert_eq!((resumed, bit < 64), (Resumed::Reset, true)),
        }
    }
    assert_eq!(hub.stats().stale_positions, 64);
}

#[test]
fn r053_after_a_restart_a_position_resets() {
    let (_before, ann) = eight();
    let phone = ann.connect().unwrap();
    ann.publish(1).unwrap();
    let text = phone.position().to_string();
    let (hub, ann) = eight::<u8>();
    let _there = ann.connect().unwrap();
    ann.publish(2).unwrap();
    let (mut phone, resumed) = ann.resume(&text.parse().unwrap()).unwrap();
    assert_eq!(resumed, Resumed::Reset);
    assert_eq!(all(&mut phone), (vec![], 0));
    assert_eq!(hub.stats().stale_positions, 1);
}

#[test]
fn a_position_is_short_text_for_a_url_and_comes_back_from_it() {
    let (_hub, ann) = eight::<u8>();
    let position = ann.connect().unwrap().position();
    let text = position.to_string();
    assert_eq!(text.len(), 64);
    assert!(
        text.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    );
    assert_eq!(text.parse(), Ok(position));
    assert_eq!(Position::from_bytes(&position.to_bytes()), Ok(position));
    assert_eq!("".parse::<Position>(), Err(InvalidPosition::Length));
    assert_eq!(text[1..].parse::<Position>(), Err(InvalidPosition::Length));
    let mut bad = text.clone();
    bad.replace_range(3..4, "+");
    assert_eq!(bad.parse::<Position>(), Err(InvalidPosition::Character));
    bad.replace_range(3..5, "é");
    assert_eq!(bad.parse::<Position>(), Err(InvalidPosition::Character));
    assert_eq!(Position::from_bytes(&[0; 3]), Err(InvalidPosition::Length));
}

#[test]
fn a_lane_without_connections_ends_when_the_grace_is_over() {
    let hub = keeping(Retention::events(8).grace(Duration::from_secs(10)));
    let ann = hub.scope(user("ann"));
    let sweep = |times: std::ops::RangeInclusive<u64>| {
        for now in times {
            hub.sweep(Duration::from_secs(now));
        }
    };
    let phone = ann.connect().unwrap();
    ann.publish(1).unwrap();
    let position = phone.position();
    sweep(100..=100);
    drop(phone);
    assert_eq!((hub.user_count(), hub.stats().absent_users), (0, 1));
    sweep(100..=109);
    let (phone, resumed) = ann.resume(&position).unwrap();
    assert!(is_complete(resumed, (0, 1)));
    assert_eq!((hub.user_count(), hub.stats().absent_users), (1, 0));
    sweep(110..=115);
    drop(phone);
    // The time starts anew, and goes on where the clock goes on.
    sweep(116..=118);
    sweep(90..=97);
    assert!(ann.publish(2).is_ok());
    sweep(98..=98);
    assert_eq!(hub.stats().absent_users, 0);
    assert!(ann.publish(3).unwrap_err().is_no_connections());
    let (mut phone, resumed) = ann.resume(&position).unwrap();
    assert_eq!(resumed, Resumed::Reset);
    assert_eq!(all(&mut phone), (vec![], 0));
    let stats = hub.stats();
    conserved(3, hub.accepted(), &stats, [phone.stats()]).unwrap();
    assert_eq!((hub.accepted(), stats.users), (2, 1));
}

#[test]
fn one_absent_user_too_many_is_not_kept() {
    let hub = keeping(Retention::events(8).max_absent_users(2));
    let scopes = ["a", "b", "c"].map(|name| hub.scope(user(name)));
    let positions = scopes.each_ref().map(|scope| {
        let connection = scope.connect().unwrap();
        scope.publish(1).unwrap();
        connection.position()
    });
    assert_eq!(hub.stats().absent_users, 2);
    let resumed = |i: usize| scopes[i].resume(&positions[i]).unwrap();
    assert_eq!(resumed(2).1, Resumed::Reset);
    let (_connection, first) = resumed(0);
    assert!(is_complete(first, (0, 1)));
    // Room again, for a lane that has no connection yet.
    let d = hub.scope(user("d"));
    assert_eq!(d.publish_critical(1).unwrap().connections, 0);
    let refused = hub.scope(user("e")).publish_critical(2).unwrap_err();
    assert!(matches!(refused, PublishError::NoConnections(2)));
    assert_eq!(hub.stats().absent_users, 2);
    conserved(5, hub.accepted(), &hub.stats(), []).unwrap();
}

#[test]
fn r079_the_host_ends_the_lane_of_a_user_who_is_away_and_of_no_other() {
    let hub = keeping(Retention::events(8).max_absent_users(2));
    let [a, b] = ["a", "b"].map(|name| hub.scope(user(name)));
    assert!(!hub.end_absent(a.user()), "no lane");
    let [here, gone] = [&a, &b].map(|scope| scope.connect().unwrap());
    let room = laneway::RoomId::new("room").unwrap();
    b.join(&room).unwrap();
    b.publish(1).unwrap();
    let position = gone.position();
    drop(gone);
    assert!(!hub.end_absent(a.user()), "online");
    a.publish(1).unwrap();
    assert_eq!(here.unread(), 1);
    assert!(hub.end_absent(b.user()));
    assert!(!hub.end_absent(b.user()), "it has ended");
    assert_eq!((hub.stats().absent_users, hub.stats().users), (0, 1));
    assert_eq!(hub.room(room).member_count(), 0);
    assert_eq!(b.resume(&position).unwrap().1, Resumed::Reset);
    // There is room for others.
    drop(here);
    assert_eq!(hub.stats().absent_users, 2);
    conserved(2, hub.accepted(), &hub.stats(), []).unwrap();
    let none = Hub::<u8>::new();
    assert!(!none.end_absent(&user("a")));
}

#[test]
fn r014_critical_events_for_nobody_wait_for_who_asks() {
    let (hub, ann) = eight();
    assert!(ann.publish(0).unwrap_err().is_no_connections());
    let delivery = ann.publish_critical(1).unwrap();
    assert_eq!(
        (delivery.number, delivery.connections, delivery.kept),
        (0, 0, true)
    );
    ann.publish(2).unwrap();
    ann.publish_critical(3).unwrap();
    assert_eq!(hub.user_count(), 0);
    // A device that does not ask gets no old event, and takes none from another.
    let mut tab = ann.connect().unwrap();
    let mut phone = ann.connect().unwrap();
    let done = phone.recover();
    assert_eq!((done.events, done.complete), (2, true));
    assert_eq!(phone.recover().events, 0);
    ann.publish_critical(4).unwrap();
    let expected = [recovered(&[1, 3]), live(&[4])].concat();
    assert_eq!(all(&mut phone), (expected, 0));
    assert_eq!(tab.recover().events, 0, "each once");
    assert_eq!(all(&mut tab), (live(&[4]), 0));
    // An event that came while a device was connected is not recovered.
    drop((phone, tab));
    ann.publish_critical(5).unwrap();
    let mut phone = ann.connect().unwrap();
    assert_eq!(phone.recover().events, 1);
    assert_eq!(all(&mut phone), (recovered(&[5]), 0));
    conserved(6, hub.accepted(), &hub.stats(), [phone.stats()]).unwrap();
}

#[test]
fn the_oldest_critical_events_for_nobody_go_first_and_that_is_told() {
    let (_hub, ann) = eight();
    for n in 0..10 {
        ann.publish_critical(n).unwrap();
    }
    let mut phone = ann.connect().unwrap();
    let done = phone.recover();
    assert_eq!((done.events, done.complete), (8, false));
    let kept: Vec<_> = (2..10).collect();
    assert_eq!(all(&mut phone), (recovered(&kept), 0));
}

#[test]
fn a_critical_event_for_nobody_that_any_publish_took_the_place_of_is_told() {
    let (_hub, ann) = eight();
    ann.publish_critical(0).unwrap();
    for n in 1..9 {
        ann.try_publish(n).unwrap();
    }
    let done = ann.connect().unwrap().recover();
    assert_eq!((done.events, done.complete), (0, false));
}

#[test]
fn what_was_for_nobody_and_ended_with_its_lane_is_told() {
    let hub = keeping(Retention::events(8).max_absent_users(1));
    let ann = hub.scope(user("ann"));
    ann.publish_critical(0).unwrap();
    ann.publish(1).unwrap();
    let mut phone = ann.connect().unwrap();
    hub.scope(user("bob")).publish_critical(0).unwrap();
    assert_eq!(ann.disconnect_all(7), 1);
    for n in 2..11 {
        assert!(ann.publish(n).unwrap_err().is_no_connections());
    }
    let done = phone.recover();
    assert_eq!((done.events, done.complete), (0, false));
}

#[test]
fn what_is_resumed_and_recovered_comes_once() {
    let (_hub, ann) = eight();
    let phone = ann.connect().unwrap();
    ann.publish(0).unwrap();
    let position = phone.position();
    drop(phone);
    ann.publish_critical(1).unwrap();
    ann.publish(2).unwrap();
    let (mut phone, resumed) = ann.resume(&position).unwrap();
    assert!(is_complete(resumed, (0, 3)));
    assert_eq!(phone.recover().events, 1);
    let expected = [replayed(&[0]), recovered(&[1]), replayed(&[2])].concat();
    assert_eq!(all(&mut phone), (expected, 0));
}

#[test]
fn a_critical_event_that_was_overwritten_is_part_of_the_gap() {
    let (_hub, ann) = eight();
    let mut phone = ann.connect().unwrap();
    let position = phone.position();
    ann.publish_critical(0).unwrap();
    assert_eq!(all(&mut phone), (live(&[0]), 0));
    for n in 1..10 {
        ann.publish(n).unwrap();
    }
    // The phone is late, and not overrun: it had the critical event.
    assert!(matches!(
        phone.try_recv(),
        Ok(Received::Gap { missed: 1, .. })
    ));
    let (mut tab, resumed) = ann.resume(&position).unwrap();
    assert!(is_gap(resumed, (2, 2)));
    ann.publish(10).unwrap();
    let kept: Vec<_> = (2..10).collect();
    assert_eq!(all(&mut tab).0, [replayed(&kept), live(&[10])].concat());
    assert_eq!(ann.overrun_count(), 0);
}

#[test]
fn heavy_events_are_dropped_oldest_first() {
    let retention = Retention::events(8).bytes(320);
    let builder = Hub::builder().retention(Some(retention));
    let hub: Hub<String> = builder.build_weighing(String::len).unwrap();
    let ann = hub.scope(user("ann"));
    let mut phone = ann.connect().unwrap();
    let position = ann.connect().unwrap().position();
    for n in 0..5 {
        ann.publish(n.to_string().repeat(100)).unwrap();
    }
    // Two of 112 bytes, as they count; the phone gets all the same what it has not read, and a replay
    // may hold that or not.
    let (mut tab, resumed) = ann.resume(&position).unwrap();
    let whole = is_complete(resumed, (0, 5));
    assert!(whole || is_gap(resumed, (3, 3)), "{resumed:?}");
    assert_eq!(all(&mut tab).0.len(), if whole { 5 } else { 2 });
    assert_eq!(all(&mut phone).0.len(), 5);
    drop((tab, phone));
    let resume = || ann.resume(&position).unwrap().1;
    assert!(is_gap(resume(), (3, 3)), "{:?}", resume());
    // Small ones take their place one by one: six of 16 bytes beside the two.
    for _ in 0..6 {
        ann.publish("x".into()).unwrap();
    }
    assert!(is_gap(resume(), (3, 3)), "{:?}", resume());
    ann.publish("y".repeat(300)).unwrap();
    assert!(is_gap(resume(), (10, 10)), "{:?}", resume());
    // Too heavy alone: nothing stays.
    ann.publish("z".repeat(400)).unwrap();
    assert!(is_gap(resume(), (13, 13)), "{:?}", resume());
    ann.publish("x".into()).unwrap();
    assert!(is_gap(resume(), (13, 13)), "{:?}", resume());
}

#[test]
fn an_event_that_weighs_more_than_can_be_counted_makes_room_when_it_goes() {
    let retention = Retention::events(8).bytes(1 << 25);
    let builder = Hub::builder().retention(Some(retention));
    let hub: Hub<usize> = builder.build_weighing(|weight| *weight).unwrap();
    let ann = hub.scope(user("ann"));
    let mut phone = ann.connect().unwrap();
    let position = ann.connect().unwrap().position();
    // Each counts as 16 MiB, less one step.
    ann.publish(usize::MAX).unwrap();
    ann.publish(usize::MAX).unwrap();
    let resume = || ann.resume(&position).unwrap().1;
    assert_eq!(all(&mut phone).0.len(), 2);
    assert!(is_complete(resume(), (0, 2)), "{:?}", resume());
    for n in 1..8 {
        ann.publish(48).unwrap();
        assert_eq!(all(&mut phone).0.len(), 1);
        assert!(is_gap(resume(), (1, 1)), "after {n}: {:?}", resume());
    }
}

#[test]
fn nothing_goes_before_its_age() {
    for age in 1..20 {
        let retention = Retention::events(8).age(Duration::from_millis(age));
        let hub = keeping(retention.grace(Duration::MAX));
        let ann = hub.scope(user("ann"));
        let position = ann.connect().unwrap().position();
        ann.publish(0).unwrap();
        for eighths in 0.. {
            let now = Duration::from_millis(age) * eighths / 8;
            hub.sweep(now);
            if !is_complete(ann.resume(&position).unwrap().1, (0, 1)) {
                let now = now.as_millis() as u64;
                assert!(now > age && now <= age * 3 / 2 + 6, "{now} of {age}");
                break;
            }
        }
    }
}

#[test]
fn old_events_are_dropped_by_the_sweep() {
    let age = Duration::from_secs(4);
    let hub = keeping(Retention::events(8).age(age).grace(Duration::MAX));
    let ann = hub.scope(user("ann"));
    let phone = ann.connect().unwrap();
    let position = phone.position();
    drop(phone);
    ann.publish(0).unwrap();
    hub.sweep(Duration::from_secs(10));
    ann.publish(1).unwrap();
    let resumed = || ann.resume(&position).unwrap().1;
    for now in [11, 12, 13, 14] {
        hub.sweep(Duration::from_secs(now));
        assert!(is_complete(resumed(), (0, 2)), "at {now}");
    }
    hub.sweep(Duration::from_secs(15));
    assert!(is_gap(resumed(), (1, 1)));
    for now in 16..=30 {
        hub.sweep(Duration::from_secs(now));
    }
    assert!(is_gap(resumed(), (2, 2)));
    ann.publish(2).unwrap();
    // A clock that jumps back ages nothing.
    for now in [31, 5, 6, 7] {
        hub.sweep(Duration::from_secs(now));
        assert!(is_gap(resumed(), (2, 2)));
    }
}

#[test]
fn every_payload_is_dropped_with_its_lane() {
    let (hub, ann) = eight();
    let event = Arc::new(());
    let phone = ann.connect().unwrap();
    let position = phone.position();
    for _ in 0..20 {
        ann.publish(Arc::clone(&event)).unwrap();
    }
    drop(phone);
    let kept = Arc::strong_count(&event) - 1;
    // Eight that a replay gets, and at most what the lane has not needed the room of.
    assert!((8..=20).contains(&kept), "{kept}");
    let (mut phone, _) = ann.resume(&position).unwrap();
    assert_eq!(Arc::strong_count(&event), kept + 9);
    assert!(phone.try_recv().is_ok());
    assert_eq!(Arc::strong_count(&event), kept + 8);
    drop(phone);
    assert_eq!(Arc::strong_count(&event), kept + 1);
    hub.shutdown();
    assert_eq!(Arc::strong_count(&event), 1, "an absent user's lane ends");
    assert_eq!(hub.stats().absent_users, 0);
    assert!(ann.publish_critical(event).unwrap_err().is_closed());
}

#[test]
fn after_a_shutdown_what_was_resumed_is_still_received() {
    let (hub, ann) = eight();
    let phone = ann.connect().unwrap();
    let position = phone.position();
    ann.publish(0).unwrap();
    let (mut tab, _) = ann.resume(&position).unwrap();
    ann.publish(1).unwrap();
    assert_eq!(hub.shutdown(), 1);
    assert_eq!(
        ann.resume(&position).unwrap_err(),
        ResumeError::Connect(ConnectError::Closed)
    );
    assert_eq!(all(&mut tab), ([replayed(&[0]), live(&[1])].concat(), 0));
    drop((tab, phone));
    assert_eq!((hub.user_count(), hub.stats().absent_users), (0, 0));
    assert_eq!(hub.accepted(), 2);
}

#[test]
fn a_closed_connection_gives_nothing_of_its_replay() {
    let (_hub, ann) = eight();
    let phone = ann.connect().unwrap();
    let position = phone.position();
    ann.publish(0).unwrap();
    let (mut tab, _) = ann.resume(&position).unwrap();
    assert!(ann.disconnect(tab.id(), 7));
    let reason = CloseReason::Disconnected { code: 7 };
    assert!(matches!(tab.try_recv(), Err(TryRecvError::Closed(c)) if c.reason == reason));
    assert_eq!(tab.stats().replayed, 0);
    // It is after the connection's position.
    assert_eq!(phone.position(), position);
    drop(phone);
    ann.publish_critical(1).unwrap();
    let (mut again, resumed) = ann.resume(&tab.position()).unwrap();
    assert!(is_complete(resumed, (0, 2)));
    assert!(ann.disconnect(again.id(), 7));
    assert!(again.try_recv().is_err());
    // It recovers nothing, and does not push the rest away.
    let done = again.recover();
    assert_eq!((done.events, done.complete), (0, false));
    let (mut again, resumed) = ann.resume(&again.position()).unwrap();
    assert!(is_complete(resumed, (0, 2)));
    assert_eq!(all(&mut again), (replayed(&[0, 1]), 0));
}

#[test]
fn sessions_are_told_from_online_to_offline_though_the_lane_stays() {
    let (hub, ann) = eight::<u8>();
    let lifecycle = hub.lifecycle(64).unwrap();
    let mut sessions = Vec::new();
    for _ in 0..3 {
        let phone = ann.connect().unwrap();
        let tab = ann.connect().unwrap();
        drop((phone, tab));
        let mut told = Vec::new();
        while let Ok(notice) = lifecycle.try_next() {
            told.push((notice.session, notice.number, notice.change));
        }
        assert_eq!(told.len(), 6);
        assert!(told.iter().all(|n| n.0 == told[0].0));
        assert!((0..).zip(&told).all(|(i, n)| n.1 == i));
        assert_eq!(
            (&told[0].2, &told[5].2),
            (&Change::Online, &Change::Offline)
        );
        sessions.push(told[0].0);
    }
    // The lane ends; the next one's sessions are later ones.
    for hours in 0..6 {
        hub.sweep(Duration::from_secs(3600 * hours));
    }
    drop(ann.connect().unwrap());
    let notices = std::iter::from_fn(|| lifecycle.try_next().ok());
    let next: Vec<_> = notices.map(|notice| notice.session).collect();
    assert!(next.iter().all(|&session| session == next[0]));
    sessions.push(next[0]);
    assert!(sessions.is_sorted_by(|a, b| a < b));
    let mut seen = 0;
    hub.for_each_user(|_, _| seen += 1);
    assert_eq!(seen, 0, "an absent user is offline");
    assert_eq!(ann.connection_count(), 0);
}

#[test]
fn limits_count_who_is_there() {
    let retention = Some(Retention::events(8));
    let builder = Hub::builder().retention(retention).max_users(1);
    let hub: Hub<u8> = builder.max_connections_per_user(1).build().unwrap();
    let (ann, bob) = (hub.scope(user("ann")), hub.scope(user("bob")));
    let phone = ann.connect().unwrap();
    let limit = 1;
    assert_eq!(
        ann.connect().unwrap_err(),
        ConnectError::TooManyConnections { limit }
    );
    drop(phone);
    // Ann's kept lane takes the place of no user who is online.
    let other = bob.connect().unwrap();
    assert_eq!(
        ann.connect().unwrap_err(),
        ConnectError::TooManyUsers { limit }
    );
    drop(other);
    let _phone = ann.connect().unwrap();
    assert_eq!(
        bob.connect().unwrap_err(),
        ConnectError::TooManyUsers { limit }
    );
    assert_eq!((hub.user_count(), hub.stats().absent_users), (1, 1));
}

#[test]
fn try_publish_overwrites_what_everybody_has_read() {
    let (_hub, ann) = eight();
    let mut phone = ann.connect().unwrap();
    for n in 0..30 {
        ann.try_publish(n).unwrap();
        assert_eq!(all(&mut phone), (live(&[n]), 0));
    }
    for n in 0..8 {
        ann.try_publish(n).unwrap();
    }
    assert!(ann.try_publish(9).unwrap_err().is_full());
    drop(phone);
    ann.try_publish(10).unwrap();
}

#[test]
fn a_resumed_connection_has_options_and_a_replay_can_be_visited() {
    let (_hub, ann) = eight();
    let phone = ann.connect().unwrap();
    let position = phone.position();
    for n in 0..3 {
        ann.publish(n).unwrap();
    }
    let options = ConnectOptions {
        threads: vec![ThreadId::new("t").unwrap()],
        ..ConnectOptions::default()
    };
    let (mut tab, _) = ann.resume_with(&position, options).unwrap();
    assert_eq!(tab.threads(), [ThreadId::new("t").unwrap()]);
    ann.publish(3).unwrap();
    let mut seen = Vec::new();
    for expected in [2, 2, 0] {
        let visited = tab
            .visit(2, |number, event| seen.push((number, *event)))
            .unwrap();
        assert_eq!(visited.events, expected);
    }
    assert_eq!(seen, [(0, 0), (1, 1), (2, 2), (3, 3)]);
}

#[test]
fn settings_are_validated() {
    let build = |retention, connections| {
        let builder = Hub::builder().retention(Some(retention));
        let built = builder.max_connections_per_user(connections).build::<u8>();
        built.map(drop)
    };
    let events = Retention::events;
    assert_eq!(build(events(1), 126), Ok(()));
    assert_eq!(build(events(0), 1), Err(ConfigError::RetainedEvents(0)));
    assert_eq!(
        build(events(65_537), 1),
        Err(ConfigError::RetainedEvents(65_537))
    );
    assert_eq!(
        build(events(1).bytes(0), 1),
        Err(ConfigError::RetainedBytes)
    );
    let short = events(1).age(Duration::from_micros(1));
    assert_eq!(build(short, 1), Err(ConfigError::RetainedAge));
    assert_eq!(
        build(events(1), 127),
        Err(ConfigError::ConnectionsWithRetention(127))
    );
}

/// One device of a storm, through all its connections.
struct Device {
    user: usize,
    connection: Option<Connection<usize>>,
    /// Where its first position stood.
    start: u64,
    received: Vec<u64>,
    missed: u64,
}

impl Device {
    /// Comes in at the position of another connection.
    fn at(user: usize, scope: &UserScope<usize>, position: &Position) -> Self {
        let mut device = Self {
            user,
            connection: None,
            start: 0,
            received: Vec::new(),
            missed: 0,
        };
        device.start = device.resume(scope, position);
        device
    }

    /// The number that the position stood for.
    fn resume(&mut self, scope: &UserScope<usize>, position: &Position) -> u64 {
        let (connection, resumed) = scope.resume(position).expect("its own");
        self.connection = Some(connection);
        match resumed {
            Resumed::Complete { from, .. } => from,
            Resumed::Gap { missed, oldest, .. } => {
                self.missed += missed;
                oldest - missed
            }
            other => panic!("the lane is kept, but {other:?}"),
        }
    }

    fn reconnect(&mut self, scope: &UserScope<usize>) -> u64 {
        let position = self.connection.take().expect("connected").position();
        let text = position.to_string();
        self.resume(scope, &text.parse().expect("as it was written"))
    }

    fn read(&mut self, max: usize) {
        let connection = self.connection.as_mut().expect("connected");
        for _ in 0..max {
            match connection.try_recv() {
                Ok(Received::Event(delivered)) => {
                    assert_eq!(delivered.event, self.user, "an event of another user");
                    self.received.push(delivered.number);
                }
                Ok(Received::Gap { missed, .. }) => self.missed += missed,
                _ => return,
            }
        }
    }

    /// Between its first position and number `end` everything was received once or told as missed.
    fn check(&self, end: u64, accepted: &BTreeSet<u64>) {
        assert!(
            self.received.is_sorted_by(|a, b| a < b),
            "twice, or out of order"
        );
        assert!(self.received.iter().all(|number| accepted.contains(number)));
        let events = accepted.range(self.start..end).count() as u64;
        let no_events = end - self.start - events;
        let lost = events - self.received.len() as u64;
        // A number without an event counts as missed if it was overwritten, and else not.
        assert!(
            (lost..=lost + no_events).contains(&self.missed),
            "{lost} of {events} were lost, and {} told",
            self.missed
        );
    }
}

#[test]
fn r053_a_reconnect_storm_leaves_no_hole() {
    const USERS: usize = 1_000;
    const TOGETHER: usize = 10;
    let builder = Hub::builder().lane_capacity(16).shards(1024);
    let builder = builder.retention(Some(Retention::events(16)));
    let hub: Hub<usize> = builder.build().unwrap();
    let scopes: Vec<_> = (0..USERS)
        .map(|n| hub.scope(user(&format!("user {n}"))))
        .collect();
    let (offered, now) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (devices, accepted) = thread::scope(|s| {
        let publishers = [1, 2].map(|seed| {
            let (scopes, offered, now) = (&scopes, &offered, &now);
            s.spawn(move || {
                let (mut random, mut accepted) = (random::Random(seed), Vec::new());
                loop {
                    let first = now.load(Ordering::Acquire);
                    if first >= USERS {
                        return accepted;
                    }
                    let user = first + random.below(TOGETHER as u64) as usize;
                    offered.fetch_add(1, Ordering::Relaxed);
                    let done = scopes[user].publish(user);
                    accepted.extend(done.map(|delivery| (user, delivery.number)));
                }
            })
        });
        let (mut random, mut devices) = (random::Random(7), Vec::new());
        for (users, first) in scopes.chunks(TOGETHER).zip((0..).step_by(TOGETHER)) {
            now.store(first, Ordering::Release);
            let begin = devices.len();
            for (user, scope) in (first..).zip(users) {
                let connections = [(); 2].map(|()| scope.connect().unwrap());
                let positions = connections.map(|connection| connection.position());
                devices.extend(positions.map(|position| Device::at(user, scope, &position)));
            }
            for _ in 0..12 {
                for device in &mut devices[begin..] {
                    device.read(random.below(40) as usize);
                    if random.below(3) > 0 {
                        device.reconnect(&scopes[device.user]);
                    }
                }
            }
        }
        now.store(USERS, Ordering::Release);
        let mut accepted = vec![BTreeSet::new(); USERS];
        for publisher in publishers {
            for (user, number) in publisher.join().unwrap() {
                assert!(accepted[user].insert(number), "a number was given twice");
            }
        }
        (devices, accepted)
    });
    for mut device in devices {
        device.read(usize::MAX);
        let end = device.reconnect(&scopes[device.user]);
        device.check(end, &accepted[device.user]);
    }
    assert_eq!(hub.user_count(), 0);
    let stats = hub.stats();
    assert_eq!((stats.absent_users, stats.stale_positions), (USERS, 0));
    conserved(
        offered.load(Ordering::Relaxed) as u64,
        hub.accepted(),
        &stats,
        [],
    )
    .unwrap();
}
