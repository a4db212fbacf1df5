//! Damage, and the checksums that make damage look honest.

use crate::random::Dice;
use stack::testing::packet::{checksum, transport_checksum};
use std::net::Ipv4Addr;

/// Values at which arithmetic goes wrong.
const EDGES: [u8; 8] = [0, 1, 4, 0x0f, 0x7f, 0x80, 0xfe, 0xff];

/// Bytes that say how long something is or where it stands: of both versions of IP, TCP, UDP,
/// and ARP.
const LENGTHS: [usize; 15] = [12, 13, 14, 16, 17, 20, 21, 23, 38, 39, 46, 18, 19, 55, 66];

/// Ethernet's header and that of IPv6.
const BEFORE_V6: usize = 54;

/// Damages `frame` in up to four ways.
pub fn mutate(dice: &mut Dice, frame: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..dice.between(1, 4) {
        let len = frame.len() as u64;
        if len == 0 {
            return;
        }
        let at = dice.below(len) as usize;
        match dice.below(9) {
            0 | 1 => frame[at] ^= 1 << dice.below(8),
            2 => frame[at] = dice.pick(&EDGES),
            3 => frame[at] = dice.word() as u8,
            4 | 5 => {
                let at = dice.pick(&LENGTHS);
                if let Some(byte) = frame.get_mut(at) {
                    *byte = if dice.percent(50) { dice.pick(&EDGES) } else { dice.word() as u8 };
                }
            }
            6 => frame.truncate(at),
            7 => frame.extend((0..dice.skewed(64)).map(|i| i as u8)),
            _ => splice(dice, frame, other),
        }
    }
}

/// The beginning of one frame and the end of another.
fn splice(dice: &mut Dice, frame: &mut Vec<u8>, other: &[u8]) {
    let at = dice.below(frame.len() as u64 + 1) as usize;
    let from = dice.below(other.len() as u64 + 1) as usize;
    frame.truncate(at);
    frame.extend(&other[from..]);
}

/// Makes the checksums right, as far as the frame has any.
pub fn repair(frame: &mut [u8]) {
    if frame.len() >= BEFORE_V6 && frame[12..14] == [0x86, 0xdd] {
        return repair_v6(frame);
    }
    let is_ipv4 = frame.len() >= 34 && frame[12..14] == [8, 0];
    let header = frame.get(14).map_or(0, |byte| usize::from(byte & 15) * 4);
    if !is_ipv4 || header < 20 || frame.len() < 14 + header {
        return;
    }
    frame[24..26].fill(0);
    let sum = checksum(&[&frame[14..14 + header]]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    let total = usize::from(u16::from_be_bytes([frame[16], frame[17]])).min(frame.len() - 14);
    let is_fragment = u16::from_be_bytes([frame[20], frame[21]]) & 0x3fff != 0;
    if total < header || is_fragment {
        return;
    }
    let protocol = frame[23];
    let address = |at: usize| Ipv4Addr::from_octets([0, 1, 2, 3].map(|i| frame[at + i]));
    let (from, to) = (address(26), address(30));
    let transport = &mut frame[14 + header..14 + total];
    let at = match protocol {
        1 => 2,
        6 => 16,
        17 => 6,
        _ => return,
    };
    let Some(field) = transport.get_mut(at..at + 2) else { return };
    field.fill(0);
    let sum = match protocol {
        1 => checksum(&[transport]),
        _ => transport_checksum(from, to, protocol, transport),
    };
    transport[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

/// The same for IPv6, behind the headers that only carry options.
fn repair_v6(frame: &mut [u8]) {
    let len = usize::from(u16::from_be_bytes([frame[18], frame[19]])).min(frame.len() - BEFORE_V6);
    let (header, payload) = frame.split_at_mut(BEFORE_V6);
    let (mut next, mut rest) = (header[20], &mut payload[..len]);
    while matches!(next, 0 | 43 | 60) && rest.len() >= 8 {
        next = rest[0];
        let skip = (8 * (usize::from(rest[1]) + 1)).min(rest.len());
        rest = &mut rest[skip..];
    }
    let at = match next {
        6 => 16,
        17 => 6,
        58 => 2,
        _ => return,
    };
    let length = (rest.len() as u32).to_be_bytes();
    let Some(field) = rest.get_mut(at..at + 2) else { return };
    field.fill(0);
    let sum = match checksum(&[&header[22..54], &length, &[0, 0, 0, next], rest]) {
        0 if next == 17 => 0xffff,
        sum => sum,
    };
    rest[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use stack::Mac;
    use stack::testing::packet::{Segment, ethernet, icmp, ipv4, udp};
    use stack::testing::translate::to_v6;

    #[test]
    fn repair_gives_back_what_the_builders_made() {
        let (a, b) = (Mac([2; 6]), Mac([4; 6]));
        let (from, to) = ("192.0.2.1:7".parse().unwrap(), "192.0.2.2:8".parse().unwrap());
        let segment = Segment {
            source: from,
            destination: to,
            seq: 1,
            ack: 2,
            flags: Default::default(),
            window: 3,
            urgent: 4,
            ecn: 0,
            options: vec![1; 8],
            payload: vec![5; 9],
        };
        let ip = |protocol, payload: &[u8]| {
            ethernet(a, b, 0x0800, &ipv4(*from.ip(), *to.ip(), protocol, payload))
        };
        let frames = [
            segment.to_frame(a, b),
            ip(17, &udp(from, to, b"odd")),
            ip(1, &icmp(8, 0, [1; 4], b"echo")),
        ];
        for frame in frames {
            let mut broken = frame.clone();
            broken[24] ^= 0x5a;
            let at = 34 + if frame[23] == 6 { 16 } else { 2 };
            if frame[23] != 17 {
                broken[at] ^= 0xa5;
            }
            repair(&mut broken);
            assert_eq!(broken, frame);
        }
        let frame = to_v6(&segment.to_frame(a, b));
        let mut broken = frame.clone();
        broken[54 + 16] ^= 0xa5;
        repair(&mut broken);
        assert_eq!(broken, frame);
    }

    #[test]
    fn anything_can_be_mutated_and_repaired() {
        let mut dice = Dice::new(1, "mutate");
        for len in 0..200 {
            let mut frame = vec![0x45; len];
            if len > 14 {
                frame[12..14].copy_from_slice(&[8, 0]);
            }
            mutate(&mut dice, &mut frame, &[7; 50]);
            repair(&mut frame);
        }
    }
}
