//! Compares all that can be looked at without a call that changes something.

use std::sync::atomic::Ordering;

use laneway::{Change, CloseReason, ConnectionId, HubStats, conserved};

use super::{Run, SLOW, USERS, end};
use crate::common::model::Told;
use crate::common::model::counts::Counts;

impl Run {
    /// Everything that can be looked at without changing it.
    pub(super) fn compare(&self) {
        let stats = self.hub.stats();
        assert_eq!(stats.users, self.model.users());
        assert_eq!(self.hub.user_count(), self.model.users());
        assert_eq!(self.hub.accepted(), self.model.accepted);
        assert_eq!(stats.absent_users, self.model.absent());
        let (foreign, stale) = (self.model.absence.foreign, self.model.absence.stale);
        assert_eq!(stats.foreign_positions, foreign);
        assert_eq!(stats.stale_positions, stale);
        self.compare_counts(&stats);
        self.compare_weaker();
        self.compare_drain();
        self.compare_bytes(self.hub.unread_bytes());
        let mut connections = 0;
        for (user, scope) in (0..USERS).zip(&self.scopes) {
            let live = self.model.live(user);
            assert_eq!(scope.connection_count(), live.len());
            assert_eq!(scope.overrun_count(), self.model.overrun(user));
            // In the order in which they were opened.
            let listed = scope.connections();
            let figures: Vec<_> = listed
                .iter()
                .map(|info| (info.id, info.unread, info.missed))
                .collect();
            let expected: Vec<_> = live
                .iter()
                .map(|&id| {
                    let theirs = self.theirs(self.model.device(id));
                    (theirs, self.model.unread(id), self.model.missed(id))
                })
                .collect();
            assert_eq!(figures, expected);
            connections += live.len();
        }
        assert_eq!(stats.connections, connections);
        let each = self.handles.iter().map(|handle| {
            let s = handle.connection.stats();
            let figures = [
                s.numbers,
                s.delivered,
                s.stepped_over,
                s.missed,
                s.superseded,
                s.expired,
                s.unread,
                s.replayed,
            ];
            assert_eq!(figures, self.model.stats(handle.id));
            s
        });
        conserved(self.offered, self.hub.accepted(), &stats, each).expect("nothing vanishes");
        let (alive, most) = (self.alive.load(Ordering::Relaxed), self.model.most_events());
        assert!(
            alive.cast_unsigned() as u64 <= most,
            "{alive} events in memory, not {most}"
        );
    }

    /// Each refusal is counted once, under its reason.
    fn compare_counts(&self, stats: &HubStats) {
        let counts = Counts {
            no_connections: stats.refused_no_connections,
            full: stats.refused_full,
            over_budget: stats.refused_over_budget,
            closed: stats.refused_closed,
            revoked: stats.refused_revoked,
            lacking: stats.refused_not_allowed,
            unknown: stats.unknown_connections,
            foreign_answers: stats.foreign_answers,
        };
        assert_eq!(counts, self.model.counts);
        assert_eq!(stats.refused_rate_limited, 0);
    }

    /// The id of a device.
    pub(super) fn theirs(&self, device: u64) -> ConnectionId {
        let mut ids = self.ids.iter();
        ids.find(|(id, _)| *id == device).expect("it was there").1
    }

    /// The device of an id.
    pub(super) fn device_of(&self, theirs: ConnectionId) -> u64 {
        let mut ids = self.ids.iter();
        ids.find(|(_, id)| *id == theirs).expect("it was there").0
    }

    /// What the subscriber was told of each user is what happened, in numbers without holes.
    pub(super) fn compare_notices(&self) {
        assert_eq!(self.lifecycle.lost(), 0);
        let (mut all, mut told) = (Vec::new(), Vec::new());
        let mut last = [(0, 0); USERS as usize];
        while let Ok(notice) = self.lifecycle.try_next() {
            let user = (0..USERS).find(|u| self.scopes[*u as usize].user() == &notice.user);
            let user = user.expect("a user of the script");
            let (session, number) = &mut last[user as usize];
            if notice.change == Change::Online {
                assert!(notice.session > *session && notice.number == 0);
                (*session, *number) = (notice.session, 0);
            } else {
                *number += 1;
                assert_eq!((notice.session, notice.number), (*session, *number));
            }
            let change = match notice.change.clone() {
                Change::Online => Told::Online,
                Change::Offline => Told::Offline,
                Change::Connected { connection, .. } => Told::Connected(self.device_of(connection)),
                Change::Disconnected {
                    connection,
                    reason: CloseReason::Dropped,
                    ..
                } => Told::Left(self.device_of(connection)),
                Change::Disconnected {
                    connection, reason, ..
                } => Told::Disconnected(self.device_of(connection), end(reason)),
                other => panic!("no such notice: {other:?}"),
            };
            all.push(notice);
            told.push((user, change));
        }
        let first = std::iter::from_fn(|| self.slow.try_next().ok());
        assert!(first.eq(all.iter().take(SLOW).cloned()));
        let beyond = all.len().saturating_sub(SLOW);
        assert_eq!(
            self.slow.lost(),
            beyond as u64,
            "what it lost is told to it"
        );
        for user in 0..USERS {
            let of = |all: &[(u8, Told)]| -> Vec<_> {
                all.iter().filter(|(u, _)| *u == user).copied().collect()
            };
            assert_eq!(of(&told), of(&self.model.told));
        }
    }
}
