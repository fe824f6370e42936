//! The queue before the router: shares, workers, and users who hang, panic or flood.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use laneway::protocol::{
    Broadcaster, Busy, Handled, InboundQueue, Message, MessageRouter, Packet, Sender,
};
use laneway::{Hub, Received, UserScope};
use serde_json::{Value, json};

use crate::{Host, NOW, by, done, read, scope};

/// `count` threads that work until told to stop.
fn workers<'scope>(
    s: &'scope thread::Scope<'scope, '_>,
    count: usize,
    queue: &'scope InboundQueue,
    router: &'scope MessageRouter,
    stop: &'scope AtomicBool,
) {
    for _ in 0..count {
        s.spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                queue.work(router, Duration::from_millis(5), || NOW);
            }
        });
    }
}

/// What a user gets for ten messages through the queue.
fn ten(queue: &InboundQueue, router: &MessageRouter, user: &UserScope<Packet>) -> Vec<Value> {
    let mut device = user.connect().unwrap();
    let inlet = queue.inlet(user.clone(), Some(device.id()));
    let mut got = Vec::new();
    for n in 0..10 {
        let json = json!({"type": "chat", "n": n}).to_string().into_bytes();
        queue.submit(router, &inlet, json, NOW).unwrap();
        let Ok(Received::Event(reply)) = device.recv_timeout(Duration::from_secs(20)) else {
            panic!("no reply");
        };
        got.push(serde_json::from_str(reply.event.json()).unwrap());
        // The reply comes before its handler is done.
        while inlet.under_way() > 0 {
            thread::yield_now();
        }
    }
    got
}

/// Ends a test's threads, also when it fails.
struct End<'a>(&'a AtomicBool, #[allow(dead_code)] mpsc::Sender<()>);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn r039_r016_who_hangs_panics_or_floods_changes_nobody_elses_result() {
    const WORKERS: usize = 3;
    const SHARE: usize = 2;
    let engine: Hub<Packet> = Hub::builder().lane_capacity(1_024).build().unwrap();
    let router = MessageRouter::new(Arc::new(Broadcaster::default()), Duration::ZERO);
    let (hung, is_hung) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let (hung, released) = (Mutex::new(hung), Arc::new(Mutex::new(released)));
    let waits = Arc::clone(&released);
    router
        .register("host", move |sender: &Sender<'_>, message: &Message| {
            match sender.user().as_str() {
                "hangs 0" | "hangs 1" => {
                    hung.lock().unwrap().send(()).unwrap();
                    let _ = waits.lock().unwrap().recv();
                }
                "panics" => panic!("as always"),
                _ => {
                    let _ = sender.reply(message);
                }
            }
            Ok(Handled::Done)
        })
        .unwrap();
    let queue = InboundQueue::new(64, SHARE);
    let stop = AtomicBool::new(false);
    let chat = || br#"{"type":"chat"}"#.to_vec();
    thread::scope(|s| {
        let end = End(&stop, release);
        workers(s, WORKERS, &queue, &router, &stop);
        let alone = ten(&queue, &router, &scope(&engine, "alone"));
        // They take all but one worker, one each however many messages they send, and then are busy.
        for n in 0..WORKERS - 1 {
            let hangs = scope(&engine, &format!("hangs {n}"));
            let mut device = hangs.connect().unwrap();
            let inlets = [(); 3].map(|()| queue.inlet(hangs.clone(), None));
            for inlet in &inlets[..SHARE] {
                queue.submit(&router, inlet, chat(), NOW).unwrap();
            }
            is_hung.recv_timeout(Duration::from_secs(20)).unwrap();
            while queue.submit(&router, &inlets[0], chat(), NOW).is_ok() {}
            let refused = queue.submit(&router, &inlets[2], chat(), NOW);
            assert_eq!(refused, Err(Busy));
            assert_eq!(read(&mut device)[0]["code"], "BUSY");
            assert_eq!(inlets[1].under_way(), SHARE + 1);
        }
        let others: Vec<_> = ["panics", "floods"]
            .map(|name| {
                let (queue, router, stop) = (&queue, &router, &stop);
                let inlet = queue.inlet(scope(&engine, name), None);
                s.spawn(move || {
                    let (mut busy, start) = (0_u64, Instant::now());
                    // On a loaded machine the others may be done before this has begun.
                    let tame = |busy| busy == 0 && start.elapsed() < Duration::from_secs(20);
                    while !stop.load(Ordering::Relaxed) || tame(busy) {
                        busy += u64::from(queue.submit(router, &inlet, chat(), NOW).is_err());
                    }
                    busy
                })
            })
            .into();
        for name in ["ann", "bob"] {
            assert_eq!(ten(&queue, &router, &scope(&engine, name)), alone);
        }
        while router.stats().failed == 0 {
            thread::yield_now();
        }
        stop.store(true, Ordering::Relaxed);
        for other in others {
            assert!(other.join().unwrap() > 0, "it was held to its share");
        }
        drop(end);
    });
    assert!(router.stats().failed > 0);
}

#[test]
fn r039_a_full_queue_says_busy_to_the_sender_and_frees_its_place() {
    let mut host = Host::new();
    host.register("echo", done);
    let queue = InboundQueue::new(3, 2);
    let ann = queue.inlet(host.ann.clone(), Some(host.phone.id()));
    let bob = queue.inlet(host.bob.clone(), Some(host.his.id()));
    let submit = |inlet| queue.submit(&host.router, inlet, br#"{"type":"chat"}"#.to_vec(), NOW);
    assert_eq!(
        (submit(&ann), submit(&ann), submit(&ann)),
        (Ok(()), Ok(()), Err(Busy))
    );
    // Her share is full, his is not; then the queue is.
    assert_eq!((submit(&bob), submit(&bob)), (Ok(()), Err(Busy)));
    assert_eq!(queue.waiting(), 3);
    for mine in [&mut host.phone, &mut host.his] {
        let told = read(mine);
        assert_eq!(told.len(), 1);
        assert_eq!(
            (&told[0]["type"], &told[0]["code"]),
            (&json!("error"), &json!("BUSY"))
        );
    }
    assert!(read(&mut host.tab).is_empty());
    assert_eq!(host.router.stats().refused, 2);
    let work = || queue.work(&host.router, Duration::from_millis(1), || NOW);
    assert_eq!(work(), Some(by("echo")));
    assert_eq!(submit(&ann), Ok(()));
    for _ in 0..3 {
        assert_eq!(work(), Some(by("echo")));
    }
    assert_eq!(work(), None);
    // A refused message holds no place either.
    assert_eq!((submit(&bob), submit(&bob)), (Ok(()), Ok(())));
}
