//! Storage of a lane: positions, cells and payloads. Unsafe code, 2 of 2.
//!
//! A position `i` stands for the numbers that are `i` modulo the capacity. Its *slot* word says
//! which number was resolved there last and which *cell* holds it: the position's own, or one of a
//! few spares that step in while a slow or frozen thread still holds the own one. Slots order
//! events, cells guard payloads; neither is ever waited for.
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
//! 5. A segment is published once, initialized, and freed with the ring.
#![allow(unsafe_code)] // Payload cells are uninitialized memory shared by words, not by locks.

use std::mem::MaybeUninit;
use std::ptr;

use super::word::{Cell, CellState, Slot};
use crate::sync::{AtomicPtr, AtomicU64, Ordering, SPINS, UnsafeCell, broken, pause};

/// Cells that step in for a position whose own cell is still in somebody's hands.
const SPARES: u8 = 4;
/// Segments of growing size that make up the positions; allocated when first touched.
const SEGMENTS: usize = 4;

struct Payload<E> {
    word: AtomicU64,
    value: UnsafeCell<MaybeUninit<E>>,
}

impl<E> Payload<E> {
    fn new(number: u64) -> Self {
        Self {
            word: AtomicU64::new(Cell::free(number).0),
            value: UnsafeCell::new(MaybeUninit::uninit()),
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

    /// Release: pairs with the Acquire of the next owner or reader.
    fn store(&self, to: Cell) {
        self.word.store(to.0, Ordering::Release);
    }

    /// Writes the payload of a cell that the caller owns and that is empty.
    fn write(&self, value: E) {
        self.with_mut(|p| {
            // SAFETY: invariant 2: `Owned` by this thread, so no other reference exists.
            unsafe { (*p).write(value) };
        });
    }

    /// Moves the payload out of a cell that the caller owns and that is initialized.
    fn read(&self) -> E {
        self.with_mut(|p| {
            // SAFETY: invariants 1 and 2: initialized, and this thread alone moves it out, once.
            unsafe { (*p).assume_init_read() }
        })
    }

    #[cfg(not(laneway_loom))]
    fn with_mut<R>(&self, f: impl FnOnce(*mut MaybeUninit<E>) -> R) -> R {
        f(self.value.get())
    }
    #[cfg(laneway_loom)]
    fn with_mut<R>(&self, f: impl FnOnce(*mut MaybeUninit<E>) -> R) -> R {
        self.value.with_mut(f)
    }
    #[cfg(not(laneway_loom))]
    fn with<R>(&self, f: impl FnOnce(*const MaybeUninit<E>) -> R) -> R {
        f(self.value.get())
    }
    #[cfg(laneway_loom)]
    fn with<R>(&self, f: impl FnOnce(*const MaybeUninit<E>) -> R) -> R {
        self.value.with(f)
    }
}

impl<E> Drop for Payload<E> {
    fn drop(&mut self) {
        if let CellState::Full { .. } = self.load().state() {
            drop(self.read());
        }
    }
}

struct Position<E> {
    slot: AtomicU64,
    own: Payload<E>,
}

impl<E> Position<E> {
    fn load(&self) -> Slot {
        Slot(self.slot.load(Ordering::Acquire))
    }
    /// Release: publishes the payload to readers. Acquire on both sides keeps the order of laps.
    fn exchange(&self, from: Slot, to: Slot) -> bool {
        self.slot
            .compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }
}

/// What a reader found at its number.
pub(crate) enum Found<R> {
    /// The event was read.
    Read(R),
    /// The number is no event.
    Void,
    /// The number was overwritten.
    Lapped,
    /// Nobody has resolved the number yet.
    Unresolved,
}

/// An event as its reader gets it.
pub(crate) enum Value<'a, E> {
    /// Moved out: this was the last reader.
    Last(E),
    /// Shared with readers still to come.
    Shared(&'a E),
}

/// A cell that the caller owns, empty, for number `number`.
pub(crate) struct Claim {
    number: u64,
    seen: Slot,
    cell: u8,
    stolen: bool,
}

/// The positions of one lane.
pub(crate) struct Ring<E> {
    segments: [AtomicPtr<Position<E>>; SEGMENTS],
    spares: AtomicPtr<Payload<E>>,
    mask: u64,
}

impl<E> Ring<E> {
    /// `capacity` is a power of two of at least 2; numbers start at `capacity`.
    pub(crate) fn new(capacity: usize) -> Self {
        debug_assert!(capacity.is_power_of_two() && capacity >= 2);
        Self {
            segments: std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
            spares: AtomicPtr::new(ptr::null_mut()),
            mask: capacity as u64 - 1,
        }
    }

    pub(crate) fn capacity(&self) -> u64 {
        self.mask + 1
    }

    /// Segment and offset of a position: the segments hold 1/8, 1/8, 1/4 and 1/2 of the capacity,
    /// so a lane that has carried few events holds little memory. Below 8 positions, one segment.
    fn place(&self, number: u64) -> (usize, usize, usize) {
        let position = (number & self.mask) as usize;
        let first = (self.capacity() / 8) as usize;
        if first == 0 {
            return (0, position, self.capacity() as usize);
        }
        let eighth = position / first;
        let segment = (usize::BITS - eighth.leading_zeros()) as usize;
        let len = if segment == 0 {
            first
        } else {
            first << (segment - 1)
        };
        (
            segment,
            if segment == 0 {
                position
            } else {
                position - len
            },
            len,
        )
    }

    fn position(&self, number: u64) -> &Position<E> {
        let (segment, offset, len) = self.place(number);
        let start = (number & self.mask) as usize - offset;
        let base = Self::segment(&self.segments[segment], len, |i| Position {
            slot: AtomicU64::new(Slot::full((start + i) as u64, 0).0),
            own: Payload::new((start + i) as u64),
        });
        debug_assert!(offset < len);
        // SAFETY: invariant 5: `base` points to `len` positions, and `offset < len` by `place`.
        let at = unsafe { base.add(offset) };
        // SAFETY: invariant 5: initialized, freed only with the ring, never borrowed mutably.
        unsafe { &*at }
    }

    /// The array behind `link`, allocated by whoever comes first.
    fn segment<T>(link: &AtomicPtr<T>, len: usize, make: impl Fn(usize) -> T) -> *mut T {
        let base = link.load(Ordering::Acquire);
        if base.is_null() {
            Self::allocate(link, len, make)
        } else {
            base
        }
    }

    #[cold]
    fn allocate<T>(link: &AtomicPtr<T>, len: usize, make: impl Fn(usize) -> T) -> *mut T {
        let fresh: Box<[T]> = (0..len).map(make).collect();
        let fresh = Box::into_raw(fresh).cast::<T>();
        match link.compare_exchange(ptr::null_mut(), fresh, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => fresh,
            Err(first) => {
                Self::free(fresh, len);
                first
            }
        }
    }

    /// Frees an array of `len` that `allocate` made and that nobody else can reach.
    fn free<T>(base: *mut T, len: usize) {
        let slice = ptr::slice_from_raw_parts_mut(base, len);
        // SAFETY: `base` came from a boxed slice of `len` in `allocate`; the caller is its last user.
        drop(unsafe { Box::from_raw(slice) });
    }

    fn spare(&self, k: u8) -> &Payload<E> {
        debug_assert!((1..=SPARES).contains(&k));
        let base = Self::segment(&self.spares, SPARES as usize, |_| Payload::new(0));
        // SAFETY: invariant 5: `base` points to `SPARES` cells, and `k` is from 1 to `SPARES`.
        let at = unsafe { base.add(k as usize - 1) };
        // SAFETY: invariant 5: initialized, freed only with the ring, never borrowed mutably.
        unsafe { &*at }
    }

    fn cell<'a>(&'a self, position: &'a Position<E>, cell: u8) -> &'a Payload<E> {
        if cell == 0 {
            &position.own
        } else {
            self.spare(cell)
        }
    }

    /// Takes a cell for `number`. The event that is a lap older is taken over if `evict`.
    ///
    /// `None`: the number is resolved already, or no cell is to be had.
    pub(crate) fn claim(&self, number: u64, evict: bool) -> Option<Claim> {
        let position = self.position(number);
        let seen = position.load();
        if seen.number() >= number {
            return None;
        }
        for spin in 0..=SPINS {
            for cell in [0, seen.cell()] {
                if let Some(stolen) = self.acquire(position, seen, cell, number, evict) {
                    return Some(Claim {
                        number,
                        seen,
                        cell,
                        stolen,
                    });
                }
                if seen.cell() == 0 {
                    break;
                }
            }
            if !evict && self.unread(number) {
                return None;
            }
            if spin < SPINS {
                pause();
            }
        }
        (1..=SPARES)
            .find(|&k| self.acquire(position, seen, k, number, false).is_some())
            .map(|cell| Claim {
                number,
                seen,
                cell,
                stolen: false,
            })
    }

    /// `Some(stolen)` when the cell is the caller's now.
    fn acquire(
        &self,
        position: &Position<E>,
        seen: Slot,
        cell: u8,
        number: u64,
        evict: bool,
    ) -> Option<bool> {
        let payload = self.cell(position, cell);
        let word = payload.load();
        let stolen = match word.state() {
            CellState::Free => false,
            // The cell has to hold what the slot says: a publisher whose number was voided stands
            // before its own cell in state `Full`, and it is still that publisher's.
            CellState::Full { active, .. }
                if evict
                    && cell == seen.cell()
                    && (active == 0 || broken("steal-from-reader"))
                    && word.number() == seen.number()
                    && (!seen.is_void() || broken("steal-from-void")) =>
            {
                true
            }
            _ => return None,
        };
        payload
            .exchange(word, Cell::owned(number))
            .then_some(stolen)
    }

    /// Gives a claimed cell back unused.
    pub(crate) fn release(&self, claim: &Claim) -> Option<E> {
        let payload = self.cell(self.position(claim.number), claim.cell);
        let old = claim.stolen.then(|| payload.read());
        payload.store(Cell::free(claim.number));
        old
    }

    /// Publishes `event` under the claimed number to `audience` connections (at least one).
    /// Gives back what it evicted, or the event when the number was voided meanwhile.
    pub(crate) fn fill(
        &self,
        claim: &Claim,
        audience: u8,
        event: E,
    ) -> Result<Option<E>, (E, Option<E>)> {
        let number = claim.number;
        let position = self.position(number);
        let payload = self.cell(position, claim.cell);
        let mut old = claim.stolen.then(|| payload.read());
        payload.write(event);
        payload.store(Cell::full(number, audience, 0));
        if position.exchange(claim.seen, Slot::full(number, claim.cell)) {
            if claim.cell != claim.seen.cell() {
                old = self.evict(position, claim.seen);
            }
            return Ok(old);
        }
        // The slot never named the cell, so it is still this thread's alone.
        let event = payload.read();
        payload.store(Cell::free(number));
        Err((event, old))
    }

    /// Takes the event of a slot that has moved on out of its cell; readers that are in it finish.
    fn evict(&self, position: &Position<E>, old: Slot) -> Option<E> {
        if old.is_void() {
            return None;
        }
        let payload = self.cell(position, old.cell());
        loop {
            let word = payload.load();
            let CellState::Full { active, .. } = word.state() else {
                return None;
            };
            if word.number() != old.number() {
                return None;
            }
            if active == 0 {
                if payload.exchange(word, Cell::owned(word.number())) {
                    let event = payload.read();
                    payload.store(Cell::free(word.number()));
                    return Some(event);
                }
            // Nobody may join any more, and the last one in it takes the event out.
            } else if payload.exchange(word, Cell::full(word.number(), active, active)) {
                return None;
            }
        }
    }

    /// Declares `number` no event, unless it is resolved. Gives back what that overwrote.
    pub(crate) fn void(&self, number: u64) -> Option<E> {
        let position = self.position(number);
        loop {
            let seen = position.load();
            if seen.number() >= number {
                return None;
            }
            if position.exchange(seen, Slot::void(number, seen.cell())) {
                return self.evict(position, seen);
            }
        }
    }

    /// Whether `number` is an event, no event, or gone.
    pub(crate) fn is_resolved(&self, number: u64) -> bool {
        self.position(number).load().number() >= number
    }

    /// Whether the event a lap before `number` still waits for a reader.
    fn unread(&self, number: u64) -> bool {
        let position = self.position(number);
        let seen = position.load();
        let word = self.cell(position, seen.cell()).load();
        !seen.is_void()
            && word.number() == seen.number()
            && matches!(word.state(), CellState::Full { .. })
    }

    /// Reads `number` for one of the connections it was counted for. `f` sees the event, moved out
    /// if this is the last reader; `counted` is asked first, once the event is known to be there.
    pub(crate) fn read<R>(
        &self,
        number: u64,
        counted: impl FnOnce() -> bool,
        f: impl FnOnce(Value<'_, E>) -> R,
    ) -> Option<Found<R>> {
        let position = self.position(number);
        let seen = position.load();
        if seen.number() != number {
            let lapped = seen.number() > number;
            return Some(if lapped {
                Found::Lapped
            } else {
                Found::Unresolved
            });
        }
        if seen.is_void() {
            return Some(Found::Void);
        }
        // An event that does not count this connection was published after the close was marked,
        // and the Acquire above makes that mark visible here.
        if !counted() {
            return None;
        }
        let payload = self.cell(position, seen.cell());
        loop {
            let word = payload.load();
            let CellState::Full { remaining, active } = word.state() else {
                return Some(Found::Lapped);
            };
            // With all that remain inside, the entry was evicted: this connection is not among them.
            if word.number() != number || (active == remaining && !broken("join-evicted")) {
                return Some(Found::Lapped);
            }
            if remaining == 1 {
                if payload.exchange(word, Cell::owned(number)) {
                    let event = payload.read();
                    payload.store(Cell::free(number));
                    return Some(Found::Read(f(Value::Last(event))));
                }
            } else if payload.exchange(word, Cell::full(number, remaining, active + 1)) {
                let _leave = Leave(payload);
                return Some(Found::Read(payload.with(|p| {
                    // SAFETY: invariant 3: active, so nobody owns the cell; invariant 1: `Full`.
                    let event = unsafe { (*p).assume_init_ref() };
                    f(Value::Shared(event))
                })));
            }
        }
    }

    /// Takes one connection off those that have to read `number`. Gives the event back when it was
    /// the last. The number has to be resolved.
    pub(crate) fn count_out(&self, number: u64) -> Option<E> {
        let position = self.position(number);
        let seen = position.load();
        if seen.number() != number || seen.is_void() {
            return None;
        }
        let payload = self.cell(position, seen.cell());
        loop {
            let word = payload.load();
            let CellState::Full { remaining, active } = word.state() else {
                return None;
            };
            if word.number() != number || active == remaining {
                return None;
            }
            if remaining == 1 {
                if payload.exchange(word, Cell::owned(number)) {
                    let event = payload.read();
                    payload.store(Cell::free(number));
                    return Some(event);
                }
            } else if payload.exchange(word, Cell::full(number, remaining - 1, active)) {
                return None;
            }
        }
    }

    /// Takes an event out whoever has still to read it; readers that are in it finish.
    pub(crate) fn clear(&self, number: u64) -> Option<E> {
        let position = self.position(number);
        let seen = position.load();
        (seen.number() == number)
            .then(|| self.evict(position, seen))
            .flatten()
    }
}

/// Leaves a cell, also when the reader's code panics.
struct Leave<'a, E>(&'a Payload<E>);

impl<E> Drop for Leave<'_, E> {
    fn drop(&mut self) {
        // Release: what this reader did comes before the owner's move. Acquire: if this is the
        // last reader, the others' reads come before its own move.
        let before = Cell(self.0.word.fetch_sub(Cell::ONE_READER, Ordering::AcqRel));
        if let CellState::Full { remaining: 1, .. } = before.state() {
            let event = self.0.read();
            self.0.store(Cell::free(before.number()));
            drop(event);
        }
    }
}

impl<E> Drop for Ring<E> {
    fn drop(&mut self) {
        for segment in 0..SEGMENTS {
            let base = self.segments[segment].load(Ordering::Acquire);
            if !base.is_null() {
                let first = (self.capacity() / 8) as usize;
                let len = match (first, segment) {
                    (0, _) => self.capacity() as usize,
                    (first, 0) => first,
                    (first, k) => first << (k - 1),
                };
                Self::free(base, len);
            }
        }
        let spares = self.spares.load(Ordering::Acquire);
        if !spares.is_null() {
            Self::free(spares, SPARES as usize);
        }
    }
}

// SAFETY: the ring owns its events and hands them between threads; nothing else is shared.
unsafe impl<E: Send> Send for Ring<E> {}
// SAFETY: by the invariants, at most one thread owns an event; several may hold `&E`, hence `Sync`.
unsafe impl<E: Send + Sync> Sync for Ring<E> {}
