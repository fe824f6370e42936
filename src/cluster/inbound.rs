//! The half of the driver that receives: listens for the users who are online, and delivers to them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use crate::cluster::codec::Codec;
use crate::cluster::event::{ClusterEvent, Told};
use crate::cluster::frame::{Header, Kind};
use crate::cluster::numbers::Heard;
use crate::cluster::outbox::Outbox;
use crate::cluster::relay::{Incoming, Relay};
use crate::cluster::stats::add;
use crate::cluster::subject::Subjects;
use crate::engine::Core;
use crate::id::{ThreadId, UserId};
use crate::lifecycle::{Change, Lifecycle, Notice};
use crate::scope::UserScope;
use crate::sync::Ordering;
use crate::turns::{rest, take_turn};

/// The half of the driver that receives.
pub(super) struct Inbound<E: Send + Sync + 'static, S> {
    core: Arc<Core<E>>,
    outbox: Arc<Outbox<E>>,
    notices: Lifecycle,
    subjects: Subjects,
    told: Told,
    /// The users who are online here, by their subjects.
    listened: HashMap<String, Listened<E, S>>,
    /// Lost notices that were made up for by a walk.
    lost: u64,
    /// Frames so far.
    at: u64,
    /// Ticks that were seen.
    ticks: u64,
    turns: u8,
}

/// A user who is online here.
struct Listened<E: Send + Sync + 'static, S> {
    scope: UserScope<E>,
    heard: Heard,
    /// Ends when it is dropped.
    _subscription: S,
}

/// What has come.
enum Step {
    Notice(Option<Notice>),
    Incoming(Option<Incoming>),
    Tick,
}

impl<E: Send + Sync + 'static, S: Send + 'static> Inbound<E, S> {
    pub(super) fn new(
        core: Arc<Core<E>>,
        outbox: Arc<Outbox<E>>,
        notices: Lifecycle,
        subjects: Subjects,
        told: Told,
    ) -> Self {
        Self {
            core,
            outbox,
            notices,
            subjects,
            told,
            listened: HashMap::new(),
            lost: 0,
            at: 0,
            ticks: 0,
            turns: 0,
        }
    }

    /// Receives until the hub is shut down and empty, or the broker is closed for good.
    pub(super) async fn run<C, R>(mut self, codec: &C, relay: &R)
    where
        C: Codec<E>,
        R: Relay<Subscription = S>,
    {
        let _control = relay.subscribe(&self.subjects.control());
        self.walk(relay);
        loop {
            match self.next(relay).await {
                Step::Notice(None) | Step::Incoming(None) => return,
                Step::Notice(Some(notice)) => {
                    if matches!(notice.change, Change::Online | Change::Offline) {
                        self.look(&notice.user, relay);
                    }
                }
                Step::Incoming(Some(incoming)) => self.receive(incoming, codec),
                Step::Tick => {}
            }
            // At each step, and so at each tick. A notice may be lost just after the last look at the count, when
            // no other notice comes to wake this task.
            if self.notices.lost() != self.lost {
                add(&self.outbox.counters.resyncs, 1);
                self.walk(relay);
            }
            if !take_turn(&mut self.turns) {
                self.turns = 0;
                rest().await;
            }
        }
    }

    async fn next<R: Relay>(&mut self, relay: &R) -> Step {
        let mut incoming = pin!(relay.next());
        poll_fn(|cx| {
            let ticks = self.outbox.ticks.load(Ordering::Relaxed);
            if ticks != self.ticks {
                self.ticks = ticks;
                return Poll::Ready(Step::Tick);
            }
            if let Poll::Ready(notice) = self.notices.poll_next(cx) {
                return Poll::Ready(Step::Notice(notice));
            }
            incoming.as_mut().poll(cx).map(Step::Incoming)
        })
        .await
    }

    /// Listens for a user who is online, and for no other.
    ///
    /// A notice is a trigger, and the hub says what is true now. Each change is followed by its notice. So the look
    /// after the last notice sees the last change, in whatever order the notices of a user's sessions come.
    fn look<R: Relay<Subscription = S>>(&mut self, user: &UserId, relay: &R) {
        let subject = self.subjects.user(user);
        if self.core.is_online(user) {
            if let Entry::Vacant(entry) = self.listened.entry(subject) {
                let subscription = relay.subscribe(entry.key());
                let pass = self.core.make_pass_of_node();
                entry.insert(Listened {
                    scope: UserScope::new(Arc::clone(&self.core), user.clone(), pass),
                    heard: Heard::default(),
                    _subscription: subscription,
                });
            }
        } else {
            self.listened.remove(&subject);
        }
        self.count();
    }

    /// Listens for all users who are online, and for no others, whatever the notices said.
    fn walk<R: Relay<Subscription = S>>(&mut self, relay: &R) {
        // The count first. A notice that is lost during the walk then leads to another walk.
        self.lost = self.notices.lost();
        let core = Arc::clone(&self.core);
        self.listened
            .retain(|_, listened| core.is_online(listened.scope.user()));
        core.for_each(|user| {
            if user.lane.live() > 0 {
                self.look(&user.id, relay);
            }
        });
        self.count();
    }

    fn count(&self) {
        let users = self.listened.len() as u64;
        let counters = &self.outbox.counters;
        counters.subscribed.store(users, Ordering::Relaxed);
    }

    fn receive<C: Codec<E>>(&mut self, incoming: Incoming, codec: &C) {
        match incoming {
            Incoming::Connected => {
                add(&self.outbox.counters.connects, 1);
                self.outbox.greets.store(true, Ordering::Release);
                self.outbox.is_connected.store(true, Ordering::Release);
                (self.told)(&ClusterEvent::Connected);
            }
            Incoming::Disconnected => {
                self.outbox.is_connected.store(false, Ordering::Release);
                (self.told)(&ClusterEvent::Disconnected);
            }
            Incoming::Missed => self.outbox.greets.store(true, Ordering::Release),
            Incoming::Frame { subject, bytes } => self.frame(&subject, &bytes, codec),
        }
    }

    fn frame<C: Codec<E>>(&mut self, subject: &str, bytes: &[u8], codec: &C) {
        self.at += 1;
        let counters = &self.outbox.counters;
        let Some((header, thread, event)) = Header::read(bytes) else {
            return add(&counters.undecodable, 1);
        };
        if header.node == self.outbox.node {
            return add(&counters.echoes, 1);
        }
        if header.kind == Kind::Hello {
            return self.outbox.retells.store(true, Ordering::Release);
        }
        // The last frames of a subscription may come after its end.
        let Some(listened) = self.listened.get_mut(subject) else {
            return add(&counters.unwanted, u64::from(header.kind != Kind::Tip));
        };
        let Some(missed) = listened.heard.note(&header, self.at) else {
            return add(&counters.repeated, u64::from(header.kind != Kind::Tip));
        };
        if missed > 0 {
            add(&counters.gaps, 1);
            add(&counters.missed, missed);
            (self.told)(&ClusterEvent::Gap {
                user: listened.scope.user().clone(),
                node: header.node,
                missed,
            });
        }
        if header.kind != Kind::Tip {
            self.deliver(subject, &header, thread.as_ref(), event, codec);
        }
    }

    /// Publishes an event of another node in its user's scope, by the verb of its publisher.
    fn deliver<C: Codec<E>>(
        &self,
        subject: &str,
        header: &Header,
        thread: Option<&ThreadId>,
        event: &[u8],
        codec: &C,
    ) {
        let (counters, scope) = (&self.outbox.counters, &self.listened[subject].scope);
        let event = match codec.decode(scope.user(), event) {
            Ok(event) => event,
            Err(error) => {
                add(&counters.undecodable, 1);
                let user = scope.user().clone();
                return (self.told)(&ClusterEvent::Undecodable { user, error });
            }
        };
        let to = thread.map_or_else(|| scope.to_all(), |thread| scope.to_thread(thread));
        let done = if header.kind == Kind::Critical {
            to.publish_critical(event)
        } else {
            to.publish(event)
        };
        match done {
            Ok(_) => add(&counters.delivered, 1),
            Err(_) => add(&counters.unwanted, 1),
        }
    }
}
