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
                in_flight: 9 * MSS,
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

/// A round is a flight: what of it is lost, and what a report delivers although it is no reason to
/// grow, is not waited for.
#[test]
fn a_round_ends_with_what_is_still_in_flight() {
    let mut t = Rounds::new();
    t.hystart.on_ack(
        &AckReport {
            delivered: u64::from(MSS),
            acked: 0,
            in_flight: 9 * MSS,
            ..AckReport::blank(MSS)
        },
        false,
    );
    assert_eq!(t.hystart.round_end, 10 * u64::from(MSS));
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

/// Rounds of a hundred milliseconds whose acknowledgments come a millisecond apart.
#[test]
fn a_train_and_a_longer_round_trip_end_slow_start() {
    let mut hystart = HyStart::new();
    let mut ack = |round: u64, nth: u64, rtt: u64| {
        let report = AckReport {
            now: Instant::ZERO + ms(1000 + 100 * round + nth),
            in_flight: 59 * MSS,
            delivered: (60 * round + nth + 1) * u64::from(MSS),
            rtt: Some(ms(rtt)),
            min_rtt: ms(100),
            ..AckReport::blank(MSS)
        };
        hystart.on_ack(&report, false)
    };
    for nth in 0..=50 {
        assert_eq!(ack(0, nth, 100), Step::Grow(MSS), "{nth}");
    }
    for nth in 51..60 {
        assert_eq!(ack(0, nth, 100), Step::Grow(MSS / CSS_GROWTH_DIVISOR), "{nth}: half of it");
    }
    for nth in 0..60 {
        assert_eq!(ack(1, nth, 112), Step::Grow(MSS / CSS_GROWTH_DIVISOR), "{nth}: no queue");
    }
    for nth in 0..7 {
        assert_eq!(ack(2, nth, 113), Step::Grow(MSS / CSS_GROWTH_DIVISOR), "{nth}");
    }
    for nth in 7..=50 {
        assert_eq!(ack(2, nth, 113), Step::Grow(0), "{nth}: perhaps a burst's");
    }
    assert_eq!(ack(2, 51, 113), Step::Leave, "a queue for half a round trip");
}

/// Where late packets have moved the rounds, one begins in the middle of a burst, behind its queue.
#[test]
fn the_queue_of_half_a_burst_does_not_end_slow_start() {
    let mut hystart = HyStart::new();
    let mut ack = |nth: u64, rtt: u64| {
        let report = AckReport {
            now: Instant::ZERO + ms(1000 + nth),
            in_flight: 79 * MSS,
            delivered: (nth + 1) * u64::from(MSS),
            rtt: Some(ms(rtt)),
            min_rtt: ms(100),
            ..AckReport::blank(MSS)
        };
        hystart.on_ack(&report, false)
    };
    for nth in (0..40).map(|nth| (nth, 130)).chain((40..120).map(|nth| (30 + nth, 100))) {
        assert_ne!(ack(nth.0, nth.1), Step::Leave, "{nth:?}");
    }
}

/// The least round trip is never the last word on a real path: a microsecond less in the next round
/// does not take the train back.
#[test]
fn a_shorter_round_trip_does_not_unmake_a_train() {
    let mut hystart = HyStart::new();
    let mut ack = |round: u64, nth: u64, rtt: Duration| {
        let report = AckReport {
            now: Instant::ZERO + ms(1000 + 100 * round + nth),
            in_flight: 59 * MSS,
            delivered: (60 * round + nth + 1) * u64::from(MSS),
            rtt: Some(rtt),
            min_rtt: rtt,
            ..AckReport::blank(MSS)
        };
        hystart.on_ack(&report, false)
    };
    for nth in 0..60 {
        ack(0, nth, ms(100));
    }
    for nth in 0..60 {
        let rtt = ms(100) - Duration::from_micros(1);
        assert_eq!(ack(1, nth, rtt), Step::Grow(MSS / CSS_GROWTH_DIVISOR), "{nth}");
    }
}

/// Acknowledgments at these milliseconds of a round of 100 ms: how many of them made slow start
/// conservative.
fn conservative(acks: impl Iterator<Item = u64>) -> usize {
    let mut hystart = HyStart::new();
    let steps = acks.map(|nth| {
        let report = AckReport {
            now: Instant::ZERO + ms(1000 + nth),
            in_flight: 1000 * MSS,
            rtt: Some(ms(100)),
            min_rtt: ms(100),
            delivered: 1,
            ..AckReport::blank(MSS)
        };
        hystart.on_ack(&report, false)
    });
    steps.filter(|step| *step != Step::Grow(MSS)).count()
}

#[test]
fn the_gaps_between_trains_do_not_count() {
    assert_eq!(conservative((0..60).step_by(3)), 0, "no trains");
    assert_eq!(conservative((0..40).chain(70..81)), 0, "39 and 10 ms");
    assert_eq!(conservative((0..40).chain(70..90)), 8, "the 51st on");
}

#[test]
fn an_acknowledgment_counts_for_eight_segments_at_most_without_pacing() {
    let huge = AckReport { acked: 100 * MSS, ..AckReport::blank(MSS) };
    assert_eq!(HyStart::new().on_ack(&huge, false), Step::Grow(8 * MSS));
    assert_eq!(HyStart::new().on_ack(&huge, true), Step::Grow(100 * MSS));
}

/// Queues of one to sixteen bandwidth-delay products, which plain slow start overflows: it ends
/// with a loss. With HyStart++ it ends two round trips after the window has filled the path.
#[test]
fn slow_start_ends_before_a_buffer_overflows() {
    for (mbit, rtt, queue) in [(50, 40, 16.0), (100, 100, 1.0), (100, 20, 5.0), (400, 50, 1.0)] {
        let slow_start = |algorithm| {
            let mut t = Simulation::new(Path::new(mbit, rtt, queue), &[algorithm]);
            while t.flows[0].cc.ssthresh() == u32::MAX && t.now < Instant::from_secs(20) {
                t.run(ms(rtt) / 4);
            }
            (t.flows[0].lost, f64::from(t.flows[0].cc.window()) / t.path.bdp())
        };
        let (lost, window) = slow_start(Congestion::Cubic);
        assert_eq!(lost, 0, "{mbit} Mbit/s, {rtt} ms");
        assert!((1.0..2.5).contains(&window), "{window:.2} at {mbit} Mbit/s, {rtt} ms");
        assert!(slow_start(Congestion::Reno).0 > 0, "{mbit} Mbit/s, {rtt} ms without HyStart++");
    }
}
