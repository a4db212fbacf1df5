//! Making and finding sockets.

use super::Stack;
use crate::config::FastOpenKeys;
use crate::net::route::{By, HopKind};
use crate::readiness::Readiness;
use crate::socket::{Echo, EchoId, ListenerId, ListenerStatus, Tcp, TcpId, Udp, UdpId, scope};
use crate::tcp::error::{AcceptError, ConnectError, ListenError};
use crate::tcp::info::TcpInfo;
use crate::tcp::listener::{ListenFastOpen, ListenOptions};
use crate::tcp::options::TcpOptions;
use crate::time::Instant;
use crate::udp::error::BindError;
use crate::udp::socket::UdpOptions;
use crate::wire::address::{Address, Endpoint};
use core::net::SocketAddr;

/// What an active open may say beyond the remote endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectOptions {
    /// The local endpoint; None, an unspecified address, or port 0 leave the choice to the stack.
    pub local: Option<SocketAddr>,
    /// Options of the connection.
    pub tcp: TcpOptions,
}

impl Stack {
    /// Listens on `local`; port 0 picks an ephemeral port, `0.0.0.0` means all addresses of IPv4
    /// and `::` all addresses, unless [`TcpOptions::only_v6`] says otherwise.
    ///
    /// # Errors
    /// See [`ListenError`].
    pub fn listen(
        &mut self,
        local: SocketAddr,
        options: ListenOptions,
    ) -> Result<ListenerId, ListenError> {
        let local = Endpoint::from(local);
        if !self.is_own_or_any(local.address) {
            return Err(ListenError::AddressNotAvailable);
        }
        self.tcp.listen(local, options, &mut self.random).map(ListenerId)
    }

    /// Takes the next finished connection of a listener.
    ///
    /// # Errors
    /// `WouldBlock` when none waits, `NotListening` for a stale id.
    pub fn accept(&mut self, id: ListenerId) -> Result<TcpId, AcceptError> {
        self.tcp.accept(id.0).map(TcpId)
    }

    /// A listener at a glance; None for a stale id.
    pub fn listener(&self, id: ListenerId) -> Option<ListenerStatus> {
        let listener = self.tcp.listener(id.0)?;
        let pending = listener.pending();
        Some(ListenerStatus {
            local: listener.local.to_socket_addr(),
            backlog: listener.options.backlog,
            pending,
            half_open: listener.half_open.len(),
            readiness: Readiness::EMPTY.with(Readiness::READABLE, pending > 0),
        })
    }

    /// Changes what a listener does with Fast Open; false for a stale id.
    pub fn set_fast_open(&mut self, id: ListenerId, fast_open: ListenFastOpen) -> bool {
        self.tcp.set_fast_open(id.0, fast_open)
    }

    /// The keys of a listener's Fast Open cookies; of no listener, those of all that have none of
    /// their own. Another host with these keys gives the same cookies for the same addresses.
    pub fn fast_open_keys(&self, now: Instant, id: Option<ListenerId>) -> FastOpenKeys {
        self.tcp.fast_open_keys(now, id.map(|id| id.0))
    }

    /// Closes a listener: handshakes are forgotten, connections nobody accepted are reset. Those
    /// accepted live on (MUST-41).
    pub fn close_listener(&mut self, now: Instant, id: ListenerId) {
        self.tcp.close_listener(now, &mut self.counters, id.0);
    }

    /// Begins a connection; `WRITABLE` or `ERROR` tells how it went.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub fn connect(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        options: ConnectOptions,
    ) -> Result<TcpId, ConnectError> {
        let only = options.tcp.interface.or(scope(remote));
        let remote = Endpoint::from(remote);
        // MUST-46: only a single host can be connected to.
        let group = remote.address.is_multicast() || self.routes.is_broadcast(remote.address);
        if remote.port == 0 || remote.address.is_unspecified() || group {
            return Err(ConnectError::InvalidRemote);
        }
        let hop = self.routes.way_by(By::only(only), remote.address);
        let hop = hop.ok_or(ConnectError::NetworkUnreachable)?;
        if hop.kind == HopKind::Broadcast || hop.kind == HopKind::Multicast {
            return Err(ConnectError::InvalidRemote);
        }
        let mut local = options.local.map_or(Endpoint::new(hop.source, 0), Endpoint::from);
        if local.address.is_unspecified() {
            // MUST-44: the IP layer picks the address, before the first SYN.
            local.address = hop.source;
        }
        if local.address.is_v4() != remote.address.is_v4() {
            return Err(ConnectError::UnsupportedFamily);
        }
        if !self.routes.is_local(local.address) {
            return Err(ConnectError::AddressNotAvailable);
        }
        let ends = (local, remote);
        let from = self.routes.interface_of(local.address);
        let by = only.map_or(By::rather(from), By::Only);
        self.tcp.interface = self.routes.lookup(by, remote.address).unwrap_or(hop).interface;
        let (counters, random) = (&mut self.counters, &mut self.random);
        self.tcp.connect(now, counters, ends, options.tcp, random).map(TcpId)
    }

    /// A connection, for one call; None for a stale id.
    pub fn tcp(&mut self, id: TcpId) -> Option<Tcp<'_>> {
        self.tcp.get(id.0).filter(|tcb| !tcb.orphan && tcb.listener.is_none())?;
        Some(Tcp { layer: &mut self.tcp, counters: &mut self.counters, key: id.0 })
    }

    /// Makes a UDP socket on `local`; port 0 picks an ephemeral port, `0.0.0.0` means all addresses
    /// of IPv4 and `::` all addresses. A socket bound to a group, or to a broadcast address, hears
    /// what is for that, of its peer if it is connected.
    ///
    /// # Errors
    /// See [`BindError`].
    pub fn bind_udp(&mut self, local: SocketAddr) -> Result<UdpId, BindError> {
        self.bind_udp_with(local, UdpOptions::default())
    }

    /// As [`Stack::bind_udp`], with options that the socket begins with.
    ///
    /// # Errors
    /// See [`BindError`].
    pub fn bind_udp_with(
        &mut self,
        local: SocketAddr,
        options: UdpOptions,
    ) -> Result<UdpId, BindError> {
        let local = Endpoint::from(local);
        let is_for_many = local.address.is_multicast() || self.routes.is_broadcast(local.address);
        if !is_for_many && !self.is_own_or_any(local.address) {
            return Err(BindError::AddressNotAvailable);
        }
        self.udp.bind(local, is_for_many, options, &mut self.random).map(UdpId)
    }

    /// A UDP socket, for one call; None for a stale id.
    pub fn udp(&mut self, id: UdpId) -> Option<Udp<'_>> {
        self.udp.socket(id.0)?;
        let (table, interfaces) = (&mut self.udp, &mut self.interfaces);
        let (routes, links, paths) = (&self.routes, &self.tcp.links, &self.tcp.paths);
        Some(Udp { table, routes, interfaces, links, paths, key: id.0 })
    }

    /// Makes an ICMP echo socket; `ident` of None picks one.
    ///
    /// # Errors
    /// See [`BindError`].
    pub fn bind_echo(&mut self, ident: Option<u16>) -> Result<EchoId, BindError> {
        self.echo.bind(ident, &mut self.random).map(EchoId)
    }

    /// An ICMP echo socket, for one call; None for a stale id.
    pub fn echo(&mut self, id: EchoId) -> Option<Echo<'_>> {
        self.echo.socket(id.0)?;
        let (table, counters) = (&mut self.echo, &mut self.counters);
        Some(Echo { table, counters, routes: &self.routes, key: id.0 })
    }

    /// Every TCP object, with the ids of those an application holds: listeners, handshakes,
    /// connections, TIME-WAITs.
    pub fn connections(&self) -> impl Iterator<Item = (Option<TcpId>, TcpInfo)> + '_ {
        self.tcp.list().map(|(key, info)| {
            let held = |key: &_| {
                self.tcp.get(*key).is_some_and(|tcb| !tcb.orphan && tcb.listener.is_none())
            };
            let id = key.filter(held).map(TcpId);
            (id, info)
        })
    }

    /// Resets every connection, those included that their owners have given up: how a host ends
    /// that can wait no longer. Returns how many there were.
    pub fn abort_all(&mut self, now: Instant) -> usize {
        let keys: Vec<_> = self.tcp.list().filter_map(|(key, _)| key).collect();
        for &key in &keys {
            Tcp { layer: &mut self.tcp, counters: &mut self.counters, key }.abort(now);
        }
        keys.len()
    }

    fn is_own_or_any(&self, address: Address) -> bool {
        address.is_unspecified() || self.routes.is_local(address)
    }
}
