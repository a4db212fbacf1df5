//! TIME-WAIT (RFC 9293 §3.6.1, §3.10.7.4) in an entry of its own small type: it cannot retransmit,
//! and a flood of short connections costs 64 bytes each.

use super::reply::Reply;
use super::segment::{Flags, Segment};
use super::seq::Seq;
use super::timestamps;
use crate::store::queue::{Link, Linked};
use crate::time::Instant;
use crate::wire::address::SmallFlow;
use crate::wire::options::Timestamps;

/// The queue of entries by the time they end: all last equally long, so that first in is first
/// out and no timer is needed.
pub(crate) const EXPIRY: usize = 0;

/// What is left of a connection.
#[derive(Clone, Debug)]
pub(crate) struct TimeWait {
    pub(crate) flow: SmallFlow,
    pub(crate) snd_nxt: Seq,
    pub(crate) rcv_nxt: Seq,
    /// The window field last announced, which is not taken back.
    pub(crate) window: u16,
    /// An empty segment outside the window has been answered. Once is enough: two ends that
    /// disagree would answer each other for ever (THREATS T-9).
    pub(crate) answered: bool,
    /// TS.Recent and our clock's offset, where timestamps were in use.
    pub(crate) timestamps: Option<(u32, u32)>,
    pub(crate) expires: Instant,
    pub(crate) expiry: Link,
}

const _: () = assert!(core::mem::size_of::<TimeWait>() <= 64);

impl Linked<EXPIRY> for TimeWait {
    fn link(&mut self) -> &mut Link {
        &mut self.expiry
    }
}

/// What TIME-WAIT does with a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A new connection may begin here (MAY-2, RFC 6191); its ISN must be past this one.
    Reopen,
    /// The peer's FIN again: acknowledge it and wait anew.
    Restart,
    /// Acknowledge it.
    Ack,
    /// Nothing; a RST too is ignored (RFC 1337 §3, the safe choice).
    Ignore,
}

impl TimeWait {
    pub(crate) fn judge(&self, seg: &Segment<'_>) -> Verdict {
        if seg.has(Flags::RST) {
            return Verdict::Ignore;
        }
        if seg.has(Flags::SYN) {
            return if !seg.has(Flags::ACK) && self.is_newer(seg) {
                Verdict::Reopen
            } else {
                Verdict::Ack
            };
        }
        // Only the FIN can come again: whole, with text, or as its acknowledgment's echo.
        let end = seg.seq + seg.len();
        if seg.has(Flags::FIN) && end == self.rcv_nxt {
            return Verdict::Restart;
        }
        let unexpected = seg.seq != self.rcv_nxt && !self.answered;
        if seg.len() > 0 || unexpected { Verdict::Ack } else { Verdict::Ignore }
    }

    /// RFC 6191 §2: a greater timestamp, or a sequence number past the old ones.
    fn is_newer(&self, seg: &Segment<'_>) -> bool {
        match (self.timestamps, seg.options.timestamps) {
            (Some((recent, _)), Some(ts)) if ts.value != recent => {
                timestamps::is_older(recent, ts.value)
            }
            _ => seg.seq.after(self.rcv_nxt),
        }
    }

    /// The acknowledgment of all that the peer sent.
    pub(crate) fn ack(&self, now: Instant) -> Reply {
        let mut reply = Reply::new(self.flow.key(), self.snd_nxt, self.rcv_nxt, Flags::ACK);
        reply.window = self.window;
        reply.options.timestamps = self.timestamps.map(|(recent, offset)| Timestamps {
            value: timestamps::value(offset, now),
            echo: recent,
        });
        reply
    }
}
