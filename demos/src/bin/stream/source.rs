//! A sound in packets, and packets in a byte stream.

use std::time::Duration;

use crate::rtp::{LONGEST, PACKET_SAMPLES, PACKET_TIME, Packet};

/// The packets of a sound. After the last there is one that says so.
#[derive(Debug)]
pub(crate) struct Source {
    sound: Vec<i16>,
    /// Numbers begin anywhere (RFC 3550 §5.1).
    sequence: u16,
    timestamp: u32,
    source: u32,
    next: u32,
}

impl Source {
    /// One whose numbers come from `chance`.
    pub(crate) fn new(sound: Vec<i16>, chance: u64) -> Source {
        let (source, timestamp) = ((chance >> 32) as u32, (chance >> 16) as u32);
        Source { sound, sequence: chance as u16, timestamp, source, next: 0 }
    }

    /// When the next packet is to be sent, counted from the first; `None` behind the last.
    pub(crate) fn due(&self) -> Option<Duration> {
        let count = self.sound.len().div_ceil(PACKET_SAMPLES) as u32;
        (self.next <= count).then(|| PACKET_TIME * self.next)
    }

    /// The next packet.
    pub(crate) fn packet(&mut self) -> Packet {
        let start = self.sound.len().min(self.next as usize * PACKET_SAMPLES);
        let end = self.sound.len().min(start + PACKET_SAMPLES);
        let packet = Packet {
            sequence: self.sequence.wrapping_add(self.next as u16),
            timestamp: self.timestamp.wrapping_add(self.next * PACKET_SAMPLES as u32),
            source: self.source,
            is_end: start == end,
            samples: self.sound[start..end].to_vec(),
        };
        self.next += 1;
        packet
    }
}

/// A packet in a byte stream: behind its length (RFC 4571 §2).
pub(crate) fn framed(packet: &Packet) -> Vec<u8> {
    let bytes = packet.to_bytes();
    let mut framed = (bytes.len() as u16).to_be_bytes().to_vec();
    framed.extend_from_slice(&bytes);
    framed
}

/// Cuts a byte stream into packets.
#[derive(Debug, Default)]
pub(crate) struct Deframer {
    bytes: Vec<u8>,
}

/// The stream has something that is no packet, and cannot be understood from there on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoPacket;

impl Deframer {
    /// Takes the next bytes, and gives the packets that are whole.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Vec<Packet>, NoPacket> {
        self.bytes.extend_from_slice(bytes);
        let mut packets = Vec::new();
        while let Some((length, rest)) = self.bytes.split_at_checked(2) {
            let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
            if length > LONGEST {
                return Err(NoPacket);
            }
            let Some(packet) = rest.get(..length) else { break };
            packets.push(Packet::parse(packet).ok_or(NoPacket)?);
            self.bytes.drain(..2 + length);
        }
        Ok(packets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_comes_out_of_a_stream_as_it_went_in() {
        let sound: Vec<i16> = (0..1000).collect();
        let mut source = Source::new(sound.clone(), u16::MAX.into());
        let (mut stream, mut dues) = (Vec::new(), Vec::new());
        while let Some(due) = source.due() {
            dues.push(due.as_millis());
            stream.extend(framed(&source.packet()));
        }
        assert_eq!(dues, [0, 20, 40, 60, 80]);
        for piece in [1, 3, 700, 5000] {
            let mut deframer = Deframer::default();
            let packets: Vec<Packet> =
                stream.chunks(piece).flat_map(|bytes| deframer.push(bytes).unwrap()).collect();
            let heard: Vec<i16> = packets.iter().flat_map(|it| it.samples.clone()).collect();
            assert_eq!(heard, sound);
            assert_eq!(packets.iter().filter(|it| it.is_end).count(), 1);
            assert!(packets[4].is_end && packets[1].sequence == 0);
        }
        assert_eq!(Deframer::default().push(&[0xff, 0xff]), Err(NoPacket));
        assert_eq!(Deframer::default().push(&[0, 1, 0]), Err(NoPacket));
    }
}
