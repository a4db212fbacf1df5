//! Groups: IP_ADD_MEMBERSHIP, IPV6_JOIN_GROUP and what goes with them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::socket::{Role, Sock};
use super::{
    Bsd, INTERFACE, IP_ADD_MEMBERSHIP, IP_DROP_MEMBERSHIP, IP_MULTICAST_IF, IPPROTO_IP,
    IPPROTO_IPV6, IPV6_JOIN_GROUP, IPV6_LEAVE_GROUP, IPV6_MULTICAST_IF,
};
use crate::host::errno::Errno;
use crate::udp::table::UdpLimits;

/// What a value asks for.
enum Wish {
    Join(IpAddr),
    Leave(IpAddr),
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
        let wish = match (level, name) {
            (IPPROTO_IP, IP_ADD_MEMBERSHIP) => self.request_v4(value).map(Wish::Join),
            (IPPROTO_IP, IP_DROP_MEMBERSHIP) => self.request_v4(value).map(Wish::Leave),
            (IPPROTO_IP, IP_MULTICAST_IF) => self.interface_v4(value).map(|()| Wish::Interface),
            (IPPROTO_IPV6, IPV6_JOIN_GROUP) => request_v6(value).map(Wish::Join),
            (IPPROTO_IPV6, IPV6_LEAVE_GROUP) => request_v6(value).map(Wish::Leave),
            (IPPROTO_IPV6, IPV6_MULTICAST_IF) => {
                four(value, 0).and_then(index).map(|()| Wish::Interface)
            }
            _ => return None,
        };
        Some(wish.and_then(|wish| grant(sock, wish)))
    }

    /// A `struct ip_mreq` or `ip_mreqn`: the group, and the interface by an address or a number.
    fn request_v4(&self, value: &[u8]) -> Result<IpAddr, Errno> {
        let group = Ipv4Addr::from(four(value, 0)?);
        self.interface_v4(value.get(4..).unwrap_or_default())?;
        Ok(group.into())
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

/// A `struct ipv6_mreq`.
fn request_v6(value: &[u8]) -> Result<IpAddr, Errno> {
    let (group, rest) = value.split_first_chunk::<16>().ok_or(Errno::EINVAL)?;
    index(four(rest, 0)?)?;
    Ok(Ipv6Addr::from(*group).into())
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
    let mut state = sock.state();
    if let Role::Datagram(socket) = &state.role {
        return match wish {
            Wish::Join(group) => Ok(socket.with(|it| it.join_group(group))??),
            Wish::Leave(group) => Ok(socket.with(|it| it.leave_group(group))??),
            Wish::Interface => Ok(()),
        };
    }
    // It joins when it gets its address.
    let at = |group| state.groups.iter().position(|other| *other == group);
    match wish {
        Wish::Join(group) if !group.is_multicast() => Err(Errno::EINVAL),
        Wish::Join(group) if at(group).is_some() => Err(Errno::EADDRINUSE),
        Wish::Join(_) if state.groups.len() >= UdpLimits::default().groups => Err(Errno::ENOBUFS),
        Wish::Join(group) => {
            state.groups.push(group);
            Ok(())
        }
        Wish::Leave(group) => {
            let at = at(group).ok_or(Errno::EADDRNOTAVAIL)?;
            state.groups.remove(at);
            Ok(())
        }
        Wish::Interface => Ok(()),
    }
}
