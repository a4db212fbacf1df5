//! Connecting, and saying why it did not work.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Error, anyhow};
use stack::host::TcpStream;

use crate::outside::{self, Stopwatch};
use crate::program::Program;

/// How long a COMMAND on the kernel's side may take until it listens.
const COMMAND_PATIENCE: Duration = Duration::from_secs(5);

/// How often one looks whether it does.
const TICK: Duration = Duration::from_millis(20);

/// Connects to `address`. While a COMMAND on the other side may still be starting, a refused
/// connection is tried again.
///
/// # Errors
/// Those of `TcpStream::connect_timeout`.
pub fn connect(program: &Program, address: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
    let since = Stopwatch::start();
    loop {
        let result = TcpStream::connect_timeout(program.host(), &address, timeout);
        let is_early = program.has_command() && since.elapsed() < COMMAND_PATIENCE;
        match result {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && is_early => {
                outside::sleep(TICK);
            }
            result => return result,
        }
    }
}

/// The error of connecting to `address`, with what could be the matter.
pub fn explain(error: io::Error, address: SocketAddr) -> Error {
    let ip = address.ip();
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
            "{address}: nobody answers {} for {ip}: is it this machine's address on the TAP? \
             Look with `ip address`",
            if ip.is_ipv4() { "ARP" } else { "Neighbor Discovery" }
        ),
        _ => anyhow!("{address}: {error}"),
    }
}
