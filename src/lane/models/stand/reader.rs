//! Readers that write down what they get.

use std::sync::Arc;

use super::{Ev, FIRST, L, MemberRef};
use crate::error::CloseReason;
use crate::lane::core::Lane;
use crate::lane::member::Member;
use crate::lane::outcome::Step as LaneStep;
use crate::lane::read::{Entered, Seen};
use crate::lane::reader::Reader as Way;
use crate::lane::replay::Replay;

#[derive(Debug, PartialEq, Clone, Copy)]
pub(in crate::lane::models) enum Step {
    Got(u64),
    Gap(u64),
    Empty,
    Overrun,
    Closed,
}

pub(in crate::lane::models) struct Reader {
    pub(super) way: Way<Ev>,
    pub(in crate::lane::models) lane: L,
    pub(in crate::lane::models) member: MemberRef,
    pub(in crate::lane::models) joined: u64,
    pub(in crate::lane::models) cursor: u64,
    pub(in crate::lane::models) got: Vec<(u64, u64)>,
    pub(in crate::lane::models) missed: u64,
    /// Numbers that a replay did not find any more.
    pub(in crate::lane::models) gone: u64,
}

/// The next event, as a connection looks for it.
fn see(lane: &Lane<Ev>, member: &Member, way: &mut Way<Ev>) -> Result<Seen<Ev>, LaneStep> {
    match lane.see(member, way) {
        Some(seen) => Ok(seen),
        None if lane.is_idle(member, way) => Err(LaneStep::Empty),
        None => lane.search(member, way, || 0, |_| {}),
    }
}

impl Reader {
    fn at(&self) -> &Member {
        self.lane.lane.member(&self.member.0)
    }

    /// One look. Without patience a number whose publisher has not come is made void.
    pub(in crate::lane::models) fn read(&mut self, patient: bool) -> Step {
        loop {
            let lane = Arc::clone(&self.lane.lane);
            let member = lane.member(&self.member.0);
            let step = match see(&lane, member, &mut self.way) {
                Ok(seen) => {
                    let took = |number, event| (number, event);
                    let (number, event) = lane.take(member, &mut self.way, seen, took);
                    self.got.push((number + FIRST, event.id));
                    Step::Got(number + FIRST)
                }
                Err(LaneStep::Gap(missed)) => Step::Gap(missed),
                Err(LaneStep::Empty) => Step::Empty,
                Err(LaneStep::Closed(CloseReason::Overrun)) => Step::Overrun,
                Err(LaneStep::Closed(_)) => Step::Closed,
            };
            self.missed = member.missed();
            self.cursor = self.lane.number(member.cursor());
            let behind = step == Step::Empty && lane.load().seq() > member.cursor();
            if patient || !behind {
                return step;
            }
            let waker = std::task::Waker::noop();
            if lane.park(member, &mut self.way, waker) {
                lane.unpark(member);
            }
        }
    }

    /// Stands inside the next event, until what is returned is dropped.
    pub(in crate::lane::models) fn enter(&mut self) -> Entered<'_, Ev> {
        let lane = &self.lane.lane;
        let member = lane.member(&self.member.0);
        match see(lane, member, &mut self.way) {
            Ok(seen) => lane.enter(member, &mut self.way, seen).1,
            Err(step) => panic!("there is an event: {step:?}"),
        }
    }

    /// Registers as a sleeper, unless there is something to look at.
    pub(in crate::lane::models) fn park(&mut self, waker: &std::task::Waker) -> bool {
        let lane = &self.lane.lane;
        lane.park(lane.member(&self.member.0), &mut self.way, waker)
    }

    /// Registers for the connection's end, unless that has come.
    pub(in crate::lane::models) fn park_until_closed(&self, waker: &std::task::Waker) -> bool {
        self.lane.park_until_closed(self.at(), waker)
    }

    pub(in crate::lane::models) fn unpark(&self) {
        self.lane.unpark(self.at());
    }

    pub(in crate::lane::models) fn member_ref(&self) -> MemberRef {
        self.member.clone()
    }

    pub(in crate::lane::models) fn member(&self) -> &Member {
        self.at()
    }

    /// Reads again what came from the number `from` on until it joined, before what comes live.
    pub(in crate::lane::models) fn replay(&mut self, from: u64) {
        let (start, to) = (self.lane.internal(from - FIRST), self.way.joined_at);
        let mut got = Vec::new();
        let first = self.lane.lane.replay(
            start,
            to,
            || 0,
            |_, _| Some(true),
            |step| match step {
                Replay::Event(number, event) => got.push((number + FIRST, event.id)),
                Replay::StartOver => got.clear(),
            },
        );
        self.gone = first - start;
        self.got = got;
    }

    /// Gets the critical events that no connection was there for and receives so many of them; of these
    /// it has what no other connection has received.
    pub(in crate::lane::models) fn recover(&mut self, receives: usize) {
        let (lane, to) = (&self.lane.lane, self.way.joined_at);
        let mut found = Vec::new();
        lane.recover(to, || 0, |number, event| found.push((number, event.id)));
        let all = found.len();
        for (number, id) in found.into_iter().take(receives) {
            if lane.receive_owed(number) {
                self.got.push((number + FIRST, id));
            }
        }
        if receives >= all {
            lane.end_recovery(to);
        }
    }

    /// The events that it got.
    pub(in crate::lane::models) fn ids(&self) -> Vec<u64> {
        self.got.iter().map(|got| got.1).collect()
    }

    pub(in crate::lane::models) fn drain(&mut self) -> Step {
        loop {
            match self.read(false) {
                Step::Got(_) | Step::Gap(_) => {}
                step => return step,
            }
        }
    }

    pub(in crate::lane::models) fn stepped(&self) -> u64 {
        self.lane.stats(self.at(), &self.way).stepped_over
    }

    /// The owner closes, or finds itself closed, and goes.
    pub(in crate::lane::models) fn leave(mut self) -> Left {
        let lane = self.lane.clone();
        let member = lane.member(&self.member.0);
        lane.close(member, CloseReason::Dropped, Some(&mut self.way));
        lane.leave(member, &mut self.way);
        let end = member.left_at().map(|end| lane.number(end));
        Left {
            joined: self.joined,
            cursor: self.cursor,
            stepped: lane.stats(member, &self.way).stepped_over,
            end,
            got: std::mem::take(&mut self.got),
            missed: self.missed,
        }
    }
}

pub(in crate::lane::models) struct Left {
    pub(in crate::lane::models) joined: u64,
    pub(in crate::lane::models) cursor: u64,
    pub(in crate::lane::models) end: Option<u64>,
    pub(in crate::lane::models) got: Vec<(u64, u64)>,
    pub(in crate::lane::models) missed: u64,
    pub(in crate::lane::models) stepped: u64,
}
