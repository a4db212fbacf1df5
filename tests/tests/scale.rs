//! Law 5: nothing is scanned. The same exchange costs the same work beside no other socket and
//! beside a hundred thousand.

use stack::testing::packet::{Flags, Segment, arp, ethernet};
use stack::{
    Cidr, Config, Instant, ListenOptions, ListenerId, Mac, RxFrame, Seed, Stack, TcpId, TcpOptions,
    Work,
};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

const HOST: (Mac, Ipv4Addr) = (Mac([2, 0, 0, 0, 0, 1]), Ipv4Addr::new(10, 0, 0, 1));
const PEER_MAC: Mac = Mac([2, 0, 0, 0, 0, 2]);

/// Connections of one peer address, each from a port of its own.
const PORTS: usize = 20_000;

struct Machine {
    stack: Stack,
    now: Instant,
    listener: ListenerId,
    accepted: Vec<TcpId>,
}

/// A connection from the peer's side.
struct Line {
    segment: Segment,
}

impl Machine {
    fn new() -> Machine {
        let mut config = Config::new(HOST.0);
        config.addresses = vec![Cidr { address: IpAddr::V4(HOST.1), prefix: 8 }];
        let mut stack = Stack::new(config, Seed::from_number(5));
        let tcp = TcpOptions { keepalive: true, ..TcpOptions::default() };
        let any = SocketAddr::from(([0, 0, 0, 0], 80));
        let options = ListenOptions { backlog: 64, tcp, ..ListenOptions::default() };
        let listener = stack.listen(any, options).unwrap();
        let mut machine =
            Machine { stack, now: Instant::from_secs(10), listener, accepted: Vec::new() };
        machine.meet(Ipv4Addr::new(10, 9, 0, 0));
        machine
    }

    /// The host learns where `peer` is, so that no exchange has to ask.
    fn meet(&mut self, peer: Ipv4Addr) {
        let who = arp(1, (PEER_MAC, peer), (Mac::default(), HOST.1));
        self.give(&ethernet(PEER_MAC, HOST.0, 0x0806, &who));
    }

    /// Gives a frame and returns the last segment that came back.
    fn give(&mut self, frame: &[u8]) -> Option<Segment> {
        self.stack.receive(self.now, RxFrame::plain(frame));
        self.drain()
    }

    fn drain(&mut self) -> Option<Segment> {
        self.stack.advance(self.now);
        let mut last = None;
        while let Some(frame) = self.stack.poll_transmit(self.now) {
            last = Segment::from_frame(&frame.to_vec()).unwrap().or(last);
        }
        while self.stack.poll_event().is_some() {}
        last
    }

    /// A connection from `peer`, accepted.
    fn open(&mut self, peer: SocketAddrV4) -> Line {
        let mut segment = Segment {
            source: peer,
            destination: SocketAddrV4::new(HOST.1, 80),
            seq: 77,
            ack: 0,
            flags: Flags::SYN,
            window: 65_535,
            urgent: 0,
            ecn: 0,
            options: vec![2, 4, 5, 0xb4],
            payload: Vec::new(),
        };
        let syn_ack = self.give(&segment.to_frame(PEER_MAC, HOST.0)).expect("a SYN-ACK");
        segment.options.clear();
        (segment.seq, segment.ack) = (78, syn_ack.seq.wrapping_add(1));
        segment.flags = Flags::ACK;
        self.give(&segment.to_frame(PEER_MAC, HOST.0));
        self.accepted.push(self.stack.accept(self.listener).unwrap());
        Line { segment }
    }

    /// A busy life from SYN to FIN: what it costs.
    fn exchange(&mut self) -> Work {
        let before = self.stack.work();
        let mut line = self.open(SocketAddrV4::new(Ipv4Addr::new(10, 9, 0, 0), 4000));
        let id = self.accepted.pop().unwrap();
        let mut buffer = [0; 4000];
        for round in 0..200 {
            line.segment.payload = vec![1; 1000];
            let reply = self.give(&line.segment.to_frame(PEER_MAC, HOST.0));
            line.segment.seq = line.segment.seq.wrapping_add(1000);
            line.segment.payload.clear();
            let now = self.now;
            let mut tcp = self.stack.tcp(id).unwrap();
            tcp.recv(now, &mut buffer).unwrap();
            if round % 3 == 0 {
                tcp.send(now, &buffer[..500]).unwrap();
            }
            let reply = self.drain().or(reply);
            // Some acknowledgments are delayed, and some of ours never come: a timer expires.
            self.now = self.now + Duration::from_millis(if round % 10 == 0 { 60 } else { 1 });
            let reply = self.drain().or(reply);
            if let Some(reply) = reply.filter(|_| round % 7 != 0) {
                line.segment.ack = reply.seq.wrapping_add(reply.len());
                self.give(&line.segment.to_frame(PEER_MAC, HOST.0));
            }
        }
        let now = self.now;
        self.stack.tcp(id).unwrap().close(now);
        self.drain();
        let after = self.stack.work();
        Work {
            demux_probes: after.demux_probes - before.demux_probes,
            timer_probes: after.timer_probes - before.timer_probes,
            queue_pops: after.queue_pops - before.queue_pops,
        }
    }
}

/// What an exchange costs beside so many idle connections, and their memory, bytes.
fn beside(idle: usize) -> (Work, usize) {
    let before = resident();
    let mut machine = crowd(idle);
    let memory = resident().saturating_sub(before);
    assert_eq!(machine.stack.connections().count(), idle + 1);
    for i in 0..idle / 100 {
        let any = SocketAddr::from(([0, 0, 0, 0], (10_000 + i) as u16));
        machine.stack.bind_udp(any).unwrap();
    }
    // The moment is the same in both runs, to the tick.
    machine.now = Instant::from_secs(100);
    machine.drain();
    (machine.exchange(), memory)
}

/// Memory of this process, bytes.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let field = pages.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok());
    field.expect("a number of pages") * 4096
}

/// A machine with so many idle connections, all accepted.
fn crowd(idle: usize) -> Machine {
    let mut machine = Machine::new();
    for i in 0..idle {
        let peer = Ipv4Addr::new(10, 1, 0, (i / PORTS) as u8);
        if i % PORTS == 0 {
            machine.meet(peer);
        }
        machine.open(SocketAddrV4::new(peer, (1024 + i % PORTS) as u16));
    }
    machine
}

/// 128 MiB for a hundred thousand, everything counted: blocks, table, timers, lists.
const EACH: usize = (128 << 20) / 100_000;

/// By hand: it takes more than a gigabyte.
#[test]
#[ignore = "takes more than a gigabyte: cargo test -p tests --test scale -- --ignored --nocapture"]
fn a_million_idle_connections_fit_in_ten_times_as_much() {
    let before = resident();
    let machine = crowd(1_000_000);
    let each = resident().saturating_sub(before) / machine.accepted.len();
    eprintln!("{each} bytes each");
    assert!(each <= EACH, "{each} bytes each");
}

#[test]
fn law_5_an_exchange_costs_the_same_beside_a_hundred_thousand_sockets() {
    // The crowd first: what another one has given back would hide what this one takes.
    let (crowded, memory) = beside(100_000);
    let (alone, _) = beside(0);
    let each = memory / 100_000;
    eprintln!("{each} bytes each");
    assert!(each <= EACH, "{each} bytes each");
    assert!(alone.demux_probes >= 200 && alone.queue_pops >= 200, "nothing counted: {alone:?}");
    assert!(alone.timer_probes > 10, "no timer counted: {alone:?}");
    assert_eq!(alone, crowded);
}
