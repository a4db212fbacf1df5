//! Connecting, and saying why it did not work.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Error, anyhow};
use stack::ResolveError;
use stack::host::TcpStream;

use crate::outside::{self, Stopwatch};
use crate::program::Program;

/// How long a COMMAND on the kernel's side may take until it listens.
const COMMAND_PATIENCE: Duration = Duration::from_secs(5);

/// How often one looks whether it does.
const TICK: Duration = Duration::from_millis(20);

/// Connects to `target`, NAME:PORT or ADDRESS:PORT. While a COMMAND on the other side may still be
/// starting, a refused connection is tried again.
///
/// # Errors
/// Those of `Resolver::connect`.
pub fn connect(program: &Program, target: &str, timeout: Duration) -> io::Result<TcpStream> {
    let since = Stopwatch::start();
    loop {
        let result = program.names().connect(target, Some(timeout));
        let is_early = program.has_command() && since.elapsed() < COMMAND_PATIENCE;
        match result {
            Err(error) if is_early && is_refusal(&error) => {
                outside::sleep(TICK);
            }
            result => return result,
        }
    }
}

/// The best address of `peer`, NAME:PORT or ADDRESS:PORT, for what speaks to one only.
///
/// # Errors
/// Those of `Resolver::resolve`; `NotFound` if there is none.
pub fn resolve(program: &Program, peer: &str) -> io::Result<SocketAddr> {
    let found = program.names().resolve(peer)?;
    let none = || io::Error::new(io::ErrorKind::NotFound, format!("{peer}: no address"));
    found.first().copied().ok_or_else(none)
}

/// The best address of `name`, which may be an address itself.
///
/// # Errors
/// Those of `Resolver::lookup`, explained; and that the name has no address.
pub fn lookup(program: &Program, name: &str) -> Result<IpAddr, Error> {
    let found = program.names().lookup(name).map_err(|error| explain(error, name))?;
    found.first().copied().with_context(|| format!("{name}: no address"))
}

/// Nobody listens there, be it the server or the name server.
fn is_refusal(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionRefused
        || why_unresolved(error) == Some(&ResolveError::ServersFailed)
}

/// Why a name could not be resolved, if that is the error.
fn why_unresolved(error: &io::Error) -> Option<&ResolveError> {
    error.get_ref()?.source()?.downcast_ref()
}

/// The error of connecting to `address`, with what could be the matter.
pub fn explain(error: io::Error, address: &str) -> Error {
    match why_unresolved(&error) {
        Some(ResolveError::NoServers) => return anyhow!("{error}: name one with --dns IP"),
        Some(_) => return anyhow!("{error}"),
        None => (),
    }
    let ip = address.parse().map(|address: SocketAddr| address.ip());
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            anyhow!("{address}: connection refused: nothing listens on this port there")
        }
        io::ErrorKind::TimedOut => {
            anyhow!("{address}: no answer: a firewall may be dropping what we send")
        }
        io::ErrorKind::NetworkUnreachable => {
            anyhow!("{address}: no route: --addr is on another network, and there is no --gateway")
        }
        io::ErrorKind::HostUnreachable => anyhow!(
            "{address}: nobody answers {}: is it this machine's address on the TAP? \
             Look with `ip address`",
            match ip {
                Ok(ip) if ip.is_ipv4() => format!("ARP for {ip}"),
                Ok(ip) => format!("Neighbor Discovery for {ip}"),
                Err(_) => "for its addresses".to_owned(),
            }
        ),
        _ => anyhow!("{address}: {error}"),
    }
}
