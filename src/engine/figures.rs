//! The figures of all users: those that the hub counts, and those that take a walk.

use super::core::Core;
use crate::stats::HubStats;
use crate::sync::{Fault, Ordering, broken};

impl<E: Send + Sync + 'static> Core<E> {
    /// Returns the number of users online.
    pub(crate) fn user_count(&self) -> usize {
        self.online.users.load(Ordering::Relaxed)
    }

    /// Counts a connection that its lane has counted, before it is listed.
    ///
    /// Another thread can close a listed connection at once. If the connection were counted after the
    /// listing, that thread could count it out first, and the figure would wrap below 0.
    pub(super) fn count_connection(&self) {
        // Relaxed: the closer finds the connection in the list, so this addition is before its subtraction.
        self.online.connections.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a connection out. The one thread that has closed it calls this.
    pub(super) fn count_out_connection(&self) {
        if !broken(Fault::CloseUncounted) {
            self.online.connections.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Returns the figures for [`Hub::stats`](crate::Hub::stats). Wait-free.
    pub(crate) fn stats(&self) -> HubStats {
        let counters = &self.counters;
        // Signed: a thread that rejoins may subtract before the thread that has left adds.
        let absent = self.absence.users.load(Ordering::Relaxed).cast_signed();
        // Relaxed: each figure is right by itself. While calls are under way, the figures of one
        // report may be of different moments.
        HubStats {
            users: self.user_count(),
            connections: self.online.connections.load(Ordering::Relaxed),
            absent_users: absent.max(0).unsigned_abs(),
            missed: counters.missed.load(Ordering::Relaxed),
            overruns: counters.overruns.load(Ordering::Relaxed),
            refused_no_connections: counters.no_connections.load(Ordering::Relaxed),
            refused_full: counters.full.load(Ordering::Relaxed),
            refused_over_budget: counters.over_budget.load(Ordering::Relaxed),
            refused_rate_limited: counters.rate_limited.load(Ordering::Relaxed),
            refused_closed: counters.closed.load(Ordering::Relaxed),
            refused_revoked: counters.revoked.load(Ordering::Relaxed),
            refused_not_allowed: counters.not_allowed.load(Ordering::Relaxed),
            unknown_connections: counters.unknown_connections.load(Ordering::Relaxed),
            foreign_positions: counters.foreign_positions.load(Ordering::Relaxed),
            stale_positions: counters.stale_positions.load(Ordering::Relaxed),
            foreign_answers: counters.foreign_answers.load(Ordering::Relaxed),
        }
    }

    /// Returns how many events lanes have accepted, for [`Hub::accepted`](crate::Hub::accepted).
    pub(crate) fn accepted(&self) -> u64 {
        // The counter first. In the other order a lane that ends in between would be counted twice.
        let mut accepted = self.counters.accepted_offline.load(Ordering::Relaxed);
        self.table.for_each_few(|users| {
            // All lanes are looked at first: their misses then overlap.
            for user in users {
                user.lane.look_ahead();
            }
            accepted += users.iter().map(|user| user.lane.accepted()).sum::<u64>();
        });
        accepted
    }

    /// Returns how many bytes are reserved, for [`Hub::unread_bytes`](crate::Hub::unread_bytes).
    pub(crate) fn unread_bytes(&self) -> u64 {
        let Some(pool) = &self.budget.pool else {
            return 0;
        };
        // Without a budget of the hub, publishers and readers write no sum of all lanes.
        if let Some(sum) = pool.sum() {
            return sum;
        }
        let mut bytes = 0;
        self.table.for_each_few(|users| {
            let accounts = users.iter().filter_map(|user| user.lane.account());
            bytes += accounts.map(|account| account.bytes()).sum::<u64>();
        });
        bytes
    }
}
