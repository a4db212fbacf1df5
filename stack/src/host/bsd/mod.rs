//! The BSD socket calls: integers for sockets, [`Errno`] for errors, Linux's semantics.
//!
//! This is the face for C libraries, for ported programs, and for whoever thinks in man pages.
//! The integers are descriptors of one [`Bsd`], not of the kernel.

mod address;
mod constants;
mod control;
mod family;
mod interfaces;
mod multicast;
mod names;
mod options;
mod ping;
mod poll;
mod reservations;
mod socket;
mod sources;
mod tcp_info;
mod transfer;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub use address::{socket_address, socket_address_bytes};
pub use constants::*;
pub use control::{Control, Message, PacketInfo};
pub use options::{
    congestion, congestion_bytes, fast_open_key_bytes, fast_open_keys, linger, linger_bytes,
    pacing_rate, pacing_rate_bytes, set_tcp_option, tcp_option, timeval, timeval_bytes,
};
pub use poll::{FdSet, PollFd, poll_bits};
pub use tcp_info::{idle_info_bytes, listener_info_bytes, tcp_info_bytes};

use super::errno::Errno;
use super::runtime::{Core, Host};
use family::Family;
use reservations::Reservations;
use socket::{Kind, Sock};

/// The most descriptors of one [`Bsd`]; one more is EMFILE.
pub const DESCRIPTORS_MAX: usize = 1 << 20;

/// The last of Linux's types of sockets, SOCK_PACKET.
const TYPE_MAX: i32 = 10;

/// A table of descriptors over one host. All calls may be made from any thread.
///
/// ```
/// use stack::host::Host;
/// use stack::host::bsd::{AF_INET, Bsd, SOCK_STREAM};
/// # use stack::{Config, Mac};
/// # fn host(last: u8, device: tapdev::PairEnd) -> Host {
/// #     let mut config = Config::new(Mac([2, 0, 0, 0, 0, last]));
/// #     config.addresses = vec![format!("192.0.2.{last}/24").parse().unwrap()];
/// #     Host::new(config, device).unwrap()
/// # }
/// # let (left, right) = tapdev::pair(1500, 1000);
/// # let (server, client) = (host(1, left), host(2, right));
/// let (server, client) = (Bsd::new(&server), Bsd::new(&client));
/// let listener = server.socket(AF_INET, SOCK_STREAM, 0)?;
/// server.bind(listener, "192.0.2.1:7".parse().unwrap())?;
/// server.listen(listener, 16)?;
///
/// let near = client.socket(AF_INET, SOCK_STREAM, 0)?;
/// client.connect(near, "192.0.2.1:7".parse().unwrap())?;
/// let (far, _peer) = server.accept(listener)?;
/// assert_eq!(client.send(near, b"hello", 0)?, 5);
/// let mut text = [0; 16];
/// assert_eq!(server.recv(far, &mut text, 0)?, 5);
/// client.close(near)?;
/// assert_eq!(server.recv(far, &mut text, 0)?, 0);
/// # Ok::<(), stack::host::Errno>(())
/// ```
pub struct Bsd {
    core: Arc<Core>,
    table: RwLock<Table>,
    reservations: Reservations,
}

#[derive(Default)]
struct Table {
    slots: Vec<Option<Arc<Sock>>>,
    free: BinaryHeap<Reverse<i32>>,
}

impl Table {
    /// The lowest free number, as POSIX wants it.
    fn insert(&mut self, sock: Arc<Sock>) -> Result<i32, Errno> {
        if let Some(Reverse(fd)) = self.free.pop() {
            self.slots[fd as usize] = Some(sock);
            return Ok(fd);
        }
        if self.slots.len() >= DESCRIPTORS_MAX {
            return Err(Errno::EMFILE);
        }
        self.slots.push(Some(sock));
        Ok((self.slots.len() - 1) as i32)
    }

    fn get(&self, fd: i32) -> Result<&Arc<Sock>, Errno> {
        let slot = usize::try_from(fd).ok().and_then(|fd| self.slots.get(fd));
        slot.and_then(Option::as_ref).ok_or(Errno::EBADF)
    }

    fn remove(&mut self, fd: i32) -> Result<Arc<Sock>, Errno> {
        self.get(fd)?;
        let sock = self.slots[fd as usize].take().ok_or(Errno::EBADF)?;
        self.free.push(Reverse(fd));
        Ok(sock)
    }
}

impl Bsd {
    /// An empty table for sockets of `host`, which it keeps alive.
    pub fn new(host: &Host) -> Bsd {
        Bsd {
            core: Arc::clone(&host.core),
            table: RwLock::default(),
            reservations: Reservations::default(),
        }
    }

    /// Makes a socket: AF_INET or AF_INET6, with SOCK_STREAM or SOCK_DGRAM, `or`ed with
    /// SOCK_NONBLOCK if it is not to block; `protocol` is 0 or the one that fits, or for SOCK_DGRAM
    /// the family's ICMP: a socket that sends echo requests and receives the answers, each with
    /// its ICMP header. The identifier in them is the socket's port.
    ///
    /// # Errors
    /// EAFNOSUPPORT, ESOCKTNOSUPPORT, EPROTONOSUPPORT, EMFILE; EINVAL for what is no type, no flag
    /// or no protocol at all.
    pub fn socket(&self, domain: i32, kind: i32, protocol: i32) -> Result<i32, Errno> {
        let family = Family::of(domain)?;
        let none = !(0..=TYPE_MAX).contains(&(kind & !(SOCK_NONBLOCK | SOCK_CLOEXEC)));
        if none || protocol < 0 {
            return Err(Errno::EINVAL);
        }
        let (sock, expected) = match kind & !(SOCK_NONBLOCK | SOCK_CLOEXEC) {
            SOCK_STREAM => (Sock::new(family, Kind::Stream), IPPROTO_TCP),
            SOCK_DGRAM if protocol == family.icmp() => (Sock::new(family, Kind::Ping), protocol),
            SOCK_DGRAM => (Sock::new(family, Kind::Datagram), IPPROTO_UDP),
            _ => return Err(Errno::ESOCKTNOSUPPORT),
        };
        if protocol != 0 && protocol != expected {
            return Err(Errno::EPROTONOSUPPORT);
        }
        sock.modes.set_nonblocking(kind & SOCK_NONBLOCK != 0);
        self.write().insert(Arc::new(sock))
    }

    /// Closes a descriptor. When it was the last of its socket, and no call is under way on it,
    /// the socket is closed; SO_LINGER says how.
    ///
    /// # Errors
    /// EBADF.
    pub fn close(&self, fd: i32) -> Result<(), Errno> {
        let sock = self.write().remove(fd)?;
        // Without the lock of the table, for lingering takes time.
        drop(sock);
        Ok(())
    }

    /// Another descriptor for the same socket.
    ///
    /// # Errors
    /// EBADF, EMFILE.
    pub fn dup(&self, fd: i32) -> Result<i32, Errno> {
        let sock = self.sock(fd)?;
        self.write().insert(sock)
    }

    /// Sets or clears O_NONBLOCK, which all descriptors of a socket share.
    ///
    /// # Errors
    /// EBADF.
    pub fn set_nonblocking(&self, fd: i32, nonblocking: bool) -> Result<(), Errno> {
        self.sock(fd)?.modes.set_nonblocking(nonblocking);
        Ok(())
    }

    /// Whether O_NONBLOCK is set.
    ///
    /// # Errors
    /// EBADF.
    pub fn is_nonblocking(&self, fd: i32) -> Result<bool, Errno> {
        Ok(self.sock(fd)?.modes.is_nonblocking())
    }

    fn sock(&self, fd: i32) -> Result<Arc<Sock>, Errno> {
        self.read().get(fd).cloned()
    }

    /// No code panics under this lock: a poisoned one is as good as any.
    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Bsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bsd").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_number_comes_first() {
        let mut table = Table::default();
        let sock = || Arc::new(Sock::new(Family::V4, Kind::Stream));
        let made: Vec<_> = (0..4).map(|_| table.insert(sock()).unwrap()).collect();
        assert_eq!(made, [0, 1, 2, 3]);
        for fd in [2, 0, 1] {
            table.remove(fd).unwrap();
        }
        assert_eq!(table.remove(1).err(), Some(Errno::EBADF));
        assert_eq!(table.get(-1).err(), Some(Errno::EBADF));
        let made: Vec<_> = (0..4).map(|_| table.insert(sock()).unwrap()).collect();
        assert_eq!(made, [0, 1, 2, 4]);
    }
}
