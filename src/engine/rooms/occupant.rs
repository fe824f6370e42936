//! A user as rooms see it: the entry in which events go to the user, and the rooms that the user is in.

use std::sync::Arc;

use super::room::Room;
use crate::engine::user::User;
use crate::id::{RoomId, UserId};
use crate::sync::{AtomicUsize, Guard, Ordering};
use crate::table::Keyed;
use crate::table::copy_on_write::CopyOnWrite;
use crate::table::storage::{Link, Owned, View};

/// A user who is in a room. Each place of the user leads here.
pub(super) struct Occupant<E: 'static> {
    pub(super) id: UserId,
    hash: u64,
    /// The user's entry. Where memberships end with the lane, it is the one entry of this occupant.
    /// Where they are kept, it is where the last publish found the user.
    entry: Link<User<E>, u16>,
    list: CopyOnWrite<List<E>>,
    /// Calls that take places off the list and have not emptied them yet.
    leaving: AtomicUsize,
}

/// A room and the occupant's place in it.
pub(super) struct Membership<E: 'static> {
    pub(super) room: Arc<Room<Occupant<E>>>,
    pub(super) at: usize,
}

/// An occupant's memberships.
struct List<E: 'static> {
    /// No room can be added any more. The user's next membership makes another occupant.
    is_over: bool,
    memberships: Vec<Membership<E>>,
}

/// Why a room was not added to a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotAdded {
    /// The list is over.
    Over,
    /// The room is in the list.
    IsThere,
    /// The list has as many rooms as it may have.
    TooMany,
}

impl<E: 'static> Clone for Membership<E> {
    fn clone(&self) -> Self {
        Self {
            room: Arc::clone(&self.room),
            at: self.at,
        }
    }
}

impl<E: 'static> Default for List<E> {
    fn default() -> Self {
        Self {
            is_over: false,
            memberships: Vec::new(),
        }
    }
}

impl<E: 'static> Membership<E> {
    fn is(&self, room: &Arc<Room<Occupant<E>>>, at: usize) -> bool {
        Arc::ptr_eq(&self.room, room) && self.at == at
    }
}

impl<E: Send + Sync + 'static> Membership<E> {
    /// Fills the place if the occupant's list has it. Returns whether it has.
    pub(super) fn settle(&self, occupant: &Arc<Occupant<E>>, guard: &Guard) -> bool {
        let is_listed = || occupant.has_place(&self.room, self.at);
        self.room.places.fill(self.at, occupant, is_listed, guard)
    }
}

impl<E: 'static> Keyed for Occupant<E> {
    type Key = UserId;
    fn hash(&self) -> u64 {
        self.hash
    }
    fn key(&self) -> &UserId {
        &self.id
    }
}

impl<E: Send + Sync + 'static> Occupant<E> {
    pub(super) fn new(id: UserId, hash: u64, entry: Option<Arc<User<E>>>) -> Self {
        Self {
            id,
            hash,
            entry: entry.map_or_else(Link::empty, |entry| Link::new(Owned::Leaf(entry))),
            list: CopyOnWrite::new(),
            leaving: AtomicUsize::new(0),
        }
    }

    /// Returns the entry, whose lane may be over.
    pub(super) fn entry<'g>(&'g self, guard: &'g Guard) -> View<'g, User<E>, u16> {
        self.entry.load(guard)
    }

    /// Notes that the user was found in `found`, or nowhere. Does nothing if another thread has noted
    /// something since `view`.
    pub(super) fn note(
        &self,
        view: View<'_, User<E>, u16>,
        found: Option<Arc<User<E>>>,
        guard: &Guard,
    ) {
        let new = found.map_or(Owned::Empty, Owned::Leaf);
        let _ = self.entry.compare_exchange(view, new, guard);
    }

    /// Returns whether the occupant is of this entry of the user.
    pub(super) fn is_of(&self, entry: &Arc<User<E>>, guard: &Guard) -> bool {
        matches!(self.entry(guard), View::Leaf(leaf) if leaf.is(entry))
    }

    /// Returns whether the lane of the occupant's entry is over.
    pub(super) fn is_left(&self, guard: &Guard) -> bool {
        matches!(self.entry(guard), View::Leaf(leaf) if leaf.lane.is_over())
    }

    /// Returns the membership of a room; `Err` if the list is over.
    pub(super) fn find(&self, room: &RoomId) -> Result<Option<Membership<E>>, NotAdded> {
        let list = self.list.load();
        if list.is_over {
            return Err(NotAdded::Over);
        }
        Ok(list
            .memberships
            .iter()
            .find(|m| m.room.id == *room)
            .cloned())
    }

    /// Returns the number of rooms.
    pub(super) fn len(&self) -> usize {
        self.list.load().memberships.len()
    }

    /// Returns whether the list has this place of a room.
    pub(super) fn has_place(&self, room: &Arc<Room<Self>>, at: usize) -> bool {
        self.list.load().memberships.iter().any(|m| m.is(room, at))
    }

    /// Returns whether a place may be off the list and not be empty yet.
    #[inline]
    pub(super) fn is_leaving(&self) -> bool {
        // Acquire: pairs with `end_leaving`. A walk that finds no leave finds its place empty.
        self.leaving.load(Ordering::Acquire) > 0
    }

    /// Called before places are taken off the list.
    pub(super) fn begin_leaving(&self) {
        self.leaving.fetch_add(1, Ordering::AcqRel);
    }

    /// Called after the places are emptied.
    pub(super) fn end_leaving(&self) {
        self.leaving.fetch_sub(1, Ordering::AcqRel);
    }

    /// Returns the ids of the rooms.
    pub(super) fn rooms(&self) -> Vec<RoomId> {
        let list = self.list.load();
        list.memberships.iter().map(|m| m.room.id.clone()).collect()
    }

    /// Adds a room to the list, which may have `limit` of them.
    pub(super) fn add(&self, new: &Membership<E>, limit: usize) -> Result<(), NotAdded> {
        self.list.update(|list| {
            if list.is_over {
                return Err(NotAdded::Over);
            }
            if list.memberships.iter().any(|m| m.room.id == new.room.id) {
                return Err(NotAdded::IsThere);
            }
            if list.memberships.len() >= limit {
                return Err(NotAdded::TooMany);
            }
            let mut memberships = Vec::with_capacity(list.memberships.len() + 1);
            memberships.extend(list.memberships.iter().chain([new]).cloned());
            let list = List {
                is_over: false,
                memberships,
            };
            Ok((list, ()))
        })
    }

    /// Takes a room off the list. Returns it, and whether it was the last one, which ends the list.
    pub(super) fn remove(&self, room: &RoomId) -> Option<(Membership<E>, bool)> {
        let removed = self.list.update(|list| {
            let mut memberships = list.memberships.clone();
            let at = memberships.iter().position(|m| m.room.id == *room);
            let membership = memberships.swap_remove(at.ok_or(())?);
            let is_over = memberships.is_empty();
            let list = List {
                is_over,
                memberships,
            };
            Ok::<_, ()>((list, (membership, is_over)))
        });
        removed.ok()
    }

    /// Ends the list. Returns the memberships that it had, to the one caller that has ended it.
    pub(super) fn end(&self) -> Vec<Membership<E>> {
        let ended = self.list.update(|list| {
            if list.is_over {
                return Err(());
            }
            let over = List {
                is_over: true,
                memberships: Vec::new(),
            };
            Ok((over, list.memberships.clone()))
        });
        ended.unwrap_or_default()
    }

    /// Ends the list if it has no room. Returns whether it is over.
    pub(super) fn end_if_empty(&self) -> bool {
        let ended = self.list.update(|list| {
            if list.is_over || !list.memberships.is_empty() {
                return Err(list.is_over);
            }
            let over = List {
                is_over: true,
                memberships: Vec::new(),
            };
            Ok((over, ()))
        });
        ended.err().unwrap_or(true)
    }
}
