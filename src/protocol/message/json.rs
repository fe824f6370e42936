//! JSON values of any depth: checked, written and dropped without recursion.
//!
//! A host may build a value that is nested 100 000 deep. `serde_json` clones, writes and drops such a
//! value by recursion, which ends the process on a small stack. Values from clients are parsed
//! within [`MessageLimits`](crate::protocol::MessageLimits) and cannot be that deep.

use std::fmt::Write;
use std::slice;

use serde_json::{Map, Value, map};
use smallvec::SmallVec;

use crate::protocol::message::numbers::Numbers;
use crate::protocol::message::token;

/// Levels that a walk keeps without an allocation: most messages have fewer.
const INLINE: usize = 8;
/// Objects and lists within each other that a field of a message may have. The message is one level
/// more, and parsers give up at 128.
pub(in crate::protocol) const MAX_NESTING: usize = 126;

/// The items of one list or object that are still to be visited.
enum Rest<'a> {
    List(slice::Iter<'a, Value>),
    Object(map::Iter<'a>),
}

impl<'a> Rest<'a> {
    fn of(value: &'a Value) -> Option<Self> {
        match value {
            Value::Array(list) => Some(Self::List(list.iter())),
            Value::Object(object) => Some(Self::Object(object.iter())),
            _ => None,
        }
    }

    fn next(&mut self) -> Option<(Option<&'a str>, &'a Value)> {
        match self {
            Self::List(list) => Some((None, list.next()?)),
            Self::Object(object) => object.next().map(|(key, item)| (Some(key.as_str()), item)),
        }
    }
}

/// Visits every value inside of `root` but what `enter` turns down, parents first. Returns `false` as
/// soon as `visit` does. `visit` is told the name of the field and the depth, from 1.
pub(in crate::protocol) fn all<'a>(
    root: &'a Value,
    visit: impl FnMut(Option<&'a str>, &'a Value, usize) -> Visit,
) -> bool {
    Rest::of(root).is_none_or(|rest| all_of(rest, visit))
}

/// As [`all`], for the fields of an object.
pub(in crate::protocol) fn all_fields<'a>(
    object: &'a Map<String, Value>,
    visit: impl FnMut(Option<&'a str>, &'a Value, usize) -> Visit,
) -> bool {
    all_of(Rest::Object(object.iter()), visit)
}

/// What [`all`] does next.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum Visit {
    /// Visits what is inside of this value, too.
    Enter,
    /// Goes on behind this value.
    Pass,
    /// Ends.
    Stop,
}

fn all_of<'a>(
    rest: Rest<'a>,
    mut visit: impl FnMut(Option<&'a str>, &'a Value, usize) -> Visit,
) -> bool {
    let mut open: SmallVec<[Rest<'a>; INLINE]> = SmallVec::new();
    let mut here = rest;
    loop {
        let Some((key, item)) = here.next() else {
            match open.pop() {
                Some(above) => here = above,
                None => return true,
            }
            continue;
        };
        match visit(key, item, open.len() + 1) {
            Visit::Stop => return false,
            Visit::Pass => {}
            Visit::Enter => {
                if let Some(inner) = Rest::of(item) {
                    open.push(std::mem::replace(&mut here, inner));
                }
            }
        }
    }
}

fn is_container(value: &Value) -> bool {
    value.is_array() || value.is_object()
}

/// Whether at most `depth` objects and lists stand within each other.
pub(in crate::protocol) fn is_within(value: &Value, depth: usize) -> bool {
    !is_container(value) || (depth > 0 && all(value, within(depth)))
}

/// Whether each field is within [`MAX_NESTING`].
pub(in crate::protocol) fn are_within(object: &Map<String, Value>) -> bool {
    all_fields(object, within(MAX_NESTING + 1))
}

fn within(depth: usize) -> impl FnMut(Option<&str>, &Value, usize) -> Visit {
    move |_, item, at| {
        // `item` stands in `at` containers and may be one more.
        if at >= depth && is_container(item) {
            Visit::Stop
        } else {
            Visit::Enter
        }
    }
}

/// The lists and objects that are being written, and whether nothing of the innermost is written yet.
type Open<'a> = SmallVec<[(Rest<'a>, bool); INLINE]>;

/// Writes a value as JSON, numbers as they came in.
pub(in crate::protocol) fn write(out: &mut String, value: &Value, numbers: &Numbers) {
    let mut open: Open<'_> = SmallVec::new();
    begin(out, value, numbers, &mut open);
    while let Some((rest, is_first)) = open.last_mut() {
        let Some((key, item)) = rest.next() else {
            let is_list = matches!(rest, Rest::List(_));
            out.push(if is_list { ']' } else { '}' });
            open.pop();
            continue;
        };
        if !std::mem::replace(is_first, false) {
            out.push(',');
        }
        if let Some(key) = key {
            text(out, key);
            out.push(':');
        }
        begin(out, item, numbers, &mut open);
    }
}

/// Writes a scalar, or the beginning of a list or an object.
fn begin<'a>(out: &mut String, value: &'a Value, numbers: &Numbers, open: &mut Open<'a>) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::String(string) => text(out, string),
        Value::Number(number) => match numbers.written(number) {
            Some(written) => out.push_str(written),
            None => _ = write!(out, "{number}"),
        },
        Value::Array(list) => {
            out.push('[');
            open.push((Rest::List(list.iter()), true));
        }
        Value::Object(object) => {
            out.push('{');
            open.push((Rest::Object(object.iter()), true));
        }
    }
}

/// Writes a text with quotes and escapes.
pub(in crate::protocol) fn text(out: &mut String, text: &str) {
    out.push('"');
    let mut from = 0;
    loop {
        let end = token::plain_until(text, from);
        out.push_str(&text[from..end]);
        let Some(byte) = text.as_bytes().get(end) else {
            break;
        };
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x08 => out.push_str("\\b"),
            0x0c => out.push_str("\\f"),
            _ => _ = write!(out, "\\u{byte:04x}"),
        }
        from = end + 1;
    }
    out.push('"');
}

/// Bytes of JSON that a byte of a text takes.
fn escaped(byte: u8) -> usize {
    match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..=0x1f => 6,
        _ => 1,
    }
}

/// Bytes of JSON that a text takes, quotes included.
pub(in crate::protocol) fn text_len(text: &str) -> usize {
    text.bytes().map(escaped).sum::<usize>() + 2
}

/// A value of the host's, dropped without recursion.
pub(in crate::protocol) struct Owned(pub(in crate::protocol) Value);

impl Drop for Owned {
    fn drop(&mut self) {
        discard([self.0.take()]);
    }
}

/// Drops the fields of a message that is not passed on, without recursion.
pub(in crate::protocol) fn discard_fields(fields: Map<String, Value>) {
    discard(fields.into_iter().map(|(_, value)| value));
}

fn discard(values: impl IntoIterator<Item = Value>) {
    let mut left: Vec<Value> = values.into_iter().filter(is_container).collect();
    while let Some(value) = left.pop() {
        // Each container is empty of other containers when it is dropped.
        match value {
            Value::Array(list) => left.extend(list.into_iter().filter(is_container)),
            Value::Object(object) => {
                left.extend(
                    object
                        .into_iter()
                        .map(|(_, item)| item)
                        .filter(is_container),
                );
            }
            _ => {}
        }
    }
}
