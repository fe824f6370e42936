//! How far a device has come, sealed for the way through its client.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;

use crate::error::{InvalidPosition, ResumeError};
use crate::id::{ConnectionId, ThreadId, UserId};

mod attached;

pub(crate) use attached::{Attached, Threads};

/// How far a device has come: an opaque token, for the client to keep and to
/// [resume](crate::UserScope::resume) from.
///
/// ```
/// use laneway::{Hub, Position, Received, Retention, UserId};
///
/// let retention = Some(Retention::events(64));
/// let hub: Hub<u8> = Hub::builder().retention(retention).build()?;
/// let ann = hub.scope(UserId::new("ann")?);
/// let phone = ann.connect()?;
/// let id = phone.position().to_string(); // sent at connect, and with each event
/// assert_eq!(id.len(), 64);
/// drop(phone); // the line fails
/// ann.publish(7)?;
///
/// let (mut phone, _) = ann.resume(&id.parse::<Position>()?)?;
/// let Received::Event(next) = phone.recv()? else { panic!("one event is no gap") };
/// assert_eq!(next.event, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// It belongs to one user of one hub. The scope of another user refuses it. After a restart it
/// resets. As text it has 64 characters: letters, digits, `-` and `_`. So it fits into a URL and into the
/// `Last-Event-ID` of server-sent events. As bytes it has [48](Self::BYTES).
///
/// # What it hides
///
/// A position says which device it is of, the number of its next event, its lane and its threads. All of
/// that is masked with a key of the hub, so a client cannot follow the hub's counters. Two parts are
/// in clear: the hub's random number, which all positions of one hub share, and a check value. Two positions
/// are equal if one device gave them at one place; a client can see no more than that.
///
/// Mask and check value come from the keyed hash of the standard library, at present `SipHash` 1-3 with
/// random keys. The check value has 64 bits: it guards against mix-ups and guesses, and is no
/// signature. Isolation does not rest on it: a scope replays its own user's events, whatever the
/// position says.
///
/// With the feature `serde` it is written as its text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "String", into = "String"))]
pub struct Position {
    hub: u64,
    tag: u64,
    masked: [u64; WORDS],
}

impl Position {
    /// How many bytes a position has: 48.
    ///
    /// ```
    /// let buffer = [0; laneway::Position::BYTES];
    /// assert_eq!(buffer.len(), 48);
    /// ```
    pub const BYTES: usize = BYTES;

    /// Returns the position as bytes. Wait-free.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// # let ann = hub.scope(laneway::UserId::new("ann")?);
    /// let position = ann.connect()?.position();
    /// assert_eq!(laneway::Position::from_bytes(&position.to_bytes()), Ok(position));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn to_bytes(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        let words = [self.hub, self.tag].into_iter().chain(self.masked);
        for (at, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *at = word.to_be_bytes();
        }
        bytes
    }

    /// Returns the position with these bytes. Wait-free.
    ///
    /// ```
    /// use laneway::{InvalidPosition, Position};
    ///
    /// assert_eq!(Position::from_bytes(b"too short"), Err(InvalidPosition::Length));
    /// assert!(Position::from_bytes(&[7; Position::BYTES]).is_ok());
    /// ```
    ///
    /// Any bytes of the right length are a position. The scope that resumes decides whether it is one of its
    /// own.
    ///
    /// # Errors
    ///
    /// [`InvalidPosition::Length`], or [`InvalidPosition::Outdated`] for 39 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidPosition> {
        let Ok(bytes) = <&[u8; BYTES]>::try_from(bytes) else {
            return Err(wrong_length(bytes.len(), OLD_BYTES));
        };
        let words = bytes.as_chunks::<8>().0;
        let word = |i: usize| u64::from_be_bytes(words[i]);
        Ok(Self {
            hub: word(0),
            tag: word(1),
            masked: std::array::from_fn(|i| word(2 + i)),
        })
    }
}

const BITS_24: u64 = (1 << 24) - 1;
pub(crate) const BITS_40: u64 = (1 << 40) - 1;
const BITS_48: u64 = (1 << 48) - 1;

const WORDS: usize = 4;
const BYTES: usize = 8 * (2 + WORDS);
/// Of the earlier form, before positions were masked.
const OLD_BYTES: usize = 39;

/// The length of so many bytes as text. They are a multiple of 3.
const fn characters(bytes: usize) -> usize {
    bytes / 3 * 4
}

/// The contents of a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    /// Of 40 bits.
    pub(crate) lane: u64,
    /// The public number of the next event, of 48 bits.
    pub(crate) number: u64,
    /// Of 48 bits.
    pub(crate) device: ConnectionId,
    pub(crate) attached: Attached,
}

impl Spot {
    /// `[lane : 40 | until - number : 24] [number : 48 | - : 16] [device : 48 | - : 16] ...`, the gaps
    /// filled with the two digests.
    fn pack(&self) -> [u64; WORDS] {
        let Attached { first, until, then } = self.attached;
        let ahead = until.saturating_sub(self.number);
        debug_assert!(ahead <= BITS_24, "at most a lane");
        [
            (self.lane << 24) + (ahead & BITS_24),
            ((self.number & BITS_48) << 16) + (first >> 32),
            ((self.device.0 & BITS_48) << 16) + (then >> 32),
            (first << 32) + (then & 0xffff_ffff),
        ]
    }

    fn unpack(words: [u64; WORDS]) -> Self {
        let [lane, number, device, low] = words;
        Self {
            lane: lane >> 24,
            number: number >> 16,
            device: ConnectionId(device >> 16),
            attached: Attached {
                first: ((number & 0xffff) << 32) + (low >> 32),
                until: (number >> 16) + (lane & BITS_24),
                then: ((device & 0xffff) << 32) + (low & 0xffff_ffff),
            },
        }
    }
}

/// The keys with which a hub masks and checks its positions.
pub(crate) struct Keys {
    hash: RandomState,
    /// A random number in all positions of this hub.
    hub: u64,
}

/// The input of a hash. The variant is hashed too, so a hash of one use cannot serve as one of another.
#[derive(Hash)]
enum Use<'a> {
    Tag(&'a [u8], [u64; WORDS]),
    Mask(u64, usize),
    Thread(&'a [u8]),
    Threads(&'a [u64]),
}

impl Keys {
    pub(crate) fn new() -> Self {
        Self {
            hash: RandomState::new(),
            // Of keys of its own.
            hub: RandomState::new().hash_one(()),
        }
    }

    /// Returns the 48 bits that stand for a thread in a position.
    pub(crate) fn digest(&self, thread: &ThreadId) -> u64 {
        Attached::one(self.hash.hash_one(Use::Thread(thread.as_bytes())))
    }

    /// Returns the 48 bits that stand for a set of threads, in any order.
    pub(crate) fn digest_of<'a>(&self, threads: impl Iterator<Item = &'a ThreadId>) -> u64 {
        let mut all: Vec<u64> = threads.map(|thread| self.digest(thread)).collect();
        all.sort_unstable();
        match all[..] {
            [] => Attached::NONE,
            [one] => one,
            _ => Attached::several(self.hash.hash_one(Use::Threads(&all))),
        }
    }

    pub(crate) fn seal(&self, user: &UserId, spot: &Spot) -> Position {
        let words = spot.pack();
        let tag = self.hash.hash_one(Use::Tag(user.as_bytes(), words));
        Position {
            hub: self.hub,
            tag,
            masked: self.mask(tag, words),
        }
    }

    /// Returns the contents of a position of this user; `None` if it is of another hub.
    pub(crate) fn open(
        &self,
        user: &UserId,
        position: &Position,
    ) -> Result<Option<Spot>, ResumeError> {
        if position.hub != self.hub {
            return Ok(None);
        }
        let words = self.mask(position.tag, position.masked);
        let tag = self.hash.hash_one(Use::Tag(user.as_bytes(), words));
        if position.tag != tag {
            return Err(ResumeError::Foreign);
        }
        Ok(Some(Spot::unpack(words)))
    }

    /// Masks words, or removes the mask. The tag depends on all words, so two positions that differ have
    /// different masks.
    fn mask(&self, tag: u64, words: [u64; WORDS]) -> [u64; WORDS] {
        std::array::from_fn(|i| words[i] ^ self.hash.hash_one(Use::Mask(tag, i)))
    }
}

fn wrong_length(length: usize, old: usize) -> InvalidPosition {
    if length == old {
        InvalidPosition::Outdated
    } else {
        InvalidPosition::Length
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; characters(BYTES)];
        f.pad(BASE64URL_NOPAD.encode_mut_str(&self.to_bytes(), &mut text))
    }
}

impl FromStr for Position {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        if text.len() != characters(BYTES) {
            return Err(wrong_length(text.len(), characters(OLD_BYTES)));
        }
        let mut bytes = [0; BYTES];
        let decoded = BASE64URL_NOPAD.decode_mut(text.as_bytes(), &mut bytes);
        decoded.map_err(|_| InvalidPosition::Character)?;
        Self::from_bytes(&bytes)
    }
}

impl TryFrom<String> for Position {
    type Error = InvalidPosition;
    fn try_from(text: String) -> Result<Self, InvalidPosition> {
        text.parse()
    }
}

impl From<Position> for String {
    fn from(position: Position) -> Self {
        position.to_string()
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Position(..)")
    }
}
