//! When servers are asked (RFC 8415 §15, §18.2.6), and what is taken of their answers.

use super::NetworkInformation;
use super::message::{answer, question};
use crate::random::Random;
use crate::time::Instant;
use crate::wire::address::Mac;
use core::time::Duration;

/// §7.6: INF_MAX_DELAY, INF_TIMEOUT and INF_MAX_RT.
const START_MAX: Duration = Duration::from_secs(1);
const FIRST_INTERVAL: Duration = Duration::from_secs(1);
const LONGEST_INTERVAL: Duration = Duration::from_secs(3600);

/// §21.23: IRT_DEFAULT and IRT_MINIMUM.
const REFRESH: Duration = Duration::from_secs(86_400);
const REFRESH_MIN: Duration = Duration::from_secs(600);

/// Who asks on one link.
pub(crate) struct Client {
    mac: Mac,
    random: Random,
    /// The question that waits for its answer, and when it was first asked.
    asked: Option<(u32, Instant)>,
    interval: Duration,
    longest: Duration,
    deadline: Instant,
}

impl Client {
    /// One that asks shortly: hosts that start together do not ask together.
    pub(crate) fn new(now: Instant, mac: Mac, mut random: Random) -> Client {
        let deadline = now + random.part_of(START_MAX);
        let (interval, longest) = (Duration::ZERO, LONGEST_INTERVAL);
        Client { mac, random, asked: None, interval, longest, deadline }
    }

    /// When [`advance`](Client::advance) has something to say.
    pub(crate) fn next_timeout(&self) -> Instant {
        self.deadline
    }

    /// Time has passed: the message to be sent to all servers.
    pub(crate) fn advance(&mut self, now: Instant) -> Option<Vec<u8>> {
        if now < self.deadline {
            return None;
        }
        let (transaction, began) = match self.asked {
            Some(asked) => asked,
            None => {
                self.interval = Duration::ZERO;
                (self.random.next_u32() >> 8, now)
            }
        };
        self.asked = Some((transaction, began));
        // Twice as long each time, and never longer than the longest, give or take a tenth (§15).
        let next = (self.interval * 2).clamp(FIRST_INTERVAL, self.longest);
        self.interval = next - next / 10 + self.random.part_of(next / 5);
        self.deadline = now + self.interval;
        Some(question(transaction, self.mac, now - began))
    }

    /// A datagram from a server has come: what it says, if it answers the question.
    pub(crate) fn on_message(&mut self, now: Instant, bytes: &[u8]) -> Option<NetworkInformation> {
        let (transaction, _) = self.asked?;
        let answer = answer(bytes, transaction, self.mac)?;
        self.asked = None;
        self.longest = answer.longest_interval.unwrap_or(self.longest);
        let refresh = answer.refresh.unwrap_or(REFRESH).max(REFRESH_MIN);
        self.deadline = now + refresh + self.random.part_of(START_MAX);
        Some(answer.information)
    }
}
