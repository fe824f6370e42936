//! loom models of the hub: what the table and the lanes do together.

mod ask;
mod budget;
mod figures;
mod gate;
mod sessions;

use std::time::Duration;

use crate::sync::{Fault, model};
use crate::{Change, Connection, Hub, UserId, UserScope};

pub(super) fn small() -> (Hub<u8>, UserScope<u8>) {
    let hub = Hub::builder()
        .lane_capacity(2)
        .shards(1)
        .build()
        .expect("valid");
    let scope = hub.scope(UserId::new("ann").expect("valid"));
    (hub, scope)
}

/// A connection from before the call is closed, one from after it stays, and each is one of the two.
fn disconnect_all_while_connecting(online: bool) {
    let (hub, ann) = small();
    let lifecycle = hub.lifecycle(16).unwrap();
    let mut first = online.then(|| ann.connect().expect("room"));
    let other = ann.clone();
    let t = loom::thread::spawn(move || other.connect().expect("room"));
    let closed = ann.disconnect_all(7);
    let mut second = t.join().unwrap();
    let live = |connection: &mut Connection<u8>| connection.try_recv() == EMPTY;
    assert!(!first.as_mut().is_some_and(live));
    let left = usize::from(live(&mut second));
    let all = usize::from(online) + 1;
    assert_eq!(closed + left, all, "each is closed or live");
    assert_eq!(
        hub.user_count(),
        left,
        "a live connection is found, a closed one is not"
    );
    let reached = ann.publish(1).map_or(0, |delivery| delivery.connections);
    assert_eq!(reached, left, "who is live is reached");
    drop((first, second));
    assert_eq!(hub.user_count(), 0);

    let mut told = Vec::new();
    while let Ok(notice) = lifecycle.try_next() {
        told.push(notice);
    }
    told.sort_by_key(|notice| (notice.session, notice.number));
    let mut sessions = told.chunk_by(|a, b| a.session == b.session);
    let whole = sessions.all(|session| {
        let numbered = (0..).zip(session).all(|(n, notice)| notice.number == n);
        let ends = session
            .last()
            .is_some_and(|last| last.change == Change::Offline);
        session[0].change == Change::Online && numbered && ends
    });
    assert!(whole, "a session is told from Online to Offline");
    let place = |notice: &crate::Notice| match &notice.change {
        Change::Connected { connection, .. } => Some((*connection, true)),
        Change::Disconnected { connection, .. } => Some((*connection, false)),
        _ => None,
    };
    let mut open = Vec::new();
    for (connection, comes) in told.iter().filter_map(place) {
        if comes {
            open.push(connection);
        } else {
            assert!(
                open.contains(&connection),
                "a connection comes before it goes"
            );
        }
    }
}

const EMPTY: Result<crate::Received<u8>, crate::TryRecvError> = Err(crate::TryRecvError::Empty);

/// A subscriber subscribes and then looks who is online, while a device comes or goes.
fn change_while_subscribing(comes: bool) {
    let (hub, ann) = small();
    let device = (!comes).then(|| ann.connect().expect("room"));
    let other = ann.clone();
    let t = loom::thread::spawn(move || {
        drop(device);
        comes.then(|| other.connect().expect("room"))
    });
    let lifecycle = hub.lifecycle(16).unwrap();
    let mut is_online = ann.connection_count() > 0;
    let _device = t.join().unwrap();
    while let Ok(notice) = lifecycle.try_next() {
        match notice.change {
            Change::Online => is_online = true,
            Change::Offline => is_online = false,
            _ => {}
        }
    }
    assert_eq!(is_online, comes, "a subscriber never hears of a change");
}

/// A connect and a shutdown: the connection is refused or ended, and never left behind.
fn shutdown_while_connecting() {
    let (hub, ann) = small();
    let t = loom::thread::spawn(move || ann.connect());
    hub.shutdown();
    if let Ok(mut connection) = t.join().unwrap() {
        assert!(connection.try_recv() != EMPTY, "the connection is ended");
    }
    assert!(hub.sweep(Duration::ZERO) == 0);
}

/// A user comes back while the sweep ends the time of grace: who is online and who is absent is
/// counted, and the connection is reached.
fn sweep_while_coming_back() {
    let retention = crate::Retention::events(2).grace(Duration::ZERO);
    let hub = Hub::builder()
        .lane_capacity(2)
        .shards(1)
        .retention(Some(retention))
        .build()
        .expect("valid");
    let ann = hub.scope(UserId::new("ann").expect("valid"));
    drop(ann.connect().expect("room"));
    assert_eq!((hub.user_count(), hub.stats().absent_users), (0, 1));
    let other = ann.clone();
    let t = loom::thread::spawn(move || other.connect().expect("room"));
    hub.sweep(Duration::ZERO);
    let connection = t.join().unwrap();
    assert_eq!((hub.user_count(), hub.stats().absent_users), (1, 0));
    assert_eq!(ann.publish(1_u8).map_or(0, |d| d.connections), 1, "reached");
    hub.shutdown();
    drop(connection);
    let stats = hub.stats();
    assert_eq!((hub.user_count(), stats.absent_users), (0, 0));
    assert_eq!(hub.accepted(), 1);
}

/// A last connection goes while the hub is shut down: the notices are over.
fn shutdown_while_leaving() {
    let (hub, ann) = small();
    let lifecycle = hub.lifecycle(16).unwrap();
    let device = ann.connect().expect("room");
    let t = loom::thread::spawn(move || drop(device));
    hub.shutdown();
    t.join().unwrap();
    let told = std::iter::from_fn(|| lifecycle.try_next().ok()).count();
    assert_eq!(told, 4, "from Online to Offline");
    let over = Err(crate::NoNotice::Over);
    assert_eq!(lifecycle.try_next(), over, "the notices are over");
    let late = hub.lifecycle(16).unwrap();
    assert_eq!(late.try_next(), over, "the notices are over");
}

/// A host subscribes while the hub is shut down: the notices are over.
fn shutdown_while_subscribing() {
    let (hub, _ann) = small();
    let other = hub.clone();
    let t = loom::thread::spawn(move || other.lifecycle(16).unwrap());
    hub.shutdown();
    let lifecycle = t.join().unwrap();
    let over = Err(crate::NoNotice::Over);
    assert_eq!(lifecycle.try_next(), over, "the notices are over");
}

#[test]
fn shutdown_against_subscribing() {
    model::sound("shutdown, subscribe", 3, shutdown_while_subscribing);
    model::twin(Fault::SubscribeWithoutLooking, "the notices are over");
}
#[test]
fn shutdown_against_leaving() {
    model::sound("shutdown, leave", 3, shutdown_while_leaving);
    model::twin(Fault::EndWithoutLooking, "the notices are over");
    model::twin(Fault::LookAtTheCount, "the notices are over");
}
/// Two calls resume one device, which is away or has a connection still: one of the two is the device.
fn resume_while_resuming(online: bool) {
    let (hub, ann) = small();
    let phone = ann.connect().expect("room");
    let position = phone.position();
    let mut ghost = online.then_some(phone);
    let other = ann.clone();
    let t = loom::thread::spawn(move || other.resume(&position).expect("room").0);
    let first = ann.resume(&position).expect("room").0;
    let mut devices = vec![first, t.join().unwrap()];
    devices.extend(ghost.take());
    assert_eq!(ann.connection_count(), 1, "one is the device");
    assert_eq!(hub.stats().connections, 1, "one is the device");
    let reached = ann.publish(1).map_or(0, |delivery| delivery.connections);
    assert_eq!(reached, 1, "one is the device");
    let live = devices.iter_mut().filter_map(|d| d.try_recv().ok());
    assert_eq!(live.count(), 1, "one is the device");
    drop(devices);
    assert_eq!(hub.user_count(), 0);
}

#[test]
fn resume_against_resume() {
    model::sound("resume, resume", 2, || resume_while_resuming(false));
    model::twin(Fault::TwoOfOne, "one is the device");
}
#[test]
fn resume_against_resume_online() {
    model::sound("resume, resume, online", 2, || resume_while_resuming(true));
}
/// A publisher has reached two devices: what it publishes then to all but the first has a reader.
fn publish_to_others_while_connecting() {
    let (hub, ann) = small();
    let first = ann.connect().expect("room");
    let other = ann.clone();
    let t = loom::thread::spawn(move || other.connect().expect("room"));
    let reached = ann.publish(1).expect("a device is there").connections;
    let to_others = ann.to_others(first.id()).publish(2).is_ok();
    let mut second = t.join().unwrap();
    assert!(reached == 1 || to_others, "a device that counts is found");
    let received = std::iter::from_fn(|| second.try_recv().ok()).count();
    assert!(
        reached == 1 || received == 2,
        "a device that counts receives both"
    );
    drop((first, second));
    assert_eq!(hub.user_count(), 0);
}

#[test]
fn r072_publish_to_others_against_connect() {
    model::sound(
        "publish to others, connect",
        2,
        publish_to_others_while_connecting,
    );
    model::twin(Fault::OverlookTheNewcomer, "a device that counts is found");
}
#[test]
fn sweep_against_coming_back() {
    model::sound("sweep, come back", 3, sweep_while_coming_back);
    model::twin(Fault::ExpireInTwoSteps, "reached");
}
#[test]
fn disconnect_all_against_connect() {
    model::sound("disconnect all, connect", 3, || {
        disconnect_all_while_connecting(true)
    });
    model::twin(
        Fault::JoinClosed,
        "each is closed or live | a session is told from Online",
    );
    model::twin(Fault::NumberAfterListing, "a session is told from Online");
}
#[test]
fn disconnect_all_against_first_connect() {
    model::sound("disconnect all, first connect", 3, || {
        disconnect_all_while_connecting(false)
    });
    model::twin(Fault::BornListed, "a session is told from Online");
}
#[test]
fn shutdown_against_connect() {
    model::sound("shutdown, connect", 3, shutdown_while_connecting);
    model::twin(Fault::ConnectWithoutLooking, "the connection is ended");
}
#[test]
fn r081_subscribe_against_connect() {
    model::sound("subscribe, connect", 2, || change_while_subscribing(true));
}
#[test]
fn r081_subscribe_against_disconnect() {
    model::sound("subscribe, disconnect", 2, || {
        change_while_subscribing(false);
    });
    model::twin(
        Fault::SubscribeUnfenced,
        "a subscriber never hears of a change",
    );
}
