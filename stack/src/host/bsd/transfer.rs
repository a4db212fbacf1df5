//! Calls that move bytes: send, recv, sendto, recvfrom, sendmsg, recvmsg.

use std::io::IoSlice;
use std::net::SocketAddr;

use super::family::Family;
use super::socket::{Kind, Role, Sock};
use super::{
    Bsd, Control, MSG_DONTWAIT, MSG_ERRQUEUE, MSG_FASTOPEN, MSG_MORE, MSG_NOSIGNAL, MSG_PEEK,
    MSG_TRUNC, MSG_WAITALL, Message,
};
use crate::host::block::{GaveUp, Patience};
use crate::host::errno::Errno;
use crate::host::tcp_socket::TcpSocket;
use crate::tcp::tcb::More;
use crate::{Readiness, RecvError, TcpOptions};

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
    /// MSG_MORE and MSG_FASTOPEN.
    pub fn send(&self, fd: i32, bytes: &[u8], flags: i32) -> Result<usize, Errno> {
        self.sendto(fd, bytes, flags, None)
    }

    /// Sends a datagram to `to`, or to the connected peer. Streams pay no heed to `to`, unless
    /// MSG_FASTOPEN says to connect there: as much of `bytes` as fits goes with the SYN, if the
    /// server's cookie is known.
    ///
    /// # Errors
    /// Those of [`send`](Self::send), EINVAL, EACCES for a broadcast without SO_BROADCAST. With
    /// MSG_FASTOPEN those of [`connect`](Self::connect): EINPROGRESS if the socket does not block
    /// and no byte went along; EOPNOTSUPP where clients have no Fast Open.
    pub fn sendto(
        &self,
        fd: i32,
        bytes: &[u8],
        flags: i32,
        to: Option<SocketAddr>,
    ) -> Result<usize, Errno> {
        self.sendmsg(fd, bytes, flags, to, &Control::default())
    }

    /// As [`sendto`](Self::sendto), with control messages. Streams pay no heed to them.
    ///
    /// # Errors
    /// Those of [`sendto`](Self::sendto); EINVAL for a control message whose value is none, or an
    /// address to send from that is not this host's; ENODEV for another interface.
    pub fn sendmsg(
        &self,
        fd: i32,
        bytes: &[u8],
        flags: i32,
        to: Option<SocketAddr>,
        control: &Control,
    ) -> Result<usize, Errno> {
        let sock = self.sock(fd)?;
        let common = MSG_DONTWAIT | MSG_NOSIGNAL;
        let patience = sock.writing(flags);
        match sock.kind {
            Kind::Stream => {
                check(flags, common | MSG_MORE | MSG_FASTOPEN)?;
                let more = if flags & MSG_MORE == 0 { More::Unknown } else { More::Follows };
                let parts = [IoSlice::new(bytes)];
                if flags & MSG_FASTOPEN != 0 {
                    return self.send_fast_open(&sock, &parts, more, patience, to);
                }
                sock.stream(Errno::EPIPE)?.send_vectored(&parts, more, patience)
            }
            Kind::Datagram => {
                check(flags, common)?;
                // As in Linux, an IPv6 socket takes IPv4 addresses here.
                if let Some(to) = to.filter(|_| sock.family == Family::V4) {
                    sock.family.check(to)?;
                }
                let how = control.sending(to, |index| self.interface(index))?;
                sock.datagram(&self.core)?.send(bytes, how, patience)
            }
            Kind::Ping => {
                check(flags, common)?;
                self.send_ping(&sock, bytes, to, control, patience)
            }
        }
    }

    fn send_fast_open(
        &self,
        sock: &Sock,
        parts: &[IoSlice<'_>],
        more: More,
        patience: Patience<'_>,
        to: Option<SocketAddr>,
    ) -> Result<usize, Errno> {
        self.has_fast_open()?;
        let to = to.ok_or(Errno::EINVAL)?;
        sock.family.check(to)?;
        let socket = {
            let mut state = sock.state();
            match &state.role {
                Role::Idle => {}
                Role::Connecting(_) => return Err(Errno::EALREADY),
                _ => return Err(Errno::EISCONN),
            }
            let empty = parts.iter().all(|part| part.is_empty());
            let options = TcpOptions { fast_open_connect: !empty, ..state.tcp };
            self.start(&mut state, to, options)?
        };
        let answer = socket.send_vectored(parts, more, patience);
        sock.state().role = match answer {
            Err(Errno::EAGAIN) => return Err(Errno::EINPROGRESS),
            // As in Linux, the socket can try again.
            Err(_) => Role::Idle,
            Ok(_) => Role::Stream(socket),
        };
        answer
    }

    /// Receives; 0 is the end of a stream, or an empty datagram.
    ///
    /// # Errors
    /// EBADF, EAGAIN, ENOTCONN, ECONNRESET and the other ends of a connection, ECONNREFUSED,
    /// EOPNOTSUPP for flags other than MSG_DONTWAIT, MSG_PEEK, MSG_WAITALL, MSG_NOSIGNAL and, for
    /// datagrams, MSG_TRUNC; echo sockets have no MSG_PEEK.
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
        self.recvmsg(fd, out, flags).map(|message| (message.length, message.from))
    }

    /// As [`recvfrom`](Self::recvfrom), with the control messages that the socket has asked for.
    /// MSG_ERRQUEUE receives an error instead, if the socket has set IP_RECVERR.
    ///
    /// # Errors
    /// Those of [`recv`](Self::recv).
    pub fn recvmsg(&self, fd: i32, out: &mut [u8], flags: i32) -> Result<Message, Errno> {
        let sock = self.sock(fd)?;
        let common = MSG_DONTWAIT | MSG_PEEK | MSG_WAITALL | MSG_NOSIGNAL;
        match sock.kind {
            Kind::Stream => {
                check(flags, common | MSG_ERRQUEUE)?;
                if flags & MSG_ERRQUEUE != 0 {
                    // What the network says of a stream fails its calls, and is in no queue.
                    return Err(Errno::EAGAIN);
                }
                let stream = sock.stream(Errno::ENOTCONN)?;
                let length = recv_stream(&sock, &stream, out, flags)?;
                Ok(Message { length, from: None, control: Control::default(), flags: 0 })
            }
            Kind::Datagram => {
                check(flags, common | MSG_TRUNC | MSG_ERRQUEUE)?;
                self.recv_datagram(&sock, out, flags)
            }
            Kind::Ping => {
                check(flags, common & !MSG_PEEK | MSG_TRUNC | MSG_ERRQUEUE)?;
                self.recv_ping(&sock, out, flags)
            }
        }
    }

    fn recv_datagram(&self, sock: &Sock, out: &mut [u8], flags: i32) -> Result<Message, Errno> {
        let socket = sock.datagram(&self.core)?;
        if flags & MSG_ERRQUEUE != 0 {
            let error = socket.with(|it| it.take_network_error())?.ok_or(Errno::EAGAIN)?;
            let from = Some(sock.family.tell(error.remote));
            let control = Control { error: Some(error), ..Control::default() };
            return Ok(Message { length: 0, from, control, flags: MSG_ERRQUEUE });
        }
        let mut whole = 0;
        let (datagram, own) = socket.recv(sock.reading(flags), |it| {
            whole = it.next_len().unwrap_or(0);
            let peeks = flags & MSG_PEEK != 0;
            let came = if peeks { it.peek_datagram(out) } else { it.recv_datagram(out) };
            came.map(|came| (came, it.answering_from(&came)))
        })?;
        let is_cut = whole > datagram.len;
        let length = if flags & MSG_TRUNC != 0 { whole.max(datagram.len) } else { datagram.len };
        let control = sock.state().asked.of(sock.family, &datagram, own);
        let from = Some(sock.family.tell(datagram.from));
        Ok(Message { length, from, control, flags: if is_cut { MSG_TRUNC } else { 0 } })
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
    let (mut filled, total) = (0, out.len());
    let shard = &stream.core.shard;
    let answer = shard.block_on(stream.read_key(), sock.reading(flags), |engine, now| {
        loop {
            let rest = &mut out[filled..];
            let is_first = filled == 0;
            let answer = stream.try_recv(engine, now, |socket, now| {
                // An error that ends the call halfway is the next call's.
                let is_over = socket.unread() == 0 && socket.readiness().contains(Readiness::ERROR);
                if is_over && !is_first { Ok(0) } else { socket.recv(now, rest) }
            });
            match answer? {
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
        Ok(Err(errno)) if filled == 0 => Err(errno),
        Err(why) if filled == 0 => Err(why.into()),
        Ok(_) | Err(_) => Ok(filled),
    }
}

/// MSG_WAITALL with MSG_PEEK: waits until so much is there.
fn peek_all(sock: &Sock, stream: &TcpSocket, out: &mut [u8], flags: i32) -> Result<usize, Errno> {
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
