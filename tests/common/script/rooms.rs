//! The calls of a script that concern rooms.

use std::fmt::Debug;

use laneway::{JoinRoomError, Joined, RoomDelivery, RoomId, RoomSender};

use super::retention::ORDERS;
use super::{Run, Tainted, USERS, Value, weaker};
use crate::common::model::rooms::NoJoin;
use crate::common::model::{How, Model};

pub(super) const ROOMS: u8 = 3;
/// An event for some users has this and a bit for each of them in the place of its user.
const SOME: u8 = 0x80;

/// Whether an event with this taint is for the user.
pub(super) fn is_for(taint: u8, user: u8) -> bool {
    taint == user || (taint & SOME != 0 && taint >> user & 1 == 1)
}

pub(super) fn room_id(room: u8) -> RoomId {
    RoomId::new(format!("room {room}")).expect("valid")
}

pub(super) fn no_join(error: JoinRoomError) -> NoJoin {
    match error {
        JoinRoomError::Offline => NoJoin::Offline,
        JoinRoomError::TooManyRooms { .. } => NoJoin::TooManyRooms,
        JoinRoomError::RoomFull { .. } => NoJoin::RoomFull,
        JoinRoomError::TooManyUsers { .. } => NoJoin::TooManyUsers,
        JoinRoomError::Closed => NoJoin::Closed,
        JoinRoomError::Revoked => NoJoin::Revoked,
        JoinRoomError::NotAllowed(missing) => NoJoin::Lacks(weaker::missing(missing)),
        other => panic!("no such refusal: {other:?}"),
    }
}

impl Run {
    pub(super) fn join(&mut self, user: u8, room: u8) {
        let joined = self.scopes[user as usize].join(&room_id(room));
        let joined = joined.map(|joined| joined == Joined::Now);
        self.seen.refused_join += usize::from(joined.is_err());
        assert_eq!(joined.map_err(no_join), self.model.join(user, room));
    }

    pub(super) fn leave(&mut self, user: u8, room: u8) {
        let left = self.scopes[user as usize].leave(&room_id(room));
        assert_eq!(left, self.model.leave(user, room));
    }

    pub(super) fn forget(&mut self, user: u8) {
        let scope = &self.scopes[user as usize];
        assert_eq!(self.hub.forget(scope.user()), self.model.forget(user));
    }

    /// To one room, or to it and its neighbour.
    pub(super) fn publish_to_rooms(&mut self, first: u8, both: bool, critical: bool) {
        let rooms = [first, (first + 1) % ROOMS];
        let rooms = &rooms[..=usize::from(both)];
        let members = self.model.members_of(rooms);
        let event = self.event_for(&members);
        let sender: RoomSender<Tainted> = self.hub.rooms(rooms.iter().map(|r| room_id(*r)));
        let done = if critical {
            sender.publish_critical(&event)
        } else {
            sender.publish(&event)
        };
        self.reached(&event, &members, critical, done);
    }

    pub(super) fn announce(&mut self, critical: bool) {
        let online = self.model.online();
        let event = self.event_for(&online);
        let announcer = self.hub.announcer();
        let done = if critical {
            announcer.publish_critical(&event)
        } else {
            announcer.publish(&event)
        };
        self.reached(&event, &online, critical, done);
    }

    pub(super) fn event_for(&mut self, users: &[u8]) -> Tainted {
        let taint = users.iter().fold(SOME, |taint, user| taint | 1 << user);
        self.event(taint)
    }

    fn reached(&mut self, event: &Tainted, users: &[u8], critical: bool, done: RoomDelivery) {
        let (value, how) = ((event.user, event.serial), how(critical));
        self.offered += (done.users + done.refused) as u64;
        let done = (done.users, done.connections, done.refused);
        self.in_some_order(users, &done, |model, users, said| {
            model.publish_to_each(users, value, how, said)
        });
        self.seen.roomed += usize::from(done.0 > 0);
        for user in 0..USERS {
            self.learn_overruns(user);
        }
    }

    /// Makes a call on the model that comes to these users in an order that is not told. The lanes' numbers tell
    /// whose event was refused.
    pub(super) fn in_some_order<A: PartialEq + Debug>(
        &mut self,
        users: &[u8],
        answer: &A,
        call: impl Fn(&mut Model<Value>, &[u8], &[u8]) -> A,
    ) {
        let before = self.model.ends(users);
        let after: Vec<_> = users.iter().map(|user| self.end_of_lane(*user)).collect();
        let same = users.iter().zip(before.iter().zip(&after));
        let refused: Vec<_> = same.filter(|(_, (b, a))| b == a).map(|(u, _)| *u).collect();
        let mut other = Vec::new();
        for order in ORDERS {
            let users: Vec<_> = order.into_iter().filter(|u| users.contains(u)).collect();
            let mut model = self.model.clone();
            let expected = call(&mut model, &users, &refused);
            if expected == *answer && model.ends(&users) == self.ends_of_lanes(&users) {
                self.model = model;
                return;
            }
            other.push((expected, model.ends(&users)));
            if !self.budgets.is_any() {
                break;
            }
        }
        panic!("{answer:?} and {after:?}, none of {other:?}");
    }

    fn ends_of_lanes(&self, users: &[u8]) -> Vec<Option<u64>> {
        users.iter().map(|user| self.end_of_lane(*user)).collect()
    }

    /// How many numbers a user's lane has had.
    fn end_of_lane(&self, user: u8) -> Option<u64> {
        let mut dump = String::new();
        let dumped = self.scopes[user as usize].dump(&mut dump);
        dumped.expect("a string takes everything");
        let at = dump.split_once(" seq ")?.1;
        let number = at.split(' ').next().expect("a number");
        Some(number.parse().expect("a number"))
    }

    /// Each user's rooms and each room's members.
    pub(super) fn compare_rooms(&mut self) {
        for user in 0..USERS {
            let mut rooms = self.scopes[user as usize].rooms();
            rooms.sort();
            let expected = self.model.rooms_of(user).into_iter().map(room_id);
            assert!(rooms.into_iter().eq(expected), "the rooms of user {user}");
        }
        for room in 0..ROOMS {
            let sender = self.hub.room(room_id(room));
            let mut members = sender.members();
            members.sort();
            let expected = self.model.members(room);
            assert_eq!(sender.member_count(), expected.len());
            let id = |user: &u8| self.scopes[*user as usize].user().clone();
            assert!(
                members.into_iter().eq(expected.iter().map(id)),
                "of room {room}"
            );
        }
    }
}

fn how(critical: bool) -> How {
    if critical {
        How::Critical
    } else {
        How::Overwriting
    }
}
