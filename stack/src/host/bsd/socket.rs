//! One socket of the BSD face, and what it has become: the states that std's types keep apart.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::host::block::Patience;
use crate::host::echo::PingSocket;
use crate::host::errno::Errno;
use crate::host::listener::ListenSocket;
use crate::host::modes::Modes;
use crate::host::runtime::Core;
use crate::host::tcp_socket::TcpSocket;
use crate::host::udp::DatagramSocket;
use crate::net::multicast::filter::Memberships;
use crate::net::sharing::Sharing;
use crate::{InterfaceId, ListenFastOpen, Readiness, SocketId, TcpOptions, UdpOptions};

use super::MSG_DONTWAIT;
use super::control::Asked;
use super::family::Family;
use super::ping::Ping;
use super::reservations::Bound;

/// TCP, UDP, or ICMP echo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Stream,
    Datagram,
    Ping,
}

/// One socket. Several descriptors may name it.
pub(super) struct Sock {
    pub(super) family: Family,
    pub(super) kind: Kind,
    pub(super) modes: Modes,
    state: Mutex<State>,
}

/// What a socket has become, and the options it was given before.
pub(super) struct State {
    pub(super) role: Role,
    /// A stream was bound to this address, which is kept for it while it lives (as Linux's
    /// SOCK_BINDPORT_LOCK does).
    pub(super) bound: Option<Bound>,
    /// Of a stream, before it listens.
    pub(super) reuse: Sharing,
    /// For the connection to be, or those to be accepted.
    pub(super) tcp: TcpOptions,
    /// For the listener to be.
    pub(super) fast_open: ListenFastOpen,
    /// `tcp` is no longer what the listener was made with.
    pub(super) changed: bool,
    /// For the datagram socket to be.
    pub(super) udp: UdpOptions,
    /// The address that `IP_MULTICAST_IF` was given.
    pub(super) multicast_address: Ipv4Addr,
    /// Groups that it will join.
    pub(super) groups: Memberships<Option<InterfaceId>>,
    /// Of an echo socket.
    pub(super) ping: Ping,
    /// What is to come with its datagrams.
    pub(super) asked: Asked,
}

impl State {
    /// What a stream was bound to.
    pub(super) fn local(&self) -> Option<SocketAddr> {
        self.bound.as_ref().map(|bound| bound.address)
    }
}

/// Blocking calls clone the `Arc` out and let go of the state: nobody waits with it locked.
#[derive(Clone)]
pub(super) enum Role {
    /// Neither listening nor connected nor able to receive datagrams.
    Idle,
    /// `connect` was called, and has not yet been answered.
    Connecting(Arc<TcpSocket>),
    Stream(Arc<TcpSocket>),
    Listener(Arc<ListenSocket>),
    Datagram(Arc<DatagramSocket>),
    Ping(Arc<PingSocket>),
}

impl Role {
    /// What a poller would watch.
    pub(super) fn socket_id(&self) -> Option<SocketId> {
        match self {
            Role::Idle => None,
            Role::Connecting(socket) | Role::Stream(socket) => Some(socket.socket_id()),
            Role::Listener(socket) => Some(socket.socket_id()),
            Role::Datagram(socket) => Some(socket.socket_id()),
            Role::Ping(socket) => Some(socket.socket_id()),
        }
    }
}

impl Sock {
    pub(super) fn new(family: Family, kind: Kind) -> Sock {
        let state = State {
            role: Role::Idle,
            bound: None,
            reuse: Sharing::default(),
            tcp: TcpOptions::default(),
            fast_open: ListenFastOpen::default(),
            changed: false,
            udp: UdpOptions::default(),
            multicast_address: Ipv4Addr::UNSPECIFIED,
            groups: Memberships::default(),
            ping: Ping::default(),
            asked: Asked::default(),
        };
        Sock { family, kind, modes: Modes::default(), state: Mutex::new(state) }
    }

    /// A connection that a listener accepted.
    pub(super) fn accepted(family: Family, socket: TcpSocket) -> Sock {
        let sock = Sock::new(family, Kind::Stream);
        sock.state().role = Role::Stream(Arc::new(socket));
        sock
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection, established or on its way.
    ///
    /// # Errors
    /// `otherwise`, if there is none.
    pub(super) fn stream(&self, otherwise: Errno) -> Result<Arc<TcpSocket>, Errno> {
        match &self.state().role {
            Role::Connecting(socket) | Role::Stream(socket) => Ok(Arc::clone(socket)),
            _ => Err(otherwise),
        }
    }

    /// The datagram socket; one that was not bound is, now, to a port of the stack's choice.
    pub(super) fn datagram(&self, core: &Arc<Core>) -> Result<Arc<DatagramSocket>, Errno> {
        let mut state = self.state();
        if let Role::Datagram(socket) = &state.role {
            return Ok(Arc::clone(socket));
        }
        state.open_datagram(core, self.family.nobody())
    }

    /// How long a receive may block.
    pub(super) fn reading(&self, flags: i32) -> Patience<'static> {
        if flags & MSG_DONTWAIT != 0 { Patience::None } else { self.modes.reading() }
    }

    /// How long a send may block.
    pub(super) fn writing(&self, flags: i32) -> Patience<'static> {
        if flags & MSG_DONTWAIT != 0 { Patience::None } else { self.modes.writing() }
    }

    /// What a socket that the engine does not know yet is ready for: Linux says that a stream is
    /// writable and hung up, and that datagrams can be sent.
    pub(super) fn idle_readiness(&self) -> Readiness {
        match self.kind {
            Kind::Stream => Readiness::WRITABLE | Readiness::CLOSED,
            Kind::Datagram | Kind::Ping => Readiness::WRITABLE,
        }
    }
}

impl State {
    /// Gives a datagram socket its address.
    pub(super) fn open_datagram(
        &mut self,
        core: &Arc<Core>,
        local: SocketAddr,
    ) -> Result<Arc<DatagramSocket>, Errno> {
        let socket = Arc::new(DatagramSocket::open(core, local, self.udp)?);
        for (interface, group, filter) in self.groups.iter() {
            socket.with(|it| it.begin_in_group(*interface, *group, filter.clone()))??;
        }
        self.groups.clear();
        self.role = Role::Datagram(Arc::clone(&socket));
        Ok(socket)
    }
}
