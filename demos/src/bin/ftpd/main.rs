//! ftpd: serves a directory over FTP (RFC 959, 2428, 3659), to anybody.
//!
//! A thread for each client and blocking calls. A client has one data connection at a time, opened
//! by either side, which leads to the address that the client itself has (RFC 2577). What has a
//! limit: the number of clients, the length of a line, the time for a line, for a data connection
//! and for each piece on it, and the length of an upload.

mod address;
mod command;
mod data;
mod listing;
mod session;
mod transfer;
mod tree;

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
use stack::host::Host;

use crate::tree::Tree;

/// Serves a directory over FTP.
///
/// Whoever comes may read as `anonymous`, and with --upload write. Data connections may be passive
/// or active. Symbolic links are followed only to places inside the directory.
#[derive(Parser, Debug)]
#[command(version, verbatim_doc_comment)]
struct Options {
    /// The directory.
    #[arg(default_value = ".")]
    root: PathBuf,

    /// The port for commands; those for data are any.
    #[arg(short, long, default_value_t = 21)]
    port: u16,

    /// Let clients store, append and delete files, and make directories.
    #[arg(long)]
    upload: bool,

    /// The largest file that an upload may make.
    #[arg(long, value_name = "BYTES", default_value = "1GiB", value_parser = units::bytes)]
    max_file: u64,

    /// The most clients at a time; one more is turned away.
    #[arg(long, value_name = "COUNT", default_value_t = 256)]
    max_clients: usize,

    #[command(flatten)]
    common: CommonOptions,
}

/// What all clients share.
struct Site {
    host: Host,
    tree: Tree,
    /// The largest file that an upload may make; `None`: nothing is written.
    upload: Option<u64>,
    totals: Totals,
}

/// What was served.
#[derive(Debug, Default)]
struct Totals {
    clients: Total,
    files_out: Total,
    files_in: Total,
    bytes_out: Total,
    bytes_in: Total,
}

impl Totals {
    fn summary(&self) -> String {
        format!(
            "{}; {} sent ({}) and {} received ({})",
            human::count(self.clients.get(), "client"),
            human::count(self.files_out.get(), "file"),
            human::bytes(self.bytes_out.get()),
            human::count(self.files_in.get(), "file"),
            human::bytes(self.bytes_in.get()),
        )
    }
}

fn main() -> ExitCode {
    let options = config::parse::<Options>();
    Program::run("ftpd", Role::Server, &options.common, |program| serve(program, &options))
}

fn serve(program: &Program, options: &Options) -> Result<()> {
    let site = Arc::new(Site {
        host: program.host().clone(),
        tree: Tree::new(&options.root)?,
        upload: options.upload.then_some(options.max_file),
        totals: Totals::default(),
    });
    let listener = clients::listen(program, options.port)?;
    let summed = Arc::clone(&site);
    program.on_stop(move || {
        eprintln!("ftpd: {}", summed.totals.summary());
        None
    });
    let port = listener.local_addr()?.port();
    for address in program.addresses() {
        let host = SocketAddr::new(address, port);
        program.say(&format!("ftp://{host}/ is {}", site.tree.root().display()));
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
