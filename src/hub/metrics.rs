//! The figures of a hub as metrics.

use super::Hub;
use crate::observe::meter;

impl<E: Send + Sync + 'static> Hub<E> {
    /// Sets the gauges and totals of [`stats`](Self::stats), in the recorder of `metrics`.
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
    /// A process with several hubs has one recorder. These gauges are then those of the hub that was recorded
    /// last, and these totals the highest of all hubs. Such a host sums up [`stats`](Self::stats) itself.
    ///
    /// # Progress
    ///
    /// Wait-free but for the host's recorder. A panic of the recorder is caught.
    pub fn record_metrics(&self) {
        meter::record(&self.stats());
    }

    /// Sets the total of accepted events, in the recorder of `metrics`.
    ///
    /// ```
    /// # let hub: laneway::Hub<u8> = laneway::Hub::new();
    /// hub.record_accepted(); // not for each scrape of a hub with a million users
    /// ```
    ///
    /// This total is [`accepted`](Self::accepted), which walks over all users. Several hubs are as in
    /// [`record_metrics`](Self::record_metrics).
    ///
    /// # Progress
    ///
    /// That of [`accepted`](Self::accepted), and of the host's recorder. A panic of the recorder is caught.
    pub fn record_accepted(&self) {
        meter::record_accepted(self.accepted());
    }
}
