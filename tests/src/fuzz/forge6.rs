//! Frames of IPv6 that are nearly right, as far as they are not those of IPv4 translated.

use super::forge::{View, neighbour};
use super::mutate;
use super::target::{HOST, HOST_MAC, PEERS, peer, peer_mac};
use crate::random::Dice;
use etherparse::PacketBuilder;
use stack::testing::packet::ethernet;
use stack::testing::translate::address_v6;
use std::net::Ipv6Addr;

const ICMPV6: u8 = 58;
const UDP: u8 = 17;
const FRAGMENT: u8 = 44;

/// Headers that may stand before the last (RFC 8200 §4), and one that nobody knows.
const EXTENSIONS: [u8; 5] = [0, 43, 60, 135, 253];

/// Next header, whatever a header begins with, and the length of what is in front of it.
const NEXT_AT: usize = 20;
const BEFORE_PAYLOAD: usize = 54;

/// A frame of IPv6 of any kind but TCP's.
pub(super) fn frame(dice: &mut Dice, view: &View<'_>) -> Vec<u8> {
    match dice.below(20) {
        0..=2 => datagram(dice, view),
        3..=5 => echo(dice),
        6..=8 => fragment(dice, view),
        9..=11 => {
            let whole = if dice.percent(50) { datagram(dice, view) } else { echo(dice) };
            extended(dice, whole)
        }
        12 => extended(dice, view.given.to_vec()),
        13..=14 => error(dice, view.sent),
        _ => neighbor_discovery(dice),
    }
}

/// A chain of headers before what `frame` carries.
pub(super) fn extended(dice: &mut Dice, mut frame: Vec<u8>) -> Vec<u8> {
    if frame.len() < BEFORE_PAYLOAD || frame[12..14] != [0x86, 0xdd] {
        return frame;
    }
    for _ in 0..dice.between(1, 4) {
        let words = dice.skewed(4) as usize;
        let mut header = vec![frame[NEXT_AT], words as u8];
        while header.len() < 8 * (words + 1) {
            // Options of every kind of action (§4.2), with lengths that mostly fit.
            let room = 8 * (words + 1) - header.len();
            let len = dice.below(room.min(12) as u64) as usize;
            match len {
                0 => header.push(0),
                1 => header.push(dice.word() as u8),
                _ => {
                    header.extend([dice.pick(&[1, 5, 0x3e, 0x7e, 0xbe, 0xfe]), len as u8 - 2]);
                    header.resize(header.len() + len - 2, dice.word() as u8);
                }
            }
        }
        frame[NEXT_AT] = dice.pick(&EXTENSIONS);
        frame.splice(BEFORE_PAYLOAD..BEFORE_PAYLOAD, header);
    }
    set_length(&mut frame);
    frame
}

fn set_length(frame: &mut [u8]) {
    let len = (frame.len() - BEFORE_PAYLOAD) as u16;
    frame[18..20].copy_from_slice(&len.to_be_bytes());
}

/// A packet from one of the peers with a right checksum, if it is a message of ICMPv6.
fn packet(from: Ipv6Addr, to: Ipv6Addr, next: u8, hops: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0, 0, 0, next, hops];
    packet.extend(from.octets());
    packet.extend(to.octets());
    packet.extend(payload);
    let station = peer_mac(neighbour(from.octets()[15]));
    let mut frame = ethernet(station, HOST_MAC, 0x86dd, &packet);
    set_length(&mut frame);
    mutate::repair(&mut frame);
    frame
}

fn host() -> Ipv6Addr {
    address_v6(HOST)
}

fn somebody(dice: &mut Dice) -> Ipv6Addr {
    address_v6(peer(dice.below(PEERS)))
}

fn datagram(dice: &mut Dice, view: &View<'_>) -> Vec<u8> {
    let from = somebody(dice);
    let port = if dice.percent(70) { dice.pick(view.ports) } else { dice.word() as u16 };
    let text = vec![0xa5; dice.skewed(1452) as usize];
    let mut frame = Vec::with_capacity(62 + text.len());
    let station = peer_mac(neighbour(from.octets()[15]));
    let built = PacketBuilder::ethernet2(station.0, HOST_MAC.0)
        .ipv6(from.octets(), host().octets(), 64)
        .udp(dice.word() as u16, port)
        .write(&mut frame, &text);
    built.expect("a datagram that fits");
    frame
}

fn echo(dice: &mut Dice) -> Vec<u8> {
    let kind = dice.pick(&[128, 128, 129]);
    let mut message = vec![kind, 0, 0, 0, 0, dice.pick(&[1, 7]), 0, dice.word() as u8];
    message.resize(8 + dice.skewed(1452) as usize, 0x11);
    packet(somebody(dice), host(), ICMPV6, 64, &message)
}

/// An error about something that the stack sent, or nearly.
fn error(dice: &mut Dice, sent: &[u8]) -> Vec<u8> {
    let quoted = sent.get(14..).unwrap_or(&[]);
    let mut quoted = quoted[..quoted.len().min(40 + 8 + dice.below(60) as usize)].to_vec();
    if dice.percent(20) && !quoted.is_empty() {
        let at = dice.below(quoted.len() as u64) as usize;
        quoted[at] ^= 1 << dice.below(8);
    }
    let kind = dice.pick(&[1, 1, 2, 2, 3, 4, 100]);
    let word = (dice.word() as u32 % 2_000).to_be_bytes();
    let message = [&[kind, dice.below(8) as u8, 0, 0], &word[..], &quoted].concat();
    packet(somebody(dice), host(), ICMPV6, 64, &message)
}

/// Solicitations, advertisements and redirects (RFC 4861 §4), with options of any length.
fn neighbor_discovery(dice: &mut Dice) -> Vec<u8> {
    let from = match dice.below(10) {
        0 => Ipv6Addr::UNSPECIFIED,
        1..=3 => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xc000, 0x202),
        _ => somebody(dice),
    };
    let target = if dice.percent(70) { host() } else { somebody(dice) };
    let to = if dice.percent(70) { host() } else { Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1) };
    let kind = dice.pick(&[133, 134, 134, 135, 135, 135, 136, 136, 136, 137]);
    let mut message = vec![kind, 0, 0, 0];
    match kind {
        133 => message.extend([0; 4]),
        134 => message.extend((0..12).map(|_| dice.word() as u8)),
        _ => message.extend([dice.pick(&[0, 0x20, 0x40, 0x60, 0x80, 0xe0]), 0, 0, 0]),
    }
    if kind >= 135 {
        message.extend(target.octets());
    }
    if kind == 137 {
        message.extend(somebody(dice).octets());
    }
    for _ in 0..dice.below(4) {
        option(dice, &mut message);
    }
    let hops = if dice.percent(90) { 255 } else { dice.word() as u8 };
    let mut frame = packet(from, to, ICMPV6, hops, &message);
    if to.is_multicast() {
        frame[..6].copy_from_slice(&[0x33, 0x33, 0, 0, 0, 1]);
    }
    frame
}

/// Stations, prefixes, MTUs, nonces, routes, servers of names (RFC 4861 §4.6, 7527, 4191, 8106).
fn option(dice: &mut Dice, message: &mut Vec<u8>) {
    let (kind, words) =
        dice.pick(&[(1, 1), (2, 1), (3, 4), (5, 1), (14, 1), (24, 3), (25, 3), (31, 2)]);
    let begins = message.len();
    message.extend([kind, words]);
    let len = begins + 8 * usize::from(words);
    while message.len() < len {
        message.push(if dice.percent(60) { 0 } else { dice.word() as u8 });
    }
    if kind == 3 {
        // A prefix of /64 in force, flagged for both uses.
        message[begins + 2..begins + 4].copy_from_slice(&[64, 0xc0]);
        message[begins + 16..begins + 24].copy_from_slice(&[0x20, 1, 0x0d, 0xb8, 0, 9, 0, 9]);
    }
    if dice.percent(8) {
        message[begins + 1] = dice.word() as u8;
    }
}

/// A piece of a datagram: of few identifications, so that pieces meet, overlap and repeat.
fn fragment(dice: &mut Dice, view: &View<'_>) -> Vec<u8> {
    let whole = if dice.percent(50) { datagram(dice, view) } else { echo(dice) };
    let next = if whole[NEXT_AT] == UDP { UDP } else { ICMPV6 };
    let payload = &whole[BEFORE_PAYLOAD..];
    let first = dice.below(payload.len() as u64 / 8 + 1) as usize * 8;
    let end = payload.len().min(first + (dice.below(64) as usize + 1) * 8);
    let last = end == payload.len() && dice.percent(90);
    let offset = if dice.percent(3) { dice.word() as u16 & !7 } else { first as u16 };
    let [high, low] = (offset | u16::from(!last)).to_be_bytes();
    let header = [next, 0, high, low, 0, 0, 0, dice.below(4) as u8];
    let mut frame = [&whole[..BEFORE_PAYLOAD], &header, &payload[first..end]].concat();
    frame[NEXT_AT] = FRAGMENT;
    set_length(&mut frame);
    frame
}
