//! Who is there: statuses, their changes in order, snapshots, and the notes on devices.
#![cfg(not(any(laneway_loom, laneway_shuttle)))]
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // Threads that come and go.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use laneway::{
    ConnectError, ConnectOptions, Hub, LifecycleError, NoNotice, Presence, PresenceError,
    PresenceFeed, PresenceSettings, PresenceUpdate, Retention, Status, ThreadId, UserId, UserScope,
};

const SECOND: Duration = Duration::from_secs(1);

fn user(n: usize) -> UserId {
    UserId::new(format!("user {n}")).expect("valid")
}

fn plain() -> Hub<u8> {
    Hub::builder().shards(16).build().expect("valid")
}

/// A hub that keeps lanes for eight seconds.
fn keeping() -> Hub<u8> {
    let retention = Retention::events(4).grace(8 * SECOND);
    let builder = Hub::builder().shards(16).retention(Some(retention));
    builder.build().expect("valid")
}

fn settings() -> PresenceSettings {
    PresenceSettings::default()
}

type Edge = (UserId, Status, Status);

/// A subscriber, which checks that nothing is missed or comes twice.
struct View {
    feed: PresenceFeed,
    number: u64,
    users: HashMap<UserId, Status>,
    snapshots: usize,
    lost: u64,
    is_over: bool,
}

impl View {
    fn new(presence: &mut Presence<u8>, capacity: usize) -> Self {
        Self {
            feed: presence.subscribe(capacity).unwrap(),
            number: 0,
            users: HashMap::new(),
            snapshots: 0,
            lost: 0,
            is_over: false,
        }
    }

    fn read(&mut self) -> Vec<Edge> {
        let mut edges = Vec::new();
        loop {
            match self.feed.try_next() {
                Ok(update) => edges.extend(self.apply(update)),
                Err(none) => {
                    self.is_over = none == NoNotice::Over;
                    return edges;
                }
            }
        }
    }

    fn apply(&mut self, update: PresenceUpdate) -> Option<Edge> {
        match update {
            PresenceUpdate::Snapshot {
                number,
                users,
                lost,
                ..
            } => {
                if self.snapshots > 0 {
                    assert_eq!(number, self.number + lost, "each loss is told");
                }
                (self.number, self.users) = (number, users.into_iter().collect());
                self.snapshots += 1;
                self.lost += lost;
                None
            }
            PresenceUpdate::Change(change) => {
                assert_eq!(
                    change.number,
                    self.number + 1,
                    "none is missed or comes twice"
                );
                self.number = change.number;
                let known = self.users.get(&change.user).copied();
                assert_eq!(
                    change.from,
                    known.unwrap_or(Status::Offline),
                    "changes follow each other"
                );
                assert_ne!(change.from, change.to, "an edge");
                if change.to == Status::Offline {
                    self.users.remove(&change.user);
                } else {
                    self.users.insert(change.user.clone(), change.to);
                }
                Some((change.user, change.from, change.to))
            }
            other => panic!("{other:?}"),
        }
    }
}

fn shown(presence: &Presence<u8>) -> HashMap<UserId, Status> {
    presence
        .users()
        .map(|(user, status)| (user.clone(), status))
        .collect()
}

#[test]
fn r105_a_user_is_online_then_away_for_the_grace_then_offline() {
    use Status::{Away, Offline, Online};
    let hub = keeping();
    let ann = hub.scope(user(1));
    let mut presence = hub.presence(settings()).unwrap();
    let mut view = View::new(&mut presence, 16);
    let mut step = |edges: &[(Status, Status)], view: &mut View, second: u32| {
        let changes = presence.step(second * SECOND).changes;
        assert_eq!(changes, edges.len() as u64);
        let expected: Vec<_> = edges
            .iter()
            .map(|(from, to)| (user(1), *from, *to))
            .collect();
        assert_eq!(view.read(), expected, "at {second} s");
        let last = edges.last().map(|edge| edge.1);
        assert!(last.is_none_or(|last| presence.status(&user(1)) == last));
    };
    step(&[], &mut view, 0);
    let phone = ann.connect().unwrap();
    let laptop = ann.connect().unwrap();
    step(&[(Offline, Online)], &mut view, 1);
    drop(phone);
    step(&[], &mut view, 2);
    drop(laptop);
    step(&[(Online, Away)], &mut view, 3);
    let phone = ann.connect().unwrap();
    step(&[(Away, Online)], &mut view, 4);
    drop(phone);
    step(&[(Online, Away)], &mut view, 5);
    for second in 6..14 {
        hub.sweep(second * SECOND);
        step(&[], &mut view, second);
    }
    for second in 14..18 {
        hub.sweep(second * SECOND);
    }
    step(&[(Away, Offline)], &mut view, 18);
    // A user whose event waits was never here.
    hub.scope(user(2)).publish_critical(7).unwrap();
    step(&[], &mut view, 19);
    let late = hub.presence(settings()).unwrap();
    assert!(late.is_empty());
}

#[test]
fn r105_a_tracker_begins_with_those_who_are_there_and_ends_with_the_hub() {
    let hub = keeping();
    let device = hub.scope(user(1)).connect().unwrap();
    drop(hub.scope(user(2)).connect().unwrap());
    let mut presence = hub.presence(settings().debounce(10 * SECOND)).unwrap();
    assert_eq!(presence.len(), 2);
    let statuses = [1, 2, 3].map(|n| presence.status(&user(n)));
    assert_eq!(statuses, [Status::Online, Status::Away, Status::Offline]);
    let mut view = View::new(&mut presence, 16);
    view.read();
    assert_eq!(view.users, shown(&presence));
    hub.shutdown();
    drop(device);
    assert!(presence.step(SECOND).is_over);
    let edges = view.read();
    assert_eq!(edges.len(), 2, "whatever the debounce");
    assert!(presence.is_empty() && view.is_over);
    assert_eq!(presence.step(2 * SECOND).changes, 0);
    let mut late = View::new(&mut presence, 1);
    assert!(late.read().is_empty() && late.is_over);
}

#[test]
fn r106_a_user_who_is_back_within_the_debounce_makes_no_edge() {
    for hub in [plain(), keeping()] {
        let ann = hub.scope(user(1));
        let mut presence = hub.presence(settings().debounce(4 * SECOND)).unwrap();
        let mut view = View::new(&mut presence, 16);
        let mut device = Some(ann.connect().unwrap());
        presence.step(Duration::ZERO);
        assert_eq!(view.read().len(), 1, "who comes counts at once");
        // For two seconds here, for three away.
        for second in 1..40 {
            match second % 5 {
                0 => device = None,
                3 => device = Some(ann.connect().unwrap()),
                _ => {}
            }
            presence.step(second * SECOND);
        }
        assert_eq!(view.read(), [], "flapping");
        assert_eq!(presence.status(&user(1)), Status::Online);
        drop(device);
        let edges = (40..46).map(|second| presence.step(second * SECOND).changes);
        // Found gone at 40, and due four seconds later.
        assert_eq!(edges.collect::<Vec<_>>(), [0, 0, 0, 0, 1, 0]);
        assert_ne!(presence.status(&user(1)), Status::Online);
        // A pause of the process lets a quarter pass.
        let _device = ann.connect().unwrap();
        presence.step(50 * SECOND);
    }
}

#[test]
fn r106_a_subscriber_that_is_too_slow_is_told_its_loss_with_a_new_snapshot() {
    let hub = plain();
    let mut presence = hub.presence(settings()).unwrap();
    let mut slow = View::new(&mut presence, 3);
    let mut quick = View::new(&mut presence, 64);
    let mut devices = Vec::new();
    for n in 0..20 {
        devices.push(hub.scope(user(n)).connect().unwrap());
        presence.step(Duration::ZERO);
        quick.read();
    }
    // The snapshot and two changes. The other changes did not fit in.
    assert_eq!(slow.read().len(), 2);
    presence.step(Duration::ZERO);
    assert_eq!(slow.read(), []);
    assert_eq!((slow.snapshots, slow.lost), (2, 18));
    assert_eq!(slow.users, shown(&presence));
    drop(devices.pop());
    presence.step(Duration::ZERO);
    assert_eq!((slow.read().len(), quick.read().len()), (1, 1));
    assert_eq!((quick.snapshots, quick.lost), (1, 0));
}

#[test]
fn r106_lost_notices_cost_a_look_at_all_users_and_no_edge() {
    let hub = plain();
    let mut presence = hub.presence(settings().notices(4)).unwrap();
    let mut view = View::new(&mut presence, 64);
    let mut devices: Vec<_> = (0..20)
        .map(|n| hub.scope(user(n)).connect().unwrap())
        .collect();
    assert!(presence.step(Duration::ZERO).has_looked_at_all);
    assert_eq!(view.read().len(), 20);
    devices.truncate(5);
    assert!(presence.step(Duration::ZERO).has_looked_at_all);
    assert_eq!(view.read().len(), 15);
    let step = presence.step(Duration::ZERO);
    assert!(!step.has_looked_at_all && step.changes == 0);
    assert_eq!(presence.len(), 5);
}

#[test]
fn r106_users_subscribers_and_channels_are_bounded() {
    let hub = plain();
    let refused = |settings| hub.presence(settings).map(drop).unwrap_err();
    assert_eq!(refused(settings().max_users(0)), PresenceError::MaxUsers);
    let notices = PresenceError::Notices(LifecycleError::Capacity(0));
    assert_eq!(refused(settings().notices(0)), notices);
    let mut presence = hub.presence(settings().max_users(3)).unwrap();
    for capacity in [0, (1 << 20) + 1] {
        let refused = presence.subscribe(capacity).unwrap_err();
        assert_eq!(refused, PresenceError::Capacity(capacity));
    }
    let mut feeds: Vec<_> = (0..16).map(|_| presence.subscribe(1).unwrap()).collect();
    let refused = presence.subscribe(1).unwrap_err();
    assert!(matches!(refused, PresenceError::TooMany { limit: 16, .. }));
    feeds.pop();
    let mut view = View::new(&mut presence, 64);
    let mut devices: Vec<_> = (0..5)
        .map(|n| hub.scope(user(n)).connect().unwrap())
        .collect();
    let step = presence.step(Duration::ZERO);
    assert!(step.is_full && step.changes == 3);
    // Two leave. The two users who were left out come in.
    let there: Vec<_> = view.read().into_iter().map(|(user, ..)| user).collect();
    devices.retain(|device| !there[..2].contains(device.user()));
    presence.step(Duration::ZERO);
    presence.step(Duration::ZERO);
    let step = presence.step(Duration::ZERO);
    assert!(!step.is_full);
    view.read();
    let online: HashMap<_, _> = devices
        .iter()
        .map(|d| (d.user().clone(), Status::Online))
        .collect();
    assert_eq!((shown(&presence), view.users), (online.clone(), online));
}

#[test]
fn r106_each_edge_comes_once_and_in_order_while_users_flap() {
    const USERS: usize = 40;
    for (hub, notices) in [
        (plain(), 65_536),
        (plain(), 8),
        (keeping(), 65_536),
        (keeping(), 8),
    ] {
        let mut presence = hub.presence(settings().notices(notices)).unwrap();
        let scopes: Vec<_> = (0..USERS).map(|n| hub.scope(user(n))).collect();
        let running = AtomicUsize::new(3);
        let mut views = Vec::new();
        let mut edges = 0;
        let flap = |seed: usize, scopes: &[UserScope<u8>]| {
            let mut devices: Vec<Option<_>> = scopes.iter().map(|_| None).collect();
            for n in (seed..).map(|n| n * 31).take(20_003 + seed) {
                let device = &mut devices[n % USERS];
                *device = match device.take() {
                    None => Some(scopes[n % USERS].connect().unwrap()),
                    Some(_) => None,
                };
            }
            running.fetch_sub(1, Ordering::AcqRel);
            devices
        };
        let left = thread::scope(|s| {
            let threads: Vec<_> = (0..3)
                .map(|seed| {
                    s.spawn({
                        let (flap, scopes) = (&flap, &scopes);
                        move || flap(seed * 7, scopes)
                    })
                })
                .collect();
            let mut steps = 0;
            while running.load(Ordering::Acquire) > 0 {
                hub.sweep(steps * SECOND / 10);
                presence.step(steps * SECOND / 10);
                if steps % 16 == 0 && views.len() < 8 {
                    views.push(View::new(&mut presence, 256));
                }
                edges += views
                    .iter_mut()
                    .map(|view| view.read().len())
                    .sum::<usize>();
                steps += 1;
            }
            threads
                .into_iter()
                .map(|t| t.join().unwrap())
                .collect::<Vec<_>>()
        });
        presence.step(Duration::from_secs(1_000));
        let online = |n: &usize| left.iter().any(|devices| devices[*n].is_some());
        let online: Vec<_> = (0..USERS).filter(online).collect();
        for n in 0..USERS {
            let is_online = presence.status(&user(n)) == Status::Online;
            assert_eq!(is_online, online.contains(&n), "user {n}");
        }
        for view in &mut views {
            view.read();
            presence.step(Duration::from_secs(1_000));
            view.read();
            assert_eq!(
                view.users,
                shown(&presence),
                "a view is right after each update"
            );
        }
        println!(
            "{} views, {edges} edges, {} of {USERS} online",
            views.len(),
            online.len()
        );
        assert!(edges > 0);
    }
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn r106_a_task_that_waits_is_woken_by_a_change_and_by_the_end() {
    let hub = plain();
    let mut presence = hub.presence(settings()).unwrap();
    let mut feed = presence.subscribe(4).unwrap();
    let woken = Arc::new(Woken(AtomicBool::new(false)));
    let waker = Waker::from(Arc::clone(&woken));
    let mut cx = Context::from_waker(&waker);
    assert!(matches!(
        feed.poll_next(&mut cx),
        Poll::Ready(Some(PresenceUpdate::Snapshot { .. }))
    ));
    assert!(feed.poll_next(&mut cx).is_pending());
    let _device = hub.scope(user(1)).connect().unwrap();
    assert!(!woken.0.load(Ordering::SeqCst));
    presence.step(Duration::ZERO);
    assert!(woken.0.swap(false, Ordering::SeqCst));
    assert!(matches!(
        feed.poll_next(&mut cx),
        Poll::Ready(Some(PresenceUpdate::Change(_)))
    ));
    assert!(feed.poll_next(&mut cx).is_pending());
    drop(presence);
    assert!(woken.0.load(Ordering::SeqCst));
    assert!(matches!(feed.poll_next(&mut cx), Poll::Ready(None)));
}

#[test]
fn r107_the_hosts_note_on_a_device_is_listed_and_bounded() {
    let hub = keeping();
    let ann = hub.scope(user(1));
    let presence = hub.presence(settings()).unwrap();
    let options = ConnectOptions::default;
    let phone = ann.connect_with(options().note("phone")).unwrap();
    let thread = ThreadId::new("Oslo").unwrap();
    let _laptop = ann
        .connect_with(options().note("laptop").thread(thread.clone()))
        .unwrap();
    let _other = ann.connect().unwrap();
    let notes = |list: Vec<laneway::ConnectionInfo>| {
        let note = |info: laneway::ConnectionInfo| (info.note.map(String::from), info.threads);
        list.into_iter().map(note).collect::<Vec<_>>()
    };
    let expected = [
        (Some("phone".to_owned()), vec![]),
        (Some("laptop".to_owned()), vec![thread]),
        (None, vec![]),
    ];
    assert_eq!(notes(ann.connections()), expected);
    assert_eq!(notes(presence.devices(&user(1))), expected);
    assert_eq!(presence.devices(&user(2)), []);
    let long = "x".repeat(1_024);
    assert!(ann.connect_with(options().note(long.clone())).is_ok());
    let refused = ann.connect_with(options().note(long + "x")).unwrap_err();
    assert_eq!(refused, ConnectError::Note(1_025));
    // A device that resumes says anew what it is.
    let position = phone.position();
    let (phone, _) = ann
        .resume_with(&position, options().note("tablet"))
        .unwrap();
    assert_eq!(phone.note(), Some("tablet"));
    let (phone, _) = ann.resume(&phone.position()).unwrap();
    assert_eq!(phone.note(), None);
}
