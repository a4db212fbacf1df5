//! Tapstack beside Linux over a bad link.
//!
//! Bulk transfers between two of Linux's hosts, and between one of Linux's and Tapstack, over the
//! same relay (`tests::lab`) with the same dice, one after the other. It prints a table with the
//! ratios of their goodput, and the share of retransmissions that were not needed.
#![expect(clippy::print_stdout, reason = "a command line program")]

mod cells;
mod client;
mod fair;
mod results;
mod run;
mod smol;
mod table;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Parser, Subcommand};
use tests::lab::Lab;

use crate::cells::{Cell, Who};
use crate::results::Outcome;

/// Compares Tapstack with Linux over a bad link.
#[derive(Parser, Debug)]
#[command(version)]
struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// One connection at a time, for every round trip time and loss.
    Bulk(BulkOptions),
    /// Connections of both stacks through one bottleneck: how even are their shares?
    Fair(fair::FairOptions),
    /// Print the table of a result file again.
    Report {
        /// What an earlier run has written.
        file: PathBuf,
    },
    /// The kernel's services: used by this program itself.
    #[command(hide = true)]
    KernelServe,
    /// smoltcp's services: used by this program itself.
    #[command(hide = true)]
    SmoltcpServe {
        /// Of the sink or of the source.
        port: u16,
    },
    /// The kernel as a client of a source: used by this program itself.
    #[command(hide = true)]
    KernelPull(client::PullOptions),
    /// The kernel as a client of a sink: used by this program itself.
    #[command(hide = true)]
    KernelPush(client::PushOptions),
}

#[derive(Args, Clone, Debug)]
struct BulkOptions {
    /// Congestion control of all senders: cubic, reno or bbr.
    #[arg(long, default_value = "cubic")]
    algorithm: String,

    /// Seconds for each transfer.
    #[arg(long, default_value_t = 10.0)]
    secs: f64,

    /// Rounds; the table has the medians.
    #[arg(long, default_value_t = 3)]
    rounds: u64,

    /// Transfers at the same time, each on hosts and a link of its own.
    #[arg(long, default_value_t = 3)]
    jobs: usize,

    /// Round trip times, milliseconds.
    #[arg(long, value_delimiter = ',', default_value = "20,100")]
    rtt: Vec<f64>,

    /// Loss, per cent.
    #[arg(long, value_delimiter = ',', default_value = "0,0.1,1,2,5,10")]
    loss: Vec<f64>,

    /// No cells in which 10 % of the frames are late by 3 to 20 ms.
    #[arg(long)]
    no_reorder: bool,

    /// The link's rate, as `lossy` takes it, and its queue.
    #[arg(long, default_value = "100mbit")]
    rate: String,
    #[arg(long, default_value = "100ms")]
    queue: String,

    /// Only transfers to Tapstack (recv) or from it (send).
    #[arg(long, value_parser = ["recv", "send"])]
    only: Option<String>,

    /// The stacks at the far end.
    #[arg(long, value_delimiter = ',', default_value = "linux,tapstack")]
    who: Vec<Who>,

    /// The first round's dice; each round has others.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Write every result to FILE, which loses what an earlier run has written.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Keep of every transfer in DIR: a capture with the fate of each frame, and all counters.
    #[arg(long, value_name = "DIR")]
    pcap: Option<PathBuf>,

    /// More options for Tapstack's `perf serve`.
    #[arg(long, default_value = "", allow_hyphen_values = true)]
    tapstack: String,
}

/// Starting and ending of a transfer's programs, seconds.
const OVERHEAD: f64 = 0.4;

fn main() -> ExitCode {
    match dispatch(Options::parse().what) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lossy-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(what: What) -> Result<()> {
    match what {
        What::Bulk(options) => bulk(&options),
        What::Fair(options) => fair::fair(&options),
        What::Report { file } => {
            let text = std::fs::read_to_string(&file)
                .with_context(|| format!("{}: cannot be read", file.display()))?;
            let outcomes = text.lines().map(str::parse).collect::<Result<Vec<Outcome>>>()?;
            println!("{}", table::table(&outcomes));
            Ok(())
        }
        What::KernelServe => client::serve(),
        What::SmoltcpServe { port } => smol::serve(port),
        What::KernelPull(options) => client::pull(&options),
        What::KernelPush(options) => client::push(&options),
    }
}

/// A transfer to be done.
struct Task {
    cell: Cell,
    who: Who,
    round: u64,
}

fn bulk(options: &BulkOptions) -> Result<()> {
    ensure!(options.jobs > 0 && options.rounds > 0, "at least one round and one job");
    let cells = cells::all(options);
    let mut tasks = VecDeque::new();
    for round in 0..options.rounds {
        for cell in &cells {
            let who = options.who.iter();
            tasks.extend(who.map(|&who| Task { cell: cell.clone(), who, round }));
        }
    }
    let count = tasks.len();
    let time = count.div_ceil(options.jobs) as f64 * (options.secs + OVERHEAD);
    eprintln!("{count} transfers, {} at a time: about {time:.0} s", options.jobs);
    let labs: Vec<Lab> = (0..options.jobs).map_while(|_| Lab::new()).collect();
    if labs.len() < options.jobs {
        bail!("no network namespaces, or no bridge and TAP in them, to be had here: run as root");
    }
    for lab in &labs {
        run::choose_algorithm(lab, &options.algorithm)?;
    }
    let outcomes = work(options, tasks, &labs)?;
    println!("{}", table::table(&outcomes));
    Ok(())
}

/// Does all tasks, each lab one at a time.
fn work(options: &BulkOptions, tasks: VecDeque<Task>, labs: &[Lab]) -> Result<Vec<Outcome>> {
    let count = tasks.len();
    let (tasks, outcomes) = (Mutex::new(tasks), Mutex::new(Vec::new()));
    let next = || tasks.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let toil = |lab: &Lab| -> Result<()> {
        while let Some(task) = next() {
            let outcome = run::run(lab, options, &task.cell, task.who, task.round)
                .with_context(|| format!("{} {}", task.cell, task.who.name()))?;
            let mut outcomes = outcomes.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(path) = &options.out {
                if outcomes.is_empty() {
                    results::begin(path)?;
                }
                results::append(path, &outcome)?;
            }
            outcomes.push(outcome.clone());
            eprintln!("{:>4}/{count} {}", outcomes.len(), outcome.line());
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = labs.iter().map(|lab| scope.spawn(|| toil(lab))).collect();
        workers.into_iter().try_for_each(|worker| {
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    })?;
    Ok(outcomes.into_inner().unwrap_or_else(PoisonError::into_inner))
}
