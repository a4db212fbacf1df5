//! Calls that move bytes: send, recv, sendto, recvfrom.

use std::io::IoSlice;
use std::net::SocketAddr;

use super::socket::{Kind, Sock};
use super::{Bsd, MSG_DONTWAIT, MSG_MORE, MSG_NOSIGNAL, MSG_PEEK, MSG_TRUNC, MSG_WAITALL};
use crate::host::block::GaveUp;
use crate::host::errno::Errno;
use crate::host::tcp_socket::{More, TcpSocket};
use crate::{Readiness, RecvError};

/// Flags that have a meaning here; another one is EOPNOTSUPP, never ignored.
fn check(flags: i32, known: i32) -> Result<(), Errno> {
    if flags & !known == 0 { Ok(()) } else { Err(Errno::EOPNOTSUPP) }
}

impl Bsd {
    /// Sends to the connected peer. A stream that blocks takes all of `bytes`.
    ///
    /// # Errors
    /// EBADF, EAGAIN, EPIPE, ECONNRESET and the other ends of a connection, EDESTADDRREQ,
    /// EMSGSIZE, EOPNOTSUPP for flags other than MSG_DONTWAIT, MSG_NOSIGNAL and, for streams,
    /// MSG_MORE.
    pub fn send(&self, fd: i32, bytes: &[u8], flags: i32) -> Result<usize, Errno> {
        self.sendto(fd, bytes, flags, None)
    }

    /// Sends a datagram to `to`, or to the connected peer. Streams pay no heed to `to`.
    ///
    /// # Errors
    /// Those of [`send`](Self::send), EINVAL, EACCES for a broadcast without SO_BROADCAST.
    pub fn sendto(
        &self,
        fd: i32,
        bytes: &[u8],
        flags: i32,
        to: Option<SocketAddr>,
    ) -> Result<usize, Errno> {
        let sock = self.sock(fd)?;
        let common = MSG_DONTWAIT | MSG_NOSIGNAL;
        let patience = sock.writing(flags);
        match sock.kind {
            Kind::Stream => {
                check(flags, common | MSG_MORE)?;
                let more = if flags & MSG_MORE == 0 { More::Unknown } else { More::Follows };
                let parts = [IoSlice::new(bytes)];
                sock.stream(Errno::EPIPE)?.send_vectored(&parts, more, patience)
            }
            Kind::Datagram => {
                check(flags, common)?;
                sock.datagram(&self.core)?.send(bytes, to, patience)
            }
        }
    }

    /// Receives; 0 is the end of a stream, or an empty datagram.
    ///
    /// # Errors
    /// EBADF, EAGAIN, ENOTCONN, ECONNRESET and the other ends of a connection, ECONNREFUSED,
    /// EOPNOTSUPP for flags other than MSG_DONTWAIT, MSG_PEEK, MSG_WAITALL, MSG_NOSIGNAL and, for
    /// datagrams, MSG_TRUNC.
    pub fn recv(&self, fd: i32, out: &mut [u8], flags: i32) -> Result<usize, Errno> {
        self.recvfrom(fd, out, flags).map(|(length, _)| length)
    }

    /// Receives, and says from where; of a stream that is not said.
    ///
    /// # Errors
    /// Those of [`recv`](Self::recv).
    pub fn recvfrom(
        &self,
        fd: i32,
        out: &mut [u8],
        flags: i32,
    ) -> Result<(usize, Option<SocketAddr>), Errno> {
        let sock = self.sock(fd)?;
        let common = MSG_DONTWAIT | MSG_PEEK | MSG_WAITALL | MSG_NOSIGNAL;
        match sock.kind {
            Kind::Stream => {
                check(flags, common)?;
                let stream = sock.stream(Errno::ENOTCONN)?;
                let length = recv_stream(&sock, &stream, out, flags)?;
                Ok((length, None))
            }
            Kind::Datagram => {
                check(flags, common | MSG_TRUNC)?;
                self.recv_datagram(&sock, out, flags)
            }
        }
    }

    fn recv_datagram(
        &self,
        sock: &Sock,
        out: &mut [u8],
        flags: i32,
    ) -> Result<(usize, Option<SocketAddr>), Errno> {
        let mut whole = 0;
        let socket = sock.datagram(&self.core)?;
        let (length, from) = socket.recv(sock.reading(flags), |it| {
            whole = it.next_len().unwrap_or(0);
            if flags & MSG_PEEK != 0 { it.peek_from(out) } else { it.recv_from(out) }
        })?;
        let length = if flags & MSG_TRUNC != 0 { whole } else { length };
        Ok((length, Some(from)))
    }
}

fn recv_stream(
    sock: &Sock,
    stream: &TcpSocket,
    out: &mut [u8],
    flags: i32,
) -> Result<usize, Errno> {
    let patience = sock.reading(flags);
    match (flags & MSG_WAITALL != 0, flags & MSG_PEEK != 0) {
        (false, false) => stream.recv(out, patience),
        (false, true) => stream.peek(out, patience),
        (true, false) => recv_all(sock, stream, out, flags),
        (true, true) => peek_all(sock, stream, out, flags),
    }
}

/// MSG_WAITALL: less than all only at the end of the stream, after an error, or when time is up.
fn recv_all(sock: &Sock, stream: &TcpSocket, out: &mut [u8], flags: i32) -> Result<usize, Errno> {
    if out.is_empty() {
        return Ok(0);
    }
    stream.check_deferred()?;
    let (mut filled, total) = (0, out.len());
    let shard = &stream.core.shard;
    let answer = shard.block_on(stream.read_key(), sock.reading(flags), |engine, now| {
        loop {
            let rest = &mut out[filled..];
            match stream.try_recv(engine, now, |socket, now| socket.recv(now, rest))? {
                Ok(0) => return Some(Ok(())),
                Ok(count) => filled += count,
                Err(errno) => return Some(Err(errno)),
            }
            if filled == total {
                return Some(Ok(()));
            }
        }
    });
    match answer {
        Ok(Err(errno)) if filled > 0 => {
            stream.modes.defer(errno);
            Ok(filled)
        }
        Ok(Err(errno)) => Err(errno),
        Err(why) if filled == 0 => Err(why.into()),
        Ok(Ok(())) | Err(_) => Ok(filled),
    }
}

/// MSG_WAITALL with MSG_PEEK: waits until so much is there.
fn peek_all(sock: &Sock, stream: &TcpSocket, out: &mut [u8], flags: i32) -> Result<usize, Errno> {
    stream.check_deferred()?;
    let (total, shard) = (out.len(), &stream.core.shard);
    let patience = sock.reading(flags);
    let answer = shard.block_on(stream.read_key(), patience, |engine, now| {
        stream.try_recv(engine, now, |socket, _| {
            let ended = socket.readiness().intersects(Readiness::READ_CLOSED | Readiness::ERROR);
            match socket.unread() < total && !ended {
                true => Err(RecvError::WouldBlock),
                false => socket.peek(out),
            }
        })
    });
    match answer {
        Ok(answer) => answer,
        Err(GaveUp::TimedOut) => stream.peek(out, crate::host::block::Patience::None),
        Err(why) => Err(why.into()),
    }
}
