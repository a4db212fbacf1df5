//! For tests: controllers alone on a bottleneck, in virtual time. A link of a rate and a delay with
//! a queue before it, which drops at its end, at random, or marks; every packet is acknowledged;
//! a packet is lost when three later ones have arrived. No stack, so that a minute takes a moment.

use super::{AckReport, Cause, Controller};
use crate::config::Congestion;
use crate::random::{Random, Seed};
use crate::tcp::rate::{Rate, Snapshot};
use crate::time::Instant;
use core::cmp::Reverse;
use core::time::Duration;
use std::collections::{BinaryHeap, VecDeque};

pub(super) const MSS: u32 = 1448;

/// The link and its queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path {
    /// Bytes per second.
    pub(super) rate: u64,
    /// Round-trip time without a queue.
    pub(super) rtt: Duration,
    /// Bytes that the queue holds.
    pub(super) queue: u64,
    /// Packets lost at random, of a thousand.
    pub(super) loss: u32,
    /// Bytes in the queue above which packets are marked.
    pub(super) mark: u64,
}

impl Path {
    /// A path without random loss whose queue holds so many bandwidth-delay products.
    pub(super) fn new(mbit: u64, rtt_ms: u64, queue_bdp: f64) -> Path {
        let (rate, rtt) = (mbit * 125_000, Duration::from_millis(rtt_ms));
        let queue = (rate as f64 * rtt.as_secs_f64() * queue_bdp) as u64;
        Path { rate, rtt, queue, loss: 0, mark: u64::MAX }
    }

    /// The bandwidth-delay product, bytes.
    pub(super) fn bdp(&self) -> f64 {
        self.rate as f64 * self.rtt.as_secs_f64()
    }
}

#[derive(Clone, Copy, Debug)]
struct Packet {
    number: u64,
    sent_at: Instant,
    snapshot: Snapshot,
}

/// What one flow has seen.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) cc: Box<Controller>,
    rate: Rate,
    /// Sent and neither delivered nor lost, in the order of sending.
    out: VecDeque<Packet>,
    next: u64,
    /// Recovery ends when a packet from this number on is delivered.
    recover: Option<u64>,
    /// No further reduction for marks before this number is delivered.
    reduced: u64,
    srtt: Duration,
    min_rtt: Duration,
    paced_until: Instant,
    heard_at: Instant,
    /// The window was full before this packet was sent.
    full_until: u64,
    /// When the latest acknowledgment under way arrives.
    ack_at: Instant,
    pub(super) delivered: u64,
    pub(super) lost: u64,
    pub(super) timeouts: u64,
    pub(super) starts_at: Instant,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The acknowledgment of a flow's packet.
    Ack { flow: usize, number: u64, marked: bool },
    /// The pace lets a flow send.
    Paced { flow: usize },
    /// A flow looks whether anything has come back.
    Look { flow: usize },
}

/// Flows on one path.
pub(super) struct Simulation {
    pub(super) path: Path,
    pub(super) flows: Vec<Flow>,
    pub(super) now: Instant,
    events: BinaryHeap<Reverse<(Instant, u64, Event)>>,
    order: u64,
    /// When the link will have sent what is in the queue.
    busy_until: Instant,
    random: Random,
}

impl Simulation {
    pub(super) fn new(path: Path, algorithms: &[Congestion]) -> Simulation {
        let mut simulation = Simulation {
            path,
            flows: Vec::new(),
            now: Instant::ZERO,
            events: BinaryHeap::new(),
            order: 0,
            busy_until: Instant::ZERO,
            random: Random::new(&Seed::from_number(9)),
        };
        for algorithm in algorithms {
            simulation.join(*algorithm);
        }
        simulation
    }

    /// Another flow begins now.
    pub(super) fn join(&mut self, algorithm: Congestion) {
        let flow = self.flows.len();
        self.flows.push(Flow {
            cc: algorithm.controller(MSS, flow as u32),
            rate: Rate::default(),
            out: VecDeque::new(),
            next: 0,
            recover: None,
            reduced: 0,
            srtt: Duration::ZERO,
            min_rtt: Duration::ZERO,
            paced_until: self.now,
            heard_at: self.now,
            full_until: 0,
            ack_at: self.now,
            delivered: 0,
            lost: 0,
            timeouts: 0,
            starts_at: self.now,
        });
        self.flows[flow].cc.on_established(MSS, false);
        self.at(self.now, Event::Look { flow });
    }

    fn at(&mut self, when: Instant, event: Event) {
        self.order += 1;
        self.events.push(Reverse((when, self.order, event)));
    }

    /// Lets `span` pass.
    pub(super) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(Reverse((when, _, event))) = self.events.pop() {
            if when > end {
                self.events.push(Reverse((when, 0, event)));
                break;
            }
            self.now = when;
            match event {
                Event::Ack { flow, number, marked } => self.on_ack(flow, number, marked),
                Event::Paced { flow } => self.send(flow),
                Event::Look { flow } => self.look(flow),
            }
        }
        self.now = end;
    }

    /// Bytes waiting before the link.
    pub(super) fn queued(&self) -> u64 {
        let waiting = (self.busy_until - self.now).as_nanos() as u64;
        (u128::from(self.path.rate) * u128::from(waiting) / 1_000_000_000) as u64
    }

    /// Bytes that a flow has had delivered since last asked.
    pub(super) fn take_delivered(&mut self, flow: usize) -> u64 {
        core::mem::take(&mut self.flows[flow].delivered)
    }

    fn look(&mut self, flow: usize) {
        let srtt = self.flows[flow].srtt;
        let patience = if srtt.is_zero() { 1000 } else { 200 };
        let patience = Duration::from_millis(patience).max(srtt * 3);
        let state = &mut self.flows[flow];
        if !state.out.is_empty() && self.now - state.heard_at >= patience {
            state.heard_at = self.now;
            state.timeouts += 1;
            let flight = state.out.len() as u32 * MSS;
            state.cc.on_timeout(flight, MSS);
            for packet in state.out.drain(..) {
                state.lost += 1;
                let lost = state.rate.on_lost(MSS, &packet.snapshot);
                state.cc.on_lost(&lost);
            }
            state.recover = None;
        }
        self.send(flow);
        self.at(self.now + patience, Event::Look { flow });
    }

    /// Sends what the window and the rate allow.
    fn send(&mut self, flow: usize) {
        loop {
            let now = self.now;
            let state = &mut self.flows[flow];
            let in_flight = state.out.len() as u32 * MSS;
            if in_flight + MSS > state.cc.window().max(MSS) {
                state.full_until = state.next;
                return;
            }
            if let Some(rate) = state.cc.pacing_rate() {
                if state.paced_until > now {
                    return;
                }
                let gap = Duration::from_nanos(u64::from(MSS) * 1_000_000_000 / rate.max(1));
                state.paced_until = state.paced_until.max(now) + gap;
                let when = state.paced_until;
                self.events.push(Reverse((when, u64::MAX, Event::Paced { flow })));
            }
            self.send_one(flow, in_flight);
        }
    }

    fn send_one(&mut self, flow: usize, in_flight: u32) {
        let (now, queued) = (self.now, self.queued());
        let state = &mut self.flows[flow];
        let number = state.next;
        state.next += 1;
        let snapshot = state.rate.on_sent(now, MSS, in_flight);
        let marked = queued > self.path.mark;
        state.out.push_back(Packet { number, sent_at: now, snapshot });
        let dropped = queued + u64::from(MSS) > self.path.queue.max(u64::from(MSS));
        let unlucky = self.random.below(1000) < self.path.loss;
        if dropped || unlucky {
            return;
        }
        let took = Duration::from_nanos(u64::from(MSS) * 1_000_000_000 / self.path.rate);
        self.busy_until = self.busy_until.max(now) + took;
        // The way back varies by some packets' time, in order: without it flows keep in step, and
        // the queue's end always meets the same one.
        let jitter = took * self.random.below(1000) / 250;
        let state = &mut self.flows[flow];
        let arrives = (self.busy_until + self.path.rtt + jitter).max(state.ack_at);
        state.ack_at = arrives;
        self.at(arrives, Event::Ack { flow, number, marked });
    }

    fn on_ack(&mut self, flow: usize, number: u64, marked: bool) {
        let now = self.now;
        let state = &mut self.flows[flow];
        // What was taken for lost at a time-out arrives late: no matter.
        let found = state.out.binary_search_by_key(&number, |packet| packet.number);
        let Ok(at) = found else { return };
        let in_flight = state.out.len() as u32 * MSS;
        let Some(packet) = state.out.remove(at) else { return };
        let rtt = now - packet.sent_at;
        state.heard_at = now;
        state.delivered += u64::from(MSS);
        state.rate.on_delivered(now, MSS, &packet.snapshot, packet.sent_at);
        state.min_rtt = if state.min_rtt.is_zero() { rtt } else { state.min_rtt.min(rtt) };
        state.srtt = if state.srtt.is_zero() { rtt } else { state.srtt * 7 / 8 + rtt / 8 };
        let lost = state.find_lost(number);
        state.steer(number, lost, marked, in_flight);
        let report = AckReport {
            now,
            acked: MSS,
            newly_delivered: MSS,
            in_flight: state.out.len() as u32 * MSS,
            delivered: state.rate.delivered(),
            mss: MSS,
            rtt: Some(rtt),
            srtt: state.srtt,
            min_rtt: state.min_rtt,
            rate: state.rate.sample(Some(state.min_rtt)),
            recovery: state.recover.is_some(),
            recovering: state.recover.is_some(),
            sack: true,
            cwnd_limited: true,
            window_full: number < state.full_until,
        };
        state.cc.on_ack(&report);
        if state.cc.drains_path() {
            state.rate.on_app_limited(state.out.len() as u32 * MSS);
        }
        self.send(flow);
    }
}

impl Flow {
    /// Packets sent before the third one before `number`: lost.
    fn find_lost(&mut self, number: u64) -> u32 {
        let mut count = 0;
        while let Some(first) = self.out.front().filter(|first| first.number + 3 <= number) {
            let lost = self.rate.on_lost(MSS, &first.snapshot);
            self.cc.on_lost(&lost);
            self.lost += 1;
            count += 1;
            self.out.pop_front();
        }
        count
    }

    /// Recovery, and reactions to marks: at most one reduction for a round trip.
    fn steer(&mut self, number: u64, lost: u32, marked: bool, flight: u32) {
        if self.recover.is_some_and(|until| number >= until) {
            self.recover = None;
            self.cc.on_recovered(flight, MSS);
        }
        if self.recover.is_some() {
            return;
        }
        if lost > 0 {
            self.recover = Some(self.next);
            self.cc.on_congestion(Cause::Loss, flight, MSS);
        } else if marked && number >= self.reduced {
            self.reduced = self.next;
            self.cc.on_congestion(Cause::Ecn, flight, MSS);
        }
    }

    /// Bytes per second since the flow began.
    pub(super) fn goodput(&self, now: Instant) -> f64 {
        self.delivered as f64 / (now - self.starts_at).as_secs_f64()
    }
}
