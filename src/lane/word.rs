//! The packed words of a lane. Nothing else cuts or glues their bits.
//!
//! ```text
//! State  [ seq    : 44 | live      : 8 | waiting : 8 | flags : 4 ]   one a lane
//! Tally  [ retired : 1 | voided : 44 | joining : 19 ]            one a lane
//! Mark   [ left at : 44 | reason : 17 | - : 1 | flags : 2 ]      one a connection
//! Slot   [ number : 44 | cell      : 8 | -       : 8 | flags : 4 ]   one a position
//! Cell   [ number : 44 | remaining : 8 | active  : 8 | flags : 4 ]   one a payload
//! ```

const NUMBER_SHIFT: u32 = 20;
const HIGH_SHIFT: u32 = 12;
const LOW_SHIFT: u32 = 4;
const BYTE: u64 = 0xff;

const fn pack(number: u64, high: u8, flags: u64) -> u64 {
    (number << NUMBER_SHIFT) + ((high as u64) << HIGH_SHIFT) + flags
}

/// The single source of truth of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State(pub(crate) u64);

impl State {
    /// Adds one to `seq`.
    pub(crate) const ONE_NUMBER: u64 = 1 << NUMBER_SHIFT;
    /// Adds one to `live`.
    pub(crate) const ONE_LIVE: u64 = 1 << HIGH_SHIFT;
    /// Adds one to `waiting`.
    pub(crate) const ONE_WAITING: u64 = 1 << LOW_SHIFT;
    /// The lane accepts no event and no connection any more.
    pub(crate) const CLOSED: u64 = 1;
    /// One of those in `live` is the archive, which keeps what is read and never reads. It is
    /// counted from the lane's birth to its end.
    pub(crate) const ARCHIVED: u64 = 2;
    /// A lane ends here; above it is room for every publisher that is on its way.
    pub(crate) const LAST_NUMBER: u64 = (1 << 44) - (1 << 20);

    pub(crate) const fn new(seq: u64) -> Self {
        Self(pack(seq, 0, 0))
    }
    /// The number of the next event.
    pub(crate) const fn seq(self) -> u64 {
        self.0 >> NUMBER_SHIFT
    }
    /// Live connections.
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
    /// Live connections, without the archive.
    pub(crate) const fn connections(self) -> u8 {
        self.live() - self.is_archived() as u8
    }
    /// The connections of a lane with an archive, and what an event of this kind is there.
    #[cold]
    pub(crate) const fn of_archived(self, kind: Kind) -> (u8, Kind) {
        match (self.connections(), kind) {
            (0, Kind::Critical) => (0, Kind::Unseen),
            (connections, kind) => (connections, kind),
        }
    }
    /// With one connection less; the last one closes the lane.
    pub(crate) const fn without_one(self) -> Self {
        let next = Self(self.0 - Self::ONE_LIVE);
        if self.is_archived() {
            next.deserted()
        } else if next.live() == 0 {
            Self(next.0 | Self::CLOSED)
        } else {
            next
        }
    }
    /// What becomes of a lane with an archive when a connection has left: the archive stays, unless
    /// it is alone, and nobody can come or publish any more.
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

/// What a lane keeps count of beside its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tally(pub(crate) u64);

impl Tally {
    /// Adds one to `joining`.
    pub(crate) const ONE_JOINING: u64 = 1;
    /// Adds one to `voided`.
    pub(crate) const ONE_VOIDED: u64 = 1 << 19;
    /// The lane's figures were taken over.
    pub(crate) const RETIRED: u64 = 1 << 63;

    pub(crate) const fn new(joining: bool) -> Self {
        Self(joining as u64)
    }
    /// Connections that have joined, or are about to, and are not listed yet.
    pub(crate) const fn joining(self) -> u64 {
        self.0 % Self::ONE_VOIDED
    }
    /// Numbers given up by their owners.
    pub(crate) const fn voided(self) -> u64 {
        (self.0 & !Self::RETIRED) / Self::ONE_VOIDED
    }
    pub(crate) const fn is_retired(self) -> bool {
        self.0 & Self::RETIRED != 0
    }
}

/// Whether and how a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark(pub(crate) u64);

impl Mark {
    pub(crate) const OPEN: Self = Self(0);
    /// Of a lane's own member before it is listed.
    pub(crate) const COMING: Self = Self(2);
    /// Its owner has gone.
    pub(crate) const GONE: u64 = 1;
    const REASON_SHIFT: u32 = 3;
    const REASON: u64 = (1 << 17) - 1;

    /// Closed for the reason with this code, by who has not told yet where it ends.
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
    pub(crate) const fn is_gone(self) -> bool {
        self.0 & Self::GONE != 0
    }
    /// Of a lane's own member: whether it was listed and its closer has not told yet.
    pub(crate) const fn is_listed(self) -> bool {
        self.left_at().is_none() && self.0 != Self::COMING.0
    }
}

/// What is to be done about an event that is not read, as the bits of a word's flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Whoever misses it is told.
    Ordinary = 0,
    /// Whoever misses it is closed.
    Critical = 2,
    /// Critical, and nobody was connected.
    Unseen = 2 + 8,
}

/// In a slot, and in the hot cell, which no slot names.
const CRITICAL: u64 = Kind::Critical as u64;
const ADDRESSED: u64 = 4;

const fn marks(kind: Kind, addressed: bool) -> u64 {
    kind as u64 + if addressed { ADDRESSED } else { 0 }
}

/// What became of the newest number of a position, and which cell has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(pub(crate) u64);

impl Slot {
    const VOID: u64 = 1;
    const UNSEEN: u64 = 8;

    pub(crate) const fn full(number: u64, cell: u8, kind: Kind, addressed: bool) -> Self {
        Self(pack(number, cell, marks(kind, addressed)))
    }
    pub(crate) const fn void(number: u64, cell: u8) -> Self {
        Self(pack(number, cell, Self::VOID))
    }
    pub(crate) const fn number(self) -> u64 {
        self.0 >> NUMBER_SHIFT
    }
    /// Which cell, by the ring's numbering.
    pub(crate) const fn cell(self) -> u8 {
        (self.0 >> HIGH_SHIFT & BYTE) as u8
    }
    /// The number is no event.
    pub(crate) const fn is_void(self) -> bool {
        self.0 & Self::VOID != 0
    }
    /// The number is an event for some connections only; the cell says for which.
    pub(crate) const fn is_addressed(self) -> bool {
        self.0 & ADDRESSED != 0
    }
    /// The number is an event that nobody may miss and stay connected.
    pub(crate) const fn is_critical(self) -> bool {
        self.0 & CRITICAL != 0
    }
    /// The number is a critical event that was accepted while nobody was connected.
    pub(crate) const fn is_unseen(self) -> bool {
        self.0 & Self::UNSEEN != 0
    }
}

/// Who may do what with a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell(pub(crate) u64);

/// The three states of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CellState {
    /// Empty. Whoever exchanges the word owns the cell; the hot cell belongs to the publisher of the
    /// number behind the word's, which need not exchange it first.
    Free,
    /// In the hands of exactly one thread.
    Owned,
    /// Readable: `remaining` connections have still to read it, `active` of them are reading it.
    Full { remaining: u8, active: u8 },
}

impl Cell {
    const HELD: u64 = 1;
    /// Subtracted by a reader that leaves: one from `remaining`, one from `active`.
    pub(crate) const ONE_READER: u64 = (1 << HIGH_SHIFT) + (1 << LOW_SHIFT);

    pub(crate) const fn free(number: u64) -> Self {
        Self(pack(number, 0, 0))
    }
    pub(crate) const fn owned(number: u64) -> Self {
        Self(pack(number, 0, Self::HELD))
    }
    pub(crate) const fn full(number: u64, readers: u8) -> Self {
        Self(pack(number, readers, Self::HELD))
    }
    /// As `full`, for an event that no slot names.
    pub(crate) const fn hot(number: u64, readers: u8, kind: Kind, addressed: bool) -> Self {
        Self(pack(number, readers, Self::HELD + marks(kind, addressed)))
    }
    /// With one reader more in it.
    pub(crate) const fn entered(self) -> Self {
        Self(self.0 + (1 << LOW_SHIFT))
    }
    /// With one more who has to read it, and no reader more in it.
    pub(crate) const fn counted(self) -> Self {
        Self(self.0 + (1 << HIGH_SHIFT))
    }
    /// With so many less who have to read it.
    pub(crate) const fn without(self, readers: u8) -> Self {
        Self(self.0 - ((readers as u64) << HIGH_SHIFT))
    }
    pub(crate) const fn is_addressed(self) -> bool {
        self.0 & ADDRESSED != 0
    }
    pub(crate) const fn is_critical(self) -> bool {
        self.0 & CRITICAL != 0
    }
    pub(crate) const fn is_full(self) -> bool {
        matches!(self.state(), CellState::Full { .. })
    }
    pub(crate) const fn is_event(self, number: u64) -> bool {
        self.number() == number && self.is_full()
    }
    pub(crate) const fn number(self) -> u64 {
        self.0 >> NUMBER_SHIFT
    }
    pub(crate) const fn state(self) -> CellState {
        let remaining = (self.0 >> HIGH_SHIFT & BYTE) as u8;
        match (self.0 & Self::HELD != 0, remaining) {
            (false, _) => CellState::Free,
            (true, 0) => CellState::Owned,
            (true, _) => CellState::Full {
                remaining,
                active: (self.0 >> LOW_SHIFT & BYTE) as u8,
            },
        }
    }
}
