//! `TcpListener`, in the shape of std's.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use super::block::Patience;
use super::errno::Errno;
use super::modes::Modes;
use super::runtime::{Core, Host};
use super::shard::Engine;
use super::sockaddr::{ToSocketAddrs, try_each};
use super::tcp::TcpStream;
use super::tcp_socket::TcpSocket;
use super::watch::Key;
use crate::{
    AcceptError, Event, ListenError, ListenFastOpen, ListenOptions, ListenerId, ListenerStatus,
    Readiness, SocketId, Stack,
};

/// A TCP socket that listens, in the shape of [`std::net::TcpListener`]. Dropping its last clone
/// closes it: connections that nobody accepted are reset.
///
/// ```
/// # use stack::host::{Host, TcpListener, TcpStream};
/// # use stack::{Config, Mac};
/// # fn host(last: u8, device: tapdev::PairEnd) -> Host {
/// #     let mut config = Config::new(Mac([2, 0, 0, 0, 0, last]));
/// #     config.addresses = vec![format!("192.0.2.{last}/24").parse().unwrap()];
/// #     Host::new(config, device).unwrap()
/// # }
/// # fn main() -> std::io::Result<()> {
/// # let (left, right) = tapdev::pair(1500, 1000);
/// # let (server, client) = (host(1, left), host(2, right));
/// let listener = TcpListener::bind(&server, "192.0.2.1:7")?;
/// # let near = TcpStream::connect(&client, "192.0.2.1:7")?;
/// let (stream, peer) = listener.accept()?;
/// assert_eq!(stream.peer_addr()?, peer);
/// # Ok(())
/// # }
/// ```
pub struct TcpListener {
    pub(crate) socket: Arc<ListenSocket>,
}

/// A listener, owned: it is closed when this is dropped.
pub(crate) struct ListenSocket {
    pub(crate) core: Arc<Core>,
    pub(crate) id: ListenerId,
    pub(crate) local: SocketAddr,
    pub(crate) modes: Modes,
}

impl ListenSocket {
    pub(crate) fn open(
        core: &Arc<Core>,
        local: SocketAddr,
        options: ListenOptions,
    ) -> Result<ListenSocket, Errno> {
        Self::open_by(core, |stack| stack.listen(local, options))
    }

    /// The listener that `open` makes.
    pub(crate) fn open_by(
        core: &Arc<Core>,
        open: impl FnOnce(&mut Stack) -> Result<ListenerId, ListenError>,
    ) -> Result<ListenSocket, Errno> {
        let (id, local) = core.shard.ask(|engine| {
            if engine.stopping {
                return Err(Errno::ESHUTDOWN);
            }
            let id = open(&mut engine.stack)?;
            engine.listeners.push(id);
            let local = engine.stack.listener(id).map(|status| status.local);
            Ok((id, local.ok_or(Errno::ESHUTDOWN)?))
        })?;
        Ok(ListenSocket { core: Arc::clone(core), id, local, modes: Modes::default() })
    }

    pub(crate) fn socket_id(&self) -> SocketId {
        SocketId::Listener(self.id)
    }

    pub(crate) fn accept(&self, patience: Patience<'_>) -> Result<TcpSocket, Errno> {
        let id = self.socket_id();
        let accepted = self.core.shard.block_on(Key::read(id), patience, |engine, _| {
            let accepted = match engine.stack.accept(self.id) {
                Err(AcceptError::WouldBlock) => return None,
                Err(_) if engine.stopping => return Some(Err(Errno::ESHUTDOWN)),
                Err(error) => return Some(Err(error.into())),
                Ok(accepted) => accepted,
            };
            self.pass_on_rest(engine);
            let ends = engine.stack.tcp(accepted).map(|it| (it.local(), it.remote()));
            ends.map(|(local, remote)| Ok((accepted, local, remote)))
        });
        let (id, local, remote) = accepted??;
        let (core, modes) = (Arc::clone(&self.core), Modes::default());
        Ok(TcpSocket { core, id, local, remote, modes })
    }

    /// One wake-up serves one thread: if there is more, it is for the next one.
    pub(crate) fn pass_on_rest(&self, engine: &mut Engine) {
        if engine.stack.listener(self.id).is_some_and(|status| status.pending > 0) {
            engine.pass_on(Event { socket: self.socket_id(), readiness: Readiness::READABLE });
        }
    }

    pub(crate) fn set_fast_open(&self, fast_open: ListenFastOpen) -> Result<(), Errno> {
        let set = self.core.shard.ask(|engine| engine.stack.set_fast_open(self.id, fast_open));
        if set { Ok(()) } else { Err(Errno::ESHUTDOWN) }
    }

    pub(crate) fn status(&self) -> Result<ListenerStatus, Errno> {
        self.core.shard.ask(|engine| engine.stack.listener(self.id)).ok_or(Errno::ESHUTDOWN)
    }
}

impl ListenSocket {
    /// Stops listening: who waits in `accept` is told EINVAL.
    pub(crate) fn stop(&self) {
        self.core.shard.call(|engine, now| {
            engine.listeners.retain(|&id| id != self.id);
            engine.stack.close_listener(now, self.id);
            engine.forget(SocketId::Listener(self.id));
        });
    }
}

impl Drop for ListenSocket {
    fn drop(&mut self) {
        self.stop();
    }
}

impl TcpListener {
    /// Listens on the first of `addresses` that is free. Port 0 asks for any free port, the
    /// unspecified address for every address of the host.
    ///
    /// # Errors
    /// `AddrInUse`, `AddrNotAvailable`; `InvalidInput` for a name.
    pub fn bind(host: &Host, addresses: impl ToSocketAddrs) -> io::Result<TcpListener> {
        try_each(addresses, |address| Self::bind_with(host, address, ListenOptions::default()))
    }

    /// Listens with options: the backlog, and what accepted connections inherit.
    ///
    /// # Errors
    /// Those of [`bind`](Self::bind).
    pub fn bind_with(
        host: &Host,
        address: SocketAddr,
        options: ListenOptions,
    ) -> io::Result<TcpListener> {
        let socket = ListenSocket::open(&host.core, address, options)?;
        Ok(TcpListener { socket: Arc::new(socket) })
    }

    /// Waits for a connection. Any number of threads may wait on one listener.
    ///
    /// # Errors
    /// `WouldBlock` if there is none and the listener does not block; the host has been shut down.
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let socket = self.socket.accept(self.socket.modes.reading())?;
        let remote = socket.remote;
        Ok((TcpStream::of(socket), remote))
    }

    /// An endless iterator over `accept`.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }

    /// The address and port it listens on.
    ///
    /// # Errors
    /// None.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.socket.local)
    }

    /// Another handle to the same listener.
    ///
    /// # Errors
    /// None.
    pub fn try_clone(&self) -> io::Result<TcpListener> {
        Ok(TcpListener { socket: Arc::clone(&self.socket) })
    }

    /// Whether `accept` fails with `WouldBlock` where it would block.
    ///
    /// # Errors
    /// None.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.socket.modes.set_nonblocking(nonblocking);
        Ok(())
    }

    /// The error that came up since the last call: a listener has none.
    ///
    /// # Errors
    /// None.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        Ok(None)
    }

    /// Its queues: how many connections wait to be accepted, how many are half open.
    ///
    /// # Errors
    /// The host has been shut down.
    pub fn status(&self) -> io::Result<ListenerStatus> {
        Ok(self.socket.status()?)
    }
}

/// The connections of a [`TcpListener`], as they come.
#[derive(Debug)]
pub struct Incoming<'a> {
    listener: &'a TcpListener,
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<TcpStream>;

    fn next(&mut self) -> Option<io::Result<TcpStream>> {
        Some(self.listener.accept().map(|(stream, _)| stream))
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpListener").field("local", &self.socket.local).finish()
    }
}
