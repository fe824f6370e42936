//! Numbers of clients' messages: passed on exactly, or refused.
//!
//! `serde_json` keeps an integer beyond 64 bits, and any number with a point or an exponent, as an
//! `f64`. Its feature `arbitrary_precision` would keep the digits. It would also change `Number` for
//! every crate of the host's that shares `serde_json`: untagged and flattened types, other
//! serializers and comparisons of numbers behave differently with it. So the scan of the bytes keeps the
//! digits of these numbers. One whose value an `f64` would change is refused. One that would only be
//! written differently, `1e2`, is written again as it came.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Number;

/// Digits that every 64-bit integer has room for.
const SAFE_DIGITS: usize = 18;

/// A number that cannot be passed on exactly.
#[derive(Debug)]
pub(in crate::protocol) struct Inexact;

/// How a message writes those of its numbers that `serde_json` would write differently, by the bits of
/// their `f64`. `None` where one message writes one value in two ways: then both are written as
/// `serde_json` does. Their value is exact all the same.
#[derive(Clone, Debug, Default)]
pub(in crate::protocol) struct Numbers(Option<Arc<BTreeMap<u64, Option<Box<str>>>>>);

impl Numbers {
    /// How these numbers are written: all that a message has of those kept as an `f64`.
    pub(in crate::protocol) fn of(floats: &[&str]) -> Result<Self, Inexact> {
        let mut written = BTreeMap::new();
        for token in floats {
            let (bits, canonical) = parsed(token);
            if canonical == *token {
                continue;
            }
            if decimal(token) != decimal(&canonical) {
                return Err(Inexact);
            }
            written.insert(bits, None);
        }
        if written.is_empty() {
            return Ok(Self(None));
        }
        // Once more: one value, one way to write it.
        let mut seen: BTreeMap<u64, &str> = BTreeMap::new();
        for token in floats {
            let (bits, _) = parsed(token);
            let Some(entry) = written.get_mut(&bits) else {
                continue;
            };
            let first = *seen.entry(bits).or_insert(token);
            *entry = (first == *token).then(|| (*token).into());
            if entry.is_none() {
                // No text is empty, so this value keeps differing.
                seen.insert(bits, "");
            }
        }
        Ok(Self(Some(Arc::new(written))))
    }

    /// How the number came in, if it is to be written differently from `serde_json`'s way.
    pub(in crate::protocol) fn written(&self, number: &Number) -> Option<&str> {
        let written = self.0.as_ref()?;
        if !number.is_f64() {
            return None;
        }
        written.get(&number.as_f64()?.to_bits())?.as_deref()
    }
}

/// Whether `serde_json` keeps a number without a point and an exponent as an `f64`.
pub(in crate::protocol) fn is_beyond_integers(token: &str) -> bool {
    let long = token.len() > SAFE_DIGITS;
    token == "-0" || (long && token.parse::<u64>().is_err() && token.parse::<i64>().is_err())
}

/// Whether `serde_json` refuses the number, because an `f64` of it would be infinite.
pub(in crate::protocol) fn is_out_of_range(token: &str) -> bool {
    token.parse().is_ok_and(f64::is_infinite)
}

/// The bits of its `f64`, and how `serde_json` writes that.
fn parsed(token: &str) -> (u64, String) {
    let value = token.parse().unwrap_or(f64::INFINITY);
    let canonical = Number::from_f64(value).map_or_else(String::new, |n| n.to_string());
    (value.to_bits(), canonical)
}

/// A number as its sign, its digits without zeros at the ends, and the power of ten behind them.
/// `None` if the exponent itself is beyond all reason.
fn decimal(token: &str) -> Option<(bool, String, i64)> {
    let (negative, token) = match token.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, token),
    };
    let (mantissa, exponent) = token.split_once(['e', 'E']).unwrap_or((token, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let kept = digits.trim_start_matches('0').trim_end_matches('0');
    if kept.is_empty() {
        return Some((negative, String::new(), 0));
    }
    let exponent: i64 = exponent.parse().ok()?;
    let cut = digits.len() - digits.trim_end_matches('0').len();
    let power = exponent
        .checked_sub(i64::try_from(fraction.len()).ok()?)?
        .checked_add(i64::try_from(cut).ok()?)?;
    Some((negative, kept.to_owned(), power))
}

#[cfg(all(test, not(any(laneway_loom, laneway_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_apart_by_their_value() {
        for (one, other) in [
            ("1e2", "100.0"),
            ("1.50", "1.5"),
            ("0.0001e4", "1"),
            ("-0", "-0.0"),
            ("0e99999999999999999999", "0"),
            ("123e-2", "1.23"),
        ] {
            assert_eq!(decimal(one), decimal(other), "{one}");
        }
        assert_ne!(decimal("1e2"), decimal("1e3"));
        assert_ne!(decimal("-0.0"), decimal("0.0"));
        assert_eq!(decimal("1e99999999999999999999"), None);
    }
}
