//! The numbers by which a loss shows: those that a node gives, and those that it has heard.

use std::collections::HashMap;
use std::mem::take;

use smallvec::SmallVec;

use crate::cluster::addressee::Addressee;
use crate::cluster::frame::{Header, Kind, NodeId};

/// The numbers that a node has given to the events for each user, or for each room, that it publishes to.
///
/// Bounded: `limit` entries. They lie in two maps. An entry that is used moves into the young one. When the young
/// one has half of all, the old one goes, and the young one becomes the old one.
pub(super) struct Given {
    young: HashMap<Addressee, Entry>,
    old: HashMap<Addressee, Entry>,
    half: usize,
    births: u64,
    /// Those whose last number was not told by a tip.
    unsettled: Vec<Addressee>,
}

struct Entry {
    born: u64,
    number: u64,
    /// It is in the list of the unsettled.
    is_listed: bool,
    /// An event was numbered since the last tick.
    is_fresh: bool,
}

impl Given {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            half: limit / 2,
            births: 0,
            unsettled: Vec::new(),
        }
    }

    /// Gives the next `by` numbers of a user or a room. Returns the birth of the numbering, and the last number.
    pub(super) fn advance(&mut self, to: &Addressee, by: u64) -> (u64, u64) {
        if !self.young.contains_key(to) {
            if self.young.len() >= self.half {
                self.old = take(&mut self.young);
                let old = &self.old;
                self.unsettled.retain(|to| old.contains_key(to));
            }
            let entry = self.old.remove(to).unwrap_or_else(|| {
                self.births += 1;
                Entry {
                    born: self.births,
                    number: 0,
                    is_listed: false,
                    is_fresh: false,
                }
            });
            self.young.insert(to.clone(), entry);
        }
        let entry = self.young.get_mut(to).expect("inserted above");
        entry.number += by;
        entry.is_fresh = true;
        if !entry.is_listed {
            entry.is_listed = true;
            self.unsettled.push(to.clone());
        }
        (entry.born, entry.number)
    }

    /// Returns those that had no event since the last call and whose last number was not told. They count as told.
    pub(super) fn settle(&mut self) -> Vec<(Addressee, u64, u64)> {
        let mut due = Vec::new();
        for to in take(&mut self.unsettled) {
            let Some(entry) = self.young.get_mut(&to).or(self.old.get_mut(&to)) else {
                continue;
            };
            if take(&mut entry.is_fresh) {
                self.unsettled.push(to);
            } else {
                entry.is_listed = false;
                due.push((to, entry.born, entry.number));
            }
        }
        due
    }

    /// Has each last number told again.
    pub(super) fn retell(&mut self) {
        for (to, entry) in self.young.iter_mut().chain(&mut self.old) {
            if !entry.is_listed {
                entry.is_listed = true;
                self.unsettled.push(to.clone());
            }
        }
    }
}

/// The nodes whose numbers are kept for one user or room. The one that was heard longest ago makes room.
const MAX_NODES: usize = 64;

/// The numbers that a node has heard of one user's or room's events, for each node that publishes them.
#[derive(Default)]
pub(super) struct Heard(SmallVec<[Base; 1]>);

struct Base {
    node: NodeId,
    born: u64,
    number: u64,
    /// When it was heard last, in frames of this node.
    at: u64,
}

impl Heard {
    /// Notes a frame. Returns how many events before it were lost, or `None` if it is one that was noted already.
    ///
    /// The first frame of a node sets the base. What was lost before does not show.
    pub(super) fn note(&mut self, header: &Header, at: u64) -> Option<u64> {
        let Header {
            node, born, number, ..
        } = *header;
        let is_event = header.kind != Kind::Tip;
        // The events that come before this frame.
        let before = number.saturating_sub(u64::from(is_event));
        if let Some(base) = self.0.iter_mut().find(|base| base.node == node) {
            base.at = at;
            if born < base.born || (born == base.born && number < base.number) {
                return None;
            }
            if born == base.born && number == base.number && is_event {
                return None;
            }
            let heard = if born == base.born { base.number } else { 0 };
            (base.born, base.number) = (born, number);
            return Some(before.saturating_sub(heard));
        }
        let new = Base {
            node,
            born,
            number,
            at,
        };
        if self.0.len() < MAX_NODES {
            self.0.push(new);
        } else if let Some(oldest) = self.0.iter_mut().min_by_key(|base| base.at) {
            *oldest = new;
        }
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::UserId;

    fn frame(node: u64, born: u64, number: u64, kind: Kind) -> Header {
        Header {
            kind,
            node: NodeId(node),
            born,
            number,
            local: None,
        }
    }

    #[test]
    fn r133_each_loss_is_counted_once_and_what_comes_again_is_dropped() {
        let mut heard = Heard::default();
        let mut at = 0;
        let mut note = |born, number, kind| {
            at += 1;
            heard.note(&frame(7, born, number, kind), at)
        };
        assert_eq!(note(1, 4, Kind::Event), Some(0), "the first sets the base");
        assert_eq!(note(1, 5, Kind::Event), Some(0));
        assert_eq!(note(1, 5, Kind::Event), None, "twice");
        assert_eq!(note(1, 8, Kind::Critical), Some(2));
        assert_eq!(note(1, 7, Kind::Event), None, "late: told as lost already");
        assert_eq!(note(1, 8, Kind::Tip), Some(0));
        assert_eq!(note(1, 10, Kind::Tip), Some(2), "the last two are lost");
        assert_eq!(note(1, 10, Kind::Tip), Some(0), "told once");
        assert_eq!(note(1, 11, Kind::Event), Some(0));
        assert_eq!(note(2, 3, Kind::Event), Some(2), "numbered anew");
        assert_eq!(note(1, 12, Kind::Event), None, "of the numbering before");
    }

    #[test]
    fn r133_the_nodes_that_are_kept_for_a_user_are_bounded() {
        let mut heard = Heard::default();
        for node in 0..=MAX_NODES as u64 {
            assert_eq!(heard.note(&frame(node, 1, 1, Kind::Event), node), Some(0));
        }
        assert_eq!(heard.0.len(), MAX_NODES);
        assert!(heard.0.iter().all(|base| base.node != NodeId(0)));
    }

    #[test]
    fn r133_the_last_number_is_told_once_when_a_user_has_rested_for_a_tick() {
        let (mut given, ann) = (Given::new(8), Addressee::User(UserId::new("ann").unwrap()));
        assert_eq!(given.advance(&ann, 1), (1, 1));
        assert_eq!(given.advance(&ann, 3), (1, 4));
        assert!(given.settle().is_empty(), "it was just used");
        assert_eq!(given.settle(), [(ann.clone(), 1, 4)]);
        assert!(given.settle().is_empty());
        given.retell();
        assert_eq!(given.settle(), [(ann, 1, 4)]);
    }

    #[test]
    fn r133_the_users_that_are_numbered_are_bounded_and_come_back_under_a_new_birth() {
        let mut given = Given::new(4);
        let user = |n: usize| Addressee::User(UserId::new(format!("u{n}")).unwrap());
        assert_eq!(given.advance(&user(0), 1), (1, 1));
        for n in 1..50 {
            given.advance(&user(n), 1);
            assert!(given.young.len() + given.old.len() <= 4);
            assert!(given.unsettled.len() <= 5);
        }
        assert_eq!(given.advance(&user(0), 1), (51, 1));
    }
}
