//! One host among very many connections, and an exchange beside them.

use stack::testing::packet::{Flags, Segment, arp, ethernet};
use stack::{
    Cidr, Config, Instant, ListenOptions, ListenerId, Mac, RxFrame, Seed, Stack, TcpId, TcpOptions,
    Work,
};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

/// The keepalives of a crowd are armed, and do not come while it is looked at.
const KEEPALIVE: Duration = Duration::from_secs(1 << 30);

const HOST: (Mac, Ipv4Addr) = (Mac([2, 0, 0, 0, 0, 1]), Ipv4Addr::new(10, 0, 0, 1));
const PEER_MAC: Mac = Mac([2, 0, 0, 0, 0, 2]);

/// Connections of one peer address, each from a port of its own.
const PORTS: usize = 20_000;

/// A host with one listener, and what that has accepted.
pub struct Machine {
    /// The host.
    pub stack: Stack,
    /// Its time.
    pub now: Instant,
    listener: ListenerId,
    /// Its idle connections.
    pub accepted: Vec<TcpId>,
}

/// A connection, from the peer's side and from the application's.
pub struct Line {
    segment: Segment,
    id: TcpId,
}

impl Machine {
    /// A machine with so many idle connections, all accepted.
    pub fn with(idle: usize) -> Machine {
        let mut machine = Machine::new();
        for i in 0..idle {
            let peer = Ipv4Addr::new(10, 1, 0, (i / PORTS) as u8);
            if i % PORTS == 0 {
                machine.meet(peer);
            }
            let line = machine.open(SocketAddrV4::new(peer, (1024 + i % PORTS) as u16));
            machine.accepted.push(line.id);
        }
        machine
    }

    fn new() -> Machine {
        let mut config = Config::new(HOST.0);
        config.addresses = vec![Cidr { address: IpAddr::V4(HOST.1), prefix: 8 }];
        let mut stack = Stack::new(config, Seed::from_number(5));
        let tcp =
            TcpOptions { keepalive: true, keepalive_idle: KEEPALIVE, ..TcpOptions::default() };
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

    /// Lets the host say all it has to say, and returns the last segment of it.
    pub fn drain(&mut self) -> Option<Segment> {
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
        let id = self.stack.accept(self.listener).unwrap();
        Line { segment, id }
    }

    /// A connection that will be busy.
    pub fn caller(&mut self) -> Line {
        self.open(SocketAddrV4::new(Ipv4Addr::new(10, 9, 0, 0), 4000))
    }

    /// A busy life from SYN to FIN: what it costs.
    pub fn exchange(&mut self) -> Work {
        let before = self.stack.work();
        let mut line = self.caller();
        self.converse(&mut line);
        let now = self.now;
        self.stack.tcp(line.id).unwrap().close(now);
        self.drain();
        let after = self.stack.work();
        Work {
            demux_probes: after.demux_probes - before.demux_probes,
            timer_probes: after.timer_probes - before.timer_probes,
            queue_pops: after.queue_pops - before.queue_pops,
        }
    }

    /// Two hundred segments with text, some answers, some losses.
    pub fn converse(&mut self, line: &mut Line) {
        let mut buffer = [0; 4000];
        for round in 0..200 {
            line.segment.payload = vec![1; 1000];
            let reply = self.give(&line.segment.to_frame(PEER_MAC, HOST.0));
            line.segment.seq = line.segment.seq.wrapping_add(1000);
            line.segment.payload.clear();
            let now = self.now;
            let mut tcp = self.stack.tcp(line.id).unwrap();
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
    }
}
