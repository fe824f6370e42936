//! The places of a room: an array that grows, in which each taken place leads to an occupant.
//!
//! A place never moves. So a publisher that walks the array comes to each occupant who stays exactly
//! once, whatever joins and leaves go on beside it.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::sync::{AtomicU64, AtomicUsize, Fault, Guard, Ordering, broken, pin};
use crate::table::storage::{Link, OnceLink, Owned, View};

/// The places that a room begins with. Each further segment has as many as there are already.
const FIRST: usize = if cfg!(laneway_loom) { 1 } else { 4 };
/// The places that one word of marks stands for. A walk visits at most so many under one guard.
const WORD: usize = 64;

/// One place.
struct Place<O> {
    /// Empty while the place is free, a node while it is reserved, and then the occupant.
    occupant: Link<O, u16>,
    /// The number of the join that reserved it.
    since: AtomicU64,
}

/// Some of a room's places, and the way to the next ones.
struct Segment<O> {
    places: Box<[Place<O>]>,
    /// A bit for each place: set while it is reserved or taken.
    marks: Box<[AtomicU64]>,
    next: OnceLink<Segment<O>>,
}

/// The places of one room.
pub(super) struct Places<O> {
    first: Segment<O>,
    /// A join begins to look for a free place here. A hint only: a join looks at every place in the end.
    hint: AtomicUsize,
    /// Joins so far.
    joins: AtomicU64,
}

impl<O> Place<O> {
    /// Returns the occupant, unless the user is leaving or came after the join with number `until`.
    #[inline]
    fn occupant_until<'g>(
        &'g self,
        until: u64,
        guard: &'g Guard,
        stays: impl Fn(&O) -> bool,
    ) -> Option<&'g O> {
        let View::Leaf(occupant) = self.occupant.load(guard) else {
            return None;
        };
        // A leave takes the room off the list first and then empties the place. In between the user can
        // join again and have two places. The earlier one is not listed any more.
        if !stays(&occupant) {
            return None;
        }
        // The second look: the leave may have ended between the first look and the one at the list.
        let View::Leaf(again) = self.occupant.load(guard) else {
            return None;
        };
        // The occupant before the number. In the other order the number could be an earlier user's.
        let is_known = self.since.load(Ordering::Acquire) <= until || broken(Fault::VisitNewcomers);
        (is_known && std::ptr::eq(again.get(), occupant.get())).then(|| occupant.get())
    }
}

impl<O> Segment<O> {
    fn new(len: usize) -> Self {
        let place = |_| Place {
            occupant: Link::empty(),
            since: AtomicU64::new(0),
        };
        Self {
            places: (0..len).map(place).collect(),
            marks: (0..len.div_ceil(WORD)).map(|_| AtomicU64::new(0)).collect(),
            next: OnceLink::empty(),
        }
    }

    /// Marks a free place at `from` or behind it. Returns its index, or `None` if there is none.
    fn mark(&self, from: usize) -> Option<usize> {
        for (word, marks) in self.marks.iter().enumerate().skip(from / WORD) {
            let len = (self.places.len() - word * WORD).min(WORD);
            let all = u64::MAX >> (WORD - len);
            let mut free = !marks.load(Ordering::Acquire) & all;
            while free != 0 {
                let bit = free & free.wrapping_neg();
                // Acquire: pairs with the release in `vacate`, so the place is seen empty.
                let before = marks.fetch_or(bit, Ordering::AcqRel);
                if before & bit == 0 {
                    return Some(word * WORD + bit.trailing_zeros() as usize);
                }
                free = !before & all;
            }
        }
        None
    }
}

impl<O> Places<O> {
    pub(super) fn new() -> Self {
        Self {
            first: Segment::new(FIRST),
            hint: AtomicUsize::new(0),
            joins: AtomicU64::new(0),
        }
    }

    fn segments(&self) -> impl Iterator<Item = (usize, &Segment<O>)> {
        let mut base = 0;
        let mut next = Some(&self.first);
        std::iter::from_fn(move || {
            let segment = next?;
            next = segment.next.get();
            let at = base;
            base += segment.places.len();
            Some((at, segment))
        })
    }

    fn segment_of(&self, at: usize) -> (&Segment<O>, usize) {
        let (base, segment) = self
            .segments()
            .find(|(base, segment)| at < base + segment.places.len())
            .expect("a place that was reserved is there");
        (segment, at - base)
    }

    /// Reserves a free place. Returns its number. The caller is counted among at most `limit` members.
    ///
    /// Lock-free: a look that finds no place starts over only if another thread has taken or freed one.
    pub(super) fn reserve(&self, limit: usize, guard: &Guard) -> usize {
        let mut from = self.hint.load(Ordering::Relaxed);
        loop {
            let mut all = 0;
            let mut last = &self.first;
            for (base, segment) in self.segments() {
                (all, last) = (base + segment.places.len(), segment);
                let Some(index) = (from < all)
                    .then(|| segment.mark(from.saturating_sub(base)))
                    .flatten()
                else {
                    continue;
                };
                // Relaxed: a hint.
                self.hint.store(base + index + 1, Ordering::Relaxed);
                let place = &segment.places[index];
                // Before the place is listed, so each thread that finds an occupant here finds this
                // number or a later one.
                let since = self.joins.fetch_add(1, Ordering::AcqRel) + 1;
                place.since.store(since, Ordering::Release);
                // A node of its own: its address tells this reservation from each other one.
                place.occupant.replace(Owned::Node(Box::new(0)), guard);
                return base + index;
            }
            if from > 0 {
                // There may be free places below the hint.
                from = 0;
            } else if all < limit {
                // If another thread is first, its segment stays and this one is dropped.
                last.next.set(Arc::new(Segment::new(all)), guard);
            }
        }
    }

    /// Puts `occupant` into a reserved place, or finds it there. Returns `false` if the place was vacated
    /// before. `is_listed` returns whether the occupant's list has the place.
    ///
    /// The look at the place comes before the look at the list. Between the two, the user may leave, and
    /// another user may reserve the place. The exchange fails then, because each reservation has an
    /// address of its own. Without this, a thread that comes late would put a user who has left into
    /// another one's place.
    pub(super) fn fill(
        &self,
        at: usize,
        occupant: &Arc<O>,
        is_listed: impl Fn() -> bool,
        guard: &Guard,
    ) -> bool {
        let (segment, index) = self.segment_of(at);
        let place = &segment.places[index].occupant;
        if broken(Fault::FillWithoutLooking) {
            place.replace(Owned::Leaf(Arc::clone(occupant)), guard);
            return true;
        }
        loop {
            let view = place.load(guard);
            if !is_listed() {
                return false;
            }
            match view {
                View::Leaf(leaf) if leaf.is(occupant) => return true,
                View::Node(_) => {
                    let new = Owned::Leaf(Arc::clone(occupant));
                    if place.compare_exchange(view, new, guard).is_ok() {
                        return true;
                    }
                }
                // The place was vacated after the look at the list, so the next look finds that.
                View::Empty | View::Leaf(_) => {}
            }
        }
    }

    /// Empties a place, filled or not, and frees it. The caller has taken it off its occupant's list, so
    /// it is the only one that does.
    pub(super) fn vacate(&self, at: usize, guard: &Guard) {
        let (segment, index) = self.segment_of(at);
        segment.places[index].occupant.replace(Owned::Empty, guard);
        // Release: pairs with the exchange in `mark`.
        segment.marks[index / WORD].fetch_sub(1 << (index % WORD), Ordering::AcqRel);
        // Low places are taken first, so the members of a room that shrinks end up in few words.
        if at < self.hint.load(Ordering::Relaxed) {
            self.hint.store(at, Ordering::Relaxed);
        }
    }

    /// Calls `f` with the occupants of a few places at a time, each time under a guard of its own. `stays`
    /// returns whether the occupant's list has the place.
    ///
    /// An occupant who stays from before the call to its end is visited once. One that was put in after
    /// the call began is left out, so a user who leaves and joins again meanwhile is not visited twice.
    pub(super) fn for_each_few(
        &self,
        stays: impl Fn(&O, usize) -> bool,
        mut f: impl FnMut(&[&O], &Guard),
    ) {
        // Acquire: a join that is counted here has seen its user's leave before it. So the walk does not
        // find the user in the earlier place as well.
        let until = self.joins.load(Ordering::Acquire);
        for (base, segment) in self.segments() {
            for (word, marks) in segment.marks.iter().enumerate() {
                let mut marks = marks.load(Ordering::Acquire);
                if marks == 0 {
                    continue;
                }
                let guard = pin();
                let mut occupants = SmallVec::<[&O; WORD]>::new();
                while marks != 0 {
                    let index = word * WORD + marks.trailing_zeros() as usize;
                    marks &= marks - 1;
                    let place = &segment.places[index];
                    let stays = |occupant: &O| stays(occupant, base + index);
                    occupants.extend(place.occupant_until(until, &guard, stays));
                }
                f(&occupants, &guard);
            }
        }
    }
}
