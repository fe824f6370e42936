//! A drain in a script.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use laneway::{Drain, DrainError, DrainPhase, DrainPlan, DrainProgress};

use super::{Run, Tainted, USERS};
use crate::common::model::drain::{Phase, Plan, Progress};

/// The drain that is under way.
pub(super) struct Draining {
    drain: Drain<Tainted>,
    /// Its own time: a step is no sweep.
    now_ms: u64,
    /// Of the event that tells the first user. Those of the others follow.
    serial: u32,
    hook_calls: Arc<AtomicUsize>,
}

impl Run {
    pub(super) fn begin_drain(&mut self, how: u8) {
        let deadline_ms = [8, 8, 16, 40][usize::from(how & 3)];
        let publish_for_ms = [0, 0, 8, 24][usize::from(how >> 2 & 3)];
        let (tells, hook_calls) = (how >> 4 & 3 != 3, Arc::new(AtomicUsize::new(0)));
        let (alive, calls) = (Arc::clone(&self.alive), Arc::clone(&hook_calls));
        let serial = self.serial + 1;
        let mut plan = DrainPlan::within(Duration::from_millis(deadline_ms))
            .publish_for(Duration::from_millis(publish_for_ms))
            .before_closing(move || {
                calls.fetch_add(1, Ordering::Relaxed);
            });
        if tells {
            plan = plan.tell(move |user, _| {
                let number = user.as_str().trim_start_matches("user ");
                let user: u8 = number.parse().expect("a user of the script");
                Tainted::new(user, serial + u32::from(user), &alive)
            });
        }
        let done = self.hub.drain(plan);
        if publish_for_ms > deadline_ms {
            let time = Duration::from_millis(publish_for_ms);
            assert_eq!(done.err(), Some(DrainError::PublishFor(time)));
            return;
        }
        let is_first = self.model.begin_drain(Plan {
            deadline_ms,
            publish_for_ms,
            tells,
        });
        match done {
            Ok(drain) => {
                assert!(is_first);
                self.serial += u32::from(USERS);
                self.draining = Some(Draining {
                    drain,
                    now_ms: 1000,
                    serial,
                    hook_calls,
                });
            }
            Err(error) => assert!(!is_first && error == DrainError::Draining),
        }
    }

    /// One step or some more, so many milliseconds apart.
    pub(super) fn step(&mut self, later: i16) {
        for _ in 0..=later.unsigned_abs() % 4 {
            self.step_once(later);
        }
    }

    fn step_once(&mut self, later: i16) {
        let Some(run) = &mut self.draining else {
            return;
        };
        run.now_ms = run.now_ms.saturating_add_signed(later.into());
        let (now_ms, serial) = (run.now_ms, run.serial);
        let before = progress(run.drain.progress());
        let done = progress(run.drain.step(Duration::from_millis(now_ms)));
        let told = done.told + done.untold - before.told - before.untold;
        self.offered += told as u64;
        let online = self.model.online();
        self.in_some_order(&online, &done, |model, users, said| {
            model.step(now_ms, users, said, |user| (user, serial + u32::from(user)))
        });
        for user in 0..USERS {
            self.learn_overruns(user);
        }
        self.seen.told += usize::from(told > 0);
        self.seen.drained +=
            usize::from(done.phase == Phase::Drained && before.phase != done.phase);
        self.seen.cut += usize::from(done.cut > before.cut);
    }

    /// How far a drain has come.
    pub(super) fn compare_drain(&self) {
        assert_eq!(self.hub.is_draining(), self.model.is_draining());
        assert_eq!(self.hub.is_shut_down(), self.model.is_shut());
        if let Some(run) = &self.draining {
            assert_eq!(progress(run.drain.progress()), self.model.progress());
            let calls = run.hook_calls.load(Ordering::Relaxed);
            assert_eq!(calls, self.model.hook_calls());
        }
    }
}

fn progress(p: DrainProgress) -> Progress {
    Progress {
        phase: match p.phase {
            DrainPhase::Telling => Phase::Telling,
            DrainPhase::Delivering => Phase::Delivering,
            DrainPhase::Closing => Phase::Closing,
            DrainPhase::Cutting => Phase::Cutting,
            DrainPhase::Drained => Phase::Drained,
            other => panic!("no such phase: {other:?}"),
        },
        users: p.users,
        connections: p.connections,
        told: p.told,
        untold: p.untold,
        closed: p.closed,
        cut: p.cut,
        unread: p.unread,
        absent: p.absent,
    }
}
