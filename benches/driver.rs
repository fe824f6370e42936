//! Starts one child per peer and workload, runs their rounds in turn, and prints medians.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// What to run.
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    pub(crate) workloads: Vec<&'static str>,
    pub(crate) peers: Vec<&'static str>,
    pub(crate) payloads: Vec<&'static str>,
}

struct Worker {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Worker {
    fn start(peer: &str, workload: &str, payload: &str) -> Self {
        let program = std::env::current_exe().expect("a program has a path");
        let mut child = Command::new(program)
            .args(["--worker", peer, workload, payload])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        Self {
            to: child.stdin.take().expect("piped"),
            from: BufReader::new(child.stdout.take().expect("piped")),
            child,
        }
    }

    /// One round: figures by name.
    fn round(&mut self) -> Vec<(String, f64)> {
        self.to.write_all(b"\n").expect("the worker lives");
        let mut line = String::new();
        self.from.read_line(&mut line).expect("the worker answers");
        let figure = |part: &str| {
            let (name, value) = part.split_once('=').expect("name=value");
            (name.to_owned(), value.parse().expect("a number"))
        };
        line.trim().split('\t').map(figure).collect()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

pub(crate) fn run(plan: &Plan) {
    for workload in &plan.workloads {
        for payload in &plan.payloads {
            compare(plan, workload, payload);
        }
    }
}

fn compare(plan: &Plan, workload: &str, payload: &str) {
    let mut workers: Vec<_> = plan
        .peers
        .iter()
        .map(|peer| Worker::start(peer, workload, payload))
        .collect();
    // The first round warms caches, branch predictors and lanes.
    for worker in &mut workers {
        worker.round();
    }
    let mut rounds = vec![Vec::new(); workers.len()];
    for round in 0..plan.rounds {
        for at in 0..workers.len() {
            // In another order each time, so that no peer always follows the same other.
            let at = (at + round) % workers.len();
            rounds[at].push(workers[at].round());
        }
    }
    println!(
        "\n{workload}, payload {payload}, median of {} rounds",
        plan.rounds
    );
    for (peer, rounds) in plan.peers.iter().zip(&rounds) {
        print!("  {peer:<22}");
        for (figure, (name, _)) in rounds[0].iter().enumerate() {
            let mut values: Vec<_> = rounds.iter().map(|round| round[figure].1).collect();
            print!("  {:>9.2} {name}", median(&mut values));
        }
        println!();
    }
}

/// The names among `all` that contain one of the given ones.
pub(crate) fn select(all: &[&'static str], wanted: &[String]) -> Vec<&'static str> {
    let chosen =
        |name: &&&str| wanted.is_empty() || wanted.iter().any(|w| name.contains(w.as_str()));
    all.iter().filter(chosen).copied().collect()
}
