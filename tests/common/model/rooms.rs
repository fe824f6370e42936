//! Rooms: who is in which, and whom a publish to some of them reaches.

use std::collections::{BTreeMap, BTreeSet};

use super::grants::{Denied, Missing};
use super::{How, Model, To};

/// The most rooms that a user may be in, and the most members that a room may have.
pub(crate) const MOST: usize = 2;
/// The most users who may be in rooms, where memberships are kept.
pub(crate) const MOST_KEPT: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoJoin {
    Offline,
    TooManyRooms,
    RoomFull,
    TooManyUsers,
    Closed,
    Revoked,
    /// By a weaker scope.
    Lacks(Missing),
}

impl From<Denied> for NoJoin {
    fn from(why: Denied) -> Self {
        match why {
            Denied::Revoked => Self::Revoked,
            Denied::Lacks(missing) => Self::Lacks(missing),
        }
    }
}

/// The memberships: of a room and a user, with the lane with which each ends, if it ends with one.
#[derive(Clone, Debug, Default)]
pub(super) struct Rooms(BTreeMap<(u8, u8), Option<usize>>);

impl<V: Copy> Model<V> {
    /// Takes off the memberships whose lanes have ended.
    fn tidy_rooms(&mut self) {
        let (current, shut) = (&self.current, self.shut);
        let stays = |(_, user): &(u8, u8), lane: &mut Option<usize>| {
            !shut && lane.is_none_or(|lane| current.get(user) == Some(&lane))
        };
        self.rooms.0.retain(stays);
    }

    /// Whether the user has become a member.
    pub(crate) fn join(&mut self, user: u8, room: u8) -> Result<bool, NoJoin> {
        self.tidy_rooms();
        let lane = self.current.get(&user).copied();
        let kept = self.settings.keeps_members;
        if self.shut {
            return Err(NoJoin::Closed);
        }
        if !kept && lane.is_none() {
            return Err(NoJoin::Offline);
        }
        let users: BTreeSet<_> = self.rooms.0.keys().map(|(_, user)| *user).collect();
        if kept && !users.contains(&user) && users.len() >= MOST_KEPT {
            return Err(NoJoin::TooManyUsers);
        }
        if self.rooms.0.contains_key(&(room, user)) {
            return Ok(false);
        }
        if self.rooms_of(user).len() >= MOST {
            return Err(NoJoin::TooManyRooms);
        }
        if self.members(room).len() >= MOST {
            return Err(NoJoin::RoomFull);
        }
        self.rooms.0.insert((room, user), lane.filter(|_| !kept));
        Ok(true)
    }

    pub(crate) fn leave(&mut self, user: u8, room: u8) -> bool {
        self.tidy_rooms();
        self.rooms.0.remove(&(room, user)).is_some()
    }

    pub(crate) fn forget(&mut self, user: u8) -> usize {
        let rooms = self.rooms_of(user);
        rooms.iter().filter(|room| self.leave(user, **room)).count()
    }

    /// In order.
    pub(crate) fn rooms_of(&mut self, user: u8) -> Vec<u8> {
        self.tidy_rooms();
        let rooms = self.rooms.0.keys();
        rooms.filter(|(_, u)| *u == user).map(|(r, _)| *r).collect()
    }

    /// In order.
    pub(crate) fn members(&mut self, room: u8) -> Vec<u8> {
        self.tidy_rooms();
        let members = self.rooms.0.keys();
        members
            .filter(|(r, _)| *r == room)
            .map(|(_, u)| *u)
            .collect()
    }

    /// The members of any of the rooms.
    pub(crate) fn members_of(&mut self, rooms: &[u8]) -> Vec<u8> {
        let all: BTreeSet<_> = rooms.iter().flat_map(|room| self.members(*room)).collect();
        all.into_iter().collect()
    }

    /// The users online.
    pub(crate) fn online(&self) -> Vec<u8> {
        let known = self.known().into_iter();
        known.filter(|user| !self.live(*user).is_empty()).collect()
    }

    /// To each of the users once, in this order. Returns users, connections and refusals.
    pub(crate) fn publish_to_each(
        &mut self,
        users: &[u8],
        value: V,
        how: How,
        said_over_budget: &[u8],
    ) -> (usize, usize, usize) {
        let mut done = (0, 0, 0);
        for user in users {
            self.said_over_budget = said_over_budget.contains(user);
            match self.publish(*user, value, how, To::All) {
                Ok((_, connections)) => done = (done.0 + 1, done.1 + connections, done.2),
                Err(_) => done.2 += 1,
            }
        }
        done
    }
}
