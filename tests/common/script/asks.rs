//! Questions and their answers in a script.

use std::time::Duration;

use laneway::{AnswerError, Ask, AskError, AskId, NoAnswer};

use super::call::{By, For};
use super::{Run, Tainted, USERS, refused, thread_id, weaker};
use crate::common::model::asks::{self, NoQuestion, NotTaken};
use crate::common::model::{Refused, To};

/// A question, until its asker drops it.
pub(super) struct Asked {
    id: AskId,
    ask: Option<Ask<Tainted>>,
}

impl Run {
    pub(super) fn ask(&mut self, by: By, to: For, deadline_ms: u64) {
        let (user, grant) = self.publisher(by);
        let event = self.event(user);
        let (to, connection) = self.target(to);
        let (scope, deadline) = (self.scope(by), Duration::from_millis(deadline_ms));
        let question = |_| event;
        let done = match (to, connection) {
            (To::Connection(_), Some(id)) => scope.to_connection(id).ask(deadline, question),
            (To::Others(_), Some(id)) => scope.to_others(id).ask(deadline, question),
            (To::Thread(t), _) => scope.to_thread(&thread_id(t)).ask(deadline, question),
            _ => scope.ask(deadline, question),
        };
        let done = done.map_err(|error| match error {
            AskError::Publish(error) => NoQuestion::Publish(refused(&error)),
            AskError::TooManyOfUser { limit: 64 } => NoQuestion::TooMany,
            other => panic!("no such answer: {other:?}"),
        });
        let why = match &done {
            Err(NoQuestion::Publish(why)) => Some(*why),
            _ => None,
        };
        self.offered += u64::from(!matches!(done, Err(NoQuestion::TooMany)));
        self.said(why);
        let value = (user, self.serial);
        let expected = self.model.ask(grant, user, value, to, deadline_ms);
        let delivered = match &done {
            Ok(ask) => Ok(self.delivered(ask.delivery())),
            Err(why) => Err(*why),
        };
        assert_eq!(delivered, expected);
        self.learn_overruns(user);
        let is_refused = matches!(why, Some(Refused::Lacks(_)));
        self.seen.lacking += usize::from(is_refused);
        if let Ok(ask) = done {
            // As a client writes it.
            let id = ask.id().to_string().parse().expect("as it was written");
            let ask = Some(ask);
            self.asked.push(Asked { id, ask });
        }
    }

    /// The last question is answered most.
    fn asked_at(&self, which: u8) -> Option<usize> {
        let last = self.asked.len().checked_sub(1)?;
        Some(last - which as usize % (last + 1))
    }

    pub(super) fn answer(&mut self, at: usize, which: u8) {
        let Some(question) = self.asked_at(which) else {
            return;
        };
        let event = self.event(self.handles[at].user);
        let value = (event.user, event.serial);
        let (id, handle) = (self.asked[question].id, &self.handles[at]);
        let done = handle.connection.answer(id, event);
        let expected = self.model.answer(handle.id, question, value);
        self.answered(done, expected);
    }

    /// By a user, or by a weaker scope.
    pub(super) fn answer_as(&mut self, by: u8, which: u8) {
        let Some(question) = self.asked_at(which) else {
            return;
        };
        let weaker = self.weaker_at(by >> 1).filter(|_| by & 1 != 0);
        let by = weaker.map_or(By::User((by >> 1) % USERS), By::Weaker);
        let (user, grant) = self.publisher(by);
        let event = self.event(user);
        let value = (event.user, event.serial);
        let done = self.scope(by).answer(self.asked[question].id, event);
        let expected = self.model.answer_by(grant, user, question, value);
        self.answered(done, expected);
    }

    fn answered(&mut self, done: Result<(), AnswerError<Tainted>>, expected: Result<(), NotTaken>) {
        self.seen.answered += usize::from(done.is_ok());
        let done = done.map_err(|error| {
            let why = not_taken(&error);
            assert_eq!(
                error.into_inner().serial,
                self.serial,
                "the answer comes back"
            );
            why
        });
        self.seen.late_answer += usize::from(done == Err(NotTaken::Over));
        assert_eq!(done, expected);
    }

    pub(super) fn take_answer(&mut self, which: u8) {
        let Some(question) = self.asked_at(which) else {
            return;
        };
        let Some(ask) = &mut self.asked[question].ask else {
            return;
        };
        let found = ask.try_answer();
        let found = found.map(|found| match found {
            Ok(answer) => {
                let device = answer.device.map(|theirs| self.device_of(theirs));
                Ok((device, (answer.event.user, answer.event.serial)))
            }
            Err(why) => Err(no_answer(why)),
        });
        self.seen.unanswerable += usize::from(found == Some(Err(asks::NoAnswer::NoDevice)));
        self.seen.too_late += usize::from(found == Some(Err(asks::NoAnswer::Deadline)));
        assert_eq!(found, self.model.take_answer(question));
    }

    pub(super) fn drop_ask(&mut self, which: u8) {
        if let Some(question) = self.asked_at(which)
            && self.asked[question].ask.take().is_some()
        {
            self.model.drop_question(question);
        }
    }
}

fn no_answer(why: NoAnswer) -> asks::NoAnswer {
    match why {
        NoAnswer::Deadline => asks::NoAnswer::Deadline,
        NoAnswer::NoDevice => asks::NoAnswer::NoDevice,
        NoAnswer::Taken => asks::NoAnswer::Taken,
        other => panic!("no such answer: {other:?}"),
    }
}

fn not_taken<E>(error: &AnswerError<E>) -> NotTaken {
    match error {
        AnswerError::Over(_) => NotTaken::Over,
        AnswerError::Unknown(_) => NotTaken::Unknown,
        AnswerError::NotAsked(_) => NotTaken::NotAsked,
        AnswerError::Closed(_) => NotTaken::Closed,
        AnswerError::Revoked(_) => NotTaken::Revoked,
        AnswerError::NotAllowed(_, missing) => NotTaken::Lacks(weaker::missing(*missing)),
        other => panic!("no such answer: {other:?}"),
    }
}
