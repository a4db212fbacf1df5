//! web: a server by axum and a client by hyper, on the sockets for async programs.
//!
//! Neither knows Tapstack: hyper takes any stream with tokio's traits, and `door.rs` has the few
//! lines that axum wants of a listener.

mod client;
mod door;
mod fetch;
mod routes;
mod serve;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use demos::config;
use demos::program::{Program, Role};

/// HTTP/1.1 and HTTP/2 by axum and hyper.
#[derive(Parser, Debug)]
#[command(version)]
struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// Serve, until killed: /status is a page about the server's own connections (also /status.json
    /// and /status.txt); /upload takes PUT and POST, and answers with the length and the SHA-256 of
    /// what came; POST /echo says JSON back; /count/N counts to N while it is read,
    /// /count/N/every/MS slowly.
    Serve(serve::Options),
    /// Fetch, and print what comes: one after the other, those of one server over one connection.
    Get(fetch::Options),
}

fn main() -> ExitCode {
    match config::parse::<Options>().what {
        What::Serve(options) => Program::run("web", Role::Server, &options.common, |program| {
            serve::serve(program, &options)
        }),
        What::Get(options) => {
            Program::run_with_status("web", Role::Client, &options.common, |program| {
                program.ready()?;
                fetch::fetch(program, &options)
            })
        }
    }
}
