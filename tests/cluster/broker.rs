//! What a node does with any broker: whom it listens for, what it drops, and what it tells. Over a broker inside the
//! process, so that a test can say exactly what comes.

use std::future::{Future, pending, poll_fn};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use laneway::cluster::{
    ClusterError, ClusterEvent, ClusterOptions, Incoming, Loopback, Node, Relay, RelayError,
    Relayed, Subjects, Unrelayed,
};
use laneway::{ConnectOptions, Hub, Received, ThreadId};

use crate::nodes::{Event, Events, TICK, until, user};

fn event(n: u32) -> Event {
    Event {
        user: 0,
        node: 0,
        n,
        padding: 0,
    }
}

/// A node whose driver runs.
fn node(hub: &Hub<Event>, relay: impl Relay) -> Node<Event> {
    let (node, driver) = Node::join(hub, ClusterOptions::new("test"), Events, relay).unwrap();
    tokio::spawn(driver.run(|| tokio::time::sleep(TICK)));
    node
}

#[tokio::test]
async fn r131_a_node_listens_for_the_users_who_are_online_and_no_others() {
    let (here, there) = (Hub::new(), Hub::new());
    let relay = Loopback::new();
    let (a, b) = (node(&here, relay.another()), node(&there, relay));
    let bob = b.scope(user(0));
    until("connected", || a.is_connected() && b.is_connected()).await;
    let to = a.scope(user(0));
    let _ = to.publish(event(0)).unwrap();
    until("sent", || a.stats().sent == 1).await;
    let (one, two) = (
        bob.local().connect().unwrap(),
        bob.local().connect().unwrap(),
    );
    until("listens", || b.stats().subscribed == 1).await;
    drop(one);
    let _ = to.publish(event(1)).unwrap();
    until("delivered", || b.stats().delivered == 1).await;
    drop(two);
    until("listens no more", || b.stats().subscribed == 0).await;
    let _ = to.publish(event(2)).unwrap();
    until("sent", || a.stats().sent == 3).await;
    tokio::time::sleep(3 * TICK).await;
    assert_eq!(
        (b.stats().delivered, b.stats().unwanted),
        (1, 0),
        "the others went nowhere"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r131_users_who_come_and_go_fast_are_listened_for_if_they_are_there_in_the_end() {
    let hub: Hub<Event> = Hub::new();
    let node = node(&hub, Loopback::new());
    let threads: Vec<_> = (0..2u32)
        .map(|at| {
            let hub = hub.clone();
            std::thread::spawn(move || {
                for turn in 0..20_000u32 {
                    // Both threads open and close connections of the same users.
                    drop(hub.scope(user((turn + at) % 16)).connect().unwrap());
                }
            })
        })
        .collect();
    let _stays: Vec<_> = (8..20)
        .map(|n| hub.scope(user(n)).connect().unwrap())
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    until("listens for twelve", || node.stats().subscribed == 12).await;
    tokio::time::sleep(2 * TICK).await;
    assert_eq!(node.stats().subscribed, 12);
}

#[tokio::test]
async fn r131_notices_that_are_lost_are_made_up_for_by_a_walk() {
    let hub: Hub<Event> = Hub::new();
    let (node, driver) =
        Node::join(&hub, ClusterOptions::new("test"), Events, Loopback::new()).unwrap();
    let driving = tokio::spawn(driver.run(|| tokio::time::sleep(TICK)));
    let gone = hub.scope(user(1)).connect().unwrap();
    until("listens", || node.stats().subscribed == 1).await;
    // Four notices each, and none is read meanwhile: the test does not await.
    for _ in 0..20_000 {
        drop(hub.scope(user(0)).connect().unwrap());
    }
    drop(gone);
    let _stays = hub.scope(user(2)).connect().unwrap();
    let _stay = hub.scope(user(3)).connect().unwrap();
    until("listens for two", || node.stats().subscribed == 2).await;
    until("after a walk", || node.stats().resyncs > 0).await;
    assert!(!driving.is_finished());
}

#[tokio::test]
async fn r130_audiences_and_verbs_hold_at_every_node() {
    let (here, there) = (Hub::new(), Hub::builder().lane_capacity(2).build().unwrap());
    let relay = Loopback::new();
    let (a, b) = (node(&here, relay.another()), node(&there, relay));
    let oslo = ThreadId::new("Oslo").unwrap();
    let options = ConnectOptions::default().thread(oslo.clone());
    let scope = b.scope(user(0));
    let mut plain = scope.local().connect().unwrap();
    let mut attached = scope.local().connect_with(options).unwrap();
    let to = a.scope(user(0));
    let (phone, mut laptop) = (to.local().connect().unwrap(), to.local().connect().unwrap());
    until("listens", || b.stats().subscribed == 1 && a.is_connected()).await;
    assert!(
        to.publish_to_thread(&oslo, event(0))
            .unwrap()
            .local
            .is_none()
    );
    assert_eq!(
        to.publish_to_others(phone.id(), event(1))
            .unwrap()
            .local
            .unwrap()
            .connections,
        1
    );
    until("delivered", || b.stats().delivered == 2).await;
    let got = |device: &mut laneway::Connection<Event>| {
        std::iter::from_fn(|| device.try_recv().ok())
            .map(|received| match received {
                Received::Event(next) => i64::from(next.event.n),
                _ => -1,
            })
            .collect::<Vec<_>>()
    };
    assert_eq!((got(&mut plain), got(&mut attached)), (vec![1], vec![0, 1]));
    assert_eq!(got(&mut laptop), [1]);
    // A critical event stays one: a device that is two lanes behind receives it, or is closed.
    let _ = to.publish_critical(event(2)).unwrap();
    for n in 3..6 {
        let _ = to.publish(event(n)).unwrap();
    }
    until("delivered", || b.stats().delivered == 6).await;
    assert_eq!(got(&mut plain)[0], 2);
}

/// A broker that does what a test says.
#[derive(Default)]
struct Script {
    incoming: Mutex<Vec<Incoming>>,
    /// It takes no frame: a publish waits for ever.
    is_stuck: AtomicBool,
    published: Mutex<Vec<(String, Vec<u8>)>>,
    waker: Mutex<Option<Waker>>,
}

struct Scripted(Arc<Script>);

impl Relay for Scripted {
    type Subscription = ();

    async fn publish(&self, subject: &str, frame: Vec<u8>) -> Result<(), RelayError> {
        if self.0.is_stuck.load(Ordering::SeqCst) {
            pending::<()>().await;
        }
        if frame.len() > 1_000 {
            return Err(RelayError::TooLarge);
        }
        self.0
            .published
            .lock()
            .unwrap()
            .push((subject.into(), frame));
        Ok(())
    }

    fn subscribe(&self, _subject: &str) {}

    fn next(&self) -> impl Future<Output = Option<Incoming>> + Send {
        poll_fn(|cx| {
            let mut incoming = self.0.incoming.lock().unwrap();
            if incoming.is_empty() {
                *self.0.waker.lock().unwrap() = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(Some(incoming.remove(0)))
        })
    }
}

impl Script {
    fn says(&self, incoming: Incoming) {
        let mut all = self.incoming.lock().unwrap();
        all.push(incoming);
        if let Some(waker) = self.waker.lock().unwrap().take() {
            waker.wake();
        }
    }
    /// The frames of a user that were published so far.
    fn frames(&self, n: u32) -> Vec<Vec<u8>> {
        let subject = Subjects::new("test").unwrap().user(&user(n));
        let published = self.published.lock().unwrap();
        let frames = published.iter().filter(|(at, _)| *at == subject);
        frames.map(|(_, frame)| frame.clone()).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r132_a_queue_that_is_full_and_a_broker_that_is_gone_are_told_at_once() {
    let (hub, script) = (Hub::new(), Arc::new(Script::default()));
    let options = ClusterOptions::new("test").queue(4);
    let relay = Scripted(Arc::clone(&script));
    let (node, driver) = Node::join(&hub, options, Events, relay).unwrap();
    let driving = tokio::spawn(driver.run(|| tokio::time::sleep(TICK)));
    let ann = node.scope(user(0));
    let _phone = ann.local().connect().unwrap();
    let publish = |n| ann.publish(event(n)).unwrap();
    let gone = publish(0);
    assert_eq!(gone.relayed, Relayed::Dropped(Unrelayed::Disconnected));
    assert_eq!(
        gone.local.unwrap().connections,
        1,
        "the devices here have it"
    );
    script.is_stuck.store(true, Ordering::SeqCst);
    script.says(Incoming::Connected);
    until("connected", || node.is_connected()).await;
    let relayed: Vec<_> = (1..8).map(|n| publish(n).relayed).collect();
    // The greeting is in the way, so no event leaves the queue.
    assert_eq!(relayed[..4], [Relayed::Queued; 4]);
    assert_eq!(relayed[4..], [Relayed::Dropped(Unrelayed::Full); 3]);
    script.says(Incoming::Disconnected);
    until("disconnected", || !node.is_connected()).await;
    assert_eq!(
        publish(8).relayed,
        Relayed::Dropped(Unrelayed::Disconnected)
    );
    let stats = node.stats();
    assert_eq!(
        (stats.queued, stats.dropped_full, stats.dropped_disconnected),
        (4, 3, 2)
    );
    driving.abort();
    let _ = driving.await;
    assert_eq!(publish(9).relayed, Relayed::Dropped(Unrelayed::Stopped));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r133_drops_take_numbers_and_the_last_one_is_told_after_a_pause() {
    let (hub, script) = (Hub::new(), Arc::new(Script::default()));
    let node = node(&hub, Scripted(Arc::clone(&script)));
    let ann = node.scope(user(0));
    let publish = |n| ann.publish(event(n)).unwrap().relayed;
    assert!(!publish(0).is_queued() && !publish(1).is_queued());
    script.says(Incoming::Connected);
    until("connected", || node.is_connected()).await;
    assert!(publish(2).is_queued());
    let number = |frame: &Vec<u8>| u64::from_le_bytes(frame[18..26].try_into().unwrap());
    let is_event = |frame: &Vec<u8>| frame[1] == 0;
    until("sent", || script.frames(0).iter().any(is_event)).await;
    let frames = script.frames(0);
    let first = frames.iter().find(|frame| is_event(frame)).map(number);
    assert_eq!(first, Some(3), "after the two that were dropped");
    script.says(Incoming::Disconnected);
    until("disconnected", || !node.is_connected()).await;
    assert!(!publish(3).is_queued());
    script.says(Incoming::Connected);
    until("the tip is told", || {
        script
            .frames(0)
            .last()
            .is_some_and(|frame| frame[1] == 2 && number(frame) == 4)
    })
    .await;
    // An event that the broker does not take has its number too.
    let large = Event {
        padding: 2_000,
        ..event(4)
    };
    assert!(ann.publish(large).unwrap().relayed.is_queued());
    until("the tip is told", || {
        script
            .frames(0)
            .last()
            .is_some_and(|frame| number(frame) == 5)
    })
    .await;
    assert_eq!(node.stats().unsent, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r133_a_node_that_has_lost_something_asks_and_is_told_again() {
    let (here, there) = (Hub::new(), Hub::new());
    let told: Arc<Mutex<Vec<ClusterEvent>>> = Arc::default();
    let (a_script, b_script) = (Arc::new(Script::default()), Arc::new(Script::default()));
    let a = node(&here, Scripted(Arc::clone(&a_script)));
    let tells = Arc::clone(&told);
    let options =
        ClusterOptions::new("test").told(move |event| tells.lock().unwrap().push(event.clone()));
    let relay = Scripted(Arc::clone(&b_script));
    let (b, driver) = Node::join(&there, options, Events, relay).unwrap();
    tokio::spawn(driver.run(|| tokio::time::sleep(TICK)));
    let _phone = b.scope(user(0)).local().connect().unwrap();
    a_script.says(Incoming::Connected);
    b_script.says(Incoming::Connected);
    until("listens", || {
        a.is_connected() && b.is_connected() && b.stats().subscribed == 1
    })
    .await;
    let subject = Subjects::new("test").unwrap().user(&user(0));
    let pass = |frame: Vec<u8>| {
        let subject = subject.clone();
        b_script.says(Incoming::Frame {
            subject,
            bytes: frame,
        });
    };
    let ann = a.scope(user(0));
    for n in 0..3 {
        let _ = ann.publish(event(n)).unwrap();
    }
    until("sent", || a_script.frames(0).len() == 4).await; // three events and a tip
    pass(a_script.frames(0)[0].clone());
    // The rest is lost, the tip as well. The broker's client says so to b, which greets.
    b_script.says(Incoming::Missed);
    until("greeted", || b_script.published.lock().unwrap().len() == 2).await;
    let (control, hello) = b_script.published.lock().unwrap()[1].clone();
    a_script.says(Incoming::Frame {
        subject: control,
        bytes: hello,
    });
    until("told again", || a_script.frames(0).len() == 5).await;
    pass(a_script.frames(0)[4].clone());
    until("told", || b.stats().missed == 2).await;
    let gap = |event: &ClusterEvent| matches!(event, ClusterEvent::Gap { missed: 2, node, .. } if *node == a.id());
    assert!(told.lock().unwrap().iter().any(gap));
    // The frames come all the same, late: told as lost, so dropped.
    pass(a_script.frames(0)[1].clone());
    until("dropped", || b.stats().repeated == 1).await;
    assert_eq!(b.stats().delivered, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r134_whatever_comes_from_a_broker_is_dropped_and_counted() {
    let (hub, script) = (Hub::new(), Arc::new(Script::default()));
    let told: Arc<Mutex<Vec<ClusterEvent>>> = Arc::default();
    let tells = Arc::clone(&told);
    let options =
        ClusterOptions::new("test").told(move |event| tells.lock().unwrap().push(event.clone()));
    let (node, driver) = Node::join(&hub, options, Events, Scripted(Arc::clone(&script))).unwrap();
    tokio::spawn(driver.run(|| tokio::time::sleep(TICK)));
    let phone = node.scope(user(0)).local().connect().unwrap();
    script.says(Incoming::Connected);
    until("listens", || {
        node.is_connected() && node.stats().subscribed == 1
    })
    .await;
    let _ = node.scope(user(0)).publish(event(0)).unwrap();
    until("sent", || !script.frames(0).is_empty()).await;
    let mut frame = script.frames(0)[0].clone();
    let subjects = Subjects::new("test").unwrap();
    let says = |subject: String, bytes: Vec<u8>| script.says(Incoming::Frame { subject, bytes });
    says(subjects.user(&user(0)), frame.clone()); // this node's own
    until("dropped", || node.stats().echoes == 1).await;
    frame[2] ^= 1; // of another node
    for cut in 0..27 {
        says(subjects.user(&user(0)), frame[..cut].to_vec());
    }
    until("counted", || node.stats().undecodable == 27).await;
    says(subjects.user(&user(0)), frame[..30].to_vec()); // a frame with half an event
    until("counted", || node.stats().undecodable == 28).await;
    let undecodable = |event: &ClusterEvent| matches!(event, ClusterEvent::Undecodable { user: told, .. } if *told == user(0));
    assert!(told.lock().unwrap().iter().any(undecodable));
    for strange in [
        subjects.user(&user(7)),
        "laneway.test.u.*".into(),
        String::new(),
    ] {
        says(strange, frame.clone());
    }
    until("counted", || node.stats().unwanted == 3).await;
    assert_eq!(
        (node.stats().delivered, phone.unread()),
        (0, 1),
        "only its own publish"
    );
}

#[tokio::test]
async fn r130_a_driver_ends_with_its_hub_and_settings_have_bounds() {
    let hub: Hub<Event> = Hub::new();
    let join = |options| Node::join(&hub, options, Events, Loopback::new()).map(drop);
    let options = || ClusterOptions::new("test");
    assert_eq!(join(ClusterOptions::new("a.b")), Err(ClusterError::Name));
    for queue in [0, (1 << 20) + 1] {
        assert_eq!(
            join(options().queue(queue)),
            Err(ClusterError::Queue(queue))
        );
    }
    for users in [0, 1, (1 << 24) + 1] {
        assert_eq!(
            join(options().users(users)),
            Err(ClusterError::Users(users))
        );
    }
    let all: Vec<_> = (0..16).map(|_| hub.lifecycle(1).unwrap()).collect();
    assert!(matches!(join(options()), Err(ClusterError::Lifecycle(_))));
    drop(all);
    let (node, driver) = Node::join(&hub, options(), Events, Loopback::new()).unwrap();
    let driving = tokio::spawn(driver.run(|| tokio::time::sleep(TICK)));
    until("connected", || node.is_connected()).await;
    drop(hub); // a node does not keep it open
    let ended = tokio::time::timeout(Duration::from_secs(20), driving).await;
    assert!(ended.unwrap().is_ok());
    assert!(
        node.scope(user(0))
            .publish(event(0))
            .unwrap_err()
            .is_closed()
    );
}
