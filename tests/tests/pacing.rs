//! Pacing (`SO_MAX_PACING_RATE`), over paths in virtual time.

use stack::{Congestion, Limit, TcpOptions};
use std::time::Duration;
use tests::path::{Path, Shape};

const SECOND: Duration = Duration::from_secs(1);

fn limit_rate(path: &mut Path, rate: Option<u64>) {
    let (now, id) = (path.now, path.sockets[0].expect("connecting"));
    let options = TcpOptions { max_pacing_rate: rate, ..TcpOptions::default() };
    path.hosts[0].tcp(id).expect("alive").set_options(now, options);
}

/// 20 Mbit/s and 40 ms.
fn shape() -> Shape {
    Shape { rtt: Duration::from_millis(40), rate: 20_000_000, queue: 1 << 20 }
}

#[test]
fn a_greatest_rate_is_kept_and_its_clock_runs() {
    for rate in [20_000, 500_000, 1_500_000] {
        let mut path = Path::new(&shape(), |_, _| ());
        limit_rate(&mut path, Some(rate));
        path.transfer(SECOND);
        let before = path.read;
        path.transfer(10 * SECOND);
        let kept = (path.read - before) / 10;
        assert!(kept.abs_diff(rate) <= rate / 50, "{kept} of {rate}");
        let (now, info) = (path.now, path.info(0));
        let (paced, busy) = (info.limited.time(Limit::Pacing, now), info.limited.busy(now));
        assert!(paced * 10 > busy * 9, "{:?}", info.limited);
        assert_eq!((info.pacing_rate, info.max_pacing_rate), (Some(rate), Some(rate)));
        assert_eq!(info.retransmits, 0);
    }
}

/// A rate is changed while the connection waits: the next text goes at the new one.
#[test]
fn a_rate_can_be_taken_back() {
    let mut path = Path::new(&shape(), |_, _| ());
    limit_rate(&mut path, Some(1000));
    path.transfer(10 * SECOND);
    assert!(path.read < 20_000, "{}", path.read);
    limit_rate(&mut path, None);
    path.transfer(10 * SECOND);
    assert_eq!(path.info(0).pacing_rate, None);
    assert!(path.read > Path::text_in(&shape(), 8 * SECOND), "{}", path.read);
}

/// Goodput of CUBIC in 10 s, in percent of the link.
fn goodput(shape: &Shape, paced: bool) -> u64 {
    let mut path = Path::new(shape, |_, _| ());
    if paced {
        // No limit that matters: the window is spread over its round trip.
        limit_rate(&mut path, Some(u64::MAX - 1));
    }
    path.transfer(10 * SECOND);
    path.read * 100 / Path::text_in(shape, 10 * SECOND)
}

/// Where a queue holds a tenth of what is under way, a window that leaves in bursts overflows it
/// long before the path is full.
#[test]
fn a_spread_window_fits_into_a_shallow_queue() {
    for (millis, mbit) in [(40, 50), (100, 20)] {
        let under_way = millis * mbit * 125;
        let rtt = Duration::from_millis(millis);
        let shape = Shape { rtt, rate: mbit * 1_000_000, queue: under_way as usize / 10 };
        let (burst, spread) = (goodput(&shape, false), goodput(&shape, true));
        assert!(spread >= 85 && spread >= burst + 10, "{burst} % in bursts, {spread} % spread");
    }
}

/// BBR over whole stacks: it fills the link, keeps the queue short, and loses little.
#[test]
fn bbr_fills_a_path_and_not_its_queue() {
    for (queue, least) in [(25_000, 80), (250_000, 88), (2_000_000, 88)] {
        let shape = Shape { rtt: Duration::from_millis(40), rate: 50_000_000, queue };
        let mut path = Path::new(&shape, |_, config| config.tcp.congestion = Congestion::Bbr);
        path.transfer(3 * SECOND);
        let before = path.read;
        path.transfer(10 * SECOND);
        let share = (path.read - before) * 100 / Path::text_in(&shape, 10 * SECOND);
        let info = path.info(0);
        assert!(share >= least, "{share} % behind {queue} bytes, {info:?}");
        assert!(info.bytes_retransmitted * 100 < info.bytes_sent * 4, "{info:?}");
        assert!(info.rtt < Duration::from_millis(70), "{:?}", info.rtt);
        assert_eq!((info.congestion, info.timeouts), ("bbr", 0));
        assert!(info.pacing_rate.is_some_and(|rate| rate > 1_000_000), "{info:?}");
    }
}
