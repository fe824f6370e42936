//! laneway beside its peers: `cargo bench -p laneway-bench -- [--rounds N] [--workload NAME]…
//! [--peer NAME]… [--payload V|H]…`; a name may be a part of one.

#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // Measuring takes a clock.

mod driver;
mod peers;
mod workloads;

use std::io::BufRead;
use std::sync::OnceLock;

use driver::Plan;
use workloads::{Round, Shared, Value, set_up};

fn main() {
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    // Read once: a pinned thread would inherit and report only its own core.
    CORES.get_or_init(|| core_affinity::get_core_ids().unwrap_or_default());
    if let [flag, peer, workload, payload] = args.as_slice()
        && flag == "--worker"
    {
        work(peer, workload, payload);
        return;
    }
    let (mut rounds, mut workloads, mut peers, mut payloads) = (11, vec![], vec![], vec![]);
    let mut args = args.into_iter();
    while let Some(name) = args.next() {
        let value = args.next().expect("every option has a value");
        match name.as_str() {
            "--rounds" => rounds = value.parse().expect("a number of rounds"),
            "--workload" => workloads.push(value),
            "--peer" => peers.push(value),
            "--payload" => payloads.push(value),
            _ => panic!("no such option: {name}"),
        }
    }
    driver::run(&Plan {
        rounds,
        workloads: driver::select(&workloads::NAMES, &workloads),
        peers: driver::select(&peers::NAMES, &peers),
        payloads: driver::select(&["V", "H"], &payloads),
    });
}

static CORES: OnceLock<Vec<core_affinity::CoreId>> = OnceLock::new();

/// Keeps this thread on one core, if the machine lets it.
fn pin_to(core: usize) {
    let cores = CORES.get().expect("read at the start");
    if !cores.is_empty() {
        core_affinity::set_for_current(cores[core % cores.len()]);
    }
}

/// One peer with one workload: a round for each line that comes in.
fn work(peer: &str, workload: &str, payload: &str) {
    pin_to(0);
    let mut round: Round = match payload {
        "V" => with_peer!(peer, set_up::<_, Value>(workload)),
        _ => with_peer!(peer, set_up::<_, Shared>(workload)),
    };
    for line in std::io::stdin().lock().lines() {
        line.expect("readable");
        let sample = round();
        let mut out: Vec<_> = sample
            .figures
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        out.push(format!("misrouted={}", sample.misrouted));
        out.push(format!("lost={}", sample.lost));
        println!("{}", out.join("\t"));
    }
}
