//! How far a device has come in its user's events, at all nodes.

use crate::cluster::frame::{Local, NodeId};
use crate::cluster::stamp::{Claim, Numbering, Stamp};
use crate::id::UserId;

mod text;

pub use text::InvalidTrail;

/// How far a device has come in its user's events, at all nodes: for the client to keep, and to come back with.
///
/// ```
/// use laneway::UserId;
/// use laneway::cluster::Trail;
///
/// let ann = UserId::new("ann")?;
/// let trail = Trail::new(&ann);
/// let text = trail.to_string(); // sent to the client, now and then
/// assert_eq!(text.parse::<Trail>()?, trail);
/// assert!(trail.is_of(&ann) && !trail.is_of(&UserId::new("bob")?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The host [notes](Self::note) the stamp of each event that it hands to the client. `History::since` of the feature
/// `jetstream` takes the trail, and returns what is not in it.
///
/// As text a trail has letters, digits, `-` and `_`: at most 2 866, and 94 for a device that has seen the events of one
/// node. It is no secret and not sealed. A client that changes it misses events of its own user, or gets some twice.
/// It reaches no event of another user: the scope decides whose events are read. A check value of 64 bits refuses
/// mix-ups of users.
///
/// # Bounds
///
/// 64 ranges of numbers: one for each node that has published to the user and each lane there in which the device was,
/// and one more for each hole. The range that was noted longest ago goes first. Its events may come twice, if they are
/// later than the device's last call of `since`. Of the holes that were told as a gap, four are kept for each node.
///
/// All methods are linear in these ranges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trail {
    user: u64,
    /// The stream's creation in nanoseconds, and 0 before the first call of `since`.
    pub(super) stream: i64,
    /// All up to this sequence of the stream is handed out, or in a range.
    pub(super) floor: u64,
    /// A time of the stream's server that is not before the floor's message.
    pub(super) floor_at: i64,
    noted: u32,
    /// The one that was noted last is the last.
    ranges: Vec<Range>,
}

/// Numbers that were handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    numbering: Numbering,
    from: u64,
    to: u64,
    /// The device was told that the numbers before this range are missing.
    is_told: bool,
}

/// What became of a stamp that a [`Trail`] took note of.
///
/// ```
/// use laneway::cluster::Noted;
///
/// fn is_to_be_sent(noted: Noted) -> bool {
///     !matches!(noted, Noted::Repeated)
/// }
/// assert!(is_to_be_sent(Noted::New) && !is_to_be_sent(Noted::Repeated));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Noted {
    /// The event is new to the device.
    New,
    /// The device has it. The host drops it.
    Repeated,
    /// The event is new, and some before it, of the same node, have not come.
    ///
    /// They are lost, or were for threads that the device is not attached to. A call of `History::since` brings those
    /// that are in the history.
    #[non_exhaustive]
    Gap {
        /// How many.
        missed: u64,
    },
}

/// How far a call of `since` has come.
#[cfg_attr(not(feature = "jetstream"), allow(dead_code))]
#[derive(Clone, Debug)]
pub(super) struct Reached {
    pub(super) user: u64,
    pub(super) stream: i64,
    pub(super) floor: u64,
    pub(super) floor_at: i64,
    /// All numbers up to these are handed out.
    pub(super) numbers: Vec<(Numbering, u64)>,
}

/// The highest number of a range.
const MAX_NUMBER: u64 = u64::MAX / 2;
/// The most ranges of one trail.
const MAX_RANGES: usize = 64;
/// The most holes of one numbering that were told as a gap.
const MAX_HOLES: usize = 4;

impl Trail {
    /// Creates the trail of a device that has seen nothing.
    ///
    /// ```
    /// # use laneway::{UserId, cluster::Trail};
    /// assert_eq!(Trail::new(&UserId::new("ann")?).noted_since(), 0);
    /// # Ok::<(), laneway::InvalidId>(())
    /// ```
    #[must_use]
    pub fn new(user: &UserId) -> Self {
        Self {
            user: check_of(user),
            stream: 0,
            floor: 0,
            floor_at: 0,
            noted: 0,
            ranges: Vec::new(),
        }
    }

    /// Returns whether it is a trail of this user's devices. Two users share the check value with a probability of
    /// 2⁻⁶⁴.
    ///
    /// ```
    /// # use laneway::{UserId, cluster::Trail};
    /// let (ann, bob) = (UserId::new("ann")?, UserId::new("bob")?);
    /// assert!(!Trail::new(&ann).is_of(&bob));
    /// # Ok::<(), laneway::InvalidId>(())
    /// ```
    #[must_use]
    pub fn is_of(&self, user: &UserId) -> bool {
        self.user == check_of(user)
    }

    /// Returns how many stamps were noted since the trail was last [advanced] by the history.
    ///
    /// [advanced]: https://docs.rs/laneway/latest/laneway/cluster/struct.Missed.html#method.finish
    ///
    /// ```
    /// # use laneway::{UserId, cluster::Trail};
    /// let trail = Trail::new(&UserId::new("ann")?);
    /// let is_due = trail.noted_since() >= 500; // half of what a history keeps for a user
    /// # assert!(!is_due);
    /// # Ok::<(), laneway::InvalidId>(())
    /// ```
    #[must_use]
    pub fn noted_since(&self) -> u32 {
        self.noted
    }

    /// Takes note of an event that goes to the device, and returns whether the device has it already.
    ///
    /// ```
    /// # let hub: laneway::Hub<String> = laneway::Hub::new();
    /// # use laneway::cluster::{ClusterOptions, Loopback, Node, Noted, Trail, closures};
    /// # let text = closures(|e: &String, out| { out.extend(e.bytes()); Ok(()) }, |_, _| Ok(String::new()));
    /// # let (node, _driver) = Node::join(&hub, ClusterOptions::new("chat"), text, Loopback::new())?;
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// let (phone, mut trail) = (ann.connect()?, Trail::new(ann.user()));
    /// let stamp = node.stamp_of(&phone, 0).expect("a connection of this node");
    /// assert_eq!(trail.note(stamp), Noted::New);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn note(&mut self, stamp: Stamp) -> Noted {
        self.noted = self.noted.saturating_add(1);
        let Stamp {
            numbering,
            number,
            local,
            claim,
        } = stamp;
        // No node gives such a number. Without the look, an addition could overflow.
        if number > MAX_NUMBER {
            return Noted::New;
        }
        if let Some(at) = self.range_with(numbering, number) {
            let range = self.ranges.remove(at);
            self.ranges.push(range);
            return Noted::Repeated;
        }
        let below = self.range_below(numbering, number);
        let to_below = below.map(|at| self.ranges[at].to);
        let missed = to_below.map_or(0, |to| number - to - 1);
        // The device has it from the publisher's own node, and has come here faster than the event. If numbers before it
        // are missing, the next one tells.
        let is_repeated = local.is_some_and(|at| self.has_at(numbering.node, at));
        if is_repeated && missed > 0 && claim == Claim::Live {
            return Noted::Repeated;
        }
        let from = match (claim, to_below) {
            (Claim::From(first), Some(to)) => first.max(to + 1),
            (Claim::From(first), None) => first,
            (Claim::Kept, Some(to)) => to + 1,
            _ => number,
        };
        let is_told = claim == Claim::Live && missed > 0;
        // Of an event below another one, the gap was told with that one.
        let is_gap = is_told
            && self
                .highest(numbering)
                .is_none_or(|highest| highest < number);
        let mut range = Range {
            numbering,
            from,
            to: number,
            is_told,
        };
        if let Some(at) = below
            && self.ranges[at].to + 1 == from
        {
            let before = self.ranges.remove(at);
            (range.from, range.is_told) = (before.from, before.is_told);
        }
        let above = |other: &Range| other.numbering == numbering && other.from - 1 == number;
        if let Some(at) = self.ranges.iter().position(|r| r.from > 0 && above(r)) {
            range.to = self.ranges.remove(at).to;
        }
        self.ranges.push(range);
        self.bound(numbering);
        if is_repeated {
            Noted::Repeated
        } else if is_gap {
            Noted::Gap { missed }
        } else {
            Noted::New
        }
    }

    /// Returns whether the device has the event from the node that published it.
    pub(super) fn has_at(&self, node: NodeId, at: Local) -> bool {
        let lane = Numbering::local(node, at.lane);
        self.range_with(lane, at.number).is_some()
    }

    fn range_with(&self, numbering: Numbering, number: u64) -> Option<usize> {
        self.ranges
            .iter()
            .position(|r| r.numbering == numbering && (r.from..=r.to).contains(&number))
    }

    /// Returns the highest range that ends below `number`.
    fn range_below(&self, numbering: Numbering, number: u64) -> Option<usize> {
        let mut below = self.ranges.iter().enumerate();
        let is_below = |r: &Range| r.numbering == numbering && r.to < number;
        let found = below
            .by_ref()
            .filter(|(_, r)| is_below(r))
            .max_by_key(|(_, r)| r.to);
        found.map(|(at, _)| at)
    }

    /// Returns the highest number that was noted.
    pub(super) fn highest(&self, numbering: Numbering) -> Option<u64> {
        let ranges = self.ranges.iter().filter(|r| r.numbering == numbering);
        ranges.map(|r| r.to).max()
    }

    /// Keeps the bounds after a range of this numbering was added.
    fn bound(&mut self, numbering: Numbering) {
        let holes = |r: &&Range| r.numbering == numbering && r.is_told;
        if self.ranges.iter().filter(holes).count() > MAX_HOLES {
            self.fill_lowest(numbering);
        }
        while self.ranges.len() > MAX_RANGES {
            // A hole that the device was told of costs nothing. What a range holds could come twice.
            match self.ranges.iter().find(|r| r.is_told) {
                Some(told) => self.fill_lowest(told.numbering),
                None => drop(self.ranges.remove(0)),
            }
        }
    }

    /// Fills the lowest hole of a numbering that was told as a gap.
    fn fill_lowest(&mut self, numbering: Numbering) {
        let told = self.ranges.iter().enumerate();
        let told = told.filter(|(_, r)| r.numbering == numbering && r.is_told);
        let Some((at, _)) = told.min_by_key(|(_, r)| r.from) else {
            return;
        };
        self.ranges[at].is_told = false;
        let from = self.ranges[at].from;
        if let Some(below) = self.range_below(numbering, from) {
            self.ranges[below].to = self.ranges[at].to;
            self.ranges.remove(at);
        }
    }
}

/// The part that only the history uses.
#[cfg_attr(not(feature = "jetstream"), allow(dead_code))]
impl Trail {
    pub(super) fn user(&self) -> u64 {
        self.user
    }

    /// Returns whether the device has seen nothing at all.
    pub(super) fn is_new(&self) -> bool {
        self.stream == 0 && self.ranges.is_empty()
    }

    pub(super) fn has(&self, numbering: Numbering, number: u64) -> bool {
        self.range_with(numbering, number).is_some()
    }

    /// Moves on to where the history was read to.
    pub(super) fn advance(&mut self, reached: &Reached) {
        if reached.user != self.user {
            return;
        }
        (self.stream, self.floor) = (reached.stream, reached.floor);
        self.floor_at = reached.floor_at;
        self.noted = 0;
        for &(numbering, to) in &reached.numbers {
            let mut all = Range {
                numbering,
                from: 0,
                to: to.min(MAX_NUMBER),
                is_told: false,
            };
            self.ranges.retain(|r| {
                let joins = r.numbering == numbering && r.from <= all.to.saturating_add(1);
                if joins {
                    all.to = all.to.max(r.to);
                }
                !joins
            });
            self.ranges.push(all);
            self.bound(numbering);
        }
    }
}

/// FNV-1a of 64 bits: the same in each process and each version.
fn check_of(user: &UserId) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    user.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests;
