//! A lane: its words, and the figures that can be read from them.

use std::fmt;

use super::audience::Audience;
use super::beside::Beside;
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

/// One user's bounded, sequenced log of events.
// The order of the fields is that of their use. A publish and a receive of a user with one
// connection touch the last fields from `run` on, and the first member up to its cursor.
#[repr(C)]
pub(crate) struct Lane<E: 'static> {
    /// The archive and the table of keys, in a lane that has one of them.
    pub(super) beside: Option<Box<Beside>>,
    /// All members but `first`, as a list that is copied to be changed.
    pub(super) others: Link<Member, Members>,
    /// A [`Tally`]: the numbers that became void.
    pub(super) tally: AtomicU64,
    /// A [`Transit`]: connections that are joining or leaving.
    pub(super) transit: AtomicU64,
    /// A power of two. A reader may be so many numbers behind before it misses events.
    pub(super) capacity: u32,
    /// The slots of each arena. A power of two.
    pub(super) arena_len: u32,
    /// The pointer to the directory, which lists the arenas. Null until the first burst.
    pub(super) root: Root<E>,
    /// A [`Run`]: the arena in which new events lie during a burst.
    pub(super) run: AtomicU64,
    /// The slot through which events pass while no burst is on.
    pub(super) hot: Slot<E>,
    /// A [`State`]: the word that decides every race of the lane.
    pub(super) state: AtomicU64,
    /// The connection that the lane was made for. Most users have no other.
    pub(super) first: Member,
}

/// Returns the number of slots of an arena, for a lane of this capacity.
///
/// A larger arena makes a burst change arenas less often. A smaller one bounds the work of a
/// publish: it scans the slots of an arena when it looks for one, and drops up to so many events
/// when it evicts one. A quarter of the capacity serves both, between 16 and 256.
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
    /// Creates a lane whose first connection is already counted.
    ///
    /// If the connection joined after the lane was in the table, another thread could find the lane
    /// open with no connection, and publish into it. With an archive the lane keeps events that
    /// were read, and `first` may be `None`.
    ///
    /// `capacity` is a power of two of at least 2. The first event has the number `capacity`, so
    /// that `number - capacity` never wraps.
    pub(crate) fn new(
        capacity: usize,
        first: Option<Newcomer>,
        beside: Option<Box<Beside>>,
    ) -> Self {
        Self::with_arenas(capacity, arena_len(capacity), first, beside)
    }

    /// As `new`, with a chosen arena length: the models use arenas of two slots.
    pub(super) fn with_arenas(
        capacity: usize,
        arena_len: u32,
        first: Option<Newcomer>,
        beside: Option<Box<Beside>>,
    ) -> Self {
        let is_kept = beside.as_ref().is_some_and(|b| b.archive.is_some());
        debug_assert!(first.is_some() || is_kept);
        debug_assert!(capacity.is_power_of_two() && capacity >= 2);
        let number = capacity as u64;
        let mut state = State::new(number).0;
        let mut transit = 0;
        if first.is_some() {
            state += State::ONE_LIVE;
            transit += Transit::ONE_JOINING;
        }
        if is_kept {
            state += State::ONE_LIVE + State::ARCHIVED;
        }
        let (id, about) = first.unwrap_or((ConnectionId(0), None));
        Self {
            beside,
            others: Link::empty(),
            tally: AtomicU64::new(0),
            transit: AtomicU64::new(transit),
            capacity: capacity as u32,
            arena_len,
            root: Root::new(),
            run: AtomicU64::new(0),
            // `FREE(number - 1)`: the first publisher finds the number before its own read.
            hot: Slot::new(number - 1),
            state: AtomicU64::new(state),
            first: Member::unlisted(id, about.as_deref(), number),
        }
    }

    /// Returns the member of a connection. A connection without a seat is the lane's first one.
    #[inline]
    pub(crate) fn member<'a>(&'a self, seat: &'a Seat) -> &'a Member {
        seat.as_deref().unwrap_or(&self.first)
    }

    #[inline]
    pub(super) fn load(&self) -> State {
        // Acquire: pairs with every exchange on the state. A thread that sees a number claimed also
        // sees the run and the arena that were prepared for it.
        State(self.state.load(Ordering::Acquire))
    }

    #[inline]
    pub(super) fn exchange(&self, from: State, to: State) -> bool {
        // Release: another thread that sees the new state sees what this thread did before.
        // Acquire: this thread sees what the earlier exchanges published.
        self.state
            .compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    pub(super) fn transit(&self) -> Transit {
        // Acquire: pairs with `end_leaving` and `list`. A connection that is no longer counted here
        // has passed its events, or is listed.
        Transit(self.transit.load(Ordering::Acquire))
    }

    pub(super) fn tally(&self) -> Tally {
        Tally(self.tally.load(Ordering::Acquire))
    }

    /// Counts a number that became void. Returns whether the lane's figures were retired before.
    ///
    /// In that case the hub has counted this number as an accepted event, and the caller corrects
    /// the hub.
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

    /// Returns the public form of a number: a lane's first event is number 0.
    #[inline]
    pub(crate) fn public(&self, number: u64) -> u64 {
        number - self.capacity()
    }

    /// Returns the newest number that was claimed. It is below the next one.
    pub(crate) fn last_number(&self) -> u64 {
        self.load().seq() - 1
    }

    /// Returns why a publisher is refused in this state, which refuses.
    #[cold]
    pub(super) fn refusal(&self, state: State) -> Refusal {
        // No connection is counted, so the lane is over. A publisher may have installed a directory
        // after the last connection looked at the root. Without this call the memory stays until
        // the lane is dropped, and a scope can hold the lane for long.
        if state.live() == 0 {
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

    /// Returns why every publisher is refused now, or `None` if the lane takes events.
    #[cold]
    pub(crate) fn refusal_of_all(&self) -> Option<Refusal> {
        let state = self.load();
        state.refuses().then(|| self.refusal(state))
    }

    // ---- figures ----

    /// Returns whether a critical event was evicted that the connection had not read.
    pub(crate) fn is_overrun(&self, member: &Member) -> bool {
        self.lost() >= member.cursor()
    }

    /// Returns the highest critical number that was evicted, or 0.
    pub(super) fn lost(&self) -> u64 {
        // The guard: the caller may count for no number, and a sweep could free the directory under
        // it.
        let guard = pin();
        self.root.load(&guard).map_or(0, Directory::lost)
    }

    /// Returns how many numbers a connection has not read. A closed connection has an end.
    pub(crate) fn unread(&self, member: &Member) -> u64 {
        let end = member.left_at().unwrap_or_else(|| self.load().seq());
        end.saturating_sub(member.cursor())
    }

    /// Returns where the numbers of one connection went: delivered, stepped over, missed, or
    /// unread. Superseded and expired events are among those that were stepped over.
    pub(crate) fn stats(&self, member: &Member, reader: &Reader<E>) -> ConnectionStats {
        let end = member.left_at().unwrap_or_else(|| self.load().seq());
        let (cursor, missed) = (member.cursor(), member.missed());
        ConnectionStats {
            numbers: end - reader.joined_at,
            delivered: cursor - reader.joined_at - missed - reader.stepped_over,
            stepped_over: reader.stepped_over,
            missed,
            unread: end.saturating_sub(cursor),
            ..ConnectionStats::default()
        }
    }

    /// Live connections, without the archive.
    pub(crate) fn live(&self) -> usize {
        self.load().connections().into()
    }

    /// Returns whether neither a connection nor the archive is counted. A lane that is over stays
    /// over.
    pub(crate) fn is_over(&self) -> bool {
        self.load().live() == 0
    }

    /// Returns how many events were accepted, or 0 after the hub has taken the figures over.
    pub(crate) fn accepted(&self) -> u64 {
        // The tally is loaded before `seq`. In the other order a number could be claimed and made
        // void between the two loads, and the difference would be one too low.
        let tally = self.tally();
        if tally.is_retired() {
            return 0;
        }
        self.public(self.load().seq())
            .saturating_sub(tally.voided())
    }

    /// Counts the listed connections that an event is for.
    ///
    /// A connection that was closed because its device resumed counts until its successor is
    /// listed. Otherwise an event for that device would find no connection between the two steps.
    pub(crate) fn count_matching(&self, audience: &Audience) -> usize {
        let mut count = 0;
        self.for_each(|m| count += usize::from(m.is_open_or_replaced() && audience.has_now(m)));
        count
    }

    /// Returns whether a connection is joining: counted, and perhaps not listed yet.
    pub(crate) fn is_joined(&self) -> bool {
        self.transit().joining() > 0
    }

    /// Writes the words of the lane as text, for people.
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
        if let Some(archive) = self.archive() {
            let kept = self.public(archive.floor());
            writeln!(out, "  kept from {kept}")?;
        }
        // The walk cannot be stopped, so the first error is kept.
        let mut done = Ok(());
        self.for_each(|m| {
            if done.is_ok() {
                done = writeln!(
                    out,
                    "  connection {} at {} missed {} {:?} {:?}",
                    m.id,
                    self.public(m.cursor()),
                    m.missed(),
                    m.threads(),
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

    /// Moves a lane and all its connections on, to so many numbers before the last one.
    ///
    /// No other thread uses the lane meanwhile: the words are changed one after the other.
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

#[cfg(all(test, not(any(laneway_loom, laneway_shuttle))))]
mod tests {
    use super::arena_len;

    #[test]
    fn an_arena_has_a_quarter_of_the_capacity_from_16_to_256_slots() {
        let all = [2, 8, 16, 32, 64, 128, 1_024, 2_048, 65_536].map(arena_len);
        assert_eq!(all, [2, 8, 16, 16, 16, 32, 256, 256, 256]);
    }
}
