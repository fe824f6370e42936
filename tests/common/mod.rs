//! What several test programs share.
#![allow(dead_code)] // Hardly one of them uses all of it.

pub(crate) mod model;
pub(crate) mod random;
pub(crate) mod script;
