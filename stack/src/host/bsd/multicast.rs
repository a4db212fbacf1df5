//! Groups: IP_ADD_MEMBERSHIP, IPV6_JOIN_GROUP and what goes with them, with sources too (RFC 3678).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::socket::{Role, Sock};
use super::{
    Bsd, INTERFACE, IP_ADD_MEMBERSHIP, IP_ADD_SOURCE_MEMBERSHIP, IP_BLOCK_SOURCE,
    IP_DROP_MEMBERSHIP, IP_DROP_SOURCE_MEMBERSHIP, IP_MULTICAST_IF, IP_UNBLOCK_SOURCE, IPPROTO_IP,
    IPPROTO_IPV6, IPV6_JOIN_GROUP, IPV6_LEAVE_GROUP, IPV6_MULTICAST_IF, MCAST_BLOCK_SOURCE,
    MCAST_JOIN_GROUP, MCAST_JOIN_SOURCE_GROUP, MCAST_LEAVE_GROUP, MCAST_LEAVE_SOURCE_GROUP,
    MCAST_UNBLOCK_SOURCE, socket_address,
};
use crate::SourceChange;
use crate::host::errno::Errno;
use crate::net::multicast::filter::GroupChange;
use crate::udp::table::UdpLimits;
use crate::wire::address::Address;
use crate::wire::interface::InterfaceId;

/// Where the address of a group stands in a `struct group_req`: as a pointer would.
const STORAGE_AT: usize = size_of::<usize>();

/// The length of a `struct sockaddr_storage`.
const STORAGE: usize = 128;

/// What a value asks for.
enum Wish {
    Change(Address, GroupChange),
    /// An interface for groups: there is one.
    Interface,
}

impl Bsd {
    /// Sets an option of this kind; None: it is another.
    pub(super) fn set_group(
        &self,
        sock: &Sock,
        level: i32,
        name: i32,
        value: &[u8],
    ) -> Option<Result<(), Errno>> {
        let (join, leave) = (GroupChange::Join, GroupChange::Leave);
        let wish = match (level, name) {
            (IPPROTO_IP, IP_MULTICAST_IF) => self.interface_v4(value).map(|()| Wish::Interface),
            (IPPROTO_IPV6, IPV6_MULTICAST_IF) => {
                four(value, 0).and_then(index).map(|()| Wish::Interface)
            }
            (IPPROTO_IP, IP_ADD_MEMBERSHIP) => self.request_v4(value, join),
            (IPPROTO_IP, IP_DROP_MEMBERSHIP) => self.request_v4(value, leave),
            (IPPROTO_IP, IP_UNBLOCK_SOURCE..=IP_DROP_SOURCE_MEMBERSHIP) => {
                self.source_request_v4(value, name)
            }
            (IPPROTO_IPV6, IPV6_JOIN_GROUP) => request_v6(value, join),
            (IPPROTO_IPV6, IPV6_LEAVE_GROUP) => request_v6(value, leave),
            (IPPROTO_IP | IPPROTO_IPV6, MCAST_JOIN_GROUP) => request(level, value, join),
            (IPPROTO_IP | IPPROTO_IPV6, MCAST_LEAVE_GROUP) => request(level, value, leave),
            (IPPROTO_IP | IPPROTO_IPV6, MCAST_BLOCK_SOURCE..=MCAST_LEAVE_SOURCE_GROUP) => {
                source_request(level, value, name)
            }
            _ => return None,
        };
        Some(wish.and_then(|wish| grant(sock, wish)))
    }

    /// A `struct ip_mreq` or `ip_mreqn`: the group, and the interface by an address or a number.
    fn request_v4(&self, value: &[u8], change: GroupChange) -> Result<Wish, Errno> {
        self.interface_v4(value.get(4..).unwrap_or_default())?;
        Ok(Wish::Change(Address::v4(four(value, 0)?), change))
    }

    /// A `struct ip_mreq_source`: the group, the interface by an address, and the source.
    fn source_request_v4(&self, value: &[u8], name: i32) -> Result<Wish, Errno> {
        let source = Address::v4(four(value, 8)?);
        self.interface_v4(&four(value, 4)?)?;
        let group = Address::v4(four(value, 0)?);
        Ok(Wish::Change(group, GroupChange::Source(source_change(name)?, source)))
    }

    /// An address of the interface, behind it perhaps its number.
    fn interface_v4(&self, value: &[u8]) -> Result<(), Errno> {
        let address = Ipv4Addr::from(four(value, 0)?);
        if let Ok(number) = four(value, 4) {
            index(number)?;
        }
        let is_own = self.core.shard.call(|engine, _| {
            engine.stack.addresses().any(|own| own.cidr.address == IpAddr::from(address))
        });
        if address.is_unspecified() || is_own { Ok(()) } else { Err(Errno::ENODEV) }
    }
}

/// What an option does with a source.
fn source_change(name: i32) -> Result<SourceChange, Errno> {
    match name {
        IP_ADD_SOURCE_MEMBERSHIP | MCAST_JOIN_SOURCE_GROUP => Ok(SourceChange::Join),
        IP_DROP_SOURCE_MEMBERSHIP | MCAST_LEAVE_SOURCE_GROUP => Ok(SourceChange::Leave),
        IP_BLOCK_SOURCE | MCAST_BLOCK_SOURCE => Ok(SourceChange::Block),
        IP_UNBLOCK_SOURCE | MCAST_UNBLOCK_SOURCE => Ok(SourceChange::Unblock),
        _ => Err(Errno::ENOPROTOOPT),
    }
}

/// A `struct ipv6_mreq`.
fn request_v6(value: &[u8], change: GroupChange) -> Result<Wish, Errno> {
    let (group, rest) = value.split_first_chunk::<16>().ok_or(Errno::EINVAL)?;
    index(four(rest, 0)?)?;
    Ok(Wish::Change(Address::from(IpAddr::from(Ipv6Addr::from(*group))), change))
}

/// A `struct group_req`: the number of the interface, and the group.
fn request(level: i32, value: &[u8], change: GroupChange) -> Result<Wish, Errno> {
    index(four(value, 0)?)?;
    Ok(Wish::Change(stored(level, value, STORAGE_AT)?, change))
}

/// A `struct group_source_req`: the source behind that.
fn source_request(level: i32, value: &[u8], name: i32) -> Result<Wish, Errno> {
    let source = stored(level, value, STORAGE_AT + STORAGE)?;
    let change = GroupChange::Source(source_change(name)?, source);
    request(level, value, change)
}

/// The address in a `struct sockaddr_storage` at this place, of the option's IP version.
fn stored(level: i32, value: &[u8], at: usize) -> Result<Address, Errno> {
    let storage = value.get(at..at + STORAGE).ok_or(Errno::EINVAL)?;
    let address = socket_address(storage)?.ok_or(Errno::EINVAL)?.ip();
    if address.is_ipv4() == (level == IPPROTO_IP) { Ok(address.into()) } else { Err(Errno::EINVAL) }
}

fn four(value: &[u8], at: usize) -> Result<[u8; 4], Errno> {
    value.get(at..at + 4).and_then(|it| it.try_into().ok()).ok_or(Errno::EINVAL)
}

/// The number of an interface; 0 is any.
fn index(number: [u8; 4]) -> Result<(), Errno> {
    let known = [0, INTERFACE].contains(&u32::from_ne_bytes(number));
    if known { Ok(()) } else { Err(Errno::ENODEV) }
}

fn grant(sock: &Sock, wish: Wish) -> Result<(), Errno> {
    let Wish::Change(group, change) = wish else { return Ok(()) };
    let mut state = sock.state();
    if let Role::Datagram(socket) = &state.role {
        return Ok(socket.with(|it| it.change_group(None, group, change))??);
    }
    // It joins when it gets its address.
    if !group.is_multicast() {
        return Err(Errno::EINVAL);
    }
    let UdpLimits { groups, sources, .. } = UdpLimits::default();
    let after = state.groups.after(InterfaceId::FIRST, group, change, groups, sources)?;
    state.groups.set(InterfaceId::FIRST, group, after);
    Ok(())
}
