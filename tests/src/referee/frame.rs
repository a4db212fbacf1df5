//! One frame, by itself: lengths, checksums, fields.

use super::{Foul, rule};
use etherparse::{ArpPacketSlice, Ethernet2Slice, Icmpv4Slice, Ipv4Slice, TcpSlice, UdpSlice};
use stack::testing::packet::checksum;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// What a sound frame carries.
pub(super) enum Packet<'a> {
    Arp {
        sender_mac: [u8; 6],
        sender: Ipv4Addr,
    },
    /// Neighbor Discovery: whose address it claims, if any, and for which station.
    Neighbor {
        source: IpAddr,
        claims: Option<IpAddr>,
        station: Option<[u8; 6]>,
    },
    /// What routers and switches are told of a group by MLD.
    Membership {
        source: IpAddr,
    },
    Tcp(Tcp<'a>),
    Other {
        source: IpAddr,
    },
}

/// A TCP segment.
pub(super) struct Tcp<'a> {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) source_port: u16,
    pub(super) destination_port: u16,
    pub(super) seq: u32,
    pub(super) ack: Option<u32>,
    pub(super) syn: bool,
    pub(super) fin: bool,
    pub(super) rst: bool,
    pub(super) window: u32,
    /// ECN: the flags, and the bits of the IP header.
    pub(super) ece: bool,
    pub(super) cwr: bool,
    pub(super) ecn: u8,
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
    fast_open: bool,
    malformed: bool,
    unknown: bool,
}

pub(super) fn foul<E: std::fmt::Display>(error: E) -> Foul {
    Foul(error.to_string())
}

impl<'a> Packet<'a> {
    pub(super) fn read(frame: &'a [u8]) -> Result<Packet<'a>, Foul> {
        let ethernet = Ethernet2Slice::from_slice_without_fcs(frame).map_err(foul)?;
        match ethernet.ether_type().0 {
            0x0806 => Packet::read_arp(ethernet.payload_slice()),
            0x0800 => Packet::read_ipv4(ethernet.payload_slice()),
            0x86dd => Packet::read_ipv6(ethernet.payload_slice()),
            other => Err(Foul(format!("ethertype {other:#06x}"))),
        }
    }

    fn read_arp(bytes: &'a [u8]) -> Result<Packet<'a>, Foul> {
        let arp = ArpPacketSlice::from_slice(bytes).map_err(foul)?.to_packet();
        let arp = arp.try_eth_ipv4().map_err(foul)?;
        let sender = Ipv4Addr::from(arp.sender_ipv4);
        Ok(Packet::Arp { sender_mac: arp.sender_mac, sender })
    }

    fn read_ipv4(bytes: &'a [u8]) -> Result<Packet<'a>, Foul> {
        let packet = Ipv4Slice::from_slice(bytes).map_err(foul)?;
        let header = packet.header();
        let total = usize::from(header.total_len());
        rule(total <= bytes.len(), || "IPv4 total length beyond the frame".into())?;
        rule(checksum(&[header.slice()]) == 0, || "IPv4 header checksum".into())?;
        let (source, destination) = (header.source_addr(), header.destination_addr());
        rule(!source.is_multicast() && !source.is_broadcast(), || format!("from {source}"))?;
        let payload = &bytes[header.slice().len()..total];
        let (source, destination) = (IpAddr::V4(source), IpAddr::V4(destination));
        if header.is_fragmenting_payload() {
            let whole = !header.more_fragments() || payload.len().is_multiple_of(8);
            rule(whole, || "a fragment that is no multiple of eight".into())?;
            rule(!header.dont_fragment(), || "a fragment with DF".into())?;
            rule(header.protocol().0 != 6, || "a segment in fragments".into())?;
            return Ok(Packet::Other { source });
        }
        match header.protocol().0 {
            6 => {
                let tcp = Tcp::read(source, destination, payload)?;
                Ok(Packet::Tcp(Tcp { ecn: header.slice()[1] & 3, ..tcp }))
            }
            17 => read_udp(source, destination, payload),
            1 => read_icmp(source, payload),
            _ => Ok(Packet::Other { source }),
        }
    }
}

/// Zero has two names in ones' complement (RFC 1071 §2), and who adds up a whole segment takes
/// either.
pub(super) fn same_sum(one: u16, other: u16) -> bool {
    one == other || [one, other].iter().all(|sum| matches!(sum, 0 | 0xffff))
}

/// What a frame must not be that this host sends, though another host's may be taken: with a TTL
/// of 0, or filled up with bytes that say something (CVE-2003-0001).
pub(super) fn is_well_filled(frame: &[u8]) -> Result<(), Foul> {
    let length = |at: usize| usize::from(u16::from_be_bytes([frame[at], frame[at + 1]]));
    let (hops, packet) = match frame[12..14] {
        [8, 6] => (1, 28),
        [8, 0] => (frame[22], length(16)),
        _ => (frame[21], 40 + length(18)),
    };
    rule(hops > 0, || "TTL 0".into())?;
    let padding = &frame[14 + packet..];
    rule(padding.iter().all(|&byte| byte == 0), || "padding that is not zero".into())
}

/// What a frame comes to for whoever takes it in.
#[derive(Debug, PartialEq, Eq)]
pub struct Meaning {
    /// The two ports.
    pub ports: [u16; 2],
    addresses: [IpAddr; 2],
    /// The segment, but for its checksum.
    segment: Vec<u8>,
}

/// What a frame means, if it holds a TCP segment and its checksums say that it is sound.
pub fn meaning(frame: &[u8]) -> Option<Meaning> {
    let Ok(Packet::Tcp(tcp)) = Packet::read(frame) else { return None };
    let mut segment = tcp.slice.slice().to_vec();
    segment[16..18].fill(0);
    let ports = [tcp.source_port, tcp.destination_port];
    Some(Meaning { ports, addresses: [tcp.source, tcp.destination], segment })
}

pub(super) fn read_udp<'a>(from: IpAddr, to: IpAddr, bytes: &[u8]) -> Result<Packet<'a>, Foul> {
    let udp = UdpSlice::from_slice(bytes).map_err(foul)?;
    rule(usize::from(udp.length()) == bytes.len(), || "UDP length".into())?;
    rule(udp.checksum() != 0, || "UDP without checksum".into())?;
    let (header, text) = (udp.to_header(), udp.payload());
    let sum = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            header.calc_checksum_ipv4_raw(from.octets(), to.octets(), text)
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            header.calc_checksum_ipv6_raw(from.octets(), to.octets(), text)
        }
        _ => return Err(Foul("both versions in one packet".into())),
    };
    rule(same_sum(sum.map_err(foul)?, udp.checksum()), || "UDP checksum".into())?;
    Ok(Packet::Other { source: from })
}

fn read_icmp<'a>(source: IpAddr, bytes: &[u8]) -> Result<Packet<'a>, Foul> {
    let icmp = Icmpv4Slice::from_slice(bytes).map_err(foul)?;
    let sum = icmp.icmp_type().calc_checksum(icmp.payload());
    rule(same_sum(sum, icmp.checksum()), || "ICMP checksum".into())?;
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
    pub(super) fn read(from: IpAddr, to: IpAddr, bytes: &'a [u8]) -> Result<Tcp<'a>, Foul> {
        let slice = TcpSlice::from_slice(bytes).map_err(foul)?;
        let sum = match (from, to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                slice.calc_checksum_ipv4(from.octets(), to.octets()).map_err(foul)?
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                slice.calc_checksum_ipv6(from.octets(), to.octets()).map_err(foul)?
            }
            _ => return Err(Foul("both versions in one packet".into())),
        };
        rule(same_sum(sum, slice.checksum()), || "TCP checksum".into())?;
        Ok(Tcp {
            source: from,
            destination: to,
            source_port: slice.source_port(),
            destination_port: slice.destination_port(),
            seq: slice.sequence_number(),
            ack: slice.ack().then(|| slice.acknowledgment_number()),
            syn: slice.syn(),
            fin: slice.fin(),
            rst: slice.rst(),
            window: u32::from(slice.window_size()),
            ece: slice.ece(),
            cwr: slice.cwr(),
            ecn: 0,
            text: &bytes[slice.header_slice().len()..],
            options: Options::read(&slice),
            slice,
        })
    }

    /// Where it comes from and where it goes.
    pub(super) fn ends(&self) -> (SocketAddr, SocketAddr) {
        let from = SocketAddr::new(self.source, self.source_port);
        (from, SocketAddr::new(self.destination, self.destination_port))
    }

    /// SEG.LEN.
    pub(super) fn len(&self) -> u64 {
        self.text.len() as u64 + u64::from(self.syn) + u64::from(self.fin)
    }

    /// What must hold for any segment that a host makes, whatever the connection.
    pub(super) fn is_well_made(&self) -> Result<(), Foul> {
        let options = &self.options;
        let known = !options.malformed && !options.unknown;
        rule(known, || format!("options {:02x?}", self.slice.options()))?;
        rule(!(self.syn && (self.fin || self.rst)), || "SYN with FIN or RST".into())?;
        rule(self.syn || self.rst || self.ack.is_some(), || "neither SYN, RST nor ACK".into())?;
        rule(self.syn || options.mss.is_none(), || "MSS without SYN (MUST-65)".into())?;
        rule(self.syn || options.window_scale.is_none(), || "window scale without SYN".into())?;
        rule(self.syn || !options.sack_permitted, || "SACK permitted without SYN".into())?;
        rule(self.syn || !options.fast_open, || "a cookie without SYN (RFC 7413)".into())?;
        rule(options.window_scale.is_none_or(|shift| shift <= 14), || "shift above 14".into())?;
        rule(self.slice.urg() || self.slice.urgent_pointer() == 0, || "a stray urgent".into())?;
        rule(self.slice.slice()[12] & 0x0f == 0, || "reserved bits".into())?;
        rule(!self.rst || self.text.is_empty(), || "RST with text".into())?;
        // RFC 3168 §6.1.1, §6.1.4: only text is ECT, and by ECT(0); whoever marks is a router.
        let may_be_ect = !self.syn && !self.text.is_empty();
        rule(self.ecn == 0 || (self.ecn == 2 && may_be_ect), || format!("ECN bits {}", self.ecn))?;
        rule(self.source_port != 0 && self.destination_port != 0, || "port 0".into())
    }
}

impl Options {
    /// etherparse stops at the first kind that it does not know, so the list is walked here.
    fn read(slice: &TcpSlice<'_>) -> Options {
        let mut options = Options::default();
        let mut rest = slice.options();
        loop {
            rest = match rest {
                [] => return options,
                // What follows the end of the list is zero (MUST-69).
                [0, padding @ ..] => {
                    options.malformed |= padding.iter().any(|&byte| byte != 0);
                    return options;
                }
                [1, rest @ ..] => rest,
                [kind, len, ..] if (2..=rest.len()).contains(&usize::from(*len)) => {
                    let (option, rest) = rest.split_at(usize::from(*len));
                    options.take(*kind, &option[2..]);
                    // Whoever cannot read an option cannot know what follows (THREATS P-4).
                    if options.malformed {
                        return options;
                    }
                    rest
                }
                _ => {
                    options.malformed = true;
                    return options;
                }
            }
        }
    }

    fn take(&mut self, kind: u8, data: &[u8]) {
        let long = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|i| data[at + i]));
        match (kind, data.len()) {
            (2, 2) => self.mss = Some(u16::from_be_bytes([data[0], data[1]])),
            (3, 1) => self.window_scale = Some(data[0]),
            (4, 0) => self.sack_permitted = true,
            (5, 8 | 16 | 24 | 32) => {
                self.sack = (0..data.len()).step_by(8).map(|i| (long(i), long(i + 4))).collect();
            }
            (8, 8) => self.timestamps = Some((long(0), long(4))),
            (34, 0 | 4 | 6 | 8 | 10 | 12 | 14 | 16) => self.fast_open = true,
            (2 | 3 | 4 | 5 | 8, _) => self.malformed = true,
            // A cookie of another size is as if it were not there.
            _ => self.unknown = true,
        }
    }
}
