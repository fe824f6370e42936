//! What a message is: its envelope, its types, its numbers, JSON-RPC, and whose its body is.

pub(in crate::protocol) mod envelope;
pub(in crate::protocol) mod error;
pub(in crate::protocol) mod isolation;
pub(in crate::protocol) mod json;
pub(in crate::protocol) mod kind;
pub(in crate::protocol) mod numbers;
pub(in crate::protocol) mod rpc;
