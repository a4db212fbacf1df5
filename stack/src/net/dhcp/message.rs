//! DHCP messages (RFC 2131 §2). smoltcp's codec has the fixed fields; options are read here,
//! because they go on in two of those fields (RFC 2132 §9.3) and in pieces (RFC 3396).

use std::collections::BTreeMap;

use core::net::{IpAddr, Ipv4Addr};
use core::ops::Range;
use core::time::Duration;

use smoltcp::wire::{ArpHardware, DhcpFlags, DhcpOpCode, DhcpOption, DhcpPacket, EthernetAddress};

use super::{DOMAINS_MAX, DhcpInformation, Lease, RENEW_MIN, ROUTES_MAX, SERVERS_MAX};
use crate::net::cidr::Cidr;
use crate::net::dns::name::DomainName;
use crate::net::route::Route;
use crate::wire::address::Mac;

/// The fixed fields and the magic number; behind them are the options.
const FIXED: usize = 240;
const MAGIC: u32 = 0x6382_5363;
const SNAME: Range<usize> = 44..108;
const FILE: Range<usize> = 108..236;

/// The shortest message that every relay and server takes (BOOTP's), bytes.
const SIZE_MIN: usize = 300;
/// Room for our longest message, bytes.
const ROOM: usize = 576;

/// The least that an IPv4 link carries whole (RFC 1122 §3.3.2): a lower MTU is nonsense.
const MTU_MIN: u16 = 576;

/// Options that we send or read (RFC 2132).
mod option {
    pub(super) const PAD: u8 = 0;
    pub(super) const MASK: u8 = 1;
    pub(super) const ROUTER: u8 = 3;
    pub(super) const DNS: u8 = 6;
    pub(super) const DOMAIN: u8 = 15;
    pub(super) const MTU: u8 = 26;
    pub(super) const ADDRESS: u8 = 50;
    pub(super) const LEASE: u8 = 51;
    pub(super) const OVERLOAD: u8 = 52;
    pub(super) const KIND: u8 = 53;
    pub(super) const SERVER: u8 = 54;
    pub(super) const WISHES: u8 = 55;
    pub(super) const SIZE: u8 = 57;
    pub(super) const T1: u8 = 58;
    pub(super) const T2: u8 = 59;
    pub(super) const CLIENT: u8 = 61;
    pub(super) const SEARCH: u8 = 119;
    pub(super) const ROUTES: u8 = 121;
    pub(super) const END: u8 = 255;
}

/// What we ask for. Option 121 stands before 3 (RFC 3442).
const WISHES: [u8; 9] = [
    option::MASK,
    option::ROUTES,
    option::ROUTER,
    option::DNS,
    option::DOMAIN,
    option::SEARCH,
    option::MTU,
    option::T1,
    option::T2,
];

/// Kinds of messages from a server (RFC 2132 §9.6).
const OFFER: u8 = 2;
const ACK: u8 = 5;
const NAK: u8 = 6;

/// Kinds of messages from a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Discover = 1,
    Request = 3,
    Decline = 4,
    Release = 7,
    Inform = 8,
}

/// A message of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) kind: Kind,
    pub(crate) xid: u32,
    pub(crate) mac: Mac,
    pub(crate) seconds: u16,
    /// The address that is ours already, or none.
    pub(crate) own: Ipv4Addr,
    /// The address that we ask for, decline, or did not get.
    pub(crate) wanted: Option<Ipv4Addr>,
    pub(crate) server: Option<Ipv4Addr>,
}

/// A server's message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Offer(Lease),
    Ack(Lease),
    Nak(Ipv4Addr),
}

impl Message {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; ROOM];
        let mut packet = DhcpPacket::new_unchecked(&mut bytes[..]);
        packet.set_opcode(DhcpOpCode::Request);
        packet.set_hardware_type(ArpHardware::Ethernet);
        packet.set_hardware_len(6);
        packet.set_transaction_id(self.xid);
        packet.set_secs(self.seconds);
        packet.set_client_hardware_address(EthernetAddress(self.mac.0));
        packet.set_client_ip(self.own);
        packet.set_magic_number(MAGIC);
        // RFC 2131 §4.1: who has no address cannot be sent to by it.
        if self.own.is_unspecified() && self.kind != Kind::Decline {
            packet.set_flags(DhcpFlags::BROADCAST);
        }
        let mut client = [1; 7];
        client[1..].copy_from_slice(&self.mac.0);
        let (wanted, server) =
            (self.wanted.map(|it| it.octets()), self.server.map(|it| it.octets()));
        let (kind, size) = ([self.kind as u8], 1500_u16.to_be_bytes());
        let is_question = matches!(self.kind, Kind::Discover | Kind::Request | Kind::Inform);
        let options = [
            Some((option::KIND, &kind[..])),
            Some((option::CLIENT, &client[..])),
            wanted.as_ref().map(|wanted| (option::ADDRESS, &wanted[..])),
            server.as_ref().map(|server| (option::SERVER, &server[..])),
            is_question.then_some((option::SIZE, &size[..])),
            is_question.then_some((option::WISHES, &WISHES[..])),
        ];
        let mut writer = packet.options_mut();
        let mut used = FIXED + 1;
        for (kind, data) in options.into_iter().flatten() {
            // There is room for all of them.
            let written = writer.emit(DhcpOption { kind, data });
            used += if written.is_ok() { 2 + data.len() } else { 0 };
        }
        let _: Result<(), smoltcp::wire::Error> = writer.end();
        bytes.truncate(used.max(SIZE_MIN));
        bytes
    }
}

impl Reply {
    /// The reply in `bytes` to the client `mac` and its transaction `xid`; `None` if it is none,
    /// or of no use.
    pub(crate) fn parse(bytes: &[u8], xid: u32, mac: Mac) -> Option<Reply> {
        let (yours, options) = reply_to(bytes, xid, mac)?;
        let server = options.address(option::SERVER)?;
        match *options.get(option::KIND)? {
            [OFFER] => Some(Reply::Offer(options.lease(yours, server)?)),
            [ACK] => Some(Reply::Ack(options.lease(yours, server)?)),
            [NAK] => Some(Reply::Nak(server)),
            _ => None,
        }
    }
}

/// What a server says to who has an address (§4.3.5): nothing about a lease.
pub(crate) fn information(bytes: &[u8], xid: u32, mac: Mac) -> Option<DhcpInformation> {
    let (_, options) = reply_to(bytes, xid, mac)?;
    let dns = options.addresses(option::DNS).take(SERVERS_MAX).collect();
    let server = options.address(option::SERVER)?;
    let is_answer = options.get(option::KIND) == Some(&[ACK]);
    is_answer.then(|| DhcpInformation { server, dns, search: options.search() })
}

/// "Your" address and the options of a reply to this client and its transaction.
fn reply_to(bytes: &[u8], xid: u32, mac: Mac) -> Option<(Ipv4Addr, Options)> {
    let fixed = DhcpPacket::new_checked(bytes).ok()?;
    let is_ours = fixed.opcode() == DhcpOpCode::Reply
        && fixed.hardware_type() == ArpHardware::Ethernet
        && fixed.hardware_len() == 6
        && fixed.transaction_id() == xid
        && fixed.client_hardware_address() == EthernetAddress(mac.0)
        && fixed.magic_number() == MAGIC;
    is_ours.then(|| (fixed.your_ip(), Options::read(bytes)))
}

/// The options of a message; what stands in pieces is put together.
struct Options(BTreeMap<u8, Vec<u8>>);

impl Options {
    fn read(bytes: &[u8]) -> Options {
        let mut options = Options(BTreeMap::new());
        options.add(bytes.get(FIXED..).unwrap_or_default());
        // An overload is read once, from the place where it counts: not from within itself.
        let overload = match options.get(option::OVERLOAD) {
            Some([bits]) => *bits,
            _ => 0,
        };
        for (bit, field) in [(1, FILE), (2, SNAME)] {
            if overload & bit != 0 {
                options.add(bytes.get(field).unwrap_or_default());
            }
        }
        options
    }

    fn add(&mut self, bytes: &[u8]) {
        for (kind, data) in pieces(bytes) {
            self.0.entry(kind).or_default().extend(data);
        }
    }

    fn get(&self, kind: u8) -> Option<&[u8]> {
        self.0.get(&kind).map(Vec::as_slice)
    }

    fn address(&self, kind: u8) -> Option<Ipv4Addr> {
        let octets: [u8; 4] = self.get(kind)?.try_into().ok()?;
        Some(Ipv4Addr::from(octets)).filter(|address| is_a_host(*address))
    }

    fn addresses(&self, kind: u8) -> impl Iterator<Item = Ipv4Addr> + '_ {
        let (all, _) = self.get(kind).unwrap_or_default().as_chunks::<4>();
        all.iter().map(|octets| Ipv4Addr::from(*octets)).filter(|address| is_a_host(*address))
    }

    fn seconds(&self, kind: u8) -> Option<u32> {
        Some(u32::from_be_bytes(self.get(kind)?.try_into().ok()?))
    }

    /// The lease that is offered, if it makes sense.
    fn lease(&self, address: Ipv4Addr, server: Ipv4Addr) -> Option<Lease> {
        let mask = u32::from_be_bytes(self.get(option::MASK)?.try_into().ok()?);
        let prefix = mask.leading_ones() as u8;
        let is_mask = mask.count_ones() == u32::from(prefix) && prefix > 0;
        let address = Cidr::new(address.into(), prefix);
        let seconds = self.seconds(option::LEASE).filter(|seconds| *seconds > 0)?;
        let IpAddr::V4(own) = address.address else { return None };
        if !is_mask || !is_a_host(own) || address.broadcast() == Some(own) {
            return None;
        }
        let time = match seconds {
            u32::MAX => Duration::MAX,
            seconds => Duration::from_secs(seconds.into()),
        };
        // RFC 2131 §4.4.5, for what is not said and for what cannot be. A 0 says nothing.
        let said = |kind| {
            let time = self.seconds(kind).map(|seconds| Duration::from_secs(seconds.into()));
            time.filter(|time| *time >= RENEW_MIN)
        };
        let usual = |eighths| {
            let part = time.checked_mul(eighths).map_or(Duration::MAX, |time| time / 8);
            part.max(RENEW_MIN).min(time)
        };
        let rebind = said(option::T2).filter(|t2| *t2 < time).unwrap_or(usual(7));
        let renew = said(option::T1).filter(|t1| *t1 < rebind).unwrap_or(usual(4).min(rebind));
        Some(Lease {
            address,
            server,
            routes: self.routes(address),
            dns: self.addresses(option::DNS).take(SERVERS_MAX).collect(),
            search: self.search(),
            mtu: self.mtu(),
            renew,
            rebind,
            time,
        })
    }

    fn mtu(&self) -> Option<u16> {
        let mtu = u16::from_be_bytes(self.get(option::MTU)?.try_into().ok()?);
        (mtu >= MTU_MIN).then_some(mtu)
    }

    /// RFC 3442: where option 121 is, option 3 does not count. Routers are on our network.
    fn routes(&self, own: Cidr) -> Vec<Route> {
        let is_near = |route: &Route| route.gateway.is_none_or(|gateway| own.contains(gateway));
        let Some(mut rest) = self.get(option::ROUTES) else {
            let routers = self.addresses(option::ROUTER).map(|it| Route::default_via(it.into()));
            return routers.filter(is_near).take(1).collect();
        };
        let mut routes = Vec::new();
        while let Some((route, behind)) = classless(rest) {
            rest = behind;
            if is_near(&route) && routes.len() < ROUTES_MAX {
                routes.push(route);
            }
        }
        routes
    }

    /// RFC 3397; without it the one domain of option 15.
    fn search(&self) -> Vec<DomainName> {
        let list = self.get(option::SEARCH).unwrap_or_default();
        let mut domains = DomainName::list(list, DOMAINS_MAX);
        if domains.is_empty()
            && let Ok(text) = core::str::from_utf8(self.get(option::DOMAIN).unwrap_or_default())
        {
            domains.extend(text.trim_end_matches('\0').parse::<DomainName>());
        }
        domains
    }
}

/// Options as they stand in `bytes`, each octet of which is read once.
fn pieces(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    core::iter::from_fn(move || {
        loop {
            let (kind, rest) = bytes.split_first()?;
            match *kind {
                option::PAD => bytes = rest,
                option::END => return None,
                kind => {
                    let (length, rest) = rest.split_first()?;
                    let (data, rest) = rest.split_at_checked((*length).into())?;
                    bytes = rest;
                    return Some((kind, data));
                }
            }
        }
    })
}

/// The first of the routes of option 121, and what comes behind it.
fn classless(bytes: &[u8]) -> Option<(Route, &[u8])> {
    let (prefix, rest) = bytes.split_first().filter(|(prefix, _)| **prefix <= 32)?;
    let (network, rest) = rest.split_at_checked(usize::from(prefix.div_ceil(8)))?;
    let (router, rest) = rest.split_first_chunk::<4>()?;
    let mut octets = [0; 4];
    octets.iter_mut().zip(network).for_each(|(octet, byte)| *octet = *byte);
    // What lies behind the prefix says nothing.
    let destination = Cidr::new(Cidr::new(octets.into(), *prefix).network(), *prefix);
    let router = Ipv4Addr::from(*router);
    // Router 0.0.0.0: the network is on this link.
    let gateway = (!router.is_unspecified()).then_some(router.into());
    Some((Route::new(destination, gateway), rest))
}

/// A single host of a network can have this address.
fn is_a_host(address: Ipv4Addr) -> bool {
    let [first, ..] = address.octets();
    !matches!(first, 0 | 127 | 224..)
}

/// Replies as a server would write them, for tests.
#[cfg(test)]
pub(crate) mod writing {
    use super::*;

    /// The reply of `kind` to the message `asked`, with `options` as they stand.
    pub(crate) fn reply(asked: &[u8], yours: Ipv4Addr, options: &[(u8, &[u8])]) -> Vec<u8> {
        let mut out = asked[..FIXED].to_vec();
        out[0] = 2;
        out[16..20].copy_from_slice(&yours.octets());
        for (kind, data) in options {
            out.extend([*kind, data.len() as u8]);
            out.extend(*data);
        }
        out.push(option::END);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::writing::reply;
    use super::*;
    use proptest::prelude::*;

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 7]);
    const YOURS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 77);

    fn discover() -> Message {
        let own = Ipv4Addr::UNSPECIFIED;
        let (wanted, server) = (None, None);
        Message {
            kind: Kind::Discover,
            xid: 0x1234_5678,
            mac: MAC,
            seconds: 3,
            own,
            wanted,
            server,
        }
    }

    /// A good offer with `more` behind it; an option that comes again goes on.
    fn offer(more: &[(u8, &[u8])]) -> Option<Lease> {
        let mut options: Vec<(u8, &[u8])> = vec![(53, &[2]), (54, &[192, 0, 2, 1])];
        let usual: [(u8, &[u8]); 2] = [(1, &[255, 255, 255, 0]), (51, &[0, 0, 0x0e, 0x10])];
        options.extend(usual.iter().filter(|(kind, _)| !more.iter().any(|(it, _)| it == kind)));
        options.extend(more);
        match Reply::parse(&reply(&discover().encode(), YOURS, &options), 0x1234_5678, MAC) {
            Some(Reply::Offer(lease)) => Some(lease),
            _ => None,
        }
    }

    #[test]
    fn rfc2131_4_4_1_what_we_say() {
        let bytes = discover().encode();
        assert_eq!(bytes.len(), SIZE_MIN);
        assert_eq!(&bytes[..12], b"\x01\x01\x06\0\x12\x34\x56\x78\0\x03\x80\0");
        assert_eq!((&bytes[28..34], &bytes[236..240]), (&MAC.0[..], b"\x63\x82\x53\x63" as &[u8]));
        let options = Options::read(&bytes);
        assert_eq!(options.get(53), Some(&[1][..]));
        assert_eq!(options.get(61), Some(&[1, 2, 0, 0, 0, 0, 7][..]));
        assert_eq!((options.get(50), options.get(55)), (None, Some(&WISHES[..])));
        let (wanted, server) = (Some(YOURS), Some(Ipv4Addr::new(192, 0, 2, 1)));
        let bytes = Message { kind: Kind::Request, wanted, server, ..discover() }.encode();
        let options = Options::read(&bytes);
        assert_eq!((options.address(50), options.address(54)), (wanted, server));
        let bytes = Message { kind: Kind::Request, own: YOURS, ..discover() }.encode();
        assert_eq!((&bytes[10..12], &bytes[12..16]), (&[0, 0][..], &YOURS.octets()[..]));
    }

    #[test]
    fn rfc2132_what_a_server_says() {
        let lease = offer(&[
            (3, &[192, 0, 2, 1]),
            (6, &[192, 0, 2, 53, 0, 0, 0, 0, 192, 0, 2]),
            (6, &[54]),
            (15, b"a.example\0"),
            (26, &[0x05, 0x78]),
        ]);
        let lease = lease.unwrap();
        assert_eq!(lease.address, "192.0.2.77/24".parse().unwrap());
        assert_eq!(lease.routes, [Route::default_via("192.0.2.1".parse().unwrap())]);
        let dns = [Ipv4Addr::new(192, 0, 2, 53), Ipv4Addr::new(192, 0, 2, 54)];
        assert_eq!((lease.dns, lease.mtu), (dns.to_vec(), Some(1400)));
        assert_eq!(lease.search, ["a.example".parse().unwrap()]);
        let times = [lease.renew, lease.rebind, lease.time].map(|time| time.as_secs());
        assert_eq!(times, [1800, 3150, 3600]);
        let lease = offer(&[(119, b"\x01a\x01b\0\x01c\xc0\x02")]).unwrap();
        assert_eq!(lease.search, ["a.b", "c.b"].map(|name| name.parse().unwrap()));
    }

    #[test]
    fn rfc3442_classless_routes_come_before_the_router() {
        let routes = [24, 198, 51, 100, 192, 0, 2, 9, 0, 192, 0, 2, 8, 32, 1, 2, 3, 4, 0, 0, 0, 0];
        let lease = offer(&[(3, &[192, 0, 2, 1]), (121, &routes)]).unwrap();
        let shown: Vec<String> = lease
            .routes
            .iter()
            .map(|it| format!("{} {:?}", it.destination, it.gateway.map(|to| to.to_string())))
            .collect();
        let expected = [
            "198.51.100.0/24 Some(\"192.0.2.9\")",
            "0.0.0.0/0 Some(\"192.0.2.8\")",
            "1.2.3.4/32 None",
        ];
        assert_eq!(shown, expected);
        for cut in 0..routes.len() {
            assert!(offer(&[(121, &routes[..cut])]).is_some_and(|lease| lease.routes.len() <= 2));
        }
        let many = [16, 10, 1, 192, 0, 2, 9].repeat(36);
        assert_eq!(offer(&[(121, &many), (121, &many)]).unwrap().routes.len(), ROUTES_MAX);
    }

    #[test]
    fn d5_terms_that_make_no_sense() {
        for bad in [
            (1, &[0, 0, 0, 0][..]),
            (1, &[255, 0, 255, 0]),
            (1, &[255, 255]),
            (51, &[0, 0, 0, 0]),
            (51, &[0, 1]),
        ] {
            assert_eq!(offer(&[bad]), None, "{bad:?}");
        }
        for (t1, t2) in [(3600, 3600), (5000, 4000), (3000, 2000), (0, 0), (u32::MAX, 7)] {
            let (t1, t2) = (u32::to_be_bytes(t1), u32::to_be_bytes(t2));
            let lease = offer(&[(58, &t1), (59, &t2)]).unwrap();
            assert!(lease.renew <= lease.rebind && lease.rebind <= lease.time, "{lease:?}");
        }
        // 0 says nothing (§4.4.5): half of an hour, and seven eighths.
        for (t1, t2, expected) in [
            (0, 0, [1800, 3150]),
            (0, 3000, [1800, 3000]),
            (900, 0, [900, 3150]),
            (3, 3, [1800, 3150]),
            (4, 5, [4, 5]),
        ] {
            let (t1, t2) = (u32::to_be_bytes(t1), u32::to_be_bytes(t2));
            let lease = offer(&[(58, &t1), (59, &t2)]).unwrap();
            assert_eq!([lease.renew, lease.rebind].map(|time| time.as_secs()), expected);
        }
        let forever = offer(&[(51, &[255; 4])]).unwrap();
        assert_eq!([forever.renew, forever.rebind, forever.time], [Duration::MAX; 3]);
        assert_eq!(offer(&[(3, &[198, 51, 100, 1])]).unwrap().routes, [], "not on the network");
        assert_eq!(offer(&[(26, &[0, 68])]).unwrap().mtu, None);
        for yours in [[0, 0, 0, 0], [127, 0, 0, 1], [224, 0, 0, 1], [255; 4], [192, 0, 2, 255]] {
            let options: [(u8, &[u8]); 4] =
                [(53, &[2]), (54, &[192, 0, 2, 1]), (1, &[255, 255, 255, 0]), (51, &[0, 0, 1, 0])];
            let bytes = reply(&discover().encode(), yours.into(), &options);
            assert_eq!(Reply::parse(&bytes, 0x1234_5678, MAC), None, "{yours:?}");
        }
    }

    #[test]
    fn d5_overload_is_read_once() {
        let options: [(u8, &[u8]); 3] = [(53, &[2]), (54, &[192, 0, 2, 1]), (52, &[3])];
        let mut bytes = reply(&discover().encode(), YOURS, &options);
        bytes[SNAME][..9].copy_from_slice(&[1, 4, 255, 255, 255, 0, 52, 1, 3]);
        bytes[FILE][..7].copy_from_slice(&[51, 4, 0, 0, 0, 9, 255]);
        let Some(Reply::Offer(lease)) = Reply::parse(&bytes, 0x1234_5678, MAC) else { panic!() };
        assert_eq!(lease.time, Duration::from_secs(9));
    }

    #[test]
    fn d6_only_replies_to_us_count() {
        let options: [(u8, &[u8]); 2] = [(53, &[6]), (54, &[192, 0, 2, 1])];
        let right = reply(&discover().encode(), YOURS, &options);
        let nak = Some(Reply::Nak(Ipv4Addr::new(192, 0, 2, 1)));
        assert_eq!(Reply::parse(&right, 0x1234_5678, MAC), nak);
        assert_eq!(Reply::parse(&right, 0x1234_5679, MAC), None);
        assert_eq!(Reply::parse(&right, 0x1234_5678, Mac([2, 0, 0, 0, 0, 8])), None);
        for at in [0, 1, 2, 4, 7, 28, 33, 236, 239] {
            let mut wrong = right.clone();
            wrong[at] ^= 4;
            assert_eq!(Reply::parse(&wrong, 0x1234_5678, MAC), None, "{at}");
        }
        for cut in 0..right.len() - 1 {
            assert_eq!(Reply::parse(&right[..cut], 0x1234_5678, MAC), None, "{cut}");
        }
        let without = reply(&discover().encode(), YOURS, &[(53, &[6])]);
        assert_eq!(Reply::parse(&without, 0x1234_5678, MAC), None, "whose is it?");
    }

    proptest! {
        #[test]
        fn d5_no_options_do_harm(bytes: Vec<u8>, fields: Vec<u8>, overload in 0..4_u8) {
            let options: [(u8, &[u8]); 5] = [
                (53, &[2]),
                (54, &[192, 0, 2, 1]),
                (1, &[255, 255, 255, 0]),
                (51, &[0, 0, 1, 0]),
                (52, &[overload]),
            ];
            let mut message = reply(&discover().encode(), YOURS, &options);
            message.pop();
            message.extend(&bytes);
            for (at, byte) in (SNAME.start..FILE.end).zip(&fields) {
                message[at] = *byte;
            }
            let _ = Reply::parse(&message, 0x1234_5678, MAC);
            let _ = Reply::parse(&bytes, 0, MAC);
        }

        #[test]
        fn d5_sixty_four_kibibytes_are_linear(kind: u8, length in 0..4_u8) {
            let one = [&[kind, length][..], &[7; 4][..usize::from(length)]].concat();
            let terms: [(u8, &[u8]); 4] =
                [(53, &[2]), (54, &[192, 0, 2, 1]), (1, &[255, 255, 255, 0]), (51, &[0, 0, 1, 0])];
            let mut message = reply(&discover().encode(), YOURS, &terms);
            // Behind an end nothing would be read.
            prop_assert_eq!(message.pop(), Some(option::END));
            let (known, count) = (message.len() - FIXED, 65_000 / one.len());
            message.extend(one.repeat(count));
            // What goes back, or stands still, reads more than there is.
            let room = message.len() - FIXED;
            let found: Vec<_> = pieces(&message[FIXED..]).take(room).collect();
            let read: usize = found.iter().map(|(_, data)| 2 + data.len()).sum();
            prop_assert!(read <= room, "{} octets of {}", read, room);
            if ![option::PAD, option::END].contains(&kind) {
                prop_assert_eq!((found.len(), read), (terms.len() + count, room));
            } else if kind == option::END {
                prop_assert_eq!((found.len(), read), (terms.len(), known));
            }
            if terms.iter().all(|(term, _)| *term != kind) && kind != option::PAD {
                let offer = Reply::parse(&message, 0x1234_5678, MAC);
                let Some(Reply::Offer(lease)) = offer else { panic!("no offer: {offer:?}") };
                prop_assert!(lease.dns.len() <= SERVERS_MAX && lease.routes.len() <= ROUTES_MAX);
                prop_assert!(lease.search.len() <= DOMAINS_MAX);
            }
        }
    }
}
