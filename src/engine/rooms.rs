//! Rooms: users join and leave, and memberships end.
//!
//! A room is an array of places, a user in rooms is an occupant with a list of places. A join reserves a
//! place, adds it to the list and fills it, in this order. The exchange of the list decides between two
//! joins of one user, and between a join and a leave.

pub(crate) mod directory;
// Only a node of a cluster asks and watches.
#[cfg_attr(
    any(not(feature = "cluster"), laneway_loom, laneway_shuttle),
    allow(dead_code)
)]
mod look;
#[cfg(all(test, laneway_loom))]
mod models;
mod occupant;
mod places;
mod publish;
mod room;
#[cfg_attr(
    any(not(feature = "cluster"), laneway_loom, laneway_shuttle),
    allow(dead_code)
)]
pub(crate) mod watch;

use std::sync::Arc;

use super::core::Core;
use super::user::User;
use crate::id::{RoomId, UserId};
use crate::room::error::JoinRoomError;
use crate::room::limits::{Joined, Memberships};
use crate::sync::{Fault, Guard, Ordering, broken, fence};
use directory::Directory;
use occupant::{Membership, NotAdded, Occupant};
use room::{NoEntry, Room};
use watch::Call;

impl<E: Send + Sync + 'static> Core<E> {
    /// Makes the user a member of the room.
    ///
    /// Lock-free: each repetition means that a session or a room has ended, or that another call for the
    /// same user has changed the list.
    pub(crate) fn join(&self, user: &UserId, room: &RoomId) -> Result<Joined, JoinRoomError> {
        // One guard for all steps. `Places::fill` needs it from the reservation on.
        let call = Call::begin(&self.watchers);
        loop {
            if self.is_closed() {
                return Err(JoinRoomError::Closed);
            }
            let entry = self.entry_to_join(user, &call.guard)?;
            let directory = self.directory(&call.guard);
            let Some(occupant) =
                self.find_or_add_occupant(directory, user, entry.as_ref(), &call)?
            else {
                continue;
            };
            match self.join_as(directory, &occupant, room, &call) {
                Ok(joined) => {
                    if self.may_stay(directory, &occupant, entry.as_ref(), &call) {
                        return Ok(joined);
                    }
                }
                // The list was ended after it was found. The next turn makes another occupant.
                Err(None) => self.remove_occupant(directory, &occupant, &call.guard),
                Err(Some(error)) => {
                    if occupant.end_if_empty() {
                        self.remove_occupant(directory, &occupant, &call.guard);
                    }
                    return Err(error);
                }
            }
        }
    }

    /// Returns the entry with which memberships of the user end, or `None` if they are kept.
    fn entry_to_join(
        &self,
        user: &UserId,
        guard: &Guard,
    ) -> Result<Option<Arc<User<E>>>, JoinRoomError> {
        if self.keeps_memberships() {
            return Ok(None);
        }
        let found = self.table.get(self.hash(user), user, guard);
        let open = found.filter(|entry| !entry.lane.is_over());
        match open {
            Some(entry) => Ok(Some(entry.arc())),
            None => Err(JoinRoomError::Offline),
        }
    }

    fn keeps_memberships(&self) -> bool {
        matches!(self.config.rooms.memberships, Memberships::Kept { .. })
    }

    /// Returns the directory. The first join makes it.
    fn directory(&self, guard: &Guard) -> &Directory<E> {
        loop {
            if let Some(directory) = self.rooms.get() {
                return directory;
            }
            let new = Arc::new(Directory::new(self.config.shards));
            // If another thread is first, its directory stays and this one is dropped.
            self.rooms.set(new, guard);
        }
    }

    /// Returns the occupant of the user, for this entry. Returns `None` if the caller has to start over.
    fn find_or_add_occupant(
        &self,
        directory: &Directory<E>,
        user: &UserId,
        entry: Option<&Arc<User<E>>>,
        call: &Call<'_>,
    ) -> Result<Option<Arc<Occupant<E>>>, JoinRoomError> {
        let hash = self.hash(user);
        if let Some(found) = directory.occupants.get(hash, user, &call.guard) {
            let found = found.arc();
            if entry.is_none_or(|entry| found.is_of(entry, &call.guard)) {
                return Ok(Some(found));
            }
            // Of another session of the user. If that one is over, its memberships are as well, and the
            // thread that ends them has not come to it. Otherwise the caller's entry is the older one.
            if found.is_left(&call.guard) {
                self.end_occupant(directory, &found, call);
            }
            return Ok(None);
        }
        if let Memberships::Kept { max_users: limit } = self.config.rooms.memberships
            // Counted before the insert, so that the limit holds at every moment.
            && directory.kept.fetch_add(1, Ordering::AcqRel) >= limit
        {
            directory.kept.fetch_sub(1, Ordering::AcqRel);
            return Err(JoinRoomError::TooManyUsers { limit });
        }
        let new = Arc::new(Occupant::new(user.clone(), hash, entry.cloned()));
        if directory.occupants.insert(&new, &call.guard).is_err() {
            // Another join of the user has inserted an occupant first.
            self.count_kept_out(directory);
            return Ok(None);
        }
        Ok(Some(new))
    }

    /// Adds the room to the occupant's list and puts the occupant into the room. Returns `Err(None)` if
    /// the list is over.
    fn join_as(
        &self,
        directory: &Directory<E>,
        occupant: &Arc<Occupant<E>>,
        id: &RoomId,
        call: &Call<'_>,
    ) -> Result<Joined, Option<JoinRoomError>> {
        let limits = &self.config.rooms;
        loop {
            if let Some(listed) = occupant.find(id).map_err(|_| None)? {
                // The call that has listed the room may not have filled the place. This call completes
                // it. Otherwise it would return before publishes reach the user.
                let is_in =
                    broken(Fault::TrustTheFirstJoin) || listed.settle(occupant, &call.guard);
                if is_in {
                    return Ok(Joined::Before);
                }
                continue;
            }
            let limit = limits.max_rooms_per_user;
            // Only a first look, to spare the work. `add` decides.
            if occupant.len() >= limit {
                return Err(Some(JoinRoomError::TooManyRooms { limit }));
            }
            let room = self.enter(directory, id, call).map_err(Some)?;
            let at = room
                .places
                .reserve(limits.max_members_per_room, &call.guard);
            let new = Membership { room, at };
            match occupant.add(&new, limit) {
                Ok(()) => {
                    // If a leave comes between the two steps, the user has joined and left.
                    new.settle(occupant, &call.guard);
                    return Ok(Joined::Now);
                }
                Err(why) => {
                    directory.vacate(&new, call);
                    match why {
                        NotAdded::Over => return Err(None),
                        NotAdded::IsThere => {}
                        NotAdded::TooMany => {
                            return Err(Some(JoinRoomError::TooManyRooms { limit }));
                        }
                    }
                }
            }
        }
    }

    /// Returns the room, with one more member counted. Makes it if there is none.
    fn enter(
        &self,
        directory: &Directory<E>,
        id: &RoomId,
        call: &Call<'_>,
    ) -> Result<Arc<Room<Occupant<E>>>, JoinRoomError> {
        let hash = id.hash_with(&self.hasher);
        let limit = self.config.rooms.max_members_per_room;
        loop {
            let Some(found) = directory.rooms.get(hash, id, &call.guard) else {
                let new = Arc::new(Room::new(id.clone(), hash));
                if directory.rooms.insert(&new, &call.guard).is_ok() {
                    call.note(id);
                    return Ok(new);
                }
                continue;
            };
            let found = found.arc();
            match found.enter(limit) {
                Ok(()) => return Ok(found),
                Err(NoEntry::Full) => return Err(JoinRoomError::RoomFull { limit }),
                // Its last member has left. The room goes, and the next turn makes another one.
                Err(NoEntry::Over) => drop(directory.rooms.remove(&found, &call.guard)),
            }
        }
    }

    /// Looks whether the session or the hub has ended while the user joined. In that case ends the
    /// memberships and returns `false`.
    fn may_stay(
        &self,
        directory: &Directory<E>,
        occupant: &Arc<Occupant<E>>,
        entry: Option<&Arc<User<E>>>,
        call: &Call<'_>,
    ) -> bool {
        // Pairs with the fences in `end_memberships` and `shutdown`. This thread lists the room and then
        // looks at the lane and the flag. The other one ends the lane or sets the flag, and then looks
        // at the lists. Without the fences each could miss the other's write, and a user who is offline
        // would stay a member.
        fence(Ordering::SeqCst);
        let is_left = entry.is_some_and(|entry| entry.lane.is_over());
        let is_over = is_left || self.is_closed();
        if is_over && !broken(Fault::JoinWithoutLooking) {
            self.end_occupant(directory, occupant, call);
            return false;
        }
        true
    }

    /// Ends the user's membership of the room. Returns whether there was one. Lock-free.
    pub(crate) fn leave(&self, user: &UserId, room: &RoomId) -> bool {
        let call = Call::begin(&self.watchers);
        let Some((directory, occupant)) = self.occupant(user, &call) else {
            return false;
        };
        occupant.begin_leaving();
        let removed = occupant.remove(room);
        if let Some((membership, is_over)) = &removed {
            directory.vacate(membership, &call);
            if *is_over {
                self.remove_occupant(directory, &occupant, &call.guard);
            }
        }
        occupant.end_leaving();
        removed.is_some()
    }

    /// Returns the rooms that the user is in. Lock-free.
    pub(crate) fn rooms_of(&self, user: &UserId) -> Vec<RoomId> {
        let call = Call::begin(&self.watchers);
        let found = self.occupant(user, &call);
        found.map_or_else(Vec::new, |(_, occupant)| occupant.rooms())
    }

    /// Ends all memberships of the user. Returns how many there were. Lock-free.
    pub(crate) fn forget(&self, user: &UserId) -> usize {
        let call = Call::begin(&self.watchers);
        let found = self.occupant(user, &call);
        found.map_or(0, |(directory, occupant)| {
            self.end_occupant(directory, &occupant, &call)
        })
    }

    /// Returns the directory and the occupant of the user, if the user is in a room.
    fn occupant(
        &self,
        user: &UserId,
        call: &Call<'_>,
    ) -> Option<(&Directory<E>, Arc<Occupant<E>>)> {
        let directory = self.rooms.get()?;
        let found = directory
            .occupants
            .get(self.hash(user), user, &call.guard)?;
        let found = found.arc();
        // Of a session that is over: the thread that ends the memberships has not come to it.
        if !self.keeps_memberships() && found.is_left(&call.guard) {
            self.end_occupant(directory, &found, call);
            return None;
        }
        Some((directory, found))
    }

    /// Ends the memberships of a user whose lane is over, unless they are kept.
    pub(super) fn end_memberships(&self, user: &Arc<User<E>>) {
        if self.keeps_memberships() {
            return;
        }
        // Pairs with the fence in `may_stay`.
        fence(Ordering::SeqCst);
        let Some(directory) = self.rooms.get() else {
            return;
        };
        let call = Call::begin(&self.watchers);
        let found = directory.occupants.get(user.hash, &user.id, &call.guard);
        // The user may be back, and have joined rooms with another entry. Those memberships stay.
        if let Some(found) = found.map(|found| found.arc())
            && (found.is_of(user, &call.guard) || broken(Fault::EndTheNewer))
        {
            self.end_occupant(directory, &found, &call);
        }
    }

    /// Ends all memberships, for a shutdown.
    pub(super) fn end_all_memberships(&self) {
        if let Some(directory) = self.rooms.get() {
            directory.occupants.for_each(|occupant| {
                self.end_occupant(directory, occupant, &Call::begin(&self.watchers));
            });
        }
    }

    /// Ends an occupant's memberships. Returns how many this call has ended.
    fn end_occupant(
        &self,
        directory: &Directory<E>,
        occupant: &Arc<Occupant<E>>,
        call: &Call<'_>,
    ) -> usize {
        occupant.begin_leaving();
        let ended = occupant.end();
        for membership in &ended {
            directory.vacate(membership, call);
        }
        occupant.end_leaving();
        self.remove_occupant(directory, occupant, &call.guard);
        ended.len()
    }

    /// Takes an occupant whose list is over out of the directory.
    fn remove_occupant(
        &self,
        directory: &Directory<E>,
        occupant: &Arc<Occupant<E>>,
        guard: &Guard,
    ) {
        if directory.occupants.remove(occupant, guard) {
            self.count_kept_out(directory);
        }
    }

    fn count_kept_out(&self, directory: &Directory<E>) {
        if self.keeps_memberships() {
            directory.kept.fetch_sub(1, Ordering::AcqRel);
        }
    }
}
