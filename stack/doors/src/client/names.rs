//! Names and addresses: getaddrinfo and its family. The C library's own would ask over the
//! kernel's network, where no preload sees its sockets. Here the server is asked, whose resolver
//! knows the names in its hosts file, and finds others by DNS over the stack.

use std::ffi::{CStr, CString, c_char, c_int};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use libc::{addrinfo, sockaddr, socklen_t};
use stack::host::Errno;
use stack::host::bsd::{socket_address, socket_address_bytes};

use super::memory::bytes;
use super::{ask, interfaces};
use crate::protocol::{Op, addresses_from_bytes};

/// The longest name that is asked for, bytes: NI_MAXHOST.
const NAME_MAX: usize = 1025;

/// The node has no address of the wanted family (a GNU extension).
const EAI_ADDRFAMILY: c_int = -9;
/// The caller has too little room.
const EAI_OVERFLOW: c_int = -12;

/// The flags of getaddrinfo, those for international names too.
const AI_ALL_FLAGS: c_int = 0x07ff;
/// Those of getnameinfo.
const NI_ALL_FLAGS: c_int = 0xff;

/// What is asked for.
struct Wanted {
    flags: c_int,
    family: c_int,
    kind: c_int,
    protocol: c_int,
}

/// The kinds of sockets that go with no wish, in the C library's order.
const KINDS: [(c_int, c_int); 3] = [
    (libc::SOCK_STREAM, libc::IPPROTO_TCP),
    (libc::SOCK_DGRAM, libc::IPPROTO_UDP),
    (libc::SOCK_RAW, 0),
];

/// `getaddrinfo(3)`. What it returns is freed by `freeaddrinfo`, the C library's too.
///
/// # Safety
/// As `getaddrinfo(3)`.
pub unsafe fn getaddrinfo(
    node: *const c_char,
    service: *const c_char,
    hints: *const addrinfo,
    result: *mut *mut addrinfo,
) -> c_int {
    // SAFETY: the caller's promise: null, or C strings, and a structure.
    let (node, service, wanted) = unsafe {
        let wanted = hints.as_ref().map_or(
            Wanted { flags: 0, family: libc::AF_UNSPEC, kind: 0, protocol: 0 },
            |it| Wanted {
                flags: it.ai_flags,
                family: it.ai_family,
                kind: it.ai_socktype,
                protocol: it.ai_protocol,
            },
        );
        (text(node), text(service), wanted)
    };
    match find(node.as_deref(), service.as_deref(), &wanted) {
        Ok(list) => {
            // SAFETY: the caller passes room for a pointer.
            unsafe { *result = list };
            0
        }
        Err(code) => code,
    }
}

// SAFETY: what the caller promises is what the call is for.
pub(super) unsafe fn text(at: *const c_char) -> Option<String> {
    // SAFETY: null, or a C string.
    (!at.is_null()).then(|| unsafe { CStr::from_ptr(at) }.to_string_lossy().into_owned())
}

fn find(
    node: Option<&str>,
    service: Option<&str>,
    wanted: &Wanted,
) -> Result<*mut addrinfo, c_int> {
    if node.is_none() && service.is_none() {
        return Err(libc::EAI_NONAME);
    }
    let nameless = node.is_none() && wanted.flags & libc::AI_CANONNAME != 0;
    if wanted.flags & !AI_ALL_FLAGS != 0 || nameless {
        return Err(libc::EAI_BADFLAGS);
    }
    if !matches!(wanted.family, libc::AF_UNSPEC | libc::AF_INET | libc::AF_INET6) {
        return Err(libc::EAI_FAMILY);
    }
    let fits = |(kind, protocol): &&(c_int, c_int)| {
        let kind_fits = wanted.kind == 0 || wanted.kind == *kind;
        kind_fits && (wanted.protocol == 0 || *protocol == 0 || wanted.protocol == *protocol)
    };
    // Who wishes anything is told of one kind.
    let most = if wanted.kind != 0 || wanted.protocol != 0 { 1 } else { KINDS.len() };
    let kinds: Vec<_> = KINDS.iter().filter(fits).take(most).copied().collect();
    if kinds.is_empty() {
        return Err(libc::EAI_SOCKTYPE);
    }
    let addresses = addresses(node, wanted)?;
    let scope = node.map_or(Ok(0), scope)?;
    let mut all = Vec::new();
    for ip in addresses {
        for &(kind, protocol) in &kinds {
            // A service that one protocol does not have may be another's.
            if let Some(port) = port(service, protocol, wanted.flags)? {
                let protocol = if wanted.protocol != 0 { wanted.protocol } else { protocol };
                all.push((in_scope(ip, port, scope), kind, protocol));
            }
        }
    }
    if all.is_empty() {
        return Err(libc::EAI_SERVICE);
    }
    let name = node.filter(|_| wanted.flags & libc::AI_CANONNAME != 0);
    list(&all, name)
}

/// The addresses of a host in one family, as `gethostbyname` wants them.
pub(super) fn of_family(name: &str, family: c_int) -> Result<Vec<IpAddr>, c_int> {
    addresses(Some(name), &Wanted { flags: 0, family, kind: 0, protocol: 0 })
}

/// The addresses of a node, those of the wanted family.
fn addresses(node: Option<&str>, wanted: &Wanted) -> Result<Vec<IpAddr>, c_int> {
    let (v4, v6) = match wanted.flags & libc::AI_PASSIVE != 0 {
        true => (Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED),
        false => (Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST),
    };
    let Some(node) = node else {
        let both: [IpAddr; 2] = [v4.into(), v6.into()];
        return Ok(both.into_iter().filter(|ip| is_of(ip, wanted.family)).collect());
    };
    if let Some(ip) = literal(node) {
        let found = of_wanted(&[ip], wanted);
        return if found.is_empty() { Err(EAI_ADDRFAMILY) } else { Ok(found) };
    }
    if wanted.flags & libc::AI_NUMERICHOST != 0 {
        return Err(libc::EAI_NONAME);
    }
    let found = of_wanted(&resolve(node)?, wanted);
    if found.is_empty() { Err(libc::EAI_NONAME) } else { Ok(found) }
}

/// Those of a name's addresses that are of the wanted family. With AI_V4MAPPED, who wants IPv6
/// gets those of IPv4 in its dress where there is no other, and with AI_ALL beside them.
fn of_wanted(all: &[IpAddr], wanted: &Wanted) -> Vec<IpAddr> {
    let fits = |ip: &&IpAddr| is_of(ip, wanted.family);
    let mut found: Vec<IpAddr> = all.iter().filter(fits).copied().collect();
    let maps = wanted.family == libc::AF_INET6 && wanted.flags & libc::AI_V4MAPPED != 0;
    if maps && (found.is_empty() || wanted.flags & libc::AI_ALL != 0) {
        found.extend(all.iter().filter_map(|ip| match ip {
            IpAddr::V4(v4) => Some(IpAddr::from(v4.to_ipv6_mapped())),
            IpAddr::V6(_) => None,
        }));
    }
    found
}

fn is_of(ip: &IpAddr, family: c_int) -> bool {
    match family {
        libc::AF_INET => ip.is_ipv4(),
        libc::AF_INET6 => ip.is_ipv6(),
        _ => true,
    }
}

/// The addresses of a name.
fn resolve(name: &str) -> Result<Vec<IpAddr>, c_int> {
    if name.len() > NAME_MAX {
        return Err(libc::EAI_NONAME);
    }
    match ask::ask(Op::Resolve, 0, (0, 0), name.as_bytes()) {
        Ok(found) => Ok(addresses_from_bytes(&found)),
        Err(Errno::ENOENT | Errno::EINVAL) => Err(libc::EAI_NONAME),
        Err(_) => Err(libc::EAI_AGAIN),
    }
}

/// The number of the interface that stands behind `%`, by number or, for an address of a link, by
/// name; 0: none.
fn scope(node: &str) -> Result<u32, c_int> {
    let Some((address, scope)) = node.split_once('%') else { return Ok(0) };
    let of_a_link = address.parse().is_ok_and(|it: Ipv6Addr| {
        it.is_unicast_link_local() || it.octets()[0] == 0xff && it.octets()[1] & 15 == 2
    });
    match scope.parse() {
        Ok(number) => Ok(number),
        Err(_) if of_a_link => interfaces::number(scope).map_err(|_| libc::EAI_NONAME),
        Err(_) => Err(libc::EAI_NONAME),
    }
}

fn in_scope(ip: IpAddr, port: u16, scope: u32) -> SocketAddr {
    match ip {
        IpAddr::V4(_) => SocketAddr::new(ip, port),
        IpAddr::V6(v6) => SocketAddrV6::new(v6, port, 0, scope).into(),
    }
}

/// An address as it is written; a scope after `%` is left out.
fn literal(node: &str) -> Option<IpAddr> {
    let bare = node.split_once('%').map_or(node, |(bare, _)| bare);
    bare.parse().ok().or_else(|| short(node).map(IpAddr::from))
}

/// An IPv4 address as inet_aton(3) takes it: of one to four numbers, of which the last has what
/// the others leave, each in base 10, 8 after `0`, or 16 after `0x`.
fn short(node: &str) -> Option<Ipv4Addr> {
    let number = |text: &str| {
        let (digits, base) = match text.as_bytes() {
            [b'0', b'x' | b'X', ..] => (&text[2..], 16),
            [b'0', _, ..] => (&text[1..], 8),
            _ => (text, 10),
        };
        let is_number = digits.bytes().all(|it| it.is_ascii_hexdigit());
        u32::from_str_radix(digits, base).ok().filter(|_| is_number)
    };
    let numbers: Vec<u32> = node.splitn(5, '.').map(number).collect::<Option<_>>()?;
    let (last, first) = numbers.split_last()?;
    let room = 32 - 8 * u32::try_from(first.len()).ok().filter(|&count| count < 4)?;
    let is_within = u64::from(*last) < 1 << room && first.iter().all(|it| *it < 256);
    let place = |(at, byte): (u32, &u32)| byte << (24 - 8 * at);
    let high: u32 = (0..).zip(first).map(place).sum();
    is_within.then(|| Ipv4Addr::from(high | last))
}

/// The port of a service; None if this protocol has none of that name.
fn port(service: Option<&str>, protocol: c_int, flags: c_int) -> Result<Option<u16>, c_int> {
    let Some(service) = service else { return Ok(Some(0)) };
    if let Ok(port) = service.parse::<u16>() {
        return Ok(Some(port));
    }
    if flags & libc::AI_NUMERICSERV != 0 || service.parse::<u64>().is_ok() {
        return Err(libc::EAI_NONAME);
    }
    let name = match protocol {
        libc::IPPROTO_TCP => c"tcp",
        libc::IPPROTO_UDP => c"udp",
        _ => return Ok(None),
    };
    let service = CString::new(service).map_err(|_| libc::EAI_SERVICE)?;
    // SAFETY: two C strings; what it returns is read at once.
    let found = unsafe {
        let entry = libc::getservbyname(service.as_ptr(), name.as_ptr());
        entry.as_ref().map(|it| u16::from_be(it.s_port as u16))
    };
    Ok(found)
}

/// The list, each entry and its address in one piece of the C library's memory.
fn list(all: &[(SocketAddr, c_int, c_int)], name: Option<&str>) -> Result<*mut addrinfo, c_int> {
    let mut next = std::ptr::null_mut();
    for (index, (address, kind, protocol)) in all.iter().enumerate().rev() {
        let bytes = socket_address_bytes(*address);
        let name = name.filter(|_| index == 0).and_then(|name| CString::new(name).ok());
        // SAFETY: the piece has room for the entry and the address behind it.
        unsafe {
            let piece = libc::calloc(1, size_of::<addrinfo>() + bytes.len());
            if piece.is_null() {
                return Err(libc::EAI_MEMORY);
            }
            let entry = piece.cast::<addrinfo>();
            let at = entry.add(1).cast::<u8>();
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), at, bytes.len());
            (*entry).ai_family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
            ((*entry).ai_socktype, (*entry).ai_protocol) = (*kind, *protocol);
            ((*entry).ai_addr, (*entry).ai_addrlen) = (at.cast(), bytes.len() as socklen_t);
            (*entry).ai_canonname =
                name.map_or(std::ptr::null_mut(), |it| libc::strdup(it.as_ptr()));
            (*entry).ai_next = next;
            next = entry;
        }
    }
    Ok(next)
}

/// `getnameinfo(3)`: no name of a host is looked up, so its address is told, as for NI_NUMERICHOST.
///
/// # Safety
/// As `getnameinfo(3)`.
pub unsafe fn getnameinfo(
    at: *const sockaddr,
    length: socklen_t,
    host: *mut c_char,
    host_room: socklen_t,
    service: *mut c_char,
    service_room: socklen_t,
    flags: c_int,
) -> c_int {
    if flags & !NI_ALL_FLAGS != 0 {
        return libc::EAI_BADFLAGS;
    }
    // SAFETY: the caller's promise.
    let address = unsafe { bytes(at.cast(), length as usize) }.and_then(socket_address);
    let Ok(Some(address)) = address else { return libc::EAI_FAMILY };
    let has_room = |at: *mut c_char, room| !at.is_null() && room > 0;
    if has_room(host, host_room) {
        if flags & libc::NI_NAMEREQD != 0 {
            return libc::EAI_NONAME;
        }
        // SAFETY: the caller says how much room there is.
        if !unsafe { write(&host_name(address), host, host_room as usize) } {
            return EAI_OVERFLOW;
        }
    }
    if has_room(service, service_room) {
        let name = service_name(address.port(), flags);
        // SAFETY: the caller says how much room there is.
        if !unsafe { write(&name, service, service_room as usize) } {
            return EAI_OVERFLOW;
        }
    }
    0
}

/// The address, with its scope if it has one.
fn host_name(address: SocketAddr) -> String {
    let ip = address.ip();
    let scope = match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => v6.scope_id(),
        _ => return ip.to_string(),
    };
    let name = interfaces::name(scope).unwrap_or_else(|_| scope.to_string());
    format!("{ip}%{name}")
}

/// The name of a port, or its number.
fn service_name(port: u16, flags: c_int) -> String {
    let protocol = if flags & libc::NI_DGRAM != 0 { c"udp" } else { c"tcp" };
    if flags & libc::NI_NUMERICSERV == 0 {
        // SAFETY: a C string; what it returns is read at once.
        let name = unsafe {
            let entry = libc::getservbyport(c_int::from(port.to_be()), protocol.as_ptr());
            entry.as_ref().and_then(|it| text(it.s_name))
        };
        if let Some(name) = name {
            return name;
        }
    }
    port.to_string()
}

/// Writes a C string; false if it does not fit.
// SAFETY: the caller says that there is so much room.
unsafe fn write(text: &str, at: *mut c_char, room: usize) -> bool {
    if text.len() >= room {
        return false;
    }
    // SAFETY: it fits, with its end.
    unsafe {
        std::ptr::copy_nonoverlapping(text.as_ptr(), at.cast(), text.len());
        at.add(text.len()).write(0);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(family: c_int, flags: c_int) -> Wanted {
        Wanted { flags, family, kind: libc::SOCK_STREAM, protocol: 0 }
    }

    #[test]
    fn literals_and_nothing() {
        let v4 = addresses(Some("192.0.2.1"), &wanted(0, 0)).unwrap();
        assert_eq!(v4, ["192.0.2.1".parse::<IpAddr>().unwrap()]);
        let mapped = addresses(Some("192.0.2.1"), &wanted(libc::AF_INET6, libc::AI_V4MAPPED));
        assert_eq!(mapped.unwrap(), ["::ffff:192.0.2.1".parse::<IpAddr>().unwrap()]);
        let other = addresses(Some("192.0.2.1"), &wanted(libc::AF_INET6, 0));
        assert_eq!(other, Err(EAI_ADDRFAMILY));
        let any = addresses(None, &wanted(libc::AF_INET6, libc::AI_PASSIVE)).unwrap();
        assert_eq!(any, [IpAddr::from(Ipv6Addr::UNSPECIFIED)]);
        let numeric = addresses(Some("no.such.name"), &wanted(0, libc::AI_NUMERICHOST));
        assert_eq!(numeric, Err(libc::EAI_NONAME));
    }

    #[test]
    fn ipv4_comes_in_the_dress_of_ipv6() {
        let all: [IpAddr; 2] = ["192.0.2.1", "2001:db8::1"].map(|it| it.parse().unwrap());
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        let of = |all: &[IpAddr], family, flags| of_wanted(all, &wanted(family, flags));
        let (six, maps) = (libc::AF_INET6, libc::AI_V4MAPPED);
        assert!(of(&all[..1], six, 0).is_empty());
        assert_eq!(of(&all[..1], six, maps), [mapped]);
        assert_eq!(of(&all, six, maps), [all[1]]);
        assert_eq!(of(&all, six, maps | libc::AI_ALL), [all[1], mapped]);
        assert_eq!(of(&all, six, libc::AI_ALL), [all[1]]);
        assert_eq!(of(&all, 0, maps | libc::AI_ALL), all);
        assert_eq!(of(&all, libc::AF_INET, maps | libc::AI_ALL), [all[0]]);
    }

    #[test]
    fn numbers_are_those_of_inet_aton() {
        for (text, address) in [
            ("127.1", "127.0.0.1"),
            ("0x7f000001", "127.0.0.1"),
            ("0X7F.0377.0x1ff", "127.255.1.255"),
            ("0", "0.0.0.0"),
            ("1.2.65535", "1.2.255.255"),
            ("4294967295", "255.255.255.255"),
            ("010.0.0.1", "8.0.0.1"),
        ] {
            assert_eq!(literal(text), Some(address.parse().unwrap()), "{text}");
        }
        let none = "4294967296 256.1 1.2.65536 1.2.3.256 1.2.3.4.5 1. .1 0x 08 +1 1.+1 -1 1a a 1%7";
        for text in none.split(' ').chain(["", " 1", "1 "]) {
            assert_eq!(literal(text), None, "{text}");
        }
    }

    #[test]
    fn an_address_is_told_in_its_room() {
        let address = socket_address_bytes("192.0.2.1:7".parse().unwrap());
        let tell = |room: u32, flags: c_int| {
            let (mut host, mut service) = ([1; 16], [1; 8]);
            // SAFETY: the pointers are those of an address and of two buffers, with their lengths.
            let code = unsafe {
                let (host, service) = (host.as_mut_ptr(), service.as_mut_ptr());
                let at = address.as_ptr().cast();
                getnameinfo(at, address.len() as socklen_t, host, room, service, 8, flags)
            };
            // SAFETY: what was written ends within its buffer.
            (code, (code == 0).then(|| unsafe { (text(host.as_ptr()), text(service.as_ptr())) }))
        };
        let expected = (Some("192.0.2.1".to_owned()), Some("7".to_owned()));
        assert_eq!(tell(10, libc::NI_NUMERICSERV), (0, Some(expected)));
        assert_eq!(tell(9, libc::NI_NUMERICSERV).0, EAI_OVERFLOW);
        assert_eq!(tell(10, libc::NI_NAMEREQD).0, libc::EAI_NONAME);
    }

    #[test]
    fn a_scope_is_an_interface() {
        assert_eq!((scope("ff02::1"), scope("ff02::1%7")), (Ok(0), Ok(7)));
        assert_eq!(scope("2001:db8::1%tap0"), Err(libc::EAI_NONAME));
        assert_eq!(in_scope(literal("ff02::1%7").unwrap(), 0, 7), "[ff02::1%7]:0".parse().unwrap());
        assert_eq!(host_name(in_scope("192.0.2.1".parse().unwrap(), 0, 7)), "192.0.2.1");
    }

    #[test]
    fn ports_are_numbers_or_names() {
        assert_eq!(port(Some("8080"), libc::IPPROTO_TCP, 0), Ok(Some(8080)));
        assert_eq!(port(Some("99999"), libc::IPPROTO_TCP, 0), Err(libc::EAI_NONAME));
        assert_eq!(port(Some("x"), libc::IPPROTO_TCP, libc::AI_NUMERICSERV), Err(libc::EAI_NONAME));
        assert_eq!(port(None, 0, 0), Ok(Some(0)));
    }

    #[test]
    fn a_list_is_freed_by_the_c_library() {
        let all = [
            ("192.0.2.1:80".parse().unwrap(), libc::SOCK_STREAM, libc::IPPROTO_TCP),
            ("[2001:db8::1]:80".parse().unwrap(), libc::SOCK_DGRAM, libc::IPPROTO_UDP),
        ];
        let list = list(&all, Some("name")).unwrap();
        // SAFETY: the list has two entries, and is freed once.
        unsafe {
            assert_eq!((*list).ai_family, libc::AF_INET);
            assert_eq!(CStr::from_ptr((*list).ai_canonname), c"name");
            let second = (*list).ai_next;
            assert_eq!(((*second).ai_addrlen, (*second).ai_next.is_null()), (28, true));
            libc::freeaddrinfo(list);
        }
    }
}
