//! chat: talks with everybody in a multicast group; there is no server.
//!
//! Who joins says so, and who is there already answers: everybody knows who listens. Datagrams may
//! be lost, and nobody asks for them again.

mod message;

use std::collections::BTreeSet;
use std::io::{self, BufRead};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use demos::config;
use demos::options::{CommonOptions, parse_port};
use demos::output::say;
use demos::outside::{self, Stopwatch};
use demos::patient::is_timeout;
use demos::program::{Program, Role};
use stack::UdpOptions;
use stack::host::UdpSocket;

use crate::message::{LONGEST_TEXT, Message, Name, What};

/// How often one says that one is new, and how long after each other: a datagram may be lost, and
/// switches forward to a group only after they have heard who is in it.
const ANNOUNCEMENTS: u32 = 3;
const ANNOUNCE_EVERY: Duration = Duration::from_millis(700);

/// The most people that are remembered: of more it is not told that they are here.
const MAX_PEOPLE: usize = 1000;

/// Talks with everybody in a multicast group.
///
/// Every line of standard input is said to all. Its end is the end of the program, as Ctrl-C is.
#[derive(Parser, Debug)]
#[command(version)]
struct Options {
    /// Who you are.
    #[arg(short, long, value_parser = Name::new)]
    name: Name,

    /// The group, of either IP version: ff15::7:7 for example.
    #[arg(short, long, value_name = "IP", default_value = "239.192.7.7")]
    group: IpAddr,

    /// The port.
    #[arg(short, long, default_value_t = 7777, value_parser = parse_port)]
    port: u16,

    /// How many routers a message may pass, and one more.
    #[arg(long, value_name = "HOPS", default_value_t = 1)]
    ttl: u8,

    #[command(flatten)]
    common: CommonOptions,
}

/// One of those who talk.
struct Member {
    socket: UdpSocket,
    group: SocketAddr,
    name: Name,
}

fn main() -> ExitCode {
    let options = config::parse::<Options>();
    Program::run("chat", Role::Client, &options.common, |program| chat(program, &options))
}

fn chat(program: &Program, options: &Options) -> Result<()> {
    let member = Arc::new(Member::join(program, options)?);
    let leaving = Arc::clone(&member);
    program.on_stop(move || {
        leaving.say(What::Leave);
        Some(0)
    });
    // Before what others say.
    say(&format!("* you are {} in {}\n", member.name, member.group));
    let listening = Arc::clone(&member);
    outside::spawn("listener", move || listening.listen()).context("no thread to listen")?;
    program.ready()?;
    for line in io::stdin().lock().lines() {
        let line = line.context("standard input")?;
        if line.len() > LONGEST_TEXT {
            program.say(&format!("not said: the line has more than {LONGEST_TEXT} bytes"));
        } else if !line.is_empty() {
            member.say(What::Say(line));
        }
    }
    member.say(What::Leave);
    Ok(())
}

impl Member {
    fn join(program: &Program, options: &Options) -> Result<Member> {
        let group = options.group;
        ensure!(group.is_multicast(), "{group}: is no group: 224.0.0.0/4 and ff00::/8 are");
        // Several on one host have one port, and all of them hear what is said.
        let udp =
            UdpOptions { reuse_address: true, multicast_ttl: options.ttl, ..UdpOptions::default() };
        let any = match group {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let socket = UdpSocket::bind_with(program.host(), (any, options.port), udp)
            .with_context(|| format!("UDP port {}: cannot be used", options.port))?;
        socket.join_group(group).with_context(|| format!("{group}: cannot be joined"))?;
        let group = SocketAddr::new(group, options.port);
        Ok(Member { socket, group, name: options.name.clone() })
    }

    fn say(&self, what: What) {
        let message = Message { name: self.name.clone(), what };
        if let Err(error) = self.socket.send_to(message.to_datagram().as_bytes(), self.group) {
            eprintln!("chat: not said: {error}");
        }
    }

    /// Says that one is new, and prints what others say, until the program ends.
    fn listen(&self) {
        let mut present = BTreeSet::new();
        let mut datagram = [0; 2048];
        let (mut announced, since) = (0, Stopwatch::start());
        loop {
            let due = ANNOUNCE_EVERY * announced;
            if announced < ANNOUNCEMENTS && since.elapsed() >= due {
                self.say(What::Join);
                announced += 1;
                continue;
            }
            let wait = (announced < ANNOUNCEMENTS)
                .then(|| since.left_of(due).max(Duration::from_millis(1)));
            if let Err(error) = self.socket.set_read_timeout(wait) {
                return log::debug!("no longer listening: {error}");
            }
            match self.socket.recv_from(&mut datagram) {
                Ok((length, from)) => match Message::parse(&datagram[..length]) {
                    // What is said is heard by whoever said it, too.
                    Some(message) if message.name == self.name => {}
                    Some(message) => self.hear(message, &mut present),
                    None => log::info!("{from}: {length} bytes that are no message"),
                },
                Err(error) if is_timeout(&error) => {}
                Err(error) => return log::debug!("no longer listening: {error}"),
            }
        }
    }

    fn hear(&self, Message { name, what }: Message, present: &mut BTreeSet<Name>) {
        match what {
            What::Join | What::Here if present.contains(&name) => {}
            What::Join => say(&format!("* {name} joins\n")),
            What::Leave => say(&format!("* {name} leaves\n")),
            What::Here => say(&format!("* {name} is here\n")),
            What::Say(ref text) => say(&format!("{name}: {text}\n")),
        }
        if what == What::Join {
            self.say(What::Here);
        }
        if what == What::Leave {
            present.remove(&name);
        } else if present.len() < MAX_PEOPLE {
            present.insert(name);
        }
    }
}
