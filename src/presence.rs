//! Who is there: a tracker over the hub's notices, which the host steps.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ahash::RandomState;

use crate::engine::Core;
use crate::engine::clock::{Clock, micros};
use crate::hub::Hub;
use crate::id::UserId;
use crate::lifecycle::{Change, Lifecycle, NoNotice};
use crate::sync::{Fault, broken};

mod feed;
mod room;
mod settings;
mod status;
mod view;

pub use feed::{NextUpdate, PresenceFeed};
use feed::{Sending, channel};
pub use room::{RoomChange, RoomPresence};
pub use settings::{PresenceError, PresenceSettings};
pub use status::{PresenceChange, PresenceStep, PresenceUpdate, Status};

/// Of one tracker at a time.
const MAX_SUBSCRIBERS: usize = 16;
/// Of one subscriber.
const MAX_UPDATES: usize = 1 << 20;

/// A tracker of users: who is online, who is away, and each change of that in order.
///
/// ```
/// use std::time::Duration;
/// use laneway::{Hub, PresenceSettings, Status, UserId};
///
/// let hub: Hub<String> = Hub::new();
/// let mut presence = hub.presence(PresenceSettings::default())?;
/// let ann = hub.scope(UserId::new("ann")?);
/// let _phone = ann.connect()?;
/// presence.step(Duration::ZERO); // of the timer that sweeps, say
/// assert_eq!(presence.status(ann.user()), Status::Online);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`RoomPresence`] shows who is in a room, with the statuses of a tracker.
///
/// One task or thread owns the tracker and steps it. Others [subscribe](Self::subscribe), and receive a
/// snapshot and each change after it.
///
/// # What a change is
///
/// Notices of the hub are the trigger, and what the hub knows at that step is the truth. So it does not matter
/// in which order notices come, or whether some are lost. A user who comes and goes between two steps makes no
/// change. The changes of a user alternate, each once, in the order in which they were so.
///
/// # Bounds
///
/// [`max_users`](PresenceSettings::max_users) users, 16 subscribers, as many updates for each as it asks for,
/// and one of the hub's 16 [subscribers](crate::Hub::lifecycle). A hub without a tracker pays nothing.
pub struct Presence<E: Send + Sync + 'static> {
    core: Arc<Core<E>>,
    notices: Lifecycle,
    settings: PresenceSettings,
    clock: Clock,
    /// The time on the clock at the last step.
    passed: u64,
    /// Users who are not offline, or are about to be.
    users: HashMap<UserId, Tracked, RandomState>,
    /// Those of `users` who have no connection.
    absent: HashSet<UserId, RandomState>,
    subscribers: Vec<Sending>,
    /// The number of the last change.
    number: u64,
    /// How many notices were lost when this last looked at all users.
    lost: u64,
    /// A user was left out since this last looked at all users.
    is_full: bool,
    is_over: bool,
}

struct Tracked {
    shown: Status,
    /// When the user was first seen without a connection, if there is none.
    left: Option<u64>,
}

impl<E: Send + Sync + 'static> Hub<E> {
    /// Creates a tracker of who is there.
    ///
    /// ```
    /// use laneway::{Hub, PresenceSettings, Status, UserId};
    ///
    /// let hub: Hub<u8> = Hub::new();
    /// let ann = hub.scope(UserId::new("ann")?);
    /// let _phone = ann.connect()?; // before the tracker
    /// let presence = hub.presence(PresenceSettings::default())?;
    /// assert_eq!(presence.status(ann.user()), Status::Online);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The tracker begins with the users who are there. It does not keep the hub open.
    ///
    /// # Errors
    ///
    /// [`PresenceError`] if a setting is out of its bounds, or if the hub has 16
    /// [subscribers](Self::lifecycle).
    ///
    /// # Progress
    ///
    /// Lock-free, linear in the users.
    pub fn presence(&self, settings: PresenceSettings) -> Result<Presence<E>, PresenceError> {
        if settings.max_users == 0 {
            return Err(PresenceError::MaxUsers);
        }
        let mut presence = Presence {
            core: Arc::clone(&self.core),
            // Before the look at all users: a user who comes after that look sends a notice.
            notices: self.lifecycle(settings.notices)?,
            clock: Clock::for_waits_of(settings.debounce),
            settings,
            passed: 0,
            users: HashMap::default(),
            absent: HashSet::default(),
            subscribers: Vec::new(),
            number: 0,
            lost: 0,
            is_full: false,
            is_over: false,
        };
        presence.look_at_all();
        Ok(presence)
    }
}

impl<E: Send + Sync + 'static> Presence<E> {
    /// Takes the hub's notices, and tells the subscribers what has changed.
    ///
    /// ```
    /// use std::time::Duration;
    /// use laneway::{Hub, PresenceSettings, UserId};
    ///
    /// let hub: Hub<u8> = Hub::new();
    /// let mut presence = hub.presence(PresenceSettings::default())?;
    /// let ann = hub.scope(UserId::new("ann")?);
    /// let phone = ann.connect()?;
    /// assert_eq!(presence.step(Duration::ZERO).changes, 1);
    /// drop(phone);
    /// let _phone = ann.connect()?; // before the next step
    /// assert_eq!(presence.step(Duration::ZERO).changes, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// `now` is the time since any fixed moment of the host's choice, as in [`Hub::sweep`]. A host steps as
    /// often as changes are to be told, and four times in the [debounce](PresenceSettings::debounce) at least.
    /// The users whose grace has ended are found by the first step after the sweep that ends it.
    ///
    /// # Progress
    ///
    /// Takes the short locks of its channels. Linear in the notices since the last step and in the users who
    /// are away, and in all users of the hub when notices were lost.
    pub fn step(&mut self, now: Duration) -> PresenceStep {
        let before = self.number;
        self.passed = self.clock.sweep(now);
        self.take_notices();
        // Read before the look: a notice that is lost during it makes the next step look again.
        let lost = self.notices.lost();
        let has_room = self.is_full && self.users.len() < self.settings.max_users;
        let has_looked_at_all = lost != self.lost || has_room || self.is_over;
        if has_looked_at_all {
            self.lost = lost;
            self.look_at_all();
        }
        self.look_at_absent();
        self.subscribers.retain(Sending::is_there);
        for n in 0..self.subscribers.len() {
            if let Some(lost) = self.subscribers[n].wants_snapshot() {
                let snapshot = self.snapshot(lost);
                self.subscribers[n].send(snapshot);
            }
        }
        if self.is_over && self.users.is_empty() {
            self.subscribers.clear();
        }
        PresenceStep {
            changes: self.number - before,
            has_looked_at_all,
            is_full: self.is_full,
            is_over: self.is_over,
        }
    }

    /// Takes the notices that were there when this began, so that a step ends whatever comes meanwhile.
    fn take_notices(&mut self) {
        for _ in 0..self.settings.notices {
            match self.notices.try_next() {
                Ok(notice) => {
                    let is_online = notice.change == Change::Online;
                    if broken(Fault::TrustTheNotice) {
                        self.look_at_as(&notice.user, is_online);
                    } else if is_online || notice.change == Change::Offline {
                        self.look_at(&notice.user);
                    }
                }
                Err(NoNotice::Over) => {
                    self.is_over = true;
                    return;
                }
                Err(_) => return,
            }
        }
    }

    /// Looks at each user who is tracked, and at each user of the hub.
    fn look_at_all(&mut self) {
        self.is_full = false;
        let tracked: Vec<UserId> = self.users.keys().cloned().collect();
        for user in &tracked {
            self.look_at(user);
        }
        let core = Arc::clone(&self.core);
        core.for_each(|user| {
            if user.lane.live() > 0 {
                self.look_at(&user.id);
            } else if user.was_online() && !user.lane.is_over() {
                self.take_in(&user.id, Status::Away);
            }
        });
    }

    /// Compares what is known of a user with what the hub knows.
    fn look_at(&mut self, user: &UserId) {
        let is_online = self.core.is_online(user);
        self.look_at_as(user, is_online);
    }

    fn look_at_as(&mut self, user: &UserId, is_online: bool) {
        if is_online {
            self.take_in(user, Status::Online);
        } else if let Some(tracked) = self.users.get_mut(user) {
            // The wait begins now. `look_at_absent` tells of it later.
            if tracked.left.is_none() {
                tracked.left = Some(self.passed);
                self.absent.insert(user.clone());
            }
        }
    }

    /// Tracks a user who is there, or is kept.
    fn take_in(&mut self, user: &UserId, status: Status) {
        let is_online = status == Status::Online;
        let Some(tracked) = self.users.get_mut(user) else {
            if self.users.len() >= self.settings.max_users {
                self.is_full = true;
                return;
            }
            let left = (!is_online).then_some(self.passed);
            let shown = status;
            self.users.insert(user.clone(), Tracked { shown, left });
            if !is_online {
                self.absent.insert(user.clone());
            }
            self.tell(user, Status::Offline, status);
            return;
        };
        if is_online {
            if tracked.left.take().is_some() {
                self.absent.remove(user);
            }
            let from = std::mem::replace(&mut tracked.shown, Status::Online);
            if from != Status::Online {
                self.tell(user, from, Status::Online);
            }
        }
    }

    /// Tells of users who have been without a connection for long enough.
    fn look_at_absent(&mut self) {
        let debounce = micros(self.settings.debounce);
        let mut absent = std::mem::take(&mut self.absent);
        absent.retain(|user| {
            // The user may be back, and the notice of it not here yet.
            if self.core.is_online(user) && !broken(Fault::TrustTheNotice) {
                self.take_in(user, Status::Online);
                return false;
            }
            let Some(tracked) = self.users.get_mut(user) else {
                return false;
            };
            let left = tracked.left.unwrap_or(self.passed);
            let status = if self.core.is_kept(user) && !self.is_over {
                Status::Away
            } else {
                Status::Offline
            };
            // Once the user is shown as away, the end of the grace needs no wait of its own.
            let is_due = self.passed.saturating_sub(left) >= debounce;
            if !is_due && !self.is_over && tracked.shown == Status::Online {
                return true;
            }
            let from = std::mem::replace(&mut tracked.shown, status);
            let is_gone = status == Status::Offline;
            if is_gone {
                self.users.remove(user);
            }
            if from != status {
                self.tell(user, from, status);
            }
            !is_gone
        });
        self.absent = absent;
    }

    fn tell(&mut self, user: &UserId, from: Status, to: Status) {
        self.number += 1;
        let change = PresenceChange {
            number: self.number,
            user: user.clone(),
            from,
            to,
        };
        for subscriber in &mut self.subscribers {
            subscriber.send(PresenceUpdate::Change(change.clone()));
        }
    }

    fn snapshot(&self, lost: u64) -> PresenceUpdate {
        PresenceUpdate::Snapshot {
            number: self.number,
            users: self
                .users()
                .map(|(user, status)| (user.clone(), status))
                .collect(),
            lost,
        }
    }

    /// Subscribes to the changes, through a channel for `capacity` updates. The first one is a snapshot.
    ///
    /// ```
    /// use laneway::{Hub, PresenceSettings, PresenceUpdate, Status, UserId};
    ///
    /// let hub: Hub<u8> = Hub::new();
    /// let ann = UserId::new("ann")?;
    /// let _phone = hub.scope(ann.clone()).connect()?;
    /// let mut presence = hub.presence(PresenceSettings::default())?;
    /// let feed = presence.subscribe(64)?;
    /// let PresenceUpdate::Snapshot { users, .. } = feed.try_next()? else { panic!("the first") };
    /// assert_eq!(users, [(ann, Status::Online)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A snapshot counts as one update, and holds a clone of each id.
    ///
    /// # Errors
    ///
    /// [`PresenceError::Capacity`] if `capacity` is not from 1 to 1 048 576, or [`PresenceError::TooMany`] if
    /// there are 16 subscribers. A subscriber that is dropped makes room.
    ///
    /// # Progress
    ///
    /// Linear in the users who are there.
    pub fn subscribe(&mut self, capacity: usize) -> Result<PresenceFeed, PresenceError> {
        if !(1..=MAX_UPDATES).contains(&capacity) {
            return Err(PresenceError::Capacity(capacity));
        }
        self.subscribers.retain(Sending::is_there);
        if self.subscribers.len() >= MAX_SUBSCRIBERS {
            let limit = MAX_SUBSCRIBERS;
            return Err(PresenceError::TooMany { limit });
        }
        let (sending, feed) = channel(capacity, self.snapshot(0));
        if !self.is_over {
            self.subscribers.push(sending);
        }
        Ok(feed)
    }
}

impl<E: Send + Sync + 'static> fmt::Debug for Presence<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presence")
            .field("users", &self.len())
            .field("subscribers", &self.subscribers.len())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, laneway_loom))]
mod models;
