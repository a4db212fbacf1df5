//! nc: standard input and output, connected to a port.

mod input;
mod tcp;
mod udp;

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Error, Result, bail};
use clap::Parser;
use demos::config;
use demos::options::{CommonOptions, parse_port};
use demos::program::{Program, Role};

/// Connects standard input and output to a port, as OpenBSD's nc does.
#[derive(Parser, Debug)]
#[command(version)]
struct Options {
    /// Wait for a connection instead of making one.
    #[arg(short, long)]
    listen: bool,

    /// UDP: every read of standard input is one datagram.
    #[arg(short, long)]
    udp: bool,

    /// Close the sending side at the end of standard input. With -l: also wait for that end when
    /// the client has closed its side.
    #[arg(short = 'N', long)]
    shutdown: bool,

    /// Give up connecting, and end, after so many seconds without traffic.
    #[arg(short = 'w', long, value_name = "SECONDS")]
    timeout: Option<u64>,

    /// With -l: go on listening when a connection ends.
    #[arg(short, long, requires = "listen")]
    keep: bool,

    /// The local port of a client.
    #[arg(short = 'p', long, value_name = "PORT", conflicts_with = "listen")]
    source_port: Option<u16>,

    /// Say what happens.
    #[arg(short, long)]
    verbose: bool,

    /// HOST PORT of the other side; with -l: [ADDRESS] PORT of this one.
    #[arg(required = true, num_args = 1..=2, value_names = ["HOST", "PORT"])]
    target: Vec<String>,

    #[command(flatten)]
    common: CommonOptions,
}

impl Options {
    /// What to listen on.
    fn address(&self) -> Result<SocketAddr> {
        let (address, port) = match &self.target[..] {
            [port] => (IpAddr::V6(Ipv6Addr::UNSPECIFIED), port),
            [address, port] => {
                let ip = address.parse();
                (ip.with_context(|| format!("{address:?} is not an address"))?, port)
            }
            _ => bail!("at most an address and a port"),
        };
        Ok(SocketAddr::new(address, parse_port(port).map_err(Error::msg)?))
    }

    /// Whom to talk to: HOST:PORT.
    fn peer(&self) -> Result<String> {
        let [host, port] = &self.target[..] else {
            bail!("a host and a port: nc 192.0.2.1 8080");
        };
        let port = parse_port(port).map_err(Error::msg)?;
        Ok(match host.parse::<IpAddr>() {
            Ok(address) => SocketAddr::new(address, port).to_string(),
            Err(_) => format!("{host}:{port}"),
        })
    }

    fn idle(&self) -> Option<Duration> {
        self.timeout.map(|seconds| Duration::from_secs(seconds.max(1)))
    }

    fn verbose(&self, program: &Program, text: &str) {
        if self.verbose {
            program.say(text);
        }
    }
}

fn main() -> ExitCode {
    let options = config::parse::<Options>();
    // A listener is done with its connection, as a client is: both have a task and end with it.
    Program::run("nc", Role::Client, &options.common, |program| {
        match (options.udp, options.listen) {
            (false, false) => tcp::connect(program, &options, &options.peer()?),
            (false, true) => tcp::listen(program, &options, options.address()?),
            (true, false) => udp::connect(program, &options, &options.peer()?),
            (true, true) => udp::listen(program, &options, options.address()?),
        }
    })
}
