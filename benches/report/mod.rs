//! The raw data of a run, `record/suite.tsv`, as tables and charts: `RESULTS.md` and `charts/`.

mod charts;
mod data;
mod goals;
mod questions;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::peers::NAMES as PEERS;
use crate::workloads::WORKLOADS;
use data::{Data, Figures, OURS, Rivals, number};

/// What the words of the report mean.
const WORDS: &str = "\
*laneway by scope*: the publisher holds a handle for each user. *By id*: it looks the user up for each event, as every peer \
does. *Ratio*: how many times as good as the best peer laneway is; below 1 it is worse. *Floor*: parts of the work by hand, \
without what a hub does for it; no floor routes anything. The lookup is a hash map's, the SPSC ring has one publisher \
and one reader, the disruptor's ring has several of both, never drops an event and lets a publisher wait instead. One \
broadcast is one channel for all members of a room, who have no lane of their own then. A ring a \
user takes more memory than a lane, so with many users this floor can be slower than laneway.

*Payload V* is an event of 64 bytes that is copied by value. *Payload H* is an event behind an `Arc` that was made once: a \
publish and each delivery copy the pointer and count it. W10 has a payload of its own: a kilobyte behind an `Arc` that is \
made anew for each publish.

Each peer has child processes of its own, three of them on most workloads. The rounds of all peers interleave, disturbed \
rounds are repeated, and a figure is the median of its rounds; a maximum is that of the best round. Figures in `/us` are \
better when higher, all others when lower.

";

/// The charts that the project's README shows. They are copied to where the package has them: a package
/// has nothing of `benches`, which is a package of its own.
const IN_README: [&str; 2] = ["route.svg", "growth.svg"];

/// Returns the path of the record in a directory of results, and makes the directories.
pub(crate) fn record(to: &Path) -> PathBuf {
    for part in ["record", "charts"] {
        std::fs::create_dir_all(to.join(part)).expect("can be made");
    }
    to.join("record/suite.tsv")
}

/// Writes `RESULTS.md` and the charts, from the record in the same directory.
pub(crate) fn write(to: &Path) {
    let data = Data::read(&record(to));
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let charts = to.join("charts");
    let mut out = String::from(
        "# laneway beside its peers\n\nWritten by `cargo bench -p laneway-bench --bench suite -- --report`, from one run. Ratios count, times are one machine's. `record/suite.tsv` has the value of each round.\n\n",
    );
    questions::answer(&data, &mut out);
    out.push_str(WORDS);
    for (name, value) in &data.circumstances {
        writeln!(out, "* {name}: {value}").expect("a string");
    }
    write!(
        out,
        "\nEvents misrouted in all rounds of all peers: {}. Events of laneway unaccounted for: {}.\n\n",
        data.misrouted, data.lost
    )
    .expect("a string");
    goals::goals(&data, &mut out);
    for (title, file) in charts::draw(&data, &charts) {
        write!(out, "![{title}](charts/{file})\n\n").expect("a string");
    }
    let mut last = None;
    for ((workload, payload), peers) in &data.medians {
        let (name, words) = WORKLOADS[*workload];
        if last.replace(workload) != Some(workload) {
            write!(out, "## {name}\n\n{words}\n\n").expect("a string");
        }
        table(&data, name, payload, peers, &mut out);
    }
    out.push_str(&std::fs::read_to_string(here.join("NOTES.md")).unwrap_or_default());
    std::fs::write(to.join("RESULTS.md"), out).expect("can be written");
    if to == here {
        for file in IN_README {
            let packaged = here.join("../src/docs/charts").join(file);
            std::fs::copy(charts.join(file), packaged).expect("can be copied");
        }
    }
}

fn table(
    data: &Data,
    workload: &str,
    payload: &str,
    peers: &BTreeMap<usize, Figures>,
    out: &mut String,
) {
    let Some(figures) = peers.values().map(|f| f.as_slice()).max_by_key(|f| f.len()) else {
        return;
    };
    let names: Vec<_> = figures.iter().map(|(name, _)| name.as_str()).collect();
    write!(out, "### {workload}, payload {payload}\n\n| |").expect("a string");
    for name in &names {
        write!(out, " {name} |").expect("a string");
    }
    out.push_str("\n|---|");
    out.push_str(&"---|".repeat(names.len()));
    out.push('\n');
    for peer in peers.keys() {
        write!(out, "| {} |", PEERS[*peer]).expect("a string");
        for name in &names {
            let value = data.get(workload, payload, PEERS[*peer], name);
            write!(out, " {} |", value.map_or_else(String::new, number)).expect("a string");
        }
        out.push('\n');
    }
    for ours in OURS {
        write!(out, "| *{ours}, times the best peer* |").expect("a string");
        for name in &names {
            let ratio = data.ratio(workload, payload, ours, name, Rivals::All);
            let text = ratio.map(|(_, ratio)| format!("{ratio:.2}"));
            write!(out, " {} |", text.unwrap_or_default()).expect("a string");
        }
        out.push('\n');
    }
    out.push('\n');
}
