//! The send sequence space (RFC 9293 §3.3.1, figure 3) and the text in it. An organ.
//!
//! ```text
//!            1         2          3          4
//!       ----------|----------|----------|----------
//!              SND.UNA    SND.NXT    SND.UNA+SND.WND
//! ```
//!
//! SND.NXT never goes back: what is sent again is found in the flight (`flight.rs`).

use super::memory::Memory;
use super::seq::Seq;
use crate::store::ring::copy_in;
use crate::store::text::{SHARED_LEAST, Text};
use bytes::Bytes;

/// Send sequence variables and the retransmission ring.
#[derive(Clone, Debug)]
pub(crate) struct Send {
    /// Initial send sequence number.
    pub(crate) iss: Seq,
    pub(crate) una: Seq,
    pub(crate) nxt: Seq,
    /// SND.SML: the end of the last small segment sent, one that was not full (Minshall's form of
    /// Nagle's algorithm, draft-minshall-nagle-01).
    sml: Seq,
    syn_acked: bool,
    /// SND.WND, scaled.
    pub(crate) wnd: u32,
    wl1: Seq,
    wl2: Seq,
    /// MAX.SND.WND: the greatest window seen (RFC 5961 §5.2, RFC 9293 §3.8.6.2.1).
    pub(crate) max_wnd: u32,
    /// Shift of the peer's window field (RFC 7323 §2.3).
    pub(crate) scale: u8,
    /// Effective send MSS: text in one segment, options already subtracted (MUST-16).
    pub(crate) mss: u16,
    /// Text from SND.UNA on: sent and unacknowledged first, then unsent.
    text: Text,
    /// The memory ledger has refused text: the buffer is as large as the memory it has.
    refused: bool,
    /// The last text queued was sent with PUSH (RFC 9293 §3.9.1.2): all is, but what more follows.
    pushed: bool,
    fin: Fin,
}

/// Our FIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fin {
    /// The application may still send.
    None,
    /// It follows the text in the ring, sent or not.
    Queued,
    /// The peer has acknowledged it, or the connection is over.
    Done,
}

/// What an acknowledgment moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Acked {
    /// Octets of text newly acknowledged.
    pub(crate) text: u32,
    /// The acknowledgment covers our FIN.
    pub(crate) fin: bool,
}

impl Send {
    pub(crate) fn new(iss: Seq, mss: u16, buffer: usize) -> Send {
        Send {
            iss,
            una: iss,
            nxt: iss,
            sml: iss,
            syn_acked: false,
            wnd: 0,
            wl1: Seq(0),
            wl2: iss,
            max_wnd: 0,
            scale: 0,
            mss,
            text: Text::new(buffer),
            refused: false,
            pushed: true,
            fin: Fin::None,
        }
    }

    /// The sequence number of the first octet in the ring.
    fn text_start(&self) -> Seq {
        if self.syn_acked { self.una } else { self.iss + 1 }
    }

    /// Our SYN has been acknowledged. A fact, not a comparison with ISS: the sequence space goes
    /// round each 4 GiB, and ISS comes by again.
    pub(crate) fn is_syn_acked(&self) -> bool {
        self.syn_acked
    }

    /// Our SYN is at SND.NXT.
    pub(crate) fn is_syn_next(&self) -> bool {
        !self.syn_acked && self.nxt == self.iss
    }

    /// The sequence number that our FIN has or will have.
    fn fin_seq(&self) -> Seq {
        self.text_start() + self.text.len() as u32
    }

    pub(crate) fn mss_u32(&self) -> u32 {
        u32::from(self.mss)
    }

    /// Octets sent and not acknowledged.
    pub(crate) fn outstanding(&self) -> u32 {
        self.nxt.since(self.una)
    }

    /// The sequence number for a segment without text that the peer will find acceptable: SND.NXT,
    /// but not beyond a window that has shrunk.
    pub(crate) fn acceptable_seq(&self) -> Seq {
        if self.overruns_window() { self.una + self.wnd } else { self.nxt }
    }

    /// The window has shrunk below what was sent.
    pub(crate) fn overruns_window(&self) -> bool {
        self.syn_acked && self.nxt.after(self.una + self.wnd)
    }

    /// Offset in the ring of the octet at `seq`.
    pub(crate) fn offset_of(&self, seq: Seq) -> usize {
        seq.since(self.text_start()) as usize
    }

    /// Offset in the ring of the octet at SND.NXT; 0 when nothing is outstanding, but for a SYN.
    pub(crate) fn nxt_offset(&self) -> usize {
        self.offset_of(self.nxt)
    }

    /// Octets of text in `[start, end)`; the rest of it is the FIN.
    pub(crate) fn text_between(&self, start: Seq, end: Seq) -> usize {
        let len = end.since(start) as usize;
        len.min(self.text.len().saturating_sub(self.offset_of(start)))
    }

    /// Octets of text at and behind SND.NXT: never sent (Linux's `notsent_bytes`).
    pub(crate) fn unsent(&self) -> usize {
        self.text.len().saturating_sub(self.nxt_offset())
    }

    /// Text, or the FIN, waits at SND.NXT.
    pub(crate) fn has_unsent(&self) -> bool {
        self.unsent() > 0 || self.fin_is_next_after(0)
    }

    /// The FIN comes right after `len` further octets from SND.NXT.
    pub(crate) fn fin_is_next_after(&self, len: usize) -> bool {
        self.fin == Fin::Queued && !self.is_syn_next() && self.nxt + len as u32 == self.fin_seq()
    }

    /// Octets of the peer's window left at SND.NXT.
    pub(crate) fn usable(&self) -> u32 {
        self.wnd.saturating_sub(self.outstanding())
    }

    /// Queues text that `write` puts into the room it is lent: at most `most` octets, and what the
    /// buffer, the quota and the memory ledger allow; it returns how many it wrote. None, and no
    /// call, when they allow nothing.
    pub(crate) fn push_with(
        &mut self,
        most: usize,
        quota: usize,
        memory: &mut Memory,
        write: impl FnOnce([&mut [u8]; 2]) -> usize,
    ) -> Option<usize> {
        let room = most.min(quota).min(self.text.free());
        let ring = self.text.ring();
        let allowed = memory.most(ring).saturating_sub(ring.len());
        self.refused = allowed < room;
        let lent = room.min(allowed);
        if lent == 0 && most > 0 {
            return None;
        }
        // Settled first: `write` is an application's, and may panic.
        let before = ring.allocated();
        memory.settle(before, before + ring.growth_for(ring.len() + lent));
        let taken = write(ring.lend(lent)).min(lent);
        ring.fill(taken);
        Some(taken)
    }

    /// Queues text that stays where it is, until it is acknowledged, as far as the buffer, the
    /// quota and the memory ledger allow: takes it off the front of `text`, and returns how many
    /// octets. Little is copied all the same, and so is what the ledger does not take, into memory
    /// that the ring has.
    pub(crate) fn share(
        &mut self,
        text: &mut Bytes,
        quota: usize,
        memory: &mut Memory,
    ) -> Option<usize> {
        let room = text.len().min(quota).min(self.text.free());
        let shared = Some(room.min(memory.free())).filter(|len| *len >= SHARED_LEAST);
        if let Some(len) = shared {
            self.text.share(text.split_to(len));
            memory.settle(0, len);
        }
        let quota = quota - shared.unwrap_or_default();
        let copied = self.push_with(text.len(), quota, memory, |room| copy_in(text, room));
        drop(text.split_to(copied.unwrap_or_default()));
        shared.map(|len| len + copied.unwrap_or_default()).or(copied)
    }

    /// The same with text that lies elsewhere.
    #[cfg(test)]
    fn push(&mut self, bytes: &[u8], memory: &mut Memory) -> usize {
        self.push_with(bytes.len(), usize::MAX, memory, |room| copy_in(bytes, room)).unwrap_or(0)
    }

    /// The last text queued ends what the application has to say for now, or does not.
    pub(crate) fn set_pushed(&mut self, pushed: bool) {
        self.pushed = pushed;
    }

    /// New text that ends at `end` leaves, in a segment that is not full.
    pub(crate) fn on_small_sent(&mut self, end: Seq) {
        self.sml = end;
    }

    /// A segment that was not full is unacknowledged.
    pub(crate) fn is_small_outstanding(&self) -> bool {
        self.sml.after(self.una)
    }

    /// The segment with the last text queued is to carry PSH.
    pub(crate) fn is_pushed(&self) -> bool {
        self.pushed
    }

    /// Refused, and without text whose acknowledgment would make room: only the ledger can.
    pub(crate) fn is_starved(&self) -> bool {
        self.refused && self.text.allocated() == 0
    }

    /// The ledger has room: what was refused may be tried again.
    pub(crate) fn retry(&mut self) {
        self.refused = false;
    }

    /// The application closes its half: a FIN follows what is queued.
    pub(crate) fn queue_fin(&mut self) {
        if self.fin == Fin::None {
            self.fin = Fin::Queued;
        }
    }

    /// The most text that the buffer holds now.
    fn limit(&self) -> usize {
        let cap = self.text.cap();
        if self.refused { cap.min(self.text.allocated()) } else { cap }
    }

    /// Room for more text, bytes.
    pub(crate) fn room(&self) -> usize {
        let free = self.limit().saturating_sub(self.text.len());
        if self.fin == Fin::None { free } else { 0 }
    }

    /// A third of the buffer is free: worth waking a writer (as Linux's `sk_stream_is_writeable`).
    pub(crate) fn is_writable(&self) -> bool {
        let room = self.room();
        room > 0 && room * 3 >= self.limit()
    }

    /// Octets queued or unacknowledged.
    pub(crate) fn queued(&self) -> usize {
        self.text.len()
    }

    /// The most text that may be queued, bytes.
    pub(crate) fn buffer(&self) -> usize {
        self.text.cap()
    }

    pub(crate) fn set_buffer(&mut self, bytes: usize) {
        self.text.set_cap(bytes);
    }

    /// `len` octets of text from `offset` behind SND.UNA, in the two places in which it lies; None
    /// where they are more (some of it is shared).
    pub(crate) fn text(&self, offset: usize, len: usize) -> Option<[&[u8]; 2]> {
        self.text.peek(offset, len)
    }

    /// It lies in more than two places.
    pub(crate) fn is_scattered(&self, offset: usize, len: usize) -> bool {
        self.text.is_shared() && self.text.peek(offset, len).is_none()
    }

    /// The same, in as many places as it lies in.
    pub(crate) fn runs(&self, offset: usize, len: usize) -> impl Iterator<Item = &[u8]> {
        self.text.runs(offset, len)
    }

    /// SND.UNA < SEG.ACK =< SND.NXT: something new is acknowledged.
    pub(crate) fn is_new_ack(&self, ack: Seq) -> bool {
        ack.after(self.una) && ack.at_or_before(self.nxt)
    }

    /// Moves SND.UNA to `ack`, which [`Send::is_new_ack`] has accepted.
    /// Text that was shared is the ledger's no longer.
    pub(crate) fn on_ack(&mut self, ack: Seq, memory: &mut Memory) -> Acked {
        let fin = self.fin == Fin::Queued && ack.after(self.fin_seq());
        if fin {
            self.fin = Fin::Done;
        }
        let text = (ack.since(self.text_start()) as usize).min(self.text.len());
        let shared = self.text.consume(text, memory.gone());
        memory.settle(shared, 0);
        // What it gave back it may have again.
        self.refused &= shared == 0;
        self.una = ack;
        self.sml = self.sml.latest(ack);
        self.syn_acked = true;
        Acked { text: text as u32, fin }
    }

    /// Takes the window of a segment if it is not an older one (RFC 9293 §3.10.7.4, WL1 and WL2).
    /// True when SND.WND changed.
    pub(crate) fn update_window(&mut self, seq: Seq, ack: Seq, window: u32) -> bool {
        // "If SND.UNA =< SEG.ACK": a window that belongs to an older acknowledgment ends earlier.
        if ack.before(self.una) {
            return false;
        }
        // A segment that acknowledges more was sent later, though it may be a retransmission with
        // an old SEG.SEQ: its window belongs to its SEG.ACK.
        let newer =
            self.wl2.before(ack) || self.wl1.before(seq) || (self.wl1 == seq && self.wl2 == ack);
        if !newer {
            return false;
        }
        let changed = self.wnd != window;
        self.set_window(self.wl1.latest(seq), ack, window);
        changed
    }

    /// Sets SND.WND, SND.WL1 and SND.WL2 unconditionally: the handshake's segment.
    pub(crate) fn set_window(&mut self, seq: Seq, ack: Seq, window: u32) {
        self.wnd = window;
        self.max_wnd = self.max_wnd.max(window);
        self.wl1 = seq;
        self.wl2 = ack;
    }

    /// `len` octets of sequence space went out at SND.NXT.
    pub(crate) fn on_sent(&mut self, len: u32) {
        self.nxt += len;
    }

    /// Memory that the ring holds, bytes.
    pub(crate) fn allocated(&self) -> usize {
        self.text.allocated()
    }

    /// Nothing has been sent for a while: gives the memory of an empty ring back.
    pub(crate) fn rest(&mut self, memory: &mut Memory) {
        let before = self.text.allocated();
        self.text.release_if_empty();
        let after = self.text.allocated();
        memory.settle(before, after);
        // What it gave back it may have again.
        self.refused &= before == after;
    }

    /// The connection is over: gives the memory back.
    pub(crate) fn release(&mut self, memory: &mut Memory) {
        memory.settle(self.text.allocated(), 0);
        self.text.consume(usize::MAX, memory.gone());
        self.text = Text::new(0);
        self.fin = Fin::Done;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn established(iss: u32) -> (Send, Memory) {
        let mut send = Send::new(Seq(iss), 1000, 64 << 10);
        let memory = Memory::new(1 << 20);
        send.on_sent(1);
        let acked = send.on_ack(Seq(iss) + 1, &mut Memory::new(0));
        assert_eq!(acked, Acked { text: 0, fin: false });
        (send, memory)
    }

    #[test]
    fn s1_text_and_fin_at_every_edge_of_the_space() {
        for iss in [0, 1, 0x7fff_fffe, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff] {
            let (mut send, mut memory) = established(iss);
            assert_eq!(send.push(&[7; 2500], &mut memory), 2500);
            send.queue_fin();
            send.on_sent(2000);
            assert!(send.fin_is_next_after(500));
            send.on_sent(501);
            assert!(!send.has_unsent());
            assert_eq!(send.on_ack(Seq(iss) + 2001, &mut memory), Acked { text: 2000, fin: false });
            assert_eq!((send.unsent(), send.nxt_offset(), send.outstanding()), (0, 501, 501));
            let (una, nxt) = (send.una, send.nxt);
            assert_eq!((send.text_between(una, nxt), send.text_between(una, una + 9)), (500, 9));
            assert_eq!((send.text_between(nxt - 1, nxt), send.offset_of(nxt - 1)), (0, 500));
            assert_eq!(send.on_ack(Seq(iss) + 2502, &mut memory), Acked { text: 500, fin: true });
            send.rest(&mut memory);
            assert_eq!((send.outstanding(), memory.used()), (0, 0));
        }
    }

    #[test]
    fn s2_a_stream_goes_round_the_sequence_space() {
        let (mut send, mut memory) = established(100);
        let text = vec![7; 64 << 10];
        for round in 0..(9u64 << 30) / text.len() as u64 {
            assert_eq!(send.push(&text, &mut memory), text.len());
            assert_eq!((send.nxt_offset(), send.unsent()), (0, text.len()), "round {round}");
            assert!(!send.is_syn_next() && send.is_syn_acked());
            send.on_sent(text.len() as u32);
            let acked = send.on_ack(send.nxt, &mut memory);
            assert_eq!(acked, Acked { text: text.len() as u32, fin: false }, "round {round}");
        }
    }

    #[test]
    fn an_older_segment_does_not_move_the_window() {
        let (mut send, _) = established(100);
        send.set_window(Seq(50), Seq(101), 5000);
        assert!(!send.update_window(Seq(49), Seq(101), 9));
        assert!(!send.update_window(Seq(50), Seq(100), 9));
        assert!(send.update_window(Seq(50), Seq(101), 6000));
        assert!(send.update_window(Seq(51), Seq(101), 0));
        assert_eq!((send.wnd, send.max_wnd), (0, 6000));
    }

    #[test]
    fn t13_a_shrunk_window_leaves_nothing_usable() {
        let (mut send, mut memory) = established(0);
        send.push(&[0; 4000], &mut memory);
        send.on_sent(4000);
        send.set_window(Seq(1), Seq(1), 1000);
        assert_eq!(send.usable(), 0);
    }

    /// The ledger counts what is shared until it is acknowledged, and refuses it as it does copies.
    #[test]
    fn r12_shared_text_is_held_until_it_is_acknowledged() {
        let (mut send, _) = established(0);
        let mut memory = Memory::new(16_000);
        let all = Bytes::from(vec![7; 20_000]);
        let mut rest = all.clone();
        let taken = send.share(&mut rest, usize::MAX, &mut memory);
        assert_eq!((taken, rest.len(), memory.used()), (Some(15_000), 5_000, 15_000));
        assert!(!all.is_unique() && !send.is_starved(), "an acknowledgment will make room");
        assert_eq!(send.share(&mut rest, usize::MAX, &mut memory), None);
        assert_eq!(send.room(), 0);
        send.on_sent(15_000);
        send.on_ack(Seq(6_001), &mut memory);
        assert!(send.room() > 0, "the writer may try again");
        assert_eq!((memory.used(), send.queued(), send.allocated()), (9_000, 9_000, 9_000));
        assert_eq!(
            send.share(&mut rest, 4_000, &mut memory),
            Some(4_000),
            "no more than the quota"
        );
        assert_eq!(send.share(&mut rest, 1_000, &mut memory), Some(1_000), "little is copied");
        assert_eq!((rest.len(), send.allocated() - send.queued()), (0, 24));
        send.on_sent(5_000);
        send.on_ack(send.nxt, &mut memory);
        send.rest(&mut memory);
        assert_eq!((memory.used(), send.allocated()), (0, 0));
        drop(rest);
        memory.let_go();
        assert!(all.is_unique());
    }

    /// What a connection that is over has shared is let go.
    #[test]
    fn r12_nothing_is_shared_when_the_connection_is_over() {
        let (mut send, mut memory) = established(0);
        let all = Bytes::from(vec![7; 20_000]);
        assert_eq!(send.share(&mut all.clone(), usize::MAX, &mut memory), Some(20_000));
        send.release(&mut memory);
        memory.let_go();
        assert_eq!((memory.used(), all.is_unique()), (0, true));
    }

    #[test]
    fn r12_without_memory_nothing_is_taken() {
        let (mut send, _) = established(0);
        let mut memory = Memory::new(0);
        assert_eq!(send.push(&[0; 10], &mut memory), 0);
    }
}
