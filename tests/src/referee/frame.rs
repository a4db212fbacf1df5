//! One frame, by itself: lengths, checksums, fields.

use super::{Foul, rule};
use etherparse::{
    ArpPacketSlice, Ethernet2Slice, Icmpv4Slice, Ipv4Slice, TcpOptionElement, TcpSlice, UdpSlice,
};
use stack::testing::packet::checksum;
use std::net::Ipv4Addr;

/// What a sound frame carries.
pub(super) enum Packet<'a> {
    Arp { sender_mac: [u8; 6], sender: Ipv4Addr },
    Tcp(Tcp<'a>),
    Other { source: Ipv4Addr },
}

/// A TCP segment.
pub(super) struct Tcp<'a> {
    pub(super) source: Ipv4Addr,
    pub(super) destination: Ipv4Addr,
    pub(super) source_port: u16,
    pub(super) destination_port: u16,
    pub(super) seq: u32,
    pub(super) ack: Option<u32>,
    pub(super) syn: bool,
    pub(super) fin: bool,
    pub(super) rst: bool,
    pub(super) window: u32,
    pub(super) text: &'a [u8],
    pub(super) options: Options,
    slice: TcpSlice<'a>,
}

/// The options of a segment.
#[derive(Default)]
pub(super) struct Options {
    pub(super) mss: Option<u16>,
    pub(super) window_scale: Option<u8>,
    pub(super) sack_permitted: bool,
    pub(super) sack: Vec<(u32, u32)>,
    pub(super) timestamps: Option<(u32, u32)>,
    malformed: bool,
}

fn foul<E: std::fmt::Display>(error: E) -> Foul {
    Foul(error.to_string())
}

impl<'a> Packet<'a> {
    pub(super) fn read(frame: &'a [u8]) -> Result<Packet<'a>, Foul> {
        let ethernet = Ethernet2Slice::from_slice_without_fcs(frame).map_err(foul)?;
        match ethernet.ether_type().0 {
            0x0806 => Packet::read_arp(ethernet.payload_slice()),
            0x0800 => Packet::read_ipv4(ethernet.payload_slice()),
            other => Err(Foul(format!("ethertype {other:#06x}"))),
        }
    }

    fn read_arp(bytes: &'a [u8]) -> Result<Packet<'a>, Foul> {
        let arp = ArpPacketSlice::from_slice(bytes).map_err(foul)?.to_packet();
        let arp = arp.try_eth_ipv4().map_err(foul)?;
        padding(&bytes[28..])?;
        let sender = Ipv4Addr::from(arp.sender_ipv4);
        Ok(Packet::Arp { sender_mac: arp.sender_mac, sender })
    }

    fn read_ipv4(bytes: &'a [u8]) -> Result<Packet<'a>, Foul> {
        let packet = Ipv4Slice::from_slice(bytes).map_err(foul)?;
        let header = packet.header();
        let total = usize::from(header.total_len());
        rule(total <= bytes.len(), || "IPv4 total length beyond the frame".into())?;
        padding(&bytes[total..])?;
        rule(checksum(&[header.slice()]) == 0, || "IPv4 header checksum".into())?;
        rule(header.ttl() > 0, || "TTL 0".into())?;
        let (source, destination) = (header.source_addr(), header.destination_addr());
        rule(!source.is_multicast() && !source.is_broadcast(), || format!("from {source}"))?;
        let payload = &bytes[header.slice().len()..total];
        if header.is_fragmenting_payload() {
            let whole = !header.more_fragments() || payload.len().is_multiple_of(8);
            rule(whole, || "a fragment that is no multiple of eight".into())?;
            rule(!header.dont_fragment(), || "a fragment with DF".into())?;
            return Ok(Packet::Other { source });
        }
        match header.protocol().0 {
            6 => Tcp::read(source, destination, payload).map(Packet::Tcp),
            17 => read_udp(source, destination, payload),
            1 => read_icmp(source, payload),
            _ => Ok(Packet::Other { source }),
        }
    }
}

/// Bytes after the packet are there to fill the frame, and say nothing (CVE-2003-0001).
fn padding(bytes: &[u8]) -> Result<(), Foul> {
    rule(bytes.iter().all(|&byte| byte == 0), || "padding that is not zero".into())
}

fn read_udp<'a>(from: Ipv4Addr, to: Ipv4Addr, bytes: &[u8]) -> Result<Packet<'a>, Foul> {
    let udp = UdpSlice::from_slice(bytes).map_err(foul)?;
    rule(usize::from(udp.length()) == bytes.len(), || "UDP length".into())?;
    rule(udp.checksum() != 0, || "UDP without checksum".into())?;
    let (from4, to4) = (from.octets(), to.octets());
    let sum = udp.to_header().calc_checksum_ipv4_raw(from4, to4, udp.payload()).map_err(foul)?;
    rule(udp.checksum() == sum, || "UDP checksum".into())?;
    Ok(Packet::Other { source: from })
}

fn read_icmp<'a>(source: Ipv4Addr, bytes: &[u8]) -> Result<Packet<'a>, Foul> {
    let icmp = Icmpv4Slice::from_slice(bytes).map_err(foul)?;
    let sum = icmp.icmp_type().calc_checksum(icmp.payload());
    rule(icmp.checksum() == sum, || "ICMP checksum".into())?;
    let is_error = |kind: u8| matches!(kind, 3 | 4 | 5 | 11 | 12);
    if is_error(icmp.type_u8()) {
        let quoted = Ipv4Slice::from_slice(icmp.payload()).ok();
        let about_error = quoted.is_some_and(|packet| {
            packet.header().protocol().0 == 1
                && packet.payload().payload.first().is_some_and(|&kind| is_error(kind))
        });
        rule(!about_error, || "an ICMP error about an ICMP error".into())?;
    }
    Ok(Packet::Other { source })
}

impl<'a> Tcp<'a> {
    fn read(source: Ipv4Addr, destination: Ipv4Addr, bytes: &'a [u8]) -> Result<Tcp<'a>, Foul> {
        let slice = TcpSlice::from_slice(bytes).map_err(foul)?;
        let sum = slice.calc_checksum_ipv4(source.octets(), destination.octets()).map_err(foul)?;
        rule(sum == slice.checksum(), || "TCP checksum".into())?;
        Ok(Tcp {
            source,
            destination,
            source_port: slice.source_port(),
            destination_port: slice.destination_port(),
            seq: slice.sequence_number(),
            ack: slice.ack().then(|| slice.acknowledgment_number()),
            syn: slice.syn(),
            fin: slice.fin(),
            rst: slice.rst(),
            window: u32::from(slice.window_size()),
            text: &bytes[slice.header_slice().len()..],
            options: Options::read(&slice),
            slice,
        })
    }

    /// SEG.LEN.
    pub(super) fn len(&self) -> u64 {
        self.text.len() as u64 + u64::from(self.syn) + u64::from(self.fin)
    }

    /// What must hold for any segment that a host makes, whatever the connection.
    pub(super) fn is_well_made(&self) -> Result<(), Foul> {
        let options = &self.options;
        rule(!options.malformed, || format!("options {:02x?}", self.slice.options()))?;
        rule(!(self.syn && (self.fin || self.rst)), || "SYN with FIN or RST".into())?;
        rule(self.syn || self.rst || self.ack.is_some(), || "neither SYN, RST nor ACK".into())?;
        rule(self.syn || options.mss.is_none(), || "MSS without SYN (MUST-65)".into())?;
        rule(self.syn || options.window_scale.is_none(), || "window scale without SYN".into())?;
        rule(self.syn || !options.sack_permitted, || "SACK permitted without SYN".into())?;
        rule(options.window_scale.is_none_or(|shift| shift <= 14), || "shift above 14".into())?;
        rule(self.slice.urg() || self.slice.urgent_pointer() == 0, || "a stray urgent".into())?;
        rule(self.slice.slice()[12] & 0x0f == 0, || "reserved bits".into())?;
        rule(!self.rst || self.text.is_empty(), || "RST with text".into())?;
        rule(self.source_port != 0 && self.destination_port != 0, || "port 0".into())
    }
}

impl Options {
    fn read(slice: &TcpSlice<'_>) -> Options {
        let mut options = Options::default();
        for element in slice.options_iterator() {
            match element {
                Ok(TcpOptionElement::Noop) => {}
                Ok(TcpOptionElement::MaximumSegmentSize(size)) => options.mss = Some(size),
                Ok(TcpOptionElement::WindowScale(shift)) => options.window_scale = Some(shift),
                Ok(TcpOptionElement::SelectiveAcknowledgementPermitted) => {
                    options.sack_permitted = true;
                }
                Ok(TcpOptionElement::SelectiveAcknowledgement(first, rest)) => {
                    options.sack = [Some(first)].into_iter().chain(rest).flatten().collect();
                }
                Ok(TcpOptionElement::Timestamp(val, ecr)) => options.timestamps = Some((val, ecr)),
                Err(_) => options.malformed = true,
            }
        }
        options.malformed |= !is_zero_after_the_end(slice.options());
        options
    }
}

/// What follows the end of the list is zero (MUST-69). etherparse stops looking there.
fn is_zero_after_the_end(mut options: &[u8]) -> bool {
    loop {
        options = match options {
            [] => return true,
            [0, padding @ ..] => return padding.iter().all(|&byte| byte == 0),
            [1, rest @ ..] => rest,
            [_, len, ..] if *len >= 2 => options.get(usize::from(*len)..).unwrap_or(&[]),
            _ => return false,
        }
    }
}
