//! The forwarder: connections to any address and port, decided on before they are answered.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use super::block::Patience;
use super::errno::Errno;
use super::listener::ListenSocket;
use super::modes::Modes;
use super::runtime::{Core, Host};
use super::tcp::TcpStream;
use super::tcp_socket::TcpSocket;
use super::watch::Key;
use crate::{Incoming, ListenerStatus, TcpOptions};

/// Hears of every connection that somebody begins through this host to an address and port where
/// nobody listens: for VPN clients, proxies, sandboxes. Wants
/// [`Config::any_address`](crate::Config::any_address).
///
/// The client gets no answer until the program has decided; so what it is told can be true.
///
/// ```
/// # use stack::host::{Forwarder, Host, TcpStream};
/// # use stack::{Config, Mac, TcpOptions};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (left, right) = tapdev::pair(1500, 1000);
/// let mut config = Config::new(Mac([2, 0, 0, 0, 0, 1]));
/// config.addresses = vec!["192.0.2.1/24".parse()?];
/// config.any_address = true;
/// let host = Host::new(config, left)?;
/// let forwarder = Forwarder::new(&host, TcpOptions::default())?;
/// # let mut config = Config::new(Mac([2, 0, 0, 0, 0, 2]));
/// # config.addresses = vec!["192.0.2.2/24".parse()?];
/// # config.gateway = Some("192.0.2.1".parse()?);
/// # let client = Host::new(config, right)?;
/// # let thread = std::thread::spawn(move || TcpStream::connect(&client, "198.18.0.9:80"));
/// let request = forwarder.next()?;
/// assert_eq!(request.to(), "198.18.0.9:80".parse()?);
/// // A proxy would connect there, and say by what came of it:
/// let stream = request.accept()?;
/// assert_eq!(stream.local_addr()?, "198.18.0.9:80".parse()?);
/// # thread.join().unwrap()?;
/// # Ok(())
/// # }
/// ```
pub struct Forwarder {
    pub(crate) socket: Arc<ListenSocket>,
}

impl Forwarder {
    /// Opens the forwarder of a host, of which there can be one. Its connections have these
    /// options. Dropping its last clone closes it; what it has accepted lives on.
    ///
    /// # Errors
    /// `AddrNotAvailable` unless `any_address` is set; `AddrInUse`.
    pub fn new(host: &Host, options: TcpOptions) -> io::Result<Forwarder> {
        let socket = ListenSocket::open_by(&host.core, |stack| stack.open_forwarder(options))?;
        Ok(Forwarder { socket: Arc::new(socket) })
    }

    /// Waits for a connection to decide on. Any number of threads may wait.
    ///
    /// # Errors
    /// `WouldBlock` if there is none and the forwarder does not block; the host has been shut down.
    pub fn next(&self) -> io::Result<ForwardRequest> {
        let (socket, core) = (&self.socket, &self.socket.core);
        let key = Key::read(socket.socket_id());
        let incoming = core.shard.block_on(key, socket.modes.reading(), |engine, _| {
            let Some(incoming) = engine.stack.next_incoming(socket.id) else {
                let is_open = engine.stack.listener(socket.id).is_some();
                return (!is_open).then_some(Err(Errno::ESHUTDOWN));
            };
            socket.pass_on_rest(engine);
            Some(Ok(incoming))
        });
        let incoming = incoming.map_err(Errno::from)??;
        Ok(ForwardRequest { core: Arc::clone(core), incoming })
    }

    /// Another handle to the same forwarder.
    ///
    /// # Errors
    /// None.
    pub fn try_clone(&self) -> io::Result<Forwarder> {
        Ok(Forwarder { socket: Arc::clone(&self.socket) })
    }

    /// Whether `next` fails with `WouldBlock` where it would block.
    ///
    /// # Errors
    /// None.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.socket.modes.set_nonblocking(nonblocking);
        Ok(())
    }

    /// Its queues: how many connections wait to be told of, how many for a decision.
    ///
    /// # Errors
    /// The host has been shut down.
    pub fn status(&self) -> io::Result<ListenerStatus> {
        Ok(self.socket.status()?)
    }
}

impl fmt::Debug for Forwarder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forwarder").finish_non_exhaustive()
    }
}

/// Somebody wants to connect, and has had no answer. It can be kept, sent to another thread and
/// decided on whenever more is known; for as long as `TcpConfig::forward_decision` says. Dropped,
/// it is [ignored](Self::ignore).
#[must_use = "dropped, it is ignored: its client will time out"]
pub struct ForwardRequest {
    core: Arc<Core>,
    incoming: Incoming,
}

impl ForwardRequest {
    /// Who wants to connect.
    pub fn from(&self) -> SocketAddr {
        self.incoming.from
    }

    /// To whom.
    pub fn to(&self) -> SocketAddr {
        self.incoming.to
    }

    /// A decision is still waited for: its client has not given up, and there is time.
    pub fn is_waiting(&self) -> bool {
        self.core.shard.ask(|engine| engine.stack.is_undecided(self.incoming.id))
    }

    /// Accepts, and waits for the client to finish the handshake.
    ///
    /// # Errors
    /// `ConnectionAborted` if nobody waits for a decision any more; `ConnectionReset`, `TimedOut`
    /// by what becomes of the handshake.
    pub fn accept(self) -> io::Result<TcpStream> {
        let socket = self.begin()?;
        socket.finish_connect(Patience::Forever)?;
        Ok(TcpStream::of(socket))
    }

    /// Accepts, and returns a non-blocking socket at once. It becomes writable when the handshake
    /// is finished or has failed; [`take_error`](TcpStream::take_error) tells which.
    ///
    /// # Errors
    /// `ConnectionAborted` if nobody waits for a decision any more.
    pub fn accept_nonblocking(self) -> io::Result<TcpStream> {
        let socket = self.begin()?;
        socket.modes.set_nonblocking(true);
        Ok(TcpStream::of(socket))
    }

    fn begin(&self) -> Result<TcpSocket, Errno> {
        let Incoming { id, from, to } = self.incoming;
        let accepted = self.core.shard.call(|engine, now| engine.stack.accept_incoming(now, id));
        let (core, modes) = (Arc::clone(&self.core), Modes::default());
        Ok(TcpSocket { core, id: accepted?, local: to, remote: from, modes })
    }

    /// Refuses: the client is told that the port is closed.
    pub fn reset(self) {
        self.core.shard.call(|engine, now| engine.stack.reset_incoming(now, self.incoming.id));
    }

    /// Forgets it without a word. Its client will send another SYN, which is another request.
    pub fn ignore(self) {
        drop(self);
    }
}

impl Drop for ForwardRequest {
    /// Of one that is decided on nothing is left to forget.
    fn drop(&mut self) {
        self.core.shard.ask(|engine| engine.stack.drop_incoming(self.incoming.id));
    }
}

impl fmt::Debug for ForwardRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.from(), self.to());
        f.debug_struct("ForwardRequest").field("from", &from).field("to", &to).finish()
    }
}
