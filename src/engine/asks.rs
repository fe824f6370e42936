//! Questions that wait for an answer, in a table beside the users' entries.
//!
//! An answer goes to the asker, who holds the question, and to no lane: no device receives it. So this
//! is no second delivery path.

use std::sync::Arc;

use crate::ask::answer::Answer;
use crate::ask::id::{AskId, AskKeys};
use crate::id::UserId;
use crate::lane::audience::Audience;
use crate::lane::wake::WakeCell;
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, Fault, Ordering, broken, fence, pin};
use crate::table::copy_on_write::CopyOnWrite;
use crate::table::storage::Handover;
use crate::table::{Keyed, Table};

/// Questions that wait, of one user and of one hub.
pub(crate) const MAX_ASKS_OF_USER: usize = 64;
pub(crate) const MAX_ASKS: usize = 65_536;
/// Of the table.
const ROOTS: usize = if cfg!(laneway_loom) { 1 } else { 64 };

/// Why a question is over without an answer, as a [`Handover`] keeps it.
pub(crate) mod over {
    pub(crate) const DEADLINE: u8 = 1;
    pub(crate) const NO_DEVICE: u8 = 2;
    /// The answer was taken, or the asker has gone.
    pub(crate) const TAKEN: u8 = 3;
}

/// One question.
pub(crate) struct Question<E> {
    pub(crate) id: AskId,
    /// The devices that may answer, if not all.
    pub(super) audience: Option<Audience>,
    /// The event is accepted. Before that the user may have no device.
    pub(super) is_published: AtomicBool,
    /// In microseconds of the host's time.
    pub(super) deadline: u64,
    pub(crate) verdict: Handover<Answer<E>>,
    /// Of the asker. Only the asker arms it.
    pub(crate) wake: WakeCell,
}

impl<E: Send> Question<E> {
    /// Wakes the asker, after the verdict.
    pub(super) fn tell(&self) {
        // Pairs with the fence of an asker that is about to sleep. This thread decides and then looks for a
        // waker. The asker leaves its waker and then looks at the verdict. Without the fences each could miss the
        // other's write, and the asker would sleep behind its answer.
        fence(Ordering::SeqCst);
        self.wake.wake();
    }

    /// Ends the question, if it still waits.
    pub(super) fn end(&self, reason: u8) {
        if self.verdict.end(reason) {
            self.tell();
        }
    }
}

/// One user's questions.
struct OfUser<E> {
    user: UserId,
    hash: u64,
    waiting: CopyOnWrite<Waiting<E>>,
}

type Questions<E> = Vec<Arc<Question<E>>>;

struct Waiting<E> {
    questions: Questions<E>,
    /// The entry leaves the table, and takes no question any more.
    is_gone: bool,
}

impl<E> Default for Waiting<E> {
    fn default() -> Self {
        Self {
            questions: Vec::new(),
            is_gone: false,
        }
    }
}

impl<E> Keyed for OfUser<E> {
    type Key = UserId;
    fn hash(&self) -> u64 {
        self.hash
    }
    fn key(&self) -> &UserId {
        &self.user
    }
}

/// The limit that a question has come to.
pub(super) enum NoRoom {
    OfUser,
    OfHub,
}

/// The reason why an entry has not taken a question.
enum NotListed {
    Gone,
    Full,
}

/// The questions of one hub.
pub(crate) struct Asks<E> {
    table: Table<OfUser<E>>,
    waiting: AtomicUsize,
    /// Questions so far.
    asked: AtomicU64,
    keys: AskKeys,
}

impl<E: Send + Sync> Asks<E> {
    pub(super) fn new() -> Self {
        Self {
            table: Table::new(ROOTS),
            waiting: AtomicUsize::new(0),
            asked: AtomicU64::new(0),
            keys: AskKeys::new(),
        }
    }

    /// Returns whether any question waits.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.load(Ordering::Acquire) == 0
    }

    /// Returns whether the id is one of this user's.
    pub(super) fn is_of(&self, id: AskId, user: &UserId) -> bool {
        self.keys.is_of(id, user)
    }

    /// Adds a question to a user. Lock-free.
    pub(super) fn add(
        &self,
        user: &UserId,
        hash: u64,
        audience: Option<Audience>,
        deadline: u64,
    ) -> Result<Arc<Question<E>>, NoRoom> {
        // Counted before it is listed, so that the limit holds, and a thread that finds none may skip the table.
        if self.waiting.fetch_add(1, Ordering::AcqRel) >= MAX_ASKS {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            return Err(NoRoom::OfHub);
        }
        let count = self.asked.fetch_add(1, Ordering::Relaxed);
        let question = Arc::new(Question {
            id: self.keys.id(count, user),
            audience,
            is_published: AtomicBool::new(false),
            deadline,
            verdict: Handover::new(),
            wake: WakeCell::new(),
        });
        let guard = pin();
        // Each repetition means that another thread has emptied the user's list.
        loop {
            let entry = match self.table.get(hash, user, &guard) {
                Some(known) => known.arc(),
                None => self.insert(user, hash),
            };
            let listed = entry.waiting.update(|waiting| {
                if waiting.is_gone && !broken(Fault::AskInAGoneEntry) {
                    return Err(NotListed::Gone);
                }
                if waiting.questions.len() >= MAX_ASKS_OF_USER {
                    return Err(NotListed::Full);
                }
                let mut questions = waiting.questions.clone();
                questions.push(Arc::clone(&question));
                let is_gone = false;
                Ok((Waiting { questions, is_gone }, ()))
            });
            match listed {
                Ok(()) => return Ok(question),
                Err(NotListed::Gone) => drop(self.table.remove(&entry, &guard)),
                Err(NotListed::Full) => {
                    self.waiting.fetch_sub(1, Ordering::AcqRel);
                    return Err(NoRoom::OfUser);
                }
            }
        }
    }

    fn insert(&self, user: &UserId, hash: u64) -> Arc<OfUser<E>> {
        let entry = Arc::new(OfUser {
            user: user.clone(),
            hash,
            waiting: CopyOnWrite::new(),
        });
        self.table.insert(&entry, &pin()).err().unwrap_or(entry)
    }

    /// Removes a question. Its asker calls this, once.
    pub(super) fn remove(&self, user: &UserId, hash: u64, question: &Arc<Question<E>>) {
        let guard = pin();
        let entry = self.table.get(hash, user, &guard).map(|entry| entry.arc());
        let is_empty = entry.as_ref().is_some_and(|entry| {
            let done = entry.waiting.update(|waiting| {
                let others = |other: &&Arc<Question<E>>| !Arc::ptr_eq(other, question);
                let questions: Questions<E> =
                    waiting.questions.iter().filter(others).cloned().collect();
                let is_gone = questions.is_empty();
                Ok::<_, NotListed>((Waiting { questions, is_gone }, is_gone))
            });
            done.unwrap_or(false)
        });
        if let Some(entry) = entry
            && is_empty
        {
            self.table.remove(&entry, &guard);
        }
        self.waiting.fetch_sub(1, Ordering::AcqRel);
    }

    /// Returns a user's questions.
    pub(super) fn of(&self, user: &UserId, hash: u64) -> Questions<E> {
        let guard = pin();
        let entry = self.table.get(hash, user, &guard);
        entry.map_or_else(Vec::new, |entry| entry.waiting.load().questions.clone())
    }

    /// Calls `f` with each user and the user's questions.
    pub(super) fn for_each(&self, mut f: impl FnMut(&UserId, &[Arc<Question<E>>])) {
        self.table
            .for_each(|entry| f(&entry.user, &entry.waiting.load().questions));
    }
}
