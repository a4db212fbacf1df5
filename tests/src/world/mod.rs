//! The simulated world: two hosts, a link in each direction, applications, virtual time, and a
//! referee beside each host. One seed decides everything; the same seed is the same run.
//!
//! First faults (safety: whatever arrives is right), then none (liveness: everything arrives).
//! The oracles are those of the threat model: the streams (G2), the books (G3, G5), liveness
//! (G6), the referee's rules (G7, G8), and the timers (G9).

mod app;
pub mod host;
mod ours;
pub mod plan;
#[cfg(test)]
mod sabotage;
mod smol;

use crate::referee::Referee;
use app::Connection;
use host::{Handle, Host};
use plan::{Kind, Plan};
use stack::Instant;
use stack::testing::trace::Trace;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddrV4;
use std::time::Duration;
use tapdev::{Link, LinkConfig};

/// The servers' port.
const PORT: u16 = 80;

/// After the faults everything is over within this long: the longest back-off, twice, and a
/// slow application on a slow link.
const LIVENESS: Duration = Duration::from_secs(1200);

/// An application whose peer has gone, or never was there, waits so long after the faults: longer
/// than any handshake takes.
const PATIENCE: Duration = Duration::from_secs(250);

/// After the last application has gone, nothing is left of any connection within this long.
const QUIET: Duration = Duration::from_secs(1200);

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
    /// Virtual time in milliseconds.
    pub millis: u64,
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
pub fn run(seed: u64, plan: &Plan) -> Result<Report, Box<Failure>> {
    let mut world = World::new(seed, plan, FRAMES_TOLD);
    world.run().map_err(|what| {
        let what = format!("{:?}: {what}", world.now);
        Box::new(Failure { seed, what, story: world.story() })
    })
}

/// Runs the world of `plan` and tells the whole story, however it ends.
pub fn tell(seed: u64, plan: &Plan) -> String {
    let mut world = World::new(seed, plan, usize::MAX);
    let end = world.run();
    format!("{}\n{:?}: {end:?}", world.story(), world.now)
}

struct World<'a> {
    plan: &'a Plan,
    seed: u64,
    now: Instant,
    hosts: [Box<dyn Host>; 2],
    referees: [Referee; 2],
    /// The links from each host: a sound one, the one with faults, and once it is repaired its
    /// successor. Frames are sent into the last, and arrive from all.
    links: [Vec<Link>; 2],
    connections: Vec<Connection>,
    by_handle: [BTreeMap<Handle, (usize, usize)>; 2],
    repaired: bool,
    trace: Trace,
    report: Report,
}

impl<'a> World<'a> {
    fn new(seed: u64, plan: &'a Plan, frames_told: usize) -> World<'a> {
        let host = |i: usize| -> Box<dyn Host> {
            let plan = &plan.hosts[i];
            match plan.kind {
                Kind::Ours => Box::new(ours::Ours::new(plan)),
                Kind::Smol => Box::new(smol::Smol::new(plan, Instant::ZERO)),
            }
        };
        let referee = |i: usize| {
            let plan = &plan.hosts[i];
            Referee::new(plan.mac.0, plan.address, plan.mtu)
        };
        let link = |i: usize| {
            let link = |config: &LinkConfig| Link::new(config.clone(), seed.wrapping_add(i as u64));
            let both = [&plan.repaired[i], &plan.links[i]].map(link);
            both.map(|link| link.expect("the plan's links are valid")).into()
        };

        let connection = |(i, plan)| Connection::new(seed, i, plan);
        World {
            plan,
            seed,
            now: Instant::ZERO,
            hosts: [host(0), host(1)],
            referees: [referee(0), referee(1)],
            links: [link(0), link(1)],
            connections: plan.connections.iter().enumerate().map(connection).collect(),
            by_handle: Default::default(),
            repaired: false,
            trace: Trace::new(frames_told),
            report: Report::default(),
        }
    }

    fn run(&mut self) -> Result<Report, String> {
        for host in &mut self.hosts {
            host.listen(PORT);
        }
        self.until("the applications are through", LIVENESS, |world| {
            world.connections.iter().all(Connection::is_over)
        })?;
        self.report.whole = self.connections.iter().filter(|c| c.is_whole()).count() as u64;
        self.until("nothing is left", QUIET, |world| {
            let ours = |i: &usize| world.plan.hosts[*i].kind == Kind::Ours;
            world.connections.iter().all(Connection::is_over)
                && (0..2).filter(ours).all(|i| world.hosts[i].leftovers() == 0)
        })?;
        self.audit()?;
        self.report.connections = self.connections.len() as u64;
        self.report.bytes = self.connections.iter().map(Connection::delivered).sum();
        self.report.millis = self.now.as_millis();
        Ok(self.report)
    }

    /// Lets events happen until `done`, or for `patience` after the faults.
    fn until(
        &mut self,
        what: &str,
        patience: Duration,
        done: impl Fn(&World<'_>) -> bool,
    ) -> Result<(), String> {
        let deadline = self.now.max(Instant::ZERO + self.plan.faults) + patience;
        for _ in 0..EVENTS_MAX {
            self.settle()?;
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
                        let host = self.hosts[i].as_mut();
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
        for i in 0..self.connections.len() {
            let awake = self.awake();
            let connection = &mut self.connections[i];
            let host = connection.sides[0].host;
            if connection.port.is_none() && connection.opens_at <= self.now && awake[host] {
                let remote = SocketAddrV4::new(self.plan.hosts[1 - host].address, PORT);
                let opened = self.hosts[host].connect(self.now, remote);
                let (handle, port) = opened.ok_or("connect() was refused")?;
                connection.port = Some(port);
                connection.sides[0].handle = Some(handle);
                self.by_handle[host].insert(handle, (i, 0));
                connection.step(0, self.now, self.hosts[host].as_mut())?;
            }
            for which in 0..2 {
                let host = connection.sides[which].host;
                let due = connection.sides[which].wake_at.is_some_and(|at| at <= self.now);
                if due && awake[host] {
                    connection.step(which, self.now, self.hosts[host].as_mut())?;
                }
            }
        }
        self.accept()
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
                let Some(connection) = self.connections.iter_mut().find(waits) else {
                    return Err(format!("host {i} accepted from {remote}: nobody opened that"));
                };
                connection.sides[1].handle = Some(handle);
                self.by_handle[i].insert(handle, (connection.index, 1));
                connection.step(1, self.now, self.hosts[i].as_mut())?;
            }
        }
        Ok(())
    }

    /// Everything that host `i` has to send goes into its link. True when there was something.
    fn drain(&mut self, i: usize) -> Result<bool, String> {
        let mut sent = 0;
        while let Some(frame) = self.hosts[i].transmit(self.now) {
            sent += 1;
            if sent > FRAMES_AT_ONCE_MAX {
                return Err(format!("host {i} sends for ever"));
            }
            self.report.frames += 1;
            self.trace.frame(self.now, ["0>", "1>"][i], &frame);
            if self.plan.hosts[i].kind == Kind::Ours {
                let judged = self.referees[i].sent(&frame);
                judged.map_err(|foul| format!("foul by host {i}: {foul}"))?;
            }
            let spared = self.plan.spares_arp && frame.get(12..14) == Some(&[8, 6]);
            let link = if spared { self.links[i].first_mut() } else { self.links[i].last_mut() };
            let cut = self.plan.cuts[i].is_some_and(|span| span.end(self.now) > self.now);
            if let Some(link) = link.filter(|_| spared || !cut) {
                link.push(self.now.as_nanos(), &frame);
            }
        }
        Ok(sent > 0)
    }

    /// When something that is due at `at` happens on host `i`: not while the machine stands still.
    fn wakes(&self, i: usize, at: Instant) -> Instant {
        self.plan.hosts[i].asleep.map_or(at, |span| span.end(at))
    }

    /// Which hosts are not standing still.
    fn awake(&self) -> [bool; 2] {
        [0, 1].map(|i| self.wakes(i, self.now) == self.now)
    }

    fn next_event(&mut self) -> Result<Option<Instant>, String> {
        let mut all = Vec::new();
        for i in 0..2 {
            let arrivals = self.links[1 - i].iter().filter_map(Link::next_ns);
            all.extend(arrivals.map(|at| (i, Instant::from_nanos(at))));
            all.extend(self.timeout(i)?.map(|at| (i, at)));
        }
        for connection in &self.connections {
            if connection.port.is_none() {
                all.push((connection.sides[0].host, connection.opens_at));
            }
            all.extend(connection.sides.iter().filter_map(|side| Some((side.host, side.wake_at?))));
        }
        let due = all.into_iter().map(|(i, at)| self.wakes(i, at.max(self.now)));
        let faults_end = Instant::ZERO + self.plan.faults;
        let milestones =
            [faults_end, faults_end + PATIENCE].into_iter().filter(|at| *at > self.now);
        Ok(due.chain(milestones).min())
    }

    /// When host `i` wants to be woken. G9: never twice running for a time that has passed.
    fn timeout(&mut self, i: usize) -> Result<Option<Instant>, String> {
        let Some(mut at) = self.hosts[i].next_timeout(self.now) else { return Ok(None) };
        if at <= self.now && self.awake()[i] {
            self.hosts[i].advance(self.now);
            self.settle()?;
            let Some(again) = self.hosts[i].next_timeout(self.now) else { return Ok(None) };
            if again <= self.now && self.plan.hosts[i].kind == Kind::Ours {
                return Err(format!("host {i} wants to be woken at {again:?} for ever"));
            }
            at = again;
        }
        Ok(Some(match self.plan.hosts[i].tick {
            None => at,
            Some(tick) => {
                let tick = tick.as_nanos() as u64;
                Instant::from_nanos(at.as_nanos().div_ceil(tick).saturating_mul(tick))
            }
        }))
    }

    /// What is due at `now`: repairs, arrivals, timers.
    fn happen(&mut self) -> Result<(), String> {
        let faults_end = Instant::ZERO + self.plan.faults;
        if !self.repaired && self.now >= faults_end {
            self.repair();
        }
        for connection in &mut self.connections {
            if self.now >= faults_end + PATIENCE {
                connection.gives_up(self.now, &mut self.hosts);
            }
        }
        for i in 0..2 {
            if self.awake()[i] {
                self.deliver(i)?;
                self.hosts[i].advance(self.now);
            }
        }
        Ok(())
    }

    fn repair(&mut self) {
        self.repaired = true;
        self.trace.note(self.now, "the links are repaired");
        for i in 0..2 {
            let config = self.plan.repaired[i].clone();
            let link = Link::new(config, self.seed).expect("the plan's links are valid");
            self.links[i].push(link);
        }
    }

    /// Frames that arrive at host `i`.
    fn deliver(&mut self, i: usize) -> Result<(), String> {
        let from = 1 - i;
        for link in 0..self.links[from].len() {
            while let Some(frame) = self.links[from][link].pop(self.now.as_nanos()) {
                self.trace.frame(self.now, [">0", ">1"][i], &frame);
                self.referees[i].received(&frame);
                self.hosts[i].receive(self.now, &frame);
                if !self.plan.hosts[i].batches {
                    self.hosts[i].advance(self.now);
                    self.settle()?;
                }
            }
        }
        Ok(())
    }

    fn story(&self) -> String {
        let apps: Vec<String> = self.connections.iter().map(Connection::describe).collect();
        format!("{:#?}\n{}\n{}", self.plan, self.trace, apps.join("\n"))
    }

    fn audit(&mut self) -> Result<(), String> {
        for (i, host) in self.hosts.iter_mut().enumerate() {
            host.audit().map_err(|wrong| format!("the books of host {i}: {wrong}"))?;
        }
        Ok(())
    }
}
