//! A trail as text.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;

use super::{MAX_NUMBER, MAX_RANGES, Range, Trail};
use crate::cluster::frame::NodeId;
use crate::cluster::stamp::Numbering;

const VERSION: u8 = 1;
/// Version, user, stream, floor, its time, and the count of notes.
const FIXED_BYTES: usize = 1 + 4 * 8 + 4;
/// Kind, node, count, from, and to.
const RANGE_BYTES: usize = 1 + 4 * 8;
const MAX_CHARACTERS: usize = (FIXED_BYTES + MAX_RANGES * RANGE_BYTES).div_ceil(3) * 4;

impl fmt::Display for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(FIXED_BYTES + self.ranges.len() * RANGE_BYTES);
        bytes.push(VERSION);
        let (stream, floor_at) = (self.stream.cast_unsigned(), self.floor_at.cast_unsigned());
        for word in [self.user, stream, self.floor, floor_at] {
            bytes.extend_from_slice(&word.to_be_bytes());
        }
        bytes.extend_from_slice(&self.noted.to_be_bytes());
        for range in &self.ranges {
            let Numbering {
                is_local,
                node,
                count,
            } = range.numbering;
            bytes.push(u8::from(is_local) + 2 * u8::from(range.is_told));
            for word in [node.0, count, range.from, range.to] {
                bytes.extend_from_slice(&word.to_be_bytes());
            }
        }
        let mut text = vec![0; BASE64URL_NOPAD.encode_len(bytes.len())];
        f.pad(BASE64URL_NOPAD.encode_mut_str(&bytes, &mut text))
    }
}

impl FromStr for Trail {
    type Err = InvalidTrail;

    fn from_str(text: &str) -> Result<Self, InvalidTrail> {
        // Before anything is allocated.
        if text.len() > MAX_CHARACTERS {
            return Err(InvalidTrail);
        }
        let room = BASE64URL_NOPAD.decode_len(text.len());
        let mut bytes = vec![0; room.map_err(|_| InvalidTrail)?];
        let decoded = BASE64URL_NOPAD.decode_mut(text.as_bytes(), &mut bytes);
        let held = decoded.map_err(|_| InvalidTrail)?;
        let bytes = &bytes[..held];
        let (fixed, rest) = bytes.split_at_checked(FIXED_BYTES).ok_or(InvalidTrail)?;
        let (parts, []) = rest.as_chunks::<RANGE_BYTES>() else {
            return Err(InvalidTrail);
        };
        if fixed[0] != VERSION || parts.len() > MAX_RANGES {
            return Err(InvalidTrail);
        }
        let noted = u32::from_be_bytes(fixed[FIXED_BYTES - 4..].try_into().expect("four bytes"));
        let mut trail = Self {
            user: word(fixed, 1),
            stream: word(fixed, 9).cast_signed(),
            floor: word(fixed, 17),
            floor_at: word(fixed, 25).cast_signed(),
            noted,
            ranges: Vec::with_capacity(parts.len()),
        };
        for part in parts {
            let numbering = Numbering {
                is_local: part[0] & 1 != 0,
                node: NodeId(word(part, 1)),
                count: word(part, 9),
            };
            let (from, to) = (word(part, 17), word(part, 25));
            let is_right = part[0] < 4 && from <= to && to <= MAX_NUMBER;
            let meets = |r: &Range| r.numbering == numbering && r.from <= to && from <= r.to;
            if !is_right || trail.ranges.iter().any(meets) {
                return Err(InvalidTrail);
            }
            trail.ranges.push(Range {
                numbering,
                from,
                to,
                is_told: part[0] & 2 != 0,
            });
        }
        Ok(trail)
    }
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// The text is no [`Trail`].
///
/// ```
/// use laneway::cluster::{InvalidTrail, Trail};
///
/// assert_eq!("nonsense".parse::<Trail>(), Err(InvalidTrail));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidTrail;

impl fmt::Display for InvalidTrail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the text is no trail")
    }
}

impl Error for InvalidTrail {}
