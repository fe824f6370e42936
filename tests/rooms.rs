//! Rooms: which users a publish reaches, how often, and when memberships end.
#![cfg(not(any(laneway_loom, laneway_shuttle)))]

use std::time::Duration;

use laneway::{
    Connection, Hub, JoinRoomError, Joined, Memberships, Received, Retention, RoomDelivery, RoomId,
    UserId, UserScope, conserved,
};

fn room(name: &str) -> RoomId {
    RoomId::new(name).unwrap()
}

fn user(hub: &Hub<u64>, name: &str) -> UserScope<u64> {
    hub.scope(UserId::new(name).unwrap())
}

fn events(device: &mut Connection<u64>) -> Vec<u64> {
    std::iter::from_fn(|| match device.try_recv() {
        Ok(Received::Event(next)) => Some(next.event),
        _ => None,
    })
    .collect()
}

fn reached(done: RoomDelivery) -> (usize, usize, usize) {
    (done.users, done.connections, done.refused)
}

fn kept(max_users: usize) -> Hub<u64> {
    let kept = Memberships::Kept { max_users };
    Hub::builder().shards(4).memberships(kept).build().unwrap()
}

#[test]
fn r100_a_publish_to_a_room_reaches_all_devices_of_its_members_and_no_other_user() {
    let hub: Hub<u64> = Hub::new();
    let [ann, bob, cem] = ["ann", "bob", "cem"].map(|name| user(&hub, name));
    let (mut phone, mut laptop) = (ann.connect().unwrap(), ann.connect().unwrap());
    let (mut bobs, mut cems) = (bob.connect().unwrap(), cem.connect().unwrap());
    let oslo = room("Oslo");
    assert_eq!(ann.join(&oslo), Ok(Joined::Now));
    assert_eq!(bob.join(&oslo), Ok(Joined::Now));
    assert_eq!(bob.join(&oslo), Ok(Joined::Before));
    let sender = hub.room(oslo.clone());
    assert_eq!(reached(sender.publish(&7)), (2, 3, 0));
    // A device that comes later is reached as well.
    let mut tablet = ann.connect().unwrap();
    assert_eq!(reached(sender.publish_critical(&8)), (2, 4, 0));
    assert_eq!(events(&mut phone), [7, 8]);
    assert_eq!(events(&mut laptop), [7, 8]);
    assert_eq!(events(&mut tablet), [8]);
    assert_eq!(events(&mut bobs), [7, 8]);
    assert_eq!(events(&mut cems), [0; 0]);
    assert_eq!(sender.member_count(), 2);
    let mut members = sender.members();
    members.sort();
    assert_eq!(members, [ann.user().clone(), bob.user().clone()]);
    assert!(bob.leave(&oslo) && !bob.leave(&oslo) && !cem.leave(&oslo));
    assert_eq!(reached(sender.publish(&9)), (1, 3, 0));
    assert_eq!(events(&mut bobs), [0; 0]);
    assert_eq!(bob.rooms(), []);
    assert_eq!(ann.rooms(), [oslo]);
    let stats = [&phone, &laptop, &tablet, &bobs, &cems].map(Connection::stats);
    conserved(5, hub.accepted(), &hub.stats(), stats).unwrap();
}

#[test]
fn r100_a_critical_event_for_a_room_closes_the_device_that_would_miss_it() {
    let hub: Hub<u64> = Hub::builder().lane_capacity(2).build().unwrap();
    let ann = user(&hub, "ann");
    let _phone = ann.connect().unwrap();
    ann.join(&room("Oslo")).unwrap();
    let sender = hub.room(room("Oslo"));
    // The first unread event stays, so the critical one is the second.
    sender.publish(&0);
    sender.publish_critical(&1);
    for event in 0..40 {
        sender.publish(&event);
    }
    assert_eq!(ann.overrun_count(), 1);
}

#[test]
fn r100_rooms_grow_and_shrink_and_reach_exactly_their_members() {
    const USERS: usize = 700;
    let hub: Hub<u64> = Hub::new();
    let users: Vec<_> = (0..USERS).map(|n| user(&hub, &n.to_string())).collect();
    let mut devices: Vec<_> = users.iter().map(|u| u.connect().unwrap()).collect();
    let (oslo, sender) = (room("Oslo"), hub.room(room("Oslo")));
    for (n, user) in users.iter().enumerate() {
        user.join(&oslo).unwrap();
        assert_eq!(sender.member_count(), n + 1);
    }
    assert_eq!(reached(sender.publish(&0)), (USERS, USERS, 0));
    assert!(devices.iter_mut().all(|device| events(device) == [0]));
    // Each third leaves, some come back, into places in any order.
    for user in users.iter().step_by(3) {
        assert!(user.leave(&oslo));
    }
    for user in users.iter().step_by(6) {
        user.join(&oslo).unwrap();
    }
    let is_member = |n: usize| !n.is_multiple_of(3) || n.is_multiple_of(6);
    let members = (0..USERS).filter(|n| is_member(*n)).count();
    assert_eq!(reached(sender.publish(&1)), (members, members, 0));
    for (n, device) in devices.iter_mut().enumerate() {
        assert_eq!(events(device).len(), usize::from(is_member(n)));
    }
    assert_eq!(
        users.iter().filter(|user| user.leave(&oslo)).count(),
        members
    );
    assert_eq!((sender.member_count(), sender.members().len()), (0, 0));
    assert_eq!(sender.publish(&2), RoomDelivery::default());
}

#[test]
fn r101_each_user_is_reached_once_however_many_rooms_of_a_call_overlap() {
    let hub: Hub<u64> = Hub::new();
    let [ann, bob, cem] = ["ann", "bob", "cem"].map(|name| user(&hub, name));
    let mut devices = [&ann, &bob, &cem].map(|user| user.connect().unwrap());
    let [oslo, rome, lima] = ["Oslo", "Rome", "Lima"].map(room);
    for place in [&oslo, &rome, &lima] {
        ann.join(place).unwrap();
    }
    bob.join(&rome).unwrap();
    let all = hub.rooms([oslo.clone(), rome.clone(), lima, rome.clone(), room("none")]);
    assert_eq!(reached(all.publish(&1)), (2, 2, 0));
    assert_eq!(reached(all.publish_critical(&2)), (2, 2, 0));
    assert_eq!(all.members().len(), 2);
    let got = devices.each_mut().map(events);
    assert_eq!(got, [vec![1, 2], vec![1, 2], vec![]]);
    assert_eq!(hub.rooms([]).publish(&3), RoomDelivery::default());
    let twice = hub.rooms([oslo.clone(), oslo]);
    assert_eq!(reached(twice.publish(&4)), (1, 1, 0));
}

#[test]
fn r102_each_limit_has_its_error_and_a_refused_join_changes_nothing() {
    let builder = Hub::builder().max_rooms_per_user(2).max_members_per_room(3);
    let hub: Hub<u64> = builder.build().unwrap();
    let users: Vec<_> = (0..4).map(|n| user(&hub, &n.to_string())).collect();
    let _devices: Vec<_> = users.iter().map(|u| u.connect().unwrap()).collect();
    let [oslo, rome, lima] = ["Oslo", "Rome", "Lima"].map(room);
    users[0].join(&oslo).unwrap();
    users[0].join(&rome).unwrap();
    let too_many = JoinRoomError::TooManyRooms { limit: 2 };
    assert_eq!(users[0].join(&lima), Err(too_many));
    assert_eq!(too_many.to_string(), "the user is in 2 rooms already");
    assert_eq!(users[0].join(&rome), Ok(Joined::Before));
    assert_eq!(
        (users[0].rooms().len(), hub.room(lima).member_count()),
        (2, 0)
    );
    users[1].join(&oslo).unwrap();
    users[2].join(&oslo).unwrap();
    let full = JoinRoomError::RoomFull { limit: 3 };
    assert_eq!(users[3].join(&oslo), Err(full));
    assert_eq!(full.to_string(), "the room has 3 members already");
    assert_eq!(users[3].rooms(), []);
    assert_eq!(hub.room(oslo.clone()).publish(&1).users, 3);
    assert!(users[1].leave(&oslo));
    assert_eq!(users[3].join(&oslo), Ok(Joined::Now));
}

#[test]
fn r103_a_membership_ends_with_the_last_device() {
    let hub: Hub<u64> = Hub::new();
    let ann = user(&hub, "ann");
    let oslo = room("Oslo");
    assert_eq!(ann.join(&oslo), Err(JoinRoomError::Offline));
    let (phone, laptop) = (ann.connect().unwrap(), ann.connect().unwrap());
    ann.join(&oslo).unwrap();
    ann.join(&room("Rome")).unwrap();
    drop(phone);
    assert_eq!(hub.room(oslo.clone()).publish(&1).users, 1);
    drop(laptop);
    assert_eq!(hub.room(oslo.clone()).member_count(), 0);
    assert_eq!(ann.rooms(), []);
    let mut again = ann.connect().unwrap();
    assert_eq!(hub.room(oslo.clone()).publish(&2), RoomDelivery::default());
    ann.join(&oslo).unwrap();
    assert_eq!(hub.room(oslo.clone()).publish(&3).users, 1);
    assert_eq!(events(&mut again), [3]);
    assert_eq!(hub.forget(ann.user()), 1);
    assert_eq!(hub.room(oslo.clone()).publish(&4), RoomDelivery::default());
    assert!(ann.is_online());
    ann.join(&oslo).unwrap();
    hub.shutdown();
    assert_eq!(hub.room(oslo.clone()).member_count(), 0);
    assert_eq!(ann.join(&oslo), Err(JoinRoomError::Closed));
}

#[test]
fn r103_with_retention_a_membership_ends_with_the_grace() {
    let retention = Retention::events(16).grace(Duration::from_secs(40));
    let builder = Hub::builder().retention(Some(retention));
    let hub: Hub<u64> = builder.build().unwrap();
    let ann = user(&hub, "ann");
    let oslo = room("Oslo");
    let phone = ann.connect().unwrap();
    ann.join(&oslo).unwrap();
    let position = phone.position();
    drop(phone);
    // The lane is kept, so the device finds in its replay what came meanwhile.
    assert_eq!(reached(hub.room(oslo.clone()).publish(&1)), (1, 0, 0));
    let (mut phone, _) = ann.resume(&position).unwrap();
    assert_eq!(events(&mut phone), [1]);
    assert_eq!(ann.rooms(), std::slice::from_ref(&oslo));
    drop(phone);
    for now in 0..8 {
        hub.sweep(now * Duration::from_secs(10));
    }
    assert_eq!(ann.rooms(), []);
    assert_eq!(hub.room(oslo).publish(&2), RoomDelivery::default());
}

#[test]
fn r103_a_membership_that_is_kept_survives_the_last_device() {
    let hub = kept(2);
    let [ann, bob, cem] = ["ann", "bob", "cem"].map(|name| user(&hub, name));
    let [oslo, rome] = ["Oslo", "Rome"].map(room);
    ann.join(&oslo).unwrap();
    ann.join(&rome).unwrap();
    bob.join(&oslo).unwrap();
    let refused = JoinRoomError::TooManyUsers { limit: 2 };
    assert_eq!(cem.join(&oslo), Err(refused));
    assert_eq!(refused.to_string(), "2 users are in rooms already");
    let sender = hub.rooms([oslo.clone(), rome.clone()]);
    assert_eq!(reached(sender.publish(&1)), (0, 0, 2));
    for event in 2..5 {
        // Each time in another lane.
        let mut phone = ann.connect().unwrap();
        assert_eq!(reached(sender.publish(&event)), (1, 1, 1));
        assert_eq!(reached(sender.publish(&event)), (1, 1, 1));
        assert_eq!(events(&mut phone), [event, event]);
        drop(phone);
        assert_eq!(sender.publish(&9).users, 0);
    }
    assert_eq!(sender.members().len(), 2);
    assert!(ann.leave(&oslo));
    assert_eq!(hub.forget(bob.user()), 1);
    assert_eq!(sender.members(), [ann.user().clone()]);
    assert_eq!(cem.join(&rome), Ok(Joined::Now));
    assert!(ann.leave(&rome));
    assert_eq!(bob.join(&rome), Ok(Joined::Now));
    hub.shutdown();
    assert_eq!(sender.members(), []);
}

#[test]
fn r103_a_critical_event_is_kept_for_a_member_who_is_away() {
    let kept = Memberships::Kept { max_users: 9 };
    let builder = Hub::builder().memberships(kept);
    let builder = builder.retention(Some(Retention::events(16)));
    let hub: Hub<u64> = builder.build().unwrap();
    let ann = user(&hub, "ann");
    ann.join(&room("Oslo")).unwrap();
    let sender = hub.room(room("Oslo"));
    assert_eq!(reached(sender.publish(&1)), (0, 0, 1));
    assert_eq!(reached(sender.publish_critical(&2)), (1, 0, 0));
    let mut phone = ann.connect().unwrap();
    assert_eq!(phone.recover().events, 1);
    assert_eq!(events(&mut phone), [2]);
}

#[test]
fn r104_an_announcement_reaches_each_user_online_once_and_no_user_who_is_away() {
    let retention = Some(Retention::events(16));
    let hub: Hub<u64> = Hub::builder().retention(retention).build().unwrap();
    let users: Vec<_> = (0..300).map(|n| user(&hub, &n.to_string())).collect();
    let mut devices: Vec<_> = users.iter().map(|u| u.connect().unwrap()).collect();
    devices.push(users[7].connect().unwrap());
    drop(devices.remove(100));
    let announcer = hub.announcer();
    assert_eq!(reached(announcer.publish(&1)), (299, 300, 0));
    assert_eq!(reached(announcer.publish_critical(&2)), (299, 300, 0));
    assert!(devices.iter_mut().all(|device| events(device) == [1, 2]));
    hub.shutdown();
    assert_eq!(announcer.publish(&3).users, 0);
}
