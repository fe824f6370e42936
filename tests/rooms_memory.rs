//! What rooms take in memory, beside the maps by which a host would do the same.
#![cfg(not(any(laneway_loom, laneway_shuttle)))]

use std::collections::{HashMap, HashSet};

use allocation_counter::measure;
use laneway::{Hub, Memberships, RoomId, UserId, UserScope};

/// Users of one hub, each in so many of `rooms` rooms of one size.
struct Case {
    name: &'static str,
    users: usize,
    rooms: usize,
    rooms_per_user: usize,
}

impl Case {
    fn room(&self, user: usize, n: usize) -> RoomId {
        let room = (user * self.rooms_per_user + n) % self.rooms;
        RoomId::new(format!("room {room}")).unwrap()
    }

    fn memberships(&self) -> usize {
        self.users * self.rooms_per_user
    }
}

fn id(user: usize) -> UserId {
    UserId::new(format!("user-{user:07}")).unwrap()
}

/// Frees what lies retired in the collector.
fn collect() {
    for _ in 0..4096 {
        crossbeam_epoch::pin().flush();
    }
}

fn bytes(of: usize, f: impl FnOnce()) -> i64 {
    measure(f).bytes_current / i64::try_from(of).expect("few")
}

/// Bytes a membership: laneway, the maps from rooms to users, the maps in both directions.
fn measured(case: &Case) -> [i64; 3] {
    let all = case.memberships();
    let kept = Memberships::Kept {
        max_users: case.users,
    };
    let builder = Hub::builder().memberships(kept).shards(4096);
    let hub: Hub<u64> = builder.build().unwrap();
    let scopes: Vec<UserScope<u64>> = (0..case.users).map(|user| hub.scope(id(user))).collect();
    // What an earlier case has left.
    collect();
    let laneway = bytes(all, || {
        for (user, scope) in scopes.iter().enumerate() {
            for n in 0..case.rooms_per_user {
                scope.join(&case.room(user, n)).unwrap();
            }
        }
        collect();
    });
    let mut rooms: HashMap<RoomId, HashSet<UserId>> = HashMap::new();
    let one_way = bytes(all, || {
        for user in 0..case.users {
            for n in 0..case.rooms_per_user {
                let members = rooms.entry(case.room(user, n)).or_default();
                members.insert(id(user));
            }
        }
    });
    let mut users: HashMap<UserId, HashSet<RoomId>> = HashMap::new();
    let way_back = bytes(all, || {
        for user in 0..case.users {
            for n in 0..case.rooms_per_user {
                let theirs = users.entry(id(user)).or_default();
                theirs.insert(case.room(user, n));
            }
        }
    });
    [laneway, one_way, one_way + way_back]
}

#[test]
fn r102_a_membership_takes_less_than_two_maps_and_an_empty_room_nothing() {
    for case in [
        ("one room of 10 000", 10_000, 1, 1),
        ("rooms of 1 000, ten a user", 3_000, 30, 10),
        ("rooms of 20, two a user", 10_000, 1_000, 2),
        ("rooms of 3, three a user", 3_000, 3_000, 3),
    ] {
        let (name, users, rooms, rooms_per_user) = case;
        let case = Case {
            name,
            users,
            rooms,
            rooms_per_user,
        };
        let [laneway, one_way, both] = measured(&case);
        println!(
            "{}: {laneway} bytes a membership, maps {one_way} and {both} in both directions",
            case.name
        );
        assert!(laneway < both, "{name}");
    }
}
