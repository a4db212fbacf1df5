//! What the engine's parts cost, one by one: `cargo bench -p tests`.
#![allow(missing_docs, reason = "criterion's macros make functions of their own")]

use std::hint::black_box;
use std::net::SocketAddr;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use stack::testing::packet::{Flags, Segment};
use stack::testing::parts::{self, Flows, Outstanding, Pipe, Timers};
use stack::{Config, ConnectOptions, Instant, ListenOptions, Mac, RxFrame, Seed, Stack, TcpId};
use std::time::Duration;
use tests::crowd::Machine;

/// Text of a full segment with timestamps, at an MTU of 1,500 bytes.
const TEXT: usize = 1448;

/// A multiplier that visits all numbers below a power of ten in no order that a cache could guess.
const STRIDE: u32 = 7_919;

fn wire(c: &mut Criterion) {
    let text = vec![7; 65_000];
    let segment = Segment {
        source: "192.0.2.1:4000".parse().unwrap(),
        destination: "192.0.2.2:80".parse().unwrap(),
        seq: 1,
        ack: 1,
        flags: Flags::ACK,
        window: 1000,
        urgent: 0,
        ecn: 0,
        options: vec![1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2],
        payload: text[..TEXT].to_vec(),
    };
    let frame = segment.to_frame(Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
    let mut group = c.benchmark_group("wire");
    group.bench_function("parse", |b| b.iter(|| parts::parse(black_box(&frame)).unwrap()));
    group.bench_function("emit", |b| b.iter(|| parts::emit(black_box(&text[..TEXT]))));
    for length in [20, TEXT, 65_000] {
        group.throughput(Throughput::Bytes(length as u64));
        let name = format!("checksum/{length}");
        group.bench_function(name, |b| b.iter(|| parts::checksum(black_box(&text[..length]))));
    }
}

fn tables(c: &mut Criterion) {
    for count in [10, 100_000] {
        let mut flows = Flows::new(count);
        let mut number = 0;
        c.bench_function(&format!("demux/{count}"), |b| {
            b.iter(|| {
                number = (number + STRIDE) % count;
                assert!(flows.find(number));
            });
        });
        let mut timers = Timers::new(count);
        let mut now = 0;
        c.bench_function(&format!("wheel/{count}"), |b| {
            b.iter(|| {
                // Set, moved later, and run out, as a retransmission timer may; then it waits among
                // the others again, as for a keepalive.
                number = (number + STRIDE) % count;
                timers.arm(number, now + 200_000_000);
                timers.arm(number, now + 300_000_000);
                now += 400_000_000;
                assert_eq!(timers.pop(now), Some(number.into()));
                assert_eq!(timers.pop(now), None);
                timers.rest(number);
            });
        });
        assert_eq!(timers.run_out(), count as usize, "the wheel was as full as it should be");
    }
}

fn ring(c: &mut Criterion) {
    let (text, mut out) = (vec![7; 64 << 10], vec![0; 64 << 10]);
    let mut pipe = Pipe::new(256 << 10);
    let mut group = c.benchmark_group("ring");
    for length in [64, TEXT, 64 << 10] {
        group.throughput(Throughput::Bytes(length as u64));
        group.bench_function(format!("{length}"), |b| {
            b.iter(|| pipe.write(&text[..length]) + pipe.read(&mut out[..length]));
        });
    }
}

/// Two hosts and a cable.
struct Net {
    hosts: [Stack; 2],
    ends: [TcpId; 2],
    now: Instant,
    frame: Vec<u8>,
}

impl Net {
    fn new() -> Net {
        let mut hosts = [1, 2].map(|last| {
            let mut config = Config::new(Mac([2, 0, 0, 0, 0, last]));
            config.addresses = vec![format!("192.0.2.{last}/24").parse().unwrap()];
            Stack::new(config, Seed::from_number(last.into()))
        });
        let now = Instant::from_secs(1);
        let server = SocketAddr::from(([192, 0, 2, 2], 80));
        let listener = hosts[1].listen(server, ListenOptions::default()).unwrap();
        let client = hosts[0].connect(now, server, ConnectOptions::default()).unwrap();
        let mut net = Net { hosts, ends: [client; 2], now, frame: Vec::new() };
        // ARP and the handshake.
        (0..6).for_each(|i| net.pass(i % 2));
        net.ends[1] = net.hosts[1].accept(listener).unwrap();
        net
    }

    /// All that a host has to say reaches the other.
    fn pass(&mut self, from: usize) {
        let [a, b] = &mut self.hosts;
        let (sender, receiver) = if from == 0 { (a, b) } else { (b, a) };
        sender.advance(self.now);
        while let Some(frame) = sender.poll_transmit(self.now) {
            self.frame.clear();
            self.frame.extend_from_slice(frame.head);
            frame.body.iter().for_each(|part| self.frame.extend_from_slice(part));
            receiver.receive(self.now, RxFrame::plain(&self.frame));
        }
        while sender.poll_event().is_some() {}
        self.now = self.now + Duration::from_micros(10);
    }

    /// Text goes over, and as much comes back.
    fn exchange(&mut self, text: &mut [u8]) {
        for from in [0, 1] {
            let (now, to) = (self.now, 1 - from);
            assert_eq!(
                self.hosts[from].tcp(self.ends[from]).unwrap().send(now, text),
                Ok(text.len())
            );
            self.pass(from);
            assert_eq!(self.hosts[to].tcp(self.ends[to]).unwrap().recv(now, text), Ok(text.len()));
        }
    }
}

fn engines(c: &mut Criterion) {
    for length in [1, TEXT] {
        let (mut net, mut text) = (Net::new(), vec![7; length]);
        c.bench_function(&format!("exchange/{length}"), |b| b.iter(|| net.exchange(&mut text)));
    }
}

/// Acknowledgments with three reports of single octets, all over 4 MiB outstanding: each cuts three
/// records, of segments or of super-frames.
fn reports(c: &mut Criterion) {
    const ACKS: u32 = 10_000;
    for size in [88, 65_000] {
        let flight = Outstanding::new(4 << 20, size);
        let mut group = c.benchmark_group("reports");
        group.throughput(Throughput::Elements(ACKS.into()));
        group.bench_function(format!("{size}"), |b| {
            b.iter_batched(
                || flight.clone(),
                |mut flight| {
                    for number in 0..3 * ACKS {
                        flight.report(number * STRIDE * 2);
                    }
                    flight.records()
                },
                BatchSize::LargeInput,
            );
        });
    }
}

/// The same busy connection among few and among many idle ones.
fn crowds(c: &mut Criterion) {
    for idle in [10, 100_000] {
        let mut machine = Machine::with(idle);
        let mut line = machine.caller();
        c.bench_function(&format!("beside/{idle}"), |b| b.iter(|| machine.converse(&mut line)));
    }
}

criterion_group!(benches, wire, tables, ring, engines, reports, crowds);
criterion_main!(benches);
