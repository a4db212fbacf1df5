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
            let report = run(&plan).unwrap_or_else(|failure| {
                let first = failure.to_string();
                panic!("{first}\n{}", shrink(&plan, failure))
            });
            total.frames += report.frames;
            total.bytes += report.bytes;
            total.connections += report.connections;
            total.whole += report.whole;
        }
    };
    std::thread::scope(|scope| {
        let threads = [scope.spawn(work), scope.spawn(work)];
        let mut total = Report::default();
        for thread in threads {
            let report = thread.join().expect("a seed failed");
            total.frames += report.frames;
            total.bytes += report.bytes;
            total.connections += report.connections;
            total.whole += report.whole;
        }
        total
    })
}

#[test]
fn two_thousand_seeds() {
    let report = seeds(1, 2000, |seed| Plan::draw(seed, Mix::Ours));
    assert!(report.frames > 300_000 && report.bytes > 100_000_000, "a dull world: {report:?}");
    assert!(report.whole * 2 > report.connections, "hardly a stream arrives: {report:?}");
}

#[test]
fn one_frame_in_five_is_lost_and_every_byte_arrives() {
    let report = seeds(1, 500, |seed| Plan::lossy(seed, Mix::Ours));
    assert_eq!(report.whole, report.connections, "{report:?}");
}

#[test]
fn smoltcp_on_the_other_side() {
    let report = seeds(1, 500, |seed| Plan::draw(seed, Mix::Smol));
    assert!(report.whole * 2 > report.connections, "hardly a stream arrives: {report:?}");
}

#[test]
fn smoltcp_on_the_other_side_of_a_lossy_link() {
    let report = seeds(1, 200, |seed| Plan::lossy(seed, Mix::Smol));
    assert_eq!(report.whole, report.connections, "{report:?}");
}

/// Seeds that found something once: a SYN that no longer asks for ECN, after a Fast Open; a first
/// window that waits for a neighbour's address while the handshake's last word comes three times.
#[test]
fn seeds_that_once_failed() {
    for seed in [6_020_282, 8_024_686] {
        seeds(seed, 1, |seed| Plan::draw(seed, Mix::Any));
    }
}

/// The same seed is the same run, to the last frame.
#[test]
fn a_seed_decides_everything() {
    for seed in 0..20 {
        let plan = Plan::draw(seed, Mix::Ours);
        let once = run(&plan).unwrap_or_else(|failure| panic!("{failure}"));
        let twice = run(&plan).unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!((once.frames, once.millis), (twice.frames, twice.millis), "seed {seed}");
    }
}
