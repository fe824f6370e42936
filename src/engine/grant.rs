//! The rights that are left of an attenuated scope.

use std::sync::Arc;

use super::clock::micros;
use super::target::Target;
use crate::error::{AttenuateError, NotAllowed};
use crate::id::ThreadId;
use crate::limits::Limits;
use crate::sync::{AtomicBool, AtomicU64, Fault, Ordering, broken};

/// Limits that count or end, of one scope. Each use looks at all of them.
const MAX_METERS: usize = 8;

/// What a scope is to be used for.
#[derive(Clone, Copy)]
pub(crate) enum Use<'a> {
    Publish(Target<'a>),
    /// Attached to these threads.
    Connect(&'a [ThreadId]),
    Resume,
    /// To see or close connections.
    Look,
}

/// The rights of an attenuated scope. Its clones share them.
pub(crate) struct Grant {
    publishes: bool,
    connects: bool,
    looks: bool,
    thread: Option<ThreadId>,
    /// Of this scope and of those that it was made from.
    meters: Box<[Arc<Meter>]>,
}

/// A limit that changes with time, shared by all scopes that it limits.
struct Meter {
    /// Events that may still be published.
    left: Option<AtomicU64>,
    /// In microseconds of the host's time.
    until: Option<u64>,
    /// A use was refused for its time, so that all later ones are.
    is_over: AtomicBool,
}

impl Meter {
    fn new(limits: &Limits) -> Option<Self> {
        let until = limits.until.map(micros);
        (limits.events.is_some() || until.is_some()).then(|| Self {
            left: limits.events.map(AtomicU64::new),
            until,
            is_over: AtomicBool::new(false),
        })
    }

    fn is_over(&self, now: u64) -> bool {
        if self.is_over.load(Ordering::Acquire) {
            return true;
        }
        let over = self.until.is_some_and(|until| now >= until);
        if over {
            self.is_over.store(true, Ordering::Release);
        }
        over
    }

    /// Takes a unit. Returns `false` if none is left. Lock-free.
    fn take(&self) -> bool {
        let Some(left) = &self.left else { return true };
        let mut seen = left.load(Ordering::Acquire);
        while let Some(less) = seen.checked_sub(1) {
            // An exchange. With a load and a subtraction two publishers could both find the last unit.
            if broken(Fault::TakeInTwoSteps) {
                left.fetch_sub(1, Ordering::AcqRel);
                return true;
            }
            let (ok, err) = (Ordering::AcqRel, Ordering::Acquire);
            match left.compare_exchange(seen, less, ok, err) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    fn give_back(&self) {
        if let Some(left) = &self.left
            && !broken(Fault::KeepTheUnit)
        {
            left.fetch_add(1, Ordering::AcqRel);
        }
    }
}

impl Grant {
    /// Returns the rights that `limits` leave of `from`, or of a whole scope.
    pub(crate) fn of(from: Option<&Self>, limits: Limits) -> Result<Self, AttenuateError> {
        let known = from.map_or(&[][..], |from| &from.meters);
        let meters: Box<[_]> = known
            .iter()
            .cloned()
            .chain(Meter::new(&limits).map(Arc::new))
            .collect();
        if meters.len() > MAX_METERS {
            return Err(AttenuateError { limit: MAX_METERS });
        }
        let had = from.and_then(|from| from.thread.clone());
        // A scope for two different threads could reach neither without reaching beyond the other.
        let is_one = match (&had, &limits.thread) {
            (Some(had), Some(new)) => had == new,
            _ => true,
        };
        let thread = had.or(limits.thread);
        let (only_publish, only_receive) = (limits.is_publish_only, limits.is_receive_only);
        let may = |of: fn(&Self) -> bool| from.is_none_or(of);
        Ok(Self {
            publishes: may(|from| from.publishes) && !only_receive && is_one,
            connects: may(|from| from.connects) && !only_publish && is_one,
            looks: may(|from| from.looks) && !only_publish && !only_receive && thread.is_none(),
            thread,
            meters,
        })
    }

    /// Returns whether the scope is for one thread.
    pub(super) fn is_for_a_thread(&self) -> bool {
        self.thread.is_some()
    }

    /// Returns whether the scope may be used so at the host's time `now`, in microseconds.
    pub(super) fn check(&self, for_what: Use<'_>, now: u64) -> Result<(), NotAllowed> {
        // All meters are asked, so that each that is over stays so.
        if self
            .meters
            .iter()
            .filter(|meter| meter.is_over(now))
            .count()
            > 0
        {
            return Err(NotAllowed::Time);
        }
        let is_of = |thread: &ThreadId| self.thread.as_ref().is_none_or(|only| only == thread);
        let are_of = |threads: &[ThreadId]| {
            self.thread.is_none() || (!threads.is_empty() && threads.iter().all(is_of))
        };
        match for_what {
            Use::Publish(_) if !self.publishes => Err(NotAllowed::Publish),
            Use::Connect(_) | Use::Resume if !self.connects => Err(NotAllowed::Connect),
            Use::Look if !self.looks => Err(NotAllowed::Connect),
            Use::Publish(Target::Thread(thread)) if is_of(thread) => Ok(()),
            Use::Connect(threads) if are_of(threads) => Ok(()),
            Use::Look => Ok(()),
            // A position may be of a device that was in another thread.
            _ if self.thread.is_some() => Err(NotAllowed::Thread),
            _ => Ok(()),
        }
    }

    /// Takes a unit for one event of each meter.
    pub(super) fn take(&self) -> Result<(), NotAllowed> {
        for (at, meter) in self.meters.iter().enumerate() {
            if !meter.take() {
                self.meters[..at].iter().for_each(|meter| meter.give_back());
                return Err(NotAllowed::Events);
            }
        }
        Ok(())
    }

    /// Gives the units of an event back that was refused.
    pub(super) fn give_back(&self) {
        self.meters.iter().for_each(|meter| meter.give_back());
    }

    /// Returns how many more events the scope may publish, or `None` if that has no limit.
    pub(crate) fn events_left(&self) -> Option<u64> {
        let left = self.meters.iter().filter_map(|meter| meter.left.as_ref());
        left.map(|left| left.load(Ordering::Acquire)).min()
    }
}
