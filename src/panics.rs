//! Panics of the host's code that go no further.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls the host's code. Returns `None` if it panicked.
pub(crate) fn contain<R>(f: impl FnOnce() -> R) -> Option<R> {
    catch_unwind(AssertUnwindSafe(f)).map_err(end).ok()
}

/// Drops the value of a panic that was caught.
///
/// Its `Drop` is the host's code, and may panic as well. The value of that second panic is forgotten:
/// its own drop could panic again, and so on without end. Every other value is freed, because a client
/// that can make a handler panic could fill the memory with values that stay.
pub(crate) fn end(panic: Box<dyn Any + Send>) {
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(panic)));
    dropped.unwrap_or_else(std::mem::forget);
}
