//! All UDP sockets: their names, their queues, and whose turn it is to send.

use super::error::{BindError, UdpRecvError, UdpSendError};
use super::names::{Name, Names};
use super::socket::{
    Arrived, Datagram, EVENT, REFUSED, ReceivedDatagram, SEGMENTS_MAX, SendDatagram, TRANSMIT,
    UdpOptions, UdpSocket,
};
use crate::net::multicast::GroupError;
use crate::net::multicast::filter::{Filter, GroupChange};
use crate::net::reach::Reach;
use crate::net::sharing::Sharing;
use crate::random::{Random, Secret};
use crate::store::arena::{Arena, Key};
use crate::store::queue::Queue;
use crate::wire::address::{Address, Endpoint, FlowKey};
use crate::wire::emit::{IPV4_HEADER, IPV6_HEADER, UDP_HEADER};
use crate::wire::interface::InterfaceId;

/// The limits of UDP, each with what happens there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpLimits {
    /// Sockets; `bind` fails beyond. Default 65,536.
    pub sockets: usize,
    /// Bytes in all queues of all sockets. Beyond, received datagrams are dropped and sending
    /// would block. Default 256 MiB.
    pub bytes: usize,
    /// The largest buffer that a socket's options may ask for; more is cut to it. Default 8 MiB.
    pub buffer: usize,
    /// What the network said of a socket's datagrams, until it looks; more is dropped and counted
    /// as `UdpErrorsDropped`. Default 64.
    pub errors: usize,
    /// Groups that one socket may be a member of; one more is refused. Default 20, as Linux.
    pub groups: usize,
    /// Sources that one socket may name for a group, to hear or not to hear them; one more is
    /// refused (`TooManySources`). Default 10, as Linux for IPv4.
    pub sources: usize,
    /// First and last port for sockets that name none (RFC 6056 §3.2). Default 32,768 to 60,999.
    pub ephemeral_ports: (u16, u16),
}

impl Default for UdpLimits {
    fn default() -> UdpLimits {
        UdpLimits {
            sockets: 65_536,
            bytes: 256 << 20,
            buffer: 8 << 20,
            errors: 64,
            groups: 20,
            sources: 10,
            ephemeral_ports: (32_768, 60_999),
        }
    }
}

/// Refused sockets that hear of room where something has been freed: the first ones, for of all of
/// them most would be refused again. The next hear of it with what is freed next.
const TOLD_AT_ONCE: usize = 8;

/// Throws of dice for an ephemeral port before `NoPorts`: with one port in fifty free, one bind
/// in two hundred fails.
const PORT_TRIES: usize = 256;

/// The most datagrams in one frame that the device cuts (as Linux's `UDP_MAX_SEGMENTS` was).
const JOINED_MAX: usize = 64;

/// What the routes say about the destination of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    /// The address of ours to send from.
    pub(crate) source: Address,
    /// The destination is a broadcast address.
    pub(crate) broadcast: bool,
    /// The longest packet that nobody has to cut, as far as is known.
    pub(crate) mtu: usize,
    /// The one interface that it may leave by.
    pub(crate) only: Option<InterfaceId>,
}

/// All UDP sockets.
#[derive(Clone)]
pub(crate) struct UdpTable {
    pub(super) limits: UdpLimits,
    pub(super) sockets: Arena<UdpSocket>,
    names: Names,
    transmit: Queue<TRANSMIT>,
    pub(super) events: Queue<EVENT>,
    refused: Queue<REFUSED>,
    bytes: usize,
    dropped: u64,
}

impl UdpTable {
    pub(crate) fn new(limits: UdpLimits, secret: Secret) -> UdpTable {
        UdpTable {
            limits,
            sockets: Arena::new(limits.sockets),
            names: Names::new(secret),
            transmit: Queue::default(),
            events: Queue::default(),
            refused: Queue::default(),
            bytes: 0,
            dropped: 0,
        }
    }

    /// Bytes charged in all queues, for the ledger.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Received datagrams dropped so far for full buffers (Linux's RcvbufErrors).
    #[cfg(test)]
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Sockets, closed ones that still have something to send included.
    pub(crate) fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Makes a socket named `local`; the unspecified address stands for all, port 0 for a free
    /// one (RFC 6056 §3.3.1). Whether `local` is an address of this host, or of many, is the
    /// caller's matter.
    pub(crate) fn bind(
        &mut self,
        local: Endpoint,
        is_for_many: bool,
        options: UdpOptions,
        random: &mut Random,
    ) -> Result<Key<UdpSocket>, BindError> {
        let (reach, sharing, only) =
            (options.reach(local.address), options.sharing(), options.interface);
        let port = match local.port {
            // What the stack picks is nobody else's.
            0 => self.ephemeral(reach, only, random).ok_or(BindError::NoPorts)?,
            port if !self.names.admits(Name { reach, port, only }, sharing) => {
                return Err(BindError::AddressInUse);
            }
            port => port,
        };
        let socket = UdpSocket::new(Endpoint { port, ..local }, is_for_many, self.held(options));
        let key = self.sockets.insert(socket).map_err(|_| BindError::TooManySockets)?;
        self.names.enter(Name { reach, port, only }, sharing);
        self.open(key);
        Ok(key)
    }

    /// The socket hears everybody.
    fn open(&mut self, key: Key<UdpSocket>) {
        if let Some(socket) = self.sockets.get_mut(key) {
            socket.place = self.names.open(socket.name(), key);
        }
    }

    /// Takes the socket out of where it is found.
    fn hide(&mut self, key: Key<UdpSocket>) {
        let Some(socket) = self.sockets.get(key) else { return };
        if let Some(flow) = socket.flow() {
            self.names.disconnect(flow, socket.only());
            return;
        }
        let place = socket.place;
        let moved = self.names.shut(socket.name(), place);
        if let Some(moved) = moved.and_then(|key| self.sockets.get_mut(key)) {
            moved.place = place;
        }
    }

    fn ephemeral(
        &self,
        reach: Reach,
        only: Option<InterfaceId>,
        random: &mut Random,
    ) -> Option<u16> {
        let (first, last) = self.limits.ephemeral_ports;
        let count = u32::from(last.saturating_sub(first)) + 1;
        let draw = |_| {
            let port = first.saturating_add(random.below(count) as u16);
            let name = Name { reach, port, only };
            self.names.admits(name, Sharing::default()).then_some(port)
        };
        (0..PORT_TRIES).find_map(draw)
    }

    /// The socket for a datagram from `remote` to `local` that has come in `here`.
    pub(crate) fn find(
        &self,
        here: InterfaceId,
        local: Endpoint,
        remote: Endpoint,
    ) -> Option<Key<UdpSocket>> {
        self.names.find(here, FlowKey { local, remote })
    }

    /// Of the sockets that hear what comes in `here` for many hosts at `local`, the `n`th.
    pub(crate) fn nth(
        &self,
        here: InterfaceId,
        local: Endpoint,
        n: usize,
    ) -> Option<Key<UdpSocket>> {
        self.names.nth(here, local, n)
    }

    /// What the socket's filter of `group` would be after a change; None: it would be no member.
    pub(crate) fn group_after(
        &self,
        key: Key<UdpSocket>,
        interface: InterfaceId,
        group: Address,
        change: GroupChange,
    ) -> Result<Option<Filter>, GroupError> {
        let UdpLimits { groups, sources, .. } = self.limits;
        let Some(socket) = self.socket(key) else { return Err(GroupError::NotAGroup) };
        socket.memberships.after(interface, group, change, groups, sources)
    }

    /// What its filter would be if it were `filter`; None: it would be no member.
    pub(crate) fn group_replaced(
        &self,
        key: Key<UdpSocket>,
        interface: InterfaceId,
        group: Address,
        filter: Filter,
    ) -> Result<Option<Filter>, GroupError> {
        let Some(socket) = self.socket(key) else { return Err(GroupError::NotAGroup) };
        socket.memberships.replaced(interface, group, filter, self.limits.sources)
    }

    /// The socket has this filter of `group` on a link from now on; None: it is no member.
    pub(crate) fn set_group(
        &mut self,
        key: Key<UdpSocket>,
        interface: InterfaceId,
        group: Address,
        to: Option<Filter>,
    ) {
        if let Some(socket) = self.socket_mut(key) {
            socket.memberships.set(interface, group, to);
        }
    }

    /// The socket wants what comes from `from` for `group` on a link.
    pub(crate) fn admits(
        &self,
        key: Key<UdpSocket>,
        interface: InterfaceId,
        group: Address,
        from: Endpoint,
    ) -> bool {
        self.socket(key).is_some_and(|it| it.admits(interface, group, from))
    }

    /// Gives a received datagram to a socket; false if its buffer is full.
    pub(crate) fn deliver(&mut self, key: Key<UdpSocket>, how: Arrived, payload: &[u8]) -> bool {
        let total = self.limits.bytes.saturating_sub(self.bytes);
        let Some(socket) = self.socket_mut(key) else { return false };
        // One is always taken: there may be no smaller one.
        let own =
            if socket.received.is_empty() { usize::MAX } else { socket.options.receive_buffer };
        let limit = own.min(socket.received.charge() + total);
        let Some(cost) = socket.received.push(how, payload, limit) else {
            socket.dropped += 1;
            self.dropped += 1;
            return false;
        };
        self.bytes += cost;
        self.events.push(&mut self.sockets, key);
        true
    }

    /// A live socket.
    pub(crate) fn socket(&self, key: Key<UdpSocket>) -> Option<&UdpSocket> {
        self.sockets.get(key).filter(|socket| !socket.closed)
    }

    /// A live socket, for what needs no table.
    pub(crate) fn socket_mut(&mut self, key: Key<UdpSocket>) -> Option<&mut UdpSocket> {
        self.sockets.get_mut(key).filter(|socket| !socket.closed)
    }

    /// Restricts the socket to one peer, on the link of `scope` if its address needs one, to which
    /// it sends from our address `source`; false if another that shares its name has this peer.
    pub(crate) fn connect(
        &mut self,
        key: Key<UdpSocket>,
        source: Address,
        remote: Endpoint,
        scope: Option<InterfaceId>,
    ) -> bool {
        let Some(socket) = self.socket(key) else { return true };
        let mut local = socket.bound;
        if !socket.is_for_many {
            if local.address.is_unspecified() {
                local.address = source;
            }
            let (flow, only) = (FlowKey { local, remote }, socket.options.interface.or(scope));
            if self.names.connected(flow, only).is_some_and(|other| other != key) {
                return false;
            }
            self.hide(key);
            self.names.connect(flow, only, key);
        }
        if let Some(socket) = self.socket_mut(key) {
            (socket.local, socket.remote, socket.error) = (local, Some(remote), None);
            socket.scope = scope;
        }
        self.events.push(&mut self.sockets, key);
        true
    }

    /// Opens the socket to all peers again.
    pub(crate) fn disconnect(&mut self, key: Key<UdpSocket>) {
        if self.socket(key).is_none_or(|socket| socket.remote.is_none()) {
            return;
        }
        self.hide(key);
        if let Some(socket) = self.socket_mut(key) {
            (socket.remote, socket.scope, socket.local) = (None, None, socket.bound);
        }
        self.open(key);
    }

    pub(crate) fn set_options(&mut self, key: Key<UdpSocket>, options: UdpOptions) {
        let options = self.held(options);
        let Some(socket) = self.socket_mut(key) else { return };
        let UdpOptions { only_v6, interface, .. } = socket.options;
        let options = UdpOptions { only_v6, interface, ..options };
        let (name, before, after) = (socket.name(), socket.options.sharing(), options.sharing());
        socket.options = options;
        socket.refused = false;
        if !options.network_errors {
            socket.errors.clear();
        }
        if before != after {
            // It never leaves: others are let in, or not, from now on.
            self.names.enter(name, after);
            self.names.leave(name, before);
        }
        self.events.push(&mut self.sockets, key);
    }

    /// The options within what the limits and the protocol allow.
    fn held(&self, options: UdpOptions) -> UdpOptions {
        UdpOptions {
            ttl: options.ttl.max(1),
            receive_buffer: options.receive_buffer.min(self.limits.buffer),
            send_buffer: options.send_buffer.min(self.limits.buffer),
            ..options
        }
    }

    /// Queues a datagram. `way` asks the routes about the destination's address; that `how.from` is
    /// this host's is the caller's matter.
    pub(crate) fn send(
        &mut self,
        key: Key<UdpSocket>,
        payload: &[u8],
        how: SendDatagram,
        way: impl FnOnce(Address) -> Result<Way, UdpSendError>,
    ) -> Result<(), UdpSendError> {
        let total = self.limits.bytes.saturating_sub(self.bytes);
        let is_all_free = self.bytes == 0;
        let socket = self.socket_mut(key).ok_or(UdpSendError::NotConnected)?;
        let to = socket.may_send(payload.len(), how.to.map(Endpoint::from))?;
        let way = way(to.address)?;
        if way.broadcast && !socket.options.broadcast {
            return Err(UdpSendError::PermissionDenied);
        }
        let UdpOptions { tos, mtu_discovery, multicast_loop: loops, .. } = socket.options;
        let ttl = match to.address.is_multicast() {
            true => socket.options.multicast_ttl,
            false => socket.options.ttl,
        };
        let size = match how.segment.unwrap_or(socket.options.segment) {
            0 => payload.len(),
            size => payload.len().min(size.into()),
        };
        if payload.len() > size * SEGMENTS_MAX {
            return Err(UdpSendError::TooManySegments);
        }
        let headers = if to.address.is_v4() { IPV4_HEADER } else { IPV6_HEADER } + UDP_HEADER;
        let cuts = !mtu_discovery.forbids_cuts() && size == payload.len();
        if size + headers > way.mtu && !cuts {
            self.refuse_long(key, to, way);
            return Err(UdpSendError::MessageTooLong);
        }
        let said = how.from.filter(|from| !from.is_unspecified()).map(Address::from);
        let address = said.or(socket.source()).unwrap_or(way.source);
        let local = Endpoint { address, ..socket.local };
        if local.address.is_v4() != to.address.is_v4() {
            return Err(UdpSendError::InvalidSource);
        }
        let (ttl, tos) = (how.ttl.map_or(ttl, |ttl| ttl.max(1)), how.tos.unwrap_or(tos));
        let datagram =
            Datagram { id: key, local, remote: to, ttl, tos, mtu_discovery, loops, only: way.only };
        let idle = socket.unsent.is_empty();
        let own = if idle { usize::MAX } else { socket.options.send_buffer };
        let limit = own.min(socket.unsent.charge() + total);
        let cost = socket.unsent.push_segments(datagram, payload, size, limit);
        let Some(cost) = cost else {
            if is_all_free {
                return Err(UdpSendError::MessageTooLong);
            }
            socket.refused = true;
            if limit < own {
                self.refused.push(&mut self.sockets, key);
            }
            return Err(UdpSendError::WouldBlock);
        };
        self.bytes += cost;
        self.transmit.push(&mut self.sockets, key);
        Ok(())
    }

    /// So many bytes are held no more: there may be room for what others were refused.
    fn release(&mut self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        self.bytes = self.bytes.saturating_sub(bytes);
        let most = if self.bytes == 0 { usize::MAX } else { TOLD_AT_ONCE };
        for _ in 0..most {
            let Some(key) = self.refused.pop(&mut self.sockets) else { break };
            self.tell_of_room(key);
        }
    }

    /// Who was refused a datagram may try again.
    fn tell_of_room(&mut self, key: Key<UdpSocket>) {
        let Some(socket) = self.socket_mut(key) else { return };
        if core::mem::take(&mut socket.refused) {
            self.events.push(&mut self.sockets, key);
        }
    }

    /// The next datagram, as much of it as fits into `out`; the rest is lost.
    pub(crate) fn recv(
        &mut self,
        key: Key<UdpSocket>,
        out: &mut [u8],
    ) -> Result<ReceivedDatagram, UdpRecvError> {
        let Some(socket) = self.socket_mut(key) else { return Err(UdpRecvError::WouldBlock) };
        let before = socket.received.charge();
        let result = socket.recv(out);
        let freed = before.saturating_sub(socket.received.charge());
        self.release(freed);
        result
    }

    /// No socket has anything to send.
    pub(crate) fn is_silent(&self) -> bool {
        self.transmit.is_empty()
    }

    /// The next datagram to be sent, its payload in `payload` and nothing else. Sockets take
    /// turns, one datagram each.
    pub(crate) fn poll_transmit(&mut self, payload: &mut Vec<u8>) -> Option<Datagram> {
        let id = self.transmit.pop(&mut self.sockets)?;
        payload.clear();
        self.take_unsent(id, payload)
    }

    /// Puts behind `first`, which is all that `payload` holds, the datagrams that follow it on the
    /// same way and are as long, up to `most` bytes; the last may be shorter. Returns how many.
    pub(crate) fn join(&mut self, first: &Datagram, payload: &mut Vec<u8>, most: usize) -> usize {
        let size = payload.len();
        let mut joined = 0;
        while size > 0 && payload.len() == size * (1 + joined) && joined + 1 < JOINED_MAX {
            let next = self.sockets.get(first.id).and_then(|socket| socket.unsent.front());
            let fits = next.is_some_and(|(next, len)| {
                next == first && (1..=size).contains(&len) && payload.len() + len <= most
            });
            if !fits || self.take_unsent(first.id, payload).is_none() {
                break;
            }
            joined += 1;
        }
        joined
    }

    /// Takes the first unsent datagram of a socket, behind what `payload` holds.
    fn take_unsent(&mut self, id: Key<UdpSocket>, payload: &mut Vec<u8>) -> Option<Datagram> {
        let socket = self.sockets.get_mut(id)?;
        let (was_writable, before) = (socket.is_writable(), socket.unsent.charge());
        let datagram = socket.unsent.pop_onto(payload)?;
        let freed = before.saturating_sub(socket.unsent.charge());
        socket.refused &= !socket.has_room();
        let became_writable = !was_writable && socket.is_writable() && !socket.closed;
        let (closed, more) = (socket.closed, !socket.unsent.is_empty());
        self.release(freed);
        if became_writable {
            self.events.push(&mut self.sockets, id);
        }
        if more {
            self.transmit.push(&mut self.sockets, id);
            return Some(datagram);
        }
        self.transmit.remove(&mut self.sockets, id);
        if closed {
            self.sockets.remove(id);
        }
        Some(datagram)
    }

    /// The next socket whose readiness may have changed; each at most once until it is polled.
    pub(crate) fn poll_event(&mut self) -> Option<Key<UdpSocket>> {
        self.events.pop(&mut self.sockets)
    }

    /// Gives the socket and its name up. What it was given to send is still sent.
    pub(crate) fn close(&mut self, key: Key<UdpSocket>) {
        if self.socket(key).is_none() {
            return;
        }
        self.hide(key);
        let Some(socket) = self.socket_mut(key) else { return };
        socket.closed = true;
        let (name, sharing) = (socket.name(), socket.options.sharing());
        let (freed, idle) = (socket.received.charge(), socket.unsent.is_empty());
        socket.received = Default::default();
        self.names.leave(name, sharing);
        self.refused.remove(&mut self.sockets, key);
        self.release(freed);
        self.events.remove(&mut self.sockets, key);
        if idle {
            self.sockets.remove(key);
        }
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
