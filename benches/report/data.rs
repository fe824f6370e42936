//! The raw data of a run: medians by workload, payload, peer and figure.

use std::collections::BTreeMap;
use std::path::Path;

use crate::driver::median;
use crate::peers::{LOCKLESS, NAMES as PEERS};
use crate::workloads::NAMES as WORKLOADS;

pub(super) const OURS: [&str; 2] = ["laneway by id", "laneway by scope"];

/// The medians of one peer's figures.
pub(super) type Figures = Vec<(String, f64)>;

/// Medians and what they were taken in.
pub(super) struct Data {
    pub(super) circumstances: Vec<(String, String)>,
    /// By workload and payload, then by peer: the figures in their order.
    pub(super) medians: BTreeMap<(usize, String), BTreeMap<usize, Figures>>,
    pub(super) misrouted: f64,
    pub(super) lost: f64,
}

impl Data {
    pub(super) fn read(record: &Path) -> Self {
        let text = std::fs::read_to_string(record).expect("there is a record");
        let mut data = Self {
            circumstances: Vec::new(),
            medians: BTreeMap::new(),
            misrouted: 0.0,
            lost: 0.0,
        };
        for line in text.lines() {
            let fields: Vec<_> = line.split('\t').collect();
            if let [name, value] = fields.as_slice() {
                let name = name.trim_start_matches("# ").to_owned();
                data.circumstances.push((name, (*value).to_owned()));
                continue;
            }
            let [workload, payload, peer, figure, rounds @ ..] = fields.as_slice() else {
                panic!("not a line of a run: {line}");
            };
            let rounds = rounds.iter().map(|value| value.parse().expect("a number"));
            let mut rounds: Vec<f64> = rounds.collect();
            let at = |names: &[&str], name| names.iter().position(|n| n == name).expect("known");
            match *figure {
                "misrouted" => data.misrouted += rounds.iter().sum::<f64>(),
                // Events that a peer loses in silence count against the peer only. The raw data has them.
                "lost" if OURS.contains(peer) => data.lost += rounds.iter().sum::<f64>(),
                "lost" | "disturbed" => {}
                _ => {
                    // The worst time of a round tells of the machine as much as of the hub: that of the
                    // best round.
                    let of = if figure.ends_with("max ns") {
                        rounds.iter().copied().fold(f64::INFINITY, f64::min)
                    } else {
                        median(&mut rounds)
                    };
                    let cell = (at(&WORKLOADS, workload), (*payload).to_owned());
                    let peers = data.medians.entry(cell).or_default();
                    let figures = peers.entry(at(&PEERS, peer)).or_default();
                    figures.push(((*figure).to_owned(), of));
                }
            }
        }
        data
    }

    pub(super) fn get(
        &self,
        workload: &str,
        payload: &str,
        peer: &str,
        figure: &str,
    ) -> Option<f64> {
        let at = |names: &[&str], name| names.iter().position(|n| *n == name);
        let key = (at(&WORKLOADS, workload)?, payload.to_owned());
        let figures = self.medians.get(&key)?.get(&at(&PEERS, peer)?)?;
        let found = figures.iter().find(|(name, _)| name == figure);
        found.map(|&(_, value)| value)
    }

    /// Our figure, times another's.
    pub(super) fn of(
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
    pub(super) fn over(&self, one: (&str, &str), other: (&str, &str)) -> Option<f64> {
        let get = |(workload, figure)| self.get(workload, "H", OURS[1], figure);
        Some(get(one)? / get(other)?)
    }

    /// By how much one of our figures of W10 is above another.
    pub(super) fn more(&self, one: &str, other: &str) -> Option<f64> {
        let get = |figure| self.get("W10", "H", OURS[1], figure);
        Some(get(one)? - get(other)?)
    }

    /// Our figure while a million users come, times that of the best peer with a DashMap.
    pub(super) fn of_dashmap(&self, figure: &str) -> Option<f64> {
        let peers = PEERS.iter().filter(|peer| peer.starts_with("DashMap"));
        let ratios = peers.filter_map(|peer| self.of("W6", "H", OURS[1], figure, peer));
        ratios.max_by(f64::total_cmp)
    }

    /// The best peer's name and figure.
    pub(super) fn best(
        &self,
        workload: &str,
        payload: &str,
        figure: &str,
        rivals: Rivals,
    ) -> Option<(&'static str, f64)> {
        let peers = PEERS.iter().filter(|peer| rivals.has(peer));
        let with = peers.filter_map(|p| Some((*p, self.get(workload, payload, p, figure)?)));
        with.min_by(|a, b| {
            let order = a.1.total_cmp(&b.1);
            if is_rate(figure) {
                order.reverse()
            } else {
                order
            }
        })
    }

    /// The best peer, and how many times as good our figure is. Nothing where both are 0.
    pub(super) fn ratio(
        &self,
        workload: &str,
        payload: &str,
        ours: &str,
        figure: &str,
        rivals: Rivals,
    ) -> Option<(&'static str, f64)> {
        let mine = self.get(workload, payload, ours, figure)?;
        let (peer, best) = self.best(workload, payload, figure, rivals)?;
        let ratio = if is_rate(figure) {
            mine / best
        } else {
            best / mine
        };
        ratio.is_finite().then_some((peer, ratio))
    }
}

/// Whom a figure of ours is compared with.
#[derive(Clone, Copy)]
pub(super) enum Rivals {
    All,
    /// Those of [`LOCKLESS`]: with a lock one publisher runs ahead while the other sleeps.
    Lockless,
}

impl Rivals {
    fn has(self, peer: &str) -> bool {
        match self {
            Self::All => !OURS.contains(&peer) && !is_floor(peer),
            Self::Lockless => LOCKLESS.contains(&peer),
        }
    }
}

pub(super) fn is_rate(figure: &str) -> bool {
    figure.ends_with("/us")
}

pub(super) fn is_floor(peer: &str) -> bool {
    peer.starts_with("floor")
}

pub(super) fn number(value: f64) -> String {
    let digits = match value {
        v if v >= 1000.0 => 0,
        v if v >= 100.0 => 1,
        _ => 2,
    };
    format!("{value:.digits$}")
}
