//! How a JSON-RPC request is answered: the codes of the text, and answers under the request's id.

use serde_json::{Value, json};

use crate::protocol::inbound::error::HandlerError;
use crate::protocol::message::envelope::Message;
use crate::protocol::message::error::MessageError;
use crate::protocol::message::kind::MessageKind;
use crate::protocol::message::rpc::is_id;

/// The text is not JSON.
pub(in crate::protocol) const PARSE_ERROR: i64 = -32_700;
/// The JSON is no request.
pub(in crate::protocol) const INVALID_REQUEST: i64 = -32_600;
/// No handler takes the method.
pub(in crate::protocol) const METHOD_NOT_FOUND: i64 = -32_601;
/// The handler does not take these parameters.
pub(in crate::protocol) const INVALID_PARAMS: i64 = -32_602;
/// The handler failed.
pub(in crate::protocol) const INTERNAL_ERROR: i64 = -32_603;
/// The first of the codes that the text leaves to servers: there is no room now.
pub(in crate::protocol) const BUSY: i64 = -32_000;

/// The code of the text for a message that is refused.
pub(in crate::protocol) fn refusal_code(error: &MessageError) -> i64 {
    match error {
        MessageError::NotJson { .. } | MessageError::NotUtf8 => PARSE_ERROR,
        _ => INVALID_REQUEST,
    }
}

/// The code of the text for a handler's error.
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

/// An error under this id, which is null unless it is known.
pub(in crate::protocol) fn error(id: Value, code: i64, text: &str) -> Message {
    under(id).with("error", json!({"code": code, "message": text}))
}

/// The beginning of an answer to `request`, with the request's id as it was written.
pub(in crate::protocol) fn answer(request: &Message) -> Message {
    // Anything else is no id, and could name another user.
    let id = request.rpc_id().filter(is_id);
    under(id.unwrap_or(Value::Null)).numbers_of(request)
}

/// The error answer to a request.
pub(in crate::protocol) fn error_answer(request: &Message, code: i64, text: &str) -> Message {
    answer(request).with("error", json!({"code": code, "message": text}))
}

fn under(id: Value) -> Message {
    Message::new(MessageKind::JsonRpcResponse)
        .with("jsonrpc", "2.0")
        .with("id", id)
}
