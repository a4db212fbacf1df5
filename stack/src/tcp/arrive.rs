//! SEGMENT ARRIVES (RFC 9293 §3.10.7), for connections: the RFC's own outline, check by check.
//! LISTEN, SYN-RECEIVED of a passive open and TIME-WAIT are in `passive`.

use super::ack::{Arrival, Due};
use super::close::Ended;
use super::error::TcpError;
use super::fast_open::SynText;
use super::recv::Taken;
use super::reply::Reply;
use super::segment::{Flags, Segment};
use super::send::Acked;
use super::seq::Seq;
use super::state::{Event, State};
use super::tcb::{Cx, Origin, Tcb};
use super::timers::Timer;
use crate::counters::DropReason;
use core::ops::ControlFlow::{self, Break, Continue};

/// Why a check lets a segment go no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// "Drop the segment and return."
    Drop(DropReason),
    /// "Send an acknowledgment, drop the segment, and return."
    AckAndDrop(DropReason),
    /// RFC 5961: an acknowledgment that makes an honest peer prove itself; rate-limited.
    ChallengeAck(DropReason),
    /// "Send a reset and return."
    ResetAndDrop(DropReason),
    /// Done with it, nothing wrong.
    Done,
}

type Check = ControlFlow<Stop>;

impl Tcb {
    /// Takes a segment of this connection. None: it was used; otherwise why it was dropped.
    pub(crate) fn arrive(&mut self, cx: &mut Cx<'_>, seg: Segment<'_>) -> Option<DropReason> {
        self.stats.segments_in += u64::from(seg.count());
        let outcome = match self.state {
            State::SynSent => self.arrive_in_syn_sent(cx, seg),
            _ => self.arrive_otherwise(cx, seg),
        };
        match outcome {
            Continue(()) | Break(Stop::Done) => None,
            Break(Stop::Drop(reason)) => Some(reason),
            Break(Stop::AckAndDrop(reason)) => {
                self.ack.owe_now();
                Some(reason)
            }
            Break(Stop::ChallengeAck(reason)) => {
                if self.ack.challenge(cx.now, cx.config.challenge_interval) {
                    cx.counters.tcp_challenge_ack += 1;
                } else {
                    cx.counters.tcp_ack_skipped += 1;
                }
                Some(reason)
            }
            Break(Stop::ResetAndDrop(reason)) => {
                if let Some(reset) = Reply::reset_for(self.flow, &seg) {
                    cx.replies.push(reset);
                }
                Some(reason)
            }
        }
    }

    /// RFC 9293 §3.10.7.3.
    fn arrive_in_syn_sent(&mut self, cx: &mut Cx<'_>, seg: Segment<'_>) -> Check {
        let acks = seg.has(Flags::ACK);
        // First, check the ACK bit.
        if acks && !(seg.ack.after(self.snd.iss) && seg.ack.at_or_before(self.snd.nxt)) {
            return Break(Stop::ResetAndDrop(DropReason::TcpAck));
        }
        // Second, check the RST bit. Without an acceptable ACK it proves nothing.
        if seg.has(Flags::RST) {
            if !acks {
                return Break(Stop::Drop(DropReason::TcpReset));
            }
            self.end(cx, Ended::Failed(TcpError::Refused));
            return Break(Stop::Done);
        }
        // Fourth, check the SYN bit. (Third, security, is obsolete.)
        if !seg.has(Flags::SYN) {
            return Break(Stop::Drop(DropReason::TcpNoAck));
        }
        self.heard_at = cx.now;
        self.unanswered = false;
        self.on_peer_syn(cx, &seg);
        if acks {
            self.note_fast_open(cx, &seg);
            let acked = self.on_syn_acked(cx, &seg);
            self.become_established(cx, Event::RcvSynAck);
            self.after_ack(cx, acked);
            self.ack.owe_now();
        } else {
            // Simultaneous open (MUST-10): our SYN goes out again, with an ACK.
            self.state = self.state.on(Event::RcvSyn);
            self.fast_open.on_crossing();
            self.lose_head();
            return Break(Stop::Done);
        }
        self.after_handshake(cx, seg)
    }

    /// Text and FIN that came with the SYN-ACK.
    fn after_handshake(&mut self, cx: &mut Cx<'_>, mut seg: Segment<'_>) -> Check {
        self.rcv.open_window();
        seg.trim_to(self.rcv.nxt, self.rcv.edge());
        self.seventh_process_text(cx, &seg)?;
        self.eighth_check_fin(cx, &seg)
    }

    /// RFC 9293 §3.10.7.4: SYN-RECEIVED and the synchronized states.
    fn arrive_otherwise(&mut self, cx: &mut Cx<'_>, mut seg: Segment<'_>) -> Check {
        let whole = seg;
        if !self.snd.is_syn_acked() && self.is_syn_again(&seg) {
            self.ecn.on_syn_again(seg.flags);
            if self.fast_open.is_early() {
                // Our SYN-ACK was lost. It goes again, as any handshake's would.
                self.lose_head();
                return Break(Stop::Done);
            }
        }
        self.first_check_sequence(cx, &mut seg)?;
        self.second_check_rst(cx, &seg)?;
        // Third, security and compartment, is obsolete.
        self.fourth_check_syn(&seg)?;
        self.fifth_check_ack(cx, &seg, whole.len() == 0)?;
        // TS.Recent moves only now: a segment with an unacceptable ACK may be forged.
        if let (Some(ts), Some(option)) = (&mut self.timestamps, seg.options.timestamps) {
            ts.on_segment(option, whole.seq, cx.now);
        }
        // Sixth, URG: urgent text is text like any other here (RFC 6093 §6 advises no use of it).
        self.seventh_process_text(cx, &seg)?;
        self.eighth_check_fin(cx, &seg)
    }

    /// PAWS (RFC 7323 §5.3), then the window test; what is outside the window is cut away.
    fn first_check_sequence(&mut self, cx: &mut Cx<'_>, seg: &mut Segment<'_>) -> Check {
        let reset = seg.has(Flags::RST);
        if let (Some(ts), false) = (&self.timestamps, reset) {
            match seg.options.timestamps {
                Some(option) if !ts.is_fresh(option, cx.now) => {
                    return Break(self.answer_unacceptable(seg, DropReason::TcpPaws));
                }
                // Who opens anew may have none, and is to be challenged (RFC 5961 §4.2).
                None if !seg.has(Flags::SYN) => {
                    return Break(Stop::Drop(DropReason::TcpNoTimestamp));
                }
                _ => {}
            }
        }
        let starved = self.rcv.window() == 0 && seg.seq == self.rcv.nxt;
        if !self.rcv.is_acceptable(seg.seq, seg.len()) {
            if reset && !starved {
                return Break(Stop::Drop(DropReason::TcpReset));
            }
            if !starved {
                self.hear_neighbor(cx, seg)?;
                return Break(self.answer_unacceptable(seg, DropReason::TcpSequence));
            }
            // A closed window: text is refused, but ACK, URG and RST are processed (MUST-66).
            self.ack.owe_now();
        }
        self.heard_at = cx.now;
        self.unanswered = false;
        self.keepalives = 0;
        if seg.has(Flags::SYN) && !self.state.is_synchronized() {
            return Continue(());
        }
        // Who has yet to acknowledge our SYN is answered with a reset if he does not.
        let old = seg.len() > 0 && seg.seq.before(self.rcv.nxt) && self.snd.is_syn_acked();
        if old {
            // Part of it is a retransmission: the peer has not seen our acknowledgment.
            self.note_old_text(seg);
            self.ack.owe_now();
        }
        if !seg.has(Flags::SYN) && !reset {
            // A FIN takes no room: who refuses it behind a closed window is sent it for ever.
            let only_fin = starved && seg.text.is_empty();
            seg.trim_to(self.rcv.nxt, self.rcv.edge() + u32::from(only_fin));
        }
        Continue(())
    }

    /// What stands an octet before RCV.NXT is no news, but its ACK may be: a FIN, or a probe, goes
    /// to a closed window, and its sender stays behind that until he hears of another
    /// (draft-gont-tcpm-tcp-seq-validation §3). Nor is an empty segment at the right edge in the
    /// window, by the letter: it comes from whoever has filled it, and some of that was lost. If
    /// both sides stand so, each would wait for the other to be heard for ever. So would they where
    /// our acknowledgments stand at the edge of a window that has shrunk, before what its owner has
    /// received, and he has gone back to send again (RFC 9293 Appendix A.2).
    fn hear_neighbor(&mut self, cx: &mut Cx<'_>, seg: &Segment<'_>) -> Check {
        let before = seg.seq + 1 == self.rcv.nxt && seg.len() <= 1;
        let behind = seg.seq == self.rcv.edge() && seg.len() == 0;
        let old = seg.seq.before(self.rcv.nxt) && seg.seq.at_or_after(self.first_received());
        let again = old && self.snd.overruns_window();
        let acks = seg.has(Flags::ACK) && !seg.has(Flags::SYN) && self.snd.is_new_ack(seg.ack);
        if !(before || behind || again) || !acks {
            return Continue(());
        }
        if seg.len() > 0 {
            self.ack.owe_now();
        }
        self.heard_at = cx.now;
        self.fifth_check_ack(cx, seg, false)
    }

    /// Text outside the window is always acknowledged, or a lossy path would starve (THREATS
    /// T-10); an empty segment only at the challenge rate, or two stacks could talk for ever (T-9).
    fn answer_unacceptable(&mut self, seg: &Segment<'_>, reason: DropReason) -> Stop {
        if seg.len() > 0 && !seg.has(Flags::SYN) {
            self.note_old_text(seg);
            Stop::AckAndDrop(reason)
        } else {
            Stop::ChallengeAck(reason)
        }
    }

    /// Text before RCV.NXT was received before: the peer is told which (RFC 2883 §4.1). Not what
    /// lies before this connection's first octet.
    fn note_old_text(&mut self, seg: &Segment<'_>) {
        let start = seg.seq + u32::from(seg.has(Flags::SYN));
        let end = start + seg.text.len() as u32;
        let nxt = self.rcv.nxt;
        if self.sack && start.before(nxt) && start.at_or_after(self.first_received()) {
            self.rcv.note_duplicate(start, if end.after(nxt) { nxt } else { end });
        }
    }

    /// The first octet of the stream, or one a GiB back.
    fn first_received(&self) -> Seq {
        self.rcv.nxt - self.stats.bytes_received.min(1 << 30) as u32
    }

    /// RFC 9293 §3.10.7.4 second, with RFC 5961 §3.2: only the exact sequence number resets.
    fn second_check_rst(&mut self, cx: &mut Cx<'_>, seg: &Segment<'_>) -> Check {
        if !seg.has(Flags::RST) {
            return Continue(());
        }
        if seg.seq != self.rcv.nxt {
            return Break(Stop::ChallengeAck(DropReason::TcpReset));
        }
        let ended = match self.state {
            State::SynReceived if self.origin == Origin::Active => Ended::Failed(TcpError::Refused),
            State::Closing | State::LastAck => Ended::Normally,
            _ => Ended::Failed(TcpError::Reset),
        };
        self.end(cx, ended);
        Break(Stop::Done)
    }

    /// RFC 5961 §4.2: a SYN inside a connection is challenged wherever it stands.
    fn fourth_check_syn(&mut self, seg: &Segment<'_>) -> Check {
        if seg.has(Flags::SYN) {
            return Break(Stop::ChallengeAck(DropReason::TcpSyn));
        }
        Continue(())
    }

    /// RFC 9293 §3.10.7.4 fifth, with RFC 5961 §5.2.
    fn fifth_check_ack(&mut self, cx: &mut Cx<'_>, seg: &Segment<'_>, empty: bool) -> Check {
        if !seg.has(Flags::ACK) {
            return Break(Stop::Drop(DropReason::TcpNoAck));
        }
        if !self.snd.is_syn_acked() {
            // Our SYN is unacknowledged: SYN-RECEIVED, or a state that CLOSE led to from there.
            if !self.snd.is_new_ack(seg.ack) {
                return Break(Stop::ResetAndDrop(DropReason::TcpAck));
            }
            let acked = self.on_syn_acked(cx, seg);
            self.become_established(cx, Event::AckOfSyn);
            self.after_ack(cx, acked);
        }
        let oldest = self.snd.una - self.snd.max_wnd.max(self.snd.outstanding());
        if seg.ack.before(oldest) || seg.ack.after(self.snd.nxt) {
            return Break(Stop::ChallengeAck(DropReason::TcpAck));
        }
        let una = self.snd.una;
        let bare = empty && self.is_duplicate_ack(seg);
        let acked = self.snd.is_new_ack(seg.ack).then(|| self.on_new_ack(cx, seg));
        // A report of duplicates may come when nothing is outstanding any more.
        let reports = self.sack && !seg.options.sack.as_slice().is_empty();
        if acked.is_some() || self.snd.outstanding() > 0 || reports {
            self.on_acknowledgment(cx, seg, una, bare);
        }
        self.update_send_window(cx, seg);
        if let Some(acked) = acked {
            self.after_ack(cx, acked);
        }
        if self.state == State::Closed || self.state == State::TimeWait {
            return Break(Stop::Done);
        }
        Continue(())
    }

    /// RFC 5681 §2: no text, no FIN (the caller knows: a probe's text has been trimmed away),
    /// nothing new acknowledged, the same window, which is open, and text outstanding.
    fn is_duplicate_ack(&self, seg: &Segment<'_>) -> bool {
        seg.ack == self.snd.una
            && self.snd.outstanding() > 0
            && self.snd.wnd > 0
            && self.scaled_window(seg) == self.snd.wnd
    }

    /// SND.UNA < SEG.ACK =< SND.NXT: SND.UNA moves.
    pub(super) fn on_new_ack(&mut self, cx: &mut Cx<'_>, seg: &Segment<'_>) -> Acked {
        let acked = self.snd.on_ack(seg.ack, cx.memory);
        self.stats.bytes_acked += u64::from(acked.text);
        self.progress_at = cx.now;
        self.soft_error = None;
        self.rto.on_progress();
        self.probes = 0;
        acked
    }

    /// What the acknowledged octets mean to the application and to the state.
    fn after_ack(&mut self, cx: &mut Cx<'_>, acked: Acked) {
        self.resize_send_buffer(cx);
        self.tell_writer();
        if acked.fin {
            self.on_fin_acked(cx);
        }
    }

    fn scaled_window(&self, seg: &Segment<'_>) -> u32 {
        u32::from(seg.window) << self.snd.scale
    }

    /// SND.WND from an acceptable segment (RFC 9293 §3.10.7.4, WL1 and WL2).
    fn update_send_window(&mut self, cx: &Cx<'_>, seg: &Segment<'_>) {
        let window = self.scaled_window(seg);
        if !self.snd.update_window(seg.seq, seg.ack, window) {
            return;
        }
        if window > 0 && self.timers.is_set(Timer::Probe) {
            self.probes = 0;
            self.timers.clear(Timer::Probe);
            self.progress_at = cx.now;
            if self.snd.outstanding() > 0 && !self.timers.is_set(Timer::Retransmit) {
                // The probe's timer had taken its place.
                self.timers.set(Timer::Retransmit, self.retransmit_at(cx.now));
            }
        }
    }

    /// RFC 9293 §3.10.7.4 seventh.
    fn seventh_process_text(&mut self, cx: &mut Cx<'_>, seg: &Segment<'_>) -> Check {
        if seg.text.is_empty() || !self.state.may_receive() {
            return Continue(());
        }
        self.take_text(cx, seg)
    }

    /// Text that came with the SYN that has opened the connection (RFC 7413 §4.2.2). A FIN behind
    /// it is not taken yet, and comes again.
    pub(crate) fn take_early_text(&mut self, cx: &mut Cx<'_>, mut seg: Segment<'_>) {
        self.stats.segments_in += 1;
        seg.flags = seg.flags.without(Flags::FIN);
        seg.trim_to(self.rcv.nxt, self.rcv.edge());
        if !seg.text.is_empty() && self.take_text(cx, &seg).is_continue() {
            self.fast_open.syn_data = true;
        }
    }

    fn take_text(&mut self, cx: &mut Cx<'_>, seg: &Segment<'_>) -> Check {
        if self.orphan {
            // Nobody will ever read it: the peer must know (SHLD-3, RFC 9293 §3.6.1).
            cx.counters.tcp_abort_on_data += 1;
            self.end(cx, Ended::Failed(TcpError::Aborted));
            return Break(Stop::ResetAndDrop(DropReason::TcpClosed));
        }
        self.hear_mark(seg);
        let had_holes = self.rcv.has_holes();
        self.stats.on_text_in(seg.count());
        match self.rcv.take(seg.seq, seg.text, cx.memory) {
            Taken::Refused => {
                self.ack.owe_now();
                return Break(Stop::Drop(DropReason::TcpMemory));
            }
            Taken::Starved => {
                cx.counters.tcp_rcv_q_drop += 1;
                self.marks.starved = true;
                self.ack.owe_now();
                return Break(Stop::Drop(DropReason::TcpMemory));
            }
            Taken::OutOfOrder => {
                cx.counters.tcp_ofo_queue += 1;
                self.stats.on_disorder(seg.count());
                self.ack.on_disorder();
            }
            Taken::InOrder { octets, filled } => {
                if (octets as usize) < seg.text.len() {
                    cx.counters.tcp_rcv_q_drop += 1;
                    self.marks.starved = true;
                    self.ack.owe_now();
                }
                self.time_from_receiver(cx, seg);
                self.stats.bytes_received += u64::from(octets);
                self.marks.event = true;
                self.owe_ack(cx, seg, filled || had_holes);
            }
        }
        Continue(())
    }

    /// What routers and the peer say of congestion on the way here: only text in the window counts
    /// (RFC 3168 §6.1.3, §6.1.5).
    fn hear_mark(&mut self, seg: &Segment<'_>) {
        if self.ecn.on_text(seg.has(Flags::CWR), seg.ecn) {
            self.ack.owe_now();
        }
    }

    /// The round-trip time as one who only receives can see it: text that a window of ours let go
    /// carries our clock's echo.
    fn time_from_receiver(&mut self, cx: &Cx<'_>, seg: &Segment<'_>) {
        if let (Some(ts), Some(option)) = (&self.timestamps, seg.options.timestamps)
            && let Some(elapsed) = ts.round_trip(option.echo, cx.now)
        {
            self.rightsize.on_echo(elapsed);
        }
    }

    /// Text came in order, and filled a hole if `disorder`.
    fn owe_ack(&mut self, cx: &Cx<'_>, seg: &Segment<'_>, disorder: bool) {
        let arrival = Arrival {
            now: cx.now,
            len: usize::from(seg.size).min(seg.text.len()),
            segments: seg.count(),
            window: self.rcv.window(),
            idle: self.rto.current(),
            round_trip: self.rtt.srtt().unwrap_or_default(),
        };
        let due = self.ack.on_text(arrival, cx.delays());
        if disorder {
            self.ack.on_disorder();
        } else if self.options.quick_ack {
            self.ack.owe_now();
        } else {
            self.time_ack(cx, due);
        }
    }

    fn time_ack(&mut self, cx: &Cx<'_>, due: Due) {
        if let Due::After(delay) = due
            && !self.timers.is_set(Timer::DelayedAck)
        {
            self.timers.set(Timer::DelayedAck, cx.now + delay);
        }
    }

    /// RFC 9293 §3.10.7.4 eighth. A FIN ahead of missing text is remembered.
    fn eighth_check_fin(&mut self, cx: &mut Cx<'_>, seg: &Segment<'_>) -> Check {
        if seg.has(Flags::FIN) && self.state.may_receive() {
            self.rcv.note_fin(seg.seq + seg.text.len() as u32);
        }
        if self.state.may_receive() && self.rcv.take_fin() {
            // In ESTABLISHED the application is about to close too: its FIN carries the
            // acknowledgment, if it comes within the delay. Otherwise we are the last to speak.
            let due = self.ack.on_fin(cx.delays());
            if self.state == State::Established && !self.rcv.has_holes() {
                self.time_ack(cx, due);
            } else {
                self.ack.owe_now();
            }
            self.marks.event = true;
            self.on_fin_received(cx);
        } else if seg.has(Flags::FIN) {
            self.ack.owe_now();
        }
        Continue(())
    }

    /// The SYN that began this, once more.
    fn is_syn_again(&self, seg: &Segment<'_>) -> bool {
        let irs = self.rcv.nxt - 1 - self.stats.bytes_received as u32;
        seg.has(Flags::SYN) && !seg.has(Flags::ACK) && !seg.has(Flags::RST) && seg.seq == irs
    }

    /// What a SYN-ACK says about Fast Open (RFC 7413 §4.2.1): what is remembered of the server, and
    /// whether it took the text of our SYN.
    fn note_fast_open(&mut self, cx: &mut Cx<'_>, seg: &Segment<'_>) {
        let text = match self.snd.outstanding() {
            0 | 1 => SynText::None,
            _ if seg.ack == self.snd.nxt => SynText::Taken,
            _ => SynText::Refused,
        };
        self.fast_open.on_syn_ack(&seg.options, text, self.rto.expiries());
        cx.counters.tcp_fast_open_active += u64::from(text == SynText::Taken);
        cx.counters.tcp_fast_open_active_fail += u64::from(text == SynText::Refused);
    }

    /// Our SYN is acknowledged: the first sample, and the first window.
    fn on_syn_acked(&mut self, cx: &mut Cx<'_>, seg: &Segment<'_>) -> Acked {
        let una = self.snd.una;
        let acked = self.snd.on_ack(seg.ack, cx.memory);
        self.stats.bytes_acked += u64::from(acked.text);
        self.progress_at = cx.now;
        self.on_acknowledgment(cx, seg, una, false);
        if self.origin == Origin::Active && self.snd.outstanding() > 0 {
            self.lose_syn_text();
        }
        // Where nothing is outstanding nothing is kept, until there is text.
        self.rest_delivering();
        // The window of a segment with SYN is never scaled (RFC 7323 §2.2).
        let scale = if seg.has(Flags::SYN) { 0 } else { self.snd.scale };
        self.snd.set_window(seg.seq, seg.ack, u32::from(seg.window) << scale);
        acked
    }

    /// ESTABLISHED, or where an early CLOSE has already led (RFC 9293 §3.10.4.3).
    fn become_established(&mut self, cx: &mut Cx<'_>, event: Event) {
        self.state = self.state.on(event);
        let syn_lost = self.rto.expiries() > 0;
        self.congestion.on_established(self.snd.mss_u32(), syn_lost);
        self.rto.on_established(&self.rtt);
        self.arm_keepalive(cx.now);
        self.marks.event = true;
    }

    /// An ICMP error about this connection (RFC 1122 §4.2.3.9, RFC 5461, RFC 5927): hard errors
    /// end only an attempt to connect; afterwards every error is soft. Who wants to know at once
    /// does (`IP_RECVERR`), and gives up an attempt for every error.
    pub(crate) fn on_icmp_error(&mut self, cx: &mut Cx<'_>, seq: Seq, error: TcpError) {
        if !self.is_in_flight(seq) {
            return;
        }
        let at_once = self.options.network_errors;
        let hard = matches!(error, TcpError::Refused | TcpError::ProtocolUnreachable);
        if (hard || at_once) && !self.state.is_synchronized() {
            self.end(cx, Ended::Failed(error));
        } else if at_once {
            self.error = Some(error);
            self.marks.event = true;
        } else {
            self.soft_error = Some(error);
        }
    }

    /// The next hop does not answer ARP. Opening fails at once (Linux's EHOSTUNREACH); an open
    /// connection goes on trying, as for any soft error.
    pub(crate) fn on_no_neighbor(&mut self, cx: &mut Cx<'_>, seq: Seq, error: TcpError) {
        if self.state == State::SynSent {
            self.end(cx, Ended::Failed(error));
        } else {
            self.on_icmp_error(cx, seq, error);
        }
    }
}
