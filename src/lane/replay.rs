//! Events that a lane keeps are read again.

use std::marker::PhantomData;

use super::archive::Archive;
use super::arena::Pin;
use super::audience::Audience;
use super::core::Lane;
use super::home::Home;
use super::slot::SlotRef;
use super::words::SlotWord;
use crate::sync::{Fault, broken};

impl<E: 'static> Lane<E> {
    /// Finds the event of `number` and counts itself for it. The caller has joined, and the number is
    /// from before.
    fn visit<'a>(&self, archive: &Archive, number: u64, pin: &'a mut Pin<E>) -> Kept<'a, E> {
        let Home::Slot(slot) = self.find_home(number, pin) else {
            return Kept::Gone;
        };
        if !broken(Fault::ReplayWithHoles) {
            // Claimed before the join and not filled since: this connection does not count for it.
            self.resolve(number, slot, pin);
        }
        match slot.count_in(number) {
            Some(word) => Kept::Event(Visit {
                slot,
                word,
                pin: PhantomData,
            }),
            // The floor is read after the word. While the archive has not passed an event, the event
            // is there; so this number is none.
            // There are too many replays of it at once.
            None if slot.load().is_event(number) => Kept::Gone,
            None if archive.floor() <= number => Kept::Void,
            None => Kept::Gone,
        }
    }

    /// Returns clones of the events from `from` up to below `to` that `gets` names, to a connection that
    /// has joined at `to`. `gets` returns `None` for an event that may be one. Returns the first number of
    /// what is whole: `from`, or a later one if something is gone, and then `each` was told to start over.
    pub(crate) fn replay(
        &self,
        from: u64,
        to: u64,
        gets: impl Fn(u64, Option<&Audience>) -> Option<bool>,
        mut each: impl FnMut(Replay<E>),
    ) -> u64
    where
        E: Clone,
    {
        let Some(archive) = self.archive() else {
            return to;
        };
        let start = from.max(self.oldest().min(to));
        let mut first = start;
        let mut pin = Pin::none();
        for number in start..to {
            let public = self.public(number);
            let found = self.visit(archive, number, &mut pin);
            match &found {
                Kept::Event(visit) => match gets(public, visit.audience()) {
                    Some(true) => {
                        each(Replay::Event(public, visit.get().clone()));
                        continue;
                    }
                    Some(false) => continue,
                    None => {}
                },
                Kept::Void => continue,
                Kept::Gone if broken(Fault::ReplayWithHoles) => continue,
                Kept::Gone => {}
            }
            each(Replay::StartOver);
            first = number + 1;
        }
        first
    }

    /// Returns clones of the critical events below `to` that were accepted while no connection was
    /// there and that no connection has received since. Says whether nothing critical can have been
    /// dropped that was owed.
    pub(crate) fn recover(&self, to: u64, mut each: impl FnMut(u64, E)) -> bool
    where
        E: Clone,
    {
        let Some(archive) = self.archive() else {
            return true;
        };
        let from = archive.owed_from().max(self.capacity());
        let oldest = self.oldest();
        let mut complete = true;
        let mut pin = Pin::none();
        let mut number = from.max(archive.floor());
        while number < to {
            let slot = match self.find_home(number, &mut pin) {
                Home::Slot(slot) => slot,
                Home::EvictedBelow(next) => {
                    number = next;
                    continue;
                }
            };
            self.resolve(number, slot, &pin);
            let word = slot.load();
            if word.is_event(number) && word.is_unseen() && !archive.is_received(number) {
                match self.visit(archive, number, &mut pin) {
                    Kept::Event(visit) if number >= oldest => {
                        each(self.public(number), visit.get().clone());
                    }
                    _ => complete = false,
                }
            }
            number += 1;
        }
        if broken(Fault::OwedUntilFetched) {
            archive.raise_owed_from(to);
        }
        // Last: an event that was gone before it was looked at has left its mark.
        let released = archive.floor() > from || self.is_over();
        complete && !(released && from < to) && self.lost() < from
    }

    /// Whether a connection that has recovered the event of a public number is the one that receives it.
    pub(crate) fn receive_owed(&self, public: u64) -> bool {
        let number = self.internal(public);
        self.archive()
            .is_some_and(|a| a.receive(number, self.capacity as usize))
    }

    /// A connection that has joined at `to` has passed all that it recovered: each such event was received,
    /// by it or by another connection.
    pub(crate) fn end_recovery(&self, to: u64) {
        if let Some(archive) = self.archive() {
            archive.raise_owed_from(to);
        }
    }
}

/// What a replay finds of a number.
enum Kept<'a, E> {
    Event(Visit<'a, E>),
    /// The number is no event.
    Void,
    Gone,
}

/// An event that a replay counts for. Dropping it passes the event.
struct Visit<'a, E> {
    slot: SlotRef<E>,
    word: SlotWord,
    pin: PhantomData<&'a Pin<E>>,
}

impl<E> Visit<'_, E> {
    fn get(&self) -> &E {
        self.slot.event()
    }

    fn audience(&self) -> Option<&Audience> {
        self.word.is_addressed().then(|| self.slot.audience())?
    }
}

impl<E> Drop for Visit<'_, E> {
    fn drop(&mut self) {
        if !broken(Fault::ReplayUncounted) {
            drop(self.slot.pass(self.word));
        }
    }
}

/// A step of a replay.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Replay<E> {
    /// An event and its public number.
    Event(u64, E),
    /// An event is gone, and so what was returned before is no part of the replay.
    StartOver,
}
