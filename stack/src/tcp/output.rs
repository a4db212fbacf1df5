//! What a connection sends next: one documented priority list, of which the first that applies
//! wins (docs/TCP.md). Inputs only mark; this is the only file that forms a connection's segments,
//! but for its RSTs (`reply`).
//!
//! 1. SYN, or SYN-ACK of a simultaneous open
//! 2. what is lost, by sequence, as far as the windows let it (`loss.rs`)
//! 3. a zero-window probe
//! 4. a tail loss probe
//! 5. new text at SND.NXT, with FIN behind the last of it
//! 6. acknowledgments owed, and window updates
//! 7. a keepalive probe

use super::congestion::Restart;
use super::limited::Limit;
use super::pace;
use super::segment::{Flags, segments};
use super::seq::Seq;
use super::state::State;
use super::tcb::{Cx, Tcb};
use super::timers::Timer;
use crate::time::Instant;
use crate::wire::ecn::Codepoint;
use crate::wire::emit::{IPV6_HEADER, TCP_HEADER, TcpFields};
use crate::wire::options::{OPTIONS_MAX, Options};
use core::time::Duration;

/// How long a corked segment waits (Linux's ceiling of `TCP_CORK`).
const CORKED: Duration = Duration::from_millis(200);

/// Segments behind a probe of the path: as many duplicates show its loss (RFC 5681 §3.2).
const BEHIND_PROBE: usize = 3;

/// A segment to be sent: header fields, and where its text lies in the send ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outgoing {
    pub(crate) fields: TcpFields,
    /// Offset of the text in the send ring.
    pub(crate) offset: usize,
    /// Octets of text.
    pub(crate) len: usize,
    /// Octets of it in each segment, where it is a super-frame.
    pub(crate) size: Option<u16>,
    /// Routers may mark it instead of dropping it.
    pub(crate) ecn: Codepoint,
    /// All of it has been sent before.
    pub(crate) again: bool,
}

impl Outgoing {
    /// A segment without text, which routers may not mark (RFC 3168 §6.1.4).
    fn empty(fields: TcpFields) -> Outgoing {
        Outgoing { fields, offset: 0, len: 0, size: None, ecn: Codepoint::NotEct, again: false }
    }

    /// How many segments it stands for.
    pub(crate) fn segments(&self) -> u32 {
        self.size.map_or(1, |size| segments(self.len, size.into()))
    }
}

/// The headers of a packet at their longest: IPv6's without extensions, TCP's with all options.
const HEADERS_MAX: usize = IPV6_HEADER + TCP_HEADER + OPTIONS_MAX;

impl Tcb {
    /// The next segment, or None when there is nothing to say.
    pub(crate) fn next_segment(&mut self, cx: &mut Cx<'_>) -> Option<Outgoing> {
        self.follow_link(cx);
        if let Some(syn) = self.next_syn(cx) {
            return Some(syn);
        }
        if !self.may_carry_text() {
            return self.next_ack(cx);
        }
        if let Some(segment) = self.next_lost(cx) {
            return Some(segment);
        }
        if self.marks.probe {
            self.marks.probe = false;
            cx.counters.tcp_win_probe += 1;
            return Some(self.probe_segment(cx));
        }
        if core::mem::take(&mut self.marks.tail_probe)
            && let Some(segment) = self.tail_probe(cx)
        {
            return Some(segment);
        }
        if let Some(segment) = self.next_text(cx) {
            return Some(segment);
        }
        if let Some(ack) = self.next_ack(cx) {
            return Some(ack);
        }
        if self.marks.keepalive {
            self.marks.keepalive = false;
            cx.counters.tcp_keep_alive += 1;
            return Some(self.probe_segment(cx));
        }
        None
    }

    /// There may be something to say: what `next_segment` looks at. It errs on the side of asking.
    pub(crate) fn may_speak(&self) -> bool {
        let update = || self.state.may_receive() && self.rcv.wants_update();
        self.may_say_more() || self.snd.is_syn_next() || update()
    }

    /// There is nothing to say: notes what `next_segment` would.
    pub(crate) fn note_silence(&mut self, now: Instant) {
        if self.may_carry_text() {
            self.note_usage(0, 0);
        }
        self.note_limit(now);
    }

    /// Its segments may carry text: all but the first SYN, once the peer is known or believed.
    fn may_carry_text(&self) -> bool {
        let open = self.state.is_synchronized() || self.fast_open.is_early();
        open && !self.snd.is_syn_next()
    }

    /// There may be another segment after the one just formed. It errs on the side of asking.
    pub(crate) fn may_say_more(&self) -> bool {
        let marks = &self.marks;
        let marked = marks.retransmit || marks.tail_probe || marks.probe || marks.keepalive;
        let lost = self.delivering.flight.lost() > 0;
        marked || lost || self.snd.has_unsent() || self.ack.is_due()
    }

    /// The application writes, and all it wrote before has been sent: what the path delivers now
    /// is what it wrote, if there was room for more.
    pub(crate) fn note_pause(&mut self) {
        let idle = self.snd.unsent() == 0 && self.delivering.flight.lost() == 0;
        if idle && self.congestion_allowance() > 0 {
            self.rate.on_app_limited(self.in_flight());
        }
    }

    /// Notes what holds the sender back, once it has said all that it may.
    pub(crate) fn note_limit(&mut self, now: Instant) {
        let limit = self.limit(now);
        self.limited.set(now, limit);
    }

    fn limit(&self, now: Instant) -> Option<Limit> {
        if !self.state.is_synchronized() {
            return None;
        }
        let is_paced = || self.paced_until(now).is_some();
        if self.delivering.flight.lost() > 0 {
            let waits = is_paced() && self.congestion_allowance() > 0;
            return Some(if waits { Limit::Pacing } else { Limit::CongestionWindow });
        }
        let is_all_sent = !self.snd.has_unsent();
        if is_all_sent && self.snd.outstanding() == 0 {
            return None;
        }
        let is_full = self.write_blocked && !self.snd.is_writable();
        let for_want_of_text = if is_full { Limit::SendBuffer } else { Limit::Application };
        if is_all_sent {
            return Some(for_want_of_text);
        }
        let wanted = self.snd.unsent().min(self.segment_room());
        let (peer, network) = (self.snd.usable(), self.congestion_allowance());
        Some(match peer.min(network) as usize {
            room if room >= wanted && is_paced() => Limit::Pacing,
            // Nagle's algorithm or a cork.
            room if room >= wanted => for_want_of_text,
            _ if peer <= network => Limit::ReceiverWindow,
            _ => Limit::CongestionWindow,
        })
    }

    /// Our SYN when it is at SND.NXT or lost: first, again after a time-out, or with an ACK
    /// (MUST-10). Only the first may carry a cookie and text (RFC 7413 §4.2.1).
    fn next_syn(&mut self, cx: &mut Cx<'_>) -> Option<Outgoing> {
        let awaited = matches!(self.state, State::SynSent | State::SynReceived | State::FinWait1);
        let first = self.snd.is_syn_next();
        if !awaited || self.fast_open.is_waiting() || !(first || self.is_syn_lost()) {
            return None;
        }
        let answers = self.state != State::SynSent;
        let flags = if answers {
            self.ecn.on_syn_ack()
        } else {
            self.ecn.on_syn(cx.config.ecn.asks(), !first)
        };
        let len = if first && !answers { self.snd.queued().min(self.syn_text_room()) } else { 0 };
        let opening = self.fast_open.opening.as_ref().filter(|_| first);
        let fast_open = opening.and_then(|opening| opening.cookie);
        let options = Options {
            mss: Some(self.announced_mss),
            window_scale: self.scaling.then_some(self.rcv.scale),
            sack_permitted: self.sack,
            timestamps: self.timestamps.as_ref().map(|ts| ts.option(cx.now)),
            fast_open,
            ..Options::default()
        };
        let window = self.rcv.open_unscaled();
        let window = if answers { window } else { syn_window(self.rcv.buffer()) };
        let seq = self.snd.iss;
        self.marks.retransmit = false;
        self.account_sent(cx, seq, 1 + len as u32, 1);
        self.ack.on_sent();
        self.timers.clear(Timer::DelayedAck);
        self.stats.segments_out += 1;
        self.stats.on_text_out(len, 1);
        let ack = if answers { self.rcv.nxt.0 } else { 0 };
        let fields = TcpFields { seq: seq.0, ack, flags: flags.0, window, options };
        Some(Outgoing { len, again: !first, ..Outgoing::empty(fields) })
    }

    /// Octets of text that our SYN can carry: a segment of the size that the peer and the path
    /// take, as far as that is known, less the most that options take.
    pub(super) fn syn_text_room(&self) -> usize {
        let mss = self.fast_open.opening.as_ref().map_or(0, |opening| opening.mss);
        usize::from(mss.min(self.path.size())).saturating_sub(OPTIONS_MAX)
    }

    /// Our SYN is believed lost.
    fn is_syn_lost(&mut self) -> bool {
        !self.snd.is_syn_acked()
            && self.delivering.flight.first_lost(1).is_some_and(|(start, _)| start == self.snd.iss)
    }

    /// The first that is lost again (RFC 6675 §4, NextSeg rule 1), as far as the windows let it,
    /// with its neighbours where the device cuts; the first segment of a recovery goes whatever
    /// congestion control says (RFC 5681 §3.2 step 3).
    fn next_lost(&mut self, cx: &mut Cx<'_>) -> Option<Outgoing> {
        let forced = core::mem::take(&mut self.marks.retransmit);
        if self.delivering.flight.lost() == 0 || (self.recovery.prefers_new() && !forced) {
            return None;
        }
        let segment = self.segment_room() as u32;
        let allowed = self.congestion_allowance();
        let room =
            (allowed / segment * segment).min(self.quantum(cx, usize::MAX) as u32).max(segment);
        // A FIN behind a full segment goes along.
        let (start, end) = self.delivering.flight.first_lost(room.saturating_add(1))?;
        let (len, fin) = self.lost_text(start, end, room)?;
        // A FIN behind text takes nothing: text must not wait for its sake.
        let octets = (len as u32).max(1);
        if !forced && (octets > allowed || self.is_paced(cx)) {
            return None;
        }
        let sent = self.text_segment(cx, start, len, fin);
        self.count_retransmission(cx, sent.segments());
        Some(sent)
    }

    /// How much of `[start, end)` fits in a frame and in the peer's window: of the first segment
    /// a part (SHLD-16), of later ones all or nothing (SHLD-15).
    fn lost_text(&self, start: Seq, end: Seq, room: u32) -> Option<(usize, bool)> {
        let window = (self.snd.una + self.snd.wnd).since(start);
        let text = self.snd.text_between(start, end).min(room as usize);
        let fits = text.min(window as usize);
        let is_first = start == self.snd.una;
        let whole = fits / self.segment_room() * self.segment_room();
        let len = if fits == text || (is_first && whole == 0) { fits } else { whole };
        let fin = len == self.snd.text_between(start, end) && end.since(start) as usize > len;
        (len > 0 || fin).then_some((len, fin))
    }

    fn count_retransmission(&self, cx: &mut Cx<'_>, segments: u32) {
        let counter = if self.recovery.is_fast() {
            &mut cx.counters.tcp_fast_retrans
        } else {
            &mut cx.counters.tcp_slow_start_retrans
        };
        *counter += u64::from(segments);
    }

    /// New text, or the last sent again, whatever the congestion window says (RFC 8985 §7.3).
    fn tail_probe(&mut self, cx: &mut Cx<'_>) -> Option<Outgoing> {
        if self.recovery.is_fast() {
            return self.rescue(cx);
        }
        let room = self.segment_room();
        let len = self.snd.unsent().min(room).min(self.snd.usable() as usize);
        cx.counters.tcp_loss_probes += 1;
        if len > 0 {
            let fin = self.snd.fin_is_next_after(len) && self.snd.usable() as usize > len;
            let segment = self.text_segment(cx, self.snd.nxt, len, fin);
            self.tell_writer();
            self.delivering.tlp.on_sent(self.snd.nxt, 0);
            self.timers.clear(Timer::TailProbe);
            return Some(segment);
        }
        let (start, end) = self.delivering.flight.tail(room as u32)?;
        let len = self.snd.text_between(start, end);
        let fin = end.since(start) as usize > len;
        let segment = self.text_segment(cx, start, len, fin);
        self.delivering.tlp.on_sent(self.snd.nxt, end.since(start));
        self.timers.clear(Timer::TailProbe);
        Some(segment)
    }

    /// The first octets once more: in recovery nothing has come back (`tlp::rescue_timeout`).
    fn rescue(&mut self, cx: &mut Cx<'_>) -> Option<Outgoing> {
        let head = self.delivering.flight.head()?;
        let (start, end) = (head.start, head.end);
        let (len, fin) = self.lost_text(start, end, self.segment_room() as u32)?;
        cx.counters.tcp_rescue_probes += 1;
        self.delivering.tlp.on_rescue();
        let segment = self.text_segment(cx, start, len, fin);
        self.timers.clear(Timer::TailProbe);
        Some(segment)
    }

    /// Text and FIN at SND.NXT, as far as the windows, Nagle and silly-window avoidance let it.
    fn next_text(&mut self, cx: &mut Cx<'_>) -> Option<Outgoing> {
        if !self.snd.has_unsent() {
            self.note_usage(0, 0);
            return None;
        }
        self.restart_after_idle(cx);
        if self.is_paced(cx) {
            let in_flight = self.in_flight();
            self.usage.note(false, in_flight, self.snd.una, self.snd.nxt);
            return None;
        }
        if let Some(probe) = self.next_path_probe(cx) {
            return Some(probe);
        }
        let unsent = self.snd.unsent();
        let usable = self.new_text_allowance(cx) as usize;
        let len = self.without_tail(unsent.min(usable).min(self.quantum(cx, unsent)), unsent);
        let fin = self.snd.fin_is_next_after(len) && (usable > len || self.fin_is_free());
        let waits = unsent <= usable && self.waits_for_frame(cx, unsent);
        if self.is_worth_sending(len, unsent, fin) && !waits {
            self.marks.push_out &= len >= self.segment_room() && len < unsent;
            // What the cork held goes; what it holds next has a time of its own.
            self.timers.clear(Timer::Cork);
            let mut segment = self.text_segment(cx, self.snd.nxt, len, fin);
            let is_last = !self.snd.has_unsent();
            if self.ends_burst(cx, is_last) {
                segment.fields.flags |= Flags::PSH.0;
            }
            if is_last {
                self.note_usage(0, 0);
            }
            self.tell_writer();
            return Some(segment);
        }
        if self.recovery.prefers_new() && self.snd.nxt == self.recovery.high() {
            // None went after all. What did go is to show whether the time-out was for nothing.
            self.recovery.end_frto();
            return self.next_lost(cx);
        }
        self.note_usage(len, unsent);
        if waits || (self.is_corked() && len == unsent) {
            self.arm_cork(cx);
        } else {
            self.arm_probe(cx);
        }
        None
    }

    /// New text in one segment that is longer than the others: does the path carry it? What follows
    /// at once shows whether it is lost (RFC 4821 §7.4).
    fn next_path_probe(&mut self, cx: &mut Cx<'_>) -> Option<Outgoing> {
        let size = self.wants_path_probe(cx.now)?;
        let needed = usize::from(size) + BEHIND_PROBE * usize::from(self.snd.mss);
        let allowed = self.new_text_allowance(cx) as usize;
        if self.snd.unsent().min(allowed) < needed {
            return None;
        }
        let start = self.snd.nxt;
        let mss = core::mem::replace(&mut self.snd.mss, size);
        let segment = self.text_segment(cx, start, size.into(), false);
        self.snd.mss = mss;
        self.path.on_probe_sent(start, self.snd.nxt);
        self.tell_writer();
        Some(segment)
    }

    /// The segment just formed is the last of several that go together, a millisecond's worth at
    /// most: PSH tells the receiver not to wait for more, as behind each of Linux's super-frames.
    fn ends_burst(&mut self, cx: &Cx<'_>, is_last: bool) -> bool {
        self.marks.burst = self.marks.burst.saturating_add(1);
        let ends = is_last || !self.goes_on(cx) || self.marks.burst >= self.burst_max();
        ends && core::mem::take(&mut self.marks.burst) > 1
    }

    /// New text may follow at once what has been sent.
    fn goes_on(&self, cx: &Cx<'_>) -> bool {
        let unsent = self.snd.unsent();
        let usable = self.new_text_allowance(cx) as usize;
        let len = unsent.min(usable).min(self.segment_room());
        len > 0 && self.is_worth_sending(len, unsent, false)
    }

    /// Segments of a burst: two, or what goes in a millisecond of slow start (Linux's
    /// `tcp_tso_autosize`).
    fn burst_max(&self) -> u8 {
        let millis = self.rtt.srtt().map_or(1, |srtt| srtt.as_millis().max(1) as u64);
        let segments = 2 * u64::from(self.congestion.window()) / millis / u64::from(self.snd.mss);
        segments.clamp(2, 44) as u8
    }

    /// Nothing more can be sent: was it the congestion window (RFC 7661 §4.2)?
    fn note_usage(&mut self, len: usize, unsent: usize) {
        let lost = self.delivering.flight.lost() > 0 && self.snd.wnd > 0;
        let kept_back = len < unsent.min(self.segment_room());
        let limited = lost || (kept_back && self.congestion_allowance() < self.snd.usable());
        let in_flight = self.in_flight();
        self.usage.note(limited, in_flight, self.snd.una, self.snd.nxt);
        // Nagle's algorithm or a cork: there is room for more than there is.
        if !kept_back && self.delivering.flight.lost() == 0 {
            self.rate.on_app_limited(in_flight);
        }
    }

    /// The rate at which text may leave, bytes a second.
    pub(super) fn pacing_rate(&self) -> Option<u64> {
        let window = pace::Window {
            cwnd: self.congestion.window(),
            ssthresh: self.congestion.ssthresh(),
            srtt: self.rtt.srtt(),
            mss: self.snd.mss_u32(),
        };
        pace::rate(self.congestion.pacing_rate(), window, self.options.max_pacing_rate)
    }

    /// When the pace lets the next text out, if not now.
    fn paced_until(&self, now: Instant) -> Option<Instant> {
        let at = self.pace.wait(now)?;
        self.pacing_rate().map(|_| at)
    }

    /// The pace lets nothing out yet: its timer will say when.
    fn is_paced(&mut self, cx: &Cx<'_>) -> bool {
        let until = self.paced_until(cx.now);
        if let Some(at) = until {
            self.timers.set(Timer::Pace, at);
        }
        until.is_some()
    }

    /// Octets of new text that both windows and the limit of records let out.
    fn new_text_allowance(&self, cx: &Cx<'_>) -> u32 {
        if self.delivering.flight.records() >= cx.config.records_max {
            return 0;
        }
        // What is lost goes first; new text fills what is left (RFC 6675 §4, NextSeg rule 2).
        if self.delivering.flight.lost() > 0 && !self.recovery.prefers_new() {
            return 0;
        }
        self.snd.usable().min(self.congestion_allowance())
    }

    /// What of `wanted` octets of text fits in one frame now, or more: a segment, or as many whole
    /// ones as the device cuts and the pace lets out at once (docs/decisions/0014: a super-frame is
    /// a number).
    fn quantum(&self, cx: &Cx<'_>, wanted: usize) -> usize {
        let segment = self.segment_room();
        let frame = cx.super_frame.saturating_sub(HEADERS_MAX);
        if wanted <= segment || frame < 2 * segment {
            return segment;
        }
        let paced = |rate| pace::quantum(rate, self.snd.mss_u32()) as usize;
        let most = self.pacing_rate().map_or(frame, |rate| frame.min(paced(rate)));
        (most / segment).max(1) * segment
    }

    /// Of `len` octets that could go, those that do: what is less than a segment stays behind the
    /// whole ones, unless it is the last there is and need not wait for more.
    fn without_tail(&self, len: usize, unsent: usize) -> usize {
        let segment = self.segment_room();
        let hurries = self.may_be_small() || self.marks.push_out;
        let is_last = len == unsent && (hurries || self.snd.fin_is_next_after(len));
        if len <= segment || is_last { len } else { len / segment * segment }
    }

    /// Text that fits in one segment now: the MSS, less the SACK option while there are holes to
    /// report (MUST-16; RFC 6691 §2).
    fn segment_room(&self) -> usize {
        let mss = usize::from(self.snd.mss);
        if self.sack && self.rcv.has_reports() {
            mss.saturating_sub(4 + 8 * self.sack_blocks_max()).max(1)
        } else {
            mss
        }
    }

    /// SACK blocks that fit beside the other options (RFC 2018 §3).
    fn sack_blocks_max(&self) -> usize {
        if self.timestamps.is_some() { 3 } else { 4 }
    }

    /// A FIN needs no window when nothing is outstanding: it may go to a closed window, as in
    /// Linux, because it carries no text.
    fn fin_is_free(&self) -> bool {
        self.snd.outstanding() == 0
    }

    /// A segment that is not full may go: no other such is unacknowledged, or nobody minds. Nagle's
    /// algorithm (RFC 9293 §3.7.4) in Minshall's form, as in Linux: the tail behind full segments
    /// does not wait for their acknowledgment, which may itself be delayed.
    fn may_be_small(&self) -> bool {
        (self.options.nodelay || !self.snd.is_small_outstanding()) && !self.is_corked()
    }

    /// Sender's silly-window avoidance with Nagle's algorithm (RFC 9293 §3.8.6.2.1, §3.7.4).
    fn is_worth_sending(&self, len: usize, unsent: usize, fin: bool) -> bool {
        if len == 0 {
            return fin;
        }
        let full = len >= self.segment_room();
        let all = len == unsent;
        full || (all && (self.may_be_small() || fin))
            || len >= self.snd.max_wnd as usize / 2
            || self.marks.push_out
    }

    /// All there is does not fill a frame, and more follows at once: behind others, whose
    /// acknowledgment will let it go, it waits. A frame costs a device much the same whether it is
    /// full or not (as Linux's `tcp_tso_should_defer`). That of two segments comes at once, that of
    /// one may be delayed (RFC 9293 §3.8.6.3), and a full buffer has no room for what follows.
    fn waits_for_frame(&self, cx: &Cx<'_>, unsent: usize) -> bool {
        if !self.marks.more || self.marks.push_out || self.snd.fin_is_next_after(unsent) {
            return false;
        }
        let others = self.snd.outstanding() as usize >= 2 * self.segment_room();
        others && unsent < self.quantum(cx, usize::MAX)
    }

    /// What does not fill a segment waits for more, though not for ever.
    fn arm_cork(&mut self, cx: &Cx<'_>) {
        if !self.timers.is_set(Timer::Cork) {
            self.timers.set(Timer::Cork, cx.now + CORKED);
        }
    }

    /// Text that cannot be sent and nothing in flight whose acknowledgment would come: the probe
    /// timer takes over, for a closed window (MUST-36) or one not worth using (SWS override).
    fn arm_probe(&mut self, cx: &Cx<'_>) {
        if self.snd.outstanding() == 0 && !self.timers.is_set(Timer::Probe) {
            // What was before this text, silence or other probes, is no failure to progress.
            self.probes = 0;
            self.progress_at = cx.now;
            self.timers.set(Timer::Probe, cx.now + self.rto.current());
        }
        if self.snd.outstanding() > 0 && self.delivering.flight.flying() == 0 && self.snd.wnd == 0 {
            self.timers.clear(Timer::Retransmit);
            if !self.timers.is_set(Timer::Probe) {
                self.timers.set(Timer::Probe, cx.now + self.rto.current());
            }
        }
    }

    /// RFC 5681 §4.1.
    fn restart_after_idle(&mut self, cx: &Cx<'_>) {
        // A closed window is no idleness: whoever waits behind it makes no progress.
        if self.snd.outstanding() > 0 || self.snd.wnd == 0 {
            return;
        }
        let (idle, rto) = (cx.now - self.sent_at, self.rto.current());
        let restart = Restart { now: cx.now, idle, rto, mss: self.snd.mss_u32() };
        self.congestion.on_restart(&restart);
        self.sent_at = cx.now;
        if idle > rto {
            // Silence was no failure to progress.
            self.progress_at = cx.now;
        }
    }

    /// Forms a segment of `len` octets at `seq`, or a super-frame of segments: at SND.NXT, or
    /// something sent before.
    fn text_segment(&mut self, cx: &mut Cx<'_>, seq: Seq, len: usize, fin: bool) -> Outgoing {
        let offset = self.snd.offset_of(seq);
        let mut flags = Flags::ACK;
        if len > 0 && offset + len == self.snd.queued() && self.snd.is_pushed() {
            // The last of what is buffered (MUST-61), unless the application said that more comes.
            flags = flags.with(Flags::PSH);
        }
        if fin {
            flags = flags.with(Flags::FIN);
        }
        let room = self.segment_room();
        // No more than an MSS, so it fits.
        let size = (len > room).then_some(room as u16);
        let segments = segments(len, room);
        let again = seq != self.snd.nxt;
        let mut ecn = Codepoint::NotEct;
        if len > 0 && !again {
            // Not what is sent again, nor what carries no text (RFC 3168 §6.1.4, §6.1.5).
            flags = flags.with(self.ecn.on_new_text());
            ecn = if self.ecn.marks() { Codepoint::Ect0 } else { Codepoint::NotEct };
            if len < room || !len.is_multiple_of(room) {
                self.snd.on_small_sent(seq + len as u32);
            }
        }
        self.account_sent(cx, seq, len as u32 + u32::from(fin), segments);
        if let Some(rate) = self.pacing_rate() {
            self.pace.on_sent(cx.now, len as u32, rate, self.snd.mss_u32());
        }
        self.stats.on_text_out(len, segments);
        if len > 0 {
            self.ack.on_text_sent(cx.now, cx.delays());
        }
        let fields = self.fields(cx, seq, flags);
        self.stats.segments_out += u64::from(segments - 1);
        Outgoing { fields, offset, len, size, ecn, again }
    }

    /// A segment that any peer must answer: no text, one octet before SND.NXT (SHLD-12). It serves
    /// a closed window and an idle peer alike.
    fn probe_segment(&mut self, cx: &mut Cx<'_>) -> Outgoing {
        Outgoing::empty(self.fields(cx, self.snd.una - 1, Flags::ACK))
    }

    /// An acknowledgment that is due, or a window update (RFC 9293 §3.8.6.2.2).
    fn next_ack(&mut self, cx: &mut Cx<'_>) -> Option<Outgoing> {
        let knows_peer = self.state.is_synchronized() || self.state == State::SynReceived;
        let update = self.state.may_receive() && self.rcv.wants_update();
        if !knows_peer || !(self.ack.is_due() || update) {
            return None;
        }
        let seq = self.snd.acceptable_seq();
        Some(Outgoing::empty(self.fields(cx, seq, Flags::ACK)))
    }

    /// The fields that every segment of an open connection shares. It carries the acknowledgment,
    /// so none is owed afterwards.
    fn fields(&mut self, cx: &mut Cx<'_>, seq: Seq, flags: Flags) -> TcpFields {
        let timestamps = self.timestamps.as_ref().map(|ts| ts.option(cx.now));
        let sack = if self.sack && self.rcv.has_reports() {
            cx.counters.tcp_dsack_old_sent += u64::from(self.rcv.has_duplicate());
            self.rcv.sack_blocks(self.sack_blocks_max())
        } else {
            Default::default()
        };
        if self.state.may_receive() {
            self.rcv.open_window();
        }
        let window = self.rcv.window_field();
        self.ack.on_sent();
        self.timers.clear(Timer::DelayedAck);
        if let Some(ts) = &mut self.timestamps {
            ts.last_ack_sent = self.rcv.nxt;
        }
        self.stats.segments_out += 1;
        let options = Options { timestamps, sack, ..Options::default() };
        let flags = flags.with(self.ecn.echo());
        TcpFields { seq: seq.0, ack: self.rcv.nxt.0, flags: flags.0, window, options }
    }

    /// Notes `len` octets of sequence space sent at `seq` in so many segments, and arms the timers
    /// (RFC 6298 §5.1).
    fn account_sent(&mut self, cx: &mut Cx<'_>, seq: Seq, len: u32, segments: u32) {
        let (now, end) = (cx.now, seq + len);
        if self.snd.outstanding() == 0 {
            self.progress_at = now;
        }
        let in_flight = self.in_flight();
        let rate = self.rate.on_sent(now, len, in_flight);
        let parts = &mut *self.delivering;
        let again = seq != self.snd.nxt;
        if again {
            parts.flight.on_resent(now, seq, end, rate);
            parts.undo.on_resent(now, len);
            self.stats.retransmits += u64::from(segments);
            self.stats.bytes_retransmitted += u64::from(len);
            cx.counters.tcp_retrans_segs += u64::from(segments);
            self.retransmitted_at = now;
            cx.counters.tcp_mtup_fail += u64::from(self.path.on_resent(now, seq, end));
        } else {
            parts.flight.on_sent(now, seq, end, rate);
            self.snd.on_sent(len);
        }
        if self.recovery.is_fast() {
            parts.prr.on_sent(len);
        }
        self.sent_at = now;
        // The first retransmission of a recovery starts the timer anew (RFC 6675 §5.1 step 4.3).
        if !self.timers.is_set(Timer::Retransmit) || (again && seq == self.snd.una) {
            self.timers.set(Timer::Retransmit, self.retransmit_at(now));
        }
        if !again || self.recovery.is_fast() {
            self.arm_tail_probe(now);
        }
    }
}

/// The window field of a SYN: never scaled (RFC 7323 §2.2).
fn syn_window(buffer: usize) -> u16 {
    buffer.min(0xffff) as u16
}
