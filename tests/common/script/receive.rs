//! The calls of a script that receive.

use super::{Handle, Run, Value, end, got, rooms};
use crate::common::model::{End, Got, Origin};

impl Run {
    pub(super) fn receive(&mut self, at: usize) -> Got<Value> {
        got(self.handles[at].connection.try_recv())
    }

    /// Compares what laneway gave with what the model gives; `false` at the end of what there is.
    pub(super) fn check(&mut self, at: usize, got: Got<Value>) -> bool {
        let unread = self.handles[at].connection.unread();
        self.check_with(at, got, Some(unread))
    }

    /// As `check`, for what a call gave that has gone on to more.
    pub(super) fn check_with(&mut self, at: usize, got: Got<Value>, unread: Option<u64>) -> bool {
        let Handle { id, user, .. } = self.handles[at];
        match got {
            Got::Event { value, origin, .. } => {
                assert!(rooms::is_for(value.0, user), "a foreign event");
                self.seen.replayed += usize::from(origin == Origin::Replayed);
            }
            Got::Gap(_) => self.seen.gap += 1,
            Got::Closed(end) => {
                self.seen.close += 1;
                self.seen.overrun += usize::from(end == End::Overrun);
                self.seen.replaced += usize::from(end == End::Replaced);
            }
            Got::Empty => {}
        }
        assert_eq!(got, self.model.receive_like(id, got, unread));
        matches!(got, Got::Event { .. } | Got::Gap(_))
    }

    pub(super) fn drain(&mut self, at: usize, max: usize) {
        let mut into = Vec::new();
        let drained = self.handles[at].connection.drain(max, &mut into);
        match drained {
            Ok(count) => assert_eq!(count, into.len()),
            Err(closed) => {
                assert!(into.is_empty());
                self.check(at, Got::Closed(end(closed.reason)));
            }
        }
        let full = into.len() == max;
        for received in into {
            self.check_with(at, got(Ok(received)), None);
        }
        if !full && drained.is_ok() {
            let got = self.receive(at);
            assert!(!self.check(at, got), "drain stopped before the end");
        }
    }

    pub(super) fn visit(&mut self, at: usize, max: usize) {
        let mut seen = Vec::new();
        let visited = self.handles[at].connection.visit(max, |number, event| {
            seen.push((number, (event.user, event.serial)));
        });
        if let Ok(visited) = visited {
            assert_eq!(visited.events, seen.len());
        }
        for (number, value) in seen {
            // A visit does not tell it.
            let origin = self.model.next_origin(self.handles[at].id);
            self.check_with(
                at,
                Got::Event {
                    number,
                    value,
                    origin,
                },
                None,
            );
        }
        match visited {
            Ok(visited) if visited.missed > 0 => {
                self.check(at, Got::Gap(visited.missed));
            }
            Ok(visited) if visited.events < max => {
                let got = self.receive(at);
                assert!(!self.check(at, got), "visit stopped before the end");
            }
            Ok(_) => {}
            Err(closed) => {
                self.check(at, Got::Closed(end(closed.reason)));
            }
        }
    }
}
