//! The setting of the features `tracing` and `metrics`.

use super::Builder;
use crate::observe::Sample;

impl Builder {
    /// Observes one publish in `one_in`, with the features `tracing` and `metrics`. 0, the default, observes
    /// none.
    ///
    /// ```
    /// let hub = laneway::Hub::builder().sample_publishes(1_000).build::<u8>()?;
    /// # assert!(!hub.is_shut_down());
    /// # Ok::<(), laneway::ConfigError>(())
    /// ```
    ///
    /// A publish of the sample reports its number and its connections:
    /// [`observability`](crate::observability) has the names. The user and the event's number decide which
    /// publishes these are, so the sample of a user with fewer than `one_in` events may be empty. Each number
    /// is valid.
    pub fn sample_publishes(mut self, one_in: u32) -> Self {
        self.sample = Sample { one_in };
        self
    }
}
