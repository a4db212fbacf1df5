//! Connections of both stacks through one bottleneck.

use ::tests::lab::Lab;
use anyhow::{Result, bail};
use clap::Args;

use crate::cells::{Way, Who};
use crate::client::SOURCE;
use crate::run;
use crate::table::median;

/// How many connections, over which link.
#[derive(Args, Clone, Debug)]
pub(crate) struct FairOptions {
    /// Congestion control of all senders: cubic, reno or bbr.
    #[arg(long, default_value = "cubic")]
    algorithm: String,

    /// Connections of each stack.
    #[arg(long, value_delimiter = ',', default_value = "1,2,4,8,16")]
    flows: Vec<usize>,

    /// Seconds that are measured, and seconds before them.
    #[arg(long, default_value_t = 30.0)]
    secs: f64,
    #[arg(long, default_value_t = 15.0)]
    settle: f64,

    /// Rounds; the table has the medians.
    #[arg(long, default_value_t = 3)]
    rounds: u64,

    /// The round trip without a queue, milliseconds.
    #[arg(long, default_value_t = 20.0)]
    rtt: f64,

    /// The link's rate, as `lossy` takes it, and its queue.
    #[arg(long, default_value = "50mbit")]
    rate: String,
    #[arg(long, default_value = "40ms")]
    queue: String,

    /// More options for Tapstack's `perf serve`.
    #[arg(long, default_value = "", allow_hyphen_values = true)]
    tapstack: String,
}

/// What the connections of each stack brought.
struct Shares {
    linux: Vec<f64>,
    tapstack: Vec<f64>,
}

/// Jain's index: 1 when all are equal, 1/n when one has everything.
fn jain(shares: &[f64]) -> f64 {
    let (sum, squares) = shares
        .iter()
        .fold((0.0, 0.0), |(sum, squares), share| (sum + share, squares + share * share));
    if squares == 0.0 { 0.0 } else { sum * sum / (shares.len() as f64 * squares) }
}

/// Prints Jain's index for connections of both stacks together, and of each alone.
pub(crate) fn fair(options: &FairOptions) -> Result<()> {
    let kinds: [(&str, &[Who]); 3] = [
        ("mixed", &[Who::Linux, Who::Tapstack]),
        ("Linux", &[Who::Linux]),
        ("Tapstack", &[Who::Tapstack]),
    ];
    let each = options.secs + options.settle + 2.0;
    let count = options.flows.len() * options.rounds as usize * kinds.len();
    eprintln!("{count} runs: about {:.0} s", each * count as f64);
    let Some(lab) = Lab::new() else { bail!("no network namespaces to be had: run as root") };
    run::choose_algorithm(&lab, &options.algorithm)?;
    println!("flows          Jain's index   Mbit/s of Linux, of Tapstack");
    for &flows in &options.flows {
        for (name, who) in kinds {
            // Alone, a stack has as many connections as both have together.
            let each = if who.len() == 2 { flows } else { 2 * flows };
            let mut rounds = Vec::new();
            for round in 0..options.rounds {
                rounds.push(measure(&lab, options, who, each, round)?);
            }
            let of = |value: fn(&Shares) -> f64| median(rounds.iter().map(value).collect());
            println!(
                "{:<3} {name:<10} {:>12.3}   {:>8.2} {:>8.2}",
                2 * flows,
                of(|shares| jain(&[&shares.linux[..], &shares.tapstack].concat())),
                of(|shares| shares.linux.iter().sum()),
                of(|shares| shares.tapstack.iter().sum()),
            );
        }
    }
    Ok(())
}

fn measure(
    lab: &Lab,
    options: &FairOptions,
    who: &[Who],
    each: usize,
    round: u64,
) -> Result<Shares> {
    let FairOptions { rtt, rate, queue, secs, settle, .. } = options;
    let delay = rtt / 2.0;
    let seed = round + 1;
    let link = lab.link(&format!("--delay {delay}ms --rate {rate} --queue {queue} --seed {seed}"));
    let more = run::tapstack_options(lab, &options.algorithm, &options.tapstack);
    let servers: Vec<_> = who.iter().map(|&who| run::serve(lab, who, Way::Send, &more)).collect();
    let from: Vec<String> =
        who.iter().map(|&who| format!("{}:{SOURCE}", run::address(who))).collect();
    let said = run::client(
        lab,
        secs + settle,
        &format!("kernel-pull --count {each} --secs {secs} --settle {settle} {}", from.join(" ")),
    )?;
    drop(servers);
    let said_link = link.interrupt();
    if said_link.contains("MISSED") {
        eprintln!("{said_link}");
    }
    let mut rows = said.lines().map(|line| {
        let bytes = line.split_whitespace().filter_map(|word| word.parse::<f64>().ok());
        bytes.map(|bytes| bytes * 8.0 / secs / 1e6).collect::<Vec<f64>>()
    });
    let mut shares = Shares { linux: Vec::new(), tapstack: Vec::new() };
    for &who in who {
        let row = rows.next().unwrap_or_default();
        match who {
            Who::Linux => shares.linux = row,
            _ => shares.tapstack = row,
        }
    }
    Ok(shares)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jains_index_is_one_for_equals() {
        assert_eq!(jain(&[2.0, 2.0, 2.0]), 1.0);
        assert_eq!(jain(&[1.0, 0.0, 0.0, 0.0]), 0.25);
        assert_eq!(jain(&[]), 0.0);
    }
}
