//! Arenas: the slots of bursts, and the directory by which a lane finds them. Unsafe code, 3 of 4.
//!
//! # Invariants
//!
//! 1. An arena is one allocation: a header, and as many slots behind it as the header says. All are
//!    initialized before its address is published in a directory. It is published once, and freed
//!    with the directory.
//! 2. A directory is published in its lane's root. It is freed through the epoch after it was
//!    exchanged out of the root.
//! 3. The lane exchanges a directory out only when no reader has pinned an arena of it. No number in
//!    it is unresolved, unread, or void with its publisher inside. So a thread may follow the root
//!    without a guard while it owns such a number, counts for one, or holds a pin. Every other
//!    thread follows it under a guard.
//! 4. A pinned arena lives as long as the pin, by 3.
#![allow(unsafe_code)] // One allocation for header and slots, and pointers under a lane's words.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::marker::PhantomData;
use std::ptr::NonNull;

use super::slot::{Slot, SlotRef};
use super::words::{ArenaWord, Status};
use crate::sync::{AtomicU64, Fault, Ordering, broken};

/// The part of an arena in front of its slots.
#[repr(C)]
pub(super) struct Header<E> {
    /// An [`ArenaWord`].
    word: AtomicU64,
    /// Void slots whose publishers may still be inside.
    voids: AtomicU64,
    len: usize,
    /// The first of `len` slots.
    slots: [Slot<E>; 0],
}

/// A reference to an arena: slots for consecutive numbers from a base on.
pub(super) struct Arena<'a, E> {
    at: NonNull<Header<E>>,
    alive: PhantomData<&'a Header<E>>,
}

impl<E> Clone for Arena<'_, E> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<E> Copy for Arena<'_, E> {}

impl<'a, E> Arena<'a, E> {
    fn layout(len: usize) -> Layout {
        let slots = Layout::array::<Slot<E>>(len).expect("at most 256 slots");
        let header = Layout::new::<Header<E>>();
        header.extend(slots).expect("it fits").0.pad_to_align()
    }

    /// Allocates an arena and initializes it. No other thread can reach it yet.
    pub(super) fn allocate(len: usize) -> Self {
        let layout = Self::layout(len);
        // SAFETY: the layout has a size, that of the header at least.
        let memory = unsafe { alloc(layout) };
        let Some(at) = NonNull::new(memory.cast::<Header<E>>()) else {
            handle_alloc_error(layout)
        };
        let header = Header {
            word: AtomicU64::new(ArenaWord::UNUSED.0),
            voids: AtomicU64::new(0),
            len,
            slots: [],
        };
        // SAFETY: freshly allocated, with room for the header.
        unsafe { at.write(header) };
        let arena = Self::of(at);
        for i in 0..len {
            // SAFETY: `i` is below the length that was allocated.
            let slot = unsafe { arena.slot_at(i) };
            // SAFETY: freshly allocated memory for that slot.
            unsafe { slot.write(Slot::new(0)) };
        }
        arena
    }

    /// Returns the arena at an address that `pointer` returned. Its directory is alive.
    #[inline]
    pub(super) fn of(at: NonNull<Header<E>>) -> Self {
        Self {
            at,
            alive: PhantomData,
        }
    }

    pub(super) fn pointer(self) -> NonNull<Header<E>> {
        self.at
    }

    /// # Safety
    ///
    /// The arena was allocated for more than `i` slots.
    #[inline]
    unsafe fn slot_at(self, i: usize) -> NonNull<Slot<E>> {
        // SAFETY: the slots begin where the field does, inside the allocation.
        let first = unsafe { &raw mut (*self.at.as_ptr()).slots }.cast::<Slot<E>>();
        // SAFETY: the caller's promise.
        let slot = unsafe { first.add(i) };
        // SAFETY: inside an allocation, so not null.
        unsafe { NonNull::new_unchecked(slot) }
    }

    /// Frees an arena that no other thread can reach.
    pub(super) fn free(self) {
        let len = self.header().len;
        for i in 0..len {
            // SAFETY: invariant 1.
            let slot = unsafe { self.slot_at(i) };
            // SAFETY: initialized, and dropped once, because the caller is the arena's last user.
            unsafe { slot.drop_in_place() };
        }
        // SAFETY: the header, as above.
        unsafe { self.at.drop_in_place() };
        // SAFETY: allocated with the same layout.
        unsafe { dealloc(self.at.as_ptr().cast(), Self::layout(len)) };
    }

    #[inline]
    fn header(self) -> &'a Header<E> {
        // SAFETY: invariant 1: initialized, and alive for `'a`.
        unsafe { self.at.as_ref() }
    }

    /// Returns the slot at index `i`.
    ///
    /// # Panics
    ///
    /// If the arena has fewer slots. The caller has then computed the index from another arena's
    /// base.
    #[inline]
    pub(super) fn slot(self, i: usize) -> &'a Slot<E> {
        assert!(i < self.header().len, "a number of another arena");
        // SAFETY: the assertion.
        let slot = unsafe { self.slot_at(i) };
        // SAFETY: invariant 1: initialized, alive for `'a`, and shared only.
        unsafe { slot.as_ref() }
    }

    pub(super) fn slots(self) -> impl Iterator<Item = &'a Slot<E>> {
        (0..self.header().len).map(move |i| self.slot(i))
    }

    pub(super) fn load(self) -> ArenaWord {
        ArenaWord(self.header().word.load(Ordering::Acquire))
    }

    pub(super) fn exchange(self, from: ArenaWord, to: ArenaWord) -> bool {
        let word = &self.header().word;
        word.compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Replaces the word by what `step` returns for it, and retries until that succeeds or `step`
    /// returns `None`. Returns whether this call changed the word. Lock-free: a failed exchange
    /// means that another thread has changed it.
    pub(super) fn change(self, step: impl Fn(ArenaWord) -> Option<ArenaWord>) -> bool {
        loop {
            let word = self.load();
            let Some(next) = step(word) else { return false };
            if self.exchange(word, next) {
                return true;
            }
        }
    }

    pub(super) fn voids(self) -> u64 {
        // Acquire: pairs with `end_void`. The publisher's last access comes before the arena's next
        // use.
        self.header().voids.load(Ordering::Acquire)
    }

    /// Counts a void before the exchange that makes the slot void.
    ///
    /// In the other order the publisher could find its number void and subtract first. The count
    /// would wrap, and the arena would never be used again.
    pub(super) fn begin_void(self) {
        self.header().voids.fetch_add(1, Ordering::AcqRel);
    }

    /// Counts a void out: its publisher has left the slot, or the exchange failed and there is no
    /// void.
    pub(super) fn end_void(self) {
        self.header().voids.fetch_sub(1, Ordering::AcqRel);
    }

    /// Returns whether every number from `base` on was in its slot and is over.
    pub(super) fn is_passed(self, base: u64) -> bool {
        (base..).zip(self.slots()).all(|(number, slot)| {
            let word = slot.load();
            // A free slot with an older number belongs to a number that is not claimed yet, or
            // whose publisher has not come. If it counted as passed, the arena would be taken under
            // that publisher.
            word.is_free() && (word.number() == number || broken(Fault::ReuseAnyFree))
        })
    }
}

/// The arena that a reader has pinned, if any. It is dropped before the lane.
pub(crate) struct Pin<E> {
    arena: Option<NonNull<Header<E>>>,
    /// The number in the arena's first slot.
    base: u64,
}

// SAFETY: by invariant 4 a pin is a shared reference to an arena.
unsafe impl<E: Send + Sync> Send for Pin<E> {}
// SAFETY: as above.
unsafe impl<E: Send + Sync> Sync for Pin<E> {}

impl<E> Pin<E> {
    pub(super) fn none() -> Self {
        Self {
            arena: None,
            base: 0,
        }
    }

    #[inline]
    pub(super) fn is_none(&self) -> bool {
        self.arena.is_none()
    }

    /// Returns the pinned arena, which is alive by invariant 4.
    #[inline]
    pub(super) fn arena(&self) -> Option<Arena<'_, E>> {
        self.arena.map(Arena::of)
    }

    /// Returns the slot of `number`, if that lies in the pinned arena.
    #[inline]
    pub(super) fn slot(&self, number: u64) -> Option<SlotRef<E>> {
        let arena = self.arena()?;
        let i = number.wrapping_sub(self.base) as usize;
        (i < arena.header().len).then(|| arena.slot(i).into())
    }

    /// Pins `arena`, which held the numbers from `base` on when the caller looked, and takes the
    /// pin off the arena before. Returns `false` if a publisher has taken the arena since.
    pub(super) fn enter(&mut self, arena: Arena<'_, E>, base: u64) -> bool {
        // The pin keeps an arena from being evicted, but not from being taken after every event in
        // it was passed. A replay does not count for the events, so the base can move on under its
        // pin.
        if self.arena == Some(arena.at) || broken(Fault::ReadUnpinned) {
            if arena.load().base() > base {
                return false;
            }
        } else {
            // AcqRel: pairs with the exchange that takes the arena. One of the two comes first. If
            // the pin does, the exchange fails, because the word has changed. If the exchange does,
            // this thread sees the new status.
            let word = &arena.header().word;
            let before = ArenaWord(word.fetch_add(ArenaWord::ONE_PIN, Ordering::AcqRel));
            // To reach this, half of 2^18 readers of closed connections would have to stand in one
            // arena.
            assert!(before.pins() < ArenaWord::MAX_PINS, "too many readers");
            // Without this check a reader would look into slots that a publisher prepares for other
            // numbers.
            let changed = before.status() != Status::Live || before.base() > base;
            if changed && !broken(Fault::PinWhatever) {
                word.fetch_sub(ArenaWord::ONE_PIN, Ordering::AcqRel);
                return false;
            }
            self.leave();
        }
        (self.arena, self.base) = (Some(arena.at), base);
        true
    }

    pub(super) fn leave(&mut self) {
        if let Some(arena) = self.arena()
            && !broken(Fault::ReadUnpinned)
        {
            // Release: this reader's accesses come before the arena's next use.
            let word = &arena.header().word;
            word.fetch_sub(ArenaWord::ONE_PIN, Ordering::AcqRel);
        }
        self.arena = None;
    }
}

impl<E> Drop for Pin<E> {
    fn drop(&mut self) {
        self.leave();
    }
}
