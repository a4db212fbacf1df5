//! A listener whose `accept` is a future.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use super::TcpStream;
use crate::ListenOptions;
use crate::host::errno::Errno;
use crate::host::sockaddr::ToSocketAddrs;
use crate::host::task::Slot;
use crate::host::tcp_socket::TcpSocket;
use crate::host::watch::to_read;
use crate::host::{Host, TcpListener as Blocking, TcpStream as BlockingStream};

/// A TCP socket that listens, for async programs; with the feature `futures` a `Stream` of
/// connections.
pub struct TcpListener {
    blocking: Blocking,
    accepting: Slot,
}

impl TcpListener {
    /// Listens on the first of `addresses` that is free.
    ///
    /// # Errors
    /// Those of [`host::TcpListener::bind`](Blocking::bind).
    pub fn bind(host: &Host, addresses: impl ToSocketAddrs) -> io::Result<TcpListener> {
        Ok(Blocking::bind(host, addresses)?.into())
    }

    /// Listens with options.
    ///
    /// # Errors
    /// Those of [`bind`](Self::bind).
    pub fn bind_with(
        host: &Host,
        address: SocketAddr,
        options: ListenOptions,
    ) -> io::Result<TcpListener> {
        Ok(Blocking::bind_with(host, address, options)?.into())
    }

    /// The listener as a blocking program has it.
    pub fn get_ref(&self) -> &Blocking {
        &self.blocking
    }

    /// Waits for a connection. Any number of futures may wait on one listener; a connection wakes
    /// one of them, and if that one is dropped, the next.
    ///
    /// # Errors
    /// The host has been shut down.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let socket = &self.blocking.socket;
        let slot = Slot::new(&socket.core, to_read(socket.socket_id()));
        let accepted = poll_fn(|cx| slot.poll(cx, |patience| socket.accept(patience))).await;
        Self::dress(accepted)
    }

    /// Polls an [`accept`](Self::accept). The waker of the latest poll is woken.
    ///
    /// # Errors
    /// Those of [`accept`](Self::accept).
    pub fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let socket = &self.blocking.socket;
        self.accepting.poll(cx, |patience| socket.accept(patience)).map(Self::dress)
    }

    /// The address and port it listens on.
    ///
    /// # Errors
    /// None.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.blocking.local_addr()
    }

    fn dress(accepted: Result<TcpSocket, Errno>) -> io::Result<(TcpStream, SocketAddr)> {
        let socket = accepted?;
        let remote = socket.remote;
        Ok((BlockingStream::of(socket).into(), remote))
    }
}

impl From<Blocking> for TcpListener {
    fn from(blocking: Blocking) -> TcpListener {
        let (core, id) = (&blocking.socket.core, blocking.socket.socket_id());
        let accepting = Slot::new(core, to_read(id));
        TcpListener { blocking, accepting }
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.blocking.fmt(f)
    }
}
