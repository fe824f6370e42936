//! Time as sweeps let it pass: each at most a quarter of what is waited for.

use super::Settings;

/// How far each wait's clock has come, in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clocks {
    last: Option<u64>,
    pub(super) idle: u64,
    pub(super) grace: u64,
    pub(super) age: u64,
}

impl Clocks {
    /// A sweep at this time of the host's. One at an earlier time than the one before lets none pass.
    pub(super) fn sweep(&mut self, settings: &Settings, now_ms: u64) {
        let since = now_ms.saturating_sub(self.last.replace(now_ms).unwrap_or(now_ms));
        let retention = settings.retention;
        self.idle += since.min(settings.idle_timeout_ms.unwrap_or(0) / 4);
        self.grace += since.min(retention.map_or(0, |k| k.grace_ms) / 4);
        self.age += since.min(retention.and_then(|k| k.age_ms).unwrap_or(0) / 4);
    }
}
