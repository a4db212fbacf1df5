//! Two hosts of this stack at the ends of a path with a rate, a delay and a queue, in virtual time:
//! for what a transfer does over seconds, where every byte is sound.

use crate::random::stream_fill;
use stack::{
    Cidr, Config, ConnectOptions, Counters, Instant, ListenOptions, ListenerId, Mac, Readiness,
    RxFrame, Seed, Stack, State, TcpId, TcpInfo,
};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use tapdev::{Link, LinkConfig, LinkStats, QueueLimit};

/// The ends: the one that connects, and the one that listens.
const ENDS: [(Mac, Ipv4Addr); 2] = [
    (Mac([2, 0, 0, 0, 0, 1]), Ipv4Addr::new(192, 0, 2, 1)),
    (Mac([2, 0, 0, 0, 0, 2]), Ipv4Addr::new(192, 0, 2, 2)),
];

const PORT: u16 = 80;

/// The name of what the first end writes.
const STREAM: u64 = 1;

/// Text and headers of a full segment with timestamps.
pub const TEXT: u64 = 1448;
/// A full frame.
pub const FRAME: u64 = 1514;

/// What the path is.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Round-trip time without queues.
    pub rtt: Duration,
    /// Bits a second, each way.
    pub rate: u64,
    /// Bytes that may wait, each way.
    pub queue: usize,
}

impl Shape {
    /// A link of this shape, one way.
    pub fn link(&self) -> LinkConfig {
        LinkConfig {
            delay: self.rtt / 2,
            rate_bits_per_s: Some(self.rate),
            queue: QueueLimit { frames: usize::MAX, bytes: self.queue },
            ..LinkConfig::default()
        }
    }
}

/// Two hosts, a path between them, and one connection.
pub struct Path {
    /// Now.
    pub now: Instant,
    /// The hosts: the one that connects, and the one that listens.
    pub hosts: [Stack; 2],
    /// The ends of the connection, once they are there.
    pub sockets: [Option<TcpId>; 2],
    links: [Link; 2],
    listener: ListenerId,
    /// Bytes that the first end has written.
    written: u64,
    /// Bytes that the second end has read.
    pub read: u64,
    /// Sees every frame as it is sent.
    pub watch: Option<Watch>,
}

/// Hears of a frame as it is sent.
pub type Watch = Box<dyn FnMut(&Sent<'_>)>;

/// A frame as it is sent.
#[derive(Debug)]
pub struct Sent<'a> {
    /// When.
    pub at: Instant,
    /// By which end.
    pub from: usize,
    /// The frame.
    pub frame: &'a [u8],
    /// What the link makes of it.
    pub fate: LinkStats,
    /// The host's counters, this frame's part in them included.
    pub counters: &'a Counters,
}

impl Path {
    /// Connects over a path of this shape; `change` sets the hosts up.
    pub fn new(shape: &Shape, change: impl Fn(usize, &mut Config)) -> Path {
        let link = shape.link();
        Path::over([link.clone(), link], 0, change)
    }

    /// Connects over any two links, there and back, whose dice `seed` decides.
    pub fn over(configs: [LinkConfig; 2], seed: u64, change: impl Fn(usize, &mut Config)) -> Path {
        let host = |which: usize| {
            let (mac, address) = ENDS[which];
            let mut config = Config::new(mac);
            config.addresses = vec![Cidr { address: IpAddr::V4(address), prefix: 24 }];
            change(which, &mut config);
            Stack::new(config, Seed::from_number(which as u64))
        };
        let link = |config, which: u64| {
            Link::new(config, seed.wrapping_mul(2).wrapping_add(which)).expect("a possible link")
        };
        let [there, back] = configs;
        let (links, mut hosts) = ([link(there, 1), link(back, 2)], [host(0), host(1)]);
        let any = SocketAddr::from(([0, 0, 0, 0], PORT));
        let listener = hosts[1].listen(any, ListenOptions::default()).expect("a free port");
        let now = Instant::from_secs(1);
        let remote = SocketAddr::from((ENDS[1].1, PORT));
        let socket = hosts[0].connect(now, remote, ConnectOptions::default()).expect("a port");
        let (sockets, watch) = ([Some(socket), None], None);
        Path { now, hosts, sockets, links, listener, written: 0, read: 0, watch }
    }

    /// What the connection says of itself at one end.
    pub fn info(&mut self, end: usize) -> TcpInfo {
        let id = self.sockets[end].expect("connected");
        self.hosts[end].tcp(id).expect("alive").info()
    }

    /// What the link there has done.
    pub fn link(&self) -> LinkStats {
        self.links[0].stats()
    }

    /// Bytes, frames counted whole, that the path carries in `span`.
    pub fn text_in(shape: &Shape, span: Duration) -> u64 {
        shape.rate / 8 * span.as_millis() as u64 / 1000 * TEXT / FRAME
    }

    /// Time passes; at every event both applications do what they always do: the first writes as
    /// much as is taken, the second reads as much as there is.
    pub fn transfer(&mut self, span: Duration) {
        self.run(span, |path| {
            path.write_all();
            path.read_all();
        });
    }

    /// Time passes; `work` is done after every event.
    pub fn run(&mut self, span: Duration, mut work: impl FnMut(&mut Path)) {
        let end = self.now + span;
        loop {
            work(self);
            self.drain();
            let Some(next) = self.next().filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            for to in 0..2 {
                while let Some(frame) = self.links[1 - to].pop(self.now.as_nanos()) {
                    self.hosts[to].receive(self.now, RxFrame::plain(&frame));
                }
                self.hosts[to].advance(self.now);
            }
        }
        self.now = end;
    }

    fn next(&self) -> Option<Instant> {
        let links = self.links.iter().filter_map(|link| link.next_ns().map(Instant::from_nanos));
        let hosts = self.hosts.iter().filter_map(Stack::next_timeout);
        links.chain(hosts).min()
    }

    fn drain(&mut self) {
        for (from, (host, link)) in self.hosts.iter_mut().zip(&mut self.links).enumerate() {
            while let Some(frame) = host.poll_transmit(self.now).map(|frame| frame.to_vec()) {
                let before = link.stats();
                link.push(self.now.as_nanos(), &frame);
                if let Some(watch) = &mut self.watch {
                    let (at, fate) = (self.now, link.stats().since(before));
                    watch(&Sent { at, from, frame: &frame, fate, counters: host.counters() });
                }
            }
            while host.poll_event().is_some() {}
        }
    }

    /// The first end, when a poller would wake it, writes as much as is taken.
    pub fn write_all(&mut self) {
        let mut text = [0; 65_536];
        if let Some(mut socket) = self.sockets[0].and_then(|id| self.hosts[0].tcp(id))
            && socket.state() == State::Established
            && socket.readiness().contains(Readiness::WRITABLE)
        {
            while let room @ 1.. = socket.send_room() {
                // There is always more where this comes from.
                let text = &mut text[..(room + 1).min(65_536)];
                stream_fill(STREAM, self.written, text);
                let Ok(taken) = socket.send(self.now, text) else { return };
                self.written += taken as u64;
            }
        }
    }

    /// The first end writes at most `most` bytes, and how many were taken is returned.
    pub fn write_up_to(&mut self, most: usize) -> usize {
        let mut text = vec![0; most];
        stream_fill(STREAM, self.written, &mut text);
        let Some(mut socket) = self.sockets[0].and_then(|id| self.hosts[0].tcp(id)) else {
            return 0;
        };
        if most == 0 || socket.state() != State::Established {
            return 0;
        }
        let taken = socket.send(self.now, &text).unwrap_or(0);
        self.written += taken as u64;
        taken
    }

    /// The second end reads as much as there is.
    pub fn read_all(&mut self) {
        self.read_up_to(usize::MAX);
    }

    /// The second end reads at most `most` bytes.
    ///
    /// # Panics
    /// When they are not those that the first end has written.
    pub fn read_up_to(&mut self, most: usize) {
        if self.sockets[1].is_none() {
            self.sockets[1] = self.hosts[1].accept(self.listener).ok();
        }
        let Some(mut socket) = self.sockets[1].and_then(|id| self.hosts[1].tcp(id)) else { return };
        let (mut out, mut expected, mut left) = ([0; 65_536], [0; 65_536], most);
        while left > 0 {
            let room = left.min(out.len());
            let Ok(n @ 1..) = socket.recv(self.now, &mut out[..room]) else { return };
            stream_fill(STREAM, self.read, &mut expected[..n]);
            assert!(out[..n] == expected[..n], "wrong within {n} bytes from {}", self.read);
            self.read += n as u64;
            left -= n;
        }
    }
}
