//! crowd: what very many idle connections take, and what an exchange beside them costs.
//!
//! Two hosts in this process, and a cable in memory between them: no TAP, no privileges. One thread
//! is client and server in turn, so that an exchange costs no hand-over between threads.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use demos::human;
use demos::output::say;
use demos::outside::Stopwatch;
use demos::program::conclude;
use stack::host::{Host, TcpListener, TcpStream};
use stack::{Cidr, Config, Mac};

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

/// Connections to one port of the server: fewer than the client has ports of its own.
const PER_PORT: usize = 20_000;
const FIRST_PORT: u16 = 7000;

/// Frames that the cable holds each way.
const CABLE: usize = 1000;

/// What very many idle connections take, and what an exchange beside them costs.
///
/// Opens connections from one host in this process to another, and at 10, 100, 1,000 ... tells the
/// memory of this process for each end of a connection (the sockets of the application included),
/// and the time of an exchange, a byte there and a byte back, on one of them.
#[derive(Parser, Debug)]
#[command(version)]
struct Options {
    /// Connections to open in the end.
    #[arg(default_value_t = 100_000)]
    count: usize,

    /// Exchanges of which the mean is told.
    #[arg(short, long, default_value_t = 20_000)]
    exchanges: u32,
}

fn main() -> ExitCode {
    conclude("crowd", run(&Options::parse()).map(|()| ExitCode::SUCCESS))
}

fn run(options: &Options) -> Result<()> {
    ensure!(options.count > 0 && options.exchanges > 0, "at least one connection and exchange");
    let mut crowd = Crowd::new()?;
    say(&format!(
        "{:>11}  {:>10}  {:>9}  {:>11}\n",
        "connections", "memory", "each end", "an exchange"
    ));
    let mut step = 10;
    while step < options.count {
        crowd.tell(step, options.exchanges)?;
        step *= 10;
    }
    crowd.tell(options.count, options.exchanges)
}

struct Crowd {
    client: Host,
    server: Host,
    listener: TcpListener,
    /// Both ends of each connection.
    ends: Vec<(TcpStream, TcpStream)>,
    /// Memory of this process before there were any, bytes.
    empty: u64,
}

impl Crowd {
    fn new() -> Result<Crowd> {
        let (near, far) = tapdev::pair(1500, CABLE);
        let client = Host::new(config(CLIENT, 1), near).context("the client")?;
        let server = Host::new(config(SERVER, 2), far).context("the server")?;
        let listener = TcpListener::bind(&server, (SERVER, FIRST_PORT))?;
        Ok(Crowd { client, server, listener, ends: Vec::new(), empty: resident()? })
    }

    /// Opens connections until there are so many, and tells what they take and cost.
    fn tell(&mut self, count: usize, exchanges: u32) -> Result<()> {
        while self.ends.len() < count {
            let number = self.ends.len();
            self.open().with_context(|| format!("connection {number}"))?;
        }
        let memory = resident()?.saturating_sub(self.empty);
        let each = memory / (2 * count as u64);
        let time = self.exchange(exchanges)?.as_secs_f64() / f64::from(exchanges) * 1e6;
        let memory = human::bytes(memory);
        say(&format!("{count:>11}  {memory:>10}  {each:>7} B  {time:>8.2} us\n"));
        Ok(())
    }

    fn open(&mut self) -> Result<()> {
        let port = FIRST_PORT + (self.ends.len() / PER_PORT) as u16;
        if self.listener.local_addr()?.port() != port {
            self.listener = TcpListener::bind(&self.server, (SERVER, port))?;
        }
        let near = TcpStream::connect(&self.client, (SERVER, port)).context("connect")?;
        let (far, _) = self.listener.accept().context("accept")?;
        self.ends.push((near, far));
        Ok(())
    }

    /// A byte there and a byte back, so many times, on the oldest connection.
    fn exchange(&mut self, times: u32) -> Result<Duration> {
        let (near, far) = self.ends.first_mut().context("no connection")?;
        let mut byte = [7];
        let watch = Stopwatch::start();
        for _ in 0..times {
            near.write_all(&byte)?;
            far.read_exact(&mut byte)?;
            far.write_all(&byte)?;
            near.read_exact(&mut byte)?;
        }
        Ok(watch.elapsed())
    }
}

fn config(address: IpAddr, number: u8) -> Config {
    let mut config = Config::new(Mac([2, 0, 0, 0, 0, number]));
    config.addresses = vec![Cidr { address, prefix: 24 }];
    config
}

/// Memory of this process, bytes.
fn resident() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kib.context("no VmRSS in /proc/self/status")? * 1024)
}
