//! What is known of a connection beside its place in the lane: the host's note, and its threads.

use std::sync::Arc;

use super::attachments::Attachments;
use crate::id::ThreadId;
use crate::table::copy_on_write::CopyOnWrite;

/// What the host says of a connection at its connect.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub(crate) threads: Vec<ThreadId>,
    pub(crate) note: Option<Box<str>>,
    /// The connection is of a scope for one thread, and may be attached to no other.
    pub(crate) is_bound: bool,
}

impl About {
    /// Returns `None` if there is nothing to say.
    pub(crate) fn of(threads: Vec<ThreadId>, note: Option<Box<str>>) -> Option<Box<Self>> {
        (!threads.is_empty() || note.is_some()).then(|| {
            Box::new(Self {
                threads,
                note,
                is_bound: false,
            })
        })
    }
}

/// What other threads may see of it while the connection lives.
#[derive(Default)]
pub(super) struct Profile {
    pub(super) note: Option<Box<str>>,
    pub(super) is_bound: bool,
    pub(super) attachments: CopyOnWrite<Attachments>,
}

impl Profile {
    /// Returns the profile of a connection that has joined at `cursor`.
    pub(super) fn new(about: &About, cursor: u64) -> Arc<Self> {
        Arc::new(Self {
            note: about.note.clone(),
            is_bound: about.is_bound,
            attachments: CopyOnWrite::of(Attachments::new(&about.threads, cursor)),
        })
    }
}
