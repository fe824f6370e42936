//! What a publisher looks at while it waits for room.

use super::core::Core;
use crate::error::PublishError;
use crate::id::UserId;

impl<E: Send + Sync + 'static> Core<E> {
    /// Returns whether an event that was refused is accepted once readers have made enough room.
    pub(crate) fn can_be_waited_for(&self, refused: &PublishError<E>) -> bool {
        let (weigh, pool) = (&self.budget.weigh, &self.budget.pool);
        let (PublishError::OverBudget(event), Some(weigh), Some(pool)) = (refused, weigh, pool)
        else {
            return refused.is_full();
        };
        weigh(event) as u64 <= pool.largest()
    }

    /// Returns whether a publish of this event may be accepted now, or is refused for another reason than
    /// room. Uses no token of a rate and counts no refusal. Lock-free.
    #[cold]
    pub(crate) fn may_have_room(&self, user: &UserId, event: &E) -> bool {
        let Some(user) = self.find(user) else {
            return true;
        };
        let weigh = self.budget.weigh.zip(user.lane.account());
        let has_bytes =
            weigh.is_none_or(|(weigh, account)| account.may_have_room(weigh(event) as u64));
        has_bytes && user.lane.may_have_room()
    }
}
