//! Changes of presence, told to the rooms of the user who came or went.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use laneway::{PresenceFeed, PresenceUpdate, RoomId, Status, UserId};

use crate::Clock;
use crate::presence::People;
use crate::rooms::Rooms;

/// The time between two looks.
const STEP: Duration = Duration::from_millis(100);

/// Steps the tracker, and tells the rooms of a user that the user has come or gone.
pub(crate) async fn watch(people: People, feed: PresenceFeed, rooms: Rooms, clock: Clock) {
    // The memberships of a user end with the user's lane, before the change to offline is told. So the
    // rooms of those who are away are noted: as many as the hub keeps absent users.
    let mut away: HashMap<UserId, HashSet<RoomId>> = HashMap::new();
    let mut tick = tokio::time::interval(STEP);
    loop {
        tick.tick().await;
        people.step(clock.now());
        let mut changed = HashSet::new();
        while let Ok(update) = feed.try_next() {
            match update {
                PresenceUpdate::Change(change) => {
                    let mut of_user = rooms.of(&change.user);
                    of_user.extend(away.remove(&change.user).into_iter().flatten());
                    if change.to == Status::Away {
                        away.insert(change.user, of_user.clone());
                    }
                    changed.extend(of_user);
                }
                PresenceUpdate::Snapshot { users, .. } => {
                    changed.extend(users.iter().flat_map(|(user, _)| rooms.of(user)));
                }
                _ => {}
            }
        }
        for room in changed {
            rooms.tell(&room, clock.now());
        }
    }
}
