//! Packets of sound: RTP (RFC 3550 §5.1) with 16-bit samples (L16, RFC 3551 §4.5.11).

use std::time::Duration;

use crate::sound::RATE;

/// Samples in a packet, and how long they sound. The last packet may have less.
pub(crate) const PACKET_SAMPLES: usize = RATE as usize / 50;
pub(crate) const PACKET_TIME: Duration = Duration::from_millis(20);

/// The length of a header without contributing sources and extensions, bytes.
const HEADER: usize = 12;

/// Version 2, nothing else in the first byte.
const VERSION: u8 = 2 << 6;

/// The first of the payload types that both ends agree on by other means (RFC 3551 §3).
const PAYLOAD_TYPE: u8 = 96;

/// The longest packet, bytes.
pub(crate) const LONGEST: usize = HEADER + 2 * PACKET_SAMPLES;

/// How far ahead of the newest packet another may be (RFC 3550, appendix A.1): a minute.
const MAX_DROPOUT: i16 = 3000;

/// A packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    /// Counts packets, from anywhere.
    pub(crate) sequence: u16,
    /// Counts samples, from anywhere.
    pub(crate) timestamp: u32,
    /// Who sends.
    pub(crate) source: u32,
    /// Nothing follows: this packet has no samples.
    pub(crate) is_end: bool,
    pub(crate) samples: Vec<i16>,
}

impl Packet {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let marker = u8::from(self.is_end) << 7;
        let mut bytes = vec![VERSION, marker | PAYLOAD_TYPE];
        bytes.extend_from_slice(&self.sequence.to_be_bytes());
        bytes.extend_from_slice(&self.timestamp.to_be_bytes());
        bytes.extend_from_slice(&self.source.to_be_bytes());
        bytes.extend(self.samples.iter().flat_map(|sample| sample.to_be_bytes()));
        bytes
    }

    /// Reads a packet; `None` for what is none of ours.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Packet> {
        let (header, samples) = bytes.split_at_checked(HEADER)?;
        let &[first, second, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3] = header else { return None };
        // Padding, extension and contributing sources are in the rest of the first byte.
        let is_ours = first == VERSION && second & 0x7f == PAYLOAD_TYPE;
        if !is_ours || samples.len() % 2 != 0 || bytes.len() > LONGEST {
            return None;
        }
        let samples = samples.chunks_exact(2).map(|pair| i16::from_be_bytes([pair[0], pair[1]]));
        Some(Packet {
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            source: u32::from_be_bytes([c0, c1, c2, c3]),
            is_end: second >> 7 == 1,
            samples: samples.collect(),
        })
    }
}

/// The packets of one source, by numbers that do not come around: the first that came is 0.
#[derive(Debug, Default)]
pub(crate) struct Session {
    /// The first packet without its samples: it says whose stream this is.
    first: Option<Packet>,
    newest: u64,
    /// Datagrams that are no packet of this stream, or of before its first.
    pub(crate) wrong: u64,
}

impl Session {
    /// The packet in a datagram, and its number; `None` for one that is wrong, which is counted.
    pub(crate) fn accept(&mut self, datagram: &[u8]) -> Option<(u64, Packet)> {
        let packet = Packet::parse(datagram);
        let numbered = packet.and_then(|packet| Some((self.number(&packet)?, packet)));
        self.wrong += u64::from(numbered.is_none());
        numbered
    }

    fn number(&mut self, packet: &Packet) -> Option<u64> {
        let first =
            self.first.get_or_insert_with(|| Packet { samples: Vec::new(), ..packet.clone() });
        let newest = first.sequence.wrapping_add(self.newest as u16);
        let ahead = packet.sequence.wrapping_sub(newest).cast_signed();
        let number = self.newest.checked_add_signed(ahead.into())?;
        // All packets have the same length, so one number says what the other must be.
        let samples = (number as u32).wrapping_mul(PACKET_SAMPLES as u32);
        let is_ours = packet.source == first.source
            && packet.timestamp == first.timestamp.wrapping_add(samples)
            && ahead <= MAX_DROPOUT;
        self.newest = self.newest.max(if is_ours { number } else { 0 });
        is_ours.then_some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_survive_the_way() {
        for (is_end, samples) in [(false, vec![0, 1, -1, i16::MIN, i16::MAX]), (true, vec![])] {
            let packet =
                Packet { sequence: 65_535, timestamp: 9, source: 1 << 31, is_end, samples };
            assert_eq!(Packet::parse(&packet.to_bytes()), Some(packet));
        }
        // RFC 3550 §5.1, bit by bit.
        let packet =
            Packet { sequence: 1, timestamp: 2, source: 3, is_end: true, samples: vec![4] };
        assert_eq!(packet.to_bytes(), [0x80, 0xe0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 4]);
        for bytes in
            [&[0x80, 96][..], &[0; 12], &[0x80; 12], &[0x81, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]]
        {
            assert_eq!(Packet::parse(bytes), None, "{bytes:?}");
        }
    }

    /// The numbers of packets with these sequence numbers and timestamps, and how many were wrong.
    fn numbers(packets: &[(u16, u32)]) -> (Vec<Option<u64>>, u64) {
        let mut session = Session::default();
        let numbers = packets.iter().map(|&(sequence, timestamp)| {
            let packet = Packet { sequence, timestamp, source: 7, is_end: false, samples: vec![1] };
            session.accept(&packet.to_bytes()).map(|(number, _)| number)
        });
        (numbers.collect(), session.wrong)
    }

    #[test]
    fn sequence_numbers_come_around() {
        let at = |sequence: u16, number: i64| (sequence, (9000 + 320 * number) as u32);
        let packets = [at(65_534, 0), at(65_533, -1), at(1, 3), at(65_535, 1), at(2, 4), at(1, 3)];
        assert_eq!(numbers(&packets), (vec![Some(0), None, Some(3), Some(1), Some(4), Some(3)], 1));
        // More than once.
        let mut session = Session::default();
        for number in 0..200_000_u64 {
            let timestamp = (number * 320) as u32;
            let sequence = (number + 9) as u16;
            let packet = Packet { sequence, timestamp, source: 7, is_end: false, samples: vec![] };
            assert_eq!(session.accept(&packet.to_bytes()).unwrap().0, number);
        }
    }

    #[test]
    fn timestamps_come_around() {
        let start = u32::MAX - 320;
        let packets = [(5, start), (6, u32::MAX), (8, 639), (7, 319), (9, 960)];
        assert_eq!(numbers(&packets), (vec![Some(0), Some(1), Some(3), Some(2), None], 1));
    }

    #[test]
    fn a_wrong_packet_is_dropped_and_counted() {
        let packet =
            |source| Packet { sequence: 1, timestamp: 2, source, is_end: false, samples: vec![3] };
        let good = packet(7).to_bytes();
        let mut session = Session::default();
        // What is no packet does not say whose stream this is.
        assert_eq!(session.accept(b"GET / HTTP/1.1"), None);
        assert_eq!(session.accept(&good), Some((0, packet(7))));
        let changed = |at: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[at] = value;
            bytes
        };
        let wrong = [
            vec![],
            good[..11].to_vec(),
            // Another version, padding, an extension, contributing sources, another payload.
            changed(0, 0x40),
            changed(0, 0xa0),
            changed(0, 0x90),
            changed(0, 0x81),
            changed(1, 0),
            // Half a sample, and more than a packet has.
            [&good[..], &[0]].concat(),
            [&good[..], &[0; 640]].concat(),
            // Another time, another source, and a number from a minute ahead.
            changed(7, 3),
            packet(8).to_bytes(),
            Packet { sequence: 3002, timestamp: 2 + 3001 * 320, ..packet(7) }.to_bytes(),
        ];
        for (before, bytes) in wrong.iter().enumerate() {
            assert_eq!(session.wrong, before as u64 + 1);
            assert_eq!(session.accept(bytes), None, "{bytes:?}");
        }
        assert_eq!(session.wrong, wrong.len() as u64 + 1);
        // The stream goes on.
        let next = Packet { sequence: 3001, timestamp: 2 + 3000 * 320, ..packet(7) };
        assert_eq!(session.accept(&next.to_bytes()).unwrap().0, 3000);
    }
}
