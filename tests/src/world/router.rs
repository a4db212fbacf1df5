//! A router of IPv6 on the link that says something else each time (RFC 4861 §4.2): lifetimes that
//! end, prefixes that come and go, other MTUs, other times for asking neighbours.

use super::plan::RunPlan;
use crate::random::Dice;
use stack::Instant;
use stack::testing::packet::checksum;
use std::time::Duration;

/// Its station and its address, and those of all hosts.
const STATION: [u8; 6] = [2, 0, 0, 0, 0, 0xfe];
const EVERY_STATION: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];
const ADDRESS: [u8; 16] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xfe];
const EVERYBODY: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

const ICMPV6: u8 = 58;
const ADVERTISEMENT: u8 = 134;

pub(super) struct Router {
    dice: Dice,
    next: Option<Instant>,
    every: Duration,
    until: Instant,
}

impl Router {
    pub(super) fn new(run: &RunPlan) -> Router {
        let every = Duration::from_millis(run.router_every_ms);
        let next = (run.ip == 6 && run.router_every_ms > 0).then_some(Instant::ZERO + every);
        Router { dice: Dice::new(run.seed, "advertisements"), next, every, until: run.faults_end() }
    }

    /// When it says something.
    pub(super) fn next(&self) -> Option<Instant> {
        self.next.filter(|at| *at < self.until)
    }

    /// What it says now.
    pub(super) fn advertises(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.next().filter(|at| *at <= now)?;
        self.next = Some(now + self.every);
        Some(self.frame())
    }

    fn frame(&mut self) -> Vec<u8> {
        let dice = &mut self.dice;
        let mut message = vec![ADVERTISEMENT, 0, 0, 0, dice.pick(&[0, 1, 64, 255]), 0];
        message.extend(dice.pick(&[0u16, 1, 1_800, 9_000]).to_be_bytes());
        message.extend(dice.pick(&[0u32, 1_000, 30_000, 3_600_000]).to_be_bytes());
        message.extend(dice.pick(&[0u32, 100, 1_000, 10_000]).to_be_bytes());
        if dice.percent(50) {
            message.extend([5, 1, 0, 0]);
            message.extend(dice.pick(&[1_280u32, 1_400, 1_500, 9_000, 1_279]).to_be_bytes());
        }
        for _ in 0..dice.below(3) {
            let lifetimes = [0u32, 1, 10, 7_200, u32::MAX];
            let (valid, preferred) = (dice.pick(&lifetimes), dice.pick(&lifetimes));
            message.extend([3, 4, 64, dice.pick(&[0x40, 0x80, 0xc0])]);
            message.extend([valid.to_be_bytes(), preferred.to_be_bytes(), [0; 4]].concat());
            let network = dice.below(3) as u8;
            message.extend([0x20, 1, 0x0d, 0xb8, 0, 0, 0, network, 0, 0, 0, 0, 0, 0, 0, 0]);
        }
        let length = (message.len() as u32).to_be_bytes();
        let sum = checksum(&[&ADDRESS, &EVERYBODY, &length, &[0, 0, 0, ICMPV6], &message]);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        let header = [0x60, 0, 0, 0, length[2], length[3], ICMPV6, 255];
        let frame = [&EVERY_STATION[..], &STATION, &[0x86, 0xdd], &header, &ADDRESS, &EVERYBODY];
        [frame.concat(), message].concat()
    }
}
