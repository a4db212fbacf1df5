//! From facts to bytes: headers written into a scratch head, checksums as the last step.

use super::address::{Address, FlowKey, Mac};
use super::checksum::{Checksum, checksum};
use super::frame::{ChecksumAt, Gso};
use super::options::{OPTIONS_MAX, Options};

/// Length of an Ethernet II header.
pub(crate) const ETHERNET_HEADER: usize = 14;
/// Length of an IPv4 header without options.
pub(crate) const IPV4_HEADER: usize = 20;
/// Length of a TCP header without options.
pub(crate) const TCP_HEADER: usize = 20;
/// Length of a UDP header.
pub(crate) const UDP_HEADER: usize = 8;
/// Room for the longest head: Ethernet, IPv6, TCP with all its options.
pub(crate) const HEAD_MAX: usize = ETHERNET_HEADER + 40 + TCP_HEADER + OPTIONS_MAX;

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

/// What an IPv4 header says beyond the addresses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ipv4Fields {
    pub(crate) source: Address,
    pub(crate) destination: Address,
    pub(crate) protocol: u8,
    pub(crate) ttl: u8,
    pub(crate) tos: u8,
    pub(crate) id: u16,
    pub(crate) dont_fragment: bool,
    pub(crate) more_fragments: bool,
    /// Bytes from the start of the datagram, a multiple of eight.
    pub(crate) fragment_offset: usize,
    /// Bytes behind this header.
    pub(crate) payload_len: usize,
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

    pub(crate) fn ipv4(&mut self, ip: &Ipv4Fields) {
        let at = self.len;
        let total = (IPV4_HEADER + ip.payload_len) as u16;
        let flags = u16::from(ip.dont_fragment) << 14 | u16::from(ip.more_fragments) << 13;
        self.put(&[0x45, ip.tos]);
        self.put(&total.to_be_bytes());
        self.put(&ip.id.to_be_bytes());
        self.put(&(flags | (ip.fragment_offset / 8) as u16).to_be_bytes());
        self.put(&[ip.ttl, ip.protocol, 0, 0]);
        self.put(&ip.source.as_v4().unwrap_or_default());
        self.put(&ip.destination.as_v4().unwrap_or_default());
        let sum = checksum(&self.bytes[at..self.len]);
        self.bytes[at + 10..at + 12].copy_from_slice(&sum);
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
        self.put(&flow.local.port.to_be_bytes());
        self.put(&flow.remote.port.to_be_bytes());
        self.put(&tcp.seq.to_be_bytes());
        self.put(&tcp.ack.to_be_bytes());
        let header_len = TCP_HEADER + tcp.options.len();
        self.put(&[(header_len as u8 / 4) << 4, tcp.flags]);
        self.put(&tcp.window.to_be_bytes());
        self.put(&[0; 4]);
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
