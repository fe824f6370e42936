//! The verbs that connect a user's devices.

use std::sync::Arc;

use super::UserScope;
use crate::config::ConnectOptions;
use crate::connection::Connection;
use crate::engine::Use;
use crate::error::{ConnectError, ResumeError};
use crate::observe;
use crate::position::Position;
use crate::retention::Resumed;
use crate::sync::Ordering;

impl<E: Send + Sync + 'static> UserScope<E> {
    /// Opens a connection that receives each event accepted from now on.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// let device = ann.connect()?;
    /// assert_eq!(ann.connection_count(), 1);
    /// drop(device); // disconnects
    /// assert_eq!(ann.connection_count(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConnectError`] names the limit that is reached, or says that the scope may not connect or the hub was
    /// shut down. The table at
    /// [`CloseReason`](crate::CloseReason#status-and-close-codes) has a status and a close code for each.
    ///
    /// # Progress
    ///
    /// Lock-free. While the hub has [subscribers](crate::Hub::lifecycle), takes the short lock of each
    /// one's channel.
    pub fn connect(&self) -> Result<Connection<E>, ConnectError> {
        self.connect_with(ConnectOptions::default())
    }

    /// Opens a connection with settings.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// use laneway::{ConnectOptions, ThreadId};
    ///
    /// let oslo = ThreadId::new("Oslo")?;
    /// let device = ann.connect_with(ConnectOptions::default().thread(oslo.clone()))?;
    /// assert_eq!(device.threads(), [oslo]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), and [`ConnectError::LaneCapacity`], [`ConnectError::Note`] or
    /// [`ConnectError::Threads`] for a bad setting. Progress is as there.
    pub fn connect_with(&self, options: ConnectOptions) -> Result<Connection<E>, ConnectError> {
        let joined = self.core.connect(&self.user, options, None, &self.cache);
        let (user, seat) = joined.inspect_err(|why| observe::connect_refused(&self.user, why))?;
        Ok(Connection::new(Arc::clone(&self.core), user, seat))
    }

    /// Opens a connection that first receives what came after `position`, then each event accepted from now
    /// on.
    ///
    /// ```
    /// use laneway::{Hub, Resumed, Retention, UserId};
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
    /// The sequence has no hole, and nothing comes twice. This call reads the replay from the lane before it
    /// returns, so no later publish can take it away. Replayed events are marked
    /// [`Origin::Replayed`](crate::Origin).
    ///
    /// If something after the position is gone, the replay begins behind the last such number, and
    /// [`Resumed`] says how much is missing. The client then loads its state anew.
    ///
    /// # The device
    ///
    /// The connection is the device that the position was taken of, and has its id. If that device still has
    /// a live connection, this one takes its place in the same step, also at the limit. The old one is
    /// closed as [`CloseReason::Replaced`](crate::CloseReason). Of two calls that resume from one position
    /// the later has the id. A position that [resets](Resumed::Reset) keeps the id as well, unless it is of
    /// another hub.
    ///
    /// Two threads may resume one device at the same time, while it has no live connection. For a moment the
    /// device may then count as two connections, so one call may be refused at the limit, or close the oldest
    /// connection. A call of another thread that names the device while it resumes may not find it.
    ///
    /// # Events for some devices
    ///
    /// An event for one connection, or for all but one, goes by the device's id. An event for a thread is
    /// replayed if the device was attached to the thread when the event was accepted. A device that is away
    /// is attached to the threads of its position: those that it had when the position was taken. The threads
    /// of this connection count from its first live event on.
    ///
    /// This connection has the threads of its options. If it takes the place of a live connection and its
    /// options name no thread, it keeps the threads of that one.
    ///
    /// A position has room for two sets of threads. It names a single thread. It does not name the threads of
    /// a larger set: it recognises the set if this connection has the same. A host therefore resumes a device
    /// with the threads that it had. In any other case the position does not say whether an event for a thread
    /// is the device's. The device then receives a gap in place of such an event.
    ///
    /// # Errors
    ///
    /// [`ResumeError::Foreign`], counted, if the position is another user's or was altered; else as
    /// [`connect`](Self::connect). A device that has a live connection is not refused for a limit.
    ///
    /// # Panics
    ///
    /// If the event's `Clone` does; there is no connection then.
    ///
    /// # Progress
    ///
    /// As [`connect`](Self::connect), with at most `lane_capacity` steps more.
    pub fn resume(&self, position: &Position) -> Result<(Connection<E>, Resumed), ResumeError>
    where
        E: Clone,
    {
        self.resume_with(position, ConnectOptions::default())
    }

    /// Resumes with settings.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// # use laneway::{ConnectOptions, Resumed, ThreadId};
    /// # let position = ann.connect()?.position();
    /// let options = ConnectOptions::default().thread(ThreadId::new("Oslo")?);
    /// let (device, resumed) = ann.resume_with(&position, options)?;
    /// assert_eq!(resumed, Resumed::Reset); // this hub has no retention
    /// # assert_eq!(device.threads().len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`resume`](Self::resume), and [`ConnectError::LaneCapacity`]. Progress is as there.
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
        let done = self.resume_unobserved(position, options);
        match &done {
            Ok((device, result)) => observe::resumed(&self.user, device.id(), result),
            Err(why) => observe::resume_refused(&self.user, why),
        }
        done
    }

    fn resume_unobserved(
        &self,
        position: &Position,
        options: ConnectOptions,
    ) -> Result<(Connection<E>, Resumed), ResumeError>
    where
        E: Clone,
    {
        self.admit(Use::Resume).map_err(ConnectError::from)?;
        let counters = &self.core.counters;
        let spot = self.core.open(&self.user, position).inspect_err(|_| {
            counters.foreign_positions.fetch_add(1, Ordering::Relaxed);
        })?;
        let device = spot.map(|spot| spot.device);
        let (user, seat) = self
            .core
            .connect(&self.user, options, device, &self.cache)?;
        let mut connection = Connection::new(Arc::clone(&self.core), user, seat);
        let resumed = spot.map_or(Resumed::Reset, |spot| connection.replay_from(&spot));
        if resumed == Resumed::Reset {
            counters.stale_positions.fetch_add(1, Ordering::Relaxed);
        }
        Ok((connection, resumed))
    }
}
