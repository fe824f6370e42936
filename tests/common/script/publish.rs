//! The calls of a script that publish to one user.

use std::time::Duration;

use laneway::{ConnectionId, Delivery, UserScope};

use super::call::{By, For};
use super::{Run, THREADS, Tainted, refused, thread_id};
use crate::common::model::rules::Asks;
use crate::common::model::{How, Refused, To};

impl Run {
    pub(super) fn event(&mut self, user: u8) -> Tainted {
        self.serial += 1;
        Tainted::new(user, self.serial, &self.alive)
    }

    /// The user of a scope, and the weaker scope if it is one.
    pub(super) fn publisher(&self, by: By) -> (u8, Option<usize>) {
        match by {
            By::User(user) => (user, None),
            By::Weaker(at) => (self.weaker[at].user, Some(self.weaker[at].grant)),
        }
    }

    pub(super) fn scope(&self, by: By) -> &UserScope<Tainted> {
        match by {
            By::User(user) => &self.scopes[user as usize],
            By::Weaker(at) => &self.weaker[at].scope,
        }
    }

    pub(super) fn publish(&mut self, by: By, how: How, to: For, deadline_ms: Option<u64>) {
        let (user, grant) = self.publisher(by);
        let event = self.event(user);
        self.offered += 1;
        let (to, connection) = self.target(to);
        let scope = self.scope(by);
        let thread;
        let addressed = match (to, connection) {
            (To::Connection(_), Some(id)) => Some(scope.to_connection(id)),
            (To::Others(_), Some(id)) => Some(scope.to_others(id)),
            (To::Thread(t), _) => {
                thread = thread_id(t);
                Some(scope.to_thread(&thread))
            }
            _ => deadline_ms.map(|_| scope.to_all()),
        };
        let addressed = addressed.map(|some| match deadline_ms {
            Some(ms) => some.until(Duration::from_millis(ms)),
            None => some,
        });
        let done = match (addressed, how) {
            (None, How::Overwriting) => scope.publish(event),
            (None, How::Refusing) => scope.try_publish(event),
            (None, How::Critical) => scope.publish_critical(event),
            (Some(some), How::Overwriting) => some.publish(event),
            (Some(some), How::Refusing) => some.try_publish(event),
            (Some(some), How::Critical) => some.publish_critical(event),
        };
        let done = done.map(|d| self.delivered(d)).map_err(|e| {
            let refused = refused(&e);
            assert_eq!(e.into_inner().serial, self.serial, "the event comes back");
            refused
        });
        self.seen.full += usize::from(done == Err(Refused::Full));
        self.said(done.err());
        self.seen.lacking += usize::from(matches!(done, Err(Refused::Lacks(_))));
        self.seen.by_weaker += usize::from(grant.is_some() && done.is_ok());
        let asks = Asks {
            deadline_ms,
            ..Asks::default()
        };
        let value = (user, self.serial);
        let expected = self.model.publish_by(grant, user, value, how, to, asks);
        assert_eq!(done, expected);
        self.learn_overruns(user);
    }

    /// The hub has refused an event.
    pub(super) fn said(&mut self, why: Option<Refused>) {
        let is_over = why == Some(Refused::OverBudget);
        self.model.said_over_budget = is_over;
        self.seen.over_budget += usize::from(is_over);
    }

    /// Publishes are what drops critical events.
    pub(super) fn learn_overruns(&mut self, user: u8) {
        let overrun = self.scopes[user as usize].overrun_count();
        self.model.learn_overruns(user, overrun);
    }

    pub(super) fn delivered(&mut self, delivery: Delivery) -> (u64, usize) {
        assert_eq!(delivery.kept, self.keeps.is_some());
        self.seen.kept_for_nobody += usize::from(delivery.connections == 0);
        (delivery.number, delivery.connections)
    }

    pub(super) fn batch(&mut self, user: u8, events: u8) {
        let mut batch = Vec::new();
        for _ in 0..events {
            batch.push(self.event(user));
        }
        let first = self.serial + 1 - u32::from(events);
        let (taken, last, error) = match self.scopes[user as usize].publish_batch(batch) {
            Ok(delivery) => (delivery.events, delivery.last, None),
            Err(e) => (e.delivery.events, e.delivery.last, Some(refused(&e.error))),
        };
        let mut expected = Ok((0, 0));
        for n in 0..u64::from(events) {
            self.offered += 1;
            self.said(error.filter(|_| n as usize == taken));
            let value = (user, first + n as u32);
            let done = self.model.publish(user, value, How::Overwriting, To::All);
            expected = done;
            if done.is_err() {
                assert_eq!((taken, error), (n as usize, done.err()));
                break;
            }
        }
        self.learn_overruns(user);
        if expected.is_err() {
            return;
        }
        assert_eq!((taken, error), (events.into(), None));
        let last = last.map_or((0, 0), |d| self.delivered(d));
        assert_eq!(Ok(last), expected);
    }

    /// Whom an event is for, and the connection that it names.
    pub(super) fn target(&self, to: For) -> (To, Option<ConnectionId>) {
        let known = |at: u8| self.ids.get(at as usize % self.ids.len().max(1)).copied();
        match to {
            For::Thread(thread) => (To::Thread(thread % THREADS), None),
            For::Connection(at) => match known(at) {
                Some((id, theirs)) => (To::Connection(id), Some(theirs)),
                None => (To::All, None),
            },
            For::Others(at) => match known(at) {
                Some((id, theirs)) => (To::Others(id), Some(theirs)),
                None => (To::All, None),
            },
            For::All => (To::All, None),
        }
    }
}
