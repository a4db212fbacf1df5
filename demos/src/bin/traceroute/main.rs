//! traceroute: which routers lead to a host, told by those that use up a packet's hops.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use demos::client;
use demos::config;
use demos::options::{CommonOptions, parse_port};
use demos::output::say;
use demos::outside::Stopwatch;
use demos::program::{Program, Role};
use demos::units;
use stack::host::{EchoSocket, UdpSocket};
use stack::{EchoReplyKind, NetworkErrorKind, UdpOptions};

/// Ports that nobody listens on, as a rule (Van Jacobson's): one for each question.
const FIRST_PORT: u16 = 33_434;

/// Sends packets that may make one hop, two, three and so on, and prints who says that they have
/// made them.
#[derive(Parser, Debug)]
#[command(version)]
struct Options {
    /// The host's name or address.
    target: String,

    /// Ask with ICMP echo requests instead of UDP datagrams.
    #[arg(short = 'I', long)]
    icmp: bool,

    /// The hops of the first packets.
    #[arg(short, long, value_name = "HOPS", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u8).range(1..))]
    first: u8,

    /// The hops at which to give up.
    #[arg(short, long, value_name = "HOPS", default_value_t = 30)]
    #[arg(value_parser = clap::value_parser!(u8).range(1..))]
    max: u8,

    /// Packets for each number of hops.
    #[arg(short, long, value_name = "COUNT", default_value_t = 3)]
    queries: u8,

    /// How long to wait for each answer.
    #[arg(short = 'w', long, value_name = "SECONDS", default_value = "3", value_parser = seconds)]
    wait: Duration,

    /// The port of the first datagram; each further one takes the next.
    #[arg(short, long, default_value_t = FIRST_PORT, value_parser = parse_port)]
    port: u16,

    /// Bytes of text in a packet.
    #[arg(short, long, default_value_t = 32, value_parser = units::text_size)]
    size: usize,

    #[command(flatten)]
    common: CommonOptions,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "a number of seconds, like 0.5".to_owned())?;
    Duration::try_from_secs_f64(number).map_err(|error| error.to_string())
}

/// Who answered a packet, and how.
#[derive(Clone, Copy, Debug)]
struct Answer {
    from: IpAddr,
    /// What traceroute prints behind the time, where the packet was not simply out of hops.
    mark: &'static str,
    /// Farther on there is nothing to ask.
    last: bool,
}

/// Who asks, for a target.
struct Asker {
    target: IpAddr,
    way: Way,
}

/// A way to ask.
enum Way {
    Udp { socket: UdpSocket, port: u16 },
    Icmp { socket: EchoSocket, sequence: u16 },
}

fn main() -> ExitCode {
    let options = config::parse::<Options>();
    Program::run_with_status("traceroute", Role::Client, &options.common, |program| {
        trace(program, &options)
    })
}

fn trace(program: &Program, options: &Options) -> Result<ExitCode> {
    program.ready()?;
    let target = client::lookup(program, &options.target)?;
    let mut asker = Asker::open(program, options, target)?;
    let headers = if target.is_ipv4() { 28 } else { 48 };
    let size = options.size + headers;
    say(&format!(
        "traceroute to {} ({target}), {} hops max, {size} byte packets\n",
        options.target, options.max
    ));
    for hops in options.first..=options.max {
        say(&format!("{hops:2} "));
        let mut ends = false;
        let mut seen = BTreeSet::new();
        for _ in 0..options.queries {
            let since = Stopwatch::start();
            let Some(answer) = asker.ask(options, hops)? else {
                say(" *");
                continue;
            };
            let millis = since.elapsed().as_secs_f64() * 1e3;
            if seen.insert(answer.from) {
                say(&format!(" {} ", answer.from));
            }
            say(&format!(" {millis:.3} ms{}", answer.mark));
            ends |= answer.last;
        }
        say("\n");
        if ends {
            return Ok(ExitCode::SUCCESS);
        }
    }
    Ok(ExitCode::FAILURE)
}

impl Asker {
    fn open(program: &Program, options: &Options, target: IpAddr) -> Result<Asker> {
        let way = if options.icmp {
            let socket = EchoSocket::open(program.host()).context("an ICMP socket")?;
            Way::Icmp { socket, sequence: 0 }
        } else {
            let any: IpAddr = if target.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
            let socket = UdpSocket::bind(program.host(), (any, 0)).context("a UDP socket")?;
            Way::Udp { socket, port: options.port }
        };
        Ok(Asker { target, way })
    }

    /// Sends one packet and waits for what comes back of it.
    fn ask(&mut self, options: &Options, hops: u8) -> Result<Option<Answer>> {
        let text = vec![b'@'; options.size];
        match &mut self.way {
            Way::Udp { socket, port } => {
                let to = SocketAddr::new(self.target, *port);
                *port = port.checked_add(1).unwrap_or(FIRST_PORT);
                ask_udp(socket, to, &text, hops, options.wait)
            }
            Way::Icmp { socket, sequence } => {
                *sequence = sequence.wrapping_add(1);
                ask_icmp(socket, self.target, *sequence, &text, hops, options.wait)
            }
        }
    }
}

fn ask_udp(
    socket: &UdpSocket,
    to: SocketAddr,
    text: &[u8],
    hops: u8,
    wait: Duration,
) -> Result<Option<Answer>> {
    socket.set_options(UdpOptions { ttl: hops, network_errors: true, ..socket.options()? })?;
    // Errors about packets before this one come late.
    while socket.take_network_error()?.is_some() {}
    let _: Option<io::Error> = socket.take_error()?;
    socket.send_to(text, to).with_context(|| to.to_string())?;
    let since = Stopwatch::start();
    let mut buffer = [0; 16];
    loop {
        let left = since.left_of(wait);
        if left.is_zero() {
            return Ok(None);
        }
        socket.set_read_timeout(Some(left))?;
        match socket.recv_from(&mut buffer) {
            // Somebody listens there after all.
            Ok((_, from)) if from == to => {
                return Ok(Some(Answer { from: from.ip(), mark: "", last: true }));
            }
            Ok(_) => {}
            // An error of the network's: the queue says more.
            Err(_) => {
                while let Some(error) = socket.take_network_error()? {
                    if error.remote == to {
                        let (mark, last) = judge(error.kind, error.from == to.ip());
                        return Ok(Some(Answer { from: error.from, mark, last }));
                    }
                }
            }
        }
    }
}

/// What an error says beside the time, and whether it is the last word.
fn judge(kind: NetworkErrorKind, at_target: bool) -> (&'static str, bool) {
    match kind {
        NetworkErrorKind::TimeExceeded => ("", false),
        NetworkErrorKind::Port => ("", true),
        NetworkErrorKind::Host => (" !H", true),
        NetworkErrorKind::Network => (" !N", true),
        NetworkErrorKind::Protocol => (" !P", at_target),
        NetworkErrorKind::Prohibited => (" !X", true),
        NetworkErrorKind::TooBig { .. } => (" !F", true),
        _ => (" !", true),
    }
}

fn ask_icmp(
    socket: &EchoSocket,
    target: IpAddr,
    sequence: u16,
    text: &[u8],
    hops: u8,
    wait: Duration,
) -> Result<Option<Answer>> {
    socket.send_with_ttl(target, sequence, text, Some(hops)).with_context(|| target.to_string())?;
    let since = Stopwatch::start();
    let mut buffer = vec![0; text.len()];
    loop {
        let left = since.left_of(wait);
        if left.is_zero() {
            return Ok(None);
        }
        socket.set_read_timeout(Some(left))?;
        let Ok(reply) = socket.recv(&mut buffer) else { continue };
        if reply.sequence != sequence {
            continue;
        }
        let (mark, last) = match reply.kind {
            EchoReplyKind::Reply => ("", true),
            EchoReplyKind::TimeExceeded => ("", false),
            EchoReplyKind::Unreachable(0) => (" !N", true),
            EchoReplyKind::Unreachable(1) => (" !H", true),
            EchoReplyKind::Unreachable(13) => (" !X", true),
            EchoReplyKind::Unreachable(_) | EchoReplyKind::ParameterProblem { .. } => (" !", true),
        };
        return Ok(Some(Answer { from: reply.from, mark, last }));
    }
}
