//! laneway beside its peers, and the report of it.
//!
//! ```text
//! cargo bench -p laneway-bench --bench suite -- [--quick] [--rounds N] [--workload NAME]…
//!     [--peer NAME]… [--payload V|H]… [--report] [--to DIRECTORY]
//! ```
//!
//! A name may be a part of one. `--report` keeps the run's raw data as `record/suite.tsv`, and writes
//! `RESULTS.md` and the charts from it. With `--rounds 0` it writes them from the record that is there.
//! All of that lies in `benches`, or in another `DIRECTORY`. Without `--report` the raw data goes to
//! `target/laneway-bench.tsv`.

#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // Measuring takes a clock.

mod counting;
mod driver;
mod floors;
mod peers;
mod report;
mod workloads;

use std::io::BufRead;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Instant;

use driver::Plan;
use workloads::{Kilobyte, Round, Shared, Value, burst, set_up};

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::Counting;

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
    let command = format!(
        "cargo bench -p laneway-bench --bench suite -- {}",
        args.join(" ")
    );
    let (mut rounds, mut quick, mut report) = (None, false, false);
    let mut to = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let (mut workloads, mut peers, mut payloads) = (vec![], vec![], vec![]);
    let mut args = args.into_iter();
    while let Some(name) = args.next() {
        let mut value = || args.next().expect("this option has a value");
        match name.as_str() {
            "--quick" => quick = true,
            "--report" => report = true,
            "--rounds" => rounds = Some(value().parse().expect("a number of rounds")),
            "--workload" => workloads.push(value()),
            "--peer" => peers.push(value()),
            "--payload" => payloads.push(value()),
            "--to" => to = value().into(),
            _ => panic!("no such option: {name}"),
        }
    }
    let plan = Plan {
        rounds: rounds.unwrap_or(if quick { 3 } else { 9 }),
        quick,
        workloads: driver::select(&workloads::NAMES, &workloads),
        peers: driver::select(&peers::NAMES, &peers),
        payloads: driver::select(&["V", "H"], &payloads),
    };
    let raw = if report {
        report::record(&to)
    } else {
        driver::scratch()
    };
    if plan.rounds > 0 {
        driver::run(&plan, &command, &raw);
    }
    if report {
        report::write(&to);
    }
}

static CORES: OnceLock<Vec<core_affinity::CoreId>> = OnceLock::new();

/// Keeps this thread on one core, if the machine lets it.
fn pin_to(core: usize) {
    let cores = CORES.get().expect("read at the start");
    if !cores.is_empty() {
        core_affinity::set_for_current(cores[core % cores.len()]);
    }
}

/// Nanoseconds for which this thread has been ready to run and was not let.
fn held_up() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let delay = text.split(' ').nth(1).and_then(|ns| ns.parse().ok());
    delay.unwrap_or(0.0)
}

/// One peer with one workload: says whether it can do it, then a round for each line that comes in.
fn work(peer: &str, workload: &str, payload: &str) {
    pin_to(0);
    let round: Option<Round> = match (peer.starts_with("floor"), workload, payload) {
        (true, _, "V") => floors::set_up::<Value>(peer, workload),
        (true, _, _) => floors::set_up::<Shared>(peer, workload),
        (false, "W10", _) => Some(with_peer!(peer, burst::<_, Kilobyte>())),
        (false, _, "V") => with_peer!(peer, set_up::<_, Value>(workload)),
        (false, _, _) => with_peer!(peer, set_up::<_, Shared>(workload)),
    };
    println!("{}", if round.is_some() { "ready" } else { "unable" });
    let Some(mut round) = round else { return };
    for line in std::io::stdin().lock().lines() {
        line.expect("readable");
        let (start, held) = (Instant::now(), held_up());
        let sample = round();
        let disturbed = (held_up() - held) / start.elapsed().as_nanos() as f64;
        let mut out = vec![format!("disturbed={disturbed}")];
        out.push(format!("misrouted={}", sample.misrouted));
        out.push(format!("lost={}", sample.lost));
        let figures = sample.figures.iter();
        out.extend(figures.map(|(name, value)| format!("{name}={value}")));
        println!("{}", out.join("\t"));
    }
}
