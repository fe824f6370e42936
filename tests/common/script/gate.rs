//! Revocations in a script.

use laneway::Revocation;

use super::Run;
use super::weaker::Weaker;
use crate::common::model::grants;

impl Run {
    /// The host takes back what it has handed out for a user, and makes a new scope. No verb of the old scope does
    /// anything any more, nor one of a scope that was made from it.
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
        let whole = grants::Limits::default();
        let grant = self.model.attenuate(user, None, whole);
        let grant = grant.expect("a scope without limits");
        let closed = self.hub.revoke(&id, revocation);
        assert_eq!(
            closed,
            self.model.revoke(user, kept.map(|(device, _)| device))
        );
        if !is_marked {
            self.scopes[at] = self.hub.scope(id);
        }
        self.keep_weaker(Weaker {
            user,
            grant,
            thread: None,
            scope: old,
        });
        self.seen.revoked += 1;
        self.try_all_weaker(spared);
    }
}
