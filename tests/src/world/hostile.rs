//! A stranger who knows both ends of a connection, and sees nothing of it (THREATS M-11): whole
//! segments with any flags and options, in between honest ones. He can only guess the numbers, and
//! never guesses right here: what he says must not change anything.

use crate::random::Dice;
use stack::Mac;
use stack::testing::packet::{Flags, Segment};

/// Farther from the honest number than any window reaches.
const FAR: u64 = 1 << 30;

/// A segment in the name of the sender of `frame`; None for what is not TCP.
pub(super) fn forge(frame: &[u8], dice: &mut Dice) -> Option<Vec<u8>> {
    let mut segment = Segment::from_frame(frame).ok()??;
    let mut far = |number: u32| number.wrapping_add((FAR + dice.below(2 * FAR)) as u32);
    (segment.seq, segment.ack) = (far(segment.seq), far(segment.ack));
    segment.flags = Flags(dice.word() as u8);
    segment.window = dice.word() as u16;
    segment.urgent = dice.word() as u16;
    if dice.percent(20) {
        segment.source.set_port(1 + dice.below(65_535) as u16);
    }
    match dice.below(4) {
        0 => segment.options.clear(),
        1 => segment.options.truncate(dice.below(11) as usize * 4),
        2 => segment.options = bytes(dice, 40),
        _ => {}
    }
    segment.payload = bytes(dice, 100);
    let mac = |at: usize| Mac([0, 1, 2, 3, 4, 5].map(|i| frame[at + i]));
    Some(segment.to_frame(mac(6), mac(0)))
}

fn bytes(dice: &mut Dice, most: u64) -> Vec<u8> {
    (0..dice.below(most + 1)).map(|_| dice.word() as u8).collect()
}
