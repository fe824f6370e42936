//! What a user may be called.

use std::fmt;

use laneway::protocol::{ContextError, RunId, UserContext};
use laneway::{ThreadId, UserId};

/// Longest name, in characters.
const CHARACTERS: usize = 32;

/// Why a text is no name. Safe to be shown: it repeats at most one code point of the text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum InvalidName {
    Length(usize),
    Character(char),
    Edge,
    Reserved(ContextError),
}

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(length) => {
                write!(f, "a name has 1 to {CHARACTERS} characters, not {length}")
            }
            Self::Character(c) => write!(
                f,
                "a name consists of a-z, 0-9, '.', '_' and '-'; U+{:04X} is none of them",
                u32::from(*c)
            ),
            Self::Edge => f.write_str("a name begins and ends with a letter or a digit"),
            Self::Reserved(error) => write!(f, "this name is reserved: {error}"),
        }
    }
}

/// Validates a name; a name that breaks a rule is refused and never repaired.
///
/// A name is 1 to 32 of `a`-`z`, `0`-`9`, `.`, `_` and `-`, with a letter or a digit at both ends, and
/// none of the ids that laneway's contexts refuse as placeholders. So two names are one person exactly
/// when their bytes are equal: there is no second case, no second normalisation form, no invisible or
/// reordering character, and no other script with letters that look the same. A host with names in other
/// scripts takes a profile of PRECIS (RFC 8265) in place of this function.
///
/// ```text
/// ann, user-7, a.b_c       names
/// Ann, zoë, аnn (U+0430)   a character that no name has
/// -ann, ann.               an edge that no name has
/// test, null, demo_1       reserved
/// ```
pub(crate) fn parse(text: &str) -> Result<UserId, InvalidName> {
    let length = text.chars().count();
    if !(1..=CHARACTERS).contains(&length) {
        return Err(InvalidName::Length(length));
    }
    let is_inner = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-');
    if let Some(other) = text.chars().find(|c| !is_inner(*c)) {
        return Err(InvalidName::Character(other));
    }
    let is_outer = |c: char| c.is_ascii_alphanumeric();
    if !text.starts_with(is_outer) || !text.ends_with(is_outer) {
        return Err(InvalidName::Edge);
    }
    reserved(text).map_err(InvalidName::Reserved)
}

/// Without this a user could log in and then be refused every message.
fn reserved(text: &str) -> Result<UserId, ContextError> {
    let (thread, run) = (ThreadId::new("log-in")?, RunId::new("log-in")?);
    let context = UserContext::builder(UserId::new(text)?, thread, run).build()?;
    Ok(context.user().clone())
}
