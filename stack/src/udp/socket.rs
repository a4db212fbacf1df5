//! One UDP socket: its names, its two queues, its pending error.

use super::datagrams::Datagrams;
use super::error::{NetworkError, UdpError, UdpRecvError, UdpSendError};
use super::max_payload;
use super::names::Name;
use crate::net::multicast::filter::Memberships;
use crate::net::reach::Reach;
use crate::net::sharing::Sharing;
use crate::store::arena::Key;
use crate::store::queue::{Link, Linked};
use crate::wire::address::{Address, Endpoint, FlowKey};
use crate::wire::interface::InterfaceId;
use core::net::{IpAddr, SocketAddr};
use std::collections::VecDeque;

/// What a socket does about paths that carry less than its datagrams (`IP_MTU_DISCOVER`), with
/// Linux's numbers.
///
/// ```
/// use stack::MtuDiscovery;
/// assert_eq!((MtuDiscovery::Do as i32, MtuDiscovery::default()), (2, MtuDiscovery::Want));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MtuDiscovery {
    /// Routers may cut datagrams.
    Dont = 0,
    /// Routers may not, and say what would fit; what is too long for the path is cut here.
    #[default]
    Want = 1,
    /// Nobody cuts: what is too long for the path is refused (EMSGSIZE).
    Do = 2,
    /// As `Do`, but what is known of the path is not looked at: for those who ask it themselves
    /// (RFC 8899).
    Probe = 3,
}

impl MtuDiscovery {
    /// Every way, by Linux's number.
    pub const ALL: [MtuDiscovery; 4] =
        [MtuDiscovery::Dont, MtuDiscovery::Want, MtuDiscovery::Do, MtuDiscovery::Probe];

    /// Datagrams are not to be cut, by anybody.
    pub(crate) const fn forbids_cuts(self) -> bool {
        matches!(self, MtuDiscovery::Do | MtuDiscovery::Probe)
    }
}

/// Options of a UDP socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpOptions {
    /// Time to live of its packets, 1 to 255. Default 64.
    pub ttl: u8,
    /// Time to live of its packets to groups; with 0 they do not leave this host. Default 1, as
    /// Linux.
    pub multicast_ttl: u8,
    /// Its packets to groups that this host belongs to are received here, too. Default true, as
    /// Linux.
    pub multicast_loop: bool,
    /// Type of service of its packets (DSCP and ECN). Default 0.
    pub tos: u8,
    /// May send to broadcast addresses. Default false, as Linux's SO_BROADCAST.
    pub broadcast: bool,
    /// Bytes that may wait to be received, each datagram charged its length and 64; beyond, new
    /// ones are dropped and counted. A datagram is always taken when none waits. Default 208 KiB,
    /// as Linux.
    pub receive_buffer: usize,
    /// Bytes that may wait to be sent, charged alike; beyond, sending would block. A datagram is
    /// always taken when none waits. Default 208 KiB, as Linux.
    pub send_buffer: usize,
    /// What the network says of its datagrams is kept for it, connected or not (`IP_RECVERR`).
    /// Default false.
    pub network_errors: bool,
    /// Others may have its address and port that say so, too (`SO_REUSEADDR`): who came last
    /// receives. Default false.
    pub reuse_address: bool,
    /// Others may have its address and port that say so, too (`SO_REUSEPORT`): the datagrams of one
    /// sender go to one of them. Default false.
    pub reuse_port: bool,
    /// What is done where a path carries less than a datagram. Default `Want`, as in Linux.
    pub mtu_discovery: MtuDiscovery,
    /// What is sent in one call is datagrams of so many bytes, the last of which may be shorter
    /// (`UDP_SEGMENT`); 0: one datagram. Default 0.
    pub segment: u16,
    /// Datagrams of one length that came one behind the other from one sender may be received in
    /// one call (`UDP_GRO`). Default false.
    pub join: bool,
    /// Bound to `::`, it speaks IPv6 only (`IPV6_V6ONLY`). Default false, as in Linux. It counts
    /// when the socket is bound, and cannot be changed.
    pub only_v6: bool,
    /// It hears what comes in by this interface, and sends by it, only (`SO_BINDTODEVICE`); others
    /// may have its address and port on other interfaces, or on none in particular. Default None.
    /// It counts when the socket is bound, and cannot be changed.
    pub interface: Option<InterfaceId>,
    /// Where nothing more exact is said, datagrams to one host leave by this interface only
    /// (`IP_UNICAST_IF`). Default None.
    pub unicast_interface: Option<InterfaceId>,
    /// The same of datagrams to groups (`IP_MULTICAST_IF`). Default None.
    pub multicast_interface: Option<InterfaceId>,
}

impl Default for UdpOptions {
    fn default() -> UdpOptions {
        UdpOptions {
            ttl: 64,
            multicast_ttl: 1,
            multicast_loop: true,
            tos: 0,
            broadcast: false,
            receive_buffer: 208 << 10,
            send_buffer: 208 << 10,
            network_errors: false,
            reuse_address: false,
            reuse_port: false,
            mtu_discovery: MtuDiscovery::Want,
            segment: 0,
            join: false,
            only_v6: false,
            interface: None,
            unicast_interface: None,
            multicast_interface: None,
        }
    }
}

impl UdpOptions {
    /// The addresses that a socket named `address` has.
    pub(super) fn reach(&self, address: Address) -> Reach {
        let all = Reach::of(address);
        if self.only_v6 { all.without_v4() } else { all }
    }

    /// The one interface that what goes to this address may leave by, where this is `said` of it.
    pub(crate) fn interface_for(
        &self,
        to: Address,
        said: Option<InterfaceId>,
    ) -> Option<InterfaceId> {
        let default = match to.is_multicast() {
            true => self.multicast_interface,
            false => self.unicast_interface,
        };
        self.interface.or(said).or(default)
    }

    pub(super) fn sharing(&self) -> Sharing {
        Sharing { address: self.reuse_address, port: self.reuse_port }
    }
}

/// A datagram that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceivedDatagram {
    /// Bytes of its text that were copied to the caller.
    pub len: usize,
    /// Who sent it.
    pub from: SocketAddr,
    /// The address that it was sent to: one of this host's, a broadcast address or a group
    /// (`IP_PKTINFO`).
    pub to: IpAddr,
    /// Hops that it could still have made (`IP_RECVTTL`).
    pub ttl: u8,
    /// Its type of service or traffic class, DSCP and ECN (`IP_RECVTOS`).
    pub tos: u8,
    /// These are several datagrams, of so many bytes each but for the last, which may be shorter
    /// ([`UdpOptions::join`]).
    pub segment: Option<u16>,
    /// Where it came in; what this host sent to itself came in where its address is.
    pub interface: InterfaceId,
}

/// How a datagram is sent: what is not said is as the socket has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendDatagram {
    /// Where to; None: to the connected peer.
    pub to: Option<SocketAddr>,
    /// The address of this host that it comes from (`IP_PKTINFO`).
    pub from: Option<IpAddr>,
    /// Time to live, 1 to 255 (`IP_TTL`).
    pub ttl: Option<u8>,
    /// Type of service or traffic class (`IP_TOS`).
    pub tos: Option<u8>,
    /// As [`UdpOptions::segment`].
    pub segment: Option<u16>,
    /// It leaves by this interface only (`IP_PKTINFO`).
    pub interface: Option<InterfaceId>,
}

impl From<Option<SocketAddr>> for SendDatagram {
    fn from(to: Option<SocketAddr>) -> SendDatagram {
        SendDatagram { to, ..SendDatagram::default() }
    }
}

/// How a datagram came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrived {
    pub(crate) from: Endpoint,
    pub(crate) to: Address,
    pub(crate) ttl: u8,
    pub(crate) tos: u8,
    pub(crate) interface: InterfaceId,
}

impl Arrived {
    pub(super) fn received(&self, len: usize) -> ReceivedDatagram {
        let &Arrived { to, ttl, tos, interface, .. } = self;
        let mut from = self.from.to_socket_addr();
        if let SocketAddr::V6(from) = &mut from
            && self.from.address.is_link_local()
        {
            from.set_scope_id(interface.index());
        }
        ReceivedDatagram { len, from, to: to.to_ip(), ttl, tos, segment: None, interface }
    }
}

/// A datagram to be sent, without its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Datagram {
    pub(crate) id: Key<UdpSocket>,
    pub(crate) local: Endpoint,
    pub(crate) remote: Endpoint,
    pub(crate) ttl: u8,
    pub(crate) tos: u8,
    pub(crate) mtu_discovery: MtuDiscovery,
    /// To a group, it comes back to the members here.
    pub(crate) loops: bool,
    /// The one interface that it may leave by.
    pub(crate) only: Option<InterfaceId>,
}

/// Datagrams that one call sends or receives at most ([`UdpOptions::segment`]), as in Linux.
pub(super) const SEGMENTS_MAX: usize = 128;

/// Sockets with something to send, in turn.
pub(super) const TRANSMIT: usize = 0;
/// Sockets whose readiness may have changed.
pub(super) const EVENT: usize = 1;
/// Sockets whose datagram did not fit beside what all others hold.
pub(super) const REFUSED: usize = 2;

/// One UDP socket. The table makes, finds and removes it.
#[derive(Clone)]
pub(crate) struct UdpSocket {
    /// What it was bound to.
    pub(super) bound: Endpoint,
    /// What it sends from: `bound`, or while connected with the address that leads to the peer.
    pub(super) local: Endpoint,
    pub(super) remote: Option<Endpoint>,
    /// While connected to an address of a link, the interface there.
    pub(super) scope: Option<InterfaceId>,
    /// Where it stands among those of its name, unless it is connected.
    pub(super) place: usize,
    pub(super) options: UdpOptions,
    pub(super) error: Option<UdpError>,
    /// At most `UdpLimits::groups`.
    pub(super) memberships: Memberships,
    /// At most `UdpLimits::errors`.
    pub(super) errors: VecDeque<NetworkError>,
    pub(super) received: Datagrams<Arrived>,
    pub(super) unsent: Datagrams<Datagram>,
    /// Datagrams dropped because `received` was full.
    pub(super) dropped: u64,
    /// Closed by its owner: it lives until what it was given to send is sent.
    pub(super) closed: bool,
    /// A datagram was refused for want of room, and there has been none since.
    pub(super) refused: bool,
    /// It is bound to an address of many hosts: a group's, or a broadcast address.
    pub(super) is_for_many: bool,
    links: [Link; 3],
}

impl Linked<TRANSMIT> for UdpSocket {
    fn link(&mut self) -> &mut Link {
        &mut self.links[TRANSMIT]
    }
}

impl Linked<EVENT> for UdpSocket {
    fn link(&mut self) -> &mut Link {
        &mut self.links[EVENT]
    }
}

impl Linked<REFUSED> for UdpSocket {
    fn link(&mut self) -> &mut Link {
        &mut self.links[REFUSED]
    }
}

impl UdpSocket {
    pub(super) fn new(bound: Endpoint, is_for_many: bool, options: UdpOptions) -> UdpSocket {
        UdpSocket {
            bound,
            local: bound,
            remote: None,
            scope: None,
            place: 0,
            options,
            error: None,
            memberships: Memberships::default(),
            errors: VecDeque::new(),
            received: Datagrams::default(),
            unsent: Datagrams::default(),
            dropped: 0,
            closed: false,
            refused: false,
            is_for_many,
            links: Default::default(),
        }
    }

    /// The addresses it has.
    pub(crate) fn reach(&self) -> Reach {
        self.options.reach(self.bound.address)
    }

    pub(super) fn name(&self) -> Name {
        Name { reach: self.reach(), port: self.bound.port, only: self.options.interface }
    }

    /// What it is found by while it is connected. What is for many hosts is of no flow: who is
    /// bound to that goes on to hear it, from its peer.
    pub(super) fn flow(&self) -> Option<FlowKey> {
        let remote = self.remote.filter(|_| !self.is_for_many)?;
        Some(FlowKey { local: self.local, remote })
    }

    /// Our address that it sends from; None: the one that leads to whom it sends to.
    pub(crate) fn source(&self) -> Option<Address> {
        let address = self.local.address;
        (!self.is_for_many && !address.is_unspecified()).then_some(address)
    }

    /// It hears what `from` has sent to many hosts.
    pub(super) fn admits(&self, here: InterfaceId, group: Address, from: Endpoint) -> bool {
        self.remote.is_none_or(|remote| remote == from)
            && self.memberships.admit(here, group, from.address)
    }

    /// The one interface of that flow.
    pub(super) fn only(&self) -> Option<InterfaceId> {
        self.options.interface.or(self.scope)
    }

    pub(crate) fn local(&self) -> Endpoint {
        self.local
    }

    pub(crate) fn scope(&self) -> Option<InterfaceId> {
        self.scope
    }

    pub(crate) fn memberships(&self) -> &Memberships {
        &self.memberships
    }

    /// The connected peer.
    pub(crate) fn remote(&self) -> Option<Endpoint> {
        self.remote
    }

    pub(crate) fn options(&self) -> UdpOptions {
        self.options
    }

    /// A datagram or an error waits.
    pub(crate) fn is_readable(&self) -> bool {
        !self.received.is_empty() || self.error.is_some()
    }

    /// At least half of the send buffer is free, and nothing has been refused since it is.
    pub(crate) fn is_writable(&self) -> bool {
        !self.refused && self.has_room()
    }

    /// At least half of the send buffer is free.
    pub(super) fn has_room(&self) -> bool {
        self.unsent.charge() <= self.options.send_buffer / 2
    }

    pub(crate) fn has_error(&self) -> bool {
        self.error.is_some() || !self.errors.is_empty()
    }

    /// The length of the next datagram to be received.
    pub(crate) fn next_len(&self) -> Option<usize> {
        self.received.front().map(|(_, len)| len)
    }

    /// Datagrams dropped so far because the receive buffer was full.
    #[cfg(test)]
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The next datagram, as much as fits, left in its place: always one alone.
    pub(crate) fn peek(&mut self, out: &mut [u8]) -> Result<ReceivedDatagram, UdpRecvError> {
        if let Some(error) = self.error.take() {
            return Err(UdpRecvError::Failed(error));
        }
        let (arrived, len) = self.received.peek(out).ok_or(UdpRecvError::WouldBlock)?;
        Ok(arrived.received(len))
    }

    pub(super) fn recv(&mut self, out: &mut [u8]) -> Result<ReceivedDatagram, UdpRecvError> {
        if let Some(error) = self.error.take() {
            return Err(UdpRecvError::Failed(error));
        }
        let size = self.next_len().unwrap_or(0);
        let (arrived, len) = self.received.pop(out).ok_or(UdpRecvError::WouldBlock)?;
        let mut datagram = arrived.received(len);
        if self.options.join && len == size {
            datagram.len = self.join_received(&arrived, size, out);
            datagram.segment = (datagram.len > size).then_some(size as u16);
        }
        Ok(datagram)
    }

    /// Takes what came as the first did, which is the `size` bytes at the start of `out`, as far as
    /// it fits; how many bytes there are then.
    fn join_received(&mut self, first: &Arrived, size: usize, out: &mut [u8]) -> usize {
        let mut filled = size;
        while size > 0 && filled.is_multiple_of(size) && filled < size * SEGMENTS_MAX {
            let Some((next, len)) = self.received.front() else { break };
            let rest = out.get_mut(filled..).unwrap_or(&mut []);
            if next != first || !(1..=size.min(rest.len())).contains(&len) {
                break;
            }
            filled += self.received.pop(rest).map_or(0, |(_, len)| len);
        }
        filled
    }

    /// What the network says of a datagram; false if there are `most` already.
    pub(super) fn hear(&mut self, said: NetworkError, most: usize) -> bool {
        if said.kind.is_from_network() {
            self.error = Some(UdpError::from(said.kind));
        }
        let room = self.errors.len() < most;
        if room {
            self.errors.push_back(said);
        }
        room
    }

    /// The oldest that it has heard. As in Linux, the pending error is then that of the next.
    pub(super) fn take_network_error(&mut self) -> Option<NetworkError> {
        let said = self.errors.pop_front()?;
        if said.kind.is_from_network() {
            let next = self.errors.front().map(|next| next.kind);
            self.error = next.filter(|kind| kind.is_from_network()).map(UdpError::from);
        }
        Some(said)
    }

    /// The checks before a datagram is queued, in Linux's order. Returns where it goes.
    pub(super) fn may_send(
        &mut self,
        len: usize,
        to: Option<Endpoint>,
    ) -> Result<Endpoint, UdpSendError> {
        let to = to.or(self.remote).ok_or(UdpSendError::NotConnected)?;
        if len > max_payload(to.address) {
            return Err(UdpSendError::MessageTooLong);
        }
        if to.port == 0 || to.address.is_unspecified() {
            return Err(UdpSendError::InvalidRemote);
        }
        if !self.reach().speaks_to(to.address) {
            return Err(match to.address.is_v4() {
                true => UdpSendError::NetworkUnreachable,
                false => UdpSendError::UnsupportedFamily,
            });
        }
        match self.error.take() {
            Some(error) => Err(UdpSendError::Failed(error)),
            None => Ok(to),
        }
    }
}
