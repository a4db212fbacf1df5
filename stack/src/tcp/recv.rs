//! The receive sequence space (RFC 9293 §3.3.1, figure 4), the text in it, and the window
//! announced for it. An organ.
//!
//! Text is written once, to its final place in the ring, ahead of RCV.NXT when it is early; the
//! assembler remembers which ranges are there.

use super::assembler::Assembler;
use super::memory::Memory;
use super::seq::Seq;
use crate::store::ring::Ring;
use crate::wire::options::{SACK_BLOCKS, SackBlocks};

/// Receive sequence variables and the receive ring.
#[derive(Clone, Debug)]
pub(crate) struct Recv {
    pub(crate) nxt: Seq,
    /// RCV.NXT + RCV.WND as announced: it never moves left (SHLD-14).
    edge: Seq,
    /// Shift of our window field.
    pub(crate) scale: u8,
    /// Largest segment text we announced, for the silly-window rules.
    mss: u16,
    /// Greatest window, bytes.
    buffer: usize,
    ring: Ring,
    assembler: Assembler,
    /// Where the peer's FIN stands, once seen.
    fin: Option<Seq>,
    /// Nobody will read: text is taken and forgotten.
    discard: bool,
    /// Room that was made since the window was last opened, bytes, as far as it can count.
    freed: u16,
    /// Text received twice, to be reported with the next acknowledgment (RFC 2883); or empty.
    duplicate: (Seq, Seq),
    /// The memory ledger has refused text inside the window.
    refused: bool,
}

/// What became of a segment's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// RCV.NXT moved by so many octets; `filled` when text queued earlier came along.
    InOrder { octets: u32, filled: bool },
    /// Queued ahead of RCV.NXT.
    OutOfOrder,
    /// No room in the buffer or in the list of ranges.
    Refused,
    /// No memory.
    Starved,
}

impl Recv {
    pub(crate) fn new(irs: Seq, mss: u16, scale: u8, buffer: usize, ranges_max: usize) -> Recv {
        // No more than the field can say; rounding to the scale may announce one unit more.
        let buffer = buffer.min(0xffff << scale);
        let ring = Ring::new(buffer + (1 << scale));
        let nxt = irs + 1;
        let assembler = Assembler::new(ranges_max);
        Recv {
            nxt,
            edge: nxt,
            scale,
            mss,
            buffer,
            ring,
            assembler,
            fin: None,
            discard: false,
            freed: 0,
            duplicate: (nxt, nxt),
            refused: false,
        }
    }

    /// RCV.WND.
    pub(crate) fn window(&self) -> u32 {
        self.edge.since(self.nxt)
    }

    /// RCV.NXT + RCV.WND.
    pub(crate) fn edge(&self) -> Seq {
        self.edge
    }

    /// The acceptability test of RFC 9293 §3.10.7.4 (table 6).
    pub(crate) fn is_acceptable(&self, seq: Seq, len: u32) -> bool {
        let inside = |s: Seq| s.at_or_after(self.nxt) && s.before(self.edge);
        match (len, self.window()) {
            (0, 0) => seq == self.nxt,
            (0, _) => inside(seq),
            (_, 0) => false,
            (len, _) => inside(seq) || inside(seq + (len - 1)),
        }
    }

    /// Takes text that has been trimmed to the window.
    pub(crate) fn take(&mut self, seq: Seq, text: &[u8], memory: &mut Memory) -> Taken {
        let offset = seq.since(self.nxt);
        if let Some(again) = self.assembler.overlap(offset, text.len() as u32) {
            self.note_duplicate(self.nxt + again.start, self.nxt + again.end);
        }
        if self.discard {
            return self.take_unread(offset, text.len() as u32);
        }
        let end = self.ring.len() + offset as usize + text.len();
        if end > self.ring.cap() {
            return Taken::Refused;
        }
        let room = match offset {
            // As much as fits: a super-frame in order may never fit whole.
            0 => memory.most_in_order(&self.ring).saturating_sub(self.ring.len()),
            _ if memory.allows(&self.ring, end) => text.len(),
            _ => 0,
        };
        self.refused |= room < text.len();
        if room == 0 {
            return Taken::Starved;
        }
        let text = &text[..text.len().min(room)];
        let len = text.len() as u32;
        if offset > 0 && self.assembler.add(offset, len).is_err() {
            return Taken::Refused;
        }
        let before = self.ring.allocated();
        self.ring.write_ahead(offset as usize, text);
        memory.settle(before, self.ring.allocated());
        if offset > 0 {
            return Taken::OutOfOrder;
        }
        let taken = self.advance(len);
        if let Taken::InOrder { octets, .. } = taken {
            self.ring.advance_tail(octets as usize);
        }
        taken
    }

    /// Text at RCV.NXT needs no range: it is taken however many there are, and what was queued
    /// behind it comes along.
    fn advance(&mut self, len: u32) -> Taken {
        let octets = len + self.assembler.advance(len);
        self.nxt += octets;
        Taken::InOrder { octets, filled: octets > len }
    }

    /// Counts text that nobody will read: only RCV.NXT and the ranges move.
    fn take_unread(&mut self, offset: u32, len: u32) -> Taken {
        if offset == 0 {
            return self.advance(len);
        }
        match self.assembler.add(offset, len) {
            Ok(()) => Taken::OutOfOrder,
            Err(_) => Taken::Refused,
        }
    }

    /// The memory ledger has refused text since this was last asked.
    pub(crate) fn take_refused(&mut self) -> bool {
        core::mem::take(&mut self.refused)
    }

    /// `[left, right)` has been received before. What touches a report that is still to be made
    /// joins it; otherwise the latest is reported.
    pub(crate) fn note_duplicate(&mut self, left: Seq, right: Seq) {
        if right.at_or_before(left) {
            return;
        }
        let (start, end) = self.duplicate;
        let joins = self.has_duplicate() && left.at_or_before(end) && right.at_or_after(start);
        self.duplicate = match joins {
            true => (if left.before(start) { left } else { start }, end.latest(right)),
            false => (left, right),
        };
    }

    /// Text received twice waits to be reported.
    pub(crate) fn has_duplicate(&self) -> bool {
        self.duplicate.0 != self.duplicate.1
    }

    /// There is something for a SACK option to say.
    pub(crate) fn has_reports(&self) -> bool {
        self.has_holes() || self.has_duplicate()
    }

    /// Text is missing between RCV.NXT and something already here.
    pub(crate) fn has_holes(&self) -> bool {
        !self.assembler.is_empty()
    }

    /// Remembers where the peer's FIN stands. The first word counts.
    pub(crate) fn note_fin(&mut self, seq: Seq) {
        self.fin.get_or_insert(seq);
    }

    /// Consumes the FIN when all text before it is here. True once.
    pub(crate) fn take_fin(&mut self) -> bool {
        if self.fin != Some(self.nxt) {
            return false;
        }
        self.nxt += 1;
        self.edge = self.edge.latest(self.nxt);
        // Nothing follows a FIN: what a peer sent there all the same is not reported.
        self.assembler = Assembler::new(0);
        true
    }

    /// The ranges to report, as sequence numbers: text received twice first, once (RFC 2883 §4),
    /// then what is here ahead of RCV.NXT (RFC 2018 §4).
    pub(crate) fn sack_blocks(&mut self, most: usize) -> SackBlocks {
        let mut blocks = SackBlocks::default();
        if self.has_duplicate() {
            blocks.push(self.duplicate.0.0, self.duplicate.1.0);
            self.duplicate.0 = self.duplicate.1;
        }
        let most = most.min(SACK_BLOCKS) - blocks.as_slice().len();
        let mut ranges = [(0, 0); SACK_BLOCKS];
        let count = self.assembler.sack_ranges(&mut ranges[..most]);
        for &(start, end) in &ranges[..count] {
            blocks.push((self.nxt + start).0, (self.nxt + end).0);
        }
        blocks
    }

    /// Moves the right edge as far as silly-window avoidance lets it (MUST-39, RFC 9293
    /// §3.8.6.2.2): by at least a segment or half the buffer.
    pub(crate) fn open_window(&mut self) {
        let (free, offered) = (self.free(), self.window() as usize);
        if free >= offered + self.least_step() {
            let unit = 1usize << self.scale;
            self.edge = self.edge.latest(self.nxt + (free / unit * unit) as u32);
        }
        self.freed = 0;
    }

    /// Announces what a window field without scaling can: for SYN and SYN-ACK (RFC 7323 §2.2).
    pub(crate) fn open_unscaled(&mut self) -> u16 {
        let window = self.free().min(0xffff) as u16;
        self.edge = self.edge.latest(self.nxt + u32::from(window));
        window
    }

    /// The window field for RCV.WND. Rounded up, for a promise is not taken back, and the edge
    /// follows; but not beyond what the ring holds, or a reader who pauses would let the edge
    /// creep past it. Then it is rounded down, by less than a unit (RFC 7323 §2.4).
    pub(crate) fn window_field(&mut self) -> u16 {
        let unit = 1u32 << self.scale;
        let up = self.window().div_ceil(unit).min(0xffff);
        let fits = self.ring.len() + ((up as usize) << self.scale) <= self.ring.cap();
        let field = if fits || self.discard { up } else { self.window() / unit };
        self.edge = self.edge.latest(self.nxt + (field << self.scale));
        field as u16
    }

    /// Enough has been read that the peer should hear of it without waiting for the next
    /// acknowledgment: the window is nearly closed and can open by a segment, or a segment was read
    /// and it can open by a quarter of the buffer. Less than a segment is a request, whose reply
    /// will tell of the larger window that a SYN-ACK could not.
    pub(crate) fn wants_update(&self) -> bool {
        let (free, offered) = (self.free(), self.window() as usize);
        let gain = free.saturating_sub(offered);
        let starving = offered < 2 * usize::from(self.mss);
        let step = self.least_step();
        let read = usize::from(self.freed);
        let can_open = read >= step && gain >= (self.buffer / 4).max(step);
        can_open || (read > 0 && starving && gain >= step)
    }

    fn note_freed(&mut self, bytes: usize) {
        self.freed = self.freed.saturating_add(u16::try_from(bytes).unwrap_or(u16::MAX));
    }

    fn least_step(&self) -> usize {
        (self.buffer / 2).min(usize::from(self.mss)).max(1)
    }

    fn free(&self) -> usize {
        if self.discard { self.buffer } else { self.buffer.saturating_sub(self.ring.len()) }
    }

    /// Octets in order and unread.
    pub(crate) fn unread(&self) -> usize {
        self.ring.len()
    }

    /// Copies unread text without consuming it.
    pub(crate) fn peek(&self, out: &mut [u8]) -> usize {
        self.ring.copy_out(0, out)
    }

    /// Lends all unread text to `read`, in the two pieces in which it lies; what it says to have
    /// used is gone.
    pub(crate) fn read_with(&mut self, read: impl FnOnce([&[u8]; 2]) -> usize) -> usize {
        let unread = self.ring.len();
        let n = read(self.ring.peek(0, unread)).min(unread);
        self.ring.consume(n);
        self.note_freed(n);
        n
    }

    /// Gives text to the application.
    #[cfg(test)]
    fn read(&mut self, out: &mut [u8]) -> usize {
        self.read_with(|text| crate::store::ring::copy_out(text, out))
    }

    /// Memory that the ring holds, bytes.
    pub(crate) fn allocated(&self) -> usize {
        self.ring.allocated()
    }

    /// Nothing has been received for a while: gives the memory of an empty ring back.
    pub(crate) fn rest(&mut self, memory: &mut Memory) {
        if self.ring.is_empty() && self.assembler.is_empty() {
            let before = self.ring.allocated();
            self.ring.release_if_empty();
            memory.settle(before, self.ring.allocated());
        }
    }

    /// The greatest window, bytes.
    pub(crate) fn buffer(&self) -> usize {
        self.buffer
    }

    /// Changes the greatest window; a promise already made stays.
    pub(crate) fn set_buffer(&mut self, bytes: usize) {
        self.buffer = bytes.min(0xffff << self.scale);
        let promised = self.ring.len() + self.window() as usize;
        self.ring.set_cap(self.buffer.max(promised) + (1 << self.scale));
        self.note_freed(bytes);
    }

    /// Nobody will read any more: gives the memory back and forgets further text.
    pub(crate) fn discard(&mut self, memory: &mut Memory) {
        memory.settle(self.ring.allocated(), 0);
        self.ring = Ring::new(0);
        self.discard = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recv(buffer: usize, scale: u8) -> (Recv, Memory) {
        let mut recv = Recv::new(Seq(0xffff_fff0), 1000, scale, buffer, 8);
        recv.open_window();
        (recv, Memory::new(1 << 20))
    }

    #[test]
    fn early_text_waits_and_comes_along() {
        let (mut r, mut m) = recv(10_000, 0);
        let at = r.nxt;
        assert_eq!(r.take(at + 3, b"def", &mut m), Taken::OutOfOrder);
        assert_eq!(r.sack_blocks(3).as_slice(), [((at + 3).0, (at + 6).0)]);
        assert_eq!(r.take(at, b"abc", &mut m), Taken::InOrder { octets: 6, filled: true });
        let mut out = [0; 10];
        assert_eq!(r.read(&mut out), 6);
        r.rest(&mut m);
        assert_eq!((&out[..6], m.used()), (&b"abcdef"[..], 0));
    }

    #[test]
    fn shld_14_the_right_edge_never_moves_left() {
        for scale in [0, 3, 7] {
            let (mut r, mut m) = recv(20_000, scale);
            let mut edge = r.edge();
            for step in 0..200u32 {
                let seq = r.nxt;
                let len = (step * 37 % 900).min(r.window()) as usize;
                let _: Taken = r.take(seq, &vec![0; len], &mut m);
                if step % 5 == 0 {
                    let mut out = [0; 1500];
                    let _: usize = r.read(&mut out);
                }
                r.open_window();
                let field = r.window_field();
                let announced = r.nxt + (u32::from(field) << scale);
                let unit = 1u32 << scale;
                assert!((announced + unit).after(edge), "scale {scale} step {step}");
                edge = edge.latest(announced);
            }
        }
    }

    #[test]
    fn must_39_the_window_does_not_open_by_crumbs() {
        let (mut r, mut m) = recv(4000, 0);
        let seq = r.nxt;
        assert!(matches!(r.take(seq, &[0; 4000], &mut m), Taken::InOrder { octets: 4000, .. }));
        let mut byte = [0];
        for _ in 0..999 {
            let _: usize = r.read(&mut byte);
            r.open_window();
            assert_eq!((r.window(), r.wants_update()), (0, false));
        }
        let _: usize = r.read(&mut byte);
        assert!(r.wants_update());
        r.open_window();
        assert_eq!(r.window(), 1000);
    }

    #[test]
    fn an_update_that_is_wanted_opens_the_window() {
        for buffer in [1, 100, 999, 1000, 2048, 4096, 65_536, 1 << 20] {
            for scale in [0, 4] {
                let (mut r, mut m) = recv(buffer, scale);
                let most = r.window() as usize;
                assert!(most <= 0xffff << scale, "the field must be able to say it");
                let (seq, mut out) = (r.nxt, vec![0; most / 3 + 1]);
                let _: Taken = r.take(seq, &vec![0; most], &mut m);
                for _ in 0..4 {
                    let _: usize = r.read(&mut out);
                    if r.wants_update() {
                        let edge = r.edge();
                        r.open_window();
                        assert!(r.edge().after(edge), "buffer {buffer} scale {scale}");
                        assert!(!r.wants_update());
                    }
                }
            }
        }
    }

    #[test]
    fn text_inside_the_window_fits_while_the_reader_pauses() {
        for (buffer, scale) in [(1 << 20, 5), (4 << 20, 7), (65_535, 0), (64 << 20, 11)] {
            let (mut r, _) = recv(buffer, scale);
            let mut m = Memory::new(1 << 30);
            let mut announced = u32::from(r.window_field()) << scale;
            while announced > 0 {
                let len = announced.min(1447) as usize;
                let seq = r.nxt;
                let taken = r.take(seq, &[7; 1447][..len], &mut m);
                assert!(matches!(taken, Taken::InOrder { .. }), "{buffer}: {announced} left");
                r.open_window();
                announced = u32::from(r.window_field()) << scale;
            }
            assert!(r.unread() + 2 * (1 << scale) >= buffer, "{buffer}: the window closed early");
        }
    }

    #[test]
    fn acceptability_is_table_6() {
        let (mut r, mut m) = recv(2000, 0);
        let n = r.nxt;
        assert!(r.is_acceptable(n, 0) && r.is_acceptable(n + 1999, 0));
        assert!(!r.is_acceptable(n - 1, 0) && !r.is_acceptable(n + 2000, 0));
        assert!(r.is_acceptable(n - 5, 6) && !r.is_acceptable(n - 5, 5));
        assert!(r.is_acceptable(n + 1999, 100));
        let _: Taken = r.take(n, &[0; 2000], &mut m);
        assert!(r.is_acceptable(n + 2000, 0) && !r.is_acceptable(n + 2000, 1));
    }

    #[test]
    fn a_fin_waits_for_the_text_before_it() {
        let (mut r, mut m) = recv(2000, 0);
        let n = r.nxt;
        r.note_fin(n + 3);
        assert!(!r.take_fin());
        let _: Taken = r.take(n, b"abc", &mut m);
        assert!(r.take_fin() && !r.take_fin());
        assert_eq!(r.nxt, n + 4);
    }
}
