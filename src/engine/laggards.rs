//! The slowest connections of a hub, and those that cross the watermark.

use super::core::Core;
use super::user::User;
use crate::laggard::{Lag, Laggard};
use crate::lane::member::Member;
use crate::lifecycle::Change;

/// The most connections that one call returns.
const MOST: usize = 1024;

/// The slowest connections of those that were offered, slowest first.
struct Slowest {
    most: usize,
    by: Lag,
    /// With the lag of each, in falling order. Of equal ones the lower id comes first.
    list: Vec<(u64, Laggard)>,
}

impl Slowest {
    fn offer<E: 'static>(&mut self, user: &User<E>, member: &Member) {
        let unread = user.lane.unread(member);
        if unread == 0 || !member.is_open() {
            return;
        }
        let unread_bytes = user.lane.unread_bytes(member);
        let active_at = member.swept().active();
        let lag = match self.by {
            Lag::Unread => unread,
            Lag::Bytes => unread_bytes,
            // The earlier the activity, the larger the lag.
            Lag::Age => active_at.map_or(0, |at| u64::MAX - at.as_secs()),
        };
        let is_before = |(theirs, other): &(u64, Laggard)| {
            *theirs > lag || (*theirs == lag && other.connection < member.id)
        };
        let at = self.list.partition_point(is_before);
        if at < self.most {
            self.list.truncate(self.most - 1);
            let laggard = Laggard {
                user: user.id.clone(),
                connection: member.id,
                unread,
                unread_bytes,
                active_at,
            };
            self.list.insert(at, (lag, laggard));
        }
    }
}

impl<E: Send + Sync + 'static> Core<E> {
    /// Returns the `most` slowest connections, for [`Hub::laggards`](crate::Hub::laggards).
    pub(crate) fn laggards(&self, most: usize, by: Lag) -> Vec<Laggard> {
        let mut slowest = Slowest {
            most: most.min(MOST),
            by,
            list: Vec::new(),
        };
        if slowest.most > 0 {
            self.table.for_each(|user| {
                user.lane.for_each(|member| slowest.offer(user, member));
            });
        }
        slowest
            .list
            .into_iter()
            .map(|(_, laggard)| laggard)
            .collect()
    }

    /// Notifies the subscribers if a connection has crossed the watermark since the sweep before.
    pub(super) fn look_at_watermark(&self, user: &User<E>, member: &Member) {
        let Some(watermark) = self.config.unread_watermark else {
            return;
        };
        let unread = user.lane.unread(member);
        // One thread finds the mark changed, so each crossing is told once.
        if !member.set_behind(unread >= watermark) {
            return;
        }
        let connection = member.id;
        let is_kept = user.lane.archive().is_some();
        let (session, last) = user.session.last(is_kept);
        self.notify_in(user, session, last, || {
            if unread >= watermark {
                Change::Behind { connection, unread }
            } else {
                Change::CaughtUp { connection }
            }
        });
    }
}
