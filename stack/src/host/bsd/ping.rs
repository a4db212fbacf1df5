//! Echo sockets, Linux's "ping sockets": SOCK_DGRAM with IPPROTO_ICMP or IPPROTO_ICMPV6. What is
//! sent and received begins with the ICMP header (RFC 792, RFC 4443 §4). Its identifier is the
//! socket's port, and the checksum is filled in; only answers to the socket's requests arrive.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::family::{Family, is_mapped};
use super::socket::{Role, Sock, State};
use super::{
    Bsd, Control, IP_RECVERR, IP_RECVTTL, IP_TTL, IPPROTO_IP, IPPROTO_IPV6, IPV6_RECVERR,
    IPV6_RECVHOPLIMIT, IPV6_UNICAST_HOPS, MSG_ERRQUEUE, MSG_TRUNC, Message,
};
use crate::host::block::Patience;
use crate::host::echo::PingSocket;
use crate::host::errno::Errno;
use crate::host::runtime::Core;
use crate::wire::checksum;
use crate::{Echo, EchoReply, EchoReplyKind, NetworkError, NetworkErrorKind, UdpError};

/// Bytes of the header: type, code, checksum, identifier, sequence number.
const HEADER: usize = 8;

/// What an echo socket has here, beside what the engine has.
#[derive(Default)]
pub(super) struct Ping {
    pub(super) peer: Option<SocketAddr>,
    /// IP_TTL; None: the stack's default.
    ttl: Option<u8>,
    /// IP_RECVERR.
    wants_errors: bool,
}

impl Ping {
    /// Keeps an error if the program wants it, and says what the call under way is told.
    fn hear(
        &self,
        socket: &PingSocket,
        reply: &EchoReply,
        kind: NetworkErrorKind,
    ) -> Option<Errno> {
        let error = Errno::from(UdpError::from(kind));
        if self.wants_errors {
            let said = NetworkError { kind, from: reply.from, remote: (reply.to, 0).into() };
            let kept = socket.with(|echo| echo.keep_error(said, reply.sequence));
            return kept.err().or(Some(error));
        }
        // As in Linux, others may pass.
        (self.peer.is_some() && kind.is_hard()).then_some(error)
    }

    fn is_from_peer(&self, from: IpAddr) -> bool {
        self.peer.is_none_or(|peer| peer.ip().to_canonical() == from)
    }
}

/// Whom an address that the program gives means.
fn target(family: Family, to: SocketAddr) -> Result<IpAddr, Errno> {
    family.check(to)?;
    if family == Family::V6 && is_mapped(to) { Err(Errno::EINVAL) } else { Ok(to.ip()) }
}

/// The error that an answer is; None for a reply.
fn error_kind(kind: EchoReplyKind) -> Option<NetworkErrorKind> {
    match kind {
        EchoReplyKind::Reply => None,
        EchoReplyKind::TimeExceeded => Some(NetworkErrorKind::TimeExceeded),
        EchoReplyKind::ParameterProblem { code, pointer } => {
            Some(NetworkErrorKind::ParameterProblem { code, pointer })
        }
        EchoReplyKind::Unreachable(code) => Some(match code {
            0 => NetworkErrorKind::Network,
            2 => NetworkErrorKind::Protocol,
            3 => NetworkErrorKind::Port,
            4 => NetworkErrorKind::TooBig { mtu: 0 },
            13 => NetworkErrorKind::Prohibited,
            _ => NetworkErrorKind::Host,
        }),
    }
}

fn request(family: Family) -> u8 {
    if family == Family::V4 { 8 } else { 128 }
}

fn reply(family: Family) -> u8 {
    if family == Family::V4 { 0 } else { 129 }
}

/// The header, without its checksum.
fn header(kind: u8, ident: u16, sequence: u16) -> [u8; HEADER] {
    let ([a, b], [c, d]) = (ident.to_be_bytes(), sequence.to_be_bytes());
    [kind, 0, 0, 0, a, b, c, d]
}

/// Copies as much as fits, and says how much that was.
fn copy(from: &[u8], out: &mut [u8]) -> usize {
    let most = from.len().min(out.len());
    out[..most].copy_from_slice(&from[..most]);
    most
}

impl Sock {
    /// The echo socket; one that was not bound gets a port of the stack's choice now.
    pub(super) fn ping(&self, core: &Arc<Core>) -> Result<Arc<PingSocket>, Errno> {
        self.state().open_ping(core, 0)
    }
}

impl State {
    /// Opens an echo socket with this port, or one of the stack's choice, unless it is open.
    fn open_ping(&mut self, core: &Arc<Core>, port: u16) -> Result<Arc<PingSocket>, Errno> {
        if let Role::Ping(socket) = &self.role {
            return Ok(Arc::clone(socket));
        }
        let ident = (port != 0).then_some(port);
        let socket = Arc::new(PingSocket::open(core, ident)?);
        socket.bind_interface(self.udp.interface);
        self.role = Role::Ping(Arc::clone(&socket));
        Ok(socket)
    }

    /// Gives an echo socket its port. Where requests come from is the stack's choice: an address is
    /// refused.
    pub(super) fn bind_ping(&mut self, core: &Arc<Core>, local: SocketAddr) -> Result<(), Errno> {
        if !local.ip().is_unspecified() {
            return Err(Errno::EADDRNOTAVAIL);
        }
        self.open_ping(core, local.port()).map(drop)
    }
}

impl Bsd {
    /// Chooses whom an echo socket asks and hears.
    pub(super) fn connect_ping(&self, sock: &Sock, remote: SocketAddr) -> Result<(), Errno> {
        target(sock.family, remote)?;
        sock.ping(&self.core)?;
        sock.state().ping.peer = Some(remote);
        Ok(())
    }

    pub(super) fn send_ping(
        &self,
        sock: &Sock,
        bytes: &[u8],
        to: Option<SocketAddr>,
        control: &Control,
        patience: Patience<'_>,
    ) -> Result<usize, Errno> {
        let (head, payload) = bytes.split_first_chunk::<HEADER>().ok_or(Errno::EINVAL)?;
        let is_request = head[..2] == [request(sock.family), 0];
        // Nothing but the time to live can be this request's own.
        let others = Control { ttl: None, ..*control };
        if !is_request || others != Control::default() || control.ttl == Some(0) {
            return Err(Errno::EINVAL);
        }
        let (peer, ttl) = {
            let state = sock.state();
            (state.ping.peer, control.ttl.or(state.ping.ttl))
        };
        let to = target(sock.family, to.or(peer).ok_or(Errno::EDESTADDRREQ)?)?;
        let sequence = u16::from_be_bytes([head[6], head[7]]);
        sock.ping(&self.core)?.send(to, sequence, payload, ttl, patience)?;
        Ok(bytes.len())
    }

    pub(super) fn recv_ping(
        &self,
        sock: &Sock,
        out: &mut [u8],
        flags: i32,
    ) -> Result<Message, Errno> {
        let socket = sock.ping(&self.core)?;
        if flags & MSG_ERRQUEUE != 0 {
            return take_error(sock, &socket, out);
        }
        loop {
            let (answer, length) = socket.recv(sock.reading(flags), |echo| {
                let (_, length) = echo.next_answer()?;
                let payload = out.get_mut(HEADER..).unwrap_or_default();
                echo.recv(payload).map(|answer| (answer, HEADER + length))
            })?;
            let state = sock.state();
            if let Some(kind) = error_kind(answer.kind) {
                state.ping.hear(&socket, &answer, kind).map_or(Ok(()), Err)?;
            } else if state.ping.is_from_peer(answer.from) {
                let head = header(reply(sock.family), socket.ident(), answer.sequence);
                copy(&head, out);
                let copied = length.min(out.len());
                if sock.family == Family::V4 && copied == length {
                    let sum = checksum::checksum(&out[..length]);
                    out[2..4].copy_from_slice(&sum);
                }
                let is_cut = copied < length;
                return Ok(Message {
                    length: if flags & MSG_TRUNC != 0 { length } else { copied },
                    from: Some((answer.from, 0).into()),
                    control: Control {
                        ttl: state.asked.ttl.then_some(answer.ttl),
                        ..Control::default()
                    },
                    flags: if is_cut { MSG_TRUNC } else { 0 },
                });
            }
        }
    }
}

/// An error, with the header of the request that met it.
fn take_error(sock: &Sock, socket: &PingSocket, out: &mut [u8]) -> Result<Message, Errno> {
    let state = sock.state();
    let next = |echo: &mut Echo<'_>| {
        let kind = error_kind(echo.next_answer()?.0)?;
        echo.recv(&mut []).map(|answer| (answer, kind))
    };
    // Those that no call has been told of yet.
    while let Ok((answer, kind)) = socket.recv(Patience::None, next) {
        state.ping.hear(socket, &answer, kind);
    }
    let (error, sequence) = socket.with(|echo| echo.take_error())?.ok_or(Errno::EAGAIN)?;
    let length = copy(&header(request(sock.family), socket.ident(), sequence), out);
    let is_cut = length < HEADER;
    Ok(Message {
        length,
        from: Some(error.remote),
        control: Control { error: Some(error), ..Control::default() },
        flags: MSG_ERRQUEUE | if is_cut { MSG_TRUNC } else { 0 },
    })
}

/// Sets an option of an echo socket that is an int.
pub(super) fn set_ping_int(sock: &Sock, level: i32, name: i32, value: i32) -> Result<(), Errno> {
    let mut state = sock.state();
    match (level, name) {
        (IPPROTO_IP, IP_TTL) | (IPPROTO_IPV6, IPV6_UNICAST_HOPS) => {
            state.ping.ttl = match value {
                -1 => None,
                _ => Some(u8::try_from(value).ok().filter(|&it| it > 0).ok_or(Errno::EINVAL)?),
            };
        }
        (IPPROTO_IP, IP_RECVERR) | (IPPROTO_IPV6, IPV6_RECVERR) => {
            state.ping.wants_errors = value != 0;
            if let (0, Role::Ping(socket)) = (value, &state.role) {
                while socket.with(|echo| echo.take_error())?.is_some() {}
            }
        }
        (IPPROTO_IP, IP_RECVTTL) | (IPPROTO_IPV6, IPV6_RECVHOPLIMIT) => {
            state.asked.ttl = value != 0
        }
        _ => return Err(Errno::ENOPROTOOPT),
    }
    Ok(())
}

/// Reads an option of an echo socket that is an int.
pub(super) fn get_ping_int(sock: &Sock, level: i32, name: i32) -> Result<i32, Errno> {
    let state = sock.state();
    match (level, name) {
        (IPPROTO_IP, IP_TTL) | (IPPROTO_IPV6, IPV6_UNICAST_HOPS) => {
            Ok(state.ping.ttl.unwrap_or(crate::UdpOptions::default().ttl).into())
        }
        (IPPROTO_IP, IP_RECVERR) | (IPPROTO_IPV6, IPV6_RECVERR) => {
            Ok(state.ping.wants_errors.into())
        }
        (IPPROTO_IP, IP_RECVTTL) | (IPPROTO_IPV6, IPV6_RECVHOPLIMIT) => Ok(state.asked.ttl.into()),
        _ => Err(Errno::ENOPROTOOPT),
    }
}
