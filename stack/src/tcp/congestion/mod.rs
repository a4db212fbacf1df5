//! Congestion control behind one trait (RFC 5681 and its successors). An organ: it takes reports
//! and answers with a window and a rate; when recovery begins and ends is decided elsewhere.

use super::rate::{Lost, RateSample};
use crate::config::Congestion;
use crate::time::Instant;
use core::fmt;
use core::time::Duration;

mod bbr;
mod cubic;
mod hystart;
mod reno;
#[cfg(test)]
mod simulation;
pub(crate) mod usage;

impl Congestion {
    /// A controller for a new connection. Chance comes from `seed`.
    pub(crate) fn controller(self, mss: u32, seed: u32) -> Box<Controller> {
        match self {
            Congestion::Bbr => Box::new(bbr::Bbr::new(mss, seed)),
            Congestion::Cubic => Box::new(cubic::Cubic::new(mss)),
            Congestion::Reno => Box::new(reno::Reno::new(mss)),
        }
    }
}

/// Whatever controls a connection's window.
pub(crate) type Controller = dyn CongestionControl + Send;

/// What makes a box of any controller `Clone`.
pub(crate) trait Duplicate {
    fn duplicate(&self) -> Box<Controller>;
}

impl<T: CongestionControl + Clone + Send + 'static> Duplicate for T {
    fn duplicate(&self) -> Box<Controller> {
        Box::new(self.clone())
    }
}

impl Clone for Box<Controller> {
    fn clone(&self) -> Box<Controller> {
        (**self).duplicate()
    }
}

/// Initial window: ten segments, but not above 14,600 bytes or two segments (RFC 6928 §2).
pub(crate) fn initial_window(mss: u32) -> u32 {
    (10 * mss).min((2 * mss).max(14_600))
}

/// The least slow-start threshold: two segments (RFC 5681 equation 4).
fn least_threshold(mss: u32) -> u32 {
    2 * mss
}

/// What one acknowledgment tells a congestion controller. Sizes are in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AckReport {
    pub(crate) now: Instant,
    /// Newly delivered, as far as windows may grow by it: what is reported out of order on a path
    /// that has never reordered counts when it is acknowledged (RFC 5681 §3.2).
    pub(crate) acked: u32,
    /// Newly delivered: acknowledged, or selectively acknowledged for the first time.
    pub(crate) newly_delivered: u32,
    /// In flight after this acknowledgment: sent, and neither delivered nor lost.
    pub(crate) in_flight: u32,
    /// Everything delivered on this connection, this acknowledgment included.
    pub(crate) delivered: u64,
    /// Sender maximum segment size.
    pub(crate) mss: u32,
    /// The sample that this acknowledgment gave.
    pub(crate) rtt: Option<Duration>,
    /// Smoothed round-trip time; zero before the first sample.
    pub(crate) srtt: Duration,
    /// Least round-trip time; zero before the first sample.
    pub(crate) min_rtt: Duration,
    pub(crate) rate: Option<RateSample>,
    /// In fast recovery, after what this acknowledgment brought.
    pub(crate) recovery: bool,
    /// In fast recovery, or after a time-out.
    pub(crate) recovering: bool,
    /// The peer reports what it receives out of order.
    pub(crate) sack: bool,
    /// The congestion window was what held the sender back (RFC 7661 §4).
    pub(crate) cwnd_limited: bool,
    /// All of it was in flight at some time in this round trip.
    pub(crate) window_full: bool,
}

#[cfg(test)]
impl AckReport {
    /// An acknowledgment of a segment at time zero, in a full window, that says nothing else.
    pub(crate) fn blank(mss: u32) -> AckReport {
        AckReport {
            now: Instant::ZERO,
            acked: mss,
            newly_delivered: mss,
            in_flight: 0,
            delivered: 0,
            mss,
            rtt: None,
            srtt: Duration::ZERO,
            min_rtt: Duration::ZERO,
            rate: None,
            recovery: false,
            recovering: false,
            sack: true,
            cwnd_limited: true,
            window_full: true,
        }
    }
}

/// Why a window is reduced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Something was lost.
    Loss,
    /// A router marked a packet (RFC 3168 §6.1.2).
    Ecn,
}

/// Text is about to follow a time in which nothing was in flight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Restart {
    pub(crate) now: Instant,
    /// Since text was last sent.
    pub(crate) idle: Duration,
    /// The retransmission time-out.
    pub(crate) rto: Duration,
    pub(crate) mss: u32,
}

/// A congestion controller. Windows are in bytes, rates in bytes per second. `flight` is
/// FlightSize, everything sent and not cumulatively acknowledged (RFC 5681 §2).
pub(crate) trait CongestionControl: fmt::Debug + Duplicate {
    /// The name, as `TCP_CONGESTION` gives it.
    fn name(&self) -> &'static str;
    /// The congestion window.
    fn window(&self) -> u32;
    /// The slow-start threshold.
    fn ssthresh(&self) -> u32;
    /// The rate at which to send; None when acknowledgments are clock enough.
    fn pacing_rate(&self) -> Option<u64> {
        None
    }
    /// It sets its own window during recovery; otherwise PRR does, from the threshold.
    fn rules_recovery(&self) -> bool {
        false
    }
    /// It empties the path to measure it: what is sent now says nothing of bandwidth.
    fn drains_path(&self) -> bool {
        false
    }
    /// The handshake finished: the segment size is known, and whether the SYN was lost.
    fn on_established(&mut self, mss: u32, syn_lost: bool);
    /// It takes over from another controller, with these values.
    fn on_adopted(&mut self, cwnd: u32, ssthresh: u32);
    /// Segments are longer than before: what was reduced while they were short lets one out.
    fn on_segments_grown(&mut self, mss: u32);
    /// An acknowledgment came, in recovery too.
    fn on_ack(&mut self, report: &AckReport);
    /// Something sent was found lost; once for each record.
    fn on_lost(&mut self, _lost: &Lost) {}
    /// Recovery begins, or the one reduction of this round trip for ECN.
    fn on_congestion(&mut self, cause: Cause, flight: u32, mss: u32);
    /// Fast recovery ended; not called for one that a time-out broke off.
    fn on_recovered(&mut self, in_flight: u32, mss: u32);
    /// The retransmission timer expired, for the first time for this text or since that was taken
    /// back.
    fn on_timeout(&mut self, flight: u32, mss: u32);
    /// It expired again for the same text: one segment, and what was learnt stays.
    fn on_timeout_again(&mut self, mss: u32);
    /// The last reduction was for nothing: back to where it began (RFC 9438 §4.9).
    fn undo(&mut self);
    /// Sending begins again (RFC 5681 §4.1).
    fn on_restart(&mut self, restart: &Restart);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::UnknownCongestion;

    #[test]
    fn every_algorithm_is_found_by_its_name() {
        for algorithm in Congestion::ALL {
            assert_eq!(algorithm.name().parse(), Ok(algorithm));
            assert_eq!(algorithm.controller(1000, 1).name(), algorithm.name());
        }
        assert_eq!("vegas".parse::<Congestion>(), Err(UnknownCongestion));
    }

    /// A loss while segments are short, and what comes after they have grown (RFC 4821 §7.6).
    #[test]
    fn a_window_holds_a_segment_that_has_grown() {
        let (short, long) = (500, 9000);
        for algorithm in Congestion::ALL {
            let mut control = algorithm.controller(short, 1);
            for lost in [true, false] {
                control.on_congestion(Cause::Loss, short, short);
                if lost {
                    control.on_timeout(short, short);
                }
                control.on_segments_grown(long);
                assert!(control.window() >= long, "{}", algorithm.name());
                control.on_recovered(0, long);
                assert!(control.window() >= long, "{}, recovered", algorithm.name());
            }
        }
    }

    #[test]
    fn the_initial_window_is_rfc_6928_s() {
        assert_eq!(initial_window(1460), 14_600);
        assert_eq!(initial_window(536), 5_360);
        assert_eq!(initial_window(8960), 17_920);
    }
}
