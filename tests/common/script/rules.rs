//! The calls of a script that publish by rules, and those that merge.

use laneway::{ConflationKey, Delivery, Merge, PublishError, Received};

use super::{Run, Tainted, end, refused, retention};
use crate::common::model::rules::{Asks, Effect};
use crate::common::model::{Got, How, Origin, To};

impl Merge for Tainted {
    /// Any four in a row are not all merged.
    fn can_merge(&self, next: &Self) -> bool {
        let last = self.merged.last().map_or(self.serial, |last| last.1);
        !(last + next.serial).is_multiple_of(4)
    }
    fn merge(&mut self, next: Self) {
        self.merged.push((next.user, next.serial));
    }
    fn size(&self) -> usize {
        1 + self.merged.len()
    }
}

fn key(key: u8) -> ConflationKey {
    ConflationKey::new(format!("key {key}")).expect("valid")
}

impl Run {
    pub(super) fn publish_latest(&mut self, user: u8, of: u8) {
        let (of, times) = (of % 3, 1 + of / 3 % 4);
        for _ in 0..times {
            let event = self.event(user);
            let done = self.scopes[user as usize].publish_latest(&key(of), event);
            self.published(user, done, Effect::Latest(of));
        }
    }

    pub(super) fn publish_barrier(&mut self, user: u8) {
        let event = self.event(user);
        let done = self.scopes[user as usize].publish_barrier(event);
        self.published(user, done, Effect::Barrier);
    }

    fn published(
        &mut self,
        user: u8,
        done: Result<Delivery, PublishError<Tainted>>,
        effect: Effect,
    ) {
        self.offered += 1;
        let done = done
            .map(|delivery| self.delivered(delivery))
            .map_err(|e| refused(&e));
        self.said(done.err());
        let asks = Asks {
            effect,
            ..Asks::default()
        };
        let value = (user, self.serial);
        let (how, to) = (How::Overwriting, To::All);
        let expected = self.model.publish_asking(user, value, how, to, asks);
        assert_eq!(done, expected);
        self.learn_overruns(user);
    }

    /// Compares each piece of what comes at once with an event of the model.
    pub(super) fn receive_merged(&mut self, at: usize, most: usize) {
        let next = match self.handles[at].connection.try_recv_merged(most) {
            Ok(Received::Event(next)) => next,
            Ok(Received::Gap { missed, .. }) => {
                self.check(at, Got::Gap(missed));
                return;
            }
            Err(laneway::TryRecvError::Closed(closed)) => {
                self.check(at, Got::Closed(end(closed.reason)));
                return;
            }
            _ => {
                self.check(at, Got::Empty);
                return;
            }
        };
        let (number, origin) = (next.number, retention::origin(next.origin));
        let event = next.event.event;
        assert_eq!(event.size(), next.event.pieces as usize);
        assert!(event.size() <= most.max(1));
        self.seen.merged += usize::from(event.size() > 1);
        let value = (event.user, event.serial);
        self.check(
            at,
            Got::Event {
                number,
                value,
                origin,
            },
        );
        let mut last = number;
        for value in &event.merged {
            let (number, origin) = self.model.next_number(self.handles[at].id);
            assert!(number > last && number <= next.event.last);
            last = number;
            self.check(
                at,
                Got::Event {
                    number,
                    value: *value,
                    origin,
                },
            );
        }
        assert_eq!(last, next.event.last);
        if origin == Origin::Live {
            self.model.step_over(self.handles[at].id);
        }
    }
}
