//! The common parts of the lane's models: numbered events that are counted, a lane of two events with
//! arenas of two slots, and readers that write down what they get.

use std::cell::Cell;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::super::Beside;
use super::super::about::About;
use super::super::archive::Archive;
use super::super::audience::Audience;
use super::super::claim::{Claim, Offer};
use super::super::conflation::Conflation;
use super::super::core::Lane;
use super::super::member::Member;
use super::super::member::{Ghost, Seat};
use super::super::outcome::{Accepted, Refusal, Terms};
use super::super::reader::Reader as Way;
use super::super::rule::Rule;
use crate::error::CloseReason;
use crate::id::{ConflationKey, ConnectionId, ThreadId};

mod check;
mod reader;

pub(super) use check::{all_read, clean, end, exact, exact_r};
pub(super) use reader::{Left, Reader, Step};

/// The number that a model gives to its lane's first event.
pub(super) const FIRST: u64 = 10;

#[derive(Default)]
pub(super) struct Counts {
    pub(super) made: AtomicU64,
    pub(super) gone: AtomicU64,
    /// Clones that panic from now on.
    pub(super) panics: AtomicU64,
}

/// An event. Its counts tell that each is dropped once.
pub(super) struct Ev {
    pub(super) id: u64,
    counts: &'static Counts,
}

impl Ev {
    pub(super) fn new(id: u64, counts: &'static Counts) -> Self {
        counts.made.fetch_add(1, Relaxed);
        Self { id, counts }
    }
}
impl Clone for Ev {
    fn clone(&self) -> Self {
        if self.counts.panics.load(Relaxed) > 0 {
            self.counts.panics.fetch_sub(1, Relaxed);
            std::panic::resume_unwind(Box::new("a host's panic"));
        }
        Self::new(self.id, self.counts)
    }
}
impl Drop for Ev {
    fn drop(&mut self) {
        self.counts.gone.fetch_add(1, Relaxed);
    }
}

pub(super) fn counts() -> &'static Counts {
    Box::leak(Box::default())
}

/// A lane and whether its own member was given away.
#[derive(Clone)]
pub(super) struct L {
    lane: Arc<Lane<Ev>>,
    next_id: Arc<Cell<u64>>,
}

impl Deref for L {
    type Target = Lane<Ev>;
    fn deref(&self) -> &Lane<Ev> {
        &self.lane
    }
}

/// A lane of two events, with arenas of two slots.
pub(super) fn lane() -> L {
    lane_of(2, 2)
}

pub(super) fn lane_of(capacity: usize, arena_len: u32) -> L {
    lane_with(capacity, arena_len, true, false)
}

/// A lane of two events that keeps what is read, with arenas of so many slots.
pub(super) fn kept_lane(arena_len: u32) -> L {
    lane_with(2, arena_len, true, true)
}

/// A lane that keeps what is read, made for no connection.
pub(super) fn deserted_lane() -> L {
    lane_with(2, 2, false, true)
}

/// A lane of four events that remembers two keys.
pub(super) fn conflating_lane() -> L {
    let conflation = Some(Conflation::new(2));
    let archive = None;
    let beside = Some(Box::new(Beside {
        archive,
        conflation,
        account: None,
    }));
    lane_beside(4, 2, true, beside)
}

fn lane_with(capacity: usize, arena_len: u32, has_first: bool, is_kept: bool) -> L {
    let beside = is_kept.then(|| {
        Box::new(Beside {
            archive: Some(Archive::new(1, capacity, None)),
            conflation: None,
            account: None,
        })
    });
    lane_beside(capacity, arena_len, has_first, beside)
}

fn lane_beside(capacity: usize, arena_len: u32, has_first: bool, beside: Option<Box<Beside>>) -> L {
    let first = has_first.then_some((ConnectionId(1), None));
    L {
        lane: Arc::new(Lane::with_arenas(capacity, arena_len, first, beside)),
        next_id: Arc::new(Cell::new(if has_first { 1 } else { 2 })),
    }
}

pub(super) type Done = Vec<(u64, u64)>;

/// Any connection's member.
#[derive(Clone)]
pub(super) struct MemberRef(Seat);

fn terms(critical: bool, refuse: bool) -> Terms {
    Terms {
        evict: !refuse,
        critical,
        wake: true,
    }
}

impl L {
    fn number(&self, number: u64) -> u64 {
        self.public(number) + FIRST
    }

    /// The next number, as the model counts.
    pub(super) fn clock(&self) -> u64 {
        self.number(self.load().seq())
    }

    pub(super) fn is_burst(&self) -> bool {
        self.load().is_burst()
    }

    /// Connections that count as asleep.
    pub(super) fn sleepers(&self) -> u8 {
        self.load().waiting()
    }

    pub(super) fn count(&self) -> usize {
        Arc::strong_count(&self.lane)
    }

    pub(super) fn join(&self) -> Option<Reader> {
        self.join_attached(None)
    }

    /// Joins with a connection that is attached to a thread. The lane's own is attached to none.
    pub(super) fn join_attached(&self, thread: Option<ThreadId>) -> Option<Reader> {
        let id = self.next_id.get();
        self.next_id.set(id + 1);
        let (seat, cursor): (Seat, u64) = if id == 1 {
            (None, self.load().seq())
        } else {
            let cursor = self.lane.join(255).ok()?;
            let member = {
                let about = About::of(thread.into_iter().collect(), None);
                Member::new(ConnectionId(id), about.as_deref(), cursor)
            };
            (Some(Arc::new(member)), cursor)
        };
        Some(self.listed(seat, cursor, None))
    }

    /// Joins in the place of the connection with this id, if that one is open.
    pub(super) fn take_over(&self, id: u64) -> Option<Reader> {
        let ghost = self.lane.take_over(ConnectionId(id))?;
        let seat = Arc::new(Member::new(ConnectionId(id), None, ghost.end));
        Some(self.listed(Some(seat), ghost.end, Some(&ghost)))
    }

    /// As `take_over`. Returns the threads of the connection that it takes over from.
    pub(super) fn take_over_with_threads(&self, id: u64) -> Option<(Reader, Vec<ThreadId>)> {
        let ghost = self.lane.take_over(ConnectionId(id))?;
        let threads = self.threads_of(&ghost);
        let seat = Arc::new(Member::new(ConnectionId(id), None, ghost.end));
        Some((self.listed(Some(seat), ghost.end, Some(&ghost)), threads))
    }

    pub(super) fn member_at<'a>(&'a self, member: &'a MemberRef) -> &'a Member {
        self.lane.member(&member.0)
    }

    fn listed(&self, seat: Seat, cursor: u64, ghost: Option<&Ghost>) -> Reader {
        self.list(&seat, ghost);
        let way = Way::new(cursor);
        let cursor = self.number(cursor);
        Reader {
            way,
            lane: self.clone(),
            member: MemberRef(seat),
            joined: cursor,
            cursor,
            got: Vec::new(),
            missed: 0,
            gone: 0,
        }
    }

    pub(super) fn close_member(&self, member: &MemberRef) {
        self.lane
            .close(self.lane.member(&member.0), CloseReason::Evicted, None);
    }

    pub(super) fn claim(&self, refuse: bool) -> Result<Claim<'static, Ev>, Refusal> {
        let claim = self.lane.claim_only(terms(false, refuse))?;
        Ok(forever(claim))
    }

    pub(super) fn publish_as(
        &self,
        event: Ev,
        critical: bool,
        refuse: bool,
    ) -> Result<u64, Refusal> {
        let done = self
            .lane
            .append(event, None, terms(critical, refuse), |done| done);
        done.map(|done| done.number + FIRST).map_err(|r| r.why)
    }

    /// Publishes an event for some of the connections.
    pub(super) fn publish_for(
        &self,
        event: Ev,
        audience: Option<Audience>,
        refuse: bool,
    ) -> Result<Accepted, Refusal> {
        let rule = audience.map(|audience| {
            Box::new(Rule {
                audience: Some(audience),
                ..Rule::default()
            })
        });
        let terms = terms(false, refuse);
        let done = self.lane.append(event, rule, terms, |done| done);
        done.map_err(|r| r.why)
    }

    /// Publishes the newest event of the one key.
    pub(super) fn publish_latest(&self, event: Ev) -> u64 {
        let key = ConflationKey::new("key").expect("valid");
        let append = |newest| {
            let rule = Rule {
                newest: Some(newest),
                ..Rule::default()
            };
            let rule = Some(Box::new(rule));
            self.lane
                .append(event, rule, Terms::OVERWRITE, |done| done.ok())
                .expect("accepted")
                .number
        };
        let conflation = self.conflation().expect("a lane that conflates");
        let number = |done: &u64| Some(self.internal(*done));
        conflation.latest(&key, 0, append, number) + FIRST
    }

    pub(super) fn publish_barrier(&self, event: Ev) -> u64 {
        let append = || self.publish_as(event, false, false).expect("accepted");
        let conflation = self.conflation().expect("a lane that conflates");
        let number = |done: &u64| Some(self.internal(*done - FIRST));
        conflation.barrier(append, number, || self.last_number())
    }

    /// Counts the archive out of the numbers below `to`, as a sweep does that finds them too old.
    pub(super) fn release_below(&self, to: u64) {
        let archive = self.archive().expect("a lane with an archive");
        drop(self.lane.release(archive, self.internal(to - FIRST)));
    }

    /// The end of a lane whose connections have left.
    pub(super) fn expire_now(&self) {
        assert!(self.expire().is_some(), "the archive leaves");
    }

    /// Whether the lane has given its arenas back.
    pub(super) fn is_bare(&self) -> bool {
        self.root.is_empty()
    }

    pub(super) fn told(&self) -> String {
        let mut text = String::new();
        self.dump(&mut text).expect("a string takes all");
        text
    }
}

pub(super) fn spawn<T: 'static>(f: impl FnOnce() -> T + 'static) -> loom::thread::JoinHandle<T> {
    loom::thread::spawn(f)
}

pub(super) fn publish(lane: &L, counts: &'static Counts, id: u64, done: &mut Done) {
    match lane.publish_as(Ev::new(id, counts), false, false) {
        Ok(number) => done.push((number, id)),
        Err(why) => panic!("refused {why:?}: {}", lane.told()),
    }
}

/// Fills a claim late. `false`: its number was passed over.
pub(super) fn finish(
    lane: &L,
    claim: Claim<'static, Ev>,
    counts: &'static Counts,
    id: u64,
    critical: bool,
    done: &mut Done,
) -> bool {
    let number = lane.number(claim.state.seq());
    let event = Ev::new(id, counts);
    match claim.fill(event, None, terms(critical, false)) {
        Ok(()) => {
            done.push((number, id));
            true
        }
        Err(_) => {
            lane.give_up(&claim);
            false
        }
    }
}

/// Writes the event of a claim, and is never heard of again.
pub(super) fn half(claim: &Claim<'static, Ev>, counts: &'static Counts) {
    Lane::fill_half(
        claim,
        Offer {
            event: Ev::new(0, counts),
            rule: None,
        },
    );
}

/// A claim that does not borrow the lane. Models keep their lane longer than their claims.
#[allow(unsafe_code)]
fn forever(claim: Claim<'_, Ev>) -> Claim<'static, Ev> {
    // SAFETY: only the lifetime changes, and every model holds its lane until the claim is done.
    unsafe { std::mem::transmute(claim) }
}
