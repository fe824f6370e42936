//! The sequential reference model: what laneway does, in the plainest way, one call at a time.
//!
//! It is written from the public documentation. It keeps every event for ever, and asks at each
//! call what the bounds would have left of it.

use std::collections::BTreeMap;

pub(crate) mod asks;
pub(crate) mod budgets;
pub(crate) mod counts;
mod critical;
pub(crate) mod drain;
mod figures;
mod gate;
pub(crate) mod grants;
pub(crate) mod receive;
mod retention;
pub(crate) mod rooms;
pub(crate) mod rules;
mod time;
use budgets::Budgets;
use counts::Counts;
use grants::{Grants, Missing};
use retention::{Archive, Span};
pub(crate) use retention::{Figures, Floor, Keeping, NoAttach, NoResume, Position, Resumed};
use rules::{Asks, Keys};
use time::Clocks;

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Disconnected(u16),
    Evicted,
    Replaced,
    Idle,
    Overrun,
    Revoked,
    Drained,
    Shutdown,
}

/// Whom an event is for; a connection by the device that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum To {
    All,
    Connection(u64),
    Thread(u8),
    Others(u64),
}

/// How an event is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Overwriting,
    Refusing,
    Critical,
}

/// What a subscriber is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Online,
    Offline,
    Connected(u64),
    Disconnected(u64, End),
    /// It was dropped by its owner.
    Left(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    NoConnections,
    Full,
    OverBudget,
    Closed,
    Revoked,
    /// By a weaker scope.
    Lacks(Missing),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoConnect {
    TooManyConnections,
    TooManyUsers,
    Draining,
    Closed,
    Revoked,
    /// By a weaker scope.
    Lacks(Missing),
}

/// Why an event is received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Live,
    Replayed,
    Recovered,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Got<V> {
    Event {
        number: u64,
        value: V,
        origin: Origin,
    },
    Gap(u64),
    Empty,
    Closed(End),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) capacity: u64,
    pub(crate) max_connections: usize,
    pub(crate) evict_oldest: bool,
    pub(crate) max_users: usize,
    pub(crate) idle_timeout_ms: Option<u64>,
    pub(crate) retention: Option<Keeping>,
    /// Memberships of rooms outlive their users' lanes.
    pub(crate) keeps_members: bool,
    /// So many keys of a user are remembered, at most eight.
    pub(crate) conflation: Option<usize>,
    pub(crate) budgets: Budgets,
}

/// An event from before a connection's time.
#[derive(Clone, Copy, Debug)]
struct Waiting<V> {
    value: V,
    /// It came after the position.
    replayed: bool,
    /// It goes to the connection that comes to it first.
    owed: bool,
}

#[derive(Clone, Debug)]
struct Connection<V> {
    user: u8,
    /// The first connection that this one continues, itself if there is none.
    device: u64,
    /// Which of all lanes there were.
    lane: usize,
    /// The threads of now, a bit each.
    threads: u8,
    /// What they were before each change.
    spans: Vec<Span>,
    /// It was made by a scope for one thread.
    is_bound: bool,
    joined_at: u64,
    cursor: u64,
    delivered: u64,
    stepped_over: u64,
    missed: u64,
    superseded: u64,
    expired: u64,
    /// Events from before its time that it has not received.
    waiting: BTreeMap<u64, Waiting<V>>,
    replayed: u64,
    /// The threads in which it was before its time, if it resumed.
    attached: Vec<Span>,
    /// The first number that is not its own any more, once it has ended.
    left_at: Option<u64>,
    end: Option<End>,
    moved: bool,
    active_at: u64,
}

/// Of a user who is online, or absent.
#[derive(Clone, Debug)]
struct Lane<V> {
    capacity: u64,
    log: Vec<Item<V>>,
    live: Vec<u64>,
    /// The most connections that it had at once, with those that are closed and not dropped.
    most_here: u64,
    /// The highest critical number that was dropped before every live connection had read it.
    lost: Option<u64>,
    /// If it keeps what was read.
    archive: Option<Archive>,
    keys: Keys,
    /// A drain has closed it.
    is_shut: bool,
    /// The bytes that it was seen to hold before this call.
    seen_bytes: Option<u64>,
}

#[derive(Clone, Debug)]
struct Item<V> {
    /// None: the number was given up by its publisher.
    value: Option<V>,
    critical: bool,
    /// The live connections that it is for.
    audience: Vec<u64>,
    /// The rule by which a replay decides.
    to: To,
    /// It was received as recovered.
    received: bool,
    /// The model's time at which it was accepted.
    at_ms: u64,
    deadline_ms: Option<u64>,
    /// The events of its key.
    list: Option<usize>,
}

impl<V> Lane<V> {
    fn end(&self) -> u64 {
        self.log.len() as u64
    }
    /// A reader passes over what is older, but for critical events that are still there.
    fn oldest(&self) -> u64 {
        self.end().saturating_sub(self.capacity)
    }
    /// Whether a connection that stands at `cursor` has lost a critical event.
    fn has_lost(&self, cursor: u64) -> bool {
        self.lost.is_some_and(|lost| lost >= cursor)
    }
}

/// The whole hub.
#[derive(Clone, Debug)]
pub(crate) struct Model<V> {
    settings: Settings,
    weigh: fn(V) -> u64,
    /// All there were.
    lanes: Vec<Lane<V>>,
    /// Those that are open, by user.
    current: BTreeMap<u8, usize>,
    connections: BTreeMap<u64, Connection<V>>,
    next: u64,
    shut: bool,
    clocks: Clocks,
    rooms: rooms::Rooms,
    grants: Grants,
    questions: Vec<asks::Question<V>>,
    drain: Option<drain::Drain>,
    /// The newest time that was told.
    now_ms: u64,
    /// The time of the last sweep.
    told_ms: u64,
    pub(crate) counts: Counts,
    /// Superseded events that a receive finds all the same: the publisher that supersedes them has the
    /// number and has not come to say so.
    pub(crate) there: Vec<u64>,
    pub(crate) accepted: u64,
    /// The hub has refused the event for its bytes: decides where the model cannot know.
    pub(crate) said_over_budget: bool,
    /// Publishes that overwrote what a live connection had not read.
    pub(crate) overwrote: usize,
    pub(crate) told: Vec<(u8, Told)>,
    pub(crate) absence: Figures,
}

impl<V: Copy> Model<V> {
    pub(crate) fn new(settings: Settings) -> Self {
        Self::weighing(settings, |_| 0)
    }

    /// `weigh` says how many bytes an event takes.
    pub(crate) fn weighing(settings: Settings, weigh: fn(V) -> u64) -> Self {
        Self {
            settings,
            weigh,
            lanes: Vec::new(),
            current: BTreeMap::new(),
            connections: BTreeMap::new(),
            next: 0,
            shut: false,
            clocks: Clocks::default(),
            rooms: rooms::Rooms::default(),
            grants: Grants::default(),
            questions: Vec::new(),
            drain: None,
            now_ms: 0,
            told_ms: 0,
            counts: Counts::default(),
            there: Vec::new(),
            accepted: 0,
            said_over_budget: false,
            overwrote: 0,
            told: Vec::new(),
            absence: Figures::default(),
        }
    }

    fn lane(&self, user: u8) -> Option<&Lane<V>> {
        Some(&self.lanes[*self.current.get(&user)?])
    }

    fn lane_mut(&mut self, user: u8) -> Option<&mut Lane<V>> {
        Some(&mut self.lanes[*self.current.get(&user)?])
    }

    /// A lane for a user who has none.
    fn begin(&mut self, user: u8, capacity: Option<u64>) {
        let keeping = self.settings.retention;
        let least = keeping.map_or(0, |k| k.events.next_power_of_two());
        self.current.insert(user, self.lanes.len());
        self.lanes.push(Lane {
            capacity: capacity.unwrap_or(self.settings.capacity).max(least),
            log: Vec::new(),
            live: Vec::new(),
            most_here: 0,
            lost: None,
            archive: keeping.map(|_| Archive::default()),
            keys: Keys::default(),
            is_shut: false,
            seen_bytes: None,
        });
    }

    pub(crate) fn connect(
        &mut self,
        user: u8,
        threads: u8,
        capacity: Option<u64>,
    ) -> Result<u64, NoConnect> {
        self.connect_as(user, threads, capacity, None)
    }

    /// Makes room for one more; a live connection of the same device does, whatever the limits, and says
    /// so.
    fn make_room(&mut self, user: u8, device: Option<u64>) -> Result<bool, NoConnect> {
        let live = self.live(user);
        if let Some(ghost) = device.and_then(|device| self.connection_of(user, device)) {
            self.close(ghost, Some(End::Replaced));
            return Ok(true);
        }
        if live.is_empty() && self.users() >= self.settings.max_users {
            return Err(NoConnect::TooManyUsers);
        }
        if live.len() >= self.settings.max_connections {
            if !self.settings.evict_oldest {
                return Err(NoConnect::TooManyConnections);
            }
            self.end(live[0], Some(End::Evicted));
        }
        Ok(false)
    }

    /// The live connection of a device.
    fn connection_of(&self, user: u8, device: u64) -> Option<u64> {
        let mut live = self.live(user).into_iter();
        live.find(|id| self.connections[id].device == device)
    }

    pub(crate) fn device(&self, id: u64) -> u64 {
        self.connections[&id].device
    }

    /// Connects as a device that was there before.
    fn connect_as(
        &mut self,
        user: u8,
        mut threads: u8,
        capacity: Option<u64>,
        device: Option<u64>,
    ) -> Result<u64, NoConnect> {
        if self.shut {
            return Err(NoConnect::Closed);
        }
        if self.is_draining() {
            return Err(NoConnect::Draining);
        }
        let ghost = device.and_then(|device| self.connection_of(user, device));
        if let (0, Some(ghost)) = (threads, ghost) {
            threads = self.connections[&ghost].threads;
        }
        let is_replacing = self.make_room(user, device)?;
        if !self.current.contains_key(&user) {
            self.begin(user, capacity);
        }
        let id = self.next;
        self.next += 1;
        let device = device.unwrap_or(id);
        let at = self.current[&user];
        let lane = &mut self.lanes[at];
        if lane.live.is_empty() && !is_replacing {
            self.told.push((user, Told::Online));
        }
        lane.live.push(id);
        if let Some(archive) = &mut lane.archive {
            archive.deserted_at = None;
        }
        self.told.push((user, Told::Connected(device)));
        let joined_at = lane.end();
        let connection = Connection {
            user,
            device,
            lane: at,
            threads,
            spans: Vec::new(),
            is_bound: false,
            joined_at,
            cursor: joined_at,
            delivered: 0,
            stepped_over: 0,
            missed: 0,
            superseded: 0,
            expired: 0,
            waiting: BTreeMap::new(),
            replayed: 0,
            attached: Vec::new(),
            left_at: None,
            end: None,
            moved: true,
            active_at: 0,
        };
        self.connections.insert(id, connection);
        let here = self.connections.values().filter(|c| c.lane == at);
        let here = here.count() as u64;
        self.lanes[at].most_here = self.lanes[at].most_here.max(here);
        Ok(id)
    }

    pub(crate) fn publish_asking(
        &mut self,
        user: u8,
        value: V,
        how: How,
        to: To,
        asks: Asks,
    ) -> Result<(u64, usize), Refused> {
        let done = self.append(user, value, how, to, asks);
        if let Err(why) = done {
            self.counts.refuse(why, to);
        }
        done
    }

    fn append(
        &mut self,
        user: u8,
        value: V,
        how: How,
        to: To,
        asks: Asks,
    ) -> Result<(u64, usize), Refused> {
        if self.shut {
            return Err(Refused::Closed);
        }
        let for_all = to == To::All;
        let is_new = !self.current.contains_key(&user);
        if is_new {
            // Only a critical event waits for a user who has no lane, and who may come back.
            let waits = how == How::Critical && for_all && !self.is_draining();
            if !waits || !self.has_room_for_absent() {
                return Err(Refused::NoConnections);
            }
            self.begin(user, None);
        }
        let lane = &mut self.lanes[self.current[&user]];
        let connections = &self.connections;
        let wanted = |id: &u64| match to {
            To::All => true,
            To::Connection(device) => connections[id].device == device,
            To::Thread(thread) => connections[id].threads & 1 << thread != 0,
            To::Others(device) => connections[id].device != device,
        };
        let audience: Vec<_> = lane.live.iter().copied().filter(wanted).collect();
        if audience.is_empty() && !(for_all && lane.archive.is_some()) {
            return Err(Refused::NoConnections);
        }
        if lane.is_shut {
            return Err(Refused::Closed);
        }
        if let Err(why) = self.reserve(user, value) {
            if is_new {
                self.current.remove(&user);
            }
            return Err(why);
        }
        let lane = &mut self.lanes[self.current[&user]];
        lane.seen_bytes = None;
        let number = lane.end();
        let old = number.checked_sub(lane.capacity);
        // A number that was given up holds nothing.
        let held = old.filter(|&old| lane.log[old as usize].value.is_some());
        let unread = held.filter(|&old| lane.live.iter().any(|id| connections[id].cursor <= old));
        if unread.is_some() {
            if how == How::Refusing {
                return Err(Refused::Full);
            }
            self.overwrote += 1;
        }
        self.accepted += 1;
        let reached = audience.len();
        lane.log.push(Item {
            value: Some(value),
            critical: how == How::Critical,
            audience,
            to,
            received: false,
            at_ms: self.clocks.age,
            deadline_ms: None,
            list: None,
        });
        self.apply(user, number, asks);
        self.weigh(user);
        Ok((number, reached))
    }

    /// The next number is no event: its publisher was slow and took another one.
    pub(crate) fn give_up(&mut self, user: u8) {
        let Some(&at) = self.current.get(&user) else {
            return;
        };
        self.lanes[at].log.push(Item {
            value: None,
            critical: false,
            audience: Vec::new(),
            to: To::All,
            received: false,
            at_ms: self.clocks.age,
            deadline_ms: None,
            list: None,
        });
    }

    /// Whether the next number takes the place of an older one.
    pub(crate) fn has_wrapped(&self, user: u8) -> bool {
        let lane = self.lane(user);
        lane.is_some_and(|lane| lane.log.len() as u64 >= lane.capacity)
    }

    /// Whether there would be no room if so many more numbers were given out already.
    pub(crate) fn is_full_with(&self, user: u8, more: u64) -> bool {
        self.lane(user).is_some_and(|lane| {
            let end = (lane.log.len() as u64 + more + 1).saturating_sub(lane.capacity);
            let held = |n: &u64| lane.log.get(*n as usize).is_some_and(|i| i.value.is_some());
            let behind = |n| lane.live.iter().any(|id| self.connections[id].cursor <= n);
            (0..end).filter(held).any(behind)
        })
    }

    /// Ends a connection; `false` if it had ended before. Without a reason it was dropped.
    pub(crate) fn end(&mut self, id: u64, end: Option<End>) -> bool {
        let user = self.connections[&id].user;
        let was_open = self.close(id, end);
        if was_open {
            self.end_questions(user);
        }
        if was_open && self.lane(user).unwrap().live.is_empty() {
            self.told.push((user, Told::Offline));
            self.desert(user);
        }
        was_open
    }

    /// The same, and the user stays online.
    fn close(&mut self, id: u64, end: Option<End>) -> bool {
        let connection = self.connections.get_mut(&id).unwrap();
        let user = connection.user;
        let was_open = connection.end.is_none();
        if was_open {
            connection.left_at = Some(self.lanes[connection.lane].end());
            let device = connection.device;
            let told = end.map_or(Told::Left(device), |end| Told::Disconnected(device, end));
            self.told.push((user, told));
        }
        match end {
            Some(_) if was_open => connection.end = end,
            Some(_) => {}
            None => drop(self.connections.remove(&id)),
        }
        if was_open {
            let lane = self.lane_mut(user).unwrap();
            lane.live.retain(|&live| live != id);
        }
        was_open
    }

    pub(crate) fn disconnect(&mut self, user: u8, device: u64, code: u16) -> bool {
        let found = self.connection_of(user, device);
        let closed = found.is_some_and(|id| self.end(id, Some(End::Disconnected(code))));
        self.counts.unknown += u64::from(!closed);
        closed
    }

    /// A call names a connection that is not there. Returns what it answers.
    pub(crate) fn find_none(&mut self) -> bool {
        self.counts.unknown += 1;
        false
    }

    pub(crate) fn disconnect_all(&mut self, user: u8, code: u16) -> usize {
        let live = self.live(user);
        for &id in &live {
            self.end(id, Some(End::Disconnected(code)));
        }
        live.len()
    }

    pub(crate) fn touch(&mut self, id: u64) {
        self.connections.get_mut(&id).unwrap().moved = true;
    }

    /// Comes to the users one after the other.
    pub(crate) fn sweep(&mut self, now_ms: u64, order: &[u8]) -> usize {
        self.now_ms = self.now_ms.max(now_ms);
        self.told_ms = now_ms;
        self.clocks.sweep(&self.settings, now_ms);
        let closed = order.iter().map(|&user| self.sweep_one(user)).sum();
        self.sweep_questions(now_ms);
        closed
    }

    fn sweep_one(&mut self, user: u8) -> usize {
        self.tend(user);
        let now_ms = self.clocks.idle;
        let mut closed = Vec::new();
        for id in self.live(user) {
            let connection = self.connections.get_mut(&id).unwrap();
            if std::mem::take(&mut connection.moved) {
                connection.active_at = now_ms;
            }
            let idle_ms = now_ms.saturating_sub(connection.active_at);
            if self.lanes[connection.lane].has_lost(connection.cursor) {
                closed.push((id, End::Overrun));
            } else if self.settings.idle_timeout_ms.is_some_and(|t| idle_ms > t) {
                closed.push((id, End::Idle));
            }
        }
        for &(id, end) in &closed {
            self.end(id, Some(end));
        }
        closed.len()
    }

    pub(crate) fn shutdown(&mut self) -> usize {
        let lanes = &self.lanes;
        // Not those that a drain has closed.
        let is_open = |at: &&usize| !self.shut && !lanes[**at].is_shut;
        let closed = self.current.values().filter(is_open).count();
        self.shut = true;
        for at in self.current.values() {
            self.lanes[*at].is_shut = true;
        }
        let lanes = &self.lanes;
        self.current.retain(|_, at| !lanes[*at].live.is_empty());
        closed
    }
}
