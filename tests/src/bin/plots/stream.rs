//! Sound over UDP and over TCP on the same link: what `stream compare --tsv` has written.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use plotters::prelude::*;

use ::tests::draw::{self, BLUE, GREEN, ORANGE, PURPLE};

/// A stream at one rate of loss.
struct Stream {
    loss: f64,
    protocol: String,
    median_ms: f64,
    most_ms: f64,
    /// The share of the sound that is missing or late, per cent.
    missing: f64,
}

fn read(path: &Path) -> Result<Vec<Stream>> {
    let text = fs::read_to_string(path).with_context(|| {
        format!("{}: no results; `stream compare --tsv` makes them", path.display())
    })?;
    let line = |line: &str| -> Option<Stream> {
        let words: Vec<&str> = line.split('\t').collect();
        let &[loss, protocol, median, most, _, _, missing, sound] = &words[..] else { return None };
        let [missing, sound]: [f64; 2] = [missing.parse().ok()?, sound.parse().ok()?];
        Some(Stream {
            loss: loss.parse().ok()?,
            protocol: protocol.to_owned(),
            median_ms: median.parse().ok()?,
            most_ms: most.parse().ok()?,
            missing: missing * 100.0 / sound,
        })
    };
    let results: Vec<Stream> = text.lines().filter_map(line).collect();
    ensure!(!results.is_empty(), "{}: no results", path.display());
    Ok(results)
}

/// A chart of latencies, and one of what is not heard, against loss.
pub(crate) fn picture(path: &Path) -> Result<String> {
    let results = read(path)?;
    let most = |value: fn(&Stream) -> f64| results.iter().map(value).fold(1.0, f64::max) * 1.1;
    let losses = || draw::range(0.0, most(|it| it.loss));
    draw::svg((860, 420), |area| {
        let parts = area.split_evenly((1, 2));
        let [left, right] = &parts[..] else { return Ok(()) };
        let title = "From the sender to the receiver";
        let mut latency =
            draw::chart(left, title, losses(), draw::range(0.0, most(|it| it.most_ms)))?;
        draw::axes(&mut latency, "loss, %", "latency of a packet, ms")?;
        let title = "Not there when it should be heard";
        let mut missing =
            draw::chart(right, title, losses(), draw::range(0.0, most(|it| it.missing)))?;
        draw::axes(&mut missing, "loss, %", "sound missing or late, %")?;
        for (protocol, colour, pale) in [("TCP", ORANGE, PURPLE), ("UDP", BLUE, GREEN)] {
            let mine = results.iter().filter(|it| it.protocol == protocol);
            let points =
                |value: fn(&Stream) -> f64| mine.clone().map(|it| (it.loss, value(it))).collect();
            let name = format!("{protocol}, 99 % of the packets");
            draw::line(&mut latency, &name, colour, points(|it| it.most_ms))?;
            let name = format!("{protocol}, half of them");
            draw::line(&mut latency, &name, pale, points(|it| it.median_ms))?;
            draw::line(&mut missing, protocol, colour, points(|it| it.missing))?;
        }
        draw::legend(&mut latency, SeriesLabelPosition::UpperLeft)?;
        draw::legend(&mut missing, SeriesLabelPosition::UpperLeft)
    })
}
