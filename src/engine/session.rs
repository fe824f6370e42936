//! The numbers of a user's time online and of the changes in it.

use crate::sync::{AtomicU64, Ordering};

/// A change in a lane that outlives its connections.
pub(crate) struct Turn {
    pub(crate) session: u64,
    pub(crate) number: u64,
    /// The session begins before this change, or ends after it.
    pub(crate) is_edge: bool,
}

/// The numbers of one session's changes.
#[derive(Default)]
pub(crate) struct Session {
    /// 0 while nobody has been there.
    number: AtomicU64,
    /// `[changes : 32 | connects : 32]`.
    changes: AtomicU64,
}

const ONE_CHANGE: u64 = 1 << 32;
/// Turns of one lane are told apart by so many bits.
const TURN_BITS: u32 = 20;
const TURN: u64 = (1 << TURN_BITS) - 1;

impl Session {
    /// Whoever connects sees to it that the session has a number before it is listed, and no session
    /// ends before all it counts have come that far. So a session that ended has its number before
    /// the user's next one can begin, and that one's is higher.
    pub(crate) fn begin(&self, counter: &AtomicU64) {
        if self.number.load(Ordering::Acquire) == 0 {
            let fresh = counter.fetch_add(1, Ordering::AcqRel) + 1;
            let _ = self
                .number
                .compare_exchange(0, fresh, Ordering::AcqRel, Ordering::Acquire);
        }
    }

    pub(crate) fn number(&self) -> u64 {
        self.number.load(Ordering::Acquire)
    }

    /// Before the connection is listed, so that nobody can close it under a lower number.
    pub(crate) fn connect(&self) -> u64 {
        self.change(ONE_CHANGE + 1)
    }

    pub(crate) fn disconnect(&self) -> u64 {
        self.change(ONE_CHANGE)
    }

    fn change(&self, one: u64) -> u64 {
        (self.changes.fetch_add(one, Ordering::AcqRel) >> 32) + 1
    }

    /// As `connect`, in a lane that outlives its connections and sees several sessions. `changes` is
    /// then `[turn : 20 | connections : 12 | changes : 32]`, so that each step knows whether a session
    /// begins or ends with it. `number` is `[session : 44 | turn : 20]`, and says which turn it is for.
    pub(crate) fn connect_kept(&self, counter: &AtomicU64) -> Turn {
        loop {
            // Before the word: a number that is changed meanwhile may be that of a later turn.
            let known = self.number();
            let word = self.changes.load(Ordering::Acquire);
            let (turn, connections, changes) = Self::parts(word);
            let next = if connections == 0 {
                self.prepare(known, (turn + 1) & TURN, counter);
                Self::word((turn + 1) & TURN, 1, 1)
            } else {
                Self::word(turn, connections + 1, changes + 1)
            };
            if self.exchange(word, next) {
                return Turn {
                    // The connection is counted, so this session stays.
                    session: self.number() >> TURN_BITS,
                    number: Self::parts(next).2,
                    is_edge: connections == 0,
                };
            }
        }
    }

    /// Gives the session of the next turn its number, unless it has one. A thread that is stopped before
    /// the exchange finds the number changed: it is for that turn, or for a later one.
    fn prepare(&self, known: u64, turn: u64, counter: &AtomicU64) {
        if known == 0 || known & TURN != turn {
            let fresh = counter.fetch_add(1, Ordering::AcqRel) + 1;
            let fresh = (fresh << TURN_BITS) + turn;
            let (ok, err) = (Ordering::AcqRel, Ordering::Acquire);
            let _ = self.number.compare_exchange(known, fresh, ok, err);
        }
    }

    /// As `disconnect`, in a lane that outlives its connections.
    pub(crate) fn disconnect_kept(&self) -> Turn {
        loop {
            // Before the exchange: until then the connection is counted, and this session stays.
            let session = self.number() >> TURN_BITS;
            let word = self.changes.load(Ordering::Acquire);
            let (turn, connections, changes) = Self::parts(word);
            if self.exchange(word, Self::word(turn, connections - 1, changes + 1)) {
                return Turn {
                    session,
                    number: changes + 1,
                    is_edge: connections == 1,
                };
            }
        }
    }

    fn exchange(&self, from: u64, to: u64) -> bool {
        self.changes
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    fn parts(word: u64) -> (u64, u64, u64) {
        (word >> 44, word >> 32 & 0xfff, word & 0xffff_ffff)
    }

    fn word(turn: u64, connections: u64, changes: u64) -> u64 {
        (turn << 44) + (connections << 32) + (changes & 0xffff_ffff)
    }

    /// After the last connection has left: each one had two numbers.
    pub(crate) fn end(&self) -> u64 {
        2 * (self.changes.load(Ordering::Acquire) % ONE_CHANGE) + 1
    }
}
