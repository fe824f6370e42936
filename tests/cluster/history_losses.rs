//! What a history does not have is told.

use laneway::cluster::HistoryOptions;

use crate::kept::{Device, Place};
use crate::nodes::until;
use crate::server::Server;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r143_a_server_that_dies_and_comes_back_keeps_the_history_and_what_was_dropped_is_counted()
{
    let Some(mut server) = Server::start_keeping() else {
        return;
    };
    let options = HistoryOptions::default();
    let a = Place::open(&server.address(), options.clone()).await;
    let b = Place::open(&server.address(), options).await;
    let mut phone = Device::new(1);
    drop(phone.come(&b).await);
    for n in 0..10 {
        assert!(a.say(1, 1, n).relayed.is_queued());
    }
    a.settled().await;
    drop(phone.come(&b).await);
    assert_eq!(phone.got.len(), 10);
    for n in 10..20 {
        assert!(a.say(1, 1, n).relayed.is_queued());
    }
    a.settled().await;
    server.kill();
    until("noticed", || {
        !a.node.is_connected() && !b.node.is_connected()
    })
    .await;
    for n in 20..27 {
        assert!(!a.say(1, 1, n).relayed.is_queued());
    }
    server.restart();
    until("back", || a.node.is_connected() && b.node.is_connected()).await;
    for n in 27..30 {
        assert!(a.say(1, 1, n).relayed.is_queued());
    }
    a.settled().await;
    let mut at_b = phone.come(&b).await;
    assert_eq!(phone.check()[&1], 23);
    assert_eq!((phone.lost, phone.torn), (7, 1));
    // What follows is whole again.
    assert!(a.say(1, 1, 30).relayed.is_queued());
    phone.read_until(&b, &mut at_b, 24).await;
    drop(at_b);
    drop(phone.come(&b).await);
    assert_eq!(
        (phone.got.len(), phone.lost, phone.gaps, phone.torn),
        (24, 7, 0, 1)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r143_more_than_the_history_keeps_is_not_whole() {
    let Some(server) = Server::start_keeping() else {
        return;
    };
    let options = HistoryOptions::default().events(50);
    let a = Place::open(&server.address(), options.clone()).await;
    let b = Place::open(&server.address(), options).await;
    let mut phone = Device::new(1);
    drop(phone.come(&b).await);
    let mut tablet = Device::new(1);
    drop(tablet.come(&b).await);
    for n in 0..40 {
        let _ = a.say(1, 1, n);
        let _ = a.say(2, 1, n);
    }
    a.settled().await;
    drop(phone.come(&b).await);
    assert_eq!((phone.got.len(), phone.torn), (40, 0));
    // The subject is full, and what goes is from before the device's place.
    for n in 40..60 {
        let _ = a.say(1, 1, n);
    }
    a.settled().await;
    drop(phone.come(&b).await);
    assert_eq!((phone.got.len(), phone.torn), (60, 0));
    for n in 60..125 {
        let _ = a.say(1, 1, n);
    }
    a.settled().await;
    drop(phone.come(&b).await);
    let kept = phone.got.len() as u64 - 60;
    assert!(kept <= 50 && phone.torn == 1);
    assert_eq!(kept + phone.lost, 65, "the numbers show how many");
    // One that has heard no number of A is told all the same.
    drop(tablet.come(&b).await);
    assert_eq!((tablet.lost, tablet.torn), (0, 1));
    phone.check();
}

/// A node, and a device that has been there once and has missed five events since.
async fn with_five_to_read(server: &Server, options: &HistoryOptions) -> (Place, Device) {
    let a = Place::open(&server.address(), options.clone()).await;
    let mut phone = Device::new(1);
    drop(phone.come(&a).await);
    for n in 0..5 {
        let _ = a.say(1, 1, n);
    }
    a.settled().await;
    (a, phone)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r143_a_stream_that_was_made_anew_is_not_whole() {
    let Some(server) = Server::start_keeping() else {
        return;
    };
    let options = HistoryOptions::default();
    let (a, mut phone) = with_five_to_read(&server, &options).await;
    let client = async_nats::connect(server.address()).await.unwrap();
    let context = async_nats::jetstream::new(client);
    context.delete_stream("laneway_test").await.unwrap();
    let b = Place::open(&server.address(), options).await;
    for n in 5..10 {
        let _ = a.say(1, 1, n);
    }
    a.settled().await;
    drop(phone.come(&b).await);
    assert_eq!((phone.got.len(), phone.torn), (5, 1), "not whole");
    let _ = a.say(1, 1, 10);
    a.settled().await;
    drop(phone.come(&a).await);
    assert_eq!((phone.got.len(), phone.torn), (6, 1), "whole from here");
    phone.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r143_a_stream_in_memory_that_begins_anew_is_not_whole() {
    let Some(mut server) = Server::start_keeping() else {
        return;
    };
    let options = HistoryOptions::default().in_memory(true);
    let (a, mut phone) = with_five_to_read(&server, &options).await;
    server.kill();
    until("noticed", || !a.node.is_connected()).await;
    server.restart();
    let b = Place::open(&server.address(), options).await;
    until("back", || a.node.is_connected()).await;
    // The sequences pass the device's place again.
    for n in 5..40 {
        let _ = a.say(1, 1, n);
    }
    a.settled().await;
    drop(phone.come(&b).await);
    assert_eq!(phone.torn, 1, "the first five are gone");
    phone.check();
}
