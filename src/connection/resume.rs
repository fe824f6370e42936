//! Events from before a connection's time, which it receives before those of its own.

use std::collections::VecDeque;

use super::replayed::{Replayed, Waiting};
use super::{Connection, REPLAY};
use crate::config::Activity;
use crate::lane::audience::Audience;
use crate::lane::replay::Replay;
use crate::position::{Attached, Position, Spot};
use crate::received::Delivered;
use crate::retention::{Origin, Recovered, Resumed};
use crate::sync::Ordering;

impl<E: Send + Sync + 'static> Connection<E> {
    /// How far this connection has come, for a later one to resume from: everything it received until
    /// now is before the position, everything else is after it. Six hashes; wait-free.
    ///
    /// Only a hub with [`Retention`](crate::Retention) can resume from it; elsewhere it is a
    /// position that resets. A connection that resets has this one's id all the same.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann").unwrap());
    /// let phone = ann.connect()?;
    /// let text = phone.position().to_string(); // for the client
    /// assert_eq!(text.parse(), Ok(phone.position()));
    /// # Ok::<(), laneway::ConnectError>(())
    /// ```
    #[must_use]
    pub fn position(&self) -> Position {
        let (lane, member) = (&self.user.lane, self.member());
        let thread = self.core.digest(self.thread());
        let own = Attached::to(thread);
        let waiting = self.rare.as_deref().map(|rare| &rare.replayed);
        let (number, attached) = match waiting.and_then(|r| Some((r.next()?, r))) {
            None => (lane.public(member.cursor()), own),
            Some((next, replay)) => {
                let to = lane.public(member.joined_at);
                let attached = replay.attached.map_or(own, |a| a.then(next, to, thread));
                (next, attached)
            }
        };
        self.core.position(&self.user, number, self.id(), attached)
    }

    pub(super) fn next_replayed(&mut self) -> Option<Delivered<E>> {
        let user = &self.user;
        let member = user.lane.member(&self.seat);
        let replay = &mut self.rare.as_deref_mut()?.replayed;
        if !member.is_open() {
            // What a closed connection has not received is cut off, and comes after its position. What
            // was owed to it is owed to the next connection.
            replay.cut_off = replay.next();
            replay.events = VecDeque::new();
            return None;
        }
        while let Some(next) = replay.events.pop_front() {
            let mut origin = Origin::Replayed;
            if next.owed {
                let is_mine = user.lane.receive_owed(next.number);
                replay.owed -= 1;
                if replay.owed == 0 {
                    user.lane.end_recovery(member.joined_at);
                }
                if is_mine {
                    origin = Origin::Recovered;
                } else if !next.replayed {
                    // Another connection has received it.
                    continue;
                }
            }
            replay.received += 1;
            if self.core.config.activity == Activity::ReadOrTouch {
                // A replayed event moves no cursor by which a sweep could tell.
                member.touch();
            }
            let Waiting { number, event, .. } = next;
            return Some(Delivered {
                number,
                event,
                origin,
            });
        }
        replay.events = VecDeque::new();
        None
    }

    fn replayed(&mut self) -> &mut Replayed<E> {
        self.reader.pending |= REPLAY;
        &mut self.rare().replayed
    }
}

impl<E: Clone + Send + Sync + 'static> Connection<E> {
    /// Replays what came after the spot of a position, which is one of this device's.
    pub(crate) fn replay_from(&mut self, spot: &Spot) -> Resumed {
        let user = std::sync::Arc::clone(&self.user);
        let lane = &user.lane;
        let to = self.member().joined_at;
        let from = lane.internal(spot.number);
        let same = lane.archive().is_some_and(|a| a.is(spot.lane));
        if !same || from > to {
            self.core
                .counters
                .stale_positions
                .fetch_add(1, Ordering::Relaxed);
            return Resumed::Reset;
        }
        let gets = |number, audience: Option<&Audience>| match audience {
            None => Some(true),
            Some(Audience::Connection(only)) => Some(spot.device == *only),
            Some(Audience::Others(but)) => Some(spot.device != *but),
            Some(Audience::Thread(thread)) => {
                spot.attached.has(self.core.digest(Some(thread)), number)
            }
        };
        let mut events = VecDeque::new();
        let oldest = lane.replay(from, to, gets, |step| match step {
            Replay::Event(number, event) => events.push_back(Waiting {
                number,
                event,
                replayed: true,
                owed: false,
            }),
            Replay::StartOver => events.clear(),
        });
        if !events.is_empty() || !spot.attached.is(self.core.digest(self.thread())) {
            let replayed = self.replayed();
            replayed.events = events;
            replayed.attached = Some(spot.attached);
        }
        if oldest == from {
            Resumed::Complete {
                from: spot.number,
                to: lane.public(to),
            }
        } else {
            Resumed::Gap {
                missed: oldest - from,
                oldest: lane.public(oldest),
            }
        }
    }

    /// Asks for the critical events that were accepted while the user had no connection, and that no
    /// connection of the user has received since. This connection receives clones of them next, in order
    /// and before what comes live, marked [`Origin::Recovered`]; what it has resumed anyway it
    /// receives once. Only the hub's [`Retention`](crate::Retention) keeps such events.
    ///
    /// An event is owed until a connection receives it. A connection that goes before that leaves it to the
    /// next one that asks. Of several connections that have asked, the one that comes to the event first
    /// receives it, and the others pass over it. So each is received as recovered once. Call this
    /// before the first receive, or events come out of order. Lock-free; takes one step for each
    /// number that the lane holds.
    ///
    /// To receive is to get the event from this crate. What a client has got of it is not known here:
    /// a device whose line is dead may take an event and lose it. The same holds for a device that
    /// is dead and not closed yet: the user is connected, and what comes then is not owed.
    /// Such a device [resumes](crate::UserScope::resume) from the last position that its client has,
    /// and gets what came after. A host that has to know of an event asks the client to confirm it, as
    /// `protocol::Confirmations` does.
    ///
    /// ```
    /// use laneway::{Origin, Received, Retention, Hub, UserId};
    ///
    /// let retention = Some(Retention::events(64));
    /// let hub: Hub<u8> = Hub::builder().retention(retention).build()?;
    /// let ann = hub.scope(UserId::new("ann")?);
    /// ann.publish_critical(7)?;
    /// let mut phone = ann.connect()?;
    /// let _ = phone.recover();
    /// drop(phone); // which has received nothing
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
    /// If the event's `Clone` does; the events stay owed then.
    pub fn recover(&mut self) -> Recovered {
        let user = std::sync::Arc::clone(&self.user);
        let to = self.member().joined_at;
        let mut found = Vec::new();
        let complete = user
            .lane
            .recover(to, |number, event| found.push((number, event)));
        let mut events = 0;
        if !self.member().is_open() {
            // It receives nothing any more.
            let complete = complete && found.is_empty();
            return Recovered { events, complete };
        }
        if found.is_empty() {
            user.lane.end_recovery(to);
        } else {
            let waiting = self.replayed();
            for (number, event) in found {
                events += usize::from(waiting.owe(number, event));
            }
        }
        Recovered { events, complete }
    }
}
