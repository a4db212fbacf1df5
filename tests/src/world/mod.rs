//! The simulated world: two hosts, a link in each direction, applications, virtual time, and a
//! referee beside each host. One seed decides everything; the same seed is the same run.
//!
//! First faults (safety: whatever arrives is right), then none (liveness: everything arrives).
//! The oracles are those of the threat model: the streams (G2), the books (G3, G5), liveness
//! (G6), the referee's rules (G7, G8), and the timers (G9).

mod app;
mod clock;
mod damage;
mod fins;
pub mod host;
mod hostile;
mod ours;
mod panics;
pub mod plan;
mod router;
#[cfg(test)]
mod sabotage;
mod script;
mod shrink;
mod smol;
mod wire;

use crate::referee::Referee;
use app::Connection;
use clock::{Clock, Timed};
use fins::Fins;
use host::{Handle, Host, Wasted};
pub(crate) use panics::caught;
use plan::{HostPlan, Kind, Plan, link_local};
use router::Router;
pub use shrink::{Shrunk, shrink};
use stack::testing::trace::Trace;
use stack::{Instant, Mac};
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::ops::AddAssign;
use std::time::Duration;
use wire::Wire;
pub(crate) use wire::without_options;

/// The servers' port.
const PORT: u16 = 80;

/// After the faults everything is over within this long: ten of the longest back-offs.
const LIVENESS: Duration = Duration::from_secs(1200);

/// An application whose peer has gone, or never was there, waits so long after the faults: longer
/// than any handshake takes.
const PATIENCE: Duration = Duration::from_secs(250);

/// After the last application has gone, nothing is left of any connection within this long.
const QUIET: Duration = Duration::from_secs(1200);

/// An application that cannot connect yet tries again so much later.
const ASKED_AGAIN: Duration = Duration::from_secs(1);

/// More events than any plan needs.
const EVENTS_MAX: u64 = 2_000_000;

/// More frames than any host has to send at one instant.
const FRAMES_AT_ONCE_MAX: u64 = 20_000;

/// Frames that a failure shows, sent and delivered.
const FRAMES_TOLD: usize = 100;

/// What a run came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    /// Frames that the hosts sent.
    pub frames: u64,
    /// Bytes that the applications read, each checked.
    pub bytes: u64,
    /// Connections planned.
    pub connections: u64,
    /// Connections whose two streams arrived whole.
    pub whole: u64,
    /// Connections that both applications closed, after everything was sent and read.
    pub done: u64,
    /// Connections that their client lost before it had met anybody.
    pub unmet: u64,
    /// Segments that hosts of ours sent again.
    pub resent: u64,
    /// Probes of closed windows that hosts of ours sent.
    pub probes: u64,
    /// Frames for hosts of ours that they dropped.
    pub dropped: u64,
    /// Virtual time in milliseconds.
    pub millis: u64,
    /// Runs that ended with a panic of smoltcp: its own fault, and no failure.
    pub peer_panics: u64,
    /// What became of every frame that was sent, and of the moment, in one number.
    pub digest: u64,
}

impl AddAssign for Report {
    fn add_assign(&mut self, other: Report) {
        self.frames += other.frames;
        self.bytes += other.bytes;
        self.connections += other.connections;
        self.whole += other.whole;
        self.done += other.done;
        self.unmet += other.unmet;
        self.resent += other.resent;
        self.probes += other.probes;
        self.dropped += other.dropped;
        self.millis += other.millis;
        self.peer_panics += other.peer_panics;
        // Runs may be added up in any order.
        self.digest = self.digest.wrapping_add(other.digest);
    }
}

/// What went wrong, with everything needed to see it again.
pub struct Failure {
    /// The seed of the run.
    pub seed: u64,
    /// What broke.
    pub what: String,
    /// The plan and the last frames.
    pub story: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}", self.story, self.what)?;
        let commit = crate::commit();
        write!(f, "again: cargo run -p tests --bin vopr -- {} (commit {commit})", self.seed)
    }
}

/// Runs the world of `plan`.
///
/// # Errors
/// The first rule that was broken.
pub fn run(plan: &Plan) -> Result<Report, Box<Failure>> {
    let mut world = World::new(plan, FRAMES_TOLD);
    caught(|| world.run()).or_else(|what| {
        if panics::is_of_smoltcp(&what) {
            return Ok(Report { peer_panics: 1, ..world.report });
        }
        let what = format!("{:?}: {what}", world.now);
        Err(Box::new(Failure { seed: plan.run.seed, what, story: world.story() }))
    })
}

/// Runs the world of `plan` and tells the whole story, however it ends.
pub fn tell(plan: &Plan) -> String {
    let mut world = World::new(plan, usize::MAX);
    let end = caught(|| world.run());
    format!("{}\n{:?}: {end:?}", world.story(), world.now)
}

/// How a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Well,
    Down,
    /// It was down.
    Back,
}

struct World<'a> {
    plan: &'a Plan,
    now: Instant,
    hosts: [Timed; 2],
    health: [Health; 2],
    referees: [Referee; 2],
    /// The wire from each host.
    wires: [Wire; 2],
    /// What each host of other hands sent to end its connections.
    fins: [Fins; 2],
    connections: Vec<Connection>,
    by_handle: [BTreeMap<Handle, (usize, usize)>; 2],
    /// Clients' ports of connections that damage may have deceived.
    deceived: Vec<u16>,
    repaired: bool,
    /// When each host got its second address.
    moved: [Option<Instant>; 2],
    router: Router,
    trace: Trace,
    report: Report,
}

/// The host at these addresses that `plan` describes, without a world around it.
pub fn host(at: (Mac, IpAddr), plan: &HostPlan, now: Instant) -> Box<dyn Host> {
    match plan.kind() {
        Kind::Ours => Box::new(ours::Ours::new(at, plan)),
        Kind::Smol => Box::new(smol::Smol::new(at, plan, now)),
    }
}

/// The host there before anything has happened to it, or after everything has.
fn new_host(at: (Mac, IpAddr), plan: &HostPlan, now: Instant) -> Timed {
    let clock = Clock::new(plan);
    Timed { host: host(at, plan, clock.local(now)), clock, log: None }
}

fn new_referee((mac, address): (Mac, IpAddr), plan: &HostPlan) -> Referee {
    let mut referee = Referee::new(mac.0, address, plan.mtu as usize);
    if let IpAddr::V6(global) = address {
        referee.owns(link_local(global));
    }
    if plan.autoconfigure == 1 {
        referee.configures_itself();
    }
    if plan.has_cookies() {
        referee.allows_cookies();
    }
    if plan.leap_s > 0 {
        referee.clock_leaps();
    }
    referee
}

impl<'a> World<'a> {
    fn new(plan: &'a Plan, frames_told: usize) -> World<'a> {
        let impatient = plan.hosts.iter().any(HostPlan::may_time_out);
        let connection = |(i, part)| {
            let mut connection = Connection::new(plan.run.seed, i, part);
            connection.excused = impatient;
            connection
        };
        World {
            plan,
            now: Instant::ZERO,
            hosts: [0, 1].map(|i| new_host(plan.run.place(i), &plan.hosts[i], Instant::ZERO)),
            health: [Health::Well; 2],
            referees: [0, 1].map(|i| new_referee(plan.run.place(i), &plan.hosts[i])),
            wires: [0, 1].map(|i| Wire::new(i, &plan.run, &plan.wires[i])),
            fins: Default::default(),
            connections: plan.connections.iter().enumerate().map(connection).collect(),
            by_handle: Default::default(),
            deceived: Vec::new(),
            repaired: false,
            moved: [None; 2],
            router: Router::new(&plan.run),
            trace: Trace::new(frames_told),
            report: Report::default(),
        }
    }

    fn run(&mut self) -> Result<Report, String> {
        self.hosts.iter_mut().for_each(|host| host.listen(PORT));
        self.until("the applications are through", LIVENESS, |world| {
            world.connections.iter().all(Connection::is_over)
        })?;
        self.until("nothing is left", QUIET, |world| {
            let ours = |i: &usize| world.plan.hosts[*i].kind() == Kind::Ours;
            world.connections.iter().all(Connection::is_over)
                && (0..2).filter(ours).all(|i| world.hosts[i].leftovers() == 0)
        })?;
        self.audit()?;
        let count = |is: fn(&Connection) -> bool| {
            self.connections.iter().filter(|connection| is(connection)).count() as u64
        };
        self.report.whole = count(Connection::is_whole);
        self.report.done = count(Connection::is_done);
        self.report.unmet = count(Connection::is_unmet);
        self.report.connections = self.connections.len() as u64;
        self.report.bytes = self.connections.iter().map(Connection::delivered).sum();
        self.report.millis = self.now.as_millis();
        for host in &self.hosts {
            let Wasted { resent, probes, dropped } = host.wasted();
            self.report.resent += resent;
            self.report.probes += probes;
            self.report.dropped += dropped;
        }
        Ok(self.report)
    }

    /// Lets events happen until `done`, or for `patience` after the faults.
    fn until(
        &mut self,
        what: &str,
        patience: Duration,
        done: impl Fn(&World<'_>) -> bool,
    ) -> Result<(), String> {
        let deadline = self.now.max(self.plan.run.faults_end()) + patience;
        for _ in 0..EVENTS_MAX {
            self.settle()?;
            self.check()?;
            if done(self) {
                return Ok(());
            }
            let next = self.next_event()?;
            match next {
                None => return Err(format!("nothing will ever happen, but not yet: {what}")),
                Some(next) if next > deadline => return Err(format!("not in time: {what}")),
                Some(next) => self.now = next,
            }
            self.happen()?;
        }
        Err(format!("{EVENTS_MAX} events, but not yet: {what}"))
    }

    /// Applications act and hosts send until nothing moves at this instant.
    fn settle(&mut self) -> Result<(), String> {
        self.open_and_accept()?;
        let awake = self.awake();
        loop {
            let mut moved = false;
            for i in (0..2).filter(|i| awake[*i]) {
                moved |= self.drain(i)?;
                for handle in self.hosts[i].woken() {
                    if let Some(&(connection, which)) = self.by_handle[i].get(&handle) {
                        let host = &mut self.hosts[i];
                        moved |= self.connections[connection].step(which, self.now, host)?;
                    }
                }
                moved |= self.drain(i)?;
            }
            if !moved {
                return self.accept().map(drop);
            }
            self.accept()?;
        }
    }

    fn open_and_accept(&mut self) -> Result<(), String> {
        let places = [0, 1].map(|i| self.place(i));
        for i in 0..self.connections.len() {
            let awake = self.awake();
            let connection = &self.connections[i];
            let host = connection.sides[0].host;
            let due = connection.port.is_none() && connection.opens_at <= self.now && awake[host];
            let opened = if due { self.connects(i, places[1 - host].1) } else { None };
            let connection = &mut self.connections[i];
            if due {
                if opened.is_none() && self.plan.hosts[host].autoconfigure == 1 {
                    // It does not know yet whether its address is free.
                    connection.opens_at = self.now + ASKED_AGAIN;
                    continue;
                }
                let (handle, port) = opened.ok_or("connect() was refused")?;
                connection.port = Some(port);
                connection.sides[0].handle = Some(handle);
                self.by_handle[host].insert(handle, (i, 0));
                connection.step(0, self.now, &mut self.hosts[host])?;
            }
            for which in 0..2 {
                let host = connection.sides[which].host;
                let due = connection.sides[which].wake_at.is_some_and(|at| at <= self.now);
                if due && awake[host] {
                    connection.step(which, self.now, &mut self.hosts[host])?;
                }
            }
        }
        self.accept()
    }

    /// Connection `i` opens, to `to`: from its port, unless another has got that by chance.
    fn connects(&mut self, i: usize, to: IpAddr) -> Option<(Handle, u16)> {
        let (from, remote) = (self.plan.connections[i].open.port as u16, SocketAddr::new(to, PORT));
        let client = &self.connections[i].sides[0];
        let (client, bytes) = (client.host, client.plan.bytes);
        let has = |it: &Connection| it.port == Some(from) && it.sides[0].host == client;
        let taken = self.connections.iter().any(has);
        let host = &mut self.hosts[client];
        let opened = host.connect(self.now, from, remote, bytes);
        if opened.is_none() && taken { host.connect(self.now, 0, remote, bytes) } else { opened }
    }

    /// Gives new connections of the hosts to the applications that wait for them.
    fn accept(&mut self) -> Result<(), String> {
        let awake = self.awake();
        for i in (0..2).filter(|i| awake[*i]) {
            while let Some((handle, _, remote)) = self.hosts[i].accept(self.now) {
                let waits = |connection: &&mut Connection| {
                    connection.port == Some(remote.port())
                        && connection.sides[1].host == i
                        && connection.sides[1].handle.is_none()
                };
                let again = self.has_cookie_of(i, remote.port());
                let mut waiting: Vec<_> = self.connections.iter_mut().filter(waits).collect();
                // A client may use a port again: then nobody can tell which of them it is.
                let ambiguous = waiting.len() > 1 || again;
                for connection in &mut waiting {
                    connection.deceived |= ambiguous;
                }
                let Some(connection) = waiting.pop() else {
                    self.stranger(i, handle, remote)?;
                    continue;
                };
                // An address that the client has made itself, and the way to it, are there for as
                // long as the router says, which forwards nothing.
                let (run, client) = (&self.plan.run, 1 - i);
                let given = [run.place(client).1, run.second_address(client)];
                let made = self.plan.hosts[client].autoconfigure == 1;
                connection.excused |= made && !given.contains(&remote.ip());
                connection.sides[1].handle = Some(handle);
                self.by_handle[i].insert(handle, (connection.index, 1));
                connection.step(1, self.now, &mut self.hosts[i])?;
            }
        }
        Ok(())
    }

    /// A connection from `port` that host `i` has had may come back with its cookie.
    fn has_cookie_of(&self, i: usize, port: u16) -> bool {
        let had = |connection: &Connection| {
            let server = &connection.sides[1];
            connection.port == Some(port) && server.host == i && server.handle.is_some()
        };
        let plan = &self.plan.hosts[i];
        (plan.has_cookies() || plan.fast_open > 0) && self.connections.iter().any(had)
    }

    /// Host `i` has a connection that nobody opened: a fault, unless damage did it, or a cookie
    /// that is good for more than one connection. So is Fast Open's.
    fn stranger(&mut self, i: usize, handle: Handle, from: SocketAddr) -> Result<(), String> {
        let again = self.has_cookie_of(i, from.port());
        if !(again || self.deceived.contains(&from.port())) {
            return Err(format!("host {i} accepted from {from}: nobody opened that"));
        }
        self.hosts[i].abort(self.now, handle);
        Ok(())
    }

    /// Everything that host `i` has to send goes into its wire. True when there was something.
    fn drain(&mut self, i: usize) -> Result<bool, String> {
        let refuses = self.plan.hosts[i].refuses().contains(self.now);
        if refuses && self.plan.hosts[i].refuses_how == 0 {
            return Ok(false);
        }
        let mut sent = 0;
        while let Some(frame) = self.hosts[i].transmit(self.now) {
            sent += 1;
            if sent > FRAMES_AT_ONCE_MAX {
                return Err(format!("host {i} sends for ever"));
            }
            self.report.frames += 1;
            let mut digest = DefaultHasher::new();
            (self.report.digest, self.now.as_nanos(), i, &frame).hash(&mut digest);
            self.report.digest = digest.finish();
            let label = if refuses { ["0!", "1!"] } else { ["0>", "1>"] };
            self.trace.frame(self.now, label[i], &frame);
            if self.plan.hosts[i].kind() == Kind::Ours {
                let judged = self.referees[i].sent(&frame);
                judged.map_err(|foul| format!("foul by host {i}: {foul}"))?;
            } else {
                self.fins[i].leaves(self.now, &frame);
            }
            if !refuses {
                self.travels(i, &frame);
            }
        }
        Ok(sent > 0)
    }

    /// A frame from host `i` goes into the wire.
    fn travels(&mut self, i: usize, frame: &[u8]) {
        let fate = self.wires[i].push(self.now, frame);
        if let Some(icmp) = fate.icmp {
            self.wires[1 - i].push(self.now, &icmp);
        }
        for port in fate.deceived {
            self.deceived.push(port);
            self.referees.iter_mut().for_each(|referee| referee.spares(port));
            for connection in &mut self.connections {
                connection.deceived |= connection.port == Some(port);
            }
        }
    }

    /// When something that is due at `at` happens on host `i`: not while the machine stands still.
    fn wakes(&self, i: usize, at: Instant) -> Instant {
        let host = &self.plan.hosts[i];
        host.asleep().end(host.down().end(host.asleep().end(at)))
    }

    /// Which hosts are not standing still.
    fn awake(&self) -> [bool; 2] {
        [0, 1].map(|i| self.wakes(i, self.now) == self.now)
    }

    fn next_event(&mut self) -> Result<Option<Instant>, String> {
        let mut next: Option<Instant> = None;
        let mut add = |at: Instant| next = Some(next.map_or(at, |next| next.min(at)));
        for i in 0..2 {
            let timeout = self.timeout(i)?;
            for at in [self.wires[1 - i].next(), timeout].into_iter().flatten() {
                add(self.wakes(i, at.max(self.now)));
            }
        }
        for connection in &self.connections {
            if connection.port.is_none() {
                add(self.wakes(connection.sides[0].host, connection.opens_at.max(self.now)));
            }
            for side in &connection.sides {
                if let Some(at) = side.wake_at.filter(|_| side.outcome.is_none()) {
                    add(self.wakes(side.host, at.max(self.now)));
                }
            }
        }
        let (faults_end, hosts) = (self.plan.run.faults_end(), &self.plan.hosts);
        let crashes = hosts.iter().map(HostPlan::down).flat_map(|down| [down.from, down.to]);
        let leaps = hosts.iter().map(|host| Instant::from_millis(host.leap_at_ms));
        let milestones = crashes
            .chain(leaps)
            .chain(hosts.iter().map(|host| host.refuses().to))
            .chain(hosts.iter().map(|host| host.moves().from))
            .chain((0..2).filter_map(|i| self.loses_at(i)))
            .chain([faults_end, faults_end + PATIENCE]);
        let milestones = milestones.chain(self.router.next());
        milestones.filter(|at| *at > self.now).for_each(add);
        Ok(next)
    }

    /// When host `i` wants to be woken. G9: not for a time that has passed, again and again.
    fn timeout(&mut self, i: usize) -> Result<Option<Instant>, String> {
        let Some(mut at) = self.hosts[i].next_timeout(self.now) else { return Ok(None) };
        let mut calls = 0;
        while at <= self.now && self.awake()[i] {
            self.hosts[i].advance(self.now);
            self.settle()?;
            let Some(again) = self.hosts[i].next_timeout(self.now) else { return Ok(None) };
            at = again;
            calls += 1;
            // Connections that wait for memory are told one by one.
            let short = self.plan.hosts[i].memory_kib < 1024 || self.plan.hosts[i].refusals > 0;
            let patience = if short { 32 } else { 1 };
            if at <= self.now && calls >= patience {
                if self.plan.hosts[i].kind() == Kind::Ours {
                    return Err(format!("host {i} wants to be woken at {at:?} for ever"));
                }
                break;
            }
        }
        let tick = self.plan.hosts[i].tick_us.max(1) * 1_000;
        let late = at.as_nanos().div_ceil(tick).saturating_mul(tick);
        Ok(Some(if tick > 1_000 { Instant::from_nanos(late) } else { at }))
    }

    /// What is due at `now`: crashes, arrivals, timers.
    fn happen(&mut self) -> Result<(), String> {
        let faults_end = self.plan.run.faults_end();
        if !self.repaired && self.now >= faults_end {
            self.repaired = true;
            self.trace.note(self.now, "the faults end");
        }
        if let Some(frame) = self.router.advertises(self.now) {
            self.wires.iter_mut().for_each(|wire| drop(wire.push(self.now, &frame)));
        }
        for connection in &mut self.connections {
            if self.now >= faults_end + PATIENCE {
                let forgot = [0, 1].map(|which| {
                    let ports = connection.ports_of(which, PORT);
                    let fins = &self.fins[connection.sides[which].host];
                    ports.is_some_and(|ports| fins.is_forgotten(ports, faults_end))
                });
                connection.gives_up(self.now, &mut self.hosts, forgot);
            }
        }
        for i in 0..2 {
            let gone = self.loses_at(i).is_some_and(|at| self.now >= at);
            for connection in &mut self.connections {
                connection.excused |= gone && connection.ends_with[i];
            }
            self.falls_and_rises(i);
            if self.awake()[i] {
                self.moves(i);
                self.deliver(i)?;
                self.hosts[i].advance(self.now);
                if gone {
                    self.referees[i].loses(self.plan.run.place(i).1);
                }
            }
        }
        Ok(())
    }

    /// Host `i` crashes, or is there again and has forgotten everything.
    fn falls_and_rises(&mut self, i: usize) {
        let down = self.plan.hosts[i].down();
        if self.health[i] == Health::Well && down.contains(self.now) {
            self.health[i] = Health::Down;
            self.trace.note(self.now, format!("host {i} crashes"));
            // It is another host at the same address: nothing of its chance comes again.
            let mut plan = self.plan.hosts[i].clone();
            plan.seed ^= 1;
            let at = self.place(i);
            self.hosts[i] = new_host(at, &plan, self.now);
            self.hosts[i].listen(PORT);
            self.referees[i] = new_referee(at, &plan);
            self.by_handle[i].clear();
            self.connections.iter_mut().for_each(|connection| connection.crashes(i));
        }
        if self.health[i] == Health::Down && self.now >= down.to {
            self.health[i] = Health::Back;
            self.trace.note(self.now, format!("host {i} is back"));
            while self.wires[1 - i].pop(self.now).is_some() {}
        }
    }

    /// The station and the address of host `i`: that which it does not lose.
    fn place(&self, i: usize) -> (Mac, IpAddr) {
        let (mac, first) = self.plan.run.place(i);
        let moved = self.moved[i].is_some();
        (mac, if moved { self.plan.run.second_address(i) } else { first })
    }

    /// Host `i` gets its second address. What is under way may use the first, and ends with it.
    fn moves(&mut self, i: usize) {
        let plan = &self.plan.hosts[i];
        let due = plan.moves_ms > 0 && self.now >= plan.moves().from;
        if !due || self.moved[i].is_some() {
            return;
        }
        let (to, after) = (self.plan.run.second_address(i), Duration::from_millis(plan.moves_ms));
        self.trace.note(self.now, format!("host {i} moves to {to}"));
        self.moved[i] = Some(self.now);
        self.hosts[i].moves(self.now, to, after);
        self.referees[i].owns(to);
        self.connections.iter_mut().for_each(|it| it.ends_with[i] |= it.port.is_some());
    }

    /// When host `i` loses its first address.
    fn loses_at(&self, i: usize) -> Option<Instant> {
        Some(self.moved[i]? + Duration::from_millis(self.plan.hosts[i].moves_ms))
    }

    /// Frames that arrive at host `i`.
    fn deliver(&mut self, i: usize) -> Result<(), String> {
        while let Some(frame) = self.wires[1 - i].pop(self.now) {
            self.trace.frame(self.now, [">0", ">1"][i], &frame);
            self.referees[i].received(&frame);
            self.fins[1 - i].arrives(&frame);
            self.hosts[i].receive(self.now, &frame);
            if self.plan.hosts[i].batches == 0 {
                self.hosts[i].advance(self.now);
                self.settle()?;
            }
        }
        Ok(())
    }

    fn check(&mut self) -> Result<(), String> {
        for (i, host) in self.hosts.iter_mut().enumerate() {
            host.check().map_err(|wrong| format!("host {i}: {wrong}"))?;
        }
        Ok(())
    }

    fn story(&self) -> String {
        let apps: Vec<String> = self.connections.iter().map(Connection::describe).collect();
        let [one, two] = [0, 1].map(|i| format!("host {i}: {}", self.hosts[i].describe()));
        format!("{}\n{}\n{one}{two}{}", self.plan, self.trace, apps.join("\n"))
    }

    fn audit(&mut self) -> Result<(), String> {
        for (i, host) in self.hosts.iter_mut().enumerate() {
            host.audit().map_err(|wrong| format!("the books of host {i}: {wrong}"))?;
        }
        Ok(())
    }
}
