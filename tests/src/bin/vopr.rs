//! Runs the simulated world: `vopr SEED [--count N] [--ours | --smol] [--lossy | --calm]
//! [--tell] [--plan FILE] [--go-on]`. A failing seed prints its plan and its last frames, the least
//! plan that still fails, and that as a packet script; with `--tell` any seed prints all its
//! frames. `--plan` runs a plan that was printed. `--go-on` counts failures and shrinks none.

#![expect(clippy::print_stdout, reason = "a program that prints")]
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "it tells how long it took"
)]

use std::process::ExitCode;
use std::time::Instant;
use tests::world::plan::{Mix, Plan};
use tests::world::{Report, run, shrink, tell};

const USAGE: &str = "usage: vopr SEED [--count N] [--ours | --smol] [--lossy | --calm] [--tell] \
                     [--plan FILE] [--go-on]";

struct Arguments {
    seed: u64,
    count: u64,
    mix: Mix,
    lossy: bool,
    calm: bool,
    tell: bool,
    goes_on: bool,
    plan: Option<Plan>,
}

fn arguments() -> Result<Arguments, String> {
    let mut found = Arguments {
        seed: 0,
        count: 1,
        mix: Mix::Any,
        lossy: false,
        calm: false,
        tell: false,
        goes_on: false,
        plan: None,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--count" => {
                let number = words.next().and_then(|word| word.parse().ok());
                found.count = number.ok_or("--count wants a number")?;
            }
            "--plan" => {
                let path = words.next().ok_or("--plan wants a file")?;
                let text = std::fs::read_to_string(&path);
                let text = text.map_err(|error| format!("{path}: {error}"))?;
                found.plan = Some(text.parse()?);
            }
            "--ours" => found.mix = Mix::Ours,
            "--smol" => found.mix = Mix::Smol,
            "--lossy" => found.lossy = true,
            "--calm" => found.calm = true,
            "--tell" => found.tell = true,
            "--go-on" => found.goes_on = true,
            word => found.seed = word.parse().map_err(|_| format!("`{word}`: what is that?"))?,
        }
    }
    if found.calm && (found.lossy || matches!(found.mix, Mix::Smol)) {
        return Err("--calm is of hosts of ours, with nothing in the way".into());
    }
    Ok(found)
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(wrong) => {
            println!("{wrong}\n{USAGE}");
            return ExitCode::FAILURE;
        }
    };
    let (mut total, mut failures, begun) = (Report::default(), 0, Instant::now());
    for seed in arguments.seed..arguments.seed + arguments.count {
        let draw = || match () {
            () if arguments.calm => Plan::calm(seed),
            () if arguments.lossy => Plan::lossy(seed, arguments.mix),
            () => Plan::draw(seed, arguments.mix),
        };
        let plan = arguments.plan.clone().unwrap_or_else(draw);
        if arguments.tell {
            println!("{}", tell(&plan));
            continue;
        }
        match run(&plan) {
            Ok(report) => total += report,
            Err(failure) if arguments.goes_on => {
                failures += 1;
                println!("seed {seed}: {}", failure.what.lines().next().unwrap_or(""));
            }
            Err(failure) => {
                println!("{failure}");
                println!("\n{}", shrink(&plan, failure));
                return ExitCode::FAILURE;
            }
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    let pace = arguments.count as f64 * 60.0 / seconds;
    let (count, commit) = (arguments.count, tests::commit());
    println!("{count} seeds, {failures} failures, {seconds:.0} s, {pace:.0} a minute ({commit})");
    println!("{total:?}");
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
