//! The id of a question.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;

use crate::error::InvalidId;
use crate::id::UserId;

/// The id of a question, which its answer names: [`UserScope::ask`](crate::UserScope::ask).
///
/// ```
/// # let hub: laneway::Hub<String> = laneway::Hub::new();
/// # let ann = hub.scope(laneway::UserId::new("ann")?);
/// # use std::time::Duration;
/// use laneway::AskId;
///
/// let device = ann.connect()?;
/// let mut sent = String::new(); // to the client, in the event
/// let _ask = ann.ask(Duration::from_secs(30), |id| { sent = id.to_string(); sent.clone() })?;
/// let id: AskId = sent.parse()?; // and back from it
/// assert!(device.answer(id, "yes".to_owned()).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// It belongs to one user of one hub: it has a check value over the user, keyed by the hub. A connection of another
/// user is refused, whatever id it names, and so is a made-up id. It shows no counter. As text it has 32 hexadecimal
/// digits. With the feature `serde` it is written as this text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "String", into = "String"))]
pub struct AskId {
    number: u64,
    check: u64,
}

/// The keys under which one hub makes ids.
pub(crate) struct AskKeys(RandomState);

impl AskKeys {
    pub(crate) fn new() -> Self {
        Self(RandomState::new())
    }

    /// Returns the id of the question `count` of the hub.
    pub(crate) fn id(&self, count: u64, user: &UserId) -> AskId {
        // The hash of a counter: a client cannot count the hub's questions.
        let number = self.0.hash_one(("number", count));
        let check = self.check(number, user);
        AskId { number, check }
    }

    /// Returns whether the id is one of this user's.
    pub(crate) fn is_of(&self, id: AskId, user: &UserId) -> bool {
        self.check(id.number, user) == id.check
    }

    fn check(&self, number: u64, user: &UserId) -> u64 {
        self.0.hash_one(("check", number, user.as_bytes()))
    }
}

impl fmt::Display for AskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.number, self.check)
    }
}

impl FromStr for AskId {
    type Err = InvalidId;

    /// Reads what `Display` writes, and no other form.
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let half = |at: std::ops::Range<usize>| {
            let digits = text.get(at).ok_or(InvalidId::NotANumber)?;
            u64::from_str_radix(digits, 16).map_err(|_| InvalidId::NotANumber)
        };
        let id = Self {
            number: half(0..16)?,
            check: half(16..32)?,
        };
        if id.to_string() == text {
            Ok(id)
        } else {
            Err(InvalidId::NotANumber)
        }
    }
}

impl TryFrom<String> for AskId {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<AskId> for String {
    fn from(id: AskId) -> Self {
        id.to_string()
    }
}
