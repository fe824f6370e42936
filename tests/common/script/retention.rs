//! The calls of a script that need a lane which keeps what was read.

use std::fmt::Debug;
use std::ops::RangeInclusive;
use std::time::Duration;

use laneway::{ConnectOptions, ResumeError, Retention};

use super::call::By;
use super::{Run, THREADS, USERS, Value, no_connect, thread_ids};
use crate::common::model::{Floor, Keeping, Model, NoResume, Origin, Position, Resumed};

/// A position, as text and as the model has it.
pub(super) struct Remembered {
    user: u8,
    text: String,
    position: Position,
}

/// In any of these a sweep may come to the users.
pub(super) const ORDERS: [[u8; USERS as usize]; 6] = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
];

impl Run {
    pub(super) fn remember(&mut self, at: usize) {
        let handle = &self.handles[at];
        self.seen.in_replay += usize::from(self.model.next_origin(handle.id) != Origin::Live);
        self.remembered.push(Remembered {
            user: handle.user,
            text: handle.connection.position().to_string(),
            position: self.model.position(handle.id),
        });
    }

    /// In the scope of the user whose position it is.
    pub(super) fn resume_own(&mut self, at: u8, thread: u8) {
        if let Some(remembered) = self.remembered(at) {
            self.resume(By::User(remembered.user), at, thread);
        }
    }

    /// The last ones are the ones that a client has.
    fn remembered(&self, at: u8) -> Option<&Remembered> {
        let last = self.remembered.len().checked_sub(1)?;
        Some(&self.remembered[last - at as usize % (last + 1)])
    }

    /// In any scope.
    pub(super) fn resume(&mut self, by: By, at: u8, thread: u8) {
        let Some(remembered) = self.remembered(at) else {
            return;
        };
        let (user, grant) = self.publisher(by);
        let threads = thread % (1 << THREADS);
        let options = ConnectOptions {
            threads: thread_ids(threads),
            lane_capacity: None,
            note: None,
        };
        let position = remembered.text.parse().expect("as it was written");
        let theirs = remembered.position.clone();
        let done = self.scope(by).resume_with(&position, options);
        let answer = match &done {
            Ok((_, resumed)) => Ok(resumed_as(*resumed)),
            Err(ResumeError::Foreign) => Err(NoResume::Foreign),
            Err(ResumeError::Connect(e)) => Err(NoResume::Connect(no_connect(e))),
            Err(other) => panic!("no such answer: {other:?}"),
        };
        let lane = self.model.lane_of(user);
        let floors = [Floor::KeepsUnread, Floor::KeepsNothing];
        self.decide(lane, &answer, &floors, |model, floor| {
            model.resume(grant, user, &theirs, threads, floor)
        });
        match answer {
            Ok(Resumed::Complete { from, to }) => self.seen.whole += usize::from(from < to),
            Ok(Resumed::Gap { .. }) => self.seen.resumed_with_gap += 1,
            _ => {}
        }
        if let Ok((connection, _)) = done {
            self.hold(self.model.newest(), user, connection);
        }
    }

    pub(super) fn recover(&mut self, at: usize) {
        let id = self.handles[at].id;
        let done = self.handles[at].connection.recover();
        let lane = Some(self.model.lane_of_connection(id));
        let answer = (done.events, done.complete);
        self.decide(lane, &answer, &[Floor::KeepsUnread], |model, _| {
            model.recover(id, done.complete)
        });
        self.seen.recovered += usize::from(done.events > 0);
        self.seen.recovered_in_part += usize::from(!done.complete);
    }

    /// Makes a call on the model whose answer depends on how far a lane has let go of old events, and
    /// on what that means, as far as the answer of laneway tells it.
    fn decide<A: PartialEq + Debug>(
        &mut self,
        lane: Option<usize>,
        answer: &A,
        meanings: &[Floor],
        call: impl Fn(&mut Model<Value>, Floor) -> A,
    ) {
        let mut other = Vec::new();
        for floor in lane.map_or(0..=0, |lane| self.floors(lane)) {
            for meaning in meanings {
                let mut model = self.model.clone();
                if let Some(lane) = lane {
                    model.let_go(lane, floor);
                }
                let expected = call(&mut model, *meaning);
                if expected == *answer {
                    self.model = model;
                    return;
                }
                other.push(expected);
            }
        }
        panic!("{answer:?}, none of {other:?}");
    }

    /// The numbers up to which a lane may have let go of its events. If the lane says in its dump which of them
    /// it is, that one: two of them may give the same answer now, and others later.
    fn floors(&self, lane: usize) -> RangeInclusive<u64> {
        let may = self.model.floors(lane);
        let said = (0..USERS).find_map(|user| {
            let is_theirs = self.model.lane_of(user) == Some(lane);
            let scope =
                is_theirs.then(|| self.hub.scope(self.scopes[user as usize].user().clone()))?;
            let mut dump = String::new();
            scope.dump(&mut dump).expect("a string takes everything");
            let (_, kept) = dump.split_once("kept from ")?;
            kept.lines().next()?.parse().ok()
        });
        said.filter(|said| may.contains(said))
            .map_or(may, |said| said..=said)
    }

    pub(super) fn end_absent(&mut self, user: u8) {
        let ended = self.hub.end_absent(self.scopes[user as usize].user());
        assert_eq!(ended, self.model.end_absent(user));
        self.seen.ended_early += usize::from(ended);
    }

    pub(super) fn sweep(&mut self, later: i16) {
        let to_ms = self.now_ms.saturating_add_signed(later.into());
        // Often enough for the age of events. For all else every other sweep comes late.
        let age_ms = self.keeps.and_then(|k| k.age_ms);
        let pace_ms = age_ms
            .map(|age_ms| age_ms / 8)
            .or((later % 2 == 0).then_some(20));
        if let Some(pace_ms) = pace_ms {
            let steps = (self.now_ms..to_ms).step_by(pace_ms as usize);
            steps.skip(1).for_each(|now_ms| self.sweep_at(now_ms));
        }
        self.sweep_at(to_ms);
        self.now_ms = to_ms;
    }

    fn sweep_at(&mut self, now_ms: u64) {
        let closed = self.hub.sweep(Duration::from_millis(now_ms));
        self.seen.idle += closed;
        if self
            .keeps
            .is_none_or(|k| k.max_absent_users >= USERS.into())
        {
            assert_eq!(closed, self.model.sweep(now_ms, &ORDERS[0]));
            return;
        }
        // Of several users who go in one sweep the first ones find room, and which are first is not
        // told.
        let known: Vec<_> = (0..USERS).filter(|user| self.is_known(*user)).collect();
        let found = ORDERS.iter().find_map(|order| {
            let mut model = self.model.clone();
            let same = model.sweep(now_ms, order) == closed && model.known() == known;
            same.then_some(model)
        });
        self.model = found.unwrap_or_else(|| panic!("{closed} closed, of whom {known:?} stay"));
    }

    /// Whether a user has a lane.
    fn is_known(&self, user: u8) -> bool {
        let mut dump = String::new();
        let dumped = self.scopes[user as usize].dump(&mut dump);
        dumped.expect("a string takes everything");
        !dump.is_empty()
    }
}

pub(super) fn of(keeping: Keeping) -> Retention {
    let mut retention = Retention::events(keeping.events as usize)
        .grace(Duration::from_millis(keeping.grace_ms))
        .max_absent_users(keeping.max_absent_users);
    retention.bytes = keeping.bytes.map(|bytes| bytes as usize);
    retention.age = keeping.age_ms.map(Duration::from_millis);
    retention
}

pub(super) fn origin(origin: laneway::Origin) -> Origin {
    match origin {
        laneway::Origin::Live => Origin::Live,
        laneway::Origin::Replayed => Origin::Replayed,
        laneway::Origin::Recovered => Origin::Recovered,
        other => panic!("no such origin: {other:?}"),
    }
}

fn resumed_as(resumed: laneway::Resumed) -> Resumed {
    match resumed {
        laneway::Resumed::Complete { from, to, .. } => Resumed::Complete { from, to },
        laneway::Resumed::Gap { missed, oldest, .. } => Resumed::Gap { missed, oldest },
        laneway::Resumed::Reset => Resumed::Reset,
        other => panic!("no such outcome: {other:?}"),
    }
}
