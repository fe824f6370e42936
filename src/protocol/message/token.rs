//! Parts of a JSON text: where a text ends, and hashes of what the parts say.
//!
//! The hashes have no secret. They tell one user's own messages apart, so a collision that a client
//! makes deceives that client only.

/// The same byte in each of the eight of a word.
const fn each(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// The first byte at `from` or behind it that ends the plain part of a text: a quote, a backslash or a
/// control character. The length of `json` if there is none.
pub(in crate::protocol) fn plain_until(json: &str, from: usize) -> usize {
    let rest = json.as_bytes().get(from..).unwrap_or_default();
    let (eights, few) = rest.as_chunks();
    for (nth, eight) in eights.iter().enumerate() {
        let marks = ends(*eight);
        if marks != 0 {
            return from + nth * 8 + marks.trailing_zeros() as usize / 8;
        }
    }
    // Those before the few bytes at the end are plain, and are looked at once more with them.
    if let (Some(last), false) = (rest.last_chunk(), few.is_empty()) {
        let marks = ends(*last);
        let end = rest.len() - 8 + marks.trailing_zeros() as usize / 8;
        return from + end;
    }
    let is_plain = |byte: &&u8| !matches!(byte, b'"' | b'\\' | 0..=0x1f);
    from + rest.len() - few.len() + few.iter().take_while(is_plain).count()
}

/// Marks the first of eight bytes that ends the plain part of a text, with its highest bit. Those behind
/// it may be marked as well: a borrow runs upwards.
fn ends(eight: [u8; 8]) -> u64 {
    let word = u64::from_le_bytes(eight);
    let zero = |word: u64| word.wrapping_sub(each(1)) & !word;
    let control = word.wrapping_sub(each(b' ')) & !word;
    (zero(word ^ each(b'"')) | zero(word ^ each(b'\\')) | control) & each(0x80)
}

/// Two hashes as one, in this order.
pub(in crate::protocol) fn mix(one: u64, other: u64) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let product = u128::from(one ^ ODD) * u128::from(other.rotate_left(32) ^ 0xd6e8_feb8_6659_fd93);
    product as u64 ^ (product >> 64) as u64
}

/// A hash of a number, or a word.
pub(in crate::protocol) fn content(token: &str) -> u64 {
    let (pairs, rest) = token.as_bytes().as_chunks::<16>();
    let mut content = token.len() as u64;
    for pair in pairs {
        let pair = u128::from_le_bytes(*pair);
        content = mix(content ^ pair as u64, (pair >> 64) as u64);
    }
    // Of a rest of this length, two parts that overlap are all of it.
    let (first, last) =
        if let (Some(first), Some(last)) = (rest.first_chunk::<8>(), rest.last_chunk()) {
            (u64::from_le_bytes(*first), u64::from_le_bytes(*last))
        } else if let (Some(first), Some(last)) = (rest.first_chunk::<4>(), rest.last_chunk()) {
            let word = |bytes: &[u8; 4]| u64::from(u32::from_le_bytes(*bytes));
            (word(first), word(last))
        } else {
            let byte = |at: usize| rest.get(at).copied().map_or(0, u64::from);
            (byte(0), byte(1) << 8 | byte(2))
        };
    mix(content ^ first, last)
}

/// A hash of a text, which differs from that of a number with the same digits.
pub(in crate::protocol) fn text_content(text: &str) -> u64 {
    content(text).rotate_left(1)
}
