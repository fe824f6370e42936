//! The packed words of a lane. Nothing else cuts or glues their bits.
//!
//! ```text
//! State      [ seq     : 44 | live      : 8 | waiting : 8 | flags : 4 ]   one a lane
//! Run        [ base    : 44 | first     : 1 | arena  : 19 ]               one a lane
//! Transit    [ leaving : 32 | joining   : 32 ]                            one a lane
//! Tally      [ retired : 1  | voided    : 63 ]                            one a lane
//! SlotWord   [ number  : 44 | remaining : 8 | -       : 4 | flags : 8 ]   one a slot
//! ArenaWord  [ base    : 44 | status    : 2 | pins    : 18 ]              one an arena
//! Mark       [ left at : 44 | reason    : 17 | - : 1 | flags : 2 ]        one a connection
//! ```

const NUMBER_SHIFT: u32 = 20;
const HIGH_SHIFT: u32 = 12;
const LOW_SHIFT: u32 = 4;
const BYTE: u64 = 0xff;

/// The word that decides every race of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State(pub(crate) u64);

impl State {
    /// Adds one to `seq`.
    pub(crate) const ONE_NUMBER: u64 = 1 << NUMBER_SHIFT;
    /// Adds one to `live`.
    pub(crate) const ONE_LIVE: u64 = 1 << HIGH_SHIFT;
    /// Adds one to `waiting`.
    pub(crate) const ONE_WAITING: u64 = 1 << LOW_SHIFT;
    /// The lane accepts neither events nor connections.
    pub(crate) const CLOSED: u64 = 1;
    /// One of `live` is the archive, which keeps what was read and never reads. It is counted from
    /// the lane's first moment to its end.
    pub(crate) const ARCHIVED: u64 = 2;
    /// The next number belongs in an arena; without this flag, in the hot slot.
    pub(crate) const BURST: u64 = 4;
    /// The lane's arenas are in use since the last burst. Taking them away clears it.
    pub(crate) const ARENAS: u64 = 8;
    /// A lane ends here.
    pub(crate) const LAST_NUMBER: u64 = (1 << 44) - (1 << 20);
    /// Connections of a lane with an archive: a replay counts one more reader of an event, and there
    /// are at most as many replays as connections.
    pub(crate) const MAX_ARCHIVED: u8 = 126;

    pub(crate) const fn new(seq: u64) -> Self {
        Self(seq << NUMBER_SHIFT)
    }
    /// The number of the next event.
    pub(crate) const fn seq(self) -> u64 {
        self.0 >> NUMBER_SHIFT
    }
    /// Live connections, and the archive.
    pub(crate) const fn live(self) -> u8 {
        (self.0 >> HIGH_SHIFT & BYTE) as u8
    }
    /// Connections that sleep.
    pub(crate) const fn waiting(self) -> u8 {
        (self.0 >> LOW_SHIFT & BYTE) as u8
    }
    pub(crate) const fn is_closed(self) -> bool {
        self.0 & Self::CLOSED != 0
    }
    pub(crate) const fn is_archived(self) -> bool {
        self.0 & Self::ARCHIVED != 0
    }
    pub(crate) const fn is_burst(self) -> bool {
        self.0 & Self::BURST != 0
    }
    pub(crate) const fn has_arenas(self) -> bool {
        self.0 & Self::ARENAS != 0
    }
    /// Live connections, without the archive.
    pub(crate) const fn connections(self) -> u8 {
        self.live() - self.is_archived() as u8
    }
    /// Whether a publisher is refused, whatever the event. A lane without a live connection is closed.
    #[inline]
    pub(crate) const fn refuses(self) -> bool {
        self.is_closed() || self.seq() >= Self::LAST_NUMBER
    }
    /// After the claim of a number.
    pub(crate) const fn claimed(self) -> Self {
        Self(self.0 + Self::ONE_NUMBER)
    }
    /// After the claim of a burst's first number.
    pub(crate) const fn claimed_in_burst(self) -> Self {
        Self((self.0 + Self::ONE_NUMBER) | Self::BURST | Self::ARENAS)
    }
    /// After a burst that every connection has read.
    pub(crate) const fn hot(self) -> Self {
        Self(self.0 & !Self::BURST)
    }
    pub(crate) const fn without_arenas(self) -> Self {
        Self(self.0 & !Self::ARENAS)
    }
    /// With one connection less; the last one closes the lane.
    pub(crate) const fn without_one(self) -> Self {
        let next = Self(self.0 - Self::ONE_LIVE);
        if next.is_archived() {
            next.deserted()
        } else if next.live() == 0 {
            Self(next.0 | Self::CLOSED)
        } else {
            next
        }
    }
    /// A lane with an archive after a connection has left: the archive stays, unless it is alone and
    /// no connection can come and no event can be published any more.
    #[cold]
    const fn deserted(self) -> Self {
        if self.connections() == 0 && (self.is_closed() || self.seq() >= Self::LAST_NUMBER) {
            self.without_archive()
        } else {
            self
        }
    }
    /// Closed, and the archive, which is alone, counted out.
    pub(crate) const fn without_archive(self) -> Self {
        Self((self.0 - Self::ONE_LIVE - Self::ARCHIVED) | Self::CLOSED)
    }
}

/// Where the numbers of a burst from `base` on live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run(pub(crate) u64);

impl Run {
    const FIRST: u64 = 1 << 19;

    pub(crate) const fn new(base: u64, arena: usize, is_first: bool) -> Self {
        let first = if is_first { Self::FIRST } else { 0 };
        Self((base << NUMBER_SHIFT) + first + arena as u64)
    }
    pub(crate) const fn base(self) -> u64 {
        self.0 >> NUMBER_SHIFT
    }
    /// The arena is the first of its burst.
    pub(crate) const fn is_first(self) -> bool {
        self.0 & Self::FIRST != 0
    }
    pub(crate) const fn arena(self) -> usize {
        (self.0 & (Self::FIRST - 1)) as usize
    }
}

/// Connections on their way in and out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transit(pub(crate) u64);

impl Transit {
    pub(crate) const ONE_JOINING: u64 = 1;
    pub(crate) const ONE_LEAVING: u64 = 1 << 32;

    /// Connections that have joined, or are about to, and are not listed yet.
    pub(crate) const fn joining(self) -> u64 {
        self.0 & 0xffff_ffff
    }
    /// Connections that are closed, or about to be, and have not passed all that they count for.
    pub(crate) const fn leaving(self) -> u64 {
        self.0 >> 32
    }
}

/// Numbers that are no event, and whether the lane's figures were taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tally(pub(crate) u64);

impl Tally {
    pub(crate) const RETIRED: u64 = 1 << 63;

    /// Numbers given up by their publishers.
    pub(crate) const fn voided(self) -> u64 {
        self.0 & !Self::RETIRED
    }
    pub(crate) const fn is_retired(self) -> bool {
        self.0 & Self::RETIRED != 0
    }
}

/// What is to be done about an event that is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A reader that misses it is told.
    Ordinary,
    /// A reader that misses it is closed.
    Critical,
    /// Critical, and accepted while the user had no connection.
    Unseen,
}

/// What became of the newest number of a slot, and how many connections have still to pass it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotWord(pub(crate) u64);

impl SlotWord {
    const FULL: u64 = 1;
    const VOID: u64 = 2;
    const CRITICAL: u64 = 4;
    const UNSEEN: u64 = 8;
    const ADDRESSED: u64 = 16;
    const KEPT: u64 = 32;
    /// Subtracted by a reader that passes.
    pub(crate) const ONE_READER: u64 = 1 << HIGH_SHIFT;

    /// Empty; `number` was the last one here.
    pub(crate) const fn free(number: u64) -> Self {
        Self(number << NUMBER_SHIFT)
    }
    /// The number is no event. Its publisher may still be inside.
    pub(crate) const fn void(number: u64) -> Self {
        Self((number << NUMBER_SHIFT) + Self::VOID)
    }
    /// An event that `readers` connections have still to pass.
    #[inline]
    pub(crate) const fn full(number: u64, readers: u8, kind: Kind) -> Self {
        let kind = match kind {
            Kind::Ordinary => 0,
            Kind::Critical => Self::CRITICAL,
            Kind::Unseen => Self::CRITICAL + Self::UNSEEN,
        };
        Self((number << NUMBER_SHIFT) + ((readers as u64) << HIGH_SHIFT) + kind + Self::FULL)
    }
    /// For some of the connections; the slot says for which.
    pub(crate) const fn addressed(self) -> Self {
        Self(self.0 | Self::ADDRESSED)
    }
    /// Kept by an archive, so that a replay may add a reader.
    pub(crate) const fn kept(self) -> Self {
        Self(self.0 | Self::KEPT)
    }
    /// With one reader more.
    pub(crate) const fn counted(self) -> Self {
        Self(self.0 + Self::ONE_READER)
    }
    pub(crate) const fn number(self) -> u64 {
        self.0 >> NUMBER_SHIFT
    }
    pub(crate) const fn remaining(self) -> u8 {
        (self.0 >> HIGH_SHIFT & BYTE) as u8
    }
    pub(crate) const fn is_full(self) -> bool {
        self.0 & Self::FULL != 0
    }
    pub(crate) const fn is_void(self) -> bool {
        self.0 & Self::VOID != 0
    }
    pub(crate) const fn is_free(self) -> bool {
        self.0 & (Self::FULL | Self::VOID) == 0
    }
    /// Whether the slot holds the event of `number`.
    #[inline]
    pub(crate) const fn is_event(self, number: u64) -> bool {
        self.number() == number && self.is_full()
    }
    /// Whether the slot holds the event of `number`, and that is for all connections.
    #[inline]
    pub(crate) const fn is_for_all(self, number: u64) -> bool {
        let parts = !0 << NUMBER_SHIFT | Self::FULL | Self::ADDRESSED;
        self.0 & parts == (number << NUMBER_SHIFT) + Self::FULL
    }
    pub(crate) const fn is_critical(self) -> bool {
        self.0 & Self::CRITICAL != 0
    }
    pub(crate) const fn is_unseen(self) -> bool {
        self.0 & Self::UNSEEN != 0
    }
    pub(crate) const fn is_addressed(self) -> bool {
        self.0 & Self::ADDRESSED != 0
    }
    /// One connection has still to pass the event, and no replay can add another.
    #[inline]
    pub(crate) const fn is_last(self) -> bool {
        self.0 & ((BYTE << HIGH_SHIFT) | Self::KEPT) == Self::ONE_READER
    }
}

/// What an arena is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// It holds numbers from its base on.
    Live,
    /// A publisher prepares it.
    Taken,
    /// Its events were evicted, and a publisher may still be inside a void of it.
    Gone,
}

/// Which numbers an arena holds, and how many readers stand in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ArenaWord(pub(crate) u64);

impl ArenaWord {
    /// Added by a reader that enters.
    pub(crate) const ONE_PIN: u64 = 1;
    const STATUS_SHIFT: u32 = 18;
    const PINS: u64 = (1 << Self::STATUS_SHIFT) - 1;
    /// Far below what the bits hold, so that no number of threads at once passes it by.
    pub(crate) const MAX_PINS: u64 = Self::PINS / 2;

    pub(crate) const UNUSED: Self = Self(0);

    pub(crate) const fn base(self) -> u64 {
        self.0 >> NUMBER_SHIFT
    }
    pub(crate) const fn status(self) -> Status {
        match self.0 >> Self::STATUS_SHIFT & 3 {
            0 => Status::Live,
            1 => Status::Taken,
            _ => Status::Gone,
        }
    }
    pub(crate) const fn pins(self) -> u64 {
        self.0 & Self::PINS
    }
    /// For other numbers or another use, with the same pins.
    pub(crate) const fn with(self, base: u64, status: Status) -> Self {
        let status = match status {
            Status::Live => 0,
            Status::Taken => 1,
            Status::Gone => 2,
        };
        Self((base << NUMBER_SHIFT) + (status << Self::STATUS_SHIFT) + self.pins())
    }
    /// Whether it never held a number.
    pub(crate) const fn is_unused(self) -> bool {
        self.base() == 0
    }
}

/// Whether and how a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark(pub(crate) u64);

impl Mark {
    pub(crate) const OPEN: Self = Self(0);
    /// Of a lane's own member before it is listed.
    pub(crate) const UNLISTED: Self = Self(2);
    /// Its owner has gone.
    pub(crate) const OWNER_GONE: u64 = 1;
    /// It is counted in the state's `waiting`.
    pub(crate) const ASLEEP: u64 = 4;
    const REASON_SHIFT: u32 = 3;
    const REASON: u64 = (1 << 17) - 1;

    /// Closed for the reason with this code, by a closer that has not told yet where it ends.
    pub(crate) const fn closed(reason: u64) -> Self {
        Self(reason << Self::REASON_SHIFT)
    }
    /// What to add when the first number is known that does not count it.
    pub(crate) const fn ends_at(number: u64) -> u64 {
        number << NUMBER_SHIFT
    }
    /// The code of the reason for which it was closed; 0 if it was not.
    pub(crate) const fn reason(self) -> u64 {
        self.0 >> Self::REASON_SHIFT & Self::REASON
    }
    /// The first number that does not count it, once the closer has told.
    pub(crate) const fn left_at(self) -> Option<u64> {
        match self.0 >> NUMBER_SHIFT {
            // No lane has this number.
            0 => None,
            number => Some(number),
        }
    }
    pub(crate) const fn is_asleep(self) -> bool {
        self.0 & Self::ASLEEP != 0
    }
    pub(crate) const fn is_owner_gone(self) -> bool {
        self.0 & Self::OWNER_GONE != 0
    }
    /// Of a lane's own member: whether it was listed and its closer has not told yet.
    pub(crate) const fn is_listed(self) -> bool {
        self.left_at().is_none() && self.0 != Self::UNLISTED.0
    }
}
