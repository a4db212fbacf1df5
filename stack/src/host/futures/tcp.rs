//! A connection whose calls are futures.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::task::{Context, Poll};

use crate::host::sockaddr::ToSocketAddrs;
use crate::host::task::Slot;
use crate::host::tcp_socket::TcpSocket;
use crate::host::watch::{to_read, to_write};
use crate::host::{Host, TcpStream as Blocking};
use crate::tcp::tcb::More;
use crate::{Bytes, ConnectOptions};

/// A TCP connection for async programs.
///
/// The futures of [`read`](Self::read) and [`write`](Self::write) borrow the stream only, so that
/// two of them can wait at the same time; for halves in two tasks there is
/// [`try_clone`](Self::try_clone). It is closed when its last clone is dropped, at once: an option
/// `linger` above zero would make that drop block.
pub struct TcpStream {
    blocking: Blocking,
    reading: Slot,
    writing: Slot,
}

impl TcpStream {
    /// Connects to the first of `addresses` that accepts. A future that is dropped gives up.
    ///
    /// # Errors
    /// Those of [`host::TcpStream::connect`](Blocking::connect).
    pub async fn connect(host: &Host, addresses: impl ToSocketAddrs) -> io::Result<TcpStream> {
        let addresses: Vec<SocketAddr> = addresses.to_socket_addrs()?.collect();
        let none = io::Error::new(io::ErrorKind::InvalidInput, "no address to try");
        let mut answer = Err(none);
        for address in addresses {
            answer = Self::connect_with(host, address, ConnectOptions::default()).await;
            if answer.is_ok() {
                break;
            }
        }
        answer
    }

    /// Connects with options that must be known before the SYN.
    ///
    /// # Errors
    /// Those of [`host::TcpStream::connect_with`](Blocking::connect_with).
    pub async fn connect_with(
        host: &Host,
        address: SocketAddr,
        options: ConnectOptions,
    ) -> io::Result<TcpStream> {
        let socket = TcpSocket::start(&host.core, address, options)?;
        let slot = Slot::new(&host.core, to_write(socket.socket_id()));
        poll_fn(|cx| slot.poll(cx, |patience| socket.finish_connect(patience))).await?;
        Ok(Blocking::of(socket).into())
    }

    /// The connection as a blocking program has it: for its options, addresses and errors.
    pub fn get_ref(&self) -> &Blocking {
        &self.blocking
    }

    /// The connection for a blocking program.
    pub fn into_blocking(self) -> Blocking {
        self.blocking
    }

    /// Another handle to the same connection, which waits for itself.
    #[must_use]
    pub fn try_clone(&self) -> TcpStream {
        Blocking { socket: self.blocking.socket.clone() }.into()
    }

    /// Reads what is there, once there is something; 0 is the end of the stream.
    ///
    /// # Errors
    /// Those of reading in [`host::TcpStream`](Blocking).
    pub async fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let socket = &self.blocking.socket;
        let slot = Slot::new(&socket.core, to_read(socket.socket_id()));
        Ok(poll_fn(|cx| slot.poll(cx, |patience| socket.recv(buf, patience))).await?)
    }

    /// Like [`read`](Self::read), and leaves the text where it is.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        let socket = &self.blocking.socket;
        let slot = Slot::new(&socket.core, to_read(socket.socket_id()));
        Ok(poll_fn(|cx| slot.poll(cx, |patience| socket.peek(buf, patience))).await?)
    }

    /// Writes as much as there is room for, once there is some.
    ///
    /// # Errors
    /// Those of writing in [`host::TcpStream`](Blocking).
    pub async fn write(&self, buf: &[u8]) -> io::Result<usize> {
        let socket = &self.blocking.socket;
        let slot = Slot::new(&socket.core, to_write(socket.socket_id()));
        Ok(poll_fn(|cx| slot.poll(cx, |patience| socket.send(buf, patience))).await?)
    }

    /// Writes without a copy, once there is room: see [`host::TcpStream::send_shared`](Blocking).
    ///
    /// # Errors
    /// Those of [`write`](Self::write).
    pub async fn send_shared(&self, text: &mut Bytes) -> io::Result<usize> {
        let socket = &self.blocking.socket;
        let slot = Slot::new(&socket.core, to_write(socket.socket_id()));
        let sent = poll_fn(|cx| {
            slot.poll(cx, |patience| socket.send_shared(text, More::Unknown, patience))
        });
        Ok(sent.await?)
    }

    /// Polls a [`read`](Self::read). The waker of the latest poll is woken.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let read = self.reading.poll(cx, |patience| self.blocking.socket.recv(buf, patience));
        read.map_err(io::Error::from)
    }

    /// Polls a [`write`](Self::write) of several parts. The waker of the latest poll is woken.
    ///
    /// # Errors
    /// Those of [`write`](Self::write).
    pub fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.writing.poll(cx, |patience| {
            self.blocking.socket.send_vectored(parts, More::Unknown, patience)
        });
        written.map_err(io::Error::from)
    }

    /// Sends a FIN after all that was written. What has ended by itself is taken for shut down, as
    /// in the sockets of tokio.
    #[cfg(any(feature = "futures", feature = "tokio"))]
    pub(super) fn end(&self) -> io::Result<()> {
        match self.get_ref().shutdown(std::net::Shutdown::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            ended => ended,
        }
    }
}

impl From<Blocking> for TcpStream {
    fn from(blocking: Blocking) -> TcpStream {
        let (core, id) = (&blocking.socket.core, blocking.socket.socket_id());
        let (reading, writing) = (Slot::new(core, to_read(id)), Slot::new(core, to_write(id)));
        TcpStream { blocking, reading, writing }
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.blocking.fmt(f)
    }
}
