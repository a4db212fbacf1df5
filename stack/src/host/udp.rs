//! `UdpSocket`, in the shape of std's.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::block::Patience;
use super::errno::Errno;
use super::modes::Modes;
use super::runtime::{Core, Host};
use super::sockaddr::{ToSocketAddrs, destination, try_each};
use super::watch::Key;
use crate::{
    NetworkError, ReceivedDatagram, SendDatagram, SocketId, SourceChange, Udp, UdpId, UdpOptions,
    UdpRecvError, UdpSendError,
};

/// A UDP socket, in the shape of [`std::net::UdpSocket`].
///
/// ```
/// # use stack::host::{Host, UdpSocket};
/// # use stack::{Config, Mac};
/// # fn host(last: u8, device: tapdev::PairEnd) -> Host {
/// #     let mut config = Config::new(Mac([2, 0, 0, 0, 0, last]));
/// #     config.addresses = vec![format!("192.0.2.{last}/24").parse().unwrap()];
/// #     Host::new(config, device).unwrap()
/// # }
/// # fn main() -> std::io::Result<()> {
/// # let (left, right) = tapdev::pair(1500, 1000);
/// # let (near, far) = (host(1, left), host(2, right));
/// let server = UdpSocket::bind(&near, "192.0.2.1:7")?;
/// let client = UdpSocket::bind(&far, "192.0.2.2:0")?;
/// client.send_to(b"hello", "192.0.2.1:7")?;
/// let mut text = [0; 16];
/// let (length, from) = server.recv_from(&mut text)?;
/// assert_eq!((&text[..length], from), (&b"hello"[..], client.local_addr()?));
/// # Ok(())
/// # }
/// ```
pub struct UdpSocket {
    pub(crate) socket: Arc<DatagramSocket>,
}

/// A UDP socket, owned: it is closed when this is dropped.
pub(crate) struct DatagramSocket {
    pub(crate) core: Arc<Core>,
    pub(crate) id: UdpId,
    pub(crate) modes: Modes,
}

impl DatagramSocket {
    pub(crate) fn open(
        core: &Arc<Core>,
        local: SocketAddr,
        options: UdpOptions,
    ) -> Result<DatagramSocket, Errno> {
        let id = core.shard.ask(|engine| {
            if engine.stopping {
                return Err(Errno::ESHUTDOWN);
            }
            Ok(engine.stack.bind_udp_with(local, options)?)
        })?;
        Ok(DatagramSocket { core: Arc::clone(core), id, modes: Modes::default() })
    }

    pub(crate) fn socket_id(&self) -> SocketId {
        SocketId::Udp(self.id)
    }

    /// Runs `call` on the socket, under the lock.
    pub(crate) fn with<T>(&self, call: impl FnOnce(&mut Udp<'_>) -> T) -> Result<T, Errno> {
        self.core.shard.ask(|engine| match engine.stack.udp(self.id) {
            Some(mut socket) => Ok(call(&mut socket)),
            None => Err(Errno::ESHUTDOWN),
        })
    }

    /// The longest packet that the path to the peer carries; None: not connected.
    pub(crate) fn path_mtu(&self) -> Result<Option<usize>, Errno> {
        self.core.shard.call(|engine, now| match engine.stack.udp(self.id) {
            Some(socket) => Ok(socket.path_mtu(now)),
            None => Err(Errno::ESHUTDOWN),
        })
    }

    pub(crate) fn send(
        &self,
        bytes: &[u8],
        how: impl Into<SendDatagram>,
        patience: Patience<'_>,
    ) -> Result<usize, Errno> {
        let how = how.into();
        let key = Key::write(self.socket_id());
        self.core.shard.block_on(key, patience, |engine, now| {
            let Some(mut socket) = engine.stack.udp(self.id) else {
                return Some(Err(Errno::ESHUTDOWN));
            };
            let local = socket.local();
            let to = how.to.map(|to| destination(to, Some(local)));
            match socket.send_datagram(now, bytes, SendDatagram { to, ..how }) {
                Ok(()) => {
                    engine.wrote(bytes.len());
                    Some(Ok(bytes.len()))
                }
                Err(UdpSendError::WouldBlock) => None,
                Err(error) => Some(Err(error.into())),
            }
        })?
    }

    /// Sends as many as there is room for, under one hold of the lock.
    pub(crate) fn send_many<'a>(
        &self,
        datagrams: impl Iterator<Item = (&'a [u8], SocketAddr)>,
        patience: Patience<'_>,
    ) -> Result<usize, Errno> {
        let key = Key::write(self.socket_id());
        let mut datagrams = datagrams.peekable();
        self.core.shard.block_on(key, patience, |engine, now| {
            let Some(mut socket) = engine.stack.udp(self.id) else {
                return Some(Err(Errno::ESHUTDOWN));
            };
            let (mut sent, mut length) = (0, 0);
            while let Some(&(bytes, to)) = datagrams.peek() {
                let to = destination(to, Some(socket.local()));
                match socket.send_to(now, bytes, Some(to)) {
                    Ok(()) => (sent, length) = (sent + 1, length + bytes.len()),
                    // What went before an obstacle is told first.
                    Err(_) if sent > 0 => break,
                    Err(UdpSendError::WouldBlock) => return None,
                    Err(error) => return Some(Err(error.into())),
                }
                datagrams.next();
            }
            engine.wrote(length);
            Some(Ok(sent))
        })?
    }

    pub(crate) fn recv<T>(
        &self,
        patience: Patience<'_>,
        mut take: impl FnMut(&mut Udp<'_>) -> Result<T, UdpRecvError>,
    ) -> Result<T, Errno> {
        let key = Key::read(self.socket_id());
        self.core.shard.block_on(key, patience, |engine, _| {
            let Some(mut socket) = engine.stack.udp(self.id) else {
                return Some(Err(Errno::ESHUTDOWN));
            };
            match take(&mut socket) {
                Ok(found) => Some(Ok(found)),
                Err(UdpRecvError::WouldBlock) => None,
                Err(error) => Some(Err(error.into())),
            }
        })?
    }

    pub(crate) fn adjust(&self, change: impl FnOnce(&mut UdpOptions)) -> Result<(), Errno> {
        self.with(|socket| {
            let mut options = socket.options();
            change(&mut options);
            socket.set_options(options);
        })
    }

    pub(crate) fn connect(&self, remote: SocketAddr) -> Result<(), Errno> {
        Ok(self.with(|socket| socket.connect(destination(remote, Some(socket.local()))))??)
    }

    /// The connected peer. One at port 0 is none, as in Linux.
    pub(crate) fn peer(&self) -> Result<SocketAddr, Errno> {
        let peer = self.with(|socket| socket.remote())?;
        peer.filter(|peer| peer.port() != 0).ok_or(Errno::ENOTCONN)
    }
}

impl Drop for DatagramSocket {
    fn drop(&mut self) {
        self.core.shard.ask(|engine| {
            if let Some(socket) = engine.stack.udp(self.id) {
                socket.close();
            }
            engine.forget(SocketId::Udp(self.id));
        });
    }
}

impl UdpSocket {
    /// Binds to the first of `addresses` that is free; port 0 asks for any free port.
    ///
    /// # Errors
    /// `AddrInUse`, `AddrNotAvailable`; `InvalidInput` for a name.
    pub fn bind(host: &Host, addresses: impl ToSocketAddrs) -> io::Result<UdpSocket> {
        Self::bind_with(host, addresses, UdpOptions::default())
    }

    /// As [`bind`](Self::bind), with options that the socket begins with.
    ///
    /// # Errors
    /// Those of [`bind`](Self::bind).
    pub fn bind_with(
        host: &Host,
        addresses: impl ToSocketAddrs,
        options: UdpOptions,
    ) -> io::Result<UdpSocket> {
        try_each(addresses, |address| {
            let socket = DatagramSocket::open(&host.core, address, options)?;
            Ok(UdpSocket { socket: Arc::new(socket) })
        })
    }

    /// Sends one datagram to the first of `addresses`.
    ///
    /// # Errors
    /// `InvalidInput` for a name or an address nobody can send to, `PermissionDenied` for a
    /// broadcast without the option, EMSGSIZE, `NetworkUnreachable`, and the error that an
    /// earlier datagram met (`ConnectionRefused`).
    pub fn send_to(&self, buf: &[u8], addresses: impl ToSocketAddrs) -> io::Result<usize> {
        let to = addresses.to_socket_addrs()?.next();
        let none = || io::Error::new(io::ErrorKind::InvalidInput, "no address to send to");
        let to = to.ok_or_else(none)?;
        Ok(self.socket.send(buf, Some(to), self.socket.modes.writing())?)
    }

    /// Sends one datagram, with what is said of it alone: the address that it comes from, its time
    /// to live, its type of service.
    ///
    /// # Errors
    /// Those of [`send_to`](Self::send_to); EDESTADDRREQ where neither `how` nor the socket has a
    /// peer; `InvalidInput` for an address to send from that is not the host's.
    pub fn send_datagram(&self, buf: &[u8], how: SendDatagram) -> io::Result<usize> {
        Ok(self.socket.send(buf, how, self.socket.modes.writing())?)
    }

    /// Sends datagrams, each to its address, in one go, as `sendmmsg` does: the lock is taken and
    /// the clock read once for all of them. Returns how many were taken; it waits for room for the
    /// first only.
    ///
    /// # Errors
    /// Those of [`send_to`](Self::send_to), for the first datagram; a later one that fails ends
    /// the batch before it.
    pub fn send_many_to<'a>(
        &self,
        datagrams: impl IntoIterator<Item = (&'a [u8], SocketAddr)>,
    ) -> io::Result<usize> {
        Ok(self.socket.send_many(datagrams.into_iter(), self.socket.modes.writing())?)
    }

    /// Receives one datagram, and says from where. What `buf` cannot hold is lost.
    ///
    /// # Errors
    /// `WouldBlock` when the time-out passes; an error that an earlier datagram met.
    pub fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        Ok(self.socket.recv(self.socket.modes.reading(), |socket| socket.recv_from(buf))?)
    }

    /// Receives one datagram, and says how it came: which address it was for, its time to live, its
    /// type of service.
    ///
    /// # Errors
    /// Those of [`recv_from`](Self::recv_from).
    pub fn recv_datagram(&self, buf: &mut [u8]) -> io::Result<ReceivedDatagram> {
        Ok(self.socket.recv(self.socket.modes.reading(), |socket| socket.recv_datagram(buf))?)
    }

    /// Receives datagrams that are there, each into a buffer of its own, in one go, as `recvmmsg`
    /// with `MSG_WAITFORONE` does: the lock is taken once for all of them. `found` then has their
    /// lengths and where they are from; it waits for the first only. What a buffer cannot hold is
    /// lost.
    ///
    /// # Errors
    /// Those of [`recv_from`](Self::recv_from).
    pub fn recv_many_from(
        &self,
        buffers: &mut [impl AsMut<[u8]>],
        found: &mut Vec<(usize, SocketAddr)>,
    ) -> io::Result<()> {
        found.clear();
        if buffers.is_empty() {
            return Ok(());
        }
        Ok(self.socket.recv(self.socket.modes.reading(), |socket| {
            for buffer in &mut *buffers {
                match socket.recv_from(buffer.as_mut()) {
                    Ok(one) => found.push(one),
                    Err(error) if found.is_empty() => return Err(error),
                    Err(_) => break,
                }
            }
            Ok(())
        })?)
    }

    /// Like `recv_from`, and leaves the datagram where it is.
    ///
    /// # Errors
    /// Those of [`recv_from`](Self::recv_from).
    pub fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        Ok(self.socket.recv(self.socket.modes.reading(), |socket| socket.peek_from(buf))?)
    }

    /// Chooses the peer of `send` and `recv`: datagrams from others are not received any more.
    ///
    /// # Errors
    /// `NetworkUnreachable`, `PermissionDenied` for a broadcast address without the option,
    /// EAFNOSUPPORT for the other IP version, or `InvalidInput` for a name.
    pub fn connect(&self, addresses: impl ToSocketAddrs) -> io::Result<()> {
        try_each(addresses, |address| Ok(self.socket.connect(address)?))
    }

    /// Sends one datagram to the connected peer.
    ///
    /// # Errors
    /// EDESTADDRREQ without one; those of [`send_to`](Self::send_to).
    pub fn send(&self, buf: &[u8]) -> io::Result<usize> {
        Ok(self.socket.send(buf, None, self.socket.modes.writing())?)
    }

    /// Receives one datagram.
    ///
    /// # Errors
    /// Those of [`recv_from`](Self::recv_from).
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.recv_from(buf).map(|(length, _)| length)
    }

    /// Like `recv`, and leaves the datagram where it is.
    ///
    /// # Errors
    /// Those of [`recv_from`](Self::recv_from).
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.peek_from(buf).map(|(length, _)| length)
    }

    /// The address and port of this socket.
    ///
    /// # Errors
    /// The host has been shut down.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.socket.with(|socket| socket.local())?)
    }

    /// The connected peer.
    ///
    /// # Errors
    /// `NotConnected` if there is none.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.socket.peer()?)
    }

    /// Another handle to the same socket.
    ///
    /// # Errors
    /// None.
    pub fn try_clone(&self) -> io::Result<UdpSocket> {
        Ok(UdpSocket { socket: Arc::clone(&self.socket) })
    }

    /// How long a receive may block; `None`: for ever.
    ///
    /// # Errors
    /// `InvalidInput` for zero.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        Ok(self.socket.modes.set_read_timeout(timeout)?)
    }

    /// How long a send may block; `None`: for ever.
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

    /// Takes the oldest of what the network said of this socket's datagrams, if it asked for that
    /// ([`UdpOptions::network_errors`]): who said what of a datagram for whom. A call that was to
    /// receive or send has failed then.
    ///
    /// # Errors
    /// The host was shut down.
    pub fn take_network_error(&self) -> io::Result<Option<NetworkError>> {
        Ok(self.socket.with(|socket| socket.take_network_error())?)
    }

    /// Joins a group: what is sent to it is for this host from now on.
    ///
    /// # Errors
    /// `InvalidInput` for what is no group, `AddrInUse` where it has joined already, ENOBUFS at the
    /// limit, ENODEV without an address of this IP version.
    pub fn join_group(&self, group: IpAddr) -> io::Result<()> {
        Ok(self.socket.with(|socket| socket.join_group(group))?.map_err(Errno::from)?)
    }

    /// Leaves a group.
    ///
    /// # Errors
    /// `AddrNotAvailable`: it had not joined.
    pub fn leave_group(&self, group: IpAddr) -> io::Result<()> {
        Ok(self.socket.with(|socket| socket.leave_group(group))?.map_err(Errno::from)?)
    }

    /// Changes which sources of a group this socket hears.
    ///
    /// # Errors
    /// `InvalidInput` for what is no group and no source, and where the group was joined for all
    /// sources or for some and the change is for the other; `AddrNotAvailable` where nothing
    /// changes; ENOBUFS at the limit, ENODEV without an address of this IP version.
    pub fn change_source(
        &self,
        group: IpAddr,
        source: IpAddr,
        change: SourceChange,
    ) -> io::Result<()> {
        let changed = self.socket.with(|socket| socket.change_source(group, source, change))?;
        Ok(changed.map_err(Errno::from)?)
    }

    /// Whether calls fail with `WouldBlock` where they would block.
    ///
    /// # Errors
    /// None.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.socket.modes.set_nonblocking(nonblocking);
        Ok(())
    }

    /// Whether datagrams may be sent to broadcast addresses.
    ///
    /// # Errors
    /// The host has been shut down.
    pub fn set_broadcast(&self, broadcast: bool) -> io::Result<()> {
        Ok(self.socket.adjust(|options| options.broadcast = broadcast)?)
    }

    /// Whether datagrams may be sent to broadcast addresses.
    ///
    /// # Errors
    /// The host has been shut down.
    pub fn broadcast(&self) -> io::Result<bool> {
        Ok(self.options()?.broadcast)
    }

    /// The time to live of datagrams sent.
    ///
    /// # Errors
    /// `InvalidInput` unless it is 1 to 255; the host has been shut down.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        let ttl = u8::try_from(ttl).ok().filter(|&ttl| ttl > 0).ok_or(Errno::EINVAL)?;
        Ok(self.socket.adjust(|options| options.ttl = ttl)?)
    }

    /// The time to live of datagrams sent.
    ///
    /// # Errors
    /// The host has been shut down.
    pub fn ttl(&self) -> io::Result<u32> {
        Ok(self.options()?.ttl.into())
    }

    /// All options of the socket.
    ///
    /// # Errors
    /// The host has been shut down.
    pub fn options(&self) -> io::Result<UdpOptions> {
        Ok(self.socket.with(|socket| socket.options())?)
    }

    /// Sets all options of the socket.
    ///
    /// # Errors
    /// The host has been shut down.
    pub fn set_options(&self, options: UdpOptions) -> io::Result<()> {
        Ok(self.socket.with(|socket| socket.set_options(options))?)
    }

    /// The error that came up since the last call, and clears it.
    ///
    /// # Errors
    /// The host has been shut down.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        let error = self.socket.with(|socket| socket.take_error())?;
        Ok(error.map(|error| Errno::from(error).into()))
    }
}

impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UdpSocket").field("local", &self.local_addr().ok()).finish()
    }
}
