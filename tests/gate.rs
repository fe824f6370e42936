//! The gate: scopes that the host has taken back, or from which it has taken rights.
#![cfg(not(any(laneway_loom, laneway_shuttle)))]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use laneway::{
    CloseReason, Closed, ConnectError, ConnectOptions, Hub, JoinRoomError, Limits, NotAllowed,
    PublishError, Received, ResumeError, Retention, Revocation, RoomId, ThreadId, TryRecvError,
    UserId, UserScope, conserved,
};

fn user(name: &str) -> UserId {
    UserId::new(name).expect("valid")
}

fn hub_and_ann() -> (Hub<u32>, UserScope<u32>) {
    let hub = Hub::new();
    let ann = hub.scope(user("ann"));
    (hub, ann)
}

const REVOKED: TryRecvError = TryRecvError::Closed(Closed {
    reason: CloseReason::Revoked,
});

#[test]
fn r118_no_verb_of_a_revoked_scope_does_anything() {
    let (hub, ann) = hub_and_ann();
    let thread = ThreadId::new("Oslo").expect("valid");
    let device = ann.connect().expect("room");
    let position = device.position();
    // A scope that knows its user's entry, and one that never published.
    for n in 0..3 {
        ann.publish(n).expect("accepted");
    }
    hub.revoke(ann.user(), Revocation::all().keep_connections());
    for scope in [&ann, &ann.clone()] {
        let refused = [
            scope.publish(7),
            scope.try_publish(7),
            scope.publish_critical(7),
            scope.publish_timeout(7, std::time::Duration::ZERO),
            scope.to_all().publish(7),
            scope.to_connection(device.id()).publish(7),
            scope.to_thread(&thread).publish_critical(7),
            scope.to_others(device.id()).try_publish(7),
            scope
                .publish_batch([7, 8])
                .map_err(|e| e.error)
                .map(|d| d.last.expect("one")),
        ];
        for refused in refused {
            assert_eq!(
                refused,
                Err(PublishError::Revoked(7)),
                "the event comes back"
            );
        }
        let room = RoomId::new("room").unwrap();
        assert_eq!(scope.join(&room), Err(JoinRoomError::Revoked));
        assert!(!scope.leave(&room) && scope.rooms().is_empty());
        assert_eq!(scope.connect().err(), Some(ConnectError::Revoked));
        let resumed = scope.resume(&position).err();
        assert_eq!(resumed, Some(ResumeError::Connect(ConnectError::Revoked)));
        assert!(scope.connections().is_empty() && !scope.is_online());
        assert_eq!((scope.connection_count(), scope.overrun_count()), (0, 0));
        assert!(!scope.disconnect(device.id(), 1));
        assert_eq!(scope.disconnect_all(1), 0);
        let mut report = String::new();
        scope.dump(&mut report).expect("written");
        assert!(report.is_empty() && scope.is_revoked());
    }
    assert_eq!(device.unread(), 3, "what runs goes on");
    let stats = hub.stats();
    assert_eq!(stats.refused_revoked, 18);
    conserved(21, hub.accepted(), &stats, [device.stats()]).expect("each is accounted for");
    assert_eq!(
        hub.to_user(ann.user())
            .publish(9)
            .expect("the host's")
            .connections,
        1
    );
}

#[test]
fn r118_a_scope_that_the_host_makes_afterwards_works_and_other_users_notice_nothing() {
    let (hub, ann) = hub_and_ann();
    let bob = hub.scope(user("bob"));
    let (mut hers, mut his) = (ann.connect().expect("room"), bob.connect().expect("room"));
    assert_eq!(hub.revoke(ann.user(), Revocation::all()), 1);
    assert_eq!(hers.try_recv(), Err(REVOKED));
    let again = hub.scope(user("ann"));
    let mut device = again.connect().expect("room");
    for n in 0..4 {
        assert_eq!(again.publish(n).expect("accepted").connections, 1);
        assert!(ann.publish(n).is_err_and(|e| e.is_revoked()));
        assert_eq!(bob.publish(n).expect("accepted").connections, 1);
        for device in [&mut device, &mut his] {
            assert!(matches!(device.try_recv(), Ok(Received::Event(d)) if d.event == n));
        }
    }
    // A second revocation takes the newer scope, too.
    assert_eq!(hub.revoke(ann.user(), Revocation::all()), 1);
    assert!(again.is_revoked() && ann.is_revoked() && !bob.is_revoked());
    assert_eq!(hub.revoked_users(), 1);
}

#[test]
fn r118_scopes_made_before_a_generation_are_revoked_and_later_ones_are_not() {
    let (hub, old) = hub_and_ann();
    let older = old.clone();
    let mark = hub.next_generation();
    let new = hub.scope(user("ann"));
    let clone_of_old = old.clone();
    hub.revoke(&user("ann"), Revocation::before(mark));
    assert!([&old, &older, &clone_of_old].iter().all(|s| s.is_revoked()));
    assert!(!new.is_revoked());
    // What was revoked is not given back by an earlier mark, and nothing is older than the first.
    hub.revoke(&user("ann"), Revocation::before(old.made_at()));
    assert!(old.is_revoked() && !new.is_revoked());
    let bob = hub.scope(user("bob"));
    hub.revoke(&user("bob"), Revocation::before(old.made_at()));
    assert!(!bob.is_revoked());
    // A mark of another hub reaches no scope that is made later.
    let other = Hub::<u32>::new();
    let mut far = other.next_generation();
    for _ in 0..100 {
        far = other.next_generation();
    }
    hub.revoke(&user("bob"), Revocation::before(far));
    assert!(bob.is_revoked() && !hub.scope(user("bob")).is_revoked());
}

#[test]
fn r118_connections_are_closed_left_or_all_but_one() {
    let (hub, ann) = hub_and_ann();
    let three = || [0; 3].map(|_| hub.scope(user("ann")).connect().expect("room"));
    let mut devices = three();
    assert_eq!(
        hub.revoke(ann.user(), Revocation::all().keep_connections()),
        0
    );
    hub.to_user(ann.user()).publish(1).expect("accepted");
    assert!(devices.iter_mut().all(|d| d.try_recv().is_ok()));
    let kept = Revocation::all().keep_connection(devices[1].id());
    assert_eq!(hub.revoke(ann.user(), kept), 2);
    assert_eq!(devices[0].try_recv(), Err(REVOKED));
    assert_eq!(devices[1].try_recv(), Err(TryRecvError::Empty));
    assert_eq!(devices[2].try_recv(), Err(REVOKED));
    assert_eq!(hub.revoke(ann.user(), Revocation::all()), 1);
    assert!(!hub.is_online(ann.user()));
}

#[test]
fn r118_a_kept_lane_survives_and_a_revoked_scope_reads_nothing_of_it() {
    let retention = Some(Retention::events(8));
    let hub: Hub<u32> = Hub::builder().retention(retention).build().expect("valid");
    let ann = hub.scope(user("ann"));
    let phone = ann.connect().expect("room");
    let position = phone.position();
    ann.publish_critical(1).expect("accepted");
    hub.revoke(ann.user(), Revocation::all());
    assert_eq!(ann.publish_critical(2), Err(PublishError::Revoked(2)));
    let refused = ann.resume(&position).err();
    assert_eq!(refused, Some(ResumeError::Connect(ConnectError::Revoked)));
    let (mut phone, _) = hub.scope(user("ann")).resume(&position).expect("hers");
    assert!(matches!(phone.try_recv(), Ok(Received::Event(d)) if d.event == 1));
}

#[test]
fn r118_no_publish_that_begins_after_a_revocation_is_accepted() {
    for _ in 0..200 {
        let (hub, ann) = hub_and_ann();
        let device = ann.connect().expect("room");
        let revoked = AtomicBool::new(false);
        thread::scope(|s| {
            for _ in 0..2 {
                s.spawn(|| {
                    for n in 0..10_000 {
                        let before = revoked.load(Ordering::Acquire);
                        let done = ann.publish(n);
                        assert!(!before || done.is_err_and(|e| e.is_revoked()));
                        if before {
                            return;
                        }
                    }
                });
            }
            hub.revoke(ann.user(), Revocation::all().keep_connections());
            revoked.store(true, Ordering::Release);
        });
        drop(device);
    }
}

#[test]
fn r118_no_connection_of_a_revoked_scope_outlives_the_revocation() {
    for _ in 0..200 {
        let (hub, ann) = hub_and_ann();
        thread::scope(|s| {
            let connecting = s.spawn(|| ann.connect());
            hub.revoke(ann.user(), Revocation::all());
            if let Ok(mut device) = connecting.join().expect("no panic") {
                assert_eq!(device.try_recv(), Err(REVOKED));
            }
        });
        assert_eq!(hub.user_count(), 0);
    }
}

#[test]
fn r118_what_is_remembered_is_bounded_and_nothing_that_was_revoked_is_good_again() {
    const MOST: usize = 65_536;
    let hub = Hub::builder().shards(1).build::<u32>().expect("valid");
    let bystander = hub.scope(user("bystander"));
    let of = |n: usize| hub.scope(user(&format!("user {n}")));
    let old: Vec<_> = (0..MOST + 100).map(of).collect();
    for (n, scope) in old.iter().enumerate() {
        hub.revoke(scope.user(), Revocation::all());
        assert!(hub.revoked_users() <= MOST, "{n}");
    }
    assert!(hub.revoked_users() < MOST, "the oldest made room");
    assert!(old.iter().all(UserScope::is_revoked));
    assert!(bystander.is_revoked(), "older than what made room");
    assert!(
        (0..10).all(|n| !of(n).is_revoked()),
        "the host makes new ones"
    );
    // A user whose entry has gone is revoked anew.
    let first = of(0);
    hub.revoke(first.user(), Revocation::all());
    assert!(first.is_revoked() && !of(0).is_revoked());
}

fn weaker(scope: &UserScope<u32>, limits: Limits) -> UserScope<u32> {
    scope.attenuate(limits).expect("not too deep")
}

fn denied<T>(done: &Result<T, PublishError<u32>>) -> Option<NotAllowed> {
    match done {
        Err(PublishError::NotAllowed(7, missing)) => Some(*missing),
        _ => None,
    }
}

#[test]
fn r119_a_scope_that_only_publishes_or_only_connects_does_nothing_else() {
    let (hub, ann) = hub_and_ann();
    let device = ann.connect().expect("room");
    let position = device.position();
    let publishes = weaker(&ann, Limits::new().publish_only());
    let connects = weaker(&ann, Limits::new().receive_only());
    assert_eq!(publishes.publish(7).expect("allowed").connections, 1);
    assert_eq!(
        publishes
            .to_connection(device.id())
            .publish(7)
            .expect("allowed")
            .connections,
        1
    );
    let missing = ConnectError::NotAllowed(NotAllowed::Connect);
    assert_eq!(publishes.connect().err(), Some(missing));
    assert_eq!(
        publishes.resume(&position).err(),
        Some(ResumeError::Connect(missing))
    );
    for scope in [&publishes, &connects] {
        assert!(scope.connections().is_empty() && !scope.is_online());
        assert!(!scope.disconnect(device.id(), 1));
        assert_eq!((scope.connection_count(), scope.disconnect_all(1)), (0, 0));
    }
    assert_eq!(denied(&connects.publish(7)), Some(NotAllowed::Publish));
    assert_eq!(
        denied(&connects.to_others(device.id()).publish(7)),
        Some(NotAllowed::Publish)
    );
    let batch = connects.publish_batch([7]).map_err(|e| e.error);
    assert_eq!(denied(&batch), Some(NotAllowed::Publish));
    assert!(connects.connect().is_ok() && connects.resume(&position).is_ok());
    let nothing = weaker(&publishes, Limits::new().receive_only());
    assert!(nothing.connect().is_err() && nothing.publish(7).is_err());
    let stats = hub.stats();
    assert_eq!(stats.refused_not_allowed, 4);
    conserved(6, hub.accepted(), &stats, []).expect("each is accounted for");
}

#[test]
fn r119_a_scope_for_one_thread_reaches_no_other() {
    let (_hub, ann) = hub_and_ann();
    let [oslo, rome] = ["Oslo", "Rome"].map(|t| ThreadId::new(t).expect("valid"));
    let in_oslo = ConnectOptions::default().thread(oslo.clone());
    let scope = weaker(&ann, Limits::new().thread(oslo.clone()));
    let device = scope.connect_with(in_oslo.clone()).expect("allowed");
    assert_eq!(
        scope
            .to_thread(&oslo)
            .publish(7)
            .expect("allowed")
            .connections,
        1
    );
    let other = ConnectOptions::default().thread(rome.clone());
    let missing = ConnectError::NotAllowed(NotAllowed::Thread);
    assert_eq!(scope.connect().err(), Some(missing));
    assert_eq!(scope.connect_with(other).err(), Some(missing));
    assert!(scope.resume_with(&device.position(), in_oslo).is_err());
    for refused in [
        scope.publish(7),
        scope.to_thread(&rome).publish(7),
        scope.to_connection(device.id()).publish(7),
        scope.to_others(device.id()).publish(7),
    ] {
        assert_eq!(denied(&refused), Some(NotAllowed::Thread));
    }
    let both = weaker(&scope, Limits::new().thread(rome.clone()));
    for thread in [&oslo, &rome] {
        assert_eq!(
            denied(&both.to_thread(thread).publish(7)),
            Some(NotAllowed::Publish)
        );
    }
    let same = weaker(&scope, Limits::new().thread(oslo.clone()));
    assert!(same.to_thread(&oslo).publish(7).is_ok());
}

#[test]
fn r119_so_many_events_are_exact_whatever_threads_do() {
    for _ in 0..50 {
        let (hub, ann) = hub_and_ann();
        let device = ann.connect().expect("room");
        let scope = weaker(&ann, Limits::new().events(100));
        let accepted = AtomicU64::new(0);
        thread::scope(|s| {
            for _ in 0..4 {
                let clone = scope.clone();
                let (accepted, ann, device) = (&accepted, &ann, &device);
                s.spawn(move || {
                    for n in 0..40 {
                        // Those that are refused for another reason cost no unit.
                        let absent = ann.connect().map(|c| c.id()).expect("room");
                        assert!(clone.to_connection(absent).publish(n).is_err());
                        let done = clone.to_connection(device.id()).publish(n);
                        accepted.fetch_add(u64::from(done.is_ok()), Ordering::Relaxed);
                    }
                });
            }
        });
        // What another thread has taken for a moment may have cost a publish, and no unit.
        let left = scope.events_left().expect("limited");
        let done = accepted.load(Ordering::Relaxed);
        assert_eq!(done + left, 100);
        for n in 0..left {
            scope.publish(n as u32).expect("there are units");
        }
        assert_eq!(denied(&scope.publish(7)), Some(NotAllowed::Events));
        assert_eq!(hub.accepted(), 100);
    }
}

#[test]
fn r119_a_scope_made_from_a_weaker_one_is_weaker_still() {
    let (hub, ann) = hub_and_ann();
    let _device = ann.connect().expect("room");
    let first = weaker(&ann, Limits::new().events(3).until(Duration::from_secs(9)));
    let second = weaker(
        &first,
        Limits::new().events(5).until(Duration::from_secs(99)),
    );
    let third = weaker(&second, Limits::new().events(1));
    assert_eq!(third.events_left(), Some(1));
    third.publish(7).expect("one");
    assert_eq!(denied(&third.publish(7)), Some(NotAllowed::Events));
    assert_eq!(
        (first.events_left(), second.events_left()),
        (Some(2), Some(2))
    );
    second.publish(7).expect("two");
    first.publish(7).expect("three");
    assert_eq!(denied(&second.publish(7)), Some(NotAllowed::Events));
    assert_eq!(
        denied(&weaker(&third, Limits::new()).publish(7)),
        Some(NotAllowed::Events)
    );
    assert!(ann.publish(7).is_ok(), "the whole scope is as it was");
    // A revocation takes the whole scope, and all that came from it.
    assert!(second.connect().is_ok());
    hub.revoke(ann.user(), Revocation::all());
    assert!(
        [&ann, &first, &second, &third]
            .iter()
            .all(|s| s.is_revoked())
    );
    assert!(
        weaker(&second, Limits::new())
            .publish(7)
            .is_err_and(|e| e.is_revoked())
    );
    // As deep as it may be.
    let mut scope = hub.scope(user("ann"));
    for _ in 0..8 {
        scope = weaker(&scope, Limits::new().events(9));
    }
    let refused = scope.attenuate(Limits::new().until(Duration::ZERO));
    assert_eq!(refused.err().map(|e| e.limit), Some(8));
    assert!(
        weaker(&scope, Limits::new().publish_only())
            .connect()
            .is_err()
    );
}

#[test]
fn r119_a_deadline_is_told_by_sweeps_and_what_is_over_stays_over() {
    let (hub, ann) = hub_and_ann();
    let at = Duration::from_secs;
    let _device = ann.connect().expect("room");
    let scope = weaker(&ann, Limits::new().until(at(60)));
    let longer = weaker(&ann, Limits::new().until(at(120)));
    let child = weaker(&scope, Limits::new());
    for now in [0, 59, 10] {
        hub.sweep(at(now));
        assert!(scope.publish(7).is_ok() && scope.connect().is_ok() && scope.is_online());
    }
    hub.sweep(at(60));
    assert_eq!(denied(&scope.publish(7)), Some(NotAllowed::Time));
    hub.sweep(at(1)); // a clock that jumps back
    for scope in [&scope, &scope.clone(), &child] {
        assert_eq!(denied(&scope.publish(7)), Some(NotAllowed::Time));
        let missing = ConnectError::NotAllowed(NotAllowed::Time);
        assert_eq!(scope.connect().err(), Some(missing));
        assert!(!scope.is_online());
    }
    assert!(longer.publish(7).is_ok() && ann.publish(7).is_ok());
    // A clock that jumps ahead ends no scope that was not used meanwhile.
    hub.sweep(Duration::MAX);
    hub.sweep(at(2));
    assert!(longer.publish(7).is_ok());
}
