//! Weaker scopes in a script, and those that the host has revoked.

use std::time::Duration;

use laneway::{AttachError, ConnectOptions, Joined, Limits, NotAllowed, UserScope};

use super::call::By;
use super::{CODE, Run, THREADS, Tainted, no_connect, rooms, thread_id, thread_ids};
use crate::common::model::NoAttach;
use crate::common::model::grants::{self, Denied, Missing, Use};

/// So many are kept at a time.
const MOST: usize = 6;
/// Verbs of `use_weaker`.
pub(super) const VERBS: u8 = 10;

/// A scope that may do less than the user's own.
pub(super) struct Weaker {
    pub(super) user: u8,
    pub(super) grant: usize,
    /// If the last limit names one.
    pub(super) thread: Option<u8>,
    pub(super) scope: UserScope<Tainted>,
}

pub(super) fn missing(missing: NotAllowed) -> Missing {
    match missing {
        NotAllowed::Publish => Missing::Publish,
        NotAllowed::Connect => Missing::Connect,
        NotAllowed::Thread => Missing::Thread,
        NotAllowed::Events => Missing::Events,
        NotAllowed::Time => Missing::Time,
        other => panic!("no such lack: {other:?}"),
    }
}

impl Run {
    /// The last one is used most.
    pub(super) fn weaker_at(&self, at: u8) -> Option<usize> {
        let last = self.weaker.len().checked_sub(1)?;
        Some(last - at as usize % (last + 1))
    }

    pub(super) fn keep_weaker(&mut self, weaker: Weaker) {
        self.weaker.push(weaker);
        if self.weaker.len() > MOST {
            self.weaker.remove(0);
        }
    }

    /// Bits of `what` say which limits there are.
    pub(super) fn weaken(&mut self, user: u8, what: u8, how_much: u8) {
        let limits = grants::Limits {
            publish_only: what % 8 == 1,
            receive_only: what % 8 == 2,
            thread: (what >> 3 & 3 == 1).then_some(how_much % THREADS),
            events: (what & 32 != 0).then_some(u64::from(how_much % 4)),
            until_ms: (what >> 6 == 1).then(|| self.now_ms + 4 * u64::from(how_much % 32)),
        };
        let from = self.weaker.last().filter(|_| how_much >= 192);
        let (user, grant) = from.map_or((user, None), |from| (from.user, Some(from.grant)));
        let scope = from.map_or(&self.scopes[user as usize], |from| &from.scope);
        let made = scope.attenuate(theirs(limits));
        let grant = self.model.attenuate(user, grant, limits);
        assert_eq!(made.is_ok(), grant.is_some());
        if let (Ok(scope), Some(grant)) = (made, grant) {
            let thread = limits.thread;
            self.keep_weaker(Weaker {
                user,
                grant,
                thread,
                scope,
            });
        }
    }

    pub(super) fn use_weaker(&mut self, at: usize, verb: u8, with: u8) {
        match verb % VERBS {
            0 | 8 | 9 => self.connect_weaker(at, with),
            1 => self.resume(By::Weaker(at), with, with >> 4),
            2 => self.look_weaker(at),
            3 => self.disconnect_weaker(at, with),
            4 => self.disconnect_all_weaker(at),
            5 => self.join_weaker(at, with % rooms::ROOMS),
            6 => self.leave_weaker(at, with % rooms::ROOMS),
            _ => self.attach_weaker(at, with),
        }
    }

    fn admitted(&mut self, at: usize, asked: Use) -> Result<(), Denied> {
        let admitted = self.model.admit(self.weaker[at].grant, asked);
        self.seen.lacking += usize::from(matches!(admitted, Err(Denied::Lacks(_))));
        admitted
    }

    fn connect_weaker(&mut self, at: usize, threads: u8) {
        // In most cases to the scope's own thread, if it has one.
        let own = self.weaker[at].thread.filter(|_| threads >> 2 & 3 != 0);
        let threads = own.map_or(threads % (1 << THREADS), |own| 1 << own);
        let options = ConnectOptions::default().threads(thread_ids(threads));
        let Weaker { user, grant, .. } = self.weaker[at];
        let done = self.weaker[at].scope.connect_with(options);
        let expected = self.model.connect_by(grant, threads);
        match done {
            Ok(connection) => {
                self.hold(expected.expect("it may not connect"), user, connection);
                // A connection of one thread comes into no other.
                let newest = self.handles.len() - 1;
                self.attach(newest as u8, threads & 1, true);
            }
            Err(error) => assert_eq!(expected, Err(no_connect(&error))),
        }
    }

    fn look_weaker(&mut self, at: usize) {
        let sees = self.admitted(at, Use::Look).is_ok();
        let user = self.weaker[at].user;
        let live = if sees { self.model.live(user).len() } else { 0 };
        let overrun = if sees { self.model.overrun(user) } else { 0 };
        let rooms = if sees {
            self.model.rooms_of(user).len()
        } else {
            0
        };
        let scope = &self.weaker[at].scope;
        assert_eq!(scope.connections().len(), live);
        assert_eq!(scope.connection_count(), live);
        assert_eq!(scope.is_online(), live > 0);
        assert_eq!(scope.overrun_count(), overrun);
        assert_eq!(scope.rooms().len(), rooms);
        let mut dump = String::new();
        scope.dump(&mut dump).expect("a string takes everything");
        assert!(sees || dump.is_empty());
    }

    fn disconnect_weaker(&mut self, at: usize, which: u8) {
        if self.ids.is_empty() {
            return;
        }
        let (device, theirs) = self.ids[which as usize % self.ids.len()];
        let closed = self.weaker[at].scope.disconnect(theirs, CODE);
        let expected = match self.admitted(at, Use::Look) {
            Ok(()) => self.model.disconnect(self.weaker[at].user, device, CODE),
            Err(_) => self.model.find_none(),
        };
        assert_eq!(closed, expected);
    }

    fn disconnect_all_weaker(&mut self, at: usize) {
        let closed = self.weaker[at].scope.disconnect_all(CODE);
        let expected = match self.admitted(at, Use::Look) {
            Ok(()) => self.model.disconnect_all(self.weaker[at].user, CODE),
            Err(_) => 0,
        };
        assert_eq!(closed, expected);
    }

    fn join_weaker(&mut self, at: usize, room: u8) {
        let joined = self.weaker[at].scope.join(&rooms::room_id(room));
        let joined = joined.map(|joined| joined == Joined::Now);
        let expected = match self.admitted(at, Use::Connect(0)) {
            Ok(()) => self.model.join(self.weaker[at].user, room),
            Err(why) => Err(why.into()),
        };
        assert_eq!(joined.map_err(rooms::no_join), expected);
    }

    fn leave_weaker(&mut self, at: usize, room: u8) {
        let left = self.weaker[at].scope.leave(&rooms::room_id(room));
        let may = self.admitted(at, Use::Connect(0)).is_ok();
        assert_eq!(left, may && self.model.leave(self.weaker[at].user, room));
    }

    /// Attaches a connection, perhaps another user's, or detaches it.
    fn attach_weaker(&mut self, at: usize, with: u8) {
        if self.ids.is_empty() {
            return;
        }
        let (thread, on) = (with % THREADS, with & 2 != 0);
        let (device, theirs) = self.ids[usize::from(with >> 2) % self.ids.len()];
        let scope = &self.weaker[at].scope;
        let done = if on {
            scope.attach(theirs, thread_id(thread))
        } else {
            Ok(scope.detach(theirs, &thread_id(thread)))
        };
        if done == Err(AttachError::TooManyThreads { limit: 64 }) {
            return;
        }
        let expected = match self.admitted(at, Use::Look) {
            Err(_) if !on => Ok(false),
            Err(Denied::Revoked) => Err(AttachError::Revoked),
            Err(Denied::Lacks(why)) => Err(AttachError::NotAllowed(not_allowed(why))),
            Ok(()) => {
                let user = self.weaker[at].user;
                let done = self.model.attach_by_user(user, device, 1 << thread, on);
                done.or_else(|why| {
                    if on {
                        Err(attach_error(why))
                    } else {
                        Ok(false)
                    }
                })
            }
        };
        assert_eq!(done, expected);
    }

    /// What a weaker scope tells of itself.
    pub(super) fn compare_weaker(&self) {
        for weaker in &self.weaker {
            let left = weaker.scope.events_left();
            assert_eq!(left, self.model.events_left(weaker.grant));
            let is_revoked = self.model.is_revoked(weaker.grant);
            assert_eq!(weaker.scope.is_revoked(), is_revoked);
        }
    }

    pub(super) fn try_all_weaker(&mut self, with: u8) {
        let Some(at) = self.weaker_at(0) else { return };
        for verb in 0..VERBS {
            self.use_weaker(at, verb, with);
        }
    }
}

fn not_allowed(missing: Missing) -> NotAllowed {
    match missing {
        Missing::Publish => NotAllowed::Publish,
        Missing::Connect => NotAllowed::Connect,
        Missing::Thread => NotAllowed::Thread,
        Missing::Events => NotAllowed::Events,
        Missing::Time => NotAllowed::Time,
    }
}

pub(super) fn attach_error(why: NoAttach) -> AttachError {
    match why {
        NoAttach::Closed => AttachError::Closed,
        NoAttach::Unknown => AttachError::Unknown,
        NoAttach::Bound => AttachError::NotAllowed(NotAllowed::Thread),
    }
}

fn theirs(limits: grants::Limits) -> Limits {
    let mut all = Limits::new();
    if limits.publish_only {
        all = all.publish_only();
    }
    if limits.receive_only {
        all = all.receive_only();
    }
    if let Some(thread) = limits.thread {
        all = all.thread(thread_id(thread));
    }
    if let Some(events) = limits.events {
        all = all.events(events);
    }
    if let Some(until_ms) = limits.until_ms {
        all = all.until(Duration::from_millis(until_ms));
    }
    all
}
