//! Who is in a room, and who of them is there: a view that the host brings up to date.

use std::collections::HashMap;
use std::fmt;
use std::mem;

use ahash::RandomState;

use super::{Presence, Status};
use crate::id::UserId;
use crate::room::RoomSender;

/// The members of a room with their statuses, and each change of that in order, from
/// [`RoomSender::presence`](crate::RoomSender::presence).
///
/// ```
/// use std::time::Duration;
/// use laneway::{Hub, Presence, RoomId, RoomPresence, RoomSender, UserId};
///
/// #[derive(Clone)]
/// enum Event {
///     /// The client shows this user with the status, or takes the user off its list.
///     Member(UserId, Option<laneway::Status>),
/// }
///
/// /// The host's timer calls this for each room that it shows.
/// fn show(here: &mut RoomPresence<Event>, presence: &Presence<Event>, room: &RoomSender<Event>) {
///     for change in here.update(presence) {
///         room.publish(&Event::Member(change.user, change.to));
///     }
/// }
///
/// let hub: Hub<Event> = Hub::new();
/// let mut presence = hub.presence(Default::default())?;
/// let (ann, oslo) = (hub.scope(UserId::new("ann")?), RoomId::new("Oslo")?);
/// let mut phone = ann.connect()?;
/// ann.join(&oslo)?;
/// let room = hub.room(oslo);
/// let mut here = room.presence();
/// presence.step(Duration::ZERO);
/// show(&mut here, &presence, &room);
/// assert_eq!(phone.unread(), 1); // "ann is online"
/// assert_eq!(here.members().count(), 1); // for a client that comes later
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// One task or thread owns the view. A host may have any number of them. A member learns of the other members
/// only by what the host publishes.
///
/// # What a change is
///
/// An update compares what the view has with the members of the room and their statuses in the tracker. The
/// changes of a user follow each other: each begins with what the one before has ended with. A user who leaves
/// and joins again between two updates makes no change. Where memberships [end with the
/// lane](crate::Memberships), a user who goes offline leaves.
///
/// # Bounds
///
/// One entry a member: [`max_members_per_room`](crate::Builder::max_members_per_room) for each room of the
/// sender.
pub struct RoomPresence<E: Send + Sync + 'static> {
    room: RoomSender<E>,
    members: HashMap<UserId, Status, RandomState>,
    /// The number of the last change.
    number: u64,
}

/// One change in a room, from [`RoomPresence::update`].
///
/// ```
/// use laneway::{RoomChange, Status};
///
/// fn text(change: &RoomChange) -> &'static str {
///     match (change.from, change.to) {
///         (None, _) => "joined",
///         (_, None) => "left",
///         (_, Some(Status::Online)) => "is back",
///         _ => "is gone",
///     }
/// }
/// # let hub: laneway::Hub<u8> = laneway::Hub::new();
/// # let presence = hub.presence(Default::default()).unwrap();
/// # let (ann, oslo) = (laneway::UserId::new("ann").unwrap(), laneway::RoomId::new("Oslo").unwrap());
/// # let ann = hub.scope(ann);
/// # let _phone = ann.connect().unwrap();
/// # ann.join(&oslo).unwrap();
/// # let changes = hub.room(oslo).presence().update(&presence);
/// # assert_eq!(text(&changes[0]), "joined");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct RoomChange {
    /// The place among all changes of the view: 1 is the first, and there are no holes.
    pub number: u64,
    /// The member.
    pub user: UserId,
    /// The status before, or `None` if the user was no member.
    pub from: Option<Status>,
    /// The status now, another one, or `None` if the user is no member any more.
    pub to: Option<Status>,
}

impl<E: Send + Sync + 'static> RoomSender<E> {
    /// Returns a view of who is in these rooms. It has no member before its first
    /// [update](RoomPresence::update).
    ///
    /// ```
    /// # use laneway::{Hub, RoomId};
    /// let hub: Hub<u8> = Hub::new();
    /// let oslo = hub.room(RoomId::new("Oslo")?);
    /// assert_eq!(oslo.presence().members().count(), 0);
    /// # Ok::<(), laneway::InvalidId>(())
    /// ```
    ///
    /// A user in several of the rooms is one member. Wait-free.
    #[must_use]
    pub fn presence(&self) -> RoomPresence<E> {
        RoomPresence {
            room: self.clone(),
            members: HashMap::default(),
            number: 0,
        }
    }
}

impl<E: Send + Sync + 'static> RoomPresence<E> {
    /// Brings the view up to date. Returns the changes, one for each member who has changed.
    ///
    /// ```
    /// use laneway::{Hub, RoomId, Status, UserId};
    ///
    /// let hub: Hub<u8> = Hub::new();
    /// let (ann, oslo) = (hub.scope(UserId::new("ann")?), RoomId::new("Oslo")?);
    /// let _phone = ann.connect()?;
    /// ann.join(&oslo)?;
    /// let presence = hub.presence(Default::default())?;
    /// let mut here = hub.room(oslo.clone()).presence();
    /// let joined = here.update(&presence);
    /// assert_eq!((joined[0].from, joined[0].to), (None, Some(Status::Online)));
    /// ann.leave(&oslo);
    /// let left = here.update(&presence);
    /// assert_eq!((left[0].number, left[0].to), (2, None));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// `presence` is a tracker of the same hub, and the statuses are those of its last step. A tracker that
    /// does not know a member, because it is [full](crate::PresenceStep#structfield.is_full) or of another
    /// hub, counts the member as offline.
    ///
    /// Changes of different users come in no order, those of users who have left last.
    ///
    /// # Progress
    ///
    /// Lock-free, linear in the members.
    pub fn update(&mut self, presence: &Presence<E>) -> Vec<RoomChange> {
        let mut gone = mem::take(&mut self.members);
        let mut changes = Vec::new();
        for user in self.room.members() {
            let (from, to) = (gone.remove(&user), presence.status(&user));
            if from != Some(to) {
                changes.push(self.change(user.clone(), from, Some(to)));
            }
            self.members.insert(user, to);
        }
        for (user, from) in gone {
            changes.push(self.change(user, Some(from), None));
        }
        changes
    }

    fn change(&mut self, user: UserId, from: Option<Status>, to: Option<Status>) -> RoomChange {
        self.number += 1;
        let number = self.number;
        RoomChange {
            number,
            user,
            from,
            to,
        }
    }

    /// Returns the members with their statuses as of the last update, in no order: the snapshot for a client
    /// that comes.
    ///
    /// ```
    /// # use laneway::{Hub, RoomId};
    /// # let hub: Hub<u8> = Hub::new();
    /// # let here = hub.room(RoomId::new("Oslo")?).presence();
    /// let (snapshot, number) = (here.members().collect::<Vec<_>>(), here.number());
    /// assert!(snapshot.is_empty() && number == 0); // the next change has number 1
    /// # Ok::<(), laneway::InvalidId>(())
    /// ```
    pub fn members(&self) -> impl Iterator<Item = (&UserId, Status)> {
        self.members.iter().map(|(user, status)| (user, *status))
    }

    /// Returns a user's status as of the last update, or `None` if the user is no member.
    ///
    /// ```
    /// # use laneway::{Hub, RoomId, UserId};
    /// # let hub: Hub<u8> = Hub::new();
    /// # let here = hub.room(RoomId::new("Oslo")?).presence();
    /// assert_eq!(here.status(&UserId::new("ann")?), None);
    /// # Ok::<(), laneway::InvalidId>(())
    /// ```
    #[must_use]
    pub fn status(&self, user: &UserId) -> Option<Status> {
        self.members.get(user).copied()
    }

    /// Returns the number of the last change, or 0. The members are as after that change.
    ///
    /// ```
    /// # use laneway::{Hub, RoomId};
    /// # let hub: Hub<u8> = Hub::new();
    /// assert_eq!(hub.room(RoomId::new("Oslo")?).presence().number(), 0);
    /// # Ok::<(), laneway::InvalidId>(())
    /// ```
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }
}

impl<E: Send + Sync + 'static> fmt::Debug for RoomPresence<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoomPresence")
            .field("room", &self.room)
            .field("members", &self.members.len())
            .finish_non_exhaustive()
    }
}
