//! The stack under fire, and what keeps it alive: applications that go on using it.

use super::forge::{Forge, View, neighbour};
use crate::card::Card;
use crate::random::Dice;
use crate::referee::Referee;
use crate::world::plan::link_local;
use stack::testing::packet::{Flags, Segment, arp, ethernet};
use stack::testing::trace::Trace;
use stack::testing::translate::{address_v6, advertisement, solicited, to_v4, to_v6};
use stack::{
    Autoconfigure, Cidr, Config, ConnectOptions, EchoId, Gso, Instant, ListenOptions, ListenerId,
    Mac, RxFrame, Seed, SocketId, Stack, State, TcpId, TcpOptions, UdpId,
};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

/// The stack's Ethernet address.
pub const HOST_MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
/// The stack's IP address.
pub const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// How many peers there are.
pub const PEERS: u64 = 6;
/// The peer that no forged frame speaks for.
const HONEST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 200);

/// Connections that forged frames are aimed at.
const FLOWS_MAX: usize = 48;
/// More frames than one input can call forth.
const BURST_MAX: usize = 2_000;

/// The limits that memory and objects are held to.
const CONNECTIONS_MAX: usize = 64;
const HALF_OPEN_MAX: usize = 32;
/// More handshakes than a life has frames.
const HALF_OPEN_UNLIMITED: usize = 1 << 16;
const TIME_WAIT_MAX: usize = 32;
const TCP_MEMORY_MAX: usize = 4 << 20;
/// Datagrams, fragments, packets that wait for a neighbour: each has a limit of its own.
const OTHER_MEMORY_MAX: usize = 8 << 20;

/// The address of a peer.
pub fn peer(index: u64) -> Ipv4Addr {
    neighbour(2 + index as u8)
}

/// The Ethernet address of a peer.
pub fn peer_mac(address: Ipv4Addr) -> Mac {
    let [.., last] = address.octets();
    Mac([2, 0, 0, 0, 1, last])
}

/// A connection as its peer knows it.
#[derive(Clone, Debug)]
pub struct Flow {
    /// The peer's address.
    pub peer: Ipv4Addr,
    /// The peer's port.
    pub peer_port: u16,
    /// The stack's port.
    pub host_port: u16,
    /// What the stack expects next, by its last acknowledgment.
    pub seq: u32,
    /// What the peer has to acknowledge.
    pub ack: u32,
    /// It runs over IPv6.
    pub v6: bool,
    /// TSval and TSecr of the peer's next segment.
    pub stamps: Option<(u32, u32)>,
}

/// A stack with sockets in every state.
pub struct Target {
    stack: Stack,
    card: Card,
    now: Instant,
    dice: Dice,
    forge: Forge,
    referee: Referee,
    /// What others say decides which addresses of IPv6 it has.
    autoconfigures: bool,
    flows: Vec<Flow>,
    listeners: Vec<ListenerId>,
    ports: Vec<u16>,
    tcp: Vec<TcpId>,
    udp: Vec<UdpId>,
    echo: EchoId,
    sent: Vec<u8>,
    given: Vec<u8>,
    received: u64,
    trace: Trace,
    /// States that connections have been seen in, and over which version of IP.
    pub seen: BTreeMap<String, u64>,
}

impl Target {
    /// A stack that forged frames of `seed` will be thrown at, and that remembers the last
    /// `frames_told` for the report of a failure.
    pub fn new(seed: u64, frames_told: usize) -> Target {
        let mut config = Config::new(HOST_MAC);
        let global = address_v6(HOST);
        let v6 = |address: Ipv6Addr| Cidr { address: address.into(), prefix: 64 };
        let v4 = Cidr { address: IpAddr::V4(HOST), prefix: 24 };
        config.addresses = vec![v4, v6(global), v6(link_local(global))];
        let mut referee = Referee::new(HOST_MAC.0, HOST, 1500);
        [global, link_local(global)].into_iter().for_each(|address| referee.owns(address));
        // Its handshakes are few, and soon too many: after that, cookies make connections of which
        // the referee cannot tell one from the next. In one life of three they are never too many.
        let half_open_max = if seed % 3 == 2 { HALF_OPEN_UNLIMITED } else { HALF_OPEN_MAX };
        if half_open_max == HALF_OPEN_MAX {
            referee.allows_cookies();
        }
        let autoconfigures = seed % 4 == 3;
        if autoconfigures {
            config.autoconfigure = Autoconfigure::On;
            referee.configures_itself();
        }
        config.tcp.connections_max = CONNECTIONS_MAX;
        config.tcp.half_open_max = half_open_max;
        config.tcp.time_wait_max = TIME_WAIT_MAX;
        config.tcp.memory_max = TCP_MEMORY_MAX;
        config.device_checksums = seed % 2 == 1;
        config.device_cuts_datagrams = seed % 4 >= 1;
        config.super_frame_max = if config.device_cuts_datagrams { 65_535 } else { 0 };
        let mut stack = Stack::new(config, Seed::from_number(seed));
        let any = |port| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        let options =
            ListenOptions { backlog: 16, tcp: Target::options(), ..ListenOptions::default() };
        let listeners = [80, 81].map(|port| stack.listen(any(port), options).expect("free"));
        let v4_only = SocketAddr::from(([0, 0, 0, 0], 69));
        let udp = [any(53), v4_only].map(|local| stack.bind_udp(local).expect("free"));
        let connected = SocketAddr::from((peer(0), 1000));
        stack.udp(udp[1]).expect("alive").connect(connected).expect("a peer");
        let echo = stack.bind_echo(Some(7)).expect("free");
        Target {
            stack,
            card: Card::default(),
            now: Instant::from_secs(1),
            dice: Dice::new(seed, "target"),
            forge: Forge::new(seed),
            referee,
            autoconfigures,
            flows: Vec::new(),
            listeners: listeners.into(),
            ports: vec![80, 81, 53, 69],
            tcp: Vec::new(),
            udp: udp.into(),
            echo,
            sent: Vec::new(),
            given: Vec::new(),
            received: 0,
            trace: Trace::new(frames_told),
            seen: BTreeMap::new(),
        }
    }

    fn options() -> TcpOptions {
        TcpOptions { receive_buffer: Some(8192), send_buffer: Some(8192), ..TcpOptions::default() }
    }

    /// One forged frame, and now and then something that an application or the clock does.
    pub fn step(&mut self) {
        let view =
            View { flows: &self.flows, sent: &self.sent, given: &self.given, ports: &self.ports };
        let frame = self.forge.frame(&view);
        let segment = self.dice.skewed(u16::MAX.into()) as u16;
        let gso = self.dice.percent(5).then_some(Gso { segment });
        self.give(RxFrame { gso, ..RxFrame::plain(&frame) });
        self.given = frame;
        match self.dice.below(64) {
            0..=3 => self.application(),
            4 => self.handshake(),
            5..=9 => self.time_passes(),
            _ => {}
        }
    }

    fn give(&mut self, frame: RxFrame<'_>) {
        self.received += 1;
        self.trace.frame(self.now, "<", frame.bytes);
        self.referee.received(frame.bytes);
        self.stack.receive(self.now, frame);
        self.drain();
    }

    /// The next frame that is on the wire.
    fn transmit(&mut self) -> Option<Vec<u8>> {
        let cut = self.card.transmit();
        cut.or_else(|| {
            self.card.send(&self.stack.poll_transmit(self.now)?);
            self.card.transmit()
        })
    }

    fn drain(&mut self) {
        self.stack.advance(self.now);
        let mut questions = Vec::new();
        for burst in 0.. {
            let Some(frame) = self.transmit() else { break };
            assert!(burst < BURST_MAX, "the stack sends for ever");
            self.trace.frame(self.now, ">", &frame);
            if let Err(foul) = self.referee.sent(&frame) {
                panic!("{}\n{foul}", self.trace);
            }
            if frame[12..14] == [8, 6] || solicited(&frame).is_some() {
                questions.push(frame);
            } else {
                self.learn(&frame);
                self.sent = frame;
            }
        }
        for question in questions {
            if let Some(asked) = solicited(&question) {
                self.answer_solicitation(asked, &question);
                continue;
            }
            let asked = neighbour(question[41]);
            if question[21] == 1 && (asked == HONEST || self.dice.percent(90)) {
                let answer = arp(2, (peer_mac(asked), asked), (HOST_MAC, HOST));
                self.give(RxFrame::plain(&ethernet(peer_mac(asked), HOST_MAC, 0x0806, &answer)));
            }
        }
    }

    fn answer_solicitation(&mut self, asked: Ipv6Addr, question: &[u8]) {
        let [.., last] = asked.octets();
        let (known, honest) = (neighbour(last), address_v6(HONEST));
        let source: [u8; 16] = question[22..38].try_into().expect("sixteen octets");
        let host = Ipv6Addr::from(source);
        // Whether an address is free is asked by nobody.
        let asks = asked == address_v6(known) && known != HOST && !host.is_unspecified();
        if asks && (asked == honest || self.dice.percent(90)) {
            let answer = advertisement(asked, host, [peer_mac(known), HOST_MAC]);
            self.give(RxFrame::plain(&answer));
        }
    }

    /// What a peer learns from a segment.
    fn learn(&mut self, frame: &[u8]) {
        let v6 = frame[12..14] == [0x86, 0xdd];
        let Ok(Some(segment)) = Segment::from_frame(&to_v4(frame)) else { return };
        if segment.flags.has(Flags::RST) {
            return;
        }
        let stamps = stamps(&segment.options).map(|(val, ecr)| (ecr.wrapping_add(1), val));
        let flow = Flow {
            v6,
            peer: *segment.destination.ip(),
            peer_port: segment.destination.port(),
            host_port: segment.source.port(),
            seq: segment.ack,
            ack: segment.seq.wrapping_add(segment.len()),
            stamps,
        };
        let same = |known: &Flow| {
            (known.peer, known.v6) == (flow.peer, flow.v6)
                && (known.peer_port, known.host_port) == (flow.peer_port, flow.host_port)
        };
        let known = self.flows.iter().position(same);
        if known.is_none() && self.flows.len() < FLOWS_MAX {
            return self.flows.push(flow);
        }
        let place = known.unwrap_or_else(|| self.dice.below(FLOWS_MAX as u64) as usize);
        self.flows[place] = flow;
    }

    /// An honest handshake, so that there is always something to lose.
    fn handshake(&mut self) {
        let v6 = self.dice.percent(50);
        let from = peer(self.dice.below(PEERS));
        let port = self.dice.between(1024, 65_535) as u16;
        let syn = Segment {
            source: SocketAddrV4::new(from, port),
            destination: SocketAddrV4::new(HOST, self.dice.pick(&[80, 81])),
            seq: self.dice.word() as u32,
            ack: 0,
            flags: Flags::SYN,
            window: 65_535,
            urgent: 0,
            ecn: 0,
            options: match self.dice.below(3) {
                0 => vec![2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7],
                1 => vec![2, 4, 5, 0xb4, 4, 2, 1, 1],
                _ => vec![2, 4, 2, 0x18],
            },
            payload: Vec::new(),
        };
        self.give_segment(&syn, v6);
        let ours = |flow: &&Flow| (flow.peer, flow.v6, flow.peer_port) == (from, v6, port);
        let Some(flow) = self.flows.iter().find(ours).cloned() else { return };
        let mut ack = Segment { seq: flow.seq, ack: flow.ack, flags: Flags::ACK, ..syn };
        ack.options = match flow.stamps {
            None => Vec::new(),
            Some((val, ecr)) => {
                [&[1, 1, 8, 10][..], &val.to_be_bytes(), &ecr.to_be_bytes()].concat()
            }
        };
        self.give_segment(&ack, v6);
    }

    fn give_segment(&mut self, segment: &Segment, v6: bool) {
        let frame = segment.to_frame(peer_mac(*segment.source.ip()), HOST_MAC);
        let frame = if v6 { to_v6(&frame) } else { frame };
        self.give(RxFrame::plain(&frame));
    }

    fn application(&mut self) {
        let now = self.now;
        for listener in self.listeners.clone() {
            while let Ok(id) = self.stack.accept(listener) {
                self.tcp.push(id);
            }
        }
        let which = self.dice.below(self.tcp.len() as u64 + 1) as usize;
        match self.tcp.get(which).copied() {
            Some(id) => self.use_connection(id, which),
            None => self.open_or_datagrams(),
        }
        while let Some(event) = self.stack.poll_event() {
            if let SocketId::Tcp(id) = event.socket {
                assert!(self.stack.tcp(id).is_some(), "an event of a socket that is gone");
            }
        }
        self.now = now;
        self.drain();
    }

    fn use_connection(&mut self, id: TcpId, which: usize) {
        let (now, choice) = (self.now, self.dice.below(12));
        let Some(mut tcp) = self.stack.tcp(id) else {
            self.tcp.swap_remove(which);
            return;
        };
        if tcp.state() == State::Closed && self.dice.percent(80) {
            // It would only keep a place from the living.
            self.tcp.swap_remove(which);
            return tcp.close(now);
        }
        let mut bytes = [0x77; 3000];
        // What a call says is the application's affair; here it must only not panic.
        match choice {
            0..=3 => drop(tcp.send(now, &bytes)),
            4..=7 => drop(tcp.recv(now, &mut bytes)),
            8 => drop(tcp.shutdown_write(now)),
            9 => drop(tcp.shutdown_read(now)),
            10 => {
                tcp.close(now);
                self.tcp.swap_remove(which);
            }
            _ => {
                if self.dice.percent(30) {
                    tcp.abort(now);
                    self.tcp.swap_remove(which);
                }
            }
        }
    }

    fn open_or_datagrams(&mut self) {
        let now = self.now;
        let peer = peer(self.dice.below(PEERS));
        let address: IpAddr =
            if self.dice.percent(50) { address_v6(peer).into() } else { peer.into() };
        let remote = SocketAddr::from((address, 9000));
        if self.dice.percent(40) {
            let options = ConnectOptions { tcp: Target::options(), ..ConnectOptions::default() };
            self.tcp.extend(self.stack.connect(now, remote, options));
        }
        let mut bytes = [0; 2000];
        for id in self.udp.clone() {
            let mut udp = self.stack.udp(id).expect("never closed");
            let _ = udp.send_to(now, &bytes[..self.dice.below(2000) as usize], Some(remote));
            while udp.recv_from(&mut bytes).is_ok() {}
            let _ = udp.take_error();
        }
        let mut echo = self.stack.echo(self.echo).expect("never closed");
        let _ = echo.send(now, remote.ip(), 1, &bytes[..64], None);
        while echo.recv(&mut bytes).is_some() {}
    }

    fn time_passes(&mut self) {
        let millis = match self.dice.below(20) {
            0 => 1_000,
            1 => 70_000,
            _ => self.dice.below(40),
        };
        self.now = self.now + Duration::from_millis(millis);
        self.drain();
        let late = self.stack.next_timeout().filter(|at| *at <= self.now);
        if late.is_some() {
            self.drain();
            let late = self.stack.next_timeout().filter(|at| *at <= self.now);
            assert!(late.is_none(), "the stack wants to be woken at {late:?} for ever");
        }
    }

    /// Segments of the stack that were judged as part of a connection.
    pub fn judged_segments(&self) -> u64 {
        self.referee.judged_segments()
    }

    /// The books balance, and nothing has grown beyond its limit.
    pub fn audit(&mut self) {
        let counters = self.stack.counters();
        assert_eq!(counters.frames_in, self.received);
        let ended = counters.frames_delivered + counters.drops.total();
        assert_eq!(ended, self.received, "delivered and dropped\n{counters}");
        let memory = self.stack.memory_used();
        assert!(memory <= TCP_MEMORY_MAX + OTHER_MEMORY_MAX, "{memory} bytes held");
        let mut objects = BTreeMap::new();
        for (_, info) in self.stack.connections() {
            let version = if info.remote.is_ipv6() { 6 } else { 4 };
            *objects.entry(format!("{} over IPv{version}", info.state)).or_insert(0) += 1;
        }
        let total: u64 = objects.values().sum();
        let half_open_max = self.stack.config().tcp.half_open_max;
        let limit = self.listeners.len() + CONNECTIONS_MAX + half_open_max + TIME_WAIT_MAX;
        assert!(total <= limit as u64, "{total} connections: {objects:?}");
        for (state, count) in objects {
            *self.seen.entry(state).or_insert(0) += count;
        }
    }

    /// A peer that nobody spoke for opens a connection, asks, is answered, and closes. Over IPv6,
    /// too, where nobody could talk the host out of its address.
    pub fn serve_an_honest_peer(&mut self) {
        self.serve(false);
        if !self.autoconfigures {
            self.serve(true);
        }
    }

    fn serve(&mut self, v6: bool) {
        for id in std::mem::take(&mut self.tcp) {
            if let Some(tcp) = self.stack.tcp(id) {
                tcp.abort(self.now);
            }
        }
        self.application();
        for id in std::mem::take(&mut self.tcp) {
            if let Some(tcp) = self.stack.tcp(id) {
                tcp.abort(self.now);
            }
        }
        self.now = self.now + Duration::from_secs(1);
        self.drain();
        let mut segment = Segment {
            source: SocketAddrV4::new(HONEST, 5555),
            destination: SocketAddrV4::new(HOST, 80),
            seq: 1000,
            ack: 0,
            flags: Flags::SYN,
            window: 65_535,
            urgent: 0,
            ecn: 0,
            options: vec![2, 4, 5, 0xb4],
            payload: Vec::new(),
        };
        self.flows.clear();
        self.give_segment(&segment, v6);
        let ours = |flow: &&Flow| flow.peer == HONEST;
        let flow = self.flows.iter().find(ours).cloned().expect("no SYN-ACK for an honest peer");
        segment = Segment { seq: flow.seq, ack: flow.ack, flags: Flags::ACK, ..segment };
        segment.options.clear();
        segment.payload = b"question".to_vec();
        self.give_segment(&segment, v6);
        let id = self.stack.accept(self.listeners[0]).expect("an honest connection to accept");
        let now = self.now;
        let mut tcp = self.stack.tcp(id).expect("alive");
        let mut text = [0; 32];
        assert_eq!(tcp.recv(now, &mut text), Ok(8));
        assert_eq!(&text[..8], b"question");
        assert_eq!(tcp.send(now, b"answer"), Ok(6));
        self.drain();
        let answer = Segment::from_frame(&to_v4(&self.sent)).expect("sound").expect("a segment");
        assert_eq!(answer.payload, b"answer");
        assert_eq!(self.stack.tcp(id).expect("alive").state(), State::Established);
    }
}

/// TSval and TSecr, where the option stands behind two NOPs or in a SYN.
fn stamps(options: &[u8]) -> Option<(u32, u32)> {
    let at = options.windows(2).position(|two| two == [8, 10])?;
    let long = |at: usize| {
        options.get(at..at + 4).map(|four| u32::from_be_bytes([four[0], four[1], four[2], four[3]]))
    };
    Some((long(at + 2)?, long(at + 6)?))
}
