//! One engine in virtual time, its descriptors, and the packets that it has sent and nobody has
//! taken yet.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::thread::ThreadId;

use stack::{Cidr, Config, FastOpen, FastOpenKeys, Instant, Route, RxFrame, Seed, SocketId, Stack};

use crate::flags::Flags;
use crate::poll::Epoll;
use crate::table::Sock;
use crate::wire::{self, Sent};

/// Packets that wait for the script; a script that looks at none of so many has lost its way, and
/// the oldest are dropped.
const OUTBOX_MAX: usize = 65_536;

/// The virtual clock's first reading, microseconds since 1970: some moment long past, the same in
/// every run.
const BEGINNING: u64 = 1_000_000_000 * 1_000_000;

/// How long the engine has been running when a script begins: its own clock never shows zero.
const UPTIME: u64 = 1_000 * 1_000_000;

/// A packet that the stack sent.
pub(crate) struct Packet {
    /// When, as the script's clock shows it: microseconds.
    pub(crate) at: u64,
    pub(crate) bytes: Vec<u8>,
}

/// A call that blocks on a thread of its own.
pub(crate) struct Waiter {
    /// When it gives up: virtual microseconds.
    pub(crate) deadline: Option<u64>,
    /// It has been told to look again, and has not done so yet.
    pub(crate) awake: bool,
}

/// Everything behind the lock.
pub(crate) struct World {
    pub(crate) stack: Stack,
    /// Virtual microseconds since the script's beginning.
    now: u64,
    pub(crate) socks: BTreeMap<i32, Sock>,
    pub(crate) epolls: BTreeMap<i32, Epoll>,
    pub(crate) outbox: VecDeque<Packet>,
    pub(crate) waiters: BTreeMap<u64, Waiter>,
    /// Calls so far.
    pub(crate) activity: u64,
    /// How many calls there were when a blocked call last moved the clock by itself.
    pub(crate) drifted_at: Option<u64>,
    /// Threads whose blocking call has ended and who have not been heard of since.
    pub(crate) returning: Vec<ThreadId>,
}

impl World {
    pub(crate) fn new(flags: &Flags) -> World {
        let mut config = Config::new(wire::HOST);
        config.mtu = flags.mtu;
        config.addresses = vec![flags.cidr()];
        // Every address is on the link: the neighbour answers for all.
        let all: IpAddr = match flags.local {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        config.routes = vec![Route::new(Cidr::new(all, 0), None)];
        config.tcp.fast_open = FastOpen(flags.fast_open);
        config.tcp.fast_open_keys =
            flags.fast_open_key.map(|current| FastOpenKeys { current, previous: None });
        config.tcp.receive_buffer_max = flags.receive_buffer;
        config.tcp.receive_buffer = config.tcp.receive_buffer.min(flags.receive_buffer);
        World {
            stack: Stack::new(config, Seed::from_number(1)),
            now: 0,
            socks: BTreeMap::new(),
            epolls: BTreeMap::new(),
            outbox: VecDeque::new(),
            waiters: BTreeMap::new(),
            activity: 0,
            drifted_at: None,
            returning: Vec::new(),
        }
    }

    /// The time for the engine.
    pub(crate) fn instant(&self) -> Instant {
        Instant::from_micros(UPTIME + self.now)
    }

    /// Virtual microseconds since the beginning.
    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    /// What the script's clock shows, microseconds since 1970.
    pub(crate) fn clock(&self) -> u64 {
        BEGINNING + self.now
    }

    /// A packet from the script. False if it is none.
    pub(crate) fn inject(&mut self, packet: &[u8]) -> bool {
        let Some(frame) = wire::frame(packet) else { return false };
        let now = self.instant();
        self.stack.receive(now, RxFrame::plain(&frame));
        self.pump();
        true
    }

    /// Takes everything out of the engine that it has to say now.
    pub(crate) fn pump(&mut self) {
        let (now, at) = (self.instant(), self.clock());
        loop {
            let mut answers = Vec::new();
            while let Some(frame) = self.stack.poll_transmit(now) {
                let frame = [frame.head, frame.body[0], frame.body[1]].concat();
                match wire::read(&frame) {
                    Sent::Packet(bytes) => self.outbox.push_back(Packet { at, bytes }),
                    Sent::Question(answer) => answers.push(answer),
                    Sent::Other => {}
                }
            }
            while self.outbox.len() > OUTBOX_MAX {
                self.outbox.pop_front();
            }
            if answers.is_empty() {
                break;
            }
            for answer in answers {
                self.stack.receive(now, RxFrame::plain(&answer));
            }
        }
        while let Some(event) = self.stack.poll_event() {
            self.on_event(event.socket);
        }
    }

    /// Edge-triggered registrations hear of every event.
    fn on_event(&mut self, socket: SocketId) {
        let named = self.socks.iter().filter(|(_, sock)| sock.id() == Some(socket));
        let fds: Vec<i32> = named.map(|(fd, _)| *fd).collect();
        for epoll in self.epolls.values_mut() {
            fds.iter().for_each(|fd| epoll.on_edge(*fd));
        }
    }

    /// The earliest moment at which something happens by itself.
    fn next(&self) -> Option<u64> {
        let engine = self
            .stack
            .next_timeout()
            .filter(|at| !at.is_never())
            .map(|at| at.as_nanos().div_ceil(1000).saturating_sub(UPTIME));
        let waiters = self.waiters.values().filter_map(|waiter| waiter.deadline);
        waiters.chain(engine).min()
    }

    /// Moves the clock to the next moment at which something happens, at most to `limit`. False if
    /// nothing would ever happen.
    pub(crate) fn step(&mut self, limit: Option<u64>) -> bool {
        let Some(next) = self.next().into_iter().chain(limit).min() else { return false };
        // A timer that is due and does nothing must not stop the clock.
        self.pass_to(next.max(self.now + 1));
        true
    }

    /// One microsecond passes: whoever only reads the clock, and waits for it to move, sees it
    /// move.
    pub(crate) fn tick(&mut self) {
        self.pass_to(self.now + 1);
    }

    fn pass_to(&mut self, now: u64) {
        self.now = now;
        let now = self.instant();
        if self.stack.next_timeout().is_some_and(|at| at <= now) {
            self.stack.advance(now);
        }
        self.pump();
    }
}
