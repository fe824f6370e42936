//! The capability bound to one user.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::addressed::Addressed;
use crate::config::ConnectOptions;
use crate::connection::Connection;
use crate::delivery::{BatchDelivery, Delivery, SetDelivery};
use crate::engine::{Cache, Core, Target};
use crate::error::{BatchError, CloseReason, ConnectError, PublishError, ResumeError};
use crate::id::{ConnectionId, ThreadId, UserId};
use crate::lane::Terms;
use crate::position::Position;
use crate::retention::Resumed;
use crate::stats::ConnectionInfo;
use crate::sync::Ordering;

/// The only value that publishes to a user or connects as that user.
///
/// It has no method that takes a user: the scope is the address.
pub struct UserScope<E: Send + Sync + 'static> {
    core: Arc<Core<E>>,
    user: UserId,
    cache: Cache<E>,
}

impl<E: Send + Sync + 'static> UserScope<E> {
    pub(crate) fn new(core: Arc<Core<E>>, user: UserId) -> Self {
        Self {
            core,
            user,
            cache: Cache::new(),
        }
    }

    /// Whose scope this is.
    #[must_use]
    pub fn user(&self) -> &UserId {
        &self.user
    }

    /// Opens a connection that gets every event accepted from now on. Lock-free.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann").unwrap());
    /// let device = ann.connect()?;
    /// assert_eq!(ann.connection_count(), 1);
    /// # Ok::<(), laneway::ConnectError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConnectError`] says which limit stands in the way, or that the hub was shut down.
    pub fn connect(&self) -> Result<Connection<E>, ConnectError> {
        self.connect_with(ConnectOptions::default())
    }

    /// [`connect`](Self::connect) with settings.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub fn connect_with(&self, options: ConnectOptions) -> Result<Connection<E>, ConnectError> {
        let (user, seat) = self.core.connect(&self.user, options, None)?;
        Ok(Connection::new(Arc::clone(&self.core), user, seat))
    }

    /// Opens a connection that first receives what came after `position`, and then every event
    /// accepted from now on, in one sequence without a hole and without anything twice. What is
    /// replayed is read from the lane, marked [`Origin::Replayed`](crate::Origin), before this
    /// returns: a later publish cannot take it away. Lock-free; takes at most `lane_capacity` steps
    /// more than [`connect`](Self::connect).
    ///
    /// If something after the position is gone, only what comes after the last such number is
    /// replayed, and [`Resumed`] says how much is missing.
    ///
    /// The connection is the device that gave the position, and has its id. If that device has a live
    /// connection still, that one is closed as [`CloseReason::Replaced`] and this one takes its place in the
    /// same step, also where the user has as many connections as allowed. Of two calls that resume from
    /// one position the later has the id. A position that [resets](Resumed::Reset) keeps the id as well,
    /// unless it is of another hub.
    ///
    /// An event for some connections only follows its rule. An event for one connection, or for all but
    /// one, goes by the device's id. An event for a thread is replayed if the device was attached to the
    /// thread when the event was accepted; a device that is away is attached to what its position says.
    /// The thread of this connection, which may be another one, counts from its first live event on. A
    /// device that resumes into a third thread, before it has received the replay of the first, is told of
    /// a gap instead of an event for a thread that may have been for it.
    ///
    /// Two calls of this at one time for one device, which has no connection yet, may count it twice for a
    /// moment. Then one of the two may be refused at the limit, or close the oldest connection. A call of
    /// another thread that names the device while it resumes may not find it.
    ///
    /// ```
    /// use laneway::{Resumed, Retention, Hub, UserId};
    ///
    /// let retention = Some(Retention::events(64));
    /// let hub: Hub<u8> = Hub::builder().retention(retention).build()?;
    /// let ann = hub.scope(UserId::new("ann")?);
    /// let phone = ann.connect()?;
    /// let position = phone.position();
    /// drop(phone);
    /// ann.publish(7)?;
    /// let (_phone, resumed) = ann.resume(&position)?;
    /// assert!(matches!(resumed, Resumed::Complete { from: 0, to: 1, .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ResumeError::Foreign`], counted, if the position is another user's or was altered, and
    /// else as [`connect`](Self::connect). A device that has a live connection is not refused for a limit.
    ///
    /// # Panics
    ///
    /// If the event's `Clone` does; there is no connection then.
    pub fn resume(&self, position: &Position) -> Result<(Connection<E>, Resumed), ResumeError>
    where
        E: Clone,
    {
        self.resume_with(position, ConnectOptions::default())
    }

    /// [`resume`](Self::resume) with settings.
    ///
    /// # Errors
    ///
    /// As [`resume`](Self::resume).
    ///
    /// # Panics
    ///
    /// As [`resume`](Self::resume).
    pub fn resume_with(
        &self,
        position: &Position,
        options: ConnectOptions,
    ) -> Result<(Connection<E>, Resumed), ResumeError>
    where
        E: Clone,
    {
        let counters = &self.core.counters;
        let spot = self.core.open(&self.user, position).inspect_err(|_| {
            counters.foreign_positions.fetch_add(1, Ordering::Relaxed);
        })?;
        let device = spot.map(|spot| spot.device);
        let (user, seat) = self.core.connect(&self.user, options, device)?;
        let mut connection = Connection::new(Arc::clone(&self.core), user, seat);
        let resumed = if let Some(spot) = spot {
            connection.replay_from(&spot)
        } else {
            counters.stale_positions.fetch_add(1, Ordering::Relaxed);
            Resumed::Reset
        };
        Ok((connection, resumed))
    }

    /// Delivers `event` to every live connection of the user. A slow device does not hold it up: one that
    /// is more than `lane_capacity` numbers behind skips to the last `lane_capacity` at its next call. It is
    /// told exactly how many it missed.
    ///
    /// What such a device has not read stays in the lane until the device skips it or a publish needs
    /// the room. That publish drops the oldest events before it returns: at most 256 at once, each more
    /// than a lane old. The first unread event stays until each device has passed it or is dropped.
    ///
    /// Lock-free; never waits for a reader.
    ///
    /// ```
    /// # let hub: laneway::Hub<&str> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann").unwrap());
    /// # let _devices = (ann.connect().unwrap(), ann.connect().unwrap());
    /// let delivery = ann.publish("hello")?; // to a user with two devices
    /// assert_eq!((delivery.number, delivery.connections), (0, 2));
    /// # Ok::<(), laneway::PublishError<&str>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`PublishError`] hands the event back.
    ///
    /// # Panics
    ///
    /// Only if the `Drop` of an event that it drops does; the new event is published then.
    pub fn publish(&self, event: E) -> Result<Delivery, PublishError<E>> {
        self.deliver(Target::All, event, Terms::OVERWRITE)
    }

    /// As [`publish`](Self::publish), but refuses with [`PublishError::Full`] if a live connection has
    /// `lane_capacity` numbers to read already. No connection observes anything then.
    ///
    /// Calls of other threads for the same user that are under way may make it refuse too long: a publish
    /// whose event no reader sees yet, a connection that is just coming or going. A thread that is stopped
    /// for good in such a call makes it refuse for good what only that connection has not read.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::builder().lane_capacity(2).build().unwrap();
    /// # let ann = hub.scope(laneway::UserId::new("ann").unwrap());
    /// # let _device = ann.connect().unwrap();
    /// ann.try_publish(0)?; // in a lane of two events
    /// ann.try_publish(1)?;
    /// assert!(ann.try_publish(2).unwrap_err().is_full());
    /// # Ok::<(), laneway::PublishError<u8>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`PublishError`] hands the event back.
    pub fn try_publish(&self, event: E) -> Result<Delivery, PublishError<E>> {
        self.deliver(Target::All, event, Terms::REFUSE)
    }

    /// As [`publish`](Self::publish), for an event that must not be missed.
    ///
    /// A device that is more than a lane behind skips ordinary events and still receives this one, as long
    /// as the lane holds it. A later publish may need its room. Then every connection that has not read
    /// it is closed with [`CloseReason::Overrun`], at its next call or by the next
    /// [`sweep`](crate::Hub::sweep). So each connection that this event was accepted for receives
    /// it, or is closed. The publisher pays one step for that, whatever the number of connections.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::builder().lane_capacity(2).build().unwrap();
    /// # let ann = hub.scope(laneway::UserId::new("ann").unwrap());
    /// use laneway::Received;
    ///
    /// let mut device = ann.connect().unwrap(); // of a lane of two events
    /// ann.publish_critical(9)?;
    /// for event in 0..4 {
    ///     ann.publish(event)?;
    /// }
    /// let Ok(Received::Event(got)) = device.try_recv() else { panic!() };
    /// assert_eq!(got.event, 9);
    /// assert!(matches!(device.try_recv(), Ok(Received::Gap { missed: 2, .. })));
    /// # Ok::<(), laneway::PublishError<u8>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`PublishError`] hands the event back.
    pub fn publish_critical(&self, event: E) -> Result<Delivery, PublishError<E>> {
        self.deliver(Target::All, event, Terms::CRITICAL)
    }

    /// [`publish`](Self::publish)es events until one is refused, and wakes sleeping connections
    /// once, at the end. What the iterator has left after a refusal is not taken from it.
    ///
    /// # Errors
    ///
    /// The first event that was refused, with what was accepted before it.
    ///
    /// # Panics
    ///
    /// If the iterator does; what was published before stays published.
    pub fn publish_batch(
        &self,
        events: impl IntoIterator<Item = E>,
    ) -> Result<BatchDelivery, BatchError<E>> {
        let mut delivery = BatchDelivery::default();
        let terms = Terms {
            wake: false,
            ..Terms::OVERWRITE
        };
        let done = self.core.deliver_all(
            &self.user,
            Some(&self.cache),
            events.into_iter(),
            terms,
            &mut |accepted| {
                delivery.events += 1;
                delivery.last = Some(accepted);
            },
        );
        match done {
            Ok(()) => Ok(delivery),
            Err(error) => Err(BatchError { delivery, error }),
        }
    }

    /// [`publish`](Self::publish)es a clone of `event` to each of several users, who need not be
    /// of one hub. It is a loop of publishes: what one user's lane does has no effect on another's.
    /// Lock-free.
    ///
    /// ```
    /// # use laneway::{Hub, UserId, UserScope};
    /// # let hub: Hub<u8> = Hub::new();
    /// # let scope = |name| hub.scope(UserId::new(name).unwrap());
    /// let team = [scope("ann"), scope("bob")];
    /// let _devices = team.each_ref().map(|user| user.connect().unwrap());
    /// assert_eq!(UserScope::publish_to_set(&team, &7).users, 2);
    /// ```
    ///
    /// # Panics
    ///
    /// If the event's `Clone` does, or the `Drop` of an event that a publish drops; the users that come
    /// after get nothing then.
    pub fn publish_to_set<S: Borrow<Self>>(scopes: &[S], event: &E) -> SetDelivery
    where
        E: Clone,
    {
        let mut done = SetDelivery::default();
        for scope in scopes {
            match scope.borrow().publish(event.clone()) {
                Ok(delivery) => {
                    done.users += 1;
                    done.connections += delivery.connections;
                }
                Err(_) => done.refused += 1,
            }
        }
        done
    }

    /// As [`try_publish`](Self::try_publish), looking again for at most `timeout` while the lane is
    /// full: back-pressure for a host that can afford to wait. Sleeps up to a millisecond between
    /// two looks; no other thread waits for it.
    ///
    /// # Errors
    ///
    /// [`PublishError`] hands the event back, with `Full` when the time is up.
    #[allow(clippy::disallowed_methods)] // A call whose purpose is to wait.
    pub fn publish_timeout(
        &self,
        mut event: E,
        timeout: Duration,
    ) -> Result<Delivery, PublishError<E>> {
        let deadline = Instant::now().checked_add(timeout);
        let mut pause = Duration::from_micros(10);
        loop {
            event = match self.try_publish(event) {
                Err(PublishError::Full(event)) => event,
                done => return done,
            };
            let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Err(PublishError::Full(event));
            }
            std::thread::sleep(pause.min(left.unwrap_or(pause)));
            pause = (2 * pause).min(Duration::from_millis(1));
        }
    }

    /// Publishes to one connection of this user; the others step over the event.
    #[must_use]
    pub fn to_connection(&self, connection: ConnectionId) -> Addressed<'_, E> {
        self.addressed(Target::Connection(connection))
    }

    /// Publishes to the connections of this user that are attached to `thread`, those included that join
    /// at that moment.
    ///
    /// ```
    /// use laneway::{ConnectOptions, ThreadId};
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann").unwrap());
    ///
    /// let oslo = ThreadId::new("Oslo").unwrap();
    /// let options = ConnectOptions { thread: Some(oslo.clone()), ..ConnectOptions::default() };
    /// let _devices = (ann.connect().unwrap(), ann.connect_with(options).unwrap());
    /// assert_eq!(ann.to_thread(&oslo).publish(7)?.connections, 1);
    /// # Ok::<(), laneway::PublishError<u8>>(())
    /// ```
    #[must_use]
    pub fn to_thread<'a>(&'a self, thread: &'a ThreadId) -> Addressed<'a, E> {
        self.addressed(Target::Thread(thread))
    }

    /// Publishes to all connections of this user but one: "my other devices".
    #[must_use]
    pub fn to_others(&self, than: ConnectionId) -> Addressed<'_, E> {
        self.addressed(Target::Except(than))
    }

    /// Publishes to all connections of this user, as the scope itself does.
    #[must_use]
    pub fn to_all(&self) -> Addressed<'_, E> {
        self.addressed(Target::All)
    }

    fn addressed<'a>(&'a self, target: Target<'a>) -> Addressed<'a, E> {
        Addressed::new(&self.core, &self.user, Some(&self.cache), target)
    }

    #[inline]
    fn deliver(
        &self,
        target: Target<'_>,
        event: E,
        terms: Terms,
    ) -> Result<Delivery, PublishError<E>> {
        self.core
            .deliver(&self.user, Some(&self.cache), target, event, terms)
    }

    /// Writes the inner state of the user's lane, for the report of an incident; no payloads, and
    /// no promise about the form. Writes nothing if the user is offline. Lock-free.
    ///
    /// # Errors
    ///
    /// Only those of `out`.
    pub fn dump(&self, out: &mut impl fmt::Write) -> fmt::Result {
        match self.core.find(&self.user) {
            Some(user) => user.dump(out),
            None => Ok(()),
        }
    }

    /// The user's live connections; never more than the limit. Lock-free.
    #[must_use]
    pub fn connections(&self) -> Vec<ConnectionInfo> {
        let mut list = Vec::new();
        self.core.with_user(&self.user, |user| {
            user.lane.for_each(|member| {
                if member.is_open() {
                    list.push(ConnectionInfo {
                        id: member.id,
                        thread: member.thread.as_deref().cloned(),
                        unread: user.lane.unread(member),
                        missed: member.missed(),
                    });
                }
            });
        });
        list
    }

    /// How many connections the user has. Lock-free.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.core
            .with_user(&self.user, |user| user.lane.live())
            .unwrap_or(0)
    }

    /// Live connections that have lost a critical event: each is closed at its next call, or by the
    /// next sweep. Lock-free.
    #[must_use]
    pub fn overrun_count(&self) -> usize {
        self.overrun_where(|_, _| true)
    }

    /// The same among those of an audience.
    pub(crate) fn overrun_where(
        &self,
        among: impl Fn(ConnectionId, Option<&ThreadId>) -> bool,
    ) -> usize {
        let mut overrun = 0;
        self.core.with_user(&self.user, |user| {
            user.lane.for_each(|member| {
                let lost = member.is_open() && user.lane.is_overrun(member);
                overrun += usize::from(lost && among(member.id, member.thread.as_deref()));
            });
        });
        overrun
    }

    /// Closes the connection that the device with this id has now, with the host's `code`; what it has not
    /// read is cut off. `false`, and counted, if the user has no live connection with this id. Lock-free.
    pub fn disconnect(&self, connection: ConnectionId, code: u16) -> bool {
        let closed = self.close_where(code, |id| id == connection) > 0;
        if !closed {
            self.core
                .counters
                .unknown_connections
                .fetch_add(1, Ordering::Relaxed);
        }
        closed
    }

    /// Closes all of the user's connections with the host's `code` and says how many. Lock-free.
    pub fn disconnect_all(&self, code: u16) -> usize {
        self.close_where(code, |_| true)
    }

    fn close_where(&self, code: u16, which: impl Fn(ConnectionId) -> bool) -> usize {
        let Some(user) = self.core.find(&self.user) else {
            return 0;
        };
        let mut closed = 0;
        user.lane.for_each(|member| {
            let reason = CloseReason::Disconnected { code };
            if which(member.id) && self.core.close(&user, member, reason) {
                closed += 1;
            }
        });
        closed
    }
}

impl<E: Send + Sync + 'static> Clone for UserScope<E> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.core), self.user.clone())
    }
}

impl<E: Send + Sync + 'static> fmt::Debug for UserScope<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserScope")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}
