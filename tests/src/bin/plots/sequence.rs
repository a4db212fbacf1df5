//! One connection over a bad link: which octet was sent when, and why it was sent again.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use ::tests::path::{Path, Sent, Shape};
use anyhow::{Context, Result};
use plotters::prelude::*;
use stack::Counters;
use stack::testing::packet::Segment;
use tapdev::{GilbertElliott, LinkConfig};

use ::tests::draw::{self, BLUE, GREEN, GREY, ORANGE, PURPLE};

/// Bytes of the transfer.
const COUNT: usize = 400_000;

const SPAN: Duration = Duration::from_secs(4);

/// Seeds that are tried for a run that shows everything.
const SEEDS: u64 = 2000;

/// Why a segment was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    New,
    Rack,
    Probe,
    TimeOut,
}

const CAUSES: [(Cause, &str, RGBColor); 4] = [
    (Cause::New, "new", GREY),
    (Cause::Rack, "again: RACK", BLUE),
    (Cause::Probe, "again: tail loss probe", GREEN),
    (Cause::TimeOut, "again: time-out", ORANGE),
];

/// A segment with text.
#[derive(Clone, Copy, Debug)]
struct Dot {
    at: f64,
    /// Its first octet, counted from the first.
    octet: f64,
    cause: Cause,
    lost: bool,
}

/// What was seen of a run.
#[derive(Default)]
struct Story {
    dots: Vec<Dot>,
    /// Octets acknowledged, by time.
    acked: Vec<(f64, f64)>,
    first: Option<u32>,
    highest: u32,
    before: [u64; 2],
}

fn counts(counters: &Counters) -> [u64; 2] {
    [counters.tcp_loss_probes, counters.tcp_fast_retrans + counters.tcp_rescue_probes]
}

impl Story {
    fn see(&mut self, sent: &Sent<'_>, start: f64) {
        if sent.from != 0 {
            return;
        }
        let now = counts(sent.counters);
        let [probes, fast] = [0, 1].map(|i| now[i] - self.before[i]);
        self.before = now;
        let Ok(Some(segment)) = Segment::from_frame(sent.frame) else { return };
        if segment.payload.is_empty() {
            return;
        }
        let octet = segment.seq.wrapping_sub(*self.first.get_or_insert(segment.seq));
        let is_new = octet >= self.highest;
        self.highest = self.highest.max(octet + segment.payload.len() as u32);
        let cause = match (probes, fast, is_new) {
            (1.., ..) => Cause::Probe,
            (_, 1.., _) => Cause::Rack,
            (_, _, true) => Cause::New,
            _ => Cause::TimeOut,
        };
        let at = sent.at.as_nanos() as f64 / 1e9 - start;
        self.dots.push(Dot { at, octet: f64::from(octet), cause, lost: sent.fate.lost > 0 });
    }

    fn has(&self, cause: Cause) -> bool {
        self.dots.iter().any(|dot| dot.cause == cause)
    }
}

/// Single losses and, now and then, several tens in a row.
fn link() -> LinkConfig {
    let shape = Shape { rtt: Duration::from_millis(60), rate: 4_000_000, queue: 60_000 };
    let burst =
        GilbertElliott { p_good_to_bad: 0.004, p_bad_to_good: 0.04, loss_good: 0.0, loss_bad: 1.0 };
    LinkConfig { loss: 0.02, burst: Some(burst), ..shape.link() }
}

fn tell(seed: u64) -> Story {
    let back = LinkConfig { loss: 0.0, burst: None, ..link() };
    let mut path = Path::over([link(), back], seed, |_, _| ());
    let story = Rc::new(RefCell::new(Story::default()));
    let start = path.now.as_nanos() as f64 / 1e9;
    let teller = Rc::clone(&story);
    path.watch = Some(Box::new(move |sent| teller.borrow_mut().see(sent, start)));
    let mut left = COUNT;
    path.run(SPAN, |path| {
        left -= path.write_up_to(left);
        path.read_all();
        let (at, acked) = (path.now.as_nanos() as f64 / 1e9 - start, path.info(0).bytes_acked);
        story.borrow_mut().acked.push((at, acked as f64));
    });
    path.watch = None;
    story.take()
}

/// The first run that shows every cause and comes to its end.
fn find() -> Result<(u64, Story)> {
    let shows_all = |story: &Story| {
        let end = story.acked.last().is_some_and(|&(_, acked)| acked >= COUNT as f64);
        end && CAUSES.iter().all(|&(cause, ..)| story.has(cause))
    };
    let mut all = (0..SEEDS).map(|seed| (seed, tell(seed)));
    all.find(|(_, story)| shows_all(story)).context("no seed shows every cause")
}

/// Steps in place of slopes.
fn steps(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut line: Vec<(f64, f64)> = Vec::new();
    for &(x, y) in points {
        match line.last() {
            Some(&(_, before)) if before == y => {}
            Some(&(_, before)) => line.extend([(x, before), (x, y)]),
            None => line.push((x, y)),
        }
    }
    line
}

/// Kilobytes, for people.
const K: f64 = 1000.0;

/// A dot for each segment, a line for what is acknowledged.
pub(crate) fn picture() -> Result<String> {
    let (seed, story) = find()?;
    let end = story.dots.last().map_or(1.0, |dot| dot.at) * 1.05;
    let title = format!(
        "400 kB over 4 Mbit/s, round trip 60 ms, losses alone (2 %) and in a row (seed {seed})"
    );
    draw::svg((860, 560), |area| {
        let (x, y) = (draw::range(0.0, end), draw::range(0.0, COUNT as f64 / K));
        let mut chart = draw::chart(area, &title, x, y)?;
        draw::axes(&mut chart, "s", "sequence number, kB")?;
        let acked: Vec<_> = steps(&story.acked).iter().map(|&(x, y)| (x, y / K)).collect();
        draw::line(&mut chart, "acknowledged", PURPLE, acked)?;
        for (cause, name, colour) in CAUSES {
            let mine = story.dots.iter().filter(|dot| dot.cause == cause);
            let size = if cause == Cause::New { 2 } else { 4 };
            let dots = mine.map(|dot| Circle::new((dot.at, dot.octet / K), size, colour.filled()));
            let drawn = chart.draw_series(dots).map_err(draw::wrong)?;
            drawn.label(name).legend(move |(x, y)| Circle::new((x + 8, y), size, colour.filled()));
        }
        let lost = story.dots.iter().filter(|dot| dot.lost);
        let crosses = lost.map(|dot| Cross::new((dot.at, dot.octet / K), 5, BLACK.stroke_width(1)));
        let drawn = chart.draw_series(crosses).map_err(draw::wrong)?;
        drawn
            .label("lost on the way")
            .legend(|(x, y)| Cross::new((x + 8, y), 5, BLACK.stroke_width(1)));
        draw::legend(&mut chart, SeriesLabelPosition::LowerRight)
    })
}
