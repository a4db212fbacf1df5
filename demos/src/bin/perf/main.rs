//! perf: measures the stack, or serves those who do.

mod bulk;
mod flood;
mod latency;
mod serve;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use demos::config;
use demos::options::{CommonOptions, parse_port};
use demos::program::{Program, Role};
use demos::units;
use stack::Cidr;

/// The ports of the service contract.
mod port {
    pub(crate) const SINK: u16 = 5001;
    pub(crate) const SOURCE: u16 = 5002;
    pub(crate) const ECHO: u16 = 5003;
    pub(crate) const UDP_SINK: u16 = 5004;
    pub(crate) const UDP_ECHO: u16 = 5005;
    pub(crate) const UDP_SOURCE: u16 = 5006;
}

/// The prefix length that --ip stands for.
const IP_PREFIX: u8 = 24;

/// Measures throughput and latency, on the stack's side of the wire.
#[derive(Parser, Debug)]
#[command(version)]
struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// Offer the services that are measured, until killed: TCP sink 5001, source 5002, echo 5003;
    /// UDP sink 5004, echo 5005, source 5006.
    Serve {
        /// The stack's address, in a network of /24: short for --addr A.B.C.D/24.
        #[arg(long, value_name = "A.B.C.D", conflicts_with = "addr")]
        ip: Option<Ipv4Addr>,
        /// When it ends, print the stack's counters that are not zero, one a line.
        #[arg(long)]
        counters: bool,
        /// How long the TCP echo computes for each request, microseconds, up to a second: like a
        /// program with work of its own.
        #[arg(
            long,
            value_name = "US",
            default_value_t = 0,
            value_parser = clap::value_parser!(u32).range(..=1_000_000)
        )]
        work: u32,
        #[command(flatten)]
        common: CommonOptions,
    },
    /// Send to a sink as fast as possible.
    Send(ClientOptions),
    /// Receive from a source as fast as possible.
    Recv(ClientOptions),
    /// One request and one reply after the other, with an echo service.
    Rr(ClientOptions),
}

/// The time of a measurement.
fn span(text: &str) -> Result<Duration, String> {
    let day = Duration::from_secs(86_400);
    let wanted = units::seconds(text).ok().filter(|time| !time.is_zero() && *time <= day);
    wanted.ok_or_else(|| "write seconds, more than 0 and up to 86400, like 3 or 0.5".into())
}

#[derive(Args, Clone, Debug)]
struct ClientOptions {
    /// The server's name or address.
    host: String,

    /// The server's port (otherwise that of the service).
    #[arg(long, value_parser = parse_port)]
    port: Option<u16>,

    /// How long to measure, up to a day.
    #[arg(long, value_name = "SECONDS", default_value = "3", value_parser = span)]
    secs: Duration,

    /// With rr: bytes of a request and of a reply, up to 16 MiB.
    #[arg(
        long,
        value_name = "BYTES",
        default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..=16 << 20)
    )]
    size: u32,

    #[command(flatten)]
    common: CommonOptions,
}

impl ClientOptions {
    /// NAME:PORT or ADDRESS:PORT.
    fn target(&self, service: u16) -> String {
        let port = self.port.unwrap_or(service);
        match self.host.parse::<IpAddr>() {
            Ok(address) => SocketAddr::new(address, port).to_string(),
            Err(_) => format!("{}:{port}", self.host),
        }
    }
}

fn main() -> ExitCode {
    match config::parse::<Options>().what {
        What::Serve { ip, counters, work, mut common } => {
            common.sharded = true;
            if let Some(ip) = ip {
                common.addr = vec![Cidr { address: IpAddr::V4(ip), prefix: IP_PREFIX }];
            }
            Program::run("perf", Role::Server, &common, |program| {
                if counters {
                    serve::tell_counters_at_the_end(program);
                }
                serve::serve(program, Duration::from_micros(work.into()))
            })
        }
        What::Send(options) => client(&options, bulk::send),
        What::Recv(options) => client(&options, bulk::receive),
        What::Rr(options) => client(&options, latency::request_reply),
    }
}

fn client(
    options: &ClientOptions,
    measure: fn(&Program, &ClientOptions) -> anyhow::Result<()>,
) -> ExitCode {
    Program::run("perf", Role::Client, &options.common, |program| {
        program.ready()?;
        measure(program, options)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_a_name_or_an_address() {
        let target = |line: &str| {
            let words = ["perf", "send", "--tap", "tap0"].into_iter().chain(line.split(' '));
            let What::Send(options) = Options::parse_from(words).what else { unreachable!() };
            options.target(port::SINK)
        };
        assert_eq!(target("192.0.2.1"), "192.0.2.1:5001");
        assert_eq!(target("2001:db8::1 --port 7"), "[2001:db8::1]:7");
        assert_eq!(target("web.test"), "web.test:5001");
    }
}
