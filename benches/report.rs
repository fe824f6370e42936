//! The raw data of a run as tables and charts: `RESULTS.md` and `charts/`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use plotters::prelude::*;

use crate::driver::{median, raw_data};
use crate::peers::NAMES as PEERS;
use crate::workloads::{NAMES as WORKLOADS, STALLED};

const OURS: [&str; 2] = ["laneway by id", "laneway by scope"];

/// The medians of one peer's figures.
type Figures = Vec<(String, f64)>;

/// Medians and what they were taken in.
struct Data {
    circumstances: Vec<(String, String)>,
    /// By workload and payload, then by peer: the figures in their order.
    medians: BTreeMap<(usize, String), BTreeMap<usize, Figures>>,
    misrouted: f64,
    lost: f64,
}

impl Data {
    fn read() -> Self {
        let text = std::fs::read_to_string(raw_data()).expect("there was a run before");
        let mut data = Self {
            circumstances: Vec::new(),
            medians: BTreeMap::new(),
            misrouted: 0.0,
            lost: 0.0,
        };
        let mut values: Vec<(Key, Vec<f64>)> = Vec::new();
        for line in text.lines() {
            let fields: Vec<_> = line.split('\t').collect();
            if let [name, value] = fields.as_slice() {
                let name = name.trim_start_matches("# ").to_owned();
                data.circumstances.push((name, (*value).to_owned()));
                continue;
            }
            let [workload, payload, peer, figure, _, value] = fields.as_slice() else {
                panic!("not a line of a run: {line}");
            };
            let at = |names: &[&str], name| names.iter().position(|n| n == name).expect("known");
            let value: f64 = value.parse().expect("a number");
            let key = Key {
                workload: at(&WORKLOADS, workload),
                payload: (*payload).to_owned(),
                peer: at(&PEERS, peer),
                figure: (*figure).to_owned(),
            };
            match *figure {
                "misrouted" => data.misrouted += value,
                // What a peer loses in silence is its own affair; it shows in the raw data.
                "lost" if OURS.contains(peer) => data.lost += value,
                "lost" | "disturbed" => {}
                _ => match values.last_mut() {
                    Some((last, all)) if *last == key => all.push(value),
                    _ => values.push((key, vec![value])),
                },
            }
        }
        for (key, mut all) in values {
            let cell = data.medians.entry((key.workload, key.payload)).or_default();
            let figures = cell.entry(key.peer).or_default();
            // The worst time of a round tells of the machine as much as of the hub: that of the best round.
            let of = if key.figure.ends_with("max ns") {
                all.iter().copied().fold(f64::INFINITY, f64::min)
            } else {
                median(&mut all)
            };
            figures.push((key.figure, of));
        }
        data
    }

    fn get(&self, workload: &str, payload: &str, peer: &str, figure: &str) -> Option<f64> {
        let at = |names: &[&str], name| names.iter().position(|n| *n == name);
        let key = (at(&WORKLOADS, workload)?, payload.to_owned());
        let figures = self.medians.get(&key)?.get(&at(&PEERS, peer)?)?;
        let found = figures.iter().find(|(name, _)| name == figure);
        found.map(|&(_, value)| value)
    }

    /// Our figure, times another's.
    fn of(
        &self,
        workload: &str,
        payload: &str,
        ours: &str,
        figure: &str,
        other: &str,
    ) -> Option<f64> {
        let other = self.get(workload, payload, other, figure)?;
        Some(self.get(workload, payload, ours, figure)? / other)
    }

    /// One of our figures by workload and name, times another, both by scope and with payload H.
    fn over(&self, one: (&str, &str), other: (&str, &str)) -> Option<f64> {
        let get = |(workload, figure)| self.get(workload, "H", OURS[1], figure);
        Some(get(one)? / get(other)?)
    }

    /// Our figure while a million users come, times that of the best peer with a DashMap.
    fn of_dashmap(&self, figure: &str) -> Option<f64> {
        let peers = PEERS.iter().filter(|peer| peer.starts_with("DashMap"));
        let ratios = peers.filter_map(|peer| self.of("W6", "H", OURS[1], figure, peer));
        ratios.max_by(f64::total_cmp)
    }

    /// The best peer's figure, and how many times as good ours is.
    fn ratio(
        &self,
        workload: &str,
        payload: &str,
        ours: &str,
        figure: &str,
    ) -> Option<(&str, f64)> {
        let mine = self.get(workload, payload, ours, figure)?;
        let rivals = PEERS.iter().filter(|p| !OURS.contains(p) && !is_floor(p));
        let with = rivals.filter_map(|p| Some((*p, self.get(workload, payload, p, figure)?)));
        let better = |value: f64| {
            if is_rate(figure) {
                mine / value
            } else {
                value / mine
            }
        };
        with.map(|(peer, value)| (peer, better(value)))
            .min_by(|a, b| a.1.total_cmp(&b.1))
    }
}

#[derive(PartialEq)]
struct Key {
    workload: usize,
    payload: String,
    peer: usize,
    figure: String,
}

fn is_rate(figure: &str) -> bool {
    figure.ends_with("/us")
}

fn is_floor(peer: &str) -> bool {
    peer.starts_with("floor")
}

fn number(value: f64) -> String {
    let digits = match value {
        v if v >= 1000.0 => 0,
        v if v >= 100.0 => 1,
        _ => 2,
    };
    format!("{value:.digits$}")
}

/// The goals: workload, payload, figure, who, at least so many times the best peer.
const GOALS: [(&str, &str, &str, &str, f64); 42] = [
    ("W1 1k", "V", "ns/event", OURS[0], 1.8),
    ("W1 1k", "H", "ns/event", OURS[0], 1.4),
    ("W1 1k", "V", "ns/event", OURS[1], 2.5),
    ("W1 1k", "H", "ns/event", OURS[1], 2.0),
    ("W1 100k", "V", "ns/event", OURS[1], 2.0),
    ("W1 100k", "H", "ns/event", OURS[1], 2.0),
    ("W1 1M", "H", "ns/event", OURS[1], 2.0),
    ("W2 1", "V", "ns/delivery", OURS[1], 2.5),
    ("W2 1", "H", "ns/delivery", OURS[1], 2.0),
    ("W2 4", "V", "ns/delivery", OURS[1], 1.5),
    ("W2 4", "H", "ns/delivery", OURS[1], 1.2),
    ("W2 16", "V", "ns/delivery", OURS[1], 1.5),
    ("W2 16", "H", "ns/delivery", OURS[1], 1.2),
    ("W2 64", "V", "ns/delivery", OURS[1], 1.5),
    ("W2 64", "H", "ns/delivery", OURS[1], 1.2),
    ("W2 4", "V", "ns/delivery drained", OURS[1], 2.0),
    ("W2 16", "V", "ns/delivery drained", OURS[1], 2.0),
    ("W2 64", "V", "ns/delivery drained", OURS[1], 2.0),
    ("W3", "H", "delivered/us", OURS[1], 1.3),
    ("W3", "V", "delivered/us", OURS[1], 1.0),
    ("W3b same", "H", "publishes/us", OURS[1], 1.3),
    ("W3b same", "V", "publishes/us", OURS[1], 1.3),
    ("W3b different", "H", "publishes/us", OURS[1], 1.5),
    ("W3b different", "V", "publishes/us", OURS[1], 1.5),
    ("W4", "H", "pairs/us", OURS[1], 1.3),
    ("W4", "V", "pairs/us", OURS[1], 1.3),
    ("W4", "H", "publish p50 ns", OURS[1], 1.0),
    ("W4", "H", "publish p99 ns", OURS[1], 1.0),
    ("W4", "H", "publish p99.9 ns", OURS[1], 1.0),
    ("W5", "H", "bytes/idle user", OURS[1], 1.0),
    ("W5", "H", "bytes/user after an event", OURS[1], 1.0),
    ("W6", "H", "connects/us", OURS[1], 1.5),
    ("W6", "H", "connect p99.99 ns", OURS[1], 1.0),
    ("W6", "H", "connect max ns", OURS[1], 1.0),
    ("W6", "H", "publish p99.99 ns", OURS[1], 1.0),
    ("W6", "H", "publish max ns", OURS[1], 1.0),
    ("W7 spinning", "V", "p50 ns", OURS[1], 1.0),
    ("W7 spinning", "H", "p50 ns", OURS[1], 1.0),
    ("W7 sleeping", "V", "p50 ns", OURS[1], 1.0),
    ("W7 sleeping", "H", "p50 ns", OURS[1], 1.0),
    ("W9 1k", "H", "ns/user", OURS[1], 1.0),
    ("W9 100k", "H", "ns/user", OURS[1], 1.0),
];

/// The goals that are no comparison with the best peer: what, how much it is, at most so much.
type Bound = (&'static str, fn(&Data) -> Option<f64>, f64);

const BOUNDS: [Bound; 14] = [
    (
        "W1 1k V: by id, times lookup and SPSC ring",
        |d| d.of("W1 1k", "V", OURS[0], "ns/event", "floor: lookup + ring"),
        1.3,
    ),
    (
        "W1 1k H: by id, times lookup and SPSC ring",
        |d| d.of("W1 1k", "H", OURS[0], "ns/event", "floor: lookup + ring"),
        1.3,
    ),
    (
        "W2 H: a publish to 64 devices, times one to a single device",
        |d| d.over(("W2 64", "ns/publish"), ("W2 1", "ns/publish")),
        1.1,
    ),
    (
        "W5 H: bytes an idle user",
        |d| d.get("W5", "H", OURS[1], "bytes/idle user"),
        300.0,
    ),
    (
        "W5 H: bytes a user after an event",
        |d| d.get("W5", "H", OURS[1], "bytes/user after an event"),
        500.0,
    ),
    (
        "W6 H: worst connect, times that of the best peer with DashMap",
        |d| d.of_dashmap("connect max ns"),
        0.1,
    ),
    (
        "W6 H: worst publish, times that of the best peer with DashMap",
        |d| d.of_dashmap("publish max ns"),
        0.1,
    ),
    (
        "W7 spinning V: p50, times the SPSC ring's",
        |d| d.of("W7 spinning", "V", OURS[1], "p50 ns", "floor: SPSC ring"),
        1.4,
    ),
    (
        "W7 spinning H: p50, times the SPSC ring's",
        |d| d.of("W7 spinning", "H", OURS[1], "p50 ns", "floor: SPSC ring"),
        1.4,
    ),
    (
        "W8 H: others' time an event beside a stalled device, times that without",
        |d| d.over(("W8", STALLED[0]), ("W8", "ns/event")),
        1.03,
    ),
    (
        "W8 H: others' p50 beside a stalled device, times that without",
        |d| d.over(("W8", STALLED[1]), ("W8", "p50 ns")),
        1.03,
    ),
    (
        "W8 H: events missed by the other device of the stalled one's user",
        |d| d.get("W8", "H", OURS[1], STALLED[2]),
        0.0,
    ),
    (
        "W9 1k H: an event to a set, a user, times a loop of publishes",
        |d| d.over(("W9 1k", "ns/user"), ("W9 1k", "ns/user in a loop")),
        1.0,
    ),
    (
        "W9 100k H: an event to a set, a user, times a loop of publishes",
        |d| d.over(("W9 100k", "ns/user"), ("W9 100k", "ns/user in a loop")),
        0.333,
    ),
];

/// Writes `RESULTS.md` and the charts.
pub(crate) fn write() {
    let data = Data::read();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let charts = here.join("charts");
    std::fs::create_dir_all(&charts).expect("can be made");
    let mut out = String::from(
        "# laneway beside its peers\n\nWritten by `cargo bench -p laneway-bench --bench suite -- --report`, from one run.\n\n",
    );
    for (name, value) in &data.circumstances {
        writeln!(out, "* {name}: {value}").expect("a string");
    }
    write!(
        out,
        "\nA child process a peer, rounds interleaved, disturbed rounds repeated, medians; a maximum is that of the best \
         round. Payload V is 64 bytes by value, H an `Arc` \
         made once. Figures in `/us` are better when higher, all others when lower. Events misrouted in all rounds of all \
         peers: {}. Events of laneway unaccounted for: {}.\n\n",
        data.misrouted, data.lost
    )
    .expect("a string");
    goals(&data, &mut out);
    for (title, file) in draw(&data, &charts) {
        write!(out, "![{title}](charts/{file})\n\n").expect("a string");
    }
    for ((workload, payload), peers) in &data.medians {
        table(&data, WORKLOADS[*workload], payload, peers, &mut out);
    }
    out.push_str(&std::fs::read_to_string(here.join("NOTES.md")).unwrap_or_default());
    std::fs::write(here.join("RESULTS.md"), out).expect("can be written");
}

fn goals(data: &Data, out: &mut String) {
    out.push_str("## Goals\n\nHow many times as good as the best peer laneway is on each figure, and how many times it is meant to be.\n\n");
    out.push_str("| workload | payload | figure | laneway | best peer | ratio | goal | |\n|---|---|---|---|---|---|---|---|\n");
    for (workload, payload, figure, ours, goal) in GOALS {
        if let Some((peer, ratio)) = data.ratio(workload, payload, ours, figure) {
            let met = if ratio >= goal { "met" } else { "missed" };
            let ours = ours.trim_start_matches("laneway ");
            writeln!(
                out,
                "| {workload} | {payload} | {figure} | {ours} | {peer} | {ratio:.2} | {goal} | {met} |"
            )
            .expect("a string");
        }
    }
    out.push_str("\n| what | is | at most | |\n|---|---|---|---|\n");
    for (what, is, limit) in BOUNDS {
        if let Some(is) = is(data) {
            let met = if is <= limit { "met" } else { "missed" };
            writeln!(out, "| {what} | {} | {limit} | {met} |", number(is)).expect("a string");
        }
    }
    out.push('\n');
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
    write!(out, "## {workload}, payload {payload}\n\n| |").expect("a string");
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
            let ratio = data.ratio(workload, payload, ours, name);
            let text = ratio.map(|(_, ratio)| format!("{ratio:.2}"));
            write!(out, " {} |", text.unwrap_or_default()).expect("a string");
        }
        out.push('\n');
    }
    out.push('\n');
}

/// One line of a chart: a peer's figure for each of several workloads.
type Series = (&'static str, Vec<f64>);

fn series(data: &Data, workloads: &[&str], payload: &str, figure: &str) -> Vec<Series> {
    let of = |peer: &&'static str| {
        let values = workloads
            .iter()
            .map(|w| data.get(w, payload, peer, figure))
            .collect::<Option<Vec<_>>>()?;
        Some((*peer, values))
    };
    PEERS.iter().filter_map(of).collect()
}

fn draw(data: &Data, to: &Path) -> Vec<(&'static str, &'static str)> {
    let growing = ["W1 1k", "W1 100k"];
    let devices = ["W2 1", "W2 4", "W2 16", "W2 64"];
    let charts = [
        (
            "Publish and receive, a random one of so many users, ns an event (payload V)",
            "route.svg",
            series(data, &growing, "V", "ns/event"),
            &growing[..],
        ),
        (
            "Publish to one user with so many devices, ns a publish (payload V)",
            "fan-out.svg",
            series(data, &devices, "V", "ns/publish"),
            &devices[..],
        ),
        (
            "Worst connect and publish while a million users come, ns (payload H)",
            "growth.svg",
            ["connect max ns", "publish max ns"]
                .map(|figure| series(data, &["W6"], "H", figure))
                .into_iter()
                .reduce(|a, b| {
                    let both = a.into_iter().zip(b);
                    both.map(|((peer, a), (_, b))| (peer, [a, b].concat()))
                        .collect()
                })
                .unwrap_or_default(),
            &["connect", "publish"][..],
        ),
        (
            "From publish to a spinning receiver on another core, ns (payload V)",
            "latency.svg",
            ["p50 ns", "p99 ns"]
                .map(|figure| series(data, &["W7 spinning"], "V", figure))
                .into_iter()
                .reduce(|a, b| {
                    let both = a.into_iter().zip(b);
                    both.map(|((peer, a), (_, b))| (peer, [a, b].concat()))
                        .collect()
                })
                .unwrap_or_default(),
            &["p50", "p99"][..],
        ),
    ];
    let mut drawn = Vec::new();
    for (title, file, series, groups) in charts {
        if !series.is_empty() {
            bars(&to.join(file), title, &series, groups).expect("can be drawn");
            drawn.push((title, file));
        }
    }
    drawn
}

/// Bars on a logarithmic scale: a group a workload, a bar a peer.
fn bars(
    file: &Path,
    title: &str,
    series: &[Series],
    groups: &[&str],
) -> Result<(), Box<dyn std::error::Error>> {
    let all = || series.iter().flat_map(|(_, values)| values);
    let most = all().copied().fold(1.0, f64::max) * 2.0;
    let least = all().copied().fold(f64::MAX, f64::min) / 2.0;
    let width = series.len() as f64 + 1.0;
    let root = SVGBackend::new(file, (900, 420)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(30)
        .y_label_area_size(70)
        .right_y_label_area_size(190)
        .build_cartesian_2d(
            0.0..width * groups.len() as f64,
            (least..most).log_scale().with_key_points(vec![
                1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9,
            ]),
        )?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(2 * groups.len() + 1)
        .x_label_formatter(&|x| {
            let middle = |g: &usize| (x - (*g as f64 + 0.5) * width).abs() < width / 4.0;
            let group = (0..groups.len()).find(middle);
            group.map_or_else(String::new, |g| groups[g].to_owned())
        })
        .y_label_formatter(&|y| number(*y))
        .draw()?;
    for (at, (peer, values)) in series.iter().enumerate() {
        let color = color(at, peer);
        let bar = |(group, value): (usize, &f64)| {
            let x = group as f64 * width + at as f64 + 0.5;
            Rectangle::new([(x, least), (x + 0.9, *value)], color.filled())
        };
        chart
            .draw_series(values.iter().enumerate().map(bar))?
            .label(*peer)
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], color.filled()));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::Coordinate(655, 10))
        .label_font(("sans-serif", 13))
        .draw()?;
    root.present()?;
    Ok(())
}

/// Ours stand out, floors are grey.
fn color(at: usize, peer: &str) -> RGBColor {
    match (OURS.contains(&peer), is_floor(peer)) {
        (true, _) => [RGBColor(200, 40, 40), RGBColor(240, 120, 60)][at % 2],
        (_, true) => RGBColor(190, 190, 190),
        _ => {
            let shade = 40 + 22 * (at as u8 % 8);
            RGBColor(shade / 2, shade, 200)
        }
    }
}
