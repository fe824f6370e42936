//! One receive: the fast path, and the steps that it takes seldom.

use std::sync::Arc;

use super::{Connection, ENDED, Rare};
use crate::engine::{Core, User};
use crate::error::{CloseReason, Closed, TryRecvError};
use crate::lane::member::Member;
use crate::lane::{Reader, Seen, Step};
use crate::observe;
use crate::received::{Delivered, Received, received};
use crate::sync::Ordering;

impl<E: Clone + Send + Sync + 'static> Connection<E> {
    /// Returns the next event or gap, if there is one.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::builder().lane_capacity(2).build().unwrap();
    /// # let ann = hub.scope(laneway::UserId::new("ann").unwrap());
    /// use laneway::{Received, TryRecvError};
    ///
    /// let mut device = ann.connect().unwrap();
    /// assert_eq!(device.try_recv(), Err(TryRecvError::Empty));
    /// ann.publish(7).unwrap();
    /// let Ok(Received::Event(got)) = device.try_recv() else { panic!() };
    /// assert_eq!(got.event, 7);
    /// ```
    ///
    /// A connection that is more than `lane_capacity` numbers behind skips all but the last
    /// `lane_capacity`, and returns one gap. It stops at a critical event that the lane still holds. If a
    /// critical event that it has not read is gone, the connection is closed instead. If that comes in the middle of
    /// the skip, or another thread closes the connection then, the gap is a part, and the end comes next.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`] now, or [`TryRecvError::Closed`] for good.
    ///
    /// # Panics
    ///
    /// If the event's `Clone` panics; the event counts as read then. Also if this call skips an event whose
    /// `Drop` panics, and no other connection has to read that event.
    ///
    /// # Progress
    ///
    /// Lock-free; never blocks. A gap takes one step for each skipped number that the lane holds.
    pub fn try_recv(&mut self) -> Result<Received<E>, TryRecvError> {
        if self.reader.pending != 0 {
            return self.try_recv_pending();
        }
        self.try_recv_live()
    }

    #[cold]
    #[inline(never)]
    fn try_recv_pending(&mut self) -> Result<Received<E>, TryRecvError> {
        match self.next_pending() {
            Some(delivered) => Ok(Received::Event(delivered)),
            None => self.try_recv_live(),
        }
    }

    #[inline(always)]
    #[allow(clippy::inline_always)] // The fast path of a receive.
    fn try_recv_live(&mut self) -> Result<Received<E>, TryRecvError> {
        let lane = &self.user.lane;
        let member = lane.member(&self.seat);
        match lane.see(member, &self.reader) {
            Some(seen) => lane.take(member, &mut self.reader, seen, |number, event| {
                Ok(received(number, event))
            }),
            None if lane.is_idle(member, &self.reader) => Err(TryRecvError::Empty),
            None => self.try_recv_slowly(),
        }
    }

    #[cold]
    #[inline(never)]
    fn try_recv_slowly(&mut self) -> Result<Received<E>, TryRecvError> {
        let (user, reader) = (&self.user, &mut self.reader);
        let member = user.lane.member(&self.seat);
        match Self::search(&self.core, user, member, reader, &mut self.rare) {
            Ok(seen) => Ok(user.lane.take(member, reader, seen, received)),
            Err(Step::Gap(missed)) => Ok(Received::Gap { missed }),
            Err(Step::Closed(reason)) => Err(TryRecvError::Closed(Closed { reason })),
            Err(Step::Empty) => Err(TryRecvError::Empty),
        }
    }
}

impl<E: Send + Sync + 'static> Connection<E> {
    /// Looks for the next event after a first look that did not find it.
    #[cold]
    pub(super) fn search(
        core: &Core<E>,
        user: &Arc<User<E>>,
        member: &Member,
        reader: &mut Reader<E>,
        rare: &mut Option<Box<Rare<E>>>,
    ) -> Result<Seen<E>, Step> {
        let tell = |verdict| Rare::count(rare, verdict);
        let found = user.lane.search(member, reader, || core.time.now(), tell);
        found.map_err(|step| Self::tidy(core, user, member, step))
    }

    /// Prepares the next look at the lane. Returns an event from before the connection's time, if there is
    /// one.
    #[cold]
    pub(super) fn next_pending(&mut self) -> Option<Delivered<E>> {
        self.unpark();
        let next = self.next_replayed();
        if next.is_none() {
            self.reader.pending &= ENDED;
        }
        next
    }

    /// Counts a gap, or closes the connection, for a step that read nothing.
    #[cold]
    fn tidy(core: &Core<E>, user: &Arc<User<E>>, member: &Member, step: Step) -> Step {
        match step {
            // The lane closes no connection. This call has no effect if another thread closed it.
            Step::Closed(CloseReason::Overrun) => {
                core.close(user, member, CloseReason::Overrun);
                Step::Closed(member.close_reason())
            }
            Step::Closed(CloseReason::Shutdown) => Step::Closed(core.shutdown_reason()),
            Step::Gap(missed) => {
                core.counters.missed.fetch_add(missed, Ordering::Relaxed);
                observe::gap(&user.id, member.id, missed);
                Step::Gap(missed)
            }
            step => step,
        }
    }
}
