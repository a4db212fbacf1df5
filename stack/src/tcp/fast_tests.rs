//! The short way comes to the same as the long one.

use super::*;
use crate::config::{Config, Congestion, EcnMode};
use crate::counters::Counters;
use crate::net::pmtu::Links;
use crate::random::{Random, Seed};
use crate::tcp::memory::Memory;
use crate::tcp::open::Start;
use crate::tcp::options::TcpOptions;
use crate::tcp::reply::Replies;
use crate::tcp::send::Send;
use crate::tcp::state::State;
use crate::tcp::tcb::More;
use crate::time::Instant;
use crate::wire::address::{Address, Endpoint, FlowKey, Mac};
use crate::wire::ecn::Codepoint;
use crate::wire::options::{Options, SackBlocks, Timestamps};
use core::time::Duration;
use std::sync::Arc;

const MSS: u16 = 1460;
/// The peer's first sequence number, and the next.
const IRS: Seq = Seq(7_000);
const PEER: Seq = Seq(7_001);

/// A connection, all that it needs, and dice.
struct World {
    config: Config,
    links: Links,
    counters: Counters,
    memory: Memory,
    replies: Replies,
    now: Instant,
    super_frame: usize,
    dice: Random,
    /// Where segments have ended, by sequence.
    sent: Vec<Seq>,
    plain: u32,
    other: u32,
}

impl World {
    fn new(seed: u64) -> World {
        let mut config = Config::new(Mac([2, 0, 0, 0, 0, 1]));
        config.tcp.ecn = EcnMode::On;
        World {
            links: Links::new(1500),
            counters: Counters::default(),
            memory: Memory::new(config.tcp.memory_max),
            replies: Replies::new(16),
            config,
            now: Instant::from_secs(1),
            super_frame: if seed.is_multiple_of(2) { 0 } else { 65_000 },
            dice: Random::new(&Seed::from_number(seed)),
            sent: Vec::new(),
            plain: 0,
            other: 0,
        }
    }

    fn cx(&mut self) -> Cx<'_> {
        Cx {
            now: self.now,
            config: &self.config.tcp,
            links: &self.links,
            super_frame: self.super_frame,
            counters: &mut self.counters,
            memory: &mut self.memory,
            replies: &mut self.replies,
        }
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.dice.below(n) == 0
    }

    fn connected(&mut self) -> Tcb {
        let end = |last| Endpoint::new(Address::v4([192, 0, 2, last]), 80);
        let mut options = TcpOptions { nodelay: true, ..TcpOptions::default() };
        let all = Congestion::ALL;
        options.congestion = Some(all[self.dice.below(all.len() as u32) as usize]);
        let start = Start {
            now: self.now,
            iss: Seq(self.dice.next_u32()),
            timestamp_offset: 5,
            announced_mss: MSS,
            path: None,
            options: Arc::new(options),
        };
        let flow = FlowKey { local: end(1), remote: end(2) };
        let mut tcb = Tcb::connecting(flow, start, &self.config.tcp);
        assert!(tcb.next_segment(&mut self.cx()).is_some());
        self.now = self.now + Duration::from_millis(1);
        let mut answer = self.segment(&tcb, tcb.snd.nxt);
        (answer.seq, answer.flags) = (IRS, Flags::SYN.with(Flags::ACK).with(Flags::ECE));
        answer.options.mss = Some(MSS);
        answer.options.window_scale = Some(7);
        answer.options.sack_permitted = !self.one_in(8);
        if self.one_in(4) {
            answer.options.timestamps = None;
        }
        assert_eq!(tcb.arrive(&mut self.cx(), answer), None);
        assert_eq!(tcb.state, State::Established);
        self.sent.push(tcb.snd.nxt);
        tcb
    }

    /// What the peer may say: an acknowledgment of `ack`.
    fn segment(&mut self, tcb: &Tcb, ack: Seq) -> Segment<'static> {
        let clock = tcb.timestamps.as_ref();
        let timestamps = clock.map(|clock| Timestamps {
            value: self.now.as_millis() as u32,
            echo: clock.value(self.now - Duration::from_millis(self.dice.below(3).into())),
        });
        Segment {
            seq: PEER,
            ack,
            flags: Flags::ACK,
            window: 2_000,
            ecn: Codepoint::NotEct,
            options: Options { timestamps, ..Options::default() },
            text: &[],
            size: 0,
        }
    }

    /// An acknowledgment, mostly of one thing sent, sometimes with a report or a mark.
    fn acknowledgment(&mut self, tcb: &Tcb) -> Segment<'static> {
        let una = tcb.snd.una;
        self.sent.retain(|end| end.at_or_after(una) && end.at_or_before(tcb.snd.nxt));
        let pick = |dice: &mut Random, ends: &[Seq]| match ends.len() {
            0 => una,
            len => ends[dice.below(len.min(3) as u32) as usize],
        };
        let mut ack = pick(&mut self.dice, &self.sent);
        if self.one_in(10) && ack.since(una) > 1 {
            ack = una + self.dice.below(ack.since(una));
        }
        let mut segment = self.segment(tcb, ack);
        if tcb.sack && self.one_in(6) {
            let (left, right) = (pick(&mut self.dice, &self.sent), tcb.snd.nxt);
            let mut blocks = SackBlocks::default();
            if self.one_in(4) {
                // It has been received twice.
                blocks.push((una - 200).0, (una - 100).0);
            }
            blocks.push(left.0, (left + self.dice.below(right.since(left).max(1))).0);
            segment.options.sack = blocks;
        }
        if self.one_in(20) {
            segment.flags = segment.flags.with(Flags::ECE);
        }
        segment
    }

    /// The acknowledgment goes the long way on a copy, and the short way if it is plain.
    fn compare(&mut self, tcb: &Tcb, seg: &Segment<'_>) {
        if !tcb.snd.is_new_ack(seg.ack) {
            return;
        }
        let una = tcb.snd.una;
        let mut long = tcb.clone();
        long.on_new_ack(&mut self.cx(), seg);
        let mut short = long.clone();
        let Some(record) = short.plainly_delivered(seg, una) else {
            self.other += 1;
            return;
        };
        let before = self.counters.clone();
        short.on_plain_delivery(&mut self.cx(), &record);
        let counted = core::mem::replace(&mut self.counters, before.clone());
        long.on_any_acknowledgment(&mut self.cx(), seg, una, false);
        assert_eq!(format!("{short:#?}"), format!("{long:#?}"));
        assert_eq!(counted, self.counters);
        self.counters = before;
        self.plain += 1;
    }

    fn step(&mut self, tcb: &mut Tcb) {
        self.now = self.now + Duration::from_micros(self.dice.below(3_000).into());
        if tcb.timers.earliest() <= self.now || self.one_in(40) {
            self.now =
                self.now.latest(tcb.timers.earliest().min(self.now + Duration::from_secs(2)));
            tcb.on_timers(&mut self.cx());
        }
        if self.one_in(2) {
            let most = self.dice.below(12_000) as usize;
            let fill = |room: [&mut [u8]; 2]| most.min(room[0].len());
            let queue = |snd: &mut Send, quota, memory: &mut Memory| {
                snd.push_with(most, quota, memory, fill)
            };
            let _: Result<usize, _> = tcb.send(&mut self.cx(), More::Unknown, queue);
        }
        for _ in 0..self.dice.below(4) {
            if tcb.next_segment(&mut self.cx()).is_some() {
                self.sent.push(tcb.snd.nxt);
            }
        }
        let seg = self.acknowledgment(tcb);
        self.compare(tcb, &seg);
        let _: Option<_> = tcb.arrive(&mut self.cx(), seg);
    }
}

#[test]
fn a_plain_acknowledgment_does_what_any_does() {
    let (mut plain, mut other) = (0, 0);
    for seed in 0..400 {
        let mut world = World::new(seed);
        let mut tcb = world.connected();
        for _ in 0..200 {
            world.step(&mut tcb);
        }
        plain += world.plain;
        other += world.other;
    }
    assert!(plain > 5_000 && other > 5_000, "{plain} plain, {other} others");
}
