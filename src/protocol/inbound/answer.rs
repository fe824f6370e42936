//! Answers to JSON-RPC requests, under the request's id, and the codes of the JSON-RPC specification.

use serde_json::{Value, json};

use crate::protocol::inbound::error::HandlerError;
use crate::protocol::message::envelope::Message;
use crate::protocol::message::error::MessageError;
use crate::protocol::message::kind::MessageKind;
use crate::protocol::message::rpc::is_id;

/// The bytes are not JSON.
pub(in crate::protocol) const PARSE_ERROR: i64 = -32_700;
/// The JSON is no request.
pub(in crate::protocol) const INVALID_REQUEST: i64 = -32_600;
/// No handler accepts the method.
pub(in crate::protocol) const METHOD_NOT_FOUND: i64 = -32_601;
/// The handler does not accept these parameters.
pub(in crate::protocol) const INVALID_PARAMS: i64 = -32_602;
/// The handler failed.
pub(in crate::protocol) const INTERNAL_ERROR: i64 = -32_603;
/// There is no room now: the first of the codes that the specification leaves to servers.
pub(in crate::protocol) const BUSY: i64 = -32_000;

/// Returns the code for bytes that are no message.
pub(in crate::protocol) fn refusal_code(error: &MessageError) -> i64 {
    match error {
        MessageError::NotJson { .. } | MessageError::NotUtf8 => PARSE_ERROR,
        _ => INVALID_REQUEST,
    }
}

/// Returns the code for an error of a handler.
pub(in crate::protocol) fn error_code(error: &HandlerError) -> i64 {
    match &*error.code {
        "PARSE_ERROR" => PARSE_ERROR,
        "INVALID_REQUEST" => INVALID_REQUEST,
        "METHOD_NOT_FOUND" => METHOD_NOT_FOUND,
        "INVALID_PARAMS" | "INVALID_FIELD" => INVALID_PARAMS,
        "BUSY" => BUSY,
        other => other.parse().unwrap_or(INTERNAL_ERROR),
    }
}

/// Returns an error answer under this id, null if the id is not known.
pub(in crate::protocol) fn error(id: Value, code: i64, text: &str) -> Message {
    under(id).with("error", json!({"code": code, "message": text}))
}

/// Returns the beginning of an answer to `request`, with the request's id as it was written.
pub(in crate::protocol) fn answer(request: &Message) -> Message {
    // A middleware may have put another value there. An object could name another user.
    let id = request.rpc_id().filter(is_id);
    under(id.unwrap_or(Value::Null)).numbers_of(request)
}

/// Returns the error answer to a request.
pub(in crate::protocol) fn error_answer(request: &Message, code: i64, text: &str) -> Message {
    answer(request).with("error", json!({"code": code, "message": text}))
}

fn under(id: Value) -> Message {
    Message::new(MessageKind::JsonRpcResponse)
        .with("jsonrpc", "2.0")
        .with("id", id)
}
