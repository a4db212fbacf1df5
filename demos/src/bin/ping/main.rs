//! ping: asks a host whether it is there, with ICMP echo requests.

mod statistics;

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use demos::client;
use demos::config;
use demos::options::CommonOptions;
use demos::output::say;
use demos::outside::Stopwatch;
use demos::program::{Program, Role};
use demos::units;
use stack::host::EchoSocket;
use stack::{EchoReply, EchoReplyKind, Instant};

use crate::statistics::Statistics;

/// ICMP and IP headers, bytes: what the first line adds to the size.
const HEADERS_V4: usize = 28;
const HEADERS_V6: usize = 48;

/// Requests of which the time of sending is remembered.
const MAX_PENDING: usize = 4096;

/// After the last reply, one waits at least so long for those that are still missing.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// With no time between two requests, the next waits so long for the last one's reply: a hundred go
/// in a second at the least, as with iputils' `-f`.
const FLOOD_WAIT: Duration = Duration::from_millis(10);

/// Sends ICMP echo requests and prints the replies.
#[derive(Parser, Debug)]
#[command(version)]
struct Options {
    /// The host's name or address.
    target: String,

    /// End after COUNT requests.
    #[arg(short, long)]
    count: Option<u64>,

    /// The time between two requests; 0: as soon as the reply has come, or after 10 ms.
    #[arg(short, long, value_name = "SECONDS", default_value = "1", value_parser = units::seconds)]
    interval: Duration,

    /// Bytes of text in a request.
    #[arg(short, long, default_value_t = 56, value_parser = units::text_size)]
    size: usize,

    /// How long to wait for the last reply.
    #[arg(
        short = 'W',
        long,
        value_name = "SECONDS",
        default_value = "10",
        value_parser = units::seconds
    )]
    timeout: Duration,

    /// Print only the first line and the last ones.
    #[arg(short, long)]
    quiet: bool,

    #[command(flatten)]
    common: CommonOptions,
}

/// A ping under way.
struct Ping<'a> {
    options: &'a Options,
    address: IpAddr,
    socket: EchoSocket,
    text: Vec<u8>,
    /// When which request was sent, for those without a reply.
    pending: BTreeMap<u16, Instant>,
    statistics: Arc<Mutex<Statistics>>,
}

fn main() -> ExitCode {
    let options = config::parse::<Options>();
    Program::run_with_status("ping", Role::Client, &options.common, |program| {
        ping(program, &options)
    })
}

fn ping(program: &Program, options: &Options) -> Result<ExitCode> {
    let socket = EchoSocket::open(program.host()).context("an ICMP socket")?;
    let statistics = Arc::new(Mutex::new(Statistics::default()));
    let clock = Stopwatch::start();
    let target = options.target.clone();
    let (shared, name) = (Arc::clone(&statistics), target.clone());
    program.on_stop(move || {
        let statistics = lock(&shared).clone();
        say(&format!("\n{}", statistics.report(&name, clock.elapsed())));
        Some(statistics.status())
    });
    program.ready()?;
    let address = client::lookup(program, &target)?;
    let size = options.size;
    let headers = if address.is_ipv4() { HEADERS_V4 } else { HEADERS_V6 };
    say(&format!("PING {target} ({address}) {size}({}) bytes of data.\n", size + headers));
    let text = (0..size).map(|index| index as u8).collect();
    let mut ping = Ping { options, address, socket, text, pending: BTreeMap::new(), statistics };
    ping.run()?;
    let statistics = lock(&ping.statistics).clone();
    say(&format!("\n{}", statistics.report(&target, clock.elapsed())));
    Ok(ExitCode::from(statistics.status()))
}

impl Ping<'_> {
    fn run(&mut self) -> Result<()> {
        let mut number = 0;
        while self.options.count.is_none_or(|count| number < count) {
            number += 1;
            self.ask(number as u16)?;
            if self.options.count != Some(number) {
                self.pause(number as u16)?;
            }
        }
        self.listen(self.last_wait(), |ping| ping.pending.is_empty())
    }

    /// Between two requests, the first of which is `sequence`.
    fn pause(&mut self, sequence: u16) -> Result<()> {
        // One that could not be sent has no reply to wait for.
        let went = self.pending.contains_key(&sequence);
        match self.options.interval {
            Duration::ZERO => {
                self.listen(FLOOD_WAIT, |ping| went && !ping.pending.contains_key(&sequence))
            }
            interval => self.listen(interval, |_| false),
        }
    }

    /// How long to wait after the last request: as iputils, twice the longest round trip once
    /// there was one.
    fn last_wait(&self) -> Duration {
        let statistics = lock(&self.statistics);
        match statistics.received {
            0 => self.options.timeout,
            _ => (statistics.slowest() * 2).max(LAST_WAIT).min(self.options.timeout),
        }
    }

    fn ask(&mut self, sequence: u16) -> Result<()> {
        lock(&self.statistics).sent += 1;
        match self.socket.send(self.address, sequence, &self.text) {
            Ok(at) => {
                if self.pending.len() >= MAX_PENDING {
                    self.pending.pop_first();
                }
                self.pending.insert(sequence, at);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::NetworkUnreachable => Err(error)
                .with_context(|| format!("{}: no route; is there a --gateway?", self.address)),
            Err(error) if error.kind() == io::ErrorKind::HostUnreachable => {
                lock(&self.statistics).errors += 1;
                self.show(&format!("icmp_seq={sequence} Destination Host Unreachable\n"));
                Ok(())
            }
            Err(error) => Err(error).with_context(|| self.address.to_string()),
        }
    }

    /// Takes replies for a while, those that are there in any case, or until it is `complete`.
    fn listen(&mut self, time: Duration, complete: impl Fn(&Self) -> bool) -> Result<()> {
        let since = Stopwatch::start();
        let mut text = vec![0; self.text.len() + 1];
        loop {
            let left = since.left_of(time);
            if complete(self) {
                return Ok(());
            }
            if left.is_zero() {
                return self.take_what_is_there(&mut text);
            }
            self.socket.set_read_timeout(Some(left))?;
            match self.socket.recv(&mut text) {
                Ok(reply) => self.take(&reply, &text[..reply.len.min(text.len())]),
                Err(error) if is_timeout(&error) => {}
                Err(error) => return Err(error).context("receiving"),
            }
        }
    }

    /// Takes replies without waiting for any: there may be no time between two requests.
    fn take_what_is_there(&mut self, text: &mut [u8]) -> Result<()> {
        self.socket.set_nonblocking(true)?;
        for _ in 0..MAX_PENDING {
            match self.socket.recv(text) {
                Ok(reply) => self.take(&reply, &text[..reply.len.min(text.len())]),
                Err(error) if is_timeout(&error) => break,
                Err(error) => return Err(error).context("receiving"),
            }
        }
        Ok(self.socket.set_nonblocking(false)?)
    }

    fn take(&mut self, reply: &EchoReply, text: &[u8]) {
        let sent = self.pending.remove(&reply.sequence);
        match reply.kind {
            EchoReplyKind::Reply => self.take_reply(reply, text, sent),
            kind => {
                lock(&self.statistics).errors += 1;
                let (from, sequence) = (reply.from, reply.sequence);
                self.show(&format!("From {from} icmp_seq={sequence} {}\n", explain(kind)));
            }
        }
    }

    fn take_reply(&mut self, reply: &EchoReply, text: &[u8], sent: Option<Instant>) {
        let mut statistics = lock(&self.statistics);
        let mut line = format!(
            "{} bytes from {}: icmp_seq={} ttl={}",
            reply.len + 8,
            reply.from,
            reply.sequence,
            reply.ttl
        );
        match sent {
            Some(sent) => {
                let time = reply.at - sent;
                statistics.received += 1;
                statistics.measured(time);
                line.push_str(&format!(" time={} ms", millis(time)));
            }
            None => {
                statistics.duplicates += 1;
                line.push_str(" (DUP!)");
            }
        }
        if text != self.text {
            statistics.corrupted += 1;
            line.push_str(" (another text than was sent!)");
        }
        drop(statistics);
        line.push('\n');
        self.show(&line);
    }

    fn show(&self, line: &str) {
        if !self.options.quiet {
            say(line);
        }
    }
}

/// As iputils: three significant digits, but not less than a microsecond.
fn millis(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1e3;
    match millis {
        _ if millis < 10.0 => format!("{millis:.3}"),
        _ if millis < 100.0 => format!("{millis:.1}"),
        _ => format!("{millis:.0}"),
    }
}

/// The words of iputils for an error (RFC 792).
fn explain(kind: EchoReplyKind) -> String {
    match kind {
        EchoReplyKind::Reply => "a reply".into(),
        EchoReplyKind::TimeExceeded => "Time to live exceeded".into(),
        EchoReplyKind::ParameterProblem { pointer, .. } => {
            format!("Parameter problem: pointer = {pointer}")
        }
        EchoReplyKind::Unreachable(0) => "Destination Net Unreachable".into(),
        EchoReplyKind::Unreachable(1) => "Destination Host Unreachable".into(),
        EchoReplyKind::Unreachable(2) => "Destination Protocol Unreachable".into(),
        EchoReplyKind::Unreachable(3) => "Destination Port Unreachable".into(),
        EchoReplyKind::Unreachable(4) => "Frag needed and DF set".into(),
        EchoReplyKind::Unreachable(13) => "Packet filtered".into(),
        EchoReplyKind::Unreachable(code) => format!("Destination Unreachable, code {code}"),
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}

fn lock(statistics: &Mutex<Statistics>) -> MutexGuard<'_, Statistics> {
    statistics.lock().unwrap_or_else(PoisonError::into_inner)
}
