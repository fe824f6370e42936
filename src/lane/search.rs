//! The search for a reader's next event, by the rules of events.

use super::core::Lane;
use super::home::Home;
use super::member::Member;
use super::outcome::Step;
use super::read::Seen;
use super::reader::Reader;
use super::rule::Verdict;
use crate::sync::{Fault, broken};

impl<E: 'static> Lane<E> {
    /// Finds a connection's next event, wherever it lies. Passes events that their rules keep from
    /// it at the hub's time, and calls `tell` with the reason of each.
    #[cold]
    #[inline(never)]
    pub(crate) fn search(
        &self,
        member: &Member,
        reader: &mut Reader<E>,
        now: impl Fn() -> u64,
        mut tell: impl FnMut(Verdict),
    ) -> Result<Seen<E>, Step> {
        loop {
            let (slot, word) = self.look(member, reader)?;
            let seen = Seen {
                number: word.number(),
                slot,
                word,
                is_newest: true,
            };
            if let Some(seen) = self.judge(member, reader, seen, &now, &mut tell) {
                return Ok(seen);
            }
        }
    }

    /// Returns an event that was found, if the connection receives it. Otherwise steps over it.
    #[inline]
    pub(super) fn judge(
        &self,
        member: &Member,
        reader: &mut Reader<E>,
        seen: Seen<E>,
        now: &impl Fn() -> u64,
        tell: &mut impl FnMut(Verdict),
    ) -> Option<Seen<E>> {
        if !seen.word.is_ruled() {
            return Some(seen);
        }
        let verdict = match seen.slot.rule() {
            Some(rule) => rule.verdict(member, seen.number, now),
            None => Verdict::Deliver,
        };
        if verdict == Verdict::Deliver {
            // The event may have other readers, and is released where it leaves the lane.
            if broken(Fault::ReleaseByEach)
                && let Some(charge) = seen.slot.rule().and_then(|rule| rule.charge.as_ref())
            {
                charge.release_early();
            }
            return Some(seen);
        }
        reader.stepped_over += 1;
        tell(verdict);
        drop(self.enter(member, reader, seen));
        None
    }

    /// Returns the next event of a connection, which stays unread until it is taken. Steps over
    /// events that are not for the connection. Returns `None` where a receive would return a gap or
    /// an end, or find a number that is no event: that is left to the next receive.
    ///
    /// Lock-free, as `search`.
    pub(crate) fn peek(
        &self,
        member: &Member,
        reader: &mut Reader<E>,
        now: impl Fn() -> u64,
        mut tell: impl FnMut(Verdict),
    ) -> Option<Seen<E>> {
        loop {
            if let Some(seen) = self.see(member, reader) {
                return Some(seen);
            }
            let number = member.cursor();
            // As in `look`: the state is loaded before the mark. If the mark is unset after that
            // load, the connection counts for every number below this `seq`.
            let state = self.load();
            let is_near = state.seq() > number && state.seq() - number <= self.capacity();
            if !member.is_open() || !is_near {
                return None;
            }
            let Home::Slot(slot) = self.find_home_near(number, &mut reader.pin) else {
                return None;
            };
            let word = slot.load();
            // After the slot's word, as in `see`.
            if !word.is_event(number) || !member.is_open() {
                return None;
            }
            let seen = Seen {
                number,
                slot,
                word,
                is_newest: true,
            };
            if let Some(seen) = self.judge(member, reader, seen, &now, &mut tell) {
                return Some(seen);
            }
        }
    }
}
