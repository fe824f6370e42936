//! The sequential reference model: what laneway does, in the plainest way, one call at a time.
//!
//! It is written from the public documentation. It keeps every event for ever, and asks at each
//! call what the bounds would have left of it.

use std::collections::BTreeMap;

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Disconnected(u16),
    Evicted,
    Idle,
    Overrun,
    Shutdown,
}

/// Whom an event is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum To {
    Everybody,
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
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoConnect {
    TooManyConnections,
    TooManyUsers,
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Got<V> {
    Event { number: u64, value: V },
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
}

#[derive(Clone, Debug)]
struct Connection {
    user: u8,
    thread: Option<u8>,
    joined_at: u64,
    cursor: u64,
    delivered: u64,
    stepped_over: u64,
    missed: u64,
    /// The first number that is not its own any more, once it has ended.
    left_at: Option<u64>,
    end: Option<End>,
    moved: bool,
    active_at: u64,
}

/// A user who is online.
#[derive(Clone, Debug)]
struct Lane<V> {
    capacity: u64,
    log: Vec<Item<V>>,
    live: Vec<u64>,
    /// Critical numbers that were overwritten before everybody had read them.
    lost: Vec<u64>,
}

#[derive(Clone, Debug)]
struct Item<V> {
    /// None: the number was given up by its publisher.
    value: Option<V>,
    critical: bool,
    audience: Vec<u64>,
}

/// The whole router.
#[derive(Clone, Debug)]
pub(crate) struct Model<V> {
    settings: Settings,
    lanes: BTreeMap<u8, Lane<V>>,
    connections: BTreeMap<u64, Connection>,
    next: u64,
    shut: bool,
    pub(crate) accepted: u64,
    /// Publishes that overwrote what a live connection had not read.
    pub(crate) overwrote: usize,
    pub(crate) told: Vec<(u8, Told)>,
}

impl<V: Copy> Model<V> {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            lanes: BTreeMap::new(),
            connections: BTreeMap::new(),
            next: 0,
            shut: false,
            accepted: 0,
            overwrote: 0,
            told: Vec::new(),
        }
    }

    pub(crate) fn connect(
        &mut self,
        user: u8,
        thread: Option<u8>,
        capacity: Option<u64>,
    ) -> Result<u64, NoConnect> {
        if self.shut {
            return Err(NoConnect::Closed);
        }
        if !self.lanes.contains_key(&user) && self.lanes.len() >= self.settings.max_users {
            return Err(NoConnect::TooManyUsers);
        }
        let lane = self.lanes.get(&user);
        if lane.is_some_and(|lane| lane.live.len() >= self.settings.max_connections) {
            if !self.settings.evict_oldest {
                return Err(NoConnect::TooManyConnections);
            }
            let oldest = lane.unwrap().live[0];
            self.end(oldest, Some(End::Evicted));
        }
        let lane = self.lanes.entry(user).or_insert_with(|| Lane {
            capacity: capacity.unwrap_or(self.settings.capacity),
            log: Vec::new(),
            live: Vec::new(),
            lost: Vec::new(),
        });
        if lane.live.is_empty() {
            self.told.push((user, Told::Online));
        }
        let id = self.next;
        self.next += 1;
        lane.live.push(id);
        self.told.push((user, Told::Connected(id)));
        let joined_at = lane.log.len() as u64;
        let connection = Connection {
            user,
            thread,
            joined_at,
            cursor: joined_at,
            delivered: 0,
            stepped_over: 0,
            missed: 0,
            left_at: None,
            end: None,
            moved: true,
            active_at: 0,
        };
        self.connections.insert(id, connection);
        Ok(id)
    }

    pub(crate) fn publish(
        &mut self,
        user: u8,
        value: V,
        how: How,
        to: To,
    ) -> Result<(u64, usize), Refused> {
        if self.shut {
            return Err(Refused::Closed);
        }
        let lane = self.lanes.get_mut(&user).ok_or(Refused::NoConnections)?;
        let connections = &self.connections;
        let wanted = |id: &u64| match to {
            To::Everybody => true,
            To::Connection(other) => *id == other,
            To::Thread(thread) => connections[id].thread == Some(thread),
            To::Others(other) => *id != other,
        };
        let audience: Vec<_> = lane.live.iter().copied().filter(wanted).collect();
        if audience.is_empty() {
            return Err(Refused::NoConnections);
        }
        let number = lane.log.len() as u64;
        let old = number.checked_sub(lane.capacity);
        // A number that was given up holds nothing.
        let held = old.filter(|&old| lane.log[old as usize].value.is_some());
        let unread = held.filter(|&old| lane.live.iter().any(|id| connections[id].cursor <= old));
        if let Some(old) = unread {
            if how == How::Refusing {
                return Err(Refused::Full);
            }
            self.overwrote += 1;
            if lane.log[old as usize].critical {
                lane.lost.push(old);
            }
        }
        self.accepted += 1;
        let reached = audience.len();
        lane.log.push(Item {
            value: Some(value),
            critical: how == How::Critical,
            audience,
        });
        Ok((number, reached))
    }

    /// The next number is no event: its publisher was slow and took another one.
    pub(crate) fn give_up(&mut self, user: u8) {
        let Some(lane) = self.lanes.get_mut(&user) else {
            return;
        };
        let old = (lane.log.len() as u64).checked_sub(lane.capacity);
        let unread = |old: &u64| {
            let behind = |id| self.connections[id].cursor <= *old;
            lane.log[*old as usize].critical && lane.live.iter().any(behind)
        };
        lane.lost.extend(old.filter(unread));
        lane.log.push(Item {
            value: None,
            critical: false,
            audience: Vec::new(),
        });
    }

    /// Whether the next number takes the place of an older one.
    pub(crate) fn has_wrapped(&self, user: u8) -> bool {
        let lane = self.lanes.get(&user);
        lane.is_some_and(|lane| lane.log.len() as u64 >= lane.capacity)
    }

    /// Whether there would be no room if so many more numbers were given out already.
    pub(crate) fn is_full_with(&self, user: u8, more: u64) -> bool {
        self.lanes.get(&user).is_some_and(|lane| {
            let end = (lane.log.len() as u64 + more + 1).saturating_sub(lane.capacity);
            let held = |n: &u64| lane.log.get(*n as usize).is_some_and(|i| i.value.is_some());
            let behind = |n| lane.live.iter().any(|id| self.connections[id].cursor <= n);
            (0..end).filter(held).any(behind)
        })
    }

    pub(crate) fn receive(&mut self, id: u64) -> Got<V> {
        self.receive_with(id, &[])
    }

    /// The numbers a lap old that a live connection has not read, each with what took its place;
    /// `None`: a number that was given up.
    pub(crate) fn overwritten(&self, id: u64) -> Vec<(u64, Option<V>)> {
        let connection = &self.connections[&id];
        if connection.end.is_some() {
            return Vec::new();
        }
        let lane = &self.lanes[&connection.user];
        let over = lane
            .log
            .iter()
            .skip((connection.cursor + lane.capacity) as usize);
        (connection.cursor..)
            .zip(over.map(|item| item.value))
            .collect()
    }

    /// With the numbers in `kept` still in their places, because who took the place of each has the
    /// number and has not come to write.
    pub(crate) fn receive_with(&mut self, id: u64, kept: &[u64]) -> Got<V> {
        loop {
            let connection = self.connections.get_mut(&id).unwrap();
            if let Some(end) = connection.end {
                return Got::Closed(end);
            }
            let lane = &self.lanes[&connection.user];
            let oldest = (lane.log.len() as u64).saturating_sub(lane.capacity);
            if connection.cursor < oldest && !kept.contains(&connection.cursor) {
                let unread = |n: &u64| *n >= connection.cursor && !kept.contains(n);
                if lane.lost.iter().any(unread) {
                    self.end(id, Some(End::Overrun));
                    return Got::Closed(End::Overrun);
                }
                let critical = |n: &u64| lane.log[*n as usize].critical;
                let to = (connection.cursor..oldest).find(critical).unwrap_or(oldest);
                let missed = to - connection.cursor;
                connection.missed += missed;
                connection.cursor = to;
                connection.moved = true;
                return Got::Gap(missed);
            }
            let Some(item) = lane.log.get(connection.cursor as usize) else {
                return if self.shut {
                    Got::Closed(End::Shutdown)
                } else {
                    Got::Empty
                };
            };
            let number = connection.cursor;
            connection.cursor += 1;
            connection.moved = true;
            if let Some(value) = item.value.filter(|_| item.audience.contains(&id)) {
                connection.delivered += 1;
                return Got::Event { number, value };
            }
            connection.stepped_over += 1;
        }
    }

    /// Ends a connection; `false` if it had ended before. Without a reason it was dropped.
    pub(crate) fn end(&mut self, id: u64, end: Option<End>) -> bool {
        let connection = self.connections.get_mut(&id).unwrap();
        let user = connection.user;
        let was_open = connection.end.is_none();
        if was_open {
            connection.left_at = Some(self.lanes[&user].log.len() as u64);
            let told = end.map_or(Told::Left(id), |end| Told::Disconnected(id, end));
            self.told.push((user, told));
        }
        match end {
            Some(_) if was_open => connection.end = end,
            Some(_) => {}
            None => drop(self.connections.remove(&id)),
        }
        if was_open {
            let lane = self.lanes.get_mut(&user).unwrap();
            lane.live.retain(|&live| live != id);
            if lane.live.is_empty() {
                self.told.push((user, Told::Offline));
                self.lanes.remove(&user);
            }
        }
        was_open
    }

    pub(crate) fn disconnect(&mut self, user: u8, id: u64, code: u16) -> bool {
        let own = self.connections.get(&id).is_some_and(|c| c.user == user);
        own && self.end(id, Some(End::Disconnected(code)))
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

    pub(crate) fn sweep(&mut self, now_ms: u64) -> usize {
        let mut closed = Vec::new();
        for (&id, connection) in &mut self.connections {
            if connection.end.is_some() {
                continue;
            }
            if std::mem::take(&mut connection.moved) {
                connection.active_at = now_ms;
            }
            let idle_ms = now_ms.saturating_sub(connection.active_at);
            if self.lanes[&connection.user]
                .lost
                .iter()
                .any(|n| *n >= connection.cursor)
            {
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
        let closed = if self.shut { 0 } else { self.lanes.len() };
        self.shut = true;
        closed
    }

    // ---- figures ----

    pub(crate) fn users(&self) -> usize {
        self.lanes.len()
    }

    pub(crate) fn live(&self, user: u8) -> Vec<u64> {
        self.lanes.get(&user).map_or(Vec::new(), |l| l.live.clone())
    }

    pub(crate) fn unread(&self, id: u64) -> u64 {
        let connection = &self.connections[&id];
        self.end_of(connection) - connection.cursor
    }

    pub(crate) fn missed(&self, id: u64) -> u64 {
        self.connections[&id].missed
    }

    /// Numbers, delivered, stepped over, missed, unread.
    pub(crate) fn stats(&self, id: u64) -> [u64; 5] {
        let c = &self.connections[&id];
        let numbers = self.end_of(c) - c.joined_at;
        [
            numbers,
            c.delivered,
            c.stepped_over,
            c.missed,
            self.unread(id),
        ]
    }

    fn end_of(&self, connection: &Connection) -> u64 {
        let now = || self.lanes[&connection.user].log.len() as u64;
        connection.left_at.unwrap_or_else(now)
    }
}
