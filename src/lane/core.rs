//! A lane, and its figures.

use std::fmt;

use super::archive::Archive;
use super::audience::Audience;
use super::directory::{Directory, Root};
use super::member::{Member, Members, Newcomer, Seat};
use super::outcome::Refusal;
use super::reader::Reader;
use super::slot::Slot;
use super::words::{SlotWord, State, Tally, Transit};
use crate::id::ConnectionId;
use crate::stats::ConnectionStats;
use crate::sync::{AtomicU64, Fault, Ordering, broken, pin};
use crate::table::storage::Link;

/// One user's bounded, sequenced log.
// An event of a user with one connection touches the hot slot's event and what stands behind it, up to
// the first member's cursor.
#[repr(C)]
pub(crate) struct Lane<E: 'static> {
    /// Of a lane that keeps what is read.
    pub(super) archive: Option<Box<Archive>>,
    /// All members but the first.
    pub(super) others: Link<Member, Members>,
    pub(super) tally: AtomicU64,
    pub(super) transit: AtomicU64,
    /// Powers of two.
    pub(super) capacity: u32,
    pub(super) arena_len: u32,
    pub(super) root: Root<E>,
    pub(super) run: AtomicU64,
    pub(super) hot: Slot<E>,
    pub(super) state: AtomicU64,
    /// The connection that the lane was made for. Most users have no other.
    pub(super) first: Member,
}

/// Slots of an arena: so many that a burst rarely moves on, and so few that no publish scans or drops
/// more than 256 of them.
const fn arena_len(capacity: usize) -> u32 {
    let quarter = capacity as u32 / 4;
    if capacity < 16 {
        capacity as u32
    } else if quarter < 16 {
        16
    } else if quarter > 256 {
        256
    } else {
        quarter
    }
}

impl<E> Lane<E> {
    /// A lane whose first connection is counted already, so that no lane is open and empty. With an
    /// archive it keeps what is read, and may be made for no connection. `capacity` is a power of two of
    /// at least 2; numbers start at `capacity`.
    pub(crate) fn new(capacity: usize, first: Option<Newcomer>, archive: Option<Archive>) -> Self {
        Self::with_arenas(capacity, arena_len(capacity), first, archive)
    }

    pub(super) fn with_arenas(
        capacity: usize,
        arena_len: u32,
        first: Option<Newcomer>,
        archive: Option<Archive>,
    ) -> Self {
        debug_assert!(first.is_some() || archive.is_some());
        debug_assert!(capacity.is_power_of_two() && capacity >= 2);
        let number = capacity as u64;
        let mut state = State::new(number).0;
        let mut transit = 0;
        if first.is_some() {
            state += State::ONE_LIVE;
            transit += Transit::ONE_JOINING;
        }
        if archive.is_some() {
            state += State::ONE_LIVE + State::ARCHIVED;
        }
        let (id, thread) = first.unwrap_or((ConnectionId(0), None));
        Self {
            archive: archive.map(Box::new),
            others: Link::empty(),
            tally: AtomicU64::new(0),
            transit: AtomicU64::new(transit),
            capacity: capacity as u32,
            arena_len,
            root: Root::new(),
            run: AtomicU64::new(0),
            hot: Slot::new(number - 1),
            state: AtomicU64::new(state),
            first: Member::unlisted(id, thread, number),
        }
    }

    /// The member of a connection that has this seat.
    #[inline]
    pub(crate) fn member<'a>(&'a self, seat: &'a Seat) -> &'a Member {
        seat.as_deref().unwrap_or(&self.first)
    }

    #[inline]
    pub(super) fn load(&self) -> State {
        // Acquire: pairs with every exchange on the state.
        State(self.state.load(Ordering::Acquire))
    }

    #[inline]
    pub(super) fn exchange(&self, from: State, to: State) -> bool {
        // Acquire: what the threads before did is visible. Release: so is what this one did.
        self.state
            .compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    pub(super) fn transit(&self) -> Transit {
        Transit(self.transit.load(Ordering::Acquire))
    }

    pub(super) fn tally(&self) -> Tally {
        Tally(self.tally.load(Ordering::Acquire))
    }

    /// Counts a number that is no event. Returns whether the lane's figures were taken over before.
    pub(super) fn count_void(&self) -> bool {
        Tally(self.tally.fetch_add(1, Ordering::AcqRel)).is_retired()
    }

    #[inline]
    pub(super) fn capacity(&self) -> u64 {
        self.capacity.into()
    }

    #[inline]
    pub(super) fn arena_len(&self) -> u64 {
        self.arena_len.into()
    }

    /// The public form of a number: the first event of a lane is number 0.
    #[inline]
    pub(crate) fn public(&self, number: u64) -> u64 {
        number - self.capacity()
    }

    /// Why a publisher is refused.
    #[cold]
    pub(super) fn refusal(&self, state: State) -> Refusal {
        if state.live() == 0 {
            // A publisher that was late to begin a burst may have left a directory behind the end.
            if !broken(Fault::LeaveTheBurst) {
                self.reclaim_at_end();
            }
            Refusal::Vacant
        } else if state.is_closed() {
            Refusal::Closed
        } else {
            Refusal::Exhausted
        }
    }

    // ---- figures ----

    /// Whether a connection has lost a critical event that it had not read.
    pub(crate) fn is_overrun(&self, member: &Member) -> bool {
        self.lost() >= member.cursor()
    }

    /// The highest critical number that was evicted.
    pub(super) fn lost(&self) -> u64 {
        let guard = pin();
        self.root.load(&guard).map_or(0, Directory::lost)
    }

    /// Numbers not yet read by a connection.
    pub(crate) fn unread(&self, member: &Member) -> u64 {
        let end = member.left_at().unwrap_or_else(|| self.load().seq());
        end.saturating_sub(member.cursor())
    }

    /// Where the numbers of one connection went.
    pub(crate) fn stats(&self, member: &Member, reader: &Reader<E>) -> ConnectionStats {
        let end = member.left_at().unwrap_or_else(|| self.load().seq());
        let (cursor, missed) = (member.cursor(), member.missed());
        ConnectionStats {
            numbers: end - member.joined_at,
            delivered: cursor - member.joined_at - missed - reader.stepped_over,
            stepped_over: reader.stepped_over,
            missed,
            unread: end.saturating_sub(cursor),
            replayed: 0,
        }
    }

    /// Live connections.
    pub(crate) fn live(&self) -> usize {
        self.load().connections().into()
    }

    /// Whether no connection is counted any more, and no archive.
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

    /// Listed connections that an event is for, of those that are open or about to be replaced.
    pub(crate) fn count_matching(&self, audience: &Audience) -> usize {
        let mut count = 0;
        self.for_each(|m| count += usize::from(m.is_open_or_replaced() && audience.has_member(m)));
        count
    }

    /// Whether a connection is about to be listed.
    pub(crate) fn is_joined(&self) -> bool {
        self.transit().joining() > 0
    }

    /// The words of the lane, for people.
    pub(crate) fn dump(&self, out: &mut impl fmt::Write) -> fmt::Result {
        let state = self.load();
        writeln!(
            out,
            "  seq {} live {} waiting {} archived {} closed {} burst {} voided {} leaving {}",
            self.public(state.seq()),
            state.connections(),
            state.waiting(),
            state.is_archived(),
            state.is_closed(),
            state.is_burst(),
            self.tally().voided(),
            self.transit().leaving(),
        )?;
        let mut done = Ok(());
        self.for_each(|m| {
            if done.is_ok() {
                done = writeln!(
                    out,
                    "  connection {} at {} missed {} {:?} {:?}",
                    m.id,
                    self.public(m.cursor()),
                    m.missed(),
                    m.thread,
                    m.closed(),
                );
            }
        });
        done?;
        writeln!(out, "  hot {}", self.describe(self.hot.load()))?;
        let guard = pin();
        let Some(directory) = self.root.load(&guard) else {
            return Ok(());
        };
        let run = self.run();
        writeln!(out, "  run from {} in {}", run.base(), run.arena())?;
        for (i, arena) in directory.arenas() {
            let (word, voids) = (arena.load(), arena.voids());
            write!(out, "  arena {i} {:?} from {}", word.status(), word.base())?;
            write!(out, " pins {} voids {voids}:", word.pins())?;
            for slot in arena.slots() {
                write!(out, " {}", self.describe(slot.load()))?;
            }
            writeln!(out)?;
        }
        Ok(())
    }

    pub(super) fn describe(&self, word: SlotWord) -> String {
        let number = word.number().saturating_sub(self.capacity());
        match (word.is_full(), word.is_void()) {
            (true, _) if word.is_critical() => {
                format!("{number} critical for {}", word.remaining())
            }
            (true, _) => format!("{number} for {}", word.remaining()),
            (_, true) => format!("{number} void"),
            _ => format!("{number} free"),
        }
    }

    /// Goes on from so many numbers before the last one, with all connections. No other thread uses the
    /// lane.
    #[cfg(all(test, not(any(laneway_loom, laneway_shuttle))))]
    pub(crate) fn skip_to_last(&self, before: u64) {
        let state = self.load();
        let to = State::LAST_NUMBER - before;
        assert!(!state.is_burst() && self.hot.load().is_free());
        self.hot.free(to - 1);
        self.for_each(|member| member.advance(to));
        let on = to - state.seq();
        self.state
            .fetch_add(on * State::ONE_NUMBER, Ordering::AcqRel);
    }
}
