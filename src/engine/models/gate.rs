//! Models of the gate: a revocation beside what a scope does.

use super::small;
use crate::sync::{Fault, model};
use crate::{Hub, Limits, Revocation, UserId, UserScope};

/// Two threads share a scope. Whatever one publishes meanwhile, the other publishes nothing after its
/// revocation.
fn revoke_while_publishing() {
    let (hub, ann) = small();
    let _device = hub.scope(ann.user().clone()).connect().expect("room");
    let ann = std::sync::Arc::new(ann);
    let other = std::sync::Arc::clone(&ann);
    let t = loom::thread::spawn(move || other.publish(1).is_ok());
    hub.revoke(ann.user(), Revocation::all().keep_connections());
    let late = ann.publish(2);
    assert!(
        late.is_err_and(|e| e.is_revoked()),
        "nothing comes after a revocation"
    );
    t.join().unwrap();
    assert!(hub.scope(ann.user().clone()).publish(3).is_ok());
}

/// A scope that knows its entry, so that the warm path is taken.
fn revoke_while_publishing_warm() {
    let (hub, ann) = small();
    let _device = ann.connect().expect("room");
    for n in 0..2 {
        ann.publish(n).expect("room");
    }
    let ann = std::sync::Arc::new(ann);
    let other = std::sync::Arc::clone(&ann);
    let raised = UserId::new("bob").expect("valid");
    hub.revoke(&raised, Revocation::all());
    let t = loom::thread::spawn(move || other.publish(3).is_ok());
    hub.revoke(ann.user(), Revocation::all().keep_connections());
    let late = ann.publish(4);
    assert!(
        late.is_err_and(|e| e.is_revoked()),
        "nothing comes after a revocation"
    );
    t.join().unwrap();
}

#[test]
fn revoke_against_publish() {
    model::sound("revoke, publish", 2, revoke_while_publishing);
    let because = "nothing comes after a revocation";
    model::twin(Fault::NoteBeforeLooking, because);
    model::twin(Fault::RaiseBeforeListing, because);
}

#[test]
fn revoke_against_publish_warm() {
    model::sound("revoke, warm publish", 2, revoke_while_publishing_warm);
    let because = "nothing comes after a revocation";
    model::twin(Fault::NoteBeforeLooking, because);
    model::twin(Fault::RaiseBeforeListing, because);
}

/// A connect beside a revocation: it is refused, or its connection is closed.
fn revoke_while_connecting() {
    let (hub, ann) = small();
    let user = ann.user().clone();
    let t = loom::thread::spawn(move || ann.connect());
    hub.revoke(&user, Revocation::all());
    let connection = t.join().unwrap();
    assert_eq!(hub.user_count(), 0, "no connection outlives a revocation");
    if let Ok(mut connection) = connection {
        assert!(connection.try_recv().is_err());
    }
}

#[test]
fn revoke_against_connect() {
    model::sound("revoke, connect", 2, revoke_while_connecting);
    model::twin(
        Fault::ConnectAndTrust,
        "no connection outlives a revocation",
    );
}

/// Two revocations in a hub that remembers one: both users' scopes stay revoked, whichever entry makes
/// room.
fn revoke_beyond_the_bound() {
    let (hub, _): (Hub<u8>, _) = small();
    let scope = |name| hub.scope(UserId::new(name).expect("valid"));
    let all: [UserScope<u8>; 2] = [scope("ann"), scope("bob")];
    let other = hub.clone();
    let user = all[0].user().clone();
    let t = loom::thread::spawn(move || other.revoke(&user, Revocation::all()));
    hub.revoke(all[1].user(), Revocation::all());
    assert!(all[1].is_revoked(), "a revoked scope stays revoked");
    t.join().unwrap();
    assert!(
        all.iter().all(UserScope::is_revoked),
        "a revoked scope stays revoked"
    );
    assert!(!scope("ann").is_revoked());
}

#[test]
fn revoke_against_revoke() {
    model::sound("revoke, revoke", 2, revoke_beyond_the_bound);
    model::twin(Fault::RemoveBeforeTheFloor, "a revoked scope stays revoked");
}

/// Two publishers share a scope for one event, and another publish of it is refused: as many events are
/// accepted as units are gone.
fn publish_with_one_unit() {
    let (hub, ann) = small();
    let _device = ann.connect().expect("room");
    let weaker = ann
        .attenuate(Limits::new().events(1))
        .expect("not too deep");
    let other = weaker.clone();
    let t = loom::thread::spawn(move || {
        let stranger = hub.scope(UserId::new("bob").expect("valid")).connect();
        let id = stranger.expect("room").id();
        let refused = other.to_connection(id).publish(1);
        assert!(refused.is_err(), "no connection of hers");
        u64::from(other.publish(1).is_ok())
    });
    let accepted = u64::from(weaker.publish(2).is_ok()) + t.join().unwrap();
    let left = weaker.events_left().expect("limited");
    assert_eq!(
        accepted.checked_add(left),
        Some(1),
        "a unit is for one event"
    );
}

#[test]
fn publish_against_publish_with_one_unit() {
    model::sound("one unit, two publishers", 2, publish_with_one_unit);
    let because = "a unit is for one event";
    model::twin(Fault::TakeInTwoSteps, because);
    model::twin(Fault::KeepTheUnit, because);
}
