//! Who is online, away or offline.
#![allow(clippy::disallowed_types)] // The host's tracker, far from any delivery.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use laneway::protocol::Packet;
use laneway::{Hub, Presence, PresenceFeed, PresenceSettings, Status, UserId};

/// A page that is reloaded is back sooner than this, and was never away.
const DEBOUNCE: Duration = Duration::from_millis(400);
const UPDATES: usize = 4096;

/// The tracker, which one task steps and message handlers ask.
#[derive(Clone)]
pub(crate) struct People(Arc<Mutex<Presence<Packet>>>);

impl People {
    /// Begins to track the users of a hub. The feed tells of each change.
    pub(crate) fn of_hub(hub: &Hub<Packet>) -> Result<(Self, PresenceFeed), String> {
        let settings = PresenceSettings::default().debounce(DEBOUNCE);
        let mut presence = hub.presence(settings).map_err(|e| e.to_string())?;
        let feed = presence.subscribe(UPDATES).map_err(|e| e.to_string())?;
        Ok((Self(Arc::new(Mutex::new(presence))), feed))
    }

    fn lock(&self) -> MutexGuard<'_, Presence<Packet>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn step(&self, now: Duration) {
        self.lock().step(now);
    }

    /// The users with their statuses now. The tracker looks first: a user who comes and goes between two
    /// looks makes no change, and a room that was told of the coming would not be told of the going.
    pub(crate) fn of<'a>(&self, users: &'a [UserId], now: Duration) -> Vec<(&'a UserId, Status)> {
        let mut presence = self.lock();
        presence.step(now);
        let with_status = users.iter().map(|user| (user, presence.status(user)));
        with_status.collect()
    }
}
