//! Questions that wait for an answer.

use super::grants::{Denied, Missing, Use};
use super::rules::Asks;
use super::{How, Model, Refused, To};

/// Questions of one user that wait, or are over and not dropped.
const MOST_OF_USER: usize = 64;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    Deadline,
    NoDevice,
    Taken,
}

/// Why an answer is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    Over,
    Unknown,
    NotAsked,
    Closed,
    Revoked,
    /// By a weaker scope.
    Lacks(Missing),
}

/// Why a question is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoQuestion {
    TooMany,
    Publish(Refused),
}

/// An answer: the device, if it was one, and the event.
pub(crate) type Answer<V> = (Option<u64>, V);

#[derive(Clone, Copy, Debug)]
enum Verdict<V> {
    Open,
    Answered(Answer<V>),
    Over(NoAnswer),
}

#[derive(Clone, Debug)]
pub(super) struct Question<V> {
    user: u8,
    to: To,
    deadline_ms: u64,
    verdict: Verdict<V>,
    /// The asker has not dropped it.
    is_held: bool,
}

impl<V: Copy> Model<V> {
    /// By a weaker scope, if there is one. Returns the number and the audience of the question's event.
    pub(crate) fn ask(
        &mut self,
        grant: Option<usize>,
        user: u8,
        value: V,
        to: To,
        deadline_ms: u64,
    ) -> Result<(u64, usize), NoQuestion> {
        let held = self
            .questions
            .iter()
            .filter(|q| q.is_held && q.user == user);
        if held.count() >= MOST_OF_USER {
            return Err(NoQuestion::TooMany);
        }
        let done = self.publish_by(grant, user, value, How::Overwriting, to, Asks::default());
        let done = done.map_err(NoQuestion::Publish)?;
        self.questions.push(Question {
            user,
            to,
            deadline_ms,
            verdict: Verdict::Open,
            is_held: true,
        });
        self.end_questions(user);
        Ok(done)
    }

    fn is_asked(&self, id: u64, to: To) -> bool {
        let connection = &self.connections[&id];
        match to {
            To::All => true,
            To::Connection(device) => connection.device == device,
            To::Thread(thread) => connection.threads & 1 << thread != 0,
            To::Others(device) => connection.device != device,
        }
    }

    /// Ends the questions of a user for which no device is left.
    pub(super) fn end_questions(&mut self, user: u8) {
        let live = self.live(user);
        for at in 0..self.questions.len() {
            let question = &self.questions[at];
            let (is_theirs, to) = (question.user == user, question.to);
            if is_theirs && !live.iter().any(|id| self.is_asked(*id, to)) {
                self.end_question(at, NoAnswer::NoDevice);
            }
        }
    }

    fn end_question(&mut self, at: usize, why: NoAnswer) {
        let verdict = &mut self.questions[at].verdict;
        if matches!(verdict, Verdict::Open) {
            *verdict = Verdict::Over(why);
        }
    }

    /// A sweep comes to the questions, after the connections.
    pub(super) fn sweep_questions(&mut self, now_ms: u64) {
        for at in 0..self.questions.len() {
            if self.questions[at].deadline_ms <= now_ms {
                self.end_question(at, NoAnswer::Deadline);
            }
        }
        for user in self.questions.iter().map(|q| q.user).collect::<Vec<_>>() {
            self.end_questions(user);
        }
    }

    /// A connection answers.
    pub(crate) fn answer(&mut self, id: u64, question: usize, value: V) -> Result<(), NotTaken> {
        let connection = &self.connections[&id];
        if connection.end.is_some() {
            return Err(NotTaken::Closed);
        }
        let (user, device) = (connection.user, connection.device);
        let is_asked = self.is_asked(id, self.questions[question].to);
        self.answer_as(user, question, (Some(device), value), is_asked)
    }

    /// A user answers, or a weaker scope.
    pub(crate) fn answer_by(
        &mut self,
        grant: Option<usize>,
        user: u8,
        question: usize,
        value: V,
    ) -> Result<(), NotTaken> {
        let admitted = grant.map_or(Ok(()), |grant| self.admit(grant, Use::Publish(To::All)));
        match admitted {
            Ok(()) => self.answer_as(user, question, (None, value), true),
            Err(Denied::Revoked) => Err(NotTaken::Revoked),
            Err(Denied::Lacks(missing)) => Err(NotTaken::Lacks(missing)),
        }
    }

    fn answer_as(
        &mut self,
        user: u8,
        question: usize,
        answer: Answer<V>,
        is_asked: bool,
    ) -> Result<(), NotTaken> {
        let question = &mut self.questions[question];
        if question.user != user {
            self.counts.foreign_answers += 1;
            return Err(NotTaken::Unknown);
        }
        if !question.is_held {
            return Err(NotTaken::Over);
        }
        if !is_asked {
            return Err(NotTaken::NotAsked);
        }
        let is_open = matches!(question.verdict, Verdict::Open);
        if is_open {
            question.verdict = Verdict::Answered(answer);
        }
        is_open.then_some(()).ok_or(NotTaken::Over)
    }

    /// What the asker finds.
    pub(crate) fn take_answer(&mut self, question: usize) -> Option<Result<Answer<V>, NoAnswer>> {
        let verdict = &mut self.questions[question].verdict;
        match *verdict {
            Verdict::Open => None,
            Verdict::Over(why) => Some(Err(why)),
            Verdict::Answered(answer) => {
                *verdict = Verdict::Over(NoAnswer::Taken);
                Some(Ok(answer))
            }
        }
    }

    /// The asker gives it up.
    pub(crate) fn drop_question(&mut self, question: usize) {
        let question = &mut self.questions[question];
        question.verdict = Verdict::Over(NoAnswer::Taken);
        question.is_held = false;
    }

    /// Answers that wait for their askers.
    pub(super) fn answers(&self) -> u64 {
        let is_answered = |q: &&Question<V>| matches!(q.verdict, Verdict::Answered(_));
        self.questions.iter().filter(is_answered).count() as u64
    }
}
