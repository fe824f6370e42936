//! The half of the driver that sends: numbers events, and hands them to the broker.

use std::future::{Future, poll_fn};
use std::mem::take;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::cluster::addressee::Addressee;
use crate::cluster::codec::Codec;
use crate::cluster::error::RelayError;
use crate::cluster::frame::{HEADER_BYTES, Header, Kind};
use crate::cluster::link::Link;
use crate::cluster::numbers::Given;
use crate::cluster::outbox::{Outbox, Waiting, Waitings};
use crate::cluster::relay::Relay;
use crate::cluster::stats::add;
use crate::cluster::subject::Subjects;
use crate::sync::{AtomicBool, Ordering, fence};
use crate::turns::{give_way, take_turn};

/// The half of the driver that sends.
pub(super) struct Outbound<E> {
    outbox: Arc<Outbox<E>>,
    waitings: Waitings<E>,
    /// The numbers of users' events, and those of rooms' events.
    users: Given,
    rooms: Given,
    subjects: Subjects,
    /// Ticks that were answered.
    ticks: u64,
    turns: u8,
    /// The queue was empty at the last look.
    has_rested: bool,
}

/// What there is to do next.
enum Step<E> {
    Greet,
    Tick,
    Send(Waiting<E>),
    Owed(Arc<Link>),
    /// There is nothing left to send, and the driver ends.
    End,
}

impl<E> Outbound<E> {
    pub(super) fn new(
        outbox: Arc<Outbox<E>>,
        waitings: Waitings<E>,
        subjects: Subjects,
        (users, rooms): (usize, usize),
    ) -> Self {
        Self {
            outbox,
            waitings,
            users: Given::new(users),
            rooms: Given::new(rooms),
            subjects,
            ticks: 0,
            turns: 0,
            has_rested: false,
        }
    }

    /// Sends until the broker is closed for good, or the driver ends and the queue is empty.
    pub(super) async fn run<C: Codec<E>, R: Relay>(
        mut self,
        codec: &C,
        relay: &R,
        is_ending: &AtomicBool,
    ) {
        let ends = || is_ending.load(Ordering::Relaxed);
        loop {
            let step = poll_fn(|cx| self.poll_step(cx, ends())).await;
            if matches!(step, Step::Send(_)) && take(&mut self.has_rested) {
                let mut linger = pin!(relay.linger());
                // The driver polls this future after it has set `is_ending`.
                poll_fn(|cx| {
                    if ends() {
                        Poll::Ready(())
                    } else {
                        linger.as_mut().poll(cx)
                    }
                })
                .await;
            }
            let done = match step {
                Step::Send(waiting) => {
                    let done = self.send(waiting, codec, relay).await;
                    // Release: a thread that sees the count sends to the broker behind this event.
                    self.outbox.handled.fetch_add(1, Ordering::Release);
                    done
                }
                Step::Tick => self.settle(relay).await,
                Step::Greet => {
                    self.retell();
                    let subject = self.subjects.control();
                    self.tell(Kind::Hello, &subject, (0, 0), relay).await
                }
                Step::Owed(link) => {
                    let lost = link.owed.collect();
                    if lost > 0 {
                        self.given(&link.to).advance(&link.to, lost);
                    }
                    Ok(())
                }
                Step::End => {
                    relay.flush().await;
                    // A publisher that found the hub open may have queued an event meanwhile.
                    if self.waitings.queue.is_empty() {
                        return;
                    }
                    Ok(())
                }
            };
            if done == Err(RelayError::Closed) {
                return;
            }
        }
    }

    fn poll_step(&mut self, cx: &Context<'_>, ends: bool) -> Poll<Step<E>> {
        if !take_turn(&mut self.turns) {
            return give_way(&mut self.turns, cx);
        }
        let mut found = self.step();
        if found.is_none() {
            self.outbox.wake.arm(cx.waker());
            // The second look. Without it: the driver finds the queue empty, a publisher puts an event in and
            // finds no waker, and the driver arms and sleeps behind that event.
            fence(Ordering::SeqCst);
            found = self.step();
        }
        match found {
            None if ends => Poll::Ready(Step::End),
            None => {
                self.turns = 0;
                self.has_rested = true;
                Poll::Pending
            }
            Some(step) => {
                self.outbox.wake.disarm();
                Poll::Ready(step)
            }
        }
    }

    fn step(&mut self) -> Option<Step<E>> {
        if self.outbox.greets.swap(false, Ordering::AcqRel) {
            return Some(Step::Greet);
        }
        let ticks = self.outbox.ticks.load(Ordering::Relaxed);
        if ticks != self.ticks {
            self.ticks = ticks;
            return Some(Step::Tick);
        }
        if let Ok(waiting) = self.waitings.queue.try_recv() {
            return Some(Step::Send(waiting));
        }
        // Behind the queue: the drops of a link then come after its events that were queued before.
        self.waitings.owed.try_next().ok().map(Step::Owed)
    }

    /// Numbers one event, writes it, and hands it to the broker.
    async fn send<C: Codec<E>, R: Relay>(
        &mut self,
        waiting: Waiting<E>,
        codec: &C,
        relay: &R,
    ) -> Result<(), RelayError> {
        let link = &waiting.link;
        // The drops before this event take their numbers here, so that the gap stands in its place.
        let lost = link.owed.collect_to(waiting.dropped_before);
        let (born, number) = self.given(&link.to).advance(&link.to, lost + 1);
        let kind = if waiting.is_critical {
            Kind::Critical
        } else {
            Kind::Event
        };
        let header = Header {
            kind,
            node: self.outbox.node,
            born,
            number,
            local: waiting.local,
        };
        let mut frame = Vec::with_capacity(256);
        header.write(waiting.thread.as_ref(), &mut frame);
        let counters = &self.outbox.counters;
        if codec.encode(&waiting.event, &mut frame).is_err() {
            add(&counters.unsent, 1);
            return Ok(());
        }
        let bytes = frame.len() as u64;
        let done = relay.publish(&self.subjects.of(&link.to), frame).await;
        if done.is_ok() {
            add(&counters.sent, 1);
            add(&counters.sent_bytes, bytes);
        } else {
            add(&counters.unsent, 1);
        }
        done
    }

    fn given(&mut self, to: &Addressee) -> &mut Given {
        match to {
            Addressee::User(_) => &mut self.users,
            Addressee::Room(_) => &mut self.rooms,
        }
    }

    fn retell(&mut self) {
        self.users.retell();
        self.rooms.retell();
    }

    /// Tells the last numbers of users and rooms that have rested for a tick.
    async fn settle<R: Relay>(&mut self, relay: &R) -> Result<(), RelayError> {
        self.outbox.users.tidy();
        self.outbox.rooms.tidy();
        // A tip that is lost would leave the loss of a last event untold. Tips wait for the connection.
        if !self.outbox.is_connected.load(Ordering::Acquire) {
            return Ok(());
        }
        if self.outbox.retells.swap(false, Ordering::AcqRel) {
            self.retell();
        }
        let mut due = self.users.settle();
        due.append(&mut self.rooms.settle());
        for (to, born, number) in due {
            let subject = self.subjects.of(&to);
            self.tell(Kind::Tip, &subject, (born, number), relay)
                .await?;
        }
        Ok(())
    }

    /// Sends a frame without an event.
    async fn tell<R: Relay>(
        &self,
        kind: Kind,
        subject: &str,
        (born, number): (u64, u64),
        relay: &R,
    ) -> Result<(), RelayError> {
        let mut frame = Vec::with_capacity(HEADER_BYTES);
        let header = Header {
            kind,
            node: self.outbox.node,
            born,
            number,
            local: None,
        };
        header.write(None, &mut frame);
        relay.publish(subject, frame).await?;
        add(&self.outbox.counters.told, 1);
        add(&self.outbox.counters.sent_bytes, HEADER_BYTES as u64);
        Ok(())
    }
}
