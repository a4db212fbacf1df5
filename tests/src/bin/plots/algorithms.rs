//! Congestion window, round trip and throughput over time: one bottleneck, each algorithm alone.

use std::time::Duration;

use ::tests::path::{Path, Shape};
use anyhow::Result;
use plotters::prelude::*;
use stack::{Congestion, Instant};

use ::tests::draw::{self, BLUE, GREEN, ORANGE, PURPLE};

const RTT: Duration = Duration::from_millis(40);
const RATE: u64 = 50_000_000;

/// Less than half of what is under way on the empty path (16 ms).
const QUEUE: usize = 100_000;

const SPAN: Duration = Duration::from_secs(40);

/// Between two points of a line.
const STEP: Duration = Duration::from_millis(100);

/// Over which throughput is measured, steps.
const AVERAGED: usize = 5;

/// One algorithm's lines, by seconds.
#[derive(Default)]
struct Lines {
    /// Segments.
    cwnd: Vec<(f64, f64)>,
    /// Milliseconds.
    rtt: Vec<(f64, f64)>,
    /// Mbit/s.
    rate: Vec<(f64, f64)>,
}

fn record(algorithm: Congestion) -> Lines {
    let shape = Shape { rtt: RTT, rate: RATE, queue: QUEUE };
    let mut path = Path::new(&shape, |_, config| config.tcp.congestion = algorithm);
    let mut lines = Lines::default();
    let (start, mut next) = (path.now, path.now);
    let mut read = Vec::new();
    path.run(SPAN, |path| {
        path.write_all();
        path.read_all();
        if path.now < next {
            return;
        }
        next = path.now + STEP;
        sample(&mut lines, path, start, &mut read);
    });
    lines
}

fn sample(lines: &mut Lines, path: &mut Path, start: Instant, read: &mut Vec<(f64, u64)>) {
    let (at, info) = ((path.now - start).as_secs_f64(), path.info(0));
    lines.cwnd.push((at, f64::from(info.cwnd) / f64::from(info.send_mss.max(1))));
    if !info.rtt.is_zero() {
        lines.rtt.push((at, info.rtt.as_secs_f64() * 1e3));
    }
    read.push((at, path.read));
    if let Some(&(then, before)) = read.len().checked_sub(1 + AVERAGED).and_then(|i| read.get(i)) {
        lines.rate.push((at, (path.read - before) as f64 * 8.0 / (at - then) / 1e6));
    }
}

/// Three charts above each other.
pub(crate) fn picture() -> Result<String> {
    let colours = [BLUE, ORANGE, GREEN, PURPLE];
    let all: Vec<_> = Congestion::ALL.into_iter().map(|name| (name, record(name))).collect();
    let title = "One connection, 50 Mbit/s, round trip 40 ms, queue 16 ms";
    let names =
        [("cwnd, segments", 400.0), ("smoothed round trip, ms", 100.0), ("goodput, Mbit/s", 60.0)];
    draw::svg((860, 720), |area| {
        for (i, part) in area.split_evenly((3, 1)).iter().enumerate() {
            let (name, most) = names[i];
            let (x, y) = (draw::range(0.0, SPAN.as_secs_f64()), draw::range(0.0, most));
            let mut chart = draw::chart(part, if i == 0 { title } else { "" }, x, y)?;
            draw::axes(&mut chart, if i == 2 { "s" } else { "" }, name)?;
            for ((algorithm, lines), colour) in all.iter().zip(colours) {
                let points = [&lines.cwnd, &lines.rtt, &lines.rate][i];
                let points = points.iter().map(|&(x, y)| (x, y.min(most))).collect();
                draw::line(&mut chart, algorithm.name(), colour, points)?;
            }
            if i == 0 {
                draw::legend(&mut chart, SeriesLabelPosition::UpperRight)?;
            }
        }
        Ok(())
    })
}
