//! The results of publishes.

/// The result of a publish: the event was accepted.
///
/// ```
/// # let hub: laneway::Hub<u8> = laneway::Hub::new();
/// # let ann = hub.scope(laneway::UserId::new("ann")?);
/// let _device = ann.connect()?;
/// let first = ann.publish(7)?;
/// let second = ann.publish(8)?;
/// assert_eq!((first.connections, first.kept), (1, false));
/// assert!(second.number > first.number);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Delivery {
    /// The event's number in the user's lane; later events have larger ones.
    pub number: u64,
    /// How many connections the event is for.
    ///
    /// For an event to all of the user's connections: exactly those that were live when it was accepted.
    /// At least one, unless the event is `kept`.
    ///
    /// For an audience: the listed connections that match, counted just before the event is accepted. While
    /// a connection joins this is a lower bound, which may be 0: the newcomer also receives the event if it
    /// matches. A connection that is closed between the count and the acceptance is in the count.
    pub connections: usize,
    /// Whether the event stays in the lane for devices that come back, because the hub has
    /// [`Retention`](crate::Retention). It stays until its place or its weight is needed, or it is too old.
    pub kept: bool,
}

/// The result of [`UserScope::publish_batch`](crate::UserScope::publish_batch).
///
/// ```
/// # let hub: laneway::Hub<u8> = laneway::Hub::new();
/// # let ann = hub.scope(laneway::UserId::new("ann")?);
/// let _device = ann.connect()?;
/// let done = ann.publish_batch([3, 4])?;
/// assert_eq!((done.events, done.last.unwrap().number), (2, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct BatchDelivery {
    /// How many events were accepted.
    pub events: usize,
    /// The delivery of the last accepted event.
    pub last: Option<Delivery>,
}

/// The result of a publish to rooms or to all users: [`RoomSender::publish`](crate::RoomSender::publish),
/// [`Announcer::publish`](crate::Announcer::publish).
///
/// ```
/// # use laneway::{Hub, RoomId, UserId};
/// # let hub: Hub<u8> = Hub::new();
/// # let (ann, bob) = (hub.scope(UserId::new("ann")?), hub.scope(UserId::new("bob")?));
/// let oslo = RoomId::new("Oslo")?;
/// let _devices = (ann.connect()?, ann.connect()?, bob.connect()?);
/// ann.join(&oslo)?;
/// bob.join(&oslo)?;
/// let done = hub.room(oslo).publish(&7);
/// assert_eq!((done.users, done.connections, done.refused), (2, 3, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct RoomDelivery {
    /// How many users' lanes accepted the event.
    pub users: usize,
    /// How many connections of theirs were live then.
    pub connections: usize,
    /// How many users' lanes refused it. The hub counts the reasons in [`HubStats`](crate::HubStats).
    pub refused: usize,
}

impl RoomDelivery {
    /// Counts one user, to so many of whose connections the event was delivered.
    #[inline]
    pub(crate) fn count<R>(&mut self, done: &Result<usize, R>) {
        match done {
            Ok(connections) => {
                self.users += 1;
                self.connections += connections;
            }
            Err(_) => self.refused += 1,
        }
    }
}
