//! A drain that has begun: its words, which all steps share, and its figures.

use std::sync::Arc;

use super::clock::Clock;
use crate::drain::plan::{DrainPlan, Hooks};
use crate::drain::progress::DrainPhase;
use crate::drain::waiters::Waiters;
use crate::sync::{AtomicU64, AtomicUsize, Fault, Ordering, broken, pin};
use crate::table::storage::{Link, Owned, View};

/// A drain that has begun.
pub(crate) struct Draining<E> {
    pub(super) plan: DrainPlan<E>,
    /// The host's functions, until the hub is drained or shut down. They may own handles of the hub, which
    /// would otherwise keep each other in memory.
    hooks: Link<Hooks<E>, u16>,
    /// From which users' delays are computed.
    pub(super) seed: u64,
    pub(super) clock: Clock,
    /// A [`DrainPhase`]. It only grows.
    phase: AtomicU64,
    /// The place up to which users are claimed to be told.
    pub(super) told_to: AtomicU64,
    /// The place up to which the walk under way has come. Each walk begins at 0.
    pub(super) walked_to: AtomicU64,
    /// Threads that are telling users.
    pub(super) tellers: AtomicUsize,
    /// What became of the host's hook: 0 at first, then [`CALLED`] and [`RETURNED`].
    hook: AtomicU64,
    /// Live connections that the walk under way has come by.
    pub(super) found: AtomicUsize,
    pub(super) figures: Figures,
    pub(crate) waiters: Waiters,
}

#[derive(Default)]
pub(super) struct Figures {
    pub(super) connections: AtomicUsize,
    pub(super) told: AtomicUsize,
    pub(super) untold: AtomicUsize,
    pub(super) closed: AtomicUsize,
    pub(super) cut: AtomicUsize,
    pub(super) unread: AtomicU64,
    pub(super) absent: AtomicUsize,
}

const CALLED: u64 = 1;
const RETURNED: u64 = 2;

/// Notes that the hook has returned or has panicked.
struct HookReturns<'a>(&'a AtomicU64);

impl Drop for HookReturns<'_> {
    fn drop(&mut self) {
        self.0.store(RETURNED, Ordering::Release);
    }
}

impl<E> Draining<E> {
    pub(super) fn new(mut plan: DrainPlan<E>, seed: u64) -> Self {
        Self {
            hooks: Link::new(Owned::Leaf(Arc::new(plan.take_hooks()))),
            seed: plan.seed.unwrap_or(seed),
            clock: Clock::for_waits_of(plan.deadline),
            plan,
            phase: AtomicU64::new(DrainPhase::Telling as u64),
            told_to: AtomicU64::new(0),
            walked_to: AtomicU64::new(0),
            tellers: AtomicUsize::new(0),
            hook: AtomicU64::new(0),
            found: AtomicUsize::new(0),
            figures: Figures::default(),
            waiters: Waiters::new(),
        }
    }

    /// Returns the host's functions, if they are still there. No guard is held while they run.
    pub(super) fn hooks(&self) -> Option<Arc<Hooks<E>>> {
        match self.hooks.load(&pin()) {
            View::Leaf(hooks) => Some(hooks.arc()),
            _ => None,
        }
    }

    /// Drops the host's functions.
    pub(super) fn forget_hooks(&self) {
        self.hooks.replace(Owned::Empty, &pin());
    }

    pub(super) fn phase(&self) -> DrainPhase {
        DrainPhase::from_word(self.phase.load(Ordering::Acquire))
    }

    /// Goes on to a later phase. Returns `false` if another thread has come as far.
    pub(super) fn reach(&self, phase: DrainPhase) -> bool {
        self.phase.fetch_max(phase as u64, Ordering::AcqRel) < phase as u64
    }

    /// Returns whether the hub is drained.
    pub(crate) fn is_over(&self) -> bool {
        self.phase() == DrainPhase::Drained
    }

    /// As `is_over`, for a task that has armed its waker.
    ///
    /// A read-modify-write that changes nothing. Of it and the exchange that ends the drain the later one
    /// sees what the other thread did before. With a load the task could see the phase before, while the
    /// step that ends the drain sees the waker before, and the task would sleep for ever.
    pub(crate) fn is_over_after_arming(&self) -> bool {
        let word = if broken(Fault::LookAtThePhase) {
            self.phase.load(Ordering::Acquire)
        } else {
            self.phase.fetch_add(0, Ordering::AcqRel)
        };
        DrainPhase::from_word(word) == DrainPhase::Drained
    }

    /// Calls the host's hook, in the first thread that comes here. Returns whether it has returned.
    pub(super) fn call_hook(&self) -> bool {
        let (ok, err) = (Ordering::AcqRel, Ordering::Acquire);
        match self.hook.compare_exchange(0, CALLED, ok, err) {
            Ok(_) => {
                let _returns = HookReturns(&self.hook);
                if let Some(hooks) = self.hooks() {
                    hooks.before_closing();
                }
                true
            }
            Err(state) => state == RETURNED,
        }
    }
}
