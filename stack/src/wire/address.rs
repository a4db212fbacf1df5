//! Addresses of both IP versions as one type, so that nothing above is generic over the version.

use core::cmp::Ordering;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// An IP address, IPv4 as IPv4-mapped IPv6 (RFC 4291 §2.5.5.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Address([u8; 16]);

/// What stands in front of an IPv4 address: `::ffff:0:0/96`.
const MAPPED: u128 = 0xffff_0000_0000;

/// An address and a port: one end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Endpoint {
    pub(crate) address: Address,
    pub(crate) port: u16,
}

/// The pair of endpoints that names a connection on this host.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct FlowKey {
    pub(crate) local: Endpoint,
    pub(crate) remote: Endpoint,
}

impl Address {
    pub(crate) const UNSPECIFIED_V4: Address = Address::v4([0, 0, 0, 0]);
    pub(crate) const UNSPECIFIED_V6: Address = Address([0; 16]);
    /// `ff02::1`: every IPv6 host on the link (RFC 4291 §2.7.1).
    pub(crate) const ALL_NODES: Address = Address::v6(0xff02 << 112 | 1);
    /// `ff02::2`: every router on the link.
    pub(crate) const ALL_ROUTERS: Address = Address::v6(0xff02 << 112 | 2);

    /// The first address in sorting order: where a range over all begins.
    pub(crate) const MIN: Address = Address([0; 16]);

    /// The IPv4 address `a.b.c.d`.
    pub(crate) const fn v4(octets: [u8; 4]) -> Address {
        let [a, b, c, d] = octets;
        Address([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d])
    }

    /// The IPv6 address with these bits; with IPv4-mapped ones it is an IPv4 address.
    pub(crate) const fn v6(bits: u128) -> Address {
        Address(bits.to_be_bytes())
    }

    /// The four octets of an IPv4 address; None for IPv6.
    pub(crate) fn as_v4(self) -> Option<[u8; 4]> {
        // As a number: on the path of every packet, twelve comparisons of octets are too many.
        let bits = u128::from_be_bytes(self.0);
        (bits >> 32 == MAPPED >> 32).then_some((bits as u32).to_be_bytes())
    }

    pub(crate) fn is_v4(self) -> bool {
        self.bits() >> 32 == MAPPED >> 32
    }

    pub(crate) fn octets(&self) -> &[u8; 16] {
        &self.0
    }

    fn bits(self) -> u128 {
        u128::from_be_bytes(self.0)
    }

    pub(crate) fn to_ip(self) -> IpAddr {
        match self.as_v4() {
            Some(octets) => IpAddr::V4(Ipv4Addr::from(octets)),
            None => IpAddr::V6(Ipv6Addr::from(self.0)),
        }
    }

    /// `0.0.0.0` or `::`.
    pub(crate) fn is_unspecified(self) -> bool {
        matches!(u128::from_be_bytes(self.0), 0 | MAPPED)
    }

    /// `127.0.0.0/8` or `::1`.
    pub(crate) fn is_loopback(self) -> bool {
        match self.as_v4() {
            Some([first, ..]) => first == 127,
            None => u128::from_be_bytes(self.0) == 1,
        }
    }

    /// `224.0.0.0/4` or `ff00::/8`.
    pub(crate) fn is_multicast(self) -> bool {
        match self.as_v4() {
            Some([first, ..]) => first & 0xf0 == 224,
            None => self.0[0] == 0xff,
        }
    }

    /// `fe80::/10`: good on one link only (RFC 4291 §2.5.6).
    pub(crate) fn is_link_local(self) -> bool {
        self.bits() >> 118 == 0xfe80 >> 6
    }

    /// 169.254/16: for one link, and of a host's own choice (RFC 3927).
    pub(crate) fn is_link_local_v4(self) -> bool {
        matches!(self.as_v4(), Some([169, 254, ..]))
    }

    /// `ff02::/16` and `ff01::/16`: a group that ends at the next router, or before.
    pub(crate) fn is_link_group(self) -> bool {
        matches!(self.bits() >> 112 & 0xff0f, 0xff01 | 0xff02)
    }

    /// The group of those who may have this IPv6 address (RFC 4291 §2.7.1): who asks for it,
    /// asks there.
    pub(crate) fn solicited_node(self) -> Address {
        Address::v6(0xff02 << 112 | 0x1_ff00_0000 | self.bits() & 0xff_ffff)
    }

    /// The Ethernet address of a group (RFC 1112 §6.4, RFC 2464 §7).
    pub(crate) fn group_mac(self) -> Mac {
        let [.., a, b, c, d] = self.0;
        if self.is_v4() {
            Mac([0x01, 0x00, 0x5e, b & 0x7f, c, d])
        } else {
            Mac([0x33, 0x33, a, b, c, d])
        }
    }

    /// `255.255.255.255`. A subnet's broadcast address is known to the routes, not to the address.
    pub(crate) fn is_limited_broadcast(self) -> bool {
        self == Address::v4([255; 4])
    }

    /// One that a packet of a host's may come from: neither unspecified nor a group.
    pub(crate) fn is_of_a_host(&self) -> bool {
        !(self.is_unspecified() || self.is_multicast())
    }

    /// True for what may stand as the source of a packet from the network (RFC 1122 §3.2.1.3):
    /// not unspecified, loopback, multicast, broadcast, "this network" or class E.
    pub(crate) fn is_valid_source(self) -> bool {
        match self.as_v4() {
            Some([first, ..]) => first != 0 && first != 127 && first < 224,
            None => !(self.is_unspecified() || self.is_loopback() || self.is_multicast()),
        }
    }
}

impl Ord for Address {
    /// The order of the octets, compared as one number.
    fn cmp(&self, other: &Address) -> Ordering {
        u128::from_be_bytes(self.0).cmp(&u128::from_be_bytes(other.0))
    }
}

impl PartialOrd for Address {
    fn partial_cmp(&self, other: &Address) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Address {
        match ip {
            IpAddr::V4(v4) => Address::v4(v4.octets()),
            IpAddr::V6(v6) => Address(v6.octets()),
        }
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(socket: SocketAddr) -> Endpoint {
        Endpoint { address: socket.ip().into(), port: socket.port() }
    }
}

impl Endpoint {
    pub(crate) const fn new(address: Address, port: u16) -> Endpoint {
        Endpoint { address, port }
    }

    pub(crate) fn to_socket_addr(self) -> SocketAddr {
        SocketAddr::new(self.address.to_ip(), self.port)
    }
}

impl FlowKey {
    /// The 12 bytes that tell the flows of IPv4 apart; None for IPv6.
    pub(crate) fn to_bytes_v4(self) -> Option<[u8; 12]> {
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&self.local.address.as_v4()?);
        bytes[4..8].copy_from_slice(&self.remote.address.as_v4()?);
        bytes[8..10].copy_from_slice(&self.local.port.to_be_bytes());
        bytes[10..].copy_from_slice(&self.remote.port.to_be_bytes());
        Some(bytes)
    }

    /// The 36 bytes that keyed hashes of a flow are taken over.
    pub(crate) fn to_bytes(self) -> [u8; 36] {
        let mut bytes = [0; 36];
        bytes[..16].copy_from_slice(&self.local.address.0);
        bytes[16..32].copy_from_slice(&self.remote.address.0);
        bytes[32..34].copy_from_slice(&self.local.port.to_be_bytes());
        bytes[34..].copy_from_slice(&self.remote.port.to_be_bytes());
        bytes
    }
}

/// A flow in less room, for what there are many of.
#[derive(Clone, Debug)]
pub(crate) enum SmallFlow {
    V4 { local: [u8; 4], remote: [u8; 4], ports: [u16; 2] },
    V6(Box<FlowKey>),
}

impl From<FlowKey> for SmallFlow {
    fn from(flow: FlowKey) -> SmallFlow {
        match (flow.local.address.as_v4(), flow.remote.address.as_v4()) {
            (Some(local), Some(remote)) => {
                SmallFlow::V4 { local, remote, ports: [flow.local.port, flow.remote.port] }
            }
            _ => SmallFlow::V6(Box::new(flow)),
        }
    }
}

impl SmallFlow {
    /// The flow as it was.
    pub(crate) fn key(&self) -> FlowKey {
        match *self {
            SmallFlow::V4 { local, remote, ports: [local_port, remote_port] } => FlowKey {
                local: Endpoint::new(Address::v4(local), local_port),
                remote: Endpoint::new(Address::v4(remote), remote_port),
            },
            SmallFlow::V6(ref flow) => **flow,
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.to_ip(), f)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.to_socket_addr(), f)
    }
}

/// An Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// `ff:ff:ff:ff:ff:ff`.
    pub const BROADCAST: Mac = Mac([0xff; 6]);

    /// True for group addresses, broadcast included.
    pub const fn is_multicast(self) -> bool {
        self.0[0] & 1 == 1
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::str::FromStr for Mac {
    type Err = MacParseError;
    fn from_str(text: &str) -> Result<Mac, MacParseError> {
        let mut octets = [0; 6];
        let mut parts = text.split([':', '-']);
        for octet in &mut octets {
            let part = parts.next().ok_or(MacParseError)?;
            *octet = u8::from_str_radix(part, 16).map_err(|_| MacParseError)?;
        }
        if parts.next().is_some() { Err(MacParseError) } else { Ok(Mac(octets)) }
    }
}

/// The text is not an Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MacParseError;

impl fmt::Display for MacParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an Ethernet address: write six hexadecimal octets, like 02:00:00:00:00:02")
    }
}

impl core::error::Error for MacParseError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_addresses_round_trip() {
        let v4: IpAddr = "192.0.2.1".parse().unwrap();
        let v6: IpAddr = "2001:db8::1".parse().unwrap();
        assert_eq!(Address::from(v4).to_ip(), v4);
        assert_eq!(Address::from(v4).as_v4(), Some([192, 0, 2, 1]));
        assert_eq!(Address::from(v6).to_ip(), v6);
        assert_eq!(Address::from(v6).as_v4(), None);
    }

    #[test]
    fn small_flows_round_trip() {
        for (local, remote) in [("192.0.2.1", "198.18.0.7"), ("2001:db8::1", "2001:db8::2")] {
            let end = |ip: &str, port| Endpoint::new(ip.parse::<IpAddr>().unwrap().into(), port);
            let flow = FlowKey { local: end(local, 80), remote: end(remote, 50_000) };
            assert_eq!(SmallFlow::from(flow).key(), flow);
        }
        assert_eq!(size_of::<SmallFlow>(), 16);
    }

    #[test]
    fn martian_sources() {
        for text in ["0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"]
        {
            assert!(!Address::from(text.parse::<IpAddr>().unwrap()).is_valid_source(), "{text}");
        }
        assert!(Address::v4([192, 0, 2, 9]).is_valid_source());
    }

    #[test]
    fn groups_of_ipv6() {
        let own = Address::from("2001:db8::1:800:200e:8c6c".parse::<IpAddr>().unwrap());
        let group = own.solicited_node();
        assert_eq!(group.to_ip(), "ff02::1:ff0e:8c6c".parse::<IpAddr>().unwrap());
        assert_eq!(group.group_mac(), Mac([0x33, 0x33, 0xff, 0x0e, 0x8c, 0x6c]));
        assert_eq!(Address::v4([239, 129, 2, 3]).group_mac(), Mac([1, 0, 0x5e, 1, 2, 3]));
        assert!(group.is_link_group() && group.is_multicast() && !own.is_link_group());
        assert!(Address::ALL_NODES.is_link_group());
        let is = |text: &str| Address::from(text.parse::<IpAddr>().unwrap()).is_link_local();
        assert!(is("fe80::1") && is("febf::1") && !is("fec0::1") && !is("169.254.0.1"));
    }

    #[test]
    fn mac_text() {
        assert_eq!("02:00:5e:10:00:01".parse::<Mac>().unwrap().to_string(), "02:00:5e:10:00:01");
        assert!("02:00:5e:10:00".parse::<Mac>().is_err());
        assert!("02:00:5e:10:00:01:02".parse::<Mac>().is_err());
    }
}
