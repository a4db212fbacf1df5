//! The calls that move bytes.

use std::net::SocketAddr;

use stack::host::Errno;
use stack::host::bsd::{
    MSG_DONTWAIT, MSG_FASTOPEN, MSG_MORE, MSG_NOSIGNAL, MSG_PEEK, MSG_TRUNC, MSG_WAITALL,
};
use stack::{
    FastOpen, Readiness, RecvError, SendError, TcpId, TcpOptions, UdpRecvError, UdpSendError,
};

use crate::address::Given;
use crate::door::{Door, GaveUp, Patience};
use crate::table::{Kind, Sock};
use crate::world::World;

/// What a receiving call got.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Received {
    /// The bytes, as many as were asked for at most.
    pub(crate) bytes: Vec<u8>,
    /// Who sent the datagram.
    pub(crate) from: Option<SocketAddr>,
    /// How long the datagram was.
    pub(crate) whole: usize,
    /// How much is left to read, for a socket that asked to be told (TCP_INQ).
    pub(crate) left: Option<usize>,
}

/// Flags that have a meaning here; another one is EOPNOTSUPP, never ignored.
fn check(flags: i32, known: i32) -> Result<(), Errno> {
    if flags & !known == 0 { Ok(()) } else { Err(Errno::EOPNOTSUPP) }
}

impl Door {
    fn sock(&self, fd: i32) -> Result<Sock, Errno> {
        self.call(|world| {
            let sock = world.sock(fd)?;
            match sock.deferred.take() {
                Some(errno) => Err(errno),
                None => Ok(sock.clone()),
            }
        })
    }

    pub(crate) fn send(
        &self,
        fd: i32,
        bytes: &[u8],
        flags: i32,
        to: Option<Given>,
    ) -> Result<usize, Errno> {
        let sock = self.sock(fd)?;
        let patience = if flags & MSG_DONTWAIT != 0 { Patience::None } else { sock.writing() };
        match sock.kind {
            Kind::Stream => {
                check(flags, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_MORE | MSG_FASTOPEN)?;
                let more = flags & MSG_MORE != 0;
                if flags & MSG_FASTOPEN == 0 {
                    let id = sock.stream().ok_or(Errno::EPIPE)?;
                    return self.send_stream(fd, id, bytes, more, patience);
                }
                let id = self.call(|world| world.connect_fast_open(fd, to))?;
                match self.send_stream(fd, id, bytes, more, patience) {
                    Err(Errno::EAGAIN) => Err(Errno::EINPROGRESS),
                    answer => answer,
                }
            }
            Kind::Datagram => {
                check(flags, MSG_DONTWAIT | MSG_NOSIGNAL)?;
                self.send_datagram(fd, bytes, to, patience)
            }
        }
    }

    fn send_stream(
        &self,
        fd: i32,
        id: TcpId,
        bytes: &[u8],
        more: bool,
        patience: Patience,
    ) -> Result<usize, Errno> {
        let mut sent = 0;
        let answer = self.block(patience, |world| {
            let now = world.instant();
            loop {
                let Some(mut tcp) = world.stack.tcp(id) else { return Some(Err(Errno::EPIPE)) };
                let rest = &bytes[sent..];
                let taken = if more { tcp.send_more(now, rest) } else { tcp.send(now, rest) };
                match taken {
                    Ok(count) => sent += count,
                    Err(SendError::WouldBlock) => return None,
                    Err(error) => return Some(Err(error.into())),
                }
                if sent == bytes.len() {
                    return Some(Ok(()));
                }
                // Sent text may make room at once: to this host itself, say.
                world.pump();
            }
        });
        self.outcome(fd, sent, answer).map(|()| sent)
    }

    /// What a call answers whose work was done up to `done` bytes: an error then waits for the
    /// next call.
    fn outcome(
        &self,
        fd: i32,
        done: usize,
        answer: Result<Result<(), Errno>, GaveUp>,
    ) -> Result<(), Errno> {
        match answer {
            Ok(Ok(())) => Ok(()),
            Ok(Err(errno)) if done > 0 => self.call(|world| {
                world.sock(fd)?.deferred = Some(errno);
                Ok(())
            }),
            Ok(Err(errno)) => Err(errno),
            Err(GaveUp::TimedOut) if done > 0 => Ok(()),
            Err(why) => Err(why.into()),
        }
    }

    fn send_datagram(
        &self,
        fd: i32,
        bytes: &[u8],
        to: Option<Given>,
        patience: Patience,
    ) -> Result<usize, Errno> {
        let to = match to {
            Some(Given::Address(to)) => Some(to),
            Some(Given::Nothing) | None => None,
        };
        let id = self.call(|world| {
            to.map_or(Ok(()), |to| world.sock(fd)?.check(to))?;
            world.datagram(fd)
        })?;
        self.block(patience, |world| {
            let now = world.instant();
            match world.stack.udp(id)?.send_to(now, bytes, to) {
                Err(UdpSendError::WouldBlock) => None,
                answer => Some(answer.map(|()| bytes.len()).map_err(Errno::from)),
            }
        })?
    }

    pub(crate) fn recv(&self, fd: i32, length: usize, flags: i32) -> Result<Received, Errno> {
        if flags & libc::MSG_ERRQUEUE != 0 {
            // Nothing is ever queued there.
            return self.sock(fd).and(Err(Errno::EAGAIN));
        }
        let sock = self.sock(fd)?;
        let known = MSG_DONTWAIT | MSG_PEEK | MSG_WAITALL | MSG_NOSIGNAL | MSG_TRUNC;
        check(flags, known)?;
        let patience = if flags & MSG_DONTWAIT != 0 { Patience::None } else { sock.reading() };
        match sock.kind {
            Kind::Datagram => self.recv_datagram(fd, length, flags, patience),
            Kind::Stream => {
                let id = sock.stream().ok_or(Errno::ENOTCONN)?;
                let bytes = match flags & MSG_PEEK != 0 {
                    true => self.peek_stream(id, length, flags, patience),
                    false => self.recv_stream(fd, id, length, flags, patience),
                }?;
                let left = sock.inq.then(|| self.call(|world| left_to_read(world, id)));
                Ok(Received { bytes, left, ..Received::default() })
            }
        }
    }

    /// One read, or with MSG_WAITALL as many as it takes.
    fn recv_stream(
        &self,
        fd: i32,
        id: TcpId,
        length: usize,
        flags: i32,
        patience: Patience,
    ) -> Result<Vec<u8>, Errno> {
        let mut bytes = Vec::new();
        if length == 0 {
            return Ok(bytes);
        }
        let answer = self.block(patience, |world| {
            loop {
                match read_some(world, id, length - bytes.len()) {
                    Ok(None) => return None,
                    Ok(Some(piece)) if piece.is_empty() => return Some(Ok(())),
                    Ok(Some(piece)) => bytes.extend(piece),
                    Err(errno) => return Some(Err(errno)),
                }
                if flags & MSG_WAITALL == 0 || bytes.len() == length {
                    return Some(Ok(()));
                }
            }
        });
        self.outcome(fd, bytes.len(), answer)?;
        Ok(bytes)
    }

    fn peek_stream(
        &self,
        id: TcpId,
        length: usize,
        flags: i32,
        patience: Patience,
    ) -> Result<Vec<u8>, Errno> {
        let peek = |world: &mut World, least: usize| {
            let Some(mut tcp) = world.stack.tcp(id) else { return Some(Err(Errno::ENOTCONN)) };
            let ended = tcp.readiness().intersects(Readiness::READ_CLOSED | Readiness::ERROR);
            if tcp.unread() < least && !ended {
                return None;
            }
            let mut bytes = vec![0; length.min(tcp.unread().max(1))];
            match tcp.peek(&mut bytes) {
                Ok(count) => {
                    bytes.truncate(count);
                    Some(Ok(bytes))
                }
                Err(RecvError::WouldBlock) => None,
                Err(error) => Some(Err(error.into())),
            }
        };
        let least = if flags & MSG_WAITALL != 0 { length } else { 0 };
        match self.block(patience, |world| peek(world, least)) {
            Ok(answer) => answer,
            Err(GaveUp::TimedOut) => {
                self.call(|world| peek(world, 0)).unwrap_or(Err(Errno::EAGAIN))
            }
            Err(why) => Err(why.into()),
        }
    }

    fn recv_datagram(
        &self,
        fd: i32,
        length: usize,
        flags: i32,
        patience: Patience,
    ) -> Result<Received, Errno> {
        let id = self.call(|world| world.datagram(fd))?;
        self.block(patience, |world| {
            let mut udp = world.stack.udp(id)?;
            let whole = udp.next_len().unwrap_or(0);
            let mut bytes = vec![0; length.min(whole)];
            let peek = flags & MSG_PEEK != 0;
            let got = if peek { udp.peek_from(&mut bytes) } else { udp.recv_from(&mut bytes) };
            match got {
                Err(UdpRecvError::WouldBlock) => None,
                Err(error) => Some(Err(error.into())),
                Ok((count, from)) => {
                    bytes.truncate(count);
                    Some(Ok(Received { bytes, from: Some(from), whole, left: None }))
                }
            }
        })?
    }
}

/// What TCP_INQ tells: unread bytes, and one for the end of the stream when nothing else is left.
fn left_to_read(world: &mut World, id: TcpId) -> usize {
    let Some(tcp) = world.stack.tcp(id) else { return 0 };
    let at_end = tcp.readiness().contains(Readiness::READ_CLOSED);
    tcp.unread().max(at_end.into())
}

impl World {
    /// Begins a connection whose SYN waits for text, or asks for a cookie.
    fn connect_fast_open(&mut self, fd: i32, to: Option<Given>) -> Result<TcpId, Errno> {
        if !self.stack.config().tcp.fast_open.has(FastOpen::CLIENT) {
            return Err(Errno::EOPNOTSUPP);
        }
        let Some(Given::Address(remote)) = to else { return Err(Errno::EINVAL) };
        let tcp = TcpOptions { fast_open_connect: true, ..self.sock(fd)?.tcp };
        match self.connect_with(fd, remote, tcp)? {
            Errno::EINPROGRESS => self.sock(fd)?.stream().ok_or(Errno::EPIPE),
            under_way => Err(under_way),
        }
    }
}

/// At most `most` bytes of a stream: None if nothing has arrived, nothing at its end.
fn read_some(world: &mut World, id: TcpId, most: usize) -> Result<Option<Vec<u8>>, Errno> {
    let now = world.instant();
    let mut tcp = world.stack.tcp(id).ok_or(Errno::ENOTCONN)?;
    let mut bytes = vec![0; most.min(tcp.unread().max(1))];
    match tcp.recv(now, &mut bytes) {
        Ok(count) => {
            bytes.truncate(count);
            Ok(Some(bytes))
        }
        Err(RecvError::WouldBlock) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
