//! What the seed draws: the hosts, the links, and what the applications will do.
//!
//! Swarm style (Groce and others, 2012): each kind of fault is on or off for a whole run, so that
//! some runs have one fault in plenty rather than all runs a little of each.

use crate::random::Dice;
use stack::{Instant, Mac};
use std::net::Ipv4Addr;
use std::time::Duration;
use tapdev::{GilbertElliott, LinkConfig, QueueLimit, Reorder};

/// Which stack a host runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// This project's.
    Ours,
    /// smoltcp.
    Smol,
}

/// One host.
#[derive(Clone, Debug)]
pub struct HostPlan {
    /// Which stack.
    pub kind: Kind,
    /// The host's own randomness.
    pub seed: u64,
    /// Its Ethernet address.
    pub mac: Mac,
    /// Its IP address, in a /24 with the other one.
    pub address: Ipv4Addr,
    /// Largest IP packet.
    pub mtu: usize,
    /// Bytes that a connection may hold for its reader.
    pub receive_buffer: usize,
    /// Bytes that a connection may hold for its writer.
    pub send_buffer: usize,
    /// No Nagle.
    pub nodelay: bool,
    /// Offers timestamps (smoltcp only: this project's stack always does).
    pub timestamps: bool,
    /// SYN-ACKs sent again before a handshake is forgotten (this project's stack only).
    pub syn_ack_retries: u8,
    /// Timers fire late, at multiples of this.
    pub tick: Option<Duration>,
    /// The machine stands still: neither host nor applications run, and frames wait.
    pub asleep: Option<Span>,
    /// Frames that arrive together are all given before the host may answer.
    pub batches: bool,
}

/// A stretch of a run.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// From when.
    pub from: Duration,
    /// How long.
    pub lasts: Duration,
}

impl Span {
    /// The end of the stretch, if `at` lies in it; otherwise `at`.
    pub fn end(&self, at: Instant) -> Instant {
        let (from, end) = (Instant::ZERO + self.from, Instant::ZERO + self.from + self.lasts);
        if at >= from && at < end { end } else { at }
    }
}

/// How one side of a connection behaves.
#[derive(Clone, Copy, Debug)]
pub struct SidePlan {
    /// Bytes to send.
    pub bytes: u64,
    /// Largest write.
    pub write: usize,
    /// Largest read.
    pub read: usize,
    /// After this many reads and writes in a row the application does something else..
    pub burst: u64,
    /// ..for up to this long.
    pub pause: Duration,
    /// How it ends.
    pub ending: Ending,
}

/// How one side of a connection ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Says that all is sent, reads to the end, closes.
    Orderly,
    /// Closes when everything is sent and everything expected was read.
    WhenDone,
    /// Closes after so many bytes in both directions, whatever is missing.
    Vanish(u64),
    /// Resets after so many bytes in both directions.
    Abort(u64),
}

/// One connection.
#[derive(Clone, Debug)]
pub struct ConnectionPlan {
    /// The host that opens it.
    pub client: usize,
    /// When.
    pub at: Duration,
    /// The client's side and the server's.
    pub sides: [SidePlan; 2],
}

/// Everything about a run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The two hosts.
    pub hosts: [HostPlan; 2],
    /// The link from each host to the other.
    pub links: [LinkConfig; 2],
    /// When the link from each host carries nothing at all.
    pub cuts: [Option<Span>; 2],
    /// What the links become after `faults`: whole, with the same rate and delay.
    pub repaired: [LinkConfig; 2],
    /// ARP crosses without faults. It gives up after three requests, and a connection that could
    /// not be opened is a fair outcome, but no byte.
    pub spares_arp: bool,
    /// How long the faults last.
    pub faults: Duration,
    /// The connections.
    pub connections: Vec<ConnectionPlan>,
}

impl Plan {
    /// The plan of `seed` for these two kinds of host.
    pub fn draw(seed: u64, kinds: [Kind; 2]) -> Plan {
        let mut dice = Dice::new(seed, "plan");
        let mtu = dice.pick(&[576, 1280, 1500, 1500, 1500, 9000]) as usize;
        let mut hosts = [0, 1].map(|i| host(&mut dice, i, kinds[i], mtu));
        let mut base = [(); 2].map(|()| sound_link(&mut dice));
        if kinds.contains(&Kind::Smol) {
            // smoltcp may run without congestion control: a short queue would starve it.
            base.iter_mut().for_each(|link| link.queue = QueueLimit::default());
            // It has no SND.WL1: a closed window that comes late stops it for ever.
            hosts.iter_mut().for_each(|host| host.receive_buffer = BYTES_MAX as usize);
        }
        let links = base.clone().map(|link| faulty_link(&mut dice, link));
        let cuts = [(); 2].map(|()| dice.percent(15).then(|| span(&mut dice)));
        let count = dice.between(1, 8);
        let connections = (0..count).map(|_| connection(&mut dice)).collect();
        let faults = Duration::from_millis(dice.between(1_000, 20_000));
        Plan { hosts, links, cuts, repaired: base, spares_arp: false, faults, connections }
    }

    /// Loss of one frame in five in both directions, with reorder and duplicates, and nothing
    /// that cuts a connection short: every byte has to arrive.
    pub fn lossy(seed: u64, kinds: [Kind; 2]) -> Plan {
        let mut plan = Plan::draw(seed, kinds);
        let mut dice = Dice::new(seed, "lossy");
        for link in &mut plan.links {
            *link = LinkConfig {
                delay: Duration::from_millis(dice.between(1, 40)),
                loss: 0.20,
                duplicate: 0.05,
                reorder: Some(Reorder {
                    probability: 0.10,
                    least: Duration::ZERO,
                    extra: Duration::from_millis(30),
                }),
                ..LinkConfig::default()
            };
        }
        for connection in &mut plan.connections {
            for side in &mut connection.sides {
                side.ending = Ending::Orderly;
            }
        }
        // A handshake that is forgotten is no byte lost, but here no excuse is wanted.
        plan.hosts.iter_mut().for_each(|host| host.syn_ack_retries = 15);
        plan.spares_arp = true;
        plan.cuts = [None, None];
        plan.hosts.iter_mut().for_each(|host| host.asleep = None);
        // The faults outlast the transfer: nothing is delivered because the link was repaired.
        plan.faults = Duration::from_secs(3600);
        plan
    }
}

fn host(dice: &mut Dice, index: usize, kind: Kind, mtu: usize) -> HostPlan {
    HostPlan {
        kind,
        seed: dice.word(),
        mac: Mac([2, 0, 0, 0, 0, index as u8 + 1]),
        address: Ipv4Addr::new(192, 0, 2, index as u8 + 1),
        mtu,
        receive_buffer: dice.pick(&[2048, 4096, 16_384, 65_535, 65_536, 262_144]) as usize,
        send_buffer: dice.pick(&[2048, 4096, 16_384, 65_536, 262_144]) as usize,
        nodelay: dice.percent(30),
        timestamps: dice.percent(50),
        syn_ack_retries: 3,
        tick: dice.percent(25).then(|| Duration::from_millis(4)),
        asleep: dice.percent(15).then(|| span(dice)),
        batches: dice.percent(50),
    }
}

/// Up to twenty seconds, the short ones as often as the long.
fn span(dice: &mut Dice) -> Span {
    let from = Duration::from_millis(dice.below(6_000));
    Span { from, lasts: Duration::from_millis(1 + dice.skewed(20_000)) }
}

fn sound_link(dice: &mut Dice) -> LinkConfig {
    // From 10 us to about 650 ms, each order of magnitude as likely as the next.
    let delay = Duration::from_micros(10 << dice.below(17));
    let queue = QueueLimit {
        frames: dice.pick(&[4, 16, 64, 1000]) as usize,
        bytes: QueueLimit::default().bytes,
    };
    let rate = dice.percent(40).then(|| 500_000 << dice.below(8));
    LinkConfig { delay, rate_bits_per_s: rate, queue, ..LinkConfig::default() }
}

fn faulty_link(dice: &mut Dice, mut link: LinkConfig) -> LinkConfig {
    let share = |dice: &mut Dice, most: u64| {
        if dice.percent(50) { dice.below(most * 10) as f64 / 1000.0 } else { 0.0 }
    };
    link.loss = share(dice, 30);
    link.duplicate = share(dice, 30);
    link.corrupt = share(dice, 10);
    if dice.percent(50) {
        link.jitter = link.delay / dice.between(1, 10) as u32;
    }
    if dice.percent(50) {
        let extra = Duration::from_micros(dice.between(1, 300_000));
        link.reorder = Some(Reorder { probability: share(dice, 40), least: Duration::ZERO, extra });
    }
    if dice.percent(25) {
        link.burst = Some(GilbertElliott {
            p_good_to_bad: 0.01,
            p_bad_to_good: 1.0 / dice.between(2, 60) as f64,
            loss_good: 0.0,
            loss_bad: 0.9,
        });
    }
    link
}

fn connection(dice: &mut Dice) -> ConnectionPlan {
    ConnectionPlan {
        client: dice.below(2) as usize,
        at: Duration::from_millis(dice.below(3_000)),
        sides: [side(dice), side(dice)],
    }
}

/// A stream of [`BYTES_MAX`] in pieces of this size, with a pause after each, ends in time.
const LEAST_PIECE: usize = 40;

/// The longest stream.
const BYTES_MAX: u64 = 200_000;

fn side(dice: &mut Dice) -> SidePlan {
    let bytes = dice.skewed(BYTES_MAX);
    let ending = match dice.below(10) {
        0 => Ending::Abort(dice.skewed(2 * bytes)),
        1 => Ending::Vanish(dice.skewed(2 * bytes)),
        2..=4 => Ending::WhenDone,
        _ => Ending::Orderly,
    };
    SidePlan {
        bytes,
        write: LEAST_PIECE + dice.skewed(70_000) as usize,
        read: LEAST_PIECE + dice.skewed(70_000) as usize,
        burst: dice.between(1, 64),
        pause: Duration::from_micros(if dice.percent(50) { 0 } else { dice.skewed(50_000) }),
        ending,
    }
}
