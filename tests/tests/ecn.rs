//! ECN (RFC 3168) from end to end, in virtual time: a router that marks above a fifth of what is
//! under way, in front of a queue that holds four times as much.

use stack::{Congestion, EcnMode};
use std::time::Duration;
use tapdev::LinkConfig;
use tests::path::{Path, Shape};

const SECOND: Duration = Duration::from_secs(1);

/// 50 Mbit/s and 40 ms: 250,000 bytes under way.
fn shape() -> Shape {
    Shape { rtt: Duration::from_millis(40), rate: 50_000_000, queue: 1_000_000 }
}

fn path(algorithm: Congestion, mode: EcnMode) -> Path {
    let back = shape().link();
    let there = LinkConfig { mark_above: Some(50_000), ..back.clone() };
    Path::over([there, back], 1, |which, config| {
        config.tcp.congestion = algorithm;
        // Who listens has the default: it agrees when it is asked.
        if which == 0 {
            config.tcp.ecn = mode;
        }
    })
}

#[test]
fn marks_keep_the_queue_short_and_nothing_is_lost() {
    for algorithm in Congestion::ALL {
        let mut path = path(algorithm, EcnMode::On);
        path.transfer(5 * SECOND);
        let before = path.read;
        path.transfer(15 * SECOND);
        let share = (path.read - before) * 100 / Path::text_in(&shape(), 15 * SECOND);
        let (info, link) = (path.info(0), path.link());
        assert!(info.ecn && !info.ecn_seen && path.info(1).ecn_seen, "{algorithm}");
        assert!(share >= 75, "{algorithm}: {share} %, {info:?}");
        assert!(link.marked > 0 && info.bytes_delivered_ce > 0, "{algorithm}: {link:?}");
        assert_eq!((link.dropped, info.retransmits), (0, 0), "{algorithm}: {link:?}");
        assert!(info.rtt < Duration::from_millis(70), "{algorithm}: {:?}", info.rtt);
        // What was marked last is still under way.
        path.run(SECOND, |path| path.read_all());
        let counters = path.hosts[1].counters();
        assert_eq!(counters.ip_in_ce_pkts, path.link().marked, "{algorithm}");
    }
}

/// Nobody asks, nobody marks.
#[test]
fn without_agreement_there_are_no_marks() {
    let mut path = path(Congestion::Cubic, EcnMode::WhenAsked);
    path.transfer(5 * SECOND);
    assert!(!path.info(0).ecn);
    assert_eq!(path.link().marked, 0);
}
