//! A table of papaya with a crossbeam `ArrayQueue` a device. A full queue drops its oldest event,
//! silently; two publishers' events may reach two devices in two orders; there is no waiting.

use std::sync::Arc;

use ahash::RandomState;
use crossbeam_queue::ArrayQueue;
use papaya::{Compute, HashMap, Operation};
use smallvec::SmallVec;

use super::Rival;

type Queues<E> = SmallVec<[Arc<ArrayQueue<E>>; 1]>;

pub(crate) struct Peer<E> {
    users: HashMap<String, Queues<E>, RandomState>,
    capacity: usize,
}

impl<E: Clone + Send + Sync + 'static> Rival<E> for Peer<E> {
    type User = String;
    type Tab = Arc<ArrayQueue<E>>;
    const SLEEPS: bool = false;

    fn new(capacity: usize) -> Self {
        Self {
            users: HashMap::with_hasher(RandomState::new()),
            capacity,
        }
    }
    fn user(&self, name: &str) -> String {
        name.to_owned()
    }
    fn connect(&self, user: &String) -> Self::Tab {
        let queue = Arc::new(ArrayQueue::new(self.capacity));
        self.users.pin().update_or_insert_with(
            user.clone(),
            |queues| queues.iter().chain([&queue]).cloned().collect(),
            || [Arc::clone(&queue)].into_iter().collect(),
        );
        queue
    }
    fn disconnect(&self, user: &String, tab: Self::Tab) {
        let pinned = self.users.pin();
        let done = pinned.compute(user.clone(), |entry| {
            let Some((_, queues)) = entry else {
                return Operation::Abort(());
            };
            let rest: Queues<E> = queues
                .iter()
                .filter(|queue| !Arc::ptr_eq(queue, &tab))
                .cloned()
                .collect();
            if rest.is_empty() {
                Operation::Remove
            } else {
                Operation::Insert(rest)
            }
        });
        debug_assert!(!matches!(done, Compute::Aborted(())));
    }
    fn publish(&self, user: &String, event: E) -> bool {
        let pinned = self.users.pin();
        let Some((last, others)) = pinned.get(user).and_then(|queues| queues.split_last()) else {
            return false;
        };
        for queue in others {
            queue.force_push(event.clone());
        }
        last.force_push(event);
        true
    }
    fn receive(&self, tab: &mut Self::Tab) -> Option<E> {
        tab.pop()
    }
    fn wait(&self, tab: &mut Self::Tab) -> Option<E> {
        loop {
            match tab.pop() {
                Some(event) => return Some(event),
                None => std::hint::spin_loop(),
            }
        }
    }
}
