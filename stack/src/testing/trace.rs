//! The last frames on a wire, in packet notation: what a failing test prints.

use super::notation::{Bases, Notation};
use super::packet::{Flags, Segment};
use super::translate::to_v4;
use crate::Instant;
use core::fmt;
use core::net::SocketAddrV4;
use std::collections::{HashMap, VecDeque};

/// Where one direction of a connection counts from: its SYN's number and its first timestamp.
#[derive(Clone, Copy, Default)]
struct Origin {
    seq: u32,
    stamp: u32,
}

/// Remembers the last frames that it is shown.
#[derive(Default)]
pub struct Trace {
    limit: usize,
    lines: VecDeque<Line>,
    origins: HashMap<(SocketAddrV4, SocketAddrV4), Origin>,
}

struct Line {
    at: Instant,
    label: &'static str,
    text: Text,
}

/// A frame is kept as it is and written out when somebody asks.
enum Text {
    Frame(Vec<u8>, Bases),
    Note(String),
}

impl Trace {
    /// A trace of at most `limit` lines.
    pub fn new(limit: usize) -> Trace {
        Trace { limit, ..Trace::default() }
    }

    /// A frame passes by. The label says where.
    pub fn frame(&mut self, at: Instant, label: &'static str, frame: &[u8]) {
        if self.limit == 0 {
            return;
        }
        let frame = to_v4(frame);
        let bases = match Segment::from_frame(&frame) {
            Ok(Some(segment)) => self.learn(&segment),
            _ => Bases::default(),
        };
        self.push(Line { at, label, text: Text::Frame(frame, bases) });
    }

    /// Something else happens that a reader should know.
    pub fn note(&mut self, at: Instant, note: impl Into<String>) {
        self.push(Line { at, label: "", text: Text::Note(note.into()) });
    }

    fn push(&mut self, line: Line) {
        if self.limit == 0 {
            return;
        }
        if self.lines.len() == self.limit {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    fn learn(&mut self, segment: &Segment) -> Bases {
        let key = (segment.source, segment.destination);
        if segment.flags.has(Flags::SYN) {
            let stamp = super::options::first_timestamp(&segment.options).unwrap_or(0);
            self.origins.insert(key, Origin { seq: segment.seq, stamp });
        }
        let origin = |key| self.origins.get(&key).copied().unwrap_or_default();
        let (own, other) = (origin(key), origin((key.1, key.0)));
        Bases { seq: own.seq, ack: other.seq, val: own.stamp, ecr: other.stamp }
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            let millis = line.at.as_nanos() / 1_000_000;
            let micros = line.at.as_nanos() / 1_000 % 1_000;
            write!(f, "{millis:>9}.{micros:03} {:4} ", line.label)?;
            match &line.text {
                Text::Frame(frame, bases) => writeln!(f, "{}", describe(frame, *bases))?,
                Text::Note(note) => writeln!(f, "-- {note}")?,
            }
        }
        Ok(())
    }
}

/// One line about a frame of any kind.
pub fn describe(frame: &[u8], bases: Bases) -> String {
    match Segment::from_frame(frame) {
        Ok(Some(segment)) => {
            let (from, to) = (segment.source.port(), segment.destination.port());
            format!("{from}>{to} {}", Notation::of(&segment, bases))
        }
        Ok(None) => describe_other(frame),
        Err(wrong) => format!("{} bytes, damaged: {wrong}", frame.len()),
    }
}

fn describe_other(frame: &[u8]) -> String {
    let len = frame.len();
    let ip = |at: usize| frame[at..at + 4].iter().map(u8::to_string).collect::<Vec<_>>().join(".");
    match frame.get(12..14) {
        Some([8, 6]) if len >= 42 && frame[21] == 1 => format!("arp who has {}", ip(38)),
        Some([8, 6]) if len >= 42 => format!("arp {} is at {:02x?}", ip(28), &frame[22..28]),
        Some([8, 0]) if len >= 38 => {
            let offset = u16::from_be_bytes([frame[20], frame[21]]) & 0x3fff;
            let (from, to) = (ip(26), ip(30));
            match frame[23] {
                _ if offset != 0 => format!("{from}>{to} fragment {offset:#06x}, {len} bytes"),
                1 => format!("{from}>{to} icmp {}/{}, {len} bytes", frame[34], frame[35]),
                17 => {
                    let port = |at| u16::from_be_bytes([frame[at], frame[at + 1]]);
                    format!("{from}>{to} udp {}>{}, {len} bytes", port(34), port(36))
                }
                other => format!("{from}>{to} protocol {other}, {len} bytes"),
            }
        }
        Some([0x86, 0xdd]) if len >= 56 && frame[20] == 58 => {
            format!("icmpv6 {}/{}, {len} bytes", frame[54], frame[55])
        }
        _ => format!("{len} bytes of something else"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mac;
    use crate::testing::packet::{arp, ethernet};

    #[test]
    fn numbers_count_from_the_syn() {
        let (a, b) = (Mac([2; 6]), Mac([4; 6]));
        let flow = ("192.0.2.1:5".parse().unwrap(), "192.0.2.2:6".parse().unwrap());
        let bases = Bases { seq: 77_000, ack: 0, val: 400, ecr: 0 };
        let mut trace = Trace::new(3);
        trace.note(Instant::ZERO, "forgotten");
        for line in ["S 0:0(0) win 9 <TS val 0 ecr 0>", ". 1:4(3) ack 1 win 9 <TS val 2 ecr 0>"] {
            let line: Notation = line.parse().unwrap();
            let frame = line.to_segment(flow, bases, 0, |_| 0).to_frame(a, b);
            trace.frame(Instant::from_micros(1_500), "a>b", &frame);
        }
        let who = arp(1, (a, *flow.0.ip()), (Mac::default(), *flow.1.ip()));
        trace.frame(Instant::from_millis(2), "a>b", &ethernet(a, b, 0x0806, &who));
        let text = "        1.500 a>b  5>6 S 0:0(0) win 9 <TS val 0 ecr 0,eol>\n        1.500 a>b  \
                    5>6 . 1:4(3) ack 1 win 9 <TS val 2 ecr 0,eol>\n        2.000 a>b  arp who has \
                    192.0.2.2\n";
        assert_eq!(trace.to_string(), text);
    }

    #[test]
    fn any_frame_can_be_described() {
        for (len, fill) in (0..80).flat_map(|len| [(len, 0x45), (len, 0), (len, 6)]) {
            for first in [[8, 0], [8, 6], [0, 0]] {
                let mut frame = vec![fill; len];
                if len > 14 {
                    frame[12..14].copy_from_slice(&first);
                }
                describe(&frame, Bases::default());
            }
        }
    }
}
