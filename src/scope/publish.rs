//! The verbs that publish to one user.

use std::time::{Duration, Instant};

use super::UserScope;
use super::pauses::{Attempt, Pauses};
use crate::addressed::Addressed;
use crate::delivery::{BatchDelivery, Delivery};
use crate::engine::Target;
use crate::error::{BatchError, PublishError};
use crate::id::{ConnectionId, ThreadId};
use crate::lane::Terms;

impl<E: Send + Sync + 'static> UserScope<E> {
    /// Publishes `event` to each live connection of the user. A slow device holds up neither this call nor
    /// another device.
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
    /// A device that is more than `lane_capacity` numbers behind skips to the last `lane_capacity` at its
    /// next call. It receives the exact number that it missed as a [`Gap`](crate::Received::Gap).
    ///
    /// # Errors
    ///
    /// [`PublishError`] hands the event back.
    ///
    /// # Panics
    ///
    /// Only if this call drops an older event whose `Drop` panics. The new event is published then.
    ///
    /// # Bounds
    ///
    /// Events that a slow device has not read stay in the lane until the device skips them or a publish
    /// needs the room. That publish drops the oldest before it returns: at most 256 events, each more than
    /// a lane old. The first unread event stays until each device has passed it or is dropped.
    ///
    /// # Progress
    ///
    /// Lock-free; never waits for a reader. At most 16 numbers an event, then `Full` hands the event back.
    pub fn publish(&self, event: E) -> Result<Delivery, PublishError<E>> {
        self.deliver(event, Terms::OVERWRITE)
    }

    /// Publishes `event`, which no connected device may miss.
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
    /// A device that is more than a lane behind skips ordinary events and still receives this one, as long
    /// as the lane holds it. A later publish may need the room. Then each connection that has not read
    /// the event is closed with [`CloseReason::Overrun`](crate::CloseReason::Overrun), at its next call or by
    /// the next [`sweep`](crate::Hub::sweep). So each connection that the event was accepted for receives
    /// it, or is closed.
    ///
    /// # Errors
    ///
    /// [`PublishError`] hands the event back. With [`Retention`](crate::Retention) a user who is away is no
    /// error, up to `max_absent_users`: the event is kept for [`recover`](crate::Connection::recover).
    ///
    /// # Panics
    ///
    /// As [`publish`](Self::publish). Bounds and progress are as there. The closes cost the publisher one
    /// step, whatever the number of connections.
    pub fn publish_critical(&self, event: E) -> Result<Delivery, PublishError<E>> {
        self.deliver(event, Terms::CRITICAL)
    }

    /// Publishes `event` unless a live connection has `lane_capacity` numbers to read already.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::builder().lane_capacity(2).build().unwrap();
    /// # let ann = hub.scope(laneway::UserId::new("ann").unwrap());
    /// # let _device = ann.connect().unwrap();
    /// ann.try_publish(0)?; // in a lane of two events
    /// ann.try_publish(1)?;
    /// let refused = ann.try_publish(2).unwrap_err();
    /// assert!(refused.is_full());
    /// assert_eq!(refused.into_inner(), 2);
    /// # Ok::<(), laneway::PublishError<u8>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`PublishError`] hands the event back; [`Full`](PublishError::Full) if the lane is full. No connection
    /// observes anything of a refused event.
    ///
    /// A call of another thread for the same user may cause `Full` too early: a publish whose event no
    /// reader sees yet, a connection that joins or leaves. A thread that is stopped for good in such a call
    /// keeps the lane full.
    ///
    /// # Progress
    ///
    /// Lock-free; never waits for a reader.
    pub fn try_publish(&self, event: E) -> Result<Delivery, PublishError<E>> {
        self.deliver(event, Terms::REFUSE)
    }

    /// Publishes `event` as soon as the lane has room for it, in numbers and in [bytes](crate::Builder::lane_bytes),
    /// and waits at most `timeout` for that.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let hub: laneway::Hub<u8> = laneway::Hub::builder().lane_capacity(2).build().unwrap();
    /// # let ann = hub.scope(laneway::UserId::new("ann").unwrap());
    /// # let _device = ann.connect().unwrap();
    /// let patience = Duration::from_millis(5);
    /// ann.publish_timeout(0, patience)?; // in a lane of two events
    /// ann.publish_timeout(1, patience)?;
    /// assert!(ann.publish_timeout(2, patience).unwrap_err().is_full());
    /// # Ok::<(), laneway::PublishError<u8>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`PublishError`] hands the event back; [`Full`](PublishError::Full) or
    /// [`OverBudget`](PublishError::OverBudget) when the time is up. The other errors come at once, and
    /// `OverBudget` too for an event that weighs more than a whole budget.
    ///
    /// # Progress
    ///
    /// Puts the thread to sleep, for 10 µs up to 1 ms between two looks at the lane. No other thread waits for
    /// this one.
    #[allow(clippy::disallowed_methods)] // A call whose purpose is to wait.
    pub fn publish_timeout(
        &self,
        event: E,
        timeout: Duration,
    ) -> Result<Delivery, PublishError<E>> {
        let deadline = Instant::now().checked_add(timeout);
        let mut pauses = Pauses::new();
        let mut attempt = self.publish_or_wait(event);
        loop {
            let refused = match attempt {
                Attempt::Break(done) => return done,
                Attempt::Continue(refused) => refused,
            };
            let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Err(refused);
            }
            let pause = pauses.next();
            std::thread::sleep(pause.min(left.unwrap_or(pause)));
            attempt = self.publish_again(refused);
        }
    }

    /// [Publishes](Self::publish) events until one is refused, and wakes sleeping connections once, at the
    /// end.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// let device = ann.connect()?;
    /// let done = ann.publish_batch([3, 4, 5])?;
    /// assert_eq!((done.events, device.unread()), (3, 3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`BatchError`] has the first event that was refused, and what was accepted before it. The rest
    /// stays in the iterator.
    ///
    /// # Panics
    ///
    /// If the iterator does; what was published before stays published. Else as [`publish`](Self::publish).
    ///
    /// # Progress
    ///
    /// Lock-free, but for the iterator.
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

    /// Addresses one connection of this user. The others step over the event.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// let (phone, laptop) = (ann.connect()?, ann.connect()?);
    /// ann.to_connection(phone.id()).publish(7)?;
    /// assert_eq!((phone.unread(), laptop.unread()), (1, 1)); // both pass the number
    /// # let (mut phone, mut laptop) = (phone, laptop);
    /// assert!(phone.try_recv().is_ok() && laptop.try_recv().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Wait-free. A connection of another user is not found, and the publish returns `NoConnections`.
    #[must_use]
    pub fn to_connection(&self, connection: ConnectionId) -> Addressed<'_, E> {
        self.addressed(Target::Connection(connection))
    }

    /// Addresses the connections of this user that are attached to `thread`, those included that join at
    /// the moment of the publish. Wait-free.
    ///
    /// ```
    /// use laneway::{ConnectOptions, ThreadId};
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann").unwrap());
    ///
    /// let oslo = ThreadId::new("Oslo").unwrap();
    /// let options = ConnectOptions::default().thread(oslo.clone());
    /// let _devices = (ann.connect().unwrap(), ann.connect_with(options).unwrap());
    /// assert_eq!(ann.to_thread(&oslo).publish(7)?.connections, 1);
    /// # Ok::<(), laneway::PublishError<u8>>(())
    /// ```
    #[must_use]
    pub fn to_thread<'a>(&'a self, thread: &'a ThreadId) -> Addressed<'a, E> {
        self.addressed(Target::Thread(thread))
    }

    /// Addresses all connections of this user but one: "my other devices". Wait-free.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// let (phone, _laptop) = (ann.connect()?, ann.connect()?);
    /// assert_eq!(ann.to_others(phone.id()).publish(7)?.connections, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn to_others(&self, than: ConnectionId) -> Addressed<'_, E> {
        self.addressed(Target::Except(than))
    }

    /// Addresses all connections of this user, as the scope itself does. Wait-free.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// let (phone, _laptop) = (ann.connect()?, ann.connect()?);
    /// let is_private = false;
    /// let audience = if is_private { ann.to_connection(phone.id()) } else { ann.to_all() };
    /// assert_eq!(audience.publish(7)?.connections, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn to_all(&self) -> Addressed<'_, E> {
        self.addressed(Target::All)
    }

    fn addressed<'a>(&'a self, target: Target<'a>) -> Addressed<'a, E> {
        Addressed::new(&self.core, &self.user, Some(&self.cache), target)
    }
}
