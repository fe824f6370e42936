//! Connections that wait for an event.

use super::core::Lane;
use super::home::Home;
use super::member::Member;
use super::reader::Reader;
use super::words::State;
use crate::sync::{Fault, Ordering, broken};

impl<E: 'static> Lane<E> {
    /// Registers a sleeper, unless there is something to look at. After `true`, `unpark` is owed.
    ///
    /// A sleeper is counted in `waiting` only while `seq` equals its cursor, by the same exchange. So
    /// the publisher of the next number finds it counted.
    pub(crate) fn park(
        &self,
        member: &Member,
        reader: &mut Reader<E>,
        waker: &std::task::Waker,
    ) -> bool {
        let cursor = member.cursor();
        member.wake.arm(waker);
        loop {
            let state = self.load();
            let is_behind = state.seq() > cursor && !broken(Fault::SleepWithoutLooking);
            if is_behind || state.is_closed() || !member.is_open() {
                member.wake.disarm();
                if is_behind && member.is_open() && !broken(Fault::SleepBehindTheFrozen) {
                    // The publisher of this number may be stopped: its number is not waited for.
                    if let Home::Slot(slot) = self.find_home(cursor, &mut reader.pin) {
                        self.resolve(cursor, slot, &reader.pin);
                    }
                }
                return false;
            }
            // Release: a publisher or closer that comes later on this word sees the waker.
            if self.exchange(state, State(state.0 + State::ONE_WAITING)) {
                break;
            }
        }
        // A closer that came before has marked; one that comes after takes the count along, and wakes.
        if !member.fall_asleep() {
            self.state.fetch_sub(State::ONE_WAITING, Ordering::AcqRel);
            member.wake.disarm();
            return false;
        }
        true
    }

    /// Takes a sleeper's registration back.
    pub(crate) fn unpark(&self, member: &Member) {
        if member.wake_up() {
            self.state.fetch_sub(State::ONE_WAITING, Ordering::AcqRel);
        }
        member.wake.disarm();
    }

    /// Wakes sleepers, if there are any.
    pub(crate) fn wake_sleepers(&self) {
        if self.load().waiting() > 0 {
            self.wake();
        }
    }

    #[cold]
    pub(super) fn wake(&self) {
        self.for_each(|member| {
            member.wake.wake();
        });
    }
}
