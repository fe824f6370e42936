//! One live device of one user: the receiving end.

use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use std::thread::ThreadId as OsThreadId;

use crate::engine::{Core, User};
use crate::error::{CloseReason, Closed, TryRecvError};
use crate::id::{ConnectionId, ThreadId, UserId};
use crate::lane::member::Member;
use crate::lane::{Reader, Seat, Seen, Step};
use crate::received::{Delivered, Received, Visited, received};
use crate::stats::ConnectionStats;
use crate::sync::Ordering;

mod replayed;
mod resume;
mod wait;

use replayed::Replayed;
pub use wait::Next;

/// One live connection of one user. Dropping it disconnects.
///
/// Receiving takes `&mut self`, so no two threads can receive from one connection.
pub struct Connection<E: Send + Sync + 'static> {
    // Before the user, whose lane it may stand in.
    reader: Reader<E>,
    core: Arc<Core<E>>,
    user: Arc<User<E>>,
    seat: Seat,
    rare: Option<Box<Rare<E>>>,
}

/// What few connections have.
struct Rare<E> {
    replayed: Replayed<E>,
    /// The waker of the thread that slept in `recv` last.
    blocking: Option<(OsThreadId, Waker)>,
}

/// A registration in the lane is to be taken back.
const PARKED: u8 = 1;
/// There are events from before the connection's time.
const REPLAY: u8 = 2;

impl<E: Send + Sync + 'static> Connection<E> {
    pub(crate) fn new(core: Arc<Core<E>>, user: Arc<User<E>>, seat: Seat) -> Self {
        Self {
            reader: Reader::new(),
            core,
            user,
            seat,
            rare: None,
        }
    }

    #[inline]
    fn member(&self) -> &Member {
        self.user.lane.member(&self.seat)
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        self.member().id
    }
    /// Whose connection this is.
    #[must_use]
    pub fn user(&self) -> &UserId {
        &self.user.id
    }
    /// The thread it is attached to.
    #[must_use]
    pub fn thread(&self) -> Option<&ThreadId> {
        self.member().thread.as_deref()
    }
    /// Numbers not read yet. Wait-free.
    #[must_use]
    pub fn unread(&self) -> u64 {
        self.user.lane.unread(self.member())
    }
    /// Numbers it was told it missed. Wait-free.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.member().missed()
    }
    /// Where its numbers went. Wait-free.
    #[must_use]
    pub fn stats(&self) -> ConnectionStats {
        ConnectionStats {
            replayed: self.rare.as_ref().map_or(0, |rare| rare.replayed.received),
            ..self.user.lane.stats(self.member(), &self.reader)
        }
    }
    /// Counts as [activity](crate::Builder::activity) at the next sweep. Wait-free.
    pub fn touch(&self) {
        self.member().touch();
    }
    /// Disconnects, as dropping does. Lock-free; takes one step for each unread number that the lane holds.
    pub fn disconnect(self) {}

    fn rare(&mut self) -> &mut Rare<E> {
        self.rare.get_or_insert_with(|| {
            Box::new(Rare {
                replayed: Replayed::default(),
                blocking: None,
            })
        })
    }

    /// The next event, after a first look that did not find it.
    #[cold]
    fn search(
        core: &Core<E>,
        user: &Arc<User<E>>,
        member: &Member,
        reader: &mut Reader<E>,
    ) -> Result<Seen<E>, Step> {
        let found = user.lane.search(member, reader);
        found.map_err(|step| Self::tidy(core, user, member, step))
    }

    /// Does what is to be done before the next look at the lane. Returns an event from before the
    /// connection's time, if there is one.
    #[cold]
    fn step_aside(&mut self) -> Option<Delivered<E>> {
        self.unpark();
        let next = self.next_replayed();
        if next.is_none() {
            self.reader.pending = 0;
        }
        next
    }

    #[cold]
    fn visit_aside(&mut self, max: usize, f: &mut impl FnMut(u64, &E)) -> usize {
        let mut events = 0;
        while events < max
            && let Some(delivered) = self.step_aside()
        {
            events += 1;
            f(delivered.number, &delivered.event);
        }
        events
    }

    /// Counts and closes what a step that read nothing asks for.
    #[cold]
    fn tidy(core: &Core<E>, user: &Arc<User<E>>, member: &Member, step: Step) -> Step {
        match step {
            // The lane closes no connection. This call has no effect if another thread closed it.
            Step::Closed(CloseReason::Overrun) => {
                core.close(user, member, CloseReason::Overrun);
                Step::Closed(member.close_reason())
            }
            Step::Gap(missed) => {
                core.counters.missed.fetch_add(missed, Ordering::Relaxed);
                Step::Gap(missed)
            }
            step => step,
        }
    }

    /// Reads up to `max` events in place, in order, without cloning; `f` gets the number and the
    /// event. Returns how many it read. Stops early at a gap, and returns that too. Lock-free.
    ///
    /// If `f` panics, the event it was given counts as read.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann").unwrap());
    /// let mut device = ann.connect().unwrap();
    /// ann.publish_batch([3, 4]).unwrap();
    /// let mut sum = 0;
    /// let visited = device.visit(64, |_number, event| sum += event)?;
    /// assert_eq!((visited.events, visited.missed, sum), (2, 0, 7));
    /// # Ok::<(), laneway::Closed>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Closed`] if the connection is closed and nothing was read.
    pub fn visit(&mut self, max: usize, mut f: impl FnMut(u64, &E)) -> Result<Visited, Closed> {
        let mut visited = Visited {
            events: 0,
            missed: 0,
        };
        if self.reader.pending != 0 {
            visited.events = self.visit_aside(max, &mut f);
        }
        let (user, reader) = (&self.user, &mut self.reader);
        let member = user.lane.member(&self.seat);
        while visited.events < max {
            let seen = match user.lane.see(member, reader) {
                Some(seen) => Ok(seen),
                None if user.lane.is_idle(member, reader) => break,
                None => Self::search(&self.core, user, member, reader),
            };
            match seen {
                Ok(seen) => {
                    let (number, entered) = user.lane.enter(member, reader, seen);
                    f(number, entered.get());
                }
                Err(Step::Gap(missed)) => {
                    visited.missed = missed;
                    break;
                }
                Err(Step::Closed(reason)) if visited.events == 0 => return Err(Closed { reason }),
                Err(_) => break,
            }
            visited.events += 1;
        }
        Ok(visited)
    }
}

impl<E: Clone + Send + Sync + 'static> Connection<E> {
    /// The next event or gap, if there is one. Lock-free; never blocks.
    ///
    /// A connection that is more than `lane_capacity` numbers behind passes all but the last
    /// `lane_capacity` unread, and returns one gap. It stops at a critical event that the lane still
    /// holds. It drops the payloads that no other connection wants. If a critical event that it has not
    /// read is gone, the connection is closed instead.
    ///
    /// If the event's `Clone` panics, the event counts as read.
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
    /// # Panics
    ///
    /// If the event's `Clone` does, or the `Drop` of an event that it skips.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`] now, or [`TryRecvError::Closed`] for good.
    pub fn try_recv(&mut self) -> Result<Received<E>, TryRecvError> {
        if self.reader.pending != 0 {
            return self.try_recv_aside();
        }
        self.try_recv_live()
    }

    #[cold]
    #[inline(never)]
    fn try_recv_aside(&mut self) -> Result<Received<E>, TryRecvError> {
        match self.step_aside() {
            Some(delivered) => Ok(Received::Event(delivered)),
            None => self.try_recv_live(),
        }
    }

    #[inline(always)]
    #[allow(clippy::inline_always)] // As above.
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
        match Self::search(&self.core, user, member, reader) {
            Ok(seen) => Ok(user.lane.take(member, reader, seen, received)),
            Err(Step::Gap(missed)) => Ok(Received::Gap { missed }),
            Err(Step::Closed(reason)) => Err(TryRecvError::Closed(Closed { reason })),
            Err(Step::Empty) => Err(TryRecvError::Empty),
        }
    }

    /// Appends up to `max` events and gaps to `into` and says how many. Lock-free.
    ///
    /// # Errors
    ///
    /// [`Closed`] if the connection is closed and nothing was received.
    pub fn drain(&mut self, max: usize, into: &mut Vec<Received<E>>) -> Result<usize, Closed> {
        for count in 0..max {
            match self.try_recv() {
                Ok(received) => into.push(received),
                Err(TryRecvError::Closed(closed)) if count == 0 => return Err(closed),
                Err(_) => return Ok(count),
            }
        }
        Ok(max)
    }
}

impl<E: Send + Sync + 'static> Drop for Connection<E> {
    fn drop(&mut self) {
        if self.reader.pending != 0 {
            self.unpark();
        }
        let lane = &self.user.lane;
        let member = lane.member(&self.seat);
        let owner = Some(&mut self.reader);
        self.core
            .close_as(&self.user, member, CloseReason::Dropped, owner);
        lane.leave(member, &mut self.reader);
        member.wake.clear();
    }
}

impl<E: Send + Sync + 'static> fmt::Debug for Connection<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id())
            .field("user", self.user())
            .finish_non_exhaustive()
    }
}
