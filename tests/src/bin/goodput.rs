//! Goodput and spurious retransmissions over lossy and reordering paths in virtual time:
//! `goodput [SECONDS] [SEEDS] [cubic|reno]`. Two hosts of this stack, 50 Mbit/s, a queue of one
//! round trip (at least 64 kB), loss both ways.

#![expect(clippy::print_stdout, reason = "a program that prints")]

use stack::{Congestion, TcpInfo};
use std::time::Duration;
use tapdev::Reorder;
use tests::path::{Path, Shape};

const RATE: u64 = 50_000_000;

/// What happens on the way.
#[derive(Clone, Copy)]
enum Fault {
    /// Percent.
    Loss(f64),
    /// Percent of packets that are 3 to 20 ms late.
    Late(f64),
}

struct Sum {
    bytes: u64,
    info: TcpInfo,
    /// Reports of duplicates that the receiver sent.
    duplicates: u64,
}

fn transfer(rtt: u64, fault: Fault, seed: u64, span: Duration, congestion: Congestion) -> Sum {
    let rtt = Duration::from_millis(rtt);
    let queue = (RATE / 8 * rtt.as_millis() as u64 / 1000).max(64_000) as usize;
    let mut link = Shape { rtt, rate: RATE, queue }.link();
    match fault {
        Fault::Loss(percent) => link.loss = percent / 100.0,
        Fault::Late(percent) => {
            link.reorder = Some(Reorder {
                probability: percent / 100.0,
                least: Duration::from_millis(3),
                extra: Duration::from_millis(20),
            });
        }
    }
    let mut path =
        Path::over([link.clone(), link], seed, |_, config| config.tcp.congestion = congestion);
    path.transfer(span);
    let duplicates = path.hosts[1].counters().tcp_dsack_old_sent;
    if std::env::var_os("COUNTERS").is_some() {
        println!("{}", path.hosts[0].counters());
    }
    Sum { bytes: path.read, info: path.info(0), duplicates }
}

fn main() {
    let mut words = std::env::args().skip(1);
    let seconds = words.next().and_then(|word| word.parse().ok()).unwrap_or(30);
    let seeds = words.next().and_then(|word| word.parse().ok()).unwrap_or(3);
    let congestion = words.next().and_then(|word| word.parse().ok()).unwrap_or_default();
    let span = Duration::from_secs(seconds);
    println!("RTT ms  fault         Mbit/s   sent again  for nothing  reported  time-outs");
    for rtt in [20, 100] {
        let losses = [0.0, 0.1, 1.0, 2.0, 5.0, 10.0].map(Fault::Loss);
        for fault in losses.into_iter().chain([1.0, 10.0].map(Fault::Late)) {
            let runs: Vec<Sum> =
                (0..seeds).map(|seed| transfer(rtt, fault, seed, span, congestion)).collect();
            let sum = |of: fn(&Sum) -> u64| runs.iter().map(of).sum::<u64>();
            let rate = sum(|run| run.bytes) as f64 * 8.0 / 1e6 / (seconds * seeds) as f64;
            let again = sum(|run| run.info.retransmits);
            let share = sum(|run| run.info.spurious_retransmits) as f64 * 100.0;
            let name = match fault {
                Fault::Loss(percent) => format!("loss {percent} %"),
                Fault::Late(percent) => format!("late {percent} %"),
            };
            println!(
                "{rtt:>6}  {name:<12} {rate:>7.2} {again:>12} {:>10.1} % {:>9} {:>10}",
                share / again.max(1) as f64,
                sum(|run| run.duplicates),
                sum(|run| run.info.timeouts),
            );
        }
    }
}
