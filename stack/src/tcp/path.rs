//! How much a connection's path carries: what routers say (RFC 1191, RFC 8201), and what the
//! segments themselves show where nobody says anything (RFC 4821). An organ: it knows sizes and
//! times; what is sent, and what was lost, is decided in `resize`.
//!
//! ```text
//!    least     size                         high     most
//!   ---|--------|----------|-----------------|--------|--
//!      gets     segments   what is tried     does not
//!      through             next              get through
//! ```
//!
//! All sizes are octets behind the headers of IP and TCP, options included.

use super::seq::Seq;
use crate::net::pmtu::PathMtu;
use crate::time::Instant;
use crate::wire::emit::{IPV4_HEADER, IPV6_HEADER, TCP_HEADER};
use core::time::Duration;

/// What a path without a voice is believed to carry: with headers 1064 bytes, and where that does
/// not get through either, the 576 that every host takes (RFC 4821 §7.2, as Linux).
const BASES_V4: [u16; 2] = [1024, 536];
/// Every link of IPv6 carries 1280 bytes.
const BASES_V6: [u16; 1] = [1220];

/// The search ends where there is no more than this to win (as Linux's `tcp_probe_threshold`).
const THRESHOLD: u16 = 8;

/// How long a size found stands before a greater one is tried (RFC 1191 §6.3, RFC 4821 §7.7).
const LIFE: Duration = Duration::from_secs(600);

/// What became of a probe, or of all segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// Segments are smaller from now on, and what was larger is lost.
    Smaller,
    /// The probe alone did not get through: what lies between these two.
    ProbeLost(Seq, Seq),
    /// Nothing changes.
    Nothing,
}

/// What is known of a connection's path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path {
    v4: bool,
    /// What both hosts take.
    agreed: u16,
    /// What both hosts and our link take.
    most: u16,
    /// In force: it gets through.
    size: u16,
    /// No more than this gets through, as far as the search has come.
    high: u16,
    /// Tried next, once it is time.
    next: u16,
    /// When a size above `size` is tried; never, where there is none.
    again: Instant,
    /// The probe that is in flight: where it begins and ends, and its size.
    probe: Option<(Seq, Seq, u16)>,
}

impl Path {
    /// A path of which nothing is known: it carries what the hosts take.
    pub(crate) fn new(v4: bool, most: u16) -> Path {
        let again = Instant::FAR_FUTURE;
        Path { v4, agreed: most, most, size: most, high: most, next: most, again, probe: None }
    }

    /// Octets behind the headers of IP and TCP.
    pub(crate) fn size(&self) -> u16 {
        self.size
    }

    /// Octets of a packet, headers and all.
    pub(crate) fn mtu(&self) -> u32 {
        let ip = if self.v4 { IPV4_HEADER } else { IPV6_HEADER };
        u32::from(self.size) + (ip + TCP_HEADER) as u32
    }

    /// The hosts take this and no more.
    pub(crate) fn limit(&mut self, most: u16) {
        self.agreed = most;
        self.take_at_most(most);
    }

    fn take_at_most(&mut self, most: u16) {
        (self.most, self.high, self.next) = (most, most, most);
        if self.size >= most {
            (self.size, self.again) = (most, Instant::FAR_FUTURE);
        }
    }

    /// Our link carries packets of `mtu` bytes now. True: that is news. Where it carries more than
    /// it did, segments ask whether the rest of the path does, too.
    pub(crate) fn on_link(&mut self, now: Instant, mtu: usize) -> bool {
        let carried = mtu.saturating_sub(self.headers().into());
        let (most, before) = (carried.min(self.agreed.into()) as u16, self.most);
        if most == before {
            return false;
        }
        self.forget_probe();
        self.take_at_most(most);
        if most > before && self.size == before {
            self.again = now;
        }
        true
    }

    fn headers(&self) -> u16 {
        if self.v4 { 40 } else { 60 }
    }

    /// What was learnt before (RFC 8201 §5.2): it is as good as learnt now.
    pub(crate) fn remember(&mut self, path: PathMtu) {
        let size = path.mtu.saturating_sub(self.headers());
        if size < self.size {
            (self.size, self.again) = (size, path.until);
            (self.high, self.next) = (self.most, self.most);
        }
    }

    /// A router has said what fits.
    pub(crate) fn on_too_big(&mut self, now: Instant, path: PathMtu) -> News {
        let size = path.mtu.saturating_sub(self.headers());
        let probe = self.probe.take();
        if size < self.size {
            self.remember(path);
            return News::Smaller;
        }
        let Some((start, end, _)) = probe else { return News::Nothing };
        // Now it is known exactly.
        self.high = size;
        self.go_on(now, (size > self.size).then_some(size));
        News::ProbeLost(start, end)
    }

    /// Segments of `len` octets, options included, time out again and again, and no router says
    /// why: perhaps they are too long for a path that is silent (RFC 4821 §7.7).
    /// The lower base is for those who have waited once more: `doubts` counts the time-outs.
    pub(crate) fn on_black_hole(&mut self, now: Instant, len: u16, doubts: usize) -> News {
        self.probe = None;
        let bases: &[u16] = if self.v4 { &BASES_V4 } else { &BASES_V6 };
        let mut bases = bases.iter().take(doubts).copied();
        let base = bases.find(|&base| base < len.min(self.size));
        let Some(base) = base else { return News::Nothing };
        self.size = base;
        // Perhaps it was something else: what both take is tried first.
        (self.high, self.next, self.again) = (self.most, self.most, now);
        News::Smaller
    }

    /// The size to try now, if it is time.
    pub(crate) fn wants_probe(&self, now: Instant) -> Option<u16> {
        let due = self.again <= now && self.probe.is_none() && self.next > self.size;
        due.then_some(self.next)
    }

    /// A probe has left, of the size that was wanted.
    pub(crate) fn on_probe_sent(&mut self, start: Seq, end: Seq) {
        self.probe = Some((start, end, self.next));
    }

    /// Whatever becomes of the probe says nothing about the path.
    pub(crate) fn forget_probe(&mut self) {
        self.probe = None;
    }

    /// All before `una` has arrived. True: with a probe, and `size` has grown.
    pub(crate) fn on_ack(&mut self, now: Instant, una: Seq) -> bool {
        let Some((.., size)) = self.probe.filter(|(_, end, _)| end.at_or_before(una)) else {
            return false;
        };
        self.probe = None;
        self.size = size;
        let next = self.middle();
        self.go_on(now, next);
        true
    }

    /// Something goes again. True: it was the probe, which is lost.
    pub(crate) fn on_resent(&mut self, now: Instant, start: Seq, end: Seq) -> bool {
        let meets = |probe: &(Seq, Seq, u16)| start.before(probe.1) && end.after(probe.0);
        let Some((.., size)) = self.probe.filter(meets) else { return false };
        self.probe = None;
        self.high = size - 1;
        let next = self.middle();
        self.go_on(now, next);
        true
    }

    /// Half the way up, as long as there is something to win.
    fn middle(&self) -> Option<u16> {
        let gap = self.high.saturating_sub(self.size);
        (gap >= THRESHOLD).then(|| self.size + gap.div_ceil(2))
    }

    /// The search goes on at `next`, or rests and then begins anew from above.
    fn go_on(&mut self, now: Instant, next: Option<u16>) {
        if let Some(next) = next {
            self.next = next;
            return;
        }
        (self.high, self.next) = (self.most, self.most);
        let whole = self.size == self.most;
        self.again = if whole { Instant::FAR_FUTURE } else { now + LIFE };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Instant {
        Instant::from_secs(secs)
    }

    fn told(mtu: u16, now: Instant) -> PathMtu {
        PathMtu { mtu, until: now + LIFE }
    }

    /// Probes until the search rests, over a path that carries `carries` octets: what was found,
    /// and how many probes were lost.
    fn search(path: &mut Path, now: Instant, carries: u16) -> (u16, u32) {
        let mut lost = 0;
        let mut start = Seq(u32::MAX - 3_000);
        while let Some(size) = path.wants_probe(now) {
            let end = start + u32::from(size);
            path.on_probe_sent(start, end);
            assert_eq!(path.wants_probe(now), None, "one at a time");
            assert!(!path.on_ack(now, start) && !path.on_resent(now, end, end + 1));
            if size <= carries {
                assert!(path.on_ack(now, end));
            } else {
                assert!(path.on_resent(now, start, start + 1));
                lost += 1;
            }
            start = end;
        }
        (path.size(), lost)
    }

    #[test]
    fn t17_a_silent_path_is_found_out_and_searched() {
        for carries in 1_024..=1_460 {
            let mut path = Path::new(true, 1_460);
            assert_eq!(path.wants_probe(at(9_999)), None, "nothing to win");
            assert_eq!(path.on_black_hole(at(1), 1_460, 2), News::Smaller);
            assert_eq!(path.size(), 1_024);
            let (size, lost) = search(&mut path, at(1), carries);
            assert!(size <= carries && carries - size < THRESHOLD, "{size} of {carries}");
            assert!(lost <= 7, "{lost} probes lost");
            // Later the path may be another.
            let next = path.wants_probe(at(601));
            assert_eq!(next, (size < 1_460).then_some(1_460));
        }
    }

    #[test]
    fn t17_each_base_in_turn_and_never_less() {
        let mut path = Path::new(true, 8_960);
        for size in [1_024, 536] {
            assert_eq!((path.on_black_hole(at(1), 8_960, 2), path.size()), (News::Smaller, size));
        }
        assert_eq!((path.on_black_hole(at(1), 8_960, 2), path.size()), (News::Nothing, 536));
        let mut short = Path::new(true, 1_460);
        assert_eq!(short.on_black_hole(at(1), 400, 2), News::Nothing, "not because of its length");
        let mut v6 = Path::new(false, 1_440);
        assert_eq!((v6.on_black_hole(at(1), 1_440, 2), v6.size()), (News::Smaller, 1_220));
        assert_eq!(v6.on_black_hole(at(1), 1_440, 2), News::Nothing);
    }

    #[test]
    fn rfc1191_6_3_a_router_s_word_ages_and_the_path_is_tried_again() {
        let mut path = Path::new(true, 1_460);
        assert_eq!(path.on_too_big(at(0), told(1_400, at(0))), News::Smaller);
        assert_eq!(path.on_too_big(at(0), told(1_450, at(0))), News::Nothing, "never wider");
        assert_eq!((path.size(), path.wants_probe(at(599))), (1_360, None));
        // The router says so once more, of a probe this time.
        assert_eq!(path.wants_probe(at(600)), Some(1_460));
        let lost = News::ProbeLost(Seq(0), Seq(1_460));
        path.on_probe_sent(Seq(0), Seq(1_460));
        assert_eq!(path.on_too_big(at(601), told(1_400, at(601))), lost);
        assert_eq!((path.size(), path.wants_probe(at(1_200))), (1_360, None));
        // And then it knows a wider path, and says how wide.
        assert_eq!(path.wants_probe(at(1_201)), Some(1_460));
        path.on_probe_sent(Seq(0), Seq(1_460));
        assert_eq!(path.on_too_big(at(1_201), told(1_450, at(1_201))), lost);
        assert_eq!(search(&mut path, at(1_201), 1_410), (1_410, 0));
        // At last it is gone.
        assert_eq!(search(&mut path, at(1_802), 1_460), (1_460, 0));
        assert_eq!(path.wants_probe(at(99_999)), None);
    }

    #[test]
    fn what_is_remembered_counts_from_the_first_segment() {
        let mut path = Path::new(true, 1_460);
        path.remember(told(1_400, at(0)));
        path.limit(1_448);
        assert_eq!((path.size(), path.wants_probe(at(600))), (1_360, Some(1_448)));
        path.limit(1_000);
        assert_eq!((path.size(), path.wants_probe(at(600))), (1_000, None), "the peer takes less");
    }

    #[test]
    fn rfc4861_6_3_4_our_link_carries_less_and_more_again() {
        let mut path = Path::new(false, 1_440);
        path.limit(1_400);
        assert!(!path.on_link(at(1), 1_500) && path.size() == 1_400, "it was no bound");
        assert!(path.on_link(at(1), 1_280) && !path.on_link(at(2), 1_280));
        assert_eq!((path.size(), path.wants_probe(at(9_999))), (1_220, None));
        assert!(path.on_link(at(3), 9_000));
        assert_eq!(
            (path.size(), path.wants_probe(at(3))),
            (1_220, Some(1_400)),
            "the hosts' bound"
        );
        // While a longer one asks, the link becomes narrow: nothing is learnt from it.
        path.on_probe_sent(Seq(0), Seq(1_400));
        assert!(path.on_link(at(4), 1_300));
        assert!(!path.on_ack(at(5), Seq(1_400)) && path.size() == 1_220);
        assert_eq!(path.wants_probe(at(4)), Some(1_240));
        // What a router further on has said stands.
        let mut path = Path::new(false, 1_440);
        path.remember(told(1_300, at(0)));
        assert!(path.on_link(at(1), 1_400) && path.on_link(at(2), 1_500));
        assert_eq!((path.size(), path.wants_probe(at(599))), (1_240, None));
    }
}
