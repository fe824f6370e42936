//! Turns: how much a task does before it gives way to the other tasks of its executor.

use std::future::poll_fn;
use std::mem::replace;
use std::task::{Context, Poll};

/// Results that a task can take, or look for in vain, before it gives way.
const TURNS: u8 = 64;

/// Counts one more turn. Returns `false` if the task is to give way.
#[inline]
pub(crate) fn take_turn(turns: &mut u8) -> bool {
    let may = *turns < TURNS;
    *turns += u8::from(may);
    may
}

/// Ends a task's turns. The task wakes itself, because no other thread is asked to.
pub(crate) fn give_way<R>(turns: &mut u8, cx: &Context<'_>) -> Poll<R> {
    *turns = 0;
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// Gives way once.
pub(crate) async fn rest() {
    let mut is_done = false;
    poll_fn(|cx| {
        if replace(&mut is_done, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
