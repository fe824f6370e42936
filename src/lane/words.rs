//! The packed words of a lane. No other file packs or unpacks their bits.
//!
//! ```text
//! State      [ seq     : 44 | live      : 8 | waiting : 8 | flags : 4 ]   one a lane
//! Run        [ base    : 44 | first     : 1 | arena  : 19 ]               one a lane
//! Transit    [ leaving : 32 | joining   : 32 ]                            one a lane
//! Tally      [ retired : 1  | voided    : 63 ]                            one a lane
//! SlotWord   [ number  : 44 | remaining : 8 | -       : 4 | flags : 8 ]   one a slot
//! ArenaWord  [ base    : 44 | status    : 2 | pins    : 18 ]              one an arena
//! Mark       [ end     : 44 | reason    : 17 | asleep, unlisted, gone ]   one a connection
//! ```
//!
//! Numbers have 44 bits: at a million events a second a lane lasts for half a year, and then is
//! replaced by a new one.

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
    /// Flag: the lane accepts neither events nor connections.
    pub(crate) const CLOSED: u64 = 1;
    /// Flag: one of `live` is the archive, which keeps events and never reads. It is set from the
    /// lane's first moment until the archive leaves.
    pub(crate) const ARCHIVED: u64 = 2;
    /// Flag: the next number goes into an arena. Without it, into the hot slot.
    pub(crate) const BURST: u64 = 4;
    /// Flag: the root's directory may be used. The sweeper clears it before it takes the directory
    /// off the root. In the other order a publisher could begin a burst in a directory that is to
    /// be freed.
    pub(crate) const ARENAS: u64 = 8;
    /// From this number on publishers are refused. The distance to the end of the 44 bits leaves
    /// room for numbers that are computed ahead, such as the end of an arena.
    pub(crate) const LAST_NUMBER: u64 = (1 << 44) - (1 << 20);
    /// The most connections of a lane with an archive. A replay adds one to an event's count of
    /// readers, and no more replays run than there are connections. 126 connections, as many
    /// replays and the archive fit into 8 bits.
    pub(crate) const MAX_ARCHIVED: u8 = 126;

    pub(crate) const fn new(seq: u64) -> Self {
        Self(seq << NUMBER_SHIFT)
    }
    /// The number of the next event.
    pub(crate) const fn seq(self) -> u64 {
        self.0 >> NUMBER_SHIFT
    }
    /// Live connections, and one for the archive.
    pub(crate) const fn live(self) -> u8 {
        (self.0 >> HIGH_SHIFT & BYTE) as u8
    }
    /// Connections that sleep, or are about to.
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
    /// Returns whether every publisher is refused. A lane without a live connection is closed, so
    /// the flag covers that case.
    #[inline]
    pub(crate) const fn refuses(self) -> bool {
        self.is_closed() || self.seq() >= Self::LAST_NUMBER
    }
    /// The state after the claim of a number.
    pub(crate) const fn claimed(self) -> Self {
        Self(self.0 + Self::ONE_NUMBER)
    }
    /// The state after the claim of a burst's first number.
    pub(crate) const fn claimed_in_burst(self) -> Self {
        Self((self.0 + Self::ONE_NUMBER) | Self::BURST | Self::ARENAS)
    }
    /// The state after the way back from a burst to the hot slot.
    pub(crate) const fn hot(self) -> Self {
        Self(self.0 & !Self::BURST)
    }
    /// The state after the sweeper has withdrawn the directory.
    pub(crate) const fn without_arenas(self) -> Self {
        Self(self.0 & !Self::ARENAS)
    }
    /// The state with one connection less. The last connection closes the lane, unless an archive
    /// stays.
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
    /// The state of a lane with an archive after a connection has left. The archive leaves in the
    /// same step if it is alone and the lane is closed or out of numbers: then nothing more can be
    /// kept or read.
    #[cold]
    const fn deserted(self) -> Self {
        if self.connections() == 0 && (self.is_closed() || self.seq() >= Self::LAST_NUMBER) {
            self.without_archive()
        } else {
            self
        }
    }
    /// The state after the archive, which was alone, is counted out. The lane is closed.
    pub(crate) const fn without_archive(self) -> Self {
        Self((self.0 - Self::ONE_LIVE - Self::ARCHIVED) | Self::CLOSED)
    }
}

/// The arena in which the new events of a burst lie. Number `base` is in its first slot.
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
    /// Returns whether the arena is the first of its burst. Then `base` is also where the burst
    /// began.
    pub(crate) const fn is_first(self) -> bool {
        self.0 & Self::FIRST != 0
    }
    pub(crate) const fn arena(self) -> usize {
        (self.0 & (Self::FIRST - 1)) as usize
    }
}

/// How many connections are on their way into the lane or out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transit(pub(crate) u64);

impl Transit {
    pub(crate) const ONE_JOINING: u64 = 1;
    pub(crate) const ONE_LEAVING: u64 = 1 << 32;

    /// Connections that are counted in `live`, or are about to be, and are not listed yet.
    pub(crate) const fn joining(self) -> u64 {
        self.0 & 0xffff_ffff
    }
    /// Connections that are closed, or are about to be, and may still have events to pass.
    pub(crate) const fn leaving(self) -> u64 {
        self.0 >> 32
    }
}

/// How many numbers became void, and whether the hub has taken the lane's figures over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tally(pub(crate) u64);

impl Tally {
    pub(crate) const RETIRED: u64 = 1 << 63;

    /// Numbers that their publishers gave up.
    pub(crate) const fn voided(self) -> u64 {
        self.0 & !Self::RETIRED
    }
    pub(crate) const fn is_retired(self) -> bool {
        self.0 & Self::RETIRED != 0
    }
}

/// The consequence for a reader that misses an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The reader gets a gap.
    Ordinary,
    /// The reader is closed.
    Critical,
    /// As `Critical`, and accepted while the user had no connection: it is owed to the next one.
    Unseen,
}

/// The newest number of a slot, what became of it, and how many connections have still to pass it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotWord(pub(crate) u64);

impl SlotWord {
    const FULL: u64 = 1;
    const VOID: u64 = 2;
    const CRITICAL: u64 = 4;
    const UNSEEN: u64 = 8;
    const RULED: u64 = 16;
    const KEPT: u64 = 32;
    /// Subtracted by a reader that passes.
    pub(crate) const ONE_READER: u64 = 1 << HIGH_SHIFT;

    /// The word of an empty slot. `number` was the last one in it.
    pub(crate) const fn free(number: u64) -> Self {
        Self(number << NUMBER_SHIFT)
    }
    /// The word of a number that is no event. Its publisher may be stopped inside the slot, so no
    /// other publisher uses the slot before that one has stored `free`.
    pub(crate) const fn void(number: u64) -> Self {
        Self((number << NUMBER_SHIFT) + Self::VOID)
    }
    /// The word of an event that `readers` connections have still to pass.
    #[inline]
    pub(crate) const fn full(number: u64, readers: u8, kind: Kind) -> Self {
        let kind = match kind {
            Kind::Ordinary => 0,
            Kind::Critical => Self::CRITICAL,
            Kind::Unseen => Self::CRITICAL + Self::UNSEEN,
        };
        Self((number << NUMBER_SHIFT) + ((readers as u64) << HIGH_SHIFT) + kind + Self::FULL)
    }
    /// With the flag that the event has a rule, which stands in the slot.
    pub(crate) const fn ruled(self) -> Self {
        Self(self.0 | Self::RULED)
    }
    /// Without the flag of a rule: for a word that is known to have none. So the compiler knows as well.
    pub(crate) const fn without_rule(self) -> Self {
        Self(self.0 & !Self::RULED)
    }
    /// With the flag that an archive keeps the event, so a replay may add a reader.
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
    /// Connections, and perhaps an archive, that have still to pass the event.
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
    #[inline]
    pub(crate) const fn is_event(self, number: u64) -> bool {
        self.number() == number && self.is_full()
    }
    /// Returns whether the slot holds the event of `number`, without a rule. One comparison.
    #[inline]
    pub(crate) const fn is_plain(self, number: u64) -> bool {
        let parts = !0 << NUMBER_SHIFT | Self::FULL | Self::RULED;
        self.0 & parts == (number << NUMBER_SHIFT) + Self::FULL
    }
    pub(crate) const fn is_critical(self) -> bool {
        self.0 & Self::CRITICAL != 0
    }
    pub(crate) const fn is_unseen(self) -> bool {
        self.0 & Self::UNSEEN != 0
    }
    pub(crate) const fn is_ruled(self) -> bool {
        self.0 & Self::RULED != 0
    }
    /// Returns whether one connection has still to pass the event and no replay can add another.
    /// That reader moves the event out with a plain store: no other thread changes the word.
    #[inline]
    pub(crate) const fn is_last(self) -> bool {
        self.0 & ((BYTE << HIGH_SHIFT) | Self::KEPT) == Self::ONE_READER
    }
}

/// The use of an arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// It holds the numbers from its base on.
    Live,
    /// A publisher prepares it for the numbers from its base on. Readers stay out.
    Taken,
    /// Its events were evicted, and a publisher may still be inside a void slot of it.
    Gone,
}

/// Which numbers an arena holds, and how many readers have pinned it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ArenaWord(pub(crate) u64);

impl ArenaWord {
    /// Added by a reader that enters the arena.
    pub(crate) const ONE_PIN: u64 = 1;
    const STATUS_SHIFT: u32 = 18;
    const PINS: u64 = (1 << Self::STATUS_SHIFT) - 1;
    /// The limit that a reader checks after it has added its pin. Half of the field stays free for
    /// threads that add at once, so the count never runs over into the status.
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
    /// The word for other numbers or another use. The pins stay, because readers add and subtract
    /// them at any time.
    pub(crate) const fn with(self, base: u64, status: Status) -> Self {
        let status = match status {
            Status::Live => 0,
            Status::Taken => 1,
            Status::Gone => 2,
        };
        Self((base << NUMBER_SHIFT) + (status << Self::STATUS_SHIFT) + self.pins())
    }
    /// Returns whether the arena never held a number. Base 0 is below every lane's first number.
    pub(crate) const fn is_unused(self) -> bool {
        self.base() == 0
    }
}

/// Whether and why a connection is closed, and the first number that does not count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark(pub(crate) u64);

impl Mark {
    pub(crate) const OPEN: Self = Self(0);
    /// A lane's first member before it is listed.
    pub(crate) const UNLISTED: Self = Self(2);
    /// Flag: the owner has dropped the connection.
    pub(crate) const OWNER_GONE: u64 = 1;
    /// Flag: the connection is counted in the state's `waiting`.
    pub(crate) const ASLEEP: u64 = 4;
    const REASON_SHIFT: u32 = 3;
    const REASON: u64 = (1 << 17) - 1;

    /// The mark of a connection that is closed, and whose end is not set yet.
    pub(crate) const fn closed(reason: u64) -> Self {
        Self(reason << Self::REASON_SHIFT)
    }
    /// The number that a closer adds to the mark to set the end.
    pub(crate) const fn ends_at(number: u64) -> u64 {
        number << NUMBER_SHIFT
    }
    /// The code of the reason for which the connection was closed, or 0.
    pub(crate) const fn reason(self) -> u64 {
        self.0 >> Self::REASON_SHIFT & Self::REASON
    }
    /// The first number that does not count the connection, once the closer has set it.
    pub(crate) const fn left_at(self) -> Option<u64> {
        match self.0 >> NUMBER_SHIFT {
            // The first number of a lane is its capacity, so 0 is no end.
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
    /// Of a lane's first member: returns whether it was listed and its end is not set.
    pub(crate) const fn is_listed(self) -> bool {
        self.left_at().is_none() && self.0 != Self::UNLISTED.0
    }
}
