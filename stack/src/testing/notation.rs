//! Packets as text, in packetdrill's notation.
//!
//! ```text
//! S  0:0(0) win 65535 <mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7>
//! S. 0:0(0) ack 1 win 65535 <mss 1460>
//! P. 1:1001(1000) ack 1 win 500
//! .  1:1(0) ack 1001 <nop,nop,sack 2001:3001>
//! [ce] P. 1:1001(1000) ack 1
//! ```
//!
//! Flags are `S F R P U E W`, a dot for ACK and `-` for none. Sequence numbers count from the
//! sender's SYN, acknowledgments from the other side's; `@` before a number makes it absolute.
//! `win` is the field as it stands in the header. An expectation without `win` takes any window,
//! without `<...>` no options at all, and `<...>` (three dots in the brackets) any options; a
//! `*` stands for any timestamp. Timestamps count from the first one a side sent. The IP header's
//! ECN bits stand before all else, `[noecn]`, `[ect0]`, `[ect1]` or `[ce]`: where they are missing,
//! a segment has none, and an expectation takes any.

use super::options::{self, TcpOption};
use super::packet::{Flags, Segment};
use core::fmt;
use core::net::SocketAddrV4;
use core::str::FromStr;

/// A segment as text says it: relative numbers, and gaps where anything will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notation {
    /// The IP header's ECN bits; None: any.
    pub ecn: Option<u8>,
    /// Control bits.
    pub flags: Flags,
    /// The first sequence number.
    pub seq: Number,
    /// Bytes of text.
    pub len: u32,
    /// The acknowledgment; there exactly when the ACK bit is.
    pub ack: Option<Number>,
    /// The window field; None: any.
    pub window: Option<u16>,
    /// The urgent pointer; None: 0.
    pub urgent: Option<u16>,
    /// The options; None: any.
    pub options: Option<Vec<TcpOption>>,
}

/// A sequence number in text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// Counted from the side's initial sequence number; below zero is before it.
    Relative(i64),
    /// As it stands in the header: written with `@`.
    Absolute(u32),
}

/// Where the numbers of one direction of a connection count from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bases {
    /// The sender's initial sequence number.
    pub seq: u32,
    /// The other side's initial sequence number.
    pub ack: u32,
    /// The sender's first timestamp.
    pub val: u32,
    /// The other side's first timestamp.
    pub ecr: u32,
}

impl Bases {
    /// The bases of the other direction.
    pub fn reversed(self) -> Bases {
        Bases { seq: self.ack, ack: self.seq, val: self.ecr, ecr: self.val }
    }
}

impl Number {
    /// The number for the header field, in a direction that counts from `base`.
    pub fn absolute(self, base: u32) -> u32 {
        match self {
            Number::Relative(n) => base.wrapping_add(n as u32),
            Number::Absolute(n) => n,
        }
    }

    /// The header field as a distance from `base`: up to a sixteenth of the space before it.
    pub fn relative(field: u32, base: u32) -> Number {
        let distance = field.wrapping_sub(base);
        Number::Relative(if distance >= 0xf000_0000 {
            i64::from(distance as i32)
        } else {
            i64::from(distance)
        })
    }
}

impl Notation {
    /// What `segment` looks like to somebody who counts from `bases`.
    pub fn of(segment: &Segment, bases: Bases) -> Notation {
        let flags = segment.flags;
        Notation {
            ecn: (segment.ecn != 0).then_some(segment.ecn),
            flags,
            seq: Number::relative(segment.seq, bases.seq),
            len: segment.payload.len() as u32,
            ack: flags.has(Flags::ACK).then(|| Number::relative(segment.ack, bases.ack)),
            window: Some(segment.window),
            urgent: (segment.urgent != 0).then_some(segment.urgent),
            options: Some(options::read(&segment.options, bases)),
        }
    }

    /// The segment that this text describes. Windows default to `window`, options to none; text
    /// is what `byte` gives for each offset from the first byte after the SYN.
    pub fn to_segment(
        &self,
        (source, destination): (SocketAddrV4, SocketAddrV4),
        bases: Bases,
        window: u16,
        byte: impl Fn(u32) -> u8,
    ) -> Segment {
        let seq = self.seq.absolute(bases.seq);
        // The SYN takes number 0, so text that rides on it starts at number 1.
        let syn = u32::from(self.flags.has(Flags::SYN));
        let first = seq.wrapping_sub(bases.seq).wrapping_add(syn).wrapping_sub(1);
        Segment {
            source,
            destination,
            seq,
            ack: self.ack.map_or(0, |ack| ack.absolute(bases.ack)),
            flags: self.flags,
            window: self.window.unwrap_or(window),
            urgent: self.urgent.unwrap_or(0),
            ecn: self.ecn.unwrap_or(0),
            options: options::write(self.options.as_deref().unwrap_or(&[]), bases),
            payload: (0..self.len).map(|i| byte(first.wrapping_add(i))).collect(),
        }
    }

    /// True when the segment is one that this text describes.
    pub fn describes(&self, segment: &Segment, bases: Bases) -> bool {
        let seen = Notation::of(segment, bases);
        let same = |text: Number, field: u32, base: u32| text.absolute(base) == field;
        self.ecn.is_none_or(|ecn| ecn == segment.ecn)
            && self.flags == seen.flags
            && self.len == seen.len
            && same(self.seq, segment.seq, bases.seq)
            && self.ack.is_none_or(|ack| same(ack, segment.ack, bases.ack))
            && self.window.is_none_or(|window| Some(window) == seen.window)
            && self.urgent == seen.urgent
            && self.options.as_ref().is_none_or(|expected| {
                options::describe(expected, seen.options.as_deref().unwrap_or(&[]))
            })
    }
}

/// The text is not packet notation; says where it stops making sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotationError(pub String);

impl fmt::Display for NotationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not packet notation: {}", self.0)
    }
}

impl core::error::Error for NotationError {}

pub(super) fn wrong<T>(what: impl Into<String>) -> Result<T, NotationError> {
    Err(NotationError(what.into()))
}

pub(super) fn number<T: FromStr>(text: &str) -> Result<T, NotationError> {
    text.parse().or_else(|_| wrong(format!("`{text}` is not a number that fits")))
}

impl FromStr for Number {
    type Err = NotationError;
    fn from_str(text: &str) -> Result<Number, NotationError> {
        match text.strip_prefix('@') {
            Some(absolute) => number(absolute).map(Number::Absolute),
            None => number(text).map(Number::Relative),
        }
    }
}

impl FromStr for Flags {
    type Err = NotationError;
    fn from_str(text: &str) -> Result<Flags, NotationError> {
        if text == "-" {
            return Ok(Flags::default());
        }
        text.chars().try_fold(Flags::default(), |flags, letter| {
            match Flags::LETTERS.iter().find(|(known, _)| *known == letter) {
                Some((_, bit)) if !flags.has(*bit) => Ok(flags.with(*bit)),
                _ => wrong(format!("`{letter}` among the flags `{text}`")),
            }
        })
    }
}

impl FromStr for Notation {
    type Err = NotationError;
    fn from_str(text: &str) -> Result<Notation, NotationError> {
        let (ecn, text) = ecn(text)?;
        let (head, options) = match text.split_once('<') {
            None => (text, Some(Vec::new())),
            Some((head, tail)) => match tail.trim_end().strip_suffix('>') {
                Some(list) => (head, options::parse(list)?),
                None => return wrong("`<` without `>` at the end"),
            },
        };
        let mut words = head.split_whitespace();
        let flags: Flags = words.next().unwrap_or("").parse()?;
        let (seq, len) = range(words.next().unwrap_or(""))?;
        let mut found =
            Notation { ecn, flags, seq, len, ack: None, window: None, urgent: None, options };
        while let Some(key) = words.next() {
            let value = words.next().unwrap_or("");
            match key {
                "ack" => found.ack = Some(value.parse()?),
                "win" => found.window = Some(number(value)?),
                "urg" => found.urgent = Some(number(value)?),
                _ => return wrong(format!("`{key}` is none of ack, win, urg")),
            }
        }
        if found.ack.is_some() != flags.has(Flags::ACK) {
            return wrong("`ack N` and the dot among the flags go together");
        }
        Ok(found)
    }
}

/// How the IP header's ECN bits are written, by their number.
const ECN: [&str; 4] = ["noecn", "ect1", "ect0", "ce"];

/// The ECN bits in front, if they are there, and the rest.
fn ecn(text: &str) -> Result<(Option<u8>, &str), NotationError> {
    let Some(tail) = text.trim_start().strip_prefix('[') else { return Ok((None, text)) };
    let Some((name, rest)) = tail.split_once(']') else { return wrong("`[` without `]`") };
    match ECN.iter().position(|known| *known == name) {
        Some(bits) => Ok((Some(bits as u8), rest.trim_start())),
        None => wrong(format!("`[{name}]` is none of {ECN:?}")),
    }
}

/// `first:end(length)`.
fn range(text: &str) -> Result<(Number, u32), NotationError> {
    let parts = text
        .strip_suffix(')')
        .and_then(|text| text.split_once('('))
        .and_then(|(range, len)| range.split_once(':').map(|(from, to)| (from, to, len)));
    let Some((from, to, len)) = parts else {
        return wrong(format!("`{text}` where `first:end(length)` belongs"));
    };
    let (from, to, len): (Number, Number, u32) = (from.parse()?, to.parse()?, number(len)?);
    let end = match from {
        Number::Relative(n) => Number::Relative(n + i64::from(len)),
        Number::Absolute(n) => Number::Absolute(n.wrapping_add(len)),
    };
    if end == to { Ok((from, len)) } else { wrong(format!("`{text}` does not add up")) }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Relative(n) => write!(f, "{n}"),
            Number::Absolute(n) => write!(f, "@{n}"),
        }
    }
}

impl fmt::Display for Notation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = match self.seq {
            Number::Relative(n) => Number::Relative(n + i64::from(self.len)),
            Number::Absolute(n) => Number::Absolute(n.wrapping_add(self.len)),
        };
        if let Some(name) = self.ecn.and_then(|bits| ECN.get(usize::from(bits))) {
            write!(f, "[{name}] ")?;
        }
        write!(f, "{} {}:{}({})", self.flags, self.seq, end, self.len)?;
        if let Some(ack) = self.ack {
            write!(f, " ack {ack}")?;
        }
        if let Some(window) = self.window {
            write!(f, " win {window}")?;
        }
        if let Some(urgent) = self.urgent {
            write!(f, " urg {urgent}")?;
        }
        match &self.options {
            None => f.write_str(" <...>"),
            Some(list) if list.is_empty() => Ok(()),
            Some(list) => {
                let list: Vec<String> = list.iter().map(ToString::to_string).collect();
                write!(f, " <{}>", list.join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: [&str; 15] = [
        "S 0:10(10) win 65535 <mss 1460,FO 0102030405060708,nop,nop,FO,nop,nop>",
        "S 0:0(0) win 65535 <mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7>",
        "S. 0:0(0) ack 1 win 65535 <mss 1460>",
        "P. 1:1001(1000) ack 1 win 500",
        "[ce] P. 1:1001(1000) ack 1 win 500",
        "[ect0] W. 1:1001(1000) ack 1 win 500",
        ". 1:1(0) ack 1001 win 0 <nop,nop,sack 2001:3001 4001:4002>",
        "FPU. -5:2(7) ack -1 win 1 urg 9",
        "R @0:@0(0) win 0",
        "- 1:1(0) win 0",
        "SEW 0:0(0) win 7 <eol>",
        ". 1:1(0) ack 1 win 3 <opt 253 0102,eol>",
        ". 1:1(0) ack 1 win 3 <raw 0800>",
        ". 1:1(0) ack @77 <TS val * ecr 3>",
        ". 1:1(0) ack 1 <...>",
    ];

    #[test]
    fn text_round_trips() {
        for line in LINES {
            assert_eq!(line.parse::<Notation>().unwrap().to_string(), line);
        }
    }

    #[test]
    fn segments_round_trip() {
        let flow = ("192.0.2.1:1000".parse().unwrap(), "192.0.2.2:80".parse().unwrap());
        let bases = Bases { seq: u32::MAX - 3, ack: 5, val: 900, ecr: 7 };
        for line in &LINES[..12] {
            let text: Notation = line.parse().unwrap();
            let segment = text.to_segment(flow, bases, 0, |i| i as u8);
            assert!(text.describes(&segment, bases), "{line}: {}", Notation::of(&segment, bases));
            if !line.contains('@') {
                assert_eq!(Notation::of(&segment, bases).to_string(), *line);
            }
        }
    }

    #[test]
    fn each_field_matters() {
        let flow = ("192.0.2.1:1000".parse().unwrap(), "192.0.2.2:80".parse().unwrap());
        let line: Notation = "P. 1:4(3) ack 5 win 6 urg 2 <mss 7>".parse().unwrap();
        let segment = line.to_segment(flow, Bases::default(), 0, |i| i as u8);
        for other in [
            "F. 1:4(3) ack 5 win 6 urg 2 <mss 7>",
            "P. 2:5(3) ack 5 win 6 urg 2 <mss 7>",
            "P. 1:3(2) ack 5 win 6 urg 2 <mss 7>",
            "P. 1:4(3) ack 6 win 6 urg 2 <mss 7>",
            "P. 1:4(3) ack 5 win 7 urg 2 <mss 7>",
            "P. 1:4(3) ack 5 win 6 urg 3 <mss 7>",
            "P. 1:4(3) ack 5 win 6 urg 2 <mss 8>",
            "P. 1:4(3) ack 5 win 6 urg 2",
        ] {
            let other: Notation = other.parse().unwrap();
            assert!(!other.describes(&segment, Bases::default()), "{other}");
        }
        let lenient: Notation = "P. 1:4(3) ack 5 urg 2 <...>".parse().unwrap();
        assert!(lenient.describes(&segment, Bases::default()));
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "",
            "S",
            "Q 0:0(0)",
            "SS 0:0(0)",
            "S 0:1(0)",
            "S 0:0",
            ". 1:1(0)",
            "S 0:0(0) ack 1",
            ". 1:1(0) ack x",
            "S 0:0(0) win 65536",
            "S 0:0(0) <mss>",
            "S 0:0(0) <mss 1",
            "S 0:0(0) z 1",
            "S 0:0(0) <TS val 1>",
            "S 0:0(0) <sack 1>",
            "S 0:0(0) <opt 3 zz>",
            "S 0:0(0) <what 1>",
        ] {
            assert!(line.parse::<Notation>().is_err(), "{line}");
        }
    }
}
