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
        let sent = match self.socket.send(bytes) {
            // That was about an earlier one.
            Err(error) if is_refused(&error) => self.socket.send(bytes),
            sent => sent,
        };
        sent.map(|_whole_datagram| ())
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
    talk(options, &Input::start()?, socket)?.map_err(|error| explain(error, address))
}

/// The listener: talks with whoever sends the first datagram, and with `-k` then with the next.
pub(crate) fn listen(program: &Program, options: &Options, address: SocketAddr) -> Result<()> {
    let input = Input::start()?;
    let bind = || -> Result<UdpSocket> {
        let socket = UdpSocket::bind(program.host(), address)
            .with_context(|| format!("{address}: cannot be used"))?;
        options.verbose(program, &format!("waiting on {}", socket.local_addr()?));
        Ok(socket)
    };
    let mut socket = bind()?;
    program.ready()?;
    loop {
        let mut buffer = vec![0; LARGEST];
        let (count, peer) = socket.recv_from(&mut buffer).context("receive")?;
        options.verbose(program, &format!("a datagram from {peer}"));
        show(&buffer[..count])?;
        socket.connect(peer).with_context(|| format!("{peer}"))?;
        let ended = talk(options, &input, socket)?.map_err(|error| explain(error, peer));
        // The address is to be used again.
        input.reclaim();
        match ended {
            Err(error) if options.keep => program.say(&format!("{error:#}")),
            Ok(()) if options.keep => {}
            ended => return ended,
        }
        socket = bind()?;
    }
}

/// Copies both ways until nothing happens for too long, or the network says that there is nobody.
fn talk(options: &Options, input: &Input, socket: UdpSocket) -> Result<io::Result<()>> {
    socket.set_read_timeout(options.idle())?;
    let sender = socket.try_clone().context("a second handle")?;
    input.connect(Arc::new(Sender { socket: sender }));
    let mut buffer = vec![0; LARGEST];
    loop {
        match socket.recv(&mut buffer) {
            Ok(count) => show(&buffer[..count])?,
            Err(error) if is_timeout(&error) => {
                if options.idle().is_some_and(|idle| input.silence() >= idle) {
                    return Ok(Ok(()));
                }
            }
            Err(error) => return Ok(Err(error)),
        }
    }
}

fn is_refused(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionRefused
}

fn explain(error: io::Error, peer: SocketAddr) -> anyhow::Error {
    let why = if is_refused(&error) { ": port unreachable" } else { "" };
    anyhow::Error::new(error).context(format!("{peer}{why}"))
}

fn show(datagram: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(datagram).and_then(|()| out.flush()).context("standard output")
}
