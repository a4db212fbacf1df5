//! HyStart++ by itself, and in the first slow start of a connection.

use super::super::simulation::{MSS, Path, Simulation};
use super::*;
use crate::config::Congestion;
use crate::time::Instant;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A sender in slow start that sees every round trip of a round as the test says.
struct Rounds {
    hystart: HyStart,
    delivered: u64,
}

impl Rounds {
    fn new() -> Rounds {
        Rounds { hystart: HyStart::new(), delivered: 0 }
    }

    /// A round of ten segments: growth in segments, or None when slow start ended in it.
    fn round(&mut self, rtts: [u64; 10]) -> Option<u32> {
        let mut grown = 0;
        for rtt in rtts {
            self.delivered += u64::from(MSS);
            let report = AckReport {
                delivered: self.delivered,
                // After this acknowledgment ten segments are in flight: the next round.
                in_flight: 11 * MSS,
                rtt: Some(ms(rtt)),
                ..AckReport::blank(MSS)
            };
            match self.hystart.on_ack(&report, false) {
                Step::Grow(bytes) => grown += bytes,
                Step::Leave => return None,
            }
        }
        Some(grown / (MSS / CSS_GROWTH_DIVISOR))
    }
}

/// In quarters of a segment: 40 in slow start, 10 in conservative slow start.
#[test]
fn a_longer_round_trip_makes_slow_start_conservative_and_then_ends_it() {
    let mut t = Rounds::new();
    assert_eq!(t.round([100; 10]), Some(40));
    // 12 ms more than 100 is below the threshold of 12.5.
    assert_eq!(t.round([112; 10]), Some(40));
    // 14 ms = 112 / 8 more; the eighth sample decides.
    let third = t.round([126; 10]);
    assert!(third.is_some_and(|quarters| quarters == 7 * 4 + 3), "{third:?}");
    for round in 2..=5 {
        assert_eq!(t.round([130; 10]), Some(10), "round {round}");
    }
    assert_eq!(t.round([130; 10]), None, "after CSS_ROUNDS");
}

#[test]
fn a_round_trip_that_shortens_again_was_jitter() {
    let mut t = Rounds::new();
    t.round([100; 10]);
    t.round([100; 10]);
    assert_eq!(t.round([120; 10]), Some(31));
    let back = t.round([100; 10]);
    assert!(back.is_some_and(|quarters| quarters > 10), "{back:?}");
    assert_eq!(t.round([100; 10]), Some(40));
}

#[test]
fn few_samples_and_single_late_ones_decide_nothing() {
    let mut t = Rounds::new();
    t.round([100; 10]);
    for _ in 0..20 {
        // The least of the round counts.
        assert_eq!(t.round([180, 180, 180, 180, 100, 180, 180, 180, 180, 180]), Some(40));
    }
}

#[test]
fn thresholds_are_4_to_16_ms() {
    // 10 ms: an eighth is 1.25, the least threshold 4.
    let mut t = Rounds::new();
    t.round([10; 10]);
    assert_eq!(t.round([13; 10]), Some(40));
    assert_eq!(t.round([17; 10]), Some(31));
    // 400 ms: an eighth is 50, the greatest threshold 16.
    let mut t = Rounds::new();
    t.round([400; 10]);
    assert_eq!(t.round([415; 10]), Some(40));
    assert_eq!(t.round([431; 10]), Some(31));
}

#[test]
fn an_acknowledgment_counts_for_eight_segments_at_most_without_pacing() {
    let huge = AckReport { acked: 100 * MSS, in_flight: 200 * MSS, ..AckReport::blank(MSS) };
    assert_eq!(HyStart::new().on_ack(&huge, false), Step::Grow(8 * MSS));
    assert_eq!(HyStart::new().on_ack(&huge, true), Step::Grow(100 * MSS));
}

/// A queue of 16 bandwidth-delay products, which plain slow start overflows: it ends with a loss.
/// HyStart++ sees the queue a round trip after it began, at up to four and a half, and goes on for
/// five rounds by a quarter.
#[test]
fn slow_start_ends_before_a_deep_buffer_overflows() {
    for (mbit, rtt) in [(50, 40), (100, 100), (20, 20), (400, 50)] {
        let slow_start = |algorithm| {
            let mut t = Simulation::new(Path::new(mbit, rtt, 16.0), &[algorithm]);
            while t.flows[0].cc.ssthresh() == u32::MAX && t.now < Instant::from_secs(20) {
                t.run(ms(rtt) / 4);
            }
            (t.flows[0].lost, f64::from(t.flows[0].cc.window()) / t.path.bdp())
        };
        let (lost, window) = slow_start(Congestion::Cubic);
        assert_eq!(lost, 0, "{mbit} Mbit/s, {rtt} ms");
        assert!((1.0..14.0).contains(&window), "{window:.2} at {mbit} Mbit/s, {rtt} ms");
        assert!(slow_start(Congestion::Reno).0 > 0, "{mbit} Mbit/s, {rtt} ms without HyStart++");
    }
}
