//! A publisher on its way, and the number that it has claimed.

use super::arena::Arena;
use super::audience::Audience;
use super::core::Lane;
use super::discard::Discard;
use super::outcome::Terms;
use super::slot::SlotRef;
use super::words::{Kind, Run, SlotWord, State};
use crate::sync::{Fault, broken};

/// An event on its way into a lane.
pub(crate) struct Offer<E> {
    pub(crate) event: E,
    /// Whom it is for, if not for all of the user's connections.
    pub(crate) audience: Option<Box<Audience>>,
}

/// A number that belongs to its publisher, and the slot that is its home.
pub(super) struct Claim<'a, E> {
    pub(super) state: State,
    pub(super) slot: SlotRef<E>,
    /// The slot's word. The claim says that the numbers before it are over.
    pub(super) seen: SlotWord,
    /// Of a slot in an arena.
    pub(super) arena: Option<Arena<'a, E>>,
}

/// One call of `append`.
pub(super) struct Publisher<'a, E: 'static> {
    pub(super) lane: &'a Lane<E>,
    pub(super) terms: Terms,
    /// Of the events that it evicted: a panic of the host's `Drop` is thrown when the call is done.
    pub(super) discard: Discard<E>,
}

/// Whether a burst's next number has a home.
pub(super) enum Prepared {
    Ready(Run),
    /// The lane has changed meanwhile.
    Retry,
}

impl Prepared {
    pub(super) fn ready_if(is_ready: bool, run: Run) -> Self {
        is_ready.then_some(run).map_or(Self::Retry, Self::Ready)
    }
}

/// Passes over a number whose publisher has not come: whatever it does later, it finds its number
/// void, and takes another one.
pub(super) fn void<E>(slot: SlotRef<E>, seen: SlotWord, number: u64, arena: Option<Arena<'_, E>>) {
    if let Some(arena) = arena {
        // Before the exchange: once the slot is void its publisher may subtract.
        arena.begin_void();
    }
    let to = if broken(Fault::VoidFrees) {
        SlotWord::free(number)
    } else {
        SlotWord::void(number)
    };
    if !slot.exchange(seen, to)
        && let Some(arena) = arena
    {
        arena.end_void();
    }
}

impl<'a, E> Claim<'a, E> {
    #[inline]
    pub(super) fn in_hot_slot(lane: &'a Lane<E>, state: State, seen: SlotWord) -> Self {
        Self {
            state,
            slot: (&lane.hot).into(),
            seen,
            arena: None,
        }
    }

    #[inline]
    pub(super) fn in_arena(lane: &'a Lane<E>, state: State, run: Run) -> Self {
        // The number is this publisher's and lives in the run's arena, so the directory stays.
        let arena = lane.root.without_guard().at(run.arena());
        let slot = arena.slot((state.seq() - run.base()) as usize);
        Self {
            state,
            slot: slot.into(),
            seen: slot.load(),
            arena: Some(arena),
        }
    }

    /// Writes the event, or hands it back if a reader has passed over the number.
    #[inline]
    pub(super) fn fill(
        &self,
        event: E,
        audience: Option<Box<Audience>>,
        terms: Terms,
    ) -> Result<(), Offer<E>> {
        let number = self.state.seq();
        if self.seen.number() >= number {
            return Err(Offer { event, audience });
        }
        let is_addressed = audience.is_some();
        let word = self.full(terms, is_addressed);
        self.slot.write(event, audience);
        if broken(Fault::FillByStore) || self.slot.exchange(self.seen, word) {
            return Ok(());
        }
        let (event, audience) = self.slot.take(is_addressed);
        Err(Offer { event, audience })
    }

    #[inline]
    pub(super) fn full(&self, terms: Terms, is_addressed: bool) -> SlotWord {
        let state = self.state;
        let kind = match terms.critical {
            false => Kind::Ordinary,
            true if state.connections() == 0 && !is_addressed => Kind::Unseen,
            true => Kind::Critical,
        };
        let mut word = SlotWord::full(state.seq(), state.live(), kind);
        if is_addressed {
            word = word.addressed();
        }
        if state.is_archived() {
            word = word.kept();
        }
        word
    }

    /// The publisher's word that it has left a void slot.
    pub(super) fn acknowledge(&self) {
        if broken(Fault::VoidFrees) {
            return;
        }
        if cfg!(any(debug_assertions, laneway_loom)) && !broken(Fault::QuietIgnoresLeavers) {
            let is_mine = self.slot.load() == SlotWord::void(self.state.seq());
            assert!(is_mine, "a void is its publisher's");
        }
        self.slot.free(self.state.seq());
        if let Some(arena) = self.arena {
            arena.end_void();
        }
    }
}
