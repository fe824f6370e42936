//! The figures of a hub as metrics.

use super::Hub;
use crate::observe::meter;

impl<E: Send + Sync + 'static> Hub<E> {
    /// Sets the gauges and totals that the hub knows from its own figures, in the recorder of `metrics`.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// // Before each scrape, or every few seconds:
    /// hub.record_metrics();
    /// ```
    ///
    /// Between two calls these keep their values. All other metrics are recorded when they happen.
    /// [`observability`](crate::observability#metrics) has the names.
    ///
    /// A process with several hubs has one recorder. Its gauges are those of the hub that was recorded last,
    /// and its totals the highest of all hubs. Such a host records each hub inside
    /// `metrics::with_local_recorder`.
    ///
    /// # Progress
    ///
    /// That of [`stats`](Self::stats) and of the host's recorder. A panic of the recorder is caught.
    pub fn record_metrics(&self) {
        meter::record(&self.stats());
    }
}
