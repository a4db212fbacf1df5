//! What a connection sends next: one documented priority list, of which the first that applies
//! wins (DESIGN §4). Inputs only mark; this is the only file that forms a connection's segments.
//!
//! 1. SYN, or SYN-ACK of a simultaneous open
//! 2. the retransmission that a duplicate or partial acknowledgment asked for
//! 3. a zero-window probe
//! 4. text at SND.NXT, new or sent again after a time-out, with FIN behind the last of it
//! 5. acknowledgments owed, and window updates
//! 6. a keepalive probe

use super::congestion::Restart;
use super::segment::Flags;
use super::seq::Seq;
use super::state::State;
use super::tcb::{Cx, Tcb};
use super::timers::Timer;
use crate::wire::emit::TcpFields;
use crate::wire::options::Options;
use core::time::Duration;

/// How long a corked segment waits (Linux's ceiling of `TCP_CORK`).
const CORKED: Duration = Duration::from_millis(200);

/// A segment to be sent: header fields, and where its text lies in the send ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outgoing {
    pub(crate) fields: TcpFields,
    /// Offset of the text in the send ring.
    pub(crate) offset: usize,
    /// Octets of text.
    pub(crate) len: usize,
}

impl Tcb {
    /// The next segment, or None when there is nothing to say.
    pub(crate) fn next_segment(&mut self, cx: &mut Cx<'_>) -> Option<Outgoing> {
        if let Some(syn) = self.next_syn(cx) {
            return Some(syn);
        }
        if !self.state.is_synchronized() || self.snd.is_syn_next() {
            return self.next_ack(cx);
        }
        if self.marks.retransmit {
            self.marks.retransmit = false;
            if let Some(segment) = self.retransmit_first(cx) {
                return Some(segment);
            }
        }
        if self.marks.probe {
            self.marks.probe = false;
            cx.counters.tcp_win_probe += 1;
            return Some(self.probe_segment(cx));
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

    /// There may be another segment after the one just formed. It errs on the side of asking.
    pub(crate) fn may_say_more(&self) -> bool {
        let marks = &self.marks;
        let marked = marks.retransmit || marks.probe || marks.keepalive;
        marked || self.snd.has_unsent() || self.ack.is_due()
    }

    /// Our SYN when it is at SND.NXT: first, again after a time-out, or with an ACK (MUST-10).
    fn next_syn(&mut self, cx: &mut Cx<'_>) -> Option<Outgoing> {
        let awaited = matches!(self.state, State::SynSent | State::SynReceived | State::FinWait1);
        if !awaited || !self.snd.is_syn_next() {
            return None;
        }
        let answers = self.state != State::SynSent;
        let flags = if answers { Flags::SYN.with(Flags::ACK) } else { Flags::SYN };
        let options = Options {
            mss: Some(self.announced_mss),
            window_scale: self.scaling.then_some(self.rcv.scale),
            sack_permitted: self.sack,
            timestamps: self.timestamps.as_ref().map(|ts| ts.option(cx.now)),
            ..Options::default()
        };
        let window = self.rcv.open_unscaled();
        let window = if answers { window } else { syn_window(self.rcv.buffer()) };
        let seq = self.snd.iss;
        self.account_sent(cx, seq, 1);
        self.ack.on_sent();
        self.stats.segments_out += 1;
        let ack = if answers { self.rcv.nxt.0 } else { 0 };
        let fields = TcpFields { seq: seq.0, ack, flags: flags.0, window, options };
        Some(Outgoing { fields, offset: 0, len: 0 })
    }

    /// The first unacknowledged segment again (RFC 5681 §3.2 step 2, RFC 6582 §3.2 step 3).
    fn retransmit_first(&mut self, cx: &mut Cx<'_>) -> Option<Outgoing> {
        let nxt = self.snd.nxt;
        let outstanding = self.snd.outstanding() as usize;
        self.snd.rewind();
        let len = self.snd.unsent().min(self.segment_room()).min(outstanding);
        let fin = outstanding > len && self.snd.fin_is_next_after(len);
        let segment = (len > 0 || fin).then(|| self.text_segment(cx, len, fin));
        self.snd.nxt = nxt.latest(self.snd.nxt);
        segment
    }

    /// Text and FIN at SND.NXT, as far as the windows, Nagle and silly-window avoidance let it.
    fn next_text(&mut self, cx: &mut Cx<'_>) -> Option<Outgoing> {
        if !self.snd.has_unsent() {
            self.note_usage(0, 0);
            return None;
        }
        self.restart_after_idle(cx);
        let unsent = self.snd.unsent();
        let usable = self.snd.usable(self.send_allowance()) as usize;
        let len = unsent.min(usable).min(self.segment_room());
        let fin = self.snd.fin_is_next_after(len) && (usable > len || self.fin_is_free());
        if self.is_worth_sending(len, unsent, fin) {
            self.marks.push_out &= len >= self.segment_room() && len < unsent;
            let segment = self.text_segment(cx, len, fin);
            self.tell_writer();
            return Some(segment);
        }
        self.note_usage(len, unsent);
        if self.is_corked() && len == unsent {
            self.arm_cork(cx);
        } else {
            self.arm_probe(cx);
        }
        None
    }

    /// Nothing more can be sent: was it the congestion window (RFC 7661 §4.2)?
    fn note_usage(&mut self, len: usize, unsent: usize) {
        let kept_back = len < unsent.min(self.segment_room());
        let limited = kept_back && self.congestion.window() < self.snd.wnd;
        self.usage.note(limited, self.snd.in_flight(), self.snd.una, self.snd.nxt);
    }

    /// Text that fits in one segment now: the MSS, less the SACK option while there are holes to
    /// report (MUST-16; RFC 6691 §2).
    fn segment_room(&self) -> usize {
        let mss = usize::from(self.snd.mss);
        if self.sack && self.rcv.has_holes() {
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
        self.snd.in_flight() == 0
    }

    /// Sender's silly-window avoidance with Nagle's algorithm (RFC 9293 §3.8.6.2.1, §3.7.4).
    fn is_worth_sending(&self, len: usize, unsent: usize, fin: bool) -> bool {
        if len == 0 {
            return fin;
        }
        let full = len >= self.segment_room();
        let all = len == unsent;
        let idle = self.snd.in_flight() == 0;
        let again = self.snd.nxt.before(self.snd.max);
        let small = (self.options.nodelay || idle) && !self.is_corked();
        full || (all && (small || fin))
            || len >= self.snd.max_wnd as usize / 2
            || (again && (all || idle))
            || self.marks.push_out
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
        if self.snd.in_flight() == 0 && self.snd.outstanding() > 0 && self.snd.wnd == 0 {
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
        self.congestion.on_restart(&Restart { idle, rto, mss: self.snd.mss_u32() });
        self.sent_at = cx.now;
        if idle > rto {
            // Silence was no failure to progress.
            self.progress_at = cx.now;
        }
    }

    /// Forms a segment of `len` octets at SND.NXT.
    fn text_segment(&mut self, cx: &mut Cx<'_>, len: usize, fin: bool) -> Outgoing {
        let (seq, offset) = (self.snd.nxt, self.snd.nxt_offset());
        let mut flags = Flags::ACK;
        if len > 0 && len == self.snd.unsent() {
            // The last of what is buffered (MUST-61).
            flags = flags.with(Flags::PSH);
        }
        if fin {
            flags = flags.with(Flags::FIN);
        }
        self.account_sent(cx, seq, len as u32 + u32::from(fin));
        self.stats.bytes_sent += len as u64;
        if len > 0 {
            self.ack.on_text_sent(cx.now, cx.delays());
        }
        let fields = self.fields(cx, seq, flags);
        Outgoing { fields, offset, len }
    }

    /// A segment that any peer must answer: no text, one octet before SND.NXT (SHLD-12). It serves
    /// a closed window and an idle peer alike.
    fn probe_segment(&mut self, cx: &mut Cx<'_>) -> Outgoing {
        let fields = self.fields(cx, self.snd.una - 1, Flags::ACK);
        Outgoing { fields, offset: 0, len: 0 }
    }

    /// An acknowledgment that is due, or a window update (RFC 9293 §3.8.6.2.2).
    fn next_ack(&mut self, cx: &mut Cx<'_>) -> Option<Outgoing> {
        let knows_peer = self.state.is_synchronized() || self.state == State::SynReceived;
        let update = self.state.may_receive() && self.rcv.wants_update();
        if !knows_peer || !(self.ack.is_due() || update) {
            return None;
        }
        // Not SND.NXT, which a time-out may have taken back: the peer would find it old, and drop
        // the acknowledgment with it.
        let seq = self.snd.acceptable_seq();
        let fields = self.fields(cx, seq, Flags::ACK);
        Some(Outgoing { fields, offset: 0, len: 0 })
    }

    /// The fields that every segment of an open connection shares. It carries the acknowledgment,
    /// so none is owed afterwards.
    fn fields(&mut self, cx: &Cx<'_>, seq: Seq, flags: Flags) -> TcpFields {
        let timestamps = self.timestamps.as_ref().map(|ts| ts.option(cx.now));
        let sack = if self.sack && self.rcv.has_holes() {
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
        TcpFields { seq: seq.0, ack: self.rcv.nxt.0, flags: flags.0, window, options }
    }

    /// Notes `len` octets of sequence space sent at SND.NXT: retransmissions, the timed segment,
    /// the timer (RFC 6298 §5.1).
    fn account_sent(&mut self, cx: &mut Cx<'_>, seq: Seq, len: u32) {
        let end = seq + len;
        if self.snd.outstanding() == 0 {
            self.progress_at = cx.now;
        }
        if self.snd.on_sent(len) {
            if self.timing.is_none() {
                self.timing = Some((end, cx.now));
            }
        } else {
            self.stats.retransmits += 1;
            cx.counters.tcp_retrans_segs += 1;
            self.retransmitted_at = cx.now;
            // Karn: what is sent twice is not timed.
            if self.timing.is_some_and(|(timed, _)| timed.after(seq)) {
                self.timing = None;
            }
        }
        self.sent_at = cx.now;
        if !self.timers.is_set(Timer::Retransmit) {
            self.timers.set(Timer::Retransmit, cx.now + self.rto.current());
        }
    }
}

/// The window field of a SYN: never scaled (RFC 7323 §2.2).
fn syn_window(buffer: usize) -> u16 {
    buffer.min(0xffff) as u16
}
