//! Draws the pictures of docs/pictures.
//!
//! `algorithms` and `sequence` are simulations in virtual time: the same picture on every machine.
//! `loss` shows what `scripts/lossy-bench` has measured, from its result file, and `stream` what
//! `stream compare` has simulated.
#![expect(clippy::print_stdout, reason = "a command line program")]

mod algorithms;
mod loss;
mod sequence;
mod stream;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};

/// Draws pictures of what the stack does, as SVG.
#[derive(Parser, Debug)]
#[command(version)]
struct Options {
    /// Where they go.
    #[arg(default_value = "docs/pictures")]
    dir: PathBuf,

    /// Only these.
    #[arg(long, value_delimiter = ',', default_value = "algorithms,sequence,loss,stream")]
    only: Vec<Picture>,

    /// The results that `loss` shows (otherwise DIR/lossy-bench.tsv).
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Picture {
    /// Congestion window, round trip and throughput over time, of each algorithm.
    Algorithms,
    /// Sequence numbers over time, with retransmissions by their cause.
    Sequence,
    /// Goodput against loss, of Linux, Tapstack and smoltcp.
    Loss,
    /// How late sound is heard over UDP and over TCP, at several rates of loss.
    Stream,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("plots: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let dir = &options.dir;
    fs::create_dir_all(dir).with_context(|| format!("{}: cannot be made", dir.display()))?;
    for picture in &options.only {
        let (name, svg) = match picture {
            Picture::Algorithms => ("algorithms.svg", algorithms::picture()?),
            Picture::Sequence => ("sequence.svg", sequence::picture()?),
            Picture::Loss => ("loss.svg", loss::picture(&results(options))?),
            Picture::Stream => ("stream.svg", stream::picture(&dir.join("stream.tsv"))?),
        };
        let path = dir.join(name);
        fs::write(&path, svg).with_context(|| format!("{}: cannot be written", path.display()))?;
        println!("{}", path.display());
    }
    Ok(())
}

fn results(options: &Options) -> PathBuf {
    let here = || Path::new(&options.dir).join("lossy-bench.tsv");
    options.results.clone().unwrap_or_else(here)
}
