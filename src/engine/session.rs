//! The numbers of a user's sessions, and of the changes in each.

use crate::sync::{AtomicU64, Fault, Ordering, broken};

/// A connect or a disconnect in a kept lane.
pub(crate) struct Turn {
    pub(crate) session: u64,
    /// The number of the change within the session.
    pub(crate) number: u64,
    /// The session begins with this change, or ends after it.
    pub(crate) is_edge: bool,
}

/// The numbers of a lane's sessions. A lane without an archive sees one session, a kept lane
/// several.
#[derive(Default)]
pub(crate) struct Session {
    /// The session's number, or 0 before the first connection. In a kept lane:
    /// `[session : 44 | turn : 20]`.
    number: AtomicU64,
    /// `[changes : 32 | connects : 32]`. In a kept lane:
    /// `[turn : 20 | connections : 12 | changes : 32]`.
    changes: AtomicU64,
}

/// Adds one to `changes` in a lane with one session.
const ONE_CHANGE: u64 = 1 << 32;
/// The bits that tell the sessions of one lane apart. A session is called a turn here.
const TURN_BITS: u32 = 20;
const TURN: u64 = (1 << TURN_BITS) - 1;

impl Session {
    /// Draws the session's number, unless it is drawn.
    ///
    /// Each connect calls this before its connection can be listed. A session ends only after all
    /// its connections were listed. So each session has its number before it ends, and the user's
    /// next session draws a higher one.
    pub(crate) fn begin(&self, counter: &AtomicU64) {
        if self.number.load(Ordering::Acquire) == 0 {
            let fresh = counter.fetch_add(1, Ordering::AcqRel) + 1;
            // It fails if another connect of this session was first. The session keeps that
            // number, and no session gets this one.
            let _ = self
                .number
                .compare_exchange(0, fresh, Ordering::AcqRel, Ordering::Acquire);
        }
    }

    pub(crate) fn number(&self) -> u64 {
        self.number.load(Ordering::Acquire)
    }

    /// Returns the number of a connect. Called before the connection is listed: another thread may
    /// close it at once, and the disconnect has the higher number.
    pub(crate) fn connect(&self) -> u64 {
        self.change(ONE_CHANGE + 1)
    }

    /// Returns the number of a disconnect.
    pub(crate) fn disconnect(&self) -> u64 {
        self.change(ONE_CHANGE)
    }

    /// Returns the session's number and that of its newest change. In a kept lane the two may be of
    /// two sessions, if one begins meanwhile.
    pub(crate) fn last(&self, is_kept: bool) -> (u64, u64) {
        let (number, word) = (self.number(), self.changes.load(Ordering::Acquire));
        if is_kept {
            (number >> TURN_BITS, Self::parts(word).2)
        } else {
            (number, word >> 32)
        }
    }

    /// Adds one change. Returns its number. The first change after `Online` is number 1.
    fn change(&self, one: u64) -> u64 {
        (self.changes.fetch_add(one, Ordering::AcqRel) >> 32) + 1
    }

    /// As `connect`, in a kept lane. One exchange counts the connection and the change, so each
    /// step knows whether a session begins or ends with it.
    pub(crate) fn connect_kept(&self, counter: &AtomicU64) -> Turn {
        loop {
            // The number is loaded before the word. In the other order another thread could begin a later session in
            // between, and `prepare` would exchange that session's number for one of this turn.
            let known = self.number();
            let word = self.changes.load(Ordering::Acquire);
            let (turn, connections, changes) = Self::parts(word);
            // The first connection begins a session. Its number is drawn before the exchange, so
            // that a thread that sees the new turn finds its number.
            let next = if connections == 0 {
                if !self.prepare(known, (turn + 1) & TURN, counter) {
                    continue;
                }
                Self::word((turn + 1) & TURN, 1, 1)
            } else {
                Self::word(turn, connections + 1, changes + 1)
            };
            if self.exchange(word, next) {
                return Turn {
                    // Loaded after the exchange: the connection is counted, so the session cannot
                    // end.
                    session: self.number() >> TURN_BITS,
                    number: Self::parts(next).2,
                    is_edge: connections == 0,
                };
            }
        }
    }

    /// Draws the number of the session `turn`, unless it is drawn. `known` is the number that the
    /// caller has loaded. Returns whether the number is that of the session.
    fn prepare(&self, known: u64, turn: u64, counter: &AtomicU64) -> bool {
        if known != 0 && known & TURN == turn {
            return true;
        }
        // A number with another turn belongs to an earlier session.
        let fresh = counter.fetch_add(1, Ordering::AcqRel) + 1;
        let fresh = (fresh << TURN_BITS) + turn;
        let (ok, err) = (Ordering::AcqRel, Ordering::Acquire);
        match self.number.compare_exchange(known, fresh, ok, err) {
            Ok(_) => true,
            // Another thread has drawn the number of this session, or a session has begun and ended since the caller
            // loaded `known`. Without the look: a thread loads the number and is stopped. Another one's session begins
            // and ends. The thread loads the word of the end, fails here, and begins the next session with that number.
            Err(now) => now & TURN == turn || broken(Fault::TrustAnyNumber),
        }
    }

    /// As `disconnect`, in a kept lane.
    pub(crate) fn disconnect_kept(&self) -> Turn {
        loop {
            // Loaded before the exchange: until then the connection is counted, so the session
            // cannot end.
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

    /// Unpacks the word of a kept lane: turn, connections, changes.
    fn parts(word: u64) -> (u64, u64, u64) {
        (word >> 44, word >> 32 & 0xfff, word & 0xffff_ffff)
    }

    /// Packs the word of a kept lane.
    fn word(turn: u64, connections: u64, changes: u64) -> u64 {
        (turn << 44) + (connections << 32) + (changes & 0xffff_ffff)
    }

    /// Returns the number of `Offline`, after the last connection has left. Each connection has had
    /// two numbers.
    pub(crate) fn end(&self) -> u64 {
        2 * (self.changes.load(Ordering::Acquire) % ONE_CHANGE) + 1
    }
}
