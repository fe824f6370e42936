//! A warm publish or receive never enters the kernel: no lock, no futex, no call at all.
#![cfg(not(any(laneway_loom, laneway_shuttle)))]

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use laneway::{Hub, Received, UserId};

const WORKER: &str = "LANEWAY_TRACED";
const EVENTS: u64 = 100_000;

/// Where every thread of the worker waits, turning, until all are there.
fn meet(arrived: &AtomicUsize, threads: usize) {
    arrived.fetch_add(1, Ordering::AcqRel);
    while arrived.load(Ordering::Acquire) < threads {
        std::hint::spin_loop();
    }
}

fn worker() {
    let hub = Hub::builder().lane_capacity(64).build::<u64>().unwrap();
    let scope = hub.scope(UserId::new("ann").unwrap());
    let mut connection = scope.connect().unwrap();
    for n in 0..64 {
        scope.publish(n).unwrap();
        connection.try_recv().unwrap();
    }
    let (begin, end) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|s| {
        s.spawn(|| {
            // This thread's first pin registers it with the collector.
            let _ = scope.connection_count();
            eprintln!("traced thread");
            meet(&begin, 2);
            eprintln!("traced part begins");
            for n in 0..EVENTS {
                while scope.try_publish(n).is_err() {}
            }
            meet(&end, 2);
        });
        eprintln!("traced thread");
        meet(&begin, 2);
        for n in 0..EVENTS {
            loop {
                match connection.try_recv() {
                    Ok(Received::Event(delivered)) => break assert_eq!(delivered.event, n),
                    Ok(_) => panic!("try_publish makes no gap"),
                    Err(_) => std::hint::spin_loop(),
                }
            }
        }
        // The other thread spins until this is printed, so no thread sleeps before.
        eprintln!("traced part ends");
        meet(&end, 2);
    });
}

#[test]
fn warm_publish_and_receive_make_no_system_call() {
    if std::env::var_os(WORKER).is_some() {
        return worker();
    }
    let program = std::env::current_exe().unwrap();
    let traced = Command::new("strace")
        .arg("-f")
        .arg(program)
        .args([
            "--exact",
            "warm_publish_and_receive_make_no_system_call",
            "--nocapture",
        ])
        .env(WORKER, "1")
        .output();
    let Ok(traced) = traced else {
        println!("not checked: strace is not installed");
        return;
    };
    let trace = String::from_utf8_lossy(&traced.stderr);
    assert!(traced.status.success(), "{trace}");
    let is_call = |line: &&str, name: &str| line.contains(&format!("{name}("));
    let begins = |line: &&str| is_call(line, "write") && line.contains("part begins");
    let ends = |line: &&str| is_call(line, "write") && line.contains("part ends");
    // The two threads; the test harness's own may still be on its way to its rest.
    let pid = |line: &str| line.split(']').next().map(str::to_owned);
    let named = |line: &&str| is_call(line, "write") && line.contains("traced thread");
    let threads: Vec<_> = trace.lines().filter(named).filter_map(pid).collect();
    assert_eq!(threads.len(), 2, "{trace}");
    let part: Vec<_> = trace
        .lines()
        .skip_while(|line| !begins(line))
        .skip(1)
        .take_while(|line| !ends(line))
        .filter(|line| threads.iter().any(|thread| line.starts_with(thread)))
        // The rest of a line that another thread's call had cut in two is no call.
        .filter(|line| line.contains('(') && !line.contains("resumed>"))
        .collect();
    assert!(trace.lines().any(|line| ends(&line)), "{trace}");
    assert!(
        trace.contains("futex("),
        "starting a thread takes one, so it would be seen"
    );
    assert_eq!(part, Vec::<&str>::new(), "calls in the traced part");
    println!("{EVENTS} events from one thread to another: no system call");
}
