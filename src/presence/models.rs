//! loom models of a tracker, beside users who come and go.

use std::time::Duration;

use crate::sync::{Fault, model};
use crate::{Hub, PresenceSettings, PresenceUpdate, Retention, Status, UserId};

/// A user's last connection goes while the user comes back: whatever the order of the notices, the tracker
/// knows who is there, and its changes follow each other.
fn step_while_flapping() {
    let retention = Retention::events(2).grace(Duration::MAX);
    let hub: Hub<u8> = Hub::builder()
        .lane_capacity(2)
        .shards(1)
        .retention(Some(retention))
        .build()
        .expect("valid");
    let ann = hub.scope(UserId::new("ann").expect("valid"));
    let phone = ann.connect().expect("room");
    let mut presence = hub.presence(PresenceSettings::default()).expect("room");
    let feed = presence.subscribe(8).expect("room");
    let t = loom::thread::spawn(move || drop(phone));
    let _laptop = ann.connect().expect("room");
    presence.step(Duration::ZERO);
    t.join().unwrap();
    presence.step(Duration::ZERO);
    assert_eq!(presence.status(ann.user()), Status::Online, "who is there");
    let mut known = Status::Offline;
    while let Ok(update) = feed.try_next() {
        match update {
            PresenceUpdate::Snapshot { users, .. } => known = users[0].1,
            PresenceUpdate::Change(change) => {
                assert_eq!(change.from, known, "changes follow each other");
                known = change.to;
            }
        }
    }
    assert_eq!(known, Status::Online, "who is there");
}

#[test]
fn presence_against_flapping() {
    model::sound("presence, flap", 3, step_while_flapping);
    model::twin(Fault::TrustTheNotice, "who is there");
}
