//! The check of a client's message by a tree of values, from which the scan must not differ.

use laneway::protocol::{MessageError, MessageKind, MessageLimits};
use serde_json::{Map, Number, Value};

/// Digits that every 64-bit integer has room for.
const SAFE_DIGITS: usize = 18;

/// What a message is, and its fields.
pub(crate) fn parse(
    json: &[u8],
    limits: MessageLimits,
) -> Result<(MessageKind, Map<String, Value>), MessageError> {
    if json.len() > limits.bytes {
        let limit = limits.bytes;
        return Err(MessageError::TooLong { limit });
    }
    let text = std::str::from_utf8(json).map_err(|_| MessageError::NotUtf8)?;
    let value = serde_json::from_str(text).map_err(|error| not_json(&error))?;
    if depth(&value) > limits.depth {
        let limit = limits.depth;
        return Err(MessageError::TooDeep { limit });
    }
    let is_exact = |token: &str| decimal(token) == decimal(&parsed(token).1);
    if !tokens(text).filter(is_float).all(is_exact) {
        return Err(MessageError::InexactNumber);
    }
    let mut fields = match value {
        Value::Object(fields) => fields,
        Value::Array(list) if list.iter().any(|item| item.get("jsonrpc").is_some()) => {
            return Err(MessageError::Batch);
        }
        _ => return Err(MessageError::NotAnObject),
    };
    let kind = match fields.remove("type") {
        None | Some(Value::Null) => rpc_kind(&fields).ok_or(if fields.contains_key("jsonrpc") {
            MessageError::BadRpc
        } else {
            MessageError::NoType
        })?,
        Some(Value::String(name)) if !name.trim().is_empty() => MessageKind::from_name(&name),
        Some(_) => return Err(MessageError::BadType),
    };
    Ok((kind, fields))
}

fn not_json(error: &serde_json::Error) -> MessageError {
    if error.to_string().starts_with("number out of range") {
        return MessageError::InexactNumber;
    }
    MessageError::NotJson {
        line: error.line(),
        column: error.column(),
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
        Value::Object(object) => 1 + object.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn rpc_kind(fields: &Map<String, Value>) -> Option<MessageKind> {
    if fields.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return None;
    }
    match (fields.get("method"), fields.get("id")) {
        (Some(Value::String(_)), id) => {
            let structured = |v: &Value| v.is_array() || v.is_object();
            let is_id = |v: &Value| v.is_string() || v.is_number() || v.is_null();
            let is_valid = id.is_none_or(is_id) && fields.get("params").is_none_or(structured);
            let kind = match id {
                Some(_) => MessageKind::JsonRpcRequest,
                None => MessageKind::JsonRpcNotification,
            };
            is_valid.then_some(kind)
        }
        (None, _) if fields.contains_key("result") || fields.contains_key("error") => {
            Some(MessageKind::JsonRpcResponse)
        }
        _ => None,
    }
}

/// The numbers of a JSON text, outside of its strings.
fn tokens(json: &str) -> impl Iterator<Item = &str> {
    let bytes = json.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() {
            match bytes[at] {
                b'"' => {
                    at += 1;
                    while at < bytes.len() && bytes[at] != b'"' {
                        at += if bytes[at] == b'\\' { 2 } else { 1 };
                    }
                    at += 1;
                }
                b'-' | b'0'..=b'9' => {
                    let rest = &bytes[at..];
                    let is_part =
                        |b: &u8| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
                    let length = rest.iter().take_while(|b| is_part(b)).count();
                    let start = at;
                    at += length;
                    return Some(&json[start..at]);
                }
                _ => at += 1,
            }
        }
        None
    })
}

/// Whether `serde_json` keeps it as an `f64`.
fn is_float(token: &&str) -> bool {
    if token.bytes().any(|b| matches!(b, b'.' | b'e' | b'E')) {
        return true;
    }
    let long = token.len() > SAFE_DIGITS;
    *token == "-0" || (long && token.parse::<u64>().is_err() && token.parse::<i64>().is_err())
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
