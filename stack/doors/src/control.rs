//! Control messages as C has them (`cmsg(3)`): each a header and a value, and room up to the next.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use stack::host::Errno;
use stack::host::bsd::{
    Control, IPPROTO_UDP, PacketInfo, UDP_GRO, UDP_SEGMENT, socket_address_bytes,
};
use stack::{NetworkError, NetworkErrorKind, UdpError};

/// The length of a message's header, `struct cmsghdr`: length, level and type.
pub const HEADER: usize = 16;

/// The bytes of all that a datagram has beside its text, or of an error: IPv6's are the longest.
pub const CONTROL_MAX: usize = 112;

/// What the messages of one kind begin at multiples of.
const ALIGN: usize = size_of::<usize>();

/// One message, and those behind it.
pub struct Piece<'a> {
    /// Whose it is: IPPROTO_IP or another.
    pub level: i32,
    /// Which of that level.
    pub name: i32,
    /// What it says.
    pub value: &'a [u8],
    /// The next ones.
    pub rest: &'a [u8],
}

/// The first of these messages, if there is one.
///
/// # Errors
/// EINVAL for a length that is none.
pub fn split(all: &[u8]) -> Result<Option<Piece<'_>>, Errno> {
    let Some((head, _)) = all.split_first_chunk::<HEADER>() else { return Ok(None) };
    let [level, name] = [8, 12].map(|at| int(&head[at..]).unwrap_or_default());
    let length = head.first_chunk().map_or(0, |it| usize::from_ne_bytes(*it));
    let value = all.get(HEADER..length).ok_or(Errno::EINVAL)?;
    let rest = all.get(length.next_multiple_of(ALIGN)..).unwrap_or_default();
    Ok(Some(Piece { level, name, value, rest }))
}

/// What a program says of a datagram that it sends.
///
/// # Errors
/// EINVAL for what is not known here, or out of range.
pub fn from_bytes(mut all: &[u8]) -> Result<Control, Errno> {
    let mut control = Control::default();
    while let Some(piece) = split(all)? {
        let number = || int(piece.value).ok_or(Errno::EINVAL);
        match (piece.level, piece.name) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) | (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                control.packet_info = Some(packet_info(piece.value)?);
            }
            (libc::IPPROTO_IP, libc::IP_TTL) => control.ttl = Some(within(number()?, 1)?),
            (libc::IPPROTO_IP, libc::IP_TOS) => {
                // Programs have it as a byte, too.
                let tos = match piece.value {
                    [tos] => (*tos).into(),
                    _ => number()?,
                };
                control.tos = Some(within(tos, 0)?);
            }
            (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => control.ttl = default_or(number()?, 1)?,
            (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => control.tos = default_or(number()?, 0)?,
            (IPPROTO_UDP, UDP_SEGMENT) => {
                let size = piece.value.try_into().map_err(|_| Errno::EINVAL)?;
                control.segment = Some(u16::from_ne_bytes(size));
            }
            _ => return Err(Errno::EINVAL),
        }
        all = piece.rest;
    }
    Ok(control)
}

/// As a program receives them, on a socket of IPv6 or of IPv4.
pub fn to_bytes(control: &Control, is_v6: bool) -> Vec<u8> {
    let mut all = common(control, is_v6);
    if let Some(size) = control.segment {
        push(&mut all, IPPROTO_UDP, UDP_GRO, &i32::from(size).to_ne_bytes());
    }
    if let Some(error) = &control.error {
        let (level, name) = match is_v6 {
            true => (libc::IPPROTO_IPV6, libc::IPV6_RECVERR),
            false => (libc::IPPROTO_IP, libc::IP_RECVERR),
        };
        push(&mut all, level, name, &extended_error(error, is_v6));
    }
    all
}

/// As a program sends them: what [`from_bytes`] reads.
pub fn to_send(control: &Control) -> Vec<u8> {
    let is_v6 = control.packet_info.is_some_and(|info| info.address.is_ipv6());
    let mut all = common(control, is_v6);
    if let Some(size) = control.segment {
        push(&mut all, IPPROTO_UDP, UDP_SEGMENT, &size.to_ne_bytes());
    }
    all
}

/// Those that are the same both ways.
fn common(control: &Control, is_v6: bool) -> Vec<u8> {
    let mut all = Vec::with_capacity(CONTROL_MAX);
    let level = if is_v6 { libc::IPPROTO_IPV6 } else { libc::IPPROTO_IP };
    if let Some(info) = &control.packet_info {
        push_packet_info(&mut all, info);
    }
    if let Some(ttl) = control.ttl {
        let name = if is_v6 { libc::IPV6_HOPLIMIT } else { libc::IP_TTL };
        push(&mut all, level, name, &i32::from(ttl).to_ne_bytes());
    }
    if let Some(tos) = control.tos {
        if is_v6 {
            push(&mut all, level, libc::IPV6_TCLASS, &i32::from(tos).to_ne_bytes());
        } else {
            push(&mut all, level, libc::IP_TOS, &[tos]);
        }
    }
    all
}

fn push(all: &mut Vec<u8>, level: i32, name: i32, value: &[u8]) {
    all.extend_from_slice(&(HEADER + value.len()).to_ne_bytes());
    all.extend_from_slice(&level.to_ne_bytes());
    all.extend_from_slice(&name.to_ne_bytes());
    all.extend_from_slice(value);
    all.resize(all.len().next_multiple_of(ALIGN), 0);
}

fn int(bytes: &[u8]) -> Option<i32> {
    bytes.first_chunk().map(|it| i32::from_ne_bytes(*it))
}

fn within(value: i32, low: u8) -> Result<u8, Errno> {
    u8::try_from(value).ok().filter(|&it| it >= low).ok_or(Errno::EINVAL)
}

/// -1 is the socket's own (RFC 3542 §6.3, §6.5).
fn default_or(value: i32, low: u8) -> Result<Option<u8>, Errno> {
    if value == -1 { Ok(None) } else { within(value, low).map(Some) }
}

/// A `struct in_pktinfo`, whose second field is the address to send from, or an `in6_pktinfo`.
fn packet_info(value: &[u8]) -> Result<PacketInfo, Errno> {
    let (address, interface) = match value.len() {
        12 => (value[4..8].first_chunk().map(|it| Ipv4Addr::from(*it).into()), int(value)),
        20 => (value.first_chunk().map(|it| Ipv6Addr::from(*it).to_canonical()), int(&value[16..])),
        _ => (None, None),
    };
    let address: IpAddr = address.ok_or(Errno::EINVAL)?;
    let interface = interface.unwrap_or_default().cast_unsigned();
    Ok(PacketInfo { interface, address, own: None })
}

fn push_packet_info(all: &mut Vec<u8>, info: &PacketInfo) {
    let interface = info.interface.to_ne_bytes();
    match info.address {
        IpAddr::V4(to) => {
            // What an answer may be sent from.
            let own = match info.own {
                Some(IpAddr::V4(own)) => own,
                _ => to,
            };
            let value = [interface, own.octets(), to.octets()].concat();
            push(all, libc::IPPROTO_IP, libc::IP_PKTINFO, &value);
        }
        IpAddr::V6(to) => {
            let value = [&to.octets()[..], &interface].concat();
            push(all, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &value);
        }
    }
}

/// A `struct sock_extended_err`, and the address of who said it.
fn extended_error(error: &NetworkError, is_v6: bool) -> Vec<u8> {
    const LOCAL: u8 = 1;
    const ICMP: u8 = 2;
    const ICMP6: u8 = 3;
    let origin = match (error.kind, error.from) {
        (NetworkErrorKind::TooLong { .. }, _) => LOCAL,
        (_, IpAddr::V4(_)) => ICMP,
        (_, IpAddr::V6(_)) => ICMP6,
    };
    let (kind, code) = if origin == LOCAL { (0, 0) } else { icmp(error.kind, origin == ICMP6) };
    let info = match error.kind {
        NetworkErrorKind::TooBig { mtu } | NetworkErrorKind::TooLong { mtu } => u32::from(mtu),
        NetworkErrorKind::ParameterProblem { pointer, .. } => pointer,
        _ => 0,
    };
    let from = match error.from {
        IpAddr::V4(from) if is_v6 => from.to_ipv6_mapped().into(),
        from => from,
    };
    let number = Errno::from(UdpError::from(error.kind)).number();
    let told = [&number.to_ne_bytes()[..], &[origin, kind, code, 0], &info.to_ne_bytes(), &[0; 4]];
    [&told.concat()[..], &socket_address_bytes(SocketAddr::new(from, 0))].concat()
}

/// Type and code of the message that says so (RFC 792, RFC 4443).
fn icmp(kind: NetworkErrorKind, is_v6: bool) -> (u8, u8) {
    match (kind, is_v6) {
        (NetworkErrorKind::Network, false) => (3, 0),
        (NetworkErrorKind::Host, false) => (3, 1),
        (NetworkErrorKind::Protocol, false) => (3, 2),
        (NetworkErrorKind::Port, false) => (3, 3),
        (NetworkErrorKind::TooBig { .. }, false) => (3, 4),
        (NetworkErrorKind::Prohibited, false) => (3, 13),
        (NetworkErrorKind::TimeExceeded, false) => (11, 0),
        (NetworkErrorKind::Network, true) => (1, 0),
        (NetworkErrorKind::Prohibited, true) => (1, 1),
        (NetworkErrorKind::Host, true) => (1, 3),
        (NetworkErrorKind::Port, true) => (1, 4),
        (NetworkErrorKind::TooBig { .. }, true) => (2, 0),
        (NetworkErrorKind::TimeExceeded, true) => (3, 0),
        (NetworkErrorKind::Protocol, true) => (4, 1),
        (NetworkErrorKind::ParameterProblem { code, .. }, false) => (12, code),
        (NetworkErrorKind::ParameterProblem { code, .. }, true) => (4, code),
        _ => (0, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for address in ["192.0.2.1", "2001:db8::1"] {
            let address: IpAddr = address.parse().unwrap();
            let packet_info = Some(PacketInfo { interface: 2, address, own: None });
            let (ttl, tos, segment) = (Some(9), Some(8), Some(1000));
            let control = Control { packet_info, ttl, tos, segment, error: None };
            let bytes = to_send(&control);
            assert!(bytes.len() <= CONTROL_MAX);
            assert_eq!(from_bytes(&bytes), Ok(control));
        }
        assert_eq!(from_bytes(&[]), Ok(Control::default()));
        // What a group heard, sent back, comes from this host.
        let [group, own] = ["224.0.0.251", "192.0.2.1"].map(|it| it.parse::<IpAddr>().unwrap());
        let packet_info = Some(PacketInfo { interface: 2, address: group, own: Some(own) });
        let heard = to_bytes(&Control { packet_info, ..Control::default() }, false);
        let back = from_bytes(&heard).unwrap().packet_info;
        assert_eq!(back, Some(PacketInfo { interface: 2, address: own, own: None }));
    }

    #[test]
    fn what_is_not_known_or_out_of_range_is_refused() {
        let one = |level, name, value: &[u8]| {
            let mut all = Vec::new();
            push(&mut all, level, name, value);
            from_bytes(&all)
        };
        let number = |level, name, value: i32| one(level, name, &value.to_ne_bytes());
        let (v4, v6) = (libc::IPPROTO_IP, libc::IPPROTO_IPV6);
        for it in [
            number(v4, libc::IP_TTL, 0),
            number(v4, libc::IP_TTL, 256),
            number(v4, libc::IP_TOS, -1),
            number(v6, libc::IPV6_HOPLIMIT, -2),
            number(v6, libc::IPV6_TCLASS, 256),
            number(IPPROTO_UDP, UDP_SEGMENT, 1000),
            number(IPPROTO_UDP, UDP_GRO, 1000),
            one(v4, libc::IP_TTL, &[1]),
            one(v4, libc::IP_PKTINFO, &[0; 11]),
        ] {
            assert_eq!(it, Err(Errno::EINVAL));
        }
        assert_eq!(number(v6, libc::IPV6_HOPLIMIT, -1), Ok(Control::default()));
        // A length that ends before the header, and one that goes beyond the end.
        for length in [8_usize, 40] {
            let bytes = [&length.to_ne_bytes()[..], &[0; 16]].concat();
            assert_eq!(from_bytes(&bytes), Err(Errno::EINVAL));
        }
    }

    #[test]
    fn an_error_says_who_said_what() {
        let remote = "192.0.2.7:9".parse().unwrap();
        let from = "192.0.2.1".parse().unwrap();
        let error = NetworkError { kind: NetworkErrorKind::Port, from, remote };
        let control = Control { error: Some(error), ..Control::default() };
        for (is_v6, level, name, family) in [
            (false, libc::IPPROTO_IP, libc::IP_RECVERR, libc::AF_INET),
            (true, libc::IPPROTO_IPV6, libc::IPV6_RECVERR, libc::AF_INET6),
        ] {
            let bytes = to_bytes(&control, is_v6);
            assert!(bytes.len() <= CONTROL_MAX);
            let piece = split(&bytes).unwrap().unwrap();
            assert_eq!((piece.level, piece.name), (level, name));
            assert_eq!(int(piece.value), Some(Errno::ECONNREFUSED.number()));
            assert_eq!(piece.value[4..8], [2, 3, 3, 0]);
            assert_eq!(piece.value[16], family as u8);
        }
        let kind = NetworkErrorKind::ParameterProblem { code: 1, pointer: 20 };
        let value = extended_error(&NetworkError { kind, from, remote }, false);
        assert_eq!(int(&value), Some(Errno::EPROTO.number()));
        assert_eq!((&value[4..8], int(&value[8..])), (&[2, 12, 1, 0][..], Some(20)));
    }
}
