//! Descriptors and what they stand for; the calls that begin and end connections.
//!
//! Semantics are those of `stack::host::Bsd`, which are Linux's.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use stack::host::Errno;
use stack::host::bsd::{SHUT_RD, SHUT_RDWR, SHUT_WR, SOCK_CLOEXEC, SOCK_NONBLOCK};
use stack::{
    ConnectOptions, ListenFastOpen, ListenOptions, ListenerId, Readiness, SocketId, State, TcpId,
    TcpOptions, UdpId, UdpOptions,
};

use crate::address::Given;
use crate::door::{Door, Patience};
use crate::kernel;
use crate::world::World;

/// TCP or UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Stream,
    Datagram,
}

/// What a socket has become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Idle,
    /// `connect` was called, and nobody has been told of its end.
    Connecting(TcpId),
    Stream(TcpId),
    Listener(ListenerId),
    Datagram(UdpId),
}

/// One socket.
#[derive(Clone, Debug)]
pub(crate) struct Sock {
    pub(crate) kind: Kind,
    /// AF_INET or AF_INET6: the dress in which it tells addresses.
    pub(crate) domain: i32,
    pub(crate) role: Role,
    pub(crate) nonblocking: bool,
    pub(crate) bound: Option<SocketAddr>,
    pub(crate) reuse: bool,
    pub(crate) receive_timeout: Option<Duration>,
    pub(crate) send_timeout: Option<Duration>,
    /// An error that came after a part of a call's work was done: the next call's answer.
    pub(crate) deferred: Option<Errno>,
    /// `recvmsg` tells how much is left (TCP_INQ).
    pub(crate) inq: bool,
    pub(crate) tcp: TcpOptions,
    /// For the listener.
    pub(crate) fast_open: ListenFastOpen,
    /// `tcp` is no longer what the listener was made with.
    pub(crate) changed: bool,
    pub(crate) udp: UdpOptions,
}

fn patience(nonblocking: bool, timeout: Option<Duration>) -> Patience {
    match (nonblocking, timeout) {
        (true, _) => Patience::None,
        (false, Some(time)) => Patience::For(time),
        (false, None) => Patience::Forever,
    }
}

impl Sock {
    fn new(kind: Kind, domain: i32) -> Sock {
        Sock {
            kind,
            domain,
            role: Role::Idle,
            nonblocking: false,
            bound: None,
            reuse: false,
            receive_timeout: None,
            send_timeout: None,
            deferred: None,
            inq: false,
            tcp: TcpOptions::default(),
            fast_open: ListenFastOpen::default(),
            changed: false,
            udp: UdpOptions::default(),
        }
    }

    /// The engine's name for it.
    pub(crate) fn id(&self) -> Option<SocketId> {
        match self.role {
            Role::Idle => None,
            Role::Connecting(id) | Role::Stream(id) => Some(SocketId::Tcp(id)),
            Role::Listener(id) => Some(SocketId::Listener(id)),
            Role::Datagram(id) => Some(SocketId::Udp(id)),
        }
    }

    /// The connection.
    pub(crate) fn stream(&self) -> Option<TcpId> {
        match self.role {
            Role::Connecting(id) | Role::Stream(id) => Some(id),
            _ => None,
        }
    }

    /// A socket of AF_INET has no use for an address of IPv6.
    pub(crate) fn check(&self, address: SocketAddr) -> Result<(), Errno> {
        match self.domain == libc::AF_INET && address.is_ipv6() {
            true => Err(Errno::EAFNOSUPPORT),
            false => Ok(()),
        }
    }

    pub(crate) fn reading(&self) -> Patience {
        patience(self.nonblocking, self.receive_timeout)
    }

    pub(crate) fn writing(&self) -> Patience {
        patience(self.nonblocking, self.send_timeout)
    }
}

impl World {
    pub(crate) fn sock(&mut self, fd: i32) -> Result<&mut Sock, Errno> {
        self.socks.get_mut(&fd).ok_or(Errno::EBADF)
    }

    fn enter(&mut self, sock: Sock) -> Result<i32, Errno> {
        let fd = kernel::placeholder()?;
        // The number may be one that libc closed behind our back.
        self.forget(fd);
        self.socks.insert(fd, sock);
        Ok(fd)
    }

    /// Drops whatever an old descriptor of this number stood for.
    fn forget(&mut self, fd: i32) {
        if let Some(sock) = self.socks.remove(&fd) {
            self.release(&sock);
        }
        self.epolls.remove(&fd);
        self.epolls.values_mut().for_each(|epoll| epoll.forget(fd));
    }

    fn release(&mut self, sock: &Sock) {
        let now = self.instant();
        match sock.role {
            Role::Idle => {}
            Role::Connecting(id) | Role::Stream(id) => {
                if let Some(tcp) = self.stack.tcp(id) {
                    tcp.close(now);
                }
            }
            Role::Listener(id) => self.stack.close_listener(now, id),
            Role::Datagram(id) => {
                if let Some(udp) = self.stack.udp(id) {
                    udp.close();
                }
            }
        }
    }

    /// What a socket is ready for. Of one that the engine does not know Linux says that a stream
    /// is writable and hung up, and that datagrams can be sent.
    pub(crate) fn readiness(&mut self, fd: i32) -> Option<Readiness> {
        let sock = self.socks.get(&fd)?;
        let (role, kind) = (sock.role, sock.kind);
        Some(match role {
            Role::Idle if kind == Kind::Stream => Readiness::WRITABLE | Readiness::CLOSED,
            Role::Idle => Readiness::WRITABLE,
            Role::Connecting(id) | Role::Stream(id) => {
                self.stack.tcp(id).map_or(Readiness::CLOSED, |tcp| tcp.readiness())
            }
            Role::Listener(id) => {
                self.stack.listener(id).map_or(Readiness::EMPTY, |it| it.readiness)
            }
            Role::Datagram(id) => {
                self.stack.udp(id).map_or(Readiness::CLOSED, |udp| udp.readiness())
            }
        })
    }

    fn bind(&mut self, fd: i32, given: Given) -> Result<(), Errno> {
        let Given::Address(local) = given else { return Err(Errno::EAFNOSUPPORT) };
        let sock = self.sock(fd)?.clone();
        sock.check(local)?;
        if sock.bound.is_some() || sock.role != Role::Idle {
            return Err(Errno::EINVAL);
        }
        if sock.kind == Kind::Datagram {
            return self.open_datagram(fd, local).map(|_| ());
        }
        let reserved = |other: &Sock| other.role == Role::Idle && other.bound == Some(local);
        if !sock.reuse && self.socks.values().any(reserved) {
            return Err(Errno::EADDRINUSE);
        }
        // The engine knows no bound socket that does nothing. Listening for a moment finds out
        // whether the address can be had, and picks the port.
        let probe = self.stack.listen(local, ListenOptions::default())?;
        let local = self.stack.listener(probe).map_or(local, |it| it.local);
        let now = self.instant();
        self.stack.close_listener(now, probe);
        self.sock(fd)?.bound = Some(local);
        Ok(())
    }

    /// The datagram socket, bound to `local` now if it is not yet.
    pub(crate) fn open_datagram(&mut self, fd: i32, local: SocketAddr) -> Result<UdpId, Errno> {
        let options = self.sock(fd)?.udp;
        let id = self.stack.bind_udp(local)?;
        if let Some(mut udp) = self.stack.udp(id) {
            udp.set_options(options);
        }
        self.sock(fd)?.role = Role::Datagram(id);
        Ok(id)
    }

    /// The datagram socket; one that was not bound gets a port of the stack's choice.
    pub(crate) fn datagram(&mut self, fd: i32) -> Result<UdpId, Errno> {
        let sock = self.sock(fd)?;
        match sock.role {
            Role::Datagram(id) => Ok(id),
            _ => {
                let local = nobody(sock.domain);
                self.open_datagram(fd, local)
            }
        }
    }

    fn listen(&mut self, fd: i32, backlog: i32) -> Result<(), Errno> {
        let max = self.stack.config().tcp.backlog_max;
        let sock = self.sock(fd)?.clone();
        if sock.kind == Kind::Datagram {
            return Err(Errno::EOPNOTSUPP);
        }
        if sock.role != Role::Idle {
            return Err(Errno::EINVAL);
        }
        let backlog = usize::try_from(backlog).unwrap_or(max).clamp(1, max);
        let (tcp, fast_open) = (sock.tcp, sock.fast_open);
        let options = ListenOptions { backlog, tcp, fast_open, ..ListenOptions::default() };
        let local = sock.bound.unwrap_or_else(|| nobody(sock.domain));
        let id = self.stack.listen(local, options)?;
        let sock = self.sock(fd)?;
        (sock.role, sock.bound) = (Role::Listener(id), None);
        Ok(())
    }

    /// Takes a connection, if one waits: its descriptor and its other end.
    fn accept(&mut self, fd: i32) -> Result<(i32, SocketAddr, i32), Errno> {
        let listener = self.sock(fd)?.clone();
        let id = match listener.role {
            Role::Listener(id) => self.stack.accept(id)?,
            _ if listener.kind == Kind::Datagram => return Err(Errno::EOPNOTSUPP),
            _ => return Err(Errno::EINVAL),
        };
        let now = self.instant();
        let mut sock = Sock::new(Kind::Stream, listener.domain);
        sock.tcp = listener.tcp;
        sock.role = Role::Stream(id);
        sock.inq = listener.inq;
        let mut remote = nobody(listener.domain);
        if let Some(mut tcp) = self.stack.tcp(id) {
            remote = tcp.remote();
            if listener.changed {
                tcp.set_options(now, listener.tcp);
            }
        }
        Ok((self.enter(sock)?, remote, listener.domain))
    }

    /// Begins a connection, or goes on with one. Says with which error a caller who does not wait
    /// is put off.
    fn begin_connect(&mut self, fd: i32, remote: SocketAddr) -> Result<Errno, Errno> {
        let tcp = self.sock(fd)?.tcp;
        self.connect_with(fd, remote, tcp)
    }

    /// The same with these options.
    pub(crate) fn connect_with(
        &mut self,
        fd: i32,
        remote: SocketAddr,
        tcp: TcpOptions,
    ) -> Result<Errno, Errno> {
        let sock = self.sock(fd)?.clone();
        sock.check(remote)?;
        match sock.role {
            Role::Connecting(_) => return Ok(Errno::EALREADY),
            Role::Idle => {}
            _ => return Err(Errno::EISCONN),
        }
        let now = self.instant();
        let options = ConnectOptions { local: sock.bound, tcp };
        let id = self.stack.connect(now, remote, options)?;
        let sock = self.sock(fd)?;
        (sock.role, sock.bound) = (Role::Connecting(id), None);
        Ok(Errno::EINPROGRESS)
    }

    /// How an attempt to connect has ended; None while it has not.
    fn end_connect(&mut self, fd: i32) -> Option<Result<(), Errno>> {
        let Ok(Sock { role: Role::Connecting(id), .. }) = self.sock(fd).cloned() else {
            return Some(Err(Errno::EBADF));
        };
        let Some(mut tcp) = self.stack.tcp(id) else {
            return Some(Err(Errno::ECONNABORTED));
        };
        let (state, error) = (tcp.state(), tcp.take_error());
        let writable = tcp.readiness().contains(Readiness::WRITABLE);
        let (role, answer) = match (state, error) {
            // As in Linux, the socket can try again.
            (_, Some(error)) => {
                let now = self.instant();
                if let Some(tcp) = self.stack.tcp(id) {
                    tcp.close(now);
                }
                (Role::Idle, Err(error.into()))
            }
            // The SYN waits for the first text: there is nothing to wait for.
            (State::SynSent, None) if writable => (Role::Stream(id), Ok(())),
            (State::SynSent | State::SynReceived, None) => return None,
            (State::Closed, None) => (Role::Stream(id), Err(Errno::ECONNABORTED)),
            _ => (Role::Stream(id), Ok(())),
        };
        if let Ok(sock) = self.sock(fd) {
            sock.role = role;
        }
        Some(answer)
    }

    fn connect_datagram(&mut self, fd: i32, given: Given) -> Result<(), Errno> {
        if let Given::Address(remote) = given {
            self.sock(fd)?.check(remote)?;
        }
        let id = self.datagram(fd)?;
        let mut udp = self.stack.udp(id).ok_or(Errno::EBADF)?;
        match given {
            Given::Nothing => udp.disconnect(),
            Given::Address(remote) => udp.connect(remote)?,
        }
        Ok(())
    }

    /// `connect` to AF_UNSPEC: the connection is reset and the socket begins anew, as in Linux.
    fn disconnect(&mut self, fd: i32) -> Result<(), Errno> {
        let now = self.instant();
        let sock = self.sock(fd)?.clone();
        if let Some(tcp) = sock.stream().and_then(|id| self.stack.tcp(id)) {
            tcp.abort(now);
        } else {
            self.release(&sock);
        }
        self.sock(fd)?.role = Role::Idle;
        Ok(())
    }

    fn shutdown(&mut self, fd: i32, how: i32) -> Result<(), Errno> {
        let (read, write) = match how {
            SHUT_RD => (true, false),
            SHUT_WR => (false, true),
            SHUT_RDWR => (true, true),
            _ => return Err(Errno::EINVAL),
        };
        let now = self.instant();
        let sock = self.sock(fd)?.clone();
        if sock.kind == Kind::Datagram {
            return Err(Errno::EOPNOTSUPP);
        }
        if let (Role::Listener(id), true) = (sock.role, read) {
            self.stack.close_listener(now, id);
            self.sock(fd)?.role = Role::Idle;
            return Ok(());
        }
        let tcp = sock.stream().and_then(|id| self.stack.tcp(id));
        let mut tcp = tcp.ok_or(Errno::ENOTCONN)?;
        if read {
            tcp.shutdown_read(now).map_err(|_| Errno::ENOTCONN)?;
        }
        if write {
            tcp.shutdown_write(now).map_err(|_| Errno::ENOTCONN)?;
        }
        Ok(())
    }

    /// A lingering close has nothing to wait for any more: the peer has everything, or is gone.
    fn has_lingered(&mut self, id: TcpId) -> bool {
        let state = self.stack.tcp(id).map_or(State::Closed, |tcp| tcp.state());
        matches!(state, State::FinWait2 | State::TimeWait | State::Closed)
    }
}

/// The name of a socket that has none: one of AF_INET6 is for both IP versions.
fn nobody(domain: i32) -> SocketAddr {
    match domain {
        libc::AF_INET6 => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        _ => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
    }
}

impl Door {
    pub(crate) fn socket(&self, domain: i32, kind: i32, protocol: i32) -> Result<i32, Errno> {
        if domain != libc::AF_INET && domain != libc::AF_INET6 {
            return Err(Errno::EAFNOSUPPORT);
        }
        let (made, expected) = match kind & !(SOCK_NONBLOCK | SOCK_CLOEXEC) {
            libc::SOCK_STREAM => (Kind::Stream, libc::IPPROTO_TCP),
            libc::SOCK_DGRAM => (Kind::Datagram, libc::IPPROTO_UDP),
            _ => return Err(Errno::ESOCKTNOSUPPORT),
        };
        if protocol != 0 && protocol != expected {
            return Err(Errno::EPROTONOSUPPORT);
        }
        self.call(|world| {
            let mut sock = Sock::new(made, domain);
            sock.nonblocking = kind & SOCK_NONBLOCK != 0;
            world.enter(sock)
        })
    }

    pub(crate) fn bind(&self, fd: i32, given: Given) -> Result<(), Errno> {
        self.call(|world| world.bind(fd, given))
    }

    pub(crate) fn listen(&self, fd: i32, backlog: i32) -> Result<(), Errno> {
        self.call(|world| world.listen(fd, backlog))
    }

    /// The new descriptor, the peer, and the domain in whose dress to tell it.
    pub(crate) fn accept(&self, fd: i32) -> Result<(i32, SocketAddr, i32), Errno> {
        let patience = self.call(|world| world.sock(fd).map(|sock| sock.reading()))?;
        self.block(patience, |world| match world.accept(fd) {
            Err(Errno::EAGAIN) => None,
            answer => Some(answer),
        })?
    }

    pub(crate) fn connect(&self, fd: i32, given: Given) -> Result<(), Errno> {
        let (kind, patience) =
            self.call(|world| world.sock(fd).map(|sock| (sock.kind, sock.writing())))?;
        let remote = match (kind, given) {
            (Kind::Datagram, _) => return self.call(|world| world.connect_datagram(fd, given)),
            (Kind::Stream, Given::Nothing) => return self.call(|world| world.disconnect(fd)),
            (Kind::Stream, Given::Address(remote)) => remote,
        };
        let put_off = self.call(|world| world.begin_connect(fd, remote))?;
        match self.block(patience, |world| world.end_connect(fd)) {
            Ok(answer) => answer,
            Err(crate::door::GaveUp::TimedOut) => Err(put_off),
            Err(why) => Err(why.into()),
        }
    }

    pub(crate) fn shutdown(&self, fd: i32, how: i32) -> Result<(), Errno> {
        self.call(|world| world.shutdown(fd, how))
    }

    pub(crate) fn close(&self, fd: i32) -> Result<(), Errno> {
        let sock = self.call(|world| world.sock(fd).cloned());
        if let Ok(sock) = &sock {
            self.linger(fd, sock);
        }
        self.call(|world| world.forget(fd));
        // Not ours: a pipe's end, or nobody's.
        kernel::close(fd)
    }

    /// SO_LINGER with a time: waits until the peer has acknowledged everything.
    fn linger(&self, fd: i32, sock: &Sock) {
        let (Some(id), Some(time)) = (sock.stream(), sock.tcp.linger) else { return };
        if time.is_zero() || sock.nonblocking || self.shutdown(fd, SHUT_WR).is_err() {
            return;
        }
        // Whatever comes of it, the socket is closed now.
        let _ = self.block(Patience::For(time), |world| world.has_lingered(id).then_some(()));
    }
}
