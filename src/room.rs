//! Rooms as the host sees them: the capability to publish to their members.

use std::fmt;
use std::sync::Arc;

use crate::delivery::RoomDelivery;
use crate::engine::Core;
use crate::hub::Hub;
use crate::id::{RoomId, UserId};
use crate::lane::Terms;

mod announcer;
pub(crate) mod error;
pub(crate) mod limits;
mod settings;

pub use announcer::Announcer;
pub use error::JoinRoomError;
pub use limits::{Joined, Memberships};

/// The only value that publishes to a room, or to several, from [`Hub::room`] and [`Hub::rooms`]. The host
/// keeps it.
///
/// ```
/// use laneway::{Hub, RoomId, RoomSender, UserId};
///
/// fn announce_goal(team: &RoomSender<String>) -> usize {
///     // This code reaches the members of one room, and learns no user's id that it does not ask for.
///     team.publish(&"goal!".to_owned()).users
/// }
///
/// let hub = Hub::new();
/// let (ann, team) = (hub.scope(UserId::new("ann")?), RoomId::new("team")?);
/// let phone = ann.connect()?;
/// ann.join(&team)?; // through ann's own scope
/// assert_eq!(announce_goal(&hub.room(team)), 1);
/// assert_eq!(phone.unread(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A user joins and leaves through the own scope: [`UserScope::join`](crate::UserScope::join),
/// [`leave`](crate::UserScope::leave). A scope does not show the other members, and does not publish to a room.
///
/// # Which members a publish reaches
///
/// A member during the whole call is reached once, also if several rooms of the call have the member. After
/// `leave` has returned, no publish that begins later reaches the user. A user who joins or leaves while a
/// publish runs may or may not be reached by it, and is not reached twice.
///
/// Two publishes to one room at the same time may reach two members in different orders. Each user's own
/// devices see one order.
///
/// # Bounds
///
/// An empty room takes no memory. A room has about twice as many places as it had members at a time since it
/// was last empty, and never more than twice [`max_members_per_room`](crate::Builder::max_members_per_room). A
/// place is 16 bytes. [`Builder`](crate::Builder::max_rooms_per_user) bounds the rooms of a user,
/// the members of a room, and the users whose memberships are kept.
pub struct RoomSender<E: Send + Sync + 'static> {
    core: Arc<Core<E>>,
    rooms: Arc<[RoomId]>,
}

impl<E: Send + Sync + 'static> Hub<E> {
    /// Returns the capability to publish to a room. Wait-free.
    ///
    /// ```
    /// # use laneway::{Hub, RoomId};
    /// # let hub: Hub<u8> = Hub::new();
    /// let oslo = hub.room(RoomId::new("Oslo")?);
    /// assert_eq!(oslo.member_count(), 0); // a room without members is no error
    /// # Ok::<(), laneway::InvalidId>(())
    /// ```
    #[must_use]
    pub fn room(&self, room: RoomId) -> RoomSender<E> {
        self.rooms([room])
    }

    /// Returns the capability to publish to several rooms, to each user once. Wait-free.
    ///
    /// ```
    /// # use laneway::{Hub, RoomId, UserId};
    /// # let hub: Hub<u8> = Hub::new();
    /// # let ann = hub.scope(UserId::new("ann")?);
    /// let (oslo, rome) = (RoomId::new("Oslo")?, RoomId::new("Rome")?);
    /// let phone = ann.connect()?;
    /// ann.join(&oslo)?;
    /// ann.join(&rome)?;
    /// assert_eq!(hub.rooms([oslo, rome]).publish(&7).users, 1);
    /// assert_eq!(phone.unread(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn rooms(&self, rooms: impl IntoIterator<Item = RoomId>) -> RoomSender<E> {
        RoomSender::new(Arc::clone(&self.core), rooms)
    }

    /// Ends all memberships of a user. Returns how many there were.
    ///
    /// ```
    /// # use laneway::{Hub, RoomId, UserId};
    /// # let hub: Hub<u8> = Hub::new();
    /// # let ann = hub.scope(UserId::new("ann")?);
    /// # let _phone = ann.connect()?;
    /// ann.join(&RoomId::new("Oslo")?)?;
    /// assert_eq!(hub.forget(ann.user()), 1); // the account was deleted
    /// assert!(ann.rooms().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The user's connections stay. A join of another thread that runs at the same time may come after this
    /// call. Lock-free, linear in the user's rooms.
    pub fn forget(&self, user: &UserId) -> usize {
        self.core.forget(user)
    }
}

impl<E: Send + Sync + 'static> RoomSender<E> {
    pub(crate) fn new(core: Arc<Core<E>>, rooms: impl IntoIterator<Item = RoomId>) -> Self {
        Self {
            core,
            rooms: rooms.into_iter().collect(),
        }
    }

    /// Returns whether the hub was shut down.
    #[cfg(feature = "cluster")]
    #[cfg_attr(any(laneway_loom, laneway_shuttle), allow(dead_code))]
    pub(crate) fn is_closed(&self) -> bool {
        self.core.is_closed()
    }

    /// [Publishes](crate::UserScope::publish) a clone of `event` to each member.
    ///
    /// ```
    /// # use laneway::{Hub, RoomId, UserId};
    /// # let hub: Hub<u8> = Hub::new();
    /// # let (ann, oslo) = (hub.scope(UserId::new("ann")?), RoomId::new("Oslo")?);
    /// let _phone = ann.connect()?;
    /// ann.join(&oslo)?;
    /// let room = hub.room(oslo.clone());
    /// assert_eq!(room.publish(&7).users, 1);
    /// ann.leave(&oslo);
    /// assert_eq!(room.publish(&8).users, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// This is a loop over the members: one user's lane has no effect on another's, and no error ends it.
    /// [`RoomDelivery`] counts the lanes that accepted the event and those that refused it.
    ///
    /// # Panics
    ///
    /// If the event's `Clone` panics, or if a publish drops an older event whose `Drop` panics. The members
    /// that come after receive nothing then.
    ///
    /// # Bounds
    ///
    /// A call for several rooms notes the id of each user reached, until it returns.
    ///
    /// # Progress
    ///
    /// Lock-free, linear in the members. The collector is held for at most 64 members at a time.
    pub fn publish(&self, event: &E) -> RoomDelivery
    where
        E: Clone,
    {
        self.core
            .publish_to_rooms(&self.rooms, event, Terms::OVERWRITE)
    }

    /// Returns the room, if the capability is for one room.
    #[cfg(all(feature = "cluster", feature = "protocol"))]
    #[cfg_attr(any(laneway_loom, laneway_shuttle), allow(dead_code))]
    pub(crate) fn only_room(&self) -> Option<&RoomId> {
        match &*self.rooms {
            [room] => Some(room),
            _ => None,
        }
    }

    /// Publishes to the members for which `is_for` returns `true`. The others are not counted.
    #[cfg_attr(
        any(
            not(any(feature = "protocol", feature = "cluster")),
            laneway_loom,
            laneway_shuttle
        ),
        allow(dead_code)
    )]
    pub(crate) fn publish_where(
        &self,
        event: &E,
        terms: Terms,
        is_for: impl FnMut(&UserId) -> bool,
    ) -> RoomDelivery
    where
        E: Clone,
    {
        self.core
            .publish_to_members(&self.rooms, event, terms, is_for)
    }

    /// Publishes a clone of `event` to each member as
    /// [`UserScope::publish_critical`](crate::UserScope::publish_critical) does.
    ///
    /// ```
    /// # use laneway::{Hub, RoomId, UserId};
    /// # let hub: Hub<u8> = Hub::new();
    /// # let (ann, oslo) = (hub.scope(UserId::new("ann")?), RoomId::new("Oslo")?);
    /// let _phone = ann.connect()?;
    /// ann.join(&oslo)?;
    /// assert_eq!(hub.room(oslo).publish_critical(&7).users, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Where memberships are [kept](Memberships::Kept) and the hub has [`Retention`](crate::Retention), the
    /// event is kept for a member who is away.
    ///
    /// # Panics
    ///
    /// As [`publish`](Self::publish). Bounds and progress are as there.
    pub fn publish_critical(&self, event: &E) -> RoomDelivery
    where
        E: Clone,
    {
        self.core
            .publish_to_rooms(&self.rooms, event, Terms::CRITICAL)
    }

    /// Returns the members, each user once.
    ///
    /// ```
    /// # use laneway::{Hub, RoomId, UserId};
    /// # let hub: Hub<u8> = Hub::new();
    /// # let (ann, oslo) = (hub.scope(UserId::new("ann")?), RoomId::new("Oslo")?);
    /// # let _phone = ann.connect()?;
    /// ann.join(&oslo)?;
    /// assert_eq!(hub.room(oslo).members(), [ann.user().clone()]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// In no order. The list may include or miss a user who joins or leaves meanwhile. Lock-free, linear in
    /// the members.
    #[must_use]
    pub fn members(&self) -> Vec<UserId> {
        self.core.members(&self.rooms)
    }

    /// Returns the number of members, summed over the rooms. Lock-free.
    ///
    /// ```
    /// # use laneway::{Hub, RoomId, UserId};
    /// # let hub: Hub<u8> = Hub::new();
    /// # let (ann, oslo) = (hub.scope(UserId::new("ann")?), RoomId::new("Oslo")?);
    /// # let _phone = ann.connect()?;
    /// ann.join(&oslo)?;
    /// assert_eq!(hub.room(oslo).member_count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Users who are just joining or leaving count.
    #[must_use]
    pub fn member_count(&self) -> usize {
        self.core.member_count(&self.rooms)
    }
}

impl<E: Send + Sync + 'static> Clone for RoomSender<E> {
    fn clone(&self) -> Self {
        Self {
            core: Arc::clone(&self.core),
            rooms: Arc::clone(&self.rooms),
        }
    }
}

impl<E: Send + Sync + 'static> fmt::Debug for RoomSender<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoomSender")
            .field("rooms", &self.rooms)
            .finish_non_exhaustive()
    }
}
