//! From facts to bytes: headers written into a scratch head, checksums as the last step.

use super::address::{Address, FlowKey, Mac};
use super::checksum::{Checksum, checksum};
use super::extensions::{FRAGMENT, FRAGMENT_HEADER};
use super::frame::{ChecksumAt, Gso};
use super::options::{OPTIONS_MAX, Options};
use super::parse::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_VLAN};

/// Length of an Ethernet II header.
pub(crate) const ETHERNET_HEADER: usize = 14;
/// Length of an IPv4 header without options.
pub(crate) const IPV4_HEADER: usize = 20;
/// Length of an IPv6 header without extensions.
pub(crate) const IPV6_HEADER: usize = 40;
/// Length of a TCP header without options.
pub(crate) const TCP_HEADER: usize = 20;
/// Length of a UDP header.
pub(crate) const UDP_HEADER: usize = 8;
/// Length of the tag of a VLAN.
const VLAN_TAG: usize = 4;
/// Room for the longest head: Ethernet with a tag, IPv6, TCP with all its options.
pub(crate) const HEAD_MAX: usize =
    ETHERNET_HEADER + VLAN_TAG + IPV6_HEADER + TCP_HEADER + OPTIONS_MAX;

/// Headers of one frame, written front to back.
#[derive(Clone)]
pub(crate) struct Head {
    bytes: [u8; HEAD_MAX],
    len: usize,
    /// The checksum that is left to the device.
    pub(crate) checksum: Option<ChecksumAt>,
    /// What a super-frame is to be cut to.
    pub(crate) gso: Option<Gso>,
}

/// Who sums the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Summing {
    Here,
    /// The field gets the pseudo header's sum, to begin with.
    Device,
}

impl Summing {
    pub(crate) fn by_device(it_is: bool) -> Summing {
        if it_is { Summing::Device } else { Summing::Here }
    }
}

/// What an IP header of either version says. What one of them has no field for is left out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IpFields {
    pub(crate) source: Address,
    pub(crate) destination: Address,
    pub(crate) protocol: u8,
    /// The hop limit of IPv6.
    pub(crate) ttl: u8,
    /// The traffic class of IPv6.
    pub(crate) tos: u8,
    /// IPv6 only: 20 bits (RFC 6437).
    pub(crate) flow_label: u32,
    /// 16 bits in IPv4, where only a fragment needs one; 32 in a fragment of IPv6.
    pub(crate) id: u32,
    /// IPv4 only: nobody on the way cuts up a packet of IPv6.
    pub(crate) dont_fragment: bool,
    pub(crate) more_fragments: bool,
    /// Bytes from the start of the datagram, a multiple of eight.
    pub(crate) fragment_offset: usize,
    /// Bytes behind this header.
    pub(crate) payload_len: usize,
}

impl IpFields {
    /// The length of the header of a packet in one piece.
    pub(crate) fn header_len(&self) -> usize {
        if self.destination.is_v4() { IPV4_HEADER } else { IPV6_HEADER }
    }

    /// The length of the headers of a fragment, which in IPv6 has one of its own.
    pub(crate) fn fragment_header_len(&self) -> usize {
        if self.destination.is_v4() { IPV4_HEADER } else { IPV6_HEADER + FRAGMENT_HEADER }
    }

    pub(crate) fn ethertype(&self) -> u16 {
        if self.destination.is_v4() { ETHERTYPE_IPV4 } else { ETHERTYPE_IPV6 }
    }

    fn is_fragment(&self) -> bool {
        self.more_fragments || self.fragment_offset != 0
    }
}

/// What a TCP header says beyond the ports.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TcpFields {
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) flags: u8,
    pub(crate) window: u16,
    pub(crate) options: Options,
}

impl Head {
    pub(crate) const fn new() -> Head {
        Head { bytes: [0; HEAD_MAX], len: 0, checksum: None, gso: None }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Starts a new frame.
    pub(crate) fn clear(&mut self) {
        (self.len, self.checksum, self.gso) = (0, None, None);
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    pub(crate) fn ethernet(&mut self, destination: Mac, source: Mac, ethertype: u16) {
        self.put(&destination.0);
        self.put(&source.0);
        self.put(&ethertype.to_be_bytes());
    }

    /// The same of a VLAN's frame, which is never urgent (IEEE 802.1Q §9.6).
    pub(crate) fn tagged(&mut self, destination: Mac, source: Mac, tag: u16, ethertype: u16) {
        self.ethernet(destination, source, ETHERTYPE_VLAN);
        self.put(&tag.to_be_bytes());
        self.put(&ethertype.to_be_bytes());
    }

    /// The header of the version that the addresses have.
    pub(crate) fn ip(&mut self, ip: &IpFields) {
        match (ip.source.as_v4(), ip.destination.as_v4()) {
            (Some(source), Some(destination)) => self.ipv4(ip, source, destination),
            _ => self.ipv6(ip),
        }
    }

    fn ipv4(&mut self, ip: &IpFields, source: [u8; 4], destination: [u8; 4]) {
        let total = (IPV4_HEADER + ip.payload_len) as u16;
        let flags = u16::from(ip.dont_fragment) << 14 | u16::from(ip.more_fragments) << 13;
        let mut header = [0; IPV4_HEADER];
        header[..2].copy_from_slice(&[0x45, ip.tos]);
        header[2..4].copy_from_slice(&total.to_be_bytes());
        header[4..6].copy_from_slice(&(ip.id as u16).to_be_bytes());
        header[6..8].copy_from_slice(&(flags | (ip.fragment_offset / 8) as u16).to_be_bytes());
        header[8..10].copy_from_slice(&[ip.ttl, ip.protocol]);
        header[12..16].copy_from_slice(&source);
        header[16..].copy_from_slice(&destination);
        let sum = checksum(&header);
        header[10..12].copy_from_slice(&sum);
        self.put(&header);
    }

    /// RFC 8200 §3, and §4.5 for a fragment.
    fn ipv6(&mut self, ip: &IpFields) {
        let first = 6 << 28 | u32::from(ip.tos) << 20 | ip.flow_label & 0xf_ffff;
        let (next, len) = if ip.is_fragment() {
            (FRAGMENT, FRAGMENT_HEADER + ip.payload_len)
        } else {
            (ip.protocol, ip.payload_len)
        };
        self.put(&first.to_be_bytes());
        self.put(&(len as u16).to_be_bytes());
        self.put(&[next, ip.ttl]);
        self.put(ip.source.octets());
        self.put(ip.destination.octets());
        if ip.is_fragment() {
            let field = ip.fragment_offset as u16 & !7 | u16::from(ip.more_fragments);
            self.put(&[ip.protocol, 0]);
            self.put(&field.to_be_bytes());
            self.put(&ip.id.to_be_bytes());
        }
    }

    /// Writes a TCP header and its checksum over `body` (MUST-2).
    pub(crate) fn tcp(
        &mut self,
        flow: &FlowKey,
        tcp: &TcpFields,
        body: [&[u8]; 2],
        summing: Summing,
    ) {
        let at = self.len;
        let header_len = TCP_HEADER + tcp.options.len();
        let mut header = [0; TCP_HEADER];
        header[..2].copy_from_slice(&flow.local.port.to_be_bytes());
        header[2..4].copy_from_slice(&flow.remote.port.to_be_bytes());
        header[4..8].copy_from_slice(&tcp.seq.to_be_bytes());
        header[8..12].copy_from_slice(&tcp.ack.to_be_bytes());
        header[12..14].copy_from_slice(&[(header_len as u8 / 4) << 4, tcp.flags]);
        header[14..16].copy_from_slice(&tcp.window.to_be_bytes());
        self.put(&header);
        self.len += tcp.options.write(&mut self.bytes[self.len..]);
        let sum = self.transport_sum(at, super::parse::PROTOCOL_TCP, flow, body, summing);
        self.set_checksum(at, 16, sum, summing);
    }

    /// Writes a UDP header and its checksum over `body`; a sum of zero is sent as all ones
    /// (RFC 768).
    pub(crate) fn udp(&mut self, flow: &FlowKey, body: [&[u8]; 2], summing: Summing) {
        let at = self.len;
        self.put(&flow.local.port.to_be_bytes());
        self.put(&flow.remote.port.to_be_bytes());
        let len = UDP_HEADER + body[0].len() + body[1].len();
        self.put(&(len as u16).to_be_bytes());
        self.put(&[0; 2]);
        let sum = match self.transport_sum(at, super::parse::PROTOCOL_UDP, flow, body, summing) {
            [0, 0] if summing == Summing::Here => [0xff, 0xff],
            sum => sum,
        };
        self.set_checksum(at, 6, sum, summing);
    }

    fn set_checksum(&mut self, at: usize, offset: usize, sum: [u8; 2], summing: Summing) {
        self.bytes[at + offset..at + offset + 2].copy_from_slice(&sum);
        if summing == Summing::Device {
            self.checksum = Some(ChecksumAt { start: at as u16, offset: offset as u16 });
        }
    }

    fn transport_sum(
        &self,
        at: usize,
        protocol: u8,
        flow: &FlowKey,
        body: [&[u8]; 2],
        summing: Summing,
    ) -> [u8; 2] {
        let len = self.len - at + body[0].len() + body[1].len();
        let (local, remote) = (flow.local.address, flow.remote.address);
        let mut sum = Checksum::pseudo_header(local, remote, protocol, len);
        if summing == Summing::Device {
            return sum.unfinished();
        }
        sum.add(&self.bytes[at..self.len]);
        sum.add(body[0]);
        sum.add(body[1]);
        sum.finish()
    }
}
