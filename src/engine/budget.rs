//! What a publisher reserves for its event before the append.

use std::sync::Arc;

use super::time::HubTime;
use super::user::User;
use crate::config::Builder;
use crate::lane::Refusal;
use crate::lane::account::Charge;
use crate::lane::pool::Pool;

/// How events are weighed, and what their weight counts for.
pub(super) struct Budget<E> {
    /// `Some` if the hub limits a weight or a rate. Then no event is plain.
    pub(super) weigh: Option<fn(&E) -> usize>,
    /// `Some` if the hub limits the weight of what is unread, or a rate.
    pub(super) pool: Option<Arc<Pool>>,
}

impl<E> Budget<E> {
    pub(super) fn new(config: &Builder, weigh: fn(&E) -> usize) -> Self {
        let (lane, hub, rate) = (config.lane_bytes, config.hub_bytes, config.rate);
        let is_limited = lane.is_some() || hub.is_some() || rate.is_some();
        let is_kept = (config.retention).is_some_and(|retention| retention.bytes.is_some());
        Self {
            weigh: (is_limited || is_kept).then_some(weigh),
            pool: is_limited.then(|| Arc::new(Pool::new(lane, hub, rate))),
        }
    }

    /// Weighs an event, and reserves its bytes. Lock-free.
    ///
    /// Called before the append: afterwards a reader may have the event already.
    #[inline]
    pub(super) fn reserve(
        &self,
        user: &User<E>,
        event: &E,
        time: &HubTime,
    ) -> Result<(Option<usize>, Option<Charge>), Refusal> {
        let Some(weigh) = self.weigh else {
            return Ok((None, None));
        };
        let bytes = weigh(event);
        let charge = match user.lane.account() {
            // A lane that is over may hold the bytes of a closed connection that is not dropped. A scope that
            // still knows that lane would be refused for these, and not look for the user's next lane.
            Some(account) => account
                .admit(bytes as u64, || time.now())
                .map_err(|why| user.lane.refusal_of_all().unwrap_or(why))?,
            None => None,
        };
        Ok((Some(bytes), charge))
    }
}
