//! The acknowledgment that nearly all are: it covers one thing that was sent once, while nothing is
//! lost, reported or in doubt. Then what `loss` would ask is known before (Van Jacobson's header
//! prediction), and the rest is done here: the samples, the window, the timers. It comes to the
//! same, which a test sees to.

use super::flight::Record;
use super::loss::Taken;
use super::segment::{Flags, Segment, segments};
use super::seq::Seq;
use super::tcb::{Cx, Tcb};
use super::timers::Timer;

impl Tcb {
    /// The one record that this acknowledgment covers, when it brings nothing else. SND.UNA has
    /// moved from `una`, or not.
    pub(super) fn plainly_delivered(&self, seg: &Segment<'_>, una: Seq) -> Option<Record> {
        let quiet = self.sack && self.recovery.is_open() && !self.timers.is_set(Timer::Reorder);
        let bare = seg.options.sack.as_slice().is_empty() && !seg.has(Flags::ECE);
        if !quiet || !bare || self.snd.una == una {
            return None;
        }
        let parts = &*self.delivering;
        let calm = !parts.tlp.is_out() && self.rack.fack().at_or_before(self.snd.una);
        parts.flight.only_acked(self.snd.una).filter(|_| calm).copied()
    }

    /// What `on_acknowledgment` does, for such a one.
    pub(super) fn on_plain_delivery(&mut self, cx: &mut Cx<'_>, record: &Record) {
        let (una, len, rtt) = (self.snd.una, record.len(), cx.now - record.sent_at);
        self.rate.on_delivered(cx.now, len, &record.rate, record.sent_at);
        self.rack.on_delivered(record, rtt);
        self.rack.on_ack(una);
        self.delivering.flight.on_plain_ack();
        self.rtt.on_sample(cx.now, rtt);
        self.rto.on_sample(&self.rtt);
        self.recovery.on_advance(una, segments(len as usize, self.snd.mss.into()));
        self.ecn.on_advance(una);
        self.tell_of_delivery(cx, Taken { acked: len, delivered: len, rtt: Some(rtt) });
        self.rearm_after_ack(cx, true, true);
        self.note_path_probe(cx);
    }
}

#[cfg(test)]
#[path = "fast_tests.rs"]
mod tests;
