//! Connections that wait for an event, or for their end.

use super::core::Lane;
use super::home::Home;
use super::member::Member;
use super::reader::Reader;
use super::words::State;
use crate::sync::{Fault, Ordering, broken};

impl<E: 'static> Lane<E> {
    /// Registers a connection as asleep, unless there is something to look at. After `true` the
    /// caller owes `unpark`.
    ///
    /// The exchange that adds to `waiting` succeeds only while `seq` equals the cursor. So the
    /// publisher of the next number finds the sleeper counted, and wakes it.
    pub(crate) fn park(
        &self,
        member: &Member,
        reader: &mut Reader<E>,
        waker: &std::task::Waker,
    ) -> bool {
        let cursor = member.cursor();
        // Before the exchange: a publisher that sees the count has to find the waker.
        member.wake.arm(waker);
        loop {
            let state = self.load();
            // Without this comparison an event that was published after the last receive would not
            // wake the connection: its publisher saw no sleeper.
            let is_behind = state.seq() > cursor && !broken(Fault::SleepWithoutLooking);
            if is_behind || state.is_closed() || !member.is_open() {
                member.wake.disarm();
                // The number is claimed and perhaps not filled. If its publisher is stopped, no
                // publish would wake this connection for it. So the number becomes an event or void
                // now.
                if is_behind
                    && member.is_open()
                    && !broken(Fault::SleepBehindTheFrozen)
                    && let Home::Slot(slot) = self.find_home(cursor, &mut reader.pin)
                {
                    self.resolve(cursor, slot, &reader.pin);
                }
                return false;
            }
            // Release: a publisher or closer that loads this count also sees the waker.
            if self.exchange(state, State(state.0 + State::ONE_WAITING)) {
                break;
            }
        }
        // If this fails, a closer came between the exchange and here. It found no flag `ASLEEP`, so
        // it has not taken the unit of `waiting` off, and this thread does. A closer that comes
        // after this call finds the flag and takes the unit off itself.
        if !member.fall_asleep() {
            self.state.fetch_sub(State::ONE_WAITING, Ordering::AcqRel);
            member.wake.disarm();
            return false;
        }
        true
    }

    /// Registers a waker that is called when the connection is closed or the lane is shut, unless
    /// that has happened. After `true` the caller owes `unpark`.
    ///
    /// The connection is not counted in `waiting`, so its publishers do not look for it. A publisher
    /// that wakes another connection of the lane calls this waker as well.
    pub(crate) fn park_until_closed(&self, member: &Member, waker: &std::task::Waker) -> bool {
        member.wake.arm(waker);
        // Two exchanges that change nothing. A closer exchanges the mark, and a shutdown the state,
        // before it looks for the waker. If the closer's exchange comes first, this thread finds the
        // connection closed. If it comes second, the closer sees the waker. With two loads each
        // thread could miss what the other has just stored.
        let is_over = if broken(Fault::AwaitTheEndByLoads) {
            !member.is_open() || self.load().is_closed()
        } else {
            let is_open = member.exchange_nothing().reason() == 0;
            !is_open || State(self.state.fetch_or(0, Ordering::AcqRel)).is_closed()
        };
        if is_over {
            member.wake.disarm();
        }
        !is_over
    }

    /// Ends a sleep: takes the unit of `waiting` back, unless a closer has.
    pub(crate) fn unpark(&self, member: &Member) {
        // A closer takes the unit along with the flag. Both would otherwise subtract it.
        if member.wake_up() {
            self.state.fetch_sub(State::ONE_WAITING, Ordering::AcqRel);
        }
        member.wake.disarm();
    }

    /// Wakes all connections that sleep. For a publisher that published without waking.
    pub(crate) fn wake_sleepers(&self) {
        if self.load().waiting() > 0 {
            self.wake();
        }
    }

    /// Calls the waker of every listed connection that waits.
    #[cold]
    pub(super) fn wake(&self) {
        self.for_each(|member| {
            member.wake.wake();
        });
    }
}
