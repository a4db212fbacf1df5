//! bench: Tapstack beside Linux's own sockets, smoltcp, and a limit, over the same kind of wire.
#![expect(clippy::print_stdout, reason = "a command line program")]
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a measurement lives in real time, and Linux's services in threads"
)]

mod client;
mod limit;
mod linux;
mod picture;
mod results;
mod rows;
mod run;
mod smol;
mod stopwatch;
mod table;

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};

use crate::results::{Outcome, Who};
use crate::rows::{ROWS, Row};

/// Measures Tapstack beside Linux's own sockets, smoltcp, and a limit.
#[derive(Parser, Debug)]
#[command(version)]
struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// Measure, each stack in turn, and print the table.
    Run(RunOptions),
    /// Print the table of a file of results, and draw its picture.
    Report(Files),
    #[command(hide = true)]
    Measure { row: String, at: Ipv4Addr, secs: f64 },
    #[command(hide = true)]
    ServeLinux { work: u64 },
    #[command(hide = true)]
    ServeLimit { work: u64, tap: String, at: Ipv4Addr },
    #[command(hide = true)]
    ServeSmoltcp { work: u64, tap: String, at: Ipv4Addr },
}

#[derive(Args, Debug)]
struct Files {
    /// The results, one a line: round, row, who, count, seconds, seconds of all processors.
    #[arg(long, value_name = "FILE", default_value = "target/bench.tsv")]
    tsv: PathBuf,
    /// The picture.
    #[arg(long, value_name = "FILE", default_value = "target/bench.svg")]
    svg: PathBuf,
}

#[derive(Args, Debug)]
struct RunOptions {
    #[command(flatten)]
    files: Files,
    /// How often everything is measured.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// How long each measurement takes, seconds.
    #[arg(long, default_value_t = 1.0)]
    secs: f64,
    /// Only these stacks.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Who::USUAL)]
    who: Vec<Who>,
    /// Only these rows: up, down, rr1, rr1-two, rr64, rr1x32, rr1x32-work, crr, crr-two,
    /// crr8, udprr64, udpup64, udpdn64.
    #[arg(long, value_parser = row, value_delimiter = ',', default_values_t = ROWS)]
    rows: Vec<Row>,
}

fn row(name: &str) -> Result<Row, String> {
    Row::named(name).ok_or_else(|| format!("{name}: no such row"))
}

fn main() -> ExitCode {
    match run(Options::parse().what) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(what: What) -> Result<()> {
    match what {
        What::Run(options) => {
            let count = options.who.len() * options.rows.len() * options.rounds as usize;
            let time = count as f64 * (options.secs + 1.0);
            eprintln!("{count} measurements: about {time:.0} s");
            report(&run::run(&options)?, &options.files)
        }
        What::Report(files) => {
            let text = fs::read_to_string(&files.tsv)
                .with_context(|| format!("{}: cannot be read", files.tsv.display()))?;
            report(&text.lines().map(str::parse).collect::<Result<Vec<_>>>()?, &files)
        }
        What::Measure { row, at, secs } => {
            let row = Row::named(&row).context("no such row")?;
            let count = client::measure(row.what, at, Duration::from_secs_f64(secs))?;
            println!("{} {} {}", count.count, count.secs, count.busy);
            Ok(())
        }
        What::ServeLinux { work } => linux::serve(Duration::from_micros(work)),
        What::ServeLimit { work, tap, at } => limit::serve(&tap, at, Duration::from_micros(work)),
        What::ServeSmoltcp { work, tap, at } => smol::serve(&tap, at, Duration::from_micros(work)),
    }
}

fn report(outcomes: &[Outcome], files: &Files) -> Result<()> {
    let cells = table::cells(outcomes);
    println!("{}", table::tables(&cells));
    fs::write(&files.svg, picture::draw(&cells)?)
        .with_context(|| format!("{}: cannot be written", files.svg.display()))
}
