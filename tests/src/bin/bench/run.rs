//! Rounds of measurements, each stack in turn, in network namespaces of their own.

use std::net::Ipv4Addr;

use ::tests::netns::{Netns, Running, demo_path};
use anyhow::{Context, Result, bail, ensure};

use crate::RunOptions;
use crate::results::{self, Outcome, Who};
use crate::rows::Row;
use crate::stopwatch::Count;

/// The two ends of the wire.
const CLIENT: &str = "192.0.2.1";
const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const TAP: &str = "tap0";

/// A client may take so much longer than its measurement, seconds.
const PATIENCE: u32 = 20;

/// In every namespace: no IPv6, so that nobody speaks unasked; ports enough for `crr`, and an
/// algorithm that does not pace.
const SETTINGS: &str = "cd /proc/sys/net && \
     echo 1 >ipv6/conf/all/disable_ipv6; echo 1 >ipv6/conf/default/disable_ipv6; \
     echo 1 >ipv4/tcp_tw_reuse; echo '1024 65535' >ipv4/ip_local_port_range; \
     echo 512 >ipv4/tcp_max_tw_buckets; echo cubic >ipv4/tcp_congestion_control; true";

/// The client's namespace, and the server's: another one for Linux, otherwise the same.
struct Place {
    near: Netns,
    far: Option<Netns>,
    who: Who,
}

/// All rounds; what was measured goes to the file at once, so that it can be interrupted. The
/// results of an earlier run go when the first of this one is there.
pub(crate) fn run(options: &RunOptions) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for round in 1..=options.rounds {
        for &who in &options.who {
            let place = Place::new(who)?;
            for &row in &options.rows {
                match place.measure(&row, options) {
                    Ok(count) => {
                        let outcome = Outcome { round, row, who, count };
                        if outcomes.is_empty() {
                            results::begin(&options.files.tsv)?;
                        }
                        results::append(&options.files.tsv, &outcome)?;
                        eprintln!("{round} {} {}: {:.2}", row.name, who.name(), outcome.rate());
                        outcomes.push(outcome);
                    }
                    Err(error) => eprintln!("{round} {} {}: {error:#}", row.name, who.name()),
                }
            }
        }
    }
    ensure!(!outcomes.is_empty(), "nothing could be measured");
    Ok(outcomes)
}

impl Place {
    fn new(who: Who) -> Result<Place> {
        let Some(near) = Netns::empty() else {
            bail!("no network namespace with a TAP to be had here: run as root");
        };
        near.sh(10, SETTINGS);
        let far = (who == Who::Linux).then(|| near.beside());
        if let Some(far) = &far {
            far.sh(10, SETTINGS);
            let there = far.id();
            near.sh(10, &format!("ip link add dev {TAP} type veth peer name eth0 netns {there}"));
            far.sh(10, &format!("ip address add {SERVER}/24 dev eth0 && ip link set eth0 up"));
        } else {
            let queues = if who == Who::Queues { "multi_queue" } else { "" };
            near.sh(10, &format!("ip tuntap add {TAP} mode tap {queues}"));
        }
        near.sh(10, &format!("ip address add {CLIENT}/24 dev {TAP} && ip link set {TAP} up"));
        Ok(Place { near, far, who })
    }

    /// A new server for each row: where it runs is decided when it starts.
    fn serve(&self, row: &Row) -> Result<Running> {
        let own = std::env::current_exe()?;
        let (own, perf) = (own.display(), demo_path("perf"));
        let (perf, work) = (perf.display(), row.work);
        let serve = format!("{perf} serve --tap {TAP} --ip {SERVER} --work {work}");
        let command = match self.who {
            Who::Linux => format!("{own} serve-linux {work}"),
            Who::Limit => format!("{own} serve-limit {work} {TAP} {SERVER}"),
            Who::Smoltcp => format!("{own} serve-smoltcp {work} {TAP} {SERVER}"),
            Who::Tapstack => serve,
            Who::Queues => format!("{serve} --queues 2"),
            Who::Plain => format!("{serve} --plain"),
        };
        let ns = self.far.as_ref().unwrap_or(&self.near);
        let mut server = ns.spawn("taskset", &format!("-c {} {command}", row.places.server));
        server.wait_for("ready");
        Ok(server)
    }

    fn measure(&self, row: &Row, options: &RunOptions) -> Result<Count> {
        let server = self.serve(row)?;
        let mut client = self.near.command(options.secs as u32 + PATIENCE, "taskset");
        client.args(["-c", row.places.client]).arg(std::env::current_exe()?);
        client.args(["measure", row.name, &SERVER.to_string(), &options.secs.to_string()]);
        let output = client.output().context("nsenter, setpriv, timeout and taskset")?;
        drop(server);
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}", said.trim());
        let text = String::from_utf8_lossy(&output.stdout);
        let words: Vec<&str> = text.split_whitespace().collect();
        let &[count, secs, busy] = &words[..] else { bail!("the client said {text:?}") };
        Ok(Count { count: count.parse()?, secs: secs.parse()?, busy: busy.parse()? })
    }
}
