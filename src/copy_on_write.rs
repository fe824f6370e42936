//! Lists that are read at every message and changed now and then, without a lock.

use std::sync::Arc;

use crate::sync::pin;
use crate::table::storage::{Link, Owned, View};

/// A value that is replaced as a whole. Whoever has loaded it keeps what it loaded.
pub(crate) struct CopyOnWrite<T>(Link<T, u16>);

impl<T: Default> Default for CopyOnWrite<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Default> CopyOnWrite<T> {
    pub(crate) fn new() -> Self {
        Self(Link::new(Owned::Leaf(Arc::default())))
    }

    /// The value as it is. No guard outlives the call, so a reader that hangs keeps its own copy
    /// only. Wait-free.
    pub(crate) fn load(&self) -> Arc<T> {
        match self.0.load(&pin()) {
            View::Leaf(value) => value.arc(),
            _ => Arc::default(),
        }
    }

    /// Puts what `change` makes of the value in its place; it may be asked again if somebody else was
    /// faster. Lock-free.
    pub(crate) fn update<R, F>(
        &self,
        mut change: impl FnMut(&T) -> Result<(T, R), F>,
    ) -> Result<R, F> {
        let guard = pin();
        loop {
            let view = self.0.load(&guard);
            let current = match view {
                View::Leaf(value) => value.arc(),
                _ => Arc::default(),
            };
            let (new, done) = change(&current)?;
            let new = Owned::Leaf(Arc::new(new));
            if self.0.compare_exchange(view, new, &guard).is_ok() {
                return Ok(done);
            }
        }
    }
}
