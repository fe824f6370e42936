//! Events from before a connection's time, which it receives before those of its own.

use std::collections::VecDeque;

use super::replayed::{Replayed, Waiting};
use super::{Connection, REPLAY};
use crate::config::Activity;
use crate::lane::audience::Audience;
use crate::lane::replay::Replay;
use crate::position::{Attached, Position, Spot, Threads};
use crate::received::Delivered;
use crate::retention::{Origin, Recovered, Resumed};

impl<E: Send + Sync + 'static> Connection<E> {
    /// Returns how far this connection has come, for a later one to [resume](crate::UserScope::resume) from.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann").unwrap());
    /// let phone = ann.connect()?;
    /// let text = phone.position().to_string(); // for the client
    /// assert_eq!(text.parse(), Ok(phone.position()));
    /// # Ok::<(), laneway::ConnectError>(())
    /// ```
    ///
    /// Each event received until now is before the position, each other one is after it. A host sends it at
    /// connect, before the first event, so that a client that loses its line at once can resume. Then it
    /// sends one with each event.
    ///
    /// Without [`Retention`](crate::Retention) the position resets: the device keeps its id, and nothing is
    /// replayed. Wait-free; computes six hashes, and one for each thread.
    #[must_use]
    pub fn position(&self) -> Position {
        let (lane, member) = (&self.user.lane, self.member());
        let waiting = self.rare.as_deref().map(|rare| &rare.replayed);
        let (number, attached) = match waiting.and_then(|r| Some((r.next()?, r))) {
            None => {
                let cursor = member.cursor();
                (lane.public(cursor), self.attached_from(cursor, None))
            }
            Some((next, replay)) => {
                let (joined_at, cursor) = (self.reader.joined_at, member.cursor());
                // An event that was recovered after the first receive. The intervals below the cursor
                // may be gone.
                let is_late = cursor > joined_at && member.with_attachments(|all| all.is_changed);
                let attached = if is_late {
                    self.attached_from(cursor, Some(Attached::unsure()))
                } else {
                    let before = replay.attached.map(|before| before.from(next));
                    self.attached_from(joined_at, before)
                };
                (next, attached)
            }
        };
        self.core.position(&self.user, number, self.id(), attached)
    }

    /// Returns the threads of this connection from `number` on, after those of `before`.
    fn attached_from(&self, number: u64, before: Option<Attached>) -> Attached {
        let (lane, keys) = (&self.user.lane, self.core.keys());
        self.member().with_attachments(|list| {
            let at = |number| keys.digest_of(list.threads_at(number));
            let own = match before {
                None => Attached::to(at(number)),
                Some(before) => before.then(lane.public(number), at(number)),
            };
            let changes = list.changes_after(number).into_iter();
            changes.fold(own, |own, n| own.then(lane.public(n), at(n)))
        })
    }

    pub(super) fn next_replayed(&mut self) -> Option<Delivered<E>> {
        let user = &self.user;
        let member = user.lane.member(&self.seat);
        let replay = &mut self.rare.as_deref_mut()?.replayed;
        if !member.is_open() {
            // A closed connection receives nothing more. Its position stays before the first event that
            // it has not received, so a later connection can resume there. Owed events stay owed.
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
                    user.lane.end_recovery(self.reader.joined_at);
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
                // A replayed event moves no cursor, so a sweep would take this device for idle.
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
    /// Replays the events after `spot`, the content of a position of this device.
    pub(crate) fn replay_from(&mut self, spot: &Spot) -> Resumed {
        let user = std::sync::Arc::clone(&self.user);
        let lane = &user.lane;
        let to = self.reader.joined_at;
        let from = lane.internal(spot.number);
        let same = lane.archive().is_some_and(|a| a.is(spot.lane));
        if !same || from > to {
            return Resumed::Reset;
        }
        let threads: Vec<_> = self
            .member()
            .with_attachments(|list| list.threads_at(to).cloned().collect());
        let core = std::sync::Arc::clone(&self.core);
        let keys = core.keys();
        let own = keys.digest_of(threads.iter());
        let gets = |number, audience: Option<&Audience>| match audience {
            None => Some(true),
            Some(Audience::Connection(only)) => Some(spot.device == *only),
            Some(Audience::Others(but)) => Some(spot.device != *but),
            Some(Audience::Thread(thread)) => match spot.attached.at(number) {
                Threads::None => Some(false),
                Threads::One(one) => Some(keys.digest(thread) == one),
                // The digest of a set does not name its threads. If this connection has the same set, it does.
                Threads::Several(several) if several == own => Some(threads.contains(thread)),
                Threads::Several(_) | Threads::Unsure => None,
            },
        };
        let mut events = VecDeque::new();
        let oldest = lane.replay(
            from,
            to,
            || self.core.time.now(),
            gets,
            |step| match step {
                Replay::Event(number, event) => events.push_back(Waiting {
                    number,
                    event,
                    replayed: true,
                    owed: false,
                }),
                Replay::StartOver => events.clear(),
            },
        );
        if !events.is_empty() || !spot.attached.is(own) {
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
    /// connection has received since.
    ///
    /// ```
    /// use laneway::{Hub, Origin, Received, Retention, UserId};
    ///
    /// let retention = Some(Retention::events(64));
    /// let hub: Hub<u8> = Hub::builder().retention(retention).build()?;
    /// let ann = hub.scope(UserId::new("ann")?);
    /// ann.publish_critical(7)?; // ann is away
    /// let mut phone = ann.connect()?;
    /// assert_eq!(phone.recover().events, 1);
    /// drop(phone); // which has received nothing
    /// let mut laptop = ann.connect()?;
    /// let recovered = laptop.recover();
    /// assert!(recovered.complete && recovered.events == 1);
    /// let Ok(Received::Event(got)) = laptop.try_recv() else { panic!() };
    /// assert_eq!((got.event, got.origin), (7, Origin::Recovered));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// This connection receives clones of them next, in order, marked [`Origin::Recovered`]. An event that
    /// it has resumed anyway comes once. Call this before the first receive, or events come out of
    /// order. Only a hub with [`Retention`](crate::Retention) keeps such events.
    ///
    /// An event is owed until one connection receives it. Of several that have asked, the first to come to
    /// the event receives it, and the others pass over it. A connection that goes before leaves it to the
    /// next that asks.
    ///
    /// To receive is to get the event from this crate, not from the network. A device whose line is dead may
    /// take an event and lose it. A dead device that is not closed yet keeps its user connected, so what
    /// comes then is not owed. Such a device [resumes](crate::UserScope::resume) from the last position that
    /// its client has. A host that has to know asks the client to confirm, as `protocol::Confirmations` does.
    ///
    /// # Panics
    ///
    /// If the event's `Clone` does; the events stay owed then.
    ///
    /// # Progress
    ///
    /// Lock-free; takes one step for each number that the lane holds.
    pub fn recover(&mut self) -> Recovered {
        let user = std::sync::Arc::clone(&self.user);
        let core = std::sync::Arc::clone(&self.core);
        let to = self.reader.joined_at;
        let mut found = Vec::new();
        let complete = user.lane.recover(
            to,
            || core.time.now(),
            |number, event| found.push((number, event)),
        );
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
