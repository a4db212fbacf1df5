//! Goodput against loss, of Linux, Tapstack and smoltcp over the same link: what
//! `scripts/lossy-bench` has written.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use plotters::prelude::*;

use ::tests::draw::{self, BLUE, GREY, ORANGE};

/// A result: of a stack, for a round trip time and a loss.
struct Measured {
    who: String,
    algorithm: String,
    rtt: f64,
    loss: f64,
    mbit: f64,
}

const STACKS: [(&str, &str, RGBColor); 3] =
    [("linux", "Linux", GREY), ("tapstack", "Tapstack", ORANGE), ("smoltcp", "smoltcp", BLUE)];

/// On a logarithmic axis no loss stands where this is, per cent.
const NONE: f64 = 0.03;

/// The far end sends; nothing is reordered.
fn read(path: &Path) -> Result<Vec<Measured>> {
    let text = fs::read_to_string(path).with_context(|| {
        format!("{}: no results; scripts/lossy-bench bulk --out makes them", path.display())
    })?;
    let line = |line: &str| -> Option<Measured> {
        let words: Vec<&str> = line.split('\t').collect();
        let &["send", algorithm, rtt, loss, "0", who, _, mbit, ..] = &words[..] else {
            return None;
        };
        Some(Measured {
            who: who.to_owned(),
            algorithm: algorithm.to_owned(),
            rtt: rtt.parse().ok()?,
            loss: loss.parse().ok()?,
            mbit: mbit.parse().ok()?,
        })
    };
    let results: Vec<Measured> = text.lines().filter_map(line).collect();
    ensure!(!results.is_empty(), "{}: no results of a far end that sends", path.display());
    Ok(results)
}

/// Values in order, each once.
fn distinct(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    values
}

/// The medians of one stack at one round trip time, by loss.
fn line(results: &[Measured], who: &str, rtt: f64) -> Vec<(f64, f64)> {
    let mine: Vec<&Measured> =
        results.iter().filter(|result| result.who == who && result.rtt == rtt).collect();
    let median = |loss: f64| {
        let at: Vec<f64> =
            mine.iter().filter(|result| result.loss == loss).map(|result| result.mbit).collect();
        let mut at = at;
        at.sort_by(f64::total_cmp);
        (loss.max(NONE), at[at.len() / 2])
    };
    distinct(mine.iter().map(|result| result.loss)).into_iter().map(median).collect()
}

/// A chart for each round trip time, side by side.
pub(crate) fn picture(path: &Path) -> Result<String> {
    let results = read(path)?;
    let rtts = distinct(results.iter().map(|result| result.rtt));
    let algorithm = results[0].algorithm.clone();
    draw::svg((860, 420), |area| {
        for (part, &rtt) in area.split_evenly((1, rtts.len())).iter().zip(&rtts) {
            let title = format!("{algorithm}, round trip {rtt} ms, 100 Mbit/s");
            let x = (NONE..12.0).log_scale();
            let y = (0.1..150.0).log_scale();
            let mut chart = draw::chart(part, &title, x, y)?;
            draw::axes(&mut chart, "loss, % (left end: none)", "goodput, Mbit/s")?;
            for (who, name, colour) in STACKS {
                let points = line(&results, who, rtt);
                if points.is_empty() {
                    continue;
                }
                let dots = points.iter().map(|&at| Circle::new(at, 3, colour.filled()));
                chart.draw_series(dots).map_err(draw::wrong)?;
                draw::line(&mut chart, name, colour, points)?;
            }
            draw::legend(&mut chart, SeriesLabelPosition::LowerLeft)?;
        }
        Ok(())
    })
}
