//! A rate for each user, and the bucket of tokens that keeps to it.

use std::time::Duration;

use crate::error::ConfigError;
use crate::sync::{AtomicU64, Ordering};

/// How much may be published to one user in a time, for [`Builder::rate`](crate::Builder::rate).
///
/// ```
/// use std::time::Duration;
/// use laneway::{Hub, Rate, UserId};
///
/// let second = Duration::from_secs(1);
/// let hub = Hub::builder().rate(Some(Rate::events(2, second))).build::<u8>()?;
/// let ann = hub.scope(UserId::new("ann")?);
/// let _device = ann.connect()?;
/// assert!(ann.publish(1).is_ok() && ann.publish(2).is_ok());
/// assert!(ann.publish(3).unwrap_err().is_rate_limited());
/// hub.tick(second / 2); // one of two tokens is back
/// assert!(ann.publish(4).is_ok() && ann.publish(5).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A user has a bucket of so many tokens, full at first. A publish takes one for its event, or one for each byte
/// that it [weighs](crate::Builder::build_weighing). Tokens come back evenly, the whole bucket in the time. So of
/// what the lane accepts, at most the bucket comes in one moment, and at most the rate's over a long time.
///
/// Time passes only when the host tells it, by a [sweep](crate::Hub::sweep) or a [tick](crate::Hub::tick). A host
/// that tells it seldom lets the bucket pass once between two tellings.
///
/// The bucket belongs to the user's lane: a user who was offline without
/// [retention](crate::Retention) begins with a full one. A copy for a member of a room counts as a publish to
/// that member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    tokens: u64,
    per: Duration,
    of_bytes: bool,
}

impl Rate {
    /// So many events to a user in this time. Each event takes one token, whatever its weight.
    ///
    /// ```
    /// # use std::time::Duration;
    /// use laneway::{ConfigError, Hub, Rate};
    /// let none = Rate::events(0, Duration::from_secs(1));
    /// let refused = Hub::builder().rate(Some(none)).build::<u8>();
    /// assert_eq!(refused.unwrap_err(), ConfigError::Rate);
    /// ```
    ///
    /// At least 1, and at most one for each nanosecond of `per`, which is at most 146 years; else
    /// [`ConfigError::Rate`]. The time of one token is rounded up to whole nanoseconds.
    #[must_use]
    pub const fn events(events: u64, per: Duration) -> Self {
        Self {
            tokens: events,
            per,
            of_bytes: false,
        }
    }

    /// So many bytes to a user in this time.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{Hub, Rate, UserId};
    /// let rate = Rate::bytes(100, Duration::from_secs(1));
    /// let hub = Hub::builder().rate(Some(rate)).build_weighing(|text: &&str| text.len())?;
    /// let ann = hub.scope(UserId::new("ann")?);
    /// let _device = ann.connect()?;
    /// ann.publish("short")?;
    /// let long = "0123456789".repeat(10);
    /// # let long: &'static str = long.leak();
    /// assert!(ann.publish(long).unwrap_err().is_rate_limited());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// An event that weighs more than the bucket holds is always refused. Bounds as in [`events`](Self::events).
    #[must_use]
    pub const fn bytes(bytes: u64, per: Duration) -> Self {
        Self {
            tokens: bytes,
            per,
            of_bytes: true,
        }
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let nanos = self.per.as_nanos();
        let is_right = self.tokens > 0 && u128::from(self.tokens) <= nanos && nanos < 1 << 62;
        is_right.then_some(()).ok_or(ConfigError::Rate)
    }

    /// Returns the nanoseconds after which one token is back, of a rate that was checked.
    fn interval(&self) -> u64 {
        (self.per.as_nanos() as u64).div_ceil(self.tokens)
    }
}

/// One user's tokens, as the time at which the bucket is full again.
///
/// One word, because tokens and the time of the last look would be two. In this form a token that comes
/// back is no write.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    /// In nanoseconds of the hub's time.
    full_at: AtomicU64,
}

impl Bucket {
    /// Takes the tokens of one event that weighs `bytes`. Returns `false` if there are too few: then none
    /// is taken. Lock-free.
    pub(crate) fn take(&self, rate: &Rate, bytes: u64, now: u64) -> bool {
        let tokens = if rate.of_bytes { bytes } else { 1 };
        if tokens > rate.tokens {
            return false;
        }
        // At most 2^62 and as much again for the rounding.
        let (interval, mut seen) = (rate.interval(), self.full_at.load(Ordering::Acquire));
        loop {
            let Some(full_at) = seen.max(now).checked_add(tokens * interval) else {
                return false;
            };
            // `now` may be older than the time of another publisher. Then the bucket only seems emptier.
            if full_at - now > rate.tokens * interval {
                return false;
            }
            // An exchange. With a load and an addition two publishers could both take the last token.
            let (ok, err) = (Ordering::AcqRel, Ordering::Acquire);
            match (self.full_at).compare_exchange(seen, full_at, ok, err) {
                Ok(_) => return true,
                Err(other) => seen = other,
            }
        }
    }
}
