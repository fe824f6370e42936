use std::sync::Arc;

use super::cache::Cache;
use crate::Hub;
use crate::config::ConnectOptions;
use crate::connection::Connection;
use crate::error::CloseReason;
use crate::id::UserId;
use crate::lane::{JoinError, Refusal, Terms};
use crate::{Closed, Received, Retention, TryRecvError};

#[test]
fn a_lane_that_runs_out_of_numbers_is_replaced_by_a_new_one() {
    let hub = Hub::<u64>::new();
    let id = UserId::new("ann").expect("valid");
    let ann = hub.scope(id.clone());
    let first = ann.connect().expect("room");
    let entry = hub.core.find(&id).expect("online");
    entry.lane.skip_to_last(3);
    let mut device = ann.connect().expect("room");
    drop(first);
    for n in 2..5 {
        ann.publish(n).expect("there are numbers left");
        assert!(matches!(device.try_recv(), Ok(Received::Event(d)) if d.event == n));
    }
    let refused = ann.publish(5).expect_err("no more numbers");
    assert!(refused.is_no_connections() && refused.into_inner() == 5);
    let reason = CloseReason::Exhausted;
    let ended = Err(TryRecvError::Closed(Closed { reason }));
    assert_eq!(device.try_recv(), ended);
    assert_eq!(hub.user_count(), 0);

    let mut device = ann.connect().expect("room");
    assert_eq!(ann.publish(6).expect("accepted").number, 0);
    assert!(matches!(device.try_recv(), Ok(Received::Event(d)) if d.event == 6));
    let entry = hub.core.find(&id).expect("online");
    entry.lane.skip_to_last(0);
    assert!(ann.try_publish(7).expect_err("no more").is_no_connections());
    assert_eq!(hub.user_count(), 0);
}

/// Without it each publish of a host with a million users would look its user up, until it is the user's third.
#[test]
fn a_scope_keeps_the_entry_in_which_it_connects_until_the_user_has_gone() {
    let hub = Hub::<u64>::new();
    let (id, options) = (UserId::new("ann").expect("valid"), ConnectOptions::default);
    let (core, word) = (&hub.core, hub.core.gate.word());
    let cache = Cache::new(core.make_pass());
    let (entry, seat) = core.connect(&id, options(), None, &cache).expect("room");
    let kept = cache.get(word).expect("kept from the connect on");
    assert_eq!(std::ptr::from_ref(kept), Arc::as_ptr(&entry));
    let phone = Connection::new(Arc::clone(core), entry, seat);

    // Another scope of the user finds the entry by its second publish.
    let other = Cache::new(core.make_pass());
    for is_kept in [false, false, true] {
        assert_eq!(other.get(word).is_some(), is_kept);
        core.deliver(&id, Some(&other), 7, Terms::OVERWRITE)
            .expect("online");
    }

    // The entry stays with the scopes, and its lane is over. They look the user up.
    drop(phone);
    assert!(cache.get(word).is_none() && other.get(word).is_none());
    let mut phone = hub.scope(id.clone()).connect().expect("room");
    for cache in [&cache, &other] {
        core.deliver(&id, Some(cache), 8, Terms::OVERWRITE)
            .expect("back in another entry");
    }
    assert!(matches!(phone.try_recv(), Ok(Received::Event(d)) if d.event == 8));
}

#[test]
fn who_is_just_leaving_is_not_told_of_as_online() {
    let hub = Hub::<u64>::new();
    let ids = ["ann", "ben"].map(|id| UserId::new(id).expect("valid"));
    let hashes = ids.each_ref().map(|id| hub.core.hash(id));
    assert_ne!(hashes[0], hashes[1]);
    let (ann, ben) = (hub.scope(ids[0].clone()), hub.scope(ids[1].clone()));
    let (_phone, tab) = (ann.connect().expect("room"), ben.connect().expect("room"));
    let entry = hub.core.find(&ids[1]).expect("online");
    // The first step of a disconnect: the entry is in the table still.
    entry.lane.for_each(|member| {
        entry.lane.close(member, CloseReason::Dropped, None);
    });
    let mut told = Vec::new();
    hub.for_each_user(|user, live| told.push((user.clone(), live)));
    assert_eq!(told, [(ids[0].clone(), 1)]);
    drop(tab);
}

/// A publisher that has looked the user up before the last device left.
#[test]
fn a_lane_that_was_shut_stays_closed_when_its_last_device_leaves() {
    for retention in [None, Some(Retention::events(8))] {
        let hub = Hub::builder().retention(retention).build().expect("valid");
        let id = UserId::new("ann").expect("valid");
        let device = hub.scope(id.clone()).connect().expect("room");
        let entry = hub.core.find(&id).expect("online");
        hub.shutdown();
        drop(device);
        let refused = entry.lane.append(1, None, Terms::OVERWRITE, |outcome| {
            outcome.expect_err("no connection counts for it")
        });
        assert_eq!((refused.why, refused.event), (Refusal::Vacant, 1));
        assert_eq!(entry.lane.join(8), Err(JoinError::Closed));
    }
}
