//! One transfer: a link with these dice, a server at its far end, a client of Linux's at the near.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

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
pub(crate) fn serve(lab: &Lab, who: Who, way: Way, options: &str) -> Running {
    let own = |ns: &Netns, arguments: &str| {
        let program = std::env::current_exe().expect("this program's path");
        let mut server = ns.spawn(program, arguments);
        server.wait_for("ready");
        server
    };
    match who {
        Who::Tapstack => lab.tapstack_serve("perf", &format!("serve --counters {options}")),
        Who::Linux => own(&lab.right, "kernel-serve"),
        Who::Smoltcp => own(&lab.middle, &format!("smoltcp-serve {}", port(way))),
    }
}

/// The service at the far end for bytes that go this way.
fn port(way: Way) -> u16 {
    match way {
        Way::Send => SOURCE,
        Way::Recv => SINK,
    }
}

pub(crate) fn address(who: Who) -> &'static str {
    match who {
        Who::Linux => RIGHT,
        Who::Tapstack | Who::Smoltcp => TAPSTACK,
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

/// What a transfer left behind.
struct Traces {
    bytes: u64,
    /// Of Linux's near host, and of the far end.
    left: Counters,
    far: Counters,
    /// The link's summary.
    link: String,
}

pub(crate) fn run(
    lab: &Lab,
    options: &BulkOptions,
    cell: &Cell,
    who: Who,
    round: u64,
) -> Result<Outcome> {
    let mut link = cell.link(&options.rate, &options.queue, options.seed + round);
    let keep = options.pcap.as_deref().map(|dir| place(dir, cell, who, round)).transpose()?;
    if let Some(path) = &keep {
        link.push_str(&format!(" --pcap {}.pcapng", path.display()));
    }
    let traces = transfer(lab, options, cell, who, &link)?;
    if let Some(path) = &keep {
        let Traces { bytes, left, far, link } = &traces;
        let text = format!("{bytes} bytes\n{link}\nleft {left:#?}\nfar {far:#?}\n");
        fs::write(path.with_extension("txt"), text)?;
    }
    Ok(judge(&traces, options.secs, cell, who, round))
}

fn transfer(lab: &Lab, options: &BulkOptions, cell: &Cell, who: Who, link: &str) -> Result<Traces> {
    let link = lab.link(link);
    let server =
        serve(lab, who, cell.way, &tapstack_options(lab, &cell.algorithm, &options.tapstack));
    find_neighbour(lab, who)?;
    let before = [kernel_counters(&lab.left), kernel_counters(&lab.right)];
    let what = match cell.way {
        Way::Send => "kernel-pull --count 1",
        Way::Recv => "kernel-push",
    };
    let (secs, to, port) = (options.secs, address(who), port(cell.way));
    let said = client(lab, secs, &format!("{what} --secs {secs} {to}:{port}"))?;
    let bytes = said.trim().parse().with_context(|| format!("the client said {said:?}"))?;
    let after = [kernel_counters(&lab.left), kernel_counters(&lab.right)];
    let [left, right] = [0, 1].map(|i| difference(&after[i], &before[i]));
    server.signal("INT");
    let (_, said) = server.finish();
    let far = if who == Who::Linux { right } else { tapstack_counters(&said) };
    Ok(Traces { bytes, left, far, link: link.interrupt() })
}

/// So that no neighbour has to be found while the clock runs: over such a link that takes luck.
/// (smoltcp, as it is built here, answers to no ping, but to ARP.)
fn find_neighbour(lab: &Lab, who: Who) -> Result<()> {
    let address = address(who);
    let line = format!(
        "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do ping -q -c 1 -W 1 {address} >/dev/null && exit; \
         ip neighbour show {address} | grep -q lladdr && exit; done; exit 1"
    );
    let found = lab.left.try_sh(40, &line).status.success();
    ensure!(found, "{} does not answer to ARP over this link", who.name());
    Ok(())
}

/// What the traces of a transfer say.
///
/// What was lost on the way was sent again for a reason, and nothing else was: copies are only
/// made by the sender. Linux's own reports of duplicates are fewer, for it joins them when it
/// compresses acknowledgments; they count where a loss was not repaired before the end.
fn judge(traces: &Traces, secs: f64, cell: &Cell, who: Who, round: u64) -> Outcome {
    let Traces { bytes, left, far, link } = traces;
    let count = |counters: &Counters, name: &str| counters.get(name).copied().unwrap_or(0);
    let (sender, reported) = match cell.way {
        Way::Send => (far, ["OldSent", "OfoSent"]),
        Way::Recv => (left, ["Recv", "OfoRecv"]),
    };
    let reported = reported.map(|name| count(left, &format!("TcpExtTCPDSACK{name}"))).iter().sum();
    let retransmitted = count(sender, "TcpRetransSegs");
    let lost =
        of_link(link, cell.way, "lost ") + of_link(link, cell.way, "dropped by the full queue ");
    Outcome {
        cell: cell.clone(),
        who,
        round,
        mbit: *bytes as f64 * 8.0 / secs / 1e6,
        sent: of_link(link, cell.way, ": "),
        retransmitted,
        spurious: retransmitted.saturating_sub(lost).max(reported).min(retransmitted),
        timeouts: count(sender, "TcpExtTCPTimeouts"),
        missed: link.matches("MISSED").count() as u64,
    }
}

/// The number after some words in the link's summary of the data's way; 0 if they are not there.
fn of_link(said: &str, way: Way, words: &str) -> u64 {
    let towards = match way {
        Way::Send => "to a",
        Way::Recv => "to b",
    };
    let line = said.lines().find_map(|line| Some(line.split_once(towards)?.1));
    let number = line.and_then(|line| line.split_once(words)?.1.split_whitespace().next());
    number.and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// Where what is kept of a transfer goes, without an extension.
fn place(dir: &Path, cell: &Cell, who: Who, round: u64) -> Result<PathBuf> {
    fs::create_dir_all(dir).with_context(|| format!("{}: cannot be made", dir.display()))?;
    let name = format!("{cell} {} {round}", who.name());
    let name = name.replace(" %", "%").replace(' ', "-").replace(['%', '.'], "_");
    Ok(fs::canonicalize(dir)?.join(name))
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

/// Lines `NAME VALUE`.
fn tapstack_counters(said: &str) -> Counters {
    let pair = |line: &str| {
        let (name, value) = line.split_once(' ')?;
        Some((name.to_owned(), value.parse().ok()?))
    };
    said.lines().filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "lossy: to b: 10 frames in, 9 out, 1.0 kbit/s; lost 1 (10.00%); dropped by \
         the full queue 2 (0.20%)\nlossy: to a: 7 frames in, 7 out, 1.0 kbit/s";

    #[test]
    fn summaries_are_understood() {
        assert_eq!((of_link(SAID, Way::Recv, ": "), of_link(SAID, Way::Send, ": ")), (10, 7));
        assert_eq!((of_link(SAID, Way::Recv, "lost "), of_link(SAID, Way::Send, "lost ")), (1, 0));
        assert_eq!(tapstack_counters("TcpRetransSegs 12\nready\n")["TcpRetransSegs"], 12);
    }

    #[test]
    fn what_was_not_lost_was_sent_again_for_nothing() {
        let cell = Cell {
            way: Way::Recv,
            algorithm: "cubic".into(),
            rtt: 20.0,
            loss: 1.0,
            reorder: false,
        };
        let far = Counters::new();
        let mut left = Counters::from([("TcpRetransSegs".to_owned(), 5)]);
        let mut spurious = |reports: u64| {
            left.insert("TcpExtTCPDSACKRecv".into(), reports);
            let (left, far) = (left.clone(), far.clone());
            let traces = Traces { bytes: 1_000_000, left, far, link: SAID.to_owned() };
            let outcome = judge(&traces, 1.0, &cell, Who::Tapstack, 0);
            assert_eq!((outcome.mbit, outcome.sent, outcome.retransmitted), (8.0, 10, 5));
            outcome.spurious
        };
        assert_eq!([spurious(0), spurious(4), spurious(9)], [2, 4, 5]);
    }
}
