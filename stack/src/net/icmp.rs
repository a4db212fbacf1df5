//! ICMP: the messages, which both IP versions share, and IPv4's bytes for them (RFC 792); what an
//! error says about a packet of ours, and when an error may be sent (RFC 1122 §3.2.2).

use super::icmpv6;
use crate::wire::address::{Address, Endpoint, FlowKey};
use crate::wire::checksum;
use crate::wire::extensions::{self, FRAGMENT};
use crate::wire::parse::{PROTOCOL_ICMP as PROTOCOL, PROTOCOL_ICMPV6};

/// Bytes before a message's payload.
pub(crate) const HEADER_LEN: usize = 8;
/// An error quotes so many bytes of the packet it is about, so that it stays within 576 bytes
/// with the longest header that we send (RFC 1812 §4.3.2.3).
pub(crate) const MAX_QUOTE: usize = 576 - 20 - HEADER_LEN;

/// A message. Errors carry the packet that they are about, or the beginning of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message<'a> {
    EchoRequest {
        ident: u16,
        sequence: u16,
        payload: &'a [u8],
    },
    EchoReply {
        ident: u16,
        sequence: u16,
        payload: &'a [u8],
    },
    Unreachable {
        reason: Unreachable,
        original: &'a [u8],
    },
    /// `reassembly`: fragments were missing (code 1); else the hops were used up (code 0).
    TimeExceeded {
        reassembly: bool,
        original: &'a [u8],
    },
    ParameterProblem {
        code: u8,
        pointer: u32,
        original: &'a [u8],
    },
    /// Recognised and to be ignored: a redirect (N-8), a source quench (RFC 6633 §4), or anything
    /// that a host has no use for (RFC 1122 §3.2.2).
    Ignored {
        kind: u8,
    },
}

/// Why a destination cannot be reached (RFC 792, RFC 1122 §3.2.2.1, RFC 1812 §5.2.7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreachable {
    /// Codes 0, 6, 11.
    Network,
    /// Codes 1, 7, 8, 12.
    Host,
    /// Code 2.
    Protocol,
    /// Code 3.
    Port,
    /// Code 4, with the size that would fit; 0 from routers older than RFC 1191.
    TooBig { mtu: u16 },
    /// Code 5.
    SourceRoute,
    /// Codes 9, 10, 13 to 15: a filter.
    Prohibited,
}

impl Unreachable {
    fn from_code(code: u8, mtu: u16) -> Option<Unreachable> {
        Some(match code {
            0 | 6 | 11 => Unreachable::Network,
            1 | 7 | 8 | 12 => Unreachable::Host,
            2 => Unreachable::Protocol,
            3 => Unreachable::Port,
            4 => Unreachable::TooBig { mtu },
            5 => Unreachable::SourceRoute,
            9 | 10 | 13..=15 => Unreachable::Prohibited,
            _ => return None,
        })
    }

    /// The code to send, of several the plainest.
    pub(crate) fn code(self) -> u8 {
        match self {
            Unreachable::Network => 0,
            Unreachable::Host => 1,
            Unreachable::Protocol => 2,
            Unreachable::Port => 3,
            Unreachable::TooBig { .. } => 4,
            Unreachable::SourceRoute => 5,
            Unreachable::Prohibited => 13,
        }
    }
}

/// Why a message was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IcmpDrop {
    TooShort,
    BadChecksum,
}

impl<'a> Message<'a> {
    /// Reads a message, which is the whole payload of an IP packet.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Message<'a>, IcmpDrop> {
        let (header, rest) = bytes.split_first_chunk::<8>().ok_or(IcmpDrop::TooShort)?;
        if !checksum::is_valid(bytes) {
            return Err(IcmpDrop::BadChecksum);
        }
        let [kind, code, _, _, a, b, c, d] = *header;
        let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        let ignored = Message::Ignored { kind };
        Ok(match (kind, code) {
            (8, 0) => Message::EchoRequest { ident: high, sequence: low, payload: rest },
            (0, 0) => Message::EchoReply { ident: high, sequence: low, payload: rest },
            (3, _) => Unreachable::from_code(code, low)
                .map_or(ignored, |reason| Message::Unreachable { reason, original: rest }),
            (11, 0 | 1) => Message::TimeExceeded { reassembly: code == 1, original: rest },
            (12, _) => Message::ParameterProblem { code, pointer: a.into(), original: rest },
            _ => ignored,
        })
    }

    /// Appends the message with its checksum, as the IP version of the packet's addresses has it.
    pub(crate) fn write(&self, source: Address, destination: Address, out: &mut Vec<u8>) {
        if source.is_v4() {
            self.emit(out);
        } else {
            icmpv6::emit(self, source, destination, out);
        }
    }

    /// Appends IPv4's message. An error quotes what [`MAX_QUOTE`] allows.
    fn emit(&self, out: &mut Vec<u8>) {
        let pair = |a: u16, b: u16| {
            let ([a, b], [c, d]) = (a.to_be_bytes(), b.to_be_bytes());
            [a, b, c, d]
        };
        let quote = |original: &'a [u8]| original.get(..MAX_QUOTE).unwrap_or(original);
        let (kind, code, rest, payload) = match *self {
            Message::EchoRequest { ident, sequence, payload } => {
                (8, 0, pair(ident, sequence), payload)
            }
            Message::EchoReply { ident, sequence, payload } => {
                (0, 0, pair(ident, sequence), payload)
            }
            Message::Unreachable { reason, original } => {
                let mtu = if let Unreachable::TooBig { mtu } = reason { mtu } else { 0 };
                (3, reason.code(), pair(0, mtu), quote(original))
            }
            Message::TimeExceeded { reassembly, original } => {
                (11, u8::from(reassembly), [0; 4], quote(original))
            }
            Message::ParameterProblem { code, pointer, original } => {
                (12, code, [pointer as u8, 0, 0, 0], quote(original))
            }
            Message::Ignored { .. } => return,
        };
        let start = out.len();
        out.extend([kind, code, 0, 0]);
        out.extend(rest);
        out.extend(payload);
        let sum = checksum::checksum(out.get(start..).unwrap_or_default());
        if let Some(place) = out.get_mut(start + 2..start + 4) {
            place.copy_from_slice(&sum);
        }
    }
}

/// What an error says about the packet of ours that caused it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quoted {
    /// Our address, as the packet had it.
    pub(crate) src: Address,
    pub(crate) dst: Address,
    pub(crate) protocol: u8,
    /// Of UDP and TCP; nothing sensible for others.
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    /// Bytes of the whole packet, as its header says.
    pub(crate) len: u16,
    /// Of TCP: SEG.SEQ, by which a forged error is told from a true one (RFC 5927 §4.1).
    pub(crate) sequence: u32,
}

impl Quoted {
    /// From where it went, and to where.
    pub(crate) fn flow(&self) -> FlowKey {
        FlowKey {
            local: Endpoint::new(self.src, self.source_port),
            remote: Endpoint::new(self.dst, self.destination_port),
        }
    }

    /// Reads the quoted packet: its header and 8 bytes of its payload, which every error has
    /// (RFC 792, RFC 4443 §2.4 c). None for what cannot be matched to a socket: cut short, or a
    /// fragment that is not the first.
    pub(crate) fn parse(original: &[u8]) -> Option<Quoted> {
        match original.first()? >> 4 {
            4 => Quoted::parse_v4(original),
            6 => Quoted::parse_v6(original),
            _ => None,
        }
    }

    fn parse_v4(original: &[u8]) -> Option<Quoted> {
        let (header, _) = original.split_first_chunk::<20>()?;
        let header_len = usize::from(header[0] & 15) * 4;
        let offset = u16::from_be_bytes([header[6], header[7]]) & 0x1fff;
        if header_len < 20 || offset != 0 {
            return None;
        }
        let src = Address::v4([header[12], header[13], header[14], header[15]]);
        let dst = Address::v4([header[16], header[17], header[18], header[19]]);
        let len = u16::from_be_bytes([header[2], header[3]]);
        Quoted::of((src, dst), header[9], len, original.get(header_len..)?)
    }

    /// A packet of ours has no extension header but that of a fragment.
    fn parse_v6(original: &[u8]) -> Option<Quoted> {
        let (header, rest) = original.split_first_chunk::<40>()?;
        let (_, ends) = header.split_first_chunk::<8>()?;
        let (src, dst) = ends.split_first_chunk::<16>()?;
        let address = |octets| Address::v6(u128::from_be_bytes(octets));
        let (src, dst) = (address(*src), address(*dst.first_chunk()?));
        if src.is_v4() || dst.is_v4() {
            return None;
        }
        let (protocol, payload) = match header[6] {
            FRAGMENT => match rest.split_first_chunk::<8>()? {
                ([next, _, 0, 0 | 1, ..], payload) => (*next, payload),
                _ => return None,
            },
            protocol => (protocol, rest),
        };
        let len = u16::from_be_bytes([header[4], header[5]]).saturating_add(40);
        Quoted::of((src, dst), protocol, len, payload)
    }

    fn of(
        (src, dst): (Address, Address),
        protocol: u8,
        len: u16,
        payload: &[u8],
    ) -> Option<Quoted> {
        let [a, b, c, d, e, f, g, h] = *payload.first_chunk::<8>()?;
        Some(Quoted {
            src,
            dst,
            protocol,
            len,
            source_port: u16::from_be_bytes([a, b]),
            destination_port: u16::from_be_bytes([c, d]),
            sequence: u32::from_be_bytes([e, f, g, h]),
        })
    }

    /// The ident and sequence number, if the packet was an echo request.
    pub(crate) fn echo(&self) -> Option<(u16, u16)> {
        let request = match self.protocol {
            PROTOCOL => self.source_port == 8 << 8,
            PROTOCOL_ICMPV6 => self.source_port == 128 << 8,
            _ => false,
        };
        request.then_some(((self.sequence >> 16) as u16, self.sequence as u16))
    }
}

/// A received packet, as far as it matters for the question whether to send an error about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About<'a> {
    pub(crate) source: Address,
    /// The source is a broadcast address of our networks.
    pub(crate) source_is_broadcast: bool,
    pub(crate) destination: Address,
    /// The destination is a broadcast address of our networks.
    pub(crate) destination_is_broadcast: bool,
    /// The frame was for a group, whatever the packet says.
    pub(crate) link_group: bool,
    /// The error may be sent about packets for groups.
    pub(crate) of_groups_too: bool,
    /// In units of 8 bytes; not 0 for fragments after the first, if they matter.
    pub(crate) fragment_offset: u16,
    pub(crate) protocol: u8,
    /// What follows the IP header.
    pub(crate) payload: &'a [u8],
}

/// RFC 1122 §3.2.2 and RFC 4443 §2.4 e: an error is never sent about an ICMP error, about a packet
/// for a group on the network or the link (save those `of_groups_too`), about a fragment after the
/// first, or to what is not a single host. Loopback is: what claims to come from there, and comes
/// from a link, does not get here.
pub(crate) fn may_report(about: &About<'_>) -> bool {
    // Of IPv6 what counts stands behind headers that nobody may have read.
    let (protocol, payload) = match about.source.is_v4() {
        true => (about.protocol, about.payload),
        false => extensions::carried(about.protocol, about.payload),
    };
    let kind = payload.first().copied();
    let harmless = match protocol {
        // What is not plainly a question or an answer might be an error.
        PROTOCOL => matches!(kind, Some(0 | 8 | 13 | 14 | 17 | 18)),
        PROTOCOL_ICMPV6 => matches!(kind, Some(128..=136 | 138..)),
        _ => true,
    };
    let to_group = about.link_group
        || about.destination_is_broadcast
        || about.destination.is_limited_broadcast()
        || about.destination.is_multicast();
    harmless
        && (about.of_groups_too || !to_group)
        && about.fragment_offset == 0
        && (about.source.is_valid_source() || about.source.is_loopback())
        && !about.source_is_broadcast
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn emitted(message: Message<'_>) -> Vec<u8> {
        let mut out = vec![0xee; 3];
        message.emit(&mut out);
        assert_eq!(out.drain(..3).collect::<Vec<_>>(), [0xee; 3]);
        out
    }

    /// An IPv4 header without options for `payload`.
    fn packet(protocol: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, protocol, 0, 0];
        bytes.extend([192, 0, 2, 2, 198, 51, 100, 7]);
        bytes.extend(payload);
        bytes[3] = bytes.len() as u8;
        bytes
    }

    #[test]
    fn the_referee_reads_what_we_write() {
        let echo = emitted(Message::EchoRequest { ident: 0x1234, sequence: 7, payload: b"abc" });
        let (header, rest) = etherparse::Icmpv4Header::from_slice(&echo).unwrap();
        assert_eq!(rest, b"abc");
        assert_eq!(header.checksum, header.icmp_type.calc_checksum(rest));
        let wanted = etherparse::IcmpEchoHeader { id: 0x1234, seq: 7 };
        assert_eq!(header.icmp_type, etherparse::Icmpv4Type::EchoRequest(wanted));
    }

    #[test]
    fn every_message_round_trips() {
        let original = &packet(17, &[0; 8])[..];
        let reasons = [
            Unreachable::Network,
            Unreachable::Host,
            Unreachable::Protocol,
            Unreachable::Port,
            Unreachable::TooBig { mtu: 1_400 },
            Unreachable::SourceRoute,
            Unreachable::Prohibited,
        ];
        let mut messages: Vec<_> =
            reasons.map(|reason| Message::Unreachable { reason, original }).into();
        messages.extend([
            Message::EchoRequest { ident: 1, sequence: 65_535, payload: b"odd" },
            Message::EchoReply { ident: 65_535, sequence: 0, payload: b"" },
            Message::TimeExceeded { reassembly: false, original },
            Message::TimeExceeded { reassembly: true, original },
            Message::ParameterProblem { code: 0, pointer: 20, original },
        ]);
        for message in messages {
            assert_eq!(Message::parse(&emitted(message)), Ok(message));
        }
        assert!(emitted(Message::Ignored { kind: 5 }).is_empty());
    }

    #[test]
    fn n8_redirects_quench_and_the_unknown_are_ignored() {
        let mut bytes = emitted(Message::EchoRequest { ident: 1, sequence: 2, payload: &[0; 28] });
        let mut read = 0;
        for kind in 0..=255u8 {
            for code in 0..=255u8 {
                (bytes[0], bytes[1], bytes[2], bytes[3]) = (kind, code, 0, 0);
                let sum = checksum::checksum(&bytes);
                bytes[2..4].copy_from_slice(&sum);
                if Message::parse(&bytes) != Ok(Message::Ignored { kind }) {
                    assert!(matches!(
                        (kind, code),
                        (0 | 8, 0) | (3, 0..16) | (11, 0 | 1) | (12, _)
                    ));
                    read += 1;
                }
            }
        }
        assert_eq!(read, 2 + 16 + 2 + 256);
    }

    #[test]
    fn p8_every_flipped_bit_is_noticed_and_every_cut_survived() {
        let good = emitted(Message::EchoReply { ident: 9, sequence: 9, payload: b"payload" });
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Message::parse(&bad), Err(IcmpDrop::BadChecksum));
        }
        for len in 0..8 {
            assert_eq!(Message::parse(&good[..len]), Err(IcmpDrop::TooShort));
        }
    }

    #[test]
    fn rfc1812_4_3_2_3_an_error_fits_into_576_bytes() {
        let original = packet(17, &[7; 3_000]);
        let bytes =
            emitted(Message::Unreachable { reason: Unreachable::Port, original: &original });
        assert_eq!(20 + bytes.len(), 576);
        assert_eq!(bytes[8..], original[..548]);
    }

    #[test]
    fn the_quoted_packet_names_the_socket() {
        let tcp = [0x1f, 0x90, 0, 80, 0xde, 0xad, 0xbe, 0xef];
        let mut bytes = packet(6, &tcp);
        let quoted = Quoted::parse(&bytes).unwrap();
        assert_eq!((quoted.source_port, quoted.destination_port), (8_080, 80));
        assert_eq!((quoted.sequence, quoted.protocol), (0xdead_beef, 6));
        assert_eq!(quoted.src, Address::v4([192, 0, 2, 2]));
        assert_eq!(quoted.dst, Address::v4([198, 51, 100, 7]));
        assert_eq!(quoted.echo(), None);
        for len in 0..28 {
            assert_eq!(Quoted::parse(&bytes[..len]), None);
        }
        bytes[7] = 1;
        assert_eq!(Quoted::parse(&bytes), None, "a later fragment has no ports");
        (bytes[7], bytes[0]) = (0, 0x44);
        assert_eq!(Quoted::parse(&bytes), None, "a header shorter than a header");
        bytes[0] = 0x46;
        assert_eq!(Quoted::parse(&bytes), None, "options, and then too little");
        bytes[0] = 0x65;
        assert_eq!(Quoted::parse(&bytes), None, "not IPv4");
        let echo = packet(1, &[8, 0, 0, 0, 0x12, 0x34, 0, 5]);
        assert_eq!(Quoted::parse(&echo).unwrap().echo(), Some((0x1234, 5)));
        let reply = packet(1, &[0, 0, 0, 0, 0x12, 0x34, 0, 5]);
        assert_eq!(Quoted::parse(&reply).unwrap().echo(), None);
    }

    #[test]
    fn rfc1122_3_2_2_when_an_error_may_be_sent() {
        let v4 = |a, b, c, d| Address::v4([a, b, c, d]);
        let fine = About {
            source: v4(198, 51, 100, 7),
            source_is_broadcast: false,
            destination: v4(192, 0, 2, 2),
            destination_is_broadcast: false,
            link_group: false,
            of_groups_too: false,
            fragment_offset: 0,
            protocol: 17,
            payload: &[],
        };
        assert!(may_report(&fine));
        let echo = About { protocol: PROTOCOL, payload: &[8, 0], ..fine };
        assert!(may_report(&echo));
        for kind in [3, 4, 5, 11, 12, 200] {
            assert!(!may_report(&About { payload: &[kind, 0], ..echo }), "{kind}");
        }
        assert!(!may_report(&About { payload: &[], ..echo }), "ICMP of no kind");
        assert!(!may_report(&About { link_group: true, ..fine }));
        assert!(!may_report(&About { destination_is_broadcast: true, ..fine }));
        assert!(!may_report(&About { source_is_broadcast: true, ..fine }));
        assert!(!may_report(&About { fragment_offset: 185, ..fine }));
        for destination in [v4(255, 255, 255, 255), v4(224, 0, 0, 1)] {
            assert!(!may_report(&About { destination, ..fine }));
        }
        for source in [v4(0, 0, 0, 0), v4(224, 0, 0, 1), v4(255, 255, 255, 255)] {
            assert!(!may_report(&About { source, ..fine }));
        }
        assert!(may_report(&About { source: v4(127, 0, 0, 1), ..fine }), "this host to itself");
    }

    proptest! {
        #[test]
        fn p13_no_bytes_can_harm(bytes in prop::collection::vec(any::<u8>(), 0..80), fix: bool) {
            let mut bytes = bytes;
            if fix && bytes.len() >= 8 {
                (bytes[2], bytes[3]) = (0, 0);
                let sum = checksum::checksum(&bytes);
                bytes[2..4].copy_from_slice(&sum);
                prop_assert!(Message::parse(&bytes).is_ok());
            }
            let _ = (Message::parse(&bytes), Quoted::parse(&bytes));
        }
    }
}
