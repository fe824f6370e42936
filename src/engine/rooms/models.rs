//! loom models of rooms: joins, leaves, ends and publishes beside each other.

use crate::sync::{Fault, model};
use crate::{Connection, Hub, Memberships, RoomId, UserId, UserScope};

struct World {
    hub: Hub<u8>,
    ann: UserScope<u8>,
    bob: UserScope<u8>,
    cem: UserScope<u8>,
    oslo: RoomId,
    rome: RoomId,
}

fn world() -> World {
    world_of(Memberships::Online)
}

/// Users are members without a device, so the models are smaller.
fn offline_world() -> World {
    world_of(Memberships::Kept { max_users: 3 })
}

fn world_of(memberships: Memberships) -> World {
    let hub = Hub::builder()
        .memberships(memberships)
        .lane_capacity(2)
        .shards(1)
        .build()
        .expect("valid");
    let scope = |name| hub.scope(UserId::new(name).expect("valid"));
    World {
        ann: scope("ann"),
        bob: scope("bob"),
        cem: scope("cem"),
        oslo: RoomId::new("Oslo").expect("valid"),
        rome: RoomId::new("Rome").expect("valid"),
        hub,
    }
}

impl World {
    /// A device of ann's, and ann in the room.
    fn member(&self) -> Connection<u8> {
        let device = self.ann.connect().expect("room");
        self.ann.join(&self.oslo).expect("online");
        device
    }

    /// The members whom a publish finds.
    fn members(&self) -> Vec<UserId> {
        let mut members = self.hub.room(self.oslo.clone()).members();
        members.sort();
        members
    }

    /// How many users a publish to the room reaches.
    fn publish(&self) -> usize {
        self.hub.room(self.oslo.clone()).publish(&1).users
    }
}

/// Runs `f` beside the rest of the model.
fn beside(world: &World, f: fn(&World)) -> loom::thread::JoinHandle<()> {
    let theirs = World {
        hub: world.hub.clone(),
        ann: world.ann.clone(),
        bob: world.bob.clone(),
        cem: world.cem.clone(),
        oslo: world.oslo.clone(),
        rome: world.rome.clone(),
    };
    loom::thread::spawn(move || f(&theirs))
}

fn received(device: &mut Connection<u8>) -> usize {
    std::iter::from_fn(|| device.try_recv().ok()).count()
}

/// After a leave has returned, a publish does not reach the user, whatever another publish does.
fn leave_while_publishing() {
    let world = world();
    let mut device = world.member();
    // Another member, so that the room stays.
    let _other = world.bob.connect().expect("room");
    world.bob.join(&world.oslo).expect("online");
    let t = beside(&world, |world| {
        assert!(world.ann.leave(&world.oslo));
        assert_eq!(world.publish(), 1, "who has left is not reached");
    });
    let reached = world.publish() - 1;
    t.join().unwrap();
    assert!(reached <= 1);
    assert_eq!(received(&mut device), reached, "counted as received");
    assert_eq!(world.hub.room(world.oslo).member_count(), 1);
}

/// A join and a leave of one user, and a join of another one who may get the place: each user is listed
/// and found, or neither.
fn join_while_leaving() {
    let world = offline_world();
    // A member who stays, so that the room does.
    world.cem.join(&world.oslo).expect("room");
    let t = beside(&world, |world| {
        if world.ann.leave(&world.oslo) {
            world.bob.join(&world.oslo).expect("room");
        }
    });
    world.ann.join(&world.oslo).expect("room");
    t.join().unwrap();
    let found = world.members();
    for user in [&world.ann, &world.bob, &world.cem] {
        let is_found = found.contains(user.user());
        assert_eq!(user.leave(&world.oslo), is_found, "found as listed");
    }
    assert_eq!(world.members(), [], "found as listed");
}

/// A user leaves and joins again while a publish runs, into another place.
fn come_back_while_publishing() {
    let world = world();
    let mut device = world.member();
    let _others = [&world.bob, &world.cem].map(|user| user.connect().expect("room"));
    world.cem.join(&world.oslo).expect("online");
    let t = beside(&world, |world| {
        world.ann.leave(&world.oslo);
        world.bob.join(&world.oslo).expect("online");
        world.ann.join(&world.oslo).expect("online");
    });
    world.publish();
    t.join().unwrap();
    assert!(received(&mut device) <= 1, "at most once");
    world.publish();
    assert_eq!(received(&mut device), 1, "who is back is reached");
}

/// A user joins again while another call still leaves.
fn publish_while_leaving_and_back() {
    let world = world();
    let mut device = world.member();
    let t = beside(&world, |world| {
        let _ = world.ann.leave(&world.oslo);
    });
    world.ann.join(&world.oslo).expect("online");
    let reached = world.publish();
    assert!(reached <= 1, "at most once");
    assert_eq!(received(&mut device), reached, "at most once");
    t.join().unwrap();
}

/// A user joins while the last device goes.
fn join_while_going_offline() {
    let world = world();
    let device = world.ann.connect().expect("room");
    let t = beside(&world, |world| {
        let _ = world.ann.join(&world.oslo);
    });
    drop(device);
    t.join().unwrap();
    let oslo = world.hub.room(world.oslo.clone());
    assert_eq!(oslo.member_count(), 0, "no membership is left behind");
    assert_eq!(oslo.members(), [], "no membership is left behind");
    let _device = world.ann.connect().expect("room");
    assert_eq!(world.publish(), 0, "no membership is left behind");
}

/// A user's last device goes while another one comes and the user joins.
fn join_while_coming_back() {
    let world = world();
    let mut device = Some(world.member());
    let t = {
        let gone = device.take();
        loom::thread::spawn(move || drop(gone))
    };
    let _device = world.ann.connect().expect("room");
    world.ann.join(&world.oslo).expect("online");
    assert_eq!(world.publish(), 1, "a member who is online stays");
    t.join().unwrap();
    assert_eq!(world.publish(), 1, "a member who is online stays");
}

/// A room's last member leaves while another user joins.
fn join_what_is_left() {
    let world = offline_world();
    world.ann.join(&world.oslo).expect("room");
    let t = beside(&world, |world| {
        let _ = world.ann.leave(&world.oslo);
    });
    world.bob.join(&world.oslo).expect("room");
    t.join().unwrap();
    let bob = [world.bob.user().clone()];
    assert_eq!(world.members(), bob, "who has joined is found");
    assert!(world.bob.leave(&world.oslo), "who has joined is found");
    assert_eq!(world.members(), []);
}

/// Two calls of one user join one room: each has joined when it returns.
fn join_twice() {
    let world = offline_world();
    // The room and ann's list are there.
    world.cem.join(&world.oslo).expect("room");
    world.ann.join(&world.rome).expect("room");
    let t = beside(&world, |world| {
        let _ = world.ann.join(&world.oslo);
    });
    world.ann.join(&world.oslo).expect("room");
    let both = [&world.ann, &world.cem].map(|user| user.user().clone());
    assert_eq!(world.members(), both, "who has joined is found");
    t.join().unwrap();
    assert_eq!(world.members(), both, "who has joined is found");
    assert_eq!(world.hub.room(world.oslo).member_count(), 2);
}

/// A member of two rooms leaves one of them while an event comes for both.
fn leave_one_of_two() {
    let world = world();
    let mut device = world.member();
    world.ann.join(&world.rome).expect("online");
    let t = beside(&world, |world| {
        let _ = world.ann.leave(&world.oslo);
    });
    let both = world.hub.rooms([world.oslo.clone(), world.rome.clone()]);
    assert_eq!(both.publish(&1).users, 1, "exactly once");
    t.join().unwrap();
    assert_eq!(received(&mut device), 1, "exactly once");
}

/// A user joins while the hub is shut down.
fn join_while_shutting_down() {
    let world = world();
    let _device = world.ann.connect().expect("room");
    let t = beside(&world, |world| {
        let _ = world.ann.join(&world.oslo);
    });
    world.hub.shutdown();
    t.join().unwrap();
    let oslo = world.hub.room(world.oslo);
    assert_eq!(oslo.member_count(), 0, "no membership is left behind");
}

/// A room's last member leaves while a node looks at the room at each notice.
fn leave_while_watching() {
    let world = offline_world();
    let watch = world.hub.core.watch_rooms(4).expect("room");
    world.ann.join(&world.oslo).expect("room");
    let t = beside(&world, |world| {
        assert!(world.ann.leave(&world.oslo));
    });
    let mut listens = false;
    let mut look = || {
        while let Ok(room) = watch.try_next() {
            listens = world.hub.core.has_members(&room);
        }
    };
    look();
    t.join().unwrap();
    look();
    assert!(!listens, "a node listens for a room that is over");
}

/// A room gets its first member while a node begins to watch.
fn join_while_beginning_to_watch() {
    let world = offline_world();
    let t = beside(&world, |world| {
        world.ann.join(&world.oslo).expect("room");
    });
    let watch = world.hub.core.watch_rooms(4).expect("room");
    let mut listens = world.hub.core.has_members(&world.oslo);
    t.join().unwrap();
    while let Ok(room) = watch.try_next() {
        listens = world.hub.core.has_members(&room);
    }
    assert!(listens, "a node does not listen for a room that has begun");
}

#[test]
fn r100_leave_against_publish() {
    model::sound("leave, publish", 2, leave_while_publishing);
    model::twin(Fault::LeaveThePlace, "who has left is not reached");
}
#[test]
fn r100_join_against_leave() {
    model::sound("join, leave", 3, join_while_leaving);
    model::twin(Fault::FillWithoutLooking, "found as listed");
}
#[test]
fn r100_coming_back_against_publish() {
    model::sound("leave, join, publish", 2, come_back_while_publishing);
    model::twin(Fault::VisitNewcomers, "at most once");
}
#[test]
fn r100_leave_against_join_and_publish() {
    model::sound("leave; join, publish", 2, publish_while_leaving_and_back);
    model::twin(Fault::TrustThePlace, "at most once");
}
#[test]
fn r100_join_against_join() {
    model::sound("join, join", 2, join_twice);
    model::twin(Fault::TrustTheFirstJoin, "who has joined is found");
}
#[test]
fn r101_publish_to_two_rooms_against_leave() {
    model::sound("publish to two, leave", 3, leave_one_of_two);
    model::twin(Fault::OnceByMembership, "exactly once");
}
#[test]
fn r102_join_against_the_last_leave() {
    model::sound("join, last leave", 3, join_what_is_left);
    model::twin(Fault::EnterWhatIsOver, "who has joined is found");
}
#[test]
fn r103_join_against_the_last_disconnect() {
    model::sound("join, last disconnect", 3, join_while_going_offline);
    model::twin(Fault::JoinWithoutLooking, "no membership is left behind");
}
#[test]
fn r103_join_against_coming_back() {
    model::sound("join, come back", 2, join_while_coming_back);
    model::twin(Fault::EndTheNewer, "a member who is online stays");
}
#[test]
fn r103_join_against_shutdown() {
    model::sound("join, shutdown", 3, join_while_shutting_down);
    model::twin(Fault::JoinWithoutLooking, "no membership is left behind");
}
#[test]
fn r135_the_last_leave_against_a_look() {
    model::sound("last leave, look", 3, leave_while_watching);
    model::twin(
        Fault::TellBeforeTheEnd,
        "a node listens for a room that is over",
    );
}
#[test]
fn r135_a_first_join_against_a_new_watch() {
    model::sound("first join, watch", 3, join_while_beginning_to_watch);
    model::twin(
        Fault::SubscribeUnfenced,
        "a node does not listen for a room that has begun",
    );
}
