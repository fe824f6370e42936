//! Revocations in a script.

use laneway::{ConnectError, Revocation, UserScope};

use super::{Run, Tainted};

impl Run {
    /// The host takes back what it has handed out for a user, and makes a new scope. The old scope does nothing
    /// any more.
    pub(super) fn revoke(&mut self, user: u8, spared: u8) {
        let at = user as usize;
        let id = self.scopes[at].user().clone();
        // A mark between the old scope and the new one revokes as much as a revocation without one.
        let mark = self.hub.next_generation();
        let fresh = self.hub.scope(id.clone());
        let old = std::mem::replace(&mut self.scopes[at], fresh);
        let (is_marked, keeps_one) = (spared.is_multiple_of(2), spared.is_multiple_of(3));
        let known = self
            .ids
            .get(spared as usize % self.ids.len().max(1))
            .copied();
        let kept = known.filter(|_| keeps_one);
        let mut revocation = if is_marked {
            Revocation::before(mark)
        } else {
            Revocation::all()
        };
        if let Some((_, theirs)) = kept {
            revocation = revocation.keep_connection(theirs);
        }
        let closed = self.hub.revoke(&id, revocation);
        assert_eq!(
            closed,
            self.model.revoke(user, kept.map(|(device, _)| device))
        );
        if !is_marked {
            self.scopes[at] = self.hub.scope(id);
        }
        self.revoked.push(old);
        self.seen.revoked += 1;
        for at in 0..self.revoked.len().min(4) {
            self.try_revoked(at);
        }
    }

    fn try_revoked(&mut self, at: usize) {
        let event = self.event(0);
        self.offered += 1;
        let scope: &UserScope<Tainted> = &self.revoked[at];
        let refused = scope.publish(event).expect_err("it was revoked");
        assert!(refused.is_revoked());
        assert_eq!(
            refused.into_inner().serial,
            self.serial,
            "the event comes back"
        );
        assert_eq!(scope.connect().err(), Some(ConnectError::Revoked));
        assert_eq!(scope.disconnect_all(1), 0);
    }
}
