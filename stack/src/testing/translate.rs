//! Between IPv4 and IPv6, as the translators of RFC 7915 do it: so that a test written in one
//! version runs over both. What IPv6 has nothing for passes as it is.
//!
//! Checksums are changed by what the addresses change (RFC 1624), so that a damaged packet comes
//! out as damaged as it went in.

use super::packet::{checksum, ipv4};
use core::net::{Ipv4Addr, Ipv6Addr};

const ETHERNET: usize = 14;
const TYPE_V4: [u8; 2] = [0x08, 0x00];
const TYPE_V6: [u8; 2] = [0x86, 0xdd];
const TCP: u8 = 6;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// What IPv6's header is longer by.
pub const LONGER: usize = 20;

/// The network that stands for IPv4: `2001:db8::/96`.
const PREFIX: u128 = 0x2001_0db8 << 96;

/// The IPv6 address in place of an IPv4 one: what nobody, this host alone, or many have, stays so.
pub fn address_v6(v4: Ipv4Addr) -> Ipv6Addr {
    let class_e = v4.octets()[0] >= 240 && !v4.is_broadcast();
    if v4.is_unspecified() || class_e {
        Ipv6Addr::UNSPECIFIED
    } else if v4.is_loopback() {
        Ipv6Addr::LOCALHOST
    } else if v4.is_multicast() || v4.is_broadcast() || v4.octets()[3] == 255 {
        Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1)
    } else {
        Ipv6Addr::from(PREFIX | u128::from(u32::from(v4)))
    }
}

fn address_v4(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let bits = u128::from(v6);
    (bits >> 32 == PREFIX >> 32).then(|| Ipv4Addr::from(bits as u32))
}

/// A frame with TCP over IPv4, or with ICMP's word on such a packet, becomes one of IPv6.
pub fn to_v6(frame: &[u8]) -> Vec<u8> {
    translated(frame, TYPE_V4, packet_v6).unwrap_or_else(|| frame.to_vec())
}

/// A frame with TCP over IPv6 becomes one of IPv4.
pub fn to_v4(frame: &[u8]) -> Vec<u8> {
    translated(frame, TYPE_V6, packet_v4).unwrap_or_else(|| frame.to_vec())
}

fn translated(
    frame: &[u8],
    from: [u8; 2],
    change: impl Fn(&[u8]) -> Option<Vec<u8>>,
) -> Option<Vec<u8>> {
    let (head, packet) = frame.split_at_checked(ETHERNET)?;
    if head[12..] != from {
        return None;
    }
    let to = if from == TYPE_V4 { TYPE_V6 } else { TYPE_V4 };
    Some([&head[..12], &to, &change(packet)?].concat())
}

fn packet_v6(packet: &[u8]) -> Option<Vec<u8>> {
    let (header, _) = packet.split_first_chunk::<20>()?;
    let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let fragment = u16::from_be_bytes([header[6], header[7]]) & 0x3fff;
    if header[0] != 0x45 || fragment != 0 || checksum(&[header]) != 0 {
        return None;
    }
    let (payload, padding) = packet.get(20..)?.split_at_checked(total.checked_sub(20)?)?;
    let ends = [12, 16]
        .map(|at| Ipv4Addr::from([header[at], header[at + 1], header[at + 2], header[at + 3]]));
    let to = ends.map(address_v6);
    let (next, payload) = match header[9] {
        TCP => (TCP, resummed(payload, 16, ends, to)),
        ICMP => (ICMPV6, icmpv6(payload, to)?),
        _ => return None,
    };
    let mut out = header_v6(header[1], payload.len(), next, header[8], to);
    out.extend(payload);
    out.extend(padding);
    Some(out)
}

fn header_v6(tos: u8, len: usize, next: u8, hops: u8, [from, to]: [Ipv6Addr; 2]) -> Vec<u8> {
    let mut out = vec![0x60 | tos >> 4, tos << 4, 0, 0];
    out.extend((len as u16).to_be_bytes());
    out.extend([next, hops]);
    out.extend(from.octets());
    out.extend(to.octets());
    out
}

/// An error about a packet of TCP (RFC 7915 §4.2). None for other messages.
fn icmpv6(message: &[u8], ends: [Ipv6Addr; 2]) -> Option<Vec<u8>> {
    let (&[kind, code, _, _, a, b, c, d], quoted) = message.split_first_chunk::<8>()?;
    let mtu = u32::from(u16::from_be_bytes([c, d]));
    let (kind, code, word) = match (kind, code) {
        (3, 0 | 5) => (1, 0, [0; 4]),
        (3, 1) => (1, 3, [0; 4]),
        (3, 3) => (1, 4, [0; 4]),
        (3, 4) => (2, 0, (mtu + LONGER as u32).to_be_bytes()),
        (3, 9 | 10 | 13) => (1, 1, [0; 4]),
        (11, code) => (3, code, [0; 4]),
        (12, code) => (4, code, [a, b, c, d]),
        _ => return None,
    };
    let (header, rest) = quoted.split_first_chunk::<20>()?;
    if header[0] != 0x45 || header[9] != TCP {
        return None;
    }
    let about = [12, 16].map(|at| {
        address_v6(Ipv4Addr::from([header[at], header[at + 1], header[at + 2], header[at + 3]]))
    });
    let len = usize::from(u16::from_be_bytes([header[2], header[3]])).saturating_sub(20);
    let quote = header_v6(header[1], len, TCP, header[8], about);
    let mut out = [&[kind, code, 0, 0], &word[..], &quote, rest].concat();
    let length = (out.len() as u32).to_be_bytes();
    let [from, to] = ends.map(|end| end.octets());
    let sum = checksum(&[&from, &to, &length, &[0, 0, 0, ICMPV6], &out]);
    out[2..4].copy_from_slice(&sum.to_be_bytes());
    Some(out)
}

fn packet_v4(packet: &[u8]) -> Option<Vec<u8>> {
    let (header, payload) = packet.split_first_chunk::<40>()?;
    if header[0] >> 4 != 6 || header[6] != TCP {
        return None;
    }
    let len = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let (payload, padding) = payload.split_at_checked(len)?;
    let end = |at: usize| {
        let octets: [u8; 16] = header[at..at + 16].try_into().ok()?;
        Some(Ipv6Addr::from(octets))
    };
    let ends = [end(8)?, end(24)?];
    let to = [address_v4(ends[0])?, address_v4(ends[1])?];
    let mut out = ipv4(to[0], to[1], TCP, &resummed(payload, 16, ends, to));
    out[1] = header[0] << 4 | header[1] >> 4;
    out[8] = header[7];
    out[10..12].fill(0);
    let sum = checksum(&[&out[..20]]);
    out[10..12].copy_from_slice(&sum.to_be_bytes());
    out.extend(padding);
    Some(out)
}

/// The segment, its checksum (at `at`) that of a packet between `new` addresses instead of `old`.
fn resummed<A: Octets, B: Octets>(segment: &[u8], at: usize, old: [A; 2], new: [B; 2]) -> Vec<u8> {
    let mut out = segment.to_vec();
    if let Some(field) = out.get_mut(at..at + 2) {
        let sum = |ends: Vec<Vec<u8>>| !checksum(&[&ends.concat()]);
        let (old, new) = (sum(old.map(A::bytes).into()), sum(new.map(B::bytes).into()));
        // RFC 1624 §3, equation 3.
        let was = !u16::from_be_bytes([field[0], field[1]]);
        let mut now = u32::from(was) + u32::from(!old) + u32::from(new);
        while now >> 16 != 0 {
            now = (now & 0xffff) + (now >> 16);
        }
        field.copy_from_slice(&(!(now as u16)).to_be_bytes());
    }
    out
}

trait Octets {
    fn bytes(self) -> Vec<u8>;
}

impl Octets for Ipv4Addr {
    fn bytes(self) -> Vec<u8> {
        self.octets().into()
    }
}

impl Octets for Ipv6Addr {
    fn bytes(self) -> Vec<u8> {
        self.octets().into()
    }
}

/// "Who has this address?" in `frame`, if it asks that.
pub fn solicited(frame: &[u8]) -> Option<Ipv6Addr> {
    let asks = frame.get(12..14) == Some(&TYPE_V6)
        && frame.get(20) == Some(&ICMPV6)
        && frame.get(54) == Some(&135);
    let target: [u8; 16] = frame.get(62..78)?.try_into().ok()?;
    asks.then(|| Ipv6Addr::from(target))
}

/// `frame` tells routers and switches of a group (MLD), as a host does whose address is of IPv6.
pub fn is_group_report(frame: &[u8]) -> bool {
    // Nothing else of a host's has Router Alert in front.
    let alert = frame.get(54..60) == Some(&[ICMPV6, 0, 5, 2, 0, 0]);
    frame.get(12..14) == Some(&TYPE_V6) && frame.get(20) == Some(&0) && alert
}

/// "`target` is mine", from its station to `host`'s.
pub fn advertisement(target: Ipv6Addr, host: Ipv6Addr, [from, to]: [crate::Mac; 2]) -> Vec<u8> {
    let mut message =
        [&[136, 0, 0, 0, 0x60, 0, 0, 0][..], &target.octets(), &[2, 1], &from.0].concat();
    let length = (message.len() as u32).to_be_bytes();
    let (ends, rest) = ([target.octets(), host.octets()], [0, 0, 0, ICMPV6]);
    let sum = checksum(&[&ends[0], &ends[1], &length, &rest, &message]);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let header = header_v6(0, message.len(), ICMPV6, 255, [target, host]);
    [&to.0[..], &from.0, &TYPE_V6, &header, &message].concat()
}

#[cfg(test)]
mod tests {
    use super::super::packet::{Flags, Segment};
    use super::*;
    use crate::Mac;

    #[test]
    fn a_segment_comes_back_as_it_went_and_damage_stays() {
        let segment = Segment {
            source: "192.0.2.1:4000".parse().unwrap(),
            destination: "192.0.2.2:80".parse().unwrap(),
            seq: u32::MAX,
            ack: 7,
            flags: Flags::PSH.with(Flags::ACK),
            window: 1000,
            urgent: 0,
            ecn: 2,
            options: vec![1, 1, 1, 0],
            payload: b"odd".to_vec(),
        };
        let frame = segment.to_frame(Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
        let six = to_v6(&frame);
        let packet = etherparse::SlicedPacket::from_ethernet(&six).unwrap();
        let Some(etherparse::TransportSlice::Tcp(tcp)) = packet.transport else { panic!("TCP") };
        let Some(etherparse::NetSlice::Ipv6(ip)) = packet.net else { panic!("IPv6") };
        let sum = tcp.to_header().calc_checksum_ipv6(&ip.header().to_header(), tcp.payload());
        assert_eq!(tcp.checksum(), sum.unwrap());
        assert_eq!(Segment::from_frame(&to_v4(&six)), Ok(Some(segment)));
        // Nor is what IPv6's header has no checksum for repaired: version, length, next header.
        for bit in (14 * 8..14 * 8 + 4).chain(18 * 8..21 * 8) {
            let mut damaged = six.clone();
            damaged[bit / 8] ^= 0x80 >> (bit % 8);
            assert!(!matches!(Segment::from_frame(&to_v4(&damaged)), Ok(Some(_))), "bit {bit}");
        }
        for bit in 34 * 8..frame.len() * 8 {
            let mut damaged = frame.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let back = to_v4(&to_v6(&damaged));
            assert_eq!(Segment::from_frame(&back).is_ok(), Segment::from_frame(&damaged).is_ok());
        }
    }
}
