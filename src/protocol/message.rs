//! Messages: the envelope, the types, the numbers, JSON-RPC, and the check for foreign receivers.

mod came;
pub(in crate::protocol) mod contamination;
pub(in crate::protocol) mod envelope;
pub(in crate::protocol) mod error;
pub(in crate::protocol) mod facts;
mod inner;
pub(in crate::protocol) mod isolation;
pub(in crate::protocol) mod json;
pub(in crate::protocol) mod kind;
pub(in crate::protocol) mod limits;
pub(in crate::protocol) mod numbers;
pub(in crate::protocol) mod payload;
pub(in crate::protocol) mod rpc;
pub(in crate::protocol) mod scan;
pub(in crate::protocol) mod token;
