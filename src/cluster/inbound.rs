//! The half of the driver that receives: listens for the users who are online and the rooms that have
//! members, and delivers to them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use crate::cluster::addressee::Addressee;
use crate::cluster::codec::Codec;
use crate::cluster::event::{ClusterEvent, Told};
use crate::cluster::frame::{Header, Kind};
use crate::cluster::listened::Listened;
use crate::cluster::outbox::Outbox;
use crate::cluster::relay::{Incoming, Relay};
use crate::cluster::stats::add;
use crate::cluster::subject::Subjects;
use crate::engine::Core;
use crate::id::{RoomId, UserId};
use crate::lifecycle::{Change, Lifecycle, Notice};
use crate::notices::Notices;
use crate::sync::Ordering;
use crate::turns::{rest, take_turn};

/// The half of the driver that receives.
pub(super) struct Inbound<E: Send + Sync + 'static, S> {
    core: Arc<Core<E>>,
    outbox: Arc<Outbox<E>>,
    // Declared before the notices, and so dropped before: a node that joins takes the two places in the other order.
    watch: Notices<RoomId>,
    notices: Lifecycle,
    subjects: Subjects,
    told: Told,
    /// The users who are online here, by their subjects.
    users: HashMap<String, Listened<E, S>>,
    /// The rooms that have a member here, by their subjects.
    rooms: HashMap<String, Listened<E, S>>,
    /// Lost notices of users that were made up for by a walk, and those of rooms.
    lost: u64,
    lost_of_rooms: u64,
    /// Frames so far.
    at: u64,
    /// Ticks that were seen.
    ticks: u64,
    turns: u8,
}

/// What has come.
enum Step {
    Notice(Option<Notice>),
    Room(RoomId),
    Incoming(Option<Incoming>),
    Tick,
}

impl<E: Send + Sync + 'static, S: Send + 'static> Inbound<E, S> {
    pub(super) fn new(
        core: Arc<Core<E>>,
        outbox: Arc<Outbox<E>>,
        (notices, watch): (Lifecycle, Notices<RoomId>),
        subjects: Subjects,
        told: Told,
    ) -> Self {
        Self {
            core,
            outbox,
            notices,
            watch,
            subjects,
            told,
            users: HashMap::new(),
            rooms: HashMap::new(),
            lost: 0,
            lost_of_rooms: 0,
            at: 0,
            ticks: 0,
            turns: 0,
        }
    }

    /// Receives until the hub is shut down and empty, or the broker is closed for good.
    pub(super) async fn run<C, R>(mut self, codec: &C, relay: &R)
    where
        E: Clone,
        C: Codec<E>,
        R: Relay<Subscription = S>,
    {
        let _control = relay.subscribe(&self.subjects.control());
        self.walk_users(relay);
        self.walk_rooms(relay);
        loop {
            match self.next(relay).await {
                Step::Notice(None) | Step::Incoming(None) => return,
                Step::Notice(Some(notice)) => {
                    if matches!(notice.change, Change::Online | Change::Offline) {
                        self.look_at_user(&notice.user, relay);
                    }
                }
                Step::Room(room) => self.look_at_room(&room, relay),
                Step::Incoming(Some(incoming)) => self.receive(incoming, codec),
                Step::Tick => {}
            }
            // At each step, and so at each tick. A notice may be lost just after the last look at the count, when
            // no other notice comes to wake this task.
            if self.notices.lost() != self.lost {
                add(&self.outbox.counters.resyncs, 1);
                self.walk_users(relay);
            }
            if self.watch.lost() != self.lost_of_rooms {
                add(&self.outbox.counters.resyncs, 1);
                self.walk_rooms(relay);
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
            if let Poll::Ready(Some(room)) = self.watch.poll_next(cx) {
                return Poll::Ready(Step::Room(room));
            }
            incoming.as_mut().poll(cx).map(Step::Incoming)
        })
        .await
    }

    /// Listens for a user who is online, and for no other.
    ///
    /// A notice is a trigger, and the hub says what is true now. Each change is followed by its notice. So the look
    /// after the last notice sees the last change, in whatever order the notices of a user's sessions come.
    fn look_at_user<R: Relay<Subscription = S>>(&mut self, user: &UserId, relay: &R) {
        let subject = self.subjects.user(user);
        if !self.core.is_online(user) {
            self.users.remove(&subject);
        } else if let Entry::Vacant(entry) = self.users.entry(subject) {
            let subscription = relay.subscribe(entry.key());
            let to = Addressee::User(user.clone());
            entry.insert(Listened::new(&self.core, to, subscription));
        }
        self.count();
    }

    /// Listens for a room that has a member here, and for no other. As for a user, a notice is a trigger.
    fn look_at_room<R: Relay<Subscription = S>>(&mut self, room: &RoomId, relay: &R) {
        let subject = self.subjects.room(room);
        if !self.core.has_members(room) {
            self.rooms.remove(&subject);
        } else if let Entry::Vacant(entry) = self.rooms.entry(subject) {
            let subscription = relay.subscribe(entry.key());
            let to = Addressee::Room(room.clone());
            entry.insert(Listened::new(&self.core, to, subscription));
        }
        self.count();
    }

    /// Listens for all users who are online, and for no others, whatever the notices said.
    fn walk_users<R: Relay<Subscription = S>>(&mut self, relay: &R) {
        // The count first. A notice that is lost during the walk then leads to another walk.
        self.lost = self.notices.lost();
        let core = Arc::clone(&self.core);
        self.users.retain(
            |_, listened| matches!(&listened.to, Addressee::User(user) if core.is_online(user)),
        );
        core.for_each(|user| {
            if user.lane.live() > 0 {
                self.look_at_user(&user.id, relay);
            }
        });
        self.count();
    }

    /// Listens for all rooms that have a member here, and for no others.
    fn walk_rooms<R: Relay<Subscription = S>>(&mut self, relay: &R) {
        // The count first, as for users.
        self.lost_of_rooms = self.watch.lost();
        let core = Arc::clone(&self.core);
        self.rooms.retain(
            |_, listened| matches!(&listened.to, Addressee::Room(room) if core.has_members(room)),
        );
        core.for_each_room(|room| self.look_at_room(room, relay));
        self.count();
    }

    fn count(&self) {
        let (users, rooms) = (self.users.len() as u64, self.rooms.len() as u64);
        let counters = &self.outbox.counters;
        counters.subscribed.store(users, Ordering::Relaxed);
        counters.subscribed_rooms.store(rooms, Ordering::Relaxed);
    }

    fn receive<C: Codec<E>>(&mut self, incoming: Incoming, codec: &C)
    where
        E: Clone,
    {
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

    /// Takes a frame. Delivers the event in it to the user or the room whose subject it came on.
    fn frame<C: Codec<E>>(&mut self, subject: &str, bytes: &[u8], codec: &C)
    where
        E: Clone,
    {
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
        let found = match self.users.get_mut(subject) {
            None => self.rooms.get_mut(subject),
            found => found,
        };
        let Some(listened) = found else {
            return add(&counters.unwanted, u64::from(header.kind != Kind::Tip));
        };
        let Some(missed) = listened.heard.note(&header, self.at) else {
            return add(&counters.repeated, u64::from(header.kind != Kind::Tip));
        };
        if missed > 0 {
            add(&counters.gaps, 1);
            add(&counters.missed, missed);
            let to = listened.to.clone();
            (self.told)(&ClusterEvent::gap(to, header.node, missed));
        }
        if header.kind == Kind::Tip {
            return;
        }
        match listened.deliver(&header, thread.as_ref(), event, codec) {
            Ok(true) => add(&counters.delivered, 1),
            Ok(false) => add(&counters.unwanted, 1),
            Err(error) => {
                add(&counters.undecodable, 1);
                let to = listened.to.clone();
                (self.told)(&ClusterEvent::undecodable(to, error));
            }
        }
    }
}
