//! The search for an order of calls that take several steps.
//!
//! A publish to rooms looks at each member and then appends to that member's lane. A revocation comes to one scope
//! after the other, and then closes one connection after the other. The close of a device ends questions as a
//! second step. Each step takes place at once, and all steps of a call between its begin and its end. The order of
//! two publishes to rooms may differ from one member to the other.

use std::collections::HashSet;

use super::verbs::{Answer, CAPACITY, Call, Kind, MOST_THREADS, Record, user_of};
use crate::common::model::budgets::Budgets;
use crate::common::model::{End, Got, How, Model, Settings, To};

/// What has become of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Open,
    Answered(usize),
    NoDevice,
    Over,
}

/// How far a call has come.
#[derive(Clone, Debug, Default)]
struct Progress {
    stage: u8,
    is_over: bool,
    /// Of each user, in a publish to rooms.
    stages: [u8; 2],
    lanes: [Option<usize>; 2],
    reached: (usize, usize, usize),
    /// Scopes that a revocation has come to, a bit each.
    taken: u8,
    /// Connections that a walk comes to.
    walk: Vec<u64>,
    closed: usize,
    connection: Option<u64>,
}

#[derive(Clone, Debug)]
struct State {
    model: Model<u32>,
    /// Connections that publishes count and walks do not come to yet.
    unlisted: Vec<u64>,
    names: Vec<(usize, u64)>,
    /// Of each thread's scope.
    is_good: [bool; MOST_THREADS],
    questions: Vec<(u32, Verdict)>,
    /// Memberships of lanes that have ended, while the call that has ended the lane goes on: of which call, the
    /// room and the user. A publish may come to them. It is refused there.
    fading: Vec<(usize, u8, u8)>,
    calls: Vec<Progress>,
}

impl State {
    fn new(calls: usize) -> Self {
        let settings = Settings {
            capacity: CAPACITY,
            max_connections: MOST_THREADS,
            evict_oldest: false,
            max_users: usize::MAX,
            idle_timeout_ms: None,
            retention: None,
            keeps_members: false,
            conflation: None,
            budgets: Budgets::default(),
        };
        Self {
            model: Model::new(settings),
            unlisted: Vec::new(),
            names: Vec::new(),
            is_good: [true; MOST_THREADS],
            questions: Vec::new(),
            fading: Vec::new(),
            calls: vec![Progress::default(); calls],
        }
    }

    fn id(&self, name: usize) -> Option<u64> {
        let named = self.names.iter().find(|(n, _)| *n == name);
        named.map(|(_, id)| *id)
    }

    /// The same after a change.
    fn with(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut next = self.clone();
        change(&mut next);
        next
    }

    /// The next state if this is what the call was answered.
    fn if_told(mut self, at: usize, record: &Record, answer: Answer) -> Vec<Self> {
        self.calls[at] = Progress {
            is_over: true,
            ..Progress::default()
        };
        Vec::from_iter((answer == record.answer).then_some(self))
    }

    fn to_stage(&self, at: usize, stage: u8) -> Self {
        self.with(|next| next.calls[at].stage = stage)
    }

    /// Ends the question if no device is left.
    fn end_questions(&mut self, user: u8) {
        if self.model.live(user).is_empty() {
            let open = self.questions.iter_mut().filter(|q| q.1 == Verdict::Open);
            open.for_each(|question| question.1 = Verdict::NoDevice);
        }
    }

    /// The states after one more step of a call.
    fn after(&self, kind: Kind, at: usize, records: &[Record]) -> Vec<Self> {
        let record = &records[at];
        let user = user_of(kind, record.thread);
        let mut next = self.clone();
        let model = &mut next.model;
        match record.call {
            Call::Publish(value) => self.after_publish(user, value, at, record),
            Call::Connect(name) => self.after_connect(user, name, at, record),
            Call::Receive(name) => {
                let Some(id) = self.id(name) else {
                    return Vec::new();
                };
                let answer = match model.receive(id) {
                    Got::Event { value, .. } => Answer::Received(Some(value)),
                    Got::Empty => Answer::Received(None),
                    Got::Closed(end) => Answer::Ended(end),
                    Got::Gap(_) => return Vec::new(),
                };
                next.if_told(at, record, answer)
            }
            Call::Drop(name) if self.calls[at].stage == 0 => {
                let Some(id) = self.id(name) else {
                    return Vec::new();
                };
                let rooms = model.rooms_of(user);
                // The second step belongs to the call that has closed the connection, and that may be another one.
                let is_closer = model.end(id, None);
                if model.lane_of(user).is_none() {
                    let fading = rooms.into_iter().map(|room| (at, room, user));
                    next.fading.extend(fading);
                }
                vec![next.to_stage(at, if is_closer { 1 } else { 2 })]
            }
            Call::Drop(_) => {
                if self.calls[at].stage == 1 {
                    next.end_questions(user);
                }
                next.fading.retain(|(call, ..)| *call != at);
                next.if_told(at, record, Answer::Done)
            }
            Call::Join(room) => self.after_join(user, room, at, record),
            Call::Leave(room) => {
                let answer = Answer::Left(model.leave(user, room));
                next.if_told(at, record, answer)
            }
            Call::PublishToRooms(room, value) => self.after_rooms(room, value, at, record),
            Call::Revoke(closes) => self.after_revoke(closes, at, records),
            Call::Renew => {
                next.is_good[record.thread] = true;
                next.if_told(at, record, Answer::Done)
            }
            Call::Ask(value) => self.after_ask(value, at, record),
            Call::Answer(name, question) => self.after_answer(name, question, at, record),
            Call::Take(question) => self.after_take(question, at, record),
            Call::DisconnectAll => self.after_walk(End::Disconnected(7), at, record),
        }
    }

    /// The scope is looked at, and then the event is appended.
    fn after_publish(&self, user: u8, value: u32, at: usize, record: &Record) -> Vec<Self> {
        match (self.calls[at].stage, self.is_good[record.thread]) {
            (0, true) => vec![self.to_stage(at, 1)],
            (0, false) => self.clone().if_told(at, record, Answer::Revoked),
            _ => {
                let mut next = self.clone();
                let done = next.model.publish(user, value, How::Overwriting, To::All);
                let answer = Answer::Published(done.ok().map(|(_, connections)| connections));
                next.if_told(at, record, answer)
            }
        }
    }

    /// The scope is looked at before the connection counts, and again after it is listed.
    fn after_connect(&self, user: u8, name: usize, at: usize, record: &Record) -> Vec<Self> {
        let is_good = self.is_good[record.thread];
        match self.calls[at].stage {
            0 if !is_good => self.clone().if_told(at, record, Answer::Revoked),
            0 => vec![self.to_stage(at, 1)],
            1 => {
                let mut next = self.to_stage(at, 2);
                let id = next.model.connect(user, 0, None).expect("room");
                next.calls[at].connection = Some(id);
                next.unlisted.push(id);
                vec![next]
            }
            2 => {
                let mut next = self.to_stage(at, 3);
                next.unlisted
                    .retain(|id| self.calls[at].connection != Some(*id));
                vec![next]
            }
            _ => {
                let mut next = self.clone();
                let id = self.calls[at].connection.expect("it counts");
                if is_good {
                    next.names.push((name, id));
                    return next.if_told(at, record, Answer::Done);
                }
                next.model.end(id, None);
                next.if_told(at, record, Answer::Revoked)
            }
        }
    }

    /// A membership of a lane that ends at once is none, and the join looks for the next lane.
    fn after_join(&self, user: u8, room: u8, at: usize, record: &Record) -> Vec<Self> {
        let progress = &self.calls[at];
        let lane = self.model.lane_of(user);
        if progress.stage == 1 && lane == progress.lanes[0] {
            return Vec::new();
        }
        let mut next = self.clone();
        let joined = next.model.join(user, room);
        let transient = self.with(|next| {
            let _ = next.model.join(user, room);
            next.calls[at].stage = 1;
            next.calls[at].lanes[0] = lane;
        });
        let mut after = next.if_told(at, record, Answer::Joined(joined.ok()));
        if joined.is_ok() {
            after.push(transient);
        }
        after
    }

    /// Each user is looked for in the first room and then in the second one, until the event is in the user's lane.
    fn after_rooms(&self, room: Option<u8>, value: u32, at: usize, record: &Record) -> Vec<Self> {
        let progress = &self.calls[at];
        let rooms = room.map_or(vec![0, 1], |room| vec![room]);
        let last = 2 * rooms.len() as u8;
        if progress.stages.iter().all(|stage| *stage >= last) {
            let (users, connections, refused) = progress.reached;
            let answer = Answer::Reached(users, connections, refused);
            return self.clone().if_told(at, record, answer);
        }
        let mut after = Vec::new();
        for user in 0..2_u8 {
            let u = usize::from(user);
            let stage = progress.stages[u];
            if stage >= last {
                continue;
            }
            let mut next = self.clone();
            let lane = self.model.lane_of(user);
            if stage.is_multiple_of(2) {
                let room = rooms[usize::from(stage / 2)];
                let is_member = next.model.members(room).contains(&user);
                let mut fading = self.fading.iter();
                if !is_member && fading.any(|(_, r, u)| (*r, *u) == (room, user)) {
                    after.push(next.with(|next| {
                        next.calls[at].lanes[u] = None;
                        next.calls[at].stages[u] += 1;
                    }));
                }
                next.calls[at].lanes[u] = lane;
                next.calls[at].stages[u] += if is_member { 1 } else { 2 };
                after.push(next);
                continue;
            }
            // The lane of the membership, and not the user's next one.
            let is_same = lane.is_some() && lane == progress.lanes[u];
            let model = &mut next.model;
            let done = is_same.then(|| model.publish(user, value, How::Overwriting, To::All));
            let reached = &mut next.calls[at].reached;
            if let Some(Ok((_, connections))) = done {
                reached.0 += 1;
                reached.1 += connections;
                next.calls[at].stages[u] = last;
            } else {
                reached.2 += 1;
                next.calls[at].stages[u] += 1;
            }
            after.push(next);
        }
        after
    }

    /// Comes to each scope, and then to each connection.
    fn after_revoke(&self, closes: bool, at: usize, records: &[Record]) -> Vec<Self> {
        let (record, taken) = (&records[at], self.calls[at].taken);
        if usize::from(taken.count_ones() as u8) == MOST_THREADS {
            return if closes {
                self.after_walk(End::Revoked, at, record)
            } else {
                self.clone().if_told(at, record, Answer::Closed(0))
            };
        }
        let mut after = Vec::new();
        for thread in (0..MOST_THREADS).filter(|thread| taken >> thread & 1 == 0) {
            let come_to = |is_good: bool| {
                self.with(|next| {
                    next.calls[at].taken |= 1 << thread;
                    next.is_good[thread] &= is_good;
                })
            };
            after.push(come_to(false));
            // A scope that is made meanwhile may be older or newer than the revocation.
            let is_renewed = |other: &Record| {
                let is_beside = other.began < record.ended && record.began < other.ended;
                other.thread == thread && other.call == Call::Renew && is_beside
            };
            if records.iter().any(is_renewed) {
                after.push(come_to(true));
            }
        }
        after
    }

    /// Closes the connections that are there when the walk begins. Each close ends questions as a second step.
    fn after_walk(&self, end: End, at: usize, record: &Record) -> Vec<Self> {
        let progress = &self.calls[at];
        match progress.stage {
            0 => vec![self.with(|next| {
                let mut walk = next.model.live(0);
                walk.retain(|id| !next.unlisted.contains(id));
                next.calls[at].walk = walk;
                next.calls[at].stage = 1;
            })],
            2 => vec![self.with(|next| {
                next.end_questions(0);
                next.calls[at].stage = 1;
            })],
            _ if progress.walk.is_empty() => {
                let answer = Answer::Closed(progress.closed);
                self.clone().if_told(at, record, answer)
            }
            _ => {
                let close = |id: &u64| {
                    self.with(|next| {
                        next.calls[at].walk.retain(|other| other != id);
                        // Its owner may have dropped it meanwhile.
                        let is_live = next.model.live(0).contains(id);
                        if is_live && next.model.end(*id, Some(end)) {
                            next.calls[at].closed += 1;
                            next.calls[at].stage = 2;
                        }
                    })
                };
                progress.walk.iter().map(close).collect()
            }
        }
    }

    /// The question that waited goes, the next one is published, and then the asker looks for a device.
    fn after_ask(&self, value: u32, at: usize, record: &Record) -> Vec<Self> {
        match self.calls[at].stage {
            0 => vec![self.with(|next| {
                next.questions
                    .iter_mut()
                    .for_each(|question| question.1 = Verdict::Over);
                next.calls[at].stage = 1;
            })],
            1 => {
                let mut next = self.to_stage(at, 2);
                match next.model.publish(0, value, How::Overwriting, To::All) {
                    Ok((_, connections)) => {
                        next.questions.push((value, Verdict::Open));
                        next.calls[at].reached.1 = connections;
                        vec![next]
                    }
                    Err(_) => next.if_told(at, record, Answer::Published(None)),
                }
            }
            _ => {
                let connections = self.calls[at].reached.1;
                let mut next = self.clone();
                next.end_questions(0);
                next.if_told(at, record, Answer::Published(Some(connections)))
            }
        }
    }

    fn verdict(&mut self, question: u32) -> Option<&mut Verdict> {
        let mut all = self.questions.iter_mut();
        all.find(|(value, _)| *value == question)
            .map(|(_, verdict)| verdict)
    }

    fn after_answer(&self, name: usize, question: u32, at: usize, record: &Record) -> Vec<Self> {
        let Some(id) = self.id(name) else {
            return Vec::new();
        };
        if self.calls[at].stage == 0 {
            if self.model.has_ended(id) {
                return self.clone().if_told(at, record, Answer::NoDevice);
            }
            return vec![self.to_stage(at, 1)];
        }
        let mut next = self.clone();
        let Some(verdict) = next.verdict(question) else {
            return Vec::new();
        };
        let is_first = *verdict == Verdict::Open;
        if is_first {
            *verdict = Verdict::Answered(name);
        }
        next.if_told(at, record, Answer::Answered(is_first))
    }

    fn after_take(&self, question: u32, at: usize, record: &Record) -> Vec<Self> {
        let mut next = self.clone();
        let Some(verdict) = next.verdict(question) else {
            return Vec::new();
        };
        let answer = match *verdict {
            Verdict::Open => Answer::Waits,
            Verdict::NoDevice => Answer::NoDevice,
            Verdict::Over => Answer::Done,
            Verdict::Answered(name) => {
                *verdict = Verdict::Over;
                Answer::Taken(name)
            }
        };
        next.if_told(at, record, answer)
    }
}

struct Search<'a> {
    kind: Kind,
    records: &'a [Record],
    seen: HashSet<String>,
}

impl Search<'_> {
    fn finds(&mut self, state: &State) -> bool {
        let open: Vec<_> = (0..self.records.len())
            .filter(|at| !state.calls[*at].is_over)
            .collect();
        let Some(first_end) = open.iter().map(|&at| self.records[at].ended).min() else {
            return true;
        };
        if !self.seen.insert(format!("{state:?}")) {
            return false;
        }
        open.iter().any(|&at| {
            // A call that began after another had ended comes after it.
            self.records[at].began < first_end
                && state
                    .after(self.kind, at, self.records)
                    .iter()
                    .any(|next| self.finds(next))
        })
    }
}

pub(crate) fn has_an_order(kind: Kind, records: &[Record]) -> bool {
    let mut search = Search {
        kind,
        records,
        seen: HashSet::new(),
    };
    search.finds(&State::new(records.len()))
}
