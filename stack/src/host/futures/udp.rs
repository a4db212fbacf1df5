//! A UDP socket whose calls are futures.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use crate::host::errno::Errno;
use crate::host::sockaddr::ToSocketAddrs;
use crate::host::task::Slot;
use crate::host::watch::{to_read, to_write};
use crate::host::{Host, UdpSocket as Blocking};

/// A UDP socket for async programs.
pub struct UdpSocket {
    blocking: Blocking,
    reading: Slot,
    writing: Slot,
}

impl UdpSocket {
    /// Binds to the first of `addresses` that is free.
    ///
    /// # Errors
    /// Those of [`host::UdpSocket::bind`](Blocking::bind).
    pub fn bind(host: &Host, addresses: impl ToSocketAddrs) -> io::Result<UdpSocket> {
        Ok(Blocking::bind(host, addresses)?.into())
    }

    /// The socket as a blocking program has it: for its options, addresses and errors.
    pub fn get_ref(&self) -> &Blocking {
        &self.blocking
    }

    /// Chooses the peer of [`send`](Self::send) and [`recv`](Self::recv).
    ///
    /// # Errors
    /// Those of [`host::UdpSocket::connect`](Blocking::connect).
    pub fn connect(&self, addresses: impl ToSocketAddrs) -> io::Result<()> {
        self.blocking.connect(addresses)
    }

    /// Sends one datagram.
    ///
    /// # Errors
    /// Those of [`host::UdpSocket::send_to`](Blocking::send_to).
    pub async fn send_to(&self, buf: &[u8], to: SocketAddr) -> io::Result<usize> {
        Ok(self.sending(buf, Some(to)).await?)
    }

    /// Sends one datagram to the connected peer.
    ///
    /// # Errors
    /// Those of [`host::UdpSocket::send`](Blocking::send).
    pub async fn send(&self, buf: &[u8]) -> io::Result<usize> {
        Ok(self.sending(buf, None).await?)
    }

    async fn sending(&self, buf: &[u8], to: Option<SocketAddr>) -> Result<usize, Errno> {
        let socket = &self.blocking.socket;
        let slot = Slot::new(&socket.core, to_write(socket.socket_id()));
        poll_fn(|cx| slot.poll(cx, |patience| socket.send(buf, to, patience))).await
    }

    /// Receives one datagram, and says from where. What `buf` cannot hold is lost.
    ///
    /// # Errors
    /// Those of [`host::UdpSocket::recv_from`](Blocking::recv_from).
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let socket = &self.blocking.socket;
        let slot = Slot::new(&socket.core, to_read(socket.socket_id()));
        let received =
            poll_fn(|cx| slot.poll(cx, |patience| socket.recv(patience, |udp| udp.recv_from(buf))));
        Ok(received.await?)
    }

    /// Receives one datagram.
    ///
    /// # Errors
    /// Those of [`recv_from`](Self::recv_from).
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.recv_from(buf).await?.0)
    }

    /// Polls a [`recv_from`](Self::recv_from). The waker of the latest poll is woken.
    ///
    /// # Errors
    /// Those of [`recv_from`](Self::recv_from).
    pub fn poll_recv_from(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        let socket = &self.blocking.socket;
        let received =
            self.reading.poll(cx, |patience| socket.recv(patience, |udp| udp.recv_from(buf)));
        received.map_err(io::Error::from)
    }

    /// Polls a [`send_to`](Self::send_to). The waker of the latest poll is woken.
    ///
    /// # Errors
    /// Those of [`send_to`](Self::send_to).
    pub fn poll_send_to(
        &mut self,
        cx: &mut Context<'_>,
        buf: &[u8],
        to: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        let socket = &self.blocking.socket;
        let sent = self.writing.poll(cx, |patience| socket.send(buf, Some(to), patience));
        sent.map_err(io::Error::from)
    }
}

impl From<Blocking> for UdpSocket {
    fn from(blocking: Blocking) -> UdpSocket {
        let (core, id) = (&blocking.socket.core, blocking.socket.socket_id());
        let (reading, writing) = (Slot::new(core, to_read(id)), Slot::new(core, to_write(id)));
        UdpSocket { blocking, reading, writing }
    }
}

impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.blocking.fmt(f)
    }
}
