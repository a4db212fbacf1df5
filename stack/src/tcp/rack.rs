//! RACK: time-based loss detection (RFC 8985 §6). An organ: it sees what is delivered and says how
//! long something sent earlier may still be on its way.

use super::flight::{Newest, Record};
use super::seq::Seq;
use core::time::Duration;

/// Segments reported above a hole that make a loss certain enough on a path that has never
/// reordered (RFC 8985 §6.2 step 4, DupThresh).
pub(crate) const DUP_THRESH: u32 = 3;
/// Recoveries in which nothing was only late until the window is the least again.
const PERSIST: u8 = 16;

/// What the latest deliveries say about the path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rack {
    /// The most recently sent record that was delivered (transmission 0: none), and how long it
    /// took, nanoseconds.
    newest: Newest,
    rtt: u64,
    /// The highest octet delivered (RACK.fack).
    fack: Seq,
    /// The path has delivered out of order.
    reordering: bool,
    /// Quarters of the least round trip that the window of reordering has.
    quarters: u8,
    persist: u8,
    /// SND.NXT when something late last made the window wider: once a round trip.
    round: Option<Seq>,
}

/// What step 4 needs to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path {
    pub(crate) srtt: Duration,
    pub(crate) min_rtt: Duration,
    pub(crate) mss: u32,
    /// Octets reported above SND.UNA.
    pub(crate) sacked: u32,
    /// In fast recovery, or after a time-out.
    pub(crate) recovering: bool,
}

impl Rack {
    pub(crate) const fn new(iss: Seq) -> Rack {
        Rack {
            newest: Newest { order: 0, end: iss },
            rtt: 0,
            fack: iss,
            reordering: false,
            quarters: 1,
            persist: 0,
            round: None,
        }
    }

    /// Steps 1 and 2: `record` was delivered `rtt` after its last transmission. A retransmission
    /// whose acknowledgment may be the original's says nothing, which is the caller's to see.
    pub(crate) fn on_delivered(&mut self, record: &Record, rtt: Duration) {
        let this = Newest { order: record.order, end: record.end };
        if self.newest.is_before(this) {
            self.newest = this;
            self.rtt = rtt.as_nanos() as u64;
        }
    }

    /// Step 3: `record` was delivered and never sent again; something higher had been delivered by
    /// an earlier acknowledgment. Returns true when this is the first reordering.
    pub(crate) fn on_original(&mut self, record: &Record, fack: Seq) -> bool {
        if !record.end.before(fack) {
            return false;
        }
        !core::mem::replace(&mut self.reordering, true)
    }

    /// The flight has been forgotten, and counts its transmissions from one again.
    pub(crate) fn on_rest(&mut self) {
        self.newest.order = 0;
    }

    /// The highest octet delivered, before this acknowledgment.
    pub(crate) fn fack(&self) -> Seq {
        self.fack
    }

    /// Everything up to `end` is below the highest octet delivered.
    pub(crate) fn raise_fack(&mut self, end: Seq) {
        self.fack = self.fack.latest(end);
    }

    /// Step 4: what was taken for lost was only late, by a duplicate report, or sooner, because its
    /// first copy was delivered (RFC 3522). The window was too small by a quarter, once a round
    /// trip.
    pub(crate) fn on_late(&mut self, una: Seq, nxt: Seq) {
        self.reordering = true;
        if self.round.is_some_and(|round| una.before(round)) {
            return;
        }
        self.round = Some(nxt);
        self.quarters = self.quarters.saturating_add(1);
        self.persist = PERSIST;
    }

    /// Step 4, at the end of a recovery from a loss: after sixteen in which nothing was only late
    /// the window is the least again.
    pub(crate) fn on_recovered(&mut self) {
        self.persist = self.persist.saturating_sub(1);
        if self.persist == 0 {
            self.quarters = 1;
        }
    }

    /// Kept near SND.UNA: half the sequence space later it would count as ahead again.
    pub(crate) fn on_ack(&mut self, una: Seq) {
        self.raise_fack(una);
        if self.round.is_some_and(|round| una.at_or_after(round)) {
            self.round = None;
        }
    }

    /// The path has delivered out of order.
    pub(crate) fn has_seen_reordering(&self) -> bool {
        self.reordering
    }

    /// The most recently sent record that was delivered.
    pub(crate) fn newest(&self) -> Option<Newest> {
        (self.newest.order > 0).then_some(self.newest)
    }

    /// RACK.reo_wnd (step 4).
    fn window(&self, path: &Path) -> Duration {
        if !self.reordering
            && (path.recovering || path.sacked >= DUP_THRESH.saturating_mul(path.mss))
        {
            return Duration::ZERO;
        }
        (path.min_rtt * u32::from(self.quarters) / 4).min(path.srtt)
    }

    /// How long after its transmission a record is lost, if something sent later was delivered.
    pub(crate) fn patience(&self, path: &Path) -> Duration {
        Duration::from_nanos(self.rtt) + self.window(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::flight::Fate;
    use crate::tcp::rate::Rate;
    use crate::time::Instant;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn record(order: u64, start: u32, end: u32) -> Record {
        Record {
            start: Seq(start),
            end: Seq(end),
            fate: Fate::Flying,
            resent: false,
            episode: 0,
            order,
            sent_at: Instant::ZERO,
            rate: Rate::default().on_sent(Instant::ZERO, end - start, 0),
        }
    }

    fn path() -> Path {
        Path { srtt: MS(60), min_rtt: MS(40), mss: 1000, sacked: 0, recovering: false }
    }

    #[test]
    fn section_6_2_step_2_the_newest_transmission_counts() {
        let mut rack = Rack::new(Seq(0));
        rack.on_delivered(&record(5, 4000, 5000), MS(40));
        rack.on_delivered(&record(3, 2000, 3000), MS(70));
        assert_eq!(rack.newest(), Some(Newest { order: 5, end: Seq(5000) }));
        rack.on_delivered(&record(5, 5000, 6000), MS(41));
        assert_eq!(rack.newest(), Some(Newest { order: 5, end: Seq(6000) }));
        assert_eq!(rack.patience(&path()), MS(51));
    }

    #[test]
    fn section_6_2_step_4_without_reordering_three_segments_are_enough() {
        let rack = Rack::new(Seq(0));
        assert_eq!(rack.patience(&path()), MS(10));
        assert_eq!(rack.patience(&Path { sacked: 2999, ..path() }), MS(10));
        assert_eq!(rack.patience(&Path { sacked: 3000, ..path() }), MS(0));
        assert_eq!(rack.patience(&Path { recovering: true, ..path() }), MS(0));
    }

    #[test]
    fn section_6_2_step_4_what_was_late_widens_once_a_round() {
        let mut rack = Rack::new(Seq(0));
        assert!(rack.on_original(&record(1, 0, 10), Seq(20)));
        assert!(!rack.on_original(&record(1, 0, 10), Seq(20)));
        rack.on_late(Seq(0), Seq(100));
        rack.on_late(Seq(50), Seq(150));
        assert_eq!(rack.patience(&path()), MS(20));
        rack.on_late(Seq(100), Seq(200));
        assert_eq!(rack.patience(&path()), MS(30));
        for _ in 0..100 {
            rack.on_ack(Seq(300));
            rack.on_late(Seq(300), Seq(300));
        }
        assert_eq!(rack.patience(&path()), MS(60), "never more than SRTT");
        for _ in 0..15 {
            rack.on_recovered();
        }
        assert_eq!(rack.patience(&path()), MS(60));
        rack.on_recovered();
        assert_eq!(rack.patience(&path()), MS(10), "sixteen recoveries without one");
    }
}
