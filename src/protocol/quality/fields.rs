//! The fields of quality messages: the allowed values of each, and the error for other values.

use serde_json::Value;

use crate::protocol::inbound::error::HandlerError;
use crate::protocol::message::envelope::Message;
use crate::protocol::quality::provider::MAX_PERIOD_HOURS;

/// Returns a field of the payload, else of the message. A `null` counts as missing.
pub(super) fn field<'a>(message: &'a Message, name: &str) -> Option<&'a Value> {
    let payload = message.fields().get("payload").and_then(|p| p.get(name));
    let places = [payload, message.fields().get(name)];
    places.into_iter().flatten().find(|value| !value.is_null())
}

/// Returns the error for a field with a value that is not allowed.
pub(super) fn invalid(field: &str, allowed: &str) -> HandlerError {
    HandlerError::new("INVALID_FIELD", format!("{field} has to be {allowed}"))
}

/// Returns the id in a field. `None` if the field is missing.
pub(super) fn id<T>(
    message: &Message,
    name: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, HandlerError> {
    let Some(value) = field(message, name) else {
        return Ok(None);
    };
    let parsed = value.as_str().and_then(parse);
    parsed
        .map(Some)
        .ok_or_else(|| invalid(name, "a valid id, or left out"))
}

/// Returns the value of a field, which is one of `allowed`. The first one if the field is missing.
pub(super) fn choice(
    message: &Message,
    name: &str,
    allowed: &[&'static str],
) -> Result<&'static str, HandlerError> {
    let Some(value) = field(message, name) else {
        return Ok(allowed[0]);
    };
    let found = allowed.iter().find(|option| *value == **option);
    found
        .copied()
        .ok_or_else(|| invalid(name, &format!("one of {}", allowed.join(", "))))
}

/// Returns the period in hours. 24 if the field is missing.
pub(super) fn period(message: &Message) -> Result<u64, HandlerError> {
    let Some(value) = field(message, "period_hours") else {
        return Ok(24);
    };
    let hours = value.as_u64();
    hours
        .filter(|hours| (1..=MAX_PERIOD_HOURS).contains(hours))
        .ok_or_else(|| {
            let allowed = format!("a whole number from 1 to {MAX_PERIOD_HOURS}");
            invalid("period_hours", &allowed)
        })
}

/// Returns whether the sender asks for a strict check. `false` if the field is missing.
pub(super) fn strict(message: &Message) -> Result<bool, HandlerError> {
    let Some(value) = field(message, "strict_mode") else {
        return Ok(false);
    };
    value
        .as_bool()
        .ok_or_else(|| invalid("strict_mode", "one of true, false"))
}
