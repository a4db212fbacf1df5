//! The result of a transfer, as a line of a file.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, Error, Result, bail};

use crate::cells::{Cell, Way, Who};

/// What a transfer brought.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) cell: Cell,
    pub(crate) who: Who,
    pub(crate) round: u64,
    /// Goodput, Mbit/s.
    pub(crate) mbit: f64,
    /// Frames on the data's way.
    pub(crate) sent: u64,
    /// Segments sent again, and of those the ones that had arrived already.
    pub(crate) retransmitted: u64,
    pub(crate) spurious: u64,
    /// Retransmission time-outs.
    pub(crate) timeouts: u64,
    /// Whether a TAP's queue was too short: such a result is worth nothing.
    pub(crate) missed: u64,
}

impl Outcome {
    /// For people.
    pub(crate) fn line(&self) -> String {
        let Outcome { cell, who, mbit, retransmitted, spurious, timeouts, .. } = self;
        let mut line = format!(
            "{:<26} {:<8} {mbit:7.2} Mbit/s, {retransmitted} sent again, {spurious} of them for \
             nothing, {timeouts} time-outs",
            cell.to_string(),
            who.name()
        );
        if self.missed > 0 {
            line.push_str(", a TAP's queue was TOO SHORT");
        }
        line
    }
}

/// Empties the file: results of an earlier run are not mixed with those of this one.
pub(crate) fn begin(path: &Path) -> Result<()> {
    File::create(path).with_context(|| format!("{}: cannot be written", path.display()))?;
    Ok(())
}

/// Appends a line of words with tabs between.
pub(crate) fn append(path: &Path, outcome: &Outcome) -> Result<()> {
    let Outcome { cell, who, round, mbit, sent, retransmitted, spurious, timeouts, missed } =
        outcome;
    let Cell { way, algorithm, rtt, loss, reorder } = cell;
    let (way, who, reorder) = (way.name(), who.name(), u8::from(*reorder));
    let mut file = OpenOptions::new()
        .append(true)
        .open(path)
        .with_context(|| format!("{}: cannot be written", path.display()))?;
    writeln!(
        file,
        "{way}\t{algorithm}\t{rtt}\t{loss}\t{reorder}\t{who}\t{round}\t{mbit:.3}\t{sent}\t\
         {retransmitted}\t{spurious}\t{timeouts}\t{missed}"
    )?;
    Ok(())
}

impl FromStr for Outcome {
    type Err = Error;

    fn from_str(line: &str) -> Result<Outcome> {
        let words: Vec<&str> = line.split('\t').collect();
        let &[way, algorithm, rtt, loss, reorder, who, round, mbit, ref counts @ ..] = &words[..]
        else {
            bail!("{line:?} is no result");
        };
        let &[sent, retransmitted, spurious, timeouts, missed] = counts else {
            bail!("{line:?} is no result");
        };
        let cell = Cell {
            way: if way == "send" { Way::Send } else { Way::Recv },
            algorithm: algorithm.to_owned(),
            rtt: rtt.parse()?,
            loss: loss.parse()?,
            reorder: reorder == "1",
        };
        let who = Who::named(who).with_context(|| format!("{who:?} is no stack"))?;
        Ok(Outcome {
            cell,
            who,
            round: round.parse()?,
            mbit: mbit.parse()?,
            sent: sent.parse()?,
            retransmitted: retransmitted.parse()?,
            spurious: spurious.parse()?,
            timeouts: timeouts.parse()?,
            missed: missed.parse()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let cell =
            Cell { way: Way::Send, algorithm: "bbr".into(), rtt: 20.0, loss: 0.1, reorder: true };
        let outcome = Outcome {
            cell,
            who: Who::Tapstack,
            round: 2,
            mbit: 12.5,
            sent: 1000,
            retransmitted: 10,
            spurious: 1,
            timeouts: 2,
            missed: 0,
        };
        let path = std::env::temp_dir().join(format!("lossy-bench-{}", std::process::id()));
        // The second run leaves nothing of the first.
        for _ in 0..2 {
            begin(&path).unwrap();
            append(&path, &outcome).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(text.lines().count(), 1);
        assert_eq!(text.trim_end().parse::<Outcome>().unwrap(), outcome);
        assert!("send\tx".parse::<Outcome>().is_err());
    }
}
