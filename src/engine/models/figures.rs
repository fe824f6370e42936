//! Models of the figures: connections that one thread counts in and another one counts out.

use super::small;
use crate::sync::{Fault, model};

const ONCE: &str = "each connection counts once";

/// A device connects while another thread closes the connections that it finds. A closed connection is counted
/// in before it is counted out, so no thread sees a count below 0.
fn disconnect_while_connecting(online: bool) {
    let (hub, ann) = small();
    let first = online.then(|| ann.connect().expect("room"));
    let other = ann.clone();
    let t = loom::thread::spawn(move || other.connect().expect("room"));
    ann.disconnect_all(7);
    assert!(hub.stats().connections <= 1, "{ONCE}");
    let second = t.join().unwrap();
    assert_eq!(hub.stats().connections, ann.connection_count(), "{ONCE}");
    drop((first, second));
    assert_eq!(hub.stats().connections, 0, "{ONCE}");
}

/// Two devices come and go.
fn leave_while_connecting() {
    let (hub, ann) = small();
    let other = ann.clone();
    let t = loom::thread::spawn(move || drop(other.connect().expect("room")));
    let device = ann.connect().expect("room");
    assert!((1..=2).contains(&hub.stats().connections), "{ONCE}");
    drop(device);
    t.join().unwrap();
    let stats = hub.stats();
    assert_eq!((stats.users, stats.connections), (0, 0), "{ONCE}");
}

/// A device resumes while its ghost's owner drops it: the new connection takes the ghost's place, or counts anew.
fn leave_while_resuming() {
    let (hub, ann) = small();
    let ghost = ann.connect().expect("room");
    let position = ghost.position();
    let t = loom::thread::spawn(move || drop(ghost));
    let (device, _) = ann.resume(&position).expect("room");
    assert!((1..=2).contains(&hub.stats().connections), "{ONCE}");
    t.join().unwrap();
    assert_eq!(hub.stats().connections, 1, "{ONCE}");
    drop(device);
    assert_eq!(hub.stats().connections, 0, "{ONCE}");
}

#[test]
fn r023_count_against_disconnect() {
    model::sound("count, disconnect", 3, || disconnect_while_connecting(true));
    model::twin(Fault::CountAfterListing, ONCE);
    model::twin(Fault::CloseUncounted, ONCE);
}
#[test]
fn r023_count_against_disconnect_of_the_first() {
    model::sound("count, disconnect, first", 3, || {
        disconnect_while_connecting(false);
    });
    model::twin(Fault::CountAfterListing, ONCE);
}
#[test]
fn r023_count_against_leave() {
    model::sound("count, leave", 2, leave_while_connecting);
    model::twin(Fault::CloseUncounted, ONCE);
}
#[test]
fn r023_count_against_leave_and_resume() {
    model::sound("count, leave, resume", 2, leave_while_resuming);
}
