//! The lane protocol: one state word that decides every race, over the storage in `ring`.
//!
//! The state word carries `seq`, `live` and `waiting` together, so a publisher learns its number,
//! its exact audience and whether anybody sleeps in one step, and a connect takes its first number
//! and is counted in one step. The lane knows nothing of users.

pub(crate) mod member;
mod ring;
mod word;

#[cfg(all(test, laneway_loom))]
mod models;

use std::sync::Arc;

use smallvec::SmallVec;

use crate::error::CloseReason;
use crate::sync::{AtomicU64, Ordering, SPINS, broken, pause, pin};
use crate::table::storage::{Link, Owned, View};
use member::Member;
pub(crate) use ring::Value;
use ring::{Found, Ring};
use word::State;

/// Numbers one `publish` may lose to others before it hands its event back.
const ATTEMPTS: usize = 16;

type Members = SmallVec<[Arc<Member>; 2]>;

/// What a publish did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) number: u64,
    pub(crate) connections: u8,
}

/// Why a lane did not take an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Vacant,
    Full,
    Closed,
}

/// Why a connection could not join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JoinError {
    Closed,
    Limit,
}

/// One step of a reader.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step<R> {
    Read(R),
    Gap(u64),
    Empty,
    Closed(CloseReason),
}

/// One user's bounded, sequenced log.
pub(crate) struct Lane<E> {
    state: AtomicU64,
    ring: Ring<E>,
    members: Link<(), Members>,
    voided: AtomicU64,
}

impl<E> Lane<E> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            state: AtomicU64::new(State::new(capacity as u64).0),
            ring: Ring::new(capacity),
            members: Link::empty(),
            voided: AtomicU64::new(0),
        }
    }

    fn load(&self) -> State {
        State(self.state.load(Ordering::Acquire))
    }

    /// The public form of a number: the first event of a lane is number 0.
    fn public(&self, number: u64) -> u64 {
        number - self.ring.capacity()
    }

    // ---- publishing ----

    /// Appends `event` for every live connection, overwriting what a late one has not read.
    ///
    /// This is the only function that appends to a lane, in its two modes: with `evict` unset it
    /// refuses rather than overwrites, and then nobody observes anything.
    pub(crate) fn append(&self, mut event: E, evict: bool) -> Result<Accepted, (Refusal, E)> {
        for _ in 0..ATTEMPTS {
            let (state, claim) = if evict {
                // Acquire: what closed connections marked before this number is visible from here on.
                let state = State(self.state.fetch_add(State::ONE_NUMBER, Ordering::AcqRel));
                if state.is_closed() || state.live() == 0 {
                    self.abandon(state.seq());
                    return Err((Self::refusal(state), event));
                }
                let Some(claim) = self.ring.claim(state.seq(), true) else {
                    self.abandon(state.seq());
                    continue;
                };
                (state, claim)
            } else {
                match self.claim_free() {
                    Ok(Some(claimed)) => claimed,
                    Ok(None) => continue,
                    Err(refusal) => return Err((refusal, event)),
                }
            };
            match self.ring.fill(&claim, state.live(), event) {
                Ok(evicted) => {
                    if state.waiting() > 0 && !broken("publish-without-wake") {
                        self.wake();
                    }
                    // Last, because the host's `Drop` may panic or publish.
                    drop(evicted);
                    let number = self.public(state.seq());
                    return Ok(Accepted {
                        number,
                        connections: state.live(),
                    });
                }
                Err((back, evicted)) => {
                    self.voided.fetch_add(1, Ordering::Relaxed);
                    drop(evicted);
                    event = back;
                }
            }
        }
        Err((Refusal::Full, event))
    }

    fn refusal(state: State) -> Refusal {
        if state.is_closed() && state.live() > 0 {
            Refusal::Closed
        } else {
            Refusal::Vacant
        }
    }

    /// Claims the next number only if its cell is free. `Ok(None)`: somebody was faster.
    fn claim_free(&self) -> Result<Option<(State, ring::Claim)>, Refusal> {
        let mut state = self.load();
        if state.is_closed() || state.live() == 0 {
            return Err(Self::refusal(state));
        }
        let number = state.seq();
        let before = number - self.ring.capacity();
        if before >= self.ring.capacity() && !self.ring.is_resolved(before) {
            self.resolve(before);
        }
        let Some(claim) = self.ring.claim(number, false) else {
            let lost = self.load().seq() != number;
            if lost {
                return Ok(None);
            }
            return if self.forgotten(before) {
                Ok(None)
            } else {
                Err(Refusal::Full)
            };
        };
        loop {
            let next = state.0 + State::ONE_NUMBER;
            match self
                .state
                .compare_exchange(state.0, next, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return Ok(Some((state, claim))),
                Err(now) => state = State(now),
            }
            if state.seq() != number || state.is_closed() || state.live() == 0 {
                drop(self.ring.release(&claim));
                return Ok(None);
            }
        }
    }

    /// Clears an entry that only connections already closed have not read.
    fn forgotten(&self, number: u64) -> bool {
        let mut wanted = false;
        // A cursor copy may lag; then the entry counts as wanted, which refuses and is safe.
        self.for_each(|m| wanted |= m.is_open() && m.cursor.load(Ordering::Acquire) <= number);
        if !wanted && self.load().live() > 0 && self.counts_only_listed() {
            drop(self.ring.clear(number));
            return true;
        }
        false
    }

    /// Whether every live connection is listed already, so that the list tells the whole story.
    fn counts_only_listed(&self) -> bool {
        let mut open = 0;
        self.for_each(|m| open += u8::from(m.is_open()));
        self.load().live() == open
    }

    /// Gives up a number of the caller's own. Only the owner counts it, and so exactly once,
    /// whoever resolves it: a later lap may have passed over it without a word.
    fn abandon(&self, number: u64) {
        self.voided.fetch_add(1, Ordering::Relaxed);
        drop(self.ring.void(number));
    }

    /// Waits a bounded time for the publisher of a claimed number, then goes on without it.
    fn resolve(&self, number: u64) {
        for _ in 0..SPINS {
            if self.ring.is_resolved(number) {
                return;
            }
            pause();
        }
        drop(self.ring.void(number));
    }

    // ---- reading ----

    /// Reads the next event of a connection, which stands at `cursor`.
    pub(crate) fn read<R>(
        &self,
        member: &Member,
        cursor: &mut u64,
        f: impl FnOnce(u64, Value<'_, E>) -> R,
    ) -> Step<R> {
        let mut f = Some(f);
        loop {
            let number = *cursor;
            // The cursor moves before the host's code runs, so a panic there passes the event.
            let mut entered = false;
            let found = self.ring.read(
                number,
                || member.is_open() || broken("read-after-close"),
                |value| {
                    entered = true;
                    *cursor = number + 1;
                    member.cursor.store(number + 1, Ordering::Release);
                    f.take().map(|f| f(self.public(number), value))
                },
            );
            debug_assert_eq!(entered, matches!(found, Some(Found::Read(_))));
            match found {
                Some(Found::Read(Some(read))) => return Step::Read(read),
                Some(Found::Void | Found::Read(None)) => self.advance(member, cursor, number + 1),
                Some(Found::Lapped) => {
                    if let Some(reason) = member.closed() {
                        return Step::Closed(reason);
                    }
                    return Step::Gap(self.skip(member, cursor));
                }
                Some(Found::Unresolved) => match self.unresolved(member, number) {
                    Some(step) => return step,
                    None => pause(),
                },
                None => {
                    return Step::Closed(member.closed().unwrap_or(CloseReason::Dropped));
                }
            }
        }
    }

    fn advance(&self, member: &Member, cursor: &mut u64, to: u64) {
        *cursor = to;
        member.cursor.store(to, Ordering::Release);
    }

    /// What to tell a reader whose number nobody has resolved; `None` to look again.
    fn unresolved<R>(&self, member: &Member, number: u64) -> Option<Step<R>> {
        let state = self.load();
        if let Some(reason) = member.closed() {
            return Some(Step::Closed(reason));
        }
        if state.seq() == number {
            let end = state.is_closed();
            return Some(if end {
                Step::Closed(CloseReason::Shutdown)
            } else {
                Step::Empty
            });
        }
        if (number + 1..state.seq()).any(|beyond| self.ring.is_resolved(beyond)) {
            self.resolve(number);
            return None;
        }
        // Claimed, not published, and nothing beyond it is: there is no event yet.
        if self.ring.is_resolved(number) {
            None
        } else {
            Some(Step::Empty)
        }
    }

    /// Moves a lapped cursor to the oldest number that cannot have been overwritten.
    fn skip(&self, member: &Member, cursor: &mut u64) -> u64 {
        let from = *cursor;
        let capacity = self.ring.capacity();
        // A lap was claimed before the entry could be overwritten, so this is above `from`.
        let to = (self.load().seq() - capacity).max(from + 1);
        for number in from.max(to.saturating_sub(capacity))..to {
            drop(self.ring.count_out(number));
        }
        let missed = to - from;
        member.missed.fetch_add(missed, Ordering::Relaxed);
        self.advance(member, cursor, to);
        missed
    }

    /// Numbers not yet read by a connection that stands at `cursor`.
    pub(crate) fn unread(&self, cursor: u64) -> u64 {
        self.load().seq().saturating_sub(cursor)
    }

    // ---- waiting ----

    /// Registers a sleeper, unless there is something to look at. After `true`, `unpark` is owed.
    pub(crate) fn park(&self, member: &Member, cursor: u64, waker: &std::task::Waker) -> bool {
        member.wake.arm(waker);
        loop {
            let state = self.load();
            if state.seq() != cursor && state.seq() > cursor && !self.ring.is_resolved(cursor) {
                self.resolve(cursor);
            }
            let awake = state.seq() != cursor && !broken("sleep-without-looking");
            if awake || state.is_closed() || !member.is_open() {
                member.wake.disarm();
                return false;
            }
            // Release: a publisher or closer that comes later on this word sees the waker.
            let next = state.0 + State::ONE_WAITING;
            if self
                .state
                .compare_exchange(state.0, next, Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
            {
                break;
            }
        }
        // A closer that came before on this word has marked; one that comes after wakes.
        if !member.is_open() {
            self.unpark(member);
            return false;
        }
        true
    }

    /// Takes a sleeper's registration back.
    pub(crate) fn unpark(&self, member: &Member) {
        self.state.fetch_sub(State::ONE_WAITING, Ordering::AcqRel);
        member.wake.disarm();
    }

    fn wake(&self) {
        self.for_each(|member| {
            member.wake.wake();
        });
    }

    // ---- joining and leaving ----

    /// Counts one more connection and gives the number of the first event it will get.
    pub(crate) fn join(&self, limit: u8) -> Result<u64, JoinError> {
        let mut state = self.load();
        loop {
            if state.is_closed() {
                return Err(JoinError::Closed);
            }
            if state.live() >= limit {
                return Err(JoinError::Limit);
            }
            let next = state.0 + State::ONE_LIVE;
            match self
                .state
                .compare_exchange(state.0, next, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return Ok(state.seq()),
                Err(now) => state = State(now),
            }
        }
    }

    /// Adds a connection that has joined to the list that is walked to wake and to close.
    pub(crate) fn list(&self, member: &Arc<Member>) {
        self.relist(|members| members.push(Arc::clone(member)));
    }

    fn relist(&self, change: impl Fn(&mut Members)) {
        let guard = pin();
        loop {
            let view = self.members.load(&guard);
            let mut members = match view {
                View::Node(members) => (*members).clone(),
                _ => Members::new(),
            };
            change(&mut members);
            if self
                .members
                .compare_exchange(view, Owned::Node(Box::new(members)), &guard)
                .is_ok()
            {
                return;
            }
        }
    }

    /// Calls `f` for every listed connection.
    pub(crate) fn for_each(&self, mut f: impl FnMut(&Arc<Member>)) {
        let guard = pin();
        if let View::Node(members) = self.members.load(&guard) {
            members.iter().for_each(&mut f);
        }
    }

    /// Takes one connection off the live count; the last one closes the lane in the same step.
    fn depart(&self) -> (u64, bool) {
        let mut state = self.load();
        loop {
            let last = state.live() == 1;
            let closed = if last && !broken("vacant-but-open") {
                State::CLOSED
            } else {
                0
            };
            let next = (state.0 - State::ONE_LIVE) | closed;
            match self
                .state
                .compare_exchange(state.0, next, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return (state.seq(), last),
                Err(now) => state = State(now),
            }
        }
    }

    /// Closes one connection from anywhere: `None` if it was closed before, else whether the lane
    /// is vacant and closed now.
    pub(crate) fn close(&self, member: &Member, reason: CloseReason) -> Option<bool> {
        if !member.mark(reason) {
            return None;
        }
        let (seq, last) = self.depart();
        member.set_left_at(seq);
        member.wake.wake();
        if last {
            self.vacate(seq);
        } else {
            self.relist(|members| members.retain(|m| m.id != member.id));
        }
        Some(last)
    }

    /// Counts a closed connection, which stands at `cursor`, out of what it has not read.
    pub(crate) fn count_out(&self, member: &Member, cursor: u64) {
        // A closer that has not told yet may be frozen. What stays counted is overwritten in turn.
        let Some(end) = member.left_at() else { return };
        let oldest = self.load().seq() - self.ring.capacity();
        for number in cursor.max(oldest.min(end))..end {
            if !self.ring.is_resolved(number) && !broken("leave-unresolved") {
                self.resolve(number);
            }
            drop(self.ring.count_out(number));
        }
    }

    /// Empties a lane that is closed and has no connection left.
    fn vacate(&self, seq: u64) {
        let capacity = self.ring.capacity();
        for number in (seq - capacity).max(capacity)..seq {
            self.resolve(number);
            drop(self.ring.clear(number));
        }
    }

    /// Refuses events and connections from now on; what was accepted can be read. `true` if new.
    pub(crate) fn shut(&self) -> bool {
        let before = State(self.state.fetch_or(State::CLOSED, Ordering::AcqRel));
        self.wake();
        !before.is_closed()
    }

    // ---- figures ----

    #[cfg(all(test, laneway_loom))]
    pub(crate) fn is_closed(&self) -> bool {
        self.load().is_closed()
    }

    pub(crate) fn live(&self) -> usize {
        self.load().live().into()
    }

    /// Events accepted so far.
    pub(crate) fn accepted(&self) -> u64 {
        let numbers = self.public(self.load().seq());
        numbers.saturating_sub(self.voided.load(Ordering::Relaxed))
    }
}
