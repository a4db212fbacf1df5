//! All sources of a group that a socket hears, at once: IP_MSFILTER and MCAST_MSFILTER (RFC 3678
//! §4.2, §5.2).

use std::net::SocketAddr;

use super::multicast::{STORAGE, STORAGE_AT, four, stored};
use super::socket::{Kind, Role, Sock};
use super::{
    Bsd, IP_MSFILTER, IPPROTO_IP, IPPROTO_IPV6, MCAST_EXCLUDE, MCAST_INCLUDE, MCAST_MSFILTER,
    socket_address_bytes,
};
use crate::host::errno::Errno;
use crate::net::multicast::filter::{Filter, Memberships, Mode};
use crate::udp::table::UdpLimits;
use crate::wire::address::Address;
use crate::wire::interface::InterfaceId;

/// How a value is laid out: group and interface, the mode, the number of sources, and these.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// A `struct ip_msfilter`: addresses of IPv4.
    Short,
    /// A `struct group_filter`: a `struct sockaddr_storage` for each address.
    Long,
}

impl Layout {
    fn of(sock: &Sock, level: i32, name: i32) -> Option<Layout> {
        match (level, name, sock.kind) {
            (IPPROTO_IP, IP_MSFILTER, Kind::Datagram) => Some(Layout::Short),
            (IPPROTO_IP | IPPROTO_IPV6, MCAST_MSFILTER, Kind::Datagram) => Some(Layout::Long),
            _ => None,
        }
    }

    /// Where the sources begin. Before them stand the mode and their number, an unsigned int each.
    fn head(self) -> usize {
        if self == Layout::Short { 16 } else { STORAGE_AT + STORAGE + 8 }
    }

    /// Bytes of a source.
    fn each(self) -> usize {
        if self == Layout::Short { 4 } else { STORAGE }
    }

    fn numbers(self, value: &[u8]) -> Result<[u32; 2], Errno> {
        let number = |at| four(value, at).map(u32::from_ne_bytes);
        Ok([number(self.head() - 8)?, number(self.head() - 4)?])
    }

    fn group(self, level: i32, value: &[u8]) -> Result<Address, Errno> {
        match self {
            Layout::Short => Ok(Address::v4(four(value, 0)?)),
            Layout::Long => stored(level, value, STORAGE_AT),
        }
    }

    fn source(self, level: i32, value: &[u8]) -> Result<Address, Errno> {
        match self {
            Layout::Short => Ok(Address::v4(four(value, 0)?)),
            Layout::Long => stored(level, value, 0),
        }
    }

    fn source_bytes(self, source: Address) -> Vec<u8> {
        match (self, source.as_v4()) {
            (Layout::Short, Some(octets)) => octets.to_vec(),
            _ => socket_address_bytes(SocketAddr::new(source.to_ip(), 0)),
        }
    }
}

impl Bsd {
    /// Sets an option of this kind; None: it is another.
    pub(super) fn set_sources(
        &self,
        sock: &Sock,
        level: i32,
        name: i32,
        value: &[u8],
    ) -> Option<Result<(), Errno>> {
        let layout = Layout::of(sock, level, name)?;
        Some(self.replace(sock, level, layout, value))
    }

    fn replace(&self, sock: &Sock, level: i32, it: Layout, value: &[u8]) -> Result<(), Errno> {
        let [mode, count] = it.numbers(value)?;
        let most = self.core.shard.ask(|engine| engine.stack.config().udp.sources);
        let count = usize::try_from(count).ok().filter(|count| *count <= most);
        let end = it.head() + it.each() * count.ok_or(Errno::ENOBUFS)?;
        let list = value.get(it.head()..end).ok_or(Errno::EINVAL)?;
        // As in Linux, of which IP version what is stored has to be is asked more or less kindly.
        let other = |error| if level == IPPROTO_IP { Errno::EADDRNOTAVAIL } else { error };
        let group = it.group(level, value).map_err(other)?;
        let mut sources = Vec::new();
        for source in list.chunks_exact(it.each()) {
            let source = it.source(level, source).map_err(other)?;
            if !sources.contains(&source) {
                sources.push(source);
            }
        }
        let mode = match mode {
            MCAST_EXCLUDE => Mode::Exclude,
            MCAST_INCLUDE => Mode::Include,
            _ => return Err(Errno::EINVAL),
        };
        let by = self.interface_of_group(it, group, value)?;
        let filter = Filter { mode, sources };
        if level == IPPROTO_IPV6 && by.is_none() && !filter.is_nothing() {
            return Err(Errno::EINVAL);
        }
        let mut state = sock.state();
        if let Role::Datagram(socket) = &state.role {
            return Ok(socket.with(|it| it.replace_filter(by, group, filter))??);
        }
        let by = joined(&state.groups, by, group);
        let after = state.groups.replaced(by, group, filter, UdpLimits::default().sources)?;
        state.groups.set(by, group, after);
        Ok(())
    }

    fn interface_of_group(
        &self,
        layout: Layout,
        group: Address,
        value: &[u8],
    ) -> Result<Option<InterfaceId>, Errno> {
        if !group.is_multicast() {
            return Err(Errno::EINVAL);
        }
        match layout {
            Layout::Short => self.interface_v4(&four(value, 4)?),
            Layout::Long => self.index(value),
        }
    }

    /// Reads an option of this kind, of the group and the interface that `out` names: as many
    /// sources as it has said that there is room for, and how many there are. None: it is another.
    pub(super) fn sources(
        &self,
        sock: &Sock,
        level: i32,
        name: i32,
        out: &mut [u8],
    ) -> Option<Result<usize, Errno>> {
        let layout = Layout::of(sock, level, name)?;
        Some(self.tell_sources(sock, level, layout, out))
    }

    fn tell_sources(
        &self,
        sock: &Sock,
        level: i32,
        it: Layout,
        out: &mut [u8],
    ) -> Result<usize, Errno> {
        let [_, room] = it.numbers(out)?;
        let other = |error| if level == IPPROTO_IPV6 { Errno::EADDRNOTAVAIL } else { error };
        let group = it.group(level, out).map_err(other)?;
        let by = self.interface_of_group(it, group, out)?;
        if it == Layout::Long && by.is_none() {
            return Err(Errno::EADDRNOTAVAIL);
        }
        let state = sock.state();
        let Filter { mode, sources } = match &state.role {
            Role::Datagram(socket) => socket.with(|it| it.filter(by, group))??,
            _ => {
                let filter = state.groups.get(joined(&state.groups, by, group), group);
                filter.cloned().ok_or(Errno::EADDRNOTAVAIL)?
            }
        };
        let mode = if mode == Mode::Include { MCAST_INCLUDE } else { MCAST_EXCLUDE };
        let (head, list) = out.split_at_mut(it.head());
        let count = (sources.len() as u32).to_ne_bytes();
        head[it.head() - 8..].copy_from_slice(&[mode.to_ne_bytes(), count].concat());
        let places = list.chunks_exact_mut(it.each()).take(room as usize);
        let mut length = it.head();
        for (place, source) in places.zip(sources) {
            let bytes = it.source_bytes(source);
            place.fill(0);
            place[..bytes.len()].copy_from_slice(&bytes);
            length += it.each();
        }
        Ok(length)
    }
}

/// Where a socket without an address has joined a group: there, or on an interface still to be
/// found.
fn joined(
    groups: &Memberships<Option<InterfaceId>>,
    by: Option<InterfaceId>,
    group: Address,
) -> Option<InterfaceId> {
    let is_there = |on| groups.get(on, group).is_some();
    match by {
        None if !is_there(None) => groups.place(group).flatten(),
        Some(_) if !is_there(by) && is_there(None) => None,
        by => by,
    }
}
