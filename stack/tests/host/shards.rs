//! A host of two shards whose other end steers badly: flows move from queue to queue at random, and
//! what is no flow goes anywhere.

use std::collections::{HashMap, HashSet};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use stack::host::{EchoSocket, Host, Shards, TcpListener, TcpStream, UdpSocket};
use stack::{ConnectOptions, Counters, ListenOptions, Seed};
use tapdev::{Device, Fault, PairEnd, Wake, classify};

use crate::rig::{LEFT, RIGHT, address, config, echo, host, pattern, ping_pong, read, within};

const QUEUES: usize = 2;
const CABLE: usize = 20_000;
const ETHERNET_V4: [u8; 2] = [8, 0];

/// How often a flow moves: once in so many frames.
#[derive(Clone, Copy)]
struct Moves(u64);

/// One queue: what the steering has put there, and the wire for what is sent.
struct Queue {
    own: PairEnd,
    wire: Arc<PairEnd>,
}

impl Device for Queue {
    fn mtu(&self) -> usize {
        self.own.mtu()
    }

    fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.own.recv(buf)
    }

    fn send(&self, parts: &[IoSlice<'_>]) -> io::Result<()> {
        self.wire.send(parts)
    }

    fn wait(&self, timeout: Option<Duration>) -> io::Result<Wake> {
        self.own.wait(timeout)
    }

    fn wake(&self) {
        self.own.wake();
    }
}

/// Puts each frame of `wire` into one of `queues` until the other end is gone.
fn steer(wire: &PairEnd, queues: &[PairEnd], moves: Moves) {
    let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
    let mut throw = move |sides: u64| {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        dice % sides
    };
    let mut flows = HashMap::new();
    let mut buffer = vec![0; 2048];
    loop {
        let length = match wire.recv(&mut buffer) {
            Ok(length) => length,
            Err(error) if classify(&error) == Fault::Again => match wire.wait(None) {
                Ok(_) => continue,
                Err(_) => return,
            },
            Err(_) => return,
        };
        let frame = &buffer[..length];
        let ports = if frame[12..14] == ETHERNET_V4 { 34..38 } else { 54..58 };
        let flow = frame.get(ports).unwrap_or_default();
        let queue = flows.entry(flow.to_vec()).or_insert(0);
        if throw(moves.0) == 0 {
            *queue = throw(QUEUES as u64) as usize;
        }
        // Shards that are gone need nothing.
        let _ = queues[*queue].send(&[IoSlice::new(frame)]);
    }
}

#[expect(clippy::disallowed_methods, reason = "what is at the other end is not the stack's")]
fn start(work: impl FnOnce() + Send + 'static) {
    thread::spawn(work);
}

/// The host of two shards, which is the left one, and what is at the other end of its wire.
fn shards_with(moves: Moves, change: impl FnOnce(&mut stack::Config)) -> (Shards, PairEnd) {
    let (wire, other_end) = tapdev::pair(1500, CABLE);
    let wire = Arc::new(wire);
    let (owns, feeds): (Vec<_>, Vec<_>) = (0..QUEUES).map(|_| tapdev::pair(1500, CABLE)).unzip();
    let device = |own| Queue { own, wire: Arc::clone(&wire) };
    let devices = owns.into_iter().map(device).collect();
    let steered = Arc::clone(&wire);
    start(move || steer(&steered, &feeds, moves));
    let mut config = config(1);
    change(&mut config);
    let builder = Host::builder(config).seed(Seed::from_number(1)).grace(Duration::from_secs(2));
    (builder.start_shards(devices).unwrap(), other_end)
}

fn shards(moves: Moves) -> (Shards, Host) {
    let (shards, other_end) = shards_with(moves, |_| {});
    (shards, host(2, other_end))
}

fn passed(shards: &Shards) -> u64 {
    assert!(shards.hosts().iter().all(|host| host.stats().passed_lost == 0));
    shards.hosts().iter().map(|host| host.stats().passed).sum()
}

fn sent_again(shards: &Shards, other: &Host) -> u64 {
    shards.counters().tcp_retrans_segs + other.counters().tcp_retrans_segs
}

fn assert_no_resets(shards: &Shards, other: &Host) {
    let resets = |counters: Counters| counters.tcp_out_rsts;
    assert_eq!((resets(shards.counters()), resets(other.counters())), (0, 0));
}

#[test]
fn every_segment_finds_its_connection_by_any_queue() {
    within(60, || {
        for ip in [LEFT, "2001:db8::1"] {
            let (shards, other) = shards(Moves(1));
            let listener = shards.listen(address(ip, 7), ListenOptions::default()).unwrap();
            thread::scope(|scope| {
                for _ in 0..16 {
                    let stream = TcpStream::connect(&other, address(ip, 7)).unwrap();
                    let (near, _) = listener.accept().unwrap();
                    scope.spawn(move || echo(near));
                    scope.spawn(move || ping_pong(stream, 200));
                }
            });
            assert!(passed(&shards) > 500, "{}", passed(&shards));
            assert_no_resets(&shards, &other);
            assert_eq!(sent_again(&shards, &other), 0, "nothing was lost");
        }
    });
}

#[test]
fn streams_are_exact_while_their_flows_move() {
    const TOTAL: usize = 2_000_000;
    within(60, || {
        let (shards, other) = shards(Moves(50));
        let listener = shards.listen(address(LEFT, 7), ListenOptions::default()).unwrap();
        let connect = || {
            let stream = TcpStream::connect(&other, address(LEFT, 7)).unwrap();
            let (near, _) = listener.accept().unwrap();
            start(move || echo(near));
            stream
        };
        let streams: Vec<_> = (0..4).map(|_| connect()).collect();
        thread::scope(|scope| {
            for mut stream in &streams {
                scope.spawn(move || {
                    let bytes: Vec<u8> = (0..TOTAL).map(pattern).collect();
                    stream.write_all(&bytes).unwrap();
                });
                scope.spawn(move || {
                    let bytes = read(stream, TOTAL);
                    assert!(bytes.iter().enumerate().all(|(at, &byte)| byte == pattern(at)));
                });
            }
        });
        // Before the end: a late acknowledgment of one that is closed is answered by a RST.
        assert!(passed(&shards) > 0);
        assert_no_resets(&shards, &other);
        let segments = shards.counters().tcp_out_segs + other.counters().tcp_out_segs;
        let again = sent_again(&shards, &other);
        assert!(again * 20 < segments, "{again} of {segments} sent again");
    });
}

#[test]
fn cookies_are_redeemed_by_any_queue() {
    within(60, || {
        let (shards, other_end) =
            shards_with(Moves(1), |config| config.tcp.half_open_per_listener = 0);
        let other = host(2, other_end);
        let listener = shards.listen(address(LEFT, 7), ListenOptions::default()).unwrap();
        for _ in 0..50 {
            let stream = TcpStream::connect(&other, (LEFT, 7)).unwrap();
            let (near, _) = listener.accept().unwrap();
            drop(near);
            assert_eq!((&stream).read(&mut [0]).unwrap(), 0);
        }
        let counters = shards.counters();
        // The other end resets what a late acknowledgment makes TIME-WAIT say.
        assert_eq!((counters.tcp_cookies_received, counters.tcp_out_rsts), (50, 0));
    });
}

#[test]
fn a_closed_port_is_refused_by_one() {
    within(60, || {
        let (shards, other) = shards(Moves(1));
        for _ in 0..50 {
            let refused = TcpStream::connect(&other, (LEFT, 9)).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        }
        assert_eq!(shards.counters().tcp_out_rsts, 50);
    });
}

#[test]
fn each_shard_connects_from_ports_that_lead_back_to_it() {
    within(60, || {
        let (shards, other) = shards(Moves(1));
        let listener = TcpListener::bind(&other, (RIGHT, 7)).unwrap();
        let mut peers = HashSet::new();
        let mut streams = Vec::new();
        for _ in 0..100 {
            for host in shards.hosts() {
                let stream = TcpStream::connect(host, (RIGHT, 7)).unwrap();
                let (far, peer) = listener.accept().unwrap();
                assert!(peers.insert(peer), "{peer} twice");
                streams.push((stream, far));
            }
        }
        for (mut near, mut far) in streams {
            far.write_all(b"hello").unwrap();
            assert_eq!(read(&near, 5), b"hello");
            near.write_all(b"thank you").unwrap();
            assert_eq!(read(&far, 9), b"thank you");
        }
        assert_no_resets(&shards, &other);
        assert_eq!(sent_again(&shards, &other), 0);
    });
}

#[test]
fn where_there_is_no_choice_another_shard_connects() {
    within(60, || {
        let (shards, other) = shards(Moves(1));
        let listener = TcpListener::bind(&other, ("::", 7)).unwrap();
        let all = (5001..5011).map(|port| (LEFT, RIGHT, port));
        for (local, remote, port) in all.chain([("2001:db8::1", "2001:db8::2", 0)]) {
            let local = Some(address(local, port));
            let options = ConnectOptions { local, ..ConnectOptions::default() };
            let near = shards.connect(address(remote, 7), options).unwrap();
            let (mut far, _) = listener.accept().unwrap();
            far.write_all(b"hello").unwrap();
            assert_eq!(read(&near, 5), b"hello");
        }
        assert_no_resets(&shards, &other);
    });
}

#[test]
fn datagrams_and_pings_are_the_firsts_by_any_queue() {
    within(60, || {
        let (shards, other) = shards(Moves(1));
        let server = UdpSocket::bind(shards.first(), (LEFT, 7)).unwrap();
        let client = UdpSocket::bind(&other, (RIGHT, 0)).unwrap();
        let echo = EchoSocket::open(&other).unwrap();
        echo.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut text = [0; 8];
        for round in 0..50_u64 {
            client.send_to(&round.to_be_bytes(), (LEFT, 7)).unwrap();
            let (length, peer) = server.recv_from(&mut text).unwrap();
            server.send_to(&text[..length], peer).unwrap();
            client.recv_from(&mut text).unwrap();
            assert_eq!(text, round.to_be_bytes());
            echo.send(LEFT.parse().unwrap(), round as u16, b"ping").unwrap();
            echo.recv(&mut text).unwrap();
        }
        assert_eq!(shards.counters().icmp_out_msgs, 50, "one answer each");
    });
}

#[test]
fn one_answers_who_has_an_address() {
    within(60, || {
        let (_shards, wire) = shards_with(Moves(1), |_| {});
        for _ in 0..20 {
            wire.send(&[IoSlice::new(&[
                0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 2, 8, 6, // Ethernet, ARP
                0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 2, 192, 0, 2, 2, // from 192.0.2.2
                0, 0, 0, 0, 0, 0, 192, 0, 2, 1,
            ])])
            .unwrap();
        }
        let (mut answers, mut frame) = (0, [0; 2048]);
        while let Ok(Wake::Readable) = wire.wait(Some(Duration::from_millis(300))) {
            let length = wire.recv(&mut frame).unwrap();
            answers += u32::from(frame[12..14] == [8, 6] && length >= 42 && frame[21] == 2);
        }
        assert_eq!(answers, 20);
    });
}

#[test]
fn it_ends_in_good_order() {
    within(60, || {
        let (shards, other) = shards(Moves(10));
        let listener = shards.listen(address(LEFT, 0), ListenOptions::default()).unwrap();
        let address = listener.local_addr().unwrap();
        let streams: Vec<_> =
            (0..10).map(|_| TcpStream::connect(&other, address).unwrap()).collect();
        let accepted: Vec<_> = streams.iter().map(|_| listener.accept().unwrap().0).collect();
        assert_eq!(shards.connections().len(), QUEUES + streams.len());
        thread::scope(|scope| {
            let waits = scope.spawn(|| listener.accept());
            for mut stream in streams {
                scope.spawn(move || assert_eq!(stream.read(&mut [0]).unwrap(), 0));
            }
            shards.shutdown();
            assert!(waits.join().unwrap().is_err());
        });
        drop((listener, accepted));
    });
}
