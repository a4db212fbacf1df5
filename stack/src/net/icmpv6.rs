//! ICMP for IPv6 (RFC 4443): its bytes for the messages of [`super::icmp`].

use super::icmp::{Message, Unreachable};
use crate::wire::address::Address;
use crate::wire::checksum::Checksum;
use crate::wire::parse::PROTOCOL_ICMPV6;

/// Bytes before a message's payload.
pub(crate) const HEADER_LEN: usize = 8;
/// An error is no longer than the packet that every link carries (RFC 4443 §2.4 c).
const MAX_QUOTE: usize = 1280 - 40 - HEADER_LEN;

const UNREACHABLE: u8 = 1;
const TOO_BIG: u8 = 2;
const TIME_EXCEEDED: u8 = 3;
const PARAMETER_PROBLEM: u8 = 4;
const ECHO_REQUEST: u8 = 128;
const ECHO_REPLY: u8 = 129;
/// The messages of Neighbor Discovery (RFC 4861 §4), first and last.
const NEIGHBOR_DISCOVERY: core::ops::RangeInclusive<u8> = 133..=137;

/// A message of Neighbor Discovery, which is the link's to read.
pub(crate) fn is_neighbor_discovery(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|kind| NEIGHBOR_DISCOVERY.contains(kind))
}

/// Reads a message whose checksum is right; None for one that is cut short.
pub(crate) fn parse(bytes: &[u8]) -> Option<Message<'_>> {
    let (header, rest) = bytes.split_first_chunk::<HEADER_LEN>()?;
    let [kind, code, _, _, a, b, c, d] = *header;
    let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    let word = u32::from_be_bytes([a, b, c, d]);
    let unreachable = |reason| Message::Unreachable { reason, original: rest };
    Some(match (kind, code) {
        (ECHO_REQUEST, 0) => Message::EchoRequest { ident: high, sequence: low, payload: rest },
        (ECHO_REPLY, 0) => Message::EchoReply { ident: high, sequence: low, payload: rest },
        (UNREACHABLE, 0 | 2) => unreachable(Unreachable::Network),
        (UNREACHABLE, 1 | 5 | 6) => unreachable(Unreachable::Prohibited),
        (UNREACHABLE, 3) => unreachable(Unreachable::Host),
        (UNREACHABLE, 4) => unreachable(Unreachable::Port),
        (TOO_BIG, _) => {
            let mtu = u16::try_from(word).unwrap_or(u16::MAX);
            unreachable(Unreachable::TooBig { mtu })
        }
        (TIME_EXCEEDED, 0 | 1) => Message::TimeExceeded { reassembly: code == 1, original: rest },
        (PARAMETER_PROBLEM, _) => Message::ParameterProblem { code, pointer: word, original: rest },
        _ => Message::Ignored { kind },
    })
}

/// Appends the message with its checksum. What IPv6 has no message for is left out.
pub(crate) fn emit(
    message: &Message<'_>,
    source: Address,
    destination: Address,
    out: &mut Vec<u8>,
) {
    let pair = |a: u16, b: u16| u32::from(a) << 16 | u32::from(b);
    let (kind, code, word, payload) = match *message {
        Message::EchoRequest { ident, sequence, payload } => {
            (ECHO_REQUEST, 0, pair(ident, sequence), payload)
        }
        Message::EchoReply { ident, sequence, payload } => {
            (ECHO_REPLY, 0, pair(ident, sequence), payload)
        }
        Message::Unreachable { reason: Unreachable::TooBig { mtu }, original } => {
            (TOO_BIG, 0, mtu.into(), quote(original))
        }
        Message::Unreachable { reason, original } => {
            (UNREACHABLE, code_of(reason), 0, quote(original))
        }
        Message::TimeExceeded { reassembly, original } => {
            (TIME_EXCEEDED, u8::from(reassembly), 0, quote(original))
        }
        Message::ParameterProblem { code, pointer, original } => {
            (PARAMETER_PROBLEM, code, pointer, quote(original))
        }
        Message::Ignored { .. } => return,
    };
    let start = out.len();
    out.extend([kind, code, 0, 0]);
    out.extend(word.to_be_bytes());
    out.extend(payload);
    finish(source, destination, out.get_mut(start..).unwrap_or_default());
}

/// Writes the checksum of a message, whose field is zero.
pub(crate) fn finish(source: Address, destination: Address, message: &mut [u8]) {
    let len = message.len();
    let mut sum = Checksum::pseudo_header(source, destination, PROTOCOL_ICMPV6, len);
    sum.add(message);
    if let Some(place) = message.get_mut(2..4) {
        place.copy_from_slice(&sum.finish());
    }
}

fn quote(original: &[u8]) -> &[u8] {
    original.get(..MAX_QUOTE).unwrap_or(original)
}

fn code_of(reason: Unreachable) -> u8 {
    match reason {
        Unreachable::Network => 0,
        Unreachable::Prohibited | Unreachable::SourceRoute => 1,
        Unreachable::Host | Unreachable::Protocol | Unreachable::TooBig { .. } => 3,
        Unreachable::Port => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::super::icmp::Quoted;
    use super::*;
    use core::net::{IpAddr, Ipv6Addr};

    fn ends() -> [Ipv6Addr; 2] {
        ["2001:db8::1", "2001:db8::2"].map(|text| text.parse().unwrap())
    }

    fn emitted(message: Message<'_>) -> Vec<u8> {
        let [from, to] = ends().map(|end| Address::from(IpAddr::from(end)));
        let mut out = vec![0xee; 3];
        emit(&message, from, to, &mut out);
        assert_eq!(out.drain(..3).collect::<Vec<_>>(), [0xee; 3]);
        out
    }

    #[test]
    fn the_referee_reads_what_we_write() {
        let echo = emitted(Message::EchoRequest { ident: 0x1234, sequence: 7, payload: b"abc" });
        let (header, rest) = etherparse::Icmpv6Header::from_slice(&echo).unwrap();
        let [from, to] = ends().map(|end| end.octets());
        let sum = header.icmp_type.calc_checksum(from, to, rest).unwrap();
        assert_eq!((rest, header.checksum), (&b"abc"[..], sum));
        let wanted = etherparse::IcmpEchoHeader { id: 0x1234, seq: 7 };
        assert_eq!(header.icmp_type, etherparse::Icmpv6Type::EchoRequest(wanted));
    }

    #[test]
    fn every_message_round_trips() {
        let original = &[0x60; 48][..];
        let reasons = [
            Unreachable::Network,
            Unreachable::Host,
            Unreachable::Port,
            Unreachable::TooBig { mtu: 1_400 },
            Unreachable::Prohibited,
        ];
        let mut messages: Vec<_> =
            reasons.map(|reason| Message::Unreachable { reason, original }).into();
        messages.extend([
            Message::EchoRequest { ident: 1, sequence: 65_535, payload: b"odd" },
            Message::EchoReply { ident: 65_535, sequence: 0, payload: b"" },
            Message::TimeExceeded { reassembly: false, original },
            Message::TimeExceeded { reassembly: true, original },
            Message::ParameterProblem { code: 1, pointer: 1_000, original },
        ]);
        for message in messages {
            let bytes = emitted(message);
            assert_eq!(parse(&bytes), Some(message));
            for len in 0..HEADER_LEN {
                assert_eq!(parse(&bytes[..len]), None);
            }
        }
        assert!(emitted(Message::Ignored { kind: 5 }).is_empty());
    }

    #[test]
    fn n8_redirects_and_the_unknown_are_ignored() {
        let mut read = 0;
        for kind in 0..=255u8 {
            for code in 0..=255u8 {
                let bytes = [kind, code, 0, 0, 0, 0, 5, 220];
                if parse(&bytes) != Some(Message::Ignored { kind }) {
                    assert!(matches!((kind, code), (128 | 129, 0) | (1, 0..7) | (2..=4, _)));
                    read += 1;
                }
            }
        }
        assert_eq!(read, 2 + 7 + 256 + 2 + 256);
    }

    #[test]
    fn rfc4443_2_4_c_an_error_fits_into_1280_bytes() {
        let original = vec![7; 3_000];
        let bytes =
            emitted(Message::Unreachable { reason: Unreachable::Port, original: &original });
        assert_eq!((40 + bytes.len(), bytes[0], bytes[1]), (1280, 1, 4));
        assert_eq!(bytes[8..], original[..1232]);
    }

    #[test]
    fn the_quoted_packet_names_the_socket() {
        let mut bytes = vec![0x60, 0, 0, 0, 0, 20, 6, 64];
        bytes.extend(ends().iter().flat_map(|end| end.octets()));
        let tcp = [0x1f, 0x90, 0, 80, 0xde, 0xad, 0xbe, 0xef];
        let plain = [&bytes[..], &tcp].concat();
        let quoted = Quoted::parse(&plain).unwrap();
        assert_eq!((quoted.source_port, quoted.destination_port), (8_080, 80));
        assert_eq!((quoted.sequence, quoted.protocol), (0xdead_beef, 6));
        assert_eq!([quoted.src, quoted.dst].map(Address::to_ip), ends().map(IpAddr::from));
        for len in 0..plain.len() {
            assert_eq!(Quoted::parse(&plain[..len]), None);
        }
        bytes[6] = 44;
        let fragment = |offset: [u8; 2]| {
            let header = [58, 0, offset[0], offset[1], 0, 0, 0, 9];
            [&bytes[..], &header, &[128, 0, 0, 0, 0x12, 0x34, 0, 5]].concat()
        };
        assert_eq!(Quoted::parse(&fragment([0, 1])).unwrap().echo(), Some((0x1234, 5)));
        assert_eq!(Quoted::parse(&fragment([5, 0])), None, "a later fragment has no ports");
        let mut mapped = plain.clone();
        mapped[8..18].fill(0);
        mapped[18..24].copy_from_slice(&[0xff, 0xff, 192, 0, 2, 1]);
        assert_eq!(Quoted::parse(&mapped), None, "IPv4 in IPv6's clothes");
    }
}
