//! Storage of a lane: slots, cells and payloads. Unsafe code, 3 of 3.
//!
//! A slot `i` stands for the numbers that are `i` modulo the capacity. Its word says which number
//! was resolved there last and which *cell* holds that number's event: the lane's hot cell, the
//! slot's own, or one of a few spares that step in while slow or frozen threads hold the others.
//! Slots order events, cells guard payloads; neither is ever waited for.
//!
//! The hot cell is tried first: with readers that keep up, every event passes through the same few
//! cache lines beside the lane's state, and the own cells are not even allocated.
//!
//! # Invariants
//!
//! 1. A cell's payload is initialized exactly while its word is `Full`, or `Owned` by a thread that
//!    took it over from `Full` and has not moved the payload out yet.
//! 2. Only the thread that exchanged a cell's word from `Free` or from `Full` with no active reader
//!    to `Owned`, or that brought `remaining` to zero, owns it. The owner alone writes the payload,
//!    moves it out, and stores the next word.
//! 3. A reader is `active` from the exchange that raised `active` until the subtraction that
//!    lowers it; meanwhile nobody owns the cell. `active <= remaining` at all times.
//! 4. A slot's number only grows, so no stale slot word is ever exchanged.
#![allow(unsafe_code)] // Payload cells are uninitialized memory shared by words, not by locks.

use std::cmp::Ordering::{Equal, Greater, Less};
use std::hint::black_box;
use std::mem::MaybeUninit;

use super::Audience;
use super::segments::{Initial, Place, Segments};
use super::word::{Cell, CellState, Kind, Slot};
use crate::id::ConnectionId;
use crate::sync::{AtomicU64, Ordering, TRIES, UnsafeCell, broken, pause};

/// The cell that is tried first.
const HOT: u8 = 0;
/// The slot's own cell.
const OWN: u8 = 1;
/// Cells that step in for the others, from this one on.
const SPARE: u8 = 2;
const SPARES: u8 = 4;

struct Payload<E> {
    word: AtomicU64,
    value: UnsafeCell<MaybeUninit<E>>,
    /// Whom the payload is for, if its slot says that it is addressed; else left from before.
    audience: UnsafeCell<Option<Box<Audience>>>,
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

    /// Acquire: pairs with the Release of whoever gave the cell back. Release: a reader that meets
    /// the new word has to see the number that the new owner claimed.
    fn exchange(&self, from: Cell, to: Cell) -> bool {
        self.word
            .compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Relaxed)
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

#[cfg(not(laneway_loom))]
fn with_mut<T, R>(cell: &UnsafeCell<T>, f: impl FnOnce(*mut T) -> R) -> R {
    f(cell.get())
}
#[cfg(laneway_loom)]
fn with_mut<T, R>(cell: &UnsafeCell<T>, f: impl FnOnce(*mut T) -> R) -> R {
    cell.with_mut(f)
}
#[cfg(not(laneway_loom))]
fn with<T, R>(cell: &UnsafeCell<T>, f: impl FnOnce(*const T) -> R) -> R {
    f(cell.get())
}
#[cfg(laneway_loom)]
fn with<T, R>(cell: &UnsafeCell<T>, f: impl FnOnce(*const T) -> R) -> R {
    cell.with(f)
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

/// Which number a slot is at.
struct SlotWord(AtomicU64);

impl Initial for SlotWord {
    fn initial(index: usize) -> Self {
        Self(AtomicU64::new(Slot::void(index as u64, HOT).0))
    }
}

impl SlotWord {
    fn load(&self) -> Slot {
        Slot(self.0.load(Ordering::Acquire))
    }
    /// Release: publishes the payload to readers. Acquire on both sides keeps the order of laps.
    fn exchange(&self, from: Slot, to: Slot) -> bool {
        self.0
            .compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Relaxed)
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

/// A cell that the caller owns, for number `number`.
pub(crate) struct Claim<'a, E> {
    number: u64,
    slot: &'a SlotWord,
    seen: Slot,
    payload: &'a Payload<E>,
    cell: u8,
    held: Held,
}

/// What goes with an event.
#[derive(Clone, Copy)]
pub(crate) struct Filling<'a> {
    /// The connections that have to pass it: at least one.
    pub(crate) readers: u8,
    pub(crate) kind: Kind,
    pub(crate) audience: Option<&'a Audience>,
}

/// Where the event that is a lap older is.
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
        let old = (self.held == Held::Here).then(|| self.payload.read());
        self.payload.store(Cell::free(self.number));
        old
    }
}

/// The slots and cells of one lane.
// What is only read comes first and what every event writes last, lines away from it.
#[repr(C)]
pub(crate) struct Ring<E> {
    slots: Segments<SlotWord, 4>,
    own: Segments<Payload<E>, 4>,
    spares: Segments<Payload<E>, 1>,
    /// The highest critical number that was overwritten before everybody had read it.
    lost: AtomicU64,
    hot: Payload<E>,
}

impl<E> Ring<E> {
    /// `capacity` is a power of two of at least 2; numbers start at `capacity`.
    pub(crate) fn new(capacity: usize) -> Self {
        debug_assert!(capacity.is_power_of_two() && capacity >= 2);
        Self {
            hot: Payload::new(0),
            slots: Segments::new(capacity),
            own: Segments::new(capacity),
            spares: Segments::new(SPARES.into()),
            lost: AtomicU64::new(0),
        }
    }

    #[inline]
    pub(crate) fn capacity(&self) -> u64 {
        self.slots.len() as u64
    }

    /// Brings the ring's own fields and the hot cell into the cache.
    #[inline]
    pub(crate) fn fetch(&self) {
        black_box((self.slots.len(), self.hot.word.load(Ordering::Relaxed)));
    }

    /// Where the slot of `number` is among the slots, and the slot's own cell among the own cells.
    #[inline]
    fn place(&self, number: u64) -> Place {
        self.slots.place((number & (self.capacity() - 1)) as usize)
    }

    #[inline]
    fn slot(&self, number: u64) -> &SlotWord {
        self.slots.at(self.place(number))
    }

    #[inline]
    fn cell(&self, place: Place, cell: u8) -> &Payload<E> {
        match cell {
            HOT => &self.hot,
            OWN => self.own.at(place),
            spare => self.spare(spare),
        }
    }

    /// The cell that a slot's word names.
    #[inline]
    fn payload(&self, seen: Slot) -> &Payload<E> {
        self.cell(self.place(seen.number()), seen.cell())
    }

    #[cold]
    fn spare(&self, cell: u8) -> &Payload<E> {
        self.spares.get((cell - SPARE).into())
    }

    /// Takes a cell for `number`. The event that is a lap older is taken over if `evict`.
    ///
    /// `None`: the number is resolved already, the event that is a lap older is wanted and not to
    /// be evicted, or no cell is to be had.
    #[inline]
    pub(crate) fn claim(&self, number: u64, evict: bool) -> Option<Claim<'_, E>> {
        for _ in 0..TRIES {
            match self.try_claim(number, evict) {
                Ok(claim) => return claim,
                Err(()) => pause(),
            }
        }
        None
    }

    /// One look at the cells in question. `Err`: somebody was faster everywhere.
    #[inline]
    fn try_claim(&self, number: u64, evict: bool) -> Result<Option<Claim<'_, E>>, ()> {
        let place = self.place(number);
        let slot = self.slots.at(place);
        let seen = slot.load();
        if seen.number() >= number {
            return Ok(None);
        }
        let mut claim = Claim {
            number,
            slot,
            seen,
            payload: &self.hot,
            cell: HOT,
            held: Held::Gone,
        };
        // A publisher whose number was voided stands before its cell in state `Full`, and the cell
        // is still that publisher's.
        if !seen.is_void() || broken("steal-from-void") {
            let payload = self.cell(place, seen.cell());
            if let Some((word, _, active)) = payload.held(seen.number()) {
                if !evict && !broken("overwrite-when-full") {
                    return Ok(None);
                }
                self.lose(seen);
                if active == 0 || broken("steal-from-reader") {
                    (claim.payload, claim.cell) = (payload, seen.cell());
                    claim.held = Held::Here;
                    let stolen = payload.exchange(word, Cell::owned(number));
                    return if stolen { Ok(Some(claim)) } else { Err(()) };
                }
                claim.held = Held::Elsewhere;
            }
        }
        if self.hot.acquire(number) {
            return Ok(Some(claim));
        }
        claim.payload = self.own.at(place);
        claim.cell = OWN;
        if claim.payload.acquire(number) {
            return Ok(Some(claim));
        }
        self.claim_spare(claim).map(Some)
    }

    /// Notes that a critical event is about to be overwritten. Whoever finds it gone sees the note.
    #[inline]
    fn lose(&self, seen: Slot) {
        if seen.is_critical() && !broken("forget-critical") {
            self.lost.fetch_max(seen.number(), Ordering::AcqRel);
        }
    }

    /// Whether a connection that stands at `cursor` has lost a critical event.
    pub(crate) fn has_lost(&self, cursor: u64) -> bool {
        self.lost.load(Ordering::Acquire) >= cursor
    }

    /// The first critical event that is still there, from `from` up to below `to`.
    pub(crate) fn first_critical(&self, from: u64, to: u64) -> Option<u64> {
        let slots = 0..self.capacity().min(to - from);
        let word = |i: u64| self.slot(from + i).load();
        slots
            .map(word)
            .filter(|seen| seen.is_critical() && (from..to).contains(&seen.number()))
            .map(Slot::number)
            .min()
    }

    #[cold]
    fn claim_spare<'a>(&'a self, mut claim: Claim<'a, E>) -> Result<Claim<'a, E>, ()> {
        for cell in SPARE..SPARE + SPARES {
            (claim.payload, claim.cell) = (self.spare(cell), cell);
            if claim.payload.acquire(claim.number) {
                return Ok(claim);
            }
        }
        Err(())
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
        evicted: &mut Option<E>,
    ) -> bool {
        let (number, payload) = (claim.number, claim.payload);
        if claim.held == Held::Here {
            *evicted = Some(payload.read());
        }
        payload.write(event.take().expect("an event to publish"));
        if let Some(audience) = entry.audience {
            payload.address(audience);
        }
        payload.store(Cell::full(number, entry.readers, 0));
        let next = Slot::full(number, claim.cell, entry.kind, entry.audience.is_some());
        if !claim.slot.exchange(claim.seen, next) {
            // The slot never named the cell, so it is still this thread's alone.
            *event = Some(payload.take(number));
            return false;
        }
        if claim.held == Held::Elsewhere {
            *evicted = self.evict(claim.seen);
        }
        true
    }

    /// Takes the event of a slot that has moved on out of its cell; readers that are in it finish.
    fn evict(&self, old: Slot) -> Option<E> {
        if old.is_void() {
            return None;
        }
        let number = old.number();
        let payload = self.payload(old);
        loop {
            let (word, _, active) = payload.held(number)?;
            if active == 0 {
                if payload.exchange(word, Cell::owned(number)) {
                    return Some(payload.take(number));
                }
            // Nobody may join any more, and the last one in it takes the event out.
            } else if payload.exchange(word, Cell::full(number, active, active)) {
                return None;
            }
        }
    }

    /// Declares `number` no event, unless it is resolved. Gives back what that overwrote.
    pub(crate) fn void(&self, number: u64) -> Option<E> {
        let slot = self.slot(number);
        loop {
            let seen = slot.load();
            if seen.number() >= number {
                return None;
            }
            self.lose_if_unread(seen);
            if slot.exchange(seen, Slot::void(number, seen.cell())) {
                return self.evict(seen);
            }
        }
    }

    fn lose_if_unread(&self, seen: Slot) {
        if seen.is_critical() && self.payload(seen).held(seen.number()).is_some() {
            self.lose(seen);
        }
    }

    /// Whether `number` is an event, no event, or gone.
    pub(crate) fn is_resolved(&self, number: u64) -> bool {
        self.slot(number).load().number() >= number
    }

    /// Gets into the cell of `number` for connection `id`, which was counted for it. `counted` is
    /// asked once the event is known to be there.
    #[inline]
    pub(crate) fn enter(
        &self,
        number: u64,
        id: ConnectionId,
        counted: impl FnOnce() -> bool,
    ) -> Result<Entered<'_, E>, Found> {
        let place = self.place(number);
        let seen = self.slots.at(place).load();
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
        let payload = self.cell(place, seen.cell());
        loop {
            let Some((word, remaining, active)) = payload.held(number) else {
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
                Cell::full(number, remaining, active + 1)
            };
            if payload.exchange(word, next) {
                let mine = !seen.is_addressed() || payload.is_for(id);
                return Ok(Entered {
                    payload,
                    number,
                    mine,
                    last,
                });
            }
        }
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
        let seen = self.slot(number).load();
        match seen.number().cmp(&number) {
            Less => return Err(Found::Unresolved),
            Greater => return Err(Found::Lapped),
            Equal if seen.is_void() => return Err(Found::Void),
            Equal => {}
        }
        let payload = self.payload(seen);
        loop {
            let (word, remaining, active) = payload.held(number).ok_or(Found::Lapped)?;
            // Evicted, or as many are in it as the word can count.
            if active == remaining || remaining == u8::MAX {
                return Err(Found::Lapped);
            }
            let counted = u8::from(!broken("replay-uncounted"));
            if payload.exchange(word, Cell::full(number, remaining + counted, active + 1)) {
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
        let seen = self.slot(number).load();
        seen.number() == number && seen.is_unseen()
    }

    /// Takes one connection off those that have to read `number`. Gives the event back when it was
    /// the last. The number has to be resolved.
    pub(crate) fn count_out(&self, number: u64) -> Option<E> {
        let slot = self.slot(number);
        let seen = slot.load();
        if seen.number() != number || seen.is_void() {
            return None;
        }
        let payload = self.payload(seen);
        loop {
            let (word, remaining, active) = payload.held(number)?;
            if active == remaining {
                return None;
            }
            if remaining == 1 {
                if payload.exchange(word, Cell::owned(number)) {
                    return Some(payload.take(number));
                }
            } else if payload.exchange(word, Cell::full(number, remaining - 1, active)) {
                return None;
            }
        }
    }

    /// What stands in the slot of `number`, for people.
    pub(crate) fn describe(&self, number: u64) -> String {
        let seen = self.slot(number).load();
        if seen.number() != number {
            return format!("unresolved or overwritten, slot at {}", seen.number());
        }
        if seen.is_void() {
            return "void".to_owned();
        }
        let word = self.payload(seen).load();
        let critical = if seen.is_critical() { ", critical" } else { "" };
        if word.number() == number {
            format!("cell {} {:?}{critical}", seen.cell(), word.state())
        } else {
            format!("read{critical}")
        }
    }

    /// As `clear`, to make room for another event: if it was critical, that is noted before.
    #[cold]
    pub(crate) fn discard(&self, number: u64) -> Option<E> {
        let seen = self.slot(number).load();
        if seen.number() == number {
            self.lose_if_unread(seen);
        }
        self.clear(number)
    }

    /// Takes an event out whoever has still to read it; readers that are in it finish.
    pub(crate) fn clear(&self, number: u64) -> Option<E> {
        let slot = self.slot(number);
        let seen = slot.load();
        (seen.number() == number)
            .then(|| self.evict(seen))
            .flatten()
    }
}

// SAFETY: the ring owns its events and hands them between threads; nothing else is shared.
unsafe impl<E: Send> Send for Ring<E> {}
// SAFETY: by the invariants, at most one thread owns an event; several may hold `&E`, hence `Sync`.
unsafe impl<E: Send + Sync> Sync for Ring<E> {}
