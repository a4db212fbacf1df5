//! What expiring timers mean to the flight (RFC 6298 §5.4, RFC 8985 §6.3 and §7.3): what is lost,
//! and which phase of recovery begins. When they expire is decided in `timers`.

use super::flight::Record;
use super::recovery::Phase;
use super::tcb::{Cx, Tcb};
use super::timers::Timer;

impl Tcb {
    /// The first octet is lost and goes again at once: our SYN.
    pub(super) fn lose_head(&mut self) {
        let episode = self.recovery.episode();
        self.delivering.flight.lose_head(1, episode, |_| ());
        self.marks.retransmit = true;
    }

    /// The peer did not take the text of our SYN, which says nothing about congestion: it goes
    /// again at once (RFC 7413 §4.2.1).
    pub(super) fn lose_syn_text(&mut self) {
        self.delivering.flight.lose(0, |_| true, |_| ());
        self.marks.retransmit = true;
    }

    /// The window has closed over what is in flight: all of it waits for the window, and none of
    /// that is the network's doing.
    pub(super) fn lose_behind_window(&mut self) {
        self.delivering.flight.lose(0, |_| true, |_| ());
        self.delivering.tlp.cancel();
        self.delivering.undo.disarm();
        self.recovery.enter_timeout(self.snd.nxt, false);
        self.timers.clear(Timer::TailProbe);
        self.timers.clear(Timer::Reorder);
    }

    /// Nothing has come back: new text, or the last again (RFC 8985 §7.3).
    pub(super) fn on_tail_probe_timeout(&mut self, cx: &mut Cx<'_>) {
        if !(self.may_probe_tail() || self.may_rescue()) || self.snd.wnd == 0 {
            return;
        }
        self.marks.tail_probe = true;
        self.timers.set(Timer::Retransmit, self.retransmit_at(cx.now));
    }

    /// RFC 6298 §5.4, RFC 8985 §6.3: the first segment is lost, and whatever has been on its way
    /// for as long as RACK would have waited. A peer that has taken reports back is not believed.
    pub(super) fn lose_after_timeout(&mut self, cx: &mut Cx<'_>) {
        let episode = self.recovery.next_episode();
        let (parts, rate) = (&mut *self.delivering, &mut self.rate);
        let congestion = &mut self.congestion;
        let mut lost = |record: &Record| {
            congestion.on_lost(&rate.on_lost(record.len(), &record.rate));
            parts.undo.on_marked(record.len());
        };
        if parts.flight.has_reneged() {
            cx.counters.tcp_sack_reneging += 1;
            parts.flight.forget_sacks(episode, &mut lost);
        }
        let first = parts.flight.head().map(|head| head.start);
        let patience = self.rtt.srtt().unwrap_or_default() * 5 / 4;
        let due =
            |record: &Record| Some(record.start) == first || cx.now - record.sent_at >= patience;
        parts.flight.lose(episode, due, &mut lost);
    }

    /// The timer expired on an open window.
    pub(super) fn enter_timeout(&mut self, cx: &mut Cx<'_>) {
        // A loss that went on while it was repaired is one: F-RTO asks about the first time-out of
        // a flight (RFC 5682 §2.1 step 1), or new text would go out for ever before the old.
        let first = self.rto.expiries() == 0;
        let repairing = self.recovery.phase() == Phase::Timeout;
        let probing = first && !repairing && !self.delivering.flight.has_reneged();
        let mss = self.snd.mss_u32();
        // What has gone again by the timer holds the threshold (RFC 5681 §3.1), unless the last
        // time-out has been taken back.
        if first || self.recovery.is_open() {
            self.congestion.on_timeout(self.snd.outstanding(), mss);
            self.ecn.on_reduced(self.snd.nxt);
            let resent = self.delivering.flight.resent();
            self.delivering.undo.begin(0, resent);
        } else {
            self.congestion.on_timeout_again(mss);
            self.delivering.undo.disarm();
        }
        self.delivering.tlp.cancel();
        self.lose_after_timeout(cx);
        self.recovery.enter_timeout(self.snd.nxt, probing);
        self.timers.clear(Timer::TailProbe);
        self.timers.clear(Timer::Reorder);
    }
}
