//! A drain whose batches hold all users: each step does the whole work of its phase.

use super::{End, How, Model, To};

/// A phase; a later one is greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    #[default]
    Telling,
    Delivering,
    Closing,
    Cutting,
    Drained,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) phase: Phase,
    pub(crate) users: usize,
    pub(crate) connections: usize,
    pub(crate) told: usize,
    pub(crate) untold: usize,
    pub(crate) closed: usize,
    pub(crate) cut: usize,
    pub(crate) unread: u64,
    pub(crate) absent: usize,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// A multiple of four.
    pub(crate) deadline_ms: u64,
    pub(crate) publish_for_ms: u64,
    pub(crate) tells: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Drain {
    plan: Plan,
    last_ms: Option<u64>,
    passed_ms: u64,
    are_told: bool,
    is_hook_over: bool,
    hook_calls: usize,
    progress: Progress,
}

impl<V: Copy> Model<V> {
    /// Whether it has begun: there is one drain.
    pub(crate) fn begin_drain(&mut self, plan: Plan) -> bool {
        let connections = self.all_live();
        let is_first = self.drain.is_none();
        self.drain.get_or_insert(Drain {
            plan,
            last_ms: None,
            passed_ms: 0,
            are_told: false,
            is_hook_over: false,
            hook_calls: 0,
            progress: Progress {
                connections,
                ..Progress::default()
            },
        });
        is_first
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.drain.is_some()
    }

    pub(crate) fn is_shut(&self) -> bool {
        self.shut
    }

    fn all_live(&self) -> usize {
        self.known()
            .into_iter()
            .map(|user| self.live(user).len())
            .sum()
    }

    fn run(&mut self) -> &mut Drain {
        self.drain.as_mut().expect("a drain has begun")
    }

    pub(crate) fn phase(&self) -> Phase {
        self.drain
            .as_ref()
            .map_or(Phase::Telling, |run| run.progress.phase)
    }

    /// How often the host's hook was called.
    pub(crate) fn hook_calls(&self) -> usize {
        self.drain.as_ref().map_or(0, |run| run.hook_calls)
    }

    pub(crate) fn progress(&self) -> Progress {
        let run = self.drain.as_ref().expect("a drain has begun");
        let is_over = run.progress.phase == Phase::Drained;
        Progress {
            users: self.users(),
            connections: if is_over { 0 } else { run.progress.connections },
            ..run.progress
        }
    }

    /// A step that comes to the users in this order, and tells each of them an event.
    pub(crate) fn step(
        &mut self,
        now_ms: u64,
        users: &[u8],
        said_over_budget: &[u8],
        tell: impl Fn(u8) -> V,
    ) -> Progress {
        let run = self.run();
        let since_ms = now_ms.saturating_sub(run.last_ms.replace(now_ms).unwrap_or(now_ms));
        run.passed_ms += since_ms.min(run.plan.deadline_ms / 4);
        self.go_on();
        match self.phase() {
            Phase::Telling => self.tell(users, said_over_budget, tell),
            Phase::Delivering => self.run().progress.connections = self.all_live(),
            Phase::Closing => self.close_lanes(false),
            Phase::Cutting => self.close_lanes(true),
            Phase::Drained => {}
        }
        self.go_on();
        self.progress()
    }

    fn go_on(&mut self) {
        loop {
            let (is_empty, is_shut) = (self.users() == 0, self.shut);
            let run = self.run();
            let phase = run.progress.phase;
            let is_late = run.passed_ms >= run.plan.deadline_ms;
            let next = match phase {
                Phase::Drained => return,
                _ if is_empty => Phase::Drained,
                Phase::Telling | Phase::Delivering | Phase::Closing if is_late => Phase::Cutting,
                Phase::Telling if run.are_told => Phase::Delivering,
                Phase::Delivering if run.passed_ms >= run.plan.publish_for_ms => Phase::Closing,
                _ => return,
            };
            if next >= Phase::Closing && !std::mem::replace(&mut run.is_hook_over, true) {
                // A shutdown takes the hook away.
                run.hook_calls += usize::from(!is_shut);
            }
            run.progress.phase = next;
            if next == Phase::Drained {
                self.shutdown();
            }
        }
    }

    fn tell(&mut self, users: &[u8], said_over_budget: &[u8], tell: impl Fn(u8) -> V) {
        // A shutdown takes the host's functions away.
        if self.run().plan.tells && !self.shut {
            for user in users {
                self.said_over_budget = said_over_budget.contains(user);
                let done = self.publish(*user, tell(*user), How::Critical, To::All);
                let progress = &mut self.run().progress;
                progress.told += usize::from(done.is_ok());
                progress.untold += usize::from(done.is_err());
            }
        }
        self.run().are_told = true;
    }

    /// Closes each lane, and with `cut` what is left of its connections.
    fn close_lanes(&mut self, cut: bool) {
        let mut found = 0;
        for user in self.known() {
            let at = self.current[&user];
            let live = self.live(user);
            let was_shut = std::mem::replace(&mut self.lanes[at].is_shut, true);
            if live.is_empty() {
                self.current.remove(&user);
            }
            if !was_shut {
                let progress = &mut self.run().progress;
                progress.absent += usize::from(live.is_empty());
                progress.closed += usize::from(!live.is_empty());
            }
            for id in live.iter().copied().filter(|_| cut) {
                self.end(id, Some(End::Drained));
                let unread = self.unread(id);
                let progress = &mut self.run().progress;
                progress.cut += 1;
                progress.unread += unread;
            }
            found += self.live(user).len();
        }
        self.run().progress.connections = found;
    }
}
