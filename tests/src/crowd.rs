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

/// A connection, from the peer's side and from the application's. The peer's frames are made once
/// and patched: in a bench of the host what makes them should take next to nothing.
pub struct Line {
    id: TcpId,
    /// Numbers of the peer's next segment.
    seq: u32,
    ack: u32,
    /// A segment with `TEXT` bytes, and one without.
    text: Vec<u8>,
    bare: Vec<u8>,
}

/// Of a segment of the peer's with text.
const TEXT: usize = 1000;

/// Where things are in a frame of TCP over IPv4, which has no IP options here.
mod at {
    pub(super) const LENGTH: usize = 16;
    pub(super) const PROTOCOL: usize = 23;
    pub(super) const TCP: usize = 34;
    pub(super) const SEQ: usize = TCP + 4;
    pub(super) const ACK: usize = TCP + 8;
    pub(super) const OFFSET: usize = TCP + 12;
    pub(super) const FLAGS: usize = TCP + 13;
    pub(super) const CHECKSUM: usize = TCP + 16;
}

fn word(frame: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([frame[at], frame[at + 1]])
}

/// Writes a number of a segment, and what it does to the checksum (RFC 1624 §3).
fn patch(frame: &mut [u8], at: usize, value: u32) {
    let mut sum = u32::from(!word(frame, at::CHECKSUM));
    for (at, new) in [(at, (value >> 16) as u16), (at + 2, value as u16)] {
        sum += u32::from(!word(frame, at)) + u32::from(new);
        frame[at..at + 2].copy_from_slice(&new.to_be_bytes());
    }
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    frame[at::CHECKSUM..at::CHECKSUM + 2].copy_from_slice(&(!(sum as u16)).to_be_bytes());
}

/// The sequence number behind a segment, of the head of its frame; None for other frames.
fn end(head: &[u8]) -> Option<u32> {
    if word(head, 12) != 0x0800 || head[at::PROTOCOL] != 6 {
        return None;
    }
    let flags = Flags(head[at::FLAGS]);
    let controls = u32::from(flags.has(Flags::SYN)) + u32::from(flags.has(Flags::FIN));
    let header = u32::from(head[at::OFFSET] >> 4) * 4;
    let text = u32::from(word(head, at::LENGTH)) - 20 - header;
    let [high, low] = [at::SEQ, at::SEQ + 2].map(|at| u32::from(word(head, at)));
    Some(((high << 16) | low).wrapping_add(text + controls))
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
            let (line, _) = machine.open(SocketAddrV4::new(peer, (1024 + i % PORTS) as u16));
            machine.accepted.push(line);
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

    /// Gives a frame and returns where the last segment that came back ends.
    fn give(&mut self, frame: &[u8]) -> Option<u32> {
        self.stack.receive(self.now, RxFrame::plain(frame));
        self.drain()
    }

    /// Lets the host say all it has to say, and returns where the last segment of it ends.
    pub fn drain(&mut self) -> Option<u32> {
        self.stack.advance(self.now);
        let mut last = None;
        while let Some(frame) = self.stack.poll_transmit(self.now) {
            last = end(frame.head).or(last);
        }
        while self.stack.poll_event().is_some() {}
        last
    }

    /// A connection from `peer`, accepted, and the peer's last segment.
    fn open(&mut self, peer: SocketAddrV4) -> (TcpId, Segment) {
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
        segment.ack = self.give(&segment.to_frame(PEER_MAC, HOST.0)).expect("a SYN-ACK");
        segment.options.clear();
        segment.seq = 78;
        segment.flags = Flags::ACK;
        self.give(&segment.to_frame(PEER_MAC, HOST.0));
        (self.stack.accept(self.listener).unwrap(), segment)
    }

    /// A connection that will be busy.
    pub fn caller(&mut self) -> Line {
        let (id, mut segment) = self.open(SocketAddrV4::new(Ipv4Addr::new(10, 9, 0, 0), 4000));
        let Segment { seq, ack, .. } = segment;
        let bare = segment.to_frame(PEER_MAC, HOST.0);
        segment.payload = vec![1; TEXT];
        Line { id, seq, ack, text: segment.to_frame(PEER_MAC, HOST.0), bare }
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
            patch(&mut line.text, at::SEQ, line.seq);
            patch(&mut line.text, at::ACK, line.ack);
            let reply = self.give(&line.text);
            line.seq = line.seq.wrapping_add(TEXT as u32);
            let now = self.now;
            let mut tcp = self.stack.tcp(line.id).unwrap();
            assert_eq!(tcp.recv(now, &mut buffer), Ok(TEXT));
            if round % 3 == 0 {
                tcp.send(now, &buffer[..500]).unwrap();
            }
            let reply = self.drain().or(reply);
            // Some acknowledgments are delayed, and some of ours never come: a timer expires.
            self.now = self.now + Duration::from_millis(if round % 10 == 0 { 60 } else { 1 });
            let reply = self.drain().or(reply);
            if let Some(reply) = reply.filter(|_| round % 7 != 0) {
                line.ack = reply;
                patch(&mut line.bare, at::SEQ, line.seq);
                patch(&mut line.bare, at::ACK, line.ack);
                self.give(&line.bare);
            }
        }
    }
}
