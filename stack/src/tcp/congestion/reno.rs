//! Reno: slow start and congestion avoidance (RFC 5681 §3.1), by byte counting (RFC 3465).

use super::{AckReport, CongestionControl, initial_window};

/// Appropriate byte counting's L: at most two segments of growth per acknowledgment (RFC 3465
/// §2.2), so that an acknowledgment of a megabyte does not open a burst of one.
const ABC_L: u32 = 2;

/// The window, the threshold and the bytes counted towards the next increase.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reno {
    cwnd: u32,
    ssthresh: u32,
    /// Bytes acknowledged in congestion avoidance since cwnd last grew.
    counted: u32,
}

impl Reno {
    pub(crate) fn new(mss: u32) -> Reno {
        Reno { cwnd: initial_window(mss), ssthresh: u32::MAX, counted: 0 }
    }

    /// RFC 5681 equation (4).
    fn halve(&mut self, in_flight: u32, mss: u32) {
        self.ssthresh = (in_flight / 2).max(2 * mss);
        self.counted = 0;
    }
}

impl CongestionControl for Reno {
    fn window(&self) -> u32 {
        self.cwnd
    }

    fn ssthresh(&self) -> u32 {
        self.ssthresh
    }

    fn on_ack(&mut self, report: AckReport) {
        // A window that is not used proves nothing about the path (RFC 7661 §3).
        if report.in_flight.saturating_add(2 * report.mss) < self.cwnd.min(self.ssthresh) {
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

    fn on_loss(&mut self, in_flight: u32, mss: u32) {
        self.halve(in_flight, mss);
        self.cwnd = self.ssthresh;
    }

    fn on_timeout(&mut self, in_flight: u32, mss: u32) {
        self.halve(in_flight, mss);
        self.cwnd = mss;
    }

    fn on_recovered(&mut self, in_flight: u32, mss: u32) {
        // RFC 6582 §3.2 step 3, option 1: no burst when little is in flight.
        self.cwnd = self.ssthresh.min(in_flight.max(mss).saturating_add(mss));
    }

    fn on_idle(&mut self, mss: u32) {
        self.cwnd = self.cwnd.min(initial_window(mss));
    }

    fn on_established(&mut self, mss: u32, syn_lost: bool) {
        // RFC 5681 §3.1: a lost SYN makes the initial window one segment.
        self.cwnd = if syn_lost { mss } else { initial_window(mss) };
    }

    fn name(&self) -> &'static str {
        "reno"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MSS: u32 = 1000;

    fn ack(reno: &mut Reno, acked: u32) {
        let in_flight = reno.window();
        reno.on_ack(AckReport { acked, in_flight, mss: MSS });
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
        reno.on_loss(20 * MSS, MSS);
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
        idle.on_ack(AckReport { acked: MSS, in_flight: MSS, mss: MSS });
        assert_eq!(idle.window(), 10 * MSS);
    }

    #[test]
    fn the_initial_window_is_rfc_6928_s() {
        assert_eq!(initial_window(1460), 14_600);
        assert_eq!(initial_window(536), 5_360);
        assert_eq!(initial_window(8960), 17_920);
    }
}
