//! Histories of real threads, checked against the sequential model: there is an order of the calls
//! that respects real time and in which the model gives the same answers. The search is Wing and
//! Gong's, with Lowe's memory of the configurations that were seen.
//!
//! ```text
//! LANEWAY_HISTORIES=1000000 cargo test --release --test linearizability -- --nocapture
//! ```
#![cfg(not(any(laneway_loom, laneway_shuttle)))]

mod common;

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

use common::model::{End, Got, How, Model, Origin, Refused, Settings, To};
use common::random::Random;
use laneway::{
    CloseReason, Connection, PublishError, Received, Router, TryRecvError, UserId, UserScope,
};

const CALLS: usize = 5;
/// Numbers that publishers may give up in one history; fewer are tried first.
const GIVEN_UP: [u32; 4] = [0, 1, 3, 6];
const CAPACITY: u64 = 2;

const USER: u8 = 0;

/// A call on the one user of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Publish(How, u32),
    /// Gives the connection a name.
    Connect(usize),
    /// On the thread's own connection.
    Receive(usize),
    Leave(usize),
    Disconnect(usize),
    Count,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Published(Result<(u64, usize), Refused>),
    Connected(bool),
    Received(Got<u32>),
    Left,
    Closed(bool),
    Counted(usize),
}

#[derive(Clone, Copy, Debug)]
struct Record {
    call: Call,
    answer: Answer,
    began: u64,
    ended: u64,
}

/// What one thread does with its connection, if it has one.
struct Actor<'a> {
    clock: &'a AtomicU64,
    scope: &'a UserScope<u32>,
    mine: Option<(usize, Connection<u32>)>,
    name: usize,
    records: Vec<Record>,
}

impl Actor<'_> {
    fn act(&mut self, random: &mut Random) {
        // Connections are named by the thread and the place of the connect in it.
        let at = self.name * 100 + self.records.len();
        let value = at as u32;
        let how = |r| match r {
            0 => How::Critical,
            1 => How::Refusing,
            _ => How::Overwriting,
        };
        let call = match (random.below(12), &self.mine) {
            (0..=4, _) => Call::Publish(how(random.below(4)), value),
            (5..=8, Some((id, _))) => Call::Receive(*id),
            (9, Some((id, _))) => Call::Leave(*id),
            (10, Some((id, _))) => Call::Disconnect(*id),
            (5..=10, None) => Call::Connect(at),
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
                Answer::Published(match done {
                    Ok(d) => Ok((d.number, d.connections)),
                    Err(PublishError::NoConnections(_)) => Err(Refused::NoConnections),
                    Err(PublishError::Full(_)) => Err(Refused::Full),
                    Err(_) => Err(Refused::Closed),
                })
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
                        origin: Origin::Live,
                    },
                    Ok(Received::Gap { missed, .. }) => Got::Gap(missed),
                    Err(TryRecvError::Empty) => Got::Empty,
                    Err(TryRecvError::Closed(closed)) => Got::Closed(match closed.reason {
                        CloseReason::Disconnected { code } => End::Disconnected(code),
                        CloseReason::Overrun => End::Overrun,
                        other => panic!("nobody closes for {other:?}"),
                    }),
                    other => panic!("no such answer: {other:?}"),
                })
            }
            Call::Leave(_) => {
                self.mine = None;
                Answer::Left
            }
            Call::Disconnect(_) => {
                let (_, connection) = self.mine.as_ref().expect("a connection");
                Answer::Closed(self.scope.disconnect(connection.id(), 7))
            }
            Call::Count => Answer::Counted(self.scope.connection_count()),
        }
    }
}

/// Runs a random program on threads; gives the calls with their times.
fn history(seed: u64) -> Vec<Record> {
    let router = Router::builder()
        .lane_capacity(CAPACITY as usize)
        .max_connections_per_user(2)
        .shards(1)
        .build::<u32>()
        .expect("valid");
    let scope = router.scope(UserId::new("ann").expect("valid"));
    let threads = 2 + seed as usize % 2;
    let (clock, arrived) = (AtomicU64::new(0), AtomicUsize::new(0));
    let outcomes: Vec<_> = thread::scope(|s| {
        let threads: Vec<_> = (0..threads)
            .map(|name| {
                let (clock, arrived, scope) = (&clock, &arrived, scope.clone());
                s.spawn(move || {
                    let mut random =
                        Random((seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) + name as u64);
                    let mut actor = Actor {
                        clock,
                        scope: &scope,
                        mine: None,
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
    // What is still open stays so until the history is complete.
    let (records, _open): (Vec<_>, Vec<_>) = outcomes.into_iter().unzip();
    let mut records = records.concat();
    records.sort_by_key(|record| record.began);
    records
}

/// Whether two of its calls were under way at the same time.
fn overlaps(records: &[Record]) -> bool {
    records.windows(2).any(|pair| pair[1].began < pair[0].ended)
}

/// The model, and the names of its connections.
#[derive(Clone, Debug)]
struct State {
    model: Model<u32>,
    names: Vec<(usize, u64)>,
}

impl State {
    fn new() -> Self {
        let settings = Settings {
            capacity: CAPACITY,
            max_connections: 2,
            evict_oldest: false,
            max_users: usize::MAX,
            idle_timeout_ms: None,
            retention: None,
        };
        Self {
            model: Model::new(settings),
            names: Vec::new(),
        }
    }

    fn id(&self, name: usize) -> Option<u64> {
        let named = self.names.iter().find(|(n, _)| *n == name);
        named.map(|(_, id)| *id)
    }

    /// The models after a call that give the same answer.
    ///
    /// `try_publish` may refuse for the sake of other calls that are under way: of publishes whose
    /// events no reader sees yet, and of connections that come or go, as long as nobody can tell
    /// whether they have still to read what it would overwrite.
    ///
    /// An event is in its place until whoever got the number a lap later overwrites it, and that
    /// call may still be under way when a receive looks, or not have been given that number at all.
    fn after(&self, record: &Record, under_way: &UnderWay, done: u64) -> Vec<Self> {
        // Publishes that come after this call and may have their numbers.
        let ahead = u64::from((under_way.publishes & !done).count_ones());
        let mut next = self.clone();
        let model = &mut next.model;
        let answer = match record.call {
            Call::Publish(How::Refusing, _)
                if record.answer == Answer::Published(Err(Refused::Full))
                    && ((0..=ahead).any(|more| model.is_full_with(USER, more))
                        || under_way.comes_or_goes && model.has_wrapped(USER)) =>
            {
                record.answer
            }
            Call::Publish(how, value) => {
                Answer::Published(model.publish(USER, value, how, To::Everybody))
            }
            Call::Connect(name) => {
                let connected = model.connect(USER, None, None);
                next.names.extend(connected.ok().map(|id| (name, id)));
                Answer::Connected(connected.is_ok())
            }
            Call::Receive(name) => {
                return self.id(name).map_or(Vec::new(), |id| {
                    self.after_receive(id, record.answer, &under_way.published)
                });
            }
            Call::Leave(name) => {
                let Some(id) = self.id(name) else {
                    return Vec::new();
                };
                model.end(id, None);
                Answer::Left
            }
            Call::Disconnect(name) => {
                let Some(id) = self.id(name) else {
                    return Vec::new();
                };
                Answer::Closed(model.disconnect(USER, id, 7))
            }
            Call::Count => Answer::Counted(model.live(USER).len()),
        };
        Vec::from_iter((answer == record.answer).then_some(next))
    }

    /// The models in which a connection receives this, whichever overwriters are late.
    fn after_receive(&self, id: u64, answer: Answer, published: &[u32]) -> Vec<Self> {
        // Whose a number was that was given up is not told.
        let is_late = |by: Option<u32>| match by {
            Some(value) => published.contains(&value),
            None => !published.is_empty(),
        };
        let overwritten = self.model.overwritten(id).into_iter();
        let late: Vec<_> = overwritten.filter(|(_, by)| is_late(*by)).collect();
        let mut all = Vec::new();
        for choice in 0..1_u32 << late.len() {
            let chosen = late
                .iter()
                .enumerate()
                .filter(|(i, _)| choice >> i & 1 != 0);
            let kept: Vec<_> = chosen.map(|(_, (n, _))| *n).collect();
            let mut next = self.clone();
            if Answer::Received(next.model.receive_with(id, &kept)) == answer {
                all.push(next);
            }
        }
        all
    }
}

/// What else goes on during a call, whether it comes before or after in the order.
#[derive(Default)]
struct UnderWay {
    /// What other calls publish.
    published: Vec<u32>,
    /// Which those calls are, a bit each.
    publishes: u64,
    /// Connections come or go.
    comes_or_goes: bool,
}

impl UnderWay {
    fn during(call: &Record, records: &[Record]) -> Self {
        let mut under_way = Self::default();
        for (i, other) in records.iter().enumerate() {
            let is_it = std::ptr::eq(other, call);
            if is_it || other.began > call.ended || other.ended < call.began {
                continue;
            }
            match other.call {
                Call::Publish(_, value) => {
                    under_way.published.push(value);
                    under_way.publishes |= 1 << i;
                }
                Call::Connect(_) | Call::Leave(_) | Call::Disconnect(_) => {
                    under_way.comes_or_goes = true;
                }
                Call::Receive(_) | Call::Count => {}
            }
        }
        under_way
    }
}

struct Search<'a> {
    records: &'a [Record],
    /// Of each record.
    under_way: &'a [UnderWay],
    seen: HashSet<(u64, u32, String)>,
}

impl Search<'_> {
    /// Whether the calls that are not in `done` can follow, with at most so many numbers given up
    /// in between.
    fn finds(&mut self, done: u64, given_up: u32, state: &State) -> bool {
        let all = 0..self.records.len();
        let open: Vec<_> = all.filter(|i| done >> i & 1 == 0).collect();
        let Some(first_end) = open.iter().map(|&i| self.records[i].ended).min() else {
            return true;
        };
        if !self.seen.insert((done, given_up, format!("{state:?}"))) {
            return false;
        }
        if given_up > 0 {
            let mut later = state.clone();
            later.model.give_up(USER);
            if self.finds(done, given_up - 1, &later) {
                return true;
            }
        }
        let (records, under_way) = (self.records, self.under_way);
        open.iter().any(|&i| {
            let (call, under_way) = (&records[i], &under_way[i]);
            // What began after another had ended comes after it.
            call.began < first_end
                && state
                    .after(call, under_way, done)
                    .iter()
                    .any(|next| self.finds(done | 1 << i, given_up, next))
        })
    }
}

/// A line a call: when it was under way, what was asked and answered.
fn told(records: &[Record]) -> String {
    let line = |r: &Record| {
        format!(
            "{:>3} to {:>3}: {:?} = {:?}",
            r.began, r.ended, r.call, r.answer
        )
    };
    records.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn has_an_order(records: &[Record]) -> bool {
    let during = |call| UnderWay::during(call, records);
    let under_way: Vec<_> = records.iter().map(during).collect();
    // Hardly any history has numbers that were given up.
    GIVEN_UP.into_iter().any(|given_up| {
        let seen = HashSet::new();
        let mut search = Search {
            records,
            under_way: &under_way,
            seen,
        };
        search.finds(0, given_up, &State::new())
    })
}

#[test]
fn every_history_has_a_sequential_order() {
    let wanted = std::env::var("LANEWAY_HISTORIES").map_or(2_000, |n| n.parse().expect("a number"));
    let seed = std::env::var("LANEWAY_SEED").map_or(0, |n| n.parse().expect("a number"));
    let (mut histories, mut overlapping) = (0, 0);
    // At least half of what is wanted has to overlap; a busy machine needs more histories for that.
    while histories < wanted || (overlapping < wanted / 2 && histories < 3 * wanted) {
        let records = history(seed + histories);
        overlapping += u64::from(overlaps(&records));
        assert!(
            has_an_order(&records),
            "history {histories} of seed {seed} has no order:\n{}",
            told(&records)
        );
        histories += 1;
    }
    let percent = 100 * overlapping / histories;
    println!("{histories} histories, {percent} % of them with calls that overlap");
    assert!(overlapping > 0, "this machine runs one thread at a time");
}

fn record(began: u64, ended: u64, call: Call, answer: Answer) -> Record {
    Record {
        call,
        answer,
        began,
        ended,
    }
}

/// To one connection.
fn published(number: u64) -> Answer {
    Answer::Published(Ok((number, 1)))
}

#[test]
fn a_history_without_an_order_is_found() {
    let record = |began, call, answer| record(began, began + 1, call, answer);
    let publish = |value| Call::Publish(How::Overwriting, value);
    let got = |number, value| {
        Answer::Received(Got::Event {
            number,
            value,
            origin: Origin::Live,
        })
    };
    let good = [
        record(0, Call::Connect(1), Answer::Connected(true)),
        record(2, publish(10), published(0)),
        record(4, publish(11), published(1)),
        record(6, Call::Receive(1), got(0, 10)),
        record(8, Call::Receive(1), got(1, 11)),
        record(10, Call::Receive(1), Answer::Received(Got::Empty)),
    ];
    assert!(has_an_order(&good));
    // Each is a bug that laneway could have: a stale read, a swap, a loss, a double delivery.
    let wrong = [
        (3, Answer::Received(Got::Empty)),
        (3, got(0, 11)),
        (3, got(1, 11)),
        (4, got(0, 10)),
        (5, got(1, 11)),
        (2, published(0)),
        (1, Answer::Published(Ok((0, 2)))),
        (1, Answer::Published(Err(Refused::NoConnections))),
    ];
    for (at, answer) in wrong {
        let mut bad = good;
        bad[at].answer = answer;
        assert!(!has_an_order(&bad), "{answer:?} at {at} goes unnoticed");
    }
    // With an overlap, the same answer can be right.
    let mut late = good;
    late[3].answer = Answer::Received(Got::Empty);
    late[3].began = 1;
    late[3].ended = 3;
    late[4].answer = got(0, 10);
    late[5].answer = got(1, 11);
    assert!(has_an_order(&late));
}

/// Number 3 was given up by the last publish here, which was slow: it had lost its place to 201 a
/// lap before, and 201, a critical event, was still there when connection 200 was told of a gap.
#[test]
fn a_gap_ends_at_a_critical_event_that_is_still_there() {
    let history = |receives: &[Got<u32>]| {
        let mut all = vec![
            record(0, 1, Call::Connect(200), Answer::Connected(true)),
            record(2, 3, Call::Publish(How::Overwriting, 102), published(0)),
            record(4, 8, Call::Publish(How::Critical, 201), published(1)),
            record(5, 6, Call::Publish(How::Overwriting, 103), published(2)),
            record(7, 20, Call::Publish(How::Critical, 104), published(5)),
            record(9, 10, Call::Publish(How::Critical, 202), published(4)),
        ];
        for (at, got) in (11..).step_by(2).zip(receives) {
            all.push(record(
                at,
                at + 1,
                Call::Receive(200),
                Answer::Received(*got),
            ));
        }
        has_an_order(&all)
    };
    let critical = Got::Event {
        number: 1,
        value: 201,
        origin: Origin::Live,
    };
    let overrun = Got::Closed(End::Overrun);
    assert!(history(&[Got::Gap(1), critical]));
    assert!(history(&[Got::Gap(1), overrun]));
    assert!(history(&[overrun, overrun]));
    assert!(
        !history(&[Got::Gap(2)]),
        "a critical event is lost without a word"
    );
    assert!(
        !history(&[Got::Gap(4)]),
        "a critical event is lost without a word"
    );
    assert!(!history(&[overrun, critical]), "an event after the end");
}
