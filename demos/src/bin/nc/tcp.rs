//! nc over TCP.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use demos::client;
use demos::program::Program;
use stack::ConnectOptions;
use stack::host::{TcpListener, TcpStream};

use crate::Options;
use crate::input::{Input, Outlet};

/// How long connecting may take if nothing else is said: as long as the stack tries.
const CONNECT: Duration = Duration::from_secs(190);

/// How much is read at once, bytes.
const READ_SIZE: usize = 256 * 1024;

/// The sending side of a connection.
struct Sender {
    stream: TcpStream,
    closes_at_end: bool,
}

impl Outlet for Sender {
    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.stream).write_all(bytes)
    }

    fn end(&self) -> io::Result<()> {
        if self.closes_at_end { self.stream.shutdown(Shutdown::Write) } else { Ok(()) }
    }
}

/// The client.
pub(crate) fn connect(program: &Program, options: &Options, peer: &str) -> Result<()> {
    program.ready()?;
    let limit = options.idle().unwrap_or(CONNECT);
    let stream = match options.source_port {
        None => client::connect(program, peer, limit),
        Some(port) => connect_from(program, peer, port),
    };
    let stream = stream.map_err(|error| client::explain(error, peer))?;
    options.verbose(
        program,
        &format!("connected to {} from {}", stream.peer_addr()?, stream.local_addr()?),
    );
    let input = Input::start()?;
    if talk(options, &input, stream)? {
        // The peer sends no more, and may still listen.
        input.wait(options.idle());
    }
    Ok(())
}

fn connect_from(program: &Program, peer: &str, port: u16) -> io::Result<TcpStream> {
    let address = client::resolve(program, peer)?;
    let mut own = program.addresses().filter(|own| own.is_ipv4() == address.is_ipv4());
    let own = own.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
    let options =
        ConnectOptions { local: Some(SocketAddr::new(own, port)), ..ConnectOptions::default() };
    TcpStream::connect_with(program.host(), address, options)
}

/// The listener.
pub(crate) fn listen(program: &Program, options: &Options, address: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(program.host(), address)
        .with_context(|| format!("{address}: cannot listen"))?;
    options.verbose(program, &format!("listening on {}", listener.local_addr()?));
    program.ready()?;
    let input = Input::start()?;
    let mut listener = Some(listener);
    while let Some(open) = &listener {
        let (stream, peer) = open.accept().context("accept")?;
        if !options.keep {
            // One connection was asked for: the next client is refused at once.
            listener = None;
        }
        options.verbose(program, &format!("a connection from {peer}"));
        match talk(options, &input, stream) {
            Ok(is_ended) => {
                // As OpenBSD's, a listener is done when its client is; with -N it is about ends,
                // and both sides have theirs.
                if is_ended && options.shutdown {
                    input.wait(options.idle());
                }
                options.verbose(program, &format!("{peer} is gone"));
            }
            Err(error) if options.keep => program.say(&format!("{peer}: {error:#}")),
            Err(error) => return Err(error),
        }
        input.disconnect();
    }
    Ok(())
}

/// Copies both ways until the peer sends no more (true) or nothing happened for too long (false).
fn talk(options: &Options, input: &Input, stream: TcpStream) -> Result<bool> {
    let sender = stream.try_clone().context("a second handle")?;
    input.connect(Arc::new(Sender { stream: sender, closes_at_end: options.shutdown }));
    stream.set_read_timeout(options.idle())?;
    let mut out = io::stdout().lock();
    let mut buffer = vec![0; READ_SIZE];
    loop {
        match (&stream).read(&mut buffer) {
            Ok(0) => return Ok(true),
            Ok(count) => out
                .write_all(&buffer[..count])
                .and_then(|()| out.flush())
                .context("standard output")?,
            Err(error) if is_timeout(&error) => {
                // Only silence on both sides ends it.
                if options.idle().is_some_and(|idle| input.silence() >= idle) {
                    return Ok(false);
                }
            }
            Err(error) => return Err(error).context("the connection"),
        }
    }
}

pub(crate) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}
