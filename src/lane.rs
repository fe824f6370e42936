//! The lane protocol: one state word that decides every race, over the storage in `ring`.
//!
//! The state word carries `seq`, `live` and `waiting` together, so a publisher learns its number,
//! its exact audience and whether anybody sleeps in one step, and a connect takes its first number
//! and is counted in one step. The lane knows nothing of users.

pub(crate) mod archive;
pub(crate) mod member;
mod ring;
mod segments;
mod word;

#[cfg(all(test, laneway_loom))]
mod models;
#[cfg(all(test, not(any(laneway_loom, laneway_shuttle))))]
mod tests;

use std::fmt;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::error::CloseReason;
use crate::id::{ConnectionId, ThreadId};
use crate::stats::ConnectionStats;
use crate::sync::{AtomicU64, Ordering, SPINS, broken, pause, pin};
use crate::table::storage::{Link, Owned, View};
use archive::Archive;
use member::Member;
pub(crate) use ring::Entered;
use ring::{Claim, Filling, Found, Ring};
use word::{Kind, State, Tally};

/// Numbers one `publish` may lose to others before it hands its event back.
const ATTEMPTS: usize = 16;

type Members = SmallVec<[Arc<Member>; 2]>;

/// What a publish did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) number: u64,
    pub(crate) connections: u8,
    /// The lane keeps it for connections that come back.
    pub(crate) kept: bool,
}

/// The connections that an event is for, if not for all of its user's.
pub(crate) type Audience = SmallVec<[ConnectionId; 2]>;

/// A number with a cell for its event; `None`: it could not be used.
type Claimed<'a, E> = Option<(State, Claim<'a, E>)>;

/// How an event is to be appended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// Overwrite what a late connection has not read, rather than refuse.
    pub(crate) evict: bool,
    /// Nobody may miss it and stay connected.
    pub(crate) critical: bool,
    /// Wake sleepers; else that is still owed.
    pub(crate) wake: bool,
}

impl Terms {
    pub(crate) const OVERWRITE: Self = Self {
        evict: true,
        critical: false,
        wake: true,
    };
    pub(crate) const REFUSE: Self = Self {
        evict: false,
        ..Self::OVERWRITE
    };
    pub(crate) const CRITICAL: Self = Self {
        critical: true,
        ..Self::OVERWRITE
    };

    fn kind(self) -> Kind {
        if self.critical {
            Kind::Critical
        } else {
            Kind::Ordinary
        }
    }
}

/// Why a lane did not take an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Vacant,
    Full,
    Closed,
    /// There are no more numbers.
    Exhausted,
}

/// Why a connection could not join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JoinError {
    Closed,
    Limit,
    /// Nobody is connected, and the caller did not say that it may be the first.
    Deserted,
}

/// What closing a connection did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Departure {
    /// Somebody else had closed it.
    Before,
    OneOfSeveral,
    /// The lane keeps its events for those who come back.
    Deserted,
    /// The lane is closed and empty now. It had accepted so many events, less those that are
    /// given up late.
    Last {
        accepted: u64,
    },
}

/// What a reader got instead of an event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Gap(u64),
    Empty,
    /// A critical event was overwritten before it was read; the connection is to be closed.
    Overrun,
    Closed(CloseReason),
}

/// How far a connection has come. Its owner's alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader {
    /// The next number to read.
    pub(crate) cursor: u64,
    /// Events read.
    pub(crate) delivered: u64,
    /// Numbers passed that were no event, or an event for others.
    pub(crate) stepped_over: u64,
}

impl Reader {
    pub(crate) fn new(cursor: u64) -> Self {
        Self {
            cursor,
            delivered: 0,
            stepped_over: 0,
        }
    }
}

/// A list of several, or what is left of one, with `added` and without `removed`.
fn relisted(
    view: View<'_, Member, Members>,
    added: Option<&Arc<Member>>,
    removed: Option<ConnectionId>,
) -> Owned<Member, Members> {
    let only;
    let listed = match &view {
        View::Node(several) => &several[..],
        View::Leaf(leaf) => {
            only = [leaf.arc()];
            &only[..]
        }
        // Nobody is taken off an empty list.
        View::Empty => &[],
    };
    let stay = listed.iter().filter(|m| Some(m.id) != removed);
    let grown = listed.len() + usize::from(added.is_some());
    let mut members = Members::with_capacity(grown.saturating_sub(removed.into_iter().count()));
    members.extend(stay.chain(added).cloned());
    match members.len() {
        0 => Owned::Empty,
        1 => Owned::Leaf(members.remove(0)),
        _ => Owned::Node(Box::new(members)),
    }
}

/// A connection's member, unless that is the lane's own.
pub(crate) type Seat = Option<Arc<Member>>;

/// Who a lane is made for.
pub(crate) type Newcomer = (ConnectionId, Option<ThreadId>);

/// One user's bounded, sequenced log.
// The payload of the hot cell and the 64 bytes behind it, to the first member's id, are what an event
// of a user with one connection touches.
#[repr(C)]
pub(crate) struct Lane<E> {
    /// Of a lane that keeps what is read.
    archive: Option<Box<Archive>>,
    /// All but the first: one, or several.
    others: Link<Member, Members>,
    tally: AtomicU64,
    ring: Ring<E>,
    state: AtomicU64,
    /// Of the connection that the lane was made for. Most users have no other.
    first: Member,
}

impl<E> Lane<E> {
    /// A lane with whom it is made for counted already, so that none is ever open and empty: numbers
    /// that nobody counts or reads do not exist. With an archive it keeps what is read, and may be
    /// made for nobody.
    pub(crate) fn new(capacity: usize, first: Option<Newcomer>, archive: Option<Archive>) -> Self {
        debug_assert!(first.is_some() || archive.is_some());
        let number = capacity as u64;
        let mut state = State::new(number).0;
        if first.is_some() {
            state += State::ONE_LIVE;
        }
        if archive.is_some() {
            state += State::ONE_LIVE + State::ARCHIVED;
        }
        let tally = Tally::new(first.is_some());
        let (id, thread) = first.unwrap_or((ConnectionId(0), None));
        Self {
            archive: archive.map(Box::new),
            others: Link::empty(),
            tally: AtomicU64::new(tally.0),
            ring: Ring::new(capacity),
            state: AtomicU64::new(state),
            first: Member::coming(id, thread, number),
        }
    }

    /// The member of a connection that has this seat.
    #[inline]
    pub(crate) fn member<'a>(&'a self, seat: &'a Seat) -> &'a Member {
        seat.as_deref().unwrap_or(&self.first)
    }

    fn load(&self) -> State {
        State(self.state.load(Ordering::Acquire))
    }

    fn tally(&self) -> Tally {
        Tally(self.tally.load(Ordering::Acquire))
    }

    /// The public form of a number: the first event of a lane is number 0.
    fn public(&self, number: u64) -> u64 {
        number - self.ring.capacity()
    }

    // ---- publishing ----

    /// Appends `event` for its audience, or for everybody. Takes the event out of its option if, and
    /// only if, it is accepted. Adds to `late` the numbers it gave up after the lane's figures were
    /// taken over.
    ///
    /// This is the only function that appends to a lane. Without `evict` it refuses rather than
    /// overwrites, and then nobody observes anything.
    pub(crate) fn append(
        &self,
        event: &mut Option<E>,
        audience: Option<&Audience>,
        terms: Terms,
        late: &mut u64,
    ) -> Result<Accepted, Refusal> {
        for _ in 0..ATTEMPTS {
            let claimed = if terms.evict {
                self.claim_next(late)?
            } else {
                self.claim_free()?
            };
            let Some((state, claim)) = claimed else {
                continue;
            };
            let (mut connections, mut kind) = (state.live(), terms.kind());
            let kept = state.is_archived();
            if kept {
                (connections, kind) = state.of_archived(kind);
            }
            if let Some(audience) = audience {
                // Counted after the claim: who is open now was live at the claim.
                connections = self.count_open(audience);
                if connections == 0 {
                    drop(claim.release());
                    self.abandon(state.seq(), late);
                    return Err(Refusal::Vacant);
                }
            }
            let entry = Filling {
                readers: state.live(),
                kind,
                audience,
            };
            let mut evicted = [None, None];
            if self.ring.fill(&claim, entry, event, &mut evicted) {
                if state.waiting() > 0 && terms.wake && !broken("publish-without-wake") {
                    self.wake();
                }
                // Last, because the host's `Drop` may panic or publish.
                drop(evicted);
                return Ok(Accepted {
                    number: self.public(state.seq()),
                    connections,
                    kept,
                });
            }
            self.abandon(state.seq(), late);
        }
        Err(Refusal::Full)
    }

    /// The listed connections that `wanted` picks.
    pub(crate) fn select(&self, wanted: impl Fn(&Member) -> bool) -> Audience {
        let mut audience = Audience::new();
        self.for_each(|member| {
            if member.is_open() && wanted(member) {
                audience.push(member.id);
            }
        });
        audience
    }

    #[cold]
    fn count_open(&self, audience: &Audience) -> u8 {
        let mut open = 0;
        self.for_each(|m| open += u8::from(m.is_open() && audience.contains(&m.id)));
        open
    }

    /// Wakes sleepers, if there are any.
    pub(crate) fn wake_sleepers(&self) {
        if self.load().waiting() > 0 {
            self.wake();
        }
    }

    /// Brings the parts of the lane that a publish starts with into the cache, one access after the
    /// other in flight. Gives the number that a publish would take now.
    #[inline]
    pub(crate) fn fetch(&self) -> u64 {
        self.ring.fetch();
        self.load().seq()
    }

    /// Then brings what `number` needs.
    #[inline]
    pub(crate) fn fetch_slot(&self, number: u64) {
        self.ring.fetch_slot(number);
    }

    /// Claims the next number, whatever it overwrites. `Ok(None)`: it could not be used.
    #[inline]
    fn claim_next(&self, late: &mut u64) -> Result<Claimed<'_, E>, Refusal> {
        // Acquire: what closed connections marked before this number is visible from here on.
        let state = State(self.state.fetch_add(State::ONE_NUMBER, Ordering::AcqRel));
        if state.live() == 0 {
            // Behind the end of the lane, where nobody counts or reads.
            return Err(Refusal::Vacant);
        }
        if state.is_closed() {
            self.abandon(state.seq(), late);
            return Err(Refusal::Closed);
        }
        if state.seq() >= State::LAST_NUMBER {
            self.abandon(state.seq(), late);
            return Err(Refusal::Exhausted);
        }
        let claim = self.ring.claim(state.seq(), true, !state.is_archived());
        if claim.is_none() {
            self.abandon(state.seq(), late);
        }
        Ok(claim.map(|claim| (state, claim)))
    }

    /// Claims the next number only if its cell is free. `Ok(None)`: somebody was faster.
    fn claim_free(&self) -> Result<Claimed<'_, E>, Refusal> {
        let mut state = self.load();
        if state.live() == 0 {
            return Err(Refusal::Vacant);
        }
        if state.is_closed() {
            return Err(Refusal::Closed);
        }
        if state.seq() >= State::LAST_NUMBER {
            return Err(Refusal::Exhausted);
        }
        let number = state.seq();
        let before = number - self.ring.capacity();
        let hot = !state.is_archived();
        if before >= self.ring.capacity() && !(hot && self.ring.is_behind(before)) {
            self.resolve(before);
        }
        let Some(claim) = self.ring.claim(number, false, hot) else {
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
            if state.seq() != number || state.is_closed() {
                drop(claim.release());
                return Ok(None);
            }
        }
    }

    /// Clears an entry that only connections already closed, or an archive, have not read.
    fn forgotten(&self, number: u64) -> bool {
        // First: whoever is counted for the entry and not on its way in is listed.
        // Acquire pairs with the Release of `list`; the claim of the entry's number comes after
        // the raise by whoever it counts, and this thread has seen that number.
        if self.tally().joining() > 0 && !broken("overlook-joining") {
            return false;
        }
        let mut wanted = false;
        self.for_each(|m| {
            // Who is closed and may still be in the live count would be counted for the new event.
            let is_there = m.left_at().is_none() && (m.is_open() || !broken("overlook-leaving"));
            // A cursor copy may lag; then the entry counts as wanted, which refuses and is safe.
            wanted |= is_there && m.cursor.load(Ordering::Acquire) <= number;
        });
        if !wanted {
            drop(self.ring.discard(number));
        }
        !wanted
    }

    /// Gives up a number of the caller's own. Only the owner counts it, and so exactly once,
    /// whoever resolves it: a later lap may have passed over it without a word.
    #[cold]
    fn abandon(&self, number: u64, late: &mut u64) {
        let before = Tally(self.tally.fetch_add(Tally::ONE_VOIDED, Ordering::AcqRel));
        if before.is_retired() {
            *late += 1;
        }
        drop(self.ring.give_up(number));
    }

    /// Waits a bounded time for the publisher of a claimed number, then goes on without it. No
    /// more than a look at a number that is resolved.
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

    /// Gets a connection into its next event.
    #[inline]
    pub(crate) fn read(
        &self,
        member: &Member,
        reader: &mut Reader,
    ) -> Result<(u64, Entered<'_, E>), Step> {
        loop {
            let number = reader.cursor;
            let counted = || member.is_open() || broken("read-after-close");
            let hot = self.ring.enter_hot(number, member.id, counted);
            let entered = if let Some(hot) = hot {
                hot
            } else {
                // Most looks of a host that polls end here.
                let state = self.load();
                if state.seq() == number && !state.is_closed() && member.is_open() {
                    return Err(Step::Empty);
                }
                self.ring.enter_slot(number, member.id, counted)
            };
            match entered {
                Ok(entered) => {
                    // The cursor moves first, so that a panic in the host's code passes the event.
                    Self::advance(member, reader, number + 1);
                    if entered.mine {
                        reader.delivered += 1;
                        return Ok((self.public(number), entered));
                    }
                    reader.stepped_over += 1;
                }
                Err(found) => {
                    if let Some(step) = self.go_on(member, reader, found) {
                        return Err(step);
                    }
                }
            }
        }
    }

    /// What comes of a number that was not read; `None` to look again.
    #[cold]
    fn go_on(&self, member: &Member, reader: &mut Reader, found: Found) -> Option<Step> {
        match found {
            // A closed lane's numbers are void, and not this connection's.
            Found::Void if !member.is_open() => return Some(Step::Closed(member.close_reason())),
            Found::Void => {
                reader.stepped_over += 1;
                Self::advance(member, reader, reader.cursor + 1);
            }
            Found::Lapped => return Some(self.lapped(member, reader)),
            Found::Unresolved => {
                let step = self.unresolved(member, reader.cursor);
                if step.is_none() {
                    pause();
                }
                return step;
            }
            Found::Closed => return Some(Step::Closed(member.close_reason())),
        }
        None
    }

    #[inline]
    fn advance(member: &Member, reader: &mut Reader, to: u64) {
        reader.cursor = to;
        member.cursor.store(to, Ordering::Release);
    }

    /// What to tell a reader whose number nobody has resolved; `None` to look again.
    fn unresolved(&self, member: &Member, number: u64) -> Option<Step> {
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
        // At most a lap is looked at: a whole lap later somebody else has passed.
        let end = state.seq().min(number + self.ring.capacity());
        let passed = (number + 1..end).any(|beyond| self.ring.is_resolved(beyond));
        if passed && !broken("wait-for-the-frozen") {
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

    /// Moves a lapped cursor to the oldest number that cannot have been overwritten, or to a
    /// critical event before that.
    fn lapped(&self, member: &Member, reader: &mut Reader) -> Step {
        if let Some(reason) = member.closed() {
            return Step::Closed(reason);
        }
        let from = reader.cursor;
        let capacity = self.ring.capacity();
        // A lap was claimed before the entry could be overwritten, so this is above `from`.
        let mut to = (self.load().seq() - capacity).max(from + 1);
        // Who has not come by now gets another number: no critical event comes behind this reader.
        if !broken("jump-over-the-unresolved") {
            for number in from.max(to.saturating_sub(capacity))..to {
                self.resolve(number);
            }
        }
        if !broken("skip-critical") {
            to = self.ring.first_critical(from + 1, to).unwrap_or(to);
        }
        // After the search: a critical event that was overwritten before it left its note earlier.
        if self.ring.has_lost(from) {
            return Step::Overrun;
        }
        for number in from.max(to.saturating_sub(capacity))..to {
            drop(self.ring.count_out(number));
        }
        let missed = to - from;
        member.missed.fetch_add(missed, Ordering::Relaxed);
        Self::advance(member, reader, to);
        Step::Gap(missed)
    }

    /// Whether a connection has lost a critical event that it had not read.
    pub(crate) fn is_overrun(&self, member: &Member) -> bool {
        self.ring.has_lost(member.cursor.load(Ordering::Acquire))
    }

    /// Numbers not yet read by a connection that stands at `cursor`.
    pub(crate) fn unread(&self, cursor: u64) -> u64 {
        self.load().seq().saturating_sub(cursor)
    }

    /// Where the numbers of one connection went.
    pub(crate) fn stats(&self, member: &Member, reader: &Reader) -> ConnectionStats {
        let end = member.left_at().unwrap_or_else(|| self.load().seq());
        ConnectionStats {
            numbers: end - member.joined_at,
            delivered: reader.delivered,
            stepped_over: reader.stepped_over,
            missed: member.missed.load(Ordering::Relaxed),
            unread: end.saturating_sub(reader.cursor),
            replayed: 0,
        }
    }

    // ---- waiting ----

    /// Registers a sleeper, unless there is something to look at. After `true`, `unpark` is owed.
    pub(crate) fn park(&self, member: &Member, cursor: u64, waker: &std::task::Waker) -> bool {
        member.wake.arm(waker);
        loop {
            let state = self.load();
            let behind = state.seq() > cursor && !broken("sleep-without-looking");
            if behind {
                self.resolve(cursor);
            }
            if behind || state.is_closed() || !member.is_open() {
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

    /// Counts one more connection, which is then to be listed. Gives the number of the first event
    /// it will get.
    pub(crate) fn join(&self, limit: u8) -> Result<u64, JoinError> {
        self.join_as(limit, true).map(|(number, _)| number)
    }

    /// As `join`, but nobody becomes the only connection of a lane unless `as_first`. Tells whether
    /// this one did.
    pub(crate) fn join_as(&self, limit: u8, as_first: bool) -> Result<(u64, bool), JoinError> {
        self.tally.fetch_add(Tally::ONE_JOINING, Ordering::AcqRel);
        let joined = self.count_in(limit, as_first);
        if joined.is_err() {
            self.tally.fetch_sub(Tally::ONE_JOINING, Ordering::AcqRel);
        }
        joined
    }

    fn count_in(&self, limit: u8, as_first: bool) -> Result<(u64, bool), JoinError> {
        let mut state = self.load();
        loop {
            if state.is_closed() && !broken("join-closed") {
                return Err(JoinError::Closed);
            }
            if state.connections() >= limit {
                return Err(JoinError::Limit);
            }
            let first = state.connections() == 0;
            if first && !as_first {
                return Err(JoinError::Deserted);
            }
            if broken("join-in-two-steps") {
                self.state.fetch_add(State::ONE_LIVE, Ordering::AcqRel);
                return Ok((state.seq(), first));
            }
            let next = state.0 + State::ONE_LIVE;
            match self
                .state
                .compare_exchange(state.0, next, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) if broken("join-then-look") => {
                    return Ok((self.load().seq(), first));
                }
                Ok(_) => return Ok((state.seq(), first)),
                Err(now) => state = State(now),
            }
        }
    }

    /// Adds a connection that has joined to those that are found to be woken and closed.
    pub(crate) fn list(&self, seat: &Seat) {
        match seat {
            None => self.first.list(),
            Some(member) => self.relist(Some(member), None),
        }
        self.tally.fetch_sub(Tally::ONE_JOINING, Ordering::AcqRel);
    }

    /// Exchanges the list for one with `added` and without `removed`.
    fn relist(&self, added: Option<&Arc<Member>>, removed: Option<ConnectionId>) {
        let guard = pin();
        loop {
            let view = self.others.load(&guard);
            let new = match (view, added) {
                (View::Empty, Some(member)) => Owned::Leaf(Arc::clone(member)),
                (View::Leaf(only), None) if Some(only.id) == removed => Owned::Empty,
                (view, added) => relisted(view, added, removed),
            };
            if self.others.compare_exchange(view, new, &guard).is_ok() {
                return;
            }
        }
    }

    /// Calls `f` for every listed connection.
    pub(crate) fn for_each(&self, mut f: impl FnMut(&Member)) {
        if self.first.is_listed() {
            f(&self.first);
        }
        if self.others.is_empty() {
            return;
        }
        let guard = pin();
        match self.others.load(&guard) {
            View::Empty => {}
            View::Leaf(only) => f(&only),
            View::Node(several) => several.iter().for_each(|member| f(member)),
        }
    }

    /// Takes one connection off the live count; the last one closes the lane in the same step,
    /// unless the lane keeps its events and can have more. Gives what the step left.
    fn depart(&self) -> State {
        let mut state = self.load();
        loop {
            let next = if broken("vacant-but-open") {
                State(state.0 - State::ONE_LIVE)
            } else {
                state.without_one()
            };
            match self
                .state
                .compare_exchange(state.0, next.0, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return next,
                Err(now) => state = State(now),
            }
        }
    }

    /// Closes one connection from anywhere.
    pub(crate) fn close(&self, member: &Member, reason: CloseReason) -> Departure {
        if !member.close(reason) {
            return Departure::Before;
        }
        let left = self.depart();
        // Before it is told, because then nobody finds a lane's own member any more, to wake it.
        if !broken("close-without-wake") {
            member.wake.wake();
        }
        let owner_is_gone = member.set_left_at(left.seq());
        let departure = if left.live() == 0 {
            Departure::Last {
                accepted: self.end(left.seq()),
            }
        } else {
            if !std::ptr::eq(member, &raw const self.first) {
                self.relist(None, Some(member.id));
            }
            if left.connections() == 0 {
                Departure::Deserted
            } else {
                Departure::OneOfSeveral
            }
        };
        if owner_is_gone && !broken("leave-it-to-the-owner") {
            self.count_out_of(member.cursor.load(Ordering::Acquire), left.seq());
        }
        departure
    }

    /// Empties a lane in which nobody is counted any more, and takes its figures.
    #[inline]
    fn end(&self, seq: u64) -> u64 {
        self.vacate(seq);
        let before = Tally(self.tally.fetch_or(Tally::RETIRED, Ordering::AcqRel));
        self.public(seq) - before.voided()
    }

    /// Counts a closed connection, whose owner has read up to `cursor` and goes, out of what it has
    /// not read. If the closer has not told yet where it ends, the closer does it.
    pub(crate) fn count_out(&self, member: &Member, cursor: u64) {
        if let Some(end) = member.go() {
            self.count_out_of(cursor, end);
        }
    }

    fn count_out_of(&self, cursor: u64, end: u64) {
        // Numbers a lap before the end that it had not read were overwritten then.
        for number in cursor.max(end - self.ring.capacity())..end {
            if !broken("leave-unresolved") {
                self.resolve(number);
            }
            drop(self.ring.count_out(number));
        }
    }

    /// Empties a lane that is closed and has no connection left.
    fn vacate(&self, seq: u64) {
        let capacity = self.ring.capacity();
        for number in seq - capacity..seq {
            // Others count themselves out of what comes yet; an archive does not.
            if number >= capacity && self.archive.is_some() {
                self.resolve(number);
            }
            drop(self.ring.clear(number));
            // Who has left may not have counted itself out of an older one.
            drop(self.ring.clear_slot(number));
        }
    }

    /// Refuses events and connections from now on; what was accepted can be read. `true` if new.
    pub(crate) fn shut(&self) -> bool {
        let before = State(self.state.fetch_or(State::CLOSED, Ordering::AcqRel));
        self.wake();
        !before.is_closed()
    }

    // ---- figures ----

    /// The words of the lane, for people.
    pub(crate) fn dump(&self, out: &mut impl fmt::Write) -> fmt::Result {
        let state = self.load();
        writeln!(
            out,
            "  seq {} live {} archived {} waiting {} closed {} voided {}",
            self.public(state.seq()),
            state.connections(),
            state.is_archived(),
            state.waiting(),
            state.is_closed(),
            self.tally().voided(),
        )?;
        let mut done = Ok(());
        self.for_each(|m| {
            if done.is_ok() {
                done = writeln!(
                    out,
                    "  connection {} at {} missed {} {:?} {:?}",
                    m.id,
                    self.public(m.cursor.load(Ordering::Acquire)),
                    m.missed.load(Ordering::Relaxed),
                    m.thread,
                    m.closed(),
                );
            }
        });
        done?;
        let first = (state.seq() - self.ring.capacity()).max(self.ring.capacity());
        for number in first..state.seq() {
            writeln!(
                out,
                "  {}: {}",
                self.public(number),
                self.ring.describe(number)
            )?;
        }
        Ok(())
    }

    /// Goes on from so many numbers before the last one.
    #[cfg(all(test, not(any(laneway_loom, laneway_shuttle))))]
    pub(crate) fn skip_to_last(&self, before: u64) {
        let on = State::LAST_NUMBER - before - self.load().seq();
        self.state
            .fetch_add(on * State::ONE_NUMBER, Ordering::AcqRel);
    }

    #[cfg(all(test, laneway_loom))]
    pub(crate) fn is_closed(&self) -> bool {
        self.load().is_closed()
    }

    /// Live connections.
    pub(crate) fn live(&self) -> usize {
        self.load().connections().into()
    }

    /// Whether nobody is counted any more, not even an archive.
    pub(crate) fn is_over(&self) -> bool {
        self.load().live() == 0
    }

    /// Events accepted so far, unless the figures were taken over.
    pub(crate) fn accepted(&self) -> u64 {
        let tally = self.tally();
        if tally.is_retired() {
            return 0;
        }
        self.public(self.load().seq())
            .saturating_sub(tally.voided())
    }
}
