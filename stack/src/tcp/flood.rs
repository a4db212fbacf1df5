//! A listener whose handshakes are at their limit (THREATS ): SYNs are answered with
//! cookies, which cost no memory, and third segments may bring them back.

use super::cookie::{self, Stamped};
use super::layer::TcpLayer;
use super::listener::Listener;
use super::open::default_mss;
use super::segment::{Flags, Segment};
use super::seq::Seq;
use super::syncache::{HalfOpen, Offer};
use super::timestamps;
use crate::counters::Counters;
use crate::store::arena::Key;
use crate::time::Instant;
use crate::wire::address::FlowKey;

impl TcpLayer {
    /// Cookies of this listener may be under way.
    pub(super) fn gives_cookies(&self, now: Instant, key: Key<Listener>) -> bool {
        self.listeners.get(key).is_some_and(|listener| now < listener.cookies_until)
    }

    /// Answers a SYN and forgets it. Without timestamps neither window scale nor SACK nor ECN is
    /// agreed on, for there is no place to remember them.
    pub(super) fn answer_with_cookie(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        key: Key<Listener>,
        flow: FlowKey,
        offer: Offer,
    ) {
        let Some(listener) = self.listeners.get_mut(key) else { return };
        counters.tcp_req_q_full_do_cookies += 1;
        listener.cookies_until = now + cookie::LIFE;
        let stamped = offer.timestamp.is_some();
        let kept = Offer { scale: offer.scale.filter(|_| stamped), ..offer };
        let kept = Offer { sack: offer.sack && stamped, ecn: offer.ecn && stamped, ..kept };
        let Some(mut half) = self.half_open_from(now, key, flow, kept) else { return };
        let mss = offer.mss.filter(|&mss| mss != 0).unwrap_or(default_mss(flow.remote.address));
        half.iss = self.cookies.make(&flow, offer.irs, mss, now);
        let mut reply = half.syn_ack(now);
        if let Some(option) = &mut reply.options.timestamps {
            let clock = timestamps::value(0, now);
            let said = Stamped { scale: kept.scale, sack: kept.sack, ecn: half.ecn };
            let value = cookie::stamp(clock, said);
            option.value = value.wrapping_add(half.timestamp_offset);
        }
        counters.tcp_cookies_sent += 1;
        self.replies.push(reply);
    }

    /// The segment acknowledges a cookie that the sender of the SYN at `irs` has got: it is no
    /// stranger's, even if it comes too late in the stream to show that itself.
    pub(super) fn knows_cookie(
        &self,
        now: Instant,
        key: Key<Listener>,
        flow: &FlowKey,
        irs: Seq,
        seg: &Segment<'_>,
    ) -> bool {
        seg.has(Flags::ACK)
            && self.gives_cookies(now, key)
            && self.cookies.check(flow, irs, seg.ack - 1, now).is_some()
    }

    /// The handshake that a third segment's cookie tells of.
    pub(super) fn redeem(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        key: Key<Listener>,
        flow: FlowKey,
        seg: &Segment<'_>,
    ) -> Option<HalfOpen> {
        if !self.gives_cookies(now, key) || !seg.has(Flags::ACK) || seg.has(Flags::SYN) {
            return None;
        }
        let (irs, iss) = (seg.seq - 1, seg.ack - 1);
        let Some(mss) = self.cookies.check(&flow, irs, iss, now) else {
            counters.tcp_cookies_failed += 1;
            return None;
        };
        if self.is_crowded(counters, key) {
            return None;
        }
        let offset = self.isn.timestamp_offset(&flow);
        let stamped = seg.options.timestamps.and_then(|option| {
            let echo = option.echo.wrapping_sub(offset);
            Some((option.value, cookie::unstamp(timestamps::value(0, now), echo)?))
        });
        let Stamped { scale, sack, ecn } = stamped.map(|(_, said)| said).unwrap_or_default();
        let timestamp = stamped.map(|(value, _)| value);
        // The third segment is heard right after, and says what the window is.
        let window = 0;
        let offer = Offer { irs, mss: Some(mss), scale, sack, ecn, timestamp, window };
        let half = self.half_open_from(now, key, flow, offer)?;
        counters.tcp_cookies_received += 1;
        Some(HalfOpen { iss, redeemed: true, ..half })
    }
}
