//! Buffers that tune themselves, over paths in virtual time.

use stack::{Config, TcpOptions};
use std::time::Duration;
use tests::path::{Path, Shape};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn plain(_: usize, _: &mut Config) {}

/// 100 Mbit/s and 300 ms: 3.75 MB have to be under way.
fn long_fat() -> Shape {
    Shape { rtt: Duration::from_millis(300), rate: 100_000_000, queue: 16 << 20 }
}

/// The share of the path that a transfer fills between two moments, in percent.
fn filled(path: &mut Path, shape: &Shape, span: Duration) -> u64 {
    let before = path.read;
    path.transfer(span);
    (path.read - before) * 100 / Path::text_in(shape, span)
}

#[test]
fn a_long_fat_path_is_filled_with_default_settings() {
    let shape = long_fat();
    let mut path = Path::new(&shape, plain);
    path.transfer(secs(5));
    let share = filled(&mut path, &shape, secs(20));
    let (sender, receiver) = (path.info(0), path.info(1));
    assert!(share >= 95, "{share} %\n{sender:#?}\n{receiver:#?}");
    assert_eq!(sender.retransmits, 0);
    assert!(receiver.receive_buffer > 4_000_000, "{}", receiver.receive_buffer);
    assert!(sender.send_buffer > 3_750_000, "{}", sender.send_buffer);
}

/// The start is as fast as slow start lets it be: no window is waited for.
#[test]
fn the_windows_stay_ahead_of_slow_start() {
    let shape = long_fat();
    let fixed = |_: usize, config: &mut Config| {
        config.tcp.receive_buffer = config.tcp.receive_buffer_max;
        config.tcp.send_buffer = config.tcp.send_buffer_max;
    };
    let (mut tuned, mut large) = (Path::new(&shape, plain), Path::new(&shape, fixed));
    for half in 1..=10 {
        let span = Duration::from_millis(500);
        tuned.transfer(span);
        large.transfer(span);
        assert!(tuned.read * 100 >= large.read * 95, "{half}: {} of {}", tuned.read, large.read);
    }
}

/// On a short path little is enough, and no more is taken.
#[test]
fn a_short_path_needs_little() {
    let shape = Shape { rtt: Duration::from_millis(2), rate: 100_000_000, queue: 100_000 };
    // The sender is held back, or the queue would be part of the path.
    let mut path = Path::new(&shape, |_, config| {
        (config.tcp.send_buffer, config.tcp.send_buffer_max) = (64 << 10, 64 << 10)
    });
    path.transfer(secs(2));
    let share = filled(&mut path, &shape, secs(5));
    let receiver = path.info(1);
    assert!(share >= 95, "{share} %");
    assert!(receiver.receive_buffer < 1 << 20, "{}", receiver.receive_buffer);
}

/// An application that reads slowly gets the rate that it reads at, not a buffer to fall behind in.
#[test]
fn a_slow_reader_keeps_a_small_buffer() {
    let shape = long_fat();
    let mut path = Path::new(&shape, plain);
    for _ in 0..1000 {
        path.run(Duration::from_millis(10), Path::write_all);
        path.read_up_to(1_000);
    }
    let receiver = path.info(1);
    assert!(receiver.receive_buffer <= 256 << 10, "{}", receiver.receive_buffer);
}

/// `SO_RCVBUF` and `SO_SNDBUF` switch it off, as in Linux.
#[test]
fn sizes_that_were_asked_for_stay() {
    let shape = long_fat();
    let mut path = Path::new(&shape, plain);
    let fixed = TcpOptions {
        receive_buffer: Some(200_000),
        send_buffer: Some(300_000),
        ..Default::default()
    };
    path.run(secs(1), Path::read_all);
    for end in 0..2 {
        let (now, id) = (path.now, path.sockets[end].expect("connected"));
        path.hosts[end].tcp(id).expect("alive").set_options(now, fixed);
    }
    path.transfer(secs(5));
    assert_eq!(path.info(1).receive_buffer, 200_000);
    assert_eq!(path.info(0).send_buffer, 300_000);
}

/// What one connection promises is a share of the memory there is: text inside the window is not
/// refused, however long the reader pauses.
#[test]
fn a_window_is_no_larger_than_its_share_of_the_memory() {
    let shape = long_fat();
    let mut path = Path::new(&shape, |which, config| {
        if which == 1 {
            config.tcp.memory_max = 8 << 20;
        }
    });
    path.transfer(secs(6));
    assert_eq!(path.info(1).receive_buffer, 1 << 20);
    path.run(secs(10), Path::write_all);
    assert!(path.hosts[1].memory_used() <= 2 << 20);
    assert_eq!(path.hosts[1].counters().tcp_rcv_q_drop, 0);
    let before = path.read;
    path.transfer(secs(10));
    assert!(path.read - before > 20 << 20, "{}", path.read - before);
}
