//! An event on its way to all members of a room, or to all users online.
//!
//! Each user gets the same append as from a scope. So one user's lane has no effect on another's.

use std::collections::HashSet;
use std::sync::Arc;

use super::occupant::Occupant;
use crate::delivery::RoomDelivery;
use crate::engine::core::Core;
use crate::engine::target::Aim;
use crate::id::{RoomId, UserId};
use crate::lane::{Accepted, Refusal, Refused, Terms};
use crate::sync::{Fault, Guard, broken, pin};
use crate::table::storage::View;

impl<E: Clone + Send + Sync + 'static> Core<E> {
    /// Delivers clones of an event to the members of the rooms, to each user once.
    ///
    /// Lock-free, linear in the members. Under one guard come at most 64 members.
    pub(crate) fn publish_to_rooms(
        self: &Arc<Self>,
        rooms: &[RoomId],
        event: &E,
        terms: Terms,
    ) -> RoomDelivery {
        self.publish_to_members(rooms, event, terms, |_| true)
    }

    /// The same for the members for which `is_for` returns `true`. It may be asked more than once for a member.
    pub(crate) fn publish_to_members(
        self: &Arc<Self>,
        rooms: &[RoomId],
        event: &E,
        terms: Terms,
        mut is_for: impl FnMut(&UserId) -> bool,
    ) -> RoomDelivery {
        let mut delivery = RoomDelivery::default();
        if let [room] = rooms {
            self.with_members(room, |occupant, guard| {
                if is_for(&occupant.id) {
                    self.deliver_to_member(&mut delivery, occupant, event, terms, guard);
                }
            });
            return delivery;
        }
        // By the ids of users, not by memberships: while the walk goes on, a user may leave the room in
        // which the event was delivered, and is to be known in the next room all the same.
        let mut reached = HashSet::with_hasher(self.hasher.clone());
        for (n, room) in rooms.iter().enumerate() {
            self.with_members(room, |occupant, guard| {
                let is_reached = if broken(Fault::OnceByMembership) {
                    let is_in = |room| matches!(occupant.find(room), Ok(Some(_)));
                    rooms[..n].iter().any(is_in)
                } else {
                    reached.contains(&occupant.id)
                };
                // A membership of an earlier session is refused. The user may be back, and be in the
                // next room anew.
                if !is_reached
                    && is_for(&occupant.id)
                    && self.deliver_to_member(&mut delivery, occupant, event, terms, guard)
                {
                    reached.insert(occupant.id.clone());
                }
            });
        }
        delivery
    }

    /// Delivers a clone of an event to one member. Counts the outcome. Returns whether another membership
    /// of the user is to be passed over.
    #[inline]
    fn deliver_to_member(
        self: &Arc<Self>,
        delivery: &mut RoomDelivery,
        occupant: &Occupant<E>,
        event: &E,
        terms: Terms,
        guard: &Guard,
    ) -> bool {
        let entry = occupant.entry(guard);
        let refused = match entry {
            View::Leaf(user) => {
                let done = self.append_plain(&user, event.clone(), terms, |done| {
                    done.map(|Accepted { connections, .. }| usize::from(connections))
                });
                match done {
                    Ok(connections) => {
                        delivery.count(&Ok::<_, ()>(connections));
                        return true;
                    }
                    Err(refused) => refused,
                }
            }
            _ => Refused::new(Refusal::Vacant, event.clone(), 0),
        };
        self.deliver_to_member_after_refusal(delivery, occupant, entry, refused, terms, guard)
    }

    /// Handles an event that the entry of a member has refused: looks for another entry of a member whose
    /// membership is kept, or counts the refusal.
    #[cold]
    #[inline(never)]
    fn deliver_to_member_after_refusal(
        self: &Arc<Self>,
        delivery: &mut RoomDelivery,
        occupant: &Occupant<E>,
        entry: View<'_, crate::engine::user::User<E>, u16>,
        refused: Refused<E>,
        terms: Terms,
        guard: &Guard,
    ) -> bool {
        let (is_kept, is_over) = (self.keeps_memberships(), refused.why == Refusal::Vacant);
        // A membership that ends with the lane is none of the user's next lane.
        if !is_kept || !is_over {
            delivery.count(&Err(self.refuse(&occupant.id, &Aim::ALL, refused)));
            // A lane that is there and refuses is not asked again: it would be counted once for each room.
            return is_kept || !is_over;
        }
        let found = self.table.get(self.hash(&occupant.id), &occupant.id, guard);
        occupant.note(entry, found.map(|found| found.arc()), guard);
        let done = self.deliver(&occupant.id, None, refused.event, terms);
        delivery.count(&done.map(|accepted| accepted.connections));
        true
    }

    /// Delivers clones of an event to all users online.
    ///
    /// Lock-free, linear in the users. No guard is held during an append.
    pub(crate) fn announce(self: &Arc<Self>, event: &E, terms: Terms) -> RoomDelivery {
        let mut delivery = RoomDelivery::default();
        self.for_each(|user| {
            // A lane that is kept for a user who is away is not online.
            if user.lane.live() == 0 {
                return;
            }
            let done = self.append_plain(user, event.clone(), terms, |done| done);
            delivery.count(&match done {
                Ok(accepted) => Ok(accepted.connections.into()),
                Err(refused) => Err(self.refuse(&user.id, &Aim::ALL, refused)),
            });
        });
        delivery
    }
}

impl<E: Send + Sync + 'static> Core<E> {
    /// Calls `f` with each member of the room.
    fn with_members(&self, room: &RoomId, mut f: impl FnMut(&Occupant<E>, &Guard)) {
        let Some(directory) = self.rooms.get() else {
            return;
        };
        let hash = room.hash_with(&self.hasher);
        // The walk holds the room by a count of its own, so it needs no guard for it.
        let room = directory
            .rooms
            .get(hash, room, &pin())
            .map(|room| room.arc());
        if let Some(room) = room {
            let stays = |occupant: &Occupant<E>, at| {
                !occupant.is_leaving()
                    || occupant.has_place(&room, at)
                    || broken(Fault::TrustThePlace)
            };
            room.places.for_each_few(stays, |occupants, guard| {
                // The occupants and their lanes are looked at before the first call. An append ends with a
                // locked instruction, and no load behind it begins before that. So each miss on a lane would
                // be waited for.
                for occupant in occupants {
                    if let View::Leaf(user) = occupant.entry(guard) {
                        user.lane.look_ahead();
                    }
                }
                for occupant in occupants {
                    f(occupant, guard);
                }
            });
        }
    }

    /// Returns the members of the rooms, each user once.
    pub(crate) fn members(&self, rooms: &[RoomId]) -> Vec<UserId> {
        let mut members = Vec::new();
        let mut seen = HashSet::with_hasher(self.hasher.clone());
        for room in rooms {
            self.with_members(room, |occupant, guard| {
                let is_member = self.keeps_memberships() || !occupant.is_left(guard);
                if is_member && (rooms.len() == 1 || seen.insert(occupant.id.clone())) {
                    members.push(occupant.id.clone());
                }
            });
        }
        members
    }

    /// Returns the number of memberships in the rooms.
    pub(crate) fn member_count(&self, rooms: &[RoomId]) -> usize {
        let Some(directory) = self.rooms.get() else {
            return 0;
        };
        let guard = pin();
        let len = |room: &RoomId| {
            let found = directory
                .rooms
                .get(room.hash_with(&self.hasher), room, &guard);
            found.map_or(0, |room| room.len())
        };
        rooms.iter().map(len).sum()
    }
}
