//! Bytes of unread events, and the events that are refused for them.
//!
//! The lane drops unread events in blocks, and the model does not know the blocks. So of events beyond the
//! capacity it knows the most bytes that they may hold, and the least is none. Where both lead to the same
//! answer that answer has to be given.

use super::{Model, Refused};

/// The limits of bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Budgets {
    pub(crate) lane: Option<u64>,
    pub(crate) hub: Option<u64>,
}

/// What a lane may hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) least: u64,
    pub(crate) most: u64,
}

impl Held {
    fn plus(self, other: Self) -> Self {
        Self {
            least: self.least + other.least,
            most: self.most + other.most,
        }
    }
}

impl Budgets {
    pub(crate) fn is_any(self) -> bool {
        self.lane.is_some() || self.hub.is_some()
    }
}

impl<V: Copy> Model<V> {
    /// The bytes that a lane's events hold: those that a connection has still to read, also one that is closed
    /// and not dropped, and those that are kept.
    fn held_by(&self, at: usize) -> Held {
        let lane = &self.lanes[at];
        let readers: Vec<_> = self.connections.values().filter(|c| c.lane == at).collect();
        let is_kept = lane.archive.is_some() && self.is_open(at);
        let floor = *self.floors(at).end();
        let first = readers.iter().map(|c| c.cursor).min();
        let first = if is_kept {
            0
        } else {
            first.unwrap_or(lane.end())
        };
        let mut held = Held::default();
        for number in first..lane.end() {
            let item = &lane.log[number as usize];
            let is_unread = readers.iter().any(|c| {
                let counts = c.joined_at <= number && c.left_at.is_none_or(|end| number < end);
                counts && c.cursor <= number
            });
            let weight = item.value.map_or(0, self.weigh);
            let is_there = is_unread || is_kept && number >= floor;
            held.least += if is_there && number >= lane.oldest() {
                weight
            } else {
                0
            };
            held.most += if is_unread || is_kept { weight } else { 0 };
        }
        if let Some(seen) = lane.seen_bytes.filter(|_| self.is_open(at)) {
            assert!(
                held.least <= seen && seen <= held.most,
                "{seen} bytes, not {held:?}"
            );
            held = Held {
                least: seen,
                most: seen,
            };
        }
        held
    }

    /// The bytes of the user's lane, if there is one.
    pub(crate) fn held(&self, user: u8) -> Held {
        self.lane_of(user)
            .map_or(Held::default(), |at| self.held_by(at))
    }

    /// A user's lane holds so many bytes now, as the hub says.
    pub(crate) fn see_bytes(&mut self, user: u8, bytes: Option<u64>) {
        if let Some(lane) = self.lane_mut(user) {
            lane.seen_bytes = bytes;
        }
    }

    pub(crate) fn forget_bytes(&mut self) {
        for lane in &mut self.lanes {
            lane.seen_bytes = None;
        }
    }

    /// The bytes of all lanes. Without a budget of the hub, only those of users who are known.
    pub(crate) fn held_by_all(&self) -> Held {
        let all: Vec<_> = if self.settings.budgets.hub.is_some() {
            (0..self.lanes.len()).collect()
        } else {
            self.current.values().copied().collect()
        };
        let held = all.into_iter().map(|at| self.held_by(at));
        held.fold(Held::default(), Held::plus)
    }

    /// Refuses an event that a lane has no bytes left for. Where the model cannot know, `said` decides.
    pub(super) fn reserve(&self, user: u8, value: V) -> Result<(), Refused> {
        let (weight, budgets) = ((self.weigh)(value), self.settings.budgets);
        if weight == 0 || !budgets.is_any() {
            return Ok(());
        }
        let largest = budgets
            .lane
            .unwrap_or(u64::MAX)
            .min(budgets.hub.unwrap_or(u64::MAX));
        if weight > largest {
            return Err(Refused::OverBudget);
        }
        let at = self.current[&user];
        let held = self.held_by(at);
        let (mut total, mut lanes) = (Held::default(), Held::default());
        for other in 0..self.lanes.len() {
            let of_it = self.held_by(other);
            total = total.plus(of_it);
            let is_open = self.is_open(other);
            lanes.least += u64::from(is_open || of_it.least > 0);
            lanes.most += u64::from(is_open || of_it.most > 0);
        }
        let fits = |held: u64, total: u64, lanes: u64| {
            let in_lane = budgets.lane.is_none_or(|limit| held + weight <= limit);
            let is_served = |limit| total + weight <= limit || held + weight <= limit / lanes;
            in_lane && budgets.hub.is_none_or(is_served)
        };
        let may_fit = fits(held.least, total.least, lanes.least);
        let has_to_fit = fits(held.most, total.most, lanes.most);
        let is_refused = if may_fit == has_to_fit {
            !may_fit
        } else {
            self.said_over_budget
        };
        if is_refused {
            Err(Refused::OverBudget)
        } else {
            Ok(())
        }
    }
}
