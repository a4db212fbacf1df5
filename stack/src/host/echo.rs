//! ICMP echo: what a `ping` program needs.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::errno::Errno;
use super::modes::Modes;
use super::runtime::{Core, Host};
use super::watch::Key;
use crate::{EchoId, EchoReply, Instant, SocketId, UdpSendError};

/// A socket that sends ICMP echo requests and receives the answers to them.
///
/// ```
/// use std::time::Duration;
/// # use stack::host::{EchoSocket, Host};
/// # use stack::{Config, EchoReplyKind, Mac};
/// # fn host(last: u8, device: tapdev::PairEnd) -> Host {
/// #     let mut config = Config::new(Mac([2, 0, 0, 0, 0, last]));
/// #     config.addresses = vec![format!("192.0.2.{last}/24").parse().unwrap()];
/// #     Host::new(config, device).unwrap()
/// # }
/// # fn main() -> std::io::Result<()> {
/// # let (left, right) = tapdev::pair(1500, 1000);
/// # let (near, far) = (host(1, left), host(2, right));
/// let socket = EchoSocket::open(&near)?;
/// socket.set_read_timeout(Some(Duration::from_secs(1)))?;
/// let sent = socket.send("192.0.2.2".parse().unwrap(), 1, b"are you there?")?;
/// let mut payload = [0; 64];
/// let reply = socket.recv(&mut payload)?;
/// assert_eq!((reply.sequence, reply.kind), (1, EchoReplyKind::Reply));
/// assert_eq!(&payload[..reply.len], b"are you there?");
/// assert!(reply.at - sent < Duration::from_secs(1));
/// # Ok(())
/// # }
/// ```
pub struct EchoSocket {
    pub(crate) socket: Arc<PingSocket>,
}

/// An echo socket, owned: it is closed when this is dropped.
pub(crate) struct PingSocket {
    pub(crate) core: Arc<Core>,
    pub(crate) id: EchoId,
    ident: u16,
    modes: Modes,
}

impl PingSocket {
    pub(crate) fn socket_id(&self) -> SocketId {
        SocketId::Echo(self.id)
    }
}

impl EchoSocket {
    /// Opens a socket with an identifier of the stack's choice.
    ///
    /// # Errors
    /// All identifiers are in use.
    pub fn open(host: &Host) -> io::Result<EchoSocket> {
        let (id, ident) = host.core.shard.call(|engine, _| {
            if engine.stopping {
                return Err(Errno::ESHUTDOWN);
            }
            let id = engine.stack.bind_echo(None)?;
            Ok((id, engine.stack.echo(id).map_or(0, |socket| socket.ident())))
        })?;
        let (core, modes) = (Arc::clone(&host.core), Modes::default());
        Ok(EchoSocket { socket: Arc::new(PingSocket { core, id, ident, modes }) })
    }

    /// The identifier in its requests.
    pub fn ident(&self) -> u16 {
        self.socket.ident
    }

    /// Sends an echo request, and returns when: [`EchoReply::at`] minus that is the round-trip
    /// time.
    ///
    /// # Errors
    /// `NetworkUnreachable`, EMSGSIZE, `InvalidInput` for an address nobody can send to.
    pub fn send(&self, to: IpAddr, sequence: u16, payload: &[u8]) -> io::Result<Instant> {
        self.send_with_ttl(to, sequence, payload, None)
    }

    /// `send` with a time to live: a router that uses it up answers "time exceeded".
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    pub fn send_with_ttl(
        &self,
        to: IpAddr,
        sequence: u16,
        payload: &[u8],
        ttl: Option<u8>,
    ) -> io::Result<Instant> {
        let socket = &*self.socket;
        let key = Key::write(socket.socket_id());
        let sent = socket.core.shard.block_on(key, socket.modes.writing(), |engine, now| {
            let Some(mut echo) = engine.stack.echo(socket.id) else {
                return Some(Err(Errno::ESHUTDOWN));
            };
            match echo.send(now, to, sequence, payload, ttl) {
                Ok(()) => Some(Ok(now)),
                Err(UdpSendError::WouldBlock) => None,
                Err(error) => Some(Err(error.into())),
            }
        });
        Ok(sent.map_err(Errno::from)??)
    }

    /// Receives an answer: an echo reply, or the error that a request met on its way.
    ///
    /// # Errors
    /// `WouldBlock` when the time-out passes.
    pub fn recv(&self, payload: &mut [u8]) -> io::Result<EchoReply> {
        let socket = &*self.socket;
        let key = Key::read(socket.socket_id());
        let reply =
            socket.core.shard.block_on(key, socket.modes.reading(), |engine, _| {
                match engine.stack.echo(socket.id) {
                    Some(mut echo) => echo.recv(payload).map(Ok),
                    None => Some(Err(Errno::ESHUTDOWN)),
                }
            });
        Ok(reply.map_err(Errno::from)??)
    }

    /// How long `recv` may block; `None`: for ever.
    ///
    /// # Errors
    /// `InvalidInput` for zero.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        Ok(self.socket.modes.set_read_timeout(timeout)?)
    }

    /// Whether calls fail with `WouldBlock` where they would block.
    ///
    /// # Errors
    /// None.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.socket.modes.set_nonblocking(nonblocking);
        Ok(())
    }
}

impl Drop for PingSocket {
    fn drop(&mut self) {
        self.core.shard.call(|engine, _| {
            if let Some(socket) = engine.stack.echo(self.id) {
                socket.close();
            }
            engine.forget(SocketId::Echo(self.id));
        });
    }
}

impl fmt::Debug for EchoSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EchoSocket").field("ident", &self.socket.ident).finish()
    }
}
