//! A TCP segment as plain facts, and the few lines that turn it into an Ethernet frame and back.
//!
//! Written without a glance at `wire/`: what the engine emits is read here by other code than
//! what wrote it, and what it reads was written by other code than its own.

use crate::Mac;
use core::fmt;
use core::net::{Ipv4Addr, SocketAddrV4};

/// The TCP header's control bits.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub u8);

impl Flags {
    /// No more data from the sender.
    pub const FIN: Flags = Flags(0x01);
    /// Synchronize sequence numbers.
    pub const SYN: Flags = Flags(0x02);
    /// Reset the connection.
    pub const RST: Flags = Flags(0x04);
    /// Push.
    pub const PSH: Flags = Flags(0x08);
    /// The acknowledgment field is significant.
    pub const ACK: Flags = Flags(0x10);
    /// The urgent pointer is significant.
    pub const URG: Flags = Flags(0x20);
    /// ECN echo.
    pub const ECE: Flags = Flags(0x40);
    /// Congestion window reduced.
    pub const CWR: Flags = Flags(0x80);

    /// How each bit is written in packet notation, in the order in which it is written.
    pub(super) const LETTERS: [(char, Flags); 8] = [
        ('S', Flags::SYN),
        ('F', Flags::FIN),
        ('R', Flags::RST),
        ('P', Flags::PSH),
        ('U', Flags::URG),
        ('E', Flags::ECE),
        ('W', Flags::CWR),
        ('.', Flags::ACK),
    ];

    /// True when all of `other`'s bits are set.
    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets of bits.
    pub const fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Flags::default() {
            return f.write_str("-");
        }
        for (letter, bit) in Flags::LETTERS {
            if self.has(bit) {
                write!(f, "{letter}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One TCP segment over IPv4, all numbers absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where it comes from.
    pub source: SocketAddrV4,
    /// Where it goes.
    pub destination: SocketAddrV4,
    /// SEG.SEQ.
    pub seq: u32,
    /// SEG.ACK, or whatever stands in the field without the ACK bit.
    pub ack: u32,
    /// Control bits.
    pub flags: Flags,
    /// The window field as it stands in the header: not scaled.
    pub window: u16,
    /// The urgent pointer.
    pub urgent: u16,
    /// The IP header's ECN bits: 0 none, 1 ECT(1), 2 ECT(0), 3 CE.
    pub ecn: u8,
    /// The option bytes, padding included.
    pub options: Vec<u8>,
    /// The text.
    pub payload: Vec<u8>,
}

/// Ethernet and IPv4 headers before the TCP header.
const BEFORE_TCP: usize = 34;

impl Segment {
    /// SEG.LEN: what the segment takes of the sequence space.
    pub fn len(&self) -> u32 {
        let controls =
            u32::from(self.flags.has(Flags::SYN)) + u32::from(self.flags.has(Flags::FIN));
        self.payload.len() as u32 + controls
    }

    /// True for a segment that takes no sequence space.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The Ethernet frame that carries the segment, all checksums right. Options are padded with
    /// zeros to a multiple of four.
    pub fn to_frame(&self, from: Mac, to: Mac) -> Vec<u8> {
        let mut tcp = Vec::with_capacity(60 + self.payload.len());
        tcp.extend(self.source.port().to_be_bytes());
        tcp.extend(self.destination.port().to_be_bytes());
        tcp.extend(self.seq.to_be_bytes());
        tcp.extend(self.ack.to_be_bytes());
        let words = 5 + self.options.len().div_ceil(4);
        tcp.extend([(words << 4) as u8, self.flags.0]);
        tcp.extend(self.window.to_be_bytes());
        tcp.extend([0, 0]);
        tcp.extend(self.urgent.to_be_bytes());
        tcp.extend(&self.options);
        tcp.resize(words * 4, 0);
        tcp.extend(&self.payload);
        let sum = transport_checksum(*self.source.ip(), *self.destination.ip(), 6, &tcp);
        tcp[16..18].copy_from_slice(&sum.to_be_bytes());
        let mut packet = ipv4(*self.source.ip(), *self.destination.ip(), 6, &tcp);
        set_ecn(&mut packet, self.ecn);
        ethernet(from, to, 0x0800, &packet)
    }

    /// The segment in `frame`. `Ok(None)` when it carries something else than TCP over IPv4;
    /// an error names what is wrong with a segment that should have been right.
    pub fn from_frame(frame: &[u8]) -> Result<Option<Segment>, &'static str> {
        if frame.len() < BEFORE_TCP || frame[12..14] != [8, 0] || frame[23] != 6 {
            return Ok(None);
        }
        let header = usize::from(frame[14] & 15) * 4;
        let total = usize::from(u16::from_be_bytes([frame[16], frame[17]]));
        let packet = frame.get(14..14 + total).ok_or("IPv4 total length beyond the frame")?;
        if packet.get(..header).is_none_or(|head| header < 20 || checksum(&[head]) != 0) {
            return Err("IPv4 header checksum");
        }
        let fragment = u16::from_be_bytes([packet[6], packet[7]]) & 0x3fff;
        if fragment != 0 {
            return Ok(None);
        }
        let address = |at: usize| Ipv4Addr::from_octets([0, 1, 2, 3].map(|i| packet[at + i]));
        let segment = Segment::from_tcp(address(12), address(16), &packet[header..])?;
        Ok(Some(Segment { ecn: packet[1] & 3, ..segment }))
    }

    fn from_tcp(from: Ipv4Addr, to: Ipv4Addr, tcp: &[u8]) -> Result<Segment, &'static str> {
        let words = usize::from(tcp.get(12).ok_or("TCP header cut short")? >> 4);
        if words < 5 || tcp.len() < words * 4 {
            return Err("TCP data offset");
        }
        if transport_checksum(from, to, 6, tcp) != 0 {
            return Err("TCP checksum");
        }
        let short = |at: usize| u16::from_be_bytes([tcp[at], tcp[at + 1]]);
        let long = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|i| tcp[at + i]));
        Ok(Segment {
            source: SocketAddrV4::new(from, short(0)),
            destination: SocketAddrV4::new(to, short(2)),
            seq: long(4),
            ack: long(8),
            flags: Flags(tcp[13]),
            window: short(14),
            urgent: short(18),
            ecn: 0,
            options: tcp[20..words * 4].to_vec(),
            payload: tcp[words * 4..].to_vec(),
        })
    }
}

/// An Ethernet II frame. Not padded to 60 bytes: a TAP does not pad either.
pub fn ethernet(from: Mac, to: Mac, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&to.0[..], &from.0, &ethertype.to_be_bytes(), payload].concat()
}

/// Writes the ECN bits of a plain IPv4 header.
pub fn set_ecn(packet: &mut [u8], ecn: u8) {
    packet[1] = packet[1] & !3 | ecn & 3;
    packet[10..12].fill(0);
    let sum = checksum(&[&packet[..20]]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// An IPv4 packet with a plain header: no options, DF set, TTL 64.
pub fn ipv4(from: Ipv4Addr, to: Ipv4Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let total = (20 + payload.len()) as u16;
    let mut packet = vec![0x45, 0];
    packet.extend(total.to_be_bytes());
    packet.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
    packet.extend(from.octets());
    packet.extend(to.octets());
    let sum = checksum(&[&packet]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend(payload);
    packet
}

/// A UDP datagram with its checksum.
pub fn udp(from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) -> Vec<u8> {
    let mut datagram = Vec::with_capacity(8 + payload.len());
    datagram.extend(from.port().to_be_bytes());
    datagram.extend(to.port().to_be_bytes());
    datagram.extend((8 + payload.len() as u16).to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(payload);
    let sum = match transport_checksum(*from.ip(), *to.ip(), 17, &datagram) {
        // Zero on the wire would say "no checksum" (RFC 768).
        0 => 0xffff,
        sum => sum,
    };
    datagram[6..8].copy_from_slice(&sum.to_be_bytes());
    datagram
}

/// An ICMP message: type, code, the header's other four bytes, and what it quotes or carries.
pub fn icmp(kind: u8, code: u8, rest: [u8; 4], body: &[u8]) -> Vec<u8> {
    let mut message = vec![kind, code, 0, 0];
    message.extend(rest);
    message.extend(body);
    let sum = checksum(&[&message]);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}

/// An ARP message about IPv4 over Ethernet: `operation` 1 asks, 2 answers.
pub fn arp(operation: u8, from: (Mac, Ipv4Addr), about: (Mac, Ipv4Addr)) -> Vec<u8> {
    let mut message = vec![0, 1, 8, 0, 6, 4, 0, operation];
    message.extend(from.0.0);
    message.extend(from.1.octets());
    message.extend(about.0.0);
    message.extend(about.1.octets());
    message
}

/// The Internet checksum (RFC 1071) of the pieces as if they stood in one row; every piece but
/// the last is of even length. Zero when the pieces hold their own right checksum.
pub fn checksum(pieces: &[&[u8]]) -> u16 {
    let mut sum = 0u64;
    for piece in pieces {
        for pair in piece.chunks(2) {
            sum += u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// The checksum of a transport header and its text, under the IPv4 pseudo header.
pub fn transport_checksum(from: Ipv4Addr, to: Ipv4Addr, protocol: u8, bytes: &[u8]) -> u16 {
    let [high, low] = (bytes.len() as u16).to_be_bytes();
    checksum(&[&from.octets(), &to.octets(), &[0, protocol, high, low], bytes])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment() -> Segment {
        Segment {
            source: "192.0.2.1:4000".parse().unwrap(),
            destination: "192.0.2.2:80".parse().unwrap(),
            seq: u32::MAX,
            ack: 7,
            flags: Flags::PSH.with(Flags::ACK),
            window: 1000,
            urgent: 0,
            ecn: 0,
            options: vec![1, 1, 1, 0],
            payload: b"odd".to_vec(),
        }
    }

    const A: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const B: Mac = Mac([2, 0, 0, 0, 0, 2]);

    #[test]
    fn a_segment_survives_the_wire() {
        let frame = segment().to_frame(A, B);
        assert_eq!(Segment::from_frame(&frame), Ok(Some(segment())));
    }

    #[test]
    fn padding_after_the_packet_is_not_text() {
        let mut frame = segment().to_frame(A, B);
        frame.resize(100, 0);
        assert_eq!(Segment::from_frame(&frame), Ok(Some(segment())));
    }

    #[test]
    fn every_flipped_bit_is_noticed_or_harmless() {
        let frame = segment().to_frame(A, B);
        for bit in 14 * 8..frame.len() * 8 {
            let mut bad = frame.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(Segment::from_frame(&bad), Ok(Some(segment())), "bit {bit}");
        }
    }

    #[test]
    fn the_checksum_of_rfc_1071() {
        let example = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(checksum(&[&example]), !0xddf2);
    }
}
