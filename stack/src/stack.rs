//! [`Stack`]: a TCP/IP host with no wires attached.
//!
//! Four kinds of methods (law 2): **inputs** ([`Stack::receive`], [`Stack::advance`]) and **socket
//! calls** change state and mark who has something to say; **outputs** ([`Stack::poll_transmit`],
//! [`Stack::poll_event`]) are drained until both are None after any burst of them;
//! [`Stack::next_timeout`] says when `advance` has work.

mod addresses;
mod autoconfigure;
mod forward;
mod fragmentation;
mod input;
mod interfaces;
mod ipv6;
mod link_local;
mod output;
mod reassembly;
mod sockets;
mod undeliverable;

pub use interfaces::{AddInterfaceError, InterfaceInfo};
pub use sockets::ConnectOptions;

use crate::config::Config;
use crate::counters::Counters;
use crate::link::interface::{Interface, Interfaces};
use crate::link::neighbor::NeighborCounters;
use crate::net::addresses::{AddressTable, NewAddress};
use crate::net::fragment::Reassembler;
use crate::net::limiter::RateLimiter;
use crate::net::link_local::LinkLocal;
use crate::net::part::Part;
use crate::net::route::{Route, RouteTable};
use crate::random::{Random, Secret, Seed};
use crate::socket::{self, EchoId, Event, ListenerId, SocketId, TcpId, UdpId};
use crate::tcp::layer::{Changed, TcpLayer};
use crate::time::Instant;
use crate::udp::echo::EchoTable;
use crate::udp::table::UdpTable;
use crate::wire::address::{Address, Mac};
use crate::wire::emit::Head;
use crate::wire::frame::TxFrame;
use crate::wire::interface::InterfaceId;
use fragmentation::Fragmenting;
use output::Body;
use std::collections::{BTreeMap, VecDeque};

/// A TCP/IP host: frames and the time go in; frames, events and the next deadline come out.
///
/// ```
/// use stack::{Config, Instant, Mac, RxFrame, Seed, Stack};
///
/// let mut config = Config::new(Mac([2, 0, 0, 0, 0, 2]));
/// config.addresses = vec!["192.0.2.2/24".parse()?];
/// let mut stack = Stack::new(config, Seed::from_number(1));
/// let now = Instant::ZERO;
///
/// // Somebody asks who has 192.0.2.2.
/// let request = [
///     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 6, // Ethernet, ARP
///     0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 192, 0, 2, 1, // from 192.0.2.1
///     0, 0, 0, 0, 0, 0, 192, 0, 2, 2,
/// ];
/// stack.receive(now, RxFrame::plain(&request));
/// let reply = stack.poll_transmit(now).expect("an answer").to_vec();
/// assert_eq!(reply[..6], [2, 0, 0, 0, 0, 1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
// Two stacks with the same secrets are for tests only, who explore what may follow from a state.
#[cfg_attr(any(test, feature = "testing"), derive(Clone))]
pub struct Stack {
    config: Config,
    counters: Counters,
    random: Random,
    interfaces: Interfaces,
    addresses: AddressTable,
    /// Of the configuration and of `add_route`, at most `config.routes_max`.
    static_routes: Vec<Route>,
    link_local: LinkLocal,
    /// What `addresses` and routes come to.
    routes: RouteTable,
    reassembler: Reassembler,
    /// Of IPv6's flow labels.
    labels: Secret,
    /// Of addresses that the host makes itself (RFC 7217).
    stable: Secret,
    /// How many temporary addresses of a network were others', in a row (RFC 8981 §3.4). As many as
    /// there are networks with an address of a router's prefix.
    temporary_conflicts: BTreeMap<(InterfaceId, u64), u8>,
    limiter: RateLimiter,
    tcp: TcpLayer,
    udp: UdpTable,
    echo: EchoTable,
    /// ICMP messages waiting to be sent, at most `config.replies_max`.
    messages: VecDeque<Message>,
    /// Their bytes, at most `config.replies_bytes_max`.
    message_bytes: usize,
    /// Frames from this host to itself, at most `config.loopback_max` bytes.
    loopback: VecDeque<(InterfaceId, Vec<u8>)>,
    loopback_bytes: usize,
    /// A datagram being sent in fragments.
    fragmenting: Option<Fragmenting>,
    /// Headers of the frame that `poll_transmit` last returned.
    head: Head,
    /// Its payload, where that is not in a send ring.
    body: Vec<u8>,
    /// The interface that the frame leaves by.
    leaves_by: InterfaceId,
}

/// The station that a frame goes to, and the interface that leads there.
#[derive(Clone, Copy, Debug)]
struct Exit {
    to: Mac,
    interface: InterfaceId,
}

/// An ICMP message on its way out.
#[derive(Clone)]
struct Message {
    source: Address,
    destination: Address,
    bytes: Vec<u8>,
}

/// Work done so far, for the test of law 5: it must not depend on the number of sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// Entries looked at in the table of connections.
    pub demux_probes: u64,
    /// Slots and nodes touched in the timer wheels.
    pub timer_probes: u64,
    /// Connections taken from the list of those with something to send.
    pub queue_pops: u64,
}

/// Objects in a stack, and the memory of their buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Listeners.
    pub listeners: usize,
    /// Handshakes under way.
    pub half_open: usize,
    /// Connections, those that an application holds and orphans.
    pub connections: usize,
    /// TIME-WAITs.
    pub time_waits: usize,
    /// Entries in the table of flows.
    pub flows: usize,
    /// Nodes in the timer wheels.
    pub timers: usize,
    /// UDP sockets.
    pub udp_sockets: usize,
    /// ICMP echo sockets.
    pub echo_sockets: usize,
    /// Datagrams whose fragments are being collected.
    pub reassemblies: usize,
    /// Neighbours.
    pub neighbors: usize,
    /// Bytes held in buffers.
    pub memory: usize,
}

impl Stack {
    /// A host with this configuration. All its chance comes from `seed`: entropy in production, a
    /// number in a test. See [`Config::validate`] for what makes sense.
    pub fn new(config: Config, seed: Seed) -> Stack {
        let dice = |purpose| Random::from_secret(Secret::derive(&seed, purpose));
        let mut addresses = AddressTable::new(config.addresses_max, dice("addresses"));
        for &cidr in &config.addresses {
            let probes = config.probes(cidr.address);
            let new = NewAddress { probes, ..NewAddress::configured(cidr) };
            // One that is refused is counted.
            let _: Result<(), _> = addresses.add(Instant::ZERO, new);
        }
        let mut stack = Stack {
            counters: Counters::default(),
            random: Random::new(&seed),
            interfaces: Interfaces::new(Interface::new(config.interface(), &seed)),
            addresses,
            static_routes: config.all_routes().collect(),
            link_local: LinkLocal::new(config.mac),
            routes: RouteTable::new(&[], &[]),
            reassembler: Reassembler::new(config.fragments),
            labels: Secret::derive(&seed, "flow labels"),
            stable: Secret::derive(&seed, "stable addresses"),
            temporary_conflicts: BTreeMap::new(),
            limiter: RateLimiter::new(config.icmp, &seed, "icmp"),
            tcp: TcpLayer::new(&config, &seed),
            udp: UdpTable::new(config.udp, Secret::derive(&seed, "udp")),
            echo: EchoTable::new(config.echo),
            messages: VecDeque::new(),
            message_bytes: 0,
            loopback: VecDeque::new(),
            loopback_bytes: 0,
            fragmenting: None,
            head: Head::new(),
            body: Vec::new(),
            leaves_by: InterfaceId::FIRST,
            config,
        };
        stack.counters.addresses_refused = stack.addresses.refused();
        stack.add_link_local(Instant::ZERO, InterfaceId::FIRST);
        stack.follow_addresses(Instant::ZERO);
        stack.begin_asking(Instant::ZERO);
        stack
    }

    /// From now on this stack is one of several that are one host, each with a configuration of
    /// the same addresses. What is another part's it drops, so it may be given all frames, or those
    /// that [`Part::whose`] says; its connections it makes from ports that lead back to it. To be
    /// said before anything else.
    pub fn become_part(&mut self, part: Part) {
        self.random = part.dice();
        self.tcp.part = Some(part);
        // What all have in common one tells.
        self.follow_addresses(Instant::ZERO);
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What happened so far, in numbers.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Work done so far.
    pub fn work(&self) -> Work {
        let (demux_probes, timer_probes, queue_pops) = self.tcp.work();
        Work { demux_probes, timer_probes, queue_pops }
    }

    /// What happened among the neighbours so far.
    pub fn neighbor_counters(&self) -> NeighborCounters {
        let all = self.interfaces.iter().map(|it| it.link.neighbors.counters());
        all.fold(NeighborCounters::default(), NeighborCounters::with)
    }

    /// How many objects there are: what a leak would make grow.
    pub fn usage(&self) -> Usage {
        let (flows, timers) = self.tcp.tables();
        let [listeners, half_open, connections, time_waits] = self.tcp.objects();
        Usage {
            listeners,
            half_open,
            connections,
            time_waits,
            flows,
            timers,
            udp_sockets: self.udp.len(),
            echo_sockets: self.echo.len(),
            reassemblies: self.reassembler.len(),
            neighbors: self.interfaces.iter().map(|it| it.link.neighbors.len()).sum(),
            memory: self.memory_used(),
        }
    }

    /// Everything that decides what TCP does next, as text: times as `@seconds`, sequence numbers
    /// as `Seq(number)`.
    ///
    /// # Errors
    /// Those of `out`.
    #[cfg(any(test, feature = "testing"))]
    pub fn write_tcp_state(&self, out: &mut dyn core::fmt::Write) -> core::fmt::Result {
        self.tcp.write_state(out)
    }

    /// The ledger of TCP's buffers has this limit from now on.
    #[cfg(any(test, feature = "testing"))]
    pub fn set_memory_max(&mut self, max: usize) {
        self.tcp.set_memory_max(max);
    }

    /// Looks at what must hold of every connection between two calls.
    ///
    /// # Errors
    /// What does not hold.
    #[cfg(any(test, feature = "testing"))]
    pub fn check_tcp(&self) -> Result<(), String> {
        self.tcp.check()
    }

    /// Bytes held in buffers: TCP's rings, datagrams, fragments, packets waiting for a neighbour.
    pub fn memory_used(&self) -> usize {
        self.tcp.memory_used()
            + self.udp.bytes()
            + self.echo.bytes()
            + self.reassembler.bytes()
            + self.interfaces.iter().map(|it| it.link.neighbors.held_bytes()).sum::<usize>()
            + self.loopback_bytes
            + self.message_bytes
            + self.fragmenting.as_ref().map_or(0, Fragmenting::bytes)
    }

    /// [`Stack::set_interface_link`] of the first interface.
    pub fn set_link(&mut self, up: bool) {
        self.set_interface_link(InterfaceId::FIRST, up);
    }

    /// Time has passed: handles every timer that is due.
    pub fn advance(&mut self, now: Instant) {
        self.tcp.advance(now, &mut self.counters);
        for interface in self.interfaces.iter_mut() {
            interface.link.neighbors.advance(now);
            interface.groups.advance(now);
        }
        self.report_failed_neighbors(now);
        self.advance_addresses(now);
        self.reassembler.advance(now);
        self.report_expired_fragments(now);
    }

    /// The earliest time at which [`Stack::advance`] has work. A deadline may be a tick (66 µs)
    /// early or stale; `advance` then does nothing and the next answer is later.
    pub fn next_timeout(&self) -> Option<Instant> {
        let mut next = Instant::sooner(self.tcp.next_timeout(), self.addresses.next_timeout());
        next = Instant::sooner(next, self.link_local.next_timeout());
        next = Instant::sooner(next, self.reassembler.next_timeout());
        let interfaces = self.interfaces.iter().map(Interface::next_timeout);
        interfaces.fold(next, Instant::sooner)
    }

    /// The next frame to send, or None. It borrows the send rings: hand it to the device, then
    /// ask again.
    #[must_use]
    pub fn poll_transmit(&mut self, now: Instant) -> Option<TxFrame<'_>> {
        if self.is_silent() {
            return None;
        }
        let body = self.next_frame(now)?;
        self.counters.frames_out += 1;
        let body: [&[u8]; 2] = match body {
            Body::Text { key, offset, len } => self.tcp.text(key, offset, len).unwrap_or_default(),
            Body::Scratch { start, end } => [self.body.get(start..end).unwrap_or(&[]), &[]],
        };
        let (checksum, gso) = (self.head.checksum, self.head.gso);
        let (head, interface) = (self.head.as_slice(), self.leaves_by);
        Some(TxFrame { head, body, checksum, gso, interface })
    }

    /// The next socket whose readiness may have changed, or None.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        while let Some(changed) = self.tcp.poll_changed() {
            let event = match changed {
                Changed::Connection(key) => {
                    self.tcp.get(key).filter(|tcb| !tcb.orphan).map(|tcb| Event {
                        socket: SocketId::Tcp(TcpId(key)),
                        readiness: tcb.readiness(),
                    })
                }
                Changed::Listener(key) => {
                    let id = ListenerId(key);
                    self.listener(id).map(|status| Event {
                        socket: SocketId::Listener(id),
                        readiness: status.readiness,
                    })
                }
            };
            if event.is_some() {
                return event;
            }
        }
        if let Some(key) = self.udp.poll_event() {
            let readiness = self.udp.socket(key).map(socket::udp_readiness).unwrap_or_default();
            return Some(Event { socket: SocketId::Udp(UdpId(key)), readiness });
        }
        let key = self.echo.poll_event()?;
        let readiness = socket::echo_readiness(&self.echo, key);
        Some(Event { socket: SocketId::Echo(EchoId(key)), readiness })
    }
}
