//! A scope's pass: what the gate asks for.

use std::sync::Arc;

use super::gate::{NEVER, as_open};
use super::grant::Grant;
use crate::sync::{AtomicU64, Ordering};

/// What a scope shows at the gate: when it was made, and when it was found good last.
pub(crate) struct Pass {
    /// The generation in which the hub made the scope. Its clones have the same.
    made_at: u64,
    /// The word of the gate at which the scope was found good.
    good_at: AtomicU64,
    /// The rights of an attenuated scope. Such a scope is good at no word, so each use of it is looked at.
    grant: Option<Arc<Grant>>,
}

impl Pass {
    /// Creates the pass of a scope that the hub makes. The caller loads the gate's word before the
    /// generation: the revocations up to that word then are of this generation or older.
    pub(super) fn new(word: u64, made_at: u64) -> Self {
        Self {
            made_at,
            good_at: AtomicU64::new(as_open(word)),
            grant: None,
        }
    }

    /// Returns the pass of a weaker scope.
    pub(crate) fn with(&self, grant: Grant) -> Self {
        Self {
            made_at: self.made_at,
            good_at: AtomicU64::new(NEVER),
            grant: Some(Arc::new(grant)),
        }
    }

    /// Returns the rights that are left, if not all.
    pub(crate) fn grant(&self) -> Option<&Grant> {
        self.grant.as_deref()
    }

    pub(crate) fn made_at(&self) -> u64 {
        self.made_at
    }

    /// Returns whether the scope was found good when the gate had this word.
    #[inline]
    pub(super) fn is_good_at(&self, word: u64) -> bool {
        // Acquire: pairs with `note`. The thread that noted the word has looked at the revocations
        // up to it.
        self.good_at.load(Ordering::Acquire) == word
    }

    /// Notes that the scope was found good. Called after the look at the revocations: another
    /// thread that shares the scope trusts the word.
    pub(super) fn note(&self, word: u64) {
        self.good_at.store(as_open(word), Ordering::Release);
    }
}

impl Clone for Pass {
    fn clone(&self) -> Self {
        Self {
            made_at: self.made_at,
            good_at: AtomicU64::new(self.good_at.load(Ordering::Acquire)),
            grant: self.grant.clone(),
        }
    }
}
