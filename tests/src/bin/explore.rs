//! Explores every state of two stacks over a bad channel: `explore [DROPS DUPLICATES OVERTAKES
//! DELAYS] [--only NAME] [--visits N]`, how often each misfortune may happen in one run.

#![expect(clippy::print_stdout, reason = "a program that prints")]
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "it tells how long it took"
)]

use std::process::ExitCode;
use std::time::Instant;
use tests::explore::{Faults, all, explore};

struct Arguments {
    faults: [u8; 4],
    only: String,
    visits: u64,
}

fn arguments() -> Result<Arguments, String> {
    let mut found = Arguments { faults: [1; 4], only: String::new(), visits: 20_000_000 };
    let (mut words, mut at) = (std::env::args().skip(1), 0);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--only" => found.only = words.next().ok_or("--only wants a name")?,
            "--visits" => {
                let number = words.next().and_then(|word| word.parse().ok());
                found.visits = number.ok_or("--visits wants a number")?;
            }
            word => {
                let place = found.faults.get_mut(at).ok_or("four numbers at the most")?;
                *place = word.parse().map_err(|_| format!("`{word}`: what is that?"))?;
                at += 1;
            }
        }
    }
    Ok(found)
}

fn main() -> ExitCode {
    let Arguments { faults: [drops, duplicates, overtakes, delays], only, visits } =
        match arguments() {
            Ok(arguments) => arguments,
            Err(wrong) => {
                println!("{wrong}");
                return ExitCode::FAILURE;
            }
        };
    let faults = Faults { drops, duplicates, overtakes, delays };
    let (mut total, begun) = (0, Instant::now());
    for scenario in all(faults).into_iter().filter(|scenario| scenario.name.contains(&only)) {
        let begun = Instant::now();
        match explore(&scenario, visits) {
            Ok(report) => {
                total += report.states;
                let rate = report.visits as f64 / begun.elapsed().as_secs_f64();
                println!("{}: {report:?}, {rate:.0} visits/s", scenario.name);
            }
            Err(failure) => {
                println!("{failure}");
                return ExitCode::FAILURE;
            }
        }
    }
    println!("{total} states in {:.0} s", begun.elapsed().as_secs_f64());
    ExitCode::SUCCESS
}
