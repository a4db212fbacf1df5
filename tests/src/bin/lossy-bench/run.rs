//! One transfer: a link with these dice, a server at its far end, a client of Linux's at the near.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ::tests::lab::{Lab, RIGHT, TAPSTACK};
use ::tests::netns::{Netns, Running, demo_path};
use anyhow::{Context, Result, ensure};

use crate::BulkOptions;
use crate::cells::{Cell, Way, Who};
use crate::client::{SINK, SOURCE};
use crate::results::Outcome;

/// Counters by name.
type Counters = BTreeMap<String, u64>;

/// A client may take so much longer than its transfer, seconds: for a handshake that is lost.
const PATIENCE: u32 = 30;

/// Makes Linux's hosts use the algorithm.
pub(crate) fn choose_algorithm(lab: &Lab, name: &str) -> Result<()> {
    for ns in [&lab.left, &lab.right] {
        let line = format!("echo {name} >/proc/sys/net/ipv4/tcp_congestion_control");
        ensure!(
            ns.try_sh(10, &line).status.success(),
            "Linux does not let a network namespace use {name}. Type, as root:\n    modprobe \
             tcp_{name}; sysctl -w net.ipv4.tcp_allowed_congestion_control=\"$(sysctl -n \
             net.ipv4.tcp_available_congestion_control)\""
        );
    }
    Ok(())
}

/// The options of `perf serve` for an algorithm, if it has any.
pub(crate) fn tapstack_options(lab: &Lab, algorithm: &str, more: &str) -> String {
    let perf = demo_path("perf");
    let help = lab.middle.try_sh(10, &format!("{} serve --help", perf.display()));
    let has_choice = String::from_utf8_lossy(&help.stdout).contains("--congestion");
    let choice = if has_choice { format!("--congestion {algorithm}") } else { String::new() };
    format!("{choice} {more}")
}

/// The far end's server.
pub(crate) fn serve(lab: &Lab, who: Who, options: &str) -> Running {
    match who {
        Who::Tapstack => lab.tapstack_serve("perf", &format!("serve --counters {options}")),
        Who::Linux => {
            let own = std::env::current_exe().expect("this program's path");
            let mut server = lab.right.spawn(own, "kernel-serve");
            server.wait_for("ready");
            server
        }
    }
}

pub(crate) fn address(who: Who) -> &'static str {
    match who {
        Who::Linux => RIGHT,
        Who::Tapstack => TAPSTACK,
    }
}

/// Runs this program as a client in Linux's near host, and returns what it prints.
pub(crate) fn client(lab: &Lab, secs: f64, arguments: &str) -> Result<String> {
    let own = std::env::current_exe()?;
    let mut command = lab.left.command(secs as u32 + PATIENCE, own);
    let output = command.args(arguments.split_whitespace()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the client failed: {said}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

pub(crate) fn run(
    lab: &Lab,
    options: &BulkOptions,
    cell: &Cell,
    who: Who,
    round: u64,
) -> Result<Outcome> {
    let seed = options.seed + round;
    let mut link = cell.link(&options.rate, &options.queue, seed);
    if let Some(dir) = &options.pcap {
        link.push_str(&capture(dir, cell, who, round)?);
    }
    let link = lab.link(&link);
    let server = serve(lab, who, &tapstack_options(lab, &cell.algorithm, &options.tapstack));
    // So that no neighbour has to be found while the clock runs: over this link that takes luck.
    let ping = format!("ping -q -c 1 -W 1 {}", address(who));
    lab.left
        .sh(40, &format!("for i in 1 2 3 4 5 6 7 8 9 10 11 12; do {ping} && exit; done; exit 1"));
    let before = [kernel_counters(&lab.left), kernel_counters(&lab.right)];
    let (port, what) = match cell.way {
        Way::Send => (SOURCE, "kernel-pull --count 1"),
        Way::Recv => (SINK, "kernel-push"),
    };
    let secs = options.secs;
    let said = client(lab, secs, &format!("{what} --secs {secs} {}:{port}", address(who)))?;
    let bytes: u64 = said.trim().parse().with_context(|| format!("the client said {said:?}"))?;
    let after = [kernel_counters(&lab.left), kernel_counters(&lab.right)];
    let [left, right] = [0, 1].map(|i| difference(&after[i], &before[i]));
    server.signal("INT");
    let (_, said) = server.finish();
    let far = if who == Who::Linux { right } else { tapstack_counters(&said) };
    let link = link.interrupt();
    let counter = |counters: &Counters, name: &str| counters.get(name).copied().unwrap_or(0);
    let (sender, receiver) = match cell.way {
        Way::Send => (&far, &left),
        Way::Recv => (&left, &far),
    };
    // What Linux tells: as the receiver it reports every segment that it had already, as the
    // sender it counts such reports.
    let spurious = match cell.way {
        Way::Send => {
            counter(receiver, "TcpExtTCPDSACKOldSent") + counter(receiver, "TcpExtTCPDSACKOfoSent")
        }
        Way::Recv => {
            counter(sender, "TcpExtTCPDSACKRecv") + counter(sender, "TcpExtTCPDSACKOfoRecv")
        }
    };
    Ok(Outcome {
        cell: cell.clone(),
        who,
        round,
        mbit: bytes as f64 * 8.0 / secs / 1e6,
        sent: frames(&link, cell.way),
        retransmitted: counter(sender, "TcpRetransSegs"),
        spurious,
        timeouts: counter(sender, "TcpExtTCPTimeouts"),
        missed: link.matches("MISSED").count() as u64,
    })
}

/// The frames that came into the link on the data's way.
fn frames(said: &str, way: Way) -> u64 {
    let towards = match way {
        Way::Send => "to a:",
        Way::Recv => "to b:",
    };
    let line = said.lines().find_map(|line| Some(line.split_once(towards)?.1));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn capture(dir: &Path, cell: &Cell, who: Who, round: u64) -> Result<String> {
    fs::create_dir_all(dir).with_context(|| format!("{}: cannot be made", dir.display()))?;
    let name = format!("{cell} {} {round}", who.name()).replace(' ', "-").replace('%', "pc");
    let path = fs::canonicalize(dir)?.join(format!("{name}.pcapng"));
    Ok(format!(" --pcap {}", path.display()))
}

/// Those of `/proc/net/snmp` and `/proc/net/netstat`, with the names that `nstat` gives them.
fn kernel_counters(ns: &Netns) -> Counters {
    let text = ns.sh(10, "cat /proc/net/snmp /proc/net/netstat");
    let mut counters = Counters::new();
    let mut lines = text.lines();
    while let (Some(names), Some(values)) = (lines.next(), lines.next()) {
        let mut names = names.split_whitespace();
        let prefix = names.next().unwrap_or_default().trim_end_matches(':');
        for (name, value) in names.zip(values.split_whitespace().skip(1)) {
            if let Ok(value) = value.parse() {
                counters.insert(format!("{prefix}{name}"), value);
            }
        }
    }
    counters
}

fn difference(after: &Counters, before: &Counters) -> Counters {
    let then = |name| before.get(name).copied().unwrap_or(0);
    after.iter().map(|(name, value)| (name.clone(), value.saturating_sub(then(name)))).collect()
}

/// Lines `NAME VALUE`. Tapstack's have no prefix for what is an extension in Linux.
fn tapstack_counters(said: &str) -> Counters {
    let pair = |line: &str| {
        let (name, value) = line.split_once(' ')?;
        Some((name.to_owned(), value.parse().ok()?))
    };
    let mut counters: Counters = said.lines().filter_map(pair).collect();
    if let Some(&timeouts) = counters.get("TCPTimeouts") {
        counters.insert("TcpExtTCPTimeouts".into(), timeouts);
    }
    counters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_are_understood() {
        let said = "lossy: to b: 10 frames in, 9 out, 1.0 kbit/s\nlossy: to a: 7 frames in, 7 out";
        assert_eq!((frames(said, Way::Recv), frames(said, Way::Send)), (10, 7));
        let counters = tapstack_counters("TcpRetransSegs 12\nready\nTCPTimeouts 3\n");
        assert_eq!(counters["TcpRetransSegs"], 12);
        assert_eq!(counters["TcpExtTCPTimeouts"], 3);
    }
}
