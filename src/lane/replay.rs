//! Replays: a connection that comes back reads kept events again.

use std::marker::PhantomData;

use super::archive::Archive;
use super::arena::Pin;
use super::audience::Audience;
use super::core::Lane;
use super::home::Home;
use super::rule::{Rule, Verdict};
use super::slot::SlotRef;
use super::words::SlotWord;
use crate::sync::{Fault, broken};

impl<E: 'static> Lane<E> {
    /// Finds the event of `number` and adds the replay to its readers. The caller has joined at a
    /// higher number.
    fn visit<'a>(&self, archive: &Archive, number: u64, pin: &'a mut Pin<E>) -> Kept<'a, E> {
        let Home::Slot(slot) = self.find_home(number, pin) else {
            return Kept::Gone;
        };
        // The number was claimed before the join, and may not be filled. This connection does not
        // count for it, so the event would never come to it. An event that the replay leaves out
        // would be lost.
        if !broken(Fault::ReplayWithHoles) {
            self.resolve(number, slot, pin);
        }
        match slot.count_in(number) {
            Some(word) => Kept::Event(Visit {
                slot,
                word,
                pin: PhantomData,
            }),
            // The event is there, and too many replays read it at once.
            None if slot.load().is_event(number) => Kept::Gone,
            // The archive has not passed the number, so an event of it would still be in the slot.
            // There is none, so the number is void. The floor is loaded after the word. With a floor
            // from before, a release in between could have emptied the slot of an event.
            None if archive.floor() <= number => Kept::Void,
            None => Kept::Gone,
        }
    }

    /// Passes clones of the events from `from` to below `to` to `each`, for a connection that has
    /// joined at `to`.
    ///
    /// `gets` says whether an event is for the connection, or `None` if that cannot be known. If an
    /// event is gone or unknown, `each` is told to start over. Returns the first number from which
    /// on the replay is complete. An event that is superseded or expired is left out.
    pub(crate) fn replay(
        &self,
        from: u64,
        to: u64,
        now: impl Fn() -> u64,
        gets: impl Fn(u64, Option<&Audience>) -> Option<bool>,
        mut each: impl FnMut(Replay<E>),
    ) -> u64
    where
        E: Clone,
    {
        let Some(archive) = self.archive() else {
            return to;
        };
        // Numbers below the oldest may be gone from their slots at any moment.
        let start = from.max(self.oldest().min(to));
        let mut first = start;
        let mut pin = Pin::none();
        for number in start..to {
            let public = self.public(number);
            let found = self.visit(archive, number, &mut pin);
            match &found {
                // Superseded or expired: no device receives it any more, so the replay has no hole.
                Kept::Event(visit) if visit.is_over(number, &now) => continue,
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

    /// Passes clones of the owed events below `to` to `each`: critical events that were accepted
    /// while no connection was there, and that no connection has received. Returns whether no owed
    /// event can have been dropped. An event that is expired is owed no more.
    pub(crate) fn recover(
        &self,
        to: u64,
        now: impl Fn() -> u64,
        mut each: impl FnMut(u64, E),
    ) -> bool
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
                    // The word above is a first look only. The event cannot be dropped once `visit`
                    // has added this thread to its readers.
                    Kept::Event(visit) if number >= oldest => {
                        if !visit.is_over(number, &now) {
                            each(self.public(number), visit.get().clone());
                        }
                    }
                    _ => complete = false,
                }
            }
            number += 1;
        }
        // The events stay owed until they are received. A connection that fetches them and goes
        // would otherwise take them with it.
        if broken(Fault::OwedUntilFetched) {
            archive.raise_owed_from(to);
        }
        // Loaded last: an event that was dropped before the search came to it has raised the floor
        // or `lost` by now.
        let released = archive.floor() > from || self.is_over();
        complete && !(released && from < to) && self.lost() < from
    }

    /// Returns whether a connection that has recovered the event of a public number is the one that
    /// receives it.
    pub(crate) fn receive_owed(&self, public: u64) -> bool {
        let number = self.internal(public);
        self.archive()
            .is_some_and(|a| a.receive(number, self.capacity as usize))
    }

    /// Notes that each event recovered by a connection that joined at `to` was received, by that
    /// one or by another.
    pub(crate) fn end_recovery(&self, to: u64) {
        if let Some(archive) = self.archive() {
            archive.raise_owed_from(to);
        }
    }
}

enum Kept<'a, E> {
    Event(Visit<'a, E>),
    /// The number is no event.
    Void,
    Gone,
}

/// An event to whose readers the replay was added. Dropping it passes the event.
struct Visit<'a, E> {
    slot: SlotRef<E>,
    word: SlotWord,
    pin: PhantomData<&'a Pin<E>>,
}

impl<E> Visit<'_, E> {
    fn get(&self) -> &E {
        self.slot.event()
    }

    fn rule(&self) -> Option<&Rule> {
        self.word.is_ruled().then(|| self.slot.rule())?
    }

    fn audience(&self) -> Option<&Audience> {
        self.rule()?.audience.as_ref()
    }

    /// Returns whether the event is superseded or expired.
    fn is_over(&self, number: u64, now: impl FnOnce() -> u64) -> bool {
        let verdict = self.rule().map(|rule| rule.verdict_for_all(number, now));
        verdict.is_some_and(|verdict| verdict != Verdict::Deliver)
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
    /// An event is missing, so what came before is no part of the replay.
    StartOver,
}
