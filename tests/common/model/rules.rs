//! Rules of events: deadlines, keys of which only the newest event counts, and barriers.

use super::{How, Item, Lane, Model, Refused, To};

/// What an event does to those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Effect {
    #[default]
    None,
    /// It supersedes those of a key.
    Latest(u8),
    /// No later event supersedes one of them.
    Barrier,
}

/// What a publish asks for beside how and to whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asks {
    pub(crate) deadline_ms: Option<u64>,
    pub(crate) effect: Effect,
}

/// What an event's rule makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Deliver,
    Superseded,
    Expired,
}

/// The events of one key between two barriers. Numbers count from 1 here, and 0 is none.
#[derive(Clone, Copy, Debug)]
struct List {
    after: u64,
    newest: u64,
}

/// The keys that a lane remembers.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    /// All that there were.
    lists: Vec<List>,
    /// Those that are remembered.
    table: Vec<(u8, usize)>,
    barrier: u64,
}

impl Keys {
    /// Notes the event with this number, which is accepted. Returns its list, if it has a key.
    fn note(&mut self, effect: Effect, number: u64, most: usize) -> Option<usize> {
        let key = match effect {
            Effect::None => return None,
            Effect::Barrier => {
                self.barrier = number + 1;
                return None;
            }
            Effect::Latest(key) => key,
        };
        let known = self.table.iter().position(|(k, _)| *k == key);
        let lists = &self.lists;
        let current = known
            .map(|at| self.table[at].1)
            .filter(|list| lists[*list].after == self.barrier);
        let list = current.unwrap_or_else(|| {
            let after = self.barrier;
            self.lists.push(List {
                after,
                newest: after,
            });
            let list = self.lists.len() - 1;
            let newest = |at: &usize| (self.lists[self.table[*at].1].newest, *at);
            match known {
                Some(at) => self.table[at].1 = list,
                None if self.table.len() < most => self.table.push((key, list)),
                None => {
                    let oldest = (0..self.table.len()).min_by_key(newest).unwrap();
                    self.table[oldest] = (key, list);
                }
            }
            list
        });
        self.lists[list].newest = number + 1;
        Some(list)
    }
}

impl<V> Lane<V> {
    /// What a connection that an event is for does with it.
    pub(super) fn verdict(&self, number: u64, now_ms: u64) -> Verdict {
        let item = &self.log[number as usize];
        let newest = item.list.map(|list| self.keys.lists[list].newest);
        if newest.is_some_and(|newest| newest > number + 1) {
            Verdict::Superseded
        } else if item.deadline_ms.is_some_and(|at| now_ms >= at) {
            Verdict::Expired
        } else {
            Verdict::Deliver
        }
    }
}

impl<V: Copy> Model<V> {
    pub(crate) fn publish(
        &mut self,
        user: u8,
        value: V,
        how: How,
        to: To,
    ) -> Result<(u64, usize), Refused> {
        self.publish_asking(user, value, how, to, Asks::default())
    }

    pub(crate) fn tick(&mut self, now_ms: u64) {
        self.now_ms = self.now_ms.max(now_ms);
    }

    /// The superseded numbers that a connection has not read and that only these events supersede.
    pub(crate) fn superseded_only_by(&self, id: u64, events: &[V]) -> Vec<u64>
    where
        V: PartialEq,
    {
        let connection = &self.connections[&id];
        let lane = &self.lanes[connection.lane];
        let supersedes = |n: u64, later: &Item<V>| {
            let list = lane.log[n as usize].list;
            list.is_some() && later.list == list
        };
        let mut doubt = Vec::new();
        for n in connection.cursor..lane.end() {
            let later = &lane.log[n as usize + 1..];
            let mut by = later.iter().filter(|item| supersedes(n, item)).peekable();
            let is_under_way = |item: &Item<V>| item.value.is_some_and(|v| events.contains(&v));
            if by.peek().is_some() && by.all(is_under_way) {
                doubt.push(n);
            }
        }
        doubt
    }

    /// The event with this number was accepted, and it asks for this.
    pub(super) fn apply(&mut self, user: u8, number: u64, asks: Asks) {
        let most = self.settings.conflation;
        let lane = self.lane_mut(user).unwrap();
        let list = most.and_then(|most| lane.keys.note(asks.effect, number, most));
        let item = &mut lane.log[number as usize];
        item.list = list;
        item.deadline_ms = asks.deadline_ms;
    }
}
