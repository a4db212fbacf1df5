//! Segments follow the path: smaller ones where it does not carry them, greater ones where it does
//! again (RFC 1191 §6, RFC 8201 §5, RFC 4821 §7). Part of the body; what is known stands in `path`.

use super::flight::Record;
use super::open::TIMESTAMP_OCTETS;
use super::path::News;
use super::scoreboard::Range;
use super::seq::Seq;
use super::tcb::{Cx, Tcb};
use crate::net::pmtu::PathMtu;
use crate::time::Instant;

/// So many time-outs running are believed to be about the size of segments: one less than Linux,
/// that a transfer goes on within ten first time-outs (THREATS T-17).
const BLACK_HOLE_AFTER: usize = 3;

impl Tcb {
    fn stamped(&self) -> u16 {
        if self.timestamps.is_some() { TIMESTAMP_OCTETS } else { 0 }
    }

    /// Both hosts take `mss` octets of text; the path may carry less.
    pub(super) fn limit_segments(&mut self, mss: u16) {
        self.path.limit(mss + self.stamped());
        self.size_segments();
    }

    fn size_segments(&mut self) {
        self.snd.mss = self.path.size().saturating_sub(self.stamped());
    }

    /// Our link may carry less than when the connection began, or more again, for a router says so
    /// (RFC 4861 §6.3.4). What flies has left, so nothing is lost.
    pub(super) fn follow_link(&mut self, cx: &Cx<'_>) {
        if self.path.on_link(cx.now, cx.links.mtu(self.interface).to(self.flow.remote.address)) {
            self.size_segments();
        }
    }

    /// An error may be about a segment with this number (RFC 5927 §4.1).
    pub(crate) fn is_in_flight(&self, seq: Seq) -> bool {
        seq.at_or_after(self.snd.una) && seq.before(self.snd.nxt)
    }

    /// A router's word on the path, about a segment in flight: what was lost goes again at once.
    pub(crate) fn on_path_mtu(&mut self, cx: &mut Cx<'_>, path: PathMtu) {
        let news = self.path.on_too_big(cx.now, path);
        cx.counters.tcp_mtup_fail += u64::from(matches!(news, News::ProbeLost(..)));
        self.resize(news);
    }

    fn resize(&mut self, news: News) {
        self.size_segments();
        match news {
            News::Smaller => self.lose_oversized(),
            News::ProbeLost(start, end) => self.lose_probe((start, end)),
            News::Nothing => {}
        }
    }

    /// A path takes smaller segments now: what was larger did not arrive, and says nothing about
    /// congestion (RFC 1191 §6.4, RFC 8201 §5.4).
    fn lose_oversized(&mut self) {
        let (mss, episode) = (self.snd.mss_u32(), 0);
        self.delivering.flight.lose(episode, |record| record.len() > mss, |_| ());
        self.marks.retransmit = true;
    }

    /// A path does not carry a probe that was longer than all else, which says nothing about what
    /// flies beside it (RFC 4821 §7.4), nor about congestion.
    fn lose_probe(&mut self, (start, end): Range) {
        let is_probe = |record: &Record| record.start.before(end) && record.end.after(start);
        self.delivering.flight.lose(0, is_probe, |_| ());
        self.marks.retransmit = true;
    }

    /// A time-out: if it is not the first, segments may be too long for a path that says nothing
    /// (RFC 4821 §7.7). Whatever else it was, greater ones are tried as soon as text arrives again.
    /// What goes again is as long as what went before: records side by side make one segment.
    pub(super) fn suspect_black_hole(&mut self, now: Instant) {
        self.path.forget_probe();
        let mss = self.snd.mss_u32();
        let Some((start, end)) = self.delivering.flight.first_lost(mss) else { return };
        let doubts = (usize::from(self.rto.expiries()) + 2).saturating_sub(BLACK_HOLE_AFTER);
        if doubts > 0 {
            let len = end.since(start).min(mss) as u16 + self.stamped();
            let news = self.path.on_black_hole(now, len, doubts);
            self.resize(news);
        }
    }

    /// Octets of text for a segment that asks whether the path carries more (RFC 4821 §7.1): only
    /// while all is well, for a loss would not be told from others.
    pub(super) fn wants_path_probe(&self, now: Instant) -> Option<u16> {
        let size = self.path.wants_probe(now)?;
        let calm = self.recovery.is_open() && self.delivering.flight.lost() == 0;
        let plain = !self.rcv.has_reports() && !self.is_corked();
        (calm && plain).then(|| size.saturating_sub(self.stamped()))
    }

    /// All before SND.UNA has arrived.
    pub(super) fn note_path_probe(&mut self, cx: &mut Cx<'_>) {
        if self.path.on_ack(cx.now, self.snd.una) {
            cx.counters.tcp_mtup_success += 1;
            self.size_segments();
            self.congestion.on_segments_grown(self.snd.mss_u32());
        }
    }
}
