//! What a message is: its envelope, its types, its numbers, JSON-RPC, and whose its body is.

mod came;
pub(in crate::protocol) mod envelope;
pub(in crate::protocol) mod error;
pub(in crate::protocol) mod facts;
pub(in crate::protocol) mod isolation;
pub(in crate::protocol) mod json;
pub(in crate::protocol) mod kind;
pub(in crate::protocol) mod limits;
pub(in crate::protocol) mod numbers;
pub(in crate::protocol) mod payload;
pub(in crate::protocol) mod rpc;
pub(in crate::protocol) mod scan;
mod token;
