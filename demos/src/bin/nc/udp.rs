//! nc over UDP.

use std::io::{self, Write};
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, Result};
use demos::client;
use demos::program::Program;
use stack::host::UdpSocket;

use crate::Options;
use crate::input::{Input, Outlet};
use crate::tcp::is_timeout;

/// Room for the largest datagram, bytes.
const LARGEST: usize = 65_535;

struct Sender {
    socket: UdpSocket,
}

impl Outlet for Sender {
    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        self.socket.send(bytes).map(|_whole_datagram| ())
    }

    fn end(&self) -> io::Result<()> {
        Ok(())
    }
}

/// The client.
pub(crate) fn connect(program: &Program, options: &Options, peer: &str) -> Result<()> {
    program.ready()?;
    let address = client::resolve(program, peer)?;
    let any = Ipv6Addr::UNSPECIFIED;
    let local = SocketAddr::from((any, options.source_port.unwrap_or(0)));
    let socket = UdpSocket::bind(program.host(), local).with_context(|| format!("{local}"))?;
    socket.connect(address).with_context(|| format!("{address}"))?;
    talk(options, &Input::start()?, socket, address)
}

/// The listener: talks with whoever sends the first datagram.
pub(crate) fn listen(program: &Program, options: &Options, address: SocketAddr) -> Result<()> {
    let input = Input::start()?;
    loop {
        let socket = UdpSocket::bind(program.host(), address)
            .with_context(|| format!("{address}: cannot be used"))?;
        options.verbose(program, &format!("waiting on {}", socket.local_addr()?));
        program.ready()?;
        let mut buffer = vec![0; LARGEST];
        let (count, peer) = socket.recv_from(&mut buffer).context("receive")?;
        options.verbose(program, &format!("a datagram from {peer}"));
        show(&buffer[..count])?;
        socket.connect(peer).with_context(|| format!("{peer}"))?;
        talk(options, &input, socket, peer)?;
        input.disconnect();
        if !options.keep {
            return Ok(());
        }
    }
}

/// Copies both ways until nothing happens for too long.
fn talk(options: &Options, input: &Input, socket: UdpSocket, peer: SocketAddr) -> Result<()> {
    socket.set_read_timeout(options.idle())?;
    let sender = socket.try_clone().context("a second handle")?;
    input.connect(Arc::new(Sender { socket: sender }));
    let mut buffer = vec![0; LARGEST];
    loop {
        match socket.recv(&mut buffer) {
            Ok(count) => show(&buffer[..count])?,
            Err(error) if is_timeout(&error) => {
                if options.idle().is_some_and(|idle| input.silence() >= idle) {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                return Err(error).with_context(|| format!("{peer}: port unreachable"));
            }
            Err(error) => return Err(error).with_context(|| format!("{peer}")),
        }
    }
}

fn show(datagram: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(datagram).and_then(|()| out.flush()).context("standard output")
}
