//! A TCP segment as the state machine sees it (RFC 9293 §3.1, §3.3.1 "current segment variables").

use super::seq::Seq;
use crate::wire::ecn::Codepoint;
use crate::wire::options::Options;
use crate::wire::parse::TcpHeader;

/// Control bits.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Flags(pub(crate) u8);

impl Flags {
    pub(crate) const FIN: Flags = Flags(0x01);
    pub(crate) const SYN: Flags = Flags(0x02);
    pub(crate) const RST: Flags = Flags(0x04);
    pub(crate) const PSH: Flags = Flags(0x08);
    pub(crate) const ACK: Flags = Flags(0x10);
    /// ECN echo, and congestion window reduced (RFC 3168 §6.1).
    pub(crate) const ECE: Flags = Flags(0x40);
    pub(crate) const CWR: Flags = Flags(0x80);

    pub(crate) const fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    pub(crate) const fn without(self, other: Flags) -> Flags {
        Flags(self.0 & !other.0)
    }

    pub(crate) const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }
}

/// SEG.SEQ, SEG.ACK, SEG.WND and the rest of an arriving segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment<'a> {
    pub(crate) seq: Seq,
    pub(crate) ack: Seq,
    pub(crate) flags: Flags,
    /// As on the wire, not scaled.
    pub(crate) window: u16,
    pub(crate) ecn: Codepoint,
    pub(crate) options: Options,
    pub(crate) text: &'a [u8],
    /// Octets of text in each of the segments that it stands for, as a super-frame; only the last
    /// may have less.
    pub(crate) size: u16,
}

/// How many segments of `size` octets so much text takes: mostly one, and a division is dear.
pub(crate) const fn segments(octets: usize, size: usize) -> u32 {
    if octets <= size || size == 0 { 1 } else { octets.div_ceil(size) as u32 }
}

impl<'a> Segment<'a> {
    /// `size`: see [`Segment::size`]; None for an ordinary segment.
    pub(crate) fn new(header: &TcpHeader<'a>, size: Option<u16>) -> Segment<'a> {
        // The text of an IP packet, so it fits.
        let whole = header.text.len() as u16;
        Segment {
            seq: Seq(header.seq),
            ack: Seq(header.ack),
            flags: Flags(header.flags),
            window: header.window,
            ecn: header.ecn,
            options: Options::parse(header.options),
            text: header.text,
            size: size.map_or(whole, |size| size.clamp(1, whole.max(1))),
        }
    }

    /// How many segments it stands for.
    pub(crate) fn count(&self) -> u32 {
        segments(self.text.len(), self.size.into())
    }

    pub(crate) fn has(&self, flags: Flags) -> bool {
        self.flags.has(flags)
    }

    /// SEG.LEN: octets of sequence space, SYN and FIN included.
    pub(crate) fn len(&self) -> u32 {
        self.text.len() as u32 + u32::from(self.has(Flags::SYN)) + u32::from(self.has(Flags::FIN))
    }

    /// Cuts away what lies before `left` and from `right` on: "trimming off any portions that lie
    /// outside the window" (RFC 9293 §3.10.7.4, first check). A FIN outside goes too.
    pub(crate) fn trim_to(&mut self, left: Seq, right: Seq) {
        if self.has(Flags::SYN) && self.seq.before(left) {
            self.flags = self.flags.without(Flags::SYN);
            self.seq += 1;
        }
        let text_at = self.seq + u32::from(self.has(Flags::SYN));
        let old = (left.since(text_at) as usize).min(self.text.len());
        self.text = &self.text[old..];
        self.seq += old as u32;
        let text_at = text_at + old as u32;
        let fin_at = text_at + self.text.len() as u32;
        if fin_at.at_or_after(right) {
            let keep = (right.since(text_at) as usize).min(self.text.len());
            self.text = &self.text[..keep];
            self.flags = self.flags.without(Flags::FIN);
        } else if fin_at.before(left) {
            self.flags = self.flags.without(Flags::FIN);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(seq: u32, flags: Flags, text: &[u8]) -> Segment<'_> {
        let (options, ecn) = (Options::default(), Codepoint::NotEct);
        Segment { seq: Seq(seq), ack: Seq(0), flags, window: 0, ecn, options, text, size: 1 }
    }

    /// Trims octet by octet, SYN and FIN being octets: the obvious twin.
    fn naive(seg: &Segment<'_>, left: u32, right: u32) -> (Vec<u8>, bool, bool) {
        let mut octets: Vec<Option<u8>> = Vec::new();
        if seg.has(Flags::SYN) {
            octets.push(None);
        }
        octets.extend(seg.text.iter().map(|&b| Some(b)));
        let fin_index = octets.len();
        let inside = |i: usize| (left..right).contains(&(seg.seq.0 + i as u32));
        let syn = seg.has(Flags::SYN) && inside(0);
        let text = octets
            .iter()
            .enumerate()
            .filter(|&(i, _)| inside(i))
            .filter_map(|(_, octet)| *octet)
            .collect();
        (text, syn, seg.has(Flags::FIN) && inside(fin_index))
    }

    #[test]
    fn trimming_equals_trimming_octet_by_octet() {
        let text = *b"abcdefgh";
        for seq in 90..115 {
            for len in 0..=text.len() {
                for flags in [Flags(0), Flags::SYN, Flags::FIN, Flags::SYN.with(Flags::FIN)] {
                    // A SYN behind the window is not acceptable, and never gets here.
                    if flags.has(Flags::SYN) && seq >= 106 {
                        continue;
                    }
                    let before = segment(seq, flags, &text[..len]);
                    let mut after = before;
                    after.trim_to(Seq(100), Seq(106));
                    let got = (after.text.to_vec(), after.has(Flags::SYN), after.has(Flags::FIN));
                    assert_eq!(got, naive(&before, 100, 106), "{before:?}");
                }
            }
        }
    }
}
