//! Calls about addresses and connections: bind, listen, accept, connect, shutdown, and the names.

use std::net::SocketAddr;
use std::sync::Arc;

use super::family::is_mapped;
use super::reservations::{Bound, Reserved};
use super::socket::{Kind, Role, Sock, State};
use super::{Bsd, SHUT_RD, SHUT_RDWR, SHUT_WR, SOCK_CLOEXEC, SOCK_NONBLOCK};
use crate::host::errno::Errno;
use crate::host::listener::ListenSocket;
use crate::host::tcp_socket::{Half, TcpSocket};
use crate::{ConnectOptions, ListenOptions, TcpOptions};

impl Bsd {
    /// Gives a socket its local address. Port 0 is any free port, and is chosen now.
    ///
    /// # Errors
    /// EBADF, EINVAL if it has one, EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT.
    pub fn bind(&self, fd: i32, local: SocketAddr) -> Result<(), Errno> {
        let sock = self.sock(fd)?;
        sock.family.check(local)?;
        let mut state = sock.state();
        if state.tcp.only_v6 && is_mapped(local) {
            return Err(Errno::EINVAL);
        }
        if state.bound.is_some() || !matches!(state.role, Role::Idle) {
            return Err(Errno::EINVAL);
        }
        match sock.kind {
            Kind::Datagram => state.open_datagram(&self.core, local).map(|_| ()),
            Kind::Ping => state.bind_ping(&self.core, local),
            Kind::Stream => {
                state.bound = Some(self.reserve(local, &state)?);
                Ok(())
            }
        }
    }

    /// The engine knows no bound socket that does nothing. Listening for a moment finds out
    /// whether the address can be had, and picks the port; it is kept from the others.
    fn reserve(&self, local: SocketAddr, state: &State) -> Result<Bound, Errno> {
        let (tcp, reuse_port) = (state.tcp, state.reuse.port);
        let options = ListenOptions { tcp, reuse_port, ..ListenOptions::default() };
        let probe = ListenSocket::open(&self.core, local, options)?;
        let (address, reach) = (probe.local, state.tcp.reach(local.ip().into()));
        let wanted = Reserved { address, reach, reuse: state.reuse, only: state.tcp.interface };
        self.reservations.reserve(wanted)
    }

    /// Turns a bound stream socket into a listener with room for `backlog` connections. One that
    /// is not bound gets a port of the stack's choice.
    ///
    /// # Errors
    /// EBADF, EOPNOTSUPP for datagrams, EINVAL if it is connected or listens already (the backlog
    /// of a listener cannot be changed), EADDRINUSE.
    pub fn listen(&self, fd: i32, backlog: i32) -> Result<(), Errno> {
        let sock = self.sock(fd)?;
        if sock.kind != Kind::Stream {
            return Err(Errno::EOPNOTSUPP);
        }
        let mut state = sock.state();
        if !matches!(state.role, Role::Idle) {
            return Err(Errno::EINVAL);
        }
        // Linux takes a negative one for its maximum.
        let backlog = usize::try_from(backlog).unwrap_or(usize::MAX);
        let options = ListenOptions {
            backlog,
            tcp: state.tcp,
            reuse_port: state.reuse.port,
            fast_open: state.fast_open,
        };
        let local = state.local().unwrap_or_else(|| sock.family.nobody());
        let listener = ListenSocket::open(&self.core, local, options)?;
        state.role = Role::Listener(Arc::new(listener));
        Ok(())
    }

    /// Waits for a connection; its descriptor and its other end.
    ///
    /// # Errors
    /// EBADF, EOPNOTSUPP for datagrams, EINVAL if it does not listen, EAGAIN, EMFILE.
    pub fn accept(&self, fd: i32) -> Result<(i32, SocketAddr), Errno> {
        self.accept4(fd, 0)
    }

    /// `accept`, with SOCK_NONBLOCK for the new socket.
    ///
    /// # Errors
    /// Those of [`accept`](Self::accept); EINVAL for other flags.
    pub fn accept4(&self, fd: i32, flags: i32) -> Result<(i32, SocketAddr), Errno> {
        let sock = self.sock(fd)?;
        if flags & !(SOCK_NONBLOCK | SOCK_CLOEXEC) != 0 {
            return Err(Errno::EINVAL);
        }
        let listener = match (&sock.state().role, sock.kind) {
            (Role::Listener(listener), _) => Arc::clone(listener),
            (_, Kind::Datagram | Kind::Ping) => return Err(Errno::EOPNOTSUPP),
            _ => return Err(Errno::EINVAL),
        };
        let socket = listener.accept(sock.modes.reading())?;
        // Options set since `listen` hold for what is accepted from now on.
        let (changed, options) = {
            let state = sock.state();
            (state.changed, state.tcp)
        };
        if changed {
            socket.adjust(|current| *current = options)?;
        }
        let remote = sock.family.tell(socket.remote);
        let accepted = Sock::accepted(sock.family, socket);
        accepted.modes.set_nonblocking(flags & SOCK_NONBLOCK != 0);
        Ok((self.write().insert(Arc::new(accepted))?, remote))
    }

    /// Connects a stream, or chooses the peer of a datagram socket.
    ///
    /// # Errors
    /// For a stream: EINPROGRESS if it does not block (or its SO_SNDTIMEO passes), then EALREADY
    /// until it is answered, once success or its error, then EISCONN; ECONNREFUSED, ETIMEDOUT,
    /// EHOSTUNREACH, ENETUNREACH, EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT. EBADF.
    pub fn connect(&self, fd: i32, remote: SocketAddr) -> Result<(), Errno> {
        let sock = self.sock(fd)?;
        sock.family.check(remote)?;
        if sock.state().tcp.only_v6 && is_mapped(remote) {
            return Err(Errno::ENETUNREACH);
        }
        if sock.kind == Kind::Datagram {
            return sock.datagram(&self.core)?.connect(remote);
        }
        if sock.kind == Kind::Ping {
            return self.connect_ping(&sock, remote);
        }
        let (socket, pending) = {
            let mut state = sock.state();
            match &state.role {
                Role::Connecting(socket) => (Arc::clone(socket), Errno::EALREADY),
                Role::Idle => {
                    let options = state.tcp;
                    (self.start(&mut state, remote, options)?, Errno::EINPROGRESS)
                }
                _ => return Err(Errno::EISCONN),
            }
        };
        self.finish(&sock, &socket, pending)
    }

    /// Begins a connection.
    pub(super) fn start(
        &self,
        state: &mut State,
        remote: SocketAddr,
        tcp: TcpOptions,
    ) -> Result<Arc<TcpSocket>, Errno> {
        let options = ConnectOptions { local: state.local(), tcp };
        let socket = Arc::new(TcpSocket::start(&self.core, remote, options)?);
        state.role = Role::Connecting(Arc::clone(&socket));
        Ok(socket)
    }

    /// Waits for the answer, as long as the socket may block.
    fn finish(&self, sock: &Sock, socket: &Arc<TcpSocket>, pending: Errno) -> Result<(), Errno> {
        let answer = socket.finish_connect(sock.modes.writing());
        let mut state = sock.state();
        match answer {
            Err(Errno::EAGAIN) => return Err(pending),
            Ok(()) => state.role = Role::Stream(Arc::clone(socket)),
            // As in Linux, the socket can try again.
            Err(_) => state.role = Role::Idle,
        }
        answer
    }

    /// Makes a connected datagram socket receive from anybody again (Linux's `connect` with
    /// AF_UNSPEC).
    ///
    /// # Errors
    /// EBADF, EOPNOTSUPP for streams.
    pub fn disconnect(&self, fd: i32) -> Result<(), Errno> {
        let sock = self.sock(fd)?;
        let mut state = sock.state();
        match &state.role {
            Role::Datagram(socket) => socket.with(|it| it.disconnect()),
            Role::Idle => Ok(()),
            Role::Ping(_) => {
                state.ping.peer = None;
                Ok(())
            }
            Role::Connecting(_) | Role::Stream(_) | Role::Listener(_) => Err(Errno::EOPNOTSUPP),
        }
    }

    /// Ends one direction of a connection, or both. SHUT_RD of a listener ends the listening.
    ///
    /// # Errors
    /// EBADF, EINVAL for another `how`, ENOTCONN, EOPNOTSUPP for datagrams.
    pub fn shutdown(&self, fd: i32, how: i32) -> Result<(), Errno> {
        let sock = self.sock(fd)?;
        let half = match how {
            SHUT_RD => Half::Read,
            SHUT_WR => Half::Write,
            SHUT_RDWR => Half::Both,
            _ => return Err(Errno::EINVAL),
        };
        if sock.kind != Kind::Stream {
            self.getpeername(fd)?;
            return Err(Errno::EOPNOTSUPP);
        }
        let mut state = sock.state();
        if let Role::Listener(listener) = &state.role
            && half != Half::Write
        {
            listener.stop();
            state.role = Role::Idle;
            return Ok(());
        }
        drop(state);
        sock.stream(Errno::ENOTCONN)?.shutdown(half)
    }

    /// The local address; `0.0.0.0:0` or `[::]:0` before there is one.
    ///
    /// # Errors
    /// EBADF.
    pub fn getsockname(&self, fd: i32) -> Result<SocketAddr, Errno> {
        let sock = self.sock(fd)?;
        let state = sock.state();
        let local = match &state.role {
            Role::Idle => state.local().unwrap_or_else(|| sock.family.nobody()),
            Role::Connecting(socket) | Role::Stream(socket) => socket.local,
            Role::Listener(socket) => socket.local,
            Role::Datagram(socket) => socket.with(|it| it.local())?,
            Role::Ping(socket) => (sock.family.nobody().ip(), socket.ident()).into(),
        };
        Ok(sock.family.tell(local))
    }

    /// The address of the other end.
    ///
    /// # Errors
    /// EBADF, ENOTCONN.
    pub fn getpeername(&self, fd: i32) -> Result<SocketAddr, Errno> {
        let sock = self.sock(fd)?;
        let state = sock.state();
        let peer = match &state.role {
            Role::Connecting(socket) | Role::Stream(socket) => socket.peer()?,
            Role::Datagram(socket) => socket.peer()?,
            Role::Ping(_) => state.ping.peer.ok_or(Errno::ENOTCONN)?,
            Role::Idle | Role::Listener(_) => return Err(Errno::ENOTCONN),
        };
        Ok(sock.family.tell(peer))
    }
}
