//! The threads that a connection is attached to, each for an interval of numbers.

use crate::id::ThreadId;
use crate::sync::{Fault, broken};

/// Intervals that a connection may have at once.
pub(crate) const MAX_ATTACHMENTS: usize = 64;

/// The end of an interval that goes on.
const OPEN: u64 = u64::MAX;

/// A connection is attached to a thread for the numbers from `from` to below `to`.
#[derive(Clone, Debug)]
struct Attachment {
    thread: ThreadId,
    from: u64,
    to: u64,
}

impl Attachment {
    fn holds(&self, number: u64) -> bool {
        // By what is attached now, a reader that is behind would lose what came before a detach.
        if broken(Fault::DecideByTheLast) {
            return self.to == OPEN;
        }
        self.from <= number && number < self.to
    }
}

/// All intervals of one connection. Those of one thread do not overlap.
#[derive(Debug, Default)]
pub(crate) struct Attachments {
    list: Vec<Attachment>,
    /// They have changed since the connect, so intervals below the cursor may be gone.
    pub(crate) is_changed: bool,
}

/// The connection has [`MAX_ATTACHMENTS`] intervals.
#[derive(Debug)]
pub(crate) struct TooMany;

impl Attachments {
    /// Attaches a connection that has joined at `from`.
    pub(crate) fn new(threads: &[ThreadId], from: u64) -> Self {
        let mut all = Self {
            list: Vec::with_capacity(threads.len()),
            is_changed: false,
        };
        for thread in threads {
            if !all.has_now(thread) {
                all.open(thread, from);
            }
        }
        all
    }

    fn open(&mut self, thread: &ThreadId, from: u64) {
        self.list.push(Attachment {
            thread: thread.clone(),
            from,
            to: OPEN,
        });
    }

    /// Returns whether the event of `number` for this thread is for the connection.
    pub(crate) fn has(&self, thread: &ThreadId, number: u64) -> bool {
        (self.list.iter()).any(|one| one.holds(number) && one.thread == *thread)
    }

    pub(crate) fn has_now(&self, thread: &ThreadId) -> bool {
        (self.list.iter()).any(|one| one.to == OPEN && one.thread == *thread)
    }

    /// The threads of now, in the order in which the connection was attached to them.
    pub(crate) fn threads(&self) -> impl Iterator<Item = &ThreadId> {
        (self.list.iter())
            .filter(|one| one.to == OPEN)
            .map(|one| &one.thread)
    }

    /// The threads at a number.
    pub(crate) fn threads_at(&self, number: u64) -> impl Iterator<Item = &ThreadId> {
        (self.list.iter())
            .filter(move |one| one.from <= number && number < one.to)
            .map(|one| &one.thread)
    }

    /// Returns the numbers above `number` at which the threads change, in ascending order.
    pub(crate) fn changes_after(&self, number: u64) -> Vec<u64> {
        let ends = self.list.iter().flat_map(|one| [one.from, one.to]);
        let mut all: Vec<u64> = ends.filter(|n| *n > number && *n != OPEN).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Returns a copy without the intervals below `cursor`, which the reader has passed.
    fn after(&self, cursor: u64) -> Self {
        let stay = self.list.iter().filter(|one| one.to > cursor);
        Self {
            list: stay.cloned().collect(),
            is_changed: true,
        }
    }

    /// Returns a copy with this thread attached from `number` on, or `None` if it is attached.
    pub(crate) fn attached(
        &self,
        thread: &ThreadId,
        number: u64,
        cursor: u64,
    ) -> Result<Option<Self>, TooMany> {
        if self.has_now(thread) {
            return Ok(None);
        }
        let mut new = self.after(cursor);
        // An interval that ends here goes on. So a host that detaches and attaches in turn uses no room.
        if let Some(last) =
            (new.list.iter_mut()).find(|one| one.to == number && one.thread == *thread)
        {
            last.to = OPEN;
        } else if new.list.len() < MAX_ATTACHMENTS {
            new.open(thread, number);
        } else {
            return Err(TooMany);
        }
        Ok(Some(new))
    }

    /// Returns a copy with this thread detached from `number` on, or `None` if it is not attached.
    pub(crate) fn detached(&self, thread: &ThreadId, number: u64, cursor: u64) -> Option<Self> {
        let mut new = self.after(cursor);
        let is_it = |one: &Attachment| one.to == OPEN && one.thread == *thread;
        let at = new.list.iter().position(is_it)?;
        new.list[at].to = number;
        if number <= new.list[at].from.max(cursor) {
            new.list.remove(at);
        }
        Some(new)
    }
}

#[cfg(all(test, not(any(laneway_loom, laneway_shuttle))))]
mod tests {
    use super::*;

    fn thread(n: usize) -> ThreadId {
        ThreadId::new(format!("thread {n}")).unwrap()
    }

    #[test]
    fn an_interval_ends_where_the_thread_was_detached() {
        let list = Attachments::new(&[thread(0), thread(0), thread(1)], 5);
        assert_eq!(list.threads().count(), 2, "each once");
        let list = list.detached(&thread(0), 7, 5).unwrap();
        assert!(list.detached(&thread(0), 8, 5).is_none());
        let has = |number| list.has(&thread(0), number);
        assert_eq!([4, 5, 6, 7].map(has), [false, true, true, false]);
        assert!(list.has(&thread(1), 7) && !list.has_now(&thread(0)));
        assert_eq!(list.changes_after(4), [5, 7]);
        assert_eq!(list.changes_after(5), [7]);
    }

    #[test]
    fn an_interval_that_goes_on_takes_no_room_and_a_passed_one_is_dropped() {
        let mut list = Attachments::new(&[thread(0)], 5);
        for _ in 0..1_000 {
            list = list.detached(&thread(0), 6, 5).unwrap();
            list = list.attached(&thread(0), 6, 5).unwrap().unwrap();
        }
        assert_eq!(list.list.len(), 1);
        list = list.detached(&thread(0), 9, 5).unwrap();
        list = list.attached(&thread(1), 9, 8).unwrap().unwrap();
        assert_eq!(list.list.len(), 2);
        list = list.attached(&thread(2), 9, 9).unwrap().unwrap();
        assert_eq!(list.list.len(), 2);
        list = list.detached(&thread(2), 9, 9).unwrap();
        assert_eq!(list.list.len(), 1);
    }

    #[test]
    fn the_list_is_bounded() {
        let mut list = Attachments::default();
        for n in 0..MAX_ATTACHMENTS {
            list = list.attached(&thread(n), 5, 5).unwrap().unwrap();
        }
        assert!(list.attached(&thread(0), 5, 5).unwrap().is_none());
        assert!(list.attached(&thread(64), 5, 5).is_err());
        let list = list.detached(&thread(0), 6, 5).unwrap();
        assert!(list.attached(&thread(64), 6, 5).is_err(), "5 is unread");
        assert!(list.attached(&thread(64), 6, 6).is_ok());
    }
}
