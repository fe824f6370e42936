//! Waiting for room: the pauses between two looks at a full lane, and the look.

use std::ops::ControlFlow;
use std::time::Duration;

use super::UserScope;
use crate::delivery::Delivery;
use crate::error::PublishError;

const SHORTEST: Duration = Duration::from_micros(10);
const LONGEST: Duration = Duration::from_millis(1);

/// The pauses of one publisher that waits for room, each twice as long as the one before, up to a bound.
pub(super) struct Pauses(Duration);

impl Pauses {
    pub(super) fn new() -> Self {
        Self(SHORTEST)
    }

    pub(super) fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (2 * pause).min(LONGEST);
        pause
    }
}

/// The outcome of a publish that may wait: it is done, or the event was refused for want of room.
pub(super) type Attempt<E> = ControlFlow<Result<Delivery, PublishError<E>>, PublishError<E>>;

impl<E: Send + Sync + 'static> UserScope<E> {
    /// Publishes an event. Continues with the refusal if the lane may take the event later.
    pub(super) fn publish_or_wait(&self, event: E) -> Attempt<E> {
        match self.try_publish(event) {
            Err(refused) if self.core.can_be_waited_for(&refused) => Attempt::Continue(refused),
            done => Attempt::Break(done),
        }
    }

    /// Publishes an event that waits, if the lane may have room now.
    ///
    /// The look comes first: a publish that is refused again would use tokens of the user's rate, and
    /// count as one more refusal.
    pub(super) fn publish_again(&self, refused: PublishError<E>) -> Attempt<E> {
        if self.core.may_have_room(self.user(), refused.event()) {
            self.publish_or_wait(refused.into_inner())
        } else {
            Attempt::Continue(refused)
        }
    }
}
