//! A slot: one event, and the word that says which thread may touch it. Unsafe code, 2 of 4.
//!
//! # Invariants
//!
//! 1. The event is initialized exactly while the word is `FULL`, while its publisher fills the
//!    slot, or while its last reader empties it.
//! 2. The publisher that claimed number `n` in this slot owns the slot from its claim on. Its
//!    ownership ends when it changes the word to `FULL(n)`. If a reader has changed the word to
//!    `VOID(n)`, it ends when the publisher has taken its event back and stores `FREE(n)`. A claim
//!    is unique. The lane gives the slot another number only after `FREE(n)`, which comes from the
//!    last reader of `n` or, after a void, from that publisher.
//! 3. While the word is `FULL(n)`, only the `remaining` connections that count for `n` touch the
//!    event. Each reads it by shared reference until it has subtracted itself. The connection that
//!    finds itself the last one owns the event. A replay adds itself before it reads.
//! 4. A thread evicts the event only while it owns the arena, which no reader has pinned.
//! 5. The rule is `Some` exactly while the word is `FULL` and `RULED`, or in between as in
//!    1.
#![allow(unsafe_code)] // An event is uninitialized memory that a word guards, not a lock.

use std::mem::MaybeUninit;
use std::ops::Deref;
use std::ptr::NonNull;

use super::rule::Rule;
use super::words::SlotWord;
use crate::sync::{AtomicU64, Fault, Ordering, UnsafeCell, broken, with, with_mut};

/// A word, and the event that it guards.
// The word is last, so that in a lane it lies beside the state, which every operation loads as
// well.
#[repr(C)]
pub(super) struct Slot<E> {
    rule: UnsafeCell<Option<Box<Rule>>>,
    event: UnsafeCell<MaybeUninit<E>>,
    word: AtomicU64,
}

// SAFETY: a slot owns its event and moves it between threads.
unsafe impl<E: Send> Send for Slot<E> {}
// SAFETY: by invariant 3 several threads hold `&E` at once, and by 2 and 3 one of them takes it.
unsafe impl<E: Send + Sync> Sync for Slot<E> {}

impl<E> Slot<E> {
    /// Creates an empty slot whose last number was `number`.
    pub(super) fn new(number: u64) -> Self {
        Self {
            rule: UnsafeCell::new(None),
            event: UnsafeCell::new(MaybeUninit::uninit()),
            word: AtomicU64::new(SlotWord::free(number).0),
        }
    }

    /// Loads the word.
    ///
    /// Acquire: pairs with the exchange that filled the slot, so the event is initialized for this
    /// thread. It also pairs with the store in `free`, so the last reader has moved the old event
    /// out.
    #[inline]
    pub(super) fn load(&self) -> SlotWord {
        SlotWord(self.word.load(Ordering::Acquire))
    }

    /// Exchanges the word. Returns whether it was still `from`.
    ///
    /// Release: a reader that loads the new word sees the event. Acquire: a publisher that finds
    /// its number void sees what the reader did before.
    #[inline]
    pub(super) fn exchange(&self, from: SlotWord, to: SlotWord) -> bool {
        self.word
            .compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Frees the slot.
    ///
    /// Release: pairs with `load`. The next publisher writes after this thread has moved its event
    /// out.
    #[inline]
    pub(super) fn free(&self, number: u64) {
        self.word.store(SlotWord::free(number).0, Ordering::Release);
    }

    /// Writes an event. The caller has claimed the number and has not published it.
    #[inline]
    pub(super) fn write(&self, event: E, rule: Option<Box<Rule>>) {
        with_mut(&self.event, |p| {
            // SAFETY: invariant 2: the caller owns the slot.
            unsafe { (*p).write(event) };
        });
        if rule.is_some() {
            self.set_rule(rule);
        }
    }

    #[cold]
    fn set_rule(&self, rule: Option<Box<Rule>>) {
        with_mut(&self.rule, |p| {
            // SAFETY: invariant 2: the caller of `write` owns the slot.
            unsafe { *p = rule };
        });
    }

    /// Moves the event and its rule out. The caller owns them: it is the publisher that wrote
    /// them and was made void, the last reader, or the owner of the arena.
    #[inline]
    pub(super) fn take(&self, is_ruled: bool) -> (E, Option<Box<Rule>>) {
        let rule = if is_ruled { self.take_rule() } else { None };
        let event = with_mut(&self.event, |p| {
            // SAFETY: invariants 2 to 4: no other thread touches the event.
            let event = unsafe { &*p };
            // SAFETY: invariant 1: initialized, and moved out once, because the word changes next.
            unsafe { event.assume_init_read() }
        });
        (event, rule)
    }

    #[cold]
    fn take_rule(&self) -> Option<Box<Rule>> {
        with_mut(&self.rule, |p| {
            // SAFETY: as in `take`.
            let rule = unsafe { &mut *p };
            rule.take()
        })
    }

    /// Drops the rule of an event that its last reader empties.
    #[cold]
    #[inline(never)]
    fn drop_rule(&self) {
        drop(self.take_rule());
    }

    /// The event, for a reader that counts for it and has not passed it.
    #[inline]
    pub(super) fn event(&self) -> &E {
        with(&self.event, |p| {
            // SAFETY: invariant 3: the caller counts, so no thread writes or moves the event.
            let event = unsafe { &*p };
            // SAFETY: invariant 1.
            unsafe { event.assume_init_ref() }
        })
    }

    /// As `event`: the rule of an event that has one.
    #[cold]
    pub(super) fn rule(&self) -> Option<&Rule> {
        with(&self.rule, |p| {
            // SAFETY: invariants 3 and 5.
            let rule = unsafe { &*p };
            rule.as_deref()
        })
    }

    /// Counts a reader out of the event of `word`. Returns the event if the reader was the last
    /// one. The slot is free then.
    #[inline]
    pub(super) fn pass(&self, word: SlotWord) -> Option<E> {
        if !word.is_last() {
            // Release: this reader's access to the event comes before the last reader moves it out.
            // Acquire: if this reader is the last, the accesses of the others come before its own
            // move.
            let before = SlotWord(self.word.fetch_sub(SlotWord::ONE_READER, Ordering::AcqRel));
            if cfg!(any(debug_assertions, laneway_loom)) {
                let there = before.is_event(word.number()) && before.remaining() > 0;
                assert!(there, "a reader passes an event that it does not count for");
            }
            if before.remaining() != 1 {
                return None;
            }
        }
        Some(self.empty(word))
    }

    /// Moves the event out for its last reader, and frees the slot.
    #[inline]
    pub(super) fn empty(&self, word: SlotWord) -> E {
        self.empty_into(word, |event| event)
    }

    /// As `empty`. The event is moved straight into `make`, which saves a copy.
    #[inline]
    pub(super) fn empty_into<R>(&self, word: SlotWord, make: impl FnOnce(E) -> R) -> R {
        /// Frees the slot, also if `make` panics. The event is out, so a slot that stayed `FULL`
        /// would be read or dropped a second time.
        struct Free<'a, E>(&'a Slot<E>, u64);
        impl<E> Drop for Free<'_, E> {
            #[inline]
            fn drop(&mut self) {
                self.0.free(self.1);
            }
        }
        if word.is_ruled() {
            self.drop_rule();
        }
        let _free = Free(self, word.number());
        make(self.take(false).0)
    }

    /// Adds a reader to the event of `number` that an archive keeps. Returns the new word, or
    /// `None` if the slot no longer holds the event.
    pub(super) fn count_in(&self, number: u64) -> Option<SlotWord> {
        loop {
            let word = self.load();
            // At 0 the last reader has subtracted itself and is about to move the event out. At the
            // maximum one more reader would run over into the number.
            if !word.is_event(number) || matches!(word.remaining(), 0 | u8::MAX) {
                return None;
            }
            // Without the exchange the archive could pass the event while the replay clones it. The
            // archive would be the last reader and would drop the event under the clone.
            if broken(Fault::ReplayUncounted) || self.exchange(word, word.counted()) {
                return Some(word.counted());
            }
        }
    }
}

/// A reference to a slot that its holder may touch, without a lifetime.
///
/// The holder owns the slot's number, counts for it, or has pinned its arena. It does not use the
/// reference after that.
pub(super) struct SlotRef<E>(NonNull<Slot<E>>);

impl<E> Clone for SlotRef<E> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<E> Copy for SlotRef<E> {}

impl<E> From<&Slot<E>> for SlotRef<E> {
    #[inline]
    fn from(slot: &Slot<E>) -> Self {
        Self(NonNull::from(slot))
    }
}

impl<E> Deref for SlotRef<E> {
    type Target = Slot<E>;
    #[inline]
    fn deref(&self) -> &Slot<E> {
        // SAFETY: the hot slot lives as long as its lane, which the holder borrows. A slot of an
        // arena lives by invariant 3 of `arena` as long as the holder owns, counts, or pins.
        unsafe { self.0.as_ref() }
    }
}

impl<E> Drop for Slot<E> {
    fn drop(&mut self) {
        let word = self.load();
        // At 0 the event belongs to its last reader.
        if word.is_full() && word.remaining() > 0 {
            drop(self.take(word.is_ruled()));
        }
    }
}
