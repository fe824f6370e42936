//! What a connection receives.

use super::rules::Verdict;
use super::{End, Got, Model, Origin};

/// Where a gap ends before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stops {
    /// At every critical event; the reader steps over those for others.
    AtAnyCritical,
    /// At a critical event for this reader; those for others are part of the gap.
    AtItsOwn,
}

impl<V: Copy> Model<V> {
    pub(crate) fn receive(&mut self, id: u64) -> Got<V> {
        self.receive_with(id, &[], Stops::AtAnyCritical)
    }

    /// A receive that merges looks behind what it returns. It passes what is not for the connection, up
    /// to the next event that it has to read, and within the capacity.
    pub(crate) fn step_over(&mut self, id: u64) {
        let connection = self.connections.get_mut(&id).unwrap();
        if connection.end.is_some() {
            return;
        }
        let lane = &self.lanes[connection.lane];
        while let Some(item) = lane.log.get(connection.cursor as usize) {
            let is_near = connection.cursor >= lane.oldest();
            let is_for_it = item.audience.contains(&id);
            match lane.verdict(connection.cursor, self.now_ms) {
                _ if !is_near || item.value.is_none() => return,
                _ if !is_for_it => connection.stepped_over += 1,
                Verdict::Superseded => connection.superseded += 1,
                Verdict::Expired => connection.expired += 1,
                Verdict::Deliver => return,
            }
            connection.cursor += 1;
        }
    }

    /// The number and the origin of what a connection gets next, which is an event.
    pub(crate) fn next_number(&self, id: u64) -> (u64, Origin) {
        match self.clone().receive(id) {
            Got::Event { number, origin, .. } => (number, origin),
            _ => panic!("an event was merged that is not there"),
        }
    }

    /// The next answer, which has to be `got`: of the two that are allowed at critical events for
    /// others, the one that was given. Both may give it, with different numbers. Then `unread` decides,
    /// where it is known.
    pub(crate) fn receive_like(&mut self, id: u64, got: Got<V>, unread: Option<u64>) -> Got<V>
    where
        V: PartialEq,
    {
        if !self.meets_critical_for_others(id) {
            return self.receive(id);
        }
        let mut passing = self.clone();
        let is_given = passing.receive_with(id, &[], Stops::AtItsOwn) == got;
        if is_given && unread.is_none_or(|unread| unread == passing.unread(id)) {
            *self = passing;
            return got;
        }
        self.receive(id)
    }

    /// Passes so many numbers as missed, if these are too old, not critical, and not all that are too old or were
    /// lost.
    pub(crate) fn skip(&mut self, id: u64, missed: u64) -> bool {
        let connection = self.connections.get_mut(&id).unwrap();
        let lane = &self.lanes[connection.lane];
        let to = connection.cursor + missed;
        let skipped = connection.cursor as usize..to as usize;
        let is_part = to < lane.oldest()
            && connection.waiting.is_empty()
            && !lane.log[skipped].iter().any(|item| item.critical);
        if is_part {
            connection.missed += missed;
            connection.cursor = to;
            connection.moved = true;
        }
        is_part
    }

    /// With the numbers in `kept` still in their places, because the publisher that took the place of
    /// each has the number and has not come to write.
    pub(crate) fn receive_with(&mut self, id: u64, kept: &[u64], stops: Stops) -> Got<V> {
        loop {
            let connection = self.connections.get_mut(&id).unwrap();
            if let Some(end) = connection.end {
                return Got::Closed(end);
            }
            if let Some((number, waiting)) = connection.waiting.pop_first() {
                let Some(origin) = self.origin(id, number, waiting) else {
                    continue;
                };
                let connection = self.connections.get_mut(&id).unwrap();
                connection.replayed += 1;
                connection.moved = true;
                return Got::Event {
                    number,
                    value: waiting.value,
                    origin,
                };
            }
            let lane = &self.lanes[connection.lane];
            let oldest = lane.oldest();
            if connection.cursor < oldest && !kept.contains(&connection.cursor) {
                let lost = lane.lost.filter(|n| !kept.contains(n));
                if lost.is_some_and(|n| n >= connection.cursor) {
                    self.end(id, Some(End::Overrun));
                    return Got::Closed(End::Overrun);
                }
                // None of them was dropped, or this connection were overrun.
                let ends_it = |n: &u64| {
                    let item = &lane.log[*n as usize];
                    item.critical && (stops == Stops::AtAnyCritical || item.audience.contains(&id))
                };
                let to = (connection.cursor..oldest).find(ends_it).unwrap_or(oldest);
                let missed = to - connection.cursor;
                if missed > 0 {
                    connection.missed += missed;
                    connection.cursor = to;
                    connection.moved = true;
                    return Got::Gap(missed);
                }
            }
            let Some(item) = lane.log.get(connection.cursor as usize) else {
                return match (self.shut || lane.is_shut, &self.drain) {
                    (false, _) => Got::Empty,
                    (true, None) => Got::Closed(End::Shutdown),
                    (true, Some(_)) => Got::Closed(End::Drained),
                };
            };
            let number = connection.cursor;
            connection.cursor += 1;
            connection.moved = true;
            let Some(value) = item.value.filter(|_| item.audience.contains(&id)) else {
                connection.stepped_over += 1;
                continue;
            };
            match lane.verdict(number, self.now_ms) {
                Verdict::Superseded if !self.there.contains(&number) => connection.superseded += 1,
                Verdict::Expired => connection.expired += 1,
                Verdict::Deliver | Verdict::Superseded => {
                    connection.delivered += 1;
                    return Got::Event {
                        number,
                        value,
                        origin: Origin::Live,
                    };
                }
            }
        }
    }

    /// The numbers a lap old that a live connection has not read, each with what took its place;
    /// `None`: a number that was given up.
    pub(crate) fn overwritten(&self, id: u64) -> Vec<(u64, Option<V>)> {
        let connection = &self.connections[&id];
        if connection.end.is_some() {
            return Vec::new();
        }
        let lane = &self.lanes[connection.lane];
        let over = lane
            .log
            .iter()
            .skip((connection.cursor + lane.capacity) as usize);
        (connection.cursor..)
            .zip(over.map(|item| item.value))
            .collect()
    }
}
