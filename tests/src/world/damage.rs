//! Damage to a frame on its way, and what the checksums make of it.
//!
//! The Internet checksum sees every single flipped bit, and hardly anything else for certain: two
//! bits of one column or two words in the wrong order may pass. A frame that means something else
//! and looks sound is nobody's mistake (Stone and Partridge, 2000), so it has to be known.

use super::plan::HostPlan;
use crate::random::Dice;
use crate::referee::meaning;
use stack::testing::packet::{ethernet, icmp, ipv4};
use stack::testing::translate::{LONGER, to_v4, to_v6};

/// One bit.
const BIT: u64 = 1;
/// Two bits of one column: the sum may stay the same.
const COLUMN: u64 = 2;
/// Two words change places: the sum stays the same.
const SWAP: u64 = 4;
/// The end is missing.
const SHORT: u64 = 8;
/// Something is added at the end.
const LONG: u64 = 16;
/// The end is that of another frame.
const SPLICE: u64 = 32;

/// All kinds of damage.
pub(crate) const ALL: u64 = 63;

/// Kinds of damage that leave the frame as good as it was, or a checksum that tells.
pub(crate) const SEEN: u64 = BIT | SHORT | LONG;

/// The damaged frame, and the ports whose connections it may deceive: none when it is as good as
/// it was, or when a checksum tells.
pub(super) fn damage(
    frame: &[u8],
    other: Option<&Vec<u8>>,
    kinds: u64,
    dice: &mut Dice,
) -> (Vec<u8>, Vec<u16>) {
    let all = [BIT, COLUMN, SWAP, SHORT, LONG, SPLICE];
    let on: Vec<u64> = all.into_iter().filter(|kind| kinds & kind != 0).collect();
    let damaged = hurt(frame, other, dice.pick(&on), dice);
    let (meant, means) = (meaning(frame), meaning(&damaged));
    let mut deceived = Vec::new();
    if means.is_some() && means != meant {
        let ports = [meant, means].into_iter().flatten().flat_map(|meaning| meaning.ports);
        deceived.extend(ports);
    }
    (damaged, deceived)
}

fn hurt(frame: &[u8], other: Option<&Vec<u8>>, kind: u64, dice: &mut Dice) -> Vec<u8> {
    let mut frame = frame.to_vec();
    let words = frame.len() as u64 / 2;
    let mut word = || 2 * dice.below(words) as usize;
    match kind {
        COLUMN => {
            let (one, two) = (word(), word());
            let bit = dice.below(16);
            for at in [one, two] {
                frame[at + bit as usize / 8] ^= 1 << (bit % 8);
            }
        }
        SWAP => {
            let (one, two) = (word(), word());
            frame.swap(one, two);
            frame.swap(one + 1, two + 1);
        }
        SHORT => frame.truncate(dice.below(frame.len() as u64) as usize),
        LONG => {
            let more = 1 + dice.skewed(63);
            frame.extend((0..more).map(|_| dice.word() as u8));
        }
        SPLICE => {
            let at = dice.below(frame.len() as u64) as usize;
            let end = other.and_then(|other| other.get(at..)).unwrap_or(&[]);
            frame.truncate(at);
            frame.extend(end);
        }
        _ => {
            let bit = dice.below(frame.len() as u64 * 8);
            frame[bit as usize / 8] ^= 1 << (bit % 8);
        }
    }
    frame
}

/// True for a port that servers have: a flow goes by the other one.
pub(super) fn is_server(port: u16) -> bool {
    port == super::PORT
}

/// True for a frame of IPv6.
pub(super) fn is_v6(frame: &[u8]) -> bool {
    frame.get(12..14) == Some(&[0x86, 0xdd])
}

/// The frame with which a router tells the sender of `frame`, which came from host `i`, that it is
/// longer than `mtu` (RFC 1191 §4, RFC 4443 §3.2).
pub(super) fn too_big(i: usize, frame: &[u8], mtu: usize) -> Option<Vec<u8>> {
    if is_v6(frame) {
        // Addresses of the link alone have no twins: a router has nothing to say of them.
        let twin = Some(to_v4(frame)).filter(|twin| !is_v6(twin))?;
        // The translator makes the header longer, and what fits.
        return too_big(i, &twin, mtu - LONGER).map(|word| to_v6(&word));
    }
    let quoted = frame.get(14..14 + 28)?;
    // Without DF a router would cut it in pieces; here it is lost.
    if frame.get(12..14)? != [8, 0] || quoted[6] & 0x40 == 0 {
        return None;
    }
    let [high, low] = (mtu as u16).to_be_bytes();
    let router = std::net::Ipv4Addr::new(192, 0, 2, 254);
    let message = icmp(3, 4, [0, 0, high, low], quoted);
    let mac = HostPlan::place(i).0;
    let [.., a, b, c, d] = quoted[..16] else { return None };
    let packet = ipv4(router, [a, b, c, d].into(), 1, &message);
    Some(ethernet(HostPlan::place(1 - i).0, mac, 0x0800, &packet))
}
