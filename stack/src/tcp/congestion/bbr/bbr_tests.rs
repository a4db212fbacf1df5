use super::super::simulation::{MSS, Path, Simulation};
use super::*;
use crate::config::Congestion;

const SECOND: Duration = Duration::from_secs(1);

/// Shares of the link in percent, and the mean of the queue in percent of what is under way.
fn run(simulation: &mut Simulation, span: Duration) -> (Vec<f64>, f64) {
    let flows = simulation.flows.len();
    for flow in 0..flows {
        simulation.take_delivered(flow);
    }
    let (step, mut queued, mut steps) = (Duration::from_millis(5), 0.0, 0.0);
    let end = simulation.now + span;
    while simulation.now < end {
        simulation.run(step);
        queued += simulation.queued() as f64;
        steps += 1.0;
    }
    let link = simulation.path.rate as f64 * span.as_secs_f64();
    let shares = (0..flows).map(|flow| simulation.take_delivered(flow) as f64 * 100.0 / link);
    let shares = shares.collect();
    (shares, queued / steps * 100.0 / simulation.path.bdp())
}

fn alone(path: Path) -> Simulation {
    Simulation::new(path, &[Congestion::Bbr])
}

#[test]
fn it_fills_the_link_behind_any_queue_and_keeps_it_short() {
    for (mbit, rtt, queue, least) in [
        (20, 40, 0.05, 80.0),
        (20, 40, 0.2, 93.0),
        (20, 40, 1.0, 95.0),
        (20, 40, 8.0, 95.0),
        (5, 200, 1.0, 90.0),
        (100, 1, 1.0, 95.0),
    ] {
        let mut simulation = alone(Path::new(mbit, rtt, queue));
        run(&mut simulation, 5 * SECOND);
        let (shares, waiting) = run(&mut simulation, 15 * SECOND);
        assert!(shares[0] >= least, "{mbit} Mbit/s {rtt} ms queue {queue}: {} %", shares[0]);
        assert!(waiting < 50.0, "{mbit} Mbit/s {rtt} ms queue {queue}: {waiting} % in the queue");
        assert_eq!(simulation.flows[0].timeouts, 0);
    }
}

/// Less than a packet under way: four segments keep both ends busy (§5.6.4.3).
#[test]
fn it_works_where_hardly_a_packet_is_under_way() {
    let mut simulation = alone(Path::new(1, 5, 20.0));
    run(&mut simulation, 5 * SECOND);
    let (shares, _) = run(&mut simulation, 10 * SECOND);
    assert!(shares[0] > 95.0, "{} %", shares[0]);
    assert!(simulation.flows[0].cc.window() >= MIN_PIPE * MSS);
}

/// Loss below the threshold costs what §5.3.3.5.3 computes: in each round between two probes the
/// rate falls by the share that is lost, and the next probe restores it.
#[test]
fn random_loss_below_the_threshold_is_outlived() {
    for (loss, least) in [(1, 85.0), (10, 70.0)] {
        let mut simulation = alone(Path { loss, ..Path::new(50, 40, 1.0) });
        run(&mut simulation, 5 * SECOND);
        let (shares, _) = run(&mut simulation, 15 * SECOND);
        assert!(shares[0] > least, "{loss} of 1000: {} %", shares[0]);
    }
}

#[test]
fn ten_times_the_bandwidth_is_found_and_a_tenth_believed() {
    let mut simulation = alone(Path::new(10, 40, 1.0));
    run(&mut simulation, 6 * SECOND);
    simulation.path = Path::new(100, 40, 1.0);
    run(&mut simulation, 4 * SECOND);
    let (shares, _) = run(&mut simulation, 4 * SECOND);
    assert!(shares[0] > 90.0, "of the tenfold link {} %", shares[0]);
    simulation.path = Path::new(10, 40, 1.0);
    run(&mut simulation, 6 * SECOND);
    let (shares, waiting) = run(&mut simulation, 6 * SECOND);
    assert!(shares[0] > 85.0, "of the old link {} %", shares[0]);
    assert!(waiting < 80.0, "{waiting} % in the queue");
}

/// §5.3.4: every five seconds the window is small for a fifth of one.
#[test]
fn the_path_is_drained_every_five_seconds() {
    let path = Path::new(20, 40, 4.0);
    let mut simulation = alone(path);
    run(&mut simulation, 3 * SECOND);
    let (mut small, mut drained) = (0, 0);
    for _ in 0..12_000 {
        simulation.run(Duration::from_millis(1));
        let window = f64::from(simulation.flows[0].cc.window());
        let low = window <= path.bdp() * 0.55;
        small += u32::from(low);
        drained += u32::from(low && simulation.queued() == 0);
    }
    assert!((400..900).contains(&small), "{small} ms of 12 s");
    assert!(drained > small / 2, "{drained} of {small} ms");
}

#[test]
fn it_shares_with_others_and_with_its_like() {
    use Congestion::{Bbr, Cubic, Reno};
    let least = [(0.2, 15.0), (1.0, 15.0), (4.0, 25.0)];
    for (queue, least) in least {
        for flows in [[Bbr, Bbr], [Bbr, Cubic], [Bbr, Reno]] {
            let mut simulation = Simulation::new(Path::new(20, 40, queue), &flows);
            run(&mut simulation, 10 * SECOND);
            let (shares, _) = run(&mut simulation, 40 * SECOND);
            let least = if flows == [Bbr, Bbr] { 40.0 } else { least };
            let fair = shares.iter().all(|&share| share > least);
            assert!(fair && shares[0] + shares[1] > 90.0, "queue {queue} {flows:?}: {shares:.0?}");
        }
    }
}

#[test]
fn who_comes_later_gets_his_share() {
    let mut simulation = alone(Path::new(20, 40, 1.0));
    run(&mut simulation, 8 * SECOND);
    simulation.join(Congestion::Bbr);
    run(&mut simulation, 12 * SECOND);
    let (shares, _) = run(&mut simulation, 20 * SECOND);
    assert!(shares.iter().all(|&share| share > 35.0), "{shares:.0?}");
}

/// A router marks above a fifth of what is under way: the queue stays there, and nothing is lost.
#[test]
fn marks_are_congestion() {
    let path = Path::new(20, 40, 8.0);
    let mark = (path.bdp() * 0.2) as u64;
    let mut simulation = alone(Path { mark, ..path });
    run(&mut simulation, 5 * SECOND);
    let (shares, waiting) = run(&mut simulation, 15 * SECOND);
    assert!(shares[0] > 80.0, "{} %", shares[0]);
    assert!(waiting < 20.0, "{waiting} % in the queue");
    assert_eq!(simulation.flows[0].lost, 0);
}

/// A controller that has found its path: 10 ms and 10 MB/s.
fn cruising() -> Bbr {
    let mut bbr = Bbr::new(MSS, 1);
    bbr.on_established(MSS, false);
    bbr.pipe.reached = true;
    bbr.max_bw.add(10_000_000);
    bbr.bw = 10_000_000;
    let rtt = Duration::from_millis(10);
    bbr.now = Instant::from_secs(1);
    bbr.on_ack(&AckReport { now: bbr.now, rtt: Some(rtt), srtt: rtt, ..AckReport::blank(MSS) });
    bbr.start_down();
    bbr.mode = Mode::Cruise;
    bbr.cwnd = 200_000;
    bbr
}

fn lost(bytes: u32, in_flight: u32, lost: u32) -> Lost {
    Lost { bytes, in_flight, lost, delivered: 0, app_limited: false }
}

#[test]
fn a_spurious_loss_is_taken_back() {
    let mut bbr = cruising();
    bbr.mode = Mode::Up;
    bbr.cycle.sampling = true;
    bbr.bounds.inflight_long = 250_000;
    bbr.on_lost(&lost(10_000, 150_000, 10_000));
    assert_eq!((bbr.mode, bbr.cycle.too_high), (Mode::Down, true));
    assert!(bbr.bounds.inflight_long < 150_000);
    bbr.on_congestion(Cause::Loss, 140_000, MSS);
    bbr.cwnd = 50_000;
    bbr.undo();
    assert_eq!((bbr.mode, bbr.bounds.inflight_long), (Mode::Refill, 250_000));
    assert_eq!(bbr.cwnd, 200_000);
}

#[test]
fn a_time_out_is_taken_back_and_so_is_leaving_startup() {
    let mut bbr = Bbr::new(MSS, 1);
    bbr.on_established(MSS, false);
    bbr.on_timeout(10 * MSS, MSS);
    assert_eq!(bbr.window(), MSS);
    bbr.saved.mode = Some(Mode::Startup);
    bbr.fill_by_losses();
    bbr.check_startup_done();
    assert_eq!(bbr.mode, Mode::Drain);
    bbr.undo();
    assert_eq!((bbr.mode, bbr.pipe.reached), (Mode::Startup, false));
    assert_eq!(bbr.window(), 10 * MSS);
}

/// RFC 8511: a mark reduces less than a loss, and is no mistake.
#[test]
fn a_mark_is_milder_than_a_loss_and_stays() {
    let after = |cause| {
        let mut bbr = cruising();
        bbr.signals.note(cause, 0);
        bbr.signals.round_start = true;
        bbr.adapt_once_a_round();
        bbr.bounds.bw
    };
    assert_eq!((after(Cause::Loss), after(Cause::Ecn)), (7_000_000, 8_500_000));
    let mut bbr = cruising();
    bbr.cycle.sampling = true;
    bbr.on_congestion(Cause::Ecn, 120_000, MSS);
    assert_eq!(bbr.bounds.inflight_long, 120_000);
    bbr.undo();
    assert_eq!(bbr.bounds.inflight_long, 120_000);
}

/// §5.3.3.1: no less is sent than a few segments, so that Reno would need as many round trips. At
/// once would be before the last probe's bandwidth has aged.
#[test]
fn a_path_that_holds_less_than_a_segment_is_not_probed_for_ever() {
    let mut bbr = cruising();
    bbr.bw = 50_000;
    bbr.start_down();
    bbr.cycle.rounds = 1;
    assert!(bbr.bdp() < MSS && !bbr.is_time_to_probe());
    bbr.cycle.rounds = 63;
    assert!(bbr.is_time_to_probe());
}

/// §5.4.1: after silence it sends at its bandwidth, and no ProbeRTT is due.
#[test]
fn silence_is_as_good_as_draining() {
    let mut bbr = cruising();
    bbr.mode = Mode::Up;
    let now = Instant::from_secs(20);
    bbr.on_restart(&Restart { now, idle: 19 * SECOND, rto: SECOND, mss: MSS });
    assert_eq!(bbr.pacing_rate(), Some(9_900_000));
    let rtt = Some(Duration::from_millis(30));
    let report = AckReport { now, rtt, ..AckReport::blank(MSS) };
    bbr.on_ack(&report);
    assert_ne!(bbr.mode, Mode::ProbeRtt);
    let later = now + 6 * SECOND;
    bbr.on_ack(&AckReport { now: later, ..report });
    assert_eq!(bbr.mode, Mode::ProbeRtt);
    assert!(bbr.drains_path());
}
