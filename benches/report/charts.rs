//! The charts: horizontal bars on a logarithmic scale, a panel a workload, a bar a peer.

use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::data::{Data, OURS, is_floor};
use crate::peers::NAMES as PEERS;

/// Pixels.
const WIDTH: i32 = 860;
const MARGIN: i32 = 16;
const HEAD: i32 = 64;
const PANEL_HEAD: i32 = 24;
const ROW: i32 = 17;
const NAMES_END: i32 = 170;
const VALUES_START: i32 = 750;

/// What a panel shows: its title in words, the workload, and the figure.
type Group = (&'static str, &'static str, &'static str);

struct Chart {
    file: &'static str,
    title: &'static str,
    payload: &'static str,
    groups: &'static [Group],
}

const CHARTS: [Chart; 4] = [
    Chart {
        file: "route.svg",
        title: "An event to one user of many, published and received",
        payload: "V",
        groups: &[
            ("1 000 users", "W1 1k", "ns/event"),
            ("100 000 users", "W1 100k", "ns/event"),
        ],
    },
    Chart {
        file: "fan-out.svg",
        title: "A publish to all devices of a user",
        payload: "V",
        groups: &[
            ("1 device", "W2 1", "ns/publish"),
            ("16 devices", "W2 16", "ns/publish"),
            ("64 devices", "W2 64", "ns/publish"),
        ],
    },
    Chart {
        file: "growth.svg",
        title: "The slowest call while a million users connect",
        payload: "H",
        groups: &[
            ("connect", "W6", "connect max ns"),
            (
                "publish by another thread meanwhile",
                "W6",
                "publish max ns",
            ),
        ],
    },
    Chart {
        file: "latency.svg",
        title: "From a publish to a receiver that spins on another core",
        payload: "V",
        groups: &[
            ("half of the events arrive within", "W7 spinning", "p50 ns"),
            ("99 of 100 events arrive within", "W7 spinning", "p99 ns"),
        ],
    },
];

/// Draws what there is data for. Returns titles and files.
pub(super) fn draw(data: &Data, to: &Path) -> Vec<(&'static str, &'static str)> {
    let drawn = CHARTS.iter().filter_map(|chart| {
        let panels: Vec<_> = chart
            .groups
            .iter()
            .map(|&(title, workload, figure)| {
                let bar = |peer: &&'static str| {
                    Some((*peer, data.get(workload, chart.payload, peer, figure)?))
                };
                (title, PEERS.iter().filter_map(bar).collect::<Vec<_>>())
            })
            .filter(|(_, bars)| !bars.is_empty())
            .collect();
        if panels.is_empty() {
            return None;
        }
        bars(&to.join(chart.file), chart.title, panels).expect("can be drawn");
        Some((chart.title, chart.file))
    });
    drawn.collect()
}

type Panel = (&'static str, Vec<(&'static str, f64)>);

fn bars(file: &Path, title: &str, panels: Vec<Panel>) -> Result<(), Box<dyn std::error::Error>> {
    let rows: usize = panels.iter().map(|(_, bars)| bars.len()).sum();
    let height = HEAD + rows as i32 * ROW + panels.len() as i32 * (PANEL_HEAD + 12);
    let root = SVGBackend::new(file, (WIDTH as u32, height as u32)).into_drawing_area();
    root.fill(&WHITE)?;
    let font = |size: i32| ("sans-serif", size).into_font().color(&BLACK);
    let left = |size| font(size).pos(Pos::new(HPos::Left, VPos::Center));
    let right = |size| font(size).pos(Pos::new(HPos::Right, VPos::Center));
    root.draw(&Text::new(title.to_owned(), (MARGIN, 18), left(18)))?;
    let mut peers = panels.iter().flat_map(|(_, bars)| bars);
    let has_floor = peers.any(|(peer, _)| is_floor(peer));
    legend(&root, &left(13), has_floor)?;

    let values = || panels.iter().flat_map(|(_, bars)| bars).map(|bar| bar.1);
    // Bars begin at half of the least value, so that the least one is seen, too.
    let least = values().fold(f64::MAX, f64::min) / 2.0;
    let most = values().fold(0.0, f64::max);
    let full = f64::from(VALUES_START - NAMES_END);
    let length = |value: f64| ((value / least).ln() / (most / least).ln() * full) as i32;

    let mut y = HEAD;
    for (title, mut bars) in panels {
        bars.sort_by(|a, b| a.1.total_cmp(&b.1));
        root.draw(&Text::new(title, (MARGIN, y + PANEL_HEAD / 2), left(15)))?;
        y += PANEL_HEAD;
        for (peer, value) in bars {
            let middle = y + ROW / 2;
            let end = NAMES_END + length(value);
            root.draw(&Text::new(peer, (NAMES_END - 8, middle), right(13)))?;
            let corners = [(NAMES_END, y + 2), (end, y + ROW - 2)];
            root.draw(&Rectangle::new(corners, Kind::of(peer).color().filled()))?;
            root.draw(&Text::new(time(value), (end + 6, middle), left(13)))?;
            y += ROW;
        }
        y += 12;
    }
    root.present()?;
    Ok(())
}

/// One row: what the colours say, and the scale.
fn legend(
    root: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    style: &TextStyle<'_>,
    has_floor: bool,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut x = MARGIN;
    let kinds = [
        (Kind::Ours, "laneway"),
        (Kind::Peer, "peers"),
        (Kind::Floor, "floor: parts of the work by hand, not a hub"),
    ];
    for (kind, name) in kinds.into_iter().take(2 + usize::from(has_floor)) {
        let corners = [(x, 38), (x + 12, 50)];
        root.draw(&Rectangle::new(corners, kind.color().filled()))?;
        root.draw(&Text::new(name, (x + 18, 44), style.clone()))?;
        x += 40 + 6 * name.len() as i32;
    }
    root.draw(&Text::new(
        "shorter is better; logarithmic scale",
        (x + 10, 44),
        style.clone(),
    ))?;
    Ok(())
}

/// A time in the unit that suits it.
fn time(ns: f64) -> String {
    match ns {
        ..100.0 => format!("{ns:.1} ns"),
        ..10_000.0 => format!("{ns:.0} ns"),
        ..1e6 => format!("{:.0} µs", ns / 1e3),
        ..1e7 => format!("{:.1} ms", ns / 1e6),
        _ => format!("{:.0} ms", ns / 1e6),
    }
}

enum Kind {
    Ours,
    Peer,
    Floor,
}

impl Kind {
    fn of(peer: &str) -> Self {
        if OURS.contains(&peer) {
            Self::Ours
        } else if is_floor(peer) {
            Self::Floor
        } else {
            Self::Peer
        }
    }

    /// Told apart with any colour vision.
    fn color(&self) -> RGBColor {
        match self {
            Self::Ours => RGBColor(213, 94, 0),
            Self::Peer => RGBColor(0, 114, 178),
            Self::Floor => RGBColor(170, 170, 170),
        }
    }
}
