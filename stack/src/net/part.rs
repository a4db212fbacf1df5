//! Several stacks that are one host: each has the TCP connections that fall to it, the first has
//! all else.
//!
//! Whose a frame is follows from the frame alone, by a keyed hash that all of them share. So none
//! has to ask the others: a segment that is sent again, an answer to a cookie or a late duplicate
//! finds the stack that knows its connection, whichever of them was given the frame.

use super::icmp::Quoted;
use crate::random::{Random, Secret, Seed};
use crate::wire::address::{Endpoint, FlowKey};
use crate::wire::parse::{self, IpPacket};
use core::num::NonZeroU8;

/// ICMP errors: unreachable, time exceeded, parameter problem.
const ERRORS_V4: [u8; 3] = [3, 11, 12];
/// The same of `ICMPv6`, with Packet Too Big between them.
const ERRORS_V6: core::ops::RangeInclusive<u8> = 1..=4;
/// What a station tells unasked or in answer, and everybody should know: a router's and a
/// neighbour's advertisement, a redirect.
const TOLD_TO_ALL: [u8; 3] = [134, 136, 137];
/// Bytes before what an ICMP error quotes.
const ICMP_HEADER: usize = 8;

/// One of several stacks that have their addresses in common: [`Stack::become_part`] tells a stack
/// that it is one.
///
/// [`Stack::become_part`]: crate::Stack::become_part
#[derive(Clone, Copy)]
pub struct Part {
    index: u8,
    count: NonZeroU8,
    secret: Secret,
    dice: Secret,
}

/// Who must be given a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The part of this index.
    One(usize),
    /// All parts: each takes what is for it.
    All,
}

impl Whose {
    const FIRST: Whose = Whose::One(0);
}

impl Part {
    /// The parts of a host, as many as `count`. They and their stacks must be of the same seed.
    pub fn all(seed: &Seed, count: NonZeroU8) -> impl Iterator<Item = Part> + use<> {
        let (secret, dice) = (Secret::derive(seed, "parts"), Secret::derive(seed, "dice of parts"));
        (0..count.get()).map(move |index| Part { index, count, secret, dice })
    }

    /// Which of the parts it is, from 0.
    pub fn index(&self) -> usize {
        self.index.into()
    }

    /// Whose a frame is, looked at by any of the parts. None: it says too little, and whoever has
    /// it can drop it.
    pub fn whose(&self, frame: &[u8]) -> Option<Whose> {
        let ethernet = parse::ethernet(frame).ok()?;
        match ethernet.ethertype {
            parse::ETHERTYPE_ARP => Some(whose_arp(ethernet.payload)),
            parse::ETHERTYPE_IPV4 => {
                parse::ipv4(ethernet.payload).ok().map(|packet| self.of_packet(&packet))
            }
            parse::ETHERTYPE_IPV6 => {
                let packet = parse::ipv6(ethernet.payload).ok()?;
                let is_last = [parse::PROTOCOL_TCP, parse::PROTOCOL_UDP, parse::PROTOCOL_ICMPV6];
                // What stands behind extension headers is for the stacks to read.
                let readable = is_last.contains(&packet.protocol);
                Some(if readable { self.of_packet(&packet) } else { Whose::All })
            }
            // A VLAN of the host, perhaps: the stacks know.
            _ => Some(Whose::All),
        }
    }

    /// Whose a packet is, of which the extension headers have been read.
    fn of_packet(&self, packet: &IpPacket<'_>) -> Whose {
        if packet.fragment.is_some() {
            return Whose::All;
        }
        let kind = packet.payload.first();
        match packet.protocol {
            parse::PROTOCOL_TCP => {
                let &[a, b, c, d, ..] = packet.payload else { return Whose::FIRST };
                let (source, destination) =
                    (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
                self.home(&FlowKey {
                    local: Endpoint::new(packet.destination, destination),
                    remote: Endpoint::new(packet.source, source),
                })
            }
            parse::PROTOCOL_ICMP if kind.is_some_and(|kind| ERRORS_V4.contains(kind)) => {
                self.of_error(packet.payload)
            }
            parse::PROTOCOL_ICMPV6 if kind.is_some_and(|kind| ERRORS_V6.contains(kind)) => {
                self.of_error(packet.payload)
            }
            parse::PROTOCOL_ICMPV6 if kind.is_some_and(|kind| TOLD_TO_ALL.contains(kind)) => {
                Whose::All
            }
            _ => Whose::FIRST,
        }
    }

    /// An error is for whoever sent the packet that it quotes.
    fn of_error(&self, message: &[u8]) -> Whose {
        match message.get(ICMP_HEADER..).and_then(Quoted::parse) {
            Some(quoted) if quoted.protocol == parse::PROTOCOL_TCP => self.home(&quoted.flow()),
            _ => Whose::FIRST,
        }
    }

    /// Where a flow is at home. Of IPv6 the addresses decide alone: so does Linux, of packets with
    /// a flow label, when it picks a queue, and who has a frame should not have to pass it on.
    fn home(&self, flow: &FlowKey) -> Whose {
        let hash = match flow.to_bytes_v4() {
            Some(bytes) => self.secret.table_hash(&bytes),
            None => {
                let mut bytes = [0; 32];
                bytes[..16].copy_from_slice(flow.local.address.octets());
                bytes[16..].copy_from_slice(flow.remote.address.octets());
                self.secret.table_hash(&bytes)
            }
        };
        let scaled = (hash >> 32) * u64::from(self.count.get());
        Whose::One((scaled >> 32) as usize)
    }

    fn is_for_me(&self, whose: Whose) -> bool {
        matches!(whose, Whose::All) || whose == Whose::One(self.index())
    }

    /// True if this part takes in a packet, whole or not.
    pub(crate) fn takes(&self, packet: &IpPacket<'_>) -> bool {
        self.is_for_me(self.of_packet(packet))
    }

    /// True if this part takes in an ARP packet.
    pub(crate) fn takes_arp(&self, packet: &[u8]) -> bool {
        self.is_for_me(whose_arp(packet))
    }

    /// True if a connection is this part's to make.
    pub(crate) fn has(&self, flow: &FlowKey) -> bool {
        self.is_for_me(self.home(flow))
    }

    /// Dice that no other part throws.
    pub(crate) fn dice(&self) -> Random {
        Random::from_secret(self.dice.numbered(self.index.into()))
    }
}

impl core::fmt::Debug for Part {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Part").field("index", &self.index).finish_non_exhaustive()
    }
}

/// One answers a question for an address; what somebody says of his own is for all.
fn whose_arp(packet: &[u8]) -> Whose {
    const REQUEST: &[u8] = &[0, 1];
    let (sender, target) = (packet.get(14..18), packet.get(24..28));
    let asks = packet.get(6..8) == Some(REQUEST) && sender != target;
    if asks { Whose::FIRST } else { Whose::All }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::address::Address;
    use crate::wire::ecn::Codepoint;
    use crate::wire::parse::Fragment;

    fn parts(count: u8) -> Vec<Part> {
        Part::all(&Seed::from_number(7), NonZeroU8::new(count).unwrap()).collect()
    }

    fn flow(local: Address, remote: Address, port: u16) -> FlowKey {
        FlowKey { local: Endpoint::new(local, 80), remote: Endpoint::new(remote, port) }
    }

    #[test]
    fn each_flow_has_one_home_and_all_parts_agree() {
        let (local, remote) = (Address::v4([192, 0, 2, 2]), Address::v4([192, 0, 2, 1]));
        let parts = parts(3);
        let mut had = [0; 3];
        for port in 1..=3000 {
            let flow = flow(local, remote, port);
            let homes: Vec<_> = parts.iter().filter(|part| part.has(&flow)).collect();
            assert_eq!(homes.len(), 1);
            had[homes[0].index()] += 1;
        }
        assert!(had.iter().all(|&count| (900..1100).contains(&count)), "{had:?}");
    }

    #[test]
    fn ports_do_not_count_in_ipv6() {
        let (local, remote) = (Address::v6(0x2001_0db8 << 96 | 2), Address::v6(0x2001_0db8 << 96));
        let part = parts(4)[0];
        let mut seen = [false; 4];
        for host in 1..100 {
            let Whose::One(home) = part.home(&flow(local, Address::v6(host), 1)) else { panic!() };
            seen[home] = true;
        }
        assert_eq!(seen, [true; 4], "but addresses do");
        let home = part.home(&flow(local, remote, 1));
        assert!((2..200).all(|port| part.home(&flow(local, remote, port)) == home));
    }

    #[test]
    fn an_error_is_for_whom_it_quotes_and_a_fragment_for_all() {
        let (local, remote) = (Address::v4([192, 0, 2, 2]), Address::v4([192, 0, 2, 1]));
        fn packet(protocol: u8, payload: &[u8]) -> IpPacket<'_> {
            IpPacket {
                source: Address::v4([192, 0, 2, 1]),
                destination: Address::v4([192, 0, 2, 2]),
                protocol,
                ttl: 64,
                ecn: Codepoint::NotEct,
                fragment: None,
                header: &[],
                extensions: &[],
                payload,
            }
        }
        let part = parts(2)[0];
        for port in 1..=50_u8 {
            let home = part.home(&flow(local, remote, port.into()));
            let segment = [0, port, 0, 80, 0, 0, 0, 0];
            assert_eq!(part.of_packet(&packet(parse::PROTOCOL_TCP, &segment)), home);
            let mut error = vec![3, 4, 0, 0, 0, 0, 5, 0, 0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0];
            error.extend([192, 0, 2, 2, 192, 0, 2, 1, 0, 80, 0, port, 0, 0, 0, 0]);
            assert_eq!(part.of_packet(&packet(parse::PROTOCOL_ICMP, &error)), home);
            error[0] = 8;
            assert_eq!(part.of_packet(&packet(parse::PROTOCOL_ICMP, &error)), Whose::FIRST);
            let fragment = Some(Fragment { id: 1, offset: 8, more: false });
            let piece = IpPacket { fragment, ..packet(parse::PROTOCOL_TCP, &segment) };
            assert_eq!(part.of_packet(&piece), Whose::All);
        }
    }

    #[test]
    fn one_is_asked_by_arp_and_all_are_told() {
        let arp = |operation: u8, sender: u8, target: u8| {
            let mut packet = [0; 28];
            (packet[7], packet[17], packet[27]) = (operation, sender, target);
            whose_arp(&packet)
        };
        assert_eq!(arp(1, 1, 2), Whose::FIRST, "a question");
        assert_eq!(arp(1, 0, 2), Whose::FIRST, "a probe");
        assert_eq!(arp(2, 1, 2), Whose::All, "an answer");
        assert_eq!(arp(1, 1, 1), Whose::All, "an announcement");
    }
}
