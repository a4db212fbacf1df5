//! One stack, one connection, a peer that says what the test says, and virtual time.
//!
//! ```
//! use stack::State;
//! use stack::testing::rig::Rig;
//! let mut t = Rig::fin_wait_1();
//! t.inject("F. 1:1(0) ack 1");
//! t.expect(". 2:2(0) ack 2").state(State::Closing);
//! ```
//!
//! `inject` gives the stack a segment, `expect` takes the next one that it sent. Everything that
//! the stack sends has to be expected: a rig that is dropped with frames left over fails the test.
//! Ethernet and ARP are looked after. Where timestamps were agreed, a line without `<...>` carries
//! them in both directions.
//!
//! With `TAPSTACK_IP=6` in the environment the connection runs over IPv6: between the test, which
//! sees IPv4, and the stack, which does not, stands a translator ([`super::translate`]).

mod socket;
mod states;

use super::notation::{Bases, Notation};
use super::options::{TcpOption, first_timestamp};
use super::packet::{Flags, Segment, arp, ethernet, icmp, ipv4};
use super::trace::{Trace, describe};
use super::translate;
use crate::{
    Config, Event, Gso, Instant, ListenerId, Mac, RxChecksum, RxFrame, Seed, Stack, State, TcpId,
    TcpInfo,
};
use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::OnceLock;

/// The stack's Ethernet address.
pub const HOST_MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
/// The stack's IP address, in 192.0.2.0/24.
pub const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The peer's Ethernet address.
pub const PEER_MAC: Mac = Mac([2, 0, 0, 0, 0, 2]);
/// The peer's IP address.
pub const PEER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// The stack's port when it listens.
pub const LISTEN_PORT: u16 = 80;

/// More wake-ups at one instant than a sound stack needs: beyond, it spins.
const WAKES_MAX: u32 = 10_000;

/// The IP version between the stack and its peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// IPv4.
    V4,
    /// IPv6, behind a translator.
    V6,
}

impl Version {
    /// What the environment says; of the whole process.
    pub fn of_this_run() -> Version {
        static VERSION: OnceLock<Version> = OnceLock::new();
        *VERSION.get_or_init(|| match std::env::var("TAPSTACK_IP").as_deref() {
            Ok("6") => Version::V6,
            _ => Version::V4,
        })
    }
}

/// One stack and its scripted peer.
pub struct Rig {
    /// The stack under test.
    pub stack: Stack,
    /// The listener, when there is one.
    pub listener: Option<ListenerId>,
    /// The connection that the application holds.
    pub socket: Option<TcpId>,
    /// The peer answers ARP requests.
    pub answers_arp: bool,
    /// The window of injected segments that name none.
    pub window: u16,
    /// Events that the stack gave out.
    pub events: Vec<Event>,
    now: Instant,
    host: SocketAddrV4,
    peer: SocketAddrV4,
    peer_isn: u32,
    host_isn: Option<u32>,
    host_stamp: Option<u32>,
    /// Both SYNs carried timestamps.
    stamped: Stamped,
    last_val: u32,
    pending: VecDeque<Sent>,
    last: Option<Segment>,
    written: u64,
    read: u64,
    trace: Trace,
}

/// How far the agreement on timestamps has come.
#[derive(Clone, Copy, Default)]
struct Stamped {
    peer: bool,
    host: bool,
}

/// The peer's initial sequence number: its stream wraps with the eighth byte.
const PEER_ISN: u32 = u32::MAX - 7;
/// The stack's initial sequence number for the rig's first connection, if it listens.
const HOST_ISN: u32 = u32::MAX - 11;

/// When a rig begins. Initial sequence numbers follow a clock (RFC 9293 §3.4.1), and this is the
/// moment at which the stack's stream wraps with its twelfth byte: so that every test of sequence
/// numbers is one of their wrap.
fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(|| {
        let probe = Instant::from_secs(1_000);
        let ahead = states::isn_at(probe).map_or(0, |isn| HOST_ISN.wrapping_sub(isn));
        probe + Duration::from_micros(4 * u64::from(ahead))
    })
}

struct Sent {
    at: Instant,
    frame: Vec<u8>,
}

/// The byte of the peer's stream at `offset`.
pub fn peer_byte(offset: u32) -> u8 {
    (offset ^ (offset >> 8)).wrapping_mul(7) as u8
}

/// The byte of the stack's stream at `offset`.
pub fn host_byte(offset: u32) -> u8 {
    (offset ^ (offset >> 8)).wrapping_mul(11).wrapping_add(3) as u8
}

impl Rig {
    /// A stack with nothing open.
    pub fn new() -> Rig {
        Rig::with(|_| ())
    }

    /// A stack whose configuration the test changes.
    pub fn with(change: impl FnOnce(&mut Config)) -> Rig {
        Rig::begin(start(), change)
    }

    fn begin(now: Instant, change: impl FnOnce(&mut Config)) -> Rig {
        let mut config = Config::new(HOST_MAC);
        config.addresses = vec!["192.0.2.1/24".parse().expect("an address")];
        // A test writes at once what it wants to see leave.
        config.tcp.send_buffer = 1 << 20;
        change(&mut config);
        if Version::of_this_run() == Version::V6 {
            let own = translate::address_v6(HOST);
            config.addresses.push(format!("{own}/64").parse().expect("an address"));
            // As much text in a packet, behind a longer header.
            config.mtu += translate::LONGER;
        }
        Rig {
            stack: Stack::new(config, Seed::from_number(1)),
            listener: None,
            socket: None,
            answers_arp: true,
            window: 65_535,
            events: Vec::new(),
            now,
            host: SocketAddrV4::new(HOST, LISTEN_PORT),
            peer: SocketAddrV4::new(PEER, 40_000),
            peer_isn: PEER_ISN,
            host_isn: None,
            host_stamp: None,
            stamped: Stamped::default(),
            last_val: 0,
            pending: VecDeque::new(),
            last: None,
            written: 0,
            read: 0,
            trace: Trace::new(200),
        }
    }

    /// The peer's initial sequence number from now on.
    pub fn set_peer_isn(&mut self, isn: u32) -> &mut Rig {
        self.peer_isn = isn;
        self
    }

    /// The peer speaks from another port from now on: another connection, not seen before.
    pub fn set_peer_port(&mut self, port: u16) -> &mut Rig {
        self.peer.set_port(port);
        self.forget_connection();
        self
    }

    /// The stack's end of the connection is another port from now on.
    pub fn set_host_port(&mut self, port: u16) -> &mut Rig {
        self.host.set_port(port);
        self.forget_connection();
        self
    }

    /// Both ends are others from now on: another connection, not seen before.
    pub fn set_flow(&mut self, host: SocketAddrV4, peer: SocketAddrV4) -> &mut Rig {
        (self.host, self.peer) = (host, peer);
        self.forget_connection();
        self
    }

    fn forget_connection(&mut self) {
        (self.host_isn, self.host_stamp) = (None, None);
        (self.stamped, self.written, self.read) = (Stamped::default(), 0, 0);
    }

    /// The stack's end and the peer's.
    pub fn flow(&self) -> (SocketAddrV4, SocketAddrV4) {
        (self.host, self.peer)
    }

    /// Where the stack's numbers count from.
    pub fn bases(&self) -> Bases {
        Bases {
            seq: self.host_isn.unwrap_or(0),
            ack: self.peer_isn,
            val: self.host_stamp.unwrap_or(0),
            ecr: 0,
        }
    }

    /// Now.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The segment that the last `expect` took.
    pub fn last(&self) -> &Segment {
        self.last.as_ref().expect("a segment was expected before")
    }

    // What goes in.

    /// The segment that `line` describes, from the peer to the stack.
    #[track_caller]
    pub fn segment(&self, line: &str) -> Segment {
        let mut line = self.parse(line);
        let is_plain = line.options.as_ref().is_some_and(Vec::is_empty);
        if self.stamped.peer && self.stamped.host && is_plain && !line.flags.has(Flags::RST) {
            let val = Some(self.peer_clock());
            let ecr = Some(self.last_val.wrapping_sub(self.host_stamp.unwrap_or(0)));
            let stamps = TcpOption::Timestamps { val, ecr };
            line.options = Some(vec![TcpOption::Nop, TcpOption::Nop, stamps]);
        }
        line.to_segment((self.peer, self.host), self.bases().reversed(), self.window, peer_byte)
    }

    /// The peer's timestamp clock: milliseconds, a million of them when the rig begins.
    pub fn peer_clock(&self) -> u32 {
        1_000_000 + (self.now - start()).as_millis() as u32
    }

    /// The peer sends the segment that `line` describes.
    #[track_caller]
    pub fn inject(&mut self, line: &str) -> &mut Rig {
        let segment = self.segment(line);
        let opens = matches!(
            self.current_state(),
            State::Closed | State::Listen | State::SynSent | State::TimeWait
        );
        if opens && segment.flags.has(Flags::SYN) {
            self.stamped.peer = first_timestamp(&segment.options).is_some();
        }
        self.inject_frame(&segment.to_frame(PEER_MAC, HOST_MAC))
    }

    /// The peer sends the segment, and it is damaged on the way.
    #[track_caller]
    pub fn inject_damaged(&mut self, line: &str, damage: impl FnOnce(&mut Vec<u8>)) -> &mut Rig {
        let mut frame = self.segment(line).to_frame(PEER_MAC, HOST_MAC);
        damage(&mut frame);
        self.inject_frame(&frame)
    }

    /// Several segments arrive in one burst: the stack may answer after the last.
    #[track_caller]
    pub fn inject_burst(&mut self, lines: &[&str]) -> &mut Rig {
        for line in lines {
            let frame = self.segment(line).to_frame(PEER_MAC, HOST_MAC);
            self.receive(&frame);
        }
        self.drain()
    }

    /// A super-frame arrives: what `line` describes, in segments with `size` octets of text.
    #[track_caller]
    pub fn inject_super_frame(&mut self, line: &str, size: u16) -> &mut Rig {
        let bytes = self.segment(line).to_frame(PEER_MAC, HOST_MAC);
        self.trace.frame(self.now, "<", &bytes);
        let bytes = self.as_stack_sees(&bytes);
        let (checksum, gso) = (RxChecksum::Verified, Some(Gso { segment: size }));
        self.stack.receive(self.now, RxFrame { bytes: &bytes, checksum, gso });
        self.drain()
    }

    /// Any frame at all arrives.
    #[track_caller]
    pub fn inject_frame(&mut self, frame: &[u8]) -> &mut Rig {
        self.receive(frame);
        self.drain()
    }

    /// An IPv4 packet from the peer to the stack.
    #[track_caller]
    pub fn inject_ipv4(&mut self, protocol: u8, payload: &[u8]) -> &mut Rig {
        let packet = ipv4(PEER, HOST, protocol, payload);
        self.inject_frame(&ethernet(PEER_MAC, HOST_MAC, 0x0800, &packet))
    }

    /// An ICMP error about `segment`, which the stack sent: header and eight bytes quoted.
    #[track_caller]
    pub fn inject_error(&mut self, kind: u8, code: u8, rest: [u8; 4], about: &Segment) -> &mut Rig {
        let frame = about.to_frame(HOST_MAC, PEER_MAC);
        self.inject_ipv4(1, &icmp(kind, code, rest, &frame[14..14 + 28]))
    }

    fn receive(&mut self, frame: &[u8]) {
        self.trace.frame(self.now, "<", frame);
        let frame = self.as_stack_sees(frame);
        self.stack.receive(self.now, RxFrame::plain(&frame));
    }

    /// The frame in the IP version of this run.
    fn as_stack_sees(&self, frame: &[u8]) -> Vec<u8> {
        match Version::of_this_run() {
            Version::V4 => frame.to_vec(),
            Version::V6 => translate::to_v6(frame),
        }
    }

    /// The address of the peer, or another IPv4 address, in the IP version of this run.
    pub fn to_stack(address: SocketAddrV4) -> SocketAddr {
        match Version::of_this_run() {
            Version::V4 => SocketAddr::V4(address),
            Version::V6 => (translate::address_v6(*address.ip()), address.port()).into(),
        }
    }

    // What comes out.

    /// Takes everything that the stack has to say.
    #[track_caller]
    pub fn drain(&mut self) -> &mut Rig {
        self.stack.advance(self.now);
        while let Some(frame) = self.stack.poll_transmit(self.now) {
            let frame = translate::to_v4(&frame.to_vec());
            self.trace.frame(self.now, ">", &frame);
            self.take(frame);
        }
        while let Some(event) = self.stack.poll_event() {
            self.events.push(event);
        }
        self
    }

    #[track_caller]
    fn take(&mut self, frame: Vec<u8>) {
        if frame.get(12..14) == Some(&[8, 6]) {
            return self.answer_arp(&frame);
        }
        if let Some(asked) = translate::solicited(&frame) {
            return self.answer_solicitation(asked);
        }
        if translate::is_group_report(&frame) {
            return;
        }
        match Segment::from_frame(&frame) {
            Err(wrong) => self.fail(&format!("the stack sent a damaged frame: {wrong}")),
            Ok(Some(segment)) if (segment.source, segment.destination) == self.flow() => {
                self.learn(&segment);
            }
            Ok(_) => {}
        }
        self.pending.push_back(Sent { at: self.now, frame });
    }

    fn answer_arp(&mut self, frame: &[u8]) {
        let asked = Ipv4Addr::from_octets([frame[38], frame[39], frame[40], frame[41]]);
        if self.answers_arp && frame[21] == 1 && asked != HOST {
            let answer = arp(2, (PEER_MAC, asked), (HOST_MAC, HOST));
            self.receive(&ethernet(PEER_MAC, HOST_MAC, 0x0806, &answer));
            self.stack.advance(self.now);
        }
    }

    fn answer_solicitation(&mut self, asked: Ipv6Addr) {
        let host = translate::address_v6(HOST);
        if self.answers_arp && asked != host {
            let answer = translate::advertisement(asked, host, [PEER_MAC, HOST_MAC]);
            self.receive(&answer);
            self.stack.advance(self.now);
        }
    }

    fn learn(&mut self, segment: &Segment) {
        let stamp = first_timestamp(&segment.options);
        if segment.flags.has(Flags::SYN) && !segment.flags.has(Flags::RST) {
            self.host_isn = Some(segment.seq);
            self.stamped.host = stamp.is_some();
            self.host_stamp = stamp;
        }
        self.last_val = stamp.unwrap_or(self.last_val);
    }

    /// The next segment that the stack sent is what `line` describes.
    #[track_caller]
    pub fn expect(&mut self, line: &str) -> &mut Rig {
        let expected = self.parse(line);
        let Some(segment) = self.pop_segment(&format!("expected {line}")) else {
            self.fail(&format!("expected {line}\n     got nothing"))
        };
        let bases = self.bases();
        if !self.is_described(&expected, &segment, bases) {
            let got = Notation::of(&segment, bases);
            self.fail(&format!("expected {line}\n     got {got}"));
        }
        let text = segment.seq.wrapping_add(u32::from(segment.flags.has(Flags::SYN)));
        let first = text.wrapping_sub(bases.seq).wrapping_sub(1);
        for (i, byte) in (0u32..).zip(&segment.payload) {
            if *byte != host_byte(first.wrapping_add(i)) {
                self.fail(&format!("{line}\nbyte {i} of the text is wrong"));
            }
        }
        self.last = Some(segment);
        self
    }

    fn is_described(&self, expected: &Notation, segment: &Segment, bases: Bases) -> bool {
        let plain = expected.options.as_ref().is_some_and(Vec::is_empty);
        if !(plain && self.stamped.peer && self.stamped.host) {
            return expected.describes(segment, bases);
        }
        let stamps = TcpOption::Timestamps { val: None, ecr: None };
        let options = Some(vec![TcpOption::Nop, TcpOption::Nop, stamps]);
        let stamped = Notation { options, ..expected.clone() };
        let is_reset = segment.flags.has(Flags::RST) && segment.options.is_empty();
        stamped.describes(segment, bases) || is_reset && expected.describes(segment, bases)
    }

    /// The next segment that the stack sent, whatever it is.
    #[track_caller]
    pub fn next_segment(&mut self) -> Segment {
        let segment = self.pop_segment("expected a segment");
        segment.unwrap_or_else(|| self.fail("expected a segment, got nothing"))
    }

    #[track_caller]
    fn pop_segment(&mut self, wanted: &str) -> Option<Segment> {
        let sent = self.pending.pop_front()?;
        match Segment::from_frame(&sent.frame) {
            Ok(Some(segment)) => Some(segment),
            _ => {
                let got = describe(&sent.frame, Bases::default());
                self.fail(&format!("{wanted}\n     got {got}"))
            }
        }
    }

    /// Every segment that the stack has sent and nobody has expected.
    #[track_caller]
    pub fn take_segments(&mut self) -> Vec<Segment> {
        let mut segments = Vec::new();
        while !self.pending.is_empty() {
            segments.push(self.next_segment());
        }
        segments
    }

    /// The number after the last one that `segment`, of the stack, takes.
    pub fn end_of(&self, segment: &Segment) -> i64 {
        let end = segment.seq.wrapping_add(segment.len());
        i64::from(end.wrapping_sub(self.bases().seq) as i32)
    }

    /// The next frame that the stack sent, whatever it carries.
    #[track_caller]
    pub fn next_frame(&mut self) -> Vec<u8> {
        match self.pending.pop_front() {
            Some(sent) => sent.frame,
            None => self.fail("expected a frame, got nothing"),
        }
    }

    /// The next frame that the stack sent is this ICMP message. Returns it from its type on.
    #[track_caller]
    pub fn expect_icmp(&mut self, kind: u8, code: u8) -> Vec<u8> {
        let frame = self.next_frame();
        if frame.len() < 42 || frame[23] != 1 || frame[34..36] != [kind, code] {
            let got = describe(&frame, self.bases());
            self.fail(&format!("expected icmp {kind}/{code}\n     got {got}"));
        }
        frame[34..].to_vec()
    }

    /// The stack has sent nothing that was not expected.
    #[track_caller]
    pub fn expect_nothing(&mut self) -> &mut Rig {
        if let Some(sent) = self.pending.pop_front() {
            let got = describe(&sent.frame, self.bases());
            self.pending.clear();
            self.fail(&format!("expected nothing\n     got {got}"));
        }
        self
    }

    /// The stack stays silent for `span`.
    #[track_caller]
    pub fn expect_silence(&mut self, span: Duration) -> &mut Rig {
        self.advance(span).expect_nothing()
    }

    /// The stack's next segment comes within `span` and is what `line` describes. Returns how long
    /// it took.
    #[track_caller]
    pub fn expect_within(&mut self, span: Duration, line: &str) -> Duration {
        let start = self.now;
        self.wait_for_frame(start + span);
        let at = self.pending.front().map_or(self.now, |sent| sent.at);
        self.expect(line);
        at - start
    }

    /// The stack's next segment comes no sooner than `least` and no later than `most`.
    #[track_caller]
    pub fn expect_between(&mut self, least: Duration, most: Duration, line: &str) -> &mut Rig {
        let took = self.expect_within(most, line);
        if took < least {
            self.fail(&format!("{line}\ncame after {took:?}, expected {least:?} at the least"));
        }
        self
    }

    /// Forgets what was sent and not expected.
    pub fn forget_rest(&mut self) -> &mut Rig {
        self.pending.clear();
        self
    }

    /// Frames sent and not expected so far.
    pub fn unexpected(&self) -> usize {
        self.pending.len()
    }

    // Time.

    /// Time passes; timers fire when they are due.
    #[track_caller]
    pub fn advance(&mut self, span: Duration) -> &mut Rig {
        let end = self.now + span;
        while self.wake(end) {}
        self.now = end;
        self.drain()
    }

    /// Time passes, but nobody takes yet what the stack has to say.
    pub fn hold(&mut self, span: Duration) -> &mut Rig {
        self.now = self.now + span;
        self.stack.advance(self.now);
        self
    }

    /// Time passes until the stack sends something, or until `end`.
    #[track_caller]
    fn wait_for_frame(&mut self, end: Instant) {
        self.drain();
        while self.pending.is_empty() && self.wake(end) {}
        if self.pending.is_empty() {
            self.now = end;
            self.drain();
        }
    }

    /// Goes to the next deadline up to `end`. False when there is none.
    #[track_caller]
    fn wake(&mut self, end: Instant) -> bool {
        let mut wakes = 0;
        loop {
            let Some(at) = self.stack.next_timeout().filter(|at| *at <= end) else { return false };
            if at > self.now {
                self.now = at;
                self.drain();
                return true;
            }
            wakes += 1;
            if wakes > WAKES_MAX {
                self.fail(&format!("the stack wants to be woken at {at:?} for ever"));
            }
            self.drain();
        }
    }

    // What can be seen from outside.

    /// The state of the connection.
    pub fn current_state(&self) -> State {
        let listens = || self.listener.is_some_and(|id| self.stack.listener(id).is_some());
        match self.info() {
            Some(info) => info.state,
            None if listens() => State::Listen,
            None => State::Closed,
        }
    }

    /// What the stack tells about the connection.
    pub fn info(&self) -> Option<TcpInfo> {
        let (host, peer) = (Rig::to_stack(self.host), Rig::to_stack(self.peer));
        let mut all = self.stack.connections().map(|(_, info)| info);
        all.find(|info| info.local == host && info.remote == peer)
    }

    /// The connection is in `state`.
    #[track_caller]
    pub fn state(&mut self, state: State) -> &mut Rig {
        let current = self.current_state();
        if current != state {
            self.fail(&format!("expected the state {state}\n     got {current}"));
        }
        self
    }

    #[track_caller]
    fn parse(&self, line: &str) -> Notation {
        line.parse().unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    #[track_caller]
    fn fail(&mut self, what: &str) -> ! {
        self.pending.clear();
        panic!("\n{}\n{what}\n", self.trace)
    }
}

impl Default for Rig {
    fn default() -> Rig {
        Rig::new()
    }
}

impl fmt::Debug for Rig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.trace)
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if !std::thread::panicking() && !self.pending.is_empty() {
            let left: Vec<String> =
                self.pending.iter().map(|sent| describe(&sent.frame, self.bases())).collect();
            panic!("\n{}\nnobody expected:\n{}\n", self.trace, left.join("\n"));
        }
    }
}
