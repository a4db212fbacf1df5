//! smtpd: takes mail by SMTP (RFC 5321) for anybody, and delivers it nowhere: each becomes a file,
//! or is printed.
//!
//! A thread for each client and blocking calls. What has a limit: the number of clients, of their
//! recipients and of their mistakes, the length of a line and of a mail, and the time for both.

mod envelope;
mod session;
mod store;
mod text;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Parser;
use demos::clients::{self, Clients, Total};
use demos::config;
use demos::human;
use demos::options::CommonOptions;
use demos::program::{Program, Role};
use demos::units;

use crate::store::Store;

/// Takes mail from anybody to anybody, and keeps it.
///
/// With a directory each mail becomes a file there, whose name ends with .eml; without one it is
/// printed. What it was sent with stands in front of it: Return-Path, X-Envelope-To, Received.
#[derive(Parser, Debug)]
#[command(version, verbatim_doc_comment)]
struct Options {
    /// The directory for mail.
    directory: Option<PathBuf>,

    /// The port.
    #[arg(short, long, default_value_t = 25)]
    port: u16,

    /// The largest mail.
    #[arg(long, value_name = "BYTES", default_value = "10MiB", value_parser = units::bytes)]
    max_size: u64,

    /// The most clients at a time; one more is turned away.
    #[arg(long, value_name = "COUNT", default_value_t = 64)]
    max_clients: usize,

    #[command(flatten)]
    common: CommonOptions,
}

/// What all clients share.
struct Site {
    store: Store,
    max_size: u64,
    totals: Totals,
}

/// What was taken.
#[derive(Debug, Default)]
struct Totals {
    clients: Total,
    mails: Total,
    bytes: Total,
}

impl Totals {
    fn summary(&self) -> String {
        format!(
            "{} ({}) from {}",
            human::count(self.mails.get(), "mail"),
            human::bytes(self.bytes.get()),
            human::count(self.clients.get(), "client"),
        )
    }
}

fn main() -> ExitCode {
    let options = config::parse::<Options>();
    Program::run("smtpd", Role::Server, &options.common, |program| serve(program, &options))
}

fn serve(program: &Program, options: &Options) -> Result<()> {
    let site = Arc::new(Site {
        store: Store::new(options.directory.as_deref())?,
        max_size: options.max_size,
        totals: Totals::default(),
    });
    let listener = clients::listen(program, options.port)?;
    let summed = Arc::clone(&site);
    program.on_stop(move || {
        eprintln!("smtpd: {}", summed.totals.summary());
        None
    });
    let port = listener.local_addr()?.port();
    for address in program.addresses() {
        let host = SocketAddr::new(address, port);
        program.say(&format!("smtp://{host}/ {}", site.store));
    }
    program.ready()?;
    let clients = Clients::new(options.max_clients);
    loop {
        let (stream, peer) = listener.accept().context("accept")?;
        let site = Arc::clone(&site);
        let serve = move |stream| session::serve(&site, stream, peer);
        clients.admit(stream, peer, session::turn_away, serve);
    }
}
