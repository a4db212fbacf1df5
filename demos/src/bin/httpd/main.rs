//! httpd: serves a directory over HTTP/1.1, with TLS or without, and a page about its own
//! connections.
//!
//! A thread for each client and blocking calls: the shape of a program for `std::net`. What has a
//! limit: the number of clients, the size of a head, the time for a head, and silence.

mod connection;
mod files;
mod listing;
mod reply;
mod upload;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Parser;
use demos::clients::{self, Clients};
use demos::config;
use demos::http::Request;
use demos::options::CommonOptions;
use demos::program::{Program, Role};
use demos::site::{self, Served};
use demos::tls::{self, TlsOptions};
use rustls::ServerConfig;

use crate::files::Files;
use crate::reply::Reply;

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

    #[command(flatten)]
    tls: TlsOptions,

    /// The most clients at a time; one more is turned away.
    #[arg(long, value_name = "COUNT", default_value_t = 1024)]
    max_clients: usize,

    #[command(flatten)]
    common: CommonOptions,
}

/// What all clients share.
struct Site {
    files: Files,
    tls: Option<Arc<ServerConfig>>,
    served: Served,
}

fn main() -> ExitCode {
    let mut options = config::parse::<Options>();
    options.common.sharded = true;
    Program::run("httpd", Role::Server, &options.common, |program| serve(program, &options))
}

fn serve(program: &Program, options: &Options) -> Result<()> {
    let identity = options.tls.identity(program)?;
    let files = Files::new(&options.root)?;
    let listener = clients::listen_on_shards(program, options.port)?;
    site::announce(
        program,
        listener.local_addr()?.port(),
        identity.as_ref(),
        files.root().display(),
    );
    let site = Arc::new(Site {
        files,
        tls: identity.map(|identity| identity.config(&[tls::HTTP_1])).transpose()?,
        served: Served::by(program.shards().clone()),
    });
    let summed = Arc::clone(&site);
    program.on_stop(move || {
        eprintln!("httpd: {}", summed.served.summary());
        None
    });
    program.ready()?;
    let clients = Clients::new(options.max_clients);
    loop {
        let (stream, peer) = listener.accept().context("accept")?;
        site.served.connections.add(1);
        let (served, site) = (Arc::clone(&site), &site);
        let turn_away = |stream| connection::turn_away(site, stream);
        clients.admit(stream, peer, turn_away, move |it| connection::serve(&served, it, peer));
    }
}

impl Site {
    /// The reply to `GET` or `HEAD`.
    fn get(&self, request: &Request) -> Reply {
        match self.served.status(&request.target) {
            Some((media, text)) => Reply::text(media, text).with("Cache-Control", "no-store"),
            None => self.files.get(request),
        }
    }
}
