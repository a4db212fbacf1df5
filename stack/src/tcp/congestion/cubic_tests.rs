use super::super::simulation::{Path, Simulation};
use super::*;
use crate::config::Congestion;
use crate::testing::naive::NaiveCubic;

const MSS: u32 = 1448;

/// In congestion avoidance at `segments`, as HyStart++ leaves it.
fn avoiding(segments: u32) -> Cubic {
    let mut cubic = Cubic::new(MSS);
    let cwnd = segments * MSS;
    cubic.curve = Curve { cwnd, ssthresh: cwnd, prior: cwnd, ..cubic.curve };
    cubic.hystart = None;
    cubic
}

fn ack(cubic: &mut Cubic, at: Duration, segments: u32, rtt: Duration) {
    let now = Instant::ZERO + at;
    let acked = segments * MSS;
    cubic.on_ack(&AckReport { now, acked, srtt: rtt, ..AckReport::blank(MSS) });
}

fn lose(cubic: &mut Cubic) {
    let flight = cubic.window();
    cubic.on_congestion(Cause::Loss, flight, MSS);
    cubic.on_recovered(flight, MSS);
}

fn segments(cubic: &Cubic) -> f64 {
    f64::from(cubic.window()) / f64::from(MSS)
}

/// Runs both over `seconds` of a path, two segments to an acknowledgment, and compares them at
/// every one.
fn follow(cubic: &mut Cubic, twin: &mut NaiveCubic, from: f64, seconds: f64, rtt: f64) {
    let span = Duration::from_secs_f64(rtt);
    let mut now = from;
    while now < from + seconds {
        ack(cubic, Duration::from_secs_f64(now), 2, span);
        twin.on_ack(now, 2.0, rtt);
        let (ours, theirs) = (segments(cubic), twin.cwnd);
        let close = (ours - theirs).abs() < 0.01 * theirs + 0.05;
        assert!(close, "at {now:.3} s: {ours:.3} segments, the twin {theirs:.3}");
        now += rtt * 2.0 / theirs;
    }
}

#[test]
fn the_window_follows_rfc_9438_s_curve() {
    for (start, rtt) in [(20, 0.02_f64), (200, 0.1), (1000, 0.05), (3000, 0.3), (10, 0.0005)] {
        let (mut cubic, mut twin) = (avoiding(start), NaiveCubic::new(f64::from(start)));
        let span = (rtt * 400.0).min(6.0);
        follow(&mut cubic, &mut twin, 0.0, span, rtt);
        let mut now = span;
        for _ in 0..4 {
            lose(&mut cubic);
            twin.on_loss();
            follow(&mut cubic, &mut twin, now, span, rtt);
            now += span;
        }
    }
}

#[test]
fn after_a_loss_the_curve_is_back_at_w_max_after_k() {
    // W_max 1000: K = cbrt(300 / 0.4) = 9.09 s. Concave before, flat there, convex after.
    let mut cubic = avoiding(1000);
    lose(&mut cubic);
    assert!((segments(&cubic) - 700.0).abs() < 1.0);
    let rtt = Duration::from_millis(100);
    let mut at = |round: u32| {
        for i in 0..500 {
            let share = cubic.window() / 500;
            let now = Instant::ZERO + rtt * round + rtt * i / 500;
            cubic.on_ack(&AckReport { now, acked: share, srtt: rtt, ..AckReport::blank(MSS) });
        }
        segments(&cubic)
    };
    let windows: Vec<f64> = (0..200).map(&mut at).collect();
    assert!((windows[45] - 963.0).abs() < 8.0, "half of K: {}", windows[45]);
    assert!((windows[91] - 1000.0).abs() < 3.0, "K: {}", windows[91]);
    assert!(windows[150] > 1070.0, "convex: {}", windows[150]);
}

#[test]
fn a_small_window_on_a_short_path_grows_as_reno() {
    // 10 ms, 50 segments: W_est rises by 9/17 of a segment for a round trip, faster than the curve.
    let mut cubic = avoiding(50);
    lose(&mut cubic);
    let rtt = Duration::from_millis(10);
    let before = segments(&cubic);
    for round in 0..17u32 {
        for i in 0..35 {
            ack(&mut cubic, rtt * round + rtt * i / 35, 1, rtt);
        }
    }
    let grown = segments(&cubic) - before;
    assert!((grown - 8.0).abs() < 1.0, "grew by {grown} segments in 17 round trips");
}

#[test]
fn undo_restores_window_threshold_and_curve() {
    let mut cubic = avoiding(100);
    let rtt = Duration::from_millis(50);
    for round in 1..40 {
        ack(&mut cubic, rtt * round, 50, rtt);
    }
    let before = cubic.curve;
    cubic.on_congestion(Cause::Loss, before.cwnd, MSS);
    let reduced = cubic.curve;
    cubic.undo();
    assert_eq!(format!("{:?}", cubic.curve), format!("{before:?}"));
    // A time-out in a recovery says nothing about the loss that began it.
    let mut other = cubic.clone();
    other.on_congestion(Cause::Loss, before.cwnd, MSS);
    other.on_timeout(before.cwnd, MSS);
    assert_eq!(other.window(), MSS);
    other.undo();
    assert_eq!(format!("{:?}", other.curve), format!("{reduced:?}"));
    // The next loss does not take the spurious one for a sign that capacity was given up.
    lose(&mut cubic);
    assert_eq!(cubic.curve.w_max, Some(before.cwnd));
    // Once only.
    cubic.undo();
    let again = cubic.window();
    cubic.undo();
    assert_eq!(cubic.window(), again);
}

/// §4.2: a stage of congestion avoidance begins with its own window as the estimate, not with what
/// was estimated before an idle time ended the last one.
#[test]
fn after_idling_the_estimate_begins_anew() {
    let mut cubic = avoiding(100);
    let rtt = Duration::from_millis(1);
    for round in 0..20 {
        ack(&mut cubic, rtt * round, 50, rtt);
    }
    let (now, idle) = (Instant::from_secs(2), Duration::from_secs(1));
    cubic.on_restart(&Restart { now, idle, rto: idle / 5, mss: MSS });
    assert_eq!(segments(&cubic), 10.0);
    let threshold = cubic.ssthresh();
    for round in 0..100 {
        ack(&mut cubic, 2 * idle + rtt * round, 8, rtt);
        if cubic.window() > threshold {
            break;
        }
    }
    assert!(cubic.window() <= threshold + 2 * MSS, "{} above {threshold}", cubic.window());
}

#[test]
fn a_slow_start_that_was_broken_off_for_nothing_still_watches_for_the_queue() {
    let mut cubic = Cubic::new(MSS);
    cubic.on_congestion(Cause::Loss, 10 * MSS, MSS);
    assert!(cubic.hystart.is_none());
    cubic.undo();
    assert_eq!((cubic.ssthresh(), cubic.hystart.is_some()), (u32::MAX, true));
}

#[test]
fn fast_convergence_gives_room_to_others() {
    let mut cubic = avoiding(1000);
    lose(&mut cubic);
    lose(&mut cubic);
    // 700 segments, below W_max: W_max = 700 * 0.85.
    let w_max = cubic.curve.w_max.map(|bytes| f64::from(bytes) / f64::from(MSS));
    assert!(w_max.is_some_and(|w_max| (w_max - 595.0).abs() < 1.0), "{w_max:?}");
}

#[test]
fn a_mark_costs_less_than_a_loss() {
    let mut cubic = avoiding(100);
    cubic.on_congestion(Cause::Ecn, 100 * MSS, MSS);
    assert_eq!(cubic.window(), 85 * MSS, "RFC 8511");
    cubic.undo();
    assert_eq!(cubic.window(), 85 * MSS, "a mark is no mistake");
}

#[test]
fn time_without_use_of_the_window_is_no_time_on_the_curve() {
    let rtt = Duration::from_millis(100);
    let (mut busy, mut idle) = (avoiding(500), avoiding(500));
    for cubic in [&mut busy, &mut idle] {
        lose(cubic);
        for round in 0..10 {
            ack(cubic, rtt * round, 350, rtt);
        }
    }
    // An hour in which the application sends a little now and then.
    let hour = Duration::from_secs(3600);
    for second in 1..=3600u64 {
        let now = Instant::from_millis(900 + second * 1000);
        idle.on_ack(&AckReport { now, cwnd_limited: false, ..AckReport::blank(MSS) });
    }
    for round in 10..30 {
        ack(&mut busy, rtt * round, 350, rtt);
        ack(&mut idle, hour + rtt * round, 350, rtt);
    }
    assert_eq!(busy.window(), idle.window());
}

#[test]
fn a_restart_after_idle_begins_with_the_initial_window_and_keeps_the_threshold() {
    let mut cubic = avoiding(100);
    let rto = Duration::from_millis(200);
    cubic.on_restart(&Restart { now: Instant::ZERO, idle: rto, rto, mss: MSS });
    assert_eq!(cubic.window(), 100 * MSS, "no longer than the time-out");
    cubic.curve.ssthresh = 50 * MSS;
    cubic.on_restart(&Restart { now: Instant::ZERO, idle: rto * 2, rto, mss: MSS });
    assert_eq!(cubic.window(), 10 * MSS);
    assert_eq!(cubic.ssthresh(), 75 * MSS);
}

#[test]
fn after_a_timeout_the_curve_begins_where_slow_start_ends() {
    let mut cubic = avoiding(100);
    cubic.on_timeout(100 * MSS, MSS);
    assert_eq!((cubic.window(), cubic.ssthresh()), (MSS, 70 * MSS));
    let rtt = Duration::from_millis(50);
    let mut now = Duration::ZERO;
    while cubic.window() < cubic.ssthresh() {
        ack(&mut cubic, now, 2, rtt);
        now += rtt;
    }
    ack(&mut cubic, now, 1, rtt);
    let epoch = cubic.curve.epoch.unwrap();
    assert_eq!((epoch.k_ms, epoch.w_max), (0, 70 * MSS), "§4.8: K is 0");
}

#[test]
fn t8_acknowledging_byte_by_byte_gains_nothing() {
    let (mut whole, mut split) = (Cubic::new(MSS), Cubic::new(MSS));
    for _ in 0..10 {
        ack(&mut whole, Duration::ZERO, 1, Duration::ZERO);
    }
    for _ in 0..10 * MSS {
        split.on_ack(&AckReport { acked: 1, ..AckReport::blank(MSS) });
    }
    assert_eq!((whole.window(), split.window()), (20 * MSS, 20 * MSS));
}

#[test]
fn cube_roots_are_exact() {
    for n in 0..10_000u64 {
        let root = cube_root(n);
        assert!(root.pow(3) <= n && (root + 1).pow(3) > n, "{n}: {root}");
    }
    assert_eq!(cube_root(u64::MAX), 2_642_245);
}

#[test]
fn s5_extreme_reports_do_not_overflow() {
    let mut cubic = avoiding(100);
    for (now, acked, mss) in [(u64::MAX - 1, u32::MAX, 65_535), (0, 0, 88), (u64::MAX - 1, 1, 1)] {
        let now = Instant::from_nanos(now);
        let (rtt, srtt) = (Some(Duration::MAX), Duration::MAX);
        let report = AckReport { now, acked, rtt, srtt, ..AckReport::blank(mss) };
        cubic.on_ack(&report);
        cubic.on_congestion(Cause::Loss, u32::MAX, mss);
        cubic.on_ack(&report);
        cubic.on_recovered(u32::MAX, mss);
        cubic.on_ack(&report);
        cubic.on_restart(&Restart {
            now: Instant::ZERO,
            idle: Duration::MAX,
            rto: Duration::ZERO,
            mss,
        });
        cubic.on_ack(&report);
        assert!(cubic.window() > 0);
    }
}

#[test]
fn a_link_is_kept_busy_and_shared() {
    let mut t = Simulation::new(Path::new(50, 40, 1.0), &[Congestion::Cubic]);
    t.run(Duration::from_secs(30));
    let alone = t.flows[0].goodput(t.now) / t.path.rate as f64;
    assert!(alone > 0.95, "{alone:.3} of the link alone");
    t.join(Congestion::Cubic);
    t.run(Duration::from_secs(60));
    jain(&mut t);
    t.run(Duration::from_secs(120));
    let index = jain(&mut t);
    assert!(index > 0.98, "Jain's index {index:.3}");
}

#[test]
fn marks_instead_of_losses_keep_the_link_busy_too() {
    let mut path = Path::new(50, 40, 2.0);
    path.mark = (path.bdp() * 0.5) as u64;
    let mut t = Simulation::new(path, &[Congestion::Cubic]);
    t.run(Duration::from_secs(60));
    let share = t.flows[0].goodput(t.now) / t.path.rate as f64;
    assert!(share > 0.95 && t.flows[0].lost == 0, "{share:.3}, {} lost", t.flows[0].lost);
}

/// Jain's index of what flows have had delivered since last asked.
fn jain(t: &mut Simulation) -> f64 {
    let shares: Vec<f64> = (0..t.flows.len()).map(|flow| t.take_delivered(flow) as f64).collect();
    let (sum, squares) = shares
        .iter()
        .fold((0.0, 0.0), |(sum, squares), share| (sum + share, squares + share * share));
    sum * sum / (shares.len() as f64 * squares)
}

/// 100 Mbit/s, 40 ms and a queue of 80 ms; each flow joins 250 ms after the one before. Five
/// minutes are measured, for a window takes ten seconds to come back and no minute is like another:
/// over 90 s the index is 0.92 to 1.00 for starts a millisecond apart (decision 0015).
#[test]
fn flows_share_a_bottleneck() {
    for flows in [2, 4, 8, 16, 32, 64] {
        let mut t = Simulation::new(Path::new(100, 40, 2.0), &[]);
        for _ in 0..flows {
            t.join(Congestion::Cubic);
            t.run(Duration::from_millis(250));
        }
        t.run(Duration::from_secs(60));
        jain(&mut t);
        t.run(Duration::from_secs(300));
        let bytes: u64 = t.flows.iter().map(|flow| flow.delivered).sum();
        let used = bytes as f64 / (t.path.rate * 300) as f64;
        let index = jain(&mut t);
        assert!(index >= 0.98 && used > 0.99, "{flows} flows: {index:.4}, {used:.3} of the link");
    }
}

/// A reduction that no recovery follows, for a loss that a probe has repaired, is over at once:
/// what is undone later goes back to what was before the later one.
#[test]
fn a_reduction_on_its_own_is_not_what_the_next_undo_goes_back_to() {
    let mut cubic = avoiding(100);
    cubic.on_congestion(Cause::Loss, cubic.window(), MSS);
    for round in 0..100 {
        ack(&mut cubic, Duration::from_millis(100) * round, 70, Duration::from_millis(100));
    }
    let (window, threshold) = (cubic.window(), cubic.ssthresh());
    cubic.on_congestion(Cause::Loss, window, MSS);
    assert!(cubic.window() < window);
    cubic.undo();
    assert_eq!((cubic.window(), cubic.ssthresh()), (window, threshold));
}
