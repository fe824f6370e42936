//! A script of calls, run on laneway and on the model side by side.

use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::time::Duration;

use laneway::{
    CloseReason, ConnectError, ConnectOptions, Connection, ConnectionId, Hub, Lifecycle,
    LimitPolicy, Memberships, NoNotice, PublishError, Received, ThreadId, TryRecvError, UserId,
    UserScope,
};

use super::model::budgets::Budgets;
use super::model::rooms::{MOST, MOST_KEPT};
use super::model::{End, Got, Keeping, Model, NoConnect, Refused, Settings};

mod asks;
mod attach;
mod budgets;
pub(crate) mod call;
mod compare;
mod drain;
mod gate;
mod publish;
mod receive;
mod retention;
mod rooms;
mod rules;
mod seen;
mod weaker;
use asks::Asked;
pub(crate) use call::Call;
use drain::Draining;
use retention::Remembered;
pub(crate) use seen::Seen;
use weaker::Weaker;

pub(crate) const USERS: u8 = 3;
const THREADS: u8 = 2;
const CODE: u16 = 4000;
/// More than two blocks of a lane of 64, less than the lane.
const BATCH: u8 = 48;

/// A payload that knows whose it is, and counts itself.
#[derive(Debug)]
struct Tainted {
    user: u8,
    serial: u32,
    /// Of the events that it has taken up.
    merged: Vec<Value>,
    alive: Arc<AtomicIsize>,
}

impl Tainted {
    fn new(user: u8, serial: u32, alive: &Arc<AtomicIsize>) -> Self {
        alive.fetch_add(1, Ordering::Relaxed);
        let alive = Arc::clone(alive);
        Self {
            user,
            serial,
            merged: Vec::new(),
            alive,
        }
    }

    fn weight(&self) -> usize {
        weight((self.user, self.serial)) as usize
    }
}

/// What events weigh, so that any few in a row weigh differently.
fn weight((_, serial): Value) -> u64 {
    [0, 1, 16, 30, 90][serial as usize % 5]
}

impl Clone for Tainted {
    fn clone(&self) -> Self {
        Self::new(self.user, self.serial, &self.alive)
    }
}

impl Drop for Tainted {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

type Value = (u8, u32);

struct Handle {
    id: u64,
    user: u8,
    connection: Connection<Tainted>,
}

/// Notices that the second subscriber has room for.
const SLOW: usize = 8;

struct Run {
    hub: Hub<Tainted>,
    scopes: Vec<UserScope<Tainted>>,
    weaker: Vec<Weaker>,
    asked: Vec<Asked>,
    draining: Option<Draining>,
    model: Model<Value>,
    keeps: Option<Keeping>,
    budgets: Budgets,
    handles: Vec<Handle>,
    /// Of the devices that there were.
    ids: Vec<(u64, ConnectionId)>,
    remembered: Vec<Remembered>,
    lifecycle: Arc<Lifecycle>,
    /// A second subscriber, with room for the first notices only.
    slow: Lifecycle,
    offered: u64,
    alive: Arc<AtomicIsize>,
    serial: u32,
    now_ms: u64,
    seen: Seen,
    forgot: bool,
}

/// Runs the script and panics at the first difference.
pub(crate) fn run(settings: Settings, calls: &[Call]) -> Seen {
    let policy = if settings.evict_oldest {
        LimitPolicy::EvictOldest
    } else {
        LimitPolicy::Refuse
    };
    let memberships = if settings.keeps_members {
        Memberships::Kept {
            max_users: MOST_KEPT,
        }
    } else {
        Memberships::Online
    };
    let hub = Hub::builder()
        .shards(4)
        .lane_capacity(settings.capacity as usize)
        .max_connections_per_user(settings.max_connections)
        .limit_policy(policy)
        .max_users(settings.max_users)
        .idle_timeout(settings.idle_timeout_ms.map(Duration::from_millis))
        .retention(settings.retention.map(retention::of))
        .max_rooms_per_user(MOST)
        .max_members_per_room(MOST)
        .memberships(memberships)
        .conflation(settings.conflation)
        .lane_bytes(settings.budgets.lane)
        .hub_bytes(settings.budgets.hub)
        .build_weighing(Tainted::weight)
        .expect("valid settings");
    let scope = |u| hub.scope(UserId::new(format!("user {u}")).expect("valid"));
    let mut run = Run {
        scopes: (0..USERS).map(scope).collect(),
        weaker: Vec::new(),
        asked: Vec::new(),
        draining: None,
        lifecycle: Arc::new(hub.lifecycle(100_000).expect("room")),
        slow: hub.lifecycle(SLOW).expect("room"),
        offered: 0,
        hub,
        model: Model::weighing(settings, weight),
        keeps: settings.retention,
        budgets: settings.budgets,
        handles: Vec::new(),
        ids: Vec::new(),
        remembered: Vec::new(),
        alive: Arc::default(),
        serial: 0,
        now_ms: 1000,
        seen: Seen::default(),
        forgot: false,
    };
    for call in calls {
        run.see_bytes();
        run.call(call);
        run.model.forget_bytes();
        run.compare();
        run.compare_rooms();
    }
    run.finish()
}

impl Run {
    fn connect(&mut self, user: u8, threads: u8, capacity: Option<u64>) {
        let expected = self.model.connect(user, threads, capacity);
        let options = ConnectOptions {
            threads: thread_ids(threads),
            lane_capacity: capacity.map(|c| c as usize),
            note: None,
        };
        match self.scopes[user as usize].connect_with(options) {
            Ok(connection) => {
                let id = expected.expect("laneway let one in that the model refused");
                self.hold(id, user, connection);
            }
            Err(e) => {
                assert_eq!(expected, Err(no_connect(&e)));
                self.seen.refused_connect += 1;
            }
        }
    }

    fn hold(&mut self, id: u64, user: u8, connection: Connection<Tainted>) {
        let device = self.model.device(id);
        let ours = connection.id();
        if let Some((_, theirs)) = self.ids.iter().find(|(known, _)| *known == device) {
            assert_eq!(ours, *theirs, "a device keeps its id");
        } else {
            assert_eq!(device, id);
            assert!(self.ids.iter().all(|(_, theirs)| *theirs != ours));
            self.ids.push((device, ours));
        }
        self.handles.push(Handle {
            id,
            user,
            connection,
        });
    }

    fn let_go(&mut self, at: usize) {
        let handle = self.handles.remove(at);
        self.seen.count(&handle.connection.stats());
        self.model.end(handle.id, None);
    }

    fn finish(mut self) -> Seen {
        self.seen.overwrite = self.model.overwrote;
        self.seen.add(&self.model.absence);
        for at in 0..self.handles.len() {
            loop {
                let got = self.receive(at);
                if !self.check(at, got) {
                    break;
                }
            }
        }
        for question in 0..self.asked.len() {
            self.take_answer(question as u8);
        }
        self.compare();
        self.compare_notices();
        for handle in &self.handles {
            self.seen.count(&handle.connection.stats());
        }
        let (alive, forgot) = (Arc::clone(&self.alive), self.forgot);
        let (lifecycle, seen) = (Arc::clone(&self.lifecycle), self.seen);
        drop(self);
        while lifecycle.try_next().is_ok() {}
        assert!(forgot || lifecycle.try_next() == Err(NoNotice::Over));
        let left = alive.load(Ordering::Relaxed);
        assert!(
            forgot || left == 0,
            "{left} payloads leaked, or dropped twice"
        );
        seen
    }
}

/// The threads of a mask.
fn thread_ids(mask: u8) -> Vec<ThreadId> {
    let all = (0..THREADS).filter(|thread| mask & 1 << thread != 0);
    all.map(thread_id).collect()
}

fn thread_id(thread: u8) -> ThreadId {
    ThreadId::new(format!("thread {thread}")).expect("valid")
}

fn no_connect(error: &ConnectError) -> NoConnect {
    match error {
        ConnectError::TooManyConnections { .. } => NoConnect::TooManyConnections,
        ConnectError::TooManyUsers { .. } => NoConnect::TooManyUsers,
        ConnectError::Draining => NoConnect::Draining,
        ConnectError::Closed => NoConnect::Closed,
        ConnectError::Revoked => NoConnect::Revoked,
        ConnectError::NotAllowed(missing) => NoConnect::Lacks(weaker::missing(*missing)),
        other => panic!("no such refusal: {other:?}"),
    }
}

fn refused<E>(error: &PublishError<E>) -> Refused {
    match error {
        PublishError::NoConnections(_) => Refused::NoConnections,
        PublishError::Full(_) => Refused::Full,
        PublishError::OverBudget(_) => Refused::OverBudget,
        PublishError::Closed(_) => Refused::Closed,
        PublishError::Revoked(_) => Refused::Revoked,
        PublishError::NotAllowed(_, missing) => Refused::Lacks(weaker::missing(*missing)),
        other => panic!("no such refusal: {other:?}"),
    }
}

fn end(reason: CloseReason) -> End {
    match reason {
        CloseReason::Disconnected { code } => End::Disconnected(code),
        CloseReason::Evicted => End::Evicted,
        CloseReason::Replaced => End::Replaced,
        CloseReason::Idle => End::Idle,
        CloseReason::Overrun => End::Overrun,
        CloseReason::Revoked => End::Revoked,
        CloseReason::Drained => End::Drained,
        CloseReason::Shutdown => End::Shutdown,
        other => panic!("no connection can still see {other:?}"),
    }
}

fn got(received: Result<Received<Tainted>, TryRecvError>) -> Got<Value> {
    match received {
        Ok(Received::Event(d)) => Got::Event {
            number: d.number,
            value: (d.event.user, d.event.serial),
            origin: retention::origin(d.origin),
        },
        Ok(Received::Gap { missed, .. }) => Got::Gap(missed),
        Err(TryRecvError::Closed(closed)) => Got::Closed(end(closed.reason)),
        Err(TryRecvError::Empty) => Got::Empty,
        other => panic!("no such thing: {other:?}"),
    }
}
