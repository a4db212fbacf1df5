//! Bulk transfers over bad links in virtual time: goodput, and what is sent again for nothing. The
//! same links, live and beside Linux, are those of `scripts/lossy-bench`.

use stack::{Config, Congestion};
use std::time::Duration;
use tapdev::{LinkConfig, Reorder};
use tests::path::{Path, Shape};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn plain(_: usize, _: &mut Config) {}

/// 100 Mbit/s, and a queue of 100 ms.
fn shape(rtt_ms: u64) -> Shape {
    Shape { rtt: Duration::from_millis(rtt_ms), rate: 100_000_000, queue: 1_250_000 }
}

/// In per mille of what the link can carry.
fn filled(path: &Path, shape: &Shape, span: Duration) -> u64 {
    path.read * 1000 / Path::text_in(shape, span)
}

/// Slow start without HyStart++ sends twice what the link takes until it hears of the first loss, a
/// round trip later: every other segment of a window of megabytes is lost. Each of those that
/// arrive is a range of its own to the receiver.
#[test]
fn every_other_segment_of_a_large_window_is_lost_and_repaired_in_a_few_round_trips() {
    let shape = shape(100);
    let mut path = Path::new(&shape, |_, config| config.tcp.congestion = Congestion::Reno);
    path.transfer(secs(4));
    let (sender, lost) = (path.info(0), path.link().dropped);
    assert!(lost > 1000, "{lost}");
    assert_eq!(sender.retransmits, lost, "nothing is sent again that has arrived");
    let share = filled(&path, &shape, secs(4));
    assert!(share >= 700, "{share} per mille\n{sender:#?}");
}

/// One packet in ten is 3 to 20 ms late, both ways, and none is lost but by the queue.
fn late(shape: &Shape, percent: u32) -> LinkConfig {
    let (least, extra) = (Duration::from_millis(3), Duration::from_millis(20));
    let reorder = Reorder { probability: f64::from(percent) / 100.0, least, extra };
    LinkConfig { reorder: Some(reorder), ..shape.link() }
}

#[test]
fn packets_that_are_late_are_not_taken_for_lost() {
    for (rtt, percent) in [(20, 1), (20, 10), (100, 1), (100, 10)] {
        let shape = shape(rtt);
        for seed in 0..2 {
            let link = late(&shape, percent);
            let mut path = Path::over([link.clone(), link], seed, plain);
            path.transfer(secs(8));
            let (sender, lost) = (path.info(0), path.link().dropped);
            let share = filled(&path, &shape, secs(8));
            let again = (sender.retransmits, sender.spurious_retransmits);
            let what = format!("{rtt} ms, {percent} %, seed {seed}: {share} per mille, {again:?}");
            assert!(share >= if rtt == 20 { 900 } else { 800 }, "{what}");
            // What the queue drops has to be sent again, and nothing else; slow start ends before
            // it drops much.
            assert_eq!(again.0 - again.1, lost, "{what}");
            assert!(lost <= 10, "{what}");
            assert!(again.1 <= 50, "{what}");
        }
    }
}
