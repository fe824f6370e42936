//! Storage of a lane: slots, cells and payloads. Unsafe code, 3 of 3.
//!
//! With readers that keep up every event passes through the *hot* cell, beside the lane's state: its
//! word says which number comes next, and nothing else of the ring is touched or even allocated. An
//! event that finds the hot cell taken goes into a slot.
//!
//! A slot `i` stands for the numbers that are `i` modulo the capacity. Its word says which number
//! was resolved there last and which *cell* holds that number's event: the slot's own, or one of a few
//! spares that step in while slow or frozen threads hold the others. Slots order events, cells
//! guard payloads; neither is ever waited for.
//!
//! # Invariants
//!
//! 1. A cell's payload is initialized exactly while its word is `Full`, or `Owned` by a thread that
//!    took it over from `Full` and has not moved the payload out yet.
//! 2. Only the thread that exchanged a cell's word from `Free` or from `Full` with no active reader
//!    to `Owned`, or that brought `remaining` to zero, owns it. The owner alone writes the payload,
//!    moves it out, and stores the next word. The hot cell in state `Free(n)` belongs to the
//!    publisher of n + 1, and goes from `Free` to `Owned` only with that number, as that
//!    publisher's still; it gets another number while it is `Free` only once that publisher has its
//!    event elsewhere or can see that its number is barred.
//! 3. A reader is `active` from the exchange that raised `active` until the subtraction that
//!    lowers it; meanwhile nobody owns the cell. `active <= remaining` at all times.
//! 4. A slot's number only grows, so no stale slot word is ever exchanged.
#![allow(unsafe_code)] // Payload cells are uninitialized memory shared by words, not by locks.

use std::cmp::Ordering::{Equal, Greater, Less};
use std::hint::black_box;
use std::mem::MaybeUninit;

use super::Audience;
use super::segments::{Initial, Lazy, Segments};
use super::word::{Cell, CellState, Kind, Slot};
use crate::id::ConnectionId;
use crate::sync::{
    AtomicU64, Ordering, TRIES, UnsafeCell, broken, in_order, load_in_order, pause, with, with_mut,
};

/// The slot's own cell.
const OWN: u8 = 0;
/// Cells that step in for the others, from this one on.
const SPARE: u8 = 1;
const SPARES: u8 = 4;

#[repr(C)]
struct Payload<E> {
    /// Whom the payload is for, if its slot or its word says that it is addressed; else left from
    /// before.
    audience: UnsafeCell<Option<Box<Audience>>>,
    value: UnsafeCell<MaybeUninit<E>>,
    word: AtomicU64,
}

impl<E> Payload<E> {
    fn new(number: u64) -> Self {
        Self {
            word: AtomicU64::new(Cell::free(number).0),
            value: UnsafeCell::new(MaybeUninit::uninit()),
            audience: UnsafeCell::new(None),
        }
    }

    fn load(&self) -> Cell {
        Cell(self.word.load(Ordering::Acquire))
    }

    /// As `load`, after and before other accesses of the one order.
    fn load_in_order(&self) -> Cell {
        Cell(self.word.load(Ordering::SeqCst))
    }

    /// Acquire: pairs with the Release of whoever gave the cell back. Release: a reader that meets
    /// the new word has to see the number that the new owner claimed. In the one order for the hot
    /// cell's sake: who bars a number looks at its slot next.
    fn exchange(&self, from: Cell, to: Cell) -> bool {
        self.word
            .compare_exchange(from.0, to.0, Ordering::SeqCst, Ordering::Relaxed)
            .is_ok()
    }

    /// Takes the cell if it is free.
    #[inline]
    fn acquire(&self, number: u64) -> bool {
        let word = self.load();
        let free = word.state() == CellState::Free;
        if free && broken("acquire-in-two-steps") {
            self.store(Cell::owned(number));
            return true;
        }
        free && self.exchange(word, Cell::owned(number))
    }

    /// Release: pairs with the Acquire of the next owner or reader.
    fn store(&self, to: Cell) {
        self.word.store(to.0, Ordering::Release);
    }

    /// Writes the payload of a cell that the caller owns and that is empty.
    fn write(&self, value: E) {
        with_mut(&self.value, |p| {
            // SAFETY: invariant 2: `Owned` by this thread, so no other reference exists.
            unsafe { (*p).write(value) };
        });
    }

    /// Moves the payload out of a cell that the caller owns and that is initialized.
    fn read(&self) -> E {
        with_mut(&self.value, |p| {
            // SAFETY: invariants 1 and 2: initialized, and this thread alone moves it out, once.
            let value = unsafe { &*p };
            // SAFETY: as above.
            unsafe { value.assume_init_read() }
        })
    }

    /// Moves the payload out, as `read`, and gives the cell back.
    #[inline]
    fn take(&self, number: u64) -> E {
        let event = self.read();
        self.store(Cell::free(number));
        event
    }

    /// The word, `remaining` and `active`, if the event of `number` is in the cell.
    #[inline]
    fn held(&self, number: u64) -> Option<(Cell, u8, u8)> {
        let word = self.load();
        match word.state() {
            CellState::Full { remaining, active } if word.number() == number => {
                Some((word, remaining, active))
            }
            _ => None,
        }
    }

    /// Writes the event, which is there, and its audience into a cell that the caller owns.
    #[inline]
    fn put(&self, entry: Filling<'_>, event: &mut Option<E>) {
        self.write(event.take().expect("an event to publish"));
        if let Some(audience) = entry.audience {
            self.address(audience);
        }
    }

    /// Gets into the cell for connection `id`, which was counted for its event `number`.
    #[inline]
    fn enter(
        &self,
        number: u64,
        id: ConnectionId,
        addressed: bool,
    ) -> Result<Entered<'_, E>, Found> {
        loop {
            let Some((word, remaining, active)) = self.held(number) else {
                return Err(Found::Lapped);
            };
            // With all that remain inside, the entry was evicted: this connection is not among them.
            if active == remaining && !broken("join-evicted") {
                return Err(Found::Lapped);
            }
            let last = remaining == 1;
            let next = if last {
                Cell::owned(number)
            } else {
                word.entered()
            };
            if self.exchange(word, next) {
                let mine = !addressed || self.is_for(id);
                return Ok(Entered {
                    payload: self,
                    number,
                    mine,
                    last,
                });
            }
        }
    }

    /// Takes the event of `number` out; readers that are in it finish.
    fn evict(&self, number: u64) -> Option<E> {
        loop {
            let (word, remaining, active) = self.held(number)?;
            if active == 0 || broken("steal-from-reader") {
                if self.exchange(word, Cell::owned(number)) {
                    return Some(self.take(number));
                }
            // Nobody may join any more, and the last one in it takes the event out.
            } else if self.exchange(word, word.without(remaining - active)) {
                return None;
            }
        }
    }

    /// Names the audience of a cell that the caller owns.
    #[cold]
    fn address(&self, audience: &Audience) {
        let boxed = Some(Box::new(audience.clone()));
        with_mut(&self.audience, |p| {
            // SAFETY: invariant 2: `Owned` by this thread, so no other reference exists.
            unsafe { *p = boxed };
        });
    }

    /// Whether `id` is in the audience of a cell that the caller owns, or is active in.
    #[cold]
    fn is_for(&self, id: ConnectionId) -> bool {
        with(&self.audience, |p| {
            // SAFETY: invariants 2 and 3: this thread owns the cell or is active in it.
            let audience = unsafe { &*p };
            audience.as_ref().is_none_or(|a| a.contains(&id)) || broken("read-what-is-for-others")
        })
    }
}

impl<E> Drop for Payload<E> {
    fn drop(&mut self) {
        if let CellState::Full { .. } = self.load().state() {
            drop(self.read());
        }
    }
}

impl<E> Initial for Payload<E> {
    fn initial(index: usize) -> Self {
        Self::new(index as u64)
    }
}

/// A slot's word and the slot's own cell.
#[repr(C)]
struct Position<E> {
    word: AtomicU64,
    own: Payload<E>,
}

impl<E> Initial for Position<E> {
    fn initial(index: usize) -> Self {
        Self {
            word: AtomicU64::new(Slot::void(index as u64, OWN).0),
            own: Payload::initial(index),
        }
    }
}

impl<E> Position<E> {
    fn load(&self) -> Slot {
        // Acquire, and in the one order for the hot cell's sake.
        Slot(self.word.load(Ordering::SeqCst))
    }
    /// Release: publishes the payload to readers. Acquire on both sides keeps the order of laps. In
    /// the one order: who fills a slot looks next whether the hot cell was kept for it.
    fn exchange(&self, from: Slot, to: Slot) -> bool {
        self.word
            .compare_exchange(from.0, to.0, Ordering::SeqCst, Ordering::Relaxed)
            .is_ok()
    }
}

/// Why a reader did not get into its number's cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// The number is no event.
    Void,
    /// The number was overwritten.
    Lapped,
    /// Nobody has resolved the number yet.
    Unresolved,
    /// The connection is closed, and the event was not for it.
    Closed,
}

/// A reader inside the cell of its number: the last one owns the cell, others share it. Dropping it
/// passes the event; the last one then drops the payload and gives the cell back.
pub(crate) struct Entered<'a, E> {
    payload: &'a Payload<E>,
    number: u64,
    /// Whether the event is for this reader.
    pub(crate) mine: bool,
    last: bool,
}

impl<E> Entered<'_, E> {
    /// The event.
    #[inline]
    pub(crate) fn get(&self) -> &E {
        with(&self.payload.value, |p| {
            // SAFETY: invariants 2 and 3: this reader owns the cell or is active in it, until it is
            // dropped, so nobody writes it; invariant 1: the payload is there.
            let value = unsafe { &*p };
            // SAFETY: as above.
            unsafe { value.assume_init_ref() }
        })
    }
}

impl<E: Clone> Entered<'_, E> {
    /// The event: moved out by the last reader, cloned by the others.
    #[inline]
    pub(crate) fn into_event(self) -> E {
        if !self.last {
            return self.get().clone();
        }
        let (payload, number) = (self.payload, self.number);
        // What is left to do is done here.
        std::mem::forget(self);
        payload.take(number)
    }
}

impl<E> Drop for Entered<'_, E> {
    #[inline]
    fn drop(&mut self) {
        let mut number = self.number;
        if !self.last {
            // Release: what this reader did comes before the owner's move. Acquire: if this is the
            // last reader, the others' reads come before its own move.
            let word = &self.payload.word;
            let before = Cell(word.fetch_sub(Cell::ONE_READER, Ordering::AcqRel));
            let CellState::Full { remaining: 1, .. } = before.state() else {
                return;
            };
            number = before.number();
        }
        drop(self.payload.take(number));
    }
}

/// Where the event of a claimed number is to go.
pub(crate) enum Claim<'a, E> {
    /// Into the hot cell, which expects it.
    Hot(u64),
    Slot(InSlot<'a, E>),
}

/// A cell that the caller owns, for number `number`.
pub(crate) struct InSlot<'a, E> {
    number: u64,
    slot: &'a Position<E>,
    seen: Slot,
    payload: &'a Payload<E>,
    cell: u8,
    held: Held,
    /// The event of this number, whose place it takes, is in the hot cell.
    lap_hot: Option<u64>,
}

/// Events that were overwritten: what the slot named, and what was in the hot cell.
pub(crate) type Evicted<E> = [Option<E>; 2];

/// What goes with an event.
#[derive(Clone, Copy)]
pub(crate) struct Filling<'a> {
    /// The connections that have to pass it: at least one.
    pub(crate) readers: u8,
    pub(crate) kind: Kind,
    pub(crate) audience: Option<&'a Audience>,
}

/// Where the event is that the slot names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Held {
    /// Nobody has still to read it.
    Gone,
    /// In the claimed cell.
    Here,
    /// In another cell, and somebody was in it.
    Elsewhere,
}

impl<E> Claim<'_, E> {
    /// Gives the cell back unused.
    pub(crate) fn release(self) -> Option<E> {
        let Self::Slot(claim) = self else { return None };
        let old = (claim.held == Held::Here).then(|| claim.payload.read());
        claim.payload.store(Cell::free(claim.number));
        old
    }
}

/// The slots and cells of one lane.
// What every event touches stands together, behind the payload.
#[repr(C)]
pub(crate) struct Ring<E> {
    hot: Payload<E>,
    /// No number up to this one may come into the hot cell any more, unless it is there.
    barred: AtomicU64,
    /// A power of two.
    capacity: u64,
    overflow: Lazy<Overflow<E>>,
}

/// What a lane needs once an event has not gone through the hot cell.
struct Overflow<E> {
    slots: Segments<Position<E>, 4>,
    spares: Segments<Payload<E>, 1>,
    /// The highest critical number that was overwritten before everybody had read it.
    lost: AtomicU64,
}

impl<E> Overflow<E> {
    fn new(capacity: usize) -> Self {
        Self {
            slots: Segments::new(capacity),
            spares: Segments::new(SPARES.into()),
            lost: AtomicU64::new(0),
        }
    }

    /// Where the slot of `number` is.
    #[inline]
    fn index(&self, number: u64) -> usize {
        number as usize & (self.slots.len() - 1)
    }

    #[inline]
    fn slot(&self, number: u64) -> &Position<E> {
        self.slots.get(self.index(number))
    }

    /// The slot of `number`, if there is one yet.
    #[inline]
    fn peek(&self, number: u64) -> Option<&Position<E>> {
        self.slots.peek(self.index(number))
    }

    /// The cell of a slot, by the ring's numbering.
    #[inline]
    fn cell<'a>(&'a self, slot: &'a Position<E>, cell: u8) -> &'a Payload<E> {
        match cell {
            OWN => &slot.own,
            spare => self.spare(spare),
        }
    }

    /// The cell that a slot's word names.
    #[inline]
    fn payload(&self, seen: Slot) -> &Payload<E> {
        self.cell(self.slot(seen.number()), seen.cell())
    }

    #[cold]
    fn spare(&self, cell: u8) -> &Payload<E> {
        self.spares.get((cell - SPARE).into())
    }

    #[cold]
    fn claim_spare<'a>(&'a self, mut claim: InSlot<'a, E>) -> Result<InSlot<'a, E>, ()> {
        for cell in (0..SPARES).map(|spare| SPARE + spare) {
            (claim.payload, claim.cell) = (self.spare(cell), cell);
            if claim.payload.acquire(claim.number) {
                return Ok(claim);
            }
        }
        Err(())
    }

    /// Notes that a critical event is about to be overwritten. Whoever finds it gone sees the note.
    #[inline]
    fn lose(&self, number: u64, is_critical: bool) {
        if is_critical && !broken("forget-critical") {
            self.lost.fetch_max(number, Ordering::AcqRel);
        }
    }

    fn lose_if_unread(&self, seen: Slot) {
        if seen.is_critical() && self.payload(seen).held(seen.number()).is_some() {
            self.lose(seen.number(), true);
        }
    }

    /// Takes the event of a slot that has moved on out of its cell; readers that are in it finish.
    fn evict(&self, old: Slot) -> Option<E> {
        if old.is_void() {
            return None;
        }
        self.payload(old).evict(old.number())
    }
}

impl<E> Ring<E> {
    /// `capacity` is a power of two of at least 2; numbers start at `capacity`.
    pub(crate) fn new(capacity: usize) -> Self {
        debug_assert!(capacity.is_power_of_two() && capacity >= 2);
        Self {
            capacity: capacity as u64,
            overflow: Lazy::new(),
            hot: Payload::new(capacity as u64 - 1),
            barred: AtomicU64::new(0),
        }
    }

    #[inline]
    pub(crate) fn capacity(&self) -> u64 {
        self.capacity
    }

    #[inline]
    fn overflow(&self) -> &Overflow<E> {
        self.overflow
            .get_or(|| Overflow::new(self.capacity as usize))
    }

    /// Brings the hot cell into the cache.
    #[inline]
    pub(crate) fn fetch(&self) {
        black_box(self.hot.word.load(Ordering::Relaxed));
    }

    /// Brings the slot of `number` into the cache, if that is where it would go.
    #[inline]
    pub(crate) fn fetch_slot(&self, number: u64) {
        if !self.expects(number) {
            black_box(self.resolved(number));
        }
    }

    // ---- the hot cell ----

    /// Whether the event of `number` goes into the hot cell. Nothing a lap older is unread then.
    #[inline]
    pub(crate) fn expects(&self, number: u64) -> bool {
        let (word, barred) = load_in_order(&self.hot.word, &self.barred);
        let is_next = word == Cell::free(number - 1).0;
        let is_free = || Cell(word).state() == CellState::Free;
        (is_next || (broken("expect-anybody") && is_free())) && barred < number
    }

    /// The hot cell's word, if it expects a number below this one that cannot come into it any more.
    #[inline]
    fn idle_hot(&self, number: u64) -> Option<Cell> {
        let word = self.hot.load();
        (word.state() == CellState::Free && self.is_idle(word, number)).then_some(word)
    }

    #[cold]
    fn is_idle(&self, word: Cell, number: u64) -> bool {
        let expected = word.number() + 1;
        expected < number && (self.resolved(expected) || broken("re-arm-too-early"))
    }

    /// Sees to it that no number up to this one comes into the hot cell any more. Gives the word of
    /// the hot cell, in which one of them may be.
    fn bar(&self, number: u64) -> Cell {
        let mut word = self.hot.load();
        if word.number() > number {
            return word;
        }
        if !broken("bar-without-note") {
            // And not the next one: that a cell which is given back is free for it says nothing of
            // what is a lap older.
            let next = number + u64::from(!broken("bar-but-the-next"));
            self.barred.fetch_max(next, Ordering::SeqCst);
            in_order();
            word = self.hot.load_in_order();
        }
        while word.state() == CellState::Free && word.number() < number {
            let expected = word.number() + 1;
            if self.resolved(expected) || broken("note-without-bar") {
                break;
            }
            // In the hands of the publisher of that number as before, who sees it now.
            if self.hot.exchange(word, Cell::owned(expected)) {
                in_order();
                if self.event(expected).is_some() {
                    self.return_hot(expected);
                }
                break;
            }
            word = self.hot.load_in_order();
        }
        word
    }

    /// Gives the hot cell back that was kept for `number`, which came elsewhere or not at all, or
    /// that would be kept for it by who is about to bar it.
    #[inline]
    fn return_hot(&self, number: u64) {
        in_order();
        loop {
            let (word, barred) = load_in_order(&self.hot.word, &self.barred);
            let word = Cell(word);
            let is_kept = word == Cell::owned(number);
            let may_be = barred > number && word == Cell::free(number - 1);
            let is_mine = is_kept || (may_be && !broken("return-what-is-kept-only"));
            if !is_mine || self.hot.exchange(word, Cell::free(number)) {
                return;
            }
        }
    }

    /// Whether the hot cell has gone past `number`.
    pub(crate) fn is_behind(&self, number: u64) -> bool {
        let word = self.hot.load();
        word.number() > number || word == Cell::free(number)
    }

    /// The number, if any, whose place `number` takes and whose event is in the hot cell. No other
    /// comes there any more.
    #[inline]
    fn lap_hot(&self, number: u64, seen: Slot) -> Option<u64> {
        let before = number - self.capacity();
        if seen.number() >= before || broken("lap-without-bar") {
            return None;
        }
        self.find_lap_hot(before)
    }

    #[cold]
    fn find_lap_hot(&self, before: u64) -> Option<u64> {
        let word = self.bar(before);
        let older = before.checked_sub(word.number())?;
        (word.is_full() && older & (self.capacity() - 1) == 0).then(|| word.number())
    }

    /// Notes that the event of `number` is about to be overwritten in the hot cell.
    fn lose_hot(&self, overflow: &Overflow<E>, number: u64) {
        if let Some((word, ..)) = self.hot.held(number) {
            overflow.lose(number, word.is_critical());
        }
    }

    /// Whether no event has needed a slot yet.
    #[cfg(all(test, not(any(laneway_loom, laneway_shuttle))))]
    pub(crate) fn has_no_slots(&self) -> bool {
        self.overflow.peek().is_none()
    }

    /// Whether the hot cell is with the publisher of `number`.
    #[cfg(all(test, laneway_loom))]
    pub(crate) fn has_kept_hot(&self, number: u64) -> bool {
        self.hot.load() == Cell::owned(number)
    }

    /// Leaves the hot cell with a publisher that never comes back.
    #[cfg(all(test, laneway_loom))]
    pub(crate) fn lose_hot_cell(&self) {
        self.hot.store(Cell::owned(self.capacity - 1));
    }

    // ---- claiming and filling ----

    /// Takes a cell for `number`. The event that is a lap older is taken over if `evict`. The hot
    /// cell is left alone unless `hot`.
    ///
    /// `None`: the number is resolved already, the event that is a lap older is wanted and not to
    /// be evicted, or no cell is to be had.
    #[inline]
    pub(crate) fn claim(&self, number: u64, evict: bool, hot: bool) -> Option<Claim<'_, E>> {
        if hot && self.expects(number) {
            return Some(Claim::Hot(number));
        }
        self.claim_slot(number, evict, hot)
    }

    #[inline]
    fn claim_slot(&self, number: u64, evict: bool, hot: bool) -> Option<Claim<'_, E>> {
        for _ in 0..TRIES {
            match self.try_claim(number, evict, hot) {
                Ok(claim) => return claim,
                Err(()) => pause(),
            }
        }
        None
    }

    /// One look at the cells in question. `Err`: somebody was faster everywhere.
    #[inline]
    fn try_claim(&self, number: u64, evict: bool, hot: bool) -> Result<Option<Claim<'_, E>>, ()> {
        let overflow = self.overflow();
        let slot = overflow.slot(number);
        let seen = slot.load();
        if seen.number() >= number {
            return Ok(None);
        }
        let lap_hot = if hot {
            self.lap_hot(number, seen)
        } else {
            None
        };
        if let Some(lap) = lap_hot {
            if !evict && !broken("overwrite-when-full") {
                return Ok(None);
            }
            self.lose_hot(overflow, lap);
        }
        let mut claim = InSlot {
            number,
            slot,
            seen,
            payload: overflow.cell(slot, seen.cell()),
            cell: seen.cell(),
            held: Held::Gone,
            lap_hot,
        };
        // A publisher whose number was voided stands before its cell in state `Full`, and the cell
        // is still that publisher's.
        if (!seen.is_void() || broken("steal-from-void"))
            && let Some((word, _, active)) = claim.payload.held(seen.number())
        {
            if !evict && !broken("overwrite-when-full") {
                return Ok(None);
            }
            overflow.lose(seen.number(), seen.is_critical());
            if active == 0 || broken("steal-from-reader") {
                claim.held = Held::Here;
                let stolen = claim.payload.exchange(word, Cell::owned(number));
                return if stolen {
                    Ok(Some(Claim::Slot(claim)))
                } else {
                    Err(())
                };
            }
            claim.held = Held::Elsewhere;
        }
        let gone = lap_hot.is_none() && claim.held == Held::Gone;
        if hot
            && gone
            && let Some(word) = self.idle_hot(number)
        {
            let before = number - self.capacity();
            if seen.number() < before && !broken("re-arm-over-the-unresolved") {
                // It may have a publisher that is slow, and must not come to be unread beside this.
                claim.seen = Slot::void(before, seen.cell());
                if !slot.exchange(seen, claim.seen) {
                    return Err(());
                }
            }
            let is_armed = self.hot.exchange(word, Cell::free(number - 1));
            if is_armed && (self.expects(number) || broken("re-arm-without-looking")) {
                return Ok(Some(Claim::Hot(number)));
            }
        }
        (claim.payload, claim.cell) = (&slot.own, OWN);
        if !claim.payload.acquire(number) {
            claim = overflow.claim_spare(claim)?;
        }
        Ok(Some(Claim::Slot(claim)))
    }

    /// Whether a connection that stands at `cursor` has lost a critical event.
    pub(crate) fn has_lost(&self, cursor: u64) -> bool {
        let overflow = self.overflow.peek();
        overflow.is_some_and(|overflow| overflow.lost.load(Ordering::Acquire) >= cursor)
    }

    /// The first critical event that is still there, from `from` up to below `to`.
    pub(crate) fn first_critical(&self, from: u64, to: u64) -> Option<u64> {
        let last = to.min(from + self.capacity());
        let slots = (from..last).filter_map(|number| self.seen(number));
        let slots = slots.filter(|seen| seen.is_critical());
        let hot = self.hot.load();
        let hot = match hot.state() {
            CellState::Full { remaining, active } if remaining > active && hot.is_critical() => {
                Some(hot.number())
            }
            _ => None,
        };
        let numbers = slots.map(Slot::number).chain(hot);
        numbers.filter(|number| (from..to).contains(number)).min()
    }

    /// Publishes `event`, which is there, under the claimed number. `false`: the number was voided
    /// meanwhile, and the event is back in its option. What was overwritten is in `evicted` either
    /// way.
    #[inline]
    pub(crate) fn fill(
        &self,
        claim: &Claim<'_, E>,
        entry: Filling<'_>,
        event: &mut Option<E>,
        evicted: &mut Evicted<E>,
    ) -> bool {
        let claim = match claim {
            Claim::Hot(number) => return self.fill_hot(*number, entry, event),
            Claim::Slot(claim) => claim,
        };
        let (number, payload) = (claim.number, claim.payload);
        if claim.held == Held::Here {
            evicted[0] = Some(payload.read());
        }
        payload.put(entry, event);
        payload.store(Cell::full(number, entry.readers));
        let next = Slot::full(number, claim.cell, entry.kind, entry.audience.is_some());
        if !claim.slot.exchange(claim.seen, next) {
            // The slot never named the cell, so it is still this thread's alone.
            *event = Some(payload.take(number));
            return false;
        }
        if claim.held == Held::Elsewhere {
            evicted[0] = self.overflow().evict(claim.seen);
        }
        if let Some(lap) = claim.lap_hot {
            evicted[1] = self.hot.evict(lap);
        }
        self.return_hot(number);
        true
    }

    #[inline]
    fn fill_hot(&self, number: u64, entry: Filling<'_>, event: &mut Option<E>) -> bool {
        self.hot.put(entry, event);
        let full = Cell::hot(number, entry.readers, entry.kind, entry.audience.is_some());
        if self.hot.exchange(Cell::free(number - 1), full) {
            return true;
        }
        // Barred meanwhile, and so this thread's alone.
        *event = Some(self.hot.take(number));
        false
    }

    /// Declares `number` no event, unless it is resolved. Gives back what that overwrote.
    pub(crate) fn void(&self, number: u64) -> Evicted<E> {
        let overflow = self.overflow();
        let slot = overflow.slot(number);
        loop {
            let seen = slot.load();
            if seen.number() >= number || self.bar(number).is_event(number) {
                return [None, None];
            }
            let lap_hot = self.lap_hot(number, seen);
            if let Some(lap) = lap_hot {
                self.lose_hot(overflow, lap);
            }
            overflow.lose_if_unread(seen);
            if slot.exchange(seen, Slot::void(number, seen.cell())) {
                let hot = lap_hot.and_then(|lap| self.hot.evict(lap));
                return [overflow.evict(seen), hot];
            }
        }
    }

    /// Declares `number`, which is the caller's own, no event.
    pub(crate) fn give_up(&self, number: u64) -> Evicted<E> {
        let evicted = self.void(number);
        self.return_hot(number);
        evicted
    }

    /// Whether `number` is an event, no event, or gone.
    pub(crate) fn is_resolved(&self, number: u64) -> bool {
        self.hot.held(number).is_some() || self.resolved(number)
    }

    /// Whether the slot of `number` has come so far.
    fn resolved(&self, number: u64) -> bool {
        self.seen(number)
            .is_some_and(|seen| seen.number() >= number)
    }

    /// The word of the slot of `number`, if it says that the number is an event.
    fn event(&self, number: u64) -> Option<Slot> {
        let seen = self.seen(number);
        seen.filter(|seen| seen.number() == number && !seen.is_void())
    }

    /// The word of the slot of `number`, if there is one yet.
    #[inline]
    fn seen(&self, number: u64) -> Option<Slot> {
        let overflow = self.overflow.peek()?;
        overflow.peek(number).map(Position::load)
    }

    /// Gets into the hot cell, if `number` is in it, for connection `id`, which was counted for it.
    /// `counted` is asked once the event is known to be there.
    ///
    /// To be asked before `enter_slot`, because the hot cell is left only after the slot has gone on.
    #[inline]
    pub(crate) fn enter_hot(
        &self,
        number: u64,
        id: ConnectionId,
        counted: impl FnOnce() -> bool,
    ) -> Option<Result<Entered<'_, E>, Found>> {
        let (word, ..) = self.hot.held(number)?;
        Some(if counted() {
            self.hot.enter(number, id, word.is_addressed())
        } else {
            Err(Found::Closed)
        })
    }

    /// As `enter_hot`, for an event in a slot.
    pub(crate) fn enter_slot(
        &self,
        number: u64,
        id: ConnectionId,
        counted: impl FnOnce() -> bool,
    ) -> Result<Entered<'_, E>, Found> {
        let Some(overflow) = self.overflow.peek() else {
            return Err(Found::Unresolved);
        };
        let Some(slot) = overflow.peek(number) else {
            return Err(Found::Unresolved);
        };
        let seen = slot.load();
        match seen.number().cmp(&number) {
            Less => return Err(Found::Unresolved),
            Greater => return Err(Found::Lapped),
            Equal => {}
        }
        if seen.is_void() {
            return Err(Found::Void);
        }
        // An event that does not count this connection was published after the close was marked,
        // and the Acquire above makes that mark visible here.
        if !counted() {
            return Err(Found::Closed);
        }
        overflow
            .cell(slot, seen.cell())
            .enter(number, id, seen.is_addressed())
    }

    /// Gets into the cell of `number`, which has to be resolved, for a connection that was not
    /// counted for it: it is counted in and is active in the same step, so that it takes no one's
    /// place, and `active < remaining` still holds for those who are owed the event. It is the
    /// reader's own if it is for anybody of `ids`.
    pub(crate) fn revisit(
        &self,
        number: u64,
        ids: &[ConnectionId],
    ) -> Result<Entered<'_, E>, Found> {
        let seen = self.seen(number).ok_or(Found::Unresolved)?;
        match seen.number().cmp(&number) {
            Less => return Err(Found::Unresolved),
            Greater => return Err(Found::Lapped),
            Equal if seen.is_void() => return Err(Found::Void),
            Equal => {}
        }
        let payload = self.overflow().payload(seen);
        loop {
            let (word, remaining, active) = payload.held(number).ok_or(Found::Lapped)?;
            // Evicted, or as many are in it as the word can count.
            if active == remaining || remaining == u8::MAX {
                return Err(Found::Lapped);
            }
            let counted = !broken("replay-uncounted");
            let next = if counted { word.counted() } else { word };
            if payload.exchange(word, next.entered()) {
                let mine = !seen.is_addressed() || ids.iter().any(|&id| payload.is_for(id));
                return Ok(Entered {
                    payload,
                    number,
                    mine,
                    last: false,
                });
            }
        }
    }

    /// Whether `number` is a critical event that was accepted while nobody was connected.
    pub(crate) fn is_unseen(&self, number: u64) -> bool {
        let seen = self.seen(number);
        seen.is_some_and(|seen| seen.number() == number && seen.is_unseen())
    }

    /// Takes one connection off those that have to read `number`. Gives the event back when it was
    /// the last. The number has to be resolved.
    pub(crate) fn count_out(&self, number: u64) -> Option<E> {
        let payload = self.find(number)?;
        loop {
            let (word, remaining, active) = payload.held(number)?;
            if active == remaining {
                return None;
            }
            if remaining == 1 {
                if payload.exchange(word, Cell::owned(number)) {
                    return Some(payload.take(number));
                }
            } else if payload.exchange(word, word.without(1)) {
                return None;
            }
        }
    }

    /// The cell of `number`, if that is an event.
    fn find(&self, number: u64) -> Option<&Payload<E>> {
        if self.hot.held(number).is_some() {
            return Some(&self.hot);
        }
        let seen = self.event(number)?;
        Some(self.overflow().payload(seen))
    }

    /// What has become of `number`, for people.
    pub(crate) fn describe(&self, number: u64) -> String {
        let hot = self.hot.load();
        if hot.number() == number {
            return format!("hot cell {:?}", hot.state());
        }
        let Some(seen) = self.seen(number).filter(|seen| seen.number() >= number) else {
            let passed = hot.number() > number;
            return if passed { "passed" } else { "unresolved" }.to_owned();
        };
        if seen.number() > number {
            return "overwritten".to_owned();
        }
        if seen.is_void() {
            return "void".to_owned();
        }
        let word = self.overflow().payload(seen).load();
        let critical = if seen.is_critical() { ", critical" } else { "" };
        if word.number() == number {
            format!("cell {} {:?}{critical}", seen.cell(), word.state())
        } else {
            format!("read{critical}")
        }
    }

    /// Takes out what is in the way of the number a lap above, up to `number`, which nobody wants any
    /// more: if it was critical, that is noted before.
    #[cold]
    pub(crate) fn discard(&self, number: u64) -> Evicted<E> {
        let old = self.seen(number).filter(|seen| seen.number() <= number);
        let in_slot = old.and_then(|seen| {
            self.overflow().lose_if_unread(seen);
            self.overflow().evict(seen)
        });
        let word = self.hot.load();
        let is_old = word.is_full() && word.number() <= number;
        [
            in_slot,
            is_old.then(|| self.hot.evict(word.number())).flatten(),
        ]
    }

    /// Takes an event out whoever has still to read it; readers that are in it finish.
    pub(crate) fn clear(&self, number: u64) -> Option<E> {
        self.find(number)?.evict(number)
    }

    /// As `clear`, of whatever event has the slot of `number`.
    pub(crate) fn clear_slot(&self, number: u64) -> Option<E> {
        self.overflow().evict(self.seen(number)?)
    }
}

// SAFETY: the ring owns its events and hands them between threads; nothing else is shared.
unsafe impl<E: Send> Send for Ring<E> {}
// SAFETY: by the invariants, at most one thread owns an event; several may hold `&E`, hence `Sync`.
unsafe impl<E: Send + Sync> Sync for Ring<E> {}
