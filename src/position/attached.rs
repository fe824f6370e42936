//! The threads of a device, as a position holds them.

use super::{BITS_24, BITS_48};

/// The threads that a device was attached to, as digests: of no thread, of one thread, or of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attached {
    /// Below the number `until`.
    pub(super) first: u64,
    pub(super) until: u64,
    /// From there on, or `UNSURE`.
    pub(super) then: u64,
}

/// What a digest says of one thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Threads {
    /// The device was attached to none.
    None,
    /// To the one with this digest.
    One(u64),
    /// To several, with this digest in all.
    Several(u64),
    /// The position does not say.
    Unsure,
}

impl Attached {
    /// The device had more sets of threads than a position has room for.
    const UNSURE: u64 = BITS_48;
    /// The flag of the digest of several threads.
    const SEVERAL: u64 = 1 << 47;

    /// Returns the digest of no thread.
    pub(crate) const NONE: u64 = 0;

    /// Returns the digest of one thread with this hash.
    pub(super) fn one(hash: u64) -> u64 {
        (hash & (Self::SEVERAL - 1)).max(1)
    }

    /// Returns the digest of several threads with this hash in all.
    pub(super) fn several(hash: u64) -> u64 {
        (Self::SEVERAL + (hash & (Self::SEVERAL - 1))).min(Self::UNSURE - 1)
    }

    /// The threads of this digest, at all numbers.
    pub(crate) fn to(digest: u64) -> Self {
        Self {
            first: digest,
            until: 0,
            then: digest,
        }
    }

    /// The position does not say which threads.
    pub(crate) fn unsure() -> Self {
        Self::to(Self::UNSURE)
    }

    /// Returns whether the device had these threads at all numbers.
    pub(crate) fn is(self, digest: u64) -> bool {
        (self.first, self.then) == (digest, digest)
    }

    /// Returns what counts from `number` on.
    pub(crate) fn from(self, number: u64) -> Self {
        if number >= self.until {
            Self::to(self.then)
        } else {
            self
        }
    }

    /// Returns the threads of a device that has those of `digest` from `number` on.
    pub(crate) fn then(self, number: u64, digest: u64) -> Self {
        let Self { first, until, then } = self;
        if then == digest {
            self
        } else if first == then {
            Self {
                first: then,
                until: number,
                then: digest,
            }
        } else if number <= until {
            // The second set held for no number, and leaves its room to the third.
            let until = if first == digest { 0 } else { number };
            Self {
                first,
                until,
                then: digest,
            }
        } else {
            // A third set has no room.
            Self {
                first,
                until,
                then: Self::UNSURE,
            }
        }
    }

    /// Returns what a position at `number` has room for.
    pub(crate) fn cut(self, number: u64) -> Self {
        if self.until <= number + BITS_24 {
            return self;
        }
        // The device is so far behind that it misses almost all before `until`.
        Self {
            until: number + BITS_24,
            then: Self::UNSURE,
            ..self
        }
    }

    /// Returns the threads at a number.
    pub(crate) fn at(self, number: u64) -> Threads {
        let at = if number < self.until {
            self.first
        } else {
            self.then
        };
        match at {
            Self::NONE => Threads::None,
            Self::UNSURE => Threads::Unsure,
            several if several & Self::SEVERAL != 0 => Threads::Several(several),
            one => Threads::One(one),
        }
    }
}

#[cfg(all(test, not(any(laneway_loom, laneway_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn two_sets_have_room_and_a_third_is_unsure() {
        let (a, b) = (Attached::one(7), Attached::several(8));
        let both = Attached::to(a).then(10, b).then(12, b);
        assert_eq!(both.at(9), Threads::One(a));
        assert_eq!(both.at(10), Threads::Several(b));
        assert!(both.from(10).is(b) && !both.from(9).is(b));
        let none = Attached::NONE;
        assert_eq!(both.then(10, none), Attached::to(a).then(10, none));
        assert!(both.then(10, a).is(a));
        let three = both.then(20, Attached::NONE);
        assert_eq!(three.at(9), Threads::One(a));
        assert_eq!(three.at(10), Threads::Unsure);
        let late = both.from(11).then(20, Attached::NONE);
        assert_eq!(
            (late.at(19), late.at(20)),
            (Threads::Several(b), Threads::None)
        );
    }

    #[test]
    fn digests_of_the_kinds_differ() {
        for hash in [0, 1, u64::MAX, 1 << 47] {
            let (one, several) = (Attached::one(hash), Attached::several(hash));
            assert_eq!(Attached::to(one).at(5), Threads::One(one));
            assert_eq!(Attached::to(several).at(5), Threads::Several(several));
        }
    }

    #[test]
    fn a_change_far_ahead_is_cut() {
        let far = Attached::to(1).then(5 + (1 << 30), 2).cut(5);
        assert_eq!(far.at(6), Threads::One(1));
        assert_eq!(far.at(5 + BITS_24), Threads::Unsure);
        let near = Attached::to(1).then(9, 2);
        assert_eq!(near.cut(5), near);
    }
}
