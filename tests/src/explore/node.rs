//! One state: two hosts, the frames between them, the time; and what can happen next.

use super::app::{App, Outcome};
use super::fingerprint::{self, Origin};
use super::scenario::{Faults, Sabotage, Scenario, UNIT};
use crate::referee::Referee;
use crate::world::plan::HostPlan;
use crate::world::without_options;
use stack::testing::packet::{Flags, Segment, arp, ethernet};
use stack::testing::trace::Trace;
use stack::{
    Cidr, Config, ConnectOptions, Instant, ListenOptions, ListenerId, RxFrame, Seed, Stack,
    TcpOptions, Usage,
};
use std::fmt;
use std::hash::Hasher;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::str::FromStr;

/// The ports of the two sides.
const PORTS: [u16; 2] = [1000, 80];

/// A host that has said all it has to say at an instant has done so within so many rounds.
const ROUNDS_MAX: u32 = 64;

/// More frames under way than any window and all faults together explain.
const FRAMES_MAX: usize = 64;

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A frame arrives at a host: the oldest under way, or one that overtakes others.
    Deliver(usize, usize),
    /// The frame is lost.
    Drop(usize, usize),
    /// The frame comes once more, behind the others.
    Duplicate(usize, usize),
    /// An application goes on with its program.
    App(usize),
    /// An application reads.
    Read(usize),
    /// Time passes up to the next deadline.
    Time,
}

/// A frame under way.
pub(super) struct Frame {
    bytes: Vec<u8>,
    pub(super) segment: Segment,
}

/// A host with its application, and the referee beside it.
#[derive(Clone)]
pub(super) struct Host {
    which: usize,
    pub(super) stack: Stack,
    pub(super) app: App,
    listener: Option<ListenerId>,
    referee: Referee,
    /// Frames that it was given.
    given: u64,
    /// The sequence number of its last SYN.
    isn: Option<u32>,
    sabotage: Option<Sabotage>,
    /// See [`fingerprint::of_host`].
    print: u64,
}

/// One state.
#[derive(Clone)]
pub(super) struct Node {
    now: Instant,
    hosts: [Rc<Host>; 2],
    /// Frames on their way to each host, oldest first.
    wires: [Vec<Rc<Frame>>; 2],
    left: Faults,
    strips: &'static [u8],
    /// The loss of a connection needs no reason.
    rude: bool,
}

fn config(which: usize) -> Config {
    let (mac, address) = HostPlan::place(which);
    let mut config = Config::new(mac);
    config.addresses = vec![Cidr { address: IpAddr::V4(address), prefix: 24 }];
    // A handshake outlives the few losses that there are.
    config.tcp.syn_ack_retries = 15;
    config
}

fn options() -> TcpOptions {
    TcpOptions {
        nodelay: true,
        receive_buffer: Some(2 * UNIT as usize),
        send_buffer: Some(2 * UNIT as usize),
        max_segment: Some(UNIT as u16),
        ..TcpOptions::default()
    }
}

impl Host {
    fn new(which: usize, scenario: &Scenario) -> Host {
        let config = config(which);
        let referee = Referee::new(config.mac.0, HostPlan::place(which).1, config.mtu);
        let mut stack = Stack::new(config, Seed::from_number(which as u64 + 1));
        let side = scenario.sides[which];
        let listener = side.listens.then(|| {
            let options = ListenOptions { backlog: 1, tcp: options(), ..ListenOptions::default() };
            let local = SocketAddr::from(([0, 0, 0, 0], PORTS[which]));
            stack.listen(local, options).expect("a free port")
        });
        let sabotage = scenario.sabotage.filter(|_| which == 1);
        let app = App::new(which, side, sabotage);
        Host { which, stack, app, listener, referee, given: 0, isn: None, sabotage, print: 0 }
    }

    fn connect(&mut self, now: Instant) -> Result<(), String> {
        let remote = SocketAddr::from((HostPlan::place(1 - self.which).1, PORTS[1 - self.which]));
        let local = Some(([0, 0, 0, 0], PORTS[self.which]).into());
        let id = self.stack.connect(now, remote, ConnectOptions { tcp: options(), local });
        self.app.socket = Some(id.map_err(|error| format!("connect: {error:?}"))?);
        Ok(())
    }

    fn receive(&mut self, now: Instant, frame: &[u8]) {
        self.given += 1;
        self.referee.received(frame);
        self.stack.receive(now, RxFrame::plain(frame));
    }

    /// Lets the host do everything that it can at this instant. Returns what it sent.
    fn settle(&mut self, now: Instant, peer: &App) -> Result<Vec<Vec<u8>>, String> {
        let mut sent = Vec::new();
        for _ in 0..ROUNDS_MAX {
            if self.sabotage != Some(Sabotage::Deaf) {
                self.stack.advance(now);
            }
            self.drain(now, &mut sent)?;
            self.accept()?;
            self.app.look(&mut self.stack);
            let reads = self.app.reads_now();
            if reads {
                self.app.read(now, &mut self.stack, peer)?;
                self.app.look(&mut self.stack);
            }
            let due = self.stack.next_timeout().is_some_and(|at| at <= now);
            if !(reads || due) {
                self.stack.check_tcp()?;
                return Ok(sent);
            }
        }
        Err(format!("host {} never comes to rest", self.which))
    }

    fn drain(&mut self, now: Instant, sent: &mut Vec<Vec<u8>>) -> Result<(), String> {
        while let Some(frame) = self.stack.poll_transmit(now).map(|frame| frame.to_vec()) {
            if frame.get(12..14) == Some(&[8, 6]) {
                self.answer_arp(now, &frame);
                continue;
            }
            let judged = self.referee.sent(&frame);
            judged.map_err(|foul| format!("foul by host {}: {foul}", self.which))?;
            sent.push(frame);
        }
        while self.stack.poll_event().is_some() {}
        Ok(())
    }

    /// What is explored is TCP: whoever asks for an address is told.
    fn answer_arp(&mut self, now: Instant, frame: &[u8]) {
        if frame[21] != 1 {
            return;
        }
        let (own, peer) = (HostPlan::place(self.which), HostPlan::place(1 - self.which));
        let asked = Ipv4Addr::new(frame[38], frame[39], frame[40], frame[41]);
        let answer = arp(2, (peer.0, asked), own);
        self.receive(now, &ethernet(peer.0, own.0, 0x0806, &answer));
    }

    fn accept(&mut self) -> Result<(), String> {
        let Some(listener) = self.listener else { return Ok(()) };
        while let Ok(id) = self.stack.accept(listener) {
            if self.app.socket.is_some() || self.app.outcome.is_some() {
                return Err("a connection that nobody opened".into());
            }
            self.app.socket = Some(id);
        }
        Ok(())
    }

    /// G3, G5: nothing is left behind, and the books of frames balance.
    fn audit(&self) -> Result<(), String> {
        let Usage { half_open, connections, time_waits, flows, timers, memory, .. } =
            self.stack.usage();
        let left = half_open + connections + time_waits + flows + timers + memory;
        let counters = self.stack.counters();
        let ended = counters.frames_delivered + counters.drops.total();
        let balanced = counters.frames_in == self.given && ended == self.given;
        if counters.tcp_abort_on_timeout > 0 {
            return Err(format!("host {} has given up", self.which));
        }
        match (left, balanced) {
            (0, true) => Ok(()),
            (0, false) => Err(format!("the books of host {}\n{counters}", self.which)),
            _ => Err(format!("host {} keeps {:?}", self.which, self.stack.usage())),
        }
    }
}

impl Node {
    /// Where a scenario begins: whoever opens the connection has just done so.
    pub(super) fn new(scenario: &Scenario, trace: &mut Trace) -> Result<Node, String> {
        let mut node = Node {
            now: Instant::from_secs(1_000),
            hosts: [0, 1].map(|which| Rc::new(Host::new(which, scenario))),
            wires: [Vec::new(), Vec::new()],
            left: scenario.faults,
            strips: scenario.strips,
            rude: scenario.is_rude(),
        };
        let now = node.now;
        for which in (0..2).filter(|which| !scenario.sides[*which].listens) {
            node.change(which, trace, |host| host.connect(now))?;
        }
        node.print_hosts(&[0, 1]);
        Ok(node)
    }

    /// What can happen now; first of all what happens when nothing goes wrong and nobody is slow.
    pub(super) fn actions(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        let waiting = |to: usize| self.wires[to].len();
        actions.extend((0..2).filter(|to| waiting(*to) > 0).map(|to| Action::Deliver(to, 0)));
        actions.extend((0..2).filter(|i| self.hosts[*i].app.can_act()).map(Action::App));
        let lazily = |i: &usize| self.hosts[*i].app.can_read();
        actions.extend((0..2).filter(lazily).map(Action::Read));
        if self.deadline().is_some() && (actions.is_empty() || self.left.delays > 0) {
            actions.push(Action::Time);
        }
        let frames = (0..2).flat_map(|to| (0..waiting(to)).map(move |at| (to, at)));
        for (to, at) in frames {
            // The same frame twice in a row: one of them is enough.
            let again = at > 0 && self.wires[to][at].bytes == self.wires[to][at - 1].bytes;
            if at > 0 && !again && self.left.overtakes > 0 {
                actions.push(Action::Deliver(to, at));
            }
            if !again && self.left.drops > 0 {
                actions.push(Action::Drop(to, at));
            }
            if !again && self.left.duplicates > 0 {
                actions.push(Action::Duplicate(to, at));
            }
        }
        actions
    }

    fn deadline(&self) -> Option<Instant> {
        self.hosts.iter().filter_map(|host| host.stack.next_timeout()).min()
    }

    /// Lets `action` happen, which must be one of [`Node::actions`]; `trace` is shown the frames.
    pub(super) fn happen(&mut self, action: Action, trace: &mut Trace) -> Result<(), String> {
        match action {
            Action::Deliver(to, at) => {
                self.left.overtakes -= u8::from(at > 0);
                let frame = self.wires[to].remove(at);
                trace.frame(self.now, [">0", ">1"][to], &frame.bytes);
                let now = self.now;
                self.change(to, trace, |host| {
                    let planted = host.sabotage == Some(Sabotage::Panics) && host.given > 3;
                    assert!(!planted, "as was planted");
                    host.receive(now, &frame.bytes);
                    Ok(())
                })
            }
            Action::Drop(to, at) => {
                self.left.drops -= 1;
                let frame = self.wires[to].remove(at);
                trace.frame(self.now, ["0x", "1x"][to], &frame.bytes);
                Ok(())
            }
            Action::Duplicate(to, at) => {
                self.left.duplicates -= 1;
                let frame = Rc::clone(&self.wires[to][at]);
                trace.frame(self.now, ["0+", "1+"][to], &frame.bytes);
                self.wires[to].push(frame);
                Ok(())
            }
            Action::App(which) => {
                let now = self.now;
                let op = self.hosts[which].app.next();
                trace.note(now, format!("app {which}: {op:?}"));
                self.change(which, trace, |host| {
                    host.app.act(now, &mut host.stack);
                    Ok(())
                })
            }
            Action::Read(which) => {
                trace.note(self.now, format!("app {which} reads"));
                let (now, peer) = (self.now, self.hosts[1 - which].app.clone());
                self.change(which, trace, |host| host.app.read(now, &mut host.stack, &peer))
            }
            Action::Time => self.pass(trace),
        }
    }

    fn pass(&mut self, trace: &mut Trace) -> Result<(), String> {
        let Some(at) = self.deadline() else { return Ok(()) };
        self.left.delays = self.left.delays.saturating_sub(u8::from(self.is_busy()));
        self.now = self.now.max(at);
        let now = self.now;
        for which in 0..2 {
            if self.hosts[which].stack.next_timeout().is_some_and(|at| at <= now) {
                self.change(which, trace, |_| Ok(()))?;
            }
        }
        self.print_hosts(&[0, 1]);
        Ok(())
    }

    /// Something else than a deadline could happen.
    fn is_busy(&self) -> bool {
        let ready = |host: &Rc<Host>| host.app.can_act() || host.app.can_read();
        self.hosts.iter().any(ready) || self.wires.iter().any(|wire| !wire.is_empty())
    }

    /// Lets `work` act on a host, and everything that follows from it at this instant.
    fn change(
        &mut self,
        which: usize,
        trace: &mut Trace,
        work: impl FnOnce(&mut Host) -> Result<(), String>,
    ) -> Result<(), String> {
        let peer = Rc::clone(&self.hosts[1 - which]);
        let host = Rc::make_mut(&mut self.hosts[which]);
        work(host)?;
        let sent = host.settle(self.now, &peer.app)?;
        for bytes in sent {
            trace.frame(self.now, ["0>", "1>"][which], &bytes);
            self.travels(which, bytes)?;
        }
        if self.wires[1 - which].len() > FRAMES_MAX {
            return Err(format!("{FRAMES_MAX} frames are under way"));
        }
        self.print_hosts(&[which]);
        self.judge(which)
    }

    fn travels(&mut self, from: usize, bytes: Vec<u8>) -> Result<(), String> {
        let bytes = without_options(&bytes, self.strips).unwrap_or(bytes);
        let Ok(Some(segment)) = Segment::from_frame(&bytes) else {
            return Err(format!("host {from} sends something else than TCP"));
        };
        let host = Rc::make_mut(&mut self.hosts[from]);
        if segment.flags.has(Flags::SYN) {
            host.isn = Some(segment.seq);
        }
        self.wires[1 - from].push(Rc::new(Frame { bytes, segment }));
        Ok(())
    }

    /// A connection is lost only where somebody left.
    fn judge(&self, which: usize) -> Result<(), String> {
        let failed = self.hosts[which].app.outcome == Some(Outcome::Failed);
        if failed && !self.rude {
            return Err(format!("lost without a reason; {}", self.describe()));
        }
        Ok(())
    }

    /// Nothing can happen any more: everything is as it should be at the end.
    pub(super) fn is_over(&self) -> Result<(), String> {
        let outcome = |which: usize| self.hosts[which].app.outcome;
        for which in 0..2 {
            // Whose peer has left may wait for ever: only a keepalive would tell.
            let left = matches!(outcome(1 - which), Some(Outcome::Left | Outcome::Failed));
            match outcome(which) {
                None if self.rude && left => continue,
                None => return Err(format!("nothing will ever happen; {}", self.describe())),
                Some(_) => self.hosts[which].audit()?,
            }
        }
        Ok(())
    }

    fn origin(&self) -> Origin {
        Origin { now: self.now, isns: [self.hosts[0].isn, self.hosts[1].isn] }
    }

    fn print_hosts(&mut self, changed: &[usize]) {
        let origin = self.origin();
        for &which in changed {
            let print = fingerprint::of_host(&self.hosts[which], &origin);
            Rc::make_mut(&mut self.hosts[which]).print = print;
        }
    }

    /// What tells this state from others.
    pub(super) fn print(&self) -> u64 {
        let mut hash = std::hash::DefaultHasher::new();
        let origin = self.origin();
        for which in 0..2 {
            hash.write_u64(self.hosts[which].print);
            hash.write_usize(self.wires[which].len());
            self.wires[which].iter().for_each(|frame| {
                fingerprint::of_frame(frame, &origin, &mut hash);
            });
        }
        hash.finish()
    }

    pub(super) fn now(&self) -> Instant {
        self.now
    }

    /// Faults that are left.
    pub(super) fn left(&self) -> Faults {
        self.left
    }

    pub(super) fn describe(&self) -> String {
        let connections = |host: &Host| {
            let lines = host.stack.connections().map(|(_, info)| format!("\n  {info:?}"));
            lines.collect::<String>()
        };
        let host = |host: &Rc<Host>| format!("{}{}", host.app.describe(), connections(host));
        format!("{}\n{}", host(&self.hosts[0]), host(&self.hosts[1]))
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Deliver(to, at) => write!(f, "deliver:{to}:{at}"),
            Action::Drop(to, at) => write!(f, "drop:{to}:{at}"),
            Action::Duplicate(to, at) => write!(f, "duplicate:{to}:{at}"),
            Action::App(which) => write!(f, "app:{which}"),
            Action::Read(which) => write!(f, "read:{which}"),
            Action::Time => write!(f, "time"),
        }
    }
}

impl FromStr for Action {
    type Err = String;
    fn from_str(text: &str) -> Result<Action, String> {
        let mut words = text.split(':');
        let name = words.next().unwrap_or("");
        let numbers: Result<Vec<usize>, _> = words.map(str::parse).collect();
        match (name, numbers.as_deref()) {
            ("deliver", Ok(&[to @ 0..2, at])) => Ok(Action::Deliver(to, at)),
            ("drop", Ok(&[to @ 0..2, at])) => Ok(Action::Drop(to, at)),
            ("duplicate", Ok(&[to @ 0..2, at])) => Ok(Action::Duplicate(to, at)),
            ("app", Ok(&[which @ 0..2])) => Ok(Action::App(which)),
            ("read", Ok(&[which @ 0..2])) => Ok(Action::Read(which)),
            ("time", Ok(&[])) => Ok(Action::Time),
            _ => Err(format!("`{text}` is nothing that happens")),
        }
    }
}
