//! Random programs on threads, and what they were answered when.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use laneway::{
    CloseReason, ConflationKey, Connection, Delivery, Hub, Position, PublishError, Received,
    ResumeError, Resumed, Retention, TryRecvError, UserId, UserScope,
};

use crate::common::model::{self, End, Got, How, Origin, Refused};
use crate::common::random::Random;

const CALLS: usize = 5;
pub(crate) const CAPACITY: u64 = 2;
/// The first of the connections that were there and had gone before the history began, one a thread.
pub(crate) const FIRST: usize = usize::MAX - MOST_THREADS;
pub(crate) const MOST_THREADS: usize = 3;
pub(crate) const DEADLINE: Duration = Duration::from_secs(1);

/// What a history is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing is kept.
    Plain,
    /// Users come back, and recover critical events.
    Recovering,
    /// Users come back, and sweeps end what they have left; without critical events, because who is
    /// just reading one may be closed for it by a sweep and have it all the same.
    Sweeping,
    /// Events supersede others, and expire.
    Ruled,
}

impl Kind {
    /// Whether lanes keep what was read.
    pub(crate) fn keeps(self) -> bool {
        matches!(self, Self::Recovering | Self::Sweeping)
    }
}

/// A call on the one user of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Publish(How, u32),
    /// Of the one key that there is.
    Latest(u32),
    /// With the deadline that `Tick` tells.
    Until(u32),
    Tick,
    /// Gives the connection a name.
    Connect(usize),
    /// On the thread's own connection.
    Receive(usize),
    /// And remembers how far it has come.
    Leave(usize),
    /// Gives the connection a name; where another one left.
    Resume(usize, usize),
    /// The same where another one is that is still open, and which is dropped then.
    Succeed(usize, usize),
    Recover(usize),
    Disconnect(usize),
    /// Without any grace.
    Sweep,
    Count,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Published(Result<(u64, usize), Refused>),
    Connected(bool),
    Received(Got<u32>),
    Left,
    /// `None`: there was no room.
    Resumed(Option<model::Resumed>),
    /// How many events, and whether these are all there were.
    Recovered(usize, bool),
    Closed(bool),
    Swept(usize),
    Counted(usize),
    Ticked,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) call: Call,
    pub(crate) answer: Answer,
    pub(crate) began: u64,
    pub(crate) ended: u64,
}

/// What one thread does with its connection, if it has one.
struct Actor<'a> {
    kind: Kind,
    clock: &'a AtomicU64,
    hub: &'a Hub<u32>,
    scope: &'a UserScope<u32>,
    mine: Option<(usize, Connection<u32>)>,
    /// Where a connection left, and which.
    left: Option<(usize, Position)>,
    name: usize,
    records: Vec<Record>,
}

impl Actor<'_> {
    fn act(&mut self, random: &mut Random) {
        // Connections are named by the thread and the place of the connect in it.
        let at = self.name * 100 + self.records.len();
        let value = at as u32;
        let kind = self.kind;
        let how = |r| match r {
            0 if matches!(kind, Kind::Plain | Kind::Recovering) => How::Critical,
            1 => How::Refusing,
            _ => How::Overwriting,
        };
        let call = match (random.below(13), &self.mine, &self.left) {
            (0..=2, _, _) if kind == Kind::Ruled => Call::Latest(value),
            (3, _, _) if kind == Kind::Ruled => Call::Until(value),
            (11, _, _) if kind == Kind::Ruled => Call::Tick,
            (0..=4, _, _) => Call::Publish(how(random.below(4)), value),
            (8, Some((id, _)), _) if kind == Kind::Recovering => Call::Recover(*id),
            (8 | 11, _, _) if kind == Kind::Sweeping => Call::Sweep,
            (5..=8, Some((id, _)), _) => Call::Receive(*id),
            (9, Some((id, _)), _) => Call::Leave(*id),
            (10, Some((id, _)), _) => Call::Disconnect(*id),
            (12, Some((id, _)), _) => Call::Succeed(at, *id),
            (5..=9, None, Some((id, _))) => Call::Resume(at, *id),
            (5..=10, None, _) => Call::Connect(at),
            _ => Call::Count,
        };
        let began = self.clock.fetch_add(1, Ordering::SeqCst);
        let answer = self.call(call);
        let ended = self.clock.fetch_add(1, Ordering::SeqCst);
        self.records.push(Record {
            call,
            answer,
            began,
            ended,
        });
    }

    fn call(&mut self, call: Call) -> Answer {
        match call {
            Call::Publish(how, value) => {
                let done = match how {
                    How::Overwriting => self.scope.publish(value),
                    How::Refusing => self.scope.try_publish(value),
                    How::Critical => self.scope.publish_critical(value),
                };
                published(&done)
            }
            Call::Latest(value) => {
                let key = ConflationKey::new("key").expect("valid");
                published(&self.scope.publish_latest(&key, value))
            }
            Call::Until(value) => published(&self.scope.until(DEADLINE).publish(value)),
            Call::Tick => {
                self.hub.tick(DEADLINE);
                Answer::Ticked
            }
            Call::Connect(name) => {
                self.mine = self
                    .scope
                    .connect()
                    .ok()
                    .map(|connection| (name, connection));
                Answer::Connected(self.mine.is_some())
            }
            Call::Receive(_) => {
                let (_, connection) = self.mine.as_mut().expect("a connection");
                Answer::Received(match connection.try_recv() {
                    Ok(Received::Event(d)) => Got::Event {
                        number: d.number,
                        value: d.event,
                        origin: match d.origin {
                            laneway::Origin::Replayed => Origin::Replayed,
                            laneway::Origin::Recovered => Origin::Recovered,
                            _ => Origin::Live,
                        },
                    },
                    Ok(Received::Gap { missed, .. }) => Got::Gap(missed),
                    Err(TryRecvError::Empty) => Got::Empty,
                    Err(TryRecvError::Closed(closed)) => Got::Closed(match closed.reason {
                        CloseReason::Disconnected { code } => End::Disconnected(code),
                        CloseReason::Overrun => End::Overrun,
                        CloseReason::Replaced => End::Replaced,
                        other => panic!("no call closes for {other:?}"),
                    }),
                    other => panic!("no such answer: {other:?}"),
                })
            }
            Call::Leave(name) => {
                let mine = self.mine.take();
                self.left = mine.map(|(_, connection)| (name, connection.position()));
                Answer::Left
            }
            Call::Resume(name, _) | Call::Succeed(name, _) => {
                let mine = self.mine.as_ref().map(|(_, connection)| connection);
                let position = match (call, mine, self.left) {
                    (Call::Succeed(..), Some(connection), _) => connection.position(),
                    (_, _, Some((_, position))) => position,
                    _ => panic!("no position"),
                };
                match self.scope.resume(&position) {
                    Ok((connection, resumed)) => {
                        self.mine = Some((name, connection));
                        Answer::Resumed(Some(resumed_as(resumed)))
                    }
                    Err(ResumeError::Connect(_)) => Answer::Resumed(None),
                    Err(other) => panic!("its own position, and {other:?}"),
                }
            }
            Call::Recover(_) => {
                let (_, connection) = self.mine.as_mut().expect("a connection");
                let recovered = connection.recover();
                Answer::Recovered(recovered.events, recovered.complete)
            }
            Call::Sweep => Answer::Swept(self.hub.sweep(Duration::ZERO)),
            Call::Disconnect(_) => {
                let (_, connection) = self.mine.as_ref().expect("a connection");
                Answer::Closed(self.scope.disconnect(connection.id(), 7))
            }
            Call::Count => Answer::Counted(self.scope.connection_count()),
        }
    }
}

fn published(done: &Result<Delivery, PublishError<u32>>) -> Answer {
    Answer::Published(match done {
        Ok(d) => Ok((d.number, d.connections)),
        Err(PublishError::NoConnections(_)) => Err(Refused::NoConnections),
        Err(PublishError::Full(_)) => Err(Refused::Full),
        Err(_) => Err(Refused::Closed),
    })
}

fn resumed_as(resumed: Resumed) -> model::Resumed {
    match resumed {
        Resumed::Complete { from, to, .. } => model::Resumed::Complete { from, to },
        Resumed::Gap { missed, oldest, .. } => model::Resumed::Gap { missed, oldest },
        _ => model::Resumed::Reset,
    }
}

/// Runs a random program on threads; gives the calls with their times.
pub(crate) fn history(kind: Kind, seed: u64) -> Vec<Record> {
    let retention = Retention::events(CAPACITY as usize).grace(Duration::ZERO);
    let hub = Hub::builder()
        .lane_capacity(CAPACITY as usize)
        .max_connections_per_user(2)
        .shards(1)
        .retention(kind.keeps().then_some(retention))
        .conflation((kind == Kind::Ruled).then_some(1))
        .build::<u32>()
        .expect("valid");
    let scope = hub.scope(UserId::new("ann").expect("valid"));
    let first = [0, 1, 2].map(|n| (FIRST + n, scope.connect().expect("room").position()));
    let threads = 2 + seed as usize % (MOST_THREADS - 1);
    let (clock, arrived) = (AtomicU64::new(0), AtomicUsize::new(0));
    let outcomes: Vec<_> = thread::scope(|s| {
        let threads: Vec<_> = (0..threads)
            .map(|name| {
                let (clock, arrived, hub) = (&clock, &arrived, &hub);
                let scope = scope.clone();
                let left = kind.keeps().then_some(first[name]);
                s.spawn(move || {
                    let mut random =
                        Random((seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) + name as u64);
                    let mut actor = Actor {
                        kind,
                        clock,
                        hub,
                        scope: &scope,
                        mine: None,
                        left,
                        name,
                        records: Vec::new(),
                    };
                    arrived.fetch_add(1, Ordering::SeqCst);
                    while arrived.load(Ordering::SeqCst) < threads {
                        std::hint::spin_loop();
                    }
                    for _ in 0..CALLS {
                        actor.act(&mut random);
                    }
                    (actor.records, actor.mine)
                })
            })
            .collect();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| thread.join().expect("no panic");
        threads.into_iter().map(join).collect()
    });
    // Connections that are still open stay open until the history is complete.
    let (records, _open): (Vec<_>, Vec<_>) = outcomes.into_iter().unzip();
    let mut records = records.concat();
    records.sort_by_key(|record| record.began);
    records
}

/// Whether two of its calls were under way at the same time.
pub(crate) fn overlaps(records: &[Record]) -> bool {
    records.windows(2).any(|pair| pair[1].began < pair[0].ended)
}

/// A line a call: when it was under way, what was asked and answered.
pub(crate) fn told(records: &[Record]) -> String {
    let line = |r: &Record| {
        format!(
            "{:>3} to {:>3}: {:?} = {:?}",
            r.began, r.ended, r.call, r.answer
        )
    };
    records.iter().map(line).collect::<Vec<_>>().join("\n")
}
