//! Rules that readers apply: deadlines, conflation, merging; and connections that are behind.
#![cfg(not(any(laneway_loom, laneway_shuttle)))]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use laneway::{
    Change, CloseReason, ConflationKey, Connection, Hub, Lag, Merge, Received, Resumed, Retention,
    TryRecvError, UserId, UserScope, conserved,
};

const SECOND: Duration = Duration::from_secs(1);

fn user(name: &str) -> UserId {
    UserId::new(name).expect("valid")
}

fn key(name: &str) -> ConflationKey {
    ConflationKey::new(name).expect("valid")
}

/// A lane of four events that remembers two keys.
fn hub() -> Hub<u32> {
    let builder = Hub::builder().lane_capacity(4).conflation(Some(2));
    builder.build().expect("valid")
}

/// The events that are there, and how many numbers the gaps have.
fn events(device: &mut Connection<u32>) -> (Vec<u32>, u64) {
    let (mut events, mut missed) = (Vec::new(), 0);
    while let Ok(received) = device.try_recv() {
        match received {
            Received::Event(next) => events.push(next.event),
            Received::Gap { missed: gap, .. } => missed += gap,
            other => panic!("no such thing: {other:?}"),
        }
    }
    (events, missed)
}

fn holds(hub: &Hub<u32>, offered: u64, devices: &[&Connection<u32>]) {
    let stats = devices.iter().map(|device| device.stats());
    conserved(offered, hub.accepted(), &hub.stats(), stats).expect("nothing vanishes");
}

// ---- deadlines ----

#[test]
fn r116_an_event_expires_when_the_host_tells_its_deadline_and_not_before() {
    let hub = hub();
    let ann = hub.scope(user("ann"));
    let mut devices = [ann.connect().unwrap(), ann.connect().unwrap()];
    ann.until(10 * SECOND).publish(1).unwrap();
    ann.publish(2).unwrap();
    hub.tick(Duration::new(9, 999_999_999));
    assert_eq!(events(&mut devices[0]), (vec![1, 2], 0));
    hub.tick(10 * SECOND);
    // An earlier time changes nothing.
    hub.tick(SECOND);
    hub.sweep(SECOND);
    assert_eq!(events(&mut devices[1]), (vec![2], 0));
    let stats = devices[1].stats();
    assert_eq!(
        (stats.expired, stats.delivered, stats.stepped_over),
        (1, 1, 0)
    );
    assert_eq!(devices[0].stats().expired, 0);
    // It was too late from the start: accepted, and for no device.
    assert_eq!(ann.until(SECOND).publish(3).unwrap().connections, 2);
    assert_eq!(events(&mut devices[0]), (vec![], 0));
    // The latest deadline never comes.
    hub.sweep(Duration::MAX);
    ann.until(Duration::MAX).publish(4).unwrap();
    assert_eq!(events(&mut devices[0]), (vec![4], 0));
    holds(&hub, 4, &[&devices[0], &devices[1]]);
}

#[test]
fn r116_each_verb_and_each_receive_knows_deadlines() {
    let hub = hub();
    let ann = hub.scope(user("ann"));
    let (mut phone, mut laptop) = (ann.connect().unwrap(), ann.connect().unwrap());
    ann.to_connection(phone.id())
        .until(SECOND)
        .publish(1)
        .unwrap();
    ann.to_others(phone.id())
        .until(SECOND)
        .try_publish(2)
        .unwrap();
    ann.until(SECOND).publish_critical(3).unwrap();
    let bobs = hub.scope(user("bob")).connect().unwrap();
    hub.to_user(bobs.user()).until(SECOND).publish(4).unwrap();
    hub.tick(SECOND);
    ann.publish(5).unwrap();
    let mut seen = Vec::new();
    let visited = phone.visit(8, |_, event| seen.push(*event)).unwrap();
    assert_eq!((visited.events, seen), (1, vec![5]));
    let mut drained = Vec::new();
    assert_eq!(laptop.drain(8, &mut drained), Ok(1));
    // The number for the other device is stepped over as such.
    for device in [&phone, &laptop] {
        let stats = device.stats();
        assert_eq!((stats.expired, stats.stepped_over, stats.unread), (2, 1, 0));
    }
    holds(&hub, 5, &[&phone, &laptop, &bobs]);
}

#[test]
fn r116_a_late_device_steps_over_an_expired_critical_event_and_stays() {
    let hub = hub();
    let ann = hub.scope(user("ann"));
    let mut device = ann.connect().unwrap();
    ann.until(SECOND).publish_critical(1).unwrap();
    for event in 2..7 {
        ann.publish(event).unwrap();
    }
    hub.tick(SECOND);
    assert_eq!(events(&mut device), (vec![3, 4, 5, 6], 1));
    let stats = device.stats();
    assert_eq!((stats.expired, stats.missed), (1, 1));
    holds(&hub, 6, &[&device]);
}

#[test]
fn r116_a_device_that_has_not_passed_a_critical_event_whose_room_is_needed_is_closed() {
    let hub = hub();
    let ann = hub.scope(user("ann"));
    let mut device = ann.connect().unwrap();
    ann.publish(0).unwrap();
    ann.until(SECOND).publish_critical(1).unwrap();
    hub.tick(SECOND);
    for event in 0..64 {
        ann.publish(event).unwrap();
    }
    let ended = device.try_recv().unwrap_err();
    assert!(matches!(ended, TryRecvError::Closed(c) if c.reason == CloseReason::Overrun));
}

#[test]
fn r116_a_replay_and_a_recovery_leave_out_what_is_expired() {
    let retention = Some(Retention::events(8));
    let hub: Hub<u32> = Hub::builder().retention(retention).build().unwrap();
    let ann = hub.scope(user("ann"));
    let position = ann.connect().unwrap().position();
    ann.until(SECOND).publish_critical(1).unwrap();
    ann.until(3 * SECOND).publish_critical(2).unwrap();
    ann.publish_critical(3).unwrap();
    hub.tick(SECOND);
    let (mut phone, resumed) = ann.resume(&position).unwrap();
    assert!(
        matches!(resumed, Resumed::Complete { .. }),
        "{resumed:?}: no hole"
    );
    let recovered = phone.recover();
    assert_eq!((recovered.events, recovered.complete), (2, true));
    assert_eq!(events(&mut phone).0, [2, 3]);
    hub.tick(3 * SECOND);
    let mut laptop = ann.resume(&position).unwrap().0;
    assert_eq!(events(&mut laptop).0, [3]);
    holds(&hub, 3, &[&phone, &laptop]);
}

// ---- conflation ----

#[test]
fn r113_a_device_that_is_behind_gets_the_newest_of_each_key_in_its_place() {
    let hub = hub();
    let ann = hub.scope(user("ann"));
    let (mut quick, mut slow) = (ann.connect().unwrap(), ann.connect().unwrap());
    let (a, b) = (key("a"), key("b"));
    let mut seen = Vec::new();
    for (key, event) in [(&a, 1), (&b, 2), (&a, 3), (&b, 4)] {
        ann.publish_latest(key, event).unwrap();
        seen.extend(events(&mut quick).0);
    }
    assert_eq!(seen, [1, 2, 3, 4], "a device that keeps up gets each");
    assert_eq!(events(&mut slow), (vec![3, 4], 0));
    let stats = slow.stats();
    assert_eq!(
        (stats.superseded, stats.delivered, stats.stepped_over),
        (2, 2, 0)
    );
    assert_eq!(quick.stats().superseded, 0);
    holds(&hub, 4, &[&quick, &slow]);
}

#[test]
fn r113_keys_are_compared_whole_and_of_one_user() {
    let hub = hub();
    let (ann, bob) = (hub.scope(user("ann")), hub.scope(user("bob")));
    let (mut anns, mut bobs) = (ann.connect().unwrap(), bob.connect().unwrap());
    let long = |end| key(&format!("{}{end}", "k".repeat(100)));
    ann.publish_latest(&long("1"), 1).unwrap();
    ann.publish_latest(&long("2"), 2).unwrap();
    bob.publish_latest(&long("1"), 3).unwrap();
    ann.publish(4).unwrap();
    assert_eq!(events(&mut anns), (vec![1, 2, 4], 0));
    assert_eq!(events(&mut bobs), (vec![3], 0));
    assert!(ConflationKey::new("").is_err());
}

#[test]
fn r113_a_key_that_falls_out_of_the_table_loses_no_event() {
    let builder = Hub::builder().lane_capacity(8).conflation(Some(2));
    let hub: Hub<u32> = builder.build().expect("valid");
    let ann = hub.scope(user("ann"));
    let mut device = ann.connect().unwrap();
    let published = [("a", 1), ("b", 2), ("a", 3), ("c", 4), ("a", 5), ("b", 6)];
    for (name, event) in published {
        ann.publish_latest(&key(name), event).unwrap();
    }
    // The table has two places. `c` has taken that of `b`, so 6 does not supersede 2.
    assert_eq!(events(&mut device), (vec![2, 4, 5, 6], 0));
    for (name, event) in [("b", 7), ("a", 8), ("b", 9)] {
        ann.publish_latest(&key(name), event).unwrap();
    }
    assert_eq!(events(&mut device), (vec![8, 9], 0));
    holds(&hub, 9, &[&device]);
}

#[test]
fn r113_many_keys_are_conflated_in_sets() {
    let builder = Hub::builder().lane_capacity(1024).conflation(Some(64));
    let hub: Hub<u32> = builder.build().unwrap();
    let ann = hub.scope(user("ann"));
    let mut device = ann.connect().unwrap();
    let keys: Vec<_> = (0..64).map(|n| key(&format!("key {n}"))).collect();
    for event in 0..640 {
        ann.publish_latest(&keys[event as usize % 64], event)
            .unwrap();
    }
    let (seen, missed) = events(&mut device);
    assert_eq!(missed, 0);
    let newest: Vec<_> = seen.iter().copied().filter(|event| *event >= 576).collect();
    assert_eq!(
        newest,
        (576..640).collect::<Vec<_>>(),
        "the newest of each key"
    );
    assert!(seen.len() < 400, "{} of 640 events came", seen.len());
    holds(&hub, 640, &[&device]);
}

/// Panics when it is dropped with `true`.
#[derive(Clone)]
struct Fragile(u32, Arc<AtomicBool>);

impl Drop for Fragile {
    fn drop(&mut self) {
        assert!(!self.1.swap(false, Ordering::SeqCst), "the host's drop");
    }
}

#[test]
fn r114_a_barrier_whose_publish_panics_holds_up_no_later_event() {
    let builder = Hub::builder().lane_capacity(2).conflation(Some(2));
    let hub: Hub<Fragile> = builder.build().unwrap();
    let ann = hub.scope(user("ann"));
    let mut device = ann.connect().unwrap();
    let (a, panics) = (key("a"), Arc::new(AtomicBool::new(false)));
    let event = |n| Fragile(n, Arc::clone(&panics));
    for n in 0..8 {
        ann.publish(event(n)).unwrap();
    }
    panics.store(true, Ordering::SeqCst);
    let barrier = || {
        for _ in 0..8 {
            ann.publish_barrier(event(8)).unwrap();
        }
    };
    assert!(catch_unwind(AssertUnwindSafe(barrier)).is_err());
    while device.try_recv().is_ok() {}
    for n in 9..12 {
        ann.publish_latest(&a, event(n)).unwrap();
        ann.publish_latest(&a, event(n)).unwrap();
        let Ok(Received::Event(next)) = device.try_recv() else {
            panic!("the newest of the key")
        };
        assert_eq!((next.event.0, device.unread()), (n, 0));
    }
    assert_eq!(device.stats().superseded, 3);
}

#[test]
fn r114_no_event_before_a_barrier_is_superseded_by_one_after_it() {
    let hub = hub();
    let ann = hub.scope(user("ann"));
    let mut device = ann.connect().unwrap();
    let a = key("a");
    ann.publish_latest(&a, 1).unwrap();
    ann.publish_barrier(2).unwrap();
    ann.publish_latest(&a, 3).unwrap();
    ann.publish_latest(&a, 4).unwrap();
    assert_eq!(events(&mut device), (vec![1, 2, 4], 0));
    // A barrier that is refused is none.
    drop(device);
    assert!(ann.publish_barrier(5).is_err());
    let mut device = ann.connect().unwrap();
    ann.publish_latest(&a, 6).unwrap();
    ann.publish_latest(&a, 7).unwrap();
    assert_eq!(events(&mut device), (vec![7], 0));
}

#[test]
fn r113_without_the_setting_each_event_is_delivered() {
    let hub: Hub<u32> = Hub::new();
    let ann = hub.scope(user("ann"));
    let mut device = ann.connect().unwrap();
    for event in 0..3 {
        ann.publish_latest(&key("a"), event).unwrap();
    }
    ann.publish_barrier(3).unwrap();
    assert_eq!(events(&mut device), (vec![0, 1, 2, 3], 0));
    let refused = ann.publish_latest(&key("a"), 9);
    assert!(refused.is_ok());
    drop(device);
    assert_eq!(
        ann.publish_latest(&key("a"), 9).unwrap_err().into_inner(),
        9
    );
}

#[test]
fn r113_a_superseding_event_that_is_gone_is_a_gap_as_always() {
    let hub = hub();
    let ann = hub.scope(user("ann"));
    let mut device = ann.connect().unwrap();
    ann.publish_latest(&key("a"), 1).unwrap();
    ann.publish_latest(&key("a"), 2).unwrap();
    for event in 3..8 {
        ann.publish(event).unwrap();
    }
    assert_eq!(events(&mut device), (vec![4, 5, 6, 7], 3));
    holds(&hub, 7, &[&device]);
}

#[test]
fn r113_a_replay_leaves_out_what_is_superseded() {
    let builder = Hub::builder().retention(Some(Retention::events(8)));
    let hub: Hub<u32> = builder.conflation(Some(2)).build().unwrap();
    let ann = hub.scope(user("ann"));
    let mut phone = ann.connect().unwrap();
    let position = phone.position();
    ann.publish_latest(&key("a"), 1).unwrap();
    ann.publish(2).unwrap();
    ann.publish_latest(&key("a"), 3).unwrap();
    assert_eq!(events(&mut phone).0, [2, 3]);
    drop(phone);
    let (mut phone, resumed) = ann.resume(&position).unwrap();
    assert!(
        matches!(resumed, Resumed::Complete { .. }),
        "{resumed:?}: no hole"
    );
    assert_eq!(events(&mut phone).0, [2, 3]);
    // Also by one that comes live, which the device gets as well.
    let (mut laptop, later) = (ann.connect().unwrap(), position);
    let mut phone = ann.resume(&later).unwrap().0;
    ann.publish_latest(&key("a"), 4).unwrap();
    assert_eq!(events(&mut laptop).0, [4]);
    let resumed = events(&mut phone).0;
    assert_eq!(resumed, [2, 3, 4], "what was replayed before is in hand");
    drop(phone);
    assert_eq!(events(&mut ann.resume(&later).unwrap().0).0, [2, 4]);
}

// ---- merging ----

/// A piece of a stream.
#[derive(Clone, Debug, PartialEq)]
struct Piece(u8, String);

impl Merge for Piece {
    fn can_merge(&self, next: &Self) -> bool {
        self.0 == next.0
    }
    fn merge(&mut self, next: Self) {
        self.1 += &next.1;
    }
    fn size(&self) -> usize {
        self.1.len()
    }
}

fn piece(stream: u8, text: &str) -> Piece {
    Piece(stream, text.to_owned())
}

/// What the device receives: first number, last number, stream and text of each.
fn merged(device: &mut Connection<Piece>, limit: usize) -> Vec<(u64, u64, u8, String)> {
    let mut all = Vec::new();
    while let Ok(Received::Event(next)) = device.try_recv_merged(limit) {
        let Piece(stream, text) = next.event.event;
        all.push((next.number, next.event.last, stream, text));
    }
    all
}

fn pieces() -> (Hub<Piece>, UserScope<Piece>) {
    let hub = Hub::builder().lane_capacity(64).build().unwrap();
    let ann = hub.scope(user("ann"));
    (hub, ann)
}

#[test]
fn r115_consecutive_pieces_of_a_stream_come_as_one_up_to_the_limit() {
    let (hub, ann) = pieces();
    let (mut phone, mut laptop) = (ann.connect().unwrap(), ann.connect().unwrap());
    for (stream, text) in [
        (1, "a"),
        (1, "bc"),
        (1, "d"),
        (2, "e"),
        (1, "f"),
        (1, "ghijk"),
    ] {
        ann.publish(piece(stream, text)).unwrap();
    }
    let got = merged(&mut phone, 4);
    let one = |first, last, stream, text: &str| (first, last, stream, text.to_owned());
    let expected = [
        one(0, 2, 1, "abcd"),
        one(3, 3, 2, "e"),
        one(4, 4, 1, "f"),
        one(5, 5, 1, "ghijk"),
    ];
    assert_eq!(got, expected, "and one that is too large comes alone");
    assert_eq!(merged(&mut laptop, usize::MAX).len(), 3);
    let stats = phone.stats();
    assert_eq!((stats.delivered, stats.unread), (6, 0));
    conserved(6, hub.accepted(), &hub.stats(), [stats, laptop.stats()]).unwrap();
}

#[test]
fn r115_a_piece_that_does_not_fit_stays_unread_for_every_receive() {
    let (_hub, ann) = pieces();
    let mut device = ann.connect().unwrap();
    for text in ["ab", "cd", "ef"] {
        ann.publish(piece(1, text)).unwrap();
    }
    let first = device.try_recv_merged(5).unwrap();
    assert!(matches!(first, Received::Event(next) if next.event.pieces == 2));
    assert_eq!(device.unread(), 1);
    let next = device.try_recv().unwrap();
    assert!(matches!(next, Received::Event(next) if next.number == 2 && next.event.1 == "ef"));
    assert_eq!(device.try_recv_merged(5), Err(TryRecvError::Empty));
}

#[test]
fn r115_a_burst_over_many_blocks_and_events_for_others_are_merged() {
    let (hub, ann) = pieces();
    let (mut phone, tab) = (ann.connect().unwrap(), ann.connect().unwrap());
    for n in 0..30 {
        ann.to_connection(phone.id())
            .publish(piece(1, "x"))
            .unwrap();
        if n % 10 == 0 {
            ann.to_connection(tab.id())
                .publish(piece(2, "other"))
                .unwrap();
        }
        ann.until(SECOND).publish(piece(2, "expired")).unwrap();
    }
    hub.tick(SECOND);
    let got = merged(&mut phone, usize::MAX);
    assert_eq!(got, [(0, 61, 1, "x".repeat(30))]);
    let stats = phone.stats();
    assert_eq!(
        (stats.delivered, stats.expired, stats.stepped_over),
        (30, 30, 3)
    );
    conserved(63, hub.accepted(), &hub.stats(), [stats, tab.stats()]).unwrap();
}

#[test]
fn r115_merging_ends_before_a_gap_which_comes_next() {
    let hub = Hub::builder().lane_capacity(2).build().unwrap();
    let ann = hub.scope(user("ann"));
    let mut device = ann.connect().unwrap();
    ann.publish_critical(piece(1, "a")).unwrap();
    for text in ["b", "c", "d"] {
        ann.publish(piece(1, text)).unwrap();
    }
    let first = device.try_recv_merged(64).unwrap();
    assert!(matches!(first, Received::Event(next) if next.event.pieces == 1));
    let gap = device.try_recv_merged(64).unwrap();
    assert!(matches!(gap, Received::Gap { missed: 1, .. }), "{gap:?}");
    let last = device.try_recv_merged(64).unwrap();
    assert!(matches!(last, Received::Event(next) if next.event.event.1 == "cd"));
}

#[test]
fn r115_a_future_that_is_dropped_loses_no_piece() {
    let (_hub, ann) = pieces();
    let mut device = ann.connect().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        for text in ["a", "b"] {
            {
                let mut waiting = std::pin::pin!(device.next_merged(64));
                let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
                assert!(waiting.as_mut().poll(&mut cx).is_pending());
                ann.publish(piece(1, text)).unwrap();
            }
            ann.publish(piece(1, text)).unwrap();
            let Received::Event(next) = device.next_merged(64).await.unwrap() else {
                panic!("no gap");
            };
            assert_eq!(next.event.event.1, text.repeat(2));
        }
    });
}

#[test]
fn r115_what_was_resumed_comes_piece_by_piece_and_what_follows_is_merged() {
    let builder = Hub::builder().retention(Some(Retention::events(8)));
    let hub: Hub<Piece> = builder.build().unwrap();
    let ann = hub.scope(user("ann"));
    let position = ann.connect().unwrap().position();
    ann.publish(piece(1, "a")).unwrap();
    ann.publish(piece(1, "b")).unwrap();
    let mut device = ann.resume(&position).unwrap().0;
    ann.publish(piece(1, "c")).unwrap();
    ann.publish(piece(1, "d")).unwrap();
    let texts: Vec<_> = merged(&mut device, 64)
        .into_iter()
        .map(|got| got.3)
        .collect();
    assert_eq!(texts, ["a", "b", "cd"]);
}

// ---- connections that are behind ----

#[test]
fn r117_the_slowest_connections_come_first_and_no_other() {
    let hub: Hub<u32> = Hub::new();
    let mut devices = Vec::new();
    for n in 0..10_u32 {
        let scope = hub.scope(user(&format!("user {n}")));
        devices.push((scope.connect().unwrap(), n * 7 % 10));
        scope.publish_batch(0..n * 7 % 10).unwrap();
    }
    let slow = hub.laggards(4, Lag::Unread);
    let unread: Vec<_> = slow.iter().map(|laggard| laggard.unread).collect();
    assert_eq!(unread, [9, 8, 7, 6]);
    for laggard in &slow {
        let device = devices.iter().find(|(d, _)| d.id() == laggard.connection);
        let (device, unread) = device.expect("one of these");
        assert_eq!(
            (device.user(), u64::from(*unread)),
            (&laggard.user, laggard.unread)
        );
    }
    assert!(hub.laggards(0, Lag::Unread).is_empty());
    assert_eq!(
        hub.laggards(usize::MAX, Lag::Unread).len(),
        9,
        "one has read everything"
    );
    // Of two that are as slow the older one comes first.
    let ann = hub.scope(user("ann"));
    let pair = [ann.connect().unwrap(), ann.connect().unwrap()];
    ann.publish_batch(0..20).unwrap();
    let slow: Vec<_> = hub
        .laggards(2, Lag::Unread)
        .iter()
        .map(|l| l.connection)
        .collect();
    assert_eq!(slow, [pair[0].id(), pair[1].id()]);
}

#[test]
fn r117_lag_is_measured_in_bytes_where_the_host_weighs() {
    let builder = Hub::builder().retention(Some(Retention::events(8).bytes(1 << 20)));
    let hub: Hub<u32> = builder.build_weighing(|event| *event as usize).unwrap();
    let (ann, bob) = (hub.scope(user("ann")), hub.scope(user("bob")));
    let (mut anns, bobs) = (ann.connect().unwrap(), bob.connect().unwrap());
    ann.publish_batch([16, 16, 16]).unwrap();
    bob.publish(1600).unwrap();
    let slow = hub.laggards(2, Lag::Bytes);
    let figures: Vec<_> = slow
        .iter()
        .map(|l| (l.connection, l.unread_bytes))
        .collect();
    assert_eq!(figures, [(bobs.id(), 1600), (anns.id(), 48)]);
    anns.try_recv().unwrap();
    assert_eq!(hub.laggards(2, Lag::Bytes)[1].unread_bytes, 32);
    assert_eq!(hub.laggards(2, Lag::Unread)[0].connection, anns.id());
}

#[test]
fn r117_lag_is_measured_in_age_as_sweeps_saw_it() {
    let hub: Hub<u32> = Hub::new();
    let ann = hub.scope(user("ann"));
    let (early, late) = (ann.connect().unwrap(), ann.connect().unwrap());
    ann.publish(1).unwrap();
    hub.sweep(SECOND);
    late.touch();
    hub.sweep(2 * SECOND);
    let fresh = ann.connect().unwrap();
    ann.publish(2).unwrap();
    let slow = hub.laggards(3, Lag::Age);
    let ids: Vec<_> = slow.iter().map(|laggard| laggard.connection).collect();
    assert_eq!(ids, [early.id(), late.id(), fresh.id()]);
    assert_eq!((slow[0].active_at, slow[2].active_at), (Some(SECOND), None));
}

#[test]
fn r117_each_crossing_of_the_watermark_is_told_once() {
    for kept in [None, Some(Retention::events(8))] {
        let builder = Hub::builder().unread_watermark(Some(3)).retention(kept);
        let hub: Hub<u32> = builder.build().unwrap();
        let ann = hub.scope(user("ann"));
        let mut device = ann.connect().unwrap();
        let notices = hub.lifecycle(16).unwrap();
        let told = |second: u32| {
            hub.sweep(second * SECOND);
            std::iter::from_fn(|| notices.try_next().ok()).collect::<Vec<_>>()
        };
        ann.publish_batch([1, 2]).unwrap();
        assert!(told(1).is_empty());
        ann.publish(3).unwrap();
        let behind = told(2);
        let [notice] = &behind[..] else {
            panic!("{behind:?}")
        };
        let Change::Behind {
            connection, unread, ..
        } = notice.change
        else {
            panic!("{notice:?}")
        };
        assert_eq!((connection, unread, notice.number), (device.id(), 3, 1));
        ann.publish(4).unwrap();
        assert!(
            told(3).is_empty() && told(4).is_empty(),
            "it is behind still"
        );
        device.touch();
        assert!(told(5).is_empty());
        events(&mut device);
        let up = told(6);
        assert!(
            matches!(&up[..], [n] if matches!(n.change, Change::CaughtUp { .. })),
            "{up:?}"
        );
        assert!(told(7).is_empty());
        ann.publish_batch([5, 6, 7]).unwrap();
        assert_eq!(told(8).len(), 1);
        drop(device);
        // The notices of the end have the numbers that they have without these.
        let numbers: Vec<_> = told(9).iter().map(|notice| notice.number).collect();
        assert_eq!(numbers, [2, 3]);
    }
}
