//! R090: connections and notices as streams.
#![cfg(not(any(laneway_loom, laneway_shuttle)))]
#![allow(clippy::disallowed_methods)] // Executors put threads to sleep.

use std::marker::PhantomPinned;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use futures_core::{FusedStream, Stream};
use futures_util::StreamExt;
use laneway::{
    Change, CloseReason, Closed, Connection, Hub, Received, TryRecvError, UserId, UserScope,
};

#[path = "common/executors.rs"]
mod executors;
#[path = "common/random.rs"]
mod random;
#[path = "common/wakes.rs"]
mod wakes;

use executors::{block_on, on_each_executor, task};
use random::Random;
use wakes::Calls;

/// Results that a task gets one after the other.
const TURNS: usize = 64;

fn scope<E: Send + Sync>(hub: &Hub<E>, name: &str) -> UserScope<E> {
    hub.scope(UserId::new(name).unwrap())
}

fn event(received: Received<u32>) -> u32 {
    match received {
        Received::Event(delivered) => delivered.event,
        other => panic!("{other:?}"),
    }
}

#[test]
fn r090_a_stream_of_a_connection_has_its_events_and_ends_on_any_executor() {
    const EVENTS: u32 = 1_000;
    on_each_executor(|| {
        let hub: Hub<u32> = Hub::builder().lane_capacity(2048).build().unwrap();
        let ann = scope(&hub, "ann");
        let mut tasks: Vec<_> = (0..2)
            .map(|_| {
                let device = ann.connect().unwrap();
                task(async move {
                    let events: Vec<_> = device.map(event).collect().await;
                    assert!(events.into_iter().eq(0..EVENTS));
                })
            })
            .collect();
        let mut lifecycle = hub.lifecycle(16).unwrap();
        tasks.push(task(async move {
            let changes: Vec<_> = (&mut lifecycle).map(|notice| notice.change).collect().await;
            assert_eq!(
                changes.len(),
                3,
                "two that leave, and the end of the session"
            );
            assert_eq!(changes.last(), Some(&Change::Offline));
            assert!(lifecycle.is_terminated());
        }));
        tasks.push(task(async move {
            for n in 0..EVENTS {
                ann.publish(n).unwrap();
            }
            drop(hub);
        }));
        tasks
    });
}

#[test]
fn r090_a_stream_ends_once_its_connection_is_closed_and_read_out() {
    let hub: Hub<u32> = Hub::builder().lane_capacity(2).build().unwrap();
    let ann = scope(&hub, "ann");
    let [mut drained, mut cut] = [(); 2].map(|()| ann.connect().unwrap());
    ann.publish_batch([0, 1, 2, 3]).unwrap();
    ann.disconnect(cut.id(), 7);
    hub.shutdown();
    block_on(async {
        let gap = StreamExt::next(&mut drained).await;
        assert!(matches!(gap, Some(Received::Gap { missed: 2, .. })));
        for n in [2, 3] {
            assert!(!drained.is_terminated());
            assert_eq!(StreamExt::next(&mut drained).await.map(event), Some(n));
        }
        for reason in [CloseReason::Shutdown, CloseReason::Disconnected { code: 7 }] {
            let device = match reason {
                CloseReason::Shutdown => &mut drained,
                _ => &mut cut,
            };
            assert!(!device.is_terminated(), "its end was not told yet");
            for _ in 0..2 * TURNS {
                assert_eq!(StreamExt::next(device).await, None);
                assert!(device.is_terminated());
            }
            let closed = Err(TryRecvError::Closed(Closed { reason }));
            assert_eq!(device.try_recv(), closed, "the reason can be had");
            assert!(device.is_terminated(), "for good");
            assert_eq!(StreamExt::next(device).await, None);
        }
    });
}

#[test]
fn r090_a_stream_gives_way_as_a_poll_does() {
    let hub: Hub<u32> = Hub::new();
    let ann = scope(&hub, "ann");
    let mut device = ann.connect().unwrap();
    let calls = Arc::new(Calls::default());
    let waker = Waker::from(Arc::clone(&calls));
    let mut cx = Context::from_waker(&waker);
    for row in 1..5 {
        for n in 0..TURNS as u32 {
            ann.publish(n).unwrap();
            let polled = Pin::new(&mut device).poll_next(&mut cx);
            assert_eq!(polled.map(|got| got.map(event)), Poll::Ready(Some(n)));
        }
        ann.publish(0).unwrap();
        assert!(Pin::new(&mut device).poll_next(&mut cx).is_pending());
        assert_eq!(calls.0.load(Ordering::SeqCst), row, "it wakes itself");
        assert!(device.try_recv().is_ok(), "and loses nothing");
    }
}

#[test]
fn r090_streams_that_are_selected_from_lose_nothing() {
    const EVENTS: u32 = 20_000;
    let hub: Hub<u32> = Hub::new();
    let ann = scope(&hub, "ann");
    let mut device = ann.connect().unwrap();
    let mut random = Random(99);
    let mut cx = Context::from_waker(Waker::noop());
    let (mut next, mut published) = (0, 0);
    while next < EVENTS {
        if published < EVENTS && random.below(2) == 0 {
            ann.publish(published).unwrap();
            published += 1;
        }
        // Polled, and left or taken up again, by the stream, by its adapter, and by the connection's own future.
        let got = match random.below(3) {
            0 => Pin::new(&mut device).poll_next(&mut cx),
            1 => std::pin::pin!(StreamExt::next(&mut device)).poll_in(&mut cx),
            _ => std::pin::pin!(device.next())
                .poll_in(&mut cx)
                .map(Result::ok),
        };
        if let Poll::Ready(got) = got {
            assert_eq!(got.map(event), Some(next));
            next += 1;
        }
    }
}

trait PollIn: Future {
    fn poll_in(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll(cx)
    }
}
impl<F: Future> PollIn for F {}

#[test]
fn r090_connections_are_streams_whatever_their_events_are() {
    fn is_stream<S: FusedStream + Unpin + Send>(_: &S) {}
    #[derive(Clone)]
    struct Pinned {
        _pinned: PhantomPinned,
    }
    let hub: Hub<Pinned> = Hub::new();
    let device: Connection<Pinned> = scope(&hub, "ann").connect().unwrap();
    is_stream(&device);
    is_stream(&hub.lifecycle(1).unwrap());
}
