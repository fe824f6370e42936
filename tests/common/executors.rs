//! Runs the same tasks on several executors.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

pub(crate) type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

pub(crate) fn task(future: impl Future<Output = ()> + Send + 'static) -> Task {
    Box::pin(future)
}

/// Runs what `tasks` returns to its end, once on each executor.
pub(crate) fn on_each_executor(tasks: impl Fn() -> Vec<Task>) {
    for (name, run) in EXECUTORS {
        println!("on {name}");
        run(tasks());
    }
}

type Run = fn(Vec<Task>);

const EXECUTORS: [(&str, Run); 5] = [
    ("tokio, one thread", tokio_current_thread),
    ("tokio, three threads", tokio_multi_thread),
    ("async-executor, one thread", async_executor::<1>),
    ("async-executor, three threads", async_executor::<3>),
    ("one of the test's", in_turn),
];

fn tokio_current_thread(tasks: Vec<Task>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(join(tasks));
}

fn tokio_multi_thread(tasks: Vec<Task>) {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(3).build();
    runtime.unwrap().block_on(join(tasks));
}

async fn join(tasks: Vec<Task>) {
    let tasks: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
    for task in tasks {
        task.await.unwrap();
    }
}

fn async_executor<const THREADS: usize>(tasks: Vec<Task>) {
    let executor = async_executor::Executor::new();
    let tasks: Vec<_> = tasks.into_iter().map(|task| executor.spawn(task)).collect();
    let done = &AtomicBool::new(false);
    thread::scope(|s| {
        for _ in 1..THREADS {
            s.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    if !executor.try_tick() {
                        thread::yield_now();
                    }
                }
            });
        }
        block_on(executor.run(async {
            for task in tasks {
                task.await;
            }
        }));
        done.store(true, Ordering::SeqCst);
    });
}

struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls a future to its end, and parks the thread in between.
pub(crate) fn block_on<R>(future: impl Future<Output = R>) -> R {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(done) => return done,
            Poll::Pending => thread::park(),
        }
    }
}

/// Polls tasks in turn, each only when it was woken. All wakes come from these tasks.
fn in_turn(tasks: Vec<Task>) {
    struct Woken(AtomicBool);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let woken = || Arc::new(Woken(AtomicBool::new(true)));
    let mut left: Vec<_> = tasks.into_iter().map(|task| (task, woken())).collect();
    while !left.is_empty() {
        let mut is_stuck = true;
        left.retain_mut(|(task, woken)| {
            if !woken.0.swap(false, Ordering::SeqCst) {
                return true;
            }
            is_stuck = false;
            let waker = Waker::from(Arc::clone(woken));
            let polled = task.as_mut().poll(&mut Context::from_waker(&waker));
            polled.is_pending()
        });
        assert!(!is_stuck, "no task was woken");
    }
}
