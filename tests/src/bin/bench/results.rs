//! What was measured, as lines of a file.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, Error, Result};
use clap::ValueEnum;

use crate::rows::Row;
use crate::stopwatch::Count;

/// Who is at the other end of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Who {
    /// Linux's own sockets, over a pair of veth interfaces.
    Linux,
    /// A sham host that does nothing but what a TAP forces on it.
    Limit,
    /// Tapstack.
    Tapstack,
    /// Tapstack with two queues, and an engine for each.
    Queues,
    /// Tapstack without offloads.
    Plain,
    /// smoltcp, which has none.
    Smoltcp,
}

impl Who {
    pub(crate) const ALL: [Who; 6] =
        [Who::Linux, Who::Limit, Who::Tapstack, Who::Queues, Who::Plain, Who::Smoltcp];
    /// Who is measured if nothing else is said.
    pub(crate) const USUAL: [Who; 5] =
        [Who::Linux, Who::Limit, Who::Tapstack, Who::Plain, Who::Smoltcp];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Who::Linux => "linux",
            Who::Limit => "limit",
            Who::Tapstack => "tapstack",
            Who::Queues => "queues",
            Who::Plain => "plain",
            Who::Smoltcp => "smoltcp",
        }
    }
}

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) round: u32,
    pub(crate) row: Row,
    pub(crate) who: Who,
    pub(crate) count: Count,
}

impl Outcome {
    /// Gbit/s, or how often in a second.
    pub(crate) fn rate(&self) -> f64 {
        let Count { count, secs, .. } = self.count;
        let scale = if self.row.is_bulk() { 8e-9 } else { 1.0 };
        count as f64 * scale / secs
    }

    /// Seconds of all processors for a GB, or microseconds for each that was done.
    pub(crate) fn cost(&self) -> f64 {
        let Count { count, busy, .. } = self.count;
        let scale = if self.row.is_bulk() { 1e9 } else { 1e6 };
        busy * scale / count.max(1) as f64
    }
}

/// Empties the file: results of an earlier run are not mixed with those of this one.
pub(crate) fn begin(path: &Path) -> Result<()> {
    File::create(path).with_context(|| format!("{}: cannot be written", path.display()))?;
    Ok(())
}

/// Appends a line of words with tabs between.
pub(crate) fn append(path: &Path, outcome: &Outcome) -> Result<()> {
    let file = OpenOptions::new().append(true).open(path);
    let mut file = file.with_context(|| format!("{}: cannot be written", path.display()))?;
    let Outcome { round, row, who, count: Count { count, secs, busy } } = outcome;
    let (row, who) = (row.name, who.name());
    writeln!(file, "{round}\t{row}\t{who}\t{count}\t{secs:.6}\t{busy:.2}")?;
    Ok(())
}

impl FromStr for Outcome {
    type Err = Error;

    fn from_str(line: &str) -> Result<Outcome> {
        let words: Vec<&str> = line.split('\t').collect();
        let wrong = || format!("{line:?} is no result");
        let &[round, row, who, count, secs, busy] = &words[..] else {
            return Err(Error::msg(wrong()));
        };
        let count = Count { count: count.parse()?, secs: secs.parse()?, busy: busy.parse()? };
        Ok(Outcome {
            round: round.parse()?,
            row: Row::named(row).with_context(wrong)?,
            who: Who::ALL.into_iter().find(|known| known.name() == who).with_context(wrong)?,
            count,
        })
    }
}
