//! Events from before a connection's time, which it receives before those of its own.

use std::collections::VecDeque;

use super::{Connection, Delivered, REPLAY};
use crate::config::Activity;
use crate::id::ConnectionId;
use crate::lane::replay::{Asker, Replay};
use crate::retention::{Origin, Position, Recovered, Resumed, SEVERAL};
use crate::sync::Ordering;

/// What waits to be received.
pub(super) struct Replayed<E> {
    events: VecDeque<Delivered<E>>,
    /// Whose audiences the position counted from which this connection resumed.
    of: u64,
    /// The position itself counted those of several.
    of_several: bool,
    /// The number at which a closed connection was cut off.
    cut_off: Option<u64>,
    pub(super) received: u64,
}

impl<E> Default for Replayed<E> {
    fn default() -> Self {
        Self {
            events: VecDeque::new(),
            of: 0,
            of_several: false,
            cut_off: None,
            received: 0,
        }
    }
}

impl<E> Replayed<E> {
    /// The number of what comes next, or would if it had not been cut off.
    fn next(&self) -> Option<u64> {
        let next = self.events.front().map(|next| next.number);
        next.into_iter().chain(self.cut_off).min()
    }
}

impl<E: Send + Sync + 'static> Connection<E> {
    /// How far this connection has come, for a later one to resume from: everything it received until
    /// now is before the position, everything else is after it. One hash; wait-free.
    ///
    /// Only a router with [`Retention`](crate::Retention) can resume from it; elsewhere it is a
    /// position that resets.
    #[must_use]
    pub fn position(&self) -> Position {
        let lane = &self.user.lane;
        let waiting = self.rare.as_deref().map(|rare| &rare.replayed);
        let (number, before) = match waiting.and_then(|r| Some((r.next()?, r))) {
            None => (lane.position(self.member().cursor()), 0),
            Some((next, replay)) if replay.of_several => (next, SEVERAL),
            Some((next, replay)) => (next, replay.of),
        };
        self.core.position(&self.user, number, self.id(), before)
    }

    pub(super) fn next_replayed(&mut self) -> Option<Delivered<E>> {
        let member = self.user.lane.member(&self.seat);
        let replay = &mut self.rare.as_deref_mut()?.replayed;
        if !member.is_open() {
            // What a closed connection has not received is cut off, and comes after its position.
            replay.cut_off = replay.next();
            replay.events = VecDeque::new();
            return None;
        }
        let Some(next) = replay.events.pop_front() else {
            replay.events = VecDeque::new();
            return None;
        };
        replay.received += 1;
        if self.core.config.activity == Activity::ReadOrTouch {
            // A replayed event moves no cursor by which a sweep could tell.
            member.touch();
        }
        Some(next)
    }

    fn replayed(&mut self) -> &mut Replayed<E> {
        self.reader.aside |= REPLAY;
        &mut self.rare().replayed
    }
}

impl<E: Clone + Send + Sync + 'static> Connection<E> {
    /// Replays what came after `position`, which is one of this user's.
    pub(crate) fn replay_from(&mut self, position: &Position) -> Resumed {
        let user = std::sync::Arc::clone(&self.user);
        let lane = &user.lane;
        let to = self.member().joined_at;
        let from = lane.internal(position.number);
        let same = lane.archive().is_some_and(|a| a.is(position.lane));
        if !same || from > to {
            self.core
                .counters
                .stale_positions
                .fetch_add(1, Ordering::Relaxed);
            return Resumed::Reset;
        }
        let asker = Asker {
            ids: [position.connection, position.before % SEVERAL].map(ConnectionId),
            thread: self.thread(),
            is_exact: position.before != SEVERAL,
        };
        let mut events = VecDeque::new();
        let oldest = lane.replay(&asker, from, to, |step| match step {
            Replay::Event(number, event) => events.push_back(Delivered {
                number,
                event,
                origin: Origin::Replayed,
            }),
            Replay::StartOver => events.clear(),
        });
        if !events.is_empty() {
            let replayed = self.replayed();
            replayed.events = events;
            replayed.of = position.connection;
            replayed.of_several = position.before != 0;
        }
        if oldest == from {
            Resumed::Complete {
                from: position.number,
                to: lane.position(to),
            }
        } else {
            Resumed::Gap {
                missed: oldest - from,
                oldest: lane.position(oldest),
            }
        }
    }

    /// Asks for the critical events that were accepted while the user had no connection, and that no
    /// connection of the user has recovered. This connection receives clones of them next, in order
    /// and before what comes live, marked [`Origin::Recovered`]; what it has resumed anyway it
    /// receives once. Only the router's [`Retention`](crate::Retention) keeps such events.
    ///
    /// Each is recovered once: of several connections that ask, one gets it. If that one goes before it
    /// has received it, only a connection that resumes from an earlier position still gets it. Call
    /// this before the first receive, or events come out of order. Lock-free; takes one step for each
    /// number that the lane holds.
    ///
    /// ```
    /// use laneway::{Origin, Received, Retention, Router, UserId};
    ///
    /// let retention = Some(Retention::events(64));
    /// let router: Router<u8> = Router::builder().retention(retention).build()?;
    /// let ann = router.scope(UserId::new("ann")?);
    /// ann.publish_critical(7)?;
    /// let mut phone = ann.connect()?;
    /// let recovered = phone.recover();
    /// assert!(recovered.complete && recovered.events == 1);
    /// let Ok(Received::Event(got)) = phone.try_recv() else { panic!() };
    /// assert_eq!((got.event, got.origin), (7, Origin::Recovered));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If the event's `Clone` does; the events are not recovered again then.
    pub fn recover(&mut self) -> Recovered {
        let user = std::sync::Arc::clone(&self.user);
        let to = self.member().joined_at;
        let mut found = Vec::new();
        let complete = user.lane.recover(to, |number, event| {
            found.push(Delivered {
                number,
                event,
                origin: Origin::Recovered,
            });
        });
        let events = found.len();
        if events > 0 {
            let waiting = &mut self.replayed().events;
            for recovered in found {
                match waiting.binary_search_by_key(&recovered.number, |d| d.number) {
                    Ok(at) => waiting[at] = recovered,
                    Err(at) => waiting.insert(at, recovered),
                }
            }
        }
        Recovered { events, complete }
    }
}
