//! The charts.

use std::path::Path;

use plotters::prelude::*;

use super::data::{Data, OURS, is_floor, number};
use crate::peers::NAMES as PEERS;

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

pub(super) fn draw(data: &Data, to: &Path) -> Vec<(&'static str, &'static str)> {
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
