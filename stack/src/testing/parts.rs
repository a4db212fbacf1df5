//! The engine's parts as benches see them: each call is one piece of work for the real thing.

use crate::random::{Secret, Seed};
use crate::store::ring::{Ring, copy_in, copy_out};
use crate::store::wheel::{NodeId, Wheel};
use crate::tcp::demux::{Demux, Slot};
use crate::tcp::flight::Flight;
use crate::tcp::rate::Rate;
use crate::tcp::seq::Seq;
use crate::time::Instant;
use crate::wire::address::{Address, Endpoint, FlowKey, Mac};
use crate::wire::emit::{Head, IpFields, Summing, TCP_HEADER, TcpFields};
use crate::wire::frame::RxChecksum;
use crate::wire::options::Options;
use crate::wire::{checksum, parse};

/// Reads a TCP segment to its text and verifies all checksums; the length of the text.
pub fn parse(frame: &[u8]) -> Option<usize> {
    let ethernet = parse::ethernet(frame).ok()?;
    let packet = parse::ipv4(ethernet.payload).ok()?;
    let tcp = parse::tcp(&packet, RxChecksum::Unverified).ok()?;
    let options = Options::parse(tcp.options);
    Some(tcp.text.len() + options.len())
}

/// The Internet checksum.
pub fn checksum(bytes: &[u8]) -> [u8; 2] {
    checksum::checksum(bytes)
}

/// Writes the headers of a segment with this text, all checksums summed here; their length.
pub fn emit(text: &[u8]) -> usize {
    let mut head = Head::new();
    let flow = flow(7);
    head.ethernet(Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]), parse::ETHERTYPE_IPV4);
    head.ip(&IpFields {
        source: flow.local.address,
        destination: flow.remote.address,
        protocol: parse::PROTOCOL_TCP,
        ttl: 64,
        tos: 0,
        flow_label: 0,
        id: 0,
        dont_fragment: true,
        more_fragments: false,
        fragment_offset: 0,
        payload_len: TCP_HEADER + text.len(),
    });
    let options = Options::default();
    let tcp = TcpFields { seq: 1, ack: 1, flags: 0x18, window: 1000, options };
    head.tcp(&flow, &tcp, [text, &[]], Summing::Here);
    head.as_slice().len()
}

fn flow(number: u32) -> FlowKey {
    let host = (0xc612_0000 + (number >> 8)).to_be_bytes();
    FlowKey {
        local: Endpoint::new(Address::v4([192, 0, 2, 2]), 80),
        remote: Endpoint::new(Address::v4(host), number as u16),
    }
}

/// The table of flows, with so many in it.
pub struct Flows(Demux, Vec<FlowKey>);

impl Flows {
    /// Flows 0 to `count`.
    pub fn new(count: u32) -> Flows {
        let keys: Vec<FlowKey> = (0..count).map(flow).collect();
        let mut demux = Demux::new(Secret::derive(&Seed::from_number(1), "bench"));
        for (place, key) in (0..).zip(&keys) {
            demux.insert(key, Slot::Live(place), |slot| key_of(&keys, slot));
        }
        Flows(demux, keys)
    }

    /// Looks one up by its endpoints.
    pub fn find(&mut self, number: u32) -> bool {
        let Flows(demux, keys) = self;
        demux.find(&keys[number as usize], |slot| key_of(keys, slot)).is_some()
    }
}

fn key_of(keys: &[FlowKey], slot: Slot) -> Option<FlowKey> {
    match slot {
        Slot::Live(place) => keys.get(place as usize).copied(),
        _ => None,
    }
}

/// A deadline of a timer that only waits, in nanoseconds: years away.
const FAR: u64 = 1 << 63;

/// The wheel, with so many timers in it.
pub struct Timers(Wheel, Vec<NodeId>);

impl Timers {
    /// Timers 0 to `count`, all far away.
    pub fn new(count: u32) -> Timers {
        let mut wheel = Wheel::new();
        let nodes: Vec<NodeId> = (0..count).map(|token| wheel.insert(token.into())).collect();
        nodes.iter().for_each(|&node| wheel.arm(node, FAR));
        Timers(wheel, nodes)
    }

    /// Sets one, in nanoseconds.
    pub fn arm(&mut self, number: u32, at: u64) {
        self.0.arm(self.1[number as usize], at);
    }

    /// Sets one far away, as all are at first: one that has been popped hangs nowhere until then.
    pub fn rest(&mut self, number: u32) {
        self.0.arm(self.1[number as usize], FAR);
    }

    /// One that is due, in nanoseconds.
    pub fn pop(&mut self, now: u64) -> Option<u64> {
        self.0.pop_due(now)
    }

    /// How many are due by the end of time, which empties the wheel.
    pub fn run_out(mut self) -> usize {
        std::iter::from_fn(|| self.0.pop_due(u64::MAX)).count()
    }
}

/// A ring of bytes.
pub struct Pipe(Ring);

impl Pipe {
    /// For so many bytes.
    pub fn new(capacity: usize) -> Pipe {
        Pipe(Ring::new(capacity))
    }

    /// Writes; how many bytes found room.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        let count = copy_in(bytes, self.0.lend(bytes.len()));
        self.0.fill(count);
        count
    }

    /// Reads; how many bytes there were.
    pub fn read(&mut self, out: &mut [u8]) -> usize {
        let count = copy_out(self.0.peek(0, out.len()), out);
        self.0.consume(count);
        count
    }
}

/// What is outstanding on a connection, and what a peer reports of it.
#[derive(Clone)]
pub struct Outstanding {
    flight: Flight,
    end: u32,
}

impl Outstanding {
    /// So many octets, sent in pieces of `size`.
    pub fn new(octets: u32, size: u32) -> Outstanding {
        let (mut flight, end) = (Flight::new(), octets / size * size);
        let rate = Rate::default().on_sent(Instant::ZERO, size, 0);
        for start in (0..end).step_by(size as usize) {
            flight.on_sent(Instant::ZERO, Seq(start), Seq(start + size), rate);
        }
        Outstanding { flight, end }
    }

    /// Somewhere a single octet is reported.
    pub fn report(&mut self, at: u32) {
        let left = Seq(at % self.end);
        self.flight.on_sack((left, left + 1), usize::MAX, |_| ());
    }

    /// Records held.
    pub fn records(&self) -> usize {
        self.flight.records()
    }
}
