//! From bytes to facts: the only file that names etherparse. Each layer is trimmed to the length
//! that the layer above it grants, once, here; nothing later subtracts unchecked (THREATS P-2).

use super::address::{Address, Mac};
use super::checksum::{self, Checksum};
use super::ecn::Codepoint;
use super::frame::RxChecksum;
use crate::counters::DropReason;
use etherparse::{
    Ethernet2HeaderSlice, Ipv4HeaderSlice, Ipv6HeaderSlice, TcpSlice, UdpHeaderSlice,
};

/// Ethernet type of IPv4.
pub(crate) const ETHERTYPE_IPV4: u16 = 0x0800;
/// Ethernet type of IPv6.
pub(crate) const ETHERTYPE_IPV6: u16 = 0x86dd;
/// A frame with a tag of IEEE 802.1Q.
pub(crate) const ETHERTYPE_VLAN: u16 = 0x8100;
/// Ethernet type of ARP.
pub(crate) const ETHERTYPE_ARP: u16 = 0x0806;

/// IP protocol numbers that the stack speaks.
pub(crate) const PROTOCOL_ICMP: u8 = 1;
pub(crate) const PROTOCOL_IGMP: u8 = 2;
pub(crate) const PROTOCOL_TCP: u8 = 6;
pub(crate) const PROTOCOL_UDP: u8 = 17;
pub(crate) const PROTOCOL_ICMPV6: u8 = 58;

/// An Ethernet II frame.
pub(crate) struct Ethernet<'a> {
    pub(crate) destination: Mac,
    pub(crate) source: Mac,
    pub(crate) ethertype: u16,
    pub(crate) payload: &'a [u8],
}

/// Splits a frame into its link header and payload.
pub(crate) fn ethernet(bytes: &[u8]) -> Result<Ethernet<'_>, DropReason> {
    let header = Ethernet2HeaderSlice::from_slice(bytes).map_err(|_| DropReason::FrameTooShort)?;
    Ok(Ethernet {
        destination: Mac(header.destination()),
        source: Mac(header.source()),
        ethertype: header.ether_type().0,
        payload: &bytes[header.slice().len()..],
    })
}

/// An IP packet, its header verified.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IpPacket<'a> {
    pub(crate) source: Address,
    pub(crate) destination: Address,
    pub(crate) protocol: u8,
    pub(crate) ttl: u8,
    pub(crate) ecn: Codepoint,
    pub(crate) fragment: Option<Fragment>,
    /// The whole header with its options; of IPv6 the 40 bytes that every packet has.
    pub(crate) header: &'a [u8],
    /// IPv6's extension headers, as far as they have been read.
    pub(crate) extensions: &'a [u8],
    pub(crate) payload: &'a [u8],
}

impl IpPacket<'_> {
    /// Type of service, of IPv6 the traffic class (RFC 8200 §7).
    pub(crate) fn tos(&self) -> u8 {
        match *self.header {
            [first, second, ..] if first >> 4 == 6 => first << 4 | second >> 4,
            [_, tos, ..] => tos,
            _ => 0,
        }
    }
}

/// Where a fragment belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fragment {
    pub(crate) id: u32,
    /// Bytes from the start of the datagram's payload.
    pub(crate) offset: u32,
    pub(crate) more: bool,
}

/// Reads an IPv4 packet: version, header length, total length, header checksum (RFC 1122 §3.2.1),
/// and options as far as they matter to a host: source routes are refused, all others skipped.
pub(crate) fn ipv4(bytes: &[u8]) -> Result<IpPacket<'_>, DropReason> {
    let header = Ipv4HeaderSlice::from_slice(bytes).map_err(|_| DropReason::IpMalformed)?;
    let header_len = header.slice().len();
    // Bytes behind the total length are the padding of a short frame.
    let payload =
        bytes.get(header_len..usize::from(header.total_len())).ok_or(DropReason::IpMalformed)?;
    if !checksum::is_valid(header.slice()) {
        return Err(DropReason::IpChecksum);
    }
    if has_source_route(header.options()) {
        return Err(DropReason::IpSourceRoute);
    }
    let offset = u32::from(header.fragments_offset().value()) * 8;
    let more = header.more_fragments();
    Ok(IpPacket {
        source: Address::v4(header.source()),
        destination: Address::v4(header.destination()),
        protocol: header.protocol().0,
        ttl: header.ttl(),
        ecn: Codepoint::of_tos(header.slice()[1]),
        fragment: (more || offset != 0).then_some(Fragment {
            id: u32::from(header.identification()),
            offset,
            more,
        }),
        header: header.slice(),
        extensions: &[],
        payload,
    })
}

/// Reads the fixed header of an IPv6 packet (RFC 8200 §3); [`super::extensions`] reads on. What
/// names IPv4 addresses is refused: nothing on a link may pass for the other version.
pub(crate) fn ipv6(bytes: &[u8]) -> Result<IpPacket<'_>, DropReason> {
    let header = Ipv6HeaderSlice::from_slice(bytes).map_err(|_| DropReason::IpMalformed)?;
    let len = header.slice().len();
    let payload = bytes.get(len..len + usize::from(header.payload_length()));
    let address = |octets| Address::v6(u128::from_be_bytes(octets));
    let (source, destination) = (address(header.source()), address(header.destination()));
    if source.is_v4() || destination.is_v4() {
        return Err(DropReason::IpBadSource);
    }
    Ok(IpPacket {
        source,
        destination,
        protocol: header.next_header().0,
        ttl: header.hop_limit(),
        ecn: Codepoint::of_header(header.slice()),
        fragment: None,
        header: header.slice(),
        extensions: &[],
        payload: payload.ok_or(DropReason::IpMalformed)?,
    })
}

/// Loose and strict source routes (RFC 791 §3.1), which hosts drop (RFC 7126 §4.3, §4.4).
fn has_source_route(options: &[u8]) -> bool {
    const END: u8 = 0;
    const NOP: u8 = 1;
    const LSRR: u8 = 131;
    const SSRR: u8 = 137;
    let mut rest = options;
    while let [kind, tail @ ..] = rest {
        match *kind {
            END => break,
            NOP => rest = tail,
            LSRR | SSRR => return true,
            _ => {
                let len = usize::from(tail.first().copied().unwrap_or(0));
                // An illegal length ends the list: nothing behind it can be found.
                let Some(next) = rest.get(len..).filter(|_| len >= 2) else { break };
                rest = next;
            }
        }
    }
    false
}

/// A TCP segment's fields as they stand on the wire.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TcpHeader<'a> {
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    /// CWR, ECE, URG, ACK, PSH, RST, SYN, FIN from the high bit down.
    pub(crate) flags: u8,
    pub(crate) window: u16,
    /// Of the packet that brought it.
    pub(crate) ecn: Codepoint,
    pub(crate) options: &'a [u8],
    pub(crate) text: &'a [u8],
}

/// Reads the TCP segment in `packet` and verifies its checksum (MUST-3).
pub(crate) fn tcp<'a>(
    packet: &IpPacket<'a>,
    device: RxChecksum,
) -> Result<TcpHeader<'a>, DropReason> {
    let tcp = TcpSlice::from_slice(packet.payload).map_err(|_| DropReason::TcpMalformed)?;
    if !transport_checksum_ok(packet, PROTOCOL_TCP, packet.payload, device) {
        return Err(DropReason::TcpChecksum);
    }
    let header = tcp.header_slice();
    Ok(TcpHeader {
        source_port: tcp.source_port(),
        destination_port: tcp.destination_port(),
        seq: tcp.sequence_number(),
        ack: tcp.acknowledgment_number(),
        flags: header[13],
        window: tcp.window_size(),
        ecn: packet.ecn,
        options: &header[20..],
        text: tcp.payload(),
    })
}

/// A UDP datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UdpHeader<'a> {
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    pub(crate) payload: &'a [u8],
}

/// Reads the UDP datagram in `packet`. A checksum of zero means none over IPv4 (RFC 768) and is
/// refused over IPv6 (RFC 8200 §8.1).
pub(crate) fn udp<'a>(
    packet: &IpPacket<'a>,
    device: RxChecksum,
) -> Result<UdpHeader<'a>, DropReason> {
    let bytes = packet.payload;
    let header = UdpHeaderSlice::from_slice(bytes).map_err(|_| DropReason::UdpMalformed)?;
    let len = usize::from(header.length());
    let datagram = bytes.get(..len).ok_or(DropReason::UdpMalformed)?;
    let payload = datagram.get(8..).ok_or(DropReason::UdpMalformed)?;
    let absent = header.checksum() == 0;
    if absent && !packet.source.is_v4() {
        return Err(DropReason::UdpChecksum);
    }
    if !absent && !transport_checksum_ok(packet, PROTOCOL_UDP, datagram, device) {
        return Err(DropReason::UdpChecksum);
    }
    Ok(UdpHeader {
        source_port: header.source_port(),
        destination_port: header.destination_port(),
        payload,
    })
}

/// The checksum of the ICMPv6 message in `packet`, which has a pseudo header (RFC 4443 §2.3) and
/// is never left to a device.
pub(crate) fn icmpv6_checksum_ok(packet: &IpPacket<'_>) -> bool {
    let device = RxChecksum::Unverified;
    transport_checksum_ok(packet, PROTOCOL_ICMPV6, packet.payload, device)
}

fn transport_checksum_ok(
    packet: &IpPacket<'_>,
    protocol: u8,
    bytes: &[u8],
    device: RxChecksum,
) -> bool {
    if device == RxChecksum::Verified {
        return true;
    }
    let mut sum = Checksum::pseudo_header(packet.source, packet.destination, protocol, bytes.len());
    sum.add(bytes);
    sum.is_valid()
}
