//! Runs the simulated world: `vopr SEED [--count N] [--smol] [--lossy] [--tell]`. A failing seed
//! prints its plan and its last frames; with `--tell` any seed prints all of them.

#![expect(clippy::print_stdout, reason = "a program that prints")]

use std::process::ExitCode;
use tests::world::plan::{Mix, Plan};
use tests::world::{Report, run, tell};

struct Arguments {
    seed: u64,
    count: u64,
    mix: Mix,
    lossy: bool,
    tell: bool,
}

fn arguments() -> Result<Arguments, String> {
    let mut found = Arguments { seed: 0, count: 1, mix: Mix::Any, lossy: false, tell: false };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--count" => {
                let number = words.next().and_then(|word| word.parse().ok());
                found.count = number.ok_or("--count wants a number")?;
            }
            "--smol" => found.mix = Mix::Smol,
            "--lossy" => found.lossy = true,
            "--tell" => found.tell = true,
            word => found.seed = word.parse().map_err(|_| format!("`{word}`: what is that?"))?,
        }
    }
    Ok(found)
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(wrong) => {
            println!("{wrong}\nusage: vopr SEED [--count N] [--smol] [--lossy] [--tell]");
            return ExitCode::FAILURE;
        }
    };
    let mut total = Report::default();
    for seed in arguments.seed..arguments.seed + arguments.count {
        let draw = if arguments.lossy { Plan::lossy } else { Plan::draw };
        let plan = draw(seed, arguments.mix);
        if arguments.tell {
            println!("{}", tell(&plan));
            continue;
        }
        match run(&plan) {
            Ok(report) => {
                total.frames += report.frames;
                total.bytes += report.bytes;
                total.connections += report.connections;
                total.whole += report.whole;
                total.millis += report.millis;
            }
            Err(failure) => {
                println!("{failure}");
                return ExitCode::FAILURE;
            }
        }
    }
    println!("{} seeds: {total:?}", arguments.count);
    ExitCode::SUCCESS
}
