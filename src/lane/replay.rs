//! Events that a lane keeps are read again.

use std::marker::PhantomData;

use super::Lane;
use super::archive::Archive;
use super::arena::Pin;
use super::audience::Audience;
use super::locate::Place;
use super::slot::SlotRef;
use super::words::SlotWord;
use crate::id::{ConnectionId, ThreadId};
use crate::sync::{Ordering, broken};

impl<E: 'static> Lane<E> {
    /// Finds the event of `number` and counts itself for it. The caller has joined, and the number is
    /// from before.
    fn revisit<'a>(&self, archive: &Archive, number: u64, pin: &'a mut Pin<E>) -> Found<'a, E> {
        let Place::At(slot) = self.locate(number, pin) else {
            return Found::Gone;
        };
        if !broken("replay-with-holes") {
            // Claimed before the join and not filled since: this connection does not count for it.
            self.resolve(number, slot, pin);
        }
        match slot.count_in(number) {
            Some(word) => Found::Event(Visit {
                slot,
                word,
                pin: PhantomData,
            }),
            // The floor is read after the word. While the archive has not passed an event, the event
            // is there; so this number is none.
            // There are too many replays of it at once.
            None if slot.load().is_event(number) => Found::Gone,
            None if archive.floor() <= number => Found::Void,
            None => Found::Gone,
        }
    }

    /// Returns clones of the events from `from` up to below `to` that are for `asker`, to a connection
    /// that has joined at `to`. Returns the first number of what is whole: `from`, or a later one if
    /// something is gone, and then `each` was told to start over.
    pub(crate) fn replay(
        &self,
        asker: &Asker<'_>,
        from: u64,
        to: u64,
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
            match self.revisit(archive, number, &mut pin) {
                Found::Event(visit) if asker.gets(visit.audience()) => {
                    each(Replay::Event(self.public(number), visit.get().clone()));
                }
                Found::Event(_) if asker.is_exact => {}
                Found::Void => {}
                Found::Gone if broken("replay-with-holes") => {}
                Found::Event(_) | Found::Gone => {
                    each(Replay::StartOver);
                    first = number + 1;
                }
            }
        }
        first
    }

    /// Returns clones of the critical events below `to` that were accepted while no connection was
    /// there and that no call of this function has returned. Says whether nothing critical can have
    /// been dropped since the last call.
    pub(crate) fn recover(&self, to: u64, mut each: impl FnMut(u64, E)) -> bool
    where
        E: Clone,
    {
        let Some(archive) = self.archive() else {
            return true;
        };
        let from = if broken("recover-in-two-steps") {
            let from = archive.recovered.load(Ordering::Acquire);
            archive.recovered.store(to, Ordering::Release);
            from
        } else {
            archive.recovered.fetch_max(to, Ordering::AcqRel)
        };
        let from = from.max(self.capacity());
        let oldest = self.oldest();
        let mut complete = true;
        let mut pin = Pin::none();
        let mut number = from.max(archive.floor());
        while number < to {
            let slot = match self.locate(number, &mut pin) {
                Place::At(slot) => slot,
                Place::GoneBelow(next) => {
                    number = next;
                    continue;
                }
            };
            self.resolve(number, slot, &pin);
            let word = slot.load();
            if word.is_event(number) && word.is_unseen() {
                match self.revisit(archive, number, &mut pin) {
                    Found::Event(visit) if number >= oldest => {
                        each(self.public(number), visit.get().clone());
                    }
                    _ => complete = false,
                }
            }
            number += 1;
        }
        // Last: an event that was gone before it was looked at has left its mark.
        let released = archive.floor() > from || self.is_over();
        complete && !(released && from < to) && self.lost() < from
    }
}

/// What a replay finds of a number.
enum Found<'a, E> {
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
        if !broken("replay-uncounted") {
            drop(self.slot.pass(self.word));
        }
    }
}

/// For whom a replay is.
pub(crate) struct Asker<'a> {
    /// Connections whose events it is to get.
    pub(crate) ids: [ConnectionId; 2],
    /// The thread that it is attached to.
    pub(crate) thread: Option<&'a ThreadId>,
    /// These are all; else an event for others may be one that it is to get.
    pub(crate) is_exact: bool,
}

impl Asker<'_> {
    fn gets(&self, audience: Option<&Audience>) -> bool {
        let [of, before] = self.ids;
        audience.is_none_or(|audience| {
            let also = before != ConnectionId(0) && audience.has(before, self.thread);
            audience.has(of, self.thread) || also
        })
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
