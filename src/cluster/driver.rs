//! The future that connects a node with its broker.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use crate::cluster::codec::Codec;
use crate::cluster::event::Told;
use crate::cluster::inbound::Inbound;
use crate::cluster::outbound::Outbound;
use crate::cluster::outbox::{Outbox, Waitings};
use crate::cluster::relay::Relay;
use crate::cluster::subject::Subjects;
use crate::engine::Core;
use crate::id::RoomId;
use crate::lifecycle::Lifecycle;
use crate::notices::Notices;
use crate::sync::{AtomicBool, Ordering};

/// The driver of a node, from [`Node::join`](crate::cluster::Node::join). The host runs it in one task.
///
/// It sends what publishers queue, listens for the users who are online and the rooms
/// that have a member here, and delivers what other nodes send.
pub struct Driver<E: Send + Sync + 'static, C, R: Relay> {
    outbound: Outbound<E>,
    inbound: Inbound<E, R::Subscription>,
    codec: C,
    relay: R,
    stop: Stop<E>,
}

/// Tells publishers that no task drives the node any more.
struct Stop<E>(Arc<Outbox<E>>);

impl<E> Drop for Stop<E> {
    fn drop(&mut self) {
        self.0.is_stopped.store(true, Ordering::Release);
        self.0.is_connected.store(false, Ordering::Release);
        self.0.wake.clear();
    }
}

impl<E: Send + Sync + 'static, C: Codec<E>, R: Relay> Driver<E, C, R> {
    pub(super) fn new(
        (core, outbox): (Arc<Core<E>>, Arc<Outbox<E>>),
        waitings: Waitings<E>,
        notices: (Lifecycle, Notices<RoomId>),
        (codec, relay): (C, R),
        (subjects, limits, told): (Subjects, (usize, usize), Told),
    ) -> Self {
        let stop = Stop(Arc::clone(&outbox));
        let outbound = Outbound::new(Arc::clone(&outbox), waitings, subjects.clone(), limits);
        let inbound = Inbound::new(core, outbox, notices, subjects, told);
        Self {
            outbound,
            inbound,
            codec,
            relay,
            stop,
        }
    }

    /// Drives the node until its hub is shut down and no connection is left, or until the broker is closed for good.
    ///
    /// `tick` returns a timer of the host's runtime, a second long, say. The loss of a user's or room's last events is told
    /// between one and two ticks after the last one, and up to two [lingers](Relay::linger) later.
    ///
    /// ```
    /// # use laneway::cluster::{ClusterOptions, Loopback, Node, closures};
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    /// # let hub: laneway::Hub<String> = laneway::Hub::new();
    /// # let text = closures(|e: &String, out| { out.extend(e.bytes()); Ok(()) }, |_, _| Ok(String::new()));
    /// let (node, driver) = Node::join(&hub, ClusterOptions::new("chat"), text, Loopback::new())?;
    /// # runtime.block_on(async {
    /// let driving = tokio::spawn(driver.run(|| tokio::time::sleep(std::time::Duration::from_secs(1))));
    /// # while !node.is_connected() { tokio::task::yield_now().await }
    /// hub.shutdown();
    /// driving.await
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// At the end the driver sends the events that were published before, and waits until the broker's client says that
    /// it has [written](Relay::flush) them, for one tick at most. A broker that is away delays the end by that tick.
    /// Publishers are told
    /// [`Stopped`](crate::cluster::Unrelayed::Stopped) from then on. A driver whose future is dropped sends nothing
    /// more.
    ///
    /// # Panics
    ///
    /// If the codec, the `Clone` of an event, the closure of
    /// [`told`](crate::cluster::ClusterOptions::told), or `tick` does.
    pub async fn run<T, F>(self, mut tick: T)
    where
        E: Clone,
        T: FnMut() -> F + Send,
        F: Future<Output = ()> + Send,
    {
        let Self {
            outbound,
            inbound,
            codec,
            relay,
            stop,
        } = self;
        let mut receiving = pin!(inbound.run(&codec, &relay));
        let is_ending = AtomicBool::new(false);
        let mut sending = pin!(outbound.run(&codec, &relay, &is_ending));
        let mut timer = Box::pin(tick());
        let is_closed = poll_fn(|cx| {
            // AcqRel: a thread that adds to the count first is seen by each look of this turn.
            stop.0.polls.fetch_add(1, Ordering::AcqRel);
            if timer.as_mut().poll(cx).is_ready() {
                stop.0.ticks.fetch_add(1, Ordering::Relaxed);
                timer.set(tick());
                // The new timer has no waker yet.
                cx.waker().wake_by_ref();
            }
            // Receiving first: a greeting that it asks for is then sent in the same turn.
            if receiving.as_mut().poll(cx).is_ready() {
                return Poll::Ready(false);
            }
            sending.as_mut().poll(cx).map(|()| true)
        })
        .await;
        if is_closed {
            return;
        }
        // The hub takes no publish any more, or the broker is closed. The driver sends the events that are queued. A
        // broker that takes nothing holds it up for a tick.
        is_ending.store(true, Ordering::Relaxed);
        timer.set(tick());
        poll_fn(|cx| {
            stop.0.polls.fetch_add(1, Ordering::AcqRel);
            let is_sent = sending.as_mut().poll(cx).is_ready();
            if is_sent || timer.as_mut().poll(cx).is_ready() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

impl<E: Send + Sync + 'static, C, R: Relay> fmt::Debug for Driver<E, C, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("node", &self.stop.0.node)
            .finish_non_exhaustive()
    }
}
