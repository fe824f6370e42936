//! Connections attached to several threads, which change while they live (R121).

use std::sync::atomic::{AtomicU32, Ordering};

use laneway::{
    AskError, AttachError, ConnectError, ConnectOptions, Connection, Hub, Limits, NotAllowed,
    PublishError, Received, Resumed, Retention, ThreadId, UserId, UserScope,
};

fn thread(name: &str) -> ThreadId {
    ThreadId::new(name).unwrap()
}

fn ann<E: Send + Sync + 'static>(hub: &Hub<E>) -> UserScope<E> {
    hub.scope(UserId::new("ann").unwrap())
}

fn kept() -> Hub<u32> {
    let retention = Some(Retention::events(64));
    Hub::builder()
        .lane_capacity(64)
        .retention(retention)
        .build()
        .unwrap()
}

fn in_threads(names: &[&str]) -> ConnectOptions {
    ConnectOptions::default().threads(names.iter().map(|name| thread(name)))
}

/// Everything there is.
fn all(device: &mut Connection<u32>) -> Vec<u32> {
    std::iter::from_fn(|| match device.try_recv() {
        Ok(Received::Event(got)) => Some(got.event),
        Ok(other) => panic!("no event: {other:?}"),
        Err(_) => None,
    })
    .collect()
}

#[test]
fn r121_a_connection_has_several_threads_and_receives_the_events_of_each() {
    let hub = Hub::new();
    let ann = ann(&hub);
    let mut tab = ann
        .connect_with(in_threads(&["Oslo", "Rome", "Oslo"]))
        .unwrap();
    assert_eq!(tab.threads(), [thread("Oslo"), thread("Rome")], "each once");
    assert_eq!(ann.connections()[0].threads, tab.threads());
    for (n, name) in ["Oslo", "Rome"].iter().enumerate() {
        let delivery = ann.to_thread(&thread(name)).publish(n as u32).unwrap();
        assert_eq!(delivery.connections, 1);
    }
    let refused = ann.to_thread(&thread("Bern")).publish(2).unwrap_err();
    assert!(matches!(refused, PublishError::NoConnections(2)));
    assert_eq!(all(&mut tab), [0, 1]);
}

#[test]
fn r121_a_reader_that_is_behind_decides_by_what_it_had_when_the_event_was_accepted() {
    let hub = Hub::new();
    let ann = ann(&hub);
    let oslo = thread("Oslo");
    let mut laptop = ann.connect_with(in_threads(&["Oslo"])).unwrap();
    let mut tab = ann.connect().unwrap();
    let say = |n| ann.to_thread(&oslo).publish(n).unwrap().connections;
    assert_eq!(say(0), 1);
    assert_eq!(tab.attach(oslo.clone()), Ok(true));
    assert_eq!(tab.attach(oslo.clone()), Ok(false));
    assert_eq!(say(1), 2);
    assert!(tab.detach(&oslo) && !tab.detach(&oslo));
    assert_eq!(say(2), 1);
    assert_eq!(ann.attach(tab.id(), oslo.clone()), Ok(true));
    assert_eq!(say(3), 2);
    assert!(ann.detach(tab.id(), &oslo) && !ann.detach(tab.id(), &oslo));
    assert_eq!(say(4), 1);
    assert!(!tab.is_attached(&oslo) && laptop.is_attached(&oslo));
    assert_eq!(all(&mut tab), [1, 3]);
    assert_eq!(all(&mut laptop), [0, 1, 2, 3, 4]);
    assert_eq!((tab.stats().delivered, tab.stats().stepped_over), (2, 3));
}

#[test]
fn r121_attachments_are_bounded_and_those_that_were_passed_make_room() {
    let hub = Hub::new();
    let ann = ann(&hub);
    let names: Vec<_> = (0..=64).map(|n| thread(&format!("thread {n}"))).collect();
    let refused = ann.connect_with(ConnectOptions::default().threads(names.clone()));
    assert_eq!(refused.unwrap_err(), ConnectError::Threads(65));
    assert_eq!(ann.connection_count(), 0);
    let mut tab = ann.connect().unwrap();
    let full = Err(AttachError::TooManyThreads { limit: 64 });
    for name in &names[..64] {
        assert_eq!(tab.attach(name.clone()), Ok(true));
    }
    assert_eq!(tab.attach(names[64].clone()), full);
    ann.to_thread(&names[0]).publish(7).unwrap();
    assert!(tab.detach(&names[0]));
    assert_eq!(tab.attach(names[64].clone()), full, "7 is unread");
    assert_eq!(all(&mut tab), [7]);
    assert_eq!(tab.attach(names[64].clone()), Ok(true));
    assert_eq!(tab.threads().len(), 64);
    // Without an event in between an attachment that comes and goes takes no room.
    for _ in 0..1_000 {
        assert!(tab.detach(&names[1]));
        assert_eq!(tab.attach(names[1].clone()), Ok(true));
    }
}

#[test]
fn r121_a_closed_connection_and_one_of_another_user_are_refused() {
    let hub = Hub::<u32>::new();
    let (ann, bob) = (ann(&hub), hub.scope(UserId::new("bob").unwrap()));
    let tab = ann.connect().unwrap();
    let _his = bob.connect().unwrap();
    assert_eq!(
        bob.attach(tab.id(), thread("Oslo")),
        Err(AttachError::Unknown)
    );
    assert!(!bob.detach(tab.id(), &thread("Oslo")));
    assert_eq!(hub.stats().unknown_connections, 2);
    assert!(ann.disconnect(tab.id(), 4000));
    assert_eq!(tab.attach(thread("Oslo")), Err(AttachError::Closed));
    assert_eq!(
        ann.attach(tab.id(), thread("Oslo")),
        Err(AttachError::Unknown)
    );
    assert!(tab.threads().is_empty());
}

#[test]
fn r121_a_weaker_scope_for_one_thread_brings_its_connection_into_no_other() {
    let hub = Hub::<u32>::new();
    let ann = ann(&hub);
    let weaker = ann.attenuate(Limits::new().thread(thread("Oslo"))).unwrap();
    let refused = ConnectError::NotAllowed(NotAllowed::Thread);
    for names in [&[][..], &["Rome"], &["Oslo", "Rome"]] {
        assert_eq!(weaker.connect_with(in_threads(names)).unwrap_err(), refused);
    }
    let tab = weaker.connect_with(in_threads(&["Oslo"])).unwrap();
    let refused = Err(AttachError::NotAllowed(NotAllowed::Thread));
    assert_eq!(tab.attach(thread("Rome")), refused);
    assert_eq!(tab.attach(thread("Oslo")), Ok(false));
    let refused = Err(AttachError::NotAllowed(NotAllowed::Connect));
    assert_eq!(weaker.attach(tab.id(), thread("Oslo")), refused);
    assert!(!weaker.detach(tab.id(), &thread("Oslo")));
    assert_eq!(tab.threads(), [thread("Oslo")]);
}

#[test]
fn r121_a_device_that_resumes_with_its_threads_gets_what_they_had() {
    let hub = kept();
    let ann = ann(&hub);
    let tab = ann.connect_with(in_threads(&["Oslo"])).unwrap();
    tab.attach(thread("Rome")).unwrap();
    let position = tab.position();
    drop(tab);
    let _witness = ann
        .connect_with(in_threads(&["Oslo", "Rome", "Bern"]))
        .unwrap();
    let say = || {
        for (n, name) in ["Oslo", "Rome", "Bern"].iter().enumerate() {
            ann.to_thread(&thread(name)).publish(n as u32).unwrap();
        }
    };
    say();
    // In another order, which says the same.
    let resume = |names| ann.resume_with(&position, in_threads(names)).unwrap();
    let (mut tab, resumed) = resume(&["Rome", "Oslo"]);
    assert!(matches!(resumed, Resumed::Complete { .. }));
    assert_eq!(all(&mut tab), [0, 1]);
    drop(tab);
    // The position does not name the threads of a set. What it does not know is told as missing.
    let (mut tab, resumed) = resume(&["Bern"]);
    assert!(matches!(resumed, Resumed::Gap { missed: 3, .. }));
    assert!(all(&mut tab).is_empty());
    drop(tab);
    // A single thread it names.
    let (one, _) = resume(&["Oslo"]);
    let position = one.position();
    drop(one);
    say();
    let (mut tab, resumed) = ann
        .resume_with(&position, in_threads(&["Bern", "Rome"]))
        .unwrap();
    assert!(matches!(resumed, Resumed::Complete { .. }));
    assert_eq!(all(&mut tab), [0]);
}

#[test]
fn r121_a_position_between_attach_and_read_holds_both_sets() {
    let hub = kept();
    let ann = ann(&hub);
    let (oslo, rome) = (thread("Oslo"), thread("Rome"));
    let _witness = ann.connect_with(in_threads(&["Oslo", "Rome"])).unwrap();
    let tab = ann.connect_with(in_threads(&["Oslo"])).unwrap();
    let say = |n| {
        ann.to_thread(&oslo).publish(n).unwrap();
        ann.to_thread(&rome).publish(n + 1).unwrap();
    };
    say(0);
    tab.attach(rome.clone()).unwrap();
    say(10);
    let position = tab.position();
    drop(tab);
    say(20);
    let (mut tab, resumed) = ann
        .resume_with(&position, in_threads(&["Oslo", "Rome"]))
        .unwrap();
    assert!(matches!(resumed, Resumed::Complete { .. }));
    assert_eq!(all(&mut tab), [0, 10, 11, 20, 21]);
}

#[test]
fn r121_a_take_over_keeps_the_threads_unless_the_host_names_others() {
    let hub = kept();
    let ann = ann(&hub);
    let tab = ann.connect_with(in_threads(&["Oslo"]).note("old")).unwrap();
    tab.attach(thread("Rome")).unwrap();
    let options = ConnectOptions::default().note("new");
    let (next, _) = ann.resume_with(&tab.position(), options).unwrap();
    assert_eq!(next.threads(), [thread("Oslo"), thread("Rome")]);
    assert_eq!(next.note(), Some("new"));
    let (mut last, _) = ann
        .resume_with(&next.position(), in_threads(&["Bern"]))
        .unwrap();
    assert_eq!(last.threads(), [thread("Bern")]);
    assert!(ann.to_thread(&thread("Rome")).publish(0).is_err());
    assert!(ann.to_thread(&thread("Bern")).publish(1).is_ok());
    assert_eq!(all(&mut last), [1]);
}

#[test]
fn r121_a_question_to_a_thread_ends_with_the_last_attachment() {
    let hub = Hub::new();
    let ann = ann(&hub);
    let oslo = thread("Oslo");
    let second = std::time::Duration::from_secs(1);
    let tab = ann.connect().unwrap();
    let refused = ann.to_thread(&oslo).ask(second, |_| 7).unwrap_err();
    assert!(matches!(refused, AskError::Publish(_)));
    tab.attach(oslo.clone()).unwrap();
    let mut ask = ann.to_thread(&oslo).ask(second, |_| 7).unwrap();
    tab.detach(&oslo);
    let over = ask.wait_timeout(second).expect("it is over").unwrap_err();
    assert_eq!(over, laneway::NoAnswer::NoDevice);
}

/// After an attach has returned each event is received, and after a detach none.
#[test]
fn r121_attach_and_detach_are_exact_whatever_threads_do() {
    const ROUNDS: u32 = 2_000;
    let hub = Hub::builder().lane_capacity(4096).build().unwrap();
    let ann = ann(&hub);
    let oslo = thread("Oslo");
    let _witness = ann.connect_with(in_threads(&["Oslo"])).unwrap();
    let mut tab = ann.connect().unwrap();
    // How many events have begun, and how many were accepted.
    let (begun, done) = (AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|s| {
        s.spawn(|| {
            for n in 0..ROUNDS {
                begun.store(n + 1, Ordering::SeqCst);
                ann.to_thread(&oslo).publish(n).unwrap();
                done.store(n + 1, Ordering::SeqCst);
            }
        });
        let (mut got, mut must, mut may) = (Vec::new(), Vec::new(), Vec::new());
        while done.load(Ordering::SeqCst) < ROUNDS {
            let first = done.load(Ordering::SeqCst);
            tab.attach(oslo.clone()).unwrap();
            let sure = begun.load(Ordering::SeqCst);
            got.extend(all(&mut tab));
            let sure_to = done.load(Ordering::SeqCst);
            tab.detach(&oslo);
            let last = begun.load(Ordering::SeqCst);
            must.push(sure..sure_to);
            may.push(first..last);
            got.extend(all(&mut tab));
        }
        got.extend(all(&mut tab));
        assert!(got.is_sorted_by(|a, b| a < b), "each once, in order");
        for n in must.iter().cloned().flatten() {
            assert!(
                got.binary_search(&n).is_ok(),
                "{n} was accepted while attached"
            );
        }
        for n in &got {
            assert!(may.iter().any(|range| range.contains(n)), "{n} was not");
        }
    });
}
