//! ICMP echo sockets: what `ping` needs (RFC 792, RFC 1122 §3.2.2.6). The ident is the port.

use super::datagrams::Datagrams;
use super::error::{BindError, NetworkError, UdpSendError};
use super::max_payload;
use crate::random::Random;
use crate::store::arena::{Arena, Key};
use crate::store::queue::{Link, Linked, Queue};
use crate::time::Instant;
use crate::wire::address::Address;
use crate::wire::interface::InterfaceId;
use core::net::IpAddr;
use std::collections::{BTreeMap, VecDeque};

/// The limits of echo sockets, each with what happens there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EchoLimits {
    /// Sockets; `bind` fails beyond. Default 1,024.
    pub sockets: usize,
    /// Bytes of requests that wait in a socket to be sent, each charged its length and 64; beyond,
    /// sending would block. One is always taken. Default 208 KiB.
    pub send_buffer: usize,
    /// Bytes of replies that wait in a socket; beyond, new ones are dropped and counted. Default
    /// 208 KiB.
    pub receive_buffer: usize,
    /// What the network said of a socket's requests, until it looks (`MSG_ERRQUEUE`); more is
    /// dropped and counted as `EchoErrorsDropped`. Default 64.
    pub errors: usize,
}

impl Default for EchoLimits {
    fn default() -> EchoLimits {
        let buffer = 208 << 10;
        EchoLimits { sockets: 1_024, send_buffer: buffer, receive_buffer: buffer, errors: 64 }
    }
}

/// What came back for an echo request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EchoReply {
    /// Who answered: the host, or a router on the way.
    pub from: IpAddr,
    /// Whom the request was sent to; of a reply, who answered.
    pub to: IpAddr,
    /// The sequence number of the request.
    pub sequence: u16,
    /// Bytes of the payload that were copied to the caller; 0 for an error.
    pub len: usize,
    /// Hops that the answer could still have made.
    pub ttl: u8,
    /// When it came.
    pub at: Instant,
    /// The answer or the error.
    pub kind: EchoReplyKind,
}

/// How an echo request was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EchoReplyKind {
    /// By the host that was asked.
    Reply,
    /// It cannot be reached, for the reason of this ICMP code.
    Unreachable(u8),
    /// The request's hops were used up.
    TimeExceeded,
    /// The request's header cannot be read.
    ParameterProblem {
        /// Of the ICMP message.
        code: u8,
        /// The byte of the packet that is wrong, from its first.
        pointer: u32,
    },
}

/// A request to be sent; its payload is in the caller's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EchoRequest {
    pub(crate) id: Key<EchoSocket>,
    pub(crate) to: Address,
    pub(crate) ident: u16,
    pub(crate) sequence: u16,
    /// None: the stack's default.
    pub(crate) ttl: Option<u8>,
    /// The interface that its socket is bound to.
    pub(crate) only: Option<InterfaceId>,
}

/// An answer or error from the network, for [`EchoTable::deliver`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EchoAnswer {
    pub(crate) from: Address,
    /// Whom the request was sent to.
    pub(crate) to: Address,
    pub(crate) sequence: u16,
    pub(crate) ttl: u8,
    pub(crate) kind: EchoReplyKind,
}

/// Sockets with something to send, in turn.
const TRANSMIT: usize = 0;
/// Sockets whose readiness may have changed.
const EVENT: usize = 1;
/// Throws of dice for a free ident; it ends, and with half of all in use it never fails.
const IDENT_TRIES: usize = 256;

/// One echo socket.
#[derive(Clone)]
pub(crate) struct EchoSocket {
    ident: u16,
    /// By which its requests leave; None: as the routes say.
    only: Option<InterfaceId>,
    received: Datagrams<(EchoAnswer, Instant)>,
    /// With where to, the sequence number and the TTL.
    unsent: Datagrams<(Address, u16, Option<u8>)>,
    /// With the sequence number of the request; at most `EchoLimits::errors`.
    errors: VecDeque<(NetworkError, u16)>,
    /// Closed by its owner: it lives until what it was given to send is sent.
    closed: bool,
    /// A request was refused for want of room, and there has been none since.
    refused: bool,
    links: [Link; 2],
}

impl Linked<TRANSMIT> for EchoSocket {
    fn link(&mut self) -> &mut Link {
        &mut self.links[TRANSMIT]
    }
}

impl Linked<EVENT> for EchoSocket {
    fn link(&mut self) -> &mut Link {
        &mut self.links[EVENT]
    }
}

impl EchoSocket {
    pub(crate) fn ident(&self) -> u16 {
        self.ident
    }

    pub(crate) fn interface(&self) -> Option<InterfaceId> {
        self.only
    }

    /// An answer waits.
    pub(crate) fn is_readable(&self) -> bool {
        !self.received.is_empty()
    }

    /// What the next answer is, and the length of its payload.
    pub(crate) fn next_answer(&self) -> Option<(EchoReplyKind, usize)> {
        self.received.front().map(|((answer, _), len)| (answer.kind, len))
    }
}

/// All echo sockets.
#[derive(Clone)]
pub(crate) struct EchoTable {
    limits: EchoLimits,
    sockets: Arena<EchoSocket>,
    idents: BTreeMap<u16, Key<EchoSocket>>,
    transmit: Queue<TRANSMIT>,
    events: Queue<EVENT>,
    bytes: usize,
    dropped: u64,
}

impl EchoTable {
    pub(crate) fn new(limits: EchoLimits) -> EchoTable {
        EchoTable {
            limits,
            sockets: Arena::new(limits.sockets),
            idents: BTreeMap::new(),
            transmit: Queue::default(),
            events: Queue::default(),
            bytes: 0,
            dropped: 0,
        }
    }

    /// Bytes charged in all queues, for the ledger.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Answers dropped so far for full buffers.
    #[cfg(test)]
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Sockets, closed ones that still have something to send included.
    pub(crate) fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Makes a socket with this ident; None: a random one that is free.
    pub(crate) fn bind(
        &mut self,
        ident: Option<u16>,
        random: &mut Random,
    ) -> Result<Key<EchoSocket>, BindError> {
        let is_free = |ident: &u16| !self.idents.contains_key(ident);
        let ident = match ident {
            Some(ident) => Some(ident).filter(is_free).ok_or(BindError::AddressInUse)?,
            None => (0..IDENT_TRIES)
                .map(|_| random.below(1 << 16) as u16)
                .find(is_free)
                .ok_or(BindError::NoPorts)?,
        };
        let socket = EchoSocket {
            ident,
            only: None,
            received: Datagrams::default(),
            unsent: Datagrams::default(),
            errors: VecDeque::new(),
            closed: false,
            refused: false,
            links: Default::default(),
        };
        let key = self.sockets.insert(socket).map_err(|_| BindError::TooManySockets)?;
        self.idents.insert(ident, key);
        Ok(key)
    }

    /// A live socket.
    pub(crate) fn socket(&self, key: Key<EchoSocket>) -> Option<&EchoSocket> {
        self.sockets.get(key).filter(|socket| !socket.closed)
    }

    fn socket_mut(&mut self, key: Key<EchoSocket>) -> Option<&mut EchoSocket> {
        self.sockets.get_mut(key).filter(|socket| !socket.closed)
    }

    /// At least half of the socket's send buffer is free, and nothing has been refused since it is.
    pub(crate) fn is_writable(&self, key: Key<EchoSocket>) -> bool {
        let half = self.limits.send_buffer / 2;
        self.socket(key).is_some_and(|socket| !socket.refused && socket.unsent.charge() <= half)
    }

    /// Its requests leave by this interface only; None: as the routes say.
    pub(crate) fn bind_interface(&mut self, key: Key<EchoSocket>, only: Option<InterfaceId>) {
        if let Some(socket) = self.socket_mut(key) {
            socket.only = only;
        }
    }

    /// Queues a request. Whether a route leads to `to` is the caller's matter.
    pub(crate) fn send(
        &mut self,
        key: Key<EchoSocket>,
        to: Address,
        sequence: u16,
        payload: &[u8],
        ttl: Option<u8>,
    ) -> Result<(), UdpSendError> {
        if payload.len() > max_payload(to) {
            return Err(UdpSendError::MessageTooLong);
        }
        if to.is_unspecified() {
            return Err(UdpSendError::InvalidRemote);
        }
        let limit = self.limits.send_buffer;
        let socket = self.socket_mut(key).ok_or(UdpSendError::NotConnected)?;
        let limit = if socket.unsent.is_empty() { usize::MAX } else { limit };
        let cost = socket.unsent.push((to, sequence, ttl), payload, limit);
        socket.refused |= cost.is_none();
        self.bytes += cost.ok_or(UdpSendError::WouldBlock)?;
        self.transmit.push(&mut self.sockets, key);
        Ok(())
    }

    /// No socket has anything to send.
    pub(crate) fn is_silent(&self) -> bool {
        self.transmit.is_empty()
    }

    /// The next request to be sent, its payload in `payload` and nothing else. Sockets take turns.
    pub(crate) fn poll_transmit(&mut self, payload: &mut Vec<u8>) -> Option<EchoRequest> {
        let id = self.transmit.pop(&mut self.sockets)?;
        let was_writable = self.is_writable(id);
        let socket = self.sockets.get_mut(id)?;
        let before = socket.unsent.charge();
        let (to, sequence, ttl) = socket.unsent.pop_into(payload)?;
        socket.refused &= socket.unsent.charge() > self.limits.send_buffer / 2;
        let freed = before.saturating_sub(socket.unsent.charge());
        self.bytes = self.bytes.saturating_sub(freed);
        let (ident, only) = (socket.ident, socket.only);
        let (closed, more) = (socket.closed, !socket.unsent.is_empty());
        if !was_writable && self.is_writable(id) {
            self.events.push(&mut self.sockets, id);
        }
        if more {
            self.transmit.push(&mut self.sockets, id);
        } else if closed {
            self.sockets.remove(id);
        }
        Some(EchoRequest { id, to, ident, sequence, ttl, only })
    }

    /// Gives an answer to the socket that has `ident`; false if nobody has it or its buffer is
    /// full. Only answers have a `payload`.
    pub(crate) fn deliver(
        &mut self,
        now: Instant,
        ident: u16,
        answer: EchoAnswer,
        payload: &[u8],
    ) -> bool {
        let Some(&key) = self.idents.get(&ident) else { return false };
        let limit = self.limits.receive_buffer;
        let Some(socket) = self.socket_mut(key) else { return false };
        let Some(cost) = socket.received.push((answer, now), payload, limit) else {
            self.dropped += 1;
            return false;
        };
        self.bytes += cost;
        self.events.push(&mut self.sockets, key);
        true
    }

    /// The next answer, as much of its payload as fits; the rest is lost.
    pub(crate) fn recv(&mut self, key: Key<EchoSocket>, payload: &mut [u8]) -> Option<EchoReply> {
        let socket = self.socket_mut(key)?;
        let before = socket.received.charge();
        let ((answer, at), len) = socket.received.pop(payload)?;
        let freed = before.saturating_sub(socket.received.charge());
        self.bytes = self.bytes.saturating_sub(freed);
        let EchoAnswer { from, to, sequence, ttl, kind } = answer;
        Some(EchoReply { from: from.to_ip(), to: to.to_ip(), sequence, len, ttl, at, kind })
    }

    /// Keeps what the network said of a request; false if there are as many already as may be.
    pub(crate) fn keep_error(
        &mut self,
        key: Key<EchoSocket>,
        said: NetworkError,
        sequence: u16,
    ) -> bool {
        let most = self.limits.errors;
        let Some(socket) = self.socket_mut(key) else { return true };
        let room = socket.errors.len() < most;
        if room {
            socket.errors.push_back((said, sequence));
        }
        room
    }

    /// The oldest that was kept.
    pub(crate) fn take_error(&mut self, key: Key<EchoSocket>) -> Option<(NetworkError, u16)> {
        self.socket_mut(key)?.errors.pop_front()
    }

    /// The next socket whose readiness may have changed; each at most once until it is polled.
    pub(crate) fn poll_event(&mut self) -> Option<Key<EchoSocket>> {
        self.events.pop(&mut self.sockets)
    }

    /// Gives the socket and its ident up. What it was given to send is still sent.
    pub(crate) fn close(&mut self, key: Key<EchoSocket>) {
        let Some(socket) = self.socket_mut(key) else { return };
        socket.closed = true;
        let (ident, freed) = (socket.ident, socket.received.charge());
        socket.received = Datagrams::default();
        let idle = socket.unsent.is_empty();
        self.bytes = self.bytes.saturating_sub(freed);
        self.idents.remove(&ident);
        self.events.remove(&mut self.sockets, key);
        if idle {
            self.sockets.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::error::NetworkErrorKind;
    use super::*;
    use crate::random::Seed;

    const PEER: Address = Address::v4([192, 0, 2, 1]);

    fn table() -> (EchoTable, Random) {
        (EchoTable::new(EchoLimits::default()), Random::new(&Seed::from_number(1)))
    }

    fn answer(sequence: u16) -> EchoAnswer {
        EchoAnswer { from: PEER, to: PEER, sequence, ttl: 60, kind: EchoReplyKind::Reply }
    }

    #[test]
    fn requests_leave_and_replies_come_back_by_ident() {
        let (mut table, mut random) = table();
        let a = table.bind(Some(7), &mut random).unwrap();
        let b = table.bind(None, &mut random).unwrap();
        assert_eq!(table.bind(Some(7), &mut random), Err(BindError::AddressInUse));
        table.send(a, PEER, 1, b"ping", Some(3)).unwrap();
        let mut payload = vec![];
        let request = table.poll_transmit(&mut payload);
        let (to, ttl, only) = (PEER, Some(3), None);
        let wanted = EchoRequest { id: a, to, ident: 7, sequence: 1, ttl, only };
        assert_eq!((request, &payload[..]), (Some(wanted), &b"ping"[..]));
        let now = Instant::from_millis(5);
        assert!(table.deliver(now, 7, answer(1), b"ping"));
        assert!(!table.deliver(now, 8, answer(1), b"ping"));
        assert_eq!((table.poll_event(), table.poll_event()), (Some(a), None));
        let mut out = [0; 3];
        let reply = table.recv(a, &mut out).unwrap();
        assert_eq!((reply.from, reply.len, reply.at), (PEER.to_ip(), 3, now));
        assert_eq!((&out, table.bytes()), (b"pin", 0));
        assert_eq!(table.recv(a, &mut out), None);
        assert!(!table.socket(b).unwrap().is_readable());
    }

    #[test]
    fn who_was_refused_hears_of_room() {
        let (mut table, mut random) = table();
        table.limits.send_buffer = 2_000;
        let key = table.bind(Some(7), &mut random).unwrap();
        while table.poll_event().is_some() {}
        assert_eq!(table.send(key, PEER, 1, &[0; 500], None), Ok(()));
        let refused = table.send(key, PEER, 2, &[0; 1_472], None);
        assert_eq!((refused, table.is_writable(key)), (Err(UdpSendError::WouldBlock), false));
        assert_eq!(table.send(key, PEER, 3, &[0; 50], None), Ok(()), "another may fit");
        assert!(table.poll_transmit(&mut Vec::new()).is_some());
        assert_eq!((table.poll_event(), table.is_writable(key)), (Some(key), true));
    }

    #[test]
    fn both_queues_are_bounded() {
        let (mut table, mut random) = table();
        let key = table.bind(Some(7), &mut random).unwrap();
        for n in 0..100_000u32 {
            table.deliver(Instant::ZERO, 7, answer(n as u16), &[0; 56]);
            let sent = table.send(key, PEER, n as u16, &[0; 56], None);
            assert!(matches!(sent, Ok(()) | Err(UdpSendError::WouldBlock)));
            assert!(table.bytes() <= 2 * (208 << 10));
        }
        assert_eq!(table.dropped(), 100_000 - (208 << 10) / 120);
        assert!(!table.is_writable(key));
        while table.poll_event().is_some() {}
        while table.poll_transmit(&mut Vec::new()).is_some() {}
        assert_eq!((table.poll_event(), table.is_writable(key)), (Some(key), true));
        let long = table.send(key, PEER, 0, &[0; 65_508], None);
        assert_eq!(long, Err(UdpSendError::MessageTooLong));
        assert_eq!(table.send(key, PEER, 0, &[0; 65_507], None), Ok(()));
    }

    #[test]
    fn law6_so_many_errors_are_kept() {
        let limits = EchoLimits { errors: 2, ..EchoLimits::default() };
        let (mut table, mut random) = (EchoTable::new(limits), table().1);
        let key = table.bind(Some(7), &mut random).unwrap();
        let said = NetworkError {
            kind: NetworkErrorKind::Host,
            from: PEER.to_ip(),
            remote: (PEER.to_ip(), 0).into(),
        };
        let kept: Vec<bool> = (0..4).map(|n| table.keep_error(key, said, n)).collect();
        assert_eq!(kept, [true, true, false, false]);
        // Whoever takes one makes room for one.
        assert_eq!(table.take_error(key), Some((said, 0)));
        assert!(table.keep_error(key, said, 4) && !table.keep_error(key, said, 5));
        let rest: Vec<u16> = std::iter::from_fn(|| table.take_error(key)).map(|it| it.1).collect();
        assert_eq!(rest, [1, 4]);
    }

    #[test]
    fn a_closed_socket_sends_what_it_was_given_and_gives_its_ident_back() {
        let (mut table, mut random) = table();
        let key = table.bind(Some(7), &mut random).unwrap();
        table.send(key, PEER, 1, b"last", None).unwrap();
        table.deliver(Instant::ZERO, 7, answer(1), b"unread");
        table.close(key);
        assert!(table.socket(key).is_none() && table.poll_event().is_none());
        assert!(table.bind(Some(7), &mut random).is_ok());
        assert!(table.poll_transmit(&mut Vec::new()).is_some());
        assert_eq!((table.len(), table.bytes()), (1, 0));
    }

    #[test]
    fn the_number_of_sockets_is_limited() {
        let (mut table, mut random) = table();
        for _ in 0..1_024 {
            table.bind(None, &mut random).unwrap();
        }
        assert_eq!(table.bind(None, &mut random), Err(BindError::TooManySockets));
    }
}
