//! The calls of a script that concern rooms.

use laneway::{JoinRoomError, Joined, RoomDelivery, RoomId, RoomSender};

use super::{Run, Tainted, USERS};
use crate::common::model::How;
use crate::common::model::rooms::NoJoin;

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

fn no_join(error: JoinRoomError) -> NoJoin {
    match error {
        JoinRoomError::Offline => NoJoin::Offline,
        JoinRoomError::TooManyRooms { .. } => NoJoin::TooManyRooms,
        JoinRoomError::RoomFull { .. } => NoJoin::RoomFull,
        JoinRoomError::TooManyUsers { .. } => NoJoin::TooManyUsers,
        _ => NoJoin::Closed,
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
        let members = rooms.iter().flat_map(|room| self.model.members(*room));
        let members: Vec<_> = members.collect();
        let event = self.event_for(&members);
        let sender: RoomSender<Tainted> = self.hub.rooms(rooms.iter().map(|r| room_id(*r)));
        let (value, how) = ((event.user, event.serial), how(critical));
        let done = if critical {
            sender.publish_critical(&event)
        } else {
            sender.publish(&event)
        };
        let expected = self.model.publish_to_rooms(rooms, value, how);
        self.reached(done, expected);
    }

    pub(super) fn announce(&mut self, critical: bool) {
        let online: Vec<_> = (0..USERS).collect();
        let event = self.event_for(&online);
        let (value, how) = ((event.user, event.serial), how(critical));
        let announcer = self.hub.announcer();
        let done = if critical {
            announcer.publish_critical(&event)
        } else {
            announcer.publish(&event)
        };
        let expected = self.model.announce(value, how);
        self.reached(done, expected);
    }

    fn event_for(&mut self, users: &[u8]) -> Tainted {
        let taint = users.iter().fold(SOME, |taint, user| taint | 1 << user);
        self.event(taint)
    }

    fn reached(&mut self, done: RoomDelivery, expected: (usize, usize, usize)) {
        assert_eq!((done.users, done.connections, done.refused), expected);
        self.offered += (done.users + done.refused) as u64;
        self.seen.roomed += usize::from(done.users > 0);
        for user in 0..USERS {
            self.learn_overruns(user);
        }
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
