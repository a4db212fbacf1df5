//! Explicit Congestion Notification (RFC 3168 §6.1, RFC 8511): what both ends agreed on, the echo
//! that the receiver owes, and how often the sender reacts. An organ: flags in, flags out.
//!
//! ```text
//!  sender                         router                         receiver
//!    | text, ECT(0) ----------------->| marks ------------ text, CE ->|
//!    |<-------------------------------------------- every segment, ECE |
//!    | window shrinks, once                                           |
//!    | next new text, CWR ------------------------------------------->| no more ECE
//! ```

use super::segment::Flags;
use super::seq::Seq;
use crate::wire::ecn::Codepoint;

/// Both bits: in a SYN the wish for ECN.
pub(crate) const SETUP: Flags = Flags::ECE.with(Flags::CWR);

/// `flags` are of a SYN that asks for ECN (§6.1.1, ECN-setup SYN).
pub(crate) fn asks(flags: Flags) -> bool {
    flags.has(Flags::SYN) && !flags.has(Flags::ACK) && flags.has(SETUP)
}

/// `flags` are of a SYN-ACK that agrees: one bit and not both, for some hosts send back what they
/// got (§6.1.1, ECN-setup SYN-ACK).
fn agrees(flags: Flags) -> bool {
    flags.has(Flags::ECE) && !flags.has(Flags::CWR)
}

/// Our SYN or SYN-ACK has asked or agreed.
const OFFERED: u8 = 1;
/// One of ours has not, and no text of ours may be ECT (§6.1.1).
const PLAIN: u8 = 1 << 1;
/// The peer has asked or agreed: its marks are echoed.
const AGREED: u8 = 1 << 2;
/// ECE goes with every segment, until CWR comes (§6.1.3).
const ECHOES: u8 = 1 << 3;
/// The next new text says that the window was reduced (§6.1.2).
const TELLS: u8 = 1 << 4;
/// A mark came back while a loss was being repaired: it counts if the loss was none.
const PENDING: u8 = 1 << 5;
/// The peer's text has been ECT.
const SEEN: u8 = 1 << 6;

/// One connection's ECN: small, for every connection has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ecn {
    /// Of the above.
    bits: u8,
    /// A reduction covers everything up to here: no other for marks on it (§6.1.2).
    reduced: Seq,
}

impl Ecn {
    pub(crate) const fn new(iss: Seq) -> Ecn {
        Ecn { bits: 0, reduced: iss }
    }

    /// A handshake that a small entry has led: it agreed, or it did not.
    pub(crate) const fn accepted(iss: Seq, agreed: bool) -> Ecn {
        Ecn { bits: if agreed { OFFERED | AGREED } else { PLAIN }, reduced: iss }
    }

    /// The peer's SYN has asked, or not; our SYN-ACK is still to be sent.
    pub(crate) const fn asked(iss: Seq, asks: bool) -> Ecn {
        Ecn { bits: if asks { AGREED } else { 0 }, reduced: iss }
    }

    const fn has(&self, bits: u8) -> bool {
        self.bits & bits == bits
    }

    fn set(&mut self, bit: u8, on: bool) {
        self.bits = if on { self.bits | bit } else { self.bits & !bit };
    }

    fn take(&mut self, bit: u8) -> bool {
        let was = self.has(bit);
        self.set(bit, false);
        was
    }

    /// The flags of our SYN: with the wish if `wanted`, and the first time only, for a path may
    /// drop what asks (§6.1.1.1).
    pub(crate) fn on_syn(&mut self, wanted: bool, again: bool) -> Flags {
        if wanted && !again {
            self.set(OFFERED, true);
            return Flags::SYN.with(SETUP);
        }
        self.set(PLAIN, true);
        Flags::SYN
    }

    /// The flags of our SYN-ACK in a simultaneous open.
    pub(crate) fn on_syn_ack(&mut self) -> Flags {
        let syn_ack = Flags::SYN.with(Flags::ACK);
        if self.has(AGREED) {
            self.set(OFFERED, true);
            return syn_ack.with(Flags::ECE);
        }
        self.set(PLAIN, true);
        syn_ack
    }

    /// The peer's SYN or SYN-ACK came in SYN-SENT; `accepts` if it may ask.
    pub(crate) fn on_peer_syn(&mut self, flags: Flags, accepts: bool) {
        let agreed = if flags.has(Flags::ACK) {
            self.has(OFFERED) && agrees(flags)
        } else {
            accepts && asks(flags)
        };
        self.set(AGREED, agreed);
    }

    /// The peer's SYN came once more while ours is unacknowledged. One that no longer asks is the
    /// last word: nothing more of ours is ECT (§6.1.1), nor says what became of what was.
    pub(crate) fn on_syn_again(&mut self, flags: Flags) {
        if !asks(flags) {
            self.set(AGREED | TELLS, false);
        }
    }

    /// ECN is in use.
    pub(crate) const fn is_on(&self) -> bool {
        self.has(AGREED | OFFERED)
    }

    /// New text may be ECT(0).
    pub(crate) const fn marks(&self) -> bool {
        self.is_on() && !self.has(PLAIN)
    }

    /// The peer's text has been ECT.
    pub(crate) const fn has_seen(&self) -> bool {
        self.has(SEEN)
    }

    /// Text of ours leaves for the first time: CWR, if it is due.
    pub(crate) fn on_new_text(&mut self) -> Flags {
        if self.take(TELLS) { Flags::CWR } else { Flags(0) }
    }

    /// What every segment says.
    pub(crate) const fn echo(&self) -> Flags {
        if self.has(ECHOES) { Flags::ECE } else { Flags(0) }
    }

    /// Text in the window arrived, in a packet of this codepoint. True when the peer should hear of
    /// it at once, for its window may be small.
    pub(crate) fn on_text(&mut self, cwr: bool, codepoint: Codepoint) -> bool {
        if !self.is_on() {
            return false;
        }
        let (ce, before) = (codepoint == Codepoint::Ce, self.has(ECHOES));
        self.set(SEEN, self.has(SEEN) || codepoint != Codepoint::NotEct);
        self.set(ECHOES, ce || (before && !cwr));
        cwr || (ce && !before)
    }

    /// An acknowledgment that echoes a mark came. True when the window is to be reduced: once for
    /// what is out, and not while a loss is being repaired (`open` is false), for that was reduced
    /// for.
    pub(crate) fn on_echo(&mut self, una: Seq, open: bool) -> bool {
        if !self.marks() {
            return false;
        }
        self.set(PENDING, self.has(PENDING) || !open);
        open && una.after(self.reduced)
    }

    /// The window has been reduced, for whatever reason: the peer is told (§6.1.2), and marks on
    /// what is out, up to `nxt`, lead to no other.
    pub(crate) fn on_reduced(&mut self, nxt: Seq) {
        self.reduced = nxt;
        self.set(TELLS, self.marks());
        self.set(PENDING, false);
    }

    /// A reduction was for nothing. True when a mark that came in the meantime is a reason.
    pub(crate) fn on_undone(&mut self) -> bool {
        self.take(PENDING)
    }

    /// Kept near SND.UNA: after 2 GiB without a reduction it would count as ahead again.
    pub(crate) fn on_advance(&mut self, una: Seq) {
        if una.after(self.reduced) {
            self.reduced = una - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYN_ACK: Flags = Flags::SYN.with(Flags::ACK);

    fn connected() -> Ecn {
        let mut ecn = Ecn::new(Seq(0));
        assert_eq!(ecn.on_syn(true, false), Flags::SYN.with(SETUP));
        ecn.on_peer_syn(SYN_ACK.with(Flags::ECE), true);
        ecn
    }

    #[test]
    fn rfc_3168_section_6_1_1_both_have_to_agree() {
        assert!(connected().marks());
        for (asked, answer) in [
            (true, SYN_ACK),
            (true, SYN_ACK.with(SETUP)),
            (true, SYN_ACK.with(Flags::CWR)),
            (false, SYN_ACK.with(Flags::ECE)),
        ] {
            let mut ecn = Ecn::new(Seq(0));
            ecn.on_syn(asked, false);
            ecn.on_peer_syn(answer, true);
            assert!(!ecn.is_on(), "{asked} {answer:?}");
        }
    }

    #[test]
    fn rfc_3168_section_6_1_1_who_sent_a_plain_syn_marks_nothing_but_echoes() {
        let mut ecn = Ecn::new(Seq(0));
        ecn.on_syn(true, false);
        assert_eq!(ecn.on_syn(true, true), Flags::SYN, "without the second time");
        ecn.on_peer_syn(SYN_ACK.with(Flags::ECE), true);
        assert!(ecn.is_on() && !ecn.marks());
        assert!(ecn.on_text(false, Codepoint::Ce));
        assert_eq!(ecn.echo(), Flags::ECE);
    }

    #[test]
    fn rfc_3168_section_6_1_3_the_echo_lasts_until_cwr() {
        let mut ecn = connected();
        assert!(!ecn.on_text(false, Codepoint::Ect0));
        assert_eq!(ecn.echo(), Flags(0));
        assert!(ecn.on_text(false, Codepoint::Ce));
        assert!(!ecn.on_text(false, Codepoint::Ect0));
        assert_eq!(ecn.echo(), Flags::ECE);
        assert!(ecn.on_text(true, Codepoint::Ce), "marked again");
        assert_eq!(ecn.echo(), Flags::ECE);
        assert!(ecn.on_text(true, Codepoint::Ect0));
        assert_eq!(ecn.echo(), Flags(0));
    }

    #[test]
    fn rfc_3168_section_6_1_2_one_reduction_for_a_window() {
        let mut ecn = connected();
        assert!(ecn.on_echo(Seq(1001), true));
        ecn.on_reduced(Seq(10_001));
        assert_eq!(ecn.on_new_text(), Flags::CWR);
        assert_eq!(ecn.on_new_text(), Flags(0));
        assert!(!ecn.on_echo(Seq(5001), true) && !ecn.on_echo(Seq(10_001), true));
        assert!(ecn.on_echo(Seq(10_002), true));
    }

    #[test]
    fn a_mark_during_a_repair_counts_when_the_loss_was_none() {
        let mut ecn = connected();
        ecn.on_reduced(Seq(10_001));
        assert!(!ecn.on_echo(Seq(5001), false));
        assert!(ecn.on_undone() && !ecn.on_undone());
    }

    #[test]
    fn s2_a_reduction_is_possible_after_gibibytes_without_one() {
        let mut ecn = connected();
        let mut una = Seq(1);
        for _ in 0..200 {
            una += 1 << 24;
            ecn.on_advance(una);
        }
        assert!(ecn.on_echo(una, true));
    }
}
