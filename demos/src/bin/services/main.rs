//! services: three services on three hosts that call each other, and cope when one is gone.
//!
//! Four hosts in this process on a switch in memory: no TAP, no privileges.

mod call;
mod service;
mod shop;
mod switch;

use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use demos::human;
use demos::output::say;
use demos::outside::{self, Stopwatch};
use demos::program::conclude;
use stack::host::Host;
use stack::{Cidr, Config, Mac};

use crate::call::Patience;
use crate::service::{Answer, Service};
use crate::shop::{FRONT, ORDERS, USERS};
use crate::switch::{Cable, Switch};

const YOU: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9));

/// How long you wait for front.
const YOURS: Patience = Patience { deadline: Duration::from_secs(3), tries: 1 };

/// How long a service that came back may take to be used again.
const RECOVERY: Duration = Duration::from_secs(5);

/// How often one looks.
const TICK: Duration = Duration::from_millis(20);

/// Three services on three hosts that call each other over HTTP, and cope when one is gone.
///
/// front asks users and orders, and orders asks users. One is stopped, so that it refuses; one is
/// cut off, so that nothing is heard of it; each time front answers in time with what there is, and
/// uses who is back. The program fails if that is not so.
#[derive(Parser, Debug)]
#[command(version)]
struct Options {
    /// How many requests are made in each act.
    #[arg(short, long, default_value_t = 3)]
    requests: u32,
}

fn main() -> ExitCode {
    conclude("services", run(&Options::parse()).map(|()| ExitCode::SUCCESS))
}

/// A host with a service on it, or without.
struct Place {
    host: Host,
    cable: Cable,
    answer: Answer,
    service: Option<Service>,
}

impl Place {
    fn new(switch: &Switch, address: IpAddr, answer: Answer) -> Result<Place> {
        let (host, cable) = host(switch, address)?;
        let mut place = Place { host, cable, answer, service: None };
        place.start()?;
        Ok(place)
    }

    fn start(&mut self) -> Result<()> {
        let answer = self.answer.clone();
        self.service = Some(Service::start(&self.host, answer).context("a service")?);
        Ok(())
    }
}

fn host(switch: &Switch, address: IpAddr) -> Result<(Host, Cable)> {
    let (device, cable) = switch.plug().context("the switch")?;
    let number = match address {
        IpAddr::V4(address) => address.octets()[3],
        IpAddr::V6(address) => address.octets()[15],
    };
    let mut config = Config::new(Mac([2, 0, 0, 0, 0, number]));
    config.addresses = vec![Cidr { address, prefix: 24 }];
    Ok((Host::new(config, device).with_context(|| format!("the host {address}"))?, cable))
}

fn run(options: &Options) -> Result<()> {
    ensure!(options.requests > 0, "at least one request");
    let switch = Switch::default();
    let (you, _cable) = host(&switch, YOU)?;
    let _front = Place::new(&switch, FRONT, shop::front())?;
    let users = Place::new(&switch, USERS, shop::users())?;
    let mut orders = Place::new(&switch, ORDERS, shop::orders())?;
    let visitor = Visitor { host: you, requests: options.requests };

    act("All three are there: front asks users and orders, and orders asks users.");
    visitor.ask(&[])?;

    act("orders is stopped: its host refuses, front tries again and goes on without.");
    orders.service = None;
    visitor.ask(&["orders: refused"])?;

    act("orders is started again, and used again.");
    orders.start()?;
    visitor.await_all()?;
    visitor.ask(&[])?;

    act("The cable of users is cut: nobody answers, and deadlines end the waiting.");
    users.cable.cut();
    visitor.ask(&["users: no answer"])?;

    act("The cable is mended, and users is used again.");
    users.cable.mend();
    visitor.await_all()?;
    visitor.ask(&[])
}

fn act(text: &str) {
    say(&format!("==> {text}\n"));
}

/// Who asks front.
struct Visitor {
    host: Host,
    requests: u32,
}

impl Visitor {
    /// Asks, and looks whether this is missing and nothing else.
    fn ask(&self, missing: &[&str]) -> Result<()> {
        for number in 0..self.requests {
            let clock = Stopwatch::start();
            let path = format!("/home/{}", number % 2);
            let answer = self.get(&path)?;
            say(&format!("    GET {path}: {answer} after {}\n", human::time(clock.elapsed())));
            let said = why_missing(&answer);
            let is_so = missing.iter().all(|why| said.contains(&format!("\"{why}")))
                && said.matches(": ").count() == missing.len();
            ensure!(is_so, "front should miss {missing:?}, and misses [{said}]");
        }
        Ok(())
    }

    /// Asks until nothing is missing, and tells how long that took.
    fn await_all(&self) -> Result<()> {
        let clock = Stopwatch::start();
        while !is_whole(&self.get("/home/0")?) {
            ensure!(clock.elapsed() < RECOVERY, "who came back is not used again");
            outside::sleep(TICK);
        }
        say(&format!("    nothing is missing after {}\n", human::time(clock.elapsed())));
        Ok(())
    }

    fn get(&self, path: &str) -> Result<String> {
        call::get(&self.host, shop::at(FRONT), path, YOURS)
            .map_err(|failure| anyhow::anyhow!("front: {failure}"))
    }
}

/// What front says of what is missing.
fn why_missing(answer: &str) -> &str {
    let list = answer.split_once("\"missing\":[").map_or("", |(_, list)| list);
    list.trim_end_matches("]}")
}

fn is_whole(answer: &str) -> bool {
    why_missing(answer).is_empty() && !answer.contains("null")
}
