//! httpd: serves a directory over HTTP/1.1, with TLS or without, and a page about its own
//! connections.
//!
//! A thread for each client and blocking calls: the shape of a program for `std::net`. What has a
//! limit: the number of clients, the size of a head, the time for a head, and silence.

mod connection;
mod files;
mod listing;
mod page;
mod reply;
mod status;
mod upload;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Parser;
use demos::clients::{self, Clients, Total};
use demos::config;
use demos::http::{Request, Scheme};
use demos::human;
use demos::options::CommonOptions;
use demos::outside::Stopwatch;
use demos::program::{Program, Role};
use demos::tls::Identity;
use rustls::ServerConfig;
use stack::host::Host;

use crate::files::Files;
use crate::reply::Reply;
use crate::status::Snapshot;

/// Serves a directory over HTTP, or with --tls over HTTPS.
///
/// /status is a page about the server's own connections (also /status.json and /status.txt), and
/// /upload takes PUT and POST, and answers with the length and the SHA-256 of what came. Symbolic
/// links are followed only to places inside the directory.
#[derive(Parser, Debug)]
#[command(version, verbatim_doc_comment)]
struct Options {
    /// The directory.
    #[arg(default_value = ".")]
    root: PathBuf,

    /// The port (with --tls 8443, unless another is named).
    #[arg(short, long, default_value_t = 8080, default_value_if("tls", "true", "8443"))]
    port: u16,

    /// Encrypt. Without --cert with a certificate that is made at the start and that nobody vouches
    /// for: clients know it by its fingerprint.
    #[arg(long)]
    tls: bool,

    /// With --tls: the certificate, and those between it and one that clients trust, in a PEM file.
    #[arg(long, value_name = "FILE", requires_all = ["tls", "key"])]
    cert: Option<PathBuf>,

    /// The private key of --cert, in a PEM file.
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,

    /// The most clients at a time; one more is turned away.
    #[arg(long, value_name = "COUNT", default_value_t = 1024)]
    max_clients: usize,

    #[command(flatten)]
    common: CommonOptions,
}

/// What all clients share.
struct Site {
    host: Host,
    files: Files,
    tls: Option<Arc<ServerConfig>>,
    started: Stopwatch,
    totals: Totals,
}

/// What was served.
#[derive(Debug, Default)]
struct Totals {
    connections: Total,
    requests: Total,
    bytes_out: Total,
    bytes_in: Total,
}

fn main() -> ExitCode {
    let options = config::parse::<Options>();
    Program::run("httpd", Role::Server, &options.common, |program| serve(program, &options))
}

fn serve(program: &Program, options: &Options) -> Result<()> {
    let identity = options.tls.then(|| identity(program, options)).transpose()?;
    let fingerprint = identity.as_ref().map(Identity::fingerprint);
    let site = Arc::new(Site {
        host: program.host().clone(),
        files: Files::new(&options.root)?,
        tls: identity.map(Identity::config).transpose()?,
        started: Stopwatch::start(),
        totals: Totals::default(),
    });
    let listener = clients::listen(program, options.port)?;
    let summed = Arc::clone(&site);
    program.on_stop(move || {
        eprintln!("httpd: {}", summed.summary());
        None
    });
    for address in program.addresses() {
        let host = SocketAddr::new(address, options.port);
        let scheme = if options.tls { Scheme::Https } else { Scheme::Http };
        program.say(&format!("{scheme}://{host}/ is {}", site.files.root().display()));
    }
    if let Some(fingerprint) = fingerprint {
        program.say(&format!("its certificate's SHA-256 is {fingerprint}"));
    }
    program.ready()?;
    let clients = Clients::new(options.max_clients);
    loop {
        let (stream, peer) = listener.accept().context("accept")?;
        site.totals.connections.add(1);
        let (served, site) = (Arc::clone(&site), &site);
        let turn_away = |stream| connection::turn_away(site, stream);
        clients.admit(stream, peer, turn_away, move |it| connection::serve(&served, it, peer));
    }
}

/// Who this server is: as the options say, or somebody new.
fn identity(program: &Program, options: &Options) -> Result<Identity> {
    match (&options.cert, &options.key) {
        (Some(cert), Some(key)) => Identity::load(cert, key),
        _ => Identity::make(program.addresses().map(|address| address.to_string()).collect()),
    }
}

impl Site {
    /// The reply to `GET` or `HEAD`.
    fn get(&self, request: &Request) -> Reply {
        if request.target.starts_with("/status")
            && let Some(reply) = self.snapshot().reply(&request.target)
        {
            return reply;
        }
        self.files.get(request)
    }

    fn snapshot(&self) -> Snapshot {
        let counters = self.host.counters();
        let mut snapshot = Snapshot {
            uptime: self.started.elapsed(),
            requests: self.totals.requests.get(),
            bytes_out: self.totals.bytes_out.get(),
            bytes_in: self.totals.bytes_in.get(),
            connections: self.host.connections(),
            counters: counters
                .iter()
                .filter(|&(_, value)| value != 0)
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        };
        snapshot.sort();
        snapshot
    }

    fn summary(&self) -> String {
        format!(
            "{} and {}, {} sent and {} received in {}",
            human::count(self.totals.connections.get(), "connection"),
            human::count(self.totals.requests.get(), "request"),
            human::bytes(self.totals.bytes_out.get()),
            human::bytes(self.totals.bytes_in.get()),
            human::time(self.started.elapsed())
        )
    }
}
