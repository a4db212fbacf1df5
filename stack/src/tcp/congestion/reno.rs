//! Reno: slow start and congestion avoidance (RFC 5681 §3.1), by byte counting (RFC 3465).

use super::{AckReport, Cause, CongestionControl, Restart, initial_window, least_threshold};

/// Appropriate byte counting's L: at most two segments of growth per acknowledgment (RFC 3465
/// §2.2), so that an acknowledgment of a megabyte does not open a burst of one.
const ABC_L: u32 = 2;

/// What is left of the window when a router marked instead of dropping, in percent (RFC 8511 §3.1).
const BETA_ECN: u32 = 80;

/// The window, the threshold and the bytes counted towards the next increase.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reno {
    cwnd: u32,
    ssthresh: u32,
    /// Bytes acknowledged in congestion avoidance since cwnd last grew.
    counted: u32,
    /// cwnd and ssthresh before the last reduction.
    saved: Option<(u32, u32)>,
    /// A reduction is being recovered from: what follows belongs to it.
    recovering: bool,
}

impl Reno {
    pub(crate) fn new(mss: u32) -> Reno {
        let cwnd = initial_window(mss);
        Reno { cwnd, ssthresh: u32::MAX, counted: 0, saved: None, recovering: false }
    }

    /// RFC 5681 equation (4), with the percentage that is left. The window counts as far as it was
    /// used: limited transmit is no use of it.
    fn reduce(&mut self, left: u32, flight: u32, mss: u32) {
        if !self.recovering {
            self.saved = Some((self.cwnd, self.ssthresh));
        }
        let used = u64::from(flight.min(self.cwnd));
        self.ssthresh = ((used * u64::from(left) / 100) as u32).max(least_threshold(mss));
        self.counted = 0;
    }
}

impl CongestionControl for Reno {
    fn name(&self) -> &'static str {
        "reno"
    }

    fn window(&self) -> u32 {
        self.cwnd
    }

    fn ssthresh(&self) -> u32 {
        self.ssthresh
    }

    fn on_established(&mut self, mss: u32, syn_lost: bool) {
        // RFC 5681 §3.1: a lost SYN makes the initial window one segment.
        self.cwnd = if syn_lost { mss } else { initial_window(mss) };
    }

    fn on_adopted(&mut self, cwnd: u32, ssthresh: u32) {
        (self.cwnd, self.ssthresh) = (cwnd, ssthresh);
    }

    fn on_segments_grown(&mut self, mss: u32) {
        self.cwnd = self.cwnd.max(mss);
        self.ssthresh = self.ssthresh.max(least_threshold(mss));
    }

    fn on_ack(&mut self, report: &AckReport) {
        // What a probe repaired is over at once, and a window that closed ends a recovery, too.
        self.recovering &= report.recovering;
        if report.recovery || !report.cwnd_limited {
            return;
        }
        if self.cwnd < self.ssthresh {
            let growth = report.acked.min(ABC_L * report.mss);
            self.cwnd = self.cwnd.saturating_add(growth);
            return;
        }
        self.counted = self.counted.saturating_add(report.acked);
        if self.counted >= self.cwnd {
            self.counted -= self.cwnd;
            self.cwnd = self.cwnd.saturating_add(report.mss);
        }
    }

    fn on_congestion(&mut self, cause: Cause, flight: u32, mss: u32) {
        match cause {
            Cause::Loss => self.reduce(50, flight, mss),
            Cause::Ecn => {
                self.reduce(BETA_ECN, flight, mss);
                // A mark is never a mistake: there is nothing to go back to.
                self.saved = None;
            }
        }
        self.recovering = cause == Cause::Loss;
        self.cwnd = self.ssthresh;
    }

    fn on_recovered(&mut self, in_flight: u32, mss: u32) {
        self.recovering = false;
        // RFC 6582 §3.2 step 3, option 1: no burst when little is in flight.
        self.cwnd = self.ssthresh.min(in_flight.max(mss).saturating_add(mss));
    }

    fn on_timeout(&mut self, flight: u32, mss: u32) {
        // A loss before it is not what is taken back with it (RFC 4015 §3).
        self.recovering = false;
        self.reduce(50, flight, mss);
        self.cwnd = mss;
    }

    fn on_timeout_again(&mut self, mss: u32) {
        (self.cwnd, self.counted) = (mss, 0);
    }

    fn undo(&mut self) {
        self.recovering = false;
        if let Some((cwnd, ssthresh)) = self.saved.take() {
            (self.cwnd, self.ssthresh) = (self.cwnd.max(cwnd), ssthresh);
        }
    }

    fn on_restart(&mut self, restart: &Restart) {
        if restart.idle > restart.rto {
            self.cwnd = self.cwnd.min(initial_window(restart.mss));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MSS: u32 = 1000;

    fn report(acked: u32, cwnd_limited: bool) -> AckReport {
        AckReport { acked, cwnd_limited, ..AckReport::blank(MSS) }
    }

    fn ack(reno: &mut Reno, acked: u32) {
        reno.on_ack(&report(acked, true));
    }

    #[test]
    fn slow_start_doubles_each_round_trip() {
        let mut reno = Reno::new(MSS);
        assert_eq!(reno.window(), 10 * MSS);
        for _ in 0..10 {
            ack(&mut reno, MSS);
        }
        assert_eq!(reno.window(), 20 * MSS);
    }

    #[test]
    fn avoidance_adds_a_segment_each_round_trip() {
        let mut reno = Reno::new(MSS);
        reno.cwnd = 20 * MSS;
        reno.on_congestion(Cause::Loss, 20 * MSS, MSS);
        reno.on_recovered(20 * MSS, MSS);
        assert_eq!((reno.window(), reno.ssthresh()), (10 * MSS, 10 * MSS));
        for _ in 0..10 {
            ack(&mut reno, MSS);
        }
        assert_eq!(reno.window(), 11 * MSS);
    }

    #[test]
    fn t8_acknowledging_byte_by_byte_gains_nothing() {
        let mut reno = Reno::new(MSS);
        for _ in 0..1000 {
            ack(&mut reno, 1);
        }
        assert_eq!(reno.window(), 11 * MSS);
    }

    #[test]
    fn a_timeout_leaves_one_segment_and_an_unused_window_does_not_grow() {
        let mut reno = Reno::new(MSS);
        reno.on_timeout(8 * MSS, MSS);
        assert_eq!((reno.window(), reno.ssthresh()), (MSS, 4 * MSS));
        let mut idle = Reno::new(MSS);
        idle.on_ack(&report(MSS, false));
        assert_eq!(idle.window(), 10 * MSS);
    }

    #[test]
    fn undo_of_a_time_out_leaves_the_loss_before_it() {
        let mut reno = Reno { cwnd: 20 * MSS, ..Reno::new(MSS) };
        reno.on_congestion(Cause::Loss, 20 * MSS, MSS);
        reno.on_timeout(10 * MSS, MSS);
        assert_eq!(reno.window(), MSS);
        reno.undo();
        assert_eq!((reno.window(), reno.ssthresh()), (10 * MSS, 10 * MSS));
        reno.cwnd = 20 * MSS;
        reno.on_congestion(Cause::Ecn, 20 * MSS, MSS);
        reno.undo();
        assert_eq!(reno.window(), 16 * MSS, "a mark is no mistake (RFC 8511)");
    }

    #[test]
    fn a_reduction_on_its_own_is_not_what_the_next_undo_goes_back_to() {
        let mut reno = Reno::new(MSS);
        reno.on_congestion(Cause::Loss, 10 * MSS, MSS);
        for _ in 0..100 {
            ack(&mut reno, MSS);
        }
        let (window, threshold) = (reno.window(), reno.ssthresh());
        reno.on_congestion(Cause::Loss, window, MSS);
        reno.undo();
        assert_eq!((reno.window(), reno.ssthresh()), (window, threshold));
    }
}
