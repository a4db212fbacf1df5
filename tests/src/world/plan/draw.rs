//! What the seed draws.
//!
//! Swarm style (Groce and others, 2012): each kind of fault is on or off for a whole run, so that
//! some runs have one fault in plenty rather than all runs a little of each; and how many kinds
//! are on is drawn, too.

use super::{ConnectionPlan, HostPlan, Kind, OpenPlan, Plan, RunPlan, SidePlan, WirePlan};
use crate::random::Dice;
use crate::world::damage;
use crate::world::ours::first_numbers;
use stack::Congestion;
use std::net::SocketAddr;

/// Which stacks a plan has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// One run in five with smoltcp.
    Any,
    /// This project's on both sides.
    Ours,
    /// smoltcp as host 1.
    Smol,
}

/// A stream of [`BYTES_MAX`] in pieces of this size, with a pause after each, ends in time.
const LEAST_PIECE: u64 = 40;

/// The longest stream.
const BYTES_MAX: u64 = 200_000;

/// Faults begin within so many milliseconds: most transfers are over by then.
const EARLY_MS: u64 = 6_000;

/// The dice, and the chance in percent that a kind of fault is on.
struct Swarm {
    dice: Dice,
    chance: u64,
}

impl Plan {
    /// The plan of `seed`: two in five over IPv6.
    pub fn draw(seed: u64, mix: Mix) -> Plan {
        let ip = if Dice::new(seed, "ip").percent(40) { 6 } else { 4 };
        Plan::draw_over(ip, seed, mix)
    }

    /// The plan of `seed` over this version of IP.
    pub fn draw_over(ip: u64, seed: u64, mix: Mix) -> Plan {
        let mut dice = Dice::new(seed, "plan");
        let has_smol = match mix {
            Mix::Any => dice.percent(20),
            Mix::Ours => false,
            Mix::Smol => true,
        };
        let chance = dice.pick(&[5, 15, 30, 50]);
        let mut swarm = Swarm { dice, chance };
        let mut plan = Plan {
            run: RunPlan {
                seed,
                faults_ms: swarm.dice.between(1_000, 20_000),
                ip,
                ..RunPlan::default()
            },
            hosts: [(); 2].map(|()| swarm.host()),
            wires: [(); 2].map(|()| swarm.wire()),
            connections: Vec::new(),
        };
        for _ in 0..swarm.dice.between(1, 8) {
            plan.connections.push(swarm.connection());
        }
        if has_smol {
            plan.hosts[1].kind = 1;
            plan.spare_smoltcp();
        }
        plan.widen_for_ipv6();
        swarm.fast_open(&mut plan);
        swarm.wind_clocks(&mut plan);
        plan.fit_cards(seed);
        plan.meet_router(seed);
        plan.move_hosts(seed);
        plan
    }

    /// Other addresses, with dice of their own, for hosts that can be told and whose clocks do not
    /// end an address early.
    fn move_hosts(&mut self, seed: u64) {
        let mut dice = Dice::new(seed, "moves");
        let told = |host: &HostPlan| host.kind() == Kind::Ours && host.leap_s == 0;
        if dice.percent(80) || !self.hosts.iter().all(told) {
            return;
        }
        for host in &mut self.hosts {
            if dice.percent(60) {
                host.moves_at_ms = dice.between(1, EARLY_MS.min(self.run.faults_ms));
                host.moves_ms = 1 + dice.skewed(5_000);
            }
        }
    }

    /// A router that changes its mind, with dice of its own; smoltcp does not listen.
    fn meet_router(&mut self, seed: u64) {
        let mut dice = Dice::new(seed, "router");
        let heard = self.hosts.iter().all(|host| host.kind() == Kind::Ours);
        if self.run.ip == 6 && heard && dice.percent(30) {
            self.run.router_every_ms = dice.between(200, 3_000);
            self.hosts.iter_mut().for_each(|host| host.autoconfigure = u64::from(dice.percent(70)));
        }
    }

    /// Every link of IPv6 carries 1280 bytes (RFC 8200 §5).
    fn widen_for_ipv6(&mut self) {
        if self.run.ip != 6 {
            return;
        }
        let least = |mtu: &mut u64| *mtu = if *mtu > 0 { (*mtu).max(1280) } else { 0 };
        self.hosts.iter_mut().for_each(|host| least(&mut host.mtu));
        self.wires.iter_mut().for_each(|wire| least(&mut wire.narrow_mtu));
    }

    /// Network cards, with dice of their own.
    fn fit_cards(&mut self, seed: u64) {
        let mut dice = Dice::new(seed, "cards");
        for host in &mut self.hosts {
            host.super_frame = dice.pick(&[0, 65_535, 65_535, 20_000, 3_000]);
            host.joins = dice.below(2);
        }
    }

    /// Loss of one frame in five in both directions, with reorder and duplicates, and nothing
    /// that cuts a connection short: every byte has to arrive.
    pub fn lossy(seed: u64, mix: Mix) -> Plan {
        let mut plan = Plan::draw(seed, mix);
        let mut dice = Dice::new(seed, "lossy");
        for wire in &mut plan.wires {
            *wire = WirePlan {
                delay_us: dice.between(1, 40) * 1_000,
                loss: 200_000,
                duplicate: 50_000,
                late: 100_000,
                late_us: 30_000,
                strips: wire.strips,
                ..WirePlan::default()
            };
        }
        for connection in &mut plan.connections {
            for side in &mut connection.sides {
                (side.ending, side.stall_ms) = (0, 0);
            }
        }
        for host in &mut plan.hosts {
            *host = HostPlan {
                // A handshake that is forgotten is no byte lost, but here no excuse is wanted.
                syn_ack_retries: 15,
                backlog: 64,
                half_open_max: 16_384,
                asleep_ms: 0,
                leap_s: 0,
                crash_ms: 0,
                refuses_ms: 0,
                // Who remembers no connection resets what comes late.
                time_wait_ms: 60_000,
                time_wait_max: 131_072,
                moves_ms: 0,
                fast_open: 0,
                keepalive_ms: 0,
                user_timeout_ms: 0,
                ..host.clone()
            };
        }
        plan.run.spares_arp = 1;
        // The faults outlast the transfer: nothing is delivered because the link was repaired.
        plan.run.faults_ms = 3_600_000;
        plan
    }

    /// Nothing in the way of two hosts that want for nothing: no segment has a reason to go twice,
    /// and no frame a reason to be dropped.
    pub fn calm(seed: u64) -> Plan {
        let mut plan = Plan::draw(seed, Mix::Ours);
        let mut dice = Dice::new(seed, "calm");
        // A SYN goes again after a second.
        let delay_us = dice.between(10, 100_000);
        plan.wires = [(); 2].map(|()| WirePlan { delay_us, ..WirePlan::default() });
        for connection in &mut plan.connections {
            // Who wants nothing would be gone before he is there.
            let idle = connection.sides.iter().all(|side| side.bytes == 0);
            for side in &mut connection.sides {
                side.ending = if idle { 0 } else { side.ending % 2 };
            }
        }
        plan.hosts = plan.hosts.map(|host| HostPlan {
            seed: host.seed,
            epoch_us: host.epoch_us,
            mtu: host.mtu,
            super_frame: host.super_frame,
            joins: host.joins,
            receive_buffer: host.receive_buffer,
            send_buffer: host.send_buffer,
            nodelay: host.nodelay,
            congestion: host.congestion,
            ecn: host.ecn,
            quick_ack: host.quick_ack,
            ..HostPlan::default()
        });
        plan.run = RunPlan { seed, ip: plan.run.ip, ..RunPlan::default() };
        plan
    }

    /// What smoltcp cannot live with.
    fn spare_smoltcp(&mut self) {
        for wire in &mut self.wires {
            // It may run without congestion control: a short queue would starve it.
            wire.queue = 1_000;
            // It believes strangers more than RFC 5961 does.
            wire.hostile = 0;
            // It hears no router.
            wire.narrow_told = 0;
            // It panics when it is told what nobody said.
            wire.damage_kinds = damage::SEEN;
        }
        // It has no SND.WL1: a closed window that comes late stops it for ever.
        self.hosts[0].receive_buffer = BYTES_MAX;
    }
}

impl Swarm {
    /// `value`, if this kind of fault is on.
    fn sometimes(&mut self, value: impl FnOnce(&mut Dice) -> u64) -> u64 {
        if self.dice.percent(self.chance) { value(&mut self.dice) } else { 0 }
    }

    /// A share of up to `percent`, in parts per million, if this kind of fault is on.
    fn share(&mut self, percent: u64) -> u64 {
        self.sometimes(|dice| dice.below(percent * 10_000))
    }

    /// A time within the run at which something begins.
    fn moment(&mut self) -> u64 {
        1 + self.dice.below(EARLY_MS)
    }

    fn host(&mut self) -> HostPlan {
        let mut host = HostPlan::default();
        self.settings(&mut host);
        let ports = [(32_768, 60_999), (49_152, 49_161), (65_500, 65_535), (1_024, 65_535)];
        (host.first_port, host.last_port) = self.dice.pick(&ports);
        host.tick_us = self.sometimes(|_| 4_000);
        host.batches = self.dice.below(2);
        host.refusals = self.share(5);
        let span = |dice: &mut Dice| 1 + dice.skewed(20_000);
        (host.asleep_at_ms, host.asleep_ms) = (self.moment(), self.sometimes(span));
        (host.refuses_at_ms, host.refuses_ms) = (self.moment(), self.sometimes(span));
        host.refuses_how = self.dice.below(2);
        // What excuses a lost connection is rare: it hides what else may be wrong.
        if self.dice.percent(5) {
            let days = 50 * 24 * 3600;
            (host.leap_at_ms, host.leap_s) = (self.moment(), 1 + self.dice.skewed(days));
        }
        if self.dice.percent(5) {
            (host.crash_at_ms, host.crash_ms) = (self.moment(), 1 + self.dice.skewed(10_000));
        }
        if self.dice.percent(3) {
            host.keepalive_ms = self.dice.between(1_000, 60_000);
        }
        if self.dice.percent(3) {
            host.user_timeout_ms = self.dice.between(1, 60_000);
        }
        host
    }

    fn settings(&mut self, host: &mut HostPlan) {
        let dice = &mut self.dice;
        host.seed = dice.word();
        host.mtu = dice.pick(&[576, 1280, 1500, 1500, 1500, 9000]);
        host.receive_buffer = dice.pick(&[0, 0, 2048, 4096, 16_384, 65_535, 65_536, 262_144]);
        host.send_buffer = dice.pick(&[0, 0, 2048, 4096, 16_384, 65_536, 262_144]);
        host.nodelay = u64::from(dice.percent(30));
        host.cork = u64::from(dice.percent(10));
        if dice.percent(10) {
            host.notsent_lowat = 1_000 + dice.skewed(65_536);
        }
        host.congestion = dice.below(Congestion::ALL.len() as u64);
        host.quick_ack = u64::from(dice.percent(15));
        host.timestamps = dice.below(2);
        host.delayed_ack_ms = dice.pick(&[40, 40, 40, 1, 200, 499]);
        if dice.percent(10) {
            host.max_segment = dice.between(88, 1460);
        }
        host.ranges_max = self.limit(128, &[1, 2, 4, 16]);
        // Below this nothing else than the ledger would be tested.
        host.memory_kib = self.limit(host.memory_kib, &[64, 128, 512]);
        host.backlog = self.limit(64, &[1, 2, 4]);
        host.half_open_max = self.limit(host.half_open_max, &[1, 2, 4]);
        host.time_wait_ms = self.limit(60_000, &[1, 1_000, 10_000]);
        host.time_wait_max = self.limit(host.time_wait_max, &[1, 2]);
        host.ecn = self.dice.pick(&[0, 1, 1, 2]);
    }

    /// One of the tight limits, if this kind of trouble is on.
    fn limit(&mut self, calm: u64, tight: &[u64]) -> u64 {
        match self.sometimes(|dice| dice.pick(tight)) {
            0 => calm,
            tight => tight,
        }
    }

    fn wire(&mut self) -> WirePlan {
        let mut wire = WirePlan {
            // From 10 us to about 650 ms, each order of magnitude as likely as the next.
            delay_us: 10 << self.dice.below(17),
            rate_kbit: if self.dice.percent(40) { 500 << self.dice.below(8) } else { 0 },
            queue: self.dice.pick(&[4, 16, 64, 1000]),
            strips: self.sometimes(|dice| dice.below(64)),
            loss: self.share(40),
            duplicate: self.share(50),
            replay: self.share(50),
            damage: self.share(20),
            late: self.share(40),
            overtaken: self.share(20),
            bursts: self.share(2),
            hostile: self.share(20),
            ..WirePlan::default()
        };
        let dice = &mut self.dice;
        wire.burst_frames = dice.between(2, 200);
        wire.replay_ms = 1 + dice.skewed(7_200_000);
        wire.damage_kinds = dice.between(1, damage::ALL);
        wire.late_us = dice.between(1, 300_000);
        wire.overtaken_by = 1 + dice.skewed(299);
        wire.mark_above = dice.pick(&[0, 0, 1_500, 6_000, 50_000]);
        wire.ecn_box = dice.pick(&[0, 0, 0, 0, 1, 2, 3, 4]);
        wire.jitter_us = self.sometimes(|dice| wire.delay_us / dice.between(1, 10));
        self.outages(&mut wire);
        wire
    }

    /// Text with the SYN may reach an application twice (RFC 7413 §2.1), and those of the world
    /// do not bear that: only where nothing comes twice. Nor does a server bear what is like a
    /// SYN with a good cookie, but says something else.
    fn fast_open(&mut self, plan: &mut Plan) {
        for host in &mut plan.hosts {
            host.fast_open = self.sometimes(|dice| dice.pick(&[1, 2, 3, 3, 7, 0x203, 0x207]));
        }
        let twice = plan.wires.iter().any(|wire| wire.duplicate + wire.replay > 0);
        let forgets = plan.hosts.iter().any(|host| host.crash_ms > 0);
        let forged = plan.wires.iter().any(|wire| wire.hostile + wire.damage > 0);
        if twice || forged || forgets || plan.hosts[1].kind() == Kind::Smol {
            plan.hosts.iter_mut().for_each(|host| host.fast_open = 0);
        }
        for host in plan.hosts.iter_mut().filter(|host| host.fast_open > 0) {
            // A server that forgets what it has accepted would accept it again, and so would one
            // that a late SYN finds when its port has been used by another connection.
            host.syn_ack_retries = 15;
            (host.first_port, host.last_port) = (32_768, 60_999);
        }
        let waits = |connection: &&mut ConnectionPlan| {
            plan.hosts[connection.open.client as usize].fast_open > 0
        };
        for connection in plan.connections.iter_mut().filter(waits) {
            // Closing a connection that is not open yet forgets its text.
            let side = &mut connection.sides[0];
            side.ending = if side.ending == 1 { 0 } else { side.ending };
        }
    }

    /// New routes, no route, and routes too narrow.
    fn outages(&mut self, wire: &mut WirePlan) {
        wire.route_at_ms = self.sometimes(|dice| 1 + dice.below(EARLY_MS));
        // From 10 us to 30 s.
        wire.route_delay_us = (10 << self.dice.below(22)).min(30_000_000);
        let back = |dice: &mut Dice| wire.route_at_ms + 1 + dice.skewed(EARLY_MS);
        wire.route_back_at_ms = self.sometimes(back);
        (wire.cut_at_ms, wire.cut_ms) = (self.moment(), self.sometimes(|d| 1 + d.skewed(20_000)));
        let again = |dice: &mut Dice| wire.cut_ms + 1 + dice.skewed(5_000);
        wire.cut_every_ms = self.sometimes(again);
        wire.narrow_mtu = self.sometimes(|dice| dice.pick(&[576, 1006, 1280, 1400]));
        (wire.narrow_at_ms, wire.narrow_told) = (self.dice.below(EARLY_MS), self.dice.below(2));
    }

    fn connection(&mut self) -> ConnectionPlan {
        let open = OpenPlan { client: self.dice.below(2), at_ms: self.dice.below(3_000), port: 0 };
        ConnectionPlan { open, sides: [self.side(), self.side()] }
    }

    fn side(&mut self) -> SidePlan {
        let dice = &mut self.dice;
        let bytes = dice.skewed(BYTES_MAX);
        let pause_us = if dice.percent(50) { 0 } else { dice.skewed(50_000) };
        let mut side = SidePlan {
            bytes,
            write: LEAST_PIECE + dice.skewed(70_000),
            read: LEAST_PIECE + dice.skewed(70_000),
            burst: dice.between(1, 64),
            pause_us,
            ending: dice.pick(&[0, 0, 0, 0, 0, 1, 1, 1, 2, 3]),
            ending_after: dice.skewed(2 * bytes),
            ..SidePlan::default()
        };
        if dice.percent(10) {
            (side.stall_after, side.stall_ms) = (dice.skewed(bytes), 1 + dice.skewed(100_000));
        }
        side
    }

    /// The hosts' clocks: often such that the first connection's sequence numbers or timestamps
    /// come around, or become negative, in the middle of it.
    fn wind_clocks(&mut self, plan: &mut Plan) {
        let dice = &mut self.dice;
        let Some(first) = plan.connections.first_mut() else { return };
        first.open.port = 20_000 + dice.below(8_000);
        let (client, server) = (first.open.client as usize, 1 - first.open.client as usize);
        let ends = [
            SocketAddr::new(plan.run.place(client).1, first.open.port as u16),
            SocketAddr::new(plan.run.place(server).1, super::super::PORT),
        ];
        let at_us = first.open.at_ms * 1_000;
        let syn_us = at_us + plan.wires[client].delay_us;
        for (i, local, remote, at_us) in
            [(client, ends[0], ends[1], at_us), (server, ends[1], ends[0], syn_us)]
        {
            let edge = dice.pick(&[0u32, 0, 1 << 31]);
            let host = &mut plan.hosts[i];
            let how = dice.below(4);
            let places = [plan.run.place(i), plan.run.place(1 - i)];
            let numbers = first_numbers(host, places, [local.port(), remote.port()]);
            host.epoch_us = match numbers.filter(|_| how < 2) {
                Some((isn, _)) if how == 0 => {
                    let back = isn.wrapping_add((at_us / 4) as u32);
                    let before = dice.skewed(20_000) as u32;
                    u64::from(edge.wrapping_sub(before).wrapping_sub(back)) * 4
                }
                Some((_, stamp)) => {
                    let back = stamp.wrapping_add((at_us / 1_000) as u32);
                    let before = dice.skewed(10_000) as u32;
                    u64::from(edge.wrapping_sub(before).wrapping_sub(back)) * 1_000
                }
                None if how == 2 => 0,
                None => dice.skewed(60 * 24 * 3600 * 1_000_000),
            };
            debug_assert!(host.kind() == Kind::Ours || host.epoch_us < 1 << 60);
        }
    }
}
