//! When two states are the same: what decides the future, counted from now and from each side's
//! SYN, and nothing else.

use super::node::{Frame, Host};
use stack::Instant;
use std::hash::{DefaultHasher, Hasher};

/// What is written out although it decides nothing: statistics, clocks of what limited a sender,
/// delivery rates (which no controller here asks for), and options, which never change here.
const TOLD_ONLY: [&str; 5] = ["Stats", "Limited", "Rate", "Snapshot", "TcpOptions"];

/// Numbers within so many octets of a SYN belong to its stream.
const STREAM: u32 = 1 << 20;

/// Where times and sequence numbers count from.
pub(super) struct Origin {
    pub(super) now: Instant,
    /// The initial sequence numbers of both sides, once they have sent a SYN.
    pub(super) isns: [Option<u32>; 2],
}

impl Origin {
    /// The number as a stream and a distance from its SYN; a number of neither stream as it is.
    fn number(&self, seq: u32) -> (u8, u32) {
        for (which, isn) in (0..).zip(self.isns) {
            let Some(isn) = isn else { continue };
            let distance = seq.wrapping_sub(isn).wrapping_add(STREAM);
            if distance < 2 * STREAM {
                return (which, distance);
            }
        }
        (2, seq)
    }

    /// Time from now on, or before; unset times stand apart.
    fn time(&self, at: u64) -> i64 {
        if at == 0 || at == u64::MAX {
            i64::MAX
        } else {
            at.wrapping_sub(self.now.as_nanos()) as i64
        }
    }
}

/// The fingerprint of a host.
pub(super) fn of_host(host: &Host, origin: &Origin) -> u64 {
    let mut text = String::with_capacity(8192);
    host.stack.write_tcp_state(&mut text).expect("a string takes everything");
    let mut hash = DefaultHasher::new();
    let mut words = Text { rest: text.as_bytes(), kept: Vec::with_capacity(text.len()) };
    words.read(origin);
    hash.write(&words.kept);
    let next = host.stack.next_timeout().map_or(0, Instant::as_nanos);
    hash.write_i64(origin.time(next));
    host.app.digest(&mut hash);
    hash.finish()
}

/// The fingerprint of a frame under way.
pub(super) fn of_frame(frame: &Frame, origin: &Origin, hash: &mut impl Hasher) {
    let segment = &frame.segment;
    let numbers = [origin.number(segment.seq), origin.number(segment.ack)];
    for (which, distance) in numbers {
        hash.write_u8(which);
        hash.write_u32(distance);
    }
    hash.write_u8(segment.flags.0);
    hash.write_u16(segment.window);
    hash.write_usize(segment.payload.len());
    digest_options(&segment.options, origin, hash);
}

/// Timestamps count from now, which both clocks follow; blocks as all sequence numbers.
fn digest_options(mut options: &[u8], origin: &Origin, hash: &mut impl Hasher) {
    let long = |at: &[u8]| u32::from_be_bytes([at[0], at[1], at[2], at[3]]);
    while let [kind, rest @ ..] = options {
        hash.write_u8(*kind);
        let Some(len) = rest.first().map(|len| usize::from(*len)).filter(|_| *kind > 1) else {
            options = rest;
            continue;
        };
        let (option, tail) = options.split_at(len.clamp(2, options.len()));
        for word in option[2..].chunks_exact(4) {
            let now = origin.now.as_millis() as u32;
            match kind {
                5 => hash.write_u32(origin.number(long(word)).1),
                8 => hash.write_u32(long(word).wrapping_sub(now)),
                _ => hash.write(word),
            }
        }
        hash.write(option);
        options = tail;
    }
}

/// Text of the engine, read once.
struct Text<'a> {
    rest: &'a [u8],
    kept: Vec<u8>,
}

impl Text<'_> {
    fn read(&mut self, origin: &Origin) {
        while let Some(&byte) = self.rest.first() {
            if byte == b'@' {
                self.rest = &self.rest[1..];
                let (seconds, nanos) = (self.integer(), self.integer());
                let at = seconds.wrapping_mul(1_000_000_000).wrapping_add(nanos);
                self.kept.extend(origin.time(at).to_le_bytes());
            } else if byte.is_ascii_alphabetic() {
                self.word(origin);
            } else {
                self.kept.push(byte);
                self.rest = &self.rest[1..];
            }
        }
    }

    fn word(&mut self, origin: &Origin) {
        let len = self.rest.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
        let (word, rest) = self.rest.split_at(len);
        self.rest = rest;
        if word == b"Seq" && rest.first() == Some(&b'(') {
            self.rest = &rest[1..];
            let (which, distance) = origin.number(self.integer() as u32);
            self.kept.push(which);
            self.kept.extend(distance.to_le_bytes());
        } else if TOLD_ONLY.iter().any(|name| name.as_bytes() == word) && rest.starts_with(b" {") {
            self.skip_braces();
        } else {
            self.kept.extend(word);
        }
    }

    /// A number, and whatever ends it.
    fn integer(&mut self) -> u64 {
        let len = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let digits = self.rest[..len].iter();
        let value = digits.fold(0u64, |value, digit| {
            value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'))
        });
        self.rest = self.rest.get(len + 1..).unwrap_or(&[]);
        value
    }

    fn skip_braces(&mut self) {
        let mut depth = 0;
        for (i, byte) in self.rest.iter().enumerate() {
            match byte {
                b'{' => depth += 1,
                b'}' => depth -= 1,
                _ => continue,
            }
            if depth == 0 {
                self.rest = &self.rest[i + 1..];
                return;
            }
        }
        self.rest = &[];
    }
}
