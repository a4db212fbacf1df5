//! Data connections: which side opens the next one, and how.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use demos::outside::Stopwatch;
use stack::ConnectOptions;
use stack::host::{Events, Host, Interest, Poller, Source, TcpListener, TcpStream, Token};

/// How long a data connection may take to be there, and each piece on it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who opens the next data connection.
#[derive(Debug, Default)]
pub(crate) enum Way {
    /// Nobody has said: there will be none.
    #[default]
    None,
    /// The client, to here.
    Passive(TcpListener),
    /// The server, to the client's address.
    Active(SocketAddr),
}

impl Way {
    /// Opens the connection between `own` address and the `client`'s.
    pub(crate) fn open(self, host: &Host, own: IpAddr, client: IpAddr) -> io::Result<TcpStream> {
        let stream = match self {
            Way::None => return Err(io::ErrorKind::NotConnected.into()),
            Way::Passive(listener) => accept(host, &listener, client)?,
            Way::Active(address) => connect(host, own, address)?,
        };
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    }
}

/// Accepts the client, and nobody else who finds the port (RFC 2577 §4).
fn accept(host: &Host, listener: &TcpListener, client: IpAddr) -> io::Result<TcpStream> {
    let since = Stopwatch::start();
    listener.set_nonblocking(true)?;
    loop {
        match listener.accept() {
            Ok((stream, peer)) if peer.ip() == client => return Ok(stream),
            Ok((_, stranger)) => log::warn!("{stranger}: not {client}, and not let in"),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                await_ready(host, listener, Interest::READABLE, since)?;
            }
            Err(error) => return Err(error),
        }
    }
}

fn connect(host: &Host, own: IpAddr, address: SocketAddr) -> io::Result<TcpStream> {
    let since = Stopwatch::start();
    // The address that the client knows already (RFC 959 §3.2).
    let local = Some(SocketAddr::new(own, 0));
    let options = ConnectOptions { local, ..ConnectOptions::default() };
    let stream = TcpStream::connect_nonblocking(host, address, options)?;
    await_ready(host, &stream, Interest::WRITABLE, since)?;
    stream.take_error()?.map_or(Ok(stream), Err)
}

fn await_ready(
    host: &Host,
    source: &impl Source,
    interest: Interest,
    since: Stopwatch,
) -> io::Result<()> {
    let poller = Poller::new(host);
    poller.register(source, Token(0), interest)?;
    match poller.wait(&mut Events::with_capacity(1), Some(since.left_of(PATIENCE)))? {
        0 => Err(io::ErrorKind::TimedOut.into()),
        _ => Ok(()),
    }
}
