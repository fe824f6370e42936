//! A value that many threads read without a lock, and that few threads replace.

use std::convert::Infallible;
use std::sync::Arc;

use crate::sync::pin;
use crate::table::storage::{Link, Owned, View};

/// A value that an update replaces as a whole. A reader keeps the version that it loaded.
pub(crate) struct CopyOnWrite<T>(Link<T, u16>);

impl<T: Default> Default for CopyOnWrite<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Default> CopyOnWrite<T> {
    pub(crate) fn new() -> Self {
        Self::of(T::default())
    }

    pub(crate) fn of(value: T) -> Self {
        Self(Link::new(Owned::Leaf(Arc::new(value))))
    }

    /// As `new`. The default is made at the first update, and for each load before.
    pub(crate) fn empty() -> Self {
        Self(Link::empty())
    }

    /// Returns the current version. Wait-free.
    ///
    /// The guard ends with the call. A reader that hangs later keeps one version alive, and does not hold
    /// back the memory that the collector wants to free.
    pub(crate) fn load(&self) -> Arc<T> {
        match self.0.load(&pin()) {
            View::Leaf(value) => value.arc(),
            _ => Arc::default(),
        }
    }

    /// Calls `f` with the current version, under a guard. `f` is short. Wait-free.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        match self.0.load(&pin()) {
            View::Leaf(value) => f(&value),
            _ => f(&T::default()),
        }
    }

    /// Replaces the value by what `change` computes from it, or returns the error of `change`.
    ///
    /// `change` runs again if another thread has replaced the value in the meantime. Lock-free: a failed
    /// exchange means that another update succeeded.
    pub(crate) fn update<R, F>(
        &self,
        mut change: impl FnMut(&T) -> Result<(T, R), F>,
    ) -> Result<R, F> {
        let guard = pin();
        // `guard` and `current` keep the loaded version alive until the exchange. If it were freed
        // before, a new version could get the same address, and the exchange would overwrite it.
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

    /// Replaces the value by a copy that `change` has changed. Returns what the last call of `change`
    /// returns. Otherwise as [`update`](Self::update).
    pub(crate) fn change<R>(&self, mut change: impl FnMut(&mut T) -> R) -> R
    where
        T: Clone,
    {
        let Ok(done) = self.update(|value| {
            let mut new = value.clone();
            let done = change(&mut new);
            Ok::<_, Infallible>((new, done))
        });
        done
    }
}
