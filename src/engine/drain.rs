//! A drain: phases that only go forward, and the walks over the users that each phase does in batches.
//!
//! All steps share three words: the phase, how far the telling has come, and how far the walk has come that
//! closes. Places of walks are those of [`Table::next_batch`](crate::table::Table::next_batch).
//!
//! * A thread claims a user's place before it tells the user. So a user is told once, and a thread that is
//!   stopped inside a telling keeps one user from it.
//! * A thread closes a user's lane before it claims the place. Closing twice does no harm, so no lane is left
//!   to a thread that is stopped.

use std::sync::Arc;
use std::time::Duration;

use super::clock::micros;
use super::core::Core;
use super::draining::Draining;
use super::user::User;
use crate::drain::plan::{DrainPlan, Hooks, MakeEvent};
use crate::drain::progress::{DrainPhase, DrainProgress};
use crate::error::CloseReason;
use crate::id::UserId;
use crate::lane::Terms;
use crate::observe;
use crate::sync::reentry::once_at_a_time;
use crate::sync::{AtomicUsize, Fault, Ordering, broken, fence, pin};
use crate::table::END;

/// Counts a thread in for as long as it lives, also if the host's code panics.
struct Inside<'a>(&'a AtomicUsize);

impl<'a> Inside<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl<E: Send + Sync + 'static> Core<E> {
    /// Returns the drain, if one has begun.
    pub(crate) fn draining(&self) -> Option<&Draining<E>> {
        self.drain.get()
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining().is_some()
    }

    /// Returns why the connections of a lane that was shut are closed. The lane does not know whether the
    /// hub was drained or shut down at once.
    #[cold]
    pub(crate) fn shutdown_reason(&self) -> CloseReason {
        if self.is_draining() {
            CloseReason::Drained
        } else {
            CloseReason::Shutdown
        }
    }

    pub(crate) fn reconnect_after(&self, user: &UserId) -> Option<Duration> {
        let run = self.draining()?;
        Some(run.plan.delay(user, run.seed))
    }

    /// Begins a drain. Returns `false` if one has begun before.
    pub(crate) fn begin_drain(&self, plan: DrainPlan<E>) -> bool {
        let run = Arc::new(Draining::new(plan, self.hasher.hash_one(0_u64)));
        if !self.drain.set(Arc::clone(&run), &pin()) {
            return false;
        }
        self.gate.drain();
        // Pairs with the fence in `list_and_notify`. A connect that does not see the drain has listed its
        // connection before, and the walks come to it.
        fence(Ordering::SeqCst);
        // Pairs with the fence in `shutdown`. A shutdown that has not found the drain came before: it has not
        // dropped the host's functions, and they would be called on a hub that is shut down.
        if self.is_closed() {
            run.forget_hooks();
        }
        let mut connections = 0;
        self.table.for_each_few(|users| {
            connections += users.iter().map(|user| user.lane.live()).sum::<usize>();
        });
        run.figures
            .connections
            .store(connections, Ordering::Relaxed);
        observe::drain_begun(connections);
        true
    }

    /// Does one step of a drain. Returns how far it has come.
    pub(crate) fn drain_step(self: &Arc<Self>, run: &Draining<E>, now: Duration) -> DrainProgress {
        let passed = Duration::from_micros(run.clock.sweep(now));
        // A waker or the host's hook may step from inside. The outer step then does one more batch.
        once_at_a_time(std::ptr::from_ref(run).cast(), || {
            self.go_on(run, passed);
            match run.phase() {
                DrainPhase::Telling => self.tell_batch(run),
                DrainPhase::Delivering => self.walk(run, |_| {}),
                DrainPhase::Closing => self.walk(run, |user| self.close_lane(run, user)),
                DrainPhase::Cutting => self.walk(run, |user| self.cut_off(run, user)),
                DrainPhase::Drained => {}
            }
            self.go_on(run, passed);
        });
        self.drain_progress(run)
    }

    /// Goes on to the next phases, as far as their conditions are met.
    fn go_on(&self, run: &Draining<E>, passed: Duration) {
        let is_late = passed >= Duration::from_micros(micros(run.plan.deadline));
        loop {
            let phase = run.phase();
            if phase == DrainPhase::Drained {
                return;
            }
            // A connect that is under way counts its user before it lists its connection. So if no user is
            // counted, each later connect sees the drain.
            let is_empty = self.online.users.load(Ordering::Acquire) == 0;
            let is_next = match phase {
                // A thread that is still telling a user is waited for, but not beyond the deadline.
                DrainPhase::Telling => {
                    run.told_to.load(Ordering::Acquire) == END
                        && run.tellers.load(Ordering::Acquire) == 0
                }
                DrainPhase::Delivering => {
                    passed >= Duration::from_micros(micros(run.plan.publish_for))
                }
                _ => false,
            };
            let next = if is_empty {
                DrainPhase::Drained
            } else if is_late && phase < DrainPhase::Cutting {
                DrainPhase::Cutting
            } else if is_next && phase == DrainPhase::Telling {
                DrainPhase::Delivering
            } else if is_next {
                DrainPhase::Closing
            } else {
                return;
            };
            let needs_hook = phase < DrainPhase::Closing && next >= DrainPhase::Closing;
            if needs_hook && !run.call_hook() && !is_late {
                return;
            }
            if next == DrainPhase::Drained {
                // Before the phase: the tasks that are woken then find the hub shut down.
                self.shutdown();
            }
            if run.reach(next) {
                observe::drain_reached(next);
            }
            if next == DrainPhase::Drained {
                run.waiters.wake();
            }
        }
    }

    /// Tells a batch of users.
    fn tell_batch(self: &Arc<Self>, run: &Draining<E>) {
        let hooks = run.hooks();
        let Some(tell) = hooks.as_deref().and_then(Hooks::tell) else {
            run.told_to.store(END, Ordering::Release);
            return;
        };
        let _inside = Inside::new(&run.tellers);
        let (mut batch, mut spent) = (Vec::new(), 0);
        let (ok, err) = (Ordering::AcqRel, Ordering::Acquire);
        while spent < run.plan.batch {
            let mut place = run.told_to.load(Ordering::Acquire);
            self.table.next_batch(place, &mut batch);
            if batch.is_empty() {
                // It fails if another thread has come to the end.
                let _ = run.told_to.compare_exchange(place, END, ok, err);
                return;
            }
            for user in batch.drain(..) {
                let next = self.table.place_after(user.hash);
                if broken(Fault::TellUnclaimed) {
                    run.told_to.store(next, Ordering::Release);
                    place = next;
                }
                // Two users may have one hash, and then the first claim was for both.
                let is_claimed =
                    next == place || run.told_to.compare_exchange(place, next, ok, err).is_ok();
                if !is_claimed {
                    // Another thread is further.
                    break;
                }
                place = next;
                let live = user.lane.live();
                spent += live.max(1);
                if live > 0 {
                    self.tell_user(run, tell, &user.id);
                }
                if spent >= run.plan.batch {
                    break;
                }
            }
        }
    }

    fn tell_user(self: &Arc<Self>, run: &Draining<E>, tell: &MakeEvent<E>, user: &UserId) {
        let event = tell(user, run.plan.delay(user, run.seed));
        let count = match self.deliver(user, None, event, Terms::CRITICAL) {
            Ok(_) => &run.figures.told,
            Err(_) => &run.figures.untold,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Calls `visit` with a batch of users, and counts their connections. A walk that comes to its end
    /// begins anew with the next step.
    fn walk(&self, run: &Draining<E>, mut visit: impl FnMut(&Arc<User<E>>)) {
        let (mut batch, mut spent) = (Vec::new(), 0);
        let (ok, err) = (Ordering::AcqRel, Ordering::Acquire);
        while spent < run.plan.batch {
            let mut place = run.walked_to.load(Ordering::Acquire);
            self.table.next_batch(place, &mut batch);
            if batch.is_empty() {
                if run.walked_to.compare_exchange(place, 0, ok, err).is_ok() {
                    let found = run.found.swap(0, Ordering::AcqRel);
                    run.figures.connections.store(found, Ordering::Relaxed);
                }
                return;
            }
            for user in batch.drain(..) {
                spent += user.lane.live().max(1);
                visit(&user);
                let next = self.table.place_after(user.hash);
                // After the visit: a place that is claimed by a thread that is then stopped would be left
                // out. Two threads may visit one user, and one of them counts.
                let is_first =
                    next == place || run.walked_to.compare_exchange(place, next, ok, err).is_ok();
                if !is_first {
                    // Another thread is further.
                    break;
                }
                place = next;
                run.found.fetch_add(user.lane.live(), Ordering::AcqRel);
                if spent >= run.plan.batch {
                    break;
                }
            }
        }
    }

    /// Closes a user's lane. Its connections receive what was accepted before. A lane without one ends.
    fn close_lane(&self, run: &Draining<E>, user: &Arc<User<E>>) {
        if broken(Fault::CutBeforeTheDeadline) {
            return self.cut_off(run, user);
        }
        let is_absent = user.lane.live() == 0 && !user.lane.is_over();
        if self.shut(user) {
            let figures = &run.figures;
            let count = if is_absent {
                &figures.absent
            } else {
                &figures.closed
            };
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Closes a user's lane and what is left of its connections. Counts what they had not read.
    fn cut_off(&self, run: &Draining<E>, user: &Arc<User<E>>) {
        if !broken(Fault::CutBeforeTheDeadline) {
            // First: afterwards no number is claimed, so each number is read or counted here.
            self.close_lane(run, user);
        }
        user.lane.for_each(|member| {
            if self.close(user, member, CloseReason::Drained) {
                run.figures.cut.fetch_add(1, Ordering::Relaxed);
                let unread = user.lane.unread(member);
                run.figures.unread.fetch_add(unread, Ordering::Relaxed);
            }
        });
    }

    /// Returns how far a drain has come.
    pub(crate) fn drain_progress(&self, run: &Draining<E>) -> DrainProgress {
        let figures = &run.figures;
        let read = |figure: &AtomicUsize| figure.load(Ordering::Relaxed);
        DrainProgress {
            phase: run.phase(),
            users: self.user_count(),
            // No walk comes after the end.
            connections: if run.is_over() {
                0
            } else {
                read(&figures.connections)
            },
            told: read(&figures.told),
            untold: read(&figures.untold),
            closed: read(&figures.closed),
            cut: read(&figures.cut),
            unread: figures.unread.load(Ordering::Relaxed),
            absent: read(&figures.absent),
        }
    }
}

#[cfg(all(test, laneway_loom))]
mod models;
