//! How a connection notices that something is lost, and that it is not: what acknowledgments and
//! duplicate reports mean to the flight, and which phase of recovery they lead to (RFC 8985,
//! RFC 6675, RFC 9937, RFC 5682, RFC 3522). Time-outs are in `timeout`; what is sent then is
//! decided in `output`.

use super::congestion::{AckReport, Cause};
use super::flight::{Fate, Newest, Record};
use super::prr::Delivery;
use super::rack::{Path, Rack};
use super::rate::Rate;
use super::recovery::{News, Phase, Verdict};
use super::rtt::GRANULARITY;
use super::scoreboard::{Range, duplicate_report, is_sound_block};
use super::segment::{Flags, Segment};
use super::seq::Seq;
use super::tcb::{Cx, Tcb};
use super::timers::Timer;
use super::timestamps::TimestampState;
use super::tlp::{self, Outcome};
use super::undo::Undo;
use crate::counters::Counters;
use crate::time::Instant;
use core::time::Duration;

/// The unit of timestamps.
const STAMP_TICK: Duration = Duration::from_millis(1);

/// How things stood before an acknowledgment.
#[derive(Clone, Copy, Debug)]
struct Before {
    una: Seq,
    /// What duplicate acknowledgments had said to have left the network.
    departed: u32,
    /// Something was being repaired.
    repairing: bool,
}

/// What an acknowledgment delivered, added up record by record.
struct Tally<'a> {
    now: Instant,
    /// What the peer's timestamp echoes, and the clock that it echoes.
    echo: Option<(u32, &'a TimestampState)>,
    min_rtt: Option<Duration>,
    /// The highest octet delivered before.
    fack: Seq,
    /// Where the episode ends, and its number.
    high: Seq,
    episode: u16,
    rack: &'a mut Rack,
    rate: &'a mut Rate,
    undo: &'a mut Undo,
    delivered: u32,
    /// The timer has expired, and the episode is not over.
    timed_out: bool,
    /// The last one sent of what was never sent again: its order and its round trip.
    sample: Option<(u64, Duration)>,
    /// Something from before the time-out was delivered that was never sent again.
    original: bool,
    /// Something that was sent again was acknowledged.
    repaired: bool,
    reordered: bool,
    /// Retransmissions that the echo shows to have been for nothing.
    spurious: u32,
    /// RACK took for lost what was only late.
    late: bool,
}

impl Tally<'_> {
    /// `record` is newly delivered, by acknowledgment or by report.
    fn take(&mut self, record: &Record, acked: bool) {
        let rtt = self.now - record.sent_at;
        self.delivered += record.len();
        self.repaired |= record.resent && acked;
        self.rate.on_delivered(self.now, record.len(), &record.rate, record.sent_at);
        if !record.resent {
            let original = record.end.at_or_before(self.high);
            self.original |= original;
            // What was sent before a time-out may have been delivered long ago, and only the word
            // of it was lost: that is no round trip.
            let doubtful = original && self.timed_out;
            if !doubtful && self.sample.is_none_or(|(order, _)| record.order >= order) {
                self.sample = Some((record.order, rtt));
            }
            self.reordered |= self.rack.on_original(record, self.fack);
        }
        let earlier = record.resent && self.was_original(acked);
        let soon = self.min_rtt.is_some_and(|min| rtt < min) && !self.is_echoed(record, acked);
        if !(record.resent && (earlier || soon)) {
            self.rack.on_delivered(record, rtt);
        }
        // What a probe sent again was never believed lost (RFC 8985 §7).
        let believed_lost = record.episode == self.episode;
        let found = believed_lost && (earlier || record.fate == Fate::Lost);
        if found {
            self.undo.on_found(record.len());
        }
        self.spurious += u32::from(earlier);
        self.late |= found && !self.timed_out;
        self.rack.raise_fack(record.end);
    }

    /// The acknowledgment echoes the timestamp of this very transmission: the one before was a
    /// round trip ago, and bears another. Then the path has become that short, and who would not
    /// believe it would find no loss any more.
    fn is_echoed(&self, record: &Record, acked: bool) -> bool {
        let Some((echo, clock)) = self.echo.filter(|_| acked) else { return false };
        let differ = self.min_rtt.is_some_and(|min| min > STAMP_TICK);
        differ && !super::timestamps::is_older(echo, clock.value(record.sent_at))
    }

    /// The acknowledgment echoes a timestamp from before the first retransmission of the episode:
    /// it was the original that arrived (RFC 3522 §3.2). An out-of-order segment's report echoes
    /// something older.
    fn was_original(&self, acked: bool) -> bool {
        let Some((echo, clock)) = self.echo.filter(|_| acked) else { return false };
        let first = self.undo.first_resent_at();
        first.is_some_and(|at| super::timestamps::is_older(echo, clock.value(at)))
    }
}

/// What one acknowledgment brought.
#[derive(Clone, Copy, Debug, Default)]
struct Brought {
    advanced: bool,
    delivered: u32,
    original: bool,
    newly_reported: bool,
    rtt: Option<Duration>,
    /// A range reported as received twice.
    duplicate: Option<Range>,
    /// A duplicate acknowledgment without SACK that was believed.
    believed: bool,
    spurious_echo: bool,
}

/// What an acknowledgment brought, as far as congestion control is concerned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    /// What windows may grow by, and all that is newly delivered.
    pub(super) acked: u32,
    pub(super) delivered: u32,
    pub(super) rtt: Option<Duration>,
}

/// Acknowledgments.
impl Tcb {
    /// The path as RACK sees it.
    fn path(&self) -> Path {
        Path {
            srtt: self.rtt.srtt().unwrap_or_default(),
            min_rtt: self.rtt.min().unwrap_or_default(),
            mss: self.snd.mss_u32(),
            sacked: self.delivering.flight.sacked(),
            recovering: !self.recovery.is_open(),
        }
    }

    /// Nothing is outstanding: what is known of the flight goes.
    pub(super) fn rest_delivering(&mut self) {
        self.delivering.rest();
        if self.delivering.allocated() == 0 {
            self.rack.on_rest();
        }
    }

    /// Octets in flight: sent, and neither delivered nor believed lost.
    pub(crate) fn in_flight(&self) -> u32 {
        let departed = self.recovery.departed(self.snd.mss_u32());
        self.delivering.flight.flying().saturating_sub(departed)
    }

    /// Octets that congestion control lets out now.
    pub(crate) fn congestion_allowance(&self) -> u32 {
        if self.recovery.is_fast() && !self.congestion.rules_recovery() {
            return self.delivering.prr.allowance();
        }
        self.congestion.window().saturating_sub(self.in_flight())
    }

    /// An acceptable acknowledgment, after SND.UNA has moved from `una`, if it did. `bare`: no
    /// text, no FIN, the window as before (RFC 5681 §2).
    pub(super) fn on_acknowledgment(
        &mut self,
        cx: &mut Cx<'_>,
        seg: &Segment<'_>,
        una: Seq,
        bare: bool,
    ) {
        match self.plainly_delivered(seg, una) {
            Some(record) => self.on_plain_delivery(cx, &record),
            None => self.on_any_acknowledgment(cx, seg, una, bare),
        }
    }

    /// Whatever it brings: kept out of line, for the other way is short and this one is long.
    #[inline(never)]
    pub(super) fn on_any_acknowledgment(
        &mut self,
        cx: &mut Cx<'_>,
        seg: &Segment<'_>,
        una: Seq,
        bare: bool,
    ) {
        let before = Before {
            una,
            departed: self.recovery.departed(self.snd.mss_u32()),
            repairing: !self.recovery.is_open(),
        };
        let mut brought = self.take_deliveries(cx, seg, before);
        if bare && !brought.advanced && !self.sack && self.snd.outstanding() > 0 {
            // After a time-out only what was sent since can have brought them.
            let out = match self.recovery.phase() {
                Phase::Timeout => self.delivering.flight.flying(),
                Phase::Open | Phase::Fast => self.snd.outstanding(),
            };
            let segments = out.div_ceil(self.snd.mss_u32().max(1));
            brought.believed = self.recovery.on_duplicate(segments);
        }
        if let Some(rtt) = brought.rtt {
            self.rtt.on_sample(cx.now, rtt);
            self.rto.on_sample(&self.rtt);
        }
        let lost = self.judge(cx, seg, before, bare, &brought);
        self.tell_congestion(cx, before, &brought, lost);
        self.rearm_after_ack(cx, brought.advanced, brought.delivered > 0);
        self.note_path_probe(cx);
    }

    /// What is newly delivered: SND.UNA's move first, then the blocks.
    fn take_deliveries(&mut self, cx: &mut Cx<'_>, seg: &Segment<'_>, before: Before) -> Brought {
        let (una, max, window) = (self.snd.una, self.snd.nxt, self.snd.max_wnd);
        let records_max = self.records_max(cx);
        let parts = &mut *self.delivering;
        let stamps = self.timestamps.as_ref().zip(seg.options.timestamps);
        let fack = self.rack.fack();
        let mut tally = Tally {
            now: cx.now,
            echo: stamps.map(|(clock, option)| (option.echo, clock)).filter(|(echo, _)| *echo != 0),
            min_rtt: self.rtt.min(),
            fack,
            high: self.recovery.high(),
            episode: self.recovery.episode(),
            rack: &mut self.rack,
            rate: &mut self.rate,
            undo: &mut parts.undo,
            delivered: 0,
            timed_out: self.recovery.phase() == Phase::Timeout,
            sample: None,
            original: false,
            repaired: false,
            reordered: false,
            spurious: 0,
            late: false,
        };
        let mut brought = Brought { advanced: una != before.una, ..Brought::default() };
        if brought.advanced {
            parts.flight.on_ack(una, |record| tally.take(record, true));
        }
        if self.sack {
            let blocks = seg.options.sack.as_slice();
            brought.duplicate = duplicate_report(blocks, seg.ack);
            let first = usize::from(brought.duplicate.is_some());
            for &(left, right) in &blocks[first..] {
                let (left, right) = (Seq(left), Seq(right));
                if !is_sound_block(left, right, una - window, max) {
                    cx.counters.tcp_sack_discard += 1;
                } else if left.after(una) {
                    parts.flight.on_sack((left, right), records_max, |r| tally.take(r, false));
                }
            }
        }
        brought.delivered = tally.delivered;
        // Without SACK an acknowledgment that a retransmission brought may have moved over what had
        // been delivered before, behind the hole that it fills.
        brought.original = tally.original && (self.sack || !tally.repaired);
        brought.spurious_echo = tally.spurious > 0;
        brought.newly_reported = parts.flight.sacked() > 0 && tally.delivered > 0;
        if tally.reordered {
            cx.counters.tcp_sack_reorder += 1;
        }
        // What stood behind a hole may have come long before the hole was filled (RFC 6298 §3).
        let sample = tally.sample.filter(|_| !tally.repaired);
        let (spurious, late) = (tally.spurious, tally.late);
        self.rack.on_ack(una);
        if late {
            self.rack.on_late(una, max);
        }
        brought.rtt = sample.map(|(_, rtt)| rtt).or_else(|| self.echoed_rtt(cx, seg, &brought));
        self.stats.spurious += u64::from(if self.sack { 0 } else { spurious });
        brought
    }

    /// Records of the flight allowed: enough for segments of half the size, and the limit.
    fn records_max(&self, cx: &Cx<'_>) -> usize {
        let mss = self.snd.mss_u32().max(1);
        let fair = 2 * (self.snd.outstanding() / mss) as usize + 64;
        fair.max(self.delivering.flight.records()).min(cx.config.records_max)
    }

    /// The round trip that the timestamp's echo shows, where a retransmission makes the clock
    /// ambiguous (RFC 7323 §4.1). An echo of what was sent before the last retransmission says how
    /// long an acknowledgment was lost, not how long the path is.
    fn echoed_rtt(&self, cx: &Cx<'_>, seg: &Segment<'_>, brought: &Brought) -> Option<Duration> {
        if !brought.advanced {
            return None;
        }
        let longest = cx.now - self.retransmitted_at + STAMP_TICK;
        let sample = self.timestamps.as_ref()?.round_trip(seg.options.timestamps?.echo, cx.now)?;
        (sample <= longest).then_some(sample)
    }

    /// Duplicate reports, probes, losses, and the phases. Returns octets newly found lost.
    fn judge(
        &mut self,
        cx: &mut Cx<'_>,
        seg: &Segment<'_>,
        before: Before,
        bare: bool,
        brought: &Brought,
    ) -> u32 {
        if let Some(duplicate) = brought.duplicate {
            self.on_duplicate_report(cx, duplicate, seg.ack);
        }
        let repeated = brought.duplicate.map(|(_, end)| end);
        let is_plain = bare && !brought.advanced && seg.options.sack.as_slice().is_empty();
        let una = self.snd.una;
        if self.delivering.tlp.on_ack(una, repeated, is_plain) == Outcome::Repaired {
            cx.counters.tcp_loss_probe_recovery += 1;
            self.reduce_once(before.una);
        }
        self.judge_phase(cx, before, brought);
        let lost = self.detect_losses(cx, brought.delivered);
        let lost = self.find_lost_head(cx, brought) + lost;
        self.hear_echo(cx, seg, before.una, brought);
        lost
    }

    /// The peer echoes a router's mark (RFC 3168 §6.1.2).
    fn hear_echo(&mut self, cx: &mut Cx<'_>, seg: &Segment<'_>, una: Seq, brought: &Brought) {
        self.ecn.on_advance(self.snd.una);
        if !seg.has(Flags::ECE) || seg.has(Flags::SYN) {
            return;
        }
        let open = self.recovery.is_open();
        if self.ecn.marks() {
            cx.counters.tcp_delivered_ce += u64::from(brought.delivered);
            self.stats.on_marked(brought.delivered);
        }
        if self.ecn.on_echo(self.snd.una, open) {
            self.reduce_for_mark(una);
        }
    }

    /// The one reduction of this window for a mark, of what was outstanding from `una` on.
    fn reduce_for_mark(&mut self, una: Seq) {
        let (flight, mss) = (self.snd.nxt.since(una), self.snd.mss_u32());
        self.congestion.on_congestion(Cause::Ecn, flight, mss);
        self.ecn.on_reduced(self.snd.nxt);
        // Nothing to go back to: a mark is no mistake.
        self.delivering.undo.disarm();
    }

    /// Where this acknowledgment leads, before it is asked what is lost.
    fn judge_phase(&mut self, cx: &mut Cx<'_>, before: Before, brought: &Brought) {
        let una = self.snd.una;
        let segments = una.since(before.una).div_ceil(self.snd.mss_u32().max(1));
        let ended = brought.advanced && self.recovery.on_advance(una, segments);
        let news = News {
            advanced: brought.advanced,
            original: brought.original,
            above: brought.believed || (brought.newly_reported && brought.delivered > 0),
        };
        let in_timeout = self.recovery.phase() == Phase::Timeout;
        let first_word = in_timeout && brought.advanced && brought.spurious_echo;
        let can_send = self.snd.has_unsent() && self.snd.usable() > 0;
        let verdict = self.recovery.judge_timeout(news, self.snd.nxt, can_send && !ended);
        if in_timeout && (verdict == Verdict::Spurious || first_word) {
            cx.counters.tcp_spurious_rtos += u64::from(self.delivering.undo.is_armed());
            return self.undo_timeout(cx);
        }
        if self.delivering.undo.is_all_found() {
            self.undo(cx, |counters, full| {
                *if full { &mut counters.tcp_full_undo } else { &mut counters.tcp_partial_undo } +=
                    1;
            });
        } else if self.delivering.undo.is_all_duplicate(self.delivering.flight.lost()) {
            self.undo(cx, |counters, _| counters.tcp_dsack_undo += 1);
        } else if ended {
            self.leave_recovery();
        }
    }

    /// Everything outstanding when the episode began has been acknowledged.
    fn leave_recovery(&mut self) {
        let was_fast = self.recovery.is_fast();
        self.recovery.leave();
        self.rack.on_recovered();
        if was_fast {
            // PRR has brought the flight to the threshold, where it stays (RFC 9937 §6.2). Without
            // SACK little may be in flight, and a burst is avoided (RFC 6582 §3.2 step 3).
            let sacked = self.sack.then(|| self.congestion.ssthresh());
            self.congestion.on_recovered(sacked.unwrap_or(self.in_flight()), self.snd.mss_u32());
        }
    }

    /// The time-out was for nothing (RFC 4015 §3): what was believed lost flies, and the window
    /// is what it was.
    fn undo_timeout(&mut self, cx: &mut Cx<'_>) {
        self.delivering.flight.unlose();
        self.marks.retransmit = false;
        if !self.timers.is_set(Timer::Retransmit) {
            // The device has not taken yet what would have started it anew.
            self.timers.set(Timer::Retransmit, self.retransmit_at(cx.now));
        }
        self.undo(cx, |counters, _| counters.tcp_loss_undo += 1);
    }

    /// The last reduction was for nothing.
    fn undo(&mut self, cx: &mut Cx<'_>, count: impl FnOnce(&mut Counters, bool)) {
        let full = self.delivering.flight.lost() == 0;
        if self.delivering.undo.is_armed() {
            count(cx.counters, full);
            self.congestion.undo();
        }
        self.delivering.undo.disarm();
        if !self.recovery.is_open() {
            self.recovery.leave();
        }
        if self.ecn.on_undone() {
            self.reduce_for_mark(self.snd.una);
        }
    }

    /// A range was received twice (RFC 2883): a retransmission was for nothing, unless the network
    /// duplicates. No more are believed than were sent again (RFC 3708 §3).
    fn on_duplicate_report(&mut self, cx: &mut Cx<'_>, (left, right): Range, ack: Seq) {
        if right.at_or_before(ack) {
            cx.counters.tcp_dsack_recv += 1;
        } else {
            cx.counters.tcp_dsack_ofo_recv += 1;
        }
        let oldest = self.snd.una - self.snd.max_wnd.max(self.snd.outstanding());
        let segments = u64::from(right.since(left).div_ceil(self.snd.mss_u32().max(1)));
        let is_sound = is_sound_block(left, right, oldest, self.snd.nxt);
        if !is_sound || self.stats.spurious + segments > self.stats.retransmits {
            cx.counters.tcp_dsack_ignored += 1;
            return;
        }
        self.stats.spurious += segments;
        self.delivering.undo.on_duplicate(right.since(left));
        // RACK sent it again because something later had been delivered: so it was only late. Not
        // so both copies of a probe (§7.4.2), or what a time-out sent again.
        if !self.delivering.tlp.is_out() && self.recovery.phase() != Phase::Timeout {
            self.rack.on_late(self.snd.una, self.snd.nxt);
        }
    }

    /// Without SACK: the third duplicate acknowledgment, and in recovery each partial one, say
    /// that the first segment is lost (RFC 6582 §3.2).
    fn find_lost_head(&mut self, cx: &mut Cx<'_>, brought: &Brought) -> u32 {
        if self.sack {
            return 0;
        }
        // Nor does anything tell what of the new text that F-RTO sent has left the network.
        self.marks.retransmit |= brought.advanced
            && self.recovery.phase() == Phase::Timeout
            && !self.recovery.prefers_new();
        let partial = brought.advanced && self.recovery.is_fast();
        let third = brought.believed && self.recovery.is_head_lost(self.snd.una);
        if !partial && !third {
            return 0;
        }
        // RFC 6582 §3.2 step 3: at once, for nothing else would tell of the next hole.
        self.marks.retransmit |= partial;
        let mss = self.snd.mss_u32();
        let episode = if third { self.recovery.next_episode() } else { self.recovery.episode() };
        let mut lost = 0;
        let (parts, rate) = (&mut *self.delivering, &mut self.rate);
        let congestion = &mut self.congestion;
        parts.flight.lose_head(mss, episode, |record| {
            lost += record.len();
            congestion.on_lost(&rate.on_lost(record.len(), &record.rate));
            parts.undo.on_marked(record.len());
        });
        if third && lost > 0 {
            self.recovery.leave_timeout();
        }
        self.enter_recovery(cx, lost, brought.delivered);
        lost
    }

    /// The episode that a loss found now belongs to.
    fn next_episode(&self) -> u16 {
        let is_open = self.recovery.is_open();
        if is_open { self.recovery.next_episode() } else { self.recovery.episode() }
    }

    /// RACK_detect_loss (RFC 8985 §6.2 step 5), after an acknowledgment or when its timer expires.
    /// `delivered`: what the acknowledgment has just brought.
    pub(super) fn detect_losses(&mut self, cx: &mut Cx<'_>, delivered: u32) -> u32 {
        self.timers.clear(Timer::Reorder);
        let Some(newest) = self.rack.newest().filter(|_| self.sack) else { return 0 };
        let patience = self.rack.patience(&self.path());
        let episode = self.next_episode();
        let (mut lost, mut again) = (0, 0);
        let next = self.lose_before(cx.now, newest, patience, episode, |record| {
            lost += record.len();
            again += u64::from(record.resent);
        });
        cx.counters.tcp_lost_retransmit += again;
        if let Some(at) = next {
            self.timers.set(Timer::Reorder, at);
        }
        self.enter_recovery(cx, lost, delivered);
        lost
    }

    fn lose_before(
        &mut self,
        now: Instant,
        newest: Newest,
        patience: Duration,
        episode: u16,
        mut on: impl FnMut(&Record),
    ) -> Option<Instant> {
        let (parts, rate) = (&mut *self.delivering, &mut self.rate);
        let congestion = &mut self.congestion;
        parts.flight.detect(
            now,
            newest,
            |sent_at| sent_at + patience,
            episode,
            |record| {
                congestion.on_lost(&rate.on_lost(record.len(), &record.rate));
                parts.undo.on_marked(record.len());
                on(record);
            },
        )
    }

    /// Something is newly lost: fast recovery begins, if nothing is being repaired yet.
    /// `delivered`: what the acknowledgment that showed it has brought.
    fn enter_recovery(&mut self, cx: &mut Cx<'_>, lost: u32, delivered: u32) {
        if lost == 0 || !self.recovery.is_open() {
            return;
        }
        let mss = self.snd.mss_u32();
        let flight = self.snd.outstanding();
        self.recovery.enter_fast(self.snd.nxt);
        self.ecn.on_reduced(self.snd.nxt);
        let resent = self.delivering.tlp.resent();
        self.delivering.tlp.cancel();
        self.timers.clear(Timer::TailProbe);
        self.delivering.undo.begin(lost, resent);
        // FlightSize is what is not acknowledged, though some of it was reported (RFC 5681 §2).
        self.congestion.on_congestion(Cause::Loss, flight, mss);
        // Nor is what was lost before and waits to be sent again on its way. What this
        // acknowledgment delivers counts on both sides of the proportion (RFC 9937 §6.1).
        let parts = &mut *self.delivering;
        let waits = parts.flight.lost().saturating_sub(lost);
        let flew = flight.saturating_sub(parts.flight.sacked() + waits);
        parts.prr.enter(flew.saturating_add(delivered), mss);
        cx.counters.tcp_sack_recovery += u64::from(self.sack);
        cx.counters.tcp_reno_recovery += u64::from(!self.sack);
    }

    /// A loss has been repaired by a probe: the window shrinks as after a recovery of what was
    /// outstanding from `una` on, before the word of it came (RFC 8985 §7.4.2).
    fn reduce_once(&mut self, una: Seq) {
        if self.recovery.is_open() {
            let (flight, mss) = (self.snd.nxt.since(una), self.snd.mss_u32());
            self.congestion.on_congestion(Cause::Loss, flight, mss);
            self.ecn.on_reduced(self.snd.nxt);
            self.delivering.undo.disarm();
        }
    }

    fn tell_congestion(&mut self, cx: &Cx<'_>, before: Before, brought: &Brought, lost: u32) {
        let mss = self.snd.mss_u32();
        // Without SACK a duplicate is a segment delivered, and that is taken back when SND.UNA
        // moves over it (RFC 9937 §6.1, DeliveredData).
        let departed = self.recovery.departed(mss);
        let delivered = brought.delivered + departed.saturating_sub(before.departed)
            - before.departed.saturating_sub(departed).min(brought.delivered);
        if self.recovery.is_fast() {
            let (in_flight, ssthresh) = (self.in_flight(), self.congestion.ssthresh());
            let safe = brought.advanced && lost == 0;
            self.delivering.prr.on_ack(Delivery { delivered, in_flight, ssthresh, mss, safe });
        }
        // What is reported out of order is no reason to send more, until it proves to be only
        // late: RFC 5681 §3.2 wants no growth on duplicate acknowledgments. What was
        // reported during a repair counted then.
        let acked = if self.rack.has_seen_reordering() || before.repairing {
            delivered
        } else {
            self.snd.una.since(before.una)
        };
        if acked == 0 && lost == 0 && delivered == 0 {
            return;
        }
        // Without SACK one that fills a hole moves over what had arrived before (RFC 3465 §2.3).
        let most = if self.sack || !before.repairing { u32::MAX } else { mss };
        let acked = acked.min(most);
        self.tell_of_delivery(cx, Taken { acked, delivered, rtt: brought.rtt });
    }

    /// The congestion controller is told of an acknowledgment.
    pub(super) fn tell_of_delivery(&mut self, cx: &Cx<'_>, taken: Taken) {
        let report = self.ack_report(cx, taken);
        self.congestion.on_ack(&report);
        if self.congestion.drains_path() {
            let in_flight = self.in_flight();
            self.rate.on_app_limited(in_flight);
        }
    }

    /// What the congestion controller is told of an acknowledgment.
    fn ack_report(&mut self, cx: &Cx<'_>, taken: Taken) -> AckReport {
        let (cwnd, ssthresh) = (self.congestion.window(), self.congestion.ssthresh());
        AckReport {
            now: cx.now,
            acked: taken.acked,
            newly_delivered: taken.delivered,
            in_flight: self.in_flight(),
            delivered: self.rate.delivered(),
            mss: self.snd.mss_u32(),
            rtt: taken.rtt,
            srtt: self.rtt.srtt().unwrap_or_default(),
            min_rtt: self.rtt.min().unwrap_or_default(),
            rate: self.rate.sample(self.rtt.min()),
            recovery: self.recovery.is_fast(),
            recovering: !self.recovery.is_open(),
            sack: self.sack,
            cwnd_limited: self.usage.is_limited(cwnd, cwnd < ssthresh),
            window_full: self.usage.is_limited(cwnd, false),
        }
    }

    /// RFC 6298 §5.2, §5.3, and the probe of RFC 8985 §7.2.
    pub(super) fn rearm_after_ack(&mut self, cx: &Cx<'_>, advanced: bool, delivered: bool) {
        if self.snd.outstanding() == 0 {
            self.timers.clear(Timer::Retransmit);
            self.timers.clear(Timer::TailProbe);
            self.timers.clear(Timer::Reorder);
            return;
        }
        if advanced {
            self.timers.set(Timer::Retransmit, self.retransmit_at(cx.now));
        }
        if delivered {
            self.delivering.tlp.on_delivery();
            self.arm_tail_probe(cx.now);
        } else if !self.may_probe_tail() && !self.may_rescue() {
            self.timers.clear(Timer::TailProbe);
        }
    }

    /// RFC 8985 §7.2: SACK, nothing reported above SND.UNA, no recovery, no probe out.
    pub(super) fn may_probe_tail(&self) -> bool {
        let flight = &self.delivering.flight;
        let quiet = self.sack && self.recovery.is_open() && !self.delivering.tlp.is_out();
        quiet && flight.flying() > 0 && flight.sacked() == 0 && flight.lost() == 0
    }

    /// In fast recovery nothing may come back either.
    pub(super) fn may_rescue(&self) -> bool {
        let parts = &*self.delivering;
        self.sack && self.recovery.is_fast() && !parts.tlp.is_rescued() && parts.flight.flying() > 0
    }

    /// Arms the probe's timer anew; never later than the retransmission's, which it replaces.
    pub(super) fn arm_tail_probe(&mut self, now: Instant) {
        self.timers.clear(Timer::TailProbe);
        let span = if self.may_probe_tail() && self.snd.is_syn_acked() {
            let single = self.snd.outstanding() <= self.snd.mss_u32();
            tlp::timeout(self.rtt.srtt(), single)
        } else if let (true, Some(srtt)) = (self.may_rescue(), self.rtt.srtt()) {
            let unfloored = self.rtt.timeout(GRANULARITY).unwrap_or_default();
            let span = tlp::rescue_timeout(srtt, Duration::from_nanos(unfloored));
            // Later it would only put the time-out off, which finds more than the first octet lost.
            if now + span >= self.timers.at(Timer::Retransmit) { return } else { span }
        } else {
            return;
        };
        self.timers.set(Timer::TailProbe, (now + span).min(self.timers.at(Timer::Retransmit)));
    }
}
