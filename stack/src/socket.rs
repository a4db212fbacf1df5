//! Sockets as the engine's user sees them: ids that go stale instead of wrong, and handles that
//! borrow the stack for one call.

use crate::counters::Counters;
use crate::link::interface::Interfaces;
use crate::net::multicast::GroupError;
use crate::net::multicast::filter::{Filter, GroupChange, SourceChange};
use crate::net::pmtu::{Links, PathMtus};
use crate::net::route::{By, HopKind, RouteTable};
use crate::readiness::Readiness;
use crate::store::arena::Key;
use crate::store::ring::{copy_in, copy_out};
use crate::tcp::error::ConnectError;
use crate::tcp::error::{NotConnected, RecvError, SendError, TcpError};
use crate::tcp::info::TcpInfo;
use crate::tcp::layer::TcpLayer;
use crate::tcp::listener::Listener;
use crate::tcp::memory::Memory;
use crate::tcp::options::TcpOptions;
use crate::tcp::send::Send;
use crate::tcp::state::State;
use crate::tcp::syncache::HalfOpen;
use crate::tcp::tcb::{More, Tcb};
use crate::time::Instant;
use crate::udp::echo::{EchoReply, EchoReplyKind, EchoSocket, EchoTable};
use crate::udp::error::{NetworkError, UdpError, UdpRecvError, UdpSendError};
use crate::udp::socket::{MtuDiscovery, ReceivedDatagram, SendDatagram, UdpOptions, UdpSocket};
use crate::udp::table::{UdpTable, Way};
use crate::wire::address::{Address, Endpoint};
use crate::wire::interface::InterfaceId;
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};

macro_rules! ids {
    ($($(#[doc = $doc:literal])+ $name:ident => $object:ty;)+) => {$(
        $(#[doc = $doc])+
        ///
        /// The id carries a generation: once its socket is gone it names nothing, never another.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub(crate) Key<$object>);

        impl $name {
            /// A small number that no other living socket of this kind has: an index for tables.
            pub fn index(self) -> u32 {
                self.0.index()
            }
        }
    )+};
}

ids! {
    /// A TCP connection.
    TcpId => Tcb;
    /// A TCP listener.
    ListenerId => Listener;
    /// A SYN that waits for a decision.
    IncomingId => HalfOpen;
    /// A UDP socket.
    UdpId => UdpSocket;
    /// An ICMP echo socket.
    EchoId => EchoSocket;
}

/// Any socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SocketId {
    /// A TCP connection.
    Tcp(TcpId),
    /// A TCP listener.
    Listener(ListenerId),
    /// A UDP socket.
    Udp(UdpId),
    /// An ICMP echo socket.
    Echo(EchoId),
}

/// A socket's readiness may have changed. New data is told even where there was data before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Whose.
    pub socket: SocketId,
    /// What it is ready for now.
    pub readiness: Readiness,
}

/// A listener at a glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenerStatus {
    /// The address and port it listens on.
    pub local: SocketAddr,
    /// How many finished connections may wait.
    pub backlog: usize,
    /// How many wait; of a forwarder, SYNs that it has not told of.
    pub pending: usize,
    /// How many handshakes are under way; of a forwarder, how many SYNs wait for a decision.
    pub half_open: usize,
    /// `READABLE` when a connection waits, or a SYN that a forwarder has not told of.
    pub readiness: Readiness,
}

/// A SYN that waits for a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Its name: stale once it is decided on, its sender gives up, or time is over.
    pub id: IncomingId,
    /// Who wants to connect.
    pub from: SocketAddr,
    /// To whom: any address and port at all.
    pub to: SocketAddr,
}

/// A TCP connection, borrowed for a call.
pub struct Tcp<'a> {
    pub(crate) layer: &'a mut TcpLayer,
    pub(crate) counters: &'a mut Counters,
    pub(crate) key: Key<Tcb>,
}

impl Tcp<'_> {
    fn tcb(&self) -> Option<&Tcb> {
        self.layer.get(self.key)
    }

    /// The connection's state.
    pub fn state(&self) -> State {
        self.tcb().map_or(State::Closed, |tcb| tcb.state)
    }

    /// This host's end.
    pub fn local(&self) -> SocketAddr {
        self.tcb().map_or_else(|| TcpInfo::none().local, |tcb| tcb.flow.local.to_socket_addr())
    }

    /// The peer's end.
    pub fn remote(&self) -> SocketAddr {
        self.tcb().map_or_else(|| TcpInfo::none().remote, |tcb| tcb.flow.remote.to_socket_addr())
    }

    /// What the socket is ready for.
    pub fn readiness(&self) -> Readiness {
        self.tcb().map_or(Readiness::CLOSED, Tcb::readiness)
    }

    /// The connection's numbers.
    pub fn info(&self) -> TcpInfo {
        // The handle is only given out for a living connection, and borrows the stack since.
        self.tcb().map_or_else(TcpInfo::none, TcpInfo::of)
    }

    /// The options in force.
    pub fn options(&self) -> TcpOptions {
        self.tcb().map_or_else(TcpOptions::default, |tcb| *tcb.options)
    }

    /// Changes options; values outside their ranges are moved inside.
    pub fn set_options(&mut self, now: Instant, options: TcpOptions) {
        let (layer, key) = (&mut *self.layer, self.key);
        let _: Option<()> =
            layer.with(now, self.counters, key, |tcb, _| tcb.set_options(now, options));
    }

    /// Queues `bytes` for sending; returns how many were taken.
    ///
    /// # Errors
    /// `WouldBlock` when the buffer is full or the connection not open yet; `Closed` after
    /// [`Tcp::shutdown_write`]; `Failed` once, with the reason, when the connection has failed.
    pub fn send(&mut self, now: Instant, bytes: &[u8]) -> Result<usize, SendError> {
        self.send_as(now, More::Unknown, bytes)
    }

    /// Sends without a copy: lends `write` the room for up to `most` bytes, in the two pieces in
    /// which it lies, and takes as many as `write` returns to have put there, from the front.
    ///
    /// # Errors
    /// As [`Tcp::send`]; then `write` has not been called.
    pub fn send_with(
        &mut self,
        now: Instant,
        most: usize,
        write: impl FnOnce([&mut [u8]; 2]) -> usize,
    ) -> Result<usize, SendError> {
        self.queue(now, More::Unknown, |snd, quota, memory| {
            snd.push_with(most, quota, memory, write)
        })
    }

    /// As [`Tcp::send`], but more follows at once (`MSG_MORE`): what does not fill a segment waits
    /// for it, 200 ms at most.
    ///
    /// # Errors
    /// As [`Tcp::send`].
    pub fn send_more(&mut self, now: Instant, bytes: &[u8]) -> Result<usize, SendError> {
        self.send_as(now, More::Follows, bytes)
    }

    /// Sends without a copy: takes bytes off the front of `text`, as many as there is room for, and
    /// holds on to their memory until the peer has acknowledged them. Less than 1 KiB is
    /// copied all the same. Returns how many bytes were taken.
    ///
    /// # Errors
    /// As [`Tcp::send`].
    pub fn send_shared(&mut self, now: Instant, text: &mut Bytes) -> Result<usize, SendError> {
        self.share_as(now, More::Unknown, text)
    }

    /// As [`Tcp::send_shared`], but more follows at once: see [`Tcp::send_more`].
    ///
    /// # Errors
    /// As [`Tcp::send`].
    pub fn send_shared_more(&mut self, now: Instant, text: &mut Bytes) -> Result<usize, SendError> {
        self.share_as(now, More::Follows, text)
    }

    pub(crate) fn send_as(
        &mut self,
        now: Instant,
        more: More,
        bytes: &[u8],
    ) -> Result<usize, SendError> {
        self.queue(now, more, |snd, quota, memory| {
            snd.push_with(bytes.len(), quota, memory, |room| copy_in(bytes, room))
        })
    }

    pub(crate) fn share_as(
        &mut self,
        now: Instant,
        more: More,
        text: &mut Bytes,
    ) -> Result<usize, SendError> {
        self.queue(now, more, |snd, quota, memory| snd.share(text, quota, memory))
    }

    fn queue(
        &mut self,
        now: Instant,
        more: More,
        queue: impl FnOnce(&mut Send, usize, &mut Memory) -> Option<usize>,
    ) -> Result<usize, SendError> {
        let (layer, key) = (&mut *self.layer, self.key);
        let sent = layer.with(now, self.counters, key, |tcb, cx| tcb.send(cx, more, queue));
        sent.unwrap_or(Err(SendError::NotConnected))
    }

    /// Takes received bytes into `out`; `Ok(0)` is the end of the stream.
    ///
    /// # Errors
    /// `WouldBlock` when nothing has arrived; `Failed` once, with the reason, after everything
    /// that arrived before the failure has been read.
    pub fn recv(&mut self, now: Instant, out: &mut [u8]) -> Result<usize, RecvError> {
        let wanted = out.len();
        self.layer.recv(now, self.counters, self.key, wanted, |text| copy_out(text, out))
    }

    /// Receives without a copy: lends `read` all that has arrived, in the two pieces in which it
    /// lies, and drops as many bytes as `read` returns to have used, from the front. `Ok(0)` with
    /// nothing lent is the end of the stream.
    ///
    /// # Errors
    /// As [`Tcp::recv`]; then `read` has not been called.
    pub fn recv_with(
        &mut self,
        now: Instant,
        read: impl FnOnce([&[u8]; 2]) -> usize,
    ) -> Result<usize, RecvError> {
        self.layer.recv(now, self.counters, self.key, usize::MAX, read)
    }

    /// As [`Tcp::recv`], but the bytes stay.
    ///
    /// # Errors
    /// As [`Tcp::recv`].
    pub fn peek(&mut self, out: &mut [u8]) -> Result<usize, RecvError> {
        match self.layer.get_mut(self.key) {
            Some(tcb) => tcb.peek(out),
            None => Err(RecvError::NotConnected),
        }
    }

    /// Bytes that can be read (`FIONREAD`).
    pub fn unread(&self) -> usize {
        self.tcb().map_or(0, |tcb| tcb.rcv.unread())
    }

    /// Bytes not yet acknowledged by the peer (`SIOCOUTQ`).
    pub fn unsent(&self) -> usize {
        self.tcb().map_or(0, |tcb| tcb.snd.queued())
    }

    /// Bytes that [`Tcp::send`] would take.
    pub fn send_room(&self) -> usize {
        self.tcb().map_or(0, Tcb::send_room)
    }

    /// Closes this side of the stream: a FIN follows what is queued.
    ///
    /// # Errors
    /// [`NotConnected`] before the handshake and after the end.
    pub fn shutdown_write(&mut self, now: Instant) -> Result<(), NotConnected> {
        let done = self.layer.with(now, self.counters, self.key, |tcb, cx| tcb.close_write(cx));
        done.unwrap_or(Err(NotConnected))
    }

    /// Waits for text no more: reading what has arrived, the application is then told the end.
    ///
    /// # Errors
    /// [`NotConnected`] before the handshake and after the end.
    pub fn shutdown_read(&mut self, now: Instant) -> Result<(), NotConnected> {
        let done = self.layer.with(now, self.counters, self.key, |tcb, _| tcb.close_read());
        done.unwrap_or(Err(NotConnected))
    }

    /// Takes the pending error (`SO_ERROR`).
    pub fn take_error(&mut self) -> Option<TcpError> {
        let tcb = self.layer.get_mut(self.key)?;
        tcb.error.take()
    }

    /// Gives the connection up: it finishes by itself. With unread data, or with linger zero, it
    /// is reset. The id is stale from here on.
    pub fn close(self, now: Instant) {
        let _: Option<()> =
            self.layer.with(now, self.counters, self.key, |tcb, cx| tcb.release(cx));
    }

    /// Resets the connection and gives it up. The id is stale from here on.
    pub fn abort(self, now: Instant) {
        let _: Option<()> = self.layer.with(now, self.counters, self.key, |tcb, cx| {
            tcb.orphan = true;
            tcb.abort(cx);
        });
    }
}

/// A UDP socket, borrowed for a call.
pub struct Udp<'a> {
    pub(crate) table: &'a mut UdpTable,
    pub(crate) routes: &'a RouteTable,
    pub(crate) interfaces: &'a mut Interfaces,
    pub(crate) links: &'a Links,
    pub(crate) paths: &'a PathMtus,
    pub(crate) key: Key<UdpSocket>,
}

impl Udp<'_> {
    fn socket(&self) -> Option<&UdpSocket> {
        self.table.socket(self.key)
    }

    /// The address and port it has.
    pub fn local(&self) -> SocketAddr {
        let nobody = Endpoint::new(Address::UNSPECIFIED_V4, 0);
        self.socket().map_or(nobody, UdpSocket::local).to_socket_addr()
    }

    /// The connected peer.
    pub fn remote(&self) -> Option<SocketAddr> {
        let socket = self.socket()?;
        let mut remote = socket.remote()?.to_socket_addr();
        if let (SocketAddr::V6(remote), Some(scope)) = (&mut remote, socket.scope()) {
            remote.set_scope_id(scope.index());
        }
        Some(remote)
    }

    /// What the socket is ready for.
    pub fn readiness(&self) -> Readiness {
        self.socket().map_or(Readiness::CLOSED, udp_readiness)
    }

    /// Receives only from `remote` from now on, and sends to it by default. Port 0 is nobody's: who
    /// connects to it wants to know which address leads there.
    ///
    /// # Errors
    /// `InvalidRemote`, `NetworkUnreachable`, `UnsupportedFamily`; `PermissionDenied` for a
    /// broadcast address; `AddressInUse` where another socket that shares the name has this peer.
    pub fn connect(&mut self, remote: SocketAddr) -> Result<(), ConnectError> {
        let scope = scope(remote);
        let remote = Endpoint::from(remote);
        if remote.address.is_unspecified() {
            return Err(ConnectError::InvalidRemote);
        }
        if !self.socket().is_some_and(|socket| socket.reach().speaks_to(remote.address)) {
            return Err(match remote.address.is_v4() {
                true => ConnectError::NetworkUnreachable,
                false => ConnectError::UnsupportedFamily,
            });
        }
        let only = self.options().interface_for(remote.address, scope);
        let hop = self.routes.way_by(By::only(only), remote.address);
        let hop = hop.ok_or(ConnectError::NetworkUnreachable)?;
        if hop.kind == HopKind::Broadcast && !self.options().broadcast {
            return Err(ConnectError::PermissionDenied);
        }
        let connected = self.table.connect(self.key, hop.source, remote, scope);
        if connected { Ok(()) } else { Err(ConnectError::AddressInUse) }
    }

    /// Receives from anybody again.
    pub fn disconnect(&mut self) {
        self.table.disconnect(self.key);
    }

    /// Queues one datagram for `to`, or for the connected peer.
    ///
    /// # Errors
    /// See [`UdpSendError`].
    pub fn send_to(
        &mut self,
        now: Instant,
        bytes: &[u8],
        to: Option<SocketAddr>,
    ) -> Result<(), UdpSendError> {
        self.send_datagram(now, bytes, to.into())
    }

    /// As [`Udp::send_to`], with what is said of this datagram alone.
    ///
    /// # Errors
    /// See [`UdpSendError`].
    pub fn send_datagram(
        &mut self,
        now: Instant,
        bytes: &[u8],
        how: SendDatagram,
    ) -> Result<(), UdpSendError> {
        let (routes, paths, links) = (self.routes, self.paths, self.links);
        let from = how.from.map(Address::from);
        if from.is_some_and(|from| !from.is_unspecified() && !routes.is_local(from)) {
            return Err(UdpSendError::InvalidSource);
        }
        let source = self.socket().and_then(UdpSocket::source);
        if how.from.is_none() && source.is_some_and(|source| !routes.is_local(source)) {
            return Err(UdpSendError::Failed(UdpError::AddressLost));
        }
        let scope = match how.to {
            Some(to) => scope(to),
            None => self.socket().and_then(UdpSocket::scope),
        };
        let (options, said) = (self.options(), how.interface.or(scope));
        let asks = options.mtu_discovery == MtuDiscovery::Probe;
        self.table.send(self.key, bytes, how, |to| {
            let only = options.interface_for(to, said);
            let hop = routes.way_by(By::only(only), to);
            let hop = hop.ok_or(UdpSendError::NetworkUnreachable)?;
            let link = links.mtu(hop.interface).to(to);
            let mtu = match hop.kind {
                HopKind::Loopback => usize::MAX,
                _ if asks => link,
                _ => paths.mtu(now, to, link),
            };
            let broadcast = hop.kind == HopKind::Broadcast;
            Ok(Way { source: hop.source, broadcast, mtu, only })
        })
    }

    /// The longest packet that the path to the connected peer carries, as far as is known
    /// (`IP_MTU`).
    pub fn path_mtu(&self, now: Instant) -> Option<usize> {
        let socket = self.socket()?;
        let peer = socket.remote()?;
        let only = self.options().interface_for(peer.address, socket.scope());
        let hop = self.routes.way_by(By::only(only), peer.address)?;
        let link = self.links.mtu(hop.interface).to(peer.address);
        Some(self.paths.mtu(now, peer.address, link))
    }

    /// Takes the next datagram into `out`: its length, cut to `out`, and its sender. The rest of
    /// a longer one is lost.
    ///
    /// # Errors
    /// `WouldBlock` when there is none; `Failed` once, for an error that the network reported.
    pub fn recv_from(&mut self, out: &mut [u8]) -> Result<(usize, SocketAddr), UdpRecvError> {
        self.recv_datagram(out).map(|it| (it.len, it.from))
    }

    /// As [`Udp::recv_from`], and says how the datagram came.
    ///
    /// # Errors
    /// As [`Udp::recv_from`].
    pub fn recv_datagram(&mut self, out: &mut [u8]) -> Result<ReceivedDatagram, UdpRecvError> {
        self.table.recv(self.key, out)
    }

    /// As [`Udp::recv_from`], but the datagram stays.
    ///
    /// # Errors
    /// As [`Udp::recv_from`].
    pub fn peek_from(&mut self, out: &mut [u8]) -> Result<(usize, SocketAddr), UdpRecvError> {
        self.peek_datagram(out).map(|it| (it.len, it.from))
    }

    /// As [`Udp::recv_datagram`], but the datagram stays.
    ///
    /// # Errors
    /// As [`Udp::recv_from`].
    pub fn peek_datagram(&mut self, out: &mut [u8]) -> Result<ReceivedDatagram, UdpRecvError> {
        let socket = self.table.socket_mut(self.key).ok_or(UdpRecvError::WouldBlock)?;
        socket.peek(out)
    }

    /// The address of this host to answer a datagram from that came for many hosts: the one that
    /// leads to who sent it, as in Linux (`fib_compute_spec_dst`), or that the interface has.
    #[cfg(feature = "host")]
    pub(crate) fn answering_from(&self, came: &ReceivedDatagram) -> Option<IpAddr> {
        let to = Address::from(came.to);
        if !to.is_v4() || !(to.is_multicast() || self.routes.is_broadcast(to)) {
            return None;
        }
        let by = By::Rather(came.interface);
        let back = self.routes.way_by(by, came.from.ip().into());
        let everybody = Address::v4([255; 4]);
        let any = || self.routes.lookup(By::Only(came.interface), everybody);
        back.or_else(any).map(|hop| hop.source.to_ip())
    }

    /// The length of the next datagram.
    pub fn next_len(&self) -> Option<usize> {
        self.socket()?.next_len()
    }

    /// The options in force.
    pub fn options(&self) -> UdpOptions {
        self.socket().map_or_else(UdpOptions::default, UdpSocket::options)
    }

    /// Changes options; values outside their ranges are moved inside.
    pub fn set_options(&mut self, options: UdpOptions) {
        self.table.set_options(self.key, options);
    }

    /// Joins a group: what is sent to it is for this host from now on, and so for every socket here
    /// that has the port for all addresses or for the group's, as in Linux.
    ///
    /// # Errors
    /// See [`GroupError`].
    pub fn join_group(&mut self, group: IpAddr) -> Result<(), GroupError> {
        self.join_group_on(None, group)
    }

    /// As [`Udp::join_group`], on this interface; None: where this host speaks to the group.
    ///
    /// # Errors
    /// See [`GroupError`].
    pub fn join_group_on(
        &mut self,
        interface: Option<InterfaceId>,
        group: IpAddr,
    ) -> Result<(), GroupError> {
        self.change_group(interface, group.into(), GroupChange::Join)
    }

    /// Leaves a group. A socket that is closed leaves all its groups.
    ///
    /// # Errors
    /// `NotJoined`.
    pub fn leave_group(&mut self, group: IpAddr) -> Result<(), GroupError> {
        self.leave_group_on(None, group)
    }

    /// As [`Udp::leave_group`], on this interface; None: where it was joined first.
    ///
    /// # Errors
    /// `NotJoined`.
    pub fn leave_group_on(
        &mut self,
        interface: Option<InterfaceId>,
        group: IpAddr,
    ) -> Result<(), GroupError> {
        self.change_group(interface, group.into(), GroupChange::Leave)
    }

    /// Changes which sources of a group this socket hears, where it joined that first, or where
    /// this host speaks to the group. What comes for the group from others is given only to sockets
    /// that want it, and to those that have joined nothing; what nobody wants, routers are told.
    ///
    /// # Errors
    /// See [`GroupError`].
    pub fn change_source(
        &mut self,
        group: IpAddr,
        source: IpAddr,
        change: SourceChange,
    ) -> Result<(), GroupError> {
        self.change_group(None, group.into(), GroupChange::Source(change, source.into()))
    }

    pub(crate) fn change_group(
        &mut self,
        interface: Option<InterfaceId>,
        group: Address,
        change: GroupChange,
    ) -> Result<(), GroupError> {
        let joined = match change {
            GroupChange::Join => None,
            _ => self.socket().and_then(|socket| socket.memberships().place(group)),
        };
        let is_member = |here: &InterfaceId| {
            self.socket().is_some_and(|it| it.memberships().get(*here, group).is_some())
        };
        let by = interface.or(joined);
        let here = match by.filter(|here| change == GroupChange::Leave || is_member(here)) {
            Some(here) => here,
            None => self.place(by, group)?,
        };
        let after = self.table.group_after(self.key, here, group, change)?;
        self.set_group(here, group, after)
    }

    /// Has this filter of a group from the beginning.
    pub(crate) fn begin_in_group(
        &mut self,
        interface: Option<InterfaceId>,
        group: Address,
        filter: Filter,
    ) -> Result<(), GroupError> {
        let here = self.place(interface, group)?;
        self.set_group(here, group, Some(filter))
    }

    /// Hears from now on what `filter` says of a group that it has joined, there or where this host
    /// speaks to the group (`IP_MSFILTER`).
    #[cfg(feature = "host")]
    pub(crate) fn replace_filter(
        &mut self,
        interface: Option<InterfaceId>,
        group: Address,
        filter: Filter,
    ) -> Result<(), GroupError> {
        let here = self.place(interface, group)?;
        let after = self.table.group_replaced(self.key, here, group, filter)?;
        self.set_group(here, group, after)
    }

    /// What it hears of a group that it has joined.
    #[cfg(feature = "host")]
    pub(crate) fn filter(
        &self,
        interface: Option<InterfaceId>,
        group: Address,
    ) -> Result<Filter, GroupError> {
        let here = self.place(interface, group)?;
        let filter = self.socket().and_then(|it| it.memberships().get(here, group));
        filter.cloned().ok_or(GroupError::NotJoined)
    }

    /// Where the socket joins a group.
    fn place(
        &self,
        interface: Option<InterfaceId>,
        group: Address,
    ) -> Result<InterfaceId, GroupError> {
        if !group.is_multicast() {
            return Err(GroupError::NotAGroup);
        }
        let only = interface.or(self.options().interface);
        let hop = self.routes.lookup(By::only(only), group).ok_or(GroupError::NoAddress)?;
        let speaks = self.socket().is_some_and(|socket| socket.reach().speaks_to(group));
        if speaks { Ok(hop.interface) } else { Err(GroupError::NotAGroup) }
    }

    /// Has this filter of a group from now on; None: it is no member.
    fn set_group(
        &mut self,
        here: InterfaceId,
        group: Address,
        to: Option<Filter>,
    ) -> Result<(), GroupError> {
        let before = self.table.socket(self.key).and_then(|it| it.memberships().get(here, group));
        self.interfaces.get_mut(here).groups.change(group, before, to.as_ref())?;
        self.table.set_group(self.key, here, group, to);
        Ok(())
    }

    /// Takes the pending error (`SO_ERROR`).
    pub fn take_error(&mut self) -> Option<UdpError> {
        self.table.take_error(self.key)
    }

    /// Takes the oldest of what the network said of this socket's datagrams
    /// ([`UdpOptions::network_errors`]).
    pub fn take_network_error(&mut self) -> Option<NetworkError> {
        self.table.take_network_error(self.key)
    }

    /// Gives the socket up. What is queued is still sent.
    pub fn close(self) {
        for (interface, group, filter) in
            self.table.socket(self.key).iter().flat_map(|it| it.memberships().iter())
        {
            // Nobody is refused leaving.
            let _ = self.interfaces.get_mut(*interface).groups.change(*group, Some(filter), None);
        }
        self.table.close(self.key);
    }
}

/// The interface that an address of a link names (RFC 4007 §6); others have no scope.
pub(crate) fn scope(remote: SocketAddr) -> Option<InterfaceId> {
    let SocketAddr::V6(remote) = remote else { return None };
    let of_a_link = Address::v6(remote.ip().to_bits());
    let of_a_link = of_a_link.is_link_local() || of_a_link.is_link_group();
    InterfaceId::from_index(remote.scope_id()).filter(|_| of_a_link)
}

pub(crate) fn udp_readiness(socket: &UdpSocket) -> Readiness {
    Readiness::EMPTY
        .with(Readiness::READABLE, socket.is_readable())
        .with(Readiness::WRITABLE, socket.is_writable())
        .with(Readiness::ERROR, socket.has_error())
}

/// An ICMP echo socket, borrowed for a call.
pub struct Echo<'a> {
    pub(crate) table: &'a mut EchoTable,
    pub(crate) counters: &'a mut Counters,
    pub(crate) routes: &'a RouteTable,
    pub(crate) key: Key<EchoSocket>,
}

impl Echo<'_> {
    /// The identifier in its requests.
    pub fn ident(&self) -> u16 {
        self.table.socket(self.key).map_or(0, EchoSocket::ident)
    }

    /// What the socket is ready for.
    pub fn readiness(&self) -> Readiness {
        echo_readiness(self.table, self.key)
    }

    /// Queues an echo request. `ttl` of None is the stack's default.
    ///
    /// # Errors
    /// `MessageTooLong`, `WouldBlock`, `NetworkUnreachable`, `InvalidRemote`.
    pub fn send(
        &mut self,
        _now: Instant,
        to: IpAddr,
        sequence: u16,
        payload: &[u8],
        ttl: Option<u8>,
    ) -> Result<(), UdpSendError> {
        let to = Address::from(to);
        if to.is_unspecified() {
            return Err(UdpSendError::InvalidRemote);
        }
        let only = self.table.socket(self.key).and_then(EchoSocket::interface);
        self.routes.way_by(By::only(only), to).ok_or(UdpSendError::NetworkUnreachable)?;
        self.table.send(self.key, to, sequence, payload, ttl)
    }

    /// Its requests leave by this interface only (`SO_BINDTODEVICE`); None: as the routes say.
    pub fn bind_interface(&mut self, only: Option<InterfaceId>) {
        self.table.bind_interface(self.key, only);
    }

    /// What the next answer is, and the length of its payload.
    pub fn next_answer(&self) -> Option<(EchoReplyKind, usize)> {
        self.table.socket(self.key)?.next_answer()
    }

    /// Takes the next answer, its payload into `payload`.
    pub fn recv(&mut self, payload: &mut [u8]) -> Option<EchoReply> {
        self.table.recv(self.key, payload)
    }

    /// Keeps what the network said of a request, for [`Echo::take_error`].
    pub(crate) fn keep_error(&mut self, said: NetworkError, sequence: u16) {
        let kept = self.table.keep_error(self.key, said, sequence);
        self.counters.echo_errors_dropped += u64::from(!kept);
    }

    /// Takes the oldest that was kept, with the sequence number of the request.
    pub(crate) fn take_error(&mut self) -> Option<(NetworkError, u16)> {
        self.table.take_error(self.key)
    }

    /// Gives the socket up.
    pub fn close(self) {
        self.table.close(self.key);
    }
}

pub(crate) fn echo_readiness(table: &EchoTable, key: Key<EchoSocket>) -> Readiness {
    let Some(socket) = table.socket(key) else { return Readiness::CLOSED };
    Readiness::EMPTY
        .with(Readiness::READABLE, socket.is_readable())
        .with(Readiness::WRITABLE, table.is_writable(key))
}
