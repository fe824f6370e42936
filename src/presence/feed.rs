//! A subscriber's channel: the tracker puts updates in, the subscriber takes them out.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::status::PresenceUpdate;
use crate::lifecycle::NoNotice;
use crate::notices::{self, Inbox, Notices};

/// The receiving end of a tracker's changes, from [`Presence::subscribe`](crate::Presence::subscribe).
///
/// ```
/// use std::time::Duration;
/// use laneway::{Hub, PresenceSettings, PresenceUpdate, Status, UserId};
///
/// let hub: Hub<u8> = Hub::new();
/// let mut presence = hub.presence(PresenceSettings::default())?;
/// let feed = presence.subscribe(64)?; // for another task or thread
/// let _device = hub.scope(UserId::new("ann")?).connect()?;
/// presence.step(Duration::ZERO);
/// let mut online = Vec::new();
/// while let Ok(update) = feed.try_next() {
///     match update {
///         PresenceUpdate::Snapshot { users, .. } => online = users,
///         PresenceUpdate::Change(change) => online.push((change.user, change.to)),
///         _ => {}
///     }
/// }
/// assert_eq!(online, [(UserId::new("ann")?, Status::Online)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The first update is a snapshot. Each change after it comes once, in order. A subscriber that is too slow
/// misses changes, and when it has taken what is there it receives a new snapshot that says how many.
///
/// # Progress
///
/// Each receiving call takes the short lock of this channel, as a step does that puts an update in.
pub struct PresenceFeed {
    updates: Notices<PresenceUpdate>,
}

/// The tracker's end.
pub(super) struct Sending {
    updates: Arc<Inbox<PresenceUpdate>>,
    /// Changes that did not fit in since the channel was full.
    lost: u64,
}

/// Creates a channel for so many updates, and the snapshot that it begins with.
pub(super) fn channel(capacity: usize, snapshot: PresenceUpdate) -> (Sending, PresenceFeed) {
    let (inbox, updates) = notices::channel(capacity);
    inbox.send(snapshot);
    let sending = Sending {
        updates: inbox,
        lost: 0,
    };
    (sending, PresenceFeed { updates })
}

impl Sending {
    /// Returns whether the subscriber is still there.
    pub(super) fn is_there(&self) -> bool {
        self.updates.is_there()
    }

    /// Returns how many changes did not fit in, if a snapshot would.
    ///
    /// Only an empty channel gets one. A subscriber that takes one update at a time would otherwise be sent
    /// a snapshot for each.
    pub(super) fn wants_snapshot(&self) -> Option<u64> {
        (self.lost > 0 && self.updates.waiting() == 0).then_some(self.lost)
    }

    /// Puts an update in. Never waits for room.
    pub(super) fn send(&mut self, update: PresenceUpdate) {
        let is_snapshot = matches!(update, PresenceUpdate::Snapshot { .. });
        // After a change that was lost only a snapshot can follow.
        if (self.lost == 0 || is_snapshot) && self.updates.send(update) {
            self.lost = 0;
        } else {
            self.lost += u64::from(!is_snapshot);
        }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.updates.end();
    }
}

impl PresenceFeed {
    /// Returns the next update, if there is one.
    ///
    /// ```
    /// use laneway::{Hub, NoNotice, PresenceSettings, PresenceUpdate};
    ///
    /// let hub: Hub<u8> = Hub::new();
    /// let mut presence = hub.presence(PresenceSettings::default())?;
    /// let feed = presence.subscribe(64)?;
    /// assert!(matches!(feed.try_next()?, PresenceUpdate::Snapshot { .. }));
    /// assert_eq!(feed.try_next(), Err(NoNotice::Nothing));
    /// drop(presence);
    /// assert_eq!(feed.try_next(), Err(NoNotice::Over));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`NoNotice::Nothing`] for now, or [`NoNotice::Over`] once the tracker is dropped or its hub is over.
    ///
    /// # Progress
    ///
    /// Takes the short lock of this channel. Does not wait for an update.
    pub fn try_next(&self) -> Result<PresenceUpdate, NoNotice> {
        self.updates.try_next()
    }

    /// Puts the thread to sleep until there is an update, for at most `timeout`, and returns it.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let mut presence = hub.presence(Default::default())?;
    /// let feed = presence.subscribe(64)?;
    /// let five = Duration::from_millis(5);
    /// assert!(feed.next_timeout(five).is_ok()); // the snapshot
    /// assert_eq!(feed.next_timeout(five), Err(laneway::NoNotice::Nothing));
    /// # Ok::<(), laneway::PresenceError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`NoNotice::Nothing`] if none came in time, [`NoNotice::Over`] as soon as that is so.
    ///
    /// # Progress
    ///
    /// Takes the short lock of this channel, and puts the thread to sleep while there is nothing.
    pub fn next_timeout(&self, timeout: Duration) -> Result<PresenceUpdate, NoNotice> {
        self.updates.next_timeout(timeout)
    }

    /// Polls for the next update; any async runtime's waker will do. `None` once there are no more.
    ///
    /// ```
    /// # use std::task::{Context, Waker};
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let mut presence = hub.presence(Default::default())?;
    /// let mut feed = presence.subscribe(64)?;
    /// let mut cx = Context::from_waker(Waker::noop());
    /// assert!(feed.poll_next(&mut cx).is_ready()); // the snapshot
    /// assert!(feed.poll_next(&mut cx).is_pending());
    /// # Ok::<(), laneway::PresenceError>(())
    /// ```
    ///
    /// Gives way to other tasks as [`Connection::poll_recv`](crate::Connection::poll_recv) does. Takes the short
    /// lock of its own channel.
    ///
    /// # Panics
    ///
    /// If the waker does.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<PresenceUpdate>> {
        self.updates.poll_next(cx)
    }

    /// The next update as a future, `None` once there are no more. Dropping the future loses nothing.
    ///
    /// ```
    /// use laneway::{PresenceFeed, PresenceUpdate};
    ///
    /// async fn tell_clients(mut feed: PresenceFeed) {
    ///     while let Some(update) = feed.next().await {
    ///         println!("{update:?}");
    ///     }
    /// }
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let mut presence = hub.presence(Default::default())?;
    /// # let telling = tell_clients(presence.subscribe(64)?);
    /// # drop(presence);
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(telling);
    /// # Ok::<(), laneway::PresenceError>(())
    /// ```
    #[allow(clippy::should_implement_trait)] // As the streams of futures crates name it.
    pub fn next(&mut self) -> NextUpdate<'_> {
        NextUpdate { feed: self }
    }
}

impl fmt::Debug for PresenceFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresenceFeed")
            .field("waiting", &self.updates.waiting())
            .finish_non_exhaustive()
    }
}

/// The future of [`PresenceFeed::next`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct NextUpdate<'a> {
    feed: &'a mut PresenceFeed,
}

impl Future for NextUpdate<'_> {
    type Output = Option<PresenceUpdate>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.feed.poll_next(cx)
    }
}

impl Drop for NextUpdate<'_> {
    fn drop(&mut self) {
        // A cancelled wait is over: the next step does not call its waker.
        self.feed.updates.disarm();
    }
}
