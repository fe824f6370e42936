//! Weaker scopes: what each may still do, and for how long.

use super::rules::Asks;
use super::{How, Model, NoConnect, Refused, To};

/// Limits that count or end, of one scope.
const MOST_METERS: usize = 8;

/// What a weaker scope lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    Publish,
    Connect,
    Thread,
    Events,
    Time,
}

/// Why a scope may not do what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    Revoked,
    Lacks(Missing),
}

/// What a scope is asked for. Threads are a mask.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Use {
    Publish(To),
    Connect(u8),
    Resume,
    Look,
}

/// What the host takes from a scope.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    pub(crate) publish_only: bool,
    pub(crate) receive_only: bool,
    pub(crate) thread: Option<u8>,
    pub(crate) events: Option<u64>,
    pub(crate) until_ms: Option<u64>,
}

/// A weaker scope.
#[derive(Clone, Debug)]
struct Grant {
    user: u8,
    is_revoked: bool,
    /// From the scope itself up to the first weaker one.
    limits: Vec<Limits>,
    /// Of the limits that count or end, one each.
    meters: Vec<usize>,
}

#[derive(Clone, Copy, Debug)]
struct Meter {
    left: Option<u64>,
    until_ms: Option<u64>,
    is_over: bool,
}

/// The weaker scopes of a hub, by the order in which they were made.
#[derive(Clone, Debug, Default)]
pub(super) struct Grants {
    all: Vec<Grant>,
    meters: Vec<Meter>,
}

impl Grant {
    /// The threads that all limits leave: `None` is any.
    fn threads(&self) -> Option<Vec<u8>> {
        let mut named: Vec<_> = self.limits.iter().filter_map(|l| l.thread).collect();
        named.dedup();
        (!named.is_empty()).then_some(named)
    }

    /// Whether what the scope is asked for is within its limits, but for number and time.
    fn covers(&self, asked: Use) -> Result<(), Missing> {
        let only_publishes = self.limits.iter().any(|l| l.publish_only);
        let only_receives = self.limits.iter().any(|l| l.receive_only);
        let threads = self.threads();
        // Two different threads leave nothing.
        let is_void = threads.as_ref().is_some_and(|all| all.len() > 1);
        let only = threads.and_then(|all| all.first().copied());
        let lacks = |missing, lacks: bool| if lacks { Err(missing) } else { Ok(()) };
        match asked {
            Use::Publish(to) => {
                lacks(Missing::Publish, only_receives || is_void)?;
                let is_its_own = |only| to == To::Thread(only);
                lacks(Missing::Thread, !only.is_none_or(is_its_own))
            }
            Use::Connect(mask) => {
                lacks(Missing::Connect, only_publishes || is_void)?;
                lacks(Missing::Thread, only.is_some_and(|only| mask != 1 << only))
            }
            Use::Resume => {
                lacks(Missing::Connect, only_publishes || is_void)?;
                lacks(Missing::Thread, only.is_some())
            }
            Use::Look => {
                let sees = !only_publishes && !only_receives && only.is_none();
                lacks(Missing::Connect, !sees)
            }
        }
    }
}

impl<V: Copy> Model<V> {
    /// A weaker scope of a user, from a whole one or from a weaker one. `None`: too many limits count or end
    /// already.
    pub(crate) fn attenuate(
        &mut self,
        user: u8,
        from: Option<usize>,
        limits: Limits,
    ) -> Option<usize> {
        let mut grant = match from {
            Some(from) => self.grants.all[from].clone(),
            None => Grant {
                user,
                is_revoked: false,
                limits: Vec::new(),
                meters: Vec::new(),
            },
        };
        grant.limits.push(limits);
        if limits.events.is_some() || limits.until_ms.is_some() {
            if grant.meters.len() >= MOST_METERS {
                return None;
            }
            grant.meters.push(self.grants.meters.len());
            self.grants.meters.push(Meter {
                left: limits.events,
                until_ms: limits.until_ms,
                is_over: false,
            });
        }
        self.grants.all.push(grant);
        Some(self.grants.all.len() - 1)
    }

    /// The host revokes all scopes of the user that there are.
    pub(super) fn revoke_grants(&mut self, user: u8) {
        let theirs = self
            .grants
            .all
            .iter_mut()
            .filter(|grant| grant.user == user);
        theirs.for_each(|grant| grant.is_revoked = true);
    }

    pub(crate) fn is_revoked(&self, grant: usize) -> bool {
        self.grants.all[grant].is_revoked
    }

    /// How many more events a weaker scope may publish.
    pub(crate) fn events_left(&self, grant: usize) -> Option<u64> {
        let meters = self.grants.all[grant].meters.iter();
        meters.filter_map(|at| self.grants.meters[*at].left).min()
    }

    /// Whether a weaker scope may be used so. A limit that has ended once has ended for good.
    pub(crate) fn admit(&mut self, grant: usize, asked: Use) -> Result<(), Denied> {
        let (told_ms, grants) = (self.told_ms, &mut self.grants);
        let grant = &grants.all[grant];
        if grant.is_revoked {
            return Err(Denied::Revoked);
        }
        let mut is_over = false;
        for at in &grant.meters {
            let meter = &mut grants.meters[*at];
            meter.is_over |= meter.until_ms.is_some_and(|until_ms| told_ms >= until_ms);
            is_over |= meter.is_over;
        }
        if is_over {
            return Err(Denied::Lacks(Missing::Time));
        }
        grant.covers(asked).map_err(Denied::Lacks)
    }

    /// By a weaker scope, if there is one. An event that is refused costs no unit.
    pub(crate) fn publish_by(
        &mut self,
        grant: Option<usize>,
        user: u8,
        value: V,
        how: How,
        to: To,
        asks: Asks,
    ) -> Result<(u64, usize), Refused> {
        let Some(grant) = grant else {
            return self.publish_asking(user, value, how, to, asks);
        };
        let mut admitted = self.admit(grant, Use::Publish(to));
        if admitted.is_ok() && self.events_left(grant) == Some(0) {
            admitted = Err(Denied::Lacks(Missing::Events));
        }
        if let Err(why) = admitted {
            let why = Refused::from(why);
            self.counts.refuse(why, to);
            return Err(why);
        }
        let done = self.publish_asking(user, value, how, to, asks);
        if done.is_ok() {
            let grants = &mut self.grants;
            for at in &grants.all[grant].meters {
                let left = &mut grants.meters[*at].left;
                *left = left.map(|left| left - 1);
            }
        }
        done
    }

    /// By a weaker scope. A connection of a scope for one thread comes into no other.
    pub(crate) fn connect_by(&mut self, grant: usize, threads: u8) -> Result<u64, NoConnect> {
        self.admit(grant, Use::Connect(threads))
            .map_err(NoConnect::from)?;
        let is_bound = self.grants.all[grant].threads().is_some();
        let id = self.connect(self.grants.all[grant].user, threads, None)?;
        self.connections.get_mut(&id).unwrap().is_bound = is_bound;
        Ok(id)
    }
}

impl From<Denied> for Refused {
    fn from(why: Denied) -> Self {
        match why {
            Denied::Revoked => Self::Revoked,
            Denied::Lacks(missing) => Self::Lacks(missing),
        }
    }
}

impl From<Denied> for NoConnect {
    fn from(why: Denied) -> Self {
        match why {
            Denied::Revoked => Self::Revoked,
            Denied::Lacks(missing) => Self::Lacks(missing),
        }
    }
}
