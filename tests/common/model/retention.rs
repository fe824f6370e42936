//! Lanes that keep what was read, and the positions from which it is read again.

use std::ops::RangeInclusive;

use super::grants::Use;
use super::rules::Verdict;
use super::{Got, Item, Model, NoConnect, Origin, To, Waiting};

/// The settings of a retention.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keeping {
    pub(crate) events: u64,
    pub(crate) bytes: Option<u64>,
    /// Only where sweeps are at most an eighth of it apart; and not together with `bytes`, because
    /// how far an event's age has come is not told exactly.
    pub(crate) age_ms: Option<u64>,
    pub(crate) grace_ms: u64,
    pub(crate) max_absent_users: usize,
}

/// How far a connection has come.
#[derive(Clone, Debug)]
pub(crate) struct Position {
    user: u8,
    lane: usize,
    number: u64,
    device: u64,
    /// The threads in which the device was, in order.
    attached: Vec<Span>,
}

/// A device was in some threads up to a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    until: u64,
    /// A bit for each.
    threads: u8,
    /// There were more than have room.
    unsure: bool,
}

/// So many have room in a position.
const SPANS: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resumed {
    Complete { from: u64, to: u64 },
    Gap { missed: u64, oldest: u64 },
    Reset,
}

/// What a replay holds of the events that a lane has let go of for their weight or their age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Floor {
    /// Those that a live connection has still to read.
    KeepsUnread,
    /// None of them.
    KeepsNothing,
}

/// Why a connection is not attached or detached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoAttach {
    Closed,
    /// The user has no such connection.
    Unknown,
    /// It was made by a scope for another thread.
    Bound,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoResume {
    Foreign,
    Connect(NoConnect),
}

/// What a lane knows of the events it keeps.
#[derive(Clone, Debug, Default)]
pub(super) struct Archive {
    /// Below it nothing is kept but for connections that have still to read it.
    floor: u64,
    /// Below it nothing is owed any more.
    owed_from: u64,
    /// The clock of the first sweep that saw no connection.
    pub(super) deserted_at: Option<u64>,
}

/// What happened, for the tally and the statistics.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) foreign: u64,
    pub(crate) stale: u64,
    /// Lanes that ended because their users were away for too long.
    pub(crate) expired: usize,
    /// Lanes that ended, or did not begin, because too many users were away.
    pub(crate) crowded_out: usize,
    pub(crate) too_heavy: usize,
    pub(crate) too_old: usize,
}

impl<V> Item<V> {
    /// Whether it is for the device of `position`, which may have been away when the event was accepted;
    /// `None`: the position does not say.
    fn is_replayed_to(&self, number: u64, position: &Position, own: u8) -> Option<bool> {
        match self.to {
            To::All => Some(true),
            To::Connection(device) => Some(position.device == device),
            To::Others(device) => Some(position.device != device),
            To::Thread(to) => {
                let mut attached = position.attached.iter();
                let span = attached.find(|span| number < span.until)?;
                // A position names one thread, and recognises a set that the device has again.
                let is_known = span.threads.count_ones() < 2 || span.threads == own;
                (!span.unsure && is_known).then_some(span.threads & 1 << to != 0)
            }
        }
    }
}

impl<V: Copy> Model<V> {
    /// Users without connections whose lanes are kept.
    pub(crate) fn absent(&self) -> usize {
        let is_absent = |at: &&usize| self.lanes[**at].live.is_empty();
        self.current.values().filter(is_absent).count()
    }

    /// Users with lanes.
    pub(crate) fn known(&self) -> Vec<u8> {
        self.current.keys().copied().collect()
    }

    /// Whether one more user may be absent.
    pub(super) fn has_room_for_absent(&mut self) -> bool {
        let Some(keeping) = self.settings.retention else {
            return false;
        };
        let has_room = self.absent() < keeping.max_absent_users;
        self.absence.crowded_out += usize::from(!has_room);
        has_room
    }

    /// A user's last connection has gone.
    pub(super) fn desert(&mut self, user: u8) {
        let at = self.current.remove(&user).unwrap();
        let is_over = self.shut || self.lanes[at].is_shut;
        if !is_over && self.has_room_for_absent() {
            self.current.insert(user, at);
        }
    }

    /// The host ends the lane of a user without connections. Whether there was one.
    pub(crate) fn end_absent(&mut self, user: u8) -> bool {
        let lane = self.current.get(&user);
        let is_absent = lane.is_some_and(|lane| self.lanes[*lane].live.is_empty());
        if is_absent {
            self.current.remove(&user);
        }
        is_absent
    }

    /// Drops a user's events that are too old, and a lane to which no device came back in time.
    pub(super) fn tend(&mut self, user: u8) {
        let now_ms = self.clocks.grace;
        let (Some(keeping), Some(&at)) = (self.settings.retention, self.current.get(&user)) else {
            return;
        };
        let floor = *self.floors(at).start();
        self.let_go(at, floor);
        let lane = &mut self.lanes[at];
        let Some(archive) = lane.archive.as_mut().filter(|_| lane.live.is_empty()) else {
            return;
        };
        let since = *archive.deserted_at.get_or_insert(now_ms);
        if now_ms.saturating_sub(since) >= keeping.grace_ms {
            self.current.remove(&user);
            self.absence.expired += 1;
        }
    }

    /// The numbers up to which a lane may have let go of its events. An event is dropped for its age
    /// by a sweep, when it is older than the limit, and before half as much again has passed and the
    /// next sweep comes; when exactly is not told.
    pub(crate) fn floors(&self, lane: usize) -> RangeInclusive<u64> {
        let lane = &self.lanes[lane];
        let floor = lane.archive.as_ref().map_or(0, |a| a.floor);
        let Some(age_ms) = self.settings.retention.and_then(|k| k.age_ms) else {
            return floor..=floor;
        };
        let older = |ms| {
            let is_older = |item: &&Item<V>| self.clocks.age - item.at_ms > ms;
            lane.log.iter().take_while(is_older).count() as u64
        };
        let surely = older(age_ms * 13 / 8);
        floor.max(surely)..=floor.max(older(age_ms))
    }

    /// A lane keeps nothing below `floor` any more.
    pub(crate) fn let_go(&mut self, lane: usize, floor: u64) {
        if let Some(archive) = &mut self.lanes[lane].archive {
            self.absence.too_old += usize::from(archive.floor < floor);
            archive.floor = floor;
        }
    }

    /// Lets go of the oldest events while all that a lane keeps weigh too much.
    pub(super) fn weigh(&mut self, user: u8) {
        let Some(limit) = self.settings.retention.and_then(|k| k.bytes) else {
            return;
        };
        let weigh = self.weigh;
        let lane = self.lane_mut(user).unwrap();
        let (oldest, end) = (lane.oldest(), lane.end());
        let archive = lane.archive.as_mut().unwrap();
        // In steps of 16.
        let step = |item: &Item<V>| item.value.map_or(0, weigh).div_ceil(16);
        let mut heavy = false;
        for from in archive.floor.max(oldest)..=end {
            archive.floor = archive.floor.max(from);
            let kept = &lane.log[archive.floor as usize..];
            if kept.iter().map(step).sum::<u64>() <= limit / 16 {
                break;
            }
            heavy = true;
        }
        self.absence.too_heavy += usize::from(heavy);
    }

    /// Whether an event can still be replayed: it is kept, or some connection has still to read it, if
    /// that counts. A connection that was closed counts until its handle is gone.
    fn is_there(&self, at: usize, number: u64, floor: Floor) -> bool {
        let lane = &self.lanes[at];
        let is_kept = lane.archive.as_ref().is_some_and(|a| number >= a.floor);
        let is_unread = || {
            floor == Floor::KeepsUnread
                && self.connections.values().any(|c| {
                    let counted = c.joined_at <= number && c.left_at.is_none_or(|end| number < end);
                    c.lane == at && counted && c.cursor <= number
                })
        };
        self.is_open(at) && number >= lane.oldest() && (is_kept || is_unread())
    }

    pub(super) fn is_open(&self, lane: usize) -> bool {
        self.current.values().any(|open| *open == lane)
    }

    /// Attaches a connection to threads, or detaches it, from the next number on: to or from those in
    /// `mask`. Returns whether that has changed anything.
    pub(crate) fn attach(&mut self, id: u64, mask: u8, on: bool) -> Result<bool, NoAttach> {
        let c = self.connections.get_mut(&id).ok_or(NoAttach::Closed)?;
        if c.end.is_some() {
            return Err(NoAttach::Closed);
        }
        let before = c.threads;
        if on && c.is_bound && before & mask == 0 {
            return Err(NoAttach::Bound);
        }
        let after = if on { before | mask } else { before & !mask };
        if before != after {
            c.spans.push(Span {
                until: self.lanes[c.lane].end(),
                threads: before,
                unsure: false,
            });
            c.threads = after;
        }
        let user = c.user;
        if before != after && !on {
            self.end_questions(user);
        }
        Ok(before != after)
    }

    /// The same by the user, who names a device.
    pub(crate) fn attach_by_user(
        &mut self,
        user: u8,
        device: u64,
        mask: u8,
        on: bool,
    ) -> Result<bool, NoAttach> {
        let Some(id) = self.connection_of(user, device) else {
            self.find_none();
            return Err(NoAttach::Unknown);
        };
        self.attach(id, mask, on)
    }

    pub(crate) fn has_ended(&self, id: u64) -> bool {
        self.connections[&id].end.is_some()
    }

    /// The threads of a connection.
    pub(crate) fn threads(&self, id: u64) -> u8 {
        self.connections[&id].threads
    }

    pub(crate) fn position(&self, id: u64) -> Position {
        let c = &self.connections[&id];
        let number = c.waiting.keys().next().copied().unwrap_or(c.cursor);
        // Its last thread before this one counts until it came back.
        let mut attached = c.attached.clone();
        if let Some(last) = attached.last_mut() {
            last.until = c.joined_at;
        }
        if number < c.joined_at && c.joined_at < c.cursor && !c.spans.is_empty() {
            // What it was attached to before its cursor is known no more.
            attached = vec![Span {
                until: c.cursor,
                threads: 0,
                unsure: true,
            }];
        }
        // Threads that it had for no number are as if it had never had them.
        attached.extend(c.spans.iter().filter(|span| span.until > c.joined_at));
        attached.push(Span {
            until: u64::MAX,
            threads: c.threads,
            unsure: false,
        });
        let mut from = number;
        attached.retain(|span| {
            let is_long = span.until > from;
            from = from.max(span.until);
            is_long
        });
        attached.dedup_by(|later, span| {
            let same = (later.threads, later.unsure) == (span.threads, span.unsure);
            if same {
                span.until = later.until;
            }
            same
        });
        if attached.len() > SPANS {
            attached.truncate(SPANS);
            attached[SPANS - 1] = Span {
                until: u64::MAX,
                threads: 0,
                unsure: true,
            };
        }
        Position {
            user: c.user,
            lane: c.lane,
            number,
            device: c.device,
            attached,
        }
    }

    /// By a weaker scope, if there is one. `floor` says what that means.
    pub(crate) fn resume(
        &mut self,
        grant: Option<usize>,
        user: u8,
        position: &Position,
        threads: u8,
        floor: Floor,
    ) -> Result<Resumed, NoResume> {
        if let Some(grant) = grant {
            let admitted = self.admit(grant, Use::Resume);
            admitted.map_err(|why| NoResume::Connect(why.into()))?;
        }
        self.resume_amid(user, position, threads, 0, floor)
    }

    /// When so many publishes that come later have begun to take the places of the oldest events.
    pub(crate) fn resume_amid(
        &mut self,
        user: u8,
        position: &Position,
        threads: u8,
        later: u64,
        floor: Floor,
    ) -> Result<Resumed, NoResume> {
        if position.user != user {
            self.absence.foreign += 1;
            return Err(NoResume::Foreign);
        }
        let id = self
            .connect_as(user, threads, None, Some(position.device))
            .map_err(NoResume::Connect)?;
        let (at, own) = (self.connections[&id].lane, self.connections[&id].threads);
        let lane = &self.lanes[at];
        if at != position.lane || lane.archive.is_none() {
            self.absence.stale += 1;
            return Ok(Resumed::Reset);
        }
        let (from, to) = (position.number, lane.end());
        let first = from.max((to + later).saturating_sub(lane.capacity).min(to));
        let mut oldest = first;
        let mut replay = Vec::new();
        for number in first..to {
            let item = &lane.log[number as usize];
            let Some(value) = item.value else { continue };
            let for_it = item.is_replayed_to(number, position, own);
            // Superseded or expired: no device receives it any more.
            let is_over = lane.verdict(number, self.now_ms) != Verdict::Deliver;
            if !self.is_there(at, number, floor) || (for_it.is_none() && !is_over) {
                replay.clear();
                oldest = number + 1;
            } else if for_it == Some(true) && !is_over {
                let waiting = Waiting {
                    value,
                    replayed: true,
                    owed: false,
                };
                replay.push((number, waiting));
            }
        }
        let connection = self.connections.get_mut(&id).unwrap();
        connection.attached.clone_from(&position.attached);
        connection.waiting.extend(replay);
        Ok(if oldest == from {
            Resumed::Complete { from, to }
        } else {
            Resumed::Gap {
                missed: oldest - from,
                oldest,
            }
        })
    }

    /// How many events the connection gets, and whether these are all there were. Where that is not
    /// told exactly, `said` is taken: `true` is always right, `false` sometimes of other events.
    pub(crate) fn recover(&mut self, id: u64, said: bool) -> (usize, bool) {
        self.recover_amid(id, said, 0, &[])
    }

    /// When so many publishes that come later have begun to take the places of the oldest events,
    /// and those in `taken` are gone already.
    pub(crate) fn recover_amid(
        &mut self,
        id: u64,
        said: bool,
        later: u64,
        taken: &[u64],
    ) -> (usize, bool) {
        let connection = &self.connections[&id];
        let (at, to) = (connection.lane, connection.joined_at);
        let Some(archive) = &self.lanes[at].archive else {
            return (0, true);
        };
        let (from, floor) = (archive.owed_from, archive.floor);
        let lane = &self.lanes[at];
        let unseen = |n: &u64| {
            let item = &lane.log[*n as usize];
            let is_owed = item.to == To::All && item.audience.is_empty();
            item.critical && is_owed && !item.received
        };
        let (there, gone): (Vec<u64>, Vec<u64>) = (from..to)
            .filter(unseen)
            .partition(|n| self.is_there(at, *n, Floor::KeepsUnread) && !taken.contains(n));
        let value = |n| Some((n, self.value(at, n)?));
        let is_owed = |n: &&u64| lane.verdict(**n, self.now_ms) == Verdict::Deliver;
        let owed: Vec<_> = (there.iter().filter(is_owed))
            .filter_map(|&n| value(n))
            .collect();
        let passed = (lane.end() + later).saturating_sub(lane.capacity);
        let mut overwritten = from..passed.min(lane.end());
        let of_others = overwritten.any(|n| lane.log[n as usize].critical)
            || (floor > from || !self.is_open(at)) && from < to;
        let connection = self.connections.get_mut(&id).unwrap();
        let mut fresh = 0;
        if connection.end.is_some() {
            let complete = gone.is_empty() && owed.is_empty() && (said || !of_others);
            return (fresh, complete);
        }
        for &(number, value) in &owed {
            let waiting = connection.waiting.entry(number).or_insert(Waiting {
                value,
                replayed: false,
                owed: false,
            });
            fresh += usize::from(!waiting.owed);
            waiting.owed = true;
        }
        if owed.is_empty() {
            self.owe_nothing_below(at, to);
        }
        let complete = gone.is_empty() && (said || !of_others);
        (fresh, complete)
    }

    fn owe_nothing_below(&mut self, lane: usize, to: u64) {
        let archive = self.lanes[lane].archive.as_mut().unwrap();
        archive.owed_from = archive.owed_from.max(to);
    }

    /// Why a connection receives an event that has waited for it; `None` if another one has received it.
    pub(super) fn origin(&mut self, id: u64, number: u64, waiting: Waiting<V>) -> Option<Origin> {
        let replayed = waiting.replayed.then_some(Origin::Replayed);
        if !waiting.owed {
            return replayed;
        }
        let connection = &self.connections[&id];
        let (at, to) = (connection.lane, connection.joined_at);
        let item = &mut self.lanes[at].log[number as usize];
        let is_first = !std::mem::replace(&mut item.received, true);
        if !self.connections[&id].waiting.values().any(|w| w.owed) {
            self.owe_nothing_below(at, to);
        }
        if is_first {
            Some(Origin::Recovered)
        } else {
            replayed
        }
    }

    fn value(&self, lane: usize, number: u64) -> Option<V> {
        self.lanes[lane].log[number as usize].value
    }

    /// The numbers that a connection could recover, if so many publishes that come later have begun,
    /// and of which each may be gone.
    pub(crate) fn in_doubt(&self, id: u64, later: u64) -> Vec<u64> {
        let connection = &self.connections[&id];
        let lane = &self.lanes[connection.lane];
        let passed = (lane.end() + later).saturating_sub(lane.capacity);
        (lane.oldest()..passed.min(connection.joined_at)).collect()
    }

    /// The user's lane, if there is one.
    pub(crate) fn lane_of(&self, user: u8) -> Option<usize> {
        self.current.get(&user).copied()
    }

    /// The lane of a connection.
    pub(crate) fn lane_of_connection(&self, id: u64) -> usize {
        self.connections[&id].lane
    }

    /// The connection that was made last.
    pub(crate) fn newest(&self) -> u64 {
        self.next - 1
    }

    /// Why a connection gets what it gets next, if that is an event.
    pub(crate) fn next_origin(&self, id: u64) -> Origin {
        let waits = self
            .connections
            .get(&id)
            .is_some_and(|c| !c.waiting.is_empty());
        match waits.then(|| self.clone().receive(id)) {
            Some(Got::Event { origin, .. }) => origin,
            _ => Origin::Live,
        }
    }
}
