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

/// In want of memory no window grows, and none is taken back (SHLD-14).
#[test]
fn in_want_of_memory_windows_go_back_without_a_broken_promise() {
    let shape = long_fat();
    let mut path = Path::new(&shape, |which, config| {
        if which == 1 {
            config.tcp.memory_max = 5 << 19;
        }
    });
    path.transfer(secs(4));
    let grown = path.info(1).receive_buffer;
    assert!(grown > 1 << 20, "{grown}");
    // The reader pauses until the ledger is tight.
    path.run(secs(3), Path::write_all);
    let edge = |path: &mut Path| {
        let info = path.info(1);
        info.bytes_received + u64::from(info.receive_window)
    };
    let mut promised = edge(&mut path);
    for _ in 0..200 {
        path.read_up_to(10_000);
        path.run(Duration::from_millis(20), Path::write_all);
        let now = edge(&mut path);
        assert!(now >= promised, "the window was taken back from {promised} to {now}");
        promised = now;
    }
    assert!(path.info(1).receive_buffer < grown, "it has not gone back");
    // With memory it grows again, and everything goes on.
    let before = path.read;
    path.transfer(secs(10));
    assert!(path.read - before > 4 << 20, "{}", path.read - before);
}
