//! Half-open connections of passive opens: SYN-RECEIVED in a small entry (RFC 4987 §3.3), so that
//! a flood of SYNs costs little and a listener has no send buffer to lose.

use super::ecn;
use super::listener::Listener;
use super::reply::Reply;
use super::segment::{Flags, Segment};
use super::seq::Seq;
use super::timestamps;
use crate::store::arena::Key;
use crate::store::queue::{Link, Linked};
use crate::store::wheel::NodeId;
use crate::time::Instant;
use crate::wire::address::FlowKey;
use crate::wire::interface::InterfaceId;
use crate::wire::options::{Options, Timestamps};
use core::time::Duration;

/// The queue of half-open connections by age.
pub(crate) const AGE: usize = 0;
/// The queue of those of which a forwarder's program has not been told.
pub(crate) const FRESH: usize = 1;

/// What the peer's SYN says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer {
    pub(crate) irs: Seq,
    pub(crate) mss: Option<u16>,
    pub(crate) scale: Option<u8>,
    pub(crate) sack: bool,
    /// It asks for ECN.
    pub(crate) ecn: bool,
    /// TSval.
    pub(crate) timestamp: Option<u32>,
    /// The window, unscaled.
    pub(crate) window: u16,
}

impl Offer {
    pub(crate) fn of(syn: &Segment<'_>) -> Offer {
        let options = &syn.options;
        Offer {
            irs: syn.seq,
            mss: options.mss,
            scale: options.window_scale,
            sack: options.sack_permitted,
            ecn: ecn::asks(syn.flags),
            timestamp: options.timestamps.map(|ts| ts.value),
            window: syn.window,
        }
    }
}

/// What a handshake has to remember.
#[derive(Clone, Debug)]
pub(crate) struct HalfOpen {
    pub(crate) flow: FlowKey,
    pub(crate) listener: Key<Listener>,
    pub(crate) irs: Seq,
    pub(crate) iss: Seq,
    /// Effective send MSS.
    pub(crate) mss: u16,
    /// MSS that the SYN-ACK announces.
    pub(crate) announced_mss: u16,
    /// The peer's window scale, if it sent one.
    pub(crate) peer_scale: Option<u8>,
    /// Ours.
    pub(crate) scale: u8,
    pub(crate) sack: bool,
    /// ECN is agreed on, as far as we are concerned.
    pub(crate) ecn: bool,
    /// The peer's latest TSval, if it sent one.
    pub(crate) timestamp: Option<u32>,
    pub(crate) timestamp_offset: u32,
    /// The window of the peer's SYN.
    pub(crate) peer_window: u16,
    /// Window to announce.
    pub(crate) window: u16,
    pub(crate) ttl: u8,
    pub(crate) tos: u8,
    /// The interface that its listener is bound to.
    pub(crate) only: Option<InterfaceId>,
    /// The SYN came again and was answered again: the handshake cannot be timed (Karn).
    pub(crate) repeated: bool,
    /// A cookie brought it back.
    pub(crate) redeemed: bool,
    /// A forwarder's program has yet to say what becomes of the SYN, which nobody has answered.
    pub(crate) undecided: bool,
    /// When a segment outside the window was last answered.
    pub(crate) challenged_at: Option<Instant>,
    /// SYN-ACKs sent again by the timer.
    pub(crate) retries: u8,
    pub(crate) sent_at: Instant,
    pub(crate) node: Option<NodeId>,
    pub(crate) age: Link,
    pub(crate) fresh: Link,
}

impl Linked<AGE> for HalfOpen {
    fn link(&mut self) -> &mut Link {
        &mut self.age
    }
}

impl Linked<FRESH> for HalfOpen {
    fn link(&mut self) -> &mut Link {
        &mut self.fresh
    }
}

/// What SYN-RECEIVED does with a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The handshake is finished: make a connection, and give it the segment.
    Establish,
    /// A RST from the peer, or a SYN that begins anew: back to LISTEN.
    Remove,
    /// The same SYN again: answer it again.
    Repeat,
    /// An acknowledgment of something never sent.
    Reset,
    /// Outside the window: an acknowledgment in reply.
    Ack,
    /// Nothing.
    Ignore,
}

/// First SYN-ACK retransmission after this long, doubled each time (RFC 6298 §2.1).
const RETRANSMIT_AFTER: Duration = Duration::from_secs(1);

impl HalfOpen {
    /// RFC 9293 §3.10.7.4 for SYN-RECEIVED of a passive open, with RFC 5961 §3 and RFC 7323 §5.
    pub(crate) fn judge(&self, seg: &Segment<'_>) -> Verdict {
        if let (Some(recent), Some(ts)) = (self.timestamp, seg.options.timestamps)
            && timestamps::is_older(ts.value, recent)
            && !seg.has(Flags::RST)
        {
            return Verdict::Ack;
        }
        if self.is_syn_again(seg) {
            return Verdict::Repeat;
        }
        let nxt = self.irs + 1;
        let edge = nxt + u32::from(self.window);
        if seg.seq.before(nxt) || seg.seq.at_or_after(edge) {
            return if seg.has(Flags::RST) { Verdict::Ignore } else { Verdict::Ack };
        }
        if seg.has(Flags::RST) {
            return if seg.seq == nxt { Verdict::Remove } else { Verdict::Ack };
        }
        if seg.has(Flags::SYN) {
            // "If the connection was initiated with a passive OPEN, return to LISTEN."
            return Verdict::Remove;
        }
        // Without the timestamp that both agreed on it is nobody's (RFC 7323 §3.2).
        let stamped = self.timestamp.is_none() || seg.options.timestamps.is_some();
        if !seg.has(Flags::ACK) || !stamped {
            return Verdict::Ignore;
        }
        if seg.ack == self.iss + 1 { Verdict::Establish } else { Verdict::Reset }
    }

    /// The SYN that began this, once more; with ECN's bits too (RFC 3168 §6.1.1).
    fn is_syn_again(&self, seg: &Segment<'_>) -> bool {
        let other = [Flags::ACK, Flags::RST, Flags::FIN].into_iter().any(|flag| seg.has(flag));
        seg.has(Flags::SYN) && !other && seg.seq == self.irs
    }

    /// The SYN-ACK.
    pub(crate) fn syn_ack(&self, now: Instant) -> Reply {
        let flags = Flags::SYN.with(Flags::ACK);
        let flags = if self.ecn { flags.with(Flags::ECE) } else { flags };
        let mut reply = Reply::new(self.flow, self.iss, self.irs + 1, flags);
        reply.window = self.window;
        reply.options = Options {
            mss: Some(self.announced_mss),
            window_scale: self.peer_scale.map(|_| self.scale),
            sack_permitted: self.sack,
            timestamps: self.timestamps(now),
            ..Options::default()
        };
        (reply.ttl, reply.tos, reply.only) = (self.ttl, self.tos, self.only);
        reply
    }

    /// The acknowledgment for a segment outside the window.
    pub(crate) fn ack(&self, now: Instant) -> Reply {
        let mut reply = Reply::new(self.flow, self.iss + 1, self.irs + 1, Flags::ACK);
        reply.window =
            if self.peer_scale.is_some() { self.window >> self.scale } else { self.window };
        reply.options.timestamps = self.timestamps(now);
        (reply.ttl, reply.tos, reply.only) = (self.ttl, self.tos, self.only);
        reply
    }

    /// Whether a segment outside the window may be answered: one each `interval` (THREATS T-9).
    pub(crate) fn challenge(&mut self, now: Instant, interval: Duration) -> bool {
        let allowed = self.challenged_at.is_none_or(|at| now - at >= interval);
        if allowed {
            self.challenged_at = Some(now);
        }
        allowed
    }

    fn timestamps(&self, now: Instant) -> Option<Timestamps> {
        let echo = self.timestamp?;
        Some(Timestamps { value: timestamps::value(self.timestamp_offset, now), echo })
    }

    /// When the SYN-ACK is to be sent again.
    pub(crate) fn retransmit_at(&self, now: Instant) -> Instant {
        now + RETRANSMIT_AFTER * (1 << self.retries.min(6))
    }
}
