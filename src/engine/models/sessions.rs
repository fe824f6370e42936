//! Models of the numbers of sessions in a kept lane.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::session::{Session, Turn};
use crate::sync::{AtomicU64, Fault, model};

/// Connects and disconnects a device. Returns both changes.
fn come_and_go(session: &Session, counter: &AtomicU64) -> [Turn; 2] {
    [session.connect_kept(counter), session.disconnect_kept()]
}

/// Two devices come and go. A whole session of one may lie between two steps of the other one's connect.
fn connect_beside_sessions() {
    let (session, counter) = (Arc::new(Session::default()), Arc::new(AtomicU64::new(0)));
    let mut turns = Vec::from(come_and_go(&session, &counter));
    let (other, others) = (Arc::clone(&session), Arc::clone(&counter));
    let t = loom::thread::spawn(move || come_and_go(&other, &others));
    turns.extend(come_and_go(&session, &counter));
    turns.extend(t.join().unwrap());
    let changes = turns.len();
    let numbers: BTreeSet<_> = turns.iter().map(|t| (t.session, t.number)).collect();
    assert_eq!(numbers.len(), changes, "no number is given twice");
    let edges = turns.iter().filter(|t| t.is_edge).count();
    let sessions: BTreeSet<_> = turns.iter().map(|t| t.session).collect();
    assert_eq!(edges, 2 * sessions.len(), "each session begins and ends");
}

#[test]
fn r083_a_connect_beside_whole_sessions() {
    model::sound("connect, sessions", 3, connect_beside_sessions);
    model::twin(Fault::TrustAnyNumber, "no number is given twice");
}
