//! Groups: IP_ADD_MEMBERSHIP, IPV6_JOIN_GROUP and what goes with them, with sources too (RFC 3678).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::options::change_udp;
use super::socket::{Kind, Role, Sock};
use super::{
    Bsd, IP_ADD_MEMBERSHIP, IP_ADD_SOURCE_MEMBERSHIP, IP_BLOCK_SOURCE, IP_DROP_MEMBERSHIP,
    IP_DROP_SOURCE_MEMBERSHIP, IP_MULTICAST_IF, IP_UNBLOCK_SOURCE, IPPROTO_IP, IPPROTO_IPV6,
    IPV6_JOIN_GROUP, IPV6_LEAVE_GROUP, IPV6_MULTICAST_IF, MCAST_BLOCK_SOURCE, MCAST_JOIN_GROUP,
    MCAST_JOIN_SOURCE_GROUP, MCAST_LEAVE_GROUP, MCAST_LEAVE_SOURCE_GROUP, MCAST_UNBLOCK_SOURCE,
    socket_address,
};
use crate::SourceChange;
use crate::host::errno::Errno;
use crate::net::multicast::filter::GroupChange;
use crate::udp::table::UdpLimits;
use crate::wire::address::Address;
use crate::wire::interface::InterfaceId;

/// Where the address of a group stands in a `struct group_req`: as a pointer would.
pub(super) const STORAGE_AT: usize = size_of::<usize>();

/// The length of a `struct sockaddr_storage`.
pub(super) const STORAGE: usize = 128;

/// What a value asks for. None: the interface that the routes, or the socket, say.
enum Wish {
    Change(Option<InterfaceId>, Address, GroupChange),
    /// Where what is sent to groups leaves; of IPv4 as an address, if it was given as one.
    Interface(Option<InterfaceId>, Option<Ipv4Addr>),
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
        if sock.kind != Kind::Datagram {
            return None;
        }
        let (join, leave) = (GroupChange::Join, GroupChange::Leave);
        let wish = match (level, name) {
            (IPPROTO_IP, IP_MULTICAST_IF) => self.sending_v4(value),
            (IPPROTO_IPV6, IPV6_MULTICAST_IF) => {
                self.index(value).map(|interface| Wish::Interface(interface, None))
            }
            (IPPROTO_IP, IP_ADD_MEMBERSHIP) => self.request_v4(value, join),
            (IPPROTO_IP, IP_DROP_MEMBERSHIP) => self.request_v4(value, leave),
            (IPPROTO_IP, IP_UNBLOCK_SOURCE..=IP_DROP_SOURCE_MEMBERSHIP) => {
                self.source_request_v4(value, name)
            }
            (IPPROTO_IPV6, IPV6_JOIN_GROUP) => self.request_v6(value, join),
            (IPPROTO_IPV6, IPV6_LEAVE_GROUP) => self.request_v6(value, leave),
            (IPPROTO_IP | IPPROTO_IPV6, MCAST_JOIN_GROUP) => self.request(level, value, join),
            (IPPROTO_IP | IPPROTO_IPV6, MCAST_LEAVE_GROUP) => self.request(level, value, leave),
            (IPPROTO_IP | IPPROTO_IPV6, MCAST_BLOCK_SOURCE..=MCAST_LEAVE_SOURCE_GROUP) => {
                self.source_request(level, value, name)
            }
            _ => return None,
        };
        Some(wish.and_then(|wish| grant(sock, wish)))
    }

    /// An address of the interface; or a `struct ip_mreq` or `ip_mreqn`, whose group is of no
    /// concern.
    fn sending_v4(&self, value: &[u8]) -> Result<Wish, Errno> {
        let wanted = value.get(4..).filter(|rest| rest.len() >= 4).unwrap_or(value);
        let interface = self.interface_v4(wanted).map_err(|error| match error {
            Errno::ENODEV => Errno::EADDRNOTAVAIL,
            error => error,
        })?;
        Ok(Wish::Interface(interface, Some(four(wanted, 0)?.into())))
    }

    /// A `struct ip_mreq` or `ip_mreqn`: the group, and the interface by an address or a number.
    fn request_v4(&self, value: &[u8], change: GroupChange) -> Result<Wish, Errno> {
        let interface = self.interface_v4(value.get(4..).unwrap_or_default())?;
        Ok(Wish::Change(interface, Address::v4(four(value, 0)?), change))
    }

    /// A `struct ip_mreq_source`: the group, the interface by an address, and the source.
    fn source_request_v4(&self, value: &[u8], name: i32) -> Result<Wish, Errno> {
        let source = Address::v4(four(value, 8)?);
        let interface = self.interface_v4(&four(value, 4)?)?;
        let group = Address::v4(four(value, 0)?);
        Ok(Wish::Change(interface, group, GroupChange::Source(source_change(name)?, source)))
    }

    /// A `struct ipv6_mreq`.
    fn request_v6(&self, value: &[u8], change: GroupChange) -> Result<Wish, Errno> {
        let (group, rest) = value.split_first_chunk::<16>().ok_or(Errno::EINVAL)?;
        let group = Address::from(IpAddr::from(Ipv6Addr::from(*group)));
        Ok(Wish::Change(self.index(rest)?, group, change))
    }

    /// A `struct group_req`: the number of the interface, and the group.
    fn request(&self, level: i32, value: &[u8], change: GroupChange) -> Result<Wish, Errno> {
        let interface = self.index(value)?;
        Ok(Wish::Change(interface, stored(level, value, STORAGE_AT)?, change))
    }

    /// A `struct group_source_req`: the source behind that.
    fn source_request(&self, level: i32, value: &[u8], name: i32) -> Result<Wish, Errno> {
        let source = stored(level, value, STORAGE_AT + STORAGE)?;
        let change = GroupChange::Source(source_change(name)?, source);
        self.request(level, value, change)
    }

    /// An address of the interface, behind it perhaps its number, which goes first.
    pub(super) fn interface_v4(&self, value: &[u8]) -> Result<Option<InterfaceId>, Errno> {
        let address = Ipv4Addr::from(four(value, 0)?);
        let number = value.get(4..).filter(|rest| rest.len() >= 4);
        if let Some(interface) = number.map_or(Ok(None), |it| self.index(it))? {
            return Ok(Some(interface));
        }
        if address.is_unspecified() {
            return Ok(None);
        }
        let of_address = self.core.shard.ask(|engine| {
            let mut all = engine.stack.addresses();
            all.find(|own| own.cidr.address == IpAddr::from(address)).map(|own| own.interface)
        });
        of_address.map(Some).ok_or(Errno::ENODEV)
    }

    /// The interface whose number a value begins with; 0 is any.
    pub(super) fn index(&self, value: &[u8]) -> Result<Option<InterfaceId>, Errno> {
        self.interface(u32::from_ne_bytes(four(value, 0)?))
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

/// The address in a `struct sockaddr_storage` at this place, of the option's IP version.
pub(super) fn stored(level: i32, value: &[u8], at: usize) -> Result<Address, Errno> {
    let storage = value.get(at..at + STORAGE).ok_or(Errno::EINVAL)?;
    let address = socket_address(storage)?.ok_or(Errno::EINVAL)?.ip();
    if address.is_ipv4() == (level == IPPROTO_IP) { Ok(address.into()) } else { Err(Errno::EINVAL) }
}

pub(super) fn four(value: &[u8], at: usize) -> Result<[u8; 4], Errno> {
    value.get(at..at + 4).and_then(|it| it.try_into().ok()).ok_or(Errno::EINVAL)
}

fn grant(sock: &Sock, wish: Wish) -> Result<(), Errno> {
    let (by, group, change) = match wish {
        Wish::Change(by, group, change) => (by, group, change),
        Wish::Interface(interface, address) => {
            change_udp(sock, |options| options.multicast_interface = interface)?;
            let mut state = sock.state();
            state.multicast_address = address.unwrap_or(state.multicast_address);
            return Ok(());
        }
    };
    let mut state = sock.state();
    if let Role::Datagram(socket) = &state.role {
        return Ok(socket.with(|it| it.change_group(by, group, change))??);
    }
    // It joins when it gets its address.
    if !group.is_multicast() {
        return Err(Errno::EINVAL);
    }
    let joined = match change {
        GroupChange::Join => None,
        _ => state.groups.place(group).flatten(),
    };
    let by = by.or(joined);
    let UdpLimits { groups, sources, .. } = UdpLimits::default();
    let after = state.groups.after(by, group, change, groups, sources)?;
    state.groups.set(by, group, after);
    Ok(())
}
