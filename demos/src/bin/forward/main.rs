//! forward: carries connections to any address on to where they lead, as tun2socks does.
//!
//! A client gets its SYN-ACK when the connection onwards is there, and a RST when there is none.

mod carry;
mod map;
mod onwards;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use anyhow::{Context, Result};
use clap::Parser;
use demos::config;
use demos::human;
use demos::options::CommonOptions;
use demos::outside;
use demos::program::{Program, Role};
use map::Mapping;
use onwards::Onwards;
use stack::TcpOptions;
use stack::host::{ForwardRequest, Forwarder};

/// Carries TCP connections to any address that arrive on the TAP on to where they lead.
///
/// Whoever is to use it needs a route by way of the stack:
/// ip route add 198.18.0.0/15 via 192.0.2.2
#[derive(Parser, Debug)]
#[command(version)]
struct Options {
    /// Connect with the sockets of this machine.
    #[arg(long, required_unless_present = "socks", conflicts_with = "socks")]
    direct: bool,

    /// Connect through the SOCKS5 proxy at HOST:PORT (RFC 1928).
    #[arg(long, value_name = "HOST:PORT")]
    socks: Option<String>,

    /// Connect to IP in place of the addresses of CIDR: several times, or with commas.
    #[arg(long, value_name = "CIDR=IP", value_delimiter = ',')]
    map: Vec<Mapping>,

    /// The most connections at a time; a client beyond is not answered, and tries again.
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    max_clients: usize,

    #[command(flatten)]
    common: CommonOptions,
}

/// What all connections share.
struct Service {
    onwards: Onwards,
    map: Vec<Mapping>,
    clients: AtomicUsize,
    carried: AtomicU64,
    refused: AtomicU64,
    bytes: AtomicU64,
}

fn main() -> ExitCode {
    let mut options = config::parse::<Options>();
    options.common.any_address = true;
    Program::run("forward", Role::Server, &options.common, |program| serve(program, &options))
}

fn serve(program: &Program, options: &Options) -> Result<()> {
    let onwards = match &options.socks {
        Some(proxy) => Onwards::by_proxy(proxy)?,
        None => Onwards::Direct,
    };
    let service = Arc::new(Service {
        onwards,
        map: options.map.clone(),
        clients: AtomicUsize::new(0),
        carried: AtomicU64::new(0),
        refused: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
    });
    let forwarder = Forwarder::new(program.host(), TcpOptions::default())?;
    let summed = Arc::clone(&service);
    program.on_stop(move || {
        eprintln!("forward: {}", summed.summary());
        None
    });
    program.ready()?;
    loop {
        let request = forwarder.next().context("the forwarder")?;
        admit(&service, request, options.max_clients);
    }
}

/// Gives a client a thread, if there is a place left. Unanswered it comes again in a second.
fn admit(service: &Arc<Service>, request: ForwardRequest, max: usize) {
    let from = request.from();
    if service.clients.load(Ordering::Relaxed) >= max {
        log::warn!("{from}: not answered, there are {max} already");
        return request.ignore();
    }
    service.clients.fetch_add(1, Ordering::Relaxed);
    let shared = Arc::clone(service);
    let work = move || {
        shared.serve(request);
        shared.clients.fetch_sub(1, Ordering::Relaxed);
    };
    if let Err(error) = outside::spawn("client", work) {
        service.clients.fetch_sub(1, Ordering::Relaxed);
        log::warn!("{from}: not answered, no thread for it: {error}");
    }
}

impl Service {
    /// One connection, from its SYN to its end.
    fn serve(&self, request: ForwardRequest) {
        let (from, to) = (request.from(), request.to());
        let target = map::apply(&self.map, to);
        let server = match self.onwards.connect(target) {
            Ok(server) => server,
            Err(error) => {
                log::info!("{from} to {to}: refused: {target}: {error}");
                self.refused.fetch_add(1, Ordering::Relaxed);
                return request.reset();
            }
        };
        let carried = request.accept().and_then(|client| {
            self.carried.fetch_add(1, Ordering::Relaxed);
            carry::both_ways(&client, &server)
        });
        match carried {
            Ok([sent, received]) => {
                self.bytes.fetch_add(sent + received, Ordering::Relaxed);
                log::debug!("{from} to {to}: {sent} bytes there, {received} back");
            }
            Err(error) => log::info!("{from} to {to}: ended: {error}"),
        }
    }

    fn summary(&self) -> String {
        let load = |total: &AtomicU64| total.load(Ordering::Relaxed);
        format!(
            "{} over {}, {} refused",
            human::bytes(load(&self.bytes)),
            human::count(load(&self.carried), "connection"),
            load(&self.refused),
        )
    }
}
