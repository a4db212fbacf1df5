//! Two hosts on a cable, a watchdog, and a clock for what must take time.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::Duration;

use stack::host::{Host, TcpListener, TcpStream};
use stack::{Config, FastOpen, Mac, Seed};

/// The hosts' addresses.
pub(crate) const LEFT: &str = "192.0.2.1";
pub(crate) const RIGHT: &str = "192.0.2.2";

/// Frames that fit on the cable in one direction: enough for every window in these tests.
const CABLE: usize = 20_000;

pub(crate) fn config(last: u8) -> Config {
    let mut config = Config::new(Mac([2, 0, 0, 0, 0, last]));
    config.addresses = vec![
        format!("192.0.2.{last}/24").parse().unwrap(),
        format!("2001:db8::{last}/64").parse().unwrap(),
    ];
    config
}

pub(crate) fn host(last: u8, device: tapdev::PairEnd) -> Host {
    host_with(last, device, config(last))
}

pub(crate) fn host_with(last: u8, device: tapdev::PairEnd, config: Config) -> Host {
    let seed = Seed::from_number(u64::from(last));
    let grace = Duration::from_secs(2);
    Host::builder(config).seed(seed).grace(grace).start(device).unwrap()
}

/// Two connected hosts, of whose Fast Open both sides are on.
pub(crate) fn fast_hosts() -> (Host, Host) {
    let (left, right) = tapdev::pair(1500, CABLE);
    let both = |last| {
        let mut config = config(last);
        config.tcp.fast_open = FastOpen::CLIENT.with(FastOpen::SERVER);
        config
    };
    (host_with(1, left, both(1)), host_with(2, right, both(2)))
}

/// Two connected hosts.
pub(crate) fn hosts() -> (Host, Host) {
    let (left, right) = tapdev::pair(1500, CABLE);
    (host(1, left), host(2, right))
}

/// Echoes until the end of the stream.
pub(crate) fn echo(mut stream: TcpStream) {
    let mut text = [0; 4096];
    loop {
        match stream.read(&mut text).unwrap() {
            0 => return,
            length => stream.write_all(&text[..length]).unwrap(),
        }
    }
}

/// So many requests and answers with one that echoes.
pub(crate) fn ping_pong(mut stream: TcpStream, rounds: u32) {
    stream.set_nodelay(true).unwrap();
    for round in 0..rounds {
        stream.write_all(&round.to_be_bytes()).unwrap();
        assert_eq!(read(&stream, 4), round.to_be_bytes());
    }
}

/// A connection between two hosts: the end at the listener, then the one that connected.
pub(crate) fn connection(left: &Host, right: &Host) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(left, (LEFT, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let near = TcpStream::connect(right, address).unwrap();
    let (far, from) = listener.accept().unwrap();
    assert_eq!(from, near.local_addr().unwrap());
    (far, near)
}

pub(crate) fn address(ip: &str, port: u16) -> SocketAddr {
    SocketAddr::new(ip.parse().unwrap(), port)
}

/// Runs `test` on a thread of its own, and fails if it has not ended in time.
#[expect(clippy::disallowed_methods, reason = "the watchdog watches another thread")]
pub(crate) fn within(seconds: u64, test: impl FnOnce() + Send + 'static) {
    let (done, ended) = mpsc::channel();
    let thread = std::thread::Builder::new().name("watched".into());
    let thread = thread.spawn(move || {
        test();
        let _ = done.send(());
    });
    match ended.recv_timeout(Duration::from_secs(seconds)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("still running after {seconds} s"),
        // The thread has ended or panicked; its panic is this test's.
        _ => thread.unwrap().join().unwrap_or_else(|why| std::panic::resume_unwind(why)),
    }
}

/// How long `work` took.
#[expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests have a clock")]
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = std::time::Instant::now();
    let value = work();
    (value, start.elapsed())
}

#[expect(clippy::disallowed_methods, reason = "tests have a clock")]
pub(crate) fn pause(millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
}

/// Reads exactly `length` bytes.
pub(crate) fn read(mut stream: &TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

/// The byte at `position` of a stream that is checked at the other end.
pub(crate) fn pattern(position: usize) -> u8 {
    (position.wrapping_mul(31) ^ (position >> 8)) as u8
}
