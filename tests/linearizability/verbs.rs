//! Random programs of threads that join rooms, revoke scopes, and ask, and what they were answered when.

use std::ops::DerefMut;
#[allow(clippy::disallowed_types)] // Between the threads of a test.
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use laneway::{
    AnswerError, Ask, AskId, CloseReason, ConnectError, Connection, Hub, JoinRoomError, Joined,
    NoAnswer, Received, Revocation, RoomId, TryRecvError, UserId, UserScope,
};

use crate::common::model::End;
use crate::common::random::Random;

const CALLS: usize = 4;
pub(crate) const MOST_THREADS: usize = 3;
/// No lane is lapped, so that each event is received.
pub(crate) const CAPACITY: u64 = 64;

/// What a history is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Two users join and leave two rooms.
    Rooms,
    /// The host takes the scopes of one user back.
    Gate,
    /// One thread asks, and the devices of all threads answer.
    Asks,
}

/// Connections have the names of their connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Publish(u32),
    Connect(usize),
    Receive(usize),
    Drop(usize),
    Join(u8),
    Leave(u8),
    /// To one room, or to both.
    PublishToRooms(Option<u8>, u32),
    /// All scopes that there are, and the connections or not.
    Revoke(bool),
    /// The host makes a new scope for the thread.
    Renew,
    /// The question that waited is dropped before.
    Ask(u32),
    Answer(usize, u32),
    Take(u32),
    DisconnectAll,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    /// To so many connections; `None`: to none.
    Published(Option<usize>),
    Revoked,
    Received(Option<u32>),
    Ended(End),
    /// Now, or before; `None`: the user is offline.
    Joined(Option<bool>),
    Left(bool),
    Reached(usize, usize, usize),
    Closed(usize),
    /// The device is closed.
    NoDevice,
    Answered(bool),
    /// By the first device that answered.
    Taken(usize),
    Waits,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) thread: usize,
    pub(crate) call: Call,
    pub(crate) answer: Answer,
    pub(crate) began: u64,
    pub(crate) ended: u64,
}

/// The users of a history's threads.
pub(crate) fn user_of(kind: Kind, thread: usize) -> u8 {
    if kind == Kind::Rooms {
        thread as u8 % 2
    } else {
        0
    }
}

fn user_id(user: u8) -> UserId {
    UserId::new(format!("user {user}")).expect("valid")
}

fn room(n: u8) -> RoomId {
    RoomId::new(format!("room {n}")).expect("valid")
}

/// The questions, each with the value of its event.
#[allow(clippy::disallowed_types)] // Between the threads of a test.
type Questions = Mutex<Vec<(AskId, u32)>>;

struct Actor<'a> {
    kind: Kind,
    clock: &'a AtomicU64,
    hub: &'a Hub<u32>,
    scope: UserScope<u32>,
    thread: usize,
    mine: Option<(usize, Connection<u32>)>,
    questions: &'a Questions,
    ask: Option<(Ask<u32>, u32)>,
    records: Vec<Record>,
}

impl Actor<'_> {
    fn choose(&self, random: &mut Random) -> Call {
        // Names and values are of the thread and the place of the call in it.
        let at = 100 + self.thread * 100 + self.records.len();
        let value = at as u32;
        let mine = self.mine.as_ref().map(|(name, _)| *name);
        let room = random.below(2) as u8;
        let asked = self.asked().last().map(|(_, value)| *value);
        match (self.kind, random.below(12), mine) {
            (Kind::Rooms, 0..=2, Some(_)) => Call::Join(room),
            (Kind::Rooms, 3, _) => Call::Leave(room),
            (Kind::Rooms, 4..=6, _) => {
                Call::PublishToRooms((random.below(2) == 0).then_some(room), value)
            }
            (Kind::Gate, 0 | 1, _) => Call::Revoke(random.below(2) == 0),
            (Kind::Gate, 2, _) => Call::Renew,
            (Kind::Asks, 0..=4, _) if self.thread == 0 => match &self.ask {
                Some((_, value)) if random.below(3) > 0 => Call::Take(*value),
                _ => Call::Ask(value),
            },
            (Kind::Asks, 0..=5, Some(name)) if asked.is_some() => {
                Call::Answer(name, asked.expect("there is one"))
            }
            (Kind::Asks, 6, _) => Call::DisconnectAll,
            (_, 9, Some(name)) => Call::Drop(name),
            (_, 7 | 8, Some(name)) => Call::Receive(name),
            (_, 7..=11, None) => Call::Connect(at),
            _ => Call::Publish(value),
        }
    }

    /// What most programs need: a device, and a room or a question.
    fn prepare(&mut self) {
        self.record(Call::Connect(self.thread));
        match self.kind {
            Kind::Rooms => self.record(Call::Join(0)),
            Kind::Asks if self.thread == 0 => self.record(Call::Ask(90)),
            _ => {}
        }
    }

    fn act(&mut self, random: &mut Random) {
        let call = self.choose(random);
        self.record(call);
    }

    fn record(&mut self, call: Call) {
        let began = self.clock.fetch_add(1, Ordering::SeqCst);
        let answer = self.call(call);
        let ended = self.clock.fetch_add(1, Ordering::SeqCst);
        self.records.push(Record {
            thread: self.thread,
            call,
            answer,
            began,
            ended,
        });
    }

    fn connection(&mut self) -> &mut Connection<u32> {
        &mut self.mine.as_mut().expect("a connection").1
    }

    fn call(&mut self, call: Call) -> Answer {
        match call {
            Call::Publish(value) => match self.scope.publish(value) {
                Ok(done) => Answer::Published(Some(done.connections)),
                Err(e) if e.is_revoked() => Answer::Revoked,
                Err(e) if e.is_no_connections() => Answer::Published(None),
                Err(other) => panic!("no such refusal: {other:?}"),
            },
            Call::Connect(name) => match self.scope.connect() {
                Ok(connection) => {
                    self.mine = Some((name, connection));
                    Answer::Done
                }
                Err(ConnectError::Revoked) => Answer::Revoked,
                Err(other) => panic!("no such refusal: {other:?}"),
            },
            Call::Receive(_) => match self.connection().try_recv() {
                Ok(Received::Event(got)) => Answer::Received(Some(got.event)),
                Err(TryRecvError::Empty) => Answer::Received(None),
                Err(TryRecvError::Closed(closed)) => Answer::Ended(match closed.reason {
                    CloseReason::Revoked => End::Revoked,
                    CloseReason::Disconnected { code } => End::Disconnected(code),
                    other => panic!("no call closes for {other:?}"),
                }),
                other => panic!("no such answer: {other:?}"),
            },
            Call::Drop(_) => {
                self.mine = None;
                Answer::Done
            }
            Call::Join(n) => Answer::Joined(match self.scope.join(&room(n)) {
                Ok(joined) => Some(joined == Joined::Now),
                Err(JoinRoomError::Offline) => None,
                Err(other) => panic!("there is room: {other:?}"),
            }),
            Call::Leave(n) => Answer::Left(self.scope.leave(&room(n))),
            Call::PublishToRooms(n, value) => {
                let rooms = n.map_or(vec![room(0), room(1)], |n| vec![room(n)]);
                let done = self.hub.rooms(rooms).publish(&value);
                Answer::Reached(done.users, done.connections, done.refused)
            }
            Call::Revoke(closes) => {
                let revocation = Revocation::all();
                let revocation = if closes {
                    revocation
                } else {
                    revocation.keep_connections()
                };
                Answer::Closed(self.hub.revoke(self.scope.user(), revocation))
            }
            Call::Renew => {
                self.scope = self.hub.scope(self.scope.user().clone());
                Answer::Done
            }
            Call::Ask(value) => self.ask(value),
            Call::Answer(name, question) => self.answer(name, question),
            Call::Take(_) => {
                let (ask, _) = self.ask.as_mut().expect("a question");
                match ask.try_answer() {
                    None => Answer::Waits,
                    Some(Ok(answer)) => Answer::Taken(answer.event as usize),
                    Some(Err(NoAnswer::NoDevice)) => Answer::NoDevice,
                    Some(Err(NoAnswer::Taken)) => Answer::Done,
                    other => panic!("no such answer: {other:?}"),
                }
            }
            Call::DisconnectAll => Answer::Closed(self.scope.disconnect_all(7)),
        }
    }

    fn ask(&mut self, value: u32) -> Answer {
        self.ask = None;
        match self.scope.ask(Duration::from_secs(60), |_| value) {
            Ok(ask) => {
                self.asked().push((ask.id(), value));
                let connections = ask.delivery().connections;
                self.ask = Some((ask, value));
                Answer::Published(Some(connections))
            }
            Err(_) => Answer::Published(None),
        }
    }

    fn asked(&self) -> impl DerefMut<Target = Vec<(AskId, u32)>> {
        self.questions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// With the name of the device.
    fn answer(&mut self, name: usize, question: u32) -> Answer {
        let found = self
            .asked()
            .iter()
            .find(|(_, value)| *value == question)
            .copied();
        let (id, _) = found.expect("a question");
        match self.connection().answer(id, name as u32) {
            Ok(()) => Answer::Answered(true),
            Err(AnswerError::Over(_)) => Answer::Answered(false),
            Err(AnswerError::Closed(_)) => Answer::NoDevice,
            Err(other) => panic!("its own user's question, and {other:?}"),
        }
    }
}

/// Runs a random program on threads. Returns the calls with their times.
pub(crate) fn history(kind: Kind, seed: u64) -> Vec<Record> {
    let hub = Hub::builder()
        .lane_capacity(CAPACITY as usize)
        .max_connections_per_user(MOST_THREADS)
        .shards(1)
        .build::<u32>()
        .expect("valid");
    let threads = 2 + seed as usize % (MOST_THREADS - 1);
    let (clock, arrived) = (AtomicU64::new(0), AtomicUsize::new(0));
    let questions = Questions::default();
    let mut actors: Vec<_> = (0..threads)
        .map(|thread| Actor {
            kind,
            clock: &clock,
            hub: &hub,
            scope: hub.scope(user_id(user_of(kind, thread))),
            thread,
            mine: None,
            questions: &questions,
            ask: None,
            records: Vec::new(),
        })
        .collect();
    actors.iter_mut().for_each(Actor::prepare);
    let outcomes: Vec<_> = thread::scope(|s| {
        let threads: Vec<_> = actors
            .into_iter()
            .map(|mut actor| {
                let arrived = &arrived;
                s.spawn(move || {
                    let random = (seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                    let mut random = Random(random + actor.thread as u64);
                    arrived.fetch_add(1, Ordering::SeqCst);
                    while arrived.load(Ordering::SeqCst) < threads {
                        std::hint::spin_loop();
                    }
                    for _ in 0..CALLS {
                        actor.act(&mut random);
                    }
                    (actor.records, actor.mine, actor.ask)
                })
            })
            .collect();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| thread.join().expect("no panic");
        threads.into_iter().map(join).collect()
    });
    // Connections and questions that are open stay open until the history is complete.
    let mut records: Vec<_> = outcomes
        .iter()
        .flat_map(|(records, ..)| records)
        .copied()
        .collect();
    records.sort_by_key(|record| record.began);
    records
}
