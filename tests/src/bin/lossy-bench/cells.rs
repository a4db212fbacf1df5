//! What is compared: a direction over a link, for one of two stacks.

use std::fmt;

use clap::ValueEnum;

use crate::BulkOptions;

/// The stack at the far end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Who {
    Linux,
    Tapstack,
    Smoltcp,
}

impl Who {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Who::Linux => "linux",
            Who::Tapstack => "tapstack",
            Who::Smoltcp => "smoltcp",
        }
    }

    /// The stack of that name.
    pub(crate) fn named(name: &str) -> Option<Who> {
        [Who::Linux, Who::Tapstack, Who::Smoltcp].into_iter().find(|who| who.name() == name)
    }
}

/// Which way the bytes go, seen from the far end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// The far end sends to Linux.
    Send,
    /// The far end receives from Linux.
    Recv,
}

impl Way {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Way::Send => "send",
            Way::Recv => "recv",
        }
    }
}

/// A link, and a direction over it.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub(crate) struct Cell {
    pub(crate) way: Way,
    pub(crate) algorithm: String,
    /// Milliseconds.
    pub(crate) rtt: f64,
    /// Per cent.
    pub(crate) loss: f64,
    pub(crate) reorder: bool,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cell { way, algorithm, rtt, loss, reorder } = self;
        write!(f, "{} {algorithm} {rtt} ms", way.name())?;
        if *reorder { write!(f, " reordered") } else { write!(f, " {loss} %") }
    }
}

impl Cell {
    /// The options of `lossy`. Both directions lose, as on a radio: acknowledgments, too.
    pub(crate) fn link(&self, rate: &str, queue: &str, seed: u64) -> String {
        let (delay, loss) = (self.rtt / 2.0, self.loss);
        let late = if self.reorder { " --reorder 10% --late 3ms..20ms" } else { "" };
        format!(
            "--delay {delay}ms --loss {loss}% --rate {rate} --queue {queue} --seed {seed}{late}"
        )
    }
}

/// All cells that the options ask for.
pub(crate) fn all(options: &BulkOptions) -> Vec<Cell> {
    let ways = [Way::Send, Way::Recv]
        .into_iter()
        .filter(|way| options.only.as_deref().is_none_or(|only| only == way.name()));
    let mut cells = Vec::new();
    for way in ways {
        for &rtt in &options.rtt {
            let cell = |loss, reorder| Cell {
                way,
                algorithm: options.algorithm.clone(),
                rtt,
                loss,
                reorder,
            };
            cells.extend(options.loss.iter().map(|&loss| cell(loss, false)));
            if !options.no_reorder {
                cells.push(cell(0.0, true));
            }
        }
    }
    cells
}
