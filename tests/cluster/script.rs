//! A broker inside the process that does what a test says, and nodes over any broker.

use std::future::{Future, pending, poll_fn};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use laneway::Hub;
use laneway::cluster::{ClusterEvent, ClusterOptions, Incoming, Node, Relay, RelayError, Subjects};

use crate::nodes::{Event, Events, TICK, room, user};

/// The n-th event of node 0 for user 0 or for room 0.
pub(crate) fn event(n: u32) -> Event {
    Event {
        user: 0,
        node: 0,
        n,
        padding: 0,
    }
}

/// The number in a frame.
pub(crate) fn number(frame: &[u8]) -> u64 {
    u64::from_le_bytes(frame[18..26].try_into().unwrap())
}

/// A node whose driver runs.
pub(crate) fn node(hub: &Hub<Event>, relay: impl Relay) -> Node<Event> {
    let (node, driver) = Node::join(hub, ClusterOptions::new("test"), Events, relay).unwrap();
    tokio::spawn(driver.run(|| tokio::time::sleep(TICK)));
    node
}

/// What a node has told.
pub(crate) type Told = Arc<Mutex<Vec<ClusterEvent>>>;

/// A node whose driver runs, and what it tells.
pub(crate) fn telling_node(hub: &Hub<Event>, relay: impl Relay) -> (Node<Event>, Told) {
    let told = Told::default();
    let tells = Arc::clone(&told);
    let options =
        ClusterOptions::new("test").told(move |event| tells.lock().unwrap().push(event.clone()));
    let (node, driver) = Node::join(hub, options, Events, relay).unwrap();
    tokio::spawn(driver.run(|| tokio::time::sleep(TICK)));
    (node, told)
}

/// How long the broker of a test lets events come.
pub(crate) const LINGER: Duration = Duration::from_millis(20);
/// What stands among the frames where it has done so.
pub(crate) const LINGERED: &str = "lingered";

/// A broker that does what a test says.
#[derive(Default)]
pub(crate) struct Script {
    incoming: Mutex<Vec<Incoming>>,
    /// It takes no frame: a publish waits for ever.
    pub(crate) is_stuck: AtomicBool,
    /// How often the driver has let events come.
    pub(crate) lingers: AtomicU64,
    /// It lets them come for ever.
    pub(crate) lingers_on: AtomicBool,
    pub(crate) flushes: AtomicU64,
    /// A flush takes for ever.
    pub(crate) flushes_on: AtomicBool,
    pub(crate) published: Mutex<Vec<(String, Vec<u8>)>>,
    waker: Mutex<Option<Waker>>,
}

pub(crate) struct Scripted(pub(crate) Arc<Script>);

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

    async fn linger(&self) {
        self.0.lingers.fetch_add(1, Ordering::SeqCst);
        if self.0.lingers_on.load(Ordering::SeqCst) {
            pending::<()>().await;
        }
        tokio::time::sleep(LINGER).await;
        let mut published = self.0.published.lock().unwrap();
        published.push((LINGERED.into(), Vec::new()));
    }

    async fn flush(&self) {
        self.0.flushes.fetch_add(1, Ordering::SeqCst);
        if self.0.flushes_on.load(Ordering::SeqCst) {
            pending::<()>().await;
        }
    }

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
    pub(crate) fn says(&self, incoming: Incoming) {
        let mut all = self.incoming.lock().unwrap();
        all.push(incoming);
        if let Some(waker) = self.waker.lock().unwrap().take() {
            waker.wake();
        }
    }
    /// The frames of a user that were published so far.
    pub(crate) fn frames(&self, n: u32) -> Vec<Vec<u8>> {
        self.frames_on(&Subjects::new("test").unwrap().user(&user(n)))
    }
    /// The frames of a room that were published so far.
    pub(crate) fn room_frames(&self, n: u32) -> Vec<Vec<u8>> {
        self.frames_on(&Subjects::new("test").unwrap().room(&room(n)))
    }
    fn frames_on(&self, subject: &str) -> Vec<Vec<u8>> {
        let published = self.published.lock().unwrap();
        let frames = published.iter().filter(|(at, _)| at == subject);
        frames.map(|(_, frame)| frame.clone()).collect()
    }
}
