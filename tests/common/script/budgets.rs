//! Bytes of unread events in a script, beside what the hub says that they are.

use super::{Run, USERS};
use crate::common::model::budgets::Held;

impl Run {
    /// Looks how many bytes each lane holds, before a call that may publish.
    pub(super) fn see_bytes(&mut self) {
        if !self.budgets.is_any() {
            return;
        }
        for user in 0..USERS {
            let listed = self.scopes[user as usize].connections();
            let bytes = listed.first().map(|info| info.lane_bytes);
            self.model.see_bytes(user, bytes);
        }
    }

    /// What is held is what is unread or kept.
    pub(super) fn compare_bytes(&self, unread_bytes: u64) {
        if !self.budgets.is_any() {
            assert_eq!(unread_bytes, 0);
            return;
        }
        let is_within = |bytes: u64, held: Held| {
            let within = held.least <= bytes && bytes <= held.most;
            assert!(within, "{bytes} bytes are held, not {held:?}");
        };
        is_within(unread_bytes, self.model.held_by_all());
        for user in 0..USERS {
            for info in self.scopes[user as usize].connections() {
                is_within(info.lane_bytes, self.model.held(user));
            }
        }
    }
}
