//! The search for an order of calls in which the model gives the same answers.

use std::collections::HashSet;

use super::history::{Answer, CAPACITY, Call, DEADLINE, FIRST, Kind, MOST_THREADS, Record};
use crate::common::model::budgets::Budgets;
use crate::common::model::receive::Stops;
use crate::common::model::rules::{Asks, Effect};
use crate::common::model::{End, Floor, Got, How, Keeping, Model, Position, Refused, Settings, To};

/// Numbers that publishers may give up in one history; fewer are tried first.
const GIVEN_UP: [u32; 4] = [0, 1, 3, 6];
const USER: u8 = 0;

/// The model, and the names of its connections.
#[derive(Clone, Debug)]
struct State {
    model: Model<u32>,
    names: Vec<(usize, u64)>,
    /// Where connections left, by name.
    left: Vec<(usize, Position)>,
    /// Connections whose last gap was a part.
    cut: Vec<u64>,
}

impl State {
    fn new(kind: Kind) -> Self {
        let keeping = Keeping {
            events: CAPACITY,
            bytes: None,
            age_ms: None,
            grace_ms: 0,
            max_absent_users: usize::MAX,
        };
        let settings = Settings {
            capacity: CAPACITY,
            max_connections: 2,
            evict_oldest: false,
            max_users: usize::MAX,
            idle_timeout_ms: None,
            retention: kind.keeps().then_some(keeping),
            keeps_members: false,
            conflation: (kind == Kind::Ruled).then_some(1),
            budgets: Budgets::default(),
        };
        let mut model = Model::new(settings);
        let mut gone = |name| {
            let id = model.connect(USER, 0, None).expect("room");
            let position = model.position(id);
            model.end(id, None);
            (name, position)
        };
        let left = (FIRST..FIRST + MOST_THREADS).map(&mut gone).collect();
        Self {
            model,
            names: Vec::new(),
            left,
            cut: Vec::new(),
        }
    }

    fn id(&self, name: usize) -> Option<u64> {
        let named = self.names.iter().find(|(n, _)| *n == name);
        named.map(|(_, id)| *id)
    }

    /// The models after a call that give the same answer.
    ///
    /// `try_publish` may refuse for the sake of other calls that are under way: of publishes whose
    /// events no reader sees yet, and of connections that come or go, as long as it is
    /// open whether they have still to read the event that it would overwrite.
    ///
    /// An event is in its place until the publisher that got the number a lap later overwrites it, and
    /// that call may still be under way when a receive looks, or not have been given that number at all.
    /// A critical event that is more than a lane behind may be there or dropped.
    ///
    /// So far as publishes that are under way have taken the places of the oldest events, these are
    /// no part of a replay, and are not recovered.
    fn after(&self, record: &Record, under_way: &UnderWay, done: u64, given_up: u32) -> Vec<Self> {
        // Publishes that come after this call and may have their numbers.
        let ahead = u64::from((under_way.publishes & !done).count_ones());
        let later = if ahead > 0 {
            ahead + u64::from(given_up)
        } else {
            0
        };
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
                Answer::Published(model.publish(USER, value, how, To::All))
            }
            Call::Latest(value) | Call::Until(value) => {
                let asks = match record.call {
                    Call::Latest(_) => Asks {
                        effect: Effect::Latest(0),
                        ..Asks::default()
                    },
                    _ => Asks {
                        deadline_ms: Some(DEADLINE.as_millis() as u64),
                        ..Asks::default()
                    },
                };
                let how = How::Overwriting;
                Answer::Published(model.publish_asking(USER, value, how, To::All, asks))
            }
            Call::Tick => {
                model.tick(DEADLINE.as_millis() as u64);
                Answer::Ticked
            }
            Call::Connect(name) => {
                let connected = model.connect(USER, 0, None);
                next.names.extend(connected.ok().map(|id| (name, id)));
                Answer::Connected(connected.is_ok())
            }
            Call::Receive(name) => {
                return self.id(name).map_or(Vec::new(), |id| {
                    let mut after = self.after_receive(id, record.answer, &under_way.published);
                    if let Answer::Received(Got::Gap(missed)) = record.answer
                        && (under_way.comes_or_goes || under_way.publishes != 0)
                    {
                        after.extend(self.after_cut(id, missed));
                    }
                    after
                });
            }
            Call::Leave(name) => {
                let Some(id) = self.id(name) else {
                    return Vec::new();
                };
                next.left.push((name, model.position(id)));
                model.end(id, None);
                Answer::Left
            }
            Call::Resume(name, from) => {
                let left = self.left.iter().find(|(left, _)| *left == from);
                let position = left.map(|(_, position)| position.clone());
                return self.after_resume(name, position, record.answer, later);
            }
            Call::Succeed(name, from) => {
                let ghost = self.id(from);
                let position = ghost.map(|id| model.position(id));
                let mut after = self.after_resume(name, position, record.answer, later);
                // Where there is no room the old one is kept.
                let ghost = ghost.filter(|_| record.answer != Answer::Resumed(None));
                for state in &mut after {
                    ghost.map(|id| state.model.end(id, None));
                }
                return after;
            }
            Call::Recover(name) => {
                return self.id(name).map_or(Vec::new(), |id| {
                    self.after_recover(id, record.answer, later, under_way.recovers)
                });
            }
            Call::Sweep => Answer::Swept(model.sweep(0, &[USER])),
            Call::Disconnect(name) => {
                let Some(id) = self.id(name) else {
                    return Vec::new();
                };
                Answer::Closed(model.disconnect(USER, model.device(id), 7))
            }
            Call::Count => Answer::Counted(model.live(USER).len()),
        };
        Vec::from_iter((answer == record.answer).then_some(next))
    }

    /// The models in which a connection resumes so, however far the places of the oldest events are
    /// taken.
    fn after_resume(
        &self,
        name: usize,
        position: Option<Position>,
        answer: Answer,
        later: u64,
    ) -> Vec<Self> {
        let Some(position) = position else {
            return Vec::new();
        };
        let each = (0..=later).filter_map(|later| {
            let mut next = self.clone();
            let floor = Floor::KeepsUnread;
            let resumed = next
                .model
                .resume_amid(USER, &position, 0, later, floor)
                .ok();
            if resumed.is_some() {
                next.names.push((name, next.model.newest()));
            }
            (Answer::Resumed(resumed) == answer).then_some(next)
        });
        // All that give this answer are the same.
        each.take(1).collect()
    }

    /// The models in which a connection recovers so much, whichever places are taken.
    ///
    /// A loss is told by the first call that comes to it. Of two calls at the same time, each may look before
    /// the other has told it. So a call `beside` another one may tell a loss that the other tells, too.
    fn after_recover(&self, id: u64, answer: Answer, later: u64, beside: bool) -> Vec<Self> {
        let Answer::Recovered(_, said) = answer else {
            return Vec::new();
        };
        subsets(&self.model.in_doubt(id, later))
            .filter_map(|taken| {
                let mut next = self.clone();
                let (events, complete) = next.model.recover_amid(id, said, later, &taken);
                let is_it = Answer::Recovered(events, complete) == answer
                    || beside && Answer::Recovered(events, false) == answer;
                is_it.then_some(next)
            })
            .collect()
    }

    /// The models in which a connection receives this, whichever overwriters are late.
    fn after_receive(&self, id: u64, answer: Answer, published: &[u32]) -> Vec<Self> {
        if self.cut.contains(&id) && !matches!(answer, Answer::Received(Got::Closed(_))) {
            return Vec::new();
        }
        // Whose a number was that was given up is not told.
        let is_late = |by: Option<u32>| match by {
            Some(value) => published.contains(&value),
            None => !published.is_empty(),
        };
        let overwritten = self.model.overwritten(id).into_iter();
        let late = overwritten.filter(|(_, by)| is_late(*by)).map(|(n, _)| n);
        // An event is superseded once the later publish has returned, and perhaps before.
        let in_doubt = self.model.superseded_only_by(id, published);
        let (late, in_doubt): (Vec<_>, Vec<_>) = (late.collect(), subsets(&in_doubt).collect());
        subsets(&late)
            .flat_map(|kept| in_doubt.iter().map(move |doubt| (kept.clone(), doubt)))
            .filter_map(|(kept, there)| {
                let mut next = self.clone();
                next.model.there.clone_from(there);
                if answer == Answer::Received(Got::Closed(End::Overrun)) {
                    next.drop_critical_before(id, &kept);
                }
                let got = next.model.receive_with(id, &kept, Stops::AtAnyCritical);
                next.model.there.clear();
                (Answer::Received(got) == answer).then_some(next)
            })
            .collect()
    }

    /// The model after a gap of so many numbers that is a part: the connection was closed, or lost a critical
    /// event, in the middle of the skip. The end has to come next.
    fn after_cut(&self, id: u64, missed: u64) -> Option<Self> {
        let mut next = self.clone();
        next.cut.push(id);
        next.model.skip(id, missed).then_some(next)
    }

    /// Drops the first critical event that a connection can have lost: of all choices the one that
    /// says least of other connections.
    fn drop_critical_before(&mut self, id: u64, kept: &[u64]) {
        let beyond = self.model.critical_beyond(id).into_iter();
        if let Some(first) = beyond.filter(|n| !kept.contains(n)).min() {
            self.model.drop_critical(USER, first);
        }
    }
}

/// Every choice of some of `all`.
fn subsets(all: &[u64]) -> impl Iterator<Item = Vec<u64>> {
    (0..1_u32 << all.len()).map(|choice| {
        let chosen = all.iter().enumerate().filter(|(i, _)| choice >> i & 1 != 0);
        chosen.map(|(_, n)| *n).collect()
    })
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
    /// Another connection recovers.
    recovers: bool,
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
                Call::Publish(_, value) | Call::Latest(value) | Call::Until(value) => {
                    under_way.published.push(value);
                    under_way.publishes |= 1 << i;
                }
                Call::Recover(_) => under_way.recovers = true,
                Call::Receive(_) | Call::Sweep | Call::Count | Call::Tick => {}
                _ => under_way.comes_or_goes = true,
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
            // A call that began after another had ended comes after it.
            call.began < first_end
                && state
                    .after(call, under_way, done, given_up)
                    .iter()
                    .any(|next| self.finds(done | 1 << i, given_up, next))
        })
    }
}

pub(crate) fn has_an_order(kind: Kind, records: &[Record]) -> bool {
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
        search.finds(0, given_up, &State::new(kind))
    })
}
