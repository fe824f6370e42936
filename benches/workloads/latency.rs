//! From a publish to its receiver on another core.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{Event, Round, Sample, histogram, name, ns};
use crate::peers::{CAPACITY, Rival};

/// One event at a time to a receiver on another core, which answers before the next one.
pub(crate) fn paced(
    sleeping: bool,
    mut publish: impl FnMut() -> bool + Send,
    mut receive: impl FnMut() -> bool,
) -> Sample {
    let events = if sleeping { 3_000 } else { 20_000 };
    let pause = Duration::from_micros(if sleeping { 60 } else { 3 });
    let begin = Instant::now();
    let (sent, seen) = (AtomicU64::new(0), AtomicUsize::new(0));
    let (mut times, mut sample) = (histogram(), Sample::default());
    thread::scope(|s| {
        s.spawn(|| {
            crate::pin_to(1);
            for n in 0..events {
                while seen.load(Ordering::Acquire) < n {
                    std::hint::spin_loop();
                }
                // The receiver is given the time to be waiting.
                let from = Instant::now();
                while from.elapsed() < pause {
                    std::hint::spin_loop();
                }
                sent.store(ns(begin), Ordering::Release);
                assert!(publish(), "there is room");
            }
        });
        for n in 0..events {
            sample.misrouted += usize::from(!receive());
            let at = ns(begin);
            times.saturating_record(at - sent.load(Ordering::Acquire));
            seen.store(n + 1, Ordering::Release);
        }
    });
    sample.quantiles(
        &times,
        &[("p50 ns", 0.5), ("p99 ns", 0.99), ("p99.9 ns", 0.999)],
    );
    sample
}

/// W7: from the publish to the receiver on another core.
pub(super) fn latency<H: Rival<E>, E: Event>(sleeping: bool) -> Round {
    let hub = H::new(CAPACITY);
    let source = E::source();
    let user = hub.user(&name(1));
    let mut tab = hub.connect(&user);
    Box::new(move || {
        paced(
            sleeping,
            || hub.publish(&user, E::make(&source, 1)),
            || {
                if sleeping {
                    return hub.wait(&mut tab).is_some_and(|event| event.is_for(1));
                }
                loop {
                    match hub.receive(&mut tab) {
                        Some(event) => return event.is_for(1),
                        None => std::hint::spin_loop(),
                    }
                }
            },
        )
    })
}
