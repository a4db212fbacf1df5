//! `TcpStream`, in the shape of std's.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::block::Patience;
use super::errno::Errno;
use super::runtime::Host;
use super::sockaddr::{ToSocketAddrs, try_each};
use super::tcp_socket::{Half, TcpSocket};
use crate::tcp::tcb::More;
use crate::{Bytes, ConnectOptions, TcpInfo, TcpOptions};

/// A TCP connection, in the shape of [`std::net::TcpStream`].
///
/// It is closed when its last clone is dropped. `&TcpStream` reads and writes too, so that two
/// threads can share one connection, one for each direction.
///
/// ```
/// use std::io::{Read, Write};
/// # use stack::host::{Host, TcpListener, TcpStream};
/// # use stack::{Config, Mac};
/// # fn host(last: u8, device: tapdev::PairEnd) -> Host {
/// #     let mut config = Config::new(Mac([2, 0, 0, 0, 0, last]));
/// #     config.addresses = vec![format!("192.0.2.{last}/24").parse().unwrap()];
/// #     Host::new(config, device).unwrap()
/// # }
/// # fn main() -> std::io::Result<()> {
/// # let (left, right) = tapdev::pair(1500, 1000);
/// # let (server, client) = (host(1, left), host(2, right));
/// # let listener = TcpListener::bind(&server, "192.0.2.1:80")?;
/// let mut stream = TcpStream::connect(&client, "192.0.2.1:80")?;
/// stream.set_nodelay(true)?;
/// stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
/// # let mut far = listener.accept()?.0;
/// # far.read_exact(&mut [0; 18])?;
/// # far.write_all(b"HTTP/1.0 200 OK\r\n\r\n")?;
/// # drop(far);
/// let mut answer = String::new();
/// stream.read_to_string(&mut answer)?;
/// # assert_eq!(answer, "HTTP/1.0 200 OK\r\n\r\n");
/// # Ok(())
/// # }
/// ```
pub struct TcpStream {
    pub(crate) socket: Arc<TcpSocket>,
}

impl TcpStream {
    pub(crate) fn of(socket: TcpSocket) -> TcpStream {
        TcpStream { socket: Arc::new(socket) }
    }

    /// Connects to the first of `addresses` that accepts, from an address and port of the
    /// stack's choice.
    ///
    /// # Errors
    /// Of the last address tried: `ConnectionRefused`, `TimedOut`, `HostUnreachable`,
    /// `NetworkUnreachable`, `AddrNotAvailable` when no port is free; `InvalidInput` for a name.
    pub fn connect(host: &Host, addresses: impl ToSocketAddrs) -> io::Result<TcpStream> {
        try_each(addresses, |address| {
            Self::open(host, address, ConnectOptions::default(), Patience::Forever)
        })
    }

    /// Connects, and gives up after `timeout`.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect); `TimedOut` after `timeout`; `InvalidInput` if that is
    /// zero.
    pub fn connect_timeout(
        host: &Host,
        address: &SocketAddr,
        timeout: Duration,
    ) -> io::Result<TcpStream> {
        if timeout.is_zero() {
            return Err(Errno::EINVAL.into());
        }
        Self::open(host, *address, ConnectOptions::default(), Patience::For(timeout))
    }

    /// Connects with options that must be known before the SYN: a local address, buffer sizes,
    /// the largest segment.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect), and `AddrInUse`.
    pub fn connect_with(
        host: &Host,
        address: SocketAddr,
        options: ConnectOptions,
    ) -> io::Result<TcpStream> {
        Self::open(host, address, options, Patience::Forever)
    }

    /// Connects and sends `text`, with the SYN as far as it fits there and the server's cookie is
    /// known (RFC 7413); if not, after the handshake, which then asks for the cookie. Wants
    /// `FastOpen::CLIENT` in `TcpConfig::fast_open`. The text must be such that the server may hear
    /// it twice.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect). What goes wrong after some of the text has gone is told
    /// by the next call.
    pub fn connect_and_send(
        host: &Host,
        address: SocketAddr,
        options: ConnectOptions,
        text: &[u8],
    ) -> io::Result<TcpStream> {
        if text.is_empty() {
            return Self::connect_with(host, address, options);
        }
        let tcp = TcpOptions { fast_open_connect: true, ..options.tcp };
        let socket = TcpSocket::start(&host.core, address, ConnectOptions { tcp, ..options })?;
        socket.send(text, Patience::Forever)?;
        Ok(Self::of(socket))
    }

    /// Begins to connect, and returns a non-blocking socket at once. It becomes writable when the
    /// connection is established or has failed; [`take_error`](Self::take_error) tells which.
    ///
    /// # Errors
    /// What can be known at once: no route, no free port, an address nobody can connect to.
    pub fn connect_nonblocking(
        host: &Host,
        address: SocketAddr,
        options: ConnectOptions,
    ) -> io::Result<TcpStream> {
        let socket = TcpSocket::start(&host.core, address, options)?;
        socket.modes.set_nonblocking(true);
        Ok(Self::of(socket))
    }

    fn open(
        host: &Host,
        address: SocketAddr,
        options: ConnectOptions,
        patience: Patience<'_>,
    ) -> io::Result<TcpStream> {
        let socket = TcpSocket::start(&host.core, address, options)?;
        match socket.finish_connect(patience) {
            Ok(()) => Ok(Self::of(socket)),
            Err(Errno::EAGAIN) => Err(Errno::ETIMEDOUT.into()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Another handle to the same connection.
    ///
    /// # Errors
    /// None: it returns a `Result` for the sake of std's shape.
    pub fn try_clone(&self) -> io::Result<TcpStream> {
        Ok(TcpStream { socket: Arc::clone(&self.socket) })
    }

    /// The address and port of this end.
    ///
    /// # Errors
    /// None.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.socket.local)
    }

    /// The address and port of the other end.
    ///
    /// # Errors
    /// `NotConnected` before the connection is established and after it has ended.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.socket.peer()?)
    }

    /// Ends one or both halves: `Write` sends a FIN after all that was written, `Read` makes reads
    /// answer the end of the stream where they would wait. What has come, or still comes, can be
    /// read before, as in Linux.
    ///
    /// # Errors
    /// `NotConnected` if there is no connection (any more).
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        let half = match how {
            Shutdown::Read => Half::Read,
            Shutdown::Write => Half::Write,
            Shutdown::Both => Half::Both,
        };
        Ok(self.socket.shutdown(half)?)
    }

    /// Reads what is there without taking it away.
    ///
    /// # Errors
    /// Those of reading.
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.socket.peek(buf, self.socket.modes.reading())?)
    }

    /// How long a read may block; `None`: for ever. Then it fails with `WouldBlock`, as std's
    /// does on Linux.
    ///
    /// # Errors
    /// `InvalidInput` for zero.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        Ok(self.socket.modes.set_read_timeout(timeout)?)
    }

    /// How long a write may block; `None`: for ever.
    ///
    /// # Errors
    /// `InvalidInput` for zero.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        Ok(self.socket.modes.set_write_timeout(timeout)?)
    }

    /// The read time-out.
    ///
    /// # Errors
    /// None.
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.socket.modes.read_timeout())
    }

    /// The write time-out.
    ///
    /// # Errors
    /// None.
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.socket.modes.write_timeout())
    }

    /// Whether calls fail with `WouldBlock` where they would block.
    ///
    /// # Errors
    /// None.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.socket.modes.set_nonblocking(nonblocking);
        Ok(())
    }

    /// The error that came up since the last call, and clears it.
    ///
    /// # Errors
    /// The host has been shut down.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        Ok(self.socket.take_error()?.map(io::Error::from))
    }

    /// Whether small segments are sent at once (true) or gathered by Nagle's rule (false).
    ///
    /// # Errors
    /// The host has been shut down.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        Ok(self.socket.adjust(|options| options.nodelay = nodelay)?)
    }

    /// Whether Nagle's rule is off.
    ///
    /// # Errors
    /// The host has been shut down.
    pub fn nodelay(&self) -> io::Result<bool> {
        Ok(self.socket.options()?.nodelay)
    }

    /// Whether only full segments are sent; what is left waits for more, 200 ms at most. Turning
    /// it off sends what waits.
    ///
    /// # Errors
    /// The host has been shut down.
    pub fn set_cork(&self, cork: bool) -> io::Result<()> {
        Ok(self.socket.adjust(|options| options.cork = cork)?)
    }

    /// How many bytes may wait to be sent before the stream is not writable; `None`: as many as
    /// the send buffer holds. A small number keeps what is written fresh.
    ///
    /// # Errors
    /// The host has been shut down.
    pub fn set_notsent_lowat(&self, bytes: Option<u32>) -> io::Result<()> {
        Ok(self.socket.adjust(|options| options.notsent_lowat = bytes)?)
    }

    /// Sends `bytes`, as `write` does, and says that more follows at once: what does not fill a
    /// segment waits for it, 200 ms at most.
    ///
    /// # Errors
    /// As `write`.
    pub fn write_more(&self, bytes: &[u8]) -> io::Result<usize> {
        let (parts, patience) = ([IoSlice::new(bytes)], self.socket.modes.writing());
        Ok(self.socket.send_vectored(&parts, More::Follows, patience)?)
    }

    /// Writes without a copy: lends `write` the room for up to `most` bytes of the send buffer, in
    /// the two pieces in which it lies, and sends as many as `write` returns to have put there.
    /// Waits for room, as [`Write::write`] does. All other calls to this host wait for the closure;
    /// one from within it would wait for ever.
    ///
    /// # Errors
    /// As `write`; then the closure has not been called.
    pub fn send_with(
        &self,
        most: usize,
        write: impl FnOnce([&mut [u8]; 2]) -> usize,
    ) -> io::Result<usize> {
        Ok(self.socket.send_with(most, write, self.socket.modes.writing())?)
    }

    /// Writes without a copy: takes bytes off the front of `text`, as many as there is room for in
    /// the send buffer, and sends them from where they lie, which stays allocated until the peer
    /// has acknowledged them. Less than 1 KiB is copied all the same. Waits for room, as
    /// [`Write::write`] does; returns how many bytes were taken. What owns the memory is dropped
    /// with the host locked: if it is of a type of your own, it must not call the host then.
    ///
    /// # Errors
    /// As `write`.
    pub fn send_shared(&self, text: &mut Bytes) -> io::Result<usize> {
        Ok(self.socket.send_shared(text, More::Unknown, self.socket.modes.writing())?)
    }

    /// As [`TcpStream::send_shared`], and says that more follows at once, as
    /// [`TcpStream::write_more`] does.
    ///
    /// # Errors
    /// As `write`.
    pub fn send_shared_more(&self, text: &mut Bytes) -> io::Result<usize> {
        Ok(self.socket.send_shared(text, More::Follows, self.socket.modes.writing())?)
    }

    /// Reads without a copy: lends `read` all that has arrived, in the two pieces in which it lies,
    /// and drops as many bytes as `read` returns to have used. Waits for text, as [`Read::read`]
    /// does; at the end of the stream nothing is lent. All other calls to this host wait for the
    /// closure; one from within it would wait for ever.
    ///
    /// # Errors
    /// As `read`; then the closure has not been called.
    pub fn recv_with(&self, read: impl FnOnce([&[u8]; 2]) -> usize) -> io::Result<usize> {
        Ok(self.socket.recv_with(read, self.socket.modes.reading())?)
    }

    /// The time to live of packets sent.
    ///
    /// # Errors
    /// `InvalidInput` unless it is 1 to 255; the host has been shut down.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        let ttl = u8::try_from(ttl).ok().filter(|&ttl| ttl > 0).ok_or(Errno::EINVAL)?;
        Ok(self.socket.adjust(|options| options.ttl = ttl)?)
    }

    /// The time to live of packets sent.
    ///
    /// # Errors
    /// The host has been shut down.
    pub fn ttl(&self) -> io::Result<u32> {
        Ok(self.socket.options()?.ttl.into())
    }

    /// What closing does: `None` lets the connection finish by itself; zero resets it; a positive
    /// time makes the closing (the drop of the last clone) wait until the other end has
    /// everything, at most so long.
    ///
    /// # Errors
    /// The host has been shut down.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        Ok(self.socket.adjust(|options| options.linger = linger)?)
    }

    /// What closing does.
    ///
    /// # Errors
    /// The host has been shut down.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        Ok(self.socket.options()?.linger)
    }

    /// Whether an idle connection is probed; the times are in [`options`](Self::options).
    ///
    /// # Errors
    /// The host has been shut down.
    pub fn set_keepalive(&self, keepalive: bool) -> io::Result<()> {
        Ok(self.socket.adjust(|options| options.keepalive = keepalive)?)
    }

    /// Whether an idle connection is probed.
    ///
    /// # Errors
    /// The host has been shut down.
    pub fn keepalive(&self) -> io::Result<bool> {
        Ok(self.socket.options()?.keepalive)
    }

    /// How long what was sent may stay unacknowledged before the connection fails.
    ///
    /// # Errors
    /// The host has been shut down.
    pub fn set_user_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        Ok(self.socket.adjust(|options| options.user_timeout = timeout)?)
    }

    /// How long what was sent may stay unacknowledged.
    ///
    /// # Errors
    /// The host has been shut down.
    pub fn user_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.socket.options()?.user_timeout)
    }

    /// All options of the connection.
    ///
    /// # Errors
    /// The host has been shut down.
    pub fn options(&self) -> io::Result<TcpOptions> {
        Ok(self.socket.options()?)
    }

    /// Sets all options of the connection.
    ///
    /// # Errors
    /// The host has been shut down.
    pub fn set_options(&self, options: TcpOptions) -> io::Result<()> {
        Ok(self.socket.adjust(|current| *current = options)?)
    }

    /// What the engine knows of the connection: state, windows, round-trip time, counters.
    ///
    /// # Errors
    /// The host has been shut down.
    pub fn info(&self) -> io::Result<TcpInfo> {
        Ok(self.socket.info()?)
    }
}

impl Read for &TcpStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.socket.recv(buf, self.socket.modes.reading())?)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        if bufs.iter().all(|buf| buf.is_empty()) {
            return self.read(&mut []);
        }
        // At one time: what arrives meanwhile must not begin a buffer when the last is half full.
        Ok(self.socket.recv_with(|text| scatter(text, bufs), self.socket.modes.reading())?)
    }
}

impl Write for &TcpStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(self.socket.send(buf, self.socket.modes.writing())?)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(self.socket.send_vectored(bufs, More::Unknown, self.socket.modes.writing())?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for TcpStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(bufs)
    }
}

impl Write for TcpStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self).write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("TcpStream");
        out.field("local", &self.socket.local).field("remote", &self.socket.remote).finish()
    }
}

/// Fills the buffers in their order; returns how much of `text` there was room for.
fn scatter(mut text: [&[u8]; 2], bufs: &mut [IoSliceMut<'_>]) -> usize {
    let mut count = 0;
    for buf in bufs {
        let mut room = &mut **buf;
        for part in &mut text {
            let (now, later) = part.split_at(part.len().min(room.len()));
            let (place, rest) = std::mem::take(&mut room).split_at_mut(now.len());
            place.copy_from_slice(now);
            count += now.len();
            (*part, room) = (later, rest);
        }
    }
    count
}
