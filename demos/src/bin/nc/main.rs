//! nc: standard input and output, connected to a port.

mod input;
mod tcp;
mod udp;

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use demos::options::CommonOptions;
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

    /// ADDRESS PORT of the other side; with -l: [ADDRESS] PORT of this one.
    #[arg(required = true, num_args = 1..=2, value_names = ["ADDRESS", "PORT"])]
    target: Vec<String>,

    #[command(flatten)]
    common: CommonOptions,
}

impl Options {
    fn address(&self) -> Result<SocketAddr> {
        let (address, port) = match &self.target[..] {
            [port] if self.listen => (IpAddr::V6(Ipv6Addr::UNSPECIFIED), port),
            [_] => bail!("an address and a port: nc 192.0.2.1 8080"),
            [address, port] => {
                let ip = address.parse().with_context(|| {
                    format!("{address:?} is not an address (names are not resolved yet)")
                })?;
                (ip, port)
            }
            _ => bail!("at most an address and a port"),
        };
        let port = port.parse().with_context(|| format!("{port:?} is not a port: 1 to 65535"))?;
        Ok(SocketAddr::new(address, port))
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
    let options = Options::parse();
    // A listener is done with its connection, as a client is: both have a task and end with it.
    Program::run("nc", Role::Client, &options.common, |program| {
        let address = options.address()?;
        match (options.udp, options.listen) {
            (false, false) => tcp::connect(program, &options, address),
            (false, true) => tcp::listen(program, &options, address),
            (true, false) => udp::connect(program, &options, address),
            (true, true) => udp::listen(program, &options, address),
        }
    })
}
