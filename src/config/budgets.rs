//! The settings that bound bytes and rates.

use super::Builder;
use crate::error::ConfigError;
use crate::rate::Rate;

/// The largest budget. The bytes of 65 535 publishers in the middle of a call still fit into the sums.
const MAX_BYTES: u64 = 1 << 48;

impl Builder {
    /// Sets how many bytes the unread events of one user may weigh together. Default: no limit.
    ///
    /// ```
    /// use laneway::{Hub, UserId};
    ///
    /// let hub = Hub::builder().lane_bytes(Some(10)).build_weighing(|text: &&str| text.len())?;
    /// let ann = hub.scope(UserId::new("ann")?);
    /// let mut device = ann.connect()?;
    /// ann.publish("12345678")?;
    /// let refused = ann.publish("9ab").unwrap_err();
    /// assert!(refused.is_over_budget());
    /// device.try_recv()?;
    /// assert!(ann.publish(refused.into_inner()).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Each event weighs what [`build_weighing`](Self::build_weighing) says, or the size of its type. A publisher
    /// reserves the bytes before the event is accepted. They are released when the last device has received the
    /// event, skipped it or was dropped, when a publish evicts it, and with [`Retention`](crate::Retention) when the
    /// lane keeps it no longer.
    ///
    /// Beyond the budget a publish is refused with [`PublishError::OverBudget`](crate::PublishError::OverBudget),
    /// whatever its verb. It evicts nothing: the last `lane_capacity` events are promised to each device, and an older
    /// one goes when a number needs its room. So a device that stands still pins at most the budget. The host finds it
    /// in [`Hub::laggards`](crate::Hub::laggards), by unread events, and closes it. Meanwhile the user's
    /// other devices receive what was accepted.
    ///
    /// A publish of another thread for the same user that is itself about to be refused may cause `OverBudget`
    /// too early.
    ///
    /// From 1 to 2⁴⁸, else [`ConfigError::LaneBytes`]. An event that has weight takes an allocation for its
    /// reservation, and each device takes the longer path of a receive.
    pub fn lane_bytes(mut self, bytes: Option<u64>) -> Self {
        self.lane_bytes = bytes;
        self
    }

    /// Sets how many bytes the unread events of all users may weigh before only users at or below their fair share
    /// are served. Default: no limit.
    ///
    /// ```
    /// use laneway::{Hub, UserId};
    ///
    /// let hub = Hub::builder().hub_bytes(Some(64)).build::<u64>()?;
    /// let (ann, bob) = (hub.scope(UserId::new("ann")?), hub.scope(UserId::new("bob")?));
    /// let _devices = (ann.connect()?, bob.connect()?);
    /// while ann.publish(7).is_ok() {} // a flood
    /// assert_eq!(hub.unread_bytes(), 64);
    /// for event in 0..4 {
    ///     bob.publish(event)?; // half of the budget is bob's, whatever ann does
    /// }
    /// assert!(bob.publish(4).unwrap_err().is_over_budget());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// | with its event, the user's lane | and all lanes | the publish is |
    /// |---|---|---|
    /// | holds at most the share | – | accepted |
    /// | holds more than the share | hold at most the budget | accepted |
    /// | holds more than the share | hold more than the budget | refused: [`OverBudget`](crate::PublishError::OverBudget) |
    ///
    /// The *share* is the budget, divided by the number of users that have a lane: those online, those whose lane
    /// [retention](crate::Retention) keeps, and those whose closed connections are not dropped and hold
    /// events. So no user costs another user an event: at or below the share, a publish is never refused because of
    /// others.
    ///
    /// # Bounds
    ///
    /// That promise lets the sum pass the budget. While the number n of users stays the same, all lanes together
    /// hold at most twice the budget. However it changes, they hold at most `hub_bytes × (1 + H(n))`, where
    /// `H(n) = 1 + 1/2 + … + 1/n`: users who come one after the other, and each fill the share of
    /// that moment. For a thousand users that is 8.5 times the budget, for a million 15.4 times. No rule with
    /// this promise has a bound that grows slower. With [`lane_bytes`](Self::lane_bytes), n users hold at most n
    /// times that.
    ///
    /// The decision takes two additions and one division, whatever the number of users. All publishers and
    /// readers of the hub write one counter.
    ///
    /// From 1 to 2⁴⁸, else [`ConfigError::HubBytes`].
    pub fn hub_bytes(mut self, bytes: Option<u64>) -> Self {
        self.hub_bytes = bytes;
        self
    }

    /// Sets how much may be published to one user in a time. Default: no limit, and then it costs nothing.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use laneway::{Hub, Rate, UserId};
    /// let rate = Rate::events(100, Duration::from_secs(1));
    /// let hub = Hub::builder().rate(Some(rate)).build::<u8>()?;
    /// let ann = hub.scope(UserId::new("ann")?);
    /// let _device = ann.connect()?;
    /// assert_eq!((0..200).filter(|&n| ann.publish(n).is_ok()).count(), 100);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// More is refused with [`PublishError::RateLimited`](crate::PublishError::RateLimited). The [`Rate`] counts
    /// by the time that the host tells. An event that the lane refuses afterwards, as full or without a
    /// connection, has used its tokens; one that is over a budget has not.
    pub fn rate(mut self, rate: Option<Rate>) -> Self {
        self.rate = rate;
        self
    }

    pub(super) fn check_budgets(&self) -> Result<(), ConfigError> {
        let is_out = |bytes: &u64| !(1..=MAX_BYTES).contains(bytes);
        if let Some(bytes) = self.lane_bytes.filter(is_out) {
            return Err(ConfigError::LaneBytes(bytes));
        }
        if let Some(bytes) = self.hub_bytes.filter(is_out) {
            return Err(ConfigError::HubBytes(bytes));
        }
        self.rate.map_or(Ok(()), |rate| rate.check())
    }
}
