//! A publisher, and the number that it has claimed.

use super::arena::Arena;
use super::core::Lane;
use super::discard::Discard;
use super::outcome::Terms;
use super::rule::Rule;
use super::slot::SlotRef;
use super::words::{Kind, Run, SlotWord, State};
use crate::sync::{Fault, broken};

/// An event on its way into a lane.
pub(crate) struct Offer<E> {
    pub(crate) event: E,
    pub(crate) rule: Option<Box<Rule>>,
}

/// A number that belongs to its publisher, and the slot that is its home.
pub(super) struct Claim<'a, E> {
    /// The state before the claim. Its `seq` is the number, its `live` the audience.
    pub(super) state: State,
    pub(super) slot: SlotRef<E>,
    /// The slot's word before the fill.
    pub(super) seen: SlotWord,
    /// The arena of the slot, or `None` for the hot slot.
    pub(super) arena: Option<Arena<'a, E>>,
}

/// One call of `append` that takes the slow path.
pub(super) struct Publisher<'a, E: 'static> {
    pub(super) lane: &'a Lane<E>,
    pub(super) terms: Terms,
    /// Drops the events that this call evicts. A panic of the host's `Drop` is rethrown when the
    /// call is done.
    pub(super) discard: Discard<E>,
}

/// The outcome of a preparation for a burst's next number.
pub(super) enum Prepared {
    /// The number has a slot in this run.
    Ready(Run),
    /// The lane has changed meanwhile. The publisher loads the state again.
    Retry,
}

impl Prepared {
    pub(super) fn ready_if(is_ready: bool, run: Run) -> Self {
        is_ready.then_some(run).map_or(Self::Retry, Self::Ready)
    }
}

/// Makes a number void whose publisher has not come. The publisher's own exchange then fails, and
/// it claims another number.
pub(super) fn void<E>(slot: SlotRef<E>, seen: SlotWord, number: u64, arena: Option<Arena<'_, E>>) {
    if let Some(arena) = arena {
        // Before the exchange: once the slot is void its publisher may subtract.
        arena.begin_void();
    }
    // `VOID`, not `FREE`: the publisher may be stopped inside the slot. A free slot would be given
    // to the next number, and two publishers would write into it.
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

    #[inline(always)]
    #[allow(clippy::inline_always)] // Without it, a publish by id calls it.
    pub(super) fn in_arena(lane: &'a Lane<E>, state: State, run: Run) -> Self {
        // Without a guard: the number is this publisher's and lies in this directory, which
        // therefore stays.
        let arena = lane.root.without_guard().at(run.arena());
        let slot = arena.slot((state.seq() - run.base()) as usize);
        Self {
            state,
            slot: slot.into(),
            seen: slot.load(),
            arena: Some(arena),
        }
    }

    /// Writes the event and publishes it. Hands the event back if a reader has made the number
    /// void.
    #[inline]
    pub(super) fn fill(
        &self,
        event: E,
        rule: Option<Box<Rule>>,
        terms: Terms,
    ) -> Result<(), Offer<E>> {
        let number = self.state.seq();
        // Void already: a reader came between the claim and the load of the slot's word.
        if self.seen.number() >= number {
            return Err(Offer { event, rule });
        }
        let is_ruled = rule.is_some();
        let word = self.full(terms, rule.as_deref());
        self.slot.write(event, rule);
        // An exchange: a reader may make the number void while the event is written. A store would
        // overwrite the void, and the event would wait for readers that have gone on.
        if broken(Fault::FillByStore) || self.slot.exchange(self.seen, word) {
            return Ok(());
        }
        // Void. The slot still belongs to this publisher, so it takes its event back.
        let (event, rule) = self.slot.take(is_ruled);
        Err(Offer { event, rule })
    }

    #[inline]
    pub(super) fn full(&self, terms: Terms, rule: Option<&Rule>) -> SlotWord {
        let state = self.state;
        let has_audience = rule.is_some_and(|rule| rule.audience.is_some());
        let kind = match terms.critical {
            false => Kind::Ordinary,
            // Accepted while the archive is alone. An event with an audience is for connections
            // that were there, so it is owed to no later one.
            true if state.connections() == 0 && !has_audience => Kind::Unseen,
            true => Kind::Critical,
        };
        let mut word = SlotWord::full(state.seq(), state.live(), kind);
        if rule.is_some() {
            word = word.ruled();
        }
        if state.is_archived() {
            word = word.kept();
        }
        word
    }

    /// Frees the void slot of this claim. From here on other numbers may use it.
    pub(super) fn acknowledge(&self) {
        if broken(Fault::VoidFrees) {
            return;
        }
        if cfg!(any(debug_assertions, laneway_loom)) && !broken(Fault::QuietIgnoresLeavers) {
            let is_mine = self.slot.load() == SlotWord::void(self.state.seq());
            assert!(is_mine, "a void is its publisher's");
        }
        self.slot.free(self.state.seq());
        // After the store: once the count is 0 another publisher may use the arena, and its slots
        // have to be free.
        if let Some(arena) = self.arena {
            arena.end_void();
        }
    }
}
