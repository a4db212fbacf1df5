//! ICMP echo: what a `ping` program needs.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::block::Patience;
use super::errno::Errno;
use super::modes::Modes;
use super::runtime::{Core, Host};
use super::watch::Key;
use crate::{Echo, EchoId, EchoReply, EchoReplyKind, Instant, InterfaceId, SocketId, UdpSendError};

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
    /// Opens a socket with this identifier, or one of the stack's choice.
    pub(crate) fn open(core: &Arc<Core>, ident: Option<u16>) -> Result<PingSocket, Errno> {
        let (id, ident) = core.shard.ask(|engine| {
            if engine.stopping {
                return Err(Errno::ESHUTDOWN);
            }
            let id = engine.stack.bind_echo(ident)?;
            Ok((id, engine.stack.echo(id).map_or(0, |socket| socket.ident())))
        })?;
        Ok(PingSocket { core: Arc::clone(core), id, ident, modes: Modes::default() })
    }

    pub(crate) fn ident(&self) -> u16 {
        self.ident
    }

    /// Requests leave by this interface only; None: as the routes say.
    pub(crate) fn bind_interface(&self, only: Option<InterfaceId>) {
        self.core.shard.ask(|engine| {
            if let Some(mut echo) = engine.stack.echo(self.id) {
                echo.bind_interface(only);
            }
        });
    }

    pub(crate) fn socket_id(&self) -> SocketId {
        SocketId::Echo(self.id)
    }

    /// Does something with the engine's socket.
    pub(crate) fn with<T>(&self, call: impl FnOnce(&mut Echo<'_>) -> T) -> Result<T, Errno> {
        self.core.shard.ask(|engine| {
            let mut echo = engine.stack.echo(self.id).ok_or(Errno::ESHUTDOWN)?;
            Ok(call(&mut echo))
        })
    }

    /// The length of the next answer with its header; 0 if there is none, or it is an error.
    pub(crate) fn unread(&self) -> Result<usize, Errno> {
        self.with(|echo| {
            let next = echo.next_answer().filter(|(kind, _)| *kind == EchoReplyKind::Reply);
            next.map_or(0, |(_, length)| 8 + length)
        })
    }

    /// Sends an echo request, and says when.
    pub(crate) fn send(
        &self,
        to: IpAddr,
        sequence: u16,
        payload: &[u8],
        ttl: Option<u8>,
        patience: Patience<'_>,
    ) -> Result<Instant, Errno> {
        let key = Key::write(self.socket_id());
        self.core.shard.block_on(key, patience, |engine, now| {
            let Some(mut echo) = engine.stack.echo(self.id) else {
                return Some(Err(Errno::ESHUTDOWN));
            };
            match echo.send(now, to, sequence, payload, ttl) {
                Ok(()) => Some(Ok(now)),
                Err(UdpSendError::WouldBlock) => None,
                Err(error) => Some(Err(error.into())),
            }
        })?
    }

    /// Waits until `take` finds something.
    pub(crate) fn recv<T>(
        &self,
        patience: Patience<'_>,
        mut take: impl FnMut(&mut Echo<'_>) -> Option<T>,
    ) -> Result<T, Errno> {
        let key = Key::read(self.socket_id());
        self.core.shard.block_on(key, patience, |engine, _| match engine.stack.echo(self.id) {
            Some(mut echo) => take(&mut echo).map(Ok),
            None => Some(Err(Errno::ESHUTDOWN)),
        })?
    }
}

impl EchoSocket {
    /// Opens a socket with an identifier of the stack's choice.
    ///
    /// # Errors
    /// All identifiers are in use.
    pub fn open(host: &Host) -> io::Result<EchoSocket> {
        Ok(EchoSocket { socket: Arc::new(PingSocket::open(&host.core, None)?) })
    }

    /// The identifier in its requests.
    pub fn ident(&self) -> u16 {
        self.socket.ident()
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
        Ok(socket.send(to, sequence, payload, ttl, socket.modes.writing())?)
    }

    /// Receives an answer: an echo reply, or the error that a request met on its way.
    ///
    /// # Errors
    /// `WouldBlock` when the time-out passes.
    pub fn recv(&self, payload: &mut [u8]) -> io::Result<EchoReply> {
        let socket = &*self.socket;
        Ok(socket.recv(socket.modes.reading(), |echo| echo.recv(payload))?)
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
        self.core.shard.ask(|engine| {
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
