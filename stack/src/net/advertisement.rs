//! What a router says of itself and of the link (RFC 4861 §4.2, §6.1.2): reading it.

use crate::net::dns::name::DomainName;
use crate::wire::address::{Address, Mac};
use crate::wire::parse::IpPacket;
use core::time::Duration;

/// The message's type (ICMPv6).
pub(crate) const KIND: u8 = 134;
/// No router has passed it on.
const HOP_LIMIT: u8 = 255;
/// Bytes before the options.
const FIXED_LEN: usize = 16;
/// Prefixes, servers of names and domains that are read of one message; a message with more is a
/// mistake or an attack (THREATS N-6).
pub(crate) const PREFIXES_MAX: usize = 16;
pub(crate) const SERVERS_MAX: usize = 8;
pub(crate) const DOMAINS_MAX: usize = 8;

const SOURCE_LINK_ADDRESS: u8 = 1;
const PREFIX_INFORMATION: u8 = 3;
const MTU: u8 = 5;
const NAME_SERVERS: u8 = 25;
const SEARCH_LIST: u8 = 31;

/// How much a router wants to be used (RFC 4191 §2.1), least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Preference {
    Low,
    Medium,
    High,
}

/// A prefix of the link (§4.6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prefix {
    pub(crate) address: Address,
    pub(crate) length: u8,
    /// What has it is on the link.
    pub(crate) on_link: bool,
    /// Hosts may make addresses of it.
    pub(crate) autonomous: bool,
    pub(crate) valid: Duration,
    pub(crate) preferred: Duration,
}

/// What a router says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Advertisement {
    /// The router.
    pub(crate) router: Address,
    /// Its link address, if it says so.
    pub(crate) mac: Option<Mac>,
    /// None: it has no opinion. So for the times and the MTU.
    pub(crate) hop_limit: Option<u8>,
    /// Addresses are to be had from DHCP.
    pub(crate) managed: bool,
    /// Other things are to be had from DHCP.
    pub(crate) other: bool,
    pub(crate) preference: Preference,
    /// How long it is a way to everywhere; zero: not at all.
    pub(crate) lifetime: Duration,
    pub(crate) reachable: Option<Duration>,
    pub(crate) retransmit: Option<Duration>,
    pub(crate) mtu: Option<u32>,
    pub(crate) prefixes: Vec<Prefix>,
    /// Servers of names (RFC 8106 §5.1), each with how long it may be asked.
    pub(crate) servers: Vec<(Address, Duration)>,
    /// Domains to look for short names in (RFC 8106 §5.2), likewise.
    pub(crate) domains: Vec<(DomainName, Duration)>,
}

impl Advertisement {
    /// Reads the message in `packet`, whose checksum is right. None for what §6.1.2 discards: from
    /// beyond the link, from another than a router's address on it, cut short, or with an option of
    /// no length (THREATS N-5, N-7).
    pub(crate) fn parse(packet: &IpPacket<'_>) -> Option<Advertisement> {
        let (fixed, options) = packet.payload.split_first_chunk::<FIXED_LEN>()?;
        let [kind, code, _, _, hop_limit, flags, high, low, times @ ..] = *fixed;
        let local = packet.source.is_link_local();
        if kind != KIND || code != 0 || packet.ttl != HOP_LIMIT || !local {
            return None;
        }
        let [reachable, retransmit] = [0, 4].map(|at| {
            let bytes = times.get(at..).and_then(<[u8]>::first_chunk).copied();
            let millis = u32::from_be_bytes(bytes.unwrap_or_default());
            (millis != 0).then(|| Duration::from_millis(millis.into()))
        });
        let mut advertisement = Advertisement {
            router: packet.source,
            mac: None,
            hop_limit: (hop_limit != 0).then_some(hop_limit),
            managed: flags & 0x80 != 0,
            other: flags & 0x40 != 0,
            preference: match flags >> 3 & 3 {
                1 => Preference::High,
                3 => Preference::Low,
                // RFC 4191 §2.2: what is reserved is medium.
                _ => Preference::Medium,
            },
            lifetime: Duration::from_secs(u16::from_be_bytes([high, low]).into()),
            reachable,
            retransmit,
            mtu: None,
            prefixes: Vec::new(),
            servers: Vec::new(),
            domains: Vec::new(),
        };
        let mut rest = options;
        while !rest.is_empty() {
            let [kind, units, ..] = *rest else { return None };
            let len = usize::from(units) * 8;
            let option = rest.get(..len).filter(|_| len > 0)?;
            advertisement.read_option(kind, option);
            rest = rest.get(len..)?;
        }
        Some(advertisement)
    }

    /// One option; one that is not as it must be is passed over (§6.1.2, RFC 8106 §5.3.1).
    fn read_option(&mut self, kind: u8, option: &[u8]) {
        match (kind, option) {
            (SOURCE_LINK_ADDRESS, &[_, _, a, b, c, d, e, f]) => {
                self.mac = Some(Mac([a, b, c, d, e, f]));
            }
            (MTU, &[_, _, _, _, a, b, c, d]) => self.mtu = Some(u32::from_be_bytes([a, b, c, d])),
            (PREFIX_INFORMATION, option) if self.prefixes.len() < PREFIXES_MAX => {
                self.prefixes.extend(prefix(option));
            }
            (NAME_SERVERS, &[_, units, _, _, a, b, c, d, ref servers @ ..]) if units % 2 == 1 => {
                let lifetime = seconds([a, b, c, d]);
                let room = SERVERS_MAX.saturating_sub(self.servers.len());
                let (servers, _) = servers.as_chunks::<16>();
                let servers =
                    servers.iter().map(|octets| Address::v6(u128::from_be_bytes(*octets)));
                let hosts = servers.filter(|address| !address.is_v4() && address.is_valid_source());
                self.servers.extend(hosts.take(room).map(|address| (address, lifetime)));
            }
            (SEARCH_LIST, &[_, _, _, _, a, b, c, d, ref names @ ..]) => {
                let room = DOMAINS_MAX.saturating_sub(self.domains.len());
                let names = DomainName::list(names, room).into_iter();
                self.domains.extend(names.map(|name| (name, seconds([a, b, c, d]))));
            }
            _ => {}
        }
    }
}

fn prefix(option: &[u8]) -> Option<Prefix> {
    let option: &[u8; 32] = option.try_into().ok()?;
    let [_, _, length, flags, rest @ ..] = *option;
    let word = |at: usize| rest.get(at..).and_then(<[u8]>::first_chunk::<4>).copied();
    let address = Address::v6(u128::from_be_bytes(*rest.last_chunk()?));
    let (valid, preferred) = (seconds(word(0)?), seconds(word(4)?));
    let odd = length > 128 || address.is_link_local() || address.is_multicast();
    (!odd && !address.is_v4()).then_some(Prefix {
        address,
        length,
        on_link: flags & 0x80 != 0,
        autonomous: flags & 0x40 != 0,
        valid,
        preferred,
    })
}

/// All ones is for ever.
fn seconds(word: [u8; 4]) -> Duration {
    match u32::from_be_bytes(word) {
        u32::MAX => Duration::MAX,
        seconds => Duration::from_secs(seconds.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ecn::Codepoint;
    use crate::wire::parse::PROTOCOL_ICMPV6;
    use core::net::IpAddr;

    fn address(text: &str) -> Address {
        text.parse::<IpAddr>().unwrap().into()
    }

    fn packet(payload: &[u8]) -> IpPacket<'_> {
        IpPacket {
            source: address("fe80::1"),
            destination: Address::ALL_NODES,
            protocol: PROTOCOL_ICMPV6,
            ttl: 255,
            ecn: Codepoint::NotEct,
            fragment: None,
            header: &[],
            extensions: &[],
            payload,
        }
    }

    /// RFC 4861 §4.2, with an option of each kind.
    fn message() -> Vec<u8> {
        let mut bytes = vec![134, 0, 0, 0, 64, 0x48, 7, 8, 0, 0, 0x75, 0x30, 0, 0, 3, 0xe8];
        bytes.extend([1, 1, 2, 0, 0, 0, 0, 9]);
        bytes.extend([5, 1, 0, 0, 0, 0, 5, 220]);
        bytes.extend([3, 4, 64, 0xc0, 0, 0, 14, 16, 0, 0, 7, 8, 0, 0, 0, 0]);
        bytes.extend(address("2001:db8::").octets());
        bytes.extend([25, 3, 0, 0, 0xff, 0xff, 0xff, 0xff]);
        bytes.extend(address("2001:db8::53").octets());
        bytes.extend([31, 3, 0, 0, 0, 0, 14, 16]);
        bytes.extend(b"\x01a\x04test\x00\x01b\x00\0\0\0\0\0");
        bytes
    }

    #[test]
    fn rfc4861_4_2_every_field_and_option() {
        let said = Advertisement::parse(&packet(&message())).unwrap();
        let wanted = Advertisement {
            router: address("fe80::1"),
            mac: Some(Mac([2, 0, 0, 0, 0, 9])),
            hop_limit: Some(64),
            managed: false,
            other: true,
            preference: Preference::High,
            lifetime: Duration::from_secs(1800),
            reachable: Some(Duration::from_secs(30)),
            retransmit: Some(Duration::from_secs(1)),
            mtu: Some(1500),
            prefixes: vec![Prefix {
                address: address("2001:db8::"),
                length: 64,
                on_link: true,
                autonomous: true,
                valid: Duration::from_secs(3600),
                preferred: Duration::from_secs(1800),
            }],
            servers: vec![(address("2001:db8::53"), Duration::MAX)],
            domains: ["a.test", "b"]
                .map(|name| (name.parse().unwrap(), Duration::from_secs(3600)))
                .into(),
        };
        assert_eq!(said, wanted);
        for (bits, preference) in
            [(0, Preference::Medium), (2, Preference::Medium), (3, Preference::Low)]
        {
            let mut other = message();
            other[5] = bits << 3;
            let said = Advertisement::parse(&packet(&other)).unwrap();
            assert_eq!((said.preference, said.other), (preference, false));
        }
    }

    #[test]
    fn n5_what_is_not_a_router_s_word_on_this_link() {
        let good = message();
        for ttl in 0..255 {
            assert_eq!(Advertisement::parse(&IpPacket { ttl, ..packet(&good) }), None);
        }
        for source in ["2001:db8::1", "::", "ff02::1"] {
            let source = address(source);
            assert_eq!(Advertisement::parse(&IpPacket { source, ..packet(&good) }), None);
        }
        let mut code = message();
        code[1] = 1;
        assert_eq!(Advertisement::parse(&packet(&code)), None);
        for len in 0..FIXED_LEN {
            assert_eq!(Advertisement::parse(&packet(&good[..len])), None);
        }
    }

    #[test]
    fn n7_lengths_of_options_that_lie() {
        let good = message();
        // An option at each place, of each length: what follows is read as what it then is.
        for at in [16, 24, 32, 64, 88] {
            for units in 0..=255 {
                let mut bad = good.clone();
                bad[at + 1] = units;
                let said = Advertisement::parse(&packet(&bad));
                let overruns = at + usize::from(units) * 8 > bad.len();
                if units == 0 || overruns {
                    assert_eq!(said, None, "{units} units at {at}");
                }
            }
        }
        for len in FIXED_LEN..good.len() {
            if ![16, 24, 32, 64, 88].contains(&len) {
                assert_eq!(Advertisement::parse(&packet(&good[..len])), None, "{len} bytes");
            }
        }
        // RFC 8106 §5.3.1, CVE-2020-16898: a server and a half.
        let mut even = good[..64].to_vec();
        even.extend([25, 4, 0, 0, 0, 0, 0, 9]);
        even.extend([0x20; 24]);
        assert_eq!(Advertisement::parse(&packet(&even)).unwrap().servers, []);
        let mut many = good[..16].to_vec();
        for _ in 0..100 {
            many.extend(&good[32..]);
        }
        let said = Advertisement::parse(&packet(&many)).unwrap();
        assert_eq!((said.prefixes.len(), said.servers.len()), (PREFIXES_MAX, SERVERS_MAX));
        assert_eq!(said.domains.len(), DOMAINS_MAX);
    }
}
