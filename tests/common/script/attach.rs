//! Connections are attached to threads and detached from them.

use laneway::AttachError;

use super::weaker::attach_error;
use super::{Run, THREADS, thread_id, thread_ids};

impl Run {
    /// By the connection itself, or by its user.
    pub(super) fn attach(&mut self, at: u8, thread: u8, on: bool) {
        let Some(at) = self.handle(at) else { return };
        let handle = &self.handles[at];
        let (connection, scope) = (&handle.connection, &self.scopes[handle.user as usize]);
        let (by_itself, thread) = ((thread / THREADS).is_multiple_of(2), thread % THREADS);
        // Its user may have another connection with this id.
        if !by_itself && self.model.has_ended(handle.id) {
            return;
        }
        let name = thread_id(thread);
        let done = match (on, by_itself) {
            (true, true) => connection.attach(name),
            (true, false) => scope.attach(connection.id(), name),
            (false, true) => Ok(connection.detach(&name)),
            (false, false) => Ok(scope.detach(connection.id(), &name)),
        };
        if done == Err(AttachError::TooManyThreads { limit: 64 }) {
            return;
        }
        let expected = match self.model.attach(handle.id, 1 << thread, on) {
            // A detach says no more.
            Err(_) if !on => Ok(false),
            Err(why) => Err(attach_error(why)),
            Ok(is_changed) => Ok(is_changed),
        };
        self.seen.bound += usize::from(matches!(expected, Err(AttachError::NotAllowed(_))));
        assert_eq!(done, expected);
        if self.model.has_ended(handle.id) {
            return;
        }
        self.seen.attached += usize::from(done == Ok(true));
        let mut threads = connection.threads();
        threads.sort();
        assert_eq!(threads, thread_ids(self.model.threads(handle.id)));
    }
}
