//! Seeds through the simulated world.

use std::sync::atomic::{AtomicU64, Ordering};
use tests::world::plan::{Mix, Plan};
use tests::world::{Report, run, shrink};

/// Runs the seeds on two threads and adds up the reports. Panics with the first failure.
#[track_caller]
fn seeds(from: u64, count: u64, draw: impl Fn(u64) -> Plan + Sync) -> Report {
    let next = AtomicU64::new(from);
    let work = || {
        let mut total = Report::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from + count {
                return total;
            }
            let plan = draw(seed);
            total += run(&plan).unwrap_or_else(|failure| {
                let first = failure.to_string();
                panic!("{first}\n{}", shrink(&plan, failure))
            });
        }
    };
    std::thread::scope(|scope| {
        let threads = [scope.spawn(work), scope.spawn(work)];
        let mut total = Report::default();
        for thread in threads {
            total += thread.join().expect("a seed failed");
        }
        total
    })
}

/// The seeds decide what a report says, and so does the stack: it may do a little more or a little
/// less than `known`, but not twice as much, nor give up where it did not.
#[track_caller]
fn is_about(found: u64, known: u64, report: &Report) {
    assert!(found.abs_diff(known) <= known / 20, "{found}, not about {known}: {report:?}");
}

#[test]
fn two_thousand_seeds() {
    let report = seeds(1, 2000, |seed| Plan::draw(seed, Mix::Ours));
    is_about(report.frames, 408_000, &report);
    is_about(report.bytes, 124_000_000, &report);
    is_about(report.whole, 5_060, &report);
    is_about(report.done, 4_900, &report);
    is_about(report.unmet, 655, &report);
}

/// Two seeds in five run over IPv6, by themselves and with smoltcp.
#[test]
fn both_versions_of_ip() {
    let drawn = (1..=2000).filter(|&seed| Plan::draw(seed, Mix::Any).run.ip == 6).count();
    assert!((700..900).contains(&drawn), "{drawn} of 2000");
    for (mix, frames, whole, unmet) in [(Mix::Ours, 32_400, 457, 97), (Mix::Smol, 37_200, 534, 31)]
    {
        let report = seeds(30_000, 200, |seed| Plan::draw_over(6, seed, mix));
        is_about(report.frames, frames, &report);
        is_about(report.whole, whole, &report);
        assert!(report.unmet <= unmet + 5 && report.peer_panics <= 1, "{report:?}");
    }
}

#[test]
fn one_frame_in_five_is_lost_and_every_byte_arrives() {
    let report = seeds(1, 500, |seed| Plan::lossy(seed, Mix::Ours));
    assert_eq!((report.whole, report.done), (report.connections, report.connections), "{report:?}");
    is_about(report.frames, 222_000, &report);
    is_about(report.resent, 34_000, &report);
}

#[test]
fn smoltcp_on_the_other_side() {
    let report = seeds(1, 500, |seed| Plan::draw(seed, Mix::Smol));
    is_about(report.frames, 119_000, &report);
    is_about(report.whole, 1_380, &report);
    assert!(report.unmet <= 56 && report.peer_panics <= 2, "{report:?}");
}

#[test]
fn smoltcp_on_the_other_side_of_a_lossy_link() {
    let report = seeds(1, 200, |seed| Plan::lossy(seed, Mix::Smol));
    assert_eq!(report.whole, report.connections, "{report:?}");
    // It may try its FIN so seldom that nobody is in TIME-WAIT any more when it arrives.
    assert!(report.done + 2 >= report.connections, "{report:?}");
    assert!(report.connections > 800 && report.peer_panics <= 2, "{report:?}");
}

/// Where nothing goes wrong, nothing is done twice and nothing for nothing; but who waits for a
/// window asks for it with what has been said.
#[test]
fn a_calm_world() {
    let report = seeds(1, 500, Plan::calm);
    assert_eq!((report.whole, report.done), (report.connections, report.connections), "{report:?}");
    assert_eq!((report.resent, report.dropped), (0, report.probes), "{report:?}");
    is_about(report.frames, 125_000, &report);
}

/// Seeds that found something once: a SYN that no longer asks for ECN, after a Fast Open; a first
/// window that waits for a neighbour's address while the handshake's last word comes three times;
/// plain copies of a SYN-ACK that agreed to ECN; connections that begin again after a reset, and
/// after an end that nobody has seen; segments that grow beyond a window reduced before; a
/// handshake given up (no neighbour answers) after its SYN has brought text; a SYN that meets a
/// forged one while it waits for a neighbour's address; a pace of one segment in minutes; a
/// time-out that proves needless before the device has taken anything; text that waits behind a
/// SYN-ACK for a neighbour's address while a SYN comes that no longer asks for ECN; retransmissions
/// that a queue of four drops, on a path without SACK and timestamps, each a time-out; a port that
/// another connection has got by chance; what was lost beyond a window that closed and opened; a
/// router that takes back what it has said of a network with text under way; two ends that have
/// both filled the other's window, of which some was lost; a handshake with text beyond the user's
/// time-out; a cookie that comes back with text once more when its connection has died unseen; a
/// path that has become a little shorter, so that no acknowledgment of a retransmission counts; a
/// report of a group whose repetition, by one chance in a million, waited for no time at all; a
/// closed window that is told late, to a peer who goes back to send again.
#[test]
fn seeds_that_once_failed() {
    let found = [6_020_282, 8_024_686, 10_099_617, 10_186_763, 10_065_640, 11_002_808, 11_010_978];
    for seed in found {
        // At that time everything went over IPv4.
        seeds(seed, 1, |seed| Plan::draw_over(4, seed, Mix::Any));
    }
    let found = [30_040_302, 31_060_133, 40_074_112, 40_102_972, 60_173_964, 83_307_100];
    let later = [91_035_896, 92_034_801, 93_176_699, 93_395_363, 94_089_335, 110_032_583];
    let last = [127_122_719, 504_630, 135_031_174, 138_071_458];
    for seed in found.into_iter().chain(later).chain(last) {
        seeds(seed, 1, |seed| Plan::draw(seed, Mix::Any));
    }
}

/// smoltcp forgets a FIN that was lost when duplicate acknowledgments come while nothing else is
/// out. The application on our side waits, as it must, and gives up.
#[test]
fn a_fin_that_smoltcp_forgets_is_no_fault_of_ours() {
    for seed in [30_017_619, 82_089_014] {
        seeds(seed, 1, |seed| Plan::draw(seed, Mix::Any));
    }
}

/// A panic of smoltcp ends the run and is its own fault. It panics at a buffer beyond 1 GiB.
#[test]
fn a_panic_of_smoltcp_is_counted() {
    let mut plan = Plan::draw(1, Mix::Smol);
    plan.hosts[1].receive_buffer = (1 << 30) + 1;
    assert_eq!(seeds(1, 1, |_| plan.clone()).peer_panics, 1);
}

/// The same seed is the same run, to the last frame.
#[test]
fn a_seed_decides_everything() {
    for seed in 0..20 {
        let plan = Plan::draw(seed, Mix::Ours);
        let once = run(&plan).unwrap_or_else(|failure| panic!("{failure}"));
        let twice = run(&plan).unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!((once.digest, once.millis), (twice.digest, twice.millis), "seed {seed}");
    }
}
