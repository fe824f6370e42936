//! A question on its way to a user's devices, and the answer on its way back.

use std::sync::Arc;
use std::time::Duration;

use super::asks::{MAX_ASKS, MAX_ASKS_OF_USER, NoRoom, Question, over};
use super::cache::Cache;
use super::clock::micros;
use super::core::Core;
use super::target::{Aim, Target};
use crate::ask::answer::Answer;
use crate::ask::id::AskId;
use crate::delivery::Delivery;
use crate::error::{AnswerError, AskError};
use crate::id::UserId;
use crate::lane::Terms;
use crate::lane::audience::Audience;
use crate::lane::member::Member;
use crate::sync::{Fault, Ordering, broken, fence};

/// A question that is listed. Dropping it removes it, whatever became of it.
pub(crate) struct Asked<E: Send + Sync + 'static> {
    pub(crate) core: Arc<Core<E>>,
    pub(crate) user: UserId,
    pub(crate) question: Arc<Question<E>>,
}

impl<E: Send + Sync + 'static> Drop for Asked<E> {
    fn drop(&mut self) {
        // First, so that no answer comes into a question that is not there: the collector would drop it.
        let answer = self.question.verdict.withdraw(over::TAKEN);
        self.question.wake.clear();
        let hash = self.core.hash(&self.user);
        self.core.asks.remove(&self.user, hash, &self.question);
        // Last: the host's `Drop` may panic or call back.
        drop(answer);
    }
}

impl<E: Send + Sync + 'static> Core<E> {
    /// Asks a user's devices. The question is listed before its event is published, because the answer may come
    /// at once.
    pub(crate) fn ask(
        self: &Arc<Self>,
        user: &UserId,
        cache: Option<&Cache<E>>,
        target: Target<'_>,
        deadline: Duration,
        question: impl FnOnce(AskId) -> E,
    ) -> Result<(Asked<E>, Delivery), AskError<E>> {
        let (hash, deadline) = (self.hash(user), micros(deadline));
        let listed = self.asks.add(user, hash, target.audience(), deadline);
        let asked = Asked {
            question: listed.map_err(|limit| match limit {
                NoRoom::OfUser => AskError::TooManyOfUser {
                    limit: MAX_ASKS_OF_USER,
                },
                NoRoom::OfHub => AskError::TooMany { limit: MAX_ASKS },
            })?,
            core: Arc::clone(self),
            user: user.clone(),
        };
        let event = question(asked.question.id);
        let delivery = self
            .deliver_ruled(user, cache, &Aim::at(target), event, Terms::OVERWRITE)
            .map_err(AskError::Publish)?;
        asked.question.is_published.store(true, Ordering::Release);
        // Pairs with the fence in `end_unanswerable`. This thread marks the question and then looks for a device. A
        // close counts a device out and then looks for the mark. Without the fences each could miss the other's
        // write, and the asker would wait for no device.
        fence(Ordering::SeqCst);
        if !self.has_device(user, asked.question.audience.as_ref()) {
            asked.question.end(over::NO_DEVICE);
        }
        Ok((asked, delivery))
    }

    /// Returns whether the user has a connection of this audience.
    fn has_device(&self, user: &UserId, audience: Option<&Audience>) -> bool {
        let found = self.with_user(user, |user| match audience {
            None => user.lane.live() > 0,
            Some(rule) => user.lane.count_matching(rule) > 0,
        });
        found.unwrap_or(false)
    }

    /// Answers a question of this user, for a device or for a scope. The first answer counts.
    pub(crate) fn answer(
        &self,
        user: &UserId,
        device: Option<&Member>,
        id: AskId,
        event: E,
    ) -> Result<(), AnswerError<E>> {
        // Before any look at the table: an id of another user tells nothing of it, not even by time.
        if !self.asks.is_of(id, user) {
            self.counters
                .foreign_answers
                .fetch_add(1, Ordering::Relaxed);
            return Err(AnswerError::Unknown(event));
        }
        let all = self.asks.of(user, self.hash(user));
        let Some(question) = all.iter().find(|question| question.id == id) else {
            return Err(AnswerError::Over(event));
        };
        if let (Some(device), Some(rule)) = (device, &question.audience)
            && !rule.has_now(device)
        {
            return Err(AnswerError::NotAsked(event));
        }
        let answer = Box::new(Answer::new(device.map(|device| device.id), event));
        match question.verdict.put(answer) {
            Ok(()) => {
                question.tell();
                Ok(())
            }
            Err(late) => Err(AnswerError::Over(late.event)),
        }
    }

    /// Ends the questions of a user for which no device is left. Called after a connection was counted out.
    #[inline]
    pub(super) fn end_questions(&self, user: &UserId) {
        if !self.asks.is_empty() && !broken(Fault::CloseWithoutTelling) {
            self.end_unanswerable(user);
        }
    }

    #[cold]
    fn end_unanswerable(&self, user: &UserId) {
        fence(Ordering::SeqCst);
        for question in self.asks.of(user, self.hash(user)) {
            self.end_if_unanswerable(user, &question);
        }
    }

    fn end_if_unanswerable(&self, user: &UserId, question: &Question<E>) {
        if question.is_published.load(Ordering::Acquire)
            && !self.has_device(user, question.audience.as_ref())
        {
            question.end(over::NO_DEVICE);
        }
    }

    /// Ends the questions whose deadline has come, and those for which no device is left.
    pub(super) fn sweep_questions(&self, now: Duration) {
        if self.asks.is_empty() {
            return;
        }
        let now = micros(now);
        self.asks.for_each(|user, questions| {
            for question in questions {
                if question.deadline <= now {
                    question.end(over::DEADLINE);
                } else {
                    self.end_if_unanswerable(user, question);
                }
            }
        });
    }
}
