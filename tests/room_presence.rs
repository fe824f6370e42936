//! R124: who is in a room, and each change of that in order.
#![cfg(not(any(laneway_loom, laneway_shuttle)))]

use std::collections::HashMap;
use std::time::Duration;

use laneway::{
    Connection, Hub, Memberships, Presence, PresenceSettings, Retention, RoomChange, RoomId,
    RoomPresence, Status, UserId, UserScope,
};

#[path = "common/random.rs"]
mod random;
use random::Random;

const SECOND: Duration = Duration::from_secs(1);

fn room(name: &str) -> RoomId {
    RoomId::new(name).expect("valid")
}

fn user(n: usize) -> UserId {
    UserId::new(format!("user {n}")).expect("valid")
}

fn presence(hub: &Hub<u8>) -> Presence<u8> {
    hub.presence(PresenceSettings::default())
        .expect("room for one")
}

/// A client's list of members, which knows only what it was told.
#[derive(Default)]
struct Client {
    members: HashMap<UserId, Status>,
    number: u64,
}

impl Client {
    fn apply(&mut self, changes: Vec<RoomChange>) {
        for change in changes {
            self.number += 1;
            assert_eq!(change.number, self.number, "none is missed or comes twice");
            let known = self.members.get(&change.user).copied();
            assert_eq!(change.from, known, "changes follow each other");
            assert_ne!(change.from, change.to, "an edge");
            match change.to {
                Some(status) => drop(self.members.insert(change.user, status)),
                None => drop(self.members.remove(&change.user)),
            }
        }
    }

    fn assert_knows(&self, here: &RoomPresence<u8>) {
        let members: HashMap<_, _> = here.members().map(|(u, s)| (u.clone(), s)).collect();
        assert_eq!((&self.members, self.number), (&members, here.number()));
        for (user, status) in members {
            assert_eq!(here.status(&user), Some(status));
        }
    }
}

#[test]
fn r124_a_room_shows_joins_leaves_and_statuses_each_once() {
    use Status::{Away, Offline, Online};
    let retention = Retention::events(4).grace(8 * SECOND);
    let hub: Hub<u8> = Hub::builder()
        .retention(Some(retention))
        .memberships(Memberships::Kept { max_users: 8 })
        .build()
        .unwrap();
    let ann = hub.scope(user(1));
    let mut presence = presence(&hub);
    let mut here = hub.rooms([room("Oslo"), room("Rome")]).presence();
    let mut now = Duration::ZERO;
    let mut update = |expected: &[(Option<Status>, Option<Status>)]| {
        now += SECOND;
        hub.sweep(now);
        presence.step(now);
        let changes = here.update(&presence);
        let edges: Vec<_> = changes.iter().map(|c| (c.from, c.to)).collect();
        assert_eq!(edges, expected);
        assert!(changes.iter().all(|change| change.user == user(1)));
    };
    let phone = ann.connect().unwrap();
    update(&[]); // online, and no member
    ann.join(&room("Oslo")).unwrap();
    update(&[(None, Some(Online))]);
    ann.join(&room("Rome")).unwrap();
    update(&[]); // a member already
    ann.leave(&room("Oslo"));
    update(&[]); // still in one of the rooms
    ann.leave(&room("Rome"));
    ann.join(&room("Rome")).unwrap();
    update(&[]);
    drop(phone);
    update(&[(Some(Online), Some(Away))]);
    for _ in 0..16 {
        now += SECOND;
        hub.sweep(now);
    }
    presence.step(now);
    let changes = here.update(&presence);
    assert_eq!(
        (changes[0].from, changes[0].to),
        (Some(Away), Some(Offline))
    );
    assert_eq!(
        here.status(ann.user()),
        Some(Offline),
        "the membership is kept"
    );
    assert_eq!(hub.forget(ann.user()), 1);
    let changes = here.update(&presence);
    assert_eq!((changes[0].from, changes[0].to), (Some(Offline), None));
    assert_eq!((changes[0].number, here.number()), (4, 4));
    // A tracker of another hub knows none of the members.
    let _phone = ann.connect().unwrap();
    ann.join(&room("Rome")).unwrap();
    let other = Hub::<u8>::new();
    let stranger = other.presence(PresenceSettings::default()).unwrap();
    assert_eq!(here.update(&stranger)[0].to, Some(Offline));
}

/// Users who come, go, join and leave at random, and two views of overlapping rooms, updated at random.
fn script(seed: u64, kept: bool) -> u64 {
    const USERS: usize = 6;
    let mut random = Random(seed);
    let mut below = |n: usize| usize::try_from(random.below(n as u64)).expect("small");
    let mut builder = Hub::builder();
    if kept {
        builder = builder.memberships(Memberships::Kept { max_users: USERS });
    }
    let hub: Hub<u8> = builder.build().unwrap();
    let rooms = [room("Oslo"), room("Rome"), room("Wien")];
    let scopes: Vec<UserScope<u8>> = (0..USERS).map(|n| hub.scope(user(n))).collect();
    let mut devices: Vec<Option<Connection<u8>>> = (0..USERS).map(|_| None).collect();
    let mut tracker = presence(&hub);
    let mut views = [
        (hub.room(rooms[0].clone()).presence(), Client::default()),
        (hub.rooms(rooms[1..].to_vec()).presence(), Client::default()),
    ];
    for _ in 0..200 {
        let who = below(USERS);
        match below(6) {
            0 => devices[who] = scopes[who].connect().ok(),
            1 => devices[who] = None,
            2 | 3 => drop(scopes[who].join(&rooms[below(3)])),
            4 => drop(scopes[who].leave(&rooms[below(3)])),
            _ => {
                tracker.step(Duration::ZERO);
                let (here, client) = &mut views[below(2)];
                client.apply(here.update(&tracker));
                client.assert_knows(here);
            }
        }
    }
    tracker.step(Duration::ZERO);
    for ((here, client), of) in views.iter_mut().zip([&rooms[..1], &rooms[1..]]) {
        client.apply(here.update(&tracker));
        client.assert_knows(here);
        // The truth: the rooms and the connection of each user.
        for (scope, device) in scopes.iter().zip(&devices) {
            let is_member = scope.rooms().iter().any(|room| of.contains(room));
            let status = match device {
                Some(_) => Status::Online,
                None => Status::Offline,
            };
            assert_eq!(here.status(scope.user()), is_member.then_some(status));
        }
        assert!(here.update(&tracker).is_empty(), "nothing has changed");
    }
    views.iter().map(|(here, _)| here.number()).sum()
}

#[test]
fn r124_a_view_of_a_room_is_what_its_changes_say_whatever_users_do() {
    for kept in [false, true] {
        let changes: u64 = (1..=100).map(|seed| script(seed, kept)).sum();
        assert!(changes > 1_000, "{changes} changes are too few");
    }
}
