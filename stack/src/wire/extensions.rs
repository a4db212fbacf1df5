//! IPv6's extension headers (RFC 8200 §4): from the fixed header to what the packet carries.
//!
//! A chain has limits (RFC 8504 §5.3, THREATS P-9): so many headers, bytes and steps, and what goes
//! beyond is dropped without an answer. A first fragment has the whole chain (RFC 7112).

use super::parse::{Fragment, IpPacket, PROTOCOL_ICMPV6, PROTOCOL_TCP, PROTOCOL_UDP};
use crate::counters::DropReason;

/// Extension headers in one packet.
const HEADERS_MAX: usize = 8;
/// Their bytes together.
const BYTES_MAX: usize = 256;
/// Headers and options of them, padding included, that are looked at.
const STEPS_MAX: usize = 64;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
pub(crate) const FRAGMENT: u8 = 44;
const NO_NEXT_HEADER: u8 = 59;
const DESTINATION_OPTIONS: u8 = 60;

/// Where the fixed header names what follows it.
const NEXT_HEADER_AT: usize = 6;
/// Bytes of a fragment header (RFC 8200 §4.5).
pub(crate) const FRAGMENT_HEADER: usize = 8;

/// The packet goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// And nothing is said about it.
    Dropped(DropReason),
    /// Its sender is told why.
    Problem(Problem),
}

/// What a Parameter Problem says (RFC 4443 §3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) code: u8,
    /// Where in the packet, from its first byte.
    pub(crate) pointer: u32,
    /// It is told about packets to a group too.
    pub(crate) of_groups_too: bool,
}

impl Problem {
    pub(crate) const ERRONEOUS_FIELD: u8 = 0;
    const UNKNOWN_HEADER: u8 = 1;
    const UNKNOWN_OPTION: u8 = 2;
    const INCOMPLETE_CHAIN: u8 = 3;

    pub(crate) fn new(code: u8, pointer: usize) -> Problem {
        Problem { code, pointer: pointer as u32, of_groups_too: false }
    }
}

const TOO_MUCH: Refused = Refused::Dropped(DropReason::IpExtension);

/// Skips the extension headers of a packet, which begin its payload: what is returned carries TCP,
/// UDP or ICMPv6, or is a fragment.
pub(crate) fn skip<'a>(packet: &IpPacket<'a>) -> Result<IpPacket<'a>, Refused> {
    let mut chain =
        Chain { bytes: packet.payload, at: 0, base: packet.header.len(), steps: 0, fragment: None };
    let (mut next, mut named_at) = (packet.protocol, NEXT_HEADER_AT);
    for headers in 0..=HEADERS_MAX {
        let begins = chain.at;
        let header = match next {
            PROTOCOL_TCP | PROTOCOL_UDP | PROTOCOL_ICMPV6 => return chain.carried(packet, next),
            NO_NEXT_HEADER => return Err(Refused::Dropped(DropReason::IpProtocol)),
            HOP_BY_HOP if headers == 0 => chain.options()?,
            DESTINATION_OPTIONS => chain.options()?,
            ROUTING => chain.routing()?,
            FRAGMENT => chain.fragment()?,
            _ => {
                let code = Problem::UNKNOWN_HEADER;
                return Err(Refused::Problem(Problem::new(code, named_at)));
            }
        };
        next = header.first().copied().unwrap_or(NO_NEXT_HEADER);
        named_at = chain.base + begins;
        if let Some((fragment, end)) = chain.fragment
            && fragment.offset != 0
        {
            return Ok(chain.split(packet, next, end));
        }
    }
    Err(TOO_MUCH)
}

/// What `bytes`, the first of them a header of the kind `next`, carry behind their chain, as far as
/// that makes sense: it decides whether a packet may be answered with an error.
pub(crate) fn carried(mut next: u8, bytes: &[u8]) -> (u8, &[u8]) {
    let mut rest = bytes;
    for _ in 0..=HEADERS_MAX {
        let len = match next {
            HOP_BY_HOP | DESTINATION_OPTIONS | ROUTING => {
                rest.get(1).map(|&units| (usize::from(units) + 1) * 8)
            }
            FRAGMENT => Some(FRAGMENT_HEADER),
            _ => None,
        };
        let Some((header, behind)) = len.and_then(|len| rest.split_at_checked(len)) else { break };
        next = header.first().copied().unwrap_or(NO_NEXT_HEADER);
        rest = behind;
    }
    (next, rest)
}

/// The packet's hop-by-hop options tell routers that it is one of MLD (Router Alert, RFC 2711
/// §2.1). Its chain has been skipped.
pub(crate) fn alerts_of_mld(packet: &IpPacket<'_>) -> bool {
    const PAD_1: u8 = 0;
    const ROUTER_ALERT: u8 = 5;
    const OF_MLD: [u8; 2] = [0, 0];
    let [_, units, options @ ..] = packet.extensions else { return false };
    if packet.header.get(NEXT_HEADER_AT) != Some(&HOP_BY_HOP) {
        return false;
    }
    let mut rest = options.get(..usize::from(*units) * 8 + 6).unwrap_or_default();
    while let Some((&kind, behind)) = rest.split_first() {
        if kind == PAD_1 {
            rest = behind;
            continue;
        }
        let Some((&len, behind)) = behind.split_first() else { return false };
        let Some((data, behind)) = behind.split_at_checked(len.into()) else { return false };
        if kind == ROUTER_ALERT {
            return data == OF_MLD;
        }
        rest = behind;
    }
    false
}

struct Chain<'a> {
    bytes: &'a [u8],
    /// Read so far.
    at: usize,
    /// Bytes of the packet before `bytes`.
    base: usize,
    steps: usize,
    /// What the fragment header says, and where it ends.
    fragment: Option<(Fragment, usize)>,
}

impl<'a> Chain<'a> {
    fn step(&mut self) -> Result<(), Refused> {
        self.steps += 1;
        if self.steps > STEPS_MAX { Err(TOO_MUCH) } else { Ok(()) }
    }

    /// The header that begins here, `len` bytes of it.
    fn take(&mut self, len: usize) -> Result<&'a [u8], Refused> {
        self.step()?;
        let header = self.bytes.get(self.at..self.at + len).ok_or(self.cut_off())?;
        self.at += len;
        if self.at > BYTES_MAX { Err(TOO_MUCH) } else { Ok(header) }
    }

    /// A header that says how long it is: in units of eight bytes after the first.
    fn take_sized(&mut self) -> Result<&'a [u8], Refused> {
        let units = self.bytes.get(self.at + 1).copied().ok_or(self.cut_off())?;
        self.take((usize::from(units) + 1) * 8)
    }

    /// The chain ends with the packet: in a first fragment its sender is told (RFC 7112 §5).
    fn cut_off(&self) -> Refused {
        match self.fragment {
            Some(_) => Refused::Problem(Problem::new(Problem::INCOMPLETE_CHAIN, 0)),
            None => TOO_MUCH,
        }
    }

    /// Hop-by-hop or destination options. None is known here, and what to do about an unknown one
    /// stands in its two highest bits (RFC 8200 §4.2).
    fn options(&mut self) -> Result<&'a [u8], Refused> {
        const PAD_1: u8 = 0;
        let begins = self.base + self.at;
        let header = self.take_sized()?;
        let mut at = 2;
        while let Some(&kind) = header.get(at) {
            self.step()?;
            if kind == PAD_1 {
                at += 1;
                continue;
            }
            let len = header.get(at + 1).copied().map(usize::from).ok_or(TOO_MUCH)?;
            let problem = Problem::new(Problem::UNKNOWN_OPTION, begins + at);
            match kind >> 6 {
                0b00 => {}
                0b01 => return Err(TOO_MUCH),
                0b10 => return Err(Refused::Problem(Problem { of_groups_too: true, ..problem })),
                _ => return Err(Refused::Problem(problem)),
            }
            at += 2 + len;
        }
        if at == header.len() { Ok(header) } else { Err(TOO_MUCH) }
    }

    /// A route that has been travelled is skipped; none is followed (RFC 5095, THREATS P-10).
    fn routing(&mut self) -> Result<&'a [u8], Refused> {
        let begins = self.base + self.at;
        let header = self.take_sized()?;
        match header.get(3) {
            Some(0) => Ok(header),
            _ => {
                let problem = Problem::new(Problem::ERRONEOUS_FIELD, begins + 2);
                Err(Refused::Problem(problem))
            }
        }
    }

    fn fragment(&mut self) -> Result<&'a [u8], Refused> {
        if self.fragment.is_some() {
            // One within another (THREATS F-6).
            return Err(TOO_MUCH);
        }
        let header = self.take(FRAGMENT_HEADER)?;
        let &[_, _, high, low, a, b, c, d] = header.first_chunk::<8>().ok_or(TOO_MUCH)?;
        let field = u16::from_be_bytes([high, low]);
        let fragment = Fragment {
            id: u32::from_be_bytes([a, b, c, d]),
            offset: u32::from(field & !7),
            more: field & 1 == 1,
        };
        self.fragment = Some((fragment, self.at));
        Ok(header)
    }

    /// The chain is read to its end. A first fragment also has the header that follows (RFC 7112
    /// §5); its other extension headers are part of what is to be put together.
    fn carried(self, packet: &IpPacket<'a>, protocol: u8) -> Result<IpPacket<'a>, Refused> {
        let Some((_, end)) = self.fragment else {
            return Ok(self.split(packet, protocol, self.at));
        };
        let least = if protocol == PROTOCOL_TCP { 20 } else { 8 };
        if self.bytes.len() < self.at + least {
            return Err(self.cut_off());
        }
        let follows = self.bytes.get(end - FRAGMENT_HEADER).copied();
        Ok(self.split(packet, follows.unwrap_or(protocol), end))
    }

    /// The packet with its headers up to `end` as its extensions.
    fn split(&self, packet: &IpPacket<'a>, protocol: u8, end: usize) -> IpPacket<'a> {
        let (extensions, payload) = self.bytes.split_at(end.min(self.bytes.len()));
        let fragment = self.fragment.map(|(fragment, _)| fragment);
        IpPacket { protocol, fragment, extensions, payload, ..*packet }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;
    use proptest::prelude::*;

    /// A packet of `next` and `rest`, from one host to another.
    fn packet(next: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x60, 0, 0, 0, 0, 0, next, 64];
        bytes[4..6].copy_from_slice(&(rest.len() as u16).to_be_bytes());
        for last in [1, 2] {
            bytes.extend([0x20, 0x01, 0x0d, 0xb8]);
            bytes.extend([0; 11]);
            bytes.push(last);
        }
        bytes.extend(rest);
        bytes
    }

    /// What follows, and the fragment, or why not.
    fn read(next: u8, rest: &[u8]) -> Result<(u8, usize, Option<Fragment>), Refused> {
        let bytes = packet(next, rest);
        let whole = parse::ipv6(&bytes).unwrap();
        let packet = skip(&whole)?;
        assert_eq!([packet.header, packet.extensions, packet.payload].concat(), bytes);
        Ok((packet.protocol, packet.payload.len(), packet.fragment))
    }

    fn problem(code: u8, pointer: usize) -> Refused {
        Refused::Problem(Problem::new(code, pointer))
    }

    /// A header of eight bytes: options of one PadN, or a route that has been travelled.
    fn plain(next: u8) -> [u8; 8] {
        [next, 0, 1, 0, 0, 0, 0, 0]
    }

    fn fragment(next: u8, offset: u16, more: u16) -> Vec<u8> {
        let [high, low] = (offset | more).to_be_bytes();
        vec![next, 0, high, low, 0, 0, 0, 7]
    }

    #[test]
    fn rfc8200_4_1_any_order_that_makes_sense() {
        assert_eq!(read(17, &[0; 8]), Ok((17, 8, None)));
        let rest = [
            plain(60).as_slice(),
            &[43, 0, 1, 4, 0, 0, 0, 0],
            &[60, 0, 0, 0, 0, 0, 0, 0],
            &[6, 0, 5, 2, 0, 0, 1, 0],
            &[0; 20],
        ]
        .concat();
        assert_eq!(read(0, &rest), Ok((6, 20, None)));
        assert_eq!(
            read(60, &[plain(0).as_slice(), &plain(17), &[0; 8]].concat()),
            Err(problem(1, 40)),
            "hop-by-hop options stand first"
        );
        assert_eq!(read(59, &[1, 2, 3]), Err(Refused::Dropped(DropReason::IpProtocol)));
    }

    #[test]
    fn p9_chains_have_limits() {
        let chain = |count: usize| {
            let mut rest: Vec<u8> = (1..count).flat_map(|_| plain(60)).collect();
            rest.extend(plain(17));
            rest.extend([0; 8]);
            read(60, &rest)
        };
        assert_eq!(chain(8), Ok((17, 8, None)));
        for count in [9, 10, 2_000] {
            assert_eq!(chain(count), Err(TOO_MUCH), "{count} headers");
        }
        let long = |units: u8| {
            let mut header = vec![0; (usize::from(units) + 1) * 8];
            (header[0], header[1], header[2]) = (17, units, 1);
            let pads = header.len() - 2;
            // PadN of what fits into its length.
            header[3] = (pads - 2).min(255) as u8;
            header.extend([0; 8]);
            read(60, &header)
        };
        assert_eq!(long(30), Ok((17, 8, None)));
        assert_eq!(long(32), Err(TOO_MUCH), "more than 256 bytes");
        assert_eq!(long(255), Err(TOO_MUCH));
        let pads = [&[17, 8][..], &[0; 70], &[0; 8]].concat();
        assert_eq!(read(60, &pads), Err(TOO_MUCH), "seventy steps");
    }

    #[test]
    fn p9_every_length_byte_of_every_header() {
        for kind in [0, 43, 44, 60] {
            for length in 0..=255 {
                for rest in [2, 8, 16, 40, 300] {
                    let mut bytes = vec![0; rest];
                    (bytes[0], bytes[1]) = (17, length);
                    let _: Result<_, _> = read(kind, &bytes);
                    let option: Vec<u8> = [17, 0, 1, length, 0, 0, 0, 0].into();
                    let taken = read(60, &[&option[..], &[0; 8]].concat());
                    assert_eq!(taken.is_ok(), length <= 4, "an option of {length} bytes");
                }
            }
        }
    }

    #[test]
    fn p11_the_unknown_is_told() {
        for next in (0..=255u8).filter(|next| ![0, 6, 17, 43, 44, 58, 59, 60].contains(next)) {
            assert_eq!(read(next, &[0; 40]), Err(problem(1, 6)));
            assert_eq!(read(60, &[plain(next).as_slice(), &[0; 40]].concat()), Err(problem(1, 40)));
        }
    }

    #[test]
    fn rfc8200_4_2_the_highest_bits_of_an_unknown_option_decide() {
        let option = |kind| read(60, &[[17, 0, kind, 4, 0, 0, 0, 0], [0; 8]].concat());
        for kind in 2..=255u8 {
            let expected = match kind >> 6 {
                0 => Ok((17, 8, None)),
                1 => Err(TOO_MUCH),
                2 => {
                    let told = Problem { of_groups_too: true, ..Problem::new(2, 42) };
                    Err(Refused::Problem(told))
                }
                _ => Err(problem(2, 42)),
            };
            assert_eq!(option(kind), expected, "{kind:#x}");
        }
    }

    #[test]
    fn p10_no_route_is_followed() {
        for kind in 0..=255 {
            for left in 0..=255 {
                let rest = [[17, 0, kind, left, 0, 0, 0, 0], [0; 8]].concat();
                let expected = if left == 0 { Ok((17, 8, None)) } else { Err(problem(0, 42)) };
                assert_eq!(read(43, &rest), expected);
            }
        }
    }

    #[test]
    fn f5_a_first_fragment_has_all_headers() {
        let wanted = Some(Fragment { id: 7, offset: 0, more: true });
        let first = |rest: &[u8]| read(44, &[&fragment(6, 0, 1), rest].concat());
        assert_eq!(first(&[0; 24]), Ok((6, 24, wanted)));
        assert_eq!(first(&[0; 16]), Err(problem(3, 0)), "TCP's header is cut");
        let options = [&fragment(60, 0, 1)[..], &[6, 1, 1, 12], &[0; 4]].concat();
        assert_eq!(read(44, &options), Err(problem(3, 0)), "an extension header is cut");
        let whole = [&fragment(60, 0, 1)[..], &plain(6), &[0; 24]].concat();
        assert_eq!(read(44, &whole), Ok((60, 32, wanted)), "the chain is part of the datagram");
        let later = Some(Fragment { id: 7, offset: 16, more: false });
        assert_eq!(read(44, &[&fragment(6, 16, 0)[..], &[9]].concat()), Ok((6, 1, later)));
    }

    #[test]
    fn what_a_refused_packet_carries() {
        let skimmed = |next: u8, rest: &[u8]| {
            let bytes = packet(next, rest);
            let whole = parse::ipv6(&bytes).unwrap();
            let (protocol, payload) = carried(whole.protocol, whole.payload);
            assert!(bytes.ends_with(payload));
            (protocol, payload.to_vec())
        };
        let unknown = [58, 0, 0xc2, 4, 0, 0, 0, 0];
        assert_eq!(skimmed(60, &[&unknown[..], &[1, 0]].concat()), (58, vec![1, 0]));
        let both = [&fragment(43, 0, 1)[..], &unknown, &[1, 0]].concat();
        assert_eq!(skimmed(44, &both), (58, vec![1, 0]));
        assert_eq!(skimmed(60, &[58, 9]), (60, vec![58, 9]), "cut off");
        assert_eq!(skimmed(200, &[1]), (200, vec![1]));
    }

    #[test]
    fn f6_no_fragment_within_a_fragment() {
        let nested = [fragment(44, 0, 1), fragment(17, 0, 1), vec![0; 8]].concat();
        assert_eq!(read(44, &nested), Err(TOO_MUCH));
    }

    #[test]
    fn ipv4_addresses_do_not_come_in_ipv6() {
        let mut bytes = packet(17, &[0; 8]);
        bytes[8..18].fill(0);
        bytes[18..24].copy_from_slice(&[0xff, 0xff, 192, 0, 2, 1]);
        assert_eq!(parse::ipv6(&bytes).unwrap_err(), DropReason::IpBadSource);
    }

    #[test]
    fn p2_the_payload_is_as_long_as_the_header_says() {
        for said in 0..=16 {
            let mut bytes = packet(17, &[0; 12]);
            bytes[5] = said;
            let read = parse::ipv6(&bytes).map(|packet| packet.payload.len());
            assert_eq!(read.is_ok(), said <= 12);
            assert!(read.is_err() || read.unwrap() == usize::from(said));
        }
        for len in 0..40 {
            assert!(parse::ipv6(&packet(17, &[])[..len]).is_err());
        }
    }

    /// Bytes of which many are headers and options that chains are made of.
    fn chain() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![
            Just(0),
            Just(1),
            Just(17),
            Just(HOP_BY_HOP),
            Just(ROUTING),
            Just(FRAGMENT),
            Just(DESTINATION_OPTIONS),
            any::<u8>(),
        ];
        prop::collection::vec(byte, 0..600)
    }

    proptest! {
        #[test]
        fn p13_no_chain_can_harm(next: u8, rest in chain()) {
            for next in [next, HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION_OPTIONS] {
                let bytes = packet(next, &rest);
                let whole = parse::ipv6(&bytes).unwrap();
                let (_, payload) = carried(whole.protocol, whole.payload);
                prop_assert!(bytes.ends_with(payload));
                match skip(&whole) {
                    Ok(read) => {
                        let parts = [read.header, read.extensions, read.payload];
                        prop_assert_eq!(parts.concat(), &bytes[..]);
                        prop_assert!(read.extensions.len() <= BYTES_MAX);
                    }
                    Err(Refused::Problem(problem)) => {
                        prop_assert!((problem.pointer as usize) < bytes.len());
                    }
                    Err(Refused::Dropped(_)) => {}
                }
            }
        }
    }
}
