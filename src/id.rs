//! The id newtypes. A text that passes a constructor is kept byte for byte.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use crate::error::InvalidId;
#[cfg(all(feature = "protocol", not(any(laneway_loom, laneway_shuttle))))]
use crate::unique::Unique;

/// The length of the longest id, in bytes.
///
/// ```
/// use laneway::{InvalidId, MAX_ID_BYTES, UserId};
///
/// assert!(UserId::new("a".repeat(MAX_ID_BYTES)).is_ok());
/// assert_eq!(UserId::new("a".repeat(MAX_ID_BYTES + 1)), Err(InvalidId::TooLong));
/// ```
pub const MAX_ID_BYTES: usize = 200;
const INLINE: usize = 24;

/// A validated text: in place up to 24 bytes, shared above.
#[derive(Clone)]
enum Text {
    Inline { len: u8, bytes: [u8; INLINE] },
    Shared(Arc<str>),
}

impl Text {
    fn new(text: &str) -> Result<Self, InvalidId> {
        if text.is_empty() {
            return Err(InvalidId::Empty);
        }
        if text.len() > MAX_ID_BYTES {
            return Err(InvalidId::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(InvalidId::ControlCharacter);
        }
        if text.trim().len() != text.len() {
            return Err(InvalidId::Blank);
        }
        Ok(if text.len() <= INLINE {
            let mut bytes = [0; INLINE];
            bytes[..text.len()].copy_from_slice(text.as_bytes());
            Self::Inline {
                len: text.len() as u8,
                bytes,
            }
        } else {
            Self::Shared(text.into())
        })
    }

    /// Returns whether two texts are equal. Equal texts have equal forms, so inline ones compare as words.
    #[inline]
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Inline { len, bytes },
                Self::Inline {
                    len: other_len,
                    bytes: other_bytes,
                },
            ) => len == other_len && bytes == other_bytes,
            _ => self.as_bytes() == other.as_bytes(),
        }
    }

    /// Hashes an inline text as whole words, for the table. An id has no zero characters, so the zeros behind
    /// the text make no two texts equal.
    #[inline]
    fn hash_words<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Inline { bytes, .. } => {
                for word in bytes.as_chunks::<8>().0 {
                    state.write_u64(u64::from_ne_bytes(*word));
                }
            }
            Self::Shared(text) => state.write(text.as_bytes()),
        }
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Self::Shared(text) => text.as_bytes(),
        }
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Inline { .. } => {
                std::str::from_utf8(self.as_bytes()).expect("copied whole from a str")
            }
            Self::Shared(text) => text,
        }
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $path:literal, $name:ident) => {
        $(#[$doc])*
        ///
        /// ```
        #[doc = concat!("use ", $path, ";")]
        ///
        #[doc = concat!("let id = ", stringify!($name), "::new(\"ann\")?;")]
        /// assert_eq!(id.to_string(), "ann");
        #[doc = concat!("assert!(", stringify!($name), "::new(\" ann\").is_err()); // refused, not repaired")]
        /// # Ok::<(), laneway::InvalidId>(())
        /// ```
        ///
        /// Not empty, at most [`MAX_ID_BYTES`] bytes, no control characters, no blanks at the ends. Ids are
        /// equal when their bytes are. An id of up to 24 bytes is kept in place; clones share a longer one.
        ///
        /// With the feature `serde` an id is written as its text. A text that breaks a rule is an error of
        /// the deserialiser.
        #[derive(Clone)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        #[cfg_attr(feature = "serde", serde(try_from = "String", into = "String"))]
        pub struct $name(Text);

        impl $name {
            /// Validates `text`.
            ///
            /// ```
            #[doc = concat!("use ", $path, ";")]
            ///
            #[doc = concat!("assert!(", stringify!($name), "::new(\"ann\").is_ok());")]
            #[doc = concat!("assert_eq!(", stringify!($name), "::new(\"\"), Err(laneway::InvalidId::Empty));")]
            /// ```
            ///
            /// # Errors
            ///
            /// [`InvalidId`] names the rule that the text breaks.
            pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidId> {
                Text::new(text.as_ref()).map(Self)
            }
            /// Returns the text.
            ///
            /// ```
            #[doc = concat!("let id = ", $path, "::new(\"ann\")?;")]
            /// assert_eq!(id.as_str(), "ann");
            /// # Ok::<(), laneway::InvalidId>(())
            /// ```
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
            /// Returns the bytes of the text.
            ///
            /// ```
            #[doc = concat!("let id = ", $path, "::new(\"ann\")?;")]
            /// assert_eq!(id.as_bytes(), b"ann");
            /// # Ok::<(), laneway::InvalidId>(())
            /// ```
            pub fn as_bytes(&self) -> &[u8] {
                self.0.as_bytes()
            }
        }
        impl PartialEq for $name {
            #[inline]
            fn eq(&self, other: &Self) -> bool {
                self.0.is(&other.0)
            }
        }
        impl Eq for $name {}
        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }
        impl Ord for $name {
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                self.as_bytes().cmp(other.as_bytes())
            }
        }
        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                // As `str` does: `Borrow` lets a map of ids be asked by a text.
                self.as_str().hash(state);
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($name), self.as_str())
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                self.as_str()
            }
        }
        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }
        impl TryFrom<&str> for $name {
            type Error = InvalidId;
            fn try_from(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }
        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.as_str().to_owned()
            }
        }
    };
}

macro_rules! hashed_in_tables {
    ($($name:ident),*) => {
        $(impl $name {
            /// Returns the hash in one hub.
            #[inline]
            pub(crate) fn hash_with(&self, hasher: &impl BuildHasher) -> u64 {
                let mut state = hasher.build_hasher();
                self.0.hash_words(&mut state);
                state.finish()
            }
        })*
    };
}

hashed_in_tables!(UserId, RoomId, ConflationKey);

id! {
    /// A user: the address of all events, and the name of a lane.
    "laneway::UserId", UserId
}
id! {
    /// A conversation that a connection may be attached to.
    "laneway::ThreadId", ThreadId
}
id! {
    /// A room: users whom the host reaches by one publish.
    "laneway::RoomId", RoomId
}
id! {
    /// A state of which only the newest event counts, for
    /// [`publish_latest`](crate::UserScope::publish_latest): a device's cursor, the progress of one job.
    "laneway::ConflationKey", ConflationKey
}

#[cfg(all(feature = "protocol", not(any(laneway_loom, laneway_shuttle))))]
id! {
    /// A run of an agent.
    "laneway::protocol::RunId", RunId
}
#[cfg(all(feature = "protocol", not(any(laneway_loom, laneway_shuttle))))]
id! {
    /// One request. Generated ones are unique for ever.
    "laneway::protocol::RequestId", RequestId
}

#[cfg(all(feature = "protocol", not(any(laneway_loom, laneway_shuttle))))]
impl RequestId {
    pub(crate) fn generate() -> Self {
        Self::new(Unique::new().to_string()).expect("letters, digits, '-' and '_' are an id")
    }
}

/// A device: a connection, and those that [resume](crate::UserScope::resume) from it.
///
/// ```
/// # let hub: laneway::Hub<u8> = laneway::Hub::new();
/// # let ann = hub.scope(laneway::UserId::new("ann")?);
/// let phone = ann.connect()?;
/// let again = ann.resume(&phone.position())?.0;
/// assert_eq!(again.id(), phone.id());
/// ann.to_connection(again.id()).publish(7)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The hub numbers its devices, and no two have the same id.
///
/// The number is a counter of the whole hub, and the id shows it. A client that sees several ids can
/// count the devices in between. A host that keeps this from its clients shows them an id of its own.
/// [Positions](crate::Position) hide the number.
///
/// The id is no secret and proves nothing. A client may send it back as text. A scope refuses a connection of
/// another user, and one that a client made up, and counts that.
///
/// With the feature `serde` it is written as the same text, because JavaScript rounds large numbers.
///
/// ```
/// use laneway::{ConnectionId, Hub, UserId};
///
/// let hub: Hub<u8> = Hub::new();
/// let (ann, bob) = (hub.scope(UserId::new("ann")?), hub.scope(UserId::new("bob")?));
/// let phone = ann.connect()?;
/// let id: ConnectionId = phone.id().to_string().parse()?;
/// assert_eq!(id, phone.id());
/// assert!(bob.to_connection(id).publish(7).is_err()); // not one of bob's
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "String", into = "String"))]
pub struct ConnectionId(pub(crate) u64);

impl FromStr for ConnectionId {
    type Err = InvalidId;

    /// Reads what `Display` writes, and no other form of the number.
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let number = text.parse().map_err(|_| InvalidId::NotANumber)?;
        let id = Self(number);
        if id.to_string() == text {
            Ok(id)
        } else {
            Err(InvalidId::NotANumber)
        }
    }
}

impl TryFrom<String> for ConnectionId {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<ConnectionId> for String {
    fn from(id: ConnectionId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(all(test, not(any(laneway_loom, laneway_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn ids_spread_over_the_table_and_equal_ones_meet() {
        let state = ahash::RandomState::new();
        for pad in [0, 40] {
            let id = |n: u32| UserId::new(format!("{n:0>pad$}")).expect("valid");
            let hashes: std::collections::HashSet<_> =
                (0..1_000).map(|n| id(n).hash_with(&state)).collect();
            assert!(hashes.len() > 990);
            assert_eq!(id(7).hash_with(&state), id(7).hash_with(&state));
        }
    }
}
