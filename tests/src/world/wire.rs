//! The way from one host to the other: `tapdev`'s link, and all that can befall a packet on a
//! longer way: other routes, damage, outages, routers with narrow doors, and relics.

use super::damage::{damage, is_server, is_v6, too_big};
use super::hostile::forge;
use super::plan::{RunPlan, WirePlan};
use crate::random::Dice;
use stack::Instant;
use stack::testing::packet::{Flags, Segment, set_ecn};
use stack::testing::translate::{to_v4, to_v6};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;
use tapdev::{GilbertElliott, Link, LinkConfig, QueueLimit, Reorder};

/// Frames that may come again.
const RELICS: usize = 64;

/// A frame that waits for others to overtake it waits no longer than this.
const OVERTAKEN_WITHIN: Duration = Duration::from_secs(2);

/// What becomes of a frame that was sent, beside its arrival.
#[derive(Debug, Default)]
pub(super) struct Fate {
    /// The clients' ports of connections that damage may deceive, because no checksum tells.
    pub(super) deceived: Vec<u16>,
    /// What a router tells the sender.
    pub(super) icmp: Option<Vec<u8>>,
}

/// One direction.
pub(super) struct Wire {
    from: usize,
    plan: WirePlan,
    run: RunPlan,
    dice: Dice,
    /// Of a link that was replaced, frames still arrive. The first has no faults, and the last is
    /// the one that is used.
    links: Vec<Link>,
    /// When the next link comes into use, those that come first last.
    changes: Vec<(Instant, LinkConfig)>,
    /// Frames that others overtake: how many have to be sent first.
    held: Vec<(u64, Instant, Vec<u8>)>,
    pushed: u64,
    relics: Vec<Vec<u8>>,
    /// Relics under way.
    returning: BinaryHeap<Reverse<(Instant, Vec<u8>)>>,
}

impl Wire {
    /// The wire from host `from`.
    pub(super) fn new(from: usize, run: &RunPlan, plan: &WirePlan) -> Wire {
        let mut wire = Wire {
            from,
            plan: plan.clone(),
            run: run.clone(),
            dice: Dice::new(run.seed.wrapping_add(from as u64), "wire"),
            links: Vec::new(),
            changes: Vec::new(),
            held: Vec::new(),
            pushed: 0,
            relics: Vec::new(),
            returning: BinaryHeap::new(),
        };
        wire.lay(sound(plan));
        wire.lay(faulty(plan));
        wire.changes = routes(run, plan);
        wire
    }

    fn lay(&mut self, config: LinkConfig) {
        let link = Link::new(config, self.dice.word()).expect("the plan's links are valid");
        self.links.push(link);
    }

    /// Host `from` sends `frame`.
    pub(super) fn push(&mut self, now: Instant, frame: &[u8]) -> Fate {
        let mut fate = Fate::default();
        self.change_routes(now);
        if self.run.spares_arp == 1 && asks_for_neighbour(frame) {
            self.links[0].push(now.as_nanos(), frame);
            return fate;
        }
        let limit = self.plan.narrow(now, self.run.faults_end());
        if let Some(mtu) = limit.filter(|mtu| frame.len() > 14 + mtu) {
            fate.icmp = too_big(self.from, frame, mtu).filter(|_| self.plan.narrow_told == 1);
            return fate;
        }
        if self.swallows(frame) {
            return fate;
        }
        let stripped = in_v4(frame, |frame| self.strip(frame));
        let frame = stripped.as_deref().unwrap_or(frame);
        let mangled = in_v4(frame, |frame| self.mangle(frame));
        let frame = mangled.as_deref().unwrap_or(frame);
        if now >= self.run.faults_end() {
            self.send(now, frame);
        } else if !self.plan.is_cut(now) {
            self.push_to_faults(now, frame, &mut fate);
        }
        fate
    }

    fn push_to_faults(&mut self, now: Instant, frame: &[u8], fate: &mut Fate) {
        self.keep_relic(now, frame);
        self.meet_stranger(now, frame);
        let plan = self.plan.clone();
        let mut damaged = None;
        if self.chance(plan.damage) && !frame.is_empty() {
            let other = self.relics.first();
            let (frame, ports) = damage(frame, other, plan.damage_kinds, &mut self.dice);
            fate.deceived = ports.into_iter().filter(|port| !is_server(*port)).collect();
            damaged = Some(frame);
        }
        let frame = damaged.as_deref().unwrap_or(frame);
        if self.chance(plan.overtaken) {
            let after = self.pushed + 1 + self.dice.below(plan.overtaken_by.max(1));
            self.held.push((after, now + OVERTAKEN_WITHIN, frame.to_vec()));
            return;
        }
        self.send(now, frame);
    }

    /// A stranger may send a segment that nobody can use.
    fn meet_stranger(&mut self, now: Instant, frame: &[u8]) {
        if self.chance(self.plan.hostile)
            && let Some(forged) = in_v4(frame, |frame| forge(frame, &mut self.dice))
        {
            let later = Duration::from_micros(self.dice.skewed(2 * self.plan.delay_us));
            self.returning.push(Reverse((now + later, forged)));
        }
    }

    fn send(&mut self, now: Instant, frame: &[u8]) {
        let link = self.links.last_mut().expect("a wire has links");
        link.push(now.as_nanos(), frame);
        self.pushed += 1;
        self.release(now);
    }

    /// Sends what was overtaken often or long enough.
    fn release(&mut self, now: Instant) {
        while let Some(i) =
            self.held.iter().position(|(after, until, _)| *after <= self.pushed || *until <= now)
        {
            let (.., frame) = self.held.remove(i);
            let link = self.links.last_mut().expect("a wire has links");
            link.push(now.as_nanos(), &frame);
        }
    }

    fn chance(&mut self, millionths: u64) -> bool {
        millionths > 0 && self.dice.below(1_000_000) < millionths
    }

    /// Remembers the frame, and may send one that it remembers.
    fn keep_relic(&mut self, now: Instant, frame: &[u8]) {
        if self.plan.replay == 0 && self.plan.damage == 0 {
            return;
        }
        if self.relics.len() < RELICS {
            self.relics.push(frame.to_vec());
        } else {
            let i = self.dice.below(RELICS as u64) as usize;
            self.relics[i] = frame.to_vec();
        }
        if self.chance(self.plan.replay) {
            let i = self.dice.below(self.relics.len() as u64) as usize;
            let later = self.plan.delay_us + self.dice.skewed(self.plan.replay_ms * 1_000);
            let at = now + Duration::from_micros(later);
            self.returning.push(Reverse((at, self.relics[i].clone())));
        }
    }

    /// A middlebox that has never heard of text in a SYN.
    fn swallows(&self, frame: &[u8]) -> bool {
        let drops = self.plan.strips & 32 != 0;
        let segment = drops.then(|| Segment::from_frame(&to_v4(frame)).ok().flatten()).flatten();
        segment.is_some_and(|segment| {
            let flags = segment.flags;
            flags.has(Flags::SYN) && !flags.has(Flags::ACK) && !segment.payload.is_empty()
        })
    }

    /// What a middlebox leaves of a SYN. Not of a SYN-ACK: who has sent that could not know.
    fn strip(&self, frame: &[u8]) -> Option<Vec<u8>> {
        if frame.get(47)? & 0x12 != 0x02 {
            return None;
        }
        let kinds = [(1, 4), (2, 8), (4, 3), (8, 2), (16, 34)];
        let dislikes = |(bit, _): &(u64, u8)| self.plan.strips & bit != 0;
        let kinds: Vec<u8> = kinds.into_iter().filter(dislikes).map(|(_, kind)| kind).collect();
        without_options(frame, &kinds)
    }

    /// What a middlebox makes of ECN.
    fn mangle(&self, frame: &[u8]) -> Option<Vec<u8>> {
        if self.plan.ecn_box == 0 || frame.len() < 34 || frame[12..14] != [8, 0] {
            return None;
        }
        if self.plan.ecn_box == 2 {
            let segment = Segment::from_frame(frame).ok()??;
            let flags = Flags(segment.flags.0 & !Flags::ECE.with(Flags::CWR).0);
            let is_syn = segment.flags.has(Flags::SYN);
            let mac = |at: usize| stack::Mac([0, 1, 2, 3, 4, 5].map(|i| frame[at + i]));
            return is_syn.then(|| Segment { flags, ..segment }.to_frame(mac(6), mac(0)));
        }
        let before = frame[15] & 3;
        let after = match self.plan.ecn_box {
            1 => 0,
            3 if before == 0 => 0,
            _ => 3,
        };
        let mut frame = frame.to_vec();
        set_ecn(&mut frame[14..], after);
        (before != after).then_some(frame)
    }

    fn change_routes(&mut self, now: Instant) {
        while let Some((_, config)) = self.changes.pop_if(|(at, _)| *at <= now) {
            self.lay(config);
        }
    }

    /// The next frame that has arrived by `now`.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.change_routes(now);
        self.release(now);
        if let Some(Reverse((at, frame))) = self.returning.pop() {
            if at <= now {
                return Some(frame);
            }
            self.returning.push(Reverse((at, frame)));
        }
        self.links.iter_mut().find_map(|link| link.pop(now.as_nanos()))
    }

    /// When `pop` has something to do.
    pub(super) fn next(&self) -> Option<Instant> {
        let arrivals = self.links.iter().filter_map(Link::next_ns).map(Instant::from_nanos);
        let held = self.held.iter().map(|(_, until, _)| *until);
        let returning = self.returning.peek().map(|Reverse((at, _))| *at);
        arrivals.chain(held).chain(returning).min()
    }
}

/// True for ARP and Neighbor Discovery.
fn asks_for_neighbour(frame: &[u8]) -> bool {
    let is_arp = frame.get(12..14) == Some(&[8, 6]);
    is_arp || is_v6(frame) && frame.get(20) == Some(&58) && matches!(frame.get(54), Some(133..138))
}

/// What `change` makes of the frame: it knows IPv4 only.
fn in_v4(frame: &[u8], change: impl FnOnce(&[u8]) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    if is_v6(frame) { change(&to_v4(frame)).map(|frame| to_v6(&frame)) } else { change(frame) }
}

/// A SYN without options of these kinds; None for a frame that has nothing to lose.
pub(crate) fn without_options(frame: &[u8], kinds: &[u8]) -> Option<Vec<u8>> {
    if kinds.is_empty() || frame.get(47)? & 0x02 == 0 {
        return None;
    }
    let mut segment = Segment::from_frame(frame).ok()?.filter(|s| s.flags.has(Flags::SYN))?;
    kinds.iter().for_each(|&kind| blank(&mut segment.options, kind));
    let mac = |at: usize| stack::Mac([0, 1, 2, 3, 4, 5].map(|i| frame[at + i]));
    Some(segment.to_frame(mac(6), mac(0)))
}

/// Overwrites the option of this kind with NOPs.
fn blank(options: &mut [u8], kind: u8) {
    let mut at = 0;
    while at < options.len() {
        let len = match options[at] {
            0 => return,
            1 => 1,
            _ => usize::from(*options.get(at + 1).unwrap_or(&0)),
        };
        if len == 0 || at + len > options.len() {
            return;
        }
        if options[at] == kind {
            options[at..at + len].fill(1);
        }
        at += len;
    }
}

fn sound(plan: &WirePlan) -> LinkConfig {
    LinkConfig {
        delay: Duration::from_micros(plan.delay_us),
        rate_bits_per_s: (plan.rate_kbit > 0).then_some(plan.rate_kbit * 1_000),
        queue: QueueLimit { frames: plan.queue.max(1) as usize, ..QueueLimit::default() },
        mark_above: (plan.mark_above > 0).then_some(plan.mark_above as usize),
        ..LinkConfig::default()
    }
}

fn faulty(plan: &WirePlan) -> LinkConfig {
    let share = |millionths: u64| millionths.min(1_000_000) as f64 / 1e6;
    let sound = sound(plan);
    LinkConfig {
        loss: share(plan.loss),
        burst: (plan.bursts > 0).then(|| GilbertElliott {
            p_good_to_bad: share(plan.bursts),
            p_bad_to_good: 1.0 / plan.burst_frames.max(1) as f64,
            loss_good: 0.0,
            loss_bad: 0.9,
        }),
        duplicate: share(plan.duplicate),
        jitter: Duration::from_micros(plan.jitter_us).min(sound.delay),
        reorder: (plan.late > 0).then(|| Reorder {
            probability: share(plan.late),
            least: Duration::ZERO,
            extra: Duration::from_micros(plan.late_us.max(1)),
        }),
        ..sound
    }
}

/// The links to come, the last one first.
fn routes(run: &RunPlan, plan: &WirePlan) -> Vec<(Instant, LinkConfig)> {
    let end = run.faults_end();
    let mut changes = vec![(end, sound(plan))];
    let mut add = |ms: u64, delay_us: u64| {
        let at = Instant::from_millis(ms);
        if ms > 0 && at < end {
            let delay = Duration::from_micros(delay_us);
            let faulty = faulty(plan);
            changes.push((at, LinkConfig { jitter: faulty.jitter.min(delay), delay, ..faulty }));
        }
    };
    if plan.route_at_ms > 0 {
        add(plan.route_back_at_ms, plan.delay_us);
        add(plan.route_at_ms, plan.route_delay_us);
    }
    changes.sort_by_key(|(at, _)| Reverse(*at));
    changes
}
