//! What holds a sender back: the clocks of `TcpInfo::limited`, over paths in virtual time.

use stack::{Limit, TcpOptions};
use std::time::Duration;
use tests::path::{Path, Shape};

const SECOND: Duration = Duration::from_secs(1);

/// 20 Mbit/s and 40 ms: 100,000 bytes under way.
fn shape() -> Shape {
    Shape { rtt: Duration::from_millis(40), rate: 20_000_000, queue: 1 << 20 }
}

/// How long the sender was held back by `limit`, of all the time that it was busy; percent.
fn share(path: &mut Path, limit: Limit) -> u128 {
    let now = path.now;
    let limited = path.info(0).limited;
    limited.time(limit, now).as_micros() * 100 / limited.busy(now).as_micros().max(1)
}

#[test]
fn by_the_congestion_window_while_it_opens() {
    let mut path = Path::new(&shape(), |_, _| ());
    path.transfer(Duration::from_millis(160));
    assert!(share(&mut path, Limit::CongestionWindow) > 95, "{:?}", path.info(0).limited);
    assert_eq!(path.info(0).limited.by(), Some(Limit::CongestionWindow));
}

/// The rate of delivery is the path's while there is more to send, and remembered afterwards.
#[test]
fn the_rate_of_delivery_is_the_paths() {
    let shape = shape();
    let mut path = Path::new(&shape, |_, _| ());
    path.transfer(5 * SECOND);
    let carried = Path::text_in(&shape, SECOND);
    let near = |rate: u64| rate * 100 / carried;
    let info = path.info(0);
    assert!((90..=105).contains(&near(info.delivery_rate)), "{} of {carried}", info.delivery_rate);
    assert!(!info.delivery_app_limited && info.bytes_delivered >= info.bytes_acked);
    path.run(SECOND, Path::read_all);
    assert_eq!(path.write_up_to(100), 100);
    path.run(SECOND, Path::read_all);
    let after = path.info(0).delivery_rate;
    assert!((90..=105).contains(&near(after)), "{after} of {carried}");
}

#[test]
fn by_a_reader_who_is_slow() {
    let mut path = Path::new(&shape(), |_, _| ());
    for _ in 0..200 {
        path.run(SECOND / 20, Path::write_all);
        path.read_up_to(5_000);
    }
    assert!(share(&mut path, Limit::ReceiverWindow) > 90, "{:?}", path.info(0).limited);
}

#[test]
fn by_a_send_buffer_that_is_small() {
    let mut path = Path::new(&shape(), |_, _| ());
    let now = path.now;
    let id = path.sockets[0].expect("connecting");
    let small = TcpOptions { send_buffer: Some(20_000), ..TcpOptions::default() };
    path.hosts[0].tcp(id).expect("alive").set_options(now, small);
    path.transfer(10 * SECOND);
    assert!(share(&mut path, Limit::SendBuffer) > 80, "{:?}", path.info(0).limited);
}

#[test]
fn by_the_application_and_not_at_all_when_idle() {
    let mut path = Path::new(&shape(), |_, _| ());
    path.run(SECOND, Path::read_all);
    for _ in 0..10 {
        assert_eq!(path.write_up_to(1000), 1000);
        path.run(SECOND, Path::read_all);
    }
    assert_eq!(share(&mut path, Limit::Application), 100);
    assert_eq!(path.info(0).limited.by(), None, "it is idle");
    let (now, limited) = (path.now, path.info(0).limited);
    // A round trip each, and what the acknowledgment waits.
    let busy = limited.busy(now).as_millis();
    assert!((400..900).contains(&busy), "{busy} ms");
}
