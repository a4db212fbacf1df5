//! Frames that are nearly right.

use super::target::{Flow, HOST, HOST_MAC, PEERS, peer, peer_mac};
use super::{forge6, mutate};
use crate::random::Dice;
use etherparse::{ArpHardwareId, ArpOperation, ArpPacket, EtherType, PacketBuilder};
use stack::testing::packet::{Flags, Segment, ethernet, icmp, ipv4};
use stack::testing::translate::to_v6;
use std::net::{Ipv4Addr, SocketAddrV4};

/// What a forger looks at: the connections as their peers know them, and frames of the stack.
pub struct View<'a> {
    /// Connections, open or long gone.
    pub flows: &'a [Flow],
    /// The last frame that the stack sent.
    pub sent: &'a [u8],
    /// The last frame that the stack was given.
    pub given: &'a [u8],
    /// The ports that somebody has.
    pub ports: &'a [u16],
}

/// Makes frames.
pub struct Forge {
    dice: Dice,
}

impl Forge {
    /// A forge that makes the same frames for the same seed.
    pub fn new(seed: u64) -> Forge {
        Forge { dice: Dice::new(seed, "forge") }
    }

    /// The next frame.
    pub fn frame(&mut self, view: &View<'_>) -> Vec<u8> {
        let mut frame = match self.dice.below(100) {
            0..=53 => self.tcp(view),
            54..=63 => forge6::frame(&mut self.dice, view),
            64..=71 => self.udp(view),
            72..=79 => self.icmp_error(view),
            80..=83 => self.echo(),
            84..=88 => self.arp(),
            89..=94 => self.fragment(view),
            95..=96 => view.sent.to_vec(),
            97 => view.given.to_vec(),
            _ => self.noise(),
        };
        if self.dice.percent(30) {
            mutate::mutate(&mut self.dice, &mut frame, view.given);
            if self.dice.percent(80) {
                mutate::repair(&mut frame);
            }
        }
        frame
    }

    fn tcp(&mut self, view: &View<'_>) -> Vec<u8> {
        let dice = &mut self.dice;
        if view.flows.is_empty() || dice.percent(4) {
            return self.syn(view);
        }
        let flow = &view.flows[dice.below(view.flows.len() as u64) as usize];
        let text = match dice.below(10) {
            0..=4 => 0,
            5..=7 => dice.between(1, 64),
            8 => dice.between(65, 600),
            _ => 1460,
        };
        let segment = Segment {
            source: SocketAddrV4::new(flow.peer, flow.peer_port),
            destination: SocketAddrV4::new(HOST, flow.host_port),
            seq: near(dice, flow.seq),
            ack: near(dice, flow.ack),
            flags: flags(dice),
            window: match dice.below(4) {
                0 => 0,
                1 => dice.word() as u16,
                _ => 65_535,
            },
            urgent: if dice.percent(3) { dice.word() as u16 } else { 0 },
            ecn: dice.below(4) as u8,
            options: options(dice, flow),
            payload: vec![0x5a; text as usize],
        };
        let frame = segment.to_frame(peer_mac(flow.peer), HOST_MAC);
        match flow.v6 {
            true if dice.percent(3) => forge6::extended(dice, to_v6(&frame)),
            true => to_v6(&frame),
            false => frame,
        }
    }

    fn syn(&mut self, view: &View<'_>) -> Vec<u8> {
        let dice = &mut self.dice;
        let from = peer(dice.below(PEERS));
        let port = if dice.percent(80) { dice.pick(view.ports) } else { dice.word() as u16 };
        let segment = Segment {
            source: SocketAddrV4::new(from, dice.word() as u16),
            destination: SocketAddrV4::new(HOST, port),
            seq: dice.word() as u32,
            ack: 0,
            flags: if dice.percent(90) { Flags::SYN } else { flags(dice) },
            window: dice.word() as u16,
            urgent: 0,
            ecn: 0,
            options: vec![2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7],
            payload: Vec::new(),
        };
        let frame = segment.to_frame(peer_mac(from), HOST_MAC);
        if dice.percent(50) { to_v6(&frame) } else { frame }
    }

    fn udp(&mut self, view: &View<'_>) -> Vec<u8> {
        let dice = &mut self.dice;
        let from = peer(dice.below(PEERS));
        let port = if dice.percent(70) { dice.pick(view.ports) } else { dice.word() as u16 };
        let text = vec![0xa5; dice.skewed(1472) as usize];
        let mut frame = Vec::with_capacity(42 + text.len());
        let built = PacketBuilder::ethernet2(peer_mac(from).0, HOST_MAC.0)
            .ipv4(from.octets(), HOST.octets(), 64)
            .udp(dice.word() as u16, port)
            .write(&mut frame, &text);
        built.expect("a datagram that fits");
        frame
    }

    fn echo(&mut self) -> Vec<u8> {
        let from = peer(self.dice.below(PEERS));
        let text = vec![0x11; self.dice.skewed(1472) as usize];
        let step = PacketBuilder::ethernet2(peer_mac(from).0, HOST_MAC.0).ipv4(
            from.octets(),
            HOST.octets(),
            64,
        );
        let (ident, sequence) = (self.dice.pick(&[1, 7, 0xffff]), self.dice.word() as u16);
        let step = if self.dice.percent(60) {
            step.icmpv4_echo_request(ident, sequence)
        } else {
            step.icmpv4_echo_reply(ident, sequence)
        };
        let mut frame = Vec::with_capacity(42 + text.len());
        step.write(&mut frame, &text).expect("a message that fits");
        frame
    }

    /// An error about something that the stack sent, or nearly.
    fn icmp_error(&mut self, view: &View<'_>) -> Vec<u8> {
        let dice = &mut self.dice;
        let quoted = view.sent.get(14..).unwrap_or(&[]);
        let mut quoted = quoted[..quoted.len().min(20 + 8 + dice.below(40) as usize)].to_vec();
        if dice.percent(20) && !quoted.is_empty() {
            let at = dice.below(quoted.len() as u64) as usize;
            quoted[at] ^= 1 << dice.below(8);
        }
        let kind = dice.pick(&[3, 3, 3, 4, 5, 11, 12]);
        let mtu = (dice.word() as u16 % 1600).to_be_bytes();
        let message = icmp(kind, dice.below(16) as u8, [0, 0, mtu[0], mtu[1]], &quoted);
        let from = peer(dice.below(PEERS));
        ethernet(peer_mac(from), HOST_MAC, 0x0800, &ipv4(from, HOST, 1, &message))
    }

    fn arp(&mut self) -> Vec<u8> {
        let dice = &mut self.dice;
        let from = peer(dice.below(PEERS));
        let operation = if dice.percent(50) { ArpOperation::REQUEST } else { ArpOperation::REPLY };
        let about = if dice.percent(70) { HOST } else { peer(dice.below(PEERS)) };
        let arp = ArpPacket::new(
            ArpHardwareId::ETHERNET,
            EtherType::IPV4,
            operation,
            &peer_mac(from).0,
            &from.octets(),
            &HOST_MAC.0,
            &about.octets(),
        );
        let to = if dice.percent(50) { [0xff; 6] } else { HOST_MAC.0 };
        let mut frame = Vec::with_capacity(42);
        let arp = arp.expect("lengths that fit");
        let built = PacketBuilder::ethernet2(peer_mac(from).0, to).arp(arp).write(&mut frame);
        built.expect("a vector takes everything");
        frame
    }

    /// A piece of a datagram: of few identifications, so that pieces meet, overlap and repeat.
    fn fragment(&mut self, view: &View<'_>) -> Vec<u8> {
        let whole = if self.dice.percent(50) { self.udp(view) } else { self.echo() };
        let dice = &mut self.dice;
        let payload = &whole[34..];
        let first = dice.below(payload.len() as u64 / 8 + 1) as usize * 8;
        let len = (dice.below(64) as usize + 1) * 8;
        let end = payload.len().min(first + len);
        let last = end == payload.len() && dice.percent(90);
        let offset = if dice.percent(3) { dice.word() as u16 & 0x1fff } else { first as u16 / 8 };
        let mut frame = whole[..34].to_vec();
        frame.extend(&payload[first..end]);
        frame[16..18].copy_from_slice(&((20 + end - first) as u16).to_be_bytes());
        frame[18..20].copy_from_slice(&[0, dice.below(4) as u8]);
        let more = if last { 0 } else { 0x2000 };
        frame[20..22].copy_from_slice(&(offset | more).to_be_bytes());
        mutate::repair(&mut frame);
        frame
    }

    fn noise(&mut self) -> Vec<u8> {
        let dice = &mut self.dice;
        let mut frame: Vec<u8> = (0..dice.skewed(1600)).map(|_| dice.word() as u8).collect();
        if dice.percent(70) && frame.len() >= 14 {
            frame[..6].copy_from_slice(&HOST_MAC.0);
            frame[12..14].copy_from_slice(&dice.pick(&[[8, 0], [8, 6], [0x86, 0xdd], [0x81, 0]]));
        }
        frame
    }
}

/// The number itself, one beside it, one in the window, or any.
fn near(dice: &mut Dice, number: u32) -> u32 {
    match dice.below(10) {
        0..=5 => number,
        6 => number.wrapping_add(dice.below(16) as u32).wrapping_sub(8),
        7 => number.wrapping_add(dice.below(70_000) as u32),
        8 => number.wrapping_sub(dice.below(70_000) as u32),
        _ => dice.word() as u32,
    }
}

fn flags(dice: &mut Dice) -> Flags {
    Flags(match dice.below(20) {
        0..=9 => 0x10,
        10..=12 => 0x18,
        13..=14 => 0x11,
        15 => 0x02,
        16 => 0x04,
        17 => 0x14,
        18 => 0x12,
        _ => dice.word() as u8,
    })
}

fn options(dice: &mut Dice, flow: &Flow) -> Vec<u8> {
    let mut options = Vec::new();
    if let Some((val, ecr)) = flow.stamps
        && dice.percent(90)
    {
        let val = if dice.percent(95) { val } else { val.wrapping_sub(dice.word() as u32) };
        options.extend([1, 1, 8, 10]);
        options.extend(val.to_be_bytes());
        options.extend(ecr.to_be_bytes());
    }
    match dice.below(20) {
        0 => {
            options.extend([5, 18]);
            for _ in 0..4 {
                options.extend(near(dice, flow.ack).to_be_bytes());
            }
        }
        1 => options.extend([2, 4, dice.word() as u8, dice.word() as u8]),
        2 => options.extend([3, 3, dice.word() as u8]),
        3 => options.extend((0..dice.below(20)).map(|_| dice.word() as u8).collect::<Vec<_>>()),
        _ => {}
    }
    options.truncate(40);
    options
}

/// An address on the network of the host.
pub(super) fn neighbour(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, last)
}
