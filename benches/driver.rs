//! Starts one child per peer and workload, runs their rounds in turn, and keeps what they say.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use crate::workloads::{cores, is_heavy, is_of_one_payload, is_once};

/// A round in which its thread was kept from its core for longer than this part is repeated.
const DISTURBED: f64 = 0.03;

/// Processes of a peer on one workload.
const PROCESSES: usize = 3;

/// What to run.
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    pub(crate) quick: bool,
    pub(crate) workloads: Vec<&'static str>,
    pub(crate) peers: Vec<&'static str>,
    pub(crate) payloads: Vec<&'static str>,
}

/// The figures of one round by name.
type Figures = Vec<(String, f64)>;

struct Worker {
    peer: &'static str,
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    rounds: Vec<Figures>,
}

impl Worker {
    /// `None`: the peer cannot do that.
    fn start(peer: &'static str, workload: &str, payload: &str) -> Option<Self> {
        let program = std::env::current_exe().expect("a program has a path");
        let mut child = Command::new(program)
            .args(["--worker", peer, workload, payload])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let mut worker = Self {
            peer,
            to: child.stdin.take().expect("piped"),
            from: BufReader::new(child.stdout.take().expect("piped")),
            child,
            rounds: Vec::new(),
        };
        (worker.line() == "ready").then_some(worker)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.from.read_line(&mut line).expect("the worker answers");
        line.trim().to_owned()
    }

    fn once(&mut self) -> Figures {
        self.to.write_all(b"\n").expect("the worker lives");
        let figure = |part: &str| {
            let (name, value) = part.split_once('=').expect("name=value");
            (name.to_owned(), value.parse().expect("a number"))
        };
        self.line().split('\t').map(figure).collect()
    }

    /// One round, or the calmest of a few if other load disturbs it.
    fn round(&mut self) {
        let mut best = self.once();
        for _ in 0..2 {
            if best[0].1 <= DISTURBED {
                break;
            }
            let next = self.once();
            if next[0].1 < best[0].1 {
                best = next;
            }
        }
        self.rounds.push(best);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The raw data of the last run without `--report`.
pub(crate) fn scratch() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/laneway-bench.tsv")
}

fn output_of(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    let text = output.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned());
    text.unwrap_or_default()
}

fn machine_cores() -> usize {
    std::thread::available_parallelism().map_or(0, Into::into)
}

/// Where and with what this was measured.
fn circumstances(command: &str) -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find(|line| line.starts_with("model name"));
    let model = model
        .and_then(|line| line.split(": ").nth(1))
        .unwrap_or("unknown");
    let cores = machine_cores();
    format!(
        "# machine\t{model}, {cores} cores, {}\n# rustc\t{}\n# allocator\tthe system's, counted in W10\n# commit\t{}\n# date\t{}\n# command\t{}\n",
        output_of("uname", &["-sr"]),
        output_of("rustc", &["--version"]),
        output_of("git", &["describe", "--always", "--dirty"]),
        output_of("date", &["-u", "+%F %H:%M UTC"]),
        command.trim(),
    )
}

/// Runs the plan, and writes the raw data to the file `to`: a line a figure, with its value in each round.
pub(crate) fn run(plan: &Plan, command: &str, to: &Path) {
    let start = Instant::now();
    let mut raw = circumstances(command);
    for workload in &plan.workloads {
        if cores(workload) > machine_cores() {
            let needs = format!("{workload}, which needs {} cores", cores(workload));
            println!("\nskipped: {needs}");
            writeln!(raw, "# skipped\t{needs}").expect("a string");
            continue;
        }
        for payload in &plan.payloads {
            let skipped =
                is_heavy(workload) && plan.quick || is_of_one_payload(workload) && *payload == "V";
            if !skipped {
                compare(plan, workload, payload, &mut raw);
            }
        }
    }
    writeln!(
        raw,
        "# minutes\t{:.1}",
        start.elapsed().as_secs_f64() / 60.0
    )
    .expect("a string");
    std::fs::write(to, raw).expect("the file of the raw data can be written");
}

/// A peer's rounds.
type Done = Vec<(&'static str, Vec<Figures>)>;

fn compare(plan: &Plan, workload: &str, payload: &str, raw: &mut String) {
    let start = Instant::now();
    let worker = |peer: &&'static str| Worker::start(peer, workload, payload);
    let done = if is_heavy(workload) {
        one_by_one(plan, worker, is_once(workload))
    } else {
        interleaved(plan, worker)
    };
    let seconds = start.elapsed().as_secs();
    println!("\n{workload}, payload {payload}, {seconds} s");
    for (peer, rounds) in done {
        print!("  {peer:<22}");
        for (at, (name, _)) in rounds[0].iter().enumerate() {
            let mut values: Vec<_> = rounds.iter().map(|round| round[at].1).collect();
            write!(raw, "{workload}\t{payload}\t{peer}\t{name}").expect("a string");
            for value in &values {
                write!(raw, "\t{}", short(*value)).expect("a string");
            }
            raw.push('\n');
            let value = median(&mut values);
            if at > 2 || (at > 0 && value > 0.0) {
                print!("  {value:.2} {name}");
            }
        }
        println!();
    }
}

/// Five digits of a value: a record of all rounds stays small enough to be kept in the repository.
fn short(value: f64) -> String {
    let magnitude = value.abs().max(1e-9).log10().floor() as i32;
    let decimals = usize::try_from(4 - magnitude).unwrap_or(0);
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// For peers that need the machine's memory for themselves.
fn one_by_one(plan: &Plan, start: impl Fn(&&'static str) -> Option<Worker>, once: bool) -> Done {
    let run = |mut worker: Worker| {
        if once {
            let once = worker.once();
            worker.rounds.push(once);
        } else {
            (0..plan.rounds.min(3)).for_each(|_| worker.round());
        }
        (worker.peer, std::mem::take(&mut worker.rounds))
    };
    plan.peers.iter().filter_map(start).map(run).collect()
}

/// The peers' rounds in turn. Each peer has several processes, one after another: where a process
/// happens to place its memory changes a figure by up to a quarter, in all of its rounds.
fn interleaved(plan: &Plan, start: impl Fn(&&'static str) -> Option<Worker>) -> Done {
    let mut done: Done = plan.peers.iter().map(|peer| (*peer, Vec::new())).collect();
    let processes = plan.rounds.min(PROCESSES);
    for process in 0..processes {
        let mut workers: Vec<_> = plan.peers.iter().filter_map(&start).collect();
        // The first round warms caches, branch predictors and lanes.
        for worker in &mut workers {
            worker.once();
        }
        let count = workers.len();
        for round in (process..plan.rounds).step_by(processes) {
            for at in 0..count {
                // In another order each time, so that no peer always follows the same other.
                workers[(at + round) % count].round();
            }
        }
        for mut worker in workers {
            let of_peer = done.iter_mut().find(|(peer, _)| *peer == worker.peer);
            of_peer.expect("planned").1.append(&mut worker.rounds);
        }
    }
    done.retain(|(_, rounds)| !rounds.is_empty());
    done
}

/// The names among `all` that are one of the given ones, or contain one that is no whole name.
/// A number is not a part of a longer one: `W1` is not in `W10`.
pub(crate) fn select(all: &[&'static str], wanted: &[String]) -> Vec<&'static str> {
    let chosen = |name: &&&str| {
        let meant = |w: &String| {
            let number = w.ends_with(|c: char| c.is_ascii_digit());
            let ends = |rest: &str| !(number && rest.starts_with(|c: char| c.is_ascii_digit()));
            let mut parts = name.match_indices(w.as_str());
            let is_part = parts.any(|(at, _)| ends(&name[at + w.len()..]));
            **name == w.as_str() || (is_part && !all.contains(&w.as_str()))
        };
        wanted.is_empty() || wanted.iter().any(meant)
    };
    all.iter().filter(chosen).copied().collect()
}
